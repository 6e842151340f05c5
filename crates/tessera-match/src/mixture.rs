//! Two classes of pairs, matches and chance, told apart by expectation-maximisation over counted patterns.
//!
//! The model is that of Fellegi and Sunter ("A Theory for Record Linkage", 1969) with one change. They take the
//! comparisons as independent within each class; among pairs that meet by chance they are not: two people called
//! John Smith also have like e-mail addresses. So pairs are parted into *strata* by the set of comparisons that agree
//! in full, and each stratum has its own odds of a match and its own chances `u` of the other levels. What a stratum
//! has too few pairs to tell it takes from the strata with one agreement less, and those from the model without
//! strata. The chances `m` among matches are common to all strata, which keeps the classes what they are.
//!
//! The cost is that of the number of distinct patterns, not of pairs. With one stratum and nothing held fixed this is
//! the classical algorithm (Winkler, "Using the EM Algorithm for Weight Computation", 1988).

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;

use crate::compare::Pattern;

mod expectation;
mod ties;

use expectation::Expectation;
pub(crate) use ties::Tie;

/// A pattern and how many pairs have it.
pub(crate) type Counted = (Pattern, f64);

/// How levels of one comparison are numbered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Levels, "no value" (0) and "anything else" (the last) among them.
    pub(crate) levels: usize,
    /// Levels of full agreement.
    pub(crate) full: Range<usize>,
}

/// Chances of one comparison's levels; the first, "no value", is not used.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Chances {
    pub(crate) m: Vec<f64>,
    pub(crate) u: Vec<f64>,
}

/// What was learned of pairs that agree in full in one set of comparisons.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Stratum {
    /// Odds of a match, when nothing else is known.
    pub(crate) odds: f64,
    /// Chances of the levels among pairs that are no match, by comparison. For a comparison that agrees, those of its
    /// steps of frequency.
    pub(crate) u: Vec<Vec<f64>>,
    /// Pairs seen.
    pub(crate) pairs: f64,
    /// Matches among them, as estimated.
    pub(crate) matches: f64,
}

/// The set of comparisons that agree in full, a bit for each.
pub(crate) type Agreed = u16;

/// What is known before, and how much it weighs.
pub(crate) struct Start {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) chances: Vec<Chances>,
    /// The share of matches among all pairs there could be.
    pub(crate) prior: f64,
    /// All pairs there could be.
    pub(crate) possible_pairs: f64,
    /// How many of the compared pairs were counted, 0 to 1.
    pub(crate) sampled: f64,
    /// The sets of comparisons that blocking rules ask to agree; empty when all pairs were compared.
    pub(crate) blocked_by: Vec<Agreed>,
    /// By comparison, the share of pairs that have both values.
    pub(crate) present: Vec<f64>,
    /// The comparisons of what is a person's own, and no household's.
    pub(crate) personal: Agreed,
    /// Whether strata are told apart.
    pub(crate) strata: bool,
    /// How many pairs a belief from elsewhere counts for.
    pub(crate) belief: f64,
}

impl Start {
    /// Pairs that agree in all of `agreed` by chance, if the comparisons have nothing to do with each other.
    fn by_chance(&self, chances: &[Chances], agreed: Agreed) -> f64 {
        let agreeing = |place: usize| self.present[place] * full(&self.shapes[place], &chances[place].u);
        let places = (0..self.shapes.len()).filter(|place| agreed & (1 << place) != 0);
        self.possible_pairs * self.sampled * places.map(agreeing).product::<f64>()
    }

    /// Whether a stratum's pairs agree far more often than chance would have it, but in nothing that is a person's
    /// own: they are of one person, or of one household.
    fn is_shared(&self, agreed: Agreed, by_chance: f64, pairs: f64) -> bool {
        self.personal != 0 && agreed & self.personal == 0 && by_chance < SHARED_CHANCE_MAX * pairs
    }
}

/// What was learned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mixture {
    pub(crate) shapes: Vec<Shape>,
    pub(crate) chances: Vec<Chances>,
    /// By comparison, the one it is tied to among matches.
    pub(crate) ties: Vec<Option<Tie>>,
    pub(crate) strata: BTreeMap<Agreed, Stratum>,
    pub(crate) prior: f64,
    pub(crate) log_likelihood: f64,
    pub(crate) rounds: u32,
}

