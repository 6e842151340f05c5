//! How an input is changed: a few small steps that know what JSON and binary formats are made of.
//!
//! Not random bytes alone: those never get past the first check.

use crate::sim::random::Random;

/// Longest input: what a body may have, and a little more.
const INPUT_BYTES_MAX: usize = 600 * 1024;

/// Texts that have meant trouble to parsers of JSON and of identifiers.
const WORDS: [&[u8]; 44] = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e999",
    b"-1e999",
    b"1e308",
    b"9223372036854775808",
    b"18446744073709551616",
    b"0.1",
    b"\"\"",
    b"\"null\"",
    b"\"anonymous\"",
    b"\"-1\"",
    b"\"\\u0000\"",
    b"\"\\ud800\"",
    b"\"\\ud83d\\ude00\"",
    b"\"\xff\"",
    b"\"\xef\xbf\xbd\"",
    b"\"ada@example.com\"",
    b"\"ADA@EXAMPLE.COM \"",
    b"\"\xc4\xb0@x.org\"",
    b"\"9999-12-31T23:59:59.999Z\"",
    b"\"0001-01-01T00:00:00Z\"",
    b"\"-000001-01-01T00:00:00Z\"",
    b"\"2016-12-31T23:59:60Z\"",
    b"253402207200999",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"\"userId\":",
    b"\"anonymousId\":",
    b"\"previousId\":",
    b"\"groupId\":",
    b"\"messageId\":",
    b"\"timestamp\":",
    b"\"originalTimestamp\":",
    b"\"sentAt\":",
    b"\"traits\":",
    b"\"consents\":",
    b"\"context\":{\"consent\":{\"categoryPreferences\":{\"Newsletter\":true}}},",
    b"\"context\":{\"externalIds\":[{\"id\":\"a\",\"type\":\"email\"}]},",
    b"\"type\":\"identify\",",
    b"\"type\":\"group\",\"groupId\":\"g\",",
];

/// Numbers at the edges of their types.
const EDGES: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Changes `input` in one to six places. `other` lends parts.
pub(super) fn mutate(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(6) {
        step(random, input, other);
    }
    input.truncate(INPUT_BYTES_MAX);
}

fn step(random: &mut Random, input: &mut Vec<u8>, other: &[u8]) {
    let at = random.index(input.len().saturating_add(1));
    let len = short(random, input.len().saturating_sub(at));
    match random.below(12) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1_u8.rotate_left(u32::try_from(len % 8).unwrap_or(0));
            }
        }
        1 => {
            let edge = EDGES.get(random.index(EDGES.len())).copied().unwrap_or(0);
            let width = [1, 2, 4, 8].get(random.index(4)).copied().unwrap_or(1);
            for (byte, value) in input.iter_mut().skip(at).zip(edge.to_le_bytes()).take(width) {
                *byte = value;
            }
        }
        2 => drop(input.drain(at..at + len)),
        3 => {
            let part: Vec<u8> = input.get(at..at + len).unwrap_or_default().to_vec();
            let to = random.index(input.len().saturating_add(1));
            drop(input.splice(to..to, part));
        }
        4 => {
            let len = 1 + random.index(8);
            let bytes = random.bytes(len);
            drop(input.splice(at..at, bytes));
        }
        5 => {
            let word = word(random);
            drop(input.splice(at..at, word.iter().copied()));
        }
        6 | 7 => replace_value(random, input, at),
        8 => {
            let from = random.index(other.len().saturating_add(1));
            let lent = short(random, other.len().saturating_sub(from));
            let part = other.get(from..from + lent).unwrap_or_default().to_vec();
            drop(input.splice(at..at + len, part));
        }
        9 if random.one_in(4) => input.truncate(at),
        10 if random.one_in(4) => {
            let bytes = vec![random.pick(b"[{x\" 0").copied().unwrap_or(0); random.index(400)];
            drop(input.splice(at..at, bytes));
        }
        _ => replace_member(random, input, at),
    }
}

/// Mostly little, now and then all.
fn short(random: &mut Random, left: usize) -> usize {
    let most = if random.one_in(8) { left } else { left.min(16) };
    random.index(most.saturating_add(1))
}

fn word(random: &mut Random) -> &'static [u8] {
    WORDS.get(random.index(WORDS.len())).copied().unwrap_or_default()
}

/// Puts a word in the place of the JSON value after the next colon.
fn replace_value(random: &mut Random, input: &mut Vec<u8>, at: usize) {
    let Some(colon) = input.iter().skip(at).position(|byte| *byte == b':').map(|more| at + more) else {
        return;
    };
    let end = end_of_value(input, colon + 1);
    let word = word(random);
    drop(input.splice(colon + 1..end, word.iter().copied()));
}

/// Puts another member of the same object in front of the next one: duplicate and unexpected keys.
fn replace_member(random: &mut Random, input: &mut Vec<u8>, at: usize) {
    let Some(brace) = input.iter().skip(at).position(|byte| *byte == b'{').map(|more| at + more) else {
        return;
    };
    let members: Vec<usize> =
        input.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(place, _)| place).collect();
    let Some(colon) = random.pick(&members).copied() else { return };
    let start = input.get(..colon).unwrap_or_default().iter().rposition(|byte| matches!(byte, b'{' | b','));
    let start = start.map_or(0, |start| start + 1);
    let mut member = input.get(start..end_of_value(input, colon + 1)).unwrap_or_default().to_vec();
    member.push(b',');
    drop(input.splice(brace + 1..brace + 1, member));
}

/// Where the JSON value that begins at `from` seems to end.
fn end_of_value(input: &[u8], from: usize) -> usize {
    let mut depth = 0_usize;
    let (mut in_text, mut is_escaped) = (false, false);
    for (at, byte) in input.iter().enumerate().skip(from) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b'}' | b']' => return at,
            b',' if depth == 0 => return at,
            _ => {}
        }
    }
    input.len()
}
