//! When something else is known of an account, its people are asked: soon, and so many at a time.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_model::{AudienceId, AudienceName, FragmentId, Operation, PurposeName, Record, Timestamp};
use tessera_pipeline::{PipelineOptions, audience_size, next_due, profile_of};
use tessera_store::{Log, Position, Store, Table};

use crate::audiences::{History, MINUTE, Step, documents};
use crate::world::{World, identify};

const AUDIENCES: [(&str, &str, &str); 4] = [
    ("paying", "service", "account plan = \"pro\""),
    ("not-paying", "service", "not account plan = \"pro\""),
    ("both", "service", "account plan = \"pro\" and account plan = \"free\""),
    ("paying-news", "news", "account plan = \"pro\""),
];

fn group(user: Option<&str>, device: Option<&str>, account: &str, traits: &Value) -> Value {
    let mut event = identify("", user, device, json!({}), 0);
    event["type"] = json!("group");
    event["groupId"] = json!(account);
    event["traits"] = traits.clone();
    event
}

/// Orders of an account: besides what is done to people.
#[derive(Clone, Debug)]
enum Turn {
    Step(Step),
    EraseAccount(u8),
    ExpireAccount(u8),
    Tick,
}

fn turn() -> impl Strategy<Value = Turn> {
    let who = (0_u8..3, 1_u8..4, 1_u8..4);
    let event = (who, 1_u8..3, 0_u8..4, 0_i64..90, any::<bool>()).prop_map(
        |((who, user, device), account, plan, ago, says)| {
            let (user, device) = (format!("u{user}"), format!("d{device}"));
            let (user, device) = match who {
                0 => (Some(user.as_str()), None),
                1 => (None, Some(device.as_str())),
                _ => (Some(user.as_str()), Some(device.as_str())),
            };
            let traits = match plan {
                0 => json!({"plan": "pro"}),
                1 => json!({"plan": "free"}),
                2 => json!({}),
                _ => json!({"plan": "pro", "seats": ago}),
            };
            let mut event = group(user, device, &format!("a{account}"), &traits);
            let at = Timestamp::from_millis((ago - 5) * MINUTE);
            event["timestamp"] = json!(at.to_string());
            if says {
                event["context"] = json!({"consent": {"categoryPreferences": {"Newsletter": true}}});
            }
            event
        },
    );
    prop_oneof![
        12 => event.clone().prop_map(|event| Turn::Step(Step::Event(event))),
        5 => event.prop_map(|event| Turn::Step(Step::Form(event))),
        2 => (1_u8..4).prop_map(|device| Turn::Step(Step::Split(device))),
        1 => (1_u8..4).prop_map(|user| Turn::Step(Step::Erase(user))),
        2 => ((1_u8..4), any::<bool>()).prop_map(|(user, yes)| Turn::Step(Step::Words(user, yes))),
        1 => (1_u8..4).prop_map(|user| Turn::Step(Step::Expire(user))),
        1 => (1_u8..3).prop_map(Turn::EraseAccount),
        1 => (1_u8..3).prop_map(Turn::ExpireAccount),
        3 => Just(Turn::Tick),
    ]
}

fn apply(history: &mut History, turn: &Turn) {
    let account = |history: &History, number| vec![history.world.id(&format!("account_id:a{number}"))];
    match turn {
        Turn::Step(step) => history.apply(step),
        Turn::EraseAccount(number) => {
            let fragments = account(history, number);
            history.world.operate(Operation::Erase { fragments, request: "r2".to_owned() });
        }
        Turn::ExpireAccount(number) => {
            let fragments = account(history, number);
            history.world.operate(Operation::Expire { fragments });
        }
        Turn::Tick => history.world.settle(),
    }
}

