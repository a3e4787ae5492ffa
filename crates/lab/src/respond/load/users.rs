//! What is asked for users of a directory: the experts draft and run it where they may act, and
//! publish it to the customer where they may only look, who runs it then.
//!
//! The same few users again and again, so that wishes overtake each other; one whom nobody may
//! change and one who is not there are among them.

use std::sync::PoisonError;

use serde_json::json;

use super::super::journal::Op;
use super::super::vendor::{GUARDED, NOBODY};
use super::{Line, Worker};
use crate::clock;
use crate::http::escape;

/// What the alerts are called that such incidents begin with.
pub(super) const ALERT: &str = "Sign-in from afar";
/// Users of each customer.
const USERS: usize = 12;
/// Tasks of one incident, before another one is taken.
const TASKS: usize = 60;
/// Tasks of one published response.
const PUBLISHED: usize = 3;

/// What a client does for users, and for those of which customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Duty {
    /// An expert who may act: drafts and runs.
    Act(usize),
    /// An expert who may look only: drafts and publishes.
    Tell(usize),
    /// The customer, who runs what was published.
    Run(usize),
}

/// The incident that is worked on.
#[derive(Debug, Default)]
pub(super) struct Case {
    /// The word in its name, once its alert was sent.
    mark: Option<String>,
    /// Its id, once it was found and taken.
    incident: Option<String>,
    /// How often it was looked for.
    looked: usize,
    drafted: usize,
}

/// The users of a customer, with one whom nobody may change.
pub(crate) fn users(tenant: usize) -> Vec<String> {
    let named = (0..USERS).map(|user| format!("user{user}@alder{tenant}.example"));
    named.chain([format!("{GUARDED}alder{tenant}.example")]).collect()
}

impl Worker {
    pub(super) async fn on_users(&mut self, line: &mut Line<'_>, duty: Duty) -> Result<(), String> {
        match duty {
            Duty::Act(tenant) => match self.made.take() {
                // Now and then nobody runs what was drafted.
                Some(task) if self.random.below(20) > 0 => self.run_task(line, task).await,
                _ => self.draft_for_user(line, tenant).await,
            },
            Duty::Tell(tenant) if self.case.drafted >= PUBLISHED => {
                self.tell_about_users(line, tenant).await
            }
            Duty::Tell(tenant) => self.draft_for_user(line, tenant).await,
            Duty::Run(tenant) => self.run_for_user(line, tenant).await,
        }
    }

    async fn run_task(&mut self, line: &mut Line<'_>, task: String) -> Result<(), String> {
        let path = format!("/api/v1/tasks/{task}/run");
        self.done.push(task.clone());
        if self.done.len() > USERS {
            self.done.remove(0);
        }
        self.ask(line, Op::Run { task }, path, json!({}), None).await
    }

    /// Takes back what it ran some time ago.
    async fn undo_for_user(&mut self, line: &mut Line<'_>) -> Result<(), String> {
        let Some(task) = self.random.pick(&self.done).cloned() else { return Ok(()) };
        let mark = self.mark();
        let path = format!("/api/v1/tasks/{task}/undo");
        let op = Op::UndoTask { task, mark: mark.clone() };
        self.ask(line, op, path, json!({ "comment": mark }), None).await
    }

    async fn run_for_user(&mut self, line: &mut Line<'_>, tenant: usize) -> Result<(), String> {
        let next = {
            let mut tasks = self.fleet.user_tasks.lock().unwrap_or_else(PoisonError::into_inner);
            let place = tasks.iter().position(|(of, _)| *of == tenant);
            place.map(|place| tasks.remove(place).1)
        };
        match next {
            Some(task) => self.run_task(line, task).await,
            None if self.random.below(4) == 0 => self.undo_for_user(line).await,
            None => Ok(()),
        }
    }

