//! What the libraries we ship allow, which we refuse, and which we build twice: `deny.toml`, without the network.
//!
//! Not for advisories: these need cargo-deny and its database.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use cargo_metadata::{Metadata, MetadataCommand, Package};
use serde::Deserialize;

use super::tree::Tree;
use super::{Finding, Rule};

const CONFIG: &str = "deny.toml";
/// Where Tessera is built; what only other systems need is not looked at.
const PLATFORMS: [&str; 3] =
    ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "aarch64-apple-darwin"];

const LICENCE: Rule = Rule {
    name: "licences",
    why: "who runs Tessera must be allowed to run all of it",
    hint: "take another library, or allow the licence in deny.toml once somebody has read it",
};
const BANNED: Rule = Rule {
    name: "banned-library",
    why: "deny.toml says so, with its reason",
    hint: "`cargo tree --invert NAME` shows who asks for it; take another library or leave out the feature",
};
const TWICE: Rule = Rule {
    name: "built-twice",
    why: "two versions of one library are compiled, shipped and patched twice",
    hint: "`cargo tree --invert NAME` shows who asks for it; update, or add it to [bans] skip with a reason",
};

#[derive(Deserialize)]
struct Config {
    licenses: Licences,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    name: String,
}

/// All packages that a build on our platforms needs.
pub(super) fn metadata() -> Result<Metadata> {
    let platforms =
        PLATFORMS.iter().flat_map(|platform| ["--filter-platform".to_owned(), (*platform).to_owned()]);
    let mut command = MetadataCommand::new();
    command.current_dir(crate::process::root()).other_options(platforms.collect::<Vec<_>>());
    command.exec().context("cannot read the workspace's metadata")
}

pub(super) fn check(metadata: &Metadata, tree: &Tree) -> Result<Vec<Finding>> {
    let text = tree.text(CONFIG).context("there is no deny.toml")?;
    let config: Config = toml::from_str(text).context("cannot read deny.toml")?;
    let theirs = metadata.packages.iter().filter(|package| package.source.is_some());
    let facts: Vec<Library> = theirs.map(Library::of).collect();
    Ok(judge(&config, &facts))
}

struct Library {
    name: String,
    version: String,
    licence: Option<String>,
}

impl Library {
    fn of(package: &Package) -> Self {
        Self {
            name: package.name.to_string(),
            version: package.version.to_string(),
            licence: package.license.clone(),
        }
    }
}

fn judge(config: &Config, libraries: &[Library]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for library in libraries {
        let (name, version) = (library.name.as_str(), library.version.as_str());
        versions.entry(name).or_default().push(version);
        if config.bans.deny.iter().any(|banned| banned.name == name) {
            findings.push(BANNED.finding("Cargo.lock", 1, format!("{name} {version}")));
        }
        if !is_allowed(library.licence.as_deref(), &config.licenses.allow) {
            let licence = library.licence.as_deref().unwrap_or("no licence that it names");
            findings.push(LICENCE.finding("Cargo.lock", 1, format!("{name} {version} has {licence}")));
        }
    }
    for (name, versions) in versions.into_iter().filter(|(_, versions)| versions.len() > 1) {
        if !config.bans.skip.iter().any(|skipped| skipped.name == name) {
            findings.push(TWICE.finding("Cargo.lock", 1, format!("{name} {}", versions.join(" and "))));
        }
    }
    findings
}

/// Whether the licences that are allowed suffice.
fn is_allowed(licence: Option<&str>, allowed: &[String]) -> bool {
    let Some(licence) = licence else { return false };
    // Lax: older packages write `MIT/Apache-2.0`.
    let Ok(expression) = spdx::Expression::parse_mode(licence, spdx::ParseMode::LAX) else { return false };
    expression.evaluate(|wanted| allowed.iter().any(|allowed| *allowed == wanted.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, version: &str, licence: &str) -> Library {
        let licence = (!licence.is_empty()).then(|| licence.to_owned());
        Library { name: name.to_owned(), version: version.to_owned(), licence }
    }

    #[test]
    fn licences_that_are_not_allowed_are_found() {
        let allowed = ["MIT", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        assert!(is_allowed(Some("MIT OR GPL-3.0-only"), &allowed));
        assert!(is_allowed(Some("Unlicense/MIT"), &allowed));
        assert!(is_allowed(Some("Apache-2.0 WITH LLVM-exception"), &allowed));
        assert!(!is_allowed(Some("MIT AND GPL-3.0-only"), &allowed));
        assert!(!is_allowed(Some("Apache-2.0"), &allowed));
        assert!(!is_allowed(None, &allowed));
    }

    #[test]
    fn banned_and_doubled_libraries_are_found_unless_there_is_a_reason() {
        let named = |name: &str| Named { name: name.to_owned() };
        let config = Config {
            licenses: Licences { allow: vec!["MIT".to_owned()] },
            bans: Bans { deny: vec![named("openssl")], skip: vec![named("syn")] },
        };
        let libraries = [
            library("openssl", "0.10.0", "MIT"),
            library("syn", "2.0.0", "MIT"),
            library("syn", "3.0.0", "MIT"),
            library("rand", "0.9.0", "MIT"),
            library("rand", "0.10.0", "MIT"),
        ];
        let found: Vec<(&str, String)> =
            judge(&config, &libraries).into_iter().map(|finding| (finding.rule, finding.what)).collect();
        assert_eq!(
            found,
            [
                ("banned-library", "openssl 0.10.0".to_owned()),
                ("built-twice", "rand 0.9.0 and 0.10.0".to_owned())
            ]
        );
    }
}
