//! One word of a person, about one purpose or about many at once.
//!
//! A banner says yes to ten purposes in one breath. What differs in its purposes alone is one [`Word`], in memory as on
//! disk: it is read, merged, asked and written once. Not a decision: see [`crate::decide`].

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use tessera_model::{ConsentStatus, Expression, PurposeId, PurposeSet, SourceName, Timestamp};

use crate::ConsentRecord;

/// What a word is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The whole person.
    Person,
    /// These purposes; none: nothing is left of the word.
    Purposes(PurposeSet),
}

impl About {
    const NOTHING: Self = Self::Purposes(PurposeSet::EMPTY);

    pub(crate) fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }

    /// What both are about.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Person, Self::Person) => Self::Person,
            (Self::Purposes(these), Self::Purposes(those)) => Self::Purposes(these.and(those)),
            (Self::Person, Self::Purposes(_)) | (Self::Purposes(_), Self::Person) => Self::NOTHING,
        }
    }

    /// What this is about and `other` is not.
    pub(crate) fn without(self, other: Self) -> Self {
        match (self, other) {
            (Self::Person, Self::Person) => Self::NOTHING,
            (Self::Purposes(these), Self::Purposes(those)) => Self::Purposes(these.without(those)),
            (Self::Person, Self::Purposes(_)) | (Self::Purposes(_), Self::Person) => self,
        }
    }

    /// What either is about, if they are of one kind.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Purposes(these), Self::Purposes(those)) => Self::Purposes(these.or(those)),
            (Self::Person, Self::Person | Self::Purposes(_)) | (Self::Purposes(_), Self::Person) => self,
        }
    }
}

/// What was said, by whom it was brought, and about what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Stored")]
pub(crate) struct Word {
    pub(crate) about: About,
    pub(crate) status: ConsentStatus,
    pub(crate) expression: Expression,
    pub(crate) version: u32,
    pub(crate) first_at: Timestamp,
    pub(crate) last_at: Timestamp,
    pub(crate) source: SourceName,
    pub(crate) how: Option<Box<str>>,
    pub(crate) evidence: Option<Box<str>>,
}

impl From<ConsentRecord> for Word {
    fn from(record: ConsentRecord) -> Self {
        let ConsentRecord { purpose, status, expression, version, first_at, last_at, source, how, evidence } =
            record;
        let about = purpose.map_or(About::Person, |id| About::Purposes([id].into_iter().collect()));
        Self { about, status, expression, version, first_at, last_at, source, how, evidence }
    }
}

impl Word {
    /// Whether it is about that purpose.
    pub(crate) fn is_on(&self, purpose: PurposeId) -> bool {
        match self.about {
            About::Person => false,
            About::Purposes(purposes) => purposes.contains(purpose),
        }
    }

    /// Whether the two say the same about what they share: of these only the first and last time are kept.
    pub(crate) fn is_repeated_by(&self, other: &Self) -> bool {
        (self.status, self.expression, self.version) == (other.status, other.expression, other.version)
    }

    /// Of two that say the same, whether `other` says nothing new.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        self.first_at <= other.first_at && self.lateness(other) != Ordering::Less
    }

    /// Of two that say the same, the span of both and who brought the last word, about what they share.
    pub(crate) fn spanning(&self, other: &Self) -> Self {
        let last = if self.lateness(other) == Ordering::Less { other } else { self };
        Self {
            about: self.about.and(other.about),
            first_at: self.first_at.min(other.first_at),
            ..last.clone()
        }
    }

    /// Equal times: the lesser source and words, so that order does not matter.
    fn lateness(&self, other: &Self) -> Ordering {
        self.last_at
            .cmp(&other.last_at)
            .then_with(|| other.source.cmp(&self.source))
            .then_with(|| (&other.how, &other.evidence).cmp(&(&self.how, &self.evidence)))
    }

    /// The order in which a person's words stand. Equal: they differ in their purposes at most, and are one word.
    pub(crate) fn place(&self, other: &Self) -> Ordering {
        let key = |word: &Self| {
            let is_personal = word.about == About::Person;
            (word.status, word.expression, word.version, is_personal, word.first_at, word.last_at)
        };
        key(self)
            .cmp(&key(other))
            .then_with(|| self.source.cmp(&other.source))
            .then_with(|| (&self.how, &self.evidence).cmp(&(&other.how, &other.evidence)))
    }

    /// Adds what an equally placed one is about.
    pub(crate) fn widen(&mut self, about: About) {
        self.about = self.about.or(about);
    }

    /// One record for each purpose.
    pub(crate) fn records(&self) -> impl Iterator<Item = ConsentRecord> {
        let (person, purposes) = match self.about {
            About::Person => (Some(None), PurposeSet::EMPTY),
            About::Purposes(purposes) => (None, purposes),
        };
        person.into_iter().chain(purposes.iter().map(Some)).map(|purpose| ConsentRecord {
            purpose,
            status: self.status,
            expression: self.expression,
            version: self.version,
            first_at: self.first_at,
            last_at: self.last_at,
            source: self.source.clone(),
            how: self.how.clone(),
            evidence: self.evidence.clone(),
        })
    }
}

/// How a word is stored.
#[derive(Deserialize)]
struct Stored {
    purposes: PurposeSet,
    is_personal: bool,
    status: ConsentStatus,
    expression: Expression,
    version: u32,
    first_at: Timestamp,
    /// Milliseconds after the first.
    lasted: u64,
    source: SourceName,
    how: Option<Box<str>>,
    evidence: Option<Box<str>>,
}

impl From<Stored> for Word {
    fn from(stored: Stored) -> Self {
        let Stored { purposes, is_personal, status, expression, version, .. } = stored;
        let Stored { first_at, lasted, source, how, evidence, .. } = stored;
        let last_at = first_at.plus_millis(i64::try_from(lasted).unwrap_or(i64::MAX));
        let about = if is_personal { About::Person } else { About::Purposes(purposes) };
        Self { about, status, expression, version, first_at, last_at, source, how, evidence }
    }
}

/// [`Stored`] as it is written: borrowed, for every event writes the row that it changed.
#[derive(Serialize)]
struct Written<'a> {
    purposes: PurposeSet,
    is_personal: bool,
    status: ConsentStatus,
    expression: Expression,
    version: u32,
    first_at: Timestamp,
    lasted: u64,
    source: &'a SourceName,
    how: &'a Option<Box<str>>,
    evidence: &'a Option<Box<str>>,
}

impl Serialize for Word {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (purposes, is_personal) = match self.about {
            About::Person => (PurposeSet::EMPTY, true),
            About::Purposes(purposes) => (purposes, false),
        };
        let Self { status, expression, version, first_at, last_at, source, how, evidence, .. } = self;
        Written {
            purposes,
            is_personal,
            status: *status,
            expression: *expression,
            version: *version,
            first_at: *first_at,
            lasted: u64::try_from(last_at.millis_since(*first_at)).unwrap_or(0),
            source,
            how,
            evidence,
        }
        .serialize(serializer)
    }
}
