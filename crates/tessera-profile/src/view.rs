//! What leaves: the profile as the API shows it, built only from parts that a decision covers.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::value::RawValue;
use tessera_identity::{Evidence, Linked, Refusal, RefusalReason};
use tessera_model::{
    ConsentStatus, Expression, IdentifierForm, LabelSet, PurposeName, PurposeSet, Purposes, SourceName,
    SubscriptionState, Timestamp,
};
use tessera_policy::{Denial, Grant, Labels, Permit, Permitted};

use crate::{Basis, Cluster, Folded, Fragment, GroupView, Grouping, Recent};

mod words;

pub use words::{Alternative, Provenance};
use words::{alternatives, provenance, traits, with_computed};

/// Which parts a reader asked for, beyond the profile itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// Where each trait comes from.
    pub provenance: bool,
    /// The latest events and the counts.
    pub events: bool,
    /// What links the identifiers, and what was refused or cut.
    pub merges: bool,
    /// The words on each trait that did not survive.
    pub alternatives: bool,
}

/// Which fields somebody may see, whatever a decision permits.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// The labels and policies of the workspace: what a purpose may not use is not shown for it.
    pub labels: &'a Labels,
    /// Fields with any of these are not shown.
    pub hidden: LabelSet,
    /// Consents for other purposes than these are not shown; `None`: all are.
    pub purposes: Option<&'a BTreeSet<PurposeName>>,
}

/// What is asked for, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Which parts.
    pub view: View,
    /// Who; `None`: one who sees all fields.
    pub reader: Option<Reader<'a>>,
    /// Nodes of the cluster that are other people, and may be named all the same.
    pub named: &'a BTreeSet<usize>,
    /// How groups are told; `None`: they were not asked for.
    pub groups: Option<Grouping<'a>>,
    /// Computed traits: the purpose that each serves, and its value, made of what that purpose may see.
    pub computed: &'a BTreeMap<String, (PurposeName, Option<Box<RawValue>>)>,
}

/// What was shown of a profile: for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Paths of the fields: `traits.email`, `identifiers.phone`, `events`.
    pub fields: BTreeSet<String>,
    /// For each at least one purpose that permits it.
    pub purposes: BTreeSet<PurposeName>,
}

/// One identifier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct IdentifierView {
    /// Its namespace.
    pub namespace: String,
    /// Its normalised value; empty, and left out, where the reader does not see it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// Whether only its SHA-256 is known, which the value then is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_hashed: bool,
    /// Whether it stands with too many people to hold any together.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_shared: bool,
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
    /// `yes`, `refused` (see `refused_by`), `cut` (a split took it away) or `undone` (no evidence counts any more).
    pub linked: Linked,
    /// What stood against it, if it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<RefusalView>,
    /// The evidence: strength, time, event, source.
    pub evidence: Vec<EvidenceView>,
}

/// What stood against an edge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusalView {
    /// `limit`, `window`, `shared`, `apart` or `strategy`.
    pub reason: RefusalReason,
    /// The namespace whose rule it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EvidenceView {
    /// `declared`, `manual`, `deterministic` or `probable`.
    pub strength: tessera_identity::Strength,
    /// How likely, if a matcher says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<tessera_identity::Score>,
    /// When.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub at: Timestamp,
    /// When it was received.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub received_at: Timestamp,
    /// Which event, or which order.
    pub message_id: String,
    /// Which source, or which matcher.
    pub source: SourceName,
    /// Whose word it is: a steward's or a matcher's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said_by: Option<String>,
    /// Why, in their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether it was taken back: it holds nothing together any more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_undone: bool,
}

impl RefusalView {
    fn of(refusal: &Refusal) -> Self {
        let namespace = refusal.namespace.as_ref().map(|namespace| namespace.as_str().to_owned());
        Self { reason: refusal.reason, namespace }
    }
}

