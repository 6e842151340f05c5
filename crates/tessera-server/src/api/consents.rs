//! What a person said about purposes: all of it, what follows from it, and new words on record.
//!
//! Not the tracking API: there a person speaks through a source, here somebody puts on record what was said elsewhere, at
//! a counter or on the telephone. Reference: GDPR Art. 7(1), 7(3), 18, 21.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tessera_model::{
    ConsentOrder, ConsentStatus, Expression, FragmentId, Operation, PurposeName, Rules, Timestamp,
};
use tessera_pipeline::{Query, QueryError, Will, will_of};
use tessera_policy::ConsentRecord;
use tessera_profile::{Reader, Shown, View};
use tessera_rights::may_be_overruled;
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::disclosure::Look;
use super::profiles::{parse_reference, path};
use super::read_json;
use crate::access::{Action, Viewer};
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking, to_the_end};

const WORDS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 500;
const ROUTE: &str = "GET /api/v1/profiles/{reference}/consents";

/// What a person said about purposes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConsentsAnswer {
    /// The profile's id.
    profile: String,
    /// Whether the person's data is restricted (GDPR Art. 18).
    is_restricted: bool,
    /// By purpose.
    purposes: BTreeMap<String, PurposeAnswer>,
    /// What was said about the whole person, oldest first: `restricted`, `unrestricted`.
    person: Vec<WordAnswer>,
    /// Which contact points take messages.
    subscriptions: Vec<SubscriptionAnswer>,
    /// What the person prefers, as far as a purpose permits to show it.
    #[schema(value_type = Object)]
    preferences: BTreeMap<String, Box<RawValue>>,
}

/// Where a person stands on a purpose.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PurposeAnswer {
    /// The version in force.
    version: Option<u32>,
    /// The legal basis: `consent`, `contract`, ...; null when it is not declared any more.
    basis: Option<String>,
    /// Whether it may use the person's data now.
    is_permitted: bool,
    /// Why not: `refused`, `withdrawn`, `never_asked`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    denied: Option<&'static str>,
    /// Every word, oldest first.
    history: Vec<WordAnswer>,
}

/// One word about a purpose.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WordAnswer {
    /// What was said.
    status: &'static str,
    /// `explicit` or `implied`.
    expression: &'static str,
    /// About which version of the purpose.
    version: u32,
    /// When it was said first, RFC 3339.
    first_at: String,
    /// When it was said last, RFC 3339.
    at: String,
    /// Which source brought it; `tessera`: this API or a request.
    source: String,
    /// By which form, channel or request.
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<String>,
    /// Where the proof is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
}

/// Whether a contact point takes messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubscriptionAnswer {
    /// The contact point's namespace.
    namespace: String,
    /// Its value; absent for who may not see identifiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// `email`, `sms`, ...
    channel: String,
    /// The topic; empty: the channel as a whole.
    topic: String,
    /// `subscribed`, `unsubscribed` or `did_not_subscribe`.
    #[schema(value_type = String)]
    state: tessera_model::SubscriptionState,
    /// Since when, RFC 3339.
    at: String,
}

/// Everything a person said about purposes, and what each purpose may do now.
///
/// Shown whatever is decided: it is the proof of the decision. Purposes that the account was not granted are left out.
#[utoipa::path(
    get, path = "/api/v1/profiles/{reference}/consents", tag = "consents",
    params(("reference" = String, Path, description = "As for `GET /api/v1/profiles/{reference}`")),
    responses(
        (status = 200, description = "What was said.", body = ConsentsAnswer),
        (status = 404, description = "Nobody has that identifier.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    reference: Result<Path<String>, PathRejection>,
) -> Result<Json<ConsentsAnswer>, ApiError> {
    let rules = app.parts.rules.load_full();
    let id = parse_reference(&rules, &app.parts.key, &path(reference)?)?;
    blocking(move || answer(&app, &rules, &viewer, id, ROUTE).map(Json)).await
}

fn answer<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    viewer: &Viewer,
    id: FragmentId,
    route: &'static str,
) -> Result<ConsentsAnswer, ApiError> {
    let now = app.parts.clock.now();
    let will = will_of(app.parts.store.as_ref(), rules, id, now)?.ok_or_else(unknown)?;
    let preferences = preferences(app, rules, viewer, id, now)?;
    let mut purposes = BTreeMap::new();
    let names = will.words.iter().filter_map(|(purpose, _)| purpose.as_ref());
    let declared = rules.purposes.iter().map(|purpose| &purpose.document.name);
    for name in names.chain(declared).filter(|name| viewer.may_use(name)) {
        purposes.entry(name.to_string()).or_insert_with(|| purpose(rules, &will, name));
    }
    let person: Vec<&ConsentRecord> =
        will.words.iter().filter(|(purpose, _)| purpose.is_none()).map(|(_, record)| record).collect();
    let is_restricted = rules.purposes.iter().any(|purpose| {
        will.grant.denials().get(&purpose.document.name) == Some(&tessera_policy::Denial::Restricted)
    }) || restricted(&person);
    let answer = ConsentsAnswer {
        profile: will.profile.to_string(),
        is_restricted,
        purposes,
        person: person.into_iter().map(word).collect(),
        subscriptions: will.subscriptions.iter().map(|one| subscription(viewer, one)).collect(),
        preferences,
    };
    record(app, &Look { viewer, route, subject: Some(id) }, will.profile, &answer)?;
    Ok(answer)
}

