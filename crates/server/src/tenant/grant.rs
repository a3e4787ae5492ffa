//! A customer's grant to the provider: how far its people and applications may go in the tenant,
//! until when, from which networks, and who approves each access (PER-1..4).
//!
//!   none <-change-> reader <-change-> operator      until its end date, then as none
//!
//! Only the customer changes it, and a change holds from its commit on: whoever asks for something
//! is measured against the grant as it is then. Invariant: what is not granted is not reached.
//! Not here: the accesses of single experts under a grant (see `access`).

use std::net::IpAddr;

use sea_orm::QueryResult;

use crate::app::App;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::network::Network;
use crate::tenant::ExpertAccess;
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// The longest a grant lasts from the day it is changed: two years, as GDAP has it.
const LONGEST_S: i64 = 730 * 86_400;
/// Networks a grant can name.
const NETWORKS: usize = 50;

/// Who says yes when an expert asks to enter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Approval {
    /// An administrator of the customer.
    Customer,
    /// A lead of the provider, somebody other than the one who asks.
    Lead,
    /// Nobody: an expert who gives a reason is let in, and that is on record.
    Automatic,
}

impl Approval {
    /// The word stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Lead => "lead",
            Self::Automatic => "automatic",
        }
    }

    /// The approval of a word.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [Self::Customer, Self::Lead, Self::Automatic].into_iter().find(|it| it.word() == word)
    }
}

/// A tenant's grant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// How far.
    pub level: ExpertAccess,
    /// Who approves each access.
    pub approval: Approval,
    /// From when it is as if there were none.
    pub until: Option<Timestamp>,
    /// Where from; anywhere when empty.
    pub networks: Vec<Network>,
    /// Who changed it last, and when.
    pub changed: Option<(String, Timestamp)>,
}

/// The columns [`Grant::from_row`] expects, in order, of the table `tenant`.
pub const COLUMNS: &str = "tenant.experts, tenant.grant_approval, tenant.grant_until, \
    tenant.grant_networks, tenant.grant_by, tenant.grant_at";

impl Grant {
    /// Reads a row's columns from `first` on.
    pub fn from_row(row: &QueryResult, first: usize) -> Result<Self> {
        let bad = |what: &str| Error::Internal(format!("table tenant: {what} cannot be read"));
        let level: String = column(row, first)?;
        let approval: String = column(row, first + 1)?;
        let until: Option<i64> = column(row, first + 2)?;
        let networks: String = column(row, first + 3)?;
        let networks: Vec<String> =
            serde_json::from_str(&networks).map_err(|_| bad("grant_networks"))?;
        let networks: Option<Vec<Network>> =
            networks.iter().map(|text| Network::read(text)).collect();
        let by: Option<String> = column(row, first + 4)?;
        let at: Option<i64> = column(row, first + 5)?;
        Ok(Self {
            level: ExpertAccess::read(&level).ok_or_else(|| bad("experts"))?,
            approval: Approval::read(&approval).ok_or_else(|| bad("grant_approval"))?,
            until: until.map(Timestamp::from_micros),
            networks: networks.ok_or_else(|| bad("grant_networks"))?,
            changed: by.zip(at.map(Timestamp::from_micros)),
        })
    }

    /// How far it lets anybody go at this moment.
    #[must_use]
    pub fn effective(&self, now: Timestamp) -> ExpertAccess {
        if self.until.is_some_and(|until| now >= until) { ExpertAccess::None } else { self.level }
    }

    /// Whether a request from there is let in. Riposte's own commands have no address.
    #[must_use]
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) if !self.networks.is_empty() => {
                self.networks.iter().any(|network| network.contains(address))
            }
            _ => true,
        }
    }
}

/// A tenant's grant as it is now.
pub async fn find(app: &App, tenant: TenantNo) -> Result<Grant> {
    let sql = format!("select {COLUMNS} from tenant where no = $1");
    let row = app.db.shared().query_one(&sql, vec![tenant.0.into()]).await?;
    row.as_ref().map_or_else(|| Err(missing(tenant)), |row| Grant::from_row(row, 0))
}

/// The same inside a change.
pub async fn find_in(tx: &Transaction, tenant: TenantNo) -> Result<Grant> {
    let sql = format!("select {COLUMNS} from tenant where no = $1");
    let row = tx.query_one(&sql, vec![tenant.0.into()]).await?;
    row.as_ref().map_or_else(|| Err(missing(tenant)), |row| Grant::from_row(row, 0))
}

fn missing(tenant: TenantNo) -> Error {
    Error::Internal(format!("tenant {} has no row", tenant.0))
}

/// Every tenant whose grant lets somebody at this address in now, in ascending order, with how far.
pub async fn granting(app: &App, address: Option<IpAddr>) -> Result<Vec<(TenantNo, ExpertAccess)>> {
    let now = app.clock.now();
    let sql = format!("select {COLUMNS}, no from tenant where experts <> 'none' order by no");
    let mut granting = Vec::new();
    for row in app.db.shared().query(&sql, vec![]).await? {
        let grant = Grant::from_row(&row, 0)?;
        let level = grant.effective(now);
        if level != ExpertAccess::None && grant.admits(address) {
            granting.push((TenantNo(column(&row, 6)?), level));
        }
    }
    Ok(granting)
}

/// What a customer wants its grant to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How far.
    pub level: ExpertAccess,
    /// Who approves.
    pub approval: Approval,
    /// Until when; for as long as a grant lasts at most when absent.
    pub until: Option<Timestamp>,
    /// From where.
    pub networks: Vec<Network>,
}

