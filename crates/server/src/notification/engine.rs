//! Deliveries sent: at least once each, in order for each receiver and incident, and none holds up
//! another receiver's.
//!
//! ```text
//! make      facts that nobody was told of become deliveries           a Tx for each tenant
//! claim     lanes with something due, each for one process            one change for all
//! turn      a lane's deliveries one after the other                   no change
//! settle    what became of them, and the lane given back              one change for all that ended
//! ```
//!
//! A lane is the way to one receiver. Who works in it holds it for some seconds under an epoch, and only
//! while it shows that it lives: the lanes of a process that was killed are free when its lease ends. A
//! process that was paused and comes back writes nothing, and what it sent is sent again under the same
//! id. Invariants (quality 2): a delivery is on disk before a byte leaves and waits until its
//! receiver's server has said yes, until it is refused, or until 72 hours are over; then it is dead,
//! which is a fact of its own. Not here: when it is tried again (`model`), what it says (`letter`).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::QueryResult;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::contact::Language;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::escalation;
use crate::event::Fact;
use crate::failpoint;
use crate::id::{IncidentId, TenantNo};
use crate::lease::Lease;
use crate::notification::letter::{self, Kind};
use crate::notification::mail::{self, Parcel, Post};
use crate::notification::make::{self, Channel, NOTIFIER};
use crate::notification::model::{self, Answer, State};
use crate::notification::phone::Phone;
use crate::notification::{chat, inbox, link, webhook};
use crate::onboarding::welcome;
use crate::tx::Tx;

/// How often to look for what another process left behind, or what is due again.
const LOOK: Duration = Duration::from_millis(250);
/// How long a lane is held, in seconds: a turn, and one message that takes as long as it may.
const HELD_S: i64 = 40;
/// After how long a turn begins no other message.
const TURN: Duration = Duration::from_secs(10);
/// How long one message may take, whatever its receiver does in between.
const LASTS: Duration = Duration::from_secs(20);
/// Deliveries of one lane in one turn.
const MOST: i64 = 32;
/// Lanes of each channel at once.
const LANES: [(Channel, usize); 9] = [
    (Channel::Mail, mail::CONNECTIONS as usize),
    (Channel::Webhook, 256),
    (Channel::Slack, 64),
    (Channel::Teams, 64),
    (Channel::Mattermost, 64),
    (Channel::Sms, 16),
    (Channel::Call, 16),
    (Channel::Matrix, 64),
    (Channel::PagerDuty, 64),
];
/// How often a process shows that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// How often what a turn came to is written before it is left to the next one.
const TRIES: usize = 3;
/// Lanes settled in one change.
const SETTLED: usize = 128;

/// What is said of a delivery whose link leads nowhere any more.
const SPENT: &str = "its link was used, has expired or was replaced by a newer one";
/// Why nobody is called any more.
const ANSWERED: &str = "somebody has reacted, or it is over";

/// The ways out that this process has.
#[derive(Default)]
pub struct Ways {
    /// To the mail server; none is set up where absent.
    pub post: Option<Post>,
    /// By which messages and calls go out; nobody is called where absent.
    pub phone: Option<Phone>,
    /// What we show the connector of Teams.
    pub tokens: chat::teams::Tokens,
}

impl Ways {
    /// The ways that the operator has set up.
    ///
    /// # Errors
    /// `Invalid` with the setting that cannot be used.
    pub fn open(app: &App) -> Result<Self> {
        Ok(Self {
            post: Post::open(&app.config.mail)?,
            phone: Phone::open(&app.config.phone)?,
            ..Self::default()
        })
    }
}

/// A lane that this process holds.
#[derive(Clone, Debug)]
struct Lane {
    id: i64,
    tenant: TenantNo,
    channel: Channel,
    receiver: String,
    epoch: i64,
}

/// A delivery that is due.
struct Due {
    id: String,
    attempts: i64,
    until: Timestamp,
    made: Timestamp,
    name: String,
    language: Language,
    incident: Option<IncidentId>,
    number: i64,
    notification: String,
    kind: Kind,
    data: Value,
}

