//! Answers that come with their progress, shown while they come.

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::{number, text};
use crate::client::Refusal;
use crate::output::Failure;

/// A stream of events: it calls back with the kind and data of each, until it is told `false`.
type Stream<'a> = dyn FnMut(&str, &str) -> bool + 'a;

pub(super) fn bar(template: &str) -> anyhow::Result<ProgressBar> {
    let bar = ProgressBar::no_length();
    bar.set_style(ProgressStyle::with_template(template)?);
    Ok(bar)
}

/// Reads a stream to its end: progress to the bar, which then goes; what is done comes back.
pub(super) fn ended(
    bar: &ProgressBar,
    stream: impl FnOnce(&mut Stream<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Value> {
    end_of(bar, ["done", "total"], stream)
}

/// The same for a walk over everybody, of whom there may be millions.
pub(super) fn walked(stream: impl FnOnce(&mut Stream<'_>) -> anyhow::Result<()>) -> anyhow::Result<Value> {
    let bar = bar("looking at {bar:40} {human_pos} of about {human_len} people, {eta} left")?;
    end_of(&bar, ["profiles", "profiles_expected"], stream)
}

fn end_of(
    bar: &ProgressBar,
    [position, length]: [&str; 2],
    stream: impl FnOnce(&mut Stream<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<Value> {
    let mut end: Option<anyhow::Result<Value>> = None;
    let asked = stream(&mut |kind, data| {
        match kind {
            "progress" => {
                let value: Value = serde_json::from_str(data).unwrap_or_default();
                bar.set_message(text(&value, "stage").to_owned());
                bar.set_length(number(&value, length));
                bar.set_position(number(&value, position));
            }
            "done" => end = Some(serde_json::from_str(data).context("the answer cannot be read")),
            "failed" => {
                let body = serde_json::from_str(data).unwrap_or_default();
                end = Some(Err(Refusal { status: 500, body }.into()));
            }
            _ => {}
        }
        end.is_none()
    });
    bar.finish_and_clear();
    asked?;
    end.unwrap_or_else(|| {
        let what = "the server ended the answer too early";
        Err(Failure::new("TES-C006", what, "check that the server runs, and ask again").into())
    })
}
