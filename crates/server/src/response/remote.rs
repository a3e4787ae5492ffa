//! Products carry actions out over HTTP: each once, and each read back before it is called done.
//!
//! ```text
//! prepare     a token, and the user or mail as it is before                no change
//! start       looked at once more, written as Started                      Tx 1
//! send        one request, shorter than half a lease                       no change
//! answered    what came back: taken, not now, refused, or lost             Tx 2
//! look        it is read until it is as wanted, or long enough not         a Tx for each reading
//! ```
//!
//! Who works for a tenant holds its lease `respond N`, and each change is fenced by the lease's epoch
//! and by the action's: a process that was paused and comes back writes nothing. Invariants (quality
//! 2): nothing is sent that is not on disk as *Started*; what the product says of its own success
//! proves nothing, only a reading does; what was lost is read before it is sent again, and read for
//! as long as the product may lag behind itself; what happens once is never sent again unless it is
//! certain that it was not begun. All waiting is written down and goes by the clock of the process,
//! so whoever takes the work over goes on with it. A mail that is as wanted already is written as an
//! attempt with nothing to send, and read like any other; one that is nowhere fails, and nothing was
//! done. Not here: which action may begin and what follows
//! when one ends (`engine`), how a product is spoken to (`connector`).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::clock::Timestamp;
use crate::connector::{self, Connector, Fault, Lines, Open, Request, Told};
use crate::db::column;
use crate::error::{Error, Result};
use crate::event::Fact;
use crate::id::{ActionId, TenantNo};
use crate::lease::{self, Lease};
use crate::response::catalog::Effect;
use crate::response::engine::{self, MOST_ATTEMPTS, engine};
use crate::response::errand::Errand;
use crate::response::follow;
use crate::response::model::{ActionState, ActionStep, proves};
use crate::response::store::{self, Action, Attempt};
use crate::response::target::{self, Channel};
use crate::tx::Tx;

/// How often to look for work that nobody rang for.
const LOOK: Duration = Duration::from_millis(250);
/// How long a request may take, in whole seconds; until then its answer may come.
const SENDS_S: i64 = 3;
/// The longest lag that an installation may allow its products, in seconds.
const LONGEST_LAG_S: u32 = 3_600;
/// How long what was sent may stay unread, beyond that, before a person is asked, in seconds.
const UNREAD_S: i64 = 600;
/// The longest pause between two readings, and before a product that did not answer is asked again, in
/// seconds.
const PAUSE_S: i64 = 30;
/// Actions of one tenant in one turn.
const MOST: i64 = 50;
/// Tenants at once.
const TENANTS: usize = 64;

/// Works until `stop`; what is under way is finished first. A slow product of one tenant keeps
/// nobody else waiting.
pub async fn run(app: App, stop: CancellationToken) {
    let lines = Arc::new(Lines::default());
    let looks = (LOOK, Some(&app.respond), TENANTS);
    let turn = |app: App, tenant| {
        let lines = lines.clone();
        async move { round(&app, &lines, tenant).await }
    };
    lease::turns(&app, looks, stop, |app| async move { waiting(&app).await }, turn).await;
}

/// One turn for every tenant that something waits in, one after the other.
pub async fn tick(app: &App, lines: &Lines) -> Result<()> {
    for tenant in waiting(app).await? {
        round(app, lines, tenant).await?;
    }
    Ok(())
}

/// What is due: what was sent, and what is next of its user and family.
const DUE: &str = "action.connector_id is not null \
    and (action.next_at is null or action.next_at <= $1) and (action.state in \
    ('started', 'unknown') or (action.state = 'approved' and not exists (select 1 from action \
    other where other.tenant_no = action.tenant_no and other.target_key = action.target_key \
    and other.family = action.family and (other.state in ('started', 'unknown') \
    or (other.state = 'approved' and other.id < action.id)))))";

