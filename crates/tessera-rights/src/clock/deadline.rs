//! How long each law gives for each kind of request.

use jiff::Span;
use jiff::civil::Date;
use serde::Serialize;

use super::Calendar;
use crate::request::{Regime, RequestType};

/// A length of time as a law states it. The day of arrival never counts (Regulation 1182/71 Art. 3(1); California
/// Civil Code 10; Brazilian Civil Code Art. 132).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// Calendar days.
    Days(u16),
    /// Days that are worked on.
    BusinessDays(u16),
    /// Months: until the same day of the month, or the last day of a shorter one (Regulation 1182/71 Art. 3(2)(c)).
    Months(u8),
}

impl Term {
    /// The last day of the term that began on `day`, with `paused_days` calendar days on top.
    pub(super) fn after(self, day: Date, calendar: &Calendar, paused_days: i64) -> Date {
        let last = match self {
            Self::Days(count) => Calendar::days_after(day, i64::from(count)),
            Self::BusinessDays(count) => calendar.working_days_after(day, count),
            Self::Months(count) => day.saturating_add(Span::new().months(i64::from(count))),
        };
        Calendar::days_after(last, paused_days)
    }
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Days(count) => write!(f, "{count} days"),
            Self::BusinessDays(count) => write!(f, "{count} business days"),
            Self::Months(1) => f.write_str("1 month"),
            Self::Months(count) => write!(f, "{count} months"),
        }
    }
}

/// What a law gives for one kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Deadlines {
    /// Within which its arrival must be confirmed; nothing where the law asks for no confirmation.
    pub acknowledge: Option<Term>,
    /// Within which it must be answered.
    pub answer: Term,
    /// Within which it must be answered once extended, counted from its arrival; nothing where it cannot be.
    pub extended: Option<Term>,
    /// Whether a last day that nobody works on moves to the next working day.
    pub rolls_to_working_day: bool,
    /// Whether the time stands still while the person is asked who they are.
    pub pauses: bool,
    /// Where the law says so.
    pub article: &'static str,
}

/// The deadlines of one law for one kind of request.
///
/// * GDPR: the month counts from the arrival, also when the person is then asked who they are; the question, put
///   without undue delay, suspends it until the answer (Art. 12(6); EDPB Guidelines 01/2022, section 5.3).
/// * CCPA: the 45 days run "regardless of time required to verify the request" (11 CCR 7021(b)). A last day on a
///   weekend is not moved: the regulations do not say that it is.
/// * LGPD: Art. 19(II) gives 15 days for confirmation and access. For the other rights no term has been set
///   (Art. 18(5) leaves it to regulation), so the same 15 days are counted; nothing is moved or paused.
#[must_use]
pub const fn deadlines(regime: Regime, request_type: RequestType) -> Deadlines {
    match regime {
        Regime::Gdpr => Deadlines {
            acknowledge: None,
            answer: Term::Months(1),
            extended: Some(Term::Months(3)),
            rolls_to_working_day: true,
            pauses: true,
            article: "Art. 12(3)",
        },
        Regime::Ccpa => match request_type {
            RequestType::Access
            | RequestType::Portability
            | RequestType::Rectification
            | RequestType::Erasure
            | RequestType::LiftRestriction => Deadlines {
                acknowledge: Some(Term::BusinessDays(10)),
                answer: Term::Days(45),
                extended: Some(Term::Days(90)),
                rolls_to_working_day: false,
                pauses: false,
                article: "11 CCR 7021",
            },
            RequestType::OptOutOfSale | RequestType::Objection => at_once("11 CCR 7026(f)"),
            RequestType::Restriction => at_once("11 CCR 7027(g)"),
        },
        Regime::Lgpd => Deadlines {
            acknowledge: None,
            answer: Term::Days(15),
            extended: None,
            rolls_to_working_day: false,
            pauses: false,
            article: match request_type {
                RequestType::Access | RequestType::Portability => "Art. 19(II)",
                RequestType::Rectification
                | RequestType::Erasure
                | RequestType::Restriction
                | RequestType::LiftRestriction
                | RequestType::Objection
                | RequestType::OptOutOfSale => "Art. 18(5)",
            },
        },
    }
}

/// "As soon as feasibly possible, but no later than 15 business days": no confirmation, no extension.
const fn at_once(article: &'static str) -> Deadlines {
    Deadlines {
        acknowledge: None,
        answer: Term::BusinessDays(15),
        extended: None,
        rolls_to_working_day: false,
        pauses: false,
        article,
    }
}
