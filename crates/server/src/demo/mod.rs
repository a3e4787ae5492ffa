//! The demo: a provider, two customers and some sixty incidents in every state that can be
//! reached, made by pushing alerts of ten products through the real intake and working them with
//! the real verbs. No row is written here. All names are invented.
//!
//! Two of its devices are real where the machine allows it: see `agents`.

pub mod agents;
pub mod inside;
pub mod mailbox;
mod real;
mod response;
mod story;

pub use real::Device;

use std::sync::Arc;

use serde::Serialize;

use crate::access;
use crate::actor::Actor;
use crate::alert::format::Format;
use crate::alert::intake::Intake;
use crate::app::App;
use crate::contact::{self, ContactKind, ContactRole, Language, Priority};
use crate::db::column;
use crate::demo::story::Story;
use crate::error::{Error, Result};
use crate::id::{IncidentId, TenantNo};
use crate::incident::{self, model::Patch};
use crate::permission::{Permission, Role};
use crate::person;
use crate::tenant::caller::{Caller, Factor, Reach, Seat, Within};
use crate::tenant::grant::{self, Approval};
use crate::tenant::{self, Credentials, ExpertAccess, Side, Tenant};
use crate::word::{Classification, Determination, IncidentStatus};

/// Who can sign in to the demo, shown once when it is made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// The provider's expert application.
    pub experts: Credentials,
    /// Each customer's name and its application.
    pub customers: Vec<(String, Credentials)>,
    /// The link with which the provider's administrator sets up sign-in.
    pub setup_url: String,
    /// The devices that an agent speaks for, where the machine allows it.
    pub devices: Vec<Device>,
}

/// The provider's people.
const PROVIDER_PEOPLE: &[(&str, &str, Role)] = &[
    ("Signe Holm", "signe.holm@fjordwatch.example", Role::Expert),
    ("Mikkel Dahl", "mikkel.dahl@fjordwatch.example", Role::Lead),
    ("Runa Vik", "runa.vik@fjordwatch.example", Role::ServiceDeliveryManager),
    ("Odd Nes", "odd.nes@fjordwatch.example", Role::ProviderAdministrator),
];
/// A customer of the demo.
struct Customer {
    name: &'static str,
    domain: &'static str,
    grant: ExpertAccess,
    approval: Approval,
    /// Name and role; the first decides.
    people: &'static [(&'static str, Role)],
}

/// Who of each customer hears of what: name, mailbox, of what, and who is reached first.
const CONTACTS: &[(&str, &str, ContactRole, Priority)] = &[
    ("Security duty", "duty", ContactRole::IncidentNotification, Priority::Primary),
    ("IT operations", "it", ContactRole::IncidentNotification, Priority::Backup),
    ("Board", "board", ContactRole::ServiceReview, Priority::Primary),
];

const CUSTOMERS: &[Customer] = &[
    Customer {
        name: "Alder Freight",
        domain: "alderfreight.example",
        grant: ExpertAccess::Operator,
        approval: Approval::Lead,
        people: &[
            ("Ida Berg", Role::SecurityAdministrator),
            ("Tomas Wren", Role::SecurityOperator),
            ("Noor Haddad", Role::SecurityReader),
        ],
    },
    Customer {
        name: "Norrland Dental",
        domain: "norrlanddental.example",
        grant: ExpertAccess::Reader,
        approval: Approval::Customer,
        people: &[
            ("Aino Salmi", Role::SecurityAdministrator),
            ("Per Lind", Role::SecurityOperator),
        ],
    },
];
/// Stories told per customer; each becomes one incident, a few are merged.
const STORIES: usize = 33;

