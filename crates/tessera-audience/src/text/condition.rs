//! Conditions.

use tessera_model::{AudienceName, ConsentStatus, PurposeName};

use super::TextError;
use super::events::{FromScalar, one_or};
use super::lexer::Token;
use super::parser::{Parser, Words};
use crate::{
    Absence, Aggregate, Anniversary, Comparator, Compare, Condition, ConsentState, ConsentTest, DateRange,
    DateTest, Events, Number, Operand, Sample, Scalar, Sequence, Step, SubscribedState, SubscriptionTest,
    Take, Test, ValueTest,
};

type Parsed<T> = Result<T, TextError>;

pub(super) const SUBSCRIBED: [(&str, SubscribedState); 4] = [
    ("subscribed", SubscribedState::Subscribed),
    ("did_not_subscribe", SubscribedState::DidNotSubscribe),
    ("unsubscribed", SubscribedState::Unsubscribed),
    ("unknown", SubscribedState::Unknown),
];

impl Parser<'_> {
    /// `a or b and not c`
    pub(super) fn condition(&mut self) -> Parsed<Condition> {
        let mut any = vec![self.all()?];
        while self.eat(&["or"]) {
            any.push(self.all()?);
        }
        Ok(one_or(any, Condition::Any))
    }

    fn all(&mut self) -> Parsed<Condition> {
        let mut all = vec![self.nested(Self::part)?];
        while self.eat(&["and"]) {
            all.push(self.nested(Self::part)?);
        }
        Ok(one_or(all, Condition::All))
    }

    fn part(&mut self) -> Parsed<Condition> {
        if self.eat(&["not"]) {
            return Ok(Condition::Not(Box::new(self.nested(Self::part)?)));
        }
        for (word, build) in
            [("all", Condition::All as fn(Vec<Condition>) -> Condition), ("any", Condition::Any)]
        {
            if self.is_word(0, word) && self.is_sign(1, "(") {
                self.skip(1);
                return Ok(build(self.list(Self::condition)?));
            }
        }
        if self.is_sign(0, "(") && self.is_condition_in_parentheses() {
            self.skip(1);
            let condition = self.nested(Self::condition)?;
            self.need_sign(")")?;
            return Ok(condition);
        }
        if let Some(condition) = self.special()? {
            return Ok(condition);
        }
        let (operand, is_count) = if self.are_events() {
            let first = self.events()?;
            if self.is_word(0, "then") {
                return self.sequence(first);
            }
            let window = self.window()?;
            let count = Aggregate { take: Take::Count, of: first, window };
            let count = Operand::Aggregate(Box::new(count));
            let operand = self.operand_after(count.clone())?;
            let is_count = operand == count;
            (operand, is_count)
        } else {
            (self.operand()?, false)
        };
        self.tested(operand, is_count)
    }

    /// Behind a condition in parentheses stands nothing that goes on with a value.
    fn is_condition_in_parentheses(&self) -> bool {
        match self.token_behind_parenthesis() {
            None | Some(Token::Sign(")" | ",")) => true,
            Some(Token::Word(word)) => word == "and" || word == "or",
            Some(_) => false,
        }
    }

    /// A test of an operand. Events without a test: at least one.
    fn tested(&mut self, of: Operand, is_count: bool) -> Parsed<Condition> {
        if let Some(is) = self.date_range()? {
            return Ok(Condition::Date(DateTest { of, is }));
        }
        let signs = [
            ("=", Comparator::Equals),
            ("!=", Comparator::NotEquals),
            ("<=", Comparator::AtMost),
            (">=", Comparator::AtLeast),
            ("<", Comparator::Less),
            (">", Comparator::Greater),
        ];
        for (sign, comparator) in signs {
            if self.is_sign(0, sign) {
                return self.compared(of, comparator);
            }
        }
        match self.test()? {
            Some(test) => Ok(Condition::Value(ValueTest { of, test })),
            None if is_count => Ok(at_least(of, 1)),
            None => Err(self.expected(
                "a test: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in (...)`, `not in (...)`, `contains`, `starts with`, \
                 `ends with`, `matches`, `exists`, `is true`, `before`, `since`, `within`, `more than`",
            )
            .nearest(self.written(), ["contains", "starts", "ends", "matches", "exists", "before", "since", "within"])),
        }
    }

    fn compared(&mut self, left: Operand, comparator: Comparator) -> Parsed<Condition> {
        self.skip(1);
        // A literal alone is the value of a test; in parentheses, or with anything behind it, it is an operand.
        let is_literal = self.is_scalar() && !self.are_events();
        let right = self.operand()?;
        let Operand::Literal(scalar) = &right else {
            return Ok(Condition::Compare(Compare { left, comparator, right }));
        };
        if !is_literal {
            return Ok(Condition::Compare(Compare { left, comparator, right }));
        }
        let scalar = scalar.clone();
        let test = match comparator {
            Comparator::Equals => Test::Equals(scalar),
            Comparator::NotEquals => Test::NotEquals(scalar),
            Comparator::Less => Test::Less(scalar),
            Comparator::AtMost => Test::AtMost(scalar),
            Comparator::Greater => Test::Greater(scalar),
            Comparator::AtLeast => Test::AtLeast(scalar),
        };
        Ok(Condition::Value(ValueTest { of: left, test }))
    }

    /// How a date lies to now; `None` where no such words stand.
    fn date_range(&mut self) -> Parsed<Option<DateRange>> {
        if self.eat(&["is", "past"]) {
            return Ok(Some(DateRange::Past));
        }
        if self.eat(&["is", "future"]) {
            return Ok(Some(DateRange::Future));
        }
        if self.eat(&["more", "than"]) {
            let length = self.duration()?;
            let is_ago = self.choice("which way", &[("ago", true), ("ahead", false)])?;
            return Ok(Some(if is_ago { DateRange::Before(length) } else { DateRange::After(length) }));
        }
        if !self.eat(&["within"]) {
            return Ok(None);
        }
        let words = [("last", 0), ("next", 1), ("this", 2), ("previous", 3), ("following", 4)];
        Ok(Some(match self.choice("when", &words)? {
            0 => DateRange::Last(self.duration()?),
            1 => DateRange::Next(self.duration()?),
            2 => DateRange::This(self.calendar()?),
            3 => DateRange::Previous(self.units()?),
            _ => DateRange::Following(self.units()?),
        }))
    }

    /// Conditions that begin with words of their own.
    fn special(&mut self) -> Parsed<Option<Condition>> {
        if self.eat(&["performed"]) {
            return self.performed().map(Some);
        }
        if self.is_word(0, "any") && self.is_word(1, "event") && !self.are_events() {
            return Err(self.expected("`performed` before `any event`, or a window behind it"));
        }
        if self.eat_of(&["member"]) {
            let name = self.parsed_name("an audience's name", AudienceName::parse)?;
            return Ok(Some(Condition::Audience(name)));
        }
        if self.eat_of(&["anniversary"]) {
            return self.anniversary().map(Some);
        }
        if self.is_word(0, "sample") && matches!(self.token(1), Some(Token::Number(_))) {
            self.skip(1);
            return self.sample().map(Some);
        }
        if self.is_word(0, "consent") && self.is_name(1) && self.is_word(2, "is") {
            self.skip(1);
            return self.consent().map(Some);
        }
        let is_channel = self.is_name(1) || matches!(self.token(1), Some(Token::Text(_)));
        let goes_on = self.is_word(2, "is") || self.is_word(2, "topic");
        if self.is_word(0, "subscription") && is_channel && goes_on {
            self.skip(1);
            return self.subscription().map(Some);
        }
        Ok(None)
    }

    fn is_name(&self, ahead: usize) -> bool {
        matches!(self.token(ahead), Some(Token::Word(_) | Token::Name(_)))
    }

    /// `performed "Order Completed" where total > 50 at least 2 times in last 30 days`
    fn performed(&mut self) -> Parsed<Condition> {
        let of = self.events()?;
        if self.is_word(0, "then") {
            return self.sequence(of);
        }
        let mut times = self.times()?;
        let window = self.window()?;
        if times.is_none() {
            times = self.times()?;
        }
        let count = Operand::Aggregate(Box::new(Aggregate { take: Take::Count, of, window }));
        Ok(match times {
            Some(test) => Condition::Value(ValueTest { of: count, test }),
            None => at_least(count, 1),
        })
    }

    /// `at least 2 times`
    fn times(&mut self) -> Parsed<Option<Test>> {
        let forms: [(Words, FromScalar); 5] = [
            (&["at", "least"], Test::AtLeast),
            (&["at", "most"], Test::AtMost),
            (&["exactly"], Test::Equals),
            (&["more", "than"], Test::Greater),
            (&["fewer", "than"], Test::Less),
        ];
        for (words, build) in forms {
            if self.eat(words) {
                let count: u32 = self.whole_number()?;
                if !self.eat(&["times"]) {
                    self.need("time")?;
                }
                return Ok(Some(build(Scalar::Number(Number::from_integer(count.into())))));
            }
        }
        Ok(None)
    }

    /// `"A" then "B" within 1 day without "C" then no "D" within 1 hour overall within 1 week in last 30 days`
    fn sequence(&mut self, first: Events) -> Parsed<Condition> {
        let mut steps = vec![Step { event: first, within: None, without: Vec::new() }];
        let mut then_no = None;
        while self.eat(&["then"]) {
            if self.eat(&["no"]) {
                let events = self.several_events()?;
                self.need("within")?;
                then_no = Some(Absence { events, within: self.duration()? });
                break;
            }
            let event = self.events()?;
            let within = if self.eat(&["within"]) { Some(self.duration()?) } else { None };
            let without = if self.eat(&["without"]) { self.several_events()? } else { Vec::new() };
            steps.push(Step { event, within, without });
        }
        let within = if self.eat(&["overall", "within"]) { Some(self.duration()?) } else { None };
        let window = self.window()?;
        Ok(Condition::Sequence(Sequence { steps, within, then_no, window }))
    }

    /// `anniversary of born today`, `anniversary of born within 7 days`
    fn anniversary(&mut self) -> Parsed<Condition> {
        let of = self.path()?;
        if self.eat(&["today"]) {
            return Ok(Condition::Anniversary(Anniversary { of, within_days: 0 }));
        }
        self.need("within")?;
        let within_days = self.whole_number()?;
        if !self.eat(&["days"]) {
            self.need("day")?;
        }
        Ok(Condition::Anniversary(Anniversary { of, within_days }))
    }

    /// `sample 10% of "spring"`, `sample 10% to 50% of "spring"`
    fn sample(&mut self) -> Parsed<Condition> {
        let mut percents = (Number::default(), self.number()?);
        self.need_sign("%")?;
        if self.eat(&["to"]) {
            percents = (percents.1, self.number()?);
            self.need_sign("%")?;
        }
        self.need("of")?;
        let seed = self.text("what tells this sample from others")?;
        Ok(Condition::Sample(Sample { seed, from: percents.0, to: percents.1 }))
    }

    /// `consent marketing.email is valid`
    fn consent(&mut self) -> Parsed<Condition> {
        let purpose = self.parsed_name("a purpose's name", PurposeName::parse)?;
        self.need("is")?;
        let mut states = vec![
            ("valid", ConsentState::Valid),
            ("invalid", ConsentState::Invalid),
            ("unknown", ConsentState::Unknown),
        ];
        states.extend(ConsentStatus::ALL.map(|status| (status.as_str(), ConsentState::Status(status))));
        let is = self.choice("what was said", &states)?;
        Ok(Condition::Consent(ConsentTest { purpose, is }))
    }

    /// `subscription email topic "news" is subscribed`
    fn subscription(&mut self) -> Parsed<Condition> {
        let channel = match self.token(0) {
            Some(Token::Text(_)) => self.text("a channel")?,
            _ => self.name("a channel")?.into(),
        };
        let topic = if self.eat(&["topic"]) { Some(self.text("a topic")?) } else { None };
        self.need("is")?;
        let is = self.choice("a state", &SUBSCRIBED)?;
        Ok(Condition::Subscription(SubscriptionTest { channel, topic, is }))
    }
}

fn at_least(of: Operand, count: i64) -> Condition {
    let test = Test::AtLeast(Scalar::Number(Number::from_integer(count)));
    Condition::Value(ValueTest { of, test })
}
