//! The smallest proxy on the engine, for measuring: `forward 127.0.0.1:8000 127.0.0.1:8080`.

use std::error::Error;
use std::sync::Arc;

use http_proxy::{
    Cluster, ClusterId, Endpoint, Engine, Forward, ListenerSettings, Peer, Policy, RouteSettings, Socket, Verdict,
    World,
};
use http1::RequestHead;

struct Everything(Arc<RouteSettings>);

impl Policy for Everything {
    type Ctx = ();

    async fn on_request(&self, head: &mut RequestHead, peer: &Peer, (): &mut ()) -> Verdict {
        if let Some(ip) = peer.ip() {
            head.headers.append("X-Forwarded-For", ip.to_string());
        }
        head.headers.append("X-Forwarded-Proto", peer.scheme());
        Verdict::Forward(Forward { cluster: ClusterId(0), settings: Arc::clone(&self.0), to: None, hash: None })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream] = &arguments[..] else { return Err("usage: forward LISTEN UPSTREAM".into()) };
    let (host, port) = upstream.rsplit_once(':').ok_or("expected HOST:PORT")?;
    let engine = Engine::new(World {
        policy: Everything(Arc::default()),
        clusters: vec![Cluster::new("app", vec![Endpoint::tcp(host, port.parse()?)])],
        listeners: vec![ListenerSettings::http("in")],
    });
    let socket = Socket::Tcp(std::net::TcpListener::bind(listen)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(engine.serve("in", socket, std::future::pending()))?;
    Ok(())
}
