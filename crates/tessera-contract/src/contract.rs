//! What one source's plan says, compiled: which events, of what shape, and what happens to others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::violation::{of_error, shown};
use crate::{OnViolation, PlanProblem, PlannedEvent, Schema, TrackingPlanDocument, Violation};

/// Most violations that one event tells; the others are counted.
const LISTED_MAX: usize = 20;

/// What kind of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the types of JSON Schema, each its own explanation")]
pub enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Null, Self::Boolean, Self::Integer, Self::Number, Self::String, Self::Array, Self::Object];

    /// The kind of a value; a whole number is an integer however it is written.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => {
                Self::Integer
            }
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    /// Its name in a schema: `integer`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Its place in a set of bits.
    #[must_use]
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a plan has to say of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The plan.
    pub plan: Arc<str>,
    /// Its version.
    pub version: u32,
    /// The event or call that the plan names; `None`: it does not name it.
    pub planned: Option<Arc<str>>,
    /// What is wrong with the event, ordered, the first 20.
    pub violations: Vec<Violation>,
    /// How many more there were.
    pub unlisted: u32,
    /// What happens to the event: the strictest of all. `Allow`: nothing is wrong.
    pub reaction: OnViolation,
    /// Which properties or traits it has, and of what kind. Empty when the plan does not describe them.
    pub shape: Vec<(Arc<str>, Kind)>,
}

impl Checked {
    /// Whether anything is wrong.
    #[must_use]
    pub fn has_violations(&self) -> bool {
        !self.violations.is_empty()
    }

    /// Why the event is refused, for people: every violation by path, keyword and what was expected.
    #[must_use]
    pub fn reason(&self) -> String {
        let listed: Vec<String> = self
            .violations
            .iter()
            .map(|one| format!("{}: {} ({})", one.path, one.expected, one.keyword))
            .collect();
        let more = if self.unlisted > 0 { format!("; and {} more", self.unlisted) } else { String::new() };
        format!("tracking plan {} {} wants {}{more}", self.plan, self.version, listed.join("; "))
    }

    /// What the event says of it when it goes on, as `context.violations`.
    #[must_use]
    pub fn mark(&self) -> Value {
        let of = |one: &Violation| {
            json!({
                "plan": &*self.plan, "version": self.version, "path": one.path, "keyword": one.keyword,
                "expected": one.expected, "reaction": one.reaction,
            })
        };
        Value::Array(self.violations.iter().map(of).collect())
    }
}

/// Which fields are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strip {
    /// All properties or traits: they are no object.
    Whole,
    /// These properties or traits.
    Names(BTreeSet<String>),
}

impl Strip {
    /// Whether nothing is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Names(names) if names.is_empty())
    }

    /// Whether the property or trait of that name is.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        match self {
            Self::Whole => true,
            Self::Names(names) => names.contains(name),
        }
    }
}

/// One planned event, or call.
#[derive(Clone, Debug)]
pub struct PlannedCall {
    name: Arc<str>,
    schema: Option<Arc<Schema>>,
    interned: BTreeSet<Arc<str>>,
    on_violation: OnViolation,
    unplanned_properties: OnViolation,
}

/// What a plan says of an event's name.
#[derive(Clone, Copy, Debug)]
pub enum Planned<'c> {
    /// It is planned.
    Event(&'c PlannedCall),
    /// It is not.
    Unplanned,
    /// Plans do not speak of such calls unless they name them.
    Exempt,
}

/// The plan of one source.
#[derive(Clone, Debug)]
pub struct Contract {
    plan: Arc<str>,
    version: u32,
    unplanned_events: OnViolation,
    events: BTreeMap<Arc<str>, PlannedCall>,
}

