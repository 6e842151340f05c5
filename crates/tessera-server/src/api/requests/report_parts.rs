//! What a report is made of.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tessera_evidence::{Delivery, Entry, Filter, Kind, OutcomeStatus};
use tessera_model::{ControllerDocument, FragmentId, LegalBasis, PurposeDocument, Rules};
use tessera_pipeline::{HeldProfile, Holdings, fragments_of, load_requests};
use tessera_policy::{Permitted, SubjectRight};
use tessera_store::{Log, Store};

use super::stored::Stored;
use super::{RequestAnswer, calendar};
use crate::error::ApiError;
use crate::shared::Shared;

/// Most deliveries in one report; how many more there are is told.
const DELIVERIES_MAX: usize = 100_000;

/// The rights that a person must be told of (Art. 13(2), 15(1)(e) and (f)).
const RIGHTS: [&str; 5] = [
    "to have wrong data corrected (Art. 16)",
    "to have data erased (Art. 17)",
    "to have its use restricted (Art. 18)",
    "to object to its use, to direct marketing at any time (Art. 21), and to take back a consent (Art. 7(3))",
    "to complain to a supervisory authority (Art. 77)",
];

/// A report.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// `access` or `portability`.
    pub(super) report: &'static str,
    /// The article that it is made by.
    pub(super) ground: &'static str,
    /// When, RFC 3339.
    pub(super) made_at: String,
    /// Who answers for the processing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) controller: Option<ControllerDocument>,
    /// The request that it answers.
    pub(super) request: RequestAnswer,
    /// What is held.
    #[serde(flatten)]
    pub(super) held: Holdings,
    /// The rest of what Art. 15 asks for.
    #[serde(flatten)]
    pub(super) access: Option<AccessParts>,
}

/// What only a report for access has.
#[derive(Debug, Serialize)]
pub(super) struct AccessParts {
    /// Why data is processed, on what ground, for how long.
    pub(super) purposes: Vec<Processing>,
    /// Who got what, when and why.
    pub(super) deliveries: Vec<Delivered>,
    /// Deliveries beyond the first 100,000.
    pub(super) deliveries_left_out: u64,
    /// Requests of the person so far.
    pub(super) requests: Vec<RequestAnswer>,
    /// What else the person may ask for.
    pub(super) rights: [&'static str; 5],
}

/// A purpose, as the person is told of it.
#[derive(Debug, Serialize)]
pub(super) struct Processing {
    pub(super) purpose: String,
    pub(super) version: u32,
    pub(super) basis: LegalBasis,
    pub(super) description: String,
    /// Days after the event for which data is kept; absent: until the purpose ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retention_days: Option<u32>,
    /// Whom data is sent to for it.
    pub(super) recipients: Vec<String>,
}

/// Data that left.
#[derive(Debug, Serialize)]
pub(super) struct Delivered {
    /// When, RFC 3339.
    pub(super) at: String,
    /// What became of it: `delivered`, `refused`, `retry`; absent: it is on its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<OutcomeStatus>,
    /// Whom it went to, why, on what ground, which fields.
    #[serde(flatten)]
    pub(super) delivery: Delivery,
}

impl Report {
    /// The paths of what is held in a profile.
    pub(super) fn paths(&self, profile: &HeldProfile) -> BTreeSet<String> {
        let mut paths: BTreeSet<String> =
            profile.traits.iter().map(|held| format!("traits.{}", held.name)).collect();
        paths.extend(profile.identifiers.iter().map(|held| format!("identifiers.{}", held.namespace)));
        let parts = [
            ("consents", profile.consents.is_empty()),
            ("subscriptions", profile.subscriptions.is_empty()),
            ("accounts", profile.accounts.is_empty()),
            ("event_counts", profile.event_counts.is_empty()),
        ];
        paths.extend(parts.into_iter().filter(|(_, is_empty)| !is_empty).map(|(name, _)| name.to_owned()));
        paths
    }