async fn waiting(app: &App) -> Result<Vec<TenantNo>> {
    let sql = format!("select distinct action.tenant_no from action where {DUE}");
    let now = app.clock.now().micros();
    let scope = app.db.whole("products carry actions out in every tenant");
    let rows = scope.query(&sql, vec![now.into()]).await?;
    rows.iter().map(|row| Ok(TenantNo(column(row, 0)?))).collect()
}

async fn round(app: &App, lines: &Lines, tenant: TenantNo) -> Result<()> {
    // Another replica is at it.
    let Some(lease) = Lease::take(app, &format!("respond {}", tenant.0)).await? else {
        return Ok(());
    };
    let turn = Turn { app, lines, tenant, lease: &lease };
    let done = turn.all().await;
    lease.end(app, done).await
}

/// One tenant's turn, under its lease.
struct Turn<'a> {
    app: &'a App,
    lines: &'a Lines,
    tenant: TenantNo,
    lease: &'a Lease,
}

/// An action that may be sent, and the product it is for.
struct Ready {
    action: Action,
    connector: Connector,
    errand: Errand,
}

/// An action about to be sent, with the way to the product and the thing as it is before.
struct Prepared<'a> {
    action: Action,
    errand: Errand,
    open: Open<'a>,
    order: String,
    /// Nothing where it is as wanted already, and there is nothing that could be asked for.
    request: Option<Request>,
    before: Value,
}

/// How long a product may go on telling what was so before, in seconds.
fn lag_s(app: &App) -> i64 {
    i64::from(app.config.connectors.lag_s.clamp(1, LONGEST_LAG_S))
}

/// Seconds from one moment to another, at least one and at most so many: what has taken long may
/// take as long again.
fn pause_s(since: Timestamp, now: Timestamp, most: i64) -> i64 {
    ((now.micros() - since.micros()) / 1_000_000).clamp(1, most)
}

