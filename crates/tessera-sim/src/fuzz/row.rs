//! Damaged rows of the store: a cluster, a pointer, a page of the de-duplication window.
//!
//! An input is a byte that says which, and the row's bytes.

use tessera_model::SurvivorshipRules;
use tessera_profile::{Row, SeenPage, fold};
use tessera_store::{MemoryStore, Store, Table};

use super::{Broken, Fuzzed, shape};

/// `Row::decode` and `SeenPage::decode`.
pub(super) struct Rows {
    seeds: Vec<Vec<u8>>,
}

impl Rows {
    pub(super) fn new(state: &MemoryStore) -> Result<Self, Broken> {
        let mut seeds = Vec::new();
        for (tag, table) in [(0, Table::Cluster), (1, Table::Seen)] {
            for (_, value) in state.scan(table, None, 400).map_err(Broken::of)? {
                seeds.push([&[tag], value.as_ref()].concat());
            }
        }
        Ok(Self { seeds })
    }
}

impl Fuzzed for Rows {
    fn name(&self) -> &'static str {
        "row"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn check(&self, input: &[u8]) -> Result<String, Broken> {
        let Some((tag, bytes)) = input.split_first() else { return Ok(String::new()) };
        // Each value was read from at least as many bytes as it is written in, so memory is bounded by the input.
        let is_bounded = |encoded: &[u8]| Broken::unless(encoded.len() <= bytes.len(), "more than was there");
        if tag % 2 == 1 {
            let page = match SeenPage::decode(bytes) {
                Ok(page) => page,
                Err(error) => return Ok(shape(&error.to_string())),
            };
            let encoded = page.encode(Vec::new()).map_err(Broken::of)?;
            is_bounded(&encoded)?;
            Broken::unless(
                SeenPage::decode(&encoded).is_ok_and(|read| read == page),
                "a page reads back as another",
            )?;
            return Ok(format!("page {}", page.len().min(8)));
        }
        let row = match Row::decode(bytes) {
            Ok(row) => row,
            Err(error) => return Ok(shape(&error.to_string())),
        };
        let encoded = row.encode(Vec::new()).map_err(Broken::of)?;
        is_bounded(&encoded)?;
        Broken::unless(Row::decode(&encoded).is_ok_and(|read| read == row), "a row reads back as another")?;
        let Row::Cluster(cluster) = &row else { return Ok("pointer".to_owned()) };
        let profiles = cluster.graph().components();
        let rules = SurvivorshipRules::default();
        let folded = profiles.iter().filter_map(|nodes| fold(cluster, *nodes.first()?, &rules)).count();
        Ok(format!("cluster {} {}", cluster.len().min(8), folded.min(8)))
    }
}
