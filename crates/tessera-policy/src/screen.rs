//! What of an event may leave to one destination.
//!
//! Not a decision about the person: that is [`crate::decide`]. Invariants: a field with a forbidden label is in no output,
//! at any depth, under any spelling of its path that JSON has (escapes, repeated keys, dotted keys, arrays); the rest
//! leaves byte for byte; what cannot be read does not leave.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use tessera_model::{DestinationDocument, Label, LabelSet, Purpose};

use crate::screen_pass::Pass;
use crate::tree::Node;
use crate::{Labels, Why};

/// Why a field was withheld.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A policy forbids it.
    Forbidden(Arc<Why>),
    /// The destination's `except` names it.
    Excepted,
    /// The destination's `fields` do not name it.
    NotNamed,
    /// It has another shape than the tracking API gives it, so nobody can say what is in it.
    Unreadable,
    /// The reader's role does not see fields with this label.
    Hidden(Label),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden(why) => why.fmt(f),
            Self::Excepted => f.write_str("the destination's `except` names it"),
            Self::NotNamed => f.write_str("the destination's `fields` do not name it"),
            Self::Unreadable => f.write_str("it has another shape than the tracking API gives it"),
            Self::Hidden(label) => write!(f, "the reader does not see label `{label}`"),
        }
    }
}

/// What may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screened<'t> {
    /// The event: the text as it came where nothing was taken out.
    pub json: Cow<'t, str>,
    /// The fields that leave, ordered, each once: `traits.email`, `properties.total`, `identifiers.user_id`.
    pub fields: Vec<String>,
    /// The fields that were taken out. Those of an array may be named more than once.
    pub withheld: Vec<(String, Reason)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Rule {
    pub(crate) withhold: Option<Reason>,
    pub(crate) is_named: bool,
}

/// What one destination may get, compiled once for each version of the workspace.
#[derive(Debug)]
pub struct Screen {
    pub(crate) root: Node<Rule>,
    /// For identifiers of namespaces that the workspace does not know.
    pub(crate) unknown_identifier: Option<Reason>,
    /// Whether the destination names its fields.
    pub(crate) names_fields: bool,
    pub(crate) is_open: bool,
}

impl Screen {
    /// What `destination` may get for `purpose`.
    #[must_use]
    pub fn new(labels: &Labels, purpose: &Purpose, destination: &DestinationDocument) -> Self {
        let mut screen = Self::by_label(labels, |label| {
            let label = [label].into_iter().collect();
            labels.forbidden(label, purpose, Some(destination)).map(|why| Reason::Forbidden(Arc::new(why)))
        });
        screen.names_fields = !destination.fields.is_empty();
        screen.is_open &= destination.fields.is_empty() && destination.except.is_empty();
        for path in &destination.except {
            screen.root.slot(path).withhold.get_or_insert(Reason::Excepted);
        }
        for path in &destination.fields {
            screen.root.slot(path).is_named = true;
        }
        screen
    }

    /// What somebody who reads profiles for `purpose` may see, and does not see fields with any of `hidden`.
    #[must_use]
    pub fn for_reader(labels: &Labels, purpose: &Purpose, hidden: LabelSet) -> Self {
        Self::by_label(labels, |label| {
            if hidden.contains(label) {
                return Some(Reason::Hidden(label));
            }
            let label = [label].into_iter().collect();
            labels.forbidden(label, purpose, None).map(|why| Reason::Forbidden(Arc::new(why)))
        })
    }

    /// Withholds the fields with a label that there is a reason against.
    fn by_label(labels: &Labels, why: impl Fn(Label) -> Option<Reason>) -> Self {
        let unknown_identifier = why(Label::I1);
        let mut screen = Self {
            root: Node::default(),
            is_open: unknown_identifier.is_none(),
            unknown_identifier,
            names_fields: false,
        };
        for (path, labels) in labels.known() {
            let reason = labels.keys().find_map(|label| why(*label));
            screen.is_open &= reason.is_none();
            // For identifiers also where nothing is forbidden: it makes their namespace known.
            if reason.is_some() || path.as_str().starts_with("identifiers.") {
                screen.root.slot(path).withhold = reason;
            }
        }
        screen
    }

