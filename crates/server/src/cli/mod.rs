//! The command line: every command is one verb, one line or one JSON object, and an exit status.
//!
//! 0 done, 1 refused or failed with one line on standard error, 2 wrong usage. With `--json`
//! standard output is one JSON object and nothing else. Commands open the store themselves and so
//! work with or without a server beside them.

mod demo;
mod import;
mod settings;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::agent::authority::Authority;
use crate::agent::enrol;
use crate::agent::token;
use crate::alert::format::Format;
use crate::alert::intake::Intake;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Agents, Config};
use crate::db::{Db, column};
use crate::error::{Error, Result};
use crate::http::Site;
use crate::id::Random;
use crate::permission::Permission;
use crate::serve::Listening;
use crate::tenant::caller::Callers;
use crate::tenant::token::Keys;
use crate::tenant::{self, ExpertAccess, Side};
use crate::{backup, log, router, serve, tls, worker};

/// Open, self-hosted managed detection and response.
#[derive(Parser)]
#[command(name = "riposte", version, after_help = settings::HELP)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Global {
    /// Where the SQLite store and TLS files are [default: riposte-data].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A postgres:// address to keep the store in, instead of SQLite in the data directory.
    #[arg(long, global = true, value_name = "URL")]
    store: Option<String>,
    /// The configuration file [default: riposte.toml here, when there is one].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The address people and clients reach this installation by, for links.
    #[arg(long, global = true, value_name = "URL")]
    public_url: Option<String>,
    /// Print one JSON object on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// Write log lines as JSON objects.
    #[arg(long, global = true)]
    log_json: bool,
    /// What to log, for example `info,riposte=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    log_filter: Option<String>,
    /// Send traces to this OTLP/HTTP collector.
    #[arg(long, global = true, value_name = "URL")]
    otlp_endpoint: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Name the provider and invite its first administrator.
    Init {
        /// The provider's name.
        #[arg(long, value_name = "NAME")]
        provider: String,
        /// The administrator's mail address.
        #[arg(long, value_name = "EMAIL")]
        admin: String,
    },
    /// Customers.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Applications that sign in with a secret.
    #[command(subcommand)]
    App(AppCommand),
    /// People.
    #[command(subcommand)]
    User(UserCommand),
    /// Make a token that endpoint agents of a customer enrol with; shown this once.
    AgentToken {
        /// The customer that the devices belong to.
        #[arg(long, value_name = "ID")]
        tenant: String,
        /// For how long it is valid: 1 to 720 hours.
        #[arg(long, value_name = "N", default_value_t = token::HOURS)]
        hours: i64,
    },
    /// Take alerts in from files.
    Import {
        /// The customer the alerts belong to.
        #[arg(long, value_name = "ID")]
        tenant: String,
        /// How the records are written.
        #[arg(long, value_parser = parse::<Format>, default_value = "graph")]
        format: Format,
        /// The files; `-` is standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Listen and work until a signal.
    Serve(Listen),
    /// Serve a store filled with a provider and two customers with living incidents.
    Demo(Listen),
    /// What the demo runs inside its devices; it starts these itself.
    #[command(hide = true)]
    DemoInside,
    /// The audit tree.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Keep the whole store in one file; a server may be running.
    Backup {
        /// The file to write.
        file: PathBuf,
    },
    /// Bring a backup back into an empty store.
    Restore {
        /// The file to read.
        file: PathBuf,
    },
    /// Bring the store to the newest schema; `serve` does so too.
    Migrate,
    /// Print the OpenAPI document.
    Openapi,
}

#[derive(Subcommand)]
enum TenantCommand {
    /// Add a customer.
    Add {
        /// The customer's name.
        name: String,
        /// How far the provider's experts may go in this tenant.
        #[arg(long, value_parser = experts, default_value = "reader")]
        experts: ExpertAccess,
    },
    /// List the customers.
    List,
}

