//! Conversations: the chat of an incident with a published response (COM-1), and the customer's
//! questions to the experts (ASK-1).
//!
//! A conversation is words in order. Each is the customer's, an expert's or the virtual assistant's,
//! and is seen by both sides or by the experts alone. Invariants: an incident's chat is there exactly
//! when a response was published (INV-4), since it begins in that very change; what experts say among
//! themselves the customer neither reads nor counts, though its audit log has that they did; a word is
//! never changed and never lost. Files are not sent here (COM-6). Not here: whose turn it is (`model`),
//! the page of all conversations (`list`), how words come in and go out by mail (`notification`).

pub mod credit;
pub mod list;
pub mod model;
pub mod translation;

use sea_orm::QueryResult;
use serde_json::{Value, json};

use crate::actor::{Actor, ActorKind};
use crate::app::App;
use crate::clock::Timestamp;
use crate::contact;
use crate::conversation::model::{
    ASSISTANT, FILES_LEFT_OUT, NOT_FORGOTTEN, PATIENCE_S, Side, Turn,
};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{IncidentId, TenantNo};
use crate::permission::Permission;
use crate::service_clock;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// The longest message, in characters.
pub const LONGEST: usize = 10_000;
/// The longest subject and remark, in characters.
const LONGEST_LINE: usize = 200;
/// Addresses that a question names to be told of its answers.
const MOST_TOLD: usize = 5;
const LONGEST_REMARK: usize = 1_000;
/// Waits that are looked at in one go.
const LOOKED_AT: i64 = 200;

/// What a question is about (ASK-1).
pub const ABOUT: [&str; 5] = ["incident", "alert", "device", "file", "user"];

/// A conversation.
#[derive(Clone, Debug)]
pub struct Thread {
    /// `incident-7` or `question-3`.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantNo,
    /// The incident whose chat it is.
    pub incident: Option<IncidentId>,
    /// A question's subject.
    pub subject: Option<String>,
    /// What a question is about: `kind`, `id`, `name`.
    pub about: Option<Value>,
    /// Who began it, and when.
    pub opened: (String, Timestamp),
    /// The number of the last message, also of those only experts see.
    pub last: i64,
    /// The number of the last message that both sides see; 0 where there is none.
    pub last_shared: i64,
    /// When that was.
    pub last_at: Timestamp,
    /// Whose turn it is.
    pub turn: Turn,
    /// When it was closed, until somebody writes again.
    pub closed: Option<Timestamp>,
}

/// The columns of a thread, in the order of [`Thread::from_row`].
pub(crate) const THREAD: &str = "thread.id, thread.tenant_no, thread.incident_id, thread.subject, \
                                 thread.about, thread.opened_by, thread.opened_at, \
                                 thread.last_number, thread.last_shared, thread.last_at, \
                                 thread.waits_for, thread.waits_since, thread.told_at, \
                                 thread.closed_at";

impl Thread {
    pub(crate) fn from_row(row: &QueryResult) -> Result<Self> {
        let at = |index| -> Result<Option<Timestamp>> {
            Ok(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros))
        };
        let id: String = column(row, 0)?;
        let (waits, since): (String, _) = (column(row, 10)?, at(11)?);
        let turn = match (waits.as_str(), since) {
            ("nobody", _) => Turn::Nobody,
            ("customer", _) => Turn::Customer,
            ("experts", Some(since)) => Turn::Experts { since, told: at(12)? },
            _ => return Err(Error::Internal(format!("thread {id} waits for {waits}"))),
        };
        let about: Option<String> = column(row, 4)?;
        Ok(Self {
            tenant: TenantNo(column(row, 1)?),
            incident: column::<Option<i64>>(row, 2)?.map(IncidentId),
            subject: column(row, 3)?,
            about: about.and_then(|text| serde_json::from_str(&text).ok()),
            opened: (column(row, 5)?, Timestamp::from_micros(column(row, 6)?)),
            last: column(row, 7)?,
            last_shared: column(row, 8)?,
            last_at: Timestamp::from_micros(column(row, 9)?),
            turn,
            closed: at(13)?,
            id,
        })
    }

    /// `waitingForExperts`, `answered`, `quiet` while nobody has said anything, or `closed`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match (self.closed, self.turn) {
            (Some(_), _) => "closed",
            (None, Turn::Experts { .. }) => "waitingForExperts",
            (None, Turn::Customer) => "answered",
            (None, Turn::Nobody) => "quiet",
        }
    }

    /// `managedResponse` or `question`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.incident.is_some() { "managedResponse" } else { "question" }
    }
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// Its place in the conversation.
    pub number: i64,
    /// Whose word it is.
    pub side: Side,
    /// The name of who wrote it.
    pub author: String,
    /// Its person's or application's id; none for the assistant.
    pub author_id: Option<String>,
    /// Whether the customer sees it.
    pub shared: bool,
    /// What it says: plain text with light Markdown.
    pub text: String,
    /// When.
    pub at: Timestamp,
    /// By which way it came in, such as `mail`; none in the portal and through the API.
    pub via: Option<String>,
}

