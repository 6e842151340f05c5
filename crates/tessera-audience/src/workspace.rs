//! The definitions of a workspace.

use serde_json::{Value, json};
use tessera_model::{Document, Problem, Workspace};

use crate::{Definitions, Known, check};

/// The audiences and computed traits of a workspace.
///
/// # Errors
/// What is wrong with any of them: none can be used then, for they speak of each other.
pub fn definitions(workspace: &Workspace) -> Result<Definitions, Vec<Problem>> {
    let (mut definitions, mut problems) = (Definitions::default(), Vec::new());
    for document in workspace.documents() {
        let (field, read) = if matches!(document, Document::Audience(_)) {
            let read = serde_json::from_value(without_kind(document));
            ("when", read.map(|audience| definitions.audiences.push(audience)))
        } else if matches!(document, Document::ComputedTrait(_)) {
            let read = serde_json::from_value(without_kind(document));
            ("value", read.map(|computed| definitions.traits.push(computed)))
        } else {
            continue;
        };
        if let Err(error) = read {
            let hint = "docs/reference/audiences.md has every form with an example";
            problems.push(Problem::new(document, field, error.to_string(), hint));
        }
    }
    if problems.is_empty() {
        let errors = check(&definitions, &Known::default()).into_iter().filter(crate::Finding::is_error);
        problems.extend(errors.map(|finding| Problem {
            kind: finding.kind.to_owned(),
            name: finding.name,
            field: if finding.kind == "Audience" { "when" } else { "value" }.to_owned(),
            what: format!("{}: {}", finding.code.unwrap_or_default(), finding.what),
            hint: finding.hint,
        }));
    }
    if problems.is_empty() { Ok(definitions) } else { Err(problems) }
}

/// A definition's own fields: the language knows no kinds of documents.
fn without_kind(document: &Document) -> Value {
    let mut fields = json!(document);
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("kind");
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace(documents: Value) -> Workspace {
        let mut documents: Vec<Document> = serde_json::from_value(documents).unwrap();
        documents.push(
            serde_json::from_value(
                json!({ "kind": "Purpose", "name": "p", "basis": "legitimate_interests" }),
            )
            .unwrap(),
        );
        Workspace::new(documents).unwrap()
    }

    #[test]
    fn documents_are_read_as_text_and_as_trees() {
        let found = definitions(&workspace(json!([
            { "kind": "Audience", "name": "a", "purpose": "p", "time_zone": "Europe/Berlin", "when": "score >= 1" },
            { "kind": "ComputedTrait", "name": "score", "purpose": "p", "value": { "trait": "points" } },
        ])))
        .unwrap();
        assert_eq!(found.audiences[0].when.to_string(), "score >= 1");
        assert_eq!(found.traits[0].value.to_string(), "points");
    }

    #[test]
    fn what_is_wrong_names_the_document_and_the_place() {
        for (when, what) in [
            ("plan = ", "TES-A021: line 1, column 7"),
            ("member of b", "TES-A023: there is no audience `b`"),
            ("member of a", "TES-A024: speaks of itself: a -> a"),
        ] {
            let document = json!([{ "kind": "Audience", "name": "a", "purpose": "p", "when": when }]);
            let problems = definitions(&workspace(document)).unwrap_err();
            assert_eq!((problems.len(), problems[0].name.as_str()), (1, "a"));
            assert!(problems[0].what.contains(what), "{:?}", problems[0].what);
        }
    }
}
