//! What stewards and matchers order: words on who is who, and taking them back.
//!
//! Not sensible: pairs are any two addresses, mostly two of one person or those that something holds together.

use tessera_model::{
    FragmentId, LinkOrder, Operation, Score, Selector, Strength, Timestamp, UndoId, Verdict,
};

use super::message::{Address, MATCHER};
use super::people::People;
use super::random::Random;

/// An order of somebody.
pub(crate) fn order(random: &mut Random, people: &People, at: Timestamp) -> Operation {
    let (a, b) = pair(random, people);
    let (by, reason) = ("ruth".to_owned(), "looked at it".to_owned());
    match random.below(10) {
        0..=2 => Operation::Link { pairs: vec![link(random, (a, b), Strength::Probable, at)] },
        3 => Operation::Link { pairs: vec![link(random, (a, b), Strength::Manual, at)] },
        4 | 5 => Operation::Judge { a, b, verdict: Verdict::Different, by, reason },
        6 => Operation::Judge { a, b, verdict: Verdict::Unsure, by, reason },
        7 | 8 => {
            let id = UndoId(u128::from(random.below(u64::MAX)));
            Operation::Undo { id, selector: Selector::Edge { a, b }, fragments: vec![a, b], by, reason }
        }
        _ => match random.pick(&people.undos()) {
            Some((id, (a, b))) => Operation::Redo { id: *id, fragments: vec![a.id, b.id], by, reason },
            None => Operation::Resolve { fragments: vec![a, b] },
        },
    }
}

fn link(
    random: &mut Random,
    (a, b): (FragmentId, FragmentId),
    strength: Strength,
    at: Timestamp,
) -> LinkOrder {
    let is_probable = strength == Strength::Probable;
    let score = if is_probable { random.pick(&[0.95, 0.99]).copied().and_then(Score::of) } else { None };
    let by = if is_probable { MATCHER } else { "ruth" };
    LinkOrder { a, b, strength, score, by: by.to_owned(), reason: String::new(), at }
}

/// Two different addresses; half of the time two that evidence has brought together.
fn pair(random: &mut Random, people: &People) -> (FragmentId, FragmentId) {
    let all: Vec<&Address> = people.seen.keys().collect();
    let any = |random: &mut Random| random.pick(&all).map(|address| address.id).unwrap_or_default();
    if random.one_in(2)
        && let Some((a, b)) = random.pick(&people.linked())
    {
        return (a.id, b.id);
    }
    let (a, b) = (any(random), any(random));
    if a == b { (a, FragmentId::default()) } else { (a, b) }
}
