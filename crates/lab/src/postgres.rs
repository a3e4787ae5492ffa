//! A temporary PostgreSQL cluster: made, started, stopped and removed by the lab.
//!
//! It listens on a Unix socket only, keeps `fsync` on, and runs as an unprivileged user when the
//! lab runs as root, because PostgreSQL refuses to run as root. Stopping waits for a clean end.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::out;

/// The superuser of the cluster, whoever runs it.
const ROLE: &str = "riposte";
/// Unix socket paths may be at most 107 bytes long, file name included.
const LONGEST_DIR: usize = 80;

/// A running cluster; dropping it stops it, and removes it unless it is kept.
#[derive(Debug)]
pub(crate) struct Cluster {
    dir: PathBuf,
    user: Option<&'static str>,
    programs: PathBuf,
    keep: bool,
}

impl Cluster {
    /// Makes (unless `dir` already holds one) and starts a cluster with an empty database
    /// `riposte`; with `keep` its files outlive it.
    pub(crate) async fn start(dir: &Path, keep: bool) -> Result<Self, String> {
        if dir.as_os_str().len() > LONGEST_DIR {
            return Err(format!("{}: too long for a socket path", dir.display()));
        }
        let programs = programs()?;
        let cluster = Self { dir: dir.to_owned(), user: user(dir)?, programs, keep };
        let data = cluster.dir.join("data");
        let fresh = !data.join("PG_VERSION").exists();
        fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        cluster.own(&cluster.dir)?;
        cluster.own(&data)?;
        if fresh {
            let data = data.to_string_lossy();
            cluster.run(
                "initdb",
                &["-D", &data, "-U", ROLE, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            )?;
        }
        // A lab that was killed leaves this file behind; PostgreSQL itself checks whether the
        // process in it still lives.
        let socket = cluster.dir.to_string_lossy().into_owned();
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories='{socket}' -c fsync=on \
             -c synchronous_commit=on -c shared_buffers=256MB -c max_connections=100 \
             -c max_wal_size=2GB"
        );
        let log = cluster.dir.join("log").to_string_lossy().into_owned();
        let data = data.to_string_lossy().into_owned();
        cluster.run("pg_ctl", &["-D", &data, "-l", &log, "-o", &options, "-w", "start"])?;
        if fresh {
            cluster.wait_for_database().await?;
        }
        Ok(cluster)
    }

    /// Where a store address points.
    pub(crate) fn url(&self) -> String {
        format!("postgres:///{ROLE}?host={}&user={ROLE}", self.dir.display())
    }

    async fn wait_for_database(&self) -> Result<(), String> {
        let socket = self.dir.to_string_lossy().into_owned();
        let started = Instant::now();
        loop {
            match self.run("createdb", &["-h", &socket, "-U", ROLE, ROLE]) {
                Ok(()) => return Ok(()),
                Err(error) if started.elapsed() > Duration::from_secs(20) => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    fn own(&self, path: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let Some(user) = self.user else { return Ok(()) };
        // The server's own user must come through to the socket as well.
        fs::set_permissions(path, fs::Permissions::from_mode(0o711)).map_err(failed)?;
        if path.ends_with("data") {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let done = Command::new("chown").arg(user).arg(path).status().map_err(failed)?;
        if done.success() { Ok(()) } else { Err(format!("{}: chown failed", path.display())) }
    }

    fn run(&self, program: &str, words: &[&str]) -> Result<(), String> {
        let path = self.programs.join(program);
        let mut command = if let Some(user) = self.user {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", user, "--regid", user, "--clear-groups", "--"]).arg(&path);
            command
        } else {
            Command::new(&path)
        };
        // Locale and PG* variables of the caller must not reach the cluster.
        command.args(words).env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
        command.current_dir("/").stdin(Stdio::null());
        // `pg_ctl start` leaves a server behind that would hold an inherited pipe open.
        let errors = self.dir.join(format!("{program}.err"));
        let file =
            fs::File::create(&errors).map_err(|error| format!("{}: {error}", errors.display()))?;
        let copy = file.try_clone().map_err(|error| error.to_string())?;
        let status = command
            .stdout(copy)
            .stderr(file)
            .status()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        if status.success() {
            return Ok(());
        }
        let said = fs::read_to_string(&errors).unwrap_or_default();
        Err(format!("{program}: {status}: {}", said.trim()))
    }

    fn stop(&self) -> Result<(), String> {
        let data = self.dir.join("data").to_string_lossy().into_owned();
        self.run("pg_ctl", &["-D", &data, "-m", "fast", "-w", "-t", "60", "stop"])
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            out::note(&format!("postgres did not stop: {error}"));
        }
        if !self.keep {
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// `run -- COMMAND…`: runs the command with `RIPOSTE_TEST_POSTGRES` set to the address of a cluster
/// of its own, and gives the command's exit status.
pub(crate) async fn run(words: Vec<String>) -> Result<u8, String> {
    let mut words = words.into_iter();
    if (words.next().as_deref(), words.next().as_deref()) != (Some("run"), Some("--")) {
        return Err("usage: riposte-lab postgres run -- COMMAND…".to_owned());
    }
    let program = words.next().ok_or("postgres run: no command")?;
    let dir = std::env::temp_dir().join(format!("riposte-pg-{}", std::process::id()));
    let cluster = Cluster::start(&dir, false).await?;
    let status = tokio::process::Command::new(&program)
        .args(words)
        .env("RIPOSTE_TEST_POSTGRES", cluster.url())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|error| format!("{program}: {error}"))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// The directory that holds `initdb` and `pg_ctl`: the newest installed version, else the path.
fn programs() -> Result<PathBuf, String> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .filter(|(_, path)| path.join("initdb").exists() && path.join("pg_ctl").exists())
        .collect();
    versions.sort();
    if let Some((_, path)) = versions.pop() {
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .find(|path| path.join("initdb").exists() && path.join("pg_ctl").exists())
        .ok_or_else(|| "no postgres here: apt-get install postgresql".to_owned())
}

/// The unprivileged user to run as; `None` when this process is one already.
fn user(dir: &Path) -> Result<Option<&'static str>, String> {
    let own = fs::metadata("/proc/self").map_err(|error| format!("/proc/self: {error}"))?;
    if own.uid() != 0 {
        return Ok(None);
    }
    let known = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let has = |name: &str| known.lines().any(|line| line.split(':').next() == Some(name));
    if has("postgres") {
        return Ok(Some("postgres"));
    }
    // The group of this name is called otherwise on Debian, so only the user part is asked for.
    if has("nobody") && dir.is_absolute() {
        return Ok(Some("65534"));
    }
    Err("no unprivileged user to run postgres as".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_comes_up_and_leaves_nothing_behind() {
        if programs().is_err() {
            return;
        }
        let dir = std::env::temp_dir().join(format!("riposte-lab-pg-{}", std::process::id()));
        let cluster = Cluster::start(&dir, false).await.unwrap();
        let socket = dir.to_string_lossy().into_owned();
        cluster.run("psql", &["-h", &socket, "-U", ROLE, "-c", "select 1", ROLE]).unwrap();
        assert!(cluster.run("psql", &["-h", &socket, "-U", ROLE, "-c", "nonsense", ROLE]).is_err());
        assert!(cluster.url().starts_with("postgres:///riposte?host=/"));
        drop(cluster);
        assert!(!dir.exists());
    }
}
