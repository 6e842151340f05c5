//! The records one by one: a new record is compared with all that are there, is added, or is taken away.
//!
//! The model is not trained anew by this. Invariant: a record finds the same records with the same probabilities as
//! [`score`](crate::score) over a table of all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::blocks::sorted_keys;
use crate::cluster::SUPPORT_MIN;
use crate::compare::{Comparer, Frequent, Prepared, Record};
use crate::error::MatchError;
use crate::keys::Keys;
use crate::model::{Model, Weights};
use crate::score::{EXACT, ScoredPair};
use crate::spec::{Pairs, Rule, Thresholds};
use crate::table::{Column, Table};
use crate::text::normalise;

/// Records that can be searched for those like a new one.
pub struct Index {
    model: Model,
    weights: Weights,
    comparer: Comparer,
    frequent: Vec<Frequent>,
    part: Part,
    blocks: Vec<Block>,
    /// By row.
    removed: Vec<bool>,
    /// Rows that are in no block's base.
    added: usize,
    gone: usize,
}

/// The records are personal data.
impl fmt::Debug for Index {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Index({} records)", self.rows())
    }
}

/// Records and what comparing them needs.
struct Part {
    table: Table,
    prepared: Prepared,
}

/// The rows of one rule's keys.
struct Block {
    keys: Vec<u64>,
    starts: Vec<u32>,
    rows: Vec<u32>,
    /// Rows added since.
    since: BTreeMap<u64, Vec<u32>>,
}

impl Index {
    /// An index of `table`'s records, which keep their row numbers.
    ///
    /// # Errors
    ///
    /// When the model does not fit the table.
    pub fn new(table: Table, model: Model) -> Result<Self, MatchError> {
        model.spec().validate(&table)?;
        let weights = Weights::new(&model)?;
        let comparer = Comparer::new(&model.spec().comparisons);
        let frequent = model.frequent();
        let blocks = rules(&model)
            .map(|rule| Block::new(&table, rule, &comparer))
            .collect::<Result<Vec<Block>, MatchError>>()?;
        let removed = vec![false; table.rows()];
        let part = Part { prepared: comparer.prepare(&table, &frequent)?, table };
        Ok(Self { model, weights, comparer, frequent, part, blocks, removed, added: 0, gone: 0 })
    }

    /// The model that it compares by.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The model's specification, to change thresholds.
    pub fn thresholds_mut(&mut self) -> &mut Thresholds {
        &mut self.model.spec_mut().thresholds
    }

