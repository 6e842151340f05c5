//! Who is a member, as the stream announced it: each profile as far as the audience's purpose permits the reader to see it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use serde::Serialize;
use tessera_audience::Audience;
use tessera_model::{AudienceId, FragmentId, PurposeName, Rules, Timestamp};
use tessera_pipeline::{Query, QueryError, memberships_of};
use tessera_policy::Permitted;
use tessera_profile::{Profile, Reader, Shown, View};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::asked::{in_force, named};
use crate::access::Viewer;
use crate::api::Params;
use crate::api::disclosure::Look;
use crate::api::profile_answer::ProfileAnswer;
use crate::api::profiles::{granted_purpose, id_of, path};
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

const ROUTE: &str = "GET /api/v1/audiences/{name}/members";
/// So many people are looked through at once.
const STEP: usize = 1_000;

/// One page of members.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemberList {
    /// The members that the purpose permits to show, in the order of their ids.
    members: Vec<MemberAnswer>,
    /// Pass as `after` for the next page; null at the end.
    next: Option<String>,
}

/// A member.
#[derive(Serialize, ToSchema)]
pub(crate) struct MemberAnswer {
    /// Since when.
    since: String,
    /// The profile.
    profile: ProfileAnswer,
}

/// Whose members are read, and by whom.
pub(super) struct Reading<'a, L, S> {
    pub(super) app: &'a App<L, S>,
    pub(super) rules: &'a Rules,
    pub(super) viewer: &'a Viewer,
    pub(super) audience: AudienceId,
    pub(super) purpose: &'a PurposeName,
}

/// A member that may be shown, and since when.
pub(super) struct Member {
    pub(super) id: FragmentId,
    pub(super) since: Timestamp,
    pub(super) profile: Permitted<Profile>,
}

/// Reads the members of an audience, if the account was granted its purpose. Few at a time do.
pub(super) async fn reading<L: Log, S: Store, T: Send + 'static>(
    (app, viewer): (App<L, S>, Viewer),
    name: String,
    work: impl FnOnce(&Reading<'_, L, S>, &Audience) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let shared = Arc::clone(&app);
    let permit = shared.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let done = blocking(move || {
        let rules = app.parts.rules.load_full();
        let definitions = in_force(&rules)?;
        let audience = named(&definitions, &name)?;
        let purpose = granted_purpose(&rules, &viewer, audience.purpose.as_str())?;
        let id = AudienceId::of(&audience.name, &audience.purpose);
        let (app, rules, viewer, purpose) = (&app, &rules, &viewer, &purpose);
        work(&Reading { app, rules, viewer, audience: id, purpose }, audience)
    })
    .await;
    drop(permit);
    done
}

impl<L: Log, S: Store> Reading<'_, L, S> {
    /// The ids of those of these people whom the purpose permits the account to see, up to so many. On record as shown.
    pub(super) fn named(
        &self,
        route: &'static str,
        people: impl IntoIterator<Item = FragmentId>,
        limit: usize,
    ) -> Result<Vec<String>, ApiError> {
        let labels = self.app.labels(self.rules);
        let (purpose, now) = (Some(self.purpose), self.app.parts.clock.now());
        let query = Query { rules: self.rules, purpose, view: View::default(), now };
        let (hidden, purposes) = (self.viewer.hidden(), self.viewer.purposes.as_ref());
        let reading = query.seen_by(Reader { labels: &labels, hidden, purposes });
        let (mut names, mut shown) = (Vec::new(), Vec::new());
        for id in people {
            if names.len() >= limit {
                break;
            }
            match reading.by_id(self.app.parts.store.as_ref(), id) {
                Ok(profile) => {
                    let name = &profile.get().id;
                    let fields = BTreeSet::from(["profile_id".to_owned()]);
                    let purposes = BTreeSet::from([self.purpose.clone()]);
                    shown.push((id_of(name)?, Shown { fields, purposes }));
                    names.push(name.clone());
                }
                Err(QueryError::NotFound | QueryError::Denied { .. }) => {}
                Err(QueryError::Failed(error)) => return Err(error.into()),
            }
        }
        self.app.record(Look { viewer: self.viewer, route, subject: None }, shown)?;
        Ok(names)
    }

    /// About `limit` members after a cursor, and the cursor after them.
    pub(super) fn page(
        &self,
        mut after: Option<String>,
        limit: usize,
    ) -> Result<(Vec<Member>, Option<String>), ApiError> {
        let labels = self.app.labels(self.rules);
        let (purpose, now) = (Some(self.purpose), self.app.parts.clock.now());
        let query = Query { rules: self.rules, purpose, view: View::default(), now };
        let (hidden, purposes) = (self.viewer.hidden(), self.viewer.purposes.as_ref());
        let reading = query.seen_by(Reader { labels: &labels, hidden, purposes });
        let store = self.app.parts.store.as_ref();
        let mut members = Vec::new();
        loop {
            // A page ends with a cluster, so the cursor of what was looked through is that of the members.
            let step = STEP.min(limit.saturating_sub(members.len()).max(1));
            let page = reading.list(store, after.as_deref(), step, |_| true)?;
            for profile in page.profiles {
                let id = id_of(&profile.get().id)?;
                if let Some(since) = memberships_of(store, id)?.get(&self.audience) {
                    members.push(Member { id, since: *since, profile });
                }
            }
            if page.next.is_none() || members.len() >= limit {
                return Ok((members, page.next));
            }
            after = page.next;
        }
    }
}

/// Who is a member.
///
/// As the stream announced it, of those whom the audience's purpose permits to show now. Every profile of the page is recorded in
/// the evidence ledger before it leaves.
#[utoipa::path(
    get, path = "/api/v1/audiences/{name}/members", tag = "audiences",
    params(
        ("name" = String, Path, description = "The audience"),
        ("limit" = Option<usize>, Query, description = "1 to 500, 50 unless set"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page.", body = MemberList),
        (status = 403, description = "The account was not granted the purpose.", body = ErrorAnswer),
        (status = 404, description = "No such audience.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn members<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    name: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<MemberList>, ApiError> {
    let name = path(name)?;
    let mut params = Params::of(&uri)?;
    let limit = params.limit(50, 500)?;
    let after = cursor(params.take("after"))?;
    params.finish("limit, after")?;
    reading((app, viewer), name, move |reading, _| {
        let (members, next) = reading.page(after, limit)?;
        let shown = members.iter().map(|one| (one.id, one.profile.get().shown.clone()));
        reading.app.record(Look { viewer: reading.viewer, route: ROUTE, subject: None }, shown)?;
        let member = |one: Member| MemberAnswer {
            since: one.since.to_string(),
            profile: ProfileAnswer::permitted(one.profile),
        };
        Ok(Json(MemberList { members: members.into_iter().map(member).collect(), next }))
    })
    .await
}

/// A cursor of a page of profiles.
pub(super) fn cursor(after: Option<String>) -> Result<Option<String>, ApiError> {
    match &after {
        Some(text) if text.parse::<FragmentId>().is_err() => {
            Err(ApiError::bad("`after` is not a cursor", "pass `next` of the page before"))
        }
        _ => Ok(after),
    }
}
