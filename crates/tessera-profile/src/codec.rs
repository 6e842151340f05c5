//! How clusters are stored: a version byte, a kind byte, postcard.

use tessera_model::{FragmentId, Timestamp};

use crate::{Cluster, SeenPage};

const VERSION: u8 = 6;

/// What the store holds under a fragment's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// The cluster itself.
    Cluster(Box<Cluster>),
    /// The fragment is in the cluster that is stored under this id.
    Pointer(FragmentId),
    /// The fragment was erased then, and what comes of it is not kept.
    Tombstone(Timestamp),
}

/// Why stored bytes are not a row.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer Tessera.
    #[error("stored record has version {found}, this build reads {VERSION}")]
    Newer {
        /// Its version.
        found: u8,
    },
    /// Written by an older Tessera.
    #[error(
        "stored record has version {found}, this build reads {VERSION}: `tessera rebuild` makes the store anew"
    )]
    Older {
        /// Its version.
        found: u8,
    },
    /// Not what this module writes.
    #[error("stored record cannot be read: {what}")]
    Malformed {
        /// What is wrong.
        what: String,
    },
}

pub(crate) fn malformed(error: impl std::fmt::Display) -> CodecError {
    CodecError::Malformed { what: error.to_string() }
}

impl Row {
    /// The row's bytes. `buffer` is emptied and reused.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] when the encoder refuses.
    pub fn encode(&self, buffer: Vec<u8>) -> Result<Vec<u8>, CodecError> {
        match self {
            Self::Cluster(cluster) => encode(b'C', cluster.as_ref(), buffer),
            Self::Pointer(id) => encode(b'P', id, buffer),
            Self::Tombstone(at) => encode(b'T', at, buffer),
        }
    }

    /// Reads a row back.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let (kind, body) = open(bytes)?;
        match kind {
            b'C' => Ok(Self::Cluster(Box::new(postcard::from_bytes(body).map_err(malformed)?))),
            b'P' => Ok(Self::Pointer(postcard::from_bytes(body).map_err(malformed)?)),
            b'T' => Ok(Self::Tombstone(postcard::from_bytes(body).map_err(malformed)?)),
            other => Err(malformed(format!("its kind is {other:#04x}"))),
        }
    }
}

impl SeenPage {
    /// The page's bytes. `buffer` is emptied and reused.
    ///
    /// # Errors
    /// [`CodecError::Malformed`] when the encoder refuses.
    pub fn encode(&self, buffer: Vec<u8>) -> Result<Vec<u8>, CodecError> {
        encode(b'S', self, buffer)
    }

    /// Reads a page back.
    ///
    /// # Errors
    /// [`CodecError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match open(bytes)? {
            (b'S', body) => postcard::from_bytes(body).map_err(malformed),
            (other, _) => Err(malformed(format!("its kind is {other:#04x}"))),
        }
    }
}

fn encode<T: serde::Serialize>(kind: u8, value: &T, mut buffer: Vec<u8>) -> Result<Vec<u8>, CodecError> {
    buffer.clear();
    buffer.extend([VERSION, kind]);
    postcard::to_extend(value, buffer).map_err(malformed)
}

fn open(bytes: &[u8]) -> Result<(u8, &[u8]), CodecError> {
    match bytes {
        [VERSION, kind, body @ ..] => Ok((*kind, body)),
        [found, _, ..] if *found < VERSION => Err(CodecError::Older { found: *found }),
        [found, _, ..] => Err(CodecError::Newer { found: *found }),
        [] | [_] => Err(malformed("it ends too early")),
    }
}
