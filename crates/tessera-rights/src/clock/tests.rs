use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use proptest::prelude::*;
use tessera_model::Timestamp;

use super::*;
use crate::request::tests::{at, opened, step};
use crate::request::{Action, IdentityProof, Regime, RequestType, apply};

const ZONE: &str = "Europe/Berlin";

/// German public holidays and US federal ones, as far as the tables need them.
fn calendar(zone: &str) -> Calendar {
    let weekend = [Weekday::Saturday, Weekday::Sunday];
    Calendar::new(zone, &weekend, BTreeSet::new())
        .unwrap()
        .with_holidays([
            "2023-05-01",
            "2025-04-18",
            "2025-04-21",
            "2025-11-27",
            "2025-12-25",
            "2025-12-26",
            "2026-01-01",
            "2026-05-25",
            "2026-07-03",
        ])
        .unwrap()
}

fn ask() -> Action {
    Action::AskIdentity { answer_until: Timestamp::MAX }
}

fn confirm() -> Action {
    Action::ConfirmIdentity { proof: IdentityProof::ContactPoint }
}

fn extend() -> Action {
    Action::Extend { why: "many requests".into() }
}

/// Each line: regime, kind, received => acknowledge by, answer by, answer by when extended.
fn check(zone: &str, table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = line.split("//").next().unwrap();
        let (given, expected) = line.split_once("=>").unwrap();
        let [regime, kind, received] = given.split_whitespace().collect::<Vec<_>>().try_into().unwrap();
        let regime = Regime::parse(regime).unwrap();
        let kind = RequestType::parse(kind).unwrap();
        let request = opened(regime, kind, received);
        let clock = clock(&request, &calendar(zone), request.opening().received_at);
        let day = |day: Option<Date>| day.map_or("-".to_owned(), |day| day.to_string());
        let got = format!("{} {} {}", day(clock.acknowledge_by), clock.answer_by, day(clock.extendable_to));
        assert_eq!(
            got.split(' ').collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>(),
            "{line}"
        );
    }
}

#[test]
fn a_month_ends_on_the_same_date_or_the_last_day_or_the_next_working_day() {
    check(
        ZONE,
        "
        gdpr access      2024-03-05T09:00:00Z => - 2024-04-05 2024-06-05 // EDPB example: 5 March, 5 April
        gdpr access      2022-08-31T09:00:00Z => - 2022-09-30 2022-11-30 // EDPB example: 31 August, 30 September
        gdpr access      2024-01-31T09:00:00Z => - 2024-02-29 2024-04-30 // a leap year
        gdpr access      2023-01-31T09:00:00Z => - 2023-02-28 2023-05-02 // 30 April is a Sunday, 1 May a holiday
        gdpr access      2023-12-29T09:00:00Z => - 2024-01-29 2024-03-29
        gdpr erasure     2025-03-18T09:00:00Z => - 2025-04-22 2025-06-18 // Good Friday, week-end, Easter Monday
        gdpr portability 2025-11-25T09:00:00Z => - 2025-12-29 2026-02-25 // Christmas, then a week-end
        gdpr objection   2025-11-30T09:00:00Z => - 2025-12-30 2026-03-02 // 28 February is a Saturday
        gdpr restriction 2026-03-05T09:00:00Z => - 2026-04-06 2026-06-05 // 5 April is a Sunday
        ",
    );
}

#[test]
fn the_day_is_that_of_the_controller() {
    check(
        ZONE,
        "gdpr access 2024-03-05T23:30:00Z => - 2024-04-08 2024-06-06 // 6 March in Berlin; 6 April is a Saturday",
    );
    check("UTC", "gdpr access 2024-03-05T23:30:00Z => - 2024-04-05 2024-06-05");
    check("America/Los_Angeles", "ccpa erasure 2026-03-02T07:59:00Z => 2026-03-13 2026-04-15 2026-05-30");
    check("America/Los_Angeles", "ccpa erasure 2026-03-02T08:00:00Z => 2026-03-16 2026-04-16 2026-05-31");
}

