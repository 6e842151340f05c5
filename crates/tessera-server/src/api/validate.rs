//! What can be said of contact data that the caller has. Reads nothing of what Tessera keeps, and keeps nothing.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tessera_contact::{AddressParts, CheckOptions, Checked, ContactKind, Day, Region, check, check_address};
use tessera_mx::{MailServers, domain_to_ask};
use tessera_store::{Log, Store};
use utoipa::ToSchema;

use super::read_json;
use crate::error::{ApiError, ErrorAnswer};
use crate::shared::App;

/// Most values of one request.
const VALUES_MAX: usize = 10_000;

/// Values to look at.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValidateOrder {
    /// The country of values that name none, by code or name: of telephone numbers, postal codes and addresses, and of the
    /// order in which days are written.
    country: Option<String>,
    /// Whether the DNS is asked if the domains of e-mail addresses take mail; only where the setting `contact.mx_lookup` allows
    /// it. Only the domain leaves the machine.
    #[serde(default)]
    mx: bool,
    /// At most 10,000.
    values: Vec<ValueOrder>,
}

/// One value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ValueOrder {
    /// What it should be: `email`, `phone`, `name`, `address`, `postal_code`, `date`, `birth_date`, `country`, `language` or
    /// `currency`.
    kind: String,
    /// The value: a text; an `address` may be an object with Segment's `street`, `city`, `state`, `postalCode`, `country`.
    value: TextOrAddress,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum TextOrAddress {
    Text(String),
    Address(AddressOrder),
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct AddressOrder {
    street: String,
    city: String,
    state: String,
    #[serde(alias = "postalCode")]
    postal_code: String,
    country: String,
}

/// What was found, in the order of the values.
#[derive(Serialize, ToSchema)]
pub(crate) struct ValidateAnswer {
    /// One for each value.
    #[schema(value_type = Vec<CheckedShape>)]
    results: Vec<Checked>,
}

/// What was found of one value.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes `tessera_contact::Checked`, which knows nothing of OpenAPI")]
pub(crate) struct CheckedShape {
    /// `valid`: looked up whole. `invalid`: cannot be. `unknown`: nothing speaks against it. `accept_all`: the mail
    /// server takes every address.
    status: String,
    /// Why, in one word: `syntax_only`, `no_at_sign`, `not_in_numbering_plan`.
    reason: String,
    /// Whether the address is one to throw away.
    disposable: bool,
    /// Whether a function reads it and not a person.
    role_address: bool,
    /// Its one form; absent if there is none.
    normalised: Option<String>,
    /// What else is told: `family`, `given`, `type`, `country`, `mailbox`, ...
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    details: Option<()>,
}

/// Say what is known of e-mail addresses, telephone numbers, names and other contact data.
///
/// Nothing is stored, and nothing that is stored is read. With `mx`, name servers are asked for the domains of addresses: a domain
/// that takes no mail makes an address invalid, nothing makes it valid. Syntax alone never makes a contact point `valid`.
#[utoipa::path(
    post, path = "/api/v1/validate", tag = "system",
    request_body = ValidateOrder,
    responses(
        (status = 200, description = "What was found.", body = ValidateAnswer),
        (status = 400, description = "An unknown kind or country, or too many values.", body = ErrorAnswer),
        (status = 409, description = "`mx` was asked for, and look-ups are off.", body = ErrorAnswer),
    ),
    security(("admin_token" = []))
)]
pub(crate) async fn validate<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
) -> Result<Json<ValidateAnswer>, ApiError> {
    let order: ValidateOrder = read_json(&app, request).await?;
    let now = app.parts.clock.now().to_string();
    let options =
        CheckOptions { region: region(order.country.as_deref())?, today: Day::parse(&now, None).ok() };
    if order.values.len() > VALUES_MAX {
        let what = format!("`values` has {} members, the limit is {VALUES_MAX}", order.values.len());
        return Err(ApiError::bad(what, "send them in several requests"));
    }
    let mut results: Vec<Checked> =
        order.values.iter().map(|one| found(one, &options)).collect::<Result<_, _>>()?;
    if order.mx {
        let servers = app.parts.mail_servers.as_ref().ok_or_else(|| {
            let hint = "set `contact.mx_lookup` to true, or leave `mx` out";
            ApiError::rights(
                StatusCode::CONFLICT,
                "TES-I050",
                "look-ups of mail servers are off".to_owned(),
                hint,
            )
        })?;
        let of = order.values.iter().map(|one| one.kind == ContactKind::Email.as_str());
        refine(servers, results.iter_mut().zip(of).filter(|(_, is_email)| *is_email).map(|(one, _)| one))
            .await;
    }
    Ok(Json(ValidateAnswer { results }))
}

/// Asks for each domain once.
async fn refine(servers: &MailServers, results: impl Iterator<Item = &mut Checked>) {
    let asked: Vec<(String, &mut Checked)> =
        results.filter_map(|checked| Some((domain_to_ask(checked)?, checked))).collect();
    let domains: BTreeSet<String> = asked.iter().map(|(domain, _)| domain.clone()).collect();
    let found = servers.ask_all(domains).await;
    for (domain, checked) in asked {
        if let Some(server) = found.get(&domain) {
            checked.verdict = server.refine(checked.verdict);
        }
    }
}

fn region(country: Option<&str>) -> Result<Option<Region>, ApiError> {
    let read =
        |text| Region::find(text).map_err(|fault| ApiError::bad("`country` is unknown", fault.to_string()));
    country.map(read).transpose()
}

fn found(one: &ValueOrder, options: &CheckOptions) -> Result<Checked, ApiError> {
    let kind = ContactKind::parse(&one.kind).ok_or_else(|| {
        let known = ContactKind::ALL.map(ContactKind::as_str).join(", ");
        ApiError::bad("a `kind` is unknown", format!("use one of {known}"))
    })?;
    match &one.value {
        TextOrAddress::Text(text) => Ok(check(kind, text, options)),
        TextOrAddress::Address(address) if kind == ContactKind::Address => {
            let parts = AddressParts {
                street: &address.street,
                city: &address.city,
                subdivision: &address.state,
                postal_code: &address.postal_code,
                country: &address.country,
            };
            Ok(check_address(&parts, options))
        }
        TextOrAddress::Address(_) => {
            Err(ApiError::bad("a `value` is an object", "only an `address` may be one; send a text"))
        }
    }
}
