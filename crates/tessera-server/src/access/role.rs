//! Roles, and what each may do. Pure.
//!
//! Not what a role *sees* of a profile: that is [`super::Viewer`]. Invariant: an action that a role is not given
//! here is refused; only `admin` is given everything.
//! Reference: NIST RBAC (ANSI INCITS 359), flat roles without inheritance; GDPR Art. 5(1)(f), 25(2), 32(1)(b).

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Runs the installation.
    Admin,
    /// Plans campaigns.
    Marketer,
    /// Evaluates data.
    Analyst,
    /// Answers people who call or write.
    ServiceAgent,
    /// Answers for lawfulness.
    PrivacyOfficer,
    /// Checks what others did.
    Auditor,
}

impl Role {
    /// Every role, in the order of the tables.
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Marketer, Self::Analyst, Self::ServiceAgent, Self::PrivacyOfficer, Self::Auditor];

    /// Its name: `privacy_officer`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Marketer => "marketer",
            Self::Analyst => "analyst",
            Self::ServiceAgent => "service_agent",
            Self::PrivacyOfficer => "privacy_officer",
            Self::Auditor => "auditor",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether accounts of this role are given purposes one by one. Of the others, `admin` and `privacy_officer`
    /// see every purpose, `auditor` none.
    #[must_use]
    pub const fn takes_purposes(self) -> bool {
        matches!(self, Self::Marketer | Self::Analyst | Self::ServiceAgent)
    }

    /// What it sees of a profile, for people.
    const fn sight(self) -> &'static str {
        match self {
            Self::Admin | Self::PrivacyOfficer => "everything that some purpose permits",
            Self::Marketer | Self::Analyst => {
                "what the purposes granted to the account permit, without direct identifiers (label `I1`) unless \
                 that label is granted too"
            }
            Self::ServiceAgent => {
                "one profile at a time, looked up by an identifier that the person gave, as far as the purposes \
                 granted to the account permit"
            }
            Self::Auditor => "nothing: no profile at all",
        }
    }
}

macro_rules! actions {
    ($($variant:ident $name:literal $meaning:literal [$($role:ident)*])*) => {
        /// What can be done through the admin API. Every route names one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Action {
            $(#[doc = $meaning] $variant),*
        }

        impl Action {
            /// Every action, in the order of the tables.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name: `read_profile`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it is, for people.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }

            /// Whom it is given to, besides `admin`.
            const fn given_to(self) -> &'static [Role] {
                match self { $(Self::$variant => &[$(Role::$role),*]),* }
            }
        }
    };
}

actions! {
    ReadProfile "read_profile" "Look one profile up" [Marketer Analyst ServiceAgent PrivacyOfficer]
    ListProfiles "list_profiles" "List and search profiles" [Marketer Analyst PrivacyOfficer]
    Query "query" "Ask questions in SQL over everybody" [Marketer Analyst PrivacyOfficer]
    TakeSnapshots "take_snapshots" "Take a snapshot of everybody's profiles into the lake, where other engines read it" []
    ChangeProfiles "change_profiles" "Split and merge profiles, undo merges" [PrivacyOfficer]
    ReviewMatches "review_matches" "Review pairs that a matcher is unsure of, and judge them" [PrivacyOfficer]
    ReadWorkspace "read_workspace" "Read and compare the workspace" [Marketer Analyst PrivacyOfficer Auditor]
    ChangeWorkspace "change_workspace" "Apply workspace files, and see the secrets in them" [PrivacyOfficer]
    Simulate "simulate" "Ask what a change of the workspace would do" [Marketer Analyst PrivacyOfficer]
    RunMatchers "run_matchers" "Run matchers, and see why profiles match" [PrivacyOfficer]
    FindPerson "find_person" "Ask who somebody is, by what they say of themselves" [ServiceAgent PrivacyOfficer]
    ReadRejects "read_rejects" "Read rejects with their payloads" [PrivacyOfficer]
    ReplayRejects "replay_rejects" "Keep and replay rejects" []
    ReadDestinations "read_destinations" "See how destinations do" [Marketer PrivacyOfficer Auditor]
    ReadDeadLetters "read_dead_letters" "List dead letters" [PrivacyOfficer]
    ReplayDeadLetters "replay_dead_letters" "Deliver dead letters again" []
    WatchLive "watch_live" "Watch the live stream" [Marketer Analyst PrivacyOfficer]
    ReadTotals "read_totals" "Read totals" [Marketer Analyst PrivacyOfficer Auditor]
    ReadQuality "read_quality" "Read how good the data is: counts and masked shapes" [Marketer Analyst PrivacyOfficer Auditor]
    KeepAudits "keep_audits" "Audit the quality of the data now" [Analyst PrivacyOfficer]
    WriteConsents "write_consents" "Record what a person consented to or withdrew" [ServiceAgent PrivacyOfficer]
    WorkRequests "work_requests" "Work on requests of data subjects" [PrivacyOfficer]
    ReadEvidence "read_evidence" "Read the evidence ledger" [PrivacyOfficer Auditor]
    ExportEvidence "export_evidence" "Export the evidence ledger" [PrivacyOfficer Auditor]
    ReadAccess "read_access" "See who has access" [PrivacyOfficer Auditor]
    ManageAccess "manage_access" "Give and take access" []
}

