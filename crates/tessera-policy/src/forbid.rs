//! Which labels a purpose and a destination may not use, and by which policy.
//!
//! Three kinds of policy forbid, and none permits: `Policy` documents, the contract labels C1 to C12, and the purpose's
//! own list of labels. Unknown means yes to every use: a destination that says nothing of its uses may do anything, so
//! every policy over a use applies to it.
//! References: Adobe's data usage labels and marketing actions; GDPR Art. 9 for `special`.

use std::fmt;

use tessera_model::{DestinationDocument, Label, LabelSet, PolicyDocument, Purpose, PurposeName};

use crate::Labels;

/// The use of every destination: data leaves.
const EXPORT: &str = "export";
/// The use of every destination that does not say [`FIRST_PARTY`].
const EXPORT_TO_THIRD_PARTY: &str = "export_to_third_party";
/// What a destination says among its uses when the receiver is the business itself.
const FIRST_PARTY: &str = "first_party";

/// What a contract label forbids. Adobe's marketing actions, and `export` for any way out.
///
/// C1 forbids what C2 does: a delivery is one person's event, never an aggregate. C4 is ads and content anywhere, so
/// e-mail too.
pub const CONTRACT: [(Label, &[&str]); 12] = [
    (Label::C1, &[EXPORT_TO_THIRD_PARTY]),
    (Label::C2, &[EXPORT_TO_THIRD_PARTY]),
    (Label::C3, &["combine_with_pii"]),
    (Label::C4, &["cross_site_targeting", "email_targeting", "onsite_advertising", "onsite_personalization"]),
    (Label::C5, &["cross_site_targeting"]),
    (Label::C6, &["onsite_advertising"]),
    (Label::C7, &["onsite_personalization"]),
    (Label::C8, &["analytics"]),
    (Label::C9, &["data_science"]),
    (Label::C10, &["single_identity_personalization"]),
    (Label::C11, &["segment_match"]),
    (Label::C12, &[EXPORT]),
];

/// What forbids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ground {
    /// A `Policy` document.
    Policy {
        /// Its name.
        name: String,
        /// The use that it forbids; absent: every use.
        forbidden: Option<String>,
    },
    /// The label itself forbids a use by contract: see [`CONTRACT`].
    Contract {
        /// The use.
        forbidden: &'static str,
    },
    /// The purpose does not list the label among those it may use.
    Purpose {
        /// The purpose.
        name: PurposeName,
    },
}

/// Why a field may not be used so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Why {
    /// The field's label.
    pub label: Label,
    /// What forbids it.
    pub ground: Ground,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = self.label;
        match &self.ground {
            Ground::Policy { name, forbidden: Some(what) } => {
                write!(f, "policy `{name}` forbids `{what}` of label `{label}`")
            }
            Ground::Policy { name, forbidden: None } => {
                write!(f, "policy `{name}` forbids every use of label `{label}`")
            }
            Ground::Contract { forbidden } => write!(f, "label `{label}` forbids `{forbidden}` by contract"),
            Ground::Purpose { name } => write!(f, "purpose `{name}` does not list label `{label}`"),
        }
    }
}

impl Labels {
    /// Whether a field with these labels may not be used for `purpose` - by `destination`, or by a reader of profiles.
    ///
    /// A reader names no use, so to him apply only policies over every use of every destination, and the purpose.
    #[must_use]
    pub fn forbidden(
        &self,
        labels: LabelSet,
        purpose: &Purpose,
        destination: Option<&DestinationDocument>,
    ) -> Option<Why> {
        labels.iter().find_map(|label| {
            let ground = self
                .by_policy(label, destination)
                .or_else(|| by_contract(label, destination?))
                .or_else(|| by_purpose(label, purpose))?;
            Some(Why { label, ground })
        })
    }

    fn by_policy(&self, label: Label, destination: Option<&DestinationDocument>) -> Option<Ground> {
        let applies = |policy: &&PolicyDocument| {
            let is_meant = policy.destinations.is_empty()
                || destination.is_some_and(|destination| policy.destinations.contains(&destination.name));
            policy.labels.contains(&label) && is_meant
        };
        self.policies.iter().filter(applies).find_map(|policy| {
            let forbidden = if policy.uses.is_empty() {
                None
            } else {
                Some(policy.uses.iter().find(|what| destination.is_some_and(|d| does(d, what)))?.clone())
            };
            Some(Ground::Policy { name: policy.name.clone(), forbidden })
        })
    }
}

fn by_contract(label: Label, destination: &DestinationDocument) -> Option<Ground> {
    let (_, forbidden) = CONTRACT.iter().find(|(of, _)| *of == label)?;
    let forbidden = forbidden.iter().copied().find(|what| does(destination, what))?;
    Some(Ground::Contract { forbidden })
}

