//! The fuzzers on themselves, and what once broke something.

use super::{Broken, Fuzzed, Report, Target, attempt, fuzz, grouped, make, regressions};

#[test]
fn what_once_broke_something_does_so_no_more() {
    for target in Target::ALL {
        let fuzzed = make(target).unwrap_or_else(|Broken(what)| panic!("{what}"));
        let folder = regressions(fuzzed.name());
        let files =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut tried = 0;
        for file in files {
            let file = file.unwrap().path();
            let input = std::fs::read(&file).unwrap();
            assert_eq!(attempt(fuzzed.as_ref(), &input).err(), None, "{}", file.display());
            tried += 1;
        }
        assert!(tried > 0, "no inputs in {}", folder.display());
    }
}

#[test]
fn a_short_run_of_every_target_breaks_nothing() {
    for target in Target::ALL {
        let fuzzed = make(target).unwrap_or_else(|Broken(what)| panic!("{what}"));
        let Report { found, kept, .. } = fuzz(fuzzed.as_ref(), 3, |executions| executions >= 600);
        assert_eq!(found, [], "{target:?}");
        assert!(kept > 3, "{target:?} shows {kept} different things only");
    }
}

/// Reads a number in angle brackets, badly.
struct Planted;

impl Fuzzed for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![br#"{"total":12,"name":"a somewhat longer text to be left out"}"#.to_vec()]
    }

    fn check(&self, input: &[u8]) -> Result<String, Broken> {
        let text = String::from_utf8_lossy(input);
        let total = text.split_once("\"total\":").map_or("", |(_, total)| total);
        if total.starts_with("1e999") {
            return Err(Broken::new("a number too large"));
        }
        assert!(!total.starts_with("null"), "no number at all");
        Ok(String::new())
    }
}

#[test]
fn planted_bugs_are_found_and_made_small() {
    let Report { mut found, .. } = fuzz(&Planted, 1, |executions| executions >= 50_000);
    found.sort_by(|a, b| a.what.cmp(&b.what));
    let found: Vec<(&str, &[u8])> = found.iter().map(|f| (f.what.as_str(), f.input.as_slice())).collect();
    let expected: [(&str, &[u8]); 2] =
        [("a number too large", b"\"total\":1e999"), ("panic: no number at all", b"\"total\":null")];
    assert_eq!(found, expected);
}

#[test]
fn one_seed_is_one_sequence_of_inputs() {
    let run = |seed| {
        let report = fuzz(&Planted, seed, |executions| executions >= 5_000);
        (report.executions, report.found)
    };
    assert_eq!(run(4), run(4));
}

#[test]
fn numbers_are_written_in_groups_of_three() {
    assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
}
