//! Random histories: purposes with all their options, people with several identifiers, and what they say, late,
//! repeated and contradicting.
//!
//! Not fair dice: instants fall on whole days and one millisecond beside them, where the rules have their edges, and
//! there are few purposes and few identifiers, so that words meet. Invariant: equal seeds give equal histories.

use super::history::{Basis, Call, DAY, Date, Event, Millis, Purpose, Source, Statement, Word};
use crate::sim::random::Random;

/// Midnights at which histories begin: an ordinary one, and some before the turn of a year or a leap day.
const STARTS: [Millis; 4] = [1_700_006_400_000, 1_708_905_600_000, 1_677_369_600_000, 1_672_272_000_000];
/// Whoever speaks.
const IDENTIFIERS: [&str; 6] = [
    "user_id:ada",
    "user_id:bob",
    "email:a@x.org",
    "email:b@x.org",
    "anonymous_id:phone",
    "anonymous_id:tablet",
];
/// What tracks tell.
const EVENTS: [&str; 2] = ["Product Viewed", "Order Completed"];
/// A purpose that is never declared.
pub(crate) const UNDECLARED: &str = "undeclared";
const HOUR: Millis = 60 * 60 * 1000;

/// One history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// As declared first.
    pub(crate) purposes: Vec<Purpose>,
    pub(crate) sources: Vec<Source>,
    pub(crate) start: Millis,
    /// Whether each purpose has a destination. Few have, for couriers are slow: each is a thread and a file.
    pub(crate) has_destinations: bool,
    pub(crate) steps: Vec<Step>,
}

/// Something that happens at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) at: Millis,
    pub(crate) deed: Deed,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// An event arrives; the second time, if it was sent before.
    Send(Event),
    /// The controller puts words on record.
    Order(Event),
    /// A purpose changes.
    Declare(Purpose),
    /// A purpose is declared no more.
    Remove(String),
    /// What no purpose covers any more is removed.
    Expire,
    /// The person of an identifier is erased.
    Erase(String),
    /// What comes from the erased may be kept again.
    Lift,
    /// What waits is sent to the destinations.
    Deliver,
    /// Somebody asks what may be used, for each purpose and each datum.
    Ask,
}

/// The history of a seed.
pub(crate) fn case(seed: u64) -> Case {
    let random = &mut Random::new(seed);
    let count = 1 + random.index(4);
    let purposes: Vec<Purpose> = (0..count).map(|number| purpose(random, number)).collect();
    let names: Vec<String> = purposes.iter().map(|purpose| purpose.name.clone()).collect();
    let sources = (0..2).map(|number| source(random, number, &names)).collect();
    let start = random.pick(&STARTS).copied().unwrap_or_default();
    let has_destinations = random.one_in(12);
    let mut case = Case { purposes, sources, start, has_destinations, steps: Vec::new() };
    let (mut day, mut now) = (0, start);
    for id in 0..4 + random.index(12) {
        day += random.pick(&[0, 0, 1, 1, 1, 2, 4]).copied().unwrap_or_default();
        let beside = random.pick(&[0, 0, 0, 1, -1, HOUR]).copied().unwrap_or_default();
        now = now.max(start + day * DAY + beside);
        let deed = deed(random, &case, id, now);
        case.steps.push(Step { at: now, deed });
    }
    let last = if has_destinations { Deed::Deliver } else { Deed::Ask };
    case.steps.push(Step { at: now, deed: last });
    case
}

fn purpose(random: &mut Random, number: usize) -> Purpose {
    let basis = random.weighted(&[
        (8, Basis::Consent),
        (3, Basis::Contract),
        (1, Basis::LegalObligation),
        (1, Basis::VitalInterests),
        (2, Basis::PublicTask),
        (3, Basis::LegitimateInterests),
    ]);
    let version = 1 + u32::from(random.one_in(2));
    Purpose {
        name: format!("p{number}"),
        version,
        basis: basis.unwrap_or(Basis::Consent),
        valid_days: random.one_in(3).then(|| 1 + days(random, 4)),
        is_explicit: random.one_in(3),
        reconsent: None,
        minimum_age: random.one_in(5).then(|| random.pick(&[13, 16, 18]).copied().unwrap_or_default()),
        is_marketing: random.one_in(4),
        is_sale: random.one_in(4),
        retention_days: random.one_in(4).then(|| 1 + days(random, 8)),
        is_retired: false,
    }
}

