//! What a matcher has learned, as it is kept: a row that an operation of the log made.
//!
//! Invariant: it says nothing of anybody. How frequent values are belongs to the profiles, and is counted anew whenever a
//! model is taken up again; so who is erased has left nothing in it.

use serde::{Deserialize, Serialize};
use tessera_match::{Model, Table};
use tessera_model::{MatcherDocument, MatcherName, Operation};
use tessera_store::{Key, Store};

use crate::PipelineError;
use crate::rows::bad;
use crate::view::row_key;

/// Larger ones are not kept: the log has a limit for one record.
const MODEL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A model and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The matcher as it was declared.
    matcher: MatcherDocument,
    /// How many profiles it learned from.
    pub(super) profiles: usize,
    model: Model,
}

/// Where a matcher's model stands.
pub(crate) fn model_key(name: &MatcherName) -> Key {
    row_key(tessera_store::Table::Matcher, name.as_str())
}

/// Whether two matchers learn the same from the same profiles: thresholds change nothing about that.
pub(super) fn learn_alike(one: &MatcherDocument, other: &MatcherDocument) -> bool {
    one.columns == other.columns && one.model == other.model && one.purpose == other.purpose
}

impl Kept {
    pub(super) fn new(matcher: &MatcherDocument, model: &Model, profiles: usize) -> Self {
        Self { matcher: matcher.clone(), profiles, model: model.clone().without_values() }
    }

    /// The model that a matcher has kept, if it was learned as the matcher is declared now.
    pub(super) fn load(store: &impl Store, matcher: &MatcherDocument) -> Result<Option<Self>, PipelineError> {
        let found = store.load(&[model_key(&matcher.name)])?.into_iter().next().flatten();
        let kept: Option<Self> =
            found.map(|bytes| serde_json::from_slice(&bytes).map_err(bad("model"))).transpose()?;
        Ok(kept.filter(|kept| learn_alike(&kept.matcher, matcher)))
    }

    /// The model, with what is frequent among these profiles; `None` if it does not fit or they have outgrown it.
    pub(super) fn recall(self, table: &Table) -> Option<Model> {
        if table.rows() >= self.profiles.saturating_mul(2) {
            return None;
        }
        self.model.with_values_of(table).ok()
    }

    /// The order to keep it.
    pub(super) fn order(&self) -> Result<Operation, String> {
        let model = serde_json::to_value(self).map_err(|error| error.to_string())?;
        let bytes = serde_json::to_vec(&model).map_or(usize::MAX, |text| text.len());
        if bytes > MODEL_BYTES_MAX {
            return Err(format!("the model takes {bytes} bytes, and {MODEL_BYTES_MAX} are kept at most"));
        }
        Ok(Operation::PutModel { matcher: self.matcher.name.clone(), model })
    }
}
