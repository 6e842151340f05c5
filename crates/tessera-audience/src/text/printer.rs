//! Trees as text.

use std::fmt::{self, Display, Formatter};

use super::condition::SUBSCRIBED;
use super::lexer::is_bare;
use super::operand::{TAKES, TAKES_OF_EVENTS};
use super::parser::RESERVED;
use crate::{
    Absence, Aggregate, Anniversary, Calendar, Comparator, Condition, ConsentState, ConsentTest, DateRange,
    Events, Filter, Moment, Number, Operand, Operator, Path, Rfm, Sample, Scalar, Sequence, Step,
    SubscriptionTest, Take, Test, Units, ValueTest, Window,
};

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, parts, "and", "all"),
            Self::Any(parts) => joined(f, parts, "or", "any"),
            Self::Not(part) => write!(f, "not {}", Part(part.as_ref())),
            Self::Value(ValueTest { of: Operand::Aggregate(aggregate), test })
                if is_performed(aggregate, test) =>
            {
                write!(f, "performed {}{}", aggregate.of, InWindow(aggregate.window))
            }
            Self::Value(value) => write!(f, "{} {}", value.of, value.test),
            Self::Compare(both) => {
                write!(f, "{} {} ", both.left, both.comparator)?;
                let alone = matches!(both.right, Operand::Literal(_));
                if alone { write!(f, "({})", both.right) } else { both.right.fmt(f) }
            }
            Self::Date(date) => write!(f, "{} {}", date.of, date.is),
            Self::Anniversary(day) => anniversary(f, day),
            Self::Sequence(sequence) => sequence.fmt(f),
            Self::Audience(name) => write!(f, "member of {}", Name(name.as_str())),
            Self::Consent(ConsentTest { purpose, is }) => {
                let state = match is {
                    ConsentState::Valid => "valid",
                    ConsentState::Invalid => "invalid",
                    ConsentState::Unknown => "unknown",
                    ConsentState::Status(status) => status.as_str(),
                };
                write!(f, "consent {} is {state}", Name(purpose.as_str()))
            }
            Self::Subscription(test) => subscription(f, test),
            Self::Sample(Sample { seed, from, to }) => {
                f.write_str("sample ")?;
                if *from != Number::default() {
                    write!(f, "{from}% to ")?;
                }
                write!(f, "{to}% of {}", Quoted(seed))
            }
        }
    }
}

/// Events at least once: what people call performed.
fn is_performed(aggregate: &Aggregate, test: &Test) -> bool {
    aggregate.take == Take::Count && *test == Test::AtLeast(Scalar::Number(Number::from_integer(1)))
}

/// A tree that several can be joined to.
trait Tree: Display {
    fn is_joined(&self) -> bool;
}

impl Tree for Condition {
    fn is_joined(&self) -> bool {
        matches!(self, Self::All(parts) | Self::Any(parts) if parts.len() > 1)
    }
}

impl Tree for Filter {
    fn is_joined(&self) -> bool {
        matches!(self, Self::All(parts) | Self::Any(parts) if parts.len() > 1)
    }
}

/// `a and b`; what has one part, or none, has no other form than `all (a)`.
fn joined<T: Tree>(f: &mut Formatter<'_>, parts: &[T], by: &str, word: &str) -> fmt::Result {
    match parts {
        [] => write!(f, "{word} ()"),
        [one] => write!(f, "{word} ({one})"),
        [first, rest @ ..] => {
            Part(first).fmt(f)?;
            rest.iter().try_for_each(|part| write!(f, " {by} {}", Part(part)))
        }
    }
}

/// A part of a tree, in parentheses where it is joined of several.
struct Part<'a, T>(&'a T);

impl<T: Tree> Display for Part<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_joined() { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

/// A text with the escapes of JSON.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self.0).map_err(|_| fmt::Error)?)
    }
}

/// One name, in backticks unless it is a plain word.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_plain = self.0.split('.').all(is_bare) && !RESERVED.contains(&self.0);
        if is_plain { f.write_str(self.0) } else { ticked(f, self.0) }
    }
}

