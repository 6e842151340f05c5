//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Not a linter for style: rustfmt and clippy are. Every check is a function of the files alone; invariant: a
//! finding says where, which rule, why it is one and what to do.

mod codes;
mod direction;
mod files;
mod guide;
mod invariants;
mod licences;
mod links;
mod plugins;
mod purity;
mod tokens;
mod tree;
mod versions;
mod words;

use anyhow::{Result, bail};

use tree::Tree;

/// One place that breaks one rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    what: String,
    why: &'static str,
    hint: String,
}

/// A rule: its name, why it is one, and what somebody who broke it does.
struct Rule {
    name: &'static str,
    why: &'static str,
    hint: &'static str,
}

impl Rule {
    /// A finding with the rule's own hint.
    fn finding(&self, path: &str, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: path.to_owned(),
            line,
            rule: self.name,
            what: what.into(),
            why: self.why,
            hint: self.hint.to_owned(),
        }
    }
}

pub(crate) fn run() -> Result<()> {
    let tree = Tree::load(&crate::process::root())?;
    let mut findings = check(&tree);
    let metadata = licences::metadata()?;
    findings.extend(direction::check(&metadata, &tree));
    findings.extend(licences::check(&metadata, &tree)?);
    findings.sort();
    for finding in &findings {
        let Finding { path, line, rule, what, why, hint } = finding;
        println!("{path}:{line}: {rule}: {what}\n    why:  {why}\n    hint: {hint}");
    }
    if !findings.is_empty() {
        bail!("tidy found {} things in {} files looked at", findings.len(), tree.files.len());
    }
    println!("tidy: nothing found in {} files", tree.files.len());
    Ok(())
}

/// All checks that need nothing but the files.
fn check(tree: &Tree) -> Vec<Finding> {
    let checks = [
        purity::check,
        words::check,
        plugins::check,
        codes::check,
        files::check,
        versions::check,
        links::check,
        guide::check,
        invariants::check,
    ];
    checks.into_iter().flat_map(|check| check(tree)).collect()
}
