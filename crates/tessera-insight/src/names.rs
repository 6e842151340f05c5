//! Names that nobody has seen, and those that are near.

use crate::Range;
use crate::sql::in_range;

/// So many names are compared at most, those that come most often.
const NAMES_MAX: usize = 1_000;
/// So alike a name must be to be meant.
const ALIKE: f64 = 0.75;

/// Asks which names events of a range have.
#[must_use]
pub fn seen_sql(range: Range) -> String {
    format!(
        "SELECT event FROM events\nWHERE {} AND event IS NOT NULL\nGROUP BY event ORDER BY count(*) DESC, event LIMIT {NAMES_MAX}\n",
        in_range(range)
    )
}

/// What to tell of `wanted` when `seen` are the names that there are: nothing, if it is one of them.
#[must_use]
pub fn nearest(wanted: &str, seen: &[String]) -> Option<String> {
    if seen.iter().any(|name| name == wanted) {
        return None;
    }
    let lower = wanted.to_lowercase();
    let mut alike: Vec<(f64, &String)> = seen
        .iter()
        .map(|name| (strsim::jaro_winkler(&lower, &name.to_lowercase()), name))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    alike.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.cmp(other.1)));
    let near: Vec<String> = alike.into_iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    Some(match near.as_slice() {
        [] => format!("no event in this range is called `{wanted}`"),
        near => format!("no event in this range is called `{wanted}`; near to it: {}", near.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_nobody_has_seen_is_told_with_those_near_to_it() {
        let seen = ["Order Completed", "Order Cancelled", "Page Viewed"].map(str::to_owned);
        assert_eq!(nearest("Order Completed", &seen), None);
        let told = nearest("order complete", &seen).unwrap();
        assert!(told.contains("`order complete`; near to it: `Order Completed`"), "{told}");
        assert!(nearest("Zzz", &seen).unwrap().ends_with("is called `Zzz`"));
    }
}
