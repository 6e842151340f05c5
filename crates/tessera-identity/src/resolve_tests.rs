//! What resolving promises: profiles are a function of the set of evidence.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;
use tessera_model::{
    FragmentId, HashKey, IdentityDocument, IdentityStrategy, NamespaceDocument, NamespaceRules, Timestamp,
};

use crate::fixture::{RULES, add, check, evidence, graph, identified, profiles, unseen, word};
use crate::{Graph, Linked, RefusalReason, Strength};

fn rules(strategy: IdentityStrategy, changed: &[serde_json::Value]) -> NamespaceRules {
    let documents: Vec<NamespaceDocument> =
        changed.iter().map(|one| serde_json::from_value(one.clone()).unwrap()).collect();
    let identity = json!({"kind": "Identity", "name": "people", "strategy": strategy});
    let identity: IdentityDocument = serde_json::from_value(identity).unwrap();
    NamespaceRules::new(&documents).unwrap().with_identity(&identity)
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
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "u:2", "a:t", "a:s"]]);
}

#[test]
fn a_split_is_what_there_would_be_without_the_edges_and_stays_so() {
    let mut graph = graph(&[("u:1", "a:t", 1), ("u:1", "e:x", 2), ("a:t", "e:y", 3)]);
    let away = BTreeSet::from([identified("a:t").id, identified("e:y").id]);
    assert!(graph.split(0, &away, Timestamp::from_millis(5), word()));
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "e:x"], &["a:t", "e:y"]]);
    add(&mut graph, "e:x", "e:y", 7, Strength::Deterministic);
    graph.resolve(&RULES, unseen);
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

fn graph_by(rules: &NamespaceRules, edges: &[(&str, &str, i64)]) -> Graph {
    let mut graph = Graph::default();
    for (a, b, at) in edges {
        add(&mut graph, a, b, *at, Strength::Deterministic);
    }
    graph.resolve(rules, unseen);
    graph
}

fn reasons(graph: &Graph) -> Vec<&'static str> {
    let refused = graph.edges().iter().filter(|edge| edge.linked() == Linked::Refused);
    refused.filter_map(|edge| Some(edge.refusal()?.reason.as_str())).collect()
}

#[test]
fn what_is_refused_says_why() {
    let mut graph = graph(&[("u:1", "a:t", 1), ("u:2", "a:t", 2), ("u:1", "e:x", 3)]);
    let refusal = graph.edges()[1].refusal().unwrap();
    assert_eq!(
        (refusal.reason, refusal.namespace.as_ref().unwrap().as_str()),
        (RefusalReason::Limit, "user_id")
    );
    graph.split(0, &BTreeSet::from([identified("e:x").id]), Timestamp::from_millis(9), word());
    add(&mut graph, "e:x", "a:t", 10, Strength::Deterministic);
    graph.resolve(&RULES, unseen);
    assert_eq!(reasons(&graph), ["limit", "apart"]);
}

const DAY: i64 = 24 * 60 * 60 * 1000;

#[test]
fn a_window_counts_the_identifiers_first_seen_within_it() {
    let email = json!({"kind": "Namespace", "name": "email", "priority": 20, "limit": 2, "window": "weekly",
        "normalise": "email"});
    let rules = rules(IdentityStrategy::Default, &[email]);
    let days = |days: [i64; 4]| {
        let [a, b, c, d] = days.map(|day| day * DAY);
        graph_by(&rules, &[("u:1", "e:a", a), ("u:1", "e:b", b), ("u:1", "e:c", c), ("u:1", "e:d", d)])
    };
    assert_eq!(reasons(&days([0, 3, 7, 10])), Vec::<&str>::new());
    assert_eq!(reasons(&days([0, 3, 6, 10])), ["window"], "the third in a week is one too many");
    check(&days([0, 3, 6, 10]), &[&["u:1", "e:a", "e:b", "e:d"], &["e:c"]]);
    assert_eq!(reasons(&days([0, 1, 2, 3])), ["window", "window"]);
}

/// People `u:1`.. who stood with one e-mail address, each with a device.
fn crowd(people: u16) -> Vec<(String, String, i64)> {
    let person = |n: u16| {
        [(format!("u:{n}"), "e:all".to_owned(), i64::from(n)), (format!("u:{n}"), format!("a:{n}"), 1000)]
    };
    (1..=people).flat_map(person).collect()
}

