//! One event's way through a screen: which parts of its text are cut out.
//!
//! The text is never written anew: what leaves is the text without the cuts.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize as _;
use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use tessera_model::wire::Text;

use crate::screen::{Place, Reason, Screen, Screened};

/// What says which event it is, and nothing of the person.
const ENVELOPE: [&str; 12] = [
    "type",
    "event",
    "name",
    "category",
    "channel",
    "messageId",
    "timestamp",
    "originalTimestamp",
    "sentAt",
    "receivedAt",
    "consents",
    "consent_state",
];

pub(crate) struct Pass<'s, 't> {
    screen: &'s Screen,
    text: &'t str,
    /// What does not leave, in order, none within another.
    cuts: Vec<Range<usize>>,
    /// Where the walk stands.
    path: String,
    fields: Vec<String>,
    withheld: Vec<(String, Reason)>,
}

/// The members of an object or array, of which some are cut out.
struct Tiles {
    /// Where the next member begins, its comma included.
    start: usize,
    seen: usize,
    kept: usize,
}

impl<'s, 't> Pass<'s, 't> {
    pub(crate) const fn new(screen: &'s Screen, text: &'t str) -> Self {
        Self { screen, text, cuts: Vec::new(), path: String::new(), fields: Vec::new(), withheld: Vec::new() }
    }

