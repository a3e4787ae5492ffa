//! Mails that come back: a contact's answer enters the conversation it belongs to (COM-8), and a report
//! that one of ours went no further is told to others.
//!
//! An answer enters when three things agree: the address it came to, which only who got our mail knows;
//! its sender, whom the mail server in front of us has to prove; and the list of contacts at this
//! moment. What does not enter is on record with its reason, the experts are told of it where a person
//! wrote, and nothing of it is quoted to anybody. A mail counts once, however often it is handed over.
//! Nothing that is written in one carries an action out. Not here: reading one (`reply`).

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::actor::Actor;
use crate::app::App;
use crate::contact::{self, Contact, ContactRole};
use crate::conversation::{self, Heard};
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{IncidentId, TenantNo};
use crate::notification::make::{Channel, NOTIFIER};
use crate::notification::reply::{self, Address, MARK, Reply, Token, Words};
use crate::smtp::{self, Envelope, Flavor};
use crate::tx::Tx;

/// What a mark in an address to answer to is for.
const PURPOSE: &str = "answer by mail";
/// Mail servers that are spoken with at once.
const CONVERSATIONS: usize = 32;
/// Answers to one mail of ours that are heard: more is a program, whatever it says.
const MOST: i64 = 50;

/// What is wrong with a setting of mail that comes in; `None` when it can be used.
fn address(app: &App) -> Result<Option<Address>> {
    let Some(text) = &app.config.mail.replies else { return Ok(None) };
    let read = Address::read(text);
    read.map(Some).map_err(|why| Error::Invalid(format!("mail.replies cannot be used: {why}")))
}

/// The address to answer a delivery to; `None` where no mail comes in.
pub(super) async fn answer_to(
    app: &App,
    tenant: TenantNo,
    delivery: &str,
) -> Result<Option<String>> {
    let Some(address) = address(app)? else { return Ok(None) };
    let mark = app.vault_key(tenant).await?.mark::<MARK>(PURPOSE, delivery);
    Ok(Some(address.of(&Token { delivery: delivery.to_owned(), mark })))
}

/// Looks whether what is set up of mail that comes in goes together.
///
/// # Errors
/// `Invalid` with the setting that is missing or cannot be used.
pub fn require_whole(app: &App) -> Result<()> {
    let known = address(app)?;
    let mail = &app.config.mail;
    for (way, there) in [("lmtp", mail.lmtp.is_some()), ("imap", mail.imap.is_some())] {
        for (needed, given) in
            [("replies", known.is_some()), ("authority", mail.authority.is_some())]
        {
            if there && !given {
                return Err(Error::Invalid(format!("mail.{way} goes together with mail.{needed}")));
            }
        }
    }
    Ok(())
}

/// Where mail servers hand mails over.
pub struct Listening(TcpListener);

/// Opens it as the operator has set it up; `None` when no mail comes in here.
///
/// # Errors
/// `Invalid` with the setting that cannot be used.
pub async fn listen(app: &App) -> Result<Option<Listening>> {
    require_whole(app)?;
    let Some(at) = app.config.mail.lmtp else { return Ok(None) };
    let failed = |error| Error::Invalid(format!("mail.lmtp: cannot listen at {at}: {error}"));
    Ok(Some(Listening(TcpListener::bind(at).await.map_err(failed)?)))
}

impl Listening {
    /// The address, with the port the machine chose.
    ///
    /// # Errors
    /// What the machine says.
    pub fn address(&self) -> std::io::Result<std::net::SocketAddr> {
        self.0.local_addr()
    }

    /// Takes mails until `stop`.
    pub async fn run(self, app: App, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONVERSATIONS));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.0.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (app, stop) = (app.clone(), stop.clone());
            tokio::spawn(async move {
                let name = app.config.mail.authority.as_deref().unwrap_or("riposte").to_owned();
                let deliver = |mail: Envelope| {
                    let app = app.clone();
                    async move { take(&app, &mail).await }
                };
                tokio::select! {
                    () = stop.cancelled() => {}
                    // Who hangs up has hung up; what was not answered is handed over again.
                    _ = smtp::converse(stream, Flavor::Lmtp, &name, deliver) => {}
                }
                drop(place);
            });
        }
    }
}

/// Takes a mail for each of its receivers; gives what the one who hands it over is told of each.
pub async fn take(app: &App, mail: &Envelope) -> Vec<String> {
    let mut answers = Vec::with_capacity(mail.to.len());
    for to in &mail.to {
        answers.push(match one(app, to, mail).await {
            Ok(true) => "250 2.0.0 taken".to_owned(),
            Ok(false) => "550 5.1.1 nobody of that name".to_owned(),
            Err(error) => {
                tracing::error!("a mail that came back was not taken: {error}");
                "451 4.3.0 not now".to_owned()
            }
        });
    }
    answers
}

/// What a delivery was, for the mail that comes back.
struct Sent {
    token: Token,
    tenant: TenantNo,
    incident: Option<IncidentId>,
    contact: Option<String>,
    name: String,
    /// The conversation that it belongs to.
    thread: Option<String>,
}

