//! `egress`: a listener that is the app's own way out, for whole URLs and for tunnels.

use std::time::Duration;

use common::config::Section;
use values::Span;

use crate::{
    config::{Action, Cluster, Forward, Route, Timeouts, Tunnel, When},
    egress::{Destination, never_but},
    net::Network,
    pattern::PathPattern,
    template::{Template, Variable},
};

use super::{Reader, route};

/// A tunnel that nobody uses for so long.
const IDLE: Duration = Duration::from_secs(3600);

/// Who is sent away, who may have a tunnel, who may send whole URLs; then nobody else.
pub(super) fn egress(section: &mut Section, reader: &mut Reader, logs: &[usize]) -> Option<Vec<Route>> {
    let mut section = section.section_or("egress", "allow")?;
    let allow: Vec<Destination> = section.list("allow");
    let deny: Vec<Destination> = section.list("deny");
    if allow.is_empty() {
        section.problem("allow: expected at least one place such as api.example.com:443, or * for all");
    }
    let never: Vec<Network> = if section.has("never") { section.list("never") } else { never_but(&allow) };
    let name = unused_name(reader);
    let mut cluster = Cluster::anywhere_but(name.clone(), never);
    if let Some(span) = section.parsed::<Span>("connect_timeout") {
        cluster.connect_timeout = span.0;
    }
    reader.config.clusters.push(cluster);
    let usual = Timeouts::default();
    let mut requests = Forward::to(name.clone());
    requests.timeouts.total = section.parsed::<Span>("timeout").map(|span| span.0);
    requests.timeouts.response = section.parsed::<Span>("response_timeout").map_or(usual.response, |span| Some(span.0));
    if let Some(mut retries) = section.section_or("retries", "times") {
        requests.retry = route::retry(&mut retries);
    }
    let mut tunnels = Forward::to(name.clone());
    let idle = section.parsed::<Span>("idle_timeout").map_or(IDLE, |span| span.0);
    tunnels.timeouts = Timeouts { total: None, response: Some(idle), send: Some(idle), per_try: None };
    let with_tunnels = section.parsed("tunnels").unwrap_or(true);
    let made = |tunnel, destinations: &[Destination], action| Route {
        when: When { tunnel, destinations: destinations.to_vec(), ..When::default() },
        access_logs: logs.to_vec(),
        ..Route::new(name.clone(), PathPattern::Any, action)
    };
    let mut routes = Vec::new();
    if !deny.is_empty() {
        routes.push(made(Tunnel::Too, &deny, refusal()));
    }
    if with_tunnels {
        routes.push(made(Tunnel::Only, &allow, Action::Forward(Box::new(tunnels))));
    }
    routes.push(made(Tunnel::Never, &allow, Action::Forward(Box::new(requests))));
    routes.push(made(Tunnel::Too, &[], refusal()));
    Some(routes)
}

/// What is left of such a route where only its tunnels are wanted.
pub(super) fn tunnel(route: &Route) -> Option<Route> {
    let mut route = route.clone();
    (route.when.tunnel != Tunnel::Never).then(|| {
        route.when.tunnel = Tunnel::Only;
        route
    })
}

fn unused_name(reader: &Reader) -> String {
    let is_used = |name: &str| reader.config.clusters.iter().any(|cluster| cluster.name == name);
    let numbered = (2..).map(|number| format!("egress {number}"));
    std::iter::once("egress".to_owned()).chain(numbered).find(|name| !is_used(name)).unwrap_or_default()
}

fn refusal() -> Action {
    let mut body = Template::variable(Variable::Authority);
    body.push_text(": this proxy does not go there\n");
    Action::Respond { status: 403, content_type: Some("text/plain; charset=utf-8".into()), body }
}
