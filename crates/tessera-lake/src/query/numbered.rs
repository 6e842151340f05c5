//! People by number: where a plan only asks whether two profiles are the same, it compares their numbers and not their ids as texts.
//!
//! A plan is the same with either: a number stands for one id as long as a query runs. Invariant: whatever looks at a profile's id in another
//! way, and whoever reads the answer, is given the text.
#![expect(clippy::wildcard_enum_match_arm, reason = "what is not named here stays as it is")]

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{AsArray as _, UInt32Array};
use datafusion::arrow::datatypes::{DataType, UInt32Type};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, JoinType, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr::{AggregateFunction, WindowFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, ColumnarValue, Distinct, Explain, Expr, Filter, Join, Limit, LogicalPlan,
    Operator, Projection, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Sort, Subquery,
    SubqueryAlias, TableScan, TableScanBuilder, Volatility, Window,
};

use super::comparison::PROFILE;
use super::events::Events;
use super::register::Register;

/// The plan, with people by number inside and their ids as texts outside.
pub(crate) fn numbered(plan: LogicalPlan, register: &Arc<Register>) -> Result<LogicalPlan> {
    if let LogicalPlan::Explain(explain) = plan {
        let plan = Arc::new(numbered(Arc::unwrap_or_clone(explain.plan), register)?);
        return Ok(LogicalPlan::Explain(Explain { plan, ..explain }));
    }
    let rewriter = Rewriter { text_of: Arc::new(ScalarUDF::from(TextOf(Arc::clone(register)))) };
    let Numbered { plan, columns } = rewriter.plan(plan)?;
    rewriter.with_texts(plan, &columns)
}

/// A plan some of whose columns are numbers in the place of texts.
struct Numbered {
    plan: LogicalPlan,
    columns: BTreeSet<usize>,
}

impl Numbered {
    fn scope(&self) -> Scope<'_> {
        Scope(vec![(self.plan.schema(), &self.columns)])
    }
}

/// Columns that an expression may speak of.
struct Scope<'a>(Vec<(&'a DFSchema, &'a BTreeSet<usize>)>);

impl Scope<'_> {
    fn has(&self, column: &Column) -> bool {
        let place = self.0.iter().find_map(|(schema, columns)| {
            schema.maybe_index_of_column(column).map(|place| columns.contains(&place))
        });
        place.unwrap_or(false)
    }

    /// Whether an expression is nothing but a number.
    fn is_number(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Column(column) => self.has(column),
            Expr::Alias(alias) => self.is_number(&alias.expr),
            _ => false,
        }
    }
}

struct Rewriter {
    text_of: Arc<ScalarUDF>,
}

