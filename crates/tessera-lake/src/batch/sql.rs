//! A definition as one SQL query over everybody, at one moment.
//!
//! Tables: `people (person, id)`; `events (person, at, name, properties, context)`; `traits` and `accounts (person, name, value)`, values
//! as JSON; `consents (person, purpose, status)`; `subscriptions (person, channel, topic, state)`; one `"audience NAME" (person)` and
//! `"trait NAME" (person, v)` for each definition that it speaks of. `person` is a number that the batch gives. An audience's query
//! gives those who are members, a computed trait's those who have values, and the values.
//!
//! Not the engine's way: nothing is kept in buckets, and every window is a comparison. Invariant: of a condition there is never `NULL`.

use std::collections::BTreeSet;

use tessera_audience::{
    Aggregate, Audience, Comparator, ComputedTrait, Condition, ConsentState, Definitions, MICROS, Operand,
    Operator, Oracle, Path, Person, Rfm, Sample, Scalar, SubscriptionTest, Take, Test, TimeZoneName,
};
use tessera_model::{ConsentStatus, Timestamp};

use super::events::{Reads, Selected, in_event};
use super::functions::literal;
use super::value::{push, text_of, together};
use super::window::{Bounds, Moment};

/// A definition written as SQL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) sql: String,
    /// The events that it needs.
    pub(crate) reads: Reads,
    pub(crate) needs: Needs,
    pub(crate) audiences: BTreeSet<String>,
    pub(crate) computed: BTreeSet<String>,
}

/// What a definition needs to know of people besides their events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The table `people`: whoever did nothing may be a member, too.
    pub(crate) people: bool,
    pub(crate) traits: BTreeSet<String>,
    pub(crate) accounts: BTreeSet<String>,
    pub(crate) consents: bool,
    pub(crate) subscriptions: bool,
}

impl Needs {
    /// What either needs.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { people, traits, accounts, consents, subscriptions } = other;
        self.people |= people;
        self.traits.extend(traits.iter().cloned());
        self.accounts.extend(accounts.iter().cloned());
        self.consents |= consents;
        self.subscriptions |= subscriptions;
    }
}

/// Why there is no SQL for a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSql {
    /// Its sequence has too many different selectors.
    #[error("a sequence asks for {count} different selectors of events, the limit here is {max}")]
    Selectors { count: usize, max: usize },
}

pub(crate) fn audience(
    audience: &Audience,
    definitions: &Definitions,
    now: Timestamp,
) -> Result<Written, NoSql> {
    let mut writer = Writer::new(definitions, &audience.time_zone, now);
    let holds = writer.condition(&audience.when)?;
    let nobody = Person::default();
    let by_events = !Oracle::new(definitions, &nobody, now).is_member(&audience.name);
    Ok(writer.end("", &format!("\nWHERE {holds}"), by_events))
}

pub(crate) fn computed(
    computed: &ComputedTrait,
    definitions: &Definitions,
    now: Timestamp,
) -> Result<Written, NoSql> {
    let mut writer = Writer::new(definitions, &computed.time_zone, now);
    let values = writer.operand(&computed.value)?;
    let nobody = Person::default();
    let by_events = Oracle::new(definitions, &nobody, now).computed(computed.name.as_str()).is_empty();
    Ok(writer.end(&format!(", {values} AS v"), "", by_events))
}

pub(crate) struct Writer<'a> {
    definitions: &'a Definitions,
    pub(crate) moment: Moment,
    /// What is taken of events in one reading: expressions, each a column of `f`.
    facts: Vec<String>,
    /// The events that any of these looks at.
    looked_at: Vec<String>,
    /// Queries of their own, each a table with the columns `person` and `v`.
    others: Vec<String>,
    traits: Vec<String>,
    accounts: Vec<String>,
    consents: Vec<String>,
    subscriptions: Vec<String>,
    asks_id: bool,
    written: Written,
}

/// The place of `wanted` in `known`, where it is put if it is not there.
fn place(known: &mut Vec<String>, wanted: String) -> usize {
    known.iter().position(|one| *one == wanted).unwrap_or_else(|| {
        known.push(wanted);
        known.len() - 1
    })
}

/// A text as SQL writes it.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

