//! Each operator broken on purpose: the test that holds engine and oracle against each other must notice every one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::*;
use crate::cases::Mutation;

fn notices(mutation: &Mutation, seed: u64) -> bool {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let numbers: Vec<u32> = (0..300).map(|_| random.next_u32()).collect();
    let case = Case::choose(&numbers);
    let Some(mutant) = mutation.of(&case.definitions) else { return false };
    let compiled = compile(&mutant);
    let streamed = Streamed::new(&case.person, 1).stream(&compiled);
    case.nows.iter().any(|now| ask(&compiled, &streamed, *now) != expected(&case, *now))
}

fn unnoticed(mutations: impl Iterator<Item = Mutation>) -> Vec<Mutation> {
    mutations.filter(|mutation| !mutation.is_noticed(|seed| notices(mutation, seed))).collect()
}

#[test]
fn every_operator_that_stands_for_another_is_noticed() {
    let unnoticed = unnoticed(Mutation::operators());
    assert!(unnoticed.is_empty(), "the engine could take the one for the other: {unnoticed:?}");
}

#[test]
fn every_part_that_is_left_out_or_changed_is_noticed() {
    let unnoticed = unnoticed(Mutation::parts());
    assert!(unnoticed.is_empty(), "the engine could ignore {unnoticed:?}");
}
