//! The signature by which a receiver knows that a request is Tessera's, and fresh.
//!
//! `t=<unix seconds>,v1=<hex>`, where `hex` is HMAC-SHA-256 of the bytes `<unix seconds>.<body>`. The form is the
//! one of Stripe's `Stripe-Signature`; the time is signed too, so that an old request cannot be played back.
//! Reference: RFC 2104; the vectors of RFC 4231.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tessera_model::{DestinationName, Secret, Timestamp};

use crate::{Delivery, Forget};

/// Signs bodies with one secret. No `Debug`: it holds the key.
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    /// A signer with the secret's UTF-8 bytes as key. `None` when the algorithm cannot use them as one.
    pub(super) fn new(secret: &Secret) -> Option<Self> {
        Hmac::new_from_slice(secret.reveal().as_bytes()).ok().map(Self)
    }

    /// The value of `Tessera-Signature` for a request that leaves at `now`.
    pub(super) fn signature(&self, now: Timestamp, body: &[u8]) -> String {
        let seconds = now.as_millis().div_euclid(1000).to_string();
        let mut mac = self.0.clone();
        mac.update(seconds.as_bytes());
        mac.update(b".");
        mac.update(body);
        format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
    }
}

/// The value of `Idempotency-Key`: the same for the same events in the same order, whenever they are sent. A
/// replay by a person has another one, or a receiver that keeps its answers by key would repeat its refusal.
pub(super) fn idempotency_key(destination: &DestinationName, batch: &[&Delivery]) -> String {
    let parts = batch
        .iter()
        .flat_map(|delivery| [delivery.message_id.as_str(), if delivery.replay { "replay" } else { "" }]);
    key([destination.as_str()].into_iter().chain(parts))
}

/// The value of `Idempotency-Key` for a notice: one for each request and what it asks for.
pub(super) fn notice_key(destination: &DestinationName, notice: &Forget) -> String {
    let Forget { request, kind, .. } = notice;
    // Batches of events hash an odd number of parts, this is an even one: no batch has the same.
    key(["notice", kind.as_str(), destination.as_str(), request])
}

/// The same for an alert, as it is told.
pub(super) fn alert_key(destination: &DestinationName, alert: &str) -> String {
    key(["alert", destination.as_str(), "", alert])
}

fn key<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut key = hex(&hash.finalize());
    key.truncate(32);
    key
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a `String` cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let signer = Signer::new(&Secret::new("Jefe")).unwrap();
        let mut mac = signer.0;
        mac.update(b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&mac.finalize().into_bytes()), expected);
    }

    #[test]
    fn signature_covers_time_and_body() {
        let signer = Signer::new(&Secret::new("0123456789abcdef")).unwrap();
        let at = |millis| Timestamp::from_millis(millis);
        let signature = signer.signature(at(1_700_000_000_999), b"{}");
        // From: printf '1700000000.{}' | openssl dgst -sha256 -hmac 0123456789abcdef
        assert_eq!(
            signature,
            "t=1700000000,v1=e4f8e2ecae2295b2ddb2f0b5584c8275e226c0ebe9b3b819e70156bb67122e3e"
        );
        assert_ne!(
            signer.signature(at(1_700_000_001_000), b"{}").split_once("v1="),
            signature.split_once("v1=")
        );
        assert_ne!(signer.signature(at(1_700_000_000_999), b"[]"), signature);
    }
}
