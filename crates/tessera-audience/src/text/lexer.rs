//! Words, names, numbers, texts and signs.

use super::TextError;

/// Longest text of a definition in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// One piece of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Names with dots between them, some perhaps in backticks.
    Name(Vec<String>),
    /// One bare word: a keyword where the grammar has one, else a name.
    Word(String),
    /// A number, without its sign.
    Number(String),
    /// A date or time.
    Moment(String),
    /// A text in quotes.
    Text(String),
    /// A sign: `(`, `>=`, `%`.
    Sign(&'static str),
}

/// A piece and where it stands, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) token: Token,
    pub(super) from: usize,
    pub(super) to: usize,
}

const SIGNS: [&str; 14] = ["!=", "<=", ">=", "==", "=", "<", ">", "(", ")", ",", "+", "-", "*", "/"];

/// Cuts a text into pieces.
pub(super) fn cut(text: &str) -> Result<Vec<Piece>, TextError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(TextError::new(text, 0, format!("at most {TEXT_BYTES_MAX} bytes")));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut pieces = Vec::new();
    while let Some(piece) = lexer.next()? {
        pieces.push(piece);
    }
    Ok(pieces)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Option<Piece>, TextError> {
        self.take(char::is_whitespace);
        let from = self.at;
        let Some(first) = self.rest().chars().next() else { return Ok(None) };
        let token = match first {
            '"' => self.quoted()?,
            '`' => self.names()?,
            '%' => {
                self.at += 1;
                Token::Sign("%")
            }
            digit if digit.is_ascii_digit() => self.number(),
            letter if is_word_start(letter) => self.names()?,
            _ => self.sign()?,
        };
        Ok(Some(Piece { token, from, to: self.at }))
    }

    /// Takes characters as long as they are of a kind.
    fn take(&mut self, is: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|character| !is(character)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn sign(&mut self) -> Result<Token, TextError> {
        let sign = SIGNS.into_iter().find(|sign| self.rest().starts_with(sign));
        let sign = sign.ok_or_else(|| TextError::new(self.text, self.at, "a name, a value or a sign"))?;
        self.at += sign.len();
        Ok(Token::Sign(if sign == "==" { "=" } else { sign }))
    }

    /// A text in quotes, with the escapes of JSON.
    fn quoted(&mut self) -> Result<Token, TextError> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, character)| {
            let closes = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            closes
        });
        let Some((end, _)) = end else {
            return Err(TextError::new(self.text, self.at, "a closing `\"` to this one"));
        };
        let quoted = rest.get(..=end).unwrap_or_default();
        let text = serde_json::from_str(quoted).map_err(|_| {
            TextError::new(self.text, self.at, "a text with the escapes of JSON: `\\n`, `\\\"`, `\\\\`")
        })?;
        self.at += end + 1;
        Ok(Token::Text(text))
    }

    fn number(&mut self) -> Token {
        let rest = self.rest();
        let is_date = rest.len() > 5
            && rest.bytes().take(4).all(|byte| byte.is_ascii_digit())
            && rest.as_bytes().get(4) == Some(&b'-')
            && rest.as_bytes().get(5).is_some_and(u8::is_ascii_digit);
        if is_date {
            let moment = self.take(|c| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | '+' | 'T' | 'Z'));
            return Token::Moment(moment.to_owned());
        }
        let from = self.at;
        self.take(|c| c.is_ascii_digit());
        let digit_after = |rest: &str, skip: usize| rest.as_bytes().get(skip).is_some_and(u8::is_ascii_digit);
        if self.rest().starts_with('.') && digit_after(self.rest(), 1) {
            self.at += 1;
            self.take(|c| c.is_ascii_digit());
        }
        Token::Number(self.text.get(from..self.at).unwrap_or_default().to_owned())
    }

    /// `plan`, `address.city`, `` `first name`.x ``.
    fn names(&mut self) -> Result<Token, TextError> {
        let mut names = Vec::new();
        let mut bare = true;
        loop {
            if self.rest().starts_with('`') {
                bare = false;
                names.push(self.ticked()?);
            } else {
                names.push(self.word());
            }
            let mut after = self.rest().chars();
            if after.next() != Some('.') {
                break;
            }
            if !after.next().is_some_and(|next| next == '`' || is_word_start(next)) {
                return Err(TextError::new(self.text, self.at + 1, "a name after the dot"));
            }
            self.at += 1;
        }
        Ok(match <[String; 1]>::try_from(names) {
            Ok([word]) if bare => Token::Word(word),
            Ok(name) => Token::Name(name.into()),
            Err(names) => Token::Name(names),
        })
    }

    /// Letters, digits, `_`, and `-` between them.
    fn word(&mut self) -> String {
        let mut word = self.take(is_word_part).to_owned();
        while self.rest().starts_with('-') && self.rest().chars().nth(1).is_some_and(is_word_part) {
            self.at += 1;
            word.push('-');
            word.push_str(self.take(is_word_part));
        }
        word
    }

    /// A name in backticks, in which a backslash stands before a backtick or backslash.
    fn ticked(&mut self) -> Result<String, TextError> {
        let from = self.at;
        let mut name = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((place, character)) = characters.next() {
            match character {
                '`' if !name.is_empty() => {
                    self.at += place + 1;
                    return Ok(name);
                }
                '`' => return Err(TextError::new(self.text, from, "a name between the backticks")),
                '\\' => name.extend(characters.next().map(|(_, character)| character)),
                other => name.push(other),
            }
        }
        Err(TextError::new(self.text, from, "a closing backtick to this one"))
    }
}

fn is_word_start(character: char) -> bool {
    character.is_alphabetic() || character == '_'
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether a name can stand without backticks.
pub(super) fn is_bare(name: &str) -> bool {
    let mut lexer = Lexer { text: name, at: 0 };
    name.chars().next().is_some_and(is_word_start) && lexer.word() == name
}
