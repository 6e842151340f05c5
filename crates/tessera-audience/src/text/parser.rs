//! Looking ahead, and the small parts that all others are made of.

use smol_str::SmolStr;

use super::TextError;
use super::lexer::{Piece, Token, cut};
use crate::{Calendar, Duration, Moment, Number, Path, Scalar, Unit, Units};

/// How deep a text may nest: parentheses, `not`s and what is in them.
pub(super) const DEPTH_MAX: usize = 100;

/// Words that are no names unless they stand in backticks.
pub(super) const RESERVED: [&str; 34] = [
    "account",
    "and",
    "at",
    "before",
    "by",
    "contains",
    "ends",
    "ever",
    "exists",
    "false",
    "from",
    "has",
    "in",
    "is",
    "matches",
    "more",
    "not",
    "of",
    "or",
    "overall",
    "performed",
    "preference",
    "since",
    "starts",
    "then",
    "today",
    "trait",
    "true",
    "until",
    "where",
    "with",
    "within",
    "without",
    "yesterday",
];

/// Reads the pieces of a text from left to right.
pub(super) struct Parser<'t> {
    text: &'t str,
    pieces: Vec<Piece>,
    at: usize,
    depth: usize,
    /// For each opening parenthesis its closing one.
    closing: Vec<Option<usize>>,
}

type Parsed<T> = Result<T, TextError>;
/// Words that stand one after the other.
pub(super) type Words = &'static [&'static str];

impl<'t> Parser<'t> {
    /// Reads the whole text by `read`.
    pub(super) fn whole<T>(text: &'t str, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let pieces = cut(text)?;
        let mut closing = vec![None; pieces.len()];
        let mut open = Vec::new();
        for (place, piece) in pieces.iter().enumerate() {
            if piece.token == Token::Sign("(") {
                open.push(place);
            } else if piece.token == Token::Sign(")")
                && let Some(opening) = open.pop().and_then(|opening: usize| closing.get_mut(opening))
            {
                *opening = Some(place);
            }
        }
        let mut parser = Self { text, pieces, at: 0, depth: 0, closing };
        let read = read(&mut parser)?;
        match parser.token(0) {
            None => Ok(read),
            Some(_) => Err(parser.expected("`and`, `or`, or the end")),
        }
    }

    /// The token so many ahead.
    pub(super) fn token(&self, ahead: usize) -> Option<&Token> {
        self.pieces.get(self.at + ahead).map(|piece| &piece.token)
    }

    /// The token behind the parenthesis that closes the one that stands here.
    pub(super) fn token_behind_parenthesis(&self) -> Option<&Token> {
        let closing = self.closing.get(self.at).copied().flatten()?;
        self.pieces.get(closing + 1).map(|piece| &piece.token)
    }

    pub(super) fn skip(&mut self, pieces: usize) {
        self.at += pieces;
    }

