//! The client against servers that misbehave on purpose.

#![allow(clippy::unwrap_used)]

mod attempts;
mod https;
mod kept;
mod server;
