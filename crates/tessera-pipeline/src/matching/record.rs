//! A profile as a record to compare: of each column what the matcher's purpose permits to see, and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;
use tessera_identity::Undone;
use tessera_model::{
    FieldPath, FragmentId, MatcherDocument, Rules, Selector, SourceName, Strength, Timestamp, UndoId,
};
use tessera_policy::Labels;
use tessera_profile::{Cluster, Profile, Reader, View};

use crate::Query;

/// One profile's values, in the order of the matcher's columns. Personal data.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Compare {
    pub(crate) profile: FragmentId,
    pub(crate) values: Vec<Option<Box<str>>>,
}

impl std::fmt::Debug for Compare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Compare({}, {} values)", self.profile, self.values.iter().flatten().count())
    }
}

impl Compare {
    /// The values as the matcher takes them.
    pub(crate) fn cells(&self) -> Vec<Option<&str>> {
        self.values.iter().map(Option::as_deref).collect()
    }
}

/// What may be compared, and for what.
pub(crate) struct Gate<'a> {
    pub(crate) rules: &'a Rules,
    pub(crate) labels: &'a Labels,
    pub(crate) matcher: &'a MatcherDocument,
    pub(crate) now: Timestamp,
}

impl Gate<'_> {
    /// The profiles of a cluster that the purpose permits to compare and that say anything.
    pub(crate) fn records(&self, cluster: &Cluster) -> Vec<Compare> {
        let Self { rules, labels, matcher, now } = *self;
        let query = Query { rules, purpose: Some(&matcher.purpose), view: View::default(), now };
        let reader = Reader { labels, hidden: tessera_model::LabelSet::default(), purposes: None };
        let mut records = Vec::new();
        for nodes in cluster.graph().components() {
            let Some(node) = nodes.first() else { continue };
            let Ok(profile) = query.seen_by(reader).show(cluster, *node) else { continue };
            let profile = profile.get();
            let is_account =
                profile.identifiers.iter().any(|one| one.namespace == tessera_model::NamespaceRules::ACCOUNT);
            let values: Vec<_> = matcher.columns.values().map(|path| value(profile, path)).collect();
            if !is_account && values.iter().any(Option::is_some) {
                records.push(Compare { profile: cluster.profile_id(*node), values });
            }
        }
        records
    }

    /// The same people as they would be if no matcher and no steward had ever linked anybody: who was found to be one person
    /// is what there is to learn from, and would be missing. `None` if that is how they are. Only parts of profiles that may
    /// be compared as a whole: merging takes the stricter answer, and learning does not go behind it.
    pub(crate) fn unlinked(&self, cluster: &Cluster, records: &[Compare]) -> Option<Vec<Compare>> {
        let words = cluster.graph().edges().iter().flat_map(tessera_identity::Edge::evidence);
        let thought = words.filter(|word| matches!(word.strength, Strength::Probable | Strength::Manual));
        let sources: BTreeSet<&SourceName> = thought.map(|word| &word.source).collect();
        if sources.is_empty() {
            return None;
        }
        let mut apart = cluster.clone();
        for (source, id) in sources.into_iter().zip(0..) {
            let selector = Selector::Source { source: source.clone(), from: None, to: Timestamp::MAX };
            apart.undo(Undone { id: UndoId(id), selector, at: self.now });
        }
        apart.resolve(&self.rules.namespaces);
        let is_permitted = |part: &Compare| {
            let whole = cluster.find(part.profile).map(|node| cluster.profile_id(node));
            records.iter().any(|record| Some(record.profile) == whole)
        };
        let parts: Vec<Compare> = self.records(&apart).into_iter().filter(is_permitted).collect();
        (parts.as_slice() != records).then_some(parts)
    }
}

fn value(profile: &Profile, path: &FieldPath) -> Option<Box<str>> {
    let (root, rest) = path.as_str().split_once('.')?;
    if root == "identifiers" {
        // The first in order: equal ones would have made the two profiles one already.
        let values = profile.identifiers.iter().filter(|one| one.namespace == rest);
        let mut values = values.map(|one| one.value.as_str());
        return values.find(|value| !value.is_empty()).map(Into::into);
    }
    // A trait may have dots in its name, and may be an object.
    if let Some(raw) = profile.traits.get(rest) {
        return text(&serde_json::from_str(raw.get()).ok()?);
    }
    let (name, inside) = rest.split_once('.')?;
    let object: Value = serde_json::from_str(profile.traits.get(name)?.get()).ok()?;
    text(inside.split('.').try_fold(&object, |value, part| value.get(part))?)
}

/// A value as text; the items of a list are parted by `|`.
fn text(value: &Value) -> Option<Box<str>> {
    let text: Box<str> = match value {
        Value::Null | Value::Object(_) => return None,
        Value::String(text) => text.trim().into(),
        Value::Bool(_) | Value::Number(_) => value.to_string().into(),
        Value::Array(items) => items.iter().filter_map(text).collect::<Vec<_>>().join("|").into(),
    };
    (!text.is_empty()).then_some(text)
}
