//! Values and arithmetic.

use super::TextError;
use super::lexer::Token;
use super::parser::{Parser, Words};
use crate::{Aggregate, Arithmetic, Operand, Operator, Path, Rfm, Take};

type Parsed<T> = Result<T, TextError>;
type FromPath = fn(Path) -> Take;

/// What is taken of events at a path, and its words.
pub(super) const TAKES: [(Words, FromPath); 9] = [
    (&["sum"], Take::Sum),
    (&["average"], Take::Average),
    (&["min"], Take::Min),
    (&["max"], Take::Max),
    (&["distinct"], Take::Distinct),
    (&["unique", "list"], Take::UniqueList),
    (&["most", "frequent"], Take::MostFrequent),
    (&["first"], Take::First),
    (&["last"], Take::Last),
];

/// What is taken of events as they are.
pub(super) const TAKES_OF_EVENTS: [(Words, Take); 3] =
    [(&["count"], Take::Count), (&["first", "time"], Take::FirstAt), (&["last", "time"], Take::LastAt)];

impl Parser<'_> {
    /// `a + b * c`
    pub(super) fn operand(&mut self) -> Parsed<Operand> {
        let first = self.factor()?;
        self.operand_after(first)
    }

    /// The same, of which the first factor is known.
    pub(super) fn operand_after(&mut self, first: Operand) -> Parsed<Operand> {
        let mut left = self.product_after(first)?;
        loop {
            let operator = if self.eat_sign("+") {
                Operator::Add
            } else if self.eat_sign("-") {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            let first = self.factor()?;
            let right = self.product_after(first)?;
            left = Operand::Arithmetic(Box::new(Arithmetic { left, operator, right }));
        }
    }

    fn product_after(&mut self, mut left: Operand) -> Parsed<Operand> {
        loop {
            let operator = if self.eat_sign("*") {
                Operator::Multiply
            } else if self.eat_sign("/") {
                Operator::Divide
            } else {
                return Ok(left);
            };
            let right = self.factor()?;
            left = Operand::Arithmetic(Box::new(Arithmetic { left, operator, right }));
        }
    }

    /// One value.
    pub(super) fn factor(&mut self) -> Parsed<Operand> {
        if self.eat_sign("(") {
            let operand = self.nested(Self::operand)?;
            self.need_sign(")")?;
            return Ok(operand);
        }
        if let Some(operand) = self.computed()? {
            return Ok(operand);
        }
        if self.are_events() {
            let of = self.events()?;
            let window = self.window()?;
            return Ok(Operand::Aggregate(Box::new(Aggregate { take: Take::Count, of, window })));
        }
        if self.is_scalar() {
            return self.scalar().map(Operand::Literal);
        }
        if self.eat(&["account"]) {
            return self.path().map(Operand::Account);
        }
        if self.eat(&["preference"]) {
            let name = self.name("a preference's name")?;
            let path = Path::new(vec![format!("preferences.{name}").into()]);
            return path.map(Operand::Trait).map_err(|error| self.refused(error.to_string()));
        }
        if self.eat(&["trait"]) {
            return self.path().map(Operand::Trait);
        }
        match self.token(0) {
            Some(Token::Word(_) | Token::Name(_)) => self.path().map(Operand::Trait),
            _ => Err(self.expected(
                "a condition or a value, as in `plan = \"pro\"` or `performed \"Order Completed\"`",
            )),
        }
    }

    /// What begins with words of its own and `of`, or `whether (`.
    fn computed(&mut self) -> Parsed<Option<Operand>> {
        for (words, take) in TAKES_OF_EVENTS {
            if self.eat_of(words) {
                return self.aggregate(take).map(Some);
            }
        }
        for (words, take) in TAKES {
            if self.eat_of(words) {
                let path = self.path()?;
                self.need("of")?;
                return self.aggregate(take(path)).map(Some);
            }
        }
        if self.eat_of(&["age"]) {
            return self.path().map(Operand::Age).map(Some);
        }
        if self.eat_of(&["rfm"]) {
            return self.rfm().map(Some);
        }
        if self.is_word(0, "whether") && self.is_sign(1, "(") {
            self.skip(2);
            let condition = self.nested(Self::condition)?;
            self.need_sign(")")?;
            return Ok(Some(Operand::Whether(Box::new(condition))));
        }
        Ok(None)
    }

    /// Goes past these words if they and `of` stand here.
    pub(super) fn eat_of(&mut self, words: &[&str]) -> bool {
        let is_here = words.iter().enumerate().all(|(ahead, word)| self.is_word(ahead, word));
        let is_here = is_here && self.is_word(words.len(), "of");
        self.skip(if is_here { words.len() + 1 } else { 0 });
        is_here
    }

    fn aggregate(&mut self, take: Take) -> Parsed<Operand> {
        let of = self.events()?;
        let window = self.window()?;
        Ok(Operand::Aggregate(Box::new(Aggregate { take, of, window })))
    }

    /// `rfm of "Order Completed" by total recency (30 days) frequency (2) monetary (100)`
    fn rfm(&mut self) -> Parsed<Operand> {
        let of = self.events()?;
        let window = self.window()?;
        self.need("by")?;
        let amount = self.path()?;
        self.need("recency")?;
        let recency = self.list(Self::duration)?;
        self.need("frequency")?;
        let frequency = self.list(Self::whole_number)?;
        self.need("monetary")?;
        let monetary = self.list(Self::number)?;
        Ok(Operand::Rfm(Box::new(Rfm { of, amount, window, recency, frequency, monetary })))
    }
}
