//! Till, CRM, call centre and newsletter: systems that know nothing of browsers, and people who mistype.

use super::dice::{Dice, Topic};
use super::event::{Body, Moment, Scribe, Source};
use super::json::Json;
use super::names::{CALLS, PRODUCTS};
use super::online::order;
use super::person::{Card, Household, Mail, Person, Phone};
use super::truth::PersonNumber;

/// Receipts at the till.
pub(super) fn till(seed: u64, week: u32, person: &Person, scribe: &mut Scribe) {
    let mut dice = Dice::new(seed, Topic::Till, person.number, week);
    // People get the card at their first purchase.
    let is_early = person.cards.iter().any(|card| week < card.from_week) && person.card(week).is_none();
    if dice.permille(person.till_permille) && !is_early {
        // Now and then the card is at home.
        let card = person.card(week).filter(|_| dice.permille(960));
        receipt(&mut dice, week, person.number, card, scribe);
    }
}

/// A receipt of somebody whom the shop sees this once and never again.
pub(super) fn passer_by(seed: u64, week: u32, number: PersonNumber, scribe: &mut Scribe) {
    receipt(&mut Dice::new(seed, Topic::Till, number, week), week, number, None, scribe);
}

fn receipt(dice: &mut Dice, week: u32, number: PersonNumber, card: Option<&Card>, scribe: &mut Scribe) {
    let Some(moment) = Moment::in_week(dice, Source::Till, number, week) else { return };
    let receipt = format!("R-{week:02}-{:04}-{:04}", dice.below(10_000), number % 10_000);
    let basket: Vec<_> =
        (0..dice.between(1, 4)).map(|_| (dice.pick(&PRODUCTS), dice.between(1, 2))).collect();
    let mut properties = order(&receipt, &basket);
    properties.push(("till", dice.between(1, 6).into()));
    let body = Body::track("Order Completed");
    let body = match card {
        Some(card) => {
            properties.push(("loyalty_card", card.number.as_str().into()));
            body.claim("loyalty_card", &card.number, number)
        }
        // Whoever pays without a card is known to nobody: the till makes an id for each receipt.
        None => {
            let id = dice.uuid();
            body.with("anonymousId", id.as_str()).claim("anonymous_id", &id, number)
        }
    };
    scribe.write(moment, body.with("properties", Json::Object(properties)));
}

/// Rows of the CRM's exports.
pub(super) fn crm(seed: u64, week: u32, home: &Household, person: &Person, scribe: &mut Scribe) {
    let Some(customer) = person.customer(week) else { return };
    let mut dice = Dice::new(seed, Topic::Crm, person.number, week);
    if customer.since_week == week || customer.update_weeks.contains(&week) {
        crm_row(&mut dice, week, home, person, &customer.id, scribe);
    }
    if let Some((_, second)) = customer.second.as_ref().filter(|(since_week, _)| *since_week == week) {
        crm_row(&mut dice, week, home, person, second, scribe);
    }
    // A lost card is replaced at the desk, so both cards stand under one customer number.
    if person.cards.iter().any(|card| card.from_week == week && week > customer.since_week) {
        crm_row(&mut dice, week, home, person, &customer.id, scribe);
    }
}

fn crm_row(dice: &mut Dice, week: u32, home: &Household, person: &Person, id: &str, scribe: &mut Scribe) {
    let Some(moment) = Moment::in_week(dice, Source::Crm, person.number, week) else { return };
    let mut body = Body::new("identify").with("userId", id).claim("user_id", id, person.number);
    let (typed, email, owner) = typed_email(dice, home, person);
    body = body.claim("email", &email, owner);
    let mut traits: Vec<(&'static str, Json)> = vec![
        ("first_name", typed_name(dice, person.first.0).into()),
        ("last_name", typed_name(dice, person.last.0).into()),
        ("email", typed.into()),
    ];
    // Some give the landline although they have a mobile.
    let own = person.mobile.as_ref().filter(|_| !dice.permille(120));
    if let Some(phone) = own.or(home.landline.as_ref()).or(person.mobile.as_ref()) {
        let (typed, value) = typed_phone(dice, phone);
        traits.push(("phone", typed.into()));
        body = body.claim("phone", &value, person.number);
    }
    if let Some(card) = person.card(week) {
        traits.push(("loyalty_card", card.number.as_str().into()));
        body = body.claim("loyalty_card", &card.number, person.number);
    }
    let address = Json::object([
        ("street", home.address.street.as_str().into()),
        ("postal_code", home.address.postal_code.into()),
        ("city", home.address.town.into()),
        ("country", home.address.country.into()),
    ]);
    traits.push(("address", address));
    scribe.write(moment, body.with("traits", Json::Object(traits)));
}

/// A name as somebody typed it: now and then two letters change places, or all are capitals.
fn typed_name(dice: &mut Dice, name: &str) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    if letters.len() > 3 && dice.permille(60) {
        let at = dice.between(1, u32::try_from(letters.len()).unwrap_or_default() - 3);
        let at = usize::try_from(at).unwrap_or_default();
        letters.swap(at, at + 1);
    }
    let name: String = letters.into_iter().collect();
    if dice.permille(40) { name.to_uppercase() } else { name }
}

