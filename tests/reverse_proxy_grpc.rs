//! gRPC through the real `reverse-proxy`, by tonic on both sides.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::large_futures,
    reason = "tests: a surprise must fail loudly"
)]

#[path = "reverse_proxy_grpc/talk.rs"]
mod talk;

use std::{future::Future, net::SocketAddr, sync::Arc, sync::atomic::Ordering, time::Duration};

use http::uri::PathAndQuery;
use test_kit::{Authority, PATIENCE, Sidecar, Signal, TempDir};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::{
    Code, Request,
    client::Grpc,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_prost::ProstCodec;

use crate::talk::{SOON, Said, Seen, said};

type Client = Grpc<Channel>;

const ONCE: PathAndQuery = PathAndQuery::from_static("/test.Talk/Once");
const MANY: PathAndQuery = PathAndQuery::from_static("/test.Talk/Many");
const COLLECT: PathAndQuery = PathAndQuery::from_static("/test.Talk/Collect");
const EACH: PathAndQuery = PathAndQuery::from_static("/test.Talk/Each");

fn codec() -> ProstCodec<Said, Said> {
    ProstCodec::default()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(2 * PATIENCE, work).await.expect("in time") })
}

fn proxy(config: &str, dir: &Arc<TempDir>) -> Sidecar {
    let name = format!("{}.yaml", config.len());
    let start = Sidecar::start(env!("CARGO_BIN_EXE_reverse-proxy"))
        .args(["--config", &dir.put(&name, config.replace("DIR", dir.to_str().unwrap()))])
        .env("SIDECAR_DRAIN_DELAY", "0s")
        .keeping(dir);
    let sidecar = start.spawn();
    sidecar.wait_ready();
    sidecar
}

fn before(app: SocketAddr) -> Sidecar {
    let cluster = format!("clusters: [{{name: app, endpoints: ['{app}'], http2: true, connect_wait: 200ms}}]");
    proxy(
        &format!("{cluster}\nlisteners: [{{listen: '127.0.0.1:0', routes: [{{to: app}}]}}]\n"),
        &Arc::new(TempDir::new()),
    )
}

async fn client(sidecar: &Sidecar) -> Client {
    let url = format!("http://127.0.0.1:{}", sidecar.port_of("127.0.0.1:0"));
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    Grpc::new(channel).max_decoding_message_size(16 << 20)
}

/// All four ways of calling.
async fn talk(client: &mut Client) {
    client.ready().await.unwrap();
    let mut request = Request::new(said("hello"));
    request.metadata_mut().insert("x-asked", "yes".parse().unwrap());
    let response = client.unary(request, ONCE, codec()).await.unwrap();
    assert_eq!(response.metadata().get("x-asked").unwrap(), "yes");
    assert_eq!(response.into_inner().text, "you said hello");

    client.ready().await.unwrap();
    let mut answers = client.server_streaming(Request::new(said("500")), MANY, codec()).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(answer) = answers.next().await {
        assert_eq!(answer.unwrap().text, count.to_string());
        count += 1;
    }
    assert_eq!(count, 500);

    client.ready().await.unwrap();
    let questions = tokio_stream::iter((0..200).map(|_| said("x".repeat(10_000))));
    let response = client.client_streaming(Request::new(questions), COLLECT, codec()).await.unwrap();
    assert_eq!(response.into_inner().text, "200 messages, 2000000 bytes");

    client.ready().await.unwrap();
    let (ask, questions) = mpsc::channel(1);
    let response = client.streaming(Request::new(ReceiverStream::new(questions)), EACH, codec());
    ask.send(said("0")).await.unwrap();
    let mut answers = response.await.unwrap().into_inner();
    for number in 0..50 {
        assert_eq!(answers.next().await.unwrap().unwrap().text, format!("you said {number}"));
        ask.send(said((number + 1).to_string())).await.unwrap();
    }
    drop(ask);
    assert_eq!(answers.next().await.unwrap().unwrap().text, "you said 50");
    assert!(answers.next().await.is_none());
}

#[test]
fn every_way_of_calling_passes_in_the_clear() {
    run(async {
        let (app, _) = talk::start().await;
        let sidecar = before(app);
        talk(&mut client(&sidecar).await).await;
    });
}

#[test]
fn every_way_of_calling_passes_over_tls_on_both_sides() {
    run(async {
        let (app, _) = talk::start().await;
        let (dir, authority) = (Arc::new(TempDir::new()), Authority::new("test CA"));
        let pair = authority.server(&["talk.test"]);
        for (name, text) in [("ca.crt", &authority.pem()), ("tls.crt", &pair.certificate), ("tls.key", &pair.key)] {
            dir.put(name, text);
        }
        let listener = "listeners: [{listen: '127.0.0.1:0', tls: {cert_file: DIR/tls.crt, key_file: DIR/tls.key}, routes: [{to: app}]}]";
        let behind =
            proxy(&format!("clusters: [{{name: app, endpoints: ['{app}'], http2: true}}]\n{listener}\n"), &dir);
        let port = behind.port_of("127.0.0.1:0");
        let tls = "{ca_file: DIR/ca.crt, server_name: talk.test}";
        let front = proxy(
            &format!(
                "clusters: [{{name: app, endpoints: ['127.0.0.1:{port}'], http2: true, tls: {tls}}}]\n{listener}\n"
            ),
            &dir,
        );
        let tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name("talk.test");
        let url = format!("https://127.0.0.1:{}", front.port_of("127.0.0.1:0"));
        let channel = Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap().connect().await.unwrap();
        talk(&mut Grpc::new(channel)).await;
    });
}

