//! Message ids that are the same whenever the same row is imported.
//!
//! The id is a hash of the source, of the event that the mapping made of the row, and of how many equal events came
//! before it in the file. So a row keeps its id in a file exported anew with other line numbers, other columns or
//! another format, and a repeat is dropped by the server.

use std::collections::{HashMap, HashSet};

/// Gives each event of a file its message id.
pub(crate) struct MessageIds {
    source: blake3::Hasher,
    seen: HashSet<u64>,
    repeats: HashMap<u64, u32>,
}

impl MessageIds {
    /// Ids of events of one file under `source`. Memory: about 16 bytes a row.
    pub(crate) fn new(source: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tessera import: message id of a row, version 1");
        hasher.update(source.as_bytes());
        hasher.update(&[0]);
        Self { source: hasher, seen: HashSet::new(), repeats: HashMap::new() }
    }

    /// The id of the next event: `import-` and 32 hexadecimal digits.
    pub(crate) fn next(&mut self, event: &[u8]) -> String {
        let mut hasher = self.source.clone();
        hasher.update(event);
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        let short = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let mut occurrence = 0;
        if !self.seen.insert(short) {
            let count = self.repeats.entry(short).or_insert(0);
            *count += 1;
            occurrence = *count;
        }
        hasher.update(&occurrence.to_le_bytes());
        let hash = hasher.finalize().to_hex();
        format!("import-{}", hash.get(..32).unwrap_or_default())
    }
}
