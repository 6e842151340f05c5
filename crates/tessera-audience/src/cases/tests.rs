use proptest::prelude::*;

use super::*;
use crate::{Condition, Oracle};

#[test]
fn no_numbers_give_the_simplest_case() {
    let case = Case::choose(&[]);
    assert_eq!(case.definitions.audiences.len(), 1);
    assert!(matches!(case.definitions.audiences[0].when, Condition::Value(_)));
    assert!(case.person.events.is_empty());
}

#[test]
fn cases_reach_both_answers_and_moments_that_change_them() {
    let (mut members, mut others, mut changes) = (0, 0, 0);
    let mut seed = 1_u64;
    for _ in 0..500 {
        let mut next = |_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(seed >> 33).unwrap()
        };
        let numbers: Vec<u32> = (0..600).map(&mut next).collect();
        let case = Case::choose(&numbers);
        for audience in &case.definitions.audiences {
            let answers: Vec<bool> = case
                .nows
                .iter()
                .map(|now| Oracle::new(&case.definitions, &case.person, *now).is_member(&audience.name))
                .collect();
            members += answers.iter().filter(|answer| **answer).count();
            others += answers.iter().filter(|answer| !**answer).count();
            changes += answers.windows(2).filter(|pair| pair[0] != pair[1]).count();
        }
    }
    assert!(members > 200 && others > 200 && changes > 20, "{members} {others} {changes}");
}

proptest! {
    #[test]
    fn every_case_is_written_and_read_the_same(numbers in prop::collection::vec(any::<u32>(), 0..600)) {
        let case = Case::choose(&numbers);
        let json = serde_json::to_string(&case).unwrap();
        let again: Case = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(&again.definitions, &case.definitions);
        prop_assert_eq!(again.person == case.person, true);
    }
}
