//! The integration suite: one binary, the real store, the real verbs.
//!
//! It runs on SQLite, and on PostgreSQL when `RIPOSTE_TEST_POSTGRES` names a server; the test
//! command runs it on both.

mod contract;
mod correlation;
mod data;
mod intake;
mod tidy;
mod world;
