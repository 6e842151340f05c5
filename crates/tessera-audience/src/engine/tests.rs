//! The engine against the oracle, and what must always hold of what it keeps.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tessera_model::Timestamp;

use super::*;
use crate::cases::Case;
use crate::{Condition, Definitions, Oracle, Person};

/// Every answer of the oracle, in the order of `Compiled`.
fn expected(case: &Case, now: Timestamp) -> Vec<Outcome> {
    let oracle = Oracle::new(&case.definitions, &case.person, now);
    let values =
        case.definitions.traits.iter().map(|one| Outcome::Values(oracle.computed(one.name.as_str())));
    let members = case.definitions.audiences.iter().map(|one| Outcome::Member(oracle.is_member(&one.name)));
    values.chain(members).collect()
}

fn compile(definitions: &Definitions) -> Compiled {
    Compiled::new(&definitions.audiences, &definitions.traits).unwrap()
}

fn outcomes(answers: Vec<Answer>) -> Vec<Outcome> {
    answers.into_iter().map(|answer| answer.outcome).collect()
}

fn ask(compiled: &Compiled, person: &Streamed<'_>, now: Timestamp) -> Vec<Outcome> {
    outcomes(compiled.evaluate(person, now, compiled.all()))
}

fn case() -> impl Strategy<Value = Case> {
    prop::collection::vec(any::<u32>(), 0..400).prop_map(|numbers| Case::choose(&numbers))
}

fn shuffled(person: &Person, keys: &[u32]) -> Person {
    let mut person = person.clone();
    let mut events: Vec<_> = person.events.drain(..).enumerate().collect();
    events.sort_by_key(|(place, _)| keys.get(place % keys.len().max(1)).copied());
    person.events = events.into_iter().map(|(_, event)| event).collect();
    person
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_500, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn engine_and_oracle_agree(case in case(), fragments in 1_usize..4) {
        let compiled = compile(&case.definitions);
        let streamed = Streamed::new(&case.person, fragments).stream(&compiled);
        for now in &case.nows {
            prop_assert_eq!(ask(&compiled, &streamed, *now), expected(&case, *now), "at {}", now);
        }
    }

    #[test]
    fn an_answer_stands_until_its_next_change(case in case(), fractions in prop::collection::vec(0_u32..1000, 3)) {
        let compiled = compile(&case.definitions);
        let streamed = Streamed::new(&case.person, 2).stream(&compiled);
        for now in &case.nows {
            for answer in compiled.evaluate(&streamed, *now, compiled.all()) {
                stands(&case, &compiled, &streamed, *now, &answer, &fractions)?;
            }
        }
    }
}

