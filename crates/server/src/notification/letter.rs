//! What a notification says, in the reader's language, before any channel has dressed it. Pure.
//!
//! The words are in `phrases/`, one file a language; each value comes from outside (an alert names the
//! incident) and is made one plain line first, so that no value adds a header, a line or a direction
//! of writing, and no name becomes a link that a mail program would follow. A channel escapes what is
//! left for itself. Not here: which facts become notifications (`make`).

use std::sync::LazyLock;

use minijinja::value::Value as Plain;
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Value, json};

use crate::contact::Language;
use crate::error::{Error, Result};
use crate::notification::reply::RULE;
use crate::word::choices;

/// The longest value in a sentence and the longest subject, in characters.
const LONGEST: usize = 300;
const LONGEST_SUBJECT: usize = 200;
/// The longest quoted text, in characters.
const LONGEST_QUOTE: usize = 4_000;
/// Items of a list.
const MOST_ITEMS: usize = 20;

choices! {
    /// What there is to tell.
    Kind {
        /// Experts published a managed response (NOT-4).
        ResponsePublished = "responsePublished",
        /// An expert wrote in a conversation (NOT-5).
        MessageFromExperts = "messageFromExperts",
        /// Somebody else did, for a channel in which it is not seen (COM-5).
        MessageInChat = "messageInChat",
        /// Something still awaits the customer (NOT-6).
        Reminder = "reminder",
        /// An action waits for people of the customer.
        ApprovalNeeded = "approvalNeeded",
        /// A customer's first administrator is invited (NOT-3).
        Welcome = "welcome",
        /// Somebody is a contact from now on (NOT-1).
        ContactAdded = "contactAdded",
        /// Something could not be brought to somebody else.
        DeliveryFailed = "deliveryFailed",
        /// A contact is reached because nobody has reacted to an incident (NOT-8).
        Escalation = "escalation",
        /// Nobody of the customer has answered.
        NobodyAnswered = "nobodyAnswered",
        /// A service clock reaches its target soon.
        ClockNearing = "clockNearing",
        /// A service clock has missed its target.
        ClockMissed = "clockMissed",
        /// Somebody of the customer is on what it was called for.
        CustomerReacted = "customerReacted",
        /// An incident awaits its customer no more.
        NoLongerWaits = "noLongerWaits",
        /// Somebody wants to see whether it arrives.
        Test = "test",
    }
}

impl Kind {
    /// What such a notification could say, for a preview (no customer is named).
    #[must_use]
    pub fn sample(self) -> Value {
        json!({
            "provider": "Fjordwatch",
            "tenant": "Alder Freight",
            "incident": {
                "id": "4711",
                "name": "Multi-stage incident involving Execution on one endpoint",
                "severity": "high",
            },
            "pending": ["Isolate device: dock-3", "Reset the password of kari@alder.example"],
            "done": 1,
            "author": "Signe Holm",
            "about": "Multi-stage incident involving Execution on one endpoint",
            "text": "The file came with a mail of 08:12.\nPlease do not open it again.",
            "hours": 4,
            "days": 7,
            "action": "Isolate device",
            "target": "dock-3",
            "because": "a rule of the authority policy asks for one more person",
            "contact": "Duty officer",
            "role": "incidentNotification",
            "receiver": "Ida Berg",
            "what": "Action needed: incident 4711",
            "tasks": 2,
            "clock": "acknowledge",
            "whose": "customer",
            "minutes": 60,
            "due": "2026-11-22 03:15 UTC",
        })
    }

    /// Whether it belongs to a conversation, which an answer enters.
    #[must_use]
    pub fn is_answered(self) -> bool {
        matches!(self, Self::ResponsePublished | Self::MessageFromExperts | Self::Reminder)
    }

    /// Why somebody gets it: the name of the phrase.
    fn why(self) -> &'static str {
        // Who is written to for the first time is a contact of nobody yet.
        if self == Self::Welcome { "whyInvited" } else { "why" }
    }

    /// Members of the data that are listed, and quoted.
    fn parts(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::ResponsePublished | Self::Reminder | Self::Escalation => (Some("pending"), None),
            Self::MessageFromExperts | Self::MessageInChat => (None, Some("text")),
            Self::ApprovalNeeded
            | Self::Welcome
            | Self::ContactAdded
            | Self::DeliveryFailed
            | Self::NobodyAnswered
            | Self::ClockNearing
            | Self::ClockMissed
            | Self::CustomerReacted
            | Self::NoLongerWaits
            | Self::Test => (None, None),
        }
    }
}

/// What is said, in plain text without any markup.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Letter {
    /// One line.
    pub subject: String,
    /// One line.
    pub heading: String,
    /// One line each, before the list.
    pub paragraphs: Vec<String>,
    /// A list, one line each.
    pub items: Vec<String>,
    /// What somebody wrote, of several lines.
    pub quote: Option<String>,
    /// One line each, after the list.
    pub after: Vec<String>,
    /// What the link says, and where it goes.
    pub link: (String, String),
    /// Why the reader gets this, one line each.
    pub footer: Vec<String>,
    /// That it can be answered above this line, where it can.
    pub answer: Option<String>,
}

