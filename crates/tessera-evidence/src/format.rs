//! The bytes of a line, and the texts that are signed.
//!
//! Not I/O: bytes in, values out. Invariant: what parses here is written in exactly one way. Reference:
//! `docs/reference/evidence-format.md`.

use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The newest format that this build reads, and the one it writes.
pub const FORMAT_VERSION: u32 = 1;
/// The longest line in bytes, its line feed not counted.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// A checkpoint is written after so many entries.
pub const CHECKPOINT_ENTRIES: u64 = 1_000;
/// The most entries in one append, and so the most between two checkpoints.
pub const APPEND_ENTRIES_MAX: u64 = 10_000;
/// Name of the format in the header of an export.
pub(crate) const FORMAT_NAME: &str = "tessera evidence";

/// SHA-256 of a line's bytes without its line feed. Written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What stands for the line before the first.
    pub(crate) const NONE: Self = Self([0; 32]);

    /// Of `line`, which has no line feed.
    pub(crate) fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }

    /// Reads 64 lower-case digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        unhex(text.as_bytes()).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of a public key.
#[must_use]
pub fn key_id(public_key: &[u8; 32]) -> String {
    let digits = hex(&Sha256::digest(public_key));
    digits.chars().take(16).collect()
}

/// The public half of the Ed25519 key pair with that secret half. Never `None`: any 32 bytes are a key.
#[must_use]
pub fn public_key_of(secret: &[u8; 32]) -> Option<[u8; 32]> {
    Signer::new(secret).map(|signer| signer.public)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads exactly `2 * N` lower-case digits: a second way to write them would be a change that no hash shows.
pub(crate) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(value(*high)? << 4 | value(*low)?)).collect();
    bytes?.try_into().ok()
}

/// Who signs: an Ed25519 key pair.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    /// The public half.
    pub(crate) public: [u8; 32],
    pub(crate) id: String,
}

impl Signer {
    /// From the 32 secret bytes of RFC 8032, section 5.1.5. Never `None`: any 32 bytes are a key.
    pub(crate) fn new(secret: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(secret).ok()?;
        let public: [u8; 32] = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { pair, public, id: key_id(&public) })
    }

    pub(crate) fn sign(&self, text: &str) -> String {
        hex(self.pair.sign(text.as_bytes()).as_ref())
    }
}

/// Whether `signature`, in hexadecimal digits, is the key's over `text`.
pub(crate) fn is_signed(public_key: &[u8; 32], text: &str, signature: &str) -> bool {
    let Some(signature) = unhex::<64>(signature.as_bytes()) else { return false };
    UnparsedPublicKey::new(&ED25519, public_key).verify(text.as_bytes(), &signature).is_ok()
}

/// What a checkpoint signs: all of its line that is not fixed by this.
pub(crate) fn checkpoint_text(last: u64, hash: &str, at: &str, durable: u64) -> String {
    format!("tessera evidence checkpoint 1\nlast {last}\nhash {hash}\nat {at}\ndurable {durable}\n")
}

/// The members of the checkpoint's own in the line with this envelope, in their order.
pub(crate) fn checkpoint_body(signer: &Signer, envelope: &Envelope<'_>) -> String {
    let Envelope { seq, at, durable, prev } = *envelope;
    let (last, hash) = (seq.saturating_sub(1), prev.to_string());
    let signature = signer.sign(&checkpoint_text(last, &hash, at, durable));
    checkpoint_members(last, &hash, &signer.id, &signature)
}

fn checkpoint_members(last: u64, hash: &str, key: &str, signature: &str) -> String {
    format!(r#""kind":"checkpoint","last":{last},"hash":"{hash}","key":"{key}","signature":"{signature}""#)
}

/// What goes around an entry's own members to make a line.
pub(crate) struct Envelope<'a> {
    pub(crate) seq: u64,
    pub(crate) at: &'a str,
    /// All entries up to this one were on disk when the line was written.
    pub(crate) durable: u64,
    pub(crate) prev: Hash,
}

/// Appends a line and its line feed to `buffer`; returns the line's hash.
pub(crate) fn push_line(buffer: &mut Vec<u8>, envelope: &Envelope<'_>, body: &[u8]) -> Hash {
    let start = buffer.len();
    buffer.extend_from_slice(b"{\"seq\":");
    buffer.extend_from_slice(envelope.seq.to_string().as_bytes());
    buffer.extend_from_slice(b",\"at\":\"");
    buffer.extend_from_slice(envelope.at.as_bytes());
    buffer.extend_from_slice(b"\",");
    buffer.extend_from_slice(body);
    buffer.extend_from_slice(b",\"durable\":");
    buffer.extend_from_slice(envelope.durable.to_string().as_bytes());
    buffer.extend_from_slice(b",\"prev\":\"");
    buffer.extend_from_slice(envelope.prev.to_string().as_bytes());
    buffer.extend_from_slice(b"\"}");
    let hash = Hash::of(buffer.get(start..).unwrap_or_default());
    buffer.push(b'\n');
    hash
}

