//! Which labels a field has: from the workspace's `Field` documents, and built in for the fields of Segment's spec.
//!
//! Not a guess at content: a field is known by its path alone. Invariant: labels add up; no document takes a built-in
//! label away. A label on a path holds for everything below it, and a label on an identifier also for the fields that
//! its namespace reads it from.
//! Reference: Segment's spec (reserved traits, context fields); Adobe's data usage labels.

use std::collections::BTreeMap;
use std::sync::Arc;

use tessera_model::{FieldPath, Label, LabelSet, Namespace, NamespaceRules, PolicyDocument, Rules};

use crate::tree::Node;

/// The labels of the fields that Segment's spec names, in the spellings that are about.
const BUILT_IN: [(Label, &[&str]); 3] = [
    (
        Label::I1,
        &[
            "traits.email",
            "traits.phone",
            "traits.name",
            "traits.full_name",
            "traits.fullName",
            "traits.username",
            "traits.id",
            "traits.address",
            "identifiers.user_id",
            "identifiers.email",
            "identifiers.phone",
        ],
    ),
    (
        Label::I2,
        &[
            "traits.firstName",
            "traits.first_name",
            "traits.lastName",
            "traits.last_name",
            "traits.avatar",
            "traits.birthday",
            "traits.birth_date",
            "traits.birthdate",
            "traits.date_of_birth",
            "context.ip",
            "context.userAgent",
            "context.advertisingId",
            "context.device.id",
            "context.device.advertisingId",
            "context.device.token",
            "identifiers.anonymous_id",
            "identifiers.account_id",
        ],
    ),
    (Label::S1, &["context.location.latitude", "context.location.longitude"]),
];

/// An identifier that nothing is said of is taken for one that names a person by itself.
const IDENTIFIER: Label = Label::I1;

/// Where a field has a label from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The `Field` document of the path.
    Document,
    /// It is built in.
    BuiltIn,
    /// The namespace reads its identifiers from the field, and they have the label.
    Identifier {
        /// The namespace.
        namespace: Namespace,
        /// Whether a `Field` document gives it to the identifiers.
        is_declared: bool,
    },
}

impl Origin {
    /// Whether somebody declared the label in the workspace.
    #[must_use]
    pub const fn is_declared(&self) -> bool {
        matches!(self, Self::Document | Self::Identifier { is_declared: true, .. })
    }
}

/// The labels of a workspace's fields, compiled once for each of its versions, and the policies over them.
#[derive(Debug)]
pub struct Labels {
    root: Node<LabelSet>,
    known: BTreeMap<FieldPath, BTreeMap<Label, Origin>>,
    pub(crate) policies: Vec<PolicyDocument>,
}

impl Labels {
    /// The labels and policies of a workspace.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        let mut known: BTreeMap<FieldPath, BTreeMap<Label, Origin>> = BTreeMap::new();
        for field in rules.fields() {
            let labels = known.entry(field.name.clone()).or_default();
            labels.extend(field.labels.iter().map(|label| (*label, Origin::Document)));
        }
        let built_in = BUILT_IN.iter().flat_map(|(label, paths)| paths.iter().map(|path| (*label, *path)));
        for (label, path) in built_in {
            if let Some(path) = FieldPath::parse(path) {
                known.entry(path).or_default().entry(label).or_insert(Origin::BuiltIn);
            }
        }
        label_identifiers(&mut known, &rules.namespaces);
        let mut root: Node<LabelSet> = Node::default();
        for (path, labels) in &known {
            let slot = root.slot(path);
            *slot = slot.or(labels.keys().copied().collect());
        }
        Self { root, known, policies: rules.policies().cloned().collect() }
    }

    /// The labels of the field at `path`: its own, and those of the places it lies below.
    ///
    /// `context.traits` counts as `traits`. An identifier of an unknown namespace counts as naming a person.
    #[must_use]
    pub fn labels_of(&self, path: &str) -> LabelSet {
        self.find(path).0
    }

    /// The labels of the field at `path` and of all that lies below it.
    #[must_use]
    pub fn labels_within(&self, path: &str) -> LabelSet {
        let (labels, nodes) = self.find(path);
        nodes.into_iter().flatten().fold(labels, |labels, node| labels.or(all(node)))
    }

    /// The fields that have labels, with the label's origin: by path.
    pub fn known(&self) -> impl Iterator<Item = (&FieldPath, &BTreeMap<Label, Origin>)> {
        self.known.iter()
    }

    fn find(&self, path: &str) -> (LabelSet, [Option<&Node<LabelSet>>; 2]) {
        let (mut labels, node) = self.walk(path);
        if path.starts_with("identifiers.") && node.is_none() {
            labels.insert(IDENTIFIER);
        }
        let traits = path.strip_prefix("context.").filter(|rest| is_below(rest, "traits"));
        let (more, other) = traits.map_or_else(Default::default, |path| self.walk(path));
        (labels.or(more), [node, other])
    }

    fn walk(&self, path: &str) -> (LabelSet, Option<&Node<LabelSet>>) {
        let (mut labels, mut at) = (LabelSet::default(), Some(&self.root));
        for part in path.split('.') {
            let Some(node) = at else { break };
            labels = labels.or(node.below);
            at = node.child(part);
            labels = labels.or(at.map(|node| node.here).unwrap_or_default());
        }
        (labels, at)
    }
}

