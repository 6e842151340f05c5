//! The report as a page that stands alone: no scripts, nothing loaded from elsewhere.
//!
//! Invariant: every text reaches the page through `maud`, which escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use tessera_picture::{PALETTE, Point, SHAPES, bar, columns, grade, line, percent, ring};

use crate::report::{FieldReport, share};
use crate::{Audit, Finding, Report, Severity, SourceReport};

mod style;

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// The page; `audits` are those before, oldest first.
#[must_use]
pub fn html(report: &Report, audits: &[Audit]) -> String {
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "Data quality" }
                style { (PreEscaped(PALETTE)) (PreEscaped(style::STYLE)) (PreEscaped(SHAPES)) }
            }
            body {
                main {
                    (head(report, audits))
                    (findings(&report.findings))
                    (people(report))
                    @for source in &report.sources { (source_part(source)) }
                    footer {
                        "Made " (report.made_at) ". Counts and shapes only: letters stand for letters, nines for digits, and a shape is shown \
                         when at least ten records share it. A value that can be an address need not be somebody's."
                    }
                }
            }
        }
    };
    page.into_string()
}

fn head(report: &Report, audits: &[Audit]) -> Markup {
    markup! {
        h1 { "Data quality" }
        p.soft { (count(report.people)) " people, " (report.sources.len()) " sources" }
        div.top {
            div.card { h3 { "Score" } (ring(report.score))
                @if report.score.is_none() { p.soft { "too little data to say" } }
            }
            div.card {
                h3 { "Through time" }
                @if audits.len() > 1 { (line(&scores(audits))) } @else { p.soft { "One audit so far: the line begins with the second." } }
            }
        }
        div.cards {
            @for source in &report.sources {
                div.card {
                    h3 { (source.source) }
                    p.soft { (count(source.records)) " records" @if source.is_small { ", too few to conclude" } }
                    table {
                        @for (name, value) in dimensions(source) {
                            tr { td { (name) } td { (bar(value)) } td.number { (percent(value)) } }
                        }
                    }
                }
            }
        }
    }
}

fn scores(audits: &[Audit]) -> Vec<Point> {
    let day = |audit: &Audit| audit.at.to_string().chars().take(10).collect();
    let point =
        |audit: &Audit| Some(Point { at: audit.at.as_millis(), day: day(audit), score: audit.score? });
    audits.iter().filter_map(point).collect()
}

fn dimensions(source: &SourceReport) -> [(&'static str, Option<f64>); 5] {
    let of = &source.dimensions;
    [
        ("complete", of.completeness),
        ("valid", of.validity),
        ("unique", of.uniqueness),
        ("timely", of.timeliness),
        ("consistent", of.consistency),
    ]
}

fn findings(findings: &[Finding]) -> Markup {
    markup! {
        h2 { "What to do" }
        @if findings.is_empty() { p { "Nothing was found." } }
        @for one in findings {
            @let class = match one.severity { Severity::High => "high", Severity::Medium => "medium", Severity::Low => "low" };
            div class={ "finding " (class) } {
                i {}
                div {
                    @if let Some(source) = &one.source { strong { (source) } " " }
                    @if let Some(field) = &one.field { code { (field) } " " }
                    span { (one.what) }
                }
                div.count { (count(one.count)) @if one.of > one.count { " of " (count(one.of)) } }
                p.soft { (one.advice) @if let Some(command) = &one.command { ": " code { (command) } } }
            }
        }
    }
}

fn people(report: &Report) -> Markup {
    let contacts = &report.contacts;
    let rows = [
        ("with an e-mail address", contacts.with_email),
        ("with a phone number", contacts.with_phone),
        ("reachable: permitted, and not bounced", contacts.reachable),
        ("signed off from some channel", contacts.unsubscribed),
        ("bounced", contacts.bounced),
        ("known, not seen for two years", contacts.stale),
        ("devices of nobody known, not seen for a year", contacts.stale_devices),
        ("no purpose permits anything", contacts.unpermitted),
    ];
    markup! {
        h2 { "People" }
        div.cards {
            div.card {
                h3 { "Contacts" }
                table {
                    @for (name, many) in rows {
                        tr { td { (name) } td.number { (count(many)) } td.number.soft { (percent(share(many, contacts.people))) } }
                    }
                }
            }
            div.card {
                h3 { "Not joined, and share" }
                table {
                    thead { tr { th {} th.number { "profiles too many" } th.number { "groups" } th.number { "largest" } } }
                    @for one in &report.duplicates {
                        @let about = if one.is_estimate { "about " } else { "" };
                        tr {
                            td { (one.key.words()) }
                            td.number { (about) (count(one.surplus)) }
                            td.number { (about) (count(one.groups)) }
                            td.number { (count(one.largest)) }
                        }
                    }
                }
            }
            @if !report.traits.is_empty() {
                div.card {
                    h3 { "Sources that differ" }
                    table {
                        @for one in &report.traits {
                            @let agreed = share(one.compared.saturating_sub(one.conflicting), one.compared);
                            tr { td { (one.name) } td { (bar(agreed)) } td.number { (count(one.conflicting)) " of " (count(one.compared)) } }
                        }
                    }
                }
            }
        }
    }
}

fn source_part(source: &SourceReport) -> Markup {
    markup! {
        h2 { (source.source) }
        p.soft {
            (count(source.records)) " records"
            @if let Some(at) = &source.latest_at { ", the last at " (at) }
        }
        div.card.wide {
            table {
                thead { tr {
                    th { "field" } th.number { "filled" } th.number { "distinct" }
                    th { "complete" } th { "valid" } th { "unique" } th { "timely" } th { "consistent" } th { "looks like" }
                } }
                @for field in &source.fields { (field_row(field)) }
            }
            details {
                summary { "How old the values are" }
                div.cards {
                    @for field in &source.fields {
                        div { h3 { (field.path) } (columns(&ages(field))) }
                    }
                }
            }
        }
    }
}

fn field_row(field: &FieldReport) -> Markup {
    let of = &field.dimensions;
    let shares = [of.completeness, of.validity, of.uniqueness, of.timeliness, of.consistency];
    markup! {
        tr {
            td { code { (field.path) } }
            td.number { (count(field.filled)) }
            td.number { (count(field.distinct)) }
            @for value in shares { td class={ "q " (grade(value)) } { (percent(value)) } }
            td.soft {
                @for (place, shape) in field.shapes.iter().take(3).enumerate() {
                    @if place > 0 { " " }
                    code { (shape.shape) }
                }
            }
        }
    }
}

fn ages(field: &FieldReport) -> Vec<(String, u64)> {
    let name = |days: Option<i64>| match days {
        Some(1) => "day".to_owned(),
        Some(365) => "year".to_owned(),
        Some(730) => "2 years".to_owned(),
        Some(days) => format!("{days} d"),
        None => "older".to_owned(),
    };
    field.ages.iter().map(|age| (name(age.days), age.count)).collect()
}

/// 1,234,567.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
