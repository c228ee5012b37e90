//! metrics-adapter: the app counts by statsd, Prometheus reads it; no line, however bad, spoils that for the others.

use std::{
    ffi::OsString,
    fs,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Doing, Sidecar};
use crate::{
    board::{Control, Event, Fact, Kind, Plot, Wire},
    journal::Line,
    metrics::Metrics,
    pod::{APP, Pod, World},
    timings::Timings,
};

pub const NAME: &str = "metrics-adapter";

const SEND: Wire = (APP, NAME);
const SCRAPE: Wire = ("Prometheus", NAME);

/// As in the file of somebody who had statsd_exporter before.
const MAPPING: &str = "mappings:
- match: app.requests.*
  name: app_requests_total
  labels: { page: $1 }
- match: app.request_time
  name: app_request_seconds
  observer_type: histogram
  histogram_options: { buckets: [0.0001, 0.001, 0.01, 0.1] }
";
const COUNTED: &str = "app_requests_total";

/// Each of these ends the program that it replaces, or spoils its metrics for ever.
const KILLERS: [&str; 6] = [
    "killer.one:1|h|#quantile:5",
    "killer.two:1|h|#le:5",
    "killer]a=1[:1|c",
    "killer.four:1|c|#__name__:bar",
    "killer.five:NaN|c",
    "killer.six:1|ms|@0.0000001",
];

/// Between two scrapes of the scene.
const PACE: Duration = Duration::from_secs(1);
/// Then somebody sends a bad line.
const SCRAPES_AN_ACT: usize = 7;
/// Lines of a button, and how many go into one packet.
const THOUSAND: usize = 1000;
const PACKET: usize = 20;
const PRESSED: &str = "button_pressed";
const SOON: Duration = Duration::from_secs(3);
const MOMENT: Duration = Duration::from_millis(10);
/// Visitors of each act of the script.
const CROWD: u64 = 25;

pub struct MetricsAdapter {
    statsd: SocketAddr,
    mapping: PathBuf,
    scrapes: Timings,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    /// Killed, it has forgotten what it had counted.
    has_forgotten: bool,
    /// What the last scrape said that the app had counted.
    last: f64,
}

impl MetricsAdapter {
    pub fn new(world: &World) -> Result<Self, String> {
        let mapping = world.dir.join("statsd-mapping.yaml");
        fs::write(&mapping, MAPPING).map_err(|error| format!("{}: {error}", mapping.display()))?;
        Ok(Self { statsd: world.statsd, mapping, scrapes: Timings::default(), shown: Mutex::default() })
    }

