//! Definitions that come late are filled from the lake: the members are as if they had always been there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_audience::{Audience, definitions};
use tessera_model::{AudienceId, FragmentId, Operation};
use tessera_pipeline::{load_catalogue, memberships_of, next_due};
use tessera_policy::Labels;
use tessera_store::Clock as _;

use super::world::World;
use crate::{Compared, DeltaLake, Engine, Filler, LakeOptions, QueryLimits, Recomputed};

const MINUTE: i64 = 60_000;
const PEOPLE: u8 = 5;

fn rules() -> Vec<Value> {
    vec![
        json!({"kind": "Purpose", "name": "service", "basis": "contract"}),
        json!({"kind": "Purpose", "name": "news", "basis": "consent"}),
        json!({"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]}),
        json!({"kind": "Source", "name": "shop", "write_key": "shop-write-key", "purposes": ["service", "news"]}),
    ]
}

fn with_audiences() -> Value {
    let all = [
        "count of \"Order\" >= 3",
        // Whatever is counted twice, or not at all, shows.
        "count of \"Order\" = 2 or count of \"Order\" = 4",
        "count of \"Seen\" = 1 or count of \"Seen\" = 3 or count of \"Seen\" = 5",
        "sum of total of \"Order\" in last 2 hours > 10",
        "not performed \"Order\" in last 1 hour",
        "\"Seen\" then \"Order\" within 30 minutes",
        "distinct of total of any event >= 2",
        "last time of \"Seen\" more than 1 hour ago",
        "performed identify and not performed \"Seen\"",
    ];
    let audiences = all.iter().enumerate().map(|(number, when)| {
        json!({"kind": "Audience", "name": format!("a{number}"), "purpose": "service", "when": when})
    });
    json!(rules().into_iter().chain(audiences).collect::<Vec<_>>())
}

#[derive(Clone, Debug)]
enum Step {
    Event {
        who: u8,
        is_order: bool,
        total: u8,
        ago: u8,
        source: bool,
    },
    /// Two of them turn out to be one.
    Meet(u8, u8),
    Pass(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..PEOPLE;
    prop_oneof![
        6 => (who(), any::<bool>(), 0..6_u8, 0..180_u8, any::<bool>()).prop_map(
            |(who, is_order, total, ago, source)| Step::Event { who, is_order, total, ago, source }
        ),
        1 => (who(), who()).prop_map(|(one, other)| Step::Meet(one, other)),
        1 => (1..40_u8).prop_map(Step::Pass),
    ]
}

fn take(world: &mut World, number: usize, step: &Step) {
    match step {
        Step::Event { who, is_order, total, ago, source } => {
            let at = world.clock.now().plus_millis(-i64::from(*ago) * MINUTE);
            let event = json!({
                "type": "track", "anonymousId": format!("p{who}"), "messageId": format!("m{number}"),
                "event": if *is_order { "Order" } else { "Seen" }, "timestamp": at.to_string(),
                "properties": {"total": total},
            });
            world.send(if *source { "web" } else { "shop" }, &[event]);
        }
        Step::Meet(one, other) => {
            let meet = |who: &u8, name: &str| {
                json!({"type": "identify", "anonymousId": format!("p{who}"), "userId": format!("u{one}"),
                       "messageId": format!("{name}{number}")})
            };
            world.send("web", &[meet(one, "i"), meet(other, "j")]);
        }
        Step::Pass(minutes) => {
            world.clock.advance_millis(i64::from(*minutes) * MINUTE);
        }
    }
    settle(world);
}

/// Everybody is asked whose time has come.
fn settle(world: &mut World) {
    while next_due(world.store.as_ref()).unwrap().is_some_and(|at| at <= world.clock.now()) {
        world.operate(Operation::Tick {});
    }
}

/// One turn of a filler that is killed after so many orders, and what it ordered until then.
fn turn(world: &World, orders: usize, states_max: usize) -> Vec<Operation> {
    let ordered: Arc<Mutex<Vec<Operation>>> = Arc::default();
    let taken = Arc::clone(&ordered);
    let filler = Filler {
        lake: Arc::clone(&world.lake),
        feed: Arc::clone(&world.feed),
        rules: world.pipeline.rules(),
        order: Box::new(move |operation| {
            let mut taken = taken.lock();
            if taken.len() == orders {
                return Err("killed".to_owned());
            }
            taken.push(operation);
            Ok(())
        }),
        states_max,
    };
    let done = filler.turn(&AtomicBool::new(false));
    drop(filler);
    let ordered = std::mem::take(&mut *ordered.lock());
    assert!(done.is_ok() || ordered.len() == orders, "{done:?}");
    ordered
}

fn members(world: &World) -> BTreeMap<FragmentId, Vec<AudienceId>> {
    let names = (0..PEOPLE).flat_map(|who| [format!("anonymous_id:p{who}"), format!("user_id:u{who}")]);
    let of = |id| memberships_of(world.store.as_ref(), id).unwrap().into_keys().collect();
    names.map(|name| world.id(&name)).map(|id| (id, of(id))).collect()
}

/// The members by SQL over a lake against those of the stream, of each audience.
fn recomputed(world: &World, lake: &Arc<DeltaLake>) -> Vec<Recomputed> {
    let rules = world.pipeline.rules().load_full();
    let labels = Arc::new(Labels::new(&rules));
    let definitions = Arc::new(definitions(&rules.workspace).unwrap());
    let spill = world.folder.path().join("spill");
    let engine = Arc::new(Engine::new(Arc::clone(lake), spill, QueryLimits::default()).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let one = |audience: &Audience| {
        let (rules, labels, name) = (Arc::clone(&rules), Arc::clone(&labels), audience.name.clone());
        let compared = Compared { rules, labels, definitions: Arc::clone(&definitions), name };
        runtime.block_on(engine.recompute(&world.feed, &compared)).unwrap()
    };
    definitions.audiences.iter().map(one).collect()
}

#[test]
fn who_is_a_member_by_one_way_alone_is_told_and_what_has_not_reached_the_lake_is_waited_for() {
    let mut world = World::new(with_audiences());
    let order = |who: u8| Step::Event { who, is_order: true, total: 4, ago: 0, source: true };
    for number in 0..3 {
        take(&mut world, number, &order(1));
    }
    // Nothing has reached the lake yet.
    let waited = recomputed(&world, &world.lake);
    assert_eq!((waited[0].people, waited[0].agreed, waited[0].unsettled), (1, 1, 0), "{waited:?}");
    assert!(waited.iter().all(|one| one.only_stream.is_empty() && one.only_batch.is_empty()), "{waited:?}");
    // A lake that has lost everything.
    let lost = tempfile::tempdir().unwrap();
    let lost = DeltaLake::open(lost.path(), LakeOptions::default(), world.clock.now()).unwrap();
    let lost = Arc::new(lost);
    let differing = recomputed(&world, &lost);
    let person = BTreeSet::from([world.id("anonymous_id:p1")]);
    assert_eq!((&differing[0].only_stream, differing[0].agreed), (&person, 0), "count of Order >= 3");
    assert_eq!((&differing[4].only_batch, differing[4].agreed), (&person, 0), "not performed Order");
    // Their hour is over, and nobody has asked them yet: that is no difference.
    world.clock.advance_millis(61 * MINUTE);
    let due = recomputed(&world, &lost);
    assert_eq!((due[0].only_stream.len(), due[0].unsettled), (0, 1), "{due:?}");
    let due = recomputed(&world, &world.lake);
    assert_eq!((due[4].only_batch.len(), due[4].unsettled), (0, 1), "{due:?}");
    settle(&mut world);
    let asked = recomputed(&world, &world.lake);
    assert_eq!((asked[4].agreed, asked[4].unsettled), (1, 0), "{asked:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn definitions_that_come_late_are_filled_as_if_they_had_always_been_there(
        before in prop::collection::vec(step(), 5..20),
        during in prop::collection::vec(step(), 0..25),
        after in prop::collection::vec(step(), 0..10),
        kills in prop::collection::vec(0..200_usize, 0..4),
        states_max in 1..20_usize,
    ) {
        let mut always = World::new(with_audiences());
        let mut late = World::new(json!(rules()));
        let mut number = 0;
        let mut both = |late: &mut World, step: &Step| {
            number += 1;
            take(&mut always, number, step);
            take(late, number, step);
        };
        before.iter().for_each(|step| both(&mut late, step));
        late.operate(Operation::Apply { documents: serde_json::from_value(with_audiences()).unwrap() });
        let (mut during, mut kills) = (during.iter(), kills.into_iter());
        // Some come before the lake is read: one file has what came before the definitions and what came after.
        during.by_ref().take(4).for_each(|step| both(&mut late, step));
        while !load_catalogue(late.store.as_ref()).unwrap().fillings.is_empty() {
            let kill = kills.next();
            for operation in turn(&late, kill.unwrap_or(usize::MAX), states_max) {
                // Events go on arriving between any two parts.
                if let (true, Some(step)) = (matches!(operation, Operation::FillAudience { part, .. } if part % 8 == 7), during.next()) {
                    both(&mut late, step);
                }
                late.operate(operation);
            }
            if kill.is_some() {
                late.restart(true);
            }
        }
        during.chain(&after).for_each(|step| both(&mut late, step));
        settle(&mut late);
        settle(&mut always);
        prop_assert_eq!(members(&late), members(&always));
        late.feed.flush().unwrap();
        let recomputed = recomputed(&late, &late.lake);
        let differ =
            |one: &&Recomputed| !one.only_stream.is_empty() || !one.only_batch.is_empty() || one.unsettled > 0;
        prop_assert_eq!(recomputed.iter().find(differ), None);
        let agreed: usize = members(&late).values().map(Vec::len).sum();
        prop_assert_eq!(recomputed.iter().all(|one| one.agreed == 0), agreed == 0);
    }
}
