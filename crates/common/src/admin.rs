//! The admin listener: health, metrics, and the few things that change state.
//!
//! | endpoint | answers |
//! |---|---|
//! | `GET /livez` `/health` `/healthz` `/live` `/ping` `/-/healthy` | 200 until the process is gone |
//! | `GET /readyz` `/ready` `/-/ready` | 200, or 503 with every closed gate named |
//! | `GET /metrics` | Prometheus text |
//! | `POST /-/reload` | reads the settings again; from this machine only |
//! | `POST /-/log-level?level=debug` | changes the log level; from this machine only |
//! | `POST /quitquitquit` | stops the process; from this machine only, and only with `--allow-quit` |
//!
//! Every connection carries one request, is closed within seconds, and makes way when too many are open: whoever is
//! slow or malicious can only get in the way of himself.

mod door;
mod stream;

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use hyper::{Method, Request, Response, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::Registry;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
};

use crate::{
    health::Health,
    life::{Life, Phase},
    log, metrics,
    sidecar::Reloads,
};
pub use door::{Connection, Door, Verdict};
use stream::Content;
pub use stream::{Asked, Parts, Streamed};

/// With more open than this the oldest is dropped: a probe takes a millisecond, so the oldest is never a probe.
const MOST_CONNECTIONS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(2);
/// From accept to the last byte of the answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
const LARGEST_HEAD: usize = 16 * 1024;

/// What an endpoint answers.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

impl Answer {
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        let mut body = body.into();
        if !body.ends_with('\n') {
            body.push('\n');
        }
        Self { status, content_type: "text/plain; charset=utf-8", body }
    }
}

type Whole = dyn Fn(Option<&str>) -> Answer + Send + Sync;
type Made = dyn Fn(&Asked<'_>) -> Streamed + Send + Sync;

#[derive(Clone)]
enum Handler {
    Whole(Arc<Whole>),
    Made(Arc<Made>),
}

/// Endpoints that one sidecar has and others do not, and who guards the port.
#[derive(Clone, Default)]
pub struct AdminRoutes(Arc<RwLock<Own>>);

#[derive(Default)]
struct Own {
    routes: Vec<Route>,
    door: Option<Arc<dyn Door>>,
}

struct Route {
    path: String,
    changes_state: bool,
    handler: Handler,
}

impl AdminRoutes {
    /// Answers GET for anybody. The handler is given the query string.
    pub fn get(&self, path: impl Into<String>, handler: impl Fn(Option<&str>) -> Answer + Send + Sync + 'static) {
        self.add(path.into(), false, Handler::Whole(Arc::new(handler)));
    }

    /// Answers POST and PUT, and only to callers on this machine.
    pub fn post(&self, path: impl Into<String>, handler: impl Fn(Option<&str>) -> Answer + Send + Sync + 'static) {
        self.add(path.into(), true, Handler::Whole(Arc::new(handler)));
    }

    /// Answers GET for anybody with something that is made while it is sent.
    pub fn stream(&self, path: impl Into<String>, handler: impl Fn(&Asked<'_>) -> Streamed + Send + Sync + 'static) {
        self.add(path.into(), false, Handler::Made(Arc::new(handler)));
    }

    /// Has all connections and requests go through this door. To be set before anything is awaited: until then the
    /// port is open.
    pub fn guard(&self, door: impl Door) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).door = Some(Arc::new(door));
    }

    fn add(&self, path: String, changes_state: bool, handler: Handler) {
        let mut own = self.0.write().unwrap_or_else(PoisonError::into_inner);
        own.routes.push(Route { path, changes_state, handler });
    }

    fn find(&self, path: &str) -> Option<(bool, Handler)> {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let route = own.routes.iter().find(|route| route.path == path)?;
        Some((route.changes_state, route.handler.clone()))
    }

    fn paths(&self) -> Vec<String> {
        let own = self.0.read().unwrap_or_else(PoisonError::into_inner);
        own.routes.iter().map(|route| route.path.clone()).collect()
    }

    fn door(&self) -> Option<Arc<dyn Door>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).door.clone()
    }
}

/// Everything that an answer may need.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) health: Health,
    pub(crate) life: Life,
    pub(crate) registry: Registry,
    pub(crate) reloads: Reloads,
    pub(crate) routes: AdminRoutes,
    /// Present when `--allow-quit` was given.
    pub(crate) quit: Option<mpsc::Sender<()>>,
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, admin: Admin) -> Infallible {
    let mut connections = JoinSet::new();
    let mut by_age: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => {
                by_age.retain(|connection| !connection.is_finished());
                continue;
            }
        };
        match accepted {
            Ok((stream, peer)) => {
                if by_age.len() >= MOST_CONNECTIONS
                    && let Some(oldest) = by_age.pop_front()
                {
                    oldest.abort();
                }
                by_age.push_back(connections.spawn(connection(stream, peer.ip(), admin.clone())));
            }
            // Out of descriptors, most likely: asking again at once would only burn CPU.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// From the handshake to the last byte. What goes wrong here is the client's business.
async fn connection(stream: TcpStream, from: IpAddr, admin: Admin) {
    let served = async {
        let door = admin.routes.door();
        let Some(guard) = &door else { return exchange(stream, from, &admin, None).await };
        if let Ok(stream) = guard.open(stream).await {
            exchange(stream, from, &admin, Some(guard.as_ref())).await;
        }
    };
    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, served).await;
}

