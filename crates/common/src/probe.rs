//! `healthcheck`, `wait`, `pause` and `status`: what a container without a shell needs from its own binary.

use std::{
    ffi::OsString,
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::unix::{net::UnixStream, process::CommandExt},
    path::PathBuf,
    process::{Command, ExitCode},
    str::FromStr,
    sync::mpsc,
    time::{Duration, Instant},
};

use values::{ListenAddr, Span, path_after};

use crate::{
    Exit, Failure,
    args::{Arguments, called_as_peer, typed},
};

/// One try may not take longer than this.
const TRY: Duration = Duration::from_secs(3);
/// With less, the last try would say "no answer in time" of somebody who is merely slow, and hide what he said before.
const SHORTEST_TRY: Duration = Duration::from_millis(500);
/// More than any sidecar has to say.
const LARGEST: u64 = 64 << 20;

/// Runs `healthcheck` and the like if that is what was asked for.
pub(crate) fn subcommand<A: Arguments>(argv: &[OsString]) -> Option<Result<ExitCode, Failure>> {
    if called_as_peer::<A>(argv).is_some() {
        return None;
    }
    let rest = argv.get(1..)?;
    match rest.first()?.to_str()? {
        "healthcheck" => Some(A::HEALTHCHECK.unwrap_or(healthcheck::<A>)(rest)),
        "wait" => Some(wait(rest, A::DEFAULTS)),
        "pause" => Some(pause(rest, A::DEFAULTS)),
        "status" => A::STATUS.map(|view| status::<A>(rest, view)),
        _ => None,
    }
}

/// Ask the running sidecar whether it is ready: exits 0 or 1, as docker's HEALTHCHECK wants it
#[derive(clap::Parser)]
#[command(name = "healthcheck")]
struct Healthcheck {
    /// Where its admin listener is [default: the sidecar's own]
    #[arg(long, value_name = "ADDR", env = "SIDECAR_ADMIN_ADDR")]
    admin_addr: Option<ListenAddr>,
    /// Ask whether it is alive, not whether it is ready
    #[arg(long)]
    live: bool,
}

fn healthcheck<A: Arguments>(argv: &[OsString]) -> Result<ExitCode, Failure> {
    let asked: Healthcheck = typed(argv, A::DEFAULTS)?;
    let question = Question::new::<A>(asked.admin_addr, asked.live);
    question.outcome("http", get(&question.authority, question.path, TRY))
}

/// What `healthcheck` asks, for a sidecar that has its own way to the listener.
pub struct Question {
    authority: String,
    path: &'static str,
    end: Instant,
}

impl Question {
    pub fn new<A: Arguments>(admin_addr: Option<ListenAddr>, live: bool) -> Self {
        let path = if live { "/livez" } else { "/readyz" };
        Self { authority: admin::<A>(admin_addr), path, end: Instant::now() + TRY }
    }

    /// A connection that nobody can be silent on for ever.
    pub fn connect(&self) -> Result<TcpStream, String> {
        let socket = connect(&self.authority, TRY)?;
        let timeouts = socket.set_read_timeout(Some(TRY)).and_then(|()| socket.set_write_timeout(Some(TRY)));
        timeouts.map(|()| socket).map_err(|error| error.to_string())
    }

    /// Asks over `stream`, which goes through `socket`. Headers are whole lines.
    pub fn ask(&self, stream: &mut (impl Read + Write), socket: &TcpStream, headers: &str) -> Result<(), String> {
        ask(stream, socket, &request(&self.authority, self.path, headers), self.end)
    }

    /// What it means for whoever runs `healthcheck`.
    pub fn outcome(&self, scheme: &str, answer: Result<(), String>) -> Result<ExitCode, Failure> {
        let Self { authority, path, .. } = self;
        match answer {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(problem) => Err(Failure::new(Exit::Other(1), format!("{scheme}://{authority}{path}: {problem}"))),
        }
    }
}

/// Show what the running sidecar is doing
#[derive(clap::Parser)]
#[command(name = "status")]
struct Status {
    /// Where its admin listener is [default: the sidecar's own]
    #[arg(long, value_name = "ADDR", env = "SIDECAR_ADMIN_ADDR")]
    admin_addr: Option<ListenAddr>,
}

/// What `status` shows of a sidecar.
#[derive(Clone, Copy)]
pub struct View {
    /// Where its admin listener has it.
    pub path: &'static str,
    /// As it is to be read in a terminal. None when it is not what was expected.
    pub draw: fn(&str) -> Option<String>,
}

