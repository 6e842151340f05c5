//! The people: who they are, what they own, and how they shop. Drawn once, the same for the whole year.

use super::dice::{Dice, Topic};
use super::names::{Name, PLACES, Place};
use super::truth::PersonNumber;

/// Weeks that 2025 touches: 52 whole ones and a last day.
pub(super) const WEEKS: u32 = 53;

/// People under one roof.
#[derive(Debug)]
pub(super) struct Household {
    pub(super) people: Vec<Person>,
    /// The anonymous id of a tablet that everybody uses.
    pub(super) tablet: Option<String>,
    /// The landline.
    pub(super) landline: Option<Phone>,
    pub(super) address: Address,
}

#[derive(Debug)]
pub(super) struct Address {
    pub(super) street: String,
    pub(super) postal_code: &'static str,
    pub(super) town: &'static str,
    pub(super) country: &'static str,
}

/// A telephone number.
#[derive(Clone, Debug)]
pub(super) struct Phone {
    /// With the country's code: `+493055512345`.
    pub(super) international: String,
    /// As one dials it at home: `03055512345`.
    pub(super) national: String,
}

/// One person.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) number: PersonNumber,
    pub(super) place: &'static Place,
    pub(super) first: Name,
    pub(super) last: Name,
    pub(super) email: String,
    pub(super) other_email: Option<String>,
    pub(super) mobile: Option<Phone>,
    pub(super) customer: Option<Customer>,
    pub(super) cards: Vec<Card>,
    pub(super) devices: Vec<Device>,
    /// Sessions in the shop: three chances a week of so much in a thousand.
    pub(super) browsing_permille: u32,
    /// Receipts at the till: one chance a week of so much in a thousand.
    pub(super) till_permille: u32,
    pub(super) mail: Mail,
    /// The business account that they buy for.
    pub(super) account: Option<u32>,
}

/// Somebody whom the CRM knows.
#[derive(Debug)]
pub(super) struct Customer {
    /// The customer number, which is also the shop's user id.
    pub(super) id: String,
    pub(super) since_week: u32,
    /// Whether there is a password for web and app, and how often it is used, in a thousand sessions.
    pub(super) log_in_permille: Option<u32>,
    /// Registered once more by mistake.
    pub(super) second: Option<(u32, String)>,
    /// Weeks in which the CRM exports the row again.
    pub(super) update_weeks: Vec<u32>,
}

/// A loyalty card and the weeks in which it is used.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) number: String,
    pub(super) from_week: u32,
    pub(super) until_week: u32,
}

/// A browser or app, as an anonymous id knows it: a lost cookie makes it another.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) anonymous_id: String,
    pub(super) is_app: bool,
    pub(super) from_week: u32,
    pub(super) until_week: u32,
}

/// What a person said to the newsletter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mail {
    NeverAsked,
    /// Said yes in that week, and no again in another.
    Given(u32, Option<u32>),
    Refused(u32),
}

/// Makes household number `household`, whose first person is number `first`.
pub(super) fn household(seed: u64, household: u32, first: PersonNumber, people_max: u32) -> Household {
    let mut dice = Dice::new(seed, Topic::Household, household, 0);
    let size = match dice.below(100) {
        0..=37 => 1,
        38..=71 => 2,
        72..=84 => 3,
        _ => 4,
    };
    let size = size.min(people_max);
    let at = dice.below(u32::try_from(PLACES.len()).unwrap_or_default());
    let [fallback, ..] = &PLACES;
    let place = usize::try_from(at).ok().and_then(|at| PLACES.get(at)).unwrap_or(fallback);
    let (postal_code, town) = dice.pick(place.towns);
    let address = Address {
        street: format!("{} {}", dice.pick(place.streets), dice.between(1, 180)),
        postal_code,
        town,
        country: place.country,
    };
    let landline = dice.permille(450).then(|| phone(place, "55", household));
    let tablet = (size > 1 && dice.permille(400)).then(|| dice.uuid());
    let family_name = dice.pick(place.last);
    let people = (first..first + size).map(|number| person(seed, number, place, family_name)).collect();
    Household { people, tablet, landline, address }
}

fn phone(place: &Place, series: &str, number: u32) -> Phone {
    let subscriber = format!("{series}{number:07}");
    Phone {
        international: format!("+{}{subscriber}", place.calling_code),
        national: format!("{}{subscriber}", place.trunk),
    }
}

