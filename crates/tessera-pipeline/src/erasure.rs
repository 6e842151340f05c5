//! Who an erasure means, wherever they are mentioned.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tessera_model::{Event, FragmentId, HashKey, PurposeSet, Purposes, Rules, Timestamp};
use tessera_policy::is_in_time;
use tessera_store::{Change, Key, Store, Table};

use crate::delivery::ERASE;
use crate::orders::{kept_purposes, owes};
use crate::outbox::OutboxRow;
use crate::queued::Queued;
use crate::reject_row::RejectRow;
use crate::view::View;
use crate::{DeadLetter, ErasureRow, PipelineError, reviews};

/// The people of an erasure, known by the keyed hashes of their identifiers alone: whatever text is at hand, its words
/// are hashed as each namespace would and looked up.
#[derive(Debug)]
pub struct Mentions<'a> {
    fragments: Cow<'a, BTreeSet<FragmentId>>,
    rules: &'a Rules,
    key: &'a HashKey,
}

impl<'a> Mentions<'a> {
    /// Of the people with these identifiers.
    #[must_use]
    pub fn new(fragments: &[FragmentId], rules: &'a Rules, key: &'a HashKey) -> Self {
        Self { fragments: Cow::Owned(fragments.iter().copied().collect()), rules, key }
    }

    /// Of the people with any of these identifiers.
    #[must_use]
    pub const fn among(fragments: &'a BTreeSet<FragmentId>, rules: &'a Rules, key: &'a HashKey) -> Self {
        Self { fragments: Cow::Borrowed(fragments), rules, key }
    }

    /// Whether the fragment is one of theirs.
    #[must_use]
    pub fn is_of(&self, id: FragmentId) -> bool {
        self.fragments.contains(&id)
    }

    /// Whether the event is about one of them: it is kept under its strongest identifier.
    #[must_use]
    pub fn is_about(&self, event: &Event) -> bool {
        event.owner().is_some_and(|owner| self.is_of(owner.id))
    }

    /// Whether a text that is no event, JSON or not, names one of them.
    #[must_use]
    pub fn in_text(&self, text: &str) -> bool {
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) => self.in_value(&value),
            Err(_) => words(text).any(|word| self.is_identifier(word)),
        }
    }

    fn in_value(&self, value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match value {
            Value::Null | Value::Bool(_) => false,
            Value::Number(number) => self.is_identifier(&number.to_string()),
            Value::String(text) => {
                self.is_identifier(text) || words(text).any(|word| self.is_identifier(word))
            }
            Value::Array(values) => values.iter().any(|value| self.in_value(value)),
            Value::Object(members) => members.values().any(|value| self.in_value(value)),
        }
    }

    /// Whether a string is, or holds, an identifier of theirs.
    #[must_use]
    pub fn in_words(&self, text: &str) -> bool {
        self.is_identifier(text) || words(text).any(|word| self.is_identifier(word))
    }

    fn is_identifier(&self, text: &str) -> bool {
        let namespaces = &self.rules.namespaces;
        namespaces
            .ordered()
            .iter()
            .flat_map(|namespace| namespaces.readings(namespace, self.key, text))
            .any(|identified| self.is_of(identified.id))
    }
}

/// The parts of a text that may be identifiers.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '@' | '.' | '_' | '-' | '+' | ':' | '|')))
        .map(|word| word.trim_matches(['.', ':', '-']))
        .filter(|word| !word.is_empty())
}

/// The record of an order to erase: whom it takes out, and whom it spares because the law obliges to keep something.
pub(crate) fn row(
    view: &View,
    fragments: &[FragmentId],
    purposes: &Purposes,
    (position, request, at): (u64, &str, Timestamp),
) -> ErasureRow {
    let is_spared = |id: &FragmentId| {
        view.cluster_of(*id).is_some_and(|(cluster, node)| owes(cluster, node, purposes, at))
    };
    let (spared, erased): (Vec<FragmentId>, Vec<FragmentId>) =
        fragments.iter().copied().partition(|id| is_spared(id));
    ErasureRow {
        position,
        request: request.to_owned(),
        fragments: view.profiles_of(&erased),
        spared: view.profiles_of(&spared),
        at,
    }
}

