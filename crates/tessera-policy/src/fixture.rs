//! Purposes for this crate's own tests.

use std::sync::Arc;

use serde_json::{Value, json};
use tessera_model::{Document, Purpose, PurposeId, PurposeName, Purposes, Rules, Workspace};

/// The purposes of these documents, each given without `kind`.
pub(crate) fn purposes(documents: &[Value]) -> Purposes {
    let documents: Vec<Document> = documents
        .iter()
        .map(|document| {
            let mut document = document.clone();
            document["kind"] = json!("Purpose");
            serde_json::from_value(document).unwrap()
        })
        .collect();
    Rules::new(1, Workspace::new(documents).unwrap()).unwrap().purposes
}

/// The purpose of one document, given without `kind` and `name`: it is called `p`.
pub(crate) fn purpose(document: Value) -> Arc<Purpose> {
    let mut document = document;
    document["name"] = json!("p");
    Arc::clone(purposes(&[document]).get(&PurposeName::parse("p").unwrap()).unwrap())
}

/// The numbers of purposes with these names, which must be in alphabetical order.
pub(crate) fn ids(names: &[&str]) -> Vec<PurposeId> {
    let documents: Vec<Value> = names.iter().map(|name| json!({"name": name, "basis": "contract"})).collect();
    purposes(&documents).iter().map(|purpose| purpose.id).collect()
}
