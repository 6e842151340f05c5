//! Where a value stands: `plan`, `address.city`, `products.category`.
//!
//! **What a path yields.** A path is followed through objects by its names. A list on the way, or at the end, is
//! followed into each of its items, to any depth. What is reached are the *values* of the path, none, one or several:
//! booleans, numbers and texts, in the order of the document. `null`, and numbers of a magnitude of 10^20 and more, are
//! no values. An object at the end is no value either, yet it *exists* (see [`Test::Exists`](super::Test::Exists)).
//!
//! **Where it starts.** At a person's traits the first name is the trait's name, whole: the preference `frequency` is
//! the trait `preferences\.frequency`. At an event it starts in `properties` (of identify and group calls in `traits`);
//! a first name of `context` or `properties` stands for that part of the event itself.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

/// Most bytes of a path as it is written.
pub const PATH_BYTES_MAX: usize = 255;

/// Names from the outside in. Written with dots; a dot or backslash within a name has a backslash before it.
///
/// Invariant: at least one name, none empty, no control characters, at most [`PATH_BYTES_MAX`] bytes as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<SmolStr>);

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a path is 1 to 255 bytes of names with dots between them, as in `address.city`")]
pub struct NotAPath;

impl Path {
    /// Of one name that is known to be one.
    pub(crate) fn of_name(name: &'static str) -> Self {
        Self(vec![SmolStr::new_static(name)])
    }

    /// From its names.
    ///
    /// # Errors
    /// [`NotAPath`]: no names, an empty one, or too long.
    pub fn new(names: Vec<SmolStr>) -> Result<Self, NotAPath> {
        let is_name = |name: &SmolStr| !name.is_empty() && !name.chars().any(char::is_control);
        let path = Self(names);
        let fits = !path.0.is_empty() && path.0.iter().all(is_name);
        if fits && path.to_string().len() <= PATH_BYTES_MAX { Ok(path) } else { Err(NotAPath) }
    }

    /// Its names, from the outside in.
    #[must_use]
    pub fn names(&self) -> &[SmolStr] {
        &self.0
    }

    /// The first name: the trait's, where the path starts at traits.
    #[must_use]
    pub fn first(&self) -> &str {
        self.0.first().map(SmolStr::as_str).unwrap_or_default()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, name) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            f.write_str(&name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

impl FromStr for Path {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let (mut names, mut name) = (Vec::new(), String::new());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' => name.push(characters.next().ok_or(NotAPath)?),
                '.' => names.push(std::mem::take(&mut name).into()),
                other => name.push(other),
            }
        }
        names.push(name.into());
        Self::new(names)
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Path {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Path".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Names with dots between them: `address.city`. A dot within a name is written `\\.`.",
            "minLength": 1,
            "maxLength": PATH_BYTES_MAX,
            "pattern": r"^([^\\.\p{Cc}]|\\[^\p{Cc}])+(\.([^\\.\p{Cc}]|\\[^\p{Cc}])+)*$",
        })
    }
}
