//! How the pods are, in the words of `kubectl get pods`.

use std::sync::Arc;

use super::{
    life::{Life, Phase},
    say::Say,
};

/// Says so whenever it changes.
pub async fn follow(life: Arc<Life>, say: Arc<Say>) {
    let mut states: Vec<_> = life.units().map(|unit| unit.state.subscribe()).collect();
    let (mut phase, mut stop) = (life.phase.subscribe(), life.stop.subscribe());
    let mut last = String::new();
    loop {
        let row = row(&life);
        if row != last {
            say.event(&life.instance.name, &row);
            last = row;
        }
        let mut changes: Vec<_> = states.iter_mut().map(|state| Box::pin(state.changed())).collect();
        let any = std::future::poll_fn(|context| {
            let ready = changes.iter_mut().any(|change| change.as_mut().poll(context).is_ready());
            if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        tokio::select! {
            () = any => {}
            _ = phase.changed() => {}
            _ = stop.changed() => {}
        }
    }
}

/// `2/2 Running, 0 restarts`
fn row(life: &Life) -> String {
    let lasting: Vec<_> = life
        .units()
        .filter(|unit| unit.plan.container.is_sidecar || life.apps.iter().any(|app| Arc::ptr_eq(app, unit)))
        .collect();
    let states: Vec<_> = life.units().map(|unit| unit.state.borrow().clone()).collect();
    let ready = lasting.iter().filter(|unit| unit.state.borrow().ready).count();
    let restarts: u32 = states.iter().map(|state| state.restarts).sum();
    let phase = *life.phase.borrow();
    let status = match phase {
        Phase::Succeeded => "Completed".to_owned(),
        Phase::Failed => "Error".to_owned(),
        _ if *life.stop.borrow() => "Terminating".to_owned(),
        _ if states.iter().any(|state| state.waits) => "CrashLoopBackOff".to_owned(),
        Phase::Pending => {
            let done = life.init.iter().filter(|unit| {
                let state = unit.state.borrow();
                if unit.plan.container.is_sidecar { state.started } else { state.code == Some(0) && state.over }
            });
            format!("Init:{}/{}", done.count(), life.init.len())
        }
        Phase::Running => "Running".to_owned(),
    };
    format!("{ready}/{} {status}, {restarts} restarts", lasting.len())
}
