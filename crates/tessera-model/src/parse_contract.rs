//! Events of a source that has a tracking plan: checked while they are parsed, so that whoever parses a body again - a
//! replay, an erasure - comes to the same.
//!
//! Not the gate: what the plan refuses is still an [`Event`], for only the gate knows whether anything of it may be
//! kept. Invariant: an event with stripped fields says what the same event sent without those fields would say, and
//! `context.violations` besides.

use bytes::Bytes;
use serde_json::value::RawValue;
use tessera_contract::{Checked, Contract, OnViolation, Strip};

use crate::event::Event;
use crate::parse::{Draft, Entries, Problem, Whole, json_problem};
use crate::{Entrance, Reject, RejectCode, wire};

/// What an event is refused for by its tracking plan, if it is.
#[must_use]
pub fn refusal(event: &Event) -> Option<Reject> {
    let checked = event.refused()?;
    let code = match checked.reaction {
        OnViolation::Block => RejectCode::Blocked,
        OnViolation::Allow | OnViolation::Pass | OnViolation::Strip | OnViolation::Quarantine => {
            RejectCode::Quarantined
        }
    };
    Some(Reject::new(code, checked.reason(), event.json.as_str().as_bytes()))
}

/// Parses an event under a plan.
pub(crate) fn event(
    contract: &Contract,
    draft: &Draft<'_>,
    entrance: Entrance,
    index: u32,
) -> Result<Event, Problem> {
    let named = draft.wire.kind.as_ref().map(wire::Text::as_str);
    let Some(call) = entrance.call().or(named) else { return draft.event(entrance, index) };
    let (name, fields) = match call {
        "track" => (draft.wire.event.as_ref(), draft.wire.properties),
        "page" | "screen" => (draft.wire.name.as_ref(), draft.wire.properties),
        "identify" | "group" => (None, draft.wire.traits),
        // What a person says about purposes is never refused, and neither is that two ids are one.
        _ => return draft.event(entrance, index),
    };
    let mut root = if matches!(call, "identify" | "group") { "traits" } else { "properties" };
    let mut fields = fields.filter(|raw| raw.get() != "null");
    if call == "identify" && fields.is_none() {
        (root, fields) = ("context.traits", draft.details()?.traits);
    }
    let planned = contract.find(call, name.map(wire::Text::as_str));
    let (checked, strip) = contract.check(planned, fields.map(RawValue::get), root);
    let mut event = match checked.has_violations() && !checked.reaction.refuses() {
        false => draft.event(entrance, index)?,
        true => marked(draft, &checked, (root, &strip), entrance, index)?,
    };
    event.checked = Some(Box::new(checked));
    Ok(event)
}

/// The event without what is stripped, and with its mark.
fn marked(
    draft: &Draft<'_>,
    checked: &Checked,
    strip: (&str, &Strip),
    entrance: Entrance,
    index: u32,
) -> Result<Event, Problem> {
    let text = rewritten(draft, checked, strip).map_err(|error| json_problem(&error))?;
    let body = Bytes::from(text);
    let text = std::str::from_utf8(&body).unwrap_or_default();
    let read = |error: serde_json::Error| json_problem(&error);
    let raw: &RawValue = serde_json::from_str(text).map_err(read)?;
    let wire: wire::Call<'_> = serde_json::from_str(text).map_err(read)?;
    // What the batch said of the context stands in the event's own by now.
    let whole = Whole { body: &body, context: None, ..*draft.whole };
    Draft { wire: &wire, raw, whole: &whole, context: draft.context }.event(entrance, index)
}

fn rewritten(draft: &Draft<'_>, checked: &Checked, strip: (&str, &Strip)) -> serde_json::Result<String> {
    let Entries(members) = serde_json::from_str(draft.raw.get())?;
    let mut out = Object::new();
    for (name, value) in members {
        match name.as_str() {
            "context" => {}
            name if name == strip.0 => out.filtered(name, value, strip.1)?,
            name => out.member(name, value.get())?,
        }
    }
    let context = draft.wire.context.or(draft.whole.context).filter(|raw| raw.get() != "null");
    out.member("context", &context_of(context, checked, strip)?)?;
    Ok(out.end())
}

