//! Values as texts that SQL can hold, compare and put in order.
//!
//! One value is a text whose bytes stand in the order of [`Scalar`]: `b0`, `b1`, then `n` and 27 digits, then `t` and the text. Several are
//! written one after the other, each behind its length: `2:b15:tshoe`. An object, which exists and is no value, is `o`.

use serde_json::Value;
use smol_str::SmolStr;
use tessera_audience::{AGGREGATED_TEXT_BYTES_MAX, Number, Scalar};

/// Added to millionths, so that negative numbers come first: 10^20.
const SHIFT: i128 = 100_000_000_000_000_000_000_000_000;
const OBJECT: &str = "o";

/// One value as a text.
pub(crate) fn text_of(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Bool(truth) => format!("b{}", u8::from(*truth)),
        Scalar::Number(number) => format!("n{:027}", number.micros() + SHIFT),
        Scalar::Text(text) => format!("t{text}"),
    }
}

/// The value that a text stands for. `None`: an object.
pub(crate) fn scalar_of(text: &str) -> Option<Scalar> {
    let rest = text.get(1..)?;
    match text.as_bytes().first()? {
        b'b' => Some(Scalar::Bool(rest == "1")),
        b'n' => Number::from_micros(rest.parse::<i128>().ok()? - SHIFT).map(Scalar::Number),
        b't' => Some(Scalar::Text(rest.into())),
        _ => None,
    }
}

/// Adds a value to several.
pub(crate) fn push(values: &mut String, one: &str) {
    values.push_str(&one.len().to_string());
    values.push(':');
    values.push_str(one);
}

/// Several values as one text.
pub(crate) fn together<'a>(all: impl IntoIterator<Item = &'a Scalar>) -> String {
    let mut values = String::new();
    all.into_iter().for_each(|scalar| push(&mut values, &text_of(scalar)));
    values
}

/// Goes through several values.
pub(crate) struct Each<'a>(pub(crate) &'a str);

impl<'a> Iterator for Each<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (length, rest) = self.0.split_once(':')?;
        let (one, rest) = rest.split_at_checked(length.parse().ok()?)?;
        self.0 = rest;
        Some(one)
    }
}

/// The values, objects left aside.
pub(crate) fn scalars(values: &str) -> impl Iterator<Item = Scalar> {
    Each(values).filter_map(scalar_of)
}

/// The texts among the values.
pub(crate) fn texts(values: &str) -> impl Iterator<Item = &str> {
    Each(values).filter_map(|one| one.strip_prefix('t'))
}

/// The values at a path of a JSON text; `give` gets each.
pub(crate) fn follow(json: &str, names: &[SmolStr], give: &mut dyn FnMut(Found<'_>)) {
    if let Ok(value) = serde_json::from_str::<Value>(json) {
        walk(&value, names, give);
    }
}

/// What stands at a path.
pub(crate) enum Found<'v> {
    Object,
    Value(&'v Value),
}

fn walk(value: &Value, names: &[SmolStr], give: &mut dyn FnMut(Found<'_>)) {
    if let Value::Array(items) = value {
        items.iter().for_each(|item| walk(item, names, give));
    } else if let Some((name, rest)) = names.split_first() {
        value.get(name.as_str()).into_iter().for_each(|inner| walk(inner, rest, give));
    } else if value.is_object() {
        give(Found::Object);
    } else if !value.is_null() {
        give(Found::Value(value));
    }
}

/// All values at a path, and objects.
pub(crate) fn values_at(json: &str, names: &[SmolStr]) -> String {
    let mut values = String::new();
    follow(json, names, &mut |found| match found {
        Found::Object => push(&mut values, OBJECT),
        Found::Value(value) => {
            Scalar::from_json(value).iter().for_each(|scalar| push(&mut values, &text_of(scalar)));
        }
    });
    values
}

/// The values at a path that aggregates count.
pub(crate) fn counted_at(json: &str, names: &[SmolStr]) -> String {
    let mut values = String::new();
    follow(json, names, &mut |found| {
        let Found::Value(value) = found else { return };
        if value.as_str().is_none_or(|text| text.len() <= AGGREGATED_TEXT_BYTES_MAX) {
            Scalar::from_json(value).iter().for_each(|scalar| push(&mut values, &text_of(scalar)));
        }
    });
    values
}

/// The numbers at a path, in millionths.
pub(crate) fn numbers_at(json: &str, names: &[SmolStr]) -> Vec<i128> {
    let mut numbers = Vec::new();
    follow(json, names, &mut |found| {
        if let Found::Value(Value::Number(number)) = found {
            numbers.extend(Number::from_json(number).map(Number::micros));
        }
    });
    numbers
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scalar() -> impl Strategy<Value = Scalar> {
        prop_oneof![
            any::<bool>().prop_map(Scalar::Bool),
            (-(SHIFT - 1)..SHIFT).prop_map(|micros| Scalar::Number(Number::from_micros(micros).unwrap())),
            "\\PC{0,5}".prop_map(|text| Scalar::Text(text.into())),
        ]
    }

    proptest! {
        #[test]
        fn texts_stand_in_the_order_of_their_values(one in scalar(), other in scalar()) {
            prop_assert_eq!(one.cmp(&other), text_of(&one).cmp(&text_of(&other)));
        }

        #[test]
        fn several_values_are_read_as_they_were_written(all in prop::collection::vec(scalar(), 0..5)) {
            prop_assert_eq!(scalars(&together(&all)).collect::<Vec<_>>(), all);
        }
    }
}
