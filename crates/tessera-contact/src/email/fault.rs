//! Why a text is not an e-mail address.

use crate::Verdict;

/// Why a text is not an e-mail address. Quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum EmailFault {
    /// No `@`.
    #[error("there is no @")]
    NoAtSign,
    /// Nothing before the `@`.
    #[error("there is nothing before the @")]
    NoLocalPart,
    /// Nothing after the `@`.
    #[error("there is nothing after the @")]
    NoDomain,
    /// A dot begins or ends a part, or two stand together.
    #[error("a dot begins or ends the part before the @, or two stand together")]
    LocalDot,
    /// A character that cannot stand there.
    #[error("a character before the @ cannot stand there unquoted")]
    LocalCharacter,
    /// A quoted part that does not end, or holds what cannot be quoted, or is followed by more.
    #[error("the quoted part before the @ does not end there, or holds what cannot be quoted")]
    LocalQuote,
    /// Too long before the `@`.
    #[error("the part before the @ has more than 64 bytes")]
    LocalTooLong,
    /// A dot begins or ends the domain, or two stand together.
    #[error("a dot begins or ends the domain, or two stand together")]
    DomainDot,
    /// A hyphen begins or ends a label.
    #[error("a part of the domain begins or ends with a hyphen")]
    DomainHyphen,
    /// A character that cannot stand there.
    #[error("a character of the domain cannot stand there")]
    DomainCharacter,
    /// A label of more than 63 bytes, or a domain of more than 253.
    #[error("a part of the domain has more than 63 bytes, or all of it more than 253")]
    DomainTooLong,
    /// Not an address in brackets.
    #[error("what stands in brackets is not an IP address")]
    DomainLiteral,
    /// A name that IDNA does not allow.
    #[error("the international domain name is not one that IDNA allows")]
    DomainIdn,
    /// Too long in all.
    #[error("the address has more than 254 bytes")]
    TooLong,
}

impl EmailFault {
    /// One stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoAtSign => "no_at_sign",
            Self::NoLocalPart => "no_local_part",
            Self::NoDomain => "no_domain",
            Self::LocalDot => "local_dot",
            Self::LocalCharacter => "local_character",
            Self::LocalQuote => "local_quote",
            Self::LocalTooLong => "local_too_long",
            Self::DomainDot => "domain_dot",
            Self::DomainHyphen => "domain_hyphen",
            Self::DomainCharacter => "domain_character",
            Self::DomainTooLong => "domain_too_long",
            Self::DomainLiteral => "domain_literal",
            Self::DomainIdn => "domain_idn",
            Self::TooLong => "too_long",
        }
    }

    /// What it means for the value: impossible.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        Verdict::invalid(self.code())
    }
}
