//! A service of gRPC by tonic: it says back what it is told, in all four ways of calling.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, body::Body, metadata::MetadataMap, server::Grpc};
use tonic_prost::ProstCodec;
use tower::service_fn;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Said {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

pub(crate) fn said(text: impl Into<String>) -> Said {
    Said { text: text.into() }
}

type Codec = ProstCodec<Said, Said>;
type Answers = std::pin::Pin<Box<dyn Stream<Item = Result<Said, Status>> + Send>>;

/// What has become of calls that never end by themselves.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) given_up: Arc<AtomicUsize>,
}

struct Guard(Seen);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.given_up.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) async fn start() -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, seen) = (listener.local_addr().unwrap(), Seen::default());
    let own = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = own.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(move |request| answer(request, seen.clone()));
                let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                // How a connection ends is what tests are about.
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    (addr, seen)
}

async fn answer(request: http::Request<hyper::body::Incoming>, seen: Seen) -> Result<http::Response<Body>, Status> {
    let request = request.map(Body::new);
    let path = request.uri().path().to_owned();
    let mut grpc = Grpc::new(Codec::default()).max_decoding_message_size(16 << 20);
    Ok(match path.as_str() {
        "/test.Talk/Once" => grpc.unary(service_fn(move |request| once(request, seen.clone())), request).await,
        "/test.Talk/Many" => grpc.server_streaming(service_fn(many), request).await,
        "/test.Talk/Collect" => grpc.client_streaming(service_fn(collect), request).await,
        _ => grpc.streaming(service_fn(each), request).await,
    })
}

async fn once(request: Request<Said>, seen: Seen) -> Result<Response<Said>, Status> {
    let metadata = request.metadata().clone();
    let text = request.into_inner().text;
    if text == "fail" {
        let mut more = MetadataMap::new();
        more.insert("x-why", "because".parse().unwrap());
        more.insert_bin("x-why-bin", tonic::metadata::MetadataValue::from_bytes(b"\0\xff"));
        return Err(Status::with_details_and_metadata(
            tonic::Code::FailedPrecondition,
            "not \u{fc}ber now",
            vec![1, 2, 3].into(),
            more,
        ));
    }
    if text == "wait" {
        let _guard = Guard(seen.clone());
        seen.waiting.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    let mut response = Response::new(said(format!("you said {text}")));
    for name in ["x-asked", "grpc-timeout"] {
        if let Some(value) = metadata.get(name) {
            response.metadata_mut().insert(name, value.clone());
        }
    }
    Ok(response)
}

/// As many as it is told, and then it fails if the number is odd.
async fn many(request: Request<Said>) -> Result<Response<Answers>, Status> {
    let count: usize = request.into_inner().text.parse().map_err(|_| Status::invalid_argument("expected a number"))?;
    let (send, receive) = mpsc::channel(4);
    tokio::spawn(async move {
        for number in 0..count {
            if send.send(Ok(said(number.to_string()))).await.is_err() {
                return;
            }
        }
        if count % 2 == 1 {
            let _ = send.send(Err(Status::data_loss("an odd end"))).await;
        }
    });
    Ok(Response::new(Box::pin(ReceiverStream::new(receive))))
}

async fn collect(request: Request<Streaming<Said>>) -> Result<Response<Said>, Status> {
    let (mut messages, mut bytes, mut count) = (request.into_inner(), 0, 0);
    while let Some(message) = messages.next().await {
        (bytes, count) = (bytes + message?.text.len(), count + 1);
    }
    Ok(Response::new(said(format!("{count} messages, {bytes} bytes"))))
}

/// Each answer before the next question.
async fn each(request: Request<Streaming<Said>>) -> Result<Response<Answers>, Status> {
    let messages = request.into_inner();
    Ok(Response::new(Box::pin(
        messages.map(|message| message.map(|message| said(format!("you said {}", message.text)))),
    )))
}

pub(crate) const SOON: Duration = Duration::from_millis(300);
