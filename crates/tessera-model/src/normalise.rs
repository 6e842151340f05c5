//! How a value becomes the one form in which equal means the same address.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tessera_contact::{Email, MailboxRules, Phone, Region};

/// How a value is brought to the one form in which equal means the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// Trimmed, else as it came.
    #[default]
    Exact,
    /// Trimmed and lower-cased.
    Lowercase,
    /// An address by RFC 5321, lower-cased, its domain in ASCII. Says nothing of whether mail arrives.
    Email,
    /// E.164 where the numbering plan and the region tell it. Otherwise digits with an optional leading `+`: spaces, dots,
    /// dashes, slashes and brackets are dropped, a leading `00` becomes `+`; at least 5 digits.
    Phone,
}

/// What is done with a part of an address that some providers ignore.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It stays: another spelling is another address.
    #[default]
    Keep,
    /// It goes, at providers known to ignore it.
    Strip,
}

impl Part {
    /// Whether it is what a document need not say.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        *self == Self::Keep
    }
}

/// How the values of one namespace are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Normaliser {
    /// The way.
    pub how: Normalise,
    /// Of e-mail addresses: what is stripped.
    pub mailbox: MailboxRules,
    /// Of telephone numbers: where those without a country code are dialled.
    pub region: Option<Region>,
}

impl From<Normalise> for Normaliser {
    fn from(how: Normalise) -> Self {
        Self { how, ..Self::default() }
    }
}

impl Normalise {
    /// Whether advertising platforms send hashes of such values.
    #[must_use]
    pub const fn is_hashable(self) -> bool {
        match self {
            Self::Email | Self::Phone => true,
            Self::Exact | Self::Lowercase => false,
        }
    }

    pub(crate) const fn wanted(self) -> &'static str {
        match self {
            Self::Exact | Self::Lowercase => "a text",
            Self::Email => "an e-mail address",
            Self::Phone => "a telephone number",
        }
    }
}

impl Normaliser {
    /// Whether advertising platforms send hashes of such values.
    #[must_use]
    pub const fn is_hashable(&self) -> bool {
        self.how.is_hashable()
    }

    pub(crate) const fn wanted(&self) -> &'static str {
        self.how.wanted()
    }

    pub(crate) fn apply<'a>(&self, value: &'a str) -> Option<Cow<'a, str>> {
        match self.how {
            Normalise::Exact => Some(Cow::Borrowed(value)),
            Normalise::Lowercase => Some(lowercase(value)),
            Normalise::Email => {
                let email = Email::parse(value).ok()?;
                if self.mailbox.is_none() {
                    return Some(email.into_normalised());
                }
                Some(Cow::Owned(email.mailbox(self.mailbox).into_owned()))
            }
            // A number that nobody can place is still somebody's: its digits stand for it.
            Normalise::Phone => match Phone::parse(value, self.region) {
                Ok(phone) => Some(Cow::Owned(phone.into_normalised())),
                Err(_) => digits(value).map(Cow::Owned),
            },
        }
    }
}

fn lowercase(value: &str) -> Cow<'_, str> {
    let is_lower = value.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(value) } else { Cow::Owned(value.to_lowercase()) }
}

fn digits(value: &str) -> Option<String> {
    let mut digits = String::with_capacity(value.len());
    for (i, c) in value.chars().enumerate() {
        match c {
            '0'..='9' => digits.push(c),
            '+' if i == 0 => digits.push('+'),
            ' ' | '.' | '-' | '/' | '(' | ')' | '\u{a0}' => {}
            _ => return None,
        }
    }
    if let Some(rest) = digits.strip_prefix("00") {
        digits = format!("+{rest}");
    }
    (digits.trim_start_matches('+').len() >= 5).then_some(digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn form(how: Normalise, region: Option<&str>, value: &str) -> Option<String> {
        let region = region.map(|code| Region::parse(code).unwrap());
        let normaliser = Normaliser { how, region, mailbox: MailboxRules::default() };
        normaliser.apply(value).map(Cow::into_owned)
    }

    #[test]
    fn a_telephone_number_is_e164_where_it_can_be_told_and_its_digits_otherwise() {
        for (value, region, expected) in [
            ("030 123456", Some("DE"), Some("+4930123456")),
            ("030 123456", None, Some("030123456")),
            ("+49 (0)30 123456", None, Some("+4930123456")),
            ("0049 30 123456", None, Some("+4930123456")),
            ("(212) 555-0100", Some("US"), Some("+12125550100")),
            ("12345", Some("DE"), Some("12345")),
            ("+999 12 345", None, Some("+99912345")),
            ("call me", Some("DE"), None),
        ] {
            assert_eq!(form(Normalise::Phone, region, value).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn an_address_is_one_by_rfc_5321_or_none() {
        for (value, expected) in [
            ("Ada@B\u{fc}cher.example", Some("ada@xn--bcher-kva.example")),
            ("ada@localhost", Some("ada@localhost")),
            ("a..da@x.org", None),
            ("ada@@x.org", None),
            ("ada", None),
        ] {
            assert_eq!(form(Normalise::Email, None, value).as_deref(), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_form_is_its_own(value in "[0-9+(). /-]{1,20}|[a-zA-Z.@+]{1,20}|\\PC{1,20}", region in "DE|US|IT") {
            for how in [Normalise::Exact, Normalise::Lowercase, Normalise::Email, Normalise::Phone] {
                if let Some(form_once) = form(how, Some(&region), &value) {
                    prop_assert_eq!(form(how, Some(&region), &form_once), Some(form_once.clone()), "{:?}", how);
                }
            }
        }
    }
}
