//! Until when a decision stands if nobody says anything.

use std::sync::Arc;

use tessera_model::{Birthday, Purpose, PurposeSet, Timestamp};

use crate::decision::{DAY_MILLIS, judge};
use crate::{Act, Consents, is_in_time};

/// What was decided about a purpose and a person, and for how long that stands if the person says nothing: for who asks of many people
/// again and again. It opens no value: only a [`crate::Permit`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the purpose may.
    pub is_permitted: bool,
    since: Timestamp,
    until: Timestamp,
}

impl Standing {
    /// Decides as [`crate::decide`] does.
    pub fn of<'a>(
        purpose: &Purpose,
        act: Act,
        fragments: impl IntoIterator<Item = &'a Consents> + Clone,
        now: Timestamp,
    ) -> Self {
        let until = stands_until(purpose, fragments.clone(), now).unwrap_or(Timestamp::MAX);
        Self { is_permitted: judge(purpose, act, fragments, now).is_ok(), since: now, until }
    }

    /// Whether a decision at `now` would be the same.
    #[must_use]
    pub fn stands_at(&self, now: Timestamp) -> bool {
        self.since <= now && now < self.until
    }
}

/// Which data of people who permit it a purpose may use at a moment.
#[derive(Clone, Debug)]
pub struct Reach {
    purpose: Arc<Purpose>,
    now: Timestamp,
}

impl Reach {
    /// That of a purpose at `now`.
    #[must_use]
    pub fn new(purpose: Arc<Purpose>, now: Timestamp) -> Self {
        Self { purpose, now }
    }

    /// Whether data that serves `served` serves the purpose.
    #[must_use]
    pub fn serves(&self, served: PurposeSet) -> bool {
        served.contains(self.purpose.id)
    }

    /// Whether the time of data that came to be at `at` is not over.
    #[must_use]
    pub fn is_in_time(&self, at: Timestamp) -> bool {
        is_in_time(&self.purpose, at, self.now)
    }
}

/// The first time after `now` at which a decision about a purpose may be another although nothing was said: a yes grows too
/// old, an older version of the purpose counts no more, a person grows old enough. What is decided then may be the same.
/// `None`: time alone changes nothing.
pub fn stands_until<'a>(
    purpose: &Purpose,
    fragments: impl IntoIterator<Item = &'a Consents>,
    now: Timestamp,
) -> Option<Timestamp> {
    let document = &purpose.document;
    let mut times: Vec<Timestamp> = document.reconsent.map(|again| again.cutoff).into_iter().collect();
    let mut born_on: Option<Birthday> = None;
    for consents in fragments {
        born_on = born_on.max(consents.birthday());
        if let Some(days) = document.consent_valid_days {
            let valid_millis = i64::from(days).saturating_mul(DAY_MILLIS).saturating_add(1);
            times.extend(consents.on(purpose.id).map(|word| word.last_at.plus_millis(valid_millis)));
        }
    }
    if let (Some(years), Some(day)) = (document.minimum_age, born_on) {
        times.extend(comes_of_age(day, years, now));
    }
    times.into_iter().filter(|at| *at > now).min()
}

/// Longer than anybody's years: 300 of them.
const LIFETIME_MILLIS: i64 = 300 * 366 * DAY_MILLIS;

/// When a person is first so many years old, if not yet at `now`.
fn comes_of_age(day: Birthday, years: u8, now: Timestamp) -> Option<Timestamp> {
    let is_old_enough = |millis: i64| day.is_at_least(years, Timestamp::from_millis(millis));
    let (mut before, mut after) = (now.as_millis(), now.as_millis().saturating_add(LIFETIME_MILLIS));
    if is_old_enough(before) {
        return None;
    }
    // Whoever is not old enough even then is born in a far future: to be asked again.
    while is_old_enough(after) && after - before > 1 {
        let middle = before + (after - before) / 2;
        if is_old_enough(middle) { after = middle } else { before = middle }
    }
    Some(Timestamp::from_millis(after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use tessera_model::{ConsentStatus, Expression, SourceName};

    use super::*;
    use crate::fixture::purposes;
    use crate::{ConsentRecord, decide};

    fn said() -> impl Strategy<Value = (ConsentStatus, i64, u32)> {
        let words = [
            ConsentStatus::Given,
            ConsentStatus::Refused,
            ConsentStatus::Withdrawn,
            ConsentStatus::Objected,
            ConsentStatus::Restricted,
        ];
        (prop::sample::select(words.to_vec()), 0_i64..20, 1_u32..3)
    }

    proptest! {
        #[test]
        fn what_stands_is_what_would_be_decided(
            fragments in prop::collection::vec((prop::collection::vec(said(), 0..4), prop::option::of(1990_i32..2010)), 1..3),
            kind in 0_usize..4,
            (decided, asked) in (0_i64..20, 0_i64..40),
        ) {
            let documents = [
                json!({"name": "p", "basis": "consent", "consent_valid_days": 3}),
                json!({"name": "p", "basis": "consent", "version": 2, "reconsent": {"version": 2, "cutoff": "1970-01-09T00:00:00Z"}}),
                json!({"name": "p", "basis": "legitimate_interests", "minimum_age": 18}),
                json!({"name": "p", "basis": "contract"}),
            ];
            let declared = purposes(&documents[kind..=kind]);
            let purpose = declared.iter().next().unwrap();
            // Around the time at which those who were born in 1992 and in 2008 come of age.
            let start = if kind == 2 { 14_600 } else { 0 };
            let at = |days: i64| Timestamp::from_millis((start + days) * DAY_MILLIS);
            let fragments: Vec<Consents> = fragments.iter().map(|(words, year)| {
                let mut consents = Consents::default();
                for (status, day, version) in words {
                    consents.add(ConsentRecord {
                        purpose: Some(purpose.id),
                        status: *status,
                        expression: Expression::Explicit,
                        version: *version,
                        first_at: at(*day),
                        last_at: at(*day),
                        source: SourceName::parse("web").unwrap(),
                        how: None,
                        evidence: None,
                    });
                }
                if let Some(year) = year {
                    consents.born_on(Birthday::parse(&format!("{year}-01-05")).unwrap());
                }
                consents
            }).collect();
            let standing = Standing::of(purpose, Act::Use, &fragments, at(decided));
            if standing.stands_at(at(asked)) {
                let decision = decide(purpose, Act::Use, &fragments, at(asked));
                prop_assert_eq!(standing.is_permitted, decision.is_ok());
            }
            prop_assert!(standing.stands_at(at(decided)));
        }
    }
}
