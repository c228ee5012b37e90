//! The engine of one thread: accepts, and keeps what its connections share.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

use crate::accept;
use crate::background::Background;
use crate::cluster::Cluster;
use crate::io::Plain;
use crate::listener::{HttpSettings, ListenerSettings, Socket};
use crate::peer::Peer;
use crate::policy::{Policy, UpstreamEvent};
use crate::stop::Stop;
use crate::timer::Timer;
use crate::upstream::{self, Watcher};

/// Everything a reload replaces, at once.
#[derive(Debug)]
pub struct World<P> {
    pub policy: P,
    pub clusters: Vec<Cluster>,
    pub listeners: Vec<ListenerSettings>,
}

/// One for each thread; they share the world, each keeps connections of its own.
pub struct Engine<P: Policy> {
    worker: Arc<Worker<P>>,
}

/// What all engines of a process share.
pub(crate) struct Shared<P> {
    world: RwLock<Arc<World<P>>>,
    version: AtomicU64,
    connections: AtomicU64,
    leaving: AtomicBool,
}

/// What all connections of an engine share.
pub(crate) struct Worker<P: Policy> {
    pub(crate) shared: Arc<Shared<P>>,
    view: Mutex<Arc<View<P>>>,
    background: Arc<Background>,
}

/// The world, with the clusters as this thread knows them.
pub(crate) struct View<P> {
    version: u64,
    pub(crate) world: Arc<World<P>>,
    pub(crate) clusters: Vec<Arc<upstream::Cluster>>,
}

/// One client connection.
pub(crate) struct Conn<P: Policy> {
    pub(crate) worker: Arc<Worker<P>>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) http: Arc<HttpSettings>,
    pub(crate) stop: Stop,
    requests: AtomicU64,
    born: Instant,
    /// Of streams that have ended: armed already, and the next one's deadline is later.
    timers: Mutex<Vec<Timer>>,
}

/// More are not kept than usual clients have streams at once.
const MOST_TIMERS: usize = 16;

impl<P: Policy> Conn<P> {
    pub(crate) fn new(worker: Arc<Worker<P>>, peer: Arc<Peer>, http: Arc<HttpSettings>, stop: Stop) -> Self {
        Self { worker, peer, http, stop, requests: AtomicU64::new(0), born: Instant::now(), timers: Mutex::default() }
    }

    pub(crate) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn timer(&self) -> Timer {
        self.timers.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(crate) fn keep_timer(&self, timer: Timer) {
        let mut timers = self.timers.lock().unwrap_or_else(PoisonError::into_inner);
        if timers.len() < MOST_TIMERS {
            timers.push(timer);
        }
    }

    /// Whether another request is welcome.
    pub(crate) fn may_go_on(&self) -> bool {
        !self.stop.is_said()
            && !self.worker.shared.leaving.load(Ordering::Relaxed)
            && self.http.max_requests.is_none_or(|most| self.requests.load(Ordering::Relaxed) < most)
            && self.http.max_age.is_none_or(|most| self.born.elapsed() < most)
    }
}

impl<P: Policy> Watcher for Shared<P> {
    fn upstream(&self, cluster: &str, event: UpstreamEvent<'_>) {
        self.world().policy.on_upstream(cluster, event);
    }
}

impl<P> Shared<P> {
    fn world(&self) -> Arc<World<P>> {
        Arc::clone(&self.world.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }
}

impl<P: Policy> Worker<P> {
    fn new(shared: Arc<Shared<P>>) -> Self {
        let background = Arc::<Background>::default();
        let view = View::new(&shared, &background, &[]);
        Self { shared, view: Mutex::new(Arc::new(view)), background }
    }

    /// The world as it is now.
    pub(crate) fn view(&self) -> Arc<View<P>> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if view.version != self.shared.version.load(Ordering::Acquire) {
            *view = Arc::new(View::new(&self.shared, &self.background, &view.clusters));
        }
        Arc::clone(&view)
    }
}

impl<P: Policy> View<P> {
    /// Clusters that did not change keep their connections.
    fn new(shared: &Arc<Shared<P>>, background: &Arc<Background>, before: &[Arc<upstream::Cluster>]) -> Self {
        let version = shared.version.load(Ordering::Acquire);
        let world = shared.world();
        let cluster = |settings: &Cluster| {
            let known = before.iter().find(|known| known.settings == *settings);
            known.map(Arc::clone).unwrap_or_else(|| {
                let watcher = Arc::clone(shared) as Arc<dyn Watcher>;
                Arc::new(upstream::Cluster::new(settings.clone(), watcher, Arc::clone(background)))
            })
        };
        let clusters = world.clusters.iter().map(cluster).collect();
        Self { version, world, clusters }
    }
}

impl<P: Policy> Engine<P> {
    pub fn new(world: World<P>) -> Self {
        let shared = Shared {
            world: RwLock::new(Arc::new(world)),
            version: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            leaving: AtomicBool::new(false),
        };
        Self { worker: Arc::new(Worker::new(Arc::new(shared))) }
    }

