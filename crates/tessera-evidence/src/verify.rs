//! Checks an export or a ledger's folder with nothing but its bytes and the public key.
//!
//! Not a reader of entries: what they mean is not asked. Uses nothing of the rest of Tessera, so that it can be
//! read, and rewritten, by whom Tessera has to convince. Invariant: `Ok` means that every line is as it was
//! written, that none is missing between the first and the last, and, of an export, that these are all.

use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use crate::chain::{Chain, Fault};
use crate::format::{
    FORMAT_NAME, FORMAT_VERSION, Hash, Header, LINE_BYTES_MAX, Seal, hex, is_signed, key_id,
};

/// What the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A header, lines, a seal.
    Export,
    /// The segments of a folder one after another: lines alone. What follows the last checkpoint is bound by its
    /// chain only, and a cut at the end of a line is not found.
    Folder,
}

/// What was found whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Number of lines, checkpoints among them, header and seal not.
    pub entries: u64,
    /// Number of the first; 0 if there is none.
    pub first: u64,
    /// Number of the last; 0 if there is none.
    pub last: u64,
    /// RFC 3339 time of the first; empty if there is none.
    pub from_at: String,
    /// RFC 3339 time of the last; empty if there is none.
    pub to_at: String,
    /// Signed checkpoints among the entries.
    pub checkpoints: u64,
    /// Hash of the last entry's line.
    pub head: Hash,
    /// Entries at the end that no signature covers: 0 for an export.
    pub unsigned: u64,
    /// RFC 3339 time of the seal; `None` for a folder.
    pub sealed_at: Option<String>,
}

/// Why it is not what it should be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// A line is wrong.
    #[error("line {line}{}: {fault}", entry(*.seq))]
    Line {
        /// Counted from 1, the header included.
        line: u64,
        /// The entry that should stand there, where that is known.
        seq: Option<u64>,
        /// What is wrong.
        fault: Fault,
    },
    /// The text cannot be read.
    #[error("cannot read line {line}")]
    Read {
        /// Counted from 1.
        line: u64,
        /// What the system said.
        source: Arc<io::Error>,
    },
}

fn entry(seq: Option<u64>) -> String {
    seq.map(|seq| format!(" (entry {seq})")).unwrap_or_default()
}

impl VerifyError {
    fn of_entry(self, entry: Option<u64>) -> Self {
        match self {
            Self::Line { line, seq, fault } => Self::Line { line, seq: seq.or(entry), fault },
            Self::Read { .. } => self,
        }
    }

    /// The stable code; `docs/reference/errors` has a page for each.
    #[must_use]
    pub fn code(&self) -> &'static str {
        let fault = match self {
            Self::Read { .. } => return "TES-E016",
            Self::Line { fault, .. } => fault,
        };
        match fault {
            Fault::Form { .. }
            | Fault::TooLong { .. }
            | Fault::Prev
            | Fault::Durable { .. }
            | Fault::Checkpoint { .. }
            | Fault::Seal { .. } => "TES-E011",
            Fault::Order { .. } | Fault::Name { .. } | Fault::AfterSeal | Fault::Unsigned { .. } => {
                "TES-E012"
            }
            Fault::Key { .. } | Fault::Signature => "TES-E013",
            Fault::Truncated { .. } | Fault::Beginning => "TES-E014",
            Fault::Newer { .. } => "TES-E015",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.code() {
            "TES-E013" => {
                "check that this is the public key of the installation that made it; if it is, do not trust it"
            }
            "TES-E014" => "ask for the whole file again",
            "TES-E015" => "use a newer Tessera",
            "TES-E016" => "check the file and the disk",
            _ => "do not trust what follows this line; ask for the export again, and compare",
        }
    }
}

/// How often `progress` is told, in lines.
const PROGRESS_LINES: u64 = 1 << 16;

/// Reads all of `reader` and checks every line. `progress` is told now and then how many lines were read.
///
/// # Errors
/// [`VerifyError`] names the first line that is wrong, and how.
pub fn verify(
    reader: impl BufRead,
    public_key: &[u8; 32],
    form: Form,
    progress: impl FnMut(u64),
) -> Result<Verified, VerifyError> {
    let mut lines = Lines { reader, line: 0, buffer: Vec::new(), progress };
    let mut chain = Chain::new(public_key);
    let mut span: Option<(u64, String, String)> = None;
    let header = match form {
        Form::Export => Some(header(&mut lines, public_key)?),
        Form::Folder => None,
    };
    while lines.next().map_err(|error| error.of_entry(next_seq(&chain)))? {
        let line = lines.buffer.as_slice();
        if let Some(header) = header
            && line.starts_with(SEAL_START)
        {
            let sealed_at = seal(line, &chain, header).map_err(|fault| lines.error(&chain, fault))?;
            return match lines.next()? {
                true => Err(lines.error(&chain, Fault::AfterSeal)),
                false => Ok(verified(&chain, span, Some(sealed_at))),
            };
        }
        let parts = chain.push(line).map_err(|fault| lines.error(&chain, fault))?;
        if form == Form::Folder && span.is_none() && !parts.is_checkpoint() {
            return Err(VerifyError::Line {
                line: lines.line,
                seq: Some(parts.seq),
                fault: Fault::Beginning,
            });
        }
        match &mut span {
            None => span = Some((parts.seq, parts.at.to_owned(), parts.at.to_owned())),
            Some((_, _, to_at)) => parts.at.clone_into(to_at),
        }
    }
    if header.is_some() {
        let fault = Fault::Truncated { what: "there is no seal" };
        return Err(VerifyError::Line { line: lines.line + 1, seq: next_seq(&chain), fault });
    }
    Ok(verified(&chain, span, None))
}

