//! The workspace, ready for the hot path.

use std::collections::BTreeMap;
use std::sync::Arc;

use tessera_contract::{Contract, TrackingPlanDocument};

use crate::{
    ControllerDocument, DataCategory, DestinationDocument, Document, FieldDocument, GroupTypes,
    MatcherDocument, NamespaceRules, Party, PolicyDocument, Problem, PurposeDocument, PurposeId, PurposeName,
    PurposeRegister, PurposeSet, Purposes, Region, SourceDocument, SourceName, SurvivorshipRules, Timestamp,
    Workspace,
};

/// What the pipeline asks of a source.
#[derive(Clone, Debug)]
pub struct SourceRules {
    /// Its name.
    pub name: SourceName,
    /// The purposes its data serves.
    pub purposes: PurposeSet,
    /// Who its data comes from.
    pub party: Party,
    /// What kind of data it brings.
    pub category: DataCategory,
    /// Where the payload names its purposes, as the parts of a path.
    pub purposes_from: Option<Vec<String>>,
    /// Where its telephone numbers without a country code are dialled.
    pub default_region: Option<Region>,
    /// Our number in the TCF's global vendor list.
    pub tcf_vendor: Option<u16>,
    /// TCF purposes by number.
    pub tcf_purposes: BTreeMap<u8, PurposeId>,
    /// What its tracking plan says.
    pub contract: Option<Arc<Contract>>,
    events: BTreeMap<String, PurposeSet>,
    consent: BTreeMap<String, PurposeId>,
}

impl SourceRules {
    fn new(source: &SourceDocument, purposes: &Purposes, contract: Option<Arc<Contract>>) -> Self {
        let id = |name: &PurposeName| purposes.get(name).map(|purpose| purpose.id);
        // A category named like a purpose stands for it, unless the source says otherwise.
        let mut consent: BTreeMap<String, PurposeId> =
            purposes.iter().map(|purpose| (purpose.document.name.to_string(), purpose.id)).collect();
        consent.extend(source.consent.iter().filter_map(|(name, of)| Some((name.clone(), id(of)?))));
        let tcf = source.tcf.as_ref();
        Self {
            name: source.name.clone(),
            purposes: source.purposes.iter().filter_map(id).collect(),
            party: source.party,
            category: source.category,
            purposes_from: source
                .purposes_from
                .as_ref()
                .map(|path| path.split('.').map(str::to_owned).collect()),
            default_region: source.default_region,
            tcf_vendor: tcf.and_then(|tcf| tcf.vendor),
            tcf_purposes: tcf
                .iter()
                .flat_map(|tcf| &tcf.purposes)
                .filter_map(|(number, name)| Some((*number, id(name)?)))
                .collect(),
            events: source
                .events
                .iter()
                .map(|(event, names)| (event.clone(), names.iter().filter_map(id).collect()))
                .collect(),
            contract,
            consent,
        }
    }

    /// The purpose that a consent category stands for: by the source's own table, else of the same name.
    #[must_use]
    pub fn purpose_of(&self, category: &str) -> Option<PurposeId> {
        self.consent.get(category).copied()
    }

    /// The purposes of a call, or of an event of that name.
    #[must_use]
    pub fn purposes_for(&self, call: &str, event: &str) -> PurposeSet {
        if self.events.is_empty() {
            return self.purposes;
        }
        self.events.get(event).or_else(|| self.events.get(call)).copied().unwrap_or(self.purposes)
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
    /// Purposes by name and number.
    pub purposes: Purposes,
    /// The purposes that sell or share data.
    pub sales: PurposeSet,
    /// Which word on a trait survives.
    pub survivorship: SurvivorshipRules,
    /// The kinds of groups.
    pub groups: GroupTypes,
    sources: BTreeMap<SourceName, Arc<SourceRules>>,
    by_write_key: BTreeMap<String, Arc<SourceRules>>,
}

impl Rules {
    /// Compiles the first workspace of an installation.
    ///
    /// # Errors
    /// As [`Rules::next`].
    pub fn new(version: u64, workspace: Workspace) -> Result<Self, Vec<Problem>> {
        Self::restore(version, workspace, &PurposeRegister::default(), Timestamp::MIN)
    }

    /// Compiles the workspace that takes the place of this one at `at`.
    ///
    /// # Errors
    /// Problems that only show in use: blocked patterns too large to compile together, too many purposes.
    pub fn next(&self, workspace: Workspace, at: Timestamp) -> Result<Self, Vec<Problem>> {
        Self::restore(self.version + 1, workspace, self.purposes.register(), at)
    }

