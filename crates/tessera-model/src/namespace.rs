//! Which identifiers an event carries, how strong they are, and which values say nothing.
//!
//! Reference: Segment Unify's identity rules (priority `user_id`, `email`, then alphabetical; default blocked
//! values `^[0-]*$`, `-1`, `null`, `anonymous`; limit 1 for `user_id` and 5 for others).

use std::collections::{BTreeMap, BTreeSet};

use regex::RegexSet;
use tessera_contact::Region;

use crate::{
    FragmentId, HASHED_SUFFIX, HashKey, Identified, Identifier, IdentifierError, IdentityDocument,
    IdentityStrategy, Namespace, NamespaceDocument, Normalise, Normaliser, SharedAfter, Window, identity,
};

/// One namespace, ready for use.
#[derive(Clone, Debug)]
pub struct PreparedNamespace {
    /// Its name.
    pub name: Namespace,
    /// Smaller is stronger; equal priorities are told apart by name.
    pub priority: u16,
    /// Most identifiers of it that one profile may have.
    pub limit: u16,
    /// In what time the limit counts.
    pub window: Window,
    /// With how many people a value may stand before it is shared.
    pub shared_after: SharedAfter,
    /// How values are normalised.
    pub normalise: Normaliser,
    /// Where events carry it, beyond `userId`, `anonymousId` and `context.externalIds`: paths such as
    /// `["traits", "email"]`, and of hashes `["traits", "email_sha256"]`.
    pub paths: Vec<Vec<String>>,
    blocked: RegexSet,
    /// Of [`NamespaceDocument::blocked_values`], as identifiers would hold them.
    blocked_values: BTreeSet<String>,
    rank: u16,
    is_anonymous: bool,
}

/// What a namespace says of who is one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceLimits {
    /// Most identifiers of one profile ...
    pub limit: u16,
    /// ... within this time.
    pub window: Window,
    /// With how many people a value may stand before it is shared.
    pub shared_after: SharedAfter,
    /// Position among the workspace's namespaces, 0 the strongest.
    pub rank: u16,
    /// Whether it names a device and no person.
    pub is_anonymous: bool,
}

/// All namespaces of a workspace, strongest first.
#[derive(Clone, Debug)]
pub struct NamespaceRules {
    ordered: Vec<PreparedNamespace>,
    by_name: BTreeMap<Namespace, u16>,
    user_id: u16,
    anonymous_id: u16,
    account_id: Namespace,
    strategy: IdentityStrategy,
    /// The regions in which sources read telephone numbers.
    regions: BTreeSet<Region>,
}

/// Values that say nothing, whatever the namespace. Reference: Segment Unify's defaults, and the values that
/// broken clients send in place of none (PostHog issue 5527).
const BLOCKED_ALWAYS: [&str; 2] = [
    r"^[0-]*$",
    r"(?i)^(-1|null|nil|none|undefined|nan|anonymous|guest|unknown|n/a|\[object object\]|true|false)$",
];

impl NamespaceRules {
    /// The name of the account namespace: account profiles have their own graph.
    pub const ACCOUNT: &'static str = "account_id";

