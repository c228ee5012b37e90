//! An app that does as it is told, a client that says what it likes, and an engine between them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_proxy::{
    Answer, Cluster, ClusterId, Endpoint, Engine, Exchange, Flag, Forward, ListenerSettings, Peer, Policy,
    RouteSettings, Socket, Verdict, World,
};
use http1::{Headers, RequestHead, ResponseHead};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A request as an app has read it.
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Of the connection it came on.
    pub(crate) connection: usize,
    /// On that connection.
    pub(crate) number: usize,
}

/// What an app does about a request.
pub(crate) enum Reply {
    Say(Vec<u8>),
    SayAndClose(Vec<u8>),
    Close,
    Hang,
    /// These, with a pause between them.
    Slowly(Vec<Vec<u8>>, Duration),
    /// Then everything comes back as it is.
    SayAndEcho(Vec<u8>),
}

pub(crate) fn ok(body: &str) -> Reply {
    Reply::Say(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

pub(crate) fn say(text: &str) -> Reply {
    Reply::Say(text.as_bytes().to_vec())
}

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) heads: Arc<Mutex<Vec<String>>>,
    /// What came after chunked bodies.
    pub(crate) trailers: Arc<Mutex<Vec<String>>>,
}

impl App {
    pub(crate) async fn start(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), reply)
    }

    pub(crate) fn on(listener: TcpListener, reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let app = Self {
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            heads: Arc::default(),
            trailers: Arc::default(),
        };
        let (handle, reply) = (app.clone(), Arc::new(reply));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = handle.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(converse(stream, connection, Arc::clone(&reply), handle.clone()));
            }
        });
        app
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::tcp(&self.address.ip().to_string(), self.address.port())
    }

    pub(crate) fn cluster(&self) -> Cluster {
        Cluster::new("app", vec![self.endpoint()])
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

pub(crate) async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    connection: usize,
    reply: Arc<impl Fn(&Seen) -> Reply>,
    app: App,
) -> Option<()> {
    let mut buffer = Vec::new();
    for number in 0.. {
        let head = read_head(&mut stream, &mut buffer).await?;
        app.heads.lock().unwrap().push(head.clone());
        let early = Seen { head: head.clone(), body: Vec::new(), connection, number };
        if head.contains("/early") {
            let Reply::Say(bytes) = reply(&early) else { return None };
            stream.write_all(&bytes).await.ok()?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            return None;
        }
        let (body, trailers) = read_body_and_trailers(&mut stream, &mut buffer, &head).await?;
        app.trailers.lock().unwrap().extend(trailers);
        let seen = Seen { head, body, connection, number };
        match reply(&seen) {
            Reply::Say(bytes) => stream.write_all(&bytes).await.ok()?,
            Reply::SayAndClose(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                stream.shutdown().await.ok()?;
                return None;
            }
            Reply::Close => return None,
            Reply::Hang => std::future::pending().await,
            Reply::Slowly(pieces, pause) => {
                for piece in pieces {
                    stream.write_all(&piece).await.ok()?;
                    stream.flush().await.ok()?;
                    tokio::time::sleep(pause).await;
                }
            }
            Reply::SayAndEcho(bytes) => {
                stream.write_all(&bytes).await.ok()?;
                stream.write_all(&buffer).await.ok()?;
                let (mut read, mut write) = tokio::io::split(stream);
                tokio::io::copy(&mut read, &mut write).await.ok()?;
                write.shutdown().await.ok()?;
                return None;
            }
        }
    }
    None
}

pub(crate) fn field(head: &str, name: &str) -> Option<String> {
    let prefix = format!("{name}:");
    let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&prefix))?;
    Some(line[prefix.len()..].trim().to_owned())
}

pub(crate) async fn read_head<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = buffer.split_off(end + 4);
            let head = std::mem::replace(buffer, rest);
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

pub(crate) async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    head: &str,
) -> Option<Vec<u8>> {
    Some(read_body_and_trailers(stream, buffer, head).await?.0)
}

async fn read_body_and_trailers<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    head: &str,
) -> Option<(Vec<u8>, Option<String>)> {
    if field(head, "transfer-encoding").is_some() {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match buffer.windows(2).position(|window| window == b"\r\n") {
                    Some(end) => break end,
                    None if stream.read_buf(buffer).await.ok()? == 0 => return None,
                    None => {}
                }
            };
            let size = usize::from_str_radix(std::str::from_utf8(&buffer[..end]).ok()?, 16).ok()?;
            while size > 0 && buffer.len() < end + 2 + size + 2 {
                if stream.read_buf(buffer).await.ok()? == 0 {
                    return None;
                }
            }
            if size == 0 {
                buffer.drain(..end);
                while !buffer.windows(4).any(|window| window == b"\r\n\r\n") {
                    if stream.read_buf(buffer).await.ok()? == 0 {
                        return None;
                    }
                }
                let end = buffer.windows(4).position(|window| window == b"\r\n\r\n")?;
                let trailers = String::from_utf8_lossy(&buffer[2..end + 2]).into_owned();
                buffer.drain(..end + 4);
                return Some((body, Some(trailers)));
            }
            body.extend_from_slice(&buffer[end + 2..end + 2 + size]);
            buffer.drain(..end + 2 + size + 2);
        }
    }
    let length = field(head, "content-length").map_or(0, |text| text.parse().unwrap());
    while buffer.len() < length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let rest = buffer.split_off(length);
    Some((std::mem::replace(buffer, rest), None))
}

