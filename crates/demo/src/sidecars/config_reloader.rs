//! config-reloader: a ConfigMap changes, the app hears of it; what is broken it never sees.

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Doing, Sidecar};
use crate::{
    board::{Control, Event, Fact, Kind, Plot, Wire},
    configmap::ConfigMap,
    greeting::Greeting,
    journal::Line,
    metrics::Metrics,
    pod::{APP, Pod, World, shell_quoted},
};

pub const NAME: &str = "config-reloader";
const FILE: &str = "greeting.conf";

const OUTSIDE: Wire = ("ConfigMap", NAME);
const PREPARE: Wire = (NAME, "volume");
const TELL: Wire = (NAME, APP);
const READ: Wire = ("volume", APP);

const GREETINGS: [&str; 8] = ["Hello", "Bonjour", "Grüß Gott", "Hola", "Γειά σου", "Merhaba", "Привет", "Ahoj"];
/// Mistakes as people make them.
const MISTAKES: [&str; 3] =
    ["version = {}\ngreting = Hello\n", "version = {}.0\ngreeting = Hello\n", "version = {}\ngreeting: Hello\n"];
/// Between two changes of the scene.
const PACE: Duration = Duration::from_secs(4);
/// Long enough for a change that is noticed to be told.
const SOON: Duration = Duration::from_secs(3);
/// Long enough for a change that must not be told to be noticed after all.
const QUIET: Duration = Duration::from_millis(700);

pub struct ConfigReloader(Mutex<Inner>);

struct Inner {
    map: ConfigMap,
    version: u64,
    /// The version that the app has.
    told: u64,
    /// What the map has, and since when.
    file: String,
    swapped: Instant,
    /// Retries are refused too; once is enough to say it.
    refused: u64,
}

impl ConfigReloader {
    pub fn new(world: &World) -> Result<Self, String> {
        let map = ConfigMap::new(source(world)).map_err(|error| format!("ConfigMap: {error}"))?;
        let inner = Inner {
            map,
            version: 0,
            told: 1, // the app starts with it
            file: String::new(),
            swapped: Instant::now(),
            refused: 0,
        };
        let this = Self(Mutex::new(inner));
        this.greet()?;
        Ok(this)
    }

    fn with<T>(&self, what: impl FnOnce(&mut Inner) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Swaps in a new greeting.
    fn greet(&self) -> Result<Greeting, String> {
        self.with(|inner| {
            inner.version += 1;
            let version = inner.version;
            let text = GREETINGS[version as usize % GREETINGS.len()].into();
            let greeting = Greeting { version, text };
            inner.swap(greeting.to_file()).map(|()| greeting)
        })
    }

    /// Swaps in what somebody has typed, whatever that is.
    fn write(&self, typed: &str) -> Result<u64, String> {
        self.with(|inner| {
            inner.version += 1;
            let line: String = typed.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            inner.swap(format!("version = {}\ngreeting = {line}\n", inner.version))?;
            Ok(inner.version)
        })
    }

    /// Swaps in one with a mistake.
    fn blunder(&self) -> Result<u64, String> {
        self.with(|inner| {
            inner.version += 1;
            let mistake = MISTAKES[inner.version as usize % MISTAKES.len()];
            inner.swap(mistake.replace("{}", &inner.version.to_string()))?;
            Ok(inner.version)
        })
    }

    /// Swaps in what is there already, as a new mount does.
    fn repeat(&self) -> Result<(), String> {
        self.with(|inner| inner.swap(inner.file.clone()))
    }
}

impl Inner {
    fn swap(&mut self, file: String) -> Result<(), String> {
        let swapped = self.map.swap(&[(FILE, &file)]);
        self.swapped = swapped.map_err(|error| format!("{}: {error}", self.map.dir().display()))?;
        self.file = file;
        Ok(())
    }
}

fn source(world: &World) -> PathBuf {
    world.dir.join("configmap")
}

impl Sidecar for ConfigReloader {
    fn name(&self) -> &'static str {
        NAME
    }

