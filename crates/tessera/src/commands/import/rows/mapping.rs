//! The mapping file: which column becomes what.
//!
//! Not the mapping of a row: [`super::Mapper`] does that. Reference: `docs/reference/mapping.md`.

use std::collections::BTreeMap;
use std::fmt;

use jiff::tz::TimeZone;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tessera_model::{NAME_BYTES_MAX, Namespace, TRAITS_MAX};

use super::Trouble;
use super::time::{TimeForm, UNIX_MILLISECONDS, UNIX_SECONDS, check_format, has_offset};
use super::value::{Kind, is_word};

/// A mapping file as it is written.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapping {
    kind: MappingKind,
    pub(crate) call: CallName,
    pub(crate) event: Option<String>,
    pub(crate) event_column: Option<String>,
    pub(crate) identifiers: BTreeMap<String, String>,
    pub(crate) group: Option<String>,
    pub(crate) timestamp: Option<Column>,
    #[serde(default)]
    pub(crate) traits: BTreeMap<String, Column>,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Column>,
    #[serde(default)]
    pub(crate) consent: BTreeMap<String, Consent>,
    #[serde(default)]
    pub(crate) empty: Empty,
    #[serde(default)]
    pub(crate) constants: Constants,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
enum MappingKind {
    Mapping,
}

/// Which call each row becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallName {
    Identify,
    Track,
    Group,
    Page,
    Screen,
}

impl CallName {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Track => "track",
            Self::Group => "group",
            Self::Page => "page",
            Self::Screen => "screen",
        }
    }

    /// Whether it carries traits; the others carry properties.
    pub(crate) const fn has_traits(self) -> bool {
        matches!(self, Self::Identify | Self::Group)
    }
}

/// What an empty cell becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Empty {
    /// Nothing: what is known stays.
    #[default]
    Skip,
    /// `null`: what is known is cleared.
    Null,
}

/// Members that every event gets.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Constants {
    #[serde(default)]
    pub(crate) traits: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Value>,
}

/// A consent, and which words give or refuse it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consent {
    pub(crate) column: String,
    pub(crate) given: Vec<String>,
    pub(crate) refused: Vec<String>,
}

/// A column, and what its text is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Column {
    pub(crate) column: String,
    #[serde(rename = "type")]
    kind: Option<TypeName>,
    format: Option<String>,
    zone: Option<String>,
    decimal: Option<char>,
    thousands: Option<char>,
    true_words: Option<Vec<String>>,
    false_words: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum TypeName {
    String,
    Number,
    Integer,
    Boolean,
    Date,
    Timestamp,
    Json,
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            column: String,
            #[serde(rename = "type")]
            kind: Option<TypeName>,
            format: Option<String>,
            zone: Option<String>,
            decimal: Option<char>,
            thousands: Option<char>,
            true_words: Option<Vec<String>>,
            false_words: Option<Vec<String>>,
        }
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Column;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a column, or {column: ..., type: ...}")
            }
            fn visit_str<E: serde::de::Error>(self, column: &str) -> Result<Column, E> {
                Ok(Column { column: column.to_owned(), ..Column::default() })
            }
            fn visit_u64<E: serde::de::Error>(self, column: u64) -> Result<Column, E> {
                self.visit_str(&column.to_string())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Column, A::Error> {
                let full = Full::deserialize(MapAccessDeserializer::new(map))?;
                let Full { column, kind, format, zone, decimal, thousands, true_words, false_words } = full;
                Ok(Column { column, kind, format, zone, decimal, thousands, true_words, false_words })
            }
        }
        deserializer.deserialize_any(V)
    }
}