fn status<A: Arguments>(argv: &[OsString], view: View) -> Result<ExitCode, Failure> {
    let asked: Status = typed(argv, A::DEFAULTS)?;
    let authority = admin::<A>(asked.admin_addr);
    let body = body(&authority, view.path, TRY);
    let shown = body.and_then(|body| (view.draw)(&body).ok_or_else(|| format!("answered what no {} says", A::NAME)));
    match shown {
        Ok(text) => {
            // Whoever reads may have seen enough, as head has.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(ExitCode::SUCCESS)
        }
        Err(problem) => Err(Failure::new(Exit::Other(1), format!("http://{authority}{}: {problem}", view.path))),
    }
}

/// Where to ask the sidecar that runs in this container.
fn admin<A: Arguments>(asked: Option<ListenAddr>) -> String {
    match asked.unwrap_or(ListenAddr::Any(A::DEFAULTS.admin_port)) {
        ListenAddr::Tcp(addr) if !addr.ip().is_unspecified() => addr.to_string(),
        other => format!("127.0.0.1:{}", other.port().unwrap_or_default()),
    }
}

/// Wait until all of these are there, then exit 0 or run a command; for init containers
#[derive(clap::Parser)]
#[command(name = "wait")]
struct Wait {
    /// What to wait for: tcp://host:port, http://host:port/path (any 2xx), file:/path, unix:/path
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<Target>,
    /// How long to wait before giving up with exit code 69; 0 means for ever
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    timeout: Span,
    /// How long between two tries
    #[arg(long, value_name = "DURATION", default_value = "500ms")]
    interval: Span,
    /// What to become once all are there
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Tcp(String),
    Http { authority: String, path: String },
    File(PathBuf),
    Unix(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let with_port = |authority: &str, default: Option<u16>| match (authority.rsplit_once(':'), default) {
            (Some((_, port)), _) if port.parse::<u16>().is_ok() => Ok(authority.to_owned()),
            (_, Some(port)) if !authority.is_empty() => Ok(format!("{authority}:{port}")),
            _ => Err("expected tcp://host:port".to_owned()),
        };
        match text.split_once(':') {
            Some(("tcp", rest)) => Ok(Self::Tcp(with_port(rest.trim_start_matches('/'), None)?)),
            Some(("http", rest)) => {
                let rest = rest.trim_start_matches('/');
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                let path = if path.is_empty() { "/" } else { path };
                Ok(Self::Http { authority: with_port(authority, Some(80))?, path: path.to_owned() })
            }
            Some(("file", _)) => path_after("file:", text).map(Self::File).ok_or_else(|| "expected file:/path".into()),
            Some(("unix", _)) => path_after("unix:", text).map(Self::Unix).ok_or_else(|| "expected unix:/path".into()),
            Some(("https", _)) => Err("https is not spoken here: wait for tcp://host:443 instead".into()),
            _ => Err("expected tcp://host:port, http://host:port/path, file:/path or unix:/path".into()),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(authority) => write!(f, "tcp://{authority}"),
            Self::Http { authority, path } => write!(f, "http://{authority}{path}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Target {
    fn reached(&self, within: Duration) -> Result<(), String> {
        match self {
            Self::Tcp(authority) => connect(authority, within).map(drop),
            Self::Http { authority, path } => get(authority, path, within),
            Self::File(path) => std::fs::metadata(path).map(drop).map_err(|error| error.to_string()),
            Self::Unix(path) => UnixStream::connect(path).map(drop).map_err(|error| error.to_string()),
        }
    }
}

fn wait(argv: &[OsString], defaults: crate::Defaults) -> Result<ExitCode, Failure> {
    let Wait { targets, timeout, interval, command } = typed(argv, defaults)?;
    let deadline = (!timeout.0.is_zero()).then(|| Instant::now() + timeout.0);
    // Each target on its own thread: one that hangs must not hide that the others are there.
    let (sender, results) = mpsc::sync_channel(targets.len());
    let count = targets.len();
    for target in targets {
        let sender = sender.clone();
        std::thread::spawn(move || sender.send(until_reached(&target, deadline, interval.0)));
    }
    let missing: Vec<String> = results.iter().take(count).filter_map(Result::err).collect();
    if !missing.is_empty() {
        return Err(Failure { exit: Exit::Unavailable, problems: missing });
    }
    let Some((program, args)) = command.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let error = Command::new(program).args(args).exec();
    Err(Failure::new(Exit::Usage, format!("{}: {error}", program.to_string_lossy())))
}

/// Tries until it works; the error is the last one seen.
fn until_reached(target: &Target, deadline: Option<Instant>, interval: Duration) -> Result<(), String> {
    let mut said = String::new();
    loop {
        // The last try must not take longer than there is time.
        let left = deadline.map_or(TRY, |end| end.saturating_duration_since(Instant::now()));
        let Err(problem) = target.reached(left.clamp(SHORTEST_TRY, TRY)) else { return Ok(()) };
        if deadline.is_some_and(|end| Instant::now() + interval >= end) {
            return Err(format!("{target}: gave up waiting: {problem}"));
        }
        if said != problem {
            // Nowhere is left to say that stderr is gone.
            let _ = writeln!(std::io::stderr(), "wait: {target}: {problem}");
            said = problem;
        }
        std::thread::sleep(interval);
    }
}

/// Hold a pod's namespaces open for its containers, as compose needs it: do nothing until told to stop
#[derive(clap::Parser)]
#[command(name = "pause")]
struct Pause {}

fn pause(argv: &[OsString], defaults: crate::Defaults) -> Result<ExitCode, Failure> {
    let Pause {} = typed(argv, defaults)?;
    let runtime = crate::sidecar::runtime().map_err(|error| Failure::bug(error.to_string()))?;
    runtime.block_on(async {
        let mut signals = crate::signals::Signals::register().map_err(|error| Failure::bug(error.to_string()))?;
        let mut reaper = crate::reap::Reaper::default();
        loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    crate::signals::Signal::Stop(_) => return Ok(ExitCode::SUCCESS),
                    crate::signals::Signal::ChildEnded => reaper.child_ended(),
                    crate::signals::Signal::Reload => {}
                },
                () = reaper.due() => reaper.reap(),
            }
        }
    })
}

