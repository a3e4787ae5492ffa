//! What the lab says: results on standard output, progress on standard error.

use std::io::Write as _;

use serde_json::Value;

/// Writes one JSON object on a line of standard output.
pub(crate) fn result(value: &Value) {
    // A reader that went away is no reason to stop before the clean-up.
    let _ = writeln!(std::io::stdout().lock(), "{value}");
}

/// Writes one line of progress on standard error.
pub(crate) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "lab: {text}");
}
