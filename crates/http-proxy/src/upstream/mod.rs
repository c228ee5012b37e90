//! The clusters of one thread: who can be reached, and the connections that are kept.

mod balance;
mod connect;
mod member;
mod resolve;
mod state;
mod wire;

pub(crate) use connect::Client;
pub(crate) use member::{Member, Shared};
pub(crate) use state::{Acquired, Cluster, Failure, Wanted, Watcher};
pub(crate) use wire::Upstream;
