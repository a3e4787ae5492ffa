//! Notifications: that a customer hears of what concerns it, wherever its people are (NOT, quality 2).
//!
//! A notification is what there is to tell, made once from a fact. A delivery is that, for one
//! receiver by one channel; an attempt is each time it was sent. Invariants: what is told is written
//! in the transaction that notes that it was told (`make`), so that no crash loses it; a delivery has
//! one id for ever, which its receiver sees (Message-ID, `webhook-id`); it ends as delivered, or dead
//! with a fact of its own and others told instead. Nothing that arrives here carries an action out.
//! Not here: who hears of things (`contact`), answers that come back (`conversation`).

pub mod chat;
#[cfg(test)]
pub(crate) mod corpus;
pub mod engine;
pub mod imap;
pub mod inbox;
pub mod letter;
pub mod mail;
pub mod make;
pub mod model;
pub mod phone;
pub mod reminder;
pub mod reply;
pub mod rule;
pub mod setting;
pub mod webhook;
mod whole;

use std::collections::HashMap;

use sea_orm::QueryResult;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Timestamp;
use crate::contact::{self, Language};
use crate::db::{Condition, Scope, Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{IncidentId, TenantNo};
use crate::notification::letter::{Kind, Letter};
use crate::notification::make::{Channel, Notice, Receiver};
use crate::notification::model::LASTS_S;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// A delivery, as people look at it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id, which the receiver sees.
    pub id: String,
    /// Its place in the order of all.
    pub number: i64,
    /// Whose it is.
    pub tenant: TenantNo,
    /// What it brings.
    pub notification: String,
    /// What that is.
    pub kind: Kind,
    /// The incident it is about.
    pub incident: Option<IncidentId>,
    /// By which way.
    pub channel: Channel,
    /// The address; of a webhook where it is, of a chat channel its name.
    pub to: String,
    /// Whom it is for, as people call it.
    pub name: String,
    /// In which language.
    pub language: Language,
    /// `waiting`, `delivered`, `dead` or `cancelled`.
    pub state: String,
    /// How often it was sent.
    pub attempts: i64,
    /// When it is due, while it waits.
    pub next: Option<Timestamp>,
    /// When it was made.
    pub made: Timestamp,
    /// When it came to its end.
    pub ended: Option<Timestamp>,
    /// Why it is not delivered.
    pub error: Option<String>,
    /// What the words are made of.
    pub data: Value,
}

const COLUMNS: &str = "delivery.id, delivery.number, delivery.tenant_no, delivery.notification_id, \
    notification.kind, delivery.incident_id, lane.channel, \
    coalesce(webhook.url, chat_channel.name, lane.receiver), delivery.name, delivery.language, delivery.state, \
    delivery.attempts, delivery.next_at, delivery.made_at, delivery.ended_at, delivery.error, \
    notification.data";

const FROM: &str = "from delivery join notification on notification.id = delivery.notification_id \
    join lane on lane.id = delivery.lane_id \
    left join webhook on lane.channel = 'webhook' and webhook.id = lane.receiver \
    left join chat_channel on chat_channel.id = lane.receiver";

impl Delivery {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let id: String = column(row, 0)?;
        let damaged = || Error::Internal(format!("the delivery {id} is damaged"));
        let at = |index| -> Result<Option<Timestamp>> {
            Ok(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros))
        };
        let state: String = column(row, 10)?;
        Ok(Self {
            number: column(row, 1)?,
            tenant: TenantNo(column(row, 2)?),
            notification: column(row, 3)?,
            kind: Kind::read(&column::<String>(row, 4)?).ok_or_else(damaged)?,
            incident: column::<Option<i64>>(row, 5)?.map(IncidentId),
            channel: Channel::read(&column::<String>(row, 6)?).ok_or_else(damaged)?,
            to: column(row, 7)?,
            name: column(row, 8)?,
            language: Language::read(&column::<String>(row, 9)?).ok_or_else(damaged)?,
            attempts: column(row, 11)?,
            next: at(12)?.filter(|_| state == "waiting"),
            made: Timestamp::from_micros(column(row, 13)?),
            ended: at(14)?,
            error: column(row, 15)?,
            data: serde_json::from_str(&column::<String>(row, 16)?).map_err(Error::internal)?,
            state,
            id,
        })
    }

    /// What it says.
    pub fn letter(&self, app: &App) -> Result<Letter> {
        letter::write(self.kind, self.language, &self.data, &link(app, &self.data))
    }
}

/// What became of the newest welcome mail of a customer.
#[derive(Clone, Debug)]
pub struct Welcome {
    /// `waiting`, `delivered`, `dead` or `cancelled`.
    pub state: String,
    /// Why it is not delivered.
    pub error: Option<String>,
    /// When it was made.
    pub made: Timestamp,
}

