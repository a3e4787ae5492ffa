//! Installed packages, as dpkg's status file has them.

use riposte_wire::Package;

use crate::files;

const MOST: usize = 10_000;

/// Installed packages, by name.
pub(crate) fn installed() -> Vec<Package> {
    read(&files::text("/var/lib/dpkg/status", 128 << 20))
}

fn read(status: &str) -> Vec<Package> {
    let mut packages: Vec<Package> = status
        .split("\n\n")
        .filter_map(|entry| {
            let field = |name: &str| {
                entry.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            // `install ok installed`, `hold ok installed`; not `deinstall ok config-files`.
            field("Status")?.ends_with(" installed").then_some(())?;
            Some(Package {
                name: field("Package")?.to_owned(),
                version: field("Version")?.to_owned(),
            })
        })
        .take(MOST)
        .collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_not_installed() {
        let status = "Package: b\nStatus: install ok installed\nVersion: 2:1-3\nDescription: x\n Status: y\n\n\
            Package: a\nStatus: deinstall ok config-files\nVersion: 1\n\n\
            Package: c\nStatus: hold ok installed\nVersion: 7\n";
        let found: Vec<String> =
            read(status).into_iter().map(|p| p.name + " " + &p.version).collect();
        assert_eq!(found, ["b 2:1-3", "c 7"]);
    }
}
