use super::*;
use crate::clock::Calendar;
use crate::request::tests::{at, opened, step};
use crate::request::{Action, apply};

const EXAMPLE: &str = r#"{
  "agent-id": "PERMISSION_SLIP",
  "business-id": "SHOP",
  "issued-at": "2026-03-05T09:00:00Z",
  "expires-at": "2026-03-05T09:10:00Z",
  "agent-request-id": "foo",
  "drp.version": "1.0",
  "exercise": "sale:opt-out",
  "regime": "ccpa",
  "relationships": ["customer", "marketing"],
  "status_callback": "https://dsr-agent.example.com/update_status",
  "name": "Ada Lovelace",
  "email": "ada@example.com",
  "email_verified": true,
  "phone_number": "+14155550100",
  "address": {"country": "US"}
}"#;

fn parse(body: &str, now: &str) -> Result<DrpRequest, WireError> {
    let expected = Expected { agent_id: "PERMISSION_SLIP", business_id: "SHOP", now: at(now) };
    DrpRequest::parse(body.as_bytes(), &expected)
}

#[test]
fn a_request_is_read_and_only_verified_claims_count() {
    let request = parse(EXAMPLE, "2026-03-05T09:01:00Z").unwrap();
    assert_eq!((request.exercise, request.regime), (Exercise::SaleOptOut, Some(Regime::Ccpa)));
    let verified: Vec<(&str, &str)> =
        request.claims.verified().map(|(namespace, value)| (namespace, value.reveal())).collect();
    assert_eq!(verified, [("email", "ada@example.com")]);
    let shown = format!("{request:?}");
    assert!(!shown.contains("Ada") && !shown.contains("ada@") && !shown.contains("415"), "{shown}");
    let id = SubjectRequestId::from_random(1);
    let opening =
        request.opening(id, vec![FragmentId([1; 16])], at("2026-03-05T09:01:00Z"), Regime::Gdpr).unwrap();
    assert_eq!((opening.regime, opening.request_type), (Regime::Ccpa, RequestType::OptOutOfSale));
    assert_eq!(opening.by, Actor::Agent("PERMISSION_SLIP".into()));
}

#[test]
fn requests_for_others_or_out_of_time_are_refused() {
    for (from, to, now, error) in [
        (
            "PERMISSION_SLIP",
            "OTHER",
            "09:01",
            "TES-R023: the request is not for us now: `agent-id` is not the agent whose token it came with",
        ),
        (
            "SHOP",
            "BANK",
            "09:01",
            "TES-R023: the request is not for us now: `business-id` is another business",
        ),
        ("foo", "bar", "08:59", "TES-R023: the request is not for us now: `issued-at` is in the future"),
        ("foo", "bar", "09:10", "TES-R023: the request is not for us now: `expires-at` has passed"),
        ("\"1.0\"", "\"0.5\"", "09:01", "TES-R022: `drp.version` is not one of: 0.9, 1.0"),
        ("ccpa", "hipaa", "09:01", "TES-R022: `regime` is not one of: ccpa, gdpr, lgpd, or left out"),
        (
            "sale:opt-out",
            "sale",
            "09:01",
            "TES-R022: `exercise` is not one of: sale:opt-out, sale:opt-in, deletion, access, access:categories, access:specific",
        ),
        ("https://", "ftp://", "09:01", "TES-R022: `status_callback` is not one of: an https address"),
        ("\"ada@example.com\"", "7", "09:01", "TES-R021: `email` cannot be read at line 13, column 12"),
        ("\"exercise\": \"sale:opt-out\",", "", "09:01", "TES-R021: `exercise` is missing"),
    ] {
        let got = parse(&EXAMPLE.replace(from, to), &format!("2026-03-05T{now}:00Z")).unwrap_err();
        assert_eq!(format!("{}: {got}", got.code()), error);
    }
}

