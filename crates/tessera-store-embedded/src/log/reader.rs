//! Walks the frames of one segment file, in big reads.
//!
//! Not a judge: it says what is wrong with a frame, the caller what that means.

use std::io;

use super::disk::{DiskFile, read_full};
use super::frame::{FILE_HEADER_BYTES, FRAME_HEADER_BYTES, FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader};

/// The most that is read at once, but for a longer record.
pub(super) const CHUNK_BYTES_MAX: usize = 1024 * 1024;

/// Frames of `file` from one offset to another.
pub(super) struct FrameReader<'a, F> {
    file: &'a F,
    /// Position of the file's first frame.
    base: u64,
    /// File offset of the next frame.
    at: u64,
    /// File offset where to stop.
    end: u64,
    buffer: &'a mut Vec<u8>,
    /// File offset of the first byte in `buffer`, and how many are read.
    buffered_at: u64,
    buffered: usize,
    chunk_bytes: usize,
}

/// Why there is no frame where one should be.
#[derive(Debug)]
pub(super) enum FrameError {
    Io(io::Error),
    Invalid(&'static str),
}

impl<'a, F: DiskFile> FrameReader<'a, F> {
    /// Frames from file offset `at` to file offset `end`. `buffer` is working space, its content is lost.
    pub(super) fn new(file: &'a F, base: u64, (at, end): (u64, u64), buffer: &'a mut Vec<u8>) -> Self {
        Self { file, base, at, end, buffer, buffered_at: 0, buffered: 0, chunk_bytes: CHUNK_BYTES_MAX }
    }

    /// Reads about `bytes` at a time: for callers who want a single small record.
    pub(super) fn with_chunk_bytes(mut self, bytes: usize) -> Self {
        self.chunk_bytes = bytes.clamp(4 * 1024, CHUNK_BYTES_MAX);
        self
    }

    /// File offset of the next frame: after an error, of the bad one.
    pub(super) fn offset(&self) -> u64 {
        self.at
    }

    /// Position of the next frame.
    pub(super) fn position(&self) -> u64 {
        self.base.saturating_add(self.at.saturating_sub(FILE_HEADER_BYTES))
    }

    /// The header of the next frame, without moving on; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<FrameHeader>, FrameError> {
        let left = self.end.saturating_sub(self.at);
        if left == 0 {
            return Ok(None);
        }
        if left < FRAME_HEADER_BYTES {
            return Err(FrameError::Invalid("the frame header is cut short"));
        }
        let position = self.position();
        let header =
            FrameHeader::decode(self.bytes(FRAME_HEADER_LEN)?, position).map_err(FrameError::Invalid)?;
        if header.frame_bytes() > left {
            return Err(FrameError::Invalid("the record is cut short"));
        }
        Ok(Some(header))
    }

    /// The record of the next frame, whose header [`Self::peek`] gave. After an error the reader stays where
    /// it is.
    pub(super) fn next(&mut self, header: FrameHeader) -> Result<&[u8], FrameError> {
        let frame_bytes = FRAME_HEADER_LEN.saturating_add(header.record_bytes as usize);
        let start = self.at;
        let record = self.bytes(frame_bytes)?.get(FRAME_HEADER_LEN..).unwrap_or_default();
        header.check(record).map_err(FrameError::Invalid)?;
        self.at = start.saturating_add(header.frame_bytes());
        let frame = self.window(start, frame_bytes).unwrap_or_default();
        Ok(frame.get(FRAME_HEADER_LEN..).unwrap_or_default())
    }

    /// The greatest durable position that any frame header after the current offset tells of.
    pub(super) fn witness(mut self) -> io::Result<Option<u64>> {
        let mut greatest = None;
        self.at = self.at.saturating_add(1);
        while self.end.saturating_sub(self.at) >= FRAME_HEADER_BYTES {
            let chunk = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let chunk = chunk.min(self.chunk_bytes);
            let position = self.position();
            let bytes = match self.bytes(chunk) {
                Ok(bytes) => bytes,
                Err(FrameError::Io(error)) => return Err(error),
                Err(FrameError::Invalid(_)) => break,
            };
            for (i, window) in bytes.windows(FRAME_HEADER_LEN).enumerate() {
                if !window.starts_with(&FRAME_MAGIC) {
                    continue;
                }
                let header = FrameHeader::decode(window, position.saturating_add(i as u64));
                greatest = greatest.max(header.ok().map(|header| header.durable));
            }
            // The last bytes may be the beginning of a header: they come again with the next chunk.
            self.at = self.at.saturating_add(chunk.saturating_sub(FRAME_HEADER_LEN - 1) as u64);
        }
        Ok(greatest)
    }

    /// `len` bytes from the current offset on, read if need be.
    fn bytes(&mut self, len: usize) -> Result<&[u8], FrameError> {
        if self.window(self.at, len).is_none() {
            let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let want = len.max(self.chunk_bytes.min(left));
            // Only growth is zeroed: shrinking and growing again would zero on every read.
            if self.buffer.len() < want {
                self.buffer.resize(want, 0);
            }
            let into = self.buffer.get_mut(..want).unwrap_or_default();
            self.buffered = read_full(self.file, into, self.at).map_err(FrameError::Io)?;
            self.buffered_at = self.at;
        }
        self.window(self.at, len).ok_or(FrameError::Invalid("the file is shorter than it was"))
    }

    fn window(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.buffered_at)?).ok()?;
        self.buffer.get(..self.buffered)?.get(start..start.checked_add(len)?)
    }
}
