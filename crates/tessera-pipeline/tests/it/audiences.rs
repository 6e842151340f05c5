//! Members are what the naive oracle says of everybody's events, whatever happened; who enters and leaves is told once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use proptest::prelude::*;
use serde_json::{Value, json};
use tessera_audience::{Compiled, EventView, FragmentState, Happened, Oracle, Person, definitions};
use tessera_model::{
    AudienceId, AudienceName, ConsentOrder, Document, FillOrder, FragmentId, LinkOrder, MessageId,
    MessageKey, Operation, PurposeName, Score, Selector, SourceName, Strength, Timestamp, UndoId,
};
use tessera_pipeline::{OutboxRow, PipelineOptions, audience_size, load_catalogue, memberships_of, next_due};
use tessera_store::{Clock, Store, Table};

use crate::world::{NOON, World, identify, track, workspace};

pub(crate) const MINUTE: i64 = 60_000;

pub(crate) fn documents(audiences: &[(&str, &str, &str)]) -> Vec<Document> {
    let mut all = workspace();
    let of = |(name, purpose, when): &(&str, &str, &str)| json!({"kind": "Audience", "name": name, "purpose": purpose, "when": when});
    let told = |name: &str, purpose: &str| {
        json!({"kind": "Destination", "name": name, "type": "jsonl", "purpose": purpose,
               "events": ["Audience Entered", "Audience Exited"], "config": {}})
    };
    let mut more: Vec<Value> = audiences.iter().map(of).collect();
    more.extend([told("told", "service"), told("told-news", "news")]);
    all.extend(serde_json::from_value::<Vec<Document>>(json!(more)).unwrap());
    all
}

/// Of every kind, on the two kinds of events that histories have.
pub(crate) const AUDIENCES: [(&str, &str, &str); 12] = [
    ("viewers", "service", "performed \"Product Viewed\" at least 2 times in last 30 minutes"),
    ("buyers", "service", "sum of total of \"Order Completed\" in last 1 hour >= 3"),
    ("idle", "service", "not performed any event in last 1 hour"),
    ("pro", "service", "plan = \"pro\""),
    ("not-pro", "service", "not plan = \"pro\""),
    ("bought-after-view", "service", "\"Product Viewed\" then \"Order Completed\" within 10 minutes"),
    ("left", "service", "\"Product Viewed\" then no \"Order Completed\" within 10 minutes in last 2 hours"),
    ("both", "service", "member of viewers and member of buyers"),
    ("chosen", "service", "sample 50% of \"seed\" and performed any event"),
    ("news", "news", "performed \"Product Viewed\""),
    ("no-news", "news", "not performed \"Product Viewed\" in last 1 hour"),
    ("trial", "service", "trial_ends_at is past"),
];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Event(Value),
    Form(Value),
    Split(u8),
    Erase(u8),
    Words(u8, bool),
    Pass(i64),
    Rules(bool),
    Expire(u8),
}

fn event() -> impl Strategy<Value = Value> {
    let user = proptest::option::weighted(0.6, "u[1-3]");
    let device = proptest::option::weighted(0.5, "d[1-4]");
    (user, device, 0_u8..10, 0_i64..90, 0_u8..4).prop_map(|(user, device, kind, ago, value)| {
        let device = if user.is_none() { device.or(Some("d1".to_owned())) } else { device };
        let (user, device) = (user.as_deref(), device.as_deref());
        // Minutes before it is sent: most are late, some claim to come from the future.
        let at = (ago - 5) * MINUTE;
        match kind {
            0..=3 => track("", user, device, at),
            4 | 5 => {
                let mut order = track("", user, device, at);
                order["event"] = json!("Order Completed");
                order["properties"] = json!({"total": value});
                order
            }
            6 | 7 => {
                let plan = if value == 0 { json!("pro") } else { json!("free") };
                let ends = Timestamp::from_millis(NOON + i64::from(value) * 20 * MINUTE).to_string();
                identify("", user, device, json!({"plan": plan, "trial_ends_at": ends}), at)
            }
            8 => identify("", user, device, json!({}), at),
            _ => {
                let mut alias = track("", user.or(Some("u1")), device, at);
                alias["type"] = json!("alias");
                alias["previousId"] = json!(format!("u{}", value % 3 + 1));
                alias
            }
        }
    })
}

