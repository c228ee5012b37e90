//! From the rename of `..data` to the request that tells the app.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    configmap::Volume,
    footprint::scratch,
    hook::Hook,
    running::Running,
    stats::{millis, percentile, ratio},
    table::Table,
    tools::{self, Kind, Options, Tool},
};

/// prometheus-config-reloader gathers for a second by default.
const PATIENCE: Duration = Duration::from_secs(5);

struct Lane {
    name: String,
    volume: Volume,
    hook: Hook,
    _running: Running,
    delays: Vec<Duration>,
    missed: usize,
}

/// Ours and the peers, in every variant that differs in how long it waits.
pub(crate) fn variants(options: &Options, ours: &Path) -> Vec<Tool> {
    let mut tools = vec![
        Tool::new("ours, --settle 10ms", Kind::Ours, ours, &["--settle=10ms"]),
        Tool::new("ours (settle 100 ms)", Kind::Ours, ours, &[]),
        Tool::new("ours as configmap-reload", Kind::OursAsPeer, ours, &[]),
    ];
    for peer in tools::peers(options) {
        if peer.kind == Kind::PrometheusConfigReloader {
            let name = format!("{}, --delay-interval=10ms", peer.name);
            tools.push(Tool::new(&name, peer.kind, &peer.program, &["--delay-interval=10ms"]));
        }
        tools.push(peer);
    }
    tools
}

pub(crate) fn run(options: &Options, ours: &Path) -> Result<(), String> {
    let scratch = scratch()?;
    let mut lanes = Vec::new();
    for (number, tool) in variants(options, ours).iter().enumerate() {
        match lane(tool, &scratch.path().join(number.to_string())) {
            Ok(lane) => lanes.push(lane),
            Err(problem) => println!("- {problem}"),
        }
    }
    // Whatever a tool does at its start is done.
    sleep(Duration::from_secs(3));
    for round in 0..options.samples {
        eprint!("\rbench: swap {} of {}", round + 1, options.samples);
        for lane in &mut lanes {
            swap(lane)?;
        }
    }
    eprintln!();
    print(&lanes);
    Ok(())
}

fn lane(tool: &Tool, scratch: &Path) -> Result<Lane, String> {
    let problem = |error: std::io::Error| error.to_string();
    let volume = Volume::new(scratch.join("volume"), 1).map_err(problem)?;
    let hook = Hook::new(|_| true).map_err(problem)?;
    let running = Running::start(tool, volume.path(), &hook.url(), scratch)?;
    Ok(Lane { name: tool.name.clone(), volume, hook, _running: running, delays: Vec::new(), missed: 0 })
}

fn swap(lane: &mut Lane) -> Result<(), String> {
    lane.hook.drain();
    let renamed: Instant = lane.volume.swap().map_err(|error| error.to_string())?;
    match lane.hook.told_after(renamed, PATIENCE) {
        Some(told) => lane.delays.push(told.at - renamed),
        None => lane.missed += 1,
    }
    // So that a tool is measured at rest, and its neighbour alone.
    sleep(Duration::from_millis(20));
    Ok(())
}

fn print(lanes: &[Lane]) {
    let p50 = |lane: &Lane| percentile(&lane.delays, 50).map(millis);
    let best = lanes.first().and_then(p50);
    let mut table =
        Table::new(&["tool", "p50 ms", "p99 ms", "swaps", "not told in 5 s", "p50 against ours, --settle 10ms"]);
    for lane in lanes {
        let text = |percent| percentile(&lane.delays, percent).map_or("-".into(), |at| format!("{:.2}", millis(at)));
        table.row(vec![
            lane.name.clone(),
            text(50),
            text(99),
            (lane.delays.len() + lane.missed).to_string(),
            lane.missed.to_string(),
            ratio(best, p50(lane)),
        ]);
    }
    table.print("From the rename of ..data to the request that tells the app");
}
