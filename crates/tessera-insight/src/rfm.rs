//! RFM: people by how lately they bought, how often, and for how much.
//!
//! Of each the people are put in order, and a person's score is 1 for the lowest fifth to 5 for the highest: 1 more than the share
//! of people who come before, in fifths. Whoever is equal has equal scores, so fifths need not be equal. An amount that is
//! no number counts as nothing. (A computed trait's `rfm` has cut points of its own instead: it follows one person.)

use tessera_model::Timestamp;
use tessera_picture::{Cell, Heading, grid};

use crate::answer::{aligned, as_f64, bar, count, csv, decimal, number};
use crate::insight::days;
use crate::options::{Common, Usual, event};
use crate::sql::{besides, field, in_range, is};
use crate::{Answer, Options, Problem, Rows};

const USUAL_EVENT: &str = "Order Completed";
const USUAL_AMOUNT: &str = "properties.total";
const COLUMNS: [&str; 7] =
    ["recency", "frequency", "people", "mean_monetary", "purchases", "amount", "amount_per_person"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rfm {
    pub(crate) common: Common,
    pub(crate) event: Option<String>,
    amount: String,
}

impl Rfm {
    pub(crate) fn new(options: &Options, now: Timestamp) -> Result<Self, Problem> {
        options.only(&["event", "amount"])?;
        let path = options.amount.as_deref().unwrap_or(USUAL_AMOUNT);
        let amount = field(path).ok_or_else(|| {
            Problem::new(
                "`amount` is no path of a field",
                "write it like properties.total; traits and context are the other roots",
            )
        })?;
        Ok(Self {
            common: options.common(now, Usual::Days(365))?,
            event: Some(event("event", options.event.as_deref().unwrap_or(USUAL_EVENT))?),
            amount,
        })
    }

    pub(crate) fn sql(&self) -> String {
        let fifth = |column: &str| {
            format!("1 + 5 * (CAST(rank() OVER (ORDER BY {column}) AS BIGINT) - 1) / count(*) OVER ()")
        };
        format!(
            "-- RFM: people by recency and frequency, each 1 (the lowest fifth) to 5, and what they spent.\n\
             WITH people AS (\n  SELECT profile_id, max(timestamp) AS last_at, count(*) AS purchases,\n    \
             coalesce(sum(try_cast({} AS DOUBLE)), 0) AS amount\n  FROM events\n  WHERE {}\n    AND {}{}\n  GROUP BY profile_id\n),\n\
             scores AS (\n  SELECT profile_id, purchases, amount,\n    {} AS recency,\n    {} AS frequency,\n    {} AS monetary\n  FROM people\n)\n\
             SELECT recency, frequency, count(*) AS people, round(avg(monetary), 2) AS mean_monetary, sum(purchases) AS purchases,\n  \
             round(sum(amount), 2) AS amount, round(sum(amount) / count(*), 2) AS amount_per_person\n\
             FROM scores\nGROUP BY recency, frequency\nORDER BY recency DESC, frequency DESC\n",
            self.amount,
            in_range(self.common.range),
            is(self.event.as_deref()),
            besides(&self.common),
            fifth("last_at"),
            fifth("purchases"),
            fifth("amount"),
        )
    }

    pub(crate) fn answer(&self, rows: &Rows) -> Answer {
        let most = rows.iter().map(|row| number(row, "people")).max().unwrap_or_default();
        let two = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
        let lines: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                vec![
                    number(row, "recency").to_string(),
                    number(row, "frequency").to_string(),
                    count(number(row, "people")),
                    count(number(row, "purchases")),
                    two(decimal(row, "amount")),
                    two(decimal(row, "amount_per_person")),
                    two(decimal(row, "mean_monetary")),
                    bar(number(row, "people"), most),
                ]
            })
            .collect();
        let header = [
            "recency",
            "frequency",
            "people",
            "purchases",
            "amount",
            "per person",
            "mean monetary score",
            "",
        ];
        Answer {
            table: aligned(&header, &[7], &lines),
            csv: csv(&COLUMNS, rows),
            svg: self.picture(rows, most),
        }
    }

    fn picture(&self, rows: &Rows, most: u64) -> String {
        let cell = |recency: u64, frequency: u64| {
            let row = rows
                .iter()
                .find(|row| number(row, "recency") == recency && number(row, "frequency") == frequency)?;
            let people = number(row, "people");
            let each = decimal(row, "amount_per_person").unwrap_or_default();
            Some(Cell {
                strength: as_f64(people) / as_f64(most.max(1)),
                text: count(people),
                hint: format!(
                    "recency {recency}, frequency {frequency}: {} people, {each:.2} each",
                    count(people)
                ),
            })
        };
        let line = |recency: u64| {
            let name = match recency {
                5 => "recency 5, lately".to_owned(),
                1 => "recency 1, long ago".to_owned(),
                other => format!("recency {other}"),
            };
            (name, (1..=5).map(|frequency| cell(recency, frequency)).collect())
        };
        let grid_rows: Vec<(String, Vec<Option<Cell>>)> = (1..=5).rev().map(line).collect();
        let columns: Vec<String> = (1..=5).map(|frequency| format!("freq. {frequency}")).collect();
        let heading = Heading {
            title: "Recency and frequency".to_owned(),
            about: format!("people with `{}`, {}", self.event.as_deref().unwrap_or_default(), days(self.common.range)),
            description: "A grid of people: rows by how lately they bought, from 5 for the latest fifth down to 1; columns by how often, \
                from 1 to 5."
                .to_owned(),
        };
        grid(&heading, &columns, &grid_rows)
    }
}
