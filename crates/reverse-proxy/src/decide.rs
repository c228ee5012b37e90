//! The steps of a decision: host, guards, rewrites, route; then the new path, host and headers.

use std::{borrow::Cow, sync::Arc};

use http_proxy::{ClusterId, Peer};
use http1::{Headers, RequestHead};
use tls::ClientIdentity;

use crate::{
    config::{Action, Guard, HeaderChange, HeaderRule, NewHost, NewPath, Rewrite, Then},
    ids,
    path::{encoded, normal},
    pattern::{Expression, HostPattern, PathPattern, TextPattern},
    seen::{Seen, View},
    site::{HttpRun, RouteRun},
    table,
    template::{Part, Variable},
};

/// So many times a path may be rewritten and looked for again.
const MOST_ROUNDS: usize = 10;

pub enum Decision {
    Route(usize, usize),
    Nowhere,
    /// Rewrites that never come to an end.
    Endless,
    Redirect(u16, Vec<u8>),
    Answer(Box<Action>),
}

/// Which route a request belongs to. `seen` has its normal path, and gets a new one if it is rewritten.
pub fn place(http: &HttpRun, head: &RequestHead, peer: &Peer, seen: &mut Seen) -> Decision {
    let authority = lower_case(head.host());
    let server_name = peer.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
    let Some(at) = http.hosts(server_name).and_then(|hosts| hosts.find(&authority)) else { return Decision::Nowhere };
    let host = &http.model.hosts[at];
    seen.host_name = Some(Arc::clone(&http.names[at]));
    for pattern in &host.patterns {
        if let HostPattern::Regex(expression) = pattern {
            capture(expression, table::without_port(&authority), seen);
        }
    }
    if host.require_tls && peer.tls.is_none() {
        let to = format!("https://{}{}", table::without_port(head.host()), head.target());
        return Decision::Redirect(301, to.into_bytes());
    }
    if let Some(action) = guarded(&host.guards, head, peer, seen) {
        return Decision::Answer(action);
    }
    if let Rewritten::Redirect(status, to) = rewrite(&host.rewrites, head, peer, seen) {
        return Decision::Redirect(status, to);
    }
    for _ in 0..MOST_ROUNDS {
        let Some(found) = table::route(host, &seen.path, head) else { return Decision::Nowhere };
        let route = &host.routes[found];
        if let PathPattern::Regex(expression) = &route.when.path {
            let path = seen.path.clone();
            capture(expression, &path, seen);
        }
        if let Some(action) = guarded(&route.guards, head, peer, seen) {
            return Decision::Answer(action);
        }
        match rewrite(&route.rewrites, head, peer, seen) {
            Rewritten::Redirect(status, to) => return Decision::Redirect(status, to),
            Rewritten::Search => {}
            Rewritten::Stay => return Decision::Route(at, found),
        }
    }
    Decision::Endless
}

/// Most are.
fn lower_case(text: &str) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => Cow::Borrowed(text),
    }
}

fn guarded(guards: &[Guard], head: &RequestHead, peer: &Peer, seen: &Seen) -> Option<Box<Action>> {
    let fits = |guard: &&Guard| {
        let value = guard.value.rendered_text(&View { head, peer, seen });
        let fits = match &guard.pattern {
            Some(pattern) => pattern.is_match(&value),
            None => !value.is_empty() && value != "0",
        };
        fits != guard.invert
    };
    guards.iter().find(fits).map(|guard| Box::new(guard.then.clone()))
}

enum Rewritten {
    Stay,
    Search,
    Redirect(u16, Vec<u8>),
}

fn rewrite(rewrites: &[Rewrite], head: &RequestHead, peer: &Peer, seen: &mut Seen) -> Rewritten {
    let mut changed = false;
    for step in rewrites {
        let TextPattern::Regex(expression) = &step.pattern else { continue };
        let path = seen.path.clone();
        if !capture(expression, &path, seen) {
            continue;
        }
        let view = View { head, peer, seen };
        let made = step.to.rendered_text(&view);
        let before = if seen.rewritten { seen.query.clone() } else { head.query().map(str::to_owned) };
        let (path, own) = made.split_once('?').map_or((made.as_str(), None), |(path, query)| (path, Some(query)));
        let kept = before.filter(|query| !step.drop_query && !query.is_empty());
        let query = match (own.filter(|own| !own.is_empty()), kept) {
            (Some(own), Some(kept)) => Some(format!("{own}&{kept}")),
            (Some(own), None) => Some(own.to_owned()),
            (None, kept) => kept,
        };
        if let Then::Redirect(status) = step.then {
            let mut to = path.to_owned();
            if let Some(query) = query {
                to.push('?');
                to.push_str(&query);
            }
            return Rewritten::Redirect(status, to.into_bytes());
        }
        // What a rewrite makes is a path that is decoded already; detours in it lead nowhere either.
        let mut raw = String::new();
        encoded(path, &mut raw);
        (seen.path, seen.query, seen.rewritten) = (normal(&raw).unwrap_or_else(|| "/".into()), query, true);
        changed = true;
        match step.then {
            Then::Search => return Rewritten::Search,
            Then::Stop => return Rewritten::Stay,
            _ => {}
        }
    }
    // Without a word at its end a rewrite leads to another search, once all are done.
    if changed { Rewritten::Search } else { Rewritten::Stay }
}

