//! Audiences at the API.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tessera_model::FragmentId;
use tessera_pipeline::AppenderOptions;

use super::world::{World, documents};
use crate::queries::RecomputeAnswer;
use crate::{
    AccessSettings, Answering, AskingEverybody, EverybodyAsked, Limits, Queries, QueryAnswer, QueryAsked,
    QueryRefusal, RecomputeAsked, Recomputing,
};

/// A lake that has lost every event, and answers what it is told to.
#[derive(Default)]
struct Lost(Mutex<BTreeSet<FragmentId>>);

impl Queries for Lost {
    fn media_types(&self) -> &[&'static str] {
        &["application/json"]
    }

    fn ask(&self, _: QueryAsked) -> Answering<'_> {
        let (profiles, fields) = (Vec::new(), BTreeSet::from(["event".to_owned()]));
        let answer = QueryAnswer { body: b"[]".to_vec(), rows: 0, people: 0, profiles, fields };
        Box::pin(async move { Ok(answer) })
    }

    fn recompute(&self, _: RecomputeAsked) -> Recomputing<'_> {
        let (only_stream, only_batch) = (self.0.lock().clone(), BTreeSet::from([FragmentId([9; 16])]));
        let answer = RecomputeAnswer { people: 3, agreed: 1, only_stream, only_batch, unsettled: 0 };
        Box::pin(async move { Ok(answer) })
    }

    fn everybody(&self, _: EverybodyAsked) -> AskingEverybody<'_> {
        Box::pin(async { Ok(None) })
    }

    fn catch_up(&self) -> Result<(), QueryRefusal> {
        Ok(())
    }
}

async fn world() -> World {
    world_with(World::new()).await
}

async fn world_with(world: World) -> World {
    let mut all = documents().as_array().unwrap().clone();
    all.push(json!({"kind": "ComputedTrait", "name": "spent", "purpose": "service",
        "value": "sum of total of \"Ordered\""}));
    all.push(json!({"kind": "Audience", "name": "buyers", "purpose": "service",
        "when": "performed \"Ordered\" and spent >= 10"}));
    all.push(json!({"kind": "Audience", "name": "fans", "purpose": "service", "when": "member of buyers"}));
    all.push(
        json!({"kind": "Audience", "name": "readers", "purpose": "marketing", "when": "performed Read"}),
    );
    let applied = world.put("/api/v1/workspace", &json!({ "documents": all })).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.text);
    for (user, total) in [("ada", 20), ("bob", 5), ("eve", 30)] {
        let event = json!({"userId": user, "event": "Ordered", "properties": {"total": total}});
        world.send("/v1/track", &event).await;
        world
            .send("/v1/identify", &json!({"userId": user, "traits": {"plan": format!("plan-{user}")}}))
            .await;
    }
    world
}

