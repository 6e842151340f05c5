//! A specification made from the columns alone, so that nobody has to write one.

use rayon::prelude::*;

use crate::blocking::choose_rules;
use crate::error::MatchError;
use crate::kinds::{Kind, kind};
use crate::spec::{COMPARISONS_MAX, Comparison, Limits, ModelSpec, Pairs, Test, Thresholds};
use crate::table::Table;

/// A column and what it holds.
pub(crate) struct Known<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
}

impl ModelSpec {
    /// Guesses what each column holds, and from that what to compare, how, and which pairs.
    ///
    /// # Errors
    ///
    /// When no column tells people apart.
    pub fn infer(table: &Table) -> Result<Self, MatchError> {
        let known = known(table);
        if known.is_empty() {
            return Err(MatchError::NothingToCompare {
                why: format!("none of {} columns has more than one value", table.columns().len()),
            });
        }
        let comparisons = known.iter().map(|column| comparison(column, &known)).collect();
        let limits = Limits::default();
        Ok(Self {
            blocking: choose_rules(table, &known, limits)?,
            comparisons,
            exact_rules: Vec::new(),
            pairs: Pairs::Any,
            thresholds: Thresholds::default(),
            limits,
        })
    }
}

/// The columns that tell people apart, and what they hold.
pub(crate) fn known(table: &Table) -> Vec<Known<'_>> {
    let known = table
        .columns()
        .par_iter()
        .map(|column| Known { name: column.name(), kind: kind(column) })
        .filter(|known| known.kind != Kind::Nothing)
        .collect();
    without_compounds(table, known).into_iter().take(COMPARISONS_MAX).collect()
}

/// Whether a value of this kind is a person's own and lasts, and no household's.
pub(crate) fn is_personal(kind: Kind) -> bool {
    matches!(kind, Kind::GivenName | Kind::FullName | Kind::Date | Kind::Id)
}

/// Leaves out columns that are made of others: `full_name` where there are given and family name. Compared again they
/// would say twice what was said.
fn without_compounds<'a>(table: &Table, known: Vec<Known<'a>>) -> Vec<Known<'a>> {
    let names: Vec<&str> = known
        .iter()
        .filter(|k| matches!(k.kind, Kind::GivenName | Kind::FamilyName))
        .map(|k| k.name)
        .collect();
    let compound = |column: &Known<'a>| {
        matches!(column.kind, Kind::FullName | Kind::Text | Kind::FamilyName | Kind::GivenName)
            && names.iter().filter(|name| **name != column.name && holds(table, column.name, name)).count()
                > 1
    };
    known.into_iter().filter(|column| !compound(column)).collect()
}

/// Whether the values of `part` occur in those of `whole`, mostly.
fn holds(table: &Table, whole: &str, part: &str) -> bool {
    let (Some(whole), Some(part)) = (table.column(whole), table.column(part)) else { return false };
    let (mut both, mut held) = (0, 0);
    for row in 0..table.rows().min(5_000) {
        if let (Some(whole), Some(part)) = (whole.value(row), part.value(row)) {
            both += 1;
            held += u32::from(whole != part && whole.contains(part));
        }
    }
    both > 0 && f64::from(held) > 0.6 * f64::from(both)
}

fn comparison(column: &Known<'_>, known: &[Known<'_>]) -> Comparison {
    let mut levels = levels(column.kind);
    let counterpart =
        |own: Kind, other: Kind| known.iter().find(|known| column.kind == own && known.kind == other);
    let other = counterpart(Kind::GivenName, Kind::FamilyName)
        .or_else(|| counterpart(Kind::FamilyName, Kind::GivenName));
    if let Some(other) = other {
        levels.insert(1, Test::Swapped(other.name.to_owned()));
    }
    let personal = is_personal(column.kind);
    Comparison { column: column.name.to_owned(), levels, term_frequency: true, personal }
}

/// The levels that suit a kind, by falling agreement.
fn levels(kind: Kind) -> Vec<Test> {
    use Test::{
        DatePart, EditShare, Edits, Equal, Initial, JaroWinkler, Kilometres, LocalPart, LocalPartJaroWinkler,
        Nickname, Phonetic, Prefix, SameEnd, SameStart, SameYear, SharedWords, WithinShare,
    };
    match kind {
        Kind::GivenName => {
            vec![Equal, JaroWinkler(0.92), Nickname, Initial, JaroWinkler(0.8)]
        }
        Kind::FamilyName => vec![Equal, JaroWinkler(0.92), Phonetic, JaroWinkler(0.8)],
        Kind::FullName => {
            vec![Equal, SharedWords(1.0), JaroWinkler(0.92), SharedWords(0.5), JaroWinkler(0.8)]
        }
        Kind::Date => vec![Equal, Edits(1), DatePart, Edits(2), SameYear],
        Kind::Email => {
            vec![Equal, LocalPart, Edits(2), LocalPartJaroWinkler(0.92), LocalPartJaroWinkler(0.8)]
        }
        Kind::Phone => vec![Equal, Edits(1), SameEnd(7), Edits(2)],
        Kind::Postcode => vec![Equal, Edits(1), SameStart(3), SameStart(2)],
        Kind::City => vec![Equal, JaroWinkler(0.92), JaroWinkler(0.8)],
        Kind::Street => vec![Equal, JaroWinkler(0.95), SharedWords(1.0), EditShare(0.3), SharedWords(0.5)],
        Kind::HouseNumber => vec![Equal, Edits(1), Prefix(2)],
        Kind::Id => vec![Equal, Edits(1), Edits(2)],
        Kind::Place => vec![Equal, Kilometres(1.0), Kilometres(10.0), Kilometres(50.0)],
        Kind::Number => vec![Equal, WithinShare(0.01), WithinShare(0.1)],
        Kind::Category => vec![Equal],
        Kind::Text | Kind::Nothing => vec![Equal, SharedWords(1.0), JaroWinkler(0.92), JaroWinkler(0.8)],
    }
}