#[test]
fn how_a_call_failed_arrives_whole() {
    run(async {
        let (app, _) = talk::start().await;
        let sidecar = before(app);
        let mut client = client(&sidecar).await;
        client.ready().await.unwrap();
        let failed = client.unary::<Said, Said, _>(Request::new(said("fail")), ONCE, codec()).await.unwrap_err();
        assert_eq!(
            (failed.code(), failed.message(), failed.details()),
            (Code::FailedPrecondition, "not \u{fc}ber now", &[1, 2, 3][..])
        );
        assert_eq!(failed.metadata().get("x-why").unwrap(), "because");
        assert_eq!(failed.metadata().get_bin("x-why-bin").unwrap().to_bytes().unwrap().as_ref(), b"\0\xff");
        // After messages it is in the trailers.
        client.ready().await.unwrap();
        let mut answers = client
            .server_streaming::<Said, Said, _>(Request::new(said("3")), MANY, codec())
            .await
            .unwrap()
            .into_inner();
        for _ in 0..3 {
            answers.next().await.unwrap().unwrap();
        }
        let failed = answers.next().await.unwrap().unwrap_err();
        assert_eq!((failed.code(), failed.message()), (Code::DataLoss, "an odd end"));
    });
}

async fn until(seen: &Seen, given_up: usize) {
    while seen.given_up.load(Ordering::SeqCst) < given_up {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn deadlines_and_cancellations_reach_the_app() {
    run(async {
        let (app, seen) = talk::start().await;
        let sidecar = before(app);
        let mut client = client(&sidecar).await;
        client.ready().await.unwrap();
        let mut request = Request::new(said("wait"));
        request.set_timeout(SOON);
        let failed = client.unary::<Said, Said, _>(request, ONCE, codec()).await.unwrap_err();
        assert!(matches!(failed.code(), Code::DeadlineExceeded | Code::Cancelled), "{failed:?}");
        until(&seen, 1).await;
        let mut request = Request::new(said("hello"));
        request.set_timeout(Duration::from_secs(7));
        client.ready().await.unwrap();
        let told = client.unary::<Said, Said, _>(request, ONCE, codec()).await.unwrap();
        assert_eq!(told.metadata().get("grpc-timeout").unwrap(), "7000000u");

        client.ready().await.unwrap();
        let call = client.unary::<Said, Said, _>(Request::new(said("wait")), ONCE, codec());
        tokio::select! {
            _ = call => panic!("it never ends"),
            () = async { while seen.waiting.load(Ordering::SeqCst) < 2 { tokio::time::sleep(Duration::from_millis(5)).await; } } => {}
        }
        until(&seen, 2).await;
        // The connection is as good as before.
        talk(&mut client).await;
    });
}

#[test]
fn large_messages_pass_and_failures_of_the_proxy_are_told_in_words_of_grpc() {
    run(async {
        let (app, _) = talk::start().await;
        let sidecar = before(app);
        let mut client = client(&sidecar).await;
        client.ready().await.unwrap();
        let text = "x".repeat(5_000_000);
        let answer = client.unary(Request::new(said(&text)), ONCE, codec()).await.unwrap().into_inner();
        assert!(answer.text == format!("you said {text}"));

        let away = before(SocketAddr::from(([127, 0, 0, 1], test_kit::free_port())));
        let mut client = self::client(&away).await;
        client.ready().await.unwrap();
        let failed = client.unary::<Said, Said, _>(Request::new(said("hello")), ONCE, codec()).await.unwrap_err();
        assert_eq!((failed.code(), failed.message()), (Code::Unavailable, "Bad Gateway"), "{failed:?}");
        let routes = "[{prefix: /other, to: APP}, {prefix: /test.Talk/Once, deny: [127.0.0.1], to: APP}]";
        let listener =
            format!("listeners: [{{listen: '127.0.0.1:0', routes: {}}}]", routes.replace("APP", &format!("'{app}'")));
        let picky = proxy(&listener, &Arc::new(TempDir::new()));
        let mut client = self::client(&picky).await;
        for (path, code) in [(ONCE, Code::PermissionDenied), (EACH, Code::Unimplemented)] {
            client.ready().await.unwrap();
            let failed = client.unary::<Said, Said, _>(Request::new(said("hello")), path, codec()).await.unwrap_err();
            assert_eq!(failed.code(), code, "{failed:?}");
        }
    });
}

#[test]
fn streams_end_before_the_proxy_does() {
    run(async {
        let (app, _) = talk::start().await;
        let sidecar = before(app);
        let mut client = client(&sidecar).await;
        client.ready().await.unwrap();
        let (ask, questions) = mpsc::channel(1);
        let response = client.streaming(Request::new(ReceiverStream::new(questions)), EACH, codec());
        ask.send(said("before")).await.unwrap();
        let mut answers = response.await.unwrap().into_inner();
        assert_eq!(answers.next().await.unwrap().unwrap().text, "you said before");
        sidecar.signal(Signal::TERM);
        sidecar.wait_message("stopping");
        ask.send(said("after")).await.unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap().text, "you said after");
        assert!(sidecar.is_running());
        drop(ask);
        assert!(answers.next().await.is_none());
        let code = tokio::task::spawn_blocking(move || sidecar.wait_exit()).await.unwrap();
        assert_eq!(code, 0);
    });
}
