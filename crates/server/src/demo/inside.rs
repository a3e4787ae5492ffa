//! What runs inside the demo's devices: a device's first process, and what an intruder left there.
//!
//! A device is a network namespace and, in it, namespaces of processes, mounts and names. Its first
//! process gives it a root of its own, in memory: the programs of this machine to read, accounts and
//! files of the demo, and nothing else. So whatever an expert or a customer of the demo has the agent
//! do there, it touches nothing of this machine and reads nothing of its owner's. It ends, and all
//! with it, when the pipe to the demo closes, for whatever reason.
//!
//! Nothing here is given on the command line: the first line that is read says what to be.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, Command};

/// What a process of the demo is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Part {
    /// A device's first process.
    Machine(Box<Machine>),
    /// What the intruder left: it keeps a connection to its server.
    Beacon(SocketAddr),
    /// The intruder's server.
    Outside(SocketAddr),
}

/// A device.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) name: String,
    /// The folder that its root is mounted at.
    pub(super) root: PathBuf,
    /// Where its agent keeps its files.
    pub(super) data: PathBuf,
    /// The agent's program.
    pub(super) agent: PathBuf,
    /// Its machine id.
    pub(super) id: String,
    pub(super) user: String,
    /// A file that the intruder left, and what is in it.
    pub(super) file: (String, String),
    pub(super) beacon: SocketAddr,
    /// When its agent has yet to enrol: where, with which token, and whom to trust.
    pub(super) enrol: Option<(String, String, String)>,
}

/// Where programs are looked for; nothing of the demo's own environment is passed on.
pub(super) const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the demo's own programs are in a device.
const OWN: &str = "/opt/riposte";
/// How often the intruder's program speaks, and how long it waits for an answer.
const BEAT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(2);

/// Is what the first line on standard input says, until that is closed.
#[must_use]
pub fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.map_err(|error| error.to_string()).and_then(|runtime| {
        let ended = runtime.block_on(be());
        // A read of standard input that is under way is not waited for.
        runtime.shutdown_background();
        ended
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "riposte demo-inside: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn be() -> Result<(), String> {
    let mut input = BufReader::new(tokio::io::stdin());
    let mut line = String::new();
    input.read_line(&mut line).await.map_err(|error| error.to_string())?;
    let part: Part = serde_json::from_str(&line)
        .map_err(|_| "the demo starts this itself; there is nothing to do by hand".to_owned())?;
    let work = async {
        match part {
            Part::Machine(machine) => live(&machine).await,
            Part::Beacon(to) => beacon(to).await,
            Part::Outside(at) => outside(at).await,
        }
    };
    let mut rest = [0];
    tokio::select! {
        ended = work => ended,
        // Nobody writes there again: it is closed when the demo ends.
        _ = input.read(&mut rest) => Ok(()),
    }
}

fn say(line: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| error.to_string())
}

async fn live(machine: &Machine) -> Result<(), String> {
    let own = fs::read_link("/proc/self/exe").map_err(|error| error.to_string())?;
    root(machine, &own).await?;
    let agent = format!("{OWN}/riposte-agent");
    if let Some((server, token, authority)) = &machine.enrol {
        let ca = "/run/riposte-ca.pem";
        write(Path::new(ca), authority, 0o600)?;
        let words =
            ["enrol", "--again", "--server", server, "--token", token, "--ca", ca, "--name"];
        let told = program(&agent).args(words).arg(&machine.name).output().await;
        let told = told.map_err(|error| format!("cannot start {agent}: {error}"))?;
        if !told.status.success() {
            return Err(String::from_utf8_lossy(&told.stderr).trim().to_owned());
        }
    }
    say("enrolled")?;
    let (agents, beacons) = tokio::join!(keep_agent(&agent), keep_beacon(machine.beacon));
    agents.and(beacons)
}

/// Has the agent run, again and again. It marks mounts, which are this device's own: file systems are
/// this machine's.
async fn keep_agent(agent: &str) -> Result<(), String> {
    loop {
        let mut running =
            spawn(program(agent).args(["run", "--marks", "mounts"]).stdin(Stdio::null()))?;
        let ended = running.wait().await.map_err(|error| error.to_string())?;
        say(&format!("agent ended: {ended}"))?;
        tokio::time::sleep(BEAT).await;
    }
}