/// An e-mail address as typed, its normalised form, and whose that address really is.
fn typed_email(dice: &mut Dice, home: &Household, person: &Person) -> (String, String, PersonNumber) {
    let own =
        person.other_email.as_deref().filter(|_| dice.permille(250)).unwrap_or(&person.email).to_owned();
    match dice.below(1000) {
        0..=699 => (own.clone(), own, person.number),
        700..=819 => (own.to_uppercase(), own, person.number),
        820..=919 => (format!("  {own} "), own, person.number),
        920..=969 => {
            // An address that nobody has, but that only this person ever gave.
            let wrong =
                own.replacen(".com", ".cmo", 1).replacen(".org", ".rog", 1).replacen(".net", ".nte", 1);
            (wrong.clone(), wrong, person.number)
        }
        970..=984 => match home.people.iter().find(|other| other.number != person.number) {
            // Somebody else's of the house, by mistake or because there is no other.
            Some(other) => (other.email.clone(), other.email.clone(), other.number),
            None => (own.clone(), own, person.number),
        },
        _ => {
            let mut first_upper = own.clone();
            if let Some(letter) = first_upper.get_mut(..1) {
                letter.make_ascii_uppercase();
            }
            (first_upper, own, person.number)
        }
    }
}

/// A telephone number as typed, and its normalised form.
fn typed_phone(dice: &mut Dice, phone: &Phone) -> (String, String) {
    let whole = &phone.international;
    let (head, tail) = whole.split_at_checked(whole.len().saturating_sub(4)).unwrap_or((whole, ""));
    let typed = match dice.below(100) {
        0..=44 => whole.clone(),
        45..=59 => format!("{head} {tail}"),
        60..=74 => format!("{head}-{tail}").replacen('+', "00", 1),
        75..=84 => format!("{head}/({tail})"),
        85..=94 => format!("{head}.{tail} "),
        // Without the country: the same telephone, but for a computer another number.
        _ => return (phone.national.clone(), phone.national.clone()),
    };
    (typed, whole.clone())
}

/// Notes of the call centre, kept under the number that rang.
pub(super) fn call_centre(seed: u64, week: u32, home: &Household, person: &Person, scribe: &mut Scribe) {
    let mut dice = Dice::new(seed, Topic::CallCentre, person.number, week);
    if !dice.permille(8) {
        return;
    }
    let own = person.mobile.as_ref().filter(|_| !dice.permille(150));
    let Some(phone) = own.or(home.landline.as_ref()).or(person.mobile.as_ref()) else { return };
    let Some(moment) = Moment::in_week(&mut dice, Source::CallCentre, person.number, week) else { return };
    let (reason, note) = dice.pick(&CALLS);
    let properties = Json::object([
        ("reason", reason.into()),
        ("note", note.into()),
        ("duration_seconds", dice.between(40, 900).into()),
        ("agent", format!("agent-{}", dice.between(1, 9)).into()),
    ]);
    let (typed, value) = typed_phone(&mut dice, phone);
    let mut body =
        Body::track("Call Logged").with("properties", properties).claim("phone", &value, person.number);
    // One system of the call centre names identifiers as such, the other writes the number down as a trait.
    let context = if dice.permille(700) {
        let mut ids = vec![external_id("phone", &value)];
        if let Some(card) = person.card(week).filter(|_| dice.permille(250)) {
            ids.push(external_id("loyalty_card", &card.number));
            body = body.claim("loyalty_card", &card.number, person.number);
        }
        Json::object([("externalIds", Json::List(ids))])
    } else {
        Json::object([("traits", Json::object([("phone", typed.into())]))])
    };
    scribe.truth.called.insert(person.number);
    scribe.write(moment, body.with("context", context));
}

fn external_id(namespace: &'static str, value: &str) -> Json {
    Json::object([
        ("id", value.into()),
        ("type", namespace.into()),
        ("collection", "users".into()),
        ("encoding", "none".into()),
    ])
}

/// What people said about mail, and what they did with it.
pub(super) fn newsletter(seed: u64, week: u32, person: &Person, scribe: &mut Scribe) {
    let (since, no_since) = match person.mail {
        Mail::NeverAsked => return,
        Mail::Given(since, until) => (since, until),
        Mail::Refused(since) => (since, Some(since)),
    };
    let mut dice = Dice::new(seed, Topic::Newsletter, person.number, week);
    let mut mail = |dice: &mut Dice, body: Body| {
        let Some(moment) = Moment::in_week(dice, Source::Newsletter, person.number, week) else { return };
        let traits = Json::object([("email", person.email.as_str().into())]);
        let context = Json::object([("traits", traits)]);
        scribe.write(moment, body.with("context", context).claim("email", &person.email, person.number));
    };
    if week == since || Some(week) == no_since {
        let status = match (person.mail, Some(week) == no_since) {
            (Mail::Refused(_), _) => "refused",
            (_, true) => "withdrawn",
            (_, false) => "given",
        };
        mail(
            &mut dice,
            Body::new("consent").with("consents", Json::object([("marketing.email", status.into())])),
        );
        return;
    }
    // The mailing tool forgets now and then that somebody said no.
    let permille = if no_since.is_some_and(|no_since| week > no_since) { 25 } else { 170 };
    if week > since && dice.permille(permille) {
        let campaign = Json::object([("campaign_name", format!("Letter of week {week}").into())]);
        mail(&mut dice, Body::track("Email Opened").with("properties", campaign.clone()));
        if dice.permille(300) {
            mail(&mut dice, Body::track("Email Link Clicked").with("properties", campaign));
        }
    }
}

/// A call that no server can take, of one of the kinds that happen.
pub(super) fn malformed(dice: &mut Dice, person: &Person) -> Body {
    let context = Json::object([("library", Json::object([("name", "analytics.js".into())]))]);
    let body = match dice.below(5) {
        0 => Body::new("track").with("anonymousId", "2f0b"),
        1 => Body::track("Product Viewed").with("anonymousId", "null"),
        2 => Body::new("purchase").with("anonymousId", "2f0b"),
        3 => Body::track("Product Added").with("userId", "C-".repeat(150)),
        _ => Body::new("page").with("anonymousId", "2f0b").with("originalTimestamp", "yesterday"),
    };
    body.with("properties", Json::object([("person", person.place.locale.into())])).with("context", context)
}
