//! Files whose rows stand by owner made one file whose rows do, without holding more than a batch of each.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::interleave_record_batch;
use tessera_store::LakeError;

use crate::columns::Columns;
use crate::files::{BATCH_ROWS, Batches};
use crate::table::corrupt;

/// A file that is being read.
struct Input {
    batches: Batches,
    batch: Option<RecordBatch>,
    row: usize,
}

impl Input {
    /// The owner of the row that comes next.
    fn owner(&mut self) -> Result<Option<String>, LakeError> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.num_rows()) {
            (self.batch, self.row) = (self.batches.next().transpose()?, 0);
            if self.batch.is_none() {
                return Ok(None);
            }
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let owners = Columns::of(batch, self.batches.path()).texts("fragment_id")?;
        Ok(Some(owners.value(self.row).to_owned()))
    }
}

/// Gives all rows of `inputs` to `write`: of one owner together, if each input has them so. An input that has not, from a
/// version that wrote rows as they came, loses nothing.
pub(crate) fn merge_by_owner(
    inputs: Vec<Batches>,
    write: &mut dyn FnMut(&RecordBatch) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let inputs = inputs.into_iter().map(|batches| Input { batches, batch: None, row: 0 });
    let mut inputs: VecDeque<Input> = inputs.collect();
    let mut next = BinaryHeap::new();
    for (number, input) in inputs.iter_mut().enumerate() {
        next.extend(input.owner()?.map(|owner| Reverse((owner, number))));
    }
    let mut out = Out { batches: Vec::new(), rows: Vec::new() };
    // Which of the batches of `out` each input is at.
    let mut places: Vec<Option<usize>> = vec![None; inputs.len()];
    while let Some(Reverse((owner, number))) = next.pop() {
        let Some(input) = inputs.get_mut(number) else { continue };
        // As long as the owner is the same, the input goes on.
        loop {
            if let (Some(batch), Some(place)) = (&input.batch, places.get_mut(number)) {
                let place = *place.get_or_insert_with(|| {
                    out.batches.push(batch.clone());
                    out.batches.len() - 1
                });
                out.rows.push((place, input.row));
            }
            input.row += 1;
            if input.batch.as_ref().is_none_or(|batch| input.row >= batch.num_rows()) {
                places.iter_mut().skip(number).take(1).for_each(|place| *place = None);
            }
            if out.rows.len() == BATCH_ROWS {
                out.flush(input, write)?;
                places.iter_mut().for_each(|place| *place = None);
            }
            match input.owner()? {
                Some(found) if found == owner => {}
                Some(found) => {
                    next.push(Reverse((found, number)));
                    break;
                }
                None => break,
            }
        }
    }
    match inputs.front() {
        Some(input) => out.flush(input, write),
        None => Ok(()),
    }
}

/// Rows that wait to be written.
struct Out {
    batches: Vec<RecordBatch>,
    /// Batch and row of each.
    rows: Vec<(usize, usize)>,
}

impl Out {
    fn flush(
        &mut self,
        of: &Input,
        write: &mut dyn FnMut(&RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let merged = interleave_record_batch(&batches, &self.rows);
        write(&merged.map_err(|error| corrupt(of.batches.path(), error))?)?;
        (self.batches, self.rows) = (Vec::new(), Vec::new());
        Ok(())
    }
}
