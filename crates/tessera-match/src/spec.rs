//! What to compare and how: the part of a model that people write, or that [`ModelSpec::infer`] makes.
//!
//! Not what was learned from data; that is [`Model`](crate::Model). Invariant: unknown keys are refused.

use serde::{Deserialize, Serialize};

use crate::error::MatchError;
use crate::table::Table;

/// Comparisons in one model.
pub const COMPARISONS_MAX: usize = 16;
/// Levels in one comparison, besides "no value", "anything else" and the frequency steps.
pub const LEVELS_MAX: usize = 24;
/// Blocking rules in one model.
pub const RULES_MAX: usize = 64;

/// Which pairs to look at, how to compare them, and when they are one person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Two records are compared when they agree in all of at least one rule.
    pub blocking: Vec<Rule>,
    /// How two records are compared.
    pub comparisons: Vec<Comparison>,
    /// Records that agree in all of one of these rules are one person, whatever the rest says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exact_rules: Vec<Rule>,
    /// Which records may be one person.
    #[serde(default)]
    pub pairs: Pairs,
    /// When a pair is linked, and when a person is asked.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// What bounds the work and the clusters.
    #[serde(default)]
    pub limits: Limits,
}

/// Expressions that two records must all agree in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rule(pub Vec<Expression>);

/// What is made of a record's column before it is compared for equality.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expression {
    /// The column.
    pub column: String,
    /// A second column: the two values agree in either order, given and family name say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// What of the value.
    #[serde(default, skip_serializing_if = "Form::is_whole")]
    pub form: Form,
}

/// What of a value is compared for equality.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// All of it.
    #[default]
    Whole,
    /// The first characters, so many.
    Prefix(u32),
    /// The last characters, so many.
    Suffix(u32),
    /// So many characters from the first number's place on: `[start, length]`.
    Substring(u32, u32),
    /// How it sounds: Double Metaphone and Daitch-Mokotoff; one code in common is enough.
    Phonetic,
    /// The year of a date.
    Year,
    /// Month and day of a date, in either order.
    MonthDay,
    /// What stands before `@`.
    LocalPart,
    /// Its words in alphabetical order.
    SortedWords,
    /// Any of its items, parted by `,`, `;` or `|`.
    EachItem,
    /// Any of its words.
    EachWord,
}

impl Form {
    fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

/// One question about a pair: how far the values agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// The column.
    pub column: String,
    /// Tests in order of falling agreement; the first that holds is the pair's level. The first one is the full
    /// agreement. When none holds the level is "anything else", and when a value is absent "no value", which says
    /// nothing for or against.
    pub levels: Vec<Test>,
    /// Whether full agreement in a rare value counts for more than in a common one.
    #[serde(default)]
    pub term_frequency: bool,
    /// Whether the value is a person's own and lasts, as a birth date does; not what a household shares, as an address
    /// is. An address has several people and a person several addresses: records cannot tell which of the two a
    /// difference means, so the kind of column has to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub personal: bool,
}

/// How far two values agree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// The values are equal.
    Equal,
    /// Jaro-Winkler similarity is at least this, 0 to 1.
    JaroWinkler(f64),
    /// At most so many letters inserted, left out, replaced or swapped with their neighbour.
    Edits(u32),
    /// At most this share of the longer value's letters are edits, 0 to 1.
    EditShare(f64),
    /// The values sound alike: Double Metaphone or Daitch-Mokotoff.
    Phonetic,
    /// One is a usual short form of the other, or both of a third: Bob and Robert.
    Nickname,
    /// One is the initial of the other.
    Initial,
    /// One begins with the other, which has at least so many characters.
    Prefix(u32),
    /// The first so many characters are equal.
    SameStart(u32),
    /// The last so many characters are equal.
    SameEnd(u32),
    /// This column and that one hold each other's values.
    Swapped(String),
    /// What stands before `@` is equal.
    LocalPart,
    /// What stands before `@` is at least so similar by Jaro-Winkler.
    LocalPartJaroWinkler(f64),
    /// Two of year, month and day are equal, or month and day are exchanged.
    DatePart,
    /// The years are equal.
    SameYear,
    /// At most so many days apart.
    Days(u32),
    /// At most so many months apart.
    Months(u32),
    /// At most so many years apart.
    Years(u32),
    /// At most this far apart, as numbers.
    Within(f64),
    /// At most this share of the greater apart, as numbers.
    WithinShare(f64),
    /// At most so many kilometres apart; values are `latitude,longitude` in degrees.
    Kilometres(f64),
    /// At least so many items in common, parted by `,`, `;` or `|`.
    SharedItems(u32),
    /// At least this share of the words of the shorter value have a like one in the other, 0 to 1.
    SharedWords(f64),
}

