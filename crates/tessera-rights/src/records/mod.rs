//! Records of processing activities, made from the workspace (GDPR Art. 30(1), LGPD Art. 37).
//!
//! Not a promise: the records say what is declared, and what nobody declared they call undeclared. Invariant: one
//! activity for each purpose, in the order of their names. Reference: GDPR Art. 30; CNIL's model of a register.

mod render;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tessera_model::{LegalBasis, PurposeDocument, Timestamp, Workspace};

pub use render::{html, markdown};

use crate::basis::basis_names;
use crate::catalogue::Catalogue;
use crate::receipt::category_name;
use crate::request::rfc3339;

/// What Tessera itself does for security (Art. 30(1)(g), 32(1)).
pub const SECURITY_MEASURES: [&str; 7] = [
    "Data is kept and used only for purposes whose legal basis holds at that moment; anything else is refused.",
    "Named accounts with roles; each sees only the fields and purposes granted to it.",
    "Every read of a person's data through the interfaces is recorded before it is answered, every other request after.",
    "Every field that leaves is recorded in a hash-chained ledger with signed checkpoints, before it leaves.",
    "Secrets of the workspace are encrypted at rest; passwords and tokens of accounts are kept as hashes only.",
    "Transport is encrypted where TLS is switched on.",
    "Data is removed on schedule when its last purpose ends, and from every file when a person asks and the law agrees.",
];

/// What the workspace does not say and a register must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supplement {
    /// Categories of data subjects: customers, readers, staff.
    pub data_subjects: Vec<String>,
    /// What protects data that goes to a region: an adequacy decision, standard contractual clauses.
    pub safeguards: BTreeMap<String, String>,
    /// Measures beyond [`SECURITY_MEASURES`].
    pub security: Vec<String>,
    /// Where Tessera stores the data.
    pub storage_locations: Vec<String>,
}

/// The register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordsOfProcessing {
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub made_at: Timestamp,
    /// Who answers for the processing.
    pub controller: ControllerRecord,
    /// One for each purpose.
    pub activities: Vec<Activity>,
    /// What protects the data.
    pub security: Vec<String>,
    /// Where it is stored.
    pub storage_locations: Vec<String>,
}

/// Who answers for the processing (Art. 30(1)(a)); empty where nobody said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ControllerRecord {
    /// The name.
    pub name: String,
    /// The address.
    pub address: String,
    /// Where to write to.
    pub contact: String,
    /// The data protection officer.
    pub officer: String,
    /// The representative in the EU.
    pub representative: String,
}

/// One processing activity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    /// The purpose's name.
    pub purpose: String,
    /// Its version.
    pub version: u32,
    /// In words.
    pub description: String,
    /// Whether it is over.
    pub is_retired: bool,
    /// The legal basis.
    pub basis: LegalBasis,
    /// Its article in the GDPR.
    pub basis_gdpr: &'static str,
    /// The nearest of LGPD's bases.
    pub basis_lgpd: &'static str,
    /// What it means under the CCPA.
    pub basis_ccpa: String,
    /// Where it applies; empty: everywhere.
    pub jurisdictions: Vec<String>,
    /// Whose data (Art. 30(1)(c)).
    pub data_subjects: Vec<String>,
    /// What data.
    pub data_categories: Vec<&'static str>,
    /// The labels it may use.
    pub labels: Vec<&'static str>,
    /// Where the data comes from.
    pub sources: Vec<String>,
    /// Who gets it (Art. 30(1)(d)).
    pub recipients: Vec<Recipient>,
    /// How long it is kept (Art. 30(1)(f)).
    pub retention: String,
    /// How long a consent is good for, where consent is the basis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent_validity: Option<String>,
    /// The languages that people are told in.
    pub notice_languages: Vec<String>,
}

/// Who gets the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recipient {
    /// The destination.
    pub destination: String,
    /// The connector.
    pub connector: String,
    /// What it does with the data.
    pub uses: Vec<String>,
    /// Where it keeps the data.
    pub region: String,
    /// Whether the data leaves the jurisdictions of the purpose (Art. 30(1)(e)).
    pub is_transfer: bool,
    /// What protects the data there.
    pub safeguard: String,
}

