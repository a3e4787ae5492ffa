//! Team chat: channels of a customer's own Slack, Microsoft Teams, Mattermost or Matrix, in which its
//! people hear of incidents and answer (COM-5, COM-7, NOT-4); and its PagerDuty, which is told the same
//! way and from which nothing is heard.
//!
//! A customer's administrator connects an app of its own to one channel. An incident has one post
//! there; what there is to tell of it later stands below it, and what people answer below it enters the
//! incident's chat. Invariants: a word that is not below such a post is read by nobody; who answers is
//! a member of the connected workspace, or nothing enters; what we or other programs post enters
//! nowhere; nothing that is written or pressed there carries an action out. Not here: when something is
//! sent (`engine`); how a post is made once (`post`), what comes in (`hear`), a vendor's own ways
//! (`slack`, `teams`, `mattermost`, `matrix`, `pagerduty`), and how a
//! team comes to be there (`team`).

pub mod hear;
pub mod matrix;
pub mod mattermost;
pub mod pagerduty;
pub mod post;
pub mod slack;
pub mod team;
pub mod teams;

use std::time::Duration;

use openidconnect::url::Url;
use sea_orm::QueryResult;
use serde_json::{Map, Value, json};

use crate::actor::Actor;
use crate::app::App;
use crate::clock::Timestamp;
use crate::contact::Language;
use crate::db::{Scope, Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::notification::make::{Channel, NOTIFIER};
use crate::outbound;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;
use crate::vault::Place;
use crate::word::choices;

/// Channels of one customer.
const MOST: i64 = 20;
/// The longest setting, in bytes.
const LONGEST: usize = 500;
/// How long a vendor may take to answer.
const LASTS: Duration = Duration::from_secs(10);

choices! {
    /// Whose chat it is.
    Vendor {
        /// Slack, by an app of the customer's.
        Slack = "slack",
        /// Microsoft Teams, by a bot of the customer's.
        Teams = "teams",
        /// A Mattermost server, by a bot account.
        Mattermost = "mattermost",
        /// A room of a Matrix homeserver, by a bot account.
        Matrix = "matrix",
        /// A service of PagerDuty, by an integration key.
        PagerDuty = "pagerduty",
    }
}

choices! {
    /// What keeps us from a channel until somebody does something about it (COM-7).
    Trouble {
        /// The channel is archived.
        Archived = "archived",
        /// There is no such channel, or none that we see.
        Deleted = "deleted",
        /// We are not in the channel.
        NotMember = "notMember",
        /// An administrator there blocked the app, or does not let it do this.
        Blocked = "blocked",
        /// What proves who we are is not taken.
        Unauthorized = "unauthorized",
        /// The room is encrypted, and cannot be read.
        Encrypted = "encrypted",
        /// The app was removed there, which is final.
        Uninstalled = "uninstalled",
    }
}

impl Trouble {
    /// What is wrong, and what helps.
    #[must_use]
    pub fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::Archived => (
                "The channel is archived.",
                "Restore it there, or set another channel up here; then send a test.",
            ),
            Self::Deleted => (
                "There is no such channel any more, or the app cannot see it.",
                "Set it up again with a channel that exists, add the app to that, and send a test.",
            ),
            Self::NotMember => (
                "The app is not in the channel.",
                "Add the app to the channel there, then send a test.",
            ),
            Self::Blocked => (
                "An administrator there has blocked the app, or does not let it do what it needs.",
                "Have the app and its permissions allowed there, then send a test.",
            ),
            Self::Unauthorized => (
                "The app's secret is not taken any more.",
                "Enter the secrets again, then send a test.",
            ),
            Self::Encrypted => (
                "The room is encrypted: what is said there cannot be read.",
                "A room stays encrypted for good. Set up another one here that is not, and send a test.",
            ),
            Self::Uninstalled => (
                "The app was removed there. That is final.",
                "Remove this channel, install the app anew, and add the channel again.",
            ),
        }
    }
}

