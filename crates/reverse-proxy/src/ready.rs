//! From the model to what the engine takes: a reload does all of this before anything changes.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::AtomicBool, atomic::Ordering},
};

use common::{Exit, Failure};
use http_proxy::{Http2, HttpSettings, ListenerSettings, ProxyProtocolIn, StreamSettings, Tls};
use tls::{ServerTls, rustls::ClientConfig};
use values::ListenAddr;

use htpasswd::Users;

use crate::{
    access_log::{self, Writer},
    config::{self, AccessLog, Config, Listener, Serve},
    events::Events,
    site::{self, Keep, Site},
    sockets::Sockets,
};

/// A configuration that can be served.
pub struct Ready {
    pub config: Config,
    pub site: Arc<Site>,
    pub clusters: Vec<http_proxy::Cluster>,
    pub listeners: Vec<ListenerSettings>,
}

/// What lives longer than one configuration.
pub struct Shared {
    pub events: Arc<Events>,
    pub sockets: Sockets,
    /// From the first start on a reload binds new addresses; before it, a check must not.
    pub serving: AtomicBool,
    /// After `POST /drain` nobody new comes in.
    pub drained: AtomicBool,
    pub writers: Mutex<Vec<Arc<Writer>>>,
    pub users: Mutex<Vec<Arc<Users>>>,
    pub servers: Mutex<Vec<Arc<tls::Server>>>,
    pub clients: Mutex<Vec<Arc<Client>>>,
}

/// TLS to an app, with its files read.
pub struct Client {
    settings: tls::ClientTls,
    http2: bool,
    current: RwLock<Arc<ClientConfig>>,
}

impl Client {
    fn load(settings: &tls::ClientTls, http2: bool) -> Result<Arc<ClientConfig>, String> {
        let mut config = settings.load().map_err(|error| error.to_string())?;
        config.alpn_protocols = if http2 { vec![b"h2".to_vec()] } else { vec![b"http/1.1".to_vec()] };
        Ok(Arc::new(config))
    }

