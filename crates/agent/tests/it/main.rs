//! The agent against a server of the tests' own, in network namespaces of their own: nothing here
//! isolates or restricts the machine that it runs on.

mod agent;
mod net;
mod server;

mod account;
mod block;
mod crash;
mod emergency;
mod isolation;
mod package;
mod protocol;
mod quarantine;
mod restriction;
