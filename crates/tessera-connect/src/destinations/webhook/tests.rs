//! The webhook against its cases and a receiver that misbehaves.

use std::path::Path;

use serde_json::{Value, json};
use tessera_model::{DestinationName, Secret, Timestamp};
use tessera_policy::Permitted;

use super::sign::Signer;
use super::{CONNECTOR, map};
use crate::fixture::{self, Case, NOW};
use crate::kit::{self, Receiver};
use crate::{Destination, ForgetKind, Outcome};

const SECRET: &str = "a secret of the tests";

fn open(url: &str) -> Box<dyn Destination> {
    let config = json!({"url": url, "secret": SECRET, "timeout_seconds": 1, "headers": {"X-Team": "shop"}});
    (CONNECTOR.open)(&fixture::context(Path::new("unused")), &fixture::config(config)).unwrap()
}

#[test]
fn a_body_has_the_events_as_they_came() {
    let case: Case = serde_json::from_str(include_str!("cases/track.json")).unwrap();
    let orders = DestinationName::parse("orders").unwrap();
    let body = map::body(
        &orders,
        Timestamp::parse(NOW).unwrap(),
        &case.batch().iter().map(Permitted::get).collect::<Vec<_>>(),
    )
    .unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), case.expected);
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("10.50") && text.contains("12345678901234567890123"), "numbers keep their digits");
}

#[test]
fn the_webhook_passes_the_kit() {
    kit::check_http(open, &fixture::batch(1..=3)).unwrap();
}

#[test]
fn notices_pass_the_kit() {
    for kind in [ForgetKind::Erase, ForgetKind::Restrict] {
        kit::check_http_forget(open, &fixture::notice(kind)).unwrap();
    }
}

#[test]
fn an_exit_passes_the_kit_and_looks_like_an_event() {
    kit::check_http_leave(open, &fixture::exit(9)).unwrap();
    let receiver = Receiver::start([]).unwrap();
    assert_eq!(open(&receiver.url()).leave(&fixture::exit(9)), Outcome::Delivered);
    let body: Value = serde_json::from_slice(&receiver.requests().remove(0).body).unwrap();
    let event = &body["events"][0];
    assert_eq!(event["profile"], "00112233445566778899aabbccddeeff");
    assert_eq!(event["event"]["event"], "Audience Exited");
    assert_eq!(event["event"]["properties"], json!({"audience_key": "readers", "readers": false}));
    assert_eq!(event["event"].as_object().unwrap().len(), 6, "no identifier: {event}");
}

#[test]
fn a_notice_says_who_is_to_be_forgotten_and_is_signed() {
    let receiver = Receiver::start([]).unwrap();
    let mut notice = fixture::notice(ForgetKind::Erase);
    notice.message_ids.insert("m-1".to_owned());
    assert_eq!(format!("{notice:?}"), "Forget { request: \"r-1\", kind: Erase, .. }");
    assert_eq!(open(&receiver.url()).forget(&notice), Outcome::Delivered);
    let request = receiver.requests().remove(0);
    let signer = Signer::new(&Secret::new(SECRET)).unwrap();
    let expected = signer.signature(Timestamp::parse(NOW).unwrap(), &request.body);
    assert_eq!(request.header("tessera-signature"), Some(expected.as_str()));
    let expected = json!({
        "type": "erase",
        "destination": "orders",
        "sent_at": "2024-05-01T12:00:00.000Z",
        "request": "r-1",
        "regulation": "gdpr",
        "profiles": ["00112233445566778899aabbccddeeff"],
        "message_ids": ["m-1"],
    });
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), expected);
}

#[test]
fn the_key_of_a_notice_is_its_own() {
    let receiver = Receiver::start([]).unwrap();
    let mut webhook = open(&receiver.url());
    let mut other = fixture::notice(ForgetKind::Erase);
    other.request = "r-2".to_owned();
    for notice in [fixture::notice(ForgetKind::Erase), fixture::notice(ForgetKind::Object), other] {
        assert_eq!(webhook.forget(&notice), Outcome::Delivered);
    }
    assert_eq!(webhook.deliver(&fixture::batch([1])), Outcome::Delivered);
    let requests = receiver.requests();
    let keys: std::collections::BTreeSet<_> =
        requests.iter().map(|request| request.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys.len(), 4, "{keys:?}");
}

