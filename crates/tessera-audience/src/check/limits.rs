//! Shapes and sizes that types cannot hold, and what a definition costs.

use serde::Serialize;

use super::references::name_of;
use super::walk::{Node, selectors, walk};
use super::{Definition, Finding};
use crate::{
    Audience, Condition, DISTINCT_VALUES_MAX, DateRange, Events, Filter, Number, Operand, Rfm,
    SEQUENCE_TIMES_MAX, Sample, Scalar, Sequence, Take, Test, Units, Window,
};

/// Most conditions, operands, filters and tests in a definition.
pub const CONDITIONS_MAX: usize = 500;
/// How deep a definition may nest.
pub const DEPTH_MAX: usize = 32;
/// Most values in a list.
pub const LIST_MAX: usize = 1_000;
/// Most steps of a sequence, selectors behind `without` or `then no`, and cut points of a score.
pub const STEPS_MAX: usize = 8;
/// Most units of the calendar in a window.
pub const UNITS_MAX: u16 = 400;
/// Longest text in a definition, in bytes.
const TEXT_BYTES_MAX: usize = 1_000;

const CODE: &str = "TES-A022";

pub(super) fn check(definition: Definition<'_>, findings: &mut Vec<Finding>) {
    let (mut parts, mut deepest) = (0_usize, 0_usize);
    let mut problems: Vec<(String, String)> = Vec::new();
    walk(definition.root(), 0, &mut |node, depth| {
        parts += usize::from(!matches!(node, Node::Events(_) | Node::Window(_)));
        deepest = deepest.max(depth);
        problems.extend(problem(node).map(|(what, hint)| (what, hint.to_owned())));
    });
    if parts > CONDITIONS_MAX {
        let what = format!("has {parts} parts, the limit is {CONDITIONS_MAX}");
        problems.push((what, "define some of it as an audience of its own, or use `in (...)`".to_owned()));
    }
    if deepest > DEPTH_MAX {
        let what = format!("nests {deepest} deep, the limit is {DEPTH_MAX}");
        problems.push((what, "define some of it as an audience of its own".to_owned()));
    }
    problems.dedup();
    findings.extend(problems.into_iter().map(|(what, hint)| definition.error(CODE, what, hint)));
}

type Problem = (String, &'static str);

fn problem(node: Node<'_>) -> Option<Problem> {
    let found = |what: &str, hint| Some((what.to_owned(), hint));
    match node {
        Node::Condition(Condition::All(parts) | Condition::Any(parts)) if parts.is_empty() => {
            found("has an `all` or `any` of nothing", "name at least one condition")
        }
        Node::Filter(Filter::All(parts) | Filter::Any(parts)) if parts.is_empty() => {
            found("has an `all` or `any` of nothing", "name at least one condition on the properties")
        }
        Node::Condition(Condition::Sequence(sequence)) => of_sequence(sequence),
        Node::Condition(Condition::Anniversary(day)) if day.within_days > 366 => {
            found("looks more than a year ahead for an anniversary", "use 0 to 366 days")
        }
        Node::Condition(Condition::Sample(sample)) => of_sample(sample),
        Node::Condition(Condition::Subscription(test)) => {
            let is_word =
                |text: &str| !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control);
            if is_word(&test.channel) && test.topic.as_deref().is_none_or(is_word) {
                return None;
            }
            found("names no channel or topic", "use 1 to 255 bytes, as in `subscription email is subscribed`")
        }
        Node::Condition(Condition::Date(date)) => match date.is {
            DateRange::Previous(units) | DateRange::Following(units) => of_units(units),
            DateRange::Last(_)
            | DateRange::Next(_)
            | DateRange::Before(_)
            | DateRange::After(_)
            | DateRange::Past
            | DateRange::Future
            | DateRange::This(_) => None,
        },
        Node::Operand(Operand::Rfm(rfm)) => of_rfm(rfm),
        Node::Operand(Operand::Literal(scalar)) => of_text(scalar),
        Node::Test(test) => of_test(test),
        Node::Window(window) => of_window(window),
        Node::Condition(_) | Node::Operand(_) | Node::Events(_) | Node::Filter(_) => None,
    }
}

fn of_sequence(sequence: &Sequence) -> Option<Problem> {
    let Some(first) = sequence.steps.first() else {
        return Some(("has a sequence of no steps".to_owned(), "name the events in their order"));
    };
    let begins = first.within.is_none() && first.without.is_empty();
    let (steps, absence) = (sequence.steps.len(), sequence.then_no.as_ref());
    let name = name_of(&first.event);
    if !begins {
        let what = format!("limits the first step, `{name}`, of a sequence by the step before");
        return Some((what, "put `within` and `without` on a later step"));
    }
    if steps == 1 && absence.is_none() {
        let what = format!("has a sequence of one step, `{name}`");
        return Some((what, "add `then \"...\"` or `then no \"...\" within ...`, or use `performed`"));
    }
    let widest = sequence.steps.iter().map(|step| step.without.len()).max().unwrap_or_default();
    let is_empty = absence.is_some_and(|absence| absence.events.is_empty());
    let absent = absence.map_or(0, |absence| absence.events.len());
    if steps > STEPS_MAX || widest > STEPS_MAX || absent > STEPS_MAX || is_empty {
        let what = format!("has a sequence from `{name}` with too many or no events in a place");
        return Some((what, "use up to 8 steps, and 1 to 8 events behind `without` or `then no`"));
    }
    None
}

