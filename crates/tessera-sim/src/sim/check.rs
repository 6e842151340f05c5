//! Compares what Tessera shows with what the oracle expects.
//!
//! Reads as the API reads: by [`Query`], the reject list and the totals.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tessera_model::Timestamp;
use tessera_pipeline::{Query, QueryError, list_rejects, load_rules, load_totals};
use tessera_profile::{Grouping, Row, View};
use tessera_store::{Change, Changes, MemoryStore, Position, Store, Table};

use super::audiences::COMPUTED;
use super::expected::{Expected, ExpectedReject};
use super::message::{Address, hash_key};
use super::oracle::Oracle;
use super::{Checked, Violation, ensure};

/// Compares everything.
pub(crate) fn check(store: &impl Store, expected: &mut Expected, now: Timestamp) -> Checked {
    check_totals(store, expected)?;
    check_rejects(store, expected)?;
    check_groups(store)?;
    check_profiles(store, expected, now)
}

/// The rows of groups are those that the clusters there are give, whatever crashes came between.
fn check_groups(store: &impl Store) -> Checked {
    let (key, rules) =
        (hash_key(), load_rules(store, &hash_key()).map_err(Violation::of("read the workspace"))?);
    let grouping = Grouping { types: &rules.groups, survivorship: &rules.survivorship, key: &key };
    let scan = |table| store.scan(table, None, usize::MAX).map_err(Violation::of("read rows"));
    let mut wanted = BTreeSet::new();
    for (_, value) in scan(Table::Cluster)? {
        if let Row::Cluster(cluster) = Row::decode(&value).map_err(Violation::of("read a cluster"))? {
            wanted.extend(grouping.all(&cluster).into_iter().map(|(tag, group, profile)| {
                (tag.iter().chain(&group.0).copied().collect::<Vec<u8>>(), profile.0.to_vec())
            }));
        }
    }
    let found: BTreeSet<(Vec<u8>, Vec<u8>)> = scan(Table::Group)?
        .iter()
        .map(|(key, value)| {
            (key.id().iter().take(12).copied().collect(), value.iter().skip(1).copied().collect())
        })
        .collect();
    ensure(found == wanted, || format!("{} rows of groups, not {}, or others", found.len(), wanted.len()))
}

fn check_totals(store: &impl Store, expected: &mut Expected) -> Checked {
    let totals = load_totals(store).map_err(Violation::of("read the totals"))?;
    let profiles = expected.people.profiles().len() as u64;
    for (what, found, wanted) in [
        ("accepted", totals.accepted, expected.accepted),
        ("duplicates", totals.duplicates, expected.duplicates),
        ("unknown consent categories", totals.unknown_consent_categories, expected.unknown_categories),
        ("overflowing identifiers", totals.overflowing_identifiers, 0),
        ("profiles", totals.profiles, profiles),
        ("identifiers", totals.identifiers, expected.people.seen.len() as u64),
        ("accounts", totals.accounts, 0),
    ] {
        ensure(found == wanted, || format!("{found} {what}, not {wanted}"))?;
    }
    let (found, wanted) = (&totals.rejected, &expected.rejected);
    ensure(found == wanted, || format!("rejected {found:?}, not {wanted:?}"))?;
    let (found, wanted) = (&totals.denied, &expected.denied);
    ensure(found == wanted, || format!("denied {found:?}, not {wanted:?}"))
}

fn check_rejects(store: &impl Store, expected: &Expected) -> Checked {
    let rows = list_rejects(store, None, usize::MAX, |_| true).map_err(Violation::of("list the rejects"))?;
    let found: BTreeMap<_, _> = rows
        .into_iter()
        .map(|(id, row)| {
            let source = row.source.to_string();
            (id, ExpectedReject { code: row.code, source, payload: row.payload, is_body: row.is_body })
        })
        .collect();
    for (id, wanted) in &expected.rejects {
        ensure(found.get(id) == Some(wanted), || {
            format!("reject {id} is {:?}, not {}", found.get(id).map(|found| found.code), wanted.code)
        })?;
    }
    let more = found.keys().find(|id| !expected.rejects.contains_key(id));
    ensure(more.is_none(), || format!("reject {more:?} is of nothing that was sent"))
}

fn check_profiles(store: &impl Store, expected: &mut Expected, now: Timestamp) -> Checked {
    let reader = Reader::new(store, now)?;
    for (addresses, wanted) in expected.profiles() {
        for address in &addresses {
            let found = reader.profile(address)?;
            ensure(found == wanted, || {
                let (found, wanted) = (words(found.as_ref()), words(wanted.as_ref()));
                format!("profile of {}:\n  found  {found}\n  wanted {wanted}", address.reference())
            })?;
        }
    }
    Ok(())
}

