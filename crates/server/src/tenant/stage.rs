//! How far a customer has come on its way into the service, and what each stage allows (ONB-5).
//!
//!   invited -begun-> setUp -submitted-> readinessPending -ready-> monitoring -days over-> active
//!
//! Alerts are taken in and grouped at every stage, and the customer's own people are never held back.
//! What experts may do grows with the stage: to look, then to publish guidance, then to act.
//! Invariants: a stage is never left backwards; what a stage does not allow is refused where it is
//! asked for and again in the transaction that sends (`coverage`, `response`); a stage that cannot be
//! read allows nothing. Not here: what moves a customer on (`onboarding`).

use serde_json::json;

use crate::actor::Actor;
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::event::{Change, Fact};
use crate::id::TenantNo;
use crate::tx::Tx;
use crate::word::choices;

choices! {
    /// How far a customer has come.
    Stage {
        /// Its first administrator was written to.
        Invited = "invited",
        /// Its administrator goes through the setup.
        SetUp = "setUp",
        /// What it needs to start with is not all there.
        ReadinessPending = "readinessPending",
        /// Experts learn what is normal there, and say what is to be done.
        Monitoring = "monitoring",
        /// Everything that its grant and its policy allow.
        Active = "active",
    }
}

/// What experts may want to do at a customer, beyond looking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Work {
    /// Publish a managed response: say what is to be done.
    Guide,
    /// Have something done themselves.
    Act,
}

impl Stage {
    /// Why experts do not do this at such a customer yet; `None` when they may.
    #[must_use]
    pub fn holds_back(self, work: Work) -> Option<&'static str> {
        match (self, work) {
            (Self::Active, _) | (Self::Monitoring, Work::Guide) => None,
            (Self::Monitoring, Work::Act) => {
                Some("the customer is still being monitored: until it is active experts only guide")
            }
            (Self::ReadinessPending, _) => {
                Some("the customer is not ready yet: until its readiness is met experts only look")
            }
            (Self::Invited | Self::SetUp, _) => {
                Some("the customer has not finished its setup: until then experts only look")
            }
        }
    }
}

/// The stage of a tenant, in an open change or a snapshot.
///
/// # Errors
/// `Internal` when it cannot be read: nothing is allowed then.
pub async fn find_in(tx: &Transaction, tenant: TenantNo) -> Result<Stage> {
    let sql = "select stage from tenant where no = $1";
    let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
    let word: Option<String> = row.map(|row| column(&row, 0)).transpose()?;
    word.as_deref()
        .and_then(Stage::read)
        .ok_or_else(|| Error::Internal(format!("the stage of tenant {} is damaged", tenant.0)))
}

/// Why experts do not do this at a tenant yet; `None` when they may.
pub async fn holds_back(tx: &Transaction, tenant: TenantNo, work: Work) -> Result<Option<String>> {
    Ok(find_in(tx, tenant).await?.holds_back(work).map(str::to_owned))
}

/// Since when a tenant is at its stage.
pub async fn since(tx: &Transaction, tenant: TenantNo) -> Result<Timestamp> {
    let sql = "select stage_at from tenant where no = $1";
    let row = tx.query_one(sql, vec![tenant.0.into()]).await?;
    Ok(Timestamp::from_micros(row.map_or(Ok(0), |row| column(&row, 0))?))
}

/// Moves the transaction's tenant on, by its own actor; on record is why.
///
/// # Errors
/// `Internal` when that were backwards.
pub async fn advance(tx: &mut Tx, to: Stage, because: &str) -> Result<()> {
    let actor = tx.actor().clone();
    advance_as(tx, &actor, to, because).await
}

/// The same by somebody else: an evaluation right behind what changed something.
///
/// # Errors
/// `Internal` when that were backwards.
pub async fn advance_as(tx: &mut Tx, by: &Actor, to: Stage, because: &str) -> Result<()> {
    let (tenant, now) = (tx.tenant(), tx.now());
    let before = find_in(tx, tenant).await?;
    if to <= before {
        return Err(Error::Internal(format!(
            "tenant {} does not go from {} to {}",
            tenant.0,
            before.word(),
            to.word()
        )));
    }
    tx.execute(
        "update tenant set stage = $2, stage_at = $3 where no = $1",
        vec![tenant.0.into(), to.word().into(), now.micros().into()],
    )
    .await?;
    let (before, after) = (json!(before), json!(to));
    let changes = vec![Change { field: "stage", before, after }];
    tx.record_as(by.clone(), Fact::StageChanged { changes, because: because.to_owned() });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_allows_what_the_one_before_does_and_only_the_last_allows_all() {
        for work in [Work::Guide, Work::Act] {
            for pair in Stage::ALL.windows(2) {
                let (earlier, later) = (pair[0].holds_back(work), pair[1].holds_back(work));
                assert!(earlier.is_some() || later.is_none(), "{pair:?} {work:?}");
            }
        }
        let free = |work: Work| {
            Stage::ALL
                .iter()
                .copied()
                .filter(|it| it.holds_back(work).is_none())
                .collect::<Vec<_>>()
        };
        assert_eq!(free(Work::Guide), [Stage::Monitoring, Stage::Active]);
        assert_eq!(free(Work::Act), [Stage::Active]);
    }

    #[test]
    fn who_may_act_may_guide() {
        for stage in Stage::ALL {
            if stage.holds_back(Work::Act).is_none() {
                assert!(stage.holds_back(Work::Guide).is_none(), "{stage:?}");
            }
        }
    }
}
