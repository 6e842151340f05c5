//! Comparisons with constants that are made while files are read, before anybody's permission is asked.
//!
//! Nothing is told of the rows that they leave out, and the engine makes each comparison again of those that are left. Invariant: a
//! column that is masked is never compared here, for to the query it is null.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use datafusion::arrow::array::{Array as _, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::parquet::file::metadata::RowGroupMetaData;
use tessera_model::FragmentId;
use tessera_pipeline::PipelineError;

use super::mask::Masks;
use super::people::People;
use crate::coded::{Codes, Memo, missing, rows};
use crate::files::{Filter, texts_of, times_of};

pub(crate) const PROFILE: &str = "profile_id";
const FRAGMENT: &str = "fragment_id";
/// Columns whose texts are compared.
const TEXTS: [&str; 5] = ["type", "event", "source", FRAGMENT, PROFILE];

/// A comparison with constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// A text is one of these.
    Text(&'static str, BTreeSet<String>),
    /// It happened then or later, in microseconds.
    From(i64),
    /// It happened then or earlier, in microseconds.
    Until(i64),
}

impl Comparison {
    /// What a condition says, if it is one of these. It may be taken for a wider one.
    pub(crate) fn of(condition: &Expr, masks: &Masks) -> Option<Self> {
        let found = Self::read(condition)?;
        (!masks.hides(found.column())).then_some(found)
    }

    /// As files have it, which know fragments and no profiles.
    pub(crate) fn in_files(self, people: &dyn People) -> Result<Self, PipelineError> {
        let Self::Text(PROFILE, profiles) = self else { return Ok(self) };
        let mut fragments = BTreeSet::new();
        // Whatever else is asked for is the id of no profile.
        for profile in profiles.iter().filter_map(|text| text.parse::<FragmentId>().ok()) {
            fragments.extend(people.fragments(profile)?.iter().map(FragmentId::to_string));
        }
        Ok(Self::Text(FRAGMENT, fragments))
    }

    fn read(condition: &Expr) -> Option<Self> {
        if let Expr::InList(InList { expr, list, negated: false }) = condition {
            let Expr::Column(column) = expr.as_ref() else { return None };
            let text = |one: &Expr| {
                let Expr::Literal(value, _) = one else { return None };
                value.try_as_str().flatten().map(str::to_owned)
            };
            return Some(Self::Text(known(&column.name)?, list.iter().map(text).collect::<Option<_>>()?));
        }
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return None };
        if *op == Operator::Or {
            let (Self::Text(one, mut texts), Self::Text(other, more)) =
                (Self::read(left)?, Self::read(right)?)
            else {
                return None;
            };
            texts.extend(more);
            return (one == other).then_some(Self::Text(one, texts));
        }
        if let (Expr::Column(column), Expr::Literal(value, _)) = (left.as_ref(), right.as_ref()) {
            return Self::one(&column.name, *op, value);
        }
        let (Expr::Literal(value, _), Expr::Column(column)) = (left.as_ref(), right.as_ref()) else {
            return None;
        };
        Self::one(&column.name, op.swap()?, value)
    }

    fn one(column: &str, op: Operator, value: &ScalarValue) -> Option<Self> {
        if let (ScalarValue::TimestampMicrosecond(Some(micros), _), "timestamp") = (value, column) {
            if matches!(op, Operator::Gt | Operator::GtEq) {
                return Some(Self::From(*micros));
            }
            return matches!(op, Operator::Lt | Operator::LtEq).then_some(Self::Until(*micros));
        }
        let text = value.try_as_str().flatten().filter(|_| op == Operator::Eq)?;
        Some(Self::Text(known(column)?, BTreeSet::from([text.to_owned()])))
    }

    pub(crate) fn column(&self) -> &'static str {
        match self {
            Self::Text(column, _) => column,
            Self::From(_) | Self::Until(_) => "timestamp",
        }
    }

    /// Whether what happened between two moments, both included, may pass.
    pub(crate) fn may_hold(&self, (first, last): (i64, i64)) -> bool {
        match self {
            Self::Text(..) => true,
            Self::From(micros) => last >= *micros,
            Self::Until(micros) => first <= *micros,
        }
    }

    /// Whether a group of rows may pass, by its statistics.
    fn may_pass(&self, group: &RowGroupMetaData) -> bool {
        match self {
            Self::Text(column, texts) => texts_of(group, column).is_none_or(|(least, greatest)| {
                texts.range::<str, _>((Bound::Included(least), Bound::Included(greatest))).next().is_some()
            }),
            Self::From(_) | Self::Until(_) => times_of(group).is_none_or(|times| self.may_hold(times)),
        }
    }

    fn passes(&self, batch: &RecordBatch, known: &mut Memo<bool>) -> Result<BooleanBuffer, ArrowError> {
        let column = self.column();
        if let Self::Text(_, wanted) = self {
            let codes = Codes::of(batch, column).ok_or_else(|| missing(column))?;
            return Ok(codes.are(known, |text| wanted.contains(text)));
        }
        let times = batch.column_by_name(column).ok_or_else(|| missing(column))?;
        let times: &TimestampMicrosecondArray =
            times.as_any().downcast_ref().ok_or_else(|| missing(column))?;
        Ok(times.values().iter().map(|at| self.may_hold((*at, *at))).collect())
    }
}

fn known(column: &str) -> Option<&'static str> {
    TEXTS.into_iter().find(|name| *name == column)
}

/// The rows that pass all of `compared`.
pub(crate) fn filter(compared: &Arc<[Comparison]>) -> Filter {
    let columns: BTreeSet<&'static str> = compared.iter().map(Comparison::column).collect();
    let mut known: Vec<Memo<bool>> = compared.iter().map(|_| Memo::default()).collect();
    let (of_groups, of_rows) = (Arc::clone(compared), Arc::clone(compared));
    Filter {
        columns: columns.into_iter().collect(),
        may_hold: Box::new(move |group| of_groups.iter().all(|one| one.may_pass(group))),
        passes: Box::new(move |batch| {
            let mut passing = BooleanBuffer::new_set(batch.num_rows());
            for (one, known) in of_rows.iter().zip(&mut known) {
                passing = &passing & &one.passes(batch, known)?;
            }
            Ok(rows(passing))
        }),
    }
}
