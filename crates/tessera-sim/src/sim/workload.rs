//! The people, their devices, and the clients that send about them.
//!
//! Not a model of a market: it makes what hurts. One person is busy enough for the de-duplication pages, tablets are
//! shared, people have an older user id, clocks are wrong, bodies are broken.

use serde_json::{Value, json};
use tessera_model::RejectCode;

use super::message::{Address, EMAIL_SHA256, Kind, Message, NEWS, Part, Request, Said, Source};
use super::random::Random;

const PEOPLE: u64 = 24;
const TABLETS: u64 = 3;
const PARTS_MAX: u64 = 12;
/// The person whom half of the messages are about.
const BUSY: u64 = 1;
const MINUTE_MILLIS: i64 = 60_000;

/// Makes requests. Invariant: no two messages have the same id, but for a repeat of the whole message.
#[derive(Debug, Default)]
pub(crate) struct Workload {
    requests: u64,
    messages: u64,
}

impl Workload {
    /// One more request, as of `now` in milliseconds.
    pub(crate) fn request(&mut self, random: &mut Random, now: i64) -> Request {
        self.requests += 1;
        let number = self.requests;
        let source = match random.below(20) {
            0..=11 => Source::Web,
            12..=16 => Source::Form,
            _ => Source::Till,
        };
        // A clock that is wrong by up to two hours, of a client that tells what it shows.
        let skew = signed(random.below(240)) - 120;
        let sent_at = random.one_in(5).then_some(now + skew * MINUTE_MILLIS);
        match random.below(20) {
            0 => {
                let (body, code) = unreadable(random);
                Request::unreadable(number, source, body, code)
            }
            1..=5 => Request::single(number, self.message(random, source, now), sent_at),
            _ => {
                let mut parts = Vec::new();
                for _ in 0..=random.below(PARTS_MAX) {
                    parts.push(self.part(random, source, now));
                    // A client that put one message into its queue twice.
                    if random.one_in(12) {
                        parts.extend(parts.last().cloned());
                    }
                }
                Request::batch(number, source, parts, sent_at)
            }
        }
    }

    fn part(&mut self, random: &mut Random, source: Source, now: i64) -> Part {
        if random.one_in(10) {
            let (bytes, code) = malformed(random);
            return Part::Bad { bytes, code };
        }
        Part::Good(self.message(random, source, now))
    }

    fn message(&mut self, random: &mut Random, source: Source, now: i64) -> Message {
        self.messages += 1;
        let person = if random.one_in(2) { BUSY } else { random.below(PEOPLE) };
        let mut addresses = Vec::new();
        let is_old = random.one_in(12);
        if !random.one_in(3) {
            let name = if is_old { "old" } else { "user" };
            addresses.push(Address::new(Kind::UserId, format!("{name}-{person}")));
        }
        if addresses.is_empty() || !random.one_in(3) {
            let device = match random.one_in(10) {
                true => format!("tablet-{}", random.below(TABLETS)),
                false => format!("device-{person}-{}", random.below(2)),
            };
            addresses.push(Address::new(Kind::AnonymousId, device));
        }
        let said = said(random, source, person, &mut addresses);
        addresses.sort();
        let made_at = match random.below(30) {
            0 => Some(now + 3 * 24 * 60 * MINUTE_MILLIS),
            1..=4 => None,
            // Whole seconds, so that times tie.
            _ => Some(now - now.rem_euclid(1000) - signed(random.below(3600)) * 1000),
        };
        let claims = claims(random, source, person, &said);
        Message { id: format!("message-{:06}", self.messages), source, addresses, said, made_at, claims }
    }
}

fn said(random: &mut Random, source: Source, person: u64, addresses: &mut Vec<Address>) -> Said {
    let user = Address::new(Kind::UserId, format!("user-{person}"));
    match random.below(20) {
        0..=2 => Said::Page,
        3..=6 => {
            let mut traits = vec![(format!("trait_{}", random.below(4)), value(random))];
            if random.one_in(3) {
                let written = format!("Person-{person}@Example.com");
                let address = Address::new(Kind::Email, written.to_lowercase());
                traits.push(match address.sha256().filter(|_| random.one_in(3)) {
                    Some(hash) => (EMAIL_SHA256.to_owned(), json!(hash)),
                    None => ("email".to_owned(), json!(written)),
                });
                addresses.push(address);
            }
            Said::Identify(traits)
        }
        7 if addresses.contains(&user) => Said::Alias(format!("old-{person}")),
        8 | 9 => Said::Consent,
        _ => Said::Track(match (source, random.one_in(4)) {
            (Source::Form, _) => "Newsletter Opened",
            (Source::Web | Source::Till, true) => "Order Completed",
            (Source::Web | Source::Till, false) => "Product Viewed",
        }),
    }
}

