//! SQL, stream and oracle, held against each other.

use proptest::prelude::*;
use tessera_audience::cases::CrowdCase;
use tessera_audience::{Definitions, Outcome};
use tokio::runtime::Runtime;

use super::*;

mod live;
mod mutants;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_stack_size(64 * 1024 * 1024)
        .build()
        .unwrap()
}

fn by_sql(runtime: &Runtime, case: &CrowdCase, definitions: &Definitions) -> Vec<Vec<Outcome>> {
    let (crowd, definitions, now) = (Crowd::new(case.people.clone()), definitions.clone(), case.now);
    runtime.block_on(runtime.spawn(async move { crowd.ask(&definitions, now).await })).unwrap().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn sql_stream_and_oracle_agree(
        definitions in prop::collection::vec(any::<u32>(), 0..150),
        people in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..200), 1..40),
    ) {
        let case = CrowdCase::choose(&definitions, &people);
        let expected = case.by_oracle();
        let sql = by_sql(&runtime(), &case, &case.definitions);
        for (person, (expected, sql)) in expected.iter().zip(&sql).enumerate() {
            prop_assert_eq!(expected, sql, "person {} of {:?}", person, &case);
        }
        prop_assert_eq!(expected, case.by_stream());
    }
}