/// The oracle says the same at any time before the next change, and the engine agrees with it there.
fn stands(
    case: &Case,
    compiled: &Compiled,
    streamed: &Streamed<'_>,
    now: Timestamp,
    answer: &Answer,
    fractions: &[u32],
) -> Result<(), TestCaseError> {
    let year = 366 * 86_400_000;
    let end = answer.next_change_at.unwrap_or_else(|| now.plus_millis(12 * year));
    prop_assert!(end > now);
    let length = end.millis_since(now);
    let inside = fractions.iter().map(|fraction| now.plus_millis(length * i64::from(*fraction) / 1000));
    for then in inside.chain([end.plus_millis(-1)]) {
        let said = expected(case, then);
        prop_assert_eq!(Some(&answer.outcome), said.get(answer.ordinal.0), "{} to {}, at {}", now, end, then);
    }
    let at_end = compiled.evaluate(streamed, end, [answer.ordinal]).pop().map(|answer| answer.outcome);
    let said = expected(case, end);
    prop_assert_eq!(at_end.as_ref(), said.get(answer.ordinal.0), "at {}", end);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_does_not_depend_on_order(
        case in case(),
        keys in prop::collection::vec(any::<u32>(), 1..50),
    ) {
        let compiled = compile(&case.definitions);
        let one = Streamed::new(&case.person, 2).stream(&compiled);
        let person = shuffled(&case.person, &keys);
        let other = Streamed::new(&person, 2).stream(&compiled);
        prop_assert_eq!(one.states(), other.states());
    }

    #[test]
    fn what_is_kept_is_stored_and_read_back_as_it_was(case in case()) {
        let compiled = compile(&case.definitions);
        let streamed = Streamed::new(&case.person, 3).stream(&compiled);
        for state in streamed.states() {
            let bytes = postcard::to_allocvec(state).unwrap();
            prop_assert_eq!(&postcard::from_bytes::<FragmentState>(&bytes).unwrap(), state);
        }
    }

    #[test]
    fn fragments_say_together_what_one_would(case in case(), fragments in 2_usize..6) {
        let compiled = compile(&case.definitions);
        let one = Streamed::new(&case.person, 1).stream(&compiled);
        let several = Streamed::new(&case.person, fragments).stream(&compiled);
        let mut merged = FragmentState::default();
        several.states().iter().rev().for_each(|state| merged.merge(&compiled, state));
        prop_assert_eq!(&merged, &one.states()[0]);
        for now in &case.nows {
            prop_assert_eq!(ask(&compiled, &several, *now), ask(&compiled, &one, *now));
        }
    }

    #[test]
    fn a_definition_that_comes_later_is_filled_without_the_others_noticing(case in case()) {
        let Some((last, first)) = case.definitions.audiences.split_last() else { return Ok(()) };
        // A computed trait may speak of the last one as well.
        let Ok(few) = Compiled::new(first, &case.definitions.traits) else { return Ok(()) };
        let all = compile(&case.definitions);
        let whole = Streamed::new(&case.person, 1).stream(&all);
        let mut filled = Streamed::new(&case.person, 1).stream(&few).states()[0].clone();
        let history = Streamed::new(&shuffled(&case.person, &[3, 1, 2]), 1).stream(&all).states()[0].clone();
        let new: Vec<FeatureId> = all.features().filter(|id| !few.features().any(|known| known == *id)).collect();
        new.iter().for_each(|id| filled.replace(&all, *id, &history));
        prop_assert_eq!(&filled, &whole.states()[0], "{}", last.name);
        // And it goes again without a trace, but for how far the others have been swept.
        filled.forget_unasked(&few);
        filled.sweep(&few, case.nows[0]);
        let mut before = Streamed::new(&case.person, 1).stream(&few);
        before.sweep(&few, case.nows[0]);
        prop_assert_eq!(&filled, &before.states()[0]);
    }

    #[test]
    fn a_sweep_changes_no_answer_from_then_on(case in case(), sweep in 0_usize..4) {
        let compiled = compile(&case.definitions);
        let streamed = Streamed::new(&case.person, 2).stream(&compiled);
        let swept_at = case.nows[sweep.min(case.nows.len() - 1)];
        let mut swept = streamed.clone();
        swept.sweep(&compiled, swept_at);
        for now in case.nows.iter().filter(|now| **now >= swept_at) {
            let (one, other) = (ask(&compiled, &streamed, *now), ask(&compiled, &swept, *now));
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn explanations_say_what_answers_say_and_have_the_form_of_the_definition(case in case()) {
        let compiled = compile(&case.definitions);
        let streamed = Streamed::new(&case.person, 2).stream(&compiled);
        let now = case.nows[0];
        for answer in compiled.evaluate(&streamed, now, compiled.all()) {
            let reason = compiled.explain(&streamed, now, answer.ordinal).unwrap();
            prop_assert_eq!(reason.next_change_at, answer.next_change_at);
            match answer.outcome {
                Outcome::Member(holds) => prop_assert_eq!(reason.holds, holds),
                Outcome::Values(values) => prop_assert_eq!(&reason.values, &values),
            }
            let Some(audience) = answer.ordinal.0.checked_sub(case.definitions.traits.len()) else { continue };
            has_form(&case.definitions, &case.definitions.audiences[audience].when, &reason)?;
            prop_assert!(all_events(&reason).iter().all(|because| because.at <= now));
        }
    }
}

fn has_form(definitions: &Definitions, condition: &Condition, reason: &Reason) -> Result<(), TestCaseError> {
    let parts: Vec<&Condition> = if let Condition::All(parts) | Condition::Any(parts) = condition {
        parts.iter().collect()
    } else if let Condition::Not(part) = condition {
        vec![part]
    } else if let Condition::Audience(name) = condition {
        definitions.audience(name).map(|one| &one.when).into_iter().collect()
    } else {
        Vec::new()
    };
    prop_assert_eq!(parts.len(), reason.parts.len());
    let holds: Vec<bool> = reason.parts.iter().map(|part| part.holds).collect();
    if let Condition::All(_) = condition {
        prop_assert_eq!(reason.holds, holds.iter().all(|holds| *holds));
    } else if let Condition::Any(_) = condition {
        prop_assert_eq!(reason.holds, holds.iter().any(|holds| *holds));
    } else if let Condition::Not(_) = condition {
        prop_assert_eq!(vec![!reason.holds], holds);
    } else if let Condition::Sequence(sequence) = condition {
        let steps: Vec<_> = reason.events.iter().map(|because| because.at).collect();
        prop_assert_eq!(steps.len(), if reason.holds { sequence.steps.len() } else { 0 });
        prop_assert!(steps.is_sorted_by(|a, b| a < b));
    }
    parts.into_iter().zip(&reason.parts).try_for_each(|(part, reason)| has_form(definitions, part, reason))
}

fn all_events(reason: &Reason) -> Vec<Because> {
    reason.events.iter().cloned().chain(reason.parts.iter().flat_map(all_events)).collect()
}

mod mutants;
