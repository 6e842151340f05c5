//! Holds the engine and the oracle against each other: `differential CASES [SEED]`.
//!
//! Each case is a random set of definitions, a random person and up to four moments. Prints every case in which the two
//! differ, cut down as far as it still does, and at the end how many there were.
#![expect(clippy::print_stdout, clippy::panic, reason = "a tool for developers")]

use std::process::ExitCode;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tessera_audience::cases::Case;
use tessera_audience::{Answer, Compiled, Oracle, Outcome, Streamed};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(cases)), seed) = (arguments.next(), arguments.next()) else {
        panic!("differential CASES [SEED]");
    };
    let Ok(seed) = seed.unwrap_or(Ok(0)) else { panic!("differential CASES [SEED]") };
    let (mut pairs, mut members, mut differences) = (0_u64, 0_u64, 0_u64);
    for number in 0..cases {
        let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_000_007).wrapping_add(number));
        let length = 50 + random.next_u32() % 450;
        let numbers: Vec<u32> = (0..length).map(|_| random.next_u32()).collect();
        let (agrees, asked, yes) = agree(&numbers);
        pairs += asked;
        members += yes;
        if !agrees {
            differences += 1;
            println!("seed {seed}, case {number}: {:?}", Case::choose(&shrunk(numbers)));
        }
    }
    println!("{cases} cases, {pairs} answers of which {members} members, {differences} differences");
    if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether both say the same of a case, how many answers there were, and how many of them are members.
fn agree(numbers: &[u32]) -> (bool, u64, u64) {
    let case = Case::choose(numbers);
    let Ok(compiled) = Compiled::new(&case.definitions.audiences, &case.definitions.traits) else {
        return (false, 0, 0);
    };
    let streamed = Streamed::new(&case.person, 1 + numbers.len() % 3).stream(&compiled);
    let (mut asked, mut members) = (0, 0);
    for now in &case.nows {
        let oracle = Oracle::new(&case.definitions, &case.person, *now);
        let values =
            case.definitions.traits.iter().map(|one| Outcome::Values(oracle.computed(one.name.as_str())));
        let others =
            case.definitions.audiences.iter().map(|one| Outcome::Member(oracle.is_member(&one.name)));
        let answers = compiled.evaluate(&streamed, *now, compiled.all());
        for (Answer { outcome, .. }, expected) in answers.into_iter().zip(values.chain(others)) {
            asked += 1;
            members += u64::from(outcome == Outcome::Member(true));
            if outcome != expected {
                return (false, asked, members);
            }
        }
    }
    (true, asked, members)
}

/// Fewer and smaller numbers whose case differs as well.
fn shrunk(mut numbers: Vec<u32>) -> Vec<u32> {
    let differs = |numbers: &[u32]| !agree(numbers).0;
    for size in [64, 16, 4, 1] {
        let mut place = numbers.len();
        while place > 0 {
            place = place.saturating_sub(size);
            let mut fewer = numbers.clone();
            fewer.drain(place..(place + size).min(fewer.len()));
            if differs(&fewer) {
                numbers = fewer;
            }
        }
    }
    for place in 0..numbers.len() {
        let mut smaller = numbers.clone();
        smaller.iter_mut().skip(place).take(1).for_each(|number| *number = 0);
        if differs(&smaller) {
            numbers = smaller;
        }
    }
    numbers
}
