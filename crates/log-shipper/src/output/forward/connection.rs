//! One connection to a server: made, greeted, and used for message after message.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use tls::{
    ClientTls,
    rustls::{self, pki_types::ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsConnector;
use values::Span;

use super::{
    Address, Forward, Server,
    handshake::Proof,
    reply::{self, Problem, Reply},
};
use crate::output::{parts::Place, plain};

/// An idle connection is looked after by the kernel, so that one that died unseen is known before it is used.
const IDLE: Duration = Duration::from_secs(30);
const PROBES: Duration = Duration::from_secs(10);
/// How long a message may take where no acknowledgement is waited for.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// A server that does not take so much in time takes nothing.
const PIECE: usize = 64 << 10;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// Came, and not looked at yet.
    read: Vec<u8>,
    /// To explain what the other side says about our certificate, which may come late.
    tls: Option<Arc<ClientTls>>,
    /// Whether the server lets us use it again.
    pub(super) is_kept: bool,
}

/// Why it did not work.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) why: String,
    /// The other side ended the connection: a kept one that it had given up looks like this.
    pub(super) is_closed: bool,
}

impl<T: Into<String>> From<T> for Trouble {
    fn from(why: T) -> Self {
        Self { why: why.into(), is_closed: false }
    }
}

impl Connection {
    /// Everything up to the first message, within the time that connecting may take.
    pub(super) async fn open(server: &Server, forward: &Forward) -> Result<Self, Trouble> {
        let (end, within) = (Instant::now() + forward.connect_timeout, Span(forward.connect_timeout));
        let connected = timeout_at(end, Self::connect(server, forward)).await;
        let mut connection = connected.unwrap_or_else(|_| Err(format!("no connection within {within}").into()))?;
        let greeted = timeout_at(end, connection.greet(server, forward)).await;
        greeted.unwrap_or_else(|_| Err(format!("no HELO within {within}: does it want a shared key?").into()))?;
        Ok(connection)
    }

    async fn connect(server: &Server, forward: &Forward) -> Result<Self, Trouble> {
        let tls = forward.tls.as_ref();
        let explain = |error: &io::Error| Trouble::from(explained(error, tls));
        let (host, stream) = match &server.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(|error| explain(&error))?;
                ("localhost", Box::new(stream) as Box<dyn Stream>)
            }
            Address::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|error| explain(&error))?;
                set_options(&stream).map_err(|error| explain(&error))?;
                (host.as_str(), Box::new(stream) as Box<dyn Stream>)
            }
        };
        let stream = match tls {
            None => stream,
            Some(tls) => {
                let name = server.tls_name.as_deref().unwrap_or(host).to_owned();
                let config = tls.load().map_err(|error| error.to_string())?;
                let name = ServerName::try_from(name.as_str())
                    .map_err(|_| format!("\"{name}\" can be in no certificate: set tls_name"))?
                    .to_owned();
                let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
                Box::new(connecting.await.map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => "it ended the TLS handshake: does it speak TLS at all?".into(),
                    _ => explain(&error),
                })?)
            }
        };
        Ok(Self { stream, read: Vec::new(), tls: tls.cloned(), is_kept: forward.keeps_connections })
    }

    /// Waits for the server's greeting, where we have a key to answer it with.
    async fn greet(&mut self, server: &Server, forward: &Forward) -> Result<(), Trouble> {
        let Some(shared_key) = &server.shared_key else { return Ok(()) };
        let shared_key = shared_key.read()?;
        let login =
            server.login.as_ref().map(|(user, password)| Ok::<_, String>((user, password.read()?))).transpose()?;
        let proof = Proof {
            shared_key: shared_key.expose(),
            user: login.as_ref().map_or("", |(user, _)| user),
            password: login.as_ref().map_or("", |(_, password)| password.expose()),
            hostname: &forward.hostname,
        };
        let greeting = read_reply(&mut self.stream, &mut self.read, self.tls.as_ref()).await;
        let Reply::Hello { nonce, auth, keepalive } = greeting.map_err(before_greeting)? else {
            return Err("it began with something else than HELO: expected a server that wants a shared key".into());
        };
        self.is_kept &= keepalive;
        let ping = proof.ping(&nonce, &auth)?;
        let tls = self.tls.as_ref();
        let sent = async {
            self.stream.write_all(&ping.message).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| Trouble { why: explained(&error, tls), is_closed: true })?;
        let pong = read_reply(&mut self.stream, &mut self.read, tls).await.map_err(|trouble| {
            let why = format!("{} when it was told who we are: is the shared key the same there?", trouble.why);
            Trouble { why, ..trouble }
        })?;
        let checked = proof.check(&ping, &pong);
        // Fluent Bit asks for a user also where it has none to compare with: only a refusal shows that it meant it.
        let hint = if !auth.is_empty() && login.is_none() { " (it asks for a user: is there one to set?)" } else { "" };
        Ok(checked.map_err(|why| format!("{why}{hint}"))?)
    }

    /// Whether it can be used again. A server may have closed it, or have said something that nobody asked for.
    pub(super) fn check(&mut self) -> Result<bool, Trouble> {
        let mut bytes = [0; 1024];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut context = Context::from_waker(Waker::noop());
        let polled = Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer);
        self.read.extend_from_slice(buffer.filled());
        match reply::read(&self.read) {
            Ok((hello @ Reply::Hello { .. }, _)) => Err(instead_of_ack(&hello)),
            _ => Ok(self.read.is_empty() && polled.is_pending()),
        }
    }

    /// Sends messages and waits until each is acknowledged; `acked` says which are, also when it ends early.
    pub(super) async fn send(
        &mut self,
        body: &[u8],
        messages: &[Place<'_>],
        ack_timeout: Option<Duration>,
        acked: &mut [bool],
    ) -> Result<(), Trouble> {
        let (mut reader, mut writer) = tokio::io::split(&mut self.stream);
        let tls = self.tls.as_ref();
        let patience = ack_timeout.unwrap_or(UNACKNOWLEDGED);
        // One message lies behind the other.
        let all = messages.iter().map(|message| message.range.clone()).reduce(|all, next| all.start..next.end);
        let write = async {
            for piece in body[all.unwrap_or_default()].chunks(PIECE) {
                let written = async {
                    writer.write_all(piece).await?;
                    writer.flush().await
                };
                match timeout(patience, written).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return Err(Trouble { why: explained(&error, tls), is_closed: true }),
                    Err(_) => return Err(format!("it took no more data within {}", Span(patience)).into()),
                }
            }
            Ok(())
        };
        if ack_timeout.is_none() {
            write.await?;
            acked.fill(true);
            return Ok(());
        }
        let buffer = &mut self.read;
        let read = async {
            let places: HashMap<_, _> =
                messages.iter().enumerate().map(|(at, message)| (message.name.as_bytes(), at)).collect();
            for _ in messages {
                let reply = timeout(patience, read_reply(&mut reader, buffer, tls)).await;
                let reply =
                    reply.map_err(|_| Trouble::from(format!("no acknowledgement within {}", Span(patience))))??;
                let Reply::Ack(id) = reply else { return Err(instead_of_ack(&reply)) };
                match places.get(id.as_slice()) {
                    Some(at) if !acked[*at] => acked[*at] = true,
                    _ => {
                        return Err(
                            format!("it acknowledged {:?}, which was not sent", String::from_utf8_lossy(&id)).into()
                        );
                    }
                }
            }
            Ok(())
        };
        tokio::try_join!(write, read).map(drop)
    }
}

