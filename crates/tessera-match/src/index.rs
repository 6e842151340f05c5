//! The records one by one: a new record is compared with all that are there, is added, or is taken away.
//!
//! The model is not trained anew by this. Invariant: a record finds the same records with the same probabilities as
//! [`score`](crate::score) over a table of all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::blocks::sorted_keys;
use crate::compare::{Comparer, Frequent, Prepared, Record};
use crate::error::MatchError;
use crate::keys::Keys;
use crate::model::{Model, Weights};
use crate::score::{EXACT, ScoredPair};
use crate::spec::{Pairs, Rule};
use crate::table::{Column, Table};

/// Records that can be searched for those like a new one.
pub struct Index {
    model: Model,
    weights: Weights,
    comparer: Comparer,
    frequent: Vec<Frequent>,
    base: Part,
    blocks: Vec<Block>,
    /// Records that came since, each a table of one row.
    added: Vec<Part>,
    removed: BTreeSet<u32>,
}

/// The records are personal data.
impl fmt::Debug for Index {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Index({} records)", self.rows())
    }
}

/// Records that were prepared together.
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
        let base = Part { prepared: comparer.prepare(&table, &frequent)?, table };
        Ok(Self {
            model,
            weights,
            comparer,
            frequent,
            base,
            blocks,
            added: Vec::new(),
            removed: BTreeSet::new(),
        })
    }

    /// Row numbers given so far, those of removed records among them.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.base.table.rows() + self.added.len()
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
            .filter(|(row, _)| !self.removed.contains(row) && self.may_pair(source, *row))
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
        self.added.push(part);
        Ok(row)
    }

    /// Takes a record away: it is found no more. Its row number is not given again.
    pub fn remove(&mut self, row: usize) {
        self.removed.insert(u32::try_from(row).unwrap_or(u32::MAX));
    }

    fn part(&self, record: &[Option<&str>], source: u16) -> Result<Part, MatchError> {
        let columns = self.base.table.columns();
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
        let row = row as usize;
        match row.checked_sub(self.base.table.rows()).and_then(|place| self.added.get(place)) {
            Some(part) => part.prepared.record(&part.table, 0),
            None => self.base.prepared.record(&self.base.table, row),
        }
    }

    fn source(&self, row: u32) -> u16 {
        let row = row as usize;
        let added = row.checked_sub(self.base.table.rows()).and_then(|place| self.added.get(place));
        added.map_or_else(|| self.base.table.source(row), |part| part.table.source(0))
    }

    fn may_pair(&self, source: u16, row: u32) -> bool {
        match self.model.spec().pairs {
            Pairs::Any => true,
            Pairs::AcrossSources => self.source(row) != source,
            Pairs::WithinSource => self.source(row) == source,
        }
    }

    /// Rows that share a key, and whether one of an exact rule.
    fn candidates(&self, part: &Part) -> Result<BTreeMap<u32, bool>, MatchError> {
        let spec = self.model.spec();
        let mut candidates = BTreeMap::new();
        if spec.blocking.is_empty() {
            candidates.extend((0..u32::try_from(self.rows()).unwrap_or(u32::MAX)).map(|row| (row, false)));
        }
        for (number, (rule, block)) in rules(&self.model).zip(&self.blocks).enumerate() {
            let exact = number >= spec.blocking.len();
            for key in keys(&part.table, rule, &self.comparer)? {
                let (rows, since) = block.get(key);
                let there = rows.iter().chain(since).filter(|row| !self.removed.contains(row));
                // With the record itself, as it would count in a table.
                if rows.len() + since.len() < spec.limits.block_rows_max as usize {
                    there.for_each(|row| *candidates.entry(*row).or_insert(false) |= exact);
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
