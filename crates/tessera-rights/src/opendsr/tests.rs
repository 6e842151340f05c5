use proptest::prelude::*;

use super::*;
use crate::clock::{Calendar, clock};
use crate::request::tests::{at, step};
use crate::request::{Action, apply};

/// The example of the specification, with the `regulation` that version 2 requires.
const EXAMPLE: &str = r#"{
  "regulation": "gdpr",
  "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
  "subject_request_type": "erasure",
  "submitted_time": "2018-10-02T15:00:00Z",
  "subject_identities": [
    {"identity_type": "email", "identity_value": "johndoe@example.com", "identity_format": "raw"},
    {"identity_type": "controller_customer_id", "identity_value": "4711", "identity_format": "raw"},
    {"identity_type": "email", "identity_value": "55e79200c1635b37ad31a378c39feb12", "identity_format": "md5"}
  ],
  "api_version": "2.0",
  "status_callback_urls": ["https://examplecontroller.com/opendsr/callbacks"],
  "extensions": {"example-processor.com": {"foo-processor-custom-id": 123456}}
}"#;

fn request() -> Request {
    let parsed = OpenDsrRequest::parse(EXAMPLE.as_bytes()).unwrap();
    Request::open(parsed.opening(
        "example_controller_id",
        vec![FragmentId([1; 16])],
        at("2018-10-05T09:00:00Z"),
    ))
    .unwrap()
}

