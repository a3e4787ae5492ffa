//! The crash lab and the performance table: both drive the real `riposte` binary over loopback.
//!
//! ```text
//! riposte-lab crash    --riposte PATH [--kills 20] [--store sqlite|postgres|both] [--seed N]
//!                      [--replicas 2] [--scratch DIR] [--keep]
//! riposte-lab respond  --riposte PATH --agent PATH [--kills 24] [--agents 6] [--store …] [--seed N]
//!                      [--scratch DIR] [--keep]
//! riposte-lab notify   --riposte PATH [--kills 15] [--store …] [--seed N] [--scratch DIR] [--keep]
//! riposte-lab bench    --riposte PATH [--agent PATH] [--store …] [--only P1,P2] [--seconds 20]
//!                      [--scale 1.0] [--seed-dir DIR]
//! riposte-lab hostile  --riposte PATH [--store …] [--storm ALERTS]
//! riposte-lab postgres run -- COMMAND…
//! ```
//!
//! Exit status 0: all held; 1: something was found or failed; 2: no such subcommand.

mod alerts;
mod args;
mod bench;
mod clock;
mod crash;
mod device;
mod histogram;
mod hostile;
mod http;
mod machine;
mod net;
mod notify;
mod out;
mod postgres;
mod random;
mod respond;
mod robot;
mod server;
mod stream;
mod trivial;
mod way;

use std::process::ExitCode;

use args::Args;

const USAGE: &str =
    "riposte-lab crash | respond | notify | bench | hostile | postgres run -- COMMAND";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    if words.is_empty() {
        out::note(USAGE);
        return ExitCode::from(2);
    }
    let command = words.remove(0);
    // One thread beside the main one: the server under test shares the same few cores.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            out::note(&format!("runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(async {
        tokio::select! {
            status = run(&command, words) => status,
            // Returning drops servers and clusters, which ends and removes them.
            () = interrupted() => {
                out::note("interrupted");
                ExitCode::FAILURE
            }
        }
    })
}

async fn run(command: &str, words: Vec<String>) -> ExitCode {
    let outcome = match command {
        "crash" => crash::run(Args::new(words)).await,
        "respond" => respond::run(Args::new(words)).await,
        "notify" => notify::run(Args::new(words)).await,
        "bench" => bench::run(Args::new(words)).await,
        "hostile" => hostile::run(Args::new(words)).await,
        "postgres" => match postgres::run(words).await {
            Ok(code) => return ExitCode::from(code),
            Err(error) => Err(error),
        },
        _ => {
            out::note(USAGE);
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            out::note(&error);
            ExitCode::FAILURE
        }
    }
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
