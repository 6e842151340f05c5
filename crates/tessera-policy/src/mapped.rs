//! Which destinations are mapped to fields that they may not have: asked when a workspace is applied.
//!
//! Not the guard: a [`crate::Screen`] withholds such a field whatever was applied. This tells people in time.

use std::collections::{BTreeMap, BTreeSet};

use tessera_model::{DestinationDocument, FieldPath, Label, Problem, Purpose, Rules};

use crate::{Ground, Labels, Origin, Why};

/// Every field that a destination is mapped to and may not have, with where its label is from, what forbids it, and
/// which sources may bring it.
///
/// A destination without `fields` is mapped to all fields. There a built-in label is refused only by a `Policy`, never
/// by the purpose's list of labels: nobody said that such a field comes at all, and it is withheld if it does.
#[must_use]
pub fn forbidden_mappings(rules: &Rules) -> Vec<Problem> {
    let labels = Labels::new(rules);
    let mut problems = Vec::new();
    for destination in rules.destinations() {
        if let Some(purpose) = rules.purposes.get(&destination.purpose) {
            problems.extend(of_destination(rules, &labels, purpose, destination));
        }
    }
    problems
}

fn of_destination(
    rules: &Rules,
    labels: &Labels,
    purpose: &Purpose,
    destination: &DestinationDocument,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Built-in labels by what forbids them: a policy over names must not be told once for each of eleven fields.
    let mut built_in: BTreeMap<Why, BTreeSet<&FieldPath>> = BTreeMap::new();
    for (known, origins) in labels.known() {
        for field in mapped(destination, known) {
            if destination.except.iter().any(|except| covers(except, field)) {
                continue;
            }
            for (label, origin) in origins {
                let label: Label = *label;
                let set = [label].into_iter().collect();
                let Some(why) = labels.forbidden(set, purpose, Some(destination)) else { continue };
                let is_said = origin.is_declared() || matches!(why.ground, Ground::Policy { .. });
                if !is_said && destination.fields.is_empty() {
                    continue;
                }
                match origin {
                    Origin::Document => {
                        let what = format!("`{field}` has label `{label}` (Field `{known}`); {why}");
                        problems.push(problem(rules, destination, what));
                    }
                    Origin::Identifier { namespace, is_declared: true } => {
                        let what = format!(
                            "`{field}` has label `{label}` (Field `identifiers.{namespace}`, which Namespace `{namespace}` reads from it); {why}"
                        );
                        problems.push(problem(rules, destination, what));
                    }
                    Origin::Identifier { is_declared: false, .. } | Origin::BuiltIn => {
                        built_in.entry(why).or_default().insert(field);
                    }
                }
            }
        }
    }
    for (why, fields) in built_in {
        let verb = if fields.len() == 1 { "has" } else { "have" };
        let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
        let what = format!("{} {verb} label `{}` (built in); {why}", fields.join(", "), why.label);
        problems.push(problem(rules, destination, what));
    }
    problems
}

/// The fields of the destination that `known` is about.
fn mapped<'a>(destination: &'a DestinationDocument, known: &'a FieldPath) -> BTreeSet<&'a FieldPath> {
    if destination.fields.is_empty() {
        return [known].into();
    }
    let narrower = |field: &'a FieldPath| {
        if covers(known, field) { Some(field) } else { covers(field, known).then_some(known) }
    };
    destination.fields.iter().filter_map(narrower).collect()
}

/// Whether `path` is meant by `pattern`; `context.traits` counts as `traits`.
fn covers(pattern: &FieldPath, path: &FieldPath) -> bool {
    let plain = path.as_str().strip_prefix("context.").filter(|rest| rest.starts_with("traits."));
    pattern.covers(path.as_str()) || plain.is_some_and(|plain| pattern.covers(plain))
}

