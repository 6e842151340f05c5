//! Households and accounts: who belongs together.
//!
//! Invariant: a member is shown, and counted, only by what that member's own purposes permit: the profile itself and every
//! field that says that the person belongs there. No member is shown by the permission of another.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::{Extension, Json};
use serde::Serialize;
use tessera_model::{FragmentId, GroupId, GroupType, PurposeName, Rules};
use tessera_pipeline::{GroupMembers, Query, QueryError, for_each_group, group_members};
use tessera_policy::{Labels, Permitted};
use tessera_profile::{GroupView, Profile, Reader, Shown, View};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::Params;
use super::disclosure::Look;
use super::profile_answer::ProfileAnswer;
use super::profiles::{granted_purpose, id_of};
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, blocking};

/// The groups of a type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupList {
    /// In the order of their ids.
    groups: Vec<GroupAnswer>,
    /// Pass as `after` for the next page; null at the end.
    next: Option<String>,
}

/// One group.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupAnswer {
    /// Its id: 20 hexadecimal digits.
    id: String,
    /// How many of its members may be shown.
    members: usize,
    /// The fields that its members have in common.
    by: Vec<String>,
    /// The account's id or the domain, where one of these makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Group types are few; who asks is told which there are.
fn type_named<'r>(rules: &'r Rules, name: &str) -> Result<&'r GroupType, ApiError> {
    rules.groups.get(name).ok_or(ApiError::NotFound {
        what: "no group type has that name",
        hint: "`tessera export` shows those of the workspace; declare one with `kind: GroupType`",
    })
}

/// Somebody who looks at groups.
struct Asking<'a, L, S> {
    app: &'a App<L, S>,
    rules: &'a Rules,
    labels: &'a Labels,
    viewer: &'a Viewer,
    purpose: Option<&'a PurposeName>,
}

impl<L: Log, S: Store> Asking<'_, L, S> {
    fn profile(&self, id: FragmentId) -> Result<Option<Permitted<Profile>>, ApiError> {
        let query = Query {
            rules: self.rules,
            purpose: self.purpose,
            view: View::default(),
            now: self.app.parts.clock.now(),
        };
        let (hidden, purposes) = (self.viewer.hidden(), self.viewer.purposes.as_ref());
        let reading = query.seen_by(Reader { labels: self.labels, hidden, purposes });
        match reading.with_groups(&self.app.parts.key).by_id(self.app.parts.store.as_ref(), id) {
            Ok(profile) => Ok(Some(profile)),
            Err(QueryError::Denied { .. } | QueryError::NotFound) => Ok(None),
            Err(QueryError::Failed(error)) => Err(error.into()),
        }
    }

    /// The member as may be shown, and why it is one.
    fn member(
        &self,
        id: FragmentId,
        group_type: &GroupType,
        group: GroupId,
    ) -> Result<Option<(Permitted<Profile>, GroupView)>, ApiError> {
        let Some(profile) = self.profile(id)? else { return Ok(None) };
        let (name, group) = (group_type.document.name.as_str(), group.to_string());
        let mut groups = profile.get().groups.iter().flatten();
        let own = groups.find(|own| own.group_type == name && own.id == group).cloned();
        Ok(own.map(|own| (profile, own)))
    }

    /// A group as a line of a list, and of whom what was looked at for it. `None`: nobody of it may be shown.
    #[expect(clippy::type_complexity, reason = "what is shown of whom, as the ledger takes it")]
    fn line(
        &self,
        group_type: &GroupType,
        members: &GroupMembers,
    ) -> Result<Option<(GroupAnswer, Vec<(FragmentId, Shown)>)>, ApiError> {
        let (mut shown, mut first) = (Vec::new(), None);
        for id in &members.profiles {
            let Some((profile, own)) = self.member(*id, group_type, members.group)? else { continue };
            let purposes = profile.get().shown.purposes.clone();
            shown.push((*id, Shown { fields: own.by.iter().cloned().collect(), purposes }));
            first.get_or_insert(own);
        }
        Ok(first.map(|GroupView { id, by, value, .. }| {
            (GroupAnswer { id, members: shown.len(), by, value }, shown)
        }))
    }
}

