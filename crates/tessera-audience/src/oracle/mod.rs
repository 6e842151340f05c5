//! A second, naive reading of the language: it walks a person's whole history for every question.
//!
//! Written from `docs/reference/audiences.md`, and from nothing else: it shares the tree of definitions with the
//! engine and no line of evaluation, so that where both agree, both are likely right. Not fast, and not
//! meant to be.

mod aggregate;
mod person;
mod sequence;
mod values;
mod when;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use tessera_model::{AudienceName, PurposeName, Timestamp};

pub use person::{Happened, Person, Subscribed};
use values::{Values, compare, follow, passes};
use when::Zone;

use crate::{
    Condition, ConsentState, ConsentTest, Definitions, Operand, Path, Sample, Scalar, SubscriptionTest,
    TimeZoneName,
};

/// One person, at one moment, under definitions.
#[derive(Clone, Copy, Debug)]
pub struct Oracle<'a> {
    definitions: &'a Definitions,
    person: &'a Person,
    /// What each purpose sees of the person; `None`: all see the same.
    sights: Option<&'a BTreeMap<PurposeName, Person>>,
    now: Timestamp,
}

/// Which definitions are being looked at: a circle, which is refused elsewhere, ends in "no".
type Within<'a> = &'a [&'a str];

impl<'a> Oracle<'a> {
    /// Asks about `person` as of `now`.
    #[must_use]
    pub const fn new(definitions: &'a Definitions, person: &'a Person, now: Timestamp) -> Self {
        Self { definitions, person, sights: None, now }
    }

    /// Asks about somebody of whom each purpose sees something else, for one of these purposes. A definition of another purpose that is
    /// spoken of sees what that one does. `None`: the purpose sees nothing of them, so they are no member of anything that serves it.
    #[must_use]
    pub fn for_purpose(
        definitions: &'a Definitions,
        sights: &'a BTreeMap<PurposeName, Person>,
        purpose: &PurposeName,
        now: Timestamp,
    ) -> Option<Self> {
        Some(Self { definitions, person: sights.get(purpose)?, sights: Some(sights), now })
    }

    /// The same, as another purpose sees the person.
    fn seen_for(&self, purpose: &PurposeName) -> Option<Self> {
        match self.sights {
            Some(sights) => Self::for_purpose(self.definitions, sights, purpose, self.now),
            None => Some(*self),
        }
    }

    /// Whether the person is a member. Nobody is a member of an audience that is not defined.
    #[must_use]
    pub fn is_member(&self, audience: &AudienceName) -> bool {
        self.member(audience, &[])
    }

    /// The values of a computed trait: none, one, or a list.
    #[must_use]
    pub fn computed(&self, name: &str) -> Vec<Scalar> {
        self.computed_within(name, &[]).scalars
    }

    /// Whether a condition holds, with days that begin in `zone`.
    #[must_use]
    pub fn holds(&self, condition: &Condition, zone: &TimeZoneName) -> bool {
        self.condition(condition, &Zone::new(zone, self.now), &[])
    }

    /// The values of an operand, with days that begin in `zone`.
    #[must_use]
    pub fn values(&self, operand: &Operand, zone: &TimeZoneName) -> Vec<Scalar> {
        self.operand(operand, &Zone::new(zone, self.now), &[]).scalars
    }

    fn member(&self, name: &AudienceName, within: Within<'_>) -> bool {
        let Some(audience) = self.definitions.audience(name) else { return false };
        let key = format!("audience {name}");
        if within.contains(&key.as_str()) {
            return false;
        }
        let within = [within, &[key.as_str()]].concat();
        let Some(seen) = self.seen_for(&audience.purpose) else { return false };
        seen.condition(&audience.when, &Zone::new(&audience.time_zone, self.now), &within)
    }

    fn computed_within(&self, name: &str, within: Within<'_>) -> Values {
        let Some(computed) = self.definitions.computed(name) else { return Values::default() };
        let key = format!("trait {name}");
        if within.contains(&key.as_str()) {
            return Values::default();
        }
        let within = [within, &[key.as_str()]].concat();
        let Some(seen) = self.seen_for(&computed.purpose) else { return Values::default() };
        seen.operand(&computed.value, &Zone::new(&computed.time_zone, self.now), &within)
    }

    fn condition(&self, condition: &Condition, zone: &Zone, within: Within<'_>) -> bool {
        match condition {
            Condition::All(parts) => parts.iter().all(|part| self.condition(part, zone, within)),
            Condition::Any(parts) => parts.iter().any(|part| self.condition(part, zone, within)),
            Condition::Not(part) => !self.condition(part, zone, within),
            Condition::Value(value) => passes(&self.operand(&value.of, zone, within), &value.test),
            Condition::Compare(both) => {
                let left = self.operand(&both.left, zone, within);
                let right = self.operand(&both.right, zone, within);
                compare(&left, both.comparator, &right)
            }
            Condition::Date(date) => {
                let values = self.operand(&date.of, zone, within);
                values.times().any(|at| zone.date_lies(at, date.is))
            }
            Condition::Anniversary(day) => {
                let values = self.traits(&day.of, within);
                values.dates().any(|date| zone.comes_again(date, day.within_days))
            }
            Condition::Sequence(sequence) => self.sequence(sequence, zone),
            Condition::Audience(name) => self.member(name, within),
            Condition::Consent(test) => self.consent(test),
            Condition::Subscription(test) => self.subscription(test),
            Condition::Sample(sample) => self.sampled(sample),
        }
    }

    fn operand(&self, operand: &Operand, zone: &Zone, within: Within<'_>) -> Values {
        match operand {
            Operand::Literal(scalar) => Values::of([scalar.clone()]),
            Operand::Trait(path) => self.traits(path, within),
            Operand::Account(path) => {
                let mut values = Values::default();
                for account in &self.person.accounts {
                    follow_trait(account, path, &mut values);
                }
                values
            }
            Operand::Aggregate(aggregate) => self.aggregate(aggregate, zone),
            Operand::Arithmetic(arithmetic) => {
                let left = self.operand(&arithmetic.left, zone, within);
                let right = self.operand(&arithmetic.right, zone, within);
                aggregate::calculate(&left, arithmetic.operator, &right)
            }
            Operand::Age(path) => {
                let ages =
                    self.traits(path, within).dates().filter_map(|date| zone.age(date)).collect::<Vec<_>>();
                Values::of(ages.into_iter().map(Scalar::Number))
            }
            Operand::Rfm(rfm) => self.rfm(rfm, zone),
            Operand::Whether(condition) => {
                Values::of([Scalar::Bool(self.condition(condition, zone, within))])
            }
        }
    }

    fn traits(&self, path: &Path, within: Within<'_>) -> Values {
        if self.definitions.computed(path.first()).is_some() {
            let is_whole = path.names().len() == 1;
            return if is_whole { self.computed_within(path.first(), within) } else { Values::default() };
        }
        let mut values = Values::default();
        follow_trait(&self.person.traits, path, &mut values);
        values
    }

    fn consent(&self, test: &ConsentTest) -> bool {
        let status = self.person.consents.get(&test.purpose).copied();
        match test.is {
            ConsentState::Valid => status.is_some_and(|status| status.is_valid()),
            ConsentState::Invalid => status.is_some_and(|status| !status.is_valid()),
            ConsentState::Unknown => status.is_none(),
            ConsentState::Status(asked) => status == Some(asked),
        }
    }

    fn subscription(&self, test: &SubscriptionTest) -> bool {
        let topic = test.topic.as_deref().unwrap_or_default();
        let mut found =
            self.person.subscriptions.iter().filter(|s| s.channel == test.channel && s.topic == topic);
        match test.is.state() {
            Some(asked) => found.any(|s| s.state == asked),
            None => found.next().is_none(),
        }
    }

    fn sampled(&self, sample: &Sample) -> bool {
        let digest = Sha256::digest(format!("{}\0{}", sample.seed, self.person.id));
        let first = digest.iter().take(8).fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        // A place of 1,000,000 is a percentage of 100, and a number of 100,000,000 millionths.
        let place = i128::from(first % 1_000_000) * 100;
        sample.from.micros() <= place && place < sample.to.micros()
    }
}

fn follow_trait(traits: &serde_json::Map<String, serde_json::Value>, path: &Path, values: &mut Values) {
    if let Some((first, rest)) = path.names().split_first()
        && let Some(value) = traits.get(first.as_str())
    {
        follow(value, rest, values);
    }
}

#[cfg(test)]
mod tests;
