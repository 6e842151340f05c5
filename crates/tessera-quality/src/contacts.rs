//! Whom messages reach, and who is kept for nothing.

use tessera_model::Timestamp;

use crate::Person;
use crate::report::ContactReport;

const DAY_MILLIS: i64 = 86_400_000;
/// After this time somebody who was not seen is stale.
pub(crate) const STALE_DAYS: i64 = 730;
/// After this time a device that was not seen is nobody's any more.
pub(crate) const DEVICE_DAYS: i64 = 365;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contacts {
    counts: ContactReport,
}

impl Contacts {
    pub(crate) fn add(&mut self, person: &Person<'_>, has: (bool, bool), now: Timestamp) {
        let (has_email, has_phone) = has;
        let days = now.millis_since(person.last_seen_at) / DAY_MILLIS;
        let counts = &mut self.counts;
        let count = |of: &mut u64, is: bool| *of += u64::from(is);
        count(&mut counts.people, true);
        count(&mut counts.with_email, has_email);
        count(&mut counts.with_phone, has_phone);
        count(&mut counts.reachable, (has_email || has_phone) && person.is_usable && !person.is_bounced);
        count(&mut counts.unsubscribed, person.is_unsubscribed);
        count(&mut counts.bounced, person.is_bounced);
        count(&mut counts.stale, person.is_known && days >= STALE_DAYS);
        count(&mut counts.stale_devices, !person.is_known && days >= DEVICE_DAYS);
        count(&mut counts.unpermitted, !person.is_usable);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        let (ours, theirs) = (&mut self.counts, &other.counts);
        ours.people += theirs.people;
        ours.with_email += theirs.with_email;
        ours.with_phone += theirs.with_phone;
        ours.reachable += theirs.reachable;
        ours.unsubscribed += theirs.unsubscribed;
        ours.bounced += theirs.bounced;
        ours.stale += theirs.stale;
        ours.stale_devices += theirs.stale_devices;
        ours.unpermitted += theirs.unpermitted;
    }

    pub(crate) fn report(&self) -> ContactReport {
        self.counts.clone()
    }
}
