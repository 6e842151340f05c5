//! Funnel: of the people who took the first step, how many took the second, and so on.
//!
//! Per person, as profiles are merged today. A person enters by their first event of the first step in the range. A step is
//! taken by the earliest event of it that is at the time of the step before or later, and at most `within` after the first step. An
//! event that fits an earlier step as well must be later than that step: one event never stands for two.

use tessera_model::Timestamp;
use tessera_picture::{Bar, Heading, bars};

use crate::answer::{aligned, as_f64, bar, count, csv, decimal, duration, number, percent, share};
use crate::calendar::millis;
use crate::insight::days;
use crate::options::{Common, Usual, condition, event};
use crate::sql::{besides, bracketed, in_range, text};
use crate::{Answer, Options, Problem, Rows};

const STEPS_MAX: usize = 20;
const COLUMNS: [&str; 6] = ["step", "event", "people", "of_first", "of_previous", "median_seconds"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Funnel {
    pub(crate) common: Common,
    steps: Vec<Step>,
    within_millis: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    event: String,
    condition: Option<String>,
}

impl Step {
    /// `Order Completed`, or `Order Completed[properties->>'currency' = 'EUR']`.
    fn parse(given: &str) -> Result<Self, Problem> {
        let split = given.trim().strip_suffix(']').and_then(|rest| rest.split_once('['));
        match split {
            None => Ok(Self { event: event("steps", given)?, condition: None }),
            Some((name, given)) => {
                Ok(Self { event: event("steps", name)?, condition: Some(condition("steps", given)?) })
            }
        }
    }

    fn sql(&self) -> String {
        let own = self.condition.as_deref().map(|text| format!(" AND {}", bracketed(text)));
        format!("event = {}{}", text(&self.event), own.unwrap_or_default())
    }
}

impl Funnel {
    pub(crate) fn new(options: &Options, now: Timestamp) -> Result<Self, Problem> {
        options.only(&["steps", "within"])?;
        if !(1..=STEPS_MAX).contains(&options.steps.len()) {
            return Err(Problem::new(
                format!("a funnel has 1 to {STEPS_MAX} steps, and not {}", options.steps.len()),
                "name the events of its steps, in their order",
            ));
        }
        Ok(Self {
            common: options.common(now, Usual::Days(30))?,
            steps: options.steps.iter().map(|step| Step::parse(step)).collect::<Result<_, _>>()?,
            within_millis: millis("within", options.within.as_deref().unwrap_or("7d"))?,
        })
    }

    pub(crate) fn sql(&self) -> String {
        let bits = self.steps.iter().enumerate();
        let bits: Vec<String> = bits
            .map(|(at, step)| format!("CASE WHEN {} THEN {} ELSE 0 END", step.sql(), 1_u32 << at))
            .collect();
        let mut names: Vec<String> = self.steps.iter().map(|step| text(&step.event)).collect();
        let places = 1..=self.steps.len();
        let list = |of: &dyn Fn(usize) -> String| places.clone().map(of).collect::<Vec<_>>().join(", ");
        let people = list(&|at| format!("count(times[{at}])"));
        let wait = |at: usize| match at {
            1 => "CAST(NULL AS DOUBLE)".to_owned(),
            _ => format!(
                "median((CAST(times[{at}] AS BIGINT) - CAST(times[{}] AS BIGINT)) / 1000000.0)",
                at - 1
            ),
        };
        let (waits, numbers, events) = (list(&wait), list(&|at| at.to_string()), names.join(", "));
        names.sort();
        names.dedup();
        format!(
            "-- Funnel: people by step. `funnel(timestamp, steps, seconds)` gives the times of the steps that one person took; the\n\
             -- bits of `steps` are the steps that an event fits.\n\
             WITH fitting AS (\n  SELECT profile_id, timestamp,\n    {} AS steps\n  FROM events\n  WHERE {}\n    AND event IN ({}){}\n),\n\
             taken AS (\n  SELECT profile_id, funnel(timestamp, steps, {}) AS times\n  FROM fitting\n  WHERE steps > 0\n  GROUP BY profile_id\n),\n\
             totals AS (\n  SELECT make_array({people}) AS people,\n    make_array({waits}) AS waits\n  FROM taken\n),\n\
             steps AS (\n  SELECT unnest(make_array({numbers})) AS step, unnest(make_array({events})) AS event,\n    \
             unnest(people) AS people, unnest(waits) AS median_seconds\n  FROM totals\n)\n\
             SELECT step, event, people,\n  \
             round(CAST(people AS DOUBLE) / nullif(first_value(people) OVER (ORDER BY step), 0), 4) AS of_first,\n  \
             round(CAST(people AS DOUBLE) / nullif(lag(people) OVER (ORDER BY step), 0), 4) AS of_previous,\n  \
             round(median_seconds, 3) AS median_seconds\n\
             FROM steps\nORDER BY step\n",
            bits.join("\n    + "),
            in_range(self.common.range),
            names.join(", "),
            besides(&self.common),
            self.within_millis / 1000,
        )
    }

    pub(crate) fn missing(&self, rows: &Rows) -> Vec<String> {
        let reached = |at: usize| rows.get(at).is_some_and(|row| number(row, "people") > 0);
        let steps = self.steps.iter().enumerate().filter(|(at, _)| !reached(*at));
        let mut names: Vec<String> = steps.map(|(_, step)| step.event.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    pub(crate) fn answer(&self, rows: &Rows) -> Answer {
        let first = rows.first().map(|row| number(row, "people")).unwrap_or_default();
        let name = |at: usize| self.steps.get(at).map_or("", |step| step.event.as_str());
        let lines: Vec<Vec<String>> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| {
                let people = number(row, "people");
                vec![
                    (at + 1).to_string(),
                    name(at).to_owned(),
                    count(people),
                    percent(share(people, first)),
                    if at == 0 { "-".to_owned() } else { percent(decimal(row, "of_previous")) },
                    decimal(row, "median_seconds").map_or_else(|| "-".to_owned(), duration),
                    bar(people, first),
                ]
            })
            .collect();
        let header = ["step", "event", "people", "of first", "of step before", "median wait", ""];
        Answer {
            table: aligned(&header, &[1, 6], &lines),
            csv: csv(&COLUMNS, rows),
            svg: self.picture(rows, first),
        }
    }

    fn picture(&self, rows: &Rows, first: u64) -> String {
        let steps = rows.iter().zip(&self.steps).enumerate();
        let drawn: Vec<Bar> = steps
            .map(|(at, (row, step))| {
                let people = number(row, "people");
                Bar {
                    name: format!("{}. {}", at + 1, step.event),
                    value: people,
                    text: format!("{} ({})", count(people), percent(share(people, first))),
                }
            })
            .collect();
        let told: Vec<String> = drawn.iter().map(|bar| format!("{}: {}", bar.name, bar.text)).collect();
        let heading = Heading {
            title: "Funnel".to_owned(),
            about: format!(
                "people, {}, within {} of the first step",
                days(self.common.range),
                duration(as_f64(u64::try_from(self.within_millis / 1000).unwrap_or_default()))
            ),
            description: format!("Bars, one for each step. {}.", told.join("; ")),
        };
        bars(&heading, &drawn)
    }
}
