//! Consent receipts: what a person said about a purpose, as a record that machines read and a page that people do.
//!
//! Not the proof: that is the evidence ledger. A receipt names the person by a pseudonym alone. Invariant: every field
//! that the standard makes mandatory is there; what nobody declared says `unknown` and is not made up. Reference:
//! ISO/IEC TS 27560:2023, with terms of the W3C Data Privacy Vocabulary 2 as its guide for that standard sets out
//! (<https://w3id.org/dpv/guides/consent-27560>).

mod page;
mod words;

use std::collections::BTreeSet;

use serde::Serialize;
use tessera_model::{
    ConsentStatus, ControllerDocument, DataCategory, DestinationDocument, Expression, FragmentId, Label,
    LegalBasis, PurposeDocument, SourceName, Timestamp,
};
use tessera_policy::ConsentRecord;

pub use page::html;

use crate::basis::basis_names;
use crate::request::{SubjectRequestId, rfc3339};

/// The schema: the standard, with our fields for version, source and proof.
pub const SCHEMA_VERSION: &str = "ISO/IEC TS 27560:2023; tessera/1";
const UNKNOWN: &str = "unknown";

/// One word that a person said about the purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What was said.
    pub status: ConsentStatus,
    /// How clearly.
    pub expression: Expression,
    /// About which version of the purpose.
    pub version: u32,
    /// When it was said first.
    pub first_at: Timestamp,
    /// When it was said last.
    pub last_at: Timestamp,
    /// Which source brought it.
    pub source: SourceName,
    /// By which form, channel or request.
    pub how: Option<Box<str>>,
    /// Where the proof is kept.
    pub evidence: Option<Box<str>>,
}

impl From<&ConsentRecord> for Said {
    fn from(record: &ConsentRecord) -> Self {
        Self {
            status: record.status,
            expression: record.expression,
            version: record.version,
            first_at: record.first_at,
            last_at: record.last_at,
            source: record.source.clone(),
            how: record.how.clone(),
            evidence: record.evidence.clone(),
        }
    }
}

/// What a receipt is made of.
#[derive(Clone, Debug)]
pub struct ReceiptInput<'a> {
    /// Bits that the record's id is made of: the same for the same person and purpose.
    pub record_bits: u128,
    /// The person, by pseudonym.
    pub principal: FragmentId,
    /// Who answers for the processing, if the workspace says so.
    pub controller: Option<&'a ControllerDocument>,
    /// The purpose as it is declared now.
    pub purpose: &'a PurposeDocument,
    /// Where the data of the purpose may go.
    pub recipients: &'a [&'a DestinationDocument],
    /// What the person said, in any order.
    pub said: &'a [Said],
    /// The language that the person reads: `de`, `pt-BR`.
    pub language: &'a str,
    /// Where the data is stored: regions or countries.
    pub storage_locations: &'a [&'a str],
}

/// A consent record, and the receipt of it that the person gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// [`SCHEMA_VERSION`].
    pub schema_version: &'static str,
    /// Its id.
    pub record_id: String,
    /// The person, by pseudonym.
    pub pii_principal_id: String,
    /// What is done with the data.
    pub pii_processing: Processing,
    /// Everybody named.
    pub party_identification: Vec<PartyIdentification>,
    /// What was said, oldest first.
    pub event: Vec<Event>,
}

/// What is done with the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Processing {
    /// Where the notice stands.
    pub privacy_notice: String,
    /// The language of the notice.
    pub language: String,
    /// The notice's text, if it is that of the version agreed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice_text: Option<String>,
    /// The purposes: one.
    pub purposes: Vec<Purpose>,
}

/// Why data is processed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Purpose {
    /// In words, else its name.
    pub purpose: String,
    /// Its name.
    pub purpose_type: String,
    /// The version last spoken of.
    pub version: u32,
    /// The legal basis, as the Data Privacy Vocabulary names it.
    pub lawful_basis: &'static str,
    /// What data.
    pub pii_information: Vec<PiiInformation>,
    /// Who answers for it: ids of parties.
    pub pii_controllers: Vec<String>,
    /// How the data comes.
    pub collection_method: Vec<String>,
    /// What is done with it.
    pub processing_method: Vec<&'static str>,
    /// Where it is stored.
    pub storage_locations: Vec<String>,
    /// How long, in ISO 8601; or until when.
    pub retention_period: String,
    /// Where it is processed.
    pub processing_locations: Vec<String>,
    /// Where it may go and nowhere else.
    pub geographic_restrictions: Vec<String>,
    /// Where the purpose applies.
    pub jurisdictions: Vec<String>,
    /// Who gets it: ids of parties.
    pub recipient_third_parties: Vec<String>,
    /// How consent is taken back.
    pub withdrawal_method: String,
    /// The rights, as the Data Privacy Vocabulary names them.
    pub privacy_rights: Vec<&'static str>,
    /// Codes of conduct that were declared: none can be.
    pub codes_of_conduct: Vec<String>,
}

