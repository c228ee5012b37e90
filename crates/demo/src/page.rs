//! The page: a few files of our own, a feed of what there is to see, and buttons.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{
    Either,
    channel::{Channel, Sender},
};
use hyper::{Method, Request, Response, StatusCode, body::Frame, header};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{
    board::Board,
    controls::{self, Press},
    http::{self, Answer},
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const FILES: [(&str, &str, &str); 6] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/style.css", CSS, include_str!("page/style.css")),
    ("/main.js", SCRIPT, include_str!("page/main.js")),
    ("/picture.js", SCRIPT, include_str!("page/picture.js")),
    ("/cards.js", SCRIPT, include_str!("page/cards.js")),
    ("/draw.js", SCRIPT, include_str!("page/draw.js")),
];
/// Nothing from anywhere else, whatever the page may say one day.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Only a page of ours can send it: a browser asks before it lets another one do so.
const BY_THE_PAGE: &str = "x-demo";

/// Those who watch.
const MOST_FEEDS: usize = 32;
/// States that somebody may be behind.
const BEHIND: usize = 4;
/// Not more often than the eye can follow, and once a second for the clock.
const PACE: Duration = Duration::from_millis(250);
const TICK: Duration = Duration::from_millis(750);

pub struct Page {
    pub url: String,
    feeds: Arc<Feeds>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    feeding: JoinHandle<()>,
}

impl Page {
    pub fn serve(addr: &values::ListenAddr, board: Arc<Board>) -> Result<(Self, mpsc::Receiver<Press>), String> {
        let problem = |error: std::io::Error| format!("the page cannot listen: {error}; choose with --page-addr");
        let listener = addr.bind_tcp().and_then(TcpListener::from_std).map_err(problem)?;
        let mut at = listener.local_addr().map_err(problem)?;
        if at.ip().is_unspecified() {
            at.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let (stop, stopped) = watch::channel(false);
        let feeds = Arc::new(Feeds { board, open: Mutex::default() });
        let (press, presses) = mpsc::channel(controls::MOST);
        let asked = Arc::clone(&feeds);
        let server = http::serve(listener, stopped, move |request| respond(&asked, &press, request));
        let page = Self {
            url: format!("http://{at}/"),
            stop,
            server: tokio::spawn(server),
            feeding: tokio::spawn(feed(Arc::clone(&feeds))),
            feeds,
        };
        Ok((page, presses))
    }

    /// Ends once whoever is watching has been told of the end.
    pub async fn close(self) {
        self.feeding.abort();
        self.feeds.tell();
        self.feeds.end();
        self.stop.send_replace(true);
        // It cannot fail, and if it panicked that has been printed.
        let _ = self.server.await;
    }
}

/// What there is to see, to each who watches.
struct Feeds {
    board: Arc<Board>,
    open: Mutex<Vec<Sender<Bytes>>>,
}

impl Feeds {
    fn state(&self) -> Option<Bytes> {
        let state = serde_json::to_string(&self.board.state()).ok()?;
        Some(format!("data: {state}\n\n").into())
    }

    /// Who does not keep up is let go: a browser comes again by itself, and then begins with what is so now.
    fn tell(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let (false, Some(state)) = (open.is_empty(), self.state()) {
            open.retain_mut(|feed| feed.try_send(Frame::data(state.clone())).is_ok());
        }
    }

