//! Which files came from Debian packages, and what they are recorded to be.
//!
//! The package database holds MD5 sums. They tell a file that was changed; they do not prove who
//! made it, and root can change them.

use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};

use crate::files;

const INFO: &str = "/var/lib/dpkg/info";

/// The paths of every installed package, as hashes.
#[derive(Debug)]
pub(crate) struct Packages {
    info: PathBuf,
    /// The hash of a path and which package it is of, in order.
    paths: Vec<(u64, u32)>,
    names: Vec<Box<str>>,
    /// When the database last changed.
    changed: i64,
}

/// What the database says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No package has it.
    Foreign,
    /// A package has it with this MD5 in hex.
    Recorded(String),
    /// A package has it and says nothing of its content: a file of configuration.
    Listed,
}

/// Whether there is such a database.
pub(crate) fn present() -> bool {
    Path::new(INFO).is_dir()
}

impl Packages {
    /// Reads the database.
    pub(crate) fn load() -> Self {
        Self::load_from(Path::new(INFO))
    }

    fn load_from(info: &Path) -> Self {
        let changed = changed(info);
        let (mut paths, mut names) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(info).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(package) = name.to_str().and_then(|name| name.strip_suffix(".list")) else {
                continue;
            };
            let number = names.len() as u32;
            names.push(package.into());
            let list = files::text(entry.path(), 64 << 20);
            paths.extend(list.lines().map(|path| (hash(path), number)));
        }
        paths.sort_unstable();
        paths.shrink_to_fit();
        Self { info: info.to_owned(), paths, names, changed }
    }

    /// Whether packages have been installed or removed since.
    pub(crate) fn is_stale(&self) -> bool {
        changed(&self.info) != self.changed
    }

    /// What the database says of a path without symbolic links.
    pub(crate) fn standing(&self, path: &Path) -> Standing {
        let Some(path) = path.to_str() else { return Standing::Foreign };
        // On a system where /bin is /usr/bin, packages may still say /bin.
        let short = path.strip_prefix("/usr").filter(|rest| {
            ["/bin/", "/sbin/", "/lib"].iter().any(|folder| rest.starts_with(folder))
        });
        let mut standing = Standing::Foreign;
        for spelled in [Some(path), short].into_iter().flatten() {
            for package in self.packages(spelled) {
                let sums = files::text(self.info.join(format!("{package}.md5sums")), 64 << 20);
                let recorded = sums.lines().find_map(|line| {
                    let (sum, of) = line.split_once(char::is_whitespace)?;
                    (of.trim_start() == spelled.trim_start_matches('/')).then(|| sum.to_owned())
                });
                if let Some(sum) = recorded {
                    return Standing::Recorded(sum);
                }
                // Hashes may collide, so the list itself has the last word.
                let list = files::text(self.info.join(format!("{package}.list")), 64 << 20);
                if list.lines().any(|line| line == spelled) {
                    standing = Standing::Listed;
                }
            }
        }
        standing
    }

    fn packages(&self, path: &str) -> impl Iterator<Item = &str> {
        let wanted = hash(path);
        let first = self.paths.partition_point(|(hash, _)| *hash < wanted);
        self.paths
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(move |(hash, _)| *hash == wanted)
            .filter_map(|(_, number)| self.names.get(*number as usize).map(AsRef::as_ref))
    }
}

fn hash(path: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(path.as_bytes());
    hasher.finish()
}

fn changed(info: &Path) -> i64 {
    fs::metadata(info).and_then(|file| file.modified()).map_or(0, crate::clock::micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_under_both_of_its_spellings() {
        let folder = tempfile::tempdir().unwrap();
        let keep = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        keep("a.list", "/.\n/bin\n/bin/tool\n/etc/tool.conf\n");
        keep("a.md5sums", "0123  bin/tool\n");
        keep("b:amd64.list", "/usr/lib/b.so\n");
        keep("b:amd64.md5sums", "4567  usr/lib/b.so\n");
        let packages = Packages::load_from(folder.path());
        let standing = |path: &str| packages.standing(Path::new(path));
        assert_eq!(standing("/usr/bin/tool"), Standing::Recorded("0123".into()));
        assert_eq!(standing("/bin/tool"), Standing::Recorded("0123".into()));
        assert_eq!(standing("/usr/lib/b.so"), Standing::Recorded("4567".into()));
        assert_eq!(standing("/etc/tool.conf"), Standing::Listed);
        assert_eq!(standing("/tmp/tool"), Standing::Foreign);
        assert_eq!(standing("/usr/etc/tool.conf"), Standing::Foreign);
    }
}
