//! What a fragment keeps for audiences: the states of its events, as whose member it was announced, and when its answers
//! have to be asked for again.
//!
//! Not who is a member: that follows from the fragments of a profile together. Invariants: one state for each basis, so
//! that a purpose sees its own events alone; audiences ascend; what is empty is not there. States stay bytes until somebody
//! asks for them, for most events touch none.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tessera_audience::{Compiled, EventView, FragmentState, Touched};
use tessera_model::{AudienceId, Timestamp};

use crate::codec::malformed;
use crate::{Basis, CodecError, Fragment};

/// The fragment was announced as a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Announced {
    /// Of which audience.
    pub audience: AudienceId,
    /// Since when.
    pub since: Timestamp,
}

/// The state of the events of one basis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BasisState {
    pub(crate) basis: u16,
    /// When the latest of these events happened: they stay as long as it does.
    pub(crate) latest_at: Timestamp,
    kept: Kept,
}

/// What a fragment keeps for audiences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Followed {
    pub(crate) states: Vec<BasisState>,
    announced: Vec<Announced>,
    wakes_at: Option<Timestamp>,
}

/// A state, as bytes until somebody asks. Personal data: `Debug` shows none.
#[derive(Clone, Default)]
struct Kept {
    /// Empty when the state has changed since.
    bytes: Box<[u8]>,
    state: OnceLock<FragmentState>,
}

impl Kept {
    fn get(&self) -> Result<&FragmentState, CodecError> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let state = postcard::from_bytes(&self.bytes).map_err(malformed)?;
        Ok(self.state.get_or_init(|| state))
    }

    fn get_mut(&mut self) -> Result<&mut FragmentState, CodecError> {
        self.get()?;
        self.bytes = Box::default();
        self.state.get_mut().ok_or_else(|| malformed("a state is gone"))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, postcard::Error> {
        match self.state.get() {
            Some(state) if self.bytes.is_empty() => postcard::to_stdvec(state),
            Some(_) | None => Ok(self.bytes.to_vec()),
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(..)")
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        match (self.to_bytes(), other.to_bytes()) {
            (Ok(own), Ok(others)) => own == others,
            (Err(_), _) | (_, Err(_)) => false,
        }
    }
}

impl Eq for Kept {}

impl Serialize for Kept {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes().map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        Ok(Self { bytes: bytes.into(), state: OnceLock::new() })
    }
}

impl Followed {
    pub(crate) fn is_empty(&self) -> bool {
        self.states.is_empty() && self.announced.is_empty() && self.wakes_at.is_none()
    }
}

impl Fragment {
    /// Adds an event to the state of its basis. The caller has asked whether it is a repeat, as for [`Fragment::apply`].
    ///
    /// # Errors
    /// [`CodecError`] when what is stored of the state cannot be read.
    pub fn follow(
        &mut self,
        basis: &Basis,
        compiled: &Compiled,
        (event, touched): (&EventView<'_>, &Touched),
    ) -> Result<(), CodecError> {
        self.state_mut(basis, event.at.min(event.received_at), |state| state.add(compiled, event, touched))
    }

    /// Adds to the state of a basis what other events come to.
    ///
    /// # Errors
    /// As [`Fragment::follow`].
    pub fn fill(
        &mut self,
        basis: &Basis,
        compiled: &Compiled,
        other: &FragmentState,
    ) -> Result<(), CodecError> {
        let Some(latest_at) = other.latest_at() else { return Ok(()) };
        self.state_mut(basis, latest_at, |state| state.merge(compiled, other))
    }

    fn state_mut(
        &mut self,
        basis: &Basis,
        at: Timestamp,
        change: impl FnOnce(&mut FragmentState),
    ) -> Result<(), CodecError> {
        let basis = self.basis(basis);
        let followed = self.followed.get_or_insert_default();
        let place = followed.states.partition_point(|known| known.basis < basis);
        if followed.states.get(place).is_none_or(|known| known.basis != basis) {
            let kept = Kept { bytes: Box::default(), state: FragmentState::default().into() };
            followed.states.insert(place, BasisState { basis, latest_at: at, kept });
        }
        if let Some(known) = followed.states.get_mut(place) {
            change(known.kept.get_mut()?);
            known.latest_at = known.latest_at.max(at);
        }
        self.drop_empty_states()
    }

    /// Forgets what no definition asks for any more. Returns whether there was anything.
    ///
    /// # Errors
    /// As [`Fragment::follow`].
    pub fn forget_unasked(&mut self, compiled: &Compiled) -> Result<bool, CodecError> {
        let Some(followed) = &mut self.followed else { return Ok(false) };
        let is_unasked =
            |state: &FragmentState| state.features().any(|feature| compiled.concerned_by(feature).is_empty());
        let mut is_changed = false;
        for known in &mut followed.states {
            if is_unasked(known.kept.get()?) {
                known.kept.get_mut()?.forget_unasked(compiled);
                is_changed = true;
            }
        }
        if is_changed {
            self.drop_empty_states()?;
        }
        Ok(is_changed)
    }

    fn drop_empty_states(&mut self) -> Result<(), CodecError> {
        let Some(followed) = &mut self.followed else { return Ok(()) };
        let mut empty = Vec::new();
        for known in &followed.states {
            // What is still bytes was not empty when it was written.
            if known.kept.bytes.is_empty() && known.kept.get()?.is_empty() {
                empty.push(known.basis);
            }
        }
        followed.states.retain(|known| !empty.contains(&known.basis));
        self.tidy_followed();
        Ok(())
    }

    /// The states of its events, each with its basis and the time of its latest event.
    pub fn states(&self) -> impl Iterator<Item = (&Basis, Timestamp, Result<&FragmentState, CodecError>)> {
        let states = self.followed.iter().flat_map(|followed| &followed.states);
        states.filter_map(|known| Some((self.basis_of(known.basis)?, known.latest_at, known.kept.get())))
    }

    /// The audiences as whose member it was announced.
    #[must_use]
    pub fn announced(&self) -> &[Announced] {
        self.followed.as_ref().map(|followed| followed.announced.as_slice()).unwrap_or_default()
    }

    /// It is announced as a member of an audience.
    pub fn announce(&mut self, audience: AudienceId, since: Timestamp) {
        let announced = &mut self.followed.get_or_insert_default().announced;
        if let Err(place) = announced.binary_search_by_key(&audience, |known| known.audience) {
            announced.insert(place, Announced { audience, since });
        }
    }

    /// It is announced as a member no more. Returns since when it was.
    pub fn retract(&mut self, audience: AudienceId) -> Option<Timestamp> {
        let announced = &mut self.followed.as_mut()?.announced;
        let place = announced.binary_search_by_key(&audience, |known| known.audience).ok()?;
        let since = announced.remove(place).since;
        self.tidy_followed();
        Some(since)
    }

    /// When the answers of its profile have to be asked for again.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.followed.as_ref()?.wakes_at
    }

    /// Sets when that is.
    pub fn wake_at(&mut self, at: Option<Timestamp>) {
        if at != self.wakes_at() {
            self.followed.get_or_insert_default().wakes_at = at;
            self.tidy_followed();
        }
    }

    /// Whoever is erased is no member of anything, and nobody asks for them.
    pub fn forget_announcements(&mut self) {
        if let Some(followed) = &mut self.followed {
            (followed.announced, followed.wakes_at) = (Vec::new(), None);
            self.tidy_followed();
        }
    }

    pub(crate) fn tidy_followed(&mut self) {
        if self.followed.as_ref().is_some_and(|followed| followed.is_empty()) {
            self.followed = None;
        }
    }
}
