//! Random conditions and operands.

use tessera_model::{AudienceName, ConsentStatus, EventName, PurposeName};

use super::{Choices, NOW};
use crate::{
    Absence, Aggregate, Anniversary, Arithmetic, Between, Calendar, Comparator, Compare, Condition,
    ConsentState, ConsentTest, DateRange, DateTest, Definitions, Duration, Events, Filter, Fixed, Moment,
    Number, Operand, Operator, Path, PropertyTest, Rfm, Sample, Scalar, Sequence, Step, SubscribedState,
    SubscriptionTest, Take, Test, TimeZoneName, Units, ValueTest, Window,
};

/// What may be referred to.
pub(super) struct Named {
    audiences: Vec<AudienceName>,
    traits: Vec<String>,
}

impl Named {
    pub(super) fn of(definitions: &Definitions) -> Self {
        Self {
            audiences: definitions.audiences.iter().map(|audience| audience.name.clone()).collect(),
            traits: definitions.traits.iter().map(|computed| computed.name.to_string()).collect(),
        }
    }
}

pub(super) const EVENTS: [&str; 5] =
    ["Order Completed", "Product Viewed", "Cart Cleared", "page", "naïve \"event\""];
pub(super) const TEXTS: [&str; 6] =
    ["pro", "shoes", "Shoes", "2026-03-22T11:00:00Z", "", "a \"b\" \\ 'c'\n%_"];
/// The first ones are chosen more often.
const DURATIONS: [&str; 18] = [
    "1 day",
    "30 days",
    "1 day",
    "30 days",
    "60 minutes",
    "1 day",
    "30 days",
    "60 minutes",
    "1 second",
    "1 minute",
    "61 minutes",
    "2 days",
    "49 hours",
    "1 week",
    "3 months",
    "91 days",
    "1 year",
    "90 days",
];
const CALENDARS: [Calendar; 5] =
    [Calendar::Day, Calendar::Week, Calendar::Month, Calendar::Quarter, Calendar::Year];

/// The default is what is parsed, when a table above holds a mistake: tests of the tables would show it.
fn read<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

pub(super) fn time_zone(choices: &mut Choices<'_>) -> TimeZoneName {
    read(choices.text(&["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"])).unwrap_or_default()
}

pub(super) fn duration(choices: &mut Choices<'_>) -> Duration {
    read(choices.text(&DURATIONS)).unwrap_or(Duration::DAY)
}

fn moment(choices: &mut Choices<'_>) -> Moment {
    Moment(super::history::time(choices))
}

fn units(choices: &mut Choices<'_>) -> Units {
    let count = u16::try_from(1 + choices.below(3)).unwrap_or(1);
    Units { count, unit: choices.of(&CALENDARS).unwrap_or(Calendar::Day) }
}

fn path(choices: &mut Choices<'_>, options: &[&str]) -> Path {
    let text = choices.text(options);
    read(text).unwrap_or_else(|| Path::of_name("total"))
}

fn property(choices: &mut Choices<'_>) -> Path {
    path(
        choices,
        &["total", "category", "items.price", "items", "properties.total", "context.page", "with\\.dot"],
    )
}

fn person_path(choices: &mut Choices<'_>, named: &Named) -> Path {
    let computed: Vec<&str> = named.traits.iter().map(String::as_str).collect();
    if !computed.is_empty() && choices.one_in(3) {
        return path(choices, &computed);
    }
    path(choices, &["plan", "age", "born", "address.city", "tags", "preferences\\.topic", "seen", "total"])
}

pub(super) fn number(choices: &mut Choices<'_>) -> Number {
    Number::from_micros(choices.of(&NUMBERS).unwrap_or_default()).unwrap_or_default()
}

const NUMBERS: [i128; 10] = [
    0,
    1_000_000,
    2_000_000,
    3_000_000,
    2_500_000,
    -1_000_000,
    10_000_000,
    100_000,
    333_333,
    1_000_000_000_000,
];

