//! What a matcher knows: everybody's compared values while a run lasts, and the trained model.

use std::sync::Arc;

use tessera_match::{Column, Model, ModelSpec, Table, cluster, score_with, train};
use tessera_model::{FragmentId, MatcherDocument, Problem};

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
}

/// Everybody, and what was learned from them.
pub(super) struct Trained {
    matcher: MatcherDocument,
    table: Table,
    profiles: Vec<FragmentId>,
    model: Model,
}

/// Pairs found among everybody.
pub(super) struct AllFound {
    /// How many are likely enough to be told.
    pub(super) pairs: u64,
    pub(super) link: Vec<Pair>,
    pub(super) review: Vec<Pair>,
}

/// What stays of a training.
pub(super) struct Live {
    model: Arc<Model>,
    profiles: usize,
}

impl Reading {
    pub(super) fn new(matcher: &MatcherDocument) -> Self {
        let columns = matcher.columns.keys().map(|name| Column::new(name)).collect();
        Self { matcher: matcher.clone(), columns, profiles: Vec::new() }
    }

    pub(super) fn push(&mut self, record: &Compare) {
        for (column, cell) in self.columns.iter_mut().zip(record.cells()) {
            column.push(cell);
        }
        self.profiles.push(record.profile);
    }

    pub(super) fn len(&self) -> u64 {
        as_u64(self.profiles.len())
    }

    pub(super) fn learn(self) -> Result<Live, String> {
        Ok(self.train()?.into_live())
    }

    pub(super) fn train(self) -> Result<Trained, String> {
        let Self { matcher, columns, profiles } = self;
        if profiles.len() < PROFILES_MIN {
            return Err(format!(
                "{} profiles may be compared for `{}`; it takes {PROFILES_MIN} to learn from",
                profiles.len(),
                matcher.purpose
            ));
        }
        let table = Table::new(columns).map_err(|error| error.to_string())?;
        let mut spec = match &matcher.model {
            Some(model) => serde_json::from_value(model.clone())
                .map_err(|error| format!("`model` of the matcher is none: {error}"))?,
            None => ModelSpec::infer(&table).map_err(|error| error.to_string())?,
        };
        spec.thresholds.link = matcher.link;
        spec.thresholds.review = matcher.review;
        spec.thresholds.keep = matcher.review.min(KEEP);
        let model = train(&table, &spec, SEED).map_err(|error| error.to_string())?;
        Ok(Trained { matcher, table, profiles, model })
    }
}

impl Trained {
    /// Compares everybody with everybody.
    pub(super) fn compare(&self, progress: impl Fn(u64, u64) + Sync) -> Result<AllFound, String> {
        let Self { matcher, table, profiles, model, .. } = self;
        let scored = score_with(table, model, &progress).map_err(|error| error.to_string())?;
        let clusters = cluster(table, model, &scored);
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
        Ok(found)
    }

    pub(super) fn model(&self) -> &Model {
        &self.model
    }

    pub(super) fn into_live(self) -> Live {
        Live { profiles: self.profiles.len(), model: Arc::new(self.model) }
    }
}

impl Live {
    pub(super) fn model(&self) -> Arc<Model> {
        Arc::clone(&self.model)
    }

    pub(super) fn len(&self) -> u64 {
        as_u64(self.profiles)
    }

    /// Whether there may be twice as many to learn from as there were, now that so many have changed.
    pub(super) fn has_outgrown(&self, changed: usize) -> bool {
        changed >= self.profiles
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

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
