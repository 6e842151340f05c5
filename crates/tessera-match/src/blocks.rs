//! Blocks: for each rule, the rows that share a key. Which pairs they give, without repeating any, and how many
//! there will be.
//!
//! Invariant: pairs come in an order that depends on the table and the rules alone, not on threads.

use rayon::prelude::*;
use serde::Serialize;

use crate::error::MatchError;
use crate::forms::Makers;
use crate::keys::Keys;
use crate::spec::{Limits, ModelSpec, Pairs, Rule};
use crate::table::Table;

/// No group.
const NONE: u32 = u32::MAX;

/// The rows of one rule's keys.
struct Block {
    /// Where each group begins in `members`.
    starts: Vec<u32>,
    /// Rows, group by group, each group in order.
    members: Vec<u32>,
    /// The groups of a row: one or none, or several.
    of_row: OfRow,
    cost: RuleCost,
}

enum OfRow {
    One(Vec<u32>),
    Many { starts: Vec<u32>, groups: Vec<u32> },
}

impl OfRow {
    fn get(&self, row: usize) -> &[u32] {
        match self {
            Self::One(groups) => match &groups[row..=row] {
                [NONE] => &[],
                group => group,
            },
            Self::Many { starts, groups } => &groups[starts[row] as usize..starts[row + 1] as usize],
        }
    }
}

/// What one rule costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleCost {
    /// The rule.
    pub rule: Rule,
    /// Pairs that share a key, those of blocks that are too large aside; a pair that other rules give too is counted
    /// by each.
    pub pairs: u64,
    /// Rows that have a key.
    pub rows: u64,
    /// Rows in the largest block.
    pub largest_block_rows: u64,
    /// Blocks of more than `block_rows_max` rows, which are left out.
    pub skipped_blocks: u64,
    /// Pairs that those would give.
    pub skipped_pairs: u64,
}

/// What blocking costs, before it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// Each rule's cost, in the order of the specification.
    pub rules: Vec<RuleCost>,
    /// The sum of pairs over all rules: at most so many are compared.
    pub pairs: u64,
    /// All pairs there are, which comparing without rules would look at.
    pub possible_pairs: u64,
}

/// Blocks of all rules.
pub(crate) struct Blocks {
    blocks: Vec<Block>,
    /// How many of them, the last ones, are of exact rules.
    exact: usize,
    pairs: Pairs,
    rows: usize,
    /// No rule could be found, or none is needed: all pairs.
    all: bool,
}

/// Counts what `spec`'s blocking rules cost on `table`: exact, and quick, for only the sizes of groups matter.
///
/// # Errors
///
/// When the specification does not fit the table.
pub fn estimate(table: &Table, spec: &ModelSpec) -> Result<Estimate, MatchError> {
    spec.validate(table)?;
    let makers = Makers::new();
    let rules: Vec<RuleCost> = spec
        .blocking
        .iter()
        .map(|rule| Ok(cost(rule, &sorted_keys(table, rule, &makers, None)?.0, spec.limits)))
        .collect::<Result<_, MatchError>>()?;
    let rows = table.rows() as u64;
    let possible_pairs = rows * rows.saturating_sub(1) / 2;
    let pairs = if rules.is_empty() { possible_pairs } else { rules.iter().map(|rule| rule.pairs).sum() };
    Ok(Estimate { rules, pairs, possible_pairs })
}

/// Keys of all rows, or of those of `sample`, in order, and whether a row has several.
pub(crate) fn sorted_keys(
    table: &Table,
    rule: &Rule,
    makers: &Makers,
    sample: Option<&[u32]>,
) -> Result<(Vec<(u64, u32)>, bool), MatchError> {
    let keys = Keys::new(table, rule, makers)?;
    let rows = u32::try_from(table.rows()).unwrap_or(u32::MAX);
    let of = |row: u32| {
        let mut own = Vec::with_capacity(1);
        keys.of(table, row as usize, &mut own);
        own.into_iter().map(move |key| (key, row))
    };
    let mut pairs: Vec<(u64, u32)> = match sample {
        Some(sample) => sample.iter().copied().flat_map(of).collect(),
        None => collect(rows, of),
    };
    let several = pairs.windows(2).any(|pair| pair[0].1 == pair[1].1);
    pairs.par_sort_unstable();
    Ok((pairs, several))
}

/// `of` each row, one after the other, worked out by as many threads as there are.
fn collect<I: Iterator<Item = (u64, u32)>>(rows: u32, of: impl Fn(u32) -> I + Sync) -> Vec<(u64, u32)> {
    let chunk = 1 << 15;
    let chunks: Vec<Vec<(u64, u32)>> = (0..rows.div_ceil(chunk))
        .into_par_iter()
        .map(|number| {
            let mut own = Vec::with_capacity(chunk as usize);
            (number * chunk..rows.min((number + 1) * chunk)).for_each(|row| own.extend(of(row)));
            own
        })
        .collect();
    chunks.concat()
}

