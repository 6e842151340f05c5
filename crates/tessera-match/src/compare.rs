//! The comparison of two records: one level for each comparison of the specification.
//!
//! Level 0 is "no value"; then the steps of full agreement, from rare values to common ones; then the other tests in
//! order; last "anything else". Invariant: a pair's levels do not depend on which record is left, nor on the table
//! that a record is in.

use std::ops::Range;

use rayon::prelude::*;

use crate::date::Date;
use crate::error::MatchError;
use crate::forms::{Forms, Makers, Needs, kilometres, sound_alike};
use crate::similarity::{edits, like, shared_items, shared_words};
use crate::spec::{COMPARISONS_MAX, Comparison, Test};
use crate::table::{ABSENT, Table, hash};

/// The levels of a pair, by comparison.
pub(crate) type Pattern = [u8; COMPARISONS_MAX];

/// So few records are not worth the way to another thread.
const FEW: usize = 4;

/// Steps of frequency that full agreement is parted into.
pub(crate) const STEPS: u8 = 10;

/// The step of a value that `count` rows hold: each step is 2.8 times the one before.
pub(crate) fn step(count: u32) -> u8 {
    let doubled = count.max(1).ilog2() * 2;
    u8::try_from(doubled / 3).unwrap_or(STEPS).min(STEPS - 1)
}

/// The values of one column that are so frequent that they have a step above the first, by hash, in order.
pub(crate) type Frequent = Vec<(u64, u8)>;

/// How one comparison is done.
pub(crate) struct Kernel {
    slot: usize,
    tests: Vec<Test>,
    steps: u8,
    swapped_slot: Option<usize>,
    /// Another comparison already says that the two columns are exchanged.
    swapped_is_said: bool,
    edits_max: usize,
}

impl Kernel {
    /// Levels of full agreement.
    pub(crate) fn full(&self) -> Range<usize> {
        1..usize::from(self.steps) + 1
    }

    /// The number of levels, "no value" and "anything else" among them.
    pub(crate) fn levels(&self) -> usize {
        usize::from(self.steps) + self.tests.len() + 1
    }
}

/// A table with what comparing its rows needs.
pub(crate) struct Prepared {
    columns: Vec<usize>,
    /// Values whose forms are worked out, by slot.
    values: Vec<usize>,
    /// Codes of the columns, row by row: one look at memory for a record.
    codes: Vec<u32>,
    forms: Vec<Forms>,
    steps: Vec<Vec<u8>>,
}

/// How all comparisons are done.
pub(crate) struct Comparer {
    kernels: Vec<Kernel>,
    columns: Vec<String>,
    needs: Vec<Needs>,
    /// The kernel whose frequency steps a slot has.
    frequent: Vec<Option<usize>>,
    makers: Makers,
}

impl Comparer {
    /// Prepares `comparisons`.
    pub(crate) fn new(comparisons: &[Comparison]) -> Self {
        let mut columns: Vec<String> = Vec::new();
        let mut slot = |name: &str| {
            columns.iter().position(|column| column == name).unwrap_or_else(|| {
                columns.push(name.to_owned());
                columns.len() - 1
            })
        };
        let kernels: Vec<Kernel> = comparisons
            .iter()
            .enumerate()
            .map(|(place, comparison)| {
                let with = swapped_with(comparison);
                let before = comparisons.iter().take(place);
                Kernel {
                    slot: slot(&comparison.column),
                    tests: comparison.levels.clone(),
                    steps: if comparison.term_frequency { STEPS } else { 1 },
                    swapped_slot: with.map(|name| slot(name)),
                    swapped_is_said: before
                        .filter(|other| with == Some(&other.column))
                        .any(|other| swapped_with(other) == Some(&comparison.column)),
                    edits_max: edits_max(&comparison.levels),
                }
            })
            .collect();
        let mut needs = vec![Needs::default(); columns.len()];
        let mut frequent = vec![None; columns.len()];
        for (place, kernel) in kernels.iter().enumerate() {
            kernel.tests.iter().for_each(|test| need(&mut needs[kernel.slot], test));
            if kernel.steps > 1 {
                frequent[kernel.slot] = Some(place);
            }
        }
        Self { kernels, columns, needs, frequent, makers: Makers::new() }
    }

    pub(crate) fn makers(&self) -> &Makers {
        &self.makers
    }

    pub(crate) fn kernels(&self) -> &[Kernel] {
        &self.kernels
    }

