//! The query string: which options a request gives, and the same string with some of them changed.
//!
//! Keys are read with or without `$` and in any case; the last of a repeated key counts; empty
//! pieces are skipped. Options the product does not know are kept for next links but otherwise
//! ignored, except `$apply` and `$compute`, whose absence from the answer would mislead.

use super::filter::Expr;
use super::search::Search;
use super::url::{decode, encode};
use super::{BadQuery, parse, shown};

/// Longest accepted query string, in bytes.
pub const MAX_LENGTH: usize = 64 * 1024;
const MAX_PIECES: usize = 256;
const MAX_ITEMS: usize = 256;
const MAX_SORT_KEYS: usize = 16;
const MAX_EXPAND_DEPTH: usize = 8;

const KNOWN: [&str; 11] = [
    "filter",
    "orderby",
    "top",
    "skip",
    "count",
    "select",
    "expand",
    "search",
    "skiptoken",
    "format",
    "deltatoken",
];

/// The query options of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `$filter`.
    pub filter: Option<Expr>,
    /// `$orderby`, in order of weight.
    pub orderby: Vec<(String, Direction)>,
    /// `$top`; a number beyond 64 bits is the greatest there is.
    pub top: Option<u64>,
    /// `$skip`; likewise.
    pub skip: Option<u64>,
    /// `$count=true`.
    pub count: bool,
    /// `$select`, without repetitions; empty when all properties are wanted.
    pub select: Vec<String>,
    /// `$expand`.
    pub expand: Vec<Expand>,
    /// `$search`.
    pub search: Option<Search>,
    /// `$skiptoken`, decoded.
    pub skiptoken: Option<String>,
    /// Every option as it came, decoded, known ones under their `$` name, each once.
    pieces: Vec<(String, String)>,
}

/// Which way a sort key runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    #[default]
    Ascending,
    /// Greatest first.
    Descending,
}

/// One navigation property to expand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expand {
    /// Its name.
    pub name: String,
    /// The text between its brackets, options separated by `;`; often empty.
    pub nested: String,
    depth: usize,
}

impl Expand {
    /// The options between the brackets.
    ///
    /// # Errors
    /// As [`Options::parse`]; also when expands are nested more than eight deep.
    pub fn options(&self) -> Result<Options, BadQuery> {
        if self.depth >= MAX_EXPAND_DEPTH {
            return Err(BadQuery::new("$expand is nested too deeply"));
        }
        let mut pieces = Vec::new();
        for piece in split_outside(&self.nested, ';')? {
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            pieces.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        Options::from_pieces(pieces, self.depth + 1)
    }
}

impl Options {
    /// Reads a raw query string, without its `?`.
    ///
    /// # Errors
    /// Broken percent coding, an option whose value cannot be read, or too long a string.
    pub fn parse(raw_query: &str) -> Result<Self, BadQuery> {
        if raw_query.len() > MAX_LENGTH {
            return Err(BadQuery::new(format!("query string is longer than {MAX_LENGTH} bytes")));
        }
        let mut pieces = Vec::new();
        for piece in raw_query.trim_start_matches('?').split('&').filter(|piece| !piece.is_empty())
        {
            if pieces.len() == MAX_PIECES {
                return Err(BadQuery::new(format!("more than {MAX_PIECES} query options")));
            }
            let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
            pieces.push((decode(key)?, decode(value)?));
        }
        Self::from_pieces(pieces, 0)
    }

