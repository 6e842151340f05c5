use std::collections::BTreeMap;

use tessera_model::Document;

use super::*;
use crate::request::tests::at;

pub(crate) fn workspace(documents: &[&str]) -> Workspace {
    let documents = documents.iter().map(|json| serde_json::from_str::<Document>(json).unwrap());
    Workspace::new(documents).unwrap()
}

pub(crate) const SHOP: [&str; 8] = [
    r#"{"kind": "Controller", "name": "Shop & <Co>", "address": "Berlin", "contact": "privacy@shop.example"}"#,
    r#"{"kind": "Purpose", "name": "marketing.email", "version": 2, "basis": "consent", "description": "Send the | newsletter",
        "jurisdictions": ["EU"], "categories": ["contact", "behavioural"], "regions": ["US", "EU"], "retention_days": 365,
        "consent_valid_days": 730, "notice": {"en": "We send you news."}, "direct_marketing": true}"#,
    r#"{"kind": "Purpose", "name": "ads", "basis": "legitimate_interests", "sells_or_shares": true}"#,
    r#"{"kind": "Source", "name": "web", "write_key": "webwebweb", "purposes": ["marketing.email", "ads"], "category": "behavioural"}"#,
    r#"{"kind": "Source", "name": "crm", "write_key": "crmcrmcrm", "purposes": ["marketing.email"], "category": "contact"}"#,
    r#"{"kind": "Destination", "name": "mailer", "type": "webhook", "purpose": "marketing.email", "region": "US", "uses": ["email_targeting"]}"#,
    r#"{"kind": "Destination", "name": "archive", "type": "jsonl", "purpose": "marketing.email", "region": "EU"}"#,
    r#"{"kind": "Field", "name": "traits.email", "labels": ["I1"]}"#,
];

