//! The real `riposte` binary as a black box: set up, start, kill, measure.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::http::{Client, escape};

/// How long a command of the binary may take.
const COMMAND_PATIENCE: Duration = Duration::from_mins(2);

/// One installation: a binary and where its data is.
#[derive(Clone, Debug)]
pub(crate) struct Install {
    binary: PathBuf,
    data_dir: PathBuf,
    store: Option<String>,
    settings: Vec<(&'static str, String)>,
}

/// An application that may sign in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct App {
    /// The tenant it signs in at.
    pub(crate) tenant_id: String,
    /// Its name at the token endpoint.
    pub(crate) client_id: String,
    /// Its secret.
    pub(crate) client_secret: String,
}

/// Everything an application of a customer needs for the lab's work.
pub(crate) const CUSTOMER_PERMISSIONS: [&str; 6] = [
    "SecurityIncident.Read.All",
    "SecurityIncident.ReadWrite.All",
    "SecurityAlert.Read.All",
    "SecurityAlert.ReadWrite.All",
    "SecurityAlert.Ingest",
    "AuditLog.Read.All",
];

/// What an application of a customer needs that responds.
pub(crate) const RESPONDER_PERMISSIONS: [&str; 5] = [
    "SecurityIncident.ReadWrite.All",
    "SecurityAlert.Ingest",
    "SecurityIncidentTask.ReadWrite.All",
    "SecurityIncidentTask.TakeAction.ReadWrite.All",
    "AuditLog.Read.All",
];

/// What an application of the experts needs.
pub(crate) const EXPERT_PERMISSIONS: [&str; 1] = ["Experts.ReadWrite"];

/// What an expert-side reader needs.
pub(crate) const PROVIDER_PERMISSIONS: [&str; 2] =
    ["SecurityIncident.Read.All", "SecurityAlert.Read.All"];

/// What `riposte audit verify` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verified {
    /// Whether every leaf and root fits.
    pub(crate) ok: bool,
    /// Leaves counted.
    pub(crate) leaves: u64,
    /// The first leaf that does not fit, in the binary's own words.
    pub(crate) first_bad: String,
}

impl Install {
    /// An installation in `data_dir`; `store` is a `postgres://` address or `None` for SQLite.
    pub(crate) fn new(binary: &Path, data_dir: &Path, store: Option<String>) -> Self {
        let (binary, data_dir) = (binary.to_owned(), data_dir.to_owned());
        Self { binary, data_dir, store, settings: Vec::new() }
    }

