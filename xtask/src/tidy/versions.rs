//! Versions are in the root `Cargo.toml` and nowhere else, without default features.

use toml::{Table, Value};

use super::tree::{Tree, lines};
use super::{Finding, Rule};

const ROOT: &str = "Cargo.toml";
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

const ONCE: Rule = Rule {
    name: "versions-once",
    why: "two crates with two versions of one library build and ship it twice",
    hint: "put version and features into [workspace.dependencies] of the root and write `NAME.workspace = true`",
};
const DEFAULTS: Rule = Rule {
    name: "no-default-features",
    why: "what is compiled should be what was asked for",
    hint: "say `default-features = false` and name the features",
};
const UNREADABLE: Rule =
    Rule { name: "versions-once", why: "cargo cannot read it either", hint: "correct the file" };

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(|path| path == ROOT || path.ends_with("/Cargo.toml")) {
        match text.parse::<Table>() {
            Ok(manifest) if path == ROOT => findings.extend(defaults(&manifest, text)),
            Ok(manifest) => findings.extend(versions(path, &manifest, text)),
            Err(error) => findings.push(UNREADABLE.finding(path, 1, error.message())),
        }
    }
    findings
}

fn versions(path: &str, manifest: &Table, text: &str) -> Vec<Finding> {
    let mut tables: Vec<&Table> = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table));
    }
    let mut findings = Vec::new();
    for (name, wanted) in tables.into_iter().flat_map(dependencies) {
        let inherits = wanted.get("workspace").and_then(Value::as_bool) == Some(true);
        if !inherits {
            findings.push(ONCE.finding(
                path,
                line_of(text, name),
                format!("`{name}` has a version of its own"),
            ));
        }
    }
    findings
}

fn dependencies(table: &Table) -> Vec<(&String, &Value)> {
    KINDS.iter().filter_map(|kind| table.get(*kind)?.as_table()).flatten().collect()
}

fn defaults(manifest: &Table, text: &str) -> Vec<Finding> {
    let workspace = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let all = workspace.and_then(Value::as_table).into_iter().flatten();
    let with_defaults = all.filter(|(_, wanted)| {
        let says_no = wanted.get("default-features").and_then(Value::as_bool) == Some(false);
        wanted.get("path").is_none() && !says_no
    });
    with_defaults.map(|(name, _)| DEFAULTS.finding(ROOT, line_of(text, name), format!("`{name}`"))).collect()
}

/// The first line that begins with the name; the first line of all if none does.
fn line_of(text: &str, name: &str) -> usize {
    let ends = |rest: &str| rest.starts_with([' ', '.', '=']);
    lines(text).find(|(_, line)| line.strip_prefix(name).is_some_and(ends)).map_or(1, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_in_a_crate_is_found() {
        let manifest = "[dependencies]\nserde.workspace = true\nserde_json = \"1\"\n\
                        [target.'cfg(unix)'.dev-dependencies]\nrustix = { version = \"1\" }\n";
        let found: Vec<(usize, String)> = check(&Tree::of(&[("crates/a/Cargo.toml", manifest)]))
            .into_iter()
            .map(|finding| (finding.line, finding.what))
            .collect();
        assert_eq!(
            found,
            [
                (3, "`serde_json` has a version of its own".to_owned()),
                (5, "`rustix` has a version of its own".to_owned())
            ]
        );
    }

    #[test]
    fn default_features_in_the_root_are_found() {
        let manifest = "[workspace.dependencies]\nours = { path = \"crates/ours\" }\n\
                        csv = { version = \"1\", default-features = false }\nserde = \"1\"\n";
        let findings = check(&Tree::of(&[("Cargo.toml", manifest)]));
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].line, findings[0].what.as_str()), (4, "`serde`"));
    }
}
