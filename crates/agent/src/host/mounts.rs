//! Where programs can start from: the mounts of this device.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::files;

/// File systems that hold no programs, or must not be touched.
const NOT: [&str; 20] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devpts",
    "securityfs",
    "debugfs",
    "tracefs",
    "bpf",
    "pstore",
    "mqueue",
    "configfs",
    "fusectl",
    "binfmt_misc",
    "nsfs",
    "hugetlbfs",
    "autofs",
    "efivarfs",
    "selinuxfs",
    "rpc_pipefs",
];

/// The mounts that programs can start from.
pub(crate) fn executable() -> Vec<PathBuf> {
    read(&files::text("/proc/self/mountinfo", 4 << 20))
}

fn read(table: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| {
            let (mount, system) = line.split_once(" - ")?;
            let mut fields = mount.split(' ').skip(4);
            let (point, options) = (fields.next()?, fields.next()?);
            let kind = system.split(' ').next()?;
            let good = !NOT.contains(&kind) && !options.split(',').any(|option| option == "noexec");
            good.then(|| unescape(point))
        })
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Blanks and the like are written as `\040`.
fn unescape(text: &str) -> PathBuf {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_without_programs_are_left_out() {
        let table = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
             22 21 0:20 / /proc rw - proc proc rw\n\
             23 21 0:21 / /tmp rw,noexec,nosuid - tmpfs tmpfs rw\n\
             24 21 0:22 / /mnt/a\\040b rw - tmpfs tmpfs rw\nbroken\n";
        assert_eq!(read(table), [PathBuf::from("/"), PathBuf::from("/mnt/a b")]);
    }
}
