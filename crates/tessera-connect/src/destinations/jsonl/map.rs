//! Our deliveries as lines, and what the lines at the end of a file say about what it already holds. Pure.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tessera_model::Timestamp;

use super::BATCH_MAX;
use crate::Delivery;
use crate::event_json::{EventJson, NotJson};

/// How every line starts.
pub(super) const LINE_START: &[u8] = b"{\"position\":";
/// How many lines are remembered. A batch that was written but not acknowledged is the last of a file or, when
/// new replays went ahead of it, has one batch after it.
const RECENT_MAX: usize = 2 * BATCH_MAX;

/// An event's place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    position: u64,
    index: u32,
}

#[derive(Serialize)]
struct Line<'a> {
    position: u64,
    index: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replay: bool,
    #[serde(flatten)]
    event: EventJson<'a>,
}

/// The parts of a line that are read back.
#[derive(Deserialize)]
struct WrittenLine {
    position: u64,
    index: u32,
    #[serde(default)]
    replay: bool,
    message_id: String,
    received_at: String,
}

/// Stands for lines that were erased: how far the file reached with them.
#[derive(Serialize)]
struct Erased {
    position: u64,
    index: u32,
    erased: bool,
    message_id: &'static str,
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    received_at: Timestamp,
}

/// A line that this connector did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOurs;

/// What the end of a file says.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    /// The place of the last line that is not a replay, and when the newest event up to there arrived.
    mark: Option<(Place, Timestamp)>,
    /// The last lines.
    recent: VecDeque<(Place, String)>,
}

impl Tail {
    pub(super) fn is_empty(&self) -> bool {
        self.recent.is_empty()
    }

    /// The line that makes a file which ends like `self` reach as far as one which ends like `whole`. Without it
    /// an event that is gone from the file would be written again when it is delivered again.
    pub(super) fn line_to_reach(&self, whole: &Self) -> Result<Option<Vec<u8>>, serde_json::Error> {
        let Some((place, received_at)) = whole.mark.filter(|mark| self.mark != Some(*mark)) else {
            return Ok(None);
        };
        let Place { position, index } = place;
        let mut line =
            serde_json::to_vec(&Erased { position, index, erased: true, message_id: "", received_at })?;
        line.push(b'\n');
        Ok(Some(line))
    }

    /// Takes in the next line of a file, without its line break.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<(), NotOurs> {
        let line: WrittenLine = serde_json::from_slice(line).map_err(|_| NotOurs)?;
        let received_at = Timestamp::parse(&line.received_at).ok_or(NotOurs)?;
        let place = Place { position: line.position, index: line.index };
        self.note(place, line.message_id, (!line.replay).then_some(received_at));
        Ok(())
    }

    /// `received_at` is absent for a replay, whose place says nothing about how far the file reaches.
    fn note(&mut self, place: Place, message_id: String, received_at: Option<Timestamp>) {
        if let Some(received_at) = received_at {
            let newest = match self.mark {
                Some((mark, newest)) if place > mark => newest.max(received_at),
                // A smaller place than the last one belongs to another log.
                Some(_) | None => received_at,
            };
            self.mark = Some((place, newest));
        }
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back((place, message_id));
    }

    /// Whether the file has this delivery already.
    fn holds(&self, delivery: &Delivery) -> bool {
        let place = Place { position: delivery.position, index: delivery.index };
        let is_behind = match self.mark {
            Some((mark, _)) => place <= mark,
            None => false,
        };
        if !is_behind && !delivery.replay {
            return false;
        }
        // A repeat after a crash: the batch that was written but not acknowledged.
        if self.recent.iter().any(|(at, id)| *at == place && *id == delivery.message_id) {
            return true;
        }
        // A repeat after the store was rebuilt from the log. An event that arrived after everything in the file
        // and still has a smaller place is of a new log, begun after the data folder was emptied: skipping it
        // would lose it.
        let arrived_before =
            self.mark.is_some_and(|(_, newest_received_at)| delivery.received_at <= newest_received_at);
        !delivery.replay && arrived_before
    }
}

/// The lines to append for those of `batch` that the file does not hold yet, and what its end then says.
pub(super) fn lines(mut tail: Tail, batch: &[&Delivery]) -> Result<(Vec<u8>, Tail), NotJson> {
    let mut bytes = Vec::new();
    for delivery in batch.iter().copied() {
        if tail.holds(delivery) {
            continue;
        }
        let line = Line {
            position: delivery.position,
            index: delivery.index,
            replay: delivery.replay,
            event: EventJson::of(delivery)?,
        };
        let start = bytes.len();
        serde_json::to_writer(&mut bytes, &line).map_err(|_| NotJson)?;
        // The event is as it came and may be laid out over several lines. JSON has raw line breaks only between
        // values, never within texts.
        for byte in bytes.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        bytes.push(b'\n');
        let place = Place { position: delivery.position, index: delivery.index };
        let received_at = (!delivery.replay).then_some(delivery.received_at);
        tail.note(place, delivery.message_id.clone(), received_at);
    }
    Ok((bytes, tail))
}
