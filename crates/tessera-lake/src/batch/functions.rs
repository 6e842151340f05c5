//! The few things that SQL cannot say exactly, as functions of single rows: what stands at a path of JSON, tests of several
//! values at once, decimals with their rounding, dates.
//!
//! Not the engine's code, nor the oracle's: only numbers and the reading of a time are shared. Invariant: `NULL` in, no value
//! out; a test of no values is false.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::common::cast::{as_decimal128_array, as_int64_array, as_string_array};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use sha2::{Digest as _, Sha256};
use tessera_audience::{Number, Path, Pattern, Scalar, written_date};
use tessera_model::Timestamp;

use super::value::{
    Each, counted_at, numbers_at, push, scalar_of, scalars, text_of, texts, together, values_at,
};

/// Sums are of decimals with six places.
pub(crate) const DECIMAL: DataType = DataType::Decimal128(38, 6);

/// The arguments of a call, row by row.
pub(crate) struct Arguments {
    columns: Vec<ArrayRef>,
    constant: Vec<bool>,
    rows: usize,
}

impl Arguments {
    fn new(values: &[ColumnarValue]) -> Result<Self> {
        let rows = values.iter().find_map(|value| match value {
            ColumnarValue::Array(array) => Some(array.len()),
            ColumnarValue::Scalar(_) => None,
        });
        let rows = rows.unwrap_or(1);
        let constant = values.iter().map(|value| matches!(value, ColumnarValue::Scalar(_))).collect();
        let column = |value: &ColumnarValue| match value {
            ColumnarValue::Array(array) => Ok(Arc::clone(array)),
            ColumnarValue::Scalar(scalar) => scalar.to_array(),
        };
        Ok(Self { columns: values.iter().map(column).collect::<Result<_>>()?, constant, rows })
    }

    fn column(&self, place: usize) -> Result<&ArrayRef> {
        self.columns.get(place).ok_or_else(|| DataFusionError::Internal("an argument is missing".to_owned()))
    }

    fn row(&self, place: usize, row: usize) -> usize {
        if self.constant.get(place).copied().unwrap_or_default() { 0 } else { row }
    }

    fn texts<'s>(&'s self, place: usize) -> Result<impl Fn(usize) -> Option<&'s str> + 's> {
        let column = as_string_array(self.column(place)?)?;
        Ok(move |row| {
            let row = self.row(place, row);
            (!column.is_null(row)).then(|| column.value(row))
        })
    }

    fn integers(&self, place: usize) -> Result<impl Fn(usize) -> Option<i64>> {
        let column = as_int64_array(self.column(place)?)?;
        Ok(move |row| {
            let row = self.row(place, row);
            (!column.is_null(row)).then(|| column.value(row))
        })
    }

    fn decimals(&self, place: usize) -> Result<impl Fn(usize) -> Option<i128>> {
        let column = as_decimal128_array(self.column(place)?)?;
        Ok(move |row| {
            let row = self.row(place, row);
            (!column.is_null(row)).then(|| column.value(row))
        })
    }

    /// An argument that is the same in every row.
    fn constant(&self, place: usize) -> Result<&str> {
        let column = as_string_array(self.column(place)?)?;
        Ok(if column.is_empty() { "" } else { column.value(0) })
    }

    fn path(&self, place: usize) -> Result<Option<Path>> {
        let text = self.constant(place)?;
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn text_rows(&self, of: impl Fn(usize) -> Option<String>) -> ArrayRef {
        Arc::new((0..self.rows).map(of).collect::<StringArray>())
    }

    fn truth_rows(&self, of: impl Fn(usize) -> bool) -> ArrayRef {
        Arc::new((0..self.rows).map(|row| Some(of(row))).collect::<BooleanArray>())
    }

    fn integer_rows(&self, of: impl Fn(usize) -> Option<i64>) -> ArrayRef {
        Arc::new((0..self.rows).map(of).collect::<Int64Array>())
    }

    fn decimal_rows(&self, of: impl Fn(usize) -> Option<i128>) -> Result<ArrayRef> {
        let all: Decimal128Array = (0..self.rows).map(of).collect();
        Ok(Arc::new(all.with_precision_and_scale(38, 6)?))
    }
}