/// The removal of every row that waits, lies dead, was refused or remembers something about who is erased; of who is
/// spared, of what was refused.
pub(crate) fn leftovers(
    store: &impl Store,
    row: &ErasureRow,
    values: Option<&[String]>,
    (rules, key): (&Rules, &HashKey),
) -> Result<Vec<Change>, PipelineError> {
    let mentions = &Mentions::new(&row.fragments, rules, key);
    let spared = &Mentions::new(&row.spared, rules, key);
    let queued = Queued::new(mentions, values);
    let mut changes = Vec::new();
    for table in [Table::Outbox, Table::DeadLetter, Table::Reject] {
        let mut after: Option<Key> = None;
        loop {
            let rows = store.scan(table, after.as_ref().map(Key::id), 1000)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(*last);
            for (key, value) in rows {
                let is_meant = match table == Table::Outbox {
                    true => queued.is_meant(&OutboxRow::decode(&value)?),
                    false => {
                        names(table, &value, mentions)?
                            || (table == Table::Reject && names(table, &value, spared)?)
                    }
                };
                if is_meant {
                    changes.push(Change { key, before: Some(value), after: None });
                }
            }
        }
    }
    changes.extend(reviews::of_people(store, |id| mentions.is_of(id) || spared.is_of(id))?);
    for id in mentions.fragments.iter() {
        let pages = store.scan(Table::Seen, Some(&id.0), 256)?;
        let own = pages.into_iter().take_while(|(key, _)| key.id().starts_with(&id.0));
        changes.extend(own.map(|(key, value)| Change { key, before: Some(value), after: None }));
    }
    Ok(changes)
}

/// What purposes still cover of some people.
pub(crate) struct Cover<'a> {
    /// Holds their rows.
    pub(crate) view: &'a View,
    /// The purposes that count.
    pub(crate) within: PurposeSet,
    /// The declared purposes.
    pub(crate) purposes: &'a Purposes,
    /// The moment of the decision.
    pub(crate) now: Timestamp,
}

/// The removal of what still waits, or lies dead, of these people and that no purpose covers any more: a later yes must
/// not send it.
pub(crate) fn no_longer_covered(
    store: &impl Store,
    people: &[FragmentId],
    cover: &Cover<'_>,
) -> Result<Vec<Change>, PipelineError> {
    let Cover { view, within, purposes, now } = *cover;
    let mut covered: BTreeMap<FragmentId, PurposeSet> = BTreeMap::new();
    for (cluster, node) in people.iter().filter_map(|id| view.cluster_of(*id)) {
        let theirs = kept_purposes(cluster, node, purposes, now).and(within);
        let nodes = cluster.component(node).filter_map(|(at, _)| cluster.graph().nodes().get(at));
        covered.extend(nodes.map(|node| (node.id, theirs)));
    }
    if covered.is_empty() {
        return Ok(Vec::new());
    }
    let is_over = |row: &OutboxRow| {
        covered.get(&row.owner).is_some_and(|covered| {
            let mut left = row.purposes.and(*covered).iter().filter_map(|id| purposes.by_id(id));
            !left.any(|purpose| is_in_time(purpose, row.at, now)) && row.call != ERASE
        })
    };
    let mut changes = Vec::new();
    for is_dead in [false, true] {
        let table = if is_dead { Table::DeadLetter } else { Table::Outbox };
        crate::replay::for_each_row(store, &[table], |key, value| {
            let row = if is_dead { DeadLetter::decode(value)?.row } else { OutboxRow::decode(value)? };
            if is_over(&row) {
                changes.push(Change { key: *key, before: Some(value.into()), after: None });
            }
            Ok(())
        })?;
    }
    Ok(changes)
}

fn names(table: Table, value: &[u8], mentions: &Mentions<'_>) -> Result<bool, PipelineError> {
    let of_row = |row: &OutboxRow| mentions.is_of(row.owner) || mentions.in_text(&row.json);
    Ok(match table {
        Table::DeadLetter => of_row(&DeadLetter::decode(value)?.row),
        Table::Reject => mentions.in_text(&RejectRow::decode(value)?.payload),
        Table::Outbox
        | Table::Cluster
        | Table::Seen
        | Table::Workspace
        | Table::Count
        | Table::Account
        | Table::Request
        | Table::Erasure
        | Table::Review
        | Table::Contract
        | Table::Group
        | Table::Quality
        | Table::Matcher
        | Table::Audience
        | Table::Timer
        | Table::Told
        | Table::Lake => false,
    })
}
