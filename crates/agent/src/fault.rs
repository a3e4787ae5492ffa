//! What went wrong, as one lower-case sentence for people: it ends up on stderr, in the log or in
//! the reason of an outcome. Nothing decides by its text.

use std::fmt::{self, Display};

/// A reason in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(String);

/// A result with a reason.
pub(crate) type Result<T> = std::result::Result<T, Fault>;

impl Fault {
    /// A reason.
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Says what was being done when something failed.
pub(crate) trait During<T> {
    /// Puts `what` before the reason: `cannot read /etc/passwd: permission denied`.
    fn during(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> During<T> for std::result::Result<T, E> {
    fn during(self, what: impl Display) -> Result<T> {
        self.map_err(|e| Fault(format!("{what}: {e}")))
    }
}
