//! Files that agents are told to take away, to bring back and to send, and what the kernel saw
//! happen to them.
//!
//! The kernel's own notices count what was done, whoever says what: a file that is collected is read
//! to its end and closed once, one that is quarantined leaves its folder, one that is restored comes
//! back. The lab itself touches a file only when it makes it, before it watches.

use std::collections::BTreeMap;
use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::random::mix;

/// How often the kernel's notices are fetched.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of a file, so that sending one takes a moment.
const SIZE: usize = 200 * 1024;

/// What happened to a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// How often it was read by somebody and closed.
    pub(crate) read: u64,
    /// How often it left its folder.
    pub(crate) left: u64,
    /// How often it came back.
    pub(crate) came: u64,
}

/// A folder that is watched.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Where it is.
    pub(crate) path: PathBuf,
    seen: Arc<Mutex<BTreeMap<String, Effects>>>,
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
    next: AtomicU64,
}

/// A file of the lab's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    /// Its path.
    pub(crate) path: String,
    /// Its SHA-256 in hex.
    pub(crate) sha256: String,
}

impl Folder {
    /// Makes a folder and begins to watch it.
    pub(crate) fn new(path: &Path) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        fs::create_dir_all(path).map_err(|error| failed(&error))?;
        // No symbolic link on the way, as agents want it.
        let path = path.canonicalize().map_err(|error| failed(&error))?;
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|error| failed(&error))?;
        let what = WatchFlags::CLOSE_NOWRITE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO;
        inotify::add_watch(&inotify, &path, what).map_err(|error| failed(&error))?;
        let folder = Self {
            path,
            seen: Arc::default(),
            stop: Arc::default(),
            lost: Arc::default(),
            next: AtomicU64::new(0),
        };
        let (seen, stop, lost) =
            (Arc::clone(&folder.seen), Arc::clone(&folder.stop), Arc::clone(&folder.lost));
        std::thread::spawn(move || {
            let mut space = [MaybeUninit::uninit(); 16 * 1024];
            let mut notices = inotify::Reader::new(inotify, &mut space);
            loop {
                let stopped = stop.load(Ordering::Relaxed);
                while let Ok(notice) = notices.next() {
                    let flags = notice.events();
                    if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                        lost.store(true, Ordering::Relaxed);
                    }
                    // Names that agents use for a moment say nothing.
                    let name = notice.file_name().and_then(|name| name.to_str().ok());
                    let Some(name) = name.filter(|name| name.starts_with('f')) else { continue };
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    let effects = seen.entry(name.to_owned()).or_default();
                    effects.read += u64::from(flags.contains(ReadFlags::CLOSE_NOWRITE));
                    let left = ReadFlags::DELETE | ReadFlags::MOVED_FROM;
                    effects.left += u64::from(flags.intersects(left));
                    effects.came += u64::from(flags.contains(ReadFlags::MOVED_TO));
                }
                if stopped {
                    return;
                }
                #[expect(clippy::disallowed_methods, reason = "a thread of its own")]
                std::thread::sleep(LOOK);
            }
        });
        Ok(folder)
    }

    /// A new file with a content that no other has.
    pub(crate) fn make(&self, seed: u64) -> Result<Made, String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!("f{number}.bin"));
        let mut content = Vec::with_capacity(SIZE);
        let mut word = mix(mix(seed).wrapping_add(number));
        while content.len() < SIZE {
            word = mix(word.wrapping_add(1));
            content.extend_from_slice(&word.to_le_bytes());
        }
        fs::write(&path, &content).map_err(|error| format!("{}: {error}", path.display()))?;
        let sha256 = hex(digest(&SHA256, &content).as_ref());
        Ok(Made { path: path.to_string_lossy().into_owned(), sha256 })
    }

    /// What happened to each file by its path; an error where notices were lost.
    pub(crate) async fn seen(&self) -> Result<BTreeMap<String, Effects>, String> {
        // What happened up to now has been fetched after two looks.
        tokio::time::sleep(LOOK * 3).await;
        if self.lost.load(Ordering::Relaxed) {
            return Err(format!("{}: notices of the kernel were lost", self.path.display()));
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let path = |name: &str| self.path.join(name).to_string_lossy().into_owned();
        Ok(seen.iter().map(|(name, effects)| (path(name), *effects)).collect())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Scratch;

    #[tokio::test]
    async fn the_kernel_counts_what_happens_to_a_file() {
        let scratch = Scratch::new(&std::env::temp_dir(), "files", false).unwrap();
        let folder = Folder::new(&scratch.path.join("watched")).unwrap();
        let (one, two) = (folder.make(1).unwrap(), folder.make(1).unwrap());
        assert_ne!(one.sha256, two.sha256);
        assert_eq!(one.sha256.len(), 64);
        drop(fs::read(&one.path).unwrap());
        fs::remove_file(&two.path).unwrap();
        fs::rename(&one.path, &two.path).unwrap();
        let seen = folder.seen().await.unwrap();
        assert_eq!(seen[&one.path], Effects { read: 1, left: 1, came: 0 });
        assert_eq!(seen[&two.path], Effects { read: 0, left: 1, came: 1 });
    }
}
