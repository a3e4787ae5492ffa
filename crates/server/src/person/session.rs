//! Sessions: who signed in, from where, with what, and until when.
//!
//!   open -used within 30 min of the last use, 12 h of sign-in-> open     -else, or ended-> gone
//!
//! A session is a row; the browser holds a random name of 256 bits in a `__Host-` cookie, the store
//! its hash. Each request reads session, role, grant and access anew, so what is revoked ends with
//! the next request, on every replica. A new name is drawn at every sign-in and change of
//! organisation. Not here: how a person proves who it is (see `sign_in`).

use std::net::IpAddr;
use std::sync::Arc;

use crate::access;
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::TenantNo;
use crate::permission::{Party, Role};
use crate::tenant::caller::{Caller, Factor, Reach, Seat, Within};
use crate::tenant::grant;
use crate::tx::Tx;

/// How long a session lives without being used, in seconds.
pub const IDLE_S: i64 = 30 * 60;
/// How long it lives at most, in seconds.
pub const LASTS_S: i64 = 12 * 3_600;
/// How often its use is written down, in seconds.
const NOTED_S: i64 = 30;

/// Where a request comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The address.
    pub address: Option<IpAddr>,
    /// What the browser calls itself, shortened.
    pub user_agent: String,
}

impl Origin {
    fn text(&self) -> String {
        self.address.map_or_else(String::new, |address| address.to_string())
    }
}

/// A session that was opened: the secret name for the cookie.
pub struct Opened {
    /// For the cookie.
    pub token: String,
}

/// Opens a session in the organisation the person used last; records it there.
pub async fn open(app: &App, person: &str, factor: Factor, origin: &Origin) -> Result<Opened> {
    let rows = app
        .db
        .shared()
        .query(
            "select tenant_no from membership where person_id = $1 and disabled_at is null \
             order by coalesce(last_used_at, 0) desc, tenant_no",
            vec![person.into()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Err(Error::Denied("this person belongs to no organisation any more".to_owned()));
    };
    open_in(app, person, TenantNo(column(row, 0)?), factor, origin).await
}

/// Opens a session in one organisation, for somebody who has just shown the factor.
pub async fn open_in(
    app: &App,
    person: &str,
    organisation: TenantNo,
    factor: Factor,
    origin: &Origin,
) -> Result<Opened> {
    let now = app.clock.now();
    open_proven(app, person, organisation, factor, Some(now), origin).await
}

/// Opens a session in one organisation, for somebody who showed the factor at `proven`, when that is
/// known.
pub(super) async fn open_proven(
    app: &App,
    person: &str,
    organisation: TenantNo,
    factor: Factor,
    proven: Option<Timestamp>,
    origin: &Origin,
) -> Result<Opened> {
    let email = email_of(app, person).await?;
    let actor = crate::actor::Actor {
        kind: match organisation {
            TenantNo::PROVIDER => crate::actor::ActorKind::Expert,
            _ => crate::actor::ActorKind::Customer,
        },
        name: email,
        address: origin.address,
    };
    let token = app.random.secret()?;
    let mut tx = Tx::begin(app, organisation, actor).await?;
    let now = tx.now();
    let member = tx
        .execute(
            "update membership set last_used_at = $3 \
             where person_id = $1 and tenant_no = $2 and disabled_at is null",
            vec![person.into(), organisation.0.into(), now.micros().into()],
        )
        .await?;
    if member == 0 {
        return Err(Error::Denied("this person does not belong there any more".to_owned()));
    }
    tx.execute(
        "update person set signed_in_at = $2 where id = $1",
        vec![person.into(), now.micros().into()],
    )
    .await?;
    let agent: String = origin.user_agent.chars().take(300).collect();
    tx.execute(
        "insert into session (token_hash, id, person_id, tenant_no, factor, address, user_agent, \
         created_at, seen_at, expires_at, step_up_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10)",
        vec![
            crate::tenant::hash(&token).into(),
            app.random.uuid()?.into(),
            person.into(),
            organisation.0.into(),
            factor.word().into(),
            origin.text().into(),
            agent.into(),
            now.micros().into(),
            now.plus_seconds(LASTS_S).micros().into(),
            proven.map(Timestamp::micros).into(),
        ],
    )
    .await?;
    tx.record(Fact::PersonSignedIn { person: person.to_owned(), factor: factor.word().to_owned() });
    tx.commit().await?;
    Ok(Opened { token })
}

/// Leaves one organisation for another of the same person: a new session, as old as the former.
pub async fn switch(app: &App, caller: &Caller, to: TenantNo, origin: &Origin) -> Result<Opened> {
    let seat = caller.seat()?;
    let row = app
        .db
        .shared()
        .query_one(
            "select expires_at, step_up_at from session where id = $1",
            vec![seat.session.clone().into()],
        )
        .await?;
    let Some(row) = row else {
        return Err(Error::Denied("the session has ended".to_owned()));
    };
    let (expires, proven): (i64, Option<i64>) = (column(&row, 0)?, column(&row, 1)?);
    if seat.factor == Factor::Oidc && to != seat.organisation {
        // What one organisation's provider says opens nothing of another.
        return Err(Error::Denied(
            "an identity provider signs in to its own organisation only; sign in another way"
                .to_owned(),
        ));
    }
    let opened = open_in(app, &caller.client_id, to, seat.factor, origin).await?;
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "update session set expires_at = $2, step_up_at = $3 where token_hash = $1",
        vec![crate::tenant::hash(&opened.token).into(), expires.into(), proven.into()],
    )
    .await?;
    tx.execute("delete from session where id = $1", vec![seat.session.clone().into()]).await?;
    tx.commit().await?;
    Ok(opened)
}

