//! Every route, in one place.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, delete, get, post, put};
use tessera_store::{Log, Store};

use crate::access::{self, Action, GuardedRoute, Need, guard, sign_in};
use crate::api::{
    alerts, audiences, breach, consents, destinations, drp, erasures, evidence, find, groups, insights, lake,
    live, matchers, merge, opendsr, plans, profiles, quality, query, receipts, records, reject_replay,
    rejects, requests, reviews, shared_identifiers, simulate, split, totals, undo, validate, why, workspace,
};
use crate::edge::edge;
use crate::ingest::{self, client_settings};
use crate::shared::{App, Parts, Shared};
use crate::system;

/// Everything the server serves.
pub fn router<L: Log, S: Store>(parts: Parts<L, S>) -> Router {
    let app = Shared::new(parts);
    requests::work::start(&app);
    routes()
        .router(&app)
        .fallback(system::no_such_path)
        .method_not_allowed_fallback(system::wrong_method)
        .layer(from_fn_with_state(Arc::clone(&app), edge::<L, S>))
        .with_state(app)
}

/// One route. `need` has no default: who adds a route says who may use it.
pub(crate) struct Route<L, S> {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) need: Need,
    handler: MethodRouter<App<L, S>>,
}

/// Every route, so that tests can walk them.
pub(crate) struct Table<L, S>(pub(crate) Vec<Route<L, S>>);

impl<L: Log, S: Store> Table<L, S> {
    fn get<T: 'static>(self, path: &'static str, need: Need, handler: impl Handler<T, App<L, S>>) -> Self {
        self.route("get", path, need, get(handler))
    }

    fn post<T: 'static>(self, path: &'static str, need: Need, handler: impl Handler<T, App<L, S>>) -> Self {
        self.route("post", path, need, post(handler))
    }

    fn put<T: 'static>(self, path: &'static str, need: Need, handler: impl Handler<T, App<L, S>>) -> Self {
        self.route("put", path, need, put(handler))
    }

    fn delete<T: 'static>(self, path: &'static str, need: Need, handler: impl Handler<T, App<L, S>>) -> Self {
        self.route("delete", path, need, delete(handler))
    }

    fn route(
        mut self,
        method: &'static str,
        path: &'static str,
        need: Need,
        handler: MethodRouter<App<L, S>>,
    ) -> Self {
        self.0.push(Route { method, path, need, handler });
        self
    }

    fn router(self, app: &App<L, S>) -> Router<App<L, S>> {
        self.0.into_iter().fold(Router::new(), |router, Route { method, path, need, handler }| {
            let guarded = GuardedRoute { app: Arc::clone(app), need, method, path };
            router.route(
                path,
                match need.is_guarded() {
                    true => handler.route_layer(from_fn_with_state(guarded, guard::<L, S>)),
                    false => handler,
                },
            )
        })
    }
}

pub(crate) fn routes<L: Log, S: Store>() -> Table<L, S> {
    stewardship(admin(ingest(open(Table(Vec::new())))))
}

/// Method and path of every route.
#[cfg(test)]
pub(crate) fn listed<L: Log, S: Store>() -> Vec<(&'static str, &'static str)> {
    routes::<L, S>().0.iter().map(|route| (route.method, route.path)).collect()
}

fn open<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    table
        .get("/health", Need::Nothing, system::health)
        .get("/ready", Need::Nothing, system::ready::<L, S>)
        .get("/metrics", Need::Nothing, system::show_metrics::<L, S>)
        .get("/openapi.json", Need::Nothing, system::show_openapi)
        .get("/v1/projects/{write_key}/settings", Need::WriteKey, client_settings::settings::<L, S>)
        .get("/sourceConfig", Need::WriteKey, client_settings::source_config::<L, S>)
        .get("/sourceConfig/", Need::WriteKey, client_settings::source_config::<L, S>)
        .post("/v1/m", Need::Nothing, client_settings::client_metrics)
}