fn capture(expression: &Expression, text: &str, seen: &mut Seen) -> bool {
    let Some(found) = expression.captures(text) else { return false };
    let owned = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    seen.captures = found.iter().map(|group| group.map(|group| owned(group.as_bytes()))).collect();
    for name in expression.names() {
        if let Some(group) = found.name(name) {
            seen.named.push((name.to_owned(), owned(group.as_bytes())));
        }
    }
    true
}

/// Whether a certificate says one of these names of its owner.
pub fn is_named(patterns: &[TextPattern], identity: Option<&ClientIdentity>) -> bool {
    let Some(identity) = identity else { return false };
    let names = identity.uris.iter().chain(&identity.dns).chain(&identity.emails).chain([&identity.subject]);
    names.into_iter().any(|name| patterns.iter().any(|pattern| pattern.is_match(name)))
}

/// One of the clusters, by its share.
pub fn share(run: &RouteRun) -> Option<ClusterId> {
    if let [(_, only)] = run.clusters.as_slice() {
        return Some(*only);
    }
    let mut at = (ids::number() % u64::from(run.total_weight.max(1))) as u32;
    for (weight, cluster) in &run.clusters {
        if at < *weight {
            return Some(*cluster);
        }
        at -= weight;
    }
    None
}

/// Path and query as they are passed on. None: as they came.
pub fn target(new: &NewPath, matched: &PathPattern, view: &View<'_>) -> Option<String> {
    let seen = view.seen;
    let query = if seen.rewritten { seen.query.as_deref() } else { view.head.query() };
    let mut out = String::new();
    match new {
        NewPath::Same if !seen.rewritten => return None,
        NewPath::Same => encoded(&seen.path, &mut out),
        NewPath::Instead(text) => {
            let mut rest = &seen.path[matched.matched_len(&seen.path)..];
            if matches!(matched, PathPattern::Segments(_)) && text.ends_with('/') {
                rest = rest.trim_start_matches('/');
            }
            let (path, own) = text.split_once('?').map_or((text.as_str(), None), |(path, query)| (path, Some(query)));
            out.push_str(path);
            encoded(rest, &mut out);
            if let Some(own) = own {
                out.push('?');
                out.push_str(own);
            }
        }
        NewPath::Regex { pattern, to } => match pattern {
            TextPattern::Regex(expression) => {
                let made = expression.replace_with(&seen.path, |captures| {
                    let mut with = seen.clone();
                    with.captures = captures;
                    to.rendered(&View { head: view.head, peer: view.peer, seen: &with })
                });
                encoded(&made, &mut out);
            }
            _ => encoded(&seen.path, &mut out),
        },
        NewPath::Whole(template) => {
            out = template.rendered_text(view);
            if !out.starts_with('/') {
                out.insert(0, '/');
            }
            return Some(out);
        }
    }
    if !out.starts_with('/') {
        out.insert(0, '/');
    }
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(query);
    }
    Some(out)
}

pub fn host<'e>(new: &'e NewHost, endpoint: &'e str, view: &View<'_>) -> Option<Cow<'e, str>> {
    let host = match new {
        NewHost::Same => return None,
        NewHost::Endpoint => return Some(Cow::Borrowed(endpoint)),
        NewHost::Is(template) => match template.0.as_slice() {
            [Part::Text(host)] => Cow::Borrowed(host.as_str()),
            [Part::Value(Variable::ClusterAuthority)] => Cow::Borrowed(endpoint),
            _ => Cow::Owned(template.rendered_text(view)),
        },
    };
    // What is no host must not become one.
    let usable = !host.is_empty() && http1::is_host(host.as_bytes());
    usable.then_some(host)
}

/// The values that the rules of a route give to headers, one behind the other.
#[derive(Default)]
pub struct RuleValues {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl RuleValues {
    pub fn of(rules: &[HeaderRule], view: &View<'_>) -> Self {
        let mut values = Self::default();
        if !rules.is_empty() {
            values.ends.reserve(rules.len());
            values.text.reserve(ROOM);
        }
        for rule in rules {
            value(&rule.change, view, &mut values.text);
            values.ends.push(values.text.len());
        }
        values
    }

    /// In the order of the rules.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end])
    }
}

/// Enough for the values of most routes.
const ROOM: usize = 256;

/// The value that a rule gives a header.
fn value(change: &HeaderChange, view: &View<'_>, out: &mut Vec<u8>) {
    match change {
        HeaderChange::Set(template) | HeaderChange::Add(template) | HeaderChange::Default(template) => {
            template.render(view, out);
        }
        HeaderChange::Remove => {}
    }
}

pub fn change(headers: &mut Headers, name: &str, change: &HeaderChange, value: &[u8]) {
    match change {
        // Nothing is no field.
        HeaderChange::Set(_) if value.is_empty() => {
            headers.remove(name);
        }
        HeaderChange::Set(_) => {
            headers.set(name, value);
        }
        HeaderChange::Add(_) if value.is_empty() => {}
        HeaderChange::Add(_) => {
            headers.append(name, value);
        }
        HeaderChange::Default(_) if value.is_empty() || headers.contains(name) => {}
        HeaderChange::Default(_) => {
            headers.append(name, value);
        }
        HeaderChange::Remove => {
            headers.remove(name);
        }
    }
}
