//! Everything that an operator can see in the log: one function per happening. Its numbers are in [`crate::figures`].

use std::path::Path;

use values::ByteSize;
use web_config::Event;

use crate::config::Config;

pub fn started(config: &Config) {
    let limit = ByteSize(config.limits.memory as u64);
    tracing::info!(mappings = config.rules.mapping.rules(), series_memory = %limit, "adapting");
    warned(config);
}

pub fn reloaded(config: &Config) {
    tracing::info!(mappings = config.rules.mapping.rules(), "lines are read by the new rules");
    warned(config);
}

fn warned(config: &Config) {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
}

/// The tree of globs, as somebody asked for it.
pub fn drawn(file: &str, written: Result<(), String>) {
    match written {
        Ok(()) => tracing::info!(file, "the tree of globs is drawn"),
        Err(problem) => tracing::error!(file, problem, "the tree of globs is not drawn"),
    }
}

pub fn guarded(file: &str, tls: bool) {
    tracing::info!(file, tls, "the port where metrics are is guarded");
}

/// What happens where metrics are asked for.
pub fn at_the_door(event: Event<'_>) {
    match event {
        Event::Reloaded => tracing::info!("the web configuration was read again"),
        Event::BadReload(problem) => tracing::error!(problem, "the web configuration is as it was"),
        Event::HandshakeFailed(reason) => tracing::warn!(reason, "somebody who came for metrics was turned away"),
        Event::PasswordRefused => tracing::warn!("somebody came for metrics with a wrong name or password"),
        Event::TooMany => tracing::warn!("more requests than the web configuration allows"),
    }
}

/// Sockets are bound once.
pub fn needs_restart(what: &str) {
    tracing::warn!(what, "changed in the settings; it takes effect at the next start");
}

pub fn file_changed(path: &Path) {
    tracing::info!(path = %path.display(), "changed");
}

pub fn not_received(transport: &str, error: &std::io::Error) {
    tracing::warn!(transport, %error, "lines cannot be received; it is tried again");
}

pub fn expired(series: usize) {
    tracing::debug!(series, "ended because nothing came for them");
}

pub fn waiting_for_last_scrape(seconds: u64) {
    tracing::info!(at_most_seconds = seconds, "waiting for whoever scrapes to take what came last");
}

pub fn last_scrape(happened: bool) {
    match happened {
        true => tracing::info!("what came last was scraped"),
        false => tracing::warn!("nobody scraped what came last"),
    }
}
