//! Training: a model from a table and a specification, without a single labelled pair.

use rayon::prelude::*;

use crate::compare::Frequent;
use crate::error::MatchError;
use crate::linker::{Counts, Linker};
use crate::mixture::{Agreed, Chances, Counted, Shape, Start, learn};
use crate::model::Model;
use crate::spec::{Comparison, ModelSpec, Rule};
use crate::table::Table;

/// Pairs compared to learn from; of more a sample is taken.
const TRAINING_PAIRS_MAX: u64 = 3_000_000;
/// Random pairs drawn to learn what chance looks like.
const RANDOM_PAIRS: u64 = 500_000;
/// How many pairs a belief counts for.
const BELIEF: f64 = 10.0;

/// Learns from `table` what agreement and disagreement in each of `spec`'s comparisons are worth.
///
/// The same table, specification and seed give the same model.
///
/// # Errors
///
/// When the specification does not fit the table.
pub fn train(table: &Table, spec: &ModelSpec, seed: u64) -> Result<Model, MatchError> {
    let linker = Linker::new(table, spec, None)?;
    let sampled = (TRAINING_PAIRS_MAX as f64 / linker.blocks.pairs().max(1) as f64).min(1.0);
    let sample = Sample { seed, share: sampled };
    let each = |counts: &mut Counts, row: u32, candidates: &[u32]| {
        for other in candidates {
            counts.add(linker.compare(row, *other), 1);
        }
    };
    let chunks = linker.chunks::<Counts>(&|row| sample.holds(row), &each, &|_| ());
    let counts = chunks.into_iter().fold(Counts::default(), Counts::merge);
    Ok(learn_model(&linker, &counts, sampled, seed))
}

/// A model from counted patterns.
pub(crate) fn learn_model(linker: &Linker<'_>, counts: &Counts, sampled: f64, seed: u64) -> Model {
    let (table, spec) = (linker.table, linker.spec);
    let shapes = linker.shapes();
    let random = random_patterns(linker, seed);
    let rows = table.rows() as f64;
    let possible_pairs = (rows * (rows - 1.0) / 2.0).max(1.0);
    let start = Start {
        chances: first_chances(table, spec, &shapes, &linker.frequent, &random),
        prior: (rows * 0.3 / possible_pairs).min(0.3),
        possible_pairs,
        sampled,
        blocked_by: blocked_by(spec),
        personal: personal(spec),
        present: present(&shapes, &random),
        strata: true,
        belief: BELIEF,
        shapes,
    };
    let mixture = learn(start, &counts.sorted());
    Model::new(spec.clone(), linker.frequent.clone(), mixture)
}

/// Which rows' pairs are counted.
#[derive(Clone, Copy)]
struct Sample {
    seed: u64,
    share: f64,
}

impl Sample {
    fn holds(self, row: u32) -> bool {
        self.share >= 1.0 || fraction(mix(self.seed ^ u64::from(row).wrapping_mul(0x9e37_79b9))) < self.share
    }
}

