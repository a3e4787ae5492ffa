//! Who is asking: an application with a token or a person with a session, as an actor with a reach
//! and permissions.
//!
//! Two reaches: [`Caller::reach`] is where the caller may open, read and change; everything asks
//! for it unless it says otherwise. [`Caller::queue`] is where a row of the queue may be shown. They
//! differ for the provider's people only, who see the queue of every tenant that grants it, and are
//! inside a tenant only while they have running access to it (PER-3).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use crate::actor::{Actor, ActorKind};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Scope, column};
use crate::error::{Error, Result};
use crate::id::TenantNo;
use crate::permission::{Permission, Role};
use crate::tenant::grant;
use crate::tenant::token::{Claims, Keys};

/// The tenants a caller may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reach {
    /// A customer's own tenant.
    Tenant(TenantNo),
    /// Every tenant whose grant lets the provider's experts in, in ascending order.
    Granted(Arc<[TenantNo]>),
}

impl Reach {
    /// Whether `tenant` is within reach.
    #[must_use]
    pub fn includes(&self, tenant: TenantNo) -> bool {
        match self {
            Self::Tenant(own) => *own == tenant,
            Self::Granted(tenants) => tenants.binary_search(&tenant).is_ok(),
        }
    }

    /// The tenants within reach, in ascending order.
    #[must_use]
    pub fn tenants(&self) -> &[TenantNo] {
        match self {
            Self::Tenant(own) => std::slice::from_ref(own),
            Self::Granted(tenants) => tenants,
        }
    }
}

/// An application that showed a valid token, or a person with a session.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The application's or the person's id.
    pub client_id: String,
    /// The application's name or the person's mail address.
    pub name: String,
    /// Where it may read and change.
    pub reach: Reach,
    /// Of which tenants it may see the queue.
    pub queue: Reach,
    /// Where the request came from.
    pub address: Option<IpAddr>,
    /// The person, when it is one.
    pub person: Option<Seat>,
    permissions: Arc<[Permission]>,
}

/// What a person showed to sign in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Factor {
    /// A passkey, which knows its user.
    Passkey,
    /// A password and a code.
    Totp,
    /// An identity provider's word.
    Oidc,
    /// One click, in the demo only.
    Demo,
}

impl Factor {
    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Totp => "totp",
            Self::Oidc => "oidc",
            Self::Demo => "demo",
        }
    }

    /// The factor of a word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [Self::Passkey, Self::Totp, Self::Oidc, Self::Demo].into_iter().find(|it| it.word() == word)
    }
}

/// In which organisation, in which role and how freshly proven a person is here.
#[derive(Clone, Debug)]
pub struct Seat {
    /// The session's public id.
    pub session: String,
    /// The tenant the person acts in; [`TenantNo::PROVIDER`] for the provider's people.
    pub organisation: TenantNo,
    /// The role there.
    pub role: Role,
    /// What it signed in with.
    pub factor: Factor,
    /// When a factor was last shown.
    pub proven: Option<Timestamp>,
}

/// For how long a shown factor opens what is dangerous, in seconds.
pub const STEP_UP_S: i64 = 300;

impl Caller {
    /// Whether another look at the same caller found that it may see and do just what it might.
    #[must_use]
    pub fn may_the_same(&self, now: &Self) -> bool {
        let role =
            |caller: &Self| caller.person.as_ref().map(|seat| (seat.organisation, seat.role));
        self.reach == now.reach
            && self.queue == now.queue
            && self.permissions == now.permissions
            && role(self) == role(now)
    }

    /// A caller that needs no token: a command of this very program.
    #[must_use]
    pub fn local(name: &str, reach: Reach, permissions: &[Permission]) -> Self {
        Self {
            client_id: name.to_owned(),
            name: name.to_owned(),
            queue: reach.clone(),
            reach,
            address: None,
            person: None,
            permissions: permissions.into(),
        }
    }

    /// A person with a session.
    #[must_use]
    pub fn person(id: String, email: String, seat: Seat, within: Within) -> Self {
        let Within { reach, queue, address } = within;
        let permissions = seat.role.permissions().into();
        Self { client_id: id, name: email, reach, queue, address, person: Some(seat), permissions }
    }

