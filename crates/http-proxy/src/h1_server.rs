//! A client connection of HTTP/1: one request after the other, and no memory between them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http1::Version;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::client::Http1Client;
use crate::engine::Conn;
use crate::exchange::Flag;
use crate::forward::Run;
use crate::h1::H1;
use crate::h2_server;
use crate::io::Io;
use crate::policy::Policy;
use crate::side::Broken;
use crate::spare;
use crate::timer::{Timer, after};
use crate::trouble::Trouble;

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// When the listener stops, a request may be on its way to an idle connection: it is waited for so long.
const GRACE: Duration = Duration::from_millis(200);

/// What follows a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Request,
    /// The end: the client has said that it sends no more.
    End,
    /// The end, of which the client does not know yet: more may be on its way.
    EndInTime,
}

/// Why the wait for a request ended.
enum Woke {
    Bytes,
    Closed,
}

pub(crate) async fn serve<P: Policy>(conn: &Arc<Conn<P>>, io: Io) {
    let mut h1 = H1::new(io);
    let mut timer = Timer::default();
    let mut stop: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(conn.stop.clone().wait());
    let (mut first, mut next, mut listening) = (true, Next::Request, false);
    while next == Next::Request {
        let patience = if first { conn.http.head_timeout } else { conn.http.idle_timeout };
        let mut until = after(Instant::now(), patience);
        let mut stopping = false;
        let woke = poll_fn(|cx| {
            if !h1.input.is_empty() {
                return Poll::Ready(Woke::Bytes);
            }
            match h1.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => return Poll::Ready(Woke::Bytes),
                Poll::Ready(_) => return Poll::Ready(Woke::Closed),
                Poll::Pending => {}
            }
            // Once is enough: it wakes this task, which is the same for all requests.
            let stopped = conn.stop.is_said() || (!listening && stop.as_mut().poll(cx).is_ready());
            listening = true;
            if stopped && !stopping {
                stopping = true;
                let soon = Instant::now() + GRACE;
                until = Some(until.map_or(soon, |until| until.min(soon)));
            }
            timer.poll(until, cx).map(|()| Woke::Closed)
        });
        if matches!(woke.await, Woke::Closed) {
            return;
        }
        if first && may_be_http2(conn, &h1) {
            match is_http2(&mut h1, &mut timer, until).await {
                Some(true) => return Box::pin(h2_server::take_over(conn, h1)).await,
                Some(false) => {}
                None => return,
            }
        }
        next = Box::pin(one(conn, &mut h1, &mut timer)).await;
        h1.rest();
        first = false;
    }
    Box::pin(close(h1, next)).await;
}

/// One request.
async fn one<P: Policy>(conn: &Conn<P>, h1: &mut H1, timer: &mut Timer) -> Next {
    let started = Instant::now();
    let until = after(started, conn.http.head_timeout);
    let mut head = spare::request_head();
    conn.count_request();
    let mut has_waited = false;
    let read = poll_fn(|cx| match h1.poll_request(&conn.http.head, &mut head, cx) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending => {
            has_waited = true;
            timer.poll(until, cx).map(|()| None)
        }
    })
    .await;
    let trouble = match read {
        Some(Ok(())) => None,
        Some(Err(Broken::Syntax(http1::Error::Truncated) | Broken::Io(_) | Broken::Reset(_))) => {
            return Next::EndInTime;
        }
        Some(Err(broken)) => Some(Trouble::client(&broken)),
        None => Some(Trouble::new(Flag::DownstreamTimeout, "the head of the request did not come in time")),
    };
    // What is no request says nothing that can be relied on.
    let is_last = trouble.is_none() && !head.persistent && head.version == Version::Http11;
    let version = if trouble.is_some() { Version::Http11 } else { head.version };
    let mut client = Http1Client { h1, version, go_on: false };
    let view = conn.worker.view();
    let mut run = Run::new((conn, &view), &mut client, timer, started, version);
    if has_waited {
        run.look_at_clock();
    }
    match trouble {
        Some(trouble) => run.refuse(trouble, &mut head).await,
        None => run.serve(&mut head).await,
    }
    drop(run);
    let next = match client.go_on && client.h1.is_read() {
        true => Next::Request,
        false if is_last && client.h1.is_quiet() => Next::End,
        false => Next::EndInTime,
    };
    spare::keep_request_head(head);
    next
}

/// The peer may still be sending what nobody wants to read. Closing at once would reset the connection, and take the
/// answer from it.
async fn close(mut h1: H1, next: Next) {
    const PATIENCE: Duration = Duration::from_secs(1);
    const MOST: usize = 256 * 1024;
    let is_plain = matches!(h1.io, Io::Raw(_));
    if next == Next::End && is_plain {
        return;
    }
    if h1.io.shutdown().await.is_err() || h1.eof || next == Next::End {
        return;
    }
    let _ = timeout(PATIENCE, async {
        let (mut scrap, mut read) = ([0; 1024], 0);
        while let Ok(more @ 1..) = h1.io.read(&mut scrap).await
            && read < MOST
        {
            read += more;
        }
    })
    .await;
}

fn may_be_http2<P: Policy>(conn: &Conn<P>, h1: &H1) -> bool {
    let is_plain = matches!(h1.io, Io::Raw(_));
    conn.http.http2.is_some() && is_plain && h1.input.data().first() == Some(&PREFACE[0])
}

/// None: the connection ended before that was clear.
async fn is_http2(h1: &mut H1, timer: &mut Timer, until: Option<Instant>) -> Option<bool> {
    poll_fn(|cx| {
        loop {
            let data = h1.input.data();
            if !PREFACE.iter().zip(data).all(|(a, b)| a == b) {
                return Poll::Ready(Some(false));
            }
            if data.len() >= PREFACE.len() {
                return Poll::Ready(Some(true));
            }
            match h1.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending => return timer.poll(until, cx).map(|()| None),
            }
        }
    })
    .await
}
