//! Until when a decision stands if nobody says anything.

use tessera_model::{Birthday, Purpose, Timestamp};

use crate::Consents;
use crate::decision::DAY_MILLIS;

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

/// When a person is first so many years old, if not yet at `now`.
fn comes_of_age(day: Birthday, years: u8, now: Timestamp) -> Option<Timestamp> {
    let is_old_enough = |millis: i64| day.is_at_least(years, Timestamp::from_millis(millis));
    let (mut before, mut after) = (now.as_millis(), Timestamp::MAX.as_millis());
    if is_old_enough(before) || !is_old_enough(after) {
        return None;
    }
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if is_old_enough(middle) { after = middle } else { before = middle }
    }
    Some(Timestamp::from_millis(after))
}
