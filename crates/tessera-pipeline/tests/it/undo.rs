//! Merge then undo is as if never merged, byte for byte, for each selector; and taking the undo back is as if never undone.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_identity::Graph;
use tessera_model::{FragmentId, LinkOrder, MessageId, MessageKey, Operation, Score, Selector, SourceName};
use tessera_model::{Strength, Timestamp, UndoId, Verdict};
use tessera_pipeline::Undoing;
use tessera_profile::{Cluster, Row};
use tessera_store::{Clock, Log, Store, Table};

use crate::world::{NOON, World, identify};

/// One thing that happens. People and devices are few, so that they meet.
#[derive(Clone, Debug)]
enum Step {
    /// Somebody is seen on a device.
    Seen { user: u8, device: u8, at: i64, value: u8 },
    /// Somebody says that two user ids are one person's.
    Alias { user: u8, previous: u8, at: i64 },
    /// A matcher thinks that two are one.
    Matched { user: u8, device: u8, score: u8 },
    /// A steward says so.
    Judged { user: u8, other: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u8..4, 1_u8..4, 0_i64..6, 0_u8..4)
            .prop_map(|(user, device, at, value)| Step::Seen { user, device, at, value }),
        1 => (1_u8..4, 1_u8..4, 0_i64..6).prop_map(|(user, previous, at)| Step::Alias { user, previous, at }),
        2 => (1_u8..4, 1_u8..4, 1_u8..10).prop_map(|(user, device, score)| Step::Matched { user, device, score }),
        1 => (1_u8..4, 1_u8..4).prop_map(|(user, other)| Step::Judged { user, other }),
    ]
}

/// Everybody stands alone first, so that what is undone brings no identifier of its own.
fn world() -> World {
    let mut world = World::new();
    let mut events = Vec::new();
    for n in 1..4_u8 {
        let (user, device) = (format!("u{n}"), format!("d{n}"));
        let traits = json!({"value": format!("of {user}")});
        events.push(identify(&format!("user-{n}"), Some(&user), None, traits, NOON - 90_000));
        let traits = json!({"value": format!("of {device}"), "colour": n});
        events.push(identify(
            &format!("device-{n}"),
            None,
            Some(&device),
            traits,
            NOON - 80_000 + i64::from(n),
        ));
        // Whatever names them later comes between what is known of them already.
        events.push(crate::world::track(&format!("last-{n}"), None, Some(&device), NOON - 1000));
    }
    world.send("web", &events);
    world.clock.advance_millis(1000);
    world
}

fn user(n: u8) -> String {
    format!("user_id:u{n}")
}

/// Does it. `is_linking`: or does the same, in as many bytes of log, without the link.
fn apply(world: &mut World, number: usize, step: &Step, matcher: &str, is_linking: bool) {
    let at = |at: i64| NOON - 50_000 + at;
    match *step {
        Step::Seen { user, device, at: when, value } => {
            let (user, device) = (format!("u{user}"), format!("d{device}"));
            let mut event = crate::world::track(&format!("m-{number}"), Some(&user), Some(&device), at(when));
            event["event"] = json!(format!("Seen {value}"));
            if !is_linking {
                let device = event.as_object_mut().unwrap().remove("anonymousId").unwrap();
                event["anonymousIx"] = device;
            }
            world.send("web", &[event]);
        }
        Step::Alias { user, previous, at: when } => {
            let mut event =
                crate::world::track(&format!("m-{number}"), Some(&format!("u{user}")), None, at(when));
            event["type"] = json!("alias");
            event["previousId"] = json!(format!("u{previous}"));
            world.send("web", &[event]);
        }
        Step::Matched { user: n, device, score } => {
            let (a, b) =
                if is_linking { (user(n), format!("anonymous_id:d{device}")) } else { (user(8), user(9)) };
            let pair = LinkOrder {
                a: world.id(&a),
                b: world.id(&b),
                strength: Strength::Probable,
                score: Score::of(f64::from(score) / 10.0),
                by: matcher.to_owned(),
                reason: String::new(),
                at: world.clock.now(),
            };
            world.operate(Operation::Link { pairs: vec![pair] });
        }
        Step::Judged { user: n, other } => {
            let (a, b) = (world.id(&user(n)), world.id(&user(other)));
            let (by, reason) = ("ruth".to_owned(), "they called".to_owned());
            world.operate(Operation::Judge { a, b, verdict: Verdict::Same, by, reason });
        }
    }
    world.clock.advance_millis(10);
}

