//! The rows that a batch needs, loaded before it is applied and changed in memory while it is.
//!
//! Invariant: holds every row that the batch's identifiers lead to, so that applying never reads the store.

use foldhash::fast::FixedState;
use indexmap::{IndexMap, IndexSet};
use serde::de::DeserializeOwned;
use tessera_model::{Event, FragmentId, HashKey, Identified, IdentifierForm, Timestamp};
use tessera_profile::{Cluster, Row, Seen, SeenPage, seen_hash};
use tessera_store::{Key, Store, Table, Value};

use crate::contracts::ContractRows;
use crate::{PipelineError, Totals};

/// Insertion-ordered, so that iteration order is the same in every replay.
pub(crate) type Ordered<K, V> = IndexMap<K, V, FixedState>;
type OrderedSet<K> = IndexSet<K, FixedState>;

#[derive(Debug)]
pub(crate) enum Slot {
    Absent,
    Pointer(FragmentId),
    Cluster(Box<Cluster>),
    /// Erased then; nothing of it is kept.
    Tombstone(Timestamp),
}

#[derive(Debug)]
pub(crate) struct Loaded<T> {
    pub(crate) before: Option<Value>,
    pub(crate) now: T,
    pub(crate) is_dirty: bool,
}

/// The loaded rows.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) rows: Ordered<FragmentId, Loaded<Slot>>,
    pub(crate) pages: Ordered<(FragmentId, u8), Loaded<SeenPage>>,
    pub(crate) totals: Option<Loaded<Totals>>,
    /// The latest time of a record after which anybody was asked.
    pub(crate) time: Option<Loaded<i64>>,
    pub(crate) contracts: ContractRows,
    /// The rows of clusters that were changed since somebody last asked, some of them more than once.
    touched: Vec<FragmentId>,
}

pub(crate) fn cluster_key(id: FragmentId) -> Key {
    key_of(Table::Cluster, &id.0)
}

pub(crate) fn page_key(id: FragmentId, page: u8) -> Key {
    let mut bytes = [0; 17];
    bytes.iter_mut().zip(id.0.iter().chain([&page])).for_each(|(to, from)| *to = *from);
    key_of(Table::Seen, &bytes)
}

pub(crate) fn totals_key() -> Key {
    key_of(Table::Count, b"totals")
}

pub(crate) fn time_key() -> Key {
    key_of(Table::Audience, b"time")
}

/// The log's time that a row holds.
pub(crate) fn time_in(row: Option<&[u8]>) -> Result<Timestamp, PipelineError> {
    Ok(Timestamp::from_millis(row.map(count_in).transpose()?.unwrap_or(i64::MIN)))
}

fn count_in<T: DeserializeOwned>(row: &[u8]) -> Result<T, PipelineError> {
    postcard::from_bytes(row).map_err(|e| PipelineError::Stored { what: "count", why: e.to_string() })
}

pub(crate) fn workspace_key() -> Key {
    key_of(Table::Workspace, b"workspace")
}

pub(crate) fn place_key(table: Table, prefix: &[u8], position: u64, index: u32) -> Key {
    let mut id = Vec::with_capacity(Key::ID_BYTES_MAX);
    id.extend(prefix);
    id.extend(position.to_be_bytes());
    id.extend(index.to_be_bytes());
    key_of(table, &id)
}

/// The key of a row by name, among those of a kind.
pub(crate) fn row_key_after(table: Table, kind: u8, name: &str) -> Key {
    let mut id = [kind; 17];
    let (_, hash) = id.split_at_mut(1);
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(hash);
    key_of(table, &id)
}

pub(crate) fn row_key(table: Table, name: &str) -> Key {
    let mut id = [0; 16];
    blake3::Hasher::new().update(name.as_bytes()).finalize_xof().fill(&mut id);
    key_of(table, &id)
}

#[expect(clippy::expect_used, reason = "ids made in this module are at most 20 bytes, the limit is 22")]
pub(crate) fn key_of(table: Table, id: &[u8]) -> Key {
    Key::new(table, id).expect("ids are short")
}