fn value(random: &mut Random) -> Value {
    match random.below(5) {
        0 => Value::Null,
        1 => json!(random.below(100)),
        2 => json!({"city": "Zürich", "streets": [1, 2, 3]}),
        _ => json!(format!("value {}", random.below(10))),
    }
}

/// Every third person mostly says no.
fn claims(random: &mut Random, source: Source, person: u64, said: &Said) -> Vec<(&'static str, bool)> {
    let yes = random.one_in(8) == person.is_multiple_of(3);
    match said {
        Said::Consent if random.one_in(6) => vec![(NEWS, yes), ("Weather", true)],
        Said::Consent => vec![(NEWS, yes)],
        Said::Track(_) | Said::Page | Said::Identify(_) | Said::Alias(_) => match source {
            Source::Form if random.one_in(4) => vec![("Newsletter", yes)],
            Source::Web if random.one_in(30) => vec![("Weather", yes)],
            Source::Web | Source::Form | Source::Till => Vec::new(),
        },
    }
}

fn unreadable(random: &mut Random) -> (&'static str, RejectCode) {
    let bodies = [
        ("", RejectCode::NotJson),
        ("{\"batch\":[{\"type\":\"track\"", RejectCode::NotJson),
        ("{\"batch\":7}", RejectCode::WrongType),
        ("{\"batch\":[],\"sentAt\":\"soon\"}", RejectCode::BadTimestamp),
    ];
    random.pick(&bodies).copied().unwrap_or(("", RejectCode::NotJson))
}

/// A member of a batch that cannot be accepted, and why.
pub(crate) fn malformed(random: &mut Random) -> (Vec<u8>, RejectCode) {
    let track = |more: &str| format!("{{\"type\":\"track\",\"event\":\"E\",{more}}}").into_bytes();
    let long = "x".repeat(300);
    let deep = format!("{}{}", "[".repeat(80), "]".repeat(80));
    match random.below(13) {
        0 => (b"7".to_vec(), RejectCode::WrongType),
        1 => (b"{\"type\":\"track\",\"userId\":\"u\"}".to_vec(), RejectCode::MissingField),
        2 => (track("\"userId\":\"null\",\"anonymousId\":\"\""), RejectCode::NoIdentifier),
        3 => (track(&format!("\"userId\":\"{long}\"")), RejectCode::BadIdentifier),
        4 => (track("\"userId\":\"a\\u0007b\""), RejectCode::BadIdentifier),
        5 => (track("\"userId\":\"u\",\"timestamp\":\"yesterday\""), RejectCode::BadTimestamp),
        6 => (track("\"userId\":\"u\",\"properties\":{\"total\":1e999}"), RejectCode::BadShape),
        7 => (track(&format!("\"userId\":\"u\",\"properties\":{deep}")), RejectCode::BadShape),
        8 => (track(&format!("\"userId\":\"u\",\"messageId\":\"{long}\"")), RejectCode::BadName),
        9 => (b"{\"type\":\"dance\",\"userId\":\"u\"}".to_vec(), RejectCode::UnknownCall),
        10 => (track("\"userId\":\"u\",\"userId\":\"v\""), RejectCode::DuplicateKey),
        11 => {
            let mut bytes = track("\"userId\":\"u?\"");
            if let Some(at) = bytes.iter().position(|byte| *byte == b'?') {
                bytes.splice(at..=at, [0xff]);
            }
            (bytes, RejectCode::NotUtf8)
        }
        _ => {
            let pad = "x".repeat(33 * 1024);
            (track(&format!("\"userId\":\"u\",\"properties\":\"{pad}\"")), RejectCode::EventTooLarge)
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
