//! What a matcher knows: everybody's compared values while a run lasts, and the trained model.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;
use tessera_match::{Column, Model, ModelSpec, ScoredPairs, Table, Thresholds, cluster, score_with, train};
use tessera_model::{FragmentId, MatcherDocument, Problem};

use super::everybody::Everybody;
use super::kept::Kept;
use super::record::Compare;
use super::worker::Pair;

/// Fewer profiles teach nothing.
pub(super) const PROFILES_MIN: usize = 20;
/// Equal profiles give equal models.
const SEED: u64 = 42;
/// Most pairs that one run puts before people: the likeliest.
const REVIEWS_MAX: usize = 10_000;
/// Below this nothing is remembered of a pair.
const KEEP: f64 = 0.01;

/// Everybody, on the way to the matcher.
pub(super) struct Reading {
    matcher: MatcherDocument,
    columns: Vec<Column>,
    profiles: Vec<FragmentId>,
    apart: Apart,
}

/// What learning sees otherwise: profiles that somebody linked, as the parts that they were.
#[derive(Default)]
struct Apart {
    /// Rows of those profiles.
    whole: BTreeSet<usize>,
    parts: Vec<Compare>,
}

impl Apart {
    /// The table to learn from.
    fn table(&self, table: &Table) -> Result<Table, String> {
        let rows = (0..table.rows()).filter(|row| !self.whole.contains(row));
        let mut columns = Vec::new();
        for (place, column) in table.columns().iter().enumerate() {
            let mut own = Column::new(column.name());
            rows.clone().for_each(|row| own.push(column.value(row)));
            let parts = self.parts.iter().map(|part| part.values.get(place));
            parts.for_each(|value| own.push(value.and_then(Option::as_deref)));
            columns.push(own);
        }
        Table::new(columns).map_err(|error| error.to_string())
    }
}

/// Everybody, and what was learned from them.
pub(super) struct Trained {
    matcher: MatcherDocument,
    table: Table,
    profiles: Vec<FragmentId>,
    learned_from: usize,
    model: Model,
}

/// Pairs found among everybody.
#[derive(Default)]
pub(super) struct AllFound {
    /// How many are likely enough to be told.
    pub(super) pairs: u64,
    pub(super) link: Vec<Pair>,
    pub(super) review: Vec<Pair>,
}

/// What stays of a training, and of a live matcher everybody.
pub(super) struct Live {
    matcher: MatcherDocument,
    model: Arc<Model>,
    /// How many it learned from.
    profiles: usize,
    everybody: Option<Arc<RwLock<Everybody>>>,
    /// Those to be compared although nothing of theirs seems to have changed: they changed while everybody was read.
    pub(super) unmet: BTreeSet<FragmentId>,
}

impl Reading {
    pub(super) fn new(matcher: &MatcherDocument) -> Self {
        let columns = matcher.columns.keys().map(|name| Column::new(name)).collect();
        Self { matcher: matcher.clone(), columns, profiles: Vec::new(), apart: Apart::default() }
    }

    /// Adds the profiles of a cluster; `unlinked`: what they would be if nobody had linked them.
    pub(super) fn push(&mut self, records: &[Compare], unlinked: Option<Vec<Compare>>) {
        if let Some(parts) = unlinked {
            let first = self.profiles.len();
            self.apart.whole.extend(first..first + records.len());
            self.apart.parts.extend(parts);
        }
        for record in records {
            for (column, cell) in self.columns.iter_mut().zip(record.cells()) {
                column.push(cell);
            }
            self.profiles.push(record.profile);
        }
    }

    pub(super) fn len(&self) -> u64 {
        as_u64(self.profiles.len())
    }

    /// Takes up what was kept, or learns anew if there is nothing or it serves no more. Says whether it learned.
    pub(super) fn learn(self, kept: Option<Kept>) -> Result<(Trained, bool), String> {
        let Some(kept) = kept else { return Ok((self.train()?, true)) };
        let learned_from = kept.profiles;
        let Self { matcher, columns, profiles, apart } = self;
        let table = Table::new(columns).map_err(|error| error.to_string())?;
        match kept.recall(&table) {
            Some(mut model) => {
                model.spec_mut().thresholds = thresholds(&matcher);
                Ok((Trained { matcher, table, profiles, learned_from, model }, false))
            }
            None => Ok((trained((matcher, table, profiles), &apart)?, true)),
        }
    }

    pub(super) fn train(self) -> Result<Trained, String> {
        let Self { matcher, columns, profiles, apart } = self;
        let table = Table::new(columns).map_err(|error| error.to_string())?;
        trained((matcher, table, profiles), &apart)
    }
}

/// Learns from everybody.
fn trained(
    (matcher, table, profiles): (MatcherDocument, Table, Vec<FragmentId>),
    apart: &Apart,
) -> Result<Trained, String> {
    if profiles.len() < PROFILES_MIN {
        return Err(format!(
            "{} profiles may be compared for `{}`; it takes {PROFILES_MIN} to learn from",
            profiles.len(),
            matcher.purpose
        ));
    }
    let unlinked = if apart.parts.is_empty() { None } else { Some(apart.table(&table)?) };
    let learning = unlinked.as_ref().unwrap_or(&table);
    let mut spec = match &matcher.model {
        Some(model) => serde_json::from_value(model.clone())
            .map_err(|error| format!("`model` of the matcher is none: {error}"))?,
        None => ModelSpec::infer(learning).map_err(|error| error.to_string())?,
    };
    spec.thresholds = thresholds(&matcher);
    let model = train(learning, &spec, SEED).map_err(|error| error.to_string())?;
    Ok(Trained { learned_from: profiles.len(), matcher, table, profiles, model })
}