fn person(seed: u64, number: PersonNumber, place: &'static Place, family_name: Name) -> Person {
    let mut dice = Dice::new(seed, Topic::Person, number, 0);
    let first = dice.pick(place.first);
    let last = if dice.permille(800) { family_name } else { dice.pick(place.last) };
    let domain = dice.pick(&["example.com", "mail.example.org", "post.example.net"]);
    let email = match dice.below(3) {
        0 => format!("{}.{}{number}@{domain}", first.1, last.1),
        1 => format!("{}{number}@{domain}", first.1),
        _ => format!("{}_{}@{domain}", last.1, 1000 + number),
    };
    let other_email = dice.permille(120).then(|| format!("{}.{number}@office.example.com", last.1));
    let mobile = dice.permille(850).then(|| phone(place, "77", number));
    // Of 100 people 70 have a shop account, 18 are customers at the till only, 12 have no account at all.
    let kind = dice.below(100);
    let customer = (kind < 88).then(|| customer(&mut dice, number, kind < 70));
    let card_permille = if kind < 70 {
        550
    } else if kind < 88 {
        850
    } else {
        60
    };
    let cards =
        if dice.permille(card_permille) { cards(&mut dice, number, customer.as_ref()) } else { Vec::new() };
    let is_online = !(70..88).contains(&kind) || dice.permille(200);
    let browsing_permille = match dice.below(10) {
        _ if !is_online => 0,
        0..=4 => dice.between(50, 110),
        5..=8 => dice.between(110, 200),
        _ => dice.between(200, 360),
    };
    let till_permille = if cards.is_empty() { dice.between(0, 8) } else { dice.between(40, 260) };
    let mail = mail(&mut dice);
    Person {
        number,
        place,
        first,
        last,
        email,
        other_email,
        mobile,
        cards,
        devices: if is_online { devices(&mut dice) } else { Vec::new() },
        browsing_permille,
        till_permille,
        mail,
        account: (kind < 70 && dice.permille(150)).then_some(number / 40),
        customer,
    }
}

fn customer(dice: &mut Dice, number: PersonNumber, has_password: bool) -> Customer {
    let since_week = if dice.permille(700) { 0 } else { dice.below(WEEKS - 8) };
    let later = |dice: &mut Dice| dice.between(since_week + 1, WEEKS - 1);
    let mut update_weeks = Vec::new();
    for _ in 0..2 {
        if dice.permille(450) {
            update_weeks.push(later(dice));
        }
    }
    let second = dice.permille(30).then(|| (later(dice), format!("C-{}", 900_000 + number)));
    let log_in_permille = has_password.then(|| dice.between(350, 900));
    Customer { id: format!("C-{}", 100_000 + number), since_week, log_in_permille, second, update_weeks }
}

fn cards(dice: &mut Dice, number: PersonNumber, customer: Option<&Customer>) -> Vec<Card> {
    let from_week = customer.map_or(0, |customer| customer.since_week);
    let name = |series: u32| format!("29{series}{number:08}");
    let lost = dice.permille(90).then(|| dice.between(from_week + 1, WEEKS - 1));
    let first = Card { number: name(0), from_week, until_week: lost.unwrap_or(WEEKS) };
    let second = lost.map(|week| Card { number: name(1), from_week: week, until_week: WEEKS });
    [first].into_iter().chain(second).collect()
}

/// Two to four anonymous ids over the year.
fn devices(dice: &mut Dice) -> Vec<Device> {
    let (mut devices, mut browsers) = (Vec::new(), dice.pick(&[1, 1, 1, 2, 2, 2, 3]));
    if dice.permille(350) || browsers == 1 {
        devices.push(Device { anonymous_id: dice.uuid(), is_app: true, from_week: 0, until_week: WEEKS });
    } else if browsers == 2 && dice.permille(500) {
        browsers = 3;
    }
    for browser in 0..browsers {
        let (from_week, until_week) = (browser * WEEKS / browsers, (browser + 1) * WEEKS / browsers);
        devices.push(Device { anonymous_id: dice.uuid(), is_app: false, from_week, until_week });
    }
    devices
}

fn mail(dice: &mut Dice) -> Mail {
    let week = dice.below(WEEKS - 10);
    match dice.below(100) {
        0..=47 => Mail::Given(week, None),
        48..=55 => Mail::Given(week, Some(dice.between(week + 2, WEEKS - 1))),
        56..=66 => Mail::Refused(week),
        _ => Mail::NeverAsked,
    }
}

impl Person {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first.0, self.last.0)
    }

    /// The card in use in `week`.
    pub(super) fn card(&self, week: u32) -> Option<&Card> {
        self.cards.iter().find(|card| (card.from_week..card.until_week).contains(&week))
    }

    /// Whether the newsletter comes in `week`.
    pub(super) fn gets_mail(&self, week: u32) -> bool {
        match self.mail {
            Mail::Given(since, until) => week > since && until.is_none_or(|until| week < until),
            Mail::NeverAsked | Mail::Refused(_) => false,
        }
    }

    /// The customer record, once there is one.
    pub(super) fn customer(&self, week: u32) -> Option<&Customer> {
        self.customer.as_ref().filter(|customer| customer.since_week <= week)
    }
}
