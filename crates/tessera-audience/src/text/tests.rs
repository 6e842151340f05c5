use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cases::Case;

#[test]
fn texts_of_people_are_read() {
    for (text, printed) in [
        (
            "orders in last 30 days >= 2 and not plan = \"pro\"",
            "count of \"orders\" in last 30 days >= 2 and not plan = \"pro\"",
        ),
        (
            "performed \"Order Completed\" where total > 50 at least 2 times in last 30 days",
            "count of \"Order Completed\" where total > 50 in last 30 days >= 2",
        ),
        (
            "\"Product Viewed\" then \"Order Completed\" within 1 day without \"Cart Cleared\"",
            "\"Product Viewed\" then \"Order Completed\" within 1 day without \"Cart Cleared\"",
        ),
        (
            "\"Checkout Started\" then no \"Order Completed\" within 60 minutes in last 1 week",
            "\"Checkout Started\" then no \"Order Completed\" within 60 minutes in last 1 week",
        ),
        ("performed any event in this month", "performed any event in this month"),
        ("page today", "performed \"page\" in this day"),
        ("not performed page", "not performed \"page\""),
        (
            "plan in (\"pro\", \"team\") or (a = 1 and b != -2.50)",
            "plan in (\"pro\", \"team\") or (a = 1 and b != -2.5)",
        ),
        ("(a + b) * 2 >= c / 3", "(a + b) * 2 >= c / 3"),
        (
            "sum of total of Order in last 90 days > 3 * average of total of Order",
            "sum of total of \"Order\" in last 90 days > 3 * average of total of \"Order\"",
        ),
        ("preference frequency = \"weekly\"", "`preferences.frequency` = \"weekly\""),
        ("`first name`.`the \\`first\\``.x exists", "`first name`.`the \\`first\\``.x exists"),
        (
            "age of born >= 18 and anniversary of born within 7 days",
            "age of born >= 18 and anniversary of born within 7 days",
        ),
        ("trial_ends_at within next 3 days", "trial_ends_at within next 3 days"),
        (
            "seen more than 30 days ago or seen since 2026-01-01",
            "seen more than 30 days ago or seen since 2026-01-01",
        ),
        (
            "member of big-spenders and consent marketing.email is valid",
            "member of big-spenders and consent marketing.email is valid",
        ),
        (
            "subscription email topic \"news\" is did_not_subscribe",
            "subscription email topic \"news\" is did_not_subscribe",
        ),
        ("sample 10% to 55% of \"spring\"", "sample 10% to 55% of \"spring\""),
        (
            "account plan = \"x\" and is_vip is true and tags has \"a\"",
            "account plan = \"x\" and is_vip = true and tags = \"a\"",
        ),
        (
            "count of A where (x > 1 and not y exists) from 60 days ago to 30 days ago >= 1",
            "performed \"A\" where (x > 1 and not y exists) from 60 days ago to 30 days ago",
        ),
        (
            "rfm of Order by total recency (30 days, 90 days) frequency (2) monetary (100) starts with \"3\"",
            "rfm of \"Order\" by total recency (30 days, 90 days) frequency (2) monetary (100) starts with \"3\"",
        ),
        (
            "count = 1 and any = 2 and sample exists and consent contains \"x\"",
            "count = 1 and any = 2 and sample exists and consent contains \"x\"",
        ),
    ] {
        let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(condition.to_string(), printed);
        assert_eq!(Condition::parse(printed).as_ref(), Ok(&condition), "{printed}");
    }
}

#[test]
fn every_example_of_the_reference_is_read() {
    let page = include_str!("../../../../docs/reference/audiences.md");
    let mut examples = 0;
    for block in page.split("```text\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            let condition = Condition::parse(line).unwrap_or_else(|error| panic!("{line}\n{error}"));
            assert_eq!(Condition::parse(&condition.to_string()), Ok(condition), "{line}");
            examples += 1;
        }
    }
    let computed = page.split("| kind | `value` |").nth(1).unwrap().split("\n\n").next().unwrap();
    for value in computed.lines().skip(2).flat_map(|row| row.split('`').skip(1).step_by(2)) {
        let value = value.trim_end_matches(" ...");
        if value != "distinct of" {
            Operand::parse(value).unwrap_or_else(|error| panic!("{value}\n{error}"));
            examples += 1;
        }
    }
    assert!(examples >= 40, "{examples}");
}