impl Vendor {
    /// By which way deliveries go there.
    #[must_use]
    pub fn channel(self) -> Channel {
        match self {
            Self::Slack => Channel::Slack,
            Self::Teams => Channel::Teams,
            Self::Mattermost => Channel::Mattermost,
            Self::Matrix => Channel::Matrix,
            Self::PagerDuty => Channel::PagerDuty,
        }
    }

    /// Whose chat a way leads to; `None` for other ways.
    #[must_use]
    pub fn of(channel: Channel) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.channel() == channel)
    }

    /// What has to be known of a channel.
    fn fields(self) -> &'static [Field] {
        match self {
            Self::Slack => slack::FIELDS,
            Self::Teams => teams::FIELDS,
            Self::Mattermost => mattermost::FIELDS,
            Self::Matrix => matrix::FIELDS,
            Self::PagerDuty => pagerduty::FIELDS,
        }
    }

    /// Whether it calls us when something is said.
    #[must_use]
    pub fn calls(self) -> bool {
        !matches!(self, Self::Matrix | Self::PagerDuty)
    }
}

/// A setting of a channel.
pub(crate) struct Field {
    name: &'static str,
    secret: bool,
    sound: fn(&str) -> bool,
    /// What it is, behind its name.
    is: &'static str,
}

/// Why a vendor did not do what was asked of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It may do so later; not before so many seconds, where it says so. It may have done it.
    Later(String, Option<i64>),
    /// It never will for this message.
    Refused(String),
    /// It does nothing there until somebody does something about it.
    Trouble(Trouble, String),
    /// What is answered to is not there.
    NoThread,
}

pub(crate) type Told<T> = std::result::Result<T, Fault>;

/// A channel as its customer sees it.
#[derive(Clone, Debug)]
pub struct ChatChannel {
    /// Its id, a UUID.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantNo,
    /// Whose chat it is in.
    pub vendor: Vendor,
    /// What it is called here.
    pub name: String,
    /// Its settings, of which none is secret.
    pub place: Map<String, Value>,
    /// What its vendor said of it.
    pub known: Value,
    /// In which language it is written to.
    pub language: Language,
    /// What keeps us from it, and since when.
    pub trouble: Option<(Trouble, Timestamp)>,
    /// What was wrong with the last request that was not its vendor's.
    pub refused: Option<(String, Timestamp)>,
    /// Who added it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
}

const COLUMNS: &str = "id, tenant_no, vendor, name, place, known, language, trouble, trouble_at, \
                       refused, refused_at, created_by, created_at";

impl ChatChannel {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let id: String = column(row, 0)?;
        let damaged = || Error::Internal(format!("the chat channel {id} is damaged"));
        let at = |index| -> Result<Option<Timestamp>> {
            Ok(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros))
        };
        let trouble = match column::<Option<String>>(row, 7)? {
            Some(word) => Some(Trouble::read(&word).ok_or_else(damaged)?),
            None => None,
        };
        Ok(Self {
            tenant: TenantNo(column(row, 1)?),
            vendor: Vendor::read(&column::<String>(row, 2)?).ok_or_else(damaged)?,
            name: column(row, 3)?,
            place: serde_json::from_str(&column::<String>(row, 4)?).map_err(Error::internal)?,
            known: serde_json::from_str(&column::<String>(row, 5)?).map_err(Error::internal)?,
            language: Language::read(&column::<String>(row, 6)?).ok_or_else(damaged)?,
            trouble: trouble.zip(at(8)?),
            refused: column::<Option<String>>(row, 9)?.zip(at(10)?),
            created_by: column(row, 11)?,
            created: Timestamp::from_micros(column(row, 12)?),
            id,
        })
    }

    /// A setting, empty where there is none.
    fn setting(&self, name: &str) -> &str {
        self.place.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Something the vendor said of it, empty where it did not yet.
    fn told(&self, name: &str) -> &str {
        self.known[name].as_str().unwrap_or_default()
    }

    /// The path at which its vendor reaches us.
    #[must_use]
    pub fn events_path(&self) -> String {
        format!("/api/v1/chat-channels/{}/events", self.id)
    }
}

