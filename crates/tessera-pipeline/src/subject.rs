//! What is held of a person, for the person: everything for access, the portable part for portability.
//!
//! Not the profile API: no purpose is asked. Invariant: it leaves only as [`Permitted`] by a [`SubjectRight`], which
//! rests on a check of who the person is. Reference: GDPR Art. 15(1) and (3), 20(1).

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tessera_model::{
    ConsentStatus, DataCategory, DestinationName, Event, Expression, FragmentId, HashKey, IdentifierForm,
    Json, LegalBasis, ParseContext, Party, PurposeName, PurposeSet, Record, Rules, SourceName, Timestamp,
    parse_body,
};
use tessera_policy::{ConsentRecord, Permitted, SubjectRight};
use tessera_profile::{Basis, Cluster, Fragment, IdentifierView, SubscriptionView, fold, subscriptions};
use tessera_store::{Log, LogError, Position, Store, Table};

use crate::outbox::{OutboxRow, prefix};
use crate::query::{event_at, load_cluster};
use crate::replay::for_each_row;
use crate::will::ids_of;
use crate::{DeadLetter, Mentions, PipelineError, RejectId, RejectRow};

const READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most events in one answer; how many more there are is told.
const EVENTS_MAX: usize = 200_000;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Where to look for a person.
pub struct Search<'a, L, S> {
    /// The log.
    pub log: &'a L,
    /// The store.
    pub store: &'a S,
    /// The workspace in force.
    pub rules: &'a Rules,
    /// The installation's key.
    pub key: &'a HashKey,
}

/// Everything that is held of a person, or its portable part.
#[derive(Debug, Serialize)]
pub struct Holdings {
    /// Each profile that an identifier of the request leads to.
    pub profiles: Vec<HeldProfile>,
    /// Each event about the person that the log has, oldest first.
    pub events: Vec<HeldEvent>,
    /// Events beyond the first 200,000.
    pub events_left_out: u64,
    /// What was refused and names the person. Not part of portability.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rejects: Vec<HeldReject>,
    /// What waits for a destination, or was refused by one. Not part of portability.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<HeldDelivery>,
    /// Every fragment of the person, to find what is recorded of them elsewhere.
    #[serde(skip)]
    pub fragments: Vec<FragmentId>,
}

/// A profile with everything in it.
#[derive(Debug, Serialize)]
pub struct HeldProfile {
    /// Its id.
    pub id: String,
    /// Its identifiers.
    pub identifiers: Vec<HeldIdentifier>,
    /// Its traits, as each identifier has them.
    pub traits: Vec<HeldTrait>,
    /// Every word about purposes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<HeldConsent>,
    /// Which contact points take messages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<SubscriptionView>,
    /// Accounts that it belongs to.
    pub accounts: Vec<HeldAccount>,
    /// How often events happened.
    pub event_counts: Vec<HeldCount>,
}

/// An identifier.
#[derive(Debug, Serialize)]
pub struct HeldIdentifier {
    /// Its namespace.
    pub namespace: String,
    /// Its value.
    pub value: String,
    /// Whether only its SHA-256 is known, which the value then is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_hashed: bool,
    /// The earliest event that named it.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub first_seen_at: Timestamp,
    /// The latest.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub last_seen_at: Timestamp,
}

/// Why something is held: which source brought it, and for which purposes it may be kept until when.
#[derive(Clone, Debug, Serialize)]
pub struct HeldBasis {
    /// The source.
    pub source: SourceName,
    /// Zero-, first-, second- or third-party.
    pub party: Party,
    /// What kind of data.
    pub category: DataCategory,
    /// The purposes.
    pub purposes: Vec<HeldPurpose>,
}

