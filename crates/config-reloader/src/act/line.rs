//! A line to a socket and, if wanted, its answer: HAProxy's runtime API and its like.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};
use values::Span;

use super::Trouble;
use crate::config::{Line, Socket};

/// No answer that is of interest is longer.
const LARGEST_ANSWER: u64 = 16 * 1024;

pub(super) async fn send(line: &Line) -> Result<(), Trouble> {
    let place = match &line.to {
        Socket::Tcp(addr) => addr.clone(),
        Socket::Unix(path) => path.display().to_string(),
    };
    let conversation = async {
        match &line.to {
            Socket::Tcp(addr) => converse(TcpStream::connect(addr.as_str()).await?, line).await,
            Socket::Unix(path) => converse(UnixStream::connect(path).await?, line).await,
        }
    };
    let answer = match tokio::time::timeout(line.timeout, conversation).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(Trouble::new("connect", format!("{place}: {error}"))),
        Err(_) => {
            return Err(Trouble::new("timeout", format!("{place}: no answer within {}", Span(line.timeout))));
        }
    };
    match &line.expect {
        Some(expected) if !answer.contains(expected.as_str()) => {
            let text = format!("{place}: expected an answer with \"{expected}\", found \"{}\"", answer.trim());
            Err(Trouble::new("answer", text))
        }
        _ => Ok(()),
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, line: &Line) -> io::Result<String> {
    stream.write_all(line.send.as_bytes()).await?;
    if !line.send.ends_with('\n') {
        stream.write_all(b"\n").await?;
    }
    stream.flush().await?;
    let mut answer = Vec::new();
    let Some(expected) = &line.expect else {
        return Ok(String::new());
    };
    let mut stream = stream.take(LARGEST_ANSWER);
    // Some servers keep the connection open after answering: what was expected is enough.
    while stream.read_buf(&mut answer).await? > 0 {
        if String::from_utf8_lossy(&answer).contains(expected.as_str()) {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
