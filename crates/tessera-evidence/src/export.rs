//! Writes a piece of the ledger so that a stranger can check that it is whole.
//!
//! Not a copy of files: every line is checked as it is written, since a seal vouches for it. Invariant: what is
//! sealed verifies.

use std::io::{self, Write};
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;

use memchr::memchr_iter;

use crate::chain::{Chain, Fault};
use crate::error::EvidenceError;
use crate::folder::file_name;
use crate::format::{FORMAT_NAME, FORMAT_VERSION, Hash, Header, Parts, Seal, hex};
use crate::ledger::{Head, Ledger};
use crate::read::blocks;

/// What was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Number of lines, header and seal not counted.
    pub entries: u64,
    /// Number of the first.
    pub first: u64,
    /// The last.
    pub head: Head,
}

impl Ledger {
    /// Writes the durable lines with the numbers `seqs` (`1..=u64::MAX`: all) between a header and a signed seal. The
    /// caller records an [`crate::Export`] of its own.
    ///
    /// # Errors
    /// [`EvidenceError::Damaged`] if a line is not as it was written, [`EvidenceError::NoEntries`],
    /// [`EvidenceError::Io`] also for `out`. Then there is no seal, and what was written does not verify.
    pub fn export(&self, out: &mut impl Write, seqs: RangeInclusive<u64>) -> Result<Exported, EvidenceError> {
        let durable = self.durable.read().clone();
        let oldest = durable.firsts.first().copied().unwrap_or(1);
        let first = oldest.max(*seqs.start());
        let last = durable.head.seq.min(*seqs.end());
        if first > last {
            return Err(EvidenceError::NoEntries { last: durable.head.seq });
        }
        let header = self.header();
        write(out, header.as_bytes())?;
        let mut chain = Chain::new(&self.signer.public);
        let mut copy = Copy { chain: &mut chain, first, last };
        for (index, begins) in durable.firsts.iter().enumerate() {
            let next = durable.firsts.get(index + 1).copied();
            if *begins > last || next.is_some_and(|next| next <= first) {
                continue;
            }
            let path = self.folder.join(file_name(*begins));
            let bytes = if next.is_none() { Some(durable.bytes) } else { None };
            let mut line = 0;
            let copied = blocks(&path, bytes, |_, block| {
                let wanted = copy.check(block, &mut line);
                let wanted = wanted.map_err(|fault| EvidenceError::fault(&path, line, fault))?;
                write_all(out, wanted)?;
                Ok(if copy.is_done() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            if copied.is_break() {
                break;
            }
        }
        let head = match chain.link {
            Some(link) if link.seq == last => Head { seq: link.seq, hash: link.hash },
            Some(_) | None => {
                let path = self.folder.join(file_name(durable.firsts.last().copied().unwrap_or(1)));
                let fault = Fault::Truncated { what: "the segment has fewer lines than were written" };
                return Err(EvidenceError::fault(path, 0, fault));
            }
        };
        let exported = Exported { entries: chain.entries, first, head };
        write(out, self.seal(&exported, &header).as_bytes())?;
        out.flush().map_err(EvidenceError::io("write", "export"))?;
        Ok(exported)
    }

    fn header(&self) -> String {
        let public_key = &hex(&self.signer.public);
        let at = &self.clock.now().to_string();
        Header { format: FORMAT_NAME, version: FORMAT_VERSION, public_key, at }.line()
    }

    fn seal(&self, exported: &Exported, header: &str) -> String {
        let Exported { entries, first, head } = *exported;
        let hash = &head.hash.to_string();
        let header = &Hash::of(header.as_bytes()).to_string();
        let at = &self.clock.now().to_string();
        let key = &self.signer.id;
        let seal = Seal { entries, first, last: head.seq, head: hash, header, at, key, signature: "" };
        Seal { signature: &self.signer.sign(&seal.text()), ..seal }.line()
    }
}

/// Picks and checks the lines `first..=last`.
struct Copy<'c, 'k> {
    chain: &'c mut Chain<'k>,
    first: u64,
    last: u64,
}

impl Copy<'_, '_> {
    fn is_done(&self) -> bool {
        self.chain.link.is_some_and(|link| link.seq >= self.last)
    }

    /// The bytes of `block` that belong to the export; counts `line`s.
    fn check<'b>(&mut self, block: &'b [u8], line: &mut u64) -> Result<&'b [u8], Fault> {
        let mut start = 0;
        let mut wanted = None;
        for feed in memchr_iter(b'\n', block) {
            if self.is_done() {
                break;
            }
            *line += 1;
            let text = block.get(start..feed).unwrap_or_default();
            let before = self.chain.link.is_none()
                && Parts::parse(text).map_err(|what| Fault::Form { what })?.seq < self.first;
            if !before {
                let parts = self.chain.push(text)?;
                if self.chain.entries == 1 && parts.seq != self.first {
                    return Err(Fault::Order { expected: self.first, found: parts.seq });
                }
                let (begins, _) = wanted.unwrap_or((start, 0));
                wanted = Some((begins, feed + 1));
            }
            start = feed + 1;
        }
        Ok(wanted.and_then(|(start, end)| block.get(start..end)).unwrap_or_default())
    }
}

fn write(out: &mut impl Write, line: &[u8]) -> Result<(), EvidenceError> {
    write_all(out, line)?;
    write_all(out, b"\n")
}

fn write_all(out: &mut impl Write, bytes: &[u8]) -> Result<(), EvidenceError> {
    let written: io::Result<()> = out.write_all(bytes);
    written.map_err(|source| EvidenceError::Io {
        action: "write",
        file: "export".into(),
        source: Arc::new(source),
    })
}
