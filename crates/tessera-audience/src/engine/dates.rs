//! Dates that lie to now, days that come again, ages, and samples.

use jiff::civil::Date;
use sha2::{Digest, Sha256};
use tessera_model::Timestamp;

use super::evaluate::{NEVER, Truth};
use super::span::{Zone, days_between};
use crate::{DateRange, Number, Scalar, written_date};

/// Whether any of the times lies so to `now`.
pub(crate) fn lies(values: &[Scalar], range: DateRange, now: i64, zone: &Zone) -> Truth {
    let mut spans: Vec<(i64, i64)> = values
        .iter()
        .filter_map(|value| match value {
            Scalar::Text(text) => Timestamp::parse(text),
            Scalar::Bool(_) | Scalar::Number(_) => None,
        })
        .map(|at| holds_during(at.as_millis(), range, zone))
        .collect();
    spans.sort_unstable();
    let (mut holds, mut until) = (false, NEVER);
    for (from, to) in spans.into_iter().filter(|(from, to)| now < *to && from < to) {
        if from <= now {
            until = if holds { until.max(to) } else { to };
            holds = true;
        } else if holds && from <= until {
            until = until.max(to);
        } else if !holds {
            until = until.min(from);
        }
    }
    Truth { holds, until }
}

/// From when to before when `now` may be for a time to lie so to it.
fn holds_during(at: i64, range: DateRange, zone: &Zone) -> (i64, i64) {
    let start = |unit, units: i32| zone.start(unit, zone.date(at), units);
    match range {
        DateRange::Last(length) => (at, at + length.millis()),
        DateRange::Next(length) => (at - length.millis(), at),
        DateRange::Before(length) => (at + length.millis(), NEVER),
        DateRange::After(length) => (i64::MIN, at - length.millis()),
        DateRange::Past => (at, NEVER),
        DateRange::Future => (i64::MIN, at),
        DateRange::This(unit) => (start(unit, 0), start(unit, 1)),
        DateRange::Previous(units) => (start(units.unit, 1), start(units.unit, 1 + i32::from(units.count))),
        DateRange::Following(units) => (start(units.unit, -i32::from(units.count)), start(units.unit, 0)),
    }
}

/// Whether any of the dates comes again today or within so many days.
pub(crate) fn anniversary(values: &[Scalar], within_days: u16, now: i64, zone: &Zone) -> Truth {
    let today = zone.date(now);
    let (mut holds, mut until) = (false, NEVER);
    for date in dates(values) {
        let Some(next) = next_anniversary(date, today) else { continue };
        let is_near = days_between(today, next) <= i32::from(within_days);
        // Near until the day is over; else when it comes near.
        let changes_on = if is_near {
            next.tomorrow().unwrap_or(next)
        } else {
            next.saturating_sub(jiff::Span::new().days(i64::from(within_days)))
        };
        let changes_at = zone.midnight(changes_on);
        until = match (holds, is_near) {
            (true, true) => until.max(changes_at),
            (true, false) => until,
            (false, true) => changes_at,
            (false, false) => until.min(changes_at),
        };
        holds |= is_near;
    }
    Truth { holds, until }
}

/// The first day from `today` on that is kept for a date.
fn next_anniversary(date: Date, today: Date) -> Option<Date> {
    [today.year(), today.year() + 1]
        .into_iter()
        .find_map(|year| in_year(date, year).filter(|day| *day >= today))
}

/// The day of a year on which a date is kept; 29 February on 1 March in other years.
fn in_year(date: Date, year: i16) -> Option<Date> {
    Date::new(year, date.month(), date.day()).or_else(|_| Date::new(year, 3, 1)).ok()
}

/// Whole years since each of the dates, and when one more of them has passed.
pub(crate) fn ages(values: &[Scalar], now: i64, zone: &Zone) -> (Vec<Scalar>, i64) {
    let today = zone.date(now);
    let (mut ages, mut until) = (Vec::new(), NEVER);
    for date in dates(values) {
        let next = if date > today {
            Some(date)
        } else {
            let is_to_come = (today.month(), today.day()) < (date.month(), date.day());
            let age = i64::from(today.year()) - i64::from(date.year()) - i64::from(is_to_come);
            ages.push(Scalar::Number(Number::from_integer(age)));
            today.tomorrow().ok().and_then(|tomorrow| next_anniversary(date, tomorrow))
        };
        until = next.map_or(until, |next| until.min(zone.midnight(next)));
    }
    (ages, until)
}

/// The dates as they are written.
fn dates(values: &[Scalar]) -> impl Iterator<Item = Date> {
    values.iter().filter_map(|value| match value {
        Scalar::Text(text) => written_date(text),
        Scalar::Bool(_) | Scalar::Number(_) => None,
    })
}

/// Whether a profile is in a sample.
pub(crate) fn is_in_sample(seed: &str, profile: &str, from: Number, to: Number) -> bool {
    let digest = Sha256::new().chain_update(seed).chain_update([0]).chain_update(profile).finalize();
    let place = digest.iter().take(8).fold(0_u64, |place, byte| place << 8 | u64::from(*byte)) % 1_000_000;
    // A millionth of a percentage is a hundredth of a millionth of everybody.
    let place = i128::from(place) * 100;
    from.micros() <= place && place < to.micros()
}
