//! Retention: of the people who began in a period, how many came back in the first period after it, in the second, and so on.
//!
//! A person begins with their first `start` event that the lake has for the purpose, ever; whoever began before the range
//! is in no group. They came back in a period if they have any `back` event in it. Periods are of the calendar, in UTC.

use tessera_model::Timestamp;
use tessera_picture::{Cell, Heading, grid};

use crate::answer::{aligned, count, csv, decimal, number, percent, text};
use crate::calendar::Unit;
use crate::insight::days;
use crate::options::{Common, Usual, event, within};
use crate::sql::{at, besides, in_range, is, periods};
use crate::{Answer, Options, Problem, Rows};

const PERIODS_AFTER_MAX: usize = 60;
const COLUMNS: [&str; 6] = ["started", "people", "period", "returned", "share", "is_complete"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    pub(crate) common: Common,
    pub(crate) start: Option<String>,
    pub(crate) back: Option<String>,
    unit: Unit,
    after: usize,
    periods: Vec<(Timestamp, Timestamp)>,
}

/// Of a group in one period: which share came back, how many, and whether the period is over.
type Period = (f64, u64, bool);
/// A group's name, its size and its periods.
type Group = (String, u64, Vec<Option<Period>>);

impl Retention {
    pub(crate) fn new(options: &Options, now: Timestamp) -> Result<Self, Problem> {
        options.only(&["start", "back", "unit", "periods"])?;
        let unit = Unit::parse(options.unit.as_deref())?;
        let after = within("periods", options.periods, 8, (1, PERIODS_AFTER_MAX))?;
        let mut common = options.common(now, Usual::Periods(unit, after))?;
        let periods = unit.periods(common.range)?;
        // A group that is not whole would be compared with others that are.
        common.range.from = periods.first().map_or(common.range.from, |(from, _)| *from);
        let name = |name, given: &Option<String>| given.as_deref().map(|text| event(name, text)).transpose();
        Ok(Self {
            common,
            start: name("start", &options.start)?,
            back: name("back", &options.back)?,
            unit,
            after,
            periods,
        })
    }

    pub(crate) fn sql(&self) -> String {
        let (unit, range) = (self.unit.name(), self.common.range);
        let (from, to) = (at(range.from), at(range.to));
        let after: Vec<String> = (0..=self.after).map(|number| format!("({number})")).collect();
        format!(
            "-- Retention: of the people who began in a {unit}, how many came back in each {unit} after it. Period 0 is that of the beginning.\n\
             WITH {},\n\
             beginnings AS (\n  SELECT profile_id, date_trunc('{unit}', min(timestamp)) AS begins_at\n  FROM events\n  WHERE timestamp < {to}\n    AND {}{}\n  \
             GROUP BY profile_id\n  HAVING min(timestamp) >= {from}\n),\n\
             active AS (\n  SELECT DISTINCT profile_id, date_trunc('{unit}', timestamp) AS begins_at\n  FROM events\n  WHERE {}\n    AND {}{}\n),\n\
             people AS (\n  SELECT profile_id, number AS started FROM beginnings JOIN periods USING (begins_at)\n),\n\
             groups AS (\n  SELECT started, count(*) AS people FROM people GROUP BY started\n),\n\
             returns AS (\n  SELECT people.started, periods.number - people.started AS period, count(*) AS returned\n  \
             FROM active JOIN periods USING (begins_at) JOIN people USING (profile_id)\n  \
             WHERE periods.number > people.started\n  GROUP BY 1, 2\n)\n\
             SELECT to_char(first.begins_at, '%Y-%m-%d') AS started, groups.people, after.period,\n  \
             CASE WHEN after.period = 0 THEN groups.people ELSE coalesce(returns.returned, 0) END AS returned,\n  \
             round(CAST(CASE WHEN after.period = 0 THEN groups.people ELSE coalesce(returns.returned, 0) END AS DOUBLE) / groups.people, 4) AS share,\n  \
             then_period.ends_at <= {to} AS is_complete\n\
             FROM groups\n\
             JOIN periods AS first ON first.number = groups.started\n\
             CROSS JOIN (VALUES {}) AS after(period)\n\
             JOIN periods AS then_period ON then_period.number = groups.started + after.period\n\
             LEFT JOIN returns ON returns.started = groups.started AND returns.period = after.period\n\
             ORDER BY 1, 3\n",
            periods(&self.periods),
            is(self.start.as_deref()),
            besides(&self.common),
            in_range(range),
            is(self.back.as_deref()),
            besides(&self.common),
            after.join(", "),
        )
    }

    pub(crate) fn is_empty(&self, rows: &Rows) -> bool {
        rows.iter().all(|row| number(row, "period") == 0 || number(row, "returned") == 0)
    }

    /// For each group its name, its size, and the share of each period, with whether that is over.
    fn groups(&self, rows: &Rows) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for row in rows {
            let started = text(row, "started");
            if groups.last().is_none_or(|(name, _, _)| name != started) {
                groups.push((started.to_owned(), number(row, "people"), vec![None; self.after + 1]));
            }
            let place = usize::try_from(number(row, "period")).unwrap_or(usize::MAX);
            if let Some(cell) = groups.last_mut().and_then(|(_, _, cells)| cells.get_mut(place)) {
                let is_complete =
                    row.get("is_complete").and_then(serde_json::Value::as_bool).unwrap_or(false);
                *cell =
                    Some((decimal(row, "share").unwrap_or_default(), number(row, "returned"), is_complete));
            }
        }
        groups
    }

    pub(crate) fn answer(&self, rows: &Rows) -> Answer {
        let groups = self.groups(rows);
        let numbers: Vec<String> = (0..=self.after).map(|at| at.to_string()).collect();
        let header: Vec<&str> =
            ["started", "people"].into_iter().chain(numbers.iter().map(String::as_str)).collect();
        let lines: Vec<Vec<String>> = groups
            .iter()
            .map(|(name, people, cells)| {
                let cells = cells.iter().map(|cell| cell.map_or_else(String::new, told));
                [name.clone(), count(*people)].into_iter().chain(cells).collect()
            })
            .collect();
        let note = format!("periods of a {}; * is not over yet\n", self.unit.name());
        Answer {
            table: aligned(&header, &[0], &lines) + &note,
            csv: csv(&COLUMNS, rows),
            svg: self.picture(&groups, numbers),
        }
    }

    fn picture(&self, groups: &[Group], numbers: Vec<String>) -> String {
        let cell = |(share, returned, is_complete): Period, people: u64| Cell {
            strength: share,
            text: told((share, returned, is_complete)),
            hint: format!("{} of {}", count(returned), count(people)),
        };
        let rows: Vec<(String, Vec<Option<Cell>>)> = groups
            .iter()
            .map(|(name, people, cells)| {
                let cells = cells.iter().map(|one| one.map(|one| cell(one, *people))).collect();
                (format!("{name}  {}", count(*people)), cells)
            })
            .collect();
        let heading = Heading {
            title: "Retention".to_owned(),
            about: format!(
                "share of those who began in a {0} and came back so many {0}s later, {1}; * is not over yet",
                self.unit.name(),
                days(self.common.range)
            ),
            description: format!(
                "A grid with one row for each of {} groups of people who began in one {}, with their number, and one column for each period after it.",
                groups.len(),
                self.unit.name()
            ),
        };
        grid(&heading, &numbers, &rows)
    }
}

fn told((share, _, is_complete): Period) -> String {
    format!("{}{}", percent(Some(share)), if is_complete { "" } else { "*" })
}