/// Has what the intruder left run: whoever stops it has a minute of quiet.
async fn keep_beacon(to: SocketAddr) -> Result<(), String> {
    loop {
        // To wait for a child closes its input; this one goes on as long as it is open.
        let (mut running, _held) = start_beacon(to).await?;
        running.wait().await.map_err(|error| error.to_string())?;
        say("cut")?;
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
}

/// A program with nothing of this process's surroundings.
fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", PATH).env("HOME", "/root").env("LC_ALL", "C");
    command.kill_on_drop(true).stdout(Stdio::null());
    command
}

fn spawn(command: &mut Command) -> Result<Child, String> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    command.spawn().map_err(|error| format!("cannot start {program}: {error}"))
}

async fn start_beacon(to: SocketAddr) -> Result<(Child, ChildStdin), String> {
    let own = format!("{OWN}/riposte");
    let mut command = program(&own);
    command.arg("demo-inside").stdin(Stdio::piped()).stdout(Stdio::inherit());
    let mut child = spawn(&mut command)?;
    let mut line = serde_json::to_string(&Part::Beacon(to)).map_err(|error| error.to_string())?;
    line.push('\n');
    let mut held = child.stdin.take().ok_or("a program has no input")?;
    held.write_all(line.as_bytes()).await.map_err(|error| error.to_string())?;
    Ok((child, held))
}

/// Gives this process a root of its own.
async fn root(machine: &Machine, own: &Path) -> Result<(), String> {
    write(Path::new("/proc/sys/kernel/hostname"), &machine.name, 0o644)?;
    let at = |path: &str| machine.root.join(path.trim_start_matches('/'));
    let spelled = |path: &Path| path.to_string_lossy().into_owned();
    let root = spelled(&machine.root);
    mount(&["-t", "tmpfs", "-o", "mode=0755,size=512m", "riposte-demo", &root]).await?;
    for folder in [
        "usr",
        "etc",
        "proc",
        "sys",
        "dev/shm",
        "dev/pts",
        "run",
        "root",
        "tmp",
        "old",
        "opt/riposte",
        "var/tmp",
        "var/log",
        "var/lib/dpkg",
        "var/lib/riposte-agent",
    ] {
        make_dir(&at(folder))?;
    }
    let home = format!("home/{}", machine.user);
    make_dir(&at(&home))?;
    for folder in ["tmp", "var/tmp", "dev/shm"] {
        mode(&at(folder), 0o1777)?;
    }
    // The programs of this machine, to read and run.
    show(Path::new("/usr"), &at("usr")).await?;
    if Path::new("/usr/local").is_dir() {
        mount(&[
            "-t",
            "tmpfs",
            "-o",
            "mode=0755,size=16m",
            "riposte-demo",
            &spelled(&at("usr/local")),
        ])
        .await?;
    }
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let here = Path::new("/").join(name);
        if let Ok(to) = fs::read_link(&here) {
            symlink(to, at(name)).map_err(|error| error.to_string())?;
        } else if here.is_dir() {
            make_dir(&at(name))?;
            show(&here, &at(name)).await?;
        }
    }
    if Path::new("/var/lib/dpkg/status").exists() {
        show(Path::new("/var/lib/dpkg"), &at("var/lib/dpkg")).await?;
    }
    for (from, to) in [(own, "opt/riposte/riposte"), (&machine.agent, "opt/riposte/riposte-agent")]
    {
        write(&at(to), "", 0o755)?;
        show(from, &at(to)).await?;
    }
    mount(&["--bind", &spelled(&machine.data), &spelled(&at("var/lib/riposte-agent"))]).await?;
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        let to = at(&format!("dev/{device}"));
        write(&to, "", 0o666)?;
        mount(&["--bind", &format!("/dev/{device}"), &spelled(&to)]).await?;
    }
    mount(&["-t", "proc", "proc", &spelled(&at("proc"))]).await?;
    mount(&["-t", "sysfs", "-o", "ro", "sysfs", &spelled(&at("sys"))]).await?;
    furnish(machine, at)?;
    let old = spelled(&at("old"));
    std::env::set_current_dir(&machine.root).map_err(|error| error.to_string())?;
    run("pivot_root", &[".", &old]).await?;
    std::env::set_current_dir("/").map_err(|error| error.to_string())?;
    run("umount", &["--lazy", "/old"]).await
}

