//! What stewards and matchers say about who is who, and what takes it back: the parts of operations that carry it.
//!
//! Not a decision: what follows from a word is computed in `tessera-identity`. People are named by fragment only.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FragmentId, MessageDigest, SourceName, Timestamp};

/// How strong a piece of evidence is; the stronger is weighed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// An `alias` call said so. Limits do not apply.
    Declared,
    /// A steward said so. Limits do not apply, and an earlier word that they are two people does not either.
    Manual,
    /// Both stood on one event.
    Deterministic,
    /// A matcher thinks so.
    Probable,
}

/// How likely a matcher holds it that two profiles are one person. Invariant: in ten-thousandths, 0..=10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Score(u16);

/// A number is no score: it is not within 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a score is a number from 0 to 1")]
pub struct NotAScore;

impl Score {
    /// From a probability, rounded down: a score never promises more than the matcher did.
    #[must_use]
    pub fn of(probability: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&probability) {
            return None;
        }
        // A ten-thousandth that has passed through a float comes back as itself.
        let scaled = (probability * 10_000.0 + 1e-6).floor();
        (0..=10_000_u16).rev().find(|whole| f64::from(*whole) <= scaled).map(Self)
    }

    /// As a probability.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }
}

impl From<Score> for f64 {
    fn from(score: Score) -> Self {
        score.as_f64()
    }
}

impl TryFrom<f64> for Score {
    type Error = NotAScore;

    fn try_from(probability: f64) -> Result<Self, NotAScore> {
        Self::of(probability).ok_or(NotAScore)
    }
}

/// What a steward says of two identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// One person.
    Same,
    /// No word, or an earlier one taken back.
    Unsure,
    /// Two people.
    Different,
}

/// That two identifiers are one person's, as a steward or a matcher says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkOrder {
    /// One.
    pub a: FragmentId,
    /// The other.
    pub b: FragmentId,
    /// How strong: `manual` or `probable`.
    pub strength: Strength,
    /// How likely, if a matcher says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// The account or the matcher that says so.
    pub by: String,
    /// Why, for those who ask later. Names no persons.
    #[serde(default)]
    pub reason: String,
    /// When it was found; never after the order itself.
    pub at: Timestamp,
}

/// A pair that a steward is to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewOrder {
    /// One identifier of the one.
    pub a: FragmentId,
    /// One of the other.
    pub b: FragmentId,
    /// How likely they are one person.
    pub score: Score,
    /// The matcher that asks.
    pub matcher: String,
    /// How the score came about, level by level: names, levels, weights. No values of anybody.
    #[serde(default)]
    pub waterfall: serde_json::Value,
    /// A word to the steward. Names no persons.
    #[serde(default)]
    pub note: String,
}

/// Names an undo. Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct UndoId(pub u128);

impl UndoId {
    /// Reads an id as it is shown.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if is_hex { u128::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for UndoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl From<UndoId> for String {
    fn from(id: UndoId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for UndoId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("an undo is named by 32 hexadecimal digits")
    }
}

/// Which evidence an undo takes away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Selector {
    /// All between two identifiers, but for what a steward says later.
    Edge {
        /// One.
        a: FragmentId,
        /// The other.
        b: FragmentId,
    },
    /// All that one event said, also when it comes again.
    Event {
        /// The hash of its message id.
        message: MessageDigest,
    },
    /// All that a source or matcher said of what was received from `from` on and before `to`.
    Source {
        /// Which.
        source: SourceName,
        /// From when on; absent: from the beginning.
        #[serde(default)]
        from: Option<Timestamp>,
        /// Until when, not itself included.
        to: Timestamp,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_read_back_as_written_and_never_promise_more() {
        for whole in 0..=10_000 {
            assert_eq!(Score::of(Score(whole).as_f64()), Some(Score(whole)));
        }
        assert_eq!(Score::of(0.949_99).map(Score::as_f64), Some(0.9499));
        assert_eq!([Score::of(-0.1), Score::of(1.1), Score::of(f64::NAN)], [None; 3]);
    }

    #[test]
    fn undo_ids_read_back_as_shown() {
        let id = UndoId(0x2f);
        assert_eq!(UndoId::parse(&id.to_string()), Some(id));
        assert_eq!(UndoId::parse("2f"), None);
        assert_eq!(UndoId::parse(&"+".repeat(32)), None);
    }
}
