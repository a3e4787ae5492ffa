//! What people say in a channel, and what happens to it there.
//!
//! A request is shown to be its vendor's and written down before it is answered: once it is, nothing
//! of it is lost. Afterwards the vendor is asked who said it, and the answer to an incident's post
//! enters its chat. What does not enter where a person answered is on record with its reason, the
//! experts are told of it, and nothing of it is quoted to anybody. Requests that are not the vendor's
//! are noted with the channel, at most once an hour each: anybody may send those. Not here: how a
//! vendor's request is told from a forged one, and what it says (`slack`, `teams`, `mattermost`); how a
//! homeserver is asked, which calls nobody (`matrix`).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    ChatChannel, Fault, Line, Told, Trouble, Vendor, author_id, learn, matrix, mattermost, open,
    slack, stands, stands_in, teams,
};
use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::conversation::{self, Heard};
use crate::db::{Transaction, column};
use crate::error::Result;
use crate::event::Fact;
use crate::id::{IncidentId, TenantNo};
use crate::notification::engine::Ways;
use crate::notification::make::NOTIFIER;
use crate::tx::Tx;

/// How often to look for what came in.
const LOOK: Duration = Duration::from_millis(250);
/// Channels at once, and events of one in one go.
const CHANNELS: i64 = 32;
const MOST: i64 = 100;
/// After how long a channel's turn begins no other event.
const TURN: Duration = Duration::from_secs(10);
/// How often its vendor is asked who said something, with pauses that double from five seconds.
const TRIES: i64 = 9;
/// Answers of one channel in one minute: more is a program, whatever it says.
const A_MINUTE: i64 = 30;
/// How often a request that is not the vendor's is put on record, in seconds.
const AGAIN_S: i64 = 3_600;
/// How long it is remembered that an event came in, in days: no vendor repeats one that late.
const DAYS: i64 = 7;

/// What a request is.
pub(crate) enum Received {
    /// The vendor wants to see this again.
    Challenge(String),
    /// Something happened.
    Event {
        /// What makes it the same when it comes again.
        id: String,
        /// What it says, for [`Look`].
        body: String,
        /// What the vendor says of the channel with it.
        known: Option<Value>,
    },
    /// It is the vendor's and says nothing to us.
    Nothing,
    /// It is not the vendor's, or not this channel's; why.
    Refused(&'static str),
}

/// What an event turns out to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Look {
    /// Our own word, or another program's.
    Own,
    /// Nothing that stands below a post of ours.
    Elsewhere,
    /// Somebody answered.
    Reply {
        /// What it stands below.
        thread: String,
        /// What was said.
        words: Words,
    },
    /// Somebody answered who is not heard; why.
    Refused {
        /// What it stands below.
        thread: String,
        /// Why.
        why: &'static str,
    },
    /// Something keeps us from the channel, or nothing does any more.
    Health(Option<Trouble>),
}

/// What somebody said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Words {
    /// What people call who said it.
    pub author: String,
    /// Its id at the vendor's.
    pub author_id: String,
    /// What was said, in plain text.
    pub text: String,
    /// Files that came with it, which are not kept (COM-6).
    pub files: usize,
}

/// What who asks is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answered {
    /// What it wants to see again.
    Challenge(String),
    /// It is on disk, or needs nothing.
    Taken,
    /// It is not its vendor's, or there is no such channel.
    Refused,
}