/// One kind of data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PiiInformation {
    /// The category or label.
    pub pii_type: String,
    /// Whether the person may leave it out: with consent always.
    pub pii_optional: bool,
    /// Whether it is sensitive: who or where a person is, exactly.
    pub sensitive_pii_category: bool,
    /// Whether it belongs to the special categories of GDPR Art. 9.
    pub special_pii_category: bool,
}

/// Somebody named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartyIdentification {
    /// Its id in this record.
    pub party_id: String,
    /// Its name.
    pub party_name: String,
    /// Its address.
    pub party_address: String,
    /// Where to write to.
    pub party_contact: String,
    /// `PII Controller`, `Data Protection Officer`, `Representative` or `Recipient`.
    pub party_role: &'static str,
    /// What kind of party it is.
    pub party_type: String,
}

/// One word of the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When it was said last.
    #[serde(with = "rfc3339")]
    pub event_time: Timestamp,
    /// When it was said first.
    #[serde(with = "rfc3339")]
    pub first_event_time: Timestamp,
    /// How long it is good for, in ISO 8601; or until when.
    pub validity_duration: String,
    /// Who said it: the person's pseudonym, or the controller's id.
    pub entity_id: String,
    /// How clearly, as the Data Privacy Vocabulary names it.
    pub event_type: &'static str,
    /// What, as the Data Privacy Vocabulary names it.
    pub event_state: &'static str,
    /// About which version of the purpose.
    pub purpose_version: u32,
    /// By which source, and by which form, channel or request.
    pub collected_by: String,
    /// Where the proof is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
}

const CONTROLLER: &str = "controller";

/// The receipt of what a person said about a purpose.
#[must_use]
pub fn receipt(input: &ReceiptInput<'_>) -> Receipt {
    let mut said: Vec<&Said> = input.said.iter().collect();
    said.sort_by_key(|said| (said.last_at, said.status));
    let version = said.last().map_or(input.purpose.version, |said| said.version);
    let (language, notice) = notice(input.purpose, input.language);
    let privacy_notice = input.controller.map_or("", |controller| controller.privacy_url.as_str());
    Receipt {
        schema_version: SCHEMA_VERSION,
        record_id: SubjectRequestId::from_random(input.record_bits).to_string(),
        pii_principal_id: input.principal.to_string(),
        pii_processing: Processing {
            privacy_notice: known(privacy_notice),
            language: language.to_owned(),
            notice_text: notice.filter(|_| version == input.purpose.version).map(str::to_owned),
            purposes: vec![purpose(input, version)],
        },
        party_identification: parties(input),
        event: said.into_iter().map(|said| event(input, said)).collect(),
    }
}

/// The notice in the person's language, else in that language of another country, else in English, else in any.
fn notice<'a>(purpose: &'a PurposeDocument, language: &'a str) -> (&'a str, Option<&'a str>) {
    let primary = |tag: &str| tag.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
    let by = |wanted: &dyn Fn(&str) -> bool| purpose.notice.iter().find(|(tag, _)| wanted(tag));
    let found = by(&|tag| tag == language)
        .or_else(|| by(&|tag| primary(tag) == primary(language)))
        .or_else(|| by(&|tag| primary(tag) == "en"))
        .or_else(|| purpose.notice.iter().next());
    found.map_or((language, None), |(tag, text)| (tag.as_str(), Some(text.as_str())))
}

