//! Nothing that is done to the proxy or to the app while clients are at work costs a request.

use std::{
    fs,
    io::{BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use test_kit::{PATIENCE, Signal, TempDir, eventually};

use crate::{
    app::{App, Goes},
    caller::Caller,
    frames::{END_HEADERS, END_STREAM, GOAWAY, HEADERS, Http2, Outcome, block, usual},
    port, proxy, ready, start,
};

/// Clients that keep their connections, and leave them only when they are told to.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(port: u16, request: &'static str) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let thread = |_| {
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            thread::spawn(move || {
                let (mut caller, mut failed) = (Caller::new(port), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    caller.send(request.as_bytes());
                    let goes_on = match caller.answer(false) {
                        Ok(answer) if answer.status == 200 => !answer.head.contains("Connection: close"),
                        Ok(answer) => {
                            failed.push(answer.head);
                            true
                        }
                        Err(error) => {
                            failed.push(error.to_string());
                            false
                        }
                    };
                    done.fetch_add(1, Ordering::Relaxed);
                    if !goes_on {
                        caller = Caller::new(port);
                    }
                }
                failed
            })
        };
        let threads = (0..4).map(thread).collect();
        Self { stop, done, threads }
    }

    /// Waits until so many more are through.
    fn wait(&self, more: usize) {
        let target = self.done.load(Ordering::Relaxed) + more;
        assert!(eventually(PATIENCE, || self.done.load(Ordering::Relaxed) >= target), "requests go on");
    }

    #[track_caller]
    fn without_failure(self) {
        self.stop.store(true, Ordering::Relaxed);
        let failed: Vec<String> = self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let done = self.done.load(Ordering::Relaxed);
        assert!(failed.is_empty(), "{} of {done} failed: {:?}", failed.len(), &failed[..failed.len().min(3)]);
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";

#[test]
fn a_hundred_reloads_under_load_cost_no_request() {
    let app = App::echo();
    app.keeps.store(false, Ordering::Relaxed);
    let dir = Arc::new(TempDir::new());
    let text = |number: usize| {
        format!(
            "listeners: [{{listen: \"127.0.0.1:0\", routes: [{{to: \"{}\", response_headers: {{set: {{x-round: \"{number}\"}}}}}}]}}]\n",
            app.place()
        )
    };
    let file = dir.put("reverse-proxy.yaml", text(0));
    let sidecar = ready(start(&file).keeping(&dir));
    let load = Load::on(port(&sidecar), POST);
    for number in 1..=100 {
        fs::write(dir.join("next"), text(number)).unwrap();
        fs::rename(dir.join("next"), &file).unwrap();
        sidecar.signal(Signal::HUP);
        let wanted = format!("x-round: {number}\r\n");
        let is_there =
            || Caller::new(port(&sidecar)).get("/").is_ok_and(|answer| answer.head.to_lowercase().contains(&wanted));
        assert!(eventually(PATIENCE, is_there), "round {number} comes");
    }
    load.without_failure();
}

/// `PROXY_THOUSANDS=1000 cargo test ... an_app_that_closes` for a million requests.
fn thousands() -> usize {
    std::env::var("PROXY_THOUSANDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn an_app_that_closes_kept_connections_costs_no_request() {
    // After every third answer, without a word; and every seventh request is met by the end instead of an answer.
    let app = App::start(|got, stream| {
        if got.number % 7 == 6 {
            return Ok(false);
        }
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(got.number % 3 != 2)
    });
    app.keeps.store(false, Ordering::Relaxed);
    let sidecar = proxy(&app);
    let load = Load::on(port(&sidecar), GET);
    for _ in 0..thousands() {
        load.wait(1_000);
    }
    load.without_failure();
}

#[test]
fn an_app_that_resets_kept_connections_costs_no_request() {
    let app = App::start(|got, stream| {
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        if got.number == 4 {
            // What comes next is not read: closing with it unread is a reset.
            let mut next = [0; 1];
            let _ = stream.get_mut().peek(&mut next);
            return Ok(false);
        }
        Ok(true)
    });
    app.keeps.store(false, Ordering::Relaxed);
    let sidecar = proxy(&app);
    let load = Load::on(port(&sidecar), GET);
    load.wait(10_000);
    load.without_failure();
}

/// An app that can be taken away with all its connections, and brought back.
struct Restarting {
    port: u16,
    up: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Restarting {
    fn new(listener: TcpListener) -> Self {
        let (port, up) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(true)));
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (is_up, kept) = (Arc::clone(&up), Arc::clone(&open));
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if !is_up.load(Ordering::SeqCst) {
                    return;
                }
                kept.lock().unwrap().push(stream.try_clone().unwrap());
                thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    let mut request = [0; GET.len()];
                    while stream.read_exact(&mut request).is_ok() {
                        if stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { port, up, open, thread: Some(thread) }
    }

    /// Nothing listens any more, and what was open is closed.
    fn stop(mut self) -> u16 {
        self.up.store(false, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.thread.take().unwrap().join().unwrap();
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.port
    }
}

#[test]
fn an_app_that_restarts_costs_no_request() {
    let mut app = Restarting::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let dir = Arc::new(TempDir::new());
    // Its head is of one length whatever happens: the app counts bytes.
    let config = format!(
        "listeners: [{{listen: \"127.0.0.1:0\", forwarded: off, request_id: false, traceparent: false, routes: [{{to: \"127.0.0.1:{}\"}}]}}]\n",
        app.port
    );
    let sidecar = ready(start(&dir.put("reverse-proxy.yaml", config)).keeping(&dir));
    let load = Load::on(port(&sidecar), GET);
    for _ in 0..10 {
        load.wait(200);
        let place = app.stop();
        thread::sleep(Duration::from_millis(50));
        let listener = TcpListener::bind(("127.0.0.1", place)).unwrap();
        app = Restarting::new(listener);
    }
    load.wait(200);
    load.without_failure();
}

/// Answers when it is allowed to; `/ws` becomes an echo.
fn gated() -> (App, Arc<AtomicBool>) {
    let gate = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&gate);
    let app = App::start(move |got, stream| {
        if got.target() == "/ws" {
            return echo(stream);
        }
        eventually(PATIENCE, || open.load(Ordering::SeqCst));
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")?;
        Ok(true)
    });
    (app, gate)
}

pub(crate) fn echo(stream: &mut BufReader<TcpStream>) -> Goes {
    stream
        .get_mut()
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")?;
    let mut bytes = [0; 16 * 1024];
    loop {
        let read = stream.read(&mut bytes)?;
        if read == 0 {
            return Ok(false);
        }
        stream.get_mut().write_all(&bytes[..read])?;
    }
}

#[test]
fn sigterm_waits_for_requests_streams_and_websockets() {
    let (app, gate) = gated();
    let sidecar = proxy(&app);
    let at = port(&sidecar);
    let mut callers: Vec<Caller> = (0..10).map(|_| Caller::new(at)).collect();
    for caller in &mut callers {
        caller.send(POST.as_bytes());
    }
    let mut streams = Http2::new(at);
    for stream in 0..10 {
        streams.request(stream * 2 + 1, &usual(b"GET", b"/"), None).unwrap();
    }
    let mut socket = Caller::new(at);
    socket.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    assert_eq!(socket.answer(false).unwrap().status, 101);
    let mut idle = Caller::new(at);
    assert!(eventually(PATIENCE, || app.connections.load(Ordering::SeqCst) == 21), "all are with the app");
    sidecar.signal(Signal::TERM);
    assert!(idle.is_closed(), "who waits for nothing is sent away");
    assert_eq!(streams.next_of(GOAWAY).payload[4..8], [0; 4]);
    socket.send(b"still here");
    let mut said = [0; 10];
    socket.0.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"still here");
    assert!(sidecar.is_running());
    gate.store(true, Ordering::SeqCst);
    for caller in &mut callers {
        let answer = caller.answer(false).unwrap();
        assert!(
            answer.status == 200 && answer.body == b"late" && answer.head.contains("Connection: close"),
            "{answer:?}"
        );
        assert!(caller.is_closed());
    }
    let mut whole = 0;
    while whole < 10 {
        let frame = streams.next().expect("every stream is answered");
        whole += usize::from(frame.stream > 0 && frame.flags & END_STREAM != 0);
    }
    assert!(sidecar.is_running(), "the WebSocket is open");
    drop(socket);
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn streams_opened_while_the_goodbye_is_on_its_way_are_served() {
    let (app, gate) = gated();
    gate.store(true, Ordering::SeqCst);
    let sidecar = proxy(&app);
    let mut client = Http2::new(port(&sidecar));
    assert_eq!(client.get(1, "/"), Outcome::Answer(200, b"late".to_vec()));
    sidecar.signal(Signal::TERM);
    // RFC 9113 section 6.8: what is sent before the final GOAWAY arrives counts.
    client.frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&usual(b"GET", b"/"))).unwrap();
    let first = client.next_of(GOAWAY);
    let last = u32::from_be_bytes(first.payload[..4].try_into().unwrap());
    assert!(last >= 3, "the first GOAWAY forbids nothing: {last}");
    assert_eq!(client.outcome(3), Outcome::Answer(200, b"late".to_vec()));
    drop(client);
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn idle_connections_are_closed_and_not_reset_when_it_ends() {
    let app = App::echo();
    let sidecar = proxy(&app);
    let mut idle: Vec<Caller> = (0..50).map(|_| Caller::new(port(&sidecar))).collect();
    for caller in &mut idle {
        assert_eq!(caller.get("/").unwrap().status, 200);
    }
    sidecar.signal(Signal::TERM);
    for caller in &mut idle {
        assert!(matches!(caller.0.read(&mut [0]), Ok(0)));
    }
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn sigquit_ends_well_and_sigusr1_ends_nothing() {
    let (app, gate) = gated();
    let sidecar = proxy(&app);
    let mut caller = Caller::new(port(&sidecar));
    caller.send(POST.as_bytes());
    assert!(eventually(PATIENCE, || app.connections.load(Ordering::SeqCst) == 1));
    sidecar.signal(Signal::USR1);
    sidecar.signal(Signal::QUIT);
    assert!(eventually(PATIENCE, || TcpStream::connect(("127.0.0.1", port(&sidecar))).is_err()), "it has heard");
    gate.store(true, Ordering::SeqCst);
    assert_eq!(caller.answer(false).unwrap().body, b"late");
    drop(caller);
    assert_eq!(sidecar.wait_exit(), 0);
}