impl Turn<'_> {
    async fn all(&self) -> Result<()> {
        let sql = format!(
            "select action.id from action where action.tenant_no = $2 and {DUE} \
             order by action.id limit $3"
        );
        let now = self.app.clock.now().micros();
        let values = vec![now.into(), self.tenant.0.into(), MOST.into()];
        for row in self.app.db.of(self.tenant).query(&sql, values).await? {
            self.one(ActionId(column(&row, 0)?)).await?;
        }
        Ok(())
    }

    async fn one(&self, id: ActionId) -> Result<()> {
        if let Some(ready) = self.ready(id).await?
            && let Some(prepared) = self.prepare(ready).await?
        {
            self.carry_out(prepared).await?;
        }
        self.look(id).await
    }

    async fn begin(&self) -> Result<Tx> {
        let tx = Tx::begin(self.app, self.tenant, engine()).await?;
        self.lease.fence(self.app, &tx).await?;
        Ok(tx)
    }

    /// The action as this process saw it last; `None` when somebody has changed it since.
    async fn unchanged(tx: &Tx, seen: &Action) -> Result<Option<Action>> {
        let action = store::action(tx, seen.id).await?;
        Ok((action.epoch == seen.epoch).then_some(action))
    }

    /// The product an action is for. Without one it is never sent, and what became of it a person
    /// has to find out.
    async fn product(tx: &mut Tx, action: &mut Action) -> Result<Option<(Connector, Errand)>> {
        let channel = target::channel_of(tx, action).await?;
        if let (
            Some(Channel::Connector(connector) | Channel::Mailbox(connector, _)),
            Some(errand),
        ) = (channel, Errand::of(action.kind))
        {
            return Ok(Some((*connector, errand)));
        }
        let gone = "its connector was removed";
        if action.state == ActionState::Approved {
            engine::end(tx, action, ActionStep::Refuse, Some(gone.to_owned())).await?;
        } else {
            let reason = format!("{gone} before it was known what became of it");
            engine::ask(tx, action, reason).await?;
        }
        Ok(None)
    }

    /// Whether an action may be sent, before anything is asked of the product for it.
    async fn ready(&self, id: ActionId) -> Result<Option<Ready>> {
        let mut tx = self.begin().await?;
        let mut action = store::action(&tx, id).await?;
        if action.state != ActionState::Approved || !engine::is_next(&tx, &action).await? {
            return Ok(None);
        }
        let Some((connector, errand)) = Self::product(&mut tx, &mut action).await? else {
            tx.commit().await?;
            return Ok(None);
        };
        if !engine::may_begin(&mut tx, &mut action, None).await? {
            tx.commit().await?;
            return Ok(None);
        }
        // Nothing was changed: it is looked at again where it counts.
        Ok(Some(Ready { action, connector, errand }))
    }

    /// Gets a token, reads the thing as it is before, and says what is to be sent then.
    async fn prepare(&self, ready: Ready) -> Result<Option<Prepared<'_>>> {
        let order = self.app.random.uuid()?;
        let (errand, target) = (ready.errand, &ready.action.target);
        let read = match self.lines.open(self.app, &ready.connector).await {
            Ok(open) => {
                let read = errand.read(self.app, &open, target, &order).await;
                read.map(|before| (open, before))
            }
            Err(fault) => Err(fault),
        };
        let answers = read.is_ok();
        let fault = match read {
            Ok((open, before)) => match errand.request(target, &before) {
                Ok(request) => {
                    let Ready { action, errand, .. } = ready;
                    return Ok(Some(Prepared { action, errand, open, order, request, before }));
                }
                Err(fault) => fault,
            },
            Err(fault) => fault,
        };
        let mut tx = self.begin().await?;
        let Some(mut action) = Self::unchanged(&tx, &ready.action).await? else { return Ok(None) };
        let now = tx.now();
        let said = (!answers).then_some(fault.reason.as_str());
        connector::note(&tx, &ready.connector, now, said).await?;
        // What the product does not show yet it may show later, for as long as it may lag.
        let waited = answers && now >= agreed(&action).plus_seconds(lag_s(self.app));
        if fault.lasting || waited {
            engine::end(&mut tx, &mut action, ActionStep::Refuse, Some(fault.reason)).await?;
        } else {
            action.next = Some(now.plus_seconds(pause_s(action.requested, now, PAUSE_S)));
            action.reason = Some(fault.reason);
            store::save_action(&mut tx, &mut action).await?;
        }
        tx.commit().await?;
        Ok(None)
    }

    /// Tx 1, the request, Tx 2.
    async fn carry_out(&self, prepared: Prepared<'_>) -> Result<()> {
        let Prepared { action: seen, errand, open, order, request, before } = prepared;
        let mut tx = self.begin().await?;
        let Some(mut action) = Self::unchanged(&tx, &seen).await? else { return Ok(()) };
        if !engine::is_next(&tx, &action).await? {
            return Ok(());
        }
        if Self::product(&mut tx, &mut action).await?.is_none() {
            return tx.commit().await;
        }
        if !engine::may_begin(&mut tx, &mut action, None).await? {
            return tx.commit().await;
        }
        let attempt = written(&mut tx, &mut action, (request.as_ref(), &order), before).await?;
        crate::failpoint::hit("respond.before_started");
        tx.commit().await?;
        crate::failpoint::hit("respond.after_started");

        let told = match &request {
            Some(request) => errand.send(self.app, &open, request, &order).await,
            None => Told::Accepted,
        };
        crate::failpoint::hit("respond.after_sent");

        let mut tx = self.begin().await?;
        // Somebody has decided meanwhile; what is so, a reading told them or a person.
        let Some(mut action) = Self::unchanged(&tx, &action).await? else { return Ok(()) };
        answered(&mut tx, &mut action, &attempt, told).await?;
        crate::failpoint::hit("respond.before_answered");
        tx.commit().await
    }

    /// Reads the thing that something was sent for, and decides as far as the reading does.
    async fn look(&self, id: ActionId) -> Result<()> {
        let mut tx = self.begin().await?;
        let mut action = store::action(&tx, id).await?;
        let due = action.next.is_none_or(|next| next <= tx.now());
        if !action.state.is_under_way() || !due {
            return Ok(());
        }
        let Some(attempt) = store::last_attempt(&tx, id).await? else {
            return Err(Error::Internal(format!("{id} was started without an attempt")));
        };
        let Some((connector, errand)) = Self::product(&mut tx, &mut action).await? else {
            return tx.commit().await;
        };
        if attempt.answered.is_none() {
            // Whoever sent it held this lease and holds it no more: it may have been sent or not.
            let reason = "who sent it was stopped before it knew what became of it";
            lose(&mut tx, &mut action, attempt.number, reason).await?;
            tx.commit().await?;
        } else {
            // Nobody else waits for this change while the product takes its time.
            drop(tx);
        }
        let read = match self.lines.open(self.app, &connector).await {
            Ok(open) => errand.read(self.app, &open, &action.target, &attempt.order).await,
            Err(fault) => Err(fault),
        };
        let mut tx = self.begin().await?;
        let Some(mut action) = Self::unchanged(&tx, &action).await? else { return Ok(()) };
        judge(&mut tx, &mut action, (&connector, errand), read).await?;
        tx.commit().await
    }
}

