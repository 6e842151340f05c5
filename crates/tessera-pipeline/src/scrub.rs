//! Making unreadable in the log what must not be kept: the events of people who were erased, and events that no purpose
//! covers any more or ever did.
//!
//! A record keeps its place and length; the part that goes is overwritten, and the segment that holds it is written anew.
//! The caller has written a snapshot at or behind `upto`: a replay from before would find less than there was.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Serialize;
use tessera_model::{
    Call, Entrance, Erasing, Event, FragmentId, HashKey, ParseContext, PurposeId, PurposeSet, Record,
    RequestId, Rules, Timestamp, erase_events, find_values, is_erased, pad_operation, parse_body,
};
use tessera_policy::{ConsentRecord, Consents, covering, is_in_time};
use tessera_profile::Row;
use tessera_store::{LakeFate, LakeRewritten, LakeRow, Log, Position, Store};

use crate::query::load_cluster;
use crate::view::cluster_key;
use crate::{LakeFeed, Mentions, PipelineError};

/// What a pass over the log came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scrubbed {
    /// Records looked at.
    pub records: u64,
    /// Events made unreadable.
    pub events: u64,
    /// Orders from which something was taken.
    pub orders: u64,
    /// Segments written anew.
    pub segments: u64,
    /// Bytes of these segments.
    pub bytes: u64,
}

/// A pass over the log.
pub struct Scrub<'a, L, S> {
    /// The log.
    pub log: &'a L,
    /// The store, to decide by.
    pub store: &'a S,
    /// The workspace in force.
    pub rules: &'a Rules,
    /// The installation's key.
    pub key: &'a HashKey,
    /// The moment of the decisions.
    pub now: Timestamp,
}

/// Everything that `members` of a batch, or a body as a whole, turned out to be.
type Found = Vec<Option<Event>>;

/// What becomes of an event, or of a text that is none.
type Decide<'a> = dyn FnMut(Option<&Event>, &str) -> Result<Erasing, PipelineError> + 'a;