    fn job(&self) -> &'static str {
        "notices new bytes, checks them, tells the app"
    }

    fn wires(&self) -> &'static [Wire] {
        &[OUTSIDE, PREPARE, TELL, READ]
    }

    fn args(&self, world: &World) -> Vec<OsString> {
        let mut prepare = source(world).join(FILE).into_os_string();
        prepare.push("=");
        prepare.push(&world.app_config);
        let check = format!("{} app --check {{file}}", shell_quoted(&world.demo));
        let url = format!("http://{}/-/reload", world.app_addr);
        let typed = ["--prepare".into(), prepare, "--check".into(), check.into(), "--url".into(), url.into()];
        typed.into()
    }

    fn narrate(&self, pod: &Pod, line: &Line) -> Option<Event> {
        let (version, swapped) = self.with(|inner| (inner.version, inner.swapped));
        if line.is(NAME, "file put in place") {
            return Some(Event::new(NAME, Kind::Step, &[PREPARE], "checked, and put in place"));
        }
        if line.is(APP, "reloaded") && line.field("version") == Some(version.to_string()) {
            let ms = milliseconds(swapped, line.at);
            self.with(|inner| inner.told = version);
            pod.board.sidecar(NAME, |view| view.plot.push(ms));
            let greeting = line.field("greeting").unwrap_or_default();
            let text = format!("says “{greeting}” (version {version}), {ms:.0} ms after the swap");
            return Some(Event::new(APP, Kind::Good, &[TELL, READ], text));
        }
        let stage = line.field("stage").filter(|_| line.who == NAME)?;
        let repeated = self.with(|inner| std::mem::replace(&mut inner.refused, version) == version);
        let reason = reason(&line.message);
        pod.board.sidecar(NAME, |view| view.trouble = format!("{stage}: {reason}"));
        (!repeated).then(|| Event::new(NAME, Kind::Refused, &[], format!("refused: {reason}")))
    }

    fn facts(&self, metrics: &Metrics) -> Vec<Fact> {
        let count = |name: &str, label: &str| {
            metrics.sum(&format!("config_reloader_{name}"), label).unwrap_or_default().to_string()
        };
        vec![
            Fact::new("version told", self.with(|inner| inner.told).to_string()),
            Fact::new("reloads", count("reloads_total", "result=\"success\"")),
            Fact::new("failed checks", count("failures_total", "stage=\"check\"")),
        ]
    }

    fn times_of(&self) -> Plot {
        Plot { note: "10 of it to settle", ..Plot::named("from swap to told", "ms") }
    }

    fn controls(&self) -> Vec<Control> {
        vec![
            Control { action: "greet", label: "Save", input: Some("greeting") },
            Control::button("blunder", "Save a mistake"),
            Control::button("repeat", "Save the same bytes"),
        ]
    }

    fn press<'a>(&'a self, pod: &'a Pod, action: &'a str, typed: &'a str) -> Doing<'a, Result<(), String>> {
        Box::pin(async move {
            let text = match action {
                "greet" => format!("save version {} of the ConfigMap", self.write(typed)?),
                "blunder" => format!("save version {}, with a mistake", self.blunder()?),
                _ => {
                    self.repeat()?;
                    "save what is there already".to_owned()
                }
            };
            pod.board.happened(Event::new("you", Kind::Change, &[OUTSIDE], text));
            Ok(())
        })
    }

    fn afterwards(&self, pod: &Pod, _asked: Instant) -> Result<Option<String>, String> {
        let lines = pod.journal.last(APP, usize::MAX);
        let told = lines.iter().rev().find(|line| line.message == "reloaded").and_then(|line| line.field("version"));
        // The one that it has started with, if nothing came after it.
        Ok(Some(format!("version {} is what the app was told last", told.unwrap_or("1".into()))))
    }

    fn scene(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<(), String>> {
        Box::pin(async move {
            let swapped = |text: String| pod.board.happened(Event::new("kubelet", Kind::Change, &[OUTSIDE], text));
            for turn in 1_u64.. {
                tokio::time::sleep(PACE).await;
                match turn % 6 {
                    3 => {
                        let version = self.blunder()?;
                        swapped(format!("swaps ..data to version {version}, which has a mistake"));
                    }
                    5 => {
                        self.repeat()?;
                        swapped("swaps ..data to the same bytes".into());
                        let mark = pod.journal.mark();
                        if pod.journal.find(mark, QUIET, |line| line.is(NAME, "told")).await.is_none() {
                            pod.board.happened(Event::new(NAME, Kind::Life, &[], "same bytes: nobody is told"));
                        }
                    }
                    _ => {
                        let Greeting { version, text } = self.greet()?;
                        swapped(format!("swaps ..data to version {version}, “{text}”"));
                    }
                }
            }
            Ok(())
        })
    }

    fn proof(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<Vec<String>, String>> {
        Box::pin(async move {
            let first = pod.app("/").await?;
            // A swap is told, and the app answers the new greeting.
            let mark = pod.journal.mark();
            let greeting = self.greet()?;
            let version = greeting.version.to_string();
            let told = |line: &Line| line.is(APP, "reloaded") && line.field("version").as_ref() == Some(&version);
            let line = pod.journal.find(mark, SOON, told).await.ok_or("a swap was not told")?;
            let ms = milliseconds(self.with(|inner| inner.swapped), line.at);
            let second = pod.app("/").await?;
            if second != greeting.text || second == first {
                return Err(format!("told about “{}”, the app answers “{second}”", greeting.text));
            }
            // Equal bytes tell nobody.
            let mark = pod.journal.mark();
            self.repeat()?;
            if pod.journal.find(mark, QUIET, |line| line.is(APP, "reloaded")).await.is_some() {
                return Err("equal bytes were told".into());
            }
            // A broken config is refused and counted, the old one stays.
            let mark = pod.journal.mark();
            self.blunder()?;
            let refused = pod.journal.find(mark, SOON, |line| line.field("stage").as_deref() == Some("check"));
            let line = refused.await.ok_or("a broken config was not refused")?;
            let why = reason(&line.message);
            let counted = pod.metrics(NAME).await?;
            let counted = counted.sum("config_reloader_failures_total", "stage=\"check\"").unwrap_or_default();
            if counted < 1.0 {
                return Err("a broken config was refused and not counted".into());
            }
            let third = pod.app("/").await?;
            if third != second {
                return Err(format!("a broken config was refused, and yet the app answers “{third}”"));
            }
            // And a good one after it is told again: it also ends in order, with nothing left to do.
            let mark = pod.journal.mark();
            let version = self.greet()?.version.to_string();
            let told = |line: &Line| line.is(APP, "reloaded") && line.field("version").as_ref() == Some(&version);
            pod.journal.find(mark, SOON, told).await.ok_or("no change is told after a broken one")?;
            Ok(vec![
                format!("told in {ms:.0} ms"),
                "equal bytes told nobody".into(),
                format!("a mistake refused ({why})"),
            ])
        })
    }
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1000.0
}

/// The words of the check alone: `...: exit status: 78: "greeting.conf: line 2: ..."`.
fn reason(message: &str) -> String {
    let words = message.split_once(": \"").map_or(message, |(_, words)| words);
    let words = words.strip_suffix('"').unwrap_or(words);
    // The check sees the file under another name, before it is put in place.
    let line = words.find("line ").map_or(words, |at| &words[at..]);
    line.replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_what_the_check_said() {
        let message = "the change is not applied, the last good config stays: /t/demo: exit status: 78: \
                       \".greeting.conf.x1: line 2: \"greting\": unknown, expected version or greeting\"";
        assert_eq!(reason(message), "line 2: \"greting\": unknown, expected version or greeting");
        assert_eq!(reason("no quotes"), "no quotes");
    }

    #[test]
    fn every_mistake_is_one() {
        for mistake in MISTAKES {
            assert!(Greeting::parse(&mistake.replace("{}", "3")).is_err(), "{mistake}");
        }
    }
}
