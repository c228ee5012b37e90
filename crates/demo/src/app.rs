//! The app that the sidecars ride along with: it greets, and knows nothing of them.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use hyper::{Method, Request, StatusCode, body::Incoming};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    greeting::Greeting,
    http::{self, Answer},
};

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

    /// Write app.log in this directory
    #[arg(long, env = "LOG_DIR", value_name = "DIR")]
    log_dir: Option<PathBuf>,

    /// The same: a directory, or a file if it ends in .log
    #[arg(long, env = "LOG_PATH", value_name = "PATH")]
    log_path: Option<PathBuf>,

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
}

async fn start(args: Args) -> Result<(), String> {
    let born = Instant::now();
    let log = Log::open(args.log_path.as_deref().or(args.log_dir.as_deref()))?;
    let greeting = args.config.as_deref().map(Greeting::read).transpose()?.unwrap_or_default();
    let on = |kind| signal(kind).map_err(|error| format!("cannot listen to signals: {error}"));
    let (term, int, hup) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?, on(SignalKind::hangup())?);
    let listener = TcpListener::bind((args.bind, args.port))
        .await
        .map_err(|error| format!("cannot listen on {}:{}: {error}; choose with PORT", args.bind, args.port))?;
    let addr = listener.local_addr().map_err(|error| error.to_string())?;
    let app = Arc::new(App { config: args.config, greeting: Mutex::new(greeting), requests: AtomicU64::new(0), log });
    app.log.say("INFO", "listening", &[("addr", &addr.to_string())]);
    let (stop, stopped) = watch::channel(false);
    let responder = Arc::clone(&app);
    let served = http::serve(listener, stopped, move |request| responder.respond(request));
    app.log.say("INFO", "ready", &[("after_ms", &born.elapsed().as_millis().to_string())]);
    let serving = async {
        tokio::join!(served, app.follow_signals(stop, [term, int], hup));
    };
    serving.await;
    let requests = app.requests.load(Ordering::Relaxed).to_string();
    app.log.say("INFO", "stopped", &[("requests", &requests)]);
    app.log.flush();
    Ok(())
}

impl App {
    async fn follow_signals(&self, stop: watch::Sender<bool>, [mut term, mut int]: [Signal; 2], mut hup: Signal) {
        loop {
            tokio::select! {
                _ = term.recv() => break,
                _ = int.recv() => break,
                // Why it is refused is in the log.
                _ = hup.recv() => drop(self.reload()),
            }
        }
        self.log.say("INFO", "stopping", &[]);
        stop.send_replace(true);
    }

    fn respond(&self, request: &Request<Incoming>) -> Answer {
        let answer = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/") => {
                self.requests.fetch_add(1, Ordering::Relaxed);
                http::text(StatusCode::OK, self.greeting().text)
            }
            (&Method::GET | &Method::HEAD, "/health" | "/healthz" | "/ready" | "/readyz") => {
                http::text(StatusCode::OK, "ok")
            }
            (&Method::POST | &Method::PUT, "/-/reload") => match self.reload() {
                Ok(version) => http::text(StatusCode::OK, format!("reloaded: version {version}")),
                Err(problem) => http::text(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    format!("not reloaded, the old config stays: {problem}"),
                ),
            },
            _ => http::text(StatusCode::NOT_FOUND, "not found, try /"),
        };
        let status = answer.status();
        self.log.keep(&format!("{} {} {}", request.method(), request.uri().path(), status.as_u16()));
        answer
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

/// app.log for whoever ships it, and stderr for what matters.
struct Log(Option<Mutex<File>>);

impl Log {
    fn open(path: Option<&Path>) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self(None)) };
        let is_file = path.extension().is_some_and(|extension| extension == "log") && !path.is_dir();
        let file = if is_file { path.to_owned() } else { path.join("app.log") };
        let open = || {
            file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            OpenOptions::new().create(true).append(true).open(&file)
        };
        let open: std::io::Result<File> = open();
        let open =
            open.map_err(|error| format!("{}: cannot write: {error}; see LOG_DIR and LOG_PATH", file.display()))?;
        Ok(Self(Some(Mutex::new(open))))
    }

    /// A line for both.
    fn say(&self, level: &str, message: &str, fields: &[(&str, &str)]) {
        let mut line = serde_json::json!({ "timestamp": now(), "level": level, "message": message });
        for (name, value) in fields {
            line[*name] = (*value).into();
        }
        eprintln!("{line}");
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        self.keep(&format!("{level} {message}{}", fields.concat()));
    }

    /// A line for the file only.
    fn keep(&self, text: &str) {
        if let Some(file) = &self.0 {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk is no reason not to greet.
            let _ = writeln!(file, "{} {text}", now());
        }
    }

    fn flush(&self) {
        if let Some(file) = &self.0 {
            // As above.
            let _ = file.lock().unwrap_or_else(PoisonError::into_inner).sync_all();
        }
    }
}

fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}
