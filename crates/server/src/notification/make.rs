//! From facts to notifications: who is told what, written in the change that takes the fact off the
//! list of what nobody was told of.
//!
//! A fact that tells ([`Fact::tells`]) comes with a row in `untold`, in its own transaction. Here the
//! rows of one tenant become notifications and deliveries in one transaction that holds the tenant's
//! ledger, so that no two processes tell the same and no crash comes between. An id is computed from
//! the fact and the receiver: what is made twice is the same. Not here: sending (`engine`).

use std::collections::BTreeMap;

use sea_orm::QueryResult;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::actor::{Actor, ActorKind};
use crate::app::App;
use crate::clock::Timestamp;
use crate::contact::{self, Contact, ContactRole, Language, Priority};
use crate::conversation::{self, model::Side};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::escalation::{
    self,
    model::{By, Nobody},
};
use crate::event::Fact;
use crate::id::{ActionId, IncidentId, TenantNo};
use crate::notification::chat::{ChatChannel, Vendor};
use crate::notification::letter::Kind;
use crate::notification::model::LASTS_S;
use crate::notification::{chat, rule, setting, webhook, whole};
use crate::onboarding::welcome::SIGN_IN;
use crate::permission::Permission;
use crate::person::{self, Member};
use crate::response::model::{ActionState, TaskState};
use crate::response::store::{self, Source};
use crate::service_clock::{self, model::Whose};
use crate::tenant::invitation::WELCOME_LASTS_S;
use crate::tx::Tx;
use crate::word::choices;

/// In whose name notifications are made.
pub const NOTIFIER: &str = "Notifications";
/// Facts of one tenant in one transaction.
const MOST: i64 = 50;
/// Tenants looked at in one go.
const TENANTS: i64 = 100;

choices! {
    /// By which way something is brought to somebody.
    Channel {
        /// Mail to an address.
        Mail = "mail",
        /// A signed request to a program.
        Webhook = "webhook",
        /// A post in a channel of Slack.
        Slack = "slack",
        /// A post in a channel of Microsoft Teams.
        Teams = "teams",
        /// A post in a channel of Mattermost.
        Mattermost = "mattermost",
        /// A text message to a number.
        Sms = "sms",
        /// A call to a number.
        Call = "call",
        /// A message in a room of Matrix.
        Matrix = "matrix",
        /// An event for PagerDuty.
        PagerDuty = "pagerduty",
    }
}

impl Channel {
    /// Whether it is a channel of a team chat.
    #[must_use]
    pub fn is_chat(self) -> bool {
        Vendor::of(self).is_some()
    }

    /// Whether it is told of this. PagerDuty calls people: it hears of what awaits its customer, and
    /// alone of what changes that.
    #[must_use]
    pub fn takes(self, kind: Kind, data: &Value) -> bool {
        let called_off = matches!(kind, Kind::CustomerReacted | Kind::NoLongerWaits);
        if self != Self::PagerDuty {
            return !called_off;
        }
        let awaits = data["pending"].as_array().is_some_and(|it| !it.is_empty());
        called_off
            || matches!(kind, Kind::Reminder | Kind::Test)
            || (kind == Kind::ResponsePublished && awaits)
    }
}

/// One who is to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Receiver {
    pub(super) channel: Channel,
    /// The address; of a webhook its id.
    pub(super) to: String,
    /// What people call it.
    pub(super) name: String,
    pub(super) contact: Option<String>,
    pub(super) language: Language,
}

impl From<Contact> for Receiver {
    fn from(it: Contact) -> Self {
        Self {
            channel: Channel::Mail,
            to: it.email,
            name: it.name,
            contact: Some(it.id),
            language: it.language,
        }
    }
}

impl From<ChatChannel> for Receiver {
    fn from(it: ChatChannel) -> Self {
        Self {
            channel: it.vendor.channel(),
            to: it.id,
            name: it.name,
            contact: None,
            language: it.language,
        }
    }
}

/// What there is to tell, before anybody is told.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) incident: Option<IncidentId>,
    /// What the words are made of. `link` is where it leads, behind the installation's address.
    pub(super) data: Value,
}