    /// The built-in namespaces (`user_id`, `email`, `phone`, `anonymous_id`), replaced or joined by `documents`.
    ///
    /// # Errors
    /// The name of the field, and why, for a blocked pattern that is not a regular expression.
    pub fn new<'a>(
        documents: impl IntoIterator<Item = &'a NamespaceDocument>,
    ) -> Result<Self, (Namespace, String)> {
        let mut merged: BTreeMap<Namespace, NamespaceDocument> = NamespaceDocument::built_in()
            .into_iter()
            .map(|document| (document.name.clone(), document))
            .collect();
        for document in documents {
            merged.insert(document.name.clone(), document.clone());
        }
        let mut ordered = Vec::new();
        for document in merged.into_values() {
            let patterns =
                BLOCKED_ALWAYS.iter().map(|s| (*s).to_owned()).chain(document.blocked.iter().cloned());
            let blocked =
                RegexSet::new(patterns).map_err(|e| (document.name.clone(), format!("blocked: {e}")))?;
            ordered.push(PreparedNamespace {
                is_anonymous: identity::anonymous_id().contains(&document.name),
                priority: document.priority,
                limit: document.limit,
                window: document.window,
                shared_after: document.shared_after,
                normalise: document.normaliser(),
                paths: paths(&document),
                blocked,
                blocked_values: blocked_values(&document),
                name: document.name,
                rank: 0,
            });
        }
        ordered.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
        let mut by_name = BTreeMap::new();
        for (rank, namespace) in ordered.iter_mut().enumerate() {
            namespace.rank = u16::try_from(rank).unwrap_or(u16::MAX);
            by_name.insert(namespace.name.clone(), namespace.rank);
        }
        let find = |text: &str| {
            Namespace::parse(text).ok().and_then(|name| by_name.get(&name).copied()).unwrap_or_default()
        };
        let (user_id, anonymous_id) = (find("user_id"), find("anonymous_id"));
        let account_id =
            Namespace::parse(Self::ACCOUNT).map_err(|e| (ordered_name(&ordered), e.to_string()))?;
        let strategy = IdentityStrategy::default();
        Ok(Self { ordered, by_name, user_id, anonymous_id, account_id, strategy, regions: BTreeSet::new() })
    }

    /// These namespaces, with what the workspace's `Identity` document says.
    #[must_use]
    pub fn with_identity(mut self, identity: &IdentityDocument) -> Self {
        self.strategy = identity.strategy;
        for namespace in &mut self.ordered {
            namespace.is_anonymous = identity.anonymous.contains(&namespace.name);
        }
        self
    }

    /// These namespaces, where sources read telephone numbers in these regions.
    #[must_use]
    pub fn with_regions(mut self, regions: BTreeSet<Region>) -> Self {
        self.regions = regions;
        self
    }

    /// Every identifier that a text can be in that namespace, whichever source sent it: a telephone number without a country code
    /// is another one in each region.
    pub fn readings<'a>(
        &'a self,
        namespace: &'a PreparedNamespace,
        key: &'a HashKey,
        value: &'a str,
    ) -> impl Iterator<Item = Identified> + 'a {
        let is_phone = namespace.normalise.how == Normalise::Phone;
        let regions = self.regions.iter().filter(move |_| is_phone);
        let regions = std::iter::once(None).chain(regions.copied().map(Some));
        regions.filter_map(move |region| namespace.identify_in(key, value, region).ok().flatten())
    }

    /// How anonymous identifiers meet known ones.
    #[must_use]
    pub fn strategy(&self) -> IdentityStrategy {
        self.strategy
    }

    /// Strongest first.
    #[must_use]
    pub fn ordered(&self) -> &[PreparedNamespace] {
        &self.ordered
    }

    /// The namespace of that name; `email_sha256` is `email`.
    #[must_use]
    pub fn get(&self, name: &Namespace) -> Option<&PreparedNamespace> {
        match self.by_name.get(name) {
            Some(rank) => self.ordered.get(usize::from(*rank)),
            None => self.hashed(name.as_str()),
        }
    }

    /// The namespace whose hashes are called so.
    fn hashed(&self, name: &str) -> Option<&PreparedNamespace> {
        let clear = name.strip_suffix(HASHED_SUFFIX)?;
        self.find(clear).filter(|namespace| namespace.normalise.is_hashable())
    }

    /// The namespace of that text.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&PreparedNamespace> {
        self.ordered.iter().find(|namespace| namespace.name.as_str() == name)
    }

    /// `user_id`.
    #[must_use]
    pub fn user_id(&self) -> Option<&PreparedNamespace> {
        self.ordered.get(usize::from(self.user_id))
    }

    /// `anonymous_id`.
    #[must_use]
    pub fn anonymous_id(&self) -> Option<&PreparedNamespace> {
        self.ordered.get(usize::from(self.anonymous_id))
    }

    /// The account a `group` call names.
    ///
    /// # Errors
    /// [`IdentifierError`].
    pub fn account(&self, key: &HashKey, value: &str) -> Result<Identified, IdentifierError> {
        let identifier = Identifier::parse(&self.account_id, Normalise::Exact, value)?;
        let id = FragmentId::of(key, &identifier);
        Ok(Identified { identifier, id, rank: u16::MAX })
    }

    /// What is said of a namespace (5 ever, for one that is no longer declared).
    #[must_use]
    pub fn limits(&self, namespace: &Namespace) -> NamespaceLimits {
        match self.get(namespace) {
            Some(prepared) => NamespaceLimits {
                limit: prepared.limit,
                window: prepared.window,
                shared_after: prepared.shared_after,
                rank: prepared.rank,
                is_anonymous: prepared.is_anonymous,
            },
            None => NamespaceLimits {
                limit: 5,
                window: Window::Ever,
                shared_after: SharedAfter::default(),
                rank: u16::MAX,
                is_anonymous: false,
            },
        }
    }

    /// Reads `namespace:value` as people write it on the command line and in URLs, accounts included.
    ///
    /// # Errors
    /// [`IdentifierError`].
    pub fn parse_reference(&self, text: &str) -> Result<Identifier, IdentifierError> {
        let (name, value) = text.split_once(':').ok_or(IdentifierError::NoColon)?;
        let name = Namespace::parse(name)?;
        match self.get(&name) {
            Some(prepared) => Identifier::parse(&prepared.name, prepared.normalise, value),
            None => Identifier::parse(&name, Normalise::Exact, value),
        }
    }
}