impl<'a> Writer<'a> {
    fn new(definitions: &'a Definitions, zone: &TimeZoneName, now: Timestamp) -> Self {
        Self {
            definitions,
            moment: Moment::new(zone, now),
            facts: Vec::new(),
            looked_at: Vec::new(),
            others: Vec::new(),
            traits: Vec::new(),
            accounts: Vec::new(),
            consents: Vec::new(),
            subscriptions: Vec::new(),
            asks_id: false,
            written: Written::default(),
        }
    }

    /// A column of `f`.
    pub(crate) fn fact(&mut self, of: &Selected, expression: String) -> String {
        place(&mut self.looked_at, of.sql.clone());
        self.written.reads.add(of);
        format!("f.f{}", place(&mut self.facts, expression))
    }

    /// `by_events`: whoever did nothing is not in the answer, if it follows from events alone.
    fn end(mut self, select: &str, filter: &str, by_events: bool) -> Written {
        let (mut with, mut joins) = (Vec::new(), Vec::new());
        self.written.needs.consents = !self.consents.is_empty();
        self.written.needs.subscriptions = !self.subscriptions.is_empty();
        if !self.facts.is_empty() {
            let columns: Vec<String> = numbered("f", &self.facts).collect();
            let (columns, looked_at) = (columns.join(",\n  "), self.looked_at.join("\n   OR "));
            with.push(format!(
                "f AS (SELECT person,\n  {columns}\nFROM events\nWHERE {looked_at}\nGROUP BY person)"
            ));
            joins.push("f".to_owned());
        }
        for (table, key, names) in [("traits", "t", &self.traits), ("accounts", "a", &self.accounts)] {
            if names.is_empty() {
                continue;
            }
            let columns = names.iter().map(|name| format!("max(CASE WHEN name = {name} THEN value END)"));
            let columns: Vec<String> = numbered(key, &columns.collect::<Vec<_>>()).collect();
            let (columns, names) = (columns.join(", "), names.join(", "));
            with.push(format!(
                "{key} AS (SELECT person, {columns} FROM {table} WHERE name IN ({names}) GROUP BY person)"
            ));
            joins.push(key.to_owned());
        }
        for (table, key, all) in
            [("consents", "c", &self.consents), ("subscriptions", "s", &self.subscriptions)]
        {
            if !all.is_empty() {
                let columns: Vec<String> = numbered(key, all).collect();
                let columns = columns.join(", ");
                with.push(format!("{key} AS (SELECT person, {columns} FROM {table} GROUP BY person)"));
                joins.push(key.to_owned());
            }
        }
        for (number, query) in self.others.iter().enumerate() {
            with.push(format!("q{number} AS ({query})"));
            joins.push(format!("q{number}"));
        }
        for other in &self.written.audiences {
            let table = name(&format!("audience {other}"));
            joins.push(table);
        }
        joins.extend(self.written.computed.iter().map(|other| name(&format!("trait {other}"))));
        let with = if with.is_empty() { String::new() } else { format!("WITH {}\n", with.join(",\n")) };
        if by_events && !self.asks_id && joins == ["f"] {
            self.written.sql = format!("{with}SELECT f.person{select}\nFROM f{filter}");
            return self.written;
        }
        self.written.needs.people = true;
        let joins: String =
            joins.iter().map(|table| format!("\nLEFT JOIN {table} ON {table}.person = p.person")).collect();
        self.written.sql = format!("{with}SELECT p.person{select}\nFROM people AS p{joins}{filter}");
        self.written
    }

    fn all(&mut self, parts: &[Condition], word: &str) -> Result<String, NoSql> {
        let parts: Vec<String> = parts.iter().map(|part| self.condition(part)).collect::<Result<_, _>>()?;
        Ok(format!("({})", parts.join(word)))
    }