/// Takes a request to a channel's address.
pub async fn take(
    app: &App,
    keys: &teams::Keys,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answered> {
    let scope = app.db.whole("whose channel a chat's request is for");
    let Some(line) = open(app, &scope, id).await? else { return Ok(Answered::Refused) };
    let received = match line.it.vendor {
        Vendor::Slack => slack::receive(app, &line, headers, body),
        Vendor::Teams => teams::receive(app, keys, &line, headers, body).await?,
        Vendor::Mattermost => mattermost::receive(&line, headers, body),
        Vendor::Matrix | Vendor::PagerDuty => return Ok(Answered::Refused),
    };
    match received {
        Received::Challenge(text) => Ok(Answered::Challenge(text)),
        Received::Nothing => Ok(Answered::Taken),
        Received::Refused(why) => {
            refused(app, &line.it, why).await?;
            Ok(Answered::Refused)
        }
        Received::Event { id, body, known } => {
            keep(app, &line.it, &id, body).await?;
            if let Some(known) = known.filter(|known| *known != line.it.known) {
                learn(app, &line.it, &known).await?;
            }
            Ok(Answered::Taken)
        }
    }
}

async fn keep(app: &App, it: &ChatChannel, id: &str, body: String) -> Result<()> {
    let tx = app.db.of(it.tenant).begin().await?;
    let number = crate::app::next_ids(&tx, "chat event", 1).await?.start;
    keep_in(&tx, it, (number, id), body, app.clock.now()).await?;
    tx.commit().await
}

/// Writes down that something happened, in an open change; nothing where that is known.
pub(super) async fn keep_in(
    tx: &Transaction,
    it: &ChatChannel,
    (number, id): (i64, &str),
    body: String,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "insert into chat_event (channel_id, id, tenant_no, number, at, body, due_at, attempts) \
         values ($1, $2, $3, $4, $5, $6, $5, 0) on conflict do nothing",
        vec![
            it.id.clone().into(),
            id.into(),
            it.tenant.0.into(),
            number.into(),
            now.micros().into(),
            body.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Notes a request that was not the vendor's.
async fn refused(app: &App, it: &ChatChannel, why: &str) -> Result<()> {
    let known = it
        .refused
        .as_ref()
        .is_some_and(|(said, at)| said == why && app.clock.now() < at.plus_seconds(AGAIN_S));
    if known {
        return Ok(());
    }
    let mut tx = Tx::begin(app, it.tenant, Actor::system(NOTIFIER)).await?;
    let written = tx
        .execute(
            "update chat_channel set refused = $2, refused_at = $3 where id = $1 \
             and (refused_at is null or refused <> $2 or refused_at <= $4)",
            vec![
                it.id.clone().into(),
                why.into(),
                tx.now().micros().into(),
                tx.now().plus_seconds(-AGAIN_S).micros().into(),
            ],
        )
        .await?;
    if written > 0 {
        tx.record(Fact::ChatChannelRefused {
            channel: it.id.clone(),
            name: it.name.clone(),
            because: why.to_owned(),
        });
    }
    tx.commit().await
}

/// Looks at what came in until `stop`; a slow vendor holds up its own channel only.
pub(crate) async fn run(app: App, ways: Arc<Ways>, stop: CancellationToken) {
    let mut at_work: JoinSet<String> = JoinSet::new();
    let mut busy: HashSet<String> = HashSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        while let Some(ended) = at_work.try_join_next() {
            match ended {
                Ok(id) => drop(busy.remove(&id)),
                Err(error) => {
                    tracing::error!("a chat channel's turn ended early, comes again: {error}");
                    if at_work.is_empty() {
                        busy.clear();
                    }
                }
            }
        }
        match due(&app).await {
            Ok(channels) => {
                for (id, tenant) in channels {
                    if busy.insert(id.clone()) {
                        let (app, ways) = (app.clone(), ways.clone());
                        at_work.spawn(async move {
                            if let Err(error) = of_channel(&app, &ways.tokens, tenant, &id).await {
                                tracing::error!("what was said in {id} waits: {error}");
                            }
                            id
                        });
                    }
                }
            }
            Err(error) => tracing::error!("what was said in chats was not looked at: {error}"),
        }
    }
    while at_work.join_next().await.is_some() {}
}

/// Everything that came in, one channel after the other; gives how many events were looked at.
pub(crate) async fn work(app: &App, ways: &Ways) -> Result<usize> {
    let mut looked_at = matrix::work(app).await?;
    for (id, tenant) in due(app).await? {
        looked_at += of_channel(app, &ways.tokens, tenant, &id).await?;
    }
    Ok(looked_at)
}

async fn due(app: &App) -> Result<Vec<(String, TenantNo)>> {
    let rows = app
        .db
        .whole("what was said in every tenant's chats")
        .query(
            "select distinct channel_id, tenant_no from chat_event where due_at <= $1 limit $2",
            vec![app.clock.now().micros().into(), CHANNELS.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((column(row, 0)?, TenantNo(column(row, 1)?)))).collect()
}

async fn of_channel(
    app: &App,
    tokens: &teams::Tokens,
    tenant: TenantNo,
    channel: &str,
) -> Result<usize> {
    let begun = Instant::now();
    let scope = app.db.of(tenant);
    let rows = scope
        .query(
            "select id, body, attempts, due_at from chat_event where channel_id = $1 \
             and due_at is not null order by number limit $2",
            vec![channel.into(), MOST.into()],
        )
        .await?;
    let line = open(app, &scope, channel).await?;
    let mut looked_at = 0;
    // In each thread one after the other: what comes later waits for what is asked about again.
    let mut held = HashSet::new();
    for row in rows {
        let (id, body): (String, String) = (column(&row, 0)?, column(&row, 1)?);
        let Some(line) = &line else {
            looked_at += 1;
            settle(app, tenant, channel, &id, None, Look::Elsewhere).await?;
            continue;
        };
        let event: Value = serde_json::from_str(&body).unwrap_or_default();
        let thread = thread_of(line.it.vendor, &event);
        if held.contains(&thread) {
            continue;
        }
        if column::<i64>(&row, 3)? > app.clock.now().micros() || begun.elapsed() > TURN {
            held.insert(thread);
            continue;
        }
        looked_at += 1;
        let attempts = column::<i64>(&row, 2)? + 1;
        let look = one(app, tokens, line, thread.as_deref(), (&event, attempts)).await?;
        if let Some(look) = look {
            settle(app, tenant, channel, &id, Some(&line.it), look).await?;
        } else {
            later(app, tenant, channel, &id, attempts).await?;
            held.insert(thread);
        }
    }
    Ok(looked_at)
}

/// What an event stands below, where it says so itself.
fn thread_of(vendor: Vendor, event: &Value) -> Option<String> {
    match vendor {
        Vendor::Slack => event["thread_ts"].as_str().map(str::to_owned),
        Vendor::Teams => teams::thread_of(event),
        Vendor::Matrix => matrix::thread_of(event),
        Vendor::Mattermost | Vendor::PagerDuty => None,
    }
}

/// What one event is; `None` while that cannot be said yet.
async fn one(
    app: &App,
    tokens: &teams::Tokens,
    line: &Line,
    thread: Option<&str>,
    (event, attempts): (&Value, i64),
) -> Result<Option<Look>> {
    // Who writes elsewhere in the channel is nobody's business.
    if let Some(thread) = thread {
        match place(app, line, thread).await? {
            Place::Below => {}
            Place::Unknown if attempts < TRIES => return Ok(None),
            Place::Unknown | Place::Elsewhere => return Ok(Some(Look::Elsewhere)),
        }
    }
    let look = match look(app, tokens, line, event).await {
        Ok(look) => look,
        Err(fault) => return fault_of(app, line, fault, attempts, thread).await,
    };
    let (Look::Reply { thread, .. } | Look::Refused { thread, .. }) = &look else {
        return Ok(Some(look));
    };
    let unknown = place(app, line, thread).await? == Place::Unknown;
    Ok((!unknown || attempts >= TRIES).then_some(look))
}

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Below an incident's post.
    Below,
    /// Perhaps: of some post it is not known yet what the vendor calls it.
    Unknown,
    /// Below something else.
    Elsewhere,
}

async fn place(app: &App, line: &Line, thread: &str) -> Result<Place> {
    let row = app
        .db
        .of(line.it.tenant)
        .query_one(
            "select sum(case when posted = $2 then 1 else 0 end), \
             sum(case when posted is null and exists (select 1 from delivery \
             where delivery.id = chat_post.delivery_id and delivery.state = 'waiting') \
             then 1 else 0 end) from chat_post where channel_id = $1 and root = 1 \
             and (posted = $2 or posted is null)",
            vec![line.it.id.clone().into(), thread.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(Place::Elsewhere) };
    let (below, unknown): (Option<i64>, Option<i64>) = (column(&row, 0)?, column(&row, 1)?);
    Ok(match (below.unwrap_or(0), unknown.unwrap_or(0)) {
        (1.., _) => Place::Below,
        (_, 1..) => Place::Unknown,
        _ => Place::Elsewhere,
    })
}

async fn look(app: &App, tokens: &teams::Tokens, line: &Line, event: &Value) -> Told<Look> {
    match line.it.vendor {
        Vendor::Slack => slack::look(app, line, event).await,
        Vendor::Teams => teams::look(app, tokens, line, event).await,
        Vendor::Mattermost => mattermost::look(app, line, event).await,
        Vendor::Matrix => matrix::look(app, line, event).await,
        Vendor::PagerDuty => Ok(Look::Elsewhere),
    }
}

/// What an event comes to of which the vendor does not tell who said it; `None` while it may yet.
async fn fault_of(
    app: &App,
    line: &Line,
    fault: Fault,
    attempts: i64,
    thread: Option<&str>,
) -> Result<Option<Look>> {
    if let Fault::Trouble(trouble, _) = &fault {
        stands(app, &line.it, Some(*trouble)).await?;
    }
    let lasting = matches!(fault, Fault::Refused(_) | Fault::NoThread);
    if !lasting && attempts < TRIES {
        return Ok(None);
    }
    let why = "it could not be found out who wrote it";
    Ok(Some(match thread {
        Some(thread) => Look::Refused { thread: thread.to_owned(), why },
        None => Look::Elsewhere,
    }))
}

async fn later(app: &App, tenant: TenantNo, channel: &str, id: &str, attempts: i64) -> Result<()> {
    let pause = 5 << attempts.clamp(0, 8);
    let tx = app.db.of(tenant).begin().await?;
    tx.execute(
        "update chat_event set due_at = $3, attempts = $4 where channel_id = $1 and id = $2 \
         and due_at is not null",
        vec![
            channel.into(),
            id.into(),
            app.clock.now().plus_seconds(pause).micros().into(),
            attempts.into(),
        ],
    )
    .await?;
    tx.commit().await
}

/// The incident whose post this is, and the delivery that posted it.
async fn root(tx: &Tx, channel: &str, thread: &str) -> Result<Option<(IncidentId, String)>> {
    let row = tx
        .query_one(
            "select incident_id, delivery_id from chat_post where channel_id = $1 \
             and posted = $2 and root = 1",
            vec![channel.into(), thread.into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let incident: Option<i64> = column(&row, 0)?;
    Ok(incident.map(IncidentId).zip(Some(column(&row, 1)?)))
}

/// Writes what an event comes to, once.
async fn settle(
    app: &App,
    tenant: TenantNo,
    channel: &str,
    id: &str,
    it: Option<&ChatChannel>,
    look: Look,
) -> Result<()> {
    let mut tx = Tx::begin(app, tenant, Actor::system(NOTIFIER)).await?;
    let taken = tx
        .execute(
            "update chat_event set due_at = null, body = '' where channel_id = $1 and id = $2 \
             and due_at is not null",
            vec![channel.into(), id.into()],
        )
        .await?;
    // Another process was first.
    if taken == 0 {
        return Ok(());
    }
    let outcome = match (look, it) {
        (Look::Own, _) => "own",
        (Look::Elsewhere, _) | (_, None) => "elsewhere",
        (Look::Health(trouble), Some(_)) => {
            stands_in(&mut tx, channel, trouble).await?;
            "health"
        }
        (Look::Reply { thread, words }, Some(it)) => heard(&mut tx, it, &thread, words).await?,
        (Look::Refused { thread, why }, Some(it)) => refuse(&mut tx, it, &thread, why).await?,
    };
    tx.execute(
        "update chat_event set outcome = $3 where channel_id = $1 and id = $2",
        vec![channel.into(), id.into(), outcome.into()],
    )
    .await?;
    tx.commit().await?;
    app.tell.notify_one();
    Ok(())
}

/// Without what no reader sees and what the store does not keep, and not longer than a message may be.
fn clean(text: &str) -> String {
    let plain = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let text: String = text.replace("\r\n", "\n").chars().filter(plain).collect();
    super::cut(text.trim(), conversation::LONGEST)
}

/// Puts an answer into its incident's chat.
async fn heard(tx: &mut Tx, it: &ChatChannel, thread: &str, words: Words) -> Result<&'static str> {
    let Some((incident, _)) = root(tx, &it.id, thread).await? else { return Ok("elsewhere") };
    let mut text = clean(&words.text);
    if text.is_empty() {
        if words.files == 0 {
            return Ok("nothing");
        }
        "[A file, without a word.]".clone_into(&mut text);
    }
    let lately = tx
        .query_one(
            "select count(*) from chat_event where channel_id = $1 and outcome = 'said' \
             and at > $2",
            vec![it.id.clone().into(), tx.now().plus_seconds(-60).micros().into()],
        )
        .await?;
    if lately.map(|row| column::<i64>(&row, 0)).transpose()?.unwrap_or(0) >= A_MINUTE {
        return refuse(tx, it, thread, "so many come in a minute that a program writes them").await;
    }
    let author = clean(&words.author).replace(['\n', '\t'], " ");
    let heard = Heard {
        author: if author.is_empty() { words.author_id.clone() } else { author },
        // Where it came from is not told of it again.
        author_id: author_id(it, &words.author_id),
        via: it.vendor.word(),
        text,
        files: words.files,
    };
    let said = conversation::hear(tx, &conversation::of_incident(incident), heard).await?;
    Ok(if said.is_some() { "said" } else { "elsewhere" })
}

/// Puts on record that an answer was not taken, and tells the experts.
async fn refuse(tx: &mut Tx, it: &ChatChannel, thread: &str, why: &str) -> Result<&'static str> {
    let Some((incident, delivery)) = root(tx, &it.id, thread).await? else {
        return Ok("elsewhere");
    };
    tx.record(Fact::ReplyRefused {
        incident: Some(incident),
        delivery,
        receiver: it.name.clone(),
        because: why.to_owned(),
    });
    let text = format!(
        "Somebody answered in {} ({}), and it was not taken: {why}. If they wait for an answer, \
         ask on another way.",
        it.name,
        it.vendor.word(),
    );
    conversation::note(tx, &conversation::of_incident(incident), &text).await?;
    Ok("refused")
}

/// Forgets events of long ago.
pub async fn tidy(app: &App) -> Result<()> {
    let old: Timestamp = app.clock.now().plus_seconds(-DAYS * 86_400);
    let tx = app.db.whole("events of chats of long ago").begin().await?;
    tx.execute(
        "delete from chat_event where at < $1 and due_at is null",
        vec![old.micros().into()],
    )
    .await?;
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_text_is_what_a_reader_sees() {
        assert_eq!(clean(" one\r\ntwo\u{0}\u{1b}[31m\tthree \n"), "one\ntwo[31m\tthree");
        assert_eq!(clean(&"x".repeat(20_000)).chars().count(), conversation::LONGEST);
    }
}
