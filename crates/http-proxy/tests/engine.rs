//! The engine over real sockets, with apps and clients that misbehave.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests")]

#[path = "engine/kit.rs"]
mod kit;

#[path = "engine/ask.rs"]
mod ask;
#[path = "engine/bodies.rs"]
mod bodies;
#[path = "engine/http2.rs"]
mod http2;
#[path = "engine/hygiene.rs"]
mod hygiene;
#[path = "engine/life.rs"]
mod life;
#[path = "engine/patience.rs"]
mod patience;
#[path = "engine/reuse.rs"]
mod reuse;
#[path = "engine/secure.rs"]
mod secure;
#[path = "engine/tunnels.rs"]
mod tunnels;
