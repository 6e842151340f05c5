//! Sends a signed body and classifies the answer. The only I/O of this connector.

use jiff::fmt::rfc2822::DateTimeParser;
use tessera_model::Timestamp;
use tessera_policy::Permitted;
use ureq::http::{HeaderMap, StatusCode};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body};

use super::address::{OffLimits, SafeResolver};
use super::config::Config;
use super::{map, sign};
use crate::{Context, Delivery, Destination, Exit, Forget, Outcome};

/// As much of an answer as is read, so that the connection can be used again; the rest costs the connection.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// The longest `Retry-After` that is heeded: a receiver's slip must not stop its queue for years.
const RETRY_AFTER_MILLIS_MAX: u64 = 60 * 60 * 1000;

/// One receiver.
pub(super) struct Webhook {
    context: Context,
    config: Config,
    agent: Agent,
}

impl Webhook {
    pub(super) fn new(context: &Context, config: Config) -> Self {
        let http = Agent::config_builder()
            .http_status_as_error(false)
            // A redirect would send personal data to an address that nobody set.
            .max_redirects(0)
            // Settings come from the workspace, not from the environment.
            .proxy(None)
            .timeout_global(Some(config.timeout))
            .max_idle_connections(1)
            .user_agent(concat!("tessera/", env!("CARGO_PKG_VERSION")))
            .build();
        let agent = Agent::with_parts(http, DefaultConnector::new(), SafeResolver::default());
        Self { context: context.clone(), config, agent }
    }
}

impl Destination for Webhook {
    fn deliver(&mut self, batch: &[Permitted<Delivery>]) -> Outcome {
        if batch.is_empty() {
            return Outcome::Delivered;
        }
        self.events(&batch.iter().map(Permitted::get).collect::<Vec<_>>())
    }

    fn batch_max(&self) -> usize {
        self.config.batch_max
    }

    fn forget(&mut self, notice: &Forget) -> Outcome {
        let now = (self.context.now)();
        match map::notice(&self.context.destination, now, notice) {
            Ok(body) => self.post(now, &body, &sign::notice_key(&self.context.destination, notice)),
            Err(not_json) => not_json.into(),
        }
    }

    fn leave(&mut self, exit: &Exit) -> Outcome {
        self.events(&[exit.event()])
    }

    fn alert(&mut self, alert: &serde_json::Value, key: &str) -> Outcome {
        let now = (self.context.now)();
        match map::alert(&self.context.destination, now, alert) {
            Ok(body) => self.post(now, &body, &sign::alert_key(&self.context.destination, key)),
            Err(not_json) => not_json.into(),
        }
    }
}

impl Webhook {
    fn events(&self, batch: &[&Delivery]) -> Outcome {
        let now = (self.context.now)();
        match map::body(&self.context.destination, now, batch) {
            Ok(body) => self.post(now, &body, &sign::idempotency_key(&self.context.destination, batch)),
            Err(not_json) => not_json.into(),
        }
    }

    /// Sends one signed request.
    fn post(&self, now: Timestamp, body: &[u8], idempotency_key: &str) -> Outcome {
        let mut request = self
            .agent
            .post(&self.config.url)
            .header("content-type", "application/json")
            .header("tessera-signature", self.config.signer.signature(now, body))
            .header("idempotency-key", idempotency_key);
        for (name, value) in &self.config.headers {
            request = request.header(name, value);
        }
        match request.send(body) {
            Ok(mut response) => {
                drain(response.body_mut());
                // The answer's time, not the request's: a wait until a date counts from here.
                classify(response.status(), response.headers(), (self.context.now)())
            }
            Err(error) => Outcome::retry(describe(&error)),
        }
    }
}

/// The status has already said how it went, so an answer that breaks off or is too long changes nothing.
fn drain(body: &mut Body) {
    drop(body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec());
}