fn ingest<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    ingest::PATHS.iter().fold(table, |table, &(path, entrance)| {
        table.post(path, Need::WriteKey, move |state: State<App<L, S>>, request: Request| {
            ingest::ingest(state, entrance, request)
        })
    })
}

fn admin<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{
        ChangeProfiles, ChangeWorkspace, ListProfiles, Query, ReadDeadLetters, ReadDestinations, ReadProfile,
        ReadRejects, ReadTotals, ReadWorkspace, ReplayDeadLetters, ReplayRejects, Simulate, WatchLive,
    };
    use Need::Action as May;
    let table = table
        .get("/api/v1/profiles", May(ListProfiles), profiles::list::<L, S>)
        .get("/api/v1/profiles/{reference}", May(ReadProfile), profiles::show::<L, S>)
        .post("/api/v1/profiles/{reference}/split", May(ChangeProfiles), split::split::<L, S>)
        .post("/api/v1/profiles/{reference}/merge", May(ChangeProfiles), merge::merge::<L, S>)
        .get("/api/v1/groups/{type}", May(ListProfiles), groups::list::<L, S>)
        .get("/api/v1/groups/{type}/{group}", May(ListProfiles), groups::show::<L, S>)
        .get("/api/v1/workspace", May(ReadWorkspace), workspace::show::<L, S>)
        .put("/api/v1/workspace", May(ChangeWorkspace), workspace::apply::<L, S>)
        .post("/api/v1/workspace/diff", May(ReadWorkspace), workspace::diff::<L, S>)
        .post("/api/v1/workspace/simulate", May(Simulate), simulate::simulate::<L, S>)
        .get("/api/v1/rejects", May(ReadRejects), rejects::list::<L, S>)
        .post("/api/v1/rejects", May(ReplayRejects), rejects::keep::<L, S>)
        .get("/api/v1/rejects/{id}", May(ReadRejects), rejects::show::<L, S>)
        .post("/api/v1/rejects/{id}/replay", May(ReplayRejects), reject_replay::replay::<L, S>)
        .get("/api/v1/destinations", May(ReadDestinations), destinations::list::<L, S>)
        .get(
            "/api/v1/destinations/{name}/dead-letters",
            May(ReadDeadLetters),
            destinations::dead_letters::<L, S>,
        )
        .post("/api/v1/destinations/{name}/replay", May(ReplayDeadLetters), destinations::replay::<L, S>)
        .get("/api/v1/identity/shared", May(ListProfiles), shared_identifiers::list::<L, S>)
        .get("/api/v1/totals", May(ReadTotals), totals::show::<L, S>)
        .post("/api/v1/query", May(Query), query::query::<L, S>)
        .post("/api/v1/lake/snapshots", May(Action::TakeSnapshots), lake::snapshot::<L, S>)
        .post("/api/v1/insights/{name}", May(Query), insights::insight::<L, S>)
        .post("/api/v1/validate", Need::Account, validate::validate::<L, S>)
        .get("/api/v1/live", May(WatchLive), live::live::<L, S>);
    accounts(rights(quality_routes(evidence_routes(plan_routes(audience_routes(matchers(table)))))))
}

fn audience_routes<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{ListProfiles, Query, ReadProfile, ReadWorkspace, Simulate};
    use Need::Action as May;
    use audiences::{audit, check, explain, export, list, members, overlap, preview, recompute, size};
    table
        .get("/api/v1/audiences", May(ReadWorkspace), list::list::<L, S>)
        .get("/api/v1/audiences/{name}", May(ReadWorkspace), list::show::<L, S>)
        .get("/api/v1/audiences/{name}/members", May(ListProfiles), members::members::<L, S>)
        .get("/api/v1/audiences/{name}/overlap", May(Query), overlap::overlap::<L, S>)
        .post("/api/v1/audiences/{name}/export", May(ListProfiles), export::export::<L, S>)
        .post("/api/v1/audiences/{name}/recompute", May(Query), recompute::recompute::<L, S>)
        .get("/api/v1/audiences/{name}/size", May(ReadWorkspace), size::size::<L, S>)
        .post("/api/v1/definitions/audit", May(Query), audit::audit::<L, S>)
        .post("/api/v1/definitions/check", May(Simulate), check::check::<L, S>)
        .post("/api/v1/definitions/preview", May(Query), preview::preview::<L, S>)
        .get("/api/v1/profiles/{reference}/audiences/{name}", May(ReadProfile), explain::explain::<L, S>)
}