fn words(profile: Option<&Value>) -> String {
    profile.map_or_else(|| "denied".to_owned(), ToString::to_string)
}

/// Each message counted once, for every profile, from what clients made alone.
pub(crate) fn check_counts(store: &impl Store, oracle: &mut Oracle, now: Timestamp) -> Checked {
    let reader = Reader::new(store, now)?;
    let made = oracle.made_once();
    for addresses in oracle.expected.people.profiles() {
        let Some(address) = addresses.first() else { continue };
        let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
        for ((_, name), count) in made.iter().filter(|((owner, _), _)| addresses.contains(owner)) {
            *wanted.entry(name).or_default() += count;
        }
        let profile = reader.profile(address)?.unwrap_or_default();
        for (name, wanted) in wanted {
            let found = profile.pointer(&format!("/event_counts/{name}/0")).and_then(Value::as_u64);
            let found = found.unwrap_or_default();
            let (what, by) =
                if found < wanted { ("lost", wanted - found) } else { ("twice", found - wanted) };
            ensure(found == wanted, || format!("{by} of `{name}` of {} {what}", address.reference()))?;
        }
    }
    Ok(())
}

/// Reads profiles as the API does.
struct Reader<'a, S> {
    store: &'a S,
    rules: tessera_model::Rules,
    now: Timestamp,
}

impl<'a, S: Store> Reader<'a, S> {
    fn new(store: &'a S, now: Timestamp) -> Checked<Self> {
        Ok(Self {
            store,
            rules: load_rules(store, &hash_key()).map_err(Violation::of("read the workspace"))?,
            now,
        })
    }

    /// What the profile of an address shows; `None` when no purpose permits anything, `null` when there is nobody.
    fn profile(&self, address: &Address) -> Checked<Option<Value>> {
        let view = View { provenance: true, events: true, merges: true, ..View::default() };
        let query = Query { rules: &self.rules, purpose: None, view, now: self.now };
        let reference = self.rules.namespaces.parse_reference(&address.reference());
        let identifier = reference.map_err(Violation::of("read a reference"))?;
        match query.by_identifier(self.store, &hash_key(), &identifier) {
            Ok(profile) => {
                let value = serde_json::to_value(profile.get()).map_err(Violation::of("write a profile"))?;
                Ok(Some(reduced(&value)))
            }
            Err(QueryError::Denied { .. }) => Ok(None),
            Err(QueryError::NotFound) => Ok(Some(Value::Null)),
            Err(error) => Err(Violation(format!("profile of {}: {error}", address.reference()))),
        }
    }
}

/// The parts that the oracle knows.
fn reduced(profile: &Value) -> Value {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or("").to_owned();
    let list = profile.get("identifiers").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut identifiers: Vec<String> =
        list.iter().map(|known| format!("{}:{}", text(known, "namespace"), text(known, "value"))).collect();
    identifiers.sort();
    let each = |field: &str, reduce: &dyn Fn(&Value) -> Value| -> Map<String, Value> {
        let members = profile.get(field).and_then(Value::as_object).cloned().unwrap_or_default();
        members.iter().map(|(name, value)| (name.clone(), reduce(value))).collect()
    };
    let mut traits = profile.get("traits").and_then(Value::as_object).cloned().unwrap_or_default();
    traits.retain(|name, _| !name.starts_with(COMPUTED));
    json!({
        "id": profile.get("id"),
        "identifiers": identifiers,
        "traits": traits,
        "provenance": each("provenance", &|word| word.get("message_id").cloned().unwrap_or_default()),
        "event_counts": each("event_counts", &|count| {
            json!([count.get("count"), count.get("first_at"), count.get("last_at")])
        }),
        "news": profile.pointer("/consents/news/status"),
        "first_seen_at": profile.get("first_seen_at"),
        "last_seen_at": profile.get("last_seen_at"),
    })
}

/// A new store with the state of another, as a snapshot would bring it.
pub(crate) fn copy_of(store: &MemoryStore) -> Checked<MemoryStore> {
    let copy = MemoryStore::new();
    let mut rows = Vec::new();
    for table in Table::STATE {
        let all = store.scan(table, None, usize::MAX).map_err(Violation::of("read the state"))?;
        rows.extend(all.into_iter().map(|(key, value)| Change { key, before: None, after: Some(value) }));
    }
    let upto: Option<Position> = Some(store.position());
    copy.commit(Changes { rows, upto }).map_err(Violation::of("copy the state"))?;
    Ok(copy)
}
