//! `kind: GroupType`: which people belong together - to a household, a business account - without being one person.
//!
//! Not who belongs to what: that is computed from profiles, in `tessera-profile`. Invariant: a group is named by a keyed hash
//! of its type, its rule and its value, so that nobody reads the value out of the name. References: Segment's `group` call and
//! `groupId`; group types of Amplitude and PostHog; households and accounts of Salesforce.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tessera_contact::{Address, AddressParts, Email, Region, fold};

use crate::document::GroupTypeKind;
use crate::{
    Document, FragmentId, GroupTypeName, HashKey, Namespace, Normalise, Normaliser, Problem,
    SurvivorshipRules, Workspace,
};

/// Most rules of a group type.
const GROUP_RULES_MAX: usize = 16;
/// Most traits of one rule.
const GROUP_TRAITS_MAX: usize = 8;
/// Most people that a group may be said to hold.
const GROUP_MEMBERS_MAX: u32 = 10_000;
/// Changes when a value comes to another name, so that the store's rows are made anew.
const FORM: u8 = 1;

/// A kind of group, and what makes somebody belong to one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupTypeDocument {
    /// `GroupType`.
    pub kind: GroupTypeKind,
    /// Its name: `household`.
    pub name: GroupTypeName,
    /// What makes people belong together; each rule by itself.
    pub by: Vec<GroupRule>,
    /// Most people in one group; with more, the value is shared by too many and makes no group.
    #[serde(default = "twelve")]
    pub members_max: u32,
    /// Most groups of the type that one person belongs to.
    #[serde(default = "eight")]
    pub per_person_max: u16,
    /// The country of telephone numbers and addresses that name none; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<Region>,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

const fn twelve() -> u32 {
    12
}

const fn eight() -> u16 {
    8
}

/// One thing that people have in common. Exactly one of its fields is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRule {
    /// All of these traits, each alike in its way: `{last_name: text, address: address}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traits: BTreeMap<String, Alike>,
    /// An identifier of this namespace, also where a limit or its being shared kept it from holding them together as one
    /// person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Namespace>,
    /// The domain of an e-mail address, unless anybody can have an address there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_domain: bool,
    /// The account that `group` calls name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub group_calls: bool,
}

/// When two values are the same to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alike {
    /// Letter by letter, without space around.
    Exact,
    /// But for case, accents and punctuation.
    Text,
    /// As e-mail addresses.
    Email,
    /// As telephone numbers.
    Phone,
    /// As postal addresses: an object as in Segment's `address` trait, with at least a street and a postal code or city.
    Address,
}

/// Names a group within its type: a keyed 80-bit hash. Written as 20 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub [u8; Self::BYTES]);

impl GroupId {
    /// Its length.
    pub const BYTES: usize = 10;
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for GroupId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let bytes = text.as_bytes();
        if bytes.len() != 2 * Self::BYTES {
            return Err(());
        }
        let mut id = [0; Self::BYTES];
        for (to, pair) in id.iter_mut().zip(bytes.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| ())?;
            *to = u8::from_str_radix(pair, 16).map_err(|_| ())?;
        }
        Ok(Self(id))
    }
}

/// A group type, ready for use.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupType {
    /// What was declared.
    pub document: GroupTypeDocument,
    /// What its rows in the store begin with. Another for every change of what makes people belong.
    pub tag: [u8; 2],
    /// All that decides who belongs to what.
    meaning: Vec<u8>,
}

impl GroupType {
    /// Whether it makes the same people belong together as `other`, in the same rows.
    #[must_use]
    pub fn means_as(&self, other: &Self) -> bool {
        self.tag == other.tag && self.meaning == other.meaning
    }

    /// The group of people with this value of `rule`, in its one form.
    #[must_use]
    pub fn group(&self, key: &HashKey, rule: &GroupRule, value: &[&[u8]]) -> GroupId {
        // Rules are plain data: they have a JSON form.
        let rule = serde_json::to_vec(rule).unwrap_or_default();
        let mut parts: Vec<&[u8]> = vec![b"group", self.document.name.as_str().as_bytes(), &rule];
        parts.extend(value);
        let mut id = [0; GroupId::BYTES];
        id.iter_mut().zip(key.hash128(&parts)).for_each(|(to, from)| *to = from);
        GroupId(id)
    }

