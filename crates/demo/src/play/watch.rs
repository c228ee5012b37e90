//! What a kubelet asks a running container: whether it has started, whether it lives, whether it is ready.

use std::{future::pending, sync::Arc, time::Duration};

use super::{model::Probe, process::Process, unit::Unit};

impl Unit {
    /// Returns when it has to be killed: why, and how long it has.
    pub async fn watch(&self, process: &Arc<Process>) -> (String, Duration) {
        let container = &self.plan.container;
        if let Some(hook) = &container.post_start {
            // As long as it takes: a kubelet waits too, and the container's end ends it.
            if let Err(problem) = self.actor(process).act(hook, Duration::from_secs(3600)).await {
                return (format!("FailedPostStartHook: {problem}"), self.grace);
            }
            self.event("postStart done");
            self.state.send_modify(|state| state.hooked = true);
        }
        if let Some(probe) = &container.startup {
            let problem = self.first_success(process, probe).await;
            if let Some(problem) = problem {
                return (format!("Unhealthy: startup probe failed: {problem}"), probe.grace.unwrap_or(self.grace));
            }
            self.event("startup probe passed");
        }
        let ready = container.readiness.is_none();
        self.state.send_modify(|state| (state.started, state.ready) = (true, ready));
        tokio::select! {
            killed = self.stay_alive(process) => killed,
            () = self.stay_ready(process) => pending().await,
        }
    }

    /// None if it came.
    async fn first_success(&self, process: &Process, probe: &Probe) -> Option<String> {
        tokio::time::sleep(probe.initial_delay).await;
        let mut failures = 0;
        loop {
            match self.ask(process, probe).await {
                Ok(()) => return None,
                Err(problem) => {
                    failures += 1;
                    if failures >= probe.failures && !self.no_more_questions() {
                        return Some(problem);
                    }
                }
            }
            tokio::time::sleep(probe.period).await;
        }
    }

    async fn stay_alive(&self, process: &Process) -> (String, Duration) {
        let Some(probe) = &self.plan.container.liveness else { return pending().await };
        tokio::time::sleep(probe.initial_delay).await;
        let mut failures = 0;
        loop {
            match self.ask(process, probe).await {
                Ok(()) => failures = 0,
                Err(problem) => {
                    failures += 1;
                    self.event(&format!("Unhealthy: liveness probe failed: {problem}"));
                    if failures >= probe.failures && !self.no_more_questions() {
                        return ("liveness probe failed".into(), probe.grace.unwrap_or(self.grace));
                    }
                }
            }
            tokio::time::sleep(probe.period).await;
        }
    }

    async fn stay_ready(&self, process: &Process) {
        let Some(probe) = &self.plan.container.readiness else { return pending().await };
        tokio::time::sleep(probe.initial_delay).await;
        let (mut successes, mut failures) = (0, 0);
        loop {
            let asked = self.ask(process, probe).await;
            (successes, failures) = if asked.is_ok() { (successes + 1, 0) } else { (0, failures + 1) };
            let was = self.state.borrow().ready;
            if !was && successes >= probe.successes {
                self.state.send_modify(|state| state.ready = true);
            }
            if let Err(problem) = asked
                && was
                && failures >= probe.failures
            {
                self.event(&format!("Unhealthy: readiness probe failed: {problem}"));
                self.state.send_modify(|state| state.ready = false);
            }
            tokio::time::sleep(probe.period).await;
        }
    }

    async fn ask(&self, process: &Process, probe: &Probe) -> Result<(), String> {
        self.actor(process).act(&probe.action, probe.timeout).await
    }

    /// An app is left alone when its pod ends; a native sidecar is asked whether it lives until it is gone.
    fn no_more_questions(&self) -> bool {
        self.is_stopping() && !self.plan.container.is_sidecar
    }
}
