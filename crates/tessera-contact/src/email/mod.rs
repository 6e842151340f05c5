//! E-mail addresses.
//!
//! Accepted is exactly what RFC 5321 calls a `Mailbox`, with the letters of all languages (RFC 6531, IDNA 2008 by
//! UTS 46). So quoted parts, addresses in brackets and domains without a dot are accepted, because mail servers must
//! take them; comments, folding white space and RFC 5322's obsolete forms are refused, because they belong to the
//! header of a message and not to an address that somebody gives. Callers trim what stands around.
//!
//! The one form: letters in lower case - RFC 5321 lets the two letters differ before the `@`, and nobody's mail
//! does -, quotes only where needed, domains in ASCII (`xn--`), Unicode composed (NFC).
//!
//! Not deliverability: [`Email::verdict`] says `unknown` of whatever is well formed.

mod domains;
mod fault;
mod grammar;

use std::borrow::Cow;
use std::fmt;

pub use domains::MailboxRules;
pub use fault::EmailFault;

use crate::Verdict;

/// An e-mail address in its one form. Invariant: `local@domain` by RFC 5321, at most 254 bytes.
///
/// Personal data: `Debug` shows nothing of it and there is no `Display`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email<'a> {
    text: Cow<'a, str>,
    at: usize,
}

impl<'a> Email<'a> {
    /// Reads an address. White space around it is not trimmed.
    ///
    /// # Errors
    /// [`EmailFault`]: why it cannot be one.
    pub fn parse(text: &'a str) -> Result<Self, EmailFault> {
        grammar::parse(text).map(|grammar::Parsed { text, at }| Self { text, at })
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// What stands behind it, in ASCII.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.text.get(self.at + 1..).unwrap_or_default()
    }

    /// The whole address.
    #[must_use]
    pub fn normalised(&self) -> &str {
        &self.text
    }

    /// The whole address, borrowed if it was in its one form already.
    #[must_use]
    pub fn into_normalised(self) -> Cow<'a, str> {
        self.text
    }

    /// The mailbox behind the address, where its provider is known to deliver several spellings to one.
    ///
    /// For finding the same person only with care: who merges by it calls `ada+shop@gmail.com` and `ada@gmail.com` one.
    #[must_use]
    pub fn mailbox(&self, rules: MailboxRules) -> Cow<'_, str> {
        domains::mailbox(self, rules)
    }

    /// Whether its domain, or one above it, is known to give throw-away addresses.
    #[must_use]
    pub fn is_disposable(&self) -> bool {
        domains::is_disposable(self.domain())
    }

    /// Whether anybody can have an address at its domain, so that the domain says nothing of an employer.
    #[must_use]
    pub fn is_public(&self) -> bool {
        domains::is_public(self.domain())
    }

    /// Whether a function reads it and not a person: `info@`, `abuse@`, `noreply@`.
    #[must_use]
    pub fn is_role_address(&self) -> bool {
        domains::is_role(self.local())
    }

    /// What can be said without asking anybody: `unknown`.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let reason = match self.domain() {
            domain if domain.starts_with('[') => "address_literal",
            domain if !domain.contains('.') => "no_dot_in_domain",
            _ => "syntax_only",
        };
        Verdict {
            disposable: self.is_disposable(),
            role_address: self.is_role_address(),
            ..Verdict::unknown(reason)
        }
    }
}

impl fmt::Debug for Email<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(<redacted>)")
    }
}
