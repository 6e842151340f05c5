//! Any kind of value by one door, for those who are told the kind at run time: reports, the API, the command line.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::{
    Address, AddressFault, AddressParts, Currency, CurrencyFault, Day, DayFault, DayOrder, Email, EmailFault,
    Language, LanguageFault, MailboxRules, NameFault, PersonName, Phone, PhoneFault, PostalCode,
    PostalCodeFault, Region, RegionFault, Verdict,
};

/// What a value should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContactKind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The name of a person.
    Name,
    /// A postal address in its parts, read by [`check_address`]; a text is taken for its street.
    Address,
    /// A postal code.
    PostalCode,
    /// A day.
    Date,
    /// A day of birth.
    BirthDate,
    /// A country.
    Country,
    /// A language.
    Language,
    /// A currency.
    Currency,
}

impl ContactKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Email,
        Self::Phone,
        Self::Name,
        Self::Address,
        Self::PostalCode,
        Self::Date,
        Self::BirthDate,
        Self::Country,
        Self::Language,
        Self::Currency,
    ];

    /// Its word: `postal_code`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Name => "name",
            Self::Address => "address",
            Self::PostalCode => "postal_code",
            Self::Date => "date",
            Self::BirthDate => "birth_date",
            Self::Country => "country",
            Self::Language => "language",
            Self::Currency => "currency",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl Serialize for ContactKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What is known beside the value.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// The country of telephone numbers, postal codes and addresses that name none, and whose order days are written in.
    pub region: Option<Region>,
    /// Today, for days of birth; without it they are days.
    pub today: Option<Day>,
}

/// What is found of one value. Holds personal data.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Its one form; none if it cannot be what it should be, or that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalised: Option<String>,
    /// What can be said of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What else its one form tells: the family name, the kind of telephone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<&'static str, String>,
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Checked({:?}, <redacted>)", self.verdict)
    }
}

impl Checked {
    const fn refused(verdict: Verdict) -> Self {
        Self { normalised: None, verdict, details: BTreeMap::new() }
    }

    fn new(normalised: impl Into<String>, verdict: Verdict) -> Self {
        Self { normalised: Some(normalised.into()), verdict, details: BTreeMap::new() }
    }

    /// Notes what is not empty.
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.details.insert(name, value);
        }
        self
    }
}

/// Checks a text. White space around it does not count.
#[must_use]
pub fn check(kind: ContactKind, value: &str, options: &CheckOptions) -> Checked {
    let value = value.trim();
    if value.is_empty() {
        return Checked::refused(Verdict::invalid("empty"));
    }
    match kind {
        ContactKind::Email => email(value),
        ContactKind::Phone => phone(value, options.region),
        ContactKind::Name => name(value),
        ContactKind::Address => {
            check_address(&AddressParts { street: value, ..AddressParts::default() }, options)
        }
        ContactKind::PostalCode => match options.region.map(|region| PostalCode::parse(region, value)) {
            None => Checked::refused(Verdict::unknown("no_country")),
            Some(Ok(code)) => Checked::new(code.normalised(), code.verdict()),
            Some(Err(fault)) => Checked::refused(PostalCodeFault::verdict(fault)),
        },
        ContactKind::Date => match Day::parse(value, options.region.map(DayOrder::of)) {
            Ok(day) => Checked::new(day.normalised(), day.verdict()),
            Err(fault) => Checked::refused(DayFault::verdict(fault)),
        },
        ContactKind::BirthDate => match Day::parse(value, options.region.map(DayOrder::of)) {
            Ok(day) => {
                let verdict =
                    options.today.map_or_else(|| day.verdict(), |today| day.verdict_of_birth(today));
                Checked::new(day.normalised(), verdict)
            }
            Err(fault) => Checked::refused(DayFault::verdict(fault)),
        },
        ContactKind::Country => match Region::find(value) {
            Ok(region) => Checked::new(region.to_string(), region.verdict()).with("name", region.name()),
            Err(fault) => Checked::refused(RegionFault::verdict(fault)),
        },
        ContactKind::Language => match Language::find(value) {
            Ok(language) => Checked::new(language.as_str(), language.verdict()).with("name", language.name()),
            Err(fault) => Checked::refused(LanguageFault::verdict(fault)),
        },
        ContactKind::Currency => match Currency::find(value) {
            Ok(currency) => Checked::new(currency.as_str(), currency.verdict()).with("name", currency.name()),
            Err(fault) => Checked::refused(CurrencyFault::verdict(fault)),
        },
    }
}

fn email(value: &str) -> Checked {
    match Email::parse(value) {
        Ok(email) => {
            let mailbox = email.mailbox(MailboxRules { strip_tags: true, strip_dots: true });
            let mailbox = if mailbox == email.normalised() { String::new() } else { mailbox.into_owned() };
            Checked::new(email.normalised(), email.verdict()).with("mailbox", mailbox)
        }
        Err(fault) => Checked::refused(EmailFault::verdict(fault)),
    }
}

fn phone(value: &str, region: Option<Region>) -> Checked {
    match Phone::parse(value, region) {
        Ok(phone) => Checked::new(phone.normalised(), phone.verdict())
            .with("country", phone.region().map(|region| region.to_string()).unwrap_or_default())
            .with("international", phone.international())
            .with("type", phone.kind().as_str()),
        Err(fault) => Checked::refused(PhoneFault::verdict(fault)),
    }
}

fn name(value: &str) -> Checked {
    match PersonName::parse(value) {
        Ok(name) => Checked::new(name.normalised(), name.verdict())
            .with("family", name.family())
            .with("given", name.given())
            .with("order", name.order().as_str())
            .with("script", name.script().as_str())
            .with("suffixes", name.suffixes().join(" "))
            .with("titles", name.titles().join(" ")),
        Err(fault) => Checked::refused(NameFault::verdict(fault)),
    }
}

/// Checks an address in its parts.
#[must_use]
pub fn check_address(parts: &AddressParts<'_>, options: &CheckOptions) -> Checked {
    match Address::parse(parts, options.region) {
        Ok(address) => Checked::new(address.normalised(), address.verdict())
            .with("city", address.city)
            .with("country", address.region.map(|region| region.to_string()).unwrap_or_default())
            .with("postal_code", address.postal_code)
            .with("state", address.subdivision)
            .with("street", address.street),
        Err(fault) => Checked::refused(AddressFault::verdict(fault)),
    }
}
