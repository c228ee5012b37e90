//! The sidecars. A new one is one file here and one line in [`all`].

mod auth_proxy;
mod config_reloader;
mod log_shipper;
mod metrics_adapter;
mod reverse_proxy;

use std::{ffi::OsString, pin::Pin, sync::Arc, time::Instant};

use crate::{
    board::{Control, Event, Fact, Link, Plot, Wire},
    journal::Line,
    metrics::Metrics,
    pod::{Pod, World},
};

/// In the order of their start, which is that of the manifest; they stop the other way round.
pub fn all(world: &World) -> Result<Vec<Arc<dyn Sidecar>>, String> {
    Ok(vec![
        Arc::new(config_reloader::ConfigReloader::new(world)?),
        Arc::new(log_shipper::LogShipper::new(world)?),
        Arc::new(metrics_adapter::MetricsAdapter::new(world)?),
        Arc::new(reverse_proxy::ReverseProxy::new(world)?),
        Arc::new(auth_proxy::AuthProxy::new(world)?),
    ])
}

/// Their names, for building them.
pub const NAMES: [&str; 5] =
    [config_reloader::NAME, log_shipper::NAME, metrics_adapter::NAME, reverse_proxy::NAME, auth_proxy::NAME];

pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What the demo has to know of a sidecar. Starting, stopping, readiness and the process's own figures are the same
/// for all and not its business.
pub trait Sidecar: Send + Sync {
    fn name(&self) -> &'static str;

    /// What it does, in a few words.
    fn job(&self) -> &'static str;

    /// Its arrows in the picture. `app` and `volume` are known; any other name is a thing outside the pod.
    fn wires(&self) -> &'static [Wire];

    /// Its command line, but for the admin address.
    fn args(&self, world: &World) -> Vec<OsString>;

    /// What a log line, its own or the app's, means for those who watch.
    fn narrate(&self, pod: &Pod, line: &Line) -> Option<Event>;

    /// What it does most of, by the second, and how often it has done so: what its metrics count.
    fn work(&self, _metrics: &Metrics) -> Option<(Plot, f64)> {
        None
    }

    /// What the times are that are plotted.
    fn times_of(&self) -> Plot;

    /// Median and the slowest of a hundred in the last seconds, in ms; asked once a second.
    fn times(&self, _pod: &Pod) -> Option<(f64, f64)> {
        None
    }

    /// What whoever watches can do with it.
    fn controls(&self) -> Vec<Control> {
        Vec::new()
    }

    /// Does it, with what was typed.
    fn press<'a>(&'a self, _pod: &'a Pod, action: &'a str, _typed: &'a str) -> Doing<'a, Result<(), String>> {
        Box::pin(async move { Err(format!("{action}: nothing that can be done")) })
    }

    /// What there is to see of it for people.
    fn link(&self) -> Option<Link> {
        None
    }

    /// It has been killed, and is there again.
    fn came_back(&self) {}

    /// What to show of its metrics.
    fn facts(&self, metrics: &Metrics) -> Vec<Fact>;

    /// Makes things happen, for as long as the demo runs.
    fn scene(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<(), String>>;

    /// Goes through its script once. The figures to print, or what went wrong.
    fn proof(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<Vec<String>, String>>;

    /// While it stops, what others do to it.
    fn at_the_end<'a>(&'a self, _pod: &'a Pod) -> Doing<'a, ()> {
        Box::pin(async {})
    }

    /// When it has stopped, which it was asked to do at that moment: what became of its work, or what is wrong with it.
    fn afterwards(&self, _pod: &Pod, _asked: Instant) -> Result<Option<String>, String> {
        Ok(None)
    }
}
