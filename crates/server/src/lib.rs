//! Riposte: open, self-hosted managed detection and response.
//!
//! The modules are in reading order, which is also the order of dependency: a module uses only
//! those in the groups above it and, in its own group, those that do not use it. What those below
//! must know is told through [`event`].

// Floor: names of things, the store, and one change at a time.
pub mod actor;
pub mod clock;
pub mod network;

pub mod config;
pub mod error;
pub mod failpoint;
pub mod id;
pub mod log;
pub mod merkle;
pub mod metrics;
pub mod outbound;
pub mod permission;
pub mod smtp;
pub mod word;

pub mod hours;

pub mod db;

pub mod presence;
pub mod vault;

pub mod app;
pub mod event;

pub mod ledger;

pub mod lease;
pub mod receipt;
pub mod tx;

// Domains.
pub mod tenant;

pub mod access;
pub mod person;

pub mod alert;
pub mod audit;
pub mod triage;

pub mod incident;

pub mod yara;

pub mod asset;
pub mod catalog;

pub mod authority;

pub mod connector;

pub mod directory;

pub mod contact;

pub mod service_clock;

pub mod conversation;
pub mod coverage;

pub mod onboarding;

pub mod response;

pub mod agent;

pub mod escalation;

pub mod notification;

// Roof.
pub mod backup;
pub mod tls;
pub mod worker;

pub mod demo;
pub mod http;
pub mod serve;

pub mod api;
pub mod endpoint;
pub mod graph;
pub mod portal;

pub mod router;

pub mod cli;
