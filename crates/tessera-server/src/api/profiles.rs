//! Looking up and listing profiles.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::value::RawValue;
use tessera_model::{FragmentId, HashKey, IdentifierError, NamespaceRules, PurposeName, Rules};
use tessera_pipeline::{Query, QueryError, group_members};
use tessera_policy::Mask;
use tessera_profile::{GroupView, Profile, Reader, Shown, View};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::contact_points::contact_points;
use super::disclosure::Look;
use super::profile_answer::ProfileAnswer;
use super::profile_events::events;
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const LIST_DEFAULT: usize = 50;
const LIST_MAX: usize = 500;

/// The person who has an identifier.
///
/// `reference` is `namespace:value`, percent-encoded, or the 32 hexadecimal digits of a profile or fragment. A
/// profile that was merged answers under its old ids too. Only what a purpose permits is shown, and of that what the
/// account was granted; if nothing is, the answer has the consents and the reason in `denied`. Every answer is
/// recorded in the evidence ledger before it leaves.
#[utoipa::path(
    get, path = "/api/v1/profiles/{reference}", tag = "profiles",
    params(
        ("reference" = String, Path, description = "`email:ada@example.com`, `account_id:acme`, or an id"),
        ("include" = Option<String>, Query, description = "Any of `provenance,alternatives,contacts,events,merges,groups`"),
        ("purpose" = Option<String>, Query, description = "Show only what this purpose permits"),
    ),
    responses(
        (status = 200, description = "The profile.", body = ProfileAnswer),
        (status = 400, description = "No such reference, part or purpose.", body = ErrorAnswer),
        (status = 403, description = "The named purpose does not permit it, or the account was not granted it.", body = ErrorAnswer),
        (status = 404, description = "Nobody has that identifier.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    reference: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<ProfileAnswer>, ApiError> {
    let rules = app.parts.rules.load_full();
    let id = parse_reference(&rules, &app.parts.key, &path(reference)?)?;
    let mut params = Params::of(&uri)?;
    let include = params.take("include").unwrap_or_default();
    let view = parse_include(&include)?;
    let wants = |wanted: &str| include.split(',').any(|part| part == wanted);
    let (wants_contacts, wants_groups) = (wants("contacts"), wants("groups"));
    let purpose = params.take("purpose").map(|name| granted_purpose(&rules, &viewer, &name)).transpose()?;
    params.finish("include, purpose")?;
    blocking(move || {
        let look = Look { viewer: &viewer, route: "GET /api/v1/profiles/{reference}", subject: Some(id) };
        let asked = Asked { id, view, contacts: wants_contacts, groups: wants_groups, purpose };
        answer(&app, &rules, look, asked).map(Json)
    })
    .await
}

/// What is asked of a profile.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) id: FragmentId,
    pub(crate) view: View,
    pub(crate) contacts: bool,
    pub(crate) groups: bool,
    pub(crate) purpose: Option<PurposeName>,
}

/// The profile of a fragment as `look` sees it, or why it is denied. Recorded before it is returned.
pub(crate) fn answer<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    look: Look<'_>,
    asked: Asked,
) -> Result<ProfileAnswer, ApiError> {
    let Asked { id, view, contacts, groups, purpose } = asked;
    let query = Query { rules, purpose: purpose.as_ref(), view, now: app.parts.clock.now() };
    let labels = app.labels(rules);
    let reader =
        Reader { labels: &labels, hidden: look.viewer.hidden(), purposes: look.viewer.purposes.as_ref() };
    let store = app.parts.store.as_ref();
    let mut reading = query.seen_by(reader);
    if groups {
        reading = reading.with_groups(&app.parts.key);
    }
    match reading.by_id(store, id) {
        Ok(profile) => {
            let mut shown = profile.get().shown.clone();
            let events = match view.events {
                true => Some(events(app, rules, look.viewer, profile.get(), &mut shown)?),
                false => None,
            };
            let contacts = contacts.then(|| contact_points(profile.get(), rules, &app.parts.key));
            let groups = groups_now(app, rules, profile.get())?;
            let mut answer = ProfileAnswer::permitted(profile);
            answer.contacts = contacts;
            answer.groups = groups;
            answer.events = events;
            app.record(look, [(id_of(&answer.id)?, shown)])?;
            Ok(answer)
        }
        Err(QueryError::Denied { denial, id, consents }) => match purpose {
            Some(purpose) => Err(ApiError::Denied { purpose, denial }),
            None => {
                let fields = consents.keys().map(|purpose| format!("consents.{purpose}")).collect();
                app.record(look, [(id_of(&id)?, Shown { fields, ..Shown::default() })])?;
                Ok(ProfileAnswer::denied(id, consents, denial))
            }
        },
        Err(QueryError::NotFound) => Err(not_found()),
        Err(QueryError::Failed(error)) => Err(error.into()),
    }
}

