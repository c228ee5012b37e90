//! The live demo: until Ctrl-C, and then the stop order.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

use crate::{
    binaries,
    board::{Board, Event, Kind},
    controls, observe,
    page::Page,
    pod::{Pod, Running, World, temporary_dir},
    restart,
    screen::{Screen, say},
    sidecars::NAMES,
};

/// Before a scene that could not go on begins anew.
const PAUSE: Duration = Duration::from_secs(1);

pub async fn run(page_addr: &values::ListenAddr, bin_dir: Option<&Path>) -> Result<ExitCode, String> {
    let binaries = binaries::find(&NAMES, bin_dir).await?;
    let on = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let (mut int, mut term) = (on(SignalKind::interrupt())?, on(SignalKind::terminate())?);
    let dir = temporary_dir()?;
    let board = Arc::new(Board::new());
    let (page, presses) = Page::serve(page_addr, Arc::clone(&board))?;
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
    parts.spawn(endless(controls::obey(Arc::clone(&pod), presses)));
    for running in &pod.sidecars {
        parts.spawn(restart::keep(Arc::clone(&pod), running.sidecar.name()));
        parts.spawn(endless(play(Arc::clone(&pod), running)));
    }
    let trouble = tokio::select! {
        _ = int.recv() => None,
        _ = term.recv() => None,
        broken = pod.app_ended() => Some(broken),
        Some(ended) = parts.join_next() => Some(match ended {
            Ok(Ok(())) => "a part of the demo has ended".into(),
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

/// The scene of a sidecar, and once more if it could not go on: somebody may have killed whom it needs.
fn play(pod: Arc<Pod>, running: &Running) -> impl Future<Output = ()> + use<> {
    let sidecar = Arc::clone(&running.sidecar);
    async move {
        loop {
            let name = sidecar.name();
            if let Err(problem) = Arc::clone(&sidecar).scene(Arc::clone(&pod)).await {
                pod.board.happened(Event::new(name, Kind::Refused, &[], problem));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn endless(part: impl Future<Output = ()>) -> Result<(), String> {
    part.await;
    Ok(())
}
