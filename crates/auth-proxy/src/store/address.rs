//! Where Redis is: its own kind of URL, and several ways to be found.

use std::{path::PathBuf, sync::Arc, time::Duration};

use http_client::SecretSource;
use tls::ClientTls;
use url::Url;
use values::Secret;

/// As configured: plain values.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    pub servers: Servers,
    pub user: Option<String>,
    pub password: Option<SecretSource>,
    pub database: i64,
    pub tls: Option<Arc<ClientTls>>,
    /// A connection that was not used for so long is not used again.
    pub idle: Option<Duration>,
}

#[derive(Clone, Debug)]
pub enum Servers {
    One(Server),
    /// Those who know which server writes at the moment, under this name.
    Sentinels {
        sentinels: Vec<Server>,
        master: String,
        password: Option<SecretSource>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What such a URL says.
#[derive(Debug)]
pub struct Place {
    pub server: Server,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub database: Option<i64>,
    pub is_tls: bool,
}

/// The text may hold a password: a problem does not repeat it.
pub fn place(text: &str) -> Result<Place, &'static str> {
    const EXPECTED: &str = "expected redis://host:port/database, rediss://... for TLS, or unix:///path/of.sock";
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let url = Url::parse(text).map_err(|_| EXPECTED)?;
    let database = |text: &str| match text {
        "" => Ok(None),
        number => number.parse().map(Some).map_err(|_| EXPECTED),
    };
    let server = match url.scheme() {
        "redis" | "rediss" => {
            let host = url.host_str().filter(|host| !host.is_empty()).ok_or(EXPECTED)?;
            Server::Tcp { host: decoded(host.trim_matches(['[', ']'])), port: url.port().unwrap_or(6379) }
        }
        "unix" | "redis+unix" if !url.path().trim_matches('/').is_empty() => Server::Unix(decoded(url.path()).into()),
        _ => return Err(EXPECTED),
    };
    let number = match &server {
        Server::Tcp { .. } => url.path().trim_matches('/').to_owned(),
        Server::Unix(_) => {
            let mut named = url.query_pairs().filter(|(name, _)| name == "db" || name == "database");
            named.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
        }
    };
    Ok(Place {
        server,
        user: Some(decoded(url.username())).filter(|user| !user.is_empty()),
        password: url.password().map(|password| Secret::new(decoded(password))),
        database: database(&number)?,
        is_tls: url.scheme() == "rediss",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_redis_are_read() {
        let tcp = |host: &str, port| Server::Tcp { host: host.into(), port };
        let read = place("rediss://me:p%40ss@db.example:6380/3").unwrap();
        assert_eq!((read.server, read.database, read.is_tls), (tcp("db.example", 6380), Some(3), true));
        assert_eq!((read.user.as_deref(), read.password.unwrap().expose()), (Some("me"), "p@ss"));
        let read = place("redis://:only@127.0.0.1").unwrap();
        assert_eq!((read.server, read.user, read.password.unwrap().expose()), (tcp("127.0.0.1", 6379), None, "only"));
        assert_eq!(place("redis://[::1]:1/").unwrap().server, tcp("::1", 1));
        let read = place("unix:///run/redis.sock?db=2").unwrap();
        assert_eq!((read.server, read.database), (Server::Unix("/run/redis.sock".into()), Some(2)));
        for wrong in ["", "redis", "host:6379", "http://x", "redis://x/one", "unix://", "redis://"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }
}
