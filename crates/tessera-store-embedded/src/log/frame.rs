//! The bytes of a segment file: its header and its frames.
//!
//! Not I/O: bytes in, values out. Invariant: what decodes was encoded at that very position. Reference:
//! `docs/reference/log-format.md`.

/// The newest format that this build reads, and the one it writes.
pub const FORMAT_VERSION: u32 = 1;
/// The longest record.
pub const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Length of the header of a segment file.
pub const FILE_HEADER_BYTES: u64 = 32;
/// Length of the header of a frame; the record follows it.
pub const FRAME_HEADER_BYTES: u64 = 32;

pub(super) const FILE_HEADER_LEN: usize = 32;
pub(super) const FRAME_HEADER_LEN: usize = 32;

const FILE_MAGIC: [u8; 8] = *b"TESSLOG\n";
/// The first byte never occurs in UTF-8, so text records give the recovery scan no false starts.
pub(super) const FRAME_MAGIC: [u8; 4] = *b"\xf7REC";

/// What a segment file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub(super) version: u32,
    /// Position of the first frame.
    pub(super) base: u64,
    /// Latest append time in all earlier segments, `i64::MIN` if there is none.
    pub(super) newest_before_millis: i64,
}

impl FileHeader {
    pub(super) fn encode(&self) -> [u8; FILE_HEADER_LEN] {
        let mut bytes = [0; FILE_HEADER_LEN];
        let fields = FILE_MAGIC
            .into_iter()
            .chain(self.version.to_le_bytes())
            .chain(self.base.to_le_bytes())
            .chain(self.newest_before_millis.to_le_bytes());
        bytes.iter_mut().zip(fields).for_each(|(byte, field)| *byte = field);
        if let Some((fields, crc)) = bytes.split_last_chunk_mut::<4>() {
            *crc = crc32fast::hash(fields).to_le_bytes();
        }
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let cut_short = "the file header is cut short";
        let header = bytes.first_chunk::<FILE_HEADER_LEN>().ok_or(cut_short)?;
        let (fields, crc) = header.split_last_chunk::<4>().ok_or(cut_short)?;
        let mut rest = fields;
        if take::<8>(&mut rest).ok_or(cut_short)? != FILE_MAGIC {
            return Err("this is not a Tessera log segment");
        }
        if crc32fast::hash(fields) != u32::from_le_bytes(*crc) {
            return Err("the file header does not match its checksum");
        }
        Ok(Self {
            version: u32::from_le_bytes(take(&mut rest).ok_or(cut_short)?),
            base: u64::from_le_bytes(take(&mut rest).ok_or(cut_short)?),
            newest_before_millis: i64::from_le_bytes(take(&mut rest).ok_or(cut_short)?),
        })
    }
}

/// What precedes a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Length of the record.
    pub(super) record_bytes: u32,
    pub(super) appended_millis: i64,
    /// All positions before this one were durable when the frame was written.
    pub(super) durable: u64,
    record_crc: u32,
}

impl FrameHeader {
    /// Reads the header of the frame at `position`.
    pub(super) fn decode(bytes: &[u8], position: u64) -> Result<Self, &'static str> {
        let cut_short = "the frame header is cut short";
        let header = bytes.first_chunk::<FRAME_HEADER_LEN>().ok_or(cut_short)?;
        let (fields, crc) = header.split_last_chunk::<4>().ok_or(cut_short)?;
        let mut rest = fields;
        if take(&mut rest).ok_or(cut_short)? != FRAME_MAGIC {
            return Err("no frame begins here");
        }
        if header_crc(fields, position) != u32::from_le_bytes(*crc) {
            return Err("the frame header does not match its checksum");
        }
        let header = Self {
            record_bytes: u32::from_le_bytes(take(&mut rest).ok_or(cut_short)?),
            appended_millis: i64::from_le_bytes(take(&mut rest).ok_or(cut_short)?),
            durable: u64::from_le_bytes(take(&mut rest).ok_or(cut_short)?),
            record_crc: u32::from_le_bytes(take(&mut rest).ok_or(cut_short)?),
        };
        if header.record_bytes as usize > RECORD_BYTES_MAX {
            return Err("the record is longer than the format allows");
        }
        Ok(header)
    }

    /// Length of header and record.
    pub(super) fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES.saturating_add(u64::from(self.record_bytes))
    }

    pub(super) fn check(&self, record: &[u8]) -> Result<(), &'static str> {
        if crc32fast::hash(record) == self.record_crc {
            return Ok(());
        }
        Err("the record does not match its checksum")
    }
}

/// Appends to `buffer` the frame of `record` at `position`. The record is at most [`RECORD_BYTES_MAX`] long.
pub(super) fn encode_frame(
    buffer: &mut Vec<u8>,
    position: u64,
    appended_millis: i64,
    durable: u64,
    record: &[u8],
) {
    let start = buffer.len();
    buffer.extend_from_slice(&FRAME_MAGIC);
    // Never the fallback: `append` refuses what is over the limit before it comes here.
    buffer.extend_from_slice(&u32::try_from(record.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend_from_slice(&appended_millis.to_le_bytes());
    buffer.extend_from_slice(&durable.to_le_bytes());
    buffer.extend_from_slice(&crc32fast::hash(record).to_le_bytes());
    let crc = header_crc(buffer.get(start..).unwrap_or_default(), position);
    buffer.extend_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(record);
}

// The position is part of the sum but not of the file: a copy of a frame anywhere else (in a record that
// somebody sent us, say) is no frame.
fn header_crc(fields: &[u8], position: u64) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.to_le_bytes());
    hasher.update(fields);
    hasher.finalize()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

/// Name of the segment file whose first frame is at `base`.
pub(super) fn file_name(base: u64) -> String {
    format!("{base:020}.seg")
}

/// Name of the file that is to replace the segment whose first frame is at `base`.
pub(super) fn draft_name(base: u64) -> String {
    format!("{}{DRAFT_SUFFIX}", file_name(base))
}

/// Whether the name is one that [`draft_name`] gives.
pub(super) fn is_draft(name: &str) -> bool {
    name.strip_suffix(DRAFT_SUFFIX).and_then(base_of).is_some()
}

const DRAFT_SUFFIX: &str = ".rewrite";

/// The base in a segment file's name; `None` for any other file.
pub(super) fn base_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".seg")?;
    let all_digits = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}
