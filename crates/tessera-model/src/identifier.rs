//! A person's addresses, and the ids computed from them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::names::parse_text;
use crate::{IDENTIFIER_BYTES_MAX, Normaliser, hashed};

/// A kind of identifier: `user_id`, `email`, `anonymous_id`. Invariant: 1..=64 of `a-z 0-9 _`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(SmolStr);

/// Why a text is not an identifier, or not a namespace. Holds no personal data: lengths and kinds only.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Nothing left after trimming.
    #[error("the {namespace} is empty")]
    Empty {
        /// Which namespace.
        namespace: String,
    },
    /// Too long.
    #[error("the {namespace} has {bytes} bytes, the limit is {IDENTIFIER_BYTES_MAX}")]
    TooLong {
        /// Which namespace.
        namespace: String,
        /// Its length.
        bytes: usize,
    },
    /// Holds a control character.
    #[error("the {namespace} holds a control character (U+{code:04X})")]
    Control {
        /// Which namespace.
        namespace: String,
        /// The character.
        code: u32,
    },
    /// Not the shape of its namespace.
    #[error("the {namespace} is not {wanted}")]
    Shape {
        /// Which namespace.
        namespace: String,
        /// What it should be: "an e-mail address".
        wanted: &'static str,
    },
    /// Not a namespace.
    #[error("`{text}` is not a namespace: use 1 to 64 of a-z, 0-9 and _")]
    Namespace {
        /// What was given.
        text: String,
    },
    /// No colon.
    #[error("an identifier is written `namespace:value`, for example `email:ada@example.com`")]
    NoColon,
}

impl Namespace {
    /// Reads a namespace.
    ///
    /// # Errors
    /// [`IdentifierError::Namespace`].
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if ok {
            Ok(Self(text.into()))
        } else {
            Err(IdentifierError::Namespace { text: text.chars().take(80).collect() })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Namespace {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_text(deserializer, Self::parse)
    }
}

/// How the value of an identifier stands for the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierForm {
    /// It is the address, in a namespace whose values nobody hashes.
    Exact,
    /// It is the address; its SHA-256 would be the same identifier.
    Clear,
    /// It is the SHA-256 of the address, as 64 lower-case hexadecimal digits.
    Hashed,
}

/// A person's address in one namespace. Invariant: normalised, 1..=255 bytes, no control characters.
///
/// Personal data: `Debug` shows the namespace only and there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier {
    namespace: Namespace,
    form: IdentifierForm,
    value: Box<str>,
}

impl Identifier {
    /// Normalises `value` as its namespace asks, and checks it.
    ///
    /// # Errors
    /// [`IdentifierError`], which never quotes the value.
    pub fn parse(
        namespace: &Namespace,
        normalise: impl Into<Normaliser>,
        value: &str,
    ) -> Result<Self, IdentifierError> {
        let normalise = normalise.into();
        let name = || namespace.as_str().to_owned();
        let value = value.trim();
        if value.is_empty() {
            return Err(IdentifierError::Empty { namespace: name() });
        }
        // Before normalising: lower-casing a huge value would cost its size.
        if value.len() > IDENTIFIER_BYTES_MAX {
            return Err(IdentifierError::TooLong { namespace: name(), bytes: value.len() });
        }
        if let Some(c) = value.chars().find(|c| c.is_control()) {
            return Err(IdentifierError::Control { namespace: name(), code: u32::from(c) });
        }
        if normalise.is_hashable()
            && let Some(hex) = hashed::read(value)
        {
            let (namespace, form) = (namespace.clone(), IdentifierForm::Hashed);
            return Ok(Self { namespace, form, value: hex.into() });
        }
        let value = normalise
            .apply(value)
            .ok_or_else(|| IdentifierError::Shape { namespace: name(), wanted: normalise.wanted() })?;
        if value.len() > IDENTIFIER_BYTES_MAX {
            return Err(IdentifierError::TooLong { namespace: name(), bytes: value.len() });
        }
        let form = if normalise.is_hashable() { IdentifierForm::Clear } else { IdentifierForm::Exact };
        Ok(Self { namespace: namespace.clone(), form, value: value.into() })
    }

    /// An identifier read back from a store, where it was put normalised.
    #[must_use]
    pub fn from_stored(namespace: Namespace, form: IdentifierForm, value: &str) -> Self {
        Self { namespace, form, value: value.into() }
    }

    /// How the value stands for the address.
    #[must_use]
    pub fn form(&self) -> IdentifierForm {
        self.form
    }

    /// Every way in which a text may hold it: its value, and the hashes of that.
    #[must_use]
    pub fn spellings(&self) -> Vec<String> {
        let mut found = match self.form {
            IdentifierForm::Exact | IdentifierForm::Hashed => Vec::new(),
            IdentifierForm::Clear => hashed::spellings(&self.value),
        };
        found.push(self.value.to_string());
        found
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The normalised value: personal data, for the store and for permitted uses only.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:<redacted>", self.namespace)
    }
}

/// The installation's secret that keeps ids from being guessed. 32 bytes, made at the first start.
#[derive(Clone)]
pub struct HashKey([u8; 32]);

impl HashKey {
    /// From 32 random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key for another use, from which this one cannot be found.
    #[must_use]
    pub fn derive(&self, use_: &str) -> [u8; 32] {
        blake3::derive_key(use_, &self.0)
    }

    /// A keyed 128-bit hash of `parts`, each preceded by its length so that no two lists collide.
    #[must_use]
    pub fn hash128(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut out = [0; 16];
        hasher.finalize_xof().fill(&mut out);
        out
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(<secret>)")
    }
}

/// Names the fragment of one owner identifier: a keyed 128-bit hash of (namespace, normalised value), so that
/// anyone with the key computes it without a look-up. Of an e-mail address or a telephone number the SHA-256 of the value
/// takes its place, so that a hash and its clear form are one fragment. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct FragmentId(pub [u8; 16]);

impl FragmentId {
    /// The id of `identifier`'s fragment.
    #[must_use]
    pub fn of(key: &HashKey, identifier: &Identifier) -> Self {
        let namespace = identifier.namespace.as_str().as_bytes();
        let digest = match identifier.form {
            IdentifierForm::Exact => None,
            IdentifierForm::Clear => Some(hashed::digest(&identifier.value)),
            IdentifierForm::Hashed => hashed::bytes(&identifier.value),
        };
        match digest {
            Some(digest) => Self(key.hash128(&[namespace, &digest])),
            None => Self(key.hash128(&[namespace, identifier.value.as_bytes()])),
        }
    }
}

impl fmt::Display for FragmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Written for each row of a query: not by the means of formatting.
        let digit = |nibble: u8| b'0' + nibble + (b'a' - b'9' - 1) * u8::from(nibble > 9);
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for FragmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for FragmentId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        // Read for each owner in the files of a query: not by the means of numbers.
        // Nor by branches, which nobody can foretell: digits are random.
        let digits: &[u8; 32] = text.as_bytes().try_into().map_err(|_| ())?;
        let mut is_id = true;
        let mut digit = |byte: u8| {
            let (number, letter) = (byte.wrapping_sub(b'0'), (byte | 0x20).wrapping_sub(b'a'));
            is_id &= (number < 10) | (letter < 6);
            if number < 10 { number } else { letter.wrapping_add(10) }
        };
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            if let [high, low] = pair {
                *byte = digit(*high) << 4 | digit(*low);
            }
        }
        if is_id { Ok(Self(id)) } else { Err(()) }
    }
}
