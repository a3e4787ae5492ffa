//! The demo's real devices: network namespaces of this machine in which real agents run.
//!
//! ```text
//!  this machine           riposte-demo-TAG-0         riposte-demo-TAG-out
//!  10.83.N.1:agents ───── eth0 10.83.N.11 wan ────── 203.0.113.66:4443
//!        └─────────────── eth0 10.83.N.12 wan ──────────────┘
//! ```
//!
//! Each device has a way to the agents' listener and one to a third namespace, where the intruder's
//! server of the story is; nothing is forwarded, and nothing of it is seen outside this machine. It
//! takes root, Linux and three programs; where something is missing the demo goes on without, and
//! says what. Names go by the data directory, so that two demos do not meet and what a killed one
//! left is found and removed by the next. Nothing here passes through a shell.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use crate::agent::token;
use crate::app::App;
use crate::asset;
use crate::config::{Agents, Config};
use crate::demo::inside::{Machine, PATH, Part};
use crate::demo::real::{BUILDS, Build, Device, OUTSIDE, PORT};
use crate::tenant;

/// How long a device may take to enrol.
const PATIENCE: Duration = Duration::from_mins(1);

/// The namespaces of one demo.
pub struct Ground {
    /// What the names of this demo's namespaces begin with.
    prefix: String,
    /// The same, for interfaces, whose names are short.
    short: String,
    /// The third number of its addresses.
    net: u8,
    /// The programs.
    ip: PathBuf,
    unshare: PathBuf,
    agent: PathBuf,
    own: PathBuf,
    /// Where the devices' files are.
    dir: PathBuf,
}

/// What runs in them.
struct Running {
    child: Child,
    /// As long as this is open it goes on.
    _held: tokio::process::ChildStdin,
}

impl Ground {
    /// Makes the namespaces; the reason in words where that cannot be.
    pub async fn make(config: &Config) -> Result<Self, String> {
        let ground = Self::find(config)?;
        ground.clear().await;
        let net = ground.free().await?;
        let ground = Self { net, ..ground };
        if let Err(why) = ground.lay().await {
            ground.clear().await;
            return Err(format!("network namespaces cannot be made here: {why}"));
        }
        Ok(ground)
    }

