//! Contacts: who of a customer hears of what concerns it, and where (NOT-1, NOT-2).
//!
//! A contact is a person or a group with a mail address. Those for *incident notification* hear of
//! every managed response and of anything urgent; those for *service review* of the service itself. A
//! backup hears where no primary one is there, and of what could not be brought to the others.
//! Invariants: an address has one contact of a role; a removed contact hears of nothing that happens
//! afterwards. Not here: what they are told, and how it reaches them (`notification`).

use sea_orm::QueryResult;
use serde_json::json;

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::hours::Week;
use crate::id::TenantNo;
use crate::permission::Permission;
use crate::tenant::caller::Caller;
use crate::tenant::invitation;
use crate::tx::Tx;
use crate::word::choices;

/// Contacts of one customer.
const MOST: i64 = 200;

choices! {
    /// Whether it is one person or several behind one address.
    ContactKind {
        /// One person.
        Person = "person",
        /// Several people behind one address.
        Group = "group",
    }
}

choices! {
    /// What a contact hears of (NOT-2).
    ContactRole {
        /// Managed responses and anything urgent.
        IncidentNotification = "incidentNotification",
        /// The service: updates, briefings, reports.
        ServiceReview = "serviceReview",
    }
}

choices! {
    /// Who is reached first.
    Priority {
        /// Hears of everything at once.
        Primary = "primary",
        /// Hears of what reached no primary contact.
        Backup = "backup",
    }
}

choices! {
    /// In which language a contact is written to (COM-3).
    #[derive(Default)]
    Language {
        /// English.
        #[default]
        English = "en",
        /// Spanish.
        Spanish = "es",
        /// Japanese.
        Japanese = "ja",
        /// Portuguese as in Brazil.
        PortugueseOfBrazil = "pt-BR",
        /// Portuguese as in Portugal.
        PortugueseOfPortugal = "pt-PT",
    }
}

/// A contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// Its id, a UUID.
    pub id: String,
    /// Whose it is.
    pub tenant: TenantNo,
    /// What it is called.
    pub name: String,
    /// One person, or several.
    pub kind: ContactKind,
    /// The mail address, in lower case.
    pub email: String,
    /// The phone number as E.164 writes it: `+4687654321`.
    pub phone: Option<String>,
    /// What it hears of.
    pub role: ContactRole,
    /// Who is reached first.
    pub priority: Priority,
    /// In which language.
    pub language: Language,
    /// When it can be reached (NOT-8); always when absent.
    pub hours: Option<Week>,
    /// Who added it.
    pub created_by: String,
    /// When.
    pub created: Timestamp,
}

const COLUMNS: &str = "id, tenant_no, name, kind, email, phone, role, priority, language, \
    created_by, created_at, hours";

impl Contact {
    fn from_row(row: &QueryResult) -> Result<Self> {
        let id: String = column(row, 0)?;
        let word = |index| column::<String>(row, index);
        let damaged = || Error::Internal(format!("the contact {id} is damaged"));
        Ok(Self {
            tenant: TenantNo(column(row, 1)?),
            name: word(2)?,
            kind: ContactKind::read(&word(3)?).ok_or_else(damaged)?,
            email: word(4)?,
            phone: column(row, 5)?,
            role: ContactRole::read(&word(6)?).ok_or_else(damaged)?,
            priority: Priority::read(&word(7)?).ok_or_else(damaged)?,
            language: Language::read(&word(8)?).ok_or_else(damaged)?,
            created_by: word(9)?,
            created: Timestamp::from_micros(column(row, 10)?),
            hours: column::<Option<String>>(row, 11)?
                .map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(Error::internal)?,
            id,
        })
    }
}

/// A contact as it was asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it is called.
    pub name: String,
    /// One person, or several.
    pub kind: ContactKind,
    /// The mail address.
    pub email: String,
    /// The phone number.
    pub phone: Option<String>,
    /// What it hears of.
    pub role: ContactRole,
    /// Who is reached first.
    pub priority: Priority,
    /// In which language.
    pub language: Language,
    /// When it can be reached; always when absent.
    pub hours: Option<Week>,
}

/// What of a contact is to be another; what is absent stays.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// What it is called.
    pub name: Option<String>,
    /// One person, or several.
    pub kind: Option<ContactKind>,
    /// The mail address.
    pub email: Option<String>,
    /// The phone number; `Some(None)` for none.
    pub phone: Option<Option<String>>,
    /// What it hears of.
    pub role: Option<ContactRole>,
    /// Who is reached first.
    pub priority: Option<Priority>,
    /// In which language.
    pub language: Option<Language>,
    /// When it can be reached; `Some(None)` for always.
    pub hours: Option<Option<Week>>,
}

/// Hours as they are kept.
fn spelt(hours: Option<&Week>) -> Option<String> {
    hours.map(|hours| json!(hours).to_string())
}

fn unknown() -> Error {
    Error::NotFound("the contact does not exist".to_owned())
}

