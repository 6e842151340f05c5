//! Who is who, plainly: all evidence sorted, then joined one by one.
//!
//! Not fast and not shared with the product: it does in a few lines what `tessera-identity` does per cluster.
//! Invariant: a function of the set of evidence, whatever its order.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tessera_model::{FragmentId, MessageKey, Score, Strength, UndoId, Verdict};

use super::message::{Address, Kind};

type Pair = (Address, Address);

/// A word for two addresses being one person's. Ordered by weight, the weightiest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Weight {
    pub(crate) strength: Strength,
    pub(crate) score: Reverse<Option<Score>>,
    pub(crate) at: i64,
    pub(crate) message: MessageKey,
    pub(crate) source: &'static str,
    pub(crate) received_at: i64,
}

/// A steward's evidence of that time makes earlier words against the pair void.
#[derive(Clone, Debug)]
struct Overruled {
    pair: Pair,
    said_at: i64,
    by: Pair,
}

/// How much of what hurts has been heard.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) undos: usize,
    pub(crate) apart: usize,
    pub(crate) hashed: usize,
}

/// Addresses and the evidence between them.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// First and last time that an event named the address; `None` for one that only an alias did.
    pub(crate) seen: BTreeMap<Address, Option<(i64, i64)>>,
    /// Addresses that somebody has named in clear, not by their hash alone.
    pub(crate) clear: BTreeSet<Address>,
    /// Every word, each message once.
    edges: BTreeMap<Pair, Vec<Weight>>,
    /// The last word of stewards against each pair.
    judged: BTreeMap<Pair, (i64, Verdict)>,
    overruled: Vec<Overruled>,
    undone: BTreeMap<UndoId, (Pair, i64)>,
    /// The profile of each address, while nothing has changed.
    known: Option<BTreeMap<Address, usize>>,
}

fn pair(a: &Address, b: &Address) -> Pair {
    (a.clone().min(b.clone()), a.clone().max(b.clone()))
}

impl People {
    /// Makes sure that the address is known.
    pub(crate) fn place(&mut self, address: &Address) {
        if !self.seen.contains_key(address) {
            self.seen.insert(address.clone(), None);
            self.known = None;
        }
    }

    /// An event named the address at that time, in clear or by its hash.
    pub(crate) fn name(&mut self, address: &Address, is_clear: bool, at: i64) {
        self.place(address);
        if is_clear {
            self.clear.insert(address.clone());
        }
        if let Some(span) = self.seen.get_mut(address) {
            let (first, last) = span.unwrap_or((at, at));
            *span = Some((first.min(at), last.max(at)));
        }
    }

    pub(crate) fn link(&mut self, a: &Address, b: &Address, weight: Weight) {
        if a == b {
            return;
        }
        let ends = pair(a, b);
        if weight.strength == Strength::Manual {
            self.overrule(&ends, weight.received_at);
        }
        let words = self.edges.entry(ends).or_default();
        let same = |known: &&mut Weight| {
            (&known.message, known.source, known.strength)
                == (&weight.message, weight.source, weight.strength)
        };
        match words.iter_mut().find(same) {
            // A repeat was received when it first was.
            Some(known) => {
                let received_at = known.received_at.min(weight.received_at);
                *known = Weight { received_at, ..known.clone().min(weight) };
            }
            None => words.push(weight),
        }
        self.known = None;
    }

    /// The address with that fragment.
    pub(crate) fn find(&self, id: FragmentId) -> Option<Address> {
        self.seen.keys().find(|address| address.id == id).cloned()
    }

    /// Whatever was said against two of these profiles' addresses gives way.
    fn overrule(&mut self, (a, b): &Pair, said_at: i64) {
        let labels = self.labels().clone();
        let of = |address: &Address| labels.get(address).copied();
        let between: Vec<Pair> = (self.judged.keys())
            .filter(|(x, y)| (of(x), of(y)) == (of(a), of(b)) || (of(y), of(x)) == (of(a), of(b)))
            .cloned()
            .collect();
        let by = pair(a, b);
        self.overruled.extend(between.into_iter().map(|pair| Overruled { pair, said_at, by: by.clone() }));
    }

    /// A steward says that two are two people's, or takes a word back.
    pub(crate) fn judge(&mut self, a: &Address, b: &Address, verdict: Verdict, at: i64) {
        let said = (at, verdict);
        let known = self.judged.entry(pair(a, b)).or_insert(said);
        *known = (*known).max(said);
        self.known = None;
    }

