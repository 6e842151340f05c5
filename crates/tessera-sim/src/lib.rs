//! Trying Tessera hard: load on a real server, crashes of a real process, and (from a seed) whole simulated days.
//!
//! Not part of the product: nothing here is linked into `tessera`.

pub mod fuzz;
pub mod law;
pub mod load;
pub mod sim;