type Body = fn(&Arguments) -> Result<ArrayRef>;

fn function(name: &str, takes: &[DataType], gives: DataType, body: Body) -> ScalarUDF {
    let call = move |values: &[ColumnarValue]| -> Result<ColumnarValue> {
        let arguments = Arguments::new(values)?;
        let answer = body(&arguments)?;
        match arguments.constant.iter().all(|constant| *constant) {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?)),
            false => Ok(ColumnarValue::Array(answer)),
        }
    };
    create_udf(name, takes.to_vec(), gives, Volatility::Immutable, Arc::new(call))
}

/// All functions.
pub(crate) fn all() -> Vec<ScalarUDF> {
    const TEXT: DataType = DataType::Utf8;
    const INTEGER: DataType = DataType::Int64;
    const TRUTH: DataType = DataType::Boolean;
    let list = DataType::List(Arc::new(Field::new_list_field(TEXT, true)));
    vec![
        function("values_at", &[TEXT, TEXT], TEXT, |all| found(all, values_at)),
        function("counted_at", &[TEXT, TEXT], TEXT, |all| found(all, counted_at)),
        function("sum_at", &[TEXT, TEXT], DECIMAL, |all| number_at(all, |all| all.iter().sum())),
        function("min_at", &[TEXT, TEXT], DECIMAL, |all| {
            number_at(all, |all| all.iter().copied().min().unwrap_or_default())
        }),
        function("max_at", &[TEXT, TEXT], DECIMAL, |all| {
            number_at(all, |all| all.iter().copied().max().unwrap_or_default())
        }),
        function("how_many_at", &[TEXT, TEXT], INTEGER, how_many_at),
        function("each", &[TEXT], list, each),
        function("one", &[TEXT], TEXT, one),
        function("key_of", &[INTEGER, TEXT, TEXT], TEXT, key_of),
        function("of_key", &[TEXT], TEXT, of_key),
        function("of_number", &[DECIMAL], TEXT, of_number),
        function("mean", &[DECIMAL, INTEGER], TEXT, mean),
        function("time_of", &[INTEGER], TEXT, time_of),
        function("has", &[TEXT, TEXT, TEXT], TRUTH, has),
        function("compare", &[TEXT, TEXT, TEXT], TRUTH, compare),
        function("lies", &[TEXT, INTEGER, INTEGER], TRUTH, lies),
        function("comes_again", &[TEXT, TEXT], TRUTH, comes_again),
        function("ages", &[TEXT, TEXT], TEXT, ages),
        function("calculate", &[TEXT, TEXT, TEXT], TEXT, calculate),
        function("place", &[TEXT, TEXT], INTEGER, place),
    ]
}

fn found(all: &Arguments, read: fn(&str, &[smol_str::SmolStr]) -> String) -> Result<ArrayRef> {
    let (json, path) = (all.texts(0)?, all.path(1)?);
    let names = path.as_ref().map(Path::names).unwrap_or_default();
    Ok(all.text_rows(|row| json(row).map(|json| read(json, names))))
}

fn number_at(all: &Arguments, take: fn(&[i128]) -> i128) -> Result<ArrayRef> {
    let (json, path) = (all.texts(0)?, all.path(1)?);
    let names = path.as_ref().map(Path::names).unwrap_or_default();
    all.decimal_rows(|row| {
        let numbers = json(row).map(|json| numbers_at(json, names))?;
        (!numbers.is_empty()).then(|| take(&numbers))
    })
}

fn how_many_at(all: &Arguments) -> Result<ArrayRef> {
    let (json, path) = (all.texts(0)?, all.path(1)?);
    let names = path.as_ref().map(Path::names).unwrap_or_default();
    Ok(all.integer_rows(|row| i64::try_from(numbers_at(json(row)?, names).len()).ok()))
}

