//! The documents of a workspace: what people write in YAML, keep in git, apply, compare and export.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use tessera_contract::TrackingPlanDocument;

use crate::{
    AudienceDocument, ComputedTraitDocument, DestinationName, FieldPath, GroupTypeDocument, IdentityDocument,
    Label, MailboxRules, MatcherDocument, Namespace, Normalise, Normaliser, Part, PurposeName, Region,
    SharedAfter, SourceName, Survivorship, Timestamp, Window,
};

/// The six legal bases of GDPR Art. 6(1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LegalBasis {
    /// Art. 6(1)(a): the person agreed.
    Consent,
    /// Art. 6(1)(b): needed to perform a contract with the person.
    Contract,
    /// Art. 6(1)(c): the law demands it.
    LegalObligation,
    /// Art. 6(1)(d): a life depends on it.
    VitalInterests,
    /// Art. 6(1)(e): a task in the public interest.
    PublicTask,
    /// Art. 6(1)(f): a legitimate interest that outweighs the person's.
    LegitimateInterests,
}

impl LegalBasis {
    /// Its name in the workspace: `legitimate_interests`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Contract => "contract",
            Self::LegalObligation => "legal_obligation",
            Self::VitalInterests => "vital_interests",
            Self::PublicTask => "public_task",
            Self::LegitimateInterests => "legitimate_interests",
        }
    }
}

/// Who the data comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The person said it, knowing why.
    Zero,
    /// The business saw it itself.
    #[default]
    First,
    /// A partner's first-party data.
    Second,
    /// Bought.
    Third,
}

/// What kind of data a source brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words of the field, each its own explanation")]
pub enum DataCategory {
    Identity,
    Contact,
    Demographic,
    Transactional,
    #[default]
    Behavioural,
    Social,
    Feedback,
    Attitude,
    Loyalty,
    Experience,
}

/// A text that never shows itself in logs. It does show in `export`, which needs the admin token.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself: for signing and comparing only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

macro_rules! kind {
    ($name:ident, $variant:ident) => {
        #[doc = concat!("`kind: ", stringify!($variant), "`.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
        pub enum $name {
            #[doc = concat!("`", stringify!($variant), "`")]
            #[default]
            $variant,
        }
    };
}
kind!(PurposeKind, Purpose);
kind!(SourceKind, Source);
kind!(NamespaceKind, Namespace);
kind!(DestinationKind, Destination);
kind!(FieldKind, Field);
kind!(PolicyKind, Policy);
kind!(ControllerKind, Controller);
kind!(MatcherKind, Matcher);
kind!(GroupTypeKind, GroupType);
kind!(AudienceKind, Audience);
kind!(ComputedTraitKind, ComputedTrait);

/// Why data is processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeDocument {
    /// `Purpose`.
    pub kind: PurposeKind,
    /// Its name.
    pub name: PurposeName,
    /// Raised whenever the purpose changes in what a person was told; nothing may be widened without it.
    #[serde(default = "one")]
    pub version: u32,
    /// Exactly one legal basis.
    pub basis: LegalBasis,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What the person is told, by language.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notice: BTreeMap<String, String>,
    /// Where it applies (`EU`, `US-CA`, `BR`); empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jurisdictions: Vec<String>,
    /// The categories of data it may use; empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub categories: BTreeSet<DataCategory>,
    /// The labels it may use; empty: all but `special` (GDPR Art. 9), which it must name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<Label>,
    /// The regions that data may be sent to for it (`EU`, `US`); empty: none but those of destinations without one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub regions: BTreeSet<String>,
    /// How long data may be kept for it, in days after the event; absent: until the purpose ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// How long a consent is good for, in days; absent: until withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_valid_days: Option<u32>,
    /// Whether only an explicit yes counts.
    #[serde(default, skip_serializing_if = "is_false")]
    pub explicit: bool,
    /// From when on a yes to an older version counts no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconsent: Option<Reconsent>,
    /// The age in years that a person must have; needs a birth date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_age: Option<u8>,
    /// Whether it is direct marketing: an objection is final (GDPR Art. 21(3)).
    #[serde(default, skip_serializing_if = "is_false")]
    pub direct_marketing: bool,
    /// Whether it sells or shares data in the sense of CCPA: `Sec-GPC: 1` and opt-outs end it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sells_or_shares: bool,
    /// Whether it is over: it permits nothing, and its data is removed on schedule.
    #[serde(default, skip_serializing_if = "is_false")]
    pub retired: bool,
}