const ROUNDS_MAX: u32 = 200;
/// Learning ends when pairs moved by a smaller share of all matches than this.
const MOVE_MIN: f64 = 1e-5;
/// Rounds that are always done: at first pairs move slowly, and far in the end.
const ROUNDS_MIN: u32 = 50;
/// When it is looked anew which comparisons are tied: the first rounds know matches only roughly.
const TIED_IN_ROUNDS: [u32; 3] = [2, 5, 15];
/// How a comparison that another is tied to may stand: no value or no tie, near, apart.
const STANDINGS: usize = 3;
/// Where chance explains less than this share of a stratum's pairs, they belong together in some way.
const SHARED_CHANCE_MAX: f64 = 0.1;
/// How much what holds of any two people is believed of two of one household, in times of the stratum's pairs.
const SHARED_BELIEF: f64 = 10.0;
/// No chance is smaller: what was never seen is rare, not impossible.
const CHANCE_MIN: f64 = 1e-12;

/// The comparisons that agree in full in `pattern`.
pub(crate) fn agreed(shapes: &[Shape], pattern: &Pattern) -> Agreed {
    let agrees = |(place, shape): (usize, &Shape)| {
        Agreed::from(shape.full.contains(&usize::from(pattern[place]))) << place
    };
    shapes.iter().enumerate().map(agrees).sum()
}

/// Sum over the levels of full agreement.
fn full(shape: &Shape, chances: &[f64]) -> f64 {
    chances[shape.full.clone()].iter().sum()
}

/// Patterns of one stratum with the estimate of each.
struct Part {
    agreed: Agreed,
    patterns: Vec<Counted>,
    probability: Vec<f64>,
}

/// Learns the two classes from `patterns`.
pub(crate) fn learn(start: Start, patterns: &[Counted]) -> Mixture {
    let mut parts: BTreeMap<Agreed, Vec<Counted>> = BTreeMap::new();
    for counted in patterns {
        let agreed = if start.strata { agreed(&start.shapes, &counted.0) } else { 0 };
        parts.entry(agreed).or_default().push(*counted);
    }
    let mut parts: Vec<Part> = parts
        .into_iter()
        .map(|(agreed, patterns)| Part { agreed, probability: vec![0.0; patterns.len()], patterns })
        .collect();
    let first_u: Vec<Vec<f64>> = start.chances.iter().map(|chances| chances.u.clone()).collect();
    let mut mixture = Mixture {
        shapes: start.shapes.clone(),
        chances: start.chances.clone(),
        ties: vec![None; start.shapes.len()],
        strata: BTreeMap::new(),
        prior: start.prior,
        log_likelihood: f64::NEG_INFINITY,
        rounds: 0,
    };
    for part in &parts {
        let stratum = mixture.first_guess(&start, part);
        mixture.strata.insert(part.agreed, stratum);
    }
    let mut tied = vec![None; start.shapes.len()];
    // Without strata patterns are few, and rounds cost nothing.
    let rounds_max = if start.strata { ROUNDS_MAX } else { 10 * ROUNDS_MAX };
    while mixture.rounds < rounds_max {
        mixture.rounds += 1;
        let moved = mixture.expect(&mut parts);
        if start.strata && TIED_IN_ROUNDS.contains(&mixture.rounds) {
            tied = ties::strongest(&mixture.shapes, &parts);
        }
        mixture.maximise(&start, &first_u, &parts);
        mixture.learn_ties(&tied, &parts);
        let settled = moved < if start.strata { MOVE_MIN } else { 1e-9 };
        if settled && mixture.rounds >= ROUNDS_MIN {
            break;
        }
    }
    mixture.log_likelihood = mixture.log_likelihood(&parts);
    mixture
}

impl Mixture {
    /// The odds of a match that independent comparisons would give to `agreed`.
    pub(crate) fn independent_odds(&self, agreed: Agreed) -> f64 {
        let ratio = |place: usize| {
            let (shape, chances) = (&self.shapes[place], &self.chances[place]);
            (full(shape, &chances.m) / full(shape, &chances.u).max(CHANCE_MIN)).max(CHANCE_MIN)
        };
        let product: f64 =
            (0..self.shapes.len()).filter(|place| agreed & (1 << place) != 0).map(ratio).product();
        product * self.prior / (1.0 - self.prior)
    }

