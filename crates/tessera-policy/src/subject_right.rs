//! What a person may be given of their own data, whatever its purposes: access and portability.
//!
//! Not a decision about a purpose: the ground is the person's right. Invariants: there is no [`SubjectRight`] without an
//! [`IdentityCheck`] that says how, by whom and when the person was recognised; what it opens goes to the person, and no
//! destination takes it. Reference: GDPR Art. 12(6), 15, 20; California Civil Code 1798.110, 1798.130; LGPD Art. 18.

use tessera_model::Timestamp;

use crate::Permitted;

/// That a person has shown who they are: for which request, how, to whom and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityCheck {
    request: Box<str>,
    method: Box<str>,
    by: Box<str>,
    at: Timestamp,
}

impl IdentityCheck {
    /// The record of a check. `None` when the request, the method or who checked is not named.
    #[must_use]
    pub fn new(request: &str, method: &str, by: &str, at: Timestamp) -> Option<Self> {
        let is_named = [request, method, by].iter().all(|text| !text.trim().is_empty());
        is_named.then(|| Self { request: request.into(), method: method.into(), by: by.into(), at })
    }

    /// The request that it was made for.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.request
    }

    /// How: `contact_point`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Who recognised the person.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// When.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

/// Which right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Access,
    Portability,
}

/// A right of a person who has shown who they are, for one answer at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRight {
    kind: Kind,
    check: IdentityCheck,
}

/// Why a right opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the check of the person's identity is of {checked_at}, after {now}")]
pub struct CheckedLater {
    /// When the check is said to have been.
    pub checked_at: Timestamp,
    /// The moment of the answer.
    pub now: Timestamp,
}

impl CheckedLater {
    /// The stable code; it has a page in `docs/reference/errors`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "TES-P002"
    }

    /// What to do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        "set the clock right, check who the person is, and ask again"
    }
}

impl SubjectRight {
    /// The right to know all that is held (Art. 15).
    ///
    /// # Errors
    /// [`CheckedLater`]: nobody has been recognised yet at `now`.
    pub fn access(check: IdentityCheck, now: Timestamp) -> Result<Self, CheckedLater> {
        Self::new(Kind::Access, check, now)
    }

    /// The right to take along what the person gave, or what was observed of them, on the ground of consent or contract
    /// (Art. 20).
    ///
    /// # Errors
    /// [`CheckedLater`]: nobody has been recognised yet at `now`.
    pub fn portability(check: IdentityCheck, now: Timestamp) -> Result<Self, CheckedLater> {
        Self::new(Kind::Portability, check, now)
    }

    fn new(kind: Kind, check: IdentityCheck, now: Timestamp) -> Result<Self, CheckedLater> {
        if check.at > now {
            return Err(CheckedLater { checked_at: check.at, now });
        }
        Ok(Self { kind, check })
    }

    /// The check that it rests on.
    #[must_use]
    pub const fn check(&self) -> &IdentityCheck {
        &self.check
    }

    /// Whether only portable data may be given: the right is that of Art. 20.
    #[must_use]
    pub fn is_portability(&self) -> bool {
        self.kind == Kind::Portability
    }

    /// The article that it is: `GDPR Art. 15`.
    #[must_use]
    pub const fn article(&self) -> &'static str {
        match self.kind {
            Kind::Access => "GDPR Art. 15",
            Kind::Portability => "GDPR Art. 20",
        }
    }

    /// Builds a value for the person. `build` is told the right, for it must leave out what the right does not open.
    pub fn seal<T>(&self, build: impl FnOnce(&Self) -> T) -> Permitted<T, Self> {
        Permitted::by_right(build(self), self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(at: i64) -> IdentityCheck {
        IdentityCheck::new("r1", "contact_point", "grace", Timestamp::from_millis(at)).unwrap()
    }

    #[test]
    fn a_check_names_its_request_its_method_and_who_made_it() {
        let at = Timestamp::from_millis(5);
        for (request, method, by) in [("", "m", "b"), ("r", " ", "b"), ("r", "m", "")] {
            assert_eq!(IdentityCheck::new(request, method, by, at), None);
        }
        let check = check(5);
        assert_eq!((check.request(), check.method(), check.by()), ("r1", "contact_point", "grace"));
    }

    #[test]
    fn a_right_rests_on_a_check_that_has_been_made() {
        let now = Timestamp::from_millis(5);
        let sealed = SubjectRight::access(check(5), now).unwrap().seal(|right| right.article());
        assert_eq!(*sealed.get(), "GDPR Art. 15");
        assert_eq!(sealed.permit().check().request(), "r1");
        assert!(SubjectRight::portability(check(5), now).unwrap().is_portability());
        assert_eq!(SubjectRight::access(check(6), now).unwrap_err().code(), "TES-P002");
    }
}
