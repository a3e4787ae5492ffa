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

/// A name without its domain: `kari` of `kari@alder.example` and of `alder\kari`.
#[must_use]
pub fn bare(name: &str) -> &str {
    let name = name.rsplit_once('\\').map_or(name, |(_, name)| name);
    name.split_once('@').map_or(name, |(name, _)| name)
}

/// Whether two names, each in lower case, may mean the same user: they are the same, or they are but
/// for a domain that only one of them says. What may be meant is held to be meant where somebody is to
/// be left alone.
#[must_use]
pub fn may_be_same(one: &str, other: &str) -> bool {
    let whole = one.contains('@') && other.contains('@');
    one == other || (!whole && !bare(one).is_empty() && bare(one) == bare(other))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_domain_may_be_anybodys_of_that_name() {
        let kari = "kari@alder.example";
        for same in [kari, "kari", "alder\\kari"] {
            assert!(may_be_same(kari, same) && may_be_same(same, kari), "{same}");
        }
        for other in ["kari@birk.example", "ka", "karin", "@alder.example", ""] {
            assert!(!may_be_same(kari, other) && !may_be_same(other, kari), "{other}");
        }
        assert!(!may_be_same("@alder.example", "@birk.example"));
    }
}
