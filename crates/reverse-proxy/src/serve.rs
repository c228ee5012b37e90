//! The pipeline: sockets, threads with an engine each, reloads, and the way out.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
};

use common::{Failure, Gate, Life, Live, Phase, Sidecar};
use file_watch::{FileWatch, Options, Target};
use http_proxy::{Engine, World};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, LocalSet},
};
use values::ListenAddr;

use crate::{
    policy::Routing,
    ready::{Ready, Shared},
};

/// `POST /drain`: nothing new from outside.
#[derive(Clone)]
pub struct Drain {
    asked: Arc<watch::Sender<bool>>,
    gate: Gate,
    shared: Arc<Shared>,
}

impl Drain {
    pub fn new(sidecar: &Sidecar, shared: &Arc<Shared>) -> Self {
        let gate = sidecar.gate("drain");
        gate.open();
        Self { asked: Arc::new(watch::Sender::new(false)), gate, shared: Arc::clone(shared) }
    }

    /// Not ready any more, and no new connections from outside. What goes out goes on.
    pub fn begin(&self) {
        if !self.asked.send_replace(true) {
            self.shared.drained.store(true, Ordering::Release);
            self.gate.close("drained by request");
            self.shared.events.draining();
        }
    }

    /// The opposite: for who has drained by mistake, or for a while.
    pub fn end(&self) {
        if self.asked.send_replace(false) {
            self.shared.drained.store(false, Ordering::Release);
            self.gate.open();
            self.shared.events.no_longer_draining();
        }
    }

    /// Only the readiness: for those who take a proxy out of its balancer by hand.
    pub fn fail_health(&self, fail: bool) {
        match fail {
            true => self.gate.close("failed by request"),
            false if !*self.asked.borrow() => self.gate.open(),
            false => {}
        }
    }

    async fn begun(&self) {
        self.is(true).await;
    }

