//! Reads a connector's settings from the workspace document into its own type.
//!
//! Invariant: an error names the setting and never shows what a secret setting holds.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::ConfigError;

/// Reads `config` as `T`. `secret` are the settings whose values no error may show.
pub(crate) fn read<T: DeserializeOwned>(
    config: &Map<String, Value>,
    secret: &[&str],
) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(Value::Object(config.clone())).map_err(|error| {
        let path = error.path().to_string();
        let top = path.split('.').next().unwrap_or_default();
        // serde quotes what it found, which for a secret written without quotes is the secret.
        let what =
            if secret.contains(&top) { "is not a text".to_owned() } else { error.into_inner().to_string() };
        let hint = "write texts in quotes, numbers without; see the connector's README for its settings";
        problem(if path == "." { "" } else { &path }, what, hint)
    })
}

/// A problem with setting `field`; an empty name stands for all settings together.
pub(crate) fn problem(field: &str, what: impl Into<String>, hint: &str) -> ConfigError {
    let field = if field.is_empty() { "config".to_owned() } else { format!("config.{field}") };
    ConfigError { field, what: what.into(), hint: hint.to_owned() }
}
