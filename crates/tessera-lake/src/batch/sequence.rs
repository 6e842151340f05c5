//! `sequence(at, selectors, spec)`: whether a person's events follow each other as a definition says.
//!
//! Each row says when an event happened and, bit by bit, which selectors it passes. Invariant: what is dropped lies before the
//! horizon, and a horizon never goes back.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Int64Array, ListArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_int64_array, as_list_array, as_string_array};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Accumulator, AggregateUDF, Volatility, create_udaf};
use serde::{Deserialize, Serialize};
use tessera_audience::SEQUENCE_TIMES_MAX;

/// Most different selectors: a bit each.
pub(crate) const SELECTORS_MAX: usize = 62;

/// What must follow what: selectors by their bits, lengths in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) now: i64,
    pub(crate) selectors: usize,
    pub(crate) steps: Vec<SpecStep>,
    pub(crate) within: Option<i64>,
    pub(crate) then_no: Option<(i64, i64)>,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpecStep {
    pub(crate) event: i64,
    pub(crate) within: Option<i64>,
    pub(crate) without: i64,
}

/// The selectors of each time.
type Times = BTreeMap<i64, i64>;

impl Spec {
    /// The time before which nothing is looked at.
    fn horizon(&self, times: &Times) -> i64 {
        let latest = |selector: usize| {
            let passed = times.iter().rev().filter(move |(_, bits)| (**bits >> selector) & 1 == 1);
            passed.map(|(at, _)| *at).nth(SEQUENCE_TIMES_MAX - 1)
        };
        (0..self.selectors).filter_map(latest).max().unwrap_or(i64::MIN)
    }

    pub(crate) fn holds(&self, times: &Times) -> bool {
        let times: Vec<(i64, i64)> =
            times.range(self.horizon(times)..).map(|(at, bits)| (*at, *bits)).collect();
        let Some((first, later)) = self.steps.split_first() else { return false };
        // For each time that a step can have, the latest beginning: the best for the time overall.
        let mut reached: Vec<(i64, i64)> =
            times.iter().filter(|(_, bits)| bits & first.event != 0).map(|(at, _)| (*at, *at)).collect();
        for step in later {
            reached = step.after(&reached, &times);
        }
        reached.iter().any(|(at, begun)| {
            self.within.is_none_or(|within| at - begun <= within) && self.stays_away(*at, &times)
        })
    }

    fn stays_away(&self, at: i64, times: &[(i64, i64)]) -> bool {
        self.then_no.is_none_or(|(selectors, within)| {
            let until = at + within;
            let came = |(then, bits): &(i64, i64)| *then > at && *then <= until && bits & selectors != 0;
            until <= self.now && !times.iter().any(came)
        })
    }
}

impl SpecStep {
    fn after(&self, reached: &[(i64, i64)], times: &[(i64, i64)]) -> Vec<(i64, i64)> {
        let mut next = Vec::new();
        for (at, _) in times.iter().filter(|(_, bits)| bits & self.event != 0) {
            // The latest forbidden time before it: whatever comes before that is cut off.
            let forbidden = times.iter().rev().find(|(then, bits)| then < at && bits & self.without != 0);
            let from = forbidden.map_or(i64::MIN, |(then, _)| *then);
            let earliest = self.within.map_or(i64::MIN, |within| at.saturating_sub(within));
            let before = reached.iter().filter(|(then, _)| then < at && *then >= from && *then >= earliest);
            next.extend(before.map(|(_, begun)| *begun).max().map(|begun| (*at, begun)));
        }
        next
    }
}

#[derive(Debug, Default)]
struct Following {
    spec: Option<(String, Spec)>,
    times: Times,
}

impl Following {
    fn read_spec(&mut self, text: &str) -> Result<()> {
        if self.spec.is_none() {
            let spec =
                serde_json::from_str(text).map_err(|error| DataFusionError::External(Box::new(error)))?;
            self.spec = Some((text.to_owned(), spec));
        }
        Ok(())
    }

    fn add(&mut self, at: i64, bits: i64) {
        if bits == 0 {
            return;
        }
        *self.times.entry(at).or_default() |= bits;
        if let Some((_, spec)) = &self.spec
            && self.times.len() > 4 * SEQUENCE_TIMES_MAX * spec.selectors.max(1)
        {
            self.times = self.times.split_off(&spec.horizon(&self.times));
        }
    }
}

impl Accumulator for Following {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let [at, bits, spec] = values else { return Ok(()) };
        let (at, bits, spec) = (as_int64_array(at)?, as_int64_array(bits)?, as_string_array(spec)?);
        if at.is_empty() {
            return Ok(());
        }
        self.read_spec(spec.value(0))?;
        for row in 0..at.len() {
            if !bits.is_null(row) {
                self.add(at.value(row), bits.value(row));
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let holds = self.spec.as_ref().is_some_and(|(_, spec)| spec.holds(&self.times));
        Ok(ScalarValue::Boolean(Some(holds)))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.times.len() * 32
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = |values: Vec<i64>| {
            let list =
                ListArray::from_iter_primitive::<Int64Type, _, _>([Some(values.into_iter().map(Some))]);
            ScalarValue::List(Arc::new(list))
        };
        let spec = self.spec.as_ref().map(|(text, _)| text.clone());
        Ok(vec![
            list(self.times.keys().copied().collect()),
            list(self.times.values().copied().collect()),
            ScalarValue::Utf8(spec),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [at, bits, spec] = states else { return Ok(()) };
        let (at, bits, spec) = (as_list_array(at)?, as_list_array(bits)?, as_string_array(spec)?);
        for row in 0..at.len() {
            if spec.is_null(row) {
                continue;
            }
            self.read_spec(spec.value(row))?;
            let (at, bits) = (at.value(row), bits.value(row));
            let (at, bits): (&Int64Array, &Int64Array) = (as_int64_array(&at)?, as_int64_array(&bits)?);
            for (at, bits) in at.values().iter().zip(bits.values()) {
                self.add(*at, *bits);
            }
        }
        Ok(())
    }
}

/// The function.
pub(crate) fn sequence() -> AggregateUDF {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Int64, true)));
    create_udaf(
        "sequence",
        vec![DataType::Int64, DataType::Int64, DataType::Utf8],
        Arc::new(DataType::Boolean),
        Volatility::Immutable,
        Arc::new(|_| Ok(Box::new(Following::default()))),
        Arc::new(vec![list.clone(), list, DataType::Utf8]),
    )
}
