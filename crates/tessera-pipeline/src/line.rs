//! The queue of one destination, and what happens to its head.
//!
//! Invariants: what leaves is recorded before it leaves; the decision is taken on a state that holds everything that was
//! acknowledged before, and once more after the record is durable; rows leave the queue only after the destination's
//! answer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tessera_connect::{Delivery, Destination, Forget, ForgetKind, Names, Outcome, backoff};
use tessera_evidence::{self as evidence_entry, Entry, NoticeStatus, OutcomeStatus, Right, Withheld};
use tessera_model::{DestinationDocument, FragmentId, Rules, Timestamp};
use tessera_policy::{
    Act, Consents, Denial, Labels, Permit, Permitted, Reason, Screen, decide, decide_channel,
};
use tessera_store::{Change, Changes, Clock, Key, Store, Table, Value};

use crate::audience::{Membership, Telling};
use crate::delivery::{Counters, ERASE, Told, decode, encode, rows};
use crate::outbox::{OutboxRow, outbox_key, place_of};
use crate::query::load_cluster;
use crate::{CourierOptions, DeadLetter, Mentions, PipelineError};

const IDLE: Duration = Duration::from_millis(50);
const BARRIER_PAUSE_MILLIS: u64 = 50;
/// Why a delivery that is recorded did not leave: what was permitted had changed when it was to be sent.
pub const NOT_SENT: &str = "not sent: the decision changed";

/// What may leave of some rows, and the record of it.
#[derive(Default)]
struct Leaving {
    places: Vec<(u64, u32)>,
    deliveries: Vec<Permitted<Delivery>>,
    entries: Vec<Entry>,
    /// What of these rows tells of members: whose they are, and the profile that is told.
    members: Vec<(FragmentId, Membership, FragmentId)>,
    /// Somebody who left an audience, of whom the destination may be told nothing any more: it is told to use no more what
    /// it has.
    objection: Option<FragmentId>,
}

/// One row on its way.
struct Waiting {
    key: Key,
    stored: Value,
    row: OutboxRow,
}

/// The queue of one destination.
pub(crate) struct Line<S> {
    pub(crate) store: Arc<S>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: Arc<ArcSwap<Rules>>,
    pub(crate) document: DestinationDocument,
    pub(crate) give_up_after_millis: i64,
    pub(crate) options: CourierOptions,
    pub(crate) destination: Box<dyn Destination>,
    pub(crate) screen: Mutex<Option<(u64, Arc<Screen>)>>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) counters: Arc<Counters>,
}

