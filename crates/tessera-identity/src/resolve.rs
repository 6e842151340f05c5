//! From edges to profiles.

use std::collections::BTreeMap;

use tessera_model::{FragmentId, Namespace, Strength};

use crate::{Evidence, Graph, Linked};

impl Graph {
    /// Computes which nodes are one profile, from the edges alone: weightiest first, an edge joins two profiles
    /// unless both already hold identifiers of a namespace whose `limit` the sum would break, or a steward's last word
    /// is that they are two people. Limits do not bind what somebody declared.
    pub fn resolve(&mut self, limit: impl Fn(&Namespace) -> u16) {
        let mut order: Vec<usize> = (0..self.edges.len()).collect();
        order.sort_by_cached_key(|at| self.weight(*at));
        let apart: Vec<(FragmentId, FragmentId)> = self.apart().copied().collect();
        let mut union = Union::new(self, limit);
        for at in order {
            let Some(edge) = self.edges.get(at) else { continue };
            let ends = edge.ends();
            let linked = match self.foremost(edge) {
                None => Self::gone(edge),
                Some(word) if union.join(ends, is_declared(word), &apart) => Linked::Yes,
                Some(_) => Linked::Refused,
            };
            if let Some(edge) = self.edges.get_mut(at) {
                edge.linked = linked;
            }
        }
        for at in 0..self.nodes.len() {
            let component = u16::try_from(union.find(at)).unwrap_or_default();
            if let Some(node) = self.nodes.get_mut(at) {
                node.component = component;
            }
        }
    }

    /// What decides between edges; the ids of the ends break ties, for node order depends on arrival.
    fn weight(&self, edge: usize) -> (Option<Evidence>, FragmentId, FragmentId) {
        let Some(edge) = self.edges.get(edge) else {
            return (None, FragmentId::default(), FragmentId::default());
        };
        let id = |at: u16| self.nodes.get(usize::from(at)).map(|node| node.id).unwrap_or_default();
        let (a, b) = (id(edge.a), id(edge.b));
        (self.foremost(edge).cloned(), a.min(b), a.max(b))
    }
}

/// Whether limits do not bind it: somebody said so.
fn is_declared(word: &Evidence) -> bool {
    matches!(word.strength, Strength::Declared | Strength::Manual)
}

struct Component {
    counts: BTreeMap<Namespace, u16>,
    ids: Vec<FragmentId>,
}

/// Union-find whose representative is the least index, with what a union must check.
struct Union<L> {
    parents: Vec<usize>,
    components: Vec<Component>,
    limit: L,
}

impl<L: Fn(&Namespace) -> u16> Union<L> {
    fn new(graph: &Graph, limit: L) -> Self {
        let components = graph
            .nodes
            .iter()
            .map(|node| Component {
                counts: BTreeMap::from([(node.namespace.clone(), 1)]),
                ids: vec![node.id],
            })
            .collect();
        Self { parents: (0..graph.nodes.len()).collect(), components, limit }
    }

    fn find(&self, mut at: usize) -> usize {
        while let Some(parent) = self.parents.get(at).copied().filter(|parent| *parent != at) {
            at = parent;
        }
        at
    }

