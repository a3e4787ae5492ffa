//! Writes the unit that has systemd run the agent.

use std::path::Path;

use crate::fault::{During, Fault, Result};
use crate::files;

const UNIT: &str = "/etc/systemd/system/riposte-agent.service";

/// Writes the unit; says where it is.
pub(crate) fn install(data_dir: &Path, unit: Option<&Path>) -> Result<String> {
    let program = std::env::current_exe().during("cannot tell where the agent is")?;
    let path = unit.unwrap_or(Path::new(UNIT));
    let text = unit_text(&program, data_dir)?;
    files::replace_as(path, text.as_bytes(), 0o644)?;
    Ok(path.display().to_string())
}

fn unit_text(program: &Path, data_dir: &Path) -> Result<String> {
    let plain = |path: &Path| {
        let text = path.to_str().filter(|text| {
            text.starts_with('/') && !text.contains(['"', '\\', '%', '$', '\n', ' ', '\''])
        });
        text.map(str::to_owned).ok_or_else(|| {
            Fault::new(format!("{} cannot stand in a unit; choose a plain path", path.display()))
        })
    };
    let (program, data) = (plain(program)?, plain(data_dir)?);
    // No ProtectSystem, no private folders and no name space of its own: quarantine moves files,
    // /etc/hosts and /etc/shadow are written, and the guard must see the mounts of the device. No
    // limit of memory and no ban on code made at run time: scanners run in the same group.
    Ok(format!(
        "[Unit]
Description=Riposte endpoint agent
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service
Before=network-pre.target shutdown.target
Wants=network-pre.target
Conflicts=shutdown.target
RequiresMountsFor={data}

[Service]
Type=exec
ExecStart={program} --data-dir {data} run --marks filesystems
Restart=always
RestartSec=2
TimeoutStopSec=20
KillMode=mixed
UMask=0077
LimitNOFILE=65536
OOMScoreAdjust=-500
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
CapabilityBoundingSet=CAP_SYS_ADMIN CAP_NET_ADMIN CAP_KILL CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_SETFCAP CAP_LINUX_IMMUTABLE CAP_SYS_PTRACE CAP_SYS_NICE CAP_AUDIT_WRITE

[Install]
WantedBy=sysinit.target
"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_names_the_program_and_comes_before_the_network() {
        let text = unit_text(Path::new("/usr/bin/riposte-agent"), Path::new("/var/lib/x")).unwrap();
        assert!(text.contains(
            "ExecStart=/usr/bin/riposte-agent --data-dir /var/lib/x run --marks filesystems\n"
        ));
        assert!(text.contains("Before=network-pre.target"));
        assert!(unit_text(Path::new("/a b"), Path::new("/x")).is_err());
        assert!(unit_text(Path::new("/a%n"), Path::new("/x")).is_err());
    }
}
