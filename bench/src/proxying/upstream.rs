//! The app behind every proxy: answers as fast as it can, so that it is never what is measured. A process of its own, on one thread.

use std::{io, net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What is asked for, and how much comes back.
const SIZES: [(&str, usize); 3] = [("/10k", 10 << 10), ("/1m", 1 << 20), ("/", 128)];
/// Asked for this it waits before it answers, so that requests are in flight.
const WAIT: &str = "/wait";
pub(super) const HELD: Duration = Duration::from_secs(4);
/// Where a head ends.
const END: &[u8] = b"\r\n\r\n";

/// Listens until the process ends.
pub(crate) fn run(port: u16) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(listen(port)).map_err(|error| format!("port {port}: {error}"))
}

async fn listen(port: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let answers: Vec<(&str, Vec<u8>)> = SIZES.iter().map(|(path, size)| (*path, answer(*size))).collect();
    let answers: &[_] = Box::leak(answers.into_boxed_slice());
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection that breaks is the proxy's affair.
        connections.spawn(serve(stream, answers));
        while connections.try_join_next().is_some() {}
    }
}

fn answer(size: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + size, b'x');
    bytes
}

async fn serve(mut stream: TcpStream, answers: &[(&str, Vec<u8>)]) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut have = 0;
    loop {
        let end = loop {
            if let Some(at) = buffer[..have].windows(END.len()).position(|window| window == END) {
                break at + END.len();
            }
            match stream.read(&mut buffer[have..]).await? {
                0 => return Ok(()),
                count => have += count,
            }
        };
        let head = std::str::from_utf8(&buffer[..end]).map_err(io::Error::other)?;
        let path = head.split(' ').nth(1).unwrap_or("/");
        let waits = path == WAIT;
        let (_, answer) = answers.iter().find(|(known, _)| path.starts_with(known)).unwrap_or(&answers[0]);
        let mut body = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let here = body.unwrap_or(0).min(have - end);
        buffer.copy_within(end + here..have, 0);
        have -= end + here;
        let mut left = body.take().unwrap_or(0) - here;
        while left > 0 {
            let most = left.min(buffer.len());
            match stream.read(&mut buffer[..most]).await? {
                0 => return Ok(()),
                count => left -= count,
            }
        }
        if waits {
            tokio::time::sleep(HELD).await;
        }
        stream.write_all(answer).await?;
    }
}
