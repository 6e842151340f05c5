//! A report as a page that a person can read and print.

use tessera_pipeline::{HeldBasis, HeldProfile};
use tessera_rights::Page;

use super::report_parts::{AccessParts, Report};

/// The report as a page that stands alone: no scripts, nothing loaded, every text escaped.
pub(super) fn page(report: &Report) -> String {
    let title = match report.access {
        Some(_) => "What we hold about you",
        None => "Your data to take along",
    };
    let mut page = Page::new("en", title);
    let controller = report.controller.as_ref();
    let of = |field: fn(&tessera_model::ControllerDocument) -> &String| {
        controller.map(|controller| field(controller).clone()).unwrap_or_default()
    };
    page.facts([
        ("Request", report.request.id.clone()),
        ("Asked on", report.request.received_at.clone()),
        ("Made on", report.made_at.clone()),
        ("Ground", report.ground.to_owned()),
        ("Controller", of(|controller| &controller.name)),
        ("Contact", of(|controller| &controller.contact)),
        ("Data protection officer", of(|controller| &controller.officer)),
        ("Address", of(|controller| &controller.address)),
        ("Privacy notice", of(|controller| &controller.privacy_url)),
    ]);
    if report.held.profiles.is_empty() && report.held.events.is_empty() && report.held.rejects.is_empty() {
        page.paragraph("We hold no data about the identifiers that the request named.");
    }
    for held in &report.held.profiles {
        profile(&mut page, held);
    }
    if let Some(access) = &report.access {
        purposes(&mut page, access);
        recipients(&mut page, access);
    }
    events(&mut page, report);
    if let Some(access) = &report.access {
        page.heading("Requests so far");
        page.table(
            &["Asked on", "For", "Status"],
            access.requests.iter().map(|request| {
                vec![request.received_at.clone(), request.request_type.to_owned(), request.status.to_owned()]
            }),
        );
        page.heading("What else you may ask for");
        access.rights.iter().for_each(|right| page.paragraph(format_args!("You have the right {right}.")));
    }
    page.finish(format_args!("Made by Tessera for request {}.", report.request.id))
}

/// `for orders (contract) until 2030-01-01`.
fn why(basis: &HeldBasis) -> String {
    let purposes = basis.purposes.iter().map(|held| {
        let basis = held.basis.map(|basis| as_text(&basis)).unwrap_or_default();
        match &held.until {
            Some(until) => format!("{} ({basis}, until {until})", held.purpose),
            None => format!("{} ({basis})", held.purpose),
        }
    });
    purposes.collect::<Vec<_>>().join("; ")
}

fn as_text(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().replace('_', " ")
}

fn profile(page: &mut Page, held: &HeldProfile) {
    page.heading(format_args!("Profile {}", held.id));
    page.table(
        &["Identifier", "Value", "First seen", "Last seen"],
        held.identifiers.iter().map(|one| {
            let (first, last) = (one.first_seen_at.to_string(), one.last_seen_at.to_string());
            vec![one.namespace.clone(), one.value.clone(), first, last]
        }),
    );
    if !held.traits.is_empty() {
        page.heading("What we know about you");
        page.table(
            &["What", "Value", "Since", "Source", "Why we hold it"],
            held.traits.iter().map(|one| {
                let source = format!("{}, {} party", one.basis.source, as_text(&one.basis.party));
                vec![
                    one.name.clone(),
                    one.value.get().to_owned(),
                    one.at.to_string(),
                    source,
                    why(&one.basis),
                ]
            }),
        );
    }
    if !held.consents.is_empty() {
        page.heading("What you said about purposes");
        page.table(
            &["Purpose", "What", "Version", "First", "Last", "How"],
            held.consents.iter().map(|one| {
                let purpose = one.purpose.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string);
                let how = format!("{} {}", one.source, one.how.as_deref().unwrap_or_default());
                let (first, last) = (one.first_at.to_string(), one.last_at.to_string());
                vec![purpose, one.status.as_str().to_owned(), one.version.to_string(), first, last, how]
            }),
        );
    }
    if !held.subscriptions.is_empty() {
        page.heading("Messages");
        page.table(
            &["Contact point", "Channel", "Topic", "State", "Since"],
            held.subscriptions.iter().map(|one| {
                vec![
                    format!("{}:{}", one.contact.namespace, one.contact.value),
                    one.channel.clone(),
                    one.topic.clone(),
                    as_text(&one.state),
                    one.at.to_string(),
                ]
            }),
        );
    }
    if !held.accounts.is_empty() {
        page.heading("Accounts");
        page.table(
            &["Account", "Since", "Why we hold it"],
            held.accounts
                .iter()
                .map(|one| vec![one.account_id.clone(), one.since.to_string(), why(&one.basis)]),
        );
    }
    if !held.event_counts.is_empty() {
        page.heading("How often things happened");
        page.table(
            &["What", "How often", "First", "Last", "Why we hold it"],
            held.event_counts.iter().map(|one| {
                let (first, last) = (one.first_at.to_string(), one.last_at.to_string());
                vec![one.event.clone(), one.count.to_string(), first, last, why(&one.basis)]
            }),
        );
    }
}

