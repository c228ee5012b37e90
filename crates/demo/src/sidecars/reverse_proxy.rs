//! reverse-proxy: every visitor comes through it; routes change under load, and what is meant for two readers is refused.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{Doing, Sidecar};
use crate::{
    board::{Control, Event, Fact, Kind, Link, Plot, Wire},
    http,
    journal::Line,
    metrics::Metrics,
    pod::{APP, Pod, World},
};

pub const NAME: &str = "reverse-proxy";

const COME: Wire = ("visitors", NAME);
const PASS: Wire = (NAME, APP);

/// Between two changes of the routes in the scene.
const PACE: Duration = Duration::from_secs(6);
const SOON: Duration = Duration::from_secs(3);
const VISITS: usize = 50;
const RELOADS: u32 = 10;

/// One reader takes this for one request, another one for two.
const TWO_LENGTHS: &str = "POST / HTTP/1.1\r\nHost: demo\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
                           0\r\n\r\nGET / HTTP/1.1\r\nHost: demo\r\n\r\n";

pub struct ReverseProxy {
    config: PathBuf,
    proxy: SocketAddr,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    version: u32,
}

impl ReverseProxy {
    pub fn new(world: &World) -> Result<Self, String> {
        let proxy = Self { config: world.dir.join("reverse-proxy.yaml"), proxy: world.proxy, shown: Mutex::default() };
        proxy.write(world, 0)?;
        Ok(proxy)
    }

