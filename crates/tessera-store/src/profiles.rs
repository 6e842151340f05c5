//! The lake's snapshots of profiles: what was known of everybody on a day.
//!
//! Not a way back: the state is the store's. Invariant: a snapshot is there whole or not at all, and what a rewrite has removed is in
//! no file of any.

use std::fmt;

use tessera_model::{FragmentId, PurposeSet, Timestamp};

use crate::{LakeError, LakeRewritten, Position};

/// A trait as it was.
#[derive(Clone, PartialEq, Eq)]
pub struct ProfileTrait {
    /// Its name.
    pub name: Box<str>,
    /// Its value, as JSON text.
    pub value: Box<str>,
    /// When it was said.
    pub at: Timestamp,
}

/// What one fragment of a profile said for the same purposes; or what was worked out of all of them for one purpose, which is then a
/// row of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct ProfileRow {
    /// How far the state was in the log.
    pub position: u64,
    /// When the snapshot was taken.
    pub taken_at: Timestamp,
    /// The profile that the fragment was in.
    pub profile: FragmentId,
    /// The fragment; of what was worked out, the profile.
    pub fragment: FragmentId,
    /// The purposes that covered it.
    pub purposes: PurposeSet,
    /// When the fragment was seen first.
    pub first_seen_at: Timestamp,
    /// When it was seen last.
    pub last_seen_at: Timestamp,
    /// Whether the person had asked to restrict what is done with their data.
    pub is_restricted: bool,
    /// Its traits, each name once.
    pub traits: Vec<ProfileTrait>,
    /// Of what was worked out: the audiences as whose member the person was announced, and since when.
    pub audiences: Vec<(Box<str>, Timestamp)>,
    /// And the values of computed traits, as JSON texts, by name.
    pub computed_traits: Vec<(Box<str>, Box<str>)>,
    /// And the person's fragments: when one of them has to go, the row goes. Empty: it is what a fragment said.
    pub made_of: Vec<FragmentId>,
}

impl fmt::Debug for ProfileRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileRow").field("position", &self.position).finish_non_exhaustive()
    }
}

impl fmt::Debug for ProfileTrait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileTrait").finish_non_exhaustive()
    }
}

/// What becomes of a row of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProfileFate {
    /// It stays.
    Keep,
    /// It goes.
    Remove,
    /// This takes its place.
    Replace(Box<ProfileRow>),
}

/// Decides on a row when snapshots are rewritten.
pub type ProfileSift<'a> = dyn FnMut(&ProfileRow) -> Result<ProfileFate, LakeError> + 'a;
/// The rows of a snapshot, as they are read from the state.
pub type ProfileRows<'a> = dyn Iterator<Item = Result<ProfileRow, LakeError>> + 'a;

/// Where snapshots of profiles are.
///
/// Taking one and rewriting them exclude each other: who is erased while one is taken is in it no more when the rewrite has ended.
pub trait ProfileLake: Send + Sync + 'static {
    /// Keeps a snapshot that is taken at `at`; it takes the place of that of the same day. Returns its rows.
    ///
    /// # Errors
    /// [`LakeError`], and those of `rows`; then there is no new snapshot.
    fn append_profiles(
        &self,
        at: Timestamp,
        position: Position,
        rows: &mut ProfileRows<'_>,
    ) -> Result<u64, LakeError>;

    /// Asks `sift` about every row of every snapshot. When this returns `Ok`, what was removed or replaced is in no file.
    ///
    /// # Errors
    /// [`LakeError`]; each file is as it was or written anew: call it again.
    fn rewrite_profiles(
        &self,
        sift: &mut ProfileSift<'_>,
        now: Timestamp,
    ) -> Result<LakeRewritten, LakeError>;

    /// Removes the snapshots of the days before that of `first`.
    ///
    /// # Errors
    /// [`LakeError`]; call it again.
    fn forget_profiles(&self, first: Timestamp, now: Timestamp) -> Result<(), LakeError>;

    /// When the newest snapshot was taken.
    fn profiles_taken_at(&self) -> Option<Timestamp>;
}
