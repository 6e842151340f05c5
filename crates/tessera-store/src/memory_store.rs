//! [`MemoryStore`]: the store in plain memory.

/// A store that lives as long as its value.
#[derive(Debug, Default)]
pub struct MemoryStore {}
