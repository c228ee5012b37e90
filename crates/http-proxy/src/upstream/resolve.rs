//! Names to addresses, again after a while, and only when somebody wants to connect.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(1);

/// What one name means.
#[derive(Debug)]
pub(crate) struct Name {
    host: String,
    port: u16,
    refresh: Duration,
    known: Mutex<Option<(Instant, Arc<[SocketAddr]>)>>,
}

impl Name {
    pub(crate) fn new(host: &str, port: u16, refresh: Duration) -> Self {
        Self { host: host.into(), port, refresh, known: Mutex::default() }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// All addresses, at least one. When the name server does not answer, what it said before.
    pub(crate) async fn addresses(&self) -> Result<Arc<[SocketAddr]>, String> {
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok([SocketAddr::new(ip, self.port)].into());
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((when, addresses)) = &known
            && when.elapsed() < self.refresh
        {
            return Ok(Arc::clone(addresses));
        }
        // With something to fall back to, nobody waits long for a name server that is gone.
        let patience = if known.is_some() { PATIENCE } else { Duration::MAX };
        let found = timeout(patience, self.look_up()).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match (found, known) {
            (Ok(addresses), _) => {
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((Instant::now(), Arc::clone(&addresses)));
                Ok(addresses)
            }
            (Err(_), Some((_, addresses))) => Ok(addresses),
            (Err(error), None) => Err(error.to_string()),
        }
    }

    /// The next one who asks wants to know it anew.
    pub(crate) fn forget(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, _)) = &mut *known {
            *when = when.checked_sub(self.refresh).unwrap_or(*when);
        }
    }

    async fn look_up(&self) -> io::Result<Arc<[SocketAddr]>> {
        let mut found: Vec<SocketAddr> = tokio::net::lookup_host((self.host.as_str(), self.port)).await?.collect();
        found.dedup();
        match found.is_empty() {
            true => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
            false => Ok(found.into()),
        }
    }
}
