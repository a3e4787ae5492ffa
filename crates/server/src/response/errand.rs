//! What a product is asked for an action: of a user, or of a mail in a mailbox.
//!
//! Not here: how it is asked (`connector`), when, and what follows from the answer (`remote`).

use serde_json::Value;

use crate::app::App;
use crate::connector::{
    self, Connector, ConnectorKind, Fault, Letter, Move, Open, Request, Told, Verb,
};
use crate::db::Transaction;
use crate::error::Result;
use crate::id::TenantNo;
use crate::response::catalog::Kind;
use crate::response::order;
use crate::response::store::Target;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Errand {
    /// Something done to a user.
    User(Verb),
    /// Something done to a mail.
    Mail(Move),
}

/// The mail that a target is, and where.
fn letter(target: &Target) -> Letter<'_> {
    Letter { mailbox: target.mailbox.as_deref().unwrap_or_default(), id: &target.key }
}

impl Errand {
    /// What a product is asked for this type of action; `None` where no product does it.
    #[must_use]
    pub fn of(kind: Kind) -> Option<Self> {
        order::verb(kind).map(Self::User).or_else(|| order::mail(kind).map(Self::Mail))
    }

    /// Whether a product of this kind does it.
    #[must_use]
    pub fn is_for(self, product: ConnectorKind) -> bool {
        match self {
            Self::User(verb) => product.can(verb),
            Self::Mail(_) => product.moves_mail(),
        }
    }

    /// The connector of a tenant whose product does it.
    pub async fn connector(self, tx: &Transaction, tenant: TenantNo) -> Result<Option<Connector>> {
        match self {
            Self::User(verb) => connector::able(tx, tenant, verb).await,
            Self::Mail(_) => connector::for_mail(tx, tenant).await,
        }
    }

    /// What is sent, as far as it is known before anything was read.
    #[must_use]
    pub fn shown(self, target: &Target) -> Request {
        match self {
            Self::User(verb) => Request::new(verb, &target.key),
            Self::Mail(what) => what.shown(letter(target)),
        }
    }

    /// What is sent after a reading; nothing where there is nothing to do.
    ///
    /// # Errors
    /// Why nothing can be sent.
    pub fn request(
        self,
        target: &Target,
        before: &Value,
    ) -> std::result::Result<Option<Request>, Fault> {
        match self {
            Self::User(verb) => Ok(Some(Request::new(verb, &target.key))),
            Self::Mail(what) => what.request(letter(target), before),
        }
    }

    /// Reads what shows whether it is done.
    pub async fn read(
        self,
        app: &App,
        open: &Open<'_>,
        target: &Target,
        order: &str,
    ) -> std::result::Result<Value, Fault> {
        match self {
            Self::User(verb) => open.read(app, (verb, &target.key), order).await,
            Self::Mail(what) => open.read_mail(app, (what, letter(target)), order).await,
        }
    }

    /// Sends it, once.
    pub async fn send(self, app: &App, open: &Open<'_>, request: &Request, order: &str) -> Told {
        match self {
            Self::User(_) => open.send(app, request, order).await,
            Self::Mail(_) => open.send_mail(app, request, order).await,
        }
    }

    /// What was read, in the words an action is proven by; `before` is what was read before anything
    /// was sent.
    #[must_use]
    pub fn reading(self, before: &Value, read: &Value) -> Value {
        match self {
            Self::User(verb) => connector::reading(verb, before, read),
            Self::Mail(what) => what.reading(read),
        }
    }
}