    /// Whether everything may leave.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// What of an event may leave.
    #[must_use]
    pub fn screen<'t>(&self, json: &'t str) -> Screened<'t> {
        Pass::new(self, json).event().unwrap_or_else(|| Screened {
            json: Cow::Borrowed("{}"),
            fields: Vec::new(),
            withheld: vec![("*".to_owned(), Reason::Unreadable)],
        })
    }

    /// The place of a path.
    pub(crate) fn at(&self, path: &[&str]) -> Place<'_> {
        let start = Place { nodes: [Some(&self.root), None], withhold: None, is_named: !self.names_fields };
        path.iter().fold(start, |place, part| place.step(part))
    }

    /// The place of a path in one piece.
    pub(crate) fn find(&self, path: &str) -> Place<'_> {
        match path.strip_prefix("context.traits.") {
            Some(rest) => self.within_context("traits").step(rest),
            None => self.at(&[path]),
        }
    }

    /// A place within `context` whose fields count as another's too: it is named only by a path that says so, not by
    /// `context.*`.
    pub(crate) fn within_context(&self, name: &str) -> Place<'_> {
        let mut place = self.at(&["context", name]);
        let is_named = |node: &Node<Rule>| node.here.is_named || (name != "traits" && node.below.is_named);
        let literal = place.nodes.into_iter().flatten().next();
        place.is_named = !self.names_fields || literal.is_some_and(is_named);
        if name == "traits" {
            place.nodes = [literal, self.root.child("traits")];
        }
        place
    }

    /// Whether an identifier is given out. `stands` is where it stands, when that has rules of its own.
    pub(crate) fn identifier(&self, namespace: &str, stands: Option<&Place<'_>>) -> Result<(), Reason> {
        let at = self.at(&["identifiers", namespace]);
        let is_known = at.nodes.iter().any(Option::is_some);
        let unknown = self.unknown_identifier.as_ref().filter(|_| !is_known);
        let withhold = at.withhold.or(unknown).or(stands.and_then(|place| place.withhold));
        let is_named = at.is_named || stands.is_some_and(|place| place.is_named);
        match withhold {
            Some(reason) => Err(reason.clone()),
            None if is_named => Ok(()),
            None => Err(Reason::NotNamed),
        }
    }
}

/// Where a walk stands among the rules: in two places at once below `context.traits`, which counts as `traits` too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'s> {
    pub(crate) nodes: [Option<&'s Node<Rule>>; 2],
    /// Why all that lies here stays, if it does.
    pub(crate) withhold: Option<&'s Reason>,
    /// Whether all that lies here leaves, but for what is withheld.
    pub(crate) is_named: bool,
}

impl Place<'_> {
    /// The place of a member. A key with dots in it means the same as objects within each other.
    pub(crate) fn step(mut self, key: &str) -> Self {
        for part in key.split('.') {
            for at in &mut self.nodes {
                let Some(node) = *at else { continue };
                self.withhold = self.withhold.or(node.below.withhold.as_ref());
                self.is_named |= node.below.is_named;
                *at = node.child(part);
                let Some(node) = *at else { continue };
                self.withhold = self.withhold.or(node.here.withhold.as_ref());
                self.is_named |= node.here.is_named;
            }
        }
        self
    }

    /// The place of a bare value in an array: it lies below the array.
    pub(crate) fn element(mut self) -> Self {
        for node in self.nodes.into_iter().flatten() {
            self.withhold = self.withhold.or(node.below.withhold.as_ref());
            self.is_named |= node.below.is_named;
        }
        self
    }

    /// Whether there are rules for what lies below.
    pub(crate) fn is_divided(&self) -> bool {
        self.nodes.into_iter().flatten().any(|node| {
            node.below.withhold.is_some() || node.below.is_named || node.children().next().is_some()
        })
    }
}
