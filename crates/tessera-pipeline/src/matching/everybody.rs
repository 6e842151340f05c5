//! Everybody whom a live matcher compares, in memory: who is like a profile that comes or changes.
//!
//! Invariant: of each profile there is one record, with the values that were permitted when it was read; who is erased,
//! or may not be compared any more, has none.

use std::collections::BTreeMap;
use std::fmt;

use tessera_match::{Index, MatchError, Model, Table, Thresholds};
use tessera_model::{FragmentId, MatcherDocument};

use super::record::Compare;
use super::worker::Pair;

/// Everybody's records, and an index of them.
pub(super) struct Everybody {
    index: Index,
    /// By row.
    profiles: Vec<FragmentId>,
    rows: BTreeMap<FragmentId, usize>,
}

/// The records are personal data.
impl fmt::Debug for Everybody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Everybody({} profiles)", self.rows.len())
    }
}

/// Who a record was found to be like.
#[derive(Default)]
pub(super) struct Met {
    pub(super) link: Vec<Pair>,
    pub(super) review: Vec<Pair>,
}

impl Everybody {
    pub(super) fn new(table: Table, profiles: Vec<FragmentId>, model: Model) -> Result<Self, MatchError> {
        let index = Index::new(table, model)?;
        let rows = profiles.iter().enumerate().map(|(row, id)| (*id, row)).collect();
        Ok(Self { index, profiles, rows })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn set_thresholds(&mut self, thresholds: Thresholds) {
        *self.index.thresholds_mut() = thresholds;
    }

    /// Forgets a profile's record.
    pub(super) fn forget(&mut self, profile: FragmentId) {
        if let Some(row) = self.rows.remove(&profile) {
            self.index.remove(row);
        }
    }

    /// Whether the record is there as it is.
    pub(super) fn knows(&self, record: &Compare) -> bool {
        self.rows.get(&record.profile).is_some_and(|row| self.index.holds(*row, &record.cells()))
    }

    /// Compares a record with everybody else's, and keeps it in the place of the one that was there.
    pub(super) fn meet(&mut self, record: &Compare, matcher: &MatcherDocument) -> Result<Met, MatchError> {
        self.forget(record.profile);
        let cells = record.cells();
        let found = self.index.matches(&cells, 0)?;
        let together = self.index.together(&found);
        let mut met = Met::default();
        for one in &found {
            let probability = f64::from(one.probability);
            let Some(other) = self.profiles.get(one.right as usize) else { continue };
            if probability < matcher.review {
                continue;
            }
            let is_link = probability >= matcher.link && matcher.link < 1.0 && together.contains(&one.right);
            let pair = Pair { a: record.profile, b: *other, probability };
            (if is_link { &mut met.link } else { &mut met.review }).push(pair);
        }
        let row = self.index.insert(&cells, 0)?;
        self.profiles.push(record.profile);
        self.rows.insert(record.profile, row);
        Ok(met)
    }

    /// The profiles most like these values, likeliest first.
    pub(super) fn like(&self, cells: &[Option<&str>], most: usize) -> Result<Vec<FragmentId>, MatchError> {
        let found = self.index.matches(cells, 0)?;
        let found = found.iter().filter_map(|one| self.profiles.get(one.right as usize).copied());
        Ok(found.take(most).collect())
    }

    /// Makes room when many have come or gone.
    pub(super) fn renew_if_worn(&mut self) -> Result<(), MatchError> {
        if !self.index.is_worn() {
            return Ok(());
        }
        let rows = self.index.renew()?;
        self.profiles = rows.iter().filter_map(|row| self.profiles.get(*row).copied()).collect();
        self.rows = self.profiles.iter().enumerate().map(|(row, id)| (*id, row)).collect();
        Ok(())
    }
}
