//! Each message is counted once: the de-duplication window of one fragment.
//!
//! A repeat has the same owner as the first sending, so the window lives with the owner's fragment: it is loaded,
//! changed and committed with it, and costs no look-up of its own. A fragment that sees more than
//! [`SEEN_INLINE_MAX`] messages within the window moves them to pages of their own.

use serde::{Deserialize, Serialize};
use tessera_model::{HashKey, MessageId, Timestamp};

/// Most messages that the fragment's own record remembers.
pub const SEEN_INLINE_MAX: usize = 128;
/// Most messages that one of the 256 pages of a busy fragment remembers; beyond it the oldest are forgotten early.
pub const SEEN_PAGE_MAX: usize = 8192;

const MINUTE_MILLIS: i64 = 60_000;

/// What a message id is remembered by.
#[must_use]
pub fn seen_hash(key: &HashKey, id: &MessageId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key.hash128(&[b"seen", id.as_str().as_bytes()]);
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Messages and the minute each was received, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenPage(Vec<(u32, [u8; 8])>);

impl SeenPage {
    /// Whether the message is remembered.
    #[must_use]
    pub fn contains(&self, hash: u64) -> bool {
        let wanted = hash.to_le_bytes();
        self.0.iter().any(|(_, known)| *known == wanted)
    }

    /// Remembers a message, and forgets those received more than `window_millis` before it.
    pub fn insert(&mut self, hash: u64, received_at: Timestamp, window_millis: i64) {
        let oldest = minute(received_at.plus_millis(-window_millis));
        self.0.retain(|(minute, _)| *minute >= oldest);
        if self.0.len() >= SEEN_PAGE_MAX {
            self.0.remove(0);
        }
        self.0.push((minute(received_at), hash.to_le_bytes()));
    }

    /// How many messages are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The window of one fragment: inline, or spilled to pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Messages not spilled.
    pub inline: SeenPage,
    /// Whether the pages hold the rest.
    pub is_spilled: bool,
}

impl Seen {
    /// The page of a message.
    #[must_use]
    pub fn page_of(hash: u64) -> u8 {
        let [first, ..] = hash.to_le_bytes();
        first
    }

    /// Remembers a message. When the fragment has become busy, returns what moves to the pages.
    pub fn insert(
        &mut self,
        hash: u64,
        received_at: Timestamp,
        window_millis: i64,
    ) -> Vec<(u8, u64, Timestamp)> {
        self.inline.insert(hash, received_at, window_millis);
        if !self.is_spilled && self.inline.len() <= SEEN_INLINE_MAX {
            return Vec::new();
        }
        self.is_spilled = true;
        std::mem::take(&mut self.inline.0)
            .into_iter()
            .map(|(minute, bytes)| {
                let hash = u64::from_le_bytes(bytes);
                (Self::page_of(hash), hash, Timestamp::from_millis(i64::from(minute) * MINUTE_MILLIS))
            })
            .collect()
    }
}

fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_millis().max(0) / MINUTE_MILLIS).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_forgets_what_is_older_than_the_window_and_nothing_else() {
        let mut page = SeenPage::default();
        let at = |minutes: i64| Timestamp::from_millis(minutes * MINUTE_MILLIS);
        page.insert(1, at(0), 10 * MINUTE_MILLIS);
        page.insert(2, at(10), 10 * MINUTE_MILLIS);
        assert!(page.contains(1) && page.contains(2));
        page.insert(3, at(11), 10 * MINUTE_MILLIS);
        assert!(!page.contains(1) && page.contains(2) && page.contains(3));
    }

    #[test]
    fn seen_moves_everything_to_pages_once_the_fragment_is_busy() {
        let mut seen = Seen::default();
        let at = Timestamp::from_millis(0);
        let last = u64::try_from(SEEN_INLINE_MAX).unwrap();
        for hash in 0..last {
            assert!(seen.insert(hash, at, 1).is_empty());
        }
        assert_eq!(seen.insert(last, at, 1).len(), SEEN_INLINE_MAX + 1);
        assert!(seen.is_spilled && seen.inline.is_empty());
        assert_eq!(seen.insert(last + 1, at, 1).len(), 1);
    }
}
