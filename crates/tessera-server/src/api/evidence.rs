//! The evidence ledger: who got what and why, the answer to "why me?", and the export that a stranger can check.
//!
//! Shows no personal data: the ledger has none. Whoever is asked for is hashed before the ledger is searched.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::State;
use axum::http::Uri;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::value::RawValue;
use tessera_evidence::{FORMAT_VERSION, Filter, Kind, Outcome};
use tessera_model::{DestinationName, FragmentId, HashKey, PurposeName, Rules, Timestamp};
use tessera_pipeline::fragments_of;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::evidence_export::export_of;
use super::profiles::parse_reference;
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const LIST_DEFAULT: usize = 100;
const LIST_MAX: usize = 1000;

/// One page of the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceList {
    /// The entries, oldest first, exactly as they stand in the ledger.
    #[schema(value_type = Vec<Object>)]
    entries: Vec<Box<RawValue>>,
    /// What became of the deliveries among them, by their numbers; of one that is missing nothing is known.
    #[schema(value_type = Object)]
    outcomes: BTreeMap<u64, Outcome>,
    /// The keyed hashes under which the ledger knows the person that was asked for.
    #[schema(value_type = Vec<String>)]
    #[serde(serialize_with = "as_text")]
    fragments: Vec<FragmentId>,
    /// Pass as `after` for the next page; null at the end.
    next: Option<u64>,
}

fn as_text<S: serde::Serializer>(ids: &[FragmentId], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(ToString::to_string))
}

/// What is recorded of who got what, when and why, who read it, and who changed what. Oldest first.
///
/// Every filter that is given must hold. A person is found under every identifier of theirs, also after an erasure.
#[utoipa::path(
    get, path = "/api/v1/evidence", tag = "evidence",
    params(
        ("person" = Option<String>, Query, description = "`email:ada@example.com`, or the id of a profile or fragment"),
        ("destination" = Option<String>, Query, description = "Where it went"),
        ("purpose" = Option<String>, Query, description = "What for"),
        ("field" = Option<String>, Query, description = "Path of a field that left or was shown: `traits.email`"),
        ("kind" = Option<String>, Query,
            description = "Any of `delivery,outcome,disclosure,change,access,notice,erasure,export,checkpoint`"),
        ("from" = Option<String>, Query, description = "Not before: a date, or an RFC 3339 time"),
        ("until" = Option<String>, Query, description = "Before: a date, or an RFC 3339 time"),
        ("actor" = Option<String>, Query, description = "Who did it"),
        ("message" = Option<String>, Query, description = "The `messageId` of the event that was delivered"),
        ("after" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 1000, 100 unless set"),
    ),
    responses(
        (status = 200, description = "A page.", body = EvidenceList),
        (status = 400, description = "No such filter.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<EvidenceList>, ApiError> {
    let mut params = Params::of(&uri)?;
    let limit = params.limit(LIST_DEFAULT, LIST_MAX)?;
    let after = params.number("after")?.unwrap_or(0);
    let mut asked = Asked::take(&mut params, &app.parts.rules.load(), &app.parts.key)?;
    params.finish("person, destination, purpose, field, kind, from, until, actor, message, after, limit")?;
    asked.filter.seqs = Some(after.saturating_add(1)..=u64::MAX);
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let page = blocking(move || {
        let fragments = asked.find(&shared)?;
        let mut page = EvidenceList {
            entries: Vec::new(),
            outcomes: BTreeMap::new(),
            fragments: fragments.into_iter().collect(),
            next: None,
        };
        let (mut deliveries, mut last, mut is_bad) = (BTreeSet::new(), 0, false);
        shared.parts.evidence.read(&asked.filter, |line| {
            if page.entries.len() == limit {
                page.next = Some(last);
                return false;
            }
            last = line.seq;
            if line.entry.kind() == Kind::Delivery {
                deliveries.insert(line.seq);
            }
            match RawValue::from_string(line.text.to_owned()) {
                Ok(text) => page.entries.push(text),
                Err(_) => is_bad = true,
            }
            !is_bad
        })?;
        if is_bad {
            return Err(ApiError::Internal);
        }
        page.outcomes = shared.parts.evidence.outcomes(&deliveries)?;
        Ok(Json(page))
    })
    .await;
    drop(permit);
    page
}

/// What is asked of the ledger.
pub(super) struct Asked {
    pub(super) filter: Filter,
    person: Option<FragmentId>,
}

impl Asked {
    /// Takes what says which entries.
    pub(super) fn take(params: &mut Params, rules: &Rules, key: &HashKey) -> Result<Self, ApiError> {
        let person = params.take("person").map(|text| parse_reference(rules, key, &text)).transpose()?;
        let destination = params.take("destination").map(|text| DestinationName::parse(&text)).transpose();
        let purpose = params.take("purpose").map(|text| PurposeName::parse(&text)).transpose();
        let bad = |error: tessera_model::NameError| {
            ApiError::bad(error.to_string(), "give the name as it was declared")
        };
        let kinds = params.take("kind").unwrap_or_default();
        let kind = |text: &str| {
            Kind::parse(text).ok_or_else(|| {
                let text: String = text.chars().take(80).collect();
                let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                ApiError::bad(format!("`{text}` is no kind of entry"), format!("known: {}", known.join(", ")))
            })
        };
        let filter = Filter {
            destination: destination.map_err(bad)?,
            purpose: purpose.map_err(bad)?,
            field: params.take("field").map(Into::into),
            kinds: kinds.split(',').filter(|text| !text.is_empty()).map(kind).collect::<Result<_, _>>()?,
            from: params.time("from")?,
            until: params.time("until")?,
            actor: params.take("actor").map(Into::into),
            message: params.take("message").map(|id| message_hash(key, &id)),
            ..Filter::default()
        };
        Ok(Self { filter, person })
    }

    /// Whether it is about one person.
    pub(super) const fn names_a_person(&self) -> bool {
        self.person.is_some()
    }

    /// Looks up who is meant: all their fragments.
    pub(super) fn find<L: Log, S: Store>(
        &mut self,
        app: &App<L, S>,
    ) -> Result<BTreeSet<FragmentId>, ApiError> {
        if let Some(person) = self.person {
            self.filter.subjects = fragments_of(app.parts.store.as_ref(), person)?;
        }
        Ok(self.filter.subjects.clone())
    }
}

/// A message id as deliveries have it.
fn message_hash(key: &HashKey, id: &str) -> Box<str> {
    FragmentId(key.hash128(&[b"evidence message", id.as_bytes()])).to_string().into()
}

impl Params {
    /// A whole number.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<u64>, ApiError> {
        let bad = |_| ApiError::bad(format!("`{name}` is not a number"), "use a whole number");
        self.take(name).map(|text| text.parse().map_err(bad)).transpose()
    }

    /// A date (its first moment, UTC) or an RFC 3339 time.
    pub(super) fn time(&mut self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let found = Timestamp::parse(&text).or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")));
        let bad = || {
            ApiError::bad(format!("`{name}` is not a time"), "write `2026-01-31` or `2026-01-31T12:00:00Z`")
        };
        found.map(Some).ok_or_else(bad)
    }
}

/// The last entry, and the key that checks the ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EvidenceHead {
    /// Number of the last entry; 0 if there is none.
    seq: u64,
    /// Hash of its line: who keeps it elsewhere can tell a ledger that was cut short from a whole one.
    hash: String,
    /// The Ed25519 public key, 64 hexadecimal digits: what `tessera evidence verify` needs besides an export.
    public_key: String,
    /// How checkpoints name the key.
    key_id: String,
    /// Version of the format.
    format: u32,
}