pub(super) fn scalar(choices: &mut Choices<'_>) -> Scalar {
    match choices.below(8) {
        0..=3 => Scalar::Number(number(choices)),
        4..=6 => Scalar::Text(choices.text(&TEXTS).into()),
        _ => Scalar::Bool(choices.below(2) == 1),
    }
}

fn test(choices: &mut Choices<'_>) -> Test {
    match choices.below(15) {
        0 => Test::AtLeast(scalar(choices)),
        1 => Test::Equals(scalar(choices)),
        2 => Test::NotEquals(scalar(choices)),
        3 => Test::Less(scalar(choices)),
        4 => Test::AtMost(scalar(choices)),
        5 => Test::Greater(scalar(choices)),
        6 => Test::In(choices.several(1, 3, scalar)),
        7 => Test::NotIn(choices.several(1, 3, scalar)),
        8 => Test::Contains(choices.text(&["o", "S", "2026", "\""]).into()),
        9 => Test::StartsWith(choices.text(&["p", "sh", "2026", "o"]).into()),
        10 => Test::EndsWith(choices.text(&["s", "o", "Z"]).into()),
        11 => match read(choices.text(&["^.h", "(?i)SHOES$", "[0-9]{4}"])) {
            Some(pattern) => Test::Matches(pattern),
            None => Test::Exists,
        },
        12 => Test::Before(moment(choices)),
        13 => Test::Since(moment(choices)),
        _ => Test::Exists,
    }
}

/// A test that the operand has a chance to pass: counts and sums are compared with numbers.
fn test_of(choices: &mut Choices<'_>, operand: &Operand) -> Test {
    let is_number = match operand {
        Operand::Aggregate(aggregate) => {
            matches!(aggregate.take, Take::Count | Take::Sum(_) | Take::Distinct(_) | Take::Average(_))
        }
        Operand::Arithmetic(_) | Operand::Age(_) => true,
        Operand::Literal(_)
        | Operand::Trait(_)
        | Operand::Account(_)
        | Operand::Rfm(_)
        | Operand::Whether(_) => false,
    };
    if !is_number || choices.one_in(8) {
        return test(choices);
    }
    let limit = Scalar::Number(number(choices));
    match choices.below(6) {
        0 => Test::AtLeast(limit),
        1 => Test::Less(limit),
        2 => Test::Equals(limit),
        3 => Test::NotEquals(limit),
        4 => Test::AtMost(limit),
        _ => Test::Greater(limit),
    }
}

fn filter(choices: &mut Choices<'_>, depth: u32) -> Filter {
    match if depth == 0 { 0 } else { choices.below(6) } {
        3 => Filter::All(choices.several(1, 2, |choices| filter(choices, depth - 1))),
        4 => Filter::Any(choices.several(1, 2, |choices| filter(choices, depth - 1))),
        5 => Filter::Not(Box::new(filter(choices, depth - 1))),
        _ => Filter::Property(PropertyTest { path: property(choices), test: test(choices) }),
    }
}

fn events(choices: &mut Choices<'_>) -> Events {
    let name = EventName::parse(choices.text(&EVENTS)).ok();
    let name = if choices.one_in(8) { None } else { name };
    Events { name, filter: choices.one_in(4).then(|| filter(choices, 2)) }
}

fn window(choices: &mut Choices<'_>) -> Window {
    match choices.below(10) {
        0 => Window::Ever,
        1..=3 => Window::Last(duration(choices)),
        4 => {
            let (one, other) = (duration(choices), duration(choices));
            if one.millis() == other.millis() {
                return Window::Last(one);
            }
            let (newest, oldest) = if one.millis() < other.millis() { (one, other) } else { (other, one) };
            Window::Between(Between { oldest, newest })
        }
        5 => Window::This(choices.of(&CALENDARS).unwrap_or(Calendar::Day)),
        6 => Window::Previous(units(choices)),
        7 => {
            let (one, other) = (moment(choices), moment(choices));
            if one == other {
                return Window::Since(one);
            }
            Window::Fixed(Fixed { from: one.min(other), to: one.max(other) })
        }
        8 => Window::Since(moment(choices)),
        _ => Window::Until(moment(choices)),
    }
}