/// When people must be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reconsent {
    /// A yes to an older version than this ...
    pub version: u32,
    /// ... counts no more from this moment on.
    #[serde(
        serialize_with = "Timestamp::serialize_rfc3339",
        deserialize_with = "Timestamp::deserialize_rfc3339"
    )]
    pub cutoff: Timestamp,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Where data comes from, and why it may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDocument {
    /// `Source`.
    pub kind: SourceKind,
    /// Its name.
    pub name: SourceName,
    /// What its clients send as write key: at least 8 characters. It can only write.
    pub write_key: Secret,
    /// The purposes its data serves. Without a valid one an event joins no profile.
    pub purposes: BTreeSet<PurposeName>,
    /// Consent categories as the source's consent tool names them, and the purpose each stands for. A category
    /// named like a purpose needs no line.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub consent: BTreeMap<String, PurposeName>,
    /// Zero-, first-, second- or third-party data.
    #[serde(default)]
    pub party: Party,
    /// What kind of data it brings.
    #[serde(default)]
    pub category: DataCategory,
    /// Purposes by call (`identify`) or event name (`Order Completed`), where they differ from `purposes`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub events: BTreeMap<String, BTreeSet<PurposeName>>,
    /// Where the payload itself names its purposes: `properties.purposes`. They narrow the declared ones, never widen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purposes_from: Option<String>,
    /// Where the people live whose data it brings (`EU`, `US-CA`, `BR`); absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jurisdiction: Option<String>,
    /// The country in which its telephone numbers without a country code are dialled; absent: the namespace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<Region>,
    /// What an IAB TCF string says about purposes: the TCF purpose's number, and the purpose it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcf: Option<TcfMapping>,
}

/// How a TCF string is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcfMapping {
    /// Our number in the global vendor list; absent: only the purposes count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<u16>,
    /// TCF purposes 1 to 24, and the purpose each stands for.
    pub purposes: BTreeMap<u8, PurposeName>,
}

/// A kind of identifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamespaceDocument {
    /// `Namespace`.
    pub kind: NamespaceKind,
    /// Its name.
    pub name: Namespace,
    /// Smaller is stronger. Built in: `user_id` 10, `email` 20, `phone` 30, `anonymous_id` 1000.
    #[serde(default = "hundred")]
    pub priority: u16,
    /// Most identifiers of it in one profile.
    #[serde(default = "five")]
    pub limit: u16,
    /// In what time the limit counts: `ever`, or any `daily`, `weekly`, `monthly` or `annually` span, by when each
    /// identifier was first seen.
    #[serde(default, skip_serializing_if = "Window::is_ever")]
    pub window: Window,
    /// With how many people a value may stand, by identifiers at least as strong; with more it is shared, and holds no two
    /// people together. A number, or `never`.
    #[serde(default)]
    pub shared_after: SharedAfter,
    /// How values are normalised.
    #[serde(default)]
    pub normalise: Normalise,
    /// Of `email`: whether tags (`ada+shop@`) are taken off at providers known to have them.
    #[serde(default, skip_serializing_if = "Part::is_kept")]
    pub plus_tags: Part,
    /// Of `email`: whether dots are taken out at providers known to ignore them.
    #[serde(default, skip_serializing_if = "Part::is_kept")]
    pub dots: Part,
    /// Of `phone`: the country in which numbers without a country code are dialled; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<Region>,
    /// Where events carry it, beyond `context.externalIds`: `traits.email`, `properties.loyalty_card`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Regular expressions of values that say nothing, besides the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<String>,
    /// Values that say nothing, as they are: `test@test.com`. Their hashes say nothing either.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub blocked_values: BTreeSet<String>,
}

