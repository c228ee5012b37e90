//! A configuration made ready: everything looked up that can be looked up before the first request.

use std::{collections::HashMap, sync::Arc};

use http_proxy::{ClusterId, Retries, RouteSettings};

use htpasswd::Users;

use crate::{
    access_log::Writer,
    config::{AccessLog, Action, Config, Forward, HeaderChange, Http, LogId, Route, Serve, TcpRoute, Tunnel},
    events::{ClusterFigures, Events, RouteFigures},
    later::{Keeper, Later, LaterFormat},
    pattern::HostPattern,
    table::Hosts,
};

/// What a policy serves.
pub struct Site {
    /// By listener. They are few, and every request asks.
    https: Vec<(Arc<str>, Arc<HttpRun>)>,
    pub streams: HashMap<Arc<str>, Vec<(TcpRoute, ClusterId)>>,
    pub clusters: Vec<ClusterRun>,
    pub events: Arc<Events>,
}

impl Site {
    pub fn http(&self, listener: &str) -> Option<&Arc<HttpRun>> {
        self.https.iter().find(|(name, _)| **name == *listener).map(|(_, http)| http)
    }
}

pub struct ClusterRun {
    pub name: Arc<str>,
    pub figures: ClusterFigures,
    /// The host and port of its first endpoint.
    pub authority: Arc<str>,
    /// Requests say themselves where they go; with this port, if they name none.
    pub usual_port: Option<u16>,
    pub tls: bool,
}

/// An HTTP listener.
pub struct HttpRun {
    pub model: Arc<Http>,
    hosts: Hosts,
    /// As they were written, with the hosts of each.
    chains: Vec<(Vec<HostPattern>, Hosts)>,
    /// Of the hosts, in their order.
    pub names: Vec<Arc<str>>,
    /// By host, by route.
    pub routes: Vec<Vec<RouteRun>>,
    /// For requests that come to no route.
    pub nowhere: RouteRun,
    /// A route is for CONNECT.
    pub tunnels: bool,
}

impl HttpRun {
    /// The hosts for who has asked for this name in the TLS handshake: of the chain that names it most exactly.
    pub fn hosts(&self, server_name: Option<&str>) -> Option<&Hosts> {
        if self.chains.is_empty() {
            return Some(&self.hosts);
        }
        let name = server_name.unwrap_or_default().to_ascii_lowercase();
        let exactness = |names: &[HostPattern]| match names {
            [] => Some(0),
            names => names.iter().filter(|pattern| pattern.is_match(&name)).map(HostPattern::exactness).max(),
        };
        let fits = self.chains.iter().filter_map(|(names, hosts)| Some((exactness(names)?, hosts)));
        // The first of equals.
        fits.rev().max_by_key(|(exactness, _)| *exactness).map(|(_, hosts)| hosts)
    }
}

/// A route.
pub struct RouteRun {
    pub name: Arc<str>,
    pub settings: Arc<RouteSettings>,
    pub clusters: Vec<(u32, ClusterId)>,
    pub total_weight: u32,
    pub keeper: Keeper,
    pub logs: Vec<(Arc<Writer>, LaterFormat)>,
    pub response: Vec<ResponseRule>,
    pub figures: RouteFigures,
    pub users: Option<Arc<Users>>,
}

/// A header rule for a response.
pub struct ResponseRule {
    pub name: String,
    pub change: ResponseChange,
    pub always: bool,
}

pub enum ResponseChange {
    Set(Later),
    Add(Later),
    Default(Later),
    Remove,
}

/// What outlives a reload: the writers of logs and the files of users.
pub struct Keep<'a> {
    pub writers: &'a dyn Fn(&AccessLog) -> Arc<Writer>,
    pub users: &'a dyn Fn(&std::path::Path) -> Arc<Users>,
}

/// Problems are names that nobody has: dialects say them better, with a line.
pub fn build(config: &Config, events: &Arc<Events>, keep: &Keep<'_>) -> Result<Site, Vec<String>> {
    let mut builder = Builder { config, events, keep, problems: Vec::new() };
    let clusters = config.clusters.iter().map(|cluster| ClusterRun {
        name: cluster.name.as_str().into(),
        figures: events.cluster(&cluster.name),
        authority: cluster.endpoints.first().map(authority).unwrap_or_default().into(),
        usual_port: cluster.anywhere_but.as_ref().map(|_| if cluster.tls.is_some() { 443 } else { 80 }),
        tls: cluster.tls.is_some(),
    });
    let mut site =
        Site { https: Vec::new(), streams: HashMap::new(), clusters: clusters.collect(), events: Arc::clone(events) };
    for listener in &config.listeners {
        let name: Arc<str> = listener.name.as_str().into();
        match &listener.serve {
            Serve::Http(http) => site.https.push((name, Arc::new(builder.http(http)))),
            Serve::Tcp(routes) => {
                let found = routes.iter().filter_map(|route| Some((route.clone(), builder.cluster(&route.cluster)?)));
                let found = found.collect();
                site.streams.insert(name, found);
            }
        }
    }
    if builder.problems.is_empty() { Ok(site) } else { Err(builder.problems) }
}