fn purposes(page: &mut Page, access: &AccessParts) {
    page.heading("Why we process data");
    page.table(
        &["Purpose", "Legal basis", "What for", "Kept for", "Sent to"],
        access.purposes.iter().map(|one| {
            let kept = one.retention_days.map_or_else(
                || "until the purpose ends".to_owned(),
                |days| format!("{days} days after the event"),
            );
            let purpose = format!("{}, version {}", one.purpose, one.version);
            vec![purpose, as_text(&one.basis), one.description.clone(), kept, one.recipients.join(", ")]
        }),
    );
}

fn recipients(page: &mut Page, access: &AccessParts) {
    page.heading("Who got data of yours");
    if access.deliveries.is_empty() {
        page.paragraph("Nobody.");
        return;
    }
    page.table(
        &["When", "Who", "Why", "Which fields", "Result"],
        access.deliveries.iter().map(|one| {
            let delivery = &one.delivery;
            let who = match &delivery.region {
                Some(region) => format!("{} ({region})", delivery.destination),
                None => delivery.destination.to_string(),
            };
            let why = format!(
                "{}, version {} ({})",
                delivery.purpose,
                delivery.purpose_version,
                as_text(&delivery.basis)
            );
            let result = one.result.map_or_else(|| "on its way".to_owned(), |result| as_text(&result));
            vec![one.at.clone(), who, why, delivery.fields.join(", "), result]
        }),
    );
    if access.deliveries_left_out > 0 {
        page.paragraph(format_args!("And {} more.", access.deliveries_left_out));
    }
}

fn events(page: &mut Page, report: &Report) {
    let held = &report.held;
    if !held.events.is_empty() {
        page.heading("Events");
        page.table(
            &["When", "What", "Source", "As it came"],
            held.events.iter().map(|one| {
                vec![one.at.to_string(), one.name.clone(), one.source.to_string(), one.event.get().to_owned()]
            }),
        );
    }
    if held.events_left_out > 0 {
        page.paragraph(format_args!("And {} more events; the JSON form is cut alike.", held.events_left_out));
    }
    if !held.waiting.is_empty() {
        page.heading("What waits to be sent, or was refused by who was to get it");
        page.table(
            &["When", "To", "As it came"],
            held.waiting.iter().map(|one| {
                let to = one.destination.as_ref().map(ToString::to_string).unwrap_or_default();
                vec![one.at.to_string(), to, one.event.get().to_owned()]
            }),
        );
    }
    if !held.rejects.is_empty() {
        page.heading("What could not be taken in");
        page.table(
            &["When", "Source", "Why", "As it came"],
            held.rejects.iter().map(|one| {
                vec![one.at.to_string(), one.source.to_string(), one.reason.clone(), one.payload.clone()]
            }),
        );
    }
}