/// Every profile, as encoded: its identifiers, the fragments of them, and the evidence that counts between them.
fn encoded(world: &World) -> BTreeSet<(Vec<FragmentId>, Vec<u8>)> {
    let mut found = BTreeSet::new();
    for (_, value) in world.store.scan(Table::Cluster, None, usize::MAX).unwrap() {
        let Row::Cluster(cluster) = Row::decode(&value).unwrap() else { continue };
        for nodes in cluster.graph().components() {
            found.insert(component(&cluster, &nodes));
        }
    }
    found
}

fn component(cluster: &Cluster, nodes: &[usize]) -> (Vec<FragmentId>, Vec<u8>) {
    let mut nodes: Vec<usize> = nodes.to_vec();
    nodes.sort_by_key(|node| cluster.graph().nodes()[*node].id);
    let mut alone = Cluster::default();
    let mut ids = Vec::new();
    for node in &nodes {
        let known = &cluster.graph().nodes()[*node];
        let identified = tessera_model::Identified { id: known.id, identifier: known.identifier(), rank: 0 };
        let at = alone.insert(&identified);
        *alone.fragment_mut(at).unwrap() = cluster.fragment(*node).unwrap().clone();
        ids.push(known.id);
    }
    let graph: &Graph = cluster.graph();
    let mut words: Vec<_> = graph
        .edges()
        .iter()
        .filter(|edge| nodes.contains(&edge.ends().0) && nodes.contains(&edge.ends().1))
        .flat_map(|edge| {
            let heard = edge.evidence().iter().filter(|word| graph.counts(edge, word));
            heard.map(move |word| (graph.pair(edge), word.clone()))
        })
        .collect();
    words.sort();
    for ((a, b), word) in words {
        let (a, b) = (alone.find(a).unwrap(), alone.find(b).unwrap());
        alone.link(a, b, word);
    }
    let rules = tessera_model::NamespaceRules::new([]).unwrap();
    alone.resolve(&rules);
    (ids, Row::Cluster(Box::new(alone)).encode(Vec::new()).unwrap())
}

/// What every profile shows, but for evidence that does not count.
fn shown(world: &World) -> BTreeSet<String> {
    let without = |text: &String| {
        let mut profile: Value = serde_json::from_str(text).unwrap();
        profile["merges"] = Value::Null;
        profile.to_string()
    };
    world.profiles().iter().map(without).collect()
}

/// Undoes, and returns what was told of it before.
fn undo(world: &mut World, selector: Selector) -> tessera_pipeline::UndoPreview {
    let rules = world.pipeline.rules().load_full();
    let undoing = Undoing { selector: &selector, rules: &rules, now: world.clock.now() };
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let found = undoing.preview(world.store.as_ref(), go_on).unwrap().unwrap();
    let (by, reason) = ("ruth".to_owned(), "a wrong import".to_owned());
    let fragments = found.fragments.clone();
    world.operate(Operation::Undo { id: UndoId(1), selector, fragments, by, reason });
    found
}

fn redo(world: &mut World) {
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let fragments =
        tessera_pipeline::clusters_undone_by(world.store.as_ref(), UndoId(1), go_on).unwrap().unwrap();
    let (by, reason) = ("ruth".to_owned(), "it was right".to_owned());
    world.operate(Operation::Redo { id: UndoId(1), fragments, by, reason });
}

fn is_little(world: &World) -> bool {
    let mut all = world.store.scan(Table::Cluster, None, usize::MAX).unwrap().into_iter();
    all.all(|(_, value)| match Row::decode(&value).unwrap() {
        Row::Cluster(cluster) => cluster.graph().edges().iter().all(|edge| edge.evidence().len() < 4),
        Row::Pointer(_) | Row::Tombstone(_) => true,
    })
}

/// What is undone, and by which selector.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Matcher,
    MatcherSpan,
    SourceSpan,
    Event,
    Edge,
}

fn wrong() -> impl Strategy<Value = (By, Vec<Step>)> {
    let link = (1_u8..4, 1_u8..4, 1_u8..10, 0_i64..6);
    let by = prop_oneof![
        Just(By::Matcher),
        Just(By::MatcherSpan),
        Just(By::SourceSpan),
        Just(By::Event),
        Just(By::Edge)
    ];
    (by, proptest::collection::vec(link, 1..6), any::<bool>()).prop_flat_map(|(by, links, is_event)| {
        let steps = links.into_iter().map(move |(user, device, score, at)| match by {
            By::SourceSpan => Step::Seen { user, device, at, value: score % 4 },
            By::Event | By::Edge if is_event => Step::Seen { user, device, at, value: score % 4 },
            By::Matcher | By::MatcherSpan | By::Event | By::Edge => Step::Matched { user, device, score },
        });
        let most = if matches!(by, By::Event | By::Edge) { 1 } else { 6 };
        (Just(by), Just(steps.take(most).collect::<Vec<Step>>()).prop_shuffle())
    })
}