fn asks(history: &History) -> usize {
    let rows = history.world.store.scan(Table::Audience, Some(b"ask"), usize::MAX).unwrap();
    rows.iter().filter(|(key, _)| key.id().starts_with(b"ask")).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn asking_everybody_again_finds_no_other_members_of_accounts(
        turns in proptest::collection::vec(turn(), 1..30),
    ) {
        let mut history = History::new(&AUDIENCES);
        history.send("web", &group(Some("u1"), None, "a1", &json!({"plan": "free"})));
        turns.iter().for_each(|turn| apply(&mut history, turn));
        history.world.settle();
        prop_assert_eq!(asks(&history), 0);
        let store = history.world.store.as_ref();
        for (key, value) in store.scan(Table::Audience, Some(b"of"), usize::MAX).unwrap() {
            if key.id().starts_with(b"of") {
                let id = FragmentId(value.as_ref().try_into().unwrap());
                prop_assert!(profile_of(store, id).unwrap().is_some(), "a row of somebody who was erased");
            }
        }
        let members = history.kept();
        // Another definition comes: everybody is asked.
        let mut more = AUDIENCES.to_vec();
        more.push(("nobody", "service", "account plan = \"none\""));
        history.world.operate(Operation::Apply { documents: documents(&more) });
        prop_assert!(next_due(history.world.store.as_ref()).unwrap().is_some());
        history.world.settle();
        prop_assert_eq!(members, history.kept());
        for batch_events_max in [1, 2_000] {
            let options = PipelineOptions { batch_events_max, ..PipelineOptions::default() };
            let mut again = World::on(Arc::clone(&history.world.log), options);
            again.pipeline.catch_up().unwrap();
            prop_assert_eq!(history.world.hash(), again.hash());
        }
    }
}

fn ticks(history: &History) -> usize {
    let entries = history.world.log.read(Position(0), usize::MAX).unwrap();
    let records = entries.iter().map(|entry| Record::decode(&entry.record.to_vec().into()).unwrap());
    records.filter(|one| matches!(one, Record::Operation { operation: Operation::Tick {}, .. })).count()
}

#[test]
fn the_people_of_an_account_enter_when_it_changes_and_many_are_asked_in_turn() {
    let mut history = History::new(&AUDIENCES[..1]);
    let members = 4_500;
    for first in (0..members).step_by(500) {
        let some: Vec<Value> = (first..first + 500)
            .map(|number| {
                let mut event = group(Some(&format!("p{number}")), None, "a1", &json!({"plan": "free"}));
                event["messageId"] = json!(format!("g{number}"));
                event
            })
            .collect();
        history.world.send("web", &some);
    }
    history.world.settle();
    let before = ticks(&history);
    history.send("web", &group(Some("p7"), None, "a1", &json!({"plan": "pro"})));
    let size = |history: &History| {
        let name = AudienceName::parse("paying").unwrap();
        let purpose = PurposeName::parse("service").unwrap();
        let id = AudienceId::of(&name, &purpose);
        audience_size(history.world.store.as_ref(), id).unwrap()
    };
    assert_eq!(size(&history), 1, "who said so is asked at once");
    history.world.operate(Operation::Tick {});
    // Whoever said so may be among them.
    assert!((2_000..=2_001).contains(&size(&history)), "a tick asks so many and no more");
    history.world.settle();
    assert_eq!((size(&history), ticks(&history) - before), (members, 3));
    // Who says the same again changes nothing, and nobody is asked.
    history.send("web", &group(Some("p8"), None, "a1", &json!({"plan": "pro"})));
    assert_eq!(asks(&history), 0);
    let fragments = vec![history.world.id("account_id:a1")];
    history.world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
    history.world.settle();
    assert_eq!((size(&history), asks(&history)), (0, 0), "nothing is known of it any more");
}

#[test]
fn what_is_done_to_somebody_by_hand_leaves_them_in_what_their_account_says() {
    let mut history = History::new(&AUDIENCES[..1]);
    history.send("web", &group(Some("u1"), None, "a1", &json!({"plan": "pro"})));
    assert_eq!(history.kept().len(), 1);
    history.apply(&Step::Words(1, true));
    assert_eq!(history.kept().len(), 1);
}
