//! The real program, enrolled and running in a namespace of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::net::Net;
use crate::server::{Server, TOKEN};

/// The program: the one that was just built, or another to measure.
pub(crate) fn program() -> String {
    std::env::var("RIPOSTE_AGENT_PROGRAM")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_riposte-agent").to_owned())
}

/// An enrolled agent; ended when dropped.
pub(crate) struct Agent {
    pub(crate) folder: tempfile::TempDir,
    namespace: Option<String>,
    child: Option<Child>,
}

impl Agent {
    /// Enrols in the agent's namespace.
    pub(crate) fn enrol(net: Option<&Net>, server: &Server) -> Self {
        Self::enrol_in(&std::env::temp_dir(), net, server)
    }

    /// Enrols with its folder in this one.
    pub(crate) fn enrol_in(place: &Path, net: Option<&Net>, server: &Server) -> Self {
        let folder = tempfile::tempdir_in(place).unwrap();
        let agent = Self { folder, namespace: net.map(Net::agent), child: None };
        let authority = agent.folder.path().join("authority.pem");
        std::fs::write(&authority, &server.authority).unwrap();
        let said = agent.call(&[
            "enrol",
            "--server",
            &server.url,
            "--token",
            TOKEN,
            "--name",
            "device-1",
            "--ca",
            authority.to_str().unwrap(),
        ]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        agent
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, &program()]);
                command
            }
            None => Command::new(program()),
        };
        command.arg("--data-dir").arg(self.data()).args(arguments);
        command
    }

    /// Calls the program and waits for its end.
    pub(crate) fn call(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the agent by another command, which becomes it.
    pub(crate) fn start_by(&mut self, mut command: Command) {
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        self.child = Some(command.stderr(log).stdout(Stdio::null()).spawn().unwrap());
    }

    /// Starts the agent.
    pub(crate) fn start(&mut self) {
        let log = std::fs::File::options()
            .append(true)
            .create(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        self.child =
            Some(self.command(&["run"]).stderr(log).stdout(Stdio::null()).spawn().unwrap());
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.as_ref().unwrap().id()).unwrap()
    }

    /// Ends it with a signal; says its exit status.
    pub(crate) fn end(&mut self, signal: Signal) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
        child.wait().unwrap().code()
    }

    /// Starts a program where the agent is: in its mounts and its network, which are its own by then.
    /// Until `ip netns exec` has made them they are this machine's, and what is mounted there would
    /// hide folders of everybody's.
    ///
    /// Waits until it is in a mount namespace of its own: a moment after its start it is still in
    /// that of the machine, where a test must change nothing.
    pub(crate) fn beside(&self, program: &str, arguments: &[&str]) -> Output {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.is_apart() {
            assert!(Instant::now() < until, "the agent is in the mount namespace of the machine");
        }
        let mounts = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/mnt")).unwrap();
        let own = mounts("self");
        let waited = std::time::Instant::now();
        while mounts(&self.pid().to_string()) == own {
            assert!(waited.elapsed().as_secs() < 20, "the agent has no mounts of its own");
            std::thread::yield_now();
        }
        Command::new("nsenter")
            .args(["-t", &self.pid().to_string(), "-m", "-n", "--", program])
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Whether the program itself runs, in a mount namespace that is not the machine's.
    fn is_apart(&self) -> bool {
        let link = |path: String| std::fs::read_link(path).ok();
        let (own, its) =
            (link("/proc/self/ns/mnt".into()), link(format!("/proc/{}/ns/mnt", self.pid())));
        let runs = link(format!("/proc/{}/exe", self.pid()))
            .is_some_and(|path| path.file_name().is_some_and(|name| name == "riposte-agent"));
        runs && own.is_some() && its.is_some() && own != its
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub(crate) fn keep(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the agent's log ---\n{}", self.log());
        }
    }
}

/// A program that nobody has seen before: a copy of one of the system with something behind it.
pub(crate) fn stranger(folder: &Path, name: &str, model: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join(name);
    let mut content = std::fs::read(model).unwrap();
    content.extend(format!("{name} {}", folder.display()).bytes());
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// The SHA-256 of a file in hex.
pub(crate) fn sha256(path: &Path) -> String {
    let content = std::fs::read(path).unwrap();
    hex::encode(ring::digest::digest(&ring::digest::SHA256, &content))
}

/// Whether there is something at a path.
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
