//! An encoder as the specifications describe it, independent of the decoder: bits in a vector, text at the end.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Collects bits, the highest first.
#[derive(Default)]
pub(super) struct Writer(Vec<bool>);

impl Writer {
    pub(super) fn int(&mut self, value: u64, bits: u32) -> &mut Self {
        assert!(value < 1 << bits, "{value} does not fit {bits} bits");
        self.0.extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    /// `count` fields of two bits.
    pub(super) fn ints(&mut self, value: u64, count: usize) -> &mut Self {
        for _ in 0..count {
            self.int(value, 2);
        }
        self
    }

    pub(super) fn letters(&mut self, letters: &str) -> &mut Self {
        for letter in letters.bytes() {
            self.int(u64::from(letter - b'A'), 6);
        }
        self
    }

    pub(super) fn numbers(&mut self, numbers: &[u8], count: u8) -> &mut Self {
        for number in 1..=count {
            self.0.push(numbers.contains(&number));
        }
        self
    }

    pub(super) fn vendors(&mut self, ids: &[u16], as_ranges: bool) -> &mut Self {
        let max = ids.iter().copied().max().unwrap_or(0);
        self.int(u64::from(max), 16).int(u64::from(as_ranges), 1);
        if as_ranges {
            return self.ranges(ids);
        }
        for id in 1..=max {
            self.0.push(ids.contains(&id));
        }
        self
    }

    /// Ascending ids, as ranges of neighbours.
    pub(super) fn ranges(&mut self, ids: &[u16]) -> &mut Self {
        let groups: Vec<&[u16]> = ids.chunk_by(|one, next| one + 1 == *next).collect();
        self.int(groups.len() as u64, 12);
        for group in groups {
            let (first, last) = (group[0], group[group.len() - 1]);
            self.int(u64::from(first != last), 1).int(u64::from(first), 16);
            if first != last {
                self.int(u64::from(last), 16);
            }
        }
        self
    }

    /// Ascending numbers, as groups of neighbours in Fibonacci code.
    pub(super) fn fibonacci_range(&mut self, numbers: &[u16]) -> &mut Self {
        let groups: Vec<&[u16]> = numbers.chunk_by(|one, next| one + 1 == *next).collect();
        self.int(groups.len() as u64, 12);
        let mut before = 0;
        for group in groups {
            let (first, last) = (group[0], group[group.len() - 1]);
            self.int(u64::from(first != last), 1).fibonacci(first - before);
            if first != last {
                self.fibonacci(last - first);
            }
            before = last;
        }
        self
    }

    fn fibonacci(&mut self, value: u16) -> &mut Self {
        let mut fibonacci = vec![1_u16, 2];
        while let Some(next) = fibonacci[fibonacci.len() - 2].checked_add(fibonacci[fibonacci.len() - 1]) {
            fibonacci.push(next);
        }
        fibonacci.retain(|number| *number <= value);
        let (mut rest, mut code) = (value, vec![true]);
        for number in fibonacci.into_iter().rev() {
            code.push(number <= rest);
            rest -= if number <= rest { number } else { 0 };
        }
        self.0.extend(code.into_iter().rev());
        self
    }

    pub(super) fn text(&self) -> String {
        let six =
            |bits: &[bool]| (0..6).fold(0, |value, at| value << 1 | usize::from(bits.get(at) == Some(&true)));
        self.0.chunks(6).map(|bits| char::from(ALPHABET[six(bits)])).collect()
    }
}

/// The GPP header of these sections, ascending.
pub(super) fn header(ids: &[u16]) -> String {
    Writer::default().int(3, 6).int(1, 6).fibonacci_range(ids).text()
}

#[test]
fn the_encoder_writes_the_specifications_headers() {
    assert_eq!(header(&[2]), "DBABM");
    assert_eq!(header(&[2, 6]), "DBACNY");
    assert_eq!(header(&[5, 6]), "DBABjw");
    assert_eq!(header(&[2, 5, 6]), "DBACOe");
}