    fn with<T>(&self, what: impl FnOnce(&mut Shown) -> T) -> T {
        what(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The same routes but for one, which says which version this is.
    fn write(&self, world: &World, version: u32) -> Result<(), String> {
        let text = format!(
            "listeners:\n- listen: \"{}\"\n  routes:\n  - {{path: /version, respond: {{status: 200, body: \"{version}\"}}}}\n  \
             - {{to: \"{}\"}}\n",
            world.proxy, world.app_addr
        );
        fs::write(&self.config, text).map_err(|error| format!("{}: {error}", self.config.display()))
    }

    /// New routes, until they are those that answer.
    async fn change(&self, pod: &Pod) -> Result<(u32, Duration), String> {
        let version = self.with(|shown| {
            shown.version += 1;
            shown.version
        });
        self.write(&pod.world, version)?;
        let begun = Instant::now();
        pod.sidecar(NAME)?.process().child.reload();
        while begun.elapsed() < SOON {
            if http::get(pod.world.proxy, "/version").await? == (200, version.to_string()) {
                return Ok((version, begun.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(format!("version {version} of the routes does not answer within {} s", SOON.as_secs()))
    }

    /// Either new routes, or a request that nobody may pass on.
    async fn act(&self, pod: &Pod, is_reload: bool) -> Result<(), String> {
        if is_reload {
            let (version, took) = self.change(pod).await?;
            let text = format!("has version {version} of its routes, {} ms after SIGHUP", took.as_millis());
            pod.board.happened(Event::new(NAME, Kind::Good, &[COME, PASS], text));
        } else {
            let refused = said(pod, TWO_LENGTHS).await?;
            let line = refused.lines().next().unwrap_or_default();
            let text = format!("a request with two lengths: {line}; the app never sees it");
            pod.board.happened(Event::new(NAME, Kind::Refused, &[COME], text));
        }
        Ok(())
    }

    /// Visits one after the other until `done`; how many there were. The first that fails is the end.
    async fn visits(&self, pod: &Pod, done: &tokio::sync::watch::Receiver<bool>) -> Result<usize, String> {
        let mut count = 0;
        while !*done.borrow() {
            pod.visit("/").await?;
            count += 1;
        }
        Ok(count)
    }
}

/// What comes back for these bytes, to the end of the connection.
async fn said(pod: &Pod, bytes: &str) -> Result<String, String> {
    let talk = async {
        let mut stream = TcpStream::connect(pod.world.proxy).await?;
        stream.write_all(bytes.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(64 << 10).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(SOON, talk).await.map_err(|_| "the connection stays open".to_owned())?;
    answer.map_err(|error| error.to_string())
}

/// The median time of some visits there, one after the other.
async fn median(addr: SocketAddr) -> Result<Duration, String> {
    let mut took = Vec::new();
    for _ in 0..VISITS {
        let begun = Instant::now();
        let (status, _) = http::get(addr, "/").await?;
        if status != 200 {
            return Err(format!("http://{addr}/ answered {status}"));
        }
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took[VISITS / 2])
}

impl Sidecar for ReverseProxy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn job(&self) -> &'static str {
        "takes the visitors, routes, protects the app"
    }

    fn wires(&self) -> &'static [Wire] {
        &[COME, PASS]
    }

    fn args(&self, _world: &World) -> Vec<OsString> {
        // In a pod it is longer: until nobody sends it anything any more.
        vec!["--config".into(), self.config.clone().into(), "--drain-delay".into(), "200ms".into()]
    }

    fn narrate(&self, _pod: &Pod, _line: &Line) -> Option<Event> {
        None
    }

    fn facts(&self, metrics: &Metrics) -> Vec<Fact> {
        let requests = metrics.sum("reverse_proxy_requests_total", "").unwrap_or_default();
        let failed = metrics.sum("reverse_proxy_failures_total", "").unwrap_or_default();
        vec![
            Fact::new("requests", requests.to_string()),
            Fact::new("refused or failed", failed.to_string()),
            Fact::new("version of the routes", self.with(|shown| shown.version).to_string()),
        ]
    }

    fn work(&self, metrics: &Metrics) -> Option<(Plot, f64)> {
        Some((Plot::named("requests", "/s"), metrics.sum("reverse_proxy_requests_total", "")?))
    }

    fn times_of(&self) -> Plot {
        Plot::named("a visit through it", "ms")
    }

    fn times(&self, pod: &Pod) -> Option<(f64, f64)> {
        pod.visits.shares()
    }

    fn controls(&self) -> Vec<Control> {
        vec![Control::button("reload", "New routes"), Control::button("smuggle", "Smuggle a request")]
    }

    fn press<'a>(&'a self, pod: &'a Pod, action: &'a str, _typed: &'a str) -> Doing<'a, Result<(), String>> {
        Box::pin(self.act(pod, action == "reload"))
    }

    fn afterwards(&self, pod: &Pod, _asked: Instant) -> Result<Option<String>, String> {
        let (answered, failed) = pod.visits.counts();
        Ok(Some(format!("{answered} visits answered, {failed} failed")))
    }

    fn link(&self) -> Option<Link> {
        Some(Link { label: "visit the app", url: format!("http://{}/", self.proxy) })
    }

    fn scene(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<(), String>> {
        Box::pin(async move {
            for nth in 1_u64.. {
                tokio::time::sleep(PACE).await;
                self.act(&pod, nth % 2 == 0).await?;
            }
            Ok(())
        })
    }

    fn proof(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<Vec<String>, String>> {
        Box::pin(async move {
            let direct = median(pod.world.app_addr).await?;
            let through = median(pod.world.proxy).await?;
            // Routes are changed while people come.
            let (stop, done) = tokio::sync::watch::channel(false);
            let changes = async {
                let mut slowest = Duration::ZERO;
                for _ in 0..RELOADS {
                    slowest = slowest.max(self.change(&pod).await?.1);
                }
                stop.send_replace(true);
                Ok::<_, String>(slowest)
            };
            let (slowest, visits) = tokio::join!(changes, self.visits(&pod, &done));
            let (slowest, visits) = (slowest?, visits?);
            let before = pod.app_requests().await?;
            let refused = said(&pod, TWO_LENGTHS).await?;
            let after = pod.app_requests().await?;
            if !refused.starts_with("HTTP/1.1 400 ") || refused.matches("HTTP/1.1").count() != 1 || before != after {
                return Err(format!(
                    "a request with two lengths: {refused:?}, and the app had {} requests of it",
                    after - before
                ));
            }
            Ok(vec![
                format!("{} us a visit, {} us without it", through.as_micros(), direct.as_micros()),
                format!(
                    "{RELOADS} reloads in at most {} ms, {visits} visits meanwhile, none failed",
                    slowest.as_millis()
                ),
                "a request with two lengths refused".to_owned(),
            ])
        })
    }
}
