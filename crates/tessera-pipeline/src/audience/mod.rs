//! Audiences: who is a member, as the log goes on.
//!
//! What fragments keep of their events, and as whose member they were announced, is part of them. After each record the
//! people that it changed are asked for the definitions that it concerns; who has become a member is announced by
//! `Audience Entered`, who is one no more by `Audience Exited`, in the commit that the record is part of. Time is a record,
//! too: `Tick`. Invariant: the members are what the definitions say of the people at the log's time, once nothing is due.

mod accounts;
mod asking;
mod catalogue;
mod computed;
mod following;
mod message;
mod person;
mod read;
mod sizes;
mod tick;
mod ticker;
mod timers;
mod told;

pub(crate) use accounts::{Belonging, changed_accounts};
pub(crate) use asking::Asking;
pub(crate) use catalogue::catalogue_key;
pub use catalogue::{Catalogue, FILL_PARTS, Filling, Walk, load_catalogue};
pub(crate) use computed::{ComputedValues, Computing};
pub(crate) use following::{Began, Following};
pub(crate) use message::{Membership, message_id};
pub(crate) use read::memberships;
pub use read::{Standing, memberships_of, standing_of};
pub(crate) use sizes::Sizes;
pub use sizes::audience_size;
pub(crate) use tick::{Turning, turn};
pub use ticker::{Ticker, TickerHandle};
pub(crate) use timers::Timers;
pub use timers::next_due;
pub(crate) use told::{Telling, ToldMember, told_of};
