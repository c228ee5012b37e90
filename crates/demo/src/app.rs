//! The app that the sidecars ride along with: it greets, and knows nothing of them.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use bytes::Bytes;
use hyper::{Method, Request, StatusCode};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    app_log::Log,
    app_members,
    app_statsd::Statsd,
    greeting::Greeting,
    http::{self, Answer},
};

/// The metric of the lines in both of our logs.
pub const WRITTEN: &str = "app_log_lines_total";
/// That of greetings.
pub const REQUESTS: &str = "app_greetings_total";
/// Writes as many lines as it is asked for, by somebody on this machine.
pub const BURST: &str = "/-/burst";
const MOST_LINES: u64 = 10_000;
/// As the sidecars have it, see common::Exit.
const EXIT_CONFIG: u8 = 78;

#[derive(clap::Args)]
pub struct Args {
    /// The address to listen on
    #[arg(long, env = "BIND", default_value = "0.0.0.0")]
    bind: std::net::IpAddr,

    /// The port to listen on
    #[arg(long, env = "PORT", default_value_t = 8080)]
    port: u16,

    /// The file with the greeting; without one the greeting is "Hello"
    #[arg(long, env = "APP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Write app.log and access.log in this directory; SIGUSR1 opens them again after a rotation
    #[arg(long, env = "LOG_DIR", value_name = "DIR")]
    log_dir: Option<PathBuf>,

    /// The same: a directory, or the file to be app.log if it ends in .log
    #[arg(long, env = "LOG_PATH", value_name = "PATH")]
    log_path: Option<PathBuf>,

    /// Send what is measured by statsd to this host
    #[arg(long, env = "STATSD_HOST", value_name = "HOST")]
    statsd_host: Option<String>,

    #[arg(long, env = "STATSD_PORT", default_value_t = 8125)]
    statsd_port: u16,

    /// Check this config file, and exit with 0 or 78
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

pub async fn run(args: Args) -> ExitCode {
    if let Some(file) = &args.check {
        return match Greeting::read(file) {
            Ok(_) => ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("{problem}");
                EXIT_CONFIG.into()
            }
        };
    }
    match start(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("app: {problem}");
            EXIT_CONFIG.into()
        }
    }
}

struct App {
    config: Option<PathBuf>,
    greeting: Mutex<Greeting>,
    requests: AtomicU64,
    log: Log,
    statsd: Statsd,
}

async fn start(args: Args) -> Result<(), String> {
    let born = Instant::now();
    let log = Log::open(args.log_path.as_deref().or(args.log_dir.as_deref()))?;
    let statsd = Statsd::to(args.statsd_host.as_deref(), args.statsd_port)?;
    let greeting = args.config.as_deref().map(Greeting::read).transpose()?.unwrap_or_default();
    let on = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let ends = [on(SignalKind::terminate())?, on(SignalKind::interrupt())?];
    let (hup, usr1) = (on(SignalKind::hangup())?, on(SignalKind::user_defined1())?);
    let listener = TcpListener::bind((args.bind, args.port))
        .await
        .map_err(|error| format!("cannot listen on {}:{}: {error}; choose with PORT", args.bind, args.port))?;
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    let app =
        Arc::new(App { config: args.config, greeting: Mutex::new(greeting), requests: AtomicU64::new(0), log, statsd });
    app.log.say("INFO", "listening", &[("addr", &addr.to_string())]);
    let (stop, stopped) = watch::channel(false);
    let responder = Arc::clone(&app);
    let served = http::serve(listener, stopped, move |request| responder.respond(request));
    app.log.say("INFO", "ready", &[("after_ms", &born.elapsed().as_millis().to_string())]);
    let serving = async {
        tokio::join!(served, app.follow_signals(stop, ends, hup, usr1));
    };
    serving.await;
    let requests = app.requests.load(Ordering::Relaxed).to_string();
    app.log.end(&requests);
    Ok(())
}

impl App {
    async fn follow_signals(
        &self,
        stop: watch::Sender<bool>,
        [mut term, mut int]: [Signal; 2],
        mut hup: Signal,
        mut usr1: Signal,
    ) {
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                // Why it is refused is in the log.
                _ = hup.recv() => drop(self.reload()),
                _ = usr1.recv() => self.log.open_again(),
            }
        }
        self.log.say("INFO", "stopping", &[]);
        stop.send_replace(true);
    }

    fn respond(&self, request: &Request<Bytes>) -> Answer {
        let begun = Instant::now();
        let answer = match (request.method(), request.uri().path()) {
            // Whoever only looks whether we are well leaves no trace in the log.
            (&Method::GET | &Method::HEAD, "/health" | "/healthz" | "/ready" | "/readyz") => {
                return http::text(StatusCode::OK, "ok");
            }
            (&Method::GET | &Method::HEAD, "/metrics") => {
                return http::text(StatusCode::OK, self.metrics());
            }
            (&Method::GET | &Method::HEAD, "/") => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                let greeting = self.greeting().text;
                self.log.keep("DEBUG", "greeted", &[("uri", &request.uri().to_string()), ("greeting", &greeting)]);
                self.statsd.answered("greeting", begun.elapsed());
                http::text(StatusCode::OK, greeting)
            }
            (&Method::GET | &Method::HEAD, app_members::PATH) => app_members::answer(request, &self.greeting().text),
            (&Method::GET, BURST) => self.burst(request),
            (&Method::POST | &Method::PUT, "/-/reload") => match self.reload() {
                Ok(version) => http::text(StatusCode::OK, format!("reloaded: version {version}")),
                Err(problem) => http::text(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    format!("not reloaded, the old config stays: {problem}"),
                ),
            },
            _ => http::text(StatusCode::NOT_FOUND, "not found, try /"),
        };
        self.log.access(request, &answer);
        answer
    }

    fn burst(&self, request: &Request<Bytes>) -> Answer {
        if request.extensions().get::<SocketAddr>().is_none_or(|from| !from.ip().is_loopback()) {
            return http::text(StatusCode::FORBIDDEN, "for callers on this machine only");
        }
        let lines = request.uri().query().and_then(|query| query.strip_prefix("lines=")?.parse::<u64>().ok());
        let lines = lines.unwrap_or_default().min(MOST_LINES);
        (0..lines).for_each(|_| self.log.keep("DEBUG", "one of a burst", &[]));
        http::text(StatusCode::OK, format!("wrote {lines} lines"))
    }

    fn metrics(&self) -> String {
        format!("{WRITTEN} {}\n{REQUESTS} {}", self.log.written(), self.requests.load(Ordering::Relaxed))
    }

    fn greeting(&self) -> Greeting {
        self.greeting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the config file again. One with an error changes nothing.
    fn reload(&self) -> Result<u64, String> {
        let new = match self.config.as_deref().map(Greeting::read) {
            Some(Ok(new)) => new,
            Some(Err(problem)) => {
                self.log.say("ERROR", "not reloaded, the old config stays", &[("reason", &problem)]);
                return Err(problem);
            }
            None => self.greeting(), // nothing to read is nothing to get wrong
        };
        let version = new.version;
        let fields = [("version", &*version.to_string()), ("greeting", &new.text)];
        self.log.say("INFO", "reloaded", &fields);
        *self.greeting.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(version)
    }
}
