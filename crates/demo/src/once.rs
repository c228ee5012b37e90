//! `--once`: goes through a script with each sidecar, and says PASS or FAIL.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, timeout},
};

use crate::{
    binaries,
    board::{Board, mebibytes},
    child::Stopped,
    pod::{APP, Pod, World, temporary_dir},
    screen::say,
    sidecars::NAMES,
};

/// For one sidecar; the scripts take two to four seconds.
const PATIENCE: Duration = Duration::from_secs(10);

type Results = Vec<(&'static str, Result<Vec<String>, String>)>;

pub async fn run(bin_dir: Option<&Path>) -> Result<ExitCode, String> {
    let binaries = binaries::find(&NAMES, bin_dir).await?;
    let dir = temporary_dir()?;
    let began = Instant::now();
    let on = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let (mut int, mut term) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let script = async {
        let world = World::new(dir.path())?;
        let pod = Arc::new(Pod::start(world, &binaries, Arc::new(Board::new())).await?);
        let mut results = prove(&pod, binaries.build).await;
        for (name, stopped) in pod.stop().await {
            judge(&mut results, name, &stopped);
        }
        let failed = results.iter().any(|(_, result)| result.is_err());
        if failed {
            say_last_lines(&pod);
        }
        Ok::<_, String>(results)
    };
    let results = tokio::select! {
        results = script => match results {
            Ok(results) => results,
            Err(problem) => {
                say(&format!("FAIL {problem}\n"));
                return Ok(ExitCode::FAILURE);
            }
        },
        _ = int.recv() => return Err("interrupted".into()),
        _ = term.recv() => return Err("asked to stop".into()),
    };
    let passed = results.iter().filter(|(_, result)| result.is_ok()).count();
    for (name, result) in &results {
        match result {
            Ok(figures) => say(&format!("PASS {name}: {}\n", figures.join(", "))),
            Err(problem) => say(&format!("FAIL {name}: {problem}\n")),
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    say(&format!("{passed} of {} passed in {seconds:.1} s\n", results.len()));
    dir.close().map_err(|error| format!("left something behind: {error}"))?;
    let all = passed == results.len();
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn prove(pod: &Arc<Pod>, build: &str) -> Results {
    let mut results = Vec::new();
    for running in &pod.sidecars {
        let name = running.sidecar.name();
        let proof = Arc::clone(&running.sidecar).proof(Arc::clone(pod));
        let late = |_| Err(format!("not done within {} s", PATIENCE.as_secs()));
        let mut result = timeout(PATIENCE, proof).await.unwrap_or_else(late);
        if let Ok(figures) = &mut result {
            figures.insert(0, format!("ready in {} ms", running.process().ready_after.as_millis()));
            let metrics = pod.metrics(name).await.unwrap_or_default();
            let resident = metrics.sum("process_resident_memory_bytes", "").unwrap_or_default();
            figures.push(format!("RSS {} {build}", mebibytes(resident)).trim_end().to_owned());
        }
        results.push((name, result));
    }
    results
}

/// How it stopped is part of the promise.
fn judge(results: &mut Results, name: &'static str, stopped: &Stopped) {
    let ms = stopped.took.as_secs_f64() * 1000.0;
    let how = format!("SIGTERM ended it with {} in {ms:.0} ms", stopped.code_text());
    let (good, words) = (stopped.is_good(), stopped.words());
    match results.iter_mut().find(|(found, _)| *found == name) {
        Some((_, Ok(figures))) if good => {
            figures.push(how);
            figures.extend(stopped.work.clone().ok().flatten());
        }
        Some((_, result @ Ok(_))) => *result = Err(format!("{how}: {words}")),
        // The app is no sidecar: only what is wrong with it is worth a line.
        None if name == APP && !good => results.push((name, Err(format!("{how}: {words}")))),
        _ => {}
    }
}

fn say_last_lines(pod: &Pod) {
    for name in NAMES.iter().chain([&APP]) {
        for line in pod.journal.last(name, 15) {
            eprintln!("  {name}: {} {}", line.level, line.to_text());
        }
    }
}
