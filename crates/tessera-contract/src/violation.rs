//! One way in which an event is not what its plan says. Never holds a value.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::LocationSegment;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::OnViolation;

/// Longest text of what was expected, in characters.
const EXPECTED_CHARS_MAX: usize = 120;

/// Where, which rule, and what it expects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Violation {
    /// The field: `properties.items.*.price`. A name that does not look like one is `*`.
    pub path: String,
    /// The keyword of JSON Schema, or `unplanned`.
    pub keyword: String,
    /// What the plan expects, in the plan's own words.
    pub expected: String,
    /// What is done about it.
    pub reaction: OnViolation,
}

/// Whether a name may be shown: property names are chosen by senders, and some choose `ada@example.com`.
#[must_use]
pub fn looks_like_a_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$'));
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | ':');
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    starts && name.len() <= 64 && name.chars().all(is_part) && digits <= 4
}

/// Whether the name of an event may be shown: as of a property, but with spaces, and longer.
#[must_use]
pub fn looks_like_an_event(name: &str) -> bool {
    let starts = name.starts_with(char::is_alphabetic);
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.' | ':' | '/' | ' ');
    let digits = name.chars().filter(|c| c.is_numeric()).count();
    starts && name.len() <= 100 && name.chars().all(is_part) && digits <= 4
}

pub(crate) fn shown(name: &str) -> &str {
    if looks_like_a_name(name) { name } else { "*" }
}

/// The violations that one error of the validator is, below `root`.
pub(crate) fn of_error(error: &ValidationError<'_>, root: &str, reaction: OnViolation) -> Vec<Violation> {
    let mut path = root.to_owned();
    for segment in error.instance_path().segments() {
        path.push('.');
        match segment {
            LocationSegment::Property(name) => path.push_str(shown(&name)),
            LocationSegment::Index(_) => path.push('*'),
        }
    }
    let one = |path: String, expected: String| Violation {
        path,
        keyword: error.kind().keyword().to_owned(),
        expected: cut(&expected),
        reaction,
    };
    if let ValidationErrorKind::Required { property } = error.kind() {
        let name = property.as_str().unwrap_or_default();
        return vec![one(format!("{path}.{name}"), "present".to_owned())];
    }
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        let unexpected = unexpected.iter();
        return unexpected
            .map(|name| one(format!("{path}.{}", shown(name)), "no such property".to_owned()))
            .collect();
    }
    let expected = expected(error.kind());
    vec![one(path, expected)]
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(EXPECTED_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
    }
}

/// What the schema says. Of the event itself nothing: messages of the validator quote it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is left carries the event's own values, or says no more than the keyword does"
)]
fn expected(kind: &ValidationErrorKind) -> String {
    let list = |options: &Value| match options {
        Value::Array(options) => options.iter().map(Value::to_string).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    match kind {
        ValidationErrorKind::Type { kind: TypeKind::Single(kind) } => kind.to_string(),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(kinds) } => {
            kinds.iter().map(|kind| kind.to_string()).collect::<Vec<_>>().join(" or ")
        }
        ValidationErrorKind::Enum { options } => format!("one of {}", list(options)),
        ValidationErrorKind::Constant { expected_value } => expected_value.to_string(),
        ValidationErrorKind::Format { format } => format.clone(),
        ValidationErrorKind::Pattern { pattern } => pattern.clone(),
        ValidationErrorKind::Maximum { limit } => format!("at most {limit}"),
        ValidationErrorKind::Minimum { limit } => format!("at least {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        ValidationErrorKind::MaxLength { limit } => format!("at most {limit} characters"),
        ValidationErrorKind::MinLength { limit } => format!("at least {limit} characters"),
        ValidationErrorKind::MaxItems { limit } => format!("at most {limit} items"),
        ValidationErrorKind::MinItems { limit } => format!("at least {limit} items"),
        ValidationErrorKind::MaxProperties { limit } => format!("at most {limit} properties"),
        ValidationErrorKind::MinProperties { limit } => format!("at least {limit} properties"),
        ValidationErrorKind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        ValidationErrorKind::UniqueItems => "no item twice".to_owned(),
        ValidationErrorKind::FalseSchema => "absent".to_owned(),
        _ => "as the plan says".to_owned(),
    }
}
