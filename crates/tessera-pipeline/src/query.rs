//! Reading profiles: the only way from stored rows to something that may leave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tessera_model::{
    FragmentId, HashKey, Identifier, Purpose, PurposeName, Record, Rules, Timestamp, is_erased, wire,
};
use tessera_policy::{Denial, Grant, Permitted};
use tessera_profile::{
    Asked, Cluster, ConsentView, Folded, Grouping, Profile, Reader, Recent, Row, Subject, View, consents,
    disclose, fold, is_served,
};
use tessera_store::{Key, Log, Position, Store, Table, Value};

use crate::PipelineError;
use crate::audience::{ComputedValues, Computing};
use crate::view::cluster_key;

/// Who asks, for what, and which parts.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// The workspace in force.
    pub rules: &'a Rules,
    /// For this purpose alone; `None`: for any that is permitted.
    pub purpose: Option<&'a PurposeName>,
    /// Which parts.
    pub view: View,
    /// The moment of the decision.
    pub now: Timestamp,
}

/// Why there is no profile to show.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// Nobody has that identifier.
    #[error("no profile has that identifier")]
    NotFound,
    /// No purpose permits to show it. What was said about purposes is shown all the same, as proof.
    #[error("no purpose permits to show that profile: {denial:?}")]
    Denied {
        /// Why.
        denial: Denial,
        /// The profile's id.
        id: String,
        /// What was said.
        consents: BTreeMap<PurposeName, ConsentView>,
    },
    /// The store or the log failed.
    #[error(transparent)]
    Failed(#[from] PipelineError),
}

impl From<tessera_store::StoreError> for QueryError {
    fn from(error: tessera_store::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// Some profiles, and where to go on.
#[derive(Debug)]
pub struct ProfilePage {
    /// The profiles that may be shown.
    pub profiles: Vec<Permitted<Profile>>,
    /// Pass as `after` for the next page; `None` at the end.
    pub next: Option<String>,
}

impl<'a> Query<'a> {
    /// The profile of an identifier.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn by_identifier(
        &self,
        store: &impl Store,
        key: &HashKey,
        identifier: &Identifier,
    ) -> Result<Permitted<Profile>, QueryError> {
        self.by_id(store, FragmentId::of(key, identifier))
    }

    /// The profile that a fragment is in; an id that a merge has retired finds the profile that there is now.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn by_id(&self, store: &impl Store, id: FragmentId) -> Result<Permitted<Profile>, QueryError> {
        Reading { query: self, reader: None, key: None }.by_id(store, id)
    }

    /// Up to `limit` profiles after `after`, in the order of the store, that `filter` holds for.
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn list(
        &self,
        store: &impl Store,
        after: Option<&str>,
        limit: usize,
        filter: impl Fn(&Profile) -> bool,
    ) -> Result<ProfilePage, PipelineError> {
        Reading { query: self, reader: None, key: None }.list(store, after, limit, filter)
    }

    /// The same, for somebody who does not see everything: only purposes and fields of theirs.
    #[must_use]
    pub const fn seen_by<'q>(&'q self, reader: Reader<'q>) -> Reading<'q, 'a> {
        Reading { query: self, reader: Some(reader), key: None }
    }
}

/// A query on behalf of somebody.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'q, 'a> {
    query: &'q Query<'a>,
    reader: Option<Reader<'q>>,
    /// Needed to tell groups; `None`: they are not asked for.
    key: Option<&'q HashKey>,
}

