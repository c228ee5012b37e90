//! As much HTTP as the demo needs: a request to somebody on loopback, and a listener that answers what fits in memory.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, Limited, channel::Channel};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

const TIMEOUT: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: usize = 1 << 20;
/// log-shipper's batches are an eighth of that.
const LARGEST_REQUEST: usize = 8 << 20;
const MOST_CONNECTIONS: usize = 256;

/// A body that is there, or one that goes on.
pub type Answer = Response<Either<Full<Bytes>, Channel<Bytes>>>;

/// What somebody has answered.
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Reply {
    /// The first header of this name, if it is text.
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Asks, and returns the status and the body.
pub async fn get(addr: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let reply = send(addr, Method::GET, path, &[], "").await?;
    Ok((reply.status, reply.body))
}

/// One request on a connection of its own.
pub async fn send(
    addr: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(header::HeaderName, &str)],
    body: &str,
) -> Result<Reply, String> {
    let what = format!("{method} http://{addr}{}", path.split('?').next().unwrap_or_default());
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, addr.to_string())
        .header(header::CONNECTION, "close");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Full::from(body.to_owned())).map_err(|error| format!("{what}: {error}"))?;
    let asked = async {
        let stream = TcpStream::connect(addr).await.map_err(|error| error.to_string())?;
        exchange(stream, request).await
    };
    let answered = tokio::time::timeout(TIMEOUT, asked).await;
    answered
        .unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())))
        .map_err(|problem| format!("{what}: {problem}"))
}

/// One request to whoever is at the other end, and what he answers.
pub async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok(Reply { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The peer closes as soon as it has answered; what it sent is still to be read.
        _ = &mut connection => exchange.await,
    }
}

pub fn answer(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    let content_type = header::HeaderValue::from_static(content_type);
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

pub fn text(status: StatusCode, body: impl Into<String>) -> Answer {
    let mut body = body.into();
    body.push('\n');
    answer(status, "text/plain; charset=utf-8", body)
}

/// Serves until told to stop, then lets what is in flight finish.
pub async fn serve<F>(listener: TcpListener, mut stop: watch::Receiver<bool>, respond: F)
where
    F: Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static,
{
    let respond = Arc::new(respond);
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = told(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => accepted,
        };
        match stream {
            Ok((stream, from)) => {
                let connection = connection(stream, from, stop.clone(), Arc::clone(&respond));
                drop(connections.spawn(connection));
            }
            // Out of descriptors, most likely: asking again at once would only burn CPU.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    // Whoever has not read his answer by then will not.
    let _ = tokio::time::timeout(TIMEOUT, finished).await;
}

/// If the other end is gone, that is a way of saying stop.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn connection<F>(stream: TcpStream, from: SocketAddr, mut stop: watch::Receiver<bool>, respond: Arc<F>)
where
    F: Fn(&Request<Bytes>) -> Answer + Send + Sync + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        // Whoever logs wants to know.
        request.extensions_mut().insert(from);
        let respond = Arc::clone(&respond);
        async move { Ok::<_, Infallible>(whole(request).await.map_or_else(|answer| answer, |whole| respond(&whole))) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30))
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // What goes wrong here is the client's business.
        _ = &mut connection => {}
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// The request with all of its body.
async fn whole(request: Request<Incoming>) -> Result<Request<Bytes>, Answer> {
    let (head, body) = request.into_parts();
    match Limited::new(body, LARGEST_REQUEST).collect().await {
        Ok(body) => Ok(Request::from_parts(head, body.to_bytes())),
        Err(error) => Err(text(StatusCode::PAYLOAD_TOO_LARGE, error.to_string())),
    }
}
