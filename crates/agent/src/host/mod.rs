//! The only place that touches the system in ways of its own: programs, the packet filter, `/proc`,
//! fanotify.
//!
//! Not here: what an order means.

pub(crate) mod command;
pub(crate) mod dpkg;
pub(crate) mod fanotify;
pub(crate) mod mounts;
pub(crate) mod names;
pub(crate) mod nft;
pub(crate) mod place;
pub(crate) mod proc;
pub(crate) mod sockets;
pub(crate) mod utmp;
