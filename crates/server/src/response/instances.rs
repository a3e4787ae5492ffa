//! Where else a quarantined file was seen (MR-20), and whether it is widely used (MR-18).
//!
//! A file is known by its SHA-256. It was seen on a device where an alert of the last 30 days names
//! both, or where a scan of an agent found it. At most [`LOOKED_THROUGH`] alerts are looked through,
//! the newest incidents first, and the answer says when there may be more. Not here: the file itself;
//! the agent looks for it by its hash and leaves alone what an installed package brought unchanged.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::alert::view::{self, Full};
use crate::app::App;
use crate::asset::{self, Device};
use crate::clock::Timestamp;
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::id::{ActionId, TenantNo};
use crate::incident::entity::{EntityKind, entity_id};
use crate::response::catalog::{Kind, TargetKind};
use crate::response::each::{Asked, Item, each};
use crate::response::engine::Wish;
use crate::response::order;
use crate::response::store::{self, Action, Target};
use crate::response::{BY_HAND, Channel, acts, find_action, requester, text};
use crate::tenant::caller::Caller;
use crate::tx::Tx;

/// For how long a sighting counts, in seconds (MR-18).
const SEEN_S: i64 = 30 * 86_400;
/// Alerts looked through.
const LOOKED_THROUGH: u64 = 1_000;
/// Incidents and scans looked through.
const INCIDENTS: u64 = 200;
/// Devices one request reaches (MR-18).
const MOST: usize = 1_000;
/// On so many devices a file is widely used.
const WIDELY: usize = 10;
/// Added to a kind's number where the source called the thing hostile.
const JUDGED: i16 = 100;
/// Folders that packages install into.
const OF_PACKAGES: [&str; 6] = ["/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/boot/"];

/// One device on which a file was seen.
#[derive(Clone, Debug)]
pub struct Instance {
    /// What it is called.
    pub name: String,
    /// The device, where one of that name is known.
    pub device: Option<Device>,
    /// Where on it.
    pub path: Option<String>,
    /// When it was last seen there.
    pub seen: Timestamp,
    /// Who saw it: `alert al12`, `scan ac3`.
    pub by: String,
}

/// Where a file was seen.
#[derive(Clone, Debug, Default)]
pub struct Sightings {
    /// By device, the last seen first.
    pub found: Vec<Instance>,
    /// Whether not everything was looked through.
    pub cut: bool,
}

impl Sightings {
    /// Why to think twice before the file is taken away everywhere.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        let count = self.found.len();
        if count >= WIDELY {
            let least = if self.cut { "at least " } else { "" };
            all.push(format!(
                "the file is widely used: it was seen on {least}{count} devices in 30 days"
            ));
        }
        all.extend(self.found.iter().filter_map(|it| it.path.as_deref()).find_map(of_packages));
        all
    }
}

/// What to know of a file where packages install to.
#[must_use]
pub fn of_packages(path: &str) -> Option<String> {
    let installed = OF_PACKAGES.iter().any(|folder| path.starts_with(folder));
    (installed && !path.starts_with("/usr/local/")).then(|| {
        format!(
            "{path} is where packages install to: an agent leaves a file alone that a package \
             brought and nobody changed"
        )
    })
}

/// The SHA-256 of the file that an action took away.
#[must_use]
pub fn hash_of(action: &Action) -> Option<String> {
    if action.kind != Kind::StopAndQuarantineFile {
        return None;
    }
    let read = action.read_back.as_ref().and_then(|read| read.get("sha256")?.as_str());
    order::hash(&action.target.key).or_else(|| order::hash(read?))
}

/// Where a file was seen.
pub async fn sightings(app: &App, tenant: TenantNo, sha256: &str) -> Result<Sightings> {
    let tx = app.db.of(tenant).snapshot().await?;
    let since = app.clock.now().plus_seconds(-SEEN_S);
    let mut found: BTreeMap<String, Instance> = BTreeMap::new();
    let mut cut = alerts(&tx, tenant, (sha256, since), &mut found).await?;
    cut |= scans(&tx, tenant, (sha256, since), &mut found).await?;
    let mut found: Vec<Instance> = found.into_values().collect();
    for one in &mut found {
        one.device = match asset::find_in(&tx, tenant, &one.name).await {
            Ok(device) => device,
            // Several machines share the name: nobody can tell which it was.
            Err(Error::Invalid(_)) => None,
            Err(error) => return Err(error),
        };
    }
    found.sort_by(|one, two| two.seen.cmp(&one.seen).then_with(|| one.name.cmp(&two.name)));
    Ok(Sightings { found, cut })
}

