//! The gate on the way in, and the gate over what is kept: which purposes cover data.

use tessera_model::{PurposeSet, Purposes, Timestamp};

use crate::decision::judge;
use crate::{Act, Consents, Denial};

/// Which of the purposes that an event serves cover it, for a person whose fragments know this.
///
/// # Errors
/// No purpose covers it: it must join no profile. The first of the reasons in the order of [`Denial`].
pub fn admit<'a>(
    declared: &Purposes,
    served: PurposeSet,
    fragments: impl Iterator<Item = &'a Consents> + Clone,
    now: Timestamp,
) -> Result<PurposeSet, Denial> {
    let (covered, denial) = covering(declared, served, fragments, now);
    if covered.is_empty() { Err(denial.unwrap_or(Denial::UnknownPurpose)) } else { Ok(covered) }
}

/// Which of `served` cover data of such a person, and the first reason why others do not.
pub fn covering<'a>(
    declared: &Purposes,
    served: PurposeSet,
    fragments: impl Iterator<Item = &'a Consents> + Clone,
    now: Timestamp,
) -> (PurposeSet, Option<Denial>) {
    // Walked once: finding the fragments of a person costs more than deciding.
    let fragments: Vec<&Consents> = fragments.collect();
    // Most purposes are spoken of by nobody, and most of these then ask for nothing.
    let is_erased = fragments.iter().any(|consents| consents.erased_at().is_some());
    let spoken_of = fragments.iter().fold(PurposeSet::EMPTY, |known, one| known.or(one.spoken_of()));
    let silent = if is_erased { PurposeSet::EMPTY } else { declared.asking_nothing().without(spoken_of) };
    let (mut covered, mut denial) = (served.and(silent), None);
    for id in served.without(silent).iter() {
        let decided = match declared.by_id(id) {
            None => Err(Denial::UnknownPurpose),
            Some(purpose) => judge(purpose, Act::Keep, fragments.iter().copied(), now).map(|_| ()),
        };
        match decided {
            Ok(()) => covered.insert(id),
            Err(reason) => denial = Some(denial.map_or(reason, |known: Denial| known.min(reason))),
        }
    }
    (covered, denial)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tessera_model::{ConsentStatus, Expression, PurposeName, SourceName};

    use super::*;
    use crate::ConsentRecord;
    use crate::fixture::purposes;

    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn declared() -> Purposes {
        purposes(&[
            json!({"name": "news", "basis": "consent", "consent_valid_days": 1}),
            json!({"name": "orders", "basis": "contract"}),
            json!({"name": "other", "basis": "consent"}),
        ])
    }

    fn said(entries: &[(&str, ConsentStatus, i64)]) -> Consents {
        let declared = declared();
        let mut consents = Consents::default();
        for (purpose, status, at) in entries {
            consents.add(ConsentRecord {
                purpose: declared.get(&PurposeName::parse(purpose).unwrap()).map(|purpose| purpose.id),
                status: *status,
                expression: Expression::Explicit,
                version: 1,
                first_at: Timestamp::from_millis(*at),
                last_at: Timestamp::from_millis(*at),
                source: SourceName::parse("web").unwrap(),
                how: None,
                evidence: None,
            });
        }
        consents
    }

    fn check(fragments: &[Consents], expected: Result<&[&str], Denial>) {
        let declared = declared();
        let served = [declared.get(&PurposeName::parse("news").unwrap()).unwrap().id].into_iter().collect();
        let admitted = admit(&declared, served, fragments.iter(), Timestamp::from_millis(DAY + 10));
        let names = admitted
            .map(|set| declared.names_of(set).map(|name| name.as_str().to_owned()).collect::<Vec<_>>());
        assert_eq!(names, expected.map(|names| names.iter().map(|n| (*n).to_owned()).collect()));
    }

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
        let served = purposes(&[
            json!({"name": "a", "basis": "contract"}),
            json!({"name": "b", "basis": "contract"}),
            json!({"name": "c", "basis": "contract"}),
            json!({"name": "d", "basis": "contract"}),
        ]);
        let unknown = served.iter().last().map(|purpose| purpose.id).into_iter().collect();
        let admitted = admit(&declared(), unknown, std::iter::empty(), Timestamp::from_millis(0));
        assert_eq!(admitted, Err(Denial::UnknownPurpose));
        let none = admit(&declared(), PurposeSet::default(), std::iter::empty(), Timestamp::from_millis(0));
        assert_eq!(none, Err(Denial::UnknownPurpose));
    }
}