/// Fills an empty store; `None` when there is a provider already.
pub async fn fill(app: &App) -> Result<Option<Access>> {
    if tenant::provider(app).await?.is_some() {
        return Ok(None);
    }
    let (_, setup_url) =
        tenant::init(app, "Fjordwatch Security", "lead@fjordwatch.example").await?;
    let experts = tenant::add_app(
        app,
        Side::Provider,
        "Fjordwatch workbench",
        &[Permission::Experts, Permission::AuditRead],
    )
    .await?;
    let mut provider = Vec::new();
    for (name, email, role) in PROVIDER_PEOPLE {
        let id = person::add_demo_person(app, TenantNo::PROVIDER, name, email, *role).await?;
        provider.push((id, *email, *role));
    }
    let intake = Intake::start(app);
    let mut customers = Vec::new();
    let mut tenants = Vec::new();
    let mut deciders = Vec::new();
    for customer in CUSTOMERS {
        let tenant = tenant::add(app, customer.name, customer.grant).await?;
        let credentials = tenant::add_app(
            app,
            Side::Tenant(&tenant.id),
            &format!("{} SIEM", customer.name),
            &[
                Permission::IncidentReadWrite,
                Permission::AlertReadWrite,
                Permission::AlertIngest,
                Permission::AuditRead,
            ],
        )
        .await?;
        let mut people = Vec::new();
        for (name, role) in customer.people {
            let email = format!("{}@{}", name.to_lowercase().replace(' ', "."), customer.domain);
            let id = person::add_demo_person(app, tenant.no, name, &email, *role).await?;
            people.push((id, email, *role));
        }
        let Some((id, email, role)) = people.into_iter().next() else { continue };
        let reach = Reach::Tenant(tenant.no);
        let decider = somebody(app, id, &email, role, tenant.no, &reach);
        let wanted = grant::Wanted {
            level: customer.grant,
            approval: customer.approval,
            until: None,
            networks: Vec::new(),
        };
        access::change_grant(app, &decider, wanted).await?;
        for (name, local, role, priority) in CONTACTS {
            let wanted = contact::Wanted {
                name: (*name).to_owned(),
                kind: ContactKind::Group,
                email: format!("{local}@{}", customer.domain),
                phone: None,
                role: *role,
                priority: *priority,
                language: Language::English,
                hours: None,
            };
            contact::add(app, &decider, &wanted).await?;
        }
        deciders.push(decider);
        push(app, &intake, &tenant, customer.domain).await?;
        customers.push((customer.name.to_owned(), credentials));
        tenants.push(tenant);
    }
    crate::worker::settle(app).await?;
    let reach = Reach::Granted(tenants.iter().map(|tenant| tenant.no).collect::<Arc<[_]>>());
    let mut taken_up = Vec::new();
    for tenant in &tenants {
        taken_up.push(work(app, tenant, &reach).await?);
    }
    let [expert, lead, ..] = provider.as_slice() else {
        return Err(Error::Internal("the demo has no provider's people".to_owned()));
    };
    let of_provider = |(id, email, role): &(String, &str, Role)| {
        somebody(app, id.clone(), email, *role, TenantNo::PROVIDER, &reach)
    };
    enter(app, (&of_provider(expert), &of_provider(lead)), &deciders, &tenants).await?;
    let expert = Caller::local("Signe Holm", reach, &[Permission::Experts]);
    let mut devices = Vec::new();
    for ((tenant, customer), incidents) in tenants.iter().zip(&deciders).zip(&taken_up) {
        let sides = response::Sides { expert: &expert, customer };
        response::others(app, tenant.no, sides, incidents).await?;
    }
    for build in real::BUILDS {
        for ((customer, tenant), decider) in CUSTOMERS.iter().zip(&tenants).zip(&deciders) {
            if customer.name == build.customer {
                let sides = response::Sides { expert: &expert, customer: decider };
                // Where experts may act they have yet to publish; elsewhere the customer is to act.
                let guided = customer.grant == ExpertAccess::Reader;
                devices.push(break_in(app, &intake, tenant, sides, (build, guided)).await?);
            }
        }
    }
    Ok(Some(Access { experts, customers, setup_url, devices }))
}

/// An incident on a device that is really there, with its response as far as it has come.
async fn break_in(
    app: &App,
    intake: &Intake,
    tenant: &Tenant,
    sides: response::Sides<'_>,
    (build, guided): (&real::Build, bool),
) -> Result<Device> {
    for (format, record) in build.records(app.clock.now()) {
        take_in(app, intake, tenant, "Endpoint connector", (format, record)).await?;
    }
    crate::worker::settle(app).await?;
    let row = app
        .db
        .of(tenant.no)
        .query_one("select max(id) from incident where tenant_no = $1", vec![tenant.no.0.into()])
        .await?
        .ok_or_else(|| Error::Internal("the demo has no incidents".to_owned()))?;
    let id = IncidentId(column(&row, 0)?);
    response::about(app, sides, id, build, guided).await?;
    Ok(Device {
        name: build.name.to_owned(),
        customer: build.customer.to_owned(),
        tenant_id: tenant.id.clone(),
        incident: id.to_string(),
        click: build.click.to_owned(),
    })
}

/// One of the demo's people, as if signed in just now.
fn somebody(
    app: &App,
    id: String,
    email: &str,
    role: Role,
    organisation: TenantNo,
    reach: &Reach,
) -> Caller {
    let proven = Some(app.clock.now());
    let seat = Seat { session: String::new(), organisation, role, factor: Factor::Demo, proven };
    let within = Within { reach: reach.clone(), queue: reach.clone(), address: None };
    Caller::person(id, email.to_owned(), seat, within)
}

/// An expert is inside of one customer's tenant, was inside of the other's, and waits to be again.
async fn enter(
    app: &App,
    (expert, lead): (&Caller, &Caller),
    deciders: &[Caller],
    tenants: &[Tenant],
) -> Result<()> {
    let ([first, second], [_, other_decides]) = (tenants, deciders) else {
        return Err(Error::Internal("the demo has two customers".to_owned()));
    };
    let wanted = |tenant: &Tenant, level, reason: &str, hours| access::Wanted {
        tenant: tenant.no,
        incident: None,
        level,
        reason: reason.to_owned(),
        hours,
    };
    let reason = "Alerts of this morning on several devices; reading their timelines.";
    let inside = wanted(first, ExpertAccess::Operator, reason, access::MOST_HOURS);
    let inside = access::request(app, expert, inside).await?;
    access::approve(app, lead, &inside).await?;
    let reason = "A sign-in from a new country; is it the same intruder?";
    let before = wanted(second, ExpertAccess::Reader, reason, 2);
    let before = access::request(app, expert, before).await?;
    access::approve(app, other_decides, &before).await?;
    access::revoke(app, other_decides, &before, "It was the owner, travelling.").await?;
    let reason = "A mail with a link that three people opened.";
    access::request(app, expert, wanted(second, ExpertAccess::Reader, reason, 4)).await?;
    Ok(())
}

