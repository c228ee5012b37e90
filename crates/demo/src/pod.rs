//! The app and its sidecars, started and stopped in the order of a pod with native sidecars.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::{
    binaries::Binaries,
    board::{AppView, Board, Event, Kind, SidecarView, StopView},
    child::{Child, Stopped},
    http,
    journal::Journal,
    metrics::Metrics,
    sidecars::{self, Sidecar},
};

pub const APP: &str = "app";

const START: Duration = Duration::from_secs(10);
/// Of the 30 s that a pod has, nobody here should need more.
const STOP: Duration = Duration::from_secs(8);

/// Where everything is.
pub struct World {
    /// Everything that is written is written here, and goes away with the demo.
    pub dir: PathBuf,
    pub demo: PathBuf,
    pub app_addr: SocketAddr,
    pub app_config: PathBuf,
}

/// Gone when it is dropped, also by a panic.
pub fn temporary_dir() -> Result<tempfile::TempDir, String> {
    let dir = tempfile::Builder::new().prefix("pillion-demo-").tempdir();
    dir.map_err(|error| format!("no temporary directory: {error}"))
}

impl World {
    pub fn new(dir: &Path) -> Result<Self, String> {
        // Sidecars start before the app and have to know its port, so it is chosen here. Nobody takes it meanwhile:
        // the kernel gives out free ports at random, and there are 28,000 of them.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let volume = dir.join("volume");
        std::fs::create_dir_all(&volume).map_err(|error| format!("{}: {error}", volume.display()))?;
        Ok(Self {
            dir: dir.into(),
            demo: std::env::current_exe().map_err(|error| error.to_string())?,
            app_addr: free.map_err(|error| format!("no free port: {error}"))?,
            app_config: volume.join("greeting.conf"),
        })
    }
}

/// One sidecar, running.
pub struct Running {
    pub sidecar: Arc<dyn Sidecar>,
    pub child: Child,
    pub admin: SocketAddr,
    pub ready_after: Duration,
}

pub struct Pod {
    pub world: World,
    pub journal: Arc<Journal>,
    pub board: Arc<Board>,
    pub sidecars: Vec<Running>,
    pub app: Child,
}

impl Pod {
    /// Each sidecar must be ready before the next one starts, and all of them before the app.
    pub async fn start(world: World, binaries: &Binaries, board: Arc<Board>) -> Result<Self, String> {
        let journal = Journal::new();
        let mut running = Vec::new();
        board.change(|state| state.build = binaries.build);
        for sidecar in sidecars::all(&world)? {
            let program = binaries.paths.get(sidecar.name()).ok_or("a binary is missing")?;
            let mut args: Vec<OsString> = vec!["--admin-addr".into(), "127.0.0.1:0".into()];
            args.extend(sidecar.args(&world));
            let child = Child::start(sidecar.name(), program.as_os_str(), &args, &[], &journal)?;
            let started = start_of(sidecar, child).await?;
            board.change(|state| state.sidecars.push(view(&started)));
            say_ready(&board, started.sidecar.name(), started.ready_after);
            running.push(started);
        }
        let env = [
            ("BIND", world.app_addr.ip().to_string().into()),
            ("PORT", world.app_addr.port().to_string().into()),
            ("APP_CONFIG", world.app_config.clone().into()),
            ("LOG_DIR", world.dir.join("log").into()),
        ];
        let app = Child::start(APP, world.demo.as_os_str(), &["app".into()], &env, &journal)?;
        let line = app.line(START, |line| line.message == "ready").await?;
        say_ready(&board, APP, line.at - app.started);
        let url = format!("http://{}/", world.app_addr);
        board.change(|state| state.app = AppView { url, ready: true, greeting: String::new() });
        Ok(Self { world, journal, board, sidecars: running, app })
    }

    /// What the app answers.
    pub async fn app(&self, path: &str) -> Result<String, String> {
        good(http::get(self.world.app_addr, path).await?)
    }