/// A purpose that something is held for.
#[derive(Clone, Debug, Serialize)]
pub struct HeldPurpose {
    /// The purpose.
    pub purpose: PurposeName,
    /// Its legal basis; absent when it is not declared any more.
    pub basis: Option<LegalBasis>,
    /// Until when it may be kept for it; absent: until the purpose ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A trait.
#[derive(Debug, Serialize)]
pub struct HeldTrait {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Box<RawValue>,
    /// Under which identifier.
    pub identifier: IdentifierView,
    /// Since when.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// The event that said it.
    pub message_id: String,
    /// Why it is held.
    #[serde(flatten)]
    pub basis: HeldBasis,
}

/// A word about a purpose.
#[derive(Debug, Serialize)]
pub struct HeldConsent {
    /// The purpose; absent: the whole person.
    pub purpose: Option<PurposeName>,
    /// What was said.
    pub status: ConsentStatus,
    /// How clearly.
    pub expression: Expression,
    /// About which version of the purpose.
    pub version: u32,
    /// When it was said first.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub first_at: Timestamp,
    /// When it was said last.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub last_at: Timestamp,
    /// Which source brought it.
    pub source: SourceName,
    /// By which form, channel or request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<Box<str>>,
    /// Where the proof is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Box<str>>,
}

/// An account.
#[derive(Debug, Serialize)]
pub struct HeldAccount {
    /// Its id.
    pub account_id: String,
    /// Since when the person belongs to it.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub since: Timestamp,
    /// Why it is held.
    #[serde(flatten)]
    pub basis: HeldBasis,
}

/// How often an event happened.
#[derive(Debug, Serialize)]
pub struct HeldCount {
    /// The event.
    pub event: String,
    /// How often.
    pub count: u64,
    /// The first time.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub first_at: Timestamp,
    /// The last time.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub last_at: Timestamp,
    /// Why it is held.
    #[serde(flatten)]
    pub basis: HeldBasis,
}

/// An event.
#[derive(Debug, Serialize)]
pub struct HeldEvent {
    /// When it happened.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// When it arrived.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub received_at: Timestamp,
    /// Which source sent it.
    pub source: SourceName,
    /// What it is called.
    pub name: String,
    /// The purposes that its source declares for it.
    pub purposes: Vec<PurposeName>,
    /// The event as it came.
    pub event: Box<RawValue>,
}

/// A reject.
#[derive(Debug, Serialize)]
pub struct HeldReject {
    /// Its id.
    pub id: String,
    /// When it came.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// Which source sent it.
    pub source: SourceName,
    /// Why it was refused.
    pub reason: String,
    /// What came.
    pub payload: String,
}

/// A delivery that has not been made.
#[derive(Debug, Serialize)]
pub struct HeldDelivery {
    /// Where it is to go.
    pub destination: Option<DestinationName>,
    /// Why it was given up, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// When the event happened.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// The event.
    pub event: Box<RawValue>,
}

/// How far a search is, in bytes of log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Searched {
    /// How far.
    pub done: u64,
    /// Out of.
    pub total: u64,
}

