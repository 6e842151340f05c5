//! What every answer gets: CORS for clients in browsers, security headers, a count.
//!
//! Reference: the Fetch standard's CORS protocol. No client sends credentials, so `*` is as good as an echo of the
//! origin; `Authorization` must be named in the allowed headers, `*` does not cover it.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tessera_store::{Log, Store};
use tokio::sync::watch;

use crate::metrics::RouteGroup;
use crate::shared::App;

const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, OPTIONS, HEAD");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, Content-Encoding, X-Write-Key, X-Retry-Count, X-Enable-Debug, X-IP-Policy, \
     AnonymousId, SentAt, Rsa-Recovered, Rsa-Retry-Attempt, Rsa-Since-Last-Attempt, Rsa-Since-First-Attempt, \
     Rsa-Retry-Reason",
);
const PRIVATE_NETWORK_ASKED: HeaderName = HeaderName::from_static("access-control-request-private-network");
const PRIVATE_NETWORK_ALLOWED: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Put on every request by [`crate::serve`]: whether the server is stopping.
#[derive(Clone, Debug)]
pub(crate) struct Stopping(pub(crate) watch::Receiver<bool>);

/// The admin API, and what is passed on to it, is not for pages of other origins: it gets no CORS headers, and its answers
/// are not cached.
fn is_admin(path: &str) -> bool {
    path == "/api/v1" || ["/api/v1/", "/opendsr/", "/drp/"].iter().any(|base| path.starts_with(base))
}

pub(crate) async fn edge<L: Log, S: Store>(
    State(app): State<App<L, S>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let (group, is_admin) = (RouteGroup::of(path), is_admin(path));
    let mut response = if request.method() == Method::OPTIONS && !is_admin {
        preflight(request.headers())
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_admin {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    } else {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        // Or a page cannot read after how long it may send again.
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    }
    app.http.count(group, response.status());
    response
}

fn preflight(asked: &HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned().unwrap_or(HEADERS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(PREFLIGHT_MAX_AGE.as_secs()));
    if asked.get(PRIVATE_NETWORK_ASKED).is_some_and(|value| value == "true") {
        headers.insert(PRIVATE_NETWORK_ALLOWED, HeaderValue::from_static("true"));
    }
    response
}
