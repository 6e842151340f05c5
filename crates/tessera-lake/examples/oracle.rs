//! Holds the SQL form of definitions, the stream and the oracle against each other: `oracle CASES [SEED]`.
//!
//! A case is one definition and one person's history. Many people are asked about with one query. Prints what differs, cut down as
//! far as it still does, and at the end how many cases and differences there were, as JSON.
#![expect(clippy::print_stdout, reason = "a tool for developers")]

use std::process::ExitCode;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use tessera_audience::Outcome;
use tessera_audience::cases::CrowdCase;
use tessera_lake::Crowd;
use tokio::runtime::Runtime;

/// People who are asked about with one query.
const PEOPLE: usize = 100;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let cases: u64 = arguments.next().ok_or("oracle CASES [SEED]")?.parse()?;
    let seed: u64 = arguments.next().map_or(Ok(0), |seed| seed.parse())?;
    let runtime = Arc::new(
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_stack_size(64 * 1024 * 1024)
            .build()?,
    );
    let (mut asked, mut members, mut differences, mut number) = (0, 0, 0, 0_u64);
    while asked < cases {
        let case = choose(seed, number);
        match first_difference(&runtime, &case) {
            None => {}
            Some(person) => {
                differences += 1;
                let case = shrunk(&runtime, case.clone(), person);
                println!("seed {seed}, crowd {number}: {case:?}\n{:#?}", answers(&runtime, &case));
            }
        }
        let stream = case.by_stream();
        asked += stream.iter().map(|one| one.len() as u64).sum::<u64>();
        members += stream.iter().flatten().filter(|one| **one == Outcome::Member(true)).count();
        number += 1;
    }
    println!(
        r#"{{"differential_cases":{asked},"differential_members":{members},"differential_differences":{differences}}}"#
    );
    Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn choose(seed: u64, number: u64) -> CrowdCase {
    let mut random = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(1_000_000_007).wrapping_add(number));
    let mut numbers = |least: u32| -> Vec<u32> {
        let count = least + random.next_u32() % 200;
        (0..count).map(|_| random.next_u32()).collect()
    };
    let definitions = numbers(20);
    let people: Vec<Vec<u32>> = (0..PEOPLE).map(|_| numbers(0)).collect();
    CrowdCase::choose(&definitions, &people)
}

/// What each of the three says: SQL, the stream, the oracle. The first is an error where SQL failed.
type Answers = (Result<Vec<Vec<Outcome>>, String>, Vec<Vec<Outcome>>, Vec<Vec<Outcome>>);

fn answers(runtime: &Runtime, case: &CrowdCase) -> Answers {
    let (crowd, definitions, now) = (Crowd::new(case.people.clone()), case.definitions.clone(), case.now);
    // On a thread of the runtime: a deep definition is planned on a deep stack.
    let asking = runtime.spawn(async move { crowd.ask(&definitions, now).await });
    let sql = match runtime.block_on(asking) {
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    (sql, case.by_stream(), case.by_oracle())
}

/// The first person of whom the three do not say the same.
fn first_difference(runtime: &Runtime, case: &CrowdCase) -> Option<usize> {
    let (sql, stream, oracle) = answers(runtime, case);
    let Ok(sql) = sql else { return Some(0) };
    (0..case.people.len()).find(|person| {
        let said = [&sql, &stream, &oracle].map(|all| all.get(*person));
        said.windows(2).any(|pair| pair.first() != pair.last())
    })
}

/// One person, fewer definitions and fewer events that differ as well.
fn shrunk(runtime: &Runtime, mut case: CrowdCase, person: usize) -> CrowdCase {
    let keep = |case: &mut CrowdCase, change: &dyn Fn(&mut CrowdCase)| -> bool {
        let mut fewer = case.clone();
        change(&mut fewer);
        let differs = first_difference(runtime, &fewer).is_some();
        if differs {
            *case = fewer;
        }
        differs
    };
    keep(&mut case, &|case| case.people = case.people.get(person).cloned().into_iter().collect());
    while keep(&mut case, &|case| drop(case.definitions.audiences.pop())) {
        if case.definitions.audiences.is_empty() {
            break;
        }
    }
    let most = case.people.iter().map(|person| person.events.len()).max().unwrap_or_default();
    for place in (0..most).rev() {
        keep(&mut case, &|case| {
            for person in case.people.iter_mut().filter(|person| place < person.events.len()) {
                person.events.remove(place);
            }
        });
    }
    case
}