const MESSAGE: &str = "id, number, side, author, author_id, shared, text, sent_at, via";

impl Message {
    /// From the columns of [`MESSAGE`], of which the first is `first`.
    fn from_columns(row: &QueryResult, first: usize) -> Result<Self> {
        let side: String = column(row, first + 2)?;
        let unknown = || Error::Internal(format!("a message is of the side {side}"));
        Ok(Self {
            id: column(row, first)?,
            number: column(row, first + 1)?,
            side: Side::read(&side).ok_or_else(unknown)?,
            author: column(row, first + 3)?,
            author_id: column(row, first + 4)?,
            shared: column::<i64>(row, first + 5)? != 0,
            text: column(row, first + 6)?,
            at: Timestamp::from_micros(column(row, first + 7)?),
            via: column(row, first + 8)?,
        })
    }
}

/// On whose side a caller speaks.
#[must_use]
pub fn side(caller: &Caller) -> Side {
    if caller.actor().kind == ActorKind::Expert { Side::Expert } else { Side::Customer }
}

/// What narrows messages down to those that the caller's side sees.
fn shared_for(caller: &Caller) -> &'static str {
    if side(caller) == Side::Expert { "" } else { " and shared = 1" }
}

fn unknown(id: &str) -> Error {
    // Ids come from outside: what is not of our making is not repeated.
    let plain = id.len() <= 40 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    Error::NotFound(if plain {
        format!("the conversation {id} does not exist")
    } else {
        "the conversation does not exist".to_owned()
    })
}

/// The id of an incident's chat.
#[must_use]
pub fn of_incident(id: IncidentId) -> String {
    format!("incident-{id}")
}

/// The conversation of an id within the caller's reach.
///
/// # Errors
/// `NotFound`, in the same words for an unknown and for a foreign one; `NoAccess` when the caller sees
/// the tenant's queue and is not inside.
pub async fn find(app: &App, caller: &Caller, id: &str) -> Result<Thread> {
    let sql = format!("select {THREAD} from thread where id = $1");
    let row = caller.view(app).query_one(&sql, vec![id.into()]).await?;
    let thread = row.as_ref().map(Thread::from_row).transpose()?;
    let thread = thread.filter(|thread| caller.queue.includes(thread.tenant));
    let thread = thread.ok_or_else(|| unknown(id))?;
    caller.require_inside(app, thread.tenant, unknown(id)).await?;
    Ok(thread)
}

/// Why a caller may not write in a conversation; `None` when it may. In an incident's chat the
/// customer's operators do; a question is anybody's who reads (PER-6).
#[must_use]
pub fn may_not_write(caller: &Caller, thread: &Thread) -> Option<&'static str> {
    let expert = side(caller) == Side::Expert;
    let allowed = match (expert, thread.incident) {
        (true, _) => caller.may(&[Permission::Experts]),
        (false, Some(_)) => caller.may(&[Permission::IncidentReadWrite]),
        (false, None) => caller.may(&[Permission::IncidentRead]),
    };
    (!allowed).then_some("your role reads conversations and does not take part in them")
}

/// A message as somebody sends it.
#[derive(Clone, Debug)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Whether the customer sees it.
    pub shared: bool,
}

