//! Who asks, as the handlers see it, and what that one may see.

use std::collections::BTreeSet;

use serde_json::Value;
use tessera_model::{Document, Label, LabelSet, PurposeName, Secret};

use super::role::{Action, Role, allows};

/// What stands in place of a secret.
const HIDDEN: &str = "<secret>";

/// Who asks. In the extensions of every request that the guard let through.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    /// The name of the account; `root` for the token of the data folder.
    pub(crate) actor: String,
    pub(crate) role: Role,
    /// The purposes that it sees data for; `None`: all.
    pub(crate) purposes: Option<BTreeSet<PurposeName>>,
    /// Labels granted beyond what the role sees.
    pub(crate) labels: LabelSet,
    /// How it came in.
    pub(crate) way: Way,
}

/// How somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The token of the data folder.
    Root,
    /// A named token.
    Token,
    /// A session, by the hash of its token.
    Session([u8; 32]),
    /// Not signed in: a request that brings its own credentials.
    SigningIn,
}

impl Viewer {
    /// The holder of the data folder's token.
    pub(crate) fn root() -> Self {
        Self {
            actor: "root".to_owned(),
            role: Role::Admin,
            purposes: None,
            labels: LabelSet::default(),
            way: Way::Root,
        }
    }

    /// Whether its access may be taken away.
    pub(crate) fn may_end(&self) -> bool {
        self.way != Way::Root
    }

    pub(crate) fn may(&self, action: Action) -> bool {
        self.way != Way::SigningIn && allows(self.role, action)
    }

    /// Whether it sees data for `purpose`.
    pub(crate) fn may_use(&self, purpose: &PurposeName) -> bool {
        self.purposes.as_ref().is_none_or(|granted| granted.contains(purpose))
    }

    /// Whether it sees fields with `label`.
    pub(crate) fn may_see(&self, label: Label) -> bool {
        match self.role {
            Role::Admin | Role::PrivacyOfficer | Role::ServiceAgent => true,
            Role::Marketer | Role::Analyst => label != Label::I1 || self.labels.contains(label),
            Role::Auditor => false,
        }
    }

    /// The labels of the fields that it does not see.
    pub(crate) fn hidden(&self) -> LabelSet {
        Label::ALL.iter().copied().filter(|label| !self.may_see(*label)).collect()
    }

    /// Whether it sees identifiers.
    pub(crate) fn sees_identifiers(&self) -> bool {
        self.may_see(Label::I1)
    }

    /// Whether it sees the secrets in the workspace: who may change them may see them.
    pub(crate) fn sees_secrets(&self) -> bool {
        self.may(Action::ChangeWorkspace)
    }

    /// A document of the workspace as it sees it: a connector's settings may hold secrets under any name.
    pub(crate) fn shown(&self, document: &Document) -> Document {
        let mut document = document.clone();
        if !self.sees_secrets() {
            if let Document::Source(source) = &mut document {
                source.write_key = Secret::new(HIDDEN);
            }
            if let Document::Destination(destination) = &mut document {
                destination.config.values_mut().for_each(|value| *value = Value::from(HIDDEN));
            }
        }
        document
    }

    /// Whether it finds people only by an identifier that it was told, never by an id out of a list or a log.
    pub(crate) fn needs_identifier(&self) -> bool {
        self.role == Role::ServiceAgent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewer(role: Role, purposes: &[&str], labels: &[Label]) -> Viewer {
        let purposes = purposes.iter().map(|name| PurposeName::parse(name).unwrap()).collect();
        Viewer {
            actor: "someone".to_owned(),
            role,
            purposes: role.takes_purposes().then_some(purposes),
            labels: labels.iter().copied().collect(),
            way: Way::Token,
        }
    }

    #[test]
    fn direct_identifiers_are_hidden_from_marketers_and_analysts_unless_granted() {
        for role in [Role::Marketer, Role::Analyst] {
            assert!(!viewer(role, &[], &[]).sees_identifiers());
            assert!(viewer(role, &[], &[Label::I1]).sees_identifiers());
            assert!(viewer(role, &[], &[]).may_see(Label::I2));
        }
        for role in [Role::Admin, Role::PrivacyOfficer, Role::ServiceAgent] {
            assert!(viewer(role, &[], &[]).sees_identifiers());
        }
        assert!(!viewer(Role::Auditor, &[], &[Label::I1, Label::I2]).may_see(Label::I2));
        assert!(!viewer(Role::Auditor, &[], &[Label::I1]).sees_identifiers());
    }

    #[test]
    fn purposes_that_are_not_granted_are_not_used() {
        let (service, marketing) =
            (PurposeName::parse("service").unwrap(), PurposeName::parse("marketing").unwrap());
        let agent = viewer(Role::ServiceAgent, &["service"], &[]);
        assert!(agent.may_use(&service) && !agent.may_use(&marketing));
        assert!(!viewer(Role::Marketer, &[], &[]).may_use(&marketing));
        assert!(viewer(Role::PrivacyOfficer, &[], &[]).may_use(&marketing));
    }

    #[test]
    fn secrets_are_for_those_who_may_change_them() {
        let seen: Vec<Role> =
            Role::ALL.into_iter().filter(|role| viewer(*role, &[], &[]).sees_secrets()).collect();
        assert_eq!(seen, [Role::Admin, Role::PrivacyOfficer]);
    }

    #[test]
    fn who_has_not_signed_in_yet_may_do_nothing() {
        let viewer = Viewer { way: Way::SigningIn, ..Viewer::root() };
        assert!(Action::ALL.iter().all(|action| !viewer.may(*action)));
    }
}
