//! The agent against a server of the tests' own, in network namespaces of their own: nothing here
//! isolates or restricts the machine that it runs on.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test ends where it goes wrong, and says where it did not go"
)]

mod agent;
mod net;
mod server;

mod account;
mod block;
mod crash;
mod emergency;
mod figures;
mod isolation;
mod package;
mod protocol;
mod quarantine;
mod reach;
mod restriction;
mod scan;
