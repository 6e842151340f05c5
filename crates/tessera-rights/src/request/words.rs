//! The words of a request: law, kind, status.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DenialReason;

/// The law that a request is made under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// The EU's General Data Protection Regulation.
    Gdpr,
    /// The California Consumer Privacy Act as amended by the CPRA, with its regulations (11 CCR 7000 ff.).
    Ccpa,
    /// Brazil's Lei Geral de Proteção de Dados.
    Lgpd,
}

impl Regime {
    /// Every regime.
    pub const ALL: [Self; 3] = [Self::Gdpr, Self::Ccpa, Self::Lgpd];

    /// Its name in code and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gdpr => "gdpr",
            Self::Ccpa => "ccpa",
            Self::Lgpd => "lgpd",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// Its name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Gdpr => "GDPR",
            Self::Ccpa => "CCPA/CPRA",
            Self::Lgpd => "LGPD",
        }
    }
}

impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestType {
    /// What is held, why, since when, from where, who got it (GDPR Art. 15; CCPA: right to know).
    Access,
    /// The data in a form that machines read (GDPR Art. 20).
    Portability,
    /// Wrong data made right (GDPR Art. 16; CCPA: right to correct).
    Rectification,
    /// Data gone (GDPR Art. 17; CCPA: right to delete).
    Erasure,
    /// Data kept and not used (GDPR Art. 18; CCPA: limit the use of sensitive personal information).
    Restriction,
    /// The restriction lifted (GDPR Art. 18(3)).
    LiftRestriction,
    /// No more processing for a purpose (GDPR Art. 21).
    Objection,
    /// No more sale or sharing (CCPA 1798.120).
    OptOutOfSale,
}

impl RequestType {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::Access,
        Self::Portability,
        Self::Rectification,
        Self::Erasure,
        Self::Restriction,
        Self::LiftRestriction,
        Self::Objection,
        Self::OptOutOfSale,
    ];

    /// Its name in code and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Portability => "portability",
            Self::Rectification => "rectification",
            Self::Erasure => "erasure",
            Self::Restriction => "restriction",
            Self::LiftRestriction => "lift_restriction",
            Self::Objection => "objection",
            Self::OptOutOfSale => "opt_out_of_sale",
        }
    }

    /// Reads the name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// Whether it may only be completed for a person who has shown who they are: what gives data out, changes or
    /// destroys it, or takes a protection away. An objection or opt-out does the person no harm if somebody else
    /// made it.
    #[must_use]
    pub const fn needs_identity(self) -> bool {
        match self {
            Self::Access
            | Self::Portability
            | Self::Rectification
            | Self::Erasure
            | Self::LiftRestriction => true,
            Self::Restriction | Self::Objection | Self::OptOutOfSale => false,
        }
    }

    /// Whether the person may be asked who they are. In California an opt-out or a limit need not be a
    /// verifiable request (11 CCR 7026(d), 7027(e), 7060(b)).
    #[must_use]
    pub const fn may_ask_identity(self, regime: Regime) -> bool {
        match regime {
            Regime::Ccpa => self.needs_identity(),
            Regime::Gdpr | Regime::Lgpd => true,
        }
    }

    /// Whether recipients of the data must be told what was done (GDPR Art. 19, 21 with 17(1)(c); 11 CCR 7022(b)
    /// and 7026(f)(2); LGPD Art. 18(6)).
    #[must_use]
    pub const fn tells_recipients(self) -> bool {
        match self {
            Self::Access | Self::Portability => false,
            Self::Rectification
            | Self::Erasure
            | Self::Restriction
            | Self::LiftRestriction
            | Self::Objection
            | Self::OptOutOfSale => true,
        }
    }
}

impl fmt::Display for RequestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It arrived.
    Received,
    /// The person was asked who they are.
    IdentityCheck,
    /// Somebody works on it.
    InProgress,
    /// Done, or answered.
    Completed,
    /// Not done, for this reason.
    Denied(DenialReason),
    /// Taken back.
    Cancelled,
    /// The person did not show who they are in time.
    Expired,
}

impl Status {
    /// The status in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::IdentityCheck => "identity_check",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Denied(_) => "denied",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Why it was denied, if it was.
    #[must_use]
    pub const fn reason(self) -> Option<DenialReason> {
        if let Self::Denied(reason) = self { Some(reason) } else { None }
    }

    /// Whether nothing but the word of a recipient can follow.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        match self {
            Self::Received | Self::IdentityCheck | Self::InProgress => false,
            Self::Completed | Self::Denied(_) | Self::Cancelled | Self::Expired => true,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
