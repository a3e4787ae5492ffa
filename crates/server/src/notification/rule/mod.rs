//! Mail rules: a customer's own words on which mails go out about incidents (NOT-9) and about actions
//! that came to their end (NOT-10), and to whom.
//!
//! One rule is one row for either kind; what it is about is `model`'s, when it tells is `follow`'s.
//! Invariants: a rule that was removed or is off tells of nothing that happens meanwhile; who is told by
//! a rule becomes no contact by that, and is told of nothing else. Not here: what experts tell the
//! customer's contacts by themselves (`make`).

pub(super) mod follow;
pub mod model;

use std::collections::BTreeSet;

use sea_orm::QueryResult;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::notification::letter::Kind;
use crate::notification::make::{self, Channel, Notice, Receiver};
use crate::notification::rule::model::{RuleAbout, RuleRecipient, RuleWhen, recipients};
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// Rules of one customer.
const MOST: i64 = 100;
/// Names of groups that are offered.
const OFFERED: i64 = 500;

/// What a rule says, as it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// What it is about.
    pub when: RuleWhen,
    /// Whether the organisation's name begins the subject.
    pub organisation_name: bool,
    /// Whether the link says whose it is: for who belongs to several organisations.
    pub tenant_link: bool,
    /// Who is told.
    pub recipients: Vec<RuleRecipient>,
}

impl Said {
    fn checked(self) -> Result<Self> {
        let recipients = recipients(&self.recipients)?;
        Ok(Self { when: self.when.checked()?, recipients, ..self })
    }
}

/// A mail rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailRule {
    /// Its id, a UUID.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantNo,
    /// What it is called.
    pub name: String,
    /// What it says.
    pub said: Said,
    /// Since when it is off.
    pub off: Option<Timestamp>,
    /// Who added it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
}

const COLUMNS: &str = "id, tenant_no, name, body, off_at, created_by, created_at";

impl MailRule {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let id: String = column(row, 0)?;
        let damaged = |_| Error::Internal(format!("the mail rule {id} is damaged"));
        Ok(Self {
            tenant: TenantNo(column(row, 1)?),
            name: column(row, 2)?,
            said: serde_json::from_str(&column::<String>(row, 3)?).map_err(damaged)?,
            off: column::<Option<i64>>(row, 4)?.map(Timestamp::from_micros),
            created_by: column(row, 5)?,
            created: Timestamp::from_micros(column(row, 6)?),
            id,
        })
    }

    /// Who is told.
    pub(super) fn receivers(&self) -> Vec<Receiver> {
        let to = |it: &RuleRecipient| Receiver {
            channel: Channel::Mail,
            to: it.email.clone(),
            name: it.email.clone(),
            contact: None,
            language: it.language,
        };
        self.said.recipients.iter().map(to).collect()
    }

    fn body(&self) -> Result<String> {
        serde_json::to_string(&self.said).map_err(Error::internal)
    }

    fn addresses(&self) -> Vec<String> {
        self.said.recipients.iter().map(|it| it.email.clone()).collect()
    }
}

fn unknown() -> Error {
    Error::NotFound("the mail rule does not exist".to_owned())
}

/// The rules of the caller's own organisation, by what they are about and by name.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<MailRule>> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    let sql = format!(
        "select {COLUMNS} from mail_rule where tenant_no = $1 and removed_at is null \
         order by about desc, lower(name), id"
    );
    let rows = app.db.of(tenant).query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(MailRule::from_row).collect()
}

/// Names of device groups that are known in the caller's own organisation: those of its devices, and
/// those that its sources name.
pub async fn groups(app: &App, caller: &Caller) -> Result<Vec<String>> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    let tx = app.db.of(tenant).snapshot().await?;
    let mut found = BTreeSet::new();
    let own = "select distinct device_groups from device where tenant_no = $1 limit $2";
    for row in tx.query(own, vec![tenant.0.into(), OFFERED.into()]).await? {
        let groups: Vec<String> =
            serde_json::from_str(&column::<String>(&row, 0)?).map_err(Error::internal)?;
        found.extend(groups);
    }
    let named = "select distinct value from incident_facet where kind = 'deviceGroup' \
                 and incident_id in (select id from incident where tenant_no = $1) limit $2";
    for row in tx.query(named, vec![tenant.0.into(), OFFERED.into()]).await? {
        found.insert(column(&row, 0)?);
    }
    Ok(found.into_iter().collect())
}