#[derive(Subcommand)]
enum AppCommand {
    /// Let an application sign in; its secret is shown this once.
    Add {
        #[command(flatten)]
        whose: Whose,
        /// What the application is called.
        #[arg(long)]
        name: String,
        /// What it may do, such as SecurityIncident.Read.All; several may follow.
        #[arg(long = "permission", value_name = "P", required = true, num_args = 1..,
              value_delimiter = ',', value_parser = parse::<Permission>)]
        permissions: Vec<Permission>,
    },
}

#[derive(Subcommand)]
enum UserCommand {
    /// Invite a person; the link is valid once, for one hour.
    Add {
        #[command(flatten)]
        whose: Whose,
        /// The person's mail address.
        #[arg(long)]
        email: String,
        /// The person's role, such as "Security Operator" or, on the provider's side, "Expert".
        #[arg(long)]
        role: String,
    },
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Recompute every leaf and root and compare them with what is stored.
    Verify {
        /// A checkpoint that was kept elsewhere, to compare with as well.
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// The customer it belongs to.
    #[arg(long, value_name = "ID")]
    tenant: Option<String>,
    /// It belongs to the provider.
    #[arg(long)]
    provider: bool,
}

impl Whose {
    fn side(&self) -> Side<'_> {
        self.tenant.as_deref().map_or(Side::Provider, Side::Tenant)
    }
}

#[derive(Args)]
struct Listen {
    /// The address to listen at [default: 127.0.0.1:8470].
    #[arg(long = "listen", value_name = "ADDR")]
    address: Option<SocketAddr>,
    /// Serve HTTPS with this certificate chain and private key (PEM).
    #[arg(long, num_args = 2, value_names = ["CERT", "KEY"])]
    tls: Option<Vec<PathBuf>>,
    /// Serve HTTPS with a certificate of our own; clients trust tls/ca.pem in the data directory.
    #[arg(long, conflicts_with = "tls")]
    tls_self_signed: bool,
    /// Where agents connect: an address, or off [default: the address above when it has TLS, else
    /// its next port, with a certificate of our own].
    #[arg(long, value_name = "ADDR", value_parser = parse::<Agents>)]
    agents: Option<Agents>,
}

fn parse<T: std::str::FromStr<Err = String>>(text: &str) -> std::result::Result<T, String> {
    text.parse()
}

fn experts(text: &str) -> std::result::Result<ExpertAccess, String> {
    [ExpertAccess::None, ExpertAccess::Reader, ExpertAccess::Operator]
        .into_iter()
        .find(|access| access.word() == text)
        .ok_or_else(|| "expected none, reader or operator".to_owned())
}

/// What a command has to say when it is done.
struct Said {
    json: Value,
    text: String,
    /// Whether the command found what it should not have: said, and yet exit status 1.
    failed: bool,
}

impl Said {
    fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), failed: false }
    }
}

/// Runs the program: reads the command line, does what it says and gives the exit status.
#[must_use]
pub fn main() -> ExitCode {
    // Prints help (0) and wrong usage (2) itself.
    let cli = Cli::parse();
    if matches!(cli.command, Command::DemoInside) {
        return crate::demo::inside::main();
    }
    let json = cli.global.json;
    match start(cli) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(said)) => {
            let text = if json { said.json.to_string() } else { said.text };
            if let Err(error) = print(&text) {
                return refuse(&error, 1);
            }
            ExitCode::from(u8::from(said.failed))
        }
        Err(Failure::Usage(error)) => refuse(&error, 2),
        Err(Failure::Failed(error)) => refuse(&error.to_string(), 1),
    }
}

/// Why a command was not done.
enum Failure {
    /// A setting that cannot be read.
    Usage(String),
    /// Everything else.
    Failed(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn refuse(reason: &str, status: u8) -> ExitCode {
    let mut line = "riposte: ".to_owned();
    log::escape(&mut line, reason);
    line.push('\n');
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
    ExitCode::from(status)
}

fn print(text: &str) -> std::result::Result<(), String> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
    match written {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| format!("cannot write to standard output: {error}")),
    }
}

