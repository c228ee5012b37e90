//! The live demo: until Ctrl-C, and then the stop order.

use std::{path::Path, process::ExitCode, sync::Arc};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::{
    binaries,
    board::Board,
    observe,
    page::Page,
    pod::{Pod, World, temporary_dir},
    screen::{Screen, say},
    sidecars::NAMES,
};

pub async fn run(page_addr: &values::ListenAddr, bin_dir: Option<&Path>) -> Result<ExitCode, String> {
    let binaries = binaries::find(&NAMES, bin_dir).await?;
    let on = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let (mut int, mut term) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let dir = temporary_dir()?;
    let board = Arc::new(Board::new());
    let page = Page::serve(page_addr, Arc::clone(&board))?;
    board.change(|state| (state.phase, state.page) = ("running", page.url.clone()));

    let world = World::new(dir.path())?;
    let pod = tokio::select! {
        pod = Pod::start(world, &binaries, Arc::clone(&board)) => Arc::new(pod?),
        _ = int.recv() => return Err("interrupted while starting".into()),
        _ = term.recv() => return Err("asked to stop while starting".into()),
    };
    let app = board.state().app.url;
    say(&format!("page {}   app {app}   Ctrl-C stops all of it in order\n", page.url));

    let mut screen = Screen::start(Arc::clone(&board));
    let mut parts = JoinSet::new();
    parts.spawn(endless(observe::narrate(Arc::clone(&pod))));
    parts.spawn(endless(observe::look(Arc::clone(&pod))));
    for running in &pod.sidecars {
        parts.spawn(Arc::clone(&running.sidecar).scene(Arc::clone(&pod)));
    }
    let trouble = tokio::select! {
        _ = int.recv() => None,
        _ = term.recv() => None,
        broken = pod.broken() => Some(broken),
        Some(ended) = parts.join_next() => Some(match ended {
            Ok(Ok(())) => "a scene has ended".into(),
            Ok(Err(problem)) => problem,
            Err(error) => error.to_string(),
        }),
    };

    // The scenes first: nothing new may happen while things stop.
    parts.shutdown().await;
    screen.leave();
    board.change(|state| state.phase = "stopping");
    if let Some(trouble) = &trouble {
        say(&format!("the reason: {trouble}\n"));
    }
    let stops = tokio::select! {
        stops = pod.stop() => stops,
        // Asked twice means now.
        _ = int.recv() => { pod.kill(); pod.stop().await }
        _ = term.recv() => { pod.kill(); pod.stop().await }
    };
    board.change(|state| state.phase = "stopped");
    screen.end();
    page.close().await;
    dir.close().map_err(|error| format!("left something behind: {error}"))?;
    let killed = stops.iter().any(|(_, stopped)| stopped.code.is_none());
    let good = trouble.is_none() && !killed;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn endless(part: impl Future<Output = ()>) -> Result<(), String> {
    part.await;
    Ok(())
}
