//! The policy report: what a privacy officer should mend in the workspace, worst first.
//!
//! Not the gate: nothing found here permits or refuses a use. Invariant: each finding says which document, what is
//! wrong, on what article, and what to do; the same workspace gives the same report.

use std::collections::BTreeMap;

use serde::Serialize;
use tessera_model::{
    ControllerDocument, DestinationDocument, DestinationName, Label, LegalBasis, PurposeDocument,
    SourceDocument, Workspace,
};

use crate::catalogue::{Catalogue, serves};
use crate::records::is_within;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// A duty is not met.
    High,
    /// A duty is likely not met, or cannot be shown to be.
    Medium,
    /// Untidy.
    Low,
}

impl Severity {
    /// In one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The kind of document: `Purpose`, `Source`, `Destination`, `Field`, `Controller`.
    pub kind: &'static str,
    /// Its name; for a controller that nobody declared, empty.
    pub name: String,
    /// A stable word for what is wrong: `no_notice`.
    pub rule: &'static str,
    /// What is wrong.
    pub what: &'static str,
    /// The article it stands on.
    pub article: &'static str,
    /// What to do.
    pub hint: &'static str,
}

/// What was seen in use, counted elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Deliveries by destination, since it is counted.
    pub deliveries: BTreeMap<DestinationName, u64>,
    /// Fields that profiles hold (`traits.email`), and in how many.
    pub fields: BTreeMap<String, u64>,
}

/// What a rule finds: severity, rule, what, article, hint.
type Rule = (Severity, &'static str, &'static str, &'static str, &'static str);

/// The report on `workspace` as it is used.
#[must_use]
pub fn policy_report(workspace: &Workspace, usage: &Usage) -> Vec<Finding> {
    let catalogue = Catalogue::of(workspace);
    let mut findings = Vec::new();
    let mut find = |kind, name: &str, rules: Vec<Rule>| {
        findings.extend(rules.into_iter().map(|(severity, rule, what, article, hint)| Finding {
            severity,
            kind,
            name: name.to_owned(),
            rule,
            what,
            article,
            hint,
        }));
    };
    find(
        "Controller",
        catalogue.controller.map_or("", |c| c.name.as_str()),
        controller(catalogue.controller),
    );
    for document in &catalogue.purposes {
        let mut rules = purpose(document);
        rules.extend(purpose_in_use(&catalogue, document));
        find("Purpose", document.name.as_str(), rules);
    }
    for document in &catalogue.sources {
        find("Source", document.name.as_str(), source(&catalogue, document));
    }
    for document in &catalogue.destinations {
        find("Destination", document.name.as_str(), destination(&catalogue, usage, document));
    }
    let is_labelled = |path: &&String| catalogue.fields.iter().any(|field| field.name.covers(path));
    for path in usage.fields.iter().filter(|(_, count)| **count > 0).map(|(path, _)| path) {
        if !is_labelled(&path) {
            find("Field", path, vec![NO_LABEL]);
        }
    }
    findings.sort();
    findings
}

const NO_LABEL: Rule = (
    Severity::Medium,
    "no_label",
    "is held by profiles and has no label",
    "GDPR Art. 5(1)(c), 9, 25",
    "declare a document `kind: Field` for it, or for `.*` above it: policies only see labels",
);

