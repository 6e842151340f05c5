//! Survivorship: which of several sources' words on a trait is the profile's.
//!
//! Not the choosing itself: that is the fold's, in `tessera-profile`. A rule stands on the trait's `Field` document, so that all
//! that is declared of a field stands in one place. Reference: match-and-merge rules of master data management.

use serde::{Deserialize, Serialize};

use crate::{Document, FieldPath, Party, Problem, SourceName, Workspace};

/// The source that words of officers and requests are kept under. No source of a workspace may have its name.
pub const OFFICE: &str = "tessera";

/// How the surviving word is chosen. Of words that the rule thinks equal, the latest survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SurvivorshipRule {
    /// The latest.
    #[default]
    MostRecent,
    /// Of the source or party that comes first in the order.
    MostTrustedSource,
    /// That says most: filled members of an object, elements of a list, words of a text.
    MostComplete,
    /// That most records say: each source's last word under each identifier counts once.
    MostFrequent,
    /// With the most characters.
    Longest,
    /// That its own source calls verified.
    VerifiedFirst,
}

impl SurvivorshipRule {
    /// Its name: `most_recent`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MostRecent => "most_recent",
            Self::MostTrustedSource => "most_trusted_source",
            Self::MostComplete => "most_complete",
            Self::MostFrequent => "most_frequent",
            Self::Longest => "longest",
            Self::VerifiedFirst => "verified_first",
        }
    }
}

/// What a `Field` document says about survivorship.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survivorship {
    /// The rule.
    pub rule: SurvivorshipRule,
    /// For `most_trusted_source`: sources, most trusted first. Others come after them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceName>,
    /// For `most_trusted_source`: parties, most trusted first, for sources that are not named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parties: Vec<Party>,
    /// For `verified_first`: the trait by which a source says `true` of its own word; `NAME_verified` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<String>,
}

impl Survivorship {
    /// The trait that says whether a word on the trait `name` is verified.
    #[must_use]
    pub fn verified_by(&self, name: &str) -> String {
        self.verified_by.clone().unwrap_or_else(|| format!("{name}_verified"))
    }
}

/// The rules of a workspace, ready for use. Without any, the latest word survives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SurvivorshipRules {
    /// Nearest first.
    rules: Vec<(FieldPath, Survivorship)>,
    default: Survivorship,
}

impl SurvivorshipRules {
    /// The rules that the workspace declares.
    #[must_use]
    pub fn new(workspace: &Workspace) -> Self {
        let mut rules: Vec<_> = workspace
            .documents()
            .filter_map(|document| {
                let Document::Field(field) = document else { return None };
                Some((field.name.clone(), field.survivorship.clone()?))
            })
            .collect();
        // A longer path says more exactly what it means, and `traits.a` more exactly than `traits.*`.
        rules.sort_by_key(|(path, _)| {
            let text = path.as_str();
            std::cmp::Reverse((!text.ends_with(".*"), text.len()))
        });
        Self { rules, default: Survivorship::default() }
    }

    /// The rule for a trait.
    #[must_use]
    pub fn of(&self, name: &str) -> &Survivorship {
        if self.rules.is_empty() {
            return &self.default;
        }
        let path = format!("traits.{name}");
        self.rules.iter().find(|(known, _)| known.covers(&path)).map_or(&self.default, |(_, rule)| rule)
    }
}

