//! Definitions that look at fields which their purpose may not use.
//!
//! Not the guard of queries: SQL masks such fields whatever was applied. What the stream keeps of events would hold them, so no
//! such definition is applied. Invariant: what a definition speaks of counts as looked at by itself, for its own purpose.

use std::collections::BTreeSet;

use tessera_audience::{Definitions, Uses};
use tessera_model::{Problem, PurposeName, Rules};
use tessera_policy::{Labels, Why};

/// The stable code.
const CODE: &str = "TES-A025";

/// Every field that a definition looks at, by itself or by way of others, and that its purpose may not use.
pub(crate) fn forbidden_fields(rules: &Rules, definitions: &Definitions) -> Vec<Problem> {
    let labels = Labels::new(rules);
    let forbidden = |uses: &Uses, purpose: &PurposeName| {
        let Some(purpose) = rules.purposes.get(purpose) else { return Vec::new() };
        let why = |field: &String| labels.forbidden(labels.labels_within(field), purpose, None);
        uses.fields.iter().filter_map(|field| Some((field.clone(), why(field)?))).collect::<Vec<_>>()
    };
    let mut problems = Vec::new();
    for one in &definitions.audiences {
        let uses = Uses::of_audience(one, definitions);
        for (by, uses) in reached(uses, definitions) {
            let found = forbidden(&uses, &one.purpose).into_iter();
            problems
                .extend(found.map(|found| problem(("Audience", one.name.as_str()), by.as_deref(), &found)));
        }
    }
    for one in &definitions.traits {
        let uses = Uses::of_trait(one, definitions);
        for (by, uses) in reached(uses, definitions) {
            let found = forbidden(&uses, &one.purpose).into_iter();
            let name = ("ComputedTrait", one.name.as_str());
            problems.extend(found.map(|found| problem(name, by.as_deref(), &found)));
        }
    }
    problems
}

/// What a definition looks at by itself, and what each that it speaks of does, with its name.
fn reached(own: Uses, definitions: &Definitions) -> Vec<(Option<String>, Uses)> {
    let (mut seen, mut all) = (BTreeSet::new(), vec![(None, own)]);
    let mut next = 0;
    while let Some((_, uses)) = all.get(next) {
        next += 1;
        let audiences = definitions.audiences.iter().filter(|one| uses.audiences.contains(one.name.as_str()));
        let audiences =
            audiences.map(|one| (format!("audience `{}`", one.name), Uses::of_audience(one, definitions)));
        let traits = definitions.traits.iter().filter(|one| uses.computed_traits.contains(one.name.as_str()));
        let traits = traits
            .map(|one| (format!("computed trait `{}`", one.name.as_str()), Uses::of_trait(one, definitions)));
        let more: Vec<_> = audiences.chain(traits).filter(|(name, _)| seen.insert(name.clone())).collect();
        all.extend(more.into_iter().map(|(name, uses)| (Some(name), uses)));
    }
    all
}

fn problem((kind, name): (&str, &str), by: Option<&str>, (field, why): &(String, Why)) -> Problem {
    let by = by.map(|by| format!(" by way of {by}")).unwrap_or_default();
    Problem {
        kind: kind.to_owned(),
        name: name.to_owned(),
        field: if kind == "Audience" { "when" } else { "value" }.to_owned(),
        what: format!("{CODE}: looks at `{field}`{by}, which has label `{}`; {why}", why.label),
        hint: "leave the field out, let another purpose have the definition, or change the policy or the \
               purpose's `labels`"
            .to_owned(),
    }
}
