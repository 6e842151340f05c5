//! Events, their filters, and windows.

use smol_str::SmolStr;
use tessera_model::EventName;

use super::TextError;
use super::lexer::Token;
use super::parser::{Parser, RESERVED, Words};
use crate::{Between, Calendar, Events, Filter, Fixed, PropertyTest, Scalar, Test, Units, Window};

type Parsed<T> = Result<T, TextError>;
pub(super) type FromScalar = fn(Scalar) -> Test;
type FromText = fn(SmolStr) -> Test;

impl Parser<'_> {
    /// Whether events are meant here, and not a trait or a text: a window, `where` or `then` follows.
    pub(super) fn are_events(&self) -> bool {
        let name = match self.token(0) {
            Some(Token::Word(word)) if word == "any" && self.is_word(1, "event") => 2,
            Some(Token::Word(word)) if RESERVED.contains(&word.as_str()) => return false,
            Some(Token::Word(_) | Token::Name(_) | Token::Text(_)) => 1,
            Some(Token::Number(_) | Token::Moment(_) | Token::Sign(_)) | None => return false,
        };
        self.is_word(name, "where") || self.is_word(name, "then") || self.is_window(name)
    }

    fn is_window(&self, ahead: usize) -> bool {
        let begins = ["from", "until", "today", "yesterday", "ever"];
        begins.iter().any(|word| self.is_word(ahead, word))
            || self.is_word(ahead, "in") && !self.is_sign(ahead + 1, "(")
    }

    /// `"Order Completed" where total > 50`
    pub(super) fn events(&mut self) -> Parsed<Events> {
        let name = if self.eat(&["any", "event"]) {
            None
        } else if let Some(Token::Text(text)) = self.token(0) {
            let name = EventName::parse(text).map_err(|error| self.expected(error.to_string()))?;
            self.skip(1);
            Some(name)
        } else {
            Some(self.parsed_name("an event's name, or `any event`", EventName::parse)?)
        };
        let filter = if self.eat(&["where"]) { Some(self.nested(Self::filter_part)?) } else { None };
        Ok(Events { name, filter })
    }

    /// One kind of events, or several in parentheses.
    pub(super) fn several_events(&mut self) -> Parsed<Vec<Events>> {
        if self.is_sign(0, "(") { self.list(Self::events) } else { Ok(vec![self.events()?]) }
    }

    /// `a or b and c`
    fn filter(&mut self) -> Parsed<Filter> {
        let mut any = vec![self.filter_all()?];
        while self.eat(&["or"]) {
            any.push(self.filter_all()?);
        }
        Ok(one_or(any, Filter::Any))
    }

    fn filter_all(&mut self) -> Parsed<Filter> {
        let mut all = vec![self.nested(Self::filter_part)?];
        while self.eat(&["and"]) {
            all.push(self.nested(Self::filter_part)?);
        }
        Ok(one_or(all, Filter::All))
    }

    /// What may stand behind `where` without parentheses.
    fn filter_part(&mut self) -> Parsed<Filter> {
        if self.eat(&["not"]) {
            return Ok(Filter::Not(Box::new(self.nested(Self::filter_part)?)));
        }
        for (word, build) in [("all", Filter::All as fn(Vec<Filter>) -> Filter), ("any", Filter::Any)] {
            if self.is_word(0, word) && self.is_sign(1, "(") {
                self.skip(1);
                return Ok(build(self.list(Self::filter)?));
            }
        }
        if self.eat_sign("(") {
            let filter = self.nested(Self::filter)?;
            self.need_sign(")")?;
            return Ok(filter);
        }
        let path = self.path()?;
        match self.test()? {
            Some(test) => Ok(Filter::Property(PropertyTest { path, test })),
            None => Err(self.expected("a test of the property, as in `total > 50`")),
        }
    }

    /// A test against literals; `None` where none begins here.
    pub(super) fn test(&mut self) -> Parsed<Option<Test>> {
        let signs: [(&str, FromScalar); 6] = [
            ("=", Test::Equals),
            ("!=", Test::NotEquals),
            ("<=", Test::AtMost),
            (">=", Test::AtLeast),
            ("<", Test::Less),
            (">", Test::Greater),
        ];
        for (sign, build) in signs {
            if self.eat_sign(sign) {
                return self.scalar().map(build).map(Some);
            }
        }
        let words: [(Words, FromText); 3] = [
            (&["contains"], Test::Contains),
            (&["starts", "with"], Test::StartsWith),
            (&["ends", "with"], Test::EndsWith),
        ];
        for (words, build) in words {
            if self.eat(words) {
                return self.text("a text").map(build).map(Some);
            }
        }
        self.test_in_words()
    }

    fn test_in_words(&mut self) -> Parsed<Option<Test>> {
        let test = if self.is_word(0, "in") && self.is_sign(1, "(") {
            self.skip(1);
            Test::In(self.list(Self::scalar)?)
        } else if self.eat(&["not", "in"]) {
            Test::NotIn(self.list(Self::scalar)?)
        } else if self.eat(&["has"]) {
            Test::Equals(self.scalar()?)
        } else if self.eat(&["matches"]) {
            let pattern = self.text("a regular expression")?;
            Test::Matches(
                pattern.parse().map_err(|error: crate::NotAPattern| self.refused(error.to_string()))?,
            )
        } else if self.eat(&["before"]) {
            Test::Before(self.moment()?)
        } else if self.eat(&["since"]) {
            Test::Since(self.moment()?)
        } else if self.eat(&["exists"]) {
            Test::Exists
        } else if self.is_word(0, "is") && (self.is_word(1, "true") || self.is_word(1, "false")) {
            self.skip(1);
            Test::Equals(self.scalar()?)
        } else {
            return Ok(None);
        };
        Ok(Some(test))
    }

    /// A window; [`Window::Ever`] where none stands.
    pub(super) fn window(&mut self) -> Parsed<Window> {
        if self.eat(&["ever"]) {
            return Ok(Window::Ever);
        }
        if self.eat(&["today"]) {
            return Ok(Window::This(Calendar::Day));
        }
        if self.eat(&["yesterday"]) {
            return Ok(Window::Previous(Units { count: 1, unit: Calendar::Day }));
        }
        if self.eat(&["until"]) {
            return self.moment().map(Window::Until);
        }
        if self.eat(&["from"]) {
            return self.window_from();
        }
        if !self.is_window(0) {
            return Ok(Window::Ever);
        }
        self.skip(1);
        if self.eat(&["last"]) {
            return self.duration().map(Window::Last);
        }
        if self.eat(&["this"]) {
            return self.calendar().map(Window::This);
        }
        if self.eat(&["previous"]) {
            return self.units().map(Window::Previous);
        }
        let words = ["last", "this", "previous"];
        Err(self
            .expected(
                "a window: `in last 30 days`, `in this month`, `in previous 2 weeks`, or a list: `in (1, 2)`",
            )
            .nearest(self.written(), words))
    }

    /// `from 2026-01-01`, `from 2026-01-01 to 2026-02-01`, `from 60 days ago to 30 days ago`
    fn window_from(&mut self) -> Parsed<Window> {
        if !matches!(self.token(0), Some(Token::Number(_))) {
            let from = self.moment()?;
            if !self.eat(&["to"]) {
                return Ok(Window::Since(from));
            }
            return Ok(Window::Fixed(Fixed { from, to: self.moment()? }));
        }
        let oldest = self.duration()?;
        self.need("ago")?;
        self.need("to")?;
        let newest = self.duration()?;
        self.need("ago")?;
        Ok(Window::Between(Between { oldest, newest }))
    }
}

/// The only one, or what several make.
pub(super) fn one_or<T>(parts: Vec<T>, several: impl FnOnce(Vec<T>) -> T) -> T {
    match <[T; 1]>::try_from(parts) {
        Ok([one]) => one,
        Err(parts) => several(parts),
    }
}