fn sorted(values: impl Iterator<Item = Value>) -> Vec<String> {
    let mut texts: Vec<String> = values.map(|value| value.as_str().unwrap_or_default().to_owned()).collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn definitions_are_listed_with_size_and_with_what_follows_from_what() {
    let world = world().await;
    let list = world.get("/api/v1/audiences").await.json();
    let line = |one: &Value| {
        let text = |name: &str| one[name].as_str().unwrap().to_owned();
        (text("name"), one["size"].as_u64().unwrap(), text("state"), one["used_by"].to_string())
    };
    let lines: Vec<_> = list["audiences"].as_array().unwrap().iter().map(line).collect();
    let wanted = [("buyers", 2, r#"["audience fans"]"#), ("fans", 2, "[]"), ("readers", 0, "[]")];
    let wanted = wanted.map(|(name, size, by)| (name.to_owned(), size, "live".to_owned(), by.to_owned()));
    assert_eq!(lines, wanted, "{list}");
    assert_eq!(list["audiences"][0]["uses"]["computed_traits"], json!(["spent"]), "{list}");
    assert_eq!(list["computed_traits"][0]["used_by"], json!(["audience buyers"]), "{list}");
    let shown = world.get("/api/v1/audiences/buyers").await.json();
    assert_eq!(shown["text"], r#"performed "Ordered" and spent >= 10"#, "{shown}");
    assert!(shown["tree"]["all"].is_array(), "{shown}");
    let missing = world.get("/api/v1/audiences/buyer").await;
    assert_eq!((missing.status, missing.code().as_str()), (StatusCode::NOT_FOUND, "TES-A090"));
    assert!(missing.text.contains("did you mean `buyers`?"), "{}", missing.text);
}

#[tokio::test]
async fn size_is_told_day_by_day_and_what_is_wrong_with_the_question_too() {
    let world = world().await;
    let told = world.get("/api/v1/audiences/buyers/size").await.json();
    assert_eq!((&told["audience"], &told["purpose"]), (&json!("buyers"), &json!("service")), "{told}");
    let days = told["days"].as_array().unwrap();
    let of = |day: &Value| ["entered", "exited", "size"].map(|name| day[name].as_u64().unwrap());
    assert_eq!((days.len(), of(&days[28]), of(&days[29])), (30, [0, 0, 0], [2, 0, 2]), "{told}");
    assert_eq!(days[29]["day"].as_str().unwrap().len(), "2026-11-22".len(), "{told}");
    let empty = world.get("/api/v1/audiences/readers/size?days=1").await.json();
    assert_eq!(empty["days"].as_array().unwrap().iter().map(of).collect::<Vec<_>>(), [[0, 0, 0]], "{empty}");
    for days in ["0", "3661", "-1", "many"] {
        let refused = world.get(&format!("/api/v1/audiences/buyers/size?days={days}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{days}: {}", refused.text);
        assert!(refused.text.contains("from 1 to 3,660"), "{}", refused.text);
    }
    let missing = world.get("/api/v1/audiences/buyer/size").await;
    assert_eq!((missing.status, missing.code().as_str()), (StatusCode::NOT_FOUND, "TES-A090"));
}

#[tokio::test]
async fn members_are_shown_page_by_page_and_exported_with_what_was_asked_for_alone() {
    let world = world().await;
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let page = world.get(&format!("/api/v1/audiences/buyers/members?limit=1{after}")).await.json();
        for member in page["members"].as_array().unwrap() {
            assert!(member["since"].is_string(), "{page}");
            names.push(member["profile"]["traits"]["plan"].clone());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(sorted(names.into_iter()), ["plan-ada", "plan-eve"]);
    let order = json!({"identifiers": ["user_id"], "traits": ["nothing"]});
    let page = world.post("/api/v1/audiences/buyers/export", &order).await.json();
    assert_eq!(page["columns"], json!(["profile_id", "since", "user_id", "nothing"]));
    let rows = page["rows"].as_array().unwrap();
    assert_eq!(sorted(rows.iter().map(|row| row[2].clone())), ["ada", "eve"]);
    assert!(rows.iter().all(|row| row[3].is_null()) && !page.to_string().contains("plan-"), "{page}");
    let evidence = world.get("/api/v1/evidence?limit=1000").await.text;
    assert!(evidence.contains("audience buyers"), "an export is on record: {evidence}");
    let twice = json!({"identifiers": ["user_id"], "traits": ["user_id"]});
    let refused = world.post("/api/v1/audiences/buyers/export", &twice).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_definition_is_checked_before_it_is_applied() {
    let world = world().await;
    let check = |when: &'static str| {
        let document = json!({"kind": "Audience", "name": "new", "purpose": "service", "when": when});
        json!({ "documents": [document] })
    };
    let wrong = world.post("/api/v1/definitions/check", &check("performed ")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("TES-A021: line 1, column 1"), "{}", wrong.text);
    let unknown = world.post("/api/v1/definitions/check", &check("member of buyer")).await;
    assert!(unknown.text.contains("did you mean `buyers`?"), "{}", unknown.text);
    let hinted = world.post("/api/v1/definitions/check", &check("plann = 1")).await.json();
    assert_eq!(hinted["definitions"][0]["text"], "plann = 1", "{hinted}");
    assert!(hinted["hints"][0]["hint"].as_str().unwrap().contains("`plan`"), "{hinted}");
    // What was only checked is not there.
    assert_eq!(world.get("/api/v1/audiences/new").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn why_somebody_is_a_member_is_told_from_what_the_purpose_permits() {
    let world = world().await;
    // No events are asked for, so no lake is needed; and nobody said yes to marketing.
    let denied = world.get("/api/v1/profiles/user_id:ada/audiences/readers").await;
    assert_eq!((denied.status, denied.code().as_str()), (StatusCode::FORBIDDEN, "TES-P001"));
    let nobody = world.get("/api/v1/profiles/user_id:zoe/audiences/buyers").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let preview =
        json!({"when": "plan = \"plan-ada\" or plan = \"plan-eve\"", "purpose": "service", "show": 1});
    let preview = world.post("/api/v1/definitions/preview", &preview).await.json();
    assert_eq!(preview["members"], json!({"people": 2, "least": 2, "most": 2}), "{preview}");
    assert_eq!((&preview["looked_at"], &preview["is_exact"]), (&json!(3), &json!(true)));
    let alone: Vec<&Value> =
        preview["conditions"]["parts"].as_array().unwrap().iter().map(|part| &part["alone"]).collect();
    assert_eq!(alone, [&json!(1), &json!(1)], "{preview}");
    assert_eq!(preview["sample"].as_array().unwrap().len(), 1);
    let wrong = json!({"when": "plan = ", "purpose": "service"});
    let wrong = world.post("/api/v1/definitions/preview", &wrong).await;
    assert_eq!((wrong.status, wrong.code().as_str()), (StatusCode::BAD_REQUEST, "TES-A021"));
    let without = world.post("/api/v1/definitions/preview", &json!({"when": "plan = 1"})).await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_definition_that_looks_at_what_its_purpose_may_not_use_is_refused_whichever_document_comes_last() {
    let world = world().await;
    let care =
        json!({"kind": "Purpose", "name": "care", "basis": "contract", "labels": ["special", "I1", "I2"]});
    let special = json!({"kind": "Field", "name": "traits.health.*", "labels": ["special"]});
    let of = |purpose: &str, name: &str, when: &str| json!({"kind": "Audience", "name": name, "purpose": purpose, "when": when});
    let score =
        json!({"kind": "ComputedTrait", "name": "score", "purpose": "care", "value": "health.points * 2"});
    let no = |what: &str| {
        Some(format!(
            "TES-A025: looks at `{what}, which has label `special`; purpose `service` does not list label `special`"
        ))
    };
    for (documents, refused) in [
        (vec![special.clone(), of("service", "ill", "health.blood = 0")], no("traits.health.blood`")),
        (vec![special.clone(), of("service", "ill", "health exists")], no("traits.health`")),
        (
            vec![special.clone(), of("service", "ill", "performed identify where health.blood = 0")],
            no("traits.health.blood`"),
        ),
        (
            vec![
                special.clone(),
                of("service", "ill", "performed identify where context.traits.health.a = 0"),
            ],
            no("context.traits.health.a`"),
        ),
        (vec![special.clone(), of("service", "ill", "healthy = 0")], None),
        // By way of others.
        (vec![special.clone(), care.clone(), score.clone(), of("care", "ill", "score > 2")], None),
        (
            vec![of("service", "served", "score > 2")],
            no("traits.health.points` by way of computed trait `score`"),
        ),
        (
            vec![of("service", "served", "not member of ill")],
            no("traits.health.points` by way of computed trait `score`"),
        ),
        // A label that comes later, to what stands.
        (vec![of("service", "rich", "sum of amount of \"Ordered\" > 5")], None),
        (
            vec![json!({"kind": "Field", "name": "properties.amount", "labels": ["special"]})],
            no("properties.amount`"),
        ),
    ] {
        let order = json!({ "documents": documents });
        let check = world.post("/api/v1/definitions/check", &order).await;
        let diff = world.post("/api/v1/workspace/diff", &order).await;
        let put = world.put("/api/v1/workspace", &order).await;
        for answer in [check, diff, put] {
            let told = answer.json()["problems"][0]["what"].as_str().map(str::to_owned);
            assert_eq!(told, refused, "{order}: {}", answer.text);
            assert_eq!(answer.status == StatusCode::OK, refused.is_none(), "{}", answer.text);
        }
    }
    for when in ["health.blood = 0", "not member of ill"] {
        let preview = json!({"when": when, "purpose": "service"});
        let refused = world.post("/api/v1/definitions/preview", &preview).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
        assert!(refused.text.contains("TES-A025"), "{}", refused.text);
    }
}

#[tokio::test]
async fn members_that_the_lake_does_not_bear_out_are_told_by_number_and_by_id() {
    let lost = Arc::new(Lost::default());
    let (options, limits) = (AppenderOptions::default(), Limits::default());
    let queries: Arc<dyn Queries> = Arc::clone(&lost) as _;
    let world = world_with(World::answering(options, limits, AccessSettings::default(), Some(queries))).await;
    let members = world.get("/api/v1/audiences/buyers/members").await.json();
    let ids = members["members"].as_array().unwrap().iter().map(|one| one["profile"]["id"].clone());
    let ids = sorted(ids);
    let order = json!({"audiences": ["buyers", "readers"]});
    let audit = world.post("/api/v1/definitions/audit", &order).await.json();
    let of = |number: usize| audit["audiences"][number].clone();
    assert_eq!(
        (&of(0)["audience"], &of(0)["members"], &of(0)["others"]),
        (&json!("buyers"), &json!(0), &json!(1))
    );
    assert_eq!((&of(0)["only_stream"]["people"], &of(0)["unsettled"]), (&json!(2), &json!(0)), "{audit}");
    assert_eq!(sorted(of(0)["only_stream"]["profiles"].as_array().unwrap().iter().cloned()), ids, "{audit}");
    assert_eq!((&of(1)["others"], &of(1)["only_oracle"]["people"]), (&json!(3), &json!(0)), "{audit}");
    // Whoever is not there, or may not be seen, is counted and not named.
    lost.0.lock().insert(ids[0].parse().unwrap());
    let told = world.post("/api/v1/audiences/buyers/recompute", &json!({})).await.json();
    assert_eq!(told["only_stream"], json!({"people": 1, "profiles": [ids[0]]}), "{told}");
    assert_eq!(told["only_batch"], json!({"people": 1, "profiles": []}), "{told}");
    let evidence = world.get("/api/v1/evidence?limit=1000").await.text;
    for what in ["an audit of audiences", "audience buyers, recomputed", "/recompute", "/definitions/audit"] {
        assert!(evidence.contains(what), "on record: {what}: {evidence}");
    }
    let none = world.post("/api/v1/definitions/audit", &json!({"sample": 0})).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    // A definition that comes late waits for what happened before it, and cannot be held against anything yet.
    let mut all = world.get("/api/v1/workspace").await.json()["documents"].as_array().unwrap().clone();
    all.push(json!({"kind": "Audience", "name": "late", "purpose": "service", "when": "performed Late"}));
    let applied = world.put("/api/v1/workspace", &json!({ "documents": all })).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.text);
    let late = world.get("/api/v1/audiences/late").await.json();
    assert_eq!((&late["state"], &late["filled_percent"]), (&json!("filling"), &json!(0)), "{late}");
    let early = world.post("/api/v1/audiences/late/recompute", &json!({})).await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::CONFLICT, "TES-A093"), "{}", early.text);
}
