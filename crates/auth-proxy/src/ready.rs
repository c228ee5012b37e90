//! From what is meant to what can be served: a reload does all of this before anything changes.

use std::sync::Arc;

use common::{Exit, Failure};
use http_proxy::ListenerSettings;

use crate::{config::Config, gate::Shared, kubernetes::Kubernetes, policy_service::Service, seen::Seen};

/// A configuration whose files are good and whose addresses are ours.
pub struct Ready {
    pub config: Arc<Config>,
    /// Of the files, before they were read.
    pub seen: Seen,
    pub listeners: Vec<ListenerSettings>,
    pub policy: Option<Arc<Service>>,
    pub kubernetes: Option<Arc<Kubernetes>>,
}

impl Shared {
    /// Everything that can be wrong is found here. While serving, new addresses are bound as well; before that a check
    /// must not.
    pub fn ready(&self, load: impl Fn() -> Result<Config, Failure>) -> Result<Ready, Failure> {
        // Which files there are is known only when they have been read: so they are looked at, and read once more.
        let seen = Seen::of(&load()?.watched());
        let config = load()?;
        let (mut listeners, mut problems) = (Vec::new(), Vec::new());
        for (nth, listener) in config.listeners.iter().enumerate() {
            if config.listeners[..nth].iter().any(|other| other.addr == listener.addr) {
                problems.push(format!("{}: expected another address, it is listened on already", listener.addr));
            }
            match self.sockets.settings(listener) {
                Ok(settings) => listeners.push(settings),
                Err(problem) => problems.push(problem),
            }
        }
        let policy = made(config.policy.clone().map(Service::new), &mut problems);
        let kubernetes = made(config.kubernetes.clone().map(Kubernetes::new), &mut problems);
        if problems.is_empty() && self.is_serving() {
            problems.extend(self.sockets.bind(&config.listeners).err().into_iter().flatten());
        }
        if problems.is_empty() {
            return Ok(Ready { config: Arc::new(config), seen, listeners, policy, kubernetes });
        }
        Err(Failure { exit: Exit::Config, problems })
    }
}

fn made<T>(wanted: Option<Result<T, String>>, problems: &mut Vec<String>) -> Option<Arc<T>> {
    let made = wanted.transpose().map_err(|problem| problems.push(problem)).ok()?;
    made.map(Arc::new)
}
