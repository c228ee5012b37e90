//! A sidecar from its first instruction to its exit code.

use std::{
    ffi::OsString,
    io::{self, Write},
    net::TcpListener,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::Registry;
use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use values::ListenAddr;

use crate::{
    Exit, Failure, Gate, Life,
    admin::{self, Admin, AdminRoutes},
    args::{Arguments, CommonArgs, Listen, called_as_peer, check_asked},
    caps, config,
    health::Health,
    life::Reins,
    log,
    metrics::Metrics,
    probe,
    settings::{Defaults, Settings},
    signals::Signals,
    supervise::{Parts, Supervisor},
};

/// The main function of every sidecar. `start` wires the parts together; it must have no effect on the outside before
/// it has called [`Sidecar::live`], because with `--check-config` that is where it ends.
pub fn main<A: Arguments>(start: impl AsyncFnOnce(A, &mut Sidecar) -> Result<(), Failure>) -> ExitCode {
    let born = Instant::now();
    let argv: Vec<OsString> = std::env::args_os().collect();
    // As every program does, it speaks under the name that was typed.
    let name = called_as_peer::<A>(&argv).unwrap_or(A::NAME);
    if let Some(outcome) = probe::subcommand::<A>(&argv) {
        return outcome.unwrap_or_else(|failure| say(name, &failure));
    }
    // Not for the subcommands: `wait -- COMMAND` would hand it on to somebody's app.
    caps::settle_in();
    match run(start, &argv, born) {
        Ok(exit) => exit.into(),
        Err(mut failure) => {
            // A check has one code for all that can be wrong.
            if failure.exit == Exit::Usage && check_asked(&argv) {
                failure.exit = Exit::Config;
            }
            say(name, &failure)
        }
    }
}

/// Before there is a log: plain lines, as every command line tool prints them.
fn say(name: &str, failure: &Failure) -> ExitCode {
    for problem in &failure.problems {
        // Whoever has closed the pipe has read enough: `--help | head -1` is no failure.
        let _ = match failure.exit {
            Exit::Clean => writeln!(io::stdout(), "{}", problem.trim_end()),
            _ => writeln!(io::stderr(), "{name}: {}", log::one_line(problem)),
        };
    }
    failure.exit.into()
}

/// The error is for the terminal: it has not been logged.
fn run<A: Arguments>(
    start: impl AsyncFnOnce(A, &mut Sidecar) -> Result<(), Failure>,
    argv: &[OsString],
    born: Instant,
) -> Result<Exit, Failure> {
    let (args, settings, wrong) = understood::<A>(argv)?;
    if !settings.check_config {
        log::start(settings.log_level, settings.log_format);
        tracing::info!(sidecar = A::NAME, version = A::VERSION, pid = std::process::id(), "starting");
    }
    let runtime = runtime().map_err(|error| Failure::bug(format!("cannot start the runtime: {error}")))?;
    let life = AssertUnwindSafe(|| runtime.block_on(live_and_die(args, start, &settings, born)));
    // The panic hook has said what and where.
    let panicked = |_| Err(Failure { exit: Exit::Bug, problems: Vec::new() });
    let exit = catch_unwind(life).unwrap_or_else(panicked);
    // A blocking call that never returns must not keep a process alive that has said goodbye.
    runtime.shutdown_background();
    match (exit, wrong) {
        (exit, Some(mut wrong)) => {
            let more = exit.err().filter(|failure| failure.exit != Exit::Clean);
            wrong.problems.extend(more.into_iter().flat_map(|failure| failure.problems));
            // A file that cannot be read at all says so to both readers.
            wrong.problems.dedup();
            Err(wrong)
        }
        (Err(failure), None) if !settings.check_config => {
            for problem in &failure.problems {
                tracing::error!("{problem}");
            }
            tracing::info!(sidecar = A::NAME, code = failure.exit.code(), "stopped");
            Ok(failure.exit)
        }
        (exit, None) => exit,
    }
}

/// What was typed, and the settings. If the file has them wrong, what is wrong, and settings that only check the rest, so
/// that one run reports every problem of the file.
fn understood<A: Arguments>(argv: &[OsString]) -> Result<(A, Settings, Option<Failure>), Failure> {
    let args = A::parse(argv)?;
    match settings(args.common(), args.file(), A::DEFAULTS) {
        Ok(settings) => Ok((args, settings, None)),
        Err(wrong) => {
            let settings = Settings::only_to_check(args.common(), A::DEFAULTS);
            Ok((args, settings, Some(wrong)))
        }
    }
}

/// One thread. Parts that burn CPU get threads of their own, see [`Sidecar::spawn_worker`], so that this one, with
/// signals and probes on it, always answers.
pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_keep_alive(Duration::from_secs(1))
        .thread_stack_size(512 * 1024)
        .build()
}

