//! The sidecars that exist so far. A new one is one file here and one line in [`all`].

mod config_reloader;
mod log_shipper;
mod metrics_adapter;
mod reverse_proxy;

use std::{ffi::OsString, pin::Pin, sync::Arc, time::Instant};

use crate::{
    board::{Event, Fact, Wire},
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
    ])
}

/// Their names, for building them.
pub const NAMES: [&str; 4] = [config_reloader::NAME, log_shipper::NAME, metrics_adapter::NAME, reverse_proxy::NAME];

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
