//! The integration suite: one binary, the real store, the real verbs.
//!
//! It runs on SQLite, and on PostgreSQL when `RIPOSTE_TEST_POSTGRES` names a server; the test
//! command runs it on both.

#![expect(
    clippy::expect_used,
    unreachable_pub,
    reason = "a test may stop where it stands, and its helpers are nobody else's"
)]
#![expect(clippy::similar_names, reason = "times and titles of one row")]

mod access;
mod agent;
mod api;
mod audit;
mod authority;
mod browser;
mod chat;
mod connector;
mod contract;
mod conversation;
mod correlation;
mod data;
mod directory;
mod dovecot;
mod escalation;
mod face;
mod graph;
mod hostile;
mod idempotency;
mod instances;
mod intake;
mod interleaving;
mod isolation;
mod limits;
mod mail_rule;
mod mailbox;
mod matrix;
mod notification;
mod oidc;
mod onboarding;
mod operations;
mod paging;
mod people;
mod plans;
mod provider;
mod queue;
mod reply;
mod response;
mod service_clock;
mod task;
mod team;
mod tidy;
mod traces;
mod translation;
mod user;
mod walls;
mod web;
mod world;
