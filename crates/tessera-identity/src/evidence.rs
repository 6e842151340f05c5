//! Why two identifiers are thought to be one person's.

use std::cmp::{Ordering, Reverse};

use serde::{Deserialize, Serialize};
use tessera_model::{
    FragmentId, MessageKey, Score, Selector, SourceName, Strength, Timestamp, UndoId, Verdict,
};

/// Who said it, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Word {
    /// The account or the matcher.
    pub by: Box<str>,
    /// Why.
    pub reason: Box<str>,
}

/// One piece of evidence: what, when, which event, from where. Ordered by weight: strongest, likeliest and earliest
/// first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How strong.
    pub strength: Strength,
    /// How likely, if a matcher says so.
    pub score: Option<Score>,
    /// When the event happened.
    pub at: Timestamp,
    /// Which event, or which order.
    pub message: MessageKey,
    /// Which source sent it, or which matcher found it.
    pub source: SourceName,
    /// When it was received: of repeats, the first time.
    pub received_at: Timestamp,
    /// Whose word it is, if it is a steward's or a matcher's.
    pub word: Option<Box<Word>>,
}

impl Evidence {
    /// Between equals only those that differ in nothing remain, so that the order of arrival decides nothing.
    #[expect(clippy::type_complexity, reason = "a key to sort by, used here alone")]
    fn key(
        &self,
    ) -> (Strength, Reverse<Option<Score>>, Timestamp, &MessageKey, &SourceName, Timestamp, Option<&Word>)
    {
        let Self { strength, score, at, message, source, received_at, word } = self;
        (*strength, Reverse(*score), *at, message, source, *received_at, word.as_deref())
    }

    /// Whether both ends stood on one event, as against somebody's having thought so.
    pub(crate) fn is_sight(&self) -> bool {
        matches!(self.strength, Strength::Declared | Strength::Deterministic)
    }

    fn arrival(&self) -> (Timestamp, Timestamp, &MessageKey) {
        (self.received_at, self.at, &self.message)
    }
}

impl Ord for Evidence {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Evidence {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// That two identifiers are two people's, as a steward or a split said, or that such a word is taken back. The last
/// word counts; of one moment the stricter. That they are one person's is evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// What.
    pub verdict: Verdict,
    /// When.
    pub at: Timestamp,
    /// Who and why.
    pub word: Word,
}

impl Judgement {
    pub(crate) fn is_after(&self, other: &Self) -> bool {
        (self.at, self.verdict, &self.word) > (other.at, other.verdict, &other.word)
    }
}

/// That a word against a pair, said up to `said_at`, gives way to the steward's evidence between `by` received then, as
/// long as that counts: the steward saw the two profiles as they were, and `pair` went through both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Overruled {
    pub(crate) pair: (FragmentId, FragmentId),
    pub(crate) said_at: Timestamp,
    pub(crate) by: (FragmentId, FragmentId),
}

/// Evidence that an undo took away.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Undone {
    /// Which undo.
    pub id: UndoId,
    /// Which evidence.
    pub selector: Selector,
    /// When.
    pub at: Timestamp,
}

/// Adds a word to the words of an edge, which stand in the order of their weight. Of the words of one source and strength
/// for which `is_heard` says the same, those stay that must be known when some are taken away: the two weightiest, the
/// two that were received first, and the two that were received last. So four are all kept, and of many six at most.
///
/// The choice from a set is the same however the set came together, for each of them is a least or a greatest.
pub(crate) fn remember(words: &mut Vec<Evidence>, mut new: Evidence, is_heard: impl Fn(&Evidence) -> bool) {
    let is_kin = |word: &Evidence| word.strength == new.strength && word.source == new.source;
    // A repeat happened and was received when it first did.
    let repeated = words.iter().position(|word| is_kin(word) && word.message == new.message);
    if let Some(known) = repeated.map(|at| words.remove(at)) {
        let received_at = known.received_at.min(new.received_at);
        new = known.min(new);
        new.received_at = received_at;
    }
    let is_kin = |word: &Evidence| word.strength == new.strength && word.source == new.source;
    let heard = is_heard(&new);
    let mut kin: Vec<usize> = (0..words.len())
        .filter(|at| words.get(*at).is_some_and(|w| is_kin(w) && is_heard(w) == heard))
        .collect();
    let place = words.partition_point(|word| *word < new);
    words.insert(place, new);
    if kin.len() < 4 {
        return;
    }
    kin.iter_mut().for_each(|at| *at += usize::from(*at >= place));
    kin.push(place);
    kin.sort_unstable();
    let mut by_arrival = kin.clone();
    by_arrival.sort_by_key(|at| words.get(*at).map(Evidence::arrival));
    let last = by_arrival.len().saturating_sub(2);
    let is_kept = |at: usize| {
        kin.iter().take(2).any(|kept| *kept == at)
            || by_arrival.iter().take(2).any(|kept| *kept == at)
            || by_arrival.iter().skip(last).any(|kept| *kept == at)
    };
    let gone: Vec<usize> = kin.iter().copied().filter(|at| !is_kept(*at)).collect();
    for at in gone.into_iter().rev() {
        words.remove(at);
    }
}