    fn with<T>(&self, what: impl FnOnce(&mut Shown) -> T) -> T {
        what(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn send(&self, line: &str) -> Result<(), String> {
        let sent = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.send_to(line.as_bytes(), self.statsd));
        sent.map(drop).map_err(|error| format!("{}: {error}", self.statsd))
    }

    async fn crowd(&self, pod: &Pod) -> Result<(), String> {
        for _ in 0..CROWD {
            pod.visit("/").await?;
        }
        Ok(())
    }

    async fn counted(&self, pod: &Pod) -> Result<f64, String> {
        let begun = Instant::now();
        let metrics = pod.metrics(NAME).await?;
        self.scrapes.add(begun.elapsed());
        Ok(metrics.sum(COUNTED, "page=\"greeting\"").unwrap_or_default())
    }

    async fn poison(&self, pod: &Pod, line: &str) -> Result<(), String> {
        self.send(line)?;
        let counted = self.counted(pod).await?;
        let text = format!("somebody sends {line}: it harms nobody, {counted} requests are counted");
        pod.board.happened(Event::new(NAME, Kind::Good, &[SEND, SCRAPE], text));
        Ok(())
    }

    async fn thousand(&self, pod: &Pod) -> Result<(), String> {
        let pressed = async || Ok::<_, String>(pod.metrics(NAME).await?.sum(PRESSED, "").unwrap_or_default());
        let wanted = pressed().await? + THOUSAND as f64;
        let begun = Instant::now();
        for _ in 0..THOUSAND / PACKET {
            self.send(&format!("{PRESSED}:1|c\n").repeat(PACKET))?;
        }
        while pressed().await? < wanted {
            if begun.elapsed() > SOON {
                return Err(format!("of {wanted} lines {} are counted", pressed().await?));
            }
            tokio::time::sleep(MOMENT).await;
        }
        let text = format!(
            "{PRESSED} is {wanted} now, {} ms after the first of {THOUSAND} lines",
            begun.elapsed().as_millis()
        );
        pod.board.happened(Event::new(NAME, Kind::Good, &[SEND, SCRAPE], text));
        Ok(())
    }

    /// Until so many are counted, and no more come.
    async fn until_counted(&self, pod: &Pod, wanted: f64, when: &str) -> Result<Duration, String> {
        let begun = Instant::now();
        loop {
            let counted = self.counted(pod).await?;
            if counted >= wanted || begun.elapsed() > SOON {
                let is_all = (counted - wanted).abs() < 0.5;
                return if is_all {
                    Ok(begun.elapsed())
                } else {
                    Err(format!("{when}: of {wanted} requests {counted} are counted"))
                };
            }
            tokio::time::sleep(MOMENT).await;
        }
    }
}

impl Sidecar for MetricsAdapter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn job(&self) -> &'static str {
        "turns the app's statsd into metrics for Prometheus"
    }

    fn wires(&self) -> &'static [Wire] {
        &[SEND, SCRAPE]
    }

    fn args(&self, _world: &World) -> Vec<OsString> {
        let listen = format!("udp://{}", self.statsd);
        vec!["--listen".into(), listen.into(), "--mapping".into(), self.mapping.clone().into()]
    }

    fn narrate(&self, _pod: &Pod, line: &Line) -> Option<Event> {
        line.is(NAME, "waiting for whoever scrapes to take what came last")
            .then(|| Event::new(NAME, Kind::Step, &[SCRAPE], "waits until somebody has scraped the last lines"))
    }

    fn facts(&self, metrics: &Metrics) -> Vec<Fact> {
        let of = |name: &str| metrics.sum(&format!("metrics_adapter_{name}"), "").unwrap_or_default();
        let lines = of("lines_total");
        let requests = metrics.sum(COUNTED, "").unwrap_or_default();
        vec![
            Fact::new("requests counted", requests.to_string()),
            Fact::new("lines", lines.to_string()),
            Fact::new("series", of("series").to_string()),
            Fact::new("refused", (of("sample_errors_total") + of("refused_total")).to_string()),
        ]
    }

    fn work(&self, metrics: &Metrics) -> Option<(Plot, f64)> {
        Some((Plot::named("lines of statsd", "/s"), metrics.sum("metrics_adapter_lines_total", "")?))
    }

    fn times_of(&self) -> Plot {
        Plot::named("a scrape", "ms")
    }

    fn times(&self, _pod: &Pod) -> Option<(f64, f64)> {
        self.scrapes.shares()
    }

    fn controls(&self) -> Vec<Control> {
        vec![Control::button("thousand", "Send 1,000 lines"), Control::button("poison", "Send a poisonous line")]
    }

    fn press<'a>(&'a self, pod: &'a Pod, action: &'a str, _typed: &'a str) -> Doing<'a, Result<(), String>> {
        Box::pin(async move {
            match action {
                "thousand" => self.thousand(pod).await,
                _ => self.poison(pod, KILLERS[0]).await,
            }
        })
    }

    fn came_back(&self) {
        self.with(|shown| shown.has_forgotten = true);
    }

    fn scene(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<(), String>> {
        Box::pin(async move {
            for nth in 0_usize.. {
                tokio::time::sleep(PACE).await;
                if nth % SCRAPES_AN_ACT != SCRAPES_AN_ACT - 1 {
                    self.counted(&pod).await?;
                    continue;
                }
                let nth = nth / SCRAPES_AN_ACT;
                self.poison(&pod, KILLERS[nth % KILLERS.len()]).await?;
            }
            Ok(())
        })
    }

    fn proof(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<Vec<String>, String>> {
        Box::pin(async move {
            // What others have asked for before is counted as well.
            let before = pod.app_requests().await?;
            self.crowd(&pod).await?;
            let visited = (before + CROWD) as f64;
            let took = self.until_counted(&pod, visited, "at first").await?;
            for line in KILLERS {
                self.send(line)?;
            }
            self.crowd(&pod).await?;
            self.until_counted(&pod, visited + CROWD as f64, "after bad lines").await?;
            let metrics = pod.metrics(NAME).await?;
            let slow = metrics.sum("app_request_seconds_count", "").unwrap_or_default();
            if (slow - (visited + CROWD as f64)).abs() > 0.5 {
                return Err(format!("{slow} times are in the histogram, of {visited} requests and {CROWD}"));
            }
            let of = |name: &str| metrics.sum(&format!("metrics_adapter_{name}"), "").unwrap_or_default();
            let refused = of("sample_errors_total") + of("refused_total");
            // A label that is reserved for others, a name that is none, a number that is none; the rest can be counted.
            if refused < 3.0 {
                return Err(format!("of {} bad lines {refused} are counted as refused", KILLERS.len()));
            }
            // These have to be there at the end.
            self.crowd(&pod).await?;
            Ok(vec![
                format!("{} ms from sent to scraped", took.as_millis()),
                format!("{} bad lines ({refused} refused) cost no count", KILLERS.len()),
            ])
        })
    }

    fn at_the_end<'a>(&'a self, pod: &'a Pod) -> Doing<'a, ()> {
        Box::pin(async move {
            // Prometheus comes by a little later than the end.
            tokio::time::sleep(Duration::from_millis(150)).await;
            let counted = self.counted(pod).await.unwrap_or_default();
            self.with(|shown| shown.last = counted);
        })
    }

    fn afterwards(&self, pod: &Pod, _asked: Instant) -> Result<Option<String>, String> {
        let goodbye = pod.journal.last(APP, 1).pop().and_then(|line| line.field("requests")?.parse::<f64>().ok());
        let goodbye = goodbye.ok_or("the app did not say how many requests it had")?;
        let (last, has_forgotten) = self.with(|shown| (shown.last, shown.has_forgotten));
        if has_forgotten {
            return Ok(Some(format!("{last} requests were scraped since it was killed")));
        }
        if (goodbye - last).abs() > 0.5 {
            return Err(format!("the app had {goodbye} requests, the last scrape says {last}"));
        }
        Ok(Some(format!("all {last} requests were scraped, the last ones after SIGTERM")))
    }
}