    /// The groups that somebody may mean by `text`: a group id, an account, a domain, an identifier, the value of a rule of
    /// one trait.
    #[must_use]
    pub fn groups_called(
        &self,
        key: &HashKey,
        namespaces: &crate::NamespaceRules,
        text: &str,
    ) -> Vec<GroupId> {
        let mut found = Vec::new();
        for rule in &self.document.by {
            let value = if rule.group_calls {
                namespaces.account(key, text).ok().map(|account| account.id.0.to_vec())
            } else if rule.email_domain {
                domain_of_address(&format!("somebody@{text}")).map(String::into_bytes)
            } else if let Some(namespace) = &rule.identifier {
                let identifier = namespaces.parse_reference(&format!("{namespace}:{text}"));
                identifier.ok().map(|identifier| FragmentId::of(key, &identifier).0.to_vec())
            } else {
                let mut traits = rule.traits.values();
                let only = traits.next().filter(|_| traits.next().is_none());
                only.and_then(|alike| alike.form(&Value::from(text), self.document.country))
                    .map(String::into_bytes)
            };
            found.extend(value.map(|value| self.group(key, rule, &[&value])));
        }
        found.extend(text.parse::<GroupId>().ok());
        found
    }
}

/// The domain of an address that says where its owner belongs; `None`: anybody can have one there, or it is no address.
#[must_use]
pub fn domain_of_address(address: &str) -> Option<String> {
    let email = Email::parse(address).ok()?;
    (!email.is_public()).then(|| email.domain().to_owned())
}

impl Alike {
    /// The one form of a value; `None`: it says nothing.
    #[must_use]
    pub fn form(self, value: &Value, country: Option<Region>) -> Option<String> {
        if self == Self::Address {
            return address_form(value, country);
        }
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        let normalised = |how| {
            let normaliser = Normaliser { region: country, ..Normaliser::from(how) };
            normaliser.apply(&text).map(std::borrow::Cow::into_owned)
        };
        let form = match self {
            Self::Exact | Self::Address => text,
            Self::Text => fold(&text),
            Self::Email => normalised(Normalise::Email)?,
            Self::Phone => normalised(Normalise::Phone)?,
        };
        (!form.is_empty()).then_some(form)
    }
}

fn address_form(value: &Value, country: Option<Region>) -> Option<String> {
    let part = |names: [&str; 2]| {
        names.iter().find_map(|name| value.get(*name)?.as_str()).unwrap_or_default().trim().to_owned()
    };
    let (street, city, code) = (part(["street"; 2]), part(["city"; 2]), part(["postalCode", "postal_code"]));
    if street.is_empty() || (city.is_empty() && code.is_empty()) {
        return None;
    }
    let (state, of) = (part(["state"; 2]), part(["country"; 2]));
    let parts =
        AddressParts { street: &street, city: &city, subdivision: &state, postal_code: &code, country: &of };
    Address::parse(&parts, country).ok().map(|address| address.key())
}

/// The group types of a workspace, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupTypes {
    types: Vec<GroupType>,
    names: Vec<(String, String)>,
}

impl GroupTypes {
    /// Those that the workspace declares.
    #[must_use]
    pub fn new(workspace: &Workspace, survivorship: &SurvivorshipRules) -> Self {
        let mut all = Self::default();
        for document in workspace.documents() {
            let Document::GroupType(document) = document else { continue };
            let meaning = meaning(document, survivorship);
            let mut hash = [0; 2];
            blake3::Hasher::new().update(&meaning).finalize_xof().fill(&mut hash);
            let mut tag = u16::from_be_bytes(hash);
            while all.types.iter().any(|known| known.tag == tag.to_be_bytes()) {
                tag = tag.wrapping_add(1);
            }
            all.types.push(GroupType { document: document.clone(), tag: tag.to_be_bytes(), meaning });
            let roots =
                document.by.iter().flat_map(|rule| rule.traits.keys()).map(|path| trait_of_path(path));
            all.names.extend(roots.map(|name| (name.to_owned(), survivorship.of(name).verified_by(name))));
        }
        all.names.sort();
        all.names.dedup();
        all
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The types.
    pub fn iter(&self) -> impl Iterator<Item = &GroupType> {
        self.types.iter()
    }

    /// The type of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&GroupType> {
        self.types.iter().find(|known| known.document.name.as_str() == name)
    }

