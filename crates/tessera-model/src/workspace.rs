//! The workspace as documents: what people write in YAML, keep in git, apply, compare and export.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{DestinationName, Namespace, Normalise, PurposeName, SourceName};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
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

/// Why data is processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeDocument {
    /// `Purpose`.
    pub kind: PurposeKind,
    /// Its name.
    pub name: PurposeName,
    /// Raised whenever the notice or the basis changes; a basis cannot change without it.
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
    /// Where it applies; empty: everywhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jurisdictions: Vec<String>,
    /// How long data may be kept for it, in days; absent: until the purpose ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// How long a consent is good for, in days; absent: until withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent_valid_days: Option<u32>,
}

const fn one() -> u32 {
    1
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
    /// How values are normalised.
    #[serde(default)]
    pub normalise: Normalise,
    /// Where events carry it, beyond `context.externalIds`: `traits.email`, `properties.loyalty_card`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Regular expressions of values that say nothing, besides the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<String>,
}

const fn hundred() -> u16 {
    100
}

const fn five() -> u16 {
    5
}

impl NamespaceDocument {
    /// The namespaces every workspace has.
    #[must_use]
    pub fn built_in() -> Vec<Self> {
        let built_in = |name: &str, priority, limit, normalise, from: &[&str]| {
            Some(Self {
                kind: NamespaceKind::Namespace,
                name: Namespace::parse(name).ok()?,
                priority,
                limit,
                normalise,
                from: from.iter().map(|path| (*path).to_owned()).collect(),
                blocked: Vec::new(),
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
            other => {
                return Err(D::Error::custom(format!(
                    "kind `{other}` is not one of Purpose, Source, Namespace, Destination"
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
        }
    }
}

/// Something wrong with a document: which, where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind} `{name}`: {field}: {what}")]
pub struct Problem {
    /// The document's kind.
    pub kind: String,
    /// The document's name.
    pub name: String,
    /// The field.
    pub field: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Problem {
    /// The stable code; it has a page in `docs/reference/errors`.
    pub const CODE: &'static str = "TES-W001";

    /// A problem of `field` in `document`.
    #[must_use]
    pub fn new(document: &Document, field: &str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            kind: document.kind().to_owned(),
            name: document.name().to_owned(),
            field: field.to_owned(),
            what: what.into(),
            hint: hint.into(),
        }
    }
}

/// All documents, by kind and name. Invariant (from [`Workspace::new`]): references lead somewhere, names and
/// write keys are unique, patterns compile.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workspace {
    documents: BTreeMap<(&'static str, String), Document>,
}

impl Workspace {
    /// Checks `documents` as a whole.
    ///
    /// # Errors
    /// Every problem found, not only the first.
    pub fn new(documents: impl IntoIterator<Item = Document>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut workspace = Self::default();
        for document in documents {
            let key = (document.kind(), document.name().to_owned());
            if let Some(twice) = workspace.documents.insert(key, document) {
                problems.push(Problem::new(&twice, "name", "given twice", "remove one of the two documents"));
            }
        }
        problems.extend(workspace.problems());
        if problems.is_empty() { Ok(workspace) } else { Err(problems) }
    }

    /// The documents, ordered by kind and name.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        self.documents.values()
    }

    /// The document of that kind and name.
    #[must_use]
    pub fn get(&self, kind: &str, name: &str) -> Option<&Document> {
        self.documents.values().find(|document| document.kind() == kind && document.name() == name)
    }

    /// What would change if this workspace took the place of `old`, and whether it may: a purpose's basis is
    /// chosen before processing starts and is not swapped under the same version.
    ///
    /// # Errors
    /// Every change that is refused.
    pub fn check_change_from(&self, old: &Self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        for document in self.documents() {
            let (Document::Purpose(new), Some(Document::Purpose(old))) =
                (document, old.get(document.kind(), document.name()))
            else {
                continue;
            };
            if new.version < old.version {
                let what = format!("{} is older than the version applied, {}", new.version, old.version);
                problems.push(Problem::new(document, "version", what, "keep or raise the version"));
            }
            if new.basis != old.basis && new.version <= old.version {
                let what = format!(
                    "cannot change from {:?} to {:?} within version {}",
                    old.basis, new.basis, new.version
                );
                problems.push(Problem::new(
                    document,
                    "basis",
                    what,
                    "raise `version`, which asks people anew",
                ));
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
        for document in self.documents() {
            match document {
                Document::Purpose(purpose) => {
                    if purpose.version == 0 {
                        problems.push(Problem::new(document, "version", "is 0", "versions start at 1"));
                    }
                }
                Document::Source(source) => {
                    let key = source.write_key.reveal();
                    if key.len() < 8 || !key.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
                        let hint = "use at least 8 letters and digits, without spaces and colons";
                        problems.push(Problem::new(
                            document,
                            "write_key",
                            "is too short or has odd characters",
                            hint,
                        ));
                    }
                    if let Some(other) = keys.insert(key, source.name.as_str()) {
                        let what = format!("is also the write key of source `{other}`");
                        problems.push(Problem::new(document, "write_key", what, "give each source its own"));
                    }
                    if source.purposes.is_empty() {
                        let hint = "name at least one purpose: data without a purpose may not be kept";
                        problems.push(Problem::new(document, "purposes", "is empty", hint));
                    }
                    for purpose in source.purposes.iter().chain(source.consent.values()) {
                        problems.extend(self.missing_purpose(document, "purposes", purpose));
                    }
                }
                Document::Namespace(namespace) => problems.extend(namespace_problems(document, namespace)),
                Document::Destination(destination) => {
                    problems.extend(self.missing_purpose(document, "purpose", &destination.purpose));
                }
            }
        }
        problems
    }

    fn missing_purpose(&self, document: &Document, field: &str, purpose: &PurposeName) -> Option<Problem> {
        if self.get("Purpose", purpose.as_str()).is_some() {
            return None;
        }
        let known: Vec<_> =
            self.documents().filter(|d| d.kind() == "Purpose").map(|d| d.name().to_owned()).collect();
        let hint = if known.is_empty() {
            "no purpose is declared yet: add a document with `kind: Purpose`".to_owned()
        } else {
            format!("declare it, or use one of: {}", known.join(", "))
        };
        Some(Problem::new(document, field, format!("purpose `{purpose}` is not declared"), hint))
    }
}

fn namespace_problems(document: &Document, namespace: &NamespaceDocument) -> Vec<Problem> {
    let mut problems = Vec::new();
    if namespace.limit == 0 {
        problems.push(Problem::new(
            document,
            "limit",
            "is 0",
            "a profile needs at least 1; remove the namespace instead",
        ));
    }
    if namespace.name.as_str() == crate::NamespaceRules::ACCOUNT {
        let hint = "choose another name: accounts have their own graph";
        problems.push(Problem::new(document, "name", "`account_id` is the namespace of accounts", hint));
    }
    for path in &namespace.from {
        let known = ["traits.", "properties.", "context."].iter().any(|root| path.starts_with(root));
        if !known {
            let hint = "a path starts with traits., properties. or context.";
            problems.push(Problem::new(document, "from", format!("`{path}` leads nowhere"), hint));
        }
    }
    for pattern in &namespace.blocked {
        if let Err(error) = regex::Regex::new(pattern) {
            let what = format!("`{pattern}` is not a regular expression: {error}");
            problems.push(Problem::new(
                document,
                "blocked",
                what,
                "escape special characters with a backslash",
            ));
        }
    }
    problems
}
