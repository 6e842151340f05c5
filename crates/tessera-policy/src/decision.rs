//! `decide`, and the type that only a yes can build.
//!
//! The rules are numbered in `docs/reference/decisions.md`; `tessera-sim` holds a second, naive reading of them against
//! this one. References: GDPR Art. 6, 7, 8, 18, 21; CCPA 1798.120, 1798.135.

use std::sync::Arc;

use serde::Serialize;
use tessera_model::{
    Birthday, ConsentStatus, Expression, LegalBasis, Purpose, PurposeName, PurposeSet, SourceName,
    SubscriptionState, Timestamp,
};

use crate::Consents;
use crate::word::Word;

pub(crate) const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Why not. Ordered: where several reasons hold, the first is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// The person was erased, and what comes of them is not kept any more.
    Erased,
    /// The workspace declares no such purpose, or the event serves none.
    UnknownPurpose,
    /// The purpose is over.
    Retired,
    /// The person's data is restricted.
    Restricted,
    /// The person objected, or opted out of sale and sharing.
    Objected,
    /// The person said no.
    Refused,
    /// The person took the yes back.
    Withdrawn,
    /// The yes is older than the purpose lets it be.
    Expired,
    /// The yes was to an older version of the purpose.
    Outdated,
    /// The purpose needs consent and the person was never asked, or said yes by conduct where an act is needed.
    NeverAsked,
    /// The contract has ended.
    Ended,
    /// The purpose has a minimum age, and no day of birth is known.
    AgeUnknown,
    /// The person is too young for the purpose.
    Underage,
    /// The data does not serve the purpose, or no longer: its time is over.
    NotServed,
    /// No contact point of the person takes messages of the channel.
    Unsubscribed,
    /// A policy forbids the use of everything that was asked for.
    Policy,
    /// The purpose does not cover a transfer to the receiver's region.
    Region,
}

impl Denial {
    /// Every reason, for metrics and tables.
    pub const ALL: [Self; 17] = [
        Self::Erased,
        Self::UnknownPurpose,
        Self::Retired,
        Self::Restricted,
        Self::Objected,
        Self::Refused,
        Self::Withdrawn,
        Self::Expired,
        Self::Outdated,
        Self::NeverAsked,
        Self::Ended,
        Self::AgeUnknown,
        Self::Underage,
        Self::NotServed,
        Self::Unsubscribed,
        Self::Policy,
        Self::Region,
    ];

    /// The reason in one word, for metrics: `never_asked`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::UnknownPurpose => "unknown_purpose",
            Self::Retired => "retired",
            Self::Restricted => "restricted",
            Self::Objected => "objected",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Outdated => "outdated",
            Self::NeverAsked => "never_asked",
            Self::Ended => "ended",
            Self::AgeUnknown => "age_unknown",
            Self::Underage => "underage",
            Self::NotServed => "not_served",
            Self::Unsubscribed => "unsubscribed",
            Self::Policy => "policy",
            Self::Region => "region",
        }
    }
}

/// What is to be done with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Taking it in and keeping it.
    Keep,
    /// Anything else: showing it, sending it, computing with it.
    Use,
}

/// The yes that a permit on the basis of consent rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// What was said.
    pub status: ConsentStatus,
    /// When it was said last.
    pub at: Timestamp,
    /// To which version of the purpose.
    pub version: u32,
    /// Which source brought it.
    pub source: SourceName,
}

/// A yes: which purpose, in which version, on what basis. Only a decision makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Permit {
    purpose: Arc<Purpose>,
    proof: Option<Proof>,
    decided_at: Timestamp,
}

impl Permit {
    /// The purpose.
    #[must_use]
    pub fn purpose(&self) -> &PurposeName {
        &self.purpose.document.name
    }