fn plan_routes<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{ChangeWorkspace, ReadTotals, Simulate};
    use Need::Action as May;
    table
        .post("/api/v1/plans/infer", May(ChangeWorkspace), plans::infer::<L, S>)
        .post("/api/v1/plans/check", May(Simulate), plans::check::<L, S>)
        .get("/api/v1/plans/violations", May(ReadTotals), alerts::violations::<L, S>)
        .get("/api/v1/alerts", May(ReadTotals), alerts::list::<L, S>)
        .post("/api/v1/alerts/{id}/acknowledge", May(ChangeWorkspace), alerts::acknowledge::<L, S>)
}

fn matchers<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{FindPerson, ReadWorkspace, RunMatchers};
    use Need::Action as May;
    table
        .get("/api/v1/match", May(ReadWorkspace), matchers::list::<L, S>)
        .post("/api/v1/match/{name}/run", May(RunMatchers), matchers::run::<L, S>)
        .delete("/api/v1/match/{name}/run", May(RunMatchers), matchers::cancel::<L, S>)
        .get("/api/v1/match/{name}/explain", May(RunMatchers), matchers::explain::<L, S>)
        .post("/api/v1/match/{name}/find", May(FindPerson), find::find::<L, S>)
}

fn rights<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{ReadProfile, WorkRequests, WriteConsents};
    use Need::Action as May;
    use requests::{fulfil, report, steps};
    let work = May(WorkRequests);
    let table = table
        .get("/api/v1/profiles/{reference}/consents", May(ReadProfile), consents::show::<L, S>)
        .post("/api/v1/profiles/{reference}/consents", May(WriteConsents), consents::put::<L, S>)
        .get("/api/v1/profiles/{reference}/receipts", May(ReadProfile), receipts::show::<L, S>)
        .get("/api/v1/requests", work, requests::list::<L, S>)
        .post("/api/v1/requests", work, requests::open::<L, S>)
        .get("/api/v1/requests/{id}", work, requests::show::<L, S>)
        .post("/api/v1/requests/{id}/verify-identity", work, steps::verify_identity::<L, S>)
        .post("/api/v1/requests/{id}/acknowledge", work, steps::acknowledge::<L, S>)
        .post("/api/v1/requests/{id}/fulfil", work, fulfil::fulfil::<L, S>)
        .post("/api/v1/requests/{id}/deny", work, steps::deny::<L, S>)
        .post("/api/v1/requests/{id}/extend", work, steps::extend::<L, S>)
        .post("/api/v1/requests/{id}/cancel", work, steps::cancel::<L, S>)
        .post("/api/v1/requests/{id}/expire", work, steps::expire::<L, S>)
        .post("/api/v1/requests/{id}/tell", work, steps::tell::<L, S>)
        .get("/api/v1/requests/{id}/report", work, report::report::<L, S>)
        .get("/api/v1/erasures", work, erasures::list::<L, S>)
        .post("/api/v1/erasures/lift", work, erasures::lift::<L, S>)
        .post("/api/v1/erasures/verify", work, erasures::verify::<L, S>)
        .get("/api/v1/housekeeping", work, erasures::housekeeping::<L, S>)
        .post("/api/v1/sweeps", work, erasures::sweep::<L, S>)
        .get("/api/v1/sweeps/{sweep}", work, erasures::show_sweep::<L, S>);
    protocols(table)
}