/// What became of the newest welcome mail of each of these customers, as the provider sees it.
pub async fn welcomes(app: &App, tenants: &[TenantNo]) -> Result<HashMap<TenantNo, Welcome>> {
    let mut found = HashMap::new();
    if tenants.is_empty() {
        return Ok(found);
    }
    let (among, values) =
        app.db.engine().among(1, tenants.iter().map(|tenant| tenant.0.into()).collect());
    let sql = format!(
        "select delivery.tenant_no, delivery.state, delivery.error, delivery.made_at \
         from delivery join notification on notification.id = delivery.notification_id \
         where delivery.number in (select max(newest.number) from onboarding \
         join delivery newest on newest.tenant_no = onboarding.tenant_no \
         join notification about on about.id = newest.notification_id and about.kind = 'welcome' \
         where onboarding.tenant_no {among} group by newest.tenant_no)"
    );
    for row in app.db.reach(tenants).query(&sql, values).await? {
        let made = Timestamp::from_micros(column(&row, 3)?);
        let it = Welcome { state: column(&row, 1)?, error: column(&row, 2)?, made };
        found.insert(TenantNo(column(&row, 0)?), it);
    }
    Ok(found)
}

/// Where a notification leads, of which `link` is the path.
fn link(app: &App, data: &Value) -> String {
    format!("{}{}", app.web(), data["link"].as_str().unwrap_or("/"))
}

/// One time that a delivery was sent.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// The first is 1.
    pub number: i64,
    /// When it was begun.
    #[serde(rename = "startedDateTime")]
    pub begun: Timestamp,
    /// When it came to an end.
    #[serde(rename = "endedDateTime")]
    pub ended: Timestamp,
    /// `delivered`, `later` or `refused`.
    pub outcome: String,
    /// What the receiver's server said, in our words.
    pub detail: String,
}

/// Which deliveries of the caller's own organisation are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Those in this state.
    pub state: Option<String>,
    /// Those by this channel.
    pub channel: Option<Channel>,
    /// Those about this incident.
    pub incident: Option<IncidentId>,
    /// Those before this number.
    pub before: Option<i64>,
}

/// A page of deliveries of the caller's own organisation, the newest first.
pub async fn deliveries(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    top: i64,
) -> Result<Vec<Delivery>> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    let mut it =
        Condition { test: "delivery.tenant_no = $1".to_owned(), values: vec![tenant.0.into()] };
    if let Some(state) = &filter.state {
        it.and("delivery.state = ?", state.clone());
    }
    if let Some(channel) = filter.channel {
        it.and("lane.channel = ?", channel.word());
    }
    if let Some(incident) = filter.incident {
        it.and("delivery.incident_id = ?", incident.0);
    }
    if let Some(before) = filter.before {
        it.and("delivery.number < ?", before);
    }
    it.values.push(top.into());
    let sql = format!(
        "select {COLUMNS} {FROM} where {} order by delivery.number desc limit ${}",
        it.test,
        it.values.len()
    );
    let rows = app.db.of(tenant).query(&sql, it.values).await?;
    rows.iter().map(Delivery::from_row).collect()
}

/// Who was told what about an incident, the newest first.
pub async fn of_incident(scope: &Scope<'_>, id: IncidentId) -> Result<Vec<Delivery>> {
    let sql = format!(
        "select {COLUMNS} {FROM} where delivery.incident_id = $1 \
         order by delivery.number desc limit 500"
    );
    let rows = scope.query(&sql, vec![id.0.into()]).await?;
    rows.iter().map(Delivery::from_row).collect()
}

fn unknown() -> Error {
    Error::NotFound("the delivery does not exist".to_owned())
}

async fn one(tx: &Transaction, tenant: TenantNo, id: &str) -> Result<Delivery> {
    let sql = format!("select {COLUMNS} {FROM} where delivery.tenant_no = $1 and delivery.id = $2");
    let row = tx.query_one(&sql, vec![tenant.0.into(), id.into()]).await?;
    row.as_ref().map(Delivery::from_row).transpose()?.ok_or_else(unknown)
}

/// A delivery of the caller's own organisation, with each attempt.
pub async fn find(app: &App, caller: &Caller, id: &str) -> Result<(Delivery, Vec<Attempt>)> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    let tx = app.db.of(tenant).snapshot().await?;
    let it = one(&tx, tenant, id).await?;
    let rows = tx
        .query(
            "select number, begun_at, ended_at, outcome, detail from delivery_attempt \
             where delivery_id = $1 order by number",
            vec![id.into()],
        )
        .await?;
    let attempts = rows.iter().map(|row| {
        Ok(Attempt {
            number: column(row, 0)?,
            begun: Timestamp::from_micros(column(row, 1)?),
            ended: Timestamp::from_micros(column(row, 2)?),
            outcome: column(row, 3)?,
            detail: column(row, 4)?,
        })
    });
    Ok((it, attempts.collect::<Result<_>>()?))
}

/// Has a delivery sent again, under the same id, for another 72 hours.
///
/// # Errors
/// `Conflict` while it waits anyway.
pub async fn again(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let it = one(&tx, tenant, id).await?;
    if it.state == "waiting" {
        return Err(Error::Conflict(format!("the delivery {id} waits to be sent already")));
    }
    let now = tx.now();
    let row = tx
        .query_one(
            "update delivery set state = 'waiting', next_at = $2, until = $3, ended_at = null, \
             error = null where id = $1 returning lane_id",
            vec![id.into(), now.micros().into(), now.plus_seconds(LASTS_S).micros().into()],
        )
        .await?
        .ok_or_else(unknown)?;
    make::wake(&tx, column(&row, 0)?, now.micros()).await?;
    tx.record(Fact::DeliveryRepeated { incident: it.incident, delivery: it.id, receiver: it.name });
    tx.commit().await?;
    app.tell.notify_one();
    Ok(())
}

