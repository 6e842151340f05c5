//! From edges to profiles.

use tessera_model::{FragmentId, IdentityStrategy, NamespaceRules, Timestamp};

use crate::union::{Facts, Union};
use crate::{Edge, Evidence, Graph, Linked, Refusal, RefusalReason, Strength};

/// What decides between edges, the least first: what the strategy puts first, then the evidence; the ids of the ends break
/// ties, for node order depends on arrival.
type Weight = (bool, Option<Strength>, (u16, u16), Option<Evidence>, (FragmentId, FragmentId));

impl Graph {
    /// Computes which nodes are one profile, from the set of evidence alone: weightiest first, an edge joins two profiles
    /// unless an end of it is shared, the strategy keeps them apart, a limit would break, or a person said that they
    /// are two people. `seen_at` tells when anything was first known of a node.
    pub fn resolve(&mut self, rules: &NamespaceRules, seen_at: impl Fn(usize) -> Timestamp) {
        self.find_shared(rules);
        let facts = self.facts(rules, seen_at);
        let mut order: Vec<usize> = (0..self.edges.len()).collect();
        order.sort_by_cached_key(|at| self.weight(*at, rules.strategy(), &facts));
        let mut union = Union::new(self, rules, &facts);
        let mut outcomes = vec![(Linked::Cut, None); self.edges.len()];
        for at in order {
            let (Some(edge), Some(outcome)) = (self.edges.get(at), outcomes.get_mut(at)) else { continue };
            *outcome = match self.foremost(edge) {
                None => (Self::gone(edge), None),
                Some(word) => match self.join(edge, word.strength, (&facts, rules.strategy()), &mut union) {
                    Ok(()) => (Linked::Yes, None),
                    Err(refusal) => (Linked::Refused, Some(refusal)),
                },
            };
        }
        let heads: Vec<usize> = (0..self.nodes.len()).map(|at| union.find(at)).collect();
        for (node, head) in self.nodes.iter_mut().zip(heads) {
            node.component = crate::graph::index(head);
        }
        for (edge, outcome) in self.edges.iter_mut().zip(outcomes) {
            (edge.linked, edge.refusal) = outcome;
        }
    }

    /// Joins the ends of an edge, or says what stands against it.
    fn join(
        &self,
        edge: &Edge,
        strength: Strength,
        (facts, strategy): (&[Facts], IdentityStrategy),
        union: &mut Union<'_>,
    ) -> Result<(), Refusal> {
        let (a, b) = edge.ends();
        let (Some(one), Some(other)) = (facts.get(a), facts.get(b)) else { return Ok(()) };
        for (at, facts) in [(a, one), (b, other)] {
            // A steward may know whose it is after all.
            let is_shared = facts.is_shared && strength != Strength::Manual;
            if let (true, Some(node)) = (is_shared, self.nodes.get(at)) {
                return Err(Refusal::of(RefusalReason::Shared, &node.namespace));
            }
        }
        if one.limits.is_anonymous != other.limits.is_anonymous {
            let known = if one.limits.is_anonymous { b } else { a };
            let met_at = self.first_at(edge);
            if !permits(strategy, met_at, is_declared(strength), (union, known, a + b - known)) {
                return Err(Refusal::new(RefusalReason::Strategy));
            }
        }
        union.join(a, b, is_declared(strength))
    }

    /// The earliest evidence that counts.
    fn first_at(&self, edge: &Edge) -> Option<Timestamp> {
        edge.evidence.iter().filter(|word| self.counts(edge, word)).map(|word| word.at).min()
    }

    fn facts(&self, rules: &NamespaceRules, seen_at: impl Fn(usize) -> Timestamp) -> Vec<Facts> {
        let mut evident: Vec<Timestamp> = vec![Timestamp::MAX; self.nodes.len()];
        let mut note = |at: usize, first: Option<Timestamp>| {
            if let (Some(known), Some(first)) = (evident.get_mut(at), first) {
                *known = (*known).min(first);
            }
        };
        for edge in &self.edges {
            let (a, b) = edge.ends();
            let first = self.first_at(edge);
            note(a, first);
            note(b, first);
        }
        for stub in &self.stubs {
            let words = stub.evidence.iter().filter(|word| self.counts_in_stub(stub, word));
            note(stub.node(), words.map(|word| word.at).min());
        }
        let fact = |(at, (node, evident_at)): (usize, (&crate::Node, Timestamp))| Facts {
            limits: rules.limits(&node.namespace),
            evident_at,
            seen_at: evident_at.min(seen_at(at)),
            is_shared: node.is_shared,
        };
        self.nodes.iter().zip(evident).enumerate().map(fact).collect()
    }

    fn weight(&self, edge: usize, strategy: IdentityStrategy, facts: &[Facts]) -> Weight {
        let Some(edge) = self.edges.get(edge) else {
            return (false, None, (0, 0), None, Default::default());
        };
        let (a, b) = edge.ends();
        let id = |at: usize| self.nodes.get(at).map(|node| node.id).unwrap_or_default();
        let limits = |at: usize| facts.get(at).map(|facts| facts.limits);
        let best = self.foremost(edge);
        let is_mixed = limits(a).map(|of| of.is_anonymous) != limits(b).map(|of| of.is_anonymous);
        let ranks = [a, b].map(|at| limits(at).map_or(u16::MAX, |of| of.rank));
        let (mixed_last, strength, ranks) = match strategy {
            IdentityStrategy::Default | IdentityStrategy::ProfileIsolation => (false, None, (0, 0)),
            // Who is known is settled before devices are looked at.
            IdentityStrategy::ProfileConversion | IdentityStrategy::ProfileLink => (is_mixed, None, (0, 0)),
            IdentityStrategy::BestMatch => {
                let [one, other] = ranks;
                (false, best.map(|evidence| evidence.strength), (one.max(other), one.min(other)))
            }
        };
        (mixed_last, strength, ranks, best.cloned(), (id(a).min(id(b)), id(a).max(id(b))))
    }
}

/// Whether limits do not bind it: somebody said so.
fn is_declared(strength: Strength) -> bool {
    matches!(strength, Strength::Declared | Strength::Manual)
}

/// Whether the strategy lets an anonymous and a known node join that first met then.
fn permits(
    strategy: IdentityStrategy,
    met_at: Option<Timestamp>,
    is_declared: bool,
    (union, known, anonymous): (&Union<'_>, usize, usize),
) -> bool {
    match strategy {
        IdentityStrategy::Default | IdentityStrategy::BestMatch => true,
        IdentityStrategy::ProfileIsolation => false,
        // Somebody said that they are one person.
        IdentityStrategy::ProfileConversion | IdentityStrategy::ProfileLink if is_declared => true,
        IdentityStrategy::ProfileConversion => match (met_at, union.known_since(known)) {
            (Some(met_at), Some(known_since)) => met_at <= known_since,
            (None, _) | (_, None) => true,
        },
        IdentityStrategy::ProfileLink => {
            union.find(known) == union.find(anonymous) || union.known_since(anonymous).is_none()
        }
    }
}