fn form() -> impl Strategy<Value = Value> {
    (event(), proptest::option::weighted(0.7, any::<bool>())).prop_map(|(mut event, says)| {
        if let Some(says) = says {
            event["context"] = json!({"consent": {"categoryPreferences": {"Newsletter": says}}});
        }
        event
    })
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        14 => event().prop_map(Step::Event),
        5 => form().prop_map(Step::Form),
        2 => (1_u8..5).prop_map(Step::Split),
        1 => (1_u8..4).prop_map(Step::Erase),
        2 => ((1_u8..4), any::<bool>()).prop_map(|(user, yes)| Step::Words(user, yes)),
        5 => (1_i64..60).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Rules),
        1 => (1_u8..4).prop_map(Step::Expire),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..40)
}

/// A world, and what was kept of what was sent to it: owner, source and event.
pub(crate) struct History {
    pub(crate) world: World,
    kept: Vec<(String, &'static str, Happened)>,
    number: usize,
}

impl History {
    pub(crate) fn new(audiences: &[(&str, &str, &str)]) -> Self {
        let mut world = World::new();
        world.operate(Operation::Apply { documents: documents(audiences) });
        Self { world, kept: Vec::new(), number: 0 }
    }

    pub(crate) fn send(&mut self, source: &'static str, event: &Value) {
        let mut event = event.clone();
        self.number += 1;
        let (id, now) = (format!("m{}", self.number), self.world.clock.now());
        let ago = Timestamp::parse(event["timestamp"].as_str().unwrap()).unwrap().as_millis();
        let at = Timestamp::from_millis(now.as_millis() - ago);
        event["timestamp"] = json!(at.to_string());
        event["messageId"] = json!(id);
        let before = self.world.totals().accepted;
        self.world.send(source, std::slice::from_ref(&event));
        if self.world.totals().accepted > before {
            let owner = event["userId"].as_str().map(|id| format!("user_id:{id}"));
            let owner =
                owner.unwrap_or_else(|| format!("anonymous_id:{}", event["anonymousId"].as_str().unwrap()));
            let kind = event["type"].as_str().unwrap();
            let happened = Happened {
                message_id: id,
                name: if kind == "track" { event["event"].as_str().unwrap() } else { kind }.to_owned(),
                timestamp: at,
                received_at: now,
                properties: if kind == "track" {
                    event["properties"].clone()
                } else {
                    event["traits"].clone()
                },
                context: event["context"].clone(),
            };
            self.kept.push((owner, source, happened));
        }
    }

    pub(crate) fn apply(&mut self, step: &Step) {
        let world = &mut self.world;
        match step {
            Step::Event(event) => self.send("web", event),
            Step::Form(event) => self.send("form", event),
            Step::Split(device) => {
                let fragments = vec![world.id(&format!("anonymous_id:d{device}"))];
                world.operate(Operation::Split { fragments, reason: String::new() });
            }
            Step::Erase(user) => {
                let fragments = vec![world.id(&format!("user_id:u{user}"))];
                world.operate(Operation::Erase { fragments, request: "r1".to_owned() });
            }
            Step::Words(user, yes) => {
                let fragments = vec![world.id(&format!("user_id:u{user}"))];
                let status = if *yes { "given" } else { "withdrawn" };
                let word = json!({"purpose": "news", "status": status, "expression": "explicit"});
                let words: Vec<ConsentOrder> = serde_json::from_value(json!([word])).unwrap();
                world.operate(Operation::Consents { fragments, words });
            }
            Step::Pass(minutes) => world.clock.advance_millis(minutes * MINUTE),
            Step::Rules(all) => {
                // The features stay; who is a member of what goes, and comes again.
                let wanted =
                    AUDIENCES.iter().filter(|one| *all || !["both", "pro", "trial"].contains(&one.0));
                let wanted: Vec<_> = wanted.copied().collect();
                world.operate(Operation::Apply { documents: documents(&wanted) });
            }
            Step::Expire(user) => {
                let user = format!("user_id:u{user}");
                let fragments = vec![world.id(&user)];
                // What no purpose covers any more is gone: a later yes does not bring it back.
                if world.profile_for(&user, Some("news")).is_err() {
                    let profile =
                        |of: &str| tessera_pipeline::profile_of(world.store.as_ref(), world.id(of)).unwrap();
                    let own = profile(&user);
                    self.kept.retain(|(owner, source, _)| *source != "form" || profile(owner) != own);
                }
                world.operate(Operation::Expire { fragments });
            }
        }
        self.world.clock.advance_millis(10);
    }

