//! What leaves: the profile as the API shows it, built only from parts that a decision covers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use tessera_identity::Linked;
use tessera_model::{
    ConsentStatus, DataCategory, Expression, Party, PurposeName, Purposes, SourceName, SubscriptionState,
    Timestamp,
};
use tessera_policy::{Denial, Grant, Permitted};

use crate::{Basis, Cluster, Folded, Recent};

/// Which parts a reader asked for, beyond the profile itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Where each trait comes from.
    pub provenance: bool,
    /// The latest events and the counts.
    pub events: bool,
    /// What links the identifiers, and what was refused or cut.
    pub merges: bool,
}

/// One identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct IdentifierView {
    /// Its namespace.
    pub namespace: String,
    /// Its normalised value.
    pub value: String,
}

/// Where a person stands on a purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsentView {
    /// The last word.
    pub status: ConsentStatus,
    /// When it was said.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// When the same was said first.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub first_at: Timestamp,
    /// Which source brought it.
    pub source: SourceName,
    /// To which version of the purpose.
    pub version: u32,
    /// How clearly.
    pub expression: Expression,
    /// By which form, channel or request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how: Option<String>,
    /// Where the proof is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

/// Whether a contact point takes messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubscriptionView {
    /// The contact point.
    pub contact: IdentifierView,
    /// `email`, `sms`, ...
    pub channel: String,
    /// The topic; empty: the channel as a whole.
    pub topic: String,
    /// The state.
    pub state: SubscriptionState,
    /// Since when.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AccountView {
    /// The account's id.
    pub account_id: String,
    /// Since when the person belongs to it.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub since: Timestamp,
}

/// Where a trait comes from, and why it is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The event's time.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// The event.
    pub message_id: String,
    /// The source.
    pub source: SourceName,
    /// Zero-, first-, second- or third-party.
    pub party: Party,
    /// What kind of data.
    pub category: DataCategory,
    /// The purposes it serves.
    pub purposes: Vec<PurposeName>,
}

/// How often an event happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventCountView {
    /// How often.
    pub count: u64,
    /// The first time.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub first_at: Timestamp,
    /// The last time.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub last_at: Timestamp,
}

/// Evidence between two identifiers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EdgeView {
    /// One end.
    pub a: IdentifierView,
    /// The other.
    pub b: IdentifierView,
    /// `yes`, `refused` (a limit stood against it) or `cut` (a person took it away).
    pub linked: Linked,
    /// The evidence: strength, time, event, source.
    pub evidence: Vec<EvidenceView>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvidenceView {
    /// `declared` or `deterministic`.
    pub strength: tessera_identity::Strength,
    /// When.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// Which event.
    pub message_id: String,
    /// Which source.
    pub source: SourceName,
}

/// A profile as the API shows it.
#[derive(Debug, Serialize)]
pub struct Profile {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// Its identifiers.
    pub identifiers: Vec<IdentifierView>,
    /// Its traits.
    pub traits: BTreeMap<String, Box<RawValue>>,
    /// What was said about each purpose.
    pub consents: BTreeMap<PurposeName, ConsentView>,
    /// Whether the person's data is restricted (GDPR Art. 18): kept, and not used.
    pub is_restricted: bool,
    /// Which contact points take messages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<SubscriptionView>,
    /// The accounts it belongs to.
    pub accounts: Vec<AccountView>,
    /// The earliest event.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub first_seen_at: Timestamp,
    /// The latest event.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub last_seen_at: Timestamp,
    /// Where each trait comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provenance: Option<BTreeMap<String, Provenance>>,
    /// How often each event happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_counts: Option<BTreeMap<String, EventCountView>>,
    /// What links the identifiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merges: Option<Vec<EdgeView>>,
    /// Where the latest events stand in the log; the server reads them from there.
    #[serde(skip)]
    pub recent: Vec<Recent>,
}