fn start(cli: Cli) -> std::result::Result<Option<Said>, Failure> {
    let Cli { global, command } = cli;
    let json = global.json;
    if matches!(command, Command::Openapi) {
        let mut document = serde_json::to_value(router::document()).map_err(Error::internal)?;
        document.sort_all_objects();
        let text = serde_json::to_string_pretty(&document).map_err(Error::internal)?;
        return Ok(Some(Said::new(document, text)));
    }
    let (mut config, told_filter) = settings::read(global, |name| std::env::var(name).ok())?;
    let mut listening = false;
    if let Command::Serve(listen) | Command::Demo(listen) = &command {
        listening = true;
        settings::listen(&mut config, listen);
        config.demo = matches!(command, Command::Demo(_));
    }
    if !listening && !told_filter {
        // A command that is done has said so; only what is wrong is worth a line more.
        "warn".clone_into(&mut config.log_filter);
    }
    let clock = Clock::system();
    // Dropped last: it sends the last traces.
    let _log = log::init(&config, &clock)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::internal)?;
    let result = runtime.block_on(run(command, config, clock, json));
    // What still runs after a drain that took too long is not waited for.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    Ok(result?)
}

async fn run(
    command: Command,
    mut config: Config,
    clock: Clock,
    json: bool,
) -> Result<Option<Said>> {
    let mailbox = match &command {
        Command::Demo(_) => crate::demo::mailbox::open(&mut config).await?,
        _ => None,
    };
    let makes_store = matches!(
        command,
        Command::Init { .. }
            | Command::Tenant(TenantCommand::Add { .. })
            | Command::Serve(_)
            | Command::Demo(_)
            | Command::Restore { .. }
            | Command::Migrate
    );
    let app = open(config, clock, makes_store).await?;
    match command {
        Command::Serve(_) => {
            let open = open_doors(&app, app.config.agents).await?;
            // The listener closes the store when it has drained.
            let (doors, stop) = routes(&app, open).await?;
            serve::serve(app, doors, stop).await?;
            Ok(None)
        }
        Command::Demo(_) => demo::run(app, mailbox, json).await.map(|()| None),
        command => {
            let said = one_shot(&app, command).await;
            let closed = app.db.clone().close().await;
            let said = said?;
            closed?;
            Ok(said)
        }
    }
}

async fn one_shot(app: &App, command: Command) -> Result<Option<Said>> {
    Ok(Some(match command {
        Command::Init { provider, admin } => {
            let (id, url) = tenant::init(app, &provider, &admin).await?;
            let text = format!("provider {id}\nset up sign-in within one hour: {url}");
            Said::new(json!({ "providerId": id, "setupUrl": url }), text)
        }
        Command::Tenant(TenantCommand::Add { name, experts }) => {
            let tenant = tenant::add(app, &name, experts).await?;
            Said::new(json!({ "tenantId": tenant.id }), format!("tenant {}", tenant.id))
        }
        Command::Tenant(TenantCommand::List) => list_tenants(app).await?,
        Command::App(AppCommand::Add { whose, name, permissions }) => {
            let made = tenant::add_app(app, whose.side(), &name, &permissions).await?;
            let text = format!(
                "client id      {}\nclient secret  {} (shown this once)\ntenant id      {}",
                made.client_id, made.client_secret, made.tenant_id
            );
            Said::new(serde_json::to_value(&made).map_err(Error::internal)?, text)
        }
        Command::User(UserCommand::Add { whose, email, role }) => {
            let invited = tenant::add_person(app, whose.side(), &email, &role).await?;
            let text = format!(
                "user {}\nset up sign-in within one hour: {}",
                invited.user_id, invited.setup_url
            );
            Said::new(serde_json::to_value(&invited).map_err(Error::internal)?, text)
        }
        Command::AgentToken { tenant, hours } => {
            let made = token::add_by_command(app, &tenant, Some(hours)).await?;
            let text = format!("{}\nvalid until {} (shown this once)", made.token, made.until);
            Said::new(json!({ "token": made.token }), text)
        }
        Command::Import { tenant, format, files } => {
            let tenant = tenant::find(app, &tenant).await?;
            let (outcome, failed) = import::import(app, tenant.no, format, &files).await?;
            // Alerts that are in are correlated by a running server, else here.
            worker::settle(app).await?;
            if let Some(failed) = failed {
                let said = serde_json::to_string(&outcome).map_err(Error::internal)?;
                return Err(Error::Invalid(format!("{failed}; until then {said}")));
            }
            let text = import::tell(&outcome);
            Said::new(serde_json::to_value(&outcome).map_err(Error::internal)?, text)
        }
        Command::Audit(AuditCommand::Verify { checkpoint }) => {
            let kept = checkpoint.as_deref().map(read_text).transpose()?;
            let found = crate::audit::verify(app, kept.as_deref()).await?;
            let text = match &found.first_bad {
                None => format!("{} leaves agree, root {}", found.leaves, found.root),
                Some(bad) => format!("the audit tree does not agree: {bad}"),
            };
            let failed = !found.ok;
            let json = serde_json::to_value(&found).map_err(Error::internal)?;
            Said { json, text, failed }
        }
        Command::Backup { file } => {
            let kept = backup::backup(app, &file).await?;
            let text = format!(
                "kept {} rows of {} tables in {} ({} bytes)",
                kept.rows,
                kept.tables,
                file.display(),
                kept.bytes
            );
            Said::new(serde_json::to_value(&kept).map_err(Error::internal)?, text)
        }
        Command::Restore { file } => {
            let back = backup::restore(app, &file).await?;
            let text = format!("restored {} rows of {} tables", back.rows, back.tables);
            Said::new(serde_json::to_value(&back).map_err(Error::internal)?, text)
        }
        Command::Migrate => Said::new(json!({ "ok": true }), "the store has the newest schema"),
        Command::Serve(_) | Command::Demo(_) | Command::DemoInside | Command::Openapi => {
            return Ok(None);
        }
    }))
}

