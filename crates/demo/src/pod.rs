//! The app and its sidecars, started and stopped in the order of a pod with native sidecars.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    app,
    binaries::Binaries,
    board::{AppView, Board, Event, Kind, SidecarView, StopView},
    child::{Child, Stopped},
    http,
    journal::Journal,
    metrics::Metrics,
    sidecars::{self, Sidecar},
    timings::Timings,
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
    /// Where visitors come in.
    pub proxy: SocketAddr,
    /// Where those come in whom auth-proxy knows.
    pub members: SocketAddr,
    /// Where the app sends what it measures.
    pub statsd: SocketAddr,
    /// Where the app writes its logs.
    pub logs: PathBuf,
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
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let free = || free().map_err(|error| format!("no free port: {error}"));
        let statsd = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
        let (volume, logs) = (dir.join("volume"), dir.join("log"));
        for dir in [&volume, &logs] {
            std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        Ok(Self {
            dir: dir.into(),
            demo: std::env::current_exe().map_err(|error| error.to_string())?,
            app_addr: free()?,
            proxy: free()?,
            members: free()?,
            statsd: statsd.map_err(|error| format!("no free UDP port: {error}"))?,
            app_config: volume.join("greeting.conf"),
            logs,
        })
    }
}

/// One sidecar, running.
pub struct Running {
    pub sidecar: Arc<dyn Sidecar>,
    program: PathBuf,
    /// Another one after a restart.
    process: Mutex<Arc<Process>>,
}

pub struct Process {
    pub child: Arc<Child>,
    pub admin: SocketAddr,
    pub ready_after: Duration,
}

impl Running {
    async fn start(
        sidecar: Arc<dyn Sidecar>,
        program: PathBuf,
        world: &World,
        journal: &Arc<Journal>,
    ) -> Result<Self, String> {
        let process = start_of(&*sidecar, &program, world, journal).await?;
        Ok(Self { sidecar, program, process: Mutex::new(Arc::new(process)) })
    }

