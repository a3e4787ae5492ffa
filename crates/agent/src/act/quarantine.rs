//! Kills what runs from a file and moves the file away.
//!
//! A file's way: opened without following links, looked at, copied and checked, made unable to
//! start, its processes killed, taken out of its folder. Until the last step everything can be taken
//! back, and is when a step fails.
//!
//! Not here: bringing it back (`restore`).

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ring::digest::{Context, SHA256};
use rustix::fs::{AtFlags, IFlags, Mode, fchmod, ioctl_getflags, ioctl_setflags, unlinkat};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Done, Work};
use crate::data::Data;
use crate::fault::{During, Fault, Result};
use crate::files;
use crate::host::dpkg::{Packages, Standing};
use crate::host::place::{self, Place};
use crate::host::proc::{self, Process};

/// No larger file is taken.
const LARGEST: u64 = 2 << 30;
/// Where malware usually is, when nobody says where to look.
const USUAL: [&str; 9] =
    ["/tmp", "/var/tmp", "/dev/shm", "/home", "/root", "/opt", "/srv", "/usr/local", "/var/www"];

/// Where a file was and what it was like, beside its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) path: PathBuf,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) modified: (i64, i64),
    pub(crate) accessed: (i64, i64),
    /// Extended attributes, values in hex.
    pub(crate) attributes: Vec<(String, String)>,
    /// Flags such as immutable.
    pub(crate) flags: u32,
    pub(crate) order: String,
    pub(crate) at: i64,
}

/// Takes away a file by its path, or every file with a hash.
pub(crate) fn quarantine(
    data: &Data,
    path: Option<&str>,
    sha256: Option<&str>,
    under: &[String],
    work: &Work<'_>,
) -> Result<Done> {
    let wanted = sha256.map(place::hash).transpose()?;
    let paths = match (path, &wanted) {
        (Some(path), _) => vec![place::path(path)?],
        (None, Some(wanted)) => search(wanted, under, work)?,
        (None, None) => return Err(Fault::new("neither a path nor a hash is given")),
    };
    let (mut first, mut taken) = (None, Vec::new());
    let (mut gone, mut alive, mut kept) = (true, 0, true);
    for path in &paths {
        let (hash, size) = match take(data, path, wanted.as_deref(), work) {
            Ok(taken) => taken,
            Err(e) => {
                // What was taken before this one stays taken, and is said.
                let reason = format!("{}: {e}", path.display());
                let back = read_back(data, Some(&path.to_string_lossy()), sha256);
                return Ok(Done::failed(reason).reading(Some(back)).with(json!({"files": taken})));
            }
        };
        let back = read_one(data, path, &hash, size);
        gone &= back["gone"] == true;
        kept &= back["kept"] == true;
        alive += back["alive"].as_u64().unwrap_or(1);
        taken.push(json!({"path": path, "sha256": hash, "size": size}));
        first.get_or_insert(back);
    }
    let mut back = first.ok_or_else(|| Fault::new("no file with this hash was found"))?;
    back["gone"] = json!(gone);
    back["kept"] = json!(kept);
    back["alive"] = json!(alive);
    let done = if gone && kept && alive == 0 {
        Done::well(back)
    } else {
        Done::failed("the file was taken away, but not everything is as it should be")
            .reading(Some(back))
    };
    Ok(done.with(json!({"files": taken})))
}

/// How a file is now.
pub(crate) fn read_back(data: &Data, path: Option<&str>, sha256: Option<&str>) -> Value {
    let hash = sha256.and_then(|hash| place::hash(hash).ok());
    let origin = kept_from(data, path, hash.as_deref());
    let path = path.map(PathBuf::from).or_else(|| origin.as_ref().map(|(_, o)| o.path.clone()));
    let Some(path) = path else {
        return json!({"gone": false, "alive": 0, "kept": false, "sha256": hash, "size": 0,
            "path": null});
    };
    if let Some((hash, _)) = origin {
        let size = fs::metadata(content_of(data, &hash)).map_or(0, |file| file.len());
        read_one(data, &path, &hash, size)
    } else {
        let open = place::open(&path).ok();
        let size = open.as_ref().map_or(0, |place| place.about.len());
        let hash = open.and_then(|place| place.sha256().ok()).or(hash);
        read_one(data, &path, &hash.unwrap_or_default(), size)
    }
}

fn read_one(data: &Data, path: &Path, hash: &str, size: u64) -> Value {
    let gone = path.symlink_metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
    let kept = File::open(content_of(data, hash))
        .and_then(|file| place::sha256(file, None))
        .is_ok_and(|found| found == hash);
    let alive = proc::all()
        .into_iter()
        .filter(|process| runs_from(process, path, hash, size) && process.alive())
        .count();
    json!({"gone": gone, "alive": alive, "kept": kept, "sha256": hash, "size": size, "path": path})
}