fn problem(rules: &Rules, destination: &DestinationDocument, what: String) -> Problem {
    let sources: Vec<String> = rules
        .source_documents()
        .filter(|source| source.purposes.contains(&destination.purpose))
        .map(|source| format!("`{}`", source.name))
        .collect();
    let brought = match sources.as_slice() {
        [] => "no source brings it yet".to_owned(),
        [one] => format!("source {one} may bring it"),
        all => format!("sources {} may bring it", all.join(", ")),
    };
    Problem {
        kind: "Destination".to_owned(),
        name: destination.name.to_string(),
        field: if destination.fields.is_empty() { "except" } else { "fields" }.to_owned(),
        what: format!("{what}; {brought}"),
        hint: "leave the field out with `except`, name the `fields` to send, say in `uses` what the receiver does, or \
               change the policy or the purpose's `labels`"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixture::rules;

    fn check(documents: &[Value], expected: &[(&str, &str)]) {
        let problems = forbidden_mappings(&rules(documents));
        let told: Vec<(&str, &str)> =
            problems.iter().map(|problem| (problem.field.as_str(), problem.what.as_str())).collect();
        assert_eq!(told, expected);
    }

    fn destination(extra: Value) -> Value {
        let mut document = json!({"kind": "Destination", "name": "out", "type": "jsonl", "purpose": "p"});
        document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        document
    }

    fn source(name: &str) -> Value {
        json!({"kind": "Source", "name": name, "write_key": format!("{name}-write-key"), "purposes": ["p"]})
    }

    fn diagnosis() -> Value {
        json!({"kind": "Field", "name": "traits.health.*", "labels": ["special"]})
    }

    #[test]
    fn a_declared_label_that_the_purpose_may_not_use_is_refused_with_where_it_comes_from() {
        const WHAT: &str = "`traits.health.*` has label `special` (Field `traits.health.*`); purpose `p` does not list label `special`";
        let plain = destination(json!({}));
        check(&[diagnosis(), plain.clone()], &[("except", &format!("{WHAT}; no source brings it yet"))]);
        check(
            &[diagnosis(), plain.clone(), source("web")],
            &[("except", &format!("{WHAT}; source `web` may bring it"))],
        );
        check(
            &[diagnosis(), plain, source("web"), source("crm")],
            &[("except", &format!("{WHAT}; sources `crm`, `web` may bring it"))],
        );
        check(&[diagnosis(), destination(json!({"except": ["traits.health"]}))], &[]);
        check(&[diagnosis(), destination(json!({"fields": ["traits.plan"]}))], &[]);
        check(
            &[diagnosis(), destination(json!({"fields": ["traits.plan", "traits.health.blood"]}))],
            &[("fields", &format!("{}; no source brings it yet", WHAT.replacen(".*", ".blood", 1)))],
        );
        check(
            &[diagnosis(), destination(json!({"fields": ["traits.*"]}))],
            &[("fields", &format!("{WHAT}; no source brings it yet"))],
        );
    }

    #[test]
    fn a_policy_refuses_built_in_labels_in_one_go() {
        let policy = json!({"kind": "Policy", "name": "places", "labels": ["S1"], "uses": ["analytics"]});
        let what = "`context.location.latitude`, `context.location.longitude` have label `S1` (built in); policy `places` forbids `analytics` of label `S1`; no source brings it yet";
        check(&[policy.clone(), destination(json!({"uses": ["analytics"]}))], &[("except", what)]);
        check(&[policy.clone(), destination(json!({"uses": ["data_science"]}))], &[]);
        check(&[policy, destination(json!({"uses": ["analytics"], "except": ["context.location.*"]}))], &[]);
    }

    #[test]
    fn a_purpose_that_lists_labels_refuses_built_in_ones_only_where_fields_are_named() {
        let purpose = json!({"kind": "Purpose", "name": "p", "basis": "contract", "labels": ["I1"]});
        check(&[purpose.clone(), destination(json!({}))], &[]);
        check(
            &[purpose, destination(json!({"fields": ["context.ip", "traits.email"]}))],
            &[(
                "fields",
                "`context.ip` has label `I2` (built in); purpose `p` does not list label `I2`; no source brings it yet",
            )],
        );
    }

    #[test]
    fn a_field_that_a_namespace_reads_is_refused_for_the_label_of_its_identifiers() {
        let documents = [
            json!({"kind": "Namespace", "name": "card", "from": ["properties.card"]}),
            json!({"kind": "Field", "name": "identifiers.card", "labels": ["C2"]}),
            destination(json!({"except": ["identifiers.card"]})),
        ];
        check(
            &documents,
            &[(
                "except",
                "`properties.card` has label `C2` (Field `identifiers.card`, which Namespace `card` reads from it); label `C2` forbids `export_to_third_party` by contract; no source brings it yet",
            )],
        );
    }

    #[test]
    fn a_workspace_that_labels_nothing_is_refused_nothing() {
        check(
            &[
                source("web"),
                destination(json!({})),
                destination(json!({"name": "b", "uses": ["analytics"]})),
            ],
            &[],
        );
    }
}
