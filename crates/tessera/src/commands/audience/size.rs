//! How many members there were, day by day: as a table, a file or a picture.

use std::path::Path;

use clap::ValueEnum;
use serde_json::Value;
use tessera_picture::{Bar, Heading, bars};

use super::{show, write};
use crate::cli::Global;
use crate::client::encode;
use crate::commands::{client, list, number, print_json, text};
use crate::output::{self, count};

/// Letters of the longest bar in a table.
const BAR_LETTERS: usize = 24;
const COLUMNS: [&str; 4] = ["day", "entered", "exited", "size"];

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Table,
    /// RFC 4180, with a header.
    Csv,
    /// As the server answers.
    Json,
    /// A picture.
    Svg,
}

/// `tessera audience size`.
pub(super) fn size(
    global: &Global,
    (name, days): (&str, u32),
    (form, file): (Option<Form>, Option<&Path>),
) -> anyhow::Result<()> {
    let answer = client(global)?.get(&format!("/api/v1/audiences/{}/size?days={days}", encode(name)))?;
    let named = |file: &Path| Form::from_str(file.extension()?.to_str()?, true).ok();
    let usual = if global.json { Form::Json } else { Form::Table };
    let form = form.or_else(|| named(file?)).unwrap_or(usual);
    let drawn = match form {
        Form::Json if file.is_none() => return print_json(&answer),
        Form::Json => format!("{}\n", serde_json::to_string_pretty(&answer)?),
        Form::Table => show::aligned(&table(&answer)),
        Form::Csv => csv(&answer),
        Form::Svg => picture(&answer),
    };
    match file {
        Some(file) => write(file, drawn.as_bytes()),
        None => {
            output::line(drawn.trim_end());
            Ok(())
        }
    }
}

fn counts(day: &Value) -> [u64; 3] {
    ["entered", "exited", "size"].map(|name| number(day, name))
}

/// Each day with a bar as long as its size.
fn table(answer: &Value) -> Vec<Vec<String>> {
    let days = list(answer, "days");
    let most = days.iter().map(|day| number(day, "size")).max().unwrap_or_default().max(1);
    let bar = |size: u64| {
        let letters = u128::from(size) * BAR_LETTERS as u128 / u128::from(most);
        // Somebody is more than nobody.
        "#".repeat(usize::try_from(letters).unwrap_or(BAR_LETTERS).max(usize::from(size > 0)))
    };
    let row = |day: &Value| {
        let [entered, exited, size] = counts(day);
        vec![text(day, "day").to_owned(), count(entered), count(exited), count(size), bar(size)]
    };
    [COLUMNS.map(str::to_owned).to_vec()].into_iter().chain(days.iter().map(row)).collect()
}

fn csv(answer: &Value) -> String {
    let row = |day: &Value| {
        let [entered, exited, size] = counts(day);
        format!("{},{entered},{exited},{size}\r\n", text(day, "day"))
    };
    let head = format!("{}\r\n", COLUMNS.join(","));
    [head].into_iter().chain(list(answer, "days").iter().map(row)).collect()
}

/// A bar for each day.
fn picture(answer: &Value) -> String {
    let bar = |day: &Value| {
        let [entered, exited, size] = counts(day);
        Bar {
            name: text(day, "day").to_owned(),
            value: size,
            text: format!("{} (+{} -{})", count(size), count(entered), count(exited)),
        }
    };
    let drawn: Vec<Bar> = list(answer, "days").iter().map(bar).collect();
    let words = drawn.iter().map(|bar| format!("{}: {}", bar.name, bar.text));
    let heading = Heading {
        title: format!("Members of {}", text(answer, "audience")),
        about: "at the end of each day in UTC; who entered (+) and left (-)".to_owned(),
        description: words.collect::<Vec<_>>().join("; "),
    };
    bars(&heading, &drawn)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn days_are_told_as_a_table_as_rows_and_drawn() {
        let answer = json!({"audience": "vip", "days": [
            {"day": "2026-11-21", "entered": 1, "exited": 0, "size": 1},
            {"day": "2026-11-22", "entered": 2400, "exited": 1, "size": 2400},
        ]});
        insta::assert_snapshot!(show::aligned(&table(&answer)), @r"
        day         entered  exited  size
        2026-11-21  1        0       1      #
        2026-11-22  2,400    1       2,400  ########################
        ");
        assert_eq!(csv(&answer), "day,entered,exited,size\r\n2026-11-21,1,0,1\r\n2026-11-22,2400,1,2400\r\n");
        assert!(picture(&answer).contains("2026-11-22: 2,400 (+2,400 -1)"), "{}", picture(&answer));
    }
}
