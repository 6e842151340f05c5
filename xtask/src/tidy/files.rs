//! What no file may hold: marks of unfinished work, tests that do not run, paths of one machine, too much.

use regex::Regex;

use super::tokens::{Token, tokens};
use super::tree::{File, Tree, lines};
use super::{Finding, Rule};

const FILE_BYTES_MAX: u64 = 1024 * 1024;
const RUST_LINES_MAX: usize = 600;
/// Ends of files whose text is code: in prose one may speak of the marks.
const CODE: [&str; 11] =
    [".rs", ".toml", ".yaml", ".yml", ".json", ".mjs", ".js", ".ts", ".py", ".html", ".ci/run"];
/// Files that say where packages come from.
const LOCKS: [&str; 5] =
    ["package-lock.json", ".npmrc", "requirements.txt", ".cargo/config.toml", "Cargo.lock"];

const LARGE: Rule = Rule {
    name: "large-file",
    why: "a clone carries every version of it for ever",
    hint: "make it from a seed, or shrink it below 1 MiB",
};
const LONG: Rule = Rule {
    name: "long-file",
    why: "a file of more than 600 lines asks for a better noun",
    hint: "split it by what it is about",
};
const UNFINISHED: Rule = Rule {
    name: "unfinished",
    why: "what is unfinished is found by who depends on it",
    hint: "finish it, or open an issue and remove the mark",
};
const SWITCHED_OFF: Rule = Rule {
    name: "test-switched-off",
    why: "a test that does not run, or that any panic satisfies, proves nothing",
    hint: "make it run and assert what it expects, or delete it",
};
const MACHINE: Rule = Rule {
    name: "machine-path",
    why: "the path exists on one machine only",
    hint: "name it from the folder of the workspace, or take it as an argument",
};
const REGISTRY: Rule = Rule {
    name: "registry-host",
    why: "a named host ties everybody to one registry or mirror",
    hint: "leave the address out: the client of the registry knows its own",
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        findings.extend(size(file));
        let Some(text) = &file.text else { continue };
        findings.extend(machine_paths(&file.path, text));
        findings.extend(registries(&file.path, text));
        if CODE.iter().any(|end| file.path.ends_with(end)) {
            findings.extend(unfinished(&file.path, text));
        }
        if file.path.ends_with(".rs") {
            findings.extend(macros_and_attributes(&file.path, &tokens(text)));
        }
    }
    findings
}

fn size(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.bytes > FILE_BYTES_MAX {
        findings.push(LARGE.finding(&file.path, 1, format!("{} bytes", file.bytes)));
    }
    let rows = file.text.as_deref().unwrap_or_default().lines().count();
    if file.path.ends_with(".rs") && rows > RUST_LINES_MAX {
        findings.push(LONG.finding(&file.path, RUST_LINES_MAX + 1, format!("{rows} lines")));
    }
    findings
}

/// The marks are put together here, or this file would be the first finding.
fn unfinished(path: &str, text: &str) -> Vec<Finding> {
    let marks = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("X", "XX")];
    let Ok(pattern) = Regex::new(&format!(r"\b({})\b", marks.join("|"))) else { return Vec::new() };
    let found = |(line, text)| Some(UNFINISHED.finding(path, line, pattern.find(text)?.as_str()));
    lines(text).filter_map(found).collect()
}

fn macros_and_attributes(path: &str, tokens: &[Token]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pair in tokens.windows(3) {
        let [one, two, three] = pair else { continue };
        match (one.text.as_str(), two.text.as_str(), three.text.as_str()) {
            (name @ ("todo" | "unimplemented"), "!", _) => {
                findings.push(UNFINISHED.finding(path, one.line, format!("{name}!")));
            }
            ("#", "[", name @ ("ignore" | "should_panic")) => {
                findings.push(SWITCHED_OFF.finding(path, one.line, format!("#[{name}]")));
            }
            (_, _, _) => {}
        }
    }
    findings
}

