//! The tree of a `$filter` expression, and its spelling.
//!
//! The tree is at most [`MAX_DEPTH`] deep and has at most [`MAX_NODES`] nodes when
//! [`super::parse::filter`] made it, so walking it recursively is safe. Spelling a tree and
//! parsing the result gives the same tree.

use std::fmt;

use super::literal::Literal;

/// Longest accepted filter, in bytes.
pub const MAX_LENGTH: usize = 16 * 1024;
/// Deepest accepted tree.
pub const MAX_DEPTH: usize = 64;
/// Most nodes (operators, calls, paths and literals) in a tree.
pub const MAX_NODES: usize = 2_000;
/// Most values in the list of one `in`.
pub const MAX_LIST: usize = 1_000;

/// A filter or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// At least one of two or more holds.
    Or(Vec<Expr>),
    /// Each of two or more holds.
    And(Vec<Expr>),
    /// The opposite holds.
    Not(Box<Expr>),
    /// Two values compared.
    Compare {
        /// How.
        op: CompareOp,
        /// The value before the operator.
        left: Box<Expr>,
        /// The value after it.
        right: Box<Expr>,
    },
    /// A value is one of a list.
    In {
        /// The value.
        item: Box<Expr>,
        /// The list.
        list: Vec<Literal>,
    },
    /// Two numbers, or a moment and a duration, made one.
    Arithmetic {
        /// How.
        op: ArithmeticOp,
        /// The operand before the operator.
        left: Box<Expr>,
        /// The operand after it.
        right: Box<Expr>,
    },
    /// The number with the other sign.
    Negate(Box<Expr>),
    /// A function of its arguments, whose number the parser has checked.
    Call {
        /// Which function.
        function: Function,
        /// Its arguments in order.
        args: Vec<Expr>,
    },
    /// A condition on the members of a collection.
    Lambda {
        /// Whether one member must meet it or all must.
        quantifier: Quantifier,
        /// The collection.
        collection: Path,
        /// The range variable and the condition; none for `any()`, which asks for any member.
        predicate: Option<(String, Box<Expr>)>,
    },
    /// A property.
    Path(Path),
    /// A value.
    Literal(Literal),
}

/// Property names from the outermost inwards; never empty when the parser made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(pub Vec<String>);

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `eq`
    Eq,
    /// `ne`
    Ne,
    /// `gt`
    Gt,
    /// `ge`
    Ge,
    /// `lt`
    Lt,
    /// `le`
    Le,
    /// `has`
    Has,
}

impl CompareOp {
    /// The operator that says the same with the sides exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            other => other,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Has => "has",
        }
    }
}

/// An arithmetic operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithmeticOp {
    /// `add`
    Add,
    /// `sub`
    Sub,
    /// `mul`
    Mul,
    /// `div`, which drops the remainder of whole numbers
    Div,
    /// `mod`
    Mod,
}

impl ArithmeticOp {
    fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::Mod => "mod",
        }
    }
}

/// How many members of a collection must meet a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// Every one, if there are any.
    All,
}

macro_rules! functions {
    ($($name:ident $word:literal $least:literal $most:literal $about:literal;)*) => {
        /// A function of the filter grammar.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Function {
            $(#[doc = $about] $name,)*
        }

        impl Function {
            /// Every function there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in a filter.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// The fewest and the most arguments it takes.
            #[must_use]
            pub fn arity(self) -> (usize, usize) {
                match self { $(Self::$name => ($least, $most),)* }
            }
        }
    };
}

functions! {
    Contains "contains" 2 2 "The first text has the second within it.";
    StartsWith "startswith" 2 2 "The first text begins with the second.";
    EndsWith "endswith" 2 2 "The first text ends with the second.";
    ToLower "tolower" 1 1 "The text in lower case.";
    ToUpper "toupper" 1 1 "The text in upper case.";
    Trim "trim" 1 1 "The text without blanks at its ends.";
    Length "length" 1 1 "The number of characters.";
    IndexOf "indexof" 2 2 "Where the second text begins in the first, from zero; -1 if nowhere.";
    Concat "concat" 2 16 "The texts one after another.";
    Substring "substring" 2 3 "The text from a place counted from zero, at most so long.";
    Year "year" 1 1 "The year of a moment, in UTC as all its parts.";
    Month "month" 1 1 "The month of a moment.";
    Day "day" 1 1 "The day of the month.";
    Hour "hour" 1 1 "The hour of the day.";
    Minute "minute" 1 1 "The minute of the hour.";
    Second "second" 1 1 "The whole second of the minute.";
    Date "date" 1 1 "The calendar date of a moment.";
    Now "now" 0 0 "The moment the request is answered.";
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        separated(f, &self.0, "/")
    }
}

fn separated<T: fmt::Display>(f: &mut fmt::Formatter<'_>, all: &[T], by: &str) -> fmt::Result {
    for (place, one) in all.iter().enumerate() {
        if place > 0 {
            f.write_str(by)?;
        }
        write!(f, "{one}")?;
    }
    Ok(())
}

/// An operand, in brackets unless it is one word, call or literal.
struct Tight<'a>(&'a Expr);

impl fmt::Display for Tight<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Path(_) | Expr::Literal(_) | Expr::Call { .. } | Expr::Lambda { .. } => {
                write!(f, "{}", self.0)
            }
            other => write!(f, "({other})"),
        }
    }
}

/// An operand of `and` or `or`, in brackets when it is itself such a chain.
struct Link<'a>(&'a Expr);

impl fmt::Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::And(_) | Expr::Or(_) => write!(f, "({})", self.0),
            other => write!(f, "{other}"),
        }
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(all) => separated(f, &all.iter().map(Link).collect::<Vec<_>>(), " or "),
            Self::And(all) => separated(f, &all.iter().map(Link).collect::<Vec<_>>(), " and "),
            Self::Not(inner) => write!(f, "not {}", Tight(inner)),
            Self::Compare { op, left, right } => {
                write!(f, "{} {} {}", Tight(left), op.word(), Tight(right))
            }
            Self::In { item, list } => {
                write!(f, "{} in (", Tight(item))?;
                separated(f, list, ",")?;
                f.write_str(")")
            }
            Self::Arithmetic { op, left, right } => {
                write!(f, "{} {} {}", Tight(left), op.word(), Tight(right))
            }
            // Without the brackets the sign would become part of the number.
            Self::Negate(inner) if matches!(**inner, Self::Literal(_)) => write!(f, "-({inner})"),
            Self::Negate(inner) => write!(f, "-{}", Tight(inner)),
            Self::Call { function, args } => {
                write!(f, "{}(", function.word())?;
                separated(f, args, ",")?;
                f.write_str(")")
            }
            Self::Lambda { quantifier, collection, predicate } => {
                let word = if *quantifier == Quantifier::Any { "any" } else { "all" };
                match predicate {
                    Some((variable, inner)) => {
                        write!(f, "{collection}/{word}({variable}:{inner})")
                    }
                    None => write!(f, "{collection}/{word}()"),
                }
            }
            Self::Path(path) => write!(f, "{path}"),
            Self::Literal(literal) => write!(f, "{literal}"),
        }
    }
}