impl Mapping {
    /// Reads and checks a mapping. `name` is the file's, for errors.
    ///
    /// # Errors
    /// What is wrong, where, and what to do.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Trouble> {
        let mapping: Self = serde_saphyr::from_str(text).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let what = error.to_string();
            let what = what.lines().next().unwrap_or_default();
            Trouble::new(
                "TES-M002",
                format!("{name}:{line}:{column}: {what}"),
                "docs/reference/mapping.md lists every field",
            )
        })?;
        mapping.check().map_err(|Wrong { near, what, hint }| {
            let line = text.lines().position(|line| line.contains(near.as_str())).map_or(1, |line| line + 1);
            Trouble::new("TES-M003", format!("{name}:{line}: {what}"), hint)
        })?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), Wrong> {
        let call = self.call.as_str();
        self.check_name()?;
        if self.group.is_some() != (self.call == CallName::Group) {
            let what = if self.group.is_some() {
                format!("a {call} has no `group`")
            } else {
                "a group call needs `group`".to_owned()
            };
            return Err(Wrong::new(
                if self.group.is_some() { "group:" } else { "call:" },
                what,
                "`group` names the column of the group's id, in a mapping with `call: group`",
            ));
        }
        if self.identifiers.is_empty() {
            return Err(Wrong::new(
                "identifiers",
                "`identifiers` names no column",
                "name at least one: user_id, email, ...",
            ));
        }
        for namespace in self.identifiers.keys() {
            Namespace::parse(namespace).map_err(|error| {
                Wrong::new(
                    namespace,
                    format!("namespace `{namespace}`: {error}"),
                    "name a namespace of the workspace",
                )
            })?;
        }
        for (field, members, constants, belongs) in [
            ("traits", &self.traits, &self.constants.traits, self.call.has_traits()),
            ("properties", &self.properties, &self.constants.properties, !self.call.has_traits()),
        ] {
            if !(belongs || members.is_empty() && constants.is_empty()) {
                let hint = "identify and group carry traits; track, page and screen carry properties";
                return Err(Wrong::new(field, format!("a {call} carries no {field}"), hint));
            }
            check_members(field, members, constants)?;
        }
        for (purpose, consent) in &self.consent {
            if consent.given.is_empty() || consent.refused.is_empty() {
                return Err(Wrong::new(
                    purpose,
                    format!("consent `{purpose}` lacks words"),
                    "list the words under `given` and under `refused`",
                ));
            }
            if consent.given.iter().any(|word| is_word(&consent.refused, word)) {
                return Err(Wrong::new(
                    purpose,
                    format!("consent `{purpose}` has a word that both gives and refuses"),
                    "a word can only mean one of them",
                ));
            }
        }
        if let Some(column) = &self.timestamp {
            column.time_form()?;
        }
        Ok(())
    }

    fn check_name(&self) -> Result<(), Wrong> {
        let call = self.call.as_str();
        let both = "name it with `event`, or the column that has it with `event_column`";
        let is_nameless = self.event.as_deref().is_some_and(str::is_empty);
        match (self.call, self.event.is_some(), self.event_column.is_some()) {
            (_, true, true) => {
                Err(Wrong::new("event_column", "both `event` and `event_column` are given", "leave one out"))
            }
            (CallName::Track, false, false) => {
                Err(Wrong::new("call:", "a track call needs the event's name", both))
            }
            (CallName::Identify | CallName::Group, true, false) => {
                Err(Wrong::new("event:", format!("a {call} has no `event`"), "leave it out"))
            }
            (CallName::Identify | CallName::Group, false, true) => {
                Err(Wrong::new("event_column", format!("a {call} has no `event_column`"), "leave it out"))
            }
            _ if is_nameless => Err(Wrong::new("event:", "`event` is empty", both)),
            _ => Ok(()),
        }
    }

    /// Every column that the mapping names.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        let members = self.traits.values().chain(self.properties.values()).chain(&self.timestamp);
        members
            .map(|column| &column.column)
            .chain(self.identifiers.values())
            .chain(self.consent.values().map(|consent| &consent.column))
            .chain(&self.event_column)
            .chain(&self.group)
            .map(String::as_str)
    }
}

fn check_members(
    field: &str,
    members: &BTreeMap<String, Column>,
    constants: &BTreeMap<String, Value>,
) -> Result<(), Wrong> {
    if members.len() + constants.len() > TRAITS_MAX {
        return Err(Wrong::new(
            field,
            format!("`{field}` has more than {TRAITS_MAX} entries"),
            "an event carries no more",
        ));
    }
    for name in members.keys().chain(constants.keys()) {
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let hint = format!("names have 1 to {NAME_BYTES_MAX} bytes and no control characters");
            return Err(Wrong::new(
                field,
                format!("a name under `{field}` is empty, too long or has control characters"),
                hint,
            ));
        }
        if members.contains_key(name) && constants.contains_key(name) {
            return Err(Wrong::new(
                name,
                format!("`{name}` is both a column and a constant"),
                "leave one out",
            ));
        }
    }
    members.values().try_for_each(|column| column.value_kind().map(|_| ()))
}

/// What is wrong, and a text near which it stands in the file.
pub(crate) struct Wrong {
    near: String,
    what: String,
    hint: String,
}

impl Wrong {
    fn new(near: &str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { near: near.to_owned(), what: what.into(), hint: hint.into() }
    }
}