/// Sends a test to a contact or a webhook of the caller's own organisation; gives the delivery's id.
pub async fn test(app: &App, caller: &Caller, channel: Channel, id: &str) -> Result<String> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let receiver = match channel {
        Channel::Mail => {
            let found = contact::find_in(&tx, tenant, id).await?;
            Receiver::from(
                found.ok_or_else(|| Error::NotFound("the contact does not exist".to_owned()))?,
            )
        }
        Channel::Sms | Channel::Call => {
            let found = contact::find_in(&tx, tenant, id).await?;
            let it =
                found.ok_or_else(|| Error::NotFound("the contact does not exist".to_owned()))?;
            let Some(to) = it.phone.clone() else {
                return Err(Error::Conflict(format!("{} has no phone number", it.name)));
            };
            Receiver { channel, to, ..Receiver::from(it) }
        }
        Channel::Slack
        | Channel::Teams
        | Channel::Mattermost
        | Channel::Matrix
        | Channel::PagerDuty => {
            let it = chat::find_in(&tx, tenant, id).await?;
            if matches!(it.trouble, Some((chat::Trouble::Uninstalled, _))) {
                return Err(Error::Conflict(
                    "the app was removed there, which is final: add the channel anew".to_owned(),
                ));
            }
            it.into()
        }
        Channel::Webhook => {
            let it = webhook::find_in(&tx, tenant, id).await?;
            if it.paused.is_some() {
                return Err(Error::Conflict(format!("the webhook {} is paused", it.name)));
            }
            Receiver {
                channel,
                to: it.id,
                name: it.name,
                contact: None,
                language: Language::default(),
            }
        }
    };
    let notice = Notice {
        id: make::id_of(&["test", &app.random.uuid()?]),
        kind: Kind::Test,
        incident: None,
        data: json!({ "author": tx.actor().name, "link": "/" }),
    };
    let notice = make::complete(&tx, notice).await?;
    let delivery = make::delivery_id(&notice.id, &receiver);
    make::tell(&mut tx, &notice, vec![receiver]).await?;
    tx.commit().await?;
    app.tell.notify_one();
    Ok(delivery)
}

/// How one receiver's way goes (COM-7).
#[derive(Clone, Debug)]
pub struct Health {
    /// By which channel.
    pub channel: Channel,
    /// The address; of a webhook its id.
    pub receiver: String,
    /// How many wait.
    pub waiting: i64,
    /// Failures in a row.
    pub failures: i64,
    /// Until when nothing is sent there.
    pub paused_until: Option<Timestamp>,
    /// When something last arrived.
    pub last_ok: Option<Timestamp>,
    /// What was last said instead, and when.
    pub last_error: Option<(String, Timestamp)>,
}

/// How the ways to the receivers of the caller's own organisation go.
pub async fn health(app: &App, caller: &Caller) -> Result<Vec<Health>> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    let rows = app
        .db
        .of(tenant)
        .query(
            "select channel, receiver, (select count(*) from delivery \
             where delivery.lane_id = lane.id and delivery.state = 'waiting'), failures, \
             paused_until, last_ok_at, last_error, last_error_at from lane where tenant_no = $1 \
             order by channel, receiver",
            vec![tenant.0.into()],
        )
        .await?;
    let now = app.clock.now();
    rows.iter()
        .map(|row| {
            let channel: String = column(row, 0)?;
            let channel = Channel::read(&channel)
                .ok_or_else(|| Error::Internal("table lane: channel is damaged".to_owned()))?;
            let paused = Timestamp::from_micros(column(row, 4)?);
            let ok = column::<Option<i64>>(row, 5)?.map(Timestamp::from_micros);
            let at = column::<Option<i64>>(row, 7)?.map(Timestamp::from_micros);
            let error = column::<Option<String>>(row, 6)?.zip(at);
            Ok(Health {
                channel,
                receiver: column(row, 1)?,
                waiting: column(row, 2)?,
                failures: column(row, 3)?,
                paused_until: Some(paused).filter(|until| *until > now),
                last_ok: ok,
                last_error: error.filter(|(_, at)| ok.is_none_or(|ok| *at > ok)),
            })
        })
        .collect()
}

/// A letter as mail would show it, for a preview: subject, text and HTML.
pub fn preview(app: &App, kind: Kind, language: Language) -> Result<(Letter, String, String)> {
    let sample = kind.sample();
    let mut letter = letter::write(kind, language, &sample, &app.web())?;
    if app.config.mail.replies.is_some() && kind.is_answered() {
        letter.answer = Some(letter::answer_line(language)?);
    }
    let provider = sample["provider"].as_str().unwrap_or_default();
    let (text, html) = (mail::text(&letter)?, mail::html(provider, &letter, language)?);
    Ok((letter, text, html))
}