fn controller(controller: Option<&ControllerDocument>) -> Vec<Rule> {
    let Some(controller) = controller else {
        return vec![(
            Severity::High,
            "no_controller",
            "nobody is declared who answers for the processing",
            "GDPR Art. 13(1)(a), 30(1)(a)",
            "declare a document `kind: Controller`",
        )];
    };
    let mut rules = Vec::new();
    if controller.contact.is_empty() {
        rules.push((
            Severity::High,
            "no_contact",
            "has no contact",
            "GDPR Art. 13(1)(a)",
            "say where people write to",
        ));
    }
    if controller.privacy_url.is_empty() {
        rules.push((
            Severity::Medium,
            "no_privacy_url",
            "names no place where its privacy notice stands",
            "GDPR Art. 12(1), 13; 11 CCR 7011",
            "give `privacy_url`; receipts link to it",
        ));
    }
    if controller.withdrawal.is_empty() {
        rules.push((
            Severity::Medium,
            "no_withdrawal",
            "does not say how a consent is taken back",
            "GDPR Art. 7(3)",
            "give `withdrawal`; it must be as easy as giving",
        ));
    }
    if controller.officer.is_empty() {
        rules.push((
            Severity::Low,
            "no_officer",
            "names no data protection officer",
            "GDPR Art. 13(1)(b), 37; LGPD Art. 41",
            "give `officer`, unless none has to be designated",
        ));
    }
    rules
}

/// What a purpose says, or does not.
fn purpose(purpose: &PurposeDocument) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut find = |applies: bool, rule: Rule| rules.extend((applies && !purpose.retired).then_some(rule));
    find(purpose.notice.is_empty(), NO_NOTICE);
    find(purpose.retention_days.is_none(), NO_RETENTION);
    find(purpose.description.is_empty(), NO_DESCRIPTION);
    let is_consent = purpose.basis == LegalBasis::Consent;
    find(is_consent && purpose.consent_valid_days.is_none(), NO_VALIDITY);
    let is_explicit = is_consent && purpose.explicit;
    find(purpose.labels.contains(&Label::Special) && !is_explicit, SPECIAL_WITHOUT_EXPLICIT);
    let is_balanced = matches!(purpose.basis, LegalBasis::Consent | LegalBasis::LegitimateInterests);
    find(purpose.direct_marketing && !is_balanced, MARKETING_ON_OTHER_BASIS);
    find(purpose.sells_or_shares && purpose.minimum_age.is_none_or(|age| age < 16), SALE_OF_MINORS);
    rules
}

const NO_NOTICE: Rule = (
    Severity::High,
    "no_notice",
    "has no notice: nobody is told of it",
    "GDPR Art. 13, 14; 11 CCR 7012; LGPD Art. 9",
    "write `notice`, one text for each language",
);
const NO_RETENTION: Rule = (
    Severity::Medium,
    "no_retention",
    "does not say how long data is kept",
    "GDPR Art. 5(1)(e), 13(2)(a), 30(1)(f); Civ. Code 1798.100(a)(3)",
    "give `retention_days`",
);
const NO_DESCRIPTION: Rule = (
    Severity::Low,
    "no_description",
    "has a name and no description",
    "GDPR Art. 5(1)(b), 30(1)(b)",
    "say in `description` what is done, in a sentence that a stranger understands",
);
const NO_VALIDITY: Rule = (
    Severity::Low,
    "no_validity",
    "asks for consent that never runs out",
    "GDPR Art. 7; EDPB Guidelines 05/2020, section 5.2",
    "give `consent_valid_days`, so that people are asked again now and then",
);
const SPECIAL_WITHOUT_EXPLICIT: Rule = (
    Severity::High,
    "special_without_explicit_consent",
    "may use special categories without explicit consent",
    "GDPR Art. 9(2)(a); LGPD Art. 11(I)",
    "use basis `consent` with `explicit: true`, or write down which other ground of Art. 9(2) applies",
);
const MARKETING_ON_OTHER_BASIS: Rule = (
    Severity::Medium,
    "marketing_on_other_basis",
    "is direct marketing and rests on neither consent nor legitimate interests",
    "GDPR Art. 6(1), 21(2), recital 47",
    "split it: marketing is not necessary for a contract or an obligation",
);
const SALE_OF_MINORS: Rule = (
    Severity::Medium,
    "sale_of_minors",
    "sells or shares data without asking for an age of 16",
    "Civ. Code 1798.120(c)",
    "give `minimum_age: 16`, or show that those younger opt in",
);

