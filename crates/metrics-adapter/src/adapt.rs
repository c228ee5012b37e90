//! The parts, put together: sockets, store, relays, and the pages that answer.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use common::{Failure, Live, Sidecar};
use exposition::{Offer, OpenMetrics};
use tokio::sync::watch;

use crate::{
    config::Config,
    dialect::{Dialect, web_config},
    events,
    expose::{self, Exposing, WebDoor},
    facts::Facts,
    figures, last_scrape,
    listen::Bound,
    relay::Relay,
    reload::{self, Failures},
    render::Body,
    shared::Shared,
    status,
    store::{Reserved, Store},
};

pub fn run(
    config: Live<Config>,
    bound: Bound,
    dialect: Option<&Dialect>,
    failures: Failures,
    sidecar: &mut Sidecar,
) -> Result<(), Failure> {
    let now = config.get();
    events::started(&now);
    // Before anything is awaited: until then the port is open.
    if let Some(file) = now.web.clone() {
        sidecar.admin().guard(guarded(file)?);
    }
    let relays: Vec<_> = now.relays.iter().cloned().map(Relay::new).collect();
    let store = Store::new(now.rules.clone(), now.limits, reserved(sidecar, dialect));
    let shared = Shared::new(store, relays, failures);
    let (close, closing) = watch::channel(false);

    pages(sidecar, &shared, &bound, dialect);
    for relay in &shared.relays {
        sidecar.spawn("relay", Arc::clone(relay).run(closing.clone()));
    }
    bound.start(sidecar, &shared, &closing)?;
    let (life, reloader) = (sidecar.life(), sidecar.reloader());
    sidecar.spawn("reload", reload::take_over(config.clone(), Arc::clone(&shared), life.clone()));
    sidecar.spawn("files", reload::watch_files(config.clone(), reloader, life.clone()));
    sidecar.spawn("expiry", reload::expire(Arc::clone(&shared), closing));
    sidecar.spawn("last scrape", last_scrape::wait(shared, config, life, close));
    Ok(())
}

fn guarded(file: PathBuf) -> Result<WebDoor, Failure> {
    let spelled = file.display().to_string();
    let load = move || web_config::read(&file).map_err(|failure| failure.problems.join("; "));
    let door =
        WebDoor::new(load, events::at_the_door).map_err(|problem| Failure::config(format!("{spelled}: {problem}")))?;
    events::guarded(&spelled, door.is_secured());
    Ok(door)
}

/// What readers of metrics are offered: those of a peer, what they had from it.
fn exposing(dialect: Option<&Dialect>) -> Exposing {
    let openmetrics = if dialect.is_some() { OpenMetrics::Alone } else { OpenMetrics::Preferred };
    Exposing { offer: Offer { openmetrics, ..Offer::default() }, ..Exposing::default() }
}

/// Names that lines cannot have: those of this process.
fn reserved(sidecar: &Sidecar, dialect: Option<&Dialect>) -> Reserved {
    let mut prefixes = vec!["metrics_adapter_"];
    prefixes.extend(dialect.map(Dialect::metrics_prefix));
    Reserved::new(sidecar.metrics().gather().iter().map(|family| family.name().to_owned()), prefixes)
}

fn pages(sidecar: &Sidecar, shared: &Arc<Shared>, bound: &Bound, dialect: Option<&Dialect>) {
    let (registry, drops, peer) = (sidecar.metrics().clone(), bound.drops.clone(), dialect.cloned());
    let metrics = {
        let shared = Arc::clone(shared);
        move || {
            let facts = Facts::now(&shared, &drops);
            let mut others = figures::families(&facts);
            others.extend(figures::of_registry(&registry));
            others.extend(peer.iter().flat_map(|peer| peer.metrics(&facts)));
            Body::new(&shared, others)
        }
    };
    let routes = sidecar.admin();
    for path in [Some("/metrics"), dialect.map(Dialect::metrics_path)].into_iter().flatten().collect::<BTreeSet<_>>() {
        let metrics = metrics.clone();
        routes.stream(path, expose::handler(exposing(dialect), metrics));
    }
    status::attach(routes, shared);
    if let Some(dialect) = dialect {
        dialect.attach(sidecar, shared);
    }
}