/// What who said something in a channel goes by in a conversation.
fn author_id(it: &ChatChannel, user: &str) -> String {
    format!("{}:{user}", it.id)
}

/// Whether an author of a conversation is one of a channel.
pub(super) fn is_of(author_id: &str, channel: &str) -> bool {
    author_id.strip_prefix(channel).is_some_and(|rest| rest.starts_with(':'))
}

fn unknown() -> Error {
    Error::NotFound("the chat channel does not exist".to_owned())
}

fn secret_of(id: &str) -> Place<'_> {
    Place { table: "chat_channel", row: id, column: "secret" }
}

/// Printable ASCII without blanks, of this length.
fn is_word(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// The settings of a vendor among what was given; those that are absent stay as they were.
fn settings(
    app: &App,
    vendor: Vendor,
    secret: bool,
    given: &Map<String, Value>,
    mut were: Map<String, Value>,
) -> Result<Map<String, Value>> {
    let fields = || vendor.fields().iter().filter(|field| field.secret == secret);
    let part = if secret { "secrets" } else { "settings" };
    for (name, value) in given {
        let field = fields().find(|field| field.name == name).ok_or_else(|| {
            let known: Vec<&str> = fields().map(|field| field.name).collect();
            Error::Invalid(format!("{part} of {} are {}", vendor.word(), known.join(", ")))
        })?;
        let text = value.as_str().unwrap_or_default().trim();
        if text.len() > LONGEST || !(field.sound)(text) {
            return Err(Error::Invalid(format!("{} is {}", field.name, field.is)));
        }
        let mut text = text.to_owned();
        if field.name == "baseUrl" {
            let url = Url::parse(&text);
            let url = url.map_err(|why| Error::Invalid(format!("baseUrl is no address: {why}")))?;
            outbound::require_sound(&app.config, &url)?;
            url.as_str().trim_end_matches('/').clone_into(&mut text);
        }
        were.insert(name.clone(), json!(text));
    }
    match fields().find(|field| !were.contains_key(field.name)) {
        Some(field) => Err(Error::Invalid(format!("{} is {}", field.name, field.is))),
        None => Ok(were),
    }
}

/// The channels of the caller's own organisation, the oldest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<ChatChannel>> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    let sql = format!(
        "select {COLUMNS} from chat_channel where tenant_no = $1 and removed_at is null \
         order by created_at, id"
    );
    let rows = app.db.of(tenant).query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(ChatChannel::from_row).collect()
}

/// Those that something is sent to, in an open change.
pub(super) async fn live(tx: &Transaction, tenant: TenantNo) -> Result<Vec<ChatChannel>> {
    let sql = format!(
        "select {COLUMNS} from chat_channel where tenant_no = $1 and removed_at is null \
         and (trouble is null or trouble <> 'uninstalled') order by created_at, id"
    );
    let rows = tx.query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(ChatChannel::from_row).collect()
}

pub(super) async fn find_in(tx: &Transaction, tenant: TenantNo, id: &str) -> Result<ChatChannel> {
    let sql = format!(
        "select {COLUMNS} from chat_channel where tenant_no = $1 and id = $2 \
         and removed_at is null"
    );
    let row = tx.query_one(&sql, vec![tenant.0.into(), id.into()]).await?;
    row.as_ref().map(ChatChannel::from_row).transpose()?.ok_or_else(unknown)
}

/// A channel as an administrator wants it; on a change, what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What it is called here.
    pub name: Option<String>,
    /// In which language it is written to.
    pub language: Option<Language>,
    /// Where it is and as whom we are there.
    pub settings: Map<String, Value>,
    /// What proves that.
    pub secrets: Map<String, Value>,
}

