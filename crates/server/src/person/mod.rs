//! People: who belongs to an organisation, in which role, and how they prove who they are.
//!
//!   invited -link used-> active <-disable, enable-> disabled     remove-> gone from the organisation
//!
//! A person is one mail address and one way of signing in; a membership is its role in one
//! organisation, a customer or the provider. Invariants: an organisation has always somebody who
//! administers it; nobody changes the own role; what one organisation does to a membership does not
//! touch another; whoever is disabled or removed has no session there from that commit on. Not here:
//! what a role may do (see `permission`), how far the provider's people reach (see `access`).

mod ceremony;
pub mod identity_provider;
pub mod oidc;
pub mod passkey;
pub mod password;
pub mod session;
pub mod setup;
pub mod sign_in;
pub mod totp;

use sea_orm::QueryResult;
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::permission::{Party, Permission, Role};
use crate::tenant::caller::{Caller, Factor};
use crate::tenant::invitation::{self, Invited};
use crate::tx::Tx;

/// A person as an organisation sees it.
#[derive(Clone, Debug)]
pub struct Member {
    /// The person's id.
    pub id: String,
    /// The mail address.
    pub email: String,
    /// The name, once told.
    pub name: Option<String>,
    /// The role here.
    pub role: Role,
    /// Since when it belongs here.
    pub invited: Timestamp,
    /// When it last acted here.
    pub signed_in: Option<Timestamp>,
    /// Since when it may not sign in here.
    pub disabled: Option<Timestamp>,
    /// What it signs in with.
    pub factors: Factors,
    /// Whether it belongs to another organisation as well.
    pub elsewhere: bool,
}

/// What a person signs in with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Factors {
    /// A password.
    pub password: bool,
    /// An authenticator app.
    pub totp: bool,
    /// Passkeys.
    pub passkeys: i64,
    /// Recovery codes that are left.
    pub recovery_codes: i64,
}

impl Member {
    /// Whether it decides on the organisation's people and settings.
    #[must_use]
    pub fn administers(&self) -> bool {
        administers_role(self.role) && self.disabled.is_none()
    }

    /// `invited`, `active` or `disabled`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match (self.disabled, self.factors.totp || self.factors.passkeys > 0, self.signed_in) {
            (Some(_), ..) => "disabled",
            (None, false, None) => "invited",
            _ => "active",
        }
    }

    /// What this caller may do with the membership now, and why not. `last` says that nobody else
    /// administers the organisation.
    #[must_use]
    pub fn may(&self, caller: &Caller, last: bool) -> Value {
        let administers = if caller.may(&[Permission::PeopleReadWrite]) {
            Ok(())
        } else {
            Err("only an administrator changes who belongs here".to_owned())
        };
        let other = administers.clone().and_then(|()| {
            if caller.client_id == self.id {
                Err("nobody does this to themselves".to_owned())
            } else {
                Ok(())
            }
        });
        let replaceable = other.clone().and_then(|()| {
            if last && administers_role(self.role) && self.disabled.is_none() {
                Err("nobody else administers this organisation".to_owned())
            } else {
                Ok(())
            }
        });
        let state = |wanted: bool, reason: &str| {
            let reason = reason.to_owned();
            move |()| if wanted { Ok(()) } else { Err(reason) }
        };
        let enabled = self.disabled.is_none();
        let link = other.clone().and_then(|()| {
            if self.elsewhere {
                Err("this person signs in to another organisation as well, which a new link would \
                     cut off"
                    .to_owned())
            } else {
                Ok(())
            }
        });
        let shown = crate::access::shown;
        json!({
            "changeRole": shown(replaceable.clone()),
            "disable": shown(replaceable.clone().and_then(state(enabled, "it is disabled already"))),
            "enable": shown(other.clone().and_then(state(!enabled, "it is not disabled"))),
            "remove": shown(replaceable),
            "invite": shown(link),
            "signOut": shown(administers),
        })
    }
}

fn administers_role(role: Role) -> bool {
    role.permissions().contains(&Permission::PeopleReadWrite)
}

const COLUMNS: &str = "person.id, person.email, person.name, membership.role, \
    membership.created_at, membership.last_used_at, membership.disabled_at, \
    case when person.password is null then 0 else 1 end, \
    case when person.totp_at is null then 0 else 1 end, \
    (select count(*) from passkey where passkey.person_id = person.id), \
    (select count(*) from recovery_code where recovery_code.person_id = person.id \
     and recovery_code.used_at is null), \
    (select count(*) from membership other where other.person_id = person.id \
     and other.tenant_no <> membership.tenant_no)";