fn line(field: &str, given: &str, most: usize) -> Result<String> {
    let given = given.trim();
    if given.is_empty() {
        return Err(Error::Invalid(format!("{field} must not be empty")));
    }
    let plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    if !given.chars().all(plain) {
        return Err(Error::Invalid(format!("{field} contains a control character")));
    }
    if given.chars().count() > most {
        return Err(Error::Invalid(format!("{field} is longer than {most} characters")));
    }
    Ok(given.to_owned())
}

/// Begins the chat of an incident whose response is being published, in that change; one that is there
/// stays.
pub(crate) async fn open(tx: &Tx, incident: IncidentId) -> Result<()> {
    let mut thread = begun(tx, of_incident(incident));
    thread.incident = Some(incident);
    insert(tx, &thread, &[]).await
}

/// A conversation that begins in this change, with nothing said yet.
fn begun(tx: &Tx, id: String) -> Thread {
    Thread {
        id,
        tenant: tx.tenant(),
        incident: None,
        subject: None,
        about: None,
        opened: (tx.actor().name.clone(), tx.now()),
        last: 0,
        last_shared: 0,
        last_at: tx.now(),
        turn: Turn::Nobody,
        closed: None,
    }
}

async fn insert(tx: &Tx, thread: &Thread, notify: &[String]) -> Result<()> {
    tx.execute(
        "insert into thread (id, tenant_no, incident_id, subject, about, opened_by, opened_at, \
         notify, last_number, last_shared, last_at, waits_for) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, $7, 'nobody') on conflict do nothing",
        vec![
            thread.id.clone().into(),
            thread.tenant.0.into(),
            thread.incident.map(|id| id.0).into(),
            thread.subject.clone().into(),
            thread.about.as_ref().map(Value::to_string).into(),
            thread.opened.0.clone().into(),
            thread.opened.1.micros().into(),
            (!notify.is_empty()).then(|| json!(notify).to_string()).into(),
        ],
    )
    .await?;
    Ok(())
}

/// What a question is about.
#[derive(Clone, Debug)]
pub struct About {
    /// One of [`ABOUT`].
    pub kind: String,
    /// Its id there: an incident's, an alert's, a device's, a file's hash, a user's name.
    pub id: String,
    /// What people call it.
    pub name: String,
}

/// A question to the experts.
#[derive(Clone, Debug)]
pub struct Question {
    /// One line.
    pub subject: String,
    /// What it is about.
    pub about: Option<About>,
    /// The question.
    pub text: String,
    /// Who is told by mail when the experts answer (ASK-3): addresses, besides the contacts.
    pub notify: Vec<String>,
}

/// Somebody of the customer asks the experts something (ASK-1), for a credit where they are counted
/// (ASK-2); gives the conversation's id.
///
/// # Errors
/// `Conflict` when no credit can be used.
pub async fn ask(app: &App, caller: &Caller, question: Question) -> Result<String> {
    let Question { subject, about, text, notify } = question;
    caller.require(&[Permission::IncidentRead])?;
    if side(caller) == Side::Expert {
        return Err(Error::Denied("the customer asks, the experts answer".to_owned()));
    }
    let tenant = caller.own_tenant()?;
    let subject = line("subject", &subject, LONGEST_LINE)?;
    if notify.len() > MOST_TOLD {
        return Err(Error::Invalid(format!("notify has {MOST_TOLD} addresses at most")));
    }
    let notify = notify.iter().map(|it| contact::address(it)).collect::<Result<Vec<_>>>()?;
    let about = about.map(|about| {
        let kind = ABOUT.into_iter().find(|known| *known == about.kind);
        let kind = kind
            .ok_or_else(|| Error::Invalid(format!("about.kind is one of {}", ABOUT.join(", "))))?;
        let id = line("about.id", &about.id, 300)?;
        let name = line("about.name", &about.name, 300)?;
        Ok::<_, Error>(json!({ "kind": kind, "id": id, "name": name }))
    });
    let about = about.transpose()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let id = format!("question-{}", tx.next_id("question").await?);
    let mut thread = Thread { subject: Some(subject), about, ..begun(&tx, id) };
    credit::spend(&tx, &thread.id).await?;
    insert(&tx, &thread, &notify).await?;
    tx.record(Fact::ConversationOpened { thread: thread.id.clone() });
    say_in(&mut tx, &mut thread, caller, Word { text, shared: true }).await?;
    tx.made(&thread.id).await?;
    tx.commit().await?;
    Ok(thread.id)
}