/// The groups that were asked for, without those whose value too many share.
fn groups_now<L: Log, S: Store>(
    app: &App<L, S>,
    rules: &Rules,
    profile: &Profile,
) -> Result<Option<Vec<GroupView>>, ApiError> {
    let Some(known) = &profile.groups else { return Ok(None) };
    let mut groups = Vec::new();
    for group in known {
        let (Some(group_type), Ok(id)) = (rules.groups.get(&group.group_type), group.id.parse()) else {
            continue;
        };
        let members = group_members(app.parts.store.as_ref(), group_type, id)?;
        if !members.is_some_and(|members| members.is_shared) {
            groups.push(group.clone());
        }
    }
    Ok(Some(groups))
}

pub(super) fn id_of(text: &str) -> Result<FragmentId, ApiError> {
    text.parse().map_err(|()| ApiError::Internal)
}

pub(crate) const fn not_found() -> ApiError {
    ApiError::NotFound {
        what: "no profile has that identifier",
        hint: "check namespace and value; an event counts once a purpose covers it",
    }
}

/// One page of profiles.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfileList {
    /// The profiles that some purpose permits to show, in the order of their ids.
    profiles: Vec<ProfileAnswer>,
    /// Pass as `after` for the next page; null at the end.
    next: Option<String>,
}

