//! Calls an address back that somebody gave with a request: one try.
//!
//! Not a destination: the body holds no personal data but what the caller puts there. Invariants: as for webhooks,
//! redirects are not followed, link-local and metadata addresses are never connected to, and a reason quotes neither the
//! address nor the answer.

use std::time::Duration;

use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;

use crate::destinations::webhook::address::{OffLimits, SafeResolver};

/// Posts JSON and waits for the answer.
///
/// # Errors
/// Why it was not taken, without personal data.
pub fn call_back(url: &str, body: &[u8], timeout: Duration) -> Result<(), String> {
    let http = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .timeout_global(Some(timeout))
        .user_agent(concat!("tessera/", env!("CARGO_PKG_VERSION")))
        .build();
    let agent = Agent::with_parts(http, DefaultConnector::new(), SafeResolver::default());
    match agent.post(url).header("content-type", "application/json").send(body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status().as_u16())),
        Err(ureq::Error::Other(source)) if source.is::<OffLimits>() => Err(OffLimits.to_string()),
        Err(ureq::Error::Timeout(_)) => Err("it did not answer in time".to_owned()),
        Err(ureq::Error::HostNotFound) => Err("its host name was not found".to_owned()),
        Err(_) => Err("it cannot be reached".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::{Answer, Receiver};

    const WAIT: Duration = Duration::from_secs(5);

    #[test]
    fn a_callback_is_posted_once_and_its_answer_read() {
        let receiver = Receiver::start([Answer::status(503)]).unwrap();
        assert_eq!(call_back(&receiver.url(), b"{}", WAIT), Err("it answered 503".to_owned()));
        assert_eq!(call_back(&receiver.url(), b"{\"a\":1}", WAIT), Ok(()));
        let bodies: Vec<Vec<u8>> =
            receiver.requests().into_iter().map(|request| request.body.to_vec()).collect();
        assert_eq!(bodies, [b"{}".to_vec(), b"{\"a\":1}".to_vec()]);
    }

    #[test]
    fn addresses_that_give_out_secrets_of_the_machine_are_not_called() {
        let refused = call_back("http://169.254.169.254/latest/meta-data", b"{}", WAIT);
        assert_eq!(refused, Err(OffLimits.to_string()));
    }
}