    /// Looks whether all that it takes is there.
    fn find(config: &Config) -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("that takes Linux".to_owned());
        }
        if std::fs::metadata("/proc/self").map_or(1, |it| it.uid()) != 0 {
            return Err("that takes root".to_owned());
        }
        match config.agents {
            Some(Agents::Off) => return Err("agents are off".to_owned()),
            Some(Agents::At(at)) if at.ip().is_loopback() => {
                return Err(format!("agents of other networks do not reach {at}"));
            }
            _ => {}
        }
        if config.tls.cert.is_some() {
            return Err("the server's certificate does not name their network".to_owned());
        }
        let program = |name: &str| {
            let found = PATH.split(':').map(|dir| Path::new(dir).join(name));
            found.into_iter().find(|path| path.is_file()).ok_or(format!("{name} is missing"))
        };
        for name in ["nft", "mount", "umount", "pivot_root"] {
            program(name)?;
        }
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let agent = own.with_file_name("riposte-agent");
        if !agent.is_file() {
            return Err(format!("{} is missing", agent.display()));
        }
        let dir = std::path::absolute(config.data_dir.join("devices"));
        let dir = dir.map_err(|error| error.to_string())?;
        let tag = &tenant::hash(&dir.to_string_lossy())[..6];
        Ok(Self {
            prefix: format!("riposte-demo-{tag}-"),
            short: format!("rd{tag}-"),
            net: 0,
            ip: program("ip")?,
            unshare: program("unshare")?,
            agent,
            own,
            dir,
        })
    }

    /// Where agents are to connect to, unless somebody chose a place.
    #[must_use]
    pub fn listen(&self, config: &Config) -> Agents {
        let port = config.listen.port();
        let port = if port == 0 { 0 } else { port.wrapping_add(1) };
        config.agents.unwrap_or(Agents::At(SocketAddr::new(IpAddr::V4(self.gateway()), port)))
    }

    fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 83, self.net, 1)
    }

    /// The first 10.83.N.0/24 that this machine knows nothing of.
    async fn free(&self) -> Result<u8, String> {
        let mut known = self.ip(&["-4", "route", "show", "table", "all"]).await?;
        known.push_str(&self.ip(&["-4", "address", "show"]).await?);
        let taken = |net: &u8| known.contains(&format!("10.83.{net}."));
        (0..=255).find(|net| !taken(net)).ok_or_else(|| "10.83.0.0/16 is taken".to_owned())
    }

    /// Lays the cables.
    async fn lay(&self) -> Result<(), String> {
        let gateway = self.gateway().to_string();
        let out = format!("{}out", self.prefix);
        let server = format!("{OUTSIDE}/32");
        self.ip(&["netns", "add", &out]).await?;
        self.ip(&["-n", &out, "link", "set", "lo", "up"]).await?;
        self.ip(&["-n", &out, "address", "add", &server, "dev", "lo"]).await?;
        for place in 0..BUILDS.len() {
            let space = self.space(place);
            let here = format!("{}{place}", self.short);
            let there = format!("w{place}");
            let own = self.address(place).to_string();
            self.ip(&["netns", "add", &space]).await?;
            let eth0 =
                ["link", "add", &here, "type", "veth", "peer", "name", "eth0", "netns", &space];
            self.ip(&eth0).await?;
            self.ip(&["address", "add", &gateway, "peer", &own, "dev", &here]).await?;
            self.ip(&["link", "set", &here, "up"]).await?;
            let inside = |words: &[&str]| {
                ["-n", &space]
                    .iter()
                    .chain(words)
                    .map(|word| (*word).to_owned())
                    .collect::<Vec<_>>()
            };
            for words in [
                inside(&["link", "set", "lo", "up"]),
                inside(&["address", "add", &own, "peer", &gateway, "dev", "eth0"]),
                inside(&["link", "set", "eth0", "up"]),
                inside(&["route", "add", "default", "via", &gateway, "dev", "eth0"]),
                inside(&[
                    "link", "add", "wan", "type", "veth", "peer", "name", &there, "netns", &out,
                ]),
                inside(&["link", "set", "wan", "up"]),
                inside(&["route", "add", &server, "dev", "wan", "src", &own]),
            ] {
                self.ip(&words).await?;
            }
            self.ip(&["-n", &out, "link", "set", &there, "up"]).await?;
            self.ip(&["-n", &out, "route", "add", &format!("{own}/32"), "dev", &there]).await?;
        }
        Ok(())
    }

    fn space(&self, place: usize) -> String {
        format!("{}{place}", self.prefix)
    }

    fn address(&self, place: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 83, self.net, 11 + place as u8)
    }

    /// Removes the namespaces, and with each its cables.
    pub async fn clear(&self) {
        for place in 0..BUILDS.len() {
            // Mostly there is none.
            let _ = self.ip(&["link", "delete", &format!("{}{place}", self.short)]).await;
        }
        let Ok(names) = std::fs::read_dir("/run/netns") else { return };
        for name in names.flatten() {
            let name = name.file_name().to_string_lossy().into_owned();
            if !name.starts_with(&self.prefix) {
                continue;
            }
            if let Err(why) = self.ip(&["netns", "delete", &name]).await {
                tracing::warn!("the demo's namespace {name} is left behind: {why}");
            }
        }
    }

    async fn ip<T: AsRef<str>>(&self, words: &[T]) -> Result<String, String> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        let told = Command::new(&self.ip).args(&words).output().await;
        let told = told.map_err(|error| error.to_string())?;
        if told.status.success() {
            return Ok(String::from_utf8_lossy(&told.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&told.stderr);
        Err(format!("ip {}: {}", words.join(" "), why.trim()))
    }

    /// Starts what lives in the namespaces and ends it at `stop`. Agents come in at `port`.
    pub async fn live(
        self: Arc<Self>,
        app: App,
        devices: Vec<Device>,
        port: u16,
        stop: CancellationToken,
    ) {
        let server = format!("https://{}", SocketAddr::new(IpAddr::V4(self.gateway()), port));
        let mut running = Vec::new();
        for told in self.start(&app, &devices, &server).await {
            match told {
                Ok(child) => running.push(child),
                Err(why) => tracing::warn!("a device of the demo did not start: {why}"),
            }
        }
        stop.cancelled().await;
        for one in &mut running {
            let _ = one.child.start_kill();
        }
        for mut one in running {
            let _ = one.child.wait().await;
        }
    }

    async fn start(
        &self,
        app: &App,
        devices: &[Device],
        server: &str,
    ) -> Vec<Result<Running, String>> {
        let to = SocketAddr::new(IpAddr::V4(OUTSIDE.parse().unwrap_or(Ipv4Addr::LOCALHOST)), PORT);
        let log = self.dir.join("outside.log");
        let mut started = Vec::new();
        if let Err(why) = make_dir(&self.dir) {
            return vec![Err(why)];
        }
        let space = format!("{}out", self.prefix);
        let outside = self.run(&space, &Part::Outside(to), &log).await;
        started.push(match outside {
            Ok((running, mut said)) => {
                let _ = tokio::time::timeout(PATIENCE, said.next_line()).await;
                Ok(running)
            }
            Err(why) => Err(why),
        });
        for (place, build) in BUILDS.iter().enumerate() {
            let Some(device) = devices.iter().find(|device| device.name == build.name) else {
                continue;
            };
            started.push(self.device(app, (place, build), device, (server, to)).await);
        }
        started
    }

    /// Starts a device; it enrols when it is not the store's already.
    async fn device(
        &self,
        app: &App,
        (place, build): (usize, &Build),
        device: &Device,
        (server, to): (&str, SocketAddr),
    ) -> Result<Running, String> {
        let dir = self.dir.join(build.name);
        let (root, data) = (dir.join("root"), dir.join("agent"));
        make_dir(&root)?;
        make_dir(&data)?;
        let wrong = |error: crate::error::Error| error.to_string();
        let tenant = tenant::find(app, &device.tenant_id).await.map_err(wrong)?;
        let known = asset::find_named(app, tenant.no, build.name).await.map_err(wrong)?;
        let known = known.and_then(|known| known.agent).map(|agent| format!("{agent} {server}"));
        let note = dir.join("enrolled");
        let enrolled = known.is_some() && std::fs::read_to_string(&note).ok() == known;
        let enrol = if enrolled {
            None
        } else {
            let made = token::add_by_command(app, &device.tenant_id, Some(1)).await;
            let ca = app.config.data_dir.join("tls/ca.pem");
            let ca = std::fs::read_to_string(&ca).map_err(|error| format!("ca.pem: {error}"))?;
            Some((server.to_owned(), made.map_err(wrong)?.token, ca))
        };
        let (path, content) = build.file;
        let machine = Machine {
            name: build.name.to_owned(),
            root,
            data,
            agent: self.agent.clone(),
            id: tenant::hash(&self.space(place))[..32].to_owned(),
            user: build.user.to_owned(),
            file: (path.to_owned(), content.to_owned()),
            beacon: to,
            enrol,
        };
        let log = dir.join("log");
        let part = Part::Machine(Box::new(machine));
        let (running, mut said) = self.run(&self.space(place), &part, &log).await?;
        let first = tokio::time::timeout(PATIENCE, said.next_line()).await;
        if !matches!(&first, Ok(Ok(Some(line))) if line == "enrolled") {
            return Err(format!("{}: {}", build.name, last_line(&log)));
        }
        let now = asset::find_named(app, tenant.no, build.name).await.map_err(wrong)?;
        if let Some(agent) = now.and_then(|now| now.agent) {
            let _ = std::fs::write(&note, format!("{agent} {server}"));
        }
        let name = build.name;
        tracing::info!(
            "{name} of the demo is up: {} in {}",
            self.address(place),
            self.space(place)
        );
        tokio::spawn(async move {
            while let Ok(Some(line)) = said.next_line().await {
                match line.as_str() {
                    "reached" => tracing::info!("{name} speaks to the intruder's {to}"),
                    "cut" => tracing::info!("{name} is cut off from the intruder's {to}"),
                    other => tracing::warn!("{name}: {other}"),
                }
            }
        });
        Ok(running)
    }

    /// Starts a part of the demo in a namespace, with namespaces of its own for all but the network.
    async fn run(
        &self,
        space: &str,
        part: &Part,
        log: &Path,
    ) -> Result<(Running, tokio::io::Lines<BufReader<ChildStdout>>), String> {
        let failed = |error: std::io::Error| format!("cannot start {space}: {error}");
        let errors = std::fs::File::create(log).map_err(failed)?;
        let mut command = Command::new(&self.ip);
        command.args(["netns", "exec", space]).arg(&self.unshare);
        command.args(["--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child"]);
        command.arg(&self.own).arg("demo-inside");
        command.env_clear().env("PATH", PATH).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        // A Ctrl-C at the terminal is for the demo, which ends its devices in order.
        command.process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let (Some(mut held), Some(said)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("cannot start {space}"));
        };
        let mut line = serde_json::to_string(part).map_err(|error| error.to_string())?;
        line.push('\n');
        held.write_all(line.as_bytes()).await.map_err(failed)?;
        Ok((Running { child, _held: held }, BufReader::new(said).lines()))
    }
}