/// Whether `role` may do `action`.
#[must_use]
pub fn allows(role: Role, action: Action) -> bool {
    role == Role::Admin || action.given_to().contains(&role)
}

/// The reference page of roles, made from the table that is enforced.
#[must_use]
pub fn role_reference() -> String {
    let mut out = String::from(
        "# Roles\n\nGenerated by `tessera docs roles`. What an account of each role may do through the admin API; the token of the \
         data folder (`root`) may do what `admin` may. What is not marked is refused with \
         [TES-A002](errors/TES-A002.md).\n\n| action | what it is |",
    );
    let mut rule = String::from("\n| --- | --- |");
    for role in Role::ALL {
        out.push_str(&format!(" {} |", role.as_str()));
        rule.push_str(" --- |");
    }
    out.push_str(&rule);
    for action in Action::ALL {
        out.push_str(&format!("\n| `{}` | {} |", action.as_str(), action.meaning()));
        for role in Role::ALL {
            out.push_str(if allows(role, *action) { " yes |" } else { " |" });
        }
    }
    out.push_str("\n\n## What a role sees of a profile\n\n| role | sees |\n| --- | --- |\n");
    for role in Role::ALL {
        // Writing to a `String` cannot fail.
        let _written = writeln!(out, "| {} | {} |", role.as_str(), role.sight());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by hand, apart from the code: who changes one must change the other.
    const TABLE: &str = "
        action              admin marketer analyst service_agent privacy_officer auditor
        read_profile        yes   yes      yes     yes           yes             no
        list_profiles       yes   yes      yes     no            yes             no
        query               yes   yes      yes     no            yes             no
        take_snapshots      yes   no       no      no            no              no
        change_profiles     yes   no       no      no            yes             no
        review_matches      yes   no       no      no            yes             no
        read_workspace      yes   yes      yes     no            yes             yes
        change_workspace    yes   no       no      no            yes             no
        simulate            yes   yes      yes     no            yes             no
        run_matchers        yes   no       no      no            yes             no
        find_person         yes   no       no      yes           yes             no
        read_rejects        yes   no       no      no            yes             no
        replay_rejects      yes   no       no      no            no              no
        read_destinations   yes   yes      no      no            yes             yes
        read_dead_letters   yes   no       no      no            yes             no
        replay_dead_letters yes   no       no      no            no              no
        watch_live          yes   yes      yes     no            yes             no
        read_totals         yes   yes      yes     no            yes             yes
        read_quality        yes   yes      yes     no            yes             yes
        keep_audits         yes   no       yes     no            yes             no
        write_consents      yes   no       no      yes           yes             no
        work_requests       yes   no       no      no            yes             no
        read_evidence       yes   no       no      no            yes             yes
        export_evidence     yes   no       no      no            yes             yes
        read_access         yes   no       no      no            yes             yes
        manage_access       yes   no       no      no            no              no";

    #[test]
    fn each_role_may_do_what_the_table_says_and_nothing_else() {
        let mut lines = TABLE.trim().lines().map(str::split_whitespace);
        let roles: Vec<Role> = lines.next().unwrap().skip(1).map(|name| Role::parse(name).unwrap()).collect();
        assert_eq!(roles, Role::ALL);
        let mut actions = Action::ALL.iter();
        for mut line in lines {
            let action = *actions.next().unwrap();
            assert_eq!(line.next().unwrap(), action.as_str());
            for role in &roles {
                assert_eq!(allows(*role, action), line.next().unwrap() == "yes", "{role:?} {action:?}");
            }
        }
        assert_eq!(actions.next(), None);
    }

    #[test]
    fn the_committed_page_of_roles_is_what_the_code_says() {
        assert_eq!(
            role_reference(),
            include_str!("../../../../docs/reference/roles.md"),
            "run `cargo xtask codegen`"
        );
    }
}
