//! The endpoint agent of Riposte for Linux: carries out what the server orders, once, and proves it.
//!
//! In order of dependency: `fault`, `lock`, `clock`, `files`, `data`, `network` are the floor;
//! `host` touches the system; `collect` reads, `act` changes; `order`, `journal`, `spool`, `watch`
//! `fit` decide what is carried out, kept, ended and said; `agent`, `carry`, `session` are the running agent.
//!
//! Not here: what an order means to an incident. The protocol is the crate `riposte-wire`.

mod act;
mod agent;
mod can;
mod carry;
mod clock;
mod collect;
mod data;
mod emergency;
mod enrol;
mod fault;
mod files;
mod fit;
mod host;
mod http;
mod identity;
mod install;
mod journal;
mod lock;
mod network;
mod observe;
mod order;
mod session;
mod spool;
mod states;
mod status;
mod watch;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::data::Data;
use crate::fault::{During, Result};
use crate::host::fanotify::Marks;

/// The endpoint agent of Riposte.
#[derive(Debug, Parser)]
#[command(name = "riposte-agent", version, about)]
struct Arguments {
    /// Where the agent keeps what it must know.
    #[arg(long, global = true, default_value = "/var/lib/riposte-agent")]
    data_dir: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Takes this device into a customer's fleet.
    Enrol {
        /// Where the server is: `https://host:port`.
        #[arg(long)]
        server: String,
        /// The customer's token.
        #[arg(long)]
        token: String,
        /// The authority of the server's certificate, in PEM.
        #[arg(long)]
        ca: Option<PathBuf>,
        /// The name to report instead of the host name.
        #[arg(long)]
        name: Option<String>,
        /// Enrols anew although it was done.
        #[arg(long)]
        again: bool,
    },
    /// Runs until it is told to end.
    Run {
        /// How far a restriction of execution and blocked hashes reach.
        #[arg(long, value_enum, default_value_t)]
        marks: Marks,
    },
    /// Answers what may start; the agent itself starts it.
    #[command(hide = true)]
    Guard {
        /// How far it reaches.
        #[arg(long, value_enum, default_value_t)]
        marks: Marks,
    },
    /// Says how the agent and the device are.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ends isolation and restriction without the server, by an emergency code.
    Release {
        /// The code, as the server shows it: `7KQM-2XWA-PD4T-9HNC`.
        #[arg(long)]
        code: String,
    },
    /// Writes the unit that has systemd run the agent.
    Install {
        /// Where to write it instead of `/etc/systemd/system/riposte-agent.service`.
        #[arg(long)]
        unit: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "riposte-agent: {e}");
            ExitCode::FAILURE
        }
    }
}

fn carry_out(arguments: Arguments) -> Result<()> {
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(0o077));
    if let Verb::Guard { marks } = arguments.verb {
        // Not beside what the others do at first: it opens nothing but its marks.
        return act::gatekeeper::run(marks);
    }
    let data = Data::open(&arguments.data_dir)?;
    match arguments.verb {
        Verb::Enrol { server, token, ca, name, again } => {
            let wish = enrol::Wish {
                server: &server,
                token: &token,
                authority: ca.as_deref(),
                name: name.as_deref(),
                again,
            };
            let facts = runtime()?.block_on(enrol::enrol(&data, &wish))?;
            say(&format!("enrolled as agent {} at {}", facts.agent, facts.server))
        }
        Verb::Run { marks } => {
            log();
            let runtime = runtime()?;
            let ended = runtime.block_on(session::run(&data, marks));
            // A thread that is in the middle of something does not hold the end up.
            runtime.shutdown_background();
            ended
        }
        Verb::Guard { .. } => Ok(()),
        Verb::Status { json } => {
            let status = status::read(&data)?;
            let text = if json {
                serde_json::to_string_pretty(&status).during("cannot spell the status")?
            } else {
                status::spell(&status, clock::now())
            };
            say(text.trim_end())
        }
        Verb::Release { code } => {
            emergency::release(&data, &code)?;
            say("isolation and restriction of execution are ended")
        }
        Verb::Install { unit } => {
            let path = install::install(&arguments.data_dir, unit.as_deref())?;
            say(&format!(
                "{path} is written; go on with: systemctl daemon-reload, then systemctl enable \
                 --now riposte-agent"
            ))
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_stack_size(1 << 20)
        .build()
        .during("cannot start the runtime")
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("RIPOSTE_AGENT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").during("cannot write")
}
