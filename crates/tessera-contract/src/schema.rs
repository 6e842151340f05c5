//! One JSON Schema, ready to check events.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use regex::Regex;
use serde_json::{Map, Value};

use crate::contract::Kind;
use crate::inspect::{self, Inspection};

/// Largest compiled pattern, in bytes: `(a{1000}){1000}` is refused and not compiled.
const PATTERN_COMPILED_BYTES_MAX: usize = 256 * 1024;

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {what}")]
pub struct SchemaProblem {
    /// Where, as a JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl SchemaProblem {
    pub(crate) fn new(pointer: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), what: what.into(), hint: hint.into() }
    }
}

/// A compiled schema. Invariant: no reference leads out of it or in a circle, every pattern takes linear time.
pub struct Schema {
    pub(crate) validator: Validator,
    /// The properties that it names, with the kinds that each may be of.
    names: BTreeMap<String, Option<BTreeSet<Kind>>>,
    patterns: Vec<Regex>,
    /// Whether anything is a violation: a schema that says nothing need not be asked.
    pub(crate) says_something: bool,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile(schema: &Value) -> Result<Self, SchemaProblem> {
        Inspection::of(schema)?;
        let dialect = schema.get("$schema").and_then(Value::as_str).unwrap_or_default();
        let draft = if dialect.contains("draft-07") { Draft::Draft7 } else { Draft::Draft202012 };
        let options = jsonschema::options()
            .with_draft(draft)
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_COMPILED_BYTES_MAX))
            .offline();
        let validator = options.build(schema).map_err(|error| {
            let pointer = error.instance_path().as_str().to_owned();
            // The schema is quoted, which holds no data of anybody.
            SchemaProblem::new(pointer, error.to_string(), "compare it with https://json-schema.org")
        })?;
        let (names, patterns) = named(schema)?;
        let says_something =
            schema.as_object().is_none_or(|members| !members.is_empty()) && schema != &Value::Bool(true);
        Ok(Self { validator, names, patterns, says_something })
    }

    /// Whether it names a property, or has one name for many (`*`).
    #[must_use]
    pub fn describes(&self, property: &str) -> bool {
        self.names(property) || (property == "*" && !self.patterns.is_empty())
    }

    /// Whether it names a property.
    pub(crate) fn names(&self, property: &str) -> bool {
        self.names.contains_key(property) || self.patterns.iter().any(|pattern| pattern.is_match(property))
    }

    /// The properties that it names.
    pub(crate) fn interned(&self) -> impl Iterator<Item = std::sync::Arc<str>> + '_ {
        self.names.keys().map(|name| name.as_str().into())
    }

    /// Whether a property may be of a kind, as far as its `type` says.
    #[must_use]
    pub fn permits(&self, property: &str, kind: Kind) -> bool {
        match self.names.get(property) {
            Some(Some(kinds)) => {
                kinds.contains(&kind) || (kind == Kind::Integer && kinds.contains(&Kind::Number))
            }
            Some(None) | None => true,
        }
    }
}

type Named = (BTreeMap<String, Option<BTreeSet<Kind>>>, Vec<Regex>);

fn named(schema: &Value) -> Result<Named, SchemaProblem> {
    let mut names: BTreeMap<String, Option<BTreeSet<Kind>>> = BTreeMap::new();
    let mut patterns = Vec::new();
    inspect::in_place(schema, schema, &mut |members| {
        let properties = members.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let kinds = property.get("type").and_then(kinds);
            names.entry(name.clone()).and_modify(|known| *known = None).or_insert(kinds);
        }
        // What is required is planned, whether or not it is described.
        for name in members.get("required").and_then(Value::as_array).into_iter().flatten() {
            names.entry(name.as_str().unwrap_or_default().to_owned()).or_insert(None);
        }
        let by_pattern = members.get("patternProperties").and_then(Value::as_object);
        patterns.extend(by_pattern.into_iter().flat_map(Map::keys).cloned());
    });
    let compile = |pattern: &String| {
        let regex = regex::RegexBuilder::new(pattern).size_limit(PATTERN_COMPILED_BYTES_MAX).build();
        regex.map_err(|error| {
            SchemaProblem::new("/patternProperties", error.to_string(), "use a simpler pattern")
        })
    };
    Ok((names, patterns.iter().map(compile).collect::<Result<_, _>>()?))
}

fn kinds(value: &Value) -> Option<BTreeSet<Kind>> {
    match value {
        Value::String(name) => Kind::parse(name).map(|kind| BTreeSet::from([kind])),
        Value::Array(names) => names.iter().map(|name| Kind::parse(name.as_str()?)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}
