//! Users as they are named: every name an alert, a device or an action gives an account, with the
//! entities that stand for it.
//!
//! Invariants: a name is in lower case and once it is known it stays, as a device does. Names of one
//! change are written in their order, so that two changes never wait for each other in a circle.
//! Not here: what is known of a user (see `asset::account`).

use std::collections::BTreeSet;

use crate::db::Transaction;
use crate::error::Result;
use crate::id::TenantNo;
use crate::incident::entity::{Entity, EntityKind};

/// The longest name kept, in characters.
const LONGEST: usize = 256;

/// The name a user goes by, however it was spelled.
#[must_use]
pub fn name(given: &str) -> String {
    given
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST)
        .collect::<String>()
        .to_lowercase()
}

/// Names of users on their way into the store.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<(i64, String, i64)>);

impl Names {
    /// Adds what an alert names, when it is an account.
    pub fn add_entity(&mut self, tenant: TenantNo, entity: &Entity) {
        if matches!(entity.kind, EntityKind::Account | EntityKind::AccountName) {
            self.insert(tenant, &entity.name, entity.id);
        }
    }

    /// Adds a name that no alert gave.
    pub fn add(&mut self, tenant: TenantNo, given: &str) {
        self.insert(tenant, given, 0);
    }

    fn insert(&mut self, tenant: TenantNo, given: &str, entity: i64) {
        let name = name(given);
        if !name.is_empty() {
            self.0.insert((tenant.0, name, entity));
        }
    }

    /// Writes them; what is known already stays as it is.
    pub async fn write(self, tx: &Transaction) -> Result<()> {
        let rows = self.0.into_iter();
        let values = rows.flat_map(|(tenant, name, entity)| {
            [tenant.into(), name.into(), sea_orm::Value::from(entity)]
        });
        tx.insert_rows(
            "insert into account (tenant_no, name, entity_id)",
            3,
            "on conflict do nothing",
            values.collect(),
        )
        .await?;
        Ok(())
    }
}