/// Whether anybody serves or uses a purpose.
fn purpose_in_use(catalogue: &Catalogue<'_>, purpose: &PurposeDocument) -> Option<Rule> {
    let is_served = catalogue.sources_of(&purpose.name).next().is_some();
    let is_used = catalogue.destinations_of(&purpose.name).next().is_some();
    match (purpose.retired, is_served, is_used) {
        (false, false, false) => Some((
            Severity::Low,
            "not_used",
            "is declared, and no source or destination names it",
            "GDPR Art. 5(1)(b)",
            "remove it, or name it where it belongs",
        )),
        (false, false, true) => Some((
            Severity::Medium,
            "no_source",
            "has destinations and no source: nothing will ever be sent",
            "GDPR Art. 5(1)(b)",
            "name it in the sources whose data it needs",
        )),
        (false, true, _) | (true, _, _) => None,
    }
}

fn source(catalogue: &Catalogue<'_>, source: &SourceDocument) -> Vec<Rule> {
    let serves = serves(source);
    let is_known = |purpose: &&PurposeDocument| !purpose.retired && serves.contains(&purpose.name);
    let mut rules = Vec::new();
    if !catalogue.purposes.iter().any(is_known) {
        rules.push((
            Severity::High,
            "no_purpose",
            "serves no purpose in force: nothing it brings is kept",
            "GDPR Art. 5(1)(b), 6(1)",
            "name a purpose under `purposes`, or switch the source off",
        ));
    }
    if source.jurisdiction.is_none() {
        rules.push((
            Severity::Low,
            "no_jurisdiction",
            "does not say where the people live whose data it brings",
            "GDPR Art. 3",
            "give `jurisdiction`, so that purposes of one place are not used in another",
        ));
    }
    rules
}

