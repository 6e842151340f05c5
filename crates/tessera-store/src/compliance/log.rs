//! What every [`Log`](crate::Log) must do.
