//! OData v4 query options: from the text after `?` to bound SQL for either store.
//!
//! [`query::Options::parse`] reads the query string, [`parse::filter`] a `$filter` on its own,
//! and [`compile::filter`] turns the tree into one SQL expression over a [`fields::Table`].
//! Invariants: a value a client sent is bound and never becomes SQL text; input is bounded in
//! length, depth and number of nodes before anything recurses over it; nothing is evaluated in
//! memory over rows. Which rows, pages and properties exist is the caller's business.

pub mod compile;
pub mod fields;
pub mod filter;
pub mod literal;
pub mod order;
pub mod parse;
pub mod query;
pub mod search;

mod calendar;
mod compare;
mod lex;
mod text;
mod url;

#[cfg(test)]
mod live;
#[cfg(test)]
mod sample;

use std::fmt;

/// A query option that cannot be answered; the message says what and where, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadQuery {
    /// The reason, safe to show: foreign text in it is shortened and escaped.
    pub message: String,
}

impl BadQuery {
    /// A refusal for this reason.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for BadQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BadQuery {}

/// Foreign text for a message: at most 64 characters, control and direction marks escaped.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars().take(64) {
        match character {
            '\'' | '"' => out.push(character),
            other => out.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(64).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_in_a_message_is_short_and_harmless() {
        let check = |text: &str, want: &str| assert_eq!(shown(text), want);
        check("O'Brien", "O'Brien");
        check("a\r\n\0\u{1b}[1m", r"a\r\n\0\u{1b}[1m");
        check(
            "\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{200b}",
            r"\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{200b}",
        );
        check(&"é".repeat(65), &format!("{}…", "é".repeat(64)));
    }
}
