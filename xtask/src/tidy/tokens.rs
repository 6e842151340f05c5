//! The tokens of a Rust file: what it says apart from comments and texts.

use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// An identifier, a punctuation mark, a bracket or a literal, and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) is_identifier: bool,
}

/// Reads a file; nothing if it is not Rust, which the compiler says better.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut all = Vec::new();
    if let Ok(stream) = TokenStream::from_str(source) {
        flatten(stream, &mut all);
    }
    all
}

fn flatten(stream: TokenStream, all: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text: String, is_identifier| all.push(Token { line, text, is_identifier });
        match tree {
            TokenTree::Ident(name) => push(name.to_string().trim_start_matches("r#").to_owned(), true),
            TokenTree::Punct(mark) => push(mark.as_char().to_string(), false),
            TokenTree::Literal(literal) => push(literal.to_string(), false),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(open.to_owned(), false);
                flatten(group.stream(), all);
                let line = group.span().end().line;
                all.push(Token { line, text: close.to_owned(), is_identifier: false });
            }
        }
    }
}

/// The identifiers that follow `std::`, alone or in the braces of a `use`, at any depth.
pub(super) fn below_std(tokens: &[Token]) -> Vec<&Token> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let texts: Vec<&str> = tokens.iter().skip(at).take(4).map(|token| token.text.as_str()).collect();
        match texts.as_slice() {
            ["std", ":", ":", "{"] => found.extend(first_of_each(tokens.get(at + 4..).unwrap_or_default())),
            ["std", ":", ":", _] => found.extend(tokens.get(at + 3)),
            _ => {}
        }
    }
    found
}

/// The first identifier of each part of `a::b, c::{d, e}, f}`, up to the brace that closes.
fn first_of_each(tokens: &[Token]) -> Vec<&Token> {
    let (mut depth, mut is_first, mut found) = (0_usize, true, Vec::new());
    for token in tokens {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => is_first = true,
            _ if is_first && depth == 0 => {
                found.push(token);
                is_first = false;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_hold_no_identifiers() {
        let found = tokens("/// tokio\nfn a() { \"tokio\"; // tokio\n }");
        assert!(found.iter().all(|token| !token.is_identifier || token.text != "tokio"), "{found:?}");
    }

    #[test]
    fn modules_of_std_are_found_alone_and_in_braces() {
        let source = "use std::{collections::{fs, X}, net, io::Read};\nlet x = std::fs::read(p);";
        let found = tokens(source);
        let names: Vec<(&str, usize)> =
            below_std(&found).into_iter().map(|token| (token.text.as_str(), token.line)).collect();
        assert_eq!(names, [("collections", 1), ("net", 1), ("io", 1), ("fs", 2)]);
    }
}