    /// What holds two addresses together counts no more, if anything does.
    pub(crate) fn undo(&mut self, id: UndoId, a: &Address, b: &Address, at: i64) {
        let ends = pair(a, b);
        let words = self.edges.get(&ends);
        let is_taken = |word: &Weight| !(word.strength == Strength::Manual && word.received_at > at);
        if words.is_some_and(|words| words.iter().any(|word| is_taken(word) && self.is_heard(&ends, word))) {
            self.undone.insert(id, (ends, at));
            self.known = None;
        }
    }

    pub(crate) fn redo(&mut self, id: UndoId) {
        self.undone.remove(&id);
        self.known = None;
    }

    pub(crate) fn undos(&self) -> Vec<(UndoId, Pair)> {
        self.undone.iter().map(|(id, (ends, _))| (*id, ends.clone())).collect()
    }

    #[cfg(test)]
    pub(crate) fn heard(&self) -> Heard {
        let is_hashed = |address: &&Address| address.kind == Kind::Email && !self.clear.contains(*address);
        Heard {
            undos: self.undone.len(),
            apart: self.apart().len(),
            hashed: self.seen.keys().filter(is_hashed).count(),
        }
    }

    /// Every two addresses that anything was ever said for.
    pub(crate) fn linked(&self) -> Vec<&Pair> {
        self.edges.keys().collect()
    }

    /// How a reader sees an address: by its hash while nobody has named it in clear.
    pub(crate) fn reference(&self, address: &Address) -> String {
        let hash = if self.clear.contains(address) { None } else { address.sha256() };
        let value = hash.as_ref().unwrap_or(&address.value);
        format!("{}:{value}", address.kind.namespace())
    }

    fn is_heard(&self, ends: &Pair, word: &Weight) -> bool {
        let is_manual = word.strength == Strength::Manual;
        let is_undone =
            (self.undone.values()).any(|(pair, at)| pair == ends && !(is_manual && word.received_at > *at));
        let is_taken_back = is_manual && self.judged.get(ends).is_some_and(|(at, _)| word.received_at <= *at);
        !is_undone && !is_taken_back
    }

    /// The pairs that are two people, as the last word on each is.
    fn apart(&self) -> Vec<Pair> {
        let gives_way = |pair: &Pair, at: i64| {
            self.overruled.iter().filter(|over| over.pair == *pair && at <= over.said_at).any(|over| {
                self.edges.get(&over.by).into_iter().flatten().any(|word| {
                    word.strength == Strength::Manual
                        && word.received_at >= over.said_at
                        && self.is_heard(&over.by, word)
                })
            })
        };
        let stands = |(pair, (at, verdict)): &(&Pair, &(i64, Verdict))| {
            *verdict == Verdict::Different && !gives_way(pair, *at)
        };
        self.judged.iter().filter(stands).map(|(pair, _)| pair.clone()).collect()
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
        if self.known.is_none() {
            self.known = Some(self.joined());
        }
        self.known.get_or_insert_default()
    }

    /// All evidence that counts, the weightiest first, joined one by one.
    fn joined(&self) -> BTreeMap<Address, usize> {
        let mut labels: BTreeMap<Address, usize> = self.seen.keys().cloned().zip(0..).collect();
        let apart = self.apart();
        let mut sorted: Vec<(&Weight, &Pair)> = Vec::new();
        for (ends, words) in &self.edges {
            let foremost = words.iter().filter(|word| self.is_heard(ends, word)).min();
            sorted.extend(foremost.map(|word| (word, ends)));
        }
        sorted.sort_by_key(|(word, (a, b))| (*word, a.id.min(b.id), a.id.max(b.id)));
        for (word, (a, b)) in sorted {
            let (Some(one), Some(other)) = (labels.get(a).copied(), labels.get(b).copied()) else {
                continue;
            };
            let are_apart = apart.iter().any(|(x, y)| {
                let ends = (labels.get(x).copied(), labels.get(y).copied());
                ends == (Some(one), Some(other)) || ends == (Some(other), Some(one))
            });
            let is_declared = matches!(word.strength, Strength::Declared | Strength::Manual);
            if one != other && !are_apart && (is_declared || fit(&labels, one, other)) {
                labels.values_mut().filter(|label| **label == other).for_each(|label| *label = one);
            }
        }
        labels
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