/// The words of one language.
struct Phrases(toml::Table);

static PHRASES: LazyLock<Vec<(Language, Phrases)>> = LazyLock::new(|| {
    let of = |text: &str| Phrases(toml::from_str(text).unwrap_or_default());
    vec![
        (Language::English, of(include_str!("phrases/en.toml"))),
        (Language::Spanish, of(include_str!("phrases/es.toml"))),
        (Language::Japanese, of(include_str!("phrases/ja.toml"))),
        (Language::PortugueseOfBrazil, of(include_str!("phrases/pt-BR.toml"))),
        (Language::PortugueseOfPortugal, of(include_str!("phrases/pt-PT.toml"))),
    ]
});

static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
});

/// The letter of a notification in a language. `link` is where it leads.
///
/// # Errors
/// `Internal` when the data lacks what the phrases name.
pub fn write(kind: Kind, language: Language, data: &Value, link: &str) -> Result<Letter> {
    let phrases = phrases(language)?;
    let lacks =
        |what: &str| Error::Internal(format!("the phrases in {} have no {what}", language.word()));
    let mut values = plain(data);
    for (place, table) in [("/incident/severity", "severity"), ("/clock", "clock")] {
        let Some(value) = values.pointer_mut(place) else { continue };
        let word = value.as_str().unwrap_or_default();
        let words = phrases.get(table).and_then(toml::Value::as_table);
        let words = words.ok_or_else(|| lacks(table))?;
        let said = words.get(word).or_else(|| words.get("unknown")).and_then(toml::Value::as_str);
        *value = json!(said.ok_or_else(|| lacks(table))?);
    }
    let values = Plain::from_serialize(&values);
    let say = |phrase: &str| {
        PLAIN.render_str(phrase, &values).map(|said| line(&said, 2 * LONGEST)).map_err(|error| {
            Error::Internal(format!("{} in {}: {error:#}", kind.word(), language.word()))
        })
    };
    let part = phrases.get(kind.word()).and_then(toml::Value::as_table);
    let part = part.ok_or_else(|| lacks(kind.word()))?;
    let one = |name: &str| {
        let phrase = part.get(name).and_then(toml::Value::as_str);
        say(phrase.ok_or_else(|| lacks(name))?)
    };
    let several = |name: &str| -> Result<Vec<String>> {
        let phrases = part.get(name).and_then(toml::Value::as_array).ok_or_else(|| lacks(name))?;
        let said = phrases.iter().map(|it| say(it.as_str().unwrap_or_default()));
        let said = said.collect::<Result<Vec<String>>>()?;
        Ok(said.into_iter().filter(|said| !said.is_empty()).collect())
    };
    let footer = [kind.why(), "authentic"].map(|name| {
        say(phrases.get(name).and_then(toml::Value::as_str).ok_or_else(|| lacks(name))?)
    });
    let (listed, quoted) = kind.parts();
    Ok(Letter {
        subject: line(&one("subject")?, LONGEST_SUBJECT),
        heading: one("heading")?,
        paragraphs: several("paragraphs")?,
        items: listed.map(|name| items(&data[name])).unwrap_or_default(),
        quote: quoted.and_then(|name| data[name].as_str()).map(quote),
        after: several("after")?,
        link: (one("link")?, link.to_owned()),
        footer: footer.into_iter().collect::<Result<_>>()?,
        answer: None,
    })
}

/// That a message can be answered above this line.
///
/// # Errors
/// `Internal` when the language has no such phrase.
pub fn answer_line(language: Language) -> Result<String> {
    Ok(format!("{RULE} {} {RULE}", phrase(language, "answer")?))
}

/// That what is written below a post in a channel is heard, and nothing else there; where only what
/// mentions us is, that too.
///
/// # Errors
/// `Internal` when the language has no such phrase.
pub fn below_line(language: Language, by_mention: bool) -> Result<String> {
    let said = phrase(language, "below")?;
    Ok(if by_mention {
        format!("{said} {}", phrase(language, "mention")?)
    } else {
        said.to_owned()
    })
}

fn phrase(language: Language, name: &str) -> Result<&'static str> {
    let said = phrases(language)?.get(name).and_then(toml::Value::as_str);
    said.ok_or_else(|| {
        Error::Internal(format!("the phrases in {} have no {name}", language.word()))
    })
}

fn phrases(language: Language) -> Result<&'static toml::Table> {
    let phrases = PHRASES.iter().find(|(it, _)| *it == language);
    phrases
        .map(|(_, Phrases(phrases))| phrases)
        .ok_or_else(|| Error::Internal(format!("there are no phrases in {}", language.word())))
}

