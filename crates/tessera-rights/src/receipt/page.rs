//! A receipt as a page for the person.

use super::words::{Words, words};
use super::{PartyIdentification, Receipt, UNKNOWN};
use crate::html::Page;

/// The receipt as a page that stands alone, in the language of the notice (labels in English where there is no
/// translation). No scripts, nothing loaded; every text is escaped.
#[must_use]
pub fn html(receipt: &Receipt) -> String {
    let words = words(&receipt.pii_processing.language);
    let mut page = Page::new(words.language, words.title);
    let told = |text: &str| if text == UNKNOWN { words.unknown.to_owned() } else { text.to_owned() };
    let party = |role: &str| receipt.party_identification.iter().find(|party| party.party_role == role);
    let of = |role: &str, field: fn(&PartyIdentification) -> &String| {
        party(role).map_or_else(String::new, |party| told(field(party)))
    };
    page.facts([
        (words.you, receipt.pii_principal_id.clone()),
        (words.controller, of("PII Controller", |party| &party.party_name)),
        (words.address, of("PII Controller", |party| &party.party_address)),
        (words.contact, of("PII Controller", |party| &party.party_contact)),
        (words.officer, of("Data Protection Officer", |party| &party.party_contact)),
        (words.representative, of("Representative", |party| &party.party_contact)),
    ]);
    for purpose in &receipt.pii_processing.purposes {
        page.heading(format_args!("{}: {}", words.purpose, purpose.purpose));
        let data: Vec<&str> = purpose.pii_information.iter().map(|info| info.pii_type.as_str()).collect();
        let stored: Vec<String> = purpose.storage_locations.iter().map(|place| told(place)).collect();
        page.facts([
            (words.version, purpose.version.to_string()),
            (words.basis, article(purpose.lawful_basis)),
            (words.data, data.join("; ")),
            (words.stored, stored.join(", ")),
            (words.retention, duration(&purpose.retention_period, words)),
            (words.recipients, purpose.recipient_third_parties.join(", ")),
            (words.withdraw, told(&purpose.withdrawal_method)),
            (
                words.rights,
                purpose.privacy_rights.iter().map(|right| article(right)).collect::<Vec<_>>().join(", "),
            ),
        ]);
    }
    page.heading(words.notice);
    if let Some(text) = &receipt.pii_processing.notice_text {
        page.quote(&receipt.pii_processing.language, text);
    }
    page.facts([(words.notice, told(&receipt.pii_processing.privacy_notice))]);
    page.heading(words.said);
    page.table(
        &[words.when, words.what, words.version, words.how],
        receipt.event.iter().map(|event| {
            vec![
                event.event_time.to_string(),
                state(event.event_state, words).to_owned(),
                event.purpose_version.to_string(),
                event.collected_by.clone(),
            ]
        }),
    );
    page.finish(format_args!("{} {} · {}", words.footer, receipt.record_id, receipt.schema_version))
}

/// `A6-1-a` of the vocabulary's identifier as people cite it: `GDPR Art. 6(1)(a)`.
fn article(iri: &str) -> String {
    let Some((_, article)) = iri.rsplit_once("#A") else { return iri.to_owned() };
    let mut parts = article.split('-');
    let first = parts.next().unwrap_or_default();
    let rest: String = parts.map(|part| format!("({part})")).collect();
    format!("GDPR Art. {first}{rest}")
}

/// `P30D` as `30 days`; anything else is said as it is.
fn duration(text: &str, words: &Words) -> String {
    let days = text.strip_prefix('P').and_then(|rest| rest.strip_suffix('D'));
    days.map_or_else(|| text.to_owned(), |days| format!("{days} {}", words.days))
}

fn state<'a>(state: &'a str, words: &Words) -> &'a str {
    match state.rsplit_once('#').map_or(state, |(_, name)| name) {
        "ConsentGiven" => words.given,
        "RenewedConsentGiven" => words.renewed,
        "ConsentRefused" => words.refused,
        "ConsentWithdrawn" => words.withdrawn,
        "ConsentExpired" => words.expired,
        other => other,
    }
}