/// The paths of a namespace, and those of its hashes.
fn paths(document: &NamespaceDocument) -> Vec<Vec<String>> {
    let is_hashable = document.normalise.is_hashable();
    let hashed = document.from.iter().filter(|_| is_hashable).map(|path| format!("{path}{HASHED_SUFFIX}"));
    let all = document.from.iter().cloned().chain(hashed);
    all.map(|path| path.split('.').map(str::to_owned).collect()).collect()
}

/// Exact values that say nothing, as their identifiers would hold them, and hashed.
fn blocked_values(document: &NamespaceDocument) -> BTreeSet<String> {
    let read = |value: &String| Identifier::parse(&document.name, document.normaliser(), value).ok();
    let known = document.blocked_values.iter().filter_map(read);
    known.flat_map(|identifier| identifier.spellings()).collect()
}

fn ordered_name(ordered: &[PreparedNamespace]) -> Namespace {
    ordered
        .first()
        .map_or_else(|| Namespace::parse("user_id").unwrap_or_else(|_| unreachable!()), |n| n.name.clone())
}

impl PreparedNamespace {
    /// Position among the workspace's namespaces, 0 the strongest.
    #[must_use]
    pub fn rank(&self) -> u16 {
        self.rank
    }

    /// Reads a value; `Ok(None)` when it is blank or one of those that say nothing.
    ///
    /// # Errors
    /// [`IdentifierError`].
    pub fn identify(&self, key: &HashKey, value: &str) -> Result<Option<Identified>, IdentifierError> {
        self.identify_in(key, value, None)
    }