    /// What is believed of the odds of `agreed` before its own pairs are looked at: the independent odds, corrected as
    /// the strata with one agreement less had to be.
    pub(crate) fn believed_odds(&self, agreed: Agreed) -> f64 {
        let (mut sum, mut weight) = (0.0, 0.0);
        for place in 0..self.shapes.len() {
            let without = agreed & !(1 << place);
            if let Some(stratum) = self.strata.get(&without).filter(|_| without != agreed && without != 0) {
                let correction = (stratum.odds / self.independent_odds(without)).ln();
                let trust = stratum.pairs.min(1_000.0);
                sum += trust * correction;
                weight += trust;
            }
        }
        self.independent_odds(agreed) * (sum / (weight + 10.0)).exp()
    }

    /// What is believed of the chances `u` of a comparison in `agreed`, from the strata with one agreement less.
    pub(crate) fn believed_u(&self, agreed: Agreed, place: usize) -> Vec<f64> {
        let shape = &self.shapes[place];
        let own = agreed & (1 << place) != 0;
        let mut sum = scaled(shape, &self.chances[place].u, own, 10.0);
        let mut weight = 10.0;
        for other in 0..self.shapes.len() {
            let without = agreed & !(1 << other);
            if without == agreed || without == 0 || other == place {
                continue;
            }
            if let Some(stratum) = self.strata.get(&without) {
                let trust = (stratum.pairs - stratum.matches).clamp(0.0, 1_000.0);
                for (sum, chance) in sum.iter_mut().zip(&stratum.u[place]) {
                    *sum += trust * chance;
                }
                weight += trust;
            }
        }
        sum.iter_mut().for_each(|chance| *chance /= weight);
        sum
    }

    fn first_guess(&self, start: &Start, part: &Part) -> Stratum {
        let mut odds = self.independent_odds(part.agreed);
        let pairs: f64 = part.patterns.iter().map(|(_, count)| count).sum();
        if !start.strata {
            let u = self.chances.iter().map(|chances| chances.u.clone()).collect();
            return Stratum { odds, u, pairs, matches: 0.0 };
        }
        if start.is_shared(part.agreed, start.by_chance(&self.chances, part.agreed), pairs) {
            odds = odds.min(self.shared_odds(start, part));
        }
        // Where chance is likely the stratum itself shows what chance looks like.
        let chance = 1.0 / (1.0 + odds);
        let nought = vec![0.0; part.patterns.len()];
        let seen = tally(&self.shapes, &part.patterns, &nought);
        let u = (0..self.shapes.len())
            .map(|place| {
                let believed = scaled(&self.shapes[place], &self.chances[place].u, part.agrees(place), 1.0);
                self.settle(
                    place,
                    part.agrees(place),
                    &seen[place].chance,
                    &believed,
                    10.0 + pairs * (1.0 - chance),
                )
            })
            .collect();
        Stratum { odds, u, pairs, matches: pairs * (1.0 - chance) }
    }

    /// Counts and a belief made chances. For a comparison that agrees these are the chances of its steps, which sum to
    /// 1; for one that does not those of the other levels, which with full agreement sum to 1.
    fn settle(&self, place: usize, agrees: bool, counts: &[f64], believed: &[f64], belief: f64) -> Vec<f64> {
        let shape = &self.shapes[place];
        let whole = if agrees { 1.0 } else { 1.0 - full(shape, &self.chances[place].u) };
        let in_part = |level: usize| level > 0 && shape.full.contains(&level) == agrees;
        let sum: f64 =
            counts.iter().enumerate().filter(|(level, _)| in_part(*level)).map(|(_, count)| count).sum();
        (0..shape.levels)
            .map(|level| match (level, in_part(level)) {
                (0, _) => 0.0,
                (_, true) => {
                    let share = (counts[level] + belief * believed[level] / whole) / (sum + belief);
                    (share * whole).max(CHANCE_MIN)
                }
                (_, false) => believed[level],
            })
            .collect()
    }

