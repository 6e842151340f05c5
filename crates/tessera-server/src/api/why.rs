//! "Why me?": on what ground somebody's data went to a destination.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use tessera_evidence::{Consent, Delivery, Entry, Kind, Outcome, Withheld};
use tessera_model::{LegalBasis, Rules};
use tessera_rights::basis_names;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::evidence::Asked;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const ANSWERS_DEFAULT: usize = 10;
const ANSWERS_MAX: usize = 100;

/// The answers to "why me?".
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhyAnswer {
    /// The latest deliveries that were asked about, newest first.
    deliveries: Vec<Why>,
    /// Who answers for the processing, as declared; null if nobody is.
    controller: Option<Responsible>,
}

/// Who answers for the processing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Responsible {
    /// The name.
    name: String,
    /// Where people write to.
    contact: String,
    /// How a consent is taken back.
    withdrawal: String,
    /// Where the privacy notice stands.
    privacy_url: String,
}

/// Why one delivery was made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why {
    /// Number of the entry in the evidence ledger.
    seq: u64,
    /// When, RFC 3339.
    at: String,
    /// To whom.
    destination: String,
    /// Where the receiver keeps it, if the destination says so.
    region: Option<String>,
    /// What for.
    purpose: String,
    /// Version of the purpose that permitted it.
    purpose_version: u32,
    /// The purpose in words, as declared now.
    description: Option<String>,
    /// What people were told, by language; null if that version is not the declared one any more.
    #[schema(value_type = Option<Object>)]
    notice: Option<BTreeMap<String, String>>,
    /// The legal basis.
    #[schema(value_type = String)]
    basis: LegalBasis,
    /// Its article in the GDPR.
    article: &'static str,
    /// The consent that it rested on, where consent is the basis.
    #[schema(value_type = Option<Object>)]
    consent: Option<Consent>,
    /// Version of the workspace whose policies were applied.
    policy_version: u64,
    /// Paths of the fields that left.
    #[schema(value_type = Vec<String>)]
    fields: Vec<Box<str>>,
    /// Fields that were kept back, and why.
    #[schema(value_type = Vec<Object>)]
    withheld: Vec<Withheld>,
    /// Which try it was, from 1.
    attempt: u32,
    /// What became of it: `delivered`, `refused`, `retry`; null if that is not known.
    #[schema(value_type = Option<Object>)]
    outcome: Option<Outcome>,
}

/// Why a person's data went to a destination: purpose, notice, legal basis, consent, policies, fields, time.
#[utoipa::path(
    get, path = "/api/v1/evidence/why", tag = "evidence",
    params(
        ("person" = String, Query, description = "`email:ada@example.com`, or the id of a profile or fragment"),
        ("destination" = Option<String>, Query, description = "Where it went"),
        ("purpose" = Option<String>, Query, description = "What for"),
        ("field" = Option<String>, Query, description = "Path of a field that left: `traits.email`"),
        ("message" = Option<String>, Query, description = "The `messageId` of the event"),
        ("from" = Option<String>, Query, description = "Not before: a date, or an RFC 3339 time"),
        ("until" = Option<String>, Query, description = "Before: a date, or an RFC 3339 time"),
        ("limit" = Option<usize>, Query, description = "1 to 100, 10 unless set"),
    ),
    responses(
        (status = 200, description = "The latest deliveries, newest first; none if nothing went there.", body = WhyAnswer),
        (status = 400, description = "No such filter.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn why<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<WhyAnswer>, ApiError> {
    let mut params = Params::of(&uri)?;
    let limit = params.limit(ANSWERS_DEFAULT, ANSWERS_MAX)?;
    let rules = app.parts.rules.load_full();
    let mut asked = Asked::take(&mut params, &rules, &app.parts.key)?;
    params.finish("person, destination, purpose, field, message, from, until, limit")?;
    if !asked.names_a_person() {
        return Err(ApiError::bad("`person` is missing", "name somebody: `person=email:ada@example.com`"));
    }
    asked.filter.kinds = [Kind::Delivery].into();
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let found = blocking(move || {
        asked.find(&shared)?;
        let mut latest: VecDeque<(u64, String, Delivery)> = VecDeque::new();
        shared.parts.evidence.read(&asked.filter, |line| {
            if let Entry::Delivery(delivery) = &line.entry {
                latest.truncate(limit - 1);
                latest.push_front((line.seq, line.at.to_string(), delivery.clone()));
            }
            true
        })?;
        let seqs: BTreeSet<u64> = latest.iter().map(|(seq, ..)| *seq).collect();
        let mut outcomes = shared.parts.evidence.outcomes(&seqs)?;
        let answers = latest.into_iter().map(|(seq, at, delivery)| {
            let outcome = outcomes.remove(&seq);
            Why::of(&rules, seq, at, delivery, outcome)
        });
        Ok(Json(WhyAnswer { deliveries: answers.collect(), controller: responsible(&rules) }))
    })
    .await;
    drop(permit);
    found
}

impl Why {
    fn of(rules: &Rules, seq: u64, at: String, delivery: Delivery, outcome: Option<Outcome>) -> Self {
        let declared = rules.purposes.get(&delivery.purpose).map(|purpose| &purpose.document);
        let same = declared.filter(|document| document.version == delivery.purpose_version);
        Self {
            seq,
            at,
            destination: delivery.destination.to_string(),
            region: delivery.region.map(String::from),
            purpose: delivery.purpose.to_string(),
            purpose_version: delivery.purpose_version,
            description: declared.map(|document| document.description.clone()),
            notice: same.map(|document| document.notice.clone()),
            basis: delivery.basis,
            article: basis_names(delivery.basis).gdpr,
            consent: delivery.consent,
            policy_version: delivery.policy_version,
            fields: delivery.fields,
            withheld: delivery.withheld,
            attempt: delivery.attempt,
            outcome,
        }
    }
}

fn responsible(rules: &Rules) -> Option<Responsible> {
    let controller = rules.controller()?;
    Some(Responsible {
        name: controller.name.clone(),
        contact: controller.contact.clone(),
        withdrawal: controller.withdrawal.clone(),
        privacy_url: controller.privacy_url.clone(),
    })
}