/// Whether a process runs from what was at a path, also when it is there no longer.
fn runs_from(process: &Process, path: &Path, hash: &str, size: u64) -> bool {
    let Some(program) = process.program() else { return false };
    let name = program.to_string_lossy();
    if Path::new(name.strip_suffix(" (deleted)").unwrap_or(&name)) != path {
        return false;
    }
    // Another program may stand at the same path by now.
    File::open(format!("/proc/{}/exe", process.pid)).is_ok_and(|file| {
        file.metadata().is_ok_and(|about| about.len() == size)
            && place::sha256(file, None).is_ok_and(|found| found == hash)
    })
}

/// SHA-256 of what is in quarantine.
pub(crate) fn list(data: &Data) -> Vec<String> {
    let entries = fs::read_dir(data.quarantine()).into_iter().flatten().flatten();
    let mut hashes: Vec<String> = entries
        .filter_map(|entry| place::hash(entry.file_name().to_str()?).ok())
        .filter(|hash| content_of(data, hash).is_file())
        .take(10_000)
        .collect();
    hashes.sort_unstable();
    hashes
}

/// The content of a file in quarantine.
pub(crate) fn content_of(data: &Data, hash: &str) -> PathBuf {
    data.quarantine().join(hash).join("content")
}

/// Where the file with a hash was.
pub(crate) fn origins(data: &Data, hash: &str) -> Result<Vec<Origin>> {
    Ok(files::load(&data.quarantine().join(hash).join("origins.json"))?.unwrap_or_default())
}

fn kept_from(data: &Data, path: Option<&str>, hash: Option<&str>) -> Option<(String, Origin)> {
    list(data).into_iter().filter(|kept| hash.is_none_or(|hash| hash == kept)).find_map(|kept| {
        let origin = origins(data, &kept)
            .ok()?
            .into_iter()
            .find(|origin| path.is_none_or(|path| origin.path == Path::new(path)))?;
        Some((kept, origin))
    })
}