    fn learn_ties(&mut self, tied: &[Option<usize>], parts: &[Part]) {
        self.ties = tied
            .par_iter()
            .enumerate()
            .map(|(place, to)| {
                let to = (*to)?;
                Some(ties::learn(
                    &self.shapes[place],
                    place,
                    (to, &self.shapes[to]),
                    &self.chances[place].m,
                    parts,
                ))
            })
            .collect();
    }

    /// How the comparison that `place` is tied to stands in `pattern`.
    pub(crate) fn standing(&self, pattern: &Pattern, place: usize) -> usize {
        let Some(tie) = &self.ties[place] else { return 0 };
        let level = usize::from(pattern[tie.to]);
        if level == 0 { 0 } else { 1 + usize::from(level + 1 == self.shapes[tie.to].levels) }
    }

    /// The natural logarithms of the odds of a match that the levels add in a stratum: by comparison, and by
    /// [`Self::standing`] and level.
    pub(crate) fn weights(&self, agreed: Agreed, u: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let of = |(place, shape): (usize, &Shape)| {
            let own = agreed & (1 << place) != 0;
            let m = &self.chances[place].m;
            let tables = match &self.ties[place] {
                Some(tie) if !own => vec![m, &tie.near, &tie.apart],
                _ => vec![m; STANDINGS],
            };
            let whole = if own { full(shape, m).max(CHANCE_MIN) } else { 1.0 };
            let weight = |m: &Vec<f64>, level: usize| match level {
                0 => 0.0,
                _ => (m[level] / whole).max(CHANCE_MIN).ln() - u[place][level].max(CHANCE_MIN).ln(),
            };
            tables.iter().flat_map(|m| (0..shape.levels).map(move |level| weight(m, level))).collect()
        };
        self.shapes.iter().enumerate().map(of).collect()
    }

    /// What `pattern` adds by its comparison `place`.
    pub(crate) fn part(&self, weights: &[Vec<f64>], pattern: &Pattern, place: usize) -> f64 {
        let standing = self.standing(pattern, place) * self.shapes[place].levels;
        weights[place][standing + usize::from(pattern[place])]
    }

    /// What `pattern` adds in all.
    pub(crate) fn sum(&self, weights: &[Vec<f64>], pattern: &Pattern) -> f64 {
        (0..self.shapes.len()).map(|place| self.part(weights, pattern, place)).sum()
    }