impl View {
    /// Loads all that `events` lead to.
    pub(crate) fn load<'e>(
        store: &impl Store,
        events: impl Iterator<Item = &'e Event> + Clone,
        hash_key: &HashKey,
    ) -> Result<Self, PipelineError> {
        let mut view = Self::default();
        let mut wanted: OrderedSet<FragmentId> = OrderedSet::default();
        for event in events.clone() {
            wanted.extend(identified(event).map(|identified| identified.id));
        }
        view.load_rows(store, wanted)?;
        view.load_counts(store)?;
        view.contracts = ContractRows::load(store, events.clone())?;
        view.load_pages(store, events, hash_key)?;
        Ok(view)
    }

    fn load_counts(&mut self, store: &impl Store) -> Result<(), PipelineError> {
        let mut rows = store.load(&[totals_key(), time_key()])?.into_iter();
        let before = rows.next().flatten();
        let now = before.as_deref().map(count_in).transpose()?.unwrap_or_default();
        self.totals = Some(Loaded { before, now, is_dirty: false });
        let before = rows.next().flatten();
        let now = time_in(before.as_deref())?.as_millis();
        self.time = Some(Loaded { before, now, is_dirty: false });
        Ok(())
    }

    /// Loads the accounts of everybody, where anybody asks for their traits.
    pub(crate) fn load_accounts(&mut self, store: &impl Store) -> Result<(), PipelineError> {
        let mut wanted: OrderedSet<FragmentId> = OrderedSet::default();
        for row in self.rows.values() {
            if let Slot::Cluster(cluster) = &row.now {
                let fragments = (0..cluster.len()).filter_map(|node| cluster.fragment(node));
                wanted.extend(fragments.flat_map(|one| one.memberships()).map(|(one, _)| one.account));
            }
        }
        wanted.retain(|id| !self.rows.contains_key(id));
        self.load_rows(store, wanted)
    }

    /// The log's time: that of a record, and never before that of one before it.
    pub(crate) fn log_time(&mut self, at: Timestamp) -> Timestamp {
        let row = self.time.get_or_insert(Loaded { before: None, now: i64::MIN, is_dirty: false });
        if at.as_millis() > row.now {
            (row.now, row.is_dirty) = (at.as_millis(), true);
        }
        Timestamp::from_millis(row.now)
    }

    /// Loads the rows of `wanted` and, round by round, what they point to.
    pub(crate) fn load_rows(
        &mut self,
        store: &impl Store,
        mut wanted: OrderedSet<FragmentId>,
    ) -> Result<(), PipelineError> {
        while !wanted.is_empty() {
            let keys: Vec<Key> = wanted.iter().map(|id| cluster_key(*id)).collect();
            let mut next = OrderedSet::default();
            for (id, before) in wanted.iter().zip(store.load(&keys)?) {
                let now = match before.as_deref().map(Row::decode).transpose()? {
                    None => Slot::Absent,
                    Some(Row::Cluster(cluster)) => Slot::Cluster(cluster),
                    Some(Row::Tombstone(at)) => Slot::Tombstone(at),
                    Some(Row::Pointer(target)) => {
                        next.insert(target);
                        Slot::Pointer(target)
                    }
                };
                self.rows.insert(*id, Loaded { before, now, is_dirty: false });
            }
            next.retain(|id| !self.rows.contains_key(id));
            wanted = next;
        }
        Ok(())
    }

    fn load_pages<'e>(
        &mut self,
        store: &impl Store,
        events: impl Iterator<Item = &'e Event>,
        hash_key: &HashKey,
    ) -> Result<(), PipelineError> {
        let mut wanted: OrderedSet<(FragmentId, u8)> = OrderedSet::default();
        for event in events {
            let Some(owner) = event.owner() else { continue };
            let spilled = self.cluster_of(owner.id).and_then(|(cluster, node)| cluster.fragment(node));
            if spilled.is_some_and(|fragment| fragment.seen.is_spilled) {
                wanted.insert((owner.id, Seen::page_of(seen_hash(hash_key, &event.message_id))));
            }
        }
        let keys: Vec<Key> = wanted.iter().map(|(id, page)| page_key(*id, *page)).collect();
        for (place, before) in wanted.into_iter().zip(store.load(&keys)?) {
            let now = before.as_deref().map(SeenPage::decode).transpose()?.unwrap_or_default();
            self.pages.insert(place, Loaded { before, now, is_dirty: false });
        }
        Ok(())
    }

    /// The id of the cluster that a fragment is in. `None`: nobody has seen it.
    pub(crate) fn root(&self, mut id: FragmentId) -> Option<FragmentId> {
        // Chains are short, and a damaged store must not hang the pipeline.
        for _ in 0..64 {
            match self.rows.get(&id)?.now {
                Slot::Absent | Slot::Tombstone(_) => return None,
                Slot::Cluster(_) => return Some(id),
                Slot::Pointer(target) => id = target,
            }
        }
        None
    }

    pub(crate) fn cluster(&self, root: FragmentId) -> Option<&Cluster> {
        match &self.rows.get(&root)?.now {
            Slot::Cluster(cluster) => Some(cluster),
            Slot::Absent | Slot::Pointer(_) | Slot::Tombstone(_) => None,
        }
    }

    /// The cluster under `root`, to change: it will be part of the commit.
    pub(crate) fn cluster_mut(&mut self, root: FragmentId) -> Option<&mut Cluster> {
        let row = self.rows.get_mut(&root)?;
        match &mut row.now {
            Slot::Cluster(cluster) => {
                row.is_dirty = true;
                touch(&mut self.touched, root);
                Some(cluster)
            }
            Slot::Absent | Slot::Pointer(_) | Slot::Tombstone(_) => None,
        }
    }

    /// The cluster and node of a fragment.
    pub(crate) fn cluster_of(&self, id: FragmentId) -> Option<(&Cluster, usize)> {
        let cluster = self.cluster(self.root(id)?)?;
        Some((cluster, cluster.find(id)?))
    }

    pub(crate) fn point(&mut self, id: FragmentId, root: FragmentId) {
        self.set(id, Slot::Pointer(root));
    }

    /// Points a fragment that finds its cluster by way of others straight at it, so that chains stay short. Done
    /// for each event and not for each load: batch boundaries must not show.
    pub(crate) fn shorten(&mut self, id: FragmentId, root: FragmentId) {
        let is_far = self.rows.get(&id).is_some_and(|row| match row.now {
            Slot::Pointer(target) => target != root,
            Slot::Absent | Slot::Cluster(_) | Slot::Tombstone(_) => false,
        });
        if is_far {
            self.point(id, root);
        }
    }

    pub(crate) fn put(&mut self, root: FragmentId, cluster: Cluster) {
        self.set(root, Slot::Cluster(Box::new(cluster)));
    }

    /// Takes a cluster out to move it into another; a pointer must take its place.
    pub(crate) fn take(&mut self, root: FragmentId) -> Option<Cluster> {
        let row = self.rows.get_mut(&root)?;
        match std::mem::replace(&mut row.now, Slot::Absent) {
            Slot::Cluster(cluster) => {
                row.is_dirty = true;
                touch(&mut self.touched, root);
                Some(*cluster)
            }
            other @ (Slot::Absent | Slot::Pointer(_) | Slot::Tombstone(_)) => {
                row.now = other;
                None
            }
        }
    }

    /// Every fragment in the clusters of these.
    pub(crate) fn in_clusters_of(&self, fragments: &[FragmentId]) -> Vec<FragmentId> {
        let clusters = fragments.iter().filter_map(|id| self.cluster(self.root(*id)?));
        clusters.flat_map(Cluster::ids).filter(|id| !self.rows.contains_key(id)).collect()
    }

    /// Every fragment in the profiles of these, themselves included, each once.
    pub(crate) fn profiles_of(&self, fragments: &[FragmentId]) -> Vec<FragmentId> {
        let mut found: Vec<FragmentId> = fragments.to_vec();
        for (cluster, node) in fragments.iter().filter_map(|id| self.cluster_of(*id)) {
            let nodes = cluster.component(node).filter_map(|(at, _)| cluster.graph().nodes().get(at));
            found.extend(nodes.map(|node| node.id));
        }
        found.sort();
        found.dedup();
        found
    }

    /// The identifiers of these fragments, as they are kept and as they may be hashed. `None`: one is kept hashed, and nobody
    /// knows its clear form.
    pub(crate) fn values_of(&self, fragments: &[FragmentId]) -> Option<Vec<String>> {
        let nodes = fragments.iter().filter_map(|id| {
            let (cluster, node) = self.cluster_of(*id)?;
            cluster.graph().nodes().get(node)
        });
        let mut values = Vec::new();
        for identifier in nodes.map(|node| node.identifier()) {
            match identifier.form() {
                IdentifierForm::Hashed => return None,
                IdentifierForm::Exact | IdentifierForm::Clear => values.extend(identifier.spellings()),
            }
        }
        Some(values)
    }

    /// Every fragment whose row is another now.
    pub(crate) fn changed(&self) -> Vec<FragmentId> {
        self.rows.iter().filter(|(_, row)| row.is_dirty).map(|(id, _)| *id).collect()
    }

    /// Every fragment whose row was touched since this was last asked, each once.
    pub(crate) fn take_touched(&mut self) -> Vec<FragmentId> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// Whether the fragment was erased.
    pub(crate) fn is_erased(&self, id: FragmentId) -> bool {
        self.rows.get(&id).is_some_and(|row| matches!(row.now, Slot::Tombstone(_)))
    }

    /// Leaves a mark in the place of a fragment, or (`None`) nothing.
    pub(crate) fn bury(&mut self, id: FragmentId, at: Option<Timestamp>) {
        self.set(id, at.map_or(Slot::Absent, Slot::Tombstone));
    }

    fn set(&mut self, id: FragmentId, now: Slot) {
        touch(&mut self.touched, id);
        match self.rows.get_mut(&id) {
            Some(row) => {
                row.now = now;
                row.is_dirty = true;
            }
            None => {
                self.rows.insert(id, Loaded { before: None, now, is_dirty: true });
            }
        }
    }

    /// The page of a busy fragment, to change. One that was not loaded does not exist yet: its fragment has only
    /// now become busy.
    pub(crate) fn page_mut(&mut self, id: FragmentId, page: u8) -> &mut SeenPage {
        let row = self.pages.entry((id, page)).or_insert_with(|| Loaded {
            before: None,
            now: SeenPage::default(),
            is_dirty: true,
        });
        row.is_dirty = true;
        &mut row.now
    }

    pub(crate) fn page(&self, id: FragmentId, page: u8) -> Option<&SeenPage> {
        self.pages.get(&(id, page)).map(|row| &row.now)
    }

    pub(crate) fn totals_mut(&mut self) -> &mut Totals {
        let row = self.totals.get_or_insert_with(|| Loaded {
            before: None,
            now: Totals::default(),
            is_dirty: true,
        });
        row.is_dirty = true;
        &mut row.now
    }
}

/// Mostly one row is changed many times in turn.
fn touch(touched: &mut Vec<FragmentId>, id: FragmentId) {
    if touched.last() != Some(&id) {
        touched.push(id);
    }
}

/// Every identifier that an event names, the account and the previous id included.
pub(crate) fn identified(event: &Event) -> impl Iterator<Item = &Identified> {
    use tessera_model::Call;
    let other = match &event.call {
        Call::Group { account, .. } => std::slice::from_ref(account),
        Call::Alias { previous } => previous.as_slice(),
        Call::Identify { .. }
        | Call::Track { .. }
        | Call::Page { .. }
        | Call::Screen { .. }
        | Call::Consent { .. } => &[],
    };
    event.identifiers.iter().chain(other)
}
