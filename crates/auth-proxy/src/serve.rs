//! The pipeline: sockets, a thread with the engine, reloads, files that change, and the way out.

use std::{collections::HashMap, io, path::PathBuf, sync::Arc};

use common::{Exit, Failure, Life, Live, Phase, Reloader, Sidecar};
use file_watch::{FileWatch, Options, Target};
use http_proxy::{Engine, World};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, LocalSet},
};
use values::ListenAddr;

use crate::{
    gate::{Gate, Shared},
    policy::Door,
    ready::Ready,
    seen::Seen,
};

pub fn start(sidecar: &mut Sidecar, config: Live<Ready>, shared: Arc<Shared>) -> Result<(), Failure> {
    let first = config.get();
    shared.sockets.bind(&first.config.listeners).map_err(|problems| Failure { exit: Exit::Config, problems })?;
    shared.begin_serving();
    let engine = Engine::new(world(&first, &shared));
    let (tell, told) = mpsc::channel(4);
    let worker = Worker { engine: engine.another(), shared: Arc::clone(&shared), life: sidecar.life() };
    sidecar.spawn_worker("proxy", move || async move { LocalSet::new().run_until(worker.run(first, told)).await })?;
    let standing = Arc::clone(&shared);
    sidecar.detail("policy", move || standing.standing.spoken());
    let part = Conductor { engine, shared, tell, reloader: sidecar.reloader(), life: sidecar.life() };
    sidecar.spawn("reload", part.run(config));
    Ok(())
}

fn world(ready: &Ready, shared: &Arc<Shared>) -> World<Door> {
    for note in &ready.config.notes {
        shared.events.note(note);
    }
    shared.standing.begin(ready.policy.as_deref());
    shared.events.fails(ready.policy.as_ref().map(|policy| policy.settings.on_error));
    let (gate, clusters) = Gate::new(ready, shared);
    World { policy: Door(Arc::new(gate)), clusters, listeners: ready.listeners.clone() }
}

/// On the main thread: reloads, and files that change.
struct Conductor {
    engine: Engine<Door>,
    shared: Arc<Shared>,
    tell: mpsc::Sender<Arc<Ready>>,
    reloader: Reloader,
    life: Life,
}

impl Conductor {
    async fn run(self, mut config: Live<Ready>) -> Result<(), Failure> {
        let mut files = Files::default();
        loop {
            let ready = config.get();
            let watched = ready.config.watched();
            if files.watch(&watched) && Seen::of(&watched) != ready.seen {
                let _ = self.reloader.reload("a file has changed");
            }
            tokio::select! {
                changed = self.life.until_drain(config.changed()) => match changed {
                    Some(ready) => {
                        self.engine.swap(world(&ready, &self.shared));
                        // A thread that is gone has ended the process already.
                        let _ = self.tell.send(Arc::clone(&ready)).await;
                        self.shared.sockets.keep_only(&ready.config.listeners);
                    }
                    None => break,
                },
                // What is wrong with them is said there, and then all stays as it was.
                () = files.changed() => drop(self.reloader.reload("a file has changed")),
            }
        }
        self.shared.sockets.keep_only(&[]);
        Ok(())
    }
}

/// Certificates, keys, lists of people: whatever the configuration names and somebody may replace.
#[derive(Default)]
struct Files {
    paths: Vec<PathBuf>,
    watch: Option<FileWatch>,
}

impl Files {
    /// Whether it has begun with others than before.
    fn watch(&mut self, paths: &[PathBuf]) -> bool {
        if paths == self.paths {
            return false;
        }
        let target = |path: &PathBuf| Target { path: path.clone(), recursive: false };
        self.watch =
            (!paths.is_empty()).then(|| FileWatch::new(paths.iter().map(target).collect(), Options::default()));
        self.paths = paths.to_vec();
        true
    }

    async fn changed(&mut self) {
        match &mut self.watch {
            Some(watch) => drop(watch.changed().await),
            None => std::future::pending().await,
        }
    }
}

/// The thread of the data path.
struct Worker {
    engine: Engine<Door>,
    shared: Arc<Shared>,
    life: Life,
}

impl Worker {
    async fn run(self, first: Arc<Ready>, mut told: mpsc::Receiver<Arc<Ready>>) -> Result<(), Failure> {
        let mut serving = JoinSet::new();
        let mut stops = HashMap::new();
        self.listen(&first, &mut serving, &mut stops)?;
        let mut draining = std::pin::pin!(self.life.reached(Phase::Draining));
        loop {
            tokio::select! {
                Some(ready) = told.recv() => self.listen(&ready, &mut serving, &mut stops)?,
                Some(ended) = serving.join_next() => check(ended)?,
                () = &mut draining => break,
            }
        }
        let _busy = self.life.busy("requests in flight");
        while let Some(ended) = serving.join_next().await {
            check(ended)?;
        }
        Ok(())
    }

    /// Begins to serve what is new, and ends what is not there any more.
    fn listen(
        &self,
        ready: &Ready,
        serving: &mut JoinSet<io::Result<()>>,
        stops: &mut HashMap<ListenAddr, watch::Sender<bool>>,
    ) -> Result<(), Failure> {
        let listeners = &ready.config.listeners;
        stops.retain(|addr, stop| {
            let stays = listeners.iter().any(|listener| listener.addr == *addr);
            if !stays {
                stop.send_replace(true);
                self.shared.events.no_longer_listening(addr);
            }
            stays
        });
        for listener in listeners {
            if stops.contains_key(&listener.addr) {
                continue;
            }
            let got = self.shared.sockets.get(&listener.addr);
            let (socket, at) = got.map_err(|error| Failure::bug(error.to_string()))?;
            self.shared.events.listening(listener.what, &at);
            let (stop, mut stopped) = watch::channel(false);
            stops.insert(listener.addr.clone(), stop);
            let (engine, name, life) = (self.engine.another(), listener.name(), self.life.clone());
            serving.spawn_local(async move {
                let end = async {
                    tokio::select! {
                        () = life.reached(Phase::Draining) => {}
                        _ = stopped.wait_for(|stop| *stop) => {}
                    }
                };
                engine.serve(&name, socket, end).await
            });
        }
        Ok(())
    }
}

fn check(ended: Result<io::Result<()>, tokio::task::JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::bug(format!("a socket is of no use any more: {error}"))),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Failure::bug(error.to_string())),
        },
    }
}
