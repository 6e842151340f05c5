//! Who belongs to which group, kept in the store: a row for each pair of group and profile.
//!
//! A row says nothing that profiles do not say: its key is type, group and the beginning of the profile's id, all of them
//! keyed hashes. Invariant: the rows are what [`Grouping::all`] says of every cluster that there is, under the rules in
//! force; so nothing is undone, split or erased here, and their order of arrival cannot show. A group with more members than
//! its type allows is none: that is asked when somebody looks, so that it is one again when there are fewer.

use std::collections::{BTreeMap, BTreeSet};

use tessera_model::{FragmentId, GroupId, GroupType, HashKey, Rules};
use tessera_profile::{Cluster, Grouping, Row};
use tessera_store::{Change, Changes, Key, Store, Table, Value};

use crate::PipelineError;
use crate::query::load_cluster;
use crate::view::{Slot, View, key_of};

const VERSION: u8 = 1;
const PAGE_ROWS: usize = 1024;
/// How much of a profile's id stands in a key; the value has it whole.
const PROFILE_BYTES: usize = 10;

type Pair = ([u8; 2], GroupId, FragmentId);

/// The members of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMembers {
    /// The group.
    pub group: GroupId,
    /// Their profiles, in the order of their ids; none when it is shared.
    pub profiles: Vec<FragmentId>,
    /// Whether more people share the value than the type allows: then it makes no group.
    pub is_shared: bool,
}

/// A group that a profile belongs to.
#[derive(Debug)]
pub struct GroupOf {
    /// The kind of group.
    pub group_type: String,
    /// Which one.
    pub group: GroupId,
    /// The account's own fragment with the traits that `group` calls gave, where such a call says so.
    pub account: Option<Box<Cluster>>,
}

/// The groups of every cluster of a view, before it is changed.
#[derive(Debug)]
pub(crate) struct Before(BTreeMap<FragmentId, BTreeSet<Pair>>);

pub(crate) const fn grouping<'a>(rules: &'a Rules, key: &'a HashKey) -> Grouping<'a> {
    Grouping { types: &rules.groups, survivorship: &rules.survivorship, key }
}

impl Before {
    /// Of the clusters in `view`; none where the workspace has no groups.
    pub(crate) fn of(view: &View, rules: &Rules, key: &HashKey) -> Self {
        if rules.groups.is_empty() {
            return Self(BTreeMap::new());
        }
        let grouping = grouping(rules, key);
        let clusters = view.rows.iter().filter_map(|(id, row)| match &row.now {
            Slot::Cluster(cluster) => Some((*id, grouping.all(cluster))),
            Slot::Absent | Slot::Pointer(_) | Slot::Tombstone(_) => None,
        });
        Self(clusters.filter(|(_, pairs)| !pairs.is_empty()).collect())
    }

    /// The rows that what became of the view changes.
    pub(crate) fn changes(
        &self,
        store: &impl Store,
        view: &View,
        rules: &Rules,
        key: &HashKey,
    ) -> Result<Vec<Change>, PipelineError> {
        if rules.groups.is_empty() {
            return Ok(Vec::new());
        }
        let grouping = grouping(rules, key);
        let (mut gone, mut there) = (BTreeSet::new(), BTreeSet::new());
        for (id, row) in view.rows.iter().filter(|(_, row)| row.is_dirty) {
            gone.extend(self.0.get(id).into_iter().flatten().copied());
            if let Slot::Cluster(cluster) = &row.now {
                there.extend(grouping.all(cluster));
            }
        }
        let removed = gone.difference(&there).map(|pair| (*pair, false));
        let added = there.difference(&gone).map(|pair| (*pair, true));
        changes(store, removed.chain(added))
    }
}

fn changes(
    store: &impl Store,
    pairs: impl Iterator<Item = (Pair, bool)>,
) -> Result<Vec<Change>, PipelineError> {
    let pairs: Vec<(Pair, bool)> = pairs.collect();
    let keys: Vec<Key> = pairs.iter().map(|(pair, _)| row_key(pair)).collect();
    let stored = store.load(&keys)?;
    let rows = pairs.iter().zip(&keys).zip(stored);
    let rows = rows.filter_map(|(((pair, is_there), key), before)| {
        let after = is_there.then(|| row_value(pair.2));
        (before != after).then_some(Change { key: *key, before, after })
    });
    Ok(rows.collect())
}

/// Makes the rows of group types that `new` has and `old` had not, and removes those that only `old` had. Some thousands at
/// a time; the last commit of an applied workspace follows. After a crash in between all of it is done again.
pub(crate) fn regroup(
    store: &impl Store,
    old: &Rules,
    new: &Rules,
    key: &HashKey,
) -> Result<(), PipelineError> {
    let is_in = |rules: &Rules, wanted: &GroupType| rules.groups.iter().any(|known| known.means_as(wanted));
    for gone in old.groups.iter().filter(|known| !is_in(new, known)) {
        remove(store, gone.tag)?;
    }
    let added: BTreeSet<[u8; 2]> =
        new.groups.iter().filter(|known| !is_in(old, known)).map(|known| known.tag).collect();
    if added.is_empty() {
        return Ok(());
    }
    let grouping = grouping(new, key);
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan(Table::Cluster, after.as_ref().map(Key::id), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = Some(*last);
        let mut pairs = BTreeSet::new();
        for (_, value) in &page {
            if let Row::Cluster(cluster) = Row::decode(value)? {
                pairs.extend(grouping.all(&cluster).into_iter().filter(|(tag, ..)| added.contains(tag)));
            }
        }
        let rows = changes(store, pairs.into_iter().map(|pair| (pair, true)))?;
        store.commit(Changes { rows, upto: None })?;
    }
}