    /// How this caller appears in events.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let kind = match (&self.reach, &self.person) {
            (Reach::Tenant(_), None) => ActorKind::Integration,
            (Reach::Tenant(_), Some(_)) => ActorKind::Customer,
            (Reach::Granted(_), _) => ActorKind::Expert,
        };
        Actor { kind, name: self.name.clone(), address: self.address }
    }

    /// The permissions held, as the role or the application has them.
    #[must_use]
    pub fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// The seat of a person.
    ///
    /// # Errors
    /// `Denied` for an application: what only people do.
    pub fn seat(&self) -> Result<&Seat> {
        let applications = || Error::Denied("only a person may do this".to_owned());
        self.person.as_ref().ok_or_else(applications)
    }

    /// Refuses a person who has not shown a factor within [`STEP_UP_S`].
    pub fn require_step_up(&self, now: Timestamp) -> Result<()> {
        let fresh = |proven: Timestamp| now < proven.plus_seconds(STEP_UP_S);
        if self.seat()?.proven.is_some_and(fresh) { Ok(()) } else { Err(Error::StepUp) }
    }

    /// Refuses a caller who sees the tenant's queue and is not inside; a tenant that is not even in
    /// the queue does not exist.
    pub async fn require_inside(&self, app: &App, tenant: TenantNo, unknown: Error) -> Result<()> {
        if self.reach.includes(tenant) {
            return Ok(());
        }
        if self.queue.includes(tenant) {
            return Err(Error::NoAccess(app.tenant_id(tenant).await?.to_string()));
        }
        Err(unknown)
    }

    /// Whether the caller holds a permission that covers one of `wanted`.
    #[must_use]
    pub fn may(&self, wanted: &[Permission]) -> bool {
        wanted.iter().any(|wanted| self.permissions.iter().any(|held| held.covers(*wanted)))
    }

    /// The store as far as the caller sees anything of it: the tenants it is inside of, and those
    /// whose queue it sees.
    #[must_use]
    pub fn view<'a>(&self, app: &'a App) -> Scope<'a> {
        // Who is inside of a tenant sees its queue.
        app.db.reach(self.queue.tenants())
    }

    /// Refuses a caller without any of `wanted`.
    pub fn require(&self, wanted: &[Permission]) -> Result<()> {
        if self.may(wanted) {
            return Ok(());
        }
        let words: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        Err(Error::Denied(format!(
            "Missing scope permissions on the request. API requires one of '{}'.",
            words.join(", ")
        )))
    }

    /// Whose logs the caller may read, in ascending order: those of the tenants within reach, and
    /// for the provider's applications the provider's own.
    #[must_use]
    pub fn logs(&self) -> Vec<TenantNo> {
        let own = match &self.reach {
            Reach::Tenant(_) => None,
            Reach::Granted(_) => Some(TenantNo::PROVIDER),
        };
        own.into_iter().chain(self.reach.tenants().iter().copied()).collect()
    }

    /// The one tenant of a customer's application; an expert-side one must name a tenant instead.
    pub fn own_tenant(&self) -> Result<TenantNo> {
        match &self.reach {
            Reach::Tenant(own) => Ok(*own),
            Reach::Granted(_) => Err(Error::Invalid(
                "an expert-side application must name the tenant with ?tenantId=".to_owned(),
            )),
        }
    }
}

/// How far a person reaches now, and from where.
#[derive(Clone, Debug)]
pub struct Within {
    /// See [`Caller::reach`].
    pub reach: Reach,
    /// See [`Caller::queue`].
    pub queue: Reach,
    /// Where the request came from.
    pub address: Option<IpAddr>,
}

/// Tokens and applications seen lately, so that a request costs no signature check and no query.
pub struct Callers {
    keys: Keys,
    tokens: Mutex<HashMap<[u8; 32], Claims>>,
    apps: Mutex<Seen>,
}

/// Callers by application and address, with the moment they were looked up.
type Seen = HashMap<(String, Option<IpAddr>), (Timestamp, Caller)>;

/// How stale a cached application or grant may be. A change must take effect within a second, on
/// every replica, whatever else takes its time.
const FRESH_MICROS: i64 = 400_000;
/// How many tokens are remembered; beyond it all are forgotten and checked anew.
const REMEMBERED: usize = 10_000;