    /// The values of `table` that are frequent, by comparison.
    pub(crate) fn frequent(&self, table: &Table) -> Result<Vec<Frequent>, MatchError> {
        self.kernels
            .iter()
            .map(|kernel| {
                let column = &table.columns()[table.position(&self.columns[kernel.slot], "comparison")?];
                let mut frequent: Frequent = Vec::new();
                if kernel.steps > 1 {
                    for (count, code) in column.counts().iter().zip(0_u32..).skip(1) {
                        if step(*count) > 0 {
                            frequent.push((hash(column.text(code)), step(*count)));
                        }
                    }
                    frequent.sort_unstable();
                }
                Ok(frequent)
            })
            .collect()
    }

    /// Works out the forms of all values of `table`.
    pub(crate) fn prepare(&self, table: &Table, frequent: &[Frequent]) -> Result<Prepared, MatchError> {
        let columns = self
            .columns
            .iter()
            .map(|name| table.position(name, "comparison"))
            .collect::<Result<Vec<usize>, _>>()?;
        let mut codes = vec![ABSENT; table.rows() * columns.len()];
        let sources: Vec<&[u32]> = columns.iter().map(|place| table.columns()[*place].codes()).collect();
        let fill = |(row, cells): (usize, &mut [u32])| {
            for (cell, source) in cells.iter_mut().zip(&sources) {
                *cell = source[row];
            }
        };
        match columns.len() {
            0 => {}
            width if table.rows() < FEW => codes.chunks_mut(width).enumerate().for_each(fill),
            width => codes.par_chunks_mut(width).enumerate().for_each(fill),
        }
        let column_of = |slot: usize| &table.columns()[columns[slot]];
        let steps_of = |slot: usize| {
            let Some(frequent) = self.frequent[slot].and_then(|place| frequent.get(place)) else {
                return Vec::new();
            };
            let codes = 0..u32::try_from(column_of(slot).counts().len()).unwrap_or(u32::MAX);
            codes.map(|code| step_of(frequent, column_of(slot).text(code))).collect()
        };
        let form = |slot: usize| (Forms::of(column_of(slot), self.needs[slot], &self.makers), steps_of(slot));
        let (forms, steps) = match table.rows() {
            few if few < FEW => (0..columns.len()).map(form).unzip(),
            _ => (0..columns.len()).into_par_iter().map(form).unzip(),
        };
        let values = (0..columns.len()).map(|slot| column_of(slot).counts().len()).collect();
        Ok(Prepared { columns, values, codes, forms, steps })
    }

    /// Makes the last row of `table` ready too.
    pub(crate) fn prepare_last(&self, table: &Table, frequent: &[Frequent], prepared: &mut Prepared) {
        let Some(row) = table.rows().checked_sub(1) else { return };
        for (slot, place) in prepared.columns.iter().enumerate() {
            let column = &table.columns()[*place];
            prepared.codes.push(column.code(row));
            let frequent = self.frequent[slot].and_then(|place| frequent.get(place));
            for code in prepared.values[slot]..column.counts().len() {
                let text = column.text(u32::try_from(code).unwrap_or(ABSENT));
                prepared.forms[slot].push(text, self.needs[slot], &self.makers);
                if let Some(frequent) = frequent {
                    prepared.steps[slot].push(step_of(frequent, text));
                }
            }
            prepared.values[slot] = column.counts().len();
        }
    }

    /// The levels of a pair of rows.
    pub(crate) fn compare(&self, left: Record<'_>, right: Record<'_>) -> Pattern {
        let mut pattern = [0; COMPARISONS_MAX];
        for (level, kernel) in pattern.iter_mut().zip(&self.kernels) {
            *level = kernel.level(left, right);
        }
        pattern
    }
}

fn step_of(frequent: &Frequent, text: &str) -> u8 {
    let hash = hash(text);
    frequent.binary_search_by_key(&hash, |(hash, _)| *hash).map_or(0, |place| frequent[place].1)
}

fn swapped_with(comparison: &Comparison) -> Option<&String> {
    comparison.levels.iter().find_map(|test| if let Test::Swapped(with) = test { Some(with) } else { None })
}

fn edits_max(tests: &[Test]) -> usize {
    let edits =
        tests.iter().filter_map(|test| if let Test::Edits(edits) = test { Some(*edits) } else { None });
    edits.max().unwrap_or(0) as usize
}