#[test]
fn the_specifications_example_is_read() {
    let parsed = OpenDsrRequest::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!((parsed.regime, parsed.request_type), (Regime::Gdpr, RequestType::Erasure));
    let raw: Vec<(&str, &str)> =
        parsed.raw_identities().map(|identity| (identity.namespace(), identity.value.reveal())).collect();
    assert_eq!(raw, [("email", "johndoe@example.com"), ("user_id", "4711")]);
    assert_eq!(parsed.identities[2].format, IdentityFormat::Md5);
    assert_eq!(parsed.extensions.of("example-processor.com").unwrap()["foo-processor-custom-id"], 123_456);
    assert_eq!(parsed.callback_urls, ["https://examplecontroller.com/opendsr/callbacks"]);
    let shown = format!("{parsed:?}");
    for hidden in ["johndoe", "4711", "55e79200", "123456"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn version_one_names_no_law_and_means_gdpr() {
    let old = EXAMPLE.replace("\"regulation\": \"gdpr\",", "").replace("2.0", "1.0");
    assert_eq!(OpenDsrRequest::parse(old.as_bytes()).unwrap().regime, Regime::Gdpr);
}

#[test]
fn what_is_wrong_is_named_and_no_identity_with_it() {
    for (from, to, error) in [
        ("\"regulation\": \"gdpr\",", "", "TES-R021: `regulation` is missing"),
        ("gdpr", "hipaa", "TES-R022: `regulation` is not one of: gdpr, ccpa"),
        ("2.0", "3.0", "TES-R022: `api_version` is not one of: 1.0, 2.0"),
        (
            "erasure",
            "rectification",
            "TES-R022: `subject_request_type` is not one of: access, portability, erasure",
        ),
        ("-44b2-", "-14b2-", "TES-R022: `subject_request_id` is not one of: a version 4 UUID in lower case"),
        (
            "2018-10-02T15:00:00Z",
            "yesterday",
            "TES-R022: `submitted_time` is not one of: a time of RFC 3339: 2018-10-02T15:00:00Z",
        ),
        (
            "\"identity_format\": \"md5\"",
            "\"identity_format\": \"rot13\"",
            "TES-R022: `subject_identities[2].identity_format` is not one of: raw, sha1, md5, sha256",
        ),
        (
            "\"4711\"",
            "4711",
            "TES-R021: `subject_identities[1].identity_value` cannot be read at line 8, column 70",
        ),
        ("\"4711\"", "\" \"", "TES-R021: `subject_identities[1].identity_value` is missing"),
        ("https://", "http://", "TES-R022: `status_callback_urls[0]` is not one of: an https address"),
        ("}}\n}", "}}\n} johndoe@example.com", "TES-R021: `.` cannot be read at line 14, column 3"),
    ] {
        let body = EXAMPLE.replace(from, to);
        assert_ne!(body, EXAMPLE, "{from}");
        let got = OpenDsrRequest::parse(body.as_bytes()).unwrap_err();
        assert_eq!(format!("{}: {got}", got.code()), error);
    }
}

#[test]
fn a_request_that_names_nobody_or_too_many_is_refused() {
    let (head, rest) = EXAMPLE.split_once('[').unwrap();
    let (identities, tail) = rest.split_once(']').unwrap();
    let body = |identities: &str, tail: &str| format!("{head}[{identities}]{tail}");
    let nobody =
        body("", &tail.replace("{\"example-processor.com\": {\"foo-processor-custom-id\": 123456}}", "{}"));
    let error = OpenDsrRequest::parse(nobody.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "`subject_identities` is missing");
    assert!(OpenDsrRequest::parse(body("", tail).as_bytes()).is_ok(), "identities may be in extensions");
    let crowd = OpenDsrRequest::parse(body(&vec![identities; 40].join(","), tail).as_bytes()).unwrap_err();
    assert_eq!(crowd.to_string(), "`subject_identities` has 120 entries, the limit is 100");
}

#[test]
fn the_clock_runs_from_when_the_person_asked_the_controller() {
    let request = request();
    let calendar = Calendar::default();
    let due = clock(&request, &calendar, at("2018-10-05T09:00:00Z")).answer_by;
    assert_eq!(due.to_string(), "2018-11-02");
    let receipt = Receipt::new(
        &request,
        "example_controller_id",
        at("2018-10-05T09:00:00Z"),
        calendar.end_of(due),
        b"{}",
    );
    insta::assert_snapshot!(serde_json::to_string_pretty(&receipt).unwrap(), @r#"
    {
      "controller_id": "example_controller_id",
      "expected_completion_time": "2018-11-02T23:59:59.000Z",
      "received_time": "2018-10-05T09:00:00.000Z",
      "encoded_request": "e30=",
      "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
      "api_version": "2.0"
    }
    "#);
}

#[test]
fn a_request_from_the_future_arrives_now() {
    let parsed = OpenDsrRequest::parse(EXAMPLE.replace("2018-10-02", "2038-10-02").as_bytes()).unwrap();
    let opening = parsed.opening("c", vec![FragmentId([1; 16])], at("2018-10-05T09:00:00Z"));
    assert_eq!(opening.received_at, at("2018-10-05T09:00:00Z"));
}

#[test]
fn a_status_is_told_in_the_specifications_words() {
    let status = |request: &Request| StatusBody::new(request, "example_controller_id", at("2018-11-02"));
    let mut request = request();
    let mut told = Vec::new();
    for action in [
        Action::Acknowledge,
        Action::ConfirmIdentity { proof: crate::request::IdentityProof::VouchedFor },
        Action::Complete { except: std::collections::BTreeSet::new() },
    ] {
        told.push((status(&request).request_status, may_cancel(&request)));
        request = apply(&request, step("2018-10-06", action), &Calendar::default()).unwrap();
    }
    told.push((status(&request).request_status, may_cancel(&request)));
    assert_eq!(
        told,
        [
            (OpenDsrStatus::Pending, true),
            (OpenDsrStatus::Pending, true),
            (OpenDsrStatus::InProgress, false),
            (OpenDsrStatus::Completed, false)
        ]
    );
    let mut body = status(&request).called_back("https://examplecontroller.com/opendsr/callbacks");
    body.results_count = Some(340);
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap(), @r#"
    {
      "controller_id": "example_controller_id",
      "expected_completion_time": "2018-11-02T00:00:00.000Z",
      "status_callback_url": "https://examplecontroller.com/opendsr/callbacks",
      "subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798",
      "request_status": "completed",
      "api_version": "2.0",
      "results_count": 340
    }
    "#);
}

#[test]
fn discovery_lists_what_the_workspace_knows() {
    let discovery =
        Discovery::new("https://cdp.example.com/cert.pem", |name| ["email", "user_id"].contains(&name));
    insta::assert_snapshot!(serde_json::to_string(&discovery).unwrap(), @r#"{"api_version":"2.0","supported_identities":[{"identity_type":"controller_customer_id","identity_format":"raw"},{"identity_type":"email","identity_format":"raw"}],"supported_subject_request_types":["access","portability","erasure"],"processor_certificate":"https://cdp.example.com/cert.pem"}"#);
}

#[test]
fn a_refusal_is_the_specifications_error_object() {
    let error = OpenDsrRequest::parse(b"{\"api_version\":\"2.0\"}").unwrap_err();
    insta::assert_snapshot!(serde_json::to_string(&ErrorBody::from(&error)).unwrap(), @r#"{"error":{"code":400,"message":"`regulation` is missing","errors":[{"domain":"Validation","reason":"TES-R021","message":"send the field; the protocol requires it"}]}}"#);
    let cancelled = Cancellation {
        controller_id: "c".to_owned(),
        subject_request_id: request().opening().id,
        received_time: at("2018-10-02T15:00:01Z"),
        api_version: API_VERSION,
    };
    insta::assert_snapshot!(serde_json::to_string(&cancelled).unwrap(), @r#"{"controller_id":"c","subject_request_id":"a7551968-d5d6-44b2-9831-815ac9017798","received_time":"2018-10-02T15:00:01.000Z","api_version":"2.0"}"#);
}

proptest! {
    #[test]
    fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200), cut in 0..900_usize) {
        prop_assert!(OpenDsrRequest::parse(&body).is_err());
        let mut example = EXAMPLE.as_bytes().to_vec();
        let at = cut.min(example.len() - 1);
        example.truncate(at);
        prop_assert!(OpenDsrRequest::parse(&example).is_err());
    }
}
