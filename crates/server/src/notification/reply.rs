//! A mail that comes back, read: whether a person wrote it, who that is and how it is proven, and what
//! they wrote above what they answer to. Pure.
//!
//! Each mail of ours that can be answered has an address of its own to answer to ([`Address`]); only
//! who got that mail knows it. It opens nothing by itself: the sender has to be the contact the mail
//! went to, and the mail server in front of us has to say that it is (RFC 8601). Programs that answer
//! by themselves are told from people by what RFC 3834 asks of them and by what they do instead.
//! Invariant: nothing here trusts what the sender could have written itself. Not here: what follows
//! (`inbox`).

use mail_parser::{Message, MessageParser, MimeHeaders as _, PartType};

use crate::conversation;

/// Bytes of the mark in an address: no one guesses 80 bits by mail.
pub const MARK: usize = 10;
/// The longest part of an address before the `+`: with the rest it is 64 characters, as RFC 5321 has it.
const LONGEST_USER: usize = 11;
/// Where a mail of ours says that what is written above it is the answer.
pub const RULE: &str = "――――";
/// What is said where an answer was too long.
const CUT: &str = "\n\n[The mail goes on. The rest was left out.]";

/// The address to which answers go, with an id behind a `+` (RFC 5233).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    user: String,
    domain: String,
}

/// What an address to answer to says: of which delivery, and what proves that we made it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// The delivery's id.
    pub delivery: String,
    /// The mark.
    pub mark: [u8; MARK],
}

impl Address {
    /// An address as an operator writes it: `reply@mdr.example`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(text: &str) -> Result<Self, String> {
        let (user, domain) = text.trim().split_once('@').ok_or("it is no mail address")?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        let sound = !user.is_empty()
            && user.len() <= LONGEST_USER
            && user.chars().all(plain)
            && domain.contains('.')
            && domain.len() <= 253
            && domain.chars().all(plain);
        if !sound {
            return Err(format!(
                "it is an address such as reply@mdr.example, with 1 to {LONGEST_USER} characters \
                 before the @"
            ));
        }
        Ok(Self { user: user.to_lowercase(), domain: domain.to_lowercase() })
    }

    /// The address to answer a delivery to.
    #[must_use]
    pub fn of(&self, token: &Token) -> String {
        format!("{}+{}{}@{}", self.user, token.delivery, hex::encode(token.mark), self.domain)
    }

    /// What an address says that a mail came to; `None` when it is not one of ours.
    #[must_use]
    pub fn token(&self, to: &str) -> Option<Token> {
        // A mail server on the way may write it in other letters.
        let to = to.trim().to_ascii_lowercase();
        let (user, domain) = to.rsplit_once('@')?;
        let said = user.strip_prefix(&self.user)?.strip_prefix('+')?;
        let (delivery, mark) = said.split_at_checked(32)?;
        let known = domain == self.domain && delivery.bytes().all(|b| b.is_ascii_hexdigit());
        let mark = hex::decode(mark).ok()?.try_into().ok()?;
        known.then(|| Token { delivery: delivery.to_owned(), mark })
    }
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Somebody wrote.
    Words(Words),
    /// A mail server could not bring our mail where it was to go.
    Bounce {
        /// Whether that stays so.
        lasting: bool,
        /// What it says, in one line.
        said: String,
    },
    /// A program wrote by itself; why we think so.
    Automatic(&'static str),
    /// Nothing of it can be used; why.
    Nothing(&'static str),
}

/// What somebody wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words {
    /// The address it says it is from, in lower case.
    pub from: String,
    /// Why it is not shown to be from there; `None` when it is.
    pub doubt: Option<&'static str>,
    /// The mail's own id, where it has one.
    pub id: Option<String>,
    /// What was written above what is answered to.
    pub text: String,
    /// Files that came with it.
    pub files: usize,
}

