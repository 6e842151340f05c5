//! Exact rules found from the columns: values that two people hardly ever have in common all at once.
//!
//! A rule is safe when agreement by chance explains hardly any of the pairs that agree, and when a part of it is a
//! person's own: a whole household shares address and telephone.

use std::collections::{BTreeMap, BTreeSet};

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
/// Of the matches that agree in the rest of a rule, the share that agrees in one more column, at least.
const MATCHES_AGREE: f64 = 0.8;
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
    let mut agreeing: BTreeMap<BTreeSet<usize>, f64> = BTreeMap::new();
    for size in 1..=COLUMNS_MAX {
        let counted: Vec<(BTreeSet<usize>, f64)> = sets(known.len(), size)
            .into_par_iter()
            .filter(|set| !found.iter().any(|(_, other)| other.is_subset(set)))
            .map(|set| Ok((set.clone(), pairs(table, &rule(&known, &set), (&sample, &makers))?)))
            .collect::<Result<_, MatchError>>()?;
        agreeing.extend(counted.iter().cloned());
        for (set, pairs) in counted {
            let chance = by_chance(table, &known, &set, (sample.len() as f64, &agreeing));
            if names_one(&known, &set) && pairs >= PAIRS_MIN && chance <= CHANCE_MAX * pairs {
                found.push((pairs, set));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    found.truncate(RULES);
    Ok(found.iter().map(|(_, set)| rule(&known, set)).collect())
}

/// All sets of so many of the columns.
fn sets(columns: usize, size: usize) -> Vec<BTreeSet<usize>> {
    let mut sets: Vec<BTreeSet<usize>> = vec![BTreeSet::new()];
    for _ in 0..size {
        let longer = |set: &BTreeSet<usize>| {
            let from = set.last().map_or(0, |last| last + 1);
            let set = set.clone();
            (from..columns).map(move |next| set.iter().copied().chain([next]).collect())
        };
        sets = sets.iter().flat_map(longer).collect();
    }
    sets
}

/// Whether columns may name one person: a number alone, or several with a person's own among them, if there is one.
fn names_one(known: &[Known<'_>], set: &BTreeSet<usize>) -> bool {
    if set.len() == 1 {
        return set.iter().all(|place| known[*place].kind == Kind::Id);
    }
    let is_own = |column: &Known<'_>| is_personal(column.kind);
    set.iter().any(|place| is_own(&known[*place])) || !known.iter().any(is_own)
}

/// The pairs of the sample that agree in a rule.
fn pairs(table: &Table, rule: &Rule, (sample, makers): (&[u32], &Makers)) -> Result<f64, MatchError> {
    let (keys, _) = sorted_keys(table, rule, makers, Some(sample))?;
    let groups = keys.chunk_by(|a, b| a.0 == b.0).map(|group| group.len() as f64);
    Ok(groups.map(|rows| rows * (rows - 1.0) / 2.0).sum())
}

/// How many pairs agree in all of `set` by chance: as if columns had nothing to do with each other, or more where two
/// of them have, postcode and town say. Then more pairs agree in the rest of the set than matches are.
fn by_chance(
    table: &Table,
    known: &[Known<'_>],
    set: &BTreeSet<usize>,
    (rows, agreeing): (f64, &BTreeMap<BTreeSet<usize>, f64>),
) -> f64 {
    let of = |place: &usize| table.column(known[*place].name).map_or(0.0, agreement);
    let alone = rows * (rows - 1.0) / 2.0 * set.iter().map(of).product::<f64>();
    let pairs = agreeing.get(set).copied().unwrap_or(0.0);
    let of_rest = set.iter().filter_map(|place| {
        let rest: BTreeSet<usize> = set.iter().copied().filter(|other| other != place).collect();
        let rest = agreeing.get(&rest)?;
        let no_matches = (MATCHES_AGREE * rest - pairs).max(0.0) / MATCHES_AGREE;
        Some(of(place) * no_matches)
    });
    of_rest.fold(alone, f64::max)
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
    fn a_town_adds_nothing_to_its_postcode() {
        let mut columns = ["first_name", "postcode", "city"].map(Column::new);
        for row in 0..4_000_u64 {
            let (name, place) = (crate::train::mix(row) % 40, crate::train::mix(row + 9_000) % 200);
            let values = [format!("name{name}x"), format!("{}", 10_000 + place), format!("town{place}")];
            columns.iter_mut().zip(&values).for_each(|(column, value)| column.push(Some(value)));
        }
        assert_eq!(exact_rules(&Table::new(columns.to_vec()).unwrap()).unwrap(), []);
    }

    #[test]
    fn columns_of_little_agreement_give_no_rule() {
        let mut name = Column::new("first_name");
        (0..500).for_each(|row| name.push(Some(&format!("name{}", row % 50))));
        assert_eq!(exact_rules(&Table::new(vec![name]).unwrap()).unwrap(), []);
    }
}
