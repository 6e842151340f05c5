//! Whether SQL, stream and oracle say the same: `cargo xtask oracle`, counted.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::Arguments;
use crate::bench::figures::Figures;
use crate::oracle;

/// Pairs of a definition and a person's history.
const CASES: u64 = 100_000;

pub(super) fn measure(_: &Arguments, figures: &mut Figures) -> Result<()> {
    figures.say(&format!("holding SQL, stream and oracle against each other on {CASES} cases"));
    // It fails where there are differences, and these are what is counted.
    let output = oracle::command(CASES, 0).output().context("cannot run cargo")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let last = printed.lines().last().context("the comparison printed nothing")?;
    let told: Value = serde_json::from_str(last).context("the comparison did not end")?;
    for name in ["differential_cases", "differential_differences"] {
        figures.add(name, told.get(name).and_then(Value::as_f64).context("a count is missing")?, "cases");
    }
    Ok(())
}