    fn join(
        &mut self,
        (a, b): (usize, usize),
        is_declared: bool,
        apart: &[(FragmentId, FragmentId)],
    ) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return true;
        }
        let (low, high) = (a.min(b), a.max(b));
        let (Some(one), Some(other)) = (self.components.get(low), self.components.get(high)) else {
            return false;
        };
        let breaks_limit = one.counts.iter().any(|(namespace, count)| {
            other
                .counts
                .get(namespace)
                .is_some_and(|more| count.saturating_add(*more) > (self.limit)(namespace))
        });
        let are_apart = apart.iter().any(|(x, y)| {
            (one.ids.contains(x) && other.ids.contains(y)) || (one.ids.contains(y) && other.ids.contains(x))
        });
        if (breaks_limit && !is_declared) || are_apart {
            return false;
        }
        let moved = self
            .components
            .get_mut(high)
            .map(|component| (std::mem::take(&mut component.counts), std::mem::take(&mut component.ids)));
        if let (Some((counts, ids)), Some(target)) = (moved, self.components.get_mut(low)) {
            for (namespace, count) in counts {
                *target.counts.entry(namespace).or_default() += count;
            }
            target.ids.extend(ids);
        }
        if let Some(parent) = self.parents.get_mut(high) {
            *parent = low;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use tessera_model::{HashKey, Identified, MessageId, MessageKey, NamespaceRules, SourceName, Timestamp};

    use super::*;

    static RULES: LazyLock<NamespaceRules> = LazyLock::new(|| NamespaceRules::new([]).unwrap());

    fn identified(text: &str) -> Identified {
        let (namespace, value) = text.split_once(':').unwrap();
        let name = match namespace {
            "u" => "user_id",
            "e" => "email",
            "a" => "anonymous_id",
            other => panic!("{other}"),
        };
        let value = if name == "email" { format!("{value}@x.org") } else { value.to_owned() };
        RULES.find(name).unwrap().identify(&HashKey::new([1; 32]), &value).unwrap().unwrap()
    }

    fn evidence(at: i64, strength: Strength) -> Evidence {
        Evidence {
            strength,
            at: Timestamp::from_millis(at),
            message: MessageKey::from(&MessageId::parse(&format!("m{at}")).unwrap()),
            source: SourceName::parse("web").unwrap(),
            score: None,
            received_at: Timestamp::from_millis(at),
            word: None,
        }
    }

    fn word() -> crate::Word {
        crate::Word { by: "steward".into(), reason: "two people".into() }
    }

    fn limit(namespace: &Namespace) -> u16 {
        RULES.limit(namespace)
    }

    fn graph(edges: &[(&str, &str, i64)]) -> Graph {
        let mut graph = Graph::default();
        for (a, b, at) in edges {
            add(&mut graph, a, b, *at, Strength::Deterministic);
        }
        graph.resolve(limit);
        graph
    }

    fn add(graph: &mut Graph, a: &str, b: &str, at: i64, strength: Strength) {
        let (a, b) = (graph.insert(&identified(a)), graph.insert(&identified(b)));
        graph.link(a, b, evidence(at, strength));
    }

    fn profiles(graph: &Graph) -> BTreeSet<BTreeSet<FragmentId>> {
        let ids = |nodes: Vec<usize>| nodes.into_iter().map(|n| graph.nodes()[n].id).collect();
        graph.components().into_iter().map(ids).collect()
    }

    fn check(graph: &Graph, expected: &[&[&str]]) {
        let expected = expected.iter().map(|p| p.iter().map(|t| identified(t).id).collect()).collect();
        assert_eq!(profiles(graph), expected);
    }

    #[test]
    fn a_shared_tablet_stays_with_the_person_who_was_seen_on_it_first() {
        check(&graph(&[("u:1", "a:t", 1), ("u:2", "a:t", 2)]), &[&["u:1", "a:t"], &["u:2"]]);
        check(&graph(&[("u:2", "a:t", 2), ("u:1", "a:t", 1)]), &[&["u:1", "a:t"], &["u:2"]]);
    }

    #[test]
    fn an_alias_is_not_bound_by_limits_and_goes_first() {
        let mut graph = graph(&[("u:1", "a:t", 1)]);
        add(&mut graph, "u:1", "u:2", 9, Strength::Declared);
        add(&mut graph, "u:2", "a:s", 10, Strength::Deterministic);
        graph.resolve(limit);
        check(&graph, &[&["u:1", "u:2", "a:t", "a:s"]]);
    }

    #[test]
    fn a_split_is_what_there_would_be_without_the_edges_and_stays_so() {
        let mut graph = graph(&[("u:1", "a:t", 1), ("u:1", "e:x", 2), ("a:t", "e:y", 3)]);
        let away = BTreeSet::from([identified("a:t").id, identified("e:y").id]);
        assert!(graph.split(0, &away, Timestamp::from_millis(5), word()));
        graph.resolve(limit);
        check(&graph, &[&["u:1", "e:x"], &["a:t", "e:y"]]);
        add(&mut graph, "e:x", "e:y", 7, Strength::Deterministic);
        graph.resolve(limit);
        check(&graph, &[&["u:1", "e:x"], &["a:t", "e:y"]]);
    }

    #[test]
    fn repeated_evidence_says_nothing_new_unless_it_is_earlier() {
        let mut graph = graph(&[("u:1", "a:t", 5)]);
        assert!(!graph.link(0, 1, evidence(5, Strength::Deterministic)));
        assert!(!graph.link(0, 1, evidence(6, Strength::Deterministic)));
        assert!(graph.link(0, 1, evidence(4, Strength::Deterministic)));
        assert!(!graph.link(0, 0, evidence(1, Strength::Deterministic)));
    }

    prop_compose! {
        fn edges()(edges in proptest::collection::vec(
            (prop_oneof!["u:[1-4]", "e:[1-4]"], prop_oneof!["a:[1-4]", "e:[1-9]", "u:[1-4]"], 0_i64..20, 0_u8..8), 1..24,
        )) -> Vec<(String, String, i64, bool)> {
            edges.into_iter().map(|(a, b, at, declared)| (a, b, at, declared == 0)).collect()
        }
    }

    fn build(edges: &[(String, String, i64, bool)]) -> Graph {
        let mut graph = Graph::default();
        for (a, b, at, declared) in edges {
            let strength = if *declared { Strength::Declared } else { Strength::Deterministic };
            add(&mut graph, a, b, *at, strength);
        }
        graph.resolve(limit);
        graph
    }

    proptest! {
        #[test]
        fn profiles_do_not_depend_on_order_or_repetition(
            (edges, shuffled) in edges().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle()))
        ) {
            let twice: Vec<_> = shuffled.iter().chain(&edges).cloned().collect();
            prop_assert_eq!(profiles(&build(&edges)), profiles(&build(&twice)));
        }

        #[test]
        fn profiles_do_not_depend_on_how_clusters_were_joined(edges in edges(), cut in 0_usize..24) {
            let (left, right) = edges.split_at(cut.min(edges.len()));
            let (mut joined, other) = (build(left), build(right));
            let shared = other.nodes().iter().any(|node| joined.find(node.id).is_some());
            prop_assume!(!shared);
            joined.absorb(other);
            joined.resolve(limit);
            prop_assert_eq!(profiles(&joined), profiles(&build(&edges)));
        }

        #[test]
        fn no_profile_breaks_a_limit_unless_declared(edges in edges()) {
            prop_assume!(edges.iter().all(|edge| !edge.3));
            let graph = build(&edges);
            for component in graph.components() {
                let users = component.iter().filter(|n| graph.nodes()[**n].namespace.as_str() == "user_id").count();
                let emails = component.iter().filter(|n| graph.nodes()[**n].namespace.as_str() == "email").count();
                prop_assert!(users <= 1 && emails <= 5, "{users} user ids, {emails} e-mails");
            }
        }
    }
}
