//! The audit tree: proof that no recorded change was altered or removed.
//!
//! Every event is a leaf of its tenant's RFC 6962 tree (see `ledger`, `merkle`); what the provider
//! does on its own side is in a tree of its own, under [`TenantNo::PROVIDER`]. A checkpoint is a
//! tenant's tree size and root at a moment, signed; whoever keeps one can later show that the
//! leaves up to it are still the same. A checkpoint over all has the newest ones of all tenants as its
//! leaves, so that no whole tree can be exchanged either. [`verify`] recomputes every leaf from the stored rows.
//! Not here: who may read the audit log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use crate::app::{App, OWNERS, next_ids};
use crate::db::{Transaction, column};
use crate::error::{Error, Result};
use crate::id::TenantNo;
use crate::ledger::Leaf;
use crate::merkle;

/// Leaves after which a checkpoint is written before its minute is over.
pub const CHECKPOINT_LEAVES: i64 = 1_000;
/// Seconds after which a tenant with new leaves gets a checkpoint.
pub const CHECKPOINT_S: i64 = 60;
/// Events read at a time.
const CHUNK: i64 = 4_096;

/// What [`verify`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Leaves recomputed, over all tenants and the provider.
    pub leaves: u64,
    /// Root over the tenants' roots, in hexadecimal.
    pub root: String,
    /// Whether everything agrees.
    pub ok: bool,
    /// The first leaf that does not, as `tenant id:position`, and why.
    pub first_bad: Option<String>,
}

/// A tenant's tree at a moment, signed by this installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// The tenant, or the provider.
    pub tenant_id: String,
    /// Leaves in the tree.
    pub size: u64,
    /// The root, in hexadecimal.
    pub root: String,
    /// Microseconds since the epoch.
    pub at: i64,
    /// Which key signed.
    pub key_id: String,
    /// The Ed25519 signature over the checkpoint's text, in base64.
    pub signature: String,
}

impl Checkpoint {
    /// The text that is signed: one line a member.
    fn text(tenant_id: &str, size: u64, root: &str, at: i64) -> String {
        format!("riposte checkpoint 1\n{tenant_id}\n{size}\n{root}\n{at}\n")
    }
}

async fn signing_key(app: &App) -> Result<(String, Ed25519KeyPair)> {
    let fresh = Ed25519KeyPair::generate_pkcs8(app.random.ring())
        .map_err(|_| Error::Internal("cannot make a signing key".to_owned()))?;
    let tx = app.db.shared().begin().await?;
    tx.execute(
        "insert into signing_key (id, kind, pkcs8, created_at) \
         values ('checkpoint-1', 'checkpoint', $1, $2) on conflict (id) do nothing",
        vec![fresh.as_ref().to_vec().into(), app.clock.now().micros().into()],
    )
    .await?;
    let row = tx
        .query_one("select pkcs8 from signing_key where id = 'checkpoint-1'", vec![])
        .await?
        .ok_or_else(|| Error::Internal("there is no checkpoint key".to_owned()))?;
    tx.commit().await?;
    let pkcs8: Vec<u8> = column(&row, 0)?;
    let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
        .map_err(|_| Error::Internal("the checkpoint key is damaged".to_owned()))?;
    Ok(("checkpoint-1".to_owned(), key))
}

/// Writes a checkpoint for every tenant that is due one; says for how many.
pub async fn checkpoint(app: &App) -> Result<u64> {
    let now = app.clock.now();
    let due = app
        .db
        .whole("every tree is checkpointed")
        .query(
            &format!(
                "select ledger.tenant_no, owner.id from ledger \
                 join {OWNERS} on owner.no = ledger.tenant_no \
                 left join (select tenant_no, max(size) as size, max(at) as at from checkpoint \
                            group by tenant_no) last on last.tenant_no = ledger.tenant_no \
                 where ledger.size > coalesce(last.size, 0) \
                 and (ledger.size >= coalesce(last.size, 0) + $1 or coalesce(last.at, 0) <= $2)"
            ),
            vec![CHECKPOINT_LEAVES.into(), now.plus_seconds(-CHECKPOINT_S).micros().into()],
        )
        .await?;
    if due.is_empty() {
        return Ok(0);
    }
    let (key_id, key) = signing_key(app).await?;
    let mut written = 0;
    for row in due {
        let tenant: i64 = column(&row, 0)?;
        let tenant_id: String = column(&row, 1)?;
        let tx = app.db.of(TenantNo(tenant)).begin().await?;
        let serial = next_serial(&tx).await?;
        let now = app.clock.now();
        let Some(head) = tx
            .query_one("select size, peaks from ledger where tenant_no = $1", vec![tenant.into()])
            .await?
        else {
            continue;
        };
        let size: i64 = column(&head, 0)?;
        let peaks: Vec<u8> = column(&head, 1)?;
        let tree = merkle::Tree::from_bytes(&peaks)
            .map_err(|_| Error::Internal(format!("ledger of tenant {tenant_id} is damaged")))?;
        let root = tree.root();
        let text = Checkpoint::text(&tenant_id, size as u64, &hex::encode(root), now.micros());
        tx.execute(
            "insert into checkpoint (tenant_no, size, root, at, key_id, signature, serial) \
             values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing",
            vec![
                tenant.into(),
                size.into(),
                root.to_vec().into(),
                now.micros().into(),
                key_id.clone().into(),
                key.sign(text.as_bytes()).as_ref().to_vec().into(),
                serial.into(),
            ],
        )
        .await?;
        tx.commit().await?;
        written += 1;
    }
    if written > 0 {
        checkpoint_over_all(app, &key_id, &key).await?;
    }
    Ok(written)
}