    /// What fills the definitions that wait: what was kept until now, by owner and source, in parts.
    fn fill(&self) -> Vec<Operation> {
        let catalogue = load_catalogue(self.world.store.as_ref()).unwrap();
        let Some(since) = catalogue.fillings.keys().next().copied() else { return Vec::new() };
        let rules = self.world.pipeline.rules().load_full();
        let defined = definitions(&rules.workspace).unwrap();
        let compiled = Compiled::new(&defined.audiences, &defined.traits).unwrap();
        let mut states: BTreeMap<(&str, &str), FragmentState> = BTreeMap::new();
        for (owner, source, event) in &self.kept {
            let message = MessageKey::from(&MessageId::parse(&event.message_id).unwrap());
            let in_traits = event.name == "identify";
            let part = if in_traits { "traits" } else { "properties" };
            let json = json!({part: event.properties, "context": event.context}).to_string();
            let view = EventView {
                name: &event.name,
                in_traits,
                at: event.timestamp,
                received_at: event.received_at,
                message: &message,
                json: &json,
            };
            states.entry((owner, source)).or_default().apply(&compiled, &view);
        }
        let orders = states.iter().map(|((owner, source), state)| FillOrder {
            fragment: self.world.id(owner),
            source: SourceName::parse(source).unwrap(),
            purposes: vec![PurposeName::parse(if *source == "web" { "service" } else { "news" }).unwrap()],
            state: base64::engine::general_purpose::STANDARD.encode(postcard::to_stdvec(state).unwrap()),
        });
        let orders: Vec<FillOrder> = orders.collect();
        let parts = (0..).zip(orders.chunks(2));
        let parts =
            parts.map(|(part, some)| Operation::FillAudience { since, part, fragments: some.to_vec() });
        parts.chain([Operation::AudienceFilled { since }]).collect()
    }

    fn order(&mut self, operations: Vec<Operation>) {
        for operation in operations {
            self.world.operate(operation);
            self.world.settle();
        }
    }

    /// The profile of a reference as a purpose sees it.
    fn profile(&self, reference: &str, purpose: &str) -> Option<Value> {
        self.world.profile_for(reference, Some(purpose)).ok()
    }

    /// Of each audience in force who is a member, by the profile's id: as the oracle says.
    fn plainly(&self) -> BTreeSet<(String, String)> {
        let rules = self.world.pipeline.rules().load_full();
        let defined = definitions(&rules.workspace).unwrap();
        let mut members = BTreeSet::new();
        for purpose in ["service", "news"] {
            let source = if purpose == "service" { "web" } else { "form" };
            let mut people: BTreeMap<String, Person> = BTreeMap::new();
            for reference in references() {
                let Some(profile) = self.profile(&reference, purpose) else { continue };
                let id = profile["id"].as_str().unwrap().to_owned();
                let person = people.entry(id.clone()).or_insert_with(|| Person {
                    id,
                    traits: profile["traits"].as_object().unwrap().clone(),
                    ..Person::default()
                });
                let own = self.kept.iter().filter(|(owner, from, _)| *owner == reference && *from == source);
                person.events.extend(own.map(|(_, _, event)| event.clone()));
            }
            for audience in defined.audiences.iter().filter(|one| one.purpose.as_str() == purpose) {
                for (id, person) in &people {
                    if Oracle::new(&defined, person, self.world.clock.now()).is_member(&audience.name) {
                        members.insert((audience.name.to_string(), id.clone()));
                    }
                }
            }
        }
        members
    }