async fn find(app: &App, token: Token) -> Result<Option<Sent>> {
    let scope = app.db.whole("whose a mail is that came back");
    let row = scope
        .query_one(
            "select delivery.tenant_no, delivery.incident_id, delivery.contact_id, delivery.name, \
             notification.data from delivery join notification \
             on notification.id = delivery.notification_id where delivery.id = $1",
            vec![token.delivery.clone().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let tenant = TenantNo(column(&row, 0)?);
    let key = app.vault_key(tenant).await?;
    if !key.is_mark(PURPOSE, &token.delivery, token.mark) {
        return Ok(None);
    }
    let data: serde_json::Value =
        serde_json::from_str(&column::<String>(&row, 4)?).map_err(Error::internal)?;
    let incident = column::<Option<i64>>(&row, 1)?.map(IncidentId);
    let thread = data["conversation"].as_str().map(str::to_owned);
    Ok(Some(Sent {
        token,
        tenant,
        incident,
        contact: column(&row, 2)?,
        name: column(&row, 3)?,
        thread: thread.or_else(|| incident.map(conversation::of_incident)),
    }))
}

/// What makes a mail the same one when it is handed over again.
fn same(sent: &Sent, data: &[u8], read: &Reply) -> String {
    let mut hash = Sha256::new();
    hash.update(&sent.token.delivery);
    match read {
        Reply::Words(Words { id: Some(id), .. }) => hash.update(id),
        _ => hash.update(data),
    }
    hex::encode(&hash.finalize()[..16])
}

/// Takes a mail for one receiver; says whether there is such a one.
async fn one(app: &App, to: &str, mail: &Envelope) -> Result<bool> {
    let Some(address) = address(app)? else { return Ok(false) };
    let Some(token) = address.token(to) else { return Ok(false) };
    let Some(sent) = find(app, token).await? else { return Ok(false) };
    let read = reply::read(&mail.data, &mail.from, app.config.mail.authority.as_deref());
    let id = same(&sent, &mail.data, &read);
    let mut tx = Tx::begin(app, sent.tenant, Actor::system(NOTIFIER)).await?;
    let seen = tx
        .query_one(
            "select sum(case when id = $3 then 1 else 0 end), count(*) from reply \
             where tenant_no = $1 and delivery_id = $2",
            vec![sent.tenant.0.into(), sent.token.delivery.clone().into(), id.clone().into()],
        )
        .await?;
    let (again, all) = match seen {
        Some(row) => (column::<Option<i64>>(&row, 0)?.unwrap_or(0), column::<i64>(&row, 1)?),
        None => (0, 0),
    };
    if again > 0 || all >= MOST {
        return Ok(true);
    }
    let outcome = match read {
        Reply::Words(words) => match heard(&mut tx, &sent, words).await? {
            None => "said",
            Some(why) => {
                refuse(&mut tx, &sent, why, true).await?;
                "refused"
            }
        },
        Reply::Bounce { lasting, said } => {
            if lasting {
                bounced(&mut tx, &sent, said).await?;
            }
            "bounce"
        }
        Reply::Automatic(why) => {
            refuse(&mut tx, &sent, why, false).await?;
            "automatic"
        }
        Reply::Nothing(why) => {
            refuse(&mut tx, &sent, why, true).await?;
            "nothing"
        }
    };
    tx.execute(
        "insert into reply (tenant_no, id, delivery_id, at, outcome) values ($1, $2, $3, $4, $5)",
        vec![
            sent.tenant.0.into(),
            id.into(),
            sent.token.delivery.clone().into(),
            tx.now().micros().into(),
            outcome.into(),
        ],
    )
    .await?;
    tx.commit().await?;
    app.tell.notify_one();
    Ok(true)
}

/// Puts an answer into its conversation; gives why it is not put there, when it is not.
async fn heard(tx: &mut Tx, sent: &Sent, words: Words) -> Result<Option<&'static str>> {
    let Some(thread) = &sent.thread else {
        return Ok(Some("it answers nothing of a conversation"));
    };
    let contact: Option<Contact> = match &sent.contact {
        Some(id) => contact::find_in(tx, sent.tenant, id).await?,
        None => None,
    };
    let Some(contact) = contact else {
        return Ok(Some("the one whom our mail went to is no contact any more"));
    };
    if contact.role != ContactRole::IncidentNotification {
        return Ok(Some("the one whom our mail went to does not hear of incidents any more"));
    }
    if contact.email != words.from {
        return Ok(Some("it is from another address than our mail went to"));
    }
    if let Some(doubt) = words.doubt {
        return Ok(Some(doubt));
    }
    let heard = Heard {
        author: contact.name,
        author_id: contact.id,
        via: Channel::Mail.word(),
        text: words.text,
        files: words.files,
    };
    Ok(match conversation::hear(tx, thread, heard).await? {
        Some(_) => None,
        None => Some("there is no such conversation any more"),
    })
}

/// Puts on record that an answer was not taken, and tells the experts where a person may wait for one.
async fn refuse(tx: &mut Tx, sent: &Sent, because: &str, a_person: bool) -> Result<()> {
    tx.record(Fact::ReplyRefused {
        incident: sent.incident,
        delivery: sent.token.delivery.clone(),
        receiver: sent.name.clone(),
        because: because.to_owned(),
    });
    if let (true, Some(thread)) = (a_person, &sent.thread) {
        let name = &sent.name;
        let text = format!(
            "A mail came in answer to what {name} was sent, and was not taken: {because}. If \
             {name} waits for an answer, ask on another way."
        );
        conversation::note(tx, thread, &text).await?;
    }
    Ok(())
}

/// What was delivered did not arrive after all.
async fn bounced(tx: &mut Tx, sent: &Sent, said: String) -> Result<()> {
    let ended = tx
        .execute(
            "update delivery set state = 'dead', error = $2, ended_at = $3 \
             where id = $1 and state = 'delivered'",
            vec![sent.token.delivery.clone().into(), said.clone().into(), tx.now().micros().into()],
        )
        .await?;
    if ended > 0 {
        tx.record(Fact::DeliveryFailed {
            incident: sent.incident,
            delivery: sent.token.delivery.clone(),
            channel: Channel::Mail.word(),
            receiver: sent.name.clone(),
            because: said,
        });
    }
    Ok(())
}
