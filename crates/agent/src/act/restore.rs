//! Brings a file back from quarantine, bit for bit, with owner, mode, times and attributes.
//!
//! Always: it takes nobody's place; the file appears under its name only when it is whole and
//! checked; it leaves quarantine only when it was read back from where it was.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, Gid, IFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid, fchmod, fchown,
    futimens, ioctl_setflags, openat, renameat_with, unlinkat,
};
use serde_json::{Value, json};

use super::quarantine::{Origin, content_of, forget, origins};
use super::{Done, Work, attributes};
use crate::data::Data;
use crate::fault::{During, Fault, Result};
use crate::host::place;

/// Brings a file back to every place it was taken from.
pub(crate) fn restore(data: &Data, sha256: &str, work: &Work<'_>) -> Result<Done> {
    let hash = place::hash(sha256)?;
    let origins = origins(data, &hash)?;
    if origins.is_empty() {
        return Err(Fault::new("no file with this hash is in quarantine"));
    }
    let mut restored = Vec::new();
    for origin in &origins {
        put_back(data, &hash, origin, work)?;
        forget(data, &hash, &origin.path);
        restored.push(&origin.path);
    }
    let first = origins.first().map(|origin| origin.path.as_path());
    Ok(Done::well(read_at(first, &hash)).with(json!({"files": restored})))
}

/// How things are in respect of a hash.
pub(crate) fn read_back(data: &Data, sha256: &str) -> Value {
    let hash = place::hash(sha256).unwrap_or_default();
    let origins = origins(data, &hash).unwrap_or_default();
    read_at(origins.first().map(|origin| origin.path.as_path()), &hash)
}

fn read_at(path: Option<&Path>, hash: &str) -> Value {
    let found = path.and_then(|path| place::open(path).ok()?.sha256().ok());
    let present = found.as_deref() == Some(hash);
    json!({"present": present, "sha256": found.as_deref().unwrap_or(hash), "path": path})
}

fn put_back(data: &Data, hash: &str, origin: &Origin, work: &Work<'_>) -> Result<()> {
    let what = format!("cannot bring {} back", origin.path.display());
    let nothing = || Fault::new(format!("{what}: it has no name"));
    let folder = place::folder(origin.path.parent().ok_or_else(nothing)?)?;
    let name = origin.path.file_name().ok_or_else(nothing)?;
    if origin.path.symlink_metadata().is_ok() {
        return Err(Fault::new(format!("{what}: there is something at its place")));
    }
    let mut content = File::open(content_of(data, hash)).during(&what)?;
    let beside = OsString::from(format!(".riposte-{}", hex::encode(crate::agent::random::<8>())));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file =
        File::from(openat(&folder, &beside, flags, Mode::from_raw_mode(0o600)).during(&what)?);
    let put = (|| {
        std::io::copy(&mut content, &mut file).during(&what)?;
        let (uid, gid) = (Uid::from_raw(origin.uid), Gid::from_raw(origin.gid));
        fchown(&file, Some(uid), Some(gid)).during(&what)?;
        // After the owner, which takes capabilities and the set-uid bit away.
        attributes::write(&file, &origin.attributes)
            .map_err(|name| Fault::new(format!("{what}: the attribute {name} cannot be set")))?;
        fchmod(&file, Mode::from_raw_mode(origin.mode)).during(&what)?;
        let time = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
        let times = Timestamps {
            last_access: time(origin.accessed),
            last_modification: time(origin.modified),
        };
        futimens(&file, &times).during(&what)?;
        file.sync_all().during(&what)?;
        renameat_with(&folder, &beside, &folder, name, RenameFlags::NOREPLACE).during(&what)?;
        rustix::fs::fsync(&folder).during(&what)
    })();
    if put.is_err() {
        let _ = unlinkat(&folder, &beside, AtFlags::empty());
        return put;
    }
    let read = place::open(&origin.path).and_then(|place| {
        let same = place.sha256()? == hash
            && place.about.mode() & 0o7777 == origin.mode
            && (place.about.uid(), place.about.gid()) == (origin.uid, origin.gid)
            && (place.about.mtime(), place.about.mtime_nsec()) == origin.modified;
        same.then_some(()).ok_or_else(|| Fault::new("what was brought back is not what was taken"))
    });
    if read.is_err() {
        tracing::error!("order {}: {} is taken back", work.order, origin.path.display());
        let _ = unlinkat(&folder, name, AtFlags::empty());
        return read;
    }
    let kept = IFlags::from_bits_truncate(origin.flags) & (IFlags::IMMUTABLE | IFlags::APPEND);
    if !kept.is_empty() {
        let _ = ioctl_setflags(&file, kept);
    }
    Ok(())
}