fn make_dir(dir: &Path) -> Result<(), String> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| format!("{}: {error}", dir.display()))
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().next_back().unwrap_or("it says nothing").to_owned()
}

/// What the demo prints of its devices, or why there are none.
#[must_use]
pub fn tell(devices: &[Device], url: &str, missing: Option<&str>) -> String {
    if let Some(why) = missing {
        return format!("\nNo device of this demo is real: {why}.\n");
    }
    let mut text =
        "\nTwo devices are real: network namespaces of this machine in which riposte-agent \
                    runs, each\nwith a connection to an intruder that an isolation cuts (see the \
                    log below):\n"
            .to_owned();
    for Device { name, customer, incident, click, .. } in devices {
        let _ = write!(
            text,
            "\n  {name:<11} {customer}: {click}\n  {:<11} at {url}/incidents/{incident}?response=actions\n",
            ""
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_missing_is_said_in_one_line() {
        let config = Config { agents: Some(Agents::Off), ..Config::default() };
        let why = Ground::make(&config).await.err().expect("there are no devices");
        let told = tell(&[], "http://127.0.0.1:1", Some(&why));
        assert_eq!(told.trim().lines().count(), 1, "{told}");
    }

    #[test]
    fn the_devices_are_named_with_where_to_click() {
        let device = Device {
            name: "wharf-07".to_owned(),
            customer: "Alder Freight".to_owned(),
            tenant_id: "t".to_owned(),
            incident: "67".to_owned(),
            click: "isolate it".to_owned(),
        };
        let told = tell(&[device], "http://127.0.0.1:1", None);
        assert!(told.contains("wharf-07    Alder Freight: isolate it"), "{told}");
        assert!(told.contains("http://127.0.0.1:1/incidents/67"), "{told}");
    }
}