fn machine_paths(path: &str, text: &str) -> Vec<Finding> {
    let folders = [concat!("/ro", "ot"), concat!("/ho", "me"), concat!("/wo", "rk"), concat!("/Us", "ers")];
    let Ok(pattern) = Regex::new(&format!(r"(?:^|[\s\x22'`(=:])((?:{})/[\w.-]+)", folders.join("|"))) else {
        return Vec::new();
    };
    let found = |(line, text)| Some(MACHINE.finding(path, line, pattern.captures(text)?.get(1)?.as_str()));
    lines(text).filter_map(found).collect()
}

fn registries(path: &str, text: &str) -> Vec<Finding> {
    if !LOCKS.iter().any(|name| path.ends_with(name)) {
        return Vec::new();
    }
    let Ok(pattern) = Regex::new(
        r#"(?:"resolved"\s*:\s*"|registry\s*=\s*"?|index-url[\s=]+|(?:source|registry) = "[a-z+-]*)(https?://[^"\s]+)"#,
    ) else {
        return Vec::new();
    };
    let found = |(line, text)| {
        let address = pattern.captures(text)?.get(1)?.as_str();
        let is_crates_io = address == "https://github.com/rust-lang/crates.io-index";
        (!is_crates_io).then(|| REGISTRY.finding(path, line, address))
    };
    lines(text).filter_map(found).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<(&'static str, usize, String)> {
        let findings = check(&Tree::of(&[(path, text)]));
        findings.into_iter().map(|finding| (finding.rule, finding.line, finding.what)).collect()
    }

    #[test]
    fn files_that_are_too_large_or_too_long_are_found() {
        let long = "\n".repeat(601);
        assert_eq!(found("a.rs", &long), [("long-file", 601, "601 lines".to_owned())]);
        assert_eq!(found("a.rs", &"\n".repeat(600)), []);
        assert_eq!(
            found("a.csv", &"x".repeat(1024 * 1024 + 1)),
            [("large-file", 1, "1048577 bytes".to_owned())]
        );
    }

    #[test]
    fn marks_of_unfinished_work_are_found_in_code_and_may_be_spoken_of() {
        let mark = concat!("FIX", "ME");
        assert_eq!(found("a.rs", &format!("\n// {mark}: later")), [("unfinished", 2, mark.to_owned())]);
        assert_eq!(found("a.md", &format!("No {mark}.")), []);
        assert_eq!(found("a.rs", "fn a() { todo!() }"), [("unfinished", 1, "todo!".to_owned())]);
        assert_eq!(found("a.rs", "// todo!()\nlet todo = 1;"), []);
    }

    #[test]
    fn tests_that_are_switched_off_are_found() {
        let source = "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n#[should_panic]\nfn b() {}";
        assert_eq!(
            found("a.rs", source),
            [
                ("test-switched-off", 2, "#[ignore]".to_owned()),
                ("test-switched-off", 4, "#[should_panic]".to_owned())
            ]
        );
        assert_eq!(found("a.rs", "use ignore::WalkBuilder;"), []);
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let path = concat!("/ho", "me/ada/tessera");
        assert_eq!(
            found("a.md", &format!("see `{path}`")),
            [("machine-path", 1, concat!("/ho", "me/ada").to_owned())]
        );
        assert_eq!(found("a.md", "GET /v1/home/x and https://example.com/root/x"), []);
    }

    #[test]
    fn addresses_of_registries_are_found_in_lock_files() {
        let lock = r#""resolved": "https://mirror.example/a.tgz""#;
        assert_eq!(
            found("x/package-lock.json", lock),
            [("registry-host", 1, "https://mirror.example/a.tgz".to_owned())]
        );
        let cargo = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
        assert_eq!(found("Cargo.lock", cargo), []);
        assert_eq!(found("x/package-lock.json", r#""url": "https://example.com/funding""#), []);
    }
}
