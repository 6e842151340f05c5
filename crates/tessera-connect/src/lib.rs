//! Takes what the gate let through to the systems a business uses: one connector per kind of system.
//!
//! Not the queue: the pipeline keeps what is still to be sent, decides again whether it may be, waits between
//! tries ([`backoff`]) and keeps dead letters. Invariants: a destination is given [`tessera_policy::Permitted`]
//! deliveries, and notices that hold nothing new to it, and nothing else; sending a batch twice is safe; a reason never holds personal data. Every
//! connector is a folder in `destinations` and one line of [`CONNECTORS`].

pub mod backoff;
mod callback;
mod connector;
mod delivery;
mod destinations;
mod event_json;
mod exit;
#[cfg(test)]
mod fixture;
pub mod kit;
mod settings;

pub use callback::call_back;
pub use connector::{ConfigError, Connector, Context, Open, connector};
pub use delivery::{Delivery, Destination, Forget, ForgetKind, Names, Outcome};
pub use destinations::CONNECTORS;
pub use exit::{ENTERED, EXITED, Exit, audience_event};