/// The tenant id of a checkpoint over the trees of all.
const ALL: &str = "*";

/// The next place in the order of checkpoints, whichever server signs: held until the transaction
/// ends, so that who has a later one sees all before it.
async fn next_serial(tx: &Transaction) -> Result<i64> {
    Ok(next_ids(tx, "checkpoint", 1).await?.start)
}

/// The tree whose leaves are each tenant's newest checkpoint before a place in their order, by the
/// tenants' ids.
async fn over_all_before(tx: &Transaction, serial: i64) -> Result<merkle::Tree> {
    let sql = format!(
        "select owner.id, checkpoint.size, checkpoint.root from {OWNERS} \
         join checkpoint on checkpoint.tenant_no = owner.no and checkpoint.size = \
         (select max(size) from checkpoint last where last.tenant_no = owner.no \
          and last.serial < $1) order by owner.id"
    );
    let mut tree = merkle::Tree::default();
    for row in tx.query(&sql, vec![serial.into()]).await? {
        let (id, size): (String, i64) = (column(&row, 0)?, column(&row, 1)?);
        tree.append(head_hash(&id, size as u64, &column::<Vec<u8>>(&row, 2)?));
    }
    Ok(tree)
}

/// A tenant's tree as a leaf of the tree over all.
fn head_hash(id: &str, size: u64, root: &[u8]) -> merkle::Hash {
    let mut head = id.as_bytes().to_vec();
    head.extend(size.to_be_bytes());
    head.extend(root);
    merkle::leaf_hash(&head)
}

async fn checkpoint_over_all(app: &App, key_id: &str, key: &Ed25519KeyPair) -> Result<()> {
    let tx = app.db.whole("the tree over all").begin().await?;
    let serial = next_serial(&tx).await?;
    let tree = over_all_before(&tx, serial).await?;
    let (root, at) = (tree.root(), app.clock.now().micros());
    let text = Checkpoint::text(ALL, tree.size(), &hex::encode(root), at);
    tx.execute(
        "insert into checkpoint_over_all (serial, at, trees, root, key_id, signature) \
         values ($1, $2, $3, $4, $5, $6)",
        vec![
            serial.into(),
            at.into(),
            (tree.size() as i64).into(),
            root.to_vec().into(),
            key_id.to_owned().into(),
            key.sign(text.as_bytes()).as_ref().to_vec().into(),
        ],
    )
    .await?;
    tx.commit().await
}

/// The newest checkpoint over the trees of all tenants and the provider's own, for anybody to keep:
/// no tree can be taken away or made anew without its root changing.
pub async fn newest_over_all(app: &App) -> Result<Option<Checkpoint>> {
    let sql = "select trees, root, at, key_id, signature from checkpoint_over_all \
               order by serial desc limit 1";
    let row = app.db.shared().query_one(sql, vec![]).await?;
    row.map(|row| {
        Ok(Checkpoint {
            tenant_id: ALL.to_owned(),
            size: column::<i64>(&row, 0)? as u64,
            root: hex::encode(column::<Vec<u8>>(&row, 1)?),
            at: column(&row, 2)?,
            key_id: column(&row, 3)?,
            signature: BASE64.encode(column::<Vec<u8>>(&row, 4)?),
        })
    })
    .transpose()
}

