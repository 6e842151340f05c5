//! How many pairs of each class a stratum should have, from what is known without looking at its pairs.

use super::{Agreed, Mixture, Start, full};

/// How many pairs of each class to expect in a stratum, before its own pairs are looked at.
///
/// Chance pairs are bounded by how often values agree among pairs drawn at random; without that bound one class could
/// take a part of the other, those matches who moved say. A stratum where no chance pair is expected may still have
/// some, when its pairs contradict a match strongly.
pub(super) struct Expectation {
    present: Vec<f64>,
    together: Vec<Vec<f64>>,
    possible: f64,
    matches: f64,
    blocked_by: Vec<Agreed>,
}

pub(super) struct Expected {
    pub(super) chance: f64,
    /// Nothing where blocking finds an unknown part.
    pub(super) matches: Option<f64>,
}

impl Expectation {
    pub(super) fn new(start: &Start, mixture: &Mixture, matches: f64) -> Self {
        let places = 0..start.shapes.len();
        let random = &start.random;
        let chances = |place: usize| &mixture.chances[place];
        let share = |place: usize, of: &[f64]| full(&start.shapes[place], of);
        let together = places
            .clone()
            .map(|a| {
                places
                    .clone()
                    .map(|b| {
                        let (present, both) = (random.present[a][b], random.agree[a][b]);
                        let of_matches =
                            present * mixture.prior * share(a, &chances(a).m) * share(b, &chances(b).m);
                        let alone = present * share(a, &chances(a).u) * share(b, &chances(b).u);
                        ((both - of_matches).max(0.0) + 5.0) / (alone + 5.0)
                    })
                    .collect()
            })
            .collect();
        Self {
            present: places.map(|place| random.present[place][place] / random.pairs.max(1.0)).collect(),
            together,
            possible: start.possible_pairs * start.sampled,
            matches,
            blocked_by: start.blocked_by.clone(),
        }
    }

    pub(super) fn of(&self, mixture: &Mixture, agreed: Agreed) -> Expected {
        let places: Vec<usize> = (0..mixture.shapes.len()).collect();
        let inside = |place: &usize| agreed & (1 << place) != 0;
        let agreeing = |place: usize, of: &[f64]| self.present[place] * full(&mixture.shapes[place], of);
        let alone: f64 =
            places.iter().filter(|p| inside(p)).map(|p| agreeing(*p, &mixture.chances[*p].u)).product();
        let from_random = self.possible * alone * self.dependence(agreed, places.len());
        // What depends on more than two columns shows in the strata with one agreement less.
        let from_parents = places.iter().filter(|p| inside(p)).filter_map(|place| {
            let parent = mixture.strata.get(&(agreed & !(1 << place)))?;
            Some((parent.pairs - parent.matches).max(0.0) * agreeing(*place, &mixture.chances[*place].u))
        });
        let chance = from_parents.fold(from_random, f64::max);
        let whole = self.blocked_by.is_empty() || self.blocked_by.iter().any(|rule| rule & !agreed == 0);
        let matches = whole.then(|| {
            let share = |place: &usize| {
                let m = agreeing(*place, &mixture.chances[*place].m);
                if inside(place) { m } else { 1.0 - m }
            };
            self.matches * places.iter().map(share).product::<f64>()
        });
        Expected { chance, matches }
    }

    /// How much more often than alone the columns agree together by chance: the strongest ties that make no circle
    /// (Chow and Liu, "Approximating Discrete Probability Distributions with Dependence Trees", 1968).
    fn dependence(&self, agreed: Agreed, count: usize) -> f64 {
        let inside: Vec<usize> = (0..count).filter(|place| agreed & (1 << place) != 0).collect();
        let Some((first, rest)) = inside.split_first() else { return 1.0 };
        let (mut joined, mut left, mut product) = (vec![*first], rest.to_vec(), 1.0);
        while !left.is_empty() {
            let best = left
                .iter()
                .enumerate()
                .flat_map(|(place, b)| joined.iter().map(move |a| (place, self.together[*a][*b])))
                .max_by(|a, b| a.1.total_cmp(&b.1));
            let Some((place, tie)) = best else { break };
            product *= tie;
            joined.push(left.swap_remove(place));
        }
        product
    }
}
