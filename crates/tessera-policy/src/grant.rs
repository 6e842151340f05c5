//! Several decisions at once: for a reader who names no purpose, or several.

use std::collections::BTreeMap;
use std::sync::Arc;

use tessera_model::{Purpose, PurposeName, PurposeSet, Timestamp};

use crate::{Act, Consents, Denial, Permit, Permitted, decide};

/// The purposes that may use a person's data at one moment, and why the others may not.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    permits: Vec<Permit>,
    denials: BTreeMap<PurposeName, Denial>,
}

impl Grant {
    /// Decides each of `purposes`.
    pub fn decide<'a, 'p>(
        purposes: impl IntoIterator<Item = &'p Arc<Purpose>>,
        fragments: impl Iterator<Item = &'a Consents> + Clone,
        now: Timestamp,
    ) -> Self {
        let mut grant = Self::default();
        for purpose in purposes {
            match decide(purpose, Act::Use, fragments.clone(), now) {
                Ok(permit) => grant.permits.push(permit),
                Err(denial) => {
                    grant.denials.insert(purpose.document.name.clone(), denial);
                }
            }
        }
        grant
    }

    /// Whether any permitted purpose covers data that serves `served` since `at`.
    #[must_use]
    pub fn covers(&self, served: PurposeSet, at: Timestamp) -> bool {
        self.permits.iter().any(|permit| permit.covers(served, at))
    }

    /// The permits.
    #[must_use]
    pub fn permits(&self) -> &[Permit] {
        &self.permits
    }

    /// What was denied, and why.
    #[must_use]
    pub fn denials(&self) -> &BTreeMap<PurposeName, Denial> {
        &self.denials
    }

    /// Builds a value of which `build` must take only the parts whose purposes are covered.
    ///
    /// # Errors
    /// The first reason when nothing is permitted at all.
    pub fn seal<T>(&self, build: impl FnOnce(&Self) -> T) -> Result<Permitted<T>, Denial> {
        match self.permits.first() {
            Some(permit) => Ok(permit.wrap(build(self))),
            None => Err(self.denials.values().min().copied().unwrap_or(Denial::UnknownPurpose)),
        }
    }
}