/// A phone number without what people put between its digits.
///
/// # Errors
/// `Invalid` when it is none that can be called from abroad.
fn phone(given: &str) -> Result<String> {
    let bare: String = given.chars().filter(|c| !" -./()\u{a0}".contains(*c)).collect();
    let digits = bare.strip_prefix('+').unwrap_or_default();
    let sound = (7..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && !digits.starts_with('0');
    if sound {
        return Ok(bare);
    }
    Err(Error::Invalid(
        "phone must begin with + and the country's code, such as +46 8 765 43 21".to_owned(),
    ))
}

pub(crate) fn address(given: &str) -> Result<String> {
    let address = invitation::address(given)?;
    // What a mail server would take for something else is no address of a contact.
    let sound = |c: char| c.is_ascii_alphanumeric() || "@.!#$%&'*+/=?^_`{|}~-".contains(c);
    let (user, domain) = address.split_once('@').unwrap_or_default();
    let dots = |part: &str| !part.split('.').any(str::is_empty);
    let host = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let whole = address.chars().all(sound)
        && dots(user)
        && user.len() <= 64
        && domain.contains('.')
        && dots(domain)
        && domain.chars().all(host);
    if whole { Ok(address) } else { Err(Error::Invalid("email is not a mail address".to_owned())) }
}

/// The contacts of the caller's own organisation: primary ones first, then by name.
pub async fn list(app: &App, caller: &Caller) -> Result<Vec<Contact>> {
    caller.require(&[Permission::ContactRead])?;
    let tenant = caller.own_tenant()?;
    let sql = format!(
        "select {COLUMNS} from contact where tenant_no = $1 and removed_at is null \
         order by role, case priority when 'primary' then 0 else 1 end, lower(name), id"
    );
    let rows = app.db.of(tenant).query(&sql, vec![tenant.0.into()]).await?;
    rows.iter().map(Contact::from_row).collect()
}

/// Those of a role, in an open change.
pub(crate) async fn of_role(
    tx: &Transaction,
    tenant: TenantNo,
    role: ContactRole,
) -> Result<Vec<Contact>> {
    let sql = format!(
        "select {COLUMNS} from contact where tenant_no = $1 and role = $2 and removed_at is null \
         order by created_at, id"
    );
    let rows = tx.query(&sql, vec![tenant.0.into(), role.word().into()]).await?;
    rows.iter().map(Contact::from_row).collect()
}

/// The one of this id that was not removed; `None` where there is none.
pub(crate) async fn find_in(
    tx: &Transaction,
    tenant: TenantNo,
    id: &str,
) -> Result<Option<Contact>> {
    let sql = format!(
        "select {COLUMNS} from contact where tenant_no = $1 and id = $2 and removed_at is null"
    );
    let row = tx.query_one(&sql, vec![tenant.0.into(), id.into()]).await?;
    row.as_ref().map(Contact::from_row).transpose()
}

async fn require_once(tx: &Transaction, it: &Contact) -> Result<()> {
    let row = tx
        .query_one(
            "select 1 from contact where tenant_no = $1 and role = $2 and email = $3 and id <> $4 \
             and removed_at is null",
            vec![
                it.tenant.0.into(),
                it.role.word().into(),
                it.email.clone().into(),
                it.id.clone().into(),
            ],
        )
        .await?;
    match row {
        None => Ok(()),
        Some(_) => Err(Error::Conflict(format!("{} is a contact of this kind already", it.email))),
    }
}

/// Adds a contact to the caller's own organisation; it is told so.
pub async fn add(app: &App, caller: &Caller, wanted: &Wanted) -> Result<Contact> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let name = crate::tenant::named("contact", &wanted.name)?.to_owned();
    let email = address(&wanted.email)?;
    let phone = wanted.phone.as_deref().map(phone).transpose()?;
    wanted.hours.as_ref().map(Week::read).transpose()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let contact = Contact {
        id: app.random.uuid()?,
        tenant,
        name,
        kind: wanted.kind,
        email,
        phone,
        role: wanted.role,
        priority: wanted.priority,
        language: wanted.language,
        hours: wanted.hours.clone(),
        created_by: tx.actor().name.clone(),
        created: tx.now(),
    };
    require_once(&tx, &contact).await?;
    let sql = "select count(*) from contact where tenant_no = $1 and removed_at is null";
    let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
    if row.map(|row| column::<i64>(&row, 0)).transpose()?.unwrap_or_default() >= MOST {
        return Err(Error::Conflict(format!("an organisation has {MOST} contacts at most")));
    }
    tx.execute(
        "insert into contact (id, tenant_no, name, kind, email, phone, role, priority, language, \
         created_by, created_at, hours) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        vec![
            contact.id.clone().into(),
            tenant.0.into(),
            contact.name.clone().into(),
            contact.kind.word().into(),
            contact.email.clone().into(),
            contact.phone.clone().into(),
            contact.role.word().into(),
            contact.priority.word().into(),
            contact.language.word().into(),
            contact.created_by.clone().into(),
            contact.created.micros().into(),
            spelt(contact.hours.as_ref()).into(),
        ],
    )
    .await?;
    tx.made(&contact.id).await?;
    tx.record(Fact::ContactAdded {
        contact: contact.id.clone(),
        name: contact.name.clone(),
        email: contact.email.clone(),
        role: contact.role.word(),
    });
    tx.commit().await?;
    Ok(contact)
}

