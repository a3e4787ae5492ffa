//! A delivery becomes a post in a channel, once: the first about an incident is its post, every later
//! one stands below that.
//!
//! What is going to be posted is noted first, and with it which delivery it is; a message carries that
//! delivery's id where its readers do not see it. When it is not known whether a message arrived (an
//! answer was lost, the process died), the vendor is asked for it before it is sent again. So nothing
//! is lost, and nothing stands there twice as far as the vendor lets us look: Slack,
//! Mattermost and Matrix do, for messages of the last thousand; Teams does not, and there a lost answer may make a second post.

use serde_json::Value;

use super::{Fault, Line, Told, Vendor, learn, matrix, mattermost, slack, stands, teams};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::Result;
use crate::failpoint;
use crate::id::IncidentId;
use crate::notification::letter::Letter;
use crate::notification::model::Answer;

/// What is to be posted.
pub(crate) struct Parcel<'a> {
    /// The delivery's id.
    pub id: &'a str,
    /// The incident it is about.
    pub incident: Option<IncidentId>,
    /// What it says.
    pub letter: &'a Letter,
    /// When the delivery was made: it cannot have been posted before.
    pub made: Timestamp,
}

/// What an incident's post is, as far as it is known.
struct Root {
    delivery: String,
    posted: Option<String>,
}

/// Posts a delivery, or finds that it is there already.
pub(crate) async fn send(
    app: &App,
    tokens: &teams::Tokens,
    line: &mut Line,
    it: &Parcel<'_>,
) -> Result<Answer> {
    if line.it.known.as_object().is_none_or(serde_json::Map::is_empty) {
        match look_around(app, line).await {
            Ok(known) => {
                learn(app, &line.it, &known).await?;
                line.it.known = known;
            }
            Err(fault) => return told(app, line, fault).await,
        }
    }
    let own = row(app, line, "delivery_id = $2", it.id.into()).await?;
    if own.as_ref().is_some_and(|own| own.posted.is_some()) {
        return Ok(Answer::Delivered("it was posted before".to_owned()));
    }
    let thread = match thread(app, line, it).await? {
        Ok(thread) => thread,
        Err(fault) => return told(app, line, fault).await,
    };
    if own.is_none() {
        begin(app, line, it, thread.is_none()).await?;
    } else {
        match find(app, line, thread.as_deref(), it.id, it.made).await {
            Ok(Some(posted)) => {
                note(app, line, it.id, &posted).await?;
                stands(app, &line.it, None).await?;
                return Ok(Answer::Delivered("it was there already".to_owned()));
            }
            Ok(None) => {}
            Err(fault) => return told(app, line, fault).await,
        }
    }
    let below = thread.is_some().then(|| below(it.letter));
    let it = &Parcel { letter: below.as_ref().unwrap_or(it.letter), ..*it };
    failpoint::hit("chat.before_post");
    let posted = match line.it.vendor {
        Vendor::Slack => slack::post(app, line, thread.as_deref(), it).await,
        Vendor::Teams => teams::post(app, tokens, line, thread.as_deref(), it).await,
        Vendor::Mattermost => mattermost::post(app, line, thread.as_deref(), it).await,
        Vendor::Matrix => matrix::post(app, line, thread.as_deref(), it).await,
        Vendor::PagerDuty => Err(not_a_chat()),
    };
    failpoint::hit("chat.after_post");
    match posted {
        Ok(posted) => {
            note(app, line, it.id, &posted).await?;
            stands(app, &line.it, None).await?;
            Ok(Answer::Delivered("posted".to_owned()))
        }
        Err(Fault::NoThread) => {
            // Somebody deleted the incident's post there: this one takes its place.
            forget_root(app, line, it).await?;
            Ok(Answer::Later("the incident's post was deleted there; this takes its place".into()))
        }
        Err(fault) => told(app, line, fault).await,
    }
}

/// A letter below an incident's post, which says already what it is about and how to answer.
fn below(letter: &Letter) -> Letter {
    let mut letter = letter.clone();
    letter.answer = None;
    if letter.quote.is_some() {
        letter.paragraphs.clear();
    }
    letter
}

/// Whether the channel can be used, and as whom.
pub(super) async fn look_around(app: &App, line: &Line) -> Told<Value> {
    match line.it.vendor {
        Vendor::Slack => slack::look_around(app, line).await,
        Vendor::Teams => Ok(teams::look_around(app)),
        Vendor::Mattermost => mattermost::look_around(app, line).await,
        Vendor::Matrix => matrix::look_around(app, line).await,
        Vendor::PagerDuty => Err(not_a_chat()),
    }
}