/// The person behind a cookie, with the reach of this moment; `None` when the session has ended.
/// `attended`: whether somebody is there, so that the session is in use.
pub async fn identify(
    app: &App,
    token: &str,
    address: Option<IpAddr>,
    attended: bool,
) -> Result<Option<Caller>> {
    let now = app.clock.now();
    let token_hash = crate::tenant::hash(token);
    let row = app
        .db
        .shared()
        .query_one(
            "select session.id, session.person_id, session.tenant_no, session.seen_at, \
             session.step_up_at, person.email, membership.role, session.factor from session \
             join person on person.id = session.person_id \
             join membership on membership.person_id = session.person_id \
             and membership.tenant_no = session.tenant_no \
             where session.token_hash = $1 and session.expires_at > $2 and session.seen_at > $3 \
             and membership.disabled_at is null",
            vec![
                token_hash.clone().into(),
                now.micros().into(),
                now.plus_seconds(-IDLE_S).micros().into(),
            ],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let organisation = TenantNo(column(&row, 2)?);
    let party = if organisation == TenantNo::PROVIDER { Party::Provider } else { Party::Customer };
    let role: String = column(&row, 6)?;
    let role = Role::read(party, &role)
        .map_err(|error| Error::Internal(format!("table membership: {error}")))?;
    let person: String = column(&row, 1)?;
    let seen = Timestamp::from_micros(column(&row, 3)?);
    if attended && now >= seen.plus_seconds(NOTED_S) {
        note(app, &token_hash, now).await?;
    }
    let (reach, queue) = match party {
        Party::Customer => (Reach::Tenant(organisation), Reach::Tenant(organisation)),
        Party::Provider => provider_reach(app, &person, role, address).await?,
    };
    let factor: String = column(&row, 7)?;
    let factor = Factor::read(&factor)
        .ok_or_else(|| Error::Internal(format!("table session: no factor is called {factor}")))?;
    let demo = factor == Factor::Demo;
    if demo && !app.config.demo {
        return Ok(None);
    }
    // The demo's people have nothing they could show again.
    let proven = column::<Option<i64>>(&row, 4)?.map(Timestamp::from_micros);
    let proven = if demo { Some(now) } else { proven };
    let seat = Seat { session: column(&row, 0)?, organisation, role, factor, proven };
    let within = Within { reach, queue, address };
    Ok(Some(Caller::person(person, column(&row, 5)?, seat, within)))
}

/// Where a person of the provider is inside, and whose queue it sees.
async fn provider_reach(
    app: &App,
    person: &str,
    role: Role,
    address: Option<IpAddr>,
) -> Result<(Reach, Reach)> {
    let nowhere: Arc<[TenantNo]> = Arc::new([]);
    if !role.permissions().iter().any(|it| it.covers(crate::permission::Permission::IncidentRead)) {
        return Ok((Reach::Granted(nowhere.clone()), Reach::Granted(nowhere)));
    }
    let granting = grant::granting(app, address).await?;
    let queue: Arc<[TenantNo]> = granting.iter().map(|(tenant, _)| *tenant).collect();
    let running = access::running(app, &queue, person).await?;
    let inside: Arc<[TenantNo]> =
        queue.iter().copied().filter(|no| running.contains_key(no)).collect();
    Ok((Reach::Granted(inside), Reach::Granted(queue)))
}

async fn note(app: &App, token_hash: &str, now: Timestamp) -> Result<()> {
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "update session set seen_at = $2 where token_hash = $1 and seen_at < $2",
        vec![token_hash.into(), now.micros().into()],
    )
    .await?;
    tx.commit().await
}

