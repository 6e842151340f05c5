//! What the tests of this crate build graphs of.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tessera_model::{
    FragmentId, HashKey, Identified, MessageId, MessageKey, NamespaceRules, SourceName, Timestamp,
};

use crate::{Evidence, Graph, Strength};

pub(crate) static RULES: LazyLock<NamespaceRules> = LazyLock::new(|| NamespaceRules::new([]).unwrap());

pub(crate) fn identified(text: &str) -> Identified {
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

pub(crate) fn evidence(at: i64, strength: Strength) -> Evidence {
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

pub(crate) fn unseen(_: usize) -> Timestamp {
    Timestamp::MAX
}

pub(crate) fn word() -> crate::Word {
    crate::Word { by: "steward".into(), reason: "two people".into() }
}

pub(crate) fn graph(edges: &[(&str, &str, i64)]) -> Graph {
    let mut graph = Graph::default();
    for (a, b, at) in edges {
        add(&mut graph, a, b, *at, Strength::Deterministic);
    }
    graph.resolve(&RULES, unseen);
    graph
}

pub(crate) fn add(graph: &mut Graph, a: &str, b: &str, at: i64, strength: Strength) {
    let (a, b) = (graph.insert(&identified(a)), graph.insert(&identified(b)));
    graph.link(a, b, evidence(at, strength));
}

pub(crate) fn profiles(graph: &Graph) -> BTreeSet<BTreeSet<FragmentId>> {
    let ids = |nodes: Vec<usize>| nodes.into_iter().map(|n| graph.nodes()[n].id).collect();
    graph.components().into_iter().map(ids).collect()
}

pub(crate) fn check(graph: &Graph, expected: &[&[&str]]) {
    let expected = expected.iter().map(|p| p.iter().map(|t| identified(t).id).collect()).collect();
    assert_eq!(profiles(graph), expected);
}