/// What a rule with these keys costs.
pub(crate) fn cost(rule: &Rule, keys: &[(u64, u32)], limits: Limits) -> RuleCost {
    let mut cost = RuleCost {
        rule: rule.clone(),
        pairs: 0,
        rows: keys.len() as u64,
        largest_block_rows: 0,
        skipped_blocks: 0,
        skipped_pairs: 0,
    };
    for group in keys.chunk_by(|a, b| a.0 == b.0) {
        let rows = group.len() as u64;
        let pairs = rows * (rows - 1) / 2;
        cost.largest_block_rows = cost.largest_block_rows.max(rows);
        if rows > u64::from(limits.block_rows_max) {
            cost.skipped_blocks += 1;
            cost.skipped_pairs += pairs;
        } else {
            cost.pairs += pairs;
        }
    }
    cost
}

impl Block {
    fn new(table: &Table, rule: &Rule, makers: &Makers, limits: Limits) -> Result<Self, MatchError> {
        let (keys, several) = sorted_keys(table, rule, makers, None)?;
        let cost = cost(rule, &keys, limits);
        let mut starts = vec![0];
        let mut members = Vec::new();
        let mut of_row: Vec<(u32, u32)> = Vec::new();
        let mut one = if several { Vec::new() } else { vec![NONE; table.rows()] };
        for group in keys.chunk_by(|a, b| a.0 == b.0) {
            if group.len() < 2 || group.len() > limits.block_rows_max as usize {
                continue;
            }
            let number = u32::try_from(starts.len() - 1).unwrap_or(NONE);
            for (_, row) in group {
                members.push(*row);
                if several {
                    of_row.push((*row, number));
                } else {
                    one[*row as usize] = number;
                }
            }
            starts.push(u32::try_from(members.len()).unwrap_or(u32::MAX));
        }
        let of_row = if several { many(of_row, table.rows()) } else { OfRow::One(one) };
        Ok(Self { starts, members, of_row, cost })
    }

    /// The rows behind `row` in its group.
    fn behind(&self, group: u32, row: u32) -> &[u32] {
        let group = group as usize;
        let members = &self.members[self.starts[group] as usize..self.starts[group + 1] as usize];
        &members[members.partition_point(|member| *member <= row)..]
    }
}

fn many(mut of_row: Vec<(u32, u32)>, rows: usize) -> OfRow {
    of_row.sort_unstable();
    let mut starts = Vec::with_capacity(rows + 1);
    let mut place = 0;
    for row in 0..=rows {
        while of_row.get(place).is_some_and(|(own, _)| (*own as usize) < row) {
            place += 1;
        }
        starts.push(u32::try_from(place).unwrap_or(u32::MAX));
    }
    OfRow::Many { starts, groups: of_row.into_iter().map(|(_, group)| group).collect() }
}

impl Blocks {
    pub(crate) fn new(table: &Table, spec: &ModelSpec, makers: &Makers) -> Result<Self, MatchError> {
        let rules = spec.blocking.iter().chain(&spec.exact_rules);
        let blocks: Vec<Block> =
            rules.map(|rule| Block::new(table, rule, makers, spec.limits)).collect::<Result<_, _>>()?;
        Ok(Self {
            blocks,
            exact: spec.exact_rules.len(),
            pairs: spec.pairs,
            rows: table.rows(),
            all: spec.blocking.is_empty(),
        })
    }

    /// The sum of pairs over all rules.
    pub(crate) fn pairs(&self) -> u64 {
        let rows = self.rows as u64;
        if self.all {
            return rows * rows.saturating_sub(1) / 2;
        }
        self.blocks.iter().map(|block| block.cost.pairs).sum()
    }

    /// Puts the rows behind `row` that it is to be compared with into `candidates`, each once.
    pub(crate) fn candidates(&self, table: &Table, row: u32, seen: &mut Seen, candidates: &mut Vec<u32>) {
        candidates.clear();
        if self.all {
            candidates.extend(row + 1..u32::try_from(self.rows).unwrap_or(u32::MAX));
        } else {
            for block in &self.blocks {
                for group in block.of_row.get(row as usize) {
                    let behind = block.behind(*group, row).iter().copied();
                    candidates.extend(behind.filter(|other| seen.is_new(row, *other)));
                }
            }
        }
        if self.pairs != Pairs::Any {
            let source = table.source(row as usize);
            let across = self.pairs == Pairs::AcrossSources;
            candidates.retain(|other| (table.source(*other as usize) != source) == across);
        }
    }
}

impl Blocks {
    /// Whether two rows agree in an exact rule.
    pub(crate) fn agree_exactly(&self, left: u32, right: u32) -> bool {
        let exact = self.blocks.iter().rev().take(self.exact);
        exact.map(|block| &block.of_row).any(|of_row| {
            let right = of_row.get(right as usize);
            of_row.get(left as usize).iter().any(|group| right.contains(group))
        })
    }
}

/// Which rows were met already for a row.
pub(crate) struct Seen {
    last: Vec<u32>,
}

impl Seen {
    pub(crate) fn new(rows: usize) -> Self {
        Self { last: vec![NONE; rows] }
    }

    fn is_new(&mut self, row: u32, other: u32) -> bool {
        let last = &mut self.last[other as usize];
        let new = *last != row;
        *last = row;
        new
    }
}
