//! Names that people give: events, sources, purposes, destinations, messages.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::{MESSAGE_ID_CHARS_MAX, NAME_BYTES_MAX};

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("{what} is empty")]
    Empty {
        /// What was being named.
        what: &'static str,
    },
    /// Too long.
    #[error("{what} has {len} {unit}, the limit is {max}")]
    TooLong {
        /// What was being named.
        what: &'static str,
        /// Its length.
        len: usize,
        /// Bytes or characters.
        unit: &'static str,
        /// The limit.
        max: usize,
    },
    /// A control character, or one that the name may not have.
    #[error("{what} holds the character {character:?}, which it may not")]
    Character {
        /// What was being named.
        what: &'static str,
        /// The first such character.
        character: char,
    },
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// Reads the name.
            ///
            /// # Errors
            /// [`NameError`] says which character or length is wrong.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if text.is_empty() {
                    return Err(NameError::Empty { what: $what });
                }
                if text.len() > NAME_BYTES_MAX {
                    return Err(NameError::TooLong { what: $what, len: text.len(), unit: "bytes", max: NAME_BYTES_MAX });
                }
                let allowed: fn(char) -> bool = $allowed;
                match text.chars().find(|c| !allowed(*c)) {
                    Some(character) => Err(NameError::Character { what: $what, character }),
                    None => Ok(Self(text.into())),
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                parse_text(deserializer, Self::parse)
            }
        }
    };
}

/// Reads a text where it stands: every stored row holds such names, and a copy of each would cost an allocation.
pub(crate) fn parse_text<'de, D: Deserializer<'de>, T, E: fmt::Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, D::Error> {
    struct Text<P>(P);
    impl<T, E: fmt::Display, P: FnOnce(&str) -> Result<T, E>> Visitor<'_> for Text<P> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }
        fn visit_str<X: Error>(self, text: &str) -> Result<T, X> {
            (self.0)(text).map_err(X::custom)
        }
    }
    deserializer.deserialize_str(Text(parse))
}

const fn is_slug(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

name!(
    /// What happened, in the words of the Segment spec: "Order Completed". Invariant: 1..=255 bytes, no control
    /// characters.
    EventName, "event name", |c| !c.is_control()
);
name!(
    /// Where data comes from. Invariant: 1..=255 of `A-Z a-z 0-9 _ - .`.
    SourceName, "source name", is_slug
);
name!(
    /// Why data is processed. Invariant: 1..=255 of `A-Z a-z 0-9 _ - .`.
    PurposeName, "purpose name", is_slug
);
name!(
    /// Where data goes. Invariant: 1..=255 of `A-Z a-z 0-9 _ - .`.
    DestinationName, "destination name", is_slug
);
name!(
    /// A kind of group: `household`. Invariant: 1..=255 of `A-Z a-z 0-9 _ - .`.
    GroupTypeName, "group type name", is_slug
);
name!(
    /// What finds profiles of one person. Invariant: 1..=255 of `A-Z a-z 0-9 _ - .`.
    MatcherName, "matcher name", is_slug
);
name!(
    /// A set of people that a condition describes. Invariant: 1..=255 of `A-Z a-z 0-9 _ - .`.
    AudienceName, "audience name", is_slug
);
name!(
    /// What a person's trait is called. Invariant: 1..=255 bytes, no control character.
    TraitName, "trait name", |c| !c.is_control()
);

/// What makes a repeated event known. Invariant: 1..=100 characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// Reads a message id.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, longer than 100 characters, or holds a control character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const WHAT: &str = "messageId";
        if text.is_empty() {
            return Err(NameError::Empty { what: WHAT });
        }
        if text.len() > MESSAGE_ID_CHARS_MAX {
            let len = text.chars().count();
            if len > MESSAGE_ID_CHARS_MAX {
                return Err(NameError::TooLong {
                    what: WHAT,
                    len,
                    unit: "characters",
                    max: MESSAGE_ID_CHARS_MAX,
                });
            }
        }
        match text.chars().find(|c| c.is_control()) {
            Some(character) => Err(NameError::Character { what: WHAT, character }),
            None => Ok(Self(text.into())),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer, Self::parse)
    }
}