    fn end(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn answer(&self) -> Answer {
        let (mut feed, body) = Channel::new(BEHIND);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST_FEEDS {
            return http::text(StatusCode::TOO_MANY_REQUESTS, "too many are watching");
        }
        if let Some(state) = self.state() {
            // It is new, so there is room.
            let _ = feed.try_send(Frame::data(state));
        }
        open.push(feed);
        let mut answer = Response::new(Either::Right(body));
        let kind = header::HeaderValue::from_static("text/event-stream");
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
        answer
    }
}

async fn feed(feeds: Arc<Feeds>) {
    let mut changes = feeds.board.changes();
    loop {
        feeds.tell();
        tokio::time::sleep(PACE).await;
        let _ = tokio::time::timeout(TICK, changes.changed()).await;
    }
}

fn respond(feeds: &Feeds, press: &mpsc::Sender<Press>, request: &Request<Bytes>) -> Answer {
    let path = request.uri().path();
    let file = FILES.iter().find(|(name, ..)| *name == path);
    let mut answer = match (request.method(), path, file) {
        (&Method::GET | &Method::HEAD, _, Some((_, kind, text))) => http::answer(StatusCode::OK, kind, *text),
        (&Method::GET, "/feed", _) => feeds.answer(),
        (&Method::GET, "/state", _) => match serde_json::to_vec(&feeds.board.state()) {
            Ok(state) => http::answer(StatusCode::OK, "application/json", state),
            Err(error) => http::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        (&Method::POST, ..) if path.starts_with("/do/") => pressed(press, request),
        _ => http::text(StatusCode::NOT_FOUND, "not found, see /"),
    };
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    let policy = header::HeaderValue::from_static(POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    answer
}

/// `POST /do/log-shipper/burst`, with what was typed as the body.
fn pressed(press: &mpsc::Sender<Press>, request: &Request<Bytes>) -> Answer {
    if !is_from_here(request) {
        return http::text(StatusCode::FORBIDDEN, "buttons are for whoever sits at this machine, on the page itself");
    }
    let typed = String::from_utf8_lossy(request.body());
    let mut parts = request.uri().path().split('/').skip(2);
    let (Some(sidecar), Some(action), None) = (parts.next(), parts.next(), parts.next()) else {
        return http::text(StatusCode::NOT_FOUND, "expected /do/SIDECAR/ACTION");
    };
    if typed.len() > controls::LONGEST {
        return http::text(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {} bytes", controls::LONGEST));
    }
    let asked = Press { sidecar: sidecar.into(), action: action.into(), typed: typed.into_owned() };
    match press.try_send(asked) {
        Ok(()) => http::text(StatusCode::ACCEPTED, "it is done"),
        Err(_) => http::text(StatusCode::TOO_MANY_REQUESTS, "not that fast"),
    }
}

/// Neither another machine, nor a page of somebody else in this browser, under whatever name it calls us.
fn is_from_here(request: &Request<Bytes>) -> bool {
    let is_near = request.extensions().get::<SocketAddr>().is_some_and(|from| from.ip().is_loopback());
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    let is_plain = name == "localhost" || name.parse::<IpAddr>().is_ok();
    is_near && is_plain && request.headers().contains_key(BY_THE_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(from: &str, host: &str, by_the_page: bool) -> StatusCode {
        let (sender, _presses) = mpsc::channel(1);
        let mut request = Request::post("/do/log-shipper/burst").header(header::HOST, host);
        if by_the_page {
            request = request.header(BY_THE_PAGE, "1");
        }
        let mut request = request.body(Bytes::new()).expect("a request");
        request.extensions_mut().insert(from.parse::<SocketAddr>().expect("an address"));
        pressed(&sender, &request).status()
    }

    #[test]
    fn buttons_are_pressed_on_the_page_and_nowhere_else() {
        assert_eq!(press("127.0.0.1:9", "127.0.0.1:8000", true), StatusCode::ACCEPTED);
        assert_eq!(press("127.0.0.1:9", "localhost:8000", true), StatusCode::ACCEPTED);
        assert_eq!(press("127.0.0.1:9", "127.0.0.1:8000", false), StatusCode::FORBIDDEN);
        assert_eq!(press("127.0.0.1:9", "evil.example:8000", true), StatusCode::FORBIDDEN);
        assert_eq!(press("10.0.0.9:9", "10.0.0.5:8000", true), StatusCode::FORBIDDEN);
    }
}