fn ticked(f: &mut Formatter<'_>, name: &str) -> fmt::Result {
    write!(f, "`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

/// A path as text: unlike its form in YAML, with backticks.
struct PathText<'a>(&'a Path);

impl Display for PathText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_alone = self.0.names().len() == 1;
        for (place, name) in self.0.names().iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            let is_reserved = is_alone && RESERVED.contains(&name.as_str());
            if is_bare(name) && !is_reserved { f.write_str(name)? } else { ticked(f, name)? }
        }
        Ok(())
    }
}

fn list<T: Display>(f: &mut Formatter<'_>, items: &[T]) -> fmt::Result {
    f.write_str("(")?;
    for (place, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if place > 0 { ", " } else { "" })?;
    }
    f.write_str(")")
}

impl Display for Scalar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(truth) => truth.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => Quoted(text).fmt(f),
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(value) => write!(f, "= {value}"),
            Self::NotEquals(value) => write!(f, "!= {value}"),
            Self::Less(value) => write!(f, "< {value}"),
            Self::AtMost(value) => write!(f, "<= {value}"),
            Self::Greater(value) => write!(f, "> {value}"),
            Self::AtLeast(value) => write!(f, ">= {value}"),
            Self::In(values) => {
                f.write_str("in ")?;
                list(f, values)
            }
            Self::NotIn(values) => {
                f.write_str("not in ")?;
                list(f, values)
            }
            Self::Contains(text) => write!(f, "contains {}", Quoted(text)),
            Self::StartsWith(text) => write!(f, "starts with {}", Quoted(text)),
            Self::EndsWith(text) => write!(f, "ends with {}", Quoted(text)),
            Self::Matches(pattern) => write!(f, "matches {}", Quoted(pattern.as_str())),
            Self::Before(moment) => write!(f, "before {}", Short(*moment)),
            Self::Since(moment) => write!(f, "since {}", Short(*moment)),
            Self::Exists => f.write_str("exists"),
        }
    }
}

impl Display for Comparator {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equals => "=",
            Self::NotEquals => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        })
    }
}

/// A time, or a date where it is the beginning of one.
struct Short(Moment);

impl Display for Short {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.strip_suffix("T00:00:00.000Z").unwrap_or(&text))
    }
}

impl Display for Events {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => Quoted(name.as_str()).fmt(f)?,
            None => f.write_str("any event")?,
        }
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " where {}", Part(filter)))
    }
}

impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) => joined(f, parts, "and", "all"),
            Self::Any(parts) => joined(f, parts, "or", "any"),
            Self::Not(part) => write!(f, "not {}", Part(part.as_ref())),
            Self::Property(property) => write!(f, "{} {}", PathText(&property.path), property.test),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(scalar) => scalar.fmt(f),
            Self::Trait(path) => PathText(path).fmt(f),
            Self::Account(path) => write!(f, "account {}", PathText(path)),
            Self::Aggregate(aggregate) => aggregate.fmt(f),
            Self::Arithmetic(arithmetic) => {
                let sign = match arithmetic.operator {
                    Operator::Add => "+",
                    Operator::Subtract => "-",
                    Operator::Multiply => "*",
                    Operator::Divide => "/",
                };
                write!(f, "{} {sign} {}", Side(&arithmetic.left), Side(&arithmetic.right))
            }
            Self::Age(path) => write!(f, "age of {}", PathText(path)),
            Self::Rfm(rfm) => rfm.fmt(f),
            Self::Whether(condition) => write!(f, "whether ({condition})"),
        }
    }
}

/// A side of arithmetic, in parentheses where it is arithmetic itself.
struct Side<'a>(&'a Operand);

