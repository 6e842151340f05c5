//! Files whose rows stand by owner made one file whose rows do, without holding more than a batch of each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::interleave_record_batch;
use tessera_model::FragmentId;
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
    fn owner(&mut self) -> Result<Option<FragmentId>, LakeError> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.num_rows()) {
            (self.batch, self.row) = (self.batches.next().transpose()?, 0);
            if self.batch.is_none() {
                return Ok(None);
            }
        }
        let Some(batch) = &self.batch else { return Ok(None) };
        let columns = Columns::of(batch, self.batches.path());
        let owner = columns.texts("fragment_id")?.value(self.row).parse();
        owner.map(Some).map_err(|()| columns.corrupt("fragment_id"))
    }
}

/// Gives all rows of `inputs` to `write`: of one owner together, if each input has them so. An input that has not, from a
/// version that wrote rows as they came, loses nothing.
pub(crate) fn merge_by_owner(
    inputs: Vec<Batches>,
    write: &mut dyn FnMut(&RecordBatch) -> Result<(), LakeError>,
) -> Result<(), LakeError> {
    let inputs = inputs.into_iter().map(|batches| Input { batches, batch: None, row: 0 });
    let mut inputs: Vec<Input> = inputs.collect();
    let mut next = BinaryHeap::new();
    for (number, input) in inputs.iter_mut().enumerate() {
        next.extend(input.owner()?.map(|owner| Reverse((owner, number))));
    }
    let mut out = Out { batches: Vec::new(), places: vec![None; inputs.len()], rows: Vec::new() };
    while let Some(Reverse((owner, number))) = next.pop() {
        let Some(input) = inputs.get_mut(number) else { continue };
        // As long as the owner is the same, the input goes on.
        loop {
            out.take(number, input);
            if out.rows.len() == BATCH_ROWS {
                out.flush(write)?;
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
    out.flush(write)
}

/// Rows that wait to be written.
struct Out {
    batches: Vec<RecordBatch>,
    /// Which of them each input is at.
    places: Vec<Option<usize>>,
    /// Batch and row of each.
    rows: Vec<(usize, usize)>,
}

impl Out {
    /// Takes the row that an input is at.
    fn take(&mut self, number: usize, input: &mut Input) {
        let (Some(batch), Some(place)) = (&input.batch, self.places.get_mut(number)) else { return };
        let at = *place.get_or_insert_with(|| {
            self.batches.push(batch.clone());
            self.batches.len() - 1
        });
        self.rows.push((at, input.row));
        input.row += 1;
        if input.row == batch.num_rows() {
            *place = None;
        }
    }

    fn flush(
        &mut self,
        write: &mut dyn FnMut(&RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        if !self.rows.is_empty() {
            let batches: Vec<&RecordBatch> = self.batches.iter().collect();
            let merged = interleave_record_batch(&batches, &self.rows);
            write(&merged.map_err(|error| corrupt(Path::new("events"), error))?)?;
            self.batches.clear();
            self.rows.clear();
            self.places.fill(None);
        }
        Ok(())
    }
}