/// Adds a channel to the caller's own organisation.
pub async fn add(
    app: &App,
    caller: &Caller,
    vendor: Vendor,
    wanted: &Wanted,
) -> Result<ChatChannel> {
    caller.require(&[Permission::ContactReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let tenant = caller.own_tenant()?;
    let name = wanted.name.as_deref().unwrap_or("Managed response");
    let name = crate::tenant::named("chat channel", name)?.to_owned();
    let place = settings(app, vendor, false, &wanted.settings, Map::new())?;
    let secrets = settings(app, vendor, true, &wanted.secrets, Map::new())?;
    let id = app.random.uuid()?;
    let key = app.vault_key(tenant).await?;
    let it = ChatChannel {
        id,
        tenant,
        vendor,
        name,
        place,
        known: json!({}),
        language: wanted.language.unwrap_or_default(),
        trouble: None,
        refused: None,
        created_by: caller.actor().name,
        created: app.clock.now(),
    };
    let mut line = Line { it, secrets };
    let since = set_up(app, &mut line).await?;
    let Line { it, secrets } = line;
    let secrets = Value::Object(secrets).to_string();
    let sealed = key.seal(&app.random, secret_of(&it.id), secrets.as_bytes())?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let there = live(&tx, tenant).await?;
    if there.len() as i64 >= MOST {
        return Err(Error::Conflict(format!("an organisation has {MOST} chat channels at most")));
    }
    if there.iter().any(|other| other.vendor == vendor && other.place == it.place) {
        return Err(Error::Conflict("this channel is connected already".to_owned()));
    }
    tx.execute(
        "insert into chat_channel (id, tenant_no, vendor, name, place, known, secret, language, \
         created_by, created_at, since) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        vec![
            it.id.clone().into(),
            tenant.0.into(),
            vendor.word().into(),
            it.name.clone().into(),
            Value::Object(it.place.clone()).to_string().into(),
            it.known.to_string().into(),
            sealed.into(),
            it.language.word().into(),
            it.created_by.clone().into(),
            it.created.micros().into(),
            since.into(),
        ],
    )
    .await?;
    tx.record(Fact::ChatChannelAdded {
        channel: it.id.clone(),
        vendor: vendor.word(),
        name: it.name.clone(),
    });
    tx.commit().await?;
    Ok(it)
}

/// Looks at a channel before it is connected, where its vendor can say by then whether it will do: finds
/// the room that is meant, and gives from where on it is heard.
///
/// # Errors
/// `Invalid` with the setting that is wrong.
async fn set_up(app: &App, line: &mut Line) -> Result<Option<String>> {
    if line.it.vendor != Vendor::Matrix {
        return Ok(None);
    }
    matrix::set_up(app, line).await.map(Some).map_err(|fault| {
        Error::Invalid(match fault {
            Fault::Trouble(Trouble::Unauthorized, _) => {
                "accessToken is not taken by the homeserver".to_owned()
            }
            Fault::Trouble(Trouble::Deleted, _) | Fault::NoThread => {
                "roomId leads to no room that the homeserver knows".to_owned()
            }
            Fault::Trouble(Trouble::Encrypted, _) => {
                "roomId is of an encrypted room, which cannot be read: take one that is not"
                    .to_owned()
            }
            Fault::Trouble(Trouble::Archived, _) => {
                "roomId is of a room that was replaced by another one".to_owned()
            }
            Fault::Trouble(Trouble::NotMember, _) => {
                "roomId is of a room that the bot is neither in nor invited to".to_owned()
            }
            Fault::Trouble(_, why) => format!("accessToken is of an account that may not: {why}"),
            Fault::Later(why, _) | Fault::Refused(why) => {
                format!("baseUrl: the homeserver cannot be asked now: {why}")
            }
        })
    })
}

/// The same for a channel that is to be another: what was found, where it was looked at.
async fn set_up_again(
    app: &App,
    tenant: TenantNo,
    id: &str,
    wanted: &Wanted,
) -> Result<Option<Found>> {
    let Some(mut line) = open(app, &app.db.of(tenant), id).await? else { return Ok(None) };
    if line.it.vendor != Vendor::Matrix {
        return Ok(None);
    }
    let was = line.it.place.clone();
    line.it.place = settings(app, line.it.vendor, false, &wanted.settings, was.clone())?;
    require_secrets(&was, &line.it.place, wanted)?;
    line.secrets = settings(app, line.it.vendor, true, &wanted.secrets, line.secrets)?;
    let since = set_up(app, &mut line).await?;
    // Of the very same room nothing is passed over.
    let since = since.filter(|_| line.it.place != was);
    Ok(Some(Found { place: line.it.place, known: line.it.known, since }))
}

/// What was found out about a channel that is to be another.
struct Found {
    place: Map<String, Value>,
    known: Value,
    /// From where on it is heard, where that is another moment than before.
    since: Option<String>,
}

/// A secret goes to the server it was given for, and to no other.
fn require_secrets(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    wanted: &Wanted,
) -> Result<()> {
    if after.get("baseUrl") != before.get("baseUrl") && wanted.secrets.is_empty() {
        return Err(Error::Invalid("secrets are given anew with another baseUrl".to_owned()));
    }
    Ok(())
}

/// Changes a channel: its name and language, where it is, its secrets.
///
/// # Errors
/// `Conflict` once the app was removed at its vendor's.
pub async fn change(app: &App, caller: &Caller, id: &str, wanted: &Wanted) -> Result<ChatChannel> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let moved = !wanted.settings.is_empty() || !wanted.secrets.is_empty();
    if moved {
        caller.require_step_up(app.clock.now())?;
    }
    let found = if moved { set_up_again(app, tenant, id, wanted).await? } else { None };
    let key = app.vault_key(tenant).await?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = find_in(&tx, tenant, id).await?;
    if moved && matches!(before.trouble, Some((Trouble::Uninstalled, _))) {
        return Err(Error::Conflict(
            "the app was removed there, which is final: add the channel anew".to_owned(),
        ));
    }
    let mut after = before.clone();
    if let Some(name) = &wanted.name {
        crate::tenant::named("chat channel", name)?.clone_into(&mut after.name);
    }
    after.language = wanted.language.unwrap_or(before.language);
    after.place = settings(app, before.vendor, false, &wanted.settings, before.place.clone())?;
    require_secrets(&before.place, &after.place, wanted)?;
    let (mut known, mut since) = (json!({}), None);
    if let Some(found) = found {
        (after.place, known, since) = (found.place, found.known, found.since);
    }
    let mut changes: Vec<Change> = vec![
        ("name", json!(before.name), json!(after.name)),
        ("language", json!(before.language), json!(after.language)),
        ("settings", json!(before.place), json!(after.place)),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| Change { field, before, after })
    .collect();
    if !wanted.secrets.is_empty() {
        // That they are others is on record, and nothing of either.
        changes.push(Change { field: "secrets", before: Value::Null, after: Value::Null });
    }
    if changes.is_empty() {
        return Ok(after);
    }
    let were = secrets(&key, &sealed_in(&tx, id).await?, id)?;
    let new = settings(app, before.vendor, true, &wanted.secrets, were)?;
    let sealed = key.seal(&app.random, secret_of(id), Value::Object(new).to_string().as_bytes())?;
    if moved {
        (after.known, after.trouble) = (known, None);
    }
    if after.place != before.place {
        // Posts of another channel are not answered to here.
        tx.execute("update chat_post set root = 0 where channel_id = $1", vec![id.into()]).await?;
    }
    tx.execute(
        "update chat_channel set name = $3, language = $4, place = $5, known = $6, secret = $7, \
         trouble = $8, trouble_at = $9, refused = null, refused_at = null, since = coalesce($10, since) \
         where tenant_no = $1 and id = $2",
        vec![
            tenant.0.into(),
            id.into(),
            after.name.clone().into(),
            after.language.word().into(),
            Value::Object(after.place.clone()).to_string().into(),
            after.known.to_string().into(),
            sealed.into(),
            after.trouble.map(|(it, _)| it.word()).into(),
            after.trouble.map(|(_, at)| at.micros()).into(),
            since.into(),
        ],
    )
    .await?;
    after.refused = None;
    tx.record(Fact::ChatChannelChanged {
        channel: after.id.clone(),
        name: after.name.clone(),
        changes,
    });
    tx.commit().await?;
    Ok(after)
}

