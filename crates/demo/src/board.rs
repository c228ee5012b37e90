//! What there is to see, for the terminal and the page alike.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde::Serialize;
use tokio::sync::watch;

/// Events that can still be seen.
const EVENTS: usize = 60;
/// Points of a small plot.
const POINTS: usize = 60;

/// An arrow of the picture, from one thing to another.
pub type Wire = (&'static str, &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Something of the world outside has changed.
    Change,
    /// A step that went well.
    Step,
    /// What all of it is for.
    Good,
    /// Refused, on purpose.
    Refused,
    /// Start, stop, and that nothing had to be done.
    Life,
}

#[derive(Clone, Debug, Serialize)]
pub struct Event {
    pub number: u64,
    /// Seconds since the demo began.
    pub at: f64,
    pub who: &'static str,
    pub kind: Kind,
    pub text: String,
    /// Arrows that light up.
    pub wires: Vec<Wire>,
}

impl Event {
    pub fn new(who: &'static str, kind: Kind, wires: &[Wire], text: impl Into<String>) -> Self {
        Self { number: 0, at: 0.0, who, kind, text: text.into(), wires: wires.to_vec() }
    }
}

/// A value with its name, as a sidecar wants it shown.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    pub name: &'static str,
    pub value: String,
}

impl Fact {
    pub fn new(name: &'static str, value: String) -> Self {
        Self { name, value }
    }
}

/// A small plot of the last values.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Plot {
    pub name: &'static str,
    pub unit: &'static str,
    /// What to know about it.
    pub note: &'static str,
    pub points: VecDeque<f64>,
    /// Of each point the slowest of a hundred, if there are so many.
    pub tails: VecDeque<f64>,
}

impl Plot {
    pub fn named(name: &'static str, unit: &'static str) -> Self {
        Self { name, unit, ..Self::default() }
    }

    pub fn push(&mut self, point: f64) {
        keep(&mut self.points, point);
    }

    pub fn push_with_tail(&mut self, (point, tail): (f64, f64)) {
        keep(&mut self.points, point);
        keep(&mut self.tails, tail);
    }
}

fn keep(points: &mut VecDeque<f64>, point: f64) {
    if points.len() == POINTS {
        points.pop_front();
    }
    points.push_back(point);
}

/// Something that whoever watches can make happen.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Control {
    pub action: &'static str,
    pub label: &'static str,
    /// What to type first, if anything: its name.
    pub input: Option<&'static str>,
}

impl Control {
    pub const fn button(action: &'static str, label: &'static str) -> Self {
        Self { action, label, input: None }
    }
}

/// Somewhere to look.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    pub label: &'static str,
    pub url: String,
}

/// A sidecar as it is seen from outside.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SidecarView {
    pub name: &'static str,
    pub job: &'static str,
    pub wires: Vec<Wire>,
    pub pid: i32,
    pub admin: String,
    pub ready: bool,
    /// Why it is not ready, in its own words.
    pub reason: String,
    pub resident: f64,
    pub cpu_percent: f64,
    pub threads: f64,
    pub facts: Vec<Fact>,
    /// The last thing that went wrong.
    pub trouble: String,
    /// What it does, by the second.
    pub rate: Plot,
    /// How long that takes.
    pub plot: Plot,
    /// How often it has come back.
    pub restarts: u32,
    pub controls: Vec<Control>,
    pub link: Option<Link>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct AppView {
    pub url: String,
    pub ready: bool,
    pub greeting: String,
    pub rate: Plot,
    pub facts: Vec<Fact>,
}

/// How one process was stopped.
#[derive(Clone, Debug, Serialize)]
pub struct StopView {
    pub name: &'static str,
    pub code: String,
    pub seconds: f64,
    pub words: String,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct State {
    pub phase: &'static str,
    pub seconds: f64,
    pub page: String,
    /// How the sidecars were compiled: their figures depend on it.
    pub build: &'static str,
    pub app: AppView,
    pub sidecars: Vec<SidecarView>,
    pub events: VecDeque<Event>,
    pub stops: Vec<StopView>,
}

pub struct Board {
    began: Instant,
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

impl Board {
    pub fn new() -> Self {
        Self { began: Instant::now(), state: Mutex::default(), changes: watch::Sender::new(0) }
    }

    pub fn state(&self) -> State {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner).clone();
        state.seconds = self.began.elapsed().as_secs_f64();
        state
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|count| *count += 1);
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Changes the view of one sidecar.
    pub fn sidecar(&self, name: &str, change: impl FnOnce(&mut SidecarView)) {
        self.change(|state| {
            if let Some(view) = state.sidecars.iter_mut().find(|view| view.name == name) {
                change(view);
            }
        });
    }

    pub fn happened(&self, mut event: Event) {
        let at = self.began.elapsed().as_secs_f64();
        self.change(|state| {
            event.number = state.events.back().map_or(1, |last| last.number + 1);
            event.at = at;
            if state.events.len() == EVENTS {
                state.events.pop_front();
            }
            state.events.push_back(event);
        });
    }
}

/// Seconds as people read them: `4:07`.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// `5.2 MiB`
pub fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / 1_048_576.0)
}
