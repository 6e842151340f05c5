//! `kind: Matcher`: which fields tell that two profiles are one person, and what becomes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::MatcherKind;
use crate::{Document, FieldPath, MatcherName, Problem, PurposeName};

/// Most columns of a matcher.
pub const MATCHER_COLUMNS_MAX: usize = 64;

/// Finds profiles of one person that no identifier holds together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatcherDocument {
    /// `Matcher`.
    pub kind: MatcherKind,
    /// Its name.
    pub name: MatcherName,
    /// The one purpose that matching serves: of each profile only what this purpose permits is compared.
    pub purpose: PurposeName,
    /// What is compared: a name for it, and where it is found: `traits.first_name`, `identifiers.email`.
    pub columns: BTreeMap<String, FieldPath>,
    /// How it is compared, as `tessera match model` prints it; absent: found from the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<serde_json::Value>,
    /// From this probability on two profiles become one. 1: never.
    #[serde(default = "link")]
    pub link: f64,
    /// From this probability on a person is asked.
    #[serde(default = "review")]
    pub review: f64,
    /// Whether each profile is compared as soon as it comes or changes, besides runs over everybody. Takes memory: everybody's
    /// compared values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
}

const fn link() -> f64 {
    0.99
}

const fn review() -> f64 {
    0.5
}

impl MatcherDocument {
    /// What is wrong with it, its purpose and its model left aside.
    pub(crate) fn problems(&self, document: &Document) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.columns.is_empty() || self.columns.len() > MATCHER_COLUMNS_MAX {
            let hint = format!("name 1 to {MATCHER_COLUMNS_MAX} columns");
            problems.push(Problem::new(document, "columns", "has none or too many", hint));
        }
        for (name, path) in &self.columns {
            let root = path.as_str().split('.').next().unwrap_or_default();
            if !matches!(root, "traits" | "identifiers") || path.as_str().ends_with('*') {
                let what = format!("`{name}` is at `{path}`, which is no one value of a profile");
                let hint = "use traits.NAME or identifiers.NAMESPACE";
                problems.push(Problem::new(document, "columns", what, hint));
            }
        }
        let is_probability = |value: f64| value > 0.0 && value <= 1.0;
        if !is_probability(self.link) || !is_probability(self.review) || self.review > self.link {
            let hint = "use probabilities above 0 and up to 1, `review` not above `link`";
            problems.push(Problem::new(document, "link", "and `review` do not go together", hint));
        }
        problems
    }
}
