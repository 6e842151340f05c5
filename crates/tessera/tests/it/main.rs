//! The black-box suite: the real binary, over real connections and files.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod audiences;
mod bad_input;
mod clients;
mod contracts;
mod delivery;
mod doors;
mod doors_list;
mod durability;
mod evidence;
mod guide;
mod lake;
mod mail_servers;
mod matching;
mod privacy;
mod server;
mod simulate;
mod spine;