    /// The same with a setting in the environment.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.push((name, value.to_owned()));
        self
    }

    /// The same on a PostgreSQL database.
    pub(crate) fn on(mut self, store: String) -> Self {
        self.store = Some(store);
        self
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(words).arg("--data-dir").arg(&self.data_dir);
        if let Some(store) = &self.store {
            command.args(["--store", store]);
        }
        command.stdin(Stdio::null()).kill_on_drop(true);
        for name in ["FAILPOINT", "STORE", "DATA_DIR", "LISTEN", "AGENTS"] {
            command.env_remove(format!("RIPOSTE_{name}"));
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs one command with `--json` and reads the object it prints.
    pub(crate) async fn run(
        &self,
        words: &[&str],
        failpoint: Option<&str>,
    ) -> Result<Value, String> {
        fs::create_dir_all(&self.data_dir)
            .map_err(|error| format!("{}: {error}", self.data_dir.display()))?;
        let mut command = self.command(words);
        command.arg("--json");
        if let Some(failpoint) = failpoint {
            command.env("RIPOSTE_FAILPOINT", failpoint);
        }
        let said = words.join(" ");
        let output = tokio::time::timeout(COMMAND_PATIENCE, command.output())
            .await
            .map_err(|_| format!("riposte {said}: still running after {COMMAND_PATIENCE:?}"))?
            .map_err(|error| format!("{}: {error}", self.binary.display()))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let value = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        // A verification that fails says so in its object as well.
        if output.status.success() || value.is_object() {
            Ok(value)
        } else {
            let last = errors.lines().last().unwrap_or("").to_owned();
            Err(format!("riposte {said}: {}: {last}", output.status))
        }
    }

    /// Where its certificate authority is, once it has served.
    pub(crate) fn authority(&self) -> PathBuf {
        self.data_dir.join("tls/ca.pem")
    }

    /// Makes the installation.
    pub(crate) async fn init(&self, failpoint: Option<&str>) -> Result<(), String> {
        let words = ["init", "--provider", "Harbour Watch", "--admin", "admin@harbour.example"];
        self.run(&words, failpoint).await.map(|_| ())
    }

    /// Adds a customer in which the experts may act, and gives its id.
    pub(crate) async fn tenant_add(&self, name: &str) -> Result<String, String> {
        self.tenant_for(name, "operator").await
    }

    /// Adds a customer in which the experts may do as much, and gives its id.
    pub(crate) async fn tenant_for(&self, name: &str, experts: &str) -> Result<String, String> {
        let reply = self.run(&["tenant", "add", name, "--experts", experts], None).await?;
        text(&reply, "tenantId")
    }

    /// Makes a token that agents of a customer enrol with.
    pub(crate) async fn agent_token(&self, tenant: &str) -> Result<String, String> {
        text(&self.run(&["agent-token", "--tenant", tenant], None).await?, "token")
    }

    /// Adds an application of a customer, or of the provider when `tenant` is `None`.
    pub(crate) async fn app_add(&self, tenant: Option<&str>, name: &str) -> Result<App, String> {
        let permissions: &[&str] =
            if tenant.is_some() { &CUSTOMER_PERMISSIONS } else { &PROVIDER_PERMISSIONS };
        self.app_with(tenant, name, permissions).await
    }

    /// The same with these permissions.
    pub(crate) async fn app_with(
        &self,
        tenant: Option<&str>,
        name: &str,
        permissions: &[&str],
    ) -> Result<App, String> {
        let mut words = vec!["app", "add", "--name", name];
        match tenant {
            Some(id) => words.extend(["--tenant", id]),
            None => words.push("--provider"),
        }
        for permission in permissions {
            words.extend(["--permission", permission]);
        }
        let reply = self.run(&words, None).await?;
        Ok(App {
            tenant_id: text(&reply, "tenantId")?,
            client_id: text(&reply, "clientId")?,
            client_secret: text(&reply, "clientSecret")?,
        })
    }

    /// Verifies the audit trees.
    pub(crate) async fn verify(&self) -> Result<Verified, String> {
        let reply = self.run(&["audit", "verify"], None).await?;
        Ok(Verified {
            ok: reply["ok"].as_bool().unwrap_or(false),
            leaves: reply["leaves"].as_u64().unwrap_or(0),
            first_bad: reply["firstBad"].to_string(),
        })
    }

    /// Starts `serve`; its log is appended to `log`.
    pub(crate) fn serve(
        &self,
        address: SocketAddr,
        log: &Path,
        failpoint: Option<&str>,
    ) -> Result<Server, String> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = self.command(&["serve", "--listen", &address.to_string()]);
        if let Some(failpoint) = failpoint {
            command.env("RIPOSTE_FAILPOINT", failpoint);
        }
        let child = command
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{}: {error}", self.binary.display()))?;
        Ok(Server { address, child, started: Instant::now() })
    }

    /// Starts `serve` on a free port and waits until it is ready.
    pub(crate) async fn serve_ready(&self, log: &Path) -> Result<Server, String> {
        let mut server = self.serve(free_address()?, log, None)?;
        server.ready(Duration::from_mins(1)).await?;
        Ok(server)
    }
}

fn text(reply: &Value, name: &str) -> Result<String, String> {
    reply[name].as_str().map(str::to_owned).ok_or_else(|| format!("reply without {name}: {reply}"))
}

