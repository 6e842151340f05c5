//! Matchers with their thread running.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tessera_model::{
    Document, Entrance, FragmentId, HashKey, MatcherName, NamespaceRules, Operation, Record, RequestId,
    SourceName, Timestamp,
};
use tessera_store::{Clock, Log, ManualClock, MemoryLog, MemoryStore};

use super::{Matchers, Matching, RunReport};
use crate::{Pipeline, PipelineOptions, ReviewState, load_reviews, profile_of};

const PATIENCE: Duration = Duration::from_millis(50);
const PEOPLE: usize = 120;
const GIVEN: [&str; 12] = [
    "Ada",
    "Grace",
    "Katherine",
    "Dorothy",
    "Margaret",
    "Hedy",
    "Radia",
    "Barbara",
    "Frances",
    "Sophie",
    "Mary",
    "Annie",
];
const FAMILY: [&str; 17] = [
    "Lovelace",
    "Hopper",
    "Johnson",
    "Vaughan",
    "Hamilton",
    "Lamarr",
    "Perlman",
    "Liskov",
    "Allen",
    "Wilson",
    "Somerville",
    "Easley",
    "Keller",
    "Goldberg",
    "Borg",
    "Bartik",
    "Holberton",
];
const CITIES: [&str; 7] = ["London", "Boston", "Hampton", "Vienna", "Seattle", "Oslo", "Turin"];

pub(super) struct World {
    pub(super) log: Arc<MemoryLog>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) pipeline: Arc<Mutex<Pipeline<MemoryLog, MemoryStore>>>,
    pub(super) matching: Arc<Matching>,
}

pub(super) fn key() -> HashKey {
    HashKey::new([9; 32])
}

/// `p7` has signed in; `q7` is a device, for a person has one user id.
pub(super) fn id(who: &str) -> FragmentId {
    let rules = NamespaceRules::new([]).unwrap();
    let namespace = if who.starts_with('p') { "user_id" } else { "anonymous_id" };
    FragmentId::of(&key(), &rules.parse_reference(&format!("{namespace}:{who}")).unwrap())
}

pub(super) fn name() -> MatcherName {
    MatcherName::parse("people").unwrap()
}

pub(super) fn traits(number: usize) -> Value {
    json!({
        "given": GIVEN[number % GIVEN.len()],
        "family": FAMILY[number * 5 % FAMILY.len()],
        "born": format!("19{:02}-{:02}-{:02}", 40 + number * 7 % 60, 1 + number % 12, 1 + number * 11 % 28),
        "home": {"city": CITIES[number * 3 % CITIES.len()]},
    })
}

/// The same person, as somebody else wrote them down.
pub(super) fn again(number: usize) -> Value {
    let mut traits = traits(number);
    let family = traits["family"].as_str().unwrap().to_owned();
    // One letter too few.
    traits["family"] = json!(family.split_at(family.len() - 1).0);
    traits
}

impl World {
    pub(super) fn new(link: f64, review: f64) -> Self {
        Self::with(link, review, false)
    }

    pub(super) fn live(link: f64, review: f64) -> Arc<Self> {
        let world = Self::with(link, review, true);
        // To learn from: ten are there twice, and nobody has compared them yet.
        world.identify("web", (20..30).map(|number| (format!("d{number}"), again(number))));
        assert_eq!(world.matching.touched().take(1_000, PATIENCE).len(), PEOPLE + 10);
        Arc::new(world)
    }

