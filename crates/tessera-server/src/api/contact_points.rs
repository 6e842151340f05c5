//! A person's e-mail addresses and telephone numbers, raw as they came and normalised, with what can be said of each.
//!
//! Invariant: made from what of the profile is shown, and from nothing else, so nothing is seen here that is not seen
//! there.

use serde::Serialize;
use tessera_contact::{CheckOptions, Checked, ContactKind, check};
use tessera_model::{HashKey, Normalise, PreparedNamespace, Rules};
use tessera_profile::Profile;

/// One contact point. Holds personal data.
#[derive(Serialize)]
pub(crate) struct ContactPoint {
    /// The namespace: `email`.
    namespace: String,
    /// As it stands in the traits; absent if no trait that is shown holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    #[serde(flatten)]
    checked: Checked,
}

impl std::fmt::Debug for ContactPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ContactPoint({}, <redacted>)", self.namespace)
    }
}

/// Of every identifier that is an address or a number, and of every trait that should be one and is none.
pub(super) fn contact_points(profile: &Profile, rules: &Rules, key: &HashKey) -> Vec<ContactPoint> {
    let mut found = Vec::new();
    for namespace in rules.namespaces.ordered() {
        let kind = match namespace.normalise.how {
            Normalise::Email => ContactKind::Email,
            Normalise::Phone => ContactKind::Phone,
            Normalise::Exact | Normalise::Lowercase => continue,
        };
        let mut raws = raw_values(profile, namespace);
        for identifier in &profile.identifiers {
            let is_ours = identifier.namespace == namespace.name.as_str();
            if !is_ours || identifier.value.is_empty() || identifier.is_hashed {
                continue;
            }
            let is_it = |raw: &String| {
                let mut readings = rules.namespaces.readings(namespace, key, raw);
                readings.any(|reading| reading.identifier.value() == identifier.value)
            };
            let raw = raws.iter().position(is_it).map(|at| raws.remove(at));
            found.push(point(namespace, raw, check(kind, &identifier.value, &CheckOptions::default())));
        }
        for raw in raws {
            let options = CheckOptions { region: namespace.normalise.region, today: None };
            let checked = check(kind, &raw, &options);
            found.push(point(namespace, Some(raw), checked));
        }
    }
    found
}

fn point(namespace: &PreparedNamespace, raw: Option<String>, checked: Checked) -> ContactPoint {
    ContactPoint { namespace: namespace.name.to_string(), raw, checked }
}

/// What the traits hold where the namespace looks for values.
fn raw_values(profile: &Profile, namespace: &PreparedNamespace) -> Vec<String> {
    let below_traits = namespace.paths.iter().filter_map(|path| match path.as_slice() {
        [root, name] if root == "traits" => Some(name),
        _ => None,
    });
    let text = |name: &String| {
        let value: serde_json::Value = serde_json::from_str(profile.traits.get(name)?.get()).ok()?;
        match value {
            serde_json::Value::String(text) => Some(text).filter(|text| !text.trim().is_empty()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        }
    };
    below_traits.filter(|name| !name.ends_with(tessera_model::HASHED_SUFFIX)).filter_map(text).collect()
}
