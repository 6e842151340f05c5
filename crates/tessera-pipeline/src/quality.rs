//! A survey of the data's quality: a walk over everybody, page by page, while everything else goes on.
//!
//! Shows nothing of anybody: what comes out is `tessera-quality`'s, counts and masked shapes. The answer is as exact as the
//! store is quiet.

use std::collections::{BTreeMap, BTreeSet};

use tessera_evidence::{Entry, EvidenceError, Filter, Kind, Ledger};
use tessera_model::{FragmentId, HashKey, NamespaceRules, OFFICE, Rules, SubscriptionState, Timestamp};
use tessera_policy::Grant;
use tessera_profile::{Cluster, Folded, Fragment, Row, fold, is_served};
use tessera_quality::{Person, Record, Said, Survey, Usage};
use tessera_store::{Key, Store, Table};

use crate::simulate::Walked;
use crate::{PipelineError, load_totals, load_violations};

const PAGE_ROWS: usize = 256;
/// Most fields whose use is looked for.
const FIELDS_MAX: usize = 10_000;
/// Most audits that are kept; the oldest goes.
pub(crate) const AUDITS_MAX: usize = 400;
/// Events that say that a message came back.
const BOUNCES: [&str; 4] = ["Email Bounced", "Message Bounced", "SMS Bounced", "Push Notification Bounced"];

/// Looks at every person. `progress` is told now and then how far it is; `None` when it said `false`.
///
/// # Errors
/// Those of the store.
pub fn survey(
    store: &impl Store,
    rules: &Rules,
    key: &HashKey,
    now: Timestamp,
    progress: &mut dyn FnMut(Walked) -> bool,
) -> Result<Option<Survey>, PipelineError> {
    let totals = load_totals(store)?;
    let mut walked = Walked { profiles_expected: totals.profiles + totals.accounts, ..Walked::default() };
    let mut survey = Survey::new(now, seed(key));
    let mut after: Option<Key> = None;
    loop {
        let page = store.scan(Table::Cluster, after.as_ref().map(Key::id), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { return Ok(Some(survey)) };
        after = Some(*last);
        for (_, value) in &page {
            let Row::Cluster(cluster) = Row::decode(value)? else { continue };
            for nodes in cluster.graph().components() {
                let Some(folded) = nodes.first().and_then(|node| fold(&cluster, *node, &rules.survivorship))
                else {
                    continue;
                };
                walked.profiles += 1;
                if let Some(person) = person(&cluster, &folded, rules, now) {
                    survey.add(&person);
                }
            }
        }
        if !progress(walked) {
            return Ok(None);
        }
    }
}

/// Surveys of one installation agree on hashes, and nobody outside can choose values that collide.
fn seed(key: &HashKey) -> (u64, u64) {
    let bytes = u128::from_le_bytes(key.hash128(&[b"quality"]));
    let [low, high] =
        [bytes, bytes >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default());
    (low, high)
}

/// The person as a survey sees them; `None`: an account.
fn person<'a>(
    cluster: &'a Cluster,
    folded: &Folded<'a>,
    rules: &Rules,
    now: Timestamp,
) -> Option<Person<'a>> {
    let nodes = || folded.nodes.iter().filter_map(|node| cluster.graph().nodes().get(*node));
    if nodes().any(|node| node.namespace.as_str() == NamespaceRules::ACCOUNT) {
        return None;
    }
    let fragments = || folded.nodes.iter().filter_map(|node| cluster.fragment(*node));
    let consents = fragments().map(|fragment| &fragment.consents).collect::<Vec<_>>();
    let grant = Grant::decide(rules.purposes.iter(), consents.iter().copied(), now);
    let signed_off = |fragment: &Fragment| {
        let mut subscriptions = fragment.consents.subscriptions().iter();
        subscriptions.any(|one| one.state == SubscriptionState::Unsubscribed)
    };
    let FragmentId(id) = folded.id;
    Some(Person {
        id,
        records: fragments().flat_map(records).collect(),
        survivors: folded
            .traits
            .iter()
            .map(|(name, survivor)| (*name, survivor.word.entry.value.as_ref()))
            .collect(),
        last_seen_at: folded.last_seen_at,
        is_known: nodes().any(|node| node.namespace.as_str() != "anonymous_id"),
        is_usable: is_served(cluster, folded, &grant),
        is_unsubscribed: fragments().any(signed_off),
        is_bounced: folded.events.iter().any(|(event, _)| BOUNCES.contains(&event.name.as_ref())),
    })
}

/// What each source said in one fragment. What was put right is no source's.
fn records(fragment: &Fragment) -> Vec<Record<'_>> {
    let mut by_source: BTreeMap<&str, Vec<Said<'_>>> = BTreeMap::new();
    for (entry, word) in fragment.traits.iter() {
        let Some(basis) = fragment.basis_of(word.basis).filter(|basis| basis.source.as_str() != OFFICE)
        else {
            continue;
        };
        let said = Said { name: &entry.name, value: &entry.value, at: word.at };
        by_source.entry(basis.source.as_str()).or_default().push(said);
    }
    by_source.into_iter().map(|(source, words)| Record { source, words }).collect()
}

/// Why what is known from elsewhere cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The store failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// The ledger failed.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
}

/// Which traits went to a destination or were shown to a reader, by the evidence ledger - unknown as long as nothing ever
/// did - and how often tracking plans were violated.
///
/// # Errors
/// [`UsageError`].
pub fn usage_of(store: &impl Store, ledger: &Ledger) -> Result<Usage, UsageError> {
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut note = |fields: &[Box<str>]| {
        for field in fields {
            let path = field.strip_prefix("context.").unwrap_or(field);
            if path.starts_with("traits.") && !used.contains(path) && used.len() < FIELDS_MAX {
                used.insert(path.to_owned());
            }
        }
    };
    let filter = Filter { kinds: [Kind::Delivery, Kind::Disclosure].into(), ..Filter::default() };
    ledger.read(&filter, |line| {
        match &line.entry {
            Entry::Delivery(delivery) => note(&delivery.fields),
            Entry::Disclosure(disclosure) => note(&disclosure.fields),
            Entry::Outcome(_)
            | Entry::Change(_)
            | Entry::Access(_)
            | Entry::Notice(_)
            | Entry::Erasure(_)
            | Entry::Export(_)
            | Entry::Checkpoint(_) => {}
        }
        true
    })?;
    let mut violations: BTreeMap<String, u64> = BTreeMap::new();
    for (kind, count) in load_violations(store)? {
        *violations.entry(kind.source).or_default() += count;
    }
    Ok(Usage { used: Some(used).filter(|used| !used.is_empty()), violations })
}
