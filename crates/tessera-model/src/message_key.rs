//! Message ids as the store keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{MessageId, UndoId};

/// A message id as an undo remembers it: its hash. What a sender put into the id is nowhere but with the event. Shown
/// as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageDigest(UndoId);

/// A message id in the fewest bytes: most are UUIDs, which take 16 instead of 36. Ordered, so that it breaks
/// ties between events of the same time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MessageKey {
    /// A UUID in its usual lower-case form.
    Uuid([u8; 16]),
    /// Anything else.
    Text(Box<str>),
}

impl MessageKey {
    /// Its hash.
    #[must_use]
    pub fn digest(&self) -> MessageDigest {
        let mut digest = [0; 16];
        blake3::Hasher::new().update(self.to_string().as_bytes()).finalize_xof().fill(&mut digest);
        MessageDigest(UndoId(u128::from_be_bytes(digest)))
    }
}

impl From<&MessageId> for MessageKey {
    fn from(id: &MessageId) -> Self {
        let text = id.as_str();
        uuid(text).map_or_else(|| Self::Text(text.into()), Self::Uuid)
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Uuid(bytes) => bytes.iter().enumerate().try_for_each(|(i, byte)| {
                let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
                write!(f, "{dash}{byte:02x}")
            }),
        }
    }
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    if text.len() != 36 {
        return None;
    }
    let (mut out, mut digits) = ([0_u8; 16], 0_usize);
    for (i, byte) in text.bytes().enumerate() {
        let digit = match (i, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        let slot = out.get_mut(digits / 2)?;
        *slot = (*slot << 4) | digit;
        digits += 1;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_keys_print_the_id_they_were_made_from() {
        for text in [
            "0190b4f2-0c1e-7d33-9a5b-1c2d3e4f5a6b",
            "0190B4F2-0c1e-7d33-9a5b-1c2d3e4f5a6b",
            "ajs-next-1700000000000-0190b4f2",
            "0190b4f2-0c1e-7d33-9a5b-1c2d3e4f5a6-",
        ] {
            let key = MessageKey::from(&MessageId::parse(text).unwrap());
            assert_eq!(key.to_string(), text);
        }
        let key = MessageKey::from(&MessageId::parse("0190b4f2-0c1e-7d33-9a5b-1c2d3e4f5a6b").unwrap());
        assert!(matches!(key, MessageKey::Uuid(_)));
    }
}
