//! Managed responses of the demo, written, handed over, sent back, done and left undone by the real
//! verbs.

use serde_json::{Value, json};

use crate::app::App;
use crate::conversation::{self, Word};
use crate::db::column;
use crate::demo::real::{Build, OUTSIDE};
use crate::error::Result;
use crate::id::{IncidentId, TaskId, TenantNo};
use crate::incident::entity::EntityKind;
use crate::incident::{self, model::Finding};
use crate::response::catalog::{Kind, TargetKind};
use crate::response::{self, NewTask};
use crate::tenant::caller::Caller;
use crate::word::{Classification, Determination};

/// Who writes a response, and who answers it.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) expert: &'a Caller,
    pub(super) customer: &'a Caller,
}

fn found(determination: Determination, summary: &str) -> Finding {
    let classification = Classification::TruePositive;
    Finding { classification, determination, summary: summary.to_owned() }
}

/// Guidance in words.
fn guidance(title: &str, text: &str) -> NewTask {
    NewTask {
        kind: Kind::Text,
        target: None,
        display_name: Some(title.to_owned()),
        description: Some(text.to_owned()),
        options: Value::Null,
    }
}

/// An action on a thing.
fn action(kind: Kind, target: (TargetKind, &str), text: &str, options: Value) -> NewTask {
    NewTask {
        kind,
        target: Some((target.0, target.1.to_owned())),
        display_name: None,
        description: Some(text.to_owned()),
        options,
    }
}

async fn draft(
    app: &App,
    expert: &Caller,
    id: IncidentId,
    tasks: impl IntoIterator<Item = NewTask>,
) -> Result<Vec<TaskId>> {
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(response::draft(app, expert, id, task).await?);
    }
    Ok(ids)
}

/// What an incident calls the device that it is about.
async fn device_of(app: &App, tenant: TenantNo, id: IncidentId) -> Result<Option<String>> {
    let row = app
        .db
        .of(tenant)
        .query_one(
            "select name from run where incident_id = $1 and kind = $2 order by name limit 1",
            vec![id.0.into(), i64::from(EntityKind::DeviceName as i16).into()],
        )
        .await?;
    row.map(|row| column(&row, 0)).transpose()
}

/// The response about a device that is really there; published where the customer is to act.
pub(super) async fn about(
    app: &App,
    sides: Sides<'_>,
    id: IncidentId,
    build: &Build,
    published: bool,
) -> Result<()> {
    let (path, _) = build.file;
    let (name, user) = (build.name, build.user);
    incident::start(app, sides.expert, id).await?;
    let summary = format!(
        "### What happened\n\
         An intruder has a foothold on **{name}**. `{path}` was written at night, was started \
         within a minute, and since then {name} holds a connection to `{OUTSIDE}` open.\n\n\
         ### How we know\n\
         - The file belongs to no package of the system and was seen nowhere else.\n\
         - The connection speaks once a second and carries no business data.\n\
         - The account `{user}` was used at hours at which it never was before.\n\n\
         ### What is to be done\n\
         1. **Isolate {name}**: that cuts the intruder off and keeps what there is to look at.\n\
         2. Take the file away.\n\
         3. Give `{user}` new keys before the device comes back.\n"
    );
    let tasks = [
        action(
            Kind::IsolateDevice,
            (TargetKind::Device, name),
            "Cuts the intruder's connection. Riposte still reaches the device; nobody else does \
             until it is released.",
            json!({ "isolationType": "full" }),
        ),
        NewTask {
            display_name: Some(format!("Stop and quarantine {path}")),
            ..action(
                Kind::StopAndQuarantineFile,
                (TargetKind::File, &build.hash()),
                "What the intruder left. It is kept in quarantine and can be brought back.",
                json!({ "deviceId": name, "path": path }),
            )
        },
        guidance(
            &format!("Give {user} new keys"),
            &format!(
                "The keys of `{user}` must be taken for known.\n\n\
                 1. Remove them from every device that lets them in.\n\
                 2. Make new ones, on a device that is not **{name}**.\n\
                 3. Tell us here when it is done."
            ),
        ),
    ];
    draft(app, sides.expert, id, tasks).await?;
    if published {
        let finding = found(Determination::Malware, &summary);
        return response::publish(app, sides.expert, id, finding).await;
    }
    response::save_summary(app, sides.expert, id, &summary).await
}

