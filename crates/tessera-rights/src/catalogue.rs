//! The documents of a workspace by kind, and who serves which purpose.

use std::collections::BTreeSet;

use tessera_model::{
    ControllerDocument, DestinationDocument, Document, FieldDocument, PurposeDocument, PurposeName,
    SourceDocument, Workspace,
};

/// The documents by kind, each ordered by name.
#[derive(Default)]
pub(crate) struct Catalogue<'a> {
    pub(crate) controller: Option<&'a ControllerDocument>,
    pub(crate) purposes: Vec<&'a PurposeDocument>,
    pub(crate) sources: Vec<&'a SourceDocument>,
    pub(crate) destinations: Vec<&'a DestinationDocument>,
    pub(crate) fields: Vec<&'a FieldDocument>,
}

impl<'a> Catalogue<'a> {
    pub(crate) fn of(workspace: &'a Workspace) -> Self {
        let mut catalogue = Self::default();
        for document in workspace.documents() {
            match document {
                Document::Purpose(purpose) => catalogue.purposes.push(purpose),
                Document::Source(source) => catalogue.sources.push(source),
                Document::Destination(destination) => catalogue.destinations.push(destination),
                Document::Field(field) => catalogue.fields.push(field),
                Document::Controller(controller) => catalogue.controller = Some(controller),
                Document::Namespace(_)
                | Document::Policy(_)
                | Document::TrackingPlan(_)
                | Document::Identity(_)
                | Document::Matcher(_)
                | Document::GroupType(_)
                | Document::Audience(_)
                | Document::ComputedTrait(_) => {}
            }
        }
        catalogue
    }

    /// The sources that bring data for `purpose`.
    pub(crate) fn sources_of(&self, purpose: &PurposeName) -> impl Iterator<Item = &'a SourceDocument> {
        self.sources.iter().copied().filter(move |source| serves(source).contains(purpose))
    }

    /// The destinations that get data for `purpose`.
    pub(crate) fn destinations_of(
        &self,
        purpose: &PurposeName,
    ) -> impl Iterator<Item = &'a DestinationDocument> {
        self.destinations.iter().copied().filter(move |destination| destination.purpose == *purpose)
    }
}

/// Every purpose that a source brings data for, by its own list or by that of one of its events.
pub(crate) fn serves(source: &SourceDocument) -> BTreeSet<&PurposeName> {
    source.purposes.iter().chain(source.events.values().flatten()).collect()
}