    /// The traits that rules look at, each with the trait that may say whether it is verified.
    #[must_use]
    pub fn traits(&self) -> &[(String, String)] {
        &self.names
    }
}

/// The trait that a path leads into.
#[must_use]
pub fn trait_of_path(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// All that decides who belongs to what. How many may be in a group is asked when somebody looks.
fn meaning(document: &GroupTypeDocument, survivorship: &SurvivorshipRules) -> Vec<u8> {
    let roots = document.by.iter().flat_map(|rule| rule.traits.keys()).map(|path| trait_of_path(path));
    let rules: BTreeMap<&str, _> = roots.map(|name| (name, survivorship.of(name))).collect();
    let all = (FORM, &document.name, &document.by, document.per_person_max, document.country, rules);
    // Documents have been JSON before.
    serde_json::to_vec(&all).unwrap_or_default()
}

impl GroupTypeDocument {
    /// What is wrong with it.
    pub(crate) fn problems(&self, document: &Document, workspace: &Workspace) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |field: &str, what: String, hint: &str| {
            problems.push(Problem::new(document, field, what, hint));
        };
        if self.by.is_empty() || self.by.len() > GROUP_RULES_MAX {
            refuse(
                "by",
                "has no rules or too many".to_owned(),
                "name 1 to 16 things that people have in common",
            );
        }
        for rule in &self.by {
            let said =
                [!rule.traits.is_empty(), rule.identifier.is_some(), rule.email_domain, rule.group_calls];
            if said.iter().filter(|is_said| **is_said).count() != 1 {
                let hint = "say one of `traits`, `identifier`, `email_domain: true` and `group_calls: true` in each rule";
                refuse("by", "a rule says nothing, or several things at once".to_owned(), hint);
            }
            if rule.traits.len() > GROUP_TRAITS_MAX {
                refuse(
                    "by",
                    "a rule names too many traits".to_owned(),
                    "name at most 8: all of them must agree",
                );
            }
            let is_known = |name: &Namespace| {
                crate::NamespaceDocument::built_in().iter().any(|known| known.name == *name)
                    || workspace.get("Namespace", name.as_str()).is_some()
            };
            if let Some(name) = rule.identifier.as_ref().filter(|name| !is_known(name)) {
                refuse(
                    "by",
                    format!("namespace `{name}` is not declared"),
                    "declare it, or leave the rule out",
                );
            }
        }
        if !(2..=GROUP_MEMBERS_MAX).contains(&self.members_max) {
            refuse("members_max", "is out of range".to_owned(), "use a number from 2 to 10000");
        }
        if !(1..=64).contains(&self.per_person_max) {
            refuse("per_person_max", "is out of range".to_owned(), "use a number from 1 to 64");
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_alike_in_the_way_that_was_said() {
        let germany = Region::find("DE").ok();
        let form = |alike: Alike, value: Value| alike.form(&value, germany);
        for (alike, one, other) in [
            (Alike::Text, json!("Müller-Lüdenscheidt"), json!(" muller ludenscheidt")),
            (Alike::Phone, json!("030 / 123456"), json!("+49 30 123456")),
            (Alike::Email, json!("Ada@X.org"), json!("ada@x.org")),
            (Alike::Exact, json!(" K-7 "), json!("K-7")),
            (
                Alike::Address,
                json!({"street": "Lange Str. 5", "postalCode": "10115", "city": "Berlin"}),
                json!({"street": "lange straße 5", "postal_code": "10115", "city": "BERLIN", "country": "Germany"}),
            ),
        ] {
            assert!(form(alike, one.clone()).is_some(), "{one}");
            assert_eq!(form(alike, one), form(alike, other));
        }
        for (alike, nothing) in [
            (Alike::Text, json!(" - ")),
            (Alike::Text, Value::Null),
            (Alike::Exact, json!("  ")),
            (Alike::Phone, json!("call me")),
            (Alike::Address, json!({"city": "Berlin", "postalCode": "10115"})),
            (Alike::Address, json!("Lange Str. 5")),
        ] {
            assert_eq!(form(alike, nothing.clone()), None, "{nothing}");
        }
    }

    #[test]
    fn the_domain_of_a_public_mail_provider_says_nothing() {
        assert_eq!(domain_of_address("Ada@Acme.example"), Some("acme.example".to_owned()));
        assert_eq!(domain_of_address("ada@gmail.com"), None);
        assert_eq!(domain_of_address("ada"), None);
    }

    fn types(documents: Value) -> GroupTypes {
        let documents: Vec<Document> = serde_json::from_value(documents).unwrap();
        let workspace = Workspace::new(documents).unwrap();
        GroupTypes::new(&workspace, &SurvivorshipRules::new(&workspace))
    }

    #[test]
    fn a_type_keeps_its_rows_unless_what_makes_people_belong_changes() {
        let of = |more: Value, rule: &str| {
            let mut document =
                json!({"kind": "GroupType", "name": "household", "by": [{"traits": {"phone": "phone"}}]});
            document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let field = json!({"kind": "Field", "name": "traits.phone", "survivorship": {"rule": rule}});
            types(json!([document, field])).get("household").unwrap().clone()
        };
        let known = of(json!({}), "longest");
        assert!(
            known.means_as(&of(json!({"members_max": 5, "description": "who live together"}), "longest"))
        );
        for other in [
            of(json!({"per_person_max": 1}), "longest"),
            of(json!({"country": "DE"}), "longest"),
            of(json!({"by": [{"traits": {"phone": "exact"}}]}), "longest"),
            of(json!({}), "most_frequent"),
        ] {
            assert!(!known.means_as(&other), "{:?}", other.document);
        }
    }

    #[test]
    fn a_group_is_found_by_its_id_and_by_what_its_members_have_in_common() {
        let key = HashKey::new([7; 32]);
        let all = types(json!([{"kind": "GroupType", "name": "company",
            "by": [{"group_calls": true}, {"email_domain": true}, {"traits": {"crm": "exact"}}, {"identifier": "phone"}]}]));
        let company = all.get("company").unwrap();
        let namespaces = crate::NamespaceRules::new([]).unwrap();
        let called = |text: &str| company.groups_called(&key, &namespaces, text);
        let domain = company.group(&key, &company.document.by[1], &[b"acme.example"]);
        assert!(called("ACME.example").contains(&domain));
        assert_eq!(called(&domain.to_string()).last(), Some(&domain));
        let crm = company.group(&key, &company.document.by[2], &[b"K-7"]);
        assert!(called("K-7").contains(&crm) && !called("K-8").contains(&crm));
        let phone = namespaces.parse_reference("phone:+4930123456").unwrap();
        let phone = company.group(&key, &company.document.by[3], &[&FragmentId::of(&key, &phone).0]);
        assert!(called("+49 30 123456").contains(&phone));
        assert_eq!("xyz".parse::<GroupId>(), Err(()));
    }

    #[test]
    fn a_rule_says_one_thing_about_what_is_declared() {
        for (by, field) in [
            (json!([]), "by"),
            (json!([{}]), "by"),
            (json!([{"email_domain": true, "group_calls": true}]), "by"),
            (json!([{"identifier": "card"}]), "by"),
        ] {
            let document: Document =
                serde_json::from_value(json!({"kind": "GroupType", "name": "x", "by": by})).unwrap();
            let problems = Workspace::new([document]).unwrap_err();
            assert_eq!(problems.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), [field], "{by}");
        }
        let document =
            json!({"kind": "GroupType", "name": "x", "by": [{"group_calls": true}], "members_max": 1});
        let problems = Workspace::new([serde_json::from_value::<Document>(document).unwrap()]).unwrap_err();
        assert_eq!(problems.first().unwrap().field, "members_max");
    }
}
