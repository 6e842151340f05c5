//! `cargo xtask codegen`: writes the pages of `docs/reference` that come from the code.
//!
//! Not an editor: it writes whole files. Invariant: `--check` changes nothing and fails if a page would change.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{binaries, process};

/// What `tessera docs <what>` prints, and where it goes.
const PAGES: [(&str, &str); 7] = [
    ("openapi", "docs/reference/openapi.json"),
    ("settings", "docs/reference/settings.md"),
    ("cli", "docs/reference/cli.md"),
    ("metrics", "docs/reference/metrics.md"),
    ("roles", "docs/reference/roles.md"),
    ("laws", "docs/reference/laws.md"),
    ("workspace", "docs/reference/workspace.md"),
];
const ERRORS: &str = "docs/reference/errors";

/// Write or compare.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Change nothing; fail if a page is stale.
    #[arg(long)]
    pub(crate) check: bool,
    /// This page alone: openapi, settings, cli, metrics, roles, laws, workspace or errors; may be given more than once.
    #[arg(long = "page", value_name = "NAME")]
    pub(crate) pages: Vec<String>,
    /// The `tessera` to ask; built in the dev profile if left out.
    #[arg(long, value_name = "FILE")]
    pub(crate) tessera: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let known = |name: &String| name == "errors" || PAGES.iter().any(|(what, _)| what == name);
    if let Some(unknown) = arguments.pages.iter().find(|name| !known(name)) {
        bail!("no page is called `{unknown}`; `cargo xtask codegen --help` names them");
    }
    let is_wanted =
        |name: &str| arguments.pages.is_empty() || arguments.pages.iter().any(|page| page == name);
    let mut pages = Vec::new();
    if is_wanted("errors") {
        pages.push((format!("{ERRORS}/README.md"), errors_index(&process::root().join(ERRORS))?));
    }
    let of_tessera: Vec<_> = PAGES.iter().filter(|(what, _)| is_wanted(what)).collect();
    if !of_tessera.is_empty() {
        let tessera = tessera(arguments)?;
        for (what, page) in of_tessera {
            let text = process::output(process::program(&tessera).args(["docs", what]))?;
            pages.push(((*page).to_owned(), text));
        }
    }
    if arguments.check { check(&pages) } else { write(&pages) }
}

fn tessera(arguments: &Arguments) -> Result<PathBuf> {
    if let Some(tessera) = &arguments.tessera {
        return Ok(tessera.clone());
    }
    process::run(&mut process::cargo(&["build", "--package", "tessera"]))?;
    Ok(binaries::target_folder()?.join("debug/tessera"))
}

fn write(pages: &[(String, String)]) -> Result<()> {
    for (page, text) in pages {
        let path = process::root().join(page);
        if fs::read_to_string(&path).is_ok_and(|there| there == *text) {
            continue;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {page}");
    }
    Ok(())
}

fn check(pages: &[(String, String)]) -> Result<()> {
    let mut stale = 0;
    for (page, text) in pages {
        let there = fs::read_to_string(process::root().join(page)).unwrap_or_default();
        if let Some((line, is, should_be)) = first_difference(&there, text) {
            stale += 1;
            println!("{page}:{line}: stale\n    it says:   {is}\n    should be: {should_be}");
        }
    }
    if stale > 0 {
        bail!("{stale} generated pages are stale; run `cargo xtask codegen` and commit what it wrote");
    }
    Ok(())
}

/// The first line, counted from 1, in which two texts differ; a missing line is shown as `(nothing)`.
fn first_difference<'a>(is: &'a str, should_be: &'a str) -> Option<(usize, &'a str, &'a str)> {
    if is == should_be {
        return None;
    }
    let (mut a, mut b) = (is.lines(), should_be.lines());
    for line in 1.. {
        match (a.next(), b.next()) {
            (None, None) => return Some((line, "another end of the file", "")),
            (one, other) if one != other => {
                return Some((line, one.unwrap_or("(nothing)"), other.unwrap_or("(nothing)")));
            }
            (_, _) => {}
        }
    }
    None
}

/// The table of all error pages, from their titles.
fn errors_index(folder: &Path) -> Result<String> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("TES-") && path.extension().is_some_and(|end| end == "md") {
            let page =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            rows.push(index_row(&name, &page)?);
        }
    }
    rows.sort();
    Ok(format!(
        "# Errors\n\nEvery error has a code that does not change, and a page that says what it means, why it happens and \
         what to do.\n<!-- Written by `cargo xtask codegen`. -->\n\n| code | what |\n| --- | --- |\n{}",
        rows.concat()
    ))
}

fn index_row(code: &str, page: &str) -> Result<String> {
    let title = page.lines().next().unwrap_or_default();
    let Some(what) = title.strip_prefix("# ").and_then(|title| title.strip_prefix(code)) else {
        bail!(
            "{ERRORS}/{code}.md begins with `{title}`; it should begin with `# {code}: ` and what is wrong"
        );
    };
    Ok(format!("| [{code}]({code}.md) | {} |\n", what.trim_start_matches(':').trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_stale_line_is_shown() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some((2, "b", "c")));
        assert_eq!(first_difference("", "a\n"), Some((1, "(nothing)", "a")));
        assert_eq!(first_difference("a", "a\n").map(|(line, ..)| line), Some(2));
    }

    #[test]
    fn an_error_page_gives_its_title_to_the_index() {
        let row = index_row("TES-S003", "# TES-S003: log segment is corrupt\n\nmore").unwrap();
        assert_eq!(row, "| [TES-S003](TES-S003.md) | log segment is corrupt |\n");
    }

    #[test]
    fn an_error_page_under_another_code_is_told() {
        let error = index_row("TES-S003", "# TES-S004: disk full\n").unwrap_err().to_string();
        assert!(error.contains("TES-S003.md begins with `# TES-S004: disk full`"), "{error}");
    }
}