async fn push(app: &App, intake: &Intake, tenant: &Tenant, domain: &str) -> Result<()> {
    let now = app.clock.now();
    for number in 0..STORIES {
        let story = Story::new(number, domain, now);
        for record in story.records() {
            take_in(app, intake, tenant, story.product(), record).await?;
        }
    }
    Ok(())
}

async fn take_in(
    app: &App,
    intake: &Intake,
    tenant: &Tenant,
    product: &str,
    (format, record): (Format, String),
) -> Result<()> {
    let by = Actor::integration(product);
    let outcome = intake.accept(app, tenant.no, by, format, record.into()).await?;
    if outcome.accepted == 0 {
        let errors = outcome.errors;
        return Err(Error::Internal(format!("a demo record was not accepted: {errors:?}")));
    }
    Ok(())
}

/// Works a share of the incidents, as experts and the customer would; gives those that experts have
/// taken up and not ended.
async fn work(app: &App, tenant: &Tenant, reach: &Reach) -> Result<Vec<IncidentId>> {
    let expert = Caller::local("Signe Holm", reach.clone(), &[Permission::Experts]);
    let customer = Caller::local(
        "Operations desk",
        Reach::Tenant(tenant.no),
        &[Permission::IncidentReadWrite],
    );
    let rows = app
        .db
        .of(tenant.no)
        .query(
            "select id, owner from incident where tenant_no = $1 and status = $2 order by id",
            vec![tenant.no.0.into(), i64::from(IncidentStatus::Active.code()).into()],
        )
        .await?;
    let mut queued = Vec::new();
    let mut left_out = Vec::new();
    let mut taken_up = Vec::new();
    for row in rows {
        let id = IncidentId(column(&row, 0)?);
        match column::<Option<String>>(&row, 1)? {
            Some(_) => queued.push(id),
            None => left_out.push(id),
        }
    }
    for (place, id) in queued.iter().enumerate() {
        match place % 7 {
            0 | 1 => {
                incident::start(app, &expert, *id).await?;
                let texts = vec![
                    "Reading the device timeline; first contact looks like the mail of that \
                     morning."
                        .to_owned(),
                ];
                incident::comment(app, &expert, *id, texts).await?;
                taken_up.push(*id);
            }
            2 => {
                incident::start(app, &expert, *id).await?;
                incident::conclude(
                    app,
                    &expert,
                    *id,
                    Classification::FalsePositive,
                    Determination::NotMalicious,
                    "The tool belongs to the deployment system and is signed by its maker. No \
                     other sign of compromise on the device in the week around it."
                        .to_owned(),
                )
                .await?;
            }
            3 => {
                incident::start(app, &expert, *id).await?;
                incident::conclude(
                    app,
                    &expert,
                    *id,
                    Classification::InformationalExpectedActivity,
                    Determination::SecurityTesting,
                    "The customer's announced penetration test; source and hours match the notice."
                        .to_owned(),
                )
                .await?;
            }
            4 => {
                incident::start(app, &expert, *id).await?;
                let patch = Patch {
                    classification: Some(Classification::TruePositive),
                    determination: Some(Determination::CompromisedAccount),
                    status: Some(IncidentStatus::Resolved),
                    resolving_comment: Some(
                        "Sessions revoked and password changed by the customer.".to_owned(),
                    ),
                    ..Patch::default()
                };
                incident::change(app, &expert, *id, patch).await?;
            }
            _ => {}
        }
    }
    // Two that nobody has taken up yet.
    let waiting: Vec<IncidentId> =
        queued.iter().enumerate().filter(|(place, _)| place % 7 > 4).map(|(_, id)| *id).collect();
    if let [first, second, ..] = waiting.as_slice() {
        incident::merge(app, &expert, vec![*first, *second], Some("Same intruder.".to_owned()))
            .await?;
    }
    for (place, id) in left_out.iter().enumerate() {
        let patch = match place % 3 {
            0 => Patch {
                assigned_to: Some("it-desk@customer.example".to_owned()),
                custom_tags: Some(vec!["Reviewed weekly".to_owned()]),
                ..Patch::default()
            },
            1 => Patch {
                status: Some(IncidentStatus::Resolved),
                classification: Some(Classification::InformationalExpectedActivity),
                determination: Some(Determination::ConfirmedActivity),
                resolving_comment: Some("Known to us.".to_owned()),
                ..Patch::default()
            },
            _ => continue,
        };
        incident::change(app, &customer, *id, patch).await?;
    }
    Ok(taken_up)
}
