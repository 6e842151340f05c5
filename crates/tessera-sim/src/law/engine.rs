//! Tessera itself, small: the real log format, parser, gate, identity, fold and query over a log and store in memory.
//!
//! Not a decision: bodies go in as clients send them, and what comes out is what a reader of the API would get.

use std::io::ErrorKind;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use tessera_model::{
    ConsentOrder, Document, Entrance, FragmentId, HashKey, LegalBasis, Operation, PurposeName, Record,
    RequestId, Rules, SourceName, Timestamp,
};
use tessera_pipeline::{
    Courier, CourierOptions, Pipeline, PipelineOptions, Query, QueryError, Totals, load_totals,
};
use tessera_profile::View;
use tessera_store::{Clock, Log as _, ManualClock, MemoryLog, MemoryStore, SystemClock};

use super::cases::Case;
use super::history::{Basis, Call, DAY, Event, Millis, Purpose, Source, Statement};
use crate::sim::message::hash_key;

/// Where the payload names its purposes.
const PAYLOAD_PURPOSES: &str = "context.purposes";

/// How long couriers may take.
const PATIENCE_NANOS: u64 = 10_000_000_000;

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Duplicate,
    Denied(String),
}

/// What a reader gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nobody has that identifier.
    Nobody,
    /// Nothing may be shown, and why.
    Denied(String),
    /// Something may be shown.
    Shown(Shown),
}

/// What is shown, and why it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) basis: Basis,
    /// Of which time and version the yes is that permits it, if one does.
    pub(crate) proof: Option<(Millis, u32)>,
    /// The data, by number, each with the purposes it is kept for.
    pub(crate) data: Vec<(usize, Vec<String>)>,
}

/// One installation.
pub(crate) struct Engine {
    log: Arc<MemoryLog>,
    store: Arc<MemoryStore>,
    pipeline: Pipeline<MemoryLog, MemoryStore>,
    clock: Arc<ManualClock>,
    key: HashKey,
    has_destinations: bool,
    requests: u128,
}

impl Engine {
    /// A new installation with the history's workspace.
    pub(crate) fn start(case: &Case) -> anyhow::Result<Self> {
        let (log, store) = (Arc::new(MemoryLog::default()), Arc::new(MemoryStore::new()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(case.start)));
        let shared: Arc<dyn Clock> = clock.clone();
        // Whatever is sent again is a repeat, however late.
        let options = PipelineOptions { dedup_window_millis: i64::MAX / 4, ..PipelineOptions::default() };
        let pipeline = Pipeline::open(Arc::clone(&log), Arc::clone(&store), hash_key(), shared, options)?;
        let has_destinations = case.has_destinations;
        let mut engine = Self { log, store, pipeline, clock, key: hash_key(), has_destinations, requests: 0 };
        engine.declare(&case.purposes, &case.sources)?;
        Ok(engine)
    }

    pub(crate) fn wait_until(&self, at: Millis) {
        self.clock.advance_millis(at - self.clock.now().as_millis());
    }

    /// Applies a workspace.
    pub(crate) fn declare(&mut self, purposes: &[Purpose], sources: &[Source]) -> anyhow::Result<()> {
        let mut documents: Vec<Value> = purposes.iter().map(purpose_document).collect();
        documents.extend(sources.iter().map(source_document));
        if self.has_destinations {
            documents.extend(purposes.iter().map(destination_document));
        }
        // Everybody may turn out to be everybody else.
        documents.push(json!({"kind": "Namespace", "name": "user_id", "priority": 10, "limit": 50}));
        let documents: Vec<Document> = serde_json::from_value(Value::Array(documents))?;
        let before = self.rules().version;
        self.operate(Operation::Apply { documents })?;
        anyhow::ensure!(self.rules().version > before, "the workspace was not applied");
        Ok(())
    }

    pub(crate) fn send(&mut self, event: &Event) -> anyhow::Result<Fate> {
        let before = self.totals()?;
        self.requests += 1;
        self.append(&Record::Ingest {
            source: SourceName::parse(&event.source)?,
            received_at: self.clock.now(),
            request_id: RequestId(self.requests),
            entrance: Entrance::Batch,
            gpc: event.has_signal,
            body: json!({"batch": [body(event)]}).to_string().into(),
        })?;
        let after = self.totals()?;
        let denied = after.denied.iter().find(|(reason, count)| before.denied.get(*reason) != Some(count));
        match denied {
            Some((reason, _)) => Ok(Fate::Denied(reason.clone())),
            None if after.accepted > before.accepted => Ok(Fate::Kept),
            None if after.duplicates > before.duplicates => Ok(Fate::Duplicate),
            None => bail!("the event became nothing: {:?}", after.rejected),
        }
    }