impl Display for Side<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if matches!(self.0, Operand::Arithmetic(_)) { write!(f, "({})", self.0) } else { self.0.fmt(f) }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let of_path = self.take.path();
        let words = match of_path {
            Some(path) => {
                TAKES.iter().find(|(_, take)| take(path.clone()) == self.take).map(|(words, _)| *words)
            }
            None => TAKES_OF_EVENTS.iter().find(|(_, take)| *take == self.take).map(|(words, _)| *words),
        };
        write!(f, "{} of ", words.unwrap_or_default().join(" "))?;
        if let Some(path) = of_path {
            write!(f, "{} of ", PathText(path))?;
        }
        write!(f, "{}{}", self.of, InWindow(self.window))
    }
}

impl Display for Rfm {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "rfm of {}{} by {} recency ", self.of, InWindow(self.window), PathText(&self.amount))?;
        list(f, &self.recency)?;
        f.write_str(" frequency ")?;
        list(f, &self.frequency)?;
        f.write_str(" monetary ")?;
        list(f, &self.monetary)
    }
}

/// A window behind events: nothing where it is all time.
struct InWindow(Window);

impl Display for InWindow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Window::Ever => Ok(()),
            Window::Since(from) => write!(f, " from {}", Short(from)),
            Window::Until(until) => write!(f, " until {}", Short(until)),
            Window::Fixed(fixed) => write!(f, " from {} to {}", Short(fixed.from), Short(fixed.to)),
            Window::Last(length) => write!(f, " in last {length}"),
            Window::Between(between) => write!(f, " from {} ago to {} ago", between.oldest, between.newest),
            Window::This(unit) => write!(f, " in this {unit}"),
            Window::Previous(units) => write!(f, " in previous {units}"),
        }
    }
}

impl Display for Calendar {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        })
    }
}

impl Display for Units {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.count == 1 { self.unit.fmt(f) } else { write!(f, "{} {}s", self.count, self.unit) }
    }
}

impl Display for DateRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last(length) => write!(f, "within last {length}"),
            Self::Next(length) => write!(f, "within next {length}"),
            Self::Before(length) => write!(f, "more than {length} ago"),
            Self::After(length) => write!(f, "more than {length} ahead"),
            Self::Past => f.write_str("is past"),
            Self::Future => f.write_str("is future"),
            Self::This(unit) => write!(f, "within this {unit}"),
            Self::Previous(units) => write!(f, "within previous {units}"),
            Self::Following(units) => write!(f, "within following {units}"),
        }
    }
}

fn anniversary(f: &mut Formatter<'_>, day: &Anniversary) -> fmt::Result {
    write!(f, "anniversary of {} ", PathText(&day.of))?;
    match day.within_days {
        0 => f.write_str("today"),
        1 => f.write_str("within 1 day"),
        days => write!(f, "within {days} days"),
    }
}

impl Display for Sequence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps.iter().enumerate() {
            f.write_str(if place > 0 { " then " } else { "" })?;
            step.fmt(f)?;
        }
        if let Some(Absence { events, within }) = &self.then_no {
            write!(f, " then no {} within {within}", Several(events))?;
        }
        if let Some(within) = self.within {
            write!(f, " overall within {within}")?;
        }
        InWindow(self.window).fmt(f)
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)?;
        if let Some(within) = self.within {
            write!(f, " within {within}")?;
        }
        if self.without.is_empty() { Ok(()) } else { write!(f, " without {}", Several(&self.without)) }
    }
}

struct Several<'a>(&'a [Events]);

impl Display for Several<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            [one] => one.fmt(f),
            several => list(f, several),
        }
    }
}

fn subscription(f: &mut Formatter<'_>, test: &SubscriptionTest) -> fmt::Result {
    let is_plain = is_bare(&test.channel) && !RESERVED.contains(&test.channel.as_str());
    f.write_str("subscription ")?;
    if is_plain {
        f.write_str(&test.channel)?
    } else {
        Quoted(&test.channel).fmt(f)?
    }
    if let Some(topic) = &test.topic {
        write!(f, " topic {}", Quoted(topic))?;
    }
    let word = SUBSCRIBED.iter().find(|(_, state)| *state == test.is).map(|(word, _)| *word);
    write!(f, " is {}", word.unwrap_or_default())
}