fn purpose(input: &ReceiptInput<'_>, version: u32) -> Purpose {
    let document = input.purpose;
    let locations: Vec<String> = input.storage_locations.iter().map(|place| (*place).to_owned()).collect();
    let locations = if locations.is_empty() { vec![UNKNOWN.to_owned()] } else { locations };
    let regions: BTreeSet<&String> = input.recipients.iter().filter_map(|to| to.region.as_ref()).collect();
    let sources: BTreeSet<String> = input.said.iter().map(collected_by).collect();
    let withdrawal = input.controller.map_or("", |controller| controller.withdrawal.as_str());
    let words = if document.description.is_empty() { document.name.as_str() } else { &document.description };
    let mut processing_locations = locations.clone();
    processing_locations.extend(regions.into_iter().filter(|region| !locations.contains(region)).cloned());
    Purpose {
        purpose: words.to_owned(),
        purpose_type: document.name.to_string(),
        version,
        lawful_basis: basis_names(document.basis).dpv,
        pii_information: information(document),
        pii_controllers: vec![CONTROLLER.to_owned()],
        collection_method: sources.into_iter().collect(),
        processing_method: if input.recipients.is_empty() {
            vec!["https://w3id.org/dpv#Collect", "https://w3id.org/dpv#Store", "https://w3id.org/dpv#Use"]
        } else {
            vec![
                "https://w3id.org/dpv#Collect",
                "https://w3id.org/dpv#Store",
                "https://w3id.org/dpv#Use",
                "https://w3id.org/dpv#Disclose",
            ]
        },
        storage_locations: locations,
        retention_period: days(document.retention_days, "until the purpose ends"),
        processing_locations,
        geographic_restrictions: document.regions.iter().cloned().collect(),
        jurisdictions: document.jurisdictions.clone(),
        recipient_third_parties: input.recipients.iter().map(|to| to.name.to_string()).collect(),
        withdrawal_method: known(withdrawal),
        privacy_rights: rights(document.basis),
        codes_of_conduct: Vec::new(),
    }
}

fn information(document: &PurposeDocument) -> Vec<PiiInformation> {
    let optional = document.basis == LegalBasis::Consent;
    let entry = |pii_type: String, sensitive_pii_category, special_pii_category| PiiInformation {
        pii_type,
        pii_optional: optional,
        sensitive_pii_category,
        special_pii_category,
    };
    let mut all: Vec<PiiInformation> = document
        .categories
        .iter()
        .map(|category| entry(category_name(*category).to_owned(), false, false))
        .collect();
    all.extend(document.labels.iter().map(|label| {
        let is_sensitive = matches!(label, Label::I1 | Label::S1 | Label::Special);
        entry(label.meaning().to_owned(), is_sensitive, *label == Label::Special)
    }));
    // The document names none, which means all but special categories.
    if all.is_empty() { vec![entry("all but special categories".to_owned(), false, false)] } else { all }
}

pub(crate) const fn category_name(category: DataCategory) -> &'static str {
    match category {
        DataCategory::Identity => "identity",
        DataCategory::Contact => "contact",
        DataCategory::Demographic => "demographic",
        DataCategory::Transactional => "transactional",
        DataCategory::Behavioural => "behavioural",
        DataCategory::Social => "social",
        DataCategory::Feedback => "feedback",
        DataCategory::Attitude => "attitude",
        DataCategory::Loyalty => "loyalty",
        DataCategory::Experience => "experience",
    }
}

/// The rights that a basis gives, as the Data Privacy Vocabulary names them: Art. 7(3) and 20 go with consent, 20 with
/// contract, 21 with public task and legitimate interests; 17 not with a legal obligation (Art. 17(3)(b)).
fn rights(basis: LegalBasis) -> Vec<&'static str> {
    let mut rights = vec![
        "https://w3id.org/dpv/legal/eu/gdpr#A15",
        "https://w3id.org/dpv/legal/eu/gdpr#A16",
        "https://w3id.org/dpv/legal/eu/gdpr#A18",
        "https://w3id.org/dpv/legal/eu/gdpr#A77",
    ];
    if basis != LegalBasis::LegalObligation {
        rights.push("https://w3id.org/dpv/legal/eu/gdpr#A17");
    }
    if basis == LegalBasis::Consent {
        rights.push("https://w3id.org/dpv/legal/eu/gdpr#A7-3");
    }
    if matches!(basis, LegalBasis::Consent | LegalBasis::Contract) {
        rights.push("https://w3id.org/dpv/legal/eu/gdpr#A20");
    }
    if matches!(basis, LegalBasis::PublicTask | LegalBasis::LegitimateInterests) {
        rights.push("https://w3id.org/dpv/legal/eu/gdpr#A21");
    }
    rights.sort_unstable();
    rights
}

