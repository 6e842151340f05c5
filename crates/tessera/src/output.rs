//! What people read: the one place that prints.

use std::fmt::Display;
use std::io::Write as _;

/// An error as people read it: code and what, why, what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Failure {
    pub(crate) fn new(code: &str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.to_owned(), what: what.into(), hint: hint.into() }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.what)
    }
}

impl std::error::Error for Failure {}

/// Prints a line for people.
pub(crate) fn line(text: impl Display) {
    // A closed pipe (`tessera ... | head`) ends the program quietly, as other tools do.
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Prints a remark that is no part of the result.
#[expect(clippy::print_stderr, reason = "the one place that prints")]
pub(crate) fn note(text: impl Display) {
    eprintln!("{text}");
}

/// Asks for a line, on the same line.
#[expect(clippy::print_stderr, reason = "the one place that prints")]
pub(crate) fn prompt(text: &str) {
    eprint!("{text}");
}

/// Prints why a command failed: what, then each cause, then what to do.
pub(crate) fn error(error: &anyhow::Error) {
    let code = code_of(error.root_cause()).or_else(|| error.chain().find_map(code_of));
    match code {
        Some(code) => note(format_args!("error: {code}: {error}")),
        None => note(format_args!("error: {error}")),
    }
    for cause in error.chain().skip(1) {
        note(format_args!("  because: {cause}"));
    }
    // A failure that was put over its cause stands in no link of the chain.
    let over = error.downcast_ref::<Failure>().map(|failure| failure.hint.clone());
    let hint = over.or_else(|| error.chain().find_map(hint_of));
    if let Some(hint) = hint.filter(|hint| !hint.is_empty()) {
        note(format_args!("hint: {hint}"));
    }
}

/// The code of an error that does not print it itself.
fn code_of(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    use tessera_evidence::{EvidenceError, VerifyError};
    use tessera_pipeline::{PipelineError, SnapshotError};
    use tessera_store::{LogError, StoreError};
    error
        .downcast_ref::<LogError>()
        .map(LogError::code)
        .or_else(|| error.downcast_ref::<StoreError>().map(StoreError::code))
        .or_else(|| error.downcast_ref::<PipelineError>().map(PipelineError::code))
        .or_else(|| error.downcast_ref::<SnapshotError>().map(SnapshotError::code))
        .or_else(|| error.downcast_ref::<EvidenceError>().map(EvidenceError::code))
        .or_else(|| error.downcast_ref::<VerifyError>().map(VerifyError::code))
}

fn hint_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    use tessera_evidence::{EvidenceError, VerifyError};
    use tessera_pipeline::{PipelineError, SnapshotError};
    use tessera_store::{LogError, StoreError};
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some(failure.hint.clone());
    }
    if let Some(refusal) = error.downcast_ref::<crate::client::Refusal>() {
        return Some(refusal.hint());
    }
    let hint = error
        .downcast_ref::<LogError>()
        .map(LogError::hint)
        .or_else(|| error.downcast_ref::<StoreError>().map(StoreError::hint))
        .or_else(|| error.downcast_ref::<PipelineError>().map(PipelineError::hint))
        .or_else(|| error.downcast_ref::<SnapshotError>().map(SnapshotError::hint))
        .or_else(|| error.downcast_ref::<EvidenceError>().map(EvidenceError::hint))
        .or_else(|| error.downcast_ref::<VerifyError>().map(VerifyError::hint))?;
    Some(hint.to_owned())
}

/// A whole number with thousands separated: 1,234,567.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes as people read them: 1.5 MiB.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (number, 0);
    let mut rest = 0;
    while value >= 1024 && unit + 1 < UNITS.len() {
        rest = value % 1024 * 10 / 1024;
        value /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{value} {name}") } else { format!("{value}.{rest} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_people_read_them() {
        assert_eq!([count(7), count(1_234), count(1_234_567)], ["7", "1,234", "1,234,567"]);
        assert_eq!([bytes(7), bytes(1536), bytes(5 * 1024 * 1024)], ["7 B", "1.5 KiB", "5.0 MiB"]);
    }
}
