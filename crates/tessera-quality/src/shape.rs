//! The shape of a value: what it looks like, and not what it is.

use std::collections::BTreeMap;

use tessera_model::Timestamp;

/// Most shapes that one field tells apart: those of least hash, whatever the order they come in.
const SHAPES_MAX: usize = 512;
const SHAPE_CHARS_MAX: usize = 40;
/// Fewer people than these might be told by the shape of what they wrote.
pub(crate) const SHAPE_PEOPLE_MIN: u64 = 10;

/// `Ada.King+news@example.com` is `Aaa.Aaa+aaa@aaa.aaa`, `1985-12-10` is `9999-99-99`: letters become three of their kind,
/// up to four digits stay as many, and more become `9+`. Whatever is neither letter, digit nor ASCII is `?`.
pub(crate) fn shape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.trim().chars().peekable();
    let mut length = 0;
    while let Some(first) = rest.next() {
        let is_same = |letter: &char| match first.is_alphabetic() {
            true => letter.is_alphabetic(),
            false => letter.is_numeric(),
        };
        if first.is_alphabetic() || first.is_numeric() {
            let (mut count, mut uppers) = (1_usize, usize::from(first.is_uppercase()));
            while let Some(next) = rest.next_if(is_same) {
                count += 1;
                uppers += usize::from(next.is_uppercase());
            }
            let part = match (first.is_alphabetic(), count, uppers) {
                (false, 5.., _) => "9+",
                (false, ..) => "9999".get(..count).unwrap_or("9999"),
                (true, 2.., uppers) if uppers == count => "AAA",
                (true, ..) if first.is_uppercase() => "Aaa",
                (true, ..) => "aaa",
            };
            out.push_str(part);
        } else if first.is_whitespace() {
            out.push(' ');
        } else if first.is_ascii_graphic() {
            out.push(first);
        } else {
            out.push('?');
        }
        length += 1;
        if length >= SHAPE_CHARS_MAX / 4 && rest.peek().is_some() {
            out.push_str("...");
            break;
        }
    }
    out
}

/// How often each shape came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shapes {
    /// By hash of the shape, and the shape.
    kept: BTreeMap<(u64, String), u64>,
}

impl Shapes {
    pub(crate) fn add(&mut self, hash: u64, shape: String, times: u64) {
        *self.kept.entry((hash, shape)).or_default() += times;
        if self.kept.len() > SHAPES_MAX {
            self.kept.pop_last();
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for ((hash, shape), times) in &other.kept {
            self.add(*hash, shape.clone(), *times);
        }
    }

    /// The most frequent that enough people share, most frequent first.
    pub(crate) fn top(&self, most: usize) -> Vec<(&str, u64)> {
        let mut found: Vec<(&str, u64)> = self
            .kept
            .iter()
            .filter(|(_, times)| **times >= SHAPE_PEOPLE_MIN)
            .map(|((_, shape), times)| (shape.as_str(), *times))
            .collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        found.truncate(most);
        found
    }
}

/// Ages of words, in days: up to each of these, then older, and in the future.
pub(crate) const AGE_DAYS: [i64; 6] = [1, 7, 30, 90, 365, 730];

const DAY_MILLIS: i64 = 86_400_000;

/// How old words are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ages {
    /// Up to each of [`AGE_DAYS`], and older.
    pub(crate) counts: [u64; 7],
    /// Said more than a day from now.
    pub(crate) future: u64,
    pub(crate) latest: Option<Timestamp>,
}

impl Ages {
    pub(crate) fn add(&mut self, at: Timestamp, now: Timestamp) {
        let days = now.millis_since(at) / DAY_MILLIS;
        if now.millis_since(at) < -DAY_MILLIS {
            self.future += 1;
        }
        let place = AGE_DAYS.iter().position(|limit| days < *limit).unwrap_or(AGE_DAYS.len());
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.latest = self.latest.max(Some(at));
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *ours += theirs;
        }
        self.future += other.future;
        self.latest = self.latest.max(other.latest);
    }

    /// Said within a year.
    pub(crate) fn fresh(&self) -> u64 {
        self.counts.iter().take(5).sum::<u64>()
    }
}
