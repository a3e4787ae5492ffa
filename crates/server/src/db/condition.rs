//! A condition that grows by parts, with the values it binds.

use sea_orm::Value;

/// A test for a `where`, and its values in the order of their numbers.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The test.
    pub test: String,
    /// What `$1`, `$2` … stand for.
    pub values: Vec<Value>,
}

impl Condition {
    /// Asks for `test` as well, in which each `?` is the one value.
    pub fn and(&mut self, test: &str, value: impl Into<Value>) {
        self.values.push(value.into());
        self.and_only(&test.replace('?', &format!("${}", self.values.len())));
    }

    /// Asks for `test` as well, which binds nothing.
    pub fn and_only(&mut self, test: &str) {
        self.test.push_str(" and ");
        self.test.push_str(test);
    }
}
