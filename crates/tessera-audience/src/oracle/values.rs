//! Values at paths, and what holds of them.

use serde_json::Value;
use smol_str::SmolStr;
use tessera_model::Timestamp;

use crate::{Comparator, Scalar, Test, written_date};

/// What a path or an operand yields.
#[derive(Clone, Default)]
pub(super) struct Values {
    /// The values.
    pub(super) scalars: Vec<Scalar>,
    /// Whether an object was reached.
    object: bool,
}

impl Values {
    pub(super) fn of(scalars: impl IntoIterator<Item = Scalar>) -> Self {
        Self { scalars: scalars.into_iter().collect(), object: false }
    }

    fn exists(&self) -> bool {
        self.object || !self.scalars.is_empty()
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.scalars.iter().filter_map(|scalar| match scalar {
            Scalar::Text(text) => Some(text.as_str()),
            Scalar::Bool(_) | Scalar::Number(_) => None,
        })
    }

    /// Those that are a time or date.
    pub(super) fn times(&self) -> impl Iterator<Item = Timestamp> {
        self.texts().filter_map(Timestamp::parse)
    }

    /// Those that begin with a date, as it is written.
    pub(super) fn dates(&self) -> impl Iterator<Item = jiff::civil::Date> {
        self.texts().filter_map(written_date)
    }
}

/// Adds the values at a path below `value`.
pub(super) fn follow(value: &Value, names: &[SmolStr], values: &mut Values) {
    match (value, names.split_first()) {
        (Value::Array(items), _) => items.iter().for_each(|item| follow(item, names, values)),
        (Value::Object(object), Some((name, rest))) => {
            if let Some(value) = object.get(name.as_str()) {
                follow(value, rest, values);
            }
        }
        (Value::Object(_), None) => values.object = true,
        (Value::Null, _) | (Value::Bool(_) | Value::Number(_) | Value::String(_), Some(_)) => {}
        (Value::Bool(_) | Value::Number(_) | Value::String(_), None) => {
            values.scalars.extend(Scalar::from_json(value));
        }
    }
}

/// Whether the values pass the test.
pub(super) fn passes(values: &Values, test: &Test) -> bool {
    let any = |holds: &dyn Fn(&Scalar) -> bool| values.scalars.iter().any(holds);
    let text = |holds: &dyn Fn(&str) -> bool| values.texts().any(holds);
    match test {
        Test::Equals(wanted) => any(&|value| value == wanted),
        Test::NotEquals(forbidden) => !values.scalars.is_empty() && !any(&|value| value == forbidden),
        Test::Less(limit) => any(&|value| is(value, Comparator::Less, limit)),
        Test::AtMost(limit) => any(&|value| is(value, Comparator::AtMost, limit)),
        Test::Greater(limit) => any(&|value| is(value, Comparator::Greater, limit)),
        Test::AtLeast(limit) => any(&|value| is(value, Comparator::AtLeast, limit)),
        Test::In(wanted) => any(&|value| wanted.contains(value)),
        Test::NotIn(forbidden) => !values.scalars.is_empty() && !any(&|value| forbidden.contains(value)),
        Test::Contains(part) => text(&|value| value.contains(part.as_str())),
        Test::StartsWith(part) => text(&|value| value.starts_with(part.as_str())),
        Test::EndsWith(part) => text(&|value| value.ends_with(part.as_str())),
        Test::Matches(pattern) => {
            pattern.compile().is_some_and(|pattern| text(&|value| pattern.is_match(value)))
        }
        Test::Before(moment) => values.times().any(|at| at < moment.0),
        Test::Since(moment) => values.times().any(|at| at >= moment.0),
        Test::Exists => values.exists(),
    }
}

/// Whether any pair of values compares so.
pub(super) fn compare(left: &Values, comparator: Comparator, right: &Values) -> bool {
    let pairs = || left.scalars.iter().flat_map(|l| right.scalars.iter().map(move |r| (l, r)));
    match comparator {
        Comparator::NotEquals => pairs().next().is_some() && pairs().all(|(l, r)| l != r),
        Comparator::Equals => pairs().any(|(l, r)| l == r),
        Comparator::Less | Comparator::AtMost | Comparator::Greater | Comparator::AtLeast => {
            pairs().any(|(l, r)| is(l, comparator, r))
        }
    }
}

fn is(left: &Scalar, comparator: Comparator, right: &Scalar) -> bool {
    let order = match (left, right) {
        (Scalar::Number(left), Scalar::Number(right)) => left.cmp(right),
        (Scalar::Text(left), Scalar::Text(right)) => left.cmp(right),
        (Scalar::Bool(_) | Scalar::Number(_) | Scalar::Text(_), _) => return false,
    };
    match comparator {
        Comparator::Equals => order.is_eq(),
        Comparator::NotEquals => order.is_ne(),
        Comparator::Less => order.is_lt(),
        Comparator::AtMost => order.is_le(),
        Comparator::Greater => order.is_gt(),
        Comparator::AtLeast => order.is_ge(),
    }
}
