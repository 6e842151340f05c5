//! Which groups a person belongs to: households, accounts. Pure.
//!
//! Not who else does: that is found in the store, by the group's id. Invariant: the groups of a profile are a function of what
//! its fragments say, as the fold is; so they come together when profiles merge, part when these are split, and are gone
//! when the last word for them is. Reference: `docs/adr/0018-groups-are-a-function-of-profiles.md`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use tessera_identity::{Linked, RefusalReason};
use tessera_model::{
    FragmentId, GroupId, GroupRule, GroupType, GroupTypes, HashKey, IdentifierForm, Namespace,
    NamespaceRules, SurvivorshipRules, Timestamp, domain_of_address, trait_of_path,
};

use crate::{Basis, Cluster, Word, survivor};

/// What is needed to tell the groups of people.
#[derive(Clone, Copy, Debug)]
pub struct Grouping<'a> {
    /// The kinds of groups.
    pub types: &'a GroupTypes,
    /// Which word on a trait survives.
    pub survivorship: &'a SurvivorshipRules,
    /// The installation's key.
    pub key: &'a HashKey,
}

/// One field that says so, and what it rests on; identifiers rest on nothing of their own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said<'a> {
    pub(crate) path: String,
    pub(crate) rests_on: Option<(Option<&'a Basis>, Timestamp)>,
}

/// That a person belongs to a group, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Belonging<'a> {
    /// The kind of group.
    pub group_type: &'a GroupType,
    /// Which one.
    pub group: GroupId,
    /// The account, where a `group` call says so.
    pub account: Option<FragmentId>,
    pub(crate) value: Option<String>,
    pub(crate) said: Vec<Said<'a>>,
}

