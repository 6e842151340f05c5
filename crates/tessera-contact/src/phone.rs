//! Telephone numbers, by libphonenumber's metadata.
//!
//! The one form is E.164 (`+4930123456`); an extension stays, as RFC 3966 writes it (`;ext=12`), because the people of
//! an office share the number and not the extension.
//!
//! Not a call: a number that fits the numbering plan may belong to nobody, so [`Phone::verdict`] says `unknown`. What
//! the plan does not have is impossible - as far as the metadata knows, which follows the plans by weeks.
//!
//! Reference: Google's libphonenumber (`parse`, `isValidNumber`, `format` to E.164), ported by `rlibphonenumber`.

use std::fmt;

use rlibphonenumber::{
    PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationError,
};

use crate::{Region, Verdict};

/// The longest text that is read, in bytes; libphonenumber reads as much.
const TEXT_BYTES_MAX: usize = 250;

/// A telephone number in its one form. Invariant: it fits its country's numbering plan.
///
/// Personal data: `Debug` shows nothing of it and there is no `Display`.
#[derive(Clone, PartialEq)]
pub struct Phone {
    text: String,
    number: PhoneNumber,
}

/// What a number is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PhoneKind {
    /// A line in a house.
    FixedLine,
    /// Carried about.
    Mobile,
    /// One of the two: the plan does not tell.
    FixedLineOrMobile,
    /// The called pays.
    TollFree,
    /// The caller pays more.
    PremiumRate,
    /// Both pay.
    SharedCost,
    /// Over the internet.
    Voip,
    /// Follows a person.
    PersonalNumber,
    /// Shows a text.
    Pager,
    /// One number of a company with many places.
    UniversalAccess,
    /// Answers by itself.
    Voicemail,
    /// The plan does not say.
    Unknown,
}

impl PhoneKind {
    /// Its word: `fixed_line`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FixedLine => "fixed_line",
            Self::Mobile => "mobile",
            Self::FixedLineOrMobile => "fixed_line_or_mobile",
            Self::TollFree => "toll_free",
            Self::PremiumRate => "premium_rate",
            Self::SharedCost => "shared_cost",
            Self::Voip => "voip",
            Self::PersonalNumber => "personal_number",
            Self::Pager => "pager",
            Self::UniversalAccess => "universal_access",
            Self::Voicemail => "voicemail",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a text is not a telephone number. Quotes nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PhoneFault {
    /// Not the shape of one.
    #[error("it is not written like a telephone number")]
    NotANumber,
    /// No country code, and none was given beside it.
    #[error("it has no country code, and no default region is set")]
    NoRegion,
    /// A country code that nobody has.
    #[error("no country has its country code")]
    NoSuchCountryCode,
    /// Too few digits.
    #[error("it has fewer digits than the numbers of its country")]
    TooShort,
    /// Too many digits.
    #[error("it has more digits than the numbers of its country")]
    TooLong,
    /// A length or a beginning that the numbering plan does not have.
    #[error("the numbering plan of its country has no such number")]
    NotInNumberingPlan,
}

impl PhoneFault {
    /// One stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotANumber => "not_a_number",
            Self::NoRegion => "no_region",
            Self::NoSuchCountryCode => "no_such_country_code",
            Self::TooShort => "too_short",
            Self::TooLong => "too_long",
            Self::NotInNumberingPlan => "not_in_numbering_plan",
        }
    }

    /// What it means for the value: impossible, except that without a region nothing can be told.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::NoRegion => Verdict::unknown(self.code()),
            Self::NotANumber
            | Self::NoSuchCountryCode
            | Self::TooShort
            | Self::TooLong
            | Self::NotInNumberingPlan => Verdict::invalid(self.code()),
        }
    }
}

impl Phone {
    /// Reads a number as people write it. `region` is where one without a country code is taken to be dialled.
    /// A leading `00` counts as `+` where the region does not say otherwise.
    ///
    /// # Errors
    /// [`PhoneFault`].
    pub fn parse(text: &str, region: Option<Region>) -> Result<Self, PhoneFault> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return Err(PhoneFault::TooLong);
        }
        let first = Self::read(text, region);
        match text.strip_prefix("00") {
            Some(rest) if first.is_err() => Self::read(&format!("+{rest}"), None).or(first),
            _ => first,
        }
    }

    fn read(text: &str, region: Option<Region>) -> Result<Self, PhoneFault> {
        let dialled_in = region.and_then(|region| region.as_str().parse().ok());
        let number = PHONE_NUMBER_UTIL.parse(text, dialled_in).map_err(|error| match error {
            ParseError::InvalidCountryCode if text.contains(['+', '＋']) => PhoneFault::NoSuchCountryCode,
            ParseError::InvalidCountryCode => PhoneFault::NoRegion,
            ParseError::NotANumber(_) => PhoneFault::NotANumber,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => PhoneFault::TooShort,
            ParseError::TooLongNsn => PhoneFault::TooLong,
        })?;
        if !PHONE_NUMBER_UTIL.is_valid_number(&number) {
            return Err(match PHONE_NUMBER_UTIL.is_possible_number_with_reason(&number) {
                Err(ValidationError::TooShort) => PhoneFault::TooShort,
                Err(ValidationError::TooLong) => PhoneFault::TooLong,
                _ => PhoneFault::NotInNumberingPlan,
            });
        }
        let mut text = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164).into_owned();
        if let Some(extension) = number.extension.as_deref().filter(|extension| !extension.is_empty()) {
            text.push_str(";ext=");
            text.push_str(extension);
        }
        Ok(Self { text, number })
    }

    /// E.164, with the extension if there is one.
    #[must_use]
    pub fn normalised(&self) -> &str {
        &self.text
    }

    /// E.164, with the extension if there is one.
    #[must_use]
    pub fn into_normalised(self) -> String {
        self.text
    }

    /// As people of its country write it for those abroad: `+49 30 123456`.
    #[must_use]
    pub fn international(&self) -> String {
        PHONE_NUMBER_UTIL.format(&self.number, PhoneNumberFormat::International).into_owned()
    }

    /// Its country; none for numbers that belong to no country (`+800`).
    #[must_use]
    pub fn region(&self) -> Option<Region> {
        let region = PHONE_NUMBER_UTIL.get_region_for_number(&self.number)?;
        Region::parse(region.as_region_str().as_str()).ok()
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> PhoneKind {
        match PHONE_NUMBER_UTIL.get_number_type(&self.number) {
            PhoneNumberType::FixedLine => PhoneKind::FixedLine,
            PhoneNumberType::Mobile => PhoneKind::Mobile,
            PhoneNumberType::FixedLineOrMobile => PhoneKind::FixedLineOrMobile,
            PhoneNumberType::TollFree => PhoneKind::TollFree,
            PhoneNumberType::PremiumRate => PhoneKind::PremiumRate,
            PhoneNumberType::SharedCost => PhoneKind::SharedCost,
            PhoneNumberType::VoIP => PhoneKind::Voip,
            PhoneNumberType::PersonalNumber => PhoneKind::PersonalNumber,
            PhoneNumberType::Pager => PhoneKind::Pager,
            PhoneNumberType::UAN => PhoneKind::UniversalAccess,
            PhoneNumberType::VoiceMail => PhoneKind::Voicemail,
            PhoneNumberType::Unknown => PhoneKind::Unknown,
        }
    }

    /// What can be said without ringing: `unknown`.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        Verdict::unknown("in_numbering_plan")
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(<redacted>)")
    }
}