fn take(choices: &mut Choices<'_>) -> Take {
    match choices.below(16) {
        0..=4 => Take::Count,
        5 => Take::Sum(property(choices)),
        6 => Take::Average(property(choices)),
        7 => Take::Min(property(choices)),
        8 => Take::Max(property(choices)),
        9 => Take::Distinct(property(choices)),
        10 => Take::UniqueList(property(choices)),
        11 => Take::MostFrequent(property(choices)),
        12 => Take::First(property(choices)),
        13 => Take::Last(property(choices)),
        14 => Take::FirstAt,
        _ => Take::LastAt,
    }
}

fn aggregate(choices: &mut Choices<'_>) -> Operand {
    let (take, of, window) = (take(choices), events(choices), window(choices));
    Operand::Aggregate(Box::new(Aggregate { take, of, window }))
}

/// A random operand.
pub(super) fn operand(choices: &mut Choices<'_>, named: &Named, depth: u32) -> Operand {
    match choices.below(if depth == 0 { 8 } else { 12 }) {
        0..=4 => aggregate(choices),
        5 => Operand::Trait(person_path(choices, named)),
        6 => Operand::Account(path(choices, &["plan", "seats", "tags"])),
        7 => Operand::Age(person_path(choices, named)),
        8 => Operand::Literal(scalar(choices)),
        9 => Operand::Arithmetic(Box::new(Arithmetic {
            left: operand(choices, named, depth - 1),
            operator: choices
                .of(&[Operator::Add, Operator::Subtract, Operator::Multiply, Operator::Divide])
                .unwrap_or(Operator::Add),
            right: operand(choices, named, depth - 1),
        })),
        10 => Operand::Rfm(Box::new(Rfm {
            of: events(choices),
            amount: property(choices),
            window: window(choices),
            recency: choices.several(1, 3, duration),
            frequency: choices.several(1, 3, |choices| 1 + choices.below(4)),
            monetary: choices.several(1, 3, number),
        })),
        _ => Operand::Whether(Box::new(condition(choices, named, depth - 1))),
    }
}

fn comparator(choices: &mut Choices<'_>) -> Comparator {
    use Comparator::{AtLeast, AtMost, Equals, Greater, Less, NotEquals};
    choices.of(&[AtLeast, Equals, NotEquals, Less, AtMost, Greater]).unwrap_or(AtLeast)
}

fn date_range(choices: &mut Choices<'_>) -> DateRange {
    match choices.below(9) {
        0 => DateRange::Last(duration(choices)),
        1 => DateRange::Next(duration(choices)),
        2 => DateRange::Before(duration(choices)),
        3 => DateRange::After(duration(choices)),
        4 => DateRange::Past,
        5 => DateRange::Future,
        6 => DateRange::This(choices.of(&CALENDARS).unwrap_or(Calendar::Day)),
        7 => DateRange::Previous(units(choices)),
        _ => DateRange::Following(units(choices)),
    }
}

fn sequence(choices: &mut Choices<'_>) -> Sequence {
    let mut steps = vec![Step { event: events(choices), within: None, without: Vec::new() }];
    steps.extend(choices.several(0, 2, |choices| Step {
        event: events(choices),
        within: choices.one_in(2).then(|| duration(choices)),
        without: choices.several(0, 1, events),
    }));
    let needs_absence = steps.len() == 1;
    let then_no = (needs_absence || choices.one_in(4))
        .then(|| Absence { events: choices.several(1, 2, events), within: duration(choices) });
    let within = (steps.len() > 1 && choices.one_in(3)).then(|| duration(choices));
    Sequence { steps, within, then_no, window: window(choices) }
}

fn consent(choices: &mut Choices<'_>) -> Condition {
    let is = match choices.below(5) {
        0 => ConsentState::Valid,
        1 => ConsentState::Invalid,
        2 => ConsentState::Unknown,
        _ => ConsentState::Status(choices.of(&ConsentStatus::ALL).unwrap_or(ConsentStatus::Given)),
    };
    match PurposeName::parse(choices.text(&["marketing.email", "analytics"])) {
        Ok(purpose) => Condition::Consent(ConsentTest { purpose, is }),
        Err(_) => Condition::All(Vec::new()),
    }
}