fn of_sample(sample: &Sample) -> Option<Problem> {
    let hundred = Number::from_integer(100);
    let is_part = Number::default() <= sample.from && sample.from < sample.to && sample.to <= hundred;
    if is_part && sample.seed.len() <= 255 {
        return None;
    }
    let what = format!("samples from {}% to {}%", sample.from, sample.to);
    Some((what, "use 0 to 100 percent, the first less than the second, and a seed of up to 255 bytes"))
}

fn of_rfm(rfm: &Rfm) -> Option<Problem> {
    let counts = [rfm.recency.len(), rfm.frequency.len(), rfm.monetary.len()];
    if counts.iter().all(|count| (1..=STEPS_MAX).contains(count)) {
        return None;
    }
    Some(("has scores with no or too many cut points".to_owned(), "give 1 to 8 for each of the three scores"))
}

fn of_text(scalar: &Scalar) -> Option<Problem> {
    match scalar {
        Scalar::Text(text) => too_long(text),
        Scalar::Bool(_) | Scalar::Number(_) => None,
    }
}

fn too_long(text: &str) -> Option<Problem> {
    let what = || format!("compares with a text of {} bytes, the limit is {TEXT_BYTES_MAX}", text.len());
    (text.len() > TEXT_BYTES_MAX).then(|| (what(), "compare with the text's beginning"))
}

fn of_test(test: &Test) -> Option<Problem> {
    match test {
        Test::Equals(scalar)
        | Test::NotEquals(scalar)
        | Test::Less(scalar)
        | Test::AtMost(scalar)
        | Test::Greater(scalar)
        | Test::AtLeast(scalar) => of_text(scalar),
        Test::In(list) | Test::NotIn(list) => {
            if (1..=LIST_MAX).contains(&list.len()) {
                return list.iter().find_map(of_text);
            }
            let what = format!("has a list of {} values, the limit is {LIST_MAX}", list.len());
            Some((what, "give at least one value, or match a pattern instead of so many"))
        }
        Test::Contains(text) | Test::StartsWith(text) | Test::EndsWith(text) => too_long(text),
        Test::Matches(_) | Test::Before(_) | Test::Since(_) | Test::Exists => None,
    }
}

fn of_window(window: Window) -> Option<Problem> {
    match window {
        Window::Fixed(fixed) if fixed.from >= fixed.to => {
            let what =
                format!("has a window from {} to {}, which ends before it begins", fixed.from, fixed.to);
            Some((what, "put the earlier time first"))
        }
        Window::Between(between) if between.newest.millis() >= between.oldest.millis() => {
            let what = format!("has a window from {} ago to {} ago", between.oldest, between.newest);
            Some((what, "put the longer time first"))
        }
        Window::Previous(units) => of_units(units),
        Window::Ever
        | Window::Since(_)
        | Window::Until(_)
        | Window::Fixed(_)
        | Window::Last(_)
        | Window::Between(_)
        | Window::This(_) => None,
    }
}

fn of_units(units: Units) -> Option<Problem> {
    let what = || format!("looks at {} units of the calendar, the limit is {UNITS_MAX}", units.count);
    (units.count == 0 || units.count > UNITS_MAX).then(|| (what(), "use 1 to 400 of them, or a longer unit"))
}

/// What a definition costs at most, before anybody is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Kinds of events that are looked at, each in one window.
    pub selectors: usize,
    /// Whether events of every name are looked at.
    pub any_event: bool,
    /// Most counters, times or values that are kept of one person. Most people need a few of them.
    pub entries_max: u64,
}

impl Cost {
    /// What an audience costs, its references left aside.
    #[must_use]
    pub fn of(audience: &Audience) -> Self {
        let mut cost = Self::default();
        walk(Node::Condition(&audience.when), 0, &mut |node, _| match node {
            Node::Operand(Operand::Aggregate(aggregate)) => {
                cost.add(&aggregate.of, steps(aggregate.window).saturating_mul(values(&aggregate.take)));
            }
            Node::Operand(Operand::Rfm(rfm)) => cost.add(&rfm.of, steps(rfm.window)),
            Node::Condition(Condition::Sequence(sequence)) => {
                selectors(sequence).for_each(|events| cost.add(events, SEQUENCE_TIMES_MAX as u64));
            }
            Node::Condition(_)
            | Node::Operand(_)
            | Node::Events(_)
            | Node::Filter(_)
            | Node::Test(_)
            | Node::Window(_) => {}
        });
        cost
    }

    fn add(&mut self, events: &Events, entries: u64) {
        self.selectors += 1;
        self.any_event |= events.name.is_none();
        self.entries_max = self.entries_max.saturating_add(entries);
    }
}

/// How many parts of a window are told apart.
fn steps(window: Window) -> u64 {
    match window {
        Window::Ever | Window::Since(_) | Window::Until(_) | Window::Fixed(_) | Window::This(_) => 1,
        Window::Last(length) => (length.millis() / length.step_millis()).unsigned_abs() + 1,
        Window::Between(between) => {
            (between.oldest.millis() / between.oldest.step_millis()).unsigned_abs() + 1
        }
        Window::Previous(units) => u64::from(units.count) + 1,
    }
}

fn values(take: &Take) -> u64 {
    if matches!(take, Take::Distinct(_) | Take::UniqueList(_) | Take::MostFrequent(_)) {
        DISTINCT_VALUES_MAX as u64
    } else {
        1
    }
}
