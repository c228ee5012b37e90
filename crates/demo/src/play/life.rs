//! A pod's life, as a kubelet leads it: init containers one by one, native sidecars that gate the next, the apps, the
//! end of all in the right order.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinSet};

use super::{
    holder::Holder,
    instance::Instance,
    model::Restart,
    say::Say,
    unit::{State, Unit},
};

/// What became of a pod.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

enum Outcome {
    /// To its own end, good or bad.
    Came(bool),
    TookTooLong,
    Stopped,
}

pub struct Life {
    pub instance: Instance,
    pub init: Vec<Arc<Unit>>,
    pub apps: Vec<Arc<Unit>>,
    pub phase: watch::Sender<Phase>,
    pub stop: watch::Sender<bool>,
    pub grace: Duration,
    pub say: Arc<Say>,
    /// As long as it is there, so is the pod's network.
    pub holder: Holder,
}

impl Life {
    /// Everything, from the first container to the last.
    pub async fn lead(self: &Arc<Self>) -> Phase {
        // Those of sidecars: they go on when what they were started for has come to its end.
        let keepers = Mutex::new(JoinSet::new());
        let began = Instant::now();
        let deadline = self.instance.pod.deadline;
        let living = async {
            let good = self.start_init(&keepers).await;
            if good { self.run_apps().await } else { false }
        };
        tokio::pin!(living);
        let mut stopping = self.stop.subscribe();
        let over_time = async {
            match deadline {
                Some(deadline) => tokio::time::sleep(deadline.saturating_sub(began.elapsed())).await,
                None => std::future::pending().await,
            }
        };
        let outcome = tokio::select! {
            good = &mut living => Outcome::Came(good),
            () = over_time => {
                self.say.event(&self.instance.name, "DeadlineExceeded: activeDeadlineSeconds are over");
                Outcome::TookTooLong
            }
            _ = stopping.wait_for(|stop| *stop) => Outcome::Stopped,
        };
        match outcome {
            // Those that are still there are sidecars.
            Outcome::Came(_) => self.end_all().await,
            _ => drop(tokio::join!(self.end_all(), living)),
        }
        let mut keepers = std::mem::take(&mut *keepers.lock().unwrap_or_else(PoisonError::into_inner));
        while keepers.join_next().await.is_some() {}
        let mut codes = self.apps.iter().map(|unit| unit.state.borrow().code);
        let good = match outcome {
            Outcome::Came(good) => good,
            Outcome::TookTooLong => false,
            Outcome::Stopped => codes.all(|code| code == Some(0)),
        };
        let phase = if good { Phase::Succeeded } else { Phase::Failed };
        self.phase.send_replace(phase);
        phase
    }

    /// False if one of them failed for good.
    async fn start_init(&self, keepers: &Mutex<JoinSet<i32>>) -> bool {
        for unit in &self.init {
            if unit.is_stopping() {
                return false;
            }
            if unit.plan.container.is_sidecar {
                let keeper = Arc::clone(unit);
                let keeping = async move { keeper.keep(Restart::Always).await };
                keepers.lock().unwrap_or_else(PoisonError::into_inner).spawn(keeping);
                if !until(unit, |state| state.started).await {
                    return false;
                }
                continue;
            }
            let policy = match self.instance.pod.restart {
                Restart::Never => Restart::Never,
                _ => Restart::OnFailure,
            };
            if unit.keep(policy).await != 0 {
                return false;
            }
        }
        true
    }

    /// Each is started when the one before it has been, and its `postStart` is done. Whether all of them ended well.
    async fn run_apps(&self) -> bool {
        self.phase.send_replace(Phase::Running);
        let mut keepers = JoinSet::new();
        let policy = self.instance.pod.restart;
        for unit in &self.apps {
            let keeper = Arc::clone(unit);
            keepers.spawn(async move { keeper.keep(policy).await });
            until(unit, |state| state.hooked || state.code.is_some()).await;
        }
        let mut good = true;
        while let Some(code) = keepers.join_next().await {
            good &= code.is_ok_and(|code| code == 0);
        }
        good
    }

    /// Every `preStop` at once; the apps' signals after that; sidecars in reverse order when everybody after them is gone,
    /// or when the grace period is.
    async fn end_all(&self) {
        self.stop.send_replace(true);
        let mut ends = JoinSet::new();
        let (mains, sidecars): (Vec<_>, Vec<_>) =
            self.init.iter().chain(&self.apps).cloned().partition(|unit| !unit.plan.container.is_sidecar);
        for unit in &mains {
            let (unit, grace) = (Arc::clone(unit), self.grace);
            ends.spawn(async move { end(&unit, grace, Vec::new()).await });
        }
        for (at, unit) in sidecars.iter().enumerate() {
            let before: Vec<_> = mains.iter().chain(&sidecars[at + 1..]).cloned().collect();
            let (unit, grace) = (Arc::clone(unit), self.grace);
            ends.spawn(async move { end(&unit, grace, before).await });
        }
        while ends.join_next().await.is_some() {}
    }

    pub fn units(&self) -> impl Iterator<Item = &Arc<Unit>> {
        self.init.iter().chain(&self.apps)
    }

    pub fn is_ready(&self) -> bool {
        let lasting = self.units().filter(|unit| unit.plan.container.is_sidecar).chain(&self.apps);
        *self.phase.borrow() == Phase::Running && lasting.into_iter().all(|unit| unit.state.borrow().ready)
    }
}

async fn end(unit: &Unit, grace: Duration, before: Vec<Arc<Unit>>) {
    let running = unit.state.borrow().running.clone();
    if let Some(process) = running {
        let turn = async {
            for other in &before {
                let mut state = other.state.subscribe();
                let _ = state.wait_for(|state| state.running.is_none()).await;
            }
        };
        unit.end(&process, grace, turn).await;
    }
}

/// Whether it came to that, before it was over or the pod was to end.
async fn until(unit: &Unit, wanted: impl Fn(&State) -> bool) -> bool {
    let (mut state, mut stopping) = (unit.state.subscribe(), unit.stopping.clone());
    tokio::select! {
        biased;
        reached = state.wait_for(|state| wanted(state) || state.over) => reached.is_ok_and(|state| wanted(&state)),
        _ = stopping.wait_for(|stop| *stop) => false,
    }
}