impl<L: Log, S: Store> Search<'_, L, S> {
    /// Everything that is held of the people of `subjects`, as far as `right` opens it. Reads the whole log;
    /// `progress` hears how far it is and says `false` to break off, which answers `None`.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn holdings(
        &self,
        subjects: &[FragmentId],
        right: &SubjectRight,
        progress: &mut dyn FnMut(Searched) -> bool,
    ) -> Result<Option<Permitted<Holdings, SubjectRight>>, PipelineError> {
        let opened = Opened::by(right, self.rules);
        let mut found = Holdings {
            profiles: Vec::new(),
            events: Vec::new(),
            events_left_out: 0,
            rejects: Vec::new(),
            waiting: Vec::new(),
            fragments: Vec::new(),
        };
        for id in subjects {
            let Some((cluster, node)) = load_cluster(self.store, *id)? else { continue };
            if !found.fragments.contains(id) {
                found.fragments.extend(ids_of(&cluster, node));
                found
                    .profiles
                    .push(Held { rules: self.rules, opened: &opened, cluster: &cluster, node }.profile());
            }
        }
        // An identifier that no profile has may still be named where something was refused.
        let everybody: BTreeSet<FragmentId> = found.fragments.iter().chain(subjects).copied().collect();
        let mentions = Mentions::among(&everybody, self.rules, self.key);
        if opened.is_all {
            self.leftovers(&mentions, &mut found)?;
        }
        let is_done = self.events(&mentions, &opened, &mut found, progress)?;
        Ok(is_done.then(|| right.seal(|_| found)))
    }

    fn leftovers(&self, mentions: &Mentions<'_>, found: &mut Holdings) -> Result<(), PipelineError> {
        let names: BTreeMap<[u8; 8], &DestinationName> =
            self.rules.destinations().map(|document| (prefix(&document.name), &document.name)).collect();
        let mut waiting = |key: &[u8], row: OutboxRow, refused: Option<String>| {
            let destination = key.first_chunk::<8>().and_then(|prefix| names.get(prefix)).copied().cloned();
            if let (true, Ok(event)) = (mentions.is_of(row.owner), RawValue::from_string(row.json)) {
                found.waiting.push(HeldDelivery { destination, refused, at: row.at, event });
            }
        };
        for_each_row(self.store, &[Table::Outbox], |key, value| {
            waiting(key.id(), OutboxRow::decode(value)?, None);
            Ok(())
        })?;
        for_each_row(self.store, &[Table::DeadLetter], |key, value| {
            let DeadLetter { row, reason, .. } = DeadLetter::decode(value)?;
            waiting(key.id(), row, Some(reason));
            Ok(())
        })?;
        for_each_row(self.store, &[Table::Reject], |key, value| {
            let row = RejectRow::decode(value)?;
            if let Some(id) = RejectId::of(key).filter(|_| mentions.in_text(&row.payload)) {
                let RejectRow { source, at, reason, payload, .. } = row;
                found.rejects.push(HeldReject { id: id.to_string(), at, source, reason, payload });
            }
            Ok(())
        })
    }

    fn events(
        &self,
        mentions: &Mentions<'_>,
        opened: &Opened,
        found: &mut Holdings,
        progress: &mut dyn FnMut(Searched) -> bool,
    ) -> Result<bool, PipelineError> {
        let bounds = self.log.bounds();
        let (start, mut at) = (bounds.start, bounds.start);
        while at < bounds.end {
            let searched = Searched { done: at.0 - start.0, total: bounds.end.0 - start.0 };
            if !progress(searched) {
                return Ok(false);
            }
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
                let position = entry.position;
                let record = Record::decode(&Bytes::copy_from_slice(&entry.record))
                    .map_err(|source| PipelineError::Record { position, source })?;
                for event in self.parsed(&record).filter(|event| mentions.is_about(event)) {
                    opened.event(self.rules, event, found);
                }
            }
        }
        Ok(true)
    }

    fn parsed(&self, record: &Record) -> impl Iterator<Item = Event> + use<L, S> {
        let parsed = match record {
            Record::Operation { .. } => Vec::new(),
            Record::Ingest { source, received_at, request_id, entrance, gpc, body } => {
                let (received_at, request_id, gpc) = (*received_at, *request_id, *gpc);
                let context =
                    ParseContext { rules: self.rules, key: self.key, source, received_at, request_id, gpc };
                parse_body(body, *entrance, &context).unwrap_or_default()
            }
        };
        let held = (0_u32..).zip(parsed).filter_map(|(index, event)| {
            let mut event = event.ok()?;
            // What a tracking plan strips is held all the same: the log has the event as it came.
            if event.checked.as_ref().is_some_and(|checked| checked.has_violations())
                && let Some(raw) = event_at(record, index)
            {
                event.json = Json::from_stored(raw.get().to_owned());
            }
            Some(event)
        });
        held.collect::<Vec<Event>>().into_iter()
    }
}

/// What a right opens.
struct Opened {
    /// All of it: access.
    is_all: bool,
    /// Else what serves one of these.
    portable: PurposeSet,
}

impl Opened {
    fn by(right: &SubjectRight, rules: &Rules) -> Self {
        let portable = |purpose: &&std::sync::Arc<tessera_model::Purpose>| {
            matches!(purpose.document.basis, LegalBasis::Consent | LegalBasis::Contract)
        };
        let portable = rules.purposes.iter().filter(portable).map(|purpose| purpose.id).collect();
        Self { is_all: !right.is_portability(), portable }
    }

    /// Portable is what the person gave, or what was observed of them, on the basis of consent or contract.
    fn opens(&self, purposes: PurposeSet, party: Party) -> bool {
        let is_theirs = matches!(party, Party::Zero | Party::First);
        self.is_all || (is_theirs && !purposes.and(self.portable).is_empty())
    }

    fn event(&self, rules: &Rules, event: Event, found: &mut Holdings) {
        let party = rules.source(&event.source).map(|source| source.party).unwrap_or_default();
        if !self.opens(event.purposes, party) {
            return;
        }
        if found.events.len() >= EVENTS_MAX {
            found.events_left_out += 1;
            return;
        }
        let name = event.name().to_owned();
        if let Ok(json) = RawValue::from_string(event.json.as_str().to_owned()) {
            found.events.push(HeldEvent {
                at: event.at,
                received_at: event.received_at,
                source: event.source,
                name,
                purposes: rules.purposes.names_of(event.purposes).cloned().collect(),
                event: json,
            });
        }
    }
}

/// One profile that is looked at.
struct Held<'a> {
    rules: &'a Rules,
    opened: &'a Opened,
    cluster: &'a Cluster,
    node: usize,
}

