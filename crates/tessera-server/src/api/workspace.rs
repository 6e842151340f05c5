//! The workspace: what there is, what a change would do, and the change.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::{Extension, Json};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_connect::connector;
use tessera_model::{DestinationDocument, Document, Problem, Rules, Workspace};
use tessera_pipeline::{Courier, Progress, sealed_apply};
use tessera_store::{Log, Position, Store};
use utoipa::ToSchema;

use super::audiences::forbidden_fields;
use super::{Params, describe, read_json};
use crate::access::Viewer;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::{App, SETTLE_MAX, blocking, to_the_end};

/// The workspace in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkspaceAnswer {
    /// How often a workspace was applied.
    version: u64,
    /// The documents as people write them; secrets only for those who may change them.
    #[schema(value_type = Vec<Object>)]
    documents: Vec<Document>,
}

/// Documents to apply or to compare.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkspaceOrder {
    /// Each with `kind` and `name`.
    #[schema(value_type = Vec<Object>)]
    documents: Vec<Value>,
}

/// What a change does, as `Kind/name`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct WorkspaceDiff {
    /// Documents that are new.
    added: Vec<String>,
    /// Documents that differ.
    changed: Vec<String>,
    /// Documents that go: with `prune=true` only.
    removed: Vec<String>,
    /// How many stay as they are.
    unchanged: usize,
}

/// The workspace as documents.
#[utoipa::path(
    get, path = "/api/v1/workspace", tag = "workspace",
    responses((status = 200, description = "The workspace.", body = WorkspaceAnswer)),
    security(("admin_token" = []))
)]
pub(crate) async fn show<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    Extension(viewer): Extension<Viewer>,
    uri: Uri,
) -> Result<Json<WorkspaceAnswer>, ApiError> {
    Params::of(&uri)?.finish("none")?;
    let rules = app.parts.rules.load();
    let documents = rules.workspace.documents().map(|document| viewer.shown(document)).collect();
    Ok(Json(WorkspaceAnswer { version: rules.version, documents }))
}