/// Says something in a conversation; gives the message's id.
///
/// # Errors
/// `Denied` to who only reads, and to a customer who would speak to the experts alone.
pub async fn say(app: &App, caller: &Caller, id: &str, word: Word) -> Result<String> {
    let seen = find(app, caller, id).await?;
    if let Some(reason) = may_not_write(caller, &seen) {
        return Err(Error::Denied(reason.to_owned()));
    }
    let mut tx = Tx::begin(app, seen.tenant, caller.actor()).await?;
    let mut thread = one(&tx, id).await?;
    let message = say_in(&mut tx, &mut thread, caller, word).await?;
    tx.made(&message).await?;
    tx.commit().await?;
    Ok(message)
}

async fn one(tx: &Transaction, id: &str) -> Result<Thread> {
    let sql = format!("select {THREAD} from thread where id = $1");
    let row = tx.query_one(&sql, vec![id.into()]).await?;
    row.as_ref().map(Thread::from_row).transpose()?.ok_or_else(|| unknown(id))
}

async fn say_in(tx: &mut Tx, thread: &mut Thread, caller: &Caller, word: Word) -> Result<String> {
    let side = side(caller);
    if !word.shared && side != Side::Expert {
        return Err(Error::Denied("only experts speak among themselves".to_owned()));
    }
    let mut message = Message {
        id: tx.app().random.uuid()?,
        number: 0,
        side,
        author: tx.actor().name.clone(),
        author_id: Some(caller.client_id.clone()),
        shared: word.shared,
        text: line("text", &word.text, LONGEST)?,
        at: tx.now(),
        via: None,
    };
    let actor = tx.actor().clone();
    append(tx, thread, &mut message, actor).await?;
    if word.shared {
        answered(tx, thread, side).await?;
    }
    save(tx, thread).await?;
    // Who writes has read what was there, and sees that it is acknowledged.
    mark_in(tx, thread, &caller.client_id, thread.last).await?;
    Ok(message.id)
}

/// What follows from a word that both sides see: whose turn it is, and that the customer's is
/// acknowledged.
async fn answered(tx: &mut Tx, thread: &mut Thread, side: Side) -> Result<()> {
    let (turn, acknowledge) = thread.turn.after(side, tx.now());
    (thread.turn, thread.closed) = (turn, None);
    if acknowledge {
        let hours = service_clock::chat_hours(tx, tx.tenant()).await?;
        let said = model::acknowledgement(hours.as_ref(), tx.now());
        assist(tx, thread, &said, true).await?;
    }
    Ok(())
}

/// What a contact of the customer said elsewhere: who it is was looked at where it came in.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// The contact's name.
    pub author: String,
    /// Its id.
    pub author_id: String,
    /// By which way it came in.
    pub via: &'static str,
    /// What it says.
    pub text: String,
    /// Files that came with it, which are not kept (COM-6).
    pub files: usize,
}

/// Puts what a contact said elsewhere into a conversation of the same customer (COM-8); gives the
/// message's id, none where there is no such conversation.
pub(crate) async fn hear(tx: &mut Tx, id: &str, heard: Heard) -> Result<Option<String>> {
    let Some(mut thread) = own(tx, id).await? else { return Ok(None) };
    let actor = Actor::customer(&heard.author);
    let mut message = Message {
        id: tx.app().random.uuid()?,
        number: 0,
        side: Side::Customer,
        author: heard.author,
        author_id: Some(heard.author_id),
        shared: true,
        text: line("text", &heard.text, LONGEST)?,
        at: tx.now(),
        via: Some(heard.via.to_owned()),
    };
    append(tx, &mut thread, &mut message, actor).await?;
    answered(tx, &mut thread, Side::Customer).await?;
    if heard.files > 0 {
        assist(tx, &mut thread, FILES_LEFT_OUT, true).await?;
    }
    save(tx, &thread).await?;
    Ok(Some(message.id))
}

