//! The only place that touches the system in ways of its own: programs, the packet filter, `/proc`,
//! fanotify.
//!
//! Not here: what an order means.

pub(crate) mod command;
pub(crate) mod nft;
