//! Members as rows, to be written to a file: the identifiers and traits that were asked for, and no others.

use std::collections::BTreeSet;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_evidence::{Entry, Export};
use tessera_profile::{Profile, Shown};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::members::{Member, cursor, reading};
use crate::access::Viewer;
use crate::api::disclosure::Look;
use crate::api::profiles::path;
use crate::api::read_json;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::App;

const ROUTE: &str = "POST /api/v1/audiences/{name}/export";
const PAGE: usize = 1_000;
const COLUMNS_MAX: usize = 200;

/// Which columns.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportOrder {
    /// Namespaces of identifiers, a column each: `email`.
    #[serde(default)]
    identifiers: Vec<String>,
    /// Names of traits, a column each.
    #[serde(default)]
    traits: Vec<String>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A page of an export.
#[derive(Serialize, ToSchema)]
pub(crate) struct ExportPage {
    /// What stands in each place of a row: `profile_id`, `since`, then the identifiers and the traits that were asked for.
    columns: Vec<String>,
    /// A row for each member. What may not be shown, or is not there, is null.
    #[schema(value_type = Vec<Vec<Object>>)]
    rows: Vec<Vec<Value>>,
    /// How many members there are, as far as they were announced.
    members: u64,
    /// Pass as `after` for the next page; null at the end.
    next: Option<String>,
}

impl ExportOrder {
    fn columns(&self) -> Vec<String> {
        let fixed = ["profile_id", "since"].map(str::to_owned);
        fixed.into_iter().chain(self.identifiers.iter().cloned()).chain(self.traits.iter().cloned()).collect()
    }

    fn row(&self, member: &Member) -> Vec<Value> {
        let profile = member.profile.get();
        let identifiers = self.identifiers.iter().map(|namespace| values_of(profile, namespace));
        let traits = self.traits.iter().map(|name| {
            let raw = profile.traits.get(name);
            raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
        });
        let fixed = [Value::from(profile.id.as_str()), Value::from(member.since.to_string())];
        fixed.into_iter().chain(identifiers).chain(traits).collect()
    }

    /// What is shown of a member.
    fn shown(&self, member: &Member) -> Shown {
        let all = &member.profile.get().shown;
        let is_asked = |field: &&String| {
            let of = |root: &str, names: &[String]| {
                let rest = field.strip_prefix(root);
                rest.is_some_and(|rest| names.iter().any(|name| name == rest))
            };
            of("identifiers.", &self.identifiers) || of("traits.", &self.traits)
        };
        Shown {
            fields: all.fields.iter().filter(is_asked).cloned().collect(),
            purposes: all.purposes.clone(),
        }
    }
}

/// The values of a namespace: one as it is, several as a list.
fn values_of(profile: &Profile, namespace: &str) -> Value {
    let own = profile.identifiers.iter().filter(|one| one.namespace == namespace && !one.value.is_empty());
    let mut values: Vec<Value> = own.map(|one| one.value.as_str().into()).collect();
    match values.len() {
        0 => Value::Null,
        1 => values.remove(0),
        _ => Value::Array(values),
    }
}

/// Members as rows, page by page.
///
/// Of each member whom the audience's purpose permits to show, as far as it does. Each page is recorded in the evidence ledger as
/// an export, and for each member which fields were in it, before it leaves.
#[utoipa::path(
    post, path = "/api/v1/audiences/{name}/export", tag = "audiences",
    params(("name" = String, Path, description = "The audience")),
    request_body = ExportOrder,
    responses(
        (status = 200, description = "A page of rows.", body = ExportPage),
        (status = 403, description = "The account was not granted the purpose.", body = ErrorAnswer),
        (status = 404, description = "No such audience.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn export<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<ExportPage>, ApiError> {
    let name = path(name)?;
    let mut order: ExportOrder = read_json(&app, request).await?;
    let after = cursor(order.after.take())?;
    let columns = order.columns();
    let names: BTreeSet<&String> = columns.iter().collect();
    if columns.len() > COLUMNS_MAX || names.len() < columns.len() {
        let what = "a column is asked for twice, or there are more than 200";
        return Err(ApiError::bad(what, "name each identifier and trait once"));
    }
    reading((app, viewer), name, move |reading, audience| {
        let (members, next) = reading.page(after, PAGE)?;
        let shown: Vec<_> = members.iter().map(|one| (one.id, order.shown(one))).collect();
        let fields: BTreeSet<&String> = shown.iter().flat_map(|(_, shown)| &shown.fields).collect();
        let (app, viewer) = (reading.app, reading.viewer);
        app.record_entries(&[Entry::Export(Export {
            actor: viewer.actor.as_str().into(),
            what: format!("audience {}", audience.name).into(),
            purposes: vec![reading.purpose.clone()],
            fields: fields.into_iter().map(|field| field.as_str().into()).collect(),
            count: u64::try_from(members.len()).unwrap_or(u64::MAX),
        })])?;
        app.record(Look { viewer, route: ROUTE, subject: None }, shown)?;
        let size = tessera_pipeline::audience_size(app.parts.store.as_ref(), reading.audience)?;
        let rows = members.iter().map(|one| order.row(one)).collect();
        Ok(Json(ExportPage { columns, rows, members: size, next }))
    })
    .await
}
