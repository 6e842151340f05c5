//! The batch's members of an audience against those that the stream announced.
//!
//! Events go on arriving meanwhile. Invariant: whoever is told to differ has not changed while both were asked, had nothing due, and
//! all of their events were in the lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tessera_audience::{DefinitionName, Definitions};
use tessera_model::{AudienceId, AudienceName, FragmentId, LabelSet, Rules, Timestamp};
use tessera_pipeline::{LakeFeed, PipelineError, Standing, memberships_of, standing_of};
use tessera_policy::Labels;
use tessera_store::{Log, Store};

use super::{Everybody, Sees};
use crate::query::{Live, People as _};
use crate::{AskedOfEverybody, Engine, QueryFailure};

/// What comparing the two comes to. Both are of those whom the audience's purpose permits to look at.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// How many people were looked at.
    pub people: u64,
    /// Members that both say.
    pub agreed: u64,
    /// Members that the stream alone says.
    pub only_stream: BTreeSet<FragmentId>,
    /// Members that the batch alone says.
    pub only_batch: BTreeSet<FragmentId>,
    /// People of whom the two say different, and who changed while they were asked: nothing follows from that.
    pub unsettled: u64,
}

impl std::fmt::Debug for Recomputed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (stream, batch) = (self.only_stream.len(), self.only_batch.len());
        write!(
            f,
            "<{} members of both, {stream} of the stream alone, {batch} of the batch alone, {} unsettled>",
            self.agreed, self.unsettled
        )
    }
}

/// What is compared: an audience under rules.
#[derive(Clone)]
pub struct Compared {
    /// The workspace.
    pub rules: Arc<Rules>,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Its definitions.
    pub definitions: Arc<Definitions>,
    /// The audience.
    pub name: AudienceName,
}

/// What is kept of some people.
type Standings = BTreeMap<FragmentId, Option<Standing>>;

impl Engine {
    /// Asks for the members of an audience by SQL, and holds them against those that were announced. If they differ, brings to the
    /// lake what is on the way, asks once more, and tells apart who changed meanwhile.
    ///
    /// # Errors
    /// [`QueryFailure`].
    pub async fn recompute<L: Log, S: Store>(
        self: &Arc<Self>,
        feed: &Arc<LakeFeed<L, S>>,
        compared: &Compared,
    ) -> Result<Recomputed, QueryFailure> {
        let first = self.compare(feed, compared, feed.clock.now()).await?;
        if first.only_stream.is_empty() && first.only_batch.is_empty() {
            return Ok(first);
        }
        let feeding = Arc::clone(feed);
        let ids: Vec<FragmentId> = first.only_stream.union(&first.only_batch).copied().collect();
        let differed = ids.clone();
        // Whoever stands like this to the end has all of their events in the lake by now.
        let before = self.blocking(move || {
            let before = standings(feeding.store.as_ref(), differed)?;
            feeding.flush().map(|_| before)
        });
        let (before, now) = (before.await?, feed.clock.now());
        let second = self.compare(feed, compared, now).await?;
        let store = Arc::clone(&feed.store);
        let after = self.blocking(move || standings(store.as_ref(), ids)).await?;
        Ok(second.settled((&before, &after), now))
    }

    /// Asks both once.
    async fn compare<L: Log, S: Store>(
        self: &Arc<Self>,
        feed: &Arc<LakeFeed<L, S>>,
        compared: &Compared,
        now: Timestamp,
    ) -> Result<Recomputed, QueryFailure> {
        let Compared { rules, labels, definitions, name } = compared.clone();
        let unknown = || QueryFailure::NotUnderstood { what: "there is no audience of that name".to_owned() };
        let purpose = definitions.audience(&name).ok_or_else(unknown)?.purpose.clone();
        let id = AudienceId::of(&name, &purpose);
        let names = vec![DefinitionName::Audience(name)];
        let asked = AskedOfEverybody { definitions, names, now, sees: Sees::default() };
        let known = (Arc::clone(&rules), Arc::clone(&labels), feed.key.clone());
        let store = Arc::clone(&feed.store);
        let answer = self.ask_everybody(Arc::clone(&store), known, asked).await?.into_iter().next();
        let Some(Everybody::Members(batch)) = answer else { return Err(unknown()) };
        let people = Live { store, rules, labels, purpose, hidden: LabelSet::default(), purposes: None, now };
        let (people, stream) = self.blocking(move || announced(&people, id)).await?;
        Ok(Recomputed {
            people,
            agreed: u64::try_from(stream.intersection(&batch).count()).unwrap_or(u64::MAX),
            only_stream: stream.difference(&batch).copied().collect(),
            only_batch: batch.difference(&stream).copied().collect(),
            unsettled: 0,
        })
    }
}

/// How many people there are, and which of them were announced as members.
fn announced<S: Store>(
    people: &Live<S>,
    id: AudienceId,
) -> Result<(u64, BTreeSet<FragmentId>), PipelineError> {
    let (mut count, mut members, mut after) = (0, BTreeSet::new(), None);
    loop {
        let page = people.page(after.as_deref())?;
        for profile in page.profiles.iter().filter_map(|profile| profile.get().id.parse().ok()) {
            count += 1;
            if memberships_of(people.store.as_ref(), profile)?.contains_key(&id) {
                members.insert(profile);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok((count, members)),
        }
    }
}

fn standings(store: &impl Store, ids: Vec<FragmentId>) -> Result<Standings, PipelineError> {
    ids.into_iter().map(|id| Ok((id, standing_of(store, id)?))).collect()
}

impl Recomputed {
    /// Leaves those who stood the same before and after, with nothing due, and counts the others.
    fn settled(mut self, (before, after): (&Standings, &Standings), now: Timestamp) -> Self {
        let stands = |id: &FragmentId| {
            let stood = before.get(id).and_then(Option::as_ref);
            stood.is_some_and(|stood| {
                !stood.is_due(now) && after.get(id).and_then(Option::as_ref) == Some(stood)
            })
        };
        let all = self.only_stream.len() + self.only_batch.len();
        self.only_stream.retain(stands);
        self.only_batch.retain(stands);
        let left = self.only_stream.len() + self.only_batch.len();
        self.unsettled = u64::try_from(all - left).unwrap_or(u64::MAX);
        self
    }
}