/// Sends everything to cluster 0, or to the one that `x-cluster` names by number.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    pub(crate) settings: Arc<RouteSettings>,
    pub(crate) records: Arc<Mutex<Vec<Exchange>>>,
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) closed: Arc<AtomicUsize>,
    pub(crate) refused: Arc<Mutex<Vec<String>>>,
    pub(crate) peers: Arc<Mutex<Vec<Peer>>>,
    pub(crate) mark: &'static str,
}

impl Rules {
    fn send_on(&self, head: &mut RequestHead) -> Verdict {
        let cluster = head.headers.get_str("x-cluster").and_then(|text| text.parse().ok()).unwrap_or(0);
        head.headers.remove("x-cluster");
        let port = head.host().rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let to = Some((head.host().split(':').next().unwrap().to_owned(), port.unwrap_or(80)));
        Verdict::Forward(Forward { cluster: ClusterId(cluster), settings: Arc::clone(&self.settings), to, hash: None })
    }
}

impl Policy for Rules {
    type Ctx = ();

    async fn on_request(&self, head: &mut RequestHead, peer: &Peer, (): &mut ()) -> Verdict {
        self.peers.lock().unwrap().push(peer.clone());
        if head.path() == "/panic" {
            panic!("asked to");
        }
        if let Some(most) = head.headers.get_str("x-read").and_then(|text| text.parse().ok()) {
            return Verdict::Read(most);
        }
        if head.path() == "/own" {
            return Verdict::Answer(Answer::text(200, "own"));
        }
        self.send_on(head)
    }

    async fn on_body(&self, head: &mut RequestHead, body: Bytes, _: &Peer, (): &mut ()) -> Verdict {
        if head.path() == "/own" {
            return Verdict::Answer(Answer::text(200, format!("own {}", String::from_utf8_lossy(&body))));
        }
        if head.path() == "/read-again" {
            return Verdict::Read(1);
        }
        self.send_on(head)
    }

    fn on_trailers(&self, trailers: &mut Headers, (): &mut ()) {
        trailers.remove("x-user");
    }

    fn on_response(&self, head: &mut ResponseHead, (): &mut ()) {
        if !self.mark.is_empty() {
            head.headers.set("X-Mark", self.mark);
        }
    }

    fn on_failure(&self, why: Flag, answer: &mut Answer, (): &mut ()) {
        answer.head.headers.append("X-Flag", why.code());
    }

    fn on_done(&self, exchange: &Exchange, _: &Peer, (): &()) {
        self.records.lock().unwrap().push(exchange.clone());
    }

    fn on_stream(&self, _: &Peer) -> Option<ClusterId> {
        Some(ClusterId(0))
    }

    fn on_stream_done(&self, exchange: &Exchange, peer: &Peer) {
        self.peers.lock().unwrap().push(peer.clone());
        self.records.lock().unwrap().push(exchange.clone());
    }

    fn on_open(&self, _: &Peer) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    fn on_close(&self, _: &Peer) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }

    fn on_refused(&self, _: &str, why: &str) {
        self.refused.lock().unwrap().push(why.to_owned());
    }
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine<Rules>,
    pub(crate) rules: Rules,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Proxy {
    pub(crate) fn before(app: &App) -> Self {
        Self::with(vec![app.cluster()], RouteSettings::default(), ListenerSettings::http("in"))
    }

    pub(crate) fn route(app: &App, settings: RouteSettings) -> Self {
        Self::with(vec![app.cluster()], settings, ListenerSettings::http("in"))
    }

    pub(crate) fn with(clusters: Vec<Cluster>, settings: RouteSettings, listener: ListenerSettings) -> Self {
        let rules = Rules { settings: Arc::new(settings), ..Rules::default() };
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let engine = Engine::new(World { policy: rules.clone(), clusters, listeners: vec![listener] });
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(engine.serve("in", Socket::Tcp(socket), async {
            let _ = stopped.await;
        }));
        Self { address, engine, rules, stop: Some(stop), serving }
    }

    pub(crate) async fn connect(&self) -> Caller {
        Caller { stream: TcpStream::connect(self.address).await.unwrap(), buffer: Vec::new() }
    }

    /// One request on a connection of its own, and everything that comes back until it is closed.
    pub(crate) async fn tell(&self, text: impl AsRef<[u8]>) -> String {
        let mut caller = self.connect().await;
        caller.send(text).await;
        caller.rest().await
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// The deadline is over.
    pub(crate) fn cut_off(&self) {
        self.serving.abort();
    }

    pub(crate) async fn stopped(self) {
        timeout(PATIENCE, self.serving).await.expect("stops").unwrap().unwrap();
    }

    pub(crate) fn records(&self) -> Vec<Exchange> {
        self.rules.records.lock().unwrap().clone()
    }

    /// The record of the last of so many.
    pub(crate) async fn record(&self, count: usize) -> Exchange {
        until(|| self.records().len() >= count).await;
        self.records().pop().unwrap()
    }
}

pub(crate) async fn until(condition: impl Fn() -> bool) {
    timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("the condition holds in time");
}

pub(crate) struct Caller {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Vec<u8>,
}

impl Caller {
    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> (String, Vec<u8>) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        self.answer().await
    }

    pub(crate) async fn head(&mut self) -> String {
        timeout(PATIENCE, read_head(&mut self.stream, &mut self.buffer)).await.expect("in time").expect("a head")
    }

    pub(crate) async fn answer(&mut self) -> (String, Vec<u8>) {
        let head = self.head().await;
        let body = timeout(PATIENCE, read_body(&mut self.stream, &mut self.buffer, &head)).await;
        (head, body.expect("in time").expect("a body"))
    }

    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.buffer);
        // A reset is an end as well.
        let _ = timeout(PATIENCE, self.stream.read_to_end(&mut bytes)).await.expect("closed in time");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

pub(crate) fn status(text: &str) -> u16 {
    text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}