/// Takes a channel away and forgets its secrets; what waits for it is not sent any more.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let it = find_in(&tx, tenant, id).await?;
    tx.execute(
        "update chat_channel set removed_at = $3, secret = $4 where tenant_no = $1 and id = $2",
        vec![tenant.0.into(), id.into(), tx.now().micros().into(), Vec::<u8>::new().into()],
    )
    .await?;
    tx.record(Fact::ChatChannelRemoved { channel: it.id, name: it.name });
    tx.commit().await
}

async fn sealed_in(tx: &Transaction, id: &str) -> Result<Vec<u8>> {
    let row =
        tx.query_one("select secret from chat_channel where id = $1", vec![id.into()]).await?;
    row.map(|row| column(&row, 0)).transpose()?.ok_or_else(unknown)
}

fn secrets(key: &crate::vault::Key, sealed: &[u8], id: &str) -> Result<Map<String, Value>> {
    serde_json::from_slice(&key.open(secret_of(id), sealed)?).map_err(Error::internal)
}

/// A channel with what proves who we are there: the way to it, opened once for several deliveries.
pub(crate) struct Line {
    pub(super) it: ChatChannel,
    secrets: Map<String, Value>,
}

impl Line {
    /// Whether only what mentions us is told to us.
    pub(super) fn by_mention(&self) -> bool {
        self.it.vendor == Vendor::Teams
    }