/// Reads a mail that came to an address of ours. `from` is what the transport says of its sender, empty
/// for a report; `authority` is the name under which the mail server in front of us says what it found
/// out (`authserv-id`), without which nobody is proven.
#[must_use]
pub fn read(data: &[u8], from: &str, authority: Option<&str>) -> Reply {
    let Some(mail) = MessageParser::default().parse(data) else {
        return Reply::Nothing("it cannot be read as a mail");
    };
    if let Some(bounce) = bounce(&mail) {
        return bounce;
    }
    if let Some(why) = automatic(&mail, from) {
        return Reply::Automatic(why);
    }
    let headers = |name: &str| -> Vec<&str> {
        let named = mail.headers_raw().filter(|(it, _)| it.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    };
    let mut from = mail.from().into_iter().flat_map(|it| it.iter());
    let sender = match (headers("From").len(), from.next(), from.next()) {
        (1, Some(one), None) => one.address(),
        _ => None,
    };
    let Some(sender) = sender.map(str::to_ascii_lowercase) else {
        return Reply::Nothing("it does not say who it is from");
    };
    let written = mail.body_text(0).unwrap_or_default();
    let text = above(&written);
    if text.is_empty() {
        return Reply::Nothing("nothing is written in it");
    }
    let id = mail.message_id().filter(|id| id.len() <= 998).map(str::to_owned);
    Reply::Words(Words {
        doubt: doubt(&headers("Authentication-Results"), authority, &sender),
        from: sender,
        id,
        text: shortened(&text),
        files: mail.attachment_count(),
    })
}

/// A report about a mail of ours that went no further (RFC 3464).
fn bounce(mail: &Message<'_>) -> Option<Reply> {
    let report = mail.parts.iter().find(|part| {
        part.content_type().is_some_and(|it| {
            it.ctype().eq_ignore_ascii_case("message")
                && it.subtype().is_some_and(|it| it.eq_ignore_ascii_case("delivery-status"))
        })
    })?;
    let text = match &report.body {
        PartType::Text(text) => text.as_ref().to_owned(),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        _ => return None,
    };
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (named, value) = line.split_once(':')?;
            named.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let failed = field("Action").is_some_and(|it| it.eq_ignore_ascii_case("failed"));
    let status = field("Status").unwrap_or_default();
    let said = field("Diagnostic-Code").unwrap_or_default();
    // `smtp; 550 5.1.1 unknown`
    let said = said.split_once(';').map_or(said.as_str(), |(_, said)| said).trim().to_owned();
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let said: String = format!("{status} {said}").trim().chars().map(plain).take(200).collect();
    Some(Reply::Bounce { lasting: failed, said })
}

/// Why a mail was written by a program; `None` when a person may have written it.
fn automatic(mail: &Message<'_>, from: &str) -> Option<&'static str> {
    if from.is_empty() {
        return Some("it has no sender to answer to");
    }
    for (name, value) in mail.headers_raw() {
        let value = value.trim().to_ascii_lowercase();
        match name.to_ascii_lowercase().as_str() {
            "auto-submitted" if !value.starts_with("no") => {
                return Some("a program sent it by itself");
            }
            "precedence" if ["bulk", "junk", "list", "auto_reply"].contains(&value.as_str()) => {
                return Some("it went to many at once");
            }
            "list-id" | "list-unsubscribe" => return Some("it went to a mailing list"),
            "x-autoreply" | "x-autorespond" | "x-autoresponder" | "x-autoreply-from" => {
                return Some("a program answered by itself");
            }
            _ => {}
        }
    }
    let user = from.split('@').next().unwrap_or_default().to_ascii_lowercase();
    ["mailer-daemon", "postmaster", "no-reply", "noreply"]
        .contains(&user.as_str())
        .then_some("it comes from a program's mailbox")
}

/// Why a mail is not shown to be from its sender; `None` when it is: the server in front of us, in the
/// first of its words, says so of the very domain.
fn doubt(found: &[&str], authority: Option<&str>, sender: &str) -> Option<&'static str> {
    let Some(authority) = authority else {
        return Some("no mail server is named whose findings count (mail.authority)");
    };
    let domain = sender.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    // Ours are on top and next to each other; what is below came with the mail.
    let ours = found.iter().map(|it| results(it)).skip_while(|(by, _)| by != authority);
    let mut proven = false;
    let mut any = false;
    for (_, methods) in ours.take_while(|(by, _)| by == authority) {
        any = true;
        for method in methods {
            let passed = method.result == "pass";
            match method.name.as_str() {
                "dmarc" if !passed && method.result != "none" => {
                    return Some("its sender's domain says that it is not from there (DMARC)");
                }
                "dmarc" => proven |= passed && method.says("header.from", domain),
                "dkim" => {
                    proven |= passed
                        && (method.says("header.d", domain) || method.says("header.i", domain));
                }
                "spf" => proven |= passed && method.says("smtp.mailfrom", domain),
                _ => {}
            }
        }
    }
    match (any, proven) {
        (_, true) => None,
        (true, false) => Some("nothing shows that it is from its sender (DMARC, DKIM, SPF)"),
        (false, false) => Some("the mail server in front of us says nothing about it"),
    }
}

/// What was found out by one method.
struct Method {
    name: String,
    result: String,
    properties: Vec<(String, String)>,
}

impl Method {
    /// Whether it found this of the domain, or of one that this domain is below.
    fn says(&self, property: &str, domain: &str) -> bool {
        self.properties.iter().any(|(name, value)| {
            let of = value.rsplit_once('@').map_or(value.as_str(), |(_, of)| of);
            name == property
                && of.contains('.')
                && (domain == of || domain.strip_suffix(of).is_some_and(|it| it.ends_with('.')))
        })
    }
}

/// Who found something out, and what by which method (RFC 8601).
fn results(value: &str) -> (String, Vec<Method>) {
    let value = uncommented(value).to_ascii_lowercase();
    let mut pieces = value.split(';');
    let by = pieces.next().unwrap_or_default().split_whitespace().next().unwrap_or_default();
    let methods = pieces.filter_map(|piece| {
        let mut words = piece.split_whitespace();
        let (name, result) = words.next()?.split_once('=')?;
        let name = name.split('/').next().unwrap_or_default();
        let properties = words.filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.trim_matches('"').to_owned()))
        });
        Some(Method {
            name: name.to_owned(),
            result: result.to_owned(),
            properties: properties.collect(),
        })
    });
    (by.to_owned(), methods.collect())
}

