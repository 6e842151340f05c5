//! Who belongs to which account, and the accounts whose people have to be asked because something else is known of them now.
//!
//! A change of an account is one row; its people are asked by `Tick`, so many at a time. Invariants: the rows of people are what
//! the fragments of all clusters say, whatever became of these; who was not asked since their account changed is behind the place that
//! its row holds.

use std::collections::{BTreeMap, BTreeSet};

use tessera_model::{FragmentId, NamespaceRules, PurposeSet, Timestamp};
use tessera_policy::is_in_time;
use tessera_profile::{Cluster, fold};
use tessera_store::{Change, Key, Store, Table, Value};

use crate::PipelineError;
use crate::apply::Application;
use crate::view::{Slot, View, key_of};

/// Before the account and the fragment, of each of which so many bytes stand in the key.
const BELONGS: &[u8] = b"of";
const SHORT_BYTES: usize = 10;
/// Before the account whose people are to be asked.
const ASKS: &[u8] = b"ask";

/// Who belongs to which account, as the clusters of a view say: account and fragment.
#[derive(Debug)]
pub(crate) struct Belonging(BTreeSet<(FragmentId, FragmentId)>);

impl Belonging {
    pub(crate) fn of(view: &View) -> Self {
        let mut pairs = BTreeSet::new();
        for row in view.rows.values() {
            let Slot::Cluster(cluster) = &row.now else { continue };
            for (at, node) in cluster.graph().nodes().iter().enumerate() {
                let accounts = cluster.fragment(at).into_iter().flat_map(|fragment| fragment.memberships());
                pairs.extend(accounts.map(|(one, _)| (one.account, node.id)));
            }
        }
        Self(pairs)
    }

    /// The rows that what became of the view changes, and those of the accounts that are others now.
    pub(crate) fn changes(
        &self,
        store: &impl Store,
        view: &View,
        described: &BTreeSet<FragmentId>,
    ) -> Result<Vec<Change>, PipelineError> {
        let now = Self::of(view);
        let gone = self.0.difference(&now.0).map(|pair| (pair_key(pair), None));
        let new =
            now.0.difference(&self.0).map(|pair| (pair_key(pair), Some(Value::from(pair.1.0.as_slice()))));
        // Whoever was asked already is asked again.
        let asks = described.iter().map(|account| (ask_key(account), Some(Value::from([].as_slice()))));
        let rows: Vec<(Key, Option<Value>)> = gone.chain(new).chain(asks).collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let before = store.load(&rows.iter().map(|(key, _)| *key).collect::<Vec<_>>())?;
        let changes =
            rows.into_iter().zip(before).map(|((key, after), before)| Change { key, before, after });
        Ok(changes.filter(|change| change.before != change.after).collect())
    }
}

impl Application<'_> {
    /// What anybody may find of an account: each trait with its value and the purposes that may use it at a time. `None`: nobody asks.
    pub(crate) fn account(
        &self,
        account: FragmentId,
        now: Timestamp,
    ) -> Option<BTreeMap<String, (String, PurposeSet)>> {
        if !self.settings.following.compiled.asks_of_accounts() {
            return None;
        }
        let rules = self.settings.rules;
        let (cluster, node) = self.view.cluster_of(account)?;
        let folded = fold(cluster, node, &rules.survivorship)?;
        let traits = folded.traits.iter().filter_map(|(name, survivor)| {
            let word = &survivor.word;
            let is_kept =
                |id| rules.purposes.by_id(id).is_some_and(|one| is_in_time(one, word.assertion.at, now));
            let purposes = word.basis?.purposes.iter().filter(|id| is_kept(*id)).collect();
            Some(((*name).to_owned(), (word.entry.value.to_string(), purposes)))
        });
        Some(traits.collect())
    }
}

/// The accounts that an order changed.
pub(crate) fn changed_accounts(
    store: &impl Store,
    view: &View,
) -> Result<BTreeSet<FragmentId>, PipelineError> {
    let mut changed = BTreeSet::new();
    for (id, row) in view.rows.iter().filter(|(_, row)| row.is_dirty) {
        let is_account = match &row.now {
            Slot::Cluster(cluster) => is_account(cluster),
            Slot::Pointer(_) => false,
            // What is no more was one if anybody belongs to it.
            Slot::Absent | Slot::Tombstone(_) => !people_of(store, (*id, &[]), 1)?.is_empty(),
        };
        if is_account {
            changed.insert(*id);
        }
    }
    Ok(changed)
}

fn is_account(cluster: &Cluster) -> bool {
    let node = cluster.graph().nodes().first();
    node.is_some_and(|node| node.namespace.as_str() == NamespaceRules::ACCOUNT)
}

/// The next people to be asked because their account has changed, up to so many, and the rows that this changes.
pub(crate) fn next_people(
    store: &impl Store,
    limit: usize,
) -> Result<(Vec<FragmentId>, Vec<Change>), PipelineError> {
    let (mut people, mut rows) = (Vec::new(), Vec::new());
    for (key, place) in store.scan(Table::Audience, Some(ASKS), limit)? {
        // An account counts as one, too: many may have nobody.
        let room = limit.saturating_sub(people.len() + rows.len());
        let Some(account) = account_in(&key).filter(|_| room > 0) else { break };
        let page = people_of(store, (account, &place), room)?;
        let last = page.last().filter(|_| page.len() == room).map(|last| Value::from(short(last)));
        people.extend(page);
        rows.push(Change { key, before: Some(place), after: last });
    }
    Ok((people, rows))
}

/// Whether people of any account are still to be asked.
pub(crate) fn is_any_to_ask(store: &impl Store) -> Result<bool, PipelineError> {
    Ok(store.scan(Table::Audience, Some(ASKS), 1)?.iter().any(|(key, _)| account_in(key).is_some()))
}

/// The fragments that belong to an account, behind a place.
fn people_of(
    store: &impl Store,
    (account, place): (FragmentId, &[u8]),
    limit: usize,
) -> Result<Vec<FragmentId>, PipelineError> {
    let prefix = [BELONGS, short(&account)].concat();
    let rows = store.scan(Table::Audience, Some(&[&prefix, place].concat()), limit)?;
    let rows = rows.iter().take_while(|(key, _)| key.id().starts_with(&prefix));
    rows.map(|(_, value)| {
        let id = value.as_ref().try_into().map(FragmentId);
        let why = || format!("it has {} bytes", value.len());
        id.map_err(|_| PipelineError::Stored { what: "member of an account", why: why() })
    })
    .collect()
}

fn short(id: &FragmentId) -> &[u8] {
    id.0.split_at(SHORT_BYTES).0
}

fn pair_key((account, fragment): &(FragmentId, FragmentId)) -> Key {
    key_of(Table::Audience, &[BELONGS, short(account), short(fragment)].concat())
}

fn ask_key(account: &FragmentId) -> Key {
    key_of(Table::Audience, &[ASKS, account.0.as_slice()].concat())
}

fn account_in(key: &Key) -> Option<FragmentId> {
    key.id().strip_prefix(ASKS)?.try_into().ok().map(FragmentId)
}
