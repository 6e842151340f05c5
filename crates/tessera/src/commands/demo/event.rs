//! Events as the shop's systems send them, and the book of who they are really about.

use super::dice::Dice;
use super::json::Json;
use super::truth::{Claim, PersonNumber, Truth};
use serde::Serialize;
use tessera_model::Timestamp;

const MINUTE_MILLIS: i64 = 60_000;
const DAY_MILLIS: i64 = 24 * 60 * MINUTE_MILLIS;
/// 2025-01-01T00:00:00Z.
const YEAR_STARTS_MILLIS: i64 = 1_735_689_600_000;
const DAYS: u32 = 365;

/// The shop's systems, each a source of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// First, so that what people said about mail is known before what they did in the same week.
    Newsletter,
    Crm,
    Web,
    App,
    Till,
    CallCentre,
}

impl Source {
    /// All, in the order in which a week's events are sent.
    pub(super) const ALL: [Self; 6] =
        [Self::Newsletter, Self::Crm, Self::Web, Self::App, Self::Till, Self::CallCentre];

    /// Its name in the workspace.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Newsletter => "newsletter",
            Self::Crm => "crm",
            Self::Web => "web",
            Self::App => "app",
            Self::Till => "till",
            Self::CallCentre => "callcentre",
        }
    }

    /// How it sends: live, or as files that somebody imports.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Crm | Self::Till => "/v1/import",
            Self::Newsletter | Self::Web | Self::App | Self::CallCentre => "/v1/batch",
        }
    }
}

/// One event, ready to send.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) source: Source,
    pub(super) at: i64,
    /// Who it is about; `None` for one that the server must refuse. It is never sent.
    pub(super) person: Option<PersonNumber>,
    pub(super) json: String,
}

/// Who did something, when, through which system.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) source: Source,
    pub(super) person: PersonNumber,
    /// Milliseconds since 1970.
    pub(super) at: i64,
}

impl Moment {
    /// A random moment of a day of `week`, in opening hours. `None` once the year is over.
    pub(super) fn in_week(dice: &mut Dice, source: Source, person: PersonNumber, week: u32) -> Option<Self> {
        let day = week * 7 + dice.below(7);
        let minute = dice.between(8 * 60, 21 * 60);
        let second = dice.below(60_000);
        let at = YEAR_STARTS_MILLIS
            + i64::from(day) * DAY_MILLIS
            + i64::from(minute) * MINUTE_MILLIS
            + i64::from(second);
        (day < DAYS).then_some(Self { source, person, at })
    }

    /// Some seconds later.
    pub(super) fn later(&mut self, dice: &mut Dice) {
        self.at += i64::from(dice.between(3_000, 90_000));
    }
}

/// What a call says besides who and when.
#[derive(Debug)]
pub(super) struct Body {
    kind: &'static str,
    members: Vec<(&'static str, Json)>,
    claims: Vec<Claim>,
}

impl Body {
    pub(super) fn new(kind: &'static str) -> Self {
        Self { kind, members: Vec::with_capacity(6), claims: Vec::with_capacity(4) }
    }

    pub(super) fn track(event: &'static str) -> Self {
        Self::new("track").with("event", event)
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.members.push((name, value.into()));
        self
    }

    /// Notes an identifier that the members hold, and whose it really is.
    pub(super) fn claim(mut self, namespace: &str, value: &str, person: PersonNumber) -> Self {
        self.claims.push(Claim::new(namespace, value, person));
        self
    }
}

/// Writes events and keeps the truth about them.
#[derive(Debug)]
pub(super) struct Scribe {
    seed: u64,
    serial: u64,
    pub(super) truth: Truth,
    pub(super) written: Vec<Made>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message_id: &'a str,
    timestamp: &'a str,
}

impl Scribe {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, serial: 0, truth: Truth::default(), written: Vec::new() }
    }

    /// Writes a call.
    pub(super) fn write(&mut self, moment: Moment, body: Body) {
        self.truth.learn(&body.claims);
        let json = self.json(moment, body.kind, body.members);
        self.written.push(Made { source: moment.source, at: moment.at, person: Some(moment.person), json });
    }

    /// Writes a call that the server must refuse. Nothing is learnt from it.
    pub(super) fn write_malformed(&mut self, moment: Moment, body: Body) {
        let json = self.json(moment, body.kind, body.members);
        self.written.push(Made { source: moment.source, at: moment.at, person: None, json });
    }

    fn json(&mut self, moment: Moment, kind: &'static str, members: Vec<(&'static str, Json)>) -> String {
        self.serial += 1;
        let message_id = format!("{}-{:x}-{:07}", moment.source.name(), self.seed, self.serial);
        let timestamp = Timestamp::from_millis(moment.at).to_string();
        let envelope = Envelope { kind, message_id: &message_id, timestamp: &timestamp };
        // Serialising to memory what holds no maps with odd keys does not fail.
        let head = serde_json::to_string(&envelope).unwrap_or_default();
        let tail = serde_json::to_string(&Json::Object(members)).unwrap_or_default();
        match (head.strip_suffix('}'), tail.strip_prefix('{')) {
            (Some(head), Some("}")) => format!("{head}}}"),
            (Some(head), Some(tail)) => format!("{head},{tail}"),
            _ => head,
        }
    }
}
