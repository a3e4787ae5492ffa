//! `$search`: words and phrases with AND, OR and NOT.
//!
//! Words side by side must all match. NOT binds tighter than AND, AND tighter than OR; the
//! operators are upper case, as the standard has it, so that "and" can be searched for.

use super::BadQuery;

const MAX_LENGTH: usize = 4 * 1024;
const MAX_TERMS: usize = 64;
const MAX_OPEN: usize = 16;

/// What a `$search` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Search {
    /// A word or a quoted phrase that must occur.
    Term(String),
    /// All must match.
    And(Vec<Search>),
    /// One must match.
    Or(Vec<Search>),
    /// It must not match.
    Not(Box<Search>),
}

#[derive(PartialEq)]
enum Token {
    Term(String),
    And,
    Or,
    Not,
    Open,
    Close,
}

impl Search {
    /// Parses the text of a `$search`; `None` when there is nothing to look for.
    ///
    /// # Errors
    /// When brackets or quotes do not match, an operator lacks an operand, or it is too long.
    pub fn parse(text: &str) -> Result<Option<Self>, BadQuery> {
        if text.len() > MAX_LENGTH {
            return Err(BadQuery::new(format!("search is longer than {MAX_LENGTH} bytes")));
        }
        let mut tokens = tokens(text)?;
        if tokens.is_empty() {
            return Ok(None);
        }
        tokens.reverse();
        let mut parser = Parser { tokens, open: 0 };
        let search = parser.alternatives()?;
        if parser.tokens.is_empty() {
            Ok(Some(search))
        } else {
            Err(BadQuery::new("search has an unmatched ')'"))
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, BadQuery> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        let token = match first {
            _ if first.is_whitespace() => continue,
            '(' => Token::Open,
            ')' => Token::Close,
            '"' => Token::Term(phrase(&mut chars)?),
            '\0' => return Err(BadQuery::new("null character in search")),
            _ => {
                let mut word = String::from(first);
                while let Some(next) =
                    chars.next_if(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"' | '\0'))
                {
                    word.push(next);
                }
                match word.as_str() {
                    "AND" => Token::And,
                    "OR" => Token::Or,
                    "NOT" => Token::Not,
                    _ => Token::Term(word),
                }
            }
        };
        // An empty phrase asks for nothing.
        if token != Token::Term(String::new()) {
            tokens.push(token);
        }
        if tokens.iter().filter(|token| matches!(token, Token::Term(_))).count() > MAX_TERMS
            || tokens.len() > 4 * MAX_TERMS
        {
            return Err(BadQuery::new(format!("search has more than {MAX_TERMS} terms")));
        }
    }
    Ok(tokens)
}

fn phrase(chars: &mut impl Iterator<Item = char>) -> Result<String, BadQuery> {
    let mut phrase = String::new();
    loop {
        match chars.next() {
            Some('"') => return Ok(phrase),
            Some('\0') => return Err(BadQuery::new("null character in search")),
            Some('\\') => phrase.extend(chars.next().filter(|c| *c != '\0')),
            Some(other) => phrase.push(other),
            None => return Err(BadQuery::new("search has a phrase without a closing quote")),
        }
    }
}

/// Takes tokens from the end of the reversed list.
struct Parser {
    tokens: Vec<Token>,
    open: usize,
}

impl Parser {
    fn alternatives(&mut self) -> Result<Search, BadQuery> {
        let mut all = vec![self.conjunction()?];
        while self.tokens.last() == Some(&Token::Or) {
            self.tokens.pop();
            all.push(self.conjunction()?);
        }
        Ok(one_or(all, Search::Or))
    }

    fn conjunction(&mut self) -> Result<Search, BadQuery> {
        let mut all = vec![self.term()?];
        loop {
            match self.tokens.last() {
                None | Some(Token::Or | Token::Close) => return Ok(one_or(all, Search::And)),
                Some(Token::And) => {
                    self.tokens.pop();
                }
                Some(_) => {}
            }
            all.push(self.term()?);
        }
    }

    fn term(&mut self) -> Result<Search, BadQuery> {
        if self.open >= MAX_OPEN {
            return Err(BadQuery::new("search is nested too deeply"));
        }
        self.open += 1;
        let term = match self.tokens.pop() {
            Some(Token::Term(term)) => Search::Term(term),
            Some(Token::Not) => Search::Not(Box::new(self.term()?)),
            Some(Token::Open) => {
                let inner = self.alternatives()?;
                if self.tokens.pop() != Some(Token::Close) {
                    return Err(BadQuery::new("search has an unmatched '('"));
                }
                inner
            }
            _ => return Err(BadQuery::new("search has an operator without a term")),
        };
        self.open -= 1;
        Ok(term)
    }
}

fn one_or(mut all: Vec<Search>, many: fn(Vec<Search>) -> Search) -> Search {
    match (all.len(), all.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            all.extend(last);
            many(all)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spell(search: &Search) -> String {
        let all = |all: &[Search]| all.iter().map(spell).collect::<Vec<_>>().join(" ");
        match search {
            Search::Term(term) => format!("<{term}>"),
            Search::And(parts) => format!("(& {})", all(parts)),
            Search::Or(parts) => format!("(| {})", all(parts)),
            Search::Not(part) => format!("!{}", spell(part)),
        }
    }

    #[test]
    fn a_search_is_words_phrases_and_operators() {
        let check = |text: &str, want: &str| {
            let got = match Search::parse(text) {
                Ok(search) => search.as_ref().map_or("nothing".to_owned(), spell),
                Err(bad) => bad.message,
            };
            assert_eq!(got, want, "{text}");
        };
        check("", "nothing");
        check("  \"\" ", "nothing");
        check("alder freight", "(& <alder> <freight>)");
        check("\"alder freight\" mimikatz", "(& <alder freight> <mimikatz>)");
        check("a OR b c AND NOT d", "(| <a> (& <b> <c> !<d>))");
        check("(a OR b) and", "(& (| <a> <b>) <and>)");
        check(r#""say \"hi\" \\""#, r#"<say "hi" \>"#);
        check("a AND", "search has an operator without a term");
        check("OR", "search has an operator without a term");
        check("a)", "search has an unmatched ')'");
        check("(a", "search has an unmatched '('");
        check("\"a", "search has a phrase without a closing quote");
        check("a\0b", "null character in search");
        check(&"NOT ".repeat(20), "search is nested too deeply");
        check(&"(".repeat(200), "search is nested too deeply");
        check(&"a ".repeat(65), "search has more than 64 terms");
        check(&"a".repeat(5000), "search is longer than 4096 bytes");
    }
}
