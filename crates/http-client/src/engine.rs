//! What speaks HTTP for a client: reqwest, set up so that it does nothing by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Url;

use crate::Target;

/// How long a kept connection may be idle. Servers close theirs after a minute or more.
const IDLE: Duration = Duration::from_secs(30);

/// How long to wait for somebody at the other end, where another server may be asked instead.
const CONNECT: Duration = Duration::from_secs(10);

/// The engine of a target that keeps its connections; of others there is one for each attempt, so that between attempts
/// nothing is held and files are read anew.
#[derive(Default)]
pub(crate) struct Engines(Mutex<Option<Kept>>);

struct Kept {
    engine: reqwest::Client,
    /// It has had an answer: its next request may go out on a connection that was idle.
    answered: bool,
}

/// Why there is none.
pub(crate) enum Trouble {
    Tls(tls::Error),
    Build(reqwest::Error),
}

impl Engines {
    pub(crate) fn get(&self, target: &Target, url: &Url) -> Result<reqwest::Client, Trouble> {
        if let Some(kept) = &*self.kept() {
            return Ok(kept.engine.clone());
        }
        let engine = build(target, url)?;
        if target.keep_connections {
            // Two first attempts at once build two: one of them is dropped after its use.
            *self.kept() = Some(Kept { engine: engine.clone(), answered: false });
        }
        Ok(engine)
    }

    pub(crate) fn answered(&self) {
        if let Some(kept) = &mut *self.kept() {
            kept.answered = true;
        }
    }

    pub(crate) fn have_answered(&self) -> bool {
        self.kept().as_ref().is_some_and(|kept| kept.answered)
    }

    /// Closes what is idle.
    pub(crate) fn forget(&self) {
        *self.kept() = None;
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn build(target: &Target, url: &Url) -> Result<reqwest::Client, Trouble> {
    // Without a configuration of ours reqwest would load the platform's certificates, even for http.
    let tls = if url.scheme() == "https" { target.tls.load() } else { tls::trusting_nobody() };
    let mut tls = tls.map_err(Trouble::Tls)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .referer(false)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(usize::from(target.keep_connections))
        .pool_idle_timeout(target.keep_connections.then_some(IDLE));
    if target.keep_connections {
        builder = builder.connect_timeout(CONNECT);
    }
    if let Some(path) = &target.unix_socket {
        builder = builder.unix_socket(path.as_path());
    }
    builder.build().map_err(Trouble::Build)
}
