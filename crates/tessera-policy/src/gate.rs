//! The gate on the way in: which of a source's purposes cover this event.

use std::collections::BTreeMap;

use tessera_model::{LegalBasis, PurposeDocument, PurposeName, Timestamp};

use crate::{Consents, Denial, decide};

/// What the gate let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The purposes that cover the event. Never empty.
    pub purposes: Vec<PurposeName>,
}

/// Which of the purposes that a source's data serves cover an event of a person with these consent records.
///
/// # Errors
/// No purpose covers it: it must join no profile. The reason is that of the last purpose asked for.
pub fn admit<'a>(
    declared: &BTreeMap<PurposeName, PurposeDocument>,
    served: &[PurposeName],
    fragments: impl Iterator<Item = &'a Consents> + Clone,
    now: Timestamp,
) -> Result<Admission, Denial> {
    let mut purposes = Vec::with_capacity(served.len());
    let mut denial = Denial::UnknownPurpose;
    for name in served {
        match declared.get(name).ok_or(Denial::UnknownPurpose).and_then(|p| decide(p, fragments.clone(), now))
        {
            Ok(permit) => purposes.push(permit.purpose().clone()),
            Err(reason) => denial = reason,
        }
    }
    if purposes.is_empty() { Err(denial) } else { Ok(Admission { purposes }) }
}

/// Whether any of `served` needs the person's consent to be looked up.
#[must_use]
pub fn needs_consent(declared: &BTreeMap<PurposeName, PurposeDocument>, served: &[PurposeName]) -> bool {
    served.iter().any(|name| declared.get(name).is_some_and(|purpose| purpose.basis == LegalBasis::Consent))
}

#[cfg(test)]
mod tests {
    use tessera_model::{ConsentStatus, SourceName};

    use super::*;
    use crate::ConsentRecord;

    fn purpose(name: &str, basis: &str, valid_days: Option<u32>) -> PurposeDocument {
        let mut document: PurposeDocument = bare_purpose(name, basis);
        document.consent_valid_days = valid_days;
        document
    }

    fn bare_purpose(name: &str, basis: &str) -> PurposeDocument {
        let basis = match basis {
            "consent" => LegalBasis::Consent,
            _ => LegalBasis::Contract,
        };
        PurposeDocument {
            kind: Default::default(),
            name: PurposeName::parse(name).unwrap(),
            version: 1,
            basis,
            description: String::new(),
            notice: BTreeMap::new(),
            jurisdictions: Vec::new(),
            retention_days: None,
            consent_valid_days: None,
        }
    }

    fn said(entries: &[(&str, ConsentStatus, i64)]) -> Consents {
        let mut consents = Consents::default();
        for (purpose, status, at) in entries {
            consents.add(ConsentRecord {
                purpose: PurposeName::parse(purpose).unwrap(),
                status: *status,
                first_at: Timestamp::from_millis(*at),
                last_at: Timestamp::from_millis(*at),
                source: SourceName::parse("web").unwrap(),
            });
        }
        consents
    }

    fn check(fragments: &[Consents], expected: Result<&[&str], Denial>) {
        let declared: BTreeMap<_, _> =
            [purpose("news", "consent", Some(1)), purpose("orders", "contract", None)]
                .into_iter()
                .map(|p| (p.name.clone(), p))
                .collect();
        let served = [PurposeName::parse("news").unwrap()];
        let admitted = admit(&declared, &served, fragments.iter(), Timestamp::from_millis(DAY + 10));
        let names = admitted.map(|a| a.purposes.iter().map(|p| p.as_str().to_owned()).collect::<Vec<_>>());
        assert_eq!(names, expected.map(|names| names.iter().map(|n| (*n).to_owned()).collect()));
    }

    const DAY: i64 = 24 * 60 * 60 * 1000;

    #[test]
    fn consent_that_was_never_asked_for_covers_nothing() {
        check(&[], Err(Denial::NeverAsked));
        check(&[said(&[("other", ConsentStatus::Given, 100)])], Err(Denial::NeverAsked));
    }

    #[test]
    fn the_last_word_of_a_fragment_counts() {
        let (yes, no) = (ConsentStatus::Given, ConsentStatus::Withdrawn);
        check(&[said(&[("news", no, 50), ("news", yes, 60)])], Ok(&["news"]));
        check(&[said(&[("news", yes, 50), ("news", no, 60)])], Err(Denial::Withdrawn));
        check(&[said(&[("news", yes, 60), ("news", no, 60)])], Err(Denial::Withdrawn));
    }

    #[test]
    fn merging_never_widens_permission() {
        let yes = said(&[("news", ConsentStatus::Given, 90)]);
        let no = said(&[("news", ConsentStatus::Refused, 10)]);
        check(&[yes.clone(), Consents::default()], Ok(&["news"]));
        check(&[yes.clone(), no.clone()], Err(Denial::Refused));
        check(&[no, yes], Err(Denial::Refused));
    }

    #[test]
    fn consent_older_than_its_validity_covers_nothing() {
        check(&[said(&[("news", ConsentStatus::Given, 9)])], Err(Denial::Expired));
        check(&[said(&[("news", ConsentStatus::Given, 10)])], Ok(&["news"]));
    }

    #[test]
    fn a_purpose_nobody_declared_covers_nothing() {
        let served = [PurposeName::parse("nowhere").unwrap()];
        let admitted = admit(&BTreeMap::new(), &served, [].iter(), Timestamp::default());
        assert_eq!(admitted, Err(Denial::UnknownPurpose));
    }
}