/// Tells the experts alone something in a conversation of this customer's; nothing where there is no
/// such conversation.
pub(crate) async fn note(tx: &mut Tx, id: &str, text: &str) -> Result<()> {
    let Some(mut thread) = own(tx, id).await? else { return Ok(()) };
    assist(tx, &mut thread, text, false).await?;
    save(tx, &thread).await
}

/// A conversation of the customer whose change this is.
async fn own(tx: &Tx, id: &str) -> Result<Option<Thread>> {
    let sql = format!("select {THREAD} from thread where id = $1 and tenant_no = $2");
    let row = tx.query_one(&sql, vec![id.into(), tx.tenant().0.into()]).await?;
    row.as_ref().map(Thread::from_row).transpose()
}

/// The virtual assistant says something, to both sides or to the experts alone.
async fn assist(tx: &mut Tx, thread: &mut Thread, text: &str, shared: bool) -> Result<()> {
    let mut message = Message {
        id: tx.app().random.uuid()?,
        number: 0,
        side: Side::Assistant,
        author: ASSISTANT.to_owned(),
        author_id: None,
        shared,
        text: text.to_owned(),
        at: tx.now(),
        via: None,
    };
    append(tx, thread, &mut message, Actor::system(ASSISTANT)).await
}

/// Puts a message at the end; the conversation itself is saved by who asks.
async fn append(
    tx: &mut Tx,
    thread: &mut Thread,
    message: &mut Message,
    actor: Actor,
) -> Result<()> {
    thread.last += 1;
    message.number = thread.last;
    if message.shared {
        (thread.last_shared, thread.last_at) = (message.number, message.at);
    }
    tx.execute(
        "insert into message (thread_id, number, tenant_no, id, side, author, author_id, shared, \
         text, sent_at, via) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        vec![
            thread.id.clone().into(),
            message.number.into(),
            thread.tenant.0.into(),
            message.id.clone().into(),
            message.side.word().into(),
            message.author.clone().into(),
            message.author_id.clone().into(),
            i64::from(message.shared).into(),
            message.text.clone().into(),
            message.at.micros().into(),
            message.via.clone().into(),
        ],
    )
    .await?;
    let (incident, id) = (thread.incident, message.id.clone());
    let thread = thread.id.clone();
    let fact = if message.shared {
        Fact::MessageSent { incident, thread, message: id, side: message.side.word() }
    } else {
        Fact::MessageNoted { incident, thread, message: id }
    };
    tx.record_as(actor, fact);
    Ok(())
}

async fn save(tx: &Transaction, thread: &Thread) -> Result<()> {
    let (since, told) = match thread.turn {
        Turn::Experts { since, told } => (Some(since), told),
        Turn::Nobody | Turn::Customer => (None, None),
    };
    tx.execute(
        "update thread set last_number = $2, last_shared = $3, last_at = $4, waits_for = $5, \
         waits_since = $6, told_at = $7, closed_at = $8 where id = $1",
        vec![
            thread.id.clone().into(),
            thread.last.into(),
            thread.last_shared.into(),
            thread.last_at.micros().into(),
            thread.turn.word().into(),
            since.map(Timestamp::micros).into(),
            told.map(Timestamp::micros).into(),
            thread.closed.map(Timestamp::micros).into(),
        ],
    )
    .await?;
    Ok(())
}

/// A page of a conversation: the messages before a number, the oldest of them first, and whether
/// there are older ones. Only what the caller's side sees.
pub async fn messages(
    app: &App,
    caller: &Caller,
    thread: &Thread,
    before: Option<i64>,
    top: u64,
) -> Result<(Vec<Message>, bool)> {
    let shared = shared_for(caller);
    let sql = format!(
        "select {MESSAGE} from message where thread_id = $1 and number < $2{shared} \
         order by number desc limit {}",
        top + 1
    );
    let values = vec![thread.id.clone().into(), before.unwrap_or(i64::MAX).into()];
    let rows = app.db.of(thread.tenant).query(&sql, values).await?;
    let mut all =
        rows.iter().map(|row| Message::from_columns(row, 0)).collect::<Result<Vec<_>>>()?;
    let more = all.len() as u64 > top;
    all.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    all.reverse();
    Ok((all, more))
}