fn connect(authority: &str, within: Duration) -> Result<TcpStream, String> {
    let addresses = authority.to_socket_addrs().map_err(|error| format!("cannot look it up: {error}"))?;
    let mut problem = "no address".to_owned();
    // `localhost` is two addresses, and the app may listen on either.
    for address in addresses {
        match TcpStream::connect_timeout(&address, within) {
            Ok(stream) => return Ok(stream),
            Err(error) => problem = error.to_string(),
        }
    }
    Err(problem)
}

/// A GET that wants a 2xx; the error is what came instead.
fn get(authority: &str, path: &str, within: Duration) -> Result<(), String> {
    let end = Instant::now() + within;
    let socket = connect(authority, within)?;
    ask(&mut &socket, &socket, &request(authority, path, ""), end)
}

fn request(authority: &str, path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}\r\n")
}

fn ask(stream: &mut (impl Read + Write), socket: &TcpStream, request: &str, end: Instant) -> Result<(), String> {
    let left = || Some(end.saturating_duration_since(Instant::now()).max(SHORTEST_TRY));
    let spoken = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::WouldBlock => "no answer in time".to_owned(),
        _ => error.to_string(),
    };
    socket.set_write_timeout(left()).map_err(spoken)?;
    stream.write_all(request.as_bytes()).map_err(spoken)?;
    let mut answer = [0; 4096];
    let mut length = 0;
    let problem = loop {
        socket.set_read_timeout(left()).map_err(spoken)?;
        match stream.read(&mut answer[length..]) {
            Ok(0) => break "not an HTTP answer".to_owned(),
            Ok(more) => length += more,
            Err(error) => break spoken(error),
        }
        if matches!(status_of(&answer[..length]), Some(200..=299)) {
            return Ok(());
        }
        // Who drips byte by byte has no more time than who is silent.
        if Instant::now() >= end {
            break "no answer in time".to_owned();
        }
    };
    // Anything but good: the first words of the body say why, as far as they have come.
    let answer = &answer[..length];
    let status = status_of(answer).ok_or(problem)?;
    let text = String::from_utf8_lossy(answer);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body.trim());
    Err(format!("answered {status}: {}", body.replace('\n', "; ")))
}

/// The whole body of a 2xx answer.
fn body(authority: &str, path: &str, within: Duration) -> Result<String, String> {
    // First the answer's own words if it is none.
    get(authority, path, within)?;
    let io = |error: std::io::Error| error.to_string();
    let mut stream = connect(authority, within)?;
    stream.set_read_timeout(Some(within)).map_err(io)?;
    // Of HTTP/1.0 the body is what comes until the end.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n").as_bytes()).map_err(io)?;
    let mut answer = String::new();
    #[expect(clippy::disallowed_methods, reason = "it is capped")]
    stream.take(LARGEST).read_to_string(&mut answer).map_err(io)?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).ok_or_else(|| "not an HTTP answer".into())
}

/// The status, once the line that has it is complete.
pub(crate) fn status_of(answer: &[u8]) -> Option<u16> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&answer[..end]).ok()?.strip_prefix("HTTP/1.")?;
    line.split_whitespace().nth(1)?.parse().ok()
}
