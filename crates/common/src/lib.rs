//! The life of a sidecar: flags, logs, health, metrics, signals and the way out, the same in every executable.
//!
//! ```text
//!  argv, SIDECAR_*, file          SIGTERM, SIGINT, SIGHUP          GET /livez /readyz /metrics
//!        | args, config                | signals                         | admin
//!        v                             v                                 v
//!   main() --> start(args, sidecar) --> parts run, supervised --> lame duck --> drain --> exit code
//!                                       (life: a value to wait on)
//! ```
//!
//! Invariant: this crate is the intersection of what sidecars need, not the union. What some do not use is a crate of
//! its own. No library imports this crate.

mod admin;
pub mod args;
mod caps;
pub mod config;
mod exit;
pub mod go_flags;
mod health;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod life;
mod log;
mod metrics;
mod probe;
mod process;
mod reap;
mod settings;
mod sidecar;
mod signals;
mod supervise;

pub use admin::{AdminRoutes, Answer, Asked, Connection, Door, Parts, Streamed, Verdict};
pub use args::{Arguments, CommonArgs, Subcommand, Usage};
pub use exit::{Exit, Failure};
pub use health::Gate;
pub use life::{Busy, Life, Phase};
pub use log::{AUDIT, set_level as set_log_level};
pub use metrics::kept;
pub use probe::{Question, View};
pub use settings::Defaults;
pub use sidecar::{Live, Reloader, Sidecar, Stopper, main};

/// Headers of requests and answers, as a [`Door`] sees them.
pub use hyper::header;
/// The metrics library, so that a sidecar and this crate always agree on its version.
pub use prometheus;
