//! Which properties a resource has and where the store keeps them.
//!
//! A table is data: the compiler knows nothing of incidents or alerts. Column and table names
//! come from here only, never from a request.

/// A resource's properties over the table, or its alias, of a query.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The name or alias the outer query gives the table.
    pub alias: &'static str,
    /// Its properties.
    pub fields: &'static [Field],
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The property's name or path (`assignedTo`, `vm/id`); found in any case.
    pub name: &'static str,
    /// Further names it answers to.
    pub aliases: &'static [&'static str],
    /// The column that holds it; unused for a collection.
    pub column: &'static str,
    /// Whether the column can be null.
    pub nullable: bool,
    /// How it is stored and compared.
    pub kind: Kind,
}

impl Field {
    /// A property in a column that can be null.
    #[must_use]
    pub const fn new(name: &'static str, column: &'static str, kind: Kind) -> Self {
        Self { name, aliases: &[], column, nullable: true, kind }
    }

    /// A property whose column is never null.
    #[must_use]
    pub const fn required(name: &'static str, column: &'static str, kind: Kind) -> Self {
        Self { name, aliases: &[], column, nullable: false, kind }
    }

    /// A collection.
    #[must_use]
    pub const fn collection(name: &'static str, collection: &'static Collection) -> Self {
        Self::required(name, "", Kind::Collection(collection))
    }

    /// The same property, also found under these names.
    #[must_use]
    pub const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    fn answers_to(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// How a property is stored and compared.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Text. For both stores to order it alike its column collates bytewise ("C" on PostgreSQL).
    Text(Fold),
    /// A word stored as its rank, a whole number, so that it orders by meaning.
    Enum(&'static Words),
    /// A moment, stored as microseconds since the epoch.
    Instant,
    /// A whole number.
    Int,
    /// A whole number that the wire format writes as a string.
    Id,
    /// True or false, stored as a boolean.
    Bool,
    /// Rows of another table.
    Collection(&'static Collection),
}

/// Whether text is compared without regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Case counts.
    Exact,
    /// Both sides go through the store's `lower`, which on SQLite knows only ASCII letters. On
    /// PostgreSQL the column must keep the database's own collation, or the sides fold differently.
    Lower,
    /// This column holds the text as `str::to_lowercase` makes it; alike on both stores.
    Column(&'static str),
}

/// The words of an enumeration.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// Its name, for messages.
    pub name: &'static str,
    /// Each word and its rank; an alias is a word with another's rank.
    pub words: &'static [(&'static str, i32)],
    /// Words that are understood but that no row can have, such as `unknownFutureValue`.
    pub sentinels: &'static [&'static str],
}

impl Words {
    /// What a word, in any case, stands for.
    #[must_use]
    pub fn rank(&self, word: &str) -> Rank {
        let is = |known: &str| known.eq_ignore_ascii_case(word);
        match self.words.iter().find(|(known, _)| is(known)) {
            Some((_, rank)) => Rank::Known(*rank),
            None if self.sentinels.iter().any(|sentinel| is(sentinel)) => Rank::Sentinel,
            None => Rank::Unknown,
        }
    }
}

/// What a word stands for in an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// The number it is stored as.
    Known(i32),
    /// Nothing that is ever stored.
    Sentinel,
    /// Nothing: the enumeration lacks it.
    Unknown,
}

/// Rows of a child table that belong to a row of the parent.
#[derive(Debug)]
pub struct Collection {
    /// The child table.
    pub table: &'static str,
    /// Pairs of a parent's column and the child's column equal to it.
    pub join: &'static [(&'static str, &'static str)],
    /// Columns of the child with the value they must have.
    pub only: &'static [(&'static str, Fixed)],
    /// What a member is.
    pub element: Element,
}

/// A value that is part of a table's definition.
#[derive(Clone, Copy, Debug)]
pub enum Fixed {
    /// A whole number.
    Int(i64),
    /// Text.
    Text(&'static str),
    /// True or false.
    Bool(bool),
}

/// What a member of a collection is.
#[derive(Clone, Copy, Debug)]
pub enum Element {
    /// A single value, such as a tag.
    Value(Field),
    /// An entity with properties.
    Entity(&'static [Field]),
}

/// The property with this name or path.
#[must_use]
pub fn find(fields: &'static [Field], name: &str) -> Option<&'static Field> {
    fields.iter().find(|field| field.answers_to(name))
}