async fn list_tenants(app: &App) -> Result<Said> {
    let rows =
        app.db.shared().query("select id, name, experts from tenant order by no", vec![]).await?;
    let mut tenants = Vec::new();
    let mut text = String::new();
    for row in rows {
        let (id, name, experts): (String, String, String) =
            (column(&row, 0)?, column(&row, 1)?, column(&row, 2)?);
        let _ = writeln!(text, "{id}  {experts:<8}  {name}");
        tenants.push(json!({ "tenantId": id, "name": name, "experts": experts }));
    }
    if tenants.is_empty() {
        text.push_str("no tenants yet");
    }
    Ok(Said::new(json!({ "tenants": tenants }), text))
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::Invalid(format!("cannot read {}: {error}", path.display())))
}

/// Opens the store, making it when this command may, and brings it to the newest schema.
async fn open(config: Config, clock: Clock, makes_store: bool) -> Result<App> {
    let db = if let Some(url) = &config.store {
        Db::open_postgres(url, None).await?
    } else {
        let dir = &config.data_dir;
        if !dir.join("riposte.db").exists() {
            if !makes_store {
                return Err(Error::NotFound(format!(
                    "there is no store in {}: run riposte init first, or name another place with \
                     --data-dir or --store",
                    dir.display()
                )));
            }
            settings::make_dir(dir)?;
        }
        Db::open_sqlite(dir).await?
    };
    db.migrate().await?;
    App::new(db, clock, Random::system(), config)
}

/// The addresses that are open.
struct Open {
    /// For everybody.
    main: Listening,
    /// For agents alone.
    agents: Option<Listening>,
    /// What agents are told of it.
    door: enrol::Door,
}

