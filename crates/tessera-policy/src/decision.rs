//! `decide`, and the type that only a yes can build.

use serde::Serialize;
use tessera_model::{ConsentStatus, LegalBasis, PurposeDocument, PurposeName, Timestamp};

use crate::{Consents, Standing};

const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// The workspace declares no such purpose.
    UnknownPurpose,
    /// The purpose needs consent and the person was never asked.
    NeverAsked,
    /// The person said no.
    Refused,
    /// The person took the yes back.
    Withdrawn,
    /// The yes is older than the purpose lets it be.
    Expired,
    /// The data does not serve the purpose.
    NotServed,
}

impl Denial {
    /// Every reason, for metrics and tables.
    pub const ALL: [Self; 6] = [
        Self::UnknownPurpose,
        Self::NeverAsked,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
        Self::NotServed,
    ];

    /// The reason in one word, for metrics: `never_asked`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownPurpose => "unknown_purpose",
            Self::NeverAsked => "never_asked",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::NotServed => "not_served",
        }
    }
}

/// A yes: which purpose, in which version, on what basis. Only [`decide`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    purpose: PurposeName,
    version: u32,
    basis: LegalBasis,
}

impl Permit {
    /// The purpose.
    #[must_use]
    pub fn purpose(&self) -> &PurposeName {
        &self.purpose
    }

    /// The purpose's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The legal basis.
    #[must_use]
    pub fn basis(&self) -> LegalBasis {
        self.basis
    }

    pub(crate) fn wrap<T>(&self, value: T) -> Permitted<T> {
        Permitted { value, permit: self.clone() }
    }

    /// Marks `value` as permitted for this purpose. `served` are the purposes that the data was taken in for.
    ///
    /// # Errors
    /// [`Denial::NotServed`] when the purpose is not among them.
    pub fn seal<'a, T>(
        &self,
        value: T,
        served: impl IntoIterator<Item = &'a PurposeName>,
    ) -> Result<Permitted<T>, Denial> {
        if served.into_iter().any(|purpose| *purpose == self.purpose) {
            Ok(Permitted { value, permit: self.clone() })
        } else {
            Err(Denial::NotServed)
        }
    }
}

/// A value that may leave, and why. There is no other way to build one than [`Permit::seal`]
/// and [`crate::Grant::seal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permitted<T> {
    value: T,
    permit: Permit,
}

impl<T> Permitted<T> {
    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Why it may leave.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    /// The value itself, at the door.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The same permission over a value made from this one and nothing else: `f` sees only what was permitted.
    #[must_use]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Permitted<U> {
        Permitted { value: f(self.value), permit: self.permit }
    }
}

/// Whether `purpose` may use the data of a person with these consent records, as of `now`. `fragments` are the
/// records of each fragment of the profile; where they differ the stricter answer holds.
///
/// # Errors
/// The reason why not.
pub fn decide<'a>(
    purpose: &PurposeDocument,
    fragments: impl IntoIterator<Item = &'a Consents>,
    now: Timestamp,
) -> Result<Permit, Denial> {
    let permit = Permit { purpose: purpose.name.clone(), version: purpose.version, basis: purpose.basis };
    match purpose.basis {
        LegalBasis::Contract
        | LegalBasis::LegalObligation
        | LegalBasis::VitalInterests
        | LegalBasis::PublicTask
        | LegalBasis::LegitimateInterests => Ok(permit),
        LegalBasis::Consent => {
            let mut answer = Err(Denial::NeverAsked);
            for consents in fragments {
                match consents.standing(&purpose.name) {
                    Standing::Unknown => {}
                    Standing::Said(ConsentStatus::Refused, _) => return Err(Denial::Refused),
                    Standing::Said(ConsentStatus::Withdrawn, _) => return Err(Denial::Withdrawn),
                    Standing::Said(ConsentStatus::Given, at) if is_expired(purpose, at, now) => {
                        return Err(Denial::Expired);
                    }
                    Standing::Said(ConsentStatus::Given, _) => answer = Ok(()),
                }
            }
            answer.map(|()| permit)
        }
    }
}

fn is_expired(purpose: &PurposeDocument, given_at: Timestamp, now: Timestamp) -> bool {
    purpose.consent_valid_days.is_some_and(|days| now.millis_since(given_at) > i64::from(days) * DAY_MILLIS)
}