const fn hundred() -> u16 {
    100
}

const fn five() -> u16 {
    5
}

impl NamespaceDocument {
    /// How its values are normalised.
    #[must_use]
    pub fn normaliser(&self) -> Normaliser {
        let mailbox =
            MailboxRules { strip_tags: self.plus_tags == Part::Strip, strip_dots: self.dots == Part::Strip };
        Normaliser { how: self.normalise, mailbox, region: self.default_region }
    }

    /// The namespaces every workspace has.
    #[must_use]
    pub fn built_in() -> Vec<Self> {
        let built_in = |name: &str, priority, limit, normalise, from: &[&str]| {
            Some(Self {
                kind: NamespaceKind::Namespace,
                name: Namespace::parse(name).ok()?,
                priority,
                limit,
                window: Window::Ever,
                shared_after: SharedAfter::default(),
                normalise,
                plus_tags: Part::Keep,
                dots: Part::Keep,
                default_region: None,
                from: from.iter().map(|path| (*path).to_owned()).collect(),
                blocked: Vec::new(),
                blocked_values: BTreeSet::new(),
            })
        };
        [
            built_in("user_id", 10, 1, Normalise::Exact, &[]),
            built_in("email", 20, 5, Normalise::Email, &["traits.email", "context.traits.email"]),
            built_in("phone", 30, 5, Normalise::Phone, &["traits.phone", "context.traits.phone"]),
            // A person has more browsers and devices over the years than Segment's 5.
            built_in("anonymous_id", 1000, 100, Normalise::Exact, &[]),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Where data goes, and why it may.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationDocument {
    /// `Destination`.
    pub kind: DestinationKind,
    /// Its name.
    pub name: DestinationName,
    /// Which connector: `webhook` or `jsonl`.
    #[serde(rename = "type")]
    pub connector: String,
    /// The one purpose that deliveries serve. The gate is asked for each person at the moment of sending.
    pub purpose: PurposeName,
    /// Calls (`identify`) or event names (`Order Completed`) to send; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// The connector's own settings.
    #[serde(default)]
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Where the receiver keeps the data (`EU`, `US`). A purpose must name it under `regions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What the receiver does with the data (`email_targeting`, `analytics`): policies speak of it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub uses: BTreeSet<String>,
    /// The fields to send (`traits.email`, `properties.*`); empty: all.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub fields: BTreeSet<FieldPath>,
    /// Fields not to send.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub except: BTreeSet<FieldPath>,
    /// The channel that deliveries lead to (`email`, `sms`): people whose contact points are unsubscribed from it are
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Whether it gets the alerts of tracking plans, which name nobody, and no events.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alerts: bool,
}

/// What kind of data a field holds, and which word on it survives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldDocument {
    /// `Field`.
    pub kind: FieldKind,
    /// Its path: `traits.diagnosis`, `context.location.*`.
    pub name: FieldPath,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub labels: BTreeSet<Label>,
    /// Of a trait: which of several sources' words is the profile's; absent: what a wider path says, or the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survivorship: Option<Survivorship>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// A use that is forbidden, whatever the purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocument {
    /// `Policy`.
    pub kind: PolicyKind,
    /// Its name.
    pub name: String,
    /// Fields with any of these labels ...
    pub labels: BTreeSet<Label>,
    /// ... may not be used so (empty: in no way) ...
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub uses: BTreeSet<String>,
    /// ... by these destinations (empty: by none).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub destinations: BTreeSet<DestinationName>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Who answers for the processing: named in receipts, notices and records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControllerDocument {
    /// `Controller`.
    pub kind: ControllerKind,
    /// The name of the business.
    pub name: String,
    /// Its address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Where people write to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub contact: String,
    /// The data protection officer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub officer: String,
    /// The representative in the EU (Art. 27).
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub representative: String,
    /// Where the privacy notice stands.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub privacy_url: String,
    /// How a consent is taken back.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub withdrawal: String,
    /// Days on which nobody works, besides Saturdays and Sundays: `2026-12-25`. Clocks of requests count them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub holidays: BTreeSet<String>,
}

/// One document of the workspace.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Document {
    /// `kind: Purpose`.
    Purpose(PurposeDocument),
    /// `kind: Source`.
    Source(SourceDocument),
    /// `kind: Namespace`.
    Namespace(NamespaceDocument),
    /// `kind: Destination`.
    Destination(DestinationDocument),
    /// `kind: Field`.
    Field(FieldDocument),
    /// `kind: Policy`.
    Policy(PolicyDocument),
    /// `kind: Controller`.
    Controller(ControllerDocument),
    /// `kind: TrackingPlan`.
    TrackingPlan(TrackingPlanDocument),
    /// `kind: Identity`.
    Identity(IdentityDocument),
    /// `kind: Matcher`.
    Matcher(MatcherDocument),
    /// `kind: GroupType`.
    GroupType(GroupTypeDocument),
    /// `kind: Audience`.
    Audience(AudienceDocument),
    /// `kind: ComputedTrait`.
    ComputedTrait(ComputedTraitDocument),
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        // Not `untagged`: its errors say only that no variant matched.
        let value = serde_json::Value::deserialize(deserializer)?;
        let kind = value.get("kind").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "Purpose" => serde_json::from_value(value).map(Self::Purpose),
            "Source" => serde_json::from_value(value).map(Self::Source),
            "Namespace" => serde_json::from_value(value).map(Self::Namespace),
            "Destination" => serde_json::from_value(value).map(Self::Destination),
            "Field" => serde_json::from_value(value).map(Self::Field),
            "Policy" => serde_json::from_value(value).map(Self::Policy),
            "Controller" => serde_json::from_value(value).map(Self::Controller),
            "TrackingPlan" => serde_json::from_value(value).map(Self::TrackingPlan),
            "Identity" => serde_json::from_value(value).map(Self::Identity),
            "Matcher" => serde_json::from_value(value).map(Self::Matcher),
            "GroupType" => serde_json::from_value(value).map(Self::GroupType),
            "Audience" => serde_json::from_value(value).map(Self::Audience),
            "ComputedTrait" => serde_json::from_value(value).map(Self::ComputedTrait),
            other => {
                return Err(D::Error::custom(format!(
                    "kind `{other}` is not one of Purpose, Source, Namespace, Destination, Field, Policy, Controller, TrackingPlan, Identity, Matcher, GroupType, Audience, ComputedTrait"
                )));
            }
        }
        .map_err(|e| D::Error::custom(format!("{kind}: {e}")))
    }
}

impl Document {
    /// Its kind, as in YAML.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Purpose(_) => "Purpose",
            Self::Source(_) => "Source",
            Self::Namespace(_) => "Namespace",
            Self::Destination(_) => "Destination",
            Self::Field(_) => "Field",
            Self::Policy(_) => "Policy",
            Self::Controller(_) => "Controller",
            Self::TrackingPlan(_) => "TrackingPlan",
            Self::Identity(_) => "Identity",
            Self::Matcher(_) => "Matcher",
            Self::GroupType(_) => "GroupType",
            Self::Audience(_) => "Audience",
            Self::ComputedTrait(_) => "ComputedTrait",
        }
    }

    /// Its name, unique within its kind.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Purpose(document) => document.name.as_str(),
            Self::Source(document) => document.name.as_str(),
            Self::Namespace(document) => document.name.as_str(),
            Self::Destination(document) => document.name.as_str(),
            Self::Field(document) => document.name.as_str(),
            Self::Policy(document) => &document.name,
            Self::Controller(document) => &document.name,
            Self::TrackingPlan(document) => &document.name,
            Self::Identity(document) => &document.name,
            Self::Matcher(document) => document.name.as_str(),
            Self::GroupType(document) => document.name.as_str(),
            Self::Audience(document) => document.name.as_str(),
            Self::ComputedTrait(document) => document.name.as_str(),
        }
    }
}