fn items(list: &Value) -> Vec<String> {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let mut items: Vec<String> = all
        .iter()
        .take(MOST_ITEMS)
        .filter_map(Value::as_str)
        .map(|it| line(&unlinked(it), LONGEST))
        .collect();
    if all.len() > MOST_ITEMS {
        items.push(format!("+{}", all.len() - MOST_ITEMS));
    }
    items
}

/// Every text of the data as one plain line.
fn plain(data: &Value) -> Value {
    match data {
        Value::String(text) => json!(line(&unlinked(text), LONGEST)),
        Value::Array(all) => Value::Array(all.iter().map(plain).collect()),
        Value::Object(all) => {
            Value::Object(all.iter().map(|(name, it)| (name.clone(), plain(it))).collect())
        }
        other => other.clone(),
    }
}

/// Without what no reader sees and some programs obey: control characters, marks of direction, what
/// has no width.
fn visible(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{2069}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// One line of visible characters and single blanks, at most `most` characters long.
pub(super) fn cut(text: &str, most: usize) -> String {
    line(text, most)
}

fn line(text: &str, most: usize) -> String {
    let shown: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| visible(*c))
        .collect();
    let line = shown.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most {
        return line;
    }
    let mut cut: String = line.chars().take(most.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Lines as they were written, without what is not visible.
fn quote(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| visible(*c)))
        .map(|line| line.collect::<String>().trim_end().to_owned())
        .collect();
    let mut text = lines.join("\n");
    if text.chars().count() > LONGEST_QUOTE {
        text = text.chars().take(LONGEST_QUOTE - 1).chain(['…']).collect();
    }
    text
}

/// What an alert named must not become a link in a message of ours.
fn unlinked(text: &str) -> String {
    text.replace("://", "[:]//").replace("www.", "www[.]").replace("WWW.", "WWW[.]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_said_in_every_language() {
        for &kind in Kind::ALL {
            for language in Language::ALL {
                let letter = write(kind, *language, &kind.sample(), "https://mdr.example/x")
                    .unwrap_or_else(|error| panic!("{error}"));
                let lines = [&letter.subject, &letter.heading, &letter.link.0];
                assert!(lines.iter().all(|line| !line.is_empty()), "{letter:?}");
                assert!(!letter.paragraphs.is_empty() && letter.footer.len() == 2, "{letter:?}");
                let all = serde_json::to_string(&letter).expect("a letter");
                assert!(!all.contains("{{") && !all.contains("{%"), "{all}");
            }
        }
    }

    #[test]
    fn languages_have_the_same_entries() {
        fn names(table: &toml::Table) -> Vec<String> {
            let mut names: Vec<String> = table
                .iter()
                .flat_map(|(name, value)| match value {
                    toml::Value::Table(inner) => {
                        names(inner).into_iter().map(|it| format!("{name}.{it}")).collect()
                    }
                    toml::Value::Array(all) => vec![format!("{name} {}", all.len())],
                    _ => vec![name.clone()],
                })
                .collect();
            names.sort();
            names
        }
        let english = names(&PHRASES[0].1.0);
        assert!(english.len() > 30, "{english:?}");
        for (language, phrases) in PHRASES.iter() {
            assert_eq!(names(&phrases.0), english, "{language:?}");
        }
    }

    #[test]
    fn what_is_only_sometimes_there_is_left_out_without_a_trace() {
        let mut data = Kind::ResponsePublished.sample();
        (data["pending"], data["done"]) = (json!([]), json!(0));
        let letter =
            write(Kind::ResponsePublished, Language::English, &data, "").expect("a letter");
        assert!(letter.subject.starts_with("Response complete"), "{letter:?}");
        assert_eq!((letter.paragraphs.len(), letter.items.len()), (1, 0), "{letter:?}");
        let mut data = Kind::ApprovalNeeded.sample();
        data["incident"] = Value::Null;
        let letter = write(Kind::ApprovalNeeded, Language::English, &data, "").expect("a letter");
        assert_eq!(letter.paragraphs.len(), 2, "{letter:?}");
    }

    #[test]
    fn no_value_leaves_its_place() {
        for evil in crate::notification::corpus::HOSTILE {
            for &kind in Kind::ALL {
                let mut data = kind.sample();
                for name in ["author", "about", "target", "because", "receiver", "what", "tenant"] {
                    data[name] = json!(evil);
                }
                data["incident"]["name"] = json!(evil);
                data["pending"] = json!([evil]);
                let letter = write(kind, Language::English, &data, "https://mdr.example/")
                    .unwrap_or_else(|error| panic!("{error}"));
                let mut lines = vec![&letter.subject, &letter.heading];
                lines.extend(letter.paragraphs.iter().chain(&letter.items).chain(&letter.after));
                for line in lines {
                    assert!(line.chars().all(visible), "{line:?}");
                    assert!(!line.contains("://") && !line.contains("www."), "{line:?}");
                    assert!(line.chars().count() <= 2 * LONGEST, "{line:?}");
                }
                assert!(letter.subject.chars().count() <= LONGEST_SUBJECT);
            }
        }
    }
}