/// Those of a kind that are on, in an open change.
async fn live(tx: &Transaction, tenant: TenantNo, about: RuleAbout) -> Result<Vec<MailRule>> {
    let sql = format!(
        "select {COLUMNS} from mail_rule where tenant_no = $1 and about = $2 \
         and removed_at is null and off_at is null order by id"
    );
    let rows = tx.query(&sql, vec![tenant.0.into(), about.word().into()]).await?;
    rows.iter().map(MailRule::from_row).collect()
}

async fn find_in(tx: &Transaction, tenant: TenantNo, id: &str) -> Result<MailRule> {
    let sql = format!(
        "select {COLUMNS} from mail_rule where tenant_no = $1 and id = $2 and removed_at is null"
    );
    let row = tx.query_one(&sql, vec![tenant.0.into(), id.into()]).await?;
    row.as_ref().map(MailRule::from_row).transpose()?.ok_or_else(unknown)
}

async fn require_room(tx: &Transaction, tenant: TenantNo) -> Result<()> {
    let sql = "select count(*) from mail_rule where tenant_no = $1 and removed_at is null";
    let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
    if row.map(|row| column::<i64>(&row, 0)).transpose()?.unwrap_or_default() >= MOST {
        return Err(Error::Conflict(format!("an organisation has {MOST} mail rules at most")));
    }
    Ok(())
}

/// Adds a rule to the caller's own organisation.
pub async fn add(app: &App, caller: &Caller, name: &str, on: bool, said: Said) -> Result<MailRule> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let name = crate::tenant::named("mail rule", name)?.to_owned();
    let said = said.checked()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    require_room(&tx, tenant).await?;
    let rule = MailRule {
        id: app.random.uuid()?,
        tenant,
        name,
        said,
        off: (!on).then(|| tx.now()),
        created_by: tx.actor().name.clone(),
        created: tx.now(),
    };
    let about = rule.said.when.about().word();
    tx.execute(
        "insert into mail_rule (id, tenant_no, about, name, body, off_at, created_by, created_at) \
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
        vec![
            rule.id.clone().into(),
            tenant.0.into(),
            about.into(),
            rule.name.clone().into(),
            rule.body()?.into(),
            rule.off.map(Timestamp::micros).into(),
            rule.created_by.clone().into(),
            rule.created.micros().into(),
        ],
    )
    .await?;
    tx.made(&rule.id).await?;
    tx.record(Fact::MailRuleAdded {
        rule: rule.id.clone(),
        about,
        name: rule.name.clone(),
        receivers: rule.addresses(),
    });
    tx.commit().await?;
    Ok(rule)
}

/// What of a rule is to be another; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// What it is called.
    pub name: Option<String>,
    /// What it is about; of the kind that it is.
    pub when: Option<RuleWhen>,
    /// Whether the organisation's name begins the subject.
    pub organisation_name: Option<bool>,
    /// Whether the link says whose it is.
    pub tenant_link: Option<bool>,
    /// Who is told.
    pub recipients: Option<Vec<RuleRecipient>>,
    /// Whether it is on.
    pub on: Option<bool>,
}

