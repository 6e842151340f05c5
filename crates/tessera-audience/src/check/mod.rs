//! What is wrong with definitions that are well formed: references, circles, limits; and who uses what.
//!
//! Invariant: definitions without an error-finding can be evaluated, in bounded time and with bounded state per
//! person.

mod limits;
mod references;
mod uses;
mod walk;

use std::fmt;

pub use limits::{CONDITIONS_MAX, Cost, DEPTH_MAX, LIST_MAX, STEPS_MAX, UNITS_MAX};
pub use references::Known;
use serde::Serialize;
pub use uses::Uses;
use walk::Node;

use crate::{Audience, ComputedTrait, Definitions};

/// Something to put right in a definition, or to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The definition's kind: `Audience` or `ComputedTrait`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The stable code of an error; `None`: a hint, and the definition can be used.
    pub code: Option<&'static str>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Finding {
    /// Whether the definition cannot be used.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        self.code.is_some()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(code) = self.code {
            write!(f, "{code}: ")?;
        }
        write!(f, "{} {}: {}\nhint: {}", self.kind, self.name, self.what, self.hint)
    }
}

/// A definition of either kind.
#[derive(Clone, Copy)]
enum Definition<'a> {
    Audience(&'a Audience),
    Computed(&'a ComputedTrait),
}

impl<'a> Definition<'a> {
    fn all(definitions: &'a Definitions) -> impl Iterator<Item = Self> {
        let audiences = definitions.audiences.iter().map(Self::Audience);
        audiences.chain(definitions.traits.iter().map(Self::Computed))
    }

    const fn kind(self) -> &'static str {
        match self {
            Self::Audience(_) => "Audience",
            Self::Computed(_) => "ComputedTrait",
        }
    }

    fn name(self) -> &'a str {
        match self {
            Self::Audience(audience) => audience.name.as_str(),
            Self::Computed(computed) => computed.name.as_str(),
        }
    }

    const fn root(self) -> Node<'a> {
        match self {
            Self::Audience(audience) => Node::Condition(&audience.when),
            Self::Computed(computed) => Node::Operand(&computed.value),
        }
    }

    fn error(self, code: &'static str, what: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding { code: Some(code), ..self.hint(what, hint) }
    }

    fn hint(self, what: impl Into<String>, hint: impl Into<String>) -> Finding {
        Finding {
            kind: self.kind(),
            name: self.name().to_owned(),
            code: None,
            what: what.into(),
            hint: hint.into(),
        }
    }
}

/// All that is wrong with these definitions, errors and hints, in the order of the definitions.
#[must_use]
pub fn check(definitions: &Definitions, known: &Known) -> Vec<Finding> {
    let mut findings = Vec::new();
    for definition in Definition::all(definitions) {
        limits::check(definition, &mut findings);
        references::check(definition, definitions, known, &mut findings);
    }
    references::circles(definitions, &mut findings);
    findings
}

#[cfg(test)]
mod tests;
