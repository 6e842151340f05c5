//! What is wrong, what to do about it, and the command that does it.

use serde::Serialize;

use crate::report::{FieldReport, RECORDS_MIN, Report, SourceReport, share};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Mend it.
    High,
    /// Look at it.
    Medium,
    /// Know it.
    Low,
}

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is told in words by the finding")]
pub enum FindingKind {
    Unpermitted,
    Duplicates,
    TestData,
    Invalid,
    Placeholders,
    Violations,
    Conflicting,
    MixedFormats,
    MixedTypes,
    Uniform,
    CountedUp,
    Bounced,
    Stale,
    StaleDevices,
    Unused,
    Disposable,
    FutureDates,
    Incomplete,
    Small,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind.
    pub kind: FindingKind,
    /// Of which source; `None`: of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Of which field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// How many ...
    pub count: u64,
    /// ... of how many.
    pub of: u64,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: String,
    /// A command that does it or shows more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A finding about to be told.
struct Draft {
    finding: Finding,
}

impl Draft {
    fn new(severity: Severity, kind: FindingKind, (count, of): (u64, u64), what: impl Into<String>) -> Self {
        let (what, advice) = (what.into(), String::new());
        Self {
            finding: Finding {
                severity,
                kind,
                source: None,
                field: None,
                count,
                of,
                what,
                advice,
                command: None,
            },
        }
    }

    fn advise(mut self, advice: &str, command: &str) -> Self {
        advice.clone_into(&mut self.finding.advice);
        self.finding.command = Some(command.to_owned()).filter(|command| !command.is_empty());
        self
    }

    fn at(mut self, source: &SourceReport, field: Option<&FieldReport>) -> Finding {
        self.finding.source = Some(source.source.clone());
        self.finding.field = field.map(|field| format!("traits.{}", field.path));
        self.finding
    }
}

/// Everything worth telling, worst first.
pub(crate) fn findings(report: &Report) -> Vec<Finding> {
    let mut found = of_people(report);
    found.extend(of_traits(report));
    for source in &report.sources {
        if source.violations > 0 {
            let (counts, what) = ((source.violations, source.violations), "violations of its tracking plan");
            let advice = "see which, and mend the source or the plan";
            let draft = Draft::new(Severity::Medium, FindingKind::Violations, counts, what);
            found.push(draft.advise(advice, "").at(source, None));
        }
        if source.is_small {
            found.push(small(source));
            continue;
        }
        for field in &source.fields {
            found.extend(of_values(source, field));
            found.extend(of_forms(source, field));
        }
    }
    found.sort_by(|a, b| {
        let order = |one: &Finding| (one.severity, one.kind, std::cmp::Reverse(one.count));
        (order(a), &a.source, &a.field).cmp(&(order(b), &b.source, &b.field))
    });
    found
}

fn small(source: &SourceReport) -> Finding {
    let what = format!("{} records are too few to conclude from", source.records);
    Draft::new(Severity::Low, FindingKind::Small, (source.records, RECORDS_MIN), what)
        .advise("read its figures as examples; there is no score for it", "")
        .at(source, None)
}

fn is_share(count: u64, of: u64, least: f64) -> bool {
    count > 0 && share(count, of).is_some_and(|share| share >= least)
}

fn of_people(report: &Report) -> Vec<Finding> {
    use FindingKind::{Bounced, Duplicates, Stale, StaleDevices, Unpermitted};
    use Severity::{High, Low, Medium};
    let (contacts, mut found) = (&report.contacts, Vec::new());
    let all = contacts.people;
    let mut tell = |count: u64, severity, kind, what: String, advice: &str, command: &str| {
        if count > 0 {
            found.push(Draft::new(severity, kind, (count, all), what).advise(advice, command).finding);
        }
    };
    tell(
        contacts.unpermitted,
        High,
        Unpermitted,
        "people of whom no purpose permits to use anything: they are kept for nothing".to_owned(),
        "ask them for consent, or remove what no purpose covers (GDPR Art. 5(1)(b))",
        "tessera sweep",
    );
    for one in &report.duplicates {
        let what =
            format!("profiles too many: they share {} with another and are not joined", an(one.key.words()));
        let advice = if one.largest > 10 {
            "some values are shared by very many and are nobody's own: block those in the namespace; have the others matched"
        } else {
            "have them matched, and decide what is doubtful by hand"
        };
        tell(one.surplus, High, Duplicates, what, advice, "tessera review list");
    }
    tell(
        contacts.bounced,
        Medium,
        Bounced,
        "people whose messages come back".to_owned(),
        "stop writing to them, and ask for another address where there is a phone number or a visit",
        "",
    );
    tell(
        contacts.stale,
        Medium,
        Stale,
        "known people who were not seen for two years".to_owned(),
        "ask once whether they want to stay; limit how long data is kept with `retention_days` on its purpose, and see what that removes",
        "tessera simulate -f workspace/",
    );
    tell(
        contacts.stale_devices,
        Low,
        StaleDevices,
        "devices of nobody known that were not seen for a year".to_owned(),
        "limit how long their data is kept with `retention_days`, and see what that removes",
        "tessera simulate -f workspace/",
    );
    found
}

fn an(words: &str) -> String {
    let article = if words.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {words}")
}

fn of_traits(report: &Report) -> Vec<Finding> {
    let conflicting = report
        .traits
        .iter()
        .filter(|one| one.compared >= RECORDS_MIN && is_share(one.conflicting, one.compared, 0.05));
    conflicting
        .map(|one| {
            let counts = (one.conflicting, one.compared);
            let what = "profiles on which sources say different things".to_owned();
            let mut finding = Draft::new(Severity::Medium, FindingKind::Conflicting, counts, what)
                .advise(
                    "say which word survives with `survivorship` on the field's document, and mend the source that is wrong",
                    &format!("tessera profile explain REFERENCE {}", one.name),
                )
                .finding;
            finding.field = Some(format!("traits.{}", one.name));
            finding
        })
        .collect()
}

/// Collects what is found of one field.
struct Told<'a> {
    source: &'a SourceReport,
    field: &'a FieldReport,
    found: Vec<Finding>,
}

