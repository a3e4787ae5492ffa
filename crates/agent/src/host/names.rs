//! `/etc/hosts`, of which a marked part is ours.
//!
//! Always: what others wrote stays as it is, also when they write at the same time as far as the
//! file system lets us; a container's file, which is a mount and cannot be replaced, is written in
//! place.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::fault::{During, Fault, Result};
use crate::files;

const FILE: &str = "/etc/hosts";
const BEGIN: &str = "# begin of names blocked by riposte-agent; do not edit";
const END: &str = "# end of names blocked by riposte-agent";

/// The names that are blocked now: ours, and nobody else's line leads them elsewhere.
pub(crate) fn blocked() -> BTreeSet<String> {
    let text = files::text(FILE, 64 << 20);
    let mut names = ours(&text);
    for name in elsewhere(&text) {
        names.remove(&name);
    }
    names
}

/// Names that lead to a real address.
fn elsewhere(text: &str) -> BTreeSet<String> {
    text.lines()
        .flat_map(|line| {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let address: Option<IpAddr> = words.next().and_then(|word| word.parse().ok());
            let real = address.is_some_and(|address| !address.is_unspecified());
            words.filter(move |_| real).map(str::to_ascii_lowercase)
        })
        .collect()
}

/// Blocks these names and no others.
pub(crate) fn block(names: &BTreeSet<String>) -> Result<()> {
    let path = Path::new(FILE);
    let before = files::read(path, 64 << 20)?.unwrap_or_default();
    let before = String::from_utf8(before).map_err(|_| Fault::new("/etc/hosts is not a text"))?;
    if ours(&before) == *names {
        return Ok(());
    }
    let after = with(&before, names);
    let mode = fs::metadata(path).map_or(0o644, |file| file.permissions().mode() & 0o7777);
    // A mount cannot be replaced, only written to.
    files::replace_as(path, after.as_bytes(), mode)
        .or_else(|_| fs::write(path, after.as_bytes()).during("cannot write /etc/hosts"))
}

fn ours(text: &str) -> BTreeSet<String> {
    text.lines()
        .skip_while(|line| *line != BEGIN)
        .take_while(|line| *line != END)
        .filter_map(|line| line.strip_prefix("0.0.0.0 ").map(str::to_owned))
        .collect()
}

fn with(text: &str, names: &BTreeSet<String>) -> String {
    let mut out = String::new();
    if !names.is_empty() {
        // First, because the first line that has a name counts.
        out.push_str(BEGIN);
        out.push('\n');
        for name in names {
            out.extend(["0.0.0.0 ", name, "\n:: ", name, "\n"]);
        }
        out.push_str(END);
        out.push('\n');
    }
    let closed = text.lines().any(|line| line == END);
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let plain = line.strip_suffix('\n').unwrap_or(line);
        if plain == BEGIN && closed {
            inside = true;
        }
        // A part that somebody cut in two loses only its own lines.
        let stray = plain == BEGIN || plain == END;
        if !inside && !stray {
            out.push_str(line);
        }
        if plain == END {
            inside = false;
        }
    }
    out
}

/// A host name in the spelling of `/etc/hosts`.
pub(crate) fn name(text: &str) -> Result<String> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let reserved = ["localhost", "localhost.localdomain"].contains(&name.as_str());
    if name.len() <= 253 && name.contains('.') && name.split('.').all(label) && !reserved {
        Ok(name)
    } else {
        let short: String = text.chars().take(80).collect();
        Err(Fault::new(format!("{short:?} is not a host name that can be blocked")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> BTreeSet<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_others_wrote_stays() {
        let before = "127.0.0.1 localhost\n# mine\n10.0.0.1 a";
        let blocked = with(before, &names(&["bad.example", "worse.example"]));
        assert!(blocked.ends_with(before));
        assert_eq!(ours(&blocked), names(&["bad.example", "worse.example"]));
        let fewer = with(&blocked, &names(&["bad.example"]));
        assert_eq!(ours(&fewer), names(&["bad.example"]));
        assert_eq!(with(&fewer, &names(&[])), before);
        let cut = blocked.replace(&format!("{END}\n"), "");
        assert!(with(&cut, &names(&[])).ends_with(before));
    }

    #[test]
    fn a_name_is_a_name_and_nothing_else() {
        assert_eq!(name("Bad.Example.").unwrap(), "bad.example");
        for bad in ["", "localhost", "a b.example", "a\n1.2.3.4 b.example", "a..b", "-", "#.a b"] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }
}