/// A fact that nobody was told of yet.
struct Untold {
    position: i64,
    kind: String,
    actor: String,
    actor_kind: Option<ActorKind>,
    incident: Option<IncidentId>,
    body: Value,
}

impl Untold {
    fn from_row(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            position: column(row, 0)?,
            kind: column(row, 1)?,
            actor: column(row, 2)?,
            incident: column::<Option<i64>>(row, 3)?.map(IncidentId),
            body: serde_json::from_str(&column::<String>(row, 4)?).map_err(Error::internal)?,
            actor_kind: ActorKind::read(&column::<String>(row, 5)?),
        })
    }

    fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }
}

/// 128 bits of SHA-256 over some words, in hex: an id that is the same wherever it is made.
pub(super) fn id_of(words: &[&str]) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word);
    }
    hex::encode(&hash.finalize()[..16])
}

/// The id of the delivery that brings a notification to a receiver.
pub(super) fn delivery_id(notice: &str, it: &Receiver) -> String {
    id_of(&["delivery", notice, it.channel.word(), &it.to])
}

/// Turns what waits into notifications, of every tenant; says whether more may wait.
pub async fn make(app: &App) -> Result<bool> {
    let rows = app
        .db
        .whole("what people are to be told of, in every tenant")
        .query(
            "select tenant_no from untold union select tenant_no from unruled \
             union select tenant_no from mail_rule_told where due_at <= $1 limit $2",
            vec![app.clock.now().micros().into(), TENANTS.into()],
        )
        .await?;
    let mut more = rows.len() >= TENANTS as usize;
    for row in rows {
        let tenant = TenantNo(column(&row, 0)?);
        match make_in(app, tenant).await {
            Ok(again) => more |= again,
            Err(error) => {
                let no = tenant.0;
                tracing::error!(tenant.no = no, "tenant {no} was not told, will be: {error}");
            }
        }
    }
    Ok(more)
}

async fn make_in(app: &App, tenant: TenantNo) -> Result<bool> {
    let id = app.tenant_id(tenant).await?;
    let mut tx = Tx::begin(app, tenant, Actor::system(NOTIFIER)).await?;
    let rows = tx
        .query(
            "select untold.position, event.kind, event.actor, event.incident_id, event.body, \
             event.actor_kind \
             from untold join event on event.tenant_no = untold.tenant_no \
             and event.position = untold.position where untold.tenant_no = $1 \
             order by untold.position limit $2",
            vec![tenant.0.into(), MOST.into()],
        )
        .await?;
    let facts = rows.iter().map(Untold::from_row).collect::<Result<Vec<_>>>()?;
    let mut ended: Vec<ActionId> = Vec::new();
    for fact in &facts {
        if fact.kind == "action.ended" {
            ended.extend(fact.text("actionId").parse::<ActionId>());
        }
        let named = id_of(&["notification", &id, &fact.position.to_string()]);
        if let Some((notice, receivers)) = plan(&tx, &named, fact).await? {
            tell(&mut tx, &notice, receivers).await?;
        }
        if let Some((notice, receivers)) = of_provider(&tx, &named, fact).await? {
            tell(&mut tx, &notice, receivers).await?;
        }
        let called = id_of(&["call", &named]);
        if let Some((notice, receivers)) = calls(&tx, called, fact).await? {
            tell(&mut tx, &notice, receivers).await?;
        }
        tx.execute(
            "delete from untold where tenant_no = $1 and position = $2",
            vec![tenant.0.into(), fact.position.into()],
        )
        .await?;
    }
    rule::follow::actions(&mut tx, &ended).await?;
    let looked = rule::follow::incidents(&mut tx).await?;
    tx.commit().await?;
    Ok(facts.len() >= MOST as usize || looked >= rule::follow::MOST as usize)
}

