//! Reads the end of a file back: what it holds, and where a write that a crash cut short begins.
//!
//! Invariant: no byte is called torn unless it can be of the last batch, which was never acknowledged.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::BATCH_MAX;
use super::map::{LINE_START, Tail};

/// How much of the end of a file is read, in bytes: two batches of the largest events and what is around them.
const WINDOW_BYTES: u64 = 64 * 1024 * 1024;

/// What was found.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) tail: Tail,
    /// How many bytes are whole lines; the rest is torn.
    pub(super) bytes: u64,
}

/// Why a file cannot be appended to.
#[derive(Debug, thiserror::Error)]
pub(super) enum RecoverError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("byte {0} begins a line that Tessera did not write; move the file away and a new one is begun")]
    NotOurs(u64),
}

/// Reads the end of `file`, which has `len` bytes.
pub(super) fn recover(file: impl Read + Seek, len: u64) -> Result<Recovered, RecoverError> {
    recover_window(file, len, WINDOW_BYTES)
}

fn recover_window(
    mut file: impl Read + Seek,
    len: u64,
    window_bytes: u64,
) -> Result<Recovered, RecoverError> {
    let mut at = len.saturating_sub(window_bytes);
    let mut line = Vec::new();
    file.seek(SeekFrom::Start(at.saturating_sub(1)))?;
    let mut reader = BufReader::new(file).take(len.saturating_sub(at.saturating_sub(1)));
    if at > 0 {
        // The window starts anywhere in a line; from one byte before, so that a line that starts right there counts.
        at = at - 1 + u64::try_from(reader.read_until(b'\n', &mut line)?).unwrap_or(0);
    }
    let mut tail = Tail::default();
    loop {
        line.clear();
        let bytes = u64::try_from(reader.read_until(b'\n', &mut line)?).unwrap_or(0);
        if bytes == 0 {
            return Ok(Recovered { tail, bytes: at });
        }
        // Power loss can leave a hole, which reads as zeros; JSON text has none.
        let is_torn = line.last() != Some(&b'\n') || line.contains(&0);
        if is_torn && may_be_ours(&line, &tail) && lines_left(&mut reader)? <= BATCH_MAX {
            return Ok(Recovered { tail, bytes: at });
        }
        if is_torn || tail.read(&line).is_err() {
            return Err(RecoverError::NotOurs(at));
        }
        at += bytes;
    }
}

/// Whether this can be the start of a line of ours. Somebody's own file, named by mistake, must not be cut.
fn may_be_ours(torn: &[u8], tail: &Tail) -> bool {
    !tail.is_empty()
        || torn.starts_with(LINE_START)
        || LINE_START.starts_with(torn)
        || torn.iter().all(|byte| *byte == 0)
}

fn lines_left(reader: &mut impl BufRead) -> io::Result<usize> {
    let mut lines = 0;
    while reader.skip_until(b'\n')? > 0 {
        lines += 1;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn line(position: u64) -> String {
        let at = "2024-01-01T00:00:00.000Z";
        format!(
            "{{\"position\":{position},\"index\":0,\"message_id\":\"m{position}\",\"received_at\":\"{at}\"}}\n"
        )
    }

    fn check(text: &[u8], expected: Result<u64, u64>) {
        let found = match recover(Cursor::new(text), text.len() as u64) {
            Ok(recovered) => Ok(recovered.bytes),
            Err(RecoverError::NotOurs(at)) => Err(at),
            Err(RecoverError::Io(error)) => panic!("{error}"),
        };
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(text));
    }

    #[test]
    fn a_line_cut_anywhere_is_torn_and_whole_lines_are_kept() {
        let whole = line(1);
        let second = line(2);
        for cut in 0..second.len() {
            let torn = &second.as_bytes()[..cut];
            check(&[whole.as_bytes(), torn].concat(), Ok(whole.len() as u64));
            check(torn, Ok(0));
        }
        check(format!("{whole}{second}").as_bytes(), Ok((whole.len() + second.len()) as u64));
    }

    #[test]
    fn a_hole_is_cut_with_what_follows_in_its_batch_but_not_more() {
        let (one, two) = (line(1), line(2));
        let hole = format!("{one}\0\0\0\0\n{two}");
        check(hole.as_bytes(), Ok(one.len() as u64));
        check(b"\0\0\0\0", Ok(0));
        let damage = format!("{one}\0\0\0\0\n{}", two.repeat(BATCH_MAX + 1));
        check(damage.as_bytes(), Err(one.len() as u64));
    }

    #[test]
    fn a_file_of_somebody_else_is_never_cut() {
        check(b"my notes", Err(0));
        check(b"my notes\n", Err(0));
        check(b"{\"position\":1}\n", Err(0));
        check(format!("{}a note between\n{}", line(1), line(2)).as_bytes(), Err(line(1).len() as u64));
    }

    #[test]
    fn a_window_that_starts_anywhere_finds_the_same_end() {
        let text: String = (0..20).map(line).collect();
        let len = text.len() as u64;
        // The window must hold one whole line to know anything.
        for window_bytes in 2 * line(19).len() as u64..=len {
            let found = recover_window(Cursor::new(text.as_bytes()), len, window_bytes).unwrap();
            assert_eq!(found.bytes, len, "{window_bytes}");
            assert!(!found.tail.is_empty(), "{window_bytes}");
        }
    }
}