fn verified(chain: &Chain<'_>, span: Option<(u64, String, String)>, sealed_at: Option<String>) -> Verified {
    let (first, from_at, to_at) = span.unwrap_or_default();
    Verified {
        entries: chain.entries,
        first,
        last: chain.link.map_or(0, |link| link.seq),
        from_at,
        to_at,
        checkpoints: chain.checkpoints,
        head: chain.link.map_or(Hash::NONE, |link| link.hash),
        unsigned: if sealed_at.is_some() { 0 } else { chain.since_checkpoint },
        sealed_at,
    }
}

fn next_seq(chain: &Chain<'_>) -> Option<u64> {
    chain.link.map(|link| link.seq + 1)
}

const SEAL_START: &[u8] = b"{\"kind\":\"seal\",";

/// Checks the header; returns its hash.
fn header<R: BufRead, P: FnMut(u64)>(
    lines: &mut Lines<R, P>,
    public_key: &[u8; 32],
) -> Result<Hash, VerifyError> {
    let wrong = |line, fault| VerifyError::Line { line, seq: None, fault };
    if !lines.next()? {
        return Err(wrong(1, Fault::Truncated { what: "there is no header" }));
    }
    let text = std::str::from_utf8(&lines.buffer).ok();
    let Some((text, header)) =
        text.and_then(|text| Some((text, serde_json::from_str::<Header<'_>>(text).ok()?)))
    else {
        return Err(wrong(1, Fault::Form { what: "it is not the header of an export" }));
    };
    if header.format != FORMAT_NAME {
        return Err(wrong(1, Fault::Form { what: "it is not the header of an export" }));
    }
    if header.version > FORMAT_VERSION {
        return Err(wrong(1, Fault::Newer { found: header.version, supported: FORMAT_VERSION }));
    }
    if header.line() != text || header.version == 0 {
        return Err(wrong(1, Fault::Form { what: "the header is not written as a header is" }));
    }
    if header.public_key != hex(public_key) {
        let found = crate::format::unhex(header.public_key.as_bytes()).map(|key| key_id(&key));
        let found = found.unwrap_or_else(|| "(none)".to_owned());
        return Err(wrong(1, Fault::Key { expected: key_id(public_key), found }));
    }
    Ok(Hash::of(text.as_bytes()))
}

/// Checks the seal against the lines before it; returns its time.
fn seal(line: &[u8], chain: &Chain<'_>, header: Hash) -> Result<String, Fault> {
    let form = || Fault::Form { what: "the seal is not written as a seal is" };
    let text = std::str::from_utf8(line).map_err(|_| form())?;
    let seal: Seal<'_> = serde_json::from_str(text).map_err(|_| form())?;
    if seal.line() != text {
        return Err(form());
    }
    let link = chain.link.ok_or(Fault::Seal { what: "number of entries" })?;
    let expected = key_id(chain.public_key());
    if seal.key != expected {
        return Err(Fault::Key { expected, found: seal.key.to_owned() });
    }
    // Before the signature: who gets this far with a true seal learns what is missing.
    if is_signed(chain.public_key(), &seal.text(), seal.signature) {
        let first = link.seq + 1 - chain.entries;
        let told = [
            ("header", seal.header == header.to_string()),
            ("first entry", seal.first == first),
            ("last entry", seal.last == link.seq),
            ("number of entries", seal.entries == chain.entries),
            ("hash of the last line", seal.head == link.hash.to_string()),
        ];
        return match told.into_iter().find(|(_, same)| !same) {
            Some((what, _)) => Err(Fault::Seal { what }),
            None => Ok(seal.at.to_owned()),
        };
    }
    Err(Fault::Signature)
}

struct Lines<R, P> {
    reader: R,
    /// Number of the line in `buffer`, from 1.
    line: u64,
    buffer: Vec<u8>,
    progress: P,
}

impl<R: BufRead, P: FnMut(u64)> Lines<R, P> {
    /// Reads the next line into `buffer`, without its line feed; `false` at the end.
    fn next(&mut self) -> Result<bool, VerifyError> {
        let line = self.line + 1;
        self.buffer.clear();
        let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.buffer);
        let read = read.map_err(|source| VerifyError::Read { line, source: Arc::new(source) })?;
        if read == 0 {
            return Ok(false);
        }
        self.line = line;
        if line.is_multiple_of(PROGRESS_LINES) {
            (self.progress)(line);
        }
        if self.buffer.pop_if(|byte| *byte == b'\n').is_some() {
            return Ok(true);
        }
        let fault = if self.buffer.len() > LINE_BYTES_MAX {
            Fault::TooLong { max: LINE_BYTES_MAX }
        } else {
            Fault::Truncated { what: "the last line has no line feed" }
        };
        Err(VerifyError::Line { line, seq: None, fault })
    }

    fn error(&self, chain: &Chain<'_>, fault: Fault) -> VerifyError {
        VerifyError::Line { line: self.line, seq: next_seq(chain), fault }
    }
}