    /// Reads a value of a source that reads telephone numbers in `region`; without one the namespace's own counts.
    ///
    /// # Errors
    /// [`IdentifierError`].
    pub fn identify_in(
        &self,
        key: &HashKey,
        value: &str,
        region: Option<Region>,
    ) -> Result<Option<Identified>, IdentifierError> {
        let trimmed = value.trim();
        if trimmed.is_empty() || (trimmed.len() <= 512 && self.blocked.is_match(trimmed)) {
            return Ok(None);
        }
        let normalise = Normaliser { region: region.or(self.normalise.region), ..self.normalise };
        let identifier = Identifier::parse(&self.name, normalise, trimmed)?;
        if self.blocked_values.contains(identifier.value()) {
            return Ok(None);
        }
        let id = FragmentId::of(key, &identifier);
        Ok(Some(Identified { identifier, id, rank: self.rank }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IdentifierForm;

    fn rules() -> NamespaceRules {
        NamespaceRules::new([]).unwrap()
    }

    #[test]
    fn built_in_namespaces_are_ordered_as_segment_orders_them() {
        let names: Vec<_> = rules().ordered().iter().map(|n| n.name.as_str().to_owned()).collect();
        assert_eq!(names, ["user_id", "email", "phone", "anonymous_id"]);
    }

    #[test]
    fn values_that_say_nothing_are_blocked_in_every_namespace() {
        let key = HashKey::new([7; 32]);
        for value in [
            "",
            "  ",
            "0",
            "000",
            "-",
            "00-00",
            "-1",
            "null",
            "NULL",
            "anonymous",
            "undefined",
            "[object Object]",
        ] {
            for namespace in rules().ordered() {
                assert_eq!(namespace.identify(&key, value), Ok(None), "{value:?} in {}", namespace.name);
            }
        }
    }

    #[test]
    fn normalising_makes_the_same_address_equal() {
        let key = HashKey::new([7; 32]);
        let rules = rules();
        for (namespace, one, other) in
            [("email", "Ada@X.org ", "ada@x.ORG"), ("phone", "0049 (30) 123-456", "+4930123456")]
        {
            let namespace = rules.find(namespace).unwrap();
            let id = |value| namespace.identify(&key, value).unwrap().unwrap().id;
            assert_eq!(id(one), id(other));
        }
        let user = rules.find("user_id").unwrap();
        let id = |value| user.identify(&key, value).unwrap().unwrap().id;
        assert_ne!(id("A"), id("a"), "user ids are exact");
    }

    #[test]
    fn a_hash_is_the_same_fragment_as_its_clear_form_however_it_is_written() {
        let key = HashKey::new([7; 32]);
        let rules = rules();
        for (name, clear) in [("email", " Ada@X.org"), ("phone", "+49 30 123456")] {
            let namespace = rules.find(name).unwrap();
            let id = |value: &str| namespace.identify(&key, value).unwrap().unwrap();
            let known = id(clear);
            assert_eq!(known.identifier.form(), IdentifierForm::Clear);
            let spellings = known.identifier.spellings();
            for hash in spellings.iter().take(2).flat_map(|hash| [hash.clone(), format!(" {hash} ")]) {
                let hashed = id(&hash);
                assert_eq!((hashed.id, hashed.identifier.form()), (known.id, IdentifierForm::Hashed));
                assert_eq!(hashed.identifier.value(), spellings[0]);
                let reference = rules.parse_reference(&format!("{name}_sha256:{hash}")).unwrap();
                assert_eq!(FragmentId::of(&key, &reference), known.id);
            }
            assert_eq!(id(&spellings[0].to_uppercase()).id, known.id);
        }
        let user = rules.find("user_id").unwrap();
        let id = user.identify(&key, &"a".repeat(64)).unwrap().unwrap();
        assert_eq!(id.identifier.form(), IdentifierForm::Exact, "a user id may look as it likes");
    }

    #[test]
    fn exact_values_are_blocked_as_they_are_written_and_hashed() {
        let key = HashKey::new([7; 32]);
        let mut email = NamespaceDocument::built_in().remove(1);
        email.blocked_values = ["Test@Test.com".to_owned()].into();
        let rules = NamespaceRules::new([&email]).unwrap();
        let email = rules.find("email").unwrap();
        for value in [
            "test@test.com",
            "TEST@test.com ",
            "f660ab912ec121d1b1e928a0bb4bc61b15f5ad44d5efdc4e1c92a25e99b8e44a",
        ] {
            assert_eq!(email.identify(&key, value), Ok(None), "{value}");
        }
        assert!(email.identify(&key, "protest@test.com").unwrap().is_some());
    }

    #[test]
    fn identifiers_that_break_their_limits_are_told_without_quoting_them() {
        let key = HashKey::new([7; 32]);
        let rules = rules();
        let error = |namespace: &str, value: &str| {
            rules.find(namespace).unwrap().identify(&key, value).unwrap_err().to_string()
        };
        assert_eq!(error("user_id", &"x".repeat(300)), "the user_id has 300 bytes, the limit is 255");
        assert_eq!(error("user_id", "a\u{7}b"), "the user_id holds a control character (U+0007)");
        assert_eq!(error("email", "ada"), "the email is not an e-mail address");
        assert_eq!(error("phone", "call me"), "the phone is not a telephone number");
    }
}
