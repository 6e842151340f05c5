use std::collections::BTreeSet;

use proptest::prelude::*;
use tessera_model::{DestinationName, FragmentId, Timestamp};

use super::*;
use crate::clock::{Calendar, clock};

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

pub(crate) fn opened(regime: Regime, request_type: RequestType, received: &str) -> Request {
    Request::open(Opening {
        id: SubjectRequestId::from_random(7),
        regime,
        request_type,
        subjects: vec![FragmentId([1; 16])],
        purposes: BTreeSet::new(),
        received_at: at(received),
        by: Actor::Person,
    })
    .unwrap()
}

pub(crate) fn step(when: &str, action: Action) -> Step {
    Step { at: at(when), by: Actor::Account("officer".into()), action }
}

/// Reads `2026-03-05 ask` and the like; an answer to a question is due 14 days after the epoch of the test.
fn action(text: &str) -> Action {
    match text {
        "acknowledge" => Action::Acknowledge,
        "ask" => Action::AskIdentity { answer_until: at("2026-03-20") },
        "confirm" => Action::ConfirmIdentity { proof: IdentityProof::ContactPoint },
        "start" => Action::Start,
        "extend" => Action::Extend { why: "many systems".into() },
        "tell" => Action::TellRecipient {
            destination: DestinationName::parse("mailer").unwrap(),
            told: Told::Acknowledged { receipt: "42".into() },
        },
        "complete" => Action::Complete { except: BTreeSet::new() },
        "deny" => Action::Deny { reason: DenialReason::Other, why: "we cannot".into() },
        "cancel" => Action::Cancel { why: "".into() },
        "expire" => Action::Expire,
        other => panic!("{other}"),
    }
}

const ACTIONS: [&str; 10] =
    ["acknowledge", "ask", "confirm", "start", "extend", "tell", "complete", "deny", "cancel", "expire"];

/// Each line is `date action => status` or `date action => code`; the first line opens.
fn check(story: &str) {
    let mut lines = story.lines().map(str::trim).filter(|line| !line.is_empty());
    let [received, regime, request_type] =
        lines.next().unwrap().split_whitespace().collect::<Vec<_>>().try_into().unwrap();
    let regime = Regime::parse(regime).unwrap();
    let request_type = RequestType::parse(request_type).unwrap();
    let mut request = opened(regime, request_type, received);
    for line in lines {
        let (done, expected) = line.split_once("=>").unwrap();
        let (when, what) = done.trim().split_once(' ').unwrap();
        let got = match apply(&request, step(when, action(what.trim())), &Calendar::default()) {
            Ok(next) => {
                request = next;
                request.status().as_str()
            }
            Err(error) => error.code(),
        };
        assert_eq!(got, expected.trim(), "{line}");
    }
}

#[test]
fn an_access_request_is_answered_once_the_person_has_shown_who_they_are() {
    check(
        "
        2026-03-05 gdpr access
        2026-03-05 acknowledge => received
        2026-03-06 start       => in_progress
        2026-03-06 complete    => TES-R013
        2026-03-07 ask         => identity_check
        2026-03-10 confirm     => in_progress
        2026-03-11 confirm     => TES-R019
        2026-03-12 extend      => in_progress
        2026-03-12 extend      => TES-R019
        2026-03-11 complete    => TES-R012
        2026-03-20 complete    => completed
        2026-03-21 cancel      => TES-R011
        2026-03-21 tell        => completed
        ",
    );
}

#[test]
fn a_person_who_does_not_answer_lets_the_request_expire_and_not_before_the_day_told() {
    check(
        "
        2026-03-05 gdpr erasure
        2026-03-05 expire => TES-R011
        2026-03-06 ask    => identity_check
        2026-03-19 expire => TES-R017
        2026-03-20 expire => expired
        2026-03-21 ask    => TES-R011
        ",
    );
}