    pub fn reload(&self) -> Result<(), String> {
        let new = Self::load(&self.settings, self.http2)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    pub fn files(&self) -> Vec<PathBuf> {
        let roots = match &self.settings.roots {
            tls::Roots::System => None,
            tls::Roots::File(path) | tls::Roots::SystemAnd(path) => Some(path.clone()),
        };
        let identity = self.settings.identity.iter().flat_map(|pair| [pair.certificate.clone(), pair.key.clone()]);
        roots.into_iter().chain(identity).collect()
    }

    fn get(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub fn new(events: Arc<Events>) -> Self {
        Self {
            events,
            sockets: Sockets::default(),
            serving: AtomicBool::new(false),
            drained: AtomicBool::new(false),
            writers: Mutex::default(),
            users: Mutex::default(),
            servers: Mutex::default(),
            clients: Mutex::default(),
        }
    }

    /// Everything that can be wrong is found here.
    pub fn ready(&self, config: Config) -> Result<Ready, Failure> {
        let mut problems: Vec<String> =
            config.access_logs.iter().filter_map(|log| access_log::problem(&log.to)).collect();
        let keep = Keep { writers: &|log| self.writer(log), users: &|path| self.users(path) };
        let site = site::build(&config, &self.events, &keep).map_err(|more| problems.extend(more)).ok();
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            match self.listener(listener) {
                Ok(settings) => listeners.push(settings),
                Err(problem) => problems.push(problem),
            }
        }
        let mut clusters = Vec::new();
        for cluster in &config.clusters {
            match self.cluster(cluster) {
                Ok(made) => clusters.push(made),
                Err(problem) => problems.push(format!("cluster {}: {problem}", cluster.name)),
            }
        }
        if problems.is_empty() && self.serving.load(Ordering::Acquire) {
            problems.extend(self.bind(&config).err().into_iter().flatten());
        }
        match site {
            Some(site) if problems.is_empty() => Ok(Ready { config, site: Arc::new(site), clusters, listeners }),
            _ => {
                problems.sort();
                problems.dedup();
                Err(Failure { exit: Exit::Config, problems })
            }
        }
    }

    pub fn bind(&self, config: &Config) -> Result<(), Vec<String>> {
        self.sockets.bind(&self.open(config))
    }

    /// The addresses that are to be open.
    pub fn open(&self, config: &Config) -> Vec<ListenAddr> {
        let drained = self.drained.load(Ordering::Acquire);
        let open = config.listeners.iter().filter(|listener| !(drained && listener.inbound));
        open.map(|listener| listener.addr.clone()).collect()
    }

    fn writer(&self, log: &AccessLog) -> Arc<Writer> {
        let mut writers = lock(&self.writers);
        if let Some(known) = writers.iter().find(|writer| writer.target == log.to) {
            return Arc::clone(known);
        }
        let writer = Arc::new(Writer::new(log.to.clone(), Arc::clone(&self.events)));
        writers.push(Arc::clone(&writer));
        writer
    }

    fn users(&self, path: &Path) -> Arc<Users> {
        let mut all = lock(&self.users);
        if let Some(known) = all.iter().find(|users| users.path() == path) {
            known.read();
            return Arc::clone(known);
        }
        let events = Arc::clone(&self.events);
        let users = Arc::new(Users::new(path.to_owned(), move |news| events.users(&news)));
        all.push(Arc::clone(&users));
        users
    }

    /// The same settings keep their server, and with it the keys of their tickets.
    fn server(&self, settings: &ServerTls) -> Result<Arc<tls::Server>, String> {
        let mut servers = lock(&self.servers);
        if let Some(known) = servers.iter().find(|server| server.settings() == settings) {
            known.reload().map_err(|error| error.to_string())?;
            return Ok(Arc::clone(known));
        }
        let server = Arc::new(settings.load().map_err(|error| error.to_string())?);
        servers.push(Arc::clone(&server));
        Ok(server)
    }

    fn listener(&self, listener: &Listener) -> Result<ListenerSettings, String> {
        let mut settings = match &listener.serve {
            Serve::Http(http) => {
                let mut settings = ListenerSettings::http(&listener.name);
                settings.serve = http_proxy::Serve::Http(Arc::new(http_settings(http)));
                if let Some(most) = http.limits.max_connections {
                    settings.max_connections = most;
                }
                settings
            }
            Serve::Tcp(routes) => {
                let mut settings = ListenerSettings::stream(&listener.name);
                settings.serve = http_proxy::Serve::Stream(Arc::new(StreamSettings {
                    idle_timeout: routes.first().and_then(|route| route.idle_timeout),
                    look_for_name: listener.tls.is_none() && routes.iter().any(|route| !route.server_names.is_empty()),
                }));
                settings
            }
        };
        if listener.proxy_protocol {
            settings.proxy_protocol = ProxyProtocolIn::Required;
        }
        if let Some(tls) = &listener.tls {
            let server = self.server(tls).map_err(|problem| format!("listener {}: {problem}", listener.name))?;
            settings.tls = Some(Tls::Terminate(Arc::new(move || server.config())));
        }
        Ok(settings)
    }

    fn cluster(&self, cluster: &config::Cluster) -> Result<http_proxy::Cluster, String> {
        let endpoint = |endpoint: &config::Endpoint| http_proxy::Endpoint {
            address: match &endpoint.address {
                config::Address::Tcp { host, port } => http_proxy::Address::Tcp { host: host.clone(), port: *port },
                config::Address::Unix(path) => http_proxy::Address::Unix(path.clone()),
            },
            weight: endpoint.weight,
            backup: endpoint.backup,
        };
        let mut made = http_proxy::Cluster::new(&cluster.name, cluster.endpoints.iter().map(endpoint).collect());
        if let Some(networks) = &cluster.anywhere_but {
            made.endpoints = None;
            made.forbidden = networks.iter().map(crate::net::Network::block).collect();
        }
        made.balance = match cluster.balance {
            config::Balance::RoundRobin => http_proxy::Balance::RoundRobin,
            config::Balance::LeastRequest => http_proxy::Balance::LeastRequest,
            config::Balance::Random => http_proxy::Balance::Random,
        };
        if cluster.http2 {
            made.protocol = http_proxy::UpstreamProtocol::Http2;
        }
        made.proxy_protocol = cluster.proxy_protocol.map(|version| match version {
            1 => http_proxy::ProxyProtocol::V1,
            _ => http_proxy::ProxyProtocol::V2,
        });
        made.connect_timeout = cluster.connect_timeout;
        made.connect_wait = cluster.connect_wait;
        made.dns_refresh = cluster.resolve_every;
        made.spread_addresses = cluster.spread_addresses;
        made.idle_timeout = cluster.keepalive.timeout;
        made.max_idle = cluster.keepalive.idle;
        if let Some(most) = cluster.max_requests {
            made.max_requests = most;
        }
        if let Some(tls) = &cluster.tls {
            let client = self.client(&tls.client, cluster.http2)?;
            made.tls = Some(http_proxy::UpstreamTls {
                config: Arc::new(move || Ok(client.get())),
                server_name: tls.server_name.clone(),
            });
        }
        Ok(made)
    }

    fn client(&self, settings: &tls::ClientTls, http2: bool) -> Result<Arc<Client>, String> {
        let mut clients = lock(&self.clients);
        if let Some(known) = clients.iter().find(|client| client.settings == *settings && client.http2 == http2) {
            known.reload()?;
            return Ok(Arc::clone(known));
        }
        let current = RwLock::new(Client::load(settings, http2)?);
        let client = Arc::new(Client { settings: settings.clone(), http2, current });
        clients.push(Arc::clone(&client));
        Ok(client)
    }

    /// What no configuration uses any more is not looked at any more.
    pub fn forget_unused(&self) {
        lock(&self.servers).retain(|server| Arc::strong_count(server) > 1);
        lock(&self.clients).retain(|client| Arc::strong_count(client) > 1);
        lock(&self.users).retain(|users| Arc::strong_count(users) > 1);
    }

    /// Every file of which somebody may put a new version in place.
    pub fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = lock(&self.servers).iter().flat_map(|server| server.files()).collect();
        files.extend(lock(&self.clients).iter().flat_map(|client| client.files()));
        files.extend(lock(&self.users).iter().map(|users| users.path().to_owned()));
        files.sort();
        files.dedup();
        files
    }