async fn exchange(stream: impl Connection, from: IpAddr, admin: &Admin, door: Option<&dyn Door>) {
    let service = service_fn(|request: Request<Incoming>| async move {
        let Some(door) = door else { return Ok::<_, Infallible>(admin.answer(&request, from)) };
        let Verdict { refusal, headers } = door.admit(request.headers()).await;
        let mut response = match refusal {
            None => admin.answer(&request, from),
            Some(status) => {
                let said = hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
                rendered(Answer::text(status, said.unwrap_or("refused")))
            }
        };
        response.headers_mut().extend(headers);
        Ok(response)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(LARGEST_HEAD)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let _ = connection.await;
}

fn rendered(answer: Answer) -> Response<Content> {
    let mut response = Response::new(Content::Whole(Some(Bytes::from(answer.body))));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let content_type = header::HeaderValue::from_static(answer.content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn streamed(answer: Streamed) -> Response<Content> {
    let mut response = Response::new(Content::made(answer.parts));
    *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
    let headers = answer.headers.into_iter().filter_map(|(name, value)| {
        Some((header::HeaderName::from_static(name), header::HeaderValue::try_from(value).ok()?))
    });
    response.headers_mut().extend(headers);
    response
}

impl Admin {
    fn answer(&self, request: &Request<Incoming>, from: IpAddr) -> Response<Content> {
        let (path, query) = (request.uri().path(), request.uri().query());
        let own = self.routes.find(path);
        let changes_state =
            own.as_ref().map_or(matches!(path, "/-/reload" | "/-/log-level" | "/quitquitquit"), |r| r.0);
        let allowed: &[Method] =
            if changes_state { &[Method::POST, Method::PUT] } else { &[Method::GET, Method::HEAD] };
        if !allowed.contains(request.method()) {
            return rendered(Answer::text(405, format!("{} {path}: expected {}", request.method(), allowed[0])));
        }
        // A page in a browser on this machine is not the operator, even though it calls from loopback.
        let from_page = request.headers().contains_key(header::ORIGIN);
        if changes_state && (!is_this_machine(from) || from_page) {
            let refusal = format!("{path} changes state: it answers callers on 127.0.0.1 and ::1 only");
            return rendered(Answer::text(403, refusal));
        }
        let answer = match (own, path) {
            (Some((_, Handler::Made(handler))), _) => {
                return streamed(handler(&Asked { query, headers: request.headers() }));
            }
            (Some((_, Handler::Whole(handler))), _) => handler(query),
            (None, "/livez" | "/health" | "/healthz" | "/live" | "/ping" | "/-/healthy") => Answer::text(200, "ok"),
            (None, "/readyz" | "/ready" | "/-/ready") => self.readiness(),
            (None, "/metrics") => self.metrics(),
            (None, "/-/reload") => self.reload(),
            (None, "/-/log-level") => set_level(query),
            (None, "/quitquitquit") => self.stop(),
            (None, "/") => self.index(),
            _ => Answer::text(404, format!("{path}: not found, see /")),
        };
        rendered(answer)
    }

    fn readiness(&self) -> Answer {
        if self.life.phase() != Phase::Running {
            return Answer::text(503, "stopping");
        }
        match self.health.closed() {
            closed if closed.is_empty() => {
                Answer::text(200, [vec!["ready".to_owned()], self.health.details()].concat().join("\n"))
            }
            closed => Answer::text(503, closed.join("\n")),
        }
    }

    fn metrics(&self) -> Answer {
        match metrics::text(&self.registry) {
            Ok(body) => Answer { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", body },
            Err(problem) => Answer::text(500, problem),
        }
    }

    fn reload(&self) -> Answer {
        match self.reloads.run("POST /-/reload") {
            Ok(()) => Answer::text(200, "reloaded"),
            Err(failure) => Answer::text(500, failure.problems.join("\n")),
        }
    }

    fn stop(&self) -> Answer {
        let Some(quit) = &self.quit else {
            return Answer::text(403, "/quitquitquit is off: start with --allow-quit or SIDECAR_ALLOW_QUIT=true");
        };
        // Full means that somebody has asked already.
        let _ = quit.try_send(());
        Answer::text(200, "stopping")
    }

    fn index(&self) -> Answer {
        let own = self.routes.paths().join(" ");
        Answer::text(
            200,
            format!("/livez /readyz /metrics {own}\nPOST: /-/reload /-/log-level?level=debug /quitquitquit"),
        )
    }
}

fn set_level(query: Option<&str>) -> Answer {
    let level = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("level=")));
    match level.unwrap_or_default().parse() {
        Ok(level) => {
            log::set_level(level);
            Answer::text(200, "log level changed")
        }
        Err(expected) => Answer::text(400, format!("level: {expected}, as in ?level=debug")),
    }
}

fn is_this_machine(from: IpAddr) -> bool {
    from.to_canonical().is_loopback()
}
