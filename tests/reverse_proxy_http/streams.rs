//! Bodies without an end in sight: they arrive piece by piece, in both directions, and are never collected.

use std::{
    io::{BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use test_kit::{PATIENCE, eventually};

use crate::{
    app::App,
    caller::Caller,
    frames::{DATA, END_STREAM, HEADERS, Http2, usual},
    life, port, proxy, with,
};

/// What is moved in each direction. `PROXY_STREAM_MIB=10240 cargo test --release ... streams` for a thorough run.
fn mebibytes() -> usize {
    std::env::var("PROXY_STREAM_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// An app that sends every body back while it still comes in.
fn parrot() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0]);
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).is_ok() {
                    head.push(byte[0]);
                }
                let head = String::from_utf8_lossy(&head).to_lowercase();
                let length = head.split("content-length: ").nth(1).and_then(|text| text.lines().next()).unwrap_or("0");
                let mut left: usize = length.parse().unwrap();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n");
                let mut bytes = vec![0; 64 * 1024];
                while left > 0 {
                    let Ok(read @ 1..) = stream.read(&mut bytes) else { return };
                    left -= read;
                    if stream.write_all(&bytes[..read]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn large_bodies_move_both_ways_at_once_in_little_memory() {
    let app = parrot();
    let sidecar = with(&format!(
        "listeners: [{{listen: \"127.0.0.1:0\", routes: [{{to: \"127.0.0.1:{app}\", max_body: 64Gi, timeout: 1h}}]}}]\n"
    ));
    let size = mebibytes() * 1024 * 1024;
    let before = sidecar.anon_kib();
    let mut caller = Caller::new(port(&sidecar));
    caller.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").as_bytes());
    let mut sending = caller.0.get_ref().try_clone().unwrap();
    let sender = thread::spawn(move || {
        let piece: Vec<u8> = (0..64 * 1024).map(|at| (at % 251) as u8).collect();
        for _ in 0..size / piece.len() {
            sending.write_all(&piece).unwrap();
        }
    });
    // Nobody reads for a while: the sender must be held up, not collected.
    thread::sleep(Duration::from_millis(500));
    let mut most = sidecar.anon_kib();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        caller.0.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    let (mut got, mut bytes) = (0, vec![0; 64 * 1024]);
    while got < size {
        let read = caller.0.read(&mut bytes).unwrap();
        assert!(read > 0, "{got} of {size} bytes came");
        let is_right =
            bytes[..read].iter().enumerate().all(|(at, byte)| *byte == ((got + at) % (64 * 1024) % 251) as u8);
        assert!(is_right, "the bytes from {got} on");
        if got >> 24 != (got + read) >> 24 {
            most = most.max(sidecar.anon_kib());
        }
        got += read;
    }
    sender.join().unwrap();
    assert!(most.saturating_sub(before) < 4 * 1024, "{before} KiB before, {most} KiB on the way");
}

/// Sends one event, and the next only when the first was seen.
fn events() -> (App, Arc<AtomicBool>) {
    let seen = Arc::new(AtomicBool::new(false));
    let was_seen = Arc::clone(&seen);
    let app = App::start(move |_, stream| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.get_mut().write_all(head.as_bytes())?;
        for event in ["data: 1\n\n", "data: 2\n\n"] {
            write!(stream.get_mut(), "{:x}\r\n{event}\r\n", event.len())?;
            assert!(eventually(PATIENCE, || was_seen.load(Ordering::SeqCst)), "the first event arrives by itself");
        }
        stream.get_mut().write_all(b"0\r\n\r\n")?;
        Ok(true)
    });
    (app, seen)
}

#[test]
fn each_event_arrives_when_it_is_sent() {
    let (app, seen) = events();
    let sidecar = proxy(&app);
    let mut caller = Caller::new(port(&sidecar));
    caller.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut text = String::new();
    let mut bytes = [0; 1024];
    while !text.contains("data: 1\n\n") {
        let read = caller.0.read(&mut bytes).unwrap();
        assert!(read > 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    seen.store(true, Ordering::SeqCst);
    while !text.ends_with("0\r\n\r\n") {
        let read = caller.0.read(&mut bytes).unwrap();
        assert!(read > 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    assert!(text.contains("data: 2\n\n"), "{text}");
}

#[test]
fn each_event_arrives_when_it_is_sent_in_http2() {
    let (app, seen) = events();
    let sidecar = proxy(&app);
    let mut client = Http2::new(port(&sidecar));
    client.request(1, &usual(b"GET", b"/"), None).unwrap();
    let first = client.next_of(DATA);
    assert_eq!(first.payload, b"data: 1\n\n");
    seen.store(true, Ordering::SeqCst);
    let second = client.next_of(DATA);
    assert_eq!(second.payload, b"data: 2\n\n");
    assert!(second.flags & END_STREAM != 0 || client.next_of(DATA).flags & END_STREAM != 0);
}

#[test]
fn a_websocket_is_bytes_in_both_directions_until_one_side_ends() {
    let app = App::start(|got, stream| {
        assert!(got.field("upgrade") == Some("websocket") && got.field("connection").is_some(), "{}", got.head);
        life::echo(stream)
    });
    let sidecar = proxy(&app);
    let mut caller = Caller::new(port(&sidecar));
    // What follows the request at once must not be lost.
    caller.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly");
    assert_eq!(caller.answer(false).unwrap().status, 101);
    let mut early = [0; 5];
    caller.0.read_exact(&mut early).unwrap();
    assert_eq!(&early, b"early");
    let data: Vec<u8> = (0..4_000_000).map(|at| (at % 253) as u8).collect();
    let (mut sending, sent) = (caller.0.get_ref().try_clone().unwrap(), data.clone());
    let sender = thread::spawn(move || {
        for piece in sent.chunks(1461) {
            sending.write_all(piece).unwrap();
        }
        sending.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let mut got = Vec::new();
    caller.0.read_to_end(&mut got).unwrap();
    sender.join().unwrap();
    assert!(got == data, "{} bytes of {}", got.len(), data.len());
}

#[test]
fn trailers_cross_from_http1_to_http1_when_they_are_wanted() {
    let app = App::start(|_, stream: &mut BufReader<TcpStream>| {
        let text =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
        stream.get_mut().write_all(text.as_bytes())?;
        Ok(true)
    });
    let sidecar = proxy(&app);
    let mut caller = Caller::new(port(&sidecar));
    caller.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\nTransfer-Encoding: chunked\r\n\r\n\
          3\r\nabc\r\n0\r\nX-Check: 1\r\nContent-Length: 7\r\n\r\n",
    );
    let mut text = String::new();
    caller.0.read_to_string(&mut text).unwrap();
    assert!(text.ends_with("2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n"), "{text}");
    assert_eq!(app.got.lock().unwrap()[0].trailers, "X-Check: 1\r\n\r\n", "what frames a message is no trailer");
}

#[test]
fn trailers_cross_from_http1_to_http2() {
    let app = App::start(|_, stream| {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
        stream.get_mut().write_all(text.as_bytes())?;
        Ok(true)
    });
    let sidecar = proxy(&app);
    let mut client = Http2::new(port(&sidecar));
    let fields = [&usual(b"GET", b"/")[..], &[(b"te", b"trailers")]].concat();
    client.request(1, &fields, None).unwrap();
    assert_eq!(client.next_of(HEADERS).flags & END_STREAM, 0);
    assert_eq!(client.next_of(DATA).payload, b"ok");
    let last = client.next_of(HEADERS);
    assert!(last.flags & END_STREAM != 0 && !last.payload.is_empty());
}
