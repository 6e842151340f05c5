//! Web and app: sessions with pages, products, baskets, orders; some people log in, some do not.

use super::dice::{Dice, Topic};
use super::event::{Body, Moment, Scribe, Source};
use super::json::Json;
use super::names::PRODUCTS;
use super::person::{Household, Person};

type Product = (&'static str, &'static str, &'static str, u32);

/// One session.
struct Session<'a> {
    person: &'a Person,
    moment: Moment,
    anonymous_id: &'a str,
    is_app: bool,
    /// The customer number once the person has logged in.
    user_id: Option<&'a str>,
    context: Json,
}

/// Everything that `person` does online in `week`.
pub(super) fn week(seed: u64, week: u32, home: &Household, person: &Person, scribe: &mut Scribe) {
    let mut dice = Dice::new(seed, Topic::Browsing, person.number, week);
    for _ in 0..3 {
        if dice.permille(person.browsing_permille)
            && let Some(session) = start(&mut dice, week, home, person)
        {
            visit(&mut dice, week, session, scribe);
        }
    }
}

fn start<'a>(dice: &mut Dice, week: u32, home: &'a Household, person: &'a Person) -> Option<Session<'a>> {
    let tablet = home.tablet.as_deref().filter(|_| dice.permille(150));
    let own: Vec<(&str, bool)> = person
        .devices
        .iter()
        .filter(|device| (device.from_week..device.until_week).contains(&week))
        .map(|device| (device.anonymous_id.as_str(), device.is_app))
        .collect();
    let (anonymous_id, is_app) = tablet.map_or_else(|| dice.pick(&own), |tablet| (tablet, false));
    let source = if is_app { Source::App } else { Source::Web };
    let moment = Moment::in_week(dice, source, person.number, week)?;
    let library = if is_app { "analytics-kotlin" } else { "analytics.js" };
    let agent = if tablet.is_some() {
        "Mozilla/5.0 (Linux; Android 15; Tab) Chrome/131.0"
    } else if is_app {
        "TesseraShop/4.2 (Android 15)"
    } else {
        "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Firefox/133.0"
    };
    let context = Json::object([
        ("library", Json::object([("name", library.into()), ("version", "1.84.3".into())])),
        ("locale", person.place.locale.into()),
        ("userAgent", agent.into()),
    ]);
    let is_known = !anonymous_id.is_empty();
    is_known.then_some(Session { person, moment, anonymous_id, is_app, user_id: None, context })
}

fn visit(dice: &mut Dice, week: u32, mut session: Session<'_>, scribe: &mut Scribe) {
    // The letter's links carry the address of whoever got it.
    if session.person.gets_mail(week) && dice.permille(250) {
        session.leave_address(dice, scribe);
    }
    session.look(dice, scribe, "Home", "/");
    let customer = session.person.customer(week);
    let log_in_permille = customer.and_then(|customer| customer.log_in_permille);
    if let Some(customer) = customer
        && log_in_permille.is_some_and(|share| dice.permille(share))
    {
        session.log_in(dice, scribe, &customer.id);
    }
    let mut basket = Vec::new();
    for _ in 0..dice.between(1, 4) {
        let product = dice.pick(&PRODUCTS);
        if dice.permille(500) {
            session.look(dice, scribe, product.1, "/products");
        }
        session.track(dice, scribe, Body::track("Product Viewed").with("properties", line(product, 1)));
        if dice.permille(300) {
            let quantity = dice.between(1, 3);
            session.track(
                dice,
                scribe,
                Body::track("Product Added").with("properties", line(product, quantity)),
            );
            basket.push((product, quantity));
        }
    }
    let may_order = customer.is_none() || log_in_permille.is_some();
    if basket.is_empty() || !may_order || !dice.permille(550) {
        return;
    }
    let order = format!("W-{week:02}-{}-{}", session.person.number, dice.between(100, 999));
    let started = Body::track("Checkout Started").with("properties", properties(&order, &basket));
    session.track(dice, scribe, started);
    if !dice.permille(700) {
        return;
    }
    match customer {
        Some(_) if session.user_id.is_some() => {}
        Some(customer) if dice.permille(650) => session.log_in(dice, scribe, &customer.id),
        Some(_) | None => session.leave_address(dice, scribe),
    }
    let completed = Body::track("Order Completed").with("properties", properties(&order, &basket));
    session.track(dice, scribe, completed);
}