/// Writes that an action is about to be sent.
async fn written(
    tx: &mut Tx,
    action: &mut Action,
    (request, order): (Option<&Request>, &str),
    before: Value,
) -> Result<Attempt> {
    let now = tx.now();
    action.attempts += 1;
    action.started.get_or_insert(now);
    action.reason = None;
    action.next = None;
    action.deadline = now.plus_seconds(SENDS_S + lag_s(tx.app()) + UNREAD_S);
    engine::step(action, ActionStep::Start)?;
    let sent = json!({
        "method": request.map(|it| it.method), "path": request.map(|it| &it.path),
        "body": request.and_then(|it| it.body.as_ref()), "before": before,
    });
    let attempt = Attempt {
        number: action.attempts,
        order: order.to_owned(),
        agent: None,
        sent: sent.to_string(),
        started: now,
        expires: now.plus_seconds(SENDS_S),
        answered: None,
        answer: None,
        read_back: None,
        outcome: None,
    };
    store::add_attempt(tx, action.id, &attempt, &tx.app().holder.clone()).await?;
    store::save_action(tx, action).await?;
    tx.record(Fact::ActionStarted {
        incident: action.incident,
        action: action.id,
        attempt: attempt.number,
        order: attempt.order.clone(),
    });
    Ok(attempt)
}

/// When an action was agreed to.
fn agreed(action: &Action) -> Timestamp {
    action.approved.as_ref().map_or(action.requested, |(_, at)| *at)
}

/// Writes what came back.
async fn answered(tx: &mut Tx, action: &mut Action, attempt: &Attempt, told: Told) -> Result<()> {
    let (id, number) = (action.id, attempt.number);
    let happens = action.kind.entry().effect == Effect::Happens;
    match told {
        Told::Accepted => {
            let answer = json!({ "outcome": "accepted" });
            store::close_attempt(tx, id, number, "accepted", Some(&answer), None).await?;
            action.next = None;
            store::save_action(tx, action).await
        }
        // What happens once is sent again only where it is certain that it was not begun.
        Told::Later { seconds, reason, certain } if certain || !happens => {
            let answer = json!({ "outcome": "notBegun", "reason": reason });
            store::close_attempt(tx, id, number, "refused", Some(&answer), None).await?;
            engine::step(action, ActionStep::NeverBegun)?;
            // As before it was sent: a product that never has time is not asked for ever.
            action.deadline = agreed(action).plus_seconds(engine::patience_s(action.kind, true));
            action.next = Some(tx.now().plus_seconds(seconds));
            action.reason = Some(reason);
            store::save_action(tx, action).await
        }
        Told::Refused(reason) => {
            let answer = json!({ "outcome": "refused", "reason": reason });
            store::close_attempt(tx, id, number, "failed", Some(&answer), None).await?;
            engine::end(tx, action, ActionStep::Fail, Some(reason)).await
        }
        Told::Later { reason, .. } | Told::Lost(reason) => lose(tx, action, number, &reason).await,
    }
}

