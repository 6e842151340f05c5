//! Why a pair has its probability: a waterfall from what such pairs are in general to what this one is.

use serde::{Deserialize, Serialize};

use crate::compare::Comparer;
use crate::error::MatchError;
use crate::model::{Model, Weights, probability};
use crate::spec::{ModelSpec, Test};
use crate::table::Table;

/// One step of the waterfall.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The column compared.
    pub column: String,
    /// How far the values agree, in words.
    pub level: String,
    /// Whether they agree in full.
    pub agrees: bool,
    /// The chance of this level among matches, 0 to 1.
    pub m: f64,
    /// The chance of this level among pairs that are no match, 0 to 1.
    pub u: f64,
    /// What it adds: the logarithm to base 2 of m over u.
    pub weight: f64,
    /// The probability after this step, 0 to 1.
    pub probability: f64,
}

/// The whole waterfall. Holds no value of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The logarithm to base 2 of the odds that any two records are one person.
    pub prior_weight: f64,
    /// What agreement in full in this very set of columns adds: the logarithm to base 2.
    pub together_weight: f64,
    /// The columns that agree in full.
    pub agree: Vec<String>,
    /// Each comparison in the order of the specification.
    pub steps: Vec<Step>,
    /// The sum: the logarithm to base 2 of the odds.
    pub weight: f64,
    /// The probability that the two are one person, 0 to 1.
    pub probability: f64,
}

/// Explains the probability of two rows of `table`, whether or not blocking would have compared them.
///
/// # Errors
///
/// When there are no such rows, or the model does not fit the table.
pub fn explain(table: &Table, model: &Model, left: usize, right: usize) -> Result<Explanation, MatchError> {
    let rows = table.rows();
    for row in [left, right] {
        if row >= rows {
            return Err(MatchError::NoRecord { row, rows });
        }
    }
    let spec = model.spec();
    spec.validate(table)?;
    let weights = Weights::new(model)?;
    let comparer = Comparer::new(&spec.comparisons);
    let prepared = comparer.prepare(table, &model.frequent())?;
    let pattern = comparer.compare(prepared.record(table, left), prepared.record(table, right));
    Ok(waterfall(spec, &weights, &pattern))
}

/// The waterfall of a pattern.
pub(crate) fn waterfall(
    spec: &ModelSpec,
    weights: &Weights,
    pattern: &crate::compare::Pattern,
) -> Explanation {
    let (stratum, parts) = weights.parts(pattern);
    let prior = weights.prior();
    let mut sum = stratum;
    let mut explanation = Explanation {
        prior_weight: prior / std::f64::consts::LN_2,
        together_weight: (stratum - prior) / std::f64::consts::LN_2,
        agree: Vec::new(),
        steps: Vec::new(),
        weight: 0.0,
        probability: 0.0,
    };
    for (place, (comparison, part)) in spec.comparisons.iter().zip(parts).enumerate() {
        let level = usize::from(pattern[place]);
        let shape = &weights.mixture.shapes[place];
        let (m, u) = weights.chances(pattern, place);
        sum += part;
        let agrees = shape.full.contains(&level);
        if agrees {
            explanation.agree.push(comparison.column.clone());
        }
        explanation.steps.push(Step {
            column: comparison.column.clone(),
            level: words(level, shape.full.end, &comparison.levels),
            agrees,
            m,
            u,
            weight: part / std::f64::consts::LN_2,
            probability: probability(sum),
        });
    }
    explanation.weight = sum / std::f64::consts::LN_2;
    explanation.probability = probability(sum);
    explanation
}

/// A level in words.
fn words(level: usize, full_end: usize, tests: &[Test]) -> String {
    if level == 0 {
        return "no value".to_owned();
    }
    if level < full_end {
        let how_often = match (full_end, level) {
            (2, _) => "",
            (_, 1) => ", a rare value",
            (_, 2..=4) => ", a value that some have",
            (_, _) => ", a common value",
        };
        let full = tests.first().map_or_else(String::new, test_in_words);
        return format!("{full}{how_often}");
    }
    tests.get(level + 1 - full_end).map_or_else(|| "different".to_owned(), test_in_words)
}

fn test_in_words(test: &Test) -> String {
    match test {
        Test::Equal => "equal".to_owned(),
        Test::JaroWinkler(at_least) => format!("alike, {at_least} or more by Jaro-Winkler"),
        Test::Edits(1) => "one typing error apart".to_owned(),
        Test::Edits(edits) => format!("at most {edits} typing errors apart"),
        Test::EditShare(share) => format!("at most {:.0} % of the letters differ", share * 100.0),
        Test::Phonetic => "sound alike".to_owned(),
        Test::Nickname => "short form of the same name".to_owned(),
        Test::Initial => "initial of the other".to_owned(),
        Test::Prefix(_) => "one begins with the other".to_owned(),
        Test::SameStart(count) => format!("same first {count} characters"),
        Test::SameEnd(count) => format!("same last {count} characters"),
        Test::Swapped(with) => format!("exchanged with {with}"),
        Test::LocalPart => "same before the @".to_owned(),
        Test::LocalPartJaroWinkler(at_least) => {
            format!("alike before the @, {at_least} or more by Jaro-Winkler")
        }
        Test::DatePart => "two of year, month and day equal, or day and month exchanged".to_owned(),
        Test::SameYear => "same year".to_owned(),
        Test::Days(count) => format!("at most {count} days apart"),
        Test::Months(count) => format!("at most {count} months apart"),
        Test::Years(count) => format!("at most {count} years apart"),
        Test::Within(distance) => format!("at most {distance} apart"),
        Test::WithinShare(share) => format!("at most {:.0} % apart", share * 100.0),
        Test::Kilometres(distance) => format!("at most {distance} km apart"),
        Test::SharedItems(count) => format!("{count} or more in common"),
        Test::SharedWords(share) => format!("at least {:.0} % of the words in common", share * 100.0),
    }
}
