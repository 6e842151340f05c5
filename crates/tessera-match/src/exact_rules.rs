//! Exact rules found from the columns: values that two people hardly ever have in common all at once.
//!
//! A rule is safe when agreement by chance explains hardly any of the pairs that agree, and when a part of it is a
//! person's own: a whole household shares address and telephone.

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::blocking::sample;
use crate::blocks::sorted_keys;
use crate::error::MatchError;
use crate::forms::Makers;
use crate::infer::{Known, is_personal, known};
use crate::kinds::Kind;
use crate::spec::{Expression, Form, Rule};
use crate::table::{Column, Table};

/// Of the pairs that agree in a rule, the share that chance may explain.
const CHANCE_MAX: f64 = 0.002;
/// Columns of one rule.
const COLUMNS_MAX: usize = 3;
/// Rules kept, those that find the most pairs first.
const RULES: usize = 8;
/// Pairs of the sample that a rule must find to be judged.
const PAIRS_MIN: f64 = 20.0;

/// The exact rules that fit `table`: columns that identify a person when they agree together. None when there are no
/// such columns.
///
/// # Errors
///
/// When there are too many values to be looked at.
pub fn exact_rules(table: &Table) -> Result<Vec<Rule>, MatchError> {
    let known: Vec<Known<'_>> = known(table).into_iter().filter(|k| k.kind != Kind::Category).collect();
    let makers = Makers::new();
    let sample = sample(table);
    let mut found: Vec<(f64, BTreeSet<usize>)> = Vec::new();
    for size in 1..=COLUMNS_MAX {
        let sets = sets(&known, size);
        let wanted = sets.into_par_iter().filter(|set| !found.iter().any(|(_, other)| other.is_subset(set)));
        let judged: Vec<(f64, BTreeSet<usize>)> = wanted
            .map(|set| Ok(pairs(table, &known, &set, (&sample, &makers))?.map(|pairs| (pairs, set))))
            .collect::<Result<Vec<_>, MatchError>>()?
            .into_iter()
            .flatten()
            .collect();
        found.extend(judged);
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.truncate(RULES);
    Ok(found.iter().map(|(_, set)| rule(&known, set)).collect())
}

/// Sets of so many columns that may be rules. Where any column is a person's own, one of them is in each.
fn sets(known: &[Known<'_>], size: usize) -> Vec<BTreeSet<usize>> {
    let has_personal = known.iter().any(|column| is_personal(column.kind));
    let mut sets: Vec<BTreeSet<usize>> = vec![BTreeSet::new()];
    for _ in 0..size {
        let longer = |set: &BTreeSet<usize>| {
            let from = set.last().map_or(0, |last| last + 1);
            let set = set.clone();
            (from..known.len()).map(move |next| set.iter().copied().chain([next]).collect())
        };
        sets = sets.iter().flat_map(longer).collect();
    }
    let names_one = |set: &BTreeSet<usize>| {
        let personal = set.iter().any(|place| is_personal(known[*place].kind));
        let is_number = size == 1 && set.iter().all(|place| known[*place].kind == Kind::Id);
        if size == 1 { is_number } else { personal || !has_personal }
    };
    sets.retain(names_one);
    sets
}

/// The pairs of the sample that agree in all of `set`, unless chance may explain too many of them.
fn pairs(
    table: &Table,
    known: &[Known<'_>],
    set: &BTreeSet<usize>,
    (sample, makers): (&[u32], &Makers),
) -> Result<Option<f64>, MatchError> {
    let rows = sample.len() as f64;
    let columns = set.iter().filter_map(|place| table.column(known[*place].name));
    let chance = rows * (rows - 1.0) / 2.0 * columns.map(agreement).product::<f64>();
    let (keys, _) = sorted_keys(table, &rule(known, set), makers, Some(sample))?;
    let groups = keys.chunk_by(|a, b| a.0 == b.0).map(|group| group.len() as f64);
    let agreeing: f64 = groups.map(|rows| rows * (rows - 1.0) / 2.0).sum();
    Ok((agreeing >= PAIRS_MIN && chance <= CHANCE_MAX * agreeing).then_some(agreeing))
}

/// The share of all pairs of rows that agree in a column, if persons have nothing to do with it.
fn agreement(column: &Column) -> f64 {
    let rows = column.codes().len() as f64;
    let of = |count: &u32| f64::from(*count) * (f64::from(*count) - 1.0);
    column.counts().iter().skip(1).map(of).sum::<f64>() / (rows * (rows - 1.0)).max(1.0)
}

fn rule(known: &[Known<'_>], set: &BTreeSet<usize>) -> Rule {
    let expression =
        |place: &usize| Expression { column: known[*place].name.to_owned(), with: None, form: Form::Whole };
    Rule(set.iter().map(expression).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::households;

    #[test]
    fn rules_hold_something_of_a_persons_own() {
        let (table, _) = households(400);
        let rules = exact_rules(&table).unwrap();
        assert!(!rules.is_empty());
        for Rule(expressions) in &rules {
            let own = |e: &Expression| matches!(e.column.as_str(), "vorname" | "geburtsdatum");
            assert!(expressions.iter().any(own), "{rules:?}");
        }
    }

    #[test]
    fn columns_of_little_agreement_give_no_rule() {
        let mut name = Column::new("first_name");
        (0..500).for_each(|row| name.push(Some(&format!("name{}", row % 50))));
        assert_eq!(exact_rules(&Table::new(vec![name]).unwrap()).unwrap(), []);
    }
}