/// What has no posts ([`super::pagerduty`]).
fn not_a_chat() -> Fault {
    Fault::Refused("nothing is posted there".to_owned())
}

/// What a fault means for the delivery; what keeps us from the whole channel is kept with it.
pub(super) async fn told(app: &App, line: &Line, fault: Fault) -> Result<Answer> {
    Ok(match fault {
        Fault::Later(why, None) => Answer::Later(why),
        Fault::Later(why, Some(seconds)) => Answer::NotBefore(why, seconds),
        Fault::Refused(why) => Answer::Refused(why),
        Fault::NoThread => Answer::Later("what it answers to is not there".to_owned()),
        Fault::Trouble(trouble, why) => {
            stands(app, &line.it, Some(trouble)).await?;
            Answer::Refused(why)
        }
    })
}

/// What this delivery is to stand below; `None` where it is the incident's post itself.
async fn thread(app: &App, line: &Line, it: &Parcel<'_>) -> Result<Told<Option<String>>> {
    let Some(incident) = it.incident else { return Ok(Ok(None)) };
    let root = row(app, line, "incident_id = $2 and root = 1", incident.0.into()).await?;
    let Some(root) = root.filter(|root| root.delivery != it.id) else { return Ok(Ok(None)) };
    if let Some(posted) = root.posted {
        return Ok(Ok(Some(posted)));
    }
    // The delivery that was to be the post was given up. It may be there nevertheless.
    match find(app, line, None, &root.delivery, it.made.plus_seconds(-4 * 86_400)).await {
        Ok(Some(posted)) => {
            note(app, line, &root.delivery, &posted).await?;
            Ok(Ok(Some(posted)))
        }
        Ok(None) => {
            forget_root(app, line, it).await?;
            Ok(Ok(None))
        }
        Err(fault) => Ok(Err(fault)),
    }
}

async fn find(
    app: &App,
    line: &Line,
    thread: Option<&str>,
    delivery: &str,
    since: Timestamp,
) -> Told<Option<String>> {
    match line.it.vendor {
        Vendor::Slack => slack::find(app, line, thread, delivery, since).await,
        Vendor::Mattermost => mattermost::find(app, line, thread, delivery, since).await,
        Vendor::Matrix => matrix::find(app, line, thread, delivery, since).await,
        // Its interface lets a bot read nothing.
        Vendor::Teams | Vendor::PagerDuty => Ok(None),
    }
}

async fn row(app: &App, line: &Line, which: &str, value: sea_orm::Value) -> Result<Option<Root>> {
    let sql =
        format!("select delivery_id, posted from chat_post where channel_id = $1 and {which}");
    let scope = app.db.of(line.it.tenant);
    let row = scope.query_one(&sql, vec![line.it.id.clone().into(), value]).await?;
    row.map(|row| Ok(Root { delivery: column(&row, 0)?, posted: column(&row, 1)? })).transpose()
}

/// Notes that this delivery is going to be posted.
async fn begin(app: &App, line: &Line, it: &Parcel<'_>, first: bool) -> Result<()> {
    let tx = app.db.of(line.it.tenant).begin().await?;
    let root = i64::from(first && it.incident.is_some());
    tx.execute(
        "insert into chat_post (delivery_id, tenant_no, channel_id, incident_id, root, begun_at) \
         values ($1, $2, $3, $4, $5, $6)",
        vec![
            it.id.into(),
            line.it.tenant.0.into(),
            line.it.id.clone().into(),
            it.incident.map(|id| id.0).into(),
            root.into(),
            app.clock.now().micros().into(),
        ],
    )
    .await?;
    tx.commit().await
}

/// Notes what the vendor calls it.
async fn note(app: &App, line: &Line, delivery: &str, posted: &str) -> Result<()> {
    let tx = app.db.of(line.it.tenant).begin().await?;
    tx.execute(
        "update chat_post set posted = $2 where delivery_id = $1",
        vec![delivery.into(), posted.into()],
    )
    .await?;
    tx.commit().await
}

/// The incident has no post there any more; what this delivery began to be is forgotten with it.
async fn forget_root(app: &App, line: &Line, it: &Parcel<'_>) -> Result<()> {
    let tx = app.db.of(line.it.tenant).begin().await?;
    tx.execute(
        "update chat_post set root = 0 where channel_id = $1 and incident_id = $2",
        vec![line.it.id.clone().into(), it.incident.map(|id| id.0).into()],
    )
    .await?;
    tx.execute("delete from chat_post where delivery_id = $1", vec![it.id.into()]).await?;
    tx.commit().await
}