/// Profiles, page by page.
///
/// A page may hold a few more than `limit`, never fewer unless it is the last. A filter that few profiles meet
/// makes the server walk through many. Every profile of the page is recorded in the evidence ledger before it leaves.
#[utoipa::path(
    get, path = "/api/v1/profiles", tag = "profiles",
    params(
        ("limit" = Option<usize>, Query, description = "1 to 500, 50 unless set"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("namespace" = Option<String>, Query, description = "Only profiles with an identifier of it; `account_id` lists accounts, which are left out otherwise"),
        ("trait.NAME" = Option<String>, Query, description = "Only profiles whose trait NAME has this value; repeatable"),
    ),
    responses(
        (status = 200, description = "A page.", body = ProfileList),
        (status = 400, description = "No such filter.", body = ErrorAnswer),
        (status = 403, description = "The account does not see the trait that is filtered by.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    uri: Uri,
) -> Result<Json<ProfileList>, ApiError> {
    let mut params = Params::of(&uri)?;
    let limit = params.limit(LIST_DEFAULT, LIST_MAX)?;
    let after = params.take("after");
    if after.as_ref().is_some_and(|after| after.parse::<FragmentId>().is_err()) {
        return Err(ApiError::bad("`after` is not a cursor", "pass `next` of the page before"));
    }
    let filter = Filter { namespace: params.take("namespace"), traits: params.take_prefixed("trait.") };
    params.finish("limit, after, namespace, trait.NAME")?;
    let rules = app.parts.rules.load_full();
    let labels = app.labels(&rules);
    let mask = Mask::new(Arc::clone(&labels), viewer.hidden());
    if let Some((name, _)) = filter.traits.iter().find(|(name, _)| mask.hides(&format!("traits.{name}"))) {
        let field = format!("traits.{}", name.chars().take(80).collect::<String>());
        return Err(ApiError::Hidden { role: viewer.role, field });
    }
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let page = blocking(move || {
        let query =
            Query { rules: &rules, purpose: None, view: View::default(), now: shared.parts.clock.now() };
        let reader = Reader { labels: &labels, hidden: viewer.hidden(), purposes: viewer.purposes.as_ref() };
        let page =
            query.seen_by(reader).list(shared.parts.store.as_ref(), after.as_deref(), limit, |profile| {
                filter.holds_for(profile)
            })?;
        let shown = page.profiles.iter().map(|profile| {
            let profile = profile.get();
            Ok((id_of(&profile.id)?, profile.shown.clone()))
        });
        let shown = shown.collect::<Result<Vec<_>, ApiError>>()?;
        shared.record(Look { viewer: &viewer, route: "GET /api/v1/profiles", subject: None }, shown)?;
        let profiles = page.profiles.into_iter().map(ProfileAnswer::permitted).collect();
        Ok(Json(ProfileList { profiles, next: page.next }))
    })
    .await;
    drop(permit);
    page
}

struct Filter {
    namespace: Option<String>,
    traits: Vec<(String, String)>,
}

impl Filter {
    fn holds_for(&self, profile: &Profile) -> bool {
        let has = |wanted: &str| profile.identifiers.iter().any(|identifier| identifier.namespace == wanted);
        let has_namespace = match self.namespace.as_deref() {
            // Accounts are listed when they are asked for: everybody else asks for people.
            None => !has(NamespaceRules::ACCOUNT),
            Some(wanted) => has(wanted),
        };
        has_namespace
            && self
                .traits
                .iter()
                .all(|(name, wanted)| profile.traits.get(name).is_some_and(|raw| is(raw, wanted)))
    }
}

/// Whether a trait is `wanted`: a string by what it says, anything else by how it is written.
fn is(raw: &RawValue, wanted: &str) -> bool {
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => text == wanted,
        Err(_) => raw.get() == wanted,
    }
}

pub(crate) fn path(path: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(text) =
        path.map_err(|_| ApiError::bad("the path is not percent-encoded UTF-8", "encode each byte as %XX"))?;
    Ok(text)
}

/// The fragment that a reference leads to.
pub(crate) fn parse_reference(rules: &Rules, key: &HashKey, text: &str) -> Result<FragmentId, ApiError> {
    if let Ok(id) = text.parse::<FragmentId>() {
        return Ok(id);
    }
    match rules.namespaces.parse_reference(text) {
        Ok(identifier) => Ok(FragmentId::of(key, &identifier)),
        // Its message quotes what stands before the colon, which may be anything.
        Err(IdentifierError::Namespace { .. }) => Err(ApiError::bad(
            "what stands before the colon is not a namespace",
            "use 1 to 64 of a-z, 0-9 and _, for example `email:ada@example.com`",
        )),
        Err(error) => {
            Err(ApiError::bad(error.to_string(), "write `namespace:value`, percent-encoded, or an id"))
        }
    }
}

fn parse_include(text: &str) -> Result<View, ApiError> {
    let mut view = View::default();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        match part {
            "provenance" => view.provenance = true,
            "events" => view.events = true,
            "merges" => view.merges = true,
            "alternatives" => view.alternatives = true,
            // Asked for apart from the view.
            "contacts" | "groups" => {}
            other => {
                let other: String = other.chars().take(80).collect();
                let what = format!("`{other}` is no part of a profile that can be included");
                return Err(ApiError::bad(
                    what,
                    "known: provenance, alternatives, contacts, events, merges, groups",
                ));
            }
        }
    }
    Ok(view)
}

/// A purpose that is declared and that the account was granted.
pub(super) fn granted_purpose(rules: &Rules, viewer: &Viewer, text: &str) -> Result<PurposeName, ApiError> {
    let purpose = parse_purpose(rules, text)?;
    if viewer.may_use(&purpose) { Ok(purpose) } else { Err(ApiError::NotGranted { purpose }) }
}

pub(super) fn parse_purpose(rules: &Rules, text: &str) -> Result<PurposeName, ApiError> {
    let declared = PurposeName::parse(text).ok().filter(|name| rules.purposes.get(name).is_some());
    declared.ok_or_else(|| {
        let text: String = text.chars().take(80).collect();
        let known: Vec<&str> = rules.purposes.iter().map(|known| known.document.name.as_str()).collect();
        ApiError::bad(format!("purpose `{text}` is not declared"), format!("declared: {}", known.join(", ")))
    })
}