/// What a fact means for people, and for whom; `None` when it means nothing to them.
async fn plan(tx: &Tx, id: &str, fact: &Untold) -> Result<Option<(Notice, Vec<Receiver>)>> {
    let id = id.to_owned();
    let (kind, data, mut receivers) = match fact.kind.as_str() {
        "response.published" => {
            let Some(incident) = fact.incident else { return Ok(None) };
            let (pending, done) = tasks(tx, incident).await?;
            let wanted = setting::find_in(tx, tx.tenant()).await?.whole_response;
            let data = json!({
                "pending": pending,
                "done": done,
                "whole": if wanted { whole::of(tx, incident).await? } else { Value::Null },
                "link": format!("/incidents/{incident}?response=actions"),
            });
            (Kind::ResponsePublished, data, everybody(tx).await?)
        }
        "message.sent" => {
            let Some((side, mut data, named)) = message(tx, fact).await? else { return Ok(None) };
            let from = data["authorId"].take();
            if side == Side::Expert {
                let mut receivers = everybody(tx).await?;
                // A question of one person's is not for a whole channel.
                receivers.retain(|it| fact.incident.is_some() || !it.channel.is_chat());
                receivers.extend(named);
                (Kind::MessageFromExperts, data, receivers)
            } else {
                let receivers = channels_besides(tx, fact, from.as_str()).await?;
                if receivers.is_empty() {
                    return Ok(None);
                }
                (Kind::MessageInChat, data, receivers)
            }
        }
        "action.requested" | "action.waits" => {
            let Some(data) = approval(tx, fact).await? else { return Ok(None) };
            (Kind::ApprovalNeeded, data, everybody(tx).await?)
        }
        "contact.added" | "contact.changed" => {
            let found = contact::find_in(tx, tx.tenant(), fact.text("contactId")).await?;
            // Who was removed again before anybody was told need not hear of it.
            let Some(contact) = found else { return Ok(None) };
            let data = json!({
                "author": fact.actor,
                "contact": contact.name,
                "role": contact.role,
                "link": "/",
            });
            (Kind::ContactAdded, data, vec![contact.into()])
        }
        "escalation.stepped" => {
            let Some(receiver) = tried(tx, fact).await? else { return Ok(None) };
            let Some(data) = asked(tx, fact).await? else { return Ok(None) };
            let number = |name: &str| fact.body[name].as_i64().unwrap_or_default();
            if let Some(incident) = fact.incident {
                let delivery = delivery_id(&id, &receiver);
                let step = (number("run"), number("step"));
                escalation::told(tx, incident, step, &delivery).await?;
            }
            (Kind::Escalation, data, vec![receiver])
        }
        "escalation.ended" => {
            let ladder = escalation::ladder_in(tx, tx.tenant()).await?;
            let (Nobody::Lead, Some(lead)) = (ladder.nobody, lead(tx).await?) else {
                return Ok(None);
            };
            let Some(mut data) = asked(tx, fact).await? else { return Ok(None) };
            data["lead"] = json!(true);
            (Kind::NobodyAnswered, data, vec![lead])
        }
        "clock.nearing" | "clock.missed" => {
            let missed = fact.kind == "clock.missed";
            let (data, receivers) = late(tx, fact, missed).await?;
            // Nobody of the provider wants to hear of it: the incident says it.
            if receivers.is_empty() {
                return Ok(None);
            }
            (if missed { Kind::ClockMissed } else { Kind::ClockNearing }, data, receivers)
        }
        "tenant.invited" => {
            let (data, receiver) = welcome(fact);
            (Kind::Welcome, data, vec![receiver])
        }
        "readiness.lapsed" | "readiness.restored" => {
            let contacts = contact::of_role(tx, tx.tenant(), ContactRole::ServiceReview).await?;
            if contacts.is_empty() {
                return Ok(None);
            }
            let (kind, data) = readiness(fact, "/settings/service");
            (kind, data, contacts.into_iter().map(Receiver::from).collect())
        }
        "delivery.failed" => {
            let Some((data, receivers)) = instead(tx, fact).await? else { return Ok(None) };
            (Kind::DeliveryFailed, data, receivers)
        }
        // Of an action that ended rules alone tell, and of all that ended together; of the others only
        // who was called is told ([`calls`]).
        "action.ended" | "incident.changed" | "incident.concluded" | "response.rejected"
        | "task.begun" | "task.started" | "task.closed" => return Ok(None),
        other => return Err(Error::Internal(format!("nobody knows how to tell {other}"))),
    };
    let some = !receivers.is_empty();
    receivers.retain(|it| it.channel.takes(kind, &data));
    if some && receivers.is_empty() {
        return Ok(None);
    }
    let notice = complete(tx, Notice { id, kind, incident: fact.incident, data }).await?;
    Ok(Some((notice, receivers)))
}