fn need(needs: &mut Needs, test: &Test) {
    match test {
        Test::DatePart | Test::SameYear | Test::Days(_) | Test::Months(_) | Test::Years(_) => {
            needs.dates = true
        }
        Test::Within(_) | Test::WithinShare(_) => needs.numbers = true,
        Test::Kilometres(_) => needs.places = true,
        Test::Phonetic => needs.sounds = true,
        Test::Nickname => needs.nicknames = true,
        Test::Equal
        | Test::JaroWinkler(_)
        | Test::Edits(_)
        | Test::EditShare(_)
        | Test::Initial
        | Test::Prefix(_)
        | Test::SameStart(_)
        | Test::SameEnd(_)
        | Test::Swapped(_)
        | Test::LocalPart
        | Test::LocalPartJaroWinkler(_)
        | Test::SharedItems(_)
        | Test::SharedWords(_) => {}
    }
}

/// One row of a prepared table.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    table: &'a Table,
    prepared: &'a Prepared,
    row: usize,
}

impl Prepared {
    /// Forgets which values a row has.
    pub(crate) fn clear(&mut self, row: usize) {
        let width = self.columns.len();
        if let Some(cells) = self.codes.get_mut(row * width..(row + 1) * width) {
            cells.fill(ABSENT);
        }
    }

    /// A row of the table that was prepared.
    pub(crate) fn record<'a>(&'a self, table: &'a Table, row: usize) -> Record<'a> {
        Record { table, prepared: self, row }
    }
}

impl<'a> Record<'a> {
    fn code(self, slot: usize) -> u32 {
        self.prepared.codes[self.row * self.prepared.columns.len() + slot]
    }

    fn text(self, slot: usize) -> &'a str {
        self.table.columns()[self.prepared.columns[slot]].text(self.code(slot))
    }

    fn forms(self, slot: usize) -> &'a Forms {
        &self.prepared.forms[slot]
    }

    fn step(self, slot: usize) -> u8 {
        self.prepared.steps[slot].get(self.code(slot) as usize).copied().unwrap_or(0)
    }

    fn equals(self, slot: usize, other: Self, other_slot: usize) -> bool {
        if slot == other_slot && std::ptr::eq(self.prepared, other.prepared) {
            return self.code(slot) == other.code(slot);
        }
        self.text(slot) == other.text(other_slot)
    }
}

impl Kernel {
    fn level(&self, left: Record<'_>, right: Record<'_>) -> u8 {
        let (a, b) = (left.code(self.slot), right.code(self.slot));
        if a == ABSENT || b == ABSENT {
            return 0;
        }
        let equal = left.equals(self.slot, right, self.slot);
        if equal && self.tests.first() == Some(&Test::Equal) {
            return 1 + left.step(self.slot).min(self.steps - 1);
        }
        // Greedy measures may depend on the order of the two; the records' order must not show.
        let (one, other) = (left.text(self.slot), right.text(self.slot));
        let pair = Texts { left: one.min(other), right: one.max(other), ..Texts::default() };
        self.first_that_holds(left, right, pair)
    }

    fn first_that_holds(&self, left: Record<'_>, right: Record<'_>, mut pair: Texts<'_>) -> u8 {
        for (test, level) in self.tests.iter().zip(0_u8..) {
            if matches!(test, Test::Swapped(_)) {
                if self.swapped(left, right) {
                    return if self.swapped_is_said { 0 } else { self.steps + level };
                }
            } else if pair.hold(test, self.edits_max) || self.forms_hold(test, left, right) {
                // The first test is full agreement; without a frequency it is of the first step.
                return if level == 0 { 1 } else { self.steps + level };
            }
        }
        self.steps + u8::try_from(self.tests.len()).unwrap_or(u8::MAX)
    }

    fn swapped(&self, left: Record<'_>, right: Record<'_>) -> bool {
        self.swapped_slot.is_some_and(|with| {
            left.code(with) != ABSENT
                && left.equals(self.slot, right, with)
                && left.equals(with, right, self.slot)
        })
    }