/// Changes a contact of the caller's own organisation; a new address is told of it.
pub async fn change(app: &App, caller: &Caller, id: &str, edit: &Edit) -> Result<Contact> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let before = find_in(&tx, tenant, id).await?.ok_or_else(unknown)?;
    let mut after = before.clone();
    if let Some(name) = &edit.name {
        crate::tenant::named("contact", name)?.clone_into(&mut after.name);
    }
    if let Some(email) = &edit.email {
        after.email = address(email)?;
    }
    if let Some(given) = &edit.phone {
        after.phone = given.as_deref().map(phone).transpose()?;
    }
    after.kind = edit.kind.unwrap_or(after.kind);
    after.role = edit.role.unwrap_or(after.role);
    after.priority = edit.priority.unwrap_or(after.priority);
    after.language = edit.language.unwrap_or(after.language);
    if let Some(hours) = &edit.hours {
        hours.as_ref().map(Week::read).transpose()?;
        after.hours.clone_from(hours);
    }
    let changes: Vec<Change> = [
        ("name", json!(before.name), json!(after.name)),
        ("kind", json!(before.kind), json!(after.kind)),
        ("email", json!(before.email), json!(after.email)),
        ("phone", json!(before.phone), json!(after.phone)),
        ("role", json!(before.role), json!(after.role)),
        ("priority", json!(before.priority), json!(after.priority)),
        ("language", json!(before.language), json!(after.language)),
        ("hours", json!(before.hours), json!(after.hours)),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(field, before, after)| Change { field, before, after })
    .collect();
    if changes.is_empty() {
        return Ok(after);
    }
    require_once(&tx, &after).await?;
    tx.execute(
        "update contact set name = $3, kind = $4, email = $5, phone = $6, role = $7, \
         priority = $8, language = $9, hours = $10 where tenant_no = $1 and id = $2",
        vec![
            tenant.0.into(),
            id.into(),
            after.name.clone().into(),
            after.kind.word().into(),
            after.email.clone().into(),
            after.phone.clone().into(),
            after.role.word().into(),
            after.priority.word().into(),
            after.language.word().into(),
            spelt(after.hours.as_ref()).into(),
        ],
    )
    .await?;
    tx.record(Fact::ContactChanged {
        contact: id.to_owned(),
        name: after.name.clone(),
        changes,
        moved: before.email != after.email,
    });
    tx.commit().await?;
    Ok(after)
}

/// Takes a contact away; what is under way to it is not called back.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Result<()> {
    caller.require(&[Permission::ContactReadWrite])?;
    let tenant = caller.own_tenant()?;
    let mut tx = Tx::begin(app, tenant, caller.actor()).await?;
    let it = find_in(&tx, tenant, id).await?.ok_or_else(unknown)?;
    tx.execute(
        "update contact set removed_at = $3 where tenant_no = $1 and id = $2",
        vec![tenant.0.into(), id.into(), tx.now().micros().into()],
    )
    .await?;
    tx.record(Fact::ContactRemoved { contact: it.id, name: it.name });
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_called_from_abroad_is_a_phone_number() {
        for (given, kept) in [
            ("+46 8 765 43 21", "+4687654321"),
            ("+1 (555) 010-0199", "+15550100199"),
            ("+358.40.1234567", "+358401234567"),
        ] {
            assert_eq!(phone(given).expect("a number"), kept);
        }
        for bad in
            ["", "08-765 43 21", "0046 8 765 43 21", "+0468", "+46 8 CALL", "+1234567890123456"]
        {
            assert!(phone(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_one_recipient_and_nothing_else() {
        for (given, kept) in [
            (" Ida.Berg@Alder.example ", "ida.berg@alder.example"),
            ("soc+night@eu.alder.example", "soc+night@eu.alder.example"),
        ] {
            assert_eq!(address(given).expect("an address"), kept);
        }
        for bad in [
            "ida",
            "ida@alder",
            "ida@@alder.example",
            "ida@alder.example,odd@evil.example",
            "ida@alder.example\r\nBcc: odd@evil.example",
            "\"ida berg\"@alder.example",
            "ida@alder.example>",
            "<ida@alder.example>",
            "ida@alder..example",
            ".ida@alder.example",
            "ida@[127.0.0.1]",
            "ida%evil.example@al der.example",
            "ida\u{202e}@alder.example",
            "ida@älder.example",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