pub(crate) const UNDECLARED: &str = "undeclared";

/// The register of `workspace` as it stands at `made_at`.
#[must_use]
pub fn records(workspace: &Workspace, supplement: &Supplement, made_at: Timestamp) -> RecordsOfProcessing {
    let catalogue = Catalogue::of(workspace);
    let controller =
        catalogue.controller.map_or_else(ControllerRecord::default, |controller| ControllerRecord {
            name: controller.name.clone(),
            address: controller.address.clone(),
            contact: controller.contact.clone(),
            officer: controller.officer.clone(),
            representative: controller.representative.clone(),
        });
    let mut security: Vec<String> = SECURITY_MEASURES.map(str::to_owned).into();
    security.extend(supplement.security.iter().cloned());
    RecordsOfProcessing {
        made_at,
        controller,
        activities: catalogue
            .purposes
            .iter()
            .map(|purpose| activity(&catalogue, supplement, purpose))
            .collect(),
        security,
        storage_locations: supplement.storage_locations.clone(),
    }
}

fn activity(catalogue: &Catalogue<'_>, supplement: &Supplement, purpose: &PurposeDocument) -> Activity {
    let names = basis_names(purpose.basis);
    let basis_ccpa = if purpose.sells_or_shares {
        format!("sale or sharing, with the right to opt out (Civ. Code 1798.120); {}", names.ccpa)
    } else {
        names.ccpa.to_owned()
    };
    let brought: BTreeSet<_> = catalogue.sources_of(&purpose.name).map(|source| source.category).collect();
    Activity {
        purpose: purpose.name.to_string(),
        version: purpose.version,
        description: purpose.description.clone(),
        is_retired: purpose.retired,
        basis: purpose.basis,
        basis_gdpr: names.gdpr,
        basis_lgpd: names.lgpd,
        basis_ccpa,
        jurisdictions: purpose.jurisdictions.clone(),
        data_subjects: supplement.data_subjects.clone(),
        data_categories: brought.into_iter().map(category_name).collect(),
        labels: purpose.labels.iter().map(|label| label.meaning()).collect(),
        sources: catalogue.sources_of(&purpose.name).map(|source| source.name.to_string()).collect(),
        recipients: recipients(catalogue, supplement, purpose),
        retention: purpose
            .retention_days
            .map_or_else(|| UNDECLARED.to_owned(), |days| format!("{days} days")),
        consent_validity: (purpose.basis == LegalBasis::Consent).then(|| {
            purpose
                .consent_valid_days
                .map_or_else(|| "until withdrawn".to_owned(), |days| format!("{days} days"))
        }),
        notice_languages: purpose.notice.keys().cloned().collect(),
    }
}

fn recipients(
    catalogue: &Catalogue<'_>,
    supplement: &Supplement,
    purpose: &PurposeDocument,
) -> Vec<Recipient> {
    let recipient = |destination: &tessera_model::DestinationDocument| {
        let region = destination.region.as_deref();
        // Without a declared home every declared region is abroad for somebody.
        let is_transfer = region.is_some_and(|region| !is_within(region, &purpose.jurisdictions));
        let safeguard = region.and_then(|region| supplement.safeguards.get(region)).cloned();
        Recipient {
            destination: destination.name.to_string(),
            connector: destination.connector.clone(),
            uses: destination.uses.iter().cloned().collect(),
            region: region.unwrap_or(UNDECLARED).to_owned(),
            is_transfer,
            safeguard: match safeguard {
                Some(safeguard) => safeguard,
                None if is_transfer => UNDECLARED.to_owned(),
                None => String::new(),
            },
        }
    };
    catalogue.destinations_of(&purpose.name).map(recipient).collect()
}

/// Whether a region lies within one of the jurisdictions: `US-CA` within `US`, not the other way round.
pub(crate) fn is_within(region: &str, jurisdictions: &[String]) -> bool {
    jurisdictions.iter().any(|wide| {
        region.strip_prefix(wide.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

#[cfg(test)]
pub(crate) mod tests;