fn note(found: &mut BTreeMap<String, Instance>, one: Instance) {
    let key = one.name.to_lowercase();
    match found.get_mut(&key) {
        Some(known) if known.seen >= one.seen => known.path = known.path.take().or(one.path),
        Some(known) => {
            let path = known.path.take();
            *known = Instance { path: one.path.clone().or(path), ..one };
        }
        None => {
            found.insert(key, one);
        }
    }
}

async fn alerts(
    tx: &Transaction,
    tenant: TenantNo,
    (sha256, since): (&str, Timestamp),
    found: &mut BTreeMap<String, Instance>,
) -> Result<bool> {
    let codes = [EntityKind::File as i16, EntityKind::File as i16 + JUDGED];
    let ids = codes.map(|code| entity_id(code, sha256));
    let sql = format!(
        "select distinct incident_id from run where tenant_no = $1 and entity_id in ($2, $3) \
         and last_at >= $4 order by incident_id desc limit {}",
        INCIDENTS + 1
    );
    let values = vec![tenant.0.into(), ids[0].into(), ids[1].into(), since.micros().into()];
    let rows = tx.query(&sql, values).await?;
    let mut budget = LOOKED_THROUGH;
    for row in rows.iter().take(usize::try_from(INCIDENTS).unwrap_or(usize::MAX)) {
        let incident: i64 = column(row, 0)?;
        let sql = format!(
            "select {} from alert join alert_body on alert_body.alert_id = alert.id \
             where alert.incident_id = $1 and alert.last_activity_at >= $2 \
             order by alert.id desc limit {budget}",
            view::COLUMNS
        );
        for row in tx.query(&sql, vec![incident.into(), since.micros().into()]).await? {
            budget = budget.saturating_sub(1);
            let Full { alert, body } = Full::from_row(&row)?;
            for (name, path) in named(&body, sha256) {
                let by = format!("alert {}", alert.id);
                let seen = alert.head.last_activity;
                note(found, Instance { name, device: None, path, seen, by });
            }
        }
        if budget == 0 {
            return Ok(true);
        }
    }
    Ok(rows.len() as u64 > INCIDENTS)
}

/// The devices that an alert names together with a file, and where it is on each.
fn named(body: &Map<String, Value>, sha256: &str) -> Vec<(String, Option<String>)> {
    let text = |value: &Value, member: &str| -> String {
        value.get(member).and_then(Value::as_str).map(str::trim).unwrap_or_default().to_owned()
    };
    let evidence = body.get("evidence").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut devices = Vec::new();
    for piece in evidence {
        if text(piece, "@odata.type").ends_with(".deviceEvidence") {
            let names = [text(piece, "deviceDnsName"), text(piece, "hostName")];
            let name = names.into_iter().find(|name| !name.is_empty());
            let short = name.map(|name| name.split('.').next().unwrap_or_default().to_owned());
            if let Some(short) = short.filter(|short| !short.is_empty()) {
                devices.push((text(piece, "mdeDeviceId"), short));
            }
        }
    }
    let mut found = Vec::new();
    for piece in evidence {
        for file in ["fileDetails", "imageFile"].into_iter().filter_map(|it| piece.get(it)) {
            if !text(file, "sha256").eq_ignore_ascii_case(sha256) {
                continue;
            }
            let folder = text(file, "filePath");
            let path = format!("{}/{}", folder.trim_end_matches('/'), text(file, "fileName"));
            let path = Some(path).filter(|path| folder.starts_with('/') && !path.ends_with('/'));
            let on = text(piece, "mdeDeviceId");
            // The piece may say on which of the devices it is.
            let told = devices.iter().any(|(id, _)| !on.is_empty() && *id == on);
            let fits = devices.iter().filter(|(id, _)| !told || *id == on);
            found.extend(fits.map(|(_, name)| (name.clone(), path.clone())));
        }
    }
    found
}