/// The number of a message that the caller's side sees, by its id.
pub async fn number_of(app: &App, caller: &Caller, thread: &Thread, id: &str) -> Result<i64> {
    let shared = shared_for(caller);
    let sql = format!("select number from message where thread_id = $1 and id = $2{shared}");
    let values = vec![thread.id.clone().into(), id.into()];
    let row = app.db.of(thread.tenant).query_one(&sql, values).await?;
    let row = row.ok_or_else(|| Error::NotFound("the message does not exist".to_owned()))?;
    column(&row, 0)
}

/// What a reader keeps for itself of a conversation.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The number of the last message it has read.
    pub read_to: i64,
    /// How many that its side sees are newer, and another's.
    pub unread: i64,
    /// Whether it found the help helpful (COM-4), and what it said of it.
    pub helpful: Option<bool>,
    /// What it said of it.
    pub remark: Option<String>,
}

/// How far the caller has read, and what it thinks of the help.
pub async fn reading(app: &App, caller: &Caller, thread: &Thread) -> Result<Reading> {
    let scope = app.db.of(thread.tenant);
    let sql = "select read_to, helpful, remark from thread_reader \
               where thread_id = $1 and reader = $2";
    let values = vec![thread.id.clone().into(), caller.client_id.clone().into()];
    let mut reading = match scope.query_one(sql, values).await? {
        None => Reading::default(),
        Some(row) => Reading {
            read_to: column(&row, 0)?,
            unread: 0,
            helpful: column::<Option<i64>>(&row, 1)?.map(|it| it != 0),
            remark: column(&row, 2)?,
        },
    };
    let shared = shared_for(caller);
    let sql = format!(
        "select count(*) from message where thread_id = $1 and number > $2 \
         and (author_id is null or author_id <> $3){shared}"
    );
    let values =
        vec![thread.id.clone().into(), reading.read_to.into(), caller.client_id.clone().into()];
    if let Some(row) = scope.query_one(&sql, values).await? {
        reading.unread = column(&row, 0)?;
    }
    Ok(reading)
}

async fn mark_in(tx: &Transaction, thread: &Thread, reader: &str, to: i64) -> Result<()> {
    tx.execute(
        "insert into thread_reader (thread_id, reader, tenant_no, read_to) \
         values ($1, $2, $3, $4) \
         on conflict (thread_id, reader) do update set read_to = excluded.read_to",
        vec![thread.id.clone().into(), reader.into(), thread.tenant.0.into(), to.into()],
    )
    .await?;
    Ok(())
}

/// The caller has read a conversation up to a message; 0 is nothing of it (COM-9). Nobody else learns
/// of it.
pub async fn mark(app: &App, caller: &Caller, thread: &Thread, to: i64) -> Result<()> {
    let tx = app.db.of(thread.tenant).begin().await?;
    mark_in(&tx, thread, &caller.client_id, to.clamp(0, thread.last)).await?;
    tx.commit().await
}

/// The customer says whether the help was helpful (COM-4); `None` takes it back.
pub async fn rate(
    app: &App,
    caller: &Caller,
    id: &str,
    helpful: Option<bool>,
    remark: Option<String>,
) -> Result<()> {
    let thread = find(app, caller, id).await?;
    if side(caller) == Side::Expert {
        return Err(Error::Denied("the customer says whether it was helped".to_owned()));
    }
    let remark = remark.filter(|text| !text.trim().is_empty());
    let remark = remark.map(|text| line("remark", &text, LONGEST_REMARK)).transpose()?;
    let mut tx = Tx::begin(app, thread.tenant, caller.actor()).await?;
    tx.execute(
        "insert into thread_reader (thread_id, reader, tenant_no, read_to, helpful, remark) \
         values ($1, $2, $3, 0, $4, $5) on conflict (thread_id, reader) \
         do update set helpful = excluded.helpful, remark = excluded.remark",
        vec![
            id.into(),
            caller.client_id.clone().into(),
            thread.tenant.0.into(),
            helpful.map(i64::from).into(),
            remark.clone().into(),
        ],
    )
    .await?;
    let thread_id = thread.id;
    tx.record(Fact::ConversationRated {
        incident: thread.incident,
        thread: thread_id,
        helpful,
        remark,
    });
    tx.commit().await
}

