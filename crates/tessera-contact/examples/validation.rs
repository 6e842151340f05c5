//! How fast contact data is read, and how well: one JSON line per figure, for `cargo xtask bench`.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a bench measures time and prints what it measured"
)]

use std::time::Instant;

use tessera_contact::{Email, PersonName, Phone};

const SECONDS: f64 = 3.0;
const PHONES: &str = include_str!("../data/phone_examples.tsv");

fn main() {
    let rows: Vec<Vec<&str>> = PHONES.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let column = |is_valid: &'static str, at: usize| {
        let rows = rows.iter().filter(move |row| row.get(7) == Some(&is_valid));
        rows.filter_map(move |row| row.get(at).copied()).collect::<Vec<_>>()
    };
    let (valid, invalid) = (column("True", 2), column("False", 2));
    let reads = |text: &&&str| Phone::parse(text, None).is_ok_and(|phone| phone.normalised() == **text);
    figure("phone_valid_round_trip", valid.iter().filter(reads).count(), "of 1374");
    figure(
        "phone_invalid_refused",
        invalid.iter().filter(|text| Phone::parse(text, None).is_err()).count(),
        "of 245",
    );
    figure("phone_per_s", per_second(&column("True", 3), |text| Phone::parse(text, None).is_ok()), "1/s");

    let emails: Vec<String> =
        (0..1000).map(|n| format!("First.Last{n}@mail{}.example.com", n % 50)).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let one_form = |text: &str| Email::parse(text).is_ok_and(|email| !email.into_normalised().is_empty());
    figure("email_per_s", per_second(&emails, one_form), "1/s");
    let judged = |text: &str| Email::parse(text).is_ok_and(|email| !email.verdict().disposable);
    figure("email_verdict_per_s", per_second(&emails, judged), "1/s");

    let names = ["Dr. Ada King", "LOVELACE, Augusta Ada", "José Núñez", "Ludwig van Beethoven", "毛泽东"];
    figure(
        "name_per_s",
        per_second(&names, |text| PersonName::parse(text).is_ok_and(|name| !name.key().is_empty())),
        "1/s",
    );
}

/// How often `read` succeeds in a second, on one core.
fn per_second(texts: &[&str], read: impl Fn(&str) -> bool) -> usize {
    // Tables are read at their first use.
    let mut done = texts.iter().filter(|text| read(text)).count();
    assert!(done == texts.len(), "every text of a bench can be read");
    let started = Instant::now();
    done = 0;
    while started.elapsed().as_secs_f64() < SECONDS {
        done += texts.iter().filter(|text| read(std::hint::black_box(text))).count();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
    let rate = (done as f64 / started.elapsed().as_secs_f64()) as usize;
    rate
}

fn figure(name: &str, value: usize, unit: &str) {
    println!("{{\"figure\": \"{name}\", \"value\": {value}, \"unit\": \"{unit}\"}}");
}
