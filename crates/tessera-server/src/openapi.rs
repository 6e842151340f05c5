//! The OpenAPI document, made from the handlers.

use tessera_model::Entrance;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, OpenApi as Document};
use utoipa::{Modify, OpenApi};

use crate::api::profile_answer::{AccountShape, ConsentShape, IdentifierShape};
use crate::error::ProblemShape;
use crate::{access, api, ingest, system};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tessera",
        description = "A customer data platform: the Segment-compatible tracking API, and the admin API.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        ingest::batch,
        ingest::single,
        ingest::client_settings::settings,
        ingest::client_settings::source_config,
        ingest::client_settings::client_metrics,
        api::profiles::list,
        api::profiles::show,
        api::split::split,
        api::merge::merge,
        api::reviews::list,
        api::reviews::ask,
        api::reviews::show,
        api::reviews::accept,
        api::reviews::reject,
        api::reviews::reopen,
        api::undo::list,
        api::undo::order,
        api::undo::preview,
        api::undo::redo,
        api::workspace::show,
        api::workspace::apply,
        api::workspace::diff,
        api::simulate::simulate,
        api::shared_identifiers::list,
        api::groups::list,
        api::groups::show,
        api::plans::infer,
        api::plans::check,
        api::alerts::violations,
        api::alerts::list,
        api::alerts::acknowledge,
        api::rejects::list,
        api::rejects::keep,
        api::rejects::show,
        api::reject_replay::replay,
        api::destinations::list,
        api::destinations::dead_letters,
        api::destinations::replay,
        api::matchers::list,
        api::matchers::run,
        api::matchers::cancel,
        api::matchers::explain,
        api::find::find,
        api::totals::show,
        api::validate::validate,
        api::evidence::list,
        api::evidence::head,
        api::evidence::export,
        api::why::why,
        api::breach::show,
        api::records::show,
        api::records::policies,
        api::live::live,
        api::consents::show,
        api::consents::put,
        api::receipts::show,
        api::requests::list,
        api::requests::open,
        api::requests::show,
        api::requests::steps::verify_identity,
        api::requests::steps::acknowledge,
        api::requests::fulfil::fulfil,
        api::requests::steps::deny,
        api::requests::steps::extend,
        api::requests::steps::cancel,
        api::requests::steps::expire,
        api::requests::steps::tell,
        api::requests::report::report,
        api::erasures::list,
        api::erasures::lift,
        api::erasures::verify,
        api::erasures::housekeeping,
        api::erasures::sweep,
        api::erasures::show_sweep,
        api::audiences::list::list,
        api::audiences::list::show,
        api::audiences::members::members,
        api::audiences::overlap::overlap,
        api::audiences::export::export,
        api::audiences::recompute::recompute,
        api::audiences::audit::audit,
        api::audiences::size::size,
        api::audiences::check::check,
        api::audiences::preview::preview,
        api::audiences::explain::explain,
        api::query::query,
        api::lake::snapshot,
        api::insights::insight,
        api::quality::show,
        api::quality::trend,
        api::quality::audit,
        api::opendsr::discovery,
        api::opendsr::open,
        api::opendsr::show,
        api::opendsr::cancel,
        api::drp::open,
        api::drp::show,
        api::drp::revoke,
        access::sign_in::sign_in,
        access::sign_in::sign_out,
        access::sign_in::who_am_i,
        access::sign_in::change_password,
        access::accounts::list,
        access::accounts::show,
        access::accounts::put,
        access::accounts::remove,
        access::accounts::rotate,
        system::health,
        system::ready,
        system::show_metrics,
        system::show_openapi,
    ),
    components(schemas(ProblemShape, IdentifierShape, ConsentShape, AccountShape, api::destinations::DestinationShape, api::records::FindingShape)),
    modifiers(&Security, &Aliases),
    tags(
        (name = "ingest", description = "Events in: Segment's tracking API, and RudderStack's and Jitsu's paths."),
        (name = "clients", description = "What browser clients fetch before they send."),
        (name = "profiles", description = "One profile per person or account."),
        (name = "audiences", description = "Sets of people that conditions describe, and traits that are computed."),
        (name = "stewardship", description = "Pairs that a matcher is unsure of; merges by hand; taking merges back."),
        (name = "match", description = "Matchers: profiles of one person that no identifier holds together."),
        (name = "workspace", description = "Sources, purposes, namespaces and destinations as documents."),
        (name = "plans", description = "Tracking plans: learning, trying, violations, alerts."),
        (name = "rejects", description = "What could not be accepted, and its replay."),
        (name = "destinations", description = "Deliveries and dead letters."),
        (name = "evidence", description = "Who got what, when and why; records of processing."),
        (name = "consents", description = "What people said about purposes, and their receipts."),
        (name = "requests", description = "Requests of data subjects, erasures, sweeps."),
        (name = "protocols", description = "OpenDSR and the Data Rights Protocol: how others pass requests on."),
        (name = "quality", description = "How good the data is, and how that changes."),
        (name = "access", description = "Accounts, tokens, sessions: who may do what."),
        (name = "system", description = "Health, totals, metrics, the live stream."),
    )
)]
struct Api;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut Document) {
        let components = document.components.get_or_insert_with(Components::new);
        let http = |scheme, what: &str| {
            SecurityScheme::Http(HttpBuilder::new().scheme(scheme).description(Some(what)).build())
        };
        let entries = [
            (
                "admin_token",
                http(
                    HttpAuthScheme::Bearer,
                    "The token that the first start made, the token of an account, or that of a session.",
                ),
            ),
            (
                "account",
                http(
                    HttpAuthScheme::Basic,
                    "An account's name, or any other, as user and its token as password.",
                ),
            ),
            (
                "write_key",
                http(HttpAuthScheme::Basic, "A source's write key as user, no password. It can only write."),
            ),
            ("write_key_header", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Write-Key")))),
            ("write_key_query", SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::new("writeKey")))),
        ];
        for (name, scheme) in entries {
            components.add_security_scheme(name, scheme);
        }
    }
}

/// The same handler serves many paths; each is listed.
struct Aliases;

impl Modify for Aliases {
    fn modify(&self, document: &mut Document) {
        let paths = &mut document.paths.paths;
        let (batch, single) = (paths.get("/v1/batch").cloned(), paths.get("/v1/track").cloned());
        let aliases = ingest::PATHS.iter().map(|(path, entrance)| {
            let item = if *entrance == Entrance::Batch { &batch } else { &single };
            (*path, item.clone())
        });
        let config = ("/sourceConfig/", paths.get("/sourceConfig").cloned());
        for (path, item) in aliases.chain([config]).collect::<Vec<_>>() {
            if let Some(item) = item {
                paths.insert(path.to_owned(), item);
            }
        }
        // Handlers of different modules share names, and operation ids must be unique.
        for (path, item) in paths {
            let name = path.trim_matches('/').replace(['{', '}'], "").replace(['/', '-', '.'], "_");
            let slash = if path.ends_with('/') { "_slash" } else { "" };
            for (method, operation) in [
                ("get", &mut item.get),
                ("post", &mut item.post),
                ("put", &mut item.put),
                ("delete", &mut item.delete),
            ] {
                if let Some(operation) = operation {
                    operation.operation_id = Some(format!("{method}_{name}{slash}"));
                }
            }
        }
    }
}

/// The OpenAPI document of everything that [`crate::router`] serves, as indented JSON.
#[must_use]
pub fn openapi() -> String {
    let mut text = serde_json::to_string_pretty(&Api::openapi()).unwrap_or_default();
    text.push('\n');
    text
}
