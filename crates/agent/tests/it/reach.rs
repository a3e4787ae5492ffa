//! Marks on whole file systems. They would reach the machine that the test runs on, so the agent gets
//! a root of its own: a file system in memory with a few programs in it, and nothing else mounted.

use std::process::Command;

use riposte_wire::{Action, Outcome};

use crate::agent::{Agent, program, stranger};
use crate::net::{Net, SERVER};
use crate::server::Server;

/// Makes the root, leaves the old one and becomes the agent. Ends before, should anything else than
/// memory and `/proc` still be mounted.
const SCRIPT: &str = r#"
set -e
folder=$1; program=$2; marks=$3; root=$folder/root
mkdir -p $root
mount --make-rprivate /
mount -t tmpfs none $root
cd $root
mkdir -p proc old tmp dev etc var/lib/dpkg/info usr/bin usr/sbin usr/lib usr/lib64
ln -s usr/bin bin; ln -s usr/sbin sbin; ln -s usr/lib lib; ln -s usr/lib64 lib64
mknod dev/null c 1 3
for path in /usr/bin/true /usr/bin/unshare /usr/bin/umount /usr/sbin/nft; do
    cp -p $path .$path
    for library in $(ldd $path | grep -o '/[^ ]*' | grep -v ':$'); do
        mkdir -p .${library%/*}; cp -Lp $library .$library
    done
done
for package in coreutils util-linux nftables $(cd /var/lib/dpkg/info; ls -d libc6*.list | sed s/.list//); do
    cp "/var/lib/dpkg/info/$package.list" "/var/lib/dpkg/info/$package.md5sums" var/lib/dpkg/info/
done
cp /etc/passwd /etc/group etc/
cp -p $program usr/bin/riposte-agent
for library in $(ldd $program | grep -o '/[^ ]*' | grep -v ':$'); do
    mkdir -p .${library%/*}; cp -Lp $library .$library
done
cp -p $folder/copied usr/bin/copied
cp -rp $folder/data data
mount -t proc proc proc
pivot_root . old
exec </dev/null
umount -l /old
while read -r line; do
    case "$line" in *" - tmpfs none "*|*" - proc proc "*) ;; *) exit 9 ;; esac
done </proc/self/mountinfo
exec /usr/bin/riposte-agent --data-dir /data run --marks $marks
"#;

/// Whether a program starts beside the agent, in its mount namespace and in a new one.
fn starts(agent: &Agent) -> (bool, bool) {
    let started = |arguments: &[&str]| {
        let said = agent.beside(arguments[0], &arguments[1..]);
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        let refused = complaint.contains("Operation not permitted");
        assert!(said.status.success() || refused, "{complaint}");
        said.status.success()
    };
    (started(&["/usr/bin/copied"]), started(&["/usr/bin/unshare", "--mount", "/usr/bin/copied"]))
}

#[test]
fn marks_on_file_systems_are_not_got_round_by_a_mount_namespace() {
    for (marks, elsewhere) in [("mounts", true), ("filesystems", false)] {
        let Some(net) = Net::new() else { return };
        let server = Server::start(Some(&net.server()), SERVER);
        let mut agent = Agent::enrol(Some(&net), &server);
        stranger(agent.folder.path(), "copied", "/usr/bin/true");
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &net.agent(),
            "unshare",
            "--mount",
            "sh",
            "-c",
            SCRIPT,
            "sh",
        ]);
        command.arg(agent.folder.path()).args([&program(), marks]);
        agent.start_by(command);
        server.next_poll();
        assert_eq!(starts(&agent), (true, true));
        let action = Action::Restrict { allow: vec![], until: None };
        let result = server.carry_out("o-1", 1, action);
        assert_eq!(result.outcome, Outcome::Succeeded, "{result:?}");
        assert_eq!(starts(&agent), (false, elsewhere), "marks on {marks}");
        let unshare = agent.beside("/usr/bin/unshare", &["--mount", "/usr/bin/true"]);
        assert!(unshare.status.success(), "a program of a package is refused elsewhere");
        server.carry_out("o-2", 2, Action::LiftRestriction);
        assert_eq!(starts(&agent), (true, true));
    }
}