fn subscription(choices: &mut Choices<'_>) -> Condition {
    use SubscribedState::{DidNotSubscribe, Subscribed, Unknown, Unsubscribed};
    let channel = choices.text(&["email", "sms"]).into();
    let topic = choices.one_in(3).then(|| "news".into());
    let is = choices.of(&[Subscribed, DidNotSubscribe, Unsubscribed, Unknown]).unwrap_or(Subscribed);
    Condition::Subscription(SubscriptionTest { channel, topic, is })
}

fn sample(choices: &mut Choices<'_>) -> Condition {
    let seed = choices.text(&["spring", "autumn"]).into();
    let from = choices.of(&[0, 10_000_000, 33_333_300]).unwrap_or_default();
    let to = choices.of(&[50_000_000, 100_000_000]).unwrap_or_default();
    let number = |micros| Number::from_micros(micros).unwrap_or_default();
    Condition::Sample(Sample { seed, from: number(from), to: number(to) })
}

/// A random condition.
pub(super) fn condition(choices: &mut Choices<'_>, named: &Named, depth: u32) -> Condition {
    match choices.below(if depth == 0 { 16 } else { 22 }) {
        0 => performed(choices),
        1..=7 => {
            let of = operand(choices, named, depth.saturating_sub(1));
            let test = test_of(choices, &of);
            Condition::Value(ValueTest { of, test })
        }
        8 => Condition::Compare(Compare {
            left: operand(choices, named, depth.saturating_sub(1)),
            comparator: comparator(choices),
            right: operand(choices, named, depth.saturating_sub(1)),
        }),
        9 => Condition::Date(DateTest {
            of: operand(choices, named, depth.saturating_sub(1)),
            is: date_range(choices),
        }),
        10 => Condition::Anniversary(Anniversary {
            of: person_path(choices, named),
            within_days: u16::try_from(choices.below(20)).unwrap_or_default(),
        }),
        11 | 12 => Condition::Sequence(sequence(choices)),
        13 => consent(choices),
        14 => subscription(choices),
        15 => sample(choices),
        16 | 17 => Condition::All(choices.several(1, 3, |choices| condition(choices, named, depth - 1))),
        18 | 19 => Condition::Any(choices.several(1, 3, |choices| condition(choices, named, depth - 1))),
        20 => Condition::Not(Box::new(condition(choices, named, depth - 1))),
        _ => {
            let place = choices.below(u32::try_from(named.audiences.len()).unwrap_or_default());
            let audience = named.audiences.get(usize::try_from(place).unwrap_or_default());
            audience.cloned().map_or_else(|| performed(choices), Condition::Audience)
        }
    }
}

/// The simplest condition: an event was performed.
fn performed(choices: &mut Choices<'_>) -> Condition {
    let of = Events { name: EventName::parse(choices.text(&EVENTS)).ok(), filter: None };
    let aggregate = Aggregate { take: Take::Count, of, window: Window::Last(duration(choices)) };
    Condition::Value(ValueTest {
        of: Operand::Aggregate(Box::new(aggregate)),
        test: Test::AtLeast(Scalar::Number(Number::from_integer(1 + i64::from(choices.below(3))))),
    })
}

/// Durations whose edges are worth standing on, in milliseconds before [`NOW`].
pub(super) fn edge(choices: &mut Choices<'_>) -> i64 {
    let millis = duration(choices).millis();
    let edge = match choices.below(4) {
        0 => millis,
        // On the step that the window's edge is rounded to.
        1 => NOW - (NOW - millis).div_euclid(86_400_000) * 86_400_000,
        2 => NOW - (NOW - millis).div_euclid(3_600_000) * 3_600_000,
        _ => millis / 2,
    };
    edge + choices.of(&[0, 1, -1, 1_000, -60_000, 3_600_000]).unwrap_or_default()
}
