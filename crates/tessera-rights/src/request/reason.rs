//! Why a request, or a part of one, is not granted: each reason with the article it stands on.
//!
//! Not advice: whether a ground is given in a case is for people to judge. Invariant: a reason that a law does not
//! know, or not for this kind of request, has no article and cannot be given. Reference: GDPR Art. 3, 11, 12, 15-21;
//! California Civil Code 1798.105-1798.145, 11 CCR 7020-7060; LGPD Art. 3, 4, 12, 16, 18, 19.

use serde::{Deserialize, Serialize};

use super::{Regime, RequestType};

/// Why a request is denied, or a part of it left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialReason {
    /// The person did not show who they are.
    IdentityNotProven,
    /// Nothing we hold can be matched to the person.
    NoMatch,
    /// Manifestly unfounded. The controller bears the burden of showing it.
    ManifestlyUnfounded,
    /// Excessive, in particular repetitive. The controller bears the burden of showing it.
    Excessive,
    /// More often than the law obliges: twice in twelve months.
    TooOften,
    /// Believed fraudulent, in good faith and on documented grounds.
    Fraudulent,
    /// The data is still necessary, or no other ground for erasure is given.
    StillNeeded,
    /// Needed for the freedom of expression and information.
    FreedomOfExpression,
    /// Kept because a law demands it.
    LegalObligation,
    /// Kept for public interest in public health.
    PublicHealth,
    /// Kept for archiving, research or statistics.
    Research,
    /// Needed for legal claims.
    LegalClaims,
    /// Would harm the rights of others, trade secrets among them.
    RightsOfOthers,
    /// Neither consent nor contract is the basis, or it is not processed by automated means.
    NotPortable,
    /// The data is accurate as it is.
    Accurate,
    /// No ground for a restriction or limit is given.
    NoGroundForRestriction,
    /// Compelling grounds that override the person's. Never against direct marketing (Art. 21(3)).
    CompellingGrounds,
    /// The basis is one against which there is no right to object.
    NoRightToObject,
    /// We neither sell nor share the data.
    NotSold,
    /// The law does not apply to this person or to us.
    OutsideJurisdiction,
    /// Another party answers for this data.
    NotController,
    /// Something else, which must be said in words.
    Other,
}

use RequestType::{Access, Erasure, Objection, OptOutOfSale, Portability, Rectification, Restriction};

/// What each law calls the ground, and the requests it can be held against.
struct Ground {
    gdpr: Option<&'static str>,
    ccpa: Option<&'static str>,
    lgpd: Option<&'static str>,
    against: &'static [RequestType],
}

const fn ground(
    gdpr: Option<&'static str>,
    ccpa: Option<&'static str>,
    lgpd: Option<&'static str>,
    against: &'static [RequestType],
) -> Ground {
    Ground { gdpr, ccpa, lgpd, against }
}

const ALL: &[RequestType] = &RequestType::ALL;

