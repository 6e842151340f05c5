//! The insights by name.

use tessera_model::Timestamp;

use crate::funnel::Funnel;
use crate::new_returning::NewReturning;
use crate::paths::Paths;
use crate::retention::Retention;
use crate::rfm::Rfm;
use crate::{Answer, Options, Problem, Range, Rows};

/// Which insight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How many people go which way through steps.
    Funnel,
    /// How many people come back.
    Retention,
    /// Who bought lately, often, much.
    Rfm,
    /// Who is there for the first time, and who again.
    NewReturning,
    /// What people do one after the other.
    Paths,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Funnel, Self::Retention, Self::Rfm, Self::NewReturning, Self::Paths];

    /// As commands and routes call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Funnel => "funnel",
            Self::Retention => "retention",
            Self::Rfm => "rfm",
            Self::NewReturning => "new-returning",
            Self::Paths => "paths",
        }
    }

    /// The insight of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// One question, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insight {
    kind: Kind,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Funnel(Funnel),
    Retention(Retention),
    Rfm(Rfm),
    NewReturning(NewReturning),
    Paths(Paths),
}

impl Insight {
    /// The question that `options` ask at `now`.
    ///
    /// # Errors
    /// An option that cannot be.
    pub fn new(kind: Kind, options: &Options, now: Timestamp) -> Result<Self, Problem> {
        let form = match kind {
            Kind::Funnel => Form::Funnel(Funnel::new(options, now)?),
            Kind::Retention => Form::Retention(Retention::new(options, now)?),
            Kind::Rfm => Form::Rfm(Rfm::new(options, now)?),
            Kind::NewReturning => Form::NewReturning(NewReturning::new(options, now)?),
            Kind::Paths => Form::Paths(Paths::new(options, now)?),
        };
        Ok(Self { kind, form })
    }

    /// Which it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The query.
    #[must_use]
    pub fn sql(&self) -> String {
        match &self.form {
            Form::Funnel(one) => one.sql(),
            Form::Retention(one) => one.sql(),
            Form::Rfm(one) => one.sql(),
            Form::NewReturning(one) => one.sql(),
            Form::Paths(one) => one.sql(),
        }
    }

    /// The times that it is about.
    #[must_use]
    pub const fn range(&self) -> Range {
        match &self.form {
            Form::Funnel(one) => one.common.range,
            Form::Retention(one) => one.common.range,
            Form::Rfm(one) => one.common.range,
            Form::NewReturning(one) => one.common.range,
            Form::Paths(one) => one.common.range,
        }
    }

    /// The events that it names and that its answer says nothing of: maybe they are called otherwise.
    #[must_use]
    pub fn missing(&self, rows: &Rows) -> Vec<String> {
        let (names, is_empty) = match &self.form {
            Form::Funnel(one) => return one.missing(rows),
            Form::Retention(one) => (vec![&one.start, &one.back], one.is_empty(rows)),
            Form::Rfm(one) => (vec![&one.event], rows.is_empty()),
            Form::NewReturning(one) => (vec![&one.event], one.is_empty(rows)),
            Form::Paths(one) => (vec![&one.start], rows.is_empty()),
        };
        if is_empty { names.into_iter().flatten().cloned().collect() } else { Vec::new() }
    }

    /// The forms in which people see its answer.
    #[must_use]
    pub fn answer(&self, rows: &Rows) -> Answer {
        match &self.form {
            Form::Funnel(one) => one.answer(rows),
            Form::Retention(one) => one.answer(rows),
            Form::Rfm(one) => one.answer(rows),
            Form::NewReturning(one) => one.answer(rows),
            Form::Paths(one) => one.answer(rows),
        }
    }
}

/// The days of a range, as a picture's second line says them.
pub(crate) fn days(range: Range) -> String {
    let day = |at: Timestamp| at.to_string().chars().take(10).collect::<String>();
    format!("{} to {}", day(range.from), day(range.to.plus_millis(-1)))
}
