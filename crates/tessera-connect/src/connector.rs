//! A kind of destination: its name, its settings, how to open one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};
use tessera_model::{DestinationName, Timestamp};

use crate::{CONNECTORS, Destination};

/// Makes a destination of its settings.
pub type Open = fn(&Context, &Map<String, Value>) -> Result<Box<dyn Destination>, ConfigError>;

/// A kind of destination.
#[derive(Clone, Copy)]
pub struct Connector {
    /// What `type` says in the workspace.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Checks the settings without touching anything.
    pub check: fn(&Map<String, Value>) -> Result<(), ConfigError>,
    /// Makes a destination of the settings. Touches nothing either: a receiver that is away or a disk that is full
    /// shows when something is delivered, as [`crate::Outcome::Retry`].
    pub open: Open,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").field(&self.name).finish()
    }
}

/// The connector of that name.
#[must_use]
pub fn connector(name: &str) -> Option<&'static Connector> {
    CONNECTORS.iter().find(|connector| connector.name == name)
}

/// What a destination needs to know of its surroundings.
#[derive(Clone)]
pub struct Context {
    /// The destination's name in the workspace.
    pub destination: DestinationName,
    /// The data folder. Destinations that write files put those with a relative path below its `deliveries`.
    pub folder: PathBuf,
    /// Tells the time.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("destination", &self.destination)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// A setting of a destination that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct ConfigError {
    /// The setting, as a path in the document: `config.url`.
    pub field: String,
    /// What is wrong with it. Never the value of a secret.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl ConfigError {
    /// The stable code; it has a page in `docs/reference/errors`.
    pub const CODE: &'static str = "TES-D001";

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        Self::CODE
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}
