//! The workspace, ready for the hot path.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    DataCategory, Document, NamespaceRules, Party, Problem, PurposeDocument, PurposeName, SourceName,
    Workspace,
};

/// What the pipeline asks of a source.
#[derive(Clone, Debug)]
pub struct SourceRules {
    /// Its name.
    pub name: SourceName,
    /// The purposes its data serves, ordered.
    pub purposes: Vec<PurposeName>,
    /// Who its data comes from.
    pub party: Party,
    /// What kind of data it brings.
    pub category: DataCategory,
    consent: BTreeMap<String, PurposeName>,
}

impl SourceRules {
    /// The purpose that a consent category stands for: by the source's own table, else of the same name.
    #[must_use]
    pub fn purpose_of(&self, category: &str) -> Option<PurposeName> {
        self.consent.get(category).cloned().or_else(|| PurposeName::parse(category).ok())
    }
}

/// A workspace compiled for use. `version` counts the applications of a workspace, from 0: an event parsed under
/// one version is parsed again when it meets another.
#[derive(Debug)]
pub struct Rules {
    /// How often a workspace was applied.
    pub version: u64,
    /// The documents it was made from.
    pub workspace: Workspace,
    /// Namespaces, strongest first.
    pub namespaces: NamespaceRules,
    /// Purposes by name.
    pub purposes: BTreeMap<PurposeName, PurposeDocument>,
    sources: BTreeMap<SourceName, Arc<SourceRules>>,
    by_write_key: BTreeMap<String, Arc<SourceRules>>,
}

impl Rules {
    /// Compiles `workspace`.
    ///
    /// # Errors
    /// Problems that only show in use: blocked patterns too large to compile together.
    pub fn new(version: u64, workspace: Workspace) -> Result<Self, Vec<Problem>> {
        let namespaces = NamespaceRules::new(workspace.documents().filter_map(|document| match document {
            Document::Namespace(namespace) => Some(namespace),
            Document::Purpose(_) | Document::Source(_) | Document::Destination(_) => None,
        }))
        .map_err(|(name, what)| {
            vec![Problem {
                kind: "Namespace".to_owned(),
                name: name.to_string(),
                field: "blocked".to_owned(),
                what,
                hint: "simplify the patterns".to_owned(),
            }]
        })?;
        let (mut purposes, mut sources, mut by_write_key) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for document in workspace.documents() {
            match document {
                Document::Purpose(purpose) => {
                    purposes.insert(purpose.name.clone(), purpose.clone());
                }
                Document::Source(source) => {
                    let rules = Arc::new(SourceRules {
                        name: source.name.clone(),
                        purposes: source.purposes.iter().cloned().collect(),
                        party: source.party,
                        category: source.category,
                        consent: source.consent.clone(),
                    });
                    sources.insert(source.name.clone(), Arc::clone(&rules));
                    by_write_key.insert(source.write_key.reveal().to_owned(), rules);
                }
                Document::Namespace(_) | Document::Destination(_) => {}
            }
        }
        Ok(Self { version, workspace, namespaces, purposes, sources, by_write_key })
    }

    /// The source of that name.
    #[must_use]
    pub fn source(&self, name: &SourceName) -> Option<&Arc<SourceRules>> {
        self.sources.get(name)
    }

    /// The source that owns a write key.
    #[must_use]
    pub fn source_by_write_key(&self, write_key: &str) -> Option<&Arc<SourceRules>> {
        self.by_write_key.get(write_key)
    }

    /// The destinations, by name.
    pub fn destinations(&self) -> impl Iterator<Item = &crate::DestinationDocument> {
        self.workspace.documents().filter_map(|document| match document {
            Document::Destination(destination) => Some(destination),
            Document::Purpose(_) | Document::Source(_) | Document::Namespace(_) => None,
        })
    }
}
