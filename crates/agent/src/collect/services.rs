//! Active services: asked of systemd where it runs, read from the control groups elsewhere.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::host::{command, proc};

const MOST: usize = 2_000;

/// Active services, by name.
pub(crate) fn active() -> Vec<String> {
    let found = if Path::new("/run/systemd/system").is_dir() { asked() } else { None };
    found.unwrap_or_else(from_groups).into_iter().take(MOST).collect()
}

fn asked() -> Option<BTreeSet<String>> {
    let arguments =
        ["list-units", "--type=service", "--state=running", "--plain", "--no-legend", "--no-pager"];
    let said = command::run("systemctl", &arguments, b"", Duration::from_secs(10)).ok()?;
    let output = said.ok("systemctl").ok()?;
    let text = String::from_utf8_lossy(&output);
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    Some(names.filter(|name| name.ends_with(".service")).map(str::to_owned).collect())
}

fn from_groups() -> BTreeSet<String> {
    proc::all()
        .iter()
        .flat_map(|process| {
            let groups = crate::files::text(format!("/proc/{}/cgroup", process.pid), 64 << 10);
            groups
                .split(['/', '\n'])
                .filter(|part| part.ends_with(".service"))
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}