    pub(super) fn with(link: f64, review: f64, live: bool) -> Self {
        let (log, store) = (Arc::new(MemoryLog::default()), Arc::new(MemoryStore::new()));
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let shared: Arc<dyn Clock> = clock.clone();
        let options = PipelineOptions::default();
        let mut pipeline =
            Pipeline::open(Arc::clone(&log), Arc::clone(&store), key(), shared, options).unwrap();
        let matching = Arc::new(Matching::default());
        pipeline.follow(matching.touched());
        let world = Self { log, store, clock, pipeline: Arc::new(Mutex::new(pipeline)), matching };
        let documents: Vec<Document> = serde_json::from_value(json!([
            {"kind": "Purpose", "name": "service", "basis": "contract"},
            {"kind": "Purpose", "name": "news", "basis": "consent"},
            {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
            {"kind": "Source", "name": "letter", "write_key": "letter-write-key", "purposes": ["news"]},
            {"kind": "Matcher", "name": "people", "purpose": "service", "link": link, "review": review, "live": live, "columns": {
                "given": "traits.given", "family": "traits.family", "born": "traits.born", "city": "traits.home.city",
            }},
        ]))
        .unwrap();
        world.order(Operation::Apply { documents }).unwrap();
        let everybody = (0..PEOPLE).map(|number| (format!("p{number}"), traits(number)));
        world.identify("web", everybody);
        world
    }

    pub(super) fn order(&self, operation: Operation) -> Result<(), String> {
        self.append(&Record::Operation { at: self.clock.now(), operation })
    }

    pub(super) fn append(&self, record: &Record) -> Result<(), String> {
        let mut pipeline = self.pipeline.lock();
        self.log.append(&[&record.encode().unwrap()], self.clock.now()).unwrap();
        pipeline.catch_up().map_err(|error| error.to_string())
    }

    pub(super) fn identify(&self, source: &str, people: impl IntoIterator<Item = (String, Value)>) {
        let batch: Vec<Value> = people
            .into_iter()
            .map(|(who, traits)| {
                let member = if who.starts_with('p') { "userId" } else { "anonymousId" };
                json!({"type": "identify", member: who, "traits": traits})
            })
            .collect();
        self.append(&Record::Ingest {
            source: SourceName::parse(source).unwrap(),
            received_at: self.clock.now(),
            request_id: RequestId(u128::from(self.log.bounds().end.0)),
            entrance: Entrance::Batch,
            gpc: false,
            body: json!({ "batch": batch }).to_string().into(),
        })
        .unwrap();
    }

    /// Runs the thread while `work` goes on.
    pub(super) fn match_while<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let world = Arc::clone(self);
        let matchers = Matchers {
            store: Arc::clone(&self.store),
            rules: self.pipeline.lock().rules(),
            clock: self.clock.clone(),
            order: Box::new(move |operation| world.order(operation)),
        };
        let matching = Arc::clone(&self.matching);
        let thread = std::thread::spawn(move || matchers.run(&matching));
        let done = work();
        self.matching.stop();
        thread.join().unwrap();
        done
    }

    pub(super) fn until(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..1_200 {
            if holds() {
                return;
            }
            self.matching.wait(PATIENCE);
        }
        panic!("{what}: {:?}", self.matching.statuses());
    }

    pub(super) fn is_ready(&self) -> bool {
        self.matching.statuses().get(&name()).is_some_and(|status| status.is_ready)
    }

    pub(super) fn run(&self, is_dry: bool) -> RunReport {
        self.until("ready", || self.is_ready());
        self.matching.start(&name(), is_dry).unwrap();
        self.until("ended", || self.matching.statuses()[&name()].running.is_none());
        self.matching.statuses()[&name()].last_run.clone().unwrap()
    }

    pub(super) fn is_one(&self, a: &str, b: &str) -> bool {
        let of = |user| profile_of(self.store.as_ref(), id(user)).unwrap();
        of(a).is_some() && of(a) == of(b)
    }

    /// The same log and store with a server started anew.
    pub(super) fn restarted(&self) -> Arc<Self> {
        let matching = Arc::new(Matching::default());
        self.pipeline.lock().follow(matching.touched());
        Arc::new(Self {
            log: Arc::clone(&self.log),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            pipeline: Arc::clone(&self.pipeline),
            matching,
        })
    }

    /// Waits until the thread has come to everybody who changed so far: it takes `p119`'s double after them.
    pub(super) fn until_met(&self) {
        self.until("taken", || self.matching.touched().is_empty());
        self.identify("web", [("q119".to_owned(), again(119))]);
        self.until("the last is one", || self.is_one("p119", "q119"));
    }

    pub(super) fn asked(&self) -> Vec<[FragmentId; 2]> {
        let rows = load_reviews(self.store.as_ref(), |row| row.state == ReviewState::Open).unwrap();
        rows.into_iter().map(|row| [row.a.min(row.b), row.a.max(row.b)]).collect()
    }
}

pub(super) fn pair(a: &str, b: &str) -> [FragmentId; 2] {
    [id(a).min(id(b)), id(a).max(id(b))]
}

#[test]
fn a_run_makes_one_profile_of_those_who_are_likely_one_person() {
    let world = Arc::new(World::new(0.9, 0.5));
    world.identify("web", (0..10).map(|number| (format!("q{number}"), again(number))));
    let report = world.match_while(|| world.run(false));
    assert_eq!((report.profiles, report.broke_off), (130, None));
    assert_eq!(report.linked, 10);
    assert!((0..10).all(|number| world.is_one(&format!("p{number}"), &format!("q{number}"))));
    assert!(!world.is_one("p0", "p1"));
}