/// What is wrong with a checkpoint over all, when something is.
async fn fault_over_all(
    app: &App,
    key: &[u8],
    one: &Checkpoint,
    whose: &str,
) -> Result<Option<String>> {
    if !is_signed(key, one) {
        return Ok(Some(format!("{ALL}:{} {whose} is not signed by this installation", one.size)));
    }
    let tx = app.db.whole("the tree over all").snapshot().await?;
    let sql = "select serial from checkpoint_over_all where at = $1 and root = $2";
    let root = hex::decode(&one.root).unwrap_or_default();
    let Some(row) = tx.query_one(sql, vec![one.at.into(), root.into()]).await? else {
        return Ok(Some(format!("{ALL}:{} {whose} is not in the store any more", one.size)));
    };
    let tree = over_all_before(&tx, column(&row, 0)?).await?;
    if (tree.size(), hex::encode(tree.root())) == (one.size, one.root.clone()) {
        return Ok(None);
    }
    Ok(Some(format!("{ALL}:{} {whose} was signed over other trees than there are", one.size)))
}

/// Whether the owner of a public key signed it.
fn is_signed(key: &[u8], one: &Checkpoint) -> bool {
    let text = Checkpoint::text(&one.tenant_id, one.size, &one.root, one.at);
    let signature = BASE64.decode(&one.signature).unwrap_or_default();
    UnparsedPublicKey::new(&ED25519, key).verify(text.as_bytes(), &signature).is_ok()
}

/// The newest checkpoint of a tenant, for its owner to keep.
pub async fn newest(app: &App, tenant: TenantNo) -> Result<Option<Checkpoint>> {
    let row = app
        .db
        .of(tenant)
        .query_one(
            &format!(
                "select owner.id, checkpoint.size, checkpoint.root, checkpoint.at, \
                 checkpoint.key_id, checkpoint.signature from checkpoint \
                 join {OWNERS} on owner.no = checkpoint.tenant_no \
                 where checkpoint.tenant_no = $1 order by checkpoint.size desc limit 1"
            ),
            vec![tenant.0.into()],
        )
        .await?;
    row.map(|row| {
        Ok(Checkpoint {
            tenant_id: column(&row, 0)?,
            size: column::<i64>(&row, 1)? as u64,
            root: hex::encode(column::<Vec<u8>>(&row, 2)?),
            at: column(&row, 3)?,
            key_id: column(&row, 4)?,
            signature: BASE64.encode(column::<Vec<u8>>(&row, 5)?),
        })
    })
    .transpose()
}

/// Recomputes every leaf and root and compares them with what is stored, with the stored
/// checkpoints, and with one that somebody kept (`kept`: the JSON of one or several).
pub async fn verify(app: &App, kept: Option<&str>) -> Result<Finding> {
    let kept: Vec<Checkpoint> = match kept {
        None => Vec::new(),
        Some(text) => serde_json::from_str::<Vec<Checkpoint>>(text)
            .or_else(|_| serde_json::from_str::<Checkpoint>(text).map(|one| vec![one]))
            .map_err(|error| Error::Invalid(format!("the checkpoint cannot be read: {error}")))?,
    };
    let tenants = app
        .db
        .whole("every tree is verified")
        .query(
            &format!(
                "select owner.no, owner.id, ledger.tenant_no from {OWNERS} \
                 left join ledger on ledger.tenant_no = owner.no order by owner.id"
            ),
            vec![],
        )
        .await?;
    let (_, key) = signing_key(app).await?;
    let key = key.public_key().as_ref();
    let mut leaves = 0;
    let mut first_bad = None;
    let mut over_all = merkle::Tree::default();
    let mut seen = Vec::new();
    for row in tenants {
        let tenant = TenantNo(column(&row, 0)?);
        let id: String = column(&row, 1)?;
        if column::<Option<i64>>(&row, 2)?.is_none() {
            // A store of an older version has none for the provider until it changes something.
            if tenant != TenantNo::PROVIDER || has_events(app, tenant).await? {
                first_bad.get_or_insert(format!("{id}:0 the ledger is gone"));
                seen.push(id);
            }
            continue;
        }
        let of_tenant: Vec<&Checkpoint> = kept.iter().filter(|one| one.tenant_id == id).collect();
        let (tree, bad) = verify_tenant(app, tenant, (&id, key), &of_tenant).await?;
        leaves += tree.size();
        first_bad = first_bad.or(bad);
        over_all.append(head_hash(&id, tree.size(), &tree.root()));
        seen.push(id);
    }
    seen.push(ALL.to_owned());
    let stored = newest_over_all(app).await?;
    let stored = stored.iter().map(|one| (one, "the stored checkpoint"));
    let kept_ones = kept.iter().filter(|one| one.tenant_id == ALL);
    for (one, whose) in stored.chain(kept_ones.map(|one| (one, "the kept checkpoint"))) {
        let fault = fault_over_all(app, key, one, whose).await?;
        first_bad = first_bad.or(fault);
    }
    if let Some(gone) = kept.iter().find(|one| !seen.contains(&one.tenant_id)) {
        first_bad.get_or_insert(format!("{}:0 the tenant is gone", gone.tenant_id));
    }
    Ok(Finding { leaves, root: hex::encode(over_all.root()), ok: first_bad.is_none(), first_bad })
}

