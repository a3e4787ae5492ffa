//! From the text of a `$filter` to its tree: precedence climbing over the tokens.
//!
//! Loosest first: `or`, `and`, `not`, `eq ne`, `gt ge lt le in has`, `add sub`, `mul div mod`,
//! unary minus. Keywords are read in any case, and only where an operator can stand, so that
//! `falsePositive`, `not1` or even a property called `eq` stay names.

use super::BadQuery;
use super::filter::{
    ArithmeticOp, CompareOp, Expr, Function, MAX_DEPTH, MAX_LENGTH, MAX_LIST, MAX_NODES, Path,
    Quantifier,
};
use super::lex::{Kind, Token, refusal, tokens};
use super::literal::{Literal, Number};
use super::shown;

/// Most brackets, signs and calls open at once. A tree's spelling opens at most two per level.
const MAX_OPEN: usize = 2 * MAX_DEPTH;

const OR: u8 = 1;
const AND: u8 = 2;
const EQUALITY: u8 = 4;
const RELATION: u8 = 5;
const SUM: u8 = 6;
const PRODUCT: u8 = 7;
const SIGN: u8 = 8;

/// Parses the text of a `$filter`.
///
/// # Errors
/// What is wrong and where, counting characters from one; also beyond the limits of
/// [`super::filter`].
pub fn filter(text: &str) -> Result<Expr, BadQuery> {
    if text.len() > MAX_LENGTH {
        return Err(BadQuery::new(format!("filter is longer than {MAX_LENGTH} bytes")));
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, next: 0, open: 0, nodes: 0 };
    let tree = parser.expression(OR)?;
    if *parser.peek() != Kind::End {
        return parser.refuse("expected an operator or the end");
    }
    Ok(tree.expr)
}

/// A tree and how deep it is.
struct Tree {
    expr: Expr,
    depth: usize,
}

enum Operator {
    Or,
    And,
    Compare(CompareOp),
    In,
    Arithmetic(ArithmeticOp),
}

