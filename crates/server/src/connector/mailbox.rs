//! Mails in mailboxes of Exchange Online, through Microsoft Graph v1.0.
//!
//! A mail goes by its Internet message id, which is the same in every mailbox; a mailbox holds any
//! number of copies of it, each with an id of its own. A reading says of each copy where it is: in a
//! folder, or in the recoverable items, where its owner's own deleted mails lie for a while. What is
//! to be sent follows from a reading; one request does all of it, a `$batch` where there are several
//! copies, in order and each after the one before. Ids of copies are asked for in the form that a
//! move does not change, so a copy that its owner moves meanwhile is still the one that was meant.

use axum::http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::graph::{
    Fault, IMMUTABLE, Open, Request, Told, encoded, literal, meaning, members, retry_after,
};
use crate::app::App;

/// Copies of a mail in one mailbox that one request reaches: a batch has no more.
const MOST: usize = 20;
/// The longest Internet message id: a line of a mail has no more.
const LONGEST_ID: usize = 998;
/// The longest id that the product gives a copy or a folder.
const LONGEST_KEY: usize = 512;
/// Where mails are that were removed from every folder, by the product's own name for it.
const RECOVERABLE: &str = "recoverableitemsdeletions";
/// What stands for the id of a copy where it is not known yet.
const COPY: &str = "{copy}";

/// What is done to a mail in a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    /// Out of every folder, into the recoverable items.
    SoftDelete,
    /// Out of the recoverable items as well: its owner cannot bring it back.
    HardDelete,
    /// To the junk folder.
    Junk,
    /// To the deleted items, which their owner sees.
    DeletedItems,
    /// Back to the inbox, from where its owner does not look.
    Inbox,
}

/// A mail in a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Letter<'a> {
    /// The mailbox, by its address.
    pub mailbox: &'a str,
    /// The mail, by its Internet message id.
    pub id: &'a str,
}

/// The Internet message id of a mail, with its angle brackets.
///
/// # Errors
/// Why it is none.
pub fn message_id(text: &str) -> Result<String, String> {
    let text = text.trim();
    let inner = text.strip_prefix('<').and_then(|it| it.strip_suffix('>')).unwrap_or(text);
    let sound = |c: char| c.is_ascii_graphic() && !"<>\"\\".contains(c);
    let whole = match inner.rsplit_once('@') {
        Some((left, right)) => !left.is_empty() && !right.is_empty(),
        None => false,
    };
    if !whole || inner.len() + 2 > LONGEST_ID || !inner.chars().all(sound) {
        return Err("a mail goes by its Internet message id, such as <1.2@mail.example>".into());
    }
    Ok(format!("<{inner}>"))
}

impl Move {
    /// The folder it moves to, by the product's own name for it.
    fn folder(self) -> Option<&'static str> {
        match self {
            Self::SoftDelete => Some(RECOVERABLE),
            Self::HardDelete => None,
            Self::Junk => Some("junkemail"),
            Self::DeletedItems => Some("deleteditems"),
            Self::Inbox => Some("inbox"),
        }
    }

    /// The folders that it makes a difference to be in: the one wanted or, for what is to be seen
    /// again, those where its owner does not look. A folder of its own making is left alone then.
    fn telling(self) -> &'static [&'static str] {
        match self {
            Self::SoftDelete | Self::HardDelete => &[],
            Self::Junk => &["junkemail"],
            Self::DeletedItems => &["deleteditems"],
            Self::Inbox => &["junkemail", "deleteditems"],
        }
    }

    /// What is sent, as far as it is known before a mailbox was read.
    #[must_use]
    pub fn shown(self, letter: Letter<'_>) -> Request {
        let (url, body) = self.one(letter, COPY);
        Request { method: "POST", path: format!("/v1.0{url}"), body }
    }

    /// What does it to one copy: an address behind the version, and a body.
    fn one(self, letter: Letter<'_>, copy: &str) -> (String, Option<Value>) {
        let path = format!("/users/{}/messages/{copy}", encoded(letter.mailbox));
        match self.folder() {
            Some(folder) => (format!("{path}/move"), Some(json!({ "destinationId": folder }))),
            None => (format!("{path}/permanentDelete"), None),
        }
    }

    /// What is to be sent after a reading; nothing where the mail is as wanted.
    ///
    /// # Errors
    /// Why nothing can be sent: a mail that is in no folder was never touched, and nobody is told
    /// that it was deleted. That may be because what finds mails lags behind, so it passes.
    pub fn request(self, letter: Letter<'_>, read: &Value) -> Result<Option<Request>, Fault> {
        let copies = Copies::of(self, read);
        if copies.more || copies.wrong.len() > MOST {
            let reason = format!(
                "there are more than {MOST} copies of the mail in the mailbox: somebody has to \
                 see to it there"
            );
            return Err(Fault::lasting(reason));
        }
        if copies.found == 0 {
            let reason = "the mail is not in the mailbox: there was nothing to do";
            return Err(Fault::passing(reason));
        }
        Ok(match copies.wrong.as_slice() {
            [] => None,
            [copy] => {
                let (url, body) = self.one(letter, &encoded(copy));
                Some(Request { method: "POST", path: format!("/v1.0{url}"), body })
            }
            several => {
                let requests: Vec<Value> = several
                    .iter()
                    .enumerate()
                    .map(|(place, copy)| {
                        let (url, body) = self.one(letter, &encoded(copy));
                        let mut part = json!({
                            "id": (place + 1).to_string(), "method": "POST", "url": url,
                            "headers": { "Prefer": IMMUTABLE },
                        });
                        if let Some(body) = body {
                            part["headers"]["Content-Type"] = json!("application/json");
                            part["body"] = body;
                        }
                        // A mailbox takes a few at a time only: one after the other.
                        if place > 0 {
                            part["dependsOn"] = json!([place.to_string()]);
                        }
                        part
                    })
                    .collect();
                let body = Some(json!({ "requests": requests }));
                Some(Request { method: "POST", path: "/v1.0/$batch".to_owned(), body })
            }
        })
    }

    /// What was read of a mailbox, in the words an action is proven by.
    #[must_use]
    pub fn reading(self, read: &Value) -> Value {
        let copies = Copies::of(self, read);
        json!({
            "copies": copies.found, "notAsWanted": copies.wrong.len(),
            "inFolders": copies.in_folders, "recoverable": copies.recoverable,
            "more": copies.more,
        })
    }
}