#[test]
fn california_counts_business_days_to_confirm_and_calendar_days_to_answer() {
    check(
        "America/Los_Angeles",
        "
        ccpa access          2026-03-02T18:00:00Z => 2026-03-16 2026-04-16 2026-05-31
        ccpa access          2026-03-06T18:00:00Z => 2026-03-20 2026-04-20 2026-06-04 // a Friday
        ccpa rectification   2026-03-07T18:00:00Z => 2026-03-20 2026-04-21 2026-06-05 // a Saturday
        ccpa access          2025-12-15T18:00:00Z => 2025-12-31 2026-01-29 2026-03-15 // Christmas and the day after
        ccpa access          2024-01-15T18:00:00Z => 2024-01-29 2024-02-29 2024-04-14 // a leap year
        ccpa opt_out_of_sale 2026-03-02T18:00:00Z => - 2026-03-23 -
        ccpa opt_out_of_sale 2025-11-24T18:00:00Z => - 2025-12-16 -               // Thanksgiving
        ccpa restriction     2026-06-26T18:00:00Z => - 2026-07-20 -               // 3 July
        ",
    );
}

#[test]
fn brazil_counts_fifteen_days_and_moves_nothing() {
    check(
        "America/Sao_Paulo",
        "
        lgpd access  2026-03-02T18:00:00Z => - 2026-03-17 -
        lgpd access  2026-02-27T18:00:00Z => - 2026-03-14 - // a Saturday
        lgpd erasure 2024-02-20T18:00:00Z => - 2024-03-06 - // a leap year
        ",
    );
}

/// The clock of a request of 5 March 2024 after these steps, at that moment.
fn clock_after(regime: Regime, steps: &[(&str, Action)], now: &str) -> Clock {
    let calendar = calendar(ZONE);
    let mut request = opened(regime, RequestType::Access, "2024-03-05T09:00:00Z");
    for (when, action) in steps {
        request = apply(&request, step(when, action.clone()), &calendar).unwrap();
    }
    clock(&request, &calendar, at(now))
}

#[test]
fn asking_who_they_are_suspends_the_month_and_only_under_gdpr() {
    let asked = [("2024-03-07T10:00:00Z", ask())];
    let during = clock_after(Regime::Gdpr, &asked, "2024-03-17T10:00:00Z");
    assert_eq!((during.is_paused, during.days_left), (true, 29));
    assert_eq!(during.answer_by.to_string(), "2024-04-15");

    let answered = [("2024-03-07T10:00:00Z", ask()), ("2024-03-20T10:00:00Z", confirm())];
    let after = clock_after(Regime::Gdpr, &answered, "2024-03-21T10:00:00Z");
    assert_eq!((after.is_paused, after.answer_by.to_string().as_str()), (false, "2024-04-18"));

    let california = clock_after(Regime::Ccpa, &asked, "2024-03-17T10:00:00Z");
    assert_eq!((california.is_paused, california.answer_by.to_string().as_str()), (false, "2024-04-19"));
    assert!(!clock_after(Regime::Lgpd, &asked, "2024-03-17T10:00:00Z").is_paused);
}

#[test]
fn a_question_put_after_the_last_day_suspends_nothing() {
    let late = clock_after(Regime::Gdpr, &[("2024-04-06T10:00:00Z", ask())], "2024-04-20T10:00:00Z");
    assert_eq!((late.is_paused, late.is_overdue), (false, true));
    assert_eq!(late.answer_by.to_string(), "2024-04-05");
    let in_time = clock_after(Regime::Gdpr, &[("2024-04-05T10:00:00Z", ask())], "2024-04-20T10:00:00Z");
    assert_eq!((in_time.is_paused, in_time.is_overdue), (true, false));
}

#[test]
fn an_extension_counts_from_the_arrival() {
    let extended = clock_after(Regime::Gdpr, &[("2024-04-05T10:00:00Z", extend())], "2024-04-10T10:00:00Z");
    assert_eq!(extended.answer_by.to_string(), "2024-06-05");
    assert_eq!((extended.extendable_to, extended.is_overdue), (None, false));
}

#[test]
fn the_last_day_is_in_time_and_the_next_is_not() {
    let last = clock_after(Regime::Gdpr, &[], "2024-04-05T21:59:59Z");
    assert_eq!((last.days_left, last.is_overdue), (0, false));
    let next = clock_after(Regime::Gdpr, &[], "2024-04-05T22:00:00Z");
    assert_eq!((next.days_left, next.is_overdue, next.extendable_to), (-1, true, None));
}