    /// Row numbers given so far, those of removed records among them.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.part.table.rows()
    }

    /// Whether the record of `row` holds these values, normalised or not.
    #[must_use]
    pub fn holds(&self, row: usize, record: &[Option<&str>]) -> bool {
        let columns = self.part.table.columns();
        let mut text = String::new();
        !self.is_removed(row)
            && columns.len() == record.len()
            && columns.iter().zip(record).all(|(column, value)| {
                normalise(value.unwrap_or_default(), &mut text);
                column.value(row).unwrap_or_default() == text
            })
    }

    /// The records that may be the person of `record` - a value or nothing for each column of the table - from the
    /// model's threshold `keep` on, most likely first. `right` is the row found; `left` is the row `record` would get.
    ///
    /// # Errors
    ///
    /// When there are too many or too few values.
    pub fn matches(&self, record: &[Option<&str>], source: u16) -> Result<Vec<ScoredPair>, MatchError> {
        let part = self.part(record, source)?;
        let own = u32::try_from(self.rows()).unwrap_or(u32::MAX);
        let left = part.prepared.record(&part.table, 0);
        let keep = self.model.spec().thresholds.keep;
        let mut found: Vec<ScoredPair> = self
            .candidates(&part)?
            .into_iter()
            .filter(|(row, _)| self.may_pair(source, *row))
            .filter_map(|(row, exact)| {
                let pattern = self.comparer.compare(left, self.record(row));
                let log_odds = self.weights.log_odds(&pattern);
                let log_odds = if exact { log_odds.max(EXACT) } else { log_odds };
                (crate::model::probability(log_odds) >= keep).then(|| ScoredPair::new(own, row, log_odds))
            })
            .collect();
        found.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.right.cmp(&b.right)));
        Ok(found)
    }

    /// Of the rows found for one record, those that are one person with it, as [`cluster`](crate::cluster) would have it
    /// of them and the record alone: the likeliest first, and nobody whom the rest speaks against.
    #[must_use]
    pub fn together(&self, found: &[ScoredPair]) -> BTreeSet<u32> {
        let link = self.model.spec().thresholds.link;
        let most = self.model.spec().limits.cluster_rows_max as usize;
        let mut one: Vec<ScoredPair> = Vec::new();
        for pair in found.iter().filter(|pair| f64::from(pair.probability) >= link) {
            let others: f64 = one.iter().map(|known| self.probability(known.right, pair.right)).sum();
            let sum = others + f64::from(pair.probability);
            let pairs = f64::from(u32::try_from(one.len() + 1).unwrap_or(u32::MAX));
            if sum >= SUPPORT_MIN * pairs && one.len() + 1 < most {
                one.push(*pair);
            }
        }
        one.into_iter().map(|pair| pair.right).collect()
    }

    fn probability(&self, left: u32, right: u32) -> f64 {
        let pattern = self.comparer.compare(self.record(left), self.record(right));
        crate::model::probability(self.weights.log_odds(&pattern))
    }

    /// Adds a record and gives its row.
    ///
    /// # Errors
    ///
    /// When there are too many or too few values.
    pub fn insert(&mut self, record: &[Option<&str>], source: u16) -> Result<usize, MatchError> {
        let part = self.part(record, source)?;
        let row = self.rows();
        let number = u32::try_from(row).unwrap_or(u32::MAX);
        for (rule, block) in rules(&self.model).zip(self.blocks.iter_mut()) {
            for key in keys(&part.table, rule, &self.comparer)? {
                block.since.entry(key).or_default().push(number);
            }
        }
        self.part.table.push(record, source);
        self.comparer.prepare_last(&self.part.table, &self.frequent, &mut self.part.prepared);
        self.removed.push(false);
        self.added += 1;
        Ok(row)
    }

    /// Takes a record away: it is found no more. Its row number is not given again.
    pub fn remove(&mut self, row: usize) {
        if let Some(removed) = self.removed.get_mut(row).filter(|removed| !**removed) {
            *removed = true;
            self.gone += 1;
            self.part.table.clear(row);
            self.part.prepared.clear(row);
        }
    }

    /// Whether so many records came or went that [`Index::renew`] is worth its time.
    #[must_use]
    pub fn is_worn(&self) -> bool {
        self.added + self.gone > self.rows() / 4 + 1_000
    }

    /// Makes it anew without the records that were removed, and without a trace of them. Returns the row that each of the
    /// others had.
    ///
    /// # Errors
    ///
    /// None that a working index has.
    pub fn renew(&mut self) -> Result<Vec<usize>, MatchError> {
        let table = &self.part.table;
        let rows: Vec<usize> = (0..table.rows()).filter(|row| !self.is_removed(*row)).collect();
        let columns = table.columns().iter().map(|column| {
            let mut own = Column::new(column.name());
            rows.iter().for_each(|row| own.push(column.value(*row)));
            own
        });
        let sources = rows.iter().map(|row| table.source(*row)).collect();
        let renewed = Table::new(columns.collect())?.with_sources(sources)?;
        *self = Self::new(renewed, self.model.clone())?;
        Ok(rows)
    }

    fn is_removed(&self, row: usize) -> bool {
        self.removed.get(row) != Some(&false)
    }

    fn part(&self, record: &[Option<&str>], source: u16) -> Result<Part, MatchError> {
        let columns = self.part.table.columns();
        if record.len() != columns.len() {
            return Err(MatchError::Ragged {
                column: "the record".to_owned(),
                found: record.len(),
                expected: columns.len(),
            });
        }
        let column = |(column, value): (&Column, &Option<&str>)| {
            let mut own = Column::new(column.name());
            own.push(*value);
            own
        };
        let table =
            Table::new(columns.iter().zip(record).map(column).collect())?.with_sources(vec![source])?;
        Ok(Part { prepared: self.comparer.prepare(&table, &self.frequent)?, table })
    }

    fn record(&self, row: u32) -> Record<'_> {
        self.part.prepared.record(&self.part.table, row as usize)
    }

    fn may_pair(&self, source: u16, row: u32) -> bool {
        let other = || self.part.table.source(row as usize);
        match self.model.spec().pairs {
            Pairs::Any => true,
            Pairs::AcrossSources => other() != source,
            Pairs::WithinSource => other() == source,
        }
    }

    /// Rows that share a key, and whether one of an exact rule.
    fn candidates(&self, part: &Part) -> Result<BTreeMap<u32, bool>, MatchError> {
        let spec = self.model.spec();
        let mut candidates = BTreeMap::new();
        if spec.blocking.is_empty() {
            candidates.extend((0..u32::try_from(self.rows()).unwrap_or(u32::MAX)).map(|row| (row, false)));
            candidates.retain(|row, _| !self.is_removed(*row as usize));
        }
        for (number, (rule, block)) in rules(&self.model).zip(&self.blocks).enumerate() {
            let exact = number >= spec.blocking.len();
            for key in keys(&part.table, rule, &self.comparer)? {
                let (rows, since) = block.get(key);
                let there: Vec<u32> =
                    rows.iter().chain(since).copied().filter(|row| !self.is_removed(*row as usize)).collect();
                // With the record itself, as it would count in a table.
                if there.len() < spec.limits.block_rows_max as usize {
                    there.into_iter().for_each(|row| *candidates.entry(row).or_insert(false) |= exact);
                }
            }
        }
        Ok(candidates)
    }
}

fn rules(model: &Model) -> impl Iterator<Item = &Rule> {
    model.spec().blocking.iter().chain(&model.spec().exact_rules)
}

/// The keys of a table's one row.
fn keys(table: &Table, rule: &Rule, comparer: &Comparer) -> Result<Vec<u64>, MatchError> {
    let mut keys = Vec::new();
    Keys::new(table, rule, comparer.makers())?.of(table, 0, &mut keys);
    Ok(keys)
}

impl Block {
    fn new(table: &Table, rule: &Rule, comparer: &Comparer) -> Result<Self, MatchError> {
        let (sorted, _) = sorted_keys(table, rule, comparer.makers(), None)?;
        let (mut keys, mut starts) = (Vec::new(), Vec::new());
        for ((key, _), place) in sorted.iter().zip(0_u32..) {
            if keys.last() != Some(key) {
                keys.push(*key);
                starts.push(place);
            }
        }
        starts.push(u32::try_from(sorted.len()).unwrap_or(u32::MAX));
        Ok(Self {
            keys,
            starts,
            rows: sorted.into_iter().map(|(_, row)| row).collect(),
            since: BTreeMap::new(),
        })
    }

    fn get(&self, key: u64) -> (&[u32], &[u32]) {
        let rows = match self.keys.binary_search(&key) {
            Ok(place) => &self.rows[self.starts[place] as usize..self.starts[place + 1] as usize],
            Err(_) => &[],
        };
        (rows, self.since.get(&key).map_or(&[], Vec::as_slice))
    }
}
