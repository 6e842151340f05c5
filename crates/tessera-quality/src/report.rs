//! What a survey comes to: shares, scores, findings. Holds no value of anybody.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tessera_model::Timestamp;

use crate::duplicates::DuplicateReport;
use crate::field::Field;
use crate::finding::{Finding, findings};
use crate::kind::Kind;
use crate::shape::AGE_DAYS;
use crate::survey::{Source, Survey};

/// With fewer records than these a share says little, and there is no score.
pub(crate) const RECORDS_MIN: u64 = 30;
const SHAPES_SHOWN: usize = 5;

/// What is known from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fields that went to a destination or were shown to a reader, as paths: `traits.email`. `None`: not known.
    pub used: Option<BTreeSet<String>>,
    /// By source: how often its tracking plan was violated.
    pub violations: BTreeMap<String, u64>,
}

/// The quality of the data at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// When.
    #[serde(serialize_with = "Timestamp::serialize_rfc3339")]
    pub made_at: Timestamp,
    /// How many profiles of people were looked at.
    pub people: u64,
    /// 0 to 100: the mean of the sources', by records; `None`: too little data to say.
    pub score: Option<f64>,
    /// What to do, worst first.
    pub findings: Vec<Finding>,
    /// Each source.
    pub sources: Vec<SourceReport>,
    /// Traits on which several sources speak.
    pub traits: Vec<TraitReport>,
    /// People who share what should be one person's.
    pub duplicates: Vec<DuplicateReport>,
    /// Whom messages reach.
    pub contacts: ContactReport,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceReport {
    /// Its name.
    pub source: String,
    /// Its records: what it said of a person under one identifier.
    pub records: u64,
    /// Whether there are too few to conclude from.
    pub is_small: bool,
    /// How often its tracking plan was violated since it has one.
    pub violations: u64,
    /// When it spoke last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latest_at: Option<String>,
    /// 0 to 100: the mean of what follows.
    pub score: Option<f64>,
    /// Shares of 1, over all fields by how often each is filled.
    #[serde(flatten)]
    pub dimensions: Dimensions,
    /// Its fields.
    pub fields: Vec<FieldReport>,
}

/// The dimensions of quality, as shares of 1. `None`: nothing to tell by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Dimensions {
    /// Records that say something.
    pub completeness: Option<f64>,
    /// Values that can be what the field holds. Whether an address is somebody's is not known from looking at it.
    pub validity: Option<f64>,
    /// Distinct values, where each person should have their own.
    pub uniqueness: Option<f64>,
    /// Values said within a year, where they go out of date.
    pub timeliness: Option<f64>,
    /// Values that agree with the profile, where another source speaks too.
    pub consistency: Option<f64>,
}

impl Dimensions {
    fn all(&self) -> [Option<f64>; 5] {
        [self.completeness, self.validity, self.uniqueness, self.timeliness, self.consistency]
    }

    /// Of 100.
    fn score(&self) -> Option<f64> {
        let known: Vec<f64> = self.all().into_iter().flatten().collect();
        mean(known.iter().map(|share| (*share, 1.0))).map(|share| round(share * 100.0, 10.0))
    }

    fn mean(of: &[(Self, f64)]) -> Self {
        let of = |part: fn(&Self) -> Option<f64>| {
            let known = of.iter().filter_map(|(one, weight)| Some((part(one)?, *weight)));
            mean(known).map(|share| round(share, 1000.0))
        };
        Self {
            completeness: of(|one| one.completeness),
            validity: of(|one| one.validity),
            uniqueness: of(|one| one.uniqueness),
            timeliness: of(|one| one.timeliness),
            consistency: of(|one| one.consistency),
        }
    }
}

/// One field of one source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldReport {
    /// Its path below `traits.`; members of objects follow a dot.
    pub path: String,
    /// Values that say something.
    pub filled: u64,
    /// Texts that say that there is nothing: `n/a`, `unknown`.
    pub placeholders: u64,
    /// Values that cannot be what the field holds, of those that can be told.
    pub invalid: u64,
    /// Values of which it can be told.
    pub checked: u64,
    /// About how many differ.
    pub distinct: u64,
    /// How often the most frequent comes, as a share of those filled.
    pub most_frequent: f64,
    /// Addresses for trying things out, such as those at example.com.
    pub test_data: u64,
    /// Addresses that last for minutes.
    pub disposable: u64,
    /// Addresses of a role, not of a person.
    pub roles: u64,
    /// Values that were said more than a day from now.
    pub future: u64,
    /// Whether the values look as if a program had counted them up.
    pub is_counted_up: bool,
    /// Whether somebody ever got or saw it; `None`: not known.
    pub is_used: Option<bool>,
    /// 0 to 100.
    pub score: Option<f64>,
    /// The dimensions.
    #[serde(flatten)]
    pub dimensions: Dimensions,
    /// What values look like, most frequent first; only what many share.
    pub shapes: Vec<ShapeReport>,
    /// How old they are.
    pub ages: Vec<AgeReport>,
}

/// What some values look like: letters stand for letters, nines for digits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShapeReport {
    /// `aaa@aaa.aaa`.
    pub shape: String,
    /// How many have it.
    pub count: u64,
}

/// How many values are that old.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AgeReport {
    /// Younger than so many days; `None`: older than all before.
    pub days: Option<i64>,
    /// How many.
    pub count: u64,
}

/// One trait over all sources.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TraitReport {
    /// Its name.
    pub name: String,
    /// Profiles on which several sources speak.
    pub compared: u64,
    /// Of these, those on which they say different things.
    pub conflicting: u64,
}