/// What an answer's status means. The body is never quoted: receivers like to repeat what they were sent.
fn classify(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Outcome {
    let code = status.as_u16();
    if status.is_success() {
        Outcome::Delivered
    } else if matches!(code, 408 | 425 | 429) || status.is_server_error() {
        let after_millis = headers
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after_millis(value, now));
        Outcome::Retry { after_millis, reason: format!("the receiver answered {code}") }
    } else if status.is_redirection() {
        let reason = format!("the receiver answered {code}, a redirect, and redirects are not followed");
        Outcome::refused(reason)
    } else {
        Outcome::refused(format!("the receiver answered {code}"))
    }
}

/// Reads `Retry-After`: seconds or an HTTP date (RFC 9110, 10.2.3). `None` when it is neither.
fn retry_after_millis(value: &str, now: Timestamp) -> Option<u64> {
    let value = value.trim();
    let millis = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // So many digits that they do not fit are a very long time.
        value.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000)
    } else {
        let at = DateTimeParser::new().parse_timestamp(value).ok()?;
        u64::try_from(at.as_millisecond().saturating_sub(now.as_millis())).unwrap_or(0)
    };
    Some(millis.min(RETRY_AFTER_MILLIS_MAX))
}

/// Why no answer came, in words that hold neither the URL, which may have a token in it, nor what was sent.
fn describe(error: &ureq::Error) -> String {
    use ureq::Error as E;
    if let E::Timeout(_) = error {
        "the receiver did not answer within `timeout_seconds`".to_owned()
    } else if let E::HostNotFound = error {
        "the receiver's host name was not found".to_owned()
    } else if let E::ConnectionFailed = error {
        "the receiver cannot be reached".to_owned()
    } else if let E::Io(source) = error {
        format!("the connection to the receiver failed: {}", source.kind())
    } else if let E::Rustls(source) = error {
        format!("TLS with the receiver failed: {source}")
    } else if let E::Tls(what) = error {
        format!("TLS with the receiver failed: {what}")
    } else if let E::Protocol(_) | E::LargeResponseHeader(..) | E::Http(_) = error {
        "the receiver's answer is not HTTP".to_owned()
    } else if let E::Other(source) = error
        && source.is::<OffLimits>()
    {
        OffLimits.to_string()
    } else {
        "the request failed before the receiver answered".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: u16, retry_after: Option<&str>, expected: &str) {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", value.parse().unwrap());
        }
        let now = Timestamp::parse("1994-11-06T08:49:00Z").unwrap();
        let outcome = match classify(StatusCode::from_u16(code).unwrap(), &headers, now) {
            Outcome::Delivered => "delivered".to_owned(),
            Outcome::Retry { after_millis: None, .. } => "retry".to_owned(),
            Outcome::Retry { after_millis: Some(millis), .. } => format!("retry after {millis}"),
            Outcome::Refused { .. } => "refused".to_owned(),
        };
        assert_eq!(outcome, expected, "{code} {retry_after:?}");
    }

    #[test]
    fn an_answer_is_delivered_retried_or_refused_by_its_status() {
        for code in [200, 201, 202, 204] {
            check(code, None, "delivered");
        }
        for code in [408, 425, 429, 500, 502, 503, 504, 599] {
            check(code, None, "retry");
        }
        for code in [300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 413, 422] {
            check(code, None, "refused");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_at_most_an_hour() {
        check(429, Some("30"), "retry after 30000");
        check(503, Some("0"), "retry after 0");
        check(503, Some("Sun, 06 Nov 1994 08:49:37 GMT"), "retry after 37000");
        check(503, Some("Sun, 06 Nov 1994 08:48:37 GMT"), "retry after 0");
        check(503, Some("Mon, 07 Nov 1994 08:49:37 GMT"), "retry after 3600000");
        check(503, Some("99999999999999999999999"), "retry after 3600000");
        for nonsense in ["", "soon", "-5", "1.5"] {
            check(503, Some(nonsense), "retry");
        }
        check(200, Some("30"), "delivered");
    }
}
