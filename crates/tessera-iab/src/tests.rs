//! Known strings, strings of our own encoder, and hostile ones.

mod encoder;
mod hostile;
mod round_trip;
mod vectors_gpp;
mod vectors_tcf;
