//! Finds the host for a name and the route for a path.

use std::{collections::HashMap, ops::Range};

use http1::{Form, RequestHead};

use crate::{
    config::{Choice, FieldPattern, Host, Http, Route, Tunnel, When},
    egress,
    path::argument,
    pattern::{HostPattern, PathPattern},
};

/// Hosts by name: exact before the longest wildcard in front before the longest behind before expressions.
#[derive(Debug, Default)]
pub struct Hosts {
    exact: HashMap<String, usize>,
    suffixes: Vec<(String, usize)>,
    prefixes: Vec<(String, usize)>,
    others: Vec<(HostPattern, usize)>,
    default: Option<usize>,
    port_counts: bool,
}

impl Hosts {
    /// `which`: places in [`Http::hosts`].
    pub fn new(http: &Http, which: Range<usize>) -> Self {
        let mut hosts = Self { default: http.default_host, port_counts: http.port_counts, ..Self::default() };
        for (at, host) in http.hosts.iter().enumerate().filter(|(at, _)| which.contains(at)) {
            for pattern in &host.patterns {
                match pattern {
                    HostPattern::Exact(name) => drop(hosts.exact.entry(name.clone()).or_insert(at)),
                    HostPattern::Suffix(rest) => hosts.suffixes.push((rest.clone(), at)),
                    HostPattern::Prefix(rest) => hosts.prefixes.push((rest.clone(), at)),
                    HostPattern::Any => drop(hosts.default.get_or_insert(at)),
                    HostPattern::Regex(_) => hosts.others.push((pattern.clone(), at)),
                }
            }
        }
        hosts.suffixes.sort_by_key(|(rest, _)| std::cmp::Reverse(rest.len()));
        hosts.prefixes.sort_by_key(|(rest, _)| std::cmp::Reverse(rest.len()));
        hosts
    }

    /// `authority` in lower case, maybe with a port.
    pub fn find(&self, authority: &str) -> Option<usize> {
        let host = without_port(authority);
        if let Some(host) = host.strip_suffix('.') {
            // The root's name may be written or not (RFC 3986 section 3.2.2).
            let port = &authority[host.len() + 1..];
            return self.find(&format!("{host}{port}"));
        }
        if self.port_counts {
            return self.named(authority).or(self.default);
        }
        let both = || if host.len() < authority.len() { self.named(authority) } else { None };
        self.named(host).or_else(both).or(self.default)
    }

    fn named(&self, host: &str) -> Option<usize> {
        let longer = |rest: &str| host.len() > rest.len();
        let suffix = || self.suffixes.iter().find(|(rest, _)| longer(rest) && host.ends_with(rest.as_str()));
        let prefix = || self.prefixes.iter().find(|(rest, _)| longer(rest) && host.starts_with(rest.as_str()));
        let other = || self.others.iter().find(|(pattern, _)| pattern.is_match(host)).map(|(_, at)| *at);
        let exact = self.exact.get(host).copied();
        exact.or_else(|| suffix().or_else(prefix).map(|(_, at)| *at)).or_else(other)
    }
}

/// `[::1]:80` and `a:80` lose their port; an address without brackets is no authority.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
    }
}

/// The route of a request. `path` is normal.
pub fn route(host: &Host, path: &str, head: &RequestHead) -> Option<usize> {
    let fits = |route: &Route| route.when.fits(path, head);
    match host.choice {
        Choice::First => host.routes.iter().position(fits),
        Choice::MostSpecific => most_specific(&host.routes, path, fits),
    }
}

fn most_specific(routes: &[Route], path: &str, fits: impl Fn(&Route) -> bool) -> Option<usize> {
    let (mut longest, mut regex): (Option<usize>, Option<usize>) = (None, None);
    for (at, route) in routes.iter().enumerate() {
        match &route.when.path {
            PathPattern::Exact(_) | PathPattern::ExactIgnoringCase(_) if fits(route) => return Some(at),
            PathPattern::Exact(_) | PathPattern::ExactIgnoringCase(_) => {}
            // Asked only below, where it may not be needed.
            PathPattern::Regex(_) => drop(regex.get_or_insert(at)),
            other => {
                let longer = |best: usize| other.matched_len(path) > routes[best].when.path.matched_len(path);
                if longest.is_none_or(longer) && fits(route) {
                    longest = Some(at);
                }
            }
        }
    }
    if longest.is_some_and(|at| routes[at].when.is_final) {
        return longest;
    }
    let from = regex.unwrap_or(routes.len());
    let found = routes[from..].iter().position(|route| matches!(route.when.path, PathPattern::Regex(_)) && fits(route));
    found.map(|at| from + at).or(longest)
}

impl When {
    fn fits(&self, path: &str, head: &RequestHead) -> bool {
        let is_tunnel = head.form == Form::Authority;
        let form_fits = match self.tunnel {
            Tunnel::Never => !is_tunnel,
            Tunnel::Only => is_tunnel,
            Tunnel::Too => true,
        };
        form_fits
            && !self.internal
            && self.leads_there(head)
            && self.path.is_match(path)
            && (self.methods.is_empty() || self.methods.iter().any(|method| method == head.method.as_str()))
            && self.headers.iter().all(|field| field.fits_header(head))
            && self.query.iter().all(|field| field.fits_query(head.query().unwrap_or_default()))
    }
}

impl When {
    fn leads_there(&self, head: &RequestHead) -> bool {
        if self.destinations.is_empty() {
            return true;
        }
        let place = egress::Place::of(head, 80).filter(|_| egress::asks_a_proxy(head));
        place.is_some_and(|place| self.destinations.iter().any(|destination| destination.fits(&place)))
    }
}

impl FieldPattern {
    fn fits_header(&self, head: &RequestHead) -> bool {
        let found = match self.name.as_str() {
            ":authority" => Some(head.host().to_owned()),
            ":method" => Some(head.method.as_str().to_owned()),
            ":path" => Some(head.target().to_owned()),
            name => {
                let values: Vec<_> = head.headers.get_all(name).map(String::from_utf8_lossy).collect();
                (!values.is_empty()).then(|| values.join(","))
            }
        };
        self.fits(found.as_deref())
    }

    fn fits_query(&self, query: &str) -> bool {
        let raw = argument(query, &self.name);
        let decoded = raw
            .map(|raw| percent_encoding::percent_decode_str(&raw.replace('+', " ")).decode_utf8_lossy().into_owned());
        self.fits(decoded.as_deref())
    }

    fn fits(&self, found: Option<&str>) -> bool {
        let fits = match (&self.value, found) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(pattern), Some(text)) => pattern.is_match(text),
        };
        fits != self.invert
    }
}
