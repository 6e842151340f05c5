//! Fragments and their fold: a profile is what the fragments of one component say together. Pure.
//!
//! Not a store and not the gate: what may join or be seen is decided in `tessera-policy`. Invariants: applying
//! events to a fragment does not depend on their order or repetition; folding fragments does not depend on their
//! order; merging re-points and never rewrites, so a split gives back what there was.

mod cluster;
mod codec;
mod fold;
mod followed;
mod fragment;
mod group;
mod held;
mod seen;
mod survivor;
mod traits;
mod view;

pub use cluster::{Cluster, ProfileId};
pub use codec::{CodecError, Row};
pub use fold::{Folded, fold, last_words};
pub use followed::Announced;
pub use fragment::{Basis, EventCount, Fragment, Membership, Place, RECENT_MAX, Recent};
pub use group::{Belonging, GroupView, Grouping};
pub use held::{Held, HeldKind};
pub use seen::{SEEN_INLINE_MAX, SEEN_PAGE_MAX, Seen, SeenPage, seen_hash};
pub use survivor::{Standing, Survivor, Word, survivor};
pub use traits::{Assertion, TraitEntry, Traits, WORDS_MAX};
pub use view::{
    AccountView, Alternative, Asked, ConsentView, EdgeView, EventCountView, EvidenceView, IdentifierView,
    Profile, Provenance, Reader, Shown, Subject, SubscriptionView, View, consents, disclose, is_served,
    subscriptions,
};
