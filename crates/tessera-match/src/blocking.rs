//! Which blocking rules suit a table: all that are selective enough, within a budget of pairs that grows as the table
//! does and no faster.

use rayon::prelude::*;

use crate::blocks::{cost, sorted_keys};
use crate::error::MatchError;
use crate::forms::Makers;
use crate::infer::Known;
use crate::kinds::Kind;
use crate::spec::{Expression, Form, Limits, Rule};
use crate::table::Table;
use crate::train::mix;

/// Up to so many pairs, all are compared.
const ALL_PAIRS_MAX: f64 = 2_000_000.0;
/// Pairs per row that all rules together may give.
const PAIRS_PER_ROW: f64 = 10.0;
/// Pairs per row that one rule may give.
const PAIRS_PER_ROW_AND_RULE: f64 = 3.0;
/// Pairs that any table may give, however small.
const PAIRS_MIN: f64 = 8_000_000.0;
/// Rows that costs are estimated on.
const SAMPLE_ROWS: u32 = 60_000;
/// Rules chosen.
const RULES: usize = 48;

/// Chooses rules for `known` columns.
pub(crate) fn choose_rules(
    table: &Table,
    known: &[Known<'_>],
    limits: Limits,
) -> Result<Vec<Rule>, MatchError> {
    let rows = table.rows() as f64;
    if rows * (rows - 1.0) / 2.0 <= ALL_PAIRS_MAX {
        return Ok(Vec::new());
    }
    let candidates = candidates(known);
    let makers = Makers::new();
    let sample = sample(table);
    let scale = (rows / sample.len() as f64).powi(2);
    let mut costs: Vec<(f64, &Rule)> = candidates
        .par_iter()
        .map(|rule| {
            let (keys, _) = sorted_keys(table, rule, &makers, Some(&sample))?;
            Ok((cost(rule, &keys, Limits { block_rows_max: u32::MAX, ..limits }).pairs as f64 * scale, rule))
        })
        .collect::<Result<_, MatchError>>()?;
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let budget = (rows * PAIRS_PER_ROW).max(PAIRS_MIN);
    let each = (rows * PAIRS_PER_ROW_AND_RULE).max(PAIRS_MIN / 4.0);
    let mut chosen: Vec<&Rule> = Vec::new();
    // A rule that asks for less than another finds all that the other does: single expressions first.
    let mut sum = 0.0;
    for length in 1..=2 {
        for (cost, rule) in costs.iter().filter(|(_, rule)| rule.0.len() == length) {
            let implied = chosen.iter().any(|other| asks_less(other, rule));
            if !implied && *cost <= each && sum + cost <= budget {
                let before = chosen.len();
                chosen.retain(|other| !asks_less(rule, other));
                sum += if chosen.len() < before { 0.0 } else { *cost };
                chosen.push(rule);
            }
        }
    }
    chosen.truncate(RULES);
    Ok(chosen.into_iter().cloned().collect())
}

/// Whether every pair that agrees in `strict` agrees in `loose` as well.
fn asks_less(loose: &Rule, strict: &Rule) -> bool {
    let covers = |loose: &Expression, strict: &Expression| {
        loose == strict
            || (loose.column == strict.column
                && strict.form == Form::Whole
                && strict.with.is_none()
                && loose.with.is_none())
    };
    loose.0.iter().all(|loose| strict.0.iter().any(|strict| covers(loose, strict)))
}

/// Rows spread over the table, the same each time.
pub(crate) fn sample(table: &Table) -> Vec<u32> {
    let rows = u32::try_from(table.rows()).unwrap_or(u32::MAX);
    if rows <= SAMPLE_ROWS {
        return (0..rows).collect();
    }
    let mut sample: Vec<u32> = (0..u64::from(SAMPLE_ROWS))
        .map(|draw| u32::try_from(mix(draw) % u64::from(rows)).unwrap_or_default())
        .collect();
    sample.sort_unstable();
    sample.dedup();
    sample
}

/// Expressions of each column, and all of one or two of them that are of different columns.
fn candidates(known: &[Known<'_>]) -> Vec<Rule> {
    let mut expressions: Vec<(usize, Expression)> = Vec::new();
    for (place, column) in known.iter().enumerate() {
        for form in forms(column.kind) {
            let expression = Expression { column: column.name.to_owned(), with: None, form: *form };
            expressions.push((place, expression));
        }
    }
    let mut rules: Vec<Rule> =
        expressions.iter().map(|(_, expression)| Rule(vec![expression.clone()])).collect();
    let given = known.iter().find(|column| column.kind == Kind::GivenName);
    let family = known.iter().find(|column| column.kind == Kind::FamilyName);
    if let (Some(given), Some(family)) = (given, family) {
        let with = Some(family.name.to_owned());
        rules.push(Rule(vec![Expression { column: given.name.to_owned(), with, form: Form::Whole }]));
    }
    for (number, (place, first)) in expressions.iter().enumerate() {
        for (other, second) in expressions.iter().skip(number + 1) {
            if other != place {
                rules.push(Rule(vec![first.clone(), second.clone()]));
            }
        }
    }
    rules
}

/// What of a kind of value is worth blocking by.
fn forms(kind: Kind) -> &'static [Form] {
    match kind {
        Kind::GivenName => &[Form::Whole, Form::Prefix(3)],
        Kind::FamilyName => &[Form::Whole, Form::Prefix(4)],
        Kind::FullName => &[Form::Whole, Form::SortedWords],
        Kind::Date => &[Form::Whole, Form::Year],
        Kind::Email => &[Form::Whole, Form::LocalPart],
        Kind::Phone => &[Form::Whole, Form::Suffix(6)],
        Kind::Postcode => &[Form::Whole, Form::Prefix(3)],
        Kind::City | Kind::Street | Kind::HouseNumber | Kind::Id | Kind::Place | Kind::Text => &[Form::Whole],
        Kind::Number | Kind::Category => &[Form::Whole],
        Kind::Nothing => &[],
    }
}