impl Told<'_> {
    fn tell(&mut self, kind: (Severity, FindingKind), counts: (u64, u64), what: &str, advice: (&str, &str)) {
        let draft = Draft::new(kind.0, kind.1, counts, what).advise(advice.0, advice.1);
        self.found.push(draft.at(self.source, Some(self.field)));
    }
}

/// What is wrong with what the values say.
fn of_values(source: &SourceReport, field: &FieldReport) -> Vec<Finding> {
    use FindingKind::{Disposable, FutureDates, Invalid, Placeholders, TestData};
    use Severity::{High, Low, Medium};
    let mut told = Told { source, field, found: Vec::new() };
    let (filled, invalid, checked) = (field.filled, field.invalid, field.checked);
    if invalid > 0 {
        let severity = if is_share(invalid, checked, 0.05) { High } else { Medium };
        let advice = "check them where they are entered, and refuse them with a tracking plan";
        let what = "values cannot be what the field holds";
        told.tell((severity, Invalid), (invalid, checked), what, (advice, "tessera validate --help"));
    }
    if field.test_data > 0 {
        let advice = "keep test data in an installation of its own; find these people and erase them";
        let what = "values are for trying things out, not of people";
        told.tell((High, TestData), (field.test_data, filled), what, (advice, "tessera profile list"));
    }
    if is_share(field.placeholders, source.records, 0.01) {
        let what = "values say that there is nothing, in words";
        let counts = (field.placeholders, source.records);
        told.tell((Medium, Placeholders), counts, what, ("leave the field out, or send null", ""));
    }
    if field.future > 0 {
        let what =
            "values were said at a time that is yet to come, and stand over all that is said until then";
        let advice = "mend the clock or the time zone of whoever sends them";
        told.tell((Medium, FutureDates), (field.future, filled), what, (advice, ""));
    }
    if is_share(field.disposable, filled, 0.01) {
        let advice = "ask for another address before sending anything of worth";
        told.tell((Low, Disposable), (field.disposable, filled), "addresses last for minutes", (advice, ""));
    }
    told.found.extend(of_the_whole(source, field));
    told.found
}

