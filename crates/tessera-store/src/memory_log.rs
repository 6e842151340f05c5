//! [`MemoryLog`]: the log in plain memory, for tests and as the yardstick of the compliance suite.
//!
//! Not durable: an append is as safe as the process. Positions count records.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tessera_model::Timestamp;

use crate::{Bounds, Entry, Log, LogError, Position, Replace, Retention, Rewritten};

/// A log that lives as long as its value. Limits a record to 16 MiB, as the segment log does.
#[derive(Debug, Default)]
pub struct MemoryLog {
    state: Mutex<State>,
    /// Held for a whole rewrite, so that no other one brings back what it replaced.
    rewriting: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    discarded: u64,
    records: VecDeque<(Timestamp, Arc<[u8]>)>,
}

const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

impl State {
    fn bounds(&self) -> Bounds {
        let end = self.discarded.saturating_add(self.records.len() as u64);
        Bounds { start: Position(self.discarded), end: Position(end) }
    }

    fn size_bytes(&self) -> u64 {
        self.records.iter().map(|(_, record)| record.len() as u64).sum()
    }
}

impl Log for MemoryLog {
    fn append(&self, records: &[&[u8]], now: Timestamp) -> Result<Vec<Position>, LogError> {
        if let Some(record) = records.iter().find(|record| record.len() > RECORD_BYTES_MAX) {
            return Err(LogError::RecordTooLarge { bytes: record.len(), bytes_max: RECORD_BYTES_MAX });
        }
        let mut state = self.state.lock();
        let first = state.bounds().end.0;
        state.records.extend(records.iter().map(|&record| (now, Arc::from(record))));
        Ok((first..state.bounds().end.0).map(Position).collect())
    }

    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Entry>, LogError> {
        let state = self.state.lock();
        let bounds = state.bounds();
        let from = if from == Position::START { bounds.start } else { from };
        if from < bounds.start {
            return Err(LogError::Discarded { asked: from, oldest: bounds.start });
        }
        if from > bounds.end {
            let what = format!("position {} is past the end of the log", from.0);
            return Err(LogError::Corrupt { file: PathBuf::from("memory"), offset: bounds.end.0, what });
        }
        let mut bytes = 0_usize;
        let mut entries = Vec::new();
        for (position, (_, record)) in (bounds.start.0..).zip(&state.records) {
            if position < from.0 {
                continue;
            }
            bytes = bytes.saturating_add(record.len());
            if bytes > bytes_max && !entries.is_empty() {
                break;
            }
            let next = Position(position.saturating_add(1));
            entries.push(Entry { position: Position(position), next, record: Arc::clone(record) });
        }
        Ok(entries)
    }

    fn bounds(&self) -> Bounds {
        self.state.lock().bounds()
    }

    fn size_bytes(&self) -> u64 {
        self.state.lock().size_bytes()
    }

    fn cut(&self, retention: &Retention) -> Position {
        let state = self.state.lock();
        let mut cut = state.bounds().start;
        let mut bytes = state.size_bytes();
        for (at, record) in &state.records {
            let may_go = *at < retention.before || bytes > retention.bytes_max;
            if !may_go || cut >= retention.upto {
                break;
            }
            bytes = bytes.saturating_sub(record.len() as u64);
            cut = Position(cut.0.saturating_add(1));
        }
        cut
    }

    fn discard_before(&self, upto: Position) -> Result<(), LogError> {
        let mut state = self.state.lock();
        while state.discarded < upto.0 && state.records.pop_front().is_some() {
            state.discarded = state.discarded.saturating_add(1);
        }
        Ok(())
    }

    fn rewrite(&self, range: Range<Position>, each: &mut Replace<'_>) -> Result<Rewritten, LogError> {
        let _rewriting = self.rewriting.lock();
        // Copied, so that `each` may use the log.
        let (start, records) = {
            let state = self.state.lock();
            let records: Vec<_> = state.records.iter().map(|(_, record)| Arc::clone(record)).collect();
            (state.discarded, records)
        };
        let mut rewritten = Rewritten::default();
        for (position, record) in (start..).map(Position).zip(records) {
            if !range.contains(&position) {
                continue;
            }
            let Some(new) = each(position, &record).filter(|new| **new != *record) else { continue };
            if new.len() != record.len() {
                let (bytes_before, bytes) = (record.len(), new.len());
                return Err(LogError::Resized { at: position, bytes_before, bytes });
            }
            rewritten.records += 1;
            rewritten.segments = 1;
            rewritten.bytes = rewritten.bytes.saturating_add(new.len() as u64);
            let mut state = self.state.lock();
            let place = position.0.checked_sub(state.discarded).and_then(|place| usize::try_from(place).ok());
            if let Some((_, kept)) = place.and_then(|place| state.records.get_mut(place)) {
                *kept = Arc::from(new);
            }
        }
        Ok(rewritten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_log_keeps_what_every_log_promises() {
        crate::compliance::log::suite(|| {
            let log = Arc::new(MemoryLog::default());
            Box::new(move || Arc::clone(&log) as Arc<dyn Log>)
        });
    }
}
