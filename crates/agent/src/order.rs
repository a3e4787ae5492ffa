//! Whether an order may be begun. Pure: who the agent is, what the time is and what has been
//! carried out come in as arguments.
//!
//! Always: the signature is checked over the very bytes that are then read, and nothing is believed
//! before that. What is not known is refused, not guessed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use riposte_wire::{Action, Order, Signed};
use serde::Deserialize;
use serde_json::Value;

use crate::clock::SECOND;

/// How far the device's clock may be behind the server's.
const AHEAD: i64 = 300 * SECOND;
/// No order is longer, rules of a scan included.
const LARGEST: usize = 4 << 20;

/// What to make of a signed order.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    /// It is the server's and for this agent, and may be looked at further.
    Order(Box<Order>),
    /// It is the server's, and not to be begun: the journal keeps that.
    Refused {
        /// Its id.
        order: String,
        /// Why.
        reason: String,
    },
    /// Nobody knows whose it is: it is answered, and nothing of it is kept.
    Foreign {
        /// The id that it claims to have, when there is one.
        order: Option<String>,
        /// Why.
        reason: String,
    },
}

/// As much of an order as every version has.
#[derive(Deserialize)]
struct Loose {
    id: String,
    agent: String,
    issued: i64,
    expires: i64,
    #[serde(default)]
    generation: i64,
    action: Value,
}

/// Reads an order.
pub(crate) fn read(signed: &Signed, key: &[u8], agent: &str) -> Read {
    let foreign =
        |reason: &str| Read::Foreign { order: claimed(&signed.body), reason: reason.to_owned() };
    if signed.body.len() > LARGEST {
        return Read::Foreign { order: None, reason: "the order is too large".to_owned() };
    }
    let Ok(signature) = STANDARD.decode(&signed.signature) else {
        return foreign("the signature cannot be read");
    };
    if UnparsedPublicKey::new(&ED25519, key).verify(signed.body.as_bytes(), &signature).is_err() {
        return foreign("the signature is not the server's");
    }
    let Ok(loose) = serde_json::from_str::<Loose>(&signed.body) else {
        return foreign("the order cannot be read");
    };
    if !is_id(&loose.id) {
        return foreign("the order's id is none");
    }
    let refused = |reason: String| Read::Refused { order: loose.id.clone(), reason };
    if loose.agent != agent {
        return refused("the order is for another agent".to_owned());
    }
    match serde_json::from_value::<Action>(loose.action) {
        Ok(action) => Read::Order(Box::new(Order {
            id: loose.id,
            agent: loose.agent,
            issued: loose.issued,
            expires: loose.expires,
            generation: loose.generation,
            action,
        })),
        Err(e) => {
            let why: String = e.to_string().chars().take(200).collect();
            refused(format!("this version of the agent does not know the action: {why}"))
        }
    }
}

/// Why an order must not be begun now; `last` is the generation of the last order that was carried
/// out for the same thing.
pub(crate) fn overdue(order: &Order, now: i64, last: Option<(i64, &str)>) -> Option<String> {
    if now >= order.expires {
        return Some("the order has expired".to_owned());
    }
    if order.issued > now.saturating_add(AHEAD) {
        return Some("the order was issued in the future by this device's clock".to_owned());
    }
    match last {
        Some((generation, by)) if by != order.id && order.generation <= generation => {
            Some(format!(
                "overtaken: generation {generation} was carried out, this is {}",
                order.generation
            ))
        }
        _ => None,
    }
}

/// Whether a text can be an order's id.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn claimed(body: &str) -> Option<String> {
    let id = serde_json::from_str::<Value>(body).ok()?.get("id")?.as_str()?.to_owned();
    is_id(&id).then_some(id)
}

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000 * SECOND;

    fn key() -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
    }

    fn sign(body: &Value) -> Signed {
        let body = body.to_string();
        let signature = STANDARD.encode(key().sign(body.as_bytes()));
        Signed { body, signature }
    }

    fn body(action: &Value) -> Value {
        json!({"id": "o-1", "agent": "me", "issued": NOW, "expires": NOW + 60 * SECOND,
            "generation": 3, "action": action})
    }

    fn read_it(signed: &Signed) -> Read {
        read(signed, key().public_key().as_ref(), "me")
    }

    fn release() -> Order {
        match read_it(&sign(&body(&json!({"do": "release"})))) {
            Read::Order(order) => *order,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_order_that_was_changed_on_the_way_is_foreign() {
        let mut signed = sign(&body(&json!({"do": "release"})));
        assert!(matches!(read_it(&signed), Read::Order(_)));
        signed.body = signed.body.replace("\"generation\":3", "\"generation\":4");
        assert_eq!(
            read_it(&signed),
            Read::Foreign {
                order: Some("o-1".into()),
                reason: "the signature is not the server's".into()
            }
        );
        signed.signature = "no base64".into();
        assert!(matches!(read_it(&signed), Read::Foreign { .. }));
        for body in ["", "{", "[]", "{\"id\":\"../x\"}", "null"] {
            let signature = STANDARD.encode(key().sign(body.as_bytes()));
            let read = read_it(&Signed { body: body.into(), signature });
            assert!(matches!(read, Read::Foreign { order: None, .. }), "{body}: {read:?}");
        }
    }

    #[test]
    fn an_order_for_another_agent_or_of_an_unknown_kind_is_refused() {
        let mut other = body(&json!({"do": "release"}));
        other["agent"] = json!("you");
        assert!(matches!(read_it(&sign(&other)), Read::Refused { .. }));
        for action in [json!({"do": "fly"}), json!({}), json!(7), json!({"do": "restore"})] {
            assert!(matches!(read_it(&sign(&body(&action))), Read::Refused { .. }), "{action}");
        }
    }

    #[test]
    fn an_order_is_begun_in_its_time_and_its_turn_only() {
        let order = release();
        assert_eq!(overdue(&order, NOW, None), None);
        assert_eq!(overdue(&order, NOW + 59 * SECOND, None), None);
        assert!(overdue(&order, NOW + 60 * SECOND, None).unwrap().contains("expired"));
        assert_eq!(overdue(&order, NOW - AHEAD, None), None);
        assert!(overdue(&order, NOW - AHEAD - 1, None).unwrap().contains("future"));
        assert_eq!(overdue(&order, NOW, Some((2, "o-0"))), None);
        assert!(overdue(&order, NOW, Some((3, "o-0"))).unwrap().contains("overtaken"));
        assert!(overdue(&order, NOW, Some((4, "o-0"))).unwrap().contains("overtaken"));
        assert_eq!(overdue(&order, NOW, Some((3, "o-1"))), None);
    }
}