/// Changes the grant of the transaction's tenant. To give more asks for a fresh factor; to give less
/// never does. Gives what the grant was and what it is (see `access::change_grant`).
pub async fn change_in(tx: &mut Tx, caller: &Caller, wanted: Wanted) -> Result<(Grant, Grant)> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let before = find_in(tx, tenant).await?;
    if let Some(until) = wanted.until {
        if until <= now {
            return Err(Error::Invalid("the end of a grant lies in the future".to_owned()));
        }
        if until > now.plus_seconds(LONGEST_S) {
            return Err(Error::Invalid("a grant lasts two years at most".to_owned()));
        }
    }
    if wanted.networks.len() > NETWORKS {
        return Err(Error::Invalid(format!("a grant names {NETWORKS} networks at most")));
    }
    if gives_more(&before, &wanted, now) {
        caller.require_step_up(now)?;
    }
    let after = Grant {
        level: wanted.level,
        approval: wanted.approval,
        until: wanted.until,
        networks: wanted.networks,
        changed: Some((tx.actor().name.clone(), now)),
    };
    let changes = differences(&before, &after);
    if changes.is_empty() {
        return Ok((before.clone(), before));
    }
    let networks: Vec<String> = after.networks.iter().map(ToString::to_string).collect();
    tx.execute(
        "update tenant set experts = $2, grant_approval = $3, grant_until = $4, \
         grant_networks = $5, grant_by = $6, grant_at = $7 where no = $1",
        vec![
            tenant.0.into(),
            after.level.word().into(),
            after.approval.word().into(),
            after.until.map(Timestamp::micros).into(),
            serde_json::json!(networks).to_string().into(),
            tx.actor().name.clone().into(),
            now.micros().into(),
        ],
    )
    .await?;
    tx.record(Fact::GrantChanged { changes });
    Ok((before, after))
}

/// Whether the provider could do more, for longer, from elsewhere or with less asking.
fn gives_more(before: &Grant, wanted: &Wanted, now: Timestamp) -> bool {
    let had = before.effective(now);
    if wanted.level == ExpertAccess::None {
        return false;
    }
    let strictness = |approval: Approval| match approval {
        Approval::Customer => 2,
        Approval::Lead => 1,
        Approval::Automatic => 0,
    };
    let longer = match (before.until, wanted.until) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(before), Some(wanted)) => wanted > before,
    };
    let elsewhere = match (before.networks.is_empty(), wanted.networks.is_empty()) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => wanted.networks.iter().any(|network| !before.networks.contains(network)),
    };
    wanted.level.rank() > had.rank()
        || strictness(wanted.approval) < strictness(before.approval)
        || longer
        || elsewhere
}

fn differences(before: &Grant, after: &Grant) -> Vec<Change> {
    use serde_json::json;
    let networks = |grant: &Grant| {
        let all: Vec<String> = grant.networks.iter().map(ToString::to_string).collect();
        json!(all)
    };
    let values = |grant: &Grant| {
        [
            ("level", json!(grant.level.word())),
            ("approval", json!(grant.approval.word())),
            ("endDateTime", json!(grant.until)),
            ("networks", networks(grant)),
        ]
    };
    values(before)
        .into_iter()
        .zip(values(after))
        .filter(|((_, before), (_, after))| before != after)
        .map(|((field, before), (_, after))| Change { field, before, after })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::read(text).expect("a network")
    }

    #[test]
    fn a_grant_that_has_ended_grants_nothing() {
        let at = Timestamp::from_micros;
        let grant = Grant {
            level: ExpertAccess::Operator,
            approval: Approval::Lead,
            until: Some(at(10)),
            networks: vec![network("192.0.2.0/24")],
            changed: None,
        };
        assert_eq!(grant.effective(at(9)), ExpertAccess::Operator);
        assert_eq!(grant.effective(at(10)), ExpertAccess::None);
        assert!(!grant.admits("198.51.100.1".parse().ok()) && grant.admits(None));
    }

    #[test]
    fn giving_more_is_noticed_in_every_member() {
        let at = Timestamp::from_micros;
        let before = Grant {
            level: ExpertAccess::Reader,
            approval: Approval::Lead,
            until: Some(at(100)),
            networks: vec![network("192.0.2.0/24")],
            changed: None,
        };
        let same = Wanted {
            level: before.level,
            approval: before.approval,
            until: before.until,
            networks: before.networks.clone(),
        };
        let more = |wanted: &Wanted| gives_more(&before, wanted, at(1));
        assert!(!more(&same));
        assert!(more(&Wanted { level: ExpertAccess::Operator, ..same.clone() }));
        assert!(more(&Wanted { approval: Approval::Automatic, ..same.clone() }));
        assert!(more(&Wanted { until: None, ..same.clone() }));
        assert!(more(&Wanted { until: Some(at(101)), ..same.clone() }));
        assert!(more(&Wanted { networks: vec![], ..same.clone() }));
        assert!(more(&Wanted { networks: vec![network("198.51.100.0/24")], ..same.clone() }));
        assert!(!more(&Wanted { approval: Approval::Customer, ..same.clone() }));
        assert!(!more(&Wanted { level: ExpertAccess::None, until: None, ..same.clone() }));
        assert!(gives_more(&before, &same, at(100)), "what has ended is given anew");
    }
}
