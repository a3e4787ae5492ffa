//! One wish for several, by each by itself: what cannot be done by one holds back no other.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::id::ActionId;
use crate::response::catalog::Kind;
use crate::response::engine::Wish;
use crate::response::store::{Requester, Target};
use crate::response::{Channel, ask};
use crate::tx::Tx;

/// What became of the wish, of one who is to carry it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The device; none where a product does it.
    pub device_id: Option<String>,
    /// The action.
    pub action_id: Option<String>,
    /// Why there is none.
    pub because: Option<String>,
}

/// Who carries it out, and to what and how; why not where it is clear beforehand.
pub(super) type Item = (Channel, std::result::Result<(Target, Value), String>);

/// What was asked for.
#[derive(Default)]
pub(super) struct Each {
    pub(super) told: Vec<Asked>,
    pub(super) made: Vec<ActionId>,
}

/// Asks each for an action.
///
/// # Errors
/// What stands against the first one when it can be done by none.
pub(super) async fn each<'a>(
    tx: &mut Tx,
    kind: Kind,
    items: &'a [Item],
    requester: &Requester,
    more: impl Fn(Wish<'a>) -> Wish<'a>,
) -> Result<Each> {
    let (mut all, mut refused) = (Each::default(), None);
    for (channel, what) in items {
        let asked = match what {
            Ok((target, options)) => {
                ask(tx, (kind, target), channel, options, requester, &more).await
            }
            Err(because) => Err(Error::Conflict(because.clone())),
        };
        let device_id = channel.device().map(|device| device.id.clone());
        match asked {
            Ok(id) => {
                let action_id = Some(id.to_string());
                all.told.push(Asked { device_id, action_id, because: None });
                all.made.push(id);
            }
            Err(error @ (Error::Conflict(_) | Error::Denied(_) | Error::Invalid(_))) => {
                let because = Some(error.to_string());
                all.told.push(Asked { device_id, action_id: None, because });
                refused.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match refused {
        Some(error) if all.made.is_empty() => Err(error),
        _ => Ok(all),
    }
}