    /// The same, as it is kept.
    pub(crate) fn kept(&self) -> BTreeSet<(String, String)> {
        let rules = self.world.pipeline.rules().load_full();
        let defined = definitions(&rules.workspace).unwrap();
        let mut members = BTreeSet::new();
        for reference in references() {
            let id = self.world.id(&reference);
            let memberships = memberships_of(self.world.store.as_ref(), id).unwrap();
            let Some(profile) = tessera_pipeline::profile_of(self.world.store.as_ref(), id).unwrap() else {
                continue;
            };
            for audience in &defined.audiences {
                if memberships.contains_key(&AudienceId::of(&audience.name, &audience.purpose)) {
                    members.insert((audience.name.to_string(), profile.to_string()));
                }
            }
        }
        members
    }

    /// What was told, in the order of the log: audience, owner, whether they are in, message id.
    fn told(&self) -> Vec<(String, FragmentId, bool, String)> {
        let rows = self.world.store.scan(Table::Outbox, None, usize::MAX).unwrap();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|(key, value)| (key.id()[8..].to_vec(), OutboxRow::decode(value).unwrap()))
            .collect();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        let of = |row: OutboxRow| {
            let event: Value = serde_json::from_str(&row.json).unwrap();
            let name = event["properties"]["audience_key"].as_str().unwrap().to_owned();
            assert_eq!(event["context"]["personas"]["computation_key"], name.as_str());
            let is_in = event["properties"][&name].as_bool().unwrap();
            assert_eq!(event["event"], if is_in { "Audience Entered" } else { "Audience Exited" });
            (name, row.owner, is_in, row.message_id)
        };
        rows.into_iter().map(|(_, row)| of(row)).collect()
    }
}

fn references() -> impl Iterator<Item = String> {
    let users = (1..4).map(|n| format!("user_id:u{n}"));
    users.chain((1..5).map(|n| format!("anonymous_id:d{n}")))
}

/// Minutes ago, as [`History::send`] reads it.
fn viewed(user: &str, minutes_ago: i64) -> Value {
    track("", Some(user), None, minutes_ago * MINUTE)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn members_are_what_the_oracle_says_after_any_history(steps in steps()) {
        let mut history = History::new(&AUDIENCES);
        for step in &steps {
            history.apply(step);
            if matches!(step, Step::Pass(_)) {
                history.world.settle();
            }
        }
        history.world.settle();
        prop_assert_eq!(history.kept(), history.plainly());
        // Sizes are counts of members.
        let rules = history.world.pipeline.rules().load_full();
        for audience in &definitions(&rules.workspace).unwrap().audiences {
            let size = audience_size(history.world.store.as_ref(), AudienceId::of(&audience.name, &audience.purpose)).unwrap();
            let members = history.kept().into_iter().filter(|(name, _)| audience.name.as_str() == name.as_str()).count();
            prop_assert_eq!(size, members as u64, "{}", audience.name);
        }
        // A replay, in one batch, gives the same rows.
        let mut again = World::on(Arc::clone(&history.world.log), PipelineOptions::default());
        again.pipeline.catch_up().unwrap();
        prop_assert_eq!(history.world.hash(), again.hash());
        let small = PipelineOptions { batch_events_max: 1, ..PipelineOptions::default() };
        let mut again = World::on(Arc::clone(&history.world.log), small);
        again.pipeline.catch_up().unwrap();
        prop_assert_eq!(history.world.hash(), again.hash());
    }

    #[test]
    fn who_enters_and_leaves_is_told_once_and_in_turn(steps in steps()) {
        let mut history = History::new(&AUDIENCES);
        // An erasure takes what waits out of the queue, and tells destinations in its own way.
        for step in steps.iter().filter(|step| !matches!(step, Step::Erase(_) | Step::Rules(_))) {
            history.apply(step);
            history.world.settle();
        }
        let mut is_in: BTreeMap<(String, FragmentId), bool> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for (audience, owner, enters, message) in history.told() {
            prop_assert!(ids.insert(message), "two messages with one id");
            let before = is_in.insert((audience, owner), enters).unwrap_or(false);
            prop_assert_ne!(before, enters, "told twice");
        }
        let told: BTreeSet<(String, String)> = is_in
            .into_iter()
            .filter(|(_, is_in)| *is_in)
            .map(|((audience, owner), _)| {
                let profile = tessera_pipeline::profile_of(history.world.store.as_ref(), owner).unwrap().unwrap();
                (audience, profile.to_string())
            })
            .collect();
        prop_assert_eq!(told, history.kept());
    }

    #[test]
    fn a_definition_that_comes_later_is_filled_while_events_go_on_arriving(
        before in steps(), during in steps(), after in steps(), at in 0_usize..40,
    ) {
        let mut history = History::new(&[]);
        let is_kept = |step: &&Step| !matches!(step, Step::Erase(_) | Step::Rules(_) | Step::Expire(_));
        before.iter().filter(is_kept).for_each(|step| history.apply(step));
        history.world.operate(Operation::Apply { documents: documents(&AUDIENCES) });
        let fill = history.fill();
        for (number, step) in during.iter().filter(is_kept).enumerate() {
            history.apply(step);
            history.world.settle();
            if number == at {
                history.order(fill.clone());
            }
        }
        // A part that comes again after a crash of who brings them is not taken twice.
        history.order(fill);
        after.iter().filter(is_kept).for_each(|step| history.apply(step));
        history.world.settle();
        prop_assert_eq!(history.kept(), history.plainly());
        let mut again = World::on(Arc::clone(&history.world.log), PipelineOptions::default());
        again.pipeline.catch_up().unwrap();
        prop_assert_eq!(history.world.hash(), again.hash());
    }

    #[test]
    fn a_crash_at_any_record_leaves_the_same_members(steps in steps(), at in 0_usize..40) {
        let mut history = History::new(&AUDIENCES);
        for (number, step) in steps.iter().enumerate() {
            history.apply(step);
            history.world.settle();
            if number == at {
                history.world.store.checkpoint().unwrap();
            }
        }
        let before = (history.world.hash(), history.told());
        history.world.store.crash();
        history.world.reopen();
        history.world.pipeline.catch_up().unwrap();
        prop_assert_eq!(before, (history.world.hash(), history.told()));
    }
}

