//! All conversations in one list (COM-9).
//!
//! A caller sees the rows of every tenant whose queue it sees; what was said only where it is inside.
//! The newest word comes first; experts' words among themselves move no row.

use sea_orm::QueryResult;

use crate::app::App;
use crate::clock::Timestamp;
use crate::conversation::model::Side;
use crate::conversation::{Message, THREAD, Thread, side};
use crate::db::{Condition, column, contains};
use crate::error::Result;
use crate::id::TenantNo;
use crate::tenant::caller::Caller;

/// Which conversations.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this tenant's.
    pub tenant: Option<TenantNo>,
    /// Only with this status; see [`Thread::status`].
    pub status: Option<Status>,
    /// Only questions, or only incidents' chats.
    pub questions: Option<bool>,
    /// Only those with something new for the caller.
    pub unread: bool,
    /// The newest word at or after.
    pub from: Option<Timestamp>,
    /// The newest word before.
    pub to: Option<Timestamp>,
    /// Part of the subject, the incident's name or id, or of who began it.
    pub search: Option<String>,
}

/// How a conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// The customer waits for an expert.
    WaitingForExperts,
    /// An expert wrote last.
    Answered,
    /// It is over.
    Closed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WaitingForExperts, Self::Answered, Self::Closed];

    /// The word shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::WaitingForExperts => "waitingForExperts",
            Self::Answered => "answered",
            Self::Closed => "closed",
        }
    }

    fn test(self) -> &'static str {
        match self {
            Self::WaitingForExperts => "thread.closed_at is null and thread.waits_for = 'experts'",
            Self::Answered => "thread.closed_at is null and thread.waits_for = 'customer'",
            Self::Closed => "thread.closed_at is not null",
        }
    }
}

/// Behind which row a page begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The row's newest word.
    pub at: Timestamp,
    /// The row's id.
    pub id: String,
}

/// A row of the list.
#[derive(Clone, Debug)]
pub struct Row {
    /// The conversation.
    pub thread: Thread,
    /// The name of its incident.
    pub incident_name: Option<String>,
    /// Whether the caller is inside of its tenant.
    pub inside: bool,
    /// The newest word of a person that the caller's side sees; none where it is not inside.
    pub last: Option<Message>,
    /// How many messages are new to the caller.
    pub unread: i64,
}

/// A page of the list: the newest first, `top` rows at most.
pub async fn rows(
    app: &App,
    caller: &Caller,
    filter: &Filter,
    behind: Option<&Place>,
    top: u64,
) -> Result<Vec<Row>> {
    let scope = caller.view(app);
    let tenants = match filter.tenant {
        Some(tenant) => vec![tenant],
        None => caller.queue.tenants().to_vec(),
    };
    let tenants = tenants.iter().map(|tenant| tenant.0.into()).collect();
    let (among, mut values) = scope.engine().among(1, tenants);
    values.push(caller.client_id.clone().into());
    let reader = format!("${}", values.len());
    let mut it = Condition { test: format!("thread.tenant_no {among}"), values };
    let expert = side(caller) == Side::Expert;
    // What only experts said is no conversation to the customer.
    it.and_only(if expert { "thread.last_number > 0" } else { "thread.last_shared > 0" });
    if let Some(status) = filter.status {
        it.and_only(status.test());
    }
    match filter.questions {
        None => {}
        Some(true) => it.and_only("thread.incident_id is null"),
        Some(false) => it.and_only("thread.incident_id is not null"),
    }
    if let Some(from) = filter.from {
        it.and("thread.last_at >= ?", from.micros());
    }
    if let Some(to) = filter.to {
        it.and("thread.last_at < ?", to.micros());
    }
    if let Some(search) = filter.search.as_deref().filter(|text| !text.trim().is_empty()) {
        it.and(
            "(lower(coalesce(thread.subject, incident.display_name, '')) like ? escape '\\' \
             or lower(thread.opened_by) like ? escape '\\' or lower(thread.id) like ? escape '\\')",
            contains(search),
        );
    }
    if let Some(place) = behind {
        it.and("thread.last_at <= ?", place.at.micros());
        it.values.push(place.id.clone().into());
        let (at, id) = (it.values.len() - 1, it.values.len());
        it.and_only(&format!("(thread.last_at < ${at} or thread.id < ${id})"));
    }
    let shared = if expert { "" } else { " and message.shared = 1" };
    let unread = format!(
        "(select count(*) from message where message.thread_id = thread.id{shared} \
         and (message.author_id is null or message.author_id <> {reader}) \
         and message.number > coalesce((select read_to from thread_reader \
         where thread_reader.thread_id = thread.id and thread_reader.reader = {reader}), 0))"
    );
    if filter.unread {
        it.and_only(&format!("{unread} > 0"));
    }
    let sql = format!(
        "select {THREAD}, incident.display_name, {unread}, message.id, message.number, \
         message.side, message.author, message.author_id, message.shared, message.text, \
         message.sent_at, message.via \
         from thread left join incident on incident.id = thread.incident_id \
         left join message on message.thread_id = thread.id and message.number = \
         (select max(message.number) from message where message.thread_id = thread.id \
         and message.side <> 'assistant'{shared}) \
         where {} order by thread.last_at desc, thread.id desc limit {top}",
        it.test
    );
    let rows = scope.query(&sql, it.values).await?;
    rows.iter().map(|row| row_of(caller, row)).collect()
}

fn row_of(caller: &Caller, row: &QueryResult) -> Result<Row> {
    let thread = Thread::from_row(row)?;
    let inside = caller.reach.includes(thread.tenant);
    let said: Option<String> = column(row, 16)?;
    let last = match said.filter(|_| inside) {
        None => None,
        Some(_) => Some(Message::from_columns(row, 16)?),
    };
    Ok(Row {
        incident_name: column(row, 14)?,
        unread: if inside { column(row, 15)? } else { 0 },
        thread,
        inside,
        last,
    })
}
