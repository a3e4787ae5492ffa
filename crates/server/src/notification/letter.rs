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
/// The longest response in a mail, in characters.
const LONGEST_WHOLE: usize = 40_000;
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
        /// A rule of the customer's tells of an incident (NOT-9).
        IncidentMail = "incidentMail",
        /// A rule of the customer's tells of actions that ended (NOT-10).
        ActionMail = "actionMail",
        /// What the service began with is not there any more.
        ReadinessLapsed = "readinessLapsed",
        /// It is there again.
        ReadinessRestored = "readinessRestored",
        /// Somebody wants to see whether it arrives.
        Test = "test",
    }
}

impl Kind {
    /// What such a notification could say, for a preview (no customer is named).
    #[must_use]
    pub fn sample(self) -> Value {
        let mut sample = json!({
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
            "organisation": true,
            "first": false,
            "alerts": 5,
            "newAlerts": 2,
            "severityBefore": "medium",
            "status": "inProgress",
            "statusBefore": "active",
            "items": [{ "item": "incidentContact" }, { "item": "protectedDevices" }],
            "outcome": "completed",
            "count": 2,
            "actions": [
                {
                    "action": "Isolate device", "target": "dock-3", "outcome": "completed",
                    "because": "",
                },
                {
                    "action": "Isolate device", "target": "dock-4", "outcome": "failed",
                    "because": "the device was not heard of in time",
                },
            ],
        });
        if self.is_of_rule() {
            sample["rule"] = json!("Servers, day and night");
        }
        sample
    }

    /// Whether a rule of the customer's says who hears of it.
    #[must_use]
    pub fn is_of_rule(self) -> bool {
        matches!(self, Self::IncidentMail | Self::ActionMail)
    }

    /// Whether it belongs to a conversation, which an answer enters.
    #[must_use]
    pub fn is_answered(self) -> bool {
        matches!(self, Self::ResponsePublished | Self::MessageFromExperts | Self::Reminder)
    }

    /// Why somebody gets it: the name of the phrase.
    fn why(self, data: &Value) -> &'static str {
        match self {
            // Who is written to for the first time is a contact of nobody yet.
            Self::Welcome => "whyInvited",
            _ if data["rule"].is_string() => "whyRule",
            _ if data["ofProvider"].as_bool() == Some(true) => "whyProvider",
            _ => "why",
        }
    }

    /// Members of the data that are listed, and quoted.
    fn parts(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::ResponsePublished | Self::Reminder | Self::Escalation => (Some("pending"), None),
            Self::ActionMail => (Some("actions"), None),
            Self::ReadinessLapsed | Self::ReadinessRestored => (Some("items"), None),
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
            | Self::IncidentMail
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
    /// The whole response, where it is wanted.
    pub whole: Option<Whole>,
    /// One line each, after the list.
    pub after: Vec<String>,
    /// What the link says, and where it goes.
    pub link: (String, String),
    /// Why the reader gets this, one line each.
    pub footer: Vec<String>,
    /// That it can be answered above this line, where it can.
    pub answer: Option<String>,
}

