//! The year, week by week. Pure: the same seed and number of people give the same bytes on every machine.

use super::dice::{Dice, Topic};
use super::event::{Made, Moment, Scribe, Source};
use super::person::{Customer, Household, Person, WEEKS, household};
use super::truth::{Claim, PersonNumber, Truth, Twice};
use super::{offline, online};

/// A shop's year in the making.
#[derive(Debug)]
pub(super) struct Year {
    seed: u64,
    people: u32,
    households: Vec<Household>,
    scribe: Scribe,
    next_week: u32,
    /// People who bought once, without a name: numbered after all others.
    passers_by: u32,
}

impl Year {
    pub(super) fn new(seed: u64, people: u32) -> Self {
        let (mut households, mut first) = (Vec::new(), 0);
        for number in 0.. {
            if first >= people {
                break;
            }
            let home = household(seed, number, first, people - first);
            first += u32::try_from(home.people.len()).unwrap_or(u32::MAX);
            households.push(home);
        }
        let mut scribe = Scribe::new(seed);
        households.iter().for_each(|home| tell(home, &mut scribe.truth));
        Self { seed, people, households, scribe, next_week: 0, passers_by: 0 }
    }

    pub(super) fn truth(&self) -> &Truth {
        &self.scribe.truth
    }

    /// The person of that number.
    pub(super) fn person(&self, number: PersonNumber) -> Option<&Person> {
        let at = self.households.partition_point(|home| home.people.iter().all(|one| one.number < number));
        self.households.get(at)?.people.iter().find(|one| one.number == number)
    }

    /// The next week's events, in the order in which they are sent: by source, then by time. `None` after the last.
    pub(super) fn week(&mut self) -> Option<Vec<Made>> {
        let week = self.next_week;
        if week >= WEEKS {
            return None;
        }
        self.next_week += 1;
        let (seed, scribe) = (self.seed, &mut self.scribe);
        for home in &self.households {
            for person in &home.people {
                offline::newsletter(seed, week, person, scribe);
                offline::crm(seed, week, home, person, scribe);
                online::week(seed, week, home, person, scribe);
                offline::till(seed, week, person, scribe);
                offline::call_centre(seed, week, home, person, scribe);
            }
        }
        for _ in 0..=self.people / 150 {
            let number = self.people.saturating_add(self.passers_by);
            offline::passer_by(seed, week, number, scribe);
            self.passers_by += 1;
        }
        self.have_mishaps(week);
        let mut written = std::mem::take(&mut self.scribe.written);
        // Stable: events of one moment stay as they were made, and a repeat comes after what it repeats.
        written.sort_by_key(|made| (made.source, made.at));
        Some(written)
    }

    /// Clients that send twice, and some that send nonsense.
    fn have_mishaps(&mut self, week: u32) {
        let mut dice = Dice::new(self.seed, Topic::Mishaps, 0, week);
        let mut repeated = Vec::new();
        for made in &self.scribe.written {
            let share = if matches!(made.source, Source::Web | Source::App) { 8 } else { 2 };
            if dice.permille(share) {
                repeated.push(made.clone());
            }
        }
        self.scribe.written.extend(repeated);
        for _ in 0..1 + self.people / 1000 {
            let number = dice.below(self.people);
            let body = self.person(number).map(|person| offline::malformed(&mut dice, person));
            let moment = Moment::in_week(&mut dice, Source::Web, number, week);
            if let (Some(body), Some(moment)) = (body, moment) {
                self.scribe.write_malformed(moment, body);
            }
        }
    }
}

/// What is shared within a household, and who is a customer twice.
fn tell(home: &Household, truth: &mut Truth) {
    let everybody: Vec<PersonNumber> = home.people.iter().map(|person| person.number).collect();
    let Some(first) = everybody.first() else { return };
    if let Some(tablet) = &home.tablet {
        truth.share(&Claim::new("anonymous_id", tablet, *first), &everybody);
    }
    if let Some(landline) = &home.landline {
        for value in [&landline.international, &landline.national] {
            truth.share(&Claim::new("phone", value, *first), &everybody);
        }
    }
    for Customer { id, second, .. } in home.people.iter().filter_map(|person| person.customer.as_ref()) {
        if let Some((_, second)) = second {
            truth.twice.push(Twice { first: id.clone(), second: second.clone() });
        }
    }
}