/// The groups of a type that have at least so many members who may be shown.
///
/// A member counts only if a purpose permits to show the person and every field that says so. A group whose value more people
/// share than the type's `members_max` is none. Every member that was counted is recorded in the evidence ledger.
#[utoipa::path(
    get, path = "/api/v1/groups/{type}", tag = "groups",
    params(
        ("type" = String, Path, description = "The group type: `household`"),
        ("limit" = Option<usize>, Query, description = "1 to 500, 50 unless set"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("min_members" = Option<usize>, Query, description = "Only groups of at least so many; 2 unless set"),
        ("purpose" = Option<String>, Query, description = "Count only whom this purpose permits to show"),
    ),
    responses(
        (status = 200, description = "A page.", body = GroupList),
        (status = 400, description = "A parameter is wrong.", body = ErrorAnswer),
        (status = 403, description = "The account was not granted the purpose.", body = ErrorAnswer),
        (status = 404, description = "No such group type.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn list<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Json<GroupList>, ApiError> {
    let rules = app.parts.rules.load_full();
    let name = super::profiles::path(path)?;
    let mut params = Params::of(&uri)?;
    let limit = params.limit(50, 500)?;
    let bad = |name: &str| ApiError::bad(format!("`{name}` is not one"), "pass `next` of the page before");
    let after = params.take("after").map(|text| text.parse::<GroupId>().map_err(|()| bad("after")));
    let after = after.transpose()?;
    let least = params.take("min_members").map_or(Some(2), |text| text.parse().ok());
    let least: usize = least
        .filter(|least| *least > 0)
        .ok_or_else(|| ApiError::bad("`min_members` is not a number of people", "use a number from 1 on"))?;
    let purpose = params.take("purpose").map(|name| granted_purpose(&rules, &viewer, &name)).transpose()?;
    params.finish("limit, after, min_members, purpose")?;
    let permit = app.lists.acquire().await.map_err(|_| ApiError::Stopping)?;
    let shared = Arc::clone(&app);
    let page = blocking(move || {
        let app = shared;
        let group_type = type_named(&rules, &name)?;
        let labels = app.labels(&rules);
        let (viewer, purpose) = (&viewer, purpose.as_ref());
        let asking = Asking { app: &app, rules: &rules, labels: &labels, viewer, purpose };
        let mut found = GroupList { groups: Vec::new(), next: None };
        let mut shown = Vec::new();
        for_each_group(app.parts.store.as_ref(), group_type, after, |members| {
            if members.profiles.len() < least {
                return Ok(true);
            }
            let line = asking.line(group_type, &members)?;
            if let Some((line, counted)) = line.filter(|(line, _)| line.members >= least) {
                found.groups.push(line);
                shown.extend(counted);
            }
            let is_full = found.groups.len() >= limit;
            found.next = is_full.then(|| members.group.to_string());
            Ok::<_, ApiError>(!is_full)
        })?;
        app.record(Look { viewer, route: "GET /api/v1/groups/{type}", subject: None }, shown)?;
        Ok(Json(found))
    })
    .await;
    drop(permit);
    page
}

/// A group with its members.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupWhole {
    /// The group type.
    #[serde(rename = "type")]
    group_type: String,
    /// Its id: 20 hexadecimal digits.
    id: String,
    /// Whether more people share the value than the type's `members_max`: then it makes no group, and nobody is shown.
    is_shared: bool,
    /// The members that may be shown, in the order of their ids.
    members: Vec<ProfileAnswer>,
    /// The account with its traits, where `group` calls make the group and a purpose permits to show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<ProfileAnswer>,
    /// Pass as `after` for more members; null at the end.
    next: Option<String>,
}

/// The members of one group, each as far as that member's own purposes permit.
///
/// Every profile of the answer is recorded in the evidence ledger before it leaves.
#[utoipa::path(
    get, path = "/api/v1/groups/{type}/{group}", tag = "groups",
    params(
        ("type" = String, Path, description = "The group type: `household`"),
        ("group" = String, Path, description = "Its id; or what its members have in common, where that is one value: an account's id, a domain, a telephone number"),
        ("limit" = Option<usize>, Query, description = "Most members, 1 to 500, 100 unless set"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("purpose" = Option<String>, Query, description = "Show only what this purpose permits"),
    ),
    responses(
        (status = 200, description = "The group.", body = GroupWhole),
        (status = 400, description = "A parameter is wrong.", body = ErrorAnswer),
        (status = 403, description = "The account was not granted the purpose.", body = ErrorAnswer),
        (status = 404, description = "No such group type; or nobody who may be shown belongs to such a group.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Result<Json<GroupWhole>, ApiError> {
    let rules = app.parts.rules.load_full();
    let Path((name, text)) =
        path.map_err(|_| ApiError::bad("the path is not percent-encoded UTF-8", "encode each byte as %XX"))?;
    let mut params = Params::of(&uri)?;
    let limit = params.limit(100, 500)?;
    let after = params.take("after").map(|text| {
        let bad = |()| ApiError::bad("`after` is not a cursor", "pass `next` of the page before");
        text.parse::<FragmentId>().map_err(bad)
    });
    let after = after.transpose()?;
    let purpose = params.take("purpose").map(|name| granted_purpose(&rules, &viewer, &name)).transpose()?;
    params.finish("limit, after, purpose")?;
    blocking(move || {
        let labels = app.labels(&rules);
        let (viewer, purpose) = (&viewer, purpose.as_ref());
        let asking = Asking { app: &app, rules: &rules, labels: &labels, viewer, purpose };
        let group_type = type_named(&rules, &name)?;
        asking.whole(group_type, &text, (after, limit)).map(Json)
    })
    .await
}

impl<L: Log, S: Store> Asking<'_, L, S> {
    fn whole(
        &self,
        group_type: &GroupType,
        text: &str,
        (after, limit): (Option<FragmentId>, usize),
    ) -> Result<GroupWhole, ApiError> {
        let (store, key) = (self.app.parts.store.as_ref(), &self.app.parts.key);
        for group in group_type.groups_called(key, &self.rules.namespaces, text) {
            let Some(members) = group_members(store, group_type, group)? else { continue };
            let mut whole = GroupWhole {
                group_type: group_type.document.name.to_string(),
                id: group.to_string(),
                is_shared: members.is_shared,
                members: Vec::new(),
                account: None,
                next: None,
            };
            let (mut shown, mut account) = (Vec::new(), None);
            for id in members.profiles.iter().filter(|id| after.is_none_or(|after| **id > after)) {
                let Some((profile, own)) = self.member(*id, group_type, group)? else { continue };
                if whole.members.len() == limit {
                    whole.next = whole.members.last().map(|last| last.id.clone());
                    break;
                }
                shown.push((*id, profile.get().shown.clone()));
                whole.members.push(ProfileAnswer::permitted(profile));
                account = own.value.filter(|_| own.by == ["identifiers.account_id"]).or(account);
            }
            if whole.members.is_empty() && !whole.is_shared && after.is_none() {
                continue;
            }
            let account = account.and_then(|id| self.rules.namespaces.account(key, &id).ok());
            if let Some(profile) = account.map(|account| self.profile(account.id)).transpose()?.flatten() {
                shown.push((id_of(&profile.get().id)?, profile.get().shown.clone()));
                whole.account = Some(ProfileAnswer::permitted(profile));
            }
            let look =
                Look { viewer: self.viewer, route: "GET /api/v1/groups/{type}/{group}", subject: None };
            self.app.record(look, shown)?;
            return Ok(whole);
        }
        Err(ApiError::NotFound {
            what: "nobody who may be shown belongs to such a group",
            hint: "`tessera group list TYPE` lists groups; `tessera profile show REFERENCE --include groups` a person's",
        })
    }
}
