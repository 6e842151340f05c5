//! Who is this? The profiles that are most like what somebody says of themselves.

use std::collections::BTreeMap;

use tessera_match::{Explanation, MatchError};
use tessera_model::FragmentId;
use tessera_store::Store;

use super::explain::{MatchQuestion, side_by_side};
use super::handle::Matching;
use super::record::{Compare, Gate};
use crate::PipelineError;
use crate::query::load_cluster;

/// What somebody says of themselves, by the matcher's columns. Personal data.
pub struct Description {
    /// By column.
    pub values: BTreeMap<String, String>,
    /// Most candidates.
    pub most: usize,
}

/// Somebody who may be meant. The values are personal data.
pub struct Candidate {
    /// The profile's id.
    pub profile: FragmentId,
    /// What is compared of it, in the order of the matcher's columns; as far as its purpose permits.
    pub values: Vec<Option<Box<str>>>,
    /// Level by level.
    pub explanation: Explanation,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It keeps nobody's values at hand.
    #[error("the matcher is not live, or has not read everybody yet")]
    NotLive,
    /// The model does not fit.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// The store failed.
    #[error(transparent)]
    Failed(#[from] PipelineError),
}

impl MatchQuestion<'_> {
    /// Looks for the profiles that are most like the description, the likeliest first. What is shown of them is what they
    /// say now, as far as the matcher's purpose permits it now.
    ///
    /// # Errors
    /// [`FindError`].
    pub fn find(
        &self,
        store: &impl Store,
        matching: &Matching,
        description: &Description,
    ) -> Result<Vec<Candidate>, FindError> {
        let Self { rules, labels, matcher, model, now } = *self;
        let everybody = matching.everybody(&matcher.name).ok_or(FindError::NotLive)?;
        let values =
            matcher.columns.keys().map(|name| description.values.get(name).map(|text| text.as_str().into()));
        let asked = Compare { profile: FragmentId::default(), values: values.collect() };
        let like = everybody.read().like(&asked.cells(), description.most)?;
        let gate = Gate { rules, labels, matcher, now };
        let mut found = Vec::new();
        for profile in like {
            let Some((cluster, _)) = load_cluster(store, profile)? else { continue };
            let record = gate.records(&cluster).into_iter().find(|record| record.profile == profile);
            let Some(record) = record else { continue };
            let explanation = side_by_side(matcher, model, [&asked, &record])?;
            found.push(Candidate { profile, values: record.values, explanation });
        }
        found.sort_by(|one, other| other.explanation.probability.total_cmp(&one.explanation.probability));
        Ok(found)
    }
}