    pub async fn metrics(&self, name: &str) -> Result<Metrics, String> {
        let running = self.sidecars.iter().find(|running| running.sidecar.name() == name);
        let admin = running.ok_or_else(|| format!("{name}: no such sidecar"))?.admin;
        good(http::get(admin, "/metrics").await?).map(|text| Metrics::parse(&text))
    }

    /// Waits until some process has ended that nobody asked to. Its name and how.
    pub async fn broken(&self) -> String {
        // As many as there are, and all of them at once, without a task for each.
        let mut ends: Vec<_> = self.children().map(|child| (child.name, Box::pin(child.ended()))).collect();
        std::future::poll_fn(|context| {
            for (name, end) in &mut ends {
                if let std::task::Poll::Ready(status) = end.as_mut().poll(context) {
                    let status = status.map_or("no status".into(), |status| status.to_string());
                    return std::task::Poll::Ready(format!("{name} has ended: {status}"));
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// The app first, then the sidecars in reverse: whoever serves the app is there until the app is gone.
    pub async fn stop(&self) -> Vec<(&'static str, Stopped)> {
        let mut stops = Vec::new();
        for child in self.children() {
            self.board.happened(Event::new(child.name, Kind::Life, &[], "is asked to stop (SIGTERM)"));
            let stopped = child.stop(STOP).await;
            let view = StopView {
                name: child.name,
                code: stopped.code_text(),
                seconds: stopped.took.as_secs_f64(),
                words: stopped.words.clone(),
            };
            self.board.change(|state| {
                // Asked twice, it has been asked before.
                state.stops.retain(|stop| stop.name != view.name);
                state.stops.push(view);
                state.app.ready &= child.name != APP;
            });
            self.board.sidecar(child.name, |view| view.ready = false);
            let kind = if stopped.code == Some(0) { Kind::Good } else { Kind::Refused };
            let ms = stopped.took.as_secs_f64() * 1000.0;
            let text = format!("exit {} after {ms:.0} ms: {}", stopped.code_text(), stopped.words);
            self.board.happened(Event::new(child.name, kind, &[], text));
            stops.push((child.name, stopped));
        }
        stops
    }

    /// For those who cannot wait.
    pub fn kill(&self) {
        self.children().for_each(Child::kill);
    }

    /// In the order of stopping.
    fn children(&self) -> impl Iterator<Item = &Child> {
        let sidecars = self.sidecars.iter().rev().map(|running| &running.child);
        std::iter::once(&self.app).chain(sidecars)
    }
}

async fn start_of(sidecar: Arc<dyn Sidecar>, child: Child) -> Result<Running, String> {
    let is_admin = |what: Option<String>| what.as_deref() == Some("admin");
    let line = child.line(START, |line| line.message == "listening" && is_admin(line.field("what"))).await?;
    let admin = line.field("addr").and_then(|addr| addr.parse().ok());
    let admin = admin.ok_or_else(|| format!("{}: listens on no address: {}", child.name, line.to_text()))?;
    let line = child.line(START, |line| line.message == "ready").await?;
    let ready_after = line.at - child.started;
    // Its word is good, its probe is better.
    good(http::get(admin, "/readyz").await?)?;
    Ok(Running { sidecar, child, admin, ready_after })
}

fn view(running: &Running) -> SidecarView {
    SidecarView {
        name: running.sidecar.name(),
        job: running.sidecar.job(),
        wires: running.sidecar.wires().to_vec(),
        pid: running.child.pid,
        admin: format!("http://{}/", running.admin),
        ready: true,
        ..SidecarView::default()
    }
}

fn say_ready(board: &Board, who: &'static str, after: Duration) {
    let text = format!("is ready, {} ms after its start", after.as_millis());
    board.happened(Event::new(who, Kind::Life, &[], text));
}

fn good((status, body): (u16, String)) -> Result<String, String> {
    let body = body.trim_end().to_owned();
    match status {
        200 => Ok(body),
        _ => Err(format!("answered {status}: {body}")),
    }
}

/// A path as a word of a command.
pub fn shell_quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}