    fn forms_hold(&self, test: &Test, left: Record<'_>, right: Record<'_>) -> bool {
        let (a, b) = (left.code(self.slot) as usize, right.code(self.slot) as usize);
        let (left, right) = (left.forms(self.slot), right.forms(self.slot));
        match test {
            Test::Phonetic => {
                left.sounds.get(a).zip(right.sounds.get(b)).is_some_and(|(a, b)| sound_alike(a, b))
            }
            Test::Nickname => left
                .nicknames
                .get(a)
                .zip(right.nicknames.get(b))
                .is_some_and(|(a, b)| a.iter().any(|set| b.contains(set))),
            Test::DatePart => dates(left, a, right, b).is_some_and(|(a, b)| a.parts_agree(b)),
            Test::SameYear => dates(left, a, right, b).is_some_and(|(a, b)| a.year == b.year),
            Test::Days(days) => {
                dates(left, a, right, b).is_some_and(|(a, b)| a.days().abs_diff(b.days()) <= u64::from(*days))
            }
            Test::Months(months) => dates(left, a, right, b)
                .is_some_and(|(a, b)| a.months().abs_diff(b.months()) <= u64::from(*months)),
            Test::Years(years) => {
                dates(left, a, right, b).is_some_and(|(a, b)| u32::from(a.year.abs_diff(b.year)) <= *years)
            }
            Test::Within(distance) => {
                numbers(left, a, right, b).is_some_and(|(a, b)| (a - b).abs() <= *distance)
            }
            Test::WithinShare(share) => numbers(left, a, right, b)
                .is_some_and(|(a, b)| (a - b).abs() <= *share * a.abs().max(b.abs())),
            Test::Kilometres(distance) => {
                let place = |forms: &Forms, code: usize| forms.places.get(code).copied().flatten();
                place(left, a).zip(place(right, b)).is_some_and(|(a, b)| kilometres(a, b) <= *distance)
            }
            Test::Equal
            | Test::JaroWinkler(_)
            | Test::Edits(_)
            | Test::EditShare(_)
            | Test::Initial
            | Test::Prefix(_)
            | Test::SameStart(_)
            | Test::SameEnd(_)
            | Test::Swapped(_)
            | Test::LocalPart
            | Test::LocalPartJaroWinkler(_)
            | Test::SharedItems(_)
            | Test::SharedWords(_) => false,
        }
    }
}

fn dates(left: &Forms, a: usize, right: &Forms, b: usize) -> Option<(Date, Date)> {
    left.dates.get(a).copied().flatten().zip(right.dates.get(b).copied().flatten())
}

fn numbers(left: &Forms, a: usize, right: &Forms, b: usize) -> Option<(f64, f64)> {
    left.numbers.get(a).copied().flatten().zip(right.numbers.get(b).copied().flatten())
}

/// Two texts, and what was already measured of them.
#[derive(Default)]
struct Texts<'a> {
    left: &'a str,
    right: &'a str,
    similarity: Option<f64>,
    local_similarity: Option<f64>,
    words: Option<f64>,
    edits: Option<Option<usize>>,
}

impl Texts<'_> {
    fn hold(&mut self, test: &Test, edits_max: usize) -> bool {
        let (left, right) = (self.left, self.right);
        match test {
            Test::Equal => left == right,
            Test::JaroWinkler(at_least) => {
                *self.similarity.get_or_insert_with(|| like(left, right)) >= *at_least
            }
            Test::Edits(at_most) => self
                .edits
                .get_or_insert_with(|| edits(left, right, edits_max))
                .is_some_and(|edits| edits <= *at_most as usize),
            Test::EditShare(share) => {
                let longer = left.len().max(right.len());
                let at_most = (0..=longer).take_while(|edits| ratio(*edits, longer) <= *share).count();
                edits(left, right, at_most.saturating_sub(1)).is_some()
            }
            Test::Initial => {
                let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
                let initial = short.trim_end_matches('.');
                initial.len() == 1 && long.starts_with(initial)
            }
            Test::Prefix(at_least) => {
                left.len().min(right.len()) >= *at_least as usize
                    && (left.starts_with(right) || right.starts_with(left))
            }
            Test::SameStart(count) => {
                left.get(..*count as usize).is_some_and(|start| right.starts_with(start))
            }
            Test::SameEnd(count) => left
                .len()
                .checked_sub(*count as usize)
                .and_then(|from| left.get(from..))
                .is_some_and(|end| right.ends_with(end)),
            Test::LocalPart => local_part(left) == local_part(right),
            Test::LocalPartJaroWinkler(at_least) => {
                let like = || like(local_part(left), local_part(right));
                *self.local_similarity.get_or_insert_with(like) >= *at_least
            }
            Test::SharedItems(at_least) => shared_items(left, right) >= *at_least as usize,
            Test::SharedWords(share) => {
                *self.words.get_or_insert_with(|| shared_words(left, right)) >= *share
            }
            Test::Phonetic
            | Test::Nickname
            | Test::Swapped(_)
            | Test::DatePart
            | Test::SameYear
            | Test::Days(_)
            | Test::Months(_)
            | Test::Years(_)
            | Test::Within(_)
            | Test::WithinShare(_)
            | Test::Kilometres(_) => false,
        }
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    number(part) / number(whole).max(1.0)
}

/// What stands before `@`; all of it when there is none.
pub(crate) fn local_part(address: &str) -> &str {
    address.split_once('@').map_or(address, |(local, _)| local)
}