/// A line taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) seq: u64,
    pub(crate) at: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) durable: u64,
    pub(crate) prev: Hash,
    /// The whole line.
    pub(crate) text: &'a str,
}

impl<'a> Parts<'a> {
    /// Takes `line` apart, which has no line feed, or says why it is none.
    pub(crate) fn parse(line: &'a [u8]) -> Result<Self, &'static str> {
        let parts = Self::split(line)?;
        serde_json::from_str::<serde::de::IgnoredAny>(parts.text).map_err(|_| "it is not JSON")?;
        Ok(parts)
    }

    /// As [`Self::parse`], for a caller who will read the JSON anyway.
    pub(crate) fn split(line: &'a [u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
        let rest = text.strip_prefix("{\"seq\":").ok_or("it does not begin with `{\"seq\":`")?;
        let (seq, rest) = rest.split_once(',').ok_or("`seq` does not end")?;
        let seq = number(seq).ok_or("`seq` is not a number")?;
        let rest = rest.strip_prefix("\"at\":\"").ok_or("`at` does not follow `seq`")?;
        let (at, rest) = rest.split_once('"').ok_or("`at` does not end")?;
        if !is_time(at) {
            return Err("`at` is not a time");
        }
        let rest = rest.strip_prefix(",\"kind\":\"").ok_or("`kind` does not follow `at`")?;
        let (kind, rest) = rest.split_once('"').ok_or("`kind` does not end")?;
        let rest = rest.strip_suffix("\"}").ok_or("it does not end with `prev`")?;
        let (rest, prev) = rest.rsplit_once(",\"prev\":\"").ok_or("it does not end with `prev`")?;
        let prev = Hash::parse(prev).ok_or("`prev` is not 64 lower-case hexadecimal digits")?;
        let (_, durable) = rest.rsplit_once(",\"durable\":").ok_or("`durable` does not precede `prev`")?;
        let durable = number(durable).ok_or("`durable` is not a number")?;
        Ok(Self { seq, at, kind, durable, prev, text })
    }

    /// Whether this is the line of a checkpoint.
    pub(crate) fn is_checkpoint(&self) -> bool {
        self.kind == "checkpoint"
    }

    /// The checkpoint in this line, unless it is written in any but the one way.
    pub(crate) fn checkpoint(&self) -> Option<SignedText<'a>> {
        let signed: SignedText<'a> = serde_json::from_str(self.text).ok()?;
        let mut again = Vec::with_capacity(self.text.len());
        let body = checkpoint_members(signed.last, signed.hash, signed.key, signed.signature);
        let envelope = Envelope { seq: self.seq, at: self.at, durable: self.durable, prev: self.prev };
        push_line(&mut again, &envelope, body.as_bytes());
        (again.strip_suffix(b"\n") == Some(self.text.as_bytes())).then_some(signed)
    }
}

/// What a checkpoint's line says.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct SignedText<'a> {
    pub(crate) last: u64,
    pub(crate) hash: &'a str,
    pub(crate) key: &'a str,
    pub(crate) signature: &'a str,
}

/// A number as Tessera writes it: digits, no sign, no leading zero.
pub(crate) fn number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    canonical.then(|| text.parse().ok()).flatten()
}

/// `2026-11-22T06:35:45.123Z`: always 24 bytes, so that times compare as text.
fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000Z";
    text.len() == FORM.len()
        && text.bytes().zip(FORM).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *form,
        })
}

/// First line of an export.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Header<'a> {
    pub(crate) format: &'a str,
    pub(crate) version: u32,
    pub(crate) public_key: &'a str,
    pub(crate) at: &'a str,
}

impl Header<'_> {
    pub(crate) fn line(&self) -> String {
        let Self { format, version, public_key, at } = self;
        format!(
            r#"{{"kind":"header","format":"{format}","version":{version},"public_key":"{public_key}","at":"{at}"}}"#
        )
    }
}

/// Last line of an export.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Seal<'a> {
    pub(crate) entries: u64,
    pub(crate) first: u64,
    pub(crate) last: u64,
    /// Hash of the last entry's line.
    pub(crate) head: &'a str,
    /// Hash of the header's line.
    pub(crate) header: &'a str,
    pub(crate) at: &'a str,
    pub(crate) key: &'a str,
    pub(crate) signature: &'a str,
}

impl Seal<'_> {
    pub(crate) fn text(&self) -> String {
        let Self { entries, first, last, head, header, at, .. } = self;
        format!(
            "tessera evidence seal 1\nentries {entries}\nfirst {first}\nlast {last}\nhead {head}\nheader {header}\nat {at}\n"
        )
    }

    pub(crate) fn line(&self) -> String {
        let Self { entries, first, last, head, header, at, key, signature } = self;
        format!(
            r#"{{"kind":"seal","entries":{entries},"first":{first},"last":{last},"head":"{head}","header":"{header}","at":"{at}","key":"{key}","signature":"{signature}"}}"#
        )
    }
}
