//! The tests that `ARCHITECTURE.md` names as guards exist.

use std::collections::BTreeSet;

use super::tokens::tokens;
use super::tree::{Tree, lines};
use super::{Finding, Rule};

const PAGE: &str = "ARCHITECTURE.md";

const GUARD: Rule = Rule {
    name: "invariants-are-tested",
    why: "an invariant whose test is gone is a hope",
    hint: "name the test that guards it now, or write one",
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let page = tree.text(PAGE).unwrap_or_default();
    let guards = guards(page);
    if guards.is_empty() {
        return vec![GUARD.finding(PAGE, 1, "no table of invariants with the tests that guard them")];
    }
    let functions = functions(tree);
    let missing = guards.into_iter().filter(|(_, guard)| !functions.contains(*guard));
    missing.map(|(line, guard)| GUARD.finding(PAGE, line, format!("there is no test `{guard}`"))).collect()
}

/// The names in backticks in the last column of the table below `## Invariants`.
fn guards(page: &str) -> Vec<(usize, &str)> {
    let rows = lines(page)
        .skip_while(|(_, line)| *line != "## Invariants")
        .filter(|(_, line)| line.starts_with('|'));
    let last = rows.filter_map(|(at, line)| Some((at, line.trim_end_matches('|').rsplit_once('|')?.1)));
    last.flat_map(|(at, cell)| cell.split('`').skip(1).step_by(2).map(move |guard| (at, guard))).collect()
}

fn functions(tree: &Tree) -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    for (_, source) in tree.rust() {
        for pair in tokens(source).windows(2) {
            if let [keyword, name] = pair
                && keyword.text == "fn"
            {
                functions.insert(name.text.clone());
            }
        }
    }
    functions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_is_gone_is_found() {
        let page = "| `x` | `y` |\n## Invariants\n| always | guarded by |\n| --- | --- |\n| a `b` holds | `a_holds`, `gone` |\n";
        let source = "fn a_holds() {} // fn gone()";
        let findings = check(&Tree::of(&[(PAGE, page), ("a.rs", source)]));
        let found: Vec<(usize, &str)> =
            findings.iter().map(|finding| (finding.line, finding.what.as_str())).collect();
        assert_eq!(found, [(5, "there is no test `gone`")]);
    }
}
