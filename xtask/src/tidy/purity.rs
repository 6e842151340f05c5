//! Engine crates decide; they do not read, write, wait, log or tell the time.

use super::tokens::{below_std, tokens};
use super::tree::Tree;
use super::{Finding, Rule};

const ENGINES: [&str; 13] = [
    "contact", "contract", "iab", "match", "rights", "policy", "identity", "profile", "quality", "audience",
    "insight", "picture", "model",
];
const MODULES_OF_STD: [&str; 5] = ["fs", "net", "process", "thread", "env"];
const NAMES: [&str; 4] = ["tokio", "tracing", "Instant", "SystemTime"];
const UNORDERED: [&str; 2] = ["HashMap", "HashSet"];

const PURE: Rule = Rule {
    name: "engines-are-pure",
    why: "an engine that reads a file, a clock or a socket gives another answer when the log is replayed",
    hint: "take it as an argument and do it in tessera-pipeline, tessera-server or the binary",
};
const ORDERED: Rule = Rule {
    name: "engines-are-ordered",
    why: "the order of a hash map differs from run to run, and must not reach what is committed",
    hint: "use BTreeMap, BTreeSet or indexmap::IndexMap",
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust().filter(|(path, _)| is_engine(path)) {
        let tokens = tokens(source);
        let modules =
            below_std(&tokens).into_iter().filter(|token| MODULES_OF_STD.contains(&token.text.as_str()));
        findings
            .extend(modules.map(|token| PURE.finding(path, token.line, format!("`std::{}`", token.text))));
        for token in tokens.iter().filter(|token| token.is_identifier) {
            let name = token.text.as_str();
            if NAMES.contains(&name) {
                findings.push(PURE.finding(path, token.line, format!("`{name}`")));
            } else if UNORDERED.contains(&name) {
                findings.push(ORDERED.finding(path, token.line, format!("`{name}`")));
            }
        }
    }
    findings
}

fn is_engine(path: &str) -> bool {
    ENGINES.iter().any(|engine| path.starts_with(&format!("crates/tessera-{engine}/src/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, source: &str) -> Vec<(usize, &'static str, String)> {
        let findings = check(&Tree::of(&[(path, source)]));
        findings.into_iter().map(|finding| (finding.line, finding.rule, finding.what)).collect()
    }

    #[test]
    fn an_engine_that_reads_a_file_or_the_time_is_found() {
        let source = "use std::{fs, time::Instant};\nfn a() { tokio::spawn(b()); }";
        assert_eq!(
            found("crates/tessera-identity/src/lib.rs", source),
            [
                (1, "engines-are-pure", "`std::fs`".to_owned()),
                (1, "engines-are-pure", "`Instant`".to_owned()),
                (2, "engines-are-pure", "`tokio`".to_owned()),
            ]
        );
    }

    #[test]
    fn an_engine_that_hashes_is_found_and_a_shell_may() {
        let source = "use std::collections::HashMap;";
        assert_eq!(
            found("crates/tessera-model/src/json.rs", source),
            [(1, "engines-are-ordered", "`HashMap`".to_owned())]
        );
        assert_eq!(found("crates/tessera-pipeline/src/runner.rs", source), []);
    }
}