/// The copies of a mail, as far as they matter for what is to be done.
struct Copies<'a> {
    found: usize,
    /// The ids of those that are not where they are wanted.
    wrong: Vec<&'a str>,
    in_folders: usize,
    recoverable: usize,
    /// Whether there are some that were not read.
    more: bool,
}

impl<'a> Copies<'a> {
    fn of(what: Move, read: &'a Value) -> Self {
        let flag = |of: &Value, name: &str| of.get(name).and_then(Value::as_bool) == Some(true);
        // What is deleted for good, or is to be seen again, is looked for in both.
        let both = matches!(what, Move::HardDelete | Move::Inbox);
        let mut it = Self {
            found: 0,
            wrong: Vec::new(),
            in_folders: 0,
            recoverable: 0,
            more: flag(read, "moreInFolders") || (both && flag(read, "moreRecoverable")),
        };
        let all = read.get("copies").and_then(Value::as_array).into_iter().flatten();
        for copy in all {
            let (recoverable, telling) = (flag(copy, "recoverable"), flag(copy, "telling"));
            if recoverable {
                it.recoverable += 1;
            } else {
                it.in_folders += 1;
            }
            let right = match what {
                Move::SoftDelete => recoverable,
                Move::HardDelete => false,
                // What its owner has removed is not brought back to be filed as junk.
                Move::Junk | Move::DeletedItems if recoverable => continue,
                Move::Junk | Move::DeletedItems => telling,
                Move::Inbox => !recoverable && !telling,
            };
            it.found += 1;
            if !right {
                it.wrong.extend(copy.get("id").and_then(Value::as_str));
            }
        }
        it
    }
}

/// An id that the product gave, where it can be nothing else: a segment of a path.
fn key(of: &Map<String, Value>, name: &str) -> Option<String> {
    let text = of.get(name)?.as_str()?;
    let sound = |c: char| c.is_ascii_alphanumeric() || "-_=+/".contains(c);
    let fits = !text.is_empty() && text.len() <= LONGEST_KEY && text.chars().all(sound);
    fits.then(|| text.to_owned())
}

/// Copies on one page: the id and the folder of each, and whether there are more.
type Page = (Vec<(String, String)>, bool);

