//! [`MemoryLog`]: the log in plain memory.

/// A log that lives as long as its value.
#[derive(Debug, Default)]
pub struct MemoryLog {}