/// What a fact means for those whom an incident called: that somebody is on it, or that it awaits them
/// no more. Nobody hears of it whom the incident has not called, or who was told already.
async fn calls(tx: &Tx, id: String, fact: &Untold) -> Result<Option<(Notice, Vec<Receiver>)>> {
    let Some(incident) = fact.incident else { return Ok(None) };
    let kind = if service_clock::follow::is_reaction(&fact.kind, fact.actor_kind) {
        Kind::CustomerReacted
    } else if service_clock::follow::left_customer(&fact.kind, &fact.body) {
        Kind::NoLongerWaits
    } else {
        return Ok(None);
    };
    let mut receivers = Vec::new();
    for it in channels(tx).await?.into_iter().filter(|it| it.channel == Channel::PagerDuty) {
        let newest = tx
            .query_one(
                "select notification.kind from delivery join lane on lane.id = delivery.lane_id \
                 join notification on notification.id = delivery.notification_id \
                 where delivery.incident_id = $1 and lane.channel = $2 and lane.receiver = $3 \
                 order by delivery.number desc limit 1",
                vec![incident.0.into(), it.channel.word().into(), it.to.clone().into()],
            )
            .await?;
        let newest = newest.map(|row| column::<String>(&row, 0)).transpose()?;
        let calls = match newest.as_deref().and_then(Kind::read) {
            None | Some(Kind::NoLongerWaits) => false,
            Some(Kind::CustomerReacted) => kind == Kind::NoLongerWaits,
            Some(_) => true,
        };
        if calls {
            receivers.push(it);
        }
    }
    if receivers.is_empty() {
        return Ok(None);
    }
    let data = json!({
        "author": fact.actor,
        "link": format!("/incidents/{incident}?response=actions"),
    });
    let notice = complete(tx, Notice { id, kind, incident: Some(incident), data }).await?;
    Ok(Some((notice, receivers)))
}

/// What is said of readiness that lapsed or is whole again.
fn readiness(fact: &Untold, link: &str) -> (Kind, Value) {
    let items = fact.body["items"].as_array().cloned().unwrap_or_default();
    let items: Vec<Value> = items.into_iter().map(|it| json!({ "item": it })).collect();
    let lapsed = fact.kind == "readiness.lapsed";
    let kind = if lapsed { Kind::ReadinessLapsed } else { Kind::ReadinessRestored };
    (kind, json!({ "items": items, "link": link }))
}

/// What a customer's fact means for the provider's people who look after customers: its administrators,
/// else the lead; `None` when it means nothing to them.
async fn of_provider(tx: &Tx, id: &str, fact: &Untold) -> Result<Option<(Notice, Vec<Receiver>)>> {
    if !matches!(fact.kind.as_str(), "readiness.lapsed" | "readiness.restored") {
        return Ok(None);
    }
    let all = person::of_organisation(tx, TenantNo::PROVIDER).await?;
    let active = all.into_iter().filter(|it| it.state() == "active");
    let looks_after = |it: &Member| it.role.permissions().contains(&Permission::TenantReadWrite);
    let mut receivers: Vec<Receiver> = active
        .filter(looks_after)
        .map(|it| Receiver {
            channel: Channel::Mail,
            name: it.name.unwrap_or_else(|| it.email.clone()),
            to: it.email,
            contact: None,
            language: Language::default(),
        })
        .collect();
    if receivers.is_empty() {
        receivers.extend(lead(tx).await?);
    }
    if receivers.is_empty() {
        return Ok(None);
    }
    let (kind, mut data) = readiness(fact, "/customers");
    data["ofProvider"] = json!(true);
    let id = id_of(&["of the provider", id]);
    let notice = complete(tx, Notice { id, kind, incident: None, data }).await?;
    Ok(Some((notice, receivers)))
}