impl Workspace {
    /// What is wrong with a field's survivorship.
    pub(crate) fn survivorship_problems(
        &self,
        document: &Document,
        path: &FieldPath,
        survivorship: &Survivorship,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |what: String, hint: &str| {
            problems.push(Problem::new(document, "survivorship", what, hint));
        };
        let Survivorship { rule, sources, parties, verified_by } = survivorship;
        if !path.as_str().starts_with("traits.") {
            refuse(
                "only traits have more than one word".to_owned(),
                "name a trait: traits.NAME, or traits.* for all",
            );
        }
        let is_trusted = *rule == SurvivorshipRule::MostTrustedSource;
        let has_order = !(sources.is_empty() && parties.is_empty());
        if is_trusted && !has_order {
            refuse("has no order".to_owned(), "list `sources` or `parties`, most trusted first");
        }
        if has_order && !is_trusted {
            let what = format!("`{}` knows no order of sources", rule.as_str());
            refuse(what, "leave `sources` and `parties` out, or take `most_trusted_source`");
        }
        if *rule != SurvivorshipRule::VerifiedFirst && verified_by.is_some() {
            let what = format!("`{}` does not ask what is verified", rule.as_str());
            refuse(what, "leave `verified_by` out, or take `verified_first`");
        }
        for source in sources {
            if self.get("Source", source.as_str()).is_none() {
                refuse(format!("source `{source}` is not declared"), "declare it, or leave it out");
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workspace(fields: serde_json::Value) -> Result<Workspace, Vec<Problem>> {
        let mut documents: Vec<Document> = serde_json::from_value(fields).unwrap();
        documents.extend(
            serde_json::from_value::<Vec<Document>>(json!([
                {"kind": "Purpose", "name": "service", "basis": "contract"},
                {"kind": "Source", "name": "crm", "write_key": "crm-write-key", "purposes": ["service"]},
            ]))
            .unwrap(),
        );
        Workspace::new(documents)
    }

    #[test]
    fn the_nearest_path_gives_the_rule() {
        let workspace = workspace(json!([
            {"kind": "Field", "name": "traits.*", "survivorship": {"rule": "longest"}},
            {"kind": "Field", "name": "traits.address.*", "survivorship": {"rule": "most_complete"}},
            {"kind": "Field", "name": "traits.email", "labels": ["I1"],
             "survivorship": {"rule": "most_trusted_source", "sources": ["crm"], "parties": ["zero"]}},
        ]))
        .unwrap();
        let rules = SurvivorshipRules::new(&workspace);
        for (name, expected) in [
            ("email", "most_trusted_source"),
            ("email_verified", "longest"),
            ("address.city", "most_complete"),
            ("address", "longest"),
            ("plan", "longest"),
        ] {
            assert_eq!(rules.of(name).rule.as_str(), expected, "{name}");
        }
        assert_eq!(SurvivorshipRules::default().of("plan").rule, SurvivorshipRule::MostRecent);
    }

    #[test]
    fn a_rule_that_can_mean_nothing_is_refused_with_the_field() {
        for (field, expected) in [
            (json!({"name": "properties.x", "survivorship": {"rule": "longest"}}), "only traits"),
            (json!({"name": "traits.x", "survivorship": {"rule": "most_trusted_source"}}), "has no order"),
            (
                json!({"name": "traits.x", "survivorship": {"rule": "longest", "parties": ["zero"]}}),
                "no order of sources",
            ),
            (
                json!({"name": "traits.x", "survivorship": {"rule": "longest", "verified_by": "y"}}),
                "does not ask",
            ),
            (
                json!({"name": "traits.x", "survivorship": {"rule": "most_trusted_source", "sources": ["erp"]}}),
                "source `erp` is not declared",
            ),
            (json!({"name": "traits.x"}), "says nothing"),
        ] {
            let mut document = field.clone();
            document["kind"] = json!("Field");
            let problems = workspace(json!([document])).unwrap_err();
            let [problem] = problems.as_slice() else { panic!("{field}: {problems:?}") };
            assert!(problem.what.contains(expected), "{field}: {problem:?}");
        }
    }

    #[test]
    fn no_source_has_the_name_that_words_of_officers_are_kept_under() {
        let source = json!([{"kind": "Source", "name": OFFICE, "write_key": "its-write-key", "purposes": ["service"]}]);
        let problems = workspace(source).unwrap_err();
        assert_eq!(problems.first().map(|problem| problem.field.as_str()), Some("name"));
    }
}
