//! Every route, in one place.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use tessera_store::{Log, Store};

use crate::api::{
    destinations, live, profiles, reject_replay, rejects, require_admin, split, totals, workspace,
};
use crate::edge::edge;
use crate::ingest::{self, client_settings};
use crate::shared::{App, Parts, Shared};
use crate::system;

/// Everything the server serves.
pub fn router<L: Log, S: Store>(parts: Parts<L, S>) -> Router {
    let app = Shared::new(parts);
    routes(&app)
        .router
        .fallback(system::no_such_path)
        .method_not_allowed_fallback(system::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), edge::<L, S>))
        .with_state(app)
}

/// A router that remembers what was added to it, so that a test can compare it with the OpenAPI document.
struct Table<L, S> {
    router: Router<App<L, S>>,
    listed: Vec<(&'static str, &'static str)>,
}

impl<L: Log, S: Store> Table<L, S> {
    fn new() -> Self {
        Self { router: Router::new(), listed: Vec::new() }
    }

    fn get<T: 'static>(mut self, path: &'static str, handler: impl Handler<T, App<L, S>>) -> Self {
        self.listed.push(("get", path));
        Self { router: self.router.route(path, get(handler)), ..self }
    }

    fn post<T: 'static>(mut self, path: &'static str, handler: impl Handler<T, App<L, S>>) -> Self {
        self.listed.push(("post", path));
        Self { router: self.router.route(path, post(handler)), ..self }
    }

    fn put<T: 'static>(mut self, path: &'static str, handler: impl Handler<T, App<L, S>>) -> Self {
        self.listed.push(("put", path));
        Self { router: self.router.route(path, put(handler)), ..self }
    }

    fn merge(mut self, other: Self) -> Self {
        self.listed.extend(other.listed);
        Self { router: self.router.merge(other.router), ..self }
    }
}

fn routes<L: Log, S: Store>(app: &App<L, S>) -> Table<L, S> {
    let mut admin = admin();
    admin.router = admin.router.route_layer(from_fn_with_state(Arc::clone(app), require_admin::<L, S>));
    open().merge(ingest()).merge(admin)
}

/// Method and path of every route.
#[cfg(test)]
pub(crate) fn listed<L: Log, S: Store>() -> Vec<(&'static str, &'static str)> {
    open::<L, S>().merge(ingest()).merge(admin()).listed
}

fn open<L: Log, S: Store>() -> Table<L, S> {
    Table::new()
        .get("/health", system::health)
        .get("/ready", system::ready::<L, S>)
        .get("/metrics", system::show_metrics::<L, S>)
        .get("/openapi.json", system::show_openapi)
        .get("/v1/projects/{write_key}/settings", client_settings::settings::<L, S>)
        .get("/sourceConfig", client_settings::source_config::<L, S>)
        .get("/sourceConfig/", client_settings::source_config::<L, S>)
        .post("/v1/m", client_settings::client_metrics)
}

fn ingest<L: Log, S: Store>() -> Table<L, S> {
    ingest::PATHS.iter().fold(Table::new(), |table, &(path, entrance)| {
        table.post(path, move |state: State<App<L, S>>, request: Request| {
            ingest::ingest(state, entrance, request)
        })
    })
}

fn admin<L: Log, S: Store>() -> Table<L, S> {
    Table::new()
        .get("/api/v1/profiles", profiles::list::<L, S>)
        .get("/api/v1/profiles/{reference}", profiles::show::<L, S>)
        .post("/api/v1/profiles/{reference}/split", split::split::<L, S>)
        .get("/api/v1/workspace", workspace::show::<L, S>)
        .put("/api/v1/workspace", workspace::apply::<L, S>)
        .post("/api/v1/workspace/diff", workspace::diff::<L, S>)
        .get("/api/v1/rejects", rejects::list::<L, S>)
        .post("/api/v1/rejects", rejects::keep::<L, S>)
        .get("/api/v1/rejects/{id}", rejects::show::<L, S>)
        .post("/api/v1/rejects/{id}/replay", reject_replay::replay::<L, S>)
        .get("/api/v1/destinations", destinations::list::<L, S>)
        .get("/api/v1/destinations/{name}/dead-letters", destinations::dead_letters::<L, S>)
        .post("/api/v1/destinations/{name}/replay", destinations::replay::<L, S>)
        .get("/api/v1/totals", totals::show::<L, S>)
        .get("/api/v1/live", live::live::<L, S>)
}
