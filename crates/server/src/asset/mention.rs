//! Which incidents name a device, by what alerts call it.
//!
//! Alerts call a device by its short name and often by its full one; an agent knows one of them. A
//! device is named by an incident that has an entity of either.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::App;
use crate::asset::Device;
use crate::db::column;
use crate::error::Result;
use crate::id::{DeviceNo, TenantNo};
use crate::incident::entity::{EntityKind, entity_id};
use crate::incident::{self, Incident};
use crate::tenant::caller::Caller;

/// Added to a kind's number where the source called the thing hostile.
const JUDGED: i16 = 100;

/// The entities that stand for a device.
fn entities(device: &Device) -> Vec<i64> {
    let name = device.name.to_lowercase();
    let short = name.split('.').next().unwrap_or_default().to_owned();
    let mut keys = vec![(EntityKind::DeviceName, short)];
    if name.contains('.') {
        keys.push((EntityKind::Device, format!("dns:{name}")));
    }
    let codes = |kind: EntityKind| [kind as i16, kind as i16 + JUDGED];
    keys.iter().flat_map(|(kind, key)| codes(*kind).map(|code| entity_id(code, key))).collect()
}

/// How many incidents name each of these devices.
pub async fn counts(
    app: &App,
    caller: &Caller,
    devices: &[Device],
) -> Result<BTreeMap<DeviceNo, usize>> {
    let mut whose: BTreeMap<(TenantNo, i64), Vec<DeviceNo>> = BTreeMap::new();
    for device in devices {
        for entity in entities(device) {
            whose.entry((device.tenant, entity)).or_default().push(device.no);
        }
    }
    counts_of(app, caller, &whose).await
}

/// How many incidents have an entity of each of these things.
pub(super) async fn counts_of<K: Ord + Clone>(
    app: &App,
    caller: &Caller,
    whose: &BTreeMap<(TenantNo, i64), Vec<K>>,
) -> Result<BTreeMap<K, usize>> {
    if whose.is_empty() {
        return Ok(BTreeMap::new());
    }
    let scope = caller.view(app);
    let ids = whose.keys().map(|(_, entity)| (*entity).into()).collect();
    let (among, values) = scope.engine().among(1, ids);
    let sql = format!(
        "select distinct tenant_no, entity_id, incident_id from run where entity_id {among}"
    );
    let mut found: BTreeMap<K, BTreeSet<i64>> = BTreeMap::new();
    for row in scope.query(&sql, values).await? {
        let key = (TenantNo(column(&row, 0)?), column(&row, 1)?);
        for thing in whose.get(&key).into_iter().flatten() {
            found.entry(thing.clone()).or_default().insert(column(&row, 2)?);
        }
    }
    Ok(found.into_iter().map(|(thing, incidents)| (thing, incidents.len())).collect())
}

/// The newest incidents that name a device.
pub async fn newest(app: &App, device: &Device, most: u64) -> Result<Vec<Incident>> {
    let scope = app.db.of(device.tenant);
    let ids = entities(device).into_iter().map(Into::into).collect();
    let (among, mut values) = scope.engine().among(2, ids);
    values.insert(0, device.tenant.0.into());
    let sql = format!(
        "select {} from {} where incident.tenant_no = $1 and incident.id in \
         (select run.incident_id from run where run.tenant_no = $1 and run.entity_id {among}) \
         order by incident.id desc limit {most}",
        incident::COLUMNS,
        incident::FROM
    );
    scope.query(&sql, values).await?.iter().map(Incident::from_row).collect()
}