    async fn draft_for_user(&mut self, line: &mut Line<'_>, tenant: usize) -> Result<(), String> {
        if self.random.below(12) == 0 {
            return self.undo_for_user(line).await;
        }
        let Some(incident) = self.incident_of_user(line, tenant).await? else { return Ok(()) };
        let kind = match self.random.below(100) {
            0..32 => "disableUser",
            32..60 => "enableUser",
            60..88 => "requireSignIn",
            _ => "forceUserPasswordReset",
        };
        let user = match self.random.below(40) {
            0 => format!("{NOBODY}alder{tenant}.example"),
            1 => format!("{GUARDED}alder{tenant}.example"),
            drawn => format!("user{}@alder{tenant}.example", drawn as usize % USERS),
        };
        let mark = self.mark();
        let body = json!({
            "actionType": kind, "target": { "kind": "user", "id": user }, "options": {},
            "description": mark,
        });
        self.case.drafted += 1;
        if self.case.drafted >= TASKS {
            self.case = Case::default();
        }
        let op = Op::Draft { incident: incident.clone(), mark };
        let path = format!("/api/v1/incidents/{incident}/tasks");
        self.ask(line, op, path, body, None).await
    }

    /// An incident that the experts have taken; none while it is still looked for.
    async fn incident_of_user(
        &mut self,
        line: &mut Line<'_>,
        tenant: usize,
    ) -> Result<Option<String>, String> {
        if let Some(incident) = &self.case.incident {
            return Ok(Some(incident.clone()));
        }
        let Some(mark) = self.case.mark.clone().filter(|_| self.case.looked < 40) else {
            self.case = Case::default();
            let (mark, at) = (self.mark(), clock::graph_time(clock::now_seconds()));
            let body = json!({
                "id": mark, "providerAlertId": mark, "title": format!("{ALERT} {mark}"),
                "severity": "high", "category": "InitialAccess", "createdDateTime": at,
                "lastUpdateDateTime": at, "firstActivityDateTime": at, "lastActivityDateTime": at,
                "serviceSource": "microsoftDefenderForEndpoint",
                "productName": "Identity protection",
                "evidence": [{
                    "@odata.type": "#microsoft.graph.security.userEvidence",
                    "userAccount": { "accountName": mark, "userPrincipalName":
                        format!("{mark}@alder{tenant}.example") },
                }],
            });
            let token = line.tokens.get(tenant).cloned().unwrap_or_default();
            if self.plain(line, "POST", "/api/v1/alerts", &token, &body).await?.is_some() {
                self.case.mark = Some(mark);
            }
            return Ok(None);
        };
        self.case.looked += 1;
        let token = self.token(line.tokens).to_owned();
        let queue = "/api/v1/incidents?top=50";
        let Some(page) = self.plain(line, "GET", queue, &token, &json!(null)).await? else {
            return Ok(None);
        };
        let rows = page["value"].as_array().map(Vec::as_slice).unwrap_or_default();
        let own = |row: &&serde_json::Value| {
            // The word ends the name, so that mk6x1 is not taken for mk6x10.
            row["displayName"].as_str().is_some_and(|name| name.split(' ').any(|word| word == mark))
        };
        let Some(incident) = rows.iter().find(own).and_then(|row| row["id"].as_str()) else {
            return Ok(None);
        };
        let incident = escape(incident);
        let path = format!("/api/v1/incidents/{incident}/start");
        if self.plain(line, "POST", &path, &token, &json!({})).await?.is_some() {
            self.case.incident = Some(incident);
        }
        Ok(self.case.incident.clone())
    }

    /// Publishes what was drafted, and says which tasks the customer may run.
    async fn tell_about_users(&mut self, line: &mut Line<'_>, tenant: usize) -> Result<(), String> {
        let case = std::mem::take(&mut self.case);
        let Some(incident) = case.incident else { return Ok(()) };
        let mark = self.mark();
        let body = json!({
            "classification": "truePositive", "determination": "compromisedUser",
            "summary": format!("Somebody else signed in, {mark}."),
        });
        let op = Op::Publish { incident: incident.clone(), mark };
        let path = format!("/api/v1/incidents/{incident}/publish");
        self.ask(line, op, path, body, None).await?;
        let token = self.token(line.tokens).to_owned();
        let path = format!("/api/v1/incidents/{incident}/response");
        let Some(response) = self.plain(line, "GET", &path, &token, &json!(null)).await? else {
            return Ok(());
        };
        let pending = response["pending"].as_array().cloned().unwrap_or_default();
        let ids = pending.iter().filter_map(|task| task["id"].as_str());
        let mut tasks = self.fleet.user_tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.extend(ids.map(|id| (tenant, id.to_owned())));
        Ok(())
    }
}
