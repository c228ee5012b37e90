//! log-shipper: the app writes, files are rotated, Elasticsearch has bad moments; every line arrives, and once.

use std::{
    ffi::OsString,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Doing, Sidecar};
use crate::{
    app,
    board::{Control, Event, Fact, Kind, Link, Plot, Wire},
    elastic::{Elastic, LATENCIES, Mood},
    journal::Line,
    logs::Logs,
    metrics::Metrics,
    pod::{APP, Pod, World},
};

pub const NAME: &str = "log-shipper";
const ELASTIC: &str = "Elasticsearch";

const WRITE: Wire = (APP, "volume");
const READ: Wire = ("volume", NAME);
const SHIP: Wire = (NAME, ELASTIC);

/// Between two visitors of the scene; each makes the app write two lines.
const PACE: Duration = Duration::from_millis(50);
const VISITS_A_SECOND: u64 = 20;
/// Long enough for a line to arrive, with a retry in between.
const SOON: Duration = Duration::from_secs(3);
/// Lines of a burst.
const BURST: u64 = 5000;
/// Visitors of each act of the script.
const CROWD: u64 = 25;

pub struct LogShipper {
    elastic: Elastic,
    logs: Logs,
    config: PathBuf,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    visits: u64,
    /// Lines, as the app counts them.
    written: u64,
}

impl LogShipper {
    pub fn new(world: &World) -> Result<Self, String> {
        let (elastic, logs) = (Elastic::start()?, Logs::new(&world.logs));
        let config = world.dir.join("log-shipper.yaml");
        let positions = world.dir.join("positions").display().to_string();
        let text = format!(
            "state_file: {positions:?}\n\
             inputs:\n\
             - {{tag: access, paths: [{:?}], format: nginx}}\n\
             - {{tag: app, paths: [{:?}], format: json, time: timestamp}}\n\
             outputs:\n\
             - elasticsearch: {{url: \"http://{}\", index: demo}}\n\
             \x20 retry: {{first: 200ms, most: 1s}}\n",
            logs.file("access.log"),
            logs.file("app.log"),
            elastic.addr,
        );
        fs::write(&config, text).map_err(|error| format!("{}: {error}", config.display()))?;
        Ok(Self { elastic, logs, config, shown: Mutex::default() })
    }