#[test]
fn in_california_an_opt_out_asks_nobody_who_they_are_and_is_never_extended() {
    check(
        "
        2026-03-05 ccpa opt_out_of_sale
        2026-03-05 ask      => TES-R014
        2026-03-05 extend   => TES-R015
        2026-03-05 start    => in_progress
        2026-03-05 tell     => in_progress
        2026-03-06 complete => completed
        ",
    );
}

#[test]
fn an_extension_comes_before_the_first_deadline_or_not_at_all() {
    check(
        "
        2026-03-05 gdpr access
        2026-04-08 extend => TES-R015
        ",
    );
    // 5 April 2026 is a Sunday, so the month ends on the 6th.
    check(
        "
        2026-03-05 gdpr access
        2026-04-06 extend => received
        ",
    );
    check("2026-03-05 lgpd access\n 2026-03-06 extend => TES-R015");
}

#[test]
fn reasons_stand_on_an_article_of_the_law_in_question() {
    let deny = |regime, request_type, reason, why: &str| {
        let action = Action::Deny { reason, why: why.into() };
        let request = opened(regime, request_type, "2026-03-05");
        apply(&request, step("2026-03-06", action), &Calendar::default()).map(|denied| denied.status())
    };
    let legal = DenialReason::LegalObligation;
    assert_eq!(deny(Regime::Gdpr, RequestType::Erasure, legal, ""), Ok(Status::Denied(legal)));
    assert_eq!(deny(Regime::Gdpr, RequestType::Access, legal, "").unwrap_err().code(), "TES-R016");
    let objection = deny(Regime::Lgpd, RequestType::Objection, DenialReason::CompellingGrounds, "profit");
    assert_eq!(objection.unwrap_err().code(), "TES-R016");
    let excessive = deny(Regime::Gdpr, RequestType::Access, DenialReason::Excessive, " ");
    assert_eq!(excessive.unwrap_err().code(), "TES-R020");
    let unproven = deny(Regime::Ccpa, RequestType::OptOutOfSale, DenialReason::IdentityNotProven, "");
    assert_eq!(unproven.unwrap_err().code(), "TES-R016");
}

#[test]
fn every_reason_stands_on_some_article_and_other_on_all() {
    for reason in DenialReason::ALL {
        assert_eq!(DenialReason::parse(reason.as_str()), Some(reason));
        let stored = serde_json::to_string(&reason).unwrap();
        assert_eq!(stored, format!("\"{}\"", reason.as_str()));
        let pairs = Regime::ALL.into_iter().flat_map(|regime| RequestType::ALL.map(|kind| (regime, kind)));
        let articles = pairs.filter(|(regime, kind)| reason.article(*regime, *kind).is_some()).count();
        assert!(articles > 0, "{}", reason.as_str());
        assert_eq!(
            articles == 24,
            matches!(reason.as_str(), "no_match" | "outside_jurisdiction" | "not_controller" | "other"),
            "{}",
            reason.as_str()
        );
    }
}

#[test]
fn a_partial_answer_names_the_exceptions() {
    let request = opened(Regime::Gdpr, RequestType::Erasure, "2026-03-05");
    let request = apply(&request, step("2026-03-06", action("confirm")), &Calendar::default()).unwrap();
    let except = |reason| Action::Complete { except: BTreeSet::from([reason]) };
    let kept =
        apply(&request, step("2026-03-07", except(DenialReason::LegalObligation)), &Calendar::default());
    assert_eq!(kept.unwrap().status(), Status::Completed);
    let wrong = apply(&request, step("2026-03-07", except(DenialReason::NotSold)), &Calendar::default());
    assert_eq!(wrong.unwrap_err().code(), "TES-R016");
}