/// The last entry of the ledger, and the public key.
#[utoipa::path(
    get, path = "/api/v1/evidence/head", tag = "evidence",
    responses((status = 200, description = "The head.", body = EvidenceHead)),
    security(("admin_token" = []))
)]
pub(crate) async fn head<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
) -> Result<Json<EvidenceHead>, ApiError> {
    Params::of(&uri)?.finish("none")?;
    let (evidence, head) = (&app.parts.evidence, app.parts.evidence.head());
    Ok(Json(EvidenceHead {
        seq: head.seq,
        hash: head.hash.to_string(),
        public_key: evidence.public_key_hex(),
        key_id: evidence.key_id().to_owned(),
        format: FORMAT_VERSION,
    }))
}

/// The ledger as a file that anybody can check with the public key alone: `tessera evidence verify`.
///
/// The export itself is recorded, as the last entry that it may hold. One that breaks off has no seal and does not
/// verify.
#[utoipa::path(
    get, path = "/api/v1/evidence/export", tag = "evidence",
    params(
        ("first" = Option<u64>, Query, description = "Number of the first entry, 1 unless set"),
        ("last" = Option<u64>, Query, description = "Number of the last entry, the head unless set"),
    ),
    responses(
        (status = 200, description = "One JSON object per line; docs/reference/evidence-format.md describes them.",
            body = String, content_type = "application/x-ndjson"),
        (status = 404, description = "No entry has such a number.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn export<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    uri: Uri,
) -> Result<axum::response::Response, ApiError> {
    let mut params = Params::of(&uri)?;
    let (first, last) = (params.number("first")?.unwrap_or(1), params.number("last")?.unwrap_or(u64::MAX));
    params.finish("first, last")?;
    let seqs: RangeInclusive<u64> = first..=last;
    export_of(app, viewer, seqs).await
}