/// What scans of agents found.
async fn scans(
    tx: &Transaction,
    tenant: TenantNo,
    (sha256, since): (&str, Timestamp),
    found: &mut BTreeMap<String, Instance>,
) -> Result<bool> {
    let sql = format!(
        "select {} from action where tenant_no = $1 and requested_at >= $2 \
         and kind = 'runAntiVirusScan' and found like $3 order by requested_at desc limit {}",
        store::ACTION,
        INCIDENTS + 1
    );
    let like = format!("%{sha256}%");
    let values = vec![tenant.0.into(), since.micros().into(), like.into()];
    let rows = tx.query(&sql, values).await?;
    for row in rows.iter().take(usize::try_from(INCIDENTS).unwrap_or(usize::MAX)) {
        let action = Action::from_row(row)?;
        let hits = action.found.as_ref().and_then(|found| found.get("hits")?.as_array());
        for hit in hits.into_iter().flatten() {
            if hit.get("sha256").and_then(Value::as_str) != Some(sha256) {
                continue;
            }
            note(
                found,
                Instance {
                    name: action.target.name.clone(),
                    device: None,
                    path: hit.get("path").and_then(Value::as_str).map(str::to_owned),
                    seen: action.ended.unwrap_or(action.requested),
                    by: format!("scan {}", action.id),
                },
            );
        }
    }
    Ok(rows.len() as u64 > INCIDENTS)
}

/// Where else the file of a quarantine was seen: without the device it was taken from, and those
/// that have it in quarantine already.
///
/// # Errors
/// `Conflict` when the action took no file away that is known by its hash.
pub async fn instances(
    app: &App,
    caller: &Caller,
    id: ActionId,
) -> Result<(Action, String, Sightings, usize)> {
    let action = find_action(app, caller, id).await?;
    let sha256 = hash_of(&action).ok_or_else(|| {
        Error::Conflict(format!("{id} quarantined no file that is known by its SHA-256"))
    })?;
    let mut seen = sightings(app, action.tenant, &sha256).await?;
    let before = seen.found.len();
    seen.found.retain(|one| {
        let Some(device) = &one.device else { return true };
        Some(device.no) != action.device && !device.states.quarantined.contains(&sha256)
    });
    let done = before - seen.found.len();
    Ok((action, sha256, seen, done))
}

/// Takes the file of a quarantine away on further devices (MR-20): an action on each, linked to the
/// first, with the usual clearance.
pub async fn apply(
    app: &App,
    caller: &Caller,
    id: ActionId,
    on: &[String],
    comment: &str,
) -> Result<Vec<Asked>> {
    acts(caller)?;
    let comment = text("comment", comment, 4_000)?;
    if comment.is_empty() {
        return Err(Error::Invalid("a comment is mandatory: say why".to_owned()));
    }
    if on.is_empty() || on.len() > MOST {
        return Err(Error::Invalid(format!("a file is quarantined on 1 to {MOST} devices")));
    }
    let (first, sha256, seen, _) = instances(app, caller, id).await?;
    let kind = Kind::StopAndQuarantineFile;
    let mut items: Vec<Item> = Vec::new();
    for device in on {
        let known = seen
            .found
            .iter()
            .find(|one| one.device.as_ref().is_some_and(|known| known.id == *device));
        let Some((device, path)) =
            known.and_then(|one| Some((one.device.clone()?, one.path.clone())))
        else {
            return Err(Error::NotFound("the file was not seen on one of the devices".to_owned()));
        };
        let known = |(channel, _): &Item| channel.device().is_some_and(|it| it.no == device.no);
        if items.iter().any(known) {
            continue;
        }
        let target = Target {
            kind: TargetKind::File,
            name: format!("{sha256} on {}", device.name),
            key: sha256.clone(),
            device: Some(device.id.clone()),
            mailbox: None,
        };
        // Where it was seen is looked at as well as where files like it usually are.
        let folder = path.as_deref().and_then(|path| path.rsplit_once('/')).map(|(it, _)| it);
        let options = match folder.filter(|folder| !folder.is_empty()) {
            Some(folder) => json!({ "under": order::usual_and(folder) }),
            None => json!({}),
        };
        let options = kind.entry().options(&options).map_err(Error::Invalid)?;
        items.push((Channel::Agent(Box::new(device)), Ok((target, options))));
    }
    let requester = requester(caller);
    let source = if first.incident.is_some() { requester.source() } else { BY_HAND };
    let mut tx = Tx::begin(app, first.tenant, caller.actor()).await?;
    let all = each(&mut tx, kind, &items, &requester, |wish| Wish {
        incident: first.incident,
        comment: Some(comment.clone()),
        source,
        ..wish
    })
    .await?;
    for made in &all.made {
        let sql = "update action set instance_of = $2 where id = $1 and id <> $2";
        tx.execute(sql, vec![made.0.into(), id.0.into()]).await?;
    }
    tx.made(serde_json::to_string(&all.told).map_err(Error::internal)?).await?;
    tx.commit().await?;
    for (channel, _) in &items {
        channel.ring(app);
    }
    Ok(all.told)
}

