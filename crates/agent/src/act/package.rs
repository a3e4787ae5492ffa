//! Gathers what an investigation needs, or one file, as a zip with a manifest of hashes, and sends
//! it.
//!
//! Always: at most [`LARGEST`] bytes, the manifest last and whole, nothing of `/etc/shadow` and no
//! private key. The zip is removed from the device when it was sent or could not be.
//!
//! Not here: what is gathered (`gather`).

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek as _, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::Ordering;

use ring::digest::{Context, SHA256};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Done, Work, gather, upload};
use crate::agent::Agent;
use crate::fault::{During, Fault, Result};
use crate::files;
use crate::host::place;

/// No zip is larger, and nothing goes in that is.
pub(crate) const LARGEST: u64 = 512 << 20;

/// A zip under way.
pub(crate) struct Bundle<'a> {
    zip: ZipWriter<File>,
    members: Vec<Value>,
    taken: u64,
    work: &'a Work<'a>,
}

impl<'a> Bundle<'a> {
    fn create(path: &Path, work: &'a Work<'a>) -> Result<Self> {
        files::remove(path)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .during("cannot make the zip")?;
        Ok(Self { zip: ZipWriter::new(file), members: Vec::new(), taken: 0, work })
    }

    /// Puts in what can be read, up to `limit` bytes; what does not fit is cut and said to be.
    pub(crate) fn put(&mut self, name: &str, mut from: impl Read, limit: u64) -> Result<()> {
        let what = "cannot write the zip";
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(0o600);
        self.zip.start_file(name, options).during(what)?;
        let limit = limit.min(LARGEST.saturating_sub(self.taken));
        let mut context = Context::new(&SHA256);
        let (mut size, mut buffer) = (0_u64, vec![0; 64 << 10]);
        let mut trouble = None;
        loop {
            if self.work.cancel.load(Ordering::Relaxed) {
                return Err(Fault::new("it was cancelled"));
            }
            let room = buffer.len().min(usize::try_from(limit - size).unwrap_or(usize::MAX));
            let Some(space) = buffer.get_mut(..room).filter(|space| !space.is_empty()) else {
                // Full; whether there was more is said.
                let more = from.read(&mut [0]).is_ok_and(|count| count > 0);
                trouble = more.then(|| "cut".to_owned());
                break;
            };
            match from.read(space) {
                Ok(0) => break,
                Ok(count) => {
                    let bytes = space.get(..count).unwrap_or_default();
                    context.update(bytes);
                    self.zip.write_all(bytes).during(what)?;
                    size += count as u64;
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    trouble = Some(e.to_string());
                    break;
                }
            }
        }
        self.taken += size;
        self.members.push(json!({
            "name": name,
            "size": size,
            "sha256": hex::encode(context.finish()),
            "trouble": trouble,
        }));
        Ok(())
    }

    /// Puts in a value.
    pub(crate) fn put_json(&mut self, name: &str, value: &Value) -> Result<()> {
        let text = serde_json::to_vec_pretty(value).during("cannot spell a member")?;
        self.put(name, text.as_slice(), LARGEST)
    }

    fn finish(mut self, about: &Value) -> Result<File> {
        let manifest = json!({
            "about": about,
            "order": self.work.order,
            "began": self.work.began,
            "members": self.members,
        });
        let text = serde_json::to_vec_pretty(&manifest).during("cannot spell the manifest")?;
        self.taken = 0;
        self.put("manifest.json", text.as_slice(), LARGEST)?;
        let file = self.zip.finish().during("cannot write the zip")?;
        file.sync_all().during("cannot write the zip")?;
        Ok(file)
    }
}

/// Gathers and sends an investigation package.
pub(crate) fn collect_package(agent: &Agent, work: &Work<'_>) -> Result<Done> {
    let name = agent.identity.facts.name.clone();
    send(agent, work, |bundle| {
        gather::everything(bundle, name.as_deref(), &|percent, text| {
            agent.progress(work.order, work.began, percent, text);
        })?;
        Ok((json!({"kind": "package"}), json!({})))
    })
}

/// Sends one file.
pub(crate) fn collect_file(agent: &Agent, path: &str, work: &Work<'_>) -> Result<Done> {
    let place = place::open(&place::path(path)?)?;
    let size = place.about.len();
    if size > LARGEST {
        return Err(Fault::new(format!(
            "the file has {size} bytes; more than 512 MB are not sent"
        )));
    }
    if place.path.starts_with(agent.data.identity()) {
        return Err(Fault::new("the agent's own secrets are not sent"));
    }
    send(agent, work, |bundle| {
        let about = json!({
            "kind": "file",
            "path": place.path,
            "size": size,
            "mode": place.about.mode() & 0o7777,
            "uid": place.about.uid(),
            "gid": place.about.gid(),
            "modified": place.about.modified().map(crate::clock::micros).unwrap_or_default(),
        });
        let name = place.path.to_string_lossy().trim_start_matches('/').to_owned();
        bundle.put(&format!("content/{name}"), &place.file, LARGEST)?;
        let member = bundle.members.last().cloned().unwrap_or_default();
        Ok((about, json!({"path": place.path, "sha256": member["sha256"], "size": size})))
    })
}

fn send(
    agent: &Agent,
    work: &Work<'_>,
    fill: impl FnOnce(&mut Bundle<'_>) -> Result<(Value, Value)>,
) -> Result<Done> {
    let folder = agent.data.packages();
    files::private_dir(&folder)?;
    // The order's id was looked at before: it is letters, digits and dashes.
    let path = folder.join(format!("{}.zip", work.order));
    let sent = (|| {
        let mut bundle = Bundle::create(&path, work)?;
        let (about, found) = fill(&mut bundle)?;
        let mut zip = bundle.finish(&about)?;
        zip.rewind().during("cannot read the zip")?;
        let size = zip.metadata().during("cannot read the zip")?.len();
        let hash = place::sha256(zip, Some(work.cancel)).during("cannot read the zip")?;
        agent.progress(work.order, work.began, 90, "sending");
        upload::send(agent, &path, size, work)?;
        Ok(Done::well(json!({"sent": true, "sha256": hash, "size": size})).with(found))
    })();
    if let Err(e) = files::remove(&path) {
        tracing::warn!("{e}");
    }
    sent
}
