//! A cluster at work: gives out connections, and takes back those that are still good.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::background::Background;
use crate::cluster::{self, Address, UpstreamProtocol};
use crate::h1::H1;
use crate::h2_client;
use crate::policy::UpstreamEvent;

use super::balance::choose;
use super::connect::{Client, ConnectError, connect};
use super::member::{Kept, Member, Open, Shared, Target, lifetime};
use super::resolve::Name;
use super::wire::Upstream;

/// Is told what happens to upstream connections.
pub(crate) trait Watcher: Send + Sync {
    fn upstream(&self, cluster: &str, event: UpstreamEvent<'_>);
}

pub(crate) struct Cluster {
    pub(crate) settings: cluster::Cluster,
    members: Mutex<Arc<[Arc<Member>]>>,
    /// Of names whose addresses are endpoints of their own.
    spread: Mutex<Option<Instant>>,
    dynamic: Mutex<HashMap<(String, u16), Arc<Member>>>,
    active: AtomicUsize,
    sweeping: AtomicBool,
    watcher: Arc<dyn Watcher>,
    background: Arc<Background>,
}

/// What a request needs of a connection.
pub(crate) struct Wanted<'a> {
    pub(crate) client: Client<'a>,
    pub(crate) to: Option<&'a (String, u16)>,
    pub(crate) hash: Option<u64>,
    pub(crate) now: Instant,
    /// It cannot be sent twice.
    pub(crate) careful: bool,
    /// Not one that was kept.
    pub(crate) fresh: bool,
    /// For an upgrade or a tunnel: a connection of its own, in HTTP/1.
    pub(crate) own: bool,
}

pub(crate) struct Acquired {
    pub(crate) member: Arc<Member>,
    pub(crate) upstream: Upstream,
    /// It was kept, and the upstream may be closing it at this moment.
    pub(crate) reused: bool,
    open: Option<Open>,
    requests: u64,
}

impl Acquired {
    fn kept(member: Arc<Member>, kept: Kept) -> Self {
        Self {
            member,
            upstream: Upstream::H1(kept.connection),
            reused: true,
            open: Some(kept.open),
            requests: kept.requests,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Failure {
    NoEndpoint(String),
    Connect(String),
    Forbidden(String),
}

/// Counts a request while it is with a cluster.
pub(crate) struct InFlight<'a>(&'a Cluster);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Names that a forward proxy remembers.
const MOST_DYNAMIC: usize = 1024;
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(250);

impl Cluster {
    pub(crate) fn new(settings: cluster::Cluster, watcher: Arc<dyn Watcher>, background: Arc<Background>) -> Self {
        let refresh = settings.dns_refresh;
        let endpoints = settings.endpoints.iter().flatten();
        let members = endpoints.map(|e| Arc::new(Member::new(&e.address, e.weight, e.backup, refresh))).collect();
        Self {
            settings,
            members: Mutex::new(members),
            spread: Mutex::default(),
            dynamic: Mutex::default(),
            active: AtomicUsize::new(0),
            sweeping: AtomicBool::new(false),
            watcher,
            background,
        }
    }

    /// None: too many already.
    pub(crate) fn enter(&self) -> Option<InFlight<'_>> {
        let before = self.active.fetch_add(1, Ordering::Relaxed);
        let entered = InFlight(self);
        (before < self.settings.max_requests).then_some(entered)
    }

    pub(crate) fn tell(&self, event: UpstreamEvent<'_>) {
        self.watcher.upstream(&self.settings.name, event);
    }

    /// A connection to an endpoint that is not one of `tried`; whoever could not be reached is added to them.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        wanted: &Wanted<'_>,
        tried: &mut Vec<Arc<Member>>,
    ) -> Result<Acquired, Failure> {
        let members = self.members(wanted).await?;
        let (mut wait, mut failure, mut round) = (FIRST_WAIT, None, tried.clone());
        let mut refused_since = None;
        loop {
            let Some(member) = choose(&members, self.settings.balance, wanted.hash, &round) else {
                // The app is not up yet, or not up again. After a while it is no use to wait for each request anew.
                let waits = refused_since.is_some_and(|since: Instant| since.elapsed() < self.settings.connect_wait);
                if !waits {
                    tried.clone_from(&round);
                    return Err(failure.unwrap_or_else(|| Failure::NoEndpoint("no endpoint left".into())));
                }
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                round.clone_from(tried);
                continue;
            };
            match self.get(&member, wanted).await {
                Ok(acquired) => return Ok(acquired),
                Err(error) if error.forbidden => return Err(Failure::Forbidden(error.text)),
                Err(error) => {
                    let since = member.went_down(self.settings.fail_timeout, error.refused);
                    refused_since = since.or(refused_since);
                    failure = Some(Failure::Connect(error.text));
                    round.push(member);
                }
            }
        }
    }

