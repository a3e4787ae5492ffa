//! Managed response.
pub mod catalog;
pub mod model;
pub mod order;
pub mod store;
