//! One endpoint of a cluster, as one thread sees it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;

use crate::cluster::Address;
use crate::h1::H1;
use crate::timer::after;

use super::resolve::Name;

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) label: Arc<str>,
    pub(crate) target: Target,
    /// What its certificate has to say, when that is not in the target.
    pub(crate) host: Option<String>,
    /// For smooth round robin.
    pub(crate) turn: AtomicI64,
    pub(crate) weight: u32,
    pub(crate) backup: bool,
    pub(crate) active: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) enum Target {
    Tcp(Name),
    Unix(PathBuf),
}

#[derive(Debug, Default)]
struct State {
    /// The last one was used last.
    idle: Vec<Idle>,
    /// Connections of HTTP/2, each for many requests.
    shared: Vec<Shared>,
    /// Nobody has listened since then.
    refused_since: Option<Instant>,
    /// A connect failed: others first, until then.
    down_until: Option<Instant>,
    /// The upstream was seen to close connections that had been idle for so long.
    closes_after: Option<Duration>,
}

#[derive(Debug)]
struct Idle {
    connection: Box<H1>,
    open: Open,
    since: Instant,
    until: Instant,
    requests: u64,
}

/// A connection of HTTP/2, and the requests on it.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) streams: Arc<AtomicUsize>,
    pub(crate) used: Instant,
}

impl Shared {
    pub(crate) fn new(send: SendRequest<Bytes>) -> Self {
        Self { send, streams: Arc::default(), used: Instant::now() }
    }
}

/// Counts an upstream connection while it is open.
pub(crate) struct Open {
    pub(crate) label: Arc<str>,
    pub(crate) cluster: Arc<str>,
    pub(crate) watcher: Arc<dyn super::Watcher>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.label)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.watcher.upstream(&self.cluster, crate::policy::UpstreamEvent::Closed { address: &self.label });
    }
}

/// A connection that was kept.
pub(crate) struct Kept {
    pub(crate) connection: Box<H1>,
    pub(crate) open: Open,
    pub(crate) requests: u64,
}

/// A server that says "5" closes after five seconds, or a little less.
const MARGIN: Duration = Duration::from_secs(1);
/// Nobody keeps an idle connection longer, whatever was configured.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Member {
    pub(crate) fn new(address: &Address, weight: u32, backup: bool, refresh: Duration) -> Self {
        let target = match address {
            Address::Tcp { host, port } => Target::Tcp(Name::new(host, *port, refresh)),
            Address::Unix(path) => Target::Unix(path.clone()),
        };
        Self {
            label: address.to_string().into(),
            target,
            host: None,
            turn: AtomicI64::new(0),
            weight: weight.max(1),
            backup,
            active: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_down(&self, now: Instant) -> bool {
        self.state().down_until.is_some_and(|until| now < until)
    }

    /// Since when nobody listens there, if that is why.
    pub(crate) fn went_down(&self, time: Duration, refused: bool) -> Option<Instant> {
        let mut state = self.state();
        let now = Instant::now();
        state.down_until = after(now, time);
        state.refused_since = if refused { state.refused_since.or(Some(now)) } else { None };
        if let Target::Tcp(name) = &self.target {
            name.forget();
        }
        state.refused_since
    }

    pub(crate) fn came_up(&self) {
        let mut state = self.state();
        (state.down_until, state.refused_since) = (None, None);
    }

    /// The kept connection that was used last. `careful`: the request cannot be sent twice, so only one that the upstream
    /// is surely not closing at this moment.
    pub(crate) fn take_idle(&self, careful: bool, now: Instant) -> Option<Kept> {
        let mut state = self.state();
        loop {
            let mut idle = state.idle.pop()?;
            let age = now.saturating_duration_since(idle.since);
            let known = idle.until.saturating_duration_since(idle.since);
            let lifetime = state.closes_after.map_or(known, |seen| known.min(seen / 2));
            if careful && age > (lifetime / 2).min(MARGIN) {
                // Older ones lie deeper: none of them is better.
                state.idle.push(idle);
                return None;
            }
            if now >= idle.until || age > lifetime {
                continue;
            }
            if idle.connection.is_alive() {
                return Some(Kept { connection: idle.connection, open: idle.open, requests: idle.requests });
            }
            state.saw_closed(age);
        }
    }

    /// For the next request.
    pub(crate) fn keep(&self, kept: Kept, most: usize, lifetime: Duration, now: Instant) {
        let Kept { mut connection, open, requests } = kept;
        connection.rest();
        let mut state = self.state();
        if state.idle.len() >= most {
            state.idle.remove(0);
        }
        if most > 0 {
            state.idle.push(Idle { connection, open, since: now, until: now + lifetime, requests });
        }
    }

    /// Closes what nobody wanted for too long. When the next one is due, if there is one.
    pub(crate) fn sweep(&self, now: Instant, shared_for: Duration) -> Option<Instant> {
        let mut state = self.state();
        state.idle.retain(|idle| idle.until > now);
        let is_busy = |shared: &Shared| shared.streams.load(Ordering::Relaxed) > 0;
        state.shared.retain(|shared| is_busy(shared) || shared.used + shared_for > now);
        let due = |shared: &Shared| if is_busy(shared) { now + shared_for } else { shared.used + shared_for };
        let shared = state.shared.iter().map(due).min();
        state.idle.iter().map(|idle| idle.until).min().into_iter().chain(shared).min()
    }

    /// A shared connection with room for one more request.
    pub(crate) fn take_shared(&self) -> Option<Shared> {
        let mut state = self.state();
        let found = state
            .shared
            .iter_mut()
            .find(|shared| shared.streams.load(Ordering::Relaxed) < shared.send.current_max_send_streams())?;
        found.used = Instant::now();
        Some(found.clone())
    }

    pub(crate) fn add_shared(&self, shared: Shared) {
        self.state().shared.push(shared);
    }

    /// It takes no more requests.
    pub(crate) fn drop_shared(&self, streams: &Arc<AtomicUsize>) {
        self.state().shared.retain(|shared| !Arc::ptr_eq(&shared.streams, streams));
    }

    pub(crate) fn is_unused(&self) -> bool {
        let state = self.state();
        self.active.load(Ordering::Relaxed) == 0 && state.idle.is_empty() && state.shared.is_empty()
    }
}

impl State {
    /// It had been idle for `age` when it was found closed: the limit is at most that. Right after use it says nothing
    /// about a limit; the app just went away.
    fn saw_closed(&mut self, age: Duration) {
        if age > MARGIN {
            self.closes_after = Some(self.closes_after.map_or(age, |seen| seen.min(age)));
        }
    }
}

/// What is known of how long the upstream keeps an idle connection.
pub(crate) fn lifetime(ours: Duration, said: Option<u64>) -> Duration {
    let ours = ours.min(LONGEST);
    match said.map(Duration::from_secs) {
        None => ours,
        Some(said) if said > 2 * MARGIN => ours.min(said - MARGIN),
        Some(said) => ours.min(said / 2),
    }
}