/// Several values as a list, for `unnest`.
fn each(all: &Arguments) -> Result<ArrayRef> {
    let values = all.texts(0)?;
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..all.rows {
        Each(values(row).unwrap_or_default()).for_each(|one| lists.values().append_value(one));
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

fn one(all: &Arguments) -> Result<ArrayRef> {
    let value = all.texts(0)?;
    Ok(all.text_rows(|row| {
        let mut values = String::new();
        push(&mut values, value(row)?);
        Some(values)
    }))
}

/// Digits of a time, so that keys stand in the order of their times.
const TIME_DIGITS: usize = 20;

/// A time and the first or last value of an event at that time.
fn key_of(all: &Arguments) -> Result<ArrayRef> {
    let (at, values, end) = (all.integers(0)?, all.texts(1)?, all.constant(2)?);
    let is_first = end == "first";
    Ok(all.text_rows(|row| {
        let values = Each(values(row)?);
        let value = if is_first { values.min() } else { values.max() }?;
        let shifted = i128::from(at(row)?) - i128::from(i64::MIN);
        Some(format!("{shifted:0TIME_DIGITS$}{value}"))
    }))
}

fn of_key(all: &Arguments) -> Result<ArrayRef> {
    let key = all.texts(0)?;
    Ok(all.text_rows(|row| {
        let mut values = String::new();
        push(&mut values, key(row)?.get(TIME_DIGITS..)?);
        Some(values)
    }))
}

fn number_text(number: Option<Number>) -> Option<String> {
    number.map(|number| together([&Scalar::Number(number)]))
}

fn of_number(all: &Arguments) -> Result<ArrayRef> {
    let number = all.decimals(0)?;
    Ok(all.text_rows(|row| number_text(Number::from_micros(number(row)?))))
}

fn mean(all: &Arguments) -> Result<ArrayRef> {
    let (sum, count) = (all.decimals(0)?, all.integers(1)?);
    Ok(all.text_rows(|row| number_text(Number::mean(sum(row)?, u64::try_from(count(row)?).ok()?))))
}

fn time_of(all: &Arguments) -> Result<ArrayRef> {
    let at = all.integers(0)?;
    let text = |at| Scalar::Text(Timestamp::from_millis(at).to_string().into());
    Ok(all.text_rows(|row| Some(together([&text(at(row)?)]))))
}

/// Whether values in their written form compare as an operator says; those of different kinds do not.
fn in_order(value: &str, operator: &str, other: &str) -> bool {
    let kind = |text: &str| text.bytes().next();
    let has_order = kind(value) == kind(other) && matches!(kind(value), Some(b'n' | b't'));
    let order = value.cmp(other);
    match operator {
        "equals" => order == Ordering::Equal,
        "less" => has_order && order == Ordering::Less,
        "at_most" => has_order && order != Ordering::Greater,
        "greater" => has_order && order == Ordering::Greater,
        "at_least" => has_order && order != Ordering::Less,
        _ => false,
    }
}

fn is_value(one: &str) -> bool {
    scalar_of(one).is_some()
}

/// Whether any value passes a test against literals, which are written as values are.
fn has(all: &Arguments) -> Result<ArrayRef> {
    let (values, operator) = (all.texts(0)?, all.constant(1)?);
    let literals: Vec<&str> = Each(all.constant(2)?).collect();
    let literal = literals.first().copied().unwrap_or_default();
    let part = literal.get(1..).unwrap_or_default();
    let pattern = match operator {
        "matches" => part.parse::<Pattern>().ok().and_then(|pattern| pattern.compile()),
        _ => None,
    };
    let is_one = |one: &str| literals.contains(&one);
    let holds = |values: &str| match operator {
        "in" => Each(values).any(is_one),
        "none" => Each(values).any(is_value) && !Each(values).any(is_one),
        "exists" => !values.is_empty(),
        "contains" => texts(values).any(|text| text.contains(part)),
        "starts_with" => texts(values).any(|text| text.starts_with(part)),
        "ends_with" => texts(values).any(|text| text.ends_with(part)),
        "matches" => pattern.as_ref().is_some_and(|pattern| texts(values).any(|text| pattern.is_match(text))),
        _ => Each(values).any(|one| in_order(one, operator, literal)),
    };
    Ok(all.truth_rows(|row| values(row).is_some_and(holds)))
}

/// Whether any pair of values compares so.
fn compare(all: &Arguments) -> Result<ArrayRef> {
    let (left, operator, right) = (all.texts(0)?, all.constant(1)?, all.texts(2)?);
    let any = |left: &str, operator: &str, right: &str| {
        Each(left)
            .filter(|one| is_value(one))
            .any(|one| Each(right).any(|other| in_order(one, operator, other)))
    };
    Ok(all.truth_rows(|row| {
        let (Some(left), Some(right)) = (left(row), right(row)) else { return false };
        match operator {
            "not_equals" => {
                Each(left).any(is_value) && Each(right).any(is_value) && !any(left, "equals", right)
            }
            operator => any(left, operator, right),
        }
    }))
}

/// Whether any value is a time within bounds.
fn lies(all: &Arguments) -> Result<ArrayRef> {
    let (values, first, last) = (all.texts(0)?, all.integers(1)?, all.integers(2)?);
    Ok(all.truth_rows(|row| {
        let (first, last) = (first(row).unwrap_or(i64::MIN), last(row).unwrap_or(i64::MAX));
        let mut times = texts(values(row).unwrap_or_default()).filter_map(Timestamp::parse);
        times.any(|at| (first..=last).contains(&at.as_millis()))
    }))
}

fn comes_again(all: &Arguments) -> Result<ArrayRef> {
    let (values, days) = (all.texts(0)?, all.constant(1)?);
    let days: Vec<&str> = days.split(',').collect();
    Ok(all.truth_rows(|row| {
        let mut dates = texts(values(row).unwrap_or_default()).filter_map(written_date);
        dates.any(|date| days.contains(&format!("{:02}-{:02}", date.month(), date.day()).as_str()))
    }))
}

/// Whole years from the dates among values until `today`.
fn ages(all: &Arguments) -> Result<ArrayRef> {
    let (values, today) = (all.texts(0)?, written_date(all.constant(1)?));
    Ok(all.text_rows(|row| {
        let (values, today) = (values(row)?, today?);
        let born = texts(values).filter_map(written_date).filter(|date| *date <= today);
        let years = born.map(|date| {
            let is_ahead = (date.month(), date.day()) > (today.month(), today.day());
            Scalar::Number(Number::from_integer(
                i64::from(today.year()) - i64::from(date.year()) - i64::from(is_ahead),
            ))
        });
        Some(together(&years.collect::<Vec<_>>()))
    }))
}

/// One number from two.
fn calculate(all: &Arguments) -> Result<ArrayRef> {
    let (left, operator, right) = (all.texts(0)?, all.constant(1)?, all.texts(2)?);
    let number = |values: Option<&str>| {
        let mut values = scalars(values?);
        match (values.next(), values.next()) {
            (Some(Scalar::Number(number)), None) => Some(number),
            _ => None,
        }
    };
    Ok(all.text_rows(|row| {
        let (left, right) = (number(left(row))?, number(right(row))?);
        number_text(match operator {
            "add" => left.plus(right),
            "subtract" => left.minus(right),
            "multiply" => left.times(right),
            _ => left.over(right),
        })
    }))
}

/// A person's place in a sample.
fn place(all: &Arguments) -> Result<ArrayRef> {
    let (seed, id) = (all.constant(0)?, all.texts(1)?);
    Ok(all.integer_rows(|row| {
        let mut hash = Sha256::new_with_prefix(seed);
        hash.update([0]);
        hash.update(id(row)?);
        let first: [u8; 8] = hash.finalize().get(..8)?.try_into().ok()?;
        i64::try_from(u64::from_be_bytes(first) % 1_000_000).ok()
    }))
}

/// A literal of a definition as the functions take it.
pub(crate) fn literal(scalar: &Scalar) -> String {
    let mut values = String::new();
    push(&mut values, &text_of(scalar));
    values
}
