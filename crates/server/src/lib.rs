//! Riposte: open, self-hosted managed detection and response.
//!
//! The modules are in reading order, which is also the order of dependency: a module uses only
//! those above it, and tells those below what happened through [`event`].

// Floor: names of things, the store, and one change at a time.
pub mod actor;
pub mod clock;
pub mod config;
pub mod error;
pub mod failpoint;
pub mod id;
pub mod log;
pub mod merkle;
pub mod metrics;
pub mod permission;
pub mod word;

pub mod app;
pub mod db;
pub mod event;
pub mod ledger;
pub mod tx;

// Domains.
pub mod alert;
pub mod audit;
pub mod incident;
pub mod tenant;
pub mod triage;

// Roof.
pub mod api;
pub mod backup;
pub mod cli;
pub mod demo;
pub mod graph;
pub mod http;
pub mod router;
pub mod serve;
pub mod tls;
pub mod worker;