fn borrowed(edges: &[(String, String, i64)]) -> Vec<(&str, &str, i64)> {
    edges.iter().map(|(a, b, at)| (a.as_str(), b.as_str(), *at)).collect()
}

#[test]
fn a_value_with_more_than_ten_people_holds_nobody_together() {
    let ten = graph_by(&RULES, &borrowed(&crowd(10)));
    assert!(!ten.nodes()[1].is_shared() && ten.is_same(0, 1), "ten may be a large family");
    let eleven = graph_by(&RULES, &borrowed(&crowd(11)));
    assert!(eleven.nodes()[1].is_shared() && eleven.component(1).count() == 1);
    assert_eq!(reasons(&eleven), ["shared"; 11]);
    assert_eq!(eleven.components().len(), 12, "each person with their device, and the address");
}

#[test]
fn who_is_shared_and_when_is_for_the_workspace_to_say() {
    let email = |after: serde_json::Value| json!({"kind": "Namespace", "name": "email", "priority": 20, "normalise": "email", "shared_after": after});
    let shared = |after, people| {
        graph_by(&rules(IdentityStrategy::Default, &[email(after)]), &borrowed(&crowd(people))).nodes()[1]
            .is_shared()
    };
    assert!(shared(json!(1), 2) && !shared(json!(2), 2) && !shared(json!("never"), 100));
}

#[test]
fn a_persons_own_devices_do_not_make_an_address_shared() {
    let devices: Vec<_> = (1..51).map(|n| ("e:x".to_owned(), format!("a:{n}"), n)).collect();
    let graph = graph_by(&RULES, &borrowed(&devices));
    assert!(reasons(&graph).is_empty() && graph.components().len() == 1);
}

#[test]
fn what_stands_in_a_stub_counts_as_the_edge_would_and_becomes_one() {
    let devices = |rules: &NamespaceRules| {
        let mut graph = Graph::default();
        let device = graph.insert(&identified("a:t"));
        let email = identified("e:all");
        assert_eq!(
            graph.stand_with(
                device,
                email.id,
                email.identifier.namespace(),
                evidence(3, Strength::Deterministic)
            ),
            Some(true)
        );
        assert_eq!(
            graph.stand_with(
                device,
                email.id,
                email.identifier.namespace(),
                evidence(4, Strength::Deterministic)
            ),
            Some(false)
        );
        add(&mut graph, "e:b", "a:t", 5, Strength::Deterministic);
        graph.resolve(rules, unseen);
        graph
    };
    let email = json!({"kind": "Namespace", "name": "anonymous_id", "priority": 1000, "shared_after": 1});
    let rules = rules(IdentityStrategy::Default, &[email]);
    let mut device = devices(&rules);
    assert!(device.nodes()[0].is_shared(), "two addresses, one of them in a stub");
    let mut other = Graph::default();
    other.insert(&identified("e:all"));
    device.absorb(other);
    device.resolve(&rules, unseen);
    assert!(device.stubs().is_empty() && reasons(&device) == ["shared", "shared"]);
}

#[test]
fn isolation_keeps_anonymous_and_known_data_apart_whatever_is_said() {
    let rules = rules(IdentityStrategy::ProfileIsolation, &[]);
    let mut graph = graph_by(&rules, &[("u:1", "a:t", 1), ("u:1", "e:x", 2), ("a:t", "a:s", 3)]);
    add(&mut graph, "u:1", "a:t", 4, Strength::Declared);
    graph.resolve(&rules, unseen);
    check(&graph, &[&["u:1", "e:x"], &["a:t", "a:s"]]);
    assert_eq!(reasons(&graph), ["strategy"]);
}

