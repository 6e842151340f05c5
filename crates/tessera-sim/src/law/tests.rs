//! The comparison on fixed seeds, on itself, and on rules that the model ignores.

use super::cases::case;
use super::history::Date;
use super::{Rule, both, examine, tell};

/// Histories within which the loss of any rule must show.
const NOTICED_WITHIN: u64 = 400;

/// The first seed whose history shows that the model ignores a rule, and the story, shrunk.
fn first_story(rule: Rule) -> Option<(u64, String)> {
    (1..=NOTICED_WITHIN).find_map(|seed| {
        // Not only the reason: the one says yes and the other no.
        let found = both(&case(seed), &[rule]).err().filter(|found| !found.is_reason_only)?;
        Some((seed, tell(case(seed), found, &[rule])))
    })
}

#[test]
fn the_gate_agrees_with_a_naive_reading_of_the_law() {
    let report = examine(300, 1, &[]);
    assert!(report.stories.is_empty(), "{}", report.stories.join("\n"));
    assert!(report.decisions > 5_000, "{report:?}");
    let yes_pct = report.permitted * 100 / report.decisions;
    assert!((10..=60).contains(&yes_pct), "neither always yes nor always no: {report:?}");
}

#[test]
fn the_loss_of_any_rule_is_noticed() {
    for rule in Rule::ALL {
        let story = first_story(rule);
        assert!(story.is_some(), "{rule:?} makes no difference in {NOTICED_WITHIN} histories");
    }
}

#[test]
fn a_story_of_a_lost_rule_is_short() {
    let story = |rule| first_story(rule).unwrap().1;
    insta::assert_snapshot!(story(Rule::Stricter), @r"
    purpose p2 v2: PublicTask
    purpose p3 v2: Consent
    source s0: p2
    day 9 +1 ms: s0 sends consent #3 by anonymous_id:tablet user_id:bob; p3 withdrawn
    day 15: s0 sends identify #6 by user_id:bob; p3 given
    day 23: ask
    day 23: may anything of anonymous_id:tablet be used for p3?
      the law: yes: Consent
      Tessera: no: withdrawn
    ");
    insta::assert_snapshot!(story(Rule::Validity), @r"
    purpose p1 v1: LegitimateInterests
    purpose p2 v2: Consent, consent valid 3 days
    source s1: p1
    day 1 +1 h: s1 sends consent #0 by email:a@x.org; p2 given
    day 14: ask
    day 14: may anything of email:a@x.org be used for p2?
      the law: yes: Consent
      Tessera: no: expired
    ");
    insta::assert_snapshot!(story(Rule::Reconsent), @r"
    purpose p1 v1: Consent
    source s0: p1
    day 4: s0 sends consent #5 by user_id:ada; p1 given
    day 9 +1 ms: purpose p1 v2: Consent, yes to v2 or later from day 9 +1 ms
    day 10 +1 h: ask
    day 10 +1 h: may anything of user_id:ada be used for p1?
      the law: yes: Consent
      Tessera: no: outdated
    ");
    insta::assert_snapshot!(story(Rule::Restriction), @r"
    purpose p0 v2: LegitimateInterests
    source s1: p0
    day 10 +1 h: s1 sends identify #9 by email:a@x.org
    day 12: order #11 by email:a@x.org; restricted
    day 13: ask
    day 13: may anything of email:a@x.org be used for p0?
      the law: yes: LegitimateInterests
      Tessera: no: restricted
    ");
    insta::assert_snapshot!(story(Rule::Signal), @r"
    purpose p1 v1: LegitimateInterests, sale
    source s1: p1
    day 13 +1 h: s1 sends identify #7 by user_id:ada, Sec-GPC: 1
    day 13 +1 h: is #7 kept?
      the law: for p1
      Tessera: no: objected
    ");
}

#[test]
fn one_seed_is_one_history() {
    assert_eq!(case(7), case(7));
    assert_ne!(case(7), case(8));
}

#[test]
fn days_are_those_of_the_calendar() {
    for (at, day) in [
        (0, "1970-01-01"),
        (951_782_399_999, "2000-02-28"),
        (951_782_400_000, "2000-02-29"),
        (1_709_251_199_999, "2024-02-29"),
        (1_709_251_200_000, "2024-03-01"),
        (1_700_006_400_000, "2023-11-15"),
    ] {
        assert_eq!(Date::of(at).to_string(), day);
        assert_eq!(Date::parse(day), Some(Date::of(at)));
    }
    for text in ["2023-02-29", "2023-13-01", "2023-00-10", "2023-1-1", "15/11/2023", ""] {
        assert_eq!(Date::parse(text), None, "{text}");
    }
}