    pub(crate) fn condition(&mut self, condition: &Condition) -> Result<String, NoSql> {
        Ok(match condition {
            Condition::All(parts) => self.all(parts, " AND ")?,
            Condition::Any(parts) => self.all(parts, " OR ")?,
            Condition::Not(part) => format!("(NOT {})", self.condition(part)?),
            Condition::Value(value) => test(&self.operand(&value.of)?, &value.test),
            Condition::Compare(both) => {
                let (left, right) = (self.operand(&both.left)?, self.operand(&both.right)?);
                format!("compare({left}, '{}', {right})", comparator(both.comparator))
            }
            Condition::Date(date) => {
                let values = self.operand(&date.of)?;
                lies(&values, self.moment.range(date.is))
            }
            Condition::Anniversary(day) => {
                let days = self.moment.anniversaries(day.within_days);
                format!("comes_again({}, '{days}')", self.of_trait(&day.of))
            }
            Condition::Sequence(sequence) => self.sequence(sequence)?,
            Condition::Audience(other) => {
                self.written.audiences.insert(other.to_string());
                format!("({}.person IS NOT NULL)", name(&format!("audience {other}")))
            }
            Condition::Consent(test) => {
                let purpose = quoted(test.purpose.as_str());
                let column = format!("max(CASE WHEN purpose = {purpose} THEN status END)");
                let column = format!("c.c{}", place(&mut self.consents, column));
                consent(&column, test.is)
            }
            Condition::Subscription(test) => self.subscription(test),
            Condition::Sample(sample) => {
                self.asks_id = true;
                sampled(sample)
            }
        })
    }

    fn subscription(&mut self, test: &SubscriptionTest) -> String {
        let topic = quoted(test.topic.as_deref().unwrap_or_default());
        let mut of = format!("channel = {} AND topic = {topic}", quoted(&test.channel));
        let state = test.is.state();
        if let Some(state) = state {
            of.push_str(&format!(" AND state = '{}'", word(&state)));
        }
        let column = place(&mut self.subscriptions, format!("max(CASE WHEN {of} THEN 1 END)"));
        let is = if state.is_some() { "IS NOT NULL" } else { "IS NULL" };
        format!("(s.s{column} {is})")
    }

    pub(crate) fn operand(&mut self, operand: &Operand) -> Result<String, NoSql> {
        Ok(match operand {
            Operand::Literal(scalar) => quoted(&together([scalar])),
            Operand::Trait(path) => self.of_trait(path),
            Operand::Account(path) => {
                self.written.needs.accounts.insert(path.first().to_owned());
                let column = place(&mut self.accounts, quoted(path.first()));
                format!("coalesce(values_at(a.a{column}, {}), '')", below(path))
            }
            Operand::Aggregate(aggregate) => self.aggregate(aggregate),
            Operand::Arithmetic(both) => {
                let (left, right) = (self.operand(&both.left)?, self.operand(&both.right)?);
                let operator = match both.operator {
                    Operator::Add => "add",
                    Operator::Subtract => "subtract",
                    Operator::Multiply => "multiply",
                    Operator::Divide => "divide",
                };
                format!("coalesce(calculate({left}, '{operator}', {right}), '')")
            }
            Operand::Age(path) => {
                let today = self.moment.today;
                format!("ages({}, '{today}')", self.of_trait(path))
            }
            Operand::Rfm(rfm) => self.rfm(rfm),
            Operand::Whether(condition) => {
                let [yes, no] = [true, false].map(|truth| quoted(&together([&Scalar::Bool(truth)])));
                format!("(CASE WHEN {} THEN {yes} ELSE {no} END)", self.condition(condition)?)
            }
        })
    }