impl Drop for Connection {
    /// As far as it goes without waiting: a server takes a TLS connection that just ends for one that broke.
    fn drop(&mut self) {
        let _ = Pin::new(&mut self.stream).poll_shutdown(&mut Context::from_waker(Waker::noop()));
    }
}

/// The next thing the server says.
async fn read_reply(
    stream: &mut (impl AsyncRead + Unpin),
    read: &mut Vec<u8>,
    tls: Option<&Arc<ClientTls>>,
) -> Result<Reply, Trouble> {
    loop {
        match reply::read(read) {
            Ok((reply, count)) => {
                read.drain(..count);
                return Ok(reply);
            }
            Err(Problem::Nonsense) => return Err("what it answers is not the forward protocol".into()),
            Err(Problem::Short) => {}
        }
        let mut more = [0; 1024];
        let count = stream.read(&mut more).await;
        let count = count.map_err(|error| Trouble { why: explained(&error, tls), is_closed: true })?;
        if count == 0 {
            return Err(Trouble { why: "it closed the connection".into(), is_closed: true });
        }
        read.extend_from_slice(&more[..count]);
    }
}

fn before_greeting(mut trouble: Trouble) -> Trouble {
    trouble.why.push_str(" before its HELO: does it want a shared key?");
    trouble
}

fn instead_of_ack(reply: &Reply) -> Trouble {
    match reply {
        Reply::Hello { .. } => "it wants to know who we are (HELO): set shared_key".into(),
        _ => "it answered with something else than an acknowledgement".into(),
    }
}

/// One line, in our words where the cause is TLS.
fn explained(error: &io::Error, tls: Option<&Arc<ClientTls>>) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let (Some(tls), Some(inner)) = (tls, inner) {
        return tls.explain(inner);
    }
    plain(error)
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepidle, set_tcp_keepintvl};
    stream.set_nodelay(true)?;
    set_socket_keepalive(stream, true)?;
    set_tcp_keepidle(stream, IDLE)?;
    set_tcp_keepintvl(stream, PROBES)?;
    Ok(())
}
