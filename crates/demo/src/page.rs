//! The page: one HTML file that asks for the state twice a second.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use hyper::{Method, Request, StatusCode, header};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    board::Board,
    http::{self, Answer},
};

const PAGE: &str = include_str!("page.html");
/// Nothing from anywhere else, whatever the page may say one day.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:";

pub struct Page {
    pub url: String,
    asked: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Page {
    pub fn serve(addr: &values::ListenAddr, board: Arc<Board>) -> Result<Self, String> {
        let problem = |error: std::io::Error| format!("the page cannot listen: {error}; choose with --page-addr");
        let listener = addr.bind_tcp().and_then(TcpListener::from_std).map_err(problem)?;
        let mut at = listener.local_addr().map_err(problem)?;
        if at.ip().is_unspecified() {
            at.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let (stop, stopped) = watch::channel(false);
        let asked = Arc::new(AtomicU64::new(0));
        let asking = Arc::clone(&asked);
        let respond = move |request: &Request<Bytes>| {
            if request.uri().path() == "/state" {
                asking.fetch_add(1, Ordering::Relaxed);
            }
            respond(&board, request)
        };
        Ok(Self {
            url: format!("http://{at}/"),
            asked,
            stop,
            server: tokio::spawn(http::serve(listener, stopped, respond)),
        })
    }

    /// Ends once whoever is watching has seen the end.
    pub async fn close(self) {
        let asked = self.asked.load(Ordering::Relaxed);
        if asked > 0 {
            for _ in 0..8 {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                if self.asked.load(Ordering::Relaxed) > asked {
                    break;
                }
            }
        }
        self.stop.send_replace(true);
        // It cannot fail, and if it panicked that has been printed.
        let _ = self.server.await;
    }
}

fn respond(board: &Board, request: &Request<Bytes>) -> Answer {
    let mut answer = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/") => http::answer(StatusCode::OK, "text/html; charset=utf-8", PAGE),
        (&Method::GET | &Method::HEAD, "/state") => match serde_json::to_vec(&board.state()) {
            Ok(state) => http::answer(StatusCode::OK, "application/json", state),
            Err(error) => http::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        },
        _ => http::text(StatusCode::NOT_FOUND, "not found, see /"),
    };
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    let policy = header::HeaderValue::from_static(POLICY);
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    answer
}