fn settings(args: &CommonArgs, file: Option<&Path>, defaults: Defaults) -> Result<Settings, Failure> {
    let from_file = |root: &mut config::Section| {
        let settings = match root.section("sidecar") {
            Some(mut section) => Settings::resolve(args, &mut section, defaults),
            None => Settings::resolve(args, &mut config::Section::empty(), defaults),
        };
        root.ignore_all(); // the rest is read by the sidecar itself
        settings
    };
    match file {
        Some(file) => config::read(file, from_file),
        None => Ok(from_file(&mut config::Section::empty())),
    }
}

async fn live_and_die<A: Arguments>(
    args: A,
    start: impl AsyncFnOnce(A, &mut Sidecar) -> Result<(), Failure>,
    settings: &Settings,
    born: Instant,
) -> Result<Exit, Failure> {
    let mut signals =
        Signals::register().map_err(|error| Failure::bug(format!("cannot listen to signals: {error}")))?;
    let admin_flag = args.common().admin_flag.unwrap_or("--admin-addr or SIDECAR_ADMIN_ADDR");
    let (quit, quit_asked) = mpsc::channel(1);
    let mut sidecar = Sidecar::new(A::NAME, A::VERSION, settings, quit)?;
    let mut listeners = JoinSet::new();
    if !settings.check_config {
        let admin = sidecar.as_admin(settings.allow_quit);
        for listener in admin_listeners(settings, admin_flag)? {
            listeners.spawn(admin::serve(listener, admin.clone()));
        }
    }
    sidecar.reload_settings(&args);
    let ready = sidecar.gate("start");
    let started = tokio::select! {
        started = start(args, &mut sidecar) => started,
        signal = signals.stop() => {
            tracing::info!(reason = signal, "stopped while starting");
            return Ok(Exit::Clean);
        }
    };
    started?;
    if settings.check_config {
        return Err(Failure::new(Exit::Clean, "the configuration is good"));
    }
    ready.open();
    let Sidecar { parts, reins, health, reloads, .. } = sidecar;
    let supervisor = Supervisor {
        name: A::NAME,
        born,
        parts,
        reins,
        health,
        reloads,
        signals,
        quit: quit_asked,
        drain_delay: settings.drain_delay,
        shutdown_timeout: settings.shutdown_timeout,
    };
    Ok(supervisor.run().await)
}

fn admin_listeners(settings: &Settings, admin_flag: &str) -> Result<Vec<tokio::net::TcpListener>, Failure> {
    let mut listeners = Vec::new();
    if let Listen::At(addr) = &settings.admin_addr {
        listeners.push(listen("admin", addr, admin_flag)?);
    }
    if let Listen::At(addr) = &settings.probe_addr
        // Port 0 is another one each time.
        && !matches!(&settings.admin_addr, Listen::At(admin) if admin.port() == addr.port() && addr.port() != Some(0))
    {
        // Several sidecars in one pod all try this one: who comes later does without.
        match addr.bind_tcp() {
            Ok(listener) => listeners.push(announced("probes", listener)?),
            Err(error) => tracing::info!(addr = %addr, reason = %error, "probes are answered on the admin port only"),
        }
    }
    Ok(listeners)
}

/// Binds a port before anything runs. A port that is taken is a start-up error that names what to change.
pub(crate) fn listen(what: &str, addr: &ListenAddr, flag: &str) -> Result<tokio::net::TcpListener, Failure> {
    let listener = addr.bind_tcp().map_err(|error| {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is already in use".to_owned(),
            io::ErrorKind::PermissionDenied => "not permitted: a port below 1024 needs CAP_NET_BIND_SERVICE".to_owned(),
            _ => error.to_string(),
        };
        Failure::config(format!("cannot listen on {addr} ({what}): {reason}; choose another with {flag}"))
    })?;
    announced(what, listener)
}