impl Rewriter {
    /// As far up as it goes.
    fn plan(&self, plan: LogicalPlan) -> Result<Numbered> {
        let plan = plan.map_subqueries(|inner| self.question(inner))?.data;
        if asks_outside(&plan) {
            return Ok(Numbered { plan, columns: BTreeSet::new() });
        }
        match plan {
            LogicalPlan::TableScan(scan) => scanned(scan),
            LogicalPlan::Projection(projection) => {
                let input = self.plan(Arc::unwrap_or_clone(projection.input))?;
                let (exprs, columns) = self.outputs(projection.expr, &input)?;
                let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input.plan))?);
                Ok(Numbered { plan, columns })
            }
            LogicalPlan::Filter(filter) => {
                let Numbered { plan, columns } = self.plan(Arc::unwrap_or_clone(filter.input))?;
                let predicate = self.expr(filter.predicate, &Scope(vec![(plan.schema(), &columns)]))?;
                Ok(Numbered {
                    plan: LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?),
                    columns,
                })
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Numbered { plan, columns } = self.plan(Arc::unwrap_or_clone(alias.input))?;
                let plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(plan), alias.alias)?);
                Ok(Numbered { plan, columns })
            }
            LogicalPlan::Limit(limit) => {
                let Numbered { plan, columns } = self.plan(Arc::unwrap_or_clone(limit.input))?;
                let plan = LogicalPlan::Limit(Limit { input: Arc::new(plan), ..limit });
                Ok(Numbered { plan, columns })
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Numbered { plan, columns } = self.plan(Arc::unwrap_or_clone(input))?;
                Ok(Numbered { plan: LogicalPlan::Distinct(Distinct::All(Arc::new(plan))), columns })
            }
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Window(window) => self.window(window),
            LogicalPlan::Join(join) => self.join(join),
            plan => Ok(Numbered { plan, columns: BTreeSet::new() }),
        }
    }

    /// A question inside of an expression, if it speaks of nothing outside of it.
    fn question(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Subquery(question) if question.outer_ref_columns.is_empty() => {
                let Numbered { plan, columns } = self.plan(Arc::unwrap_or_clone(question.subquery))?;
                let subquery = Arc::new(self.with_texts(plan, &columns)?);
                Ok(Transformed::yes(LogicalPlan::Subquery(Subquery { subquery, ..question })))
            }
            plan => Ok(Transformed::no(plan)),
        }
    }

    fn sort(&self, sort: Sort) -> Result<Numbered> {
        let Numbered { plan, columns } = self.plan(Arc::unwrap_or_clone(sort.input))?;
        let scope = Scope(vec![(plan.schema(), &columns)]);
        let by = sort.expr.into_iter().map(|by| Ok(by.with_expr(self.expr(by.expr.clone(), &scope)?)));
        let expr = by.collect::<Result<Vec<_>>>()?;
        Ok(Numbered {
            plan: LogicalPlan::Sort(Sort { expr, input: Arc::new(plan), fetch: sort.fetch }),
            columns,
        })
    }

    fn aggregate(&self, aggregate: Aggregate) -> Result<Numbered> {
        let mut input = self.plan(Arc::unwrap_or_clone(aggregate.input))?;
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            input = Numbered { plan: self.with_texts(input.plan, &input.columns)?, columns: BTreeSet::new() };
        }
        let (group, columns) = self.outputs(aggregate.group_expr, &input)?;
        let found = self.named(aggregate.aggr_expr, &input.scope())?;
        let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input.plan), group, found)?);
        Ok(Numbered { plan, columns })
    }

    fn window(&self, window: Window) -> Result<Numbered> {
        let input = self.plan(Arc::unwrap_or_clone(window.input))?;
        let found = self.named(window.window_expr, &input.scope())?;
        let plan = LogicalPlan::Window(Window::try_new(found, Arc::new(input.plan))?);
        // What it found stands behind the columns that it was given.
        Ok(Numbered { plan, columns: input.columns })
    }

    fn join(&self, join: Join) -> Result<Numbered> {
        let left = self.plan(Arc::unwrap_or_clone(join.left))?;
        let right = self.plan(Arc::unwrap_or_clone(join.right))?;
        let (in_left, in_right) = (left.scope(), right.scope());
        let both = |(one, other): (Expr, Expr)| match in_left.is_number(&one) && in_right.is_number(&other) {
            true => Ok((one, other)),
            false => Ok::<_, DataFusionError>((self.expr(one, &in_left)?, self.expr(other, &in_right)?)),
        };
        let on = join.on.into_iter().map(both).collect::<Result<Vec<_>>>()?;
        let in_both = Scope(in_left.0.iter().chain(&in_right.0).copied().collect());
        let filter = join.filter.map(|filter| self.expr(filter, &in_both)).transpose()?;
        let width = left.plan.schema().fields().len();
        let columns = match join.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
                left.columns.iter().copied().chain(right.columns.iter().map(|place| place + width)).collect()
            }
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left.columns.clone(),
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right.columns.clone(),
        };
        let (left, right) = (Arc::new(left.plan), Arc::new(right.plan));
        let plan = Join::try_new(
            left,
            right,
            on,
            filter,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        Ok(Numbered { plan: LogicalPlan::Join(plan), columns })
    }

    /// Expressions whose values are columns of their own: which of these are numbers.
    fn outputs(&self, exprs: Vec<Expr>, input: &Numbered) -> Result<(Vec<Expr>, BTreeSet<usize>)> {
        let scope = input.scope();
        let numbers = (0..).zip(&exprs).filter(|(_, expr)| scope.is_number(expr)).map(|(place, _)| place);
        let columns: BTreeSet<usize> = numbers.collect();
        let names = NamePreserver::new_for_projection();
        let exprs = exprs.into_iter().enumerate().map(|(place, expr)| {
            if columns.contains(&place) {
                return Ok(expr);
            }
            let name = names.save(&expr);
            Ok(name.restore(self.expr(expr, &scope)?))
        });
        Ok((exprs.collect::<Result<Vec<_>>>()?, columns))
    }

    /// Expressions that keep the names that others call them by.
    fn named(&self, exprs: Vec<Expr>, scope: &Scope<'_>) -> Result<Vec<Expr>> {
        let names = NamePreserver::new_for_projection();
        let named = exprs.into_iter().map(|expr| {
            let name = names.save(&expr);
            Ok(name.restore(self.expr(expr, scope)?))
        });
        named.collect()
    }

    /// The expression over texts: numbers stay where only sameness counts.
    fn expr(&self, expr: Expr, scope: &Scope<'_>) -> Result<Expr> {
        let kept = |expr| Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
        let changed = expr.transform_down(|expr| match expr {
            Expr::Column(column) if scope.has(&column) => {
                let text = self.text_of.call(vec![Expr::Column(column)]);
                Ok(Transformed::new(text, true, TreeNodeRecursion::Jump))
            }
            Expr::BinaryExpr(binary) if is_sameness(&binary, scope) => kept(Expr::BinaryExpr(binary)),
            Expr::IsNull(inner) if scope.is_number(&inner) => kept(Expr::IsNull(inner)),
            Expr::IsNotNull(inner) if scope.is_number(&inner) => kept(Expr::IsNotNull(inner)),
            Expr::AggregateFunction(function) if counts_numbers(&function, scope) => {
                kept(Expr::AggregateFunction(function))
            }
            Expr::WindowFunction(function) => {
                let function = Expr::WindowFunction(Box::new(self.windowed(*function, scope)?));
                Ok(Transformed::new(function, true, TreeNodeRecursion::Jump))
            }
            expr => Ok(Transformed::no(expr)),
        })?;
        Ok(changed.data)
    }

    fn windowed(&self, mut function: WindowFunction, scope: &Scope<'_>) -> Result<WindowFunction> {
        let params = &mut function.params;
        for expr in params.args.iter_mut().chain(params.filter.as_deref_mut()) {
            *expr = self.expr(std::mem::take(expr), scope)?;
        }
        for by in &mut params.order_by {
            by.expr = self.expr(std::mem::take(&mut by.expr), scope)?;
        }
        for expr in params.partition_by.iter_mut().filter(|expr| !scope.is_number(expr)) {
            *expr = self.expr(std::mem::take(expr), scope)?;
        }
        Ok(function)
    }

    /// The plan with all columns as they were.
    fn with_texts(&self, plan: LogicalPlan, columns: &BTreeSet<usize>) -> Result<LogicalPlan> {
        if columns.is_empty() {
            return Ok(plan);
        }
        let exprs = plan.schema().iter().enumerate().map(|(place, (table, field))| {
            let column = Expr::Column(Column::new(table.cloned(), field.name()));
            match columns.contains(&place) {
                true => self.text_of.call(vec![column]).alias_qualified(table.cloned(), field.name()),
                false => column,
            }
        });
        Ok(LogicalPlan::Projection(Projection::try_new(exprs.collect(), Arc::new(plan))?))
    }
}

