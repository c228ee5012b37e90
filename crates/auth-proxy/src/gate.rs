//! Everything that one configuration needs to decide, and what outlives it.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use htpasswd::Users;
use http_proxy::{Cluster, ClusterId, Endpoint, RouteSettings, UpstreamTls};
use oidc::Provider;

use crate::{
    book::Book,
    config::{self, Config, To, Upstream},
    events::Events,
    kubernetes::Kubernetes,
    listen::Sockets,
    policy_service::Service,
    ready::Ready,
    standing::Standing,
    store::Store,
};

/// Nothing moves for so long: then nobody is there any more.
const SILENCE: Duration = Duration::from_secs(3600);

/// Stays over reloads.
pub struct Shared {
    pub events: Events,
    pub book: Book,
    pub sockets: Sockets,
    pub standing: Standing,
    serving: AtomicBool,
    /// With what is known of guessers, which a reload must not make forgotten.
    users: Mutex<Option<Arc<Users>>>,
}

impl Shared {
    pub fn new(events: Events) -> Self {
        Self {
            events,
            book: Book::default(),
            sockets: Sockets::default(),
            standing: Standing::default(),
            serving: AtomicBool::new(false),
            users: Mutex::default(),
        }
    }

    /// From now on a reload binds what is new in it.
    pub fn begin_serving(&self) {
        self.serving.store(true, Ordering::Release);
    }

    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    fn users(&self, file: &Path) -> Arc<Users> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        match &*users {
            Some(known) if known.path() == file => Arc::clone(known),
            _ => {
                let new = Arc::new(Users::new(file.to_owned(), |news| Events::users(&news)).locking_out());
                Arc::clone(users.insert(new))
            }
        }
    }
}

pub struct Gate {
    pub config: Arc<Config>,
    pub shared: Arc<Shared>,
    /// In the order of the configuration.
    pub providers: Vec<Arc<Provider>>,
    /// Issuers of tokens beside the providers.
    pub bearers: Vec<Arc<Provider>>,
    pub users: Option<Arc<Users>>,
    /// None: sessions are in the browser.
    pub store: Option<Store>,
    pub policy: Option<Arc<Service>>,
    pub kubernetes: Option<Arc<Kubernetes>>,
    /// Longest path first.
    pub ways: Vec<Way>,
}

/// An upstream, ready for the engine.
pub struct Way {
    pub upstream: Upstream,
    pub cluster: Option<ClusterId>,
    pub settings: Arc<RouteSettings>,
}

impl Gate {
    pub fn new(ready: &Ready, shared: &Arc<Shared>) -> (Self, Vec<Cluster>) {
        let config = &ready.config;
        let provider = |settings: &oidc::Settings| Arc::new(Provider::new(settings.clone()));
        let mut upstreams = config.upstreams.clone();
        upstreams.sort_by_key(|upstream| std::cmp::Reverse(upstream.path.len()));
        let mut clusters = Vec::new();
        let ways = upstreams.into_iter().map(|upstream| way(upstream, &mut clusters)).collect();
        let gate = Self {
            providers: config.providers.iter().map(|known| provider(&known.settings)).collect(),
            bearers: config.bearer.iter().flat_map(|bearer| &bearer.issuers).map(provider).collect(),
            store: config
                .store
                .as_ref()
                .map(|settings| Store::new(settings.clone(), Arc::clone(&config.sealer), config.cookie.name.clone())),
            users: config.passwords.as_ref().map(|passwords| shared.users(&passwords.file)),
            policy: ready.policy.clone(),
            kubernetes: ready.kubernetes.clone(),
            config: Arc::clone(config),
            shared: Arc::clone(shared),
            ways,
        };
        (gate, clusters)
    }

    pub fn provider(&self, name: Option<&str>) -> Option<(&config::Provider, &Arc<Provider>)> {
        let name = name?;
        self.config.providers.iter().zip(&self.providers).find(|(settings, _)| settings.name == name)
    }

    pub fn way(&self, path: &str) -> Option<&Way> {
        self.ways.iter().find(|way| {
            let wanted = &*way.upstream.path;
            path == wanted || (wanted.ends_with('/') && path.starts_with(wanted))
        })
    }
}

fn way(upstream: Upstream, clusters: &mut Vec<Cluster>) -> Way {
    let cluster = match &upstream.to {
        To::Status(_) | To::Files(_) => None,
        To::App { address, tls, .. } => {
            let mut cluster = Cluster::new(&upstream.path, vec![Endpoint::new(address.clone())]);
            if let Some(tls) = tls.clone() {
                // Read once: a change of one of its files makes all of this anew.
                let read = OnceLock::new();
                let config = move || match read.get() {
                    Some(read) => Ok(Arc::clone(read)),
                    None => {
                        let new = tls.load().map(Arc::new).map_err(|error| error.to_string())?;
                        Ok(Arc::clone(read.get_or_init(|| new)))
                    }
                };
                cluster.tls = Some(UpstreamTls { config: Arc::new(config), server_name: None });
            }
            if !upstream.keep_connections {
                cluster.max_idle = 0;
            }
            clusters.push(cluster);
            Some(ClusterId(clusters.len() - 1))
        }
    };
    let settings = RouteSettings {
        answer_timeout: upstream.timeout.or(Some(Duration::from_secs(60))),
        // What has begun may be silent for long: events, and tunnels that are kept open.
        read_timeout: Some(SILENCE),
        upgrade: upstream.upgrade,
        ..RouteSettings::default()
    };
    Way { upstream, cluster, settings: Arc::new(settings) }
}

/// Of a query, decoded; the first of each name counts.
pub fn arguments(query: Option<&str>) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        found.entry(name.into_owned()).or_insert_with(|| value.into_owned());
    }
    found
}