const FROM: &str = "membership join person on person.id = membership.person_id";

fn party_of(organisation: TenantNo) -> Party {
    if organisation == TenantNo::PROVIDER { Party::Provider } else { Party::Customer }
}

impl Member {
    fn from_row(row: &QueryResult, organisation: TenantNo) -> Result<Self> {
        let role: String = column(row, 3)?;
        let flag = |index| Ok::<_, Error>(i64::from(column::<i32>(row, index)?) == 1);
        let at =
            |index| Ok::<_, Error>(column::<Option<i64>>(row, index)?.map(Timestamp::from_micros));
        Ok(Self {
            id: column(row, 0)?,
            email: column(row, 1)?,
            name: column(row, 2)?,
            role: Role::read(party_of(organisation), &role)
                .map_err(|error| Error::Internal(format!("table membership: {error}")))?,
            invited: Timestamp::from_micros(column(row, 4)?),
            signed_in: at(5)?,
            disabled: at(6)?,
            factors: Factors {
                password: flag(7)?,
                totp: flag(8)?,
                passkeys: column(row, 9)?,
                recovery_codes: column(row, 10)?,
            },
            elsewhere: column::<i64>(row, 11)? > 0,
        })
    }
}

fn unknown() -> Error {
    Error::NotFound("the person does not exist".to_owned())
}

/// The people of the caller's organisation, by mail address.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Member>> {
    caller.require(&[Permission::PeopleRead])?;
    let organisation = caller.seat()?.organisation;
    let sql = format!(
        "select {COLUMNS} from {FROM} where membership.tenant_no = $1 order by person.email"
    );
    let rows = app.db.shared().query(&sql, vec![organisation.0.into()]).await?;
    rows.iter().map(|row| Member::from_row(row, organisation)).collect()
}

/// The people of an organisation, in an open change or a snapshot.
pub async fn of_organisation(tx: &Transaction, organisation: TenantNo) -> Result<Vec<Member>> {
    let sql = format!(
        "select {COLUMNS} from {FROM} where membership.tenant_no = $1 order by person.email"
    );
    let rows = tx.query(&sql, vec![organisation.0.into()]).await?;
    rows.iter().map(|row| Member::from_row(row, organisation)).collect()
}

/// Whether only one enabled person administers an organisation.
#[must_use]
pub fn has_one_administrator(members: &[Member]) -> bool {
    members.iter().filter(|it| it.administers()).count() < 2
}

/// One person of the caller's organisation.
pub async fn find(app: &App, caller: &Caller, person: &str) -> Result<Member> {
    caller.require(&[Permission::PeopleRead])?;
    let organisation = caller.seat()?.organisation;
    let sql = format!(
        "select {COLUMNS} from {FROM} where membership.tenant_no = $1 and membership.person_id = $2"
    );
    let row = app.db.shared().query_one(&sql, vec![organisation.0.into(), person.into()]).await?;
    Member::from_row(&row.ok_or_else(unknown)?, organisation)
}

async fn find_in(tx: &Transaction, organisation: TenantNo, person: &str) -> Result<Member> {
    let sql = format!(
        "select {COLUMNS} from {FROM} where membership.tenant_no = $1 and membership.person_id = $2"
    );
    let row = tx.query_one(&sql, vec![organisation.0.into(), person.into()]).await?;
    Member::from_row(&row.ok_or_else(unknown)?, organisation)
}

async fn one_administrator_in(tx: &Transaction, organisation: TenantNo) -> Result<bool> {
    Ok(has_one_administrator(&of_organisation(tx, organisation).await?))
}

/// A sent invitation.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The person.
    pub person: String,
    /// The link, shown this once.
    pub setup_url: String,
    /// Until when it is valid.
    pub until: Timestamp,
}

/// Invites a person to the caller's organisation.
pub async fn invite(app: &App, caller: &Caller, email: &str, role: &str) -> Result<Sent> {
    caller.require(&[Permission::PeopleReadWrite])?;
    let organisation = caller.seat()?.organisation;
    caller.require_step_up(app.clock.now())?;
    let invited = Invited::read(app, party_of(organisation), email, role)?;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let now = tx.now();
    let link = invited.write(&tx, organisation, &caller.name, now).await?;
    tx.record(link.fact.clone());
    tx.commit().await?;
    let setup_url = link.url(app);
    Ok(Sent { person: link.person, setup_url, until: now.plus_seconds(invitation::LINK_LASTS_S) })
}

