//! Files that somebody named, opened so that nobody can put another in their place: no symbolic
//! link on the way, only regular files, and from then on the descriptor counts.

use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use ring::digest::{Context, SHA256};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, openat, openat2, statat};

use crate::fault::{During, Fault, Result};

/// A regular file, held open, and where it is.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The directory it is in.
    pub(crate) folder: OwnedFd,
    /// Its name there.
    pub(crate) name: OsString,
    /// The file.
    pub(crate) file: File,
    /// What the system says of it.
    pub(crate) about: Metadata,
}

/// A path that may be worked on: absolute, without `..` and without NUL.
pub(crate) fn path(text: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    if !path.is_absolute() || text.contains('\0') || text.len() > 4_096 {
        return Err(Fault::new(format!("{text:?} is not an absolute path")));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(Fault::new(format!("{text:?} goes upwards")));
    }
    Ok(path.components().collect())
}

/// Opens a directory with no symbolic link on the way.
pub(crate) fn folder(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let way = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match openat2(CWD, path, flags, Mode::empty(), way) {
        Err(rustix::io::Errno::LOOP) => Err(Fault::new(match path.canonicalize() {
            Ok(real) => format!(
                "{} goes over a symbolic link; the folder is {}",
                path.display(),
                real.display()
            ),
            Err(_) => format!("{} goes over a symbolic link", path.display()),
        })),
        other => other.during(format_args!("cannot open {}", path.display())),
    }
}

/// Opens a regular file with no symbolic link on the way.
pub(crate) fn open(path: &Path) -> Result<Place> {
    let nothing = || Fault::new(format!("{} is not a file", path.display()));
    let folder = folder(path.parent().ok_or_else(nothing)?)?;
    let name = path.file_name().ok_or_else(nothing)?.to_owned();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(&folder, &name, flags | OFlags::NOATIME, Mode::empty()) {
        Err(rustix::io::Errno::PERM) => openat(&folder, &name, flags, Mode::empty()),
        other => other,
    };
    let file = match file {
        Err(rustix::io::Errno::LOOP) => {
            return Err(Fault::new(format!("{} is a symbolic link", path.display())));
        }
        other => File::from(other.during(format_args!("cannot open {}", path.display()))?),
    };
    let about = file.metadata().during(format_args!("cannot look at {}", path.display()))?;
    if !about.is_file() {
        return Err(nothing());
    }
    Ok(Place { path: path.to_owned(), folder, name, file, about })
}

impl Place {
    /// The device and inode.
    pub(crate) fn id(&self) -> (u64, u64) {
        (self.about.dev(), self.about.ino())
    }

    /// Whether the name still stands for this very file.
    pub(crate) fn is_still_there(&self) -> bool {
        statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|now| (now.st_dev, now.st_ino) == self.id())
    }

    /// Its SHA-256 in hex.
    pub(crate) fn sha256(&self) -> Result<String> {
        let what = || format!("cannot read {}", self.path.display());
        let file = self.file.try_clone().during(what())?;
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).during(what())?;
        sha256(file, None).during(what())
    }
}

/// The SHA-256 of what can be read, in hex; fails when it is told to stop.
pub(crate) fn sha256(mut from: impl Read, stop: Option<&AtomicBool>) -> std::io::Result<String> {
    let mut context = Context::new(&SHA256);
    each(&mut from, stop, |bytes| context.update(bytes))?;
    Ok(hex::encode(context.finish()))
}

/// The MD5 of what can be read, in hex: what packages record.
pub(crate) fn md5(mut from: impl Read) -> std::io::Result<String> {
    let mut context = md5::Context::new();
    each(&mut from, None, |bytes| context.consume(bytes))?;
    Ok(hex::encode(context.finalize().0))
}

fn each(
    from: &mut impl Read,
    stop: Option<&AtomicBool>,
    mut take: impl FnMut(&[u8]),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        if stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(std::io::Error::other("cancelled"));
        }
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(buffer.get(..count).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

/// A SHA-256 in hex as somebody wrote it, in small letters.
pub(crate) fn hash(text: &str) -> Result<String> {
    let good = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if good {
        Ok(text.to_ascii_lowercase())
    } else {
        let short: String = text.chars().take(80).collect();
        Err(Fault::new(format!("{short:?} is not a SHA-256 in hex")))
    }
}

/// What a walk does with a file; it ends the walk by saying `false`.
pub(crate) type Visit<'a> = dyn FnMut(&Path, &Metadata) -> bool + 'a;

/// Visits every regular file below a folder, following no link and entering no other kind of file
/// system such as `/proc`; says whether it went through to the end.
pub(crate) fn walk(root: &Path, visit: &mut Visit<'_>) -> bool {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        if ["/proc", "/sys", "/dev/pts", "/run/user"].iter().any(|not| folder == Path::new(not)) {
            continue;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(about) = entry.path().symlink_metadata() else { continue };
            if about.is_dir() {
                if folders.len() < 100_000 {
                    folders.push(entry.path());
                }
            } else if about.is_file() && !visit(&entry.path(), &about) {
                return false;
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_and_goes_down() {
        assert_eq!(path("/a//b/./c").unwrap(), Path::new("/a/b/c"));
        for bad in ["", "a", "../a", "/a/../b", "/a\0b", "~/x"] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert!(path(&format!("/{}", "a".repeat(5_000))).is_err());
    }

    #[test]
    fn no_symbolic_link_is_followed_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::fs::write(root.join("real/file"), "x").unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("way")).unwrap();
        std::os::unix::fs::symlink(root.join("real/file"), root.join("real/link")).unwrap();
        assert!(open(&root.join("real/file")).is_ok());
        assert!(open(&root.join("real")).is_err());
        assert!(open(&root.join("real/link")).unwrap_err().to_string().contains("symbolic link"));
        let e = open(&root.join("way/file")).unwrap_err().to_string();
        assert!(e.contains("the folder is") && e.contains("real"), "{e}");
    }

    #[test]
    fn hashes_are_the_well_known_ones() {
        assert_eq!(
            sha256(&b"abc"[..], None).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(md5(&b"abc"[..]).unwrap(), "900150983cd24fb0d6963f7d28e17f72");
        assert!(hash(&"A".repeat(64)).is_ok() && hash(&"g".repeat(64)).is_err());
    }
}