    /// The usual case: one that was kept, at an endpoint that is not to be chosen anew.
    pub(crate) fn acquire_kept(&self, wanted: &Wanted<'_>, tried: &[Arc<Member>]) -> Option<Acquired> {
        let is_plain = self.settings.endpoints.is_some() && !self.settings.spread_addresses;
        let http2 = self.settings.protocol == UpstreamProtocol::Http2;
        if !is_plain || http2 || wanted.fresh || wanted.own || !tried.is_empty() || !self.may_share() {
            return None;
        }
        let only = {
            let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            match &**members {
                [only] => Arc::clone(only),
                _ => return None,
            }
        };
        let kept = only.take_idle(wanted.careful, wanted.now)?;
        Some(Acquired::kept(only, kept))
    }

    async fn get(self: &Arc<Self>, member: &Arc<Member>, wanted: &Wanted<'_>) -> Result<Acquired, ConnectError> {
        let http2 = self.settings.protocol == UpstreamProtocol::Http2 && !wanted.own;
        if http2
            && self.may_share()
            && let Some(shared) = member.take_shared()
        {
            let upstream =
                Upstream::H2(Box::new(h2_client::Stream::new(shared, Arc::clone(member), self.settings.tls.is_some())));
            return Ok(Acquired { member: Arc::clone(member), upstream, reused: true, open: None, requests: 0 });
        }
        let may_reuse = !wanted.fresh && !wanted.own && !http2 && self.may_share();
        if may_reuse && let Some(kept) = member.take_idle(wanted.careful, wanted.now) {
            return Ok(Acquired::kept(Arc::clone(member), kept));
        }
        self.open(member, wanted, http2).await
    }

    async fn open(
        self: &Arc<Self>,
        member: &Arc<Member>,
        wanted: &Wanted<'_>,
        http2: bool,
    ) -> Result<Acquired, ConnectError> {
        let started = Instant::now();
        let io = match Box::pin(connect(member, &self.settings, wanted.client)).await {
            Ok(io) => io,
            Err(error) => {
                self.tell(match (&member.target, error.unresolved) {
                    (Target::Tcp(name), true) => UpstreamEvent::ResolveFailed { name: name.host(), error: &error.text },
                    _ => UpstreamEvent::ConnectFailed { address: &member.label, error: &error.text },
                });
                return Err(error);
            }
        };
        member.came_up();
        self.tell(UpstreamEvent::Connected { address: &member.label, took: started.elapsed() });
        let open = Open {
            label: Arc::clone(&member.label),
            cluster: Arc::clone(&self.settings.name),
            watcher: Arc::clone(&self.watcher),
        };
        let member = Arc::clone(member);
        if !http2 {
            let upstream = Upstream::H1(Box::new(H1::new(io)));
            return Ok(Acquired { member, upstream, reused: false, open: Some(open), requests: 0 });
        }
        let (send, connection) = Box::pin(h2_client::handshake(io))
            .await
            .map_err(|error| ConnectError::new(format!("{}: HTTP/2: {error}", member.label)))?;
        let shared = Shared::new(send);
        if self.may_share() {
            member.add_shared(shared.clone());
        }
        let (streams, driven) = (Arc::clone(&shared.streams), Arc::clone(&member));
        self.background.spawn(async move {
            // How it ended, the requests on it are told.
            let _ = connection.await;
            driven.drop_shared(&streams);
            drop(open);
        });
        self.sweep_later();
        let upstream =
            Upstream::H2(Box::new(h2_client::Stream::new(shared, Arc::clone(&member), self.settings.tls.is_some())));
        Ok(Acquired { member, upstream, reused: false, open: None, requests: 0 })
    }

    /// A PROXY header names one client: the connection is nobody else's.
    fn may_share(&self) -> bool {
        self.settings.proxy_protocol.is_none()
    }

    /// After a response: keeps the connection if it is good for another request.
    pub(crate) fn give_back(self: &Arc<Self>, acquired: Acquired, said: Option<u64>, now: Instant) {
        let Acquired { member, upstream: Upstream::H1(connection), open: Some(open), requests, .. } = acquired else {
            return;
        };
        let is_used_up = self.settings.max_connection_requests.is_some_and(|most| requests + 1 >= most);
        if !connection.is_quiet() || is_used_up || !self.may_share() {
            return;
        }
        let lifetime = lifetime(self.settings.idle_timeout, said);
        member.keep(Kept { connection, open, requests: requests + 1 }, self.settings.max_idle, lifetime, now);
        self.sweep_later();
    }

