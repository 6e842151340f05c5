//! Features: what is kept of a person's events, shared by all definitions that ask for the same.
//!
//! Invariants: a feature's id follows from what it keeps, so that definitions can come and go; [`Data::settle`] leaves
//! what follows from the set of events and `oldest`, however often and in whatever order it was called before, and
//! nothing that a window could still need is lost.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::amount::{Earliest, Greatest, Latest, Least, Tally, There, Value, Values};
use super::cells::{Cell, Cells};
use super::extract::Found;
use super::span::Span;
use crate::{DISTINCT_VALUES_MAX, Events, Number, Path, SEQUENCE_TIMES_MAX, Scalar, TimeZoneName, Window};

/// Names a feature: a hash of what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FeatureId([u8; 6]);

/// What is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    /// How many events, exactly or up to where more change nothing.
    Count { enough: Option<u64> },
    /// How many numbers and their sum.
    Tally(Path),
    /// The least number.
    Least(Path),
    /// The greatest.
    Greatest(Path),
    /// Which values.
    Distinct(Path),
    /// Which values, and how often each.
    Frequent(Path),
    /// The first value.
    First(Path),
    /// The last.
    Last(Path),
    /// The time of the first event.
    FirstAt,
    /// Of the last.
    LastAt,
    /// The times of the events, for sequences.
    Times,
}

impl Kind {
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Tally(path)
            | Self::Least(path)
            | Self::Greatest(path)
            | Self::Distinct(path)
            | Self::Frequent(path)
            | Self::First(path)
            | Self::Last(path) => Some(path),
            Self::Count { .. } | Self::FirstAt | Self::LastAt | Self::Times => None,
        }
    }
}

/// A feature, as definitions ask for it.
#[derive(Clone, Debug)]
pub(crate) struct Feature {
    pub(crate) id: FeatureId,
    pub(crate) kind: Kind,
    pub(crate) events: Events,
    pub(crate) span: Span,
}

impl Feature {
    pub(crate) fn new(kind: Kind, events: &Events, window: &Window, zone: &TimeZoneName) -> Self {
        let span = Span::of(window, zone);
        let zone = matches!(span, Span::Calendar { .. }).then_some(zone);
        // Texts and numbers alone, in the order of their fields: it cannot fail.
        let form = serde_json::to_vec(&(&kind, events, window, zone)).unwrap_or_default();
        let mut id = [0; 6];
        id.iter_mut().zip(Sha256::digest(&form)).for_each(|(into, byte)| *into = byte);
        Self { id: FeatureId(id), kind, events: events.clone(), span }
    }
}

/// What is kept of a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Data {
    Count(Cells<u64>),
    Tally(Cells<Tally>),
    Least(Cells<Least>),
    Greatest(Cells<Greatest>),
    Values(Cells<Values>),
    Earliest(Cells<Earliest>),
    Latest(Cells<Latest>),
    Times(Cells<There>),
}

/// Does the same with whichever cells there are.
macro_rules! each {
    ($data:expr, $cells:ident => $do:expr) => {
        match $data {
            Data::Count($cells) => $do,
            Data::Tally($cells) => $do,
            Data::Least($cells) => $do,
            Data::Greatest($cells) => $do,
            Data::Values($cells) => $do,
            Data::Earliest($cells) => $do,
            Data::Latest($cells) => $do,
            Data::Times($cells) => $do,
        }
    };
}