    /// Reads all of them again. A bad one keeps what there was.
    pub fn read_files(&self) {
        for server in lock(&self.servers).iter() {
            let first = server.files().first().map(|file| file.display().to_string()).unwrap_or_default();
            match server.reload() {
                Ok(()) => self.events.certificates_reloaded(&first),
                Err(error) => self.events.certificates_kept(&first, &error.to_string()),
            }
        }
        for client in lock(&self.clients).iter().filter(|client| !client.files().is_empty()) {
            if let Err(problem) = client.reload() {
                self.events.certificates_kept("upstream", &problem);
            }
        }
        for users in lock(&self.users).iter() {
            users.read();
        }
    }
}

fn http_settings(http: &config::Http) -> HttpSettings {
    let limits = &http.limits;
    let usual = http1::Limits::default();
    HttpSettings {
        head_timeout: limits.head_timeout,
        body_timeout: limits.body_timeout,
        idle_timeout: limits.idle_timeout,
        send_timeout: limits.send_timeout,
        max_requests: limits.max_requests,
        head: http1::Limits {
            head: limits.max_head,
            line: usual.line.min(limits.max_head),
            fields: limits.max_fields.unwrap_or(usual.fields),
        },
        http2: http.http2.then(|| Http2 { max_streams: limits.max_streams, ..Http2::default() }),
        ..HttpSettings::default()
    }
}
