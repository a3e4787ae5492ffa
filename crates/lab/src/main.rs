//! The crash lab and the performance table: both drive the real `riposte` binary over loopback.
//!
//! ```text
//! riposte-lab crash    --riposte PATH [--kills 20] [--store sqlite|postgres|both] [--seed N]
//!                      [--replicas 2] [--keep]
//! riposte-lab bench    --riposte PATH [--store …] [--only P1,P2] [--seconds 20] [--scale 1.0]
//!                      [--seed-dir DIR]
//! riposte-lab hostile  --riposte PATH [--store …]
//! riposte-lab postgres run -- COMMAND…
//! ```
//!
//! Exit status 0: all held; 1: something was found or failed; 2: wrong usage.

mod alerts;
mod args;
mod clock;
mod histogram;
mod http;
mod machine;
mod out;
mod postgres;
mod random;
mod server;
mod stream;
mod trivial;

fn main() {}