fn shop() -> RecordsOfProcessing {
    let supplement = Supplement {
        data_subjects: vec!["customers".to_owned()],
        safeguards: BTreeMap::from([("US".to_owned(), "standard contractual clauses".to_owned())]),
        security: Vec::new(),
        storage_locations: vec!["EU".to_owned()],
    };
    records(&workspace(&SHOP), &supplement, at("2026-03-05"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a register has many fields")]
fn the_register_says_for_each_purpose_what_article_30_asks() {
    let mut register = shop();
    register.security.clear();
    insta::assert_snapshot!(serde_json::to_string_pretty(&register).unwrap(), @r#"
    {
      "made_at": "2026-03-05T00:00:00.000Z",
      "controller": {
        "name": "Shop & <Co>",
        "address": "Berlin",
        "contact": "privacy@shop.example",
        "officer": "",
        "representative": ""
      },
      "activities": [
        {
          "purpose": "ads",
          "version": 1,
          "description": "",
          "is_retired": false,
          "basis": "legitimate_interests",
          "basis_gdpr": "Art. 6(1)(f)",
          "basis_lgpd": "Art. 7(IX), 10",
          "basis_ccpa": "sale or sharing, with the right to opt out (Civ. Code 1798.120); business purpose, with notice at collection (Civ. Code 1798.100, 1798.140(e))",
          "jurisdictions": [],
          "data_subjects": [
            "customers"
          ],
          "data_categories": [
            "behavioural"
          ],
          "labels": [],
          "sources": [
            "web"
          ],
          "recipients": [],
          "retention": "undeclared",
          "notice_languages": []
        },
        {
          "purpose": "marketing.email",
          "version": 2,
          "description": "Send the | newsletter",
          "is_retired": false,
          "basis": "consent",
          "basis_gdpr": "Art. 6(1)(a)",
          "basis_lgpd": "Art. 7(I)",
          "basis_ccpa": "consent (Civ. Code 1798.140(h)); opt-in where 1798.120(c) or 1798.121 ask for it",
          "jurisdictions": [
            "EU"
          ],
          "data_subjects": [
            "customers"
          ],
          "data_categories": [
            "contact",
            "behavioural"
          ],
          "labels": [],
          "sources": [
            "crm",
            "web"
          ],
          "recipients": [
            {
              "destination": "archive",
              "connector": "jsonl",
              "uses": [],
              "region": "EU",
              "is_transfer": false,
              "safeguard": ""
            },
            {
              "destination": "mailer",
              "connector": "webhook",
              "uses": [
                "email_targeting"
              ],
              "region": "US",
              "is_transfer": true,
              "safeguard": "standard contractual clauses"
            }
          ],
          "retention": "365 days",
          "consent_validity": "730 days",
          "notice_languages": [
            "en"
          ]
        }
      ],
      "security": [],
      "storage_locations": [
        "EU"
      ]
    }
    "#);
}

#[test]
fn the_register_reads_as_markdown() {
    insta::assert_snapshot!(markdown(&shop()), @r#"
    # Records of processing activities (GDPR Art. 30)

    Made 2026-03-05T00:00:00.000Z.

    ## Controller

    | what | which |
    | --- | --- |
    | Name | Shop &amp; &lt;Co> |
    | Address | Berlin |
    | Contact | privacy@shop.example |
    | Data protection officer | undeclared |
    | Representative in the EU | undeclared |

    ## ads (version 1)

    | what | which |
    | --- | --- |
    | Purpose | undeclared |
    | Legal basis | GDPR Art. 6(1)(f); LGPD Art. 7(IX), 10 |
    | California | sale or sharing, with the right to opt out (Civ. Code 1798.120); business purpose, with notice at collection (Civ. Code 1798.100, 1798.140(e)) |
    | Jurisdictions | everywhere |
    | Data subjects | customers |
    | Categories of data | behavioural |
    | Sources | web |
    | Kept for | undeclared |
    | Notice in | undeclared |

    ## marketing.email (version 2)

    | what | which |
    | --- | --- |
    | Purpose | Send the \| newsletter |
    | Legal basis | GDPR Art. 6(1)(a); LGPD Art. 7(I) |
    | California | consent (Civ. Code 1798.140(h)); opt-in where 1798.120(c) or 1798.121 ask for it |
    | Jurisdictions | EU |
    | Data subjects | customers |
    | Categories of data | contact, behavioural |
    | Sources | crm, web |
    | Kept for | 365 days |
    | Consent good for | 730 days |
    | Notice in | en |

    | Recipient | Connector | Uses | Region | Transfer | Safeguard |
    | --- | --- | --- | --- | --- | --- |
    | archive | jsonl |  | EU | no |  |
    | mailer | webhook | email\_targeting | US | yes | standard contractual clauses |

    ## Security of processing

    Stored in: EU.

    * Data is kept and used only for purposes whose legal basis holds at that moment; anything else is refused.
    * Named accounts with roles; each sees only the fields and purposes granted to it.
    * Every read of a person's data through the interfaces is recorded before it is answered, every other request after.
    * Every field that leaves is recorded in a hash-chained ledger with signed checkpoints, before it leaves.
    * Secrets of the workspace are encrypted at rest; passwords and tokens of accounts are kept as hashes only.
    * Transport is encrypted where TLS is switched on.
    * Data is removed on schedule when its last purpose ends, and from every file when a person asks and the law agrees.
    "#);
}

#[test]
fn the_register_reads_as_a_page() {
    let page = html(&shop());
    assert!(page.contains("<td>Shop &amp; &lt;Co&gt;</td>"));
    assert!(page.contains("<h2>marketing.email (version 2)</h2>"));
    assert!(page.contains("<td>mailer</td><td>webhook</td><td>email_targeting</td><td>US</td><td>yes</td><td>standard contractual clauses</td>"));
    assert!(!page.contains("<script"));
}

#[test]
fn an_empty_workspace_has_a_register_that_says_so() {
    let register = records(&workspace(&[]), &Supplement::default(), at("2026-03-05"));
    assert!(register.activities.is_empty());
    assert!(markdown(&register).contains("| Name | undeclared |"));
}

#[test]
fn a_part_lies_within_its_whole_and_not_the_other_way_round() {
    let us = ["US".to_owned()];
    for (region, is_there) in [("US", true), ("US-CA", true), ("USA", false), ("EU", false)] {
        assert_eq!(is_within(region, &us), is_there, "{region}");
    }
    assert!(!is_within("US", &["US-CA".to_owned()]));
    assert!(!is_within("EU", &[]));
}
