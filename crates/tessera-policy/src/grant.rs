//! Several decisions at once: for a reader who names no purpose, or several.

use std::collections::BTreeMap;

use tessera_model::{PurposeDocument, PurposeName, Timestamp};

use crate::{Consents, Denial, Permit, Permitted, decide};

/// The purposes that may use a person's data at one moment, and why the others may not.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    permits: Vec<Permit>,
    denials: BTreeMap<PurposeName, Denial>,
}

impl Grant {
    /// Decides each of `purposes`. Only the declared ones can be permitted.
    pub fn decide<'a, 'p>(
        declared: &BTreeMap<PurposeName, PurposeDocument>,
        purposes: impl IntoIterator<Item = &'p PurposeName>,
        fragments: impl Iterator<Item = &'a Consents> + Clone,
        now: Timestamp,
    ) -> Self {
        let mut grant = Self::default();
        for name in purposes {
            let decided = declared.get(name).ok_or(Denial::UnknownPurpose);
            match decided.and_then(|purpose| decide(purpose, fragments.clone(), now)) {
                Ok(permit) => grant.permits.push(permit),
                Err(denial) => {
                    grant.denials.insert(name.clone(), denial);
                }
            }
        }
        grant
    }

    /// Whether any of `served` is permitted.
    #[must_use]
    pub fn covers(&self, served: &[PurposeName]) -> bool {
        self.permits.iter().any(|permit| served.contains(permit.purpose()))
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
            None => Err(self.denials.values().next().copied().unwrap_or(Denial::UnknownPurpose)),
        }
    }
}
