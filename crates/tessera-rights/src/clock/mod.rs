//! How long a request may take.
//!
//! Not a clock of the machine: the moment is an argument, and so is the calendar. Invariant: deadlines never get
//! earlier by an extension or a pause. Reference: Regulation (EEC, Euratom) 1182/71 Art. 3; EDPB Guidelines 01/2022,
//! section 5.3; 11 CCR 7021, 7026(f), 7027(g); LGPD Art. 19.

mod calendar;
mod deadline;

use jiff::civil::Date;
use serde::Serialize;
use tessera_model::Timestamp;

pub use calendar::{Calendar, CalendarError};
pub use deadline::{Deadlines, Term, deadlines};

use crate::request::{Request, Status};

/// Where a request stands in time. For a closed request, as it was when it was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// The last day on which its arrival may be confirmed; nothing where the law asks for no confirmation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledge_by: Option<Date>,
    /// Whether that day passed without a word to the person.
    pub is_acknowledgement_overdue: bool,
    /// The last day on which it may be answered, with the extension if there is one. While the clock is paused,
    /// as if it went on today.
    pub answer_by: Date,
    /// The last day if it were extended now; nothing if it cannot be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extendable_to: Option<Date>,
    /// Whether the clock stands still because the person was asked who they are.
    pub is_paused: bool,
    /// Calendar days from today to the last day; 0 on the last day, negative after it.
    pub days_left: i64,
    /// Whether the last day has passed without an answer.
    pub is_overdue: bool,
}

/// The clock of `request` at `now`. No moment before the request arrived or after it was closed is looked at.
#[must_use]
pub fn clock(request: &Request, calendar: &Calendar, now: Timestamp) -> Clock {
    let opening = request.opening();
    let terms = deadlines(opening.regime, opening.request_type);
    let end = request.closed_at().map_or(now, |closed_at| closed_at.min(now)).max(opening.received_at);
    let (received, today) = (calendar.date_of(opening.received_at), calendar.date_of(end));
    let due = |term: Term, paused_days: i64| {
        let last = term.after(received, calendar, paused_days);
        if terms.rolls_to_working_day { calendar.working_day_from(last) } else { last }
    };
    let is_extended = request.extended_at().is_some_and(|extended_at| extended_at <= end);
    let term = terms.extended.filter(|_| is_extended).unwrap_or(terms.answer);

    let (mut paused_days, mut is_paused) = (0, false);
    for (from, to) in request.identity_checks().filter(|(from, _)| terms.pauses && *from <= end) {
        let to = to.unwrap_or(end).min(end);
        // Whoever asks after the last day is late already: the question must come without undue delay.
        if calendar.date_of(from) <= due(term, paused_days) {
            paused_days += days_between(calendar.date_of(from), calendar.date_of(to));
            is_paused = to == end && request.status() == Status::IdentityCheck;
        }
    }
    let answer_by = due(term, paused_days);
    let acknowledge_by = terms.acknowledge.map(|term| term.after(received, calendar, 0));
    let acknowledged =
        request.acknowledged_at().filter(|at| *at <= end).map_or(today, |at| calendar.date_of(at));
    Clock {
        acknowledge_by,
        is_acknowledgement_overdue: acknowledge_by.is_some_and(|by| acknowledged > by),
        answer_by,
        extendable_to: terms
            .extended
            .filter(|_| !is_extended && today <= answer_by && !request.status().is_closed())
            .map(|term| due(term, paused_days)),
        is_paused,
        days_left: days_between(today, answer_by),
        is_overdue: today > answer_by,
    }
}

/// From one day to another, negative backwards.
fn days_between(from: Date, to: Date) -> i64 {
    to.duration_since(from).as_hours() / 24
}

#[cfg(test)]
mod tests;