/// What `PUT` would do. Changes nothing.
#[utoipa::path(
    post, path = "/api/v1/workspace/diff", tag = "workspace",
    params(("prune" = Option<bool>, Query, description = "As for `PUT`")),
    request_body = WorkspaceOrder,
    responses(
        (status = 200, description = "What would change.", body = WorkspaceDiff),
        (status = 422, description = "Not a workspace.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn diff<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
    request: Request,
) -> Result<Json<WorkspaceDiff>, ApiError> {
    let prune = parse_prune(&uri)?;
    let order: WorkspaceOrder = read_json(&app, request).await?;
    let rules = app.parts.rules.load();
    let workspace = plan(&rules, order.documents, prune)?;
    Ok(Json(compare(&rules.workspace, &workspace)))
}

/// Applies documents over those that there are, or in their place with `prune=true`.
///
/// All of them or, if one has a problem, none. Answers when the pipeline works by them.
#[utoipa::path(
    put, path = "/api/v1/workspace", tag = "workspace",
    params(("prune" = Option<bool>, Query, description = "Remove documents that are not named")),
    request_body = WorkspaceOrder,
    responses(
        (status = 200, description = "What changed.", body = WorkspaceDiff),
        (status = 422, description = "Not a workspace; nothing was changed.", body = ErrorAnswer),
        (status = 503, description = "In the log, but not done yet.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn apply<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    uri: Uri,
    request: Request,
) -> Result<Json<WorkspaceDiff>, ApiError> {
    let prune = parse_prune(&uri)?;
    let order: WorkspaceOrder = read_json(&app, request).await?;
    to_the_end(change(app, order.documents, prune)).await.map(Json)
}

async fn change<L: Log, S: Store>(
    app: App<L, S>,
    documents: Vec<Value>,
    prune: bool,
) -> Result<WorkspaceDiff, ApiError> {
    let turn = Arc::clone(&app.workspace).lock_owned().await;
    let rules = app.parts.rules.load_full();
    let workspace = plan(&rules, documents, prune)?;
    let diff = compare(&rules.workspace, &workspace);
    if diff.added.is_empty() && diff.changed.is_empty() && diff.removed.is_empty() {
        return Ok(diff);
    }
    let documents: Vec<Document> = workspace.documents().cloned().collect();
    // Sealed: they hold write keys and secrets.
    let position = app.order(sealed_apply(&app.parts.key, &documents)?).await?;
    let settled = app.settle(position).await;
    let (progress, courier) = (Arc::clone(&app.parts.progress), Arc::clone(&app.parts.courier));
    // Holds no way into the log: the server can stop meanwhile.
    let follow = async move {
        let followed = follow(progress, courier, position).await;
        drop(turn);
        followed
    };
    match settled {
        Ok(()) => follow.await.map(|()| diff),
        Err(error) => {
            // The answer is that it is not done yet; the couriers follow when it is.
            drop(tokio::spawn(follow));
            Err(error)
        }
    }
}

/// Lets the couriers follow the workspace once the pipeline works by it.
async fn follow<S: Store>(
    progress: Arc<Progress>,
    courier: Arc<Mutex<Courier<S>>>,
    position: Position,
) -> Result<(), ApiError> {
    let mut is_applied = false;
    while !is_applied {
        let progress = Arc::clone(&progress);
        is_applied = blocking(move || Ok(progress.wait_past(position, SETTLE_MAX))).await?;
    }
    blocking(move || {
        courier.lock().follow();
        Ok(())
    })
    .await
}

pub(crate) fn parse_prune(uri: &Uri) -> Result<bool, ApiError> {
    let mut params = Params::of(uri)?;
    let prune = match params.take("prune").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(ApiError::bad("`prune` is neither true nor false", "use true or false")),
    };
    params.finish("prune")?;
    Ok(prune)
}

/// The workspace that `documents` make, checked for all that can be wrong with it.
fn plan(rules: &Rules, documents: Vec<Value>, prune: bool) -> Result<Workspace, ApiError> {
    check(rules, draft(rules, documents, prune)?)
}

/// The workspace that `documents` make, whether or not it may take the place of the one in force.
pub(crate) fn draft(rules: &Rules, documents: Vec<Value>, prune: bool) -> Result<Workspace, ApiError> {
    let documents = parse(documents)?;
    let is_named = |known: &Document| {
        documents.iter().any(|named| (named.kind(), named.name()) == (known.kind(), known.name()))
    };
    let kept: Vec<Document> =
        rules.workspace.documents().filter(|known| !prune && !is_named(known)).cloned().collect();
    Workspace::new(kept.into_iter().chain(documents)).map_err(ApiError::Workspace)
}

/// Whether a draft may take the place of the workspace in force.
pub(crate) fn check(rules: &Rules, workspace: Workspace) -> Result<Workspace, ApiError> {
    workspace.check_change_from(&rules.workspace).map_err(ApiError::Workspace)?;
    let rules = rules.next(workspace, tessera_model::Timestamp::MAX).map_err(ApiError::Workspace)?;
    let mut problems: Vec<Problem> = rules.destinations().filter_map(connector_problem).collect();
    problems.extend(tessera_policy::forbidden_mappings(&rules));
    problems.extend(rules.matchers().filter_map(tessera_pipeline::model_problem));
    problems.extend(match tessera_audience::definitions(&rules.workspace) {
        Ok(definitions) => forbidden_fields(&rules, &definitions),
        Err(problems) => problems,
    });
    if problems.is_empty() { Ok(rules.workspace) } else { Err(ApiError::Workspace(problems)) }
}

fn parse(values: Vec<Value>) -> Result<Vec<Document>, ApiError> {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for value in values {
        let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or("?").to_owned();
        let (kind, name) = (text("kind"), text("name"));
        match serde_json::from_value::<Document>(value) {
            Ok(document) => documents.push(document),
            Err(error) => problems.push(Problem {
                kind,
                name,
                field: "document".to_owned(),
                what: describe(&error),
                hint: "compare it with the reference of workspace documents".to_owned(),
            }),
        }
    }
    if problems.is_empty() { Ok(documents) } else { Err(ApiError::Workspace(problems)) }
}

fn connector_problem(document: &DestinationDocument) -> Option<Problem> {
    let problem = |field: String, what: String, hint: String| Problem {
        kind: "Destination".to_owned(),
        name: document.name.to_string(),
        field,
        what,
        hint,
    };
    let Some(connector) = connector(&document.connector) else {
        let known: Vec<&str> = tessera_connect::CONNECTORS.iter().map(|connector| connector.name).collect();
        let what = format!("no connector is called `{}`", document.connector);
        return Some(problem("type".to_owned(), what, format!("use one of: {}", known.join(", "))));
    };
    let error = (connector.check)(&document.config).err()?;
    Some(problem(error.field, error.what, error.hint))
}

pub(crate) fn compare(old: &Workspace, new: &Workspace) -> WorkspaceDiff {
    let by_name = |workspace: &Workspace| -> BTreeMap<String, Document> {
        workspace
            .documents()
            .map(|document| (format!("{}/{}", document.kind(), document.name()), document.clone()))
            .collect()
    };
    let (old, new) = (by_name(old), by_name(new));
    let mut diff = WorkspaceDiff::default();
    for (name, document) in &new {
        match old.get(name) {
            None => diff.added.push(name.clone()),
            Some(known) if known == document => diff.unchanged += 1,
            Some(_) => diff.changed.push(name.clone()),
        }
    }
    diff.removed = old.into_keys().filter(|name| !new.contains_key(name)).collect();
    diff
}