    /// The purpose's version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.purpose.document.version
    }

    /// The legal basis.
    #[must_use]
    pub fn basis(&self) -> LegalBasis {
        self.purpose.document.basis
    }

    /// The yes that it rests on, if the basis is consent.
    #[must_use]
    pub fn proof(&self) -> Option<&Proof> {
        self.proof.as_ref()
    }

    /// Whether data that serves `served` since `at` is covered: it serves the purpose, and its time is not over.
    #[must_use]
    pub fn covers(&self, served: PurposeSet, at: Timestamp) -> bool {
        served.contains(self.purpose.id) && is_in_time(&self.purpose, at, self.decided_at)
    }

    /// Marks `value` as permitted for this purpose. `served` are the purposes that the data was taken in for, `at`
    /// when it came to be.
    ///
    /// # Errors
    /// [`Denial::NotServed`] when the purpose is not among them, or its time is over.
    pub fn seal<T>(&self, value: T, served: PurposeSet, at: Timestamp) -> Result<Permitted<T>, Denial> {
        if self.covers(served, at) {
            Ok(Permitted { value, permit: self.clone() })
        } else {
            Err(Denial::NotServed)
        }
    }

    pub(crate) fn wrap<T>(&self, value: T) -> Permitted<T> {
        Permitted { value, permit: self.clone() }
    }
}

/// Whether data of that time may still be kept for the purpose.
#[must_use]
pub fn is_in_time(purpose: &Purpose, at: Timestamp, now: Timestamp) -> bool {
    purpose
        .document
        .retention_days
        .is_none_or(|days| now.millis_since(at) <= i64::from(days).saturating_mul(DAY_MILLIS))
}

/// A value that may leave, and why. There is no other way to build one than [`Permit::seal`], [`crate::Grant::seal`]
/// and, for the person alone, [`crate::SubjectRight::seal`].
///
/// What a right of the person opens is of another type than what a purpose permits, so that a destination, which takes
/// `Permitted<T>`, can never be given it.
#[derive(Clone, Debug, PartialEq)]
pub struct Permitted<T, G = Permit> {
    value: T,
    permit: G,
}

impl<T> Permitted<T, crate::SubjectRight> {
    pub(crate) fn by_right(value: T, permit: crate::SubjectRight) -> Self {
        Self { value, permit }
    }
}

impl<T, G> Permitted<T, G> {
    /// The value.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.value
    }

    /// Why it may leave.
    #[must_use]
    pub fn permit(&self) -> &G {
        &self.permit
    }

    /// The value itself, at the door.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }

    /// The same permission over a value made from this one and nothing else: `f` sees only what was permitted.
    #[must_use]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Permitted<U, G> {
        Permitted { value: f(self.value), permit: self.permit }
    }
}

/// Whether `purpose` may do `act` with the data of a person as of `now`. `fragments` are what each fragment of the
/// profile knows of the person's will; where they differ the stricter answer holds.
///
/// # Errors
/// The reason why not.
pub fn decide<'a>(
    purpose: &Arc<Purpose>,
    act: Act,
    fragments: impl IntoIterator<Item = &'a Consents>,
    now: Timestamp,
) -> Result<Permit, Denial> {
    let proof = judge(purpose, act, fragments, now)?;
    Ok(Permit { purpose: Arc::clone(purpose), proof: proof.map(proof_of), decided_at: now })
}

/// As [`decide`], for who needs no permit: the yes that it rests on.
pub(crate) fn judge<'a>(
    purpose: &Purpose,
    act: Act,
    fragments: impl IntoIterator<Item = &'a Consents>,
    now: Timestamp,
) -> Result<Option<&'a Word>, Denial> {
    let mut finding = Finding::default();
    for consents in fragments {
        finding.fragment(purpose, act, consents, now);
    }
    finding.conclude(purpose, now)
}

fn proof_of(word: &Word) -> Proof {
    Proof { status: word.status, at: word.last_at, version: word.version, source: word.source.clone() }
}

/// What the fragments said so far.
#[derive(Default)]
struct Finding<'a> {
    denial: Option<Denial>,
    yes: Option<&'a Word>,
    born_on: Option<Birthday>,
}