    /// Estimates each pattern anew; says by what share of all matches pairs have moved.
    fn expect(&self, parts: &mut [Part]) -> f64 {
        let sums = parts.par_iter_mut().map(|part| {
            let stratum = &self.strata[&part.agreed];
            let weights = self.weights(part.agreed, &stratum.u);
            let odds = stratum.odds.max(CHANCE_MIN).ln();
            let (mut moved, mut matches) = (0.0, 0.0);
            for ((pattern, count), probability) in part.patterns.iter().zip(part.probability.iter_mut()) {
                let new = 1.0 / (1.0 + (-odds - self.sum(&weights, pattern)).exp());
                moved += count * (new - *probability).abs();
                matches += count * new;
                *probability = new;
            }
            (moved, matches)
        });
        // Summed in order: the sum of floating-point numbers depends on it.
        let sums: Vec<(f64, f64)> = sums.collect();
        let (moved, matches) = sums.iter().fold((0.0, 0.0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
        moved / f64::max(matches, 1e-9)
    }

    fn maximise(&mut self, start: &Start, first_u: &[Vec<f64>], parts: &[Part]) {
        let tallies: Vec<Vec<Tally>> =
            parts.par_iter().map(|part| tally(&self.shapes, &part.patterns, &part.probability)).collect();
        let matches: f64 = parts
            .iter()
            .flat_map(|part| part.patterns.iter().zip(&part.probability))
            .map(|(c, p)| c.1 * p)
            .sum();
        let pairs: f64 = parts.iter().flat_map(|part| &part.patterns).map(|(_, count)| count).sum();
        self.prior = if start.strata {
            (matches / start.sampled / start.possible_pairs).clamp(1e-15, 0.5)
        } else {
            matches / pairs
        };
        self.learn_m(start, parts, &tallies);
        if start.strata {
            self.correct_u(start, first_u, &tallies);
        }
        let shared_share = self.shared_share(start, parts);
        let expectation = Expectation::new(start, matches, shared_share);
        for (part, tally) in parts.iter().zip(&tallies) {
            let stratum = self.learn_stratum(start, &expectation, part, tally);
            self.strata.insert(part.agreed, stratum);
        }
    }

    /// `m` from those pairs that were found whatever the comparison says.
    fn learn_m(&mut self, start: &Start, parts: &[Part], tallies: &[Vec<Tally>]) {
        for place in 0..self.shapes.len() {
            let free = |part: &Part| {
                let without = part.agreed & !(1 << place);
                start.blocked_by.is_empty() || start.blocked_by.iter().any(|rule| rule & !without == 0)
            };
            let levels = self.shapes[place].levels;
            let mut counts = vec![0.0; levels];
            for (_, tally) in parts.iter().zip(tallies).filter(|(part, _)| free(part)) {
                counts.iter_mut().zip(&tally[place].matches).for_each(|(sum, count)| *sum += count);
            }
            let believed = &start.chances[place].m;
            let sum: f64 = counts.iter().skip(1).sum::<f64>() + start.belief;
            if sum <= 0.0 {
                continue;
            }
            let m = &mut self.chances[place].m;
            for level in 1..levels {
                m[level] = ((counts[level] + start.belief * believed[level]) / sum).max(CHANCE_MIN);
            }
        }
    }

    /// `u` was counted over all pairs, matches among them: takes these out.
    fn correct_u(&mut self, start: &Start, first_u: &[Vec<f64>], tallies: &[Vec<Tally>]) {
        for place in 0..self.shapes.len() {
            let shape = &self.shapes[place];
            let mut matches = vec![0.0; shape.levels];
            for tally in tallies {
                matches.iter_mut().zip(&tally[place].matches).for_each(|(sum, count)| *sum += count);
            }
            let u = &mut self.chances[place].u;
            for level in 1..shape.levels {
                let share = matches[level] / start.sampled / start.possible_pairs;
                let left = (first_u[place][level] - share).max(first_u[place][level] * 0.01);
                u[level] = left.max(0.5 / start.possible_pairs);
            }
            let sum: f64 = u.iter().skip(1).sum();
            u.iter_mut().skip(1).for_each(|chance| *chance /= sum);
        }
    }

    fn learn_stratum(
        &self,
        start: &Start,
        expectation: &Expectation,
        part: &Part,
        tally: &[Tally],
    ) -> Stratum {
        let places = 0..self.shapes.len();
        let (mut matches, mut pairs, mut truncated) = (0.0, 0.0, 0.0);
        for ((pattern, count), probability) in part.patterns.iter().zip(&part.probability) {
            pairs += count;
            matches += count * probability;
            truncated += count * (1.0 - probability + 1e-3) * self.truncation(part, pattern);
        }
        let chance = pairs - matches;
        let truncation = truncated / (chance + 1e-3 * pairs);
        if !start.strata {
            let u = places
                .map(|place| {
                    let sum: f64 = tally[place].chance.iter().skip(1).sum();
                    tally[place].chance.iter().map(|count| (count / sum).max(CHANCE_MIN)).collect()
                })
                .collect();
            return Stratum { odds: matches / chance.max(CHANCE_MIN), u, pairs, matches };
        }
        let by_chance = start.by_chance(&self.chances, part.agreed);
        let shared = start.is_shared(part.agreed, by_chance, pairs);
        let (matching, agreeing) = if shared {
            let share = expectation.shared_share;
            (matches + start.belief * share, chance + start.belief * (1.0 - share))
        } else {
            let agreeing = (1.0 + chance) / (1.0 / by_chance.min(pairs).max(1e-9) + 1.0);
            (expectation.matching(self, part.agreed, matches), agreeing)
        };
        let odds = matching / (agreeing * truncation).max(CHANCE_MIN);
        let u = places
            .map(|place| {
                // Two people of one household are, in what is their own, like any two people.
                if shared && start.personal & (1 << place) != 0 {
                    let any = scaled(&self.shapes[place], &self.chances[place].u, false, 1.0);
                    let belief = start.belief + SHARED_BELIEF * pairs;
                    return self.settle(place, false, &tally[place].chance, &any, belief);
                }
                let believed = self.believed_u(part.agreed, place);
                self.settle(place, part.agrees(place), &tally[place].chance, &believed, start.belief)
            })
            .collect();
        Stratum { odds, u, pairs, matches }
    }

    /// Of the pairs that share what a household shares, those that are matches.
    fn shared_share(&self, start: &Start, parts: &[Part]) -> f64 {
        let (mut pairs, mut matches) = (1.0, 0.5);
        for part in parts {
            let own: f64 = part.patterns.iter().map(|(_, count)| count).sum();
            if start.is_shared(part.agreed, start.by_chance(&self.chances, part.agreed), own) {
                pairs += own;
                matches += part.patterns.iter().zip(&part.probability).map(|(c, p)| c.1 * p).sum::<f64>();
            }
        }
        matches / pairs
    }

    /// The odds of a match when pairs that differ in all that is a person's own are of two people, and others of one.
    fn shared_odds(&self, start: &Start, part: &Part) -> f64 {
        let (mut two, mut one, mut truncated) = (1.0, 1.0, 0.0);
        for (pattern, count) in &part.patterns {
            let own = |place: &usize| start.personal & (1 << place) != 0 && pattern[*place] != 0;
            let differs = |place: usize| usize::from(pattern[place]) + 1 == self.shapes[place].levels;
            let mut own = (0..self.shapes.len()).filter(own).peekable();
            if own.peek().is_none() {
                continue;
            }
            if own.all(differs) {
                two += count;
                truncated += count * self.truncation(part, pattern);
            } else {
                one += count;
            }
        }
        one / truncated.max(1e-6 * two)
    }

    /// How much likelier a match than a chance pair is to disagree wherever this pattern has values and does.
    fn truncation(&self, part: &Part, pattern: &Pattern) -> f64 {
        let mut ratio = 1.0;
        for (place, shape) in self.shapes.iter().enumerate() {
            if pattern[place] != 0 && !part.agrees(place) {
                let chances = &self.chances[place];
                ratio *=
                    (1.0 - full(shape, &chances.m)).max(1e-6) / (1.0 - full(shape, &chances.u)).max(1e-6);
            }
        }
        ratio
    }

    fn log_likelihood(&self, parts: &[Part]) -> f64 {
        let of = |part: &Part| -> f64 {
            let stratum = &self.strata[&part.agreed];
            let weights = self.weights(part.agreed, &stratum.u);
            let chance = |pattern: &Pattern| -> f64 {
                let levels = (0..self.shapes.len()).filter(|place| pattern[*place] != 0);
                levels.map(|place| stratum.u[place][usize::from(pattern[place])].max(CHANCE_MIN).ln()).sum()
            };
            part.patterns
                .iter()
                .map(|(pattern, count)| {
                    let odds = stratum.odds * self.sum(&weights, pattern).exp();
                    count * (chance(pattern) + odds.ln_1p() - stratum.odds.ln_1p())
                })
                .sum()
        };
        parts.iter().map(of).sum()
    }
}

impl Part {
    fn agrees(&self, place: usize) -> bool {
        self.agreed & (1 << place) != 0
    }
}

/// Chances of a comparison, times `weight`; when it agrees, those of its steps alone.
fn scaled(shape: &Shape, u: &[f64], agrees: bool, weight: f64) -> Vec<f64> {
    let whole = if agrees { full(shape, u).max(CHANCE_MIN) } else { 1.0 };
    u.iter()
        .enumerate()
        .map(|(level, chance)| match level {
            0 => 0.0,
            _ if agrees && !shape.full.contains(&level) => 0.0,
            _ => weight * chance / whole,
        })
        .collect()
}

/// Pairs of each level, by class.
struct Tally {
    matches: Vec<f64>,
    chance: Vec<f64>,
}

fn tally(shapes: &[Shape], patterns: &[Counted], probability: &[f64]) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = shapes
        .iter()
        .map(|shape| Tally { matches: vec![0.0; shape.levels], chance: vec![0.0; shape.levels] })
        .collect();
    for ((pattern, count), probability) in patterns.iter().zip(probability) {
        for (tally, level) in tallies.iter_mut().zip(pattern) {
            tally.matches[usize::from(*level)] += count * probability;
            tally.chance[usize::from(*level)] += count * (1.0 - probability);
        }
    }
    tallies
}

#[cfg(test)]
mod tests;
