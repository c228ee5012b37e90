//! Follows the pod: its log lines as they come, its probes and metrics every second.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    app,
    board::Fact,
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
    let mut before = vec![Before::default(); pod.sidecars.len()];
    let mut greeted = None;
    loop {
        if let (Ok(greeting), Ok(metrics)) = (pod.app("/").await, pod.app("/metrics").await) {
            let metrics = Metrics::parse(&metrics);
            let of = |name: &str| metrics.sum(name, "").unwrap_or_default();
            let (greetings, lines) = (of(app::REQUESTS), of(app::WRITTEN));
            let rate = per_second(greetings, &mut greeted);
            pod.board.change(|state| {
                let app = &mut state.app;
                app.greeting = greeting;
                app.facts =
                    vec![Fact::new("greetings", greetings.to_string()), Fact::new("log lines", lines.to_string())];
                (app.rate.name, app.rate.unit) = ("greetings", "/s");
                rate.into_iter().for_each(|rate| app.rate.push(rate));
            });
        }
        let ready = http::get(pod.world.app_addr, "/ready").await;
        pod.board.change(|state| state.app.ready = matches!(ready, Ok((200, _))));
        for (running, before) in pod.sidecars.iter().zip(&mut before) {
            look_at(&pod, running, before).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What was counted at an earlier look, and when.
#[derive(Clone, Default)]
struct Before {
    cpu: Option<(Instant, f64)>,
    work: Option<(Instant, f64)>,
}

async fn look_at(pod: &Pod, running: &Running, before: &mut Before) {
    let name = running.sidecar.name();
    let (ready, reason) = match http::get(running.process().admin, "/readyz").await {
        Ok((200, _)) => (true, String::new()),
        Ok((_, closed)) => (false, closed.trim().replace('\n', "; ")),
        Err(problem) => (false, problem),
    };
    let metrics = pod.metrics(name).await.unwrap_or_default();
    let cpu = cpu_percent(&metrics, &mut before.cpu);
    let work = running.sidecar.work(&metrics).map(|(plot, count)| (plot, per_second(count, &mut before.work)));
    let (facts, times) = (running.sidecar.facts(&metrics), running.sidecar.times(pod));
    pod.board.sidecar(name, |view| {
        (view.ready, view.reason, view.facts) = (ready, reason, facts);
        let set = |place: &mut f64, value: Option<f64>| *place = value.unwrap_or(*place);
        set(&mut view.resident, metrics.sum("process_resident_memory_bytes", ""));
        set(&mut view.threads, metrics.sum("process_threads", ""));
        set(&mut view.cpu_percent, cpu);
        if let Some((plot, Some(rate))) = work {
            (view.rate.name, view.rate.unit) = (plot.name, plot.unit);
            view.rate.push(rate);
        }
        if let Some(times) = times {
            view.plot.push_with_tail(times);
        }
    });
}

/// Since the last look. One that has been started anew counts from nothing.
fn per_second(count: f64, before: &mut Option<(Instant, f64)>) -> Option<f64> {
    let now = Instant::now();
    let (then, last) = before.replace((now, count))?;
    let seconds = (now - then).as_secs_f64();
    (count >= last && seconds > 0.1).then(|| (count - last) / seconds)
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
    // One that has been started anew has spent nothing so far.
    (seconds > 0.5).then(|| (spent - spent_then).max(0.0) / seconds * 100.0)
}