    fn secret(&self, name: &str) -> &str {
        self.secrets.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Opens the way to a channel; `None` when it is removed, here or there.
pub(super) async fn open(app: &App, scope: &Scope<'_>, id: &str) -> Result<Option<Line>> {
    let sql = format!(
        "select {COLUMNS}, secret from chat_channel where id = $1 and removed_at is null \
         and (trouble is null or trouble <> 'uninstalled')"
    );
    let Some(row) = scope.query_one(&sql, vec![id.into()]).await? else { return Ok(None) };
    let it = ChatChannel::from_row(&row)?;
    let sealed: Vec<u8> = column(&row, 13)?;
    let key = app.vault_key(it.tenant).await?;
    Ok(Some(Line { secrets: secrets(&key, &sealed, id)?, it }))
}

/// Notes what keeps us from a channel, or that nothing does any more.
pub(super) async fn stands(app: &App, it: &ChatChannel, trouble: Option<Trouble>) -> Result<()> {
    if it.trouble.map(|(known, _)| known) == trouble {
        return Ok(());
    }
    let mut tx = Tx::begin(app, it.tenant, Actor::system(NOTIFIER)).await?;
    stands_in(&mut tx, &it.id, trouble).await?;
    tx.commit().await
}

/// The same in an open change. What is final stays.
async fn stands_in(tx: &mut Tx, id: &str, trouble: Option<Trouble>) -> Result<()> {
    let Ok(it) = find_in(tx, tx.tenant(), id).await else { return Ok(()) };
    let known = it.trouble.map(|(known, _)| known);
    if known == trouble || known == Some(Trouble::Uninstalled) {
        return Ok(());
    }
    tx.execute(
        "update chat_channel set trouble = $2, trouble_at = $3 where id = $1",
        vec![
            id.into(),
            trouble.map(Trouble::word).into(),
            trouble.map(|_| tx.now().micros()).into(),
        ],
    )
    .await?;
    let changes = vec![Change { field: "trouble", before: json!(known), after: json!(trouble) }];
    tx.record(Fact::ChatChannelChanged { channel: it.id, name: it.name, changes });
    Ok(())
}

/// Keeps what a vendor said of a channel.
async fn learn(app: &App, it: &ChatChannel, known: &Value) -> Result<()> {
    let tx = app.db.of(it.tenant).begin().await?;
    tx.execute(
        "update chat_channel set known = $2 where id = $1",
        vec![it.id.clone().into(), known.to_string().into()],
    )
    .await?;
    tx.commit().await
}

/// What a vendor answers to a request over HTTP: its status and its JSON.
struct Said {
    status: u16,
    retry_after: Option<i64>,
    /// Where what was made is, where that is said.
    content_location: Option<String>,
    body: Value,
}

/// Asks a vendor something.
async fn ask(app: &App, request: axum::http::Request<Vec<u8>>) -> Told<Said> {
    ask_within(app, request, LASTS).await
}

/// The same, for as long as it may take.
async fn ask_within(
    app: &App,
    request: axum::http::Request<Vec<u8>>,
    lasts: Duration,
) -> Told<Said> {
    let answer = outbound::ask(&app.config, request, lasts).await;
    // Whether it arrived is not known.
    let answer = answer.map_err(|error| Fault::Later(Error::from(error).to_string(), None))?;
    let header = |name: &str| answer.headers().get(name).and_then(|it| it.to_str().ok());
    let after = header("retry-after");
    Ok(Said {
        content_location: header("content-location").map(str::to_owned),
        status: answer.status().as_u16(),
        retry_after: after.and_then(|it| it.trim().parse().ok()).map(|it: i64| it.clamp(1, 3_600)),
        body: serde_json::from_slice(answer.body()).unwrap_or_default(),
    })
}

/// A request in JSON.
fn request(
    method: &str,
    url: &str,
    token: Option<&str>,
    body: &Value,
) -> Told<axum::http::Request<Vec<u8>>> {
    let mut request = axum::http::Request::builder()
        .method(method)
        .uri(url)
        .header("accept", "application/json")
        .header("user-agent", "Riposte");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let body = if body.is_null() {
        Vec::new()
    } else {
        request = request.header("content-type", "application/json; charset=utf-8");
        body.to_string().into_bytes()
    };
    request.body(body).map_err(|why| Fault::Refused(format!("no request: {why}")))
}

/// Text cut to so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::corpus::HOSTILE;
    use crate::notification::letter::{self, Kind, Letter};

    /// A letter with a hostile text in every value.
    fn hostile(kind: Kind, evil: &str) -> Letter {
        let mut data = kind.sample();
        for name in ["author", "about", "target", "because", "receiver", "what", "tenant", "text"] {
            data[name] = json!(evil);
        }
        data["incident"]["name"] = json!(evil);
        data["pending"] = json!([evil]);
        let link = "https://mdr.example/incidents/7?response=actions";
        let mut letter = letter::write(kind, Language::English, &data, link)
            .unwrap_or_else(|error| panic!("{error}"));
        letter.answer = letter::below_line(Language::English, true).ok();
        letter
    }

    /// Texts of a message that its vendor reads markup in.
    fn read_as_markup(it: &Value) -> Vec<String> {
        match it {
            Value::Array(all) => all.iter().flat_map(read_as_markup).collect(),
            Value::Object(all) => {
                let plain = matches!(
                    all.get("type").and_then(Value::as_str),
                    Some("text" | "plain_text" | "TextRun")
                );
                let texts = all.iter().filter(|(name, _)| !plain || *name != "text");
                texts.flat_map(|(_, it)| read_as_markup(it)).collect()
            }
            Value::String(text) => vec![text.clone()],
            _ => Vec::new(),
        }
    }

    #[test]
    fn no_value_becomes_markup_a_link_or_a_mention_in_any_chat() {
        for evil in HOSTILE {
            for &kind in Kind::ALL {
                for below in [false, true] {
                    let letter = hostile(kind, evil);
                    let ours = |text: &String| *text == letter.link.0 || *text == letter.link.1;
                    for text in read_as_markup(&slack::card(&letter, below)) {
                        let escaped = !text.contains(['<', '>']);
                        assert!(escaped || ours(&text), "Slack: {evil:?} in {text:?}");
                    }
                    let card = teams::card(&letter, below);
                    assert!(card.get("entities").is_none(), "nobody is mentioned");
                    for text in read_as_markup(&card["attachments"][0]["content"]["body"]) {
                        let word = text.chars().all(|c| c.is_ascii_alphabetic());
                        assert!(word, "Teams: {evil:?} in {text:?}");
                    }
                    let text = mattermost::text(&letter, below);
                    let all = text.to_lowercase();
                    for called in ["@channel", "@all", "@here", "@everyone"] {
                        assert!(!all.contains(called), "Mattermost: {evil:?} calls: {text}");
                    }
                    let links = text.matches("](").count();
                    assert_eq!(links, 1, "Mattermost: {evil:?} links: {text}");
                    let addresses = text.matches("://").count();
                    assert_eq!(addresses, 1, "Mattermost: {evil:?} is an address: {text}");
                    let bare = text.replace("(<https", "(").replace("actions>)", ")");
                    let unescaped = |c: char| {
                        let mut before = ' ';
                        bare.chars().any(|it| {
                            let bare = it == c && before != '\\';
                            before = it;
                            bare
                        })
                    };
                    assert!(!unescaped('<') && !unescaped('`'), "Mattermost: {text}");
                    assert!(text.len() < 16_383, "Mattermost takes no more");
                    let content = matrix::content(&letter, below);
                    assert_eq!(content["m.mentions"], json!({}), "nobody is mentioned");
                    assert!(content.to_string().len() < 60_000, "a homeserver takes no more");
                    let html = content["formatted_body"].as_str().unwrap_or_default();
                    let mut bare = html.replace("<a href=\"https", "").replace("actions\">", "");
                    for tag in ["h4", "p", "ul", "li", "strong", "em", "blockquote", "br", "a"] {
                        bare = bare.replace(&format!("<{tag}>"), "");
                        bare = bare.replace(&format!("</{tag}>"), "");
                    }
                    assert!(!bare.contains(['<', '>', '"', '\'']), "Matrix: {evil:?} in {html}");
                    for text in [html, content["body"].as_str().unwrap_or_default()] {
                        assert_eq!(text.matches("://").count(), 1, "Matrix: an address: {text}");
                        let called = text.to_lowercase().contains("@room");
                        assert!(!called, "Matrix: {evil:?} calls: {text}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_slack_calls_people_and_addresses_is_read_in_plain_words() {
        for (said, plain) in [
            ("<@U1> look", "look"),
            ("ask <@U2|kari> and <@U3>", "ask @kari and @U3"),
            ("in <#C1|general>, <!here> <!subteam^S1|@soc>", "in #general, here @soc"),
            (
                "<https://a.example|see> <mailto:a@b.example|a@b.example>",
                "https://a.example a@b.example",
            ),
            ("1 &lt; 2 &amp;amp; <", "1 < 2 &amp; <"),
        ] {
            assert_eq!(slack::plain(said, "U1"), plain, "{said}");
        }
    }

    #[test]
    fn what_teams_wraps_is_taken_off() {
        let it = json!({
            "text": "<div><at>Riposte</at>&nbsp;one<br>two &lt;b&gt; <at>Ola</at></div>",
            "recipient": { "id": "28:me" },
            "entities": [
                { "type": "mention", "text": "<at>Riposte</at>", "mentioned": { "id": "28:me" } },
                { "type": "mention", "text": "<at>Ola</at>",
                  "mentioned": { "id": "29:ola", "name": "Ola" } },
            ],
        });
        assert_eq!(teams::plain(&it), "one\ntwo <b> @Ola");
    }
}