    /// For another thread: the same world.
    pub fn another(&self) -> Self {
        Self { worker: Arc::new(Worker::new(Arc::clone(&self.worker.shared))) }
    }

    /// The world that new requests see.
    pub fn world(&self) -> Arc<World<P>> {
        self.worker.shared.world()
    }

    /// New requests see the new world, on every thread; those under way end in the old one. Connections stay.
    pub fn swap(&self, world: World<P>) {
        *self.worker.shared.world.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(world);
        self.worker.shared.version.fetch_add(1, Ordering::Release);
    }

    /// Clients of HTTP/1 are told to close with each response from now on, on every thread; new connections are welcome all
    /// the same. For the time between "not ready" and the stop, so that few connections are left to close then.
    pub fn send_clients_away(&self, away: bool) {
        self.worker.shared.leaving.store(away, Ordering::Relaxed);
    }

    /// Serves the connections of one socket, as the settings of the listener with this name have it. When `stop` is done
    /// no more are accepted, clients are told to close, and it returns when the last one is through; whoever has a deadline
    /// drops the future. An error says that the socket is of no use.
    pub fn serve<S: Future<Output = ()> + Send>(
        &self,
        listener: &str,
        socket: Socket,
        stop: S,
    ) -> impl Future<Output = io::Result<()>> + Send + use<P, S> {
        let worker = Arc::clone(&self.worker);
        let listener: Arc<str> = listener.into();
        async move {
            let socket = Bound::new(socket)?;
            let mut stop = pin!(stop);
            let (mut connections, stopping) = (JoinSet::new(), Stop::default());
            loop {
                let (plain, address) = tokio::select! {
                    biased;
                    () = &mut stop => break,
                    // A panic costs its connection and nothing else; the process has a hook that tells of it.
                    Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                    accepted = socket.accept() => match accepted {
                        Ok(accepted) => accepted,
                        Err(error) => {
                            wait_out(&error).await;
                            continue;
                        }
                    },
                };
                let view = worker.view();
                let settings = view.world.listeners.iter().find(|settings| settings.name == listener);
                let refused = |why: &str| view.world.policy.on_refused(&listener, why);
                match settings {
                    None => refused("the listener is not configured any more"),
                    Some(settings) if connections.len() >= settings.max_connections => refused("too many connections"),
                    Some(settings) => {
                        let worker = Arc::clone(&worker);
                        connections.spawn(accept::welcome(worker, settings.clone(), plain, address, stopping.clone()));
                    }
                }
            }
            // Who has connected already is served: closing the socket would reset what lies in its queue.
            while let Some((plain, address)) = socket.accept_now().await {
                let view = worker.view();
                if let Some(settings) = view.world.listeners.iter().find(|settings| settings.name == listener) {
                    let worker = Arc::clone(&worker);
                    connections.spawn(accept::welcome(worker, settings.clone(), plain, address, stopping.clone()));
                }
            }
            drop(socket);
            stopping.say();
            while connections.join_next().await.is_some() {}
            Ok(())
        }
    }
}

/// Out of descriptors, most likely: trying again at once would burn the processor until somebody closes one.
async fn wait_out(error: &io::Error) {
    let is_about_one = matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    if !is_about_one {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Bound {
    fn new(socket: Socket) -> io::Result<Self> {
        Ok(match socket {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                Self::Tcp(TcpListener::from_std(socket)?)
            }
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                Self::Unix(UnixListener::from_std(socket)?)
            }
        })
    }

    /// One that waits at this moment.
    async fn accept_now(&self) -> Option<(Plain, Option<SocketAddr>)> {
        let mut accept = pin!(self.accept());
        std::future::poll_fn(|cx| match accept.as_mut().poll(cx) {
            Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    async fn accept(&self) -> io::Result<(Plain, Option<SocketAddr>)> {
        Ok(match self {
            Self::Tcp(socket) => {
                let (stream, address) = socket.accept().await?;
                // It fails when the client has gone again, which the first read will say.
                let _ = stream.set_nodelay(true);
                (Plain::Tcp(stream), Some(address))
            }
            Self::Unix(socket) => (Plain::Unix(socket.accept().await?.0), None),
        })
    }
}