impl<'a> Session<'a> {
    fn look(&mut self, dice: &mut Dice, scribe: &mut Scribe, name: &str, path: &str) {
        let body = if self.is_app {
            Body::new("screen").with("name", name)
        } else {
            let url = format!("https://shop.example{path}");
            let properties = [("title", name.into()), ("path", path.into()), ("url", url.into())];
            Body::new("page").with("name", name).with("properties", Json::object(properties))
        };
        self.track(dice, scribe, body);
    }

    fn log_in(&mut self, dice: &mut Dice, scribe: &mut Scribe, user_id: &'a str) {
        self.user_id = Some(user_id);
        let person = self.person;
        let traits = Json::object([
            ("email", person.email.as_str().into()),
            ("first_name", person.first.0.into()),
            ("last_name", person.last.0.into()),
            ("locale", person.place.locale.into()),
        ]);
        let body = Body::new("identify").with("traits", traits).claim("email", &person.email, person.number);
        self.track(dice, scribe, body);
        if let Some(account) = person.account
            && dice.permille(400)
        {
            self.track(dice, scribe, group(account));
        }
    }

    /// An e-mail address and no customer number: an order as a guest, a link in a letter.
    fn leave_address(&mut self, dice: &mut Dice, scribe: &mut Scribe) {
        let person = self.person;
        let email = person.other_email.as_deref().filter(|_| dice.permille(300)).unwrap_or(&person.email);
        let traits = Json::object([("email", email.into()), ("name", person.name().into())]);
        self.track(
            dice,
            scribe,
            Body::new("identify").with("traits", traits).claim("email", email, person.number),
        );
    }

    fn track(&mut self, dice: &mut Dice, scribe: &mut Scribe, body: Body) {
        let mut body = body.with("anonymousId", self.anonymous_id).claim(
            "anonymous_id",
            self.anonymous_id,
            self.person.number,
        );
        if let Some(user_id) = self.user_id {
            body = body.with("userId", user_id).claim("user_id", user_id, self.person.number);
        }
        scribe.write(self.moment, body.with("context", self.context.clone()));
        self.moment.later(dice);
    }
}

fn group(account: u32) -> Body {
    let traits = Json::object([
        ("name", format!("Atelier {account:03} GmbH & Söhne").into()),
        ("employees", (3 + account * 7 % 90).into()),
        ("plan", if account.is_multiple_of(3) { "wholesale" } else { "business" }.into()),
    ]);
    Body::new("group").with("groupId", format!("B-{account:04}")).with("traits", traits)
}

fn line((id, name, category, cents): Product, quantity: u32) -> Json {
    Json::object([
        ("product_id", id.into()),
        ("name", name.into()),
        ("category", category.into()),
        ("price", Json::Cents(cents)),
        ("quantity", quantity.into()),
        ("currency", "EUR".into()),
    ])
}

/// The properties of an order, as the Segment e-commerce spec names them.
pub(super) fn order(id: &str, basket: &[(Product, u32)]) -> Vec<(&'static str, Json)> {
    let cents: u32 = basket.iter().map(|((.., cents), quantity)| cents * quantity).sum();
    let lines = basket.iter().map(|(product, quantity)| line(*product, *quantity)).collect();
    vec![
        ("order_id", id.into()),
        ("revenue", Json::Cents(cents)),
        ("currency", "EUR".into()),
        ("products", Json::List(lines)),
    ]
}

fn properties(id: &str, basket: &[(Product, u32)]) -> Json {
    Json::Object(order(id, basket))
}