fn days(random: &mut Random, bound: u64) -> i64 {
    i64::try_from(random.below(bound)).unwrap_or_default()
}

fn source(random: &mut Random, number: usize, names: &[String]) -> Source {
    let mut purposes = some(random, names);
    if purposes.is_empty() {
        purposes = names.to_vec();
    }
    let mut events = Vec::new();
    for name in ["identify", "track", "Product Viewed"] {
        if random.one_in(4) {
            events.push((name.to_owned(), some(random, &purposes)));
        }
    }
    Source { name: format!("s{number}"), purposes, events, has_payload_purposes: random.one_in(3) }
}

fn some(random: &mut Random, names: &[String]) -> Vec<String> {
    names.iter().filter(|_| !random.one_in(3)).cloned().collect()
}

fn deed(random: &mut Random, case: &Case, id: usize, now: Millis) -> Deed {
    let kind = random.weighted(&[(9, 's'), (2, 'o'), (2, 'a'), (2, 'd'), (1, 'r'), (1, 'e'), (1, 'x')]);
    match kind.unwrap_or('a') {
        's' => Deed::Send(event(random, case, id, now)),
        'o' => Deed::Order(order(random, case, id, now)),
        'd' => changed(random, case, now).unwrap_or(Deed::Ask),
        'x' if can_expire(case) => Deed::Expire,
        'r' => {
            let sent: Vec<Event> = case.steps.iter().filter_map(|step| step.deed.sent()).cloned().collect();
            let again = random.pick(&sent).map(|event| Event { received_at: now, ..event.clone() });
            again.map_or(Deed::Ask, Deed::Send)
        }
        'e' if random.one_in(2) => Deed::Erase(identifier(random)),
        'e' => Deed::Lift,
        _ if case.has_destinations => Deed::Deliver,
        _ => Deed::Ask,
    }
}

/// A birth date has no event of its own in Tessera: it goes with the last that is known of its owner.
fn can_expire(case: &Case) -> bool {
    case.purposes.iter().all(|purpose| purpose.minimum_age.is_none())
}

impl Deed {
    fn sent(&self) -> Option<&Event> {
        if let Self::Send(event) = self { Some(event) } else { None }
    }
}

fn identifier(random: &mut Random) -> String {
    random.pick(&IDENTIFIERS).copied().unwrap_or_default().to_owned()
}

fn identifiers(random: &mut Random) -> Vec<String> {
    let mut found = vec![identifier(random)];
    while random.one_in(2) && found.len() < 3 {
        let other = identifier(random);
        if !found.contains(&other) {
            found.push(other);
        }
    }
    found
}

fn event(random: &mut Random, case: &Case, id: usize, now: Millis) -> Event {
    let call = random.weighted(&[(4, Call::Identify), (1, Call::Track), (4, Call::Consent)]);
    let call = call.unwrap_or(Call::Track);
    let at = earlier(random, case.start, now);
    let names: Vec<String> = case.purposes.iter().map(|purpose| purpose.name.clone()).collect();
    let has_statements = call == Call::Consent || random.one_in(4);
    let mut statements = Vec::new();
    for name in names.iter().map(String::as_str).chain([UNDECLARED]) {
        if has_statements && random.one_in(2) {
            statements.push(statement(random, call, name, at));
        }
    }
    let births =
        if call == Call::Identify && random.one_in(3) { vec![birth(random, now)] } else { Vec::new() };
    let listed = random.one_in(2).then(|| {
        let mut listed = some(random, &names);
        if random.one_in(3) {
            listed.push(UNDECLARED.to_owned());
        }
        listed
    });
    Event {
        id,
        source: format!("s{}", random.index(2)),
        call,
        name: (call == Call::Track).then(|| random.pick(&EVENTS).copied().unwrap_or_default().to_owned()),
        identifiers: identifiers(random),
        at,
        received_at: now,
        has_signal: random.one_in(6),
        statements,
        births,
        listed,
    }
}

