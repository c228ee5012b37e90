//! The guard: asked at each connection and each request, and always up to date.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tls::{ClientIdentity, Server, explain_client};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::{
    Inline, Settings, Stream,
    limit::Limit,
    settings::Tls,
    stamp::Stamps,
    users::{Checker, Users},
};

/// What an operator may want to see.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    Reloaded,
    /// What there was stays in force.
    BadReload(&'a str),
    HandshakeFailed(&'a str),
    PasswordRefused,
    TooMany,
}

/// Whether a request is let in, and what its answer says beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The status it is turned away with.
    pub refusal: Option<u16>,
    pub headers: Vec<(String, String)>,
}

type Load = Box<dyn Fn() -> Result<Settings, String> + Send + Sync>;
type Tell = Box<dyn Fn(Event<'_>) + Send + Sync>;

pub struct Guard(Arc<Inner>);

struct Inner {
    load: Load,
    tell: Tell,
    checker: Checker,
    current: Mutex<Current>,
    /// Who has it reads the files again.
    reloading: tokio::sync::Mutex<()>,
}

struct Current {
    stamps: Stamps,
    force: Arc<Force>,
    /// Why the last reload changed nothing. What is missing may be in no file that is known, so it is tried again.
    problem: Option<String>,
}

/// What is in force.
struct Force {
    tls: Option<Secured>,
    headers: Vec<(String, String)>,
    users: Users,
    limit: Option<Limit>,
}

struct Secured {
    server: Server,
    allowed_names: Vec<String>,
    /// They are there as long as this is.
    _inline: Vec<Inline>,
}

impl Guard {
    /// `load` reads the settings, now and whenever one of their files has changed.
    pub fn new(
        load: impl Fn() -> Result<Settings, String> + Send + Sync + 'static,
        tell: impl Fn(Event<'_>) + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let (force, stamps) = forced(load()?)?;
        let current = Mutex::new(Current { stamps, force: Arc::new(force), problem: None });
        let (load, tell): (Load, Tell) = (Box::new(load), Box::new(tell));
        let inner = Inner { load, tell, checker: Checker::new()?, current, reloading: tokio::sync::Mutex::default() };
        Ok(Self(Arc::new(inner)))
    }

    /// Whether connections speak TLS.
    pub fn is_secured(&self) -> bool {
        self.0.force().tls.is_some()
    }

    /// Shakes hands, if there is TLS. Whoever calls this limits how long it may take.
    pub async fn open(&self, stream: TcpStream) -> io::Result<Stream> {
        self.refresh().await;
        let force = self.0.force();
        let Some(secured) = &force.tls else { return Ok(Stream::Plain(stream)) };
        let refused = |problem: String| {
            (self.0.tell)(Event::HandshakeFailed(&problem));
            io::Error::other(problem)
        };
        let acceptor = TlsAcceptor::from(secured.server.config());
        let stream = acceptor.accept(stream).await.map_err(|error| refused(explained(&error)))?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        if let Some(certificate) = certificate.filter(|_| !secured.allowed_names.is_empty()) {
            let identity = ClientIdentity::of(certificate).map_err(|error| refused(error.to_string()))?;
            if !is_allowed(&identity, &secured.allowed_names) {
                return Err(refused(format!(
                    "the client's certificate of {} has no name that is allowed",
                    identity.subject
                )));
            }
        }
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// Decides about a request with this `Authorization`.
    pub async fn admit(&self, authorization: Option<&str>) -> Admission {
        let force = self.0.force();
        let mut headers = force.headers.clone();
        if force.limit.as_ref().is_some_and(|limit| !limit.takes_one(Instant::now())) {
            (self.0.tell)(Event::TooMany);
            return Admission { refusal: Some(429), headers: Vec::new() };
        }
        if force.users.is_empty() || self.0.checker.lets_in(&force.users, authorization).await {
            return Admission { refusal: None, headers };
        }
        // A browser asks first without; that is no attempt.
        if authorization.is_some() {
            (self.0.tell)(Event::PasswordRefused);
        }
        headers.push(("www-authenticate".into(), "Basic".into()));
        Admission { refusal: Some(401), headers }
    }

    /// Reads everything again if a file has changed. What cannot be read leaves what there was in force.
    async fn refresh(&self) {
        // Who comes meanwhile is served by what is in force.
        let Ok(_turn) = self.0.reloading.try_lock() else { return };
        let inner = Arc::clone(&self.0);
        // A file may be on a disk that is slow.
        let _ = tokio::task::spawn_blocking(move || inner.refresh()).await;
    }
}

impl Inner {
    fn force(&self) -> Arc<Force> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).force)
    }

    fn refresh(&self) {
        let (before, failed) = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            (current.stamps.clone(), current.problem.is_some())
        };
        // Taken before the files are read: a change while that goes on is found the next time.
        let now = before.now();
        if now == before && !failed {
            return;
        }
        let loaded = (self.load)().and_then(forced);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            Ok((force, stamps)) => {
                *current = Current { stamps, force: Arc::new(force), problem: None };
                drop(current);
                (self.tell)(Event::Reloaded);
            }
            Err(problem) => {
                current.stamps = now;
                let is_news = current.problem.as_ref() != Some(&problem);
                current.problem = Some(problem.clone());
                drop(current);
                if is_news {
                    (self.tell)(Event::BadReload(&problem));
                }
            }
        }
    }
}

fn forced(settings: Settings) -> Result<(Force, Stamps), String> {
    let Settings { tls, headers, users, rate, mut files } = settings;
    let secured = match tls {
        None => None,
        Some(Tls { server, allowed_names, inline }) => {
            let server = server.load().map_err(|error| error.to_string())?;
            files.extend(server.files());
            Some(Secured { server, allowed_names, _inline: inline })
        }
    };
    let stamps = Stamps::of(files);
    Ok((Force { tls: secured, headers, users, limit: rate.map(Limit::new) }, stamps))
}

fn explained(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or_else(|| error.to_string(), explain_client)
}

fn is_allowed(identity: &ClientIdentity, allowed: &[String]) -> bool {
    let addresses = identity.addresses.iter().map(ToString::to_string);
    let names = identity.dns.iter().chain(&identity.emails).chain(&identity.uris).cloned();
    names.chain(addresses).any(|name| allowed.contains(&name))
}