/// Draws a new link for somebody who lost the first one, or what it was for.
pub async fn invite_again(app: &App, caller: &Caller, person: &str) -> Result<Sent> {
    caller.require(&[Permission::PeopleReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let organisation = caller.seat()?.organisation;
    let token = app.random.secret()?;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let now = tx.now();
    let member = find_in(&tx, organisation, person).await?;
    if member.id == caller.client_id {
        return Err(Error::Denied("nobody does this to themselves".to_owned()));
    }
    if member.elsewhere {
        return Err(Error::Conflict(
            "this person signs in to another organisation as well".to_owned(),
        ));
    }
    let until = now.plus_seconds(invitation::LINK_LASTS_S);
    invitation::write_link(&tx, person, organisation, &token, until).await?;
    tx.record(Fact::PersonInvited { person: member.id.clone(), email: member.email });
    tx.commit().await?;
    Ok(Sent { person: member.id, setup_url: invitation::setup_url(app, &token), until })
}

/// Changes a person's role here, or whether it may sign in here.
pub async fn change(
    app: &App,
    caller: &Caller,
    person: &str,
    role: Option<&str>,
    disabled: Option<bool>,
) -> Result<()> {
    caller.require(&[Permission::PeopleReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let organisation = caller.seat()?.organisation;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let now = tx.now();
    let member = find_in(&tx, organisation, person).await?;
    if member.id == caller.client_id {
        return Err(Error::Denied("nobody changes the own role".to_owned()));
    }
    let role = role
        .map(|role| Role::read(party_of(organisation), role).map_err(Error::Invalid))
        .transpose()?
        .unwrap_or(member.role);
    let after = match disabled {
        None => member.disabled,
        Some(true) => member.disabled.or(Some(now)),
        Some(false) => None,
    };
    let administers = administers_role(role) && after.is_none();
    let administered = administers_role(member.role) && member.disabled.is_none();
    if administered && !administers && one_administrator_in(&tx, organisation).await? {
        return Err(Error::Conflict("nobody else administers this organisation".to_owned()));
    }
    let mut changes = Vec::new();
    if role != member.role {
        let (before, after) = (json!(member.role.name()), json!(role.name()));
        changes.push(Change { field: "role", before, after });
    }
    if after.is_some() != member.disabled.is_some() {
        let (before, after) = (json!(member.disabled.is_some()), json!(after.is_some()));
        changes.push(Change { field: "disabled", before, after });
    }
    if changes.is_empty() {
        return Ok(());
    }
    tx.execute(
        "update membership set role = $3, disabled_at = $4 where person_id = $1 and tenant_no = $2",
        vec![
            person.into(),
            organisation.0.into(),
            role.name().into(),
            after.map(Timestamp::micros).into(),
        ],
    )
    .await?;
    if after.is_some() {
        session::end_all(&tx, person, Some(organisation)).await?;
    }
    tx.record(Fact::PersonChanged { person: member.id, email: member.email, changes });
    tx.commit().await?;
    let role = Some(role).filter(|_| after.is_none());
    if organisation == TenantNo::PROVIDER {
        crate::access::end_of_person(app, &caller.actor(), person, role).await?;
    }
    Ok(())
}

/// Takes a person out of the organisation. Who belongs nowhere else cannot sign in any more.
pub async fn remove(app: &App, caller: &Caller, person: &str) -> Result<()> {
    caller.require(&[Permission::PeopleReadWrite])?;
    caller.require_step_up(app.clock.now())?;
    let organisation = caller.seat()?.organisation;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let member = find_in(&tx, organisation, person).await?;
    if member.id == caller.client_id {
        return Err(Error::Denied("nobody removes themselves".to_owned()));
    }
    let administered = administers_role(member.role) && member.disabled.is_none();
    if administered && one_administrator_in(&tx, organisation).await? {
        return Err(Error::Conflict("nobody else administers this organisation".to_owned()));
    }
    tx.execute(
        "delete from membership where person_id = $1 and tenant_no = $2",
        vec![person.into(), organisation.0.into()],
    )
    .await?;
    session::end_all(&tx, person, Some(organisation)).await?;
    tx.execute(
        "delete from identity where person_id = $1 and provider_id in \
         (select id from identity_provider where tenant_no = $2)",
        vec![person.into(), organisation.0.into()],
    )
    .await?;
    if !member.elsewhere {
        setup::forget_factors(&tx, person).await?;
        tx.execute("delete from setup_link where person_id = $1", vec![person.into()]).await?;
    }
    tx.record(Fact::PersonRemoved { person: member.id, email: member.email });
    tx.commit().await?;
    if organisation == TenantNo::PROVIDER {
        crate::access::end_of_person(app, &caller.actor(), person, None).await?;
    }
    Ok(())
}

/// Ends every session of a person in the caller's organisation.
pub async fn sign_out(app: &App, caller: &Caller, person: &str) -> Result<()> {
    caller.require(&[Permission::PeopleReadWrite])?;
    let organisation = caller.seat()?.organisation;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let member = find_in(&tx, organisation, person).await?;
    if session::end_all(&tx, person, Some(organisation)).await? > 0 {
        tx.record(Fact::SessionEnded { person: member.id, session: "all".to_owned() });
    }
    tx.commit().await
}

/// An organisation a person belongs to.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Its number.
    pub organisation: TenantNo,
    /// Its public id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The role there.
    pub role: Role,
}

/// Where a person belongs.
pub async fn memberships(app: &App, person: &str) -> Result<Vec<Membership>> {
    let rows = app
        .db
        .shared()
        .query(
            "select membership.tenant_no, tenant.id, tenant.name, membership.role from membership \
             left join tenant on tenant.no = membership.tenant_no \
             where membership.person_id = $1 and membership.disabled_at is null \
             order by membership.tenant_no",
            vec![person.into()],
        )
        .await?;
    let provider = crate::tenant::provider(app).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        let organisation = TenantNo(column(&row, 0)?);
        let own: Option<(String, String)> =
            column::<Option<String>>(&row, 1)?.zip(column::<Option<String>>(&row, 2)?);
        let Some((id, name)) = own.or_else(|| provider.clone()) else { continue };
        let role: String = column(&row, 3)?;
        let role = Role::read(party_of(organisation), &role)
            .map_err(|error| Error::Internal(format!("table membership: {error}")))?;
        found.push(Membership { organisation, id, name, role });
    }
    Ok(found)
}

/// One of the demo's people.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct DemoPerson {
    /// The person's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its mail address.
    pub email: String,
    /// Its role.
    pub role: &'static str,
    /// Its organisation.
    pub organisation: String,
    /// `customer` or `provider`.
    pub side: &'static str,
}

/// The demo's people, those who have a name and nothing to sign in with.
///
/// # Errors
/// `NotFound` in anything but the demo.
pub async fn demo_people(app: &App) -> Result<Vec<DemoPerson>> {
    if !app.config.demo {
        return Err(Error::NotFound("there is nothing at this address".to_owned()));
    }
    let rows = app
        .db
        .shared()
        .query(
            "select id, name, email from person where name is not null and totp_at is null \
             and not exists (select 1 from passkey where passkey.person_id = person.id) \
             order by created_at, email",
            vec![],
        )
        .await?;
    let mut people = Vec::with_capacity(rows.len());
    for row in rows {
        let id: String = column(&row, 0)?;
        let Some(first) = memberships(app, &id).await?.into_iter().next() else { continue };
        people.push(DemoPerson {
            id,
            name: column(&row, 1)?,
            email: column(&row, 2)?,
            role: first.role.name(),
            side: first.role.party().word(),
            organisation: first.name,
        });
    }
    Ok(people)
}

/// Adds one of the demo's people: somebody with a name, a role and nothing to sign in with. Gives its
/// id.
pub async fn add_demo_person(
    app: &App,
    organisation: TenantNo,
    name: &str,
    email: &str,
    role: Role,
) -> Result<String> {
    let invited = Invited::read(app, role.party(), email, role.name())?;
    let mut tx = Tx::begin(app, organisation, crate::actor::Actor::system("riposte")).await?;
    let link = invited.write(&tx, organisation, "riposte", tx.now()).await?;
    tx.execute("delete from setup_link where person_id = $1", vec![link.person.clone().into()])
        .await?;
    tx.execute(
        "update person set name = $2 where id = $1",
        vec![link.person.clone().into(), name.into()],
    )
    .await?;
    tx.record(link.fact.clone());
    tx.commit().await?;
    Ok(link.person)
}

/// Name and factors of a person.
pub async fn itself(app: &App, person: &str) -> Result<(Option<String>, Factors)> {
    let row = app
        .db
        .shared()
        .query_one(
            "select name, case when password is null then 0 else 1 end, \
             case when totp_at is null then 0 else 1 end, \
             (select count(*) from passkey where passkey.person_id = person.id), \
             (select count(*) from recovery_code where recovery_code.person_id = person.id \
              and recovery_code.used_at is null) from person where id = $1",
            vec![person.into()],
        )
        .await?
        .ok_or_else(unknown)?;
    let factors = Factors {
        password: column::<i32>(&row, 1)? == 1,
        totp: column::<i32>(&row, 2)? == 1,
        passkeys: column(&row, 3)?,
        recovery_codes: column(&row, 4)?,
    };
    Ok((column(&row, 0)?, factors))
}

/// One of the caller's passkeys.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnPasskey {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// When it was made.
    #[schema(value_type = String)]
    pub created_date_time: Timestamp,
    /// When it was last used.
    #[schema(value_type = Option<String>)]
    pub last_used_date_time: Option<Timestamp>,
}