    /// The values of a trait; a computed one hides others of its name.
    fn of_trait(&mut self, path: &Path) -> String {
        if self.definitions.computed(path.first()).is_some() {
            if path.names().len() > 1 {
                return "''".to_owned();
            }
            self.written.computed.insert(path.first().to_owned());
            return format!("coalesce({}.v, '')", name(&format!("trait {}", path.first())));
        }
        self.written.needs.traits.insert(path.first().to_owned());
        let column = place(&mut self.traits, quoted(path.first()));
        format!("coalesce(values_at(t.t{column}, {}), '')", below(path))
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> String {
        let bounds = self.moment.window(aggregate.window);
        let of = Selected::new(&aggregate.of, bounds);
        let case = |value: String| format!("CASE WHEN {} THEN {value} END", of.sql);
        let at = in_event;
        let mut fact = |expression: String| self.fact(&of, expression);
        match &aggregate.take {
            Take::Count => {
                let count = fact(format!("count({})", case("1".to_owned())));
                format!("of_number(CAST(coalesce({count}, 0) AS DECIMAL(38, 6)))")
            }
            Take::Sum(path) => {
                let sum = fact(format!("sum({})", case(at("sum_at", path))));
                format!("coalesce(of_number(coalesce({sum}, CAST(0 AS DECIMAL(38, 6)))), '')")
            }
            Take::Average(path) => {
                let sum = fact(format!("sum({})", case(at("sum_at", path))));
                let count = fact(format!("sum({})", case(at("how_many_at", path))));
                format!("coalesce(mean({sum}, {count}), '')")
            }
            Take::Min(path) => {
                let min = fact(format!("min({})", case(at("min_at", path))));
                format!("coalesce(of_number({min}), '')")
            }
            Take::Max(path) => {
                let max = fact(format!("max({})", case(at("max_at", path))));
                format!("coalesce(of_number({max}), '')")
            }
            Take::First(path) => {
                let key = case(format!("key_of(at, {}, 'first')", at("counted_at", path)));
                format!("coalesce(of_key({}), '')", fact(format!("min({key})")))
            }
            Take::Last(path) => {
                let key = case(format!("key_of(at, {}, 'last')", at("counted_at", path)));
                format!("coalesce(of_key({}), '')", fact(format!("max({key})")))
            }
            Take::FirstAt => {
                format!("coalesce(time_of({}), '')", fact(format!("min({})", case("at".to_owned()))))
            }
            Take::LastAt => {
                format!("coalesce(time_of({}), '')", fact(format!("max({})", case("at".to_owned()))))
            }
            Take::Distinct(path) | Take::UniqueList(path) | Take::MostFrequent(path) => {
                let counted = at("counted_at", path);
                self.of_values(&aggregate.take, &of, &counted)
            }
        }
    }

    /// What follows from how often each value stands, of the first so many values.
    fn of_values(&mut self, take: &Take, of: &Selected, counted: &str) -> String {
        self.written.reads.add(of);
        let is_count = matches!(take, Take::Distinct(_));
        let taken = if is_count {
            "count(*)"
        } else if matches!(take, Take::MostFrequent(_)) {
            "first_value(one(value) ORDER BY times DESC, value)"
        } else {
            "arrow_cast(string_agg(one(value), '' ORDER BY value), 'Utf8')"
        };
        let query = format!(
            "SELECT person, {taken} AS v FROM (\n  \
               SELECT person, value, times, row_number() OVER (PARTITION BY person ORDER BY value) AS place FROM (\n    \
                 SELECT person, value, count(*) AS times FROM (\n      \
                   SELECT person, unnest(each({counted})) AS value FROM events WHERE {}\n    \
                 ) GROUP BY person, value\n  )\n) WHERE place <= {} GROUP BY person",
            of.sql,
            tessera_audience::DISTINCT_VALUES_MAX
        );
        let column = format!("q{}.v", place(&mut self.others, query));
        match is_count {
            true => format!("of_number(CAST(coalesce({column}, 0) AS DECIMAL(38, 6)))"),
            false => format!("coalesce({column}, '')"),
        }
    }

    fn rfm(&mut self, rfm: &Rfm) -> String {
        let of = Selected::new(&rfm.of, self.moment.window(rfm.window));
        let case = |value: &str| format!("CASE WHEN {} THEN {value} END", of.sql);
        let amount = in_event("sum_at", &rfm.amount);
        let count = self.fact(&of, format!("count({})", case("1")));
        let latest = self.fact(&of, format!("max({})", case("at")));
        let sum = self.fact(&of, format!("sum({})", case(&amount)));
        let now = self.moment.now;
        let score = |all: Vec<String>| {
            let cuts: String =
                all.iter().map(|cut| format!(" + CASE WHEN {cut} THEN 1 ELSE 0 END")).collect();
            format!("CAST((1{cuts}) AS VARCHAR)")
        };
        let recency = rfm.recency.iter().map(|cut| format!("{latest} > {}", now - cut.millis()));
        let frequency = rfm.frequency.iter().map(|cut| format!("{count} >= {cut}"));
        let monetary = rfm
            .monetary
            .iter()
            .map(|cut| format!("coalesce({sum}, CAST(0 AS DECIMAL(38, 6))) >= {}", decimal(cut.micros())));
        let digits = [recency.collect(), frequency.collect(), monetary.collect()].map(score).join(" || ");
        format!("(CASE WHEN {latest} IS NULL THEN '' ELSE one('t' || {digits}) END)")
    }
}

fn numbered<'n>(key: &'n str, expressions: &'n [String]) -> impl Iterator<Item = String> + use<'n> {
    expressions.iter().enumerate().map(move |(number, expression)| format!("{expression} AS {key}{number}"))
}

fn decimal(micros: i128) -> String {
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let (whole, places) = (micros / MICROS.unsigned_abs(), micros % MICROS.unsigned_abs());
    format!("CAST('{sign}{whole}.{places:06}' AS DECIMAL(38, 6))")
}

/// The rest of a path behind a trait's name.
fn below(path: &Path) -> String {
    let rest = path.names().get(1..).unwrap_or_default().to_vec();
    quoted(&Path::new(rest).map(|path| path.to_string()).unwrap_or_default())
}

/// A function's first argument: the part of the event in which a path begins.
pub(crate) fn root(path: &Path) -> &'static str {
    if path.first() == "context" { "(context" } else { "(properties" }
}

