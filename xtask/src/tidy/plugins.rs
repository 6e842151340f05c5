//! A destination is a folder of one shape and one line of the visible list.

use std::collections::BTreeSet;

use super::tree::Tree;
use super::{Finding, Rule};

const FOLDER: &str = "crates/tessera-connect/src/destinations";
const FILES: [&str; 6] = ["README.md", "mod.rs", "config.rs", "map.rs", "send.rs", "tests.rs"];

const SHAPE: Rule = Rule {
    name: "plug-in-shape",
    why: "who knows one destination should know them all: what it does, its limits, what it maps, its only I/O",
    hint: "add it; STYLE: README.md, mod.rs, config.rs, map.rs (pure), send.rs (the only I/O), cases/*.json, tests.rs",
};
const LISTED: Rule = Rule {
    name: "plug-in-listed",
    why: "a destination that the list does not name is compiled into nothing",
    hint: "declare its module and its line of CONNECTORS in destinations/mod.rs",
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let below = format!("{FOLDER}/");
    let names: BTreeSet<&str> = tree
        .files
        .iter()
        .filter_map(|file| file.path.strip_prefix(&below)?.split_once('/').map(|(name, _)| name))
        .collect();
    let list = tree.text(&format!("{below}mod.rs")).unwrap_or_default();
    let mut findings = Vec::new();
    for name in names {
        let folder = format!("{below}{name}");
        for file in FILES.iter().filter(|file| !tree.holds(&format!("{folder}/{file}"))) {
            findings.push(SHAPE.finding(&folder, 1, format!("`{name}` has no {file}")));
        }
        let cases = format!("{folder}/cases/");
        if !tree.files.iter().any(|file| file.path.starts_with(&cases) && file.path.ends_with(".json")) {
            findings.push(SHAPE.finding(&folder, 1, format!("`{name}` has no cases/*.json")));
        }
        if !list.contains(&format!("mod {name};")) {
            findings.push(LISTED.finding(&folder, 1, format!("the list does not name `{name}`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_without_its_files_or_its_line_is_found() {
        let at = |file: &str| format!("{FOLDER}/{file}");
        let whole = ["README.md", "mod.rs", "config.rs", "map.rs", "send.rs", "tests.rs", "cases/order.json"];
        let mut files: Vec<(String, &str)> =
            whole.iter().map(|file| (at(&format!("webhook/{file}")), "")).collect();
        files.push((at("mod.rs"), "mod webhook;\n"));
        let whole: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        assert_eq!(check(&Tree::of(&whole)), []);

        let broken = [(at("fax/mod.rs"), ""), (at("mod.rs"), "")];
        let broken: Vec<(&str, &str)> = broken.iter().map(|(path, text)| (path.as_str(), *text)).collect();
        let found: Vec<String> = check(&Tree::of(&broken)).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found.len(), 7, "{found:?}");
        assert!(found.contains(&"`fax` has no README.md".to_owned()));
        assert!(found.contains(&"`fax` has no cases/*.json".to_owned()));
        assert!(found.contains(&"the list does not name `fax`".to_owned()));
    }
}