/// The provider's lead for the transaction's tenant, where one is named.
async fn lead(tx: &Tx) -> Result<Option<Receiver>> {
    let lead = service_clock::lead(tx, tx.tenant()).await?;
    Ok(lead.map(|it| Receiver {
        channel: Channel::Mail,
        to: it.email,
        name: it.name,
        contact: None,
        language: it.language,
    }))
}

/// Adds what every notification says: whose it is, and of which incident.
pub(super) async fn complete(tx: &Tx, mut notice: Notice) -> Result<Notice> {
    let names = tx
        .query_one(
            "select tenant.name, (select value from setting where name = 'provider.name') \
             from tenant where tenant.no = $1",
            vec![tx.tenant().0.into()],
        )
        .await?;
    let (tenant, provider) = match names {
        Some(row) => (column::<String>(&row, 0)?, column::<Option<String>>(&row, 1)?),
        None => return Err(Error::Internal(format!("no tenant {}", tx.tenant().0))),
    };
    notice.data["tenant"] = json!(tenant);
    notice.data["provider"] = json!(provider.unwrap_or_else(|| "Riposte".to_owned()));
    notice.data["incident"] = match notice.incident {
        None => Value::Null,
        Some(id) => {
            let incident = crate::incident::one(tx, id).await?.model;
            json!({
                "id": id.to_string(),
                "name": incident.display_name,
                "severity": incident.severity.word(),
            })
        }
    };
    Ok(notice)
}

/// Titles of the tasks that wait for the customer, and how many the experts have done.
pub(super) async fn tasks(tx: &Tx, incident: IncidentId) -> Result<(Vec<String>, usize)> {
    let all = store::tasks_in(tx, incident).await?;
    let pending = all
        .iter()
        .filter(|task| task.source == Some(Source::Guided))
        .filter(|task| matches!(task.state, TaskState::Open | TaskState::Failed))
        .map(|task| task.display_name.clone())
        .collect();
    let done = all
        .iter()
        .filter(|task| task.source == Some(Source::Managed))
        .filter(|task| matches!(task.state, TaskState::Completed | TaskState::Running))
        .count();
    Ok((pending, done))
}

/// What a welcome mail is made of. The link's secret is no part of it: who sends the mail makes it
/// anew (`onboarding::welcome`).
fn welcome(fact: &Untold) -> (Value, Receiver) {
    let welcome = fact.body.get("welcomeId").and_then(Value::as_str);
    let data = json!({
        "author": fact.actor,
        "welcome": welcome,
        "days": welcome.map_or(0, |_| WELCOME_LASTS_S / 86_400),
        "link": if welcome.is_some() { "/setup" } else { SIGN_IN },
    });
    let email = fact.text("email").to_owned();
    let language = Language::read(fact.text("language")).unwrap_or_default();
    let name = email.clone();
    (data, Receiver { channel: Channel::Mail, to: email, name, contact: None, language })
}