    fn from_pieces(given: Vec<(String, String)>, depth: usize) -> Result<Self, BadQuery> {
        let mut options = Self::default();
        for (key, value) in given {
            let key = canonical(&key)?;
            if key.is_empty() {
                continue;
            }
            options.pieces.retain(|(earlier, _)| *earlier != key);
            options.pieces.push((key, value));
        }
        let pieces = std::mem::take(&mut options.pieces);
        for (key, value) in &pieces {
            let value = value.trim();
            if !value.is_empty() {
                options.set(key, value, depth)?;
            }
        }
        options.pieces = pieces;
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str, depth: usize) -> Result<(), BadQuery> {
        match key {
            "$filter" => self.filter = Some(parse::filter(value)?),
            "$orderby" => self.orderby = orderby(value)?,
            "$top" => self.top = Some(whole_number(key, value)?),
            "$skip" => self.skip = Some(whole_number(key, value)?),
            "$count" => {
                self.count = match value.to_ascii_lowercase().as_str() {
                    "true" => true,
                    "false" => false,
                    _ => return Err(BadQuery::new("$count is neither true nor false")),
                };
            }
            "$select" => self.select = select(value)?,
            "$expand" => self.expand = expand(value, depth)?,
            "$search" => self.search = Search::parse(value)?,
            "$skiptoken" => self.skiptoken = Some(value.to_owned()),
            "$format" => {
                let kind = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                if !matches!(kind.as_str(), "json" | "application/json") {
                    return Err(BadQuery::new(format!("format '{}' is not offered", shown(value))));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The query string of this request with some options set or, where `None`, taken away.
    ///
    /// Everything else is kept. Nothing but unreserved characters, `%` and the `$=&` of the
    /// syntax occurs in it, so it holds no `/`.
    #[must_use]
    pub fn rebuilt(&self, changes: &[(&str, Option<&str>)]) -> String {
        let replaced = |key: &str| changes.iter().any(|(name, _)| *name == key);
        let kept = self.pieces.iter().filter(|(key, _)| !replaced(key));
        let kept = kept.map(|(key, value)| (key.as_str(), value.as_str()));
        let set = changes.iter().filter_map(|(key, value)| value.map(|value| (*key, value)));
        let mut out = String::new();
        for (key, value) in kept.chain(set) {
            if !out.is_empty() {
                out.push('&');
            }
            encode(key, true, &mut out);
            out.push('=');
            encode(value, false, &mut out);
        }
        out
    }
}

/// A known option under its one name; any other key as it is.
fn canonical(key: &str) -> Result<String, BadQuery> {
    let key = key.trim();
    let bare = key.strip_prefix('$').unwrap_or(key).to_ascii_lowercase();
    if key.starts_with('$') && matches!(bare.as_str(), "apply" | "compute") {
        return Err(BadQuery::new(format!("${bare} is not supported")));
    }
    Ok(if KNOWN.contains(&bare.as_str()) { format!("${bare}") } else { key.to_owned() })
}

fn whole_number(key: &str, value: &str) -> Result<u64, BadQuery> {
    if value.bytes().all(|c| c.is_ascii_digit()) {
        // All digits, so it can only fail by being too great.
        Ok(value.parse().unwrap_or(u64::MAX))
    } else {
        Err(BadQuery::new(format!("{key} is not a whole number: '{}'", shown(value))))
    }
}

fn orderby(value: &str) -> Result<Vec<(String, Direction)>, BadQuery> {
    let mut keys = Vec::new();
    for item in value.split(',') {
        let mut words = item.split_whitespace();
        let (path, direction) = (words.next().unwrap_or_default(), words.next());
        let direction = match direction.map(str::to_ascii_lowercase).as_deref() {
            None | Some("asc") => Direction::Ascending,
            Some("desc") => Direction::Descending,
            Some(other) => {
                let other = shown(other);
                return Err(BadQuery::new(format!("$orderby has '{other}' for asc or desc")));
            }
        };
        if words.next().is_some() {
            return Err(BadQuery::new("$orderby has more than a property and a direction"));
        }
        keys.push((property("$orderby", path)?, direction));
    }
    if keys.len() > MAX_SORT_KEYS {
        return Err(BadQuery::new(format!("$orderby has more than {MAX_SORT_KEYS} keys")));
    }
    Ok(keys)
}

fn select(value: &str) -> Result<Vec<String>, BadQuery> {
    let mut names: Vec<String> = Vec::new();
    for item in value.split(',') {
        let name = property("$select", item.trim())?;
        if !names.contains(&name) {
            names.push(name);
        }
        if names.len() > MAX_ITEMS {
            return Err(BadQuery::new(format!("$select has more than {MAX_ITEMS} properties")));
        }
    }
    Ok(names)
}

fn expand(value: &str, depth: usize) -> Result<Vec<Expand>, BadQuery> {
    let mut all = Vec::new();
    for item in split_outside(value, ',')? {
        let item = item.trim();
        let (name, nested) = match item.split_once('(') {
            None => (item, ""),
            Some((name, rest)) => match rest.strip_suffix(')') {
                Some(nested) => (name.trim(), nested.trim()),
                None => return Err(BadQuery::new("$expand has text after a ')'")),
            },
        };
        let (name, nested) = (property("$expand", name)?, nested.to_owned());
        all.push(Expand { name, nested, depth });
        if all.len() > MAX_ITEMS {
            return Err(BadQuery::new(format!("$expand has more than {MAX_ITEMS} properties")));
        }
    }
    Ok(all)
}

/// A property path, or `*`.
fn property(option: &str, name: &str) -> Result<String, BadQuery> {
    let sound = |c: char| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '*' | '@' | '$');
    if !name.is_empty() && name.len() <= 256 && name.chars().all(sound) {
        Ok(name.to_owned())
    } else {
        Err(BadQuery::new(format!("{option} has no property named '{}'", shown(name))))
    }
}

/// Splits where the mark stands outside brackets and quotes.
fn split_outside(text: &str, mark: char) -> Result<Vec<&str>, BadQuery> {
    let mut parts = Vec::new();
    let (mut start, mut open, mut quoted) = (0, 0_usize, false);
    for (at, character) in text.char_indices() {
        match character {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => open += 1,
            ')' if open == 0 => return Err(BadQuery::new("$expand has an unmatched ')'")),
            ')' => open -= 1,
            _ if character == mark && open == 0 => {
                parts.extend(text.get(start..at));
                start = at + mark.len_utf8();
            }
            _ => {}
        }
    }
    if open > 0 || quoted {
        return Err(BadQuery::new("$expand has an unmatched '(' or quote"));
    }
    parts.extend(text.get(start..));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(raw: &str) -> String {
        match Options::parse(raw) {
            Err(bad) => format!("bad: {bad}"),
            Ok(options) => {
                let mut out = Vec::new();
                out.extend(options.filter.map(|tree| format!("filter {tree}")));
                out.extend(options.orderby.iter().map(|(path, way)| format!("by {path} {way:?}")));
                out.extend(options.top.map(|n| format!("top {n}")));
                out.extend(options.skip.map(|n| format!("skip {n}")));
                out.extend(options.count.then(|| "count".to_owned()));
                out.extend(options.select.iter().map(|name| format!("select {name}")));
                out.extend(
                    options.expand.iter().map(|e| format!("expand {} <{}>", e.name, e.nested)),
                );
                out.extend(options.search.map(|search| format!("search {search:?}")));
                out.extend(options.skiptoken.map(|token| format!("token {token}")));
                out.join("; ")
            }
        }
    }

    #[test]
    fn a_query_string_is_read_as_clients_write_it() {
        let check = |raw: &str, want: &str| assert_eq!(summary(raw), want, "{raw}");
        check("", "");
        check("?&&", "");
        check("&$top=5&&$skip=10&", "top 5; skip 10");
        check("%24top=5", "top 5");
        check("TOP=5&$Count=True", "top 5; count");
        check("$top=5&$top=7&top=9", "top 9");
        check("$filter=(&$filter=a+eq+1", "filter a eq 1");
        check("$top=", "");
        check("$top=-1", "bad: $top is not a whole number: '-1'");
        check("$top=1e3", "bad: $top is not a whole number: '1e3'");
        check("$skip=99999999999999999999", "skip 18446744073709551615");
        check("$count=1", "bad: $count is neither true nor false");
        check("$format=json", "");
        check("$format=application/json;odata.metadata=minimal", "");
        check("$format=xml", "bad: format 'xml' is not offered");
        check("$apply=x", "bad: $apply is not supported");
        check("$compute=x", "bad: $compute is not supported");
        check("apply=x&$deltatoken=x&$fancy=1&utm=2", "");
        check("filter=a+eq%20'x'", "filter a eq 'x'");
        check("$filter=a eq 'O''Brien %26 Co'", "filter a eq 'O''Brien & Co'");
        check("$filter=a eq 'C%2B%2B'", "filter a eq 'C++'");
        let moment = "filter a ge 2024-01-01T00:00:00.000000000000Z";
        check("$filter=a+ge+2024-01-01T00:00:00+00:00", moment);
        check("$filter=a ge 2024-01-01T01:00:00%2B01:00", moment);
        check("$filter=a%20ge%202024-01-01T00:00:00.0000000Z", moment);
        check("$filter=%zz", "bad: query string has a broken percent encoding");
        check("$filter=%2", "bad: query string has a broken percent encoding");
        check("$filter=%ff", "bad: query string is not valid UTF-8");
        check(
            "$orderby=lastUpdateDateTime+desc,a/b,c%20ASC",
            "by lastUpdateDateTime Descending; by a/b Ascending; by c Ascending",
        );
        check("$orderby=a up", "bad: $orderby has 'up' for asc or desc");
        check("$orderby=a,,b", "bad: $orderby has no property named ''");
        check("$orderby=a;drop", "bad: $orderby has no property named 'a;drop'");
        check("$select=id, status,id,a/b", "select id; select status; select a/b");
        check(
            "$expand=alerts($select=id,title;$top=5;$filter=a eq '),('),tasks",
            "expand alerts <$select=id,title;$top=5;$filter=a eq '),('>; expand tasks <>",
        );
        check("$expand=a(b", "bad: $expand has an unmatched '(' or quote");
        check("$expand=a)b", "bad: $expand has an unmatched ')'");
        check("$search=%22alder freight%22", "search Term(\"alder freight\")");
        check("$skiptoken=a%2Fb", "token a/b");
        check(&"a=1&".repeat(300), "bad: more than 256 query options");
        check(&"a".repeat(70_000), "bad: query string is longer than 65536 bytes");
    }

    #[test]
    fn options_within_an_expand_are_options() {
        let nested = |raw: &str| {
            let options = Options::parse(raw).ok()?;
            options.expand.first().map(Expand::options)
        };
        let got = nested("$expand=alerts($select=id;$top=2;expand=evidence($top=1))");
        let Some(Ok(options)) = got else { panic!("{got:?}") };
        assert_eq!((options.top, options.select), (Some(2), vec!["id".to_owned()]));
        assert_eq!(options.expand.first().map(|e| e.nested.as_str()), Some("$top=1"));
        let mut deep = Options::parse(&format!("{}a{}", "$expand=a(".repeat(12), ")".repeat(12)));
        for _ in 0..12 {
            deep = deep.and_then(|options| match options.expand.first() {
                Some(expand) => expand.options(),
                None => Ok(options),
            });
        }
        assert_eq!(deep, Err(BadQuery::new("$expand is nested too deeply")));
    }

    #[test]
    fn a_next_link_keeps_every_other_option() {
        let check = |raw: &str, changes: &[(&str, Option<&str>)], want: &str| {
            let Ok(options) = Options::parse(raw) else { panic!("{raw}") };
            let got = options.rebuilt(changes);
            assert_eq!(got, want, "{raw}");
            assert!(!got.contains('/'));
            assert!(Options::parse(&got).is_ok());
        };
        check(
            "$filter=a/b+eq+'x/y'&TOP=5&&top=7&x=%2F&$skip=3",
            &[("$skiptoken", Some("1/2+3")), ("$skip", None)],
            "$filter=a%2Fb%20eq%20%27x%2Fy%27&$top=7&x=%2F&$skiptoken=1%2F2%2B3",
        );
        check("", &[("$skip", Some("50"))], "$skip=50");
        check("$skip=10&%2Fa=%E2%82%AC", &[("$skip", Some("20"))], "%2Fa=%E2%82%AC&$skip=20");
    }

    #[test]
    fn no_soup_of_pieces_brings_the_reader_down() {
        let words = [
            "$filter=",
            "$expand=",
            "$orderby=",
            "$search=",
            "$select=",
            "$top=",
            "&",
            "=",
            "a",
            "(",
            ")",
            ",",
            ";",
            "'",
            "%",
            "%00",
            "%27",
            "%e2%82",
            "%ac",
            "+",
            "desc",
            "\"",
            "NOT",
            "?",
            "/",
        ];
        let mut dice = super::super::sample::Dice(3);
        for _ in 0..20_000 {
            let raw: Vec<&str> = (0..=dice.below(12)).map(|_| dice.pick(&words)).collect();
            if let Ok(options) = Options::parse(&raw.concat()) {
                let again = Options::parse(&options.rebuilt(&[]));
                assert_eq!(again.as_ref(), Ok(&options), "{raw:?}");
                for expand in &options.expand {
                    let _ = expand.options();
                }
            }
        }
    }
}
