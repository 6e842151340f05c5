//! `tessera init`, `apply`, `diff`, `export`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};
use tessera_model::{Document, Problem};

use super::{client, list, number, print_json};
use crate::cli::Global;
use crate::client::Refusal;
use crate::output::{self, Failure};
use crate::yaml::{self, Files};

const STARTER: &str = include_str!("starter.yaml");

pub(crate) fn init(folder: &Path) -> anyhow::Result<()> {
    let file = folder.join("workspace.yaml");
    let cannot = || {
        let what = format!("cannot write `{}`", file.display());
        Failure::new("TES-W002", what, "choose a folder that this account may write to")
    };
    if file.exists() {
        let what = format!("`{}` is there already", file.display());
        return Err(Failure::new("TES-W002", what, "choose another folder; nothing was changed").into());
    }
    std::fs::create_dir_all(folder).with_context(cannot)?;
    let key: String = rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(&file, STARTER.replace("WRITE_KEY", &key)).with_context(cannot)?;
    output::line(format_args!("wrote {}", file.display()));
    output::line(format_args!("next: read it, then `tessera apply -f {}`", folder.display()));
    Ok(())
}

pub(crate) fn apply(global: &Global, paths: &[PathBuf], prune: bool) -> anyhow::Result<()> {
    let files = yaml::read(paths)?;
    let body = json!({ "documents": files.documents });
    let answer = client(global)?.put(&format!("/api/v1/workspace?prune={prune}"), &body);
    report(global, &explain(&files, answer)?, "applied")
}

pub(crate) fn diff(global: &Global, paths: &[PathBuf], prune: bool) -> anyhow::Result<()> {
    let files = yaml::read(paths)?;
    let body = json!({ "documents": files.documents });
    let answer = client(global)?.post(&format!("/api/v1/workspace/diff?prune={prune}"), &body);
    report(global, &explain(&files, answer)?, "would change")
}

pub(crate) fn export(global: &Global) -> anyhow::Result<()> {
    let answer = client(global)?.get("/api/v1/workspace")?;
    if global.json {
        return print_json(&answer);
    }
    let documents: Vec<Document> =
        serde_json::from_value(answer.get("documents").cloned().unwrap_or_default())?;
    output::line(yaml::write(&documents)?.trim_end());
    Ok(())
}

/// Problems that only the whole workspace shows come back from the server; here they get file and line.
pub(super) fn explain(files: &Files, answer: anyhow::Result<Value>) -> anyhow::Result<Value> {
    let error = match answer {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    let problems: Vec<Problem> = error
        .downcast_ref::<Refusal>()
        .and_then(|refusal| refusal.body.get("problems").cloned())
        .and_then(|problems| serde_json::from_value(problems).ok())
        .unwrap_or_default();
    for problem in &problems {
        output::note(files.describe(problem));
    }
    if problems.is_empty() {
        return Err(error);
    }
    let what = format!(
        "{} problem{} in the workspace; nothing was applied",
        problems.len(),
        if problems.len() == 1 { "" } else { "s" }
    );
    Err(Failure::new(Problem::CODE, what, "correct the lines above").into())
}

fn report(global: &Global, answer: &Value, verb: &str) -> anyhow::Result<()> {
    if global.json {
        return print_json(answer);
    }
    let mut changes = 0;
    for (name, sign) in [("added", '+'), ("changed", '~'), ("removed", '-')] {
        for document in list(answer, name) {
            output::line(format_args!("{sign} {}", document.as_str().unwrap_or_default()));
            changes += 1;
        }
    }
    output::line(format_args!("{verb}: {changes}, unchanged: {}", number(answer, "unchanged")));
    Ok(())
}
