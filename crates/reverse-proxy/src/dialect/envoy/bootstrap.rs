//! The bootstrap: listeners, clusters and the admin address.

use common::{Failure, config::Node};
use values::ListenAddr;

use crate::config::Config;

use super::{
    cluster, failure, listener,
    walk::{Message, Problems},
};

pub fn meaning(name: &str, tree: Node) -> Result<Config, Failure> {
    let problems = Problems::default();
    let mut config = Config::default();
    {
        let mut root = Message::new(tree, "", &problems);
        if let Some(message) = root.message("admin") {
            admin(message);
        }
        root.ignore(&[
            "node",
            "layered_runtime",
            "stats_flush_interval",
            "stats_config",
            "watchdog",
            "watchdogs",
            "cluster_manager",
            "default_regex_engine",
            "header_prefix",
            "use_tcp_for_dns_lookups",
            "typed_dns_resolver_config",
            "enable_dispatcher_stats",
            "flags_path",
        ]);
        root.refuse(&[
            "dynamic_resources",
            "overload_manager",
            "stats_sinks",
            "tracing",
            "hds_config",
            "bootstrap_extensions",
            "fatal_actions",
            "xds_config_tracker_extension",
        ]);
        if let Some(mut resources) = root.message("static_resources") {
            for mut message in resources.messages("clusters") {
                config.clusters.push(cluster::cluster(&mut message));
            }
            for mut message in resources.messages("listeners") {
                let made = listener::listener(&mut message, &mut config);
                config.listeners.extend(made);
            }
            resources.refuse(&["secrets"]);
        }
        if config.listeners.is_empty() && problems.borrow().is_empty() {
            root.problem("static_resources.listeners: expected at least one");
        }
    }
    known_clusters(&config, &problems);
    let mut problems = problems.take();
    if problems.is_empty() {
        return Ok(config);
    }
    problems.sort_by_key(|(line, _)| *line);
    Err(failure(problems.into_iter().map(|(line, problem)| format!("{name}:{line}: {problem}")).collect()))
}

fn known_clusters(config: &Config, problems: &Problems) {
    use crate::config::{Action, Serve};
    let known = |name: &str| config.clusters.iter().any(|cluster| cluster.name == name);
    let mut unknown = Vec::new();
    for listener in &config.listeners {
        match &listener.serve {
            Serve::Tcp(routes) => unknown.extend(routes.iter().map(|route| route.cluster.clone())),
            Serve::Http(http) => {
                for route in http.hosts.iter().flat_map(|host| &host.routes) {
                    if let Action::Forward(forward) = &route.action {
                        unknown.extend(forward.to.iter().map(|(_, name)| name.clone()));
                    }
                }
            }
        }
    }
    unknown.retain(|name| !known(name));
    unknown.sort();
    unknown.dedup();
    for name in unknown.iter().filter(|name| !name.is_empty()) {
        problems.borrow_mut().push((1, format!("route: unknown cluster '{name}'")));
    }
}

fn admin(mut admin: Message) {
    let _ = admin.message("address").map(|mut message| listener::address(&mut message));
    admin.ignore(&["access_log", "access_log_path", "profile_path", "socket_options", "ignore_global_conn_limit"]);
}

/// Where the admin interface listens, if the bootstrap says it and all is well with that.
pub fn admin_address(tree: &Node) -> Option<ListenAddr> {
    let problems = Problems::default();
    let mut root = Message::new(tree.clone(), "", &problems);
    let mut admin = root.message("admin")?;
    let address = listener::address(&mut admin.message("address")?);
    root.ignore_all();
    admin.ignore_all();
    address
}