impl Contract {
    /// The contract of each source that a plan holds for.
    ///
    /// # Errors
    /// Everything that is wrong with the plan.
    pub fn compile(document: &TrackingPlanDocument) -> Result<BTreeMap<String, Self>, Vec<PlanProblem>> {
        let mut problems = document.problems();
        let mut schemas: BTreeMap<&str, Option<Arc<Schema>>> = BTreeMap::new();
        for (name, event) in &document.events {
            match event.schema.as_ref().map(Schema::compile).transpose() {
                Ok(schema) => drop(schemas.insert(name, schema.map(Arc::new))),
                Err(problem) => {
                    let field = format!("events.{name}.schema{}", problem.pointer);
                    problems.push(PlanProblem::new(field, problem.what, problem.hint));
                }
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let contract = |source: &String| {
            let by_source = document.by_source.get(source).copied().unwrap_or(document.on_violation);
            let planned = |(name, event): (&String, &PlannedEvent)| {
                let schema = schemas.get(name.as_str()).cloned().flatten();
                let unplanned = event.unplanned_properties.unwrap_or(document.unplanned_properties);
                let planned = PlannedCall {
                    name: name.as_str().into(),
                    interned: schema.iter().flat_map(|schema| schema.interned()).collect(),
                    schema,
                    on_violation: event.on_violation.unwrap_or(by_source),
                    unplanned_properties: unplanned,
                };
                (Arc::clone(&planned.name), planned)
            };
            Self {
                plan: document.name.as_str().into(),
                version: document.version,
                unplanned_events: document.unplanned_events,
                events: document.events.iter().map(planned).collect(),
            }
        };
        Ok(document.sources.iter().map(|source| (source.clone(), contract(source))).collect())
    }

    /// The plan's name.
    #[must_use]
    pub fn plan(&self) -> &str {
        &self.plan
    }

    /// What the plan says of a call, and of the event's name if it has one.
    #[must_use]
    pub fn find(&self, call: &str, name: Option<&str>) -> Planned<'_> {
        let named = match call {
            "track" => {
                return name
                    .and_then(|name| self.events.get(name))
                    .map_or(Planned::Unplanned, Planned::Event);
            }
            "page" | "screen" => {
                name.and_then(|name| self.events.get(name)).or_else(|| self.events.get(call))
            }
            "identify" | "group" => self.events.get(call),
            _ => None,
        };
        named.map_or(Planned::Exempt, Planned::Event)
    }

    /// Checks an event. `body` is the JSON text of its properties or traits, `root` where they stand (`properties`).
    #[must_use]
    pub fn check(&self, planned: Planned<'_>, body: Option<&str>, root: &str) -> (Checked, Strip) {
        let mut checked = Checked {
            plan: Arc::clone(&self.plan),
            version: self.version,
            planned: None,
            violations: Vec::new(),
            unlisted: 0,
            reaction: OnViolation::Allow,
            shape: Vec::new(),
        };
        let mut strip = Strip::Names(BTreeSet::new());
        match planned {
            Planned::Exempt => {}
            Planned::Unplanned if self.unplanned_events == OnViolation::Allow => {}
            Planned::Unplanned => {
                checked.reaction = self.unplanned_events;
                checked.violations.push(Violation {
                    path: "event".to_owned(),
                    keyword: "unplanned".to_owned(),
                    expected: "an event that the plan names".to_owned(),
                    reaction: self.unplanned_events,
                });
            }
            Planned::Event(event) => {
                checked.planned = Some(Arc::clone(&event.name));
                if let Some(schema) = &event.schema {
                    strip = event.check(schema, body, root, &mut checked);
                }
            }
        }
        (checked, strip)
    }

    /// The schema of a planned event.
    #[must_use]
    pub fn schema(&self, event: &str) -> Option<&Schema> {
        self.events.get(event)?.schema.as_deref()
    }

    /// Whether the plan names an event or call.
    #[must_use]
    pub fn names(&self, event: &str) -> bool {
        self.events.contains_key(event)
    }
}

impl PlannedCall {
    fn check(&self, schema: &Schema, body: Option<&str>, root: &str, checked: &mut Checked) -> Strip {
        let body = body.filter(|text| *text != "null");
        // The text was parsed once before, so it is JSON.
        let value: Value =
            body.map_or_else(|| json!({}), |text| serde_json::from_str(text).unwrap_or_default());
        if let Value::Object(members) = &value {
            checked.shape = members
                .iter()
                .map(|(name, value)| {
                    let known = self.interned.get(name.as_str()).cloned();
                    (known.unwrap_or_else(|| shown(name).into()), Kind::of(value))
                })
                .collect();
        }
        let mut found: BTreeSet<Violation> = BTreeSet::new();
        let mut strip = Strip::Names(BTreeSet::new());
        if schema.says_something && !schema.validator.is_valid(&value) {
            for error in schema.validator.iter_errors(&value) {
                found.extend(of_error(&error, root, self.on_violation));
                if self.on_violation == OnViolation::Strip {
                    leave_out(&error, &mut strip);
                }
            }
        }
        if self.unplanned_properties > OnViolation::Allow {
            for name in value.as_object().into_iter().flat_map(|members| members.keys()) {
                if schema.names(name) {
                    continue;
                }
                found.insert(Violation {
                    path: format!("{root}.{}", shown(name)),
                    keyword: "unplanned".to_owned(),
                    expected: "a property that the plan names".to_owned(),
                    reaction: self.unplanned_properties,
                });
                if let (OnViolation::Strip, Strip::Names(names)) = (self.unplanned_properties, &mut strip) {
                    names.insert(name.clone());
                }
            }
        }
        checked.reaction = found.iter().map(|one| one.reaction).max().unwrap_or(OnViolation::Allow);
        checked.unlisted = u32::try_from(found.len().saturating_sub(LISTED_MAX)).unwrap_or(u32::MAX);
        checked.violations = found.into_iter().take(LISTED_MAX).collect();
        strip
    }
}

/// Adds the top-level field that an error stands in. An error of the whole, such as a missing field, has none.
fn leave_out(error: &ValidationError<'_>, strip: &mut Strip) {
    let Strip::Names(names) = strip else { return };
    match error.instance_path().segments().next() {
        Some(LocationSegment::Property(name)) => drop(names.insert(name.into_owned())),
        Some(LocationSegment::Index(_)) => *strip = Strip::Whole,
        None => {
            if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
                names.extend(unexpected.iter().cloned());
            } else if let ValidationErrorKind::PropertyNames { error } = error.kind() {
                names.extend(error.instance().as_str().map(str::to_owned));
            } else if !error.instance().is_object() {
                *strip = Strip::Whole;
            }
        }
    }
}
