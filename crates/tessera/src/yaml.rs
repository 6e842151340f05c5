//! Workspace files: YAML documents with file, line and hint for whatever is wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use tessera_model::{Document, Problem};

use crate::output::{self, Failure};

/// Documents read from files, and where each stands.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) documents: Vec<Document>,
    places: BTreeMap<(String, String), Place>,
}

#[derive(Debug)]
struct Place {
    file: PathBuf,
    line: usize,
    text: String,
}

#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// Reads every `.yaml` and `.yml` file of `paths`, folders included, in order of name.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Files> {
    let mut files = Files::default();
    let mut troubles = 0;
    let mut found = Vec::new();
    for path in paths {
        collect(path, true, &mut found)?;
    }
    if found.is_empty() {
        let what = "no workspace file was found";
        return Err(Failure::new("TES-W002", what, "name a .yaml file or a folder that holds some").into());
    }
    for file in found {
        let text = std::fs::read_to_string(&file).with_context(|| {
            let what = format!("cannot read `{}`", file.display());
            Failure::new("TES-W002", what, "check that it exists, is readable and is UTF-8")
        })?;
        for (line, text) in split(&text) {
            if let Err(trouble) = files.add(&file, line, &text) {
                output::note(trouble);
                troubles += 1;
            }
        }
    }
    if troubles > 0 {
        let what = format!(
            "{troubles} document{} could not be read; nothing was applied",
            if troubles == 1 { "" } else { "s" }
        );
        return Err(Failure::new("TES-W002", what, "correct the lines above").into());
    }
    Ok(files)
}

fn collect(path: &Path, is_named: bool, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let cannot = || {
        let what = format!("cannot read `{}`", path.display());
        Failure::new("TES-W002", what, "check that it exists and is readable")
    };
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .with_context(cannot)?;
        entries.sort();
        return entries.iter().try_for_each(|entry| collect(entry, false, found));
    }
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    if is_named && !path.exists() {
        return Err(cannot().into());
    }
    if is_named || is_yaml {
        found.push(path.to_owned());
    }
    Ok(())
}

/// The documents of a file, each with the number of lines before it.
fn split(text: &str) -> Vec<(usize, String)> {
    let mut documents = Vec::new();
    let (mut start, mut current) = (0, String::new());
    for (number, line) in text.lines().enumerate() {
        if line.trim_end() == "---" {
            documents.push((start, std::mem::take(&mut current)));
            start = number + 1;
        } else {
            current.push_str(line);
            current.push('\n');
        }
    }
    documents.push((start, current));
    let is_empty =
        |text: &str| text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    documents.retain(|(_, text)| !is_empty(text));
    documents
}