#[test]
fn every_right_is_read_in_both_spellings_and_written_in_one() {
    let mut table = String::new();
    for text in [
        "sale:opt-out",
        "sale:opt_out",
        "sale:opt-in",
        "sale:opt_in",
        "deletion",
        "access",
        "access:categories",
        "access:specific",
    ] {
        let exercise = Exercise::parse(text).unwrap();
        let request_type = exercise.request_type().map_or("-", RequestType::as_str);
        table += &format!("{text} {} {request_type}\n", serde_json::to_string(&exercise).unwrap());
    }
    insta::assert_snapshot!(table, @r#"
    sale:opt-out "sale:opt-out" opt_out_of_sale
    sale:opt_out "sale:opt-out" opt_out_of_sale
    sale:opt-in "sale:opt-in" -
    sale:opt_in "sale:opt-in" -
    deletion "deletion" erasure
    access "access" access
    access:categories "access:categories" access
    access:specific "access:specific" access
    "#);
}

#[test]
fn an_opt_in_opens_no_request() {
    let request = parse(&EXAMPLE.replace("opt-out", "opt-in"), "2026-03-05T09:01:00Z").unwrap();
    assert_eq!(
        request.opening(SubjectRequestId::from_random(1), Vec::new(), at("2026-03-05"), Regime::Ccpa),
        None
    );
}

#[test]
fn statuses_and_reasons_are_the_protocols() {
    let ask = Action::AskIdentity { answer_until: at("2026-03-10") };
    let deny = |reason| Action::Deny { reason, why: "so".into() };
    let mut table = String::new();
    for actions in [
        vec![],
        vec![Action::Acknowledge],
        vec![ask.clone()],
        vec![Action::Start],
        vec![Action::Cancel { why: "".into() }],
        vec![ask, Action::Expire],
        vec![deny(DenialReason::IdentityNotProven)],
        vec![deny(DenialReason::NoMatch)],
        vec![deny(DenialReason::TooOften)],
        vec![deny(DenialReason::RightsOfOthers)],
        vec![deny(DenialReason::OutsideJurisdiction)],
        vec![deny(DenialReason::Other)],
    ] {
        let mut request = opened(Regime::Ccpa, RequestType::Access, "2026-03-05");
        for action in actions {
            request = apply(&request, step("2026-03-11", action), &Calendar::default()).unwrap();
        }
        table += &format!("{} {:?}\n", request.status(), status_of(&request));
    }
    insta::assert_snapshot!(table, @"
    received (Open, None)
    received (InProgress, None)
    identity_check (InProgress, Some(NeedUserVerification))
    in_progress (InProgress, None)
    cancelled (Revoked, None)
    expired (Denied, Some(InsufVerification))
    denied (Denied, Some(InsufVerification))
    denied (Denied, Some(NoMatch))
    denied (Denied, Some(TooManyRequests))
    denied (Denied, Some(ClaimNotCovered))
    denied (Denied, Some(OutsideJurisdiction))
    denied (Denied, Some(Other))
    ");
}

#[test]
fn the_status_object_has_the_protocols_fields() {
    let request = opened(Regime::Ccpa, RequestType::Access, "2026-03-05");
    let body = StatusBody::new(&request, Some("foo".to_owned()), at("2026-04-19"));
    insta::assert_snapshot!(serde_json::to_string(&body).unwrap(), @r#"{"request_id":"00000000-0000-4000-8000-000000000007","agent_request_id":"foo","received_at":"2026-03-05T00:00:00.000Z","expected_by":"2026-04-19T00:00:00.000Z","status":"open"}"#);
    let error = parse("[]", "2026-03-05T09:01:00Z").unwrap_err();
    insta::assert_snapshot!(serde_json::to_string(&ErrorBody::from(&error)).unwrap(), @r#"{"code":"400","message":"TES-R021: `.` cannot be read at line 1, column 2; send the JSON that the protocol describes","fatal":false}"#);
}

#[test]
fn a_revocation_may_say_why() {
    let why = Revocation::parse(br#"{"reason": "I don't want my account deleted"}"#).unwrap();
    assert_eq!(why.reason, "I don't want my account deleted");
    assert_eq!(Revocation::parse(b"{}").unwrap().reason, "");
    assert_eq!(Revocation::parse(b"").unwrap_err().code(), "TES-R021");
}
