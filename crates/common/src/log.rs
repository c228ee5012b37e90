//! Log lines on stderr: JSON for machines, text for a terminal, and never the same line a thousand times.
//!
//! A subscriber of our own: flat fields, one `write` per line, a limiter, and none of the spans, filters and formatters
//! that a general one brings along (measured: 0.14 to 0.53 MiB of binary).

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    io::{IsTerminal, Write as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

use crate::args::{LogFormat, LogLevel};

/// So many lines of one place in the code are printed per window; the rest is counted.
const BURST: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// The target of lines that are a record and not a report: each of them is printed, however many there are.
pub const AUDIT: &str = "audit";

static LEVEL: Mutex<LevelFilter> = Mutex::new(LevelFilter::INFO);

struct Logger {
    json: bool,
    limiter: Mutex<HashMap<Identifier, Window>>,
}

struct Window {
    since: Instant,
    lines: u32,
}

/// Starts logging. Called once, as soon as the settings are known.
pub(crate) fn start(level: LogLevel, format: LogFormat) {
    set_level(level);
    let json = match format {
        LogFormat::Auto => !std::io::stderr().is_terminal(),
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    // A second call can only come from a test in the same process; the first one stays.
    let _ = tracing::subscriber::set_global_default(Logger { json, limiter: Mutex::default() });
    std::panic::set_hook(Box::new(report_panic));
}

/// Changes the level while running.
pub fn set_level(level: LogLevel) {
    *LEVEL.lock().unwrap_or_else(PoisonError::into_inner) = level.filter();
    tracing::callsite::rebuild_interest_cache();
}

/// A panic is a log line like any other: whoever collects logs must not need a second parser.
fn report_panic(info: &std::panic::PanicHookInfo<'_>) {
    let place = info.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
    tracing::error!(place, panic = panic_text(info.payload()), "panicked: this is a bug, please report it");
}

/// What was said when panicking.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}

impl Logger {
    /// How many lines of this place were held back, if this one may be printed.
    fn admit(&self, metadata: &Metadata<'_>) -> Option<u32> {
        if *metadata.level() > Level::INFO {
            return Some(0); // who asks for DEBUG wants all of it
        }
        if metadata.target() == AUDIT {
            return Some(0);
        }
        let now = Instant::now();
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let window = limiter.entry(metadata.callsite()).or_insert(Window { since: now, lines: 0 });
        let mut held_back = 0;
        if now.duration_since(window.since) >= WINDOW {
            held_back = window.lines.saturating_sub(BURST);
            *window = Window { since: now, lines: 0 };
        }
        window.lines += 1;
        (window.lines <= BURST).then_some(held_back)
    }
}

impl Subscriber for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *LEVEL.lock().unwrap_or_else(PoisonError::into_inner) >= *metadata.level()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(*LEVEL.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let Some(held_back) = self.admit(metadata) else { return };
        let mut fields = Fields { json: self.json, message: String::new(), rest: String::new() };
        event.record(&mut fields);
        if held_back > 0 {
            fields.push("suppressed", &format_args!("{held_back}"), false);
        }
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        let (level, target) = (metadata.level(), metadata.target());
        let line = if self.json {
            let message = quoted(&fields.message);
            let rest = fields.rest;
            format!(
                "{{\"timestamp\":\"{now}\",\"level\":\"{level}\",\"message\":{message},\"target\":\"{target}\"{rest}}}\n"
            )
        } else {
            format!("{now} {level:>5} {}{}\n", fields.message, fields.rest)
        };
        // Nowhere is left to say that stderr is gone.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    // Nothing here uses spans: a field that matters is on the line.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The fields of one event, written as they come.
struct Fields {
    json: bool,
    message: String,
    rest: String,
}

impl Fields {
    fn push(&mut self, name: &str, value: &dyn fmt::Display, text: bool) {
        let value = value.to_string();
        if name == "message" {
            self.message = value;
            return;
        }
        // Writing to a String cannot fail.
        let _ = match (self.json, text) {
            (true, true) => write!(self.rest, ",\"{name}\":{}", quoted(&value)),
            (true, false) => write!(self.rest, ",\"{name}\":{value}"),
            (false, true) if value.contains([' ', '"', '\n']) => write!(self.rest, " {name}={}", quoted(&value)),
            (false, _) => write!(self.rest, " {name}={value}"),
        };
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Problems quote what was typed, and that may be anything. What is printed has to stay one line.
pub(crate) fn one_line(text: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field.name(), &format_args!("{value:?}"), true);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field.name(), &value, true);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field.name(), &value, false);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field.name(), &value, false);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field.name(), &value, false);
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity.
        self.push(field.name(), &value, !value.is_finite());
    }
}
