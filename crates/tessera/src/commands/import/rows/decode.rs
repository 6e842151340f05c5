//! From a file's bytes to UTF-8, as a stream.
//!
//! Not a repair: a byte that stands for nothing becomes `0xFF`, which UTF-8 never holds, so the row it stands in is
//! found again and rejected. Reference: the WHATWG Encoding Standard.

use std::io::{Cursor, Read};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::Trouble;

const SAMPLE_BYTES: u64 = 1024 * 1024;
const CHUNK_BYTES: usize = 64 * 1024;

/// How an encoding was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The file starts with a byte order mark.
    Mark,
    /// It was named.
    Named,
    /// It was guessed from the first MiB.
    Guessed,
}

/// `input` as UTF-8, the name of its encoding, and how that was found.
///
/// # Errors
/// An encoding that is not known, or a file that cannot be read.
pub(crate) fn decode(
    mut input: Box<dyn Read + Send>,
    named: Option<&str>,
) -> Result<(Box<dyn Read + Send>, &'static str, How), Trouble> {
    let mut head = Vec::new();
    // What was read before an error is told as rows first.
    let error = input.by_ref().take(SAMPLE_BYTES).read_to_end(&mut head).err();
    let (encoding, how, mark) = match (Encoding::for_bom(&head), named) {
        (Some((encoding, length)), _) => (encoding, How::Mark, length),
        (None, Some(name)) => (by_name(name)?, How::Named, 0),
        (None, None) => (guess(&head)?, How::Guessed, 0),
    };
    let mut head = Cursor::new(head);
    head.set_position(mark as u64);
    let whole = head.chain(Failing { error, input });
    let decoded: Box<dyn Read + Send> =
        if encoding == UTF_8 { Box::new(whole) } else { Box::new(Transcoded::new(whole, encoding)) };
    Ok((decoded, encoding.name(), how))
}

/// Fails once, where an error was met ahead of its time.
struct Failing<R> {
    error: Option<std::io::Error>,
    input: R,
}

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.error.take() {
            Some(error) => Err(error),
            None => self.input.read(buffer),
        }
    }
}

fn by_name(name: &str) -> Result<&'static Encoding, Trouble> {
    Encoding::for_label_no_replacement(name.as_bytes()).ok_or_else(|| {
        let hint = "for example utf-8, windows-1252, iso-8859-15, utf-16le, shift_jis";
        Trouble::new("TES-M007", format!("encoding `{name}` is not known"), hint)
    })
}

fn guess(head: &[u8]) -> Result<&'static Encoding, Trouble> {
    let nuls = head.iter().filter(|byte| **byte == 0).count();
    if nuls > head.len() / 10 {
        let evenly = head.iter().step_by(2).filter(|byte| **byte == 0).count();
        let name = if evenly * 2 > nuls { UTF_16BE } else { UTF_16LE }.name().to_ascii_lowercase();
        let what = "the file is full of NUL bytes, as text in UTF-16 is, but has no byte order mark";
        return Err(Trouble::new(
            "TES-M007",
            what,
            format!("if it is text, name its encoding: --encoding {name}"),
        ));
    }
    // A character cut off by the end of the sample says nothing against UTF-8.
    let is_utf_8 = std::str::from_utf8(head).err().is_none_or(|error| error.error_len().is_none());
    if is_utf_8 {
        return Ok(UTF_8);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(head, (head.len() as u64) < SAMPLE_BYTES);
    Ok(detector.guess(None, Utf8Detection::Allow))
}

struct Transcoded<R> {
    input: R,
    decoder: Decoder,
    raw: Vec<u8>,
    raw_at: usize,
    text: Vec<u8>,
    text_at: usize,
    is_end: bool,
    is_done: bool,
}

impl<R: Read> Transcoded<R> {
    fn new(input: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_without_bom_handling();
        Self {
            input,
            decoder,
            raw: Vec::new(),
            raw_at: 0,
            text: Vec::new(),
            text_at: 0,
            is_end: false,
            is_done: false,
        }
    }

    /// Decodes one chunk into `text`.
    fn step(&mut self) -> std::io::Result<()> {
        if self.raw_at == self.raw.len() && !self.is_end {
            self.raw.resize(CHUNK_BYTES, 0);
            let read = loop {
                match self.input.read(&mut self.raw) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            };
            self.raw.truncate(read);
            self.raw_at = 0;
            self.is_end = read == 0;
        }
        // Room for the longest expansion (three bytes from one) and for the mark of what stands for nothing.
        self.text.resize(3 * CHUNK_BYTES + 16, 0);
        self.text_at = 0;
        let raw = self.raw.get(self.raw_at..).unwrap_or_default();
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(raw, &mut self.text, self.is_end);
        self.raw_at += read;
        self.text.truncate(written);
        match result {
            DecoderResult::Malformed(_, _) => self.text.push(0xff),
            DecoderResult::InputEmpty => self.is_done = self.is_end,
            DecoderResult::OutputFull => {}
        }
        Ok(())
    }
}

impl<R: Read> Read for Transcoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.text_at == self.text.len() {
            if self.is_done {
                return Ok(0);
            }
            self.step()?;
        }
        let ready = self.text.get(self.text_at..).unwrap_or_default();
        let length = ready.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(ready) {
            *to = *from;
        }
        self.text_at += length;
        Ok(length)
    }
}
