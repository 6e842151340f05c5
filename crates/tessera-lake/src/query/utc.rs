//! Times of UTC, computed without a time zone: what a day, a week or a month is needs no looking up there.
//!
//! Invariant: every value is what it would be with the time zone: UTC has no shifts.

#![expect(clippy::wildcard_enum_match_arm, reason = "what is not named here stays as it is")]

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, cast};

/// The plan, with its functions of times that are known to be slow otherwise.
pub(super) fn without_zones(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| {
        if matches!(plan, LogicalPlan::TableScan(_) | LogicalPlan::Explain(_)) {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|expr| of_utc(expr, &schema))?.update_data(|expr| name.restore(expr)))
        })?;
        plan.map_data(|plan| plan.recompute_schema())
    })?;
    Ok(plan.data)
}

fn of_utc(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let local = |time: Expr, unit| cast(time, DataType::Timestamp(unit, None));
    let again = |expr, unit: TimeUnit| cast(expr, DataType::Timestamp(unit, Some("UTC".into())));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Plus | Operator::Minus), right })
            if matches!(right.get_type(schema)?, DataType::Interval(_)) =>
        {
            let Some(unit) = unit_of_utc(&left, schema)? else {
                return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
            };
            let left = Box::new(local(*left, unit));
            Ok(Transformed::yes(again(Expr::BinaryExpr(BinaryExpr { left, op, right }), unit)))
        }
        Expr::ScalarFunction(mut function) if function.name() == "date_trunc" => {
            let unit = function.args.get(1).map(|time| unit_of_utc(time, schema)).transpose()?.flatten();
            match (unit, function.args.get_mut(1)) {
                (Some(unit), Some(time)) => {
                    *time = local(std::mem::take(time), unit);
                    Ok(Transformed::yes(again(Expr::ScalarFunction(function), unit)))
                }
                _ => Ok(Transformed::no(Expr::ScalarFunction(function))),
            }
        }
        expr => Ok(Transformed::no(expr)),
    }
}

/// The unit of a time of UTC; `None`: it is none.
fn unit_of_utc(expr: &Expr, schema: &DFSchema) -> Result<Option<TimeUnit>> {
    Ok(match expr.get_type(schema)? {
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() == "UTC" => Some(unit),
        _ => None,
    })
}
