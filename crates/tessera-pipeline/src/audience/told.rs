//! As whose members each destination was told that people are, so that it can be told when they are no more.
//!
//! Not who is a member: fragments say that. Written as deliveries are acknowledged and read when no event about somebody may leave
//! any more. Invariant: holds no identifier in clear - a fragment, and the profile id that the destination was given.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tessera_model::{AudienceId, AudienceName, DestinationName, FragmentId};
use tessera_store::{Change, Key, Store, Table, Value};

use super::message::Membership;
use crate::PipelineError;
use crate::outbox::prefix;
use crate::view::key_of;

const PAGE_ROWS: usize = 64;
/// Of a key, what stands for destination and audience.
const SHORT_BYTES: usize = 6;

/// As whose member a destination was told that somebody is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ToldMember {
    destination: [u8; 8],
    pub(crate) audience: (AudienceId, AudienceName),
    /// As the destination knows the person.
    pub(crate) profile: FragmentId,
}

/// Changes of what destinations were told.
pub(crate) struct Telling<'a, S> {
    store: &'a S,
    destination: &'a DestinationName,
    rows: BTreeMap<Key, Change>,
}

impl<'a, S: Store> Telling<'a, S> {
    pub(crate) const fn new(store: &'a S, destination: &'a DestinationName) -> Self {
        Self { store, destination, rows: BTreeMap::new() }
    }

    /// The destination was told this of the member that `owner` was announced as.
    pub(crate) fn tell(
        &mut self,
        owner: FragmentId,
        membership: &Membership,
        profile: FragmentId,
    ) -> Result<(), PipelineError> {
        let audience = membership.audience.clone();
        let key = key(self.destination, owner, audience.0);
        let before = match self.rows.remove(&key) {
            Some(change) => change.before,
            None => self.store.load(&[key])?.into_iter().next().flatten(),
        };
        let told = ToldMember { destination: prefix(self.destination), audience, profile };
        let after = membership.is_member.then(|| told.encode()).transpose()?;
        self.rows.insert(key, Change { key, before, after });
        Ok(())
    }

    pub(crate) fn into_rows(self) -> impl Iterator<Item = Change> {
        self.rows.into_values().filter(|change| change.before != change.after)
    }
}

impl ToldMember {
    fn encode(&self) -> Result<Value, PipelineError> {
        let bytes = postcard::to_stdvec(self)
            .map_err(|e| PipelineError::Stored { what: "told member", why: e.to_string() })?;
        Ok(bytes.into())
    }

    fn decode(bytes: &[u8]) -> Result<Self, PipelineError> {
        postcard::from_bytes(bytes)
            .map_err(|e| PipelineError::Stored { what: "told member", why: e.to_string() })
    }
}

/// As whose member the destination was told that a fragment's person is, with the rows that say so.
pub(crate) fn told_of(
    store: &impl Store,
    destination: &DestinationName,
    owner: FragmentId,
) -> Result<Vec<(Key, Value, ToldMember)>, PipelineError> {
    let (mut told, destination) = (Vec::new(), prefix(destination));
    let mut after = owner.0.to_vec();
    loop {
        let page = store.scan(Table::Told, Some(&after), PAGE_ROWS)?;
        let rows = page.len();
        for (key, value) in page {
            if !key.id().starts_with(&owner.0) {
                return Ok(told);
            }
            after = key.id().to_vec();
            let row = ToldMember::decode(&value)?;
            if row.destination == destination {
                told.push((key, value, row));
            }
        }
        if rows < PAGE_ROWS {
            return Ok(told);
        }
    }
}

fn key(destination: &DestinationName, owner: FragmentId, audience: AudienceId) -> Key {
    let mut short = [0; SHORT_BYTES];
    blake3::Hasher::new().update(&prefix(destination)).update(&audience.0).finalize_xof().fill(&mut short);
    key_of(Table::Told, &[owner.0.as_slice(), &short].concat())
}