    fn with<T>(&self, what: impl FnOnce(&mut Shown) -> T) -> T {
        what(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn visit(&self, pod: &Pod) -> Result<(), String> {
        let visit = self.with(|shown| {
            shown.visits += 1;
            shown.visits
        });
        pod.visit(&format!("/?visit={visit}")).await.map(drop)
    }

    async fn crowd(&self, pod: &Pod) -> Result<(), String> {
        for _ in 0..CROWD {
            self.visit(pod).await?;
        }
        Ok(())
    }

    async fn written(&self, pod: &Pod) -> Result<u64, String> {
        let metrics = Metrics::parse(&pod.app("/metrics").await?);
        let written = metrics.sum(app::WRITTEN, "").ok_or("the app does not count its lines")? as u64;
        self.with(|shown| shown.written = written);
        Ok(written)
    }

    /// The app writes much at once; nobody waits for that.
    async fn burst(&self, pod: &Pod) -> Result<(), String> {
        let begun = Instant::now();
        pod.app(&format!("{}?lines={BURST}", app::BURST)).await?;
        self.all_arrive(pod, "after a burst").await?;
        let text = format!("{BURST} more lines: all of them are there after {} ms", begun.elapsed().as_millis());
        pod.board.happened(Event::new(ELASTIC, Kind::Good, &[WRITE, READ, SHIP], text));
        Ok(())
    }

    async fn rotate(&self, pod: &Pod) -> Result<(), String> {
        let text = "moves app.log and access.log away, then tells the app";
        pod.board.happened(Event::new("logrotate", Kind::Change, &[WRITE], text));
        let mark = pod.journal.mark();
        self.logs.rotate()?;
        // What is written now is still for the old files.
        self.visit(pod).await?;
        pod.app.open_logs_again();
        let opened = pod.journal.find(mark, SOON, |line| line.is(APP, "logs opened again"));
        opened.await.map(drop).ok_or_else(|| "the app does not open its logs again".into())
    }

    /// Until the index has all that is written now.
    async fn all_arrive(&self, pod: &Pod, after: &str) -> Result<(), String> {
        let written = self.written(pod).await?;
        match self.elastic.until(SOON, |index| index.count >= written).await {
            true => Ok(()),
            false => Err(format!("{after}: of {written} lines {} arrived", self.elastic.index().count)),
        }
    }

    /// Once a second of the scene. Its arguments are what the index had refused and had a second ago.
    async fn tell(&self, pod: &Pod, refused: u64, second: u64) -> Result<u64, String> {
        self.written(pod).await?;
        let (now_refused, count) = {
            let index = self.elastic.index();
            (index.refused, index.count)
        };
        if now_refused > refused {
            let text = format!("answers 429 for {} of a batch: nothing else comes again", now_refused - refused);
            pod.board.happened(Event::new(ELASTIC, Kind::Refused, &[SHIP], text));
        } else if second.is_multiple_of(5) {
            let text = format!("has {count} lines, each of them once");
            pod.board.happened(Event::new(ELASTIC, Kind::Good, &[WRITE, READ, SHIP], text));
        }
        Ok(now_refused)
    }
}

impl Sidecar for LogShipper {
    fn name(&self) -> &'static str {
        NAME
    }

    fn job(&self) -> &'static str {
        "follows the app's logs, ships every line, once"
    }