fn words(own: Option<&Vec<String>>, usual: [&str; 4]) -> Vec<String> {
    own.cloned().unwrap_or_else(|| usual.map(str::to_owned).to_vec())
}

impl Column {
    fn wrong(&self, what: impl fmt::Display, hint: &str) -> Wrong {
        Wrong::new(&self.column, format!("column `{}`: {what}", self.column), hint)
    }

    /// What its cells become.
    pub(crate) fn value_kind(&self) -> Result<Kind, Wrong> {
        use TypeName::{Boolean, Date, Integer, Number, Timestamp};
        let of = |types: &[TypeName]| self.kind.is_some_and(|kind| types.contains(&kind));
        for (field, is_given, belongs, hint) in [
            (
                "format",
                self.format.is_some(),
                of(&[Date, Timestamp]),
                "it belongs to type: date and type: timestamp",
            ),
            ("zone", self.zone.is_some(), of(&[Timestamp]), "it belongs to type: timestamp"),
            ("decimal", self.decimal.is_some(), of(&[Number]), "it belongs to type: number"),
            (
                "thousands",
                self.thousands.is_some(),
                of(&[Number, Integer]),
                "it belongs to type: number and type: integer",
            ),
            ("true_words", self.true_words.is_some(), of(&[Boolean]), "it belongs to type: boolean"),
            ("false_words", self.false_words.is_some(), of(&[Boolean]), "it belongs to type: boolean"),
        ] {
            if is_given && !belongs {
                return Err(self.wrong(format_args!("`{field}` does not belong to this type"), hint));
            }
        }
        Ok(match self.kind {
            None => Kind::Same,
            Some(TypeName::String) => Kind::String,
            Some(Number) => {
                let (decimal, thousands) =
                    (self.separator(self.decimal.or(Some('.')))?, self.separator(self.thousands)?);
                if decimal == thousands {
                    return Err(self.wrong(
                        "`decimal` and `thousands` are the same",
                        "1.234,5 has decimal \",\" and thousands \".\"",
                    ));
                }
                Kind::Number { decimal: decimal.unwrap_or(b'.'), thousands }
            }
            Some(Integer) => Kind::Integer { thousands: self.separator(self.thousands)? },
            Some(Boolean) => Kind::Boolean {
                true_words: words(self.true_words.as_ref(), ["true", "yes", "y", "1"]),
                false_words: words(self.false_words.as_ref(), ["false", "no", "n", "0"]),
            },
            Some(Date) => {
                self.check_format()?;
                Kind::Date { format: self.format.clone() }
            }
            Some(Timestamp) => Kind::Timestamp(self.time_form()?),
            Some(TypeName::Json) => Kind::Json,
        })
    }

    fn separator(&self, separator: Option<char>) -> Result<Option<u8>, Wrong> {
        match separator {
            None => Ok(None),
            Some(character)
                if character.is_ascii()
                    && !character.is_ascii_alphanumeric()
                    && !matches!(character, '-' | '+') =>
            {
                Ok(u8::try_from(character).ok())
            }
            Some(_) => {
                Err(self.wrong("a separator is one ASCII sign", "for example \",\" \".\" \"'\" or a blank"))
            }
        }
    }

    fn check_format(&self) -> Result<(), Wrong> {
        let Some(format) = &self.format else { return Ok(()) };
        check_format(format).map_err(|error| {
            self.wrong(
                format_args!("`format` cannot be used: {error}"),
                "for example \"%d.%m.%Y %H:%M\"; docs/reference/mapping.md lists what there is",
            )
        })
    }

    /// How its times are written.
    pub(crate) fn time_form(&self) -> Result<TimeForm, Wrong> {
        let zone = match &self.zone {
            None => None,
            Some(name) => Some(TimeZone::get(name).map_err(|_| {
                self.wrong(
                    format_args!("time zone `{name}` is not known"),
                    "name a zone of the IANA database, for example Europe/Berlin, or UTC",
                )
            })?),
        };
        Ok(match self.format.as_deref() {
            None => TimeForm::Iso(zone),
            Some(UNIX_SECONDS) => TimeForm::UnixSeconds,
            Some(UNIX_MILLISECONDS) => TimeForm::UnixMilliseconds,
            Some(format) => {
                self.check_format()?;
                if zone.is_none() && !has_offset(format) {
                    return Err(self.wrong(
                        "`format` does not say the offset from UTC",
                        "add `zone`, for example zone: Europe/Berlin, or zone: UTC",
                    ));
                }
                TimeForm::Format(format.to_owned(), zone)
            }
        })
    }
}
