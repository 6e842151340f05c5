//! What goes through the pipeline: one log record, parsed at most once.

use bytes::Bytes;
use tessera_model::{Event, HashKey, ParseContext, Record, Reject, Rules, parse_body};
use tessera_store::{Entry, Position};

use crate::PipelineError;

/// What a body turned out to be: events and rejects, or one reject of the whole.
pub type Parsed = Result<Vec<Result<Event, Reject>>, Reject>;

/// One log record on its way through the pipeline.
#[derive(Debug)]
pub struct Item {
    /// Where it is in the log.
    pub position: Position,
    /// Where the next one is.
    pub next: Position,
    /// The record.
    pub record: Record,
    /// Its events, and the version of the rules they were parsed with.
    pub parsed: Option<(u64, Parsed)>,
    /// How many bytes of the in-flight budget it holds: 0 when it was read back from the log.
    pub bytes: u64,
}

impl Item {
    /// An item read back from the log.
    ///
    /// # Errors
    /// [`PipelineError::Record`].
    pub fn from_entry(entry: &Entry) -> Result<Self, PipelineError> {
        // One copy per record of up to a batch's size; only replays come this way.
        let record = Record::decode(&Bytes::copy_from_slice(&entry.record))
            .map_err(|source| PipelineError::Record { position: entry.position, source })?;
        Ok(Self { position: entry.position, next: entry.next, record, parsed: None, bytes: 0 })
    }

    /// Makes sure that the events are those that `rules` give: a record is parsed again when the workspace has
    /// changed since, for a replay would parse it with the rules in force at its place in the log.
    pub(crate) fn parse(&mut self, rules: &Rules, key: &HashKey) {
        let Record::Ingest { source, received_at, request_id, entrance, gpc, body } = &self.record else {
            return;
        };
        if self.parsed.as_ref().is_some_and(|(version, _)| *version == rules.version) {
            return;
        }
        let (received_at, request_id) = (*received_at, *request_id);
        let context = ParseContext { rules, key, source, received_at, request_id, gpc: *gpc };
        self.parsed = Some((rules.version, parse_body(body, *entrance, &context)));
    }

    /// How many events it holds.
    pub(crate) fn len(&self) -> usize {
        match &self.parsed {
            Some((_, Ok(events))) => events.len(),
            Some((_, Err(_))) | None => 1,
        }
    }
}
