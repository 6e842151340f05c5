use std::collections::BTreeMap;

use proptest::prelude::*;
use tessera_model::Document;

use super::*;
use crate::request::tests::at;

pub(crate) fn document(json: &str) -> Document {
    serde_json::from_str(json).unwrap()
}

fn newsletter() -> PurposeDocument {
    let Document::Purpose(purpose) = document(
        r#"{"kind": "Purpose", "name": "marketing.email", "version": 2, "basis": "consent",
            "description": "Send the newsletter", "jurisdictions": ["EU"], "categories": ["contact", "behavioural"],
            "labels": ["I1"], "regions": ["US"], "retention_days": 365, "consent_valid_days": 730,
            "notice": {"en": "We send you news.", "de": "Wir senden Ihnen <b>Neues</b>.\nEinmal im Monat."}}"#,
    ) else {
        panic!("no purpose")
    };
    purpose
}

fn controller() -> ControllerDocument {
    let Document::Controller(controller) = document(
        r#"{"kind": "Controller", "name": "Shop & Co", "address": "Berlin", "contact": "privacy@shop.example",
            "officer": "dpo@shop.example", "privacy_url": "https://shop.example/privacy",
            "withdrawal": "https://shop.example/preferences"}"#,
    ) else {
        panic!("no controller")
    };
    controller
}

fn mailer() -> DestinationDocument {
    let Document::Destination(destination) = document(
        r#"{"kind": "Destination", "name": "mailer", "type": "webhook", "purpose": "marketing.email", "region": "US",
            "uses": ["email_targeting"]}"#,
    ) else {
        panic!("no destination")
    };
    destination
}

fn said(status: ConsentStatus, version: u32, when: &str) -> Said {
    Said {
        status,
        expression: Expression::Explicit,
        version,
        first_at: at(when),
        last_at: at(when),
        source: SourceName::parse("web").unwrap(),
        how: Some("preference-centre/v3".into()),
        evidence: Some("s3://proofs/1".into()),
    }
}

fn receipt_of(said: &[Said], language: &str) -> Receipt {
    let (purpose, controller, mailer) = (newsletter(), controller(), mailer());
    receipt(&ReceiptInput {
        record_bits: 9,
        principal: FragmentId([1; 16]),
        controller: Some(&controller),
        purpose: &purpose,
        recipients: &[&mailer],
        said,
        language,
        storage_locations: &["EU"],
    })
}