fn parties(input: &ReceiptInput<'_>) -> Vec<PartyIdentification> {
    let mut parties = Vec::new();
    let controller = input.controller;
    let text = |of: fn(&ControllerDocument) -> &String| known(controller.map_or("", |c| of(c).as_str()));
    parties.push(PartyIdentification {
        party_id: CONTROLLER.to_owned(),
        party_name: text(|c| &c.name),
        party_address: text(|c| &c.address),
        party_contact: text(|c| &c.contact),
        party_role: "PII Controller",
        party_type: "controller".to_owned(),
    });
    let mut other = |party_id: &str, party_role, contact: &str| {
        if !contact.is_empty() {
            parties.push(PartyIdentification {
                party_id: party_id.to_owned(),
                party_name: contact.to_owned(),
                party_address: UNKNOWN.to_owned(),
                party_contact: contact.to_owned(),
                party_role,
                party_type: party_id.to_owned(),
            });
        }
    };
    if let Some(controller) = controller {
        other("officer", "Data Protection Officer", &controller.officer);
        other("representative", "Representative", &controller.representative);
    }
    parties.extend(input.recipients.iter().map(|to| PartyIdentification {
        party_id: to.name.to_string(),
        party_name: to.name.to_string(),
        party_address: known(to.region.as_deref().unwrap_or_default()),
        party_contact: UNKNOWN.to_owned(),
        party_role: "Recipient",
        party_type: if to.uses.is_empty() {
            to.connector.clone()
        } else {
            to.uses.iter().cloned().collect::<Vec<_>>().join(", ")
        },
    }));
    parties
}

fn event(input: &ReceiptInput<'_>, said: &Said) -> Event {
    let validity = match said.status {
        ConsentStatus::Given | ConsentStatus::Renewed => {
            days(input.purpose.consent_valid_days, "until withdrawn")
        }
        ConsentStatus::Refused
        | ConsentStatus::Withdrawn
        | ConsentStatus::Expired
        | ConsentStatus::Objected
        | ConsentStatus::Overruled
        | ConsentStatus::Ended
        | ConsentStatus::Restricted
        | ConsentStatus::Unrestricted => "until another word".to_owned(),
    };
    let by_controller = matches!(said.status, ConsentStatus::Overruled | ConsentStatus::Expired);
    Event {
        event_time: said.last_at,
        first_event_time: said.first_at,
        validity_duration: validity,
        entity_id: if by_controller { CONTROLLER.to_owned() } else { input.principal.to_string() },
        event_type: match said.expression {
            Expression::Explicit => "https://w3id.org/dpv#ExplicitlyExpressedConsent",
            Expression::Implied => "https://w3id.org/dpv#ImpliedConsent",
        },
        event_state: state(said.status),
        purpose_version: said.version,
        collected_by: collected_by(said),
        evidence: said.evidence.as_deref().map(str::to_owned),
    }
}

/// The status in the Data Privacy Vocabulary; what it has no status for keeps our own word.
const fn state(status: ConsentStatus) -> &'static str {
    match status {
        ConsentStatus::Given => "https://w3id.org/dpv#ConsentGiven",
        ConsentStatus::Renewed => "https://w3id.org/dpv#RenewedConsentGiven",
        ConsentStatus::Refused => "https://w3id.org/dpv#ConsentRefused",
        ConsentStatus::Withdrawn => "https://w3id.org/dpv#ConsentWithdrawn",
        ConsentStatus::Expired => "https://w3id.org/dpv#ConsentExpired",
        ConsentStatus::Objected
        | ConsentStatus::Overruled
        | ConsentStatus::Ended
        | ConsentStatus::Restricted
        | ConsentStatus::Unrestricted => status.as_str(),
    }
}

fn collected_by(said: &Said) -> String {
    match &said.how {
        Some(how) => format!("{} ({how})", said.source),
        None => said.source.to_string(),
    }
}

fn days(days: Option<u32>, otherwise: &str) -> String {
    days.map_or_else(|| otherwise.to_owned(), |days| format!("P{days}D"))
}

fn known(text: &str) -> String {
    if text.is_empty() { UNKNOWN.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests;