impl<S: Store> Line<S> {
    pub(crate) fn run(mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            let worked = self.outbox().and_then(|sent| Ok(sent + self.replays()?));
            match worked {
                Ok(0) => std::thread::sleep(IDLE),
                Ok(_) => {}
                Err(error) => {
                    tracing::error!(destination = %self.document.name, code = error.code(), "cannot read the outbox: {error}");
                    self.pause(5_000);
                }
            }
        }
    }

    fn cursor_name(&self) -> String {
        format!("delivery/{}", self.document.name)
    }

    /// Sends the next rows of the outbox. Returns how many left it.
    pub(crate) fn outbox(&mut self) -> Result<usize, PipelineError> {
        let name = &self.document.name;
        let cursor = self.store.cursor(&self.cursor_name())?.unwrap_or(0);
        let found = rows(self.store.as_ref(), Table::Outbox, name, None, self.destination.batch_max())?;
        let (mut done, mut waiting) = (Vec::new(), Vec::new());
        let mut telling = Telling::new(self.store.as_ref(), name);
        for (key, stored) in found {
            let row = OutboxRow::decode(&stored)?;
            // A crash has brought back rows that were delivered before it. A notice stands at the place of its order,
            // which the queue may have passed before it was put there; to tell it again does no harm.
            let is_past = place_of(&key).is_some_and(|(position, _)| position < cursor);
            if is_past && row.call != ERASE {
                self.note_past(&row, &mut telling)?;
                done.push(Change { key, before: Some(stored), after: None });
            } else {
                waiting.push(Waiting { key, stored, row });
            }
        }
        // A notice goes alone, behind what came before it.
        let notice = waiting.iter().position(|one| one.row.call == ERASE);
        waiting.truncate(notice.map_or(waiting.len(), |at| at.max(1)));
        let count = done.len() + waiting.len();
        done.extend(telling.into_rows());
        if !done.is_empty() {
            self.store.commit(Changes { rows: done, upto: None })?;
        }
        if !waiting.is_empty() && !self.send(&waiting, false)? {
            return Ok(0);
        }
        Ok(count)
    }

    /// Sends dead letters that somebody asked to try again.
    fn replays(&mut self) -> Result<usize, PipelineError> {
        let found = rows(self.store.as_ref(), Table::DeadLetter, &self.document.name, None, 1000)?;
        let mut count = 0;
        for (key, stored) in found {
            let letter = decode(&stored)?;
            if letter.is_replayed {
                count += 1;
                let waiting = [Waiting { key, stored, row: letter.row }];
                if !self.send(&waiting, true)? {
                    break;
                }
            }
        }
        Ok(count)
    }

    /// Sends rows until they are delivered, denied or given up. `false` when the courier is to stop first.
    fn send(&mut self, waiting: &[Waiting], is_replay: bool) -> Result<bool, PipelineError> {
        let mut attempt = 0;
        loop {
            let mut members = Vec::new();
            let (outcome, sent) = match waiting {
                [notice] if notice.row.call == ERASE => (self.forget(notice)?, 1),
                _ => {
                    let Some(leaving) = self.permit(waiting, is_replay, attempt)? else {
                        if !self.pause(BARRIER_PAUSE_MILLIS) {
                            return Ok(false);
                        }
                        continue;
                    };
                    match (leaving.objection, waiting) {
                        (Some(_), [_, _, ..]) => return self.send_each(waiting, is_replay),
                        (Some(profile), [one]) => {
                            (self.depart(&one.row, profile, place_of(&one.key).unwrap_or_default())?, 1)
                        }
                        (None, _) | (Some(_), []) => {
                            match self.deliver(waiting, is_replay, attempt, &leaving)? {
                                None => continue,
                                Some(outcome) => {
                                    members = leaving.members;
                                    (outcome, leaving.deliveries.len())
                                }
                            }
                        }
                    }
                }
            };
            match outcome {
                Outcome::Delivered => {
                    self.counters.delivered.fetch_add(count(sent), Ordering::Relaxed);
                    self.counters.denied.fetch_add(count(waiting.len() - sent), Ordering::Relaxed);
                    *self.counters.trouble.lock() = None;
                    self.remove(waiting, &members)?;
                    return Ok(true);
                }
                Outcome::Refused { reason } if waiting.len() > 1 => {
                    // One bad event must not condemn its batch.
                    *self.counters.trouble.lock() = Some(reason);
                    return self.send_each(waiting, is_replay);
                }
                Outcome::Refused { reason } => return self.give_up(waiting, &reason).map(|()| true),
                Outcome::Retry { after_millis, reason } => {
                    self.counters.retries.fetch_add(1, Ordering::Relaxed);
                    *self.counters.trouble.lock() = Some(reason.clone());
                    if is_replay || self.is_too_old(waiting) {
                        return self.give_up(waiting, &reason).map(|()| true);
                    }
                    let pause = backoff::delay_millis(attempt, rand::random()).max(after_millis.unwrap_or(0));
                    attempt = attempt.saturating_add(1);
                    if !self.pause(pause) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Sends each row by itself.
    fn send_each(&mut self, waiting: &[Waiting], is_replay: bool) -> Result<bool, PipelineError> {
        for one in waiting {
            if !self.send(std::slice::from_ref(one), is_replay)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells the destination to use no more what it has of somebody who left an audience because the purpose may not any
    /// more: no event about them may leave, and yet they must not stay a member there (GDPR Art. 7(3), 21(3)).
    pub(crate) fn object(&mut self, row: &OutboxRow, profile: FragmentId) -> Result<Outcome, PipelineError> {
        let (rules, key) = (self.rules.load_full(), self.options.key.clone());
        let meant = vec![row.owner];
        let notice = Forget {
            request: row.message_id.clone(),
            regulation: "gdpr".to_owned(),
            kind: ForgetKind::Object,
            profiles: [profile.to_string()].into_iter().collect(),
            message_ids: BTreeSet::new(),
            names: Names::new(move |event| Mentions::new(&meant, &rules, &key).in_text(event)),
        };
        let outcome = self.destination.forget(&notice);
        self.record_notice((&notice.request, row.owner, Right::Objection), &outcome)?;
        Ok(outcome)
    }

    /// Tells the destination of an erasure, and records what it answered. Before, of the audiences that they leave by it.
    fn forget(&mut self, waiting: &Waiting) -> Result<Outcome, PipelineError> {
        let row = &waiting.row;
        let told: Told = serde_json::from_str(&row.json)
            .map_err(|e| PipelineError::Stored { what: "notice", why: e.to_string() })?;
        let (rules, key) = (self.rules.load_full(), self.options.key.clone());
        let people: Vec<FragmentId> = told.profiles.iter().filter_map(|id| id.parse().ok()).collect();
        let (position, _) = place_of(&waiting.key).unwrap_or_default();
        if let Some(again) = self.depart_all(&people, row, position)? {
            return Ok(again);
        }
        let meant = people.clone();
        let notice = Forget {
            request: told.request.clone(),
            regulation: "gdpr".to_owned(),
            kind: ForgetKind::Erase,
            profiles: told.profiles.into_iter().collect(),
            message_ids: BTreeSet::new(),
            names: Names::new(move |event| Mentions::new(&meant, &rules, &key).in_text(event)),
        };
        let outcome = self.destination.forget(&notice);
        let subject = people.first().copied().unwrap_or_default();
        self.record_notice((&told.request, subject, Right::Erasure), &outcome)?;
        Ok(outcome)
    }

    pub(crate) fn record_notice(
        &self,
        (request, subject, right): (&str, FragmentId, Right),
        outcome: &Outcome,
    ) -> Result<(), PipelineError> {
        if let Some(evidence) = &self.options.evidence {
            let (status, detail) = match outcome {
                Outcome::Delivered => (NoticeStatus::Accepted, None),
                Outcome::Refused { reason } => (NoticeStatus::Refused, Some(reason)),
                Outcome::Retry { reason, .. } => (NoticeStatus::Failed, Some(reason)),
            };
            evidence.append(&[Entry::Notice(evidence_entry::Notice {
                destination: self.document.name.clone(),
                request: request.into(),
                subject,
                right,
                status,
                detail: detail.map(|reason| reason.as_str().into()),
            })])?;
        }
        Ok(())
    }

    /// Records what is about to leave, asks once more whether it may, and sends it. `None`: what was permitted has
    /// changed meanwhile, so that all begins anew.
    fn deliver(
        &mut self,
        waiting: &[Waiting],
        is_replay: bool,
        attempt: u32,
        leaving: &Leaving,
    ) -> Result<Option<Outcome>, PipelineError> {
        if leaving.deliveries.is_empty() {
            return Ok(Some(Outcome::Delivered));
        }
        let Some(evidence) = self.options.evidence.clone() else {
            return Ok(Some(self.destination.deliver(&leaving.deliveries)));
        };
        let seqs = evidence.append(&leaving.entries)?;
        let outcome = |result, reason: Option<&str>| {
            let reason = reason.map(Into::into);
            let destination = self.document.name.clone();
            let (first, last) = (*seqs.start(), *seqs.end());
            [Entry::Outcome(evidence_entry::Outcome { destination, first, last, result, reason })]
        };
        // Writing took its time, in which a withdrawal may have been acknowledged.
        let is_same =
            self.permit(waiting, is_replay, attempt)?.is_some_and(|again| again.places == leaving.places);
        if !is_same {
            evidence.append(&outcome(OutcomeStatus::Refused, Some(NOT_SENT)))?;
            return Ok(None);
        }
        let sent = self.destination.deliver(&leaving.deliveries);
        let recorded = match &sent {
            Outcome::Delivered => outcome(OutcomeStatus::Delivered, None),
            Outcome::Refused { reason } => outcome(OutcomeStatus::Refused, Some(reason)),
            Outcome::Retry { reason, .. } => outcome(OutcomeStatus::Retry, Some(reason)),
        };
        evidence.append(&recorded)?;
        Ok(Some(sent))
    }

    /// The gate, at the moment of sending. `None`: the state is behind what was acknowledged.
    fn permit(
        &self,
        waiting: &[Waiting],
        is_replay: bool,
        attempt: u32,
    ) -> Result<Option<Leaving>, PipelineError> {
        if !(self.options.barrier)() {
            return Ok(None);
        }
        let rules = self.rules.load();
        let now = self.clock.now();
        let mut leaving = Leaving::default();
        for one in waiting {
            let Some((cluster, node)) = load_cluster(self.store.as_ref(), one.row.owner)? else { continue };
            let consents = || cluster.component(node).map(|(_, fragment)| &fragment.consents);
            let (position, index) = place_of(&one.key).unwrap_or_default();
            let profile = cluster.profile_id(node);
            let Some(screen) = self.screen(&rules) else { continue };
            let screened = screen.screen(&one.row.json);
            let permitted = self.decide(&rules, &one.row, consents, now).and_then(|permit| {
                let json = screened.json.into_owned();
                let delivery = one.row.delivery(profile.to_string(), (position, index), is_replay, json);
                permit.seal(delivery, one.row.purposes, one.row.at)
            });
            if let Err(denial) = &permitted
                && !matches!(denial, Denial::Region | Denial::Erased)
                && Membership::told_by(&one.row).is_some_and(|membership| !membership.is_member)
            {
                leaving.objection = Some(profile);
            }
            if let Ok(delivery) = permitted {
                let fields = (screened.fields, screened.withheld);
                let entry = self.evidence_of(&rules, &one.row, &delivery, profile, fields, attempt);
                let membership = Membership::told_by(&one.row);
                leaving.members.extend(membership.map(|told| (one.row.owner, told, profile)));
                leaving.places.push((position, index));
                leaving.entries.push(entry);
                leaving.deliveries.push(delivery);
            }
        }
        Ok(Some(leaving))
    }

    fn decide<'a, I: Iterator<Item = &'a Consents>>(
        &self,
        rules: &Rules,
        row: &OutboxRow,
        consents: impl Fn() -> I,
        now: Timestamp,
    ) -> Result<Permit, Denial> {
        let purpose = rules.purposes.get(&self.document.purpose).ok_or(Denial::UnknownPurpose)?;
        let permit = decide(purpose, Act::Use, consents(), now)?;
        if let Some(channel) = &self.document.channel {
            decide_channel(channel, consents())?;
        }
        let is_covered =
            self.document.region.as_ref().is_none_or(|region| purpose.document.regions.contains(region));
        if !is_covered {
            return Err(Denial::Region);
        }
        if permit.covers(row.purposes, row.at) { Ok(permit) } else { Err(Denial::NotServed) }
    }

    /// What may leave to this destination, as the workspace in force says; made once for each version of it.
    fn screen(&self, rules: &Rules) -> Option<Arc<Screen>> {
        let mut known = self.screen.lock();
        if let Some((version, screen)) = known.as_ref()
            && *version == rules.version
        {
            return Some(Arc::clone(screen));
        }
        let purpose = rules.purposes.get(&self.document.purpose)?;
        let screen = Arc::new(Screen::new(&Labels::new(rules), purpose, &self.document));
        *known = Some((rules.version, Arc::clone(&screen)));
        Some(screen)
    }

    fn evidence_of(
        &self,
        rules: &Rules,
        row: &OutboxRow,
        delivery: &Permitted<Delivery>,
        profile: FragmentId,
        (fields, withheld): (Vec<String>, Vec<(String, Reason)>),
        attempt: u32,
    ) -> Entry {
        let permit = delivery.permit();
        let hash = self.options.key.hash128(&[b"evidence message", row.message_id.as_bytes()]);
        Entry::Delivery(evidence_entry::Delivery {
            subject: row.owner,
            profile,
            destination: self.document.name.clone(),
            region: self.document.region.as_deref().map(Into::into),
            purpose: permit.purpose().clone(),
            purpose_version: permit.version(),
            basis: permit.basis(),
            consent: permit.proof().map(|proof| evidence_entry::Consent {
                status: proof.status,
                at: proof.at,
                version: proof.version,
                source: proof.source.as_str().into(),
            }),
            policy_version: rules.version,
            fields: fields.into_iter().map(Into::into).collect(),
            withheld: withheld
                .into_iter()
                .map(|(field, reason)| Withheld { field: field.into(), reason: reason.to_string().into() })
                .collect(),
            message: FragmentId(hash).to_string().into(),
            attempt: attempt.saturating_add(1),
        })
    }

    fn is_too_old(&self, waiting: &[Waiting]) -> bool {
        let now = self.clock.now();
        waiting.iter().all(|one| now.millis_since(one.row.received_at) > self.give_up_after_millis)
    }

    /// Takes rows off their table and moves the cursor past them, durably; `members` is what the destination was told of members.
    fn remove(
        &self,
        waiting: &[Waiting],
        members: &[(FragmentId, Membership, FragmentId)],
    ) -> Result<(), PipelineError> {
        let mut telling = Telling::new(self.store.as_ref(), &self.document.name);
        for (owner, membership, profile) in members {
            telling.tell(*owner, membership, *profile)?;
        }
        let done =
            waiting.iter().map(|one| Change { key: one.key, before: Some(one.stored.clone()), after: None });
        let rows = done.chain(telling.into_rows()).collect();
        self.store.commit(Changes { rows, upto: None })?;
        self.move_cursor(waiting)
    }

    /// Everything before the last row's record is done; the record itself may have more rows.
    fn move_cursor(&self, waiting: &[Waiting]) -> Result<(), PipelineError> {
        let last = waiting
            .iter()
            .filter(|one| one.key.table() == Table::Outbox)
            .filter_map(|one| place_of(&one.key))
            .max();
        let Some((position, _)) = last else { return Ok(()) };
        let name = self.cursor_name();
        if self.store.cursor(&name)?.unwrap_or(0) < position {
            self.store.set_cursor(&name, position)?;
        }
        Ok(())
    }

    fn give_up(&self, waiting: &[Waiting], reason: &str) -> Result<(), PipelineError> {
        let mut rows = Vec::new();
        for one in waiting {
            let letter = DeadLetter {
                row: one.row.clone(),
                reason: reason.to_owned(),
                at: self.clock.now(),
                is_replayed: false,
            };
            let (position, index) = place_of(&one.key).unwrap_or_default();
            let key = outbox_key(Table::DeadLetter, &self.document.name, position, index);
            let after = Some(encode(&letter)?);
            if key == one.key {
                rows.push(Change { key, before: Some(one.stored.clone()), after });
            } else {
                rows.push(Change { key: one.key, before: Some(one.stored.clone()), after: None });
                let before = self.store.load(&[key])?.into_iter().next().flatten();
                rows.push(Change { key, before, after });
            }
        }
        self.store.commit(Changes { rows, upto: None })?;
        // The dead letter must outlive a crash that the cursor outlives.
        self.store.checkpoint()?;
        self.move_cursor(waiting)?;
        tracing::warn!(destination = %self.document.name, deliveries = waiting.len(), "gave deliveries up: {reason}");
        Ok(())
    }

    /// Sleeps, unless the courier is to stop: then `false`.
    fn pause(&self, millis: u64) -> bool {
        let mut left = millis;
        while left > 0 {
            if self.stop.load(Ordering::SeqCst) {
                return false;
            }
            let slice = left.min(50);
            std::thread::sleep(Duration::from_millis(slice));
            left -= slice;
        }
        !self.stop.load(Ordering::SeqCst)
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
