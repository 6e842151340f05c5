//! Purposes for this crate's own tests.

use serde_json::{Value, json};
use tessera_model::{Document, PurposeId, Purposes, Rules, Workspace};

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

/// The numbers of purposes with these names, which must be in alphabetical order.
pub(crate) fn ids(names: &[&str]) -> Vec<PurposeId> {
    let documents: Vec<Value> = names.iter().map(|name| json!({"name": name, "basis": "contract"})).collect();
    purposes(&documents).iter().map(|purpose| purpose.id).collect()
}
