//! What blocking rules make of a record: for each rule the keys under which the record can be found.
//!
//! A record has no key of a rule when a value is absent, one as a rule, and several when an expression says "each".

use crate::compare::local_part;
use crate::date::Date;
use crate::error::MatchError;
use crate::forms::{Makers, sorted_words};
use crate::linker::in_order;
use crate::similarity::items;
use crate::spec::{Expression, Form, Rule};
use crate::table::{ABSENT, Column, Table, hash};
use crate::text::words;

/// Keys of one record in one rule; what goes beyond is left out.
const KEYS_MAX: usize = 8;

/// Where a rule finds its values.
pub(crate) struct Keys {
    parts: Vec<Part>,
}

enum Part {
    /// Keys of a column's values, by code.
    One { column: usize, keys: ByCode },
    /// Hashes of two columns' values, by code, of which either order is the same.
    Both { columns: [usize; 2], keys: [ByCode; 2] },
}

/// Keys by code: one each, or several.
struct ByCode {
    starts: Vec<u32>,
    keys: Vec<u64>,
}

impl ByCode {
    fn of(column: &Column, form: Form, makers: &Makers) -> Self {
        let codes = 1..u32::try_from(column.counts().len()).unwrap_or(u32::MAX);
        let each: Vec<Vec<u64>> = if form == Form::Whole {
            return Self::whole(column);
        } else {
            in_order(codes, |code| keys_of(column.text(code), form, makers))
        };
        let mut starts = vec![0, 0];
        let mut keys = Vec::new();
        for value in each {
            keys.extend(value);
            starts.push(u32::try_from(keys.len()).unwrap_or(u32::MAX));
        }
        Self { starts, keys }
    }

    fn whole(column: &Column) -> Self {
        let codes = 0..u32::try_from(column.counts().len()).unwrap_or(u32::MAX);
        let keys: Vec<u64> = in_order(1..codes.end, |code| hash(column.text(code)));
        let starts = std::iter::once(0).chain(codes).collect();
        Self { starts, keys }
    }

    fn get(&self, code: u32) -> &[u64] {
        if code == ABSENT {
            return &[];
        }
        let code = code as usize;
        &self.keys[self.starts[code] as usize..self.starts[code + 1] as usize]
    }
}

impl Keys {
    pub(crate) fn new(table: &Table, rule: &Rule, makers: &Makers) -> Result<Self, MatchError> {
        let part = |expression: &Expression| {
            let first = table.position(&expression.column, "blocking")?;
            let by_code = |column: usize| ByCode::of(&table.columns()[column], expression.form, makers);
            Ok(match &expression.with {
                None => Part::One { column: first, keys: by_code(first) },
                Some(with) => {
                    let second = table.position(with, "blocking")?;
                    Part::Both { columns: [first, second], keys: [by_code(first), by_code(second)] }
                }
            })
        };
        Ok(Self { parts: rule.0.iter().map(part).collect::<Result<_, _>>()? })
    }

    /// Puts the keys of `row` into `keys`, which is emptied first; each once.
    pub(crate) fn of(&self, table: &Table, row: usize, keys: &mut Vec<u64>) {
        keys.clear();
        keys.push(0);
        for part in &self.parts {
            match part {
                Part::One { column, keys: by_code } => {
                    let own = by_code.get(table.columns()[*column].code(row));
                    multiply(keys, own);
                }
                Part::Both { columns, keys: by_code } => {
                    let own = [0, 1].map(|side| by_code[side].get(table.columns()[columns[side]].code(row)));
                    let pairs: Vec<u64> = own[0]
                        .iter()
                        .flat_map(|a| own[1].iter().map(|b| mix((*a).min(*b), (*a).max(*b))))
                        .collect();
                    multiply(keys, &pairs);
                }
            }
        }
        if keys.len() > 1 {
            keys.sort_unstable();
            keys.dedup();
        }
    }
}

/// Every key with each of `own`.
fn multiply(keys: &mut Vec<u64>, own: &[u64]) {
    match own {
        [] => keys.clear(),
        [only] => keys.iter_mut().for_each(|key| *key = mix(*key, *only)),
        several => {
            let all = keys.iter().flat_map(|key| several.iter().map(|other| mix(*key, *other)));
            *keys = all.take(KEYS_MAX).collect();
        }
    }
}

/// Two hashes as one; order matters.
fn mix(a: u64, b: u64) -> u64 {
    let mixed = (a.rotate_left(23) ^ b).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

fn keys_of(text: &str, form: Form, makers: &Makers) -> Vec<u64> {
    let one = |part: &str| if part.is_empty() { Vec::new() } else { vec![hash(part)] };
    match form {
        Form::Whole => one(text),
        Form::Prefix(count) => one(text.get(..count as usize).unwrap_or(text)),
        Form::Suffix(count) => {
            one(text.len().checked_sub(count as usize).and_then(|from| text.get(from..)).unwrap_or(text))
        }
        Form::Substring(from, count) => {
            let from = from as usize;
            let end = (from + count as usize).min(text.len());
            one(text.get(from..end).unwrap_or_default())
        }
        Form::Phonetic => {
            let mut sounds: Vec<u64> =
                makers.sounds(text).into_iter().filter(|sound| *sound != 0).map(u64::from).collect();
            sounds.sort_unstable();
            sounds.dedup();
            sounds
        }
        Form::Year => Date::parse(text).map(|date| vec![u64::from(date.year)]).unwrap_or_default(),
        Form::MonthDay => Date::parse(text)
            .map(|date| vec![u64::from(date.month.min(date.day)) << 8 | u64::from(date.month.max(date.day))])
            .unwrap_or_default(),
        Form::LocalPart => one(local_part(text)),
        Form::SortedWords => one(&sorted_words(text)),
        Form::EachItem => items(text).map(hash).collect(),
        Form::EachWord => words(text).filter(|word| word.len() > 2).map(hash).collect(),
    }
}
