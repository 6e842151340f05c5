//! The text form of conditions and operands: `orders in last 30 days >= 2 and not plan = "pro"`.
//!
//! Not a second language: it parses to the same tree as YAML and JSON. The grammar stands in
//! `docs/reference/audiences.md`. Invariants: every tree that passes [`check`](crate::check()) is printed as a text that
//! parses to the same tree; any text at all is parsed or refused, in linear time and bounded depth.

mod condition;
mod error;
mod events;
mod lexer;
mod operand;
mod parser;
mod printer;

pub use error::{TextError, nearest};
pub use lexer::TEXT_BYTES_MAX;
use parser::Parser;

use crate::{Condition, Operand};

impl Condition {
    /// Reads a condition from text.
    ///
    /// # Errors
    /// [`TextError`] says where the text goes wrong and what was expected there.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        Parser::whole(text, Parser::condition)
    }
}

impl Operand {
    /// Reads an operand from text: what the value of a computed trait is.
    ///
    /// # Errors
    /// [`TextError`] says where the text goes wrong and what was expected there.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        Parser::whole(text, Parser::operand)
    }
}

#[cfg(test)]
mod tests;
