//! The JSON Schemas of definitions, made from the types that read them.

use serde_json::Value;

use crate::{Audience, ComputedTrait};

/// The JSON Schema (2020-12) of an audience.
#[must_use]
pub fn audience_schema() -> Value {
    schemars::schema_for!(Audience).to_value()
}

/// The JSON Schema (2020-12) of a computed trait.
#[must_use]
pub fn computed_trait_schema() -> Value {
    schemars::schema_for!(ComputedTrait).to_value()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::cases::Case;

    /// Every place in a JSON tree, as a pointer.
    fn places(value: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match value {
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found))
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(key, value)| places(value, &format!("{at}/{key}"), found));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Spoils the tree at one place; returns whether anything was done.
    fn spoil(json: &mut Value, place: usize, how: u8) -> bool {
        let mut found = Vec::new();
        places(json, "", &mut found);
        let pointer = &found[place % found.len()];
        let Some(value) = json.pointer_mut(pointer) else { return false };
        match (how % 4, value) {
            (0, Value::Object(map)) => map.insert("unheard_of".to_owned(), json!(1)).is_none(),
            (1, Value::Object(map)) => {
                let Some(key) = map.keys().next().cloned() else { return false };
                map.remove(&key).is_some()
            }
            (2, Value::Object(map)) => {
                let Some((key, value)) =
                    map.iter().next().map(|(key, value)| (format!("{key}x"), value.clone()))
                else {
                    return false;
                };
                map.clear();
                map.insert(key, value);
                true
            }
            (3, value) => {
                *value = json!([{ "no": "such" }]);
                true
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_schema_accepts_every_definition_and_refuses_what_the_types_refuse(
            numbers in prop::collection::vec(any::<u32>(), 0..300),
            place in any::<usize>(),
            how in any::<u8>(),
        ) {
            static SCHEMA: std::sync::LazyLock<jsonschema::Validator> =
                std::sync::LazyLock::new(|| jsonschema::validator_for(&audience_schema()).unwrap());
            for audience in Case::choose(&numbers).definitions.audiences {
                let mut json = serde_json::to_value(&audience).unwrap();
                prop_assert!(SCHEMA.is_valid(&json), "{json}");
                if spoil(&mut json, place, how) {
                    let is_read = serde_json::from_value::<Audience>(json.clone()).is_ok();
                    prop_assert_eq!(SCHEMA.is_valid(&json), is_read, "{}", json);
                }
            }
        }
    }

    #[test]
    fn the_schema_of_computed_traits_accepts_trees_and_texts() {
        let schema = jsonschema::validator_for(&computed_trait_schema()).unwrap();
        for value in [json!("count of \"Order Completed\""), json!({ "trait": "plan" })] {
            let document = json!({ "name": "x", "purpose": "analytics", "value": value });
            assert!(schema.is_valid(&document), "{document}");
            assert!(serde_json::from_value::<ComputedTrait>(document).is_ok());
        }
        assert!(!schema.is_valid(&json!({ "name": "x", "purpose": "analytics" })));
    }
}
