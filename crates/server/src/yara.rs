//! YARA rules as somebody writes them, looked at before a device is told.
//!
//! Pure. Found here is what would be found only on a device, or should not come to one: a text that
//! is too long, no rules, two of one name, a rule without a condition or an end, a file to include, a
//! module that YARA does not bring. Not here: whether conditions and strings mean something; that
//! says the engine that compiles them, and the scan fails with its words.

use std::collections::BTreeSet;

/// The longest text, in bytes.
pub const LONGEST: usize = 64 * 1024;
/// Rules in one text.
const MOST: usize = 200;
/// Modules that every build of YARA 4 has.
const MODULES: [&str; 6] = ["console", "elf", "hash", "math", "pe", "time"];

/// One piece of a text.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Word(&'a str),
    Text(&'a str),
    Sign(char),
}

/// Checks rules.
///
/// # Errors
/// What is wrong, and with which rule.
pub fn check(text: &str) -> Result<(), String> {
    if text.len() > LONGEST {
        return Err(format!("rules have at most {LONGEST} bytes"));
    }
    if text.contains('\0') {
        return Err("rules contain a null character".to_owned());
    }
    let pieces = pieces(text)?;
    let mut rest = pieces.iter().peekable();
    let mut names = BTreeSet::new();
    while let Some(piece) = rest.next() {
        match piece {
            Piece::Word("include") => {
                return Err("rules are one text: nothing is included".to_owned());
            }
            Piece::Word("import") => match rest.next() {
                Some(Piece::Text(module)) if MODULES.contains(module) => {}
                _ => return Err(format!("import one of {}", MODULES.join(", "))),
            },
            Piece::Word("private" | "global") => {}
            Piece::Word("rule") => {
                let Some(Piece::Word(name)) = rest.next() else {
                    return Err("a rule has no name".to_owned());
                };
                if name.len() > 128 || !names.insert(*name) {
                    return Err(format!("the rule {name} is there twice, or its name is too long"));
                }
                if names.len() > MOST {
                    return Err(format!("a scan takes at most {MOST} rules"));
                }
                if rest.next_if(|piece| **piece == Piece::Sign(':')).is_some() {
                    while rest.next_if(|piece| matches!(piece, Piece::Word(_))).is_some() {}
                }
                if rest.next() != Some(&Piece::Sign('{')) {
                    return Err(format!("the rule {name} does not begin with a brace"));
                }
                body(name, &mut rest)?;
            }
            Piece::Word(word) => {
                let word: String = word.chars().take(40).collect();
                return Err(format!("{word} stands where a rule should"));
            }
            Piece::Text(_) | Piece::Sign(_) => {
                return Err("something stands where a rule should".to_owned());
            }
        }
    }
    if names.is_empty() { Err("there is no rule".to_owned()) } else { Ok(()) }
}

/// Reads a rule to its closing brace.
fn body<'a>(name: &str, rest: &mut impl Iterator<Item = &'a Piece<'a>>) -> Result<(), String> {
    let (mut depth, mut condition, mut before) = (1, false, None);
    for piece in rest {
        match piece {
            Piece::Sign('{') => depth += 1,
            Piece::Sign('}') => depth -= 1,
            Piece::Sign(':') if depth == 1 => {
                condition |= before == Some(&Piece::Word("condition"));
            }
            _ => {}
        }
        if depth == 0 {
            return if condition {
                Ok(())
            } else {
                Err(format!("the rule {name} has no condition"))
            };
        }
        before = Some(piece);
    }
    Err(format!("the rule {name} does not end"))
}