#[test]
#[expect(clippy::too_many_lines, reason = "a receipt has many fields")]
fn a_receipt_has_the_standards_fields() {
    let events = [
        said(ConsentStatus::Withdrawn, 2, "2026-05-01"),
        said(ConsentStatus::Given, 2, "2026-03-05T09:00:00Z"),
    ];
    insta::assert_snapshot!(serde_json::to_string_pretty(&receipt_of(&events, "en")).unwrap(), @r#"
    {
      "schema_version": "ISO/IEC TS 27560:2023; tessera/1",
      "record_id": "00000000-0000-4000-8000-000000000009",
      "pii_principal_id": "01010101010101010101010101010101",
      "pii_processing": {
        "privacy_notice": "https://shop.example/privacy",
        "language": "en",
        "notice_text": "We send you news.",
        "purposes": [
          {
            "purpose": "Send the newsletter",
            "purpose_type": "marketing.email",
            "version": 2,
            "lawful_basis": "https://w3id.org/dpv/legal/eu/gdpr#A6-1-a",
            "pii_information": [
              {
                "pii_type": "contact",
                "pii_optional": true,
                "sensitive_pii_category": false,
                "special_pii_category": false
              },
              {
                "pii_type": "behavioural",
                "pii_optional": true,
                "sensitive_pii_category": false,
                "special_pii_category": false
              },
              {
                "pii_type": "Names a person by itself: an e-mail address, a phone number, a full name",
                "pii_optional": true,
                "sensitive_pii_category": true,
                "special_pii_category": false
              }
            ],
            "pii_controllers": [
              "controller"
            ],
            "collection_method": [
              "web (preference-centre/v3)"
            ],
            "processing_method": [
              "https://w3id.org/dpv#Collect",
              "https://w3id.org/dpv#Store",
              "https://w3id.org/dpv#Use",
              "https://w3id.org/dpv#Disclose"
            ],
            "storage_locations": [
              "EU"
            ],
            "retention_period": "P365D",
            "processing_locations": [
              "EU",
              "US"
            ],
            "geographic_restrictions": [
              "US"
            ],
            "jurisdictions": [
              "EU"
            ],
            "recipient_third_parties": [
              "mailer"
            ],
            "withdrawal_method": "https://shop.example/preferences",
            "privacy_rights": [
              "https://w3id.org/dpv/legal/eu/gdpr#A15",
              "https://w3id.org/dpv/legal/eu/gdpr#A16",
              "https://w3id.org/dpv/legal/eu/gdpr#A17",
              "https://w3id.org/dpv/legal/eu/gdpr#A18",
              "https://w3id.org/dpv/legal/eu/gdpr#A20",
              "https://w3id.org/dpv/legal/eu/gdpr#A7-3",
              "https://w3id.org/dpv/legal/eu/gdpr#A77"
            ],
            "codes_of_conduct": []
          }
        ]
      },
      "party_identification": [
        {
          "party_id": "controller",
          "party_name": "Shop & Co",
          "party_address": "Berlin",
          "party_contact": "privacy@shop.example",
          "party_role": "PII Controller",
          "party_type": "controller"
        },
        {
          "party_id": "officer",
          "party_name": "dpo@shop.example",
          "party_address": "unknown",
          "party_contact": "dpo@shop.example",
          "party_role": "Data Protection Officer",
          "party_type": "officer"
        },
        {
          "party_id": "mailer",
          "party_name": "mailer",
          "party_address": "US",
          "party_contact": "unknown",
          "party_role": "Recipient",
          "party_type": "email_targeting"
        }
      ],
      "event": [
        {
          "event_time": "2026-03-05T09:00:00.000Z",
          "first_event_time": "2026-03-05T09:00:00.000Z",
          "validity_duration": "P730D",
          "entity_id": "01010101010101010101010101010101",
          "event_type": "https://w3id.org/dpv#ExplicitlyExpressedConsent",
          "event_state": "https://w3id.org/dpv#ConsentGiven",
          "purpose_version": 2,
          "collected_by": "web (preference-centre/v3)",
          "evidence": "s3://proofs/1"
        },
        {
          "event_time": "2026-05-01T00:00:00.000Z",
          "first_event_time": "2026-05-01T00:00:00.000Z",
          "validity_duration": "until another word",
          "entity_id": "01010101010101010101010101010101",
          "event_type": "https://w3id.org/dpv#ExplicitlyExpressedConsent",
          "event_state": "https://w3id.org/dpv#ConsentWithdrawn",
          "purpose_version": 2,
          "collected_by": "web (preference-centre/v3)",
          "evidence": "s3://proofs/1"
        }
      ]
    }
    "#);
}

#[test]
fn a_page_is_in_the_language_of_the_notice_and_escaped() {
    let events = [said(ConsentStatus::Given, 2, "2026-03-05T09:00:00Z")];
    let page = html(&receipt_of(&events, "de-AT"));
    let (_, body) = page.split_once("<body>").unwrap();
    insta::assert_snapshot!(body, @r#"

    <h1>Einwilligungsbeleg</h1>
    <table>
    <tr><th scope="row">Sie (Pseudonym)</th><td>01010101010101010101010101010101</td></tr>
    <tr><th scope="row">Verantwortlicher</th><td>Shop &amp; Co</td></tr>
    <tr><th scope="row">Anschrift</th><td>Berlin</td></tr>
    <tr><th scope="row">Kontakt</th><td>privacy@shop.example</td></tr>
    <tr><th scope="row">Datenschutzbeauftragte</th><td>dpo@shop.example</td></tr>
    </table>
    <h2>Zweck: Send the newsletter</h2>
    <table>
    <tr><th scope="row">Fassung</th><td>2</td></tr>
    <tr><th scope="row">Rechtsgrundlage</th><td>GDPR Art. 6(1)(a)</td></tr>
    <tr><th scope="row">Daten</th><td>contact; behavioural; Names a person by itself: an e-mail address, a phone number, a full name</td></tr>
    <tr><th scope="row">Gespeichert in</th><td>EU</td></tr>
    <tr><th scope="row">Aufbewahrt für</th><td>365 Tage</td></tr>
    <tr><th scope="row">Empfänger</th><td>mailer</td></tr>
    <tr><th scope="row">So widerrufen Sie</th><td><a href="https://shop.example/preferences" rel="noreferrer">https://shop.example/preferences</a></td></tr>
    <tr><th scope="row">Ihre Rechte</th><td>GDPR Art. 15, GDPR Art. 16, GDPR Art. 17, GDPR Art. 18, GDPR Art. 20, GDPR Art. 7(3), GDPR Art. 77</td></tr>
    </table>
    <h2>Worüber Sie informiert wurden</h2>
    <blockquote lang="de"><p>Wir senden Ihnen &lt;b&gt;Neues&lt;/b&gt;.</p><p>Einmal im Monat.</p></blockquote>
    <table>
    <tr><th scope="row">Worüber Sie informiert wurden</th><td><a href="https://shop.example/privacy" rel="noreferrer">https://shop.example/privacy</a></td></tr>
    </table>
    <h2>Was Sie erklärt haben</h2>
    <table>
    <thead><tr><th>Wann</th><th>Was</th><th>Fassung</th><th>Wie</th></tr></thead>
    <tr><td>2026-03-05T09:00:00.000Z</td><td>Einwilligung erteilt</td><td>2</td><td>web (preference-centre/v3)</td></tr>
    </table>
    <footer>Nachweis 00000000-0000-4000-8000-000000000009 · ISO/IEC TS 27560:2023; tessera/1</footer>
    </body>
    </html>
    "#);
    assert!(page.starts_with("<!doctype html>\n<html lang=\"de\">"));
    assert!(!page.contains("<script") && !page.contains("<b>Neues"));
}

#[test]
fn the_notice_of_another_version_is_not_shown_as_what_the_person_was_told() {
    let old = receipt_of(&[said(ConsentStatus::Given, 1, "2026-03-05")], "en");
    assert_eq!(old.pii_processing.notice_text, None);
    assert_eq!(old.pii_processing.purposes[0].version, 1);
    let new = receipt_of(&[said(ConsentStatus::Given, 2, "2026-03-05")], "en");
    assert_eq!(new.pii_processing.notice_text.as_deref(), Some("We send you news."));
}

#[test]
fn a_notice_is_looked_for_in_the_language_then_in_english_then_in_any() {
    let mut purpose = newsletter();
    for (asked, found) in [("de", "de"), ("de-AT", "de"), ("EN-gb", "en"), ("fr", "en")] {
        assert_eq!(notice(&purpose, asked).0, found);
    }
    purpose.notice = BTreeMap::from([("fr".to_owned(), "Bonjour".to_owned())]);
    assert_eq!(notice(&purpose, "de"), ("fr", Some("Bonjour")));
    purpose.notice.clear();
    assert_eq!(notice(&purpose, "de"), ("de", None));
}

#[test]
fn what_nobody_declared_is_unknown_and_not_made_up() {
    let mut purpose = newsletter();
    purpose.notice.clear();
    let receipt = receipt(&ReceiptInput {
        record_bits: 9,
        principal: FragmentId([1; 16]),
        controller: None,
        purpose: &purpose,
        recipients: &[],
        said: &[],
        language: "en",
        storage_locations: &[],
    });
    let processing = &receipt.pii_processing;
    assert_eq!((processing.privacy_notice.as_str(), processing.notice_text.as_deref()), (UNKNOWN, None));
    assert_eq!(processing.purposes[0].withdrawal_method, UNKNOWN);
    assert_eq!(processing.purposes[0].storage_locations, [UNKNOWN]);
    assert_eq!(receipt.party_identification[0].party_name, UNKNOWN);
    assert!(html(&receipt).contains("not stated"));
}

#[test]
fn each_basis_has_the_rights_that_the_law_gives_it() {
    let mut table = String::new();
    for basis in [
        LegalBasis::Consent,
        LegalBasis::Contract,
        LegalBasis::LegalObligation,
        LegalBasis::VitalInterests,
        LegalBasis::PublicTask,
        LegalBasis::LegitimateInterests,
    ] {
        let rights: Vec<&str> = rights(basis)
            .into_iter()
            .filter_map(|right| right.rsplit_once('#'))
            .map(|(_, name)| name)
            .collect();
        table += &format!("{}: {}\n", basis_names(basis).title, rights.join(" "));
    }
    insta::assert_snapshot!(table, @"
    consent: A15 A16 A17 A18 A20 A7-3 A77
    contract: A15 A16 A17 A18 A20 A77
    legal obligation: A15 A16 A18 A77
    vital interests: A15 A16 A17 A18 A77
    public task: A15 A16 A17 A18 A21 A77
    legitimate interests: A15 A16 A17 A18 A21 A77
    ");
}

proptest! {
    #[test]
    fn the_order_in_which_words_are_handed_in_does_not_show(days in prop::collection::vec(1..28_u32, 1..8).prop_shuffle()) {
        let words = |days: &[u32]| -> Vec<Said> {
            days.iter().map(|day| said(ConsentStatus::Given, *day, &format!("2026-03-{day:02}"))).collect()
        };
        let mut sorted = days.clone();
        sorted.sort_unstable();
        prop_assert_eq!(receipt_of(&words(&days), "en"), receipt_of(&words(&sorted), "en"));
    }
}