    /// Whether this bare word stands so many ahead.
    pub(super) fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.token(ahead), Some(Token::Word(found)) if found == word)
    }

    pub(super) fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.token(ahead), Some(Token::Sign(found)) if *found == sign)
    }

    /// Goes past these words if they stand here.
    pub(super) fn eat(&mut self, words: &[&str]) -> bool {
        let is_here = words.iter().enumerate().all(|(ahead, word)| self.is_word(ahead, word));
        self.at += if is_here { words.len() } else { 0 };
        is_here
    }

    pub(super) fn eat_sign(&mut self, sign: &str) -> bool {
        let is_here = self.is_sign(0, sign);
        self.at += usize::from(is_here);
        is_here
    }

    pub(super) fn need(&mut self, word: &str) -> Parsed<()> {
        if self.eat(&[word]) {
            Ok(())
        } else {
            Err(self.expected(format!("`{word}`")).nearest(self.written(), [word]))
        }
    }

    pub(super) fn need_sign(&mut self, sign: &str) -> Parsed<()> {
        if self.eat_sign(sign) { Ok(()) } else { Err(self.expected(format!("`{sign}`"))) }
    }

    /// The error that something else was expected here.
    pub(super) fn expected(&self, what: impl Into<String>) -> TextError {
        let end = || self.pieces.last().map_or(0, |piece| piece.to);
        let at = self.pieces.get(self.at).map_or_else(end, |piece| piece.from);
        TextError::new(self.text, at, what)
    }

    /// The same, of the piece before.
    pub(super) fn refused(&mut self, what: impl Into<String>) -> TextError {
        self.at = self.at.saturating_sub(1);
        self.expected(what)
    }

    /// The word that stands here, for hints.
    pub(super) fn written(&self) -> &str {
        match self.token(0) {
            Some(Token::Word(word)) => word,
            _ => "",
        }
    }

    /// One level deeper.
    pub(super) fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= DEPTH_MAX {
            return Err(self.expected(format!("at most {DEPTH_MAX} levels, and this is one more")));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// `(a, b, c)`
    pub(super) fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.need_sign("(")?;
        let mut list = vec![self.nested(&mut one)?];
        while self.eat_sign(",") {
            list.push(self.nested(&mut one)?);
        }
        if self.eat_sign(")") { Ok(list) } else { Err(self.expected("`,` or `)`")) }
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&mut self, what: &str, options: &[(&str, T)]) -> Parsed<T> {
        let found = options.iter().find(|(word, _)| self.is_word(0, word));
        if let Some((_, option)) = found {
            self.at += 1;
            return Ok(*option);
        }
        let words: Vec<&str> = options.iter().map(|(word, _)| *word).collect();
        Err(self.expected(format!("{what}: {}", words.join(", "))).nearest(self.written(), words))
    }

    /// A name, its parts joined by dots.
    pub(super) fn name(&mut self, what: &str) -> Parsed<String> {
        let name = match self.token(0) {
            Some(Token::Word(word)) if !RESERVED.contains(&word.as_str()) => word.clone(),
            Some(Token::Name(names)) => names.join("."),
            _ => return Err(self.expected(what)),
        };
        self.at += 1;
        Ok(name)
    }

    /// A name that something else can parse.
    pub(super) fn parsed_name<T, E: std::fmt::Display>(
        &mut self,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Parsed<T> {
        let name = self.name(what)?;
        parse(&name).map_err(|error| self.refused(format!("{what} ({error})")))
    }

    pub(super) fn path(&mut self) -> Parsed<Path> {
        let names: Vec<SmolStr> = match self.token(0) {
            Some(Token::Word(word)) if !RESERVED.contains(&word.as_str()) => vec![word.into()],
            Some(Token::Name(names)) => names.iter().map(SmolStr::from).collect(),
            _ => return Err(self.expected("a name, as in `plan` or `address.city`")),
        };
        self.at += 1;
        Path::new(names).map_err(|error| self.refused(error.to_string()))
    }

    pub(super) fn text(&mut self, what: &str) -> Parsed<SmolStr> {
        match self.token(0) {
            Some(Token::Text(text)) => {
                let text = text.into();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.expected(format!("{what} in quotes"))),
        }
    }

    pub(super) fn is_scalar(&self) -> bool {
        match self.token(0) {
            Some(Token::Text(_) | Token::Number(_)) => true,
            Some(Token::Sign(sign)) => *sign == "-" && matches!(self.token(1), Some(Token::Number(_))),
            Some(Token::Word(word)) => word == "true" || word == "false",
            Some(Token::Name(_) | Token::Moment(_)) | None => false,
        }
    }

    pub(super) fn scalar(&mut self) -> Parsed<Scalar> {
        if self.eat(&["true"]) {
            return Ok(Scalar::Bool(true));
        }
        if self.eat(&["false"]) {
            return Ok(Scalar::Bool(false));
        }
        match self.token(0) {
            Some(Token::Text(_)) => self.text("a text").map(Scalar::Text),
            Some(Token::Number(_) | Token::Sign("-")) => self.number().map(Scalar::Number),
            _ => Err(self.expected("a value: a text in quotes, a number, `true` or `false`")),
        }
    }

    pub(super) fn number(&mut self) -> Parsed<Number> {
        let sign = if self.eat_sign("-") { "-" } else { "" };
        let Some(Token::Number(digits)) = self.token(0) else { return Err(self.expected("a number")) };
        let number = Number::parse(&format!("{sign}{digits}"));
        let number = number.ok_or_else(|| self.expected("a number below 10^20, without zeros before it"))?;
        self.at += 1;
        Ok(number)
    }

    /// A whole number.
    pub(super) fn whole_number<T: std::str::FromStr>(&mut self) -> Parsed<T> {
        let number = match self.token(0) {
            Some(Token::Number(digits)) => digits.parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| self.expected("a whole number, and not too large a one"))?;
        self.at += 1;
        Ok(number)
    }

    pub(super) fn duration(&mut self) -> Parsed<Duration> {
        let count = self.whole_number()?;
        let unit = Unit::parse(self.written()).ok_or_else(|| {
            let units = Unit::ALL.map(Unit::as_str);
            self.expected(format!("a unit of time: {}", units.join(", "))).nearest(self.written(), units)
        })?;
        self.at += 1;
        Duration::new(count, unit).map_err(|error| self.refused(error.to_string()))
    }

    pub(super) fn moment(&mut self) -> Parsed<Moment> {
        let moment = match self.token(0) {
            Some(Token::Moment(moment)) => moment.parse().ok(),
            _ => None,
        };
        let moment = moment.ok_or_else(|| self.expected("a time: `2026-12-31` or `2026-12-31T00:00:00Z`"))?;
        self.at += 1;
        Ok(moment)
    }

    /// `month`
    pub(super) fn calendar(&mut self) -> Parsed<Calendar> {
        let one = [
            ("day", Calendar::Day),
            ("week", Calendar::Week),
            ("month", Calendar::Month),
            ("quarter", Calendar::Quarter),
            ("year", Calendar::Year),
        ];
        let written = self.written();
        let found = one.iter().find(|(word, _)| written == *word || written.strip_suffix('s') == Some(word));
        match found {
            Some((_, unit)) => {
                self.at += 1;
                Ok(*unit)
            }
            None => self.choice("a unit of the calendar", &one),
        }
    }

    /// `month`, `3 months`
    pub(super) fn units(&mut self) -> Parsed<Units> {
        let is_number = matches!(self.token(0), Some(Token::Number(_)));
        let count = if is_number { self.whole_number()? } else { 1 };
        Ok(Units { count, unit: self.calendar()? })
    }
}