/// What was said, on whose side, and whom the question named to be told of an answer (ASK-3).
async fn message(tx: &Tx, fact: &Untold) -> Result<Option<(Side, Value, Vec<Receiver>)>> {
    let row = tx
        .query_one(
            "select message.author, message.text, thread.subject, incident.display_name, \
             thread.id, message.side, message.author_id, thread.notify \
             from message join thread on thread.id = message.thread_id \
             left join incident on incident.id = thread.incident_id where message.id = $1",
            vec![fact.text("messageId").into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let thread: String = column(&row, 4)?;
    let about: Option<String> = column::<Option<String>>(&row, 2)?.or(column(&row, 3)?);
    let link = match fact.incident {
        Some(incident) => format!("/incidents/{incident}?response=chat"),
        None => format!("/messages?open={thread}"),
    };
    let side: String = column(&row, 5)?;
    let side = Side::read(&side)
        .ok_or_else(|| Error::Internal(format!("a message is of the side {side}")))?;
    let named: Option<String> = column(&row, 7)?;
    let named: Vec<String> = named
        .map(|named| serde_json::from_str(&named))
        .transpose()
        .map_err(Error::internal)?
        .unwrap_or_default();
    let known = contact::of_role(tx, tx.tenant(), ContactRole::IncidentNotification).await?;
    // A contact has a language and a name of its own.
    let named = named.into_iter().filter(|email| known.iter().all(|it| it.email != *email));
    let named = named.map(|email| Receiver {
        channel: Channel::Mail,
        to: email.clone(),
        name: email,
        contact: None,
        language: Language::default(),
    });
    let data = json!({
        "author": column::<String>(&row, 0)?,
        "authorId": column::<Option<String>>(&row, 6)?,
        "text": column::<String>(&row, 1)?,
        "about": about.unwrap_or_else(|| thread.clone()),
        "conversation": thread,
        "link": link,
    });
    Ok(Some((side, data, named.collect())))
}

async fn approval(tx: &Tx, fact: &Untold) -> Result<Option<Value>> {
    let Ok(id) = fact.text("actionId").parse::<ActionId>() else { return Ok(None) };
    let action = store::action(tx, id).await?;
    if action.state != ActionState::Proposed {
        return Ok(None);
    }
    Ok(Some(json!({
        "action": action.kind.entry().title,
        "target": action.target.name,
        "author": action.requester.name,
        "because": action.reason.unwrap_or_default(),
        "link": "/actions",
    })))
}

/// The contact that a ladder has come to; none when it was removed since.
async fn tried(tx: &Tx, fact: &Untold) -> Result<Option<Receiver>> {
    let found = contact::find_in(tx, tx.tenant(), fact.text("contactId")).await?;
    let Some(contact) = found else { return Ok(None) };
    let phone = contact.phone.clone();
    let receiver = Receiver::from(contact);
    Ok(match (By::read(fact.text("by")), phone) {
        (Some(By::Mail), _) => Some(receiver),
        (Some(By::Sms), Some(to)) => Some(Receiver { channel: Channel::Sms, to, ..receiver }),
        (Some(By::Call), Some(to)) => Some(Receiver { channel: Channel::Call, to, ..receiver }),
        _ => None,
    })
}

/// What an incident that nobody has reacted to asks for.
async fn asked(tx: &Tx, fact: &Untold) -> Result<Option<Value>> {
    let Some(incident) = fact.incident else { return Ok(None) };
    let (pending, _) = tasks(tx, incident).await?;
    let link = format!("/incidents/{incident}?response=actions");
    Ok(Some(json!({ "pending": pending, "tasks": pending.len(), "link": link })))
}

/// What is said of a service clock that is late, and who hears of it: of the experts' the provider's
/// lead, of the customer's its contacts, and once it is missed those for emergencies and the lead too.
async fn late(tx: &Tx, fact: &Untold, missed: bool) -> Result<(Value, Vec<Receiver>)> {
    let customer = fact.text("whose") == Whose::Customer.word();
    let mut receivers = match (customer, missed) {
        (false, _) => Vec::new(),
        (true, false) => everybody(tx).await?,
        (true, true) => all(tx).await?,
    };
    if !customer || missed {
        receivers.extend(lead(tx).await?);
    }
    let due: String = fact.text("dueDateTime").chars().take(16).collect();
    let link = fact.incident.map_or_else(|| "/".to_owned(), |id| format!("/incidents/{id}"));
    let data = json!({
        "clock": fact.text("clock"),
        "whose": fact.text("whose"),
        "minutes": fact.body["targetMinutes"],
        "due": format!("{} UTC", due.replace('T', " ")),
        "lead": !customer,
        "link": link,
    });
    Ok((data, receivers))
}

/// Who hears of something in the place of a receiver that could not be reached: the other channels,
/// and the backup contacts, as far as they were not told of it anyway (quality 2).
async fn instead(tx: &Tx, fact: &Untold) -> Result<Option<(Value, Vec<Receiver>)>> {
    let row = tx
        .query_one(
            "select delivery.notification_id, delivery.name, delivery.error, notification.kind, \
             notification.data from delivery join notification \
             on notification.id = delivery.notification_id where delivery.id = $1",
            vec![fact.text("deliveryId").into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let told = tx
        .query(
            "select lane.channel, lane.receiver from delivery join lane \
             on lane.id = delivery.lane_id where delivery.notification_id = $1",
            vec![column::<String>(&row, 0)?.into()],
        )
        .await?;
    let told = told
        .iter()
        .map(|row| Ok((column::<String>(row, 0)?, column::<String>(row, 1)?)))
        .collect::<Result<Vec<_>>>()?;
    let kind = Kind::read(&column::<String>(&row, 3)?);
    let kind =
        kind.ok_or_else(|| Error::Internal("a notification's kind is damaged".to_owned()))?;
    // One failure is told to others, and their failures to nobody: what cannot be told is on the
    // page, and a circle would never end.
    if kind == Kind::DeliveryFailed || kind == Kind::Test {
        return Ok(None);
    }
    // Whom a rule names is nobody's stand-in: contacts are told of what concerns them anyway.
    if matches!(kind, Kind::IncidentMail | Kind::ActionMail) {
        return Ok(None);
    }
    let receivers: Vec<Receiver> = all(tx)
        .await?
        .into_iter()
        .filter(|it| !told.contains(&(it.channel.word().to_owned(), it.to.clone())))
        .collect();
    if receivers.is_empty() {
        return Ok(None);
    }
    let data: Value = serde_json::from_str(&column::<String>(&row, 4)?).map_err(Error::internal)?;
    let link = data["link"].as_str().unwrap_or("/").to_owned();
    let what = super::letter::write(kind, Language::English, &data, &link)?.subject;
    let data = json!({
        "receiver": column::<String>(&row, 1)?,
        "because": column::<Option<String>>(&row, 2)?.unwrap_or_default(),
        "what": what,
        "link": link,
    });
    Ok(Some((data, receivers)))
}

/// Who hears of incidents: the primary contacts, the backup ones where there is no primary one, every
/// webhook and every channel of a team chat.
pub(super) async fn everybody(tx: &Tx) -> Result<Vec<Receiver>> {
    let contacts = contact::of_role(tx, tx.tenant(), ContactRole::IncidentNotification).await?;
    let primary = contacts.iter().any(|it| it.priority == Priority::Primary);
    let first = contacts.into_iter().filter(|it| !primary || it.priority == Priority::Primary);
    with_programs(tx, first).await
}

/// Everybody who could hear of incidents.
async fn all(tx: &Tx) -> Result<Vec<Receiver>> {
    let contacts = contact::of_role(tx, tx.tenant(), ContactRole::IncidentNotification).await?;
    with_programs(tx, contacts.into_iter()).await
}

/// These contacts, every webhook and every channel of a team chat.
async fn with_programs(tx: &Tx, contacts: impl Iterator<Item = Contact>) -> Result<Vec<Receiver>> {
    let live = webhook::live(tx, tx.tenant()).await?;
    let programs = live.into_iter().map(|it| Receiver {
        channel: Channel::Webhook,
        to: it.id,
        name: it.name,
        contact: None,
        language: Language::English,
    });
    let chats = channels(tx).await?;
    Ok(contacts.map(Receiver::from).chain(programs).chain(chats).collect())
}

/// Every channel of a team chat.
async fn channels(tx: &Tx) -> Result<Vec<Receiver>> {
    let live = chat::live(tx, tx.tenant()).await?;
    Ok(live.into_iter().map(Receiver::from).collect())
}

/// The channels of team chats that hear what was said in an incident's chat elsewhere: not the one
/// that it was said in.
async fn channels_besides(tx: &Tx, fact: &Untold, from: Option<&str>) -> Result<Vec<Receiver>> {
    if fact.incident.is_none() {
        return Ok(Vec::new());
    }
    let mut all = channels(tx).await?;
    all.retain(|it| !from.is_some_and(|from| chat::is_of(from, &it.to)));
    Ok(all)
}

/// Writes a notification and a delivery for each receiver; on record is who is told.
pub(super) async fn tell(tx: &mut Tx, notice: &Notice, receivers: Vec<Receiver>) -> Result<()> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let made = tx
        .execute(
            "insert into notification (id, tenant_no, kind, incident_id, data, made_at) \
             values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
            vec![
                notice.id.clone().into(),
                tenant.0.into(),
                notice.kind.word().into(),
                notice.incident.map(|id| id.0).into(),
                notice.data.to_string().into(),
                now.micros().into(),
            ],
        )
        .await?;
    if made == 0 {
        return Ok(());
    }
    // One of an address, and always in this order: two processes must not wait for each other.
    let by_lane: BTreeMap<(Channel, String), Receiver> =
        receivers.into_iter().map(|it| ((it.channel, it.to.clone()), it)).collect();
    let names: Vec<String> = by_lane.values().map(|it| it.name.clone()).collect();
    for receiver in by_lane.into_values() {
        deliver(tx, notice, &receiver, now).await?;
    }
    tx.record(Fact::NotificationMade {
        incident: notice.incident,
        notification: notice.id.clone(),
        kind: notice.kind.word(),
        receivers: names,
    });
    Ok(())
}

async fn deliver(tx: &Tx, notice: &Notice, it: &Receiver, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant();
    let number = tx.next_id("delivery").await?;
    let lane = lane(tx, tenant, it).await?;
    // Behind what waits for the same receiver about the same incident.
    let before = match notice.incident {
        None => None,
        Some(incident) => {
            tx.query_one(
                "select max(next_at) from delivery where lane_id = $1 and state = 'waiting' \
                 and incident_id = $2",
                vec![lane.into(), incident.0.into()],
            )
            .await?
        }
    };
    let before = before.map(|row| column::<Option<i64>>(&row, 0)).transpose()?.flatten();
    let due = before.unwrap_or_default().max(now.micros());
    tx.execute(
        "insert into delivery (id, number, tenant_no, lane_id, notification_id, incident_id, name, \
         contact_id, language, state, attempts, next_at, until, made_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', 0, $10, $11, $12)",
        vec![
            delivery_id(&notice.id, it).into(),
            number.into(),
            tenant.0.into(),
            lane.into(),
            notice.id.clone().into(),
            notice.incident.map(|id| id.0).into(),
            it.name.clone().into(),
            it.contact.clone().into(),
            it.language.word().into(),
            due.into(),
            now.plus_seconds(LASTS_S).micros().into(),
            now.micros().into(),
        ],
    )
    .await?;
    wake(tx, lane, due).await
}

/// Notes that something is due in a lane.
pub(super) async fn wake(tx: &Transaction, lane: i64, due: i64) -> Result<()> {
    tx.execute(
        "update lane set next_at = $2 where id = $1 and (next_at is null or next_at > $2)",
        vec![lane.into(), due.into()],
    )
    .await?;
    Ok(())
}

/// The lane to a receiver, made when it is the first time.
async fn lane(tx: &Tx, tenant: TenantNo, it: &Receiver) -> Result<i64> {
    let find = "select id from lane where tenant_no = $1 and channel = $2 and receiver = $3";
    let key = || -> Vec<sea_orm::Value> {
        vec![tenant.0.into(), it.channel.word().into(), it.to.clone().into()]
    };
    // The row is held until this change is on disk: whoever settles it sees what came in.
    let held = [find, tx.engine().for_update()].concat();
    if let Some(row) = tx.query_one(&held, key()).await? {
        return column(&row, 0);
    }
    let id = tx.next_id("lane").await?;
    tx.execute(
        "insert into lane (id, tenant_no, channel, receiver, paused_until, failures, epoch, \
         held_until) values ($1, $2, $3, $4, 0, 0, 0, 0)",
        vec![id.into(), tenant.0.into(), it.channel.word().into(), it.to.clone().into()],
    )
    .await?;
    Ok(id)
}

/// The subject that a conversation goes by, for a reference in mails.
pub(super) fn thread_of(incident: Option<IncidentId>) -> Option<String> {
    incident.map(conversation::of_incident)
}