impl EvidenceView {
    fn of(evidence: &Evidence, counts: bool) -> Self {
        Self {
            strength: evidence.strength,
            score: evidence.score,
            at: evidence.at,
            received_at: evidence.received_at,
            message_id: evidence.message.to_string(),
            source: evidence.source.clone(),
            said_by: evidence.word.as_ref().map(|word| word.by.to_string()),
            reason: evidence.word.as_ref().map(|word| word.reason.to_string()),
            is_undone: !counts,
        }
    }
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
    /// The words on each trait that did not survive, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternatives: Option<BTreeMap<String, Vec<Alternative>>>,
    /// How often each event happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_counts: Option<BTreeMap<String, EventCountView>>,
    /// What links the identifiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merges: Option<Vec<EdgeView>>,
    /// The groups it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<GroupView>>,
    /// Where the latest events stand in the log; the server reads them from there.
    #[serde(skip)]
    pub recent: Vec<Recent>,
    /// For each of `recent`, the purposes that permit it.
    #[serde(skip)]
    pub recent_purposes: Vec<Vec<PurposeName>>,
    /// What is in it, and why.
    #[serde(skip)]
    pub shown: Shown,
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

/// What may be shown of one profile to one reader, and the list of what was.
struct Sight<'a> {
    grant: &'a Grant,
    purposes: &'a Purposes,
    asked: Asked<'a>,
    shown: RefCell<Shown>,
}

impl Sight<'_> {
    /// Whether the field at `path` is shown, of which `covers` says what permits it. Takes it down if so.
    fn shows(&self, path: &str, covers: impl Fn(&Permit) -> bool) -> bool {
        let labels = self.asked.reader.map(|reader| (reader, reader.labels.labels_within(path)));
        let is_hidden = labels.is_some_and(|(reader, labels)| !labels.and(reader.hidden).is_empty());
        let may_use = |permit: &Permit| match labels {
            None => true,
            Some((_, labels)) if labels.is_empty() => true,
            Some((reader, labels)) => self
                .purposes
                .get(permit.purpose())
                .is_some_and(|purpose| reader.labels.forbidden(labels, purpose, None).is_none()),
        };
        if is_hidden {
            return false;
        }
        let permit = self.grant.permits().iter().find(|permit| covers(permit) && may_use(permit));
        if let Some(permit) = permit {
            let mut shown = self.shown.borrow_mut();
            if !shown.fields.contains(path) {
                shown.fields.insert(path.to_owned());
            }
            if !shown.purposes.contains(permit.purpose()) {
                shown.purposes.insert(permit.purpose().clone());
            }
        }
        permit.is_some()
    }

    /// Whether a value with that basis is shown.
    fn shows_based(&self, path: &str, basis: Option<&Basis>, at: Timestamp) -> bool {
        basis.is_some_and(|basis| self.shows(path, |permit| permit.covers(basis.purposes, at)))
    }

    /// The identifier, without its value if the reader does not see that.
    fn shown_identifier(&self, mut identifier: IdentifierView) -> IdentifierView {
        if !self.shows(&format!("identifiers.{}", identifier.namespace), |_| true) {
            identifier.value.clear();
        }
        identifier
    }

    fn covering(&self, purposes: PurposeSet, at: Timestamp) -> Vec<PurposeName> {
        let covering = self.grant.permits().iter().filter(|permit| permit.covers(purposes, at));
        covering.map(|permit| permit.purpose().clone()).collect()
    }
}