impl Callers {
    /// With the installation's keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self { keys, tokens: Mutex::default(), apps: Mutex::default() }
    }

    /// The keys that sign tokens.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The caller behind an `Authorization` header value; `None` when it proves nothing.
    pub async fn identify(
        &self,
        app: &App,
        header: &str,
        address: Option<IpAddr>,
    ) -> Result<Option<Caller>> {
        // Some clients send the bare token (graph-api rule 8).
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) => return Ok(None),
            None => header.trim(),
        };
        let now = app.clock.now();
        let Some(claims) = self.claims(token, now) else { return Ok(None) };
        let key = (claims.client_id.clone(), address);
        if let Some((seen, caller)) = self.apps.lock().ok().and_then(|apps| apps.get(&key).cloned())
            && now.micros() - seen.micros() < FRESH_MICROS
            && now >= seen
        {
            return Ok(Some(caller));
        }
        let caller = load(app, &claims, address).await?;
        if let (Some(caller), Ok(mut apps)) = (&caller, self.apps.lock()) {
            if apps.len() >= REMEMBERED {
                apps.clear();
            }
            apps.insert(key, (now, caller.clone()));
        }
        Ok(caller)
    }

    fn claims(&self, token: &str, now: Timestamp) -> Option<Claims> {
        use sha2::Digest;
        let hash: [u8; 32] = sha2::Sha256::digest(token).into();
        let mut tokens = self.tokens.lock().ok()?;
        if let Some(claims) = tokens.get(&hash) {
            return (now < claims.expires).then(|| claims.clone());
        }
        let claims = self.keys.verify(token, now)?;
        if tokens.len() >= REMEMBERED {
            tokens.clear();
        }
        tokens.insert(hash, claims.clone());
        Some(claims)
    }
}

async fn load(app: &App, claims: &Claims, address: Option<IpAddr>) -> Result<Option<Caller>> {
    let row = app
        .db
        .shared()
        .query_one(
            "select name, tenant_no, permissions from app where client_id = $1",
            vec![claims.client_id.clone().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let tenant: Option<i64> = column(&row, 1)?;
    let reach = if let Some(no) = tenant {
        Reach::Tenant(TenantNo(no))
    } else {
        let granted = grant::granting(app, address).await?;
        Reach::Granted(granted.into_iter().map(|(tenant, _)| tenant).collect())
    };
    let words: String = column(&row, 2)?;
    let permissions: Vec<Permission> =
        words.split(' ').filter_map(|word| word.parse().ok()).collect();
    Ok(Some(Caller {
        client_id: claims.client_id.clone(),
        name: column(&row, 0)?,
        queue: reach.clone(),
        reach,
        address,
        person: None,
        permissions: permissions.into(),
    }))
}

/// The tenant of a public id, when the caller may reach it; unknown and foreign answer alike.
pub async fn tenant_within_reach(app: &App, caller: &Caller, id: &str) -> Result<TenantNo> {
    let found = match super::find(app, &id.to_ascii_lowercase()).await {
        Ok(tenant) => Some(tenant.no).filter(|no| caller.reach.includes(*no)),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    found.ok_or_else(|| Error::NotFound("the tenant does not exist".to_owned()))
}

/// Like [`tenant_within_reach`], for reading a log: the provider's applications may name the
/// provider as well.
pub async fn log_within_reach(app: &App, caller: &Caller, id: &str) -> Result<TenantNo> {
    if let Reach::Granted(_) = caller.reach
        && let Some((provider, _)) = super::provider(app).await?
        && provider.eq_ignore_ascii_case(id)
    {
        return Ok(TenantNo::PROVIDER);
    }
    tenant_within_reach(app, caller, id).await
}

/// The tenant of a public id, when the caller sees its queue or looks after the whole installation; for
/// what is agreed with a customer, and is no case. Unknown and foreign answer alike.
pub async fn tenant_served(app: &App, caller: &Caller, id: &str) -> Result<TenantNo> {
    let within = |no| caller.may(&[Permission::TenantReadWrite]) || caller.queue.includes(no);
    let found = match super::find(app, &id.to_ascii_lowercase()).await {
        Ok(tenant) => Some(tenant.no).filter(|no| within(*no)),
        Err(Error::NotFound(_)) => None,
        Err(error) => return Err(error),
    };
    found.ok_or_else(|| Error::NotFound("the tenant does not exist".to_owned()))
}
