//! Words, literals and punctuation of a filter, each with the place where it begins.
//!
//! A word is only ever a word here: whether `not` or `eq` is an operator depends on where it
//! stands, which the parser knows, so a property may begin with, or be, any of them.

use super::literal::{Literal, Number, parse_duration, scan_moment};
use super::{BadQuery, shown};

/// Prefixes that make a quoted string a typed literal although they hold no dot.
const PLAIN_TYPES: [&str; 6] = ["duration", "guid", "datetime", "datetimeoffset", "binary", "date"];

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Open,
    Close,
    Comma,
    Slash,
    Colon,
    Minus,
    Word(String),
    Literal(Literal),
    End,
}

/// A token and the byte it begins at.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
}

/// All tokens of the text, the last one being `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, BadQuery> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let done = token.kind == Kind::End;
        tokens.push(token);
        if done {
            return Ok(tokens);
        }
    }
}

/// A refusal that counts characters from one, as a person would.
pub(super) fn refusal(text: &str, at: usize, reason: &str) -> BadQuery {
    let position = text.char_indices().take_while(|(byte, _)| *byte < at).count() + 1;
    BadQuery::new(format!("{reason} at position {position}"))
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn refuse<T>(&self, at: usize, reason: &str) -> Result<T, BadQuery> {
        Err(refusal(self.text, at, reason))
    }

    fn next(&mut self) -> Result<Token, BadQuery> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        let at = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(Token { kind: Kind::End, at });
        };
        let single = match first {
            '(' => Some(Kind::Open),
            ')' => Some(Kind::Close),
            ',' => Some(Kind::Comma),
            '/' => Some(Kind::Slash),
            ':' => Some(Kind::Colon),
            '-' => Some(Kind::Minus),
            _ => None,
        };
        let kind = if let Some(kind) = single {
            self.at += 1;
            kind
        } else if let Some(guid) = leading_guid(self.rest()) {
            self.at += guid.len();
            Kind::Literal(Literal::Guid(guid.to_ascii_lowercase()))
        } else if first == '\'' {
            Kind::Literal(Literal::Text(self.quoted()?))
        } else if first.is_ascii_digit() {
            self.number_or_moment()?
        } else if first.is_alphabetic() || first == '_' || first == '$' {
            self.word()?
        } else {
            let character = shown(&first.to_string());
            return self.refuse(at, &format!("unexpected character '{character}'"));
        };
        Ok(Token { kind, at })
    }

    /// A quoted string beginning here, in which a doubled quote stands for one.
    fn quoted(&mut self) -> Result<String, BadQuery> {
        let start = self.at;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, character)) = chars.next() {
            match character {
                '\'' if chars.next_if(|(_, next)| *next == '\'').is_some() => text.push('\''),
                '\'' => {
                    self.at = start + offset + 1;
                    return Ok(text);
                }
                // PostgreSQL cannot hold it, so no stored text can ever match.
                '\0' => return self.refuse(start + offset, "null character in a string"),
                other => text.push(other),
            }
        }
        self.refuse(start, "string without a closing quote")
    }

    fn number_or_moment(&mut self) -> Result<Kind, BadQuery> {
        let (start, rest) = (self.at, self.rest());
        let (literal, length) = match scan_moment(rest) {
            Err(reason) => return self.refuse(start, reason),
            Ok(Some(found)) => found,
            Ok(None) => {
                let length = number_length(rest.as_bytes());
                match rest.get(..length).and_then(Number::parse) {
                    Some(number) => (Literal::Number(number), length),
                    None => return self.refuse(start, "malformed number"),
                }
            }
        };
        self.at += length;
        // Two literals, or a literal and a word, never touch.
        if self
            .rest()
            .starts_with(|c: char| is_word(c) || matches!(c, '.' | '-' | ':' | '+' | '\''))
        {
            return self.refuse(start, "malformed number or date");
        }
        Ok(Kind::Literal(literal))
    }

    /// A name with dots inside, or a typed literal when a quote follows at once.
    fn word(&mut self) -> Result<Kind, BadQuery> {
        let (start, rest) = (self.at, self.rest());
        let mut length = 0;
        let mut chars = rest.char_indices().peekable();
        while let Some((offset, character)) = chars.next() {
            let dotted = character == '.' && chars.peek().is_some_and(|(_, next)| is_word(*next));
            let sigil = offset == 0 && character == '$';
            if !(is_word(character) || dotted || sigil) {
                break;
            }
            length = offset + character.len_utf8();
        }
        let word = rest.get(..length).unwrap_or_default();
        self.at += length;
        let plain_type = PLAIN_TYPES.iter().any(|name| name.eq_ignore_ascii_case(word));
        if !self.rest().starts_with('\'') || !(word.contains('.') || plain_type) {
            return Ok(Kind::Word(word.to_owned()));
        }
        let text = self.quoted()?;
        if word.eq_ignore_ascii_case("duration") {
            return match parse_duration(&text) {
                Some(micros) => Ok(Kind::Literal(Literal::Duration(micros))),
                None => self.refuse(start, "malformed duration"),
            };
        }
        Ok(Kind::Literal(Literal::Typed { type_name: word.to_owned(), text }))
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The 36 characters of a GUID, when the text begins with one and it ends there.
fn leading_guid(text: &str) -> Option<&str> {
    let guid = text.get(..36)?;
    let shape = guid.bytes().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    let ends = !text.get(36..)?.starts_with(|c: char| is_word(c) || c == '-');
    if shape && ends { Some(guid) } else { None }
}

fn number_length(bytes: &[u8]) -> usize {
    let digits_from = |at: usize| bytes.iter().skip(at).take_while(|c| c.is_ascii_digit()).count();
    let mut end = digits_from(0);
    if bytes.get(end) == Some(&b'.') {
        end += 1 + digits_from(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        end += 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end += digits_from(end);
    }
    end
}
