//! Which events a definition needs, and the conditions on them.

use std::collections::{BTreeMap, BTreeSet};

use tessera_audience::{Events, Filter, Path, Sequence};

use super::sequence::{SELECTORS_MAX, Spec, SpecStep};
use super::sql::{NoSql, Writer, quoted, root, test};
use super::window::Bounds;

/// Events of a selector within bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selected {
    /// The condition.
    pub(crate) sql: String,
    name: Option<String>,
    bounds: Bounds,
}

/// Which events are needed at all: what need not be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Their names; `None`: every name.
    pub(crate) names: Option<BTreeSet<String>>,
    /// When they count.
    pub(crate) bounds: Option<Bounds>,
}

impl Reads {
    pub(crate) fn add(&mut self, of: &Selected) {
        self.names = match (self.bounds, self.names.take(), &of.name) {
            (None, _, Some(name)) => Some(BTreeSet::from([name.clone()])),
            (Some(_), Some(mut names), Some(name)) => {
                names.insert(name.clone());
                Some(names)
            }
            (_, _, _) => None,
        };
        let wider = |known: Bounds| Bounds {
            first: known.first.min(of.bounds.first),
            last: known.last.max(of.bounds.last),
        };
        self.bounds = Some(self.bounds.map_or(of.bounds, wider));
    }
}

impl Selected {
    pub(crate) fn new(events: &Events, bounds: Bounds) -> Self {
        let mut parts = Vec::new();
        if let Some(name) = &events.name {
            parts.push(format!("name = {}", quoted(name.as_str())));
        }
        if bounds.first > i64::MIN {
            parts.push(format!("at >= {}", bounds.first));
        }
        parts.push(format!("at <= {}", bounds.last));
        parts.extend(events.filter.as_ref().map(filter));
        let name = events.name.as_ref().map(|name| name.as_str().to_owned());
        Self { sql: format!("({})", parts.join(" AND ")), name, bounds }
    }
}

fn filter(one: &Filter) -> String {
    let all = |parts: &[Filter], word: &str| {
        format!("({})", parts.iter().map(filter).collect::<Vec<_>>().join(word))
    };
    match one {
        Filter::All(parts) => all(parts, " AND "),
        Filter::Any(parts) => all(parts, " OR "),
        Filter::Not(part) => format!("(NOT {})", filter(part)),
        Filter::Property(property) => test(&in_event("values_at", &property.path), &property.test),
    }
}

/// A function of what stands at a path of an event.
pub(crate) fn in_event(function: &str, path: &Path) -> String {
    let names = path.names();
    let is_named = matches!(path.first(), "context" | "properties");
    let rest = names.get(usize::from(is_named)..).unwrap_or_default().to_vec();
    let rest = Path::new(rest).map(|path| path.to_string()).unwrap_or_default();
    format!("{function}{}, {})", root(path), quoted(&rest))
}

impl Writer<'_> {
    /// Whether a sequence was gone through: one aggregate over the events of all its selectors.
    pub(crate) fn sequence(&mut self, sequence: &Sequence) -> Result<String, NoSql> {
        let bounds = self.moment.window(sequence.window);
        let mut selectors: Vec<Selected> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut bit = |events: &Events| -> i64 {
            let selected = Selected::new(events, bounds);
            let place = *places.entry(selected.sql.clone()).or_insert_with(|| {
                selectors.push(selected);
                selectors.len() - 1
            });
            1_i64.checked_shl(u32::try_from(place).unwrap_or(u32::MAX)).unwrap_or_default()
        };
        let mut bits = |all: &[Events]| all.iter().fold(0, |known, events| known | bit(events));
        let millis = |length: Option<tessera_audience::Duration>| length.map(|length| length.millis());
        let steps = sequence.steps.iter().map(|step| SpecStep {
            event: bits(std::slice::from_ref(&step.event)),
            within: millis(step.within),
            without: bits(&step.without),
        });
        let steps = steps.collect();
        let then_no = sequence.then_no.as_ref().map(|no| (bits(&no.events), no.within.millis()));
        if selectors.len() > SELECTORS_MAX {
            return Err(NoSql::Selectors { count: selectors.len(), max: SELECTORS_MAX });
        }
        let spec = Spec {
            now: self.moment.now,
            selectors: selectors.len(),
            steps,
            within: millis(sequence.within),
            then_no,
        };
        let spec = quoted(&serde_json::to_string(&spec).unwrap_or_default());
        let passed: Vec<String> = selectors
            .iter()
            .enumerate()
            .map(|(place, of)| format!("CASE WHEN {} THEN {} ELSE 0 END", of.sql, 1_i64 << place))
            .collect();
        let mut column = "false".to_owned();
        let expression = format!("sequence(at, {}, {spec})", passed.join(" + "));
        for of in &selectors {
            column = self.fact(of, expression.clone());
        }
        Ok(format!("coalesce({column}, false)"))
    }
}