fn ends(step: &Step) -> Option<(u8, u8)> {
    match step {
        Step::Seen { user, device, .. } | Step::Matched { user, device, .. } => Some((*user, *device)),
        Step::Alias { .. } | Step::Judged { .. } => None,
    }
}

fn selector(
    world: &World,
    by: By,
    step: &Step,
    (from, to): (Timestamp, Timestamp),
    position: u64,
) -> Selector {
    let source = |name: &str| SourceName::parse(name).unwrap();
    let (user_number, device) = ends(step).unwrap();
    match by {
        By::Matcher => Selector::Source { source: source("wrong"), from: None, to: world.clock.now() },
        By::MatcherSpan => Selector::Source { source: source("people"), from: Some(from), to },
        By::SourceSpan => Selector::Source { source: source("web"), from: Some(from), to },
        By::Event => {
            let id = match step {
                Step::Seen { .. } => "m-100".to_owned(),
                Step::Alias { .. } | Step::Matched { .. } | Step::Judged { .. } => {
                    format!("order-{position}-0")
                }
            };
            Selector::Event { message: MessageKey::from(&MessageId::parse(&id).unwrap()).digest() }
        }
        By::Edge => Selector::Edge {
            a: world.id(&user(user_number)),
            b: world.id(&format!("anonymous_id:d{device}")),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn merge_then_undo_is_as_if_never_merged_byte_for_byte(
        base in proptest::collection::vec(step(), 0..8), (by, wrong) in wrong(), early in any::<bool>(),
    ) {
        // All that is on an edge goes with it: so only what is undone may be.
        let is_same_edge = |step: &Step| ends(step).is_some() && ends(step) == ends(&wrong[0]);
        prop_assume!(by != By::Edge || !base.iter().any(is_same_edge));
        let matcher = if by == By::Matcher { "wrong" } else { "people" };
        let (mut never, mut undoing) = (world(), world());
        let steps = |world: &mut World| {
            base.iter().enumerate().for_each(|(n, step)| apply(world, n, step, "people", true));
        };
        let links = |world: &mut World, is_linking: bool| {
            let (from, position) = (world.clock.now(), world.log.bounds().end.0);
            wrong.iter().enumerate().for_each(|(n, link)| apply(world, 100 + n, link, matcher, is_linking));
            ((from, world.clock.now()), position)
        };
        let mut found = None;
        for (world, is_linking) in [(&mut never, false), (&mut undoing, true)] {
            if !early {
                steps(world);
            }
            found = Some(links(world, is_linking));
            if early {
                steps(world);
            }
        }
        let (span, position) = found.unwrap();
        // Of more than four words of a source on an edge not all are kept, and never less than four.
        prop_assume!(is_little(&undoing));
        let whole = (encoded(&undoing), shown(&undoing));
        let selector = selector(&undoing, by, &wrong[0], span, position);
        let before = undoing.totals().profiles;
        let told = undo(&mut undoing, selector).effect.profiles;
        prop_assert_eq!(undoing.totals().profiles + told.before, before + told.after);
        prop_assert_eq!(encoded(&undoing), encoded(&never));
        prop_assert_eq!(shown(&undoing), shown(&never));
        prop_assert_eq!(undoing.totals().profiles, never.totals().profiles);
        redo(&mut undoing);
        prop_assert_eq!((encoded(&undoing), shown(&undoing)), whole);
    }
}

/// What people order besides, in the midst of it.
#[derive(Clone, Debug)]
enum Act {
    Step(Step),
    Say { user: u8, device: u8, verdict: Verdict },
    Split { user: u8, device: u8 },
    Undo { user: u8, device: u8, which: u8 },
    Redo,
    Late { user: u8, device: u8, at: i64 },
    Limit { limit: u16 },
}

fn act() -> impl Strategy<Value = Act> {
    let (user, device) = (|| 1_u8..4, || 1_u8..4);
    prop_oneof![
        6 => step().prop_map(Act::Step),
        1 => (user(), device(), any::<bool>()).prop_map(|(user, device, is_unsure)| {
            Act::Say { user, device, verdict: if is_unsure { Verdict::Unsure } else { Verdict::Different } }
        }),
        1 => (user(), device()).prop_map(|(user, device)| Act::Split { user, device }),
        2 => (user(), device(), 0_u8..4).prop_map(|(user, device, which)| Act::Undo { user, device, which }),
        1 => Just(Act::Redo),
        1 => (user(), device(), 0_i64..6).prop_map(|(user, device, at)| Act::Late { user, device, at }),
        1 => (1_u16..3).prop_map(|limit| Act::Limit { limit }),
    ]
}

fn device(n: u8) -> String {
    format!("anonymous_id:d{n}")
}

fn order(world: &mut World, number: usize, act: &Act) {
    let (by, reason) = ("ruth".to_owned(), "why".to_owned());
    match *act {
        Act::Step(ref step) => apply(world, number, step, "people", true),
        Act::Say { user: n, device: d, verdict } => {
            let (a, b) = (world.id(&user(n)), world.id(&device(d)));
            world.operate(Operation::Judge { a, b, verdict, by, reason });
        }
        Act::Split { user: n, device: d } => {
            let fragments = vec![world.id(&device(d)), world.id(&user(n))];
            world.operate(Operation::Split { fragments, reason });
        }
        Act::Undo { user: n, device: d, which } => {
            let source = |name: &str| SourceName::parse(name).unwrap();
            let now = world.clock.now();
            let selector = match which {
                0 => Selector::Edge { a: world.id(&user(n)), b: world.id(&device(d)) },
                1 => Selector::Event {
                    message: MessageKey::from(&MessageId::parse(&format!("m-{n}")).unwrap()).digest(),
                },
                2 => Selector::Source { source: source("people"), from: None, to: now },
                _ => Selector::Source { source: source("web"), from: Some(now.plus_millis(-40)), to: now },
            };
            drop(undo(world, selector));
        }
        Act::Redo => redo(world),
        // As an event that was sent before, or under its name: late and repeated.
        Act::Late { user, device, at } => {
            apply(
                world,
                usize::from(user),
                &Step::Seen { user, device, at: at - 1000, value: 0 },
                "people",
                true,
            );
        }
        Act::Limit { limit } => {
            let mut documents = crate::world::workspace();
            let namespace = json!({"kind": "Namespace", "name": "user_id", "priority": 10, "limit": limit});
            documents.push(serde_json::from_value(namespace).unwrap());
            world.operate(Operation::Apply { documents });
            let rules = world.pipeline.rules().load_full();
            let mut fragments = Vec::new();
            tessera_pipeline::for_each_unresolved::<tessera_pipeline::PipelineError>(
                world.store.as_ref(),
                &rules,
                |_| {},
                |piece| {
                    fragments.extend(piece);
                    Ok(())
                },
            )
            .unwrap();
            world.operate(Operation::Resolve { fragments });
        }
    }
    world.clock.advance_millis(10);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn histories_of_merges_splits_and_undos_lose_nothing_and_replay_to_the_same_state(
        acts in proptest::collection::vec(act(), 1..16), commit in 1_usize..9,
    ) {
        let mut world = world();
        for (number, act) in acts.iter().enumerate() {
            order(&mut world, number, act);
        }
        let mut profiles = 0;
        let mut known = BTreeSet::new();
        let is_declared = acts.iter().any(|act| matches!(act, Act::Step(Step::Alias { .. } | Step::Judged { .. })));
        let rules = world.pipeline.rules().load_full();
        let limit = rules.namespaces.limits(&tessera_model::Namespace::parse("user_id").unwrap()).limit;
        for (_, value) in world.store.scan(Table::Cluster, None, usize::MAX).unwrap() {
            let Row::Cluster(cluster) = Row::decode(&value).unwrap() else { continue };
            for nodes in cluster.graph().components() {
                profiles += 1;
                let names = nodes.iter().map(|node| &cluster.graph().nodes()[*node]);
                let users = names.clone().filter(|node| node.namespace.as_str() == "user_id").count();
                prop_assert!(is_declared || users <= usize::from(limit), "{users} user ids with a limit of {limit}");
                known.extend(names.map(|node| node.id));
            }
        }
        prop_assert_eq!(world.totals().profiles, profiles);
        for n in 1..4 {
            prop_assert!(known.contains(&world.id(&user(n))) && known.contains(&world.id(&device(n))));
        }
        let options = tessera_pipeline::PipelineOptions {
            batch_events_max: commit,
            ..tessera_pipeline::PipelineOptions::default()
        };
        let mut again = World::on(std::sync::Arc::clone(&world.log), options);
        again.pipeline.catch_up().unwrap();
        prop_assert_eq!(world.hash(), again.hash());
    }
}
