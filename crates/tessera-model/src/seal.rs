//! Secrets at rest: bytes that only this installation can read.
//!
//! XChaCha20-Poly1305 with a nonce made from the text itself (a keyed hash), so that sealing is a pure function and
//! replays agree; equal texts give equal seals, which tells nothing but that they are equal.

use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use crate::HashKey;

const NONCE_BYTES: usize = 24;

/// Seals and opens. Derived from the installation's key.
#[derive(Clone)]
pub struct SealKey {
    cipher: [u8; 32],
    nonce: [u8; 32],
}

impl SealKey {
    /// The installation's own.
    #[must_use]
    pub fn of(key: &HashKey) -> Self {
        Self { cipher: key.derive("tessera seal cipher 1"), nonce: key.derive("tessera seal nonce 1") }
    }

    /// Seals a text. `None` only for texts of hundreds of gigabytes.
    #[must_use]
    pub fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        blake3::Hasher::new_keyed(&self.nonce).update(text).finalize_xof().fill(&mut nonce);
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), text).ok()?;
        Some([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`SealKey::seal`] made. `None`: another key, or changed bytes.
    #[must_use]
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.cipher().decrypt(&XNonce::from(*nonce), sealed).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.cipher))
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<seal key>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_key_only_and_never_changed() {
        let (ours, theirs) = (SealKey::of(&HashKey::new([1; 32])), SealKey::of(&HashKey::new([2; 32])));
        let sealed = ours.seal(b"write key").unwrap();
        assert_eq!(ours.open(&sealed).as_deref(), Some(&b"write key"[..]));
        assert_eq!(theirs.open(&sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(ours.open(&changed), None, "byte {at}");
        }
        assert_eq!(ours.seal(b"write key").unwrap(), sealed, "sealing is a function of the text");
    }
}
