//! The register as a page and as Markdown.

use std::fmt::Write;

use super::{Activity, ControllerRecord, RecordsOfProcessing, UNDECLARED};
use crate::html::{Page, cell};

const TITLE: &str = "Records of processing activities (GDPR Art. 30)";

/// The register as a page that stands alone.
#[must_use]
pub fn html(records: &RecordsOfProcessing) -> String {
    let mut page = Page::new("en", TITLE);
    page.heading("Controller");
    page.facts(controller_rows(&records.controller));
    for activity in &records.activities {
        page.heading(format_args!("{} (version {})", activity.purpose, activity.version));
        page.facts(activity_rows(activity));
        if !activity.recipients.is_empty() {
            page.table(&RECIPIENTS, recipient_rows(activity));
        }
    }
    page.heading("Security of processing");
    page.facts([("Stored in", stored(records))]);
    for measure in &records.security {
        page.paragraph(measure);
    }
    page.finish(format_args!("Made {}", records.made_at))
}

/// The register as Markdown.
#[must_use]
pub fn markdown(records: &RecordsOfProcessing) -> String {
    let mut out = format!("# {TITLE}\n\nMade {}.\n\n## Controller\n\n", records.made_at);
    facts(&mut out, controller_rows(&records.controller));
    for activity in &records.activities {
        out += &format!("\n## {} (version {})\n\n", cell(&activity.purpose), activity.version);
        facts(&mut out, activity_rows(activity));
        if !activity.recipients.is_empty() {
            out.push('\n');
            row(&mut out, RECIPIENTS.map(str::to_owned));
            row(&mut out, ["---"; 6].map(str::to_owned));
            for recipient in recipient_rows(activity) {
                row(&mut out, recipient.iter().map(|text| cell(text)));
            }
        }
    }
    out += &format!("\n## Security of processing\n\nStored in: {}.\n\n", cell(&stored(records)));
    for measure in &records.security {
        out += &format!("* {}\n", cell(measure));
    }
    out
}

const RECIPIENTS: [&str; 6] = ["Recipient", "Connector", "Uses", "Region", "Transfer", "Safeguard"];

fn recipient_rows(activity: &Activity) -> Vec<Vec<String>> {
    let row = |recipient: &super::Recipient| {
        vec![
            recipient.destination.clone(),
            recipient.connector.clone(),
            recipient.uses.join(", "),
            recipient.region.clone(),
            if recipient.is_transfer { "yes" } else { "no" }.to_owned(),
            recipient.safeguard.clone(),
        ]
    };
    activity.recipients.iter().map(row).collect()
}

fn controller_rows(controller: &ControllerRecord) -> [(&'static str, String); 5] {
    [
        ("Name", or_undeclared(&controller.name)),
        ("Address", or_undeclared(&controller.address)),
        ("Contact", or_undeclared(&controller.contact)),
        ("Data protection officer", or_undeclared(&controller.officer)),
        ("Representative in the EU", or_undeclared(&controller.representative)),
    ]
}

fn activity_rows(activity: &Activity) -> [(&'static str, String); 12] {
    let list = |items: &[String]| items.join(", ");
    let jurisdictions = if activity.jurisdictions.is_empty() {
        "everywhere".to_owned()
    } else {
        list(&activity.jurisdictions)
    };
    [
        ("Purpose", or_undeclared(&activity.description)),
        ("State", if activity.is_retired { "retired: nothing is used for it" } else { "" }.to_owned()),
        ("Legal basis", format!("GDPR {}; LGPD {}", activity.basis_gdpr, activity.basis_lgpd)),
        ("California", activity.basis_ccpa.clone()),
        ("Jurisdictions", jurisdictions),
        ("Data subjects", or_undeclared(&list(&activity.data_subjects))),
        ("Categories of data", or_undeclared(&activity.data_categories.join(", "))),
        ("Labels", activity.labels.join("; ")),
        ("Sources", or_undeclared(&list(&activity.sources))),
        ("Kept for", activity.retention.clone()),
        ("Consent good for", activity.consent_validity.clone().unwrap_or_default()),
        ("Notice in", or_undeclared(&list(&activity.notice_languages))),
    ]
}

fn stored(records: &RecordsOfProcessing) -> String {
    or_undeclared(&records.storage_locations.join(", "))
}

fn or_undeclared(text: &str) -> String {
    if text.is_empty() { UNDECLARED.to_owned() } else { text.to_owned() }
}

fn facts<const N: usize>(out: &mut String, rows: [(&'static str, String); N]) {
    row(out, ["what".to_owned(), "which".to_owned()]);
    row(out, ["---".to_owned(), "---".to_owned()]);
    for (name, value) in rows.into_iter().filter(|(_, value)| !value.is_empty()) {
        row(out, [name.to_owned(), cell(&value)]);
    }
}

fn row(out: &mut String, cells: impl IntoIterator<Item = String>) {
    out.push('|');
    for text in cells {
        // Writing to a text cannot fail.
        write!(out, " {text} |").unwrap_or_default();
    }
    out.push('\n');
}
