//! Computed traits: never stored, read from what is kept of events at the reader's now.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::{RawValue, to_raw_value};
use tessera_audience::{DefinitionName, Operand, Ordinal, Outcome, Take, definitions};
use tessera_model::{Document, PurposeName, Rules, Timestamp};
use tessera_profile::Cluster;
use tessera_store::Store;

use super::catalogue::load_catalogue;
use super::following::Following;
use super::person::Person;
use crate::PipelineError;
use crate::query::load_cluster;

/// By name of the trait: the purpose that it serves, and its value, if it has one.
pub(crate) type ComputedValues = BTreeMap<String, (PurposeName, Option<Box<RawValue>>)>;

/// The computed traits in force.
pub(crate) struct Computing {
    following: Following,
    ordinals: Vec<(Ordinal, String)>,
    /// The names of those that are lists.
    lists: BTreeSet<String>,
}

impl Computing {
    /// Those of the workspace whose events are counted; `None`: there are none.
    pub(crate) fn of(store: &impl Store, rules: &Rules) -> Result<Option<Self>, PipelineError> {
        if !rules.workspace.documents().any(|document| matches!(document, Document::ComputedTrait(_))) {
            return Ok(None);
        }
        let following = Following::of(rules, load_catalogue(store)?);
        let named = |ordinal: Ordinal| match following.compiled.name(ordinal)? {
            DefinitionName::ComputedTrait(name) if !following.waits.contains(&ordinal) => {
                Some((ordinal, name.as_str().to_owned()))
            }
            DefinitionName::ComputedTrait(_) | DefinitionName::Audience(_) => None,
        };
        let ordinals = following.compiled.all().filter_map(named).collect();
        let defined = definitions(&rules.workspace).unwrap_or_default();
        let is_list = |value: &Operand| match value {
            Operand::Aggregate(aggregate) => matches!(aggregate.take, Take::UniqueList(_)),
            Operand::Literal(_)
            | Operand::Trait(_)
            | Operand::Account(_)
            | Operand::Arithmetic(_)
            | Operand::Age(_)
            | Operand::Rfm(_)
            | Operand::Whether(_) => false,
        };
        let lists = defined.traits.iter().filter(|one| is_list(&one.value));
        let lists = lists.map(|one| one.name.as_str().to_owned()).collect();
        Ok(Some(Self { following, ordinals, lists }))
    }

    /// The values for a person. Each is made of what the purpose of its definition may see.
    pub(crate) fn values(
        &self,
        (cluster, node): (&Cluster, usize),
        (store, rules, now): (&impl Store, &Rules, Timestamp),
    ) -> Result<ComputedValues, PipelineError> {
        let compiled = &self.following.compiled;
        let mut accounts = BTreeMap::new();
        if compiled.asks_of_accounts() {
            for (_, fragment) in cluster.component(node) {
                for (membership, _) in fragment.memberships() {
                    accounts.insert(membership.account, load_cluster(store, membership.account)?);
                }
            }
        }
        let account = |id| {
            let found = accounts.get(&id)?.as_ref();
            found.map(|(cluster, node)| (cluster.as_ref(), *node))
        };
        let person = Person::new((cluster, node), account, rules, now)?;
        let answers = compiled.evaluate(&person, now, self.ordinals.iter().map(|(ordinal, _)| *ordinal));
        let mut values = ComputedValues::new();
        for (answer, (ordinal, name)) in answers.into_iter().zip(&self.ordinals) {
            let (Outcome::Values(found), Some(purpose)) = (answer.outcome, compiled.purpose(*ordinal)) else {
                continue;
            };
            let raw = match found.as_slice() {
                [] => None,
                [one] if !self.lists.contains(name) => to_raw_value(one).ok(),
                all => to_raw_value(all).ok(),
            };
            values.insert(name.clone(), (purpose.clone(), raw));
        }
        Ok(values)
    }
}
