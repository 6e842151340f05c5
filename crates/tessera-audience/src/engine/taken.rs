//! What is taken of a feature at a time: what its buckets in the window say together.

use std::collections::BTreeMap;

use tessera_model::Timestamp;

use super::amount::{Earliest, Greatest, Latest, Least, Tally, Value, Values};
use super::cells::{Cell, Cells};
use super::evaluate::NEVER;
use super::extract::Found;
use super::feature::{Data, Feature};
use super::plan::Taking;
use super::span::Span;
use super::state::Slot;
use crate::{Number, Scalar};

/// Values, and until when they stand if nothing happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Valued {
    pub(crate) found: Found,
    pub(crate) until: i64,
}

impl Default for Valued {
    fn default() -> Self {
        Self::always(Vec::new())
    }
}

impl Valued {
    pub(crate) fn always(values: Vec<Scalar>) -> Self {
        Self { found: Found::of(values), until: NEVER }
    }

    pub(crate) fn of(value: Option<Scalar>) -> Self {
        Self::always(value.into_iter().collect())
    }
}

/// What is taken of a feature whose fragments keep `slots`.
pub(crate) fn taken<'s>(
    feature: &Feature,
    take: Taking,
    slots: impl Iterator<Item = &'s Slot>,
    now: i64,
) -> Valued {
    let mut window = Window { span: &feature.span, edges: None, now, until: NEVER };
    let mut count = 0_u64;
    let mut tally = Tally::default();
    let (mut least, mut greatest) = (Least::default(), Greatest::default());
    let (mut earliest, mut latest) = (Earliest::default(), Latest::default());
    let mut values: BTreeMap<&Value, u64> = BTreeMap::new();
    for slot in slots {
        match &slot.data {
            Data::Count(cells) => window.fold(cells, &mut count),
            Data::Tally(cells) => window.fold(cells, &mut tally),
            Data::Least(cells) => window.fold(cells, &mut least),
            Data::Greatest(cells) => window.fold(cells, &mut greatest),
            Data::Earliest(cells) => window.fold(cells, &mut earliest),
            Data::Latest(cells) => window.fold(cells, &mut latest),
            Data::Values(cells) => {
                for (value, count) in window.cells(cells).iter().flat_map(|(_, Values(values))| values) {
                    let known = values.entry(value).or_default();
                    *known = known.saturating_add(*count);
                }
            }
            Data::Times(_) => {}
        }
    }
    let micros = |micros: i128| Number::from_micros(micros).map(Scalar::Number);
    let whole =
        |count: u64| Some(Scalar::Number(Number::from_integer(i64::try_from(count).unwrap_or(i64::MAX))));
    let edge = |edge: Option<(i64, Option<Value>)>| {
        edge.map(|(at, value)| match value {
            Some(value) => value.scalar(),
            None => Scalar::Text(Timestamp::from_millis(at).to_string().into()),
        })
    };
    let first = values.iter().take(crate::DISTINCT_VALUES_MAX);
    let value = match take {
        Taking::Count => whole(count),
        Taking::Sum => micros(tally.micros),
        Taking::Average => Number::mean(tally.micros, tally.count).map(Scalar::Number),
        Taking::Least => least.0.and_then(micros),
        Taking::Greatest => greatest.0.and_then(micros),
        Taking::First => edge(earliest.0),
        Taking::Last => edge(latest.0),
        Taking::Distinct => whole(u64::try_from(first.count()).unwrap_or(u64::MAX)),
        Taking::MostFrequent => first
            .max_by(|(a, of_a), (b, of_b)| of_a.cmp(of_b).then_with(|| b.cmp(a)))
            .map(|(value, _)| value.scalar()),
        Taking::UniqueList => {
            let values = first.map(|(value, _)| value.scalar()).collect();
            return Valued { until: window.until, ..Valued::always(values) };
        }
    };
    Valued { until: window.until, ..Valued::of(value) }
}

/// A window at a time, and when what it holds changes next.
pub(crate) struct Window<'f> {
    pub(crate) span: &'f Span,
    pub(crate) edges: Option<(i64, i64)>,
    pub(crate) now: i64,
    pub(crate) until: i64,
}

impl Window<'_> {
    fn fold<T: Cell>(&mut self, cells: &Cells<T>, into: &mut T) {
        self.cells(cells).iter().for_each(|(_, cell)| into.absorb(cell));
    }

    /// The buckets in the window.
    fn cells<'c, T: Cell>(&mut self, cells: &'c Cells<T>) -> &'c [(i64, T)] {
        let (from, to) = *self.edges.get_or_insert_with(|| self.span.edges(self.now));
        let (inside, next) = cells.within(from, to);
        self.changes(inside.first().map(|(key, _)| *key), next);
        inside
    }

    /// Notes the first bucket in the window, which leaves first, and the first one after it, which enters first.
    pub(crate) fn changes(&mut self, first: Option<i64>, next: Option<i64>) {
        if matches!(self.span, Span::Still { .. }) {
            return;
        }
        let leaves = first.map(|bucket| self.span.leaves_at(bucket));
        let enters = next.map(|bucket| self.span.enters_at(bucket));
        self.until = [leaves, enters].into_iter().flatten().fold(self.until, i64::min);
    }
}