/// When something was said that is heard now: mostly on a whole day, so that words fall on one instant.
fn earlier(random: &mut Random, start: Millis, now: Millis) -> Millis {
    let back = days(random, 5) * DAY;
    let today = now - (now - start).rem_euclid(DAY);
    match random.below(4) {
        0 | 1 => now,
        2 => today - back,
        _ => now - back,
    }
}

fn statement(random: &mut Random, call: Call, purpose: &str, at: Millis) -> Statement {
    let word = random.weighted(&[
        (9, Word::Given),
        (2, Word::Renewed),
        (2, Word::Refused),
        (2, Word::Withdrawn),
        (1, Word::Expired),
        (2, Word::Objected),
        (1, Word::Ended),
    ]);
    let (word, purpose) = (word.unwrap_or(Word::Given), Some(purpose.to_owned()));
    if call != Call::Consent {
        return Statement { word, purpose, version: None, is_explicit: true, at };
    }
    // Never after the event that tells it.
    let at = if random.one_in(3) { at - days(random, 6) * DAY } else { at };
    Statement { word, purpose, version: version(random), is_explicit: !random.one_in(3), at }
}

fn version(random: &mut Random) -> Option<u32> {
    random.pick(&[None, None, Some(1), Some(2), Some(3)]).copied().flatten()
}

fn order(random: &mut Random, case: &Case, id: usize, now: Millis) -> Event {
    let word = random.weighted(&[
        (3, Word::Restricted),
        (3, Word::Unrestricted),
        (3, Word::Overruled),
        (2, Word::Objected),
        (1, Word::Ended),
        (1, Word::Withdrawn),
        (1, Word::Given),
    ]);
    let word = word.unwrap_or(Word::Restricted);
    let is_personal = matches!(word, Word::Restricted | Word::Unrestricted);
    let purpose = random.pick(&case.purposes).map(|purpose| purpose.name.clone()).filter(|_| !is_personal);
    let at = if random.one_in(3) { earlier(random, case.start, now) } else { now };
    let said = Statement { word, purpose, version: version(random), is_explicit: !random.one_in(4), at };
    Event {
        id,
        source: String::new(),
        call: Call::Consent,
        name: None,
        identifiers: vec![identifier(random)],
        at: now,
        received_at: now,
        has_signal: false,
        statements: vec![said],
        births: Vec::new(),
        listed: None,
    }
}

/// A birth date near an edge of some age, or one that says nothing.
fn birth(random: &mut Random, now: Millis) -> (String, String) {
    let names = ["birthday", "birth_date", "birthdate", "date_of_birth", "birthday", "born"];
    let name = random.pick(&names).copied().unwrap_or_default().to_owned();
    let day = Date::of(now + (days(random, 4) - 1) * DAY);
    let years = random.pick(&[13, 16, 18, 18, 12, 40]).copied().unwrap_or_default();
    let value = match random.below(8) {
        0 => "last spring".to_owned(),
        1 => "2008-02-29".to_owned(),
        _ => Date { year: day.year - years, ..day }.to_string(),
    };
    (name, value)
}

/// A purpose in its next version, for which people must be asked again from some day on; or over; or gone.
fn changed(random: &mut Random, case: &Case, now: Millis) -> Option<Deed> {
    let mut declared = case.purposes.clone();
    for step in &case.steps {
        match &step.deed {
            Deed::Declare(purpose) => {
                declared.retain(|other| other.name != purpose.name);
                declared.push(purpose.clone());
            }
            Deed::Remove(name) => declared.retain(|other| other.name != *name),
            Deed::Send(_)
            | Deed::Order(_)
            | Deed::Expire
            | Deed::Erase(_)
            | Deed::Lift
            | Deed::Deliver
            | Deed::Ask => {}
        }
    }
    let old = random.pick(&declared)?.clone();
    if old.is_retired {
        return Some(Deed::Remove(old.name));
    }
    if random.one_in(5) {
        return Some(Deed::Declare(Purpose { is_retired: true, ..old }));
    }
    let version = old.version + 1;
    let cut_off = now + (days(random, 4) - 1) * DAY;
    let asks_again = Some((version - u32::from(random.one_in(3)), cut_off));
    let reconsent = if random.one_in(4) { old.reconsent } else { asks_again };
    Some(Deed::Declare(Purpose { version, reconsent, ..old }))
}
