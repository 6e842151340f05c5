//! The aggregate `funnel(timestamp, steps, seconds)`: the times of the steps that somebody took.
//!
//! The bits of `steps` are the steps that an event fits, the lowest the first. The first step is the earliest event of it; each
//! later one the earliest event of it at the time of the step before or later, and at most `seconds` after the first. An event that fits
//! an earlier step as well must be later than that step. Invariant: the order in which events come does not show.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Int64Array, ListArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimestampMicrosecondType};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use crate::columns::time_type;

/// The function, as a context registers it.
pub(crate) fn funnel() -> AggregateUDF {
    let types = vec![time_type(), DataType::Int64, DataType::Int64];
    AggregateUDF::new_from_impl(Funnel { signature: Signature::exact(types, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Funnel {
    signature: Signature,
}

fn item(kind: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(kind, true))
}

impl AggregateUDFImpl for Funnel {
    fn name(&self) -> &'static str {
        "funnel"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item(time_type())))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format!("{}[events]", arguments.name);
        Ok(vec![Arc::new(Field::new(name, DataType::List(item(DataType::Int64)), true))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(One::default()))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Many::default()))
    }
}

/// The events of one person that fit a step.
#[derive(Clone, Debug, Default)]
struct Events {
    /// Microseconds, and the bits of the steps.
    events: Vec<(i64, i64)>,
    window_micros: i64,
}

impl Events {
    fn note(&mut self, at: i64, steps: i64, seconds: i64) {
        if steps != 0 {
            self.events.push((at, steps));
            self.window_micros = seconds.saturating_mul(1_000_000);
        }
    }

    fn times(mut self) -> Vec<i64> {
        self.events.sort_unstable();
        times(&self.events, self.window_micros)
    }

    /// The window, then each event's time and steps.
    fn flat(self) -> Vec<i64> {
        let numbers = self.events.into_iter().flat_map(|(at, steps)| [at, steps]);
        [self.window_micros].into_iter().chain(numbers).collect()
    }

    fn add_flat(&mut self, numbers: &[i64]) {
        let Some((window, events)) = numbers.split_first() else { return };
        self.window_micros = self.window_micros.max(*window);
        let (pairs, _) = events.as_chunks::<2>();
        self.events.extend(pairs.iter().map(|[at, steps]| (*at, *steps)));
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.events.capacity() * size_of::<(i64, i64)>()
    }
}

/// The times of the steps that `events`, sorted by time, take.
fn times(events: &[(i64, i64)], window_micros: i64) -> Vec<i64> {
    let mut taken: Vec<i64> = Vec::new();
    for step in 0..63_u32 {
        let is_later_than_those_it_fits = |at: i64, steps: i64| {
            taken.iter().zip(0_u32..).all(|(time, earlier)| steps >> earlier & 1 == 0 || at > *time)
        };
        let (from, upto) = match (taken.last(), taken.first()) {
            (Some(last), Some(first)) => (*last, first.saturating_add(window_micros)),
            _ => (i64::MIN, i64::MAX),
        };
        let from_here = events.get(events.partition_point(|(at, _)| *at < from)..).unwrap_or_default();
        let found = from_here
            .iter()
            .take_while(|(at, _)| *at <= upto)
            .find(|(at, steps)| steps >> step & 1 == 1 && is_later_than_those_it_fits(*at, *steps));
        match found {
            Some((at, _)) => taken.push(*at),
            None => break,
        }
    }
    taken
}

/// The columns of the arguments.
type Arguments<'a> = (&'a TimestampMicrosecondArray, &'a Int64Array, &'a Int64Array);

fn arguments(values: &[ArrayRef]) -> Option<Arguments<'_>> {
    let [at, steps, seconds] = values else { return None };
    Some((
        at.as_primitive_opt::<TimestampMicrosecondType>()?,
        steps.as_primitive_opt::<Int64Type>()?,
        seconds.as_primitive_opt::<Int64Type>()?,
    ))
}

/// What the row says, if it says all of it.
fn row((at, steps, seconds): Arguments<'_>, row: usize) -> Option<(i64, i64, i64)> {
    let is_whole = at.is_valid(row) && steps.is_valid(row) && seconds.is_valid(row);
    is_whole.then(|| (at.value(row), steps.value(row), seconds.value(row)))
}

