use proptest::prelude::*;

use crate::{Day, DayFault, DayOrder, Region, Status};

fn day(text: &str, order: Option<DayOrder>) -> Result<String, DayFault> {
    Day::parse(text, order).map(|day| day.normalised())
}

#[test]
fn a_day_is_read_however_it_is_written() {
    for text in [
        "1990-02-28",
        "19900228",
        "1990/2/28",
        "28.02.1990",
        "28/2/1990",
        "2/28/1990",
        " 28 Feb 1990",
        "Feb 28, 1990",
        "February 28th, 1990",
        "28. Februar 1990",
        "28 février 1990",
        "28 de febrero de 1990",
        "1990-02-28T23:59:59Z",
        "1990-02-28 00:00:00",
        "28.02.1990 00:00",
    ] {
        assert_eq!(day(text, None).as_deref(), Ok("1990-02-28"), "{text}");
    }
    assert_eq!(day("1 mars 1990", None).as_deref(), Ok("1990-03-01"));
    assert_eq!(day("1 juin 1990", None).as_deref(), Ok("1990-06-01"));
    assert_eq!(day("1 juillet 1990", None).as_deref(), Ok("1990-07-01"));
    assert_eq!(day("1 agosto 1990", None).as_deref(), Ok("1990-08-01"));
}

#[test]
fn what_is_ambiguous_is_asked_for_and_not_guessed() {
    assert_eq!(day("03/04/1990", None), Err(DayFault::Ambiguous));
    assert_eq!(day("03/04/1990", Some(DayOrder::DayFirst)).as_deref(), Ok("1990-04-03"));
    assert_eq!(day("03/04/1990", Some(DayOrder::MonthFirst)).as_deref(), Ok("1990-03-04"));
    assert_eq!(day("03/03/1990", None).as_deref(), Ok("1990-03-03"));
    assert_eq!(day("03/04/90", None), Err(DayFault::TwoDigitYear));
    assert_eq!(DayFault::Ambiguous.verdict().status, Status::Unknown);
    let order = |code| DayOrder::of(Region::parse(code).unwrap());
    assert_eq!((order("US"), order("GB")), (DayOrder::MonthFirst, DayOrder::DayFirst));
}

#[test]
fn impossible_days_are_refused() {
    for (text, fault) in [
        ("1990-02-30", DayFault::NoSuchDay),
        ("1900-02-29", DayFault::NoSuchDay),
        ("31.04.1990", DayFault::NoSuchDay),
        ("13/13/1990", DayFault::NoSuchDay),
        ("0000-00-00", DayFault::NoSuchDay),
        ("yesterday", DayFault::NotADay),
        ("", DayFault::NotADay),
        ("12", DayFault::NotADay),
        ("28 Fib 1990", DayFault::NotADay),
    ] {
        assert_eq!(day(text, None), Err(fault), "{text}");
    }
    assert_eq!(day("2000-02-29", None).as_deref(), Ok("2000-02-29"));
}

#[test]
fn a_day_of_birth_must_be_somebodys_who_can_be_alive() {
    let today = Day::new(2026, 11, 22).unwrap();
    let verdict = |text| Day::parse(text, None).unwrap().verdict_of_birth(today);
    for (text, status, reason) in [
        ("1990-02-28", Status::Unknown, "possible_day_of_birth"),
        ("2026-11-22", Status::Unknown, "possible_day_of_birth"),
        ("2026-11-23", Status::Invalid, "in_the_future"),
        ("1890-01-02", Status::Invalid, "too_long_ago"),
        ("1970-01-01", Status::Unknown, "day_put_for_none"),
        ("1900-01-01", Status::Unknown, "day_put_for_none"),
    ] {
        assert_eq!((verdict(text).status, verdict(text).reason), (status, reason), "{text}");
    }
    assert_eq!(format!("{today:?}"), "Day(<redacted>)");
}

proptest! {
    #[test]
    fn a_day_read_again_is_itself(text in "\\PC{0,20}|[0-9./ -]{0,12}") {
        if let Ok(form) = day(&text, Some(DayOrder::DayFirst)) {
            prop_assert_eq!(day(&form, None), Ok(form.clone()));
        }
    }
}