fn remove(store: &impl Store, tag: [u8; 2]) -> Result<(), PipelineError> {
    loop {
        let rows = store.scan(Table::Group, Some(&tag), PAGE_ROWS)?;
        let own = rows.into_iter().take_while(|(key, _)| key.id().starts_with(&tag));
        let rows: Vec<Change> =
            own.map(|(key, value)| Change { key, before: Some(value), after: None }).collect();
        if rows.is_empty() {
            return Ok(());
        }
        store.commit(Changes { rows, upto: None })?;
    }
}

fn row_key((tag, group, profile): &Pair) -> Key {
    let profile = profile.0.iter().take(PROFILE_BYTES);
    let id: Vec<u8> = tag.iter().chain(&group.0).chain(profile).copied().collect();
    key_of(Table::Group, &id)
}

fn row_value(profile: FragmentId) -> Value {
    [VERSION].iter().chain(&profile.0).copied().collect()
}

fn profile_in(value: &[u8]) -> Result<FragmentId, PipelineError> {
    let bad = |why: String| PipelineError::Stored { what: "membership", why };
    match value {
        [VERSION, id @ ..] => {
            id.try_into().map(FragmentId).map_err(|_| bad(format!("it has {} bytes", value.len())))
        }
        [found, ..] => Err(bad(format!("it has version {found}, this build reads {VERSION}"))),
        [] => Err(bad("it is empty".to_owned())),
    }
}

/// The members of one group; `None`: nobody belongs to it.
///
/// # Errors
/// Those of the store.
pub fn group_members(
    store: &impl Store,
    group_type: &GroupType,
    group: GroupId,
) -> Result<Option<GroupMembers>, PipelineError> {
    let prefix: Vec<u8> = group_type.tag.iter().chain(&group.0).copied().collect();
    let most = usize::try_from(group_type.document.members_max).unwrap_or(usize::MAX);
    let rows = store.scan(Table::Group, Some(&prefix), most.saturating_add(1))?;
    let own = rows.iter().take_while(|(key, _)| key.id().starts_with(&prefix));
    let profiles: Vec<FragmentId> = own.map(|(_, value)| profile_in(value)).collect::<Result<_, _>>()?;
    if profiles.is_empty() {
        return Ok(None);
    }
    let is_shared = profiles.len() > most;
    Ok(Some(GroupMembers { group, profiles: if is_shared { Vec::new() } else { profiles }, is_shared }))
}

/// The groups of a type after `after`, each with its members, in the order of their ids; `each` says whether to go on.
///
/// # Errors
/// Those of the store, and of `each`.
pub fn for_each_group<E: From<PipelineError>>(
    store: &impl Store,
    group_type: &GroupType,
    after: Option<GroupId>,
    mut each: impl FnMut(GroupMembers) -> Result<bool, E>,
) -> Result<(), E> {
    let mut last: Vec<u8> = group_type.tag.to_vec();
    if let Some(after) = after {
        // Past every member of it.
        last.extend(after.0.iter().chain(&[u8::MAX; PROFILE_BYTES]));
    }
    loop {
        let rows = store.scan(Table::Group, Some(&last), 1).map_err(PipelineError::from)?;
        let id = rows.first().and_then(|(key, _)| key.id().strip_prefix(&group_type.tag));
        let id = id.and_then(|rest| rest.get(..GroupId::BYTES)).and_then(|id| id.try_into().ok());
        let Some(group) = id.map(GroupId) else { return Ok(()) };
        let Some(members) = group_members(store, group_type, group)? else { return Ok(()) };
        if !each(members)? {
            return Ok(());
        }
        last = group_type.tag.iter().chain(&group.0).chain(&[u8::MAX; PROFILE_BYTES]).copied().collect();
    }
}

/// The groups of the profile that a fragment is in, shared ones left out, with the traits of accounts: what conditions on
/// accounts ask for. Not what may be shown: that is a [`crate::Reading`]'s, by [`crate::Reading::with_groups`].
///
/// # Errors
/// Those of the store.
pub fn groups_of(
    store: &impl Store,
    rules: &Rules,
    key: &HashKey,
    id: FragmentId,
) -> Result<Vec<GroupOf>, PipelineError> {
    let Some((cluster, node)) = load_cluster(store, id)? else { return Ok(Vec::new()) };
    let mut found: Vec<GroupOf> = Vec::new();
    let grouping = grouping(rules, key);
    for one in grouping.of(&cluster, node) {
        if found.last().is_some_and(|known| {
            known.group == one.group && known.group_type == one.group_type.document.name.as_str()
        }) {
            continue;
        }
        if group_members(store, one.group_type, one.group)?.is_none_or(|members| members.is_shared) {
            continue;
        }
        let account = match one.account {
            Some(account) => load_cluster(store, account)?.map(|(cluster, _)| cluster),
            None => None,
        };
        let group_type = one.group_type.document.name.to_string();
        found.push(GroupOf { group_type, group: one.group, account });
    }
    Ok(found)
}