/// By which others pass requests on.
fn protocols<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    let work = Need::Action(Action::WorkRequests);
    table
        .get("/opendsr/v1/discovery", work, opendsr::discovery::<L, S>)
        .post("/opendsr/v1/requests", work, opendsr::open::<L, S>)
        .get("/opendsr/v1/requests/{id}", work, opendsr::show::<L, S>)
        .delete("/opendsr/v1/requests/{id}", work, opendsr::cancel::<L, S>)
        .post("/drp/v1/data-rights-request", work, drp::open::<L, S>)
        .get("/drp/v1/data-rights-request/{id}", work, drp::show::<L, S>)
        .delete("/drp/v1/data-rights-request/{id}", work, drp::revoke::<L, S>)
}

/// What stewards do.
fn stewardship<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{ChangeProfiles, ReviewMatches};
    use Need::Action as May;
    table
        .get("/api/v1/reviews", May(ReviewMatches), reviews::list::<L, S>)
        .post("/api/v1/reviews", May(ReviewMatches), reviews::ask::<L, S>)
        .get("/api/v1/reviews/{id}", May(ReviewMatches), reviews::show::<L, S>)
        .post("/api/v1/reviews/{id}/accept", May(ReviewMatches), reviews::accept::<L, S>)
        .post("/api/v1/reviews/{id}/reject", May(ReviewMatches), reviews::reject::<L, S>)
        .post("/api/v1/reviews/{id}/reopen", May(ReviewMatches), reviews::reopen::<L, S>)
        .get("/api/v1/undo", May(ChangeProfiles), undo::list::<L, S>)
        .post("/api/v1/undo", May(ChangeProfiles), undo::order::<L, S>)
        .post("/api/v1/undo/preview", May(ChangeProfiles), undo::preview::<L, S>)
        .post("/api/v1/undo/{id}/redo", May(ChangeProfiles), undo::redo::<L, S>)
}

fn evidence_routes<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{ExportEvidence, ReadEvidence, ReadWorkspace};
    use Need::Action as May;
    table
        .get("/api/v1/evidence", May(ReadEvidence), evidence::list::<L, S>)
        .get("/api/v1/evidence/head", May(ReadEvidence), evidence::head::<L, S>)
        .get("/api/v1/evidence/why", May(ReadEvidence), why::why::<L, S>)
        .get("/api/v1/evidence/export", May(ExportEvidence), evidence::export::<L, S>)
        .get("/api/v1/breach", May(ReadEvidence), breach::show::<L, S>)
        .get("/api/v1/policy-report", May(ReadEvidence), records::policies::<L, S>)
        .get("/api/v1/records", May(ReadWorkspace), records::show::<L, S>)
}

fn quality_routes<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{KeepAudits, ReadQuality};
    use Need::Action as May;
    table
        .get("/api/v1/quality", May(ReadQuality), quality::show::<L, S>)
        .get("/api/v1/quality/trend", May(ReadQuality), quality::trend::<L, S>)
        .post("/api/v1/quality/audits", May(KeepAudits), quality::audit::<L, S>)
}

fn accounts<L: Log, S: Store>(table: Table<L, S>) -> Table<L, S> {
    use Action::{ManageAccess, ReadAccess};
    use Need::Action as May;
    table
        .post("/api/v1/sign-in", Need::Password, sign_in::sign_in::<L, S>)
        .post("/api/v1/sign-out", Need::Account, sign_in::sign_out::<L, S>)
        .get("/api/v1/access/whoami", Need::Account, sign_in::who_am_i)
        .post("/api/v1/access/password", Need::Account, sign_in::change_password::<L, S>)
        .get("/api/v1/access/accounts", May(ReadAccess), access::list::<L, S>)
        .get("/api/v1/access/accounts/{name}", May(ReadAccess), access::show::<L, S>)
        .put("/api/v1/access/accounts/{name}", May(ManageAccess), access::put::<L, S>)
        .delete("/api/v1/access/accounts/{name}", May(ManageAccess), access::remove::<L, S>)
        .post("/api/v1/access/accounts/{name}/rotate", May(ManageAccess), access::rotate::<L, S>)
}