/// Notes that the person of a session showed a factor again.
pub async fn prove(app: &App, caller: &Caller) -> Result<()> {
    let session = caller.seat()?.session.clone();
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "update session set step_up_at = $2 where id = $1",
        vec![session.into(), app.clock.now().micros().into()],
    )
    .await?;
    tx.commit().await
}

/// Ends one session of the caller's own: this one, or one of the list.
pub async fn end(app: &App, caller: &Caller, session: &str) -> Result<()> {
    let organisation = caller.seat()?.organisation;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let ended = tx
        .execute(
            "delete from session where id = $1 and person_id = $2",
            vec![session.into(), caller.client_id.clone().into()],
        )
        .await?;
    if ended == 0 {
        return Err(Error::NotFound("the session does not exist".to_owned()));
    }
    tx.record(Fact::SessionEnded { person: caller.client_id.clone(), session: session.to_owned() });
    tx.commit().await
}

/// Ends sessions of a person inside a change: those in one organisation, or all.
pub async fn end_all(
    tx: &Transaction,
    person: &str,
    organisation: Option<TenantNo>,
) -> Result<u64> {
    match organisation {
        Some(no) => {
            tx.execute(
                "delete from session where person_id = $1 and tenant_no = $2",
                vec![person.into(), no.0.into()],
            )
            .await
        }
        None => tx.execute("delete from session where person_id = $1", vec![person.into()]).await,
    }
}

/// Throws away what has ended: sessions, ceremonies, failures. Called now and then.
pub async fn tidy(app: &App) -> Result<()> {
    let now = app.clock.now();
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "delete from session where expires_at <= $1 or seen_at <= $2",
        vec![now.micros().into(), now.plus_seconds(-IDLE_S).micros().into()],
    )
    .await?;
    tx.execute("delete from ceremony where expires_at <= $1", vec![now.micros().into()]).await?;
    tx.execute(
        "delete from sign_in_failure where since <= $1",
        vec![now.plus_seconds(-super::sign_in::LOCKED_S).micros().into()],
    )
    .await?;
    tx.commit().await
}

/// One of the caller's sessions.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// The session's public id.
    pub id: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// When the person signed in.
    #[schema(value_type = String)]
    pub signed_in_date_time: Timestamp,
    /// When it was last used, to within half a minute.
    #[schema(value_type = String)]
    pub last_seen_date_time: Timestamp,
    /// When it ends at the latest.
    #[schema(value_type = String)]
    pub expires_date_time: Timestamp,
    /// The address it came from.
    pub address: String,
    /// What the browser called itself.
    pub user_agent: String,
    /// What the person showed.
    pub authenticated_by: String,
}

/// The caller's open sessions, the newest first.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Listed>> {
    let now = app.clock.now();
    let current = caller.seat()?.session.clone();
    let rows = app
        .db
        .shared()
        .query(
            "select id, created_at, seen_at, expires_at, address, user_agent, factor from session \
             where person_id = $1 and expires_at > $2 and seen_at > $3 order by created_at desc, id",
            vec![
                caller.client_id.clone().into(),
                now.micros().into(),
                now.plus_seconds(-IDLE_S).micros().into(),
            ],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let at = |index| Ok::<_, Error>(Timestamp::from_micros(column(row, index)?));
            let id: String = column(row, 0)?;
            Ok(Listed {
                current: id == current,
                id,
                signed_in_date_time: at(1)?,
                last_seen_date_time: at(2)?,
                expires_date_time: at(3)?,
                address: column(row, 4)?,
                user_agent: column(row, 5)?,
                authenticated_by: column(row, 6)?,
            })
        })
        .collect()
}

pub(super) async fn email_in(tx: &Transaction, person: &str) -> Result<String> {
    let row = tx.query_one("select email from person where id = $1", vec![person.into()]).await?;
    let row = row.ok_or_else(|| Error::NotFound("the person does not exist".to_owned()))?;
    column(&row, 0)
}

pub(super) async fn email_of(app: &App, person: &str) -> Result<String> {
    let row = app
        .db
        .shared()
        .query_one("select email from person where id = $1", vec![person.into()])
        .await?;
    let row = row.ok_or_else(|| Error::NotFound("the person does not exist".to_owned()))?;
    column(&row, 0)
}