/// Written before anybody sees it.
fn record<L: Log, S: Store>(
    app: &App<L, S>,
    look: &Look<'_>,
    profile: FragmentId,
    answer: &ConsentsAnswer,
) -> Result<(), ApiError> {
    let mut shown = Shown::default();
    shown.fields.extend(answer.purposes.keys().map(|name| format!("consents.{name}")));
    shown.fields.extend(answer.subscriptions.iter().map(|one| format!("subscriptions.{}", one.channel)));
    shown.fields.extend(answer.preferences.keys().map(|name| format!("traits.preferences.{name}")));
    Ok(app.record(*look, [(profile, shown)])?)
}

fn restricted(person: &[&ConsentRecord]) -> bool {
    let last = |status| person.iter().filter(|word| word.status == status).map(|word| word.last_at).max();
    last(ConsentStatus::Restricted) >= last(ConsentStatus::Unrestricted)
        && last(ConsentStatus::Restricted).is_some()
}

/// What the person prefers, of what a purpose permits the viewer to see.
fn preferences<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    viewer: &Viewer,
    id: FragmentId,
    now: Timestamp,
) -> Result<BTreeMap<String, Box<RawValue>>, ApiError> {
    let labels = app.labels(rules);
    let reader = Reader { labels: &labels, hidden: viewer.hidden(), purposes: viewer.purposes.as_ref() };
    let query = Query { rules, purpose: None, view: View::default(), now };
    match query.seen_by(reader).by_id(app.parts.store.as_ref(), id) {
        Ok(profile) => Ok(profile
            .into_inner()
            .traits
            .into_iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("preferences.")?.to_owned(), value)))
            .collect()),
        Err(QueryError::Denied { .. } | QueryError::NotFound) => Ok(BTreeMap::new()),
        Err(QueryError::Failed(error)) => Err(error.into()),
    }
}

fn purpose(rules: &Rules, will: &Will, name: &PurposeName) -> PurposeAnswer {
    let declared = rules.purposes.get(name).map(|purpose| &purpose.document);
    let history = will.words.iter().filter(|(of, _)| of.as_ref() == Some(name));
    PurposeAnswer {
        version: declared.map(|document| document.version),
        basis: declared.and_then(|document| as_text(&document.basis)),
        is_permitted: will.grant.permits().iter().any(|permit| permit.purpose() == name),
        denied: match (declared, will.grant.denials().get(name)) {
            (None, _) => Some(tessera_policy::Denial::UnknownPurpose.as_str()),
            (Some(_), denial) => denial.map(|denial| denial.as_str()),
        },
        history: history.map(|(_, record)| word(record)).collect(),
    }
}

fn as_text(value: &impl Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

fn word(record: &ConsentRecord) -> WordAnswer {
    WordAnswer {
        status: record.status.as_str(),
        expression: match record.expression {
            Expression::Explicit => "explicit",
            Expression::Implied => "implied",
        },
        version: record.version,
        first_at: record.first_at.to_string(),
        at: record.last_at.to_string(),
        source: record.source.to_string(),
        how: record.how.as_deref().map(str::to_owned),
        evidence: record.evidence.as_deref().map(str::to_owned),
    }
}

fn subscription(viewer: &Viewer, one: &tessera_profile::SubscriptionView) -> SubscriptionAnswer {
    SubscriptionAnswer {
        namespace: one.contact.namespace.clone(),
        value: viewer.sees_identifiers().then(|| one.contact.value.clone()),
        channel: one.channel.clone(),
        topic: one.topic.clone(),
        state: one.state,
        at: one.at.to_string(),
    }
}

pub(super) const fn unknown() -> ApiError {
    ApiError::NotFound {
        what: "no profile has that identifier",
        hint: "check namespace and value; of somebody new, the consent call of the tracking API takes the first word",
    }
}

/// Words to put on record.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WordsOrder {
    /// 1 to 100.
    words: Vec<WordOrder>,
}

/// One word to put on record.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WordOrder {
    /// The purpose; absent for `restricted` and `unrestricted`, which concern the whole person.
    purpose: Option<String>,
    /// `given`, `renewed`, `refused`, `withdrawn`, `expired`, `objected`, `overruled`, `ended`, `restricted` or
    /// `unrestricted`.
    #[schema(value_type = String)]
    status: ConsentStatus,
    /// The version that the person was shown; absent: the one in force then.
    version: Option<u32>,
    /// `explicit` (unless given) or `implied`.
    #[serde(default)]
    #[schema(value_type = String)]
    expression: Expression,
    /// When it was said, RFC 3339; absent: now.
    at: Option<String>,
    /// By which form or channel. Names nobody.
    how: Option<String>,
    /// Where the proof is kept: a reference, never the proof itself.
    evidence: Option<String>,
}

