//! Bodies as they come over the wire, and log records as they come from the disk.
//!
//! An input is a byte that says how to read it - the entrance, or a log record - and the bytes to read.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::value::RawValue;
use tessera_model::{
    Call, EVENT_BYTES_MAX, EVENT_IDENTIFIERS_MAX, Entrance, Event, FUTURE_MILLIS_MAX, HashKey,
    IDENTIFIER_BYTES_MAX, MESSAGE_ID_CHARS_MAX, Operation, ParseContext, REJECT_PAYLOAD_BYTES_MAX, Record,
    Reject, RequestId, Rules, SourceName, TRAITS_MAX, Timestamp, Trait, Workspace, parse_body,
};

use super::{Broken, Fuzzed, shape};
use crate::sim::message::{hash_key, workspace};
use crate::sim::{START_MILLIS, sample_bodies};

const ENTRANCES: [Entrance; 8] = [
    Entrance::Batch,
    Entrance::Identify,
    Entrance::Track,
    Entrance::Page,
    Entrance::Screen,
    Entrance::Group,
    Entrance::Alias,
    Entrance::Consent,
];
/// Says that a log record follows.
const RECORD: u8 = 8;
/// A character that was cut in two becomes U+FFFD, of three bytes.
const CUT_BYTES_MAX: usize = 3;

/// `parse_body` and `Record::decode`.
pub(super) struct Wire {
    rules: Rules,
    key: HashKey,
    source: SourceName,
}

impl Wire {
    pub(super) fn new() -> Result<Self, Broken> {
        let documents: Vec<_> = serde_json::from_value(workspace()).map_err(Broken::of)?;
        let workspace = Workspace::new(documents).map_err(|problems| Broken(format!("{problems:?}")))?;
        let rules = Rules::new(1, workspace).map_err(|problems| Broken(format!("{problems:?}")))?;
        Ok(Self { rules, key: hash_key(), source: SourceName::parse("form").map_err(Broken::of)? })
    }

    fn body(&self, entrance: Entrance, body: &Bytes) -> Result<String, Broken> {
        let received_at = Timestamp::from_millis(START_MILLIS);
        let context = ParseContext {
            rules: &self.rules,
            key: &self.key,
            source: &self.source,
            received_at,
            request_id: RequestId(7),
            gpc: false,
        };
        let parsed = parse_body(body, entrance, &context);
        // A replay parses a copy.
        let again = parse_body(&Bytes::copy_from_slice(body), entrance, &context);
        Broken::unless(parsed == again, "parsed twice, two results")?;
        let record = Record::Ingest {
            source: self.source.clone(),
            received_at,
            request_id: RequestId(7),
            gpc: false,
            entrance,
            body: body.clone(),
        };
        round_trip(&record)?;
        let mut seen = String::new();
        match &parsed {
            Err(reject) => seen.push_str(&refused(reject)?),
            Ok(events) => {
                for event in events.iter().take(4) {
                    seen.push_str(&match event {
                        Ok(event) => accepted(event, received_at)?,
                        Err(reject) => refused(reject)?,
                    });
                }
                events.iter().try_for_each(|event| match event {
                    Ok(event) => accepted(event, received_at).map(drop),
                    Err(reject) => refused(reject).map(drop),
                })?;
            }
        }
        Ok(seen)
    }
}

fn refused(reject: &Reject) -> Result<String, Broken> {
    Broken::unless(!reject.reason.is_empty(), "a reject without a reason")?;
    let most = REJECT_PAYLOAD_BYTES_MAX + CUT_BYTES_MAX;
    Broken::unless(reject.payload.len() <= most, "a reject keeps too much")?;
    Ok(format!("{} {};", reject.code, shape(&reject.reason)))
}

