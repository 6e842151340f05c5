//! New against returning: of the people who were there in a period, how many for the first time.
//!
//! A person is new in the period of their first such event that the lake has for the purpose, ever, and returning in every
//! later one in which they have another. Periods are of the calendar, in UTC.

use tessera_model::Timestamp;
use tessera_picture::{Column, Heading, stacked};

use crate::answer::{aligned, bar, count, csv, number, percent, share, text};
use crate::calendar::Unit;
use crate::insight::days;
use crate::options::{Common, Usual, event};
use crate::sql::{at, besides, in_range, is, periods};
use crate::{Answer, Options, Problem, Rows};

const COLUMNS: [&str; 5] = ["period", "people", "new", "returning", "share_new"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewReturning {
    pub(crate) common: Common,
    pub(crate) event: Option<String>,
    unit: Unit,
    periods: Vec<(Timestamp, Timestamp)>,
}

impl NewReturning {
    pub(crate) fn new(options: &Options, now: Timestamp) -> Result<Self, Problem> {
        options.only(&["event", "unit"])?;
        let unit = Unit::parse(options.unit.as_deref())?;
        let mut common = options.common(now, Usual::Periods(unit, 11))?;
        let periods = unit.periods(common.range)?;
        common.range.from = periods.first().map_or(common.range.from, |(from, _)| *from);
        let event = options.event.as_deref().map(|text| event("event", text)).transpose()?;
        Ok(Self { common, event, unit, periods })
    }

    pub(crate) fn sql(&self) -> String {
        let (unit, range, is) = (self.unit.name(), self.common.range, is(self.event.as_deref()));
        let besides = besides(&self.common);
        format!(
            "-- New against returning: people by {unit}. New: their first event is of this {unit}.\n\
             WITH {},\n\
             firsts AS (\n  SELECT profile_id, date_trunc('{unit}', min(timestamp)) AS first_at\n  FROM events\n  WHERE timestamp < {}\n    AND {is}{besides}\n  \
             GROUP BY profile_id\n),\n\
             active AS (\n  SELECT DISTINCT profile_id, date_trunc('{unit}', timestamp) AS begins_at\n  FROM events\n  WHERE {}\n    AND {is}{besides}\n),\n\
             counts AS (\n  SELECT begins_at, count(*) AS people, sum(CASE WHEN first_at = begins_at THEN 1 ELSE 0 END) AS new\n  \
             FROM active JOIN firsts USING (profile_id)\n  GROUP BY begins_at\n)\n\
             SELECT to_char(periods.begins_at, '%Y-%m-%d') AS period, coalesce(people, 0) AS people, coalesce(new, 0) AS new,\n  \
             coalesce(people - new, 0) AS returning, round(CAST(new AS DOUBLE) / people, 4) AS share_new\n\
             FROM periods LEFT JOIN counts ON counts.begins_at = periods.begins_at\n\
             ORDER BY 1\n",
            periods(&self.periods),
            at(range.to),
            in_range(range),
        )
    }

    pub(crate) fn is_empty(&self, rows: &Rows) -> bool {
        rows.iter().all(|row| number(row, "people") == 0)
    }

    pub(crate) fn answer(&self, rows: &Rows) -> Answer {
        let most = rows.iter().map(|row| number(row, "people")).max().unwrap_or_default();
        let lines: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let (people, new) = (number(row, "people"), number(row, "new"));
                vec![
                    text(row, "period").to_owned(),
                    count(people),
                    count(new),
                    count(number(row, "returning")),
                    percent(share(new, people)),
                    bar(people, most),
                ]
            })
            .collect();
        let header = [self.unit.name(), "people", "new", "returning", "new", ""];
        let columns: Vec<Column> = rows
            .iter()
            .map(|row| Column {
                name: text(row, "period").to_owned(),
                lower: number(row, "returning"),
                upper: number(row, "new"),
            })
            .collect();
        let told =
            columns.iter().map(|one| format!("{}: {} new, {} returning", one.name, one.upper, one.lower));
        let heading = Heading {
            title: "New against returning".to_owned(),
            about: format!("people by {}, {}", self.unit.name(), days(self.common.range)),
            description: format!(
                "Columns, one for each {}. {}.",
                self.unit.name(),
                told.collect::<Vec<_>>().join("; ")
            ),
        };
        Answer {
            table: aligned(&header, &[0, 5], &lines),
            csv: csv(&COLUMNS, rows),
            svg: stacked(&heading, ("returning", "new"), &columns),
        }
    }
}