/// Whether an expression of the plan, or a question inside of one, speaks of columns outside of it.
fn asks_outside(plan: &LogicalPlan) -> bool {
    let speaks = |expr: &Expr| match expr {
        Expr::ScalarSubquery(question) => !question.outer_ref_columns.is_empty(),
        Expr::InSubquery(part) => !part.subquery.outer_ref_columns.is_empty(),
        Expr::Exists(part) => !part.subquery.outer_ref_columns.is_empty(),
        Expr::SetComparison(part) => !part.subquery.outer_ref_columns.is_empty(),
        expr => matches!(expr, Expr::OuterReferenceColumn(_, _)),
    };
    plan.expressions().iter().any(|expr| expr.exists(|expr| Ok(speaks(expr))).unwrap_or(true))
}

fn scanned(scan: TableScan) -> Result<Numbered> {
    let provider = source_as_provider(&scan.source)?;
    let shows = |place: &usize| scan.source.schema().field(*place).name() == PROFILE;
    let columns: BTreeSet<usize> = match &scan.projection {
        Some(projection) => {
            (0..).zip(projection).filter(|(_, of)| shows(of)).map(|(place, _)| place).collect()
        }
        None => (0..scan.source.schema().fields().len()).filter(shows).collect(),
    };
    let events = (provider.as_ref() as &dyn std::any::Any).downcast_ref::<Events>();
    match events.filter(|_| !columns.is_empty()) {
        None => Ok(Numbered { plan: LogicalPlan::TableScan(scan), columns: BTreeSet::new() }),
        Some(events) => {
            let source = provider_as_source(Arc::new(events.numbered()));
            let TableScan { table_name, projection, filters, fetch, .. } = scan;
            let scan = TableScanBuilder::new(table_name, source)
                .with_projection(projection)
                .with_filters(filters)
                .with_fetch(fetch)
                .build()?;
            Ok(Numbered { plan: LogicalPlan::TableScan(scan), columns })
        }
    }
}

fn is_sameness(binary: &BinaryExpr, scope: &Scope<'_>) -> bool {
    use Operator::{Eq, IsDistinctFrom, IsNotDistinctFrom, NotEq};
    matches!(binary.op, Eq | NotEq | IsDistinctFrom | IsNotDistinctFrom)
        && scope.is_number(&binary.left)
        && scope.is_number(&binary.right)
}

fn counts_numbers(function: &AggregateFunction, scope: &Scope<'_>) -> bool {
    let params = &function.params;
    function.func.name() == "count"
        && params.args.iter().all(|expr| scope.is_number(expr))
        && params.filter.is_none()
        && params.order_by.is_empty()
}

/// The id of a person by number. Plans alone use it: no query can name it.
struct TextOf(Arc<Register>);

impl fmt::Debug for TextOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text_of")
    }
}

impl PartialEq for TextOf {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for TextOf {}

impl Hash for TextOf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl ScalarUDFImpl for TextOf {
    fn name(&self) -> &str {
        "text_of"
    }

    fn signature(&self) -> &Signature {
        static ONE_NUMBER: std::sync::LazyLock<Signature> =
            std::sync::LazyLock::new(|| Signature::exact(vec![DataType::UInt32], Volatility::Immutable));
        &ONE_NUMBER
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let wrong = || DataFusionError::Internal("text_of is of one number".to_owned());
        let rows = args.number_rows;
        let numbers = args.args.into_iter().next().ok_or_else(wrong)?.into_array(rows)?;
        let numbers: &UInt32Array = numbers.as_primitive_opt::<UInt32Type>().ok_or_else(wrong)?;
        Ok(ColumnarValue::Array(Arc::new(self.0.numbers.texts(numbers.iter()))))
    }
}
