//! An event's JSON in pieces, and together again.
//!
//! Not a parser of events: what an event means was decided before it came here. Invariant: what [`join`] makes of the pieces
//! of [`split`] has the same members with the same texts.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members that have a column of their own; the others are the rest.
const APART: [&str; 3] = ["properties", "traits", "context"];

/// An event's JSON in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) properties: Option<String>,
    pub(crate) traits: Option<String>,
    pub(crate) context: Option<String>,
    /// Everything else, as a JSON object.
    pub(crate) rest: String,
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(V)
    }
}

/// Takes an event apart. `None` when it is no JSON object.
pub(crate) fn split(json: &str) -> Option<Pieces> {
    let Members(members) = serde_json::from_str(json).ok()?;
    let mut pieces = Pieces::default();
    let mut rest: Vec<(String, &RawValue)> = Vec::new();
    for (name, raw) in members {
        let slot = match name.as_str() {
            "properties" => &mut pieces.properties,
            "traits" => &mut pieces.traits,
            "context" => &mut pieces.context,
            _ => {
                rest.push((name, raw));
                continue;
            }
        };
        match slot {
            // A member that is there twice: the second stays where everybody looks for what is unusual.
            Some(_) => rest.push((name, raw)),
            None => *slot = Some(raw.get().to_owned()),
        }
    }
    pieces.rest = object(rest.iter().map(|(name, raw)| (name.as_str(), raw.get())));
    Some(pieces)
}

/// Puts an event together.
pub(crate) fn join(pieces: &Pieces) -> String {
    let Pieces { properties, traits, context, rest } = pieces;
    let apart = APART.into_iter().zip([properties, traits, context]);
    let own = object(apart.filter_map(|(name, text)| Some((name, text.as_deref()?))));
    let rest = rest.trim().strip_suffix('}').unwrap_or("{");
    match (own.strip_prefix('{'), rest.len() > 1, own.len() > 2) {
        (Some(own), true, true) => format!("{rest},{own}"),
        (Some(own), false, _) => format!("{{{own}"),
        _ => format!("{rest}}}"),
    }
}

fn object<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::from("{");
    for (name, text) in members {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::from(name).to_string());
        out.push(':');
        out.push_str(text);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_split_joins_to_the_same_members() {
        for json in [
            r#"{}"#,
            r#"{"type":"track","properties":{"a":1},"event":"x"}"#,
            r#"{"properties":{"a" : [1, 2]}}"#,
            r#"{ "userId" : "u\"1" , "context":null,"context":{"ip":"1"},"traits":{} }"#,
        ] {
            let mut wanted: Vec<_> = serde_json::from_str::<Members<'_>>(json).unwrap().0;
            let joined = join(&split(json).unwrap());
            let mut got = serde_json::from_str::<Members<'_>>(&joined).unwrap().0;
            wanted.sort_by(|a, b| (&a.0, a.1.get()).cmp(&(&b.0, b.1.get())));
            got.sort_by(|a, b| (&a.0, a.1.get()).cmp(&(&b.0, b.1.get())));
            let texts = |members: Vec<(String, &RawValue)>| -> Vec<(String, String)> {
                members.into_iter().map(|(name, raw)| (name, raw.get().to_owned())).collect()
            };
            assert_eq!(texts(got), texts(wanted), "{json}");
        }
        assert_eq!(split("[]"), None);
        assert_eq!(split("{\"a\""), None);
    }
}
