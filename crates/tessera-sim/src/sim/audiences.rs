//! Audiences and computed traits of the simulated days, and what must hold of them.
//!
//! Not the product's engine: the naive oracle of `tessera-audience` walks what [`Expected`] knows of each person. Invariants: once
//! nothing is due, who was announced is who the oracle says is a member at the log's time; of each fragment and audience,
//! entries and exits are told in turn and once, and the last of them is what is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tessera_audience::{Definitions, Oracle, Person, definitions};
use tessera_model::{AudienceId, FragmentId, Timestamp};
use tessera_pipeline::{OutboxRow, load_rules, memberships_of};
use tessera_store::{Store, Table};

use super::expected::Expected;
use super::message::{Address, NEWS, SERVICE, hash_key};
use super::{Checked, Violation, ensure};

/// Begins the names of computed traits: the model of profiles knows nothing of them.
pub(crate) const COMPUTED: &str = "computed_";

/// The documents that define them, and the destinations that are told.
pub(crate) fn documents() -> Vec<Value> {
    let of = |name: &str, purpose: &str, when: &str| json!({"kind": "Audience", "name": name, "purpose": purpose, "when": when});
    let told = |name: &str, purpose: &str| {
        json!({"kind": "Destination", "name": name, "type": "jsonl", "purpose": purpose,
               "events": ["Audience Entered", "Audience Exited"]})
    };
    vec![
        of("viewers", SERVICE, "performed \"Product Viewed\" at least 2 times in last 30 minutes"),
        of("buyers", SERVICE, "computed_orders >= 2"),
        of("idle", SERVICE, "not performed any event in last 1 hour"),
        of("bought-after-view", SERVICE, "\"Product Viewed\" then \"Order Completed\" within 10 minutes"),
        of(
            "left",
            SERVICE,
            "\"Product Viewed\" then no \"Order Completed\" within 10 minutes in last 2 hours",
        ),
        of("both", SERVICE, "member of viewers and not member of buyers"),
        of("valued", SERVICE, "trait_0 exists and not trait_1 > 50"),
        of("readers", NEWS, "performed \"Newsletter Opened\" in last 2 hours"),
        of("no-readers", NEWS, "not performed \"Newsletter Opened\""),
        json!({"kind": "ComputedTrait", "name": "computed_orders", "purpose": SERVICE,
               "value": "count of \"Order Completed\" in last 1 hour"}),
        told("told", SERVICE),
        told("told-news", NEWS),
    ]
}

/// Who belongs to what: a profile's first address, and an audience.
type Members = BTreeSet<(String, String)>;

/// Compares who is a member, and what was told. Nothing is due at `now`, the log's time.
pub(crate) fn check_members(store: &impl Store, expected: &mut Expected, now: Timestamp) -> Checked {
    let rules = load_rules(store, &hash_key()).map_err(Violation::of("read the workspace"))?;
    let defined = definitions(&rules.workspace)
        .map_err(|problems| Violation(format!("{} definitions are wrong", problems.len())))?;
    let profiles = expected.people.profiles();
    let wanted = wanted(expected, &profiles, &defined, now);
    let found = found(store, &profiles, &defined)?;
    let differ = |what: &str, one: &Members, other: &Members| match one.difference(other).next() {
        None => Ok(()),
        Some((who, audience)) => Err(Violation(format!("{who} is {what} of `{audience}` at {now}"))),
    };
    differ("announced as a member, and is none,", &found, &wanted)?;
    differ("a member, and not announced,", &wanted, &found)
}

fn wanted(expected: &Expected, profiles: &[Vec<Address>], defined: &Definitions, now: Timestamp) -> Members {
    let mut members = Members::new();
    for addresses in profiles {
        for purpose in [SERVICE, NEWS] {
            let Some(person) = expected.person(addresses, purpose) else { continue };
            members.extend(
                memberships(defined, &person, purpose, now).map(|audience| (name(addresses), audience)),
            );
        }
    }
    members
}

fn memberships<'d>(
    defined: &'d Definitions,
    person: &'d Person,
    purpose: &'d str,
    now: Timestamp,
) -> impl Iterator<Item = String> + 'd {
    let of_purpose = defined.audiences.iter().filter(move |one| one.purpose.as_str() == purpose);
    let members = of_purpose.filter(move |one| Oracle::new(defined, person, now).is_member(&one.name));
    members.map(|one| one.name.to_string())
}

fn found(store: &impl Store, profiles: &[Vec<Address>], defined: &Definitions) -> Checked<Members> {
    let mut members = Members::new();
    for addresses in profiles {
        for address in addresses {
            let kept = memberships_of(store, address.id).map_err(Violation::of("read memberships"))?;
            let of = defined.audiences.iter();
            let of = of.filter(|one| kept.contains_key(&AudienceId::of(&one.name, &one.purpose)));
            members.extend(of.map(|one| (name(addresses), one.name.to_string())));
        }
    }
    Ok(members)
}

fn name(addresses: &[Address]) -> String {
    addresses.first().map(Address::reference).unwrap_or_default()
}

/// Entries and exits of each fragment and audience are told in turn, once each, and agree with what is kept.
pub(crate) fn check_told(store: &impl Store, expected: &mut Expected) -> Checked {
    let rows = store.scan(Table::Outbox, None, usize::MAX).map_err(Violation::of("read the outbox"))?;
    let (mut last, mut messages) = (BTreeMap::new(), BTreeSet::new());
    for (key, value) in rows {
        let row = OutboxRow::decode(&value).map_err(Violation::of("read a row of the outbox"))?;
        let event: Value = serde_json::from_str(&row.json).map_err(Violation::of("read an event"))?;
        let text = |at: &str| event.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (audience, is_member) =
            (text("/context/personas/computation_id"), text("/event") == "Audience Entered");
        let destination = key.id().get(..8).unwrap_or_default().to_vec();
        ensure(messages.insert((destination, row.message_id.clone())), || {
            format!("{} of `{audience}` is told twice", text("/event"))
        })?;
        // Rows come in the order of the log.
        let before = last.insert((row.owner, audience.clone()), is_member).unwrap_or(false);
        ensure(before != is_member, || format!("{} of `{audience}` is told out of turn", text("/event")))?;
    }
    let told: BTreeSet<(FragmentId, String)> =
        last.into_iter().filter(|(_, is_member)| *is_member).map(|(of, _)| of).collect();
    for address in expected.people.profiles().iter().flatten() {
        let kept = memberships_of(store, address.id).map_err(Violation::of("read memberships"))?;
        let is_known = told.iter().filter(|(owner, _)| *owner == address.id);
        for (_, audience) in is_known {
            let is_kept = kept.keys().any(|id| id.to_string() == *audience);
            ensure(is_kept, || {
                format!("{} was told to be in `{audience}`, and is not", address.reference())
            })?;
        }
    }
    Ok(())
}
