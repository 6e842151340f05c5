//! SQL over the lake and the state, for a purpose.
//!
//! Not a way around the gate: the tables yield only what the purpose permits and the reader may see, before any operator of
//! the engine runs. So no join, alias, filter, plan, statistic or error can tell more. Invariant: nothing of the engine
//! reads files, store or settings by itself.

mod comparison;
mod engine;
mod error;
mod events;
mod funnel;
mod mask;
mod numbered;
mod output;
mod owners;
mod people;
mod register;
mod stop;
mod tables;
mod utc;

pub(crate) use events::external;
pub(crate) use mask::{Masks, Parts};
pub(crate) use owners::{Owners, Sights};
pub(crate) use people::{Live, People};
pub(crate) use register::{Number, Register};

pub use engine::{Answer, Asked, AskedOfEverybody, Engine, QueryLimits, SQL_BYTES_MAX};
pub use error::QueryFailure;
pub use output::Format;
pub use people::Seen;