impl Held<'_> {
    fn profile(&self) -> HeldProfile {
        let Self { cluster, node, opened, rules } = *self;
        let folded = fold(cluster, node, &rules.survivorship);
        let mut accounts = Vec::new();
        let mut event_counts = Vec::new();
        if let Some(folded) = &folded {
            accounts = folded
                .memberships
                .iter()
                .filter_map(|(membership, basis)| {
                    let (account_id, since) = (membership.value.to_string(), membership.since);
                    Some(HeldAccount { account_id, since, basis: self.basis(*basis, since)? })
                })
                .collect();
            event_counts = folded
                .events
                .iter()
                .filter_map(|(event, basis)| {
                    let (first_at, last_at) = (event.first_at, event.last_at);
                    let basis = self.basis(*basis, last_at)?;
                    Some(HeldCount {
                        event: event.name.to_string(),
                        count: event.count,
                        first_at,
                        last_at,
                        basis,
                    })
                })
                .collect();
        }
        let words: BTreeSet<ConsentRecord> =
            cluster.component(node).flat_map(|(_, fragment)| fragment.consents.iter()).collect();
        HeldProfile {
            id: cluster.profile_id(node).to_string(),
            identifiers: cluster
                .component(node)
                .filter_map(|(at, part)| identifier(cluster, at, part))
                .collect(),
            traits: cluster.component(node).flat_map(|(at, part)| self.traits(at, part)).collect(),
            consents: match opened.is_all {
                true => words.iter().map(|record| consent(rules, record)).collect(),
                false => Vec::new(),
            },
            subscriptions: match &folded {
                Some(folded) if opened.is_all => subscriptions(cluster, folded),
                Some(_) | None => Vec::new(),
            },
            accounts,
            event_counts,
        }
    }

    fn traits(&self, at: usize, fragment: &Fragment) -> Vec<HeldTrait> {
        let Some(HeldIdentifier { namespace, value, is_hashed, .. }) = identifier(self.cluster, at, fragment)
        else {
            return Vec::new();
        };
        let held = fragment.traits.iter().filter(|(entry, _)| entry.value != "null");
        let held = held.filter_map(|(entry, word)| {
            Some(HeldTrait {
                name: entry.name.to_string(),
                value: RawValue::from_string(entry.value.to_string()).ok()?,
                identifier: IdentifierView {
                    namespace: namespace.clone(),
                    value: value.clone(),
                    is_hashed,
                    is_shared: false,
                },
                at: word.at,
                message_id: word.message.to_string(),
                basis: self.basis(fragment.basis_of(word.basis), word.at)?,
            })
        });
        held.collect()
    }

    /// Why it is held, unless the right does not open it.
    fn basis(&self, basis: Option<&Basis>, at: Timestamp) -> Option<HeldBasis> {
        let basis = basis?;
        if !self.opened.opens(basis.purposes, basis.party) {
            return None;
        }
        let purposes = &self.rules.purposes;
        let named = basis.purposes.iter().filter_map(|id| {
            let declared = purposes.by_id(id).map(|purpose| &purpose.document);
            let days = declared.and_then(|document| document.retention_days);
            let until =
                days.map(|days| at.plus_millis(i64::from(days).saturating_mul(DAY_MILLIS)).to_string());
            Some(HeldPurpose {
                purpose: purposes.name(id)?.clone(),
                basis: declared.map(|document| document.basis),
                until,
            })
        });
        Some(HeldBasis {
            source: basis.source.clone(),
            party: basis.party,
            category: basis.category,
            purposes: named.collect(),
        })
    }
}

fn identifier(cluster: &Cluster, at: usize, fragment: &Fragment) -> Option<HeldIdentifier> {
    let identifier = cluster.graph().nodes().get(at)?.identifier();
    Some(HeldIdentifier {
        namespace: identifier.namespace().as_str().to_owned(),
        value: identifier.value().to_owned(),
        is_hashed: identifier.form() == IdentifierForm::Hashed,
        first_seen_at: fragment.first_seen_at,
        last_seen_at: fragment.last_seen_at,
    })
}

fn consent(rules: &Rules, record: &ConsentRecord) -> HeldConsent {
    HeldConsent {
        purpose: record.purpose.and_then(|id| rules.purposes.name(id)).cloned(),
        status: record.status,
        expression: record.expression,
        version: record.version,
        first_at: record.first_at,
        last_at: record.last_at,
        source: record.source.clone(),
        how: record.how.clone(),
        evidence: record.evidence.clone(),
    }
}