fn is_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn all(node: &Node<LabelSet>) -> LabelSet {
    node.children().fold(node.here.or(node.below), |labels, child| labels.or(all(child)))
}

/// Labels the identifiers of namespaces that nothing is said of, and the fields that namespaces read them from.
fn label_identifiers(known: &mut BTreeMap<FieldPath, BTreeMap<Label, Origin>>, namespaces: &NamespaceRules) {
    for namespace in namespaces.ordered() {
        let Some(path) = FieldPath::parse(&format!("identifiers.{}", namespace.name)) else { continue };
        let labels = known.entry(path).or_default();
        if labels.is_empty() {
            labels.insert(IDENTIFIER, Origin::BuiltIn);
        }
        let labels = labels.clone();
        let from = namespace.paths.iter().filter_map(|parts| FieldPath::parse(&parts.join(".")));
        for path in from {
            // `context.traits` counts as `traits`: to say it twice would only make the reasons longer.
            let plain = path.as_str().strip_prefix("context.").and_then(FieldPath::parse);
            let said = plain.and_then(|plain| known.get(&plain)).cloned().unwrap_or_default();
            let field = known.entry(path).or_default();
            for (label, origin) in labels.iter().filter(|(label, _)| !said.contains_key(label)) {
                field.entry(*label).or_insert_with(|| Origin::Identifier {
                    namespace: namespace.name.clone(),
                    is_declared: origin.is_declared(),
                });
            }
        }
    }
}

/// What a reader may not see.
#[derive(Clone, Debug)]
pub struct Mask {
    labels: Arc<Labels>,
    hidden: LabelSet,
}

impl Mask {
    /// Hides what has any of `hidden`.
    #[must_use]
    pub const fn new(labels: Arc<Labels>, hidden: LabelSet) -> Self {
        Self { labels, hidden }
    }

    /// Whether the field at `path` (`traits.email`, `identifiers.phone`) is hidden, or anything that lies below it.
    #[must_use]
    pub fn hides(&self, path: &str) -> bool {
        !self.hidden.is_empty() && !self.labels.labels_within(path).and(self.hidden).is_empty()
    }

    /// Whether it hides nothing.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.hidden.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::rules;

    fn labels() -> Arc<Labels> {
        Arc::new(Labels::new(&rules(&[
            json!({"kind": "Field", "name": "traits.health.*", "labels": ["special"]}),
            json!({"kind": "Field", "name": "properties.card.number", "labels": ["C2"]}),
            json!({"kind": "Field", "name": "context.*", "labels": ["S2"]}),
            json!({"kind": "Field", "name": "identifiers.card", "labels": ["C12"]}),
            json!({"kind": "Namespace", "name": "card", "from": ["properties.card.number", "traits.card"]}),
            json!({"kind": "Namespace", "name": "badge", "from": ["traits.badge"]}),
        ])))
    }

    fn names(set: LabelSet) -> String {
        set.iter().map(Label::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn labels_hold_for_what_lies_below_and_add_up() {
        for (path, expected) in [
            ("traits.email", "I1"),
            ("traits.email.work", "I1"),
            ("traits.emails", ""),
            ("traits.health", ""),
            ("traits.health.blood", "special"),
            ("traits.health.blood.group", "special"),
            ("traits.healthy", ""),
            ("properties.total", ""),
            ("context.ip", "I2 S2"),
            ("context.location.latitude", "S1 S2"),
            ("context.traits.email", "I1 S2"),
            ("identifiers.anonymous_id", "I2"),
            ("identifiers.badge", "I1"),
            ("identifiers.never_declared", "I1"),
        ] {
            assert_eq!(names(labels().labels_of(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_field_that_identifiers_are_read_from_has_their_labels() {
        for (path, expected) in [
            ("identifiers.card", "C12"),
            ("traits.card", "C12"),
            ("properties.card.number", "C2 C12"),
            ("traits.badge", "I1"),
        ] {
            assert_eq!(names(labels().labels_of(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_mask_hides_a_field_with_anything_hidden_below_it() {
        let mask = Mask::new(labels(), [Label::Special, Label::C2].into_iter().collect());
        for (path, expected) in [
            ("traits.health", true),
            ("traits.health.blood", true),
            ("properties.card", true),
            ("properties.card.brand", false),
            ("traits.email", false),
        ] {
            assert_eq!(mask.hides(path), expected, "{path}");
        }
        assert!(!Mask::new(labels(), LabelSet::default()).hides("traits.health"));
    }
}