/// Builds what the reader may see of a profile: parts that serve a purpose which `grant` permits, and no other.
///
/// # Errors
/// Why nothing at all may be seen.
pub fn disclose(subject: Subject<'_>, grant: &Grant, asked: Asked<'_>) -> Result<Permitted<Profile>, Denial> {
    let Subject { cluster, folded, purposes } = subject;
    if !grant.permits().is_empty() && !is_served(cluster, folded, grant) {
        return Err(grant.denials().values().min().copied().unwrap_or(Denial::NotServed));
    }
    let view = asked.view;
    grant.seal(|grant| {
        let sight = Sight { grant, purposes, asked, shown: RefCell::default() };
        let mut profile = Profile {
            id: folded.id.to_string(),
            identifiers: identifiers(cluster, folded, &sight),
            traits: with_computed(traits(folded, &sight), &sight),
            consents: consents(folded, purposes),
            is_restricted: is_restricted(folded),
            subscriptions: subscriptions(cluster, folded),
            accounts: accounts(folded, &sight),
            first_seen_at: folded.first_seen_at,
            last_seen_at: folded.last_seen_at,
            provenance: view.provenance.then(|| provenance(folded, &sight)),
            alternatives: view.alternatives.then(|| alternatives(folded, &sight)),
            event_counts: view.events.then(|| event_counts(folded, &sight)),
            merges: view.merges.then(|| merges(cluster, folded, &sight)),
            groups: asked.groups.map(|grouping| groups(grouping, cluster, folded, &sight)),
            recent: Vec::new(),
            recent_purposes: Vec::new(),
            shown: Shown::default(),
        };
        profile.consents.retain(|purpose, _| {
            asked.reader.and_then(|reader| reader.purposes).is_none_or(|known| known.contains(purpose))
        });
        for one in &mut profile.subscriptions {
            one.contact = sight.shown_identifier(one.contact.clone());
        }
        for (recent, basis) in folded.recent.iter().filter(|_| view.events) {
            if sight.shows_based("events", *basis, recent.at) {
                let purposes = basis.map(|basis| sight.covering(basis.purposes, recent.at));
                profile.recent.push(*recent);
                profile.recent_purposes.push(purposes.unwrap_or_default());
            }
        }
        profile.shown = sight.shown.into_inner();
        profile.shown.fields.extend(profile.consents.keys().map(|purpose| format!("consents.{purpose}")));
        profile
    })
}

