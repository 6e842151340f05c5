use super::*;

fn number(text: &str) -> Option<Number> {
    Number::parse(text)
}

#[test]
fn numbers_have_six_places_and_round_ties_to_even() {
    for (text, written) in [
        ("19.99", "19.99"),
        ("-0.5", "-0.5"),
        ("1e3", "1000"),
        ("0.0078125", "0.007812"),
        ("0.0234375", "0.023438"),
        ("9007199254740993", "9007199254740993"),
    ] {
        assert_eq!(number(text).map(|n| n.to_string()).as_deref(), Some(written), "{text}");
    }
    assert_eq!(number("1e20"), None);
    assert_eq!(number("-1e300"), None);
}

#[test]
fn arithmetic_is_exact_to_six_places_and_never_overflows() {
    let [one, two, three] = [1, 2, 3].map(Number::from_integer);
    let large = Number::from_f64(9e19).unwrap();
    assert_eq!(one.over(three).unwrap().to_string(), "0.333333");
    assert_eq!(two.over(three).unwrap().to_string(), "0.666667");
    assert_eq!(Number::from_integer(-2).over(three).unwrap().to_string(), "-0.666667");
    assert_eq!(one.over(Number::default()), None);
    assert_eq!(large.times(large), None);
    assert_eq!(large.plus(large), None);
    assert_eq!(large.over(large), Some(one));
    assert_eq!(Number::mean(0, 0), None);
    assert_eq!(Number::mean(25, 10).unwrap().micros(), 2);
    assert_eq!(Number::mean(-35, 10).unwrap().micros(), -4);
}

#[test]
fn a_path_is_read_as_it_is_written() {
    for (text, names) in [
        ("plan", vec!["plan"]),
        ("a.b", vec!["a", "b"]),
        (r"preferences\.topic.x", vec!["preferences.topic", "x"]),
    ] {
        let path: Path = text.parse().unwrap();
        assert_eq!(path.names(), names);
        assert_eq!(path.to_string(), text);
    }
    for text in ["", ".", "a.", "a..b", "a\\"] {
        assert_eq!(text.parse::<Path>(), Err(NotAPath), "{text}");
    }
}

#[test]
fn longer_windows_move_in_longer_steps() {
    for (text, step) in [
        ("60 minutes", 1_000),
        ("61 minutes", 60_000),
        ("2 days", 60_000),
        ("90 days", 3_600_000),
        ("3 months", 3_600_000),
        ("91 days", 86_400_000),
        ("10 years", 86_400_000),
    ] {
        assert_eq!(text.parse::<Duration>().unwrap().step_millis(), step, "{text}");
    }
    for text in ["0 days", "11 years", "1.5 days", "days", "3 fortnights", "-1 day"] {
        assert_eq!(text.parse::<Duration>(), Err(NotADuration), "{text}");
    }
}

#[test]
fn an_audience_is_read_from_json_and_written_as_it_was() {
    let json = serde_json::json!({
        "name": "big-spenders",
        "purpose": "marketing.email",
        "time_zone": "Europe/Berlin",
        "when": { "all": [
            { "value": {
                "of": { "aggregate": {
                    "take": "count",
                    "of": {
                        "name": "Order Completed",
                        "where": { "property": { "path": "total", "test": { "greater": 19.5 } } },
                    },
                    "window": { "last": "30 days" },
                } },
                "test": { "at_least": 2 },
            } },
            { "not": { "value": { "of": { "trait": "plan" }, "test": { "equals": "pro" } } } },
            { "consent": { "purpose": "marketing.email", "is": "withdrawn" } },
            { "consent": { "purpose": "marketing.email", "is": "unknown" } },
            { "date": { "of": { "trait": "trial_ends_at" }, "is": { "next": "1 week" } } },
            { "sample": { "seed": "spring", "to": 12.5 } },
        ] },
    });
    let audience: Audience = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&audience).unwrap(), json);
}

#[test]
fn an_unknown_field_is_refused_by_its_name() {
    let json = serde_json::json!({ "of": { "trait": "plan" }, "test": "exists", "tset": 1 });
    let error = serde_json::from_value::<ValueTest>(json).unwrap_err().to_string();
    assert!(error.contains("tset"), "{error}");
}
