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