/// How many found the help in a conversation helpful, and how many did not.
pub async fn ratings(app: &App, thread: &Thread) -> Result<(i64, i64)> {
    let sql = "select cast(coalesce(sum(helpful), 0) as bigint), count(helpful) from thread_reader \
               where thread_id = $1";
    let row = app.db.of(thread.tenant).query_one(sql, vec![thread.id.clone().into()]).await?;
    let Some(row) = row else { return Ok((0, 0)) };
    // PostgreSQL adds whole numbers up to a decimal.
    let (up, all): (i64, i64) = (column(&row, 0)?, column(&row, 1)?);
    Ok((up, all - up))
}

/// Closes a conversation that is over; whoever writes in it opens it again.
pub async fn close(app: &App, caller: &Caller, id: &str) -> Result<()> {
    let seen = find(app, caller, id).await?;
    if let Some(reason) = may_not_write(caller, &seen) {
        return Err(Error::Denied(reason.to_owned()));
    }
    let mut tx = Tx::begin(app, seen.tenant, caller.actor()).await?;
    let mut thread = one(&tx, id).await?;
    if thread.closed.is_some() {
        return Ok(());
    }
    thread.closed = Some(tx.now());
    if let Turn::Experts { .. } = thread.turn {
        // Nobody waits any more.
        thread.turn = Turn::Customer;
    }
    save(&tx, &thread).await?;
    tx.record(Fact::ConversationClosed { incident: thread.incident, thread: thread.id });
    tx.commit().await
}

/// Tells customers who have waited long that they have not been forgotten.
pub async fn watch(app: &App) -> Result<()> {
    let late = app.clock.now().plus_seconds(-PATIENCE_S);
    // Many may wait for the morning: each look goes through all of them, piece by piece.
    let mut place = (i64::MIN, String::new());
    loop {
        let (since, id) = place.clone();
        let rows = app
            .db
            .whole("which conversations have waited long")
            .query(
                "select id, tenant_no, waits_since from thread where waits_since is not null \
                 and told_at is null and waits_since <= $1 \
                 and (waits_since > $2 or (waits_since = $2 and id > $3)) \
                 order by waits_since, id limit $4",
                vec![late.micros().into(), since.into(), id.into(), LOOKED_AT.into()],
            )
            .await?;
        for row in &rows {
            let (id, tenant): (String, i64) = (column(row, 0)?, column(row, 1)?);
            remind(app, TenantNo(tenant), &id).await?;
            place = (column(row, 2)?, id);
        }
        if rows.len() < LOOKED_AT as usize {
            return Ok(());
        }
    }
}

/// Tells the customer of one conversation, if its wait is long.
async fn remind(app: &App, tenant: TenantNo, id: &str) -> Result<()> {
    // Without the tenant's turn first: most are not long yet while nobody answers.
    let seen = app.db.of(tenant).snapshot().await?;
    let hours = service_clock::chat_hours(&seen, tenant).await?;
    if !one(&seen, id).await?.turn.is_long(PATIENCE_S, hours.as_ref(), app.clock.now()) {
        return Ok(());
    }
    drop(seen);
    let mut tx = Tx::begin(app, tenant, Actor::system(ASSISTANT)).await?;
    let mut thread = one(&tx, id).await?;
    // Looked at again: somebody may have answered by now, or another process been here.
    if !thread.turn.is_long(PATIENCE_S, hours.as_ref(), tx.now()) {
        return Ok(());
    }
    if let Turn::Experts { since, .. } = thread.turn {
        thread.turn = Turn::Experts { since, told: Some(tx.now()) };
    }
    assist(&mut tx, &mut thread, NOT_FORGOTTEN, true).await?;
    save(&tx, &thread).await?;
    tx.commit().await
}
