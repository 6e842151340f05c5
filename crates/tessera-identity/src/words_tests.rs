//! What words for and against edges come to.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tessera_model::{
    FragmentId, MessageId, MessageKey, Selector, SourceName, Strength, Timestamp, UndoId, Verdict,
};

use crate::fixture::{RULES, add, check, evidence, graph, identified, unseen, word};
use crate::{Edge, Evidence, Graph, Judgement, Linked, Undone};

/// A word of one source that said several times.
fn said(n: i64, received_at: i64, source: &str) -> Evidence {
    let mut said = evidence(n, Strength::Deterministic);
    said.received_at = Timestamp::from_millis(received_at);
    said.source = SourceName::parse(source).unwrap();
    said
}

fn undone(selector: Selector, at: i64) -> Undone {
    Undone { id: UndoId(7), selector, at: Timestamp::from_millis(at) }
}

fn span(source: &str, from: i64, to: i64) -> Selector {
    let (from, to) = (Some(Timestamp::from_millis(from)), Timestamp::from_millis(to));
    Selector::Source { source: SourceName::parse(source).unwrap(), from, to }
}

#[test]
fn of_many_words_those_are_kept_that_must_be_known_when_some_are_taken_away() {
    let mut graph = Graph::default();
    graph.insert(&identified("u:1"));
    graph.insert(&identified("a:t"));
    for n in [5, 3, 8, 1, 9, 2, 7] {
        graph.link(0, 1, said(n, 100 + n % 5, "web"));
    }
    // The two weightiest; 5 and 1 (or what was received with them) came first, 4 last.
    let kept: Vec<i64> = graph.edges()[0].evidence().iter().map(|word| word.at.as_millis()).collect();
    assert_eq!(kept, [1, 2, 5, 8, 9]);
    for (from, to, counts) in [(0, 104, true), (100, 200, false), (101, 200, true), (0, 105, false)] {
        let mut graph = graph.clone();
        assert!(graph.undo(undone(span("web", from, to), 300)));
        graph.resolve(&RULES, unseen);
        assert_eq!(graph.is_same(0, 1), counts, "{from} to {to}");
    }
}

#[test]
fn what_was_undone_comes_back_neither_by_repeats_nor_by_late_arrivals_but_by_taking_the_undo_back() {
    let mut graph = graph(&[("u:1", "a:t", 5)]);
    let message = evidence(5, Strength::Deterministic).message.digest();
    assert!(graph.undo(undone(Selector::Event { message }, 6)));
    assert!(!graph.undo(undone(span("web", 0, 4), 6)), "nothing is meant");
    graph.link(0, 1, said(5, 9, "web"));
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1"], &["a:t"]]);
    assert_eq!(graph.edges()[0].linked(), Linked::Undone);
    assert!(graph.redo(UndoId(7)) && !graph.redo(UndoId(7)));
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "a:t"]]);
    assert!(graph.undo(undone(span("web", 0, 6), 6)));
    graph.link(0, 1, said(5, 9, "web"));
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1"], &["a:t"]]);
    assert!(graph.link(0, 1, said(6, 9, "web")), "another event, after the span");
}

#[test]
fn the_last_word_of_a_steward_counts_and_limits_do_not_bind_it() {
    let mut graph = graph(&[("u:1", "a:t", 1), ("u:2", "a:s", 2)]);
    let ids = [identified("u:1").id, identified("u:2").id];
    let judge = |graph: &mut Graph, verdict, at| {
        let at = Timestamp::from_millis(at);
        graph.judge(ids[1], ids[0], Judgement { verdict, at, word: word() });
        graph.resolve(&RULES, unseen);
    };
    add(&mut graph, "u:1", "u:2", 10, Strength::Probable);
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "a:t"], &["u:2", "a:s"]]);
    add(&mut graph, "u:1", "u:2", 20, Strength::Manual);
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "a:t", "u:2", "a:s"]]);
    judge(&mut graph, Verdict::Unsure, 30);
    check(&graph, &[&["u:1", "a:t"], &["u:2", "a:s"]]);
    judge(&mut graph, Verdict::Different, 40);
    add(&mut graph, "u:1", "u:2", 41, Strength::Declared);
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "a:t"], &["u:2", "a:s"]]);
    add(&mut graph, "a:t", "a:s", 51, Strength::Manual);
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "a:t", "u:2", "a:s"]]);
    assert!(graph.undo(undone(Selector::Edge { a: identified("a:s").id, b: identified("a:t").id }, 60)));
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "a:t"], &["u:2", "a:s"]]);
}

#[test]
fn a_steward_who_takes_back_a_word_against_a_pair_is_heard_though_weightier_evidence_is_there() {
    let mut graph = Graph::default();
    add(&mut graph, "u:1", "u:2", 1, Strength::Declared);
    let (a, b) = (identified("u:1").id, identified("u:2").id);
    let at = Timestamp::from_millis(5);
    assert!(graph.judge(a, b, Judgement { verdict: Verdict::Different, at, word: word() }));
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1"], &["u:2"]]);
    assert!(graph.link(0, 1, evidence(9, Strength::Manual)), "who is one person changes");
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "u:2"]]);
}

#[test]
fn a_steward_may_merge_again_what_a_split_took_apart() {
    let mut graph = graph(&[("u:1", "a:t", 1), ("u:1", "e:x", 2)]);
    let away = BTreeSet::from([identified("a:t").id]);
    assert!(graph.split(0, &away, Timestamp::from_millis(5), word()));
    add(&mut graph, "u:1", "a:t", 6, Strength::Deterministic);
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "e:x"], &["a:t"]]);
    add(&mut graph, "e:x", "a:t", 7, Strength::Manual);
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "e:x", "a:t"]]);
    assert!(graph.split(0, &away, Timestamp::from_millis(8), word()));
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "e:x"], &["a:t"]]);
}

