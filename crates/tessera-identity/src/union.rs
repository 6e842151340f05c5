//! Union-find whose representative is the least index, with what a union must check.

use tessera_model::{FragmentId, Namespace, NamespaceLimits, NamespaceRules, Timestamp};

use crate::{Graph, Refusal, RefusalReason};

/// What resolving needs to know of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Of its namespace.
    pub(crate) limits: NamespaceLimits,
    /// The earliest evidence that names it.
    pub(crate) evident_at: Timestamp,
    /// The earliest that is known of it.
    pub(crate) seen_at: Timestamp,
    /// It stands with too many people.
    pub(crate) is_shared: bool,
}

/// Nodes that are one profile so far.
#[derive(Debug, Default)]
struct Component {
    /// For each namespace the earliest evidence of each identifier, in order of time.
    times: Vec<(Namespace, Vec<Timestamp>)>,
    ids: Vec<FragmentId>,
    /// The earliest that is known of any identifier which names a person.
    known_since: Option<Timestamp>,
}

pub(crate) struct Union<'a> {
    parents: Vec<usize>,
    components: Vec<Component>,
    rules: &'a NamespaceRules,
    apart: Vec<(FragmentId, FragmentId)>,
}

impl<'a> Union<'a> {
    pub(crate) fn new(graph: &Graph, rules: &'a NamespaceRules, facts: &[Facts]) -> Self {
        let component = |(node, facts): (&crate::Node, &Facts)| Component {
            times: vec![(node.namespace.clone(), vec![facts.evident_at])],
            ids: vec![node.id],
            known_since: (!facts.limits.is_anonymous).then_some(facts.seen_at),
        };
        let components = graph.nodes().iter().zip(facts).map(component).collect();
        Self {
            parents: (0..graph.nodes().len()).collect(),
            components,
            rules,
            apart: graph.apart().copied().collect(),
        }
    }

    pub(crate) fn find(&self, mut at: usize) -> usize {
        while let Some(parent) = self.parents.get(at).copied().filter(|parent| *parent != at) {
            at = parent;
        }
        at
    }

    /// Since when the profile of a node is a known person's.
    pub(crate) fn known_since(&self, node: usize) -> Option<Timestamp> {
        self.components.get(self.find(node))?.known_since
    }

    /// Makes one profile of two; limits count unless the evidence `overrides` them.
    pub(crate) fn join(&mut self, a: usize, b: usize, overrides: bool) -> Result<(), Refusal> {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return Ok(());
        }
        let (low, high) = (a.min(b), a.max(b));
        let (Some(one), Some(other)) = (self.components.get(low), self.components.get(high)) else {
            return Ok(());
        };
        if self.are_apart(one, other) {
            return Err(Refusal::new(RefusalReason::Apart));
        }
        if !overrides {
            self.check_limits(one, other)?;
        }
        let moved = self.components.get_mut(high).map(std::mem::take).unwrap_or_default();
        if let Some(target) = self.components.get_mut(low) {
            target.take(moved);
        }
        if let Some(parent) = self.parents.get_mut(high) {
            *parent = low;
        }
        Ok(())
    }

    fn are_apart(&self, one: &Component, other: &Component) -> bool {
        self.apart.iter().any(|(x, y)| {
            (one.ids.contains(x) && other.ids.contains(y)) || (one.ids.contains(y) && other.ids.contains(x))
        })
    }

    /// Of several limits that would break the strongest namespace's is named, for which comes first depends on arrival.
    fn check_limits(&self, one: &Component, other: &Component) -> Result<(), Refusal> {
        let mut broken: Option<(u16, &Namespace, RefusalReason)> = None;
        for (namespace, times) in &one.times {
            let Some((_, more)) = other.times.iter().find(|(of, _)| of == namespace) else { continue };
            let limits = self.rules.limits(namespace);
            let limit = usize::from(limits.limit);
            if times.len() + more.len() <= limit {
                continue;
            }
            let reason = match limits.window.millis() {
                None => RefusalReason::Limit,
                Some(window) if is_crowded(&merged(times, more), limit, window) => RefusalReason::Window,
                Some(_) => continue,
            };
            let found = (limits.rank, namespace, reason);
            broken = Some(broken.map_or(found, |known| known.min(found)));
        }
        broken.map_or(Ok(()), |(_, namespace, reason)| Err(Refusal::of(reason, namespace)))
    }
}

impl Component {
    fn take(&mut self, other: Self) {
        for (namespace, times) in other.times {
            match self.times.iter_mut().find(|(of, _)| *of == namespace) {
                Some((_, known)) => *known = merged(known, &times),
                None => self.times.push((namespace, times)),
            }
        }
        self.ids.extend(other.ids);
        self.known_since = [self.known_since, other.known_since].into_iter().flatten().min();
    }
}

fn merged(one: &[Timestamp], other: &[Timestamp]) -> Vec<Timestamp> {
    let mut all: Vec<Timestamp> = one.iter().chain(other).copied().collect();
    all.sort_unstable();
    all
}

/// Whether any span as long as `window` holds more than `limit` of `times`, which are in order.
fn is_crowded(times: &[Timestamp], limit: usize, window: i64) -> bool {
    let later = times.iter().skip(limit);
    times.iter().zip(later).any(|(first, last)| last.millis_since(*first) < window)
}