/// What is wrong with the values taken together.
fn of_the_whole(source: &SourceReport, field: &FieldReport) -> Vec<Finding> {
    use FindingKind::{CountedUp, Incomplete, Uniform, Unused};
    use Severity::{High, Low, Medium};
    let mut told = Told { source, field, found: Vec::new() };
    let (filled, of) = (field.filled, &field.dimensions);
    if filled >= RECORDS_MIN && of.uniqueness.is_some() && field.most_frequent >= 0.05 {
        let what = "one value comes again and again where each person should have their own";
        let advice = ("block it in the namespace, so that it joins nobody", "tessera apply -f workspace/");
        told.tell((High, Uniform), (share_of(field.most_frequent, filled), filled), what, advice);
    }
    if field.is_counted_up {
        let what = "values look as if a program had counted them up";
        let advice = "check whether this is generated data; what is measured on it says nothing of people";
        told.tell((Medium, CountedUp), (filled, filled), what, (advice, ""));
    }
    if field.is_used == Some(false) && filled >= RECORDS_MIN {
        let what = "values went to nobody and were shown to nobody";
        let advice =
            "collect only what a purpose needs (GDPR Art. 5(1)(c)): leave the field out at the source";
        told.tell((Low, Unused), (filled, filled), what, (advice, "tessera report policy"));
    }
    if filled > 0 && of.completeness.is_some_and(|share| share < 0.2) {
        let advice = "ask for it where it is needed, or stop asking";
        told.tell((Low, Incomplete), (filled, source.records), "records have it, few of all", (advice, ""));
    }
    told.found
}

/// What is wrong with how the values are written.
fn of_forms(source: &SourceReport, field: &FieldReport) -> Vec<Finding> {
    let shapes: Vec<_> = field.shapes.iter().filter(|one| one.shape.contains('9')).collect();
    let is_type = |shape: &str| matches!(shape, "number" | "true or false" | "list");
    let types = field.shapes.iter().filter(|one| is_type(&one.shape)).map(|one| one.count).sum::<u64>();
    let mut found = Vec::new();
    if types > 0 && types < field.filled {
        let what = "values are of another type than the others: numbers among texts, say";
        let counts = (types.min(field.filled - types), field.filled);
        let draft = Draft::new(Severity::Medium, FindingKind::MixedTypes, counts, what)
            .advise("send one type; a tracking plan can refuse the others", "");
        found.push(draft.at(source, Some(field)));
    }
    // Dates, numbers and codes have one form; names and free text have many.
    let formed: u64 = shapes.iter().map(|one| one.count).sum();
    if let Some((first, others)) = shapes.split_first()
        && !first.shape.contains('a')
        && formed * 10 >= field.filled * 8
    {
        let other: u64 = others.iter().map(|one| one.count).sum();
        if is_share(other, field.filled, 0.02) && field.dimensions.uniqueness.is_none() {
            let what = format!("values are written otherwise than most, which look like `{}`", first.shape);
            let draft = Draft::new(Severity::Medium, FindingKind::MixedFormats, (other, field.filled), what)
                .advise(
                    "write them one way at the source: dates as 1985-12-10, numbers without separators",
                    "",
                );
            found.push(draft.at(source, Some(field)));
        }
    }
    found
}

/// How many a share is.
fn share_of(share: f64, of: u64) -> u64 {
    // In thousandths, as shares are told.
    let thousandths = (0..=1000_u64).rev().find(|part| crate::report::as_f64(*part) / 1000.0 <= share);
    thousandths.unwrap_or_default() * of / 1000
}