/// The files of the device: accounts, names, and what the intruder left.
fn furnish(machine: &Machine, at: impl Fn(&str) -> PathBuf) -> Result<(), String> {
    let Machine { name, user, id, file: (path, content), .. } = machine;
    let mut accounts = [String::new(), String::new(), String::new()];
    let [passwd, shadow, group] = &mut accounts;
    for (who, id, home, shell) in [
        ("root", 0, "/root", "/bin/sh"),
        ("daemon", 1, "/usr/sbin", "/usr/sbin/nologin"),
        ("nobody", 65_534, "/nonexistent", "/usr/sbin/nologin"),
        ("operator", 1_000, "/home/operator", "/bin/sh"),
        (user.as_str(), 1_001, &format!("/home/{user}"), "/bin/sh"),
    ] {
        let _ = writeln!(passwd, "{who}:x:{id}:{id}::{home}:{shell}");
        let _ = writeln!(shadow, "{who}:!:19800:0:99999:7:::");
        let _ = writeln!(group, "{who}:x:{id}:");
    }
    group.push_str("sudo:x:27:operator\n");
    let [passwd, shadow, group] = accounts;
    let hosts = format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n");
    for (file, text, mode) in [
        ("passwd", passwd.as_str(), 0o644),
        ("shadow", &shadow, 0o600),
        ("group", &group, 0o644),
        ("hosts", &hosts, 0o644),
        ("hostname", name, 0o644),
        ("machine-id", id, 0o444),
        ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n", 0o644),
    ] {
        write(&at(&format!("etc/{file}")), text, mode)?;
    }
    for file in ["os-release", "ld.so.cache", "ld.so.conf", "login.defs", "protocols", "services"] {
        if let Ok(content) = fs::read(Path::new("/etc").join(file)) {
            fs::write(at(&format!("etc/{file}")), content).map_err(|error| error.to_string())?;
        }
    }
    if let Some((folder, _)) = path.rsplit_once('/') {
        make_dir(&at(folder))?;
    }
    // What the agent of a demo that ran before has taken away stays away.
    let hash = hex::encode(Sha256::digest(content));
    if machine.data.join("quarantine").join(hash).join("content").exists() {
        return Ok(());
    }
    write(&at(path), content, 0o755)
}

/// Shows a file or folder of this machine in the device, to read only.
async fn show(from: &Path, to: &Path) -> Result<(), String> {
    let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
    mount(&["--bind", &from, &to]).await?;
    mount(&["-o", "remount,bind,ro", &to]).await
}

async fn mount(words: &[&str]) -> Result<(), String> {
    run("mount", words).await
}

async fn run(name: &str, words: &[&str]) -> Result<(), String> {
    let told = program(name).args(words).output().await;
    let told = told.map_err(|error| format!("cannot start {name}: {error}"))?;
    if told.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&told.stderr);
    Err(format!("{name} {}: {}", words.join(" "), why.trim()))
}

fn make_dir(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn mode(path: &Path, mode: u32) -> Result<(), String> {
    let how = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, how).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str, how: u32) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    if path.starts_with("/proc") { Ok(()) } else { mode(path, how) }
}

/// Keeps a connection and says when it holds and when it does not.
async fn beacon(to: SocketAddr) -> Result<(), String> {
    let mut held = None;
    loop {
        let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(to)).await;
        if let Ok(Ok(stream)) = connected {
            if held != Some(true) {
                held = Some(true);
                say("reached")?;
            }
            speak(stream).await;
        }
        if held != Some(false) {
            held = Some(false);
            say("cut")?;
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// A word each second, as long as each is answered.
async fn speak(mut stream: TcpStream) {
    let mut answer = [0; 4];
    loop {
        let turn = async {
            stream.write_all(b"here").await?;
            stream.read_exact(&mut answer).await
        };
        let Ok(Ok(_)) = tokio::time::timeout(PATIENCE, turn).await else { return };
        tokio::time::sleep(BEAT).await;
    }
}

/// Answers each word with itself.
async fn outside(at: SocketAddr) -> Result<(), String> {
    let listener = TcpListener::bind(at).await.map_err(|error| error.to_string())?;
    say("listening")?;
    loop {
        let (mut stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            let mut word = [0; 4];
            loop {
                let read = stream.read_exact(&mut word);
                // What was cut off never says that it is gone.
                let Ok(Ok(_)) = tokio::time::timeout(Duration::from_mins(1), read).await else {
                    return;
                };
                if stream.write_all(&word).await.is_err() {
                    return;
                }
            }
        });
    }
}