/// What both sides say about it, and what the experts say among themselves.
async fn talk(app: &App, sides: Sides<'_>, id: IncidentId, device: &str) -> Result<()> {
    let thread = conversation::of_incident(id);
    let asked = format!(
        "Somebody must be there at six to pull the plug of **{device}**. What does she do if it \
         prints just then?"
    );
    let noted = "Their night shift ends at 05:45 in truth; see the ticket of last spring.";
    let answered = "Let it finish the page, then pull it. Until then we watch its connections, \
                    and call you if it does anything new.";
    for (who, text, shared) in [
        (sides.customer, asked.as_str(), true),
        (sides.expert, noted, false),
        (sides.expert, answered, true),
    ] {
        let word = Word { text: text.to_owned(), shared };
        conversation::say(app, who, &thread, word).await?;
    }
    Ok(())
}

/// Responses on incidents that experts work on: one waits, one was sent back and answered, one was
/// done by hand, of one a part was skipped.
pub(super) async fn others(
    app: &App,
    tenant: TenantNo,
    sides: Sides<'_>,
    incidents: &[IncidentId],
) -> Result<()> {
    let Sides { expert, customer } = sides;
    for (place, id) in incidents.iter().enumerate().take(4) {
        let name = device_of(app, tenant, *id).await?.unwrap_or_else(|| "the device".to_owned());
        let isolate = || {
            action(
                Kind::IsolateDevice,
                (TargetKind::Device, &name),
                "Until it is set up anew, it should reach nobody.",
                json!({ "isolationType": "full" }),
            )
        };
        let password = guidance(
            "Change the password, and end all sessions",
            "The password was entered on a page that is not yours.\n\n\
             - Change it at the directory, **not** on the device.\n\
             - End all sessions of the account.\n\
             - Ask its owner about sign-ins since yesterday.",
        );
        let summary = format!(
            "### What happened\n\
             A mail led somebody to a page that asked for a password. The same hour **{name}** ran \
             a program from a user's folder.\n\n\
             ### How far it went\n\
             - One account, one device.\n\
             - Nothing was copied out that we can see.\n\n\
             > What the mail gateway kept for longer than a week we could not look at.\n"
        );
        let finding = found(Determination::Phishing, &summary);
        match place {
            0 => {
                draft(app, expert, *id, [isolate(), password]).await?;
                response::publish(app, expert, *id, finding).await?;
            }
            1 => {
                draft(app, expert, *id, [isolate()]).await?;
                response::publish(app, expert, *id, finding).await?;
                let why = "It prints the loading lists; not before the night shift has gone.";
                response::reject(app, customer, *id, why).await?;
                let later = guidance(
                    &format!("Take {name} off the network at six in the morning"),
                    "After the night shift, and before anybody else signs in there. Until then we \
                     watch it.",
                );
                draft(app, expert, *id, [later, password]).await?;
                let answer = format!(
                    "{summary}\n### Your answer\nUnderstood: the plan now waits for the end of \
                     the night shift.\n"
                );
                response::publish(app, expert, *id, found(Determination::Phishing, &answer))
                    .await?;
                talk(app, sides, *id, &name).await?;
            }
            2 => {
                let ids = draft(app, expert, *id, [isolate(), password]).await?;
                response::publish(app, expert, *id, finding).await?;
                for task in ids {
                    response::complete(app, customer, task).await?;
                }
            }
            _ => {
                let ids = draft(app, expert, *id, [isolate(), password]).await?;
                response::publish(app, expert, *id, finding).await?;
                if let [first, second] = ids.as_slice() {
                    response::begin_by_hand(app, customer, *second).await?;
                    let why = "It was scrapped last week; nobody has it any more.";
                    response::skip(app, customer, *first, why).await?;
                }
            }
        }
    }
    Ok(())
}
