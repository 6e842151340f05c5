//! Sessions of people who signed in. In memory: a restart ends them all.
//!
//! Pure: the time is an argument. Invariant: a session ends with its account, with a change of its password, after
//! 12 hours, or when its person signs out. Reference: OWASP Session Management Cheat Sheet.

use std::collections::HashMap;

use tessera_model::Timestamp;

/// How long a session lasts.
const LIFETIME_MILLIS: i64 = 12 * 60 * 60 * 1000;
/// Most sessions of one account: the eldest ends for the next.
const OF_ONE_MAX: usize = 20;
/// Most sessions in all.
const SESSIONS_MAX: usize = 10_000;

#[derive(Debug)]
struct Session {
    account: String,
    /// The stored hash of the password it was opened with.
    credential_hash: String,
    expires_at: Timestamp,
}

/// Every session, by the hash of its token.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    sessions: HashMap<[u8; 32], Session>,
}

impl Sessions {
    /// Opens a session and says when it ends.
    pub(crate) fn open(
        &mut self,
        token: [u8; 32],
        account: &str,
        credential_hash: &str,
        now: Timestamp,
    ) -> Timestamp {
        self.sessions.retain(|_, session| session.expires_at > now);
        self.end_eldest(|session| session.account == account, OF_ONE_MAX);
        self.end_eldest(|_| true, SESSIONS_MAX);
        let expires_at = Timestamp::from_millis(now.as_millis().saturating_add(LIFETIME_MILLIS));
        let session =
            Session { account: account.to_owned(), credential_hash: credential_hash.to_owned(), expires_at };
        self.sessions.insert(token, session);
        expires_at
    }

    /// Ends the eldest of those that `belongs` means, when there are `max`.
    fn end_eldest(&mut self, belongs: impl Fn(&Session) -> bool, max: usize) {
        let those = self.sessions.iter().filter(|(_, session)| belongs(session));
        if those.clone().count() < max {
            return;
        }
        let eldest = those.min_by_key(|(token, session)| (session.expires_at, **token));
        if let Some(token) = eldest.map(|(token, _)| *token) {
            self.sessions.remove(&token);
        }
    }

    /// Account and end of a session, and the password's hash that must still be the account's.
    pub(crate) fn find(&self, token: &[u8; 32], now: Timestamp) -> Option<(&str, &str, Timestamp)> {
        let session = self.sessions.get(token).filter(|session| session.expires_at > now)?;
        Some((&session.account, &session.credential_hash, session.expires_at))
    }

    /// Ends a session.
    pub(crate) fn close(&mut self, token: &[u8; 32]) {
        self.sessions.remove(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_session_lasts_twelve_hours() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.open([1; 32], "ada", "hash", at(1000)), at(1000 + LIFETIME_MILLIS));
        let found = sessions.find(&[1; 32], at(LIFETIME_MILLIS)).unwrap();
        assert_eq!(found, ("ada", "hash", at(1000 + LIFETIME_MILLIS)));
        assert_eq!(sessions.find(&[1; 32], at(1000 + LIFETIME_MILLIS)), None);
        assert_eq!(sessions.find(&[2; 32], at(1000)), None);
    }

    #[test]
    fn signing_out_ends_that_session_alone() {
        let mut sessions = Sessions::default();
        sessions.open([1; 32], "ada", "hash", at(0));
        sessions.open([2; 32], "ada", "hash", at(0));
        sessions.close(&[1; 32]);
        assert_eq!(sessions.find(&[1; 32], at(1)), None);
        assert!(sessions.find(&[2; 32], at(1)).is_some());
    }

    #[test]
    fn the_eldest_session_ends_when_there_are_too_many() {
        let mut sessions = Sessions::default();
        sessions.open([99; 32], "bob", "hash", at(0));
        for number in 0..=20_u8 {
            sessions.open([number; 32], "ada", "hash", at(i64::from(number)));
        }
        assert_eq!(sessions.find(&[0; 32], at(21)), None);
        assert!(sessions.find(&[1; 32], at(21)).is_some());
        assert!(sessions.find(&[99; 32], at(21)).is_some(), "others keep theirs");
        assert_eq!(sessions.sessions.len(), OF_ONE_MAX + 1);
        sessions.open([100; 32], "cyd", "hash", at(LIFETIME_MILLIS * 2));
        assert_eq!(sessions.sessions.len(), 1, "ended sessions are forgotten");
    }
}