impl Operator {
    fn strength(&self) -> u8 {
        match self {
            Self::Or => OR,
            Self::And => AND,
            Self::Compare(CompareOp::Eq | CompareOp::Ne) => EQUALITY,
            Self::Compare(_) | Self::In => RELATION,
            Self::Arithmetic(ArithmeticOp::Add | ArithmeticOp::Sub) => SUM,
            Self::Arithmetic(_) => PRODUCT,
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "or" => Self::Or,
            "and" => Self::And,
            "eq" => Self::Compare(CompareOp::Eq),
            "ne" => Self::Compare(CompareOp::Ne),
            "gt" => Self::Compare(CompareOp::Gt),
            "ge" => Self::Compare(CompareOp::Ge),
            "lt" => Self::Compare(CompareOp::Lt),
            "le" => Self::Compare(CompareOp::Le),
            "has" => Self::Compare(CompareOp::Has),
            "in" => Self::In,
            "add" => Self::Arithmetic(ArithmeticOp::Add),
            "sub" => Self::Arithmetic(ArithmeticOp::Sub),
            "mul" => Self::Arithmetic(ArithmeticOp::Mul),
            "div" => Self::Arithmetic(ArithmeticOp::Div),
            "mod" => Self::Arithmetic(ArithmeticOp::Mod),
            _ => return None,
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    open: usize,
    nodes: usize,
}

impl Parser<'_> {
    fn peek(&self) -> &Kind {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> &Kind {
        self.tokens.get(self.next + ahead).map_or(&Kind::End, |token| &token.kind)
    }

    fn take(&mut self, kind: &Kind) -> bool {
        let found = self.peek() == kind;
        self.next += usize::from(found);
        found
    }

    fn expect(&mut self, kind: &Kind, reason: &str) -> Result<(), BadQuery> {
        if self.take(kind) { Ok(()) } else { self.refuse(reason) }
    }

    fn refuse<T>(&self, reason: &str) -> Result<T, BadQuery> {
        let at = self.tokens.get(self.next).map_or(self.text.len(), |token| token.at);
        Err(refusal(self.text, at, reason))
    }

    /// One more node above children of this depth.
    fn node(&mut self, expr: Expr, below: usize) -> Result<Tree, BadQuery> {
        self.count_node()?;
        let depth = below + 1;
        if depth > MAX_DEPTH {
            return self.refuse("filter is nested too deeply");
        }
        Ok(Tree { expr, depth })
    }

    fn count_node(&mut self) -> Result<(), BadQuery> {
        self.nodes += 1;
        if self.nodes > MAX_NODES { self.refuse("filter has too many parts") } else { Ok(()) }
    }

    /// Runs `inner` one level further down.
    fn nested<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, BadQuery>,
    ) -> Result<T, BadQuery> {
        if self.open >= MAX_OPEN {
            return self.refuse("filter is nested too deeply");
        }
        self.open += 1;
        let result = inner(self);
        self.open -= 1;
        result
    }

    fn expression(&mut self, weakest: u8) -> Result<Tree, BadQuery> {
        let mut left = self.operand()?;
        loop {
            let operator = match self.peek() {
                Kind::Word(word) => Operator::from_word(word),
                _ => None,
            };
            let Some(operator) = operator.filter(|found| found.strength() >= weakest) else {
                return Ok(left);
            };
            self.next += 1;
            let tighter = operator.strength() + 1;
            left = match operator {
                Operator::Or => self.chain(left, "or", tighter, Expr::Or)?,
                Operator::And => self.chain(left, "and", tighter, Expr::And)?,
                Operator::In => self.membership(left)?,
                Operator::Compare(op) => {
                    let right = self.expression(tighter)?;
                    let below = left.depth.max(right.depth);
                    let (left, right) = (Box::new(left.expr), Box::new(right.expr));
                    self.node(Expr::Compare { op, left, right }, below)?
                }
                Operator::Arithmetic(op) => {
                    let right = self.expression(tighter)?;
                    let below = left.depth.max(right.depth);
                    let (left, right) = (Box::new(left.expr), Box::new(right.expr));
                    self.node(Expr::Arithmetic { op, left, right }, below)?
                }
            };
        }
    }

    /// The rest of `a or b or c`, flat, so that a long list of alternatives is not a deep tree.
    fn chain(
        &mut self,
        first: Tree,
        word: &str,
        tighter: u8,
        make: fn(Vec<Expr>) -> Expr,
    ) -> Result<Tree, BadQuery> {
        let mut below = first.depth;
        let mut all = vec![first.expr];
        loop {
            let next = self.expression(tighter)?;
            below = below.max(next.depth);
            all.push(next.expr);
            if !matches!(self.peek(), Kind::Word(next) if next.eq_ignore_ascii_case(word)) {
                return self.node(make(all), below);
            }
            self.next += 1;
        }
    }

    fn membership(&mut self, item: Tree) -> Result<Tree, BadQuery> {
        if let Kind::Word(_) = self.peek() {
            return self.member_of(item);
        }
        self.expect(&Kind::Open, "expected a list in brackets after 'in'")?;
        let mut list = Vec::new();
        if !self.take(&Kind::Close) {
            loop {
                if list.len() == MAX_LIST {
                    return self.refuse(&format!("list of more than {MAX_LIST} values"));
                }
                self.count_node()?;
                list.push(self.list_value()?);
                if self.take(&Kind::Close) {
                    break;
                }
                self.expect(&Kind::Comma, "expected ',' or ')' in a list")?;
            }
        }
        let below = item.depth;
        self.node(Expr::In { item: Box::new(item.expr), list }, below)
    }

    /// `'x' in tags` says `tags/any(item:item eq 'x')`.
    fn member_of(&mut self, item: Tree) -> Result<Tree, BadQuery> {
        let Expr::Literal(_) = item.expr else {
            return self.refuse("expected a list in brackets after 'in'");
        };
        let collection = self.path()?;
        let left = self.node(Expr::Path(Path(vec!["item".to_owned()])), 0)?;
        let (left, right) = (Box::new(left.expr), Box::new(item.expr));
        let test = self.node(Expr::Compare { op: CompareOp::Eq, left, right }, 1)?;
        let predicate = Some(("item".to_owned(), Box::new(test.expr)));
        self.node(Expr::Lambda { quantifier: Quantifier::Any, collection, predicate }, 2)
    }

    fn list_value(&mut self) -> Result<Literal, BadQuery> {
        let negative = self.take(&Kind::Minus);
        let value = match self.peek() {
            Kind::Literal(literal) => Some(literal.clone()),
            Kind::Word(word) => word_literal(word),
            _ => None,
        };
        let value = match (negative, value) {
            (false, value) => value,
            (true, Some(Literal::Number(number))) => Some(Literal::Number(number.negated())),
            (true, _) => None,
        };
        let Some(value) = value else { return self.refuse("expected a value in a list") };
        self.next += 1;
        Ok(value)
    }

    fn operand(&mut self) -> Result<Tree, BadQuery> {
        match self.peek() {
            Kind::Open => {
                self.next += 1;
                let inner = self.nested(|parser| parser.expression(OR))?;
                self.expect(&Kind::Close, "expected ')'")?;
                Ok(inner)
            }
            Kind::Minus => {
                self.next += 1;
                self.negation()
            }
            Kind::Literal(literal) => {
                let literal = literal.clone();
                self.next += 1;
                self.node(Expr::Literal(literal), 0)
            }
            Kind::Word(word) => {
                let word = word.clone();
                self.after_word(&word)
            }
            _ => self.refuse("expected a property, a value or '('"),
        }
    }

    fn negation(&mut self) -> Result<Tree, BadQuery> {
        if let Kind::Literal(Literal::Number(number)) = self.peek() {
            let number: Number = number.negated();
            self.next += 1;
            return self.node(Expr::Literal(Literal::Number(number)), 0);
        }
        let inner = self.nested(|parser| parser.expression(SIGN))?;
        let below = inner.depth;
        self.node(Expr::Negate(Box::new(inner.expr)), below)
    }

    fn after_word(&mut self, word: &str) -> Result<Tree, BadQuery> {
        let following = self.peek_at(1);
        if word.eq_ignore_ascii_case("not") && !matches!(following, Kind::Slash | Kind::End) {
            self.next += 1;
            let inner = self.nested(|parser| parser.expression(EQUALITY))?;
            let below = inner.depth;
            return self.node(Expr::Not(Box::new(inner.expr)), below);
        }
        if let Some(literal) = word_literal(word).filter(|_| *following != Kind::Slash) {
            self.next += 1;
            return self.node(Expr::Literal(literal), 0);
        }
        if *following == Kind::Open {
            return self.call(word);
        }
        self.path_or_lambda()
    }

    fn call(&mut self, word: &str) -> Result<Tree, BadQuery> {
        // The old spelling `substringof(part, whole)` is still in use.
        let reversed = word.eq_ignore_ascii_case("substringof");
        let name = if reversed { Function::Contains.word() } else { word };
        let known =
            Function::ALL.iter().find(|function| function.word().eq_ignore_ascii_case(name));
        let Some(function) = known.copied() else {
            return self.refuse(&format!("function '{}' is not supported", shown(word)));
        };
        self.next += 2;
        let (least, most) = function.arity();
        let mut args = Vec::new();
        let mut below = 0;
        if !self.take(&Kind::Close) {
            loop {
                let arg = self.nested(|parser| parser.expression(OR))?;
                below = below.max(arg.depth);
                args.push(arg.expr);
                if self.take(&Kind::Close) {
                    break;
                }
                self.expect(&Kind::Comma, "expected ',' or ')' after an argument")?;
            }
        }
        if !(least..=most).contains(&args.len()) {
            return self.refuse(&format!("wrong number of arguments for '{}'", function.word()));
        }
        if reversed {
            args.reverse();
        }
        self.node(Expr::Call { function, args }, below)
    }

    fn path(&mut self) -> Result<Path, BadQuery> {
        let mut segments = Vec::new();
        loop {
            let Kind::Word(word) = self.peek() else {
                return self.refuse("expected a property name");
            };
            segments.push(word.clone());
            self.next += 1;
            let lambda = matches!(self.peek_at(1), Kind::Word(word) if quantifier(word).is_some())
                && *self.peek_at(2) == Kind::Open;
            if lambda || !self.take(&Kind::Slash) {
                return Ok(Path(segments));
            }
        }
    }

    fn path_or_lambda(&mut self) -> Result<Tree, BadQuery> {
        let collection = self.path()?;
        if !self.take(&Kind::Slash) {
            return self.node(Expr::Path(collection), 0);
        }
        let quantifier = match self.peek() {
            Kind::Word(word) => quantifier(word),
            _ => None,
        };
        let Some(quantifier) = quantifier else { return self.refuse("expected 'any' or 'all'") };
        self.next += 2;
        if quantifier == Quantifier::Any && self.take(&Kind::Close) {
            return self.node(Expr::Lambda { quantifier, collection, predicate: None }, 0);
        }
        let Kind::Word(variable) = self.peek() else {
            return self.refuse("expected a range variable");
        };
        let variable = variable.clone();
        self.next += 1;
        self.expect(&Kind::Colon, "expected ':' after the range variable")?;
        let inner = self.nested(|parser| parser.expression(OR))?;
        self.expect(&Kind::Close, "expected ')'")?;
        let predicate = Some((variable, Box::new(inner.expr)));
        self.node(Expr::Lambda { quantifier, collection, predicate }, inner.depth)
    }
}

fn quantifier(word: &str) -> Option<Quantifier> {
    match word.to_ascii_lowercase().as_str() {
        "any" => Some(Quantifier::Any),
        "all" => Some(Quantifier::All),
        _ => None,
    }
}

fn word_literal(word: &str) -> Option<Literal> {
    match word.to_ascii_lowercase().as_str() {
        "null" => Some(Literal::Null),
        "true" => Some(Literal::Bool(true)),
        "false" => Some(Literal::Bool(false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::Dice;
    use super::*;

    /// The tree with every operator in brackets, before its operands.
    fn shape(expr: &Expr) -> String {
        let all = |parts: &[Expr]| parts.iter().map(shape).collect::<Vec<_>>().join(" ");
        match expr {
            Expr::Or(parts) => format!("(or {})", all(parts)),
            Expr::And(parts) => format!("(and {})", all(parts)),
            Expr::Not(inner) => format!("(not {})", shape(inner)),
            Expr::Negate(inner) => format!("(- {})", shape(inner)),
            Expr::Compare { op, left, right } => {
                format!("({op:?} {} {})", shape(left), shape(right)).to_lowercase()
            }
            Expr::Arithmetic { op, left, right } => {
                format!("({op:?} {} {})", shape(left), shape(right)).to_lowercase()
            }
            Expr::In { item, list } => {
                let list: Vec<String> = list.iter().map(ToString::to_string).collect();
                format!("(in {} {})", shape(item), list.join(" "))
            }
            Expr::Call { function, args } => format!("({} {})", function.word(), all(args)),
            Expr::Lambda { quantifier, collection, predicate } => match predicate {
                Some((variable, inner)) => {
                    format!("({quantifier:?} {collection} {variable} {})", shape(inner))
                }
                None => format!("({quantifier:?} {collection})"),
            },
            Expr::Path(path) => path.to_string(),
            Expr::Literal(literal) => literal.to_string(),
        }
    }

    #[test]
    fn precedence_and_quirks_of_the_grammar() {
        let check = |text: &str, want: &str| {
            let got = match filter(text) {
                Ok(tree) => {
                    assert_eq!(
                        filter(&tree.to_string()),
                        Ok(tree.clone()),
                        "spelled again: {tree}"
                    );
                    shape(&tree)
                }
                Err(bad) => bad.message,
            };
            assert_eq!(got, want, "{}", shown(text));
        };
        check("a and b or c", "(or (and a b) c)");
        check("a or b and c", "(or a (and b c))");
        check("a and (b or c)", "(and a (or b c))");
        check("a and (b and c)", "(and a (and b c))");
        check("a or b or c or d", "(or a b c d)");
        check("not a and b", "(and (not a) b)");
        check("not a eq 1 and b", "(and (not (eq a 1)) b)");
        check("not(a) or not not b", "(or (not a) (not (not b)))");
        check("a eq 1 add 2 mul 3", "(eq a (add 1 (mul 2 3)))");
        check("a sub b sub c eq 0", "(eq (sub (sub a b) c) 0)");
        check("a gt 1 eq true", "(eq (gt a 1) true)");
        check("-a add -1 lt - 2", "(lt (add (- a) -1) -2)");
        check("-(1) eq --1", "(eq (- 1) (- -1))");
        check("A EQ 1 AND Not B", "(and (eq a 1) (not B))");
        check("falsePositive eq false", "(eq falsepositive false)");
        check("nullable and trueish and not1", "(and nullable trueish not1)");
        check("a eq b", "(eq a b)");
        check("eq eq in", "(eq eq in)");
        check("and and or", "(and and or)");
        check("contains", "contains");
        check("name eq'O''Brien'and b", "(and (eq name 'o''brien') b)");
        check("(a)and(b)", "(and a b)");
        check("assignedTo/name ne null", "(ne assignedto/name null)");
        check("x in ('a', -1,null,true ,2024-01-01)", "(in x 'a' -1 null true 2024-01-01)");
        check("x in ()", "(in x )");
        check("'a' in tags", "(Any tags item (eq item 'a'))");
        check("tags/any()", "(Any tags)");
        check("tags/any(t:t eq 'x' or t eq 'y')", "(Any tags t (or (eq t 'x') (eq t 'y')))");
        check("a/b/All(e: e/c/d eq 1) and z", "(and (All a/b e (eq e/c/d 1)) z)");
        check("any eq all", "(eq any all)");
        check("a/any/b eq 1", "(eq a/any/b 1)");
        check("tags/$count gt 0", "(gt tags/$count 0)");
        check("contains(tolower(a),'X')", "(contains (tolower a) 'X')");
        check("CONTAINS (a , 'x')", "(contains a 'x')");
        check("substringof('x',a)", "(contains a 'x')");
        check("a lt now() sub duration'P1D'", "(lt a (sub (now ) duration'pt86400.000000s'))");
        check(
            "status eq microsoft.graph.security.incidentStatus'active'",
            "(eq status microsoft.graph.security.incidentstatus'active')",
        );
        check(
            "id eq 01234567-89AB-cdef-0123-456789abcdef",
            "(eq id 01234567-89ab-cdef-0123-456789abcdef)",
        );
        check("id eq abcdef01-89AB-cdef-0123-456789abcdef or b", {
            "(or (eq id abcdef01-89ab-cdef-0123-456789abcdef) b)"
        });
        check("a\tge\n2024-01-01T00:00:00 00:00", "(ge a 2024-01-01t00:00:00.000000000000z)");
        check("a eq '\u{202e}ñ\u{1f600}'", "(eq a '\u{202e}ñ\u{1f600}')");
        check("a eq '''; DROP TABLE x; --'", "(eq a '''; drop table x; --')");

        check("", "expected a property, a value or '(' at position 1");
        check("a eq", "expected a property, a value or '(' at position 5");
        check("a eq 1)", "expected an operator or the end at position 7");
        check("(a eq 1", "expected ')' at position 8");
        check("a b", "expected an operator or the end at position 3");
        check("a eq 'x", "string without a closing quote at position 6");
        check("'", "string without a closing quote at position 1");
        check("a eq 'x\0'", "null character in a string at position 8");
        check("é eq ?", "unexpected character '?' at position 6");
        check("a\0b", "unexpected character '\\0' at position 2");
        check("a \u{202e} b", "unexpected character '\\u{202e}' at position 3");
        check("a = 1; --", "unexpected character '=' at position 3");
        check("a eq 1x", "malformed number or date at position 6");
        check("a eq 1.2.3", "malformed number or date at position 6");
        check("a eq 1.", "malformed number at position 6");
        check("a eq 2024-02-30", "no such date at position 6");
        check("a eq 2024-01-01T99:00Z", "no such date or time of day at position 6");
        check("a eq duration'x'", "malformed duration at position 6");
        check("launch(a)", "function 'launch' is not supported at position 1");
        check("contains(a)", "wrong number of arguments for 'contains' at position 12");
        check("tags/any(t eq 'x')", "expected ':' after the range variable at position 12");
        check("tags/all()", "expected a range variable at position 10");
        check("tags/any(:a)", "expected a range variable at position 10");
        check("a/ eq 1", "expected an operator or the end at position 7");
        check("x in 'a'", "expected a list in brackets after 'in' at position 6");
        check("x in ('a' 'b')", "expected ',' or ')' in a list at position 11");
        check("x in (y)", "expected a value in a list at position 7");
        check("x in (-'a')", "expected a value in a list at position 8");
        check(&"(".repeat(10_000), "filter is nested too deeply at position 130");
        check(&"not ".repeat(4_000), "filter is nested too deeply at position 517");
        check(&"-".repeat(4_000), "filter is nested too deeply at position 130");
        check(&"trim(".repeat(3_000), "filter is nested too deeply at position 646");
        check(&"a add ".repeat(80), "filter is nested too deeply at position 387");
        check(&"a or ".repeat(2_500), "filter has too many parts at position 10003");
        check(&"a".repeat(1_000_000), "filter is longer than 16384 bytes");
        let list = format!("x in ({})", vec!["1"; 1_001].join(","));
        check(&list, "list of more than 1000 values at position 2007");
    }

    #[test]
    fn no_soup_of_tokens_brings_the_parser_down() {
        let words = [
            "a",
            "b/c",
            "eq",
            "ne",
            "and",
            "or",
            "not",
            "in",
            "has",
            "add",
            "div",
            "-",
            "(",
            ")",
            ",",
            ":",
            "/",
            "'x'",
            "'",
            "1",
            "2.5e3",
            "null",
            "true",
            "any(",
            "all(",
            "t/any(t:t",
            "$it",
            "contains(",
            "now()",
            "2024-01-01",
            "2024-01-01T00:00:00.1",
            "x.y'z'",
            "duration'P1D'",
            " ",
            "é",
            "\u{202e}",
            "%",
            "\\",
            "😀",
            "0-",
            "e",
            ".",
        ];
        let mut dice = Dice(1);
        let mut good = 0;
        for round in 0..20_000 {
            let mut text = String::new();
            for _ in 0..=dice.below(12) {
                text.push_str(words[dice.below(words.len())]);
                if round % 2 == 0 {
                    text.push(' ');
                }
            }
            if let Ok(tree) = filter(&text) {
                assert_eq!(filter(&tree.to_string()), Ok(tree), "{text}");
                good += 1;
            }
        }
        assert!(good > 100, "{good}");
    }
}