fn announced(what: &str, listener: TcpListener) -> Result<tokio::net::TcpListener, Failure> {
    let bound = tokio::net::TcpListener::from_std(listener)
        .and_then(|listener| Ok((listener.local_addr()?, listener)))
        .map_err(|error| Failure::bug(format!("{what} listener: {error}")));
    let (addr, listener) = bound?;
    tracing::info!(what, addr = %addr, "listening");
    Ok(listener)
}

/// The handle with which a sidecar is put together.
pub struct Sidecar {
    check_only: bool,
    parts: Parts,
    reins: Reins,
    life: Life,
    health: Health,
    metrics: Arc<Metrics>,
    reloads: Reloads,
    routes: AdminRoutes,
    quit: mpsc::Sender<()>,
}

impl Sidecar {
    fn new(name: &'static str, version: &str, settings: &Settings, quit: mpsc::Sender<()>) -> Result<Self, Failure> {
        let (reins, life) = Life::begin();
        let metrics = Metrics::new(name, version).map_err(|error| Failure::bug(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let reloads = Reloads { all: Arc::default(), metrics: Arc::clone(&metrics) };
        Ok(Self {
            check_only: settings.check_config,
            parts: Parts::default(),
            reins,
            life,
            health: Health::default(),
            metrics,
            reloads,
            routes: AdminRoutes::default(),
            quit,
        })
    }

    fn as_admin(&self, allow_quit: bool) -> Admin {
        Admin {
            health: self.health.clone(),
            life: self.life.clone(),
            registry: self.metrics.registry.clone(),
            reloads: self.reloads.clone(),
            routes: self.routes.clone(),
            quit: allow_quit.then(|| self.quit.clone()),
        }
    }

    /// For endpoints and parts that know when settings are to be read again.
    pub fn reloader(&self) -> Reloader {
        Reloader(self.reloads.clone())
    }

    /// For endpoints that a peer can be stopped by.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.quit.clone())
    }

    pub fn metrics(&self) -> &Registry {
        &self.metrics.registry
    }

    pub fn life(&self) -> Life {
        self.life.clone()
    }

    /// A reason not to be ready. Starts closed.
    pub fn gate(&self, name: &str) -> Gate {
        self.health.gate(name)
    }

    /// A question asked at every `/readyz`. It must answer at once.
    pub fn check(&self, name: &str, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.health.check(name, check);
    }

    /// A line that `/readyz` has under its yes: what an operator should know of how this process is set up.
    pub fn detail(&self, name: &str, detail: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.health.detail(name, detail);
    }

    /// Endpoints that only this sidecar has, such as its peer's.
    pub fn admin(&self) -> &AdminRoutes {
        &self.routes
    }

    /// A metrics endpoint under another path, as some peers can be told to have it.
    pub fn metrics_at(&self, path: &str) {
        let registry = self.metrics.registry.clone();
        self.routes.get(path, move |_| match crate::metrics::text(&registry) {
            Ok(body) => crate::Answer { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", body },
            Err(problem) => crate::Answer::text(500, problem),
        });
    }

    /// Starts a part. If it fails or panics, the rest is drained and the process ends with a code that says so. When
    /// all parts have ended well, the process is done.
    pub fn spawn(&mut self, name: &str, part: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        self.parts.spawn(name, part);
    }

    /// Starts a part on a thread and a runtime of its own: for the data path, which may burn as much as it likes
    /// without ever keeping a probe or a signal waiting.
    pub fn spawn_worker<F>(&mut self, name: &str, part: impl FnOnce() -> F + Send + 'static) -> Result<(), Failure>
    where
        F: Future<Output = Result<(), Failure>>,
    {
        let runtime = runtime().map_err(|error| Failure::bug(format!("{name}: cannot start a runtime: {error}")))?;
        let (report, ended) = oneshot::channel();
        let body = move || {
            let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(part())));
            runtime.shutdown_background();
            // Nobody listens any more when the deadline has passed.
            let _ = report.send(result);
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(body);
        thread.map_err(|error| Failure::bug(format!("{name}: cannot start a thread: {error}")))?;
        self.spawn(name, async move {
            match ended.await {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => Err(Failure::bug("its thread is gone")),
            }
        });
        Ok(())
    }

    /// Settings that can change while running: loaded now, and again at SIGHUP and `POST /-/reload`. A reload that
    /// fails says why and keeps the old value. With `--check-config` this is where starting ends.
    pub fn live<T: Send + Sync + 'static>(
        &mut self,
        load: impl Fn() -> Result<T, Failure> + Send + 'static,
    ) -> Result<Live<T>, Failure> {
        let first = load()?;
        if self.check_only {
            return Err(Failure::new(Exit::Clean, "the configuration is good"));
        }
        let (sender, value) = watch::channel(Arc::new(first));
        self.metrics.reloaded(true);
        self.reloads.add(move || {
            let (new, sender) = (Arc::new(load()?), sender.clone());
            Ok(Box::new(move || drop(sender.send_replace(new))))
        });
        Ok(Live(value))
    }

    /// What every sidecar has is read again too: a file that would not start must not pass a reload. Only the log level
    /// changes while running, and it is the file's again if it was changed by hand.
    fn reload_settings<A: Arguments>(&self, args: &A) {
        let (common, file) = (args.common().clone(), args.file().map(Path::to_owned));
        self.reloads.add(move || {
            let level = settings(&common, file.as_deref(), A::DEFAULTS)?.log_level;
            Ok(Box::new(move || log::set_level(level)))
        });
    }
}

/// Reads all settings again, as SIGHUP does.
#[derive(Clone)]
pub struct Reloader(Reloads);

impl Reloader {
    pub fn reload(&self, why: &str) -> Result<(), Failure> {
        self.0.run(why)
    }
}

/// Stops the process, as SIGTERM does.
#[derive(Clone)]
pub struct Stopper(mpsc::Sender<()>);

impl Stopper {
    pub fn stop(&self) {
        // Full means that somebody has asked already.
        let _ = self.0.try_send(());
    }
}

/// A value that a reload replaces.
#[derive(Debug)]
pub struct Live<T>(watch::Receiver<Arc<T>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Live<T> {
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.borrow())
    }