    /// The paths of all that is held.
    pub(super) fn everything(&self) -> BTreeSet<String> {
        let mut paths: BTreeSet<String> =
            self.held.profiles.iter().flat_map(|profile| self.paths(profile)).collect();
        let parts = [
            ("events", self.held.events.is_empty()),
            ("rejects", self.held.rejects.is_empty()),
            ("waiting", self.held.waiting.is_empty()),
        ];
        paths.extend(parts.into_iter().filter(|(_, is_empty)| !is_empty).map(|(name, _)| name.to_owned()));
        paths
    }
}

impl<L: Log, S: Store> Shared<L, S> {
    /// The report about what is held. Only who answers for it, and what was decided, is put to it.
    pub(super) fn report(
        &self,
        rules: &Rules,
        stored: &Stored,
        held: Permitted<Holdings, SubjectRight>,
        subjects: &[FragmentId],
    ) -> Result<Permitted<Report, SubjectRight>, ApiError> {
        let now = self.parts.clock.now();
        let right = held.permit().clone();
        let access = match right.is_portability() {
            true => None,
            false => Some(self.access_parts(rules, held.get(), subjects)?),
        };
        let request = RequestAnswer::new(stored, &calendar(rules)?, now);
        Ok(held.map(|held| Report {
            report: if right.is_portability() { "portability" } else { "access" },
            ground: right.article(),
            made_at: now.to_string(),
            controller: rules.controller().cloned(),
            request,
            held,
            access,
        }))
    }

    fn access_parts(
        &self,
        rules: &Rules,
        held: &Holdings,
        subjects: &[FragmentId],
    ) -> Result<AccessParts, ApiError> {
        let store = self.parts.store.as_ref();
        let mut people: BTreeSet<FragmentId> = held.fragments.iter().copied().collect();
        for subject in subjects {
            people.extend(fragments_of(store, *subject)?);
        }
        let (deliveries, deliveries_left_out) = self.deliveries(&people)?;
        let (calendar, now) = (calendar(rules)?, self.parts.clock.now());
        let requests = load_requests::<Stored>(store)?;
        let of_them = requests.iter().filter(|stored| {
            stored.request.opening().subjects.iter().any(|subject| people.contains(subject))
        });
        Ok(AccessParts {
            purposes: rules.purposes.iter().map(|purpose| processing(rules, &purpose.document)).collect(),
            deliveries,
            deliveries_left_out,
            requests: of_them.map(|stored| RequestAnswer::new(stored, &calendar, now)).collect(),
            rights: RIGHTS,
        })
    }

    fn deliveries(&self, people: &BTreeSet<FragmentId>) -> Result<(Vec<Delivered>, u64), ApiError> {
        let filter = Filter { subjects: people.clone(), kinds: [Kind::Delivery].into(), ..Filter::default() };
        let (mut found, mut left_out) = (BTreeMap::new(), 0);
        self.parts.evidence.read(&filter, |line| {
            if let Entry::Delivery(delivery) = &line.entry {
                if found.len() < DELIVERIES_MAX {
                    found.insert(line.seq, (line.at, delivery.clone()));
                } else {
                    left_out += 1;
                }
            }
            true
        })?;
        let outcomes = self.parts.evidence.outcomes(&found.keys().copied().collect())?;
        let delivered = found.into_iter().map(|(seq, (at, delivery))| Delivered {
            at: at.to_string(),
            result: outcomes.get(&seq).map(|outcome| outcome.result),
            delivery,
        });
        Ok((delivered.collect(), left_out))
    }
}

fn processing(rules: &Rules, document: &PurposeDocument) -> Processing {
    let recipients = rules.destinations().filter(|to| to.purpose == document.name);
    Processing {
        purpose: document.name.to_string(),
        version: document.version,
        basis: document.basis,
        description: document.description.clone(),
        retention_days: document.retention_days,
        recipients: recipients.map(|to| to.name.to_string()).collect(),
    }
}