#[test]
fn conversion_keeps_what_was_before_the_sign_up_and_no_later_sign_in() {
    let rules = rules(IdentityStrategy::ProfileConversion, &[]);
    let edges = [("u:1", "a:phone", 5), ("u:1", "e:x", 5), ("u:1", "a:tablet", 9), ("e:y", "a:tablet", 7)];
    let graph = graph_by(&rules, &edges);
    check(&graph, &[&["u:1", "a:phone", "e:x"], &["e:y", "a:tablet"]]);
    // The person was in the customer file before the first visit.
    let mut known = graph_by(&rules, &edges);
    let user = known.find(identified("u:1").id).unwrap();
    known.resolve(&rules, |at| if at == user { Timestamp::from_millis(2) } else { Timestamp::MAX });
    check(&known, &[&["u:1", "e:x"], &["a:phone"], &["e:y", "a:tablet"]]);
}

#[test]
fn link_gives_a_device_to_the_first_known_person_and_joins_no_two() {
    let rules = rules(IdentityStrategy::ProfileLink, &[]);
    let edges =
        [("e:x", "a:t", 1), ("e:y", "a:t", 2), ("e:y", "a:s", 3), ("u:1", "e:x", 4), ("u:1", "a:t", 5)];
    check(&graph_by(&rules, &edges), &[&["e:x", "a:t", "u:1"], &["e:y", "a:s"]]);
    check(&graph(&edges), &[&["e:x", "a:t", "u:1", "e:y", "a:s"]]);
}

#[test]
fn best_match_lets_the_strongest_namespace_decide() {
    let edges = [("e:x", "a:t", 1), ("u:2", "a:t", 2), ("u:1", "e:x", 3)];
    check(&graph(&edges), &[&["e:x", "a:t", "u:2"], &["u:1"]]);
    check(&graph_by(&rules(IdentityStrategy::BestMatch, &[]), &edges), &[&["u:1", "e:x"], &["u:2", "a:t"]]);
}

#[test]
fn a_clear_value_takes_the_place_of_its_hash_and_never_the_other_way() {
    let clear = identified("e:ada");
    let hash = clear.identifier.spellings()[0].clone();
    let hashed = RULES.find("email").unwrap().identify(&HashKey::new([1; 32]), &hash).unwrap().unwrap();
    for order in [[&clear, &hashed], [&hashed, &clear]] {
        let mut graph = Graph::default();
        for one in order {
            graph.insert(one);
        }
        let nodes: Vec<_> = graph.nodes().iter().map(|node| node.identifier().value().to_owned()).collect();
        assert_eq!(nodes, ["ada@x.org"]);
    }
}

fn strategies() -> impl Strategy<Value = NamespaceRules> {
    let strategies = [
        IdentityStrategy::Default,
        IdentityStrategy::ProfileConversion,
        IdentityStrategy::ProfileLink,
        IdentityStrategy::ProfileIsolation,
        IdentityStrategy::BestMatch,
    ];
    (proptest::sample::select(strategies.to_vec()), 1_u16..4, 1_u16..4, proptest::bool::ANY).prop_map(
        |(strategy, limit, shared_after, is_windowed)| {
            let window = if is_windowed { "daily" } else { "ever" };
            let email = json!({"kind": "Namespace", "name": "email", "priority": 20, "normalise": "email",
                "limit": limit, "window": window, "shared_after": shared_after});
            let device = json!({"kind": "Namespace", "name": "anonymous_id", "priority": 1000, "limit": 100,
                "shared_after": shared_after});
            rules(strategy, &[email, device])
        },
    )
}

prop_compose! {
    fn edges()(edges in proptest::collection::vec(
        (prop_oneof!["u:[1-4]", "e:[1-4]"], prop_oneof!["a:[1-4]", "e:[1-9]", "u:[1-4]"], 0_i64..20, 0_u8..8), 1..24,
    )) -> Vec<(String, String, i64, bool)> {
        edges.into_iter().map(|(a, b, at, declared)| (a, b, at, declared == 0)).collect()
    }
}

fn build(rules: &NamespaceRules, edges: &[(String, String, i64, bool)]) -> Graph {
    let mut graph = Graph::default();
    for (a, b, at, declared) in edges {
        let strength = if *declared { Strength::Declared } else { Strength::Deterministic };
        add(&mut graph, a, b, *at, strength);
    }
    graph.resolve(rules, unseen);
    graph
}