#[test]
fn the_clock_of_a_closed_request_stands_still() {
    let cancelled = [("2024-03-08T10:00:00Z", Action::Cancel { why: "".into() })];
    let clock = clock_after(Regime::Gdpr, &cancelled, "2030-01-01T00:00:00Z");
    assert_eq!((clock.days_left, clock.is_overdue, clock.extendable_to), (28, false, None));
}

#[test]
fn an_answer_is_a_confirmation_too() {
    let open = clock_after(Regime::Ccpa, &[], "2024-03-20T10:00:00Z");
    assert_eq!(open.acknowledge_by.map(|day| day.to_string()).as_deref(), Some("2024-03-19"));
    assert!(open.is_acknowledgement_overdue);
    let cancelled = [("2024-03-08T10:00:00Z", Action::Cancel { why: "".into() })];
    assert!(!clock_after(Regime::Ccpa, &cancelled, "2024-03-20T10:00:00Z").is_acknowledgement_overdue);
    let told = [("2024-03-20T10:00:00Z", Action::Acknowledge)];
    assert!(clock_after(Regime::Ccpa, &told, "2024-03-21T10:00:00Z").is_acknowledgement_overdue);
}

#[test]
fn calendars_that_cannot_be_are_refused() {
    let week = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    assert_eq!(Calendar::new("UTC", &week, BTreeSet::new()).unwrap_err(), CalendarError::NoWorkingDay);
    let zone = Calendar::new("Mars/Base", &week[..2], BTreeSet::new()).unwrap_err();
    assert_eq!(zone.to_string(), "there is no time zone `Mars/Base`");
    let holiday = Calendar::default().with_holidays(["25 December"]).unwrap_err();
    assert_eq!(holiday.to_string(), "`25 December` is not a date like 2026-12-25");
}

#[test]
fn a_controllers_holidays_are_those_it_declares() {
    let controller = |holiday: &str| -> tessera_model::ControllerDocument {
        let json = format!(r#"{{"kind": "Controller", "name": "Shop", "holidays": ["{holiday}"]}}"#);
        serde_json::from_str(&json).unwrap()
    };
    let day = "2026-12-25".parse().unwrap();
    assert!(!Calendar::of(Some(&controller("2026-12-25"))).unwrap().is_working_day(day));
    assert!(Calendar::of(None).unwrap().is_working_day(day));
    assert!(Calendar::of(Some(&controller("Christmas"))).is_err());
}

#[test]
fn a_day_ends_where_the_calendar_is() {
    let end = calendar(ZONE).end_of("2024-04-05".parse().unwrap());
    assert_eq!(end.to_string(), "2024-04-05T21:59:59.000Z");
}

proptest! {
    #[test]
    fn who_comes_later_is_answered_no_earlier(
        regime in prop::sample::select(&Regime::ALL[..]),
        kind in prop::sample::select(&RequestType::ALL[..]),
        first in 0..2_000_000_000_i64,
        later in 0..90_000_000_i64,
        holidays in prop::collection::btree_set(0..25_000_i64, 0..40),
    ) {
        let calendar = Calendar::default();
        let epoch: Date = "1970-01-01".parse().unwrap();
        let holidays: Vec<String> =
            holidays.into_iter().map(|day| Calendar::days_after(epoch, day).to_string()).collect();
        let calendar = calendar.with_holidays(holidays.iter().map(String::as_str)).unwrap();
        let due = |seconds: i64| {
            let received = Timestamp::from_millis(seconds * 1000);
            let request = opened(regime, kind, &received.to_string());
            let clock = clock(&request, &calendar, received);
            (clock.acknowledge_by, clock.answer_by, clock.extendable_to, calendar.date_of(received))
        };
        let (one, two) = (due(first), due(first + later));
        prop_assert!(one.0 <= two.0 && one.1 <= two.1 && one.2 <= two.2);
        prop_assert!(one.3 < one.1 && one.2.is_none_or(|extended| extended > one.1));
        prop_assert!(one.0.is_none_or(|day| calendar.is_working_day(day) && day <= one.1));
        prop_assert!(regime != Regime::Gdpr || calendar.is_working_day(one.1));
    }
}