/// Words, texts and signs, without comments. A regular expression is a text: what is in it is no
/// brace of a rule.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut at = 0;
    let rest = |at: usize| text.get(at..).unwrap_or_default();
    while let Some(first) = rest(at).chars().next() {
        let here = rest(at);
        let step = if first.is_whitespace() {
            first.len_utf8()
        } else if here.starts_with("//") {
            here.find('\n').unwrap_or(here.len())
        } else if here.starts_with("/*") {
            here.find("*/").ok_or("a comment does not end")? + 2
        } else if first == '"' {
            let end = quoted(here, '"').ok_or("a text in quotes does not end")?;
            found.push(Piece::Text(here.get(1..end).unwrap_or_default()));
            end + 1
        } else if first == '/' && begins_pattern(found.last()) {
            let end = quoted(here, '/').ok_or("a regular expression does not end")?;
            found.push(Piece::Text(here.get(1..end).unwrap_or_default()));
            end + 1
        } else if first.is_ascii_alphabetic() || first == '_' {
            let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            let end = here.find(word).unwrap_or(here.len());
            found.push(Piece::Word(here.get(..end).unwrap_or_default()));
            end
        } else {
            found.push(Piece::Sign(first));
            first.len_utf8()
        };
        at += step;
    }
    Ok(found)
}

/// Whether a slash begins a regular expression: behind these it divides nothing.
fn begins_pattern(before: Option<&Piece<'_>>) -> bool {
    matches!(before, Some(Piece::Sign('=' | '(' | ',') | Piece::Word("matches")))
}

/// Where a text that begins with a mark ends, which stands on one line.
fn quoted(text: &str, mark: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
import "pe"
/* rule not_this { */
private rule Grebe_loader : loader linux {
  meta:
    author = "}" // a brace in a text
  strings:
    $a = { 6A 40 ?? [2-4] ( 68 | 69 ) }
    $b = /conn?ect\/[a-z}]{2,8}/ nocase
    $c = "quote \" } inside"
  condition:
    uint32(0) == 0x464C457F and any of them and filesize / 2 < 1MB
}
rule second { condition: Grebe_loader }
"#;

    #[test]
    fn rules_as_people_write_them_are_taken() {
        assert_eq!(check(GOOD), Ok(()));
    }

    #[test]
    fn what_could_not_be_used_says_why() {
        for (text, why) in [
            ("", "there is no rule"),
            ("// rule x { condition: true }", "there is no rule"),
            ("include \"/etc/shadow\" rule x { condition: true }", "nothing is included"),
            ("import \"cuckoo\" rule x { condition: true }", "import one of"),
            ("rule { condition: true }", "a rule has no name"),
            ("rule x condition: true", "does not begin with a brace"),
            ("rule x { strings: $a = \"y\" }", "the rule x has no condition"),
            ("rule x { condition: true", "the rule x does not end"),
            ("rule x { strings: $a = { 6A condition: $a }", "the rule x does not end"),
            ("rule x { condition: true } rule x { condition: true }", "the rule x is there twice"),
            ("rule x { strings: $a = \"y\n\" condition: $a }", "in quotes does not end"),
            ("rule x { strings: $a = /y\n/ condition: $a }", "expression does not end"),
            ("/* rule x { condition: true }", "a comment does not end"),
            ("hello rule x { condition: true }", "hello stands where a rule should"),
            ("} rule x { condition: true }", "something stands where"),
            ("rule x { condition: true }\0", "null character"),
        ] {
            let told = check(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
        let long = format!("rule x {{ condition: true }} // {}", "y".repeat(LONGEST));
        assert!(check(&long).unwrap_err().contains("at most"));
        let many: Vec<String> =
            (0..=MOST).map(|n| format!("rule r{n} {{ condition: true }}")).collect();
        let many = many.join(" ");
        assert!(check(&many).unwrap_err().contains("at most"));
    }

    #[test]
    fn hostile_texts_end_and_never_fail() {
        for text in ["\"", "/", "//", "/*/", "é{", "rule é { condition: é }", "rule x : a b c", "="]
        {
            assert!(check(text).is_err(), "{text}");
        }
        for cut in 0..GOOD.len() {
            if let Some(part) = GOOD.get(..cut) {
                let _ = check(part);
            }
        }
    }
}