/// Changes a rule of the caller's own organisation.
///
/// # Errors
/// `Conflict` when it is to be about something else altogether.
pub async fn change(app: &App, caller: &Caller, id: &str, edit: Edit) -> Result<MailRule> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = find_in(&tx, tenant, id).await?;
    let mut after = before.clone();
    if let Some(name) = &edit.name {
        crate::tenant::named("mail rule", name)?.clone_into(&mut after.name);
    }
    if let Some(when) = edit.when {
        if when.about() != before.said.when.about() {
            return Err(Error::Conflict(
                "a rule stays about incidents or about actions".to_owned(),
            ));
        }
        after.said.when = when;
    }
    let said = &mut after.said;
    said.organisation_name = edit.organisation_name.unwrap_or(said.organisation_name);
    said.tenant_link = edit.tenant_link.unwrap_or(said.tenant_link);
    said.recipients = edit.recipients.unwrap_or_else(|| said.recipients.clone());
    after.said = after.said.checked()?;
    after.off = match edit.on {
        None => before.off,
        Some(true) => None,
        Some(false) => before.off.or_else(|| Some(tx.now())),
    };
    let changes = changes(&before, &after);
    if changes.is_empty() {
        return Ok(after);
    }
    tx.execute(
        "update mail_rule set name = $3, body = $4, off_at = $5 where tenant_no = $1 and id = $2",
        vec![
            tenant.0.into(),
            id.into(),
            after.name.clone().into(),
            after.body()?.into(),
            after.off.map(Timestamp::micros).into(),
        ],
    )
    .await?;
    tx.record(Fact::MailRuleChanged { rule: id.to_owned(), name: after.name.clone(), changes });
    tx.commit().await?;
    Ok(after)
}

fn changes(before: &MailRule, after: &MailRule) -> Vec<Change> {
    let members = |it: &MailRule| -> [(&'static str, Value); 6] {
        [
            ("name", json!(it.name)),
            ("when", json!(it.said.when)),
            ("organisationName", json!(it.said.organisation_name)),
            ("tenantLink", json!(it.said.tenant_link)),
            ("recipients", json!(it.said.recipients)),
            ("on", json!(it.off.is_none())),
        ]
    };
    let both = members(before).into_iter().zip(members(after));
    both.filter(|((_, before), (_, after))| before != after)
        .map(|((field, before), (_, after))| Change { field, before, after })
        .collect()
}

/// Takes a rule away; what is under way by it is not called back.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let it = find_in(&tx, tenant, id).await?;
    tx.execute(
        "update mail_rule set removed_at = $3 where tenant_no = $1 and id = $2",
        vec![tenant.0.into(), id.into(), tx.now().micros().into()],
    )
    .await?;
    tx.record(Fact::MailRuleRemoved { rule: it.id, name: it.name });
    tx.commit().await
}

/// Takes a removal back: the rule is as it was, and still knows what it has told.
pub async fn restore(app: &App, caller: &Caller, id: &str) -> Result<MailRule> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let sql = format!("select {COLUMNS} from mail_rule where tenant_no = $1 and id = $2");
    let row = tx.query_one(&sql, vec![tenant.0.into(), id.into()]).await?;
    let it = row.as_ref().map(MailRule::from_row).transpose()?.ok_or_else(unknown)?;
    require_room(&tx, tenant).await?;
    let taken_back = tx
        .execute(
            "update mail_rule set removed_at = null where tenant_no = $1 and id = $2 \
             and removed_at is not null",
            vec![tenant.0.into(), id.into()],
        )
        .await?;
    if taken_back == 0 {
        return Ok(it);
    }
    tx.record(Fact::MailRuleRestored { rule: it.id.clone(), name: it.name.clone() });
    tx.commit().await?;
    Ok(it)
}

/// Sends a test to everybody whom a rule tells; gives the deliveries' ids.
pub async fn test(app: &App, caller: &Caller, id: &str) -> Result<Vec<String>> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let rule = find_in(&tx, tenant, id).await?;
    let notice = Notice {
        id: make::id_of(&["test", &app.random.uuid()?]),
        kind: Kind::Test,
        incident: None,
        data: json!({ "author": tx.actor().name, "rule": rule.name, "link": "/" }),
    };
    let notice = make::complete(&tx, notice).await?;
    let receivers = rule.receivers();
    let deliveries = receivers.iter().map(|it| make::delivery_id(&notice.id, it)).collect();
    make::tell(&mut tx, &notice, receivers).await?;
    tx.commit().await?;
    app.tell.notify_one();
    Ok(deliveries)
}
