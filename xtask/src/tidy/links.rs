//! Every relative link of a page leads to a file, and to a heading of it if it names one.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::tree::Tree;
use super::{Finding, Rule};

const LINK: Rule = Rule {
    name: "links",
    why: "a reader who follows it stands before nothing",
    hint: "correct the link, or write what it should lead to",
};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts(|path| path.ends_with(".md")) {
        for (line, link) in links(text) {
            if let Some(what) = broken(tree, path, &link) {
                findings.push(LINK.finding(path, line, what));
            }
        }
    }
    findings
}

/// The destinations of links and images, with their lines.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
            let before = text.get(..range.start).unwrap_or_default();
            links.push((before.matches('\n').count() + 1, dest_url.into_string()));
        }
    }
    links
}

fn broken(tree: &Tree, page: &str, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_owned() } else { resolve(page, file)? };
    if !tree.holds(&target) {
        return Some(format!("`{link}` leads to {target}, which is not there"));
    }
    let text = tree.text(&target).filter(|_| !heading.is_empty() && target.ends_with(".md"))?;
    (!anchors(text).contains(heading)).then(|| format!("{target} has no heading `#{heading}`"))
}

/// `file` as seen from `page`; nothing if it leaves the repository.
fn resolve(page: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchors that GitHub makes of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let (mut anchors, mut heading) = (BTreeSet::new(), None);
    for event in Parser::new(text) {
        if let Event::Start(Tag::Heading { .. }) = event {
            heading = Some(String::new());
        } else if let Event::End(TagEnd::Heading(_)) = event {
            anchors.extend(heading.take().map(|words| anchor(&words)));
        } else if let (Event::Text(words) | Event::Code(words), Some(heading)) = (event, &mut heading) {
            heading.push_str(&words);
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let keep = |letter: char| match letter {
        ' ' => Some('-'),
        '-' | '_' => Some(letter),
        letter => letter.is_alphanumeric().then_some(letter),
    };
    heading.to_lowercase().chars().filter_map(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let page = "# A page\n\n[there](../b.md) [away](https://example.com/x)\n[not there](c.md)\n\
                    [heading](#a-page) [none](../b.md#gone)\n`[code](d.md)`\n";
        let tree = Tree::of(&[("docs/a.md", page), ("b.md", "# Here: `it` is\n")]);
        let found: Vec<(usize, String)> =
            check(&tree).into_iter().map(|finding| (finding.line, finding.what)).collect();
        assert_eq!(
            found,
            [
                (4, "`c.md` leads to docs/c.md, which is not there".to_owned()),
                (5, "b.md has no heading `#gone`".to_owned())
            ]
        );
    }

    #[test]
    fn headings_become_the_anchors_that_github_makes() {
        assert_eq!(anchor("What it is, in `short`: a_b-c"), "what-it-is-in-short-a_b-c");
    }
}