impl Open<'_> {
    /// Reads where each copy of a mail is in a mailbox.
    pub async fn read_mail(
        &self,
        app: &App,
        (what, letter): (Move, Letter<'_>),
        id: &str,
    ) -> Result<Value, Fault> {
        let mailbox = format!("/v1.0/users/{}", encoded(letter.mailbox));
        // All at once, so that a reading lasts no longer than a request; four is what a mailbox
        // takes.
        let telling = what.telling();
        let (in_folders, recoverable, one, two) = tokio::try_join!(
            self.copies(app, format!("{mailbox}/messages"), letter, id),
            self.copies(app, format!("{mailbox}/mailFolders/{RECOVERABLE}/messages"), letter, id),
            self.folder(app, &mailbox, telling.first(), id),
            self.folder(app, &mailbox, telling.get(1), id),
        )?;
        let mut copies: Vec<Value> =
            recoverable.0.iter().map(|(id, _)| json!({ "id": id, "recoverable": true })).collect();
        for (id, folder) in &in_folders.0 {
            // What was moved while both were read is where it was seen last.
            if !recoverable.0.iter().any(|(known, _)| known == id) {
                let telling = [&one, &two].into_iter().flatten().any(|it| it == folder);
                copies.push(json!({ "id": id, "recoverable": false, "telling": telling }));
            }
        }
        Ok(json!({
            "copies": copies,
            "moreInFolders": in_folders.1,
            "moreRecoverable": recoverable.1,
        }))
    }

    async fn copies(
        &self,
        app: &App,
        path: String,
        letter: Letter<'_>,
        id: &str,
    ) -> Result<Page, Fault> {
        let path = format!(
            "{path}?$filter=internetMessageId%20eq%20%27{}%27&$select=id,parentFolderId,\
             internetMessageId&$top={}",
            literal(letter.id),
            MOST + 1
        );
        let page = self.get_of(app, &path, id, "mailbox").await?;
        let all = page.get("value").and_then(Value::as_array).ok_or_else(|| self.unreadable())?;
        let mut copies = Vec::new();
        for copy in all.iter().take(MOST + 1) {
            let copy = copy.as_object().ok_or_else(|| self.unreadable())?;
            let of = copy.get("internetMessageId").and_then(Value::as_str).unwrap_or_default();
            if !of.eq_ignore_ascii_case(letter.id) {
                return Err(Fault::passing(format!("{} speaks of another mail", self.title())));
            }
            let ids = (key(copy, "id"), key(copy, "parentFolderId"));
            let (Some(id), Some(folder)) = ids else { return Err(self.unreadable()) };
            copies.push((id, folder));
        }
        let more = all.len() > MOST || page.get("@odata.nextLink").is_some();
        Ok((copies, more))
    }

    async fn folder(
        &self,
        app: &App,
        mailbox: &str,
        name: Option<&&str>,
        id: &str,
    ) -> Result<Option<String>, Fault> {
        let Some(name) = name else { return Ok(None) };
        let path = format!("{mailbox}/mailFolders/{name}?$select=id");
        let read = self.get_of(app, &path, id, "mailbox").await?;
        key(&read, "id").map(Some).ok_or_else(|| self.unreadable())
    }

    /// Sends what does something to a mail, once.
    pub async fn send_mail(&self, app: &App, request: &Request, order: &str) -> Told {
        let answer = match self.exchange(app, request, order).await {
            Ok(answer) => answer,
            Err(told) => return told,
        };
        let several = request.body.as_ref().and_then(|it| it.get("requests")?.as_array());
        match (several, answer.status()) {
            (Some(several), StatusCode::OK) => self.told_of(&answer, several.len()),
            (None, StatusCode::NOT_FOUND) => self.gone(),
            (Some(_), status @ StatusCode::NOT_FOUND) => self.refused(status),
            _ => self.told(&answer),
        }
    }

    /// The copy was there when it was read: its owner was quicker. Nothing was done, and where it is
    /// now is read before anything else is sent.
    fn gone(&self) -> Told {
        let reason = format!("{} does not find the mail where it was read", self.title());
        Told::Later { seconds: 5, reason, certain: true }
    }

    /// What a batch was answered. Only what says of every part that it was not done is as good as
    /// never sent.
    fn told_of(&self, answer: &Response<Vec<u8>>, parts: usize) -> Told {
        let title = self.title();
        let said = members(answer).unwrap_or_default();
        let all = said.get("responses").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let part = |number: usize| {
            let wanted = number.to_string();
            let it = all.iter().find(|it| it.get("id").and_then(Value::as_str) == Some(&wanted))?;
            let code = u16::try_from(it.get("status")?.as_u64()?).ok()?;
            Some((StatusCode::from_u16(code).ok()?, it))
        };
        let told: Option<Vec<_>> = (1..=parts).map(part).collect();
        let Some(told) = told.filter(|_| all.len() == parts) else {
            return Told::Lost(format!("{title} does not say what it did"));
        };
        if told.iter().all(|(status, _)| status.is_success()) {
            return Told::Accepted;
        }
        if told.iter().any(|(status, _)| !status.is_client_error()) {
            return Told::Lost(format!("{title} did a part of it at most"));
        }
        // Those behind the first one were left out because of it.
        let first = told.iter().find(|(status, _)| *status != StatusCode::FAILED_DEPENDENCY);
        match first {
            Some((StatusCode::NOT_FOUND, _)) => self.gone(),
            Some((StatusCode::TOO_MANY_REQUESTS, part)) => {
                let after = part.get("headers").and_then(|it| it.get("Retry-After"));
                let after = after.and_then(Value::as_str).and_then(|it| it.trim().parse().ok());
                Told::Later {
                    seconds: after.or(retry_after(answer)).unwrap_or(30).clamp(1, 3_600),
                    reason: format!("{title} has too much to do"),
                    certain: true,
                }
            }
            Some((StatusCode::REQUEST_TIMEOUT, _)) | None => {
                Told::Lost(format!("{title} does not say what it did"))
            }
            Some((status, _)) => self.refused(*status),
        }
    }

    fn refused(&self, status: StatusCode) -> Told {
        Told::Refused(format!("{} refused it: {}", self.title(), meaning(status, "mailbox")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTER: Letter<'_> = Letter { mailbox: "o'kari@alder.example", id: "<1@mail.example>" };

    fn read(copies: &[(&str, bool, bool)]) -> Value {
        let all: Vec<Value> = copies
            .iter()
            .map(|(id, recoverable, telling)| {
                json!({ "id": id, "recoverable": recoverable, "telling": telling })
            })
            .collect();
        json!({ "copies": all, "moreInFolders": false, "moreRecoverable": false })
    }

    #[test]
    fn only_message_ids_are_message_ids() {
        assert_eq!(message_id(" 1.2@mail.example ").as_deref(), Ok("<1.2@mail.example>"));
        assert_eq!(message_id("<o'b+1$@[192.0.2.7]>").as_deref(), Ok("<o'b+1$@[192.0.2.7]>"));
        for bad in [
            "",
            "<>",
            "<@>",
            "<a@>",
            "<@b>",
            "abc",
            "<a b@c>",
            "<a@b",
            "a@b>",
            "<<a@b>>",
            "<a\"@b>",
            "<a\\@b>",
            "<a@b\n>",
            "<a@b\u{0}>",
            "<ä@b>",
            "<a@b> or 1 eq 1",
        ] {
            assert!(message_id(bad).is_err(), "{bad:?}");
        }
        assert!(message_id(&format!("<{}@b>", "a".repeat(995))).is_err());
        assert!(message_id(&format!("<{}@b>", "a".repeat(994))).is_ok());
    }

    #[test]
    fn one_copy_is_one_request_and_several_are_one_batch_in_order() {
        let one = Move::Junk.request(LETTER, &read(&[("AAk=", false, false)]));
        let one = one.expect("a request").expect("something to send");
        assert_eq!(one.path, "/v1.0/users/o%27kari%40alder.example/messages/AAk%3D/move");
        assert_eq!(one.body, Some(json!({ "destinationId": "junkemail" })));
        let two = read(&[("a", false, false), ("b", true, false)]);
        let two = Move::HardDelete.request(LETTER, &two).expect("a request").expect("something");
        assert_eq!(two.path, "/v1.0/$batch");
        let parts = two.body.expect("a body")["requests"].clone();
        assert_eq!(parts[1]["url"], "/users/o%27kari%40alder.example/messages/b/permanentDelete");
        assert_eq!((&parts[1]["dependsOn"], &parts[0]["dependsOn"]), (&json!(["1"]), &Value::Null));
        assert_eq!(parts[0]["headers"]["Prefer"], "IdType=\"ImmutableId\"");
    }

    #[test]
    fn what_is_sent_is_what_is_not_as_wanted() {
        let all = read(&[("f", false, false), ("t", false, true), ("r", true, false)]);
        for (what, found, wrong) in [
            (Move::SoftDelete, 3, 2),
            (Move::HardDelete, 3, 3),
            (Move::Junk, 2, 1),
            (Move::DeletedItems, 2, 1),
            (Move::Inbox, 3, 2),
        ] {
            let read = what.reading(&all);
            assert_eq!((&read["copies"], &read["notAsWanted"]), (&json!(found), &json!(wrong)));
        }
        let removed = read(&[("r", true, false)]);
        assert_eq!(Move::SoftDelete.request(LETTER, &removed), Ok(None));
        for (what, read) in [(Move::Junk, &removed), (Move::HardDelete, &read(&[]))] {
            let why = what.request(LETTER, read).expect_err("nothing to send");
            assert!(!why.lasting && why.reason.contains("is not in the mailbox"), "{why:?}");
        }
        let many: Vec<_> = (0..21).map(|_| ("a", false, false)).collect();
        let why = Move::SoftDelete.request(LETTER, &read(&many)).expect_err("too many");
        assert!(why.lasting, "{why:?}");
    }

    #[test]
    fn an_id_of_the_product_is_no_way_out_of_its_segment() {
        let of = |id: &str| key(json!({ "id": id }).as_object().expect("an object"), "id");
        assert_eq!(of("AAMk-_+/=").as_deref(), Some("AAMk-_+/="));
        for bad in ["", "..", ".", "a?b", "a#b", "a b", "a%2e", "ä", &"a".repeat(513)] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
