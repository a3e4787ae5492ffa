//! The one error: six kinds, by what the caller can do about it.

use std::fmt;

/// Why a request or a job did not succeed. The message names the noun and its id, in lower case,
/// and never quotes what another tenant owns.
#[derive(Debug)]
pub enum Error {
    /// The request is wrong and will stay wrong: 400.
    Invalid(String),
    /// There is no such thing, or not for this caller: 404. Both answer alike.
    NotFound(String),
    /// The caller is known and may not do this: 403.
    Denied(String),
    /// The caller may do this after showing a factor again: 403, `StepUpRequired`.
    StepUp,
    /// The caller may do this with running access to the tenant: 403, `AccessRequired`.
    NoAccess(String),
    /// The thing is not in a state that allows this: 409.
    Conflict(String),
    /// Too much at once; the same request may succeed later: 429 or 503.
    Busy {
        /// What is exhausted.
        what: String,
        /// Whole seconds after which to try again.
        retry_after_s: u32,
        /// Whether the caller's own limit was reached (429) or the server's (503).
        own_limit: bool,
    },
    /// Ours to mend; the caller sees a generic sentence: 500.
    Internal(String),
}

/// What every fallible verb returns.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of ours, with its source chain spelled out for the log.
    pub fn internal(error: impl std::error::Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            text.push_str(": ");
            text.push_str(&inner.to_string());
            source = inner.source();
        }
        Self::Internal(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(text)
            | Self::NotFound(text)
            | Self::Denied(text)
            | Self::Conflict(text)
            | Self::Internal(text) => f.write_str(text),
            Self::NoAccess(tenant) => {
                write!(f, "this needs access to the tenant {tenant}, which is not running")
            }
            Self::StepUp => {
                f.write_str("this needs a second factor that was shown in the last five minutes")
            }
            Self::Busy { what, retry_after_s, .. } => {
                write!(f, "{what}; try again in {retry_after_s} seconds.")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<sea_orm::DbErr> for Error {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::internal(error)
    }
}