impl Trained {
    /// Compares everybody with everybody.
    pub(super) fn compare(&self, progress: impl Fn(u64, u64) + Sync) -> Result<AllFound, String> {
        let scored = self.score(progress)?;
        Ok(self.sort(&scored))
    }

    /// How likely all pairs are that are at all like each other.
    pub(super) fn score(&self, progress: impl Fn(u64, u64) + Sync) -> Result<ScoredPairs, String> {
        score_with(&self.table, &self.model, &progress).map_err(|error| error.to_string())
    }

    /// What the matcher's thresholds make of them.
    pub(super) fn sort(&self, scored: &ScoredPairs) -> AllFound {
        let Self { matcher, table, profiles, model, .. } = self;
        let clusters = cluster(table, model, scored);
        let mut found = AllFound { pairs: as_u64(scored.pairs.len()), link: Vec::new(), review: Vec::new() };
        for pair in &scored.pairs {
            let probability = f64::from(pair.probability);
            let (left, right) = (pair.left as usize, pair.right as usize);
            let (Some(a), Some(b)) = (profiles.get(left), profiles.get(right)) else { continue };
            if probability < matcher.review {
                continue;
            }
            // Likely, but the rest of the two clusters speaks against it: a person shall look.
            let is_one = clusters.ids.get(left) == clusters.ids.get(right);
            let is_link = probability >= matcher.link && matcher.link < 1.0 && is_one;
            let pair = Pair { a: *a, b: *b, probability };
            (if is_link { &mut found.link } else { &mut found.review }).push(pair);
        }
        found.review.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        found.review.truncate(REVIEWS_MAX);
        found
    }

    /// The same with other thresholds.
    pub(super) fn set_thresholds(&mut self, matcher: &MatcherDocument) {
        (self.matcher.link, self.matcher.review) = (matcher.link, matcher.review);
        self.model.spec_mut().thresholds = thresholds(matcher);
    }

    /// What is kept of it.
    pub(super) fn to_keep(&self) -> Kept {
        Kept::new(&self.matcher, &self.model, self.learned_from)
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    pub(super) fn into_live(self) -> Result<Live, String> {
        let Self { matcher, table, profiles, learned_from, model } = self;
        let shared = Arc::new(model.clone());
        let everybody = match matcher.live {
            true => Some(Everybody::new(table, profiles, model).map_err(|error| error.to_string())?),
            false => None,
        };
        let everybody = everybody.map(|everybody| Arc::new(RwLock::new(everybody)));
        Ok(Live { matcher, model: shared, profiles: learned_from, everybody, unmet: BTreeSet::new() })
    }
}

/// The model's thresholds as the matcher declares them.
fn thresholds(matcher: &MatcherDocument) -> Thresholds {
    Thresholds { link: matcher.link, review: matcher.review, keep: matcher.review.min(KEEP) }
}

impl Live {
    pub(super) fn matcher(&self) -> &MatcherDocument {
        &self.matcher
    }

    pub(super) fn everybody(&self) -> Option<Arc<RwLock<Everybody>>> {
        self.everybody.clone()
    }

    /// Goes on by the same model with other thresholds.
    pub(super) fn set_thresholds(&mut self, matcher: &MatcherDocument) {
        self.matcher = matcher.clone();
        Arc::make_mut(&mut self.model).spec_mut().thresholds = thresholds(matcher);
        if let Some(everybody) = &self.everybody {
            everybody.write().set_thresholds(thresholds(matcher));
        }
    }

    pub(super) fn model(&self) -> Arc<Model> {
        Arc::clone(&self.model)
    }

    pub(super) fn len(&self) -> u64 {
        as_u64(self.everybody.as_ref().map_or(self.profiles, |everybody| everybody.read().len()))
    }

    /// Whether there are, or may be now that so many have changed, twice as many to learn from as there were.
    pub(super) fn has_outgrown(&self, changed: usize) -> bool {
        match &self.everybody {
            Some(everybody) => everybody.read().len() >= self.profiles.saturating_mul(2),
            None => changed >= self.profiles,
        }
    }
}

/// What is wrong with the model that a matcher brings along.
#[must_use]
pub fn model_problem(matcher: &MatcherDocument) -> Option<Problem> {
    let columns = matcher.columns.keys().map(|name| Column::new(name)).collect();
    let told = match serde_json::from_value::<ModelSpec>(matcher.model.clone()?) {
        Err(error) => error.to_string(),
        Ok(spec) => {
            let checked = Table::new(columns).and_then(|table| spec.validate(&table));
            checked.err()?.to_string()
        }
    };
    Some(Problem {
        kind: "Matcher".to_owned(),
        name: matcher.name.to_string(),
        field: "model".to_owned(),
        what: told,
        hint: "leave it out to have one made, or print one with `tessera match model`".to_owned(),
    })
}

pub(super) fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