impl<'q> Reading<'q, '_> {
    /// With the groups that people belong to.
    #[must_use]
    pub const fn with_groups(mut self, key: &'q HashKey) -> Self {
        self.key = Some(key);
        self
    }

    fn grouping(&self) -> Option<Grouping<'_>> {
        let Rules { groups, survivorship, .. } = self.query.rules;
        self.key.map(|key| Grouping { types: groups, survivorship, key })
    }

    /// As [`Query::by_id`].
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn by_id(&self, store: &impl Store, id: FragmentId) -> Result<Permitted<Profile>, QueryError> {
        let (cluster, node) = load_cluster(store, id)?.ok_or(QueryError::NotFound)?;
        let computing = Computing::of(store, self.query.rules)?;
        self.show_with(&cluster, node, (store, computing.as_ref()))
    }

    /// As [`Query::list`].
    ///
    /// # Errors
    /// [`PipelineError`].
    pub fn list(
        &self,
        store: &impl Store,
        after: Option<&str>,
        limit: usize,
        filter: impl Fn(&Profile) -> bool,
    ) -> Result<ProfilePage, PipelineError> {
        let mut page = ProfilePage { profiles: Vec::new(), next: None };
        // A page ends after a whole cluster, so the cursor is a cluster's id.
        let mut at = after.and_then(|text| text.parse::<FragmentId>().ok());
        let computing = Computing::of(store, self.query.rules)?;
        loop {
            let rows = store.scan(Table::Cluster, at.as_ref().map(|id| id.0.as_slice()), 256)?;
            let Some((last, _)) = rows.last() else { return Ok(page) };
            at = id_of(last);
            for (key, value) in &rows {
                let Row::Cluster(cluster) = Row::decode(value)? else { continue };
                for nodes in cluster.graph().components() {
                    let Some(node) = nodes.first() else { continue };
                    if let Ok(profile) = self.show_with(&cluster, *node, (store, computing.as_ref()))
                        && filter(profile.get())
                    {
                        page.profiles.push(profile);
                    }
                }
                if page.profiles.len() >= limit {
                    page.next = id_of(key).map(|id| id.to_string());
                    return Ok(page);
                }
            }
        }
    }

    /// A profile with its computed traits.
    fn show_with(
        &self,
        cluster: &Cluster,
        node: usize,
        (store, computing): (&impl Store, Option<&Computing>),
    ) -> Result<Permitted<Profile>, QueryError> {
        let Query { rules, now, .. } = *self.query;
        let computed =
            computing.map(|known| known.values((cluster, node), (store, rules, now))).transpose()?;
        self.disclose(cluster, node, &computed.unwrap_or_default())
    }

    /// A profile without computed traits.
    pub(crate) fn show(&self, cluster: &Cluster, node: usize) -> Result<Permitted<Profile>, QueryError> {
        self.disclose(cluster, node, &ComputedValues::new())
    }

    fn disclose(
        &self,
        cluster: &Cluster,
        node: usize,
        computed: &ComputedValues,
    ) -> Result<Permitted<Profile>, QueryError> {
        let folded = fold(cluster, node, &self.query.rules.survivorship).ok_or(QueryError::NotFound)?;
        let purposes = &self.query.rules.purposes;
        let grant = self.grant(cluster, &folded);
        let named = match self.query.view.merges {
            true => self.strangers(cluster, &folded),
            false => BTreeSet::new(),
        };
        let subject = Subject { cluster, folded: &folded, purposes };
        let asked = Asked {
            view: self.query.view,
            reader: self.reader,
            named: &named,
            groups: self.grouping(),
            computed,
        };
        disclose(subject, &grant, asked).map_err(|denial| {
            let mut consents = consents(&folded, purposes);
            consents.retain(|purpose, _| self.may_use(purpose));
            QueryError::Denied { denial, id: folded.id.to_string(), consents }
        })
    }

    /// The nodes of other people in the cluster who may be shown too: a refused or cut link leads to them.
    fn strangers(&self, cluster: &Cluster, of: &Folded<'_>) -> BTreeSet<usize> {
        let mut named = BTreeSet::new();
        for nodes in cluster.graph().components() {
            // Of the person's own identifiers the first may be one that no event has named.
            let is_own = nodes.iter().any(|node| of.nodes.contains(node));
            let Some(node) = nodes.first().filter(|_| !is_own) else { continue };
            let Some(folded) = fold(cluster, *node, &self.query.rules.survivorship) else { continue };
            let grant = self.grant(cluster, &folded);
            if !grant.permits().is_empty() && is_served(cluster, &folded, &grant) {
                named.extend(nodes);
            }
        }
        named
    }

    fn may_use(&self, purpose: &PurposeName) -> bool {
        self.reader.and_then(|reader| reader.purposes).is_none_or(|granted| granted.contains(purpose))
    }

    fn grant(&self, cluster: &Cluster, folded: &Folded<'_>) -> Grant {
        let Query { rules, purpose, now, .. } = *self.query;
        let node = folded.nodes.first().copied().unwrap_or_default();
        let fragments = cluster.component(node).map(|(_, fragment)| &fragment.consents);
        let may_use = |known: &&Arc<Purpose>| self.may_use(&known.document.name);
        match purpose {
            Some(purpose) => {
                Grant::decide(rules.purposes.get(purpose).into_iter().filter(may_use), fragments, now)
            }
            None => Grant::decide(rules.purposes.iter().filter(may_use), fragments, now),
        }
    }
}

fn id_of(key: &Key) -> Option<FragmentId> {
    Some(FragmentId(key.id().try_into().ok()?))
}

/// The cluster and node of a fragment, following pointers.
pub(crate) fn load_cluster(
    store: &impl Store,
    id: FragmentId,
) -> Result<Option<(Box<Cluster>, usize)>, PipelineError> {
    Ok(load_standing(store, id)?.map(|(_, cluster, node)| (cluster, node)))
}

/// The same, with the row that it is read from.
pub(crate) fn load_standing(
    store: &impl Store,
    id: FragmentId,
) -> Result<Option<(Value, Box<Cluster>, usize)>, PipelineError> {
    let mut at = id;
    for _ in 0..64 {
        let Some(bytes) = store.load(&[cluster_key(at)])?.into_iter().next().flatten() else {
            return Ok(None);
        };
        match Row::decode(&bytes)? {
            Row::Pointer(target) => at = target,
            Row::Tombstone(_) => return Ok(None),
            Row::Cluster(cluster) => {
                return Ok(cluster.find(id).map(|node| (bytes, cluster, node)));
            }
        }
    }
    Ok(None)
}

/// The events at these places, latest first, as they came, each with where it stood; one that retention has
/// removed from the log is left out.
///
/// # Errors
/// [`PipelineError`].
pub fn read_events(
    log: &impl Log,
    places: &[Recent],
) -> Result<Vec<(Recent, Record, Box<RawValue>)>, PipelineError> {
    let mut found = Vec::with_capacity(places.len());
    for place in places {
        let entries = match log.read(Position(place.position), 1) {
            Ok(entries) => entries,
            Err(tessera_store::LogError::Discarded { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(entry) = entries.first() else { continue };
        let record = Record::decode(&Bytes::copy_from_slice(&entry.record))
            .map_err(|source| PipelineError::Record { position: entry.position, source })?;
        if let Some(event) = event_at(&record, place.index) {
            found.push((*place, record, event));
        }
    }
    Ok(found)
}

pub(crate) fn event_at(record: &Record, index: u32) -> Option<Box<RawValue>> {
    let Record::Ingest { body, entrance, .. } = record else { return None };
    let text = String::from_utf8_lossy(body);
    if is_erased(&text) {
        return None;
    }
    if entrance.call().is_some() {
        return serde_json::from_str(&text).ok();
    }
    let batch: wire::Batch<'_> = serde_json::from_str(&text).ok()?;
    let raw = batch.batch.get(usize::try_from(index).ok()?)?;
    (!is_erased(raw.get())).then(|| (*raw).to_owned())
}
