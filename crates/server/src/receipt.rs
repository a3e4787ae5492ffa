//! What a request that may be sent again has brought about, written in the very change that did it.
//!
//! A request with an `Idempotency-Key` can be carried out and its process die before the answer is
//! kept. Whoever takes it over finds here that it was done, and by what, and answers instead of doing
//! it again: what happens once must not happen twice because an answer was lost. Without a key
//! nothing is written. Not here: who carries a request out (see `api::idempotency`).

use std::fmt::Display;

use crate::db::Transaction;
use crate::error::{Error, Result};

tokio::task_local! {
    static HELD: Receipt;
}

/// The claim of a request on its key.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// Who asks.
    pub caller: String,
    /// The hash of the key.
    pub key: String,
    /// The name of this very claim.
    pub claim: String,
}

impl Receipt {
    /// Carries `work` out; what it makes goes onto this receipt.
    pub async fn hold<F: Future>(self, work: F) -> F::Output {
        HELD.scope(self, work).await
    }
}

/// Notes what the request under way has made, in the change that makes it.
///
/// # Errors
/// `Conflict` when somebody else has taken the request over: then nothing of the change may stay.
pub(crate) async fn write(tx: &Transaction, made: impl Display) -> Result<()> {
    let Ok(receipt) = HELD.try_with(Clone::clone) else { return Ok(()) };
    let Receipt { caller, key, claim } = receipt;
    let noted = tx
        .execute(
            "update idempotency set made = $4 where caller = $1 and key_hash = $2 and claim = $3",
            vec![caller.into(), key.into(), claim.into(), made.to_string().into()],
        )
        .await?;
    if noted == 1 {
        return Ok(());
    }
    Err(Error::Conflict("another process has taken this request over".to_owned()))
}
