//! Each operator broken on purpose: the test that holds SQL and oracle against each other must notice every one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tessera_audience::cases::Mutation;

use super::*;

/// People of each case, so that one query tells much.
const PEOPLE: usize = 40;

fn case(seed: u64, people: usize) -> CrowdCase {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut numbers = |count| (0..count).map(|_| random.next_u32()).collect::<Vec<_>>();
    let definitions = numbers(100);
    let people: Vec<Vec<u32>> = (0..people).map(|_| numbers(200)).collect();
    CrowdCase::choose(&definitions, &people)
}

fn unnoticed(mutations: impl Iterator<Item = Mutation>) -> Vec<Mutation> {
    let runtime = runtime();
    let notices = |mutation: &Mutation, seed| {
        // Most definitions have not the operator that is looked for.
        if mutation.of(&case(seed, 0).definitions).is_none() {
            return false;
        }
        let case = case(seed, PEOPLE);
        let mutant = mutation.of(&case.definitions);
        mutant.is_some_and(|mutant| by_sql(&runtime, &case, &mutant) != case.by_oracle())
    };
    mutations.filter(|mutation| !mutation.is_noticed(|seed| notices(mutation, seed))).collect()
}

#[test]
fn every_operator_that_stands_for_another_is_noticed() {
    let unnoticed = unnoticed(Mutation::operators());
    assert!(unnoticed.is_empty(), "SQL could take the one for the other: {unnoticed:?}");
}

#[test]
fn every_part_that_is_left_out_or_changed_is_noticed() {
    let unnoticed = unnoticed(Mutation::parts());
    assert!(unnoticed.is_empty(), "SQL could ignore {unnoticed:?}");
}
