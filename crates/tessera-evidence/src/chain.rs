//! Whether each line fits the one before it. One set of rules for opening, exporting and verifying.
//!
//! Not I/O, and nothing of the rest of Tessera. Invariant: lines that all fit are one unbroken piece of one
//! ledger, as far as its signatures reach.

use crate::format::{APPEND_ENTRIES_MAX, Hash, Parts, checkpoint_text, is_signed, key_id};

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not in the form of a line.
    #[error("this is not a line of a ledger: {what}")]
    Form {
        /// Which part is wrong.
        what: &'static str,
    },
    /// Longer than a line can be.
    #[error("the line is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// Another entry should stand here.
    #[error(
        "entry {expected} should stand here, not {found}: lines were dropped, inserted, repeated or reordered"
    )]
    Order {
        /// The number that comes next.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// The hash chain is broken.
    #[error("`prev` is not the hash of the line before: that line was changed, or this one was")]
    Prev,
    /// `durable` does not follow from the lines before.
    #[error("`durable` is {found}, which does not follow from the line before: this line was changed")]
    Durable {
        /// The number that is there.
        found: u64,
    },
    /// A folder's first line, and each segment's, is a checkpoint.
    #[error("a checkpoint should stand here: the beginning was cut off")]
    Beginning,
    /// Too many lines without a signature.
    #[error("more than {max} entries follow one another without a checkpoint: checkpoints were removed")]
    Unsigned {
        /// The limit.
        max: u64,
    },
    /// A checkpoint that does not say what it should.
    #[error("the checkpoint is wrong: {what}")]
    Checkpoint {
        /// Which part.
        what: &'static str,
    },
    /// Another key signed.
    #[error("signed with the key {found}, not {expected}")]
    Key {
        /// Id of the key that was given.
        expected: String,
        /// Id of the key that the line names.
        found: String,
    },
    /// The signature does not fit.
    #[error("the signature is not that of the key: what it signs was changed")]
    Signature,
    /// A newer format.
    #[error("the format has version {found}, this build reads up to {supported}")]
    Newer {
        /// Its version.
        found: u32,
        /// The newest that this build reads.
        supported: u32,
    },
    /// The text ends before its seal, or within a line.
    #[error("{what}: the end was cut off")]
    Truncated {
        /// Where it ends.
        what: &'static str,
    },
    /// The seal does not fit what it seals.
    #[error("the seal says another {what} than the lines before it")]
    Seal {
        /// Which of its members.
        what: &'static str,
    },
    /// Something follows the seal.
    #[error("the seal should be the last line")]
    AfterSeal,
    /// A segment's file name is not its first entry.
    #[error("the file is named for entry {expected} and begins with {found}")]
    Name {
        /// The number in the name.
        expected: u64,
        /// The number in its first line.
        found: u64,
    },
}

/// The last line that fitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) hash: Hash,
    pub(crate) durable: u64,
}

/// Follows lines from one to the next.
pub(crate) struct Chain<'a> {
    public_key: &'a [u8; 32],
    key_id: String,
    /// The last line that fitted; `None` before the first.
    pub(crate) link: Option<Link>,
    /// Entries since the last checkpoint, or since the beginning.
    pub(crate) since_checkpoint: u64,
    pub(crate) entries: u64,
    pub(crate) checkpoints: u64,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(public_key: &'a [u8; 32]) -> Self {
        let key_id = key_id(public_key);
        Self { public_key, key_id, link: None, since_checkpoint: 0, entries: 0, checkpoints: 0 }
    }

    /// The key that the signatures are checked with.
    pub(crate) fn public_key(&self) -> &[u8; 32] {
        self.public_key
    }

    /// Takes the next line, without its line feed. A line that does not fit changes nothing.
    pub(crate) fn push<'l>(&mut self, line: &'l [u8]) -> Result<Parts<'l>, Fault> {
        let parts = Parts::parse(line).map_err(|what| Fault::Form { what })?;
        self.follows(&parts)?;
        let since_checkpoint = if parts.is_checkpoint() {
            self.check(&parts)?;
            0
        } else {
            self.since_checkpoint + 1
        };
        if since_checkpoint > APPEND_ENTRIES_MAX {
            return Err(Fault::Unsigned { max: APPEND_ENTRIES_MAX });
        }
        self.since_checkpoint = since_checkpoint;
        self.entries += 1;
        self.checkpoints += u64::from(parts.is_checkpoint());
        self.link = Some(Link { seq: parts.seq, hash: Hash::of(line), durable: parts.durable });
        Ok(parts)
    }

    fn follows(&self, parts: &Parts<'_>) -> Result<(), Fault> {
        let Parts { seq, durable, prev, .. } = *parts;
        let Some(link) = self.link else {
            if seq == 0 {
                return Err(Fault::Order { expected: 1, found: 0 });
            }
            if seq == 1 && prev != Hash::NONE {
                return Err(Fault::Prev);
            }
            return if durable < seq { Ok(()) } else { Err(Fault::Durable { found: durable }) };
        };
        if seq != link.seq + 1 {
            return Err(Fault::Order { expected: link.seq + 1, found: seq });
        }
        if prev != link.hash {
            return Err(Fault::Prev);
        }
        // Lines written together have one `durable`: the last entry before them all.
        if durable != link.durable && durable != link.seq {
            return Err(Fault::Durable { found: durable });
        }
        Ok(())
    }

    fn check(&self, parts: &Parts<'_>) -> Result<(), Fault> {
        let wrong = |what| Fault::Checkpoint { what };
        let signed = parts.checkpoint().ok_or_else(|| wrong("it is not written as a checkpoint is"))?;
        if signed.last + 1 != parts.seq {
            return Err(wrong("`last` is not the entry before"));
        }
        if signed.hash != parts.prev.to_string() {
            return Err(wrong("`hash` is not `prev`"));
        }
        if signed.key != self.key_id {
            return Err(Fault::Key { expected: self.key_id.clone(), found: signed.key.to_owned() });
        }
        let text = checkpoint_text(signed.last, signed.hash, parts.at, parts.durable);
        if is_signed(self.public_key, &text, signed.signature) { Ok(()) } else { Err(Fault::Signature) }
    }
}