impl Files {
    fn add(&mut self, file: &Path, line: usize, text: &str) -> Result<(), String> {
        let place = |error: &serde_saphyr::Error| {
            let (at, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
            let what = error.to_string();
            let what = what.lines().next().unwrap_or_default();
            let hint = "docs/reference/workspace.md lists every field";
            format!("{}:{}:{column}: {what}\n  hint: {hint}", file.display(), line as u64 + at)
        };
        let kind: Kind = serde_saphyr::from_str(text).map_err(|error| place(&error))?;
        let document = match kind.kind.as_str() {
            "Purpose" => serde_saphyr::from_str(text).map(Document::Purpose),
            "Source" => serde_saphyr::from_str(text).map(Document::Source),
            "Namespace" => serde_saphyr::from_str(text).map(Document::Namespace),
            "Destination" => serde_saphyr::from_str(text).map(Document::Destination),
            "Field" => serde_saphyr::from_str(text).map(Document::Field),
            "Policy" => serde_saphyr::from_str(text).map(Document::Policy),
            "Controller" => serde_saphyr::from_str(text).map(Document::Controller),
            "TrackingPlan" => serde_saphyr::from_str(text).map(Document::TrackingPlan),
            "Identity" => serde_saphyr::from_str(text).map(Document::Identity),
            "Matcher" => serde_saphyr::from_str(text).map(Document::Matcher),
            "GroupType" => serde_saphyr::from_str(text).map(Document::GroupType),
            "Audience" => serde_saphyr::from_str(text).map(Document::Audience),
            "ComputedTrait" => serde_saphyr::from_str(text).map(Document::ComputedTrait),
            other => {
                let at = line_of(text, "kind").unwrap_or(1) + line;
                let hint =
                    "kind is one of Purpose, Source, Namespace, Destination, Field, Policy, Controller, TrackingPlan, Identity, Matcher, GroupType, Audience, ComputedTrait";
                return Err(format!("{}:{at}: kind `{other}` is not known\n  hint: {hint}", file.display()));
            }
        }
        .map_err(|error| place(&error))?;
        let place = Place { file: file.to_owned(), line, text: text.to_owned() };
        self.places.insert((document.kind().to_owned(), document.name().to_owned()), place);
        self.documents.push(document);
        Ok(())
    }

    /// A problem of the workspace as a whole, with file and line where the document is one of these.
    pub(crate) fn describe(&self, problem: &Problem) -> String {
        let place = self.places.get(&(problem.kind.clone(), problem.name.clone()));
        let at = place.map_or_else(String::new, |place| {
            let line = place.line + line_of(&place.text, &problem.field).unwrap_or(1);
            format!("{}:{line}: ", place.file.display())
        });
        format!("{at}{problem}\n  hint: {}", problem.hint)
    }
}

fn line_of(text: &str, field: &str) -> Option<usize> {
    let first = field.split('.').next().unwrap_or(field);
    let found = text
        .lines()
        .position(|line| line.trim_start().strip_prefix(first).is_some_and(|rest| rest.starts_with(':')));
    found.map(|line| line + 1)
}

/// Documents as one YAML text.
pub(crate) fn write(documents: &[Document]) -> anyhow::Result<String> {
    let mut out = String::new();
    for (i, document) in documents.iter().enumerate() {
        if i > 0 {
            out.push_str("---\n");
        }
        out.push_str(&serde_saphyr::to_string(document)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Files, String> {
        let mut files = Files::default();
        for (line, text) in split(text) {
            files.add(Path::new("w.yaml"), line, &text)?;
        }
        Ok(files)
    }

    #[test]
    fn documents_read_back_as_written() {
        let text = "# one of each kind\nkind: Purpose\nname: service\nbasis: contract\n---\nkind: Source\nname: web\nwrite_key: web-write-key\npurposes: [service]\n---\nkind: Namespace\nname: card\n---\nkind: Destination\nname: out\ntype: jsonl\npurpose: service\nfields: [traits.*]\n---\nkind: Field\nname: traits.card\nlabels: [C2]\n---\nkind: Policy\nname: none\nlabels: [I1]\n---\nkind: Controller\nname: Shop\n---\nkind: TrackingPlan\nname: shop\nsources: [web]\nevents:\n  Order Completed:\n    schema: {type: object, required: [id], properties: {id: {type: string, maxLength: 20}}}\n---\nkind: Identity\nname: people\nanonymous: [anonymous_id]\n---\nkind: Matcher\nname: people\npurpose: service\ncolumns:\n  city: traits.city\nlink: 0.9\n---\nkind: GroupType\nname: household\nby:\n  - traits: {last_name: text, address: address}\n  - identifier: phone\n  - email_domain: true\n  - group_calls: true\ncountry: DE\n---\nkind: Audience\nname: big-spenders\npurpose: service\nwhen: orders in last 30 days >= 2 and not plan = \"pro\"\n---\nkind: ComputedTrait\nname: spent\npurpose: service\ntime_zone: Europe/Berlin\nvalue:\n  aggregate: {take: {sum: total}, of: {name: Order Completed}}\n";
        let files = read_text(text).unwrap();
        let kinds: Vec<&str> = files.documents.iter().map(Document::kind).collect();
        assert_eq!(
            kinds,
            [
                "Purpose",
                "Source",
                "Namespace",
                "Destination",
                "Field",
                "Policy",
                "Controller",
                "TrackingPlan",
                "Identity",
                "Matcher",
                "GroupType",
                "Audience",
                "ComputedTrait"
            ]
        );
        let again = read_text(&write(&files.documents).unwrap()).unwrap();
        assert_eq!(files.documents, again.documents);
    }

    #[test]
    fn errors_name_file_line_and_what_to_do() {
        let unknown_key =
            read_text("\n---\nkind: Purpose\nname: x\nbasis: contract\nowner: me\n").unwrap_err();
        assert!(
            unknown_key.starts_with("w.yaml:6:1: ") && unknown_key.contains("unknown field `owner`"),
            "{unknown_key}"
        );
        let wrong = read_text("kind: Purpose\nname: x\nbasis: because\n").unwrap_err();
        assert!(wrong.starts_with("w.yaml:3:") && wrong.contains("because"), "{wrong}");
        let kind = read_text("name: x\nkind: Person\n").unwrap_err();
        assert!(kind.starts_with("w.yaml:2: kind `Person` is not known"), "{kind}");
    }
}
