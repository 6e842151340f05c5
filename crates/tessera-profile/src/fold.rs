//! The fold: what the fragments of one profile say together.

use std::collections::BTreeMap;

use tessera_model::{PurposeId, SurvivorshipRules, Timestamp};
use tessera_policy::ConsentRecord;

use crate::{Basis, Cluster, EventCount, Membership, ProfileId, Recent, Survivor, Word, survivor};

/// A part of a profile with the basis it rests on.
type Based<'a, T> = (T, Option<&'a Basis>);

/// One profile, folded, before anybody decided who may see what of it. It borrows, and does not leave: see
/// [`crate::disclose`].
#[derive(Debug)]
pub struct Folded<'a> {
    /// Its id.
    pub id: ProfileId,
    /// Its nodes in the cluster.
    pub nodes: Vec<usize>,
    /// The surviving word on each trait, and those that did not survive.
    pub traits: BTreeMap<&'a str, Survivor<'a>>,
    /// The last word on each purpose, and on the whole person; where fragments differ, the stricter.
    pub consents: BTreeMap<Option<PurposeId>, ConsentRecord>,
    /// Accounts.
    pub memberships: Vec<Based<'a, &'a Membership>>,
    /// Event counts.
    pub events: Vec<Based<'a, &'a EventCount>>,
    /// The latest events, latest first.
    pub recent: Vec<Based<'a, Recent>>,
    /// The earliest event.
    pub first_seen_at: Timestamp,
    /// The latest event.
    pub last_seen_at: Timestamp,
}

/// Folds the profile that `node` is in. `None` when no event has named any of its identifiers.
#[must_use]
pub fn fold<'a>(cluster: &'a Cluster, node: usize, rules: &SurvivorshipRules) -> Option<Folded<'a>> {
    let mut folded: Option<Folded<'_>> = None;
    let mut words: BTreeMap<&str, Vec<Word<'_>>> = BTreeMap::new();
    for (at, fragment) in cluster.component(node).filter(|(_, fragment)| fragment.is_named()) {
        let into = folded.get_or_insert_with(|| Folded {
            id: cluster.profile_id(node),
            nodes: Vec::new(),
            traits: BTreeMap::new(),
            consents: BTreeMap::new(),
            memberships: Vec::new(),
            events: Vec::new(),
            recent: Vec::new(),
            first_seen_at: fragment.first_seen_at,
            last_seen_at: fragment.last_seen_at,
        });
        into.nodes.push(at);
        into.first_seen_at = into.first_seen_at.min(fragment.first_seen_at);
        into.last_seen_at = into.last_seen_at.max(fragment.last_seen_at);
        for (entry, assertion) in fragment.traits.iter() {
            let basis = fragment.basis_of(assertion.basis);
            words.entry(&entry.name).or_default().push(Word { entry, assertion, basis, node: at });
        }
        into.memberships.extend(fragment.memberships.iter().map(|m| (m, fragment.basis_of(m.basis))));
        into.events.extend(fragment.events.iter().map(|e| (e, fragment.basis_of(e.basis))));
        into.recent.extend(fragment.recent.iter().map(|r| (*r, fragment.basis_of(r.basis))));
        fold_consents(&mut into.consents, fragment);
    }
    if let Some(folded) = &mut folded {
        folded.traits =
            words.keys().filter_map(|name| Some((*name, survivor(name, &words, rules.of(name))?))).collect();
        folded.memberships.sort_by(|(a, _), (b, _)| (&a.value, a.since).cmp(&(&b.value, b.since)));
        folded.events.sort_by(|(a, _), (b, _)| {
            (&a.name, a.first_at, a.last_at).cmp(&(&b.name, b.first_at, b.last_at))
        });
        folded.recent.sort_by_key(|(recent, _)| std::cmp::Reverse((recent.at, recent.hash)));
    }
    folded
}

/// The last word of some fragments on each purpose, and on the whole person; where they differ, the stricter.
pub fn last_words<'a>(
    fragments: impl IntoIterator<Item = &'a crate::Fragment>,
) -> BTreeMap<Option<PurposeId>, ConsentRecord> {
    let mut words = BTreeMap::new();
    fragments.into_iter().for_each(|fragment| fold_consents(&mut words, fragment));
    words
}

fn fold_consents(into: &mut BTreeMap<Option<PurposeId>, ConsentRecord>, fragment: &crate::Fragment) {
    // Within a fragment the last word counts, at equal times the stricter.
    let mut words: BTreeMap<Option<PurposeId>, ConsentRecord> = BTreeMap::new();
    for record in fragment.consents.iter() {
        keep_greater(&mut words, record, |r| (r.last_at, !r.status.is_valid(), r.status));
    }
    // Between fragments the stricter counts, of equally strict ones the last.
    for record in words.into_values() {
        keep_greater(into, record, |r| (!r.status.is_valid(), r.status, r.last_at));
    }
}

fn keep_greater<K: Ord>(
    words: &mut BTreeMap<Option<PurposeId>, ConsentRecord>,
    record: ConsentRecord,
    order: impl Fn(&ConsentRecord) -> K,
) {
    match words.get_mut(&record.purpose) {
        Some(known) if order(known) < order(&record) => *known = record,
        Some(_) => {}
        None => {
            words.insert(record.purpose, record);
        }
    }
}