fn context_of(
    context: Option<&RawValue>,
    checked: &Checked,
    (root, strip): (&str, &Strip),
) -> serde_json::Result<String> {
    let mut out = Object::new();
    let members = context.map(|raw| serde_json::from_str::<Entries<'_>>(raw.get())).transpose()?;
    for (name, value) in members.into_iter().flat_map(|Entries(members)| members) {
        match name.as_str() {
            "violations" => {}
            "traits" if root == "context.traits" => out.filtered("traits", value, strip)?,
            name => out.member(name, value.get())?,
        }
    }
    out.member("violations", &checked.mark().to_string())?;
    Ok(out.end())
}

/// The text of a JSON object, member by member.
struct Object(String);

impl Object {
    fn new() -> Self {
        Self("{".to_owned())
    }

    fn member(&mut self, name: &str, value: &str) -> serde_json::Result<()> {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&serde_json::to_string(name)?);
        self.0.push(':');
        self.0.push_str(value);
        Ok(())
    }

    /// A member without what is stripped of it; nothing at all of it when that is the whole.
    fn filtered(&mut self, name: &str, value: &RawValue, strip: &Strip) -> serde_json::Result<()> {
        if strip.is_nothing() {
            return self.member(name, value.get());
        }
        if *strip == Strip::Whole {
            return Ok(());
        }
        let Entries(members) = serde_json::from_str(value.get())?;
        let mut inner = Self::new();
        for (name, value) in members.iter().filter(|(name, _)| !strip.takes(name.as_str())) {
            inner.member(name.as_str(), value.get())?;
        }
        self.member(name, &inner.end())
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Document, HashKey, ParseContext, RequestId, Rules, SourceName, Timestamp, Workspace, parse_body,
    };

    fn rules(on_violation: Option<&str>) -> Rules {
        let mut documents = json!([
            {"kind": "Purpose", "name": "service", "basis": "contract"},
            {"kind": "Source", "name": "web", "write_key": "web-write-key", "purposes": ["service"],
             "purposes_from": "properties.purposes"},
            {"kind": "Namespace", "name": "card", "from": ["properties.card", "traits.card", "context.traits.card"]},
        ]);
        let text = json!({"type": "string"});
        if let (Some(on_violation), Value::Array(documents)) = (on_violation, &mut documents) {
            documents.push(json!({
                "kind": "TrackingPlan", "name": "shop", "sources": ["web"], "on_violation": on_violation,
                "unplanned_properties": "strip",
                "events": {
                    "Seen": {"schema": {"properties": {"card": text, "total": {"type": "number"}, "purposes": {}}}},
                    "identify": {"schema": {"properties": {"card": text, "email": text, "birthday": text}}},
                },
            }));
        }
        let documents: Vec<Document> = serde_json::from_value(documents).unwrap();
        Rules::new(0, Workspace::new(documents).unwrap()).unwrap()
    }

    fn parse(rules: &Rules, event: &Value) -> Result<Event, Reject> {
        let source = SourceName::parse("web").unwrap();
        let context = ParseContext {
            rules,
            key: &HashKey::new([7; 32]),
            source: &source,
            received_at: Timestamp::from_millis(1_700_000_000_000),
            request_id: RequestId(1),
            gpc: false,
        };
        let body = Bytes::from(json!({"batch": [event], "context": {"ip": "10.0.0.1"}}).to_string());
        parse_body(&body, Entrance::Batch, &context).unwrap().remove(0)
    }

    fn fields() -> impl Strategy<Value = serde_json::Map<String, Value>> {
        let value =
            prop_oneof![Just(json!("c1")), Just(json!(5)), Just(json!(null)), Just(json!(["service"]))];
        let name = "(card|total|email|birthday|purposes|odd)";
        proptest::collection::btree_map(name, value, 0..5).prop_map(|members| members.into_iter().collect())
    }

    /// The fields that the plan does not permit, by a reading of their own.
    fn is_stripped(call: &str, name: &str, value: &Value) -> bool {
        match (call, name) {
            (_, "card") | ("identify", "email" | "birthday") => !value.is_string(),
            ("track", "total") => !value.is_number(),
            ("track", "purposes") => false,
            _ => true,
        }
    }

    proptest! {
        #[test]
        fn a_stripped_event_is_the_event_sent_without_those_fields(
            fields in fields(), call in "(track|identify)", is_in_context in any::<bool>(), own_context in any::<bool>(),
        ) {
            let event = |fields: &serde_json::Map<String, Value>| {
                let mut event = json!({"type": call, "event": "Seen", "userId": "u1", "messageId": "m1"});
                if own_context {
                    event["context"] = json!({"locale": "de"});
                }
                match (call.as_str(), is_in_context) {
                    ("track", _) => event["properties"] = json!(fields),
                    (_, false) => event["traits"] = json!(fields),
                    (_, true) => event["context"] = json!({"traits": fields}),
                }
                event
            };
            let mut left = fields.clone();
            left.retain(|name, value| !is_stripped(&call, name, value));
            let stripped = parse(&rules(Some("strip")), &event(&fields)).unwrap();
            let mut plain = parse(&rules(None), &event(&left)).unwrap();
            prop_assert_eq!(stripped.checked.as_ref().unwrap().has_violations(), left != fields);
            let mut json: Value = serde_json::from_str(stripped.json.as_str()).unwrap();
            let mut expected: Value = serde_json::from_str(plain.json.as_str()).unwrap();
            if left != fields {
                // What the batch says of the context stands in the event now, and so does the mark.
                prop_assert!(json["context"]["violations"].is_array());
                json["context"].as_object_mut().unwrap().remove("violations");
                if expected.get("context").is_none() {
                    expected["context"] = json!({"ip": "10.0.0.1"});
                }
            }
            prop_assert_eq!(json, expected);
            (plain.json, plain.checked) = (stripped.json.clone(), stripped.checked.clone());
            prop_assert_eq!(stripped, plain);
        }

        #[test]
        fn a_plan_that_passes_or_refuses_changes_no_field(fields in fields(), on_violation in "(pass|block|quarantine)") {
            let event = json!({"type": "track", "event": "Seen", "userId": "u1", "messageId": "m1", "properties": fields});
            let mut documents = rules(Some(&on_violation)).workspace.documents().cloned().collect::<Vec<_>>();
            for document in &mut documents {
                if let Document::TrackingPlan(plan) = document {
                    plan.unplanned_properties = OnViolation::Allow;
                }
            }
            let rules_of = Rules::new(0, Workspace::new(documents).unwrap()).unwrap();
            let mut checked = parse(&rules_of, &event).unwrap();
            let plain = parse(&rules(None), &event).unwrap();
            let has_violations = checked.checked.as_ref().unwrap().has_violations();
            prop_assert_eq!(checked.refused().is_some(), has_violations && on_violation != "pass");
            (checked.json, checked.checked) = (plain.json.clone(), None);
            prop_assert_eq!(checked, plain);
        }
    }

    #[test]
    fn what_was_sent_as_a_mark_gives_way_to_the_plans_own() {
        let event = json!({
            "type": "track", "event": "Seen", "userId": "u1", "properties": {"total": "7"},
            "context": {"violations": "none, believe me", "page": {"path": "/"}},
        });
        let parsed = parse(&rules(Some("pass")), &event).unwrap();
        let json: Value = serde_json::from_str(parsed.json.as_str()).unwrap();
        assert_eq!(json["context"]["page"], json!({"path": "/"}));
        assert_eq!(
            json["context"]["violations"],
            json!([{"plan": "shop", "version": 1, "path": "properties.total", "keyword": "type",
                    "expected": "number", "reaction": "pass"}])
        );
        assert_eq!(json["properties"], json!({"total": "7"}));
    }

    #[test]
    fn properties_that_are_no_object_are_stripped_whole() {
        let mut documents = rules(Some("strip")).workspace.documents().cloned().collect::<Vec<_>>();
        for document in &mut documents {
            if let Document::TrackingPlan(plan) = document {
                plan.events.get_mut("Seen").unwrap().schema = Some(json!({"type": "object"}));
            }
        }
        let rules = Rules::new(0, Workspace::new(documents).unwrap()).unwrap();
        let event = json!({"type": "track", "event": "Seen", "userId": "u1", "properties": ["ada"]});
        let json: Value = serde_json::from_str(parse(&rules, &event).unwrap().json.as_str()).unwrap();
        assert_eq!((json.get("properties"), json["context"]["violations"].is_array()), (None, true));
    }
}