#[test]
fn a_request_is_signed_and_says_who_sends_it() {
    let receiver = Receiver::start([]).unwrap();
    assert_eq!(open(&receiver.url()).deliver(&fixture::batch([1])), Outcome::Delivered);
    let requests = receiver.requests();
    let request = &requests[0];
    assert_eq!(request.line, "POST /hook?token=t0ken HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some(concat!("tessera/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(request.header("x-team"), Some("shop"));
    let signer = Signer::new(&Secret::new(SECRET)).unwrap();
    let expected = signer.signature(Timestamp::parse(NOW).unwrap(), &request.body);
    assert_eq!(request.header("tessera-signature"), Some(expected.as_str()));
}

#[test]
fn the_idempotency_key_is_the_same_for_the_same_events_only() {
    let receiver = Receiver::start([]).unwrap();
    let mut webhook = open(&receiver.url());
    let mut replayed = fixture::delivery(1);
    replayed.replay = true;
    for batch in [
        fixture::batch([1, 2]),
        fixture::batch([1, 2]),
        fixture::batch([1, 3]),
        fixture::batch([1]),
        vec![fixture::permitted(replayed)],
    ] {
        assert_eq!(webhook.deliver(&batch), Outcome::Delivered);
    }
    let requests = receiver.requests();
    let keys: Vec<&str> = requests.iter().map(|request| request.header("idempotency-key").unwrap()).collect();
    assert_eq!(keys[0], keys[1]);
    let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(distinct.len(), 4, "{keys:?}");
    assert!(keys.iter().all(|key| key.len() == 32));
}

#[test]
fn an_event_that_is_not_json_is_refused_and_nothing_is_sent() {
    let receiver = Receiver::start([]).unwrap();
    let mut broken = fixture::delivery(1);
    broken.json = "{".to_owned();
    let outcome = open(&receiver.url()).deliver(&[fixture::permitted(broken)]);
    assert_eq!(outcome, Outcome::Refused { reason: "the stored event is not JSON".to_owned() });
    assert_eq!(receiver.requests(), []);
}

#[test]
fn a_receiver_that_speaks_no_tls_is_retried() {
    let receiver = Receiver::start([]).unwrap();
    let outcome = open(&receiver.url().replace("http:", "https:")).deliver(&fixture::batch([1]));
    assert!(matches!(outcome, Outcome::Retry { after_millis: None, .. }), "{outcome:?}");
    assert_eq!(receiver.requests(), []);
}

#[track_caller]
fn check_config(config: Value, field: &str, what: &str) {
    let error = (CONNECTOR.check)(&fixture::config(config)).unwrap_err();
    assert_eq!((error.field.as_str(), error.what.as_str()), (field, what));
    assert!(!error.hint.is_empty());
    assert!(!error.to_string().contains("5117"), "a secret shows: {error}");
}

#[test]
fn settings_that_cannot_be_used_are_named_with_their_limit() {
    let (url, secret) = ("https://example.com/hook", "5117511751175117");
    check_config(json!({"secret": secret}), "config", "missing field `url`");
    check_config(json!({"url": url}), "config", "missing field `secret`");
    let unknown =
        "unknown field `uri`, expected one of `url`, `secret`, `batch_max`, `timeout_seconds`, `headers`";
    check_config(json!({"uri": url, "secret": secret}), "config.uri", unknown);
    check_config(json!({"url": url, "secret": "5117"}), "config.secret", "is shorter than 16 bytes");
    check_config(json!({"url": url, "secret": 5_117_511_751_175_117_u64}), "config.secret", "is not a text");
    let headers = json!({"Authorization": 5117});
    check_config(
        json!({"url": url, "secret": secret, "headers": headers}),
        "config.headers.Authorization",
        "is not a text",
    );
    for (url, what) in [
        ("example.com/5117", "does not start with https:// or http://"),
        ("/5117", "does not start with https:// or http://"),
        ("ftp://example.com/5117", "does not start with https:// or http://"),
        ("https://bücher.example/", "is not a URL"),
        ("https://u:5117@example.com/", "holds a user name or password"),
        ("http://169.254.169.254/latest/meta-data", "is a link-local or cloud metadata address"),
        ("http://[fe80::1]/", "is a link-local or cloud metadata address"),
    ] {
        check_config(json!({"url": url, "secret": secret}), "config.url", what);
    }
    for (batch_max, what) in
        [(0, "is 0, the limits are 1 and 1000"), (1001, "is 1001, the limits are 1 and 1000")]
    {
        check_config(json!({"url": url, "secret": secret, "batch_max": batch_max}), "config.batch_max", what);
    }
    let timeout = json!({"url": url, "secret": secret, "timeout_seconds": 301});
    check_config(timeout, "config.timeout_seconds", "is 301, the limits are 1 and 300");
    for (name, value, what) in [
        ("Tessera-Signature", "x", "is a header that Tessera sets itself"),
        ("a b", "x", "is not a header name"),
        ("X", "5117\r\nY: z", "holds a line break or control character"),
    ] {
        let headers = json!({name: value});
        let field = format!("config.headers.{name}");
        check_config(json!({"url": url, "secret": secret, "headers": headers}), &field, what);
    }
}

#[test]
fn a_name_that_leads_to_a_metadata_address_is_not_connected_to() {
    // Octal and single-number spellings pass the check of the URL and are resolved only when connecting.
    let outcome = open("http://2852039166/latest/meta-data").deliver(&fixture::batch([1]));
    let reason = "the host has only link-local or cloud metadata addresses".to_owned();
    assert_eq!(outcome, Outcome::Retry { after_millis: None, reason });
}