    /// Waits for the next reload that worked.
    pub async fn changed(&mut self) -> Arc<T> {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Arc::clone(&self.0.borrow_and_update())
    }
}

/// Reads something again, and gives back what makes it so.
type Load = Box<dyn Fn() -> Result<Commit, Failure> + Send>;
type Commit = Box<dyn FnOnce()>;

/// All that is read again at a reload.
#[derive(Clone)]
pub(crate) struct Reloads {
    all: Arc<Mutex<Vec<Load>>>,
    metrics: Arc<Metrics>,
}

impl Reloads {
    fn add(&self, load: impl Fn() -> Result<Commit, Failure> + Send + 'static) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(Box::new(load));
    }

    pub(crate) fn run(&self, why: &str) -> Result<(), Failure> {
        let loaded = self.load();
        self.metrics.reloaded(loaded.is_ok());
        match loaded {
            Ok(commits) => {
                commits.into_iter().for_each(|commit| commit());
                tracing::info!(reason = why, "settings reloaded");
                Ok(())
            }
            Err(failure) => {
                for problem in &failure.problems {
                    tracing::error!(reason = why, "settings not reloaded, the old ones stay: {problem}");
                }
                Err(failure)
            }
        }
    }

    /// All or nothing, and every problem of all of them.
    fn load(&self) -> Result<Vec<Commit>, Failure> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut commits, mut problems) = (Vec::new(), Vec::new());
        for load in all.iter() {
            // A reader with a bug must not end a process that was doing its job.
            match catch_unwind(AssertUnwindSafe(load)) {
                Ok(Ok(commit)) => commits.push(commit),
                Ok(Err(failure)) => problems.extend(failure.problems),
                Err(panic) => problems.push(format!("panicked: {}", log::panic_text(panic.as_ref()))),
            }
        }
        // A file that cannot be read at all says so to every reader.
        problems.dedup();
        if problems.is_empty() {
            return Ok(commits);
        }
        Err(Failure { exit: Exit::Config, problems })
    }
}