/// The whole of a published response (NOT-4).
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Whole {
    /// What the summary is called, and the summary, of several lines.
    pub summary: (String, String),
    /// What the tasks are called.
    pub tasks: String,
    /// Each task: one line that says what and where it stands, and several on what is to be done.
    pub each: Vec<(String, String)>,
    /// That something was cut, where it was.
    pub cut: Option<String>,
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

/// Values that are words of ours, and the table that says them.
const WORDS: [(&str, &str); 6] = [
    ("/incident/severity", "severity"),
    ("/severityBefore", "severity"),
    ("/status", "status"),
    ("/statusBefore", "status"),
    ("/outcome", "outcome"),
    ("/clock", "clock"),
];

/// Puts what a language says for a word in its place; what is no word stays.
fn put(value: &mut Value, phrases: &toml::Table, table: &str) -> Result<()> {
    let Some(word) = value.as_str() else { return Ok(()) };
    let words = phrases.get(table).and_then(toml::Value::as_table);
    let said = words.and_then(|words| words.get(word).or_else(|| words.get("unknown")));
    let said = said.and_then(toml::Value::as_str);
    let lacks = || Error::Internal(format!("there are no phrases for {table} {word}"));
    *value = json!(said.ok_or_else(lacks)?);
    Ok(())
}

/// The letter of a notification in a language. `link` is where it leads.
///
/// # Errors
/// `Internal` when the data lacks what the phrases name.
pub fn write(kind: Kind, language: Language, data: &Value, link: &str) -> Result<Letter> {
    let phrases = phrases(language)?;
    let lacks =
        |what: &str| Error::Internal(format!("the phrases in {} have no {what}", language.word()));
    let mut values = plain(data);
    for (place, table) in WORDS {
        let Some(value) = values.pointer_mut(place) else { continue };
        put(value, phrases, table)?;
    }
    let (listed, quoted) = kind.parts();
    for it in listed.and_then(|name| values[name].as_array_mut()).into_iter().flatten() {
        for (name, table) in [("outcome", "outcome"), ("item", "readiness")] {
            if let Some(word) = it.get_mut(name) {
                put(word, phrases, table)?;
            }
        }
    }
    let render = |phrase: &str, values: &Plain| {
        PLAIN.render_str(phrase, values).map(|said| line(&said, 2 * LONGEST)).map_err(|error| {
            Error::Internal(format!("{} in {}: {error:#}", kind.word(), language.word()))
        })
    };
    // Each thing of a list by the phrase for one, where there is such a phrase.
    let mut items = listed.map(|name| items(&data[name])).unwrap_or_default();
    let item = phrases.get(kind.word()).and_then(|it| it.get("item")).and_then(toml::Value::as_str);
    if let (Some(phrase), Some(all)) = (item, listed.and_then(|name| values[name].as_array())) {
        let said = all.iter().take(MOST_ITEMS).map(|it| render(phrase, &Plain::from_serialize(it)));
        let said = said.collect::<Result<Vec<String>>>()?;
        items.splice(0..0, said);
    }
    let values = Plain::from_serialize(&values);
    let say = |phrase: &str| render(phrase, &values);
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
    let footer = [kind.why(data), "authentic"].map(|name| {
        say(phrases.get(name).and_then(toml::Value::as_str).ok_or_else(|| lacks(name))?)
    });
    Ok(Letter {
        subject: line(&one("subject")?, LONGEST_SUBJECT),
        heading: one("heading")?,
        paragraphs: several("paragraphs")?,
        items,
        whole: data
            .get("whole")
            .filter(|it| it.is_object())
            .map(|it| whole(it, phrases))
            .transpose()?,
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

fn whole(data: &Value, phrases: &toml::Table) -> Result<Whole> {
    let said = |table: &str, word: &str| {
        let mut value = json!(word);
        put(&mut value, phrases, table).map(|()| value.as_str().unwrap_or_default().to_owned())
    };
    // As an alert may have named what is in it, nothing of it becomes a link.
    let text =
        |value: &Value| quote_of(&unlinked(value.as_str().unwrap_or_default()), LONGEST_WHOLE);
    let word = |value: &Value| line(&unlinked(value.as_str().unwrap_or_default()), LONGEST);
    let mut each = Vec::new();
    let mut length = data["summary"].as_str().unwrap_or_default().chars().count();
    let mut is_cut = data["isCut"].as_bool().unwrap_or_default();
    for task in data["tasks"].as_array().into_iter().flatten() {
        let target = Some(word(&task["target"])).filter(|it| !it.is_empty());
        let owner = said("taskOwner", task["owner"].as_str().unwrap_or_default())?;
        let state = said("taskState", task["state"].as_str().unwrap_or_default())?;
        let title = word(&task["title"]);
        let what = target
            .filter(|it| !title.contains(it))
            .map_or_else(|| title.clone(), |target| format!("{title} – {target}"));
        let it = (format!("{what} ({owner}, {state})"), text(&task["text"]));
        length += it.0.chars().count() + it.1.chars().count();
        if length > LONGEST_WHOLE {
            is_cut = true;
            break;
        }
        each.push(it);
    }
    Ok(Whole {
        summary: (said("whole", "summary")?, text(&data["summary"])),
        tasks: said("whole", "tasks")?,
        each,
        cut: if is_cut { Some(said("whole", "cut")?) } else { None },
    })
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
    quote_of(text, LONGEST_QUOTE)
}

fn quote_of(text: &str, most: usize) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| visible(*c)))
        .map(|line| line.collect::<String>().trim_end().to_owned())
        .collect();
    let mut text = lines.join("\n");
    if text.chars().count() > most {
        text = text.chars().take(most - 1).chain(['…']).collect();
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
    fn a_response_too_long_for_a_mail_is_cut_and_says_so() {
        let mut data = Kind::ResponsePublished.sample();
        let task = json!({
            "title": "Wipe it", "target": "dock-3", "owner": "guided", "state": "open",
            "text": "x".repeat(1_999),
        });
        data["whole"] = json!({ "summary": "S", "tasks": vec![task; 30], "isCut": false });
        let said = |data: &Value| {
            let letter = write(Kind::ResponsePublished, Language::English, data, "");
            letter.expect("a letter").whole.expect("the whole")
        };
        let whole = said(&data);
        assert_eq!(whole.each[0].0, "Wipe it – dock-3 (for you, waits)");
        assert!(whole.each.len() < 30 && whole.cut.is_some_and(|it| it.starts_with("Cut here")));
        let length: usize = whole.each.iter().map(|(one, more)| one.len() + more.len()).sum();
        assert!((LONGEST_WHOLE - 3_000..LONGEST_WHOLE + 1_000).contains(&length), "{length}");
        data["whole"]["tasks"] = json!([data["whole"]["tasks"][0]]);
        assert_eq!(said(&data).cut, None);
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
                for name in ["rule", "severityBefore", "statusBefore", "status", "outcome"] {
                    data[name] = json!(evil);
                }
                data["actions"] = json!([
                    { "action": evil, "target": evil, "outcome": evil, "because": evil }
                ]);
                data["items"] = json!([{ "item": evil }]);
                data["whole"] = json!({
                    "summary": evil,
                    "tasks": [{ "title": evil, "target": evil, "owner": evil, "state": evil, "text": evil }],
                });
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
                let whole = letter.whole.expect("the whole");
                let (title, text) = &whole.each[0];
                assert!(title.chars().all(visible), "{title:?}");
                for said in [title, text, &whole.summary.1] {
                    assert!(!said.contains("://") && !said.contains("www."), "{said:?}");
                    assert!(said.chars().all(|c| c == '\n' || visible(c)), "{said:?}");
                }
            }
        }
    }
}
