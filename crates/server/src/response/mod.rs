//! Managed response.
pub mod catalog;
pub mod engine;
mod follow;
pub mod model;
pub mod order;
pub mod store;
mod timed;
