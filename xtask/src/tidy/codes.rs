//! Every error code has a page and every page a code.

use std::collections::BTreeMap;

use regex::Regex;

use super::tree::{Tree, lines};
use super::{Finding, Rule};

const FOLDER: &str = "docs/reference/errors/";

const NO_PAGE: Rule = Rule {
    name: "error-pages",
    why: "who meets an error looks its code up",
    hint: "write the page: `# CODE: what`, then What it means, Why it happens, What to do",
};
const NO_CODE: Rule = Rule {
    name: "error-pages",
    why: "a page for an error that cannot happen misleads",
    hint: "remove the page, or give the error its code",
};
const OTHER_TITLE: Rule = Rule {
    name: "error-pages",
    why: "the index of errors is made from the titles",
    hint: "begin the page with `# CODE: what`",
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Ok(pattern) = Regex::new(r"\bTES-[A-Z][0-9]{3}\b") else { return Vec::new() };
    let mut codes: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for (path, source) in
        tree.rust().filter(|(path, _)| path.starts_with("crates/") && path.contains("/src/"))
    {
        for (line, text) in lines(source) {
            for code in pattern.find_iter(text) {
                codes.entry(code.as_str()).or_insert((path, line));
            }
        }
    }
    let mut findings = Vec::new();
    for (code, (path, line)) in &codes {
        if !tree.holds(&format!("{FOLDER}{code}.md")) {
            findings.push(NO_PAGE.finding(path, *line, format!("{code} has no page {FOLDER}{code}.md")));
        }
    }
    for (path, text) in tree.texts(|path| path.starts_with(FOLDER) && !path.ends_with("README.md")) {
        let code = path.trim_start_matches(FOLDER).trim_end_matches(".md");
        if !codes.contains_key(code) {
            findings.push(NO_CODE.finding(path, 1, format!("no code has {code}")));
        }
        if !text.starts_with(&format!("# {code}: ")) {
            findings.push(OTHER_TITLE.finding(path, 1, format!("the title is not `# {code}: ...`")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_without_page_pages_without_code_and_other_titles_are_found() {
        let tree = Tree::of(&[
            ("crates/a/src/error.rs", "// one\nlet a = \"TES-S001\"; let b = \"TES-S002\";"),
            ("docs/reference/errors/README.md", "# Errors"),
            ("docs/reference/errors/TES-S001.md", "# TES-S001: disk full\n"),
            ("docs/reference/errors/TES-S003.md", "# Something else\n"),
        ]);
        let found: Vec<(String, usize, String)> =
            check(&tree).into_iter().map(|finding| (finding.path, finding.line, finding.what)).collect();
        let page = "docs/reference/errors/TES-S003.md".to_owned();
        assert_eq!(
            found,
            [
                (
                    "crates/a/src/error.rs".to_owned(),
                    2,
                    "TES-S002 has no page docs/reference/errors/TES-S002.md".to_owned()
                ),
                (page.clone(), 1, "no code has TES-S003".to_owned()),
                (page, 1, "the title is not `# TES-S003: ...`".to_owned()),
            ]
        );
    }
}
