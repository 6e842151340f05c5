//! Rows to batches: events with their message ids, and the rows that are none, in the order of the file.

use std::collections::BTreeMap;

use tessera_model::{EVENT_BYTES_MAX, REJECT_PAYLOAD_BYTES_MAX};

use super::rows::{Mapper, MessageIds, Reader, Row, Trouble};
use super::send::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_REJECTS_MAX, Batch, RejectedRow};

/// Most bytes of rejected rows that wait for their batch.
const REJECT_BYTES_MAX: usize = 1024 * 1024;
/// When so many rows gave no event at all, the mapping does not fit the file.
const HOPELESS_ROWS: u64 = 1_000;
/// Most different reasons that are counted one by one.
const REASONS_MAX: usize = 50;

/// What became of the rows so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Rows of the file.
    pub(super) rows: u64,
    /// Of these, rows that an earlier import had done.
    pub(super) skipped: u64,
    pub(super) events: u64,
    pub(super) rejected: u64,
    /// Why, how often, and on which line first.
    pub(super) reasons: BTreeMap<String, (u64, u64)>,
    /// Whether the file was read to its end.
    pub(super) is_whole: bool,
    /// Whether it was given up because no row fits the mapping.
    pub(super) is_hopeless: bool,
}

impl Tally {
    fn reject(&mut self, reason: &str, line: u64) {
        self.rejected += 1;
        if self.reasons.len() < REASONS_MAX || self.reasons.contains_key(reason) {
            self.reasons.entry(reason.to_owned()).or_insert((0, line)).0 += 1;
        }
    }
}

/// Makes batches of a file's rows.
pub(super) struct Assembler {
    pub(super) mapper: Mapper,
    pub(super) ids: MessageIds,
    /// Rows to leave out, because an earlier import had done them.
    pub(super) skip: u64,
    /// Rows after which to stop.
    pub(super) limit: u64,
    pub(super) tally: Tally,
}

impl Assembler {
    pub(super) fn new(mapper: Mapper, source: &str, limit: Option<u64>) -> Self {
        let ids = MessageIds::new(source);
        Self { mapper, ids, skip: 0, limit: limit.unwrap_or(u64::MAX), tally: Tally::default() }
    }

    /// Reads the file and hands over batches until it ends, or until `take` says `false`.
    ///
    /// # Errors
    /// The file cannot be read on. What was read before has been handed over.
    pub(super) fn run(
        &mut self,
        reader: &mut Reader,
        mut take: impl FnMut(Batch) -> bool,
    ) -> Result<(), Trouble> {
        let mut batch = Batch::default();
        let result = loop {
            if self.tally.rows >= self.limit {
                break Ok(());
            }
            match reader.next() {
                Ok(Some(row)) => self.add(&row, &mut batch),
                Ok(None) => {
                    self.tally.is_whole = true;
                    break Ok(());
                }
                Err(trouble) => break Err(trouble),
            }
            self.tally.is_hopeless = self.tally.events == 0 && self.tally.rejected >= HOPELESS_ROWS;
            let is_full = batch.events >= BATCH_EVENTS_MAX
                || batch.body.len() + EVENT_BYTES_MAX + 8 > BATCH_BYTES_MAX
                || batch.rejects.len() >= BATCH_REJECTS_MAX
                || batch.reject_bytes >= REJECT_BYTES_MAX;
            if (is_full || self.tally.is_hopeless) && !take(std::mem::take(&mut batch)) {
                return Ok(());
            }
            if self.tally.is_hopeless {
                return Ok(());
            }
        };
        if batch.rows > 0 {
            take(batch);
        }
        result
    }

    fn add(&mut self, row: &Row<'_>, batch: &mut Batch) {
        self.tally.rows += 1;
        let is_done = self.tally.rows <= self.skip;
        let body = &mut batch.body;
        let before = body.len();
        body.extend_from_slice(if before == 0 { b"{\"batch\":[" } else { b"," });
        let start = body.len();
        let written = match &row.content {
            Ok(cells) => self.mapper.write(*cells, body),
            Err(reason) => Err(reason.clone()),
        };
        if written.is_ok() {
            let id = self.ids.next(body.get(start..).unwrap_or_default());
            body.extend_from_slice(b",\"messageId\":\"");
            body.extend_from_slice(id.as_bytes());
            body.extend_from_slice(b"\"}");
        }
        match written {
            _ if is_done => {
                body.truncate(before);
                self.tally.skipped += 1;
                return;
            }
            Ok(()) => {
                batch.events += 1;
                self.tally.events += 1;
            }
            Err(reason) => {
                body.truncate(before);
                self.tally.reject(&reason, row.line);
                // One byte more than is kept, so that the server sees that the payload was cut.
                let kept = row.raw.get(..=REJECT_PAYLOAD_BYTES_MAX).unwrap_or(row.raw);
                let payload = String::from_utf8_lossy(kept).into_owned();
                batch.reject_bytes += payload.len();
                batch.rejects.push(RejectedRow { reason, payload, line: row.line });
            }
        }
        batch.rows = self.tally.rows;
    }
}
