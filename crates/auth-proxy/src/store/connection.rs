//! Connections to Redis. Nobody works in the background: whoever waits for an answer moves the bytes.

use std::{
    fmt::Display,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_client::SecretSource;
use redis::{
    AsyncConnectionConfig, ErrorKind, FromRedisValue, Pipeline, RedisConnectionInfo, RedisError, RedisResult,
    aio::MultiplexedConnection,
};
use tls::{ClientTls, rustls::pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::address::{RedisSettings, Server, Servers};

/// For everything that one question needs: a request waits for it.
const LONGEST: Duration = Duration::from_secs(2);
const MOST_IDLE: usize = 8;

/// It cannot be asked, and why.
#[derive(Clone, Debug)]
pub struct Down(pub String);

fn down(place: &Server, why: impl Display) -> Down {
    Down(format!("redis {place}: {why}"))
}

pub(super) struct Redis {
    settings: RedisSettings,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    server: Server,
    commands: MultiplexedConnection,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    used: Instant,
}

impl Connection {
    async fn ask<T: FromRedisValue>(&mut self, questions: &Pipeline) -> RedisResult<T> {
        tokio::select! {
            biased;
            answer = questions.query_async(&mut self.commands) => answer,
            () = &mut self.driver => Err(RedisError::from((ErrorKind::Io, "the connection was closed"))),
        }
    }
}

/// Whether it is of no use to ask there again: it is broken, or not the one who writes any more.
fn is_over(error: &RedisError) -> bool {
    error.is_unrecoverable_error() || error.is_io_error() || error.code() == Some("READONLY")
}

impl Redis {
    pub(super) fn new(settings: RedisSettings) -> Self {
        Self { settings, idle: Mutex::default() }
    }

    /// Questions here can be asked twice without harm: a connection may have been closed while nobody used it.
    pub(super) async fn ask<T: FromRedisValue>(&self, questions: &Pipeline) -> Result<T, Down> {
        let asked = async {
            if let Some(mut kept) = self.idle() {
                match kept.ask(questions).await {
                    Ok(answer) => {
                        self.keep(kept);
                        return Ok(answer);
                    }
                    Err(error) if is_over(&error) => {}
                    Err(error) => return Err(down(&kept.server, error)),
                }
            }
            let mut new = self.connect().await?;
            let answer = new.ask(questions).await.map_err(|error| down(&new.server, error))?;
            self.keep(new);
            Ok(answer)
        };
        let late = || Down(format!("redis: no answer within {} s", LONGEST.as_secs()));
        timeout(LONGEST, asked).await.map_err(|_| late())?
    }

    fn idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = self.settings.idle;
        idle.retain(|kept| longest.is_none_or(|longest| kept.used.elapsed() < longest));
        idle.pop()
    }

    fn keep(&self, mut connection: Connection) {
        connection.used = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MOST_IDLE {
            idle.push(connection);
        }
    }

    async fn connect(&self) -> Result<Connection, Down> {
        let settings = &self.settings;
        let (server, is_elected) = match &settings.servers {
            Servers::One(server) => (server.clone(), false),
            Servers::Sentinels { sentinels, master, password } => {
                (self.elected(sentinels, master, password.as_ref()).await?, true)
            }
        };
        let mut info = RedisConnectionInfo::default().set_db(settings.database);
        if let Some(user) = &settings.user {
            info = info.set_username(user);
        }
        let mut connection = self.open(&server, info, settings.password.as_ref()).await?;
        if is_elected {
            let mut question = redis::pipe();
            question.cmd("ROLE");
            let (role,): (Vec<redis::Value>,) =
                connection.ask(&question).await.map_err(|error| down(&server, error))?;
            let role = role.into_iter().next().and_then(|name| redis::from_redis_value::<String>(name).ok());
            if role.as_deref() != Some("master") {
                return Err(down(&server, "the sentinels name it, and it is no master"));
            }
        }
        Ok(connection)
    }

    /// The first sentinel that answers says who writes.
    async fn elected(
        &self,
        sentinels: &[Server],
        master: &str,
        password: Option<&SecretSource>,
    ) -> Result<Server, Down> {
        let mut why = Down("redis: there are no sentinels".into());
        for sentinel in sentinels {
            let asked = async {
                let mut connection = self.open(sentinel, RedisConnectionInfo::default(), password).await?;
                let mut question = redis::pipe();
                question.cmd("SENTINEL").arg("get-master-addr-by-name").arg(master);
                let (found,): (Option<(String, u16)>,) =
                    connection.ask(&question).await.map_err(|error| down(sentinel, error))?;
                found.ok_or_else(|| down(sentinel, format!("it knows no master \"{master}\"")))
            };
            // One that hangs must leave time for the next.
            match timeout(LONGEST / 4, asked).await {
                Ok(Ok((host, port))) => return Ok(Server::Tcp { host, port }),
                Ok(Err(error)) => why = error,
                Err(_) => why = down(sentinel, "no answer"),
            }
        }
        Err(why)
    }

    async fn open(
        &self,
        server: &Server,
        mut info: RedisConnectionInfo,
        password: Option<&SecretSource>,
    ) -> Result<Connection, Down> {
        if let Some(password) = password {
            let password = password.read().map_err(|why| down(server, why))?;
            info = info.set_password(password.expose());
        }
        let failed = |error: io::Error| down(server, error);
        match (server, &self.settings.tls) {
            (Server::Unix(path), _) => speak(server, info, UnixStream::connect(path).await.map_err(failed)?).await,
            (Server::Tcp { host, port }, tls) => {
                let stream = TcpStream::connect((&**host, *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                match tls {
                    None => speak(server, info, stream).await,
                    Some(tls) => speak(server, info, secured(tls, host, stream).await.map_err(failed)?).await,
                }
            }
        }
    }
}

async fn secured(
    tls: &ClientTls,
    host: &str,
    stream: TcpStream,
) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
    let config = tls.load().map_err(io::Error::other)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

async fn speak(
    server: &Server,
    info: RedisConnectionInfo,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<Connection, Down> {
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(LONGEST));
    let (commands, driver) =
        MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(|error| down(server, error))?;
    Ok(Connection { server: server.clone(), commands, driver: Box::pin(driver), used: Instant::now() })
}
