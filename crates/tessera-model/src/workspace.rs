//! The workspace: all documents together, and whether they agree.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tessera_contract::TrackingPlanDocument;

use crate::{
    DestinationDocument, Document, FieldDocument, IdentityDocument, NamespaceDocument, Normalise, OFFICE,
    PolicyDocument, PurposeDocument, PurposeName, SourceDocument,
};

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

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut keys: BTreeMap<&str, &str> = BTreeMap::new();
        for document in self.documents() {
            match document {
                Document::Purpose(purpose) => problems.extend(purpose_problems(document, purpose)),
                Document::Source(source) => {
                    if let Some(other) = keys.insert(source.write_key.reveal(), source.name.as_str()) {
                        let what = format!("is also the write key of source `{other}`");
                        problems.push(Problem::new(document, "write_key", what, "give each source its own"));
                    }
                    problems.extend(self.source_problems(document, source));
                }
                Document::Namespace(namespace) => problems.extend(namespace_problems(document, namespace)),
                Document::Destination(destination) => {
                    problems.extend(self.destination_problems(document, destination));
                }
                Document::Policy(policy) => problems.extend(self.policy_problems(document, policy)),
                Document::Field(field) => problems.extend(self.field_problems(document, field)),
                Document::Controller(_)
                    if self.documents().filter(|d| d.kind() == "Controller").count() > 1 =>
                {
                    let hint = "keep one: an installation has one controller";
                    problems.push(Problem::new(document, "kind", "there is more than one controller", hint));
                }
                Document::TrackingPlan(plan) => problems.extend(self.plan_problems(document, plan)),
                Document::Identity(identity) => problems.extend(self.identity_problems(document, identity)),
                Document::Matcher(matcher) => {
                    problems.extend(matcher.problems(document));
                    problems.extend(self.missing_purpose(document, "purpose", &matcher.purpose));
                }
                Document::GroupType(group_type) => problems.extend(group_type.problems(document, self)),
                Document::Audience(audience) => {
                    problems.extend(self.missing_purpose(document, "purpose", &audience.purpose));
                }
                Document::ComputedTrait(computed) => {
                    problems.extend(self.missing_purpose(document, "purpose", &computed.purpose));
                }
                Document::Controller(_) => {}
            }
        }
        problems
    }

    fn field_problems(&self, document: &Document, field: &FieldDocument) -> Vec<Problem> {
        match &field.survivorship {
            Some(survivorship) => self.survivorship_problems(document, &field.name, survivorship),
            None if field.labels.is_empty() => {
                let hint = "name at least one label, or a rule of survivorship";
                vec![Problem::new(document, "labels", "says nothing", hint)]
            }
            None => Vec::new(),
        }
    }

    fn source_problems(&self, document: &Document, source: &SourceDocument) -> Vec<Problem> {
        let mut problems = Vec::new();
        if source.name.as_str() == OFFICE {
            let hint = "choose another name: this one is for the words of officers and requests";
            problems.push(Problem::new(document, "name", "is taken", hint));
        }
        let key = source.write_key.reveal();
        if key.len() < 8 || !key.bytes().all(|b| b.is_ascii_graphic() && b != b':') {
            let hint = "use at least 8 letters and digits, without spaces and colons";
            problems.push(Problem::new(document, "write_key", "is too short or has odd characters", hint));
        }
        if source.purposes.is_empty() {
            let hint = "name at least one purpose: data without a purpose may not be kept";
            problems.push(Problem::new(document, "purposes", "is empty", hint));
        }
        let tcf = source.tcf.iter().flat_map(|tcf| tcf.purposes.values());
        for purpose in source.purposes.iter().chain(source.consent.values()).chain(tcf) {
            problems.extend(self.missing_purpose(document, "purposes", purpose));
        }
        for (event, purposes) in &source.events {
            for purpose in purposes.iter().filter(|purpose| !source.purposes.contains(purpose)) {
                let what = format!("`{event}` serves `{purpose}`, which is not among the source's purposes");
                problems.push(Problem::new(document, "events", what, "add it to `purposes` as well"));
            }
        }
        if let Some(path) = source.purposes_from.as_ref().filter(|path| !leads_into_an_event(path)) {
            let hint = "a path starts with traits., properties. or context.";
            problems.push(Problem::new(document, "purposes_from", format!("`{path}` leads nowhere"), hint));
        }
        for name in &source.purposes {
            let Some(Document::Purpose(purpose)) = self.get("Purpose", name.as_str()) else { continue };
            let is_outside = source.jurisdiction.as_ref().is_some_and(|place| {
                !purpose.jurisdictions.is_empty() && !purpose.jurisdictions.contains(place)
            });
            if is_outside {
                let what = format!("purpose `{name}` does not serve the source's jurisdiction");
                let hint = "add the jurisdiction to a new version of the purpose, or take another purpose";
                problems.push(Problem::new(document, "purposes", what, hint));
            }
            if !purpose.categories.is_empty() && !purpose.categories.contains(&source.category) {
                let what = format!("purpose `{name}` may not use the source's category of data");
                let hint = "add the category to a new version of the purpose, or take another purpose";
                problems.push(Problem::new(document, "purposes", what, hint));
            }
        }
        problems
    }

    fn destination_problems(&self, document: &Document, destination: &DestinationDocument) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            self.missing_purpose(document, "purpose", &destination.purpose).into_iter().collect();
        if let (Some(region), Some(Document::Purpose(purpose))) =
            (&destination.region, self.get("Purpose", destination.purpose.as_str()))
            && !purpose.regions.contains(region)
        {
            let what = format!("purpose `{}` does not cover a transfer to `{region}`", purpose.name);
            let hint = "add the region to `regions` of a new version of the purpose, or send elsewhere";
            problems.push(Problem::new(document, "region", what, hint));
        }
        if destination.alerts && destination.connector != "webhook" {
            let what = format!("a destination of type `{}` takes no alerts", destination.connector);
            problems.push(Problem::new(document, "alerts", what, "use one of type `webhook`"));
        }
        problems
    }

    fn policy_problems(&self, document: &Document, policy: &PolicyDocument) -> Vec<Problem> {
        let mut problems = Vec::new();
        if policy.labels.is_empty() {
            problems.push(Problem::new(document, "labels", "is empty", "name at least one label"));
        }
        for name in &policy.destinations {
            if self.get("Destination", name.as_str()).is_none() {
                let what = format!("destination `{name}` is not declared");
                problems.push(Problem::new(document, "destinations", what, "declare it, or leave it out"));
            }
        }
        problems
    }

    /// What is wrong with the plan itself shows when it is compiled.
    fn plan_problems(&self, document: &Document, plan: &TrackingPlanDocument) -> Vec<Problem> {
        let mut problems = Vec::new();
        for source in &plan.sources {
            if self.get("Source", source).is_none() {
                let what = format!("source `{source}` is not declared");
                problems.push(Problem::new(document, "sources", what, "declare it, or leave it out"));
            }
            let plans = self.documents().filter_map(|other| {
                if let Document::TrackingPlan(other) = other { Some(other) } else { None }
            });
            let mut before = plans.filter(|other| other.name < plan.name);
            if let Some(other) = before.find(|other| other.sources.contains(source)) {
                let other = &other.name;
                let what = format!("source `{source}` has the plan `{other}` already");
                problems.push(Problem::new(document, "sources", what, "a source has one plan: join the two"));
            }
        }
        problems
    }

    fn identity_problems(&self, document: &Document, identity: &IdentityDocument) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.documents().filter(|d| d.kind() == "Identity").count() > 1 {
            let hint = "keep one: all people are told from each other by the same rules";
            problems.push(Problem::new(document, "kind", "there is more than one Identity document", hint));
        }
        for name in &identity.anonymous {
            let is_built_in = NamespaceDocument::built_in().iter().any(|built_in| built_in.name == *name);
            if !is_built_in && self.get("Namespace", name.as_str()).is_none() {
                let what = format!("namespace `{name}` is not declared");
                problems.push(Problem::new(document, "anonymous", what, "declare it, or leave it out"));
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

fn leads_into_an_event(path: &str) -> bool {
    ["traits.", "properties.", "context."].iter().any(|root| path.starts_with(root))
}

fn purpose_problems(document: &Document, purpose: &PurposeDocument) -> Vec<Problem> {
    let mut problems = Vec::new();
    if purpose.version == 0 {
        problems.push(Problem::new(document, "version", "is 0", "versions start at 1"));
    }
    if purpose.reconsent.is_some_and(|reconsent| reconsent.version > purpose.version) {
        let hint = "name this version or an earlier one";
        problems.push(Problem::new(document, "reconsent", "asks for a version that does not exist", hint));
    }
    problems
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
    if namespace.name.as_str().ends_with(crate::HASHED_SUFFIX) {
        let hint =
            "declare the namespace without the ending: hashes of its values are understood as they are";
        problems.push(Problem::new(document, "name", "`_sha256` is the ending of hashed namespaces", hint));
    }
    for path in &namespace.from {
        if !leads_into_an_event(path) {
            let hint = "a path starts with traits., properties. or context.";
            problems.push(Problem::new(document, "from", format!("`{path}` leads nowhere"), hint));
        }
    }
    let is_asked = |field: &'static str, is_set: bool, how: Normalise, word: &str| {
        let is_idle = is_set && namespace.normalise != how;
        is_idle.then(|| {
            Problem::new(
                document,
                field,
                format!("means nothing without `normalise: {word}`"),
                "remove it, or normalise so",
            )
        })
    };
    let strips = !(namespace.plus_tags.is_kept() && namespace.dots.is_kept());
    problems.extend(is_asked("plus_tags", strips, Normalise::Email, "email"));
    problems.extend(is_asked(
        "default_region",
        namespace.default_region.is_some(),
        Normalise::Phone,
        "phone",
    ));
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
