//! Schemas that must not get as far as an event.

use serde_json::{Value, json};

use crate::Schema;

/// Checks that `schema` is refused at `pointer` for a reason that names `what`.
fn refused(schema: &Value, pointer: &str, what: &str) {
    let problem = Schema::compile(schema).expect_err("it is refused");
    assert_eq!(problem.pointer, pointer, "{problem:?}");
    assert!(problem.what.contains(what), "{what:?} is not in {problem:?}");
    assert!(!problem.hint.is_empty());
}

#[test]
fn unknown_keywords_formats_and_dialects_are_refused_where_they_stand() {
    refused(&json!({"properties": {"a": {"typ": "string"}}}), "/properties/a/typ", "`typ` is not known");
    refused(&json!({"properties": {"a/b": {"format": "colour"}}}), "/properties/a~1b/format", "not known");
    refused(&json!({"$schema": "http://json-schema.org/draft-03/schema#"}), "/$schema", "not known");
    refused(&json!({"unevaluatedProperties": false}), "/unevaluatedProperties", "not known");
    refused(&json!({"$dynamicRef": "#x"}), "/$dynamicRef", "not known");
    refused(&json!(7), "", "is no schema");
}

#[test]
fn keywords_with_the_wrong_value_are_refused_where_they_stand() {
    refused(&json!({"properties": {"a": {"type": "text"}}}), "/properties/a/type", "text");
    refused(&json!({"minimum": "0"}), "/minimum", "0");
    refused(&json!({"allOf": {}}), "/allOf", "is no list");
    refused(&json!({"properties": []}), "/properties", "is no object");
}

#[test]
fn references_that_leave_or_go_in_circles_are_refused() {
    let outside = "refers outside";
    refused(&json!({"$ref": "https://example.com/schema.json"}), "/$ref", outside);
    refused(&json!({"$ref": "file:///etc/passwd"}), "/$ref", outside);
    let twice = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
    let node = json!({"properties": {"next": {"$ref": "#/$defs/node"}}});
    let tree = json!({"$ref": "#/$defs/node", "$defs": {"node": node}});
    for circle in [json!({"$ref": "#"}), twice, tree] {
        let problem = Schema::compile(&circle).unwrap_err();
        assert!(problem.what.contains("circle") && problem.pointer.ends_with("/$ref"), "{problem:?}");
    }
    refused(&json!({"properties": {"a": {"$ref": "#/$defs/b"}}}), "/properties/a/$ref", "refers to nothing");
}

#[test]
fn schemas_that_grow_when_references_are_followed_are_refused() {
    let mut definitions = serde_json::Map::new();
    for level in 0..12 {
        let next = json!({"$ref": format!("#/$defs/l{}", level + 1)});
        definitions.insert(format!("l{level}"), json!({"anyOf": [next, next]}));
    }
    definitions.insert("l12".to_owned(), json!({"type": "string"}));
    let schema = json!({"$defs": definitions, "$ref": "#/$defs/l0"});
    let problem = Schema::compile(&schema).unwrap_err();
    assert!(problem.what.contains("more than 2000 parts"), "{problem:?}");
}

#[test]
fn huge_and_deep_schemas_are_refused() {
    let huge = json!({"description": "x".repeat(70_000)});
    refused(&huge, "", "the limit is 65536");
    let mut deep = json!({});
    for _ in 0..40 {
        deep = json!({"items": deep});
    }
    assert!(Schema::compile(&deep).unwrap_err().what.contains("32 levels"));
    let long: Vec<u32> = (0..600).collect();
    refused(&json!({"enum": long}), "/enum", "more than 500");
}

#[test]
fn patterns_that_explode_are_refused_and_others_take_linear_time() {
    let bomb = json!({"properties": {"a": {"pattern": "((a{1000}){1000}){1000}"}}});
    let problem = Schema::compile(&bomb).unwrap_err();
    assert!(problem.pointer.starts_with("/properties/a"), "{problem:?}");
    refused(&json!({"pattern": "a".repeat(2_000)}), "/pattern", "limit of a pattern");
    assert!(
        Schema::compile(&json!({"pattern": "(?=a)b"})).is_err(),
        "an engine that backtracks would take it"
    );
    // What makes engines that backtrack run for ever is no matter here.
    let schema = Schema::compile(&json!({"pattern": "^(a+)+$"})).unwrap();
    assert!(!schema.validator.is_valid(&Value::String(format!("{}!", "a".repeat(30_000)))));
}