    pub(crate) fn order(&mut self, order: &Event) -> anyhow::Result<()> {
        let words = order.statements.iter().map(word).collect::<anyhow::Result<_>>()?;
        let fragments =
            order.identifiers.iter().map(|identifier| self.id(identifier)).collect::<Result<_, _>>()?;
        self.operate(Operation::Consents { fragments, words })
    }

    pub(crate) fn erase(&mut self, identifier: &str) -> anyhow::Result<()> {
        let fragments = vec![self.id(identifier)?];
        self.operate(Operation::Erase { fragments, request: "r1".to_owned() })
    }

    pub(crate) fn expire(&mut self, identifiers: &[String]) -> anyhow::Result<()> {
        let fragments = identifiers.iter().map(|identifier| self.id(identifier)).collect::<Result<_, _>>()?;
        self.operate(Operation::Expire { fragments })
    }

    pub(crate) fn lift(&mut self, identifiers: &[String]) -> anyhow::Result<()> {
        let fragments = identifiers.iter().map(|identifier| self.id(identifier)).collect::<Result<_, _>>()?;
        self.operate(Operation::LiftErasure { fragments })
    }

    /// Sends all that waits. Returns which event reached the destination of which purpose.
    pub(crate) fn deliver(&self) -> anyhow::Result<Vec<(String, usize)>> {
        let folder = tempfile::tempdir()?;
        let shared: Arc<dyn Clock> = self.clock.clone();
        let options = CourierOptions {
            folder: folder.path().to_owned(),
            give_up_after_millis: DAY,
            evidence: None,
            barrier: Arc::new(|| true),
            key: self.key.clone(),
        };
        let mut courier = Courier::new(Arc::clone(&self.store), shared, self.pipeline.rules(), options);
        courier.follow();
        let patience = SystemClock::new();
        loop {
            let status = courier.status()?;
            if status.iter().all(|one| one.waiting == 0) {
                break;
            }
            anyhow::ensure!(patience.monotonic_nanos() < PATIENCE_NANOS, "deliveries do not end: {status:?}");
            std::thread::yield_now();
        }
        courier.stop();
        let mut reached = Vec::new();
        for destination in self.rules().destinations() {
            let file = folder.path().join("deliveries").join(format!("{}.jsonl", destination.name));
            let lines = match std::fs::read_to_string(file) {
                Ok(lines) => lines,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            for line in lines.lines() {
                let line: Value = serde_json::from_str(line)?;
                let message = line.get("message_id").and_then(Value::as_str).unwrap_or_default();
                let number = message.strip_prefix('m').and_then(|number| number.parse().ok());
                reached.push((destination.purpose.to_string(), number.context("an event of no history")?));
            }
        }
        reached.sort();
        Ok(reached)
    }

    /// The profile of an identifier, for a purpose or for any that permits.
    pub(crate) fn profile(&self, identifier: &str, purpose: Option<&str>) -> anyhow::Result<Answer> {
        let purpose = purpose.map(PurposeName::parse).transpose()?;
        let rules = self.rules();
        let view = View { provenance: true, ..View::default() };
        let query = Query { rules: &rules, purpose: purpose.as_ref(), view, now: self.clock.now() };
        match query.by_id(self.store.as_ref(), self.id(identifier)?) {
            Err(QueryError::NotFound) => Ok(Answer::Nobody),
            Err(QueryError::Denied { denial, .. }) => Ok(Answer::Denied(denial.as_str().to_owned())),
            Err(QueryError::Failed(error)) => Err(error.into()),
            Ok(profile) => {
                let mut data = Vec::new();
                for (name, provenance) in profile.get().provenance.iter().flatten() {
                    let name = name.strip_prefix("preferences.").unwrap_or(name);
                    let number = name.strip_prefix('t').and_then(|number| number.parse().ok());
                    let mut purposes: Vec<String> =
                        provenance.purposes.iter().map(ToString::to_string).collect();
                    purposes.sort();
                    data.extend(number.map(|number| (number, purposes)));
                }
                data.sort();
                let permit = profile.permit();
                let proof = permit.proof().map(|proof| (proof.at.as_millis(), proof.version));
                Ok(Answer::Shown(Shown { basis: basis_of(permit.basis()), proof, data }))
            }
        }
    }

    fn rules(&self) -> Arc<Rules> {
        self.pipeline.rules().load_full()
    }

    fn totals(&self) -> anyhow::Result<Totals> {
        Ok(load_totals(self.store.as_ref())?)
    }

    fn id(&self, identifier: &str) -> anyhow::Result<FragmentId> {
        let found = self.rules().namespaces.parse_reference(identifier);
        Ok(FragmentId::of(&self.key, &found.context("an identifier of the history does not parse")?))
    }

    fn operate(&mut self, operation: Operation) -> anyhow::Result<()> {
        self.append(&Record::Operation { at: self.clock.now(), operation })
    }

    fn append(&mut self, record: &Record) -> anyhow::Result<()> {
        self.log.append(&[&record.encode()?], self.clock.now())?;
        self.pipeline.catch_up()?;
        Ok(())
    }
}

fn basis_of(basis: LegalBasis) -> Basis {
    match basis {
        LegalBasis::Consent => Basis::Consent,
        LegalBasis::Contract => Basis::Contract,
        LegalBasis::LegalObligation => Basis::LegalObligation,
        LegalBasis::VitalInterests => Basis::VitalInterests,
        LegalBasis::PublicTask => Basis::PublicTask,
        LegalBasis::LegitimateInterests => Basis::LegitimateInterests,
    }
}

fn time(at: Millis) -> String {
    Timestamp::from_millis(at).to_string()
}

fn purpose_document(purpose: &Purpose) -> Value {
    let basis = match purpose.basis {
        Basis::Consent => "consent",
        Basis::Contract => "contract",
        Basis::LegalObligation => "legal_obligation",
        Basis::VitalInterests => "vital_interests",
        Basis::PublicTask => "public_task",
        Basis::LegitimateInterests => "legitimate_interests",
    };
    let reconsent = purpose.reconsent.map(|(version, at)| json!({"version": version, "cutoff": time(at)}));
    json!({
        "kind": "Purpose", "name": purpose.name, "version": purpose.version, "basis": basis,
        "consent_valid_days": purpose.valid_days, "explicit": purpose.is_explicit, "reconsent": reconsent,
        "minimum_age": purpose.minimum_age, "direct_marketing": purpose.is_marketing,
        "sells_or_shares": purpose.is_sale, "retention_days": purpose.retention_days, "retired": purpose.is_retired,
    })
}

fn destination_document(purpose: &Purpose) -> Value {
    json!({"kind": "Destination", "name": format!("to-{}", purpose.name), "type": "jsonl", "purpose": purpose.name})
}

fn source_document(source: &Source) -> Value {
    let events: Map<String, Value> =
        source.events.iter().map(|(name, purposes)| (name.clone(), json!(purposes))).collect();
    json!({
        "kind": "Source", "name": source.name, "write_key": format!("{}-write-key", source.name),
        "purposes": source.purposes, "events": events,
        "purposes_from": source.has_payload_purposes.then_some(PAYLOAD_PURPOSES),
    })
}

fn body(event: &Event) -> Value {
    let ids: Vec<Value> = event
        .identifiers
        .iter()
        .filter_map(|identifier| identifier.split_once(':'))
        .map(|(namespace, value)| {
            json!({"type": namespace, "id": value, "collection": "users", "encoding": "none"})
        })
        .collect();
    let mut context = Map::from_iter([("externalIds".to_owned(), json!(ids))]);
    if let Some(listed) = &event.listed {
        context.insert("purposes".to_owned(), json!(listed));
    }
    let said: Map<String, Value> = event
        .statements
        .iter()
        .filter_map(|said| Some((said.purpose.clone()?, claim(said, event))))
        .collect();
    let mut datum = Map::from_iter([(format!("t{}", event.id), json!(event.id))]);
    let mut body = Map::new();
    match event.call {
        Call::Consent => {
            body.insert("consents".to_owned(), Value::Object(said));
            body.insert("preferences".to_owned(), Value::Object(datum));
        }
        Call::Identify => {
            context.insert("consent".to_owned(), json!({"categoryPreferences": said}));
            datum.extend(event.births.iter().map(|(name, value)| (name.clone(), json!(value))));
            body.insert("traits".to_owned(), Value::Object(datum));
        }
        Call::Track => {
            context.insert("consent".to_owned(), json!({"categoryPreferences": said}));
            body.insert("event".to_owned(), json!(event.name));
        }
    }
    body.insert("type".to_owned(), json!(event.call.as_str()));
    body.insert("messageId".to_owned(), json!(format!("m{}", event.id)));
    body.insert("timestamp".to_owned(), json!(time(event.at)));
    body.insert("context".to_owned(), Value::Object(context));
    Value::Object(body)
}

/// In the shortest form that says it.
fn claim(said: &Statement, event: &Event) -> Value {
    if said.version.is_none() && said.is_explicit && said.at == event.at {
        return json!(said.word.as_str());
    }
    let mut claim = Map::from_iter([("status".to_owned(), json!(said.word.as_str()))]);
    claim.extend(said.version.map(|version| ("version".to_owned(), json!(version))));
    claim.extend((!said.is_explicit).then(|| ("expression".to_owned(), json!("implied"))));
    claim.extend((said.at != event.at).then(|| ("at".to_owned(), json!(time(said.at)))));
    Value::Object(claim)
}

fn word(said: &Statement) -> anyhow::Result<ConsentOrder> {
    let order = json!({
        "purpose": said.purpose, "status": said.word.as_str(), "version": said.version,
        "expression": if said.is_explicit { "explicit" } else { "implied" }, "at": Timestamp::from_millis(said.at),
    });
    Ok(serde_json::from_value(order)?)
}