fn by_purpose(label: Label, purpose: &Purpose) -> Option<Ground> {
    let may_use = &purpose.document.labels;
    let is_listed = may_use.contains(&label) || (may_use.is_empty() && label != Label::Special);
    (!is_listed).then(|| Ground::Purpose { name: purpose.document.name.clone() })
}

/// Whether a destination may do this with what it gets.
fn does(destination: &DestinationDocument, what: &str) -> bool {
    match what {
        EXPORT => true,
        EXPORT_TO_THIRD_PARTY => !destination.uses.contains(FIRST_PARTY),
        _ => destination.uses.is_empty() || destination.uses.contains(what),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use tessera_model::{PurposeName, Rules};

    use super::*;
    use crate::fixture::rules;

    fn ask(rules: &Rules, label: Label, is_sent: bool) -> String {
        let purpose = Arc::clone(rules.purposes.get(&PurposeName::parse("p").unwrap()).unwrap());
        let destination = rules.destinations().next().filter(|_| is_sent);
        let why = Labels::new(rules).forbidden([label].into_iter().collect(), &purpose, destination);
        why.map(|why| why.to_string()).unwrap_or_default()
    }

    fn destination(uses: &[&str]) -> Value {
        json!({"kind": "Destination", "name": "out", "type": "jsonl", "purpose": "p", "uses": uses})
    }

    #[test]
    fn contract_labels_forbid_what_adobe_says() {
        let no = |label: &str, what: &str| format!("label `{label}` forbids `{what}` by contract");
        for (label, uses, expected) in [
            (Label::C1, &["analytics"][..], no("C1", "export_to_third_party")),
            (Label::C2, &["analytics"], no("C2", "export_to_third_party")),
            (Label::C2, &["analytics", "first_party"], String::new()),
            (Label::C3, &["combine_with_pii"], no("C3", "combine_with_pii")),
            (Label::C4, &["email_targeting"], no("C4", "email_targeting")),
            (Label::C4, &["analytics"], String::new()),
            (Label::C5, &["cross_site_targeting"], no("C5", "cross_site_targeting")),
            (Label::C6, &["onsite_advertising"], no("C6", "onsite_advertising")),
            (Label::C7, &["onsite_personalization"], no("C7", "onsite_personalization")),
            (Label::C8, &["analytics", "first_party"], no("C8", "analytics")),
            (Label::C9, &["data_science"], no("C9", "data_science")),
            (Label::C10, &["single_identity_personalization"], no("C10", "single_identity_personalization")),
            (Label::C11, &["segment_match"], no("C11", "segment_match")),
            (Label::C12, &["first_party"], no("C12", "export")),
            (Label::C9, &[], no("C9", "data_science")),
            (Label::I1, &[], String::new()),
        ] {
            assert_eq!(ask(&rules(&[destination(uses)]), label, true), expected, "{label} {uses:?}");
        }
    }

    #[test]
    fn a_policy_forbids_its_uses_to_its_destinations() {
        let policy = |extra: Value| {
            let mut document = json!({"kind": "Policy", "name": "x", "labels": ["I1", "S1"]});
            document.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            document
        };
        for (extra, uses, expected) in [
            (json!({}), &["analytics"][..], "policy `x` forbids every use of label `I1`"),
            (json!({"destinations": ["out"]}), &["analytics"], "policy `x` forbids every use of label `I1`"),
            (json!({"uses": ["analytics"]}), &["analytics"], "policy `x` forbids `analytics` of label `I1`"),
            (json!({"uses": ["analytics"]}), &["data_science"], ""),
            (json!({"uses": ["analytics"]}), &[], "policy `x` forbids `analytics` of label `I1`"),
            (json!({"uses": ["export"]}), &["first_party"], "policy `x` forbids `export` of label `I1`"),
        ] {
            let rules = rules(&[destination(uses), policy(extra.clone())]);
            assert_eq!(ask(&rules, Label::I1, true), expected, "{extra} {uses:?}");
            assert_eq!(ask(&rules, Label::I2, true), "", "{extra} {uses:?}");
            let of_reader = if extra == json!({}) { expected } else { "" };
            assert_eq!(ask(&rules, Label::I1, false), of_reader, "{extra} {uses:?}");
        }
    }

    #[test]
    fn a_purpose_must_list_special_labels_and_once_it_lists_any_all() {
        for (listed, label, expected) in [
            (json!([]), Label::Special, "purpose `p` does not list label `special`"),
            (json!([]), Label::I1, ""),
            (json!(["special"]), Label::Special, ""),
            (json!(["special"]), Label::I1, "purpose `p` does not list label `I1`"),
            (json!(["I1"]), Label::I1, ""),
        ] {
            let purpose = json!({"kind": "Purpose", "name": "p", "basis": "contract", "labels": listed});
            let rules = rules(&[purpose, destination(&["first_party"])]);
            assert_eq!(ask(&rules, label, true), expected);
            assert_eq!(ask(&rules, label, false), expected);
        }
    }
}
