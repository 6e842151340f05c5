//! The black-box suite: the real binary, over real connections and files.

mod bad_input;
mod clients;
mod delivery;
mod durability;
mod guide;
mod server;
mod spine;