/// Nobody knows what became of what was sent: it is read.
async fn lose(tx: &mut Tx, action: &mut Action, number: i64, reason: &str) -> Result<()> {
    let answer = json!({ "outcome": "lost", "reason": reason });
    store::close_attempt(tx, action.id, number, "unknown", Some(&answer), None).await?;
    engine::step(action, ActionStep::Lose)?;
    action.reason = Some(reason.to_owned());
    action.next = None;
    store::save_action(tx, action).await?;
    tx.record(Fact::ActionLost {
        incident: action.incident,
        action: action.id,
        attempt: number,
        reason: reason.to_owned(),
    });
    follow::action_changed(tx, action.id).await
}

/// Decides by what was read, as far as it tells.
async fn judge(
    tx: &mut Tx,
    action: &mut Action,
    (connector, errand): (&Connector, Errand),
    read: std::result::Result<Value, Fault>,
) -> Result<()> {
    let now = tx.now();
    let Some(attempt) = store::last_attempt(tx, action.id).await? else {
        return Err(Error::Internal(format!("{} was started without an attempt", action.id)));
    };
    let since = attempt.answered.unwrap_or(now);
    let until = since.plus_seconds(lag_s(tx.app()));
    let next = now.plus_seconds(pause_s(since, now, PAUSE_S));
    let found = match read {
        Ok(found) => found,
        Err(fault) => {
            // Until the deadline, when a person is asked (see `engine::watch`).
            connector::note(tx, connector, now, Some(&fault.reason)).await?;
            action.next = Some(next);
            action.reason = Some(fault.reason);
            return store::save_action(tx, action).await;
        }
    };
    connector::note(tx, connector, now, None).await?;
    let sent: Value = serde_json::from_str(&attempt.sent).map_err(Error::internal)?;
    let before = sent.get("before").unwrap_or(&Value::Null);
    let read = errand.reading(before, &found);
    let so = proves(action.kind, &action.options, &read);
    action.read_back = Some(read.clone());
    // What was so before shows nothing of a request that was lost: it may be on its way yet, and
    // overtake what is wanted next.
    let was = proves(action.kind, &action.options, &errand.reading(before, before));
    let lost = attempt.outcome.as_deref() == Some("unknown") && now < until;
    if so == Some(true) && !(lost && was == Some(true)) {
        action.next = None;
        store::read_attempt(tx, action.id, attempt.number, "succeeded", Some(&read)).await?;
        let sent = sent.get("method").is_some_and(Value::is_string);
        let reason = (!sent).then(|| match action.attempts {
            1 => "it was so before; nothing was sent".to_owned(),
            _ => "it was so before it was sent again".to_owned(),
        });
        return engine::end(tx, action, ActionStep::Succeed, reason).await;
    }
    if now < until {
        action.next = Some(next.min(until));
        return store::save_action(tx, action).await;
    }
    action.next = None;
    let again = action.kind.entry().effect == Effect::Sets
        && store::times_sent(tx, action.id).await? < MOST_ATTEMPTS;
    if so == Some(false) && again {
        store::read_attempt(tx, action.id, attempt.number, "notSo", Some(&read)).await?;
        action.reason =
            Some(format!("{} was read: it is not so, and is tried again", connector.name));
        engine::step(action, ActionStep::NotSo)?;
        store::save_action(tx, action).await?;
        return follow::action_changed(tx, action.id).await;
    }
    store::read_attempt(tx, action.id, attempt.number, "unknown", Some(&read)).await?;
    let reason = match so {
        Some(_) => format!("what {} tells does not show that it was done", connector.name),
        None => format!("nothing {} tells shows what became of it", connector.name),
    };
    engine::ask(tx, action, reason).await
}
