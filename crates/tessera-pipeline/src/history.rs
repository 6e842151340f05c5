//! What has arrived, read from the log under a workspace of one's choice: to learn a tracking plan, or to try one.
//!
//! Invariant: only events that a purpose covers now are shown to whoever looks.

use bytes::Bytes;
use tessera_model::{
    Event, FragmentId, HashKey, ParseContext, Record, Rules, SourceName, Timestamp, parse_body,
};
use tessera_policy::admit;
use tessera_store::{Log, LogError, Position, Store};

use crate::PipelineError;
use crate::query::load_cluster;

const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Which events.
#[derive(Clone, Copy, Debug)]
pub struct History<'a, L, S> {
    /// Where they are.
    pub log: &'a L,
    /// What people said about purposes.
    pub store: &'a S,
    /// How bodies are read, and by which purposes.
    pub rules: &'a Rules,
    /// The installation's hash key.
    pub key: &'a HashKey,
    /// Of this source only.
    pub source: &'a SourceName,
    /// That arrived at this time or later.
    pub since: Timestamp,
    /// Most events.
    pub events_max: u64,
    /// Now.
    pub now: Timestamp,
}

/// How far a reading came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Events shown.
    pub events: u64,
    /// Events that no purpose covers now.
    pub denied: u64,
    /// Whether there are more.
    pub is_cut: bool,
}

impl<L: Log, S: Store> History<'_, L, S> {
    /// Shows each event, with the profile of whom it is about.
    ///
    /// # Errors
    /// Those of log and store.
    pub fn each(&self, mut show: impl FnMut(&Event, FragmentId)) -> Result<Scanned, PipelineError> {
        let bounds = self.log.bounds();
        let mut at = bounds.start;
        let mut scanned = Scanned::default();
        while at < bounds.end {
            let entries = match self.log.read(at, READ_BYTES_MAX) {
                Ok(entries) => entries,
                // Retention was faster.
                Err(LogError::Discarded { .. }) => {
                    at = self.log.bounds().start.max(Position(at.0 + 1));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let Some(last) = entries.last() else { break };
            at = last.next;
            for entry in &entries {
                let record = Record::decode(&Bytes::copy_from_slice(&entry.record))
                    .map_err(|source| PipelineError::Record { position: entry.position, source })?;
                for event in self.events(&record) {
                    if scanned.events >= self.events_max {
                        return Ok(Scanned { is_cut: true, ..scanned });
                    }
                    match self.profile_of(&event)? {
                        Some(profile) => {
                            scanned.events += 1;
                            show(&event, profile);
                        }
                        None => scanned.denied += 1,
                    }
                }
            }
        }
        Ok(scanned)
    }

    fn events(&self, record: &Record) -> Vec<Event> {
        let Record::Ingest { source, received_at, request_id, entrance, gpc, body } = record else {
            return Vec::new();
        };
        if source != self.source || *received_at < self.since {
            return Vec::new();
        }
        let (received_at, request_id, gpc) = (*received_at, *request_id, *gpc);
        let context = ParseContext { rules: self.rules, key: self.key, source, received_at, request_id, gpc };
        parse_body(body, *entrance, &context).unwrap_or_default().into_iter().filter_map(Result::ok).collect()
    }

    /// Whom the event is about, if some purpose covers it now.
    fn profile_of(&self, event: &Event) -> Result<Option<FragmentId>, PipelineError> {
        let Some(owner) = event.owner() else { return Ok(None) };
        // Nothing is known of somebody whose events were all refused; what they did not say, they did not permit.
        let found = load_cluster(self.store, owner.id)?;
        let consents = found.iter().flat_map(|(cluster, node)| cluster.component(*node));
        let consents = consents.map(|(_, fragment)| &fragment.consents);
        let is_covered = admit(&self.rules.purposes, event.purposes, consents, self.now).is_ok();
        let profile = found.as_ref().map_or(owner.id, |(cluster, node)| cluster.profile_id(*node));
        Ok(is_covered.then_some(profile))
    }
}
