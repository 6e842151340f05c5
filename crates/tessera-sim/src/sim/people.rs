//! Who is who, plainly: all evidence sorted, then joined one by one.
//!
//! Not fast and not shared with the product: it does in a few lines what `tessera-identity` does per cluster.
//! Invariant: a function of the set of evidence, whatever its order.

use std::collections::BTreeMap;

use super::message::{Address, Kind};

/// Why two addresses are thought to be one person's. Ordered by weight, the weightiest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Weight {
    /// An alias says so itself.
    pub(crate) is_inferred: bool,
    pub(crate) at: i64,
    pub(crate) message: String,
    pub(crate) source: &'static str,
}

/// Addresses and the evidence between them.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// First and last time that an event named the address; `None` for one that only an alias did.
    pub(crate) seen: BTreeMap<Address, Option<(i64, i64)>>,
    edges: BTreeMap<(Address, Address), Weight>,
    /// The profile of each address, while nothing has changed.
    known: Option<BTreeMap<Address, usize>>,
}

impl People {
    /// Makes sure that the address is known.
    pub(crate) fn place(&mut self, address: &Address) {
        if !self.seen.contains_key(address) {
            self.seen.insert(address.clone(), None);
            self.known = None;
        }
    }

    /// An event named the address at that time.
    pub(crate) fn name(&mut self, address: &Address, at: i64) {
        self.place(address);
        if let Some(span) = self.seen.get_mut(address) {
            let (first, last) = span.unwrap_or((at, at));
            *span = Some((first.min(at), last.max(at)));
        }
    }

    pub(crate) fn link(&mut self, a: &Address, b: &Address, weight: Weight) {
        if a == b {
            return;
        }
        let ends = (a.clone().min(b.clone()), a.clone().max(b.clone()));
        let known = self.edges.entry(ends).or_insert_with(|| weight.clone());
        if weight < *known {
            *known = weight;
        }
        self.known = None;
    }

    /// The profiles: the addresses of each.
    pub(crate) fn profiles(&mut self) -> Vec<Vec<Address>> {
        let mut profiles: BTreeMap<usize, Vec<Address>> = BTreeMap::new();
        for (address, profile) in self.labels() {
            profiles.entry(*profile).or_default().push(address.clone());
        }
        profiles.into_values().collect()
    }

    /// All addresses of the people whom `addresses` name.
    pub(crate) fn everybody(&mut self, addresses: &[Address]) -> Vec<Address> {
        let labels = self.labels();
        let wanted: Vec<usize> =
            addresses.iter().filter_map(|address| labels.get(address).copied()).collect();
        let found = labels.iter().filter(|(_, label)| wanted.contains(label));
        found.map(|(address, _)| address.clone()).collect()
    }

    fn labels(&mut self) -> &BTreeMap<Address, usize> {
        let Self { seen, edges, known } = self;
        known.get_or_insert_with(|| {
            let mut labels: BTreeMap<Address, usize> = seen.keys().cloned().zip(0..).collect();
            let mut sorted: Vec<_> = edges.iter().collect();
            sorted.sort_by_cached_key(|((a, b), weight)| ((*weight).clone(), a.id.min(b.id), a.id.max(b.id)));
            for ((a, b), weight) in sorted {
                let (Some(one), Some(other)) = (labels.get(a).copied(), labels.get(b).copied()) else {
                    continue;
                };
                if one != other && (!weight.is_inferred || fit(&labels, one, other)) {
                    labels.values_mut().filter(|label| **label == other).for_each(|label| *label = one);
                }
            }
            labels
        })
    }
}

/// Whether two profiles may become one: only what both have can break a limit.
fn fit(labels: &BTreeMap<Address, usize>, one: usize, other: usize) -> bool {
    let count = |profile: usize, kind: Kind| {
        labels.iter().filter(|(address, label)| **label == profile && address.kind == kind).count()
    };
    Kind::ALL.into_iter().all(|kind| {
        let (here, there) = (count(one, kind), count(other, kind));
        here == 0 || there == 0 || here + there <= kind.limit()
    })
}