/// A header's value without comments; what is in quotes is none, and separates nothing.
fn uncommented(value: &str) -> String {
    let (mut depth, mut quoted) = (0_usize, false);
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if depth > 0 || quoted => {
                chars.next();
            }
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => depth -= 1,
            // Blanks and semicolons of a quoted text are part of it.
            _ if quoted && (c == ';' || c.is_whitespace() || c == '=') => out.push('_'),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// What was written above what is answered to, and between its lines where those are quoted.
fn above(written: &str) -> String {
    let lines: Vec<&str> = written.lines().map(str::trim_end).collect();
    let bare = |line: &str| line.trim_start_matches(['>', ' ', '\u{a0}']).to_owned();
    let rule = lines.iter().position(|line| bare(line).starts_with(RULE));
    let quotes = |line: &&str| line.trim_start().starts_with('>');
    let mut kept: Vec<&str> = match rule {
        // Ours is quoted line by line: what is not quoted is theirs, wherever it stands.
        Some(at) if quotes(&lines[at]) => {
            let mut kept = introduced(&lines[..at]);
            kept.extend(lines[at..].iter().filter(|line| !quotes(line)));
            kept
        }
        Some(at) => introduced(&lines[..at]),
        None => lines.into_iter().filter(|line| !quotes(line)).collect(),
    };
    if let Some(at) = kept.iter().position(|line| *line == "--") {
        kept.truncate(at);
    }
    let blank = |line: &&str| line.is_empty();
    let mut text: Vec<&str> = Vec::new();
    for line in kept {
        if !(blank(&line) && text.last().is_none_or(blank)) {
            text.push(line);
        }
    }
    text.join("\n").trim().to_owned()
}

/// Lines without what a mail program puts before a mail that is answered: quoted lines, `On … wrote:`
/// of one line or two, a rule, or a block that begins with `From:`.
fn introduced<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let mut lines: Vec<&str> =
        lines.iter().copied().filter(|line| !line.trim_start().starts_with('>')).collect();
    let trim = |lines: &mut Vec<&str>| {
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
    };
    trim(&mut lines);
    // Outlook's header of what is answered: some lines `Name: value` behind a rule or a blank line.
    let field = |line: &str| {
        line.split_once(':').is_some_and(|(name, value)| {
            !value.trim().is_empty() && !name.is_empty() && name.chars().count() <= 24
        })
    };
    let fields = lines.iter().rev().take_while(|line| field(line)).count();
    if fields >= 3 {
        lines.truncate(lines.len() - fields);
        trim(&mut lines);
        let rule = |line: &str| {
            let line = line.trim();
            line.len() >= 5 && (line.starts_with("-----") || line.chars().all(|c| c == '_'))
        };
        if lines.last().is_some_and(|line| rule(line)) {
            lines.pop();
        }
    } else if lines.last().is_some_and(|line| line.trim_end().ends_with([':', '：'])) {
        // Folded, its first line has the day and the second one the name.
        let whole = |line: &str| line.chars().any(|c| c.is_ascii_digit());
        let last = lines.pop().unwrap_or_default();
        if !whole(last) && lines.last().is_some_and(|line| whole(line)) {
            lines.pop();
        }
    }
    trim(&mut lines);
    lines
}

