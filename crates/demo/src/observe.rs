//! Follows the pod: its log lines as they come, its probes and metrics every second.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    http,
    metrics::Metrics,
    pod::{Pod, Running},
};

const EVERY: Duration = Duration::from_secs(1);

/// Turns log lines into events. Never ends.
pub async fn narrate(pod: Arc<Pod>) {
    let mut mark = pod.journal.mark();
    loop {
        pod.journal.grown(mark).await;
        let now = pod.journal.mark();
        for line in pod.journal.since(mark) {
            for running in &pod.sidecars {
                if let Some(event) = running.sidecar.narrate(&pod, &line) {
                    pod.board.happened(event);
                }
            }
        }
        mark = now;
    }
}

/// Asks for health, metrics and the greeting. Never ends.
pub async fn look(pod: Arc<Pod>) {
    let mut before: Vec<Option<(Instant, f64)>> = vec![None; pod.sidecars.len()];
    loop {
        if let Ok(greeting) = pod.app("/").await {
            pod.board.change(|state| state.app.greeting = greeting);
        }
        let ready = http::get(pod.world.app_addr, "/ready").await;
        pod.board.change(|state| state.app.ready = matches!(ready, Ok((200, _))));
        for (running, before) in pod.sidecars.iter().zip(&mut before) {
            look_at(&pod, running, before).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn look_at(pod: &Pod, running: &Running, before: &mut Option<(Instant, f64)>) {
    let name = running.sidecar.name();
    let (ready, reason) = match http::get(running.process().admin, "/readyz").await {
        Ok((200, _)) => (true, String::new()),
        Ok((_, closed)) => (false, closed.trim().replace('\n', "; ")),
        Err(problem) => (false, problem),
    };
    let metrics = pod.metrics(name).await.unwrap_or_default();
    let cpu = cpu_percent(&metrics, before);
    let facts = running.sidecar.facts(&metrics);
    pod.board.sidecar(name, |view| {
        (view.ready, view.reason, view.facts) = (ready, reason, facts);
        let set = |place: &mut f64, value: Option<f64>| *place = value.unwrap_or(*place);
        set(&mut view.resident, metrics.sum("process_resident_memory_bytes", ""));
        set(&mut view.threads, metrics.sum("process_threads", ""));
        set(&mut view.cpu_percent, cpu);
    });
}

/// Of one core, since the last look.
fn cpu_percent(metrics: &Metrics, before: &mut Option<(Instant, f64)>) -> Option<f64> {
    let (now, spent) = (Instant::now(), metrics.sum("process_cpu_seconds_total", "")?);
    // The kernel counts in steps of 10 ms: over a second that is a percent, over ten seconds a tenth.
    let (then, spent_then) = *before.get_or_insert((now, spent));
    let seconds = (now - then).as_secs_f64();
    if seconds > 10.0 {
        *before = Some((now, spent));
    }
    (seconds > 0.5).then(|| (spent - spent_then) / seconds * 100.0)
}
