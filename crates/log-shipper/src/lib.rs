//! log-shipper: follows files and ships every line, once the receiver has it for good.
//!
//! ```text
//!                     the files themselves are the queue
//!                        |
//!  follow: which files --+--> fill: lines, parse, encode --> lane: send, retry --> output
//!  there are, what is new                                      |
//!                             position: what arrived <---------+ acknowledged
//! ```
//!
//! One lane for each output: they read the same files at their own pace, and know nothing of each other.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests: the files are our own"))]

pub mod args;
pub mod config;
pub mod dialect;
pub mod events;
pub mod fill;
pub mod follow;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod join;
pub mod json;
pub mod lane;
pub mod output;
pub mod parse;
pub mod position;
pub mod record;
pub mod select;
pub mod ship;
pub mod status;
pub mod walk;
pub mod yaml;
