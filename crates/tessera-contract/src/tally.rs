//! What a plan would do to many events: counts, and no values.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Checked, OnViolation};

/// Most kinds of violations that are told apart.
const KINDS_MAX: usize = 1_000;

/// One kind of violation, and how often it came.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ViolationTally {
    /// The event or call; `*`: one that the plan does not name.
    pub event: String,
    /// The field.
    pub path: String,
    /// The keyword of JSON Schema, or `unplanned`.
    pub keyword: String,
    /// What the plan expects.
    pub expected: String,
    /// What would be done.
    pub reaction: &'static str,
    /// How often.
    pub count: u64,
}

/// What became of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Events looked at.
    pub events: u64,
    /// Without any violation.
    pub well_formed: u64,
    /// By what would happen: `pass`, `strip`, `quarantine`, `block`.
    pub reactions: BTreeMap<&'static str, u64>,
    /// Each with a count of 0, and how often it came.
    #[serde(skip)]
    kinds: BTreeMap<ViolationTally, u64>,
}

impl Tally {
    /// Counts an event.
    pub fn add(&mut self, checked: &Checked) {
        self.events += 1;
        if checked.reaction == OnViolation::Allow {
            self.well_formed += 1;
            return;
        }
        *self.reactions.entry(checked.reaction.as_str()).or_default() += 1;
        for one in &checked.violations {
            let kind = ViolationTally {
                event: checked.planned.as_deref().unwrap_or("*").to_owned(),
                path: one.path.clone(),
                keyword: one.keyword.clone(),
                expected: one.expected.clone(),
                reaction: one.reaction.as_str(),
                count: 0,
            };
            if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(&kind) {
                *self.kinds.entry(kind).or_default() += 1;
            }
        }
    }

    /// How many would be refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        [OnViolation::Quarantine, OnViolation::Block]
            .iter()
            .filter_map(|one| self.reactions.get(one.as_str()))
            .sum()
    }

    /// The kinds of violations, the most frequent first.
    #[must_use]
    pub fn violations(&self) -> Vec<ViolationTally> {
        let kinds = self.kinds.iter();
        let mut found: Vec<ViolationTally> =
            kinds.map(|(kind, count)| ViolationTally { count: *count, ..kind.clone() }).collect();
        found.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.cmp(b)));
        found
    }
}
