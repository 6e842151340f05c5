//! Which crate may use which, as `ARCHITECTURE.md` draws it.

use cargo_metadata::{DependencyKind, Metadata};

use super::tree::{Tree, lines};
use super::{Finding, Rule};

/// Each crate and those of ours that it may use; tests may use more.
const DIRECTIONS: [(&str, &[&str]); 24] = [
    ("tessera-contact", &[]),
    ("tessera-contract", &[]),
    ("tessera-iab", &[]),
    ("tessera-match", &[]),
    // A shell of its own, so that nothing in the way of ingest can ask the DNS.
    ("tessera-mx", &["tessera-contact"]),
    ("tessera-model", &["tessera-iab", "tessera-contact", "tessera-contract"]),
    ("tessera-audience", &["tessera-model"]),
    ("tessera-policy", &["tessera-model"]),
    ("tessera-identity", &["tessera-model"]),
    ("tessera-picture", &[]),
    ("tessera-quality", &["tessera-contact", "tessera-model", "tessera-picture"]),
    ("tessera-insight", &["tessera-model", "tessera-picture"]),
    ("tessera-rights", &["tessera-model", "tessera-policy"]),
    // A cluster is stored as one record: its identity graph and its fragments' places.
    // What a fragment keeps for audiences is part of it.
    ("tessera-profile", &["tessera-audience", "tessera-model", "tessera-policy", "tessera-identity"]),
    ("tessera-store", &["tessera-model"]),
    ("tessera-store-embedded", &["tessera-model", "tessera-store"]),
    ("tessera-connect", &["tessera-model", "tessera-policy"]),
    // The clock alone is the store's.
    ("tessera-evidence", &["tessera-model", "tessera-store"]),
    (
        "tessera-pipeline",
        &[
            "tessera-audience",
            "tessera-contract",
            "tessera-model",
            "tessera-policy",
            "tessera-identity",
            "tessera-match",
            "tessera-profile",
            "tessera-quality",
            "tessera-store",
            "tessera-connect",
            "tessera-evidence",
        ],
    ),
    // It reads people as the pipeline lets them be read; nobody but the binary builds its engine.
    (
        "tessera-lake",
        &[
            "tessera-audience",
            "tessera-model",
            "tessera-pipeline",
            "tessera-policy",
            "tessera-profile",
            "tessera-store",
        ],
    ),
    (
        "tessera-server",
        &[
            "tessera-audience",
            "tessera-contact",
            "tessera-contract",
            "tessera-model",
            "tessera-policy",
            "tessera-identity",
            "tessera-profile",
            "tessera-quality",
            "tessera-insight",
            "tessera-store",
            "tessera-connect",
            "tessera-evidence",
            "tessera-rights",
            "tessera-match",
            "tessera-mx",
            "tessera-pipeline",
        ],
    ),
    (
        "tessera-sim",
        &[
            "tessera-model",
            "tessera-policy",
            "tessera-identity",
            "tessera-profile",
            "tessera-quality",
            "tessera-audience",
            "tessera-store",
            "tessera-store-embedded",
            "tessera-connect",
            "tessera-evidence",
            "tessera-pipeline",
            "tessera-server",
        ],
    ),
    (
        "tessera",
        &[
            "tessera-contact",
            "tessera-contract",
            "tessera-model",
            "tessera-policy",
            "tessera-identity",
            "tessera-profile",
            "tessera-quality",
            "tessera-audience",
            "tessera-insight",
            "tessera-picture",
            "tessera-store",
            "tessera-store-embedded",
            "tessera-connect",
            "tessera-evidence",
            "tessera-lake",
            "tessera-rights",
            "tessera-match",
            "tessera-mx",
            "tessera-pipeline",
            "tessera-server",
        ],
    ),
    ("xtask", &[]),
];

const DIRECTION: Rule = Rule {
    name: "direction",
    why: "an engine that knows a shell can no longer be replayed, and a circle of crates cannot be built at all",
    hint: "turn the use round (pass a value or a trait), or change DIRECTIONS in xtask/src/tidy/direction.rs with an ADR",
};
const UNKNOWN: Rule = Rule {
    name: "direction",
    why: "a crate that nobody placed may use anything",
    hint: "give it a line in DIRECTIONS in xtask/src/tidy/direction.rs and in ARCHITECTURE.md",
};

pub(super) fn check(metadata: &Metadata, tree: &Tree) -> Vec<Finding> {
    let mut uses = Vec::new();
    for package in metadata.workspace_packages() {
        let ours = package.dependencies.iter().filter(|wanted| wanted.path.is_some());
        let ours = ours.filter(|wanted| wanted.kind != DependencyKind::Development);
        uses.push((package.name.to_string(), ours.map(|wanted| wanted.name.clone()).collect()));
    }
    let mut findings = directions(&uses);
    for finding in &mut findings {
        let manifest = tree.text(&finding.path).unwrap_or_default();
        let used = finding.what.rsplit(' ').next().unwrap_or_default().trim_matches('`');
        let named =
            |(_, line): &(usize, &str)| line.strip_prefix(used).is_some_and(|rest| rest.starts_with('.'));
        finding.line = lines(manifest).find(named).map_or(1, |(line, _)| line);
    }
    findings
}

fn directions(uses: &[(String, Vec<String>)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, used) in uses {
        let folder = if name == "xtask" { "xtask".to_owned() } else { format!("crates/{name}") };
        let manifest = format!("{folder}/Cargo.toml");
        let Some((_, may)) = DIRECTIONS.iter().find(|(known, _)| known == name) else {
            findings.push(UNKNOWN.finding(&manifest, 1, format!("nothing says what `{name}` may use")));
            continue;
        };
        for other in used.iter().filter(|other| !may.contains(&other.as_str())) {
            findings.push(DIRECTION.finding(&manifest, 1, format!("`{name}` uses `{other}`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_uses_what_it_may_not_is_found() {
        let uses = [
            ("tessera-policy".to_owned(), vec!["tessera-model".to_owned(), "tessera-pipeline".to_owned()]),
            ("tessera-new".to_owned(), vec![]),
        ];
        let found: Vec<String> = directions(&uses).into_iter().map(|finding| finding.what).collect();
        assert_eq!(
            found,
            ["`tessera-policy` uses `tessera-pipeline`", "nothing says what `tessera-new` may use"]
        );
    }

    #[test]
    fn the_directions_have_no_circle() {
        let mut known = Vec::new();
        for (name, may) in DIRECTIONS {
            assert!(may.iter().all(|other| known.contains(other)), "{name} uses what comes after it");
            known.push(name);
        }
    }
}
