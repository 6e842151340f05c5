//! Where people write a definition, a text stands for its tree.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::{Condition, Operand};

pub(super) fn condition<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Condition, D::Error> {
    let written = Value::deserialize(deserializer)?;
    match written.as_str() {
        Some(text) => Condition::parse(text).map_err(D::Error::custom),
        None => serde_json::from_value(written).map_err(D::Error::custom),
    }
}

pub(super) fn operand<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Operand, D::Error> {
    let written = Value::deserialize(deserializer)?;
    match written.as_str() {
        Some(text) => Operand::parse(text).map_err(D::Error::custom),
        None => serde_json::from_value(written).map_err(D::Error::custom),
    }
}

pub(super) fn condition_schema(generator: &mut SchemaGenerator) -> Schema {
    let tree = generator.subschema_for::<Condition>();
    json_schema!({ "anyOf": [tree, { "type": "string", "description": "The condition in its text form." }] })
}

pub(super) fn operand_schema(generator: &mut SchemaGenerator) -> Schema {
    let tree = generator.subschema_for::<Operand>();
    json_schema!({ "anyOf": [tree, { "type": "string", "description": "The operand in its text form." }] })
}