#[test]
fn a_request_names_somebody_and_each_once() {
    let mut opening = opened(Regime::Gdpr, RequestType::Access, "2026-03-05").opening().clone();
    opening.subjects = vec![FragmentId([2; 16]), FragmentId([1; 16]), FragmentId([2; 16])];
    let request = Request::open(opening.clone()).unwrap();
    assert_eq!(request.opening().subjects, [FragmentId([1; 16]), FragmentId([2; 16])]);
    opening.subjects.clear();
    assert_eq!(Request::open(opening).unwrap_err().code(), "TES-R018");
}

#[test]
fn the_last_word_of_each_recipient_counts() {
    let mut request = opened(Regime::Gdpr, RequestType::Erasure, "2026-03-05");
    let tell =
        |name: &str, told| Action::TellRecipient { destination: DestinationName::parse(name).unwrap(), told };
    for (when, action) in [
        ("2026-03-06", action("confirm")),
        ("2026-03-07", tell("mailer", Told::Pending)),
        ("2026-03-07", tell("ads", Told::Impossible { why: "closed down".into() })),
        ("2026-03-08", tell("mailer", Told::Acknowledged { receipt: "42".into() })),
    ] {
        request = apply(&request, step(when, action), &Calendar::default()).unwrap();
    }
    let told: Vec<(&str, &Told)> =
        request.recipients().into_iter().map(|(name, told)| (name.as_str(), told)).collect();
    assert_eq!(
        told,
        [
            ("ads", &Told::Impossible { why: "closed down".into() }),
            ("mailer", &Told::Acknowledged { receipt: "42".into() })
        ]
    );
}