    /// Compiles a workspace whose purposes have numbers from `register`; new ones get the next numbers, as of `at`.
    ///
    /// # Errors
    /// As [`Rules::next`].
    pub fn restore(
        version: u64,
        workspace: Workspace,
        register: &PurposeRegister,
        at: Timestamp,
    ) -> Result<Self, Vec<Problem>> {
        let namespaces = NamespaceRules::new(workspace.documents().filter_map(|document| match document {
            Document::Namespace(namespace) => Some(namespace),
            Document::Purpose(_)
            | Document::Source(_)
            | Document::Destination(_)
            | Document::Field(_)
            | Document::Policy(_)
            | Document::Controller(_)
            | Document::TrackingPlan(_)
            | Document::Identity(_)
            | Document::Matcher(_)
            | Document::GroupType(_)
            | Document::Audience(_)
            | Document::ComputedTrait(_) => None,
        }))
        .map(|namespaces| {
            let identity = workspace.documents().find_map(|document| {
                if let Document::Identity(identity) = document { Some(identity) } else { None }
            });
            let regions = workspace.documents().filter_map(|document| {
                if let Document::Source(source) = document { source.default_region } else { None }
            });
            identity
                .into_iter()
                .fold(namespaces, NamespaceRules::with_identity)
                .with_regions(regions.collect())
        })
        .map_err(|(name, what)| {
            vec![Problem {
                kind: "Namespace".to_owned(),
                name: name.to_string(),
                field: "blocked".to_owned(),
                what,
                hint: "simplify the patterns".to_owned(),
            }]
        })?;
        let register = register.with(purpose_documents(&workspace), at).ok_or_else(|| {
            vec![Problem {
                kind: "Purpose".to_owned(),
                name: String::new(),
                field: "name".to_owned(),
                what: format!("more than {} purposes were declared over time", crate::PURPOSES_MAX),
                hint: "reuse purposes that were retired instead of declaring new ones".to_owned(),
            }]
        })?;
        let purposes = Purposes::new(register, purpose_documents(&workspace));
        let sales = purposes.iter().filter(|p| p.document.sells_or_shares).map(|p| p.id).collect();
        let mut contracts = contracts(&workspace)?;
        let (mut sources, mut by_write_key) = (BTreeMap::new(), BTreeMap::new());
        for document in workspace.documents() {
            if let Document::Source(source) = document {
                let rules =
                    Arc::new(SourceRules::new(source, &purposes, contracts.remove(source.name.as_str())));
                sources.insert(source.name.clone(), Arc::clone(&rules));
                by_write_key.insert(source.write_key.reveal().to_owned(), rules);
            }
        }
        let survivorship = SurvivorshipRules::new(&workspace);
        let groups = GroupTypes::new(&workspace, &survivorship);
        Ok(Self {
            version,
            workspace,
            survivorship,
            groups,
            namespaces,
            purposes,
            sales,
            sources,
            by_write_key,
        })
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

    /// The sources, by name.
    pub fn source_documents(&self) -> impl Iterator<Item = &SourceDocument> {
        self.workspace
            .documents()
            .filter_map(|document| if let Document::Source(found) = document { Some(found) } else { None })
    }

    /// The destinations, by name.
    pub fn destinations(&self) -> impl Iterator<Item = &DestinationDocument> {
        self.workspace.documents().filter_map(|document| {
            if let Document::Destination(found) = document { Some(found) } else { None }
        })
    }

    /// The fields, by name.
    pub fn fields(&self) -> impl Iterator<Item = &FieldDocument> {
        self.workspace
            .documents()
            .filter_map(|document| if let Document::Field(found) = document { Some(found) } else { None })
    }

    /// The policies, by name.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyDocument> {
        self.workspace
            .documents()
            .filter_map(|document| if let Document::Policy(found) = document { Some(found) } else { None })
    }

    /// The tracking plans, by name.
    pub fn plans(&self) -> impl Iterator<Item = &TrackingPlanDocument> {
        self.workspace.documents().filter_map(|document| {
            if let Document::TrackingPlan(found) = document { Some(found) } else { None }
        })
    }

    /// The matchers, by name.
    pub fn matchers(&self) -> impl Iterator<Item = &MatcherDocument> {
        self.workspace
            .documents()
            .filter_map(|document| if let Document::Matcher(found) = document { Some(found) } else { None })
    }

    /// Who answers for the processing.
    #[must_use]
    pub fn controller(&self) -> Option<&ControllerDocument> {
        self.workspace
            .documents()
            .find_map(|document| if let Document::Controller(found) = document { Some(found) } else { None })
    }
}

/// The contract of each source that has one.
fn contracts(workspace: &Workspace) -> Result<BTreeMap<String, Arc<Contract>>, Vec<Problem>> {
    let (mut contracts, mut problems) = (BTreeMap::new(), Vec::new());
    for document in workspace.documents() {
        let Document::TrackingPlan(plan) = document else { continue };
        match Contract::compile(plan) {
            Ok(compiled) => {
                contracts.extend(compiled.into_iter().map(|(source, contract)| (source, Arc::new(contract))));
            }
            Err(found) => {
                let problem = found.into_iter();
                problems.extend(problem.map(|one| Problem::new(document, &one.field, one.what, one.hint)));
            }
        }
    }
    if problems.is_empty() { Ok(contracts) } else { Err(problems) }
}

fn purpose_documents(workspace: &Workspace) -> impl Iterator<Item = &PurposeDocument> {
    workspace
        .documents()
        .filter_map(|document| if let Document::Purpose(found) = document { Some(found) } else { None })
}
