//! The command line: `--name value` and bare flags, read once, every leftover word refused.

use std::str::FromStr;

/// The words after the subcommand, taken one by one.
#[derive(Debug)]
pub(crate) struct Args {
    words: Vec<String>,
}

impl Args {
    /// The words to take from.
    pub(crate) fn new(words: Vec<String>) -> Self {
        Self { words }
    }

    /// Takes `--name value`; `None` when it is absent, an error when the value is missing.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        let Some(at) = self.words.iter().position(|word| word == name) else {
            return Ok(None);
        };
        self.words.remove(at);
        if self.words.get(at).is_none_or(|word| word.starts_with("--")) {
            return Err(format!("{name} needs a value"));
        }
        Ok(Some(self.words.remove(at)))
    }

    /// Takes `--name value` as a number or other parsed kind, else `default`.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str, default: T) -> Result<T, String> {
        match self.text(name)? {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("{name} cannot be {text:?}")),
        }
    }

    /// Takes the bare flag `name` and says whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        self.words.len() != before
    }

    /// Refuses what nobody took.
    pub(crate) fn finish(self) -> Result<(), String> {
        if self.words.is_empty() {
            Ok(())
        } else {
            Err(format!("do not know {}", self.words.join(" ")))
        }
    }
}

/// The stores that `--store` names.
pub(crate) fn stores(word: &str) -> Result<Vec<Store>, String> {
    match word {
        "sqlite" => Ok(vec![Store::Sqlite]),
        "postgres" => Ok(vec![Store::Postgres]),
        "both" => Ok(vec![Store::Sqlite, Store::Postgres]),
        other => Err(format!("--store cannot be {other:?}")),
    }
}

/// Which engine the server keeps its data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// A file in the data directory.
    Sqlite,
    /// A temporary PostgreSQL cluster.
    Postgres,
}

impl Store {
    /// Its name on the command line and in results.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Args {
        Args::new(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn values_flags_and_leftovers() {
        let mut given = args("--kills 7 --keep --store both extra");
        assert_eq!(given.value("--kills", 20_u32), Ok(7));
        assert_eq!(given.value("--seed", 3_u64), Ok(3));
        assert!(given.flag("--keep"));
        assert_eq!(given.text("--store"), Ok(Some("both".to_owned())));
        assert!(given.finish().is_err());
    }

    #[test]
    fn a_missing_value_is_an_error() {
        assert!(args("--kills --keep").value("--kills", 1_u32).is_err());
        assert!(args("--kills").value("--kills", 1_u32).is_err());
        assert!(args("--kills x").value("--kills", 1_u32).is_err());
    }
}
