//! Clients that cost as much as they can: they are ended, memory stays where it was, and others are served meanwhile.

use std::{
    io::{self, Read, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use test_kit::{PATIENCE, Sidecar, eventually};

use crate::{
    app::App,
    caller::Caller,
    frames::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, Outcome, PING, RST_STREAM, SETTINGS, block, frame,
        length, usual,
    },
    port, with,
};

/// With short limits.
fn proxy(app: &App, more: &str) -> Sidecar {
    with(&format!(
        "listeners:\n- listen: 127.0.0.1:0\n  limits: {{head_timeout: 1s, body_timeout: 1s, send_timeout: 1s{more}}}\n  \
         routes: [{{to: \"{}\"}}]\n",
        app.place()
    ))
}

/// Somebody who behaves, all the time. Stopping it says how long the slowest answer took.
struct Others {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(usize, Duration)>,
}

impl Others {
    fn of(sidecar: &Sidecar) -> Self {
        let (port, stop) = (port(sidecar), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut count, mut slowest, mut caller) = (0, Duration::ZERO, Caller::new(port));
            loop {
                let started = Instant::now();
                let answer = caller.get("/other").unwrap();
                assert_eq!((answer.status, &answer.body[..]), (200, &b"GET /other"[..]));
                (count, slowest) = (count + 1, slowest.max(started.elapsed()));
                if stopped.load(Ordering::Relaxed) {
                    return (count, slowest);
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        Self { stop, thread }
    }

    #[track_caller]
    fn were_served(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (count, slowest) = self.thread.join().expect("others are served");
        assert!(count > 0 && slowest < Duration::from_secs(5), "{count} answers, the slowest took {slowest:?}");
    }
}

/// What it has grown by must not be more than this, once it is quiet.
#[track_caller]
fn grew_at_most(sidecar: &Sidecar, before: u64, kib: u64) {
    let grown = sidecar.anon_kib().saturating_sub(before);
    assert!(grown <= kib, "grew by {grown} KiB of at most {kib}");
}

#[test]
fn heads_that_come_byte_by_byte_end_with_their_time() {
    let app = App::echo();
    let sidecar = proxy(&app, "");
    let others = Others::of(&sidecar);
    let mut slow: Vec<Caller> = (0..200).map(|_| Caller::new(port(&sidecar))).collect();
    let end = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < end {
        for caller in &mut slow {
            let _ = caller.0.get_mut().write_all(b"G");
        }
        thread::sleep(Duration::from_millis(100));
    }
    for caller in &mut slow {
        if let Ok(answer) = caller.answer(false) {
            assert!(matches!(answer.status, 400 | 408 | 414), "{answer:?}");
        }
        assert!(caller.is_closed());
    }
    others.were_served();
}

#[test]
fn bodies_that_do_not_come_end_with_their_time() {
    let app = App::echo();
    let sidecar = proxy(&app, "");
    let others = Others::of(&sidecar);
    let started = Instant::now();
    let mut slow: Vec<Caller> = (0..100).map(|_| Caller::new(port(&sidecar))).collect();
    for caller in &mut slow {
        caller.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc");
    }
    for caller in &mut slow {
        assert_eq!(caller.answer(false).unwrap().status, 408);
        assert!(caller.is_closed());
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    others.were_served();
    assert!(app.told().iter().all(|told| told == "GET a /other"), "no half request counts");
}

#[test]
fn clients_that_do_not_read_hold_little_and_not_for_long() {
    let app = App::start(|got, stream| {
        let size = if got.target() == "/other" { 10 } else { 16 * 1024 * 1024 };
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")?;
        let piece = if size == 10 { b"GET /other".to_vec() } else { vec![b'x'; 64 * 1024] };
        for _ in 0..size / piece.len() {
            stream.get_mut().write_all(&piece)?;
        }
        Ok(true)
    });
    let sidecar = proxy(&app, "");
    let others = Others::of(&sidecar);
    let before = sidecar.anon_kib();
    let mut deaf: Vec<Caller> = (0..20).map(|_| Caller::new(port(&sidecar))).collect();
    for caller in &mut deaf {
        caller.send(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    let mut streams = Http2::within(port(&sidecar), PATIENCE, &[(4, 0)]);
    for stream in 0..20 {
        streams.request(stream * 2 + 1, &usual(b"GET", b"/large"), None).unwrap();
    }
    assert!(eventually(PATIENCE, || app.open.load(Ordering::SeqCst) >= 20));
    assert!(eventually(PATIENCE, || app.open.load(Ordering::SeqCst) <= 2), "the app is let go of");
    grew_at_most(&sidecar, before, 20 * 1024);
    others.were_served();
    drop(deaf);
}

#[test]
fn ten_thousand_idle_connections_hold_almost_nothing_and_others_are_served() {
    let app = App::echo();
    // However long a busy machine takes to open all of them.
    let sidecar = with(&format!(
        "listeners: [{{listen: \"127.0.0.1:0\", limits: {{idle_timeout: 10m}}, routes: [{{to: \"{}\"}}]}}]\n",
        app.place()
    ));
    assert_eq!(Caller::new(port(&sidecar)).get("/").unwrap().status, 200);
    let before = sidecar.anon_kib();
    let count: usize = 10_000;
    let mut idle: Vec<_> = (0..count)
        .map(|_| {
            let mut caller = std::net::TcpStream::connect(("127.0.0.1", port(&sidecar))).unwrap();
            caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut answer = [0; 4096];
            assert!(caller.read(&mut answer).unwrap() > 0);
            caller
        })
        .collect();
    let each = sidecar.anon_kib().saturating_sub(before) / count as u64;
    // The build for tests is larger in everything.
    let most = if cfg!(debug_assertions) { 16 } else { 6 };
    assert!(each <= most, "{each} KiB for each of {count}");
    for _ in 0..200 {
        assert_eq!(Caller::new(port(&sidecar)).get("/other").unwrap().status, 200);
    }
    for caller in idle.iter_mut().step_by(100) {
        caller.write_all(b"GET /again HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = [0; 4096];
        assert!(caller.read(&mut answer).unwrap() > 0);
    }
}

#[test]
fn heads_too_large_are_refused_before_they_are_held() {
    let app = App::echo();
    let sidecar = proxy(&app, "");
    let others = Others::of(&sidecar);
    let before = sidecar.anon_kib();
    for round in 0..20 {
        let mut caller = Caller::new(port(&sidecar));
        caller.send(b"GET / HTTP/1.1\r\nHost: a\r\n");
        let line = if round % 2 == 0 { format!("X: {}\r\n", "y".repeat(8000)) } else { "X: y\r\n".repeat(200) };
        for _ in 0..500 {
            if caller.0.get_mut().write_all(line.as_bytes()).is_err() {
                break;
            }
        }
        // It may have been reset while we were still sending.
        if let Ok(answer) = caller.answer(false) {
            assert_eq!(answer.status, 431);
        }
        assert!(caller.is_closed());
    }
    grew_at_most(&sidecar, before, 4 * 1024);
    others.were_served();
}

#[test]
fn connections_beyond_the_limit_are_closed_and_the_others_go_on() {
    let app = App::echo();
    let sidecar = proxy(&app, ", max_connections: 50");
    let mut first: Vec<Caller> = (0..50).map(|_| Caller::new(port(&sidecar))).collect();
    for caller in &mut first {
        assert_eq!(caller.get("/").unwrap().status, 200);
    }
    let mut beyond: Vec<Caller> = (0..1000).map(|_| Caller::new(port(&sidecar))).collect();
    for caller in &mut beyond {
        assert!(caller.get("/").is_err(), "there is no room for this one");
    }
    for caller in &mut first {
        assert_eq!(caller.get("/").unwrap().status, 200);
    }
    drop(first);
    assert!(eventually(PATIENCE, || Caller::new(port(&sidecar)).get("/").is_ok()), "there is room again");
}

/// Sends this many times, or until the other side has had enough.
fn flood(client: &mut Http2, times: usize, mut piece: impl FnMut(usize) -> Vec<u8>) -> io::Result<()> {
    for number in 0..times {
        client.0.write_all(&piece(number))?;
    }
    Ok(())
}

#[test]
fn streams_reset_as_soon_as_they_are_opened_end_the_connection() {
    let app = App::echo();
    let sidecar = proxy(&app, "");
    let others = Others::of(&sidecar);
    let before = sidecar.anon_kib();
    app.keeps.store(false, Ordering::Relaxed);
    for _ in 0..3 {
        let mut client = Http2::new(port(&sidecar));
        let fields = block(&usual(b"GET", b"/reset"));
        let sent = flood(&mut client, 50_000, |number| {
            let stream = number as u32 * 2 + 1;
            let mut bytes = frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields);
            bytes.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
            bytes
        });
        let outcome = client.outcome(u32::MAX);
        assert!(sent.is_err() || matches!(outcome, Outcome::GoAway(_) | Outcome::Closed), "{outcome:?}");
    }
    grew_at_most(&sidecar, before, 8 * 1024);
    others.were_served();
    let connections = app.connections.load(Ordering::SeqCst);
    assert!(connections < 2_000, "{connections} connections to the app");
}

#[test]
fn continuations_without_an_end_end_the_connection() {
    let app = App::echo();
    let sidecar = proxy(&app, "");
    let others = Others::of(&sidecar);
    let before = sidecar.anon_kib();
    let mut client = Http2::new(port(&sidecar));
    client.frame(HEADERS, END_STREAM, 1, &block(&usual(b"GET", b"/"))).unwrap();
    let piece = block(&[(b"x-a", &[b'y'; 4000])]);
    let sent = flood(&mut client, 20_000, |_| frame(CONTINUATION, 0, 1, &piece));
    assert!(sent.is_err(), "80 MB of head were taken");
    let mut client = Http2::new(port(&sidecar));
    client.frame(HEADERS, END_STREAM, 1, &block(&usual(b"GET", b"/"))).unwrap();
    let sent = flood(&mut client, 200_000, |_| frame(CONTINUATION, 0, 1, b""));
    assert!(sent.is_err() || client.outcome(1).is_refusal(), "empty ones without end");
    grew_at_most(&sidecar, before, 4 * 1024);
    others.were_served();
}

#[test]
fn small_fields_that_unpack_to_large_heads_are_refused() {
    let app = App::echo();
    let sidecar = proxy(&app, "");
    let others = Others::of(&sidecar);
    let before = sidecar.anon_kib();
    let mut client = Http2::new(port(&sidecar));
    for stream in 0..50 {
        let mut fields = block(&usual(b"GET", b"/bomb"));
        if stream == 0 {
            // Literal with indexing: from here on it is entry 62.
            fields.push(0x40);
            for text in [&b"x-bomb"[..], &[b'y'; 3900]] {
                length(text.len(), &mut fields);
                fields.extend_from_slice(text);
            }
        }
        fields.extend([0xbe; 12_000]);
        if client.frame(HEADERS, END_HEADERS | END_STREAM, stream * 2 + 1, &fields).is_err() {
            break;
        }
        let outcome = client.outcome(stream * 2 + 1);
        assert!(outcome.is_refusal(), "{outcome:?}");
        if !matches!(outcome, Outcome::Answer(..) | Outcome::Reset(_)) {
            break;
        }
    }
    grew_at_most(&sidecar, before, 8 * 1024);
    others.were_served();
    assert!(app.told().iter().all(|told| told == "GET a /other"), "{:?}", app.told().last());
}

#[test]
fn pings_and_settings_whose_answers_nobody_reads_hold_nothing() {
    let app = App::echo();
    let sidecar = proxy(&app, "");
    let others = Others::of(&sidecar);
    let before = sidecar.anon_kib();
    let small = Duration::from_secs(3);
    for (kind, payload) in [(PING, &[0; 8][..]), (SETTINGS, &[][..])] {
        let mut client = Http2::within(port(&sidecar), small, &[]);
        let bytes: Vec<u8> = (0..100).flat_map(|_| frame(kind, 0, 0, payload)).collect();
        // It stops when its own answers are not taken; either way nothing piles up.
        let _ = flood(&mut client, 5_000, |_| bytes.clone());
        grew_at_most(&sidecar, before, 4 * 1024);
    }
    let mut client = Http2::new(port(&sidecar));
    client.frame(HEADERS, END_HEADERS, 1, &block(&usual(b"POST", b"/"))).unwrap();
    let bytes: Vec<u8> = (0..100).flat_map(|_| frame(DATA, 0, 1, b"")).collect();
    let _ = flood(&mut client, 1_000, |_| bytes.clone());
    grew_at_most(&sidecar, before, 4 * 1024);
    others.were_served();
}

#[test]
fn more_streams_than_allowed_wait_or_are_refused() {
    let gate = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&gate);
    let app = App::start(move |_, stream| {
        eventually(PATIENCE, || open.load(Ordering::SeqCst));
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        Ok(true)
    });
    let sidecar = proxy(&app, ", max_streams: 10");
    let mut client = Http2::new(port(&sidecar));
    for stream in 0..50 {
        client.request(stream * 2 + 1, &usual(b"GET", b"/"), None).unwrap();
    }
    assert_eq!(client.outcome(99), Outcome::Reset(7), "the last one is refused, and may be sent again");
    assert!(eventually(PATIENCE, || app.connections.load(Ordering::SeqCst) == 10));
    gate.store(true, Ordering::SeqCst);
    assert_eq!(Http2::new(port(&sidecar)).get(1, "/"), Outcome::Answer(200, b"ok".to_vec()));
    assert!(app.connections.load(Ordering::SeqCst) <= 11);
}
