//! Reads base64url text bit by bit, as the data types of the TCF and GPP specifications.
//!
//! Not a general base64 decoder: a segment may have any number of characters (GPP pads to six bits, older encoders
//! to eight), so `DBABM` and `DBABMA` are the same header.

use crate::error::IabError;
use crate::sets::{NumberSet, VendorSet};

const BITS_PER_CHARACTER: usize = 6;
/// Enough for 46,367, far more than any section id.
const FIBONACCI_BITS_MAX: usize = 23;
const MILLIS_PER_DECISECOND: i64 = 100;

/// One segment of a string, and how far it is read.
pub(crate) struct Bits<'a> {
    part: &'static str,
    text: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    /// `part` is what errors call the segment.
    pub(crate) fn new(part: &'static str, text: &'a str) -> Result<Self, IabError> {
        // Some libraries keep the padding that the specification drops.
        let text = text.trim_end_matches('=');
        for (at, found) in text.chars().enumerate() {
            if !u8::try_from(found).is_ok_and(|byte| six_bits(byte).is_some()) {
                let expected = "base64url has A-Z, a-z, 0-9, `-` and `_`";
                return Err(IabError::Character { part, at: at + 1, found, expected });
            }
        }
        Ok(Self { part, text: text.as_bytes(), at: 0 })
    }

    /// How many bits are not yet read, padding included.
    pub(crate) fn left(&self) -> usize {
        (self.text.len() * BITS_PER_CHARACTER).saturating_sub(self.at)
    }

    pub(crate) fn bad(&self, field: &'static str, found: u64, expected: &'static str) -> IabError {
        IabError::Value { part: self.part, field, found, expected }
    }

    /// Passes over what nobody asks for; an error if it is not there.
    pub(crate) fn skip(&mut self, field: &'static str, bits: usize) -> Result<(), IabError> {
        if self.left() < bits {
            return Err(IabError::Short { part: self.part, field });
        }
        self.at += bits;
        Ok(())
    }

    pub(crate) fn flag(&mut self, field: &'static str) -> Result<bool, IabError> {
        let short = IabError::Short { part: self.part, field };
        let byte = self.text.get(self.at / BITS_PER_CHARACTER).ok_or(short)?;
        let shift = BITS_PER_CHARACTER - 1 - self.at % BITS_PER_CHARACTER;
        self.at += 1;
        Ok(six_bits(*byte).is_some_and(|bits| bits >> shift & 1 == 1))
    }

    fn int(&mut self, field: &'static str, bits: usize) -> Result<u64, IabError> {
        let mut value = 0;
        for _ in 0..bits {
            value = value << 1 | u64::from(self.flag(field)?);
        }
        Ok(value)
    }

    /// An integer of at most 8 bits.
    pub(crate) fn small(&mut self, field: &'static str, bits: usize) -> Result<u8, IabError> {
        let value = self.int(field, bits)?;
        u8::try_from(value).map_err(|_| self.bad(field, value, "at most 255"))
    }

    /// An integer of at most 16 bits.
    pub(crate) fn word(&mut self, field: &'static str, bits: usize) -> Result<u16, IabError> {
        let value = self.int(field, bits)?;
        u16::try_from(value).map_err(|_| self.bad(field, value, "at most 65535"))
    }

    /// A date: 36 bits of tenths of a second since 1970. Returns milliseconds.
    pub(crate) fn instant_millis(&mut self, field: &'static str) -> Result<i64, IabError> {
        let deciseconds = self.int(field, 36)?;
        let deciseconds =
            i64::try_from(deciseconds).map_err(|_| self.bad(field, deciseconds, "a date has 36 bits"))?;
        Ok(deciseconds.saturating_mul(MILLIS_PER_DECISECOND))
    }

    /// Two capital letters: a language or a country.
    pub(crate) fn letters(&mut self, field: &'static str) -> Result<[char; 2], IabError> {
        let mut letters = ['A'; 2];
        for letter in &mut letters {
            let value = self.small(field, 6)?;
            if value > b'Z' - b'A' {
                return Err(self.bad(field, u64::from(value), "a letter is 0 (A) to 25 (Z)"));
            }
            *letter = char::from(b'A' + value);
        }
        Ok(letters)
    }

    /// A bit field of `count` numbers, of which the first is 1.
    pub(crate) fn numbers(&mut self, field: &'static str, count: u8) -> Result<NumberSet, IabError> {
        let mut numbers = NumberSet::default();
        for number in 1..=count {
            if self.flag(field)? {
                numbers.insert(number);
            }
        }
        Ok(numbers)
    }

    /// Vendors as `MaxVendorId`, then either one bit for each or ranges (`OptimizedIntRange`).
    pub(crate) fn vendors(&mut self, field: &'static str) -> Result<VendorSet, IabError> {
        let vendor_id_max = self.word(field, 16)?;
        if self.flag(field)? {
            return self.vendor_ranges(field, vendor_id_max);
        }
        let mut ranges = Vec::new();
        let mut first = None;
        for vendor_id in 1..=vendor_id_max {
            match (self.flag(field)?, first) {
                (true, None) => first = Some(vendor_id),
                (false, Some(open)) => {
                    ranges.push((open, vendor_id - 1));
                    first = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
        }
        ranges.extend(first.map(|open| (open, vendor_id_max)));
        Ok(VendorSet::from_ranges(ranges))
    }

    /// Vendors as a count and that many single ids and inclusive ranges.
    pub(crate) fn vendor_ranges(
        &mut self,
        field: &'static str,
        vendor_id_max: u16,
    ) -> Result<VendorSet, IabError> {
        let count = self.word(field, 12)?;
        let mut ranges = Vec::new();
        for _ in 0..count {
            let is_range = self.flag(field)?;
            let first = self.word(field, 16)?;
            let last = if is_range { self.word(field, 16)? } else { first };
            if first == 0 {
                return Err(self.bad(field, 0, "vendor ids begin at 1"));
            }
            if last < first {
                return Err(self.bad(field, u64::from(last), "a range ends at or after its first vendor"));
            }
            if last > vendor_id_max {
                return Err(self.bad(field, u64::from(last), "no vendor comes after its MaxVendorId"));
            }
            ranges.push((first, last));
        }
        Ok(VendorSet::from_ranges(ranges))
    }

    /// A count and that many offsets and lengths in Fibonacci code: ascending numbers, of which there may be at most
    /// `found`, because that many things follow.
    pub(crate) fn fibonacci_range(&mut self, field: &'static str, found: u64) -> Result<Vec<u16>, IabError> {
        let entries = self.word(field, 12)?;
        let mut numbers: Vec<u16> = Vec::new();
        let mut last = 0;
        for _ in 0..entries {
            let is_group = self.flag(field)?;
            let first = last + self.fibonacci(field)?;
            last = if is_group { first + self.fibonacci(field)? } else { first };
            for number in first..=last {
                let listed = u64::try_from(numbers.len()).unwrap_or(u64::MAX).saturating_add(1);
                if listed > found {
                    return Err(IabError::Count { part: self.part, listed, found });
                }
                let number =
                    u16::try_from(number).map_err(|_| self.bad(field, u64::from(number), "at most 65535"))?;
                numbers.push(number);
            }
        }
        Ok(numbers)
    }

    /// A number of at least 1: the sum of Fibonacci numbers, closed by two ones.
    fn fibonacci(&mut self, field: &'static str) -> Result<u32, IabError> {
        let (mut current, mut next, mut sum, mut before) = (1_u32, 2_u32, 0_u32, false);
        for _ in 0..FIBONACCI_BITS_MAX {
            let bit = self.flag(field)?;
            if bit && before {
                return Ok(sum);
            }
            if bit {
                sum += current;
            }
            (current, next, before) = (next, current + next, bit);
        }
        Err(self.bad(field, u64::from(sum), "a Fibonacci number ends within 23 bits"))
    }
}

fn six_bits(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'-' => Some(62),
        b'_' => Some(63),
        _ => None,
    }
}