    /// What leaves; `None`: the text is no JSON object that can be read.
    pub(crate) fn event(mut self) -> Option<Screened<'t>> {
        let whole: &'t RawValue = serde_json::from_str(self.text).ok()?;
        let mut tiles = self.tiles(whole);
        for (key, value) in members(whole)? {
            let mark = self.cuts.len();
            let is_kept = self.member(key.as_str(), value);
            self.settle(&mut tiles, value, mark, is_kept);
        }
        self.fields.sort_unstable();
        self.fields.dedup();
        let json = without(self.text, &self.cuts);
        Some(Screened { json, fields: self.fields, withheld: self.withheld })
    }

    fn member(&mut self, key: &str, value: &'t RawValue) -> bool {
        let screen = self.screen;
        match key {
            "traits" | "properties" | "context" => self.root(key, value, screen.at(&[key])),
            // The profile keeps them as traits of this name.
            "preferences" => self.root("traits.preferences", value, screen.at(&["traits", "preferences"])),
            "subscriptions" => self.elements(value, contact, None),
            _ if ENVELOPE.contains(&key) => true,
            _ if ["traits.", "properties.", "context."].iter().any(|root| key.starts_with(root)) => {
                self.field(key.to_owned(), value)
            }
            _ => match self.identifier(key, value, None) {
                Some(is_kept) => is_kept,
                None if screen.names_fields => self.withhold(key, Reason::NotNamed),
                None => self.leave(key),
            },
        }
    }

    /// The members of `traits`, `properties` or `context`: those are the fields.
    fn root(&mut self, root: &str, value: &'t RawValue, place: Place<'s>) -> bool {
        if value.get() == "null" {
            return true;
        }
        let Some(members) = members(value) else {
            return self.unreadable(root);
        };
        let mut tiles = self.tiles(value);
        for (key, value) in members {
            let mark = self.cuts.len();
            let special = if root == "context" { self.in_context(key.as_str(), value) } else { None };
            let is_kept = special.unwrap_or_else(|| {
                self.path.clear();
                self.path.push_str(root);
                self.path.push('.');
                self.path.push_str(key.as_str());
                self.listed(value, place.step(key.as_str()))
            });
            self.settle(&mut tiles, value, mark, is_kept);
        }
        tiles.kept > 0 || place.is_named
    }

    /// A field whose path is its key.
    fn field(&mut self, path: String, value: &'t RawValue) -> bool {
        let place = self.screen.find(&path);
        self.path = path;
        self.listed(value, place)
    }

    fn listed(&mut self, value: &'t RawValue, place: Place<'s>) -> bool {
        let is_kept = self.value(value, place);
        if is_kept {
            self.fields.push(self.path.clone());
        }
        is_kept
    }

    /// Members of `context` that are identifiers and traits; `None`: it is an ordinary one.
    fn in_context(&mut self, key: &str, value: &'t RawValue) -> Option<bool> {
        let stands = self.screen.within_context(key);
        if stands.withhold.is_some() {
            return None;
        }
        match key {
            "traits" => Some(self.root("traits", value, stands)),
            "externalIds" => Some(self.elements(value, same, Some(("context.externalIds", stands)))),
            "messaging_subscriptions" => {
                Some(self.elements(value, contact, Some(("context.messaging_subscriptions", stands))))
            }
            _ if key.starts_with("traits.") => Some(self.field(format!("context.{key}"), value)),
            _ => self.identifier(key, value, Some(&stands)),
        }
    }

    /// The members that are identifiers; `None`: it is none.
    fn identifier(&mut self, key: &str, value: &'t RawValue, stands: Option<&Place<'s>>) -> Option<bool> {
        let screen = self.screen;
        let of = |namespace: &str| screen.identifier(namespace, stands);
        let (path, verdict) = match key {
            "userId" => ("identifiers.user_id", of("user_id")),
            "anonymousId" => ("identifiers.anonymous_id", of("anonymous_id")),
            "groupId" => ("identifiers.account_id", of("account_id")),
            "previousId" => {
                // Nobody says which of the two it is.
                let own = screen.at(&["identifiers", "previous_id"]);
                let of = |namespace| screen.identifier(namespace, Some(&own));
                ("identifiers.previous_id", of("user_id").and(of("anonymous_id")))
            }
            _ => return None,
        };
        Some(match verdict {
            Ok(()) if value.get() == "null" => true,
            Ok(()) => self.leave(path),
            Err(reason) => self.withhold(path, reason),
        })
    }

    /// A list of identifiers, each of which says by `type` what it is.
    fn elements(
        &mut self,
        value: &'t RawValue,
        namespace: fn(&str) -> &str,
        stands: Option<(&str, Place<'s>)>,
    ) -> bool {
        if value.get() == "null" {
            return true;
        }
        let Ok(elements) =
            Vec::<&'t RawValue>::deserialize(&mut serde_json::Deserializer::from_str(value.get()))
        else {
            return self.unreadable(stands.map_or("subscriptions", |(path, _)| path));
        };
        let mut tiles = self.tiles(value);
        for element in elements {
            let mark = self.cuts.len();
            let is_kept = self.identifier_element(element, namespace, stands);
            self.settle(&mut tiles, element, mark, is_kept);
        }
        tiles.kept > 0 || stands.map_or(!self.screen.names_fields, |(_, place)| place.is_named)
    }

    fn identifier_element(
        &mut self,
        element: &'t RawValue,
        namespace: fn(&str) -> &str,
        stands: Option<(&str, Place<'s>)>,
    ) -> bool {
        let place = stands.map(|(_, place)| place);
        let types = types(element).filter(|types| !types.is_empty());
        let Some(types) = types else { return self.unreadable("identifiers.*") };
        for kind in &types {
            let lower = kind.as_str().to_ascii_lowercase();
            let name = namespace(&lower);
            if let Err(reason) = self.screen.identifier(name, place.as_ref()) {
                return self.withhold(&format!("identifiers.{name}"), reason);
            }
            self.fields.push(format!("identifiers.{name}"));
        }
        match stands {
            Some((path, place)) if place.is_divided() => {
                path.clone_into(&mut self.path);
                self.object(element, Place { is_named: true, ..place })
            }
            _ => true,
        }
    }

    /// A value anywhere below a field. `path` is its.
    fn value(&mut self, value: &'t RawValue, place: Place<'s>) -> bool {
        if let Some(reason) = place.withhold {
            self.withheld.push((self.path.clone(), reason.clone()));
            return false;
        }
        match value.get().as_bytes().first() {
            Some(b'{') if place.is_divided() => self.object(value, place),
            Some(b'[') if place.is_divided() => self.array(value, place),
            _ if place.is_named => true,
            _ => {
                self.withheld.push((self.path.clone(), Reason::NotNamed));
                false
            }
        }
    }

    fn object(&mut self, value: &'t RawValue, place: Place<'s>) -> bool {
        let Some(members) = members(value) else {
            let path = self.path.clone();
            return self.unreadable(&path);
        };
        let mut tiles = self.tiles(value);
        let length = self.path.len();
        for (key, value) in members {
            let mark = self.cuts.len();
            self.path.push('.');
            self.path.push_str(key.as_str());
            let is_kept = self.value(value, place.step(key.as_str()));
            self.path.truncate(length);
            self.settle(&mut tiles, value, mark, is_kept);
        }
        tiles.kept > 0 || place.is_named
    }

    /// An array stands for its elements: the members of an object in it have the path of the array before their own.
    fn array(&mut self, value: &'t RawValue, place: Place<'s>) -> bool {
        let Ok(elements) =
            Vec::<&'t RawValue>::deserialize(&mut serde_json::Deserializer::from_str(value.get()))
        else {
            let path = self.path.clone();
            return self.unreadable(&path);
        };
        let mut tiles = self.tiles(value);
        for element in elements {
            let mark = self.cuts.len();
            let is_bare = !element.get().starts_with(['{', '[']);
            let is_kept = self.value(element, if is_bare { place.element() } else { place });
            self.settle(&mut tiles, element, mark, is_kept);
        }
        tiles.kept > 0 || place.is_named
    }

    fn leave(&mut self, path: &str) -> bool {
        self.fields.push(path.to_owned());
        true
    }

    fn withhold(&mut self, path: &str, reason: Reason) -> bool {
        self.withheld.push((path.to_owned(), reason));
        false
    }

    /// What has a shape that hides its fields leaves only where everything does.
    fn unreadable(&mut self, path: &str) -> bool {
        if self.screen.is_open { self.leave(path) } else { self.withhold(path, Reason::Unreadable) }
    }

    fn offset(&self, part: &'t RawValue) -> usize {
        part.get().as_ptr().addr().wrapping_sub(self.text.as_ptr().addr())
    }

    fn tiles(&self, value: &'t RawValue) -> Tiles {
        Tiles { start: self.offset(value) + 1, seen: 0, kept: 0 }
    }

    /// Cuts a member out, with the comma before it, or keeps it. `mark` is how many cuts there were before it.
    fn settle(&mut self, tiles: &mut Tiles, value: &'t RawValue, mark: usize, is_kept: bool) {
        let end = self.offset(value) + value.get().len();
        if !is_kept {
            self.cuts.truncate(mark);
            self.cuts.push(tiles.start..end);
        } else {
            if tiles.kept == 0 && tiles.seen > 0 {
                // All members before it are gone, so its comma must go too.
                let rest = self.text.as_bytes().get(tiles.start..).unwrap_or_default();
                let comma = rest.iter().position(|byte| *byte == b',').unwrap_or_default();
                self.cuts.insert(mark, tiles.start..tiles.start + comma + 1);
            }
            tiles.kept += 1;
        }
        tiles.seen += 1;
        tiles.start = end;
    }
}

/// `text` without the ranges of `cuts`.
fn without<'t>(text: &'t str, cuts: &[Range<usize>]) -> Cow<'t, str> {
    if cuts.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for cut in cuts {
        out.push_str(text.get(from..cut.start).unwrap_or_default());
        from = cut.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(out)
}

fn same(kind: &str) -> &str {
    kind
}

/// The namespace of a contact point's `type`.
fn contact(kind: &str) -> &str {
    match kind {
        "sms" | "whatsapp" | "voice" => "phone",
        other => other,
    }
}

/// The values of all members called `type`: one, unless somebody plays tricks.
fn types(element: &RawValue) -> Option<Vec<Text<'_>>> {
    let types = members(element)?.into_iter().filter(|(key, _)| key.as_str() == "type");
    types.map(|(_, value)| serde_json::from_str(value.get()).ok()).collect()
}

/// The members of an object, in order, repeated ones too.
fn members(value: &RawValue) -> Option<Vec<(Text<'_>, &RawValue)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Text<'de>, &'de RawValue)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(value.get()).deserialize_map(Members).ok()
}