impl<'a> Finding<'a> {
    fn deny(&mut self, denial: Denial) {
        self.denial = Some(self.denial.map_or(denial, |known| known.min(denial)));
    }

    fn fragment(&mut self, purpose: &Purpose, act: Act, consents: &'a Consents, now: Timestamp) {
        self.born_on = self.born_on.max(consents.birthday());
        // GDPR Art. 17(3)(b): what the law obliges to keep is kept, and for that alone.
        if consents.erased_at().is_some() && purpose.document.basis != LegalBasis::LegalObligation {
            self.deny(Denial::Erased);
        }
        if act == Act::Use && is_restricted(consents) && !outranks_restriction(purpose.document.basis) {
            self.deny(Denial::Restricted);
        }
        let said = consents.on(purpose.id);
        if said.clone().next().is_none() {
            return;
        }
        if heeds_objections(purpose) && has_objected(purpose, said.clone()) {
            self.deny(Denial::Objected);
        }
        match purpose.document.basis {
            LegalBasis::Consent => self.consent(purpose, said, now),
            LegalBasis::Contract if has_ended(said) => self.deny(Denial::Ended),
            LegalBasis::Contract
            | LegalBasis::LegalObligation
            | LegalBasis::VitalInterests
            | LegalBasis::PublicTask
            | LegalBasis::LegitimateInterests => {}
        }
    }

    fn consent(&mut self, purpose: &Purpose, said: impl Iterator<Item = &'a Word> + Clone, now: Timestamp) {
        let is_no = |record: &Word| {
            matches!(
                record.status,
                ConsentStatus::Refused | ConsentStatus::Withdrawn | ConsentStatus::Objected
            )
        };
        // Who has said no once says yes by an act, not by conduct.
        let needs_act = purpose.document.explicit || said.clone().any(is_no);
        let counts = |record: &Word| match record.status {
            ConsentStatus::Given | ConsentStatus::Renewed => {
                !needs_act || record.expression == Expression::Explicit
            }
            ConsentStatus::Refused
            | ConsentStatus::Withdrawn
            | ConsentStatus::Expired
            | ConsentStatus::Objected => true,
            ConsentStatus::Overruled
            | ConsentStatus::Ended
            | ConsentStatus::Restricted
            | ConsentStatus::Unrestricted => false,
        };
        // Of two words at the same time the stricter: every no is stricter than a yes, and told in their own order.
        let strictness = |status: ConsentStatus| match status {
            ConsentStatus::Refused => 4,
            ConsentStatus::Withdrawn => 3,
            ConsentStatus::Expired => 2,
            ConsentStatus::Objected => 1,
            ConsentStatus::Given
            | ConsentStatus::Renewed
            | ConsentStatus::Overruled
            | ConsentStatus::Ended
            | ConsentStatus::Restricted
            | ConsentStatus::Unrestricted => 0,
        };
        let last = said.filter(|record| counts(record)).max_by_key(|record| {
            (record.last_at, strictness(record.status), std::cmp::Reverse(record.version))
        });
        match last.map(|record| (record.status, record)) {
            None => {}
            Some((ConsentStatus::Given | ConsentStatus::Renewed, yes)) => {
                if let Some(denial) = why_a_yes_is_over(purpose, yes, now) {
                    self.deny(denial);
                } else if self.yes.is_none_or(|known| known.last_at < yes.last_at) {
                    self.yes = Some(yes);
                }
            }
            Some((ConsentStatus::Refused, _)) => self.deny(Denial::Refused),
            Some((ConsentStatus::Withdrawn, _)) => self.deny(Denial::Withdrawn),
            Some((ConsentStatus::Objected, _)) => self.deny(Denial::Objected),
            Some((
                ConsentStatus::Expired
                | ConsentStatus::Overruled
                | ConsentStatus::Ended
                | ConsentStatus::Restricted
                | ConsentStatus::Unrestricted,
                _,
            )) => self.deny(Denial::Expired),
        }
    }

