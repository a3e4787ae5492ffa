//! Who is asking: from a bearer token to an actor with a reach and permissions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::actor::{Actor, ActorKind};
use crate::app::App;
use crate::clock::Timestamp;
use crate::db::column;
use crate::error::{Error, Result};
use crate::id::TenantNo;
use crate::permission::Permission;
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

/// An application that showed a valid token.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its id.
    pub client_id: String,
    /// Its name.
    pub name: String,
    /// What it may see.
    pub reach: Reach,
    permissions: Arc<[Permission]>,
}

impl Caller {
    /// A caller that needs no token: a command of this very program.
    #[must_use]
    pub fn local(name: &str, reach: Reach, permissions: &[Permission]) -> Self {
        Self {
            client_id: name.to_owned(),
            name: name.to_owned(),
            reach,
            permissions: permissions.into(),
        }
    }

    /// How this caller appears in events.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let kind = match self.reach {
            Reach::Tenant(_) => ActorKind::Integration,
            Reach::Granted(_) => ActorKind::Expert,
        };
        Actor { kind, name: self.name.clone() }
    }

    /// Whether the caller holds a permission that covers one of `wanted`.
    #[must_use]
    pub fn may(&self, wanted: &[Permission]) -> bool {
        wanted.iter().any(|wanted| self.permissions.iter().any(|held| held.covers(*wanted)))
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

/// Tokens and applications seen lately, so that a request costs no signature check and no query.
pub struct Callers {
    keys: Keys,
    tokens: Mutex<HashMap<[u8; 32], Claims>>,
    apps: Mutex<HashMap<String, (Timestamp, Caller)>>,
}

/// How stale a cached application or grant may be: changes take effect within this.
const FRESH_MICROS: i64 = 1_000_000;
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
    pub async fn identify(&self, app: &App, header: &str) -> Result<Option<Caller>> {
        // Some clients send the bare token (graph-api rule 8).
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            Some(_) => return Ok(None),
            None => header.trim(),
        };
        let now = app.clock.now();
        let Some(claims) = self.claims(token, now) else { return Ok(None) };
        if let Some((seen, caller)) =
            self.apps.lock().ok().and_then(|apps| apps.get(&claims.client_id).cloned())
            && now.micros() - seen.micros() < FRESH_MICROS
            && now >= seen
        {
            return Ok(Some(caller));
        }
        let caller = load(app, &claims).await?;
        if let (Some(caller), Ok(mut apps)) = (&caller, self.apps.lock()) {
            apps.insert(claims.client_id.clone(), (now, caller.clone()));
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

async fn load(app: &App, claims: &Claims) -> Result<Option<Caller>> {
    let row = app
        .db
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
        let rows = app
            .db
            .query("select no from tenant where experts <> 'none' order by no", vec![])
            .await?;
        let granted: Result<Vec<TenantNo>> =
            rows.iter().map(|row| Ok(TenantNo(column(row, 0)?))).collect();
        Reach::Granted(granted?.into())
    };
    let words: String = column(&row, 2)?;
    let permissions: Vec<Permission> =
        words.split(' ').filter_map(|word| word.parse().ok()).collect();
    Ok(Some(Caller {
        client_id: claims.client_id.clone(),
        name: column(&row, 0)?,
        reach,
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