#[test]
fn a_window_that_ends_makes_its_member_leave_at_its_time_and_not_before() {
    let mut history = History::new(&[(
        "viewers",
        "service",
        "performed \"Product Viewed\" at least 2 times in last 30 minutes",
    )]);
    history.send("web", &viewed("u1", 10));
    history.send("web", &viewed("u1", 0));
    assert_eq!(history.kept().len(), 1);
    let due = next_due(history.world.store.as_ref()).unwrap().unwrap();
    assert_eq!(due.as_millis(), NOON + 20 * MINUTE);
    history.world.clock.advance_millis(20 * MINUTE - 1);
    history.world.operate(Operation::Tick {});
    assert_eq!(history.kept().len(), 1);
    history.world.clock.advance_millis(1);
    history.world.operate(Operation::Tick {});
    assert_eq!(history.kept().len(), 0);
    let told: Vec<bool> = history.told().into_iter().map(|(_, _, is_in, _)| is_in).collect();
    assert_eq!(told, [true, false]);
    assert_eq!(next_due(history.world.store.as_ref()).unwrap(), None);
}

#[test]
fn members_who_merge_are_told_nothing_and_who_comes_apart_is_told_what_changed() {
    let mut history = History::new(&[("pro", "service", "plan = \"pro\"")]);
    let pro = |user: &str| identify("", Some(user), None, json!({"plan": "pro"}), 0);
    history.send("web", &pro("u1"));
    history.send("web", &identify("", None, Some("d1"), json!({"plan": "pro"}), 0));
    assert_eq!(history.told().len(), 2);
    history.send("web", &identify("", Some("u1"), Some("d1"), json!({}), 0));
    assert_eq!((history.told().len(), history.kept().len()), (2, 1));
    let size = |history: &History| {
        let id =
            AudienceId::of(&AudienceName::parse("pro").unwrap(), &PurposeName::parse("service").unwrap());
        audience_size(history.world.store.as_ref(), id).unwrap()
    };
    assert_eq!(size(&history), 1, "one person");
    let fragments = vec![history.world.id("anonymous_id:d1")];
    history.world.operate(Operation::Split { fragments, reason: String::new() });
    assert_eq!((history.told().len(), history.kept().len(), size(&history)), (2, 2, 2));
}

