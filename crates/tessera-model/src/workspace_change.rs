//! Whether one workspace may take the place of another.
//!
//! A purpose is a promise to the people whose data serves it: within a version nothing of it may be widened, and what
//! they agreed to is never put on another basis. Reference: GDPR Art. 5(1)(b), 6, 7, 13(3).

use crate::{Document, LegalBasis, Problem, PurposeDocument, Workspace};

impl Workspace {
    /// Whether this workspace may take the place of `old`.
    ///
    /// # Errors
    /// Every change that is refused.
    pub fn check_change_from(&self, old: &Self) -> Result<(), Vec<Problem>> {
        let mut problems = Vec::new();
        for before in old.documents() {
            let Document::Purpose(old) = before else { continue };
            match self.get("Purpose", old.name.as_str()) {
                Some(document @ Document::Purpose(new)) => problems.extend(refusals(document, old, new)),
                Some(_) => {}
                None if old.retired => {}
                None => {
                    let hint =
                        "set `retired: true` first: its data is then removed on schedule, and it can go";
                    problems.push(Problem::new(before, "name", "is in use and cannot be removed", hint));
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

fn refusals(document: &Document, old: &PurposeDocument, new: &PurposeDocument) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |field: &str, what: String, hint: &str| {
        problems.push(Problem::new(document, field, what, hint));
    };
    if new.version < old.version {
        let what = format!("{} is older than the version applied, {}", new.version, old.version);
        refuse("version", what, "keep or raise the version");
    }
    if new.basis != old.basis && old.basis == LegalBasis::Consent {
        let what = format!(
            "cannot change from consent to {}: people were asked, and some said no",
            new.basis.as_str()
        );
        refuse("basis", what, "declare a new purpose with a name of its own, and retire this one");
    } else if new.basis != old.basis && new.version <= old.version {
        let what = format!(
            "cannot change from {} to {} within version {}",
            old.basis.as_str(),
            new.basis.as_str(),
            new.version
        );
        refuse("basis", what, "raise `version`, which tells people anew");
    }
    if new.version <= old.version {
        for (field, what) in widened(old, new) {
            refuse(
                field,
                format!("{what} within version {}", new.version),
                "raise `version`, which tells people anew",
            );
        }
    } else if new.basis == LegalBasis::Consent
        && old.basis == LegalBasis::Consent
        && (new.notice != old.notice || !widened(old, new).is_empty())
        && new.reconsent.is_none_or(|reconsent| reconsent.version < new.version)
    {
        let hint = "add `reconsent: {version: THIS, cutoff: WHEN}`: from then on a yes to an older version counts no more";
        refuse("reconsent", "people agreed to something else and must be asked again".to_owned(), hint);
    }
    problems
}

/// What `new` may do that `old` may not.
fn widened(old: &PurposeDocument, new: &PurposeDocument) -> Vec<(&'static str, &'static str)> {
    // An empty list means everything.
    fn grows<T: PartialEq>(
        old: impl ExactSizeIterator<Item = T>,
        new: impl ExactSizeIterator<Item = T>,
    ) -> bool {
        let (old, new): (Vec<T>, Vec<T>) = (old.collect(), new.collect());
        !old.is_empty() && (new.is_empty() || new.iter().any(|one| !old.contains(one)))
    }
    let longer = |old: Option<u32>, new: Option<u32>| old.is_some_and(|old| new.is_none_or(|new| new > old));
    let checks = [
        ("notice", new.notice != old.notice && !old.notice.is_empty(), "the notice changes"),
        (
            "jurisdictions",
            grows(old.jurisdictions.iter(), new.jurisdictions.iter()),
            "serves more jurisdictions",
        ),
        ("categories", grows(old.categories.iter(), new.categories.iter()), "uses more categories of data"),
        (
            "labels",
            grows(old.labels.iter(), new.labels.iter())
                || (old.labels.is_empty()
                    && !new.labels.is_empty()
                    && new.labels.contains(&crate::Label::Special)),
            "uses more labels",
        ),
        ("regions", new.regions.iter().any(|region| !old.regions.contains(region)), "sends to more regions"),
        ("retention_days", longer(old.retention_days, new.retention_days), "keeps data longer"),
        (
            "consent_valid_days",
            longer(old.consent_valid_days, new.consent_valid_days),
            "lets a consent live longer",
        ),
        ("explicit", old.explicit && !new.explicit, "asks for an explicit yes no more"),
        (
            "minimum_age",
            old.minimum_age.is_some_and(|old| new.minimum_age.is_none_or(|new| new < old)),
            "takes in younger people",
        ),
        (
            "direct_marketing",
            old.direct_marketing != new.direct_marketing,
            "changes whether it is direct marketing",
        ),
        (
            "sells_or_shares",
            old.sells_or_shares != new.sells_or_shares,
            "changes whether it sells or shares data",
        ),
        ("reconsent", old.reconsent.is_some() && new.reconsent.is_none(), "asks for consent again no more"),
        ("retired", old.retired && !new.retired, "comes back from retirement"),
    ];
    checks.into_iter().filter(|(_, is_wider, _)| *is_wider).map(|(field, _, what)| (field, what)).collect()
}
