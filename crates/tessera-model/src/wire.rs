//! The shapes of Segment's tracking API, as they come over the wire. They mirror JSON, borrow from the body,
//! and stop at the edge: [`crate::parse_body`] turns them into events.
//!
//! No `flatten`: it would build maps for what nobody reads. Properties, traits and context stay raw.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// A string that borrows from the body where it holds no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        deserializer.deserialize_str(V)
    }
}

/// An identifier: a string, or the integer that some clients send in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Id<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Id<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or an integer")
            }
            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Borrowed(v)))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Owned(v.to_owned())))
            }
            fn visit_u64<E: Error>(self, v: u64) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Owned(v.to_string())))
            }
            fn visit_i64<E: Error>(self, v: i64) -> Result<Id<'de>, E> {
                Ok(Id(Cow::Owned(v.to_string())))
            }
        }
        deserializer.deserialize_any(V)
    }
}

/// One call, alone in a body or as a member of a batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call<'a> {
    /// `identify`, `track`, ...: needed in a batch, else the path says it.
    #[serde(borrow, rename = "type", default)]
    pub kind: Option<Text<'a>>,
    /// Who, if known.
    #[serde(borrow, default)]
    pub user_id: Option<Id<'a>>,
    /// Which device or browser.
    #[serde(borrow, default)]
    pub anonymous_id: Option<Id<'a>>,
    /// `alias`: the other id.
    #[serde(borrow, default)]
    pub previous_id: Option<Id<'a>>,
    /// `group`: the account.
    #[serde(borrow, default)]
    pub group_id: Option<Id<'a>>,
    /// `track`: what happened.
    #[serde(borrow, default)]
    pub event: Option<Text<'a>>,
    /// `page`, `screen`: its name.
    #[serde(borrow, default)]
    pub name: Option<Text<'a>>,
    /// De-duplication key.
    #[serde(borrow, default)]
    pub message_id: Option<Text<'a>>,
    /// When it happened, by the sender's clock.
    #[serde(borrow, default)]
    pub timestamp: Option<&'a RawValue>,
    /// The same, as some clients name it.
    #[serde(borrow, default)]
    pub original_timestamp: Option<&'a RawValue>,
    /// When it was sent, by the sender's clock.
    #[serde(borrow, default)]
    pub sent_at: Option<&'a RawValue>,
    /// Details of a track, page or screen.
    #[serde(borrow, default)]
    pub properties: Option<&'a RawValue>,
    /// Traits of the person (`identify`) or account (`group`).
    #[serde(borrow, default)]
    pub traits: Option<&'a RawValue>,
    /// Everything else about the circumstances.
    #[serde(borrow, default)]
    pub context: Option<&'a RawValue>,
    /// `consent`: status by purpose.
    #[serde(borrow, default)]
    pub consents: Option<&'a RawValue>,
    /// `consent`: what the person prefers.
    #[serde(borrow, default)]
    pub preferences: Option<&'a RawValue>,
    /// `consent`: contact points and whether they take messages.
    #[serde(borrow, default)]
    pub subscriptions: Option<&'a RawValue>,
    /// mParticle's consent state: `{"gdpr": {PURPOSE: {...}}, "ccpa": {"data_sale_opt_out": {...}}}`.
    #[serde(borrow, default, rename = "consent_state")]
    pub consent_state: Option<&'a RawValue>,
}

/// A batch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch<'a> {
    /// The calls, each parsed for itself so that one bad one condemns no other.
    #[serde(borrow)]
    pub batch: Vec<&'a RawValue>,
    /// When the batch was sent, by the sender's clock.
    #[serde(borrow, default)]
    pub sent_at: Option<&'a RawValue>,
    /// Stands in for the context of calls that have none.
    #[serde(borrow, default)]
    pub context: Option<&'a RawValue>,
}

/// What `context` may say that concerns the profile.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Context<'a> {
    /// Segment's consent object.
    #[serde(borrow, default)]
    pub consent: Option<&'a RawValue>,
    /// mParticle's consent state, where a client cannot put it beside the call.
    #[serde(borrow, default, rename = "consent_state")]
    pub consent_state: Option<&'a RawValue>,
    /// Segment's contact points: `[{"key", "type", "status", "groups"}]`.
    #[serde(borrow, default, rename = "messaging_subscriptions")]
    pub messaging_subscriptions: Option<&'a RawValue>,
    /// Further identifiers: `[{"id", "type", "collection", "encoding"}]`.
    #[serde(borrow, default)]
    pub external_ids: Option<&'a RawValue>,
    /// Traits that accompany a call without changing the profile.
    #[serde(borrow, default)]
    pub traits: Option<&'a RawValue>,
}

/// One of `context.externalIds`.
#[derive(Debug, Deserialize)]
pub struct ExternalId<'a> {
    /// The value.
    #[serde(borrow)]
    pub id: Id<'a>,
    /// The namespace.
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
}

/// One word of a consent call, in full.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said<'a> {
    /// `given`, `withdrawn`, ...
    #[serde(borrow)]
    pub status: Text<'a>,
    /// The version of the purpose that was shown.
    #[serde(default)]
    pub version: Option<u32>,
    /// `explicit` or `implied`.
    #[serde(default)]
    pub expression: crate::Expression,
    /// When, if not at the time of the call.
    #[serde(borrow, default)]
    pub at: Option<&'a RawValue>,
    /// By which form, channel or text.
    #[serde(borrow, default)]
    pub how: Option<Text<'a>>,
    /// Where the proof is kept.
    #[serde(borrow, default)]
    pub evidence: Option<Text<'a>>,
}

/// One purpose of mParticle's consent state.
#[derive(Debug, Deserialize)]
pub struct ConsentState<'a> {
    /// Yes or no.
    pub consented: bool,
    /// Which text was agreed to.
    #[serde(borrow, default)]
    pub document: Option<Text<'a>>,
    /// Where.
    #[serde(borrow, default)]
    pub location: Option<Text<'a>>,
    /// When.
    #[serde(default)]
    pub timestamp_unixtime_ms: Option<i64>,
}

/// One of Segment's contact points.
#[derive(Debug, Deserialize)]
pub struct MessagingSubscription<'a> {
    /// The address: an e-mail address, a phone number, a device token.
    #[serde(borrow)]
    pub key: Text<'a>,
    /// `EMAIL`, `SMS`, `WHATSAPP`, `IOS_PUSH`, `ANDROID_PUSH`.
    #[serde(borrow, rename = "type")]
    pub kind: Text<'a>,
    /// `SUBSCRIBED`, `UNSUBSCRIBED`, `DID_NOT_SUBSCRIBE`.
    #[serde(borrow)]
    pub status: Text<'a>,
    /// States by topic.
    #[serde(borrow, default)]
    pub groups: Vec<MessagingGroup<'a>>,
}

/// One topic of a contact point.
#[derive(Debug, Deserialize)]
pub struct MessagingGroup<'a> {
    /// The topic.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// As of the contact point.
    #[serde(borrow)]
    pub status: Text<'a>,
}