fn search(wanted: &str, under: &[String], work: &Work<'_>) -> Result<Vec<PathBuf>> {
    let usual: Vec<String> = USUAL.iter().map(|folder| (*folder).to_owned()).collect();
    let under = if under.is_empty() { &usual } else { under };
    let mut found = Vec::new();
    for root in under {
        let root = place::path(root)?;
        place::walk(&root, &mut |path, about| {
            if about.len() <= LARGEST
                && let Ok(file) = place::open(path)
                && place::sha256(&file.file, Some(work.cancel)).is_ok_and(|hash| hash == wanted)
            {
                found.push(path.to_owned());
            }
            found.len() < 1_000 && !work.cancel.load(Ordering::Relaxed)
        });
        if work.cancel.load(Ordering::Relaxed) {
            return Err(Fault::new("it was cancelled before anything was taken away"));
        }
    }
    if found.is_empty() {
        return Err(Fault::new(format!(
            "no file with this hash was found below {}",
            under.join(", ")
        )));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn take(data: &Data, path: &Path, wanted: Option<&str>, work: &Work<'_>) -> Result<(String, u64)> {
    let place = place::open(path)?;
    let size = place.about.len();
    if size > LARGEST {
        return Err(Fault::new(format!(
            "the file has {size} bytes; more than 2 GiB are not taken"
        )));
    }
    let hash = place.sha256()?;
    if wanted.is_some_and(|wanted| wanted != hash) {
        return Err(Fault::new(format!("the file has another SHA-256: {hash}")));
    }
    spare(data, &place)?;
    keep(data, &place, &hash, work)?;
    let flags = ioctl_getflags(&place.file).unwrap_or(IFlags::empty());
    let fixed = IFlags::IMMUTABLE | IFlags::APPEND;
    if flags.intersects(fixed) {
        ioctl_setflags(&place.file, flags - fixed).during("cannot make the file movable")?;
    }
    let removed = remove(&place, path);
    if removed.is_err() {
        let _ = fchmod(&place.file, Mode::from_raw_mode(place.about.mode()));
        if flags.intersects(fixed) {
            let _ = ioctl_setflags(&place.file, flags);
        }
        forget(data, &hash, path);
    }
    removed.map(|()| (hash, size))
}

fn remove(place: &Place, path: &Path) -> Result<()> {
    // From here on it does not start, so killing comes to an end.
    fchmod(&place.file, Mode::empty()).during("cannot make the file unable to start")?;
    let (id, own) = (place.id(), proc::own());
    let users = || -> Vec<Process> {
        proc::all().into_iter().filter(|process| process.uses(id, path)).collect()
    };
    if let Some(process) = users().iter().find(|process| process.pid == 1 || process.pid == own) {
        return Err(Fault::new(format!(
            "process {} ({}) uses the file",
            process.pid, process.name
        )));
    }
    if let Some(process) = proc::kill(users).first() {
        return Err(Fault::new(format!("process {} ({}) does not end", process.pid, process.name)));
    }
    if !place.is_still_there() {
        return Err(Fault::new("somebody put another file in its place"));
    }
    unlinkat(&place.folder, &place.name, AtFlags::empty()).during("cannot remove the file")?;
    rustix::fs::fsync(&place.folder).during("cannot make the removal last")
}

/// Refuses files without which the device or its agent does not work.
fn spare(data: &Data, place: &Place) -> Result<()> {
    let own = fs::metadata("/proc/self/exe").map(|file| (file.dev(), file.ino()));
    if own.is_ok_and(|own| own == place.id()) {
        return Err(Fault::new("this is the agent itself"));
    }
    if fs::metadata("/proc/1/exe").is_ok_and(|first| (first.dev(), first.ino()) == place.id()) {
        return Err(Fault::new("the first process of the device runs from it"));
    }
    if data.quarantine().parent().is_some_and(|root| place.path.starts_with(root)) {
        return Err(Fault::new("the file is the agent's own"));
    }
    if let Standing::Recorded(recorded) = Packages::load().standing(&place.path) {
        let file = place.file.try_clone().during("cannot read the file")?;
        (&file).rewind().during("cannot read the file")?;
        if place::md5(file).during("cannot read the file")? == recorded {
            return Err(Fault::new("an installed package brought this file, and it is unchanged"));
        }
    }
    Ok(())
}

/// Keeps content and circumstances, and reads the content back.
fn keep(data: &Data, place: &Place, hash: &str, work: &Work<'_>) -> Result<()> {
    let folder = data.quarantine().join(hash);
    files::private_dir(&data.quarantine())?;
    files::private_dir(&folder)?;
    let content = folder.join("content");
    if !content.exists() {
        copy(&place.file, &content, hash).inspect_err(|_| {
            let _ = fs::remove_file(&content);
            let _ = fs::remove_dir(&folder);
        })?;
    }
    let about = &place.about;
    let origin = Origin {
        path: place.path.clone(),
        uid: about.uid(),
        gid: about.gid(),
        mode: about.mode() & 0o7777,
        modified: (about.mtime(), about.mtime_nsec()),
        accessed: (about.atime(), about.atime_nsec()),
        attributes: super::attributes::read(&place.file),
        flags: ioctl_getflags(&place.file).map_or(0, |flags| flags.bits()),
        order: work.order.to_owned(),
        at: work.began,
    };
    let mut origins = origins(data, hash)?;
    origins.retain(|known| known.path != origin.path);
    origins.push(origin);
    files::store(&folder.join("origins.json"), &origins)
}

fn copy(mut from: &File, to: &Path, hash: &str) -> Result<()> {
    let what = "cannot keep the file";
    let mut into = OpenOptions::new()
        .write(true)
        .read(true)
        .create_new(true)
        .mode(0o400)
        .open(to)
        .during(what)?;
    from.rewind().during(what)?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = from.read(&mut buffer).during(what)?;
        if count == 0 {
            break;
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        context.update(bytes);
        into.write_all(bytes).during(what)?;
    }
    into.sync_all().during(what)?;
    if let Some(folder) = to.parent() {
        files::sync_dir(folder).during(what)?;
    }
    if hex::encode(context.finish()) != hash {
        return Err(Fault::new("the file changed while it was read"));
    }
    into.rewind().during(what)?;
    if place::sha256(into, None).during(what)? != hash {
        return Err(Fault::new("what was kept is not what was read"));
    }
    Ok(())
}

/// Forgets that a file was there, and its content when that was the only place.
pub(crate) fn forget(data: &Data, hash: &str, path: &Path) {
    let folder = data.quarantine().join(hash);
    let mut left = origins(data, hash).unwrap_or_default();
    left.retain(|origin| origin.path != path);
    let done = if left.is_empty() {
        fs::remove_dir_all(&folder).during("cannot remove it from quarantine")
    } else {
        files::store(&folder.join("origins.json"), &left)
    };
    if let Err(e) = done {
        tracing::warn!("{e}");
    }
}