/// Whether the values of an operand, of a trait or of an event pass a test.
pub(crate) fn test(values: &str, test: &Test) -> String {
    let of = |operator: &str, literals: &str| format!("has({values}, '{operator}', {})", quoted(literals));
    let text = |operator: &str, part: &str| of(operator, &literal(&Scalar::Text(part.into())));
    let several = |operator: &str, all: &[Scalar]| {
        let mut literals = String::new();
        all.iter().for_each(|one| push(&mut literals, &text_of(one)));
        of(operator, &literals)
    };
    match test {
        Test::Equals(one) => of("equals", &literal(one)),
        Test::NotEquals(one) => of("none", &literal(one)),
        Test::Less(one) => of("less", &literal(one)),
        Test::AtMost(one) => of("at_most", &literal(one)),
        Test::Greater(one) => of("greater", &literal(one)),
        Test::AtLeast(one) => of("at_least", &literal(one)),
        Test::In(all) => several("in", all),
        Test::NotIn(all) => several("none", all),
        Test::Contains(part) => text("contains", part),
        Test::StartsWith(part) => text("starts_with", part),
        Test::EndsWith(part) => text("ends_with", part),
        Test::Matches(pattern) => text("matches", pattern.as_str()),
        Test::Before(moment) => lies(values, Bounds { first: i64::MIN, last: moment.0.as_millis() - 1 }),
        Test::Since(moment) => lies(values, Bounds { first: moment.0.as_millis(), last: i64::MAX }),
        Test::Exists => of("exists", ""),
    }
}

fn lies(values: &str, bounds: Bounds) -> String {
    // SQL has no literal of the least whole number.
    let first = bounds.first.max(-i64::MAX);
    format!("lies({values}, {first}, {})", bounds.last)
}

const fn comparator(comparator: Comparator) -> &'static str {
    match comparator {
        Comparator::Equals => "equals",
        Comparator::NotEquals => "not_equals",
        Comparator::Less => "less",
        Comparator::AtMost => "at_most",
        Comparator::Greater => "greater",
        Comparator::AtLeast => "at_least",
    }
}

pub(crate) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

fn consent(column: &str, is: ConsentState) -> String {
    let valid = ConsentStatus::ALL.into_iter().filter(|status| status.is_valid());
    let valid: Vec<String> = valid.map(|status| quoted(status.as_str())).collect();
    let valid = valid.join(", ");
    match is {
        ConsentState::Valid => format!("coalesce({column} IN ({valid}), false)"),
        ConsentState::Invalid => format!("coalesce({column} NOT IN ({valid}), false)"),
        ConsentState::Unknown => format!("({column} IS NULL)"),
        ConsentState::Status(status) => format!("coalesce({column} = {}, false)", quoted(status.as_str())),
    }
}

fn sampled(sample: &Sample) -> String {
    let place = format!("place({}, p.id) * 100", quoted(&sample.seed));
    format!("({place} >= {} AND {place} < {})", sample.from.micros(), sample.to.micros())
}
