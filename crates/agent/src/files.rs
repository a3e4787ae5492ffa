//! The agent's own files: private, replaced as a whole, read within bounds.
//!
//! Always: a directory is 0700 and a file 0600; a file that exists is whole, also after a loss of
//! power, because it is written beside, synced and renamed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::{During, Fault, Result};

/// Makes a directory that only its owner may enter, and takes rights away from one that is there.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .during(format_args!("cannot make {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .during(format_args!("cannot close {} to others", path.display()))
}

/// Puts a whole file in place of what is there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    replace_as(path, content, 0o600)
}

/// Puts a whole file with this mode in place of what is there.
pub(crate) fn replace_as(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let what = format!("cannot write {}", path.display());
    let folder = path.parent().ok_or_else(|| Fault::new(what.clone()))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = folder.join(name);
    let written = (|| {
        let _ = fs::remove_file(&beside);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(content)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        sync_dir(folder)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written.during(what)
}

/// Makes renames and removals in a directory last.
pub(crate) fn sync_dir(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a file; that it is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).during(format_args!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// A file's content, when there is one, up to `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let what = || format!("cannot read {}", path.display());
    let file = match File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.during(what())?,
    };
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).during(what())?;
    if content.len() as u64 > limit {
        return Err(Fault::new(format!("{} is larger than {limit} bytes", path.display())));
    }
    Ok(Some(content))
}

/// The text of a file of the system, up to `limit` bytes of it; empty when it cannot be read.
pub(crate) fn text(path: impl AsRef<Path>, limit: u64) -> String {
    let mut content = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(limit).read_to_end(&mut content);
    }
    String::from_utf8_lossy(&content).into_owned()
}

/// A value kept as JSON, when there is one.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match read(path, 16 << 20)? {
        None => Ok(None),
        Some(content) => serde_json::from_slice(&content)
            .map(Some)
            .during(format_args!("cannot understand {}", path.display())),
    }
}

/// Keeps a value as JSON.
pub(crate) fn store<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let content =
        serde_json::to_vec_pretty(value).during(format_args!("cannot write {}", path.display()))?;
    replace(path, &content)
}
