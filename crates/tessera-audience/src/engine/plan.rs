//! Definitions, compiled: conditions whose events are numbers of features and whose names are numbers of definitions.

use tessera_model::PurposeName;

use super::check::Check;
use super::extract::Paths;
use crate::{Comparator, ConsentState, DateRange, Duration, Number, Operator, Scalar, SubscriptionTest};

/// A condition.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Value { of: Source, check: Check },
    Compare { left: Source, comparator: Comparator, right: Source },
    Date { of: Source, is: DateRange },
    Anniversary { of: FromTrait, within_days: u16 },
    Sequence(Chain),
    Audience(usize),
    Consent { purpose: PurposeName, is: ConsentState },
    Subscription(SubscriptionTest),
    Sample { seed: smol_str::SmolStr, from: Number, to: Number },
}

/// Where values come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Literal(Scalar),
    Trait(FromTrait),
    Account(FromTrait),
    Taken { feature: usize, take: Taking },
    Arithmetic(Box<(Source, Operator, Source)>),
    Age(FromTrait),
    Rfm(Box<Grid>),
    Whether(Box<Node>),
}

/// A path of a person's or account's traits.
#[derive(Clone, Debug)]
pub(crate) struct FromTrait {
    /// The trait.
    pub(crate) name: smol_str::SmolStr,
    /// The computed trait that hides it.
    pub(crate) computed: Option<usize>,
    /// What follows of the path is at slot 0.
    pub(crate) rest: Paths,
}

/// What is taken of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taking {
    Count,
    Sum,
    Average,
    Least,
    Greatest,
    Distinct,
    UniqueList,
    MostFrequent,
    First,
    Last,
}

/// Recency, frequency and monetary value.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub(crate) latest: usize,
    pub(crate) count: usize,
    pub(crate) sum: usize,
    pub(crate) recency: Vec<Duration>,
    pub(crate) frequency: Vec<u32>,
    pub(crate) monetary: Vec<Number>,
}

/// A sequence.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) steps: Vec<Link>,
    pub(crate) within: Option<i64>,
    pub(crate) then_no: Option<(Vec<usize>, i64)>,
}

/// One step of a sequence, by features of times.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) event: usize,
    pub(crate) within: Option<i64>,
    pub(crate) without: Vec<usize>,
}
