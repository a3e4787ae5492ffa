//! Invitations: a person is named by a mail address, gets a role in one organisation, and a link
//! that is valid once, for an hour, to set up how to sign in.
//!
//! One address is one person, whoever invites: who belongs to several organisations has one way of
//! signing in and a role in each. A link never replaces what such a person signs in with, so that no
//! organisation can take over what another relies on. Not here: what the link does (see
//! `person::setup`).

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::TenantNo;
use crate::permission::{Party, Role};

/// For how long a link that was shown is valid, in seconds.
pub const LINK_LASTS_S: i64 = 3_600;
/// For how long the link of a welcome mail is, in seconds: it is read when there is time for a setup.
pub const WELCOME_LASTS_S: i64 = 7 * 86_400;

/// An invitation: a single-use link that is valid for one hour.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// The person.
    pub user_id: String,
    /// Where to set up sign-in.
    pub setup_url: String,
}

/// A person to be invited: address and role are sound, id and token are drawn.
pub struct Invited {
    id: String,
    email: String,
    role: Role,
    token: String,
    lasts_s: i64,
}

/// A written invitation.
pub struct Link {
    /// The person, known before or new.
    pub person: String,
    /// What happened, to be recorded in the same change.
    pub fact: Fact,
    /// The secret part of the link; none for who signs in already.
    token: Option<String>,
}

/// The address in the spelling that is kept, when it looks like one.
pub fn address(email: &str) -> Result<String> {
    let email = email.trim().to_lowercase();
    let plausible = email.len() <= 254
        && !email.chars().any(|c| c.is_whitespace() || c.is_control() || "<>\",;".contains(c))
        && email.split_once('@').is_some_and(|(user, domain)| {
            !user.is_empty() && !domain.is_empty() && !domain.contains('@')
        });
    if plausible {
        Ok(email)
    } else {
        Err(Error::Invalid(format!("{email:?} is not a mail address")))
    }
}

impl Invited {
    /// Reads address and role.
    pub fn read(app: &App, party: Party, email: &str, role: &str) -> Result<Self> {
        let email = address(email)?;
        let role = Role::read(party, role).map_err(Error::Invalid)?;
        let (id, token) = (app.random.uuid()?, app.random.secret()?);
        Ok(Self { id, email, role, token, lasts_s: LINK_LASTS_S })
    }

    /// The address that is invited.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The same with this link, which a welcome mail brings.
    #[must_use]
    pub fn welcome(self, token: String) -> Self {
        Self { token, lasts_s: WELCOME_LASTS_S, ..self }
    }

    /// Writes person, role and link, as far as they are not there.
    pub async fn write(
        &self,
        tx: &Transaction,
        organisation: TenantNo,
        by: &str,
        now: Timestamp,
    ) -> Result<Link> {
        tx.execute(
            "insert into person (id, email, created_at) values ($1, $2, $3) on conflict do nothing",
            vec![self.id.clone().into(), self.email.clone().into(), now.micros().into()],
        )
        .await?;
        let row = tx
            .query_one("select id from person where email = $1", vec![self.email.clone().into()])
            .await?;
        let row = row.ok_or_else(|| Error::Internal("a person was not written".to_owned()))?;
        let person: String = column(&row, 0)?;
        let fresh = tx
            .execute(
                "insert into membership (person_id, tenant_no, role, created_at, created_by) \
                 values ($1, $2, $3, $4, $5) on conflict do nothing",
                vec![
                    person.clone().into(),
                    organisation.0.into(),
                    self.role.name().into(),
                    now.micros().into(),
                    by.into(),
                ],
            )
            .await?;
        let signs_in = can_sign_in(tx, &person).await?;
        if fresh == 0 {
            return Err(Error::Conflict(format!("{} belongs here already", self.email)));
        }
        let token = if signs_in {
            None
        } else {
            let until = now.plus_seconds(self.lasts_s);
            write_link(tx, &person, organisation, &self.token, until).await?;
            Some(self.token.clone())
        };
        let fact = Fact::PersonAdded {
            person: person.clone(),
            email: self.email.clone(),
            role: self.role.name().to_owned(),
        };
        Ok(Link { person, fact, token })
    }
}

/// Writes a link for a person, valid until then; earlier ones that are not used end.
pub async fn write_link(
    tx: &Transaction,
    person: &str,
    organisation: TenantNo,
    token: &str,
    until: Timestamp,
) -> Result<()> {
    tx.execute("delete from setup_link where person_id = $1", vec![person.into()]).await?;
    tx.execute(
        "insert into setup_link (token_hash, person_id, tenant_no, expires_at) \
         values ($1, $2, $3, $4)",
        vec![
            super::hash(token).into(),
            person.into(),
            organisation.0.into(),
            until.micros().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Whether a person has something to sign in with.
pub async fn can_sign_in(tx: &Transaction, person: &str) -> Result<bool> {
    let row = tx
        .query_one(
            "select 1 from person where id = $1 and (totp_at is not null or signed_in_at is not null \
             or exists (select 1 from passkey where passkey.person_id = person.id))",
            vec![person.into()],
        )
        .await?;
    Ok(row.is_some())
}

/// The address behind a link: the secret part is a fragment, which no server and no log sees.
#[must_use]
pub fn setup_url(app: &App, token: &str) -> String {
    format!("{}/setup#{token}", app.web())
}

impl Link {
    /// Whether the person sets sign-in up with it; else it signs in already.
    #[must_use]
    pub fn sets_up(&self) -> bool {
        self.token.is_some()
    }

    /// Where the person goes: to set up sign-in, or to sign in.
    #[must_use]
    pub fn url(&self, app: &App) -> String {
        match &self.token {
            Some(token) => setup_url(app, token),
            None => format!("{}/sign-in", app.web()),
        }
    }

    /// What a command prints of it.
    #[must_use]
    pub fn invitation(self, app: &App) -> Invitation {
        Invitation { setup_url: self.url(app), user_id: self.person }
    }
}
