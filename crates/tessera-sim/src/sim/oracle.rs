//! What was promised: which requests were acknowledged, and what the log holds.
//!
//! Not a reader of the log: it is told what each append answered, and compares after each crash. The exact bounds:
//! after a crash the log holds everything that was acknowledged, then perhaps the first records of one append that
//! failed or did not return, and nothing else. What survived like this is in the log for good: a repeat of it is a
//! duplicate, and a repeat of what was denied is denied once more. So from there on every count is exact.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tessera_model::Operation;
use tessera_store::{Entry, Position};

use super::expected::Expected;
use super::message::{Address, Part, Request, Said, Source};
use super::{Checked, Violation, ensure};

/// What a record carries.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    Request { request: Arc<Request>, received_at: i64 },
    Order { operation: Operation, at: i64 },
}

/// A record as it was appended.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) load: Load,
}

/// Everything that was promised.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// The log, oldest first, what retention has removed included.
    landed: Vec<(Position, Sent)>,
    /// Groups whose append failed since the last one that did not.
    failed: Vec<Vec<Sent>>,
    made: BTreeMap<u64, Arc<Request>>,
    acknowledged: BTreeSet<u64>,
    /// Records of failed appends that a crash left in the log.
    pub(crate) survivors: usize,
    /// Appends that failed.
    pub(crate) failures: usize,
    /// Nothing at or after this was ever asked to go.
    pub(crate) asked_upto: Position,
    pub(crate) expected: Expected,
}

impl Oracle {
    /// A client made a request.
    pub(crate) fn made(&mut self, request: &Arc<Request>) {
        self.made.insert(request.number, Arc::clone(request));
    }

    /// A client was told that its request is safe.
    pub(crate) fn acknowledged(&mut self, number: u64) {
        self.acknowledged.insert(number);
    }

    /// One of the requests that were acknowledged.
    pub(crate) fn any_acknowledged(&self, at: usize) -> Option<Arc<Request>> {
        let number = self.acknowledged.iter().nth(at % self.acknowledged.len().max(1))?;
        self.made.get(number).cloned()
    }

    /// An append returned.
    pub(crate) fn landed(&mut self, positions: Vec<Position>, group: Vec<Sent>) {
        for (position, sent) in positions.into_iter().zip(group) {
            self.land(position, sent);
        }
        self.failed.clear();
    }

    /// An append failed.
    pub(crate) fn failed(&mut self, group: Vec<Sent>) {
        self.failed.push(group);
        self.failures += 1;
    }

    /// Whether the workspace is in the log.
    pub(crate) fn is_ready(&self) -> bool {
        self.landed
            .iter()
            .any(|(_, sent)| matches!(sent.load, Load::Order { operation: Operation::Apply { .. }, .. }))
    }

    /// How many records the log has ever held.
    pub(crate) fn records(&self) -> usize {
        self.landed.len()
    }

    fn land(&mut self, position: Position, sent: Sent) {
        match &sent.load {
            Load::Request { request, received_at } => {
                self.expected.request(position.0, *received_at, request)
            }
            Load::Order { operation, at } => self.expected.operation(position.0, *at, operation),
        }
        self.landed.push((position, sent));
    }

    /// Compares with what the log holds after a crash.
    pub(crate) fn recovered(&mut self, start: Position, found: &[Entry]) -> Checked {
        let asked = self.asked_upto;
        ensure(start <= asked, || {
            format!("the log begins at {} though all from {} is needed", start.0, asked.0)
        })?;
        let first = self.landed.partition_point(|(position, _)| *position < start);
        let kept = self.landed.get(first..).unwrap_or_default();
        for (at, (position, sent)) in kept.iter().enumerate() {
            let is_there =
                found.get(at).is_some_and(|entry| entry.position == *position && entry.record == sent.bytes);
            ensure(is_there, || {
                format!("what was acknowledged at position {} is not in the log", position.0)
            })?;
        }
        let more = found.get(kept.len()..).unwrap_or_default();
        self.survivors += more.len();
        if !more.is_empty() {
            let same = |group: &&Vec<Sent>| {
                group.len() >= more.len()
                    && group.iter().zip(more).all(|(sent, entry)| sent.bytes == entry.record)
            };
            let group = self.failed.iter().find(same).cloned();
            let group =
                group.ok_or_else(|| Violation(format!("{} records that nobody appended", more.len())))?;
            for (sent, entry) in group.into_iter().zip(more) {
                self.land(entry.position, sent);
            }
        }
        self.failed.clear();
        Ok(())
    }

    /// Everything that was acknowledged is in the log.
    pub(crate) fn check_acknowledged(&self) -> Checked {
        let landed: BTreeSet<u64> = self.landed_requests().map(|request| request.number).collect();
        let lost = self.acknowledged.difference(&landed).next();
        ensure(lost.is_none(), || format!("request {lost:?} was acknowledged and is not in the log"))
    }

    /// Everything that was made is acknowledged.
    pub(crate) fn check_nothing_waits(&self) -> Checked {
        let waiting = self.made.keys().find(|number| !self.acknowledged.contains(number));
        ensure(waiting.is_none(), || format!("request {waiting:?} was never acknowledged"))
    }

    /// How often each person did what a contract covers: each message that was made, once. Says nothing of order,
    /// so it does not rest on [`Expected`].
    pub(crate) fn made_once(&self) -> BTreeMap<(Address, &'static str), u64> {
        let mut messages: BTreeMap<(Address, &'static str), BTreeSet<&str>> = BTreeMap::new();
        for request in self.made.values() {
            for part in &request.parts {
                let Part::Good(message) = part else { continue };
                if let (Said::Track(name), Source::Web | Source::Till, Some(owner)) =
                    (&message.said, message.source, message.addresses.first())
                {
                    messages.entry((owner.clone(), name)).or_default().insert(&message.id);
                }
            }
        }
        messages.into_iter().map(|(key, ids)| (key, ids.len() as u64)).collect()
    }

    fn landed_requests(&self) -> impl Iterator<Item = &Request> {
        self.landed.iter().filter_map(|(_, sent)| match &sent.load {
            Load::Request { request, .. } => Some(request.as_ref()),
            Load::Order { .. } => None,
        })
    }
}