/// As the pipeline does it: an edge brings two clusters together unless an end of it is shared and stands elsewhere.
fn build_with_stubs(rules: &NamespaceRules, edges: &[(String, String, i64, bool)]) -> Vec<Graph> {
    let mut clusters: Vec<Graph> = Vec::new();
    for (a, b, at, declared) in edges {
        let strength = if *declared { Strength::Declared } else { Strength::Deterministic };
        let ends = [a, b].map(|text| identified(text));
        let homes = ends.clone().map(|end| {
            clusters.iter().position(|graph| graph.find(end.id).is_some()).unwrap_or_else(|| {
                let mut graph = Graph::default();
                graph.insert(&end);
                graph.resolve(rules, unseen);
                clusters.push(graph);
                clusters.len() - 1
            })
        });
        let node = |clusters: &[Graph], end: usize| clusters[homes[end]].find(ends[end].id).unwrap();
        let is_shared = [0, 1].map(|end| clusters[homes[end]].nodes()[node(&clusters, end)].is_shared());
        if homes[0] == homes[1] {
            let (a, b) = (node(&clusters, 0), node(&clusters, 1));
            clusters[homes[0]].link(a, b, evidence(*at, strength));
            clusters[homes[0]].resolve(rules, unseen);
        } else if is_shared[0] || is_shared[1] {
            for (end, other) in [(0, 1), (1, 0)] {
                let (here, there) = (node(&clusters, end), node(&clusters, other));
                if is_shared[other] {
                    clusters[homes[other]].stands_elsewhere(there);
                }
                if is_shared[other] && !is_shared[end] {
                    let (id, namespace) = (ends[other].id, ends[other].identifier.namespace());
                    clusters[homes[end]].stand_with(here, id, namespace, evidence(*at, strength)).unwrap();
                    clusters[homes[end]].resolve(rules, unseen);
                }
            }
        } else {
            let moved = std::mem::take(&mut clusters[homes[1]]);
            clusters[homes[0]].absorb(moved);
            let (a, b) = [0, 1].map(|end| clusters[homes[0]].find(ends[end].id).unwrap()).into();
            clusters[homes[0]].link(a, b, evidence(*at, strength));
            clusters[homes[0]].resolve(rules, unseen);
        }
    }
    clusters
}

proptest! {
    #[test]
    fn profiles_do_not_depend_on_order_or_repetition(
        (edges, shuffled) in edges().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        rules in strategies(),
    ) {
        let twice: Vec<_> = shuffled.iter().chain(&edges).cloned().collect();
        prop_assert_eq!(profiles(&build(&rules, &edges)), profiles(&build(&rules, &twice)));
    }

    #[test]
    fn profiles_do_not_depend_on_how_clusters_were_joined(
        edges in edges(), cut in 0_usize..24, rules in strategies()
    ) {
        let (left, right) = edges.split_at(cut.min(edges.len()));
        let (mut joined, other) = (build(&rules, left), build(&rules, right));
        let shared = other.nodes().iter().any(|node| joined.find(node.id).is_some());
        prop_assume!(!shared);
        joined.absorb(other);
        joined.resolve(&rules, unseen);
        prop_assert_eq!(profiles(&joined), profiles(&build(&rules, &edges)));
    }

    #[test]
    fn profiles_do_not_depend_on_which_clusters_a_shared_value_brought_together(
        edges in edges(), rules in strategies()
    ) {
        let whole = build(&rules, &edges);
        let apart = build_with_stubs(&rules, &edges);
        let profiles: BTreeSet<BTreeSet<FragmentId>> = apart.iter().flat_map(profiles).collect();
        prop_assert_eq!(profiles, self::profiles(&whole));
    }

    #[test]
    fn no_profile_breaks_a_limit_unless_declared(edges in edges(), rules in strategies()) {
        prop_assume!(edges.iter().all(|edge| !edge.3));
        let graph = build(&rules, &edges);
        let emails_max = rules.limits(&identified("e:1").identifier.namespace().clone()).limit;
        for component in graph.components() {
            let of = |name: &str| component.iter().filter(|n| graph.nodes()[**n].namespace.as_str() == name).count();
            let (users, emails) = (of("user_id"), of("email"));
            prop_assert!(users <= 1 && emails <= usize::from(emails_max), "{users} user ids, {emails} e-mails");
        }
    }
}