/// The action that an action was applied from, and how many were applied from it.
pub async fn links(app: &App, action: &Action) -> Result<(Option<ActionId>, i64)> {
    let scope = app.db.of(action.tenant);
    let sql = "select instance_of, (select count(*) from action other \
               where other.instance_of = action.id) from action where id = $1";
    let Some(row) = scope.query_one(sql, vec![action.id.0.into()]).await? else {
        return Ok((None, 0));
    };
    Ok((column::<Option<i64>>(&row, 0)?.map(ActionId), column(&row, 1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_on_the_devices_that_its_alert_names_with_it() {
        let sha = "ab".repeat(32);
        let device = |id: &str, name: &str| {
            json!({ "@odata.type": "#microsoft.graph.security.deviceEvidence",
                    "mdeDeviceId": id, "deviceDnsName": name })
        };
        let file = |on: &str, path: &str| {
            json!({ "@odata.type": "#microsoft.graph.security.fileEvidence", "mdeDeviceId": on,
                    "fileDetails": { "sha256": sha.to_uppercase(), "filePath": path,
                                     "fileName": "x" } })
        };
        let of = |evidence: Value| {
            let body = json!({ "evidence": evidence });
            named(body.as_object().unwrap(), &sha)
        };
        let (one, two) = (device("d1", "h1.alder.example"), device("d2", "h2"));
        assert_eq!(
            of(json!([one, two, file("d2", "/tmp")])),
            [("h2".to_owned(), Some("/tmp/x".to_owned()))]
        );
        assert_eq!(of(json!([one, two, file("", "C:\\Temp")])).len(), 2);
        assert_eq!(of(json!([one, file("d9", "/tmp/")]))[0].1.as_deref(), Some("/tmp/x"));
        assert_eq!(of(json!([file("d1", "/tmp"), null, 7, { "fileDetails": 3 }])), []);
    }

    #[test]
    fn what_is_widely_used_or_of_a_package_is_said() {
        let one = |n: usize, path: Option<&str>| Instance {
            name: format!("h{n}"),
            device: None,
            path: path.map(str::to_owned),
            seen: Timestamp::default(),
            by: String::new(),
        };
        let few = Sightings { found: (0..9).map(|n| one(n, None)).collect(), cut: false };
        assert_eq!(few.warnings(), Vec::<String>::new());
        let many = Sightings { found: (0..10).map(|n| one(n, None)).collect(), cut: true };
        assert!(many.warnings()[0].contains("at least 10 devices"));
        let installed = Sightings { found: vec![one(1, Some("/usr/bin/x"))], cut: false };
        assert!(installed.warnings()[0].contains("/usr/bin/x is where packages install to"));
        assert_eq!((of_packages("/usr/local/bin/x"), of_packages("/tmp/x")), (None, None));
    }
}