    fn wires(&self) -> &'static [Wire] {
        &[WRITE, READ, SHIP]
    }

    fn args(&self, _world: &World) -> Vec<OsString> {
        vec!["--config".into(), self.config.clone().into()]
    }

    fn narrate(&self, pod: &Pod, line: &Line) -> Option<Event> {
        let file = line.field("path").filter(|_| line.who == NAME);
        let file = file.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        if line.is(NAME, "rotated") {
            let left = line.field("left").unwrap_or_default();
            let text = format!("{file} was moved away with {left} bytes left: followed to its end");
            return Some(Event::new(NAME, Kind::Step, &[READ], text));
        }
        if line.is(NAME, "not delivered") {
            let why = line.field("why").unwrap_or_default();
            pod.board.sidecar(NAME, |view| view.trouble = why);
        }
        None
    }

    fn facts(&self, metrics: &Metrics) -> Vec<Fact> {
        let of = |name: &str| metrics.sum(&format!("log_shipper_{name}"), "").unwrap_or_default();
        // The app was asked a moment before.
        let (written, arrived) = (self.with(|shown| shown.written), self.elastic.index().count);
        vec![
            Fact::new("written", format!("{} lines", written.max(arrived))),
            Fact::new("arrived, each once", format!("{arrived} lines")),
            Fact::new("backlog", format!("{} bytes", of("backlog_bytes"))),
            Fact::new("retries", of("retries_total").to_string()),
        ]
    }

    fn work(&self, metrics: &Metrics) -> Option<(Plot, f64)> {
        Some((Plot::named("lines", "/s"), metrics.sum("log_shipper_records_total", "")?))
    }

    fn times_of(&self) -> Plot {
        Plot::named("from written to acknowledged", "ms")
    }

    fn times(&self, _pod: &Pod) -> Option<(f64, f64)> {
        let index = self.elastic.index();
        let of_late = 10 * VISITS_A_SECOND as usize;
        index.latency(0.5, of_late).zip(index.latency(0.99, of_late))
    }

    fn controls(&self) -> Vec<Control> {
        vec![
            Control::button("burst", "Write 5,000 lines"),
            Control::button("rotate", "Rotate the logs"),
            Control::button("busy", "Answer 429"),
        ]
    }

    fn press<'a>(&'a self, pod: &'a Pod, action: &'a str, _typed: &'a str) -> Doing<'a, Result<(), String>> {
        Box::pin(async move {
            match action {
                "burst" => self.burst(pod).await,
                "rotate" => self.rotate(pod).await,
                _ => {
                    self.elastic.feels(Mood::Busy);
                    Ok(())
                }
            }
        })
    }

    fn link(&self) -> Option<Link> {
        Some(Link { label: "what has arrived", url: format!("http://{}/", self.elastic.addr) })
    }

    fn scene(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<(), String>> {
        Box::pin(async move {
            let mut refused = 0;
            for tick in 1_u64.. {
                tokio::time::sleep(PACE).await;
                // A visitor who gets no answer goes away.
                let _ = self.visit(&pod).await;
                if !tick.is_multiple_of(VISITS_A_SECOND) {
                    continue;
                }
                let second = tick / VISITS_A_SECOND;
                match second % 18 {
                    8 => self.elastic.feels(Mood::Busy),
                    13 => self.rotate(&pod).await?,
                    _ => {}
                }
                refused = self.tell(&pod, refused, second).await?;
            }
            Ok(())
        })
    }

    fn proof(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<Vec<String>, String>> {
        Box::pin(async move {
            self.crowd(&pod).await?;
            self.all_arrive(&pod, "at first").await?;
            let ms = self.elastic.index().latency(0.5, LATENCIES).ok_or("no line has a time")?;
            // A batch of which a part is refused: that part comes again, and only that.
            self.elastic.feels(Mood::Busy);
            self.crowd(&pod).await?;
            self.all_arrive(&pod, "after a 429 for some").await?;
            let (refused, again) = self.elastic.refused_and_again();
            if refused == 0 || again > 0 {
                return Err(format!("of {refused} lines that got a 429, {again} others were sent again"));
            }
            // A rotation, with lines before, between and after.
            self.crowd(&pod).await?;
            self.rotate(&pod).await?;
            self.crowd(&pod).await?;
            self.all_arrive(&pod, "after a rotation").await?;
            // It is killed when a batch has arrived and it does not know: the next start sends that again.
            self.elastic.feels(Mood::Mute);
            let before = self.elastic.index().count;
            self.crowd(&pod).await?;
            if !self.elastic.until(SOON, |index| index.count > before).await {
                return Err("nothing arrives at a server that does not answer".into());
            }
            pod.kill_and_restart(NAME).await?;
            self.elastic.feels(Mood::Good);
            self.all_arrive(&pod, "after kill -9").await?;
            if !self.elastic.until(SOON, |index| index.again > 0).await {
                return Err("kill -9 lost the batch that was on its way, or its position was written too early".into());
            }
            // These have to be flushed at the end.
            self.crowd(&pod).await?;
            let again = self.elastic.index().again;
            Ok(vec![
                format!("{ms:.0} ms from written to acknowledged"),
                format!("one rotation, {refused} lines refused with 429, one kill -9 ({again} sent again)"),
            ])
        })
    }

    fn afterwards(&self, pod: &Pod, asked: Instant) -> Result<Option<String>, String> {
        let goodbye = pod.journal.last(APP, 1).pop().and_then(|line| line.field("lines")?.parse::<u64>().ok());
        let goodbye = goodbye.ok_or("the app did not say how many lines it has written")?;
        let (keys, deleted) = (self.logs.keys()?, self.logs.deleted());
        let on_disk = keys.len() as u64 + deleted;
        if goodbye != on_disk {
            return Err(format!("the app has written {goodbye} lines, in the files are {on_disk}"));
        }
        let index = self.elastic.index();
        index.has_once(&keys, deleted)?;
        let (count, flushed) = (index.count, index.since(asked));
        Ok(Some(format!("all {count} lines arrived, each once; {flushed} of them flushed after SIGTERM")))
    }
}