/// Opens the addresses of this process, that for agents at `place`.
async fn open_doors(app: &App, place: Option<Agents>) -> Result<Open> {
    let config = &app.config;
    let authority = Authority::load(app).await?;
    let certificate = authority.certificate();
    let dir = config.data_dir.join("tls");
    let own = |listen: SocketAddr| {
        let mut names = tls::names(listen, config.public_url.as_deref());
        if let Some(Agents::At(address)) = place {
            let more = tls::names(address, None).into_iter();
            names.extend(more.filter(|name| !names.contains(name)).collect::<Vec<_>>());
        }
        tls::self_signed(&dir, &names, app.clock.now(), Some(certificate))
    };
    let tls = match (&config.tls.cert, &config.tls.key) {
        (Some(cert), Some(key)) => Some(tls::load(cert, key, Some(certificate))?),
        (None, None) if config.tls.self_signed => Some(own(config.listen)?),
        (None, None) => None,
        _ => {
            return Err(Error::Invalid(
                "a TLS certificate needs its key, and a key its certificate".to_owned(),
            ));
        }
    };
    let main = serve::Options { listen: config.listen, tls: tls.clone() };
    let main = serve::listen(main).await?;
    let beside = match (place, &tls) {
        (Some(Agents::Off), _) | (None, Some(_)) => None,
        (Some(Agents::At(address)), _) => Some(address),
        (None, None) => {
            let port = if config.listen.port() == 0 { 0 } else { main.address.port() + 1 };
            Some(SocketAddr::new(main.address.ip(), port))
        }
    };
    let mut agents = None;
    if let Some(listen) = beside {
        let tls = tls.clone().map_or_else(|| own(listen), Ok)?;
        match serve::listen(serve::Options { listen, tls: Some(tls) }).await {
            Ok(listening) => agents = Some(listening),
            Err(error) => tracing::warn!("agents cannot connect: {error}"),
        }
    }
    let ours = tls.is_none() || config.tls.self_signed;
    let door = enrol::Door {
        server: agents
            .as_ref()
            .filter(|_| tls.is_none())
            .map(|listening| tls::reachable(listening.address, config.public_url.as_deref())),
        authority: if ours && (tls.is_some() || agents.is_some()) {
            Some(tls::authority(&dir)?)
        } else {
            None
        },
        open: tls.is_some() || agents.is_some(),
        remote: agents.as_ref().is_some_and(|it| !it.address.ip().to_canonical().is_loopback()),
    };
    Ok(Open { main, agents, door })
}

/// What this process answers at its addresses, and what ends its streams.
async fn routes(app: &App, open: Open) -> Result<(Vec<serve::Door>, CancellationToken)> {
    let callers = Arc::new(Callers::new(Keys::load(app).await?));
    let site = Site::new(app.clone(), callers, Intake::start(app));
    let _ = site.door.set(open.door);
    let stop = site.stop.clone();
    let mut doors = Vec::new();
    if let Some(listening) = open.agents {
        doors.push(serve::Door { listening, router: router::agents(site.clone()) });
    }
    doors.insert(0, serve::Door { listening: open.main, router: router::router(site) });
    Ok((doors, stop))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_published_commands_are_understood() {
        for line in [
            "init --provider Fjordwatch --admin lead@fjordwatch.example --json",
            "tenant add Alder --experts operator",
            "tenant list --data-dir /x",
            "app add --tenant t --name n --permission SecurityIncident.Read.All AuditLog.Read.All",
            "app add --provider --name n --permission Experts.ReadWrite --json",
            "user add --email a@b.example --role Expert --provider",
            "import --tenant t --format cef one.log -",
            "serve --listen 127.0.0.1:0 --tls cert.pem key.pem",
            "serve --tls-self-signed --store postgres://h/d",
            "demo",
            "audit verify --checkpoint f",
            "backup f",
            "restore f",
            "agent-token --tenant t --hours 48 --json",
            "serve --agents off",
            "demo --agents 0.0.0.0:8471",
            "migrate",
            "openapi",
        ] {
            let words = std::iter::once("riposte").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        for line in [
            "",
            "init --provider Fjordwatch",
            "app add --name n --permission SecurityIncident.Read.All",
            "app add --tenant t --provider --name n --permission SecurityIncident.Read.All",
            "app add --tenant t --name n --permission Everything",
            "import --tenant t",
            "import --tenant t --format morse f",
            "serve --listen nowhere",
            "serve --agents nowhere",
            "agent-token",
            "serve --tls cert.pem",
            "tenant add A --experts all",
        ] {
            let words = std::iter::once("riposte").chain(line.split(' '));
            let error = Cli::try_parse_from(words).err().map(|error| error.exit_code());
            assert_eq!(error, Some(2), "{line}");
        }
    }
}