impl<L: Log, S: Store> Scrub<'_, L, S> {
    /// Makes unreadable what the log says of these people up to `upto`, and of `spared` what no purpose covers any more. `progress` hears the position now and then.
    ///
    /// # Errors
    /// [`PipelineError`]; what was rewritten stays so, and the rest is done by another pass.
    pub fn people(
        &self,
        mentions: &Mentions<'_>,
        spared: &Mentions<'_>,
        upto: Position,
        progress: &mut dyn FnMut(Position),
    ) -> Result<Scrubbed, PipelineError> {
        self.pass(upto, progress, &mut self.about(mentions, spared), Some(mentions))
    }

    /// The same in the lake.
    ///
    /// # Errors
    /// As [`Scrub::people`].
    pub fn people_in_lake(
        &self,
        feed: &LakeFeed<L, S>,
        mentions: &Mentions<'_>,
        spared: &Mentions<'_>,
    ) -> Result<LakeRewritten, PipelineError> {
        let mut about = self.about(mentions, spared);
        feed.rewrite(&mut |row| {
            if mentions.is_of(row.owner) {
                return Ok(LakeFate::Remove);
            }
            let mut without = self.row_without(row, &mut about)?;
            if mentions.in_words(&row.message_id) {
                without
                    .get_or_insert_with(|| Some(row.clone()))
                    .iter_mut()
                    .for_each(|row| row.message_id = "".into());
            }
            Ok(fate(without))
        })
    }

    /// Removes every row of the lake that no purpose covers, and what no purpose covers any more from the purposes of the
    /// others: a later yes must not open it again.
    ///
    /// # Errors
    /// As [`Scrub::people`].
    pub fn uncovered_in_lake(&self, feed: &LakeFeed<L, S>) -> Result<LakeRewritten, PipelineError> {
        feed.rewrite(&mut |row| {
            let Some(event) = self.event_of(row) else { return Ok(LakeFate::Keep) };
            let Some(covered) = self.covering(&event)? else { return Ok(LakeFate::Remove) };
            let purposes = row.purposes.and(covered);
            Ok(match purposes {
                same if same == row.purposes => LakeFate::Keep,
                none if none.is_empty() => LakeFate::Remove,
                purposes => LakeFate::Replace(Box::new(LakeRow { purposes, ..row.clone() })),
            })
        })
    }

    /// The same of a lake that was filled from the log: besides, nobody who was erased is in it, and no purpose stays that the person
    /// took back in the meantime, for sweeps that are not in the log had taken it out.
    pub(crate) fn refilled_in_lake(&self, feed: &LakeFeed<L, S>) -> Result<LakeRewritten, PipelineError> {
        feed.rewrite(&mut |row| {
            if self.is_erased(row.owner)? {
                return Ok(LakeFate::Remove);
            }
            let Some(event) = self.event_of(row) else { return Ok(LakeFate::Keep) };
            let Some(covered) = self.covering(&event)? else { return Ok(LakeFate::Remove) };
            let purposes = self.never_taken_back(row, row.purposes.and(covered))?;
            Ok(match purposes {
                same if same == row.purposes => LakeFate::Keep,
                none if none.is_empty() => LakeFate::Remove,
                purposes => LakeFate::Replace(Box::new(LakeRow { purposes, ..row.clone() })),
            })
        })
    }

    /// Those of `purposes` that covered a row's event at every word that its person has said since it came.
    fn never_taken_back(&self, row: &LakeRow, purposes: PurposeSet) -> Result<PurposeSet, PipelineError> {
        let Some((cluster, node)) = load_cluster(self.store, row.owner)? else { return Ok(purposes) };
        let words: Vec<ConsentRecord> =
            cluster.component(node).flat_map(|(_, fragment)| fragment.consents.iter()).collect();
        let noes = words.iter().filter(|word| !word.status.is_valid() && word.last_at > row.received_at);
        let mut left = purposes;
        for at in noes.map(|word| word.last_at).collect::<BTreeSet<_>>() {
            let mut then = Consents::default();
            words.iter().filter(|word| word.last_at <= at).for_each(|word| then.add(word.clone()));
            left = covering(&self.rules.purposes, left, [&then].into_iter(), at).0;
        }
        Ok(left)
    }

    /// The row without what is meant; `None`: nothing is, `Some(None)`: all of it is.
    fn row_without(
        &self,
        row: &LakeRow,
        decide: &mut Decide<'_>,
    ) -> Result<Option<Option<LakeRow>>, PipelineError> {
        let event = self.event_of(row);
        let mut failed = None;
        let erased = erase_events(&Bytes::copy_from_slice(row.json.as_bytes()), false, |_, text| {
            decide(event.as_ref(), text).unwrap_or_else(|error| {
                failed = Some(error);
                Erasing::Nothing
            })
        });
        match (failed, erased) {
            (Some(error), _) => Err(error),
            (None, None) => Ok(None),
            (None, Some(body)) => {
                let json = String::from_utf8_lossy(&body);
                Ok(Some((!is_erased(&json)).then(|| LakeRow { json: json.as_ref().into(), ..row.clone() })))
            }
        }
    }

    /// The event of a row of the lake, read by the rules in force.
    fn event_of(&self, row: &LakeRow) -> Option<Event> {
        let entrance = Entrance::CALLS.into_iter().find(|entrance| entrance.call() == Some(&row.call))?;
        let record = Record::Ingest {
            source: row.source.clone(),
            received_at: row.received_at,
            request_id: RequestId::default(),
            entrance,
            gpc: false,
            body: Bytes::copy_from_slice(row.json.as_bytes()),
        };
        let mut event = self.events(&record).pop().flatten()?;
        event.at = row.at;
        Some(event)
    }

    /// What goes of an event when these people are erased.
    fn about<'d>(
        &'d self,
        mentions: &'d Mentions<'_>,
        spared: &'d Mentions<'_>,
    ) -> impl FnMut(Option<&Event>, &str) -> Result<Erasing, PipelineError> + 'd {
        move |event, text| {
            Ok(match event {
                Some(event) if mentions.is_about(event) => Erasing::Everything,
                // What the law obliges to keep of them is covered still.
                Some(event) if spared.is_about(event) && !self.is_covered(event)? => Erasing::Everything,
                None if mentions.in_text(text) || spared.in_text(text) => Erasing::Everything,
                // Somebody else's event that names them: a shared device, an address in a property.
                Some(_) => match find_values(text, |value| mentions.in_words(value)) {
                    places if places.is_empty() => Erasing::Nothing,
                    places => Erasing::Values(places),
                },
                None => Erasing::Nothing,
            })
        }
    }

    /// Makes unreadable every event up to `upto` that no purpose covers: none did when it came, or none does any more.
    ///
    /// # Errors
    /// As [`Scrub::people`].
    pub fn uncovered(
        &self,
        upto: Position,
        progress: &mut dyn FnMut(Position),
    ) -> Result<Scrubbed, PipelineError> {
        let decide: &mut Decide<'_> = &mut |event, _| match event {
            Some(event) if !self.is_covered(event)? => Ok(Erasing::Everything),
            // A reject is left, which a person may still want to mend and replay.
            Some(_) | None => Ok(Erasing::Nothing),
        };
        self.pass(upto, progress, decide, None)
    }

    fn pass(
        &self,
        upto: Position,
        progress: &mut dyn FnMut(Position),
        decide: &mut Decide<'_>,
        mentions: Option<&Mentions<'_>>,
    ) -> Result<Scrubbed, PipelineError> {
        let (mut scrubbed, mut failed) = (Scrubbed::default(), None);
        let start = self.log.bounds().start;
        let rewritten = self.log.rewrite(start..upto, &mut |position, bytes| {
            if failed.is_some() {
                return None;
            }
            scrubbed.records += 1;
            if scrubbed.records % 256 == 0 {
                progress(position);
            }
            match self.record(position, bytes, decide, mentions) {
                Ok(None) => None,
                Ok(Some((bytes, events))) => {
                    scrubbed.events += events;
                    scrubbed.orders += u64::from(events == 0);
                    Some(bytes)
                }
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        scrubbed.segments = rewritten.segments;
        scrubbed.bytes = rewritten.bytes;
        Ok(scrubbed)
    }

    /// The record without what is meant, and how many events went.
    fn record(
        &self,
        position: Position,
        bytes: &[u8],
        decide: &mut Decide<'_>,
        mentions: Option<&Mentions<'_>>,
    ) -> Result<Option<(Vec<u8>, u64)>, PipelineError> {
        let at = |source| PipelineError::Record { position, source };
        let record = Record::decode(&Bytes::copy_from_slice(bytes)).map_err(at)?;
        match &record {
            Record::Operation { at: time, operation } => {
                let Some(mentions) = mentions else { return Ok(None) };
                let without = operation.without(|id| mentions.is_of(id), |text| mentions.in_text(text));
                let Some(operation) = without else { return Ok(None) };
                let record = Record::Operation { at: *time, operation };
                pad_operation(&record, bytes.len()).map(|bytes| Some((bytes, 0))).map_err(at)
            }
            Record::Ingest { entrance, body, .. } => {
                let events = self.events(&record);
                let (mut failed, mut count) = (None, 0);
                let erased = erase_events(body, *entrance == Entrance::Batch, |index, text| {
                    let event = usize::try_from(index).ok().and_then(|at| events.get(at)?.as_ref());
                    let decided = decide(event, text).unwrap_or_else(|error| {
                        failed = Some(error);
                        Erasing::Nothing
                    });
                    count += u64::from(decided != Erasing::Nothing);
                    decided
                });
                match (failed, erased) {
                    (Some(error), _) => Err(error),
                    (None, None) => Ok(None),
                    (None, Some(body)) => {
                        record.encode_with_body(body).map(|bytes| Some((bytes, count))).map_err(at)
                    }
                }
            }
        }
    }

    fn events(&self, record: &Record) -> Found {
        let Record::Ingest { source, received_at, request_id, entrance, gpc, body } = record else {
            return Vec::new();
        };
        let (received_at, request_id, gpc) = (*received_at, *request_id, *gpc);
        let context = ParseContext { rules: self.rules, key: self.key, source, received_at, request_id, gpc };
        let parsed = parse_body(body, *entrance, &context).unwrap_or_default();
        parsed.into_iter().map(Result::ok).collect()
    }

    /// Whether a purpose covered the event when it came, and covers it now.
    fn is_covered(&self, event: &Event) -> Result<bool, PipelineError> {
        Ok(self.covering(event)?.is_some())
    }

    /// The purposes that covered the event when it came and cover it now. `None`: there are none, and it is no proof either.
    fn covering(&self, event: &Event) -> Result<Option<PurposeSet>, PipelineError> {
        // What was said about purposes is the proof of what was done; it goes with the person.
        let is_proof = matches!(event.call, Call::Consent { .. });
        let mut known: BTreeMap<FragmentId, Consents> = BTreeMap::new();
        for identified in &event.identifiers {
            if self.is_erased(identified.id)? {
                return Ok(None);
            }
            let Some((cluster, node)) = load_cluster(self.store, identified.id)? else { continue };
            let ids = cluster.component(node).filter_map(|(at, fragment)| {
                Some((cluster.graph().nodes().get(at)?.id, fragment.consents.clone()))
            });
            known.extend(ids);
        }
        let mut told = Consents::default();
        if let Some(day) = event.born_on {
            told.born_on(day);
        }
        let purposes = &self.rules.purposes;
        let now: PurposeSet = covering(purposes, event.purposes, known.values().chain([&told]), self.now).0;
        let then: Vec<Consents> = known.values().map(|consents| consents.as_of(event.received_at)).collect();
        let then = covering(purposes, now, then.iter().chain([&told]), event.received_at).0;
        let in_time = |id: &PurposeId| {
            purposes.by_id(*id).is_some_and(|purpose| is_in_time(purpose, event.at, self.now))
        };
        let both: PurposeSet = then.iter().filter(in_time).collect();
        Ok((is_proof || !both.is_empty()).then_some(both))
    }

    fn is_erased(&self, id: FragmentId) -> Result<bool, PipelineError> {
        let row = self.store.load(&[cluster_key(id)])?.into_iter().next().flatten();
        Ok(matches!(row.as_deref().map(Row::decode).transpose()?, Some(Row::Tombstone(_))))
    }
}

/// What becomes of a row of the lake of which this is left.
fn fate(without: Option<Option<LakeRow>>) -> LakeFate {
    match without {
        None => LakeFate::Keep,
        Some(None) => LakeFate::Remove,
        Some(Some(row)) => LakeFate::Replace(Box::new(row)),
    }
}
