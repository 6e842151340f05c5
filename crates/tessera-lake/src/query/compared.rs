//! Comparisons with constants that are made while files are read, before anybody's permission is asked.
//!
//! Nothing is told of the rows that they leave out, and the engine makes each comparison again of those that are left. Invariant: a
//! column that is masked is never compared here, for to the query it is null.

use std::collections::BTreeSet;

use datafusion::arrow::array::{Array as _, RecordBatch, TimestampMicrosecondArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::mask::Masks;
use crate::coded::{Codes, missing, rows};
use crate::files::{Filter, times_of};

/// Columns of few texts.
const TEXTS: [&str; 3] = ["type", "event", "source"];

/// A comparison with constants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// A text is one of these.
    Text(&'static str, BTreeSet<String>),
    /// It happened then or later, in microseconds.
    From(i64),
    /// It happened then or earlier, in microseconds.
    Until(i64),
}

impl Compared {
    /// What a condition says, if it is one of these. It may be taken for a wider one.
    pub(crate) fn of(condition: &Expr, masks: &Masks) -> Option<Self> {
        let found = Self::read(condition)?;
        (!masks.hides(found.column())).then_some(found)
    }

    fn read(condition: &Expr) -> Option<Self> {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                match (Self::read(left)?, Self::read(right)?) {
                    (Self::Text(one, mut texts), Self::Text(other, more)) if one == other => {
                        texts.extend(more);
                        Some(Self::Text(one, texts))
                    }
                    _ => None,
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (left.as_ref(), right.as_ref()) {
                (Expr::Column(column), Expr::Literal(value, _)) => Self::one(&column.name, *op, value),
                (Expr::Literal(value, _), Expr::Column(column)) => Self::one(&column.name, op.swap()?, value),
                _ => None,
            },
            Expr::InList(InList { expr, list, negated: false }) => {
                let Expr::Column(column) = expr.as_ref() else { return None };
                let text = |one: &Expr| match one {
                    Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
                    _ => None,
                };
                Some(Self::Text(known(&column.name)?, list.iter().map(text).collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    fn one(column: &str, op: Operator, value: &ScalarValue) -> Option<Self> {
        match (value, op) {
            (ScalarValue::TimestampMicrosecond(Some(micros), _), _) if column == "timestamp" => match op {
                Operator::Gt | Operator::GtEq => Some(Self::From(*micros)),
                Operator::Lt | Operator::LtEq => Some(Self::Until(*micros)),
                _ => None,
            },
            (value, Operator::Eq) => {
                let text = value.try_as_str().flatten()?.to_owned();
                Some(Self::Text(known(column)?, BTreeSet::from([text])))
            }
            _ => None,
        }
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

    fn passes(&self, batch: &RecordBatch) -> Result<BooleanBuffer, ArrowError> {
        let column = self.column();
        if let Self::Text(_, wanted) = self {
            let codes = Codes::of(batch, column).ok_or_else(|| missing(column))?;
            return Ok(codes.are(|text| wanted.contains(text)));
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
pub(crate) fn filter(compared: &std::sync::Arc<[Compared]>) -> Filter {
    let columns: BTreeSet<&'static str> = compared.iter().map(Compared::column).collect();
    let (of_groups, of_rows) = (std::sync::Arc::clone(compared), std::sync::Arc::clone(compared));
    Filter {
        columns: columns.into_iter().collect(),
        may_hold: Box::new(move |group| {
            times_of(group).is_none_or(|times| of_groups.iter().all(|one| one.may_hold(times)))
        }),
        passes: Box::new(move |batch| {
            let mut passing = BooleanBuffer::new_set(batch.num_rows());
            for one in of_rows.iter() {
                passing = &passing & &one.passes(batch)?;
            }
            Ok(rows(passing))
        }),
    }
}