/// A loopback address nobody listens at now.
pub(crate) fn free_address() -> Result<SocketAddr, String> {
    free_address_at(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// A port of an address of this machine that nobody listens at now.
pub(crate) fn free_address_at(ip: IpAddr) -> Result<SocketAddr, String> {
    TcpListener::bind((ip, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("no free port: {error}"))
}

/// A running `serve`; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
    started: Instant,
}

impl Server {
    /// Waits until `/readyz` answers 200 and gives the time since the start.
    pub(crate) async fn ready(&mut self, patience: Duration) -> Result<Duration, String> {
        loop {
            let mut client = Client::new(self.address).patient(Duration::from_secs(5));
            if client.get("/readyz", "").await.is_ok_and(|reply| reply.status == 200) {
                return Ok(self.started.elapsed());
            }
            if let Some(status) = self.exited() {
                return Err(format!("riposte serve ended by itself: {status}"));
            }
            if self.started.elapsed() > patience {
                return Err(format!("riposte serve not ready after {patience:?}"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How the process ended, when it has.
    pub(crate) fn exited(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Waits for the process to end by itself; `false` when it has not after `patience`.
    pub(crate) async fn ends(&mut self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.child.wait()).await.is_ok()
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) async fn kill(&mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|error| format!("kill: {error}"))
    }

    /// SIGTERM, without waiting.
    pub(crate) async fn interrupt(&self) -> Result<(), String> {
        if let Some(id) = self.child.id() {
            let id = id.to_string();
            let sent = Command::new("kill").args(["-TERM", &id]).status().await;
            sent.map_err(|error| format!("kill: {error}"))?;
        }
        Ok(())
    }

    /// SIGTERM, and gives the time until the process was gone; then SIGKILL when it stays.
    pub(crate) async fn stop(&mut self) -> Result<Duration, String> {
        let asked = Instant::now();
        self.interrupt().await?;
        if !self.ends(Duration::from_secs(15)).await {
            self.kill().await?;
            return Err("still running 15 s after SIGTERM".to_owned());
        }
        Ok(asked.elapsed())
    }

    /// The memory and processor time of the process, as the kernel counts them.
    pub(crate) fn usage(&self) -> Usage {
        self.child.id().map_or_else(Usage::default, usage)
    }

    /// Makes the kernel count the peak of memory from now on.
    pub(crate) fn reset_peak(&self) {
        if let Some(id) = self.child.id() {
            // Where it is refused the peak counts from the start, which is never too low.
            let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
        }
    }

    /// A token of this application.
    pub(crate) async fn token(&self, app: &App) -> Result<String, String> {
        token(self.address, app).await
    }
}

/// Asks for a token as Microsoft's libraries do.
pub(crate) async fn token(address: SocketAddr, app: &App) -> Result<String, String> {
    let body = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={}",
        escape(&app.client_id),
        escape(&app.client_secret),
        escape("https://graph.microsoft.com/.default"),
    );
    let request = crate::http::Request {
        method: "POST",
        path: &format!("/{}/oauth2/v2.0/token", app.tenant_id),
        token: "",
        content_type: "application/x-www-form-urlencoded",
        headers: "",
        body: body.as_bytes(),
    };
    let reply =
        Client::new(address).send(&request).await.map_err(|error| format!("token: {error}"))?;
    reply.json()["access_token"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("token: {}", reply.excerpt()))
}

/// What a process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Resident memory now, in KiB.
    pub(crate) rss_kib: u64,
    /// Resident memory that belongs to no file, in KiB.
    pub(crate) anonymous_kib: u64,
    /// The peak of resident memory, in KiB.
    pub(crate) peak_kib: u64,
    /// Processor time so far, in milliseconds.
    pub(crate) cpu_ms: u64,
}

/// What the process of this number uses.
pub(crate) fn usage(id: u32) -> Usage {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    read_usage(&status, &stat)
}

fn read_usage(status: &str, stat: &str) -> Usage {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
            .unwrap_or(0)
    };
    // The process name may hold blanks, so the numbers count from its closing bracket; the kernel
    // reports ticks of 10 ms.
    let after = stat.rsplit(')').next().unwrap_or("");
    let ticks: u64 =
        after.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Usage {
        rss_kib: field("VmRSS:"),
        anonymous_kib: field("RssAnon:"),
        peak_kib: field("VmHWM:"),
        cpu_ms: ticks * 10,
    }
}

/// A directory of the lab's own that is removed when dropped, unless kept.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Where it is.
    pub(crate) path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// A new directory under `parent`, named after `name` and this process.
    pub(crate) fn new(parent: &Path, name: &str, keep: bool) -> Result<Self, String> {
        let path = parent.join(format!("riposte-lab-{name}-{}", std::process::id()));
        // A former run with this process id may have been killed.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path, keep })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_says() {
        let status = "Name:\tx\nVmHWM:\t  900 kB\nVmRSS:\t  700 kB\nRssAnon:\t  300 kB\n";
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20";
        let expected = Usage { rss_kib: 700, anonymous_kib: 300, peak_kib: 900, cpu_ms: 2_000 };
        assert_eq!(read_usage(status, stat), expected);
        assert!(usage(std::process::id()).rss_kib > 0);
    }

    #[tokio::test]
    async fn commands_get_their_flags_and_give_their_object() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = Scratch::new(&std::env::temp_dir(), "stub", false).unwrap();
        let binary = scratch.path.join("riposte");
        fs::write(
            &binary,
            "#!/bin/sh\ncase \"$1\" in\n\
             init) echo '{\"providerId\":\"p\"}';;\n\
             tenant) echo \"{\\\"tenantId\\\":\\\"$3\\\"}\";;\n\
             app) echo '{\"tenantId\":\"t\",\"clientId\":\"c\",\"clientSecret\":\"s\"}';;\n\
             audit) echo '{\"leaves\":3,\"root\":\"r\",\"ok\":false,\"firstBad\":2}'; exit 1;;\n\
             *) echo 'first line' >&2; echo \"no such command\" >&2; exit 2;; esac\n",
        )
        .unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let install = Install::new(&binary, &scratch.path.join("data"), None);
        install.init(None).await.unwrap();
        assert_eq!(install.tenant_add("Alder").await.unwrap(), "Alder");
        assert_eq!(install.app_add(Some("t"), "lab").await.unwrap().client_id, "c");
        let verified = install.verify().await.unwrap();
        assert_eq!((verified.ok, verified.leaves, verified.first_bad.as_str()), (false, 3, "2"));
        let refused = install.run(&["bogus"], None).await.unwrap_err();
        assert!(refused.ends_with("no such command"), "{refused}");
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_not_waited_for() {
        let scratch = Scratch::new(&std::env::temp_dir(), "early", false).unwrap();
        let install = Install::new(Path::new("/bin/false"), &scratch.path, None);
        let log = scratch.path.join("log");
        let mut server = install.serve(free_address().unwrap(), &log, None).unwrap();
        let error = server.ready(Duration::from_secs(20)).await.unwrap_err();
        assert!(error.contains("ended by itself"), "{error}");
    }
}