/// Which records may be one person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairs {
    /// Any two.
    #[default]
    Any,
    /// Two of different sources only: each source is known to have no duplicates.
    AcrossSources,
    /// Two of one source only.
    WithinSource,
}

/// From which probability on what is done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Pairs are linked from here on, 0 to 1.
    pub link: f64,
    /// Pairs are put before a person from here on, 0 to 1.
    pub review: f64,
    /// Pairs below are forgotten at once, 0 to 1.
    pub keep: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { link: 0.8, review: 0.3, keep: 0.01 }
    }
}

/// What bounds the work and the clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Records that share a key of a rule; more than this are not compared by that rule.
    pub block_rows_max: u32,
    /// Records that may become one person.
    pub cluster_rows_max: u32,
    /// Whether a person has at most one record in each source.
    pub one_per_source: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { block_rows_max: 2_000, cluster_rows_max: 500, one_per_source: false }
    }
}

impl ModelSpec {
    /// Checks the specification against the columns of `table`.
    ///
    /// # Errors
    ///
    /// When it names a column that is not there, holds a number out of range, or has nothing to compare.
    pub fn validate(&self, table: &Table) -> Result<(), MatchError> {
        if self.comparisons.is_empty() {
            return Err(MatchError::NothingToCompare {
                why: "the specification has no comparisons".to_owned(),
            });
        }
        at_most("comparisons", self.comparisons.len(), COMPARISONS_MAX)?;
        at_most("blocking", self.blocking.len() + self.exact_rules.len(), RULES_MAX)?;
        for (place, rules) in [("blocking", &self.blocking), ("exact_rules", &self.exact_rules)] {
            for (number, Rule(expressions)) in rules.iter().enumerate() {
                let place = format!("{place}, rule {}", number + 1);
                if expressions.is_empty() {
                    return Err(refused(
                        &place,
                        "a rule without a column would pair every record with every other",
                    ));
                }
                for expression in expressions {
                    table.position(&expression.column, &place)?;
                    if let Some(with) = &expression.with {
                        table.position(with, &place)?;
                    }
                }
            }
        }
        for comparison in &self.comparisons {
            comparison.validate(table)?;
        }
        let Thresholds { link, review, keep } = self.thresholds;
        for (place, threshold) in [("link", link), ("review", review), ("keep", keep)] {
            share(&format!("thresholds.{place}"), threshold)?;
        }
        if review > link || keep > review {
            return Err(refused("thresholds", "keep, review and link must not fall"));
        }
        Ok(())
    }
}

impl Comparison {
    fn validate(&self, table: &Table) -> Result<(), MatchError> {
        let place = format!("comparison of `{}`", self.column);
        table.position(&self.column, &place)?;
        if self.levels.is_empty() {
            return Err(refused(&place, "it has no levels"));
        }
        at_most(&place, self.levels.len(), LEVELS_MAX)?;
        for test in &self.levels {
            match test {
                Test::Swapped(with) => {
                    table.position(with, &place)?;
                }
                Test::JaroWinkler(number)
                | Test::EditShare(number)
                | Test::LocalPartJaroWinkler(number)
                | Test::WithinShare(number)
                | Test::SharedWords(number) => share(&place, *number)?,
                Test::Within(number) | Test::Kilometres(number) => {
                    if !(number.is_finite() && *number >= 0.0) {
                        return Err(refused(&place, &format!("{number} is not a distance")));
                    }
                }
                Test::Equal
                | Test::Edits(_)
                | Test::Phonetic
                | Test::Nickname
                | Test::Initial
                | Test::Prefix(_)
                | Test::SameStart(_)
                | Test::SameEnd(_)
                | Test::LocalPart
                | Test::DatePart
                | Test::SameYear
                | Test::Days(_)
                | Test::Months(_)
                | Test::Years(_)
                | Test::SharedItems(_) => {}
            }
        }
        Ok(())
    }
}

fn share(place: &str, number: f64) -> Result<(), MatchError> {
    if (0.0..=1.0).contains(&number) {
        return Ok(());
    }
    Err(refused(place, &format!("{number} is not between 0 and 1")))
}

fn at_most(place: &str, found: usize, max: usize) -> Result<(), MatchError> {
    if found <= max {
        return Ok(());
    }
    Err(refused(place, &format!("{found} are more than the {max} there may be")))
}

pub(crate) fn refused(place: &str, why: &str) -> MatchError {
    MatchError::Specification { place: place.to_owned(), why: why.to_owned() }
}
