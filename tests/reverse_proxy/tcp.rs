//! TCP as it is, and websockets.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use crate::{Bench, PATIENCE};

#[test]
fn tcp_is_passed_on_in_both_directions() {
    let bench = Bench::new();
    let echo = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = echo.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = echo.accept().unwrap();
        let mut heard = Vec::new();
        socket.read_to_end(&mut heard).unwrap();
        socket.write_all(b"heard: ").unwrap();
        socket.write_all(&heard).unwrap();
    });
    let proxy = bench.serving(&format!("listeners: [{{listen: LISTEN, tcp: '{at}'}}]\n"));
    let mut socket = TcpStream::connect(proxy.at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"not http\0").unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"heard: not http\0");
    server.join().unwrap();
}

#[test]
fn a_websocket_is_passed_on_after_101() {
    let bench = Bench::new();
    let app = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = app.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = app.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            socket.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
        socket
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            .unwrap();
        let mut frame = [0; 5];
        socket.read_exact(&mut frame).unwrap();
        socket.write_all(&frame).unwrap();
    });
    let proxy = bench.routes(&format!("  - {{to: '{at}'}}\n"));
    let mut socket = TcpStream::connect(proxy.at).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    socket.write_all(b"frame").unwrap();
    let mut frame = [0; 5];
    socket.read_exact(&mut frame).unwrap();
    assert_eq!(&frame, b"frame");
    server.join().unwrap();
}