    fn conclude(mut self, purpose: &Purpose, now: Timestamp) -> Result<Option<&'a Word>, Denial> {
        let document = &purpose.document;
        if document.retired {
            self.deny(Denial::Retired);
        }
        if document.basis == LegalBasis::Consent && self.yes.is_none() {
            self.deny(Denial::NeverAsked);
        }
        if let Some(years) = document.minimum_age {
            match self.born_on {
                None => self.deny(Denial::AgeUnknown),
                Some(day) if !day.is_at_least(years, now) => self.deny(Denial::Underage),
                Some(_) => {}
            }
        }
        self.denial.map_or(Ok(self.yes), Err)
    }
}

fn why_a_yes_is_over(purpose: &Purpose, yes: &Word, now: Timestamp) -> Option<Denial> {
    let document = &purpose.document;
    let is_expired = document
        .consent_valid_days
        .is_some_and(|days| now.millis_since(yes.last_at) > i64::from(days).saturating_mul(DAY_MILLIS));
    let is_outdated =
        document.reconsent.is_some_and(|again| now >= again.cutoff && yes.version < again.version);
    match (is_expired, is_outdated) {
        (true, _) => Some(Denial::Expired),
        (false, true) => Some(Denial::Outdated),
        (false, false) => None,
    }
}

/// The last of two kinds of words: whether it is of the first, which wins at the same time.
fn last_is<'a>(
    said: impl Iterator<Item = &'a Word>,
    first: impl Fn(&Word) -> bool,
    second: impl Fn(&Word) -> bool,
) -> bool {
    let (mut last_first, mut last_second) = (None, None);
    for word in said {
        if first(word) {
            last_first = last_first.max(Some(word.last_at));
        }
        if second(word) {
            last_second = last_second.max(Some(word.last_at));
        }
    }
    last_first.is_some() && last_first >= last_second
}

fn is_restricted(consents: &Consents) -> bool {
    last_is(
        consents.on_the_person(),
        |word| word.status == ConsentStatus::Restricted,
        |word| word.status == ConsentStatus::Unrestricted,
    )
}

const fn outranks_restriction(basis: LegalBasis) -> bool {
    matches!(basis, LegalBasis::LegalObligation | LegalBasis::VitalInterests)
}

fn heeds_objections(purpose: &Purpose) -> bool {
    // An objection to direct marketing or to sale is heeded on any basis.
    purpose.document.sells_or_shares
        || purpose.document.direct_marketing
        || match purpose.document.basis {
            LegalBasis::Consent | LegalBasis::PublicTask | LegalBasis::LegitimateInterests => true,
            LegalBasis::Contract | LegalBasis::LegalObligation | LegalBasis::VitalInterests => false,
        }
}

fn has_objected<'a>(purpose: &Purpose, said: impl Iterator<Item = &'a Word>) -> bool {
    let is_final = purpose.document.direct_marketing || purpose.document.sells_or_shares;
    last_is(
        said,
        |record| record.status == ConsentStatus::Objected,
        |record| {
            let is_overruled = record.status == ConsentStatus::Overruled && !is_final;
            is_overruled || (record.status.is_valid() && record.expression == Expression::Explicit)
        },
    )
}

fn has_ended<'a>(said: impl Iterator<Item = &'a Word>) -> bool {
    last_is(said, |record| record.status == ConsentStatus::Ended, |record| record.status.is_valid())
}

/// Whether the person takes messages of `channel`: some contact point is subscribed, or none was ever asked, and none
/// that could be used instead is signed off.
///
/// # Errors
/// [`Denial::Unsubscribed`].
pub fn decide_channel<'a>(
    channel: &str,
    fragments: impl IntoIterator<Item = &'a Consents>,
) -> Result<(), Denial> {
    let states: Vec<SubscriptionState> =
        fragments.into_iter().filter_map(|consents| consents.subscription(channel)).collect();
    let takes = states.is_empty() || states.iter().all(|state| *state == SubscriptionState::Subscribed);
    if takes { Ok(()) } else { Err(Denial::Unsubscribed) }
}