/// Whom messages reach, and who is kept for nothing. People.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ContactReport {
    /// All.
    pub people: u64,
    /// With an e-mail address that can be one.
    pub with_email: u64,
    /// With a phone number that can be one.
    pub with_phone: u64,
    /// With either, permitted for some purpose, and not bounced.
    pub reachable: u64,
    /// Signed off from some channel.
    pub unsubscribed: u64,
    /// A message came back.
    pub bounced: u64,
    /// Known, and not seen for two years.
    pub stale: u64,
    /// Devices of nobody known, not seen for a year.
    pub stale_devices: u64,
    /// No purpose permits to use anything of them.
    pub unpermitted: u64,
}

impl Report {
    pub(crate) fn new(
        survey: &Survey,
        now: Timestamp,
        duplicates: Vec<DuplicateReport>,
        usage: &Usage,
    ) -> Self {
        let sources: Vec<SourceReport> =
            survey.sources.iter().map(|(name, source)| source_report(name, source, usage)).collect();
        let weighed = sources.iter().filter_map(|one| Some((one.score?, as_f64(one.records))));
        let mut report = Self {
            made_at: now,
            people: survey.contacts.report().people,
            score: mean(weighed).map(|score| round(score, 10.0)),
            findings: Vec::new(),
            traits: survey
                .traits
                .iter()
                .map(|(name, one)| TraitReport {
                    name: name.clone(),
                    compared: one.compared,
                    conflicting: one.conflicting,
                })
                .collect(),
            sources,
            duplicates,
            contacts: survey.contacts.report(),
        };
        report.findings = findings(&report);
        report
    }

    /// Without what leads to single people, for those who may not look profiles up, and for keeping.
    #[must_use]
    pub fn without_pairs(mut self) -> Self {
        self.duplicates.iter_mut().for_each(|one| one.pairs.clear());
        self
    }

    /// Without the shapes of fields that `hides` says yes to; paths begin with `traits.`.
    #[must_use]
    pub fn without_shapes(mut self, hides: impl Fn(&str) -> bool) -> Self {
        for field in self.sources.iter_mut().flat_map(|source| &mut source.fields) {
            if hides(&format!("traits.{}", field.path)) {
                field.shapes.clear();
            }
        }
        self
    }

    /// The source of that name alone, with what was found of it.
    #[must_use]
    pub fn of_source(mut self, source: &str) -> Self {
        self.sources.retain(|one| one.source == source);
        self.findings.retain(|one| one.source.as_deref().is_none_or(|of| of == source));
        self.score = self.sources.first().and_then(|one| one.score);
        self
    }
}

fn source_report(name: &str, source: &Source, usage: &Usage) -> SourceReport {
    let is_small = source.records < RECORDS_MIN;
    let fields: Vec<FieldReport> =
        source.fields.iter().map(|(path, field)| field_report(path, field, source, usage)).collect();
    // What is seldom filled says little of the source.
    let weighed: Vec<(Dimensions, f64)> =
        fields.iter().map(|field| (field.dimensions, as_f64(field.filled))).collect();
    let dimensions = Dimensions::mean(&weighed);
    SourceReport {
        source: name.to_owned(),
        records: source.records,
        is_small,
        violations: usage.violations.get(name).copied().unwrap_or_default(),
        latest_at: source.latest.map(|at| at.to_string()),
        score: dimensions.score().filter(|_| !is_small),
        dimensions,
        fields,
    }
}

fn field_report(path: &str, field: &Field, source: &Source, usage: &Usage) -> FieldReport {
    let (counts, kind) = (&field.counts, Kind::of(path));
    let distinct = field.values.distinct();
    let dimensions = Dimensions {
        completeness: share(counts.filled, source.records),
        validity: share(counts.checked - counts.invalid, counts.checked),
        uniqueness: share(distinct, field.values.count()).filter(|_| kind.is_identifying()),
        timeliness: share(field.ages.fresh(), counts.filled).filter(|_| kind.ages()),
        consistency: share(counts.agreed, counts.compared),
    };
    let shapes = field.shapes.top(SHAPES_SHOWN).into_iter();
    let ages = AGE_DAYS.iter().copied().map(Some).chain([None]).zip(field.ages.counts);
    let full = format!("traits.{path}");
    FieldReport {
        path: path.to_owned(),
        filled: counts.filled,
        placeholders: counts.placeholders,
        invalid: counts.invalid,
        checked: counts.checked,
        distinct,
        most_frequent: share(field.values.most_frequent(), field.values.count()).unwrap_or_default(),
        test_data: counts.test_data,
        disposable: counts.disposable,
        roles: counts.roles,
        future: field.ages.future,
        is_counted_up: counts.filled >= RECORDS_MIN && field.is_counted_up(),
        is_used: usage
            .used
            .as_ref()
            .map(|used| used.iter().any(|one| covers(one, &full) || covers(&full, one))),
        score: dimensions.score().filter(|_| source.records >= RECORDS_MIN),
        dimensions,
        shapes: shapes.map(|(shape, count)| ShapeReport { shape: shape.to_owned(), count }).collect(),
        ages: ages.map(|(days, count)| AgeReport { days, count }).collect(),
    }
}

/// Whether `path` is `above` or lies below it.
fn covers(above: &str, path: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// To three digits.
pub(crate) fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| round(as_f64(part) / as_f64(of), 1000.0))
}

fn mean(of: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (sum, weight) =
        of.fold((0.0, 0.0), |(sum, all), (value, weight)| (sum + value * weight, all + weight));
    (weight > 0.0).then(|| sum / weight)
}

fn round(value: f64, by: f64) -> f64 {
    (value * by).round() / by
}

pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}
