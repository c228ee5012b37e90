//! A sidecar from its first instruction to its exit code.

use std::{
    ffi::OsString,
    io,
    net::TcpListener,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
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
    args::{Arguments, Listen},
    caps, config,
    health::Health,
    life::Reins,
    log,
    metrics::Metrics,
    probe,
    settings::Settings,
    signals::Signals,
    supervise::{Parts, Supervisor},
};

/// The main function of every sidecar. `start` wires the parts together; it must have no effect on the outside before
/// it has called [`Sidecar::live`], because with `--check-config` that is where it ends.
pub fn main<A: Arguments>(start: impl AsyncFnOnce(A, &mut Sidecar) -> Result<(), Failure>) -> ExitCode {
    let born = Instant::now();
    caps::settle_in();
    let argv: Vec<OsString> = std::env::args_os().collect();
    if let Some(outcome) = probe::subcommand::<A>(&argv) {
        return outcome.unwrap_or_else(|failure| say(A::NAME, &failure));
    }
    match run(start, &argv, born) {
        Ok(exit) => exit.into(),
        Err(failure) => say(A::NAME, &failure),
    }
}

/// Before there is a log: plain lines, as every command line tool prints them.
fn say(name: &str, failure: &Failure) -> ExitCode {
    for problem in &failure.problems {
        match failure.exit {
            Exit::Clean => println!("{}", problem.trim_end()),
            _ => eprintln!("{name}: {problem}"),
        }
    }
    failure.exit.into()
}

fn run<A: Arguments>(
    start: impl AsyncFnOnce(A, &mut Sidecar) -> Result<(), Failure>,
    argv: &[OsString],
    born: Instant,
) -> Result<Exit, Failure> {
    let args = A::parse(argv)?;
    let settings = settings(&args)?;
    if !settings.check_config {
        log::start(settings.log_level, settings.log_format);
        tracing::info!(
            sidecar = A::NAME,
            version = A::VERSION,
            pid = std::process::id(),
            "starting"
        );
    }
    let runtime = runtime().map_err(|error| Failure::bug(format!("cannot start the runtime: {error}")))?;
    let exit = runtime.block_on(live_and_die(args, start, &settings, born));
    // A blocking call that never returns must not keep a process alive that has said goodbye.
    runtime.shutdown_background();
    exit
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

fn settings<A: Arguments>(args: &A) -> Result<Settings, Failure> {
    let from_file = |root: &mut config::Section| {
        let settings = match root.section("sidecar") {
            Some(mut section) => Settings::resolve(args.common(), &mut section, A::DEFAULTS),
            None => Settings::resolve(args.common(), &mut config::Section::empty(), A::DEFAULTS),
        };
        root.ignore_all(); // the rest is read by the sidecar itself
        settings
    };
    match args.file() {
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
    let signals = Signals::register().map_err(|error| Failure::bug(format!("cannot listen to signals: {error}")))?;
    let admin_flag = args.common().admin_flag.unwrap_or("--admin-addr or SIDECAR_ADMIN_ADDR");
    let (quit, quit_asked) = mpsc::channel(1);
    let mut sidecar = Sidecar::new(A::NAME, A::VERSION, settings)?;
    let mut listeners = JoinSet::new();
    if !settings.check_config {
        let admin = sidecar.as_admin(settings.allow_quit.then_some(quit));
        for listener in admin_listeners(settings, admin_flag)? {
            listeners.spawn(admin::serve(listener, admin.clone()));
        }
    }
    let ready = sidecar.gate("start");
    let mut signals = signals;
    let started = tokio::select! {
        started = start(args, &mut sidecar) => started,
        signal = stop_asked(&mut signals) => {
            tracing::info!(reason = signal, "stopped while starting");
            return Ok(Exit::Clean);
        }
    };
    if settings.check_config {
        started?;
        return Err(Failure::new(Exit::Clean, "the configuration is good"));
    }
    if let Err(failure) = started {
        for problem in &failure.problems {
            tracing::error!("{problem}");
        }
        tracing::info!(code = failure.exit.code(), "stopped");
        return Ok(failure.exit);
    }
    ready.open();
    let Sidecar {
        parts,
        reins,
        health,
        reloads,
        ..
    } = sidecar;
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

/// Signals other than the request to stop have no meaning while starting.
async fn stop_asked(signals: &mut Signals) -> &'static str {
    loop {
        if let crate::signals::Signal::Stop(signal) = signals.next().await {
            return signal;
        }
    }
}

fn admin_listeners(settings: &Settings, admin_flag: &str) -> Result<Vec<tokio::net::TcpListener>, Failure> {
    let mut listeners = Vec::new();
    if let Listen::At(addr) = &settings.admin_addr {
        listeners.push(listen("admin", addr, admin_flag)?);
    }
    if let Listen::At(addr) = &settings.probe_addr
        && !matches!(&settings.admin_addr, Listen::At(admin) if admin.port() == addr.port())
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
        Failure::config(format!(
            "cannot listen on {addr} ({what}): {reason}; choose another with {flag}"
        ))
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
}

impl Sidecar {
    fn new(name: &'static str, version: &str, settings: &Settings) -> Result<Self, Failure> {
        let (reins, life) = Life::begin();
        let metrics = Metrics::new(name, version).map_err(|error| Failure::bug(error.to_string()))?;
        let metrics = Arc::new(metrics);
        let reloads = Reloads {
            all: Arc::default(),
            metrics: Arc::clone(&metrics),
        };
        Ok(Self {
            check_only: settings.check_config,
            parts: Parts::default(),
            reins,
            life,
            health: Health::default(),
            metrics,
            reloads,
            routes: AdminRoutes::default(),
        })
    }

    fn as_admin(&self, quit: Option<mpsc::Sender<()>>) -> Admin {
        Admin {
            health: self.health.clone(),
            life: self.life.clone(),
            registry: self.metrics.registry.clone(),
            reloads: self.reloads.clone(),
            routes: self.routes.clone(),
            quit,
        }
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

    /// Endpoints that only this sidecar has, such as its peer's.
    pub fn admin(&self) -> &AdminRoutes {
        &self.routes
    }

    /// A metrics endpoint under another path, as some peers can be told to have it.
    pub fn metrics_at(&self, path: &str) {
        let registry = self.metrics.registry.clone();
        self.routes.get(path, move |_| match crate::metrics::text(&registry) {
            Ok(body) => crate::Answer {
                status: 200,
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                body,
            },
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
        let again = move || load().map(|new| drop(sender.send_replace(Arc::new(new))));
        self.reloads
            .all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(again));
        Ok(Live(value))
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

type Reload = Box<dyn Fn() -> Result<(), Failure> + Send>;

/// All that is read again at a reload.
#[derive(Clone)]
pub(crate) struct Reloads {
    all: Arc<Mutex<Vec<Reload>>>,
    metrics: Arc<Metrics>,
}

impl Reloads {
    pub(crate) fn run(&self, why: &str) -> Result<(), Failure> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let result = all.iter().try_for_each(|reload| reload());
        self.metrics.reloaded(result.is_ok());
        match &result {
            Ok(()) => tracing::info!(reason = why, "settings reloaded"),
            Err(failure) => {
                for problem in &failure.problems {
                    tracing::error!(reason = why, "settings not reloaded, the old ones stay: {problem}");
                }
            }
        }
        result
    }
}