fn lists(rows: &[Vec<i64>]) -> (OffsetBuffer<i32>, Vec<i64>) {
    (OffsetBuffer::from_lengths(rows.iter().map(Vec::len)), rows.concat())
}

/// Lists of times; no list for whom took no step.
fn list_of_times(rows: &[Vec<i64>]) -> Result<ListArray> {
    let (offsets, values) = lists(rows);
    let values = TimestampMicrosecondArray::from(values).with_timezone("UTC");
    Ok(ListArray::try_new(item(time_type()), offsets, Arc::new(values), None)?)
}

fn list_of_numbers(rows: &[Vec<i64>]) -> Result<ListArray> {
    let (offsets, values) = lists(rows);
    Ok(ListArray::try_new(item(DataType::Int64), offsets, Arc::new(Int64Array::from(values)), None)?)
}

fn numbers_of(state: &ListArray, row: usize) -> Vec<i64> {
    let numbers = state.value(row);
    numbers.as_primitive_opt::<Int64Type>().map(|numbers| numbers.values().to_vec()).unwrap_or_default()
}

/// One person's.
#[derive(Debug, Default)]
struct One(Events);

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let Some(columns) = arguments(values) {
            for (at, steps, seconds) in (0..columns.0.len()).filter_map(|at| row(columns, at)) {
                self.0.note(at, steps, seconds);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let times = std::mem::take(&mut self.0).times();
        Ok(ScalarValue::List(Arc::new(list_of_times(&[times])?)))
    }

    fn size(&self) -> usize {
        self.0.bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let flat = std::mem::take(&mut self.0).flat();
        Ok(vec![ScalarValue::List(Arc::new(list_of_numbers(&[flat])?))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(state) = states.first().and_then(|state| state.as_list_opt::<i32>()) else { return Ok(()) };
        for row in 0..state.len() {
            self.0.add_flat(&numbers_of(state, row));
        }
        Ok(())
    }
}

/// Everybody's, by the number of their group.
#[derive(Debug, Default)]
struct Many {
    groups: Vec<Events>,
    bytes: usize,
}

impl Many {
    fn of(&mut self, group: usize, change: impl FnOnce(&mut Events)) {
        if let Some(events) = self.groups.get_mut(group) {
            let before = events.bytes();
            change(events);
            self.bytes = self.bytes + events.bytes() - before;
        }
    }

    fn make_room(&mut self, groups: usize) {
        self.bytes += groups.saturating_sub(self.groups.len()) * Events::default().bytes();
        self.groups.resize_with(groups, Events::default);
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Events> {
        let taken = emit_to.take_needed(&mut self.groups);
        self.bytes = self.groups.iter().map(Events::bytes).sum();
        taken
    }
}

impl GroupsAccumulator for Many {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.make_room(total_num_groups);
        let Some(columns) = arguments(values) else { return Ok(()) };
        for (place, group) in group_indices.iter().enumerate() {
            let is_meant = opt_filter.is_none_or(|filter| filter.is_valid(place) && filter.value(place));
            if let Some((at, steps, seconds)) = row(columns, place).filter(|_| is_meant) {
                self.of(*group, |events| events.note(at, steps, seconds));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let rows: Vec<Vec<i64>> = self.take(emit_to).into_iter().map(Events::times).collect();
        Ok(Arc::new(list_of_times(&rows)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let rows: Vec<Vec<i64>> = self.take(emit_to).into_iter().map(Events::flat).collect();
        Ok(vec![Arc::new(list_of_numbers(&rows)?)])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.make_room(total_num_groups);
        let Some(state) = values.first().and_then(|state| state.as_list_opt::<i32>()) else { return Ok(()) };
        for (place, group) in group_indices.iter().enumerate() {
            self.of(*group, |events| events.add_flat(&numbers_of(state, place)));
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let state = |place: usize| {
            let mut one = Events::default();
            let is_meant = opt_filter.is_none_or(|filter| filter.is_valid(place) && filter.value(place));
            if let Some((at, steps, seconds)) =
                arguments(values).and_then(|columns| row(columns, place)).filter(|_| is_meant)
            {
                one.note(at, steps, seconds);
            }
            one.flat()
        };
        Ok(vec![Arc::new(list_of_numbers(&(0..rows).map(state).collect::<Vec<_>>())?)])
    }

    fn size(&self) -> usize {
        self.bytes
    }
}