/// A folded profile, and what is needed to name its parts.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The cluster it was folded from.
    pub cluster: &'a Cluster,
    /// The profile.
    pub folded: &'a Folded<'a>,
    /// The purposes by number.
    pub purposes: &'a Purposes,
}

/// Builds what the reader may see of a profile: parts that serve a purpose which `grant` permits, and no other.
///
/// # Errors
/// Why nothing at all may be seen.
pub fn disclose(subject: Subject<'_>, grant: &Grant, view: View) -> Result<Permitted<Profile>, Denial> {
    let Subject { cluster, folded, purposes } = subject;
    let is_served = folded.traits.values().any(|((_, word), basis)| covered(grant, *basis, word.at))
        || folded.events.iter().any(|(event, basis)| covered(grant, *basis, event.last_at))
        || (folded.recent.is_empty() && folded.traits.is_empty());
    if !is_served {
        return Err(grant.denials().values().min().copied().unwrap_or(Denial::NotServed));
    }
    grant.seal(|grant| Profile {
        id: folded.id.to_string(),
        identifiers: identifiers(cluster, folded),
        traits: traits(folded, grant),
        consents: consents(folded, purposes),
        is_restricted: is_restricted(folded),
        subscriptions: subscriptions(cluster, folded),
        accounts: accounts(folded, grant),
        first_seen_at: folded.first_seen_at,
        last_seen_at: folded.last_seen_at,
        provenance: view.provenance.then(|| provenance(folded, grant, purposes)),
        event_counts: view.events.then(|| event_counts(folded, grant)),
        merges: view.merges.then(|| merges(cluster, folded)),
        recent: match view.events {
            true => folded
                .recent
                .iter()
                .filter(|(recent, basis)| covered(grant, *basis, recent.at))
                .map(|(recent, _)| *recent)
                .collect(),
            false => Vec::new(),
        },
    })
}

/// What was said about each purpose. Shown whatever was decided: it is the proof of the decision.
#[must_use]
pub fn consents(folded: &Folded<'_>, purposes: &Purposes) -> BTreeMap<PurposeName, ConsentView> {
    let view = |record: &tessera_policy::ConsentRecord| ConsentView {
        status: record.status,
        at: record.last_at,
        first_at: record.first_at,
        source: record.source.clone(),
        version: record.version,
        expression: record.expression,
        how: record.how.as_deref().map(str::to_owned),
        evidence: record.evidence.as_deref().map(str::to_owned),
    };
    let named = folded.consents.iter().filter_map(|(id, record)| Some((purposes.name((*id)?)?, record)));
    named.map(|(purpose, record)| (purpose.clone(), view(record))).collect()
}

fn is_restricted(folded: &Folded<'_>) -> bool {
    folded.consents.get(&None).is_some_and(|record| record.status == ConsentStatus::Restricted)
}

/// Which contact points of a profile take messages.
#[must_use]
pub fn subscriptions(cluster: &Cluster, folded: &Folded<'_>) -> Vec<SubscriptionView> {
    let mut found = Vec::new();
    for node in &folded.nodes {
        let (Some(fragment), Some(contact)) = (cluster.fragment(*node), identifier(cluster, *node)) else {
            continue;
        };
        found.extend(fragment.consents.subscriptions().iter().map(|one| SubscriptionView {
            contact: contact.clone(),
            channel: one.channel.to_string(),
            topic: one.topic.to_string(),
            state: one.state,
            at: one.at,
        }));
    }
    found.sort_by(|a, b| (&a.contact, &a.channel, &a.topic).cmp(&(&b.contact, &b.channel, &b.topic)));
    found
}

/// By namespace and value: the order of the nodes is that of arrival, which must not show.
fn identifiers(cluster: &Cluster, folded: &Folded<'_>) -> Vec<IdentifierView> {
    let mut found: Vec<_> = folded.nodes.iter().filter_map(|node| identifier(cluster, *node)).collect();
    found.sort();
    found
}