/// What an attempt came to, or that none is to be made any more.
enum Outcome {
    Tried {
        begun: Timestamp,
        ended: Timestamp,
        answer: Answer,
    },
    /// There is no such receiver any more, or nothing to bring.
    Cancelled(&'static str),
}

/// What became of a lane's turn.
struct Done {
    lane: Lane,
    ends: Vec<(Due, Outcome)>,
}

impl Done {
    fn has_dead(&self) -> bool {
        self.ends.iter().any(|(it, outcome)| match outcome {
            Outcome::Tried { answer, ended, .. } => {
                matches!(model::after(answer, it.attempts + 1, *ended, it.until, 0), State::Dead)
            }
            Outcome::Cancelled(_) => false,
        })
    }
}

/// Works until `stop`; what is under way is finished first.
pub async fn run(app: App, ways: Ways, stop: CancellationToken) {
    let ways = Arc::new(ways);
    let (done, ended) = mpsc::channel(2 * SETTLED);
    let settler = tokio::spawn(settle(app.clone(), ended));
    let beats = tokio::spawn(beat(app.clone()));
    let hearing = tokio::spawn(chat::hear::run(app.clone(), ways.clone(), stop.clone()));
    let listening = tokio::spawn(chat::matrix::run(app.clone(), stop.clone()));
    let mut at_work: JoinSet<Channel> = JoinSet::new();
    let mut busy: BTreeMap<Channel, usize> = BTreeMap::new();
    let mut more = false;
    loop {
        if !more {
            tokio::select! {
                () = stop.cancelled() => break,
                () = app.tell.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                Some(()) = settled(&mut at_work, &mut busy) => {}
            }
        }
        while settled_now(&mut at_work, &mut busy) {}
        let means = Means { app: &app, ways: &ways, done: &done, stop: &stop };
        match round(means, &mut at_work, &mut busy).await {
            Ok(again) => more = again && !stop.is_cancelled(),
            Err(error) => {
                tracing::error!("notifications were not sent, will be: {error}");
                more = false;
                tokio::time::sleep(LOOK).await;
            }
        }
        if stop.is_cancelled() {
            break;
        }
    }
    while settled(&mut at_work, &mut busy).await.is_some() {}
    drop(done);
    let _ = settler.await;
    let _ = hearing.await;
    let _ = listening.await;
    beats.abort();
}

/// The lease by which a process shows that it lives.
fn life(app: &App) -> String {
    format!("notify {}", app.holder)
}

/// Shows that this process lives, until it is aborted.
async fn beat(app: App) {
    loop {
        if let Err(error) = Lease::take(&app, &life(&app)).await {
            tracing::error!("this process could not show that it lives: {error}");
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// Forgets processes that ended long ago.
pub async fn tidy(app: &App) -> Result<()> {
    let old = app.clock.now().plus_seconds(-86_400).micros();
    let tx = app.db.shared().begin().await?;
    tx.execute("delete from lease where name like 'notify %' and until < $1", vec![old.into()])
        .await?;
    tx.commit().await
}

async fn settled(
    at_work: &mut JoinSet<Channel>,
    busy: &mut BTreeMap<Channel, usize>,
) -> Option<()> {
    let ended = at_work.join_next().await?;
    free(ended, at_work, busy);
    Some(())
}

fn settled_now(at_work: &mut JoinSet<Channel>, busy: &mut BTreeMap<Channel, usize>) -> bool {
    let Some(ended) = at_work.try_join_next() else { return false };
    free(ended, at_work, busy);
    true
}

fn free(
    ended: std::result::Result<Channel, tokio::task::JoinError>,
    at_work: &JoinSet<Channel>,
    busy: &mut BTreeMap<Channel, usize>,
) {
    match ended {
        Ok(channel) => *busy.entry(channel).or_default() -= 1,
        Err(error) => {
            tracing::error!("a lane's turn ended early, its lease ends by itself: {error}");
            // Which one it was nobody says; when none is left, none is busy.
            if at_work.is_empty() {
                busy.clear();
            }
        }
    }
}

/// What a turn is given.
struct Means<'a> {
    app: &'a App,
    ways: &'a Arc<Ways>,
    done: &'a mpsc::Sender<Done>,
    stop: &'a CancellationToken,
}

async fn round(
    Means { app, ways, done, stop }: Means<'_>,
    at_work: &mut JoinSet<Channel>,
    busy: &mut BTreeMap<Channel, usize>,
) -> Result<bool> {
    let mut more = make::make(app).await?;
    for (channel, most) in LANES {
        let room = most.saturating_sub(busy.get(&channel).copied().unwrap_or_default());
        let lanes = claim(app, channel, room).await?;
        more |= room > 0 && lanes.len() >= room;
        for lane in lanes {
            *busy.entry(channel).or_default() += 1;
            let (app, ways) = (app.clone(), ways.clone());
            let (done, stop) = (done.clone(), stop.clone());
            at_work.spawn(async move {
                match turn(&app, &ways, lane, &stop).await {
                    Ok(ended) => drop(done.send(ended).await),
                    Err(error) => tracing::error!("a lane's turn failed, will be again: {error}"),
                }
                channel
            });
        }
    }
    Ok(more)
}

/// Everything that is due now, one lane after the other; gives how many deliveries were tried.
pub async fn tick(app: &App, ways: &Ways) -> Result<usize> {
    Lease::take(app, &life(app)).await?;
    while chat::hear::work(app, ways).await? > 0 {}
    while make::make(app).await? {}
    let mut tried = 0;
    for (channel, most) in LANES {
        for lane in claim(app, channel, most).await? {
            let done = turn(app, ways, lane, &CancellationToken::new()).await?;
            tried += done.ends.len();
            write(app, &mut vec![done]).await?;
        }
    }
    // What failed for good is told to others at once.
    while make::make(app).await? {}
    Ok(tried)
}

/// Takes lanes in which something is due.
async fn claim(app: &App, channel: Channel, room: usize) -> Result<Vec<Lane>> {
    if room == 0 {
        return Ok(Vec::new());
    }
    let now = app.clock.now();
    let due = "next_at <= $1 and paused_until <= $1 and channel = $2 and (held_until < $1 or not \
        exists (select 1 from lease where name = 'notify ' || lane.holder and until >= $1))";
    let scope = app.db.whole("notifications go out for every tenant");
    let any = format!("select 1 from lane where {due} limit 1");
    let values = || -> Vec<sea_orm::Value> { vec![now.micros().into(), channel.word().into()] };
    if scope.query_one(&any, values()).await?.is_none() {
        return Ok(Vec::new());
    }
    let tx = scope.begin().await?;
    let mut given = values();
    given.extend([
        i64::try_from(room).unwrap_or(i64::MAX).into(),
        app.holder.clone().into(),
        now.plus_seconds(HELD_S).micros().into(),
    ]);
    // Who waits longest goes first. What is locked is being written to, and is found again.
    let sql = format!(
        "update lane set holder = $4, epoch = epoch + 1, held_until = $5 where id in (\
         select id from lane where {due} order by next_at limit $3{}) and {due} \
         returning id, tenant_no, receiver, epoch",
        tx.engine().skip_locked()
    );
    let rows = tx.query(&sql, given).await?;
    tx.commit().await?;
    rows.iter()
        .map(|row| {
            Ok(Lane {
                id: column(row, 0)?,
                tenant: TenantNo(column(row, 1)?),
                channel,
                receiver: column(row, 2)?,
                epoch: column(row, 3)?,
            })
        })
        .collect()
}

impl Due {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let id: String = column(row, 0)?;
        let damaged = || Error::Internal(format!("the delivery {id} is damaged"));
        Ok(Self {
            attempts: column(row, 1)?,
            until: Timestamp::from_micros(column(row, 2)?),
            made: Timestamp::from_micros(column(row, 3)?),
            name: column(row, 4)?,
            language: Language::read(&column::<String>(row, 5)?).ok_or_else(damaged)?,
            incident: column::<Option<i64>>(row, 6)?.map(IncidentId),
            number: column(row, 7)?,
            notification: column(row, 8)?,
            kind: Kind::read(&column::<String>(row, 9)?).ok_or_else(damaged)?,
            data: serde_json::from_str(&column::<String>(row, 10)?).map_err(Error::internal)?,
            id,
        })
    }
}

/// The way to a lane's receiver.
enum Way<'a> {
    Mail(&'a Post),
    Webhook(webhook::Line),
    Chat(Box<chat::Line>),
    Phone(&'a Phone),
    /// Nothing can be sent there now.
    Shut(&'static str),
    /// There is no such receiver any more.
    Gone(&'static str),
}

async fn way<'a>(app: &App, ways: &'a Ways, lane: &Lane) -> Result<Way<'a>> {
    Ok(match lane.channel {
        Channel::Mail => match &ways.post {
            Some(post) => Way::Mail(post),
            None => Way::Shut("no mail server is set up (mail.smtp)"),
        },
        Channel::Webhook => {
            let scope = app.db.of(lane.tenant);
            match webhook::open(app, &scope, lane.tenant, &lane.receiver).await? {
                Some(hook) => Way::Webhook(hook),
                None => Way::Gone("the webhook was paused or taken away"),
            }
        }
        Channel::Sms | Channel::Call => match &ways.phone {
            Some(phone) => Way::Phone(phone),
            None => Way::Shut("no account for messages and calls is set up (phone.account)"),
        },
        Channel::Slack
        | Channel::Teams
        | Channel::Mattermost
        | Channel::Matrix
        | Channel::PagerDuty => {
            let scope = app.db.of(lane.tenant);
            match chat::open(app, &scope, &lane.receiver).await? {
                Some(found) => Way::Chat(Box::new(found)),
                None => Way::Gone("the chat channel was taken away"),
            }
        }
    })
}

/// Sends what is due in a lane, one after the other, until one cannot be sent now or the process is to
/// stop.
async fn turn(app: &App, ways: &Ways, lane: Lane, stop: &CancellationToken) -> Result<Done> {
    let begun = Instant::now();
    let rows = app
        .db
        .of(lane.tenant)
        .query(
            "select delivery.id, delivery.attempts, delivery.until, delivery.made_at, \
             delivery.name, delivery.language, delivery.incident_id, delivery.number, \
             notification.id, notification.kind, notification.data from delivery \
             join notification on notification.id = delivery.notification_id \
             where delivery.lane_id = $1 and delivery.state = 'waiting' \
             and delivery.next_at <= $2 order by delivery.number limit $3",
            vec![lane.id.into(), app.clock.now().micros().into(), MOST.into()],
        )
        .await?;
    let mut way = way(app, ways, &lane).await?;
    let mut ends = Vec::with_capacity(rows.len());
    let mut held = HashSet::new();
    for row in &rows {
        let it = Due::from_row(row)?;
        if begun.elapsed() > TURN || stop.is_cancelled() {
            break;
        }
        // Not before what was to come first about the same incident.
        if it.incident.is_some_and(|id| held.contains(&id)) {
            continue;
        }
        let outcome = match (&mut way, address(app, &lane, &it).await?) {
            (Way::Gone(why), _) => Outcome::Cancelled(why),
            (_, Err(why)) => Outcome::Cancelled(why),
            (way, Ok(address)) => {
                let begun = app.clock.now();
                let answer = send(app, ways, way, (&lane, &address), &it).await;
                failpoint::hit("notification.after_sent");
                Outcome::Tried { begun, ended: app.clock.now(), answer }
            }
        };
        let later = |answer: &Answer| matches!(answer, Answer::Later(_) | Answer::NotBefore(..));
        let stays = matches!(&outcome, Outcome::Tried { answer, .. } if later(answer));
        if let (true, Some(incident)) = (stays, it.incident) {
            held.insert(incident);
        }
        ends.push((it, outcome));
        if stays {
            break;
        }
    }
    Ok(Done { lane, ends })
}

/// Where a delivery leads, or why it is to be sent no more.
async fn address(
    app: &App,
    lane: &Lane,
    it: &Due,
) -> Result<std::result::Result<String, &'static str>> {
    match (it.kind, it.data["welcome"].as_str()) {
        (Kind::Welcome, Some(welcome)) => {
            Ok(welcome::link(app, lane.tenant, welcome).await?.ok_or(SPENT))
        }
        // Nobody is woken for what somebody is at already.
        (Kind::Escalation, _) if !escalation::still_asks(app, lane.tenant, &it.id).await? => {
            Ok(Err(ANSWERED))
        }
        _ => Ok(Ok(link(app, &it.data))),
    }
}

async fn send(app: &App, ways: &Ways, way: &mut Way<'_>, to: (&Lane, &str), it: &Due) -> Answer {
    let sent = async {
        match way {
            Way::Mail(post) => mail_of(app, post, to, it).await,
            Way::Webhook(hook) => webhook_of(app, hook, to, it).await,
            Way::Chat(open) => chat_of(app, ways, open, to, it).await,
            Way::Phone(phone) => phone_of(app, phone, to, it).await,
            Way::Shut(why) | Way::Gone(why) => Ok(Answer::Later((*why).to_owned())),
        }
    };
    let Ok(sent) = tokio::time::timeout(LASTS, sent).await else {
        return Answer::Later(format!("it took longer than {} s", LASTS.as_secs()));
    };
    match sent {
        Ok(answer) => answer,
        // What cannot be said or addressed now can never be.
        Err(Error::Invalid(why)) => Answer::Refused(why),
        Err(error) => {
            tracing::error!("the delivery {} could not be made: {error}", it.id);
            Answer::Later("it could not be written; the log of the server says why".to_owned())
        }
    }
}

async fn mail_of(
    app: &App,
    post: &Post,
    (lane, address): (&Lane, &str),
    it: &Due,
) -> Result<Answer> {
    let mut letter = letter::write(it.kind, it.language, &it.data, address)?;
    let tenant = app.tenant_id(lane.tenant).await?;
    let back = inbox::answer_to(app, lane.tenant, &it.id).await?;
    // A chat is there once a response was published.
    if back.is_some() && it.kind.is_answered() {
        letter.answer = Some(letter::answer_line(it.language)?);
    }
    let message = post.message(&Parcel {
        id: &it.id,
        to: &lane.receiver,
        name: &it.name,
        provider: it.data["provider"].as_str().unwrap_or("Riposte"),
        letter: &letter,
        language: it.language,
        made: it.made,
        thread: make::thread_of(it.incident).map(|thread| format!("{thread}.{tenant}")),
        back: back.as_deref(),
    })?;
    Ok(post.send(message).await)
}

async fn webhook_of(
    app: &App,
    hook: &webhook::Line,
    (lane, address): (&Lane, &str),
    it: &Due,
) -> Result<Answer> {
    let tenant = app.tenant_id(lane.tenant).await?;
    let mut data = it.data.clone();
    data["link"] = json!(address);
    // It is for people who read mail; a program asks for what it wants of it.
    if let Some(data) = data.as_object_mut() {
        data.remove("whole");
    }
    let body = json!({
        "specversion": "1.0",
        "id": it.notification,
        "source": format!("{}/tenants/{tenant}", app.web()),
        "type": format!("riposte.notification.{}", it.kind.word()),
        "subject": it.incident.map(|id| format!("incidents/{id}")),
        "time": it.made,
        "datacontenttype": "application/json",
        "data": data,
    });
    Ok(hook.send(app, &it.id, &body).await)
}

async fn phone_of(
    app: &App,
    phone: &Phone,
    (lane, address): (&Lane, &str),
    it: &Due,
) -> Result<Answer> {
    let letter = letter::write(it.kind, it.language, &it.data, address)?;
    Ok(match lane.channel {
        Channel::Sms => phone.text(app, &lane.receiver, &it.id, &letter).await,
        _ => phone.call(app, &lane.receiver, &it.id, (&letter, it.language)).await,
    })
}

async fn chat_of(
    app: &App,
    ways: &Ways,
    open: &mut chat::Line,
    (lane, address): (&Lane, &str),
    it: &Due,
) -> Result<Answer> {
    let mut letter = letter::write(it.kind, it.language, &it.data, address)?;
    if lane.channel == Channel::PagerDuty {
        let call = chat::pagerduty::Call {
            id: &it.id,
            kind: it.kind,
            incident: it.incident,
            data: &it.data,
            letter: &letter,
            tenant: &app.tenant_id(lane.tenant).await?,
        };
        return chat::pagerduty::send(app, open, &call).await;
    }
    if it.incident.is_some() && it.kind.is_answered() {
        letter.answer = Some(letter::below_line(it.language, open.by_mention())?);
    }
    let parcel =
        chat::post::Parcel { id: &it.id, incident: it.incident, letter: &letter, made: it.made };
    chat::post::send(app, &ways.tokens, open, &parcel).await
}

/// Writes what turns came to, those that ended meanwhile together.
async fn settle(app: App, mut ended: mpsc::Receiver<Done>) {
    while let Some(first) = ended.recv().await {
        let mut batch = vec![first];
        while batch.len() < SETTLED
            && let Ok(next) = ended.try_recv()
        {
            batch.push(next);
        }
        for left in (0..TRIES).rev() {
            match write(&app, &mut batch).await {
                Ok(()) => break,
                // Two changes that wait for each other's lanes: one of them is told to try again.
                Err(error) if left > 0 => {
                    tracing::warn!("what became of deliveries is written once more: {error}");
                }
                Err(error) => {
                    // Their lanes are free again when the leases end; each is sent again under its id.
                    tracing::error!("what became of deliveries was not written: {error}");
                }
            }
        }
    }
}

async fn write(app: &App, batch: &mut Vec<Done>) -> Result<()> {
    failpoint::hit("notification.before_settled");
    batch.sort_by_key(|done| done.lane.id);
    let rest: Vec<&Done> = batch.iter().filter(|done| !done.has_dead()).collect();
    if !rest.is_empty() {
        let tenants: Vec<TenantNo> = rest.iter().map(|done| done.lane.tenant).collect();
        let tx = app.db.reach(&tenants).begin().await?;
        for done in rest {
            close(app, &tx, done).await?;
        }
        tx.commit().await?;
    }
    // What is written is taken out: only what is not may be written again.
    batch.retain(Done::has_dead);
    // That something is given up is a fact of its tenant's, in the same change.
    while let Some(done) = batch.last() {
        let mut tx = Tx::begin(app, done.lane.tenant, Actor::system(NOTIFIER)).await?;
        for (it, detail) in close(app, &tx, done).await? {
            if done.lane.channel == Channel::Webhook && detail.starts_with("410") {
                webhook::gone(&mut tx, &done.lane.receiver).await?;
            }
            if it.kind == Kind::Escalation {
                escalation::missed(&tx, &it.id).await?;
            }
            tx.record(Fact::DeliveryFailed {
                incident: it.incident,
                delivery: it.id.clone(),
                channel: done.lane.channel.word(),
                receiver: it.name.clone(),
                because: detail.to_owned(),
            });
        }
        tx.commit().await?;
        batch.pop();
    }
    Ok(())
}

/// Writes what a turn came to and gives the lane back; gives those that are dead now, with why. Nothing
/// is written when the lane has passed to another process.
async fn close<'a>(app: &App, tx: &Transaction, done: &'a Done) -> Result<Vec<(&'a Due, &'a str)>> {
    let Done { lane, ends } = done;
    let held =
        ["select epoch, failures from lane where id = $1", tx.engine().for_update()].concat();
    let row = tx.query_one(&held, vec![lane.id.into()]).await?;
    let Some(row) = row else { return Ok(Vec::new()) };
    if column::<i64>(&row, 0)? != lane.epoch {
        return Ok(Vec::new());
    }
    let mut failures: i64 = column(&row, 1)?;
    let (mut ok, mut fault, mut wait) = (None, None, 0);
    let mut dead = Vec::new();
    for (it, outcome) in ends {
        let (state, next, error, attempts) = match outcome {
            Outcome::Cancelled(why) => ("cancelled", None, Some(*why), it.attempts),
            Outcome::Tried { begun, ended, answer } => {
                let attempts = it.attempts + 1;
                attempt(tx, lane, it, attempts, (*begun, *ended), answer).await?;
                let error = match answer {
                    Answer::Delivered(_) => {
                        (failures, ok) = (0, Some(*ended));
                        None
                    }
                    Answer::Later(why) | Answer::NotBefore(why, _) => {
                        failures += 1;
                        wait = model::asked_for(answer, *ended).micros();
                        fault = Some((*ended, why.as_str()));
                        Some(why.as_str())
                    }
                    // The receiver's server is there; it is this message that it refuses.
                    Answer::Refused(why) => {
                        fault = Some((*ended, why.as_str()));
                        Some(why.as_str())
                    }
                };
                match model::after(answer, attempts, *ended, it.until, jitter(app)?) {
                    State::Delivered => ("delivered", None, error, attempts),
                    State::Waiting(next) => ("waiting", Some(next), error, attempts),
                    State::Dead => {
                        dead.push((it, answer.detail()));
                        ("dead", None, error, attempts)
                    }
                }
            }
        };
        end(app, tx, lane, it, (state, next, error, attempts)).await?;
    }
    let now = app.clock.now();
    let pause = model::pause(failures, now, jitter(app)?);
    tx.execute(
        "update lane set failures = $2, paused_until = $3, held_until = 0, \
         last_ok_at = coalesce($4, last_ok_at), last_error = coalesce($5, last_error), \
         last_error_at = coalesce($6, last_error_at), next_at = (select min(next_at) \
         from delivery where delivery.lane_id = $1 and delivery.state = 'waiting') where id = $1",
        vec![
            lane.id.into(),
            failures.into(),
            pause.map_or(0, Timestamp::micros).max(wait).into(),
            ok.map(Timestamp::micros).into(),
            fault.map(|(_, why)| why.to_owned()).into(),
            fault.map(|(at, _)| at.micros()).into(),
        ],
    )
    .await?;
    Ok(dead)
}

async fn attempt(
    tx: &Transaction,
    lane: &Lane,
    it: &Due,
    number: i64,
    (begun, ended): (Timestamp, Timestamp),
    answer: &Answer,
) -> Result<()> {
    tx.execute(
        "insert into delivery_attempt (delivery_id, number, tenant_no, begun_at, ended_at, \
         outcome, detail) values ($1, $2, $3, $4, $5, $6, $7)",
        vec![
            it.id.clone().into(),
            number.into(),
            lane.tenant.0.into(),
            begun.micros().into(),
            ended.micros().into(),
            answer.word().into(),
            answer.detail().to_owned().into(),
        ],
    )
    .await?;
    Ok(())
}

type End<'a> = (&'static str, Option<Timestamp>, Option<&'a str>, i64);

async fn end(
    app: &App,
    tx: &Transaction,
    lane: &Lane,
    it: &Due,
    (state, next, error, attempts): End<'_>,
) -> Result<()> {
    let ended = next.is_none().then(|| app.clock.now().micros());
    tx.execute(
        "update delivery set state = $2, attempts = $3, next_at = coalesce($4, next_at), \
         ended_at = $5, error = $6 where id = $1 and state = 'waiting'",
        vec![
            it.id.clone().into(),
            state.into(),
            attempts.into(),
            next.map(Timestamp::micros).into(),
            ended.into(),
            error.map(str::to_owned).into(),
        ],
    )
    .await?;
    // What comes after it about the same incident comes after it.
    if let (Some(next), Some(incident)) = (next, it.incident) {
        tx.execute(
            "update delivery set next_at = $4 where lane_id = $1 and state = 'waiting' \
             and incident_id = $2 and number > $3 and next_at < $4",
            vec![lane.id.into(), incident.0.into(), it.number.into(), next.micros().into()],
        )
        .await?;
    }
    Ok(())
}

fn jitter(app: &App) -> Result<u16> {
    Ok(u16::from_be_bytes(app.random.bytes::<2>()?))
}