    /// One task, only while something is kept.
    fn sweep_later(self: &Arc<Self>) {
        if self.sweeping.swap(true, Ordering::Relaxed) {
            return;
        }
        let cluster = Arc::downgrade(self);
        let shared_for = lifetime(self.settings.idle_timeout, None);
        self.background.spawn(async move {
            while let Some(due) = cluster.upgrade().and_then(|cluster| cluster.sweep(shared_for)) {
                tokio::time::sleep_until(due.into()).await;
            }
        });
    }

    fn sweep(&self, shared_for: Duration) -> Option<Instant> {
        let now = Instant::now();
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner).to_vec();
        let dynamic: Vec<_> = self.dynamic.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let due = members.iter().chain(&dynamic).filter_map(|member| member.sweep(now, shared_for)).min();
        if due.is_none() {
            self.sweeping.store(false, Ordering::Relaxed);
        }
        due
    }

    async fn members(self: &Arc<Self>, wanted: &Wanted<'_>) -> Result<Arc<[Arc<Member>]>, Failure> {
        let Some(endpoints) = &self.settings.endpoints else {
            return wanted
                .to
                .map(|to| [self.dynamic(to)].into())
                .ok_or_else(|| Failure::NoEndpoint("no address given".into()));
        };
        if self.settings.spread_addresses && self.is_due() {
            let is_first = self.members.lock().unwrap_or_else(PoisonError::into_inner).iter().all(|m| m.host.is_none());
            if is_first {
                self.refresh(endpoints).await?;
            } else {
                // Requests go where they went until the name server has answered.
                let cluster = Arc::clone(self);
                self.background.spawn(async move {
                    let endpoints = cluster.settings.endpoints.iter().flatten().cloned().collect::<Vec<_>>();
                    // What failed was told, and nothing has changed.
                    let _ = cluster.refresh(&endpoints).await;
                });
            }
        }
        let members = Arc::clone(&self.members.lock().unwrap_or_else(PoisonError::into_inner));
        if members.is_empty() { Err(Failure::NoEndpoint("the cluster has no endpoint".into())) } else { Ok(members) }
    }

    fn dynamic(&self, to: &(String, u16)) -> Arc<Member> {
        let mut known = self.dynamic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(member) = known.get(to) {
            return Arc::clone(member);
        }
        if known.len() >= MOST_DYNAMIC {
            known.retain(|_, member| !member.is_unused());
        }
        let address = Address::Tcp { host: to.0.clone(), port: to.1 };
        let member = Arc::new(Member::new(&address, 1, false, self.settings.dns_refresh));
        if known.len() < MOST_DYNAMIC {
            known.insert(to.clone(), Arc::clone(&member));
        }
        member
    }

    /// Makes an endpoint of each address; those that were there before stay who they are.
    async fn refresh(&self, endpoints: &[cluster::Endpoint]) -> Result<(), Failure> {
        let before = Arc::clone(&self.members.lock().unwrap_or_else(PoisonError::into_inner));
        let (mut now, mut failure): (Vec<Arc<Member>>, _) = (Vec::new(), None);
        for endpoint in endpoints {
            let Address::Tcp { host, port } = &endpoint.address else {
                let label = endpoint.address.to_string();
                now.extend(before.iter().find(|member| *member.label == *label).cloned());
                continue;
            };
            match Name::new(host, *port, Duration::ZERO).addresses().await {
                Ok(addresses) => now.extend(addresses.iter().map(|address| {
                    let literal = Address::Tcp { host: address.ip().to_string(), port: address.port() };
                    let label = literal.to_string();
                    before
                        .iter()
                        .find(|member| *member.label == *label && member.host.is_some())
                        .cloned()
                        .unwrap_or_else(|| {
                            let mut member =
                                Member::new(&literal, endpoint.weight, endpoint.backup, self.settings.dns_refresh);
                            member.host = Some(host.clone());
                            Arc::new(member)
                        })
                })),
                Err(error) => {
                    self.tell(UpstreamEvent::ResolveFailed { name: host, error: &error });
                    now.extend(before.iter().filter(|member| member.host.as_deref() == Some(host)).cloned());
                    failure = Some(Failure::NoEndpoint(format!("{host}: {error}")));
                }
            }
        }
        if now.is_empty() {
            return Err(failure.unwrap_or_else(|| Failure::NoEndpoint("the cluster has no endpoint".into())));
        }
        *self.members.lock().unwrap_or_else(PoisonError::into_inner) = now.into();
        Ok(())
    }

    /// Whether the names have to be asked for again. Says so to one.
    fn is_due(&self) -> bool {
        let mut asked = self.spread.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = asked.is_none_or(|when| when.elapsed() >= self.settings.dns_refresh);
        let nobody = self.members.lock().unwrap_or_else(PoisonError::into_inner).iter().all(|m| m.host.is_none());
        if is_due {
            *asked = Some(Instant::now());
        }
        is_due || nobody
    }
}
