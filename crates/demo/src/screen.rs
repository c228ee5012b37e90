//! The terminal: drawn anew while somebody looks at it, plain lines for everybody else.

use std::{
    io::{IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::termios::tcgetwinsize;
use tokio::task::JoinHandle;

use crate::board::{Board, Event, Kind, SidecarView, State, clock, mebibytes};

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const TO_END_OF_LINE: &str = "\x1b[K";
const TO_END_OF_SCREEN: &str = "\x1b[J";

pub struct Screen {
    board: Arc<Board>,
    lines: Arc<Mutex<Lines>>,
    /// Gives the terminal back when dropped, also by a panic.
    drawing: Option<Drawing>,
    task: JoinHandle<()>,
}

impl Screen {
    pub fn start(board: Arc<Board>) -> Self {
        let lines = Arc::new(Mutex::new(Lines::default()));
        let drawing = std::io::stdout().is_terminal().then(Drawing::new);
        let task = match drawing {
            Some(_) => tokio::spawn(draw(Arc::clone(&board))),
            None => tokio::spawn(print(Arc::clone(&board), Arc::clone(&lines))),
        };
        Self { board, lines, drawing, task }
    }

    /// From here on plain lines, which stay when the demo is gone.
    pub fn leave(&mut self) {
        if self.drawing.take().is_some() {
            self.task.abort();
            let last = self.board.state().events.back().map_or(0, |event| event.number);
            self.lines().event = last;
            self.task = tokio::spawn(print(Arc::clone(&self.board), Arc::clone(&self.lines)));
        }
        say("\nstopping: the app first, then the sidecars in reverse order\n");
    }

    /// Prints what is left to print.
    pub fn end(self) {
        self.task.abort();
        self.lines().print(&self.board.state());
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prints. Nobody is told that stdout is gone: the page may still be there.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// What has been printed so far.
#[derive(Default)]
struct Lines {
    event: u64,
}

impl Lines {
    fn print(&mut self, state: &State) {
        for event in state.events.iter().filter(|event| event.number > self.event) {
            say(&format!("{:>6}  {:<16} {}\n", clock(event.at), event.who, event.text));
        }
        self.event = state.events.back().map_or(self.event, |event| event.number);
    }
}

async fn print(board: Arc<Board>, lines: Arc<Mutex<Lines>>) {
    let mut changes = board.changes();
    loop {
        lines.lock().unwrap_or_else(PoisonError::into_inner).print(&board.state());
        if changes.changed().await.is_err() {
            return;
        }
    }
}

struct Drawing;

impl Drawing {
    fn new() -> Self {
        say(ENTER);
        Self
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        say(LEAVE);
    }
}

async fn draw(board: Arc<Board>) {
    let mut changes = board.changes();
    loop {
        let (width, height) = tcgetwinsize(std::io::stdout()).map_or((80, 24), |size| (size.ws_col, size.ws_row));
        let (width, height) = (usize::from(width.max(20)), usize::from(height.max(8)));
        let mut frame = String::from(HOME);
        for line in picture(&board.state(), height - 1) {
            frame.push_str(&line.cut(width));
            frame.push_str(TO_END_OF_LINE);
            frame.push_str("\r\n");
        }
        frame.push_str(TO_END_OF_SCREEN);
        say(&frame);
        // Not more often than the eye can follow, and once a second for the clock.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let _ = tokio::time::timeout(Duration::from_millis(850), changes.changed()).await;
    }
}

/// A line in parts, each with its colour: escape sequences have no width.
#[derive(Default)]
struct Line(Vec<(&'static str, String)>);

const PLAIN: &str = "";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const BLUE: &str = "\x1b[34m";
/// In one line of a terminal of 80 columns.
const FACTS: usize = 3;
const RESET: &str = "\x1b[0m";

impl Line {
    fn with(mut self, colour: &'static str, text: impl Into<String>) -> Self {
        self.0.push((colour, text.into()));
        self
    }

    fn cut(&self, width: usize) -> String {
        let (mut text, mut left) = (String::new(), width);
        for (colour, part) in &self.0 {
            let part: String = part.chars().take(left).collect();
            left -= part.chars().count();
            text.push_str(colour);
            text.push_str(&part);
            text.push_str(if colour.is_empty() { "" } else { RESET });
        }
        text
    }
}

fn picture(state: &State, height: usize) -> Vec<Line> {
    let mut lines = vec![
        Line::default()
            .with(BOLD, " Pillion ")
            .with(DIM, format!(" one app, its sidecars, this machine   {}", clock(state.seconds))),
        Line::default()
            .with(DIM, " page ")
            .with(BLUE, state.page.clone())
            .with(DIM, "   Ctrl-C stops all of it in order"),
        Line::default(),
        readiness("app", state.app.ready, "")
            .with(PLAIN, format!("“{}”", state.app.greeting))
            .with(DIM, format!("   {}", state.app.url)),
    ];
    for sidecar in &state.sidecars {
        lines.extend(of_sidecar(sidecar));
    }
    lines.push(Line::default());
    let room = height.saturating_sub(lines.len());
    let events = state.events.iter().rev().take(room).rev();
    lines.extend(events.map(of_event));
    lines.truncate(height);
    lines
}

fn readiness(name: &str, ready: bool, reason: &str) -> Line {
    let (colour, word) = if ready { (GREEN, "ready") } else { (RED, "not ready") };
    Line::default().with(colour, " ● ").with(BOLD, format!("{name:<16} ")).with(colour, format!("{word} {reason}  "))
}

fn of_sidecar(view: &SidecarView) -> Vec<Line> {
    let process = format!("{}   {:.1} % CPU   {} threads", mebibytes(view.resident), view.cpu_percent, view.threads);
    let mut lines = vec![readiness(view.name, view.ready, &view.reason).with(PLAIN, process)];
    for facts in view.facts.chunks(FACTS) {
        let facts: Vec<String> = facts.iter().map(|fact| format!("{} {}", fact.name, fact.value)).collect();
        lines.push(Line::default().with(PLAIN, format!("   {}", facts.join("   "))));
    }
    let last = view
        .plot
        .points
        .back()
        .map_or_else(String::new, |last| format!("   {last:.0} {} {} ", view.plot.unit, view.plot.name));
    lines.push(Line::default().with(PLAIN, last).with(BLUE, bars(view)));
    lines.push(match view.trouble.as_str() {
        "" => Line::default().with(DIM, format!("   {}", view.job)),
        trouble => Line::default().with(DIM, format!("   last trouble: {trouble}")),
    });
    lines
}

/// The last values as eighths of a line, from nothing to the largest.
fn bars(view: &SidecarView) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let largest = view.plot.points.iter().copied().fold(1.0, f64::max);
    let bar = |point: &f64| BARS[((point / largest * 7.0).round() as usize).min(7)];
    view.plot.points.iter().rev().take(20).rev().map(bar).collect()
}

fn of_event(event: &Event) -> Line {
    let colour = match event.kind {
        Kind::Change => BLUE,
        Kind::Good => GREEN,
        Kind::Refused => RED,
        Kind::Step | Kind::Life => DIM,
    };
    Line::default()
        .with(DIM, format!(" {:>6}  ", clock(event.at)))
        .with(PLAIN, format!("{:<16} ", event.who))
        .with(colour, event.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_by_what_is_seen() {
        let line = Line::default().with(BOLD, "Grüß").with(PLAIN, " Gott");
        assert_eq!(line.cut(6), "\x1b[1mGrüß\x1b[0m G");
    }

    #[test]
    fn a_small_terminal_gets_as_much_as_it_holds() {
        let mut state = State::default();
        state.sidecars.push(SidecarView::default());
        for _ in 0..50 {
            state.events.push_back(Event::new("app", Kind::Good, &[], "hello"));
        }
        for height in [1, 7, 8, 24, 200] {
            assert!(picture(&state, height).len() <= height);
        }
    }
}
