//! A profile as the API answers it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use tessera_model::{PurposeName, SourceName};
use tessera_policy::{Denial, Permitted};
use tessera_profile::{
    AccountView, Alternative, ConsentView, EdgeView, EventCountView, GroupView, IdentifierView, Profile,
    Provenance,
};
use utoipa::ToSchema;

use super::contact_points::ContactPoint;

/// One profile.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileAnswer {
    /// 32 hexadecimal digits. Stable: that of the oldest fragment.
    pub(crate) id: String,
    /// Every identifier, ordered by namespace and value.
    #[schema(value_type = Vec<IdentifierShape>)]
    identifiers: Vec<IdentifierView>,
    /// Value by name.
    #[schema(value_type = Object)]
    traits: BTreeMap<String, Box<RawValue>>,
    /// Whether the person's data is restricted (GDPR Art. 18): kept, and not used. Absent if not.
    #[serde(skip_serializing_if = "is_false")]
    is_restricted: bool,
    /// What was said about each purpose that the account was granted. Shown whatever was decided: it is the proof of the decision.
    #[schema(value_type = std::collections::BTreeMap<String, ConsentShape>)]
    consents: BTreeMap<PurposeName, ConsentView>,
    /// The accounts it belongs to.
    #[schema(value_type = Vec<AccountShape>)]
    accounts: Vec<AccountView>,
    /// Time of the earliest event, RFC 3339; null when nothing may be shown.
    first_seen_at: Option<String>,
    /// Time of the latest event, RFC 3339; null when nothing may be shown.
    last_seen_at: Option<String>,
    /// With `include=provenance`: where each trait comes from, and by which rule it was chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    provenance: Option<BTreeMap<String, Provenance>>,
    /// With `include=alternatives`: what other sources say on each trait, best first by its rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    alternatives: Option<BTreeMap<String, Vec<Alternative>>>,
    /// With `include=contacts`: e-mail addresses and telephone numbers, raw and normalised, with what can be said of each.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub(crate) contacts: Option<Vec<ContactPoint>>,
    /// With `include=events`: how often each event happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    event_counts: Option<BTreeMap<String, EventCountView>>,
    /// With `include=events`: the latest events that the log still has, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Vec<EventAnswer>>,
    /// With `include=merges`: what links the identifiers, and what was refused or cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    merges: Option<Vec<EdgeView>>,
    /// With `include=groups`: the households and accounts it belongs to, as far as every field that says so may be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub(crate) groups: Option<Vec<GroupView>>,
    /// Why nothing else is shown, if no purpose permits it: `refused`, `withdrawn`, `expired`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    denied: Option<Denial>,
}

/// One of the latest events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventAnswer {
    /// When it happened, RFC 3339.
    pub(crate) at: String,
    /// When it arrived, RFC 3339.
    pub(crate) received_at: String,
    /// Which source sent it.
    #[schema(value_type = String)]
    pub(crate) source: SourceName,
    /// The event as it was sent, without the fields that are withheld. Only for those who see identifiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) event: Option<Box<RawValue>>,
    /// The fields that were taken out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) withheld: Vec<String>,
}

/// One identifier.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_profile::IdentifierView`, which knows nothing of OpenAPI")]
pub(crate) struct IdentifierShape {
    /// Its namespace: `email`.
    namespace: String,
    /// Its normalised value; absent where the account does not see it.
    value: Option<String>,
    /// `true`: only its SHA-256 is known, which the value then is.
    is_hashed: Option<bool>,
    /// `true`: it stands with too many people to hold any together.
    is_shared: Option<bool>,
}

/// Where a person stands on a purpose.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_profile::ConsentView`, which knows nothing of OpenAPI")]
pub(crate) struct ConsentShape {
    /// The last word.
    status: String,
    /// When it was said, RFC 3339.
    at: String,
    /// When the same was said first, RFC 3339.
    first_at: String,
    /// Which source brought it.
    source: String,
}

/// One account.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_profile::AccountView`, which knows nothing of OpenAPI")]
pub(crate) struct AccountShape {
    /// The account's id.
    account_id: String,
    /// Since when the person belongs to it, RFC 3339.
    since: String,
}

impl ProfileAnswer {
    /// What may be shown of a profile.
    pub(crate) fn permitted(profile: Permitted<Profile>) -> Self {
        let profile = profile.into_inner();
        Self {
            is_restricted: profile.is_restricted,
            id: profile.id,
            identifiers: profile.identifiers,
            traits: profile.traits,
            consents: profile.consents,
            accounts: profile.accounts,
            first_seen_at: Some(profile.first_seen_at.to_string()),
            last_seen_at: Some(profile.last_seen_at.to_string()),
            provenance: profile.provenance,
            alternatives: profile.alternatives,
            contacts: None,
            event_counts: profile.event_counts,
            events: None,
            merges: profile.merges,
            // Who asks for groups puts them here, without those that too many share.
            groups: None,
            denied: None,
        }
    }

    /// That there is a profile, and why no more of it may be shown.
    pub(crate) fn denied(id: String, consents: BTreeMap<PurposeName, ConsentView>, denial: Denial) -> Self {
        Self {
            id,
            is_restricted: denial == Denial::Restricted,
            identifiers: Vec::new(),
            traits: BTreeMap::new(),
            consents,
            accounts: Vec::new(),
            first_seen_at: None,
            last_seen_at: None,
            provenance: None,
            alternatives: None,
            contacts: None,
            event_counts: None,
            events: None,
            merges: None,
            groups: None,
            denied: Some(denial),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