/// The caller's passkeys.
pub async fn own_passkeys(app: &App, caller: &Caller) -> Result<Vec<OwnPasskey>> {
    caller.seat()?;
    let known = passkey::of_person(app, &caller.client_id).await?;
    let shown = |it: passkey::Known| OwnPasskey {
        id: it.id,
        name: it.name,
        created_date_time: it.created,
        last_used_date_time: it.used,
    };
    Ok(known.into_iter().map(shown).collect())
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Another {
    name: String,
    state: webauthn_rs::prelude::PasskeyRegistration,
}

/// Begins to make one more passkey.
pub async fn begin_passkey(app: &App, caller: &Caller, name: &str) -> Result<(String, Value)> {
    caller.require_step_up(app.clock.now())?;
    if caller.seat()?.factor == Factor::Oidc && memberships(app, &caller.client_id).await?.len() > 1
    {
        // A passkey opens every organisation of its person, a provider speaks for one.
        return Err(Error::Denied(
            "you belong to another organisation as well; sign in with a factor of your own to add \
             a passkey"
                .to_owned(),
        ));
    }
    let name = crate::tenant::named("passkey", name)?.to_owned();
    let known = passkey::of_person(app, &caller.client_id).await?;
    let (options, state) =
        passkey::begin_making(app, &caller.client_id, &caller.name, &caller.name, &known)?;
    let state = Another { name, state };
    let flow = ceremony::begin(app, "another passkey", Some(&caller.client_id), &state).await?;
    Ok((flow, options))
}

/// Takes one more passkey.
pub async fn finish_passkey(
    app: &App,
    caller: &Caller,
    flow: &str,
    credential: Value,
) -> Result<()> {
    let organisation = caller.seat()?.organisation;
    let gone = || Error::Conflict("this took too long; begin again".to_owned());
    let found = ceremony::take::<Another>(app, "another passkey", flow).await?.ok_or_else(gone)?;
    if found.person.as_deref() != Some(&caller.client_id) {
        return Err(gone());
    }
    let Another { name, state } = found.state;
    let made = passkey::finish_making(app, credential, &state)?;
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    passkey::write(&tx, &caller.client_id, &name, &made, tx.now()).await?;
    let person = caller.client_id.clone();
    tx.record(Fact::PasskeyChanged { person, passkey: name, removed: false });
    tx.commit().await
}

/// Removes one of the caller's passkeys, unless it is all there is to sign in with.
pub async fn remove_passkey(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require_step_up(app.clock.now())?;
    let organisation = caller.seat()?.organisation;
    let (_, factors) = itself(app, &caller.client_id).await?;
    if factors.passkeys < 2 && !factors.totp {
        return Err(Error::Conflict("this passkey is all there is to sign in with".to_owned()));
    }
    let mut tx = Tx::begin(app, organisation, caller.actor()).await?;
    let name = tx
        .query_one(
            "select name from passkey where id = $1 and person_id = $2",
            vec![id.into(), caller.client_id.clone().into()],
        )
        .await?;
    let Some(name) = name else {
        return Err(Error::NotFound("the passkey does not exist".to_owned()));
    };
    let passkey: String = column(&name, 0)?;
    tx.execute("delete from passkey where id = $1", vec![id.into()]).await?;
    tx.record(Fact::PasskeyChanged { person: caller.client_id.clone(), passkey, removed: true });
    tx.commit().await
}