/// Which action leads where from each status, for a request that has shown nobody's identity.
#[test]
fn the_state_machine_is_the_one_drawn() {
    let mut table = String::new();
    for path in
        [&[][..], &["ask"], &["start"], &["confirm", "complete"], &["deny"], &["cancel"], &["ask", "expire"]]
    {
        let mut request = opened(Regime::Gdpr, RequestType::Access, "2026-03-19");
        for what in path {
            request = apply(&request, step("2026-03-21", action(what)), &Calendar::default()).unwrap();
        }
        let reached = |what: &&str| {
            let next = apply(&request, step("2026-03-21", action(what)), &Calendar::default()).ok()?;
            Some(format!(" {what}>{}", next.status()))
        };
        table +=
            &format!("{}:{}\n", request.status(), ACTIONS.iter().filter_map(reached).collect::<String>());
    }
    insta::assert_snapshot!(table, @"
    received: acknowledge>received ask>identity_check confirm>in_progress start>in_progress extend>received deny>denied cancel>cancelled
    identity_check: acknowledge>identity_check confirm>in_progress extend>identity_check deny>denied cancel>cancelled expire>expired
    in_progress: acknowledge>in_progress ask>identity_check confirm>in_progress extend>in_progress tell>in_progress deny>denied cancel>cancelled
    completed: tell>completed
    denied:
    cancelled:
    expired:
    ");
}

#[test]
fn a_stored_request_reads_back_and_one_that_was_tampered_with_does_not() {
    let mut request = opened(Regime::Gdpr, RequestType::Access, "2026-03-05");
    for (when, what) in [("2026-03-05", "acknowledge"), ("2026-03-06", "ask"), ("2026-03-07", "confirm")] {
        request = apply(&request, step(when, action(what)), &Calendar::default()).unwrap();
    }
    let text = serde_json::to_string_pretty(&request).unwrap();
    insta::assert_snapshot!(text, @r#"
    {
      "id": "00000000-0000-4000-8000-000000000007",
      "regime": "gdpr",
      "request_type": "access",
      "subjects": [
        "01010101010101010101010101010101"
      ],
      "received_at": "2026-03-05T00:00:00.000Z",
      "by": "person",
      "status": "in_progress",
      "history": [
        {
          "at": "2026-03-05T00:00:00.000Z",
          "by": {
            "account": "officer"
          },
          "action": "acknowledge"
        },
        {
          "at": "2026-03-06T00:00:00.000Z",
          "by": {
            "account": "officer"
          },
          "action": "ask_identity",
          "answer_until": "2026-03-20T00:00:00.000Z"
        },
        {
          "at": "2026-03-07T00:00:00.000Z",
          "by": {
            "account": "officer"
          },
          "action": "confirm_identity",
          "proof": "contact_point"
        }
      ]
    }
    "#);
    assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
    let tampered = text.replace("\"acknowledge\"", "\"expire\"");
    let error = serde_json::from_str::<Request>(&tampered).unwrap_err();
    assert_eq!(error.to_string(), "cannot expire a request that is received");
}

fn any_steps() -> impl Strategy<Value = (Regime, RequestType, Vec<(i64, &'static str)>)> {
    let hours = 60 * 60 * 1000;
    (
        prop::sample::select(&Regime::ALL[..]),
        prop::sample::select(&RequestType::ALL[..]),
        prop::collection::vec((-12..400_i64, prop::sample::select(&ACTIONS[..])), 0..14),
    )
        .prop_map(move |(regime, request_type, steps)| {
            let steps = steps.into_iter().map(|(after, what)| (after * hours, what)).collect();
            (regime, request_type, steps)
        })
}

proptest! {
    #[test]
    fn no_sequence_of_actions_reaches_an_illegal_state((regime, request_type, steps) in any_steps()) {
        let calendar = Calendar::default();
        let mut request = opened(regime, request_type, "2026-03-05");
        let mut last = request.opening().received_at;
        for (after, what) in steps {
            let before = request.clone();
            let step = Step { at: last.plus_millis(after), by: Actor::System, action: action(what) };
            let Ok(next) = apply(&request, step.clone(), &calendar) else { continue };
            prop_assert!(step.at >= last);
            last = step.at;
            // Nothing leaves a closed state; only recipients speak after it.
            if before.status().is_closed() {
                prop_assert_eq!(next.status(), before.status());
                prop_assert_eq!(what, "tell");
            }
            prop_assert_eq!(next.history().len(), before.history().len() + 1);
            prop_assert_eq!(&next.history()[..before.history().len()], before.history());
            if next.status() == Status::Completed && request_type.needs_identity() {
                prop_assert!(next.identity_confirmed_at().is_some());
            }
            if next.status() == Status::IdentityCheck {
                prop_assert!(request_type.may_ask_identity(regime));
            }
            prop_assert_eq!(next.status().is_closed(), next.closed_at().is_some());
            let extended = next.history().iter().filter(|step| step.action.name() == "extend").count();
            prop_assert!(extended <= 1 && (extended == 0 || regime != Regime::Lgpd));
            let stored = serde_json::to_string(&next).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Request>(&stored).unwrap(), &next);
            request = next;
        }
    }

    #[test]
    fn a_step_never_brings_the_deadline_nearer((regime, request_type, steps) in any_steps(), later in 0..3_000_i64) {
        let calendar = Calendar::default();
        let mut request = opened(regime, request_type, "2026-03-05");
        let mut last = request.opening().received_at;
        for (after, what) in steps {
            let step = Step { at: last.plus_millis(after), by: Actor::System, action: action(what) };
            let Ok(next) = apply(&request, step.clone(), &calendar) else { continue };
            let (before, now) = (clock(&request, &calendar, step.at), clock(&next, &calendar, step.at));
            prop_assert!(now.answer_by >= before.answer_by, "{}", what);
            prop_assert!(!now.is_paused || next.status() == Status::IdentityCheck);
            prop_assert!(!now.is_paused || regime == Regime::Gdpr);
            prop_assert_eq!(now.is_overdue, now.days_left < 0);
            let then = clock(&next, &calendar, step.at.plus_millis(later * 3_600_000));
            prop_assert!(then.answer_by >= now.answer_by);
            prop_assert!(!now.is_overdue || then.is_overdue);
            prop_assert!(!next.status().is_closed() || then == now);
            (request, last) = (next, step.at);
        }
    }
}