#[test]
fn a_steward_who_merges_somebody_else_does_not_take_back_that_two_are_two() {
    let mut graph = graph(&[("u:1", "a:t", 1), ("u:1", "e:x", 2)]);
    let away = BTreeSet::from([identified("a:t").id]);
    assert!(graph.split(0, &away, Timestamp::from_millis(5), word()));
    graph.resolve(&RULES, unseen);
    add(&mut graph, "u:1", "e:z", 7, Strength::Manual);
    add(&mut graph, "e:z", "a:t", 8, Strength::Deterministic);
    graph.resolve(&RULES, unseen);
    check(&graph, &[&["u:1", "e:x", "e:z"], &["a:t"]]);
}

prop_compose! {
    fn edges()(edges in proptest::collection::vec(
        (prop_oneof!["u:[1-4]", "e:[1-4]"], prop_oneof!["a:[1-4]", "e:[1-9]", "u:[1-4]"], 0_i64..20, 0_u8..8), 1..24,
    )) -> Vec<(String, String, i64, bool)> {
        edges.into_iter().map(|(a, b, at, declared)| (a, b, at, declared == 0)).collect()
    }
}

/// What a profile is made of: its identifiers, and the evidence between them that counts.
type Standing = (BTreeSet<FragmentId>, Vec<(FragmentId, FragmentId, Evidence)>);

fn stands(graph: &Graph) -> BTreeSet<Standing> {
    let of = |nodes: Vec<usize>| {
        let inside = graph.edges().iter().filter(|edge| nodes.contains(&edge.ends().0));
        let mut words: Vec<_> = inside
            .filter(|edge| edge.linked() == Linked::Yes && nodes.contains(&edge.ends().1))
            .flat_map(|edge| {
                let (a, b) = graph.pair(edge);
                let words = edge.evidence().iter().filter(|word| graph.counts(edge, word));
                words.map(move |word| (a, b, word.clone()))
            })
            .collect();
        words.sort();
        (nodes.iter().map(|node| graph.nodes()[*node].id).collect(), words)
    };
    graph.components().into_iter().map(of).collect()
}

fn build_said(edges: &[(String, String, i64, bool)], received_at: i64, source: &str, into: &mut Graph) {
    for (a, b, at, _) in edges {
        let (a, b) = (into.insert(&identified(a)), into.insert(&identified(b)));
        let mut word = said(*at, received_at, source);
        // Two events of one time are two events.
        let id = format!("{source}-{at}-{a}-{b}");
        word.message = MessageKey::from(&MessageId::parse(&id).unwrap());
        into.link(a, b, word);
    }
}

proptest! {
    #[test]
    fn undoing_leaves_what_there_would_be_without_that_evidence(
        base in edges(), more in edges(), which in 0_u8..4, is_first in any::<bool>(), pick in any::<prop::sample::Index>(),
    ) {
        let nodes = |graph: &mut Graph| for (a, b, ..) in base.iter().chain(&more) {
            graph.insert(&identified(a));
            graph.insert(&identified(b));
        };
        let (mut never, mut undoing) = (Graph::default(), Graph::default());
        nodes(&mut never);
        nodes(&mut undoing);
        build_said(&base, 10, "web", &mut never);
        // What goes: all of a source, all of a span, one event, one edge that nothing else holds.
        let (source, received_at, gone) = match which {
            0 => ("import", 10, more.as_slice()),
            1 => ("web", 20, more.as_slice()),
            _ => ("import", 10, std::slice::from_ref(&more[pick.index(more.len())])),
        };
        if is_first {
            build_said(gone, received_at, source, &mut undoing);
        }
        build_said(&base, 10, "web", &mut undoing);
        if !is_first {
            build_said(gone, received_at, source, &mut undoing);
        }
        let (a, b) = (identified(&gone[0].0).id, identified(&gone[0].1).id);
        let is_alone = base.iter().all(|(x, y, ..)| {
            let (x, y) = (identified(x).id, identified(y).id);
            (x, y) != (a, b) && (y, x) != (a, b)
        });
        prop_assume!(which != 3 || is_alone);
        // Of more than four words of a source on an edge not all are kept, and never less than four.
        let is_little = |graph: &Graph| graph.edges().iter().all(|edge| edge.evidence().len() < 4);
        prop_assume!(is_little(&undoing));
        let whole = undoing.clone();
        let message = undoing.edges().iter().flat_map(Edge::evidence).find(|word| word.source.as_str() == "import");
        let selector = match (which, message) {
            (0, _) => Selector::Source { source: SourceName::parse("import").unwrap(), from: None, to: Timestamp::MAX },
            (1, _) | (_, None) => span("web", 20, 21),
            (2, Some(word)) => Selector::Event { message: word.message.digest() },
            (_, Some(_)) => Selector::Edge { a, b },
        };
        undoing.undo(undone(selector, 30));
        undoing.resolve(&RULES, unseen);
        never.resolve(&RULES, unseen);
        prop_assert_eq!(stands(&undoing), stands(&never));
        undoing.redo(UndoId(7));
        undoing.resolve(&RULES, unseen);
        let mut whole = whole;
        whole.resolve(&RULES, unseen);
        prop_assert_eq!(stands(&undoing), stands(&whole));
    }
}