fn covered(grant: &Grant, basis: Option<&Basis>, at: Timestamp) -> bool {
    basis.is_some_and(|basis| grant.covers(basis.purposes, at))
}

fn identifier(cluster: &Cluster, node: usize) -> Option<IdentifierView> {
    let identifier = cluster.graph().nodes().get(node)?.identifier();
    Some(IdentifierView {
        namespace: identifier.namespace().as_str().to_owned(),
        value: identifier.value().to_owned(),
    })
}

fn traits(folded: &Folded<'_>, grant: &Grant) -> BTreeMap<String, Box<RawValue>> {
    let visible = folded.traits.iter().filter(|(_, ((_, word), basis))| covered(grant, *basis, word.at));
    visible
        .filter(|(_, ((entry, _), _))| entry.value.as_ref() != "null")
        .filter_map(|(name, ((entry, _), _))| {
            let value = RawValue::from_string(entry.value.to_string()).ok()?;
            Some(((*name).to_owned(), value))
        })
        .collect()
}

fn accounts(folded: &Folded<'_>, grant: &Grant) -> Vec<AccountView> {
    let mut accounts: Vec<AccountView> = Vec::new();
    for (membership, basis) in &folded.memberships {
        let is_known = accounts.iter().any(|known| known.account_id == membership.value.as_ref());
        if covered(grant, *basis, membership.since) && !is_known {
            accounts.push(AccountView { account_id: membership.value.to_string(), since: membership.since });
        }
    }
    accounts
}

fn provenance(folded: &Folded<'_>, grant: &Grant, purposes: &Purposes) -> BTreeMap<String, Provenance> {
    let words = folded.traits.iter().filter(|(_, ((_, word), basis))| covered(grant, *basis, word.at));
    words
        .filter_map(|(name, ((_, assertion), basis))| {
            let basis = (*basis)?;
            let provenance = Provenance {
                at: assertion.at,
                message_id: assertion.message.to_string(),
                source: basis.source.clone(),
                party: basis.party,
                category: basis.category,
                purposes: purposes.names_of(basis.purposes).cloned().collect(),
            };
            Some(((*name).to_owned(), provenance))
        })
        .collect()
}

fn event_counts(folded: &Folded<'_>, grant: &Grant) -> BTreeMap<String, EventCountView> {
    let mut counts: BTreeMap<String, EventCountView> = BTreeMap::new();
    for (event, basis) in &folded.events {
        if !covered(grant, *basis, event.last_at) {
            continue;
        }
        counts
            .entry(event.name.to_string())
            .and_modify(|known| {
                known.count += event.count;
                known.first_at = known.first_at.min(event.first_at);
                known.last_at = known.last_at.max(event.last_at);
            })
            .or_insert(EventCountView {
                count: event.count,
                first_at: event.first_at,
                last_at: event.last_at,
            });
    }
    counts
}

fn merges(cluster: &Cluster, folded: &Folded<'_>) -> Vec<EdgeView> {
    let touches = |node: usize| folded.nodes.contains(&node);
    let edges =
        cluster.graph().edges().iter().filter(|edge| touches(edge.ends().0) || touches(edge.ends().1));
    let mut found: Vec<EdgeView> = edges
        .filter_map(|edge| {
            let (a, b) = edge.ends();
            let evidence = edge.evidence().iter().map(|evidence| EvidenceView {
                strength: evidence.strength,
                at: evidence.at,
                message_id: evidence.message.to_string(),
                source: evidence.source.clone(),
            });
            let (a, b) = (identifier(cluster, a)?, identifier(cluster, b)?);
            let (a, b) = if a <= b { (a, b) } else { (b, a) };
            Some(EdgeView { a, b, linked: edge.linked(), evidence: evidence.collect() })
        })
        .collect();
    found.sort_by(|x, y| (&x.a, &x.b).cmp(&(&y.a, &y.b)));
    found
}
