//! Identifiers use the words of `docs/glossary.md`, whose last column says which words never to use.

use std::collections::BTreeMap;

use super::tokens::{Token, tokens};
use super::tree::{Tree, lines};
use super::{Finding, Rule};

const GLOSSARY: &str = "docs/glossary.md";

const WORDS: Rule = Rule {
    name: "glossary",
    why: "one word per concept: two words for one thing are two things to a reader",
    hint: "use the glossary's word, or add a line with a reason to ALLOWED in xtask/src/tidy/words.rs",
};
const MISSING: Rule = Rule {
    name: "glossary",
    why: "the words never to use are read from its table",
    hint: "restore the table with the columns word, meaning, never say",
};

/// An identifier that may hold a word never to use, below a path, and why.
struct Allowed {
    identifier: &'static str,
    below: &'static str,
    reason: &'static str,
}

const ALLOWED: [Allowed; 3] = [
    Allowed { identifier: "io::sink", below: "crates/", reason: "the standard library's reader that drops" },
    Allowed { identifier: "Visitor", below: "crates/", reason: "serde's trait" },
    Allowed { identifier: "integrations", below: "crates/", reason: "a name on Segment's wire" },
];

const UNUSED: Rule = Rule {
    name: "glossary",
    why: "an exception that nothing needs is one that somebody will lean on",
    hint: "delete its line of ALLOWED in xtask/src/tidy/words.rs",
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = words(tree);
    findings.extend(unused(tree));
    findings
}

fn words(tree: &Tree) -> Vec<Finding> {
    let never = tree.text(GLOSSARY).map(never_say).unwrap_or_default();
    if never.is_empty() {
        return vec![MISSING.finding(GLOSSARY, 1, "no table of words")];
    }
    let mut findings = Vec::new();
    for (path, source) in tree.rust() {
        let tokens = tokens(source);
        for (at, token) in tokens.iter().enumerate().filter(|(_, token)| token.is_identifier) {
            let name = token.text.as_str();
            let Some((word, say)) = parts(name).find_map(|part| never.get_key_value(&part)) else { continue };
            let qualified = qualified(&tokens, at);
            let is_it = |allowed: &Allowed| allowed.identifier == name || allowed.identifier == qualified;
            if !ALLOWED.iter().any(|allowed| is_it(allowed) && path.starts_with(allowed.below)) {
                findings.push(WORDS.finding(path, token.line, format!("`{name}` says {word}; say {say}")));
            }
        }
    }
    findings
}

/// `io::sink` for the `sink` in it.
fn qualified(tokens: &[Token], at: usize) -> String {
    let path = at.checked_sub(3).and_then(|start| tokens.get(start..=at)).unwrap_or_default();
    path.iter().map(|token| token.text.as_str()).collect()
}

fn unused(tree: &Tree) -> Vec<Finding> {
    let is_used = |allowed: &&Allowed| {
        let mut below = tree.rust().filter(|(path, _)| path.starts_with(allowed.below));
        below.any(|(_, source)| source.contains(allowed.identifier))
    };
    let unused = ALLOWED.iter().filter(|allowed| !is_used(allowed));
    let what =
        |allowed: &Allowed| format!("`{}` is allowed ({}) and not used", allowed.identifier, allowed.reason);
    unused.map(|allowed| UNUSED.finding("xtask/src/tidy/words.rs", 1, what(allowed))).collect()
}

/// From each word in the last column, in backticks, to the word of its row.
fn never_say(glossary: &str) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for (_, line) in lines(glossary).filter(|(_, line)| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [say, _, never] = cells.as_slice() else { continue };
        for word in never.split('`').skip(1).step_by(2) {
            words.insert(word.to_lowercase(), (*say).to_owned());
        }
    }
    words
}

/// The words of an identifier in any case, each also without a plural's `s`.
fn parts(identifier: &str) -> impl Iterator<Item = String> {
    let mut parts = vec![String::new()];
    for letter in identifier.chars() {
        if letter == '_' || letter.is_uppercase() {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut().filter(|_| letter != '_') {
            part.extend(letter.to_lowercase());
        }
    }
    parts.into_iter().flat_map(|part| [part.trim_end_matches('s').to_owned(), part])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| word | meaning | never say |\n| --- | --- | --- |\n| destination | where | `sink`, `integration` |\n";

    fn found(path: &str, source: &str) -> Vec<String> {
        let findings = words(&Tree::of(&[(GLOSSARY, TABLE), (path, source)]));
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_word_never_to_use_is_found_in_every_case_and_number() {
        assert_eq!(
            found("crates/a/src/lib.rs", "struct WebhookSink; fn open_sinks() {}"),
            ["`WebhookSink` says sink; say destination", "`open_sinks` says sink; say destination"]
        );
    }

    #[test]
    fn a_word_inside_another_word_is_no_word() {
        assert_eq!(found("crates/a/src/lib.rs", "fn sinking() {} // a sink\n"), Vec::<String>::new());
    }

    #[test]
    fn a_name_on_the_wire_may_stay() {
        let source = "struct A { integrations: u8 }";
        assert_eq!(found("crates/a/src/lib.rs", source), Vec::<String>::new());
        assert_eq!(found("xtask/src/main.rs", source), ["`integrations` says integration; say destination"]);
    }

    #[test]
    fn a_name_of_the_standard_library_may_stay_where_it_is_named_in_full() {
        assert_eq!(
            found("crates/a/src/lib.rs", "fn a() { io::copy(r, &mut io::sink()); }"),
            Vec::<String>::new()
        );
        let own = found("crates/a/src/lib.rs", "fn a() { let sink = 1; }");
        assert_eq!(own, ["`sink` says sink; say destination"]);
    }

    #[test]
    fn a_glossary_without_its_table_is_told() {
        let findings = words(&Tree::of(&[(GLOSSARY, "# Glossary\n")]));
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn an_exception_that_nothing_needs_is_found() {
        let findings =
            unused(&Tree::of(&[("crates/a/src/lib.rs", "use serde::de::Visitor; let a = io::sink();")]));
        let found: Vec<&str> = findings.iter().map(|finding| finding.what.as_str()).collect();
        assert_eq!(found, ["`integrations` is allowed (a name on Segment's wire) and not used"]);
    }
}