fn destination(catalogue: &Catalogue<'_>, usage: &Usage, destination: &DestinationDocument) -> Vec<Rule> {
    let mut rules = Vec::new();
    if usage.deliveries.get(&destination.name).copied().unwrap_or_default() == 0 {
        rules.push((
            Severity::Low,
            "never_used",
            "never got a delivery",
            "GDPR Art. 5(1)(c)",
            "remove it, or look why nothing is permitted: `tessera evidence` and the count of denials say",
        ));
    }
    if destination.region.is_none() {
        rules.push((
            Severity::Medium,
            "no_region",
            "does not say where the receiver keeps the data",
            "GDPR Art. 13(1)(f), 30(1)(e), 44",
            "give `region`; the purpose must then name it under `regions`",
        ));
    }
    let purpose = catalogue.purposes.iter().find(|purpose| purpose.name == destination.purpose);
    if purpose.is_some_and(|purpose| purpose.retired) {
        rules.push((
            Severity::Low,
            "purpose_retired",
            "is for a purpose that is over: nothing is sent any more",
            "GDPR Art. 5(1)(b)",
            "remove it",
        ));
    }
    let abroad = |purpose: &&&PurposeDocument| {
        let region = destination.region.as_deref();
        !purpose.jurisdictions.is_empty()
            && region.is_some_and(|region| !is_within(region, &purpose.jurisdictions))
    };
    if purpose.as_ref().is_some_and(abroad) {
        rules.push((
            Severity::Low,
            "transfer",
            "keeps the data outside the jurisdictions of its purpose",
            "GDPR Art. 13(1)(f), 44-49; LGPD Art. 33",
            "state the safeguard in the records of processing, and tell people in the notice",
        ));
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::{SHOP, workspace};

    fn report(documents: &[&str], usage: &Usage) -> String {
        let line = |finding: Finding| {
            let Finding { severity, kind, name, rule, .. } = finding;
            format!("{} {kind} {name}: {rule}\n", severity.as_str())
        };
        policy_report(&workspace(documents), usage).into_iter().map(line).collect()
    }

    fn usage(deliveries: &[(&str, u64)], fields: &[(&str, u64)]) -> Usage {
        let name = |(name, count): &(&str, u64)| (DestinationName::parse(name).unwrap(), *count);
        Usage {
            deliveries: deliveries.iter().map(name).collect(),
            fields: fields.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect(),
        }
    }

    #[test]
    fn a_workspace_is_looked_through_worst_first() {
        let usage = usage(
            &[("mailer", 5), ("archive", 0)],
            &[("traits.email", 9), ("traits.diagnosis", 1), ("traits.gone", 0)],
        );
        insta::assert_snapshot!(report(&SHOP, &usage), @"
    high Purpose ads: no_notice
    medium Controller Shop & <Co>: no_privacy_url
    medium Controller Shop & <Co>: no_withdrawal
    medium Field traits.diagnosis: no_label
    medium Purpose ads: no_retention
    medium Purpose ads: sale_of_minors
    low Controller Shop & <Co>: no_officer
    low Destination archive: never_used
    low Destination mailer: transfer
    low Purpose ads: no_description
    low Source crm: no_jurisdiction
    low Source web: no_jurisdiction
    ");
    }

    #[test]
    fn a_workspace_in_order_has_nothing_to_mend() {
        let documents = [
            r#"{"kind": "Controller", "name": "Shop", "contact": "a@b.example", "officer": "c@b.example",
                "privacy_url": "https://b.example", "withdrawal": "https://b.example/p"}"#,
            r#"{"kind": "Purpose", "name": "news", "basis": "consent", "explicit": true, "description": "News.",
                "labels": ["special"], "regions": ["EU"], "notice": {"en": "News."}, "retention_days": 1, "consent_valid_days": 1}"#,
            r#"{"kind": "Source", "name": "web", "write_key": "webwebweb", "purposes": ["news"], "jurisdiction": "EU"}"#,
            r#"{"kind": "Destination", "name": "mailer", "type": "webhook", "purpose": "news", "region": "EU"}"#,
            r#"{"kind": "Field", "name": "traits.*", "labels": ["I1"]}"#,
        ];
        assert_eq!(report(&documents, &usage(&[("mailer", 1)], &[("traits.email", 1)])), "");
    }

    #[test]
    fn each_rule_of_a_purpose_can_fail() {
        let purpose = |rest: &str| {
            let document = format!(r#"{{"kind": "Purpose", "name": "p", "basis": "contract", {rest}}}"#);
            report(&[&document], &Usage::default())
        };
        for (rest, rule) in [
            (r#""labels": ["special"]"#, "high Purpose p: special_without_explicit_consent\n"),
            (r#""direct_marketing": true"#, "medium Purpose p: marketing_on_other_basis\n"),
            (r#""sells_or_shares": true, "minimum_age": 15"#, "medium Purpose p: sale_of_minors\n"),
            (r#""version": 1"#, "low Purpose p: not_used\n"),
            (r#""version": 1"#, "high Controller : no_controller\n"),
        ] {
            assert!(purpose(rest).contains(rule), "{rest}");
        }
        assert!(!purpose(r#""sells_or_shares": true, "minimum_age": 16"#).contains("sale_of_minors"));
        assert_eq!(purpose(r#""retired": true"#), "high Controller : no_controller\n");
    }

    #[test]
    fn what_serves_only_a_purpose_that_is_over_serves_none() {
        let documents = [
            r#"{"kind": "Purpose", "name": "old", "basis": "contract", "retired": true}"#,
            r#"{"kind": "Source", "name": "web", "write_key": "webwebweb", "purposes": ["old"]}"#,
            r#"{"kind": "Destination", "name": "mailer", "type": "webhook", "purpose": "old"}"#,
        ];
        let report = report(&documents, &Usage::default());
        assert!(report.contains("high Source web: no_purpose\n"));
        assert!(report.contains("low Destination mailer: purpose_retired\n"));
    }
}
