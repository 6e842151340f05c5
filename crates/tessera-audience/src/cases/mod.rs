//! Random definitions, people and moments, for tests that hold engine, SQL and oracle against each other.
//!
//! Everything is chosen by a list of numbers, so that whoever has a source of them - a property test, a seeded generator, a
//! fuzzer - has cases, and smaller numbers and shorter lists give simpler ones: shrinking the list shrinks the case.
//! Values, names and times come from few, so that events meet conditions, and times lie on and beside the edges of
//! windows. Invariant: the definitions have no errors that [`check`](crate::check()) finds.

mod choices;
mod conditions;
mod history;
mod mutants;

pub use choices::Choices;
pub use mutants::Mutation;
use serde::{Deserialize, Serialize};
use tessera_model::{AudienceName, PurposeName, Timestamp, TraitName};

use crate::{Audience, Compiled, ComputedTrait, Definitions, Oracle, Outcome, Person, Streamed};

/// One case: who is a member of what, at each of these moments?
#[derive(Clone, Serialize, Deserialize)]
pub struct Case {
    /// Audiences and computed traits; each speaks only of those before it.
    pub definitions: Definitions,
    /// The person.
    pub person: Person,
    /// When, in ascending order; no event arrives after the first of them.
    pub nows: Vec<Timestamp>,
}

/// The case as JSON: what a failing test prints, and what a regression test is made of. The people are invented.
impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string_pretty(self).map_err(|_| std::fmt::Error)?)
    }
}

/// 2026-03-29T11:00:00Z, a Sunday: in Berlin the clocks went forward that night.
pub(crate) const NOW: i64 = 1_774_782_000_000;

impl Case {
    /// The case that these numbers choose. Some 600 of them are enough for all that there is to choose.
    #[must_use]
    pub fn choose(numbers: &[u32]) -> Self {
        // Each part has numbers of its own, so that none goes without.
        let (first, rest) = numbers.split_at(numbers.len() / 3);
        let definitions = definitions(&mut Choices::new(first));
        let mut choices = Choices::new(rest);
        let person = history::person(&mut choices);
        let nows = history::nows(&mut choices, &person);
        Self { definitions, person, nows }
    }
}

/// Random definitions.
fn definitions(choices: &mut Choices<'_>) -> Definitions {
    let mut definitions = Definitions::default();
    for number in 0..=choices.below(3) {
        let named = conditions::Named::of(&definitions);
        if choices.below(4) == 3 {
            let Ok(name) = TraitName::parse(&format!("computed_{number}")) else { continue };
            let Ok(purpose) = PurposeName::parse("analytics") else { continue };
            definitions.traits.push(ComputedTrait {
                name,
                purpose,
                time_zone: conditions::time_zone(choices),
                description: String::new(),
                value: conditions::operand(choices, &named, 3),
            });
        } else {
            let Ok(name) = AudienceName::parse(&format!("audience-{number}")) else { continue };
            let Ok(purpose) = PurposeName::parse("analytics") else { continue };
            definitions.audiences.push(Audience {
                name,
                purpose,
                time_zone: conditions::time_zone(choices),
                description: String::new(),
                when: conditions::condition(choices, &named, 3),
            });
        }
    }
    definitions
}

/// Many people under the same definitions: for those who ask about everybody at once.
#[derive(Clone, Serialize, Deserialize)]
pub struct CrowdCase {
    /// Audiences and computed traits; each speaks only of those before it.
    pub definitions: Definitions,
    /// The people.
    pub people: Vec<Person>,
    /// When; no event arrives later.
    pub now: Timestamp,
}

impl CrowdCase {
    /// The definitions that the first numbers choose, and the people that each list of the others does.
    #[must_use]
    pub fn choose(numbers: &[u32], people: &[Vec<u32>]) -> Self {
        let definitions = definitions(&mut Choices::new(numbers));
        let mut now = Timestamp::from_millis(NOW);
        let people = people.iter().map(|numbers| {
            let mut choices = Choices::new(numbers);
            let person = history::person(&mut choices);
            let nows = history::nows(&mut choices, &person);
            // One moment for all: one that is on the edge of somebody's window.
            if let Some(at) = nows.get(choices.below(4) as usize).filter(|at| **at > now && choices.one_in(8))
            {
                now = *at;
            }
            person
        });
        let people = people.collect();
        Self { definitions, people, now }
    }

    /// What the oracle says of each: first of the computed traits, then of the audiences, each in their order.
    #[must_use]
    pub fn by_oracle(&self) -> Vec<Vec<Outcome>> {
        let one = |person| {
            let oracle = Oracle::new(&self.definitions, person, self.now);
            let traits = self.definitions.traits.iter();
            let traits = traits.map(|one| Outcome::Values(oracle.computed(one.name.as_str())));
            let audiences = self.definitions.audiences.iter();
            traits.chain(audiences.map(|one| Outcome::Member(oracle.is_member(&one.name)))).collect()
        };
        self.people.iter().map(one).collect()
    }

    /// What the engine says, to which each person's events come in one, two or three parts. Nothing, if it takes not the definitions.
    #[must_use]
    pub fn by_stream(&self) -> Vec<Vec<Outcome>> {
        let Ok(compiled) = Compiled::new(&self.definitions.audiences, &self.definitions.traits) else {
            return Vec::new();
        };
        let one = |(number, person): (usize, &Person)| {
            let streamed = Streamed::new(person, 1 + number % 3).stream(&compiled);
            let answers = compiled.evaluate(&streamed, self.now, compiled.all());
            answers.into_iter().map(|answer| answer.outcome).collect()
        };
        self.people.iter().enumerate().map(one).collect()
    }
}

/// The case as JSON. The people are invented.
impl std::fmt::Debug for CrowdCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string_pretty(self).map_err(|_| std::fmt::Error)?)
    }
}

#[cfg(test)]
mod tests;