/// A text that a conversation takes, without what no reader sees.
fn shortened(text: &str) -> String {
    let plain = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let text: String = text.chars().filter(plain).collect();
    if text.chars().count() <= conversation::LONGEST {
        return text;
    }
    let room = conversation::LONGEST - CUT.chars().count();
    text.chars().take(room).chain(CUT.chars()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MX: Option<&str> = Some("mx.mdr.example");
    const DMARC: &str = "mx.mdr.example; dmarc=pass (p=REJECT) header.from=alder.example";

    fn mail(head: &str, body: &str) -> Vec<u8> {
        format!("From: Ida <ida@alder.example>\r\n{head}\r\n{body}\r\n").into_bytes()
    }

    fn words(data: &[u8]) -> Words {
        match read(data, "ida@alder.example", MX) {
            Reply::Words(words) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_comes_back_as_it_was_made_in_whatever_letters() {
        let address = Address::read("Reply@mdr.example").expect("an address");
        let token = Token { delivery: "0123456789abcdef".repeat(2), mark: [7; MARK] };
        let made = address.of(&token);
        assert!(made.split('@').next().expect("a user").len() <= 64, "{made}");
        assert_eq!(address.token(&made).as_ref(), Some(&token));
        assert_eq!(address.token(&made.to_uppercase()).as_ref(), Some(&token));
        for other in [
            made.replace("mdr.example", "evil.example"),
            made.replace("reply+", "reply"),
            made.replace('0', "x"),
            made.replace('@', "00@"),
            "reply@mdr.example".to_owned(),
        ] {
            assert_eq!(address.token(&other), None, "{other}");
        }
        for bad in ["reply", "@mdr.example", "a b@mdr.example", "reply@mdr", "replytoeverybody@a.b"]
        {
            assert!(Address::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_what_the_server_in_front_found_out_proves_a_sender() {
        let proven = |head: &str| words(&mail(head, "\r\nyes")).doubt.is_none();
        for good in [
            DMARC,
            "mx.mdr.example 1; dkim=pass (2048-bit key; (x)) header.d=alder.example header.s=a",
            "mx.mdr.example; spf=pass smtp.mailfrom=ida@alder.example; dmarc=none",
            "MX.mdr.example; dkim=pass header.i=@alder.example",
        ] {
            assert!(proven(&format!("Authentication-Results: {good}\r\n")), "{good}");
        }
        for bad in [
            "mx.evil.example; dmarc=pass header.from=alder.example",
            "mx.mdr.example; dmarc=fail header.from=alder.example; dkim=pass header.d=alder.example",
            "mx.mdr.example; dmarc=pass header.from=evil.example",
            "mx.mdr.example; dkim=pass header.d=der.example",
            "mx.mdr.example; dkim=pass header.d=example",
            "mx.mdr.example; dkim=fail header.d=alder.example",
            "mx.mdr.example; spf=pass smtp.mailfrom=alder.example.evil.example",
            "mx.mdr.example; spf=pass (dmarc=pass header.from=alder.example) smtp.mailfrom=x@y.example",
            "mx.mdr.example; x=\"; dmarc=pass header.from=alder.example\"",
            "mx.mdr.example; none",
            "x; mx.mdr.example; dmarc=pass header.from=alder.example",
        ] {
            assert!(!proven(&format!("Authentication-Results: {bad}\r\n")), "{bad}");
        }
        assert!(!proven(""), "nobody says anything");
        let below = format!(
            "Authentication-Results: mx.mdr.example; spf=none\r\nAuthentication-Results: \
             mx.other.example; spf=none\r\nAuthentication-Results: {DMARC}\r\n"
        );
        assert!(!proven(&below), "what came with the mail is no finding of ours");
        let both = format!(
            "Authentication-Results: mx.mdr.example; spf=none\r\nAuthentication-Results: {DMARC}\r\n"
        );
        assert!(proven(&both), "each of its filters writes a line of its own");
        let Reply::Words(unnamed) =
            read(&mail(&format!("Authentication-Results: {DMARC}\r\n"), "\r\nyes"), "a@b.c", None)
        else {
            panic!("words")
        };
        assert!(unnamed.doubt.is_some(), "nobody is named whose word counts");
    }

    #[test]
    fn programs_are_told_from_people() {
        for head in [
            "Auto-Submitted: auto-replied\r\n",
            "auto-submitted: auto-generated (vacation)\r\n",
            "Precedence: bulk\r\n",
            "List-Id: <all.alder.example>\r\n",
            "X-Autoreply: yes\r\n",
        ] {
            let got = read(&mail(head, "\r\nI am away"), "ida@alder.example", MX);
            assert!(matches!(got, Reply::Automatic(_)), "{head}: {got:?}");
        }
        assert!(matches!(read(&mail("", "\r\nx"), "", MX), Reply::Automatic(_)));
        assert!(matches!(
            read(&mail("", "\r\nx"), "MAILER-DAEMON@alder.example", MX),
            Reply::Automatic(_)
        ));
        assert_eq!(words(&mail("Auto-Submitted: no\r\n", "\r\nyes")).text, "yes");
    }

    #[test]
    fn a_report_that_a_mail_went_no_further_is_one() {
        let data = b"From: <MAILER-DAEMON@alder.example>\r\nContent-Type: multipart/report; \
            report-type=delivery-status; boundary=x\r\nMIME-Version: 1.0\r\n\r\n--x\r\n\r\nSorry.\r\n\
            --x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n\
            Final-Recipient: rfc822; ida@alder.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
            Diagnostic-Code: smtp; 550 no such user\r\n\r\n--x--\r\n";
        let said = "5.1.1 550 no such user".to_owned();
        assert_eq!(read(data, "", MX), Reply::Bounce { lasting: true, said });
        let late = String::from_utf8_lossy(data).replace("failed", "delayed");
        assert!(matches!(read(late.as_bytes(), "", MX), Reply::Bounce { lasting: false, .. }));
    }

    #[test]
    fn who_says_several_senders_or_none_is_not_heard() {
        for head in ["From: x@y.example\r\n\r\nx", "\r\n"] {
            let data = format!("From: Ida <ida@alder.example>\r\n{head}");
            assert!(matches!(read(data.as_bytes(), "a@b.c", MX), Reply::Nothing(_)), "{head}");
        }
        let two = b"From: ida@alder.example, x@y.example\r\n\r\nyes\r\n";
        assert!(matches!(read(two, "a@b.c", MX), Reply::Nothing(_)));
        assert!(matches!(read(b"", "a@b.c", MX), Reply::Nothing(_) | Reply::Automatic(_)));
    }

    #[test]
    fn what_is_answered_to_is_left_out() {
        let ours = format!("{RULE} Write above this line {RULE}\nFjordwatch needs you");
        let quoted = format!("> {}\n", ours.replace('\n', "\n> "));
        for (written, text) in [
            (format!("Dock-3 first.\n\n{ours}"), "Dock-3 first."),
            (
                format!(
                    "Dock-3.\n\nThanks\n-- \nIda\n\nOn 22 Nov 2026 at 08:01, Fjordwatch wrote:\n{quoted}"
                ),
                "Dock-3.\n\nThanks",
            ),
            (
                format!(
                    "Ja.\n\nAm So., 22. Nov. 2026 um 08:01 Uhr schrieb Fjordwatch\n<soc@fjordwatch.example>:\n\n{quoted}"
                ),
                "Ja.",
            ),
            (
                format!(
                    "Yes.\n\n________________________________\nFrom: Fjordwatch\nSent: Sunday\nTo: Ida\nSubject: x\n\n{ours}"
                ),
                "Yes.",
            ),
            (format!("{quoted}\nBelow it."), "Below it."),
            (format!("Two things:\n\n{quoted}first\n> more\nsecond"), "first\nsecond"),
            ("A list:\n1. a\n2. b".to_owned(), "A list:\n1. a\n2. b"),
            ("> only what we said".to_owned(), ""),
        ] {
            assert_eq!(above(&written), text, "{written}");
        }
    }

    #[test]
    fn an_answer_fits_into_a_conversation() {
        let data = mail("", &format!("\r\n{}", "long \u{7}".repeat(9_000)));
        let text = words(&data).text;
        assert!(text.chars().count() <= conversation::LONGEST && text.ends_with(CUT.trim_start()));
        assert!(!text.contains('\u{7}'));
    }

    proptest! {
        #[test]
        fn no_mail_breaks_the_reader(data in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let _ = read(&data, "ida@alder.example", MX);
        }

        #[test]
        fn no_text_breaks_the_reader(written in "(?s)[>― \n:_a-zß0-9@-]{0,300}") {
            let kept = above(&written);
            prop_assert!(kept.chars().count() <= written.chars().count());
            let _ = results(&written);
        }
    }
}