#[test]
fn who_is_a_member_by_a_link_alone_leaves_when_it_is_undone_and_enters_when_that_is_taken_back() {
    let mut history = History::new(&[("bath-pro", "service", "plan = \"pro\" and city = \"Bath\"")]);
    history.send("web", &identify("", Some("u1"), None, json!({"plan": "pro"}), 0));
    history.send("web", &identify("", None, Some("d1"), json!({"city": "Bath"}), 0));
    let told = |history: &History| -> Vec<bool> {
        history.told().into_iter().map(|(_, _, is_in, _)| is_in).collect()
    };
    assert!(told(&history).is_empty());
    let (a, b) = (history.world.id("user_id:u1"), history.world.id("anonymous_id:d1"));
    let (at, by) = (history.world.clock.now(), "people".to_owned());
    let reason = String::new();
    let pair = LinkOrder { a, b, strength: Strength::Probable, score: Score::of(0.97), by, reason, at };
    history.world.operate(Operation::Link { pairs: vec![pair] });
    assert_eq!((told(&history), history.kept().len()), (vec![true], 1));
    history.world.clock.advance_millis(1000);
    let to = history.world.clock.now();
    let selector = Selector::Source { source: SourceName::parse("people").unwrap(), from: None, to };
    let (id, fragments) = (UndoId(1), vec![b]);
    let (by, reason) = ("ruth".to_owned(), "the matcher was wrong".to_owned());
    let undo = Operation::Undo {
        id,
        selector,
        fragments: fragments.clone(),
        by: by.clone(),
        reason: reason.clone(),
    };
    history.world.operate(undo);
    assert_eq!((told(&history), history.kept().len()), (vec![true, false], 0));
    history.world.operate(Operation::Redo { id, fragments, by, reason });
    assert_eq!((told(&history), history.kept().len()), (vec![true, false, true], 1));
    assert_eq!(history.kept(), history.plainly());
}

#[test]
fn a_workspace_without_audiences_keeps_nothing_for_them() {
    let mut history = History::new(&[]);
    history.send("web", &viewed("u1", 0));
    assert_eq!(history.world.store.scan(Table::Timer, None, 1).unwrap(), []);
    assert_eq!(history.told(), []);
}

#[test]
fn a_computed_trait_is_a_trait_of_the_profile_for_its_purpose_alone() {
    let mut history = History::new(&[("regulars", "service", "spent >= 5")]);
    let mut all = documents(&[("regulars", "service", "spent >= 5")]);
    let computed = json!([
        {"kind": "ComputedTrait", "name": "spent", "purpose": "service", "value": "sum of total of \"Order Completed\""},
        {"kind": "ComputedTrait", "name": "seen", "purpose": "service", "value": "unique list of page of \"Product Viewed\""},
        {"kind": "ComputedTrait", "name": "read", "purpose": "news", "value": "count of \"Product Viewed\""},
    ]);
    all.extend(serde_json::from_value::<Vec<Document>>(computed).unwrap());
    history.world.operate(Operation::Apply { documents: all });
    let mut order = viewed("u1", 0);
    order["event"] = json!("Order Completed");
    order["properties"] = json!({"total": 7});
    history.send("web", &order);
    let mut view = viewed("u1", 0);
    view["properties"] = json!({"page": "shoes"});
    history.send("web", &view);
    history.send("web", &identify("", Some("u1"), None, json!({"spent": "said"}), 0));
    let mut yes = viewed("u1", 0);
    yes["context"] = json!({"consent": {"categoryPreferences": {"Newsletter": true}}});
    history.send("form", &yes);
    let traits = |purpose| history.profile("user_id:u1", purpose).unwrap()["traits"].clone();
    assert_eq!(traits("service"), json!({"spent": 7, "seen": ["shoes"]}));
    assert_eq!(traits("news"), json!({"read": 1}));
    assert_eq!(history.kept().len(), 1);
}
