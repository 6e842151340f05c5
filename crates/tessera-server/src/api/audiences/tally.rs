//! What was found of a part of all people, and what that says of all.

use serde::Serialize;
use tessera_audience::{Condition, Definitions, Reason};
use tessera_model::{FragmentId, PurposeName};
use utoipa::ToSchema;

/// How many standard deviations 95 of 100 samples lie within.
const DEVIATIONS: f64 = 1.96;
/// How many levels of a condition are counted apart.
const LEVELS_MAX: usize = 32;

/// A number of people: known, or estimated from a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Estimate {
    /// About how many.
    pub(crate) people: u64,
    /// Of 100 samples 95 would say at least so many,
    pub(crate) least: u64,
    /// and at most so many.
    pub(crate) most: u64,
}

/// How many were looked at, and for how many they stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base {
    pub(super) looked_at: u64,
    /// The part of all hashes that was walked through; `None`: all.
    pub(super) part: Option<f64>,
}

impl Base {
    /// Of everybody up to `next`.
    pub(super) fn new(looked_at: u64, next: Option<&str>) -> Self {
        let id = next.and_then(|text| text.parse::<FragmentId>().ok());
        Self { looked_at, part: id.map(|id| part_before(&id)) }
    }

    /// For how many those who were looked at stand.
    pub(super) fn everybody(&self) -> u64 {
        self.part.map_or(self.looked_at, |part| rounded(as_f64(self.looked_at) / part))
    }

    /// What `found` of those who were looked at says of everybody: by the interval of Wilson.
    pub(super) fn estimate(&self, found: u64) -> Estimate {
        if self.part.is_none() || self.looked_at == 0 {
            return Estimate { people: found, least: found, most: found };
        }
        let (n, all) = (as_f64(self.looked_at), as_f64(self.everybody()));
        let share = as_f64(found) / n;
        let square = DEVIATIONS * DEVIATIONS;
        let middle = (share + square / (2.0 * n)) / (1.0 + square / n);
        let half =
            DEVIATIONS / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        let least = rounded(((middle - half) * all).max(as_f64(found)));
        Estimate { people: rounded(share * all), least, most: rounded((middle + half).min(1.0) * all) }
    }
}

/// The part of all hashes that come before one.
fn part_before(id: &FragmentId) -> f64 {
    let high = id.0.iter().take(8).fold(0_u64, |high, byte| (high << 8) | u64::from(*byte));
    (as_f64(high) / as_f64(u64::MAX)).max(f64::MIN_POSITIVE)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate needs no more than 53 bits")]
const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and saturating")]
const fn rounded(number: f64) -> u64 {
    number.round() as u64
}

/// A condition, and of how many people it holds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Counted {
    /// As text.
    pub(crate) condition: String,
    /// Of how many of those who were looked at it holds.
    pub(crate) holds: u64,
    /// How many are left, or come in, after it and all before it. Of the parts of `and` and `or`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) so_far: Option<u64>,
    /// How many it alone decides: without it they would be in (`and`), or out (`or`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alone: Option<u64>,
    /// Its parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub(crate) parts: Vec<Self>,
}

impl Counted {
    /// Nobody was looked at yet.
    pub(super) fn new(condition: &Condition, definitions: &Definitions) -> Self {
        Self::within(condition, definitions, 0)
    }

    fn within(condition: &Condition, definitions: &Definitions, level: usize) -> Self {
        let is_joined = matches!(condition, Condition::All(_) | Condition::Any(_));
        let parts = if level < LEVELS_MAX { below(condition, definitions) } else { Vec::new() };
        let count = |part: &&Condition| {
            let counted = Self::within(part, definitions, level + 1);
            let zero = is_joined.then_some(0);
            Self { so_far: zero, alone: zero, ..counted }
        };
        Self {
            condition: condition.to_string(),
            holds: 0,
            so_far: None,
            alone: None,
            parts: parts.iter().map(count).collect(),
        }
    }

