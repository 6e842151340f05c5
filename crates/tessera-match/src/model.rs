//! A trained model: the specification and what was learned from data. It holds no value of any record; frequent
//! values are known by hash.

use serde::{Deserialize, Serialize};

use crate::compare::{Comparer, Frequent, Pattern};
use crate::error::MatchError;
use crate::mixture::{Agreed, Chances, Mixture, Shape, Stratum, Tie, agreed};
use crate::spec::ModelSpec;
use crate::table::Table;

/// The format of a stored model.
const FORMAT: u32 = 1;

/// What [`train`](crate::train) learned; score and explain with it. Store it with serde.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    format: u32,
    spec: ModelSpec,
    learned: Vec<LearnedComparison>,
    strata: Vec<LearnedStratum>,
    prior: f64,
    log_likelihood: f64,
    rounds: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LearnedComparison {
    full_from: usize,
    full_to: usize,
    m: Vec<f64>,
    u: Vec<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tie: Option<LearnedTie>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    frequent: Frequent,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LearnedTie {
    to: usize,
    near: Vec<f64>,
    apart: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LearnedStratum {
    agreed: Agreed,
    odds: f64,
    pairs: f64,
    matches: f64,
    u: Vec<Vec<f64>>,
}

impl Model {
    pub(crate) fn new(spec: ModelSpec, frequent: Vec<Frequent>, mixture: Mixture) -> Self {
        let learned = mixture
            .shapes
            .iter()
            .zip(mixture.chances)
            .zip(mixture.ties)
            .zip(frequent)
            .map(|(((shape, chances), tie), frequent)| LearnedComparison {
                tie: tie.map(|Tie { to, near, apart }| LearnedTie { to, near, apart }),
                full_from: shape.full.start,
                full_to: shape.full.end,
                m: chances.m,
                u: chances.u,
                frequent,
            })
            .collect();
        let strata = mixture
            .strata
            .into_iter()
            .map(|(agreed, stratum)| LearnedStratum {
                agreed,
                odds: stratum.odds,
                pairs: stratum.pairs,
                matches: stratum.matches,
                u: stratum.u,
            })
            .collect();
        let (prior, log_likelihood, rounds) = (mixture.prior, mixture.log_likelihood, mixture.rounds);
        Self { format: FORMAT, spec, learned, strata, prior, log_likelihood, rounds }
    }

    /// What the model compares and how.
    #[must_use]
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// The specification, to change thresholds, limits and which pairs are looked at; what was learned stays.
    pub fn spec_mut(&mut self) -> &mut ModelSpec {
        &mut self.spec
    }

    /// The share of matches among all pairs there could be, as estimated.
    #[must_use]
    pub fn prior(&self) -> f64 {
        self.prior
    }

    /// Rounds of expectation-maximisation until nothing moved.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The same without the hashes of frequent values: what is left says nothing of what any record holds.
    #[must_use]
    pub fn without_values(mut self) -> Self {
        self.learned.iter_mut().for_each(|comparison| comparison.frequent.clear());
        self
    }

    /// The same, with how frequent values are counted anew in `table`.
    ///
    /// # Errors
    ///
    /// When the model does not fit the table.
    pub fn with_values_of(mut self, table: &Table) -> Result<Self, MatchError> {
        self.spec.validate(table)?;
        Weights::new(&self)?;
        let frequent = Comparer::new(&self.spec.comparisons).frequent(table)?;
        for (comparison, frequent) in self.learned.iter_mut().zip(frequent) {
            comparison.frequent = frequent;
        }
        Ok(self)
    }

    pub(crate) fn frequent(&self) -> Vec<Frequent> {
        self.learned.iter().map(|comparison| comparison.frequent.clone()).collect()
    }

    fn mixture(&self) -> Mixture {
        let of = |comparison: &LearnedComparison| {
            let shape = Shape { levels: comparison.m.len(), full: comparison.full_from..comparison.full_to };
            (shape, Chances { m: comparison.m.clone(), u: comparison.u.clone() })
        };
        let (shapes, chances) = self.learned.iter().map(of).unzip();
        let tie = |tie: &LearnedTie| Tie { to: tie.to, near: tie.near.clone(), apart: tie.apart.clone() };
        let ties = self.learned.iter().map(|comparison| comparison.tie.as_ref().map(tie)).collect();
        let strata = self
            .strata
            .iter()
            .map(|stratum| {
                let LearnedStratum { agreed, odds, pairs, matches, u } = stratum.clone();
                (agreed, Stratum { odds, u, pairs, matches })
            })
            .collect();
        Mixture {
            shapes,
            chances,
            ties,
            strata,
            prior: self.prior,
            log_likelihood: self.log_likelihood,
            rounds: self.rounds,
        }
    }
}

/// The weights of a model, ready to add up.
pub(crate) struct Weights {
    pub(crate) mixture: Mixture,
    /// By set of agreements: what such pairs weigh before their levels are looked at.
    priors: Vec<f64>,
    /// By set of agreements: which of `tables`; the first is for sets never seen in training.
    places: Vec<u32>,
    tables: Vec<Vec<Vec<f64>>>,
}

impl Weights {
    pub(crate) fn new(model: &Model) -> Result<Self, MatchError> {
        let mixture = model.mixture();
        let misfit = |why: &str| MatchError::Model { why: why.to_owned() };
        if model.format != FORMAT {
            return Err(misfit("it is of another version of Tessera"));
        }
        let comparer = Comparer::new(&model.spec.comparisons);
        let shapes: Vec<Shape> =
            comparer.kernels().iter().map(|k| Shape { levels: k.levels(), full: k.full() }).collect();
        let whole = |u: &Vec<Vec<f64>>| {
            u.len() == shapes.len() && u.iter().zip(&shapes).all(|(u, shape)| u.len() == shape.levels)
        };
        let fits = shapes == mixture.shapes
            && mixture.chances.iter().all(|chances| chances.u.len() == chances.m.len())
            && mixture.ties.iter().zip(&shapes).all(|(tie, shape)| {
                let whole = |chances: &Vec<f64>| chances.len() == shape.levels;
                tie.as_ref().is_none_or(|tie| tie.to < shapes.len() && whole(&tie.near) && whole(&tie.apart))
            })
            && mixture.strata.values().all(|stratum| whole(&stratum.u));
        if !fits {
            return Err(misfit("its numbers are not those of its comparisons"));
        }
        let sets = 1 << shapes.len();
        let mut weights =
            Self { priors: vec![0.0; sets], places: vec![0; sets], tables: Vec::new(), mixture };
        weights.tables.push(weights.of_unseen());
        for set in 0..sets {
            let agreed = Agreed::try_from(set).unwrap_or_default();
            let odds = match weights.mixture.strata.get(&agreed) {
                Some(stratum) => {
                    weights.places[set] = u32::try_from(weights.tables.len()).unwrap_or_default();
                    weights.tables.push(weights.mixture.weights(agreed, &stratum.u));
                    stratum.odds
                }
                None => weights.mixture.believed_odds(agreed),
            };
            weights.priors[set] = odds.max(1e-30).ln();
        }
        Ok(weights)
    }

    /// Levels of full agreement weigh as in a set that holds the comparison, the others as in one that does not.
    fn of_unseen(&self) -> Vec<Vec<f64>> {
        let mixture = &self.mixture;
        let all = Agreed::MAX;
        let believed = |agreed: &dyn Fn(usize) -> Agreed| -> Vec<Vec<f64>> {
            (0..mixture.shapes.len()).map(|place| mixture.believed_u(agreed(place), place)).collect()
        };
        let agree = mixture.weights(all, &believed(&|place| 1 << place));
        let mut weights = mixture.weights(0, &believed(&|_| 0));
        for ((weights, agree), shape) in weights.iter_mut().zip(agree).zip(&mixture.shapes) {
            for (place, weight) in weights.iter_mut().enumerate() {
                if shape.full.contains(&(place % shape.levels)) {
                    *weight = agree[place];
                }
            }
        }
        weights
    }

    /// The natural logarithm of the odds that such pairs are matches, and of the factor of each level.
    pub(crate) fn parts(&self, pattern: &Pattern) -> (f64, Vec<f64>) {
        let set = usize::from(agreed(&self.mixture.shapes, pattern));
        let table = &self.tables[self.places[set] as usize];
        let part = |place| self.mixture.part(table, pattern, place);
        (self.priors[set], (0..self.mixture.shapes.len()).map(part).collect())
    }

    /// The natural logarithm of the odds that any two records are a match.
    pub(crate) fn prior(&self) -> f64 {
        (self.mixture.prior / (1.0 - self.mixture.prior)).max(1e-30).ln()
    }

    /// `m` and `u` of the pattern's level of one comparison, as its weight follows from them; 1 and 1 for no value.
    pub(crate) fn chances(&self, pattern: &Pattern, place: usize) -> (f64, f64) {
        let level = usize::from(pattern[place]);
        let m = match (&self.mixture.ties[place], self.mixture.standing(pattern, place)) {
            (Some(tie), 1) => tie.near[level],
            (Some(tie), 2) => tie.apart[level],
            _ => self.mixture.chances[place].m[level],
        };
        let factor = self.parts(pattern).1[place].exp();
        if level == 0 { (1.0, 1.0) } else { (m, m / factor) }
    }

    /// The natural logarithm of the odds that a pair with `pattern` is a match.
    pub(crate) fn log_odds(&self, pattern: &Pattern) -> f64 {
        let set = usize::from(agreed(&self.mixture.shapes, pattern));
        let table = &self.tables[self.places[set] as usize];
        self.priors[set] + self.mixture.sum(table, pattern)
    }
}

/// The probability of which `log_odds` is the natural logarithm of the odds.
pub(crate) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}
