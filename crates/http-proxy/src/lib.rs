//! The proxying engine: takes connections, asks its owner's [`Policy`] what to do with each request, and does it.
//!
//! ```text
//!  listener -> accept (PROXY protocol, TLS) -> connection: HTTP/1, HTTP/2 or a bare stream
//!                                                  |
//!                          Policy::on_request -> Verdict: Answer, or Forward to a cluster
//!                                                  |
//!                     cluster: endpoint, pooled or new connection -> Policy::on_response -> Policy::on_done
//! ```
//!
//! It knows nothing of routes, users or sidecars. It is handed sockets that are bound, a future that says stop, and a
//! policy that is told whatever there is to count. One [`Engine`] for each thread; they share the [`World`].

mod accept;
mod background;
mod buffer;
mod client;
mod cluster;
mod date;
mod engine;
mod exchange;
mod forward;
mod h1;
mod h1_server;
mod h2_body;
mod h2_client;
mod h2_head;
mod h2_server;
#[cfg(any(test, fuzzing))]
pub mod invariants;
mod io;
mod listener;
mod peer;
mod policy;
mod proxy_header;
mod side;
mod spare;
mod stop;
mod stream;
mod timer;
mod trouble;
mod upstream;

pub use cluster::{Address, Balance, Cluster, ClusterId, Endpoint, ProxyProtocol, UpstreamProtocol, UpstreamTls};
pub use engine::{Engine, World};
pub use exchange::{Exchange, Flag, Flags};
pub use listener::{
    ChooseTls, Http2, HttpSettings, ListenerSettings, ProxyProtocolIn, Serve, Socket, StreamSettings, Tls, TlsChoice,
    TlsConfig,
};
pub use peer::{Peer, PeerTls};
pub use policy::{Answer, Forward, Policy, Retries, RouteSettings, UpstreamEvent, Verdict};
