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

/// The rules of these documents, together with a purpose `p` by contract unless one is given.
pub(crate) fn rules(documents: &[Value]) -> Rules {
    let mut documents = documents.to_vec();
    if !documents.iter().any(|document| document["kind"] == "Purpose") {
        documents.push(json!({"kind": "Purpose", "name": "p", "basis": "contract"}));
    }
    let documents: Vec<Document> =
        documents.into_iter().map(|document| serde_json::from_value(document).unwrap()).collect();
    Rules::new(1, Workspace::new(documents).unwrap()).unwrap()
}