    pub fn process(&self) -> Arc<Process> {
        Arc::clone(&self.process.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub struct Pod {
    pub world: World,
    pub journal: Arc<Journal>,
    pub board: Arc<Board>,
    pub sidecars: Vec<Running>,
    pub app: Arc<Child>,
    /// How long visitors have waited.
    pub visits: Timings,
}

impl Pod {
    /// Each sidecar must be ready before the next one starts, and all of them before the app.
    pub async fn start(world: World, binaries: &Binaries, board: Arc<Board>) -> Result<Self, String> {
        let journal = Journal::new();
        let mut running = Vec::new();
        board.change(|state| state.build = binaries.build);
        for sidecar in sidecars::all(&world)? {
            let program = binaries.paths.get(sidecar.name()).ok_or("a binary is missing")?;
            let started = Running::start(sidecar, program.clone(), &world, &journal).await?;
            board.change(|state| state.sidecars.push(view(&started)));
            say_ready(&board, started.sidecar.name(), started.process().ready_after);
            running.push(started);
        }
        let env = [
            ("BIND", world.app_addr.ip().to_string().into()),
            ("PORT", world.app_addr.port().to_string().into()),
            ("APP_CONFIG", world.app_config.clone().into()),
            ("LOG_DIR", world.logs.clone().into()),
            ("STATSD_HOST", world.statsd.ip().to_string().into()),
            ("STATSD_PORT", world.statsd.port().to_string().into()),
        ];
        let app = Child::start(APP, world.demo.as_os_str(), &["app".into()], &env, &journal)?;
        let line = app.line(START, |line| line.message == "ready").await?;
        say_ready(&board, APP, line.at - app.started);
        let url = format!("http://{}/", world.app_addr);
        board.change(|state| state.app = AppView { url, ready: true, ..AppView::default() });
        Ok(Self { world, journal, board, sidecars: running, app: Arc::new(app), visits: Timings::default() })
    }

    /// What the app answers.
    pub async fn app(&self, path: &str) -> Result<String, String> {
        good(http::get(self.world.app_addr, path).await?)
    }

    /// What the app answers those who come as visitors do.
    pub async fn visit(&self, path: &str) -> Result<String, String> {
        let begun = Instant::now();
        let answer = http::get(self.world.proxy, path).await.and_then(good);
        match &answer {
            Ok(_) => self.visits.add(begun.elapsed()),
            Err(_) => self.visits.failed(),
        }
        answer
    }

    /// How many greetings it has given.
    pub async fn app_requests(&self) -> Result<u64, String> {
        let metrics = Metrics::parse(&self.app("/metrics").await?);
        Ok(metrics.sum(app::REQUESTS, "").ok_or("the app does not count its greetings")? as u64)
    }

    pub async fn metrics(&self, name: &str) -> Result<Metrics, String> {
        let admin = self.sidecar(name)?.process().admin;
        good(http::get(admin, "/metrics").await?).map(|text| Metrics::parse(&text))
    }

    pub fn sidecar(&self, name: &str) -> Result<&Running, String> {
        let running = self.sidecars.iter().find(|running| running.sidecar.name() == name);
        running.ok_or_else(|| format!("{name}: no such sidecar"))
    }

    /// SIGKILL, and once more from the beginning: as the kubelet does with a container whose memory was too much.
    pub async fn kill_and_restart(&self, name: &str) -> Result<Duration, String> {
        let before = self.sidecar(name)?.process();
        before.child.kill();
        before.child.ended().await;
        self.start_again(name).await
    }

    /// One that has ended, once more from the beginning. How long it took.
    pub async fn start_again(&self, name: &str) -> Result<Duration, String> {
        let running = self.sidecar(name)?;
        let process = Arc::new(start_of(&*running.sidecar, &running.program, &self.world, &self.journal).await?);
        let (ready_after, pid, admin) = (process.ready_after, process.child.pid, process.admin);
        *running.process.lock().unwrap_or_else(PoisonError::into_inner) = process;
        running.sidecar.came_back();
        self.board.sidecar(name, |view| {
            (view.pid, view.admin, view.ready) = (pid, admin_url(admin), true);
            view.restarts += 1;
        });
        Ok(ready_after)
    }

    /// Waits until the app has ended that nobody asked to, and says how.
    pub async fn app_ended(&self) -> String {
        let status = self.app.ended().await.map_or("no status".into(), |status| status.to_string());
        format!("{APP} has ended: {status}")
    }

    /// The app first, then the sidecars in reverse: whoever serves the app is there until the app is gone.
    pub async fn stop(&self) -> Vec<(&'static str, Stopped)> {
        let mut stops = Vec::new();
        for child in self.children() {
            self.board.happened(Event::new(child.name, Kind::Life, &[], "is asked to stop (SIGTERM)"));
            let asked = Instant::now();
            let stopped = match self.sidecar(child.name) {
                Err(_) => child.stop(STOP).await,
                Ok(running) => {
                    let (mut stopped, ()) = tokio::join!(child.stop(STOP), running.sidecar.at_the_end(self));
                    stopped.work = running.sidecar.afterwards(self, asked);
                    stopped
                }
            };
            let view = StopView {
                name: child.name,
                code: stopped.code_text(),
                seconds: stopped.took.as_secs_f64(),
                words: stopped.words().to_owned(),
            };
            let kind = if stopped.is_good() { Kind::Good } else { Kind::Refused };
            let ms = stopped.took.as_secs_f64() * 1000.0;
            let text = format!("exit {} after {ms:.0} ms: {}", view.code, view.words);
            self.board.change(|state| {
                // Asked twice, it has been asked before.
                state.stops.retain(|stop| stop.name != view.name);
                state.stops.push(view);
                state.app.ready &= child.name != APP;
            });
            self.board.sidecar(child.name, |view| view.ready = false);
            self.board.happened(Event::new(child.name, kind, &[], text));
            stops.push((child.name, stopped));
        }
        stops
    }

    /// For those who cannot wait.
    pub fn kill(&self) {
        self.children().for_each(|child| child.kill());
    }

    /// In the order of stopping.
    fn children(&self) -> impl Iterator<Item = Arc<Child>> {
        let sidecars = self.sidecars.iter().rev().map(|running| Arc::clone(&running.process().child));
        std::iter::once(Arc::clone(&self.app)).chain(sidecars)
    }
}

async fn start_of(
    sidecar: &dyn Sidecar,
    program: &Path,
    world: &World,
    journal: &Arc<Journal>,
) -> Result<Process, String> {
    let mut args: Vec<OsString> = vec!["--admin-addr".into(), "127.0.0.1:0".into()];
    args.extend(sidecar.args(world));
    let child = Child::start(sidecar.name(), program.as_os_str(), &args, &[], journal)?;
    let is_admin = |what: Option<String>| what.as_deref() == Some("admin");
    let line = child.line(START, |line| line.message == "listening" && is_admin(line.field("what"))).await?;
    let admin = line.field("addr").and_then(|addr| addr.parse().ok());
    let admin = admin.ok_or_else(|| format!("{}: listens on no address: {}", child.name, line.to_text()))?;
    let line = child.line(START, |line| line.message == "ready").await?;
    let ready_after = line.at - child.started;
    // Its word is good, its probe is better.
    good(http::get(admin, "/readyz").await?)?;
    Ok(Process { child: Arc::new(child), admin, ready_after })
}

fn view(running: &Running) -> SidecarView {
    let process = running.process();
    SidecarView {
        name: running.sidecar.name(),
        job: running.sidecar.job(),
        wires: running.sidecar.wires().to_vec(),
        pid: process.child.pid,
        admin: admin_url(process.admin),
        ready: true,
        plot: running.sidecar.times_of(),
        controls: running.sidecar.controls(),
        link: running.sidecar.link(),
        ..SidecarView::default()
    }
}

fn admin_url(admin: SocketAddr) -> String {
    format!("http://{admin}/")
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