fn authority(endpoint: &crate::config::Endpoint) -> String {
    match &endpoint.address {
        crate::config::Address::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
        crate::config::Address::Tcp { host, port: 80 | 443 } => host.clone(),
        crate::config::Address::Tcp { host, port } => format!("{host}:{port}"),
        crate::config::Address::Unix(_) => "localhost".into(),
    }
}

struct Builder<'a> {
    config: &'a Config,
    events: &'a Arc<Events>,
    keep: &'a Keep<'a>,
    problems: Vec<String>,
}

impl Builder<'_> {
    fn cluster(&mut self, name: &str) -> Option<ClusterId> {
        let found = self.config.clusters.iter().position(|cluster| cluster.name == name);
        if found.is_none() {
            self.problems.push(format!("cluster {name}: nobody says what it is"));
        }
        found.map(ClusterId)
    }

    fn http(&mut self, http: &Arc<Http>) -> HttpRun {
        let routes = http.hosts.iter().map(|host| host.routes.iter().map(|route| self.route(route)).collect());
        let routes = routes.collect();
        HttpRun {
            model: Arc::clone(http),
            hosts: Hosts::new(http, 0..http.hosts.len()),
            chains: http
                .chains
                .iter()
                .map(|chain| (chain.server_names.clone(), Hosts::new(http, chain.hosts.clone())))
                .collect(),
            names: http.hosts.iter().map(|host| host.name.as_str().into()).collect(),
            routes,
            nowhere: self.nowhere(&http.access_logs),
            tunnels: http.hosts.iter().flat_map(|host| &host.routes).any(|route| route.when.tunnel != Tunnel::Never),
        }
    }

    fn logs(&self, ids: &[LogId], keeper: &mut Keeper) -> Vec<(Arc<Writer>, LaterFormat)> {
        let logs = ids.iter().filter_map(|id| self.config.access_logs.get(*id));
        logs.map(|log| ((self.keep.writers)(log), keeper.plan_format(&log.format))).collect()
    }

    fn nowhere(&self, logs: &[LogId]) -> RouteRun {
        let mut keeper = Keeper::default();
        RouteRun {
            name: "".into(),
            settings: Arc::default(),
            clusters: Vec::new(),
            total_weight: 0,
            logs: self.logs(logs, &mut keeper),
            keeper,
            response: Vec::new(),
            figures: self.events.route("none"),
            users: None,
        }
    }

    fn route(&mut self, route: &Route) -> RouteRun {
        let mut keeper = Keeper::default();
        let logs = self.logs(&route.access_logs, &mut keeper);
        let response = route.response_headers.iter().map(|rule| ResponseRule {
            name: rule.name.clone(),
            change: match &rule.change {
                HeaderChange::Set(template) => ResponseChange::Set(keeper.plan(template)),
                HeaderChange::Add(template) => ResponseChange::Add(keeper.plan(template)),
                HeaderChange::Default(template) => ResponseChange::Default(keeper.plan(template)),
                HeaderChange::Remove => ResponseChange::Remove,
            },
            always: rule.always,
        });
        let response = response.collect();
        let (clusters, settings) = match &route.action {
            Action::Forward(forward) => {
                let found = forward.to.iter().filter_map(|(weight, name)| Some((*weight, self.cluster(name)?)));
                (found.collect(), settings(route, Some(forward)))
            }
            _ => (Vec::new(), settings(route, None)),
        };
        RouteRun {
            name: route.name.as_str().into(),
            settings: Arc::new(settings),
            total_weight: clusters.iter().map(|(weight, _)| *weight).fold(0, u32::saturating_add),
            clusters,
            keeper,
            logs,
            response,
            figures: self.events.route(&route.name),
            users: route.auth.as_ref().map(|auth| (self.keep.users)(&auth.users)),
        }
    }
}

fn settings(route: &Route, forward: Option<&Forward>) -> RouteSettings {
    let Some(forward) = forward else {
        return RouteSettings { max_body: route.max_body, ..RouteSettings::default() };
    };
    let (timeouts, retry) = (&forward.timeouts, &forward.retry);
    RouteSettings {
        timeout: timeouts.total,
        read_timeout: timeouts.response,
        answer_timeout: None,
        send_timeout: timeouts.send,
        retries: Retries {
            attempts: retry.times,
            connect: retry.on.connect_failure,
            reset: retry.on.reset,
            timeout: retry.on.timeout,
            statuses: retry.on.statuses.clone(),
            non_idempotent: retry.on.unsafe_methods,
            per_try_timeout: timeouts.per_try,
            backoff: retry.pause,
        },
        max_body: route.max_body,
        upgrade: forward.upgrade,
    }
}