/// Whether a permitted purpose covers anything of the profile. Identifiers have no basis of their own: of somebody of whom
/// nothing else is held, or nothing that may be used, not even they are shown.
#[must_use]
pub fn is_served(cluster: &Cluster, folded: &Folded<'_>, grant: &Grant) -> bool {
    // An account may have come without traits.
    let came = |fragment: &Fragment| {
        let at = fragment.last_seen_at;
        fragment.values() == 0 && fragment.bases().iter().any(|basis| grant.covers(basis.purposes, at))
    };
    folded.traits.values().any(|survivor| covered(grant, survivor.word.basis, survivor.word.assertion.at))
        || folded.events.iter().any(|(event, basis)| covered(grant, *basis, event.last_at))
        || folded.memberships.iter().any(|(one, basis)| covered(grant, *basis, one.since))
        || folded.nodes.iter().filter_map(|node| cluster.fragment(*node)).any(came)
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
fn identifiers(cluster: &Cluster, folded: &Folded<'_>, sight: &Sight<'_>) -> Vec<IdentifierView> {
    let found = folded.nodes.iter().filter_map(|node| identifier(cluster, *node));
    let mut found: Vec<_> = found.map(|identifier| sight.shown_identifier(identifier)).collect();
    found.sort();
    found
}

fn covered(grant: &Grant, basis: Option<&Basis>, at: Timestamp) -> bool {
    basis.is_some_and(|basis| grant.covers(basis.purposes, at))
}

fn identifier(cluster: &Cluster, node: usize) -> Option<IdentifierView> {
    let node = cluster.graph().nodes().get(node)?;
    let identifier = node.identifier();
    Some(IdentifierView {
        namespace: identifier.namespace().as_str().to_owned(),
        value: identifier.value().to_owned(),
        is_hashed: identifier.form() == IdentifierForm::Hashed,
        is_shared: node.is_shared(),
    })
}

fn accounts(folded: &Folded<'_>, sight: &Sight<'_>) -> Vec<AccountView> {
    let mut accounts: Vec<AccountView> = Vec::new();
    for (membership, basis) in &folded.memberships {
        let is_known = accounts.iter().any(|known| known.account_id == membership.value.as_ref());
        if !is_known && sight.shows_based("identifiers.account_id", *basis, membership.since) {
            accounts.push(AccountView { account_id: membership.value.to_string(), since: membership.since });
        }
    }
    accounts
}

/// Those for which every field that says so may be shown: that somebody belongs to a group tells of the fields.
fn groups(
    grouping: Grouping<'_>,
    cluster: &Cluster,
    folded: &Folded<'_>,
    sight: &Sight<'_>,
) -> Vec<GroupView> {
    let node = folded.nodes.first().copied().unwrap_or_default();
    let mut found: BTreeMap<(String, String), GroupView> = BTreeMap::new();
    for one in grouping.of(cluster, node) {
        let is_shown = one.said.iter().all(|said| match said.rests_on {
            Some((basis, at)) => sight.shows_based(&said.path, basis, at),
            None => sight.shows(&said.path, |_| true),
        });
        if is_shown {
            let view = one.view();
            found.entry((view.group_type.clone(), view.id.clone())).or_insert(view);
        }
    }
    found.into_values().collect()
}

fn event_counts(folded: &Folded<'_>, sight: &Sight<'_>) -> BTreeMap<String, EventCountView> {
    let mut counts: BTreeMap<String, EventCountView> = BTreeMap::new();
    for (event, basis) in &folded.events {
        if !sight.shows_based("event_counts", *basis, event.last_at) {
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

fn merges(cluster: &Cluster, folded: &Folded<'_>, sight: &Sight<'_>) -> Vec<EdgeView> {
    // A refused or cut link leads to somebody else.
    let end = |node: usize| {
        let mut end = sight.shown_identifier(identifier(cluster, node)?);
        let is_named = sight.asked.named.contains(&node) && !end.is_shared;
        if !folded.nodes.contains(&node) && !is_named {
            end.value.clear();
            end.is_hashed = false;
        }
        Some(end)
    };
    // With whom a shared identifier stood is kept at their end; only some of it is here.
    let is_shared =
        |node: usize| cluster.graph().nodes().get(node).is_some_and(tessera_identity::Node::is_shared);
    let touches = |node: usize| folded.nodes.contains(&node) && !is_shared(node);
    let edges =
        cluster.graph().edges().iter().filter(|edge| touches(edge.ends().0) || touches(edge.ends().1));
    let mut found: Vec<EdgeView> = edges
        .filter_map(|edge| {
            let (a, b) = edge.ends();
            let (a, b) = (end(a)?, end(b)?);
            let (a, b) = if a <= b { (a, b) } else { (b, a) };
            let refused_by = edge.refusal().map(RefusalView::of);
            let graph = cluster.graph();
            let words = edge.evidence().iter();
            let evidence = words.map(|word| EvidenceView::of(word, graph.counts(edge, word))).collect();
            Some(EdgeView { a, b, linked: edge.linked(), refused_by, evidence })
        })
        .collect();
    // The shared end stands elsewhere, and is nobody's.
    found.extend(cluster.graph().stubs().iter().filter(|stub| touches(stub.node())).filter_map(|stub| {
        let namespace = stub.namespace.as_str().to_owned();
        let shared = IdentifierView {
            namespace: namespace.clone(),
            value: String::new(),
            is_hashed: false,
            is_shared: true,
        };
        let own = end(stub.node())?;
        Some(EdgeView {
            a: own.clone().min(shared.clone()),
            b: own.max(shared),
            linked: Linked::Refused,
            refused_by: Some(RefusalView { reason: RefusalReason::Shared, namespace: Some(namespace) }),
            evidence: {
                let words = stub.evidence().iter();
                words.map(|word| EvidenceView::of(word, cluster.graph().counts_in_stub(stub, word))).collect()
            },
        })
    }));
    // Values that are not shown may leave two edges with equal ends: the evidence then tells them apart.
    let order = |edge: &EdgeView| {
        let first = edge.evidence.first();
        let first = first.map(|word| (word.strength, word.at, word.message_id.clone(), word.source.clone()));
        (edge.a.clone(), edge.b.clone(), first)
    };
    found.sort_by_cached_key(order);
    found
}