#[test]
fn a_text_and_yaml_are_the_same_tree() {
    let text = Condition::parse("performed \"Order\" where total >= 5 in previous 2 months").unwrap();
    let tree = json!({ "value": {
        "of": { "aggregate": {
            "take": "count",
            "of": { "name": "Order", "where": { "property": { "path": "total", "test": { "at_least": 5 } } } },
            "window": { "previous": { "count": 2, "unit": "month" } },
        } },
        "test": { "at_least": 1 },
    } });
    assert_eq!(serde_json::to_value(&text).unwrap(), tree);
}

#[test]
fn errors_point_at_the_column_and_say_what_may_have_been_meant() {
    for (text, report) in [
        (
            "plan = ",
            "TES-A021: line 1, column 7: expected a condition or a value, as in `plan = \"pro\"` or `performed \"Order Completed\"`\n  plan = \n        ^",
        ),
        (
            "orders in last 30 dyas >= 2",
            "TES-A021: line 1, column 19: expected a unit of time: second, minute, hour, day, week, month, year\n  orders in last 30 dyas >= 2\n                    ^\nhint: did you mean `day`?",
        ),
        ("consent x is vlaid", "hint: did you mean `valid`?"),
        ("plan = \"pro", "column 8: expected a closing `\"` to this one"),
        ("a = 1\nand b contians \"x\"", "line 2, column 7: expected a test:"),
        ("a = 1\nand b contians \"x\"", "hint: did you mean `contains`?"),
        ("(a = 1", "expected `)`"),
        ("a = 1 b = 2", "expected `and`, `or`, or the end"),
        ("performed", "expected an event's name, or `any event`"),
        ("a matches \"(\"", "expected a pattern is"),
        ("a ? 1", "column 3: expected a name, a value or a sign"),
    ] {
        let error = Condition::parse(text).unwrap_err().to_string();
        assert!(error.contains(report), "{text}\n{error}\n{report}");
    }
}

#[test]
fn a_text_that_nests_too_deep_is_refused() {
    for text in
        ["(".repeat(50_000), "not ".repeat(10_000), "whether (".repeat(5_000), "a where (".repeat(5_000)]
    {
        assert!(Condition::parse(&text).is_err());
        assert!(Operand::parse(&text).is_err());
    }
    assert!(Condition::parse(&"a".repeat(TEXT_BYTES_MAX + 1)).is_err());
}

const PIECES: &str = r#"
    and or not in is of where then no within without performed any event all last this previous 30 days day ( ) ,
    = >= - + * / % "a" a a.b count sum first time age rfm by recency frequency monetary whether consent
    subscription topic sample member anniversary today from to ago until ever exists contains more than at least
    times 2026-01-01 true valid has overall 1.5 "
"#;

/// Pieces that the grammar knows, so that random texts get somewhere.
fn pieces() -> impl Strategy<Value = String> {
    let words: Vec<&str> = PIECES.lines().flat_map(str::split_whitespace).chain(["`b c`"]).collect();
    prop::collection::vec(prop::sample::select(words), 0..40).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_tree_prints_to_a_text_that_parses_to_it(numbers in prop::collection::vec(any::<u32>(), 0..600)) {
        let definitions = Case::choose(&numbers).definitions;
        for audience in definitions.audiences {
            let text = audience.when.to_string();
            let again = Condition::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
            prop_assert_eq!(again, audience.when, "{}", text);
        }
        for computed in definitions.traits {
            let text = computed.value.to_string();
            let again = Operand::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}\n{error}")))?;
            prop_assert_eq!(again, computed.value, "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_prints_to_itself(
        text in prop_oneof![any::<String>(), pieces(), "[a-z0-9\"`()=<> .,%\\\\-]{0,60}"],
    ) {
        match Condition::parse(&text) {
            Ok(condition) => prop_assert_eq!(Condition::parse(&condition.to_string()), Ok(condition)),
            Err(error) => prop_assert!(error.to_string().contains("TES-A021")),
        }
    }
}
