//! Readiness: named gates that are open or closed, both ways, and checks that are asked at every probe.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
type Detail = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Why the process is not ready, if it is not.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// A closed gate has the reason why.
    gates: BTreeMap<String, Option<String>>,
    checks: Vec<(String, Check)>,
    details: Vec<(String, Detail)>,
    /// What was found when somebody looked last.
    was_ready: Option<bool>,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new gate is closed: something must say that all is well.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        self.set(name, Some("starting".into()));
        Gate { health: self.clone(), name: name.into() }
    }

    pub(crate) fn check(&self, name: &str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.state().checks.push((name.into(), Arc::new(check)));
    }

    pub(crate) fn detail(&self, name: &str, detail: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.state().details.push((name.into(), Arc::new(detail)));
    }

    /// What there is to know beside ready or not, a line each.
    pub(crate) fn details(&self) -> Vec<String> {
        let details = self.state().details.clone();
        details.iter().filter_map(|(name, detail)| Some(format!("{name}: {}", detail()?))).collect()
    }

    fn set(&self, name: &str, reason: Option<String>) {
        let before = self.state().gates.insert(name.into(), reason.clone());
        // A check may set a gate to what it is, and whoever hears of a change asks the checks: that must come to an end.
        if before != Some(reason) {
            self.0.changed.notify_one();
        }
    }

    /// Waits until some gate has moved, or a probe has found another answer than before.
    pub(crate) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Every reason not to be ready, named. Empty means ready.
    pub(crate) fn closed(&self) -> Vec<String> {
        let state = self.state();
        let gates = state.gates.iter();
        let mut closed: Vec<String> =
            gates.filter_map(|(name, reason)| Some(format!("{name}: {}", reason.as_ref()?))).collect();
        let checks = state.checks.clone();
        // Asked without the lock: a check may move a gate, or take its time.
        drop(state);
        let failed = checks.iter().filter_map(|(name, check)| Some((name, asked(check).err()?)));
        closed.extend(failed.map(|(name, reason)| format!("{name}: {reason}")));
        let ready = closed.is_empty();
        if self.state().was_ready.replace(ready) != Some(ready) {
            self.0.changed.notify_one();
        }
        closed
    }
}

/// A check with a bug must not take the process with it.
fn asked(check: &Check) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| check())).unwrap_or_else(|_| Err("panicked".into()))
}

/// One reason not to be ready.
#[derive(Clone)]
pub struct Gate {
    health: Health,
    name: String,
}

impl Gate {
    pub fn open(&self) {
        self.health.set(&self.name, None);
    }

    pub fn close(&self, reason: impl Into<String>) {
        self.health.set(&self.name, Some(reason.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_gates_are_named_and_can_close_again() {
        let health = Health::default();
        let gate = health.gate("config");
        assert_eq!(health.closed(), ["config: starting"]);
        gate.open();
        assert!(health.closed().is_empty());
        gate.close("lost the file");
        health.check("disk", || Err("full".into()));
        assert_eq!(health.closed(), ["config: lost the file", "disk: full"]);
    }
}
