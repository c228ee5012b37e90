//! config-reloader: notices that configuration bytes changed, checks them, tells the app, and verifies that it worked.
//!
//! ```text
//!  file-watch      snapshot        prepare          act::check     publish      act::tell     act::verify
//!  "something" --> which bytes --> stage files --> nginx -t ... --> rename --> POST, HUP --> probe ... --> told
//!                  (same? done)        |                |             |            |             |
//!                                      +--- failed: the last good config stays, tried again      +-- roll back, tell
//! ```
//!
//! `config.rs` is the model; `args.rs`, `yaml.rs` and `dialect/` turn what people have written into it; `reload.rs` is
//! the pipeline; `events.rs` is all that an operator sees.

pub mod act;
pub mod args;
pub mod config;
pub mod dialect;
pub mod events;
#[cfg(any(test, fuzzing))]
pub mod invariants;
pub mod prepare;
pub mod reload;
pub mod snapshot;
pub mod state;
pub mod yaml;