/// A well-mixed number (SplitMix64's finaliser).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number from 0 to 1, 1 excluded.
fn fraction(random: u64) -> f64 {
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

/// Patterns of pairs drawn at random.
fn random_patterns(linker: &Linker<'_>, seed: u64) -> Vec<Counted> {
    let rows = linker.table.rows() as u64;
    if rows < 2 {
        return Vec::new();
    }
    let drawn = RANDOM_PAIRS.min(rows * (rows - 1) * 2);
    let chunk = 16_384;
    let chunks: Vec<u64> = (0..drawn.div_ceil(chunk)).collect();
    let counts: Vec<Counts> = chunks
        .par_iter()
        .map(|number| {
            let mut counts = Counts::default();
            for draw in number * chunk..drawn.min((number + 1) * chunk) {
                let row = |salt: u64| {
                    let random = mix(seed.wrapping_add(draw.wrapping_mul(2).wrapping_add(salt))) % rows;
                    u32::try_from(random).unwrap_or_default()
                };
                let (left, right) = (row(0), row(1));
                if left != right {
                    counts.add(linker.compare(left, right), 1);
                }
            }
            counts
        })
        .collect();
    counts.into_iter().fold(Counts::default(), Counts::merge).sorted()
}

/// `u` counted: full agreement exactly, by the sizes of groups of equal values, the other levels among random pairs.
/// `m` as a first guess.
fn first_chances(
    table: &Table,
    spec: &ModelSpec,
    shapes: &[Shape],
    frequent: &[Frequent],
    random: &[Counted],
) -> Vec<Chances> {
    let of = |(place, shape): (usize, &Shape)| {
        let mut seen = vec![0.0; shape.levels];
        for (pattern, count) in random {
            seen[usize::from(pattern[place])] += count;
        }
        let pairs: f64 = seen.iter().skip(1).sum::<f64>().max(1.0);
        let mut u: Vec<f64> = seen.iter().map(|count| (count + 0.1) / pairs).collect();
        let mut share = vec![0.0; shape.levels];
        let comparison = &spec.comparisons[place];
        if let Some(column) = table.column(&comparison.column)
            && comparison.levels.first() == Some(&crate::spec::Test::Equal)
        {
            count_equal(column, shape, !frequent[place].is_empty(), &mut u, &mut share);
        }
        let m = first_m(shape, &share);
        u[0] = 0.0;
        let sum: f64 = u.iter().sum();
        u.iter_mut().for_each(|chance| *chance /= sum);
        Chances { m, u }
    };
    shapes.iter().enumerate().map(of).collect()
}

/// Chances of full agreement in `u`, and in `share` the rows whose value is of each step.
fn count_equal(column: &crate::table::Column, shape: &Shape, steps: bool, u: &mut [f64], share: &mut [f64]) {
    let rows: f64 = column.counts().iter().skip(1).map(|count| f64::from(*count)).sum();
    let pairs = (rows * (rows - 1.0) / 2.0).max(1.0);
    shape.full.clone().for_each(|level| u[level] = 0.1 / pairs);
    for count in column.counts().iter().skip(1) {
        let level = 1 + if steps { usize::from(crate::compare::step(*count)) } else { 0 };
        let level = level.min(shape.full.end - 1);
        let count = f64::from(*count);
        u[level] += count * (count - 1.0) / 2.0 / pairs;
        share[level] += count / rows.max(1.0);
    }
}

/// Matches mostly agree: nine in ten to begin with; then each level less than the one before.
fn first_m(shape: &Shape, share: &[f64]) -> Vec<f64> {
    let mut m = vec![0.0; shape.levels];
    let sum: f64 = share[shape.full.clone()].iter().sum();
    let steps = shape.full.len() as f64;
    for level in shape.full.clone() {
        m[level] = 0.8 * (0.9 * if sum > 0.0 { share[level] / sum } else { 0.0 } + 0.1 / steps);
    }
    // Who has moved differs altogether, in several columns at once: that must not look impossible at first.
    let others = shape.full.end..shape.levels;
    let count = others.len() as f64;
    for level in others {
        m[level] = 0.08 / count;
    }
    m[shape.levels - 1] += 0.12;
    let sum: f64 = m.iter().sum();
    m.iter_mut().for_each(|chance| *chance /= sum);
    m
}

/// By comparison, the share of pairs drawn at random that have both values.
fn present(shapes: &[Shape], random: &[Counted]) -> Vec<f64> {
    let pairs: f64 = random.iter().map(|(_, count)| count).sum();
    let with = |place| random.iter().filter(move |(pattern, _)| pattern[place] != 0).map(|(_, count)| count);
    (0..shapes.len()).map(|place| with(place).sum::<f64>() / pairs.max(1.0)).collect()
}

/// The comparisons of what is a person's own.
fn personal(spec: &ModelSpec) -> Agreed {
    let bit = |(place, comparison): (usize, &Comparison)| Agreed::from(comparison.personal) << place;
    spec.comparisons.iter().enumerate().map(bit).sum()
}

/// The sets of comparisons whose full agreement is enough for a rule. Who agrees in all of a value agrees in any part
/// of it.
fn blocked_by(spec: &ModelSpec) -> Vec<Agreed> {
    let place = |column: &String| spec.comparisons.iter().position(|comparison| comparison.column == *column);
    let of = |Rule(expressions): &Rule| {
        let columns = expressions.iter().flat_map(|e| std::iter::once(&e.column).chain(&e.with));
        let places: Option<Vec<usize>> = columns.map(place).collect();
        places.map(|places| places.into_iter().fold(0, |set, place| set | 1 << place))
    };
    spec.blocking.iter().filter_map(of).collect()
}