impl DenialReason {
    /// Every reason.
    pub const ALL: [Self; 22] = [
        Self::IdentityNotProven,
        Self::NoMatch,
        Self::ManifestlyUnfounded,
        Self::Excessive,
        Self::TooOften,
        Self::Fraudulent,
        Self::StillNeeded,
        Self::FreedomOfExpression,
        Self::LegalObligation,
        Self::PublicHealth,
        Self::Research,
        Self::LegalClaims,
        Self::RightsOfOthers,
        Self::NotPortable,
        Self::Accurate,
        Self::NoGroundForRestriction,
        Self::CompellingGrounds,
        Self::NoRightToObject,
        Self::NotSold,
        Self::OutsideJurisdiction,
        Self::NotController,
        Self::Other,
    ];

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// The article that the reason stands on; nothing if the law does not know it for such a request.
    #[must_use]
    pub fn article(self, regime: Regime, request_type: RequestType) -> Option<&'static str> {
        let ground = self.ground();
        let article = match regime {
            Regime::Gdpr => ground.gdpr,
            Regime::Ccpa => ground.ccpa,
            Regime::Lgpd => ground.lgpd,
        };
        let may_be_asked = self != Self::IdentityNotProven || request_type.may_ask_identity(regime);
        article.filter(|_| ground.against.contains(&request_type) && may_be_asked)
    }

    /// Whether it must be explained in words, beyond naming it.
    #[must_use]
    pub const fn needs_words(self) -> bool {
        matches!(
            self,
            Self::ManifestlyUnfounded
                | Self::Excessive
                | Self::Fraudulent
                | Self::CompellingGrounds
                | Self::Other
        )
    }

    /// Its name in code and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityNotProven => "identity_not_proven",
            Self::NoMatch => "no_match",
            Self::ManifestlyUnfounded => "manifestly_unfounded",
            Self::Excessive => "excessive",
            Self::TooOften => "too_often",
            Self::Fraudulent => "fraudulent",
            Self::StillNeeded => "still_needed",
            Self::FreedomOfExpression => "freedom_of_expression",
            Self::LegalObligation => "legal_obligation",
            Self::PublicHealth => "public_health",
            Self::Research => "research",
            Self::LegalClaims => "legal_claims",
            Self::RightsOfOthers => "rights_of_others",
            Self::NotPortable => "not_portable",
            Self::Accurate => "accurate",
            Self::NoGroundForRestriction => "no_ground_for_restriction",
            Self::CompellingGrounds => "compelling_grounds",
            Self::NoRightToObject => "no_right_to_object",
            Self::NotSold => "not_sold",
            Self::OutsideJurisdiction => "outside_jurisdiction",
            Self::NotController => "not_controller",
            Self::Other => "other",
        }
    }

    const fn ground(self) -> Ground {
        match self {
            Self::IdentityNotProven => {
                ground(Some("Art. 12(2), 12(6)"), Some("11 CCR 7021(b), 7060-7062"), Some("Art. 18(3)"), ALL)
            }
            Self::NoMatch => {
                ground(Some("Art. 11(2)"), Some("Civ. Code 1798.145(j)"), Some("Art. 12, 19(II)"), ALL)
            }
            Self::ManifestlyUnfounded => {
                ground(Some("Art. 12(5)(b)"), Some("Civ. Code 1798.145(h)(3)"), None, ALL)
            }
            Self::Excessive => ground(Some("Art. 12(5)(b)"), Some("Civ. Code 1798.145(h)(3)"), None, ALL),
            Self::TooOften => ground(None, Some("Civ. Code 1798.130(b)"), None, &[Access, Portability]),
            Self::Fraudulent => {
                ground(None, Some("11 CCR 7026(e), 7027(f)"), None, &[OptOutOfSale, Objection, Restriction])
            }
            Self::StillNeeded => {
                ground(Some("Art. 17(1)"), Some("Civ. Code 1798.105(d)"), Some("Art. 18(VI), 16"), &[Erasure])
            }
            Self::FreedomOfExpression => ground(
                Some("Art. 17(3)(a)"),
                Some("Civ. Code 1798.105(d)(4)"),
                Some("Art. 4(II)(a)"),
                &[Erasure],
            ),
            Self::LegalObligation => ground(
                Some("Art. 17(3)(b)"),
                Some("Civ. Code 1798.105(d)(8)"),
                Some("Art. 16(I)"),
                &[Erasure],
            ),
            Self::PublicHealth => ground(Some("Art. 17(3)(c)"), None, None, &[Erasure]),
            Self::Research => ground(
                Some("Art. 17(3)(d)"),
                Some("Civ. Code 1798.105(d)(6)"),
                Some("Art. 16(II)"),
                &[Erasure],
            ),
            Self::LegalClaims => ground(
                Some("Art. 17(3)(e), 21(1)"),
                Some("Civ. Code 1798.145(a)"),
                None,
                &[Erasure, Objection],
            ),
            Self::RightsOfOthers => ground(
                Some("Art. 15(4), 20(4)"),
                Some("Civ. Code 1798.145(k)"),
                Some("Art. 18(V), 19(II)"),
                &[Access, Portability],
            ),
            Self::NotPortable => ground(Some("Art. 20(1)"), None, Some("Art. 19(3)"), &[Portability]),
            Self::Accurate => {
                ground(Some("Art. 16"), Some("11 CCR 7023(b)"), Some("Art. 18(III)"), &[Rectification])
            }
            Self::NoGroundForRestriction => {
                ground(Some("Art. 18(1)"), Some("11 CCR 7027(m)"), Some("Art. 18(IV)"), &[Restriction])
            }
            Self::CompellingGrounds => ground(Some("Art. 21(1)"), None, None, &[Objection]),
            Self::NoRightToObject => ground(Some("Art. 21(1)"), None, Some("Art. 18(2)"), &[Objection]),
            Self::NotSold => ground(None, Some("Civ. Code 1798.120(a)"), None, &[OptOutOfSale]),
            Self::OutsideJurisdiction => {
                ground(Some("Art. 3"), Some("Civ. Code 1798.140(d), 1798.140(i)"), Some("Art. 3-4"), ALL)
            }
            Self::NotController => {
                ground(Some("Art. 28(3)(e)"), Some("Civ. Code 1798.105(c)(3)"), Some("Art. 18(4)(I)"), ALL)
            }
            Self::Other => {
                ground(Some("Art. 12(4)"), Some("11 CCR 7022(f), 7024(e)"), Some("Art. 18(4)(II)"), ALL)
            }
        }
    }
}