    /// Counts one person. `permits`: whether a purpose permits to look at them; of the audience of another nothing is counted.
    pub(super) fn add(
        &mut self,
        condition: &Condition,
        definitions: &Definitions,
        (reason, permits): (&Reason, &dyn Fn(&PurposeName) -> bool),
    ) {
        self.holds += u64::from(reason.holds);
        if let Condition::Audience(name) = condition
            && definitions.audience(name).is_none_or(|other| !permits(&other.purpose))
        {
            return;
        }
        let parts = below(condition, definitions);
        for ((counted, part), reason) in self.parts.iter_mut().zip(parts).zip(&reason.parts) {
            counted.add(part, definitions, (reason, permits));
        }
        // Of `and` those who fail are told apart, of `or` those who hold.
        let telling = match condition {
            Condition::All(_) => false,
            Condition::Any(_) => true,
            Condition::Not(_)
            | Condition::Value(_)
            | Condition::Compare(_)
            | Condition::Date(_)
            | Condition::Anniversary(_)
            | Condition::Sequence(_)
            | Condition::Audience(_)
            | Condition::Consent(_)
            | Condition::Subscription(_)
            | Condition::Sample(_) => return,
        };
        let are: Vec<bool> = reason.parts.iter().map(|part| part.holds == telling).collect();
        let told = are.iter().filter(|is| **is).count();
        let mut any_so_far = false;
        for (counted, is) in self.parts.iter_mut().zip(&are) {
            any_so_far |= *is;
            let is_in = any_so_far == telling;
            counted.so_far = counted.so_far.map(|so_far| so_far + u64::from(is_in));
            counted.alone = counted.alone.map(|alone| alone + u64::from(*is && told == 1));
        }
    }
}

/// The parts of a condition, as [`Reason::parts`] has them.
pub(super) fn below<'a>(condition: &'a Condition, definitions: &'a Definitions) -> Vec<&'a Condition> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().collect(),
        Condition::Not(part) => vec![part],
        Condition::Audience(name) => definitions.audience(name).map(|one| &one.when).into_iter().collect(),
        Condition::Value(_)
        | Condition::Compare(_)
        | Condition::Date(_)
        | Condition::Anniversary(_)
        | Condition::Sequence(_)
        | Condition::Consent(_)
        | Condition::Subscription(_)
        | Condition::Sample(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_stands_for_everybody_within_its_margin() {
        let half = FragmentId([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).to_string();
        let base = Base::new(1_000, Some(&half));
        assert_eq!(base.everybody(), 2_000);
        let estimate = base.estimate(100);
        assert_eq!(estimate.people, 200);
        assert!((160..200).contains(&estimate.least) && (201..250).contains(&estimate.most), "{estimate:?}");
        let whole = Base::new(1_000, None).estimate(100);
        assert_eq!(whole, Estimate { people: 100, least: 100, most: 100 });
        let none = base.estimate(0);
        assert!(none.people == 0 && none.most > 0, "nobody in a sample is not nobody: {none:?}");
    }

    fn reason(holds: bool, parts: Vec<Reason>) -> Reason {
        Reason { holds, next_change_at: None, values: vec![], against: vec![], events: vec![], parts }
    }

    #[test]
    fn each_condition_says_how_many_are_left_and_how_many_it_alone_decides() {
        let definitions = Definitions::default();
        let check = |text: &str, people: &[[bool; 3]], is_member: fn(&[bool; 3]) -> bool| {
            let condition = Condition::parse(text).unwrap();
            let mut counted = Counted::new(&condition, &definitions);
            for one in people {
                let parts = one.iter().map(|holds| reason(*holds, Vec::new())).collect();
                counted.add(&condition, &definitions, (&reason(is_member(one), parts), &|_| true));
            }
            let line = |one: &Counted| (one.holds, one.so_far.unwrap(), one.alone.unwrap());
            (counted.holds, counted.parts.iter().map(line).collect::<Vec<_>>())
        };
        let people = [[true, true, true], [true, true, false], [true, false, false], [false, true, true]];
        let all = check("a = 1 and b = 1 and c = 1", &people, |one| one.iter().all(|is| *is));
        assert_eq!(all, (1, vec![(3, 3, 1), (3, 2, 0), (2, 1, 1)]));
        let any = check("a = 1 or b = 1 or c = 1", &people, |one| one.iter().any(|is| *is));
        assert_eq!(any, (4, vec![(3, 3, 1), (3, 4, 0), (2, 4, 0)]));
    }
}