/// What is always so for an event.
fn accepted(event: &Event, received_at: Timestamp) -> Result<String, Broken> {
    let is_named = !event.identifiers.is_empty() && event.identifiers.len() <= EVENT_IDENTIFIERS_MAX;
    Broken::unless(is_named, "an event with no identifiers or too many")?;
    let order = |at: usize| event.identifiers.get(at).map(|known| (known.rank, known.identifier.clone()));
    let is_ordered = (1..event.identifiers.len()).all(|at| order(at - 1) <= order(at));
    Broken::unless(is_ordered, "identifiers are not strongest first")?;
    let ids: BTreeSet<_> = event.identifiers.iter().map(|known| known.id).collect();
    Broken::unless(ids.len() == event.identifiers.len(), "an identifier twice")?;
    for known in &event.identifiers {
        let value = known.identifier.value();
        let fits = (1..=IDENTIFIER_BYTES_MAX).contains(&value.len()) && !value.chars().any(char::is_control);
        Broken::unless(fits, "an identifier that breaks its limits")?;
    }
    let id = event.message_id.as_str();
    let fits = (1..=MESSAGE_ID_CHARS_MAX).contains(&id.chars().count()) && !id.chars().any(char::is_control);
    Broken::unless(fits, "a message id that breaks its limits")?;
    let ahead = event.at.millis_since(received_at);
    Broken::unless(ahead <= FUTURE_MILLIS_MAX, "an event more than a day ahead")?;
    Broken::unless(event.at >= Timestamp::MIN && event.at <= Timestamp::MAX, "a time out of range")?;
    Broken::unless(event.json.as_str().len() <= EVENT_BYTES_MAX, "an event that is too large")?;
    // Not a `Value`: half a surrogate pair in a field that nobody reads is JSON by the grammar of RFC 8259.
    let json: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_str(event.json.as_str());
    Broken::unless(json.is_ok(), "an event that is no JSON object")?;
    let traits = traits_of(event);
    let names: BTreeSet<&str> = traits.iter().map(|known| known.name.as_ref()).collect();
    let fits = names.len() == traits.len() && traits.len() <= TRAITS_MAX;
    Broken::unless(fits, "a trait twice, or too many")?;
    let is_sorted = traits.windows(2).all(|pair| matches!(pair, [a, b] if a.name < b.name));
    Broken::unless(is_sorted, "traits are not in order")?;
    let namespaces = event.identifiers.iter().map(|known| known.rank.to_string()).collect::<String>();
    Ok(format!("{} {namespaces} {} {};", event.call.name(), traits.len().min(3), event.consents.len().min(2)))
}

fn traits_of(event: &Event) -> &[Trait] {
    match &event.call {
        Call::Identify { traits } | Call::Group { traits, .. } => traits,
        Call::Track { .. }
        | Call::Page { .. }
        | Call::Screen { .. }
        | Call::Alias { .. }
        | Call::Consent { .. } => &[],
    }
}

fn round_trip(record: &Record) -> Result<(), Broken> {
    let bytes = Bytes::from(record.encode().map_err(Broken::of)?);
    let read = Record::decode(&bytes)
        .map_err(|error| Broken(format!("what was encoded does not decode: {error}")))?;
    Broken::unless(read == *record, "a record reads back as another")
}

impl Fuzzed for Wire {
    fn name(&self) -> &'static str {
        "wire"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for (entrance, body) in sample_bodies(150) {
            let at = ENTRANCES.iter().position(|known| *known == entrance).unwrap_or(0);
            seeds.push(tagged(u8::try_from(at).unwrap_or(0), &body));
        }
        for (tag, body) in [
            (5, r#"{"groupId":"acme","userId":"u","traits":{"name":"Acme","size":7}}"#),
            (
                0,
                r#"{"batch":[{"type":"group","groupId":1,"userId":2,"context":{"externalIds":[{"id":"a@x.org","type":"email"},{"id":"+49 30 1234","type":"phone"}]}}],"context":{"traits":{"email":"a@x.org"}}}"#,
            ),
            (7, r#"{"userId":"u","consents":{"news":"withdrawn","other":false}}"#),
            (4, r#"{"anonymousId":"d","name":"Home","properties":{"deep":[[[[1,2.5e-3,{"a":null}]]]]}}"#),
        ] {
            seeds.push(tagged(tag, body.as_bytes()));
        }
        let split = Operation::Split { fragments: Vec::new(), reason: "two people".to_owned() };
        let close = Operation::CloseReject { position: 7, index: 1 };
        let apply = serde_json::from_value(workspace()).map(|documents| Operation::Apply { documents });
        for operation in [split, close].into_iter().chain(apply.ok()) {
            let record = Record::Operation { at: Timestamp::from_millis(START_MILLIS), operation };
            seeds.extend(record.encode().ok().map(|bytes| tagged(RECORD, &bytes)));
        }
        let record = Record::Ingest {
            gpc: false,
            source: self.source.clone(),
            received_at: Timestamp::from_millis(START_MILLIS),
            request_id: RequestId(u128::MAX),
            entrance: Entrance::Track,
            body: Bytes::from_static(b"{}"),
        };
        seeds.extend(record.encode().ok().map(|bytes| tagged(RECORD, &bytes)));
        seeds
    }

    fn check(&self, input: &[u8]) -> Result<String, Broken> {
        let Some((tag, bytes)) = input.split_first() else { return Ok(String::new()) };
        let bytes = Bytes::copy_from_slice(bytes);
        match ENTRANCES.get(usize::from(tag % (RECORD + 1))) {
            Some(entrance) => self.body(*entrance, &bytes),
            None => match Record::decode(&bytes) {
                Ok(record) => round_trip(&record).map(|()| "record".to_owned()),
                Err(error) => Ok(shape(&error.to_string())),
            },
        }
    }
}

fn tagged(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag], bytes].concat()
}
