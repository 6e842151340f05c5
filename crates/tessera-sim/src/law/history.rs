//! The words of a history: purposes, sources, events and what is said in them.
//!
//! Plain values without behaviour, except the calendar. Not Tessera's own types, so that a mistake in those cannot
//! hide behind itself.

use std::fmt;

/// Milliseconds since 1970, in UTC.
pub(crate) type Millis = i64;

/// Twenty-four hours.
pub(crate) const DAY: Millis = 24 * 60 * 60 * 1000;

/// A rule of the law as Tessera states it; one can be switched off to see that its loss is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Rule {
    /// A purpose that nobody declared permits nothing.
    UnknownPurpose,
    /// A purpose based on consent needs a yes that is the last word.
    Consent,
    /// A no in one fragment beats a yes in another, however late.
    Stricter,
    /// A yes grows old.
    Validity,
    /// A yes to an old version ends at the cut-off.
    Reconsent,
    /// Where only explicit consent counts, an implied yes is none.
    Explicit,
    /// An objection ends what is not needed for a contract, a law or a life.
    Objection,
    /// With the contract ends what it was the basis of.
    ContractEnd,
    /// Restricted data is kept, not used.
    Restriction,
    /// Too young, or nobody knows.
    MinimumAge,
    /// The erased are not kept again.
    Erased,
    /// `Sec-GPC: 1` objects to selling and sharing.
    Signal,
    /// Data grows old.
    Retention,
    /// Nothing is kept that no purpose permits.
    GateIn,
    /// Nothing is used for a purpose that it is not kept for.
    GateOut,
    /// The payload can narrow an event's purposes.
    PayloadPurposes,
}

impl Rule {
    /// Every one, in the order of the rules' numbers; the gates come last.
    pub const ALL: [Self; 16] = [
        Self::UnknownPurpose,
        Self::Consent,
        Self::Stricter,
        Self::Validity,
        Self::Reconsent,
        Self::Explicit,
        Self::Objection,
        Self::ContractEnd,
        Self::Restriction,
        Self::MinimumAge,
        Self::Erased,
        Self::Signal,
        Self::Retention,
        Self::GateIn,
        Self::GateOut,
        Self::PayloadPurposes,
    ];
}

/// Art. 6(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Basis {
    Consent,
    Contract,
    LegalObligation,
    VitalInterests,
    PublicTask,
    LegitimateInterests,
}

/// Why not, in the order in which reasons go before one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// The person's data was erased.
    Erased,
    /// Nobody declared the purpose.
    UnknownPurpose,
    /// The purpose is over.
    Retired,
    /// Processing is restricted.
    Restricted,
    /// The person objected.
    Objected,
    /// Said no.
    Refused,
    /// Took the yes back.
    Withdrawn,
    /// The yes is too old, or was said to have ended.
    Expired,
    /// The yes was for an older version.
    Reconsent,
    /// No yes.
    NeverAsked,
    /// The contract ended.
    Ended,
    /// No birth date.
    AgeUnknown,
    /// Too young.
    Underage,
    /// The data was not kept for that purpose, or its source has none.
    NotItsPurpose,
    /// The data is older than the purpose keeps it.
    TooOld,
}

/// Why data is processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Purpose {
    pub(crate) name: String,
    pub(crate) version: u32,
    pub(crate) basis: Basis,
    pub(crate) valid_days: Option<i64>,
    pub(crate) is_explicit: bool,
    /// From which version on a yes counts, and since when that matters.
    pub(crate) reconsent: Option<(u32, Millis)>,
    pub(crate) minimum_age: Option<i64>,
    pub(crate) is_marketing: bool,
    pub(crate) is_sale: bool,
    pub(crate) retention_days: Option<i64>,
    /// Whether it is over.
    pub(crate) is_retired: bool,
}

/// Where events come from, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) purposes: Vec<String>,
    /// Of events of that name, or of calls.
    pub(crate) events: Vec<(String, Vec<String>)>,
    /// Whether a list in the payload narrows them.
    pub(crate) has_payload_purposes: bool,
}

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    Given,
    Renewed,
    Refused,
    Withdrawn,
    Expired,
    Objected,
    Overruled,
    Ended,
    Restricted,
    Unrestricted,
}

impl Word {
    /// As the tracking API names it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Renewed => "renewed",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Objected => "objected",
            Self::Overruled => "overruled",
            Self::Ended => "ended",
            Self::Restricted => "restricted",
            Self::Unrestricted => "unrestricted",
        }
    }
}

/// Something said by or about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) word: Word,
    /// None for the words that concern all purposes.
    pub(crate) purpose: Option<String>,
    /// Which version the sender says it is about.
    pub(crate) version: Option<u32>,
    pub(crate) is_explicit: bool,
    pub(crate) at: Millis,
}

/// What kind of call an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Identify,
    Track,
    Consent,
}

impl Call {
    /// As the tracking API names it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Track => "track",
            Self::Consent => "consent",
        }
    }
}

/// Something that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Of its own; the same when it is sent again.
    pub(crate) id: usize,
    pub(crate) source: String,
    pub(crate) call: Call,
    /// What happened, of a track call.
    pub(crate) name: Option<String>,
    pub(crate) identifiers: Vec<String>,
    pub(crate) at: Millis,
    pub(crate) received_at: Millis,
    /// Whether it came with `Sec-GPC: 1`.
    pub(crate) has_signal: bool,
    pub(crate) statements: Vec<Statement>,
    /// Name and value of traits that may be birth dates.
    pub(crate) births: Vec<(String, String)>,
    /// The purposes that the payload lists.
    pub(crate) listed: Option<Vec<String>>,
}

/// An event that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) event: Event,
    /// Whether the event was kept; of one that was not, only what was said about purposes is.
    pub(crate) is_kept: bool,
    /// What it is kept for.
    pub(crate) purposes: Vec<String>,
    /// What it said, versions filled in, signals included.
    pub(crate) said: Vec<Statement>,
}

/// What the gate says of an event that arrives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether the person was erased: nothing of the event is kept, and nobody asks further.
    pub(crate) is_erased: bool,
    /// What it is kept for; of an event that is not kept, nothing.
    pub(crate) purposes: Vec<String>,
    /// Which of its purposes do not permit it, and why.
    pub(crate) denied: Vec<(String, Reason)>,
}

/// A day of the calendar, by UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Date {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
}

impl Date {
    /// `1984-02-29`; anything else is no date.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts.as_slice() else { return None };
        if (year.len(), month.len(), day.len()) != (4, 2, 2) {
            return None;
        }
        let date = Self { year: year.parse().ok()?, month: month.parse().ok()?, day: day.parse().ok()? };
        let is_real =
            (1..=12).contains(&date.month) && (1..=days_of_month(date.year, date.month)).contains(&date.day);
        is_real.then_some(date)
    }

    /// The day on which an instant falls, by counting from 1970; not for what was before.
    pub(crate) fn of(at: Millis) -> Self {
        let mut date = Self { year: 1970, month: 1, day: at / DAY + 1 };
        while date.day > days_of_month(date.year, date.month) {
            date.day -= days_of_month(date.year, date.month);
            date.month += 1;
            if date.month > 12 {
                date = Self { year: date.year + 1, month: 1, day: date.day };
            }
        }
        date
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