#[test]
fn a_limit_stands_against_what_a_matcher_says_and_it_is_not_said_again() {
    let world = Arc::new(World::new(0.9, 0.5));
    // Two user ids are two people, however alike.
    world.identify("web", [("p900".to_owned(), again(9))]);
    let (first, second) = world.match_while(|| (world.run(false), world.run(false)));
    assert_eq!((first.linked, second.linked, second.asked), (1, 0, 0));
    assert!(!world.is_one("p9", "p900"));
}

#[test]
fn a_dry_run_tells_the_same_and_orders_nothing() {
    let world = Arc::new(World::new(0.9, 0.5));
    world.identify("web", (0..10).map(|number| (format!("q{number}"), again(number))));
    let (end, report) = world.match_while(|| {
        world.until("ready", || world.is_ready());
        (world.log.bounds().end, world.run(true))
    });
    assert_eq!((report.linked, report.is_dry), (10, true));
    assert_eq!(world.log.bounds().end, end);
}

#[test]
fn those_who_are_not_likely_enough_are_put_before_a_person_once() {
    let world = Arc::new(World::new(1.0, 0.5));
    world.identify("web", (0..10).map(|number| (format!("q{number}"), again(number))));
    let (first, second) = world.match_while(|| (world.run(false), world.run(false)));
    assert_eq!((first.linked, first.asked), (0, 10));
    assert!(world.asked().contains(&pair("p3", "q3")));
    assert_eq!((world.asked().len(), second.linked), (10, 0));
    assert!(!world.is_one("p3", "q3"));
}

#[test]
fn what_the_purpose_does_not_permit_is_not_compared() {
    let world = Arc::new(World::new(0.9, 0.5));
    // For `news`, and nobody has said yes to it.
    world.identify("letter", (0..10).map(|number| (format!("q{number}"), again(number))));
    let report = world.match_while(|| world.run(false));
    assert_eq!((report.profiles, report.linked, report.asked), (120, 0, 0));
    assert!(!world.is_one("p1", "q1"));
}

#[test]
fn a_pair_that_somebody_told_apart_is_not_brought_up_again() {
    let world = Arc::new(World::new(0.9, 0.5));
    world.identify("web", [("q4".to_owned(), again(4))]);
    world
        .order(Operation::Judge {
            a: id("p4"),
            b: id("q4"),
            verdict: tessera_model::Verdict::Different,
            by: "steward".to_owned(),
            reason: "twins".to_owned(),
        })
        .unwrap();
    let report = world.match_while(|| world.run(false));
    assert_eq!((report.linked, report.asked), (0, 0));
    assert!(!world.is_one("p4", "q4") && world.asked().is_empty());
}

#[test]
fn who_is_erased_is_not_compared_any_more() {
    let world = Arc::new(World::new(0.9, 0.5));
    world.identify("web", [("q5".to_owned(), again(5))]);
    world.order(Operation::Erase { fragments: vec![id("p5")], request: "r1".to_owned() }).unwrap();
    let report = world.match_while(|| world.run(false));
    assert_eq!((report.profiles, report.linked), (120, 0));
}

#[test]
fn a_matcher_without_enough_people_says_so_and_learns_when_there_are() {
    let world = Arc::new(World::new(0.9, 0.5));
    let documents: Vec<Document> = serde_json::from_value(json!([
        {"kind": "Purpose", "name": "service", "basis": "contract"},
        {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"]},
        {"kind": "Matcher", "name": "people", "purpose": "service", "columns": {
            "given": "traits.first", "family": "traits.last", "born": "traits.day",
        }},
    ]))
    .unwrap();
    world.order(Operation::Apply { documents }).unwrap();
    let other = |number: usize| {
        let one = traits(number);
        json!({"first": one["given"], "last": one["family"], "day": one["born"]})
    };
    world.match_while(|| {
        world
            .until("why", || world.matching.statuses().get(&name()).is_some_and(|known| known.why.is_some()));
        assert!(!world.is_ready());
        world.identify("web", (0..40).map(|number| (format!("p{number}"), other(number))));
        world.until("ready", || world.is_ready());
    });
    assert_eq!(world.matching.statuses()[&name()].profiles, 40);
}

#[test]
fn whoever_changes_often_waits_once() {
    let touched = super::Touched::default();
    touched.add([id("a"), id("b")]);
    touched.add([id("a")]);
    assert_eq!(touched.len(), 2);
    assert_eq!(touched.take(1, PATIENCE).len(), 1);
    assert_eq!(touched.take(9, PATIENCE).len(), 1);
    assert!(touched.take(9, Duration::ZERO).is_empty());
}
