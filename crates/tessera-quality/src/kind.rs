//! What a field holds, told by its name; and whether a value can be that.

use tessera_contact::{Email, PersonName, Phone, fold};
use tessera_model::{Birthday, Timestamp};

/// Nobody is older.
const YEARS_MAX: u8 = 125;
/// Texts that say nothing.
const NOTHING: [&str; 12] =
    ["", "na", "n/a", "none", "null", "nil", "unknown", "undefined", "nan", "tbd", "xxx", "not available"];

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Email,
    Phone,
    BirthDate,
    Name,
    Other,
}

impl Kind {
    /// Told by the last part of the path.
    pub(crate) fn of(path: &str) -> Self {
        let last = path.rsplit('.').next().unwrap_or(path);
        let plain: String = last
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        match plain.as_str() {
            "email" | "mail" | "emailaddress" | "mailaddress" => Self::Email,
            "phone" | "phonenumber" | "mobile" | "mobilephone" | "telephone" | "cell" => Self::Phone,
            "birthday" | "birthdate" | "dateofbirth" | "dob" => Self::BirthDate,
            "name" | "fullname" | "firstname" | "lastname" | "givenname" | "familyname" | "surname" => {
                Self::Name
            }
            _ => Self::Other,
        }
    }

    /// Whether each person should have their own.
    pub(crate) const fn is_identifying(self) -> bool {
        matches!(self, Self::Email | Self::Phone)
    }

    /// Whether it goes out of date.
    pub(crate) const fn ages(self) -> bool {
        !matches!(self, Self::BirthDate | Self::Name)
    }
}

/// What can be told of a value by looking at it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It says nothing: `n/a`, `-`, `unknown`.
    Placeholder,
    /// It cannot be what the field holds.
    Invalid,
    /// It can be, in this one form; `is_test`: it is an address for trying things out.
    Possible { form: String, is_test: bool, is_disposable: bool, is_role: bool },
    /// Nothing can be said.
    Open,
}

pub(crate) fn look(kind: Kind, text: &str, now: Timestamp) -> Look {
    let text = text.trim();
    let plain = text.trim_matches(|letter: char| !letter.is_alphanumeric()).to_lowercase();
    if NOTHING.contains(&plain.as_str()) {
        return Look::Placeholder;
    }
    match kind {
        Kind::Email => Email::parse(text).map_or(Look::Invalid, |email| Look::Possible {
            is_test: is_test_address(email.local(), email.domain()),
            is_disposable: email.is_disposable(),
            is_role: email.is_role_address(),
            form: email.normalised().to_owned(),
        }),
        Kind::Phone => phone(text),
        Kind::BirthDate => {
            // A day and nothing else, or the beginning of a time.
            match Birthday::parse(text) {
                Some(day) if day.is_at_least(0, now) && !day.is_at_least(YEARS_MAX, now) => {
                    possible(text.chars().take(10).collect(), text.starts_with("1900-01-01"))
                }
                Some(_) | None => Look::Invalid,
            }
        }
        Kind::Name => match PersonName::parse(text) {
            Ok(name) => {
                possible(name.key(), ["test", "test test", "john doe", "jane doe"].contains(&plain.as_str()))
            }
            Err(_) => Look::Invalid,
        },
        Kind::Other => Look::Open,
    }
}

fn possible(form: String, is_test: bool) -> Look {
    Look::Possible { form, is_test, is_disposable: false, is_role: false }
}

fn phone(text: &str) -> Look {
    // A number without its country may be one somewhere: only what can be none anywhere is invalid.
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_all_one = digits.bytes().zip(digits.bytes().skip(1)).all(|(one, next)| one == next);
    let is_test = is_all_one || digits.contains("55501") || digits.ends_with("1234567890");
    if text.trim_start().starts_with('+') || text.trim_start().starts_with("00") {
        let text = text.trim_start();
        let international =
            text.strip_prefix("00").map_or_else(|| text.to_owned(), |rest| format!("+{rest}"));
        return match Phone::parse(&international, None) {
            Ok(phone) => possible(phone.normalised().to_owned(), is_test),
            Err(_) => Look::Invalid,
        };
    }
    let has_letters = text.chars().filter(|letter| letter.is_alphabetic()).count() > 3;
    match digits.len() {
        _ if has_letters => Look::Invalid,
        0..=4 | 16.. => Look::Invalid,
        _ => possible(digits, is_test),
    }
}

/// RFC 2606 and 6761: domains that are nobody's.
fn is_test_address(local: &str, domain: &str) -> bool {
    let is_reserved = ["example.com", "example.org", "example.net", "localhost"]
        .iter()
        .any(|known| domain == *known || domain.strip_suffix(known).is_some_and(|rest| rest.ends_with('.')))
        || [".test", ".invalid", ".example", ".localhost"].iter().any(|known| domain.ends_with(known));
    let stem = local.trim_end_matches(|letter: char| letter.is_ascii_digit());
    is_reserved || ["test", "testing", "asdf", "foo", "qwerty"].contains(&stem)
}

/// The text without what people write differently: for comparing.
pub(crate) fn comparable(kind: Kind, text: &str, now: Timestamp) -> String {
    match look(kind, text, now) {
        Look::Possible { form, .. } => form,
        Look::Placeholder | Look::Invalid | Look::Open => fold(text.trim()),
    }
}

/// A value that ends in a number, as generated ones do: what stands before and after it, and the number.
pub(crate) fn numbered(text: &str) -> Option<(String, u64)> {
    let (head, tail) = match text.split_once('@') {
        Some((local, domain)) => (local, domain),
        None => (text, ""),
    };
    let stem = head.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let digits = head.get(stem.len()..)?;
    if stem.is_empty() || digits.is_empty() || digits.len() > 9 {
        return None;
    }
    Some((format!("{stem}#{tail}"), digits.parse().ok()?))
}