impl Data {
    pub(crate) fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Count { .. } => Self::Count(Cells::default()),
            Kind::Tally(_) => Self::Tally(Cells::default()),
            Kind::Least(_) => Self::Least(Cells::default()),
            Kind::Greatest(_) => Self::Greatest(Cells::default()),
            Kind::Distinct(_) | Kind::Frequent(_) => Self::Values(Cells::default()),
            Kind::First(_) | Kind::FirstAt => Self::Earliest(Cells::default()),
            Kind::Last(_) | Kind::LastAt => Self::Latest(Cells::default()),
            Kind::Times => Self::Times(Cells::default()),
        }
    }

    /// Adds an event of that time; `found` is what stands at the feature's path. Whether it says anything.
    pub(crate) fn add(&mut self, at: i64, bucket: i64, found: Option<&Found>) -> bool {
        let values = || found.into_iter().flat_map(|found| &found.values).filter_map(Value::of);
        let numbers = || found.into_iter().flat_map(|found| &found.values).filter_map(micros);
        match self {
            Self::Count(cells) => cells.add(bucket, 1),
            Self::Times(cells) => cells.add(at, There),
            Self::Tally(cells) => {
                let tally = Tally { count: count(numbers()), micros: numbers().sum() };
                return tally.count > 0 && put(cells, bucket, tally);
            }
            Self::Least(cells) => {
                let least = numbers().min();
                return least.is_some() && put(cells, bucket, Least(least));
            }
            Self::Greatest(cells) => {
                let greatest = numbers().max();
                return greatest.is_some() && put(cells, bucket, Greatest(greatest));
            }
            Self::Values(cells) => {
                let mut all = Values::default();
                values().for_each(|value| all.add(value, 1));
                return !all.0.is_empty() && put(cells, bucket, all);
            }
            Self::Earliest(cells) => {
                let value = values().min();
                return (found.is_none() || value.is_some())
                    && put(cells, bucket, Earliest(Some((at, value))));
            }
            Self::Latest(cells) => {
                let value = values().max();
                return (found.is_none() || value.is_some()) && put(cells, bucket, Latest(Some((at, value))));
            }
        }
        true
    }

    /// Adds all that another of the same feature holds, of other events.
    pub(crate) fn absorb(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(into), Self::Count(from)) => into.absorb(from),
            (Self::Tally(into), Self::Tally(from)) => into.absorb(from),
            (Self::Least(into), Self::Least(from)) => into.absorb(from),
            (Self::Greatest(into), Self::Greatest(from)) => into.absorb(from),
            (Self::Values(into), Self::Values(from)) => into.absorb(from),
            (Self::Earliest(into), Self::Earliest(from)) => into.absorb(from),
            (Self::Latest(into), Self::Latest(from)) => into.absorb(from),
            (Self::Times(into), Self::Times(from)) => into.absorb(from),
            // An id is of one kind.
            (_, _) => {}
        }
    }

    /// Forgets what no window can need whose first bucket is `oldest` or later.
    pub(crate) fn settle(&mut self, feature: &Feature, oldest: i64) {
        let span = &feature.span;
        if let Self::Times(cells) = self {
            cells.forget_before(span.first_time(oldest));
            return keep_latest_times(cells, span);
        }
        each!(self, cells => cells.forget_before(oldest));
        match (self, &feature.kind) {
            (Self::Count(cells), Kind::Count { enough: Some(enough) }) => keep_enough(cells, *enough),
            (Self::Latest(cells), _) if span.ends_now() => {
                cells.forget_first(cells.all().len().saturating_sub(1));
            }
            (Self::Values(cells), Kind::Distinct(_)) => keep_different(cells, span.ends_now()),
            (_, _) => {}
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        each!(self, cells => cells.all().is_empty())
    }
}

fn put<T: Cell>(cells: &mut Cells<T>, bucket: i64, cell: T) -> bool {
    cells.add(bucket, cell);
    true
}

fn micros(scalar: &Scalar) -> Option<i128> {
    match scalar {
        Scalar::Number(number) => Some(Number::micros(*number)),
        Scalar::Bool(_) | Scalar::Text(_) => None,
    }
}

fn count(of: impl Iterator) -> u64 {
    u64::try_from(of.count()).unwrap_or(u64::MAX)
}

/// The earliest buckets go while those after them are enough.
fn keep_enough(cells: &mut Cells<u64>, enough: u64) {
    let (mut sum, mut kept) = (0_u64, 0);
    for (_, count) in cells.all().iter().rev() {
        if sum >= enough {
            break;
        }
        sum = sum.saturating_add(*count);
        kept += 1;
    }
    cells.forget_first(cells.all().len() - kept);
}

/// How often does not matter. Where a window ends with now, a value that stands in a later bucket as well, or behind
/// enough others that do, does not matter in the earlier one.
fn keep_different(cells: &mut Cells<Values>, ends_now: bool) {
    let mut later: BTreeSet<Value> = BTreeSet::new();
    let mut empty = Vec::new();
    for (place, values) in cells.all_mut().enumerate().collect::<Vec<_>>().into_iter().rev() {
        values.0.iter_mut().for_each(|(_, count)| *count = 1);
        if !ends_now {
            continue;
        }
        let news: Vec<Value> = values
            .0
            .iter()
            .map(|(value, _)| value.clone())
            .filter(|value| later.insert(value.clone()))
            .collect();
        while later.len() > DISTINCT_VALUES_MAX {
            later.pop_last();
        }
        values.0.retain(|(value, _)| news.binary_search(value).is_ok() && later.contains(value));
        if values.0.is_empty() {
            empty.push(place);
        }
    }
    if !empty.is_empty() {
        let mut place = 0;
        cells.retain(|_| {
            place += 1;
            !empty.contains(&(place - 1))
        });
    }
}

/// The latest of each bucket; where a window ends with now, of all.
fn keep_latest_times(cells: &mut Cells<There>, span: &Span) {
    if cells.all().len() <= SEQUENCE_TIMES_MAX {
        return;
    }
    if span.ends_now() {
        return cells.forget_first(cells.all().len() - SEQUENCE_TIMES_MAX);
    }
    let mut kept = BTreeSet::new();
    let (mut bucket, mut of_it) = (i64::MAX, 0);
    for (at, _) in cells.all().iter().rev() {
        let its = span.bucket(*at);
        of_it = if its == bucket { of_it + 1 } else { 1 };
        bucket = its;
        if of_it <= SEQUENCE_TIMES_MAX {
            kept.insert(*at);
        }
    }
    cells.retain(|at| kept.contains(&at));
}
