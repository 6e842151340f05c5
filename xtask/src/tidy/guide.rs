//! What a guide page tells a reader to type is typed by a test.
//!
//! A page's commands are the lines that begin with `$ ` in blocks marked `console`.

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::tree::Tree;
use super::{Finding, Rule};

const GUIDE: &str = "docs/guide/";
const TESTS: &str = "crates/tessera/tests/it/";

const UNTESTED: Rule = Rule {
    name: "guide-is-run",
    why: "a command that nothing runs stops working and nobody learns of it",
    hint: "name the page in the black-box test that runs the guide, below crates/tessera/tests/it",
};
const NOT_CONSOLE: Rule = Rule {
    name: "guide-is-run",
    why: "the test that runs the guide reads blocks marked `console` and there the lines that begin with `$ `",
    hint: "mark the block ```console and begin each command with `$ `",
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let tests: Vec<&str> = tree.texts(|path| path.starts_with(TESTS)).map(|(_, text)| text).collect();
    let mut findings = Vec::new();
    for (path, text) in tree.texts(|path| path.starts_with(GUIDE) && path.ends_with(".md")) {
        let page = path.trim_start_matches(GUIDE);
        let mut has_commands = false;
        for (line, language, code) in blocks(text) {
            let commands = code.lines().filter(|line| line.starts_with("$ ")).count();
            if language == "console" && commands > 0 {
                has_commands = true;
            } else if language == "console"
                || code.lines().any(|line| line.trim_start_matches("$ ").starts_with("tessera "))
            {
                findings.push(NOT_CONSOLE.finding(path, line, format!("a block marked `{language}`")));
            }
        }
        if has_commands && !tests.iter().any(|test| test.contains(page)) {
            findings.push(UNTESTED.finding(path, 1, format!("no test names {page}")));
        }
    }
    findings
}

/// Fenced blocks: line, language, content.
fn blocks(text: &str) -> Vec<(usize, String, String)> {
    let (mut blocks, mut open) = (Vec::new(), None);
    for (event, range) in Parser::new(text).into_offset_iter() {
        if let Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) = event {
            let before = text.get(..range.start).unwrap_or_default();
            open = Some((before.matches('\n').count() + 1, language.into_string(), String::new()));
        } else if let (Event::Text(code), Some((_, _, content))) = (&event, &mut open) {
            content.push_str(code);
        } else if event == Event::End(TagEnd::CodeBlock) {
            blocks.extend(open.take());
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(page: &str, test: &str) -> Vec<(usize, String)> {
        let tree = Tree::of(&[("docs/guide/operate.md", page), ("crates/tessera/tests/it/guide.rs", test)]);
        check(&tree).into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn a_page_whose_commands_no_test_runs_is_found() {
        let page = "# Operate\n\n```console\n$ tessera verify\n```\n";
        assert_eq!(found(page, ""), [(1, "no test names operate.md".to_owned())]);
        assert_eq!(found(page, "const PAGES: [&str; 1] = [\"operate.md\"];"), []);
        assert_eq!(found("# Operate\n\n```js\nlet a = 1;\n```\n", ""), []);
    }

    #[test]
    fn commands_that_the_test_would_not_see_are_found() {
        assert_eq!(found("\n```sh\ntessera verify\n```\n", ""), [(2, "a block marked `sh`".to_owned())]);
        assert_eq!(
            found("```console\ntessera verify\n```\n", ""),
            [(1, "a block marked `console`".to_owned())]
        );
    }
}
