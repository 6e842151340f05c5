//! What an import tells when it has ended, and while it runs.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use super::assemble::Tally;
use super::send::Sent;
use crate::output::{count, line};

/// Most reasons that are printed.
const REASONS_MAX: usize = 10;

/// The end of an import.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) tally: Tally,
    pub(super) sent: Sent,
    pub(super) nanos: u64,
    /// Columns of the mapping that no row had.
    pub(super) unseen: Vec<String>,
}

impl Report {
    fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanos).as_secs_f64()
    }

    fn rows_per_second(&self) -> u64 {
        let rows = u128::from(self.tally.rows.saturating_sub(self.tally.skipped));
        u64::try_from(rows * 1_000_000_000 / u128::from(self.nanos.max(1))).unwrap_or(u64::MAX)
    }

    /// Reasons, the most frequent first.
    fn reasons(&self) -> Vec<(&str, u64, u64)> {
        let mut reasons: Vec<_> =
            self.tally.reasons.iter().map(|(r, (rows, first))| (r.as_str(), *rows, *first)).collect();
        reasons.sort_by_key(|(_, rows, first)| (std::cmp::Reverse(*rows), *first));
        reasons
    }

    pub(super) fn json(&self) -> Value {
        let reasons: Vec<Value> = self
            .reasons()
            .into_iter()
            .map(|(reason, rows, first)| json!({"reason": reason, "rows": rows, "first_line": first}))
            .collect();
        json!({
            "rows": self.tally.rows,
            "already_imported": self.tally.skipped,
            "events": self.tally.events,
            "accepted": self.sent.accepted,
            "rejected_here": self.tally.rejected,
            "rejected_by_server": self.sent.rejected,
            "reasons": reasons,
            "columns_never_seen": self.unseen,
            "is_whole_file": self.tally.is_whole,
            "seconds": (self.seconds() * 1000.0).round() / 1000.0,
            "rows_per_second": self.rows_per_second(),
        })
    }

    pub(super) fn print(&self, is_dry: bool) {
        let tally = &self.tally;
        line(format_args!("rows                    {:>12}", count(tally.rows)));
        if tally.skipped > 0 {
            line(format_args!("  imported before       {:>12}", count(tally.skipped)));
        }
        if is_dry {
            line(format_args!("  would become events   {:>12}", count(tally.events)));
            line(format_args!("  would be rejected     {:>12}", count(tally.rejected)));
        } else {
            line(format_args!("  events accepted       {:>12}", count(self.sent.accepted)));
            line(format_args!("  rejected here         {:>12}", count(tally.rejected)));
            line(format_args!("  rejected by the server{:>12}", count(self.sent.rejected)));
        }
        line(format_args!("seconds                 {:>12.1}", self.seconds()));
        line(format_args!("rows/s                  {:>12}", count(self.rows_per_second())));
        for (reason, rows, first) in self.reasons().into_iter().take(REASONS_MAX) {
            let rows = if rows == 1 { "1 row".to_owned() } else { format!("{} rows", count(rows)) };
            line(format_args!("rejected: {rows}, first on line {first}: {reason}"));
        }
        for column in &self.unseen {
            line(format_args!("no row has `{column}`: check its name in the mapping"));
        }
        if !is_dry && tally.rejected + self.sent.rejected > 0 {
            line(
                "`tessera reject list` shows what was rejected; once it is corrected, import the file again",
            );
        }
    }
}

/// A bar over the file's bytes, on a terminal only.
pub(super) fn bar(bytes: u64, is_json: bool) -> ProgressBar {
    let target = if is_json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(bytes), target);
    match ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}  {eta} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
