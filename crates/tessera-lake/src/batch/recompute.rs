//! The batch's members of an audience against those that the stream announced.

use std::collections::BTreeSet;
use std::sync::Arc;

use tessera_audience::{DefinitionName, Definitions};
use tessera_model::{AudienceId, AudienceName, FragmentId, HashKey, LabelSet, Rules, Timestamp};
use tessera_pipeline::memberships_of;
use tessera_policy::Labels;
use tessera_store::Store;

use super::Everybody;
use crate::query::{Live, People as _};
use crate::{AskedOfEverybody, Engine, QueryFailure};

/// What comparing the two comes to. Both are of those whom the audience's purpose permits to look at.
#[derive(Clone, PartialEq, Eq)]
pub struct Recomputed {
    /// Members that both say.
    pub agreed: u64,
    /// Members that the stream alone says.
    pub only_stream: BTreeSet<FragmentId>,
    /// Members that the batch alone says.
    pub only_batch: BTreeSet<FragmentId>,
}

impl std::fmt::Debug for Recomputed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (stream, batch) = (self.only_stream.len(), self.only_batch.len());
        write!(
            f,
            "<{} members of both, {stream} of the stream alone, {batch} of the batch alone>",
            self.agreed
        )
    }
}

impl Engine {
    /// Asks for the members of an audience by SQL, and holds them against those that were announced. While events arrive, who
    /// has just changed may differ.
    ///
    /// # Errors
    /// [`QueryFailure`].
    pub async fn recompute<S: Store>(
        self: &Arc<Self>,
        store: Arc<S>,
        (rules, labels, key): (Arc<Rules>, Arc<Labels>, HashKey),
        definitions: Arc<Definitions>,
        (name, now): (&AudienceName, Timestamp),
    ) -> Result<Recomputed, QueryFailure> {
        let unknown = || QueryFailure::NotUnderstood { what: "there is no audience of that name".to_owned() };
        let purpose = definitions.audience(name).ok_or_else(unknown)?.purpose.clone();
        let names = vec![DefinitionName::Audience(name.clone())];
        let asked = AskedOfEverybody { definitions, names, now };
        let known = (Arc::clone(&rules), Arc::clone(&labels), key);
        let answer = self.ask_everybody(Arc::clone(&store), known, asked).await?.into_iter().next();
        let Some(Everybody::Members(batch)) = answer else { return Err(unknown()) };
        let id = AudienceId::of(name, &purpose);
        let people = Live { store, rules, labels, purpose, hidden: LabelSet::default(), purposes: None, now };
        let (mut stream, mut after) = (BTreeSet::new(), None);
        loop {
            let page = people.page(after.as_deref())?;
            for profile in page.profiles.iter().filter_map(|profile| profile.get().id.parse().ok()) {
                if memberships_of(people.store.as_ref(), profile)?.contains_key(&id) {
                    stream.insert(profile);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(Recomputed {
            agreed: u64::try_from(stream.intersection(&batch).count()).unwrap_or(u64::MAX),
            only_stream: stream.difference(&batch).copied().collect(),
            only_batch: batch.difference(&stream).copied().collect(),
        })
    }
}