    async fn is(&self, wanted: bool) {
        let mut asked = self.asked.subscribe();
        // An error means that nobody can ask any more.
        if asked.wait_for(|asked| *asked == wanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Binds what is configured and starts everything.
pub fn start(
    sidecar: &mut Sidecar,
    config: Live<Ready>,
    shared: &Arc<Shared>,
    drain: &Drain,
    workers: usize,
) -> Result<(), Failure> {
    raise_descriptors();
    let first = config.get();
    shared.bind(&first.config).map_err(|problems| Failure { exit: common::Exit::Config, problems })?;
    shared.serving.store(true, Ordering::Release);
    for note in &first.config.notes {
        shared.events.note(note);
    }
    let engine = Engine::new(world(&first));
    let (done, all_done) = watch::channel(workers);
    let done = Arc::new(done);
    let mut threads = Vec::new();
    for number in 1..=workers {
        let (tell, told) = mpsc::channel(4);
        threads.push(tell);
        let worker = Worker {
            engine: engine.another(),
            shared: Arc::clone(shared),
            drain: drain.clone(),
            life: sidecar.life(),
            says: number == 1,
        };
        let (first, done) = (Arc::clone(&first), Arc::clone(&done));
        sidecar.spawn_worker(&format!("worker {number}"), move || async move {
            let ended = LocalSet::new().run_until(worker.run(first, told)).await;
            done.send_modify(|left| *left -= 1);
            ended
        })?;
    }
    let (shared, drain) = (Arc::clone(shared), drain.clone());
    let part = Conductor { engine, shared, drain, threads, all_done, life: sidecar.life() };
    sidecar.spawn("serve", part.run(config));
    Ok(())
}

/// A connection is a descriptor, and some runtimes give a process 1,024 where it may have many more.
fn raise_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        limit.current = limit.maximum;
        // Then it stays as it is, and what does not fit is told when it happens.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}

fn world(ready: &Ready) -> World<Routing> {
    World {
        policy: Routing { site: Arc::clone(&ready.site) },
        clusters: ready.clusters.clone(),
        listeners: ready.listeners.clone(),
    }
}

/// On the main thread: reloads, files that change, logs.
struct Conductor {
    engine: Engine<Routing>,
    shared: Arc<Shared>,
    drain: Drain,
    threads: Vec<mpsc::Sender<Arc<Ready>>>,
    all_done: watch::Receiver<usize>,
    life: Life,
}

impl Conductor {
    async fn run(self, mut config: Live<Ready>) -> Result<(), Failure> {
        let mut logs = JoinSet::new();
        let mut writing = 0;
        let mut files = Files::default();
        let (mut drained, mut leaving) = (false, false);
        let shared = Arc::clone(&self.shared);
        let mut gives_back = std::pin::pin!(shared.events.tide.give_back());
        loop {
            self.write_logs(&mut logs, &mut writing);
            files.watch(self.shared.files());
            tokio::select! {
                changed = self.life.until_drain(config.changed()) => match changed {
                    Some(ready) => self.change(&ready).await,
                    None => break,
                },
                () = files.changed() => {
                    self.shared.forget_unused();
                    self.shared.read_files();
                }
                never = &mut gives_back => match never {},
                // Not ready any more, and still here: whoever asks now is told to ask somebody else next time.
                () = self.life.reached(Phase::LameDuck), if !leaving => {
                    leaving = true;
                    self.engine.send_clients_away(true);
                }
                // Whoever connects now shall be refused at once, and not wait in a queue that nobody serves.
                () = self.drain.begun(), if !drained => {
                    drained = true;
                    self.shared.sockets.keep_only(&self.shared.open(&config.get().config));
                }
                () = self.drain.is(false), if drained => {
                    drained = false;
                    let ready = config.get();
                    match self.shared.bind(&ready.config) {
                        Ok(()) => self.change(&ready).await,
                        // Somebody else has the port now: as before, until the next try.
                        Err(problems) => {
                            self.drain.begin();
                            self.shared.events.stays_drained(&problems);
                        }
                    }
                }
            }
        }
        self.shared.sockets.keep_only(&[]);
        while logs.join_next().await.is_some() {}
        Ok(())
    }

    fn write_logs(&self, logs: &mut JoinSet<()>, writing: &mut usize) {
        let writers = self.shared.writers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for writer in writers.iter().skip(*writing) {
            let mut all_done = self.all_done.clone();
            let served = async move { drop(all_done.wait_for(|left| *left == 0).await) };
            logs.spawn(Arc::clone(writer).run(self.life.clone(), served));
        }
        *writing = writers.len();
    }

    async fn change(&self, ready: &Arc<Ready>) {
        for note in &ready.config.notes {
            self.shared.events.note(note);
        }
        self.engine.swap(world(ready));
        for thread in &self.threads {
            // A thread that is gone has ended the process already.
            let _ = thread.send(Arc::clone(ready)).await;
        }
        self.shared.sockets.keep_only(&self.shared.open(&ready.config));
    }
}

/// Certificates, keys, and files of users.
#[derive(Default)]
struct Files {
    paths: Vec<PathBuf>,
    watch: Option<FileWatch>,
}

impl Files {
    fn watch(&mut self, paths: Vec<PathBuf>) {
        if paths == self.paths {
            return;
        }
        let target = |path: &PathBuf| Target { path: path.clone(), recursive: false };
        self.watch =
            (!paths.is_empty()).then(|| FileWatch::new(paths.iter().map(target).collect(), Options::default()));
        self.paths = paths;
    }

    async fn changed(&mut self) {
        match &mut self.watch {
            Some(watch) => drop(watch.changed().await),
            None => std::future::pending().await,
        }
    }
}

/// A thread of the data path.
struct Worker {
    engine: Engine<Routing>,
    shared: Arc<Shared>,
    drain: Drain,
    life: Life,
    /// One of them speaks for all.
    says: bool,
}

impl Worker {
    async fn run(self, first: Arc<Ready>, mut told: mpsc::Receiver<Arc<Ready>>) -> Result<(), Failure> {
        let mut serving = JoinSet::new();
        let mut stops = HashMap::new();
        self.listen(&first, &mut serving, &mut stops)?;
        let draining = self.life.clone();
        let mut draining = std::pin::pin!(draining.reached(Phase::Draining));
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
        serving: &mut JoinSet<std::io::Result<()>>,
        stops: &mut HashMap<ListenAddr, watch::Sender<bool>>,
    ) -> Result<(), Failure> {
        stops.retain(|addr, stop| {
            let found = ready.config.listeners.iter().find(|listener| listener.addr == *addr);
            let is_drained = |inbound| inbound && self.shared.drained.load(Ordering::Acquire);
            let stays = found.is_some_and(|listener| !is_drained(listener.inbound));
            if !stays {
                stop.send_replace(true);
                if self.says {
                    self.shared.events.no_longer_listening(&addr.to_string());
                }
            }
            stays
        });
        for listener in &ready.config.listeners {
            let is_drained = listener.inbound && self.shared.drained.load(Ordering::Acquire);
            if is_drained || stops.contains_key(&listener.addr) {
                continue;
            }
            let socket = self.shared.sockets.get(&listener.addr);
            let (socket, at) = socket.map_err(|error| Failure::bug(format!("{}: {error}", listener.name)))?;
            if self.says {
                self.shared.events.listening(&listener.name, &at);
            }
            let (stop, mut stopped) = watch::channel(false);
            stops.insert(listener.addr.clone(), stop);
            let (engine, name, inbound) = (self.engine.another(), listener.name.clone(), listener.inbound);
            let (life, drain) = (self.life.clone(), self.drain.clone());
            serving.spawn_local(async move {
                let end = async {
                    tokio::select! {
                        () = life.reached(Phase::Draining) => {}
                        () = drain.begun(), if inbound => {}
                        _ = stopped.wait_for(|stop| *stop) => {}
                    }
                };
                engine.serve(&name, socket, end).await
            });
        }
        Ok(())
    }
}

fn check(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> Result<(), Failure> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::bug(format!("a socket is of no use any more: {error}"))),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(Failure::bug(error.to_string())),
        },
    }
}