/// Puts on record what a person said.
///
/// It holds from the moment of the answer on, for every identifier of the person. `overruled` is taken for purposes only
/// against which an objection can be overruled, and it, `restricted` and `unrestricted` from those who work on requests.
#[utoipa::path(
    post, path = "/api/v1/profiles/{reference}/consents", tag = "consents",
    params(("reference" = String, Path, description = "As for `GET /api/v1/profiles/{reference}`")),
    request_body = WordsOrder,
    responses(
        (status = 200, description = "On record; what holds now.", body = ConsentsAnswer),
        (status = 400, description = "No such purpose or time.", body = ErrorAnswer),
        (status = 404, description = "Nobody has that identifier.", body = ErrorAnswer),
        (status = 422, description = "A word that may not be said of that purpose, or by this account.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn put<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    reference: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<ConsentsAnswer>, ApiError> {
    let rules = app.parts.rules.load_full();
    let id = parse_reference(&rules, &app.parts.key, &path(reference)?)?;
    let order: WordsOrder = read_json(&app, request).await?;
    if order.words.is_empty() || order.words.len() > WORDS_MAX {
        return Err(ApiError::bad("`words` has none or too many", format!("give 1 to {WORDS_MAX}")));
    }
    let now = app.parts.clock.now();
    let parse = |(at, word)| parse_word(&rules, &viewer, now, at, word);
    let words: Vec<ConsentOrder> =
        order.words.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    let (shared, now_rules) = (Arc::clone(&app), Arc::clone(&rules));
    blocking(move || {
        let found = will_of(shared.parts.store.as_ref(), &now_rules, id, now)?;
        found.map(|_| ()).ok_or_else(unknown)
    })
    .await?;
    let shared = Arc::clone(&app);
    to_the_end(async move {
        let position = shared.order(Operation::Consents { fragments: vec![id], words }).await?;
        shared.settle(position).await
    })
    .await?;
    const POST: &str = "POST /api/v1/profiles/{reference}/consents";
    blocking(move || answer(&app, &rules, &viewer, id, POST).map(Json)).await
}

fn parse_word(
    rules: &Rules,
    viewer: &Viewer,
    now: Timestamp,
    number: usize,
    order: WordOrder,
) -> Result<ConsentOrder, ApiError> {
    let bad = |field: &str, what: &str, hint: &str| {
        Err(ApiError::bad(format!("`words[{number}].{field}` {what}"), hint))
    };
    let WordOrder { purpose, status, version, expression, at, how, evidence } = order;
    let declared = match &purpose {
        None => None,
        Some(text) => {
            let named = PurposeName::parse(text).ok();
            match named.and_then(|name| rules.purposes.get(&name)) {
                Some(purpose) => Some(purpose),
                None => return bad("purpose", "is not declared", "`tessera export` shows the purposes"),
            }
        }
    };
    if status.is_personal() != declared.is_none() {
        let hint = "`restricted` and `unrestricted` concern the whole person, every other word one purpose";
        return bad("purpose", "does not fit the status", hint);
    }
    let is_overruling = status == ConsentStatus::Overruled;
    if is_overruling && !declared.is_some_and(|purpose| may_be_overruled(&purpose.document)) {
        let what = format!("`words[{number}]`: an objection to this purpose cannot be overruled");
        let hint =
            "only against public task and legitimate interests, never for direct marketing or sale (Art. 21)";
        return Err(ApiError::rights_refused("TES-R027", what, hint));
    }
    if (is_overruling || status.is_personal()) && !viewer.may(Action::WorkRequests) {
        let what = format!("`words[{number}]`: this account may not record `{}`", status.as_str());
        let hint = "ask somebody who works on requests of data subjects, a privacy officer";
        return Err(ApiError::rights_refused("TES-R027", what, hint));
    }
    let in_force = declared.map_or(u32::MAX, |purpose| purpose.document.version);
    if version.is_some_and(|version| version == 0 || version > in_force) {
        return bad("version", "is none that was in force", "leave it out for the version of that time");
    }
    let at = match at.as_deref().map(Timestamp::parse) {
        None => None,
        Some(Some(at)) if at <= now => Some(at),
        Some(_) => return bad("at", "is no time up to now", "write it as 2026-03-05T09:30:00Z"),
    };
    for (field, text) in [("how", &how), ("evidence", &evidence)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX || text.trim().is_empty()) {
            return bad(field, "is empty or too long", "up to 500 characters; name nobody in it");
        }
    }
    let purpose = declared.map(|purpose| purpose.document.name.clone());
    Ok(ConsentOrder { purpose, status, expression, version, at, how, evidence })
}