async fn has_events(app: &App, tenant: TenantNo) -> Result<bool> {
    let sql = "select 1 from event where tenant_no = $1 limit 1";
    Ok(app.db.of(tenant).query_one(sql, vec![tenant.0.into()]).await?.is_some())
}

/// What a tenant's tree must look like at some size.
struct Expected {
    size: u64,
    root: Vec<u8>,
    whose: &'static str,
}

async fn verify_tenant(
    app: &App,
    tenant: TenantNo,
    (id, key): (&str, &[u8]),
    kept: &[&Checkpoint],
) -> Result<(merkle::Tree, Option<String>)> {
    let mut expected = Vec::new();
    let mut first_bad = None;
    // The ledger is read first: events that come while we look are beyond it and not looked at.
    let head = app
        .db
        .of(tenant)
        .query_one("select size, peaks from ledger where tenant_no = $1", vec![tenant.0.into()])
        .await?
        .ok_or_else(|| Error::Internal(format!("tenant {id} has no ledger")))?;
    let size: i64 = column(&head, 0)?;
    for row in app
        .db
        .of(tenant)
        .query(
            "select size, root, at, signature from checkpoint where tenant_no = $1 \
             and size <= $2 order by size",
            vec![tenant.0.into(), size.into()],
        )
        .await?
    {
        let at_size: i64 = column(&row, 0)?;
        expected.push(Expected {
            size: at_size as u64,
            root: column(&row, 1)?,
            whose: "the stored checkpoint",
        });
    }
    for one in kept {
        if !is_signed(key, one) {
            first_bad.get_or_insert(format!(
                "{id}:{} the kept checkpoint is not signed by this installation",
                one.size
            ));
        }
        if one.size > size as u64 {
            first_bad.get_or_insert(format!(
                "{id}:{size} leaves up to {} were removed: the kept checkpoint has them",
                one.size
            ));
        }
        expected.push(Expected {
            size: one.size,
            root: hex::decode(&one.root).unwrap_or_default(),
            whose: "the kept checkpoint",
        });
    }
    expected.sort_by_key(|expected| expected.size);
    let mut expected = expected.into_iter().peekable();
    let mut agreed = 0;
    let mut tree = merkle::Tree::default();
    let mut next = 0;
    while next < size {
        let rows = app
            .db
            .of(tenant)
            .query(
                "select position, at, kind, actor_kind, actor, incident_id, alert_id, body, leaf \
                 from event where tenant_no = $1 and position >= $2 and position < $3 \
                 order by position",
                vec![tenant.0.into(), next.into(), (next + CHUNK).min(size).into()],
            )
            .await?;
        let until = (next + CHUNK).min(size);
        for row in &rows {
            let position: i64 = column(row, 0)?;
            if position != next {
                break;
            }
            let (kind, actor_kind, actor): (String, String, String) =
                (column(row, 2)?, column(row, 3)?, column(row, 4)?);
            let body: String = column(row, 7)?;
            let hash = Leaf {
                tenant,
                position,
                at: column(row, 1)?,
                kind: &kind,
                actor_kind: &actor_kind,
                actor: &actor,
                incident: column(row, 5)?,
                alert: column(row, 6)?,
                body: &body,
            }
            .hash();
            let stored: Vec<u8> = column(row, 8)?;
            if stored != hash {
                first_bad.get_or_insert(format!("{id}:{position} the event was altered"));
            }
            tree.append(hash);
            next += 1;
            while expected.next_if(|one| one.size < tree.size()).is_some() {}
            while let Some(one) = expected.next_if(|one| one.size == tree.size()) {
                if one.root == tree.root() {
                    agreed = one.size;
                } else {
                    first_bad.get_or_insert(format!(
                        "{id}:{agreed} an event from here to {} was altered: {} has another root",
                        one.size, one.whose
                    ));
                }
            }
        }
        if next != until {
            first_bad.get_or_insert(format!("{id}:{next} the event was removed"));
            // What follows cannot fit any more; it is still counted and read.
            next += 1;
        }
    }
    let peaks: Vec<u8> = column(&head, 1)?;
    if tree.to_bytes() != peaks {
        first_bad.get_or_insert(format!("{id}:{agreed} the events do not give the ledger's root"));
    }
    Ok((tree, first_bad))
}
