//! Contact data: e-mail addresses, telephone numbers, names, postal codes, days of birth, countries, languages,
//! currencies. Each is read into its one form, or refused with a reason. Pure.
//!
//! Not a service: nothing is looked up anywhere but in tables that are compiled in, so "deliverable" is never said
//! (see [`Verdict`]). Not a matcher: it says what a value is, and leaves to others who is the same person.
//!
//! Invariants: no input makes it panic; a one form read again is itself; faults quote nothing of the value; types that
//! hold personal data show nothing of it in `Debug`. The tables are listed with their origin in `data/README.md`.

mod address;
mod check;
mod codes;
mod day;
mod email;
mod name;
mod phone;
mod region;
mod standards;
#[cfg(test)]
mod tests;
mod unicode;
mod verdict;

pub use address::{Address, AddressFault, AddressParts, PostalCode, PostalCodeFault};
pub use check::{CheckOptions, Checked, ContactKind, check, check_address};
pub use day::{Day, DayFault, DayOrder};
pub use email::{Email, EmailFault, MailboxRules};
pub use name::{NameFault, NameOrder, PersonName, Script, are_nicknames, formal_names};
pub use phone::{Phone, PhoneFault, PhoneKind};
pub use region::{Region, RegionFault};
pub use standards::{Currency, CurrencyFault, Language, LanguageFault};
pub use unicode::fold;
pub use verdict::{Status, Verdict};