/// A group as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GroupView {
    /// The kind of group.
    #[serde(rename = "type")]
    pub group_type: String,
    /// Its id: 20 hexadecimal digits.
    pub id: String,
    /// The fields that say so: `traits.last_name`, `identifiers.email`.
    pub by: Vec<String>,
    /// The account's id or the domain, where one of these says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Grouping<'_> {
    /// Every group of every profile of the cluster, with the profile.
    #[must_use]
    pub fn all(&self, cluster: &Cluster) -> BTreeSet<([u8; 2], GroupId, FragmentId)> {
        let mut found = BTreeSet::new();
        if self.types.is_empty() {
            return found;
        }
        for node in cluster.graph().components().iter().filter_map(|nodes| nodes.first().copied()) {
            let mut profile = None;
            for one in self.of(cluster, node) {
                let profile = *profile.get_or_insert_with(|| cluster.profile_id(node));
                found.insert((one.group_type.tag, one.group, profile));
            }
        }
        found
    }

    /// The groups of the profile that `node` is in, by type and id; one for which several things speak stands there as
    /// often. Accounts belong to none: they are groups themselves.
    #[must_use]
    pub fn of<'a>(&'a self, cluster: &'a Cluster, node: usize) -> Vec<Belonging<'a>> {
        let namespace = |at: usize| cluster.graph().nodes().get(at).map(|node| node.namespace.as_str());
        if self.types.is_empty() || namespace(node) == Some(NamespaceRules::ACCOUNT) {
            return Vec::new();
        }
        let Person { nodes, words } = &self.person(cluster, node);
        let mut all = Vec::new();
        for group_type in self.types.iter() {
            let mut own: Vec<Belonging<'a>> = Vec::new();
            for rule in &group_type.document.by {
                if rule.group_calls {
                    own.extend(self.accounts(cluster, nodes, (group_type, rule)));
                } else if rule.email_domain {
                    own.extend(self.domains(cluster, nodes, (group_type, rule)));
                } else if let Some(namespace) = &rule.identifier {
                    own.extend(self.identifiers(cluster, nodes, (group_type, rule, namespace)));
                } else {
                    own.extend(self.alike(words, (group_type, rule)));
                }
            }
            own.sort_by(|a, b| (a.group, &a.value).cmp(&(b.group, &b.value)));
            let kept: BTreeSet<GroupId> = own.iter().map(|one| one.group).collect();
            let kept: BTreeSet<GroupId> =
                kept.into_iter().take(usize::from(group_type.document.per_person_max)).collect();
            all.extend(own.into_iter().filter(|one| kept.contains(&one.group)));
        }
        all
    }

    /// What rules look at, of one person.
    fn person<'a>(&self, cluster: &'a Cluster, node: usize) -> Person<'a> {
        let mut person = Person { nodes: Vec::new(), words: BTreeMap::new() };
        let names = self.types.traits();
        let is_wanted = |wanted: &str| names.iter().any(|(name, by)| name == wanted || by == wanted);
        for (at, fragment) in cluster.component(node).filter(|(_, fragment)| fragment.is_named()) {
            person.nodes.push(at);
            for (entry, assertion) in fragment.traits.iter().filter(|(entry, _)| is_wanted(&entry.name)) {
                let basis = fragment.basis_of(assertion.basis);
                let word = Word { entry, assertion, basis, node: at };
                person.words.entry(entry.name.as_str()).or_default().push(word);
            }
        }
        person
    }

    fn accounts<'a>(
        &self,
        cluster: &'a Cluster,
        nodes: &[usize],
        (group_type, rule): (&'a GroupType, &'a GroupRule),
    ) -> Vec<Belonging<'a>> {
        let fragments = nodes.iter().filter_map(|at| cluster.fragment(*at));
        let memberships = fragments
            .flat_map(|fragment| fragment.memberships.iter().map(|one| (one, fragment.basis_of(one.basis))));
        let belong = |(one, basis): (&'a crate::Membership, Option<&'a Basis>)| Belonging {
            group_type,
            group: group_type.group(self.key, rule, &[&one.account.0]),
            account: Some(one.account),
            value: Some(one.value.to_string()),
            said: vec![Said {
                path: "identifiers.account_id".to_owned(),
                rests_on: Some((basis, one.since)),
            }],
        };
        memberships.map(belong).collect()
    }

    fn domains<'a>(
        &self,
        cluster: &'a Cluster,
        nodes: &[usize],
        (group_type, rule): (&'a GroupType, &'a GroupRule),
    ) -> Vec<Belonging<'a>> {
        let known = nodes.iter().filter_map(|at| cluster.graph().nodes().get(*at));
        let addresses = known.filter(|node| node.namespace.as_str() == "email");
        let clear =
            addresses.map(|node| node.identifier()).filter(|one| one.form() != IdentifierForm::Hashed);
        let belong = |domain: String| Belonging {
            group_type,
            group: group_type.group(self.key, rule, &[domain.as_bytes()]),
            account: None,
            value: Some(domain),
            said: vec![Said { path: "identifiers.email".to_owned(), rests_on: None }],
        };
        clear.filter_map(|address| domain_of_address(address.value())).map(belong).collect()
    }

    /// Identifiers of their own, and those that they stood with and that a rule keeps from holding people together. A
    /// shared identifier itself belongs to nobody, and so to no group: with whom it stood is kept at their end alone.
    fn identifiers<'a>(
        &self,
        cluster: &'a Cluster,
        nodes: &[usize],
        (group_type, rule, namespace): (&'a GroupType, &'a GroupRule, &Namespace),
    ) -> Vec<Belonging<'a>> {
        let graph = cluster.graph();
        let of = |at: usize| graph.nodes().get(at);
        let is_persons = |at: &usize| nodes.contains(at) && of(*at).is_some_and(|node| !node.is_shared());
        let mut found: BTreeSet<FragmentId> = BTreeSet::new();
        let own = nodes.iter().filter(|at| is_persons(at)).filter_map(|at| of(*at));
        found.extend(own.filter(|node| node.namespace == *namespace).map(|node| node.id));
        let stands = |edge: &&tessera_identity::Edge| {
            let reason = edge.refusal().map(|refusal| refusal.reason);
            edge.linked() == Linked::Refused
                && matches!(
                    reason,
                    Some(RefusalReason::Limit | RefusalReason::Window | RefusalReason::Shared)
                )
        };
        for edge in graph.edges().iter().filter(stands) {
            let (a, b) = edge.ends();
            for (end, other) in [(a, b), (b, a)] {
                let other = of(other).filter(|node| is_persons(&end) && node.namespace == *namespace);
                found.extend(other.map(|node| node.id));
            }
        }
        for stub in graph.stubs().iter().filter(|stub| stub.namespace == *namespace) {
            let is_heard = stub.evidence().iter().any(|word| graph.counts_in_stub(stub, word));
            found.extend((is_heard && is_persons(&stub.node())).then_some(stub.id));
        }
        let belong = |id: FragmentId| Belonging {
            group_type,
            group: group_type.group(self.key, rule, &[&id.0]),
            account: None,
            value: None,
            said: vec![Said { path: format!("identifiers.{namespace}"), rests_on: None }],
        };
        found.into_iter().map(belong).collect()
    }

    /// All of the traits, or nothing: what is half known makes nobody a member.
    fn alike<'a>(
        &self,
        words: &BTreeMap<&'a str, Vec<Word<'a>>>,
        (group_type, rule): (&'a GroupType, &'a GroupRule),
    ) -> Option<Belonging<'a>> {
        let (mut forms, mut said) = (Vec::new(), Vec::new());
        for (path, alike) in &rule.traits {
            let name = trait_of_path(path);
            let word = survivor(name, words, self.survivorship.of(name))?.word;
            let whole: Value = serde_json::from_str(&word.entry.value).ok()?;
            let value = path.split('.').skip(1).try_fold(&whole, |value, member| value.get(member))?;
            forms.push(alike.form(value, group_type.document.country)?);
            // The word stands whole on one basis.
            said.push(Said {
                path: format!("traits.{name}"),
                rests_on: Some((word.basis, word.assertion.at)),
            });
        }
        let parts: Vec<&[u8]> = forms.iter().map(String::as_bytes).collect();
        let group = group_type.group(self.key, rule, &parts);
        Some(Belonging { group_type, group, account: None, value: None, said })
    }
}

/// Of one person: the nodes that events named, and the words on the traits that rules look at.
struct Person<'a> {
    nodes: Vec<usize>,
    words: BTreeMap<&'a str, Vec<Word<'a>>>,
}

impl Belonging<'_> {
    /// As the API shows it.
    pub(crate) fn view(&self) -> GroupView {
        GroupView {
            group_type: self.group_type.document.name.to_string(),
            id: self.group.to_string(),
            by: self.said.iter().map(|said| said.path.clone()).collect(),
            value: self.value.clone(),
        }
    }
}
