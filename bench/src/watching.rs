//! What watching costs: memory and processor time with 1, 1,000 and 20,000 files, at rest and under change.

use std::{path::Path, thread::sleep, time::Duration};

use crate::{
    configmap::Volume,
    footprint::scratch,
    hook::Hook,
    procfs::{self, Memory},
    running::Running,
    stats::{mib, millis, ratio},
    table::Table,
    tools::{self, Kind, Options, Tool},
};

const EVERY: Duration = Duration::from_millis(200);

struct Lane {
    name: String,
    volume: Volume,
    hook: Hook,
    running: Running,
}

struct Cost {
    name: String,
    memory: Memory,
    idle: Duration,
    busy: Duration,
    told: usize,
}

pub(crate) fn run(options: &Options, ours: &Path) -> Result<(), String> {
    let mut tools = vec![Tool::new("ours", Kind::Ours, ours, &[])];
    tools.extend(tools::peers(options));
    let changes = u32::try_from(options.seconds).unwrap_or(1) * 5;
    let mut table = Table::new(&[
        "files",
        "tool",
        "RSS MiB",
        "anonymous MiB",
        "ratio",
        "CPU ms at rest",
        "CPU s for all changes",
        "CPU ms per change",
        "ratio",
        "times told",
    ]);
    for files in [1, 1_000, 20_000] {
        eprintln!("bench: {files} files");
        let costs = measure(&tools, files, options.seconds, changes)?;
        let our = costs.first().map(|ours| (ours.memory.anonymous as f64, per_change(ours, changes)));
        for cost in &costs {
            let per_change = per_change(cost, changes);
            table.row(vec![
                files.to_string(),
                cost.name.clone(),
                format!("{:.2}", mib(cost.memory.rss)),
                format!("{:.2}", mib(cost.memory.anonymous)),
                ratio(our.map(|(anonymous, _)| anonymous), Some(cost.memory.anonymous as f64)),
                format!("{:.0}", millis(cost.idle)),
                format!("{:.2}", cost.busy.as_secs_f64()),
                format!("{per_change:.2}"),
                ratio(our.map(|(_, per_change)| per_change), Some(per_change)),
                cost.told.to_string(),
            ]);
        }
    }
    let seconds = options.seconds;
    table.print(&format!(
        "Watching: {changes} changes, one every 200 ms, in a directory of so many files; rest is {seconds} s"
    ));
    println!(
        "The kernel counts CPU in steps of 10 ms. Who gathers for longer than 200 ms is told less often than asked."
    );
    Ok(())
}

fn per_change(cost: &Cost, changes: u32) -> f64 {
    millis(cost.busy) / f64::from(changes)
}

/// All tools at once, each with a directory of its own: processor time is counted per process.
fn measure(tools: &[Tool], files: usize, seconds: u64, changes: u32) -> Result<Vec<Cost>, String> {
    let problem = |error: std::io::Error| error.to_string();
    let scratch = scratch()?;
    let mut lanes = Vec::new();
    for (number, tool) in tools.iter().enumerate() {
        let place = scratch.path().join(number.to_string());
        let volume = Volume::new(place.join("volume"), files).map_err(problem)?;
        let hook = Hook::new(|_| true).map_err(problem)?;
        match Running::start(tool, volume.path(), &hook.url(), &place) {
            Ok(running) => lanes.push(Lane { name: tool.name.clone(), volume, hook, running }),
            Err(problem) => println!("- {problem}"),
        }
    }
    sleep(Duration::from_secs(3));
    let cpu = |lanes: &[Lane]| lanes.iter().map(|lane| procfs::cpu(lane.running.pid())).collect::<Vec<_>>();
    let start = cpu(&lanes);
    sleep(Duration::from_secs(seconds));
    let rested = cpu(&lanes);
    lanes.iter().for_each(|lane| drop(lane.hook.drain()));
    for _ in 0..changes {
        for lane in &mut lanes {
            lane.volume.swap().map_err(problem)?;
        }
        sleep(EVERY);
    }
    // The last change is paid for, too.
    sleep(Duration::from_secs(2));
    let changed = cpu(&lanes);
    let costs = lanes.iter().enumerate().map(|(lane, Lane { name, hook, running, .. })| Cost {
        name: name.clone(),
        memory: procfs::memory(running.pid()),
        idle: rested[lane].saturating_sub(start[lane]),
        busy: changed[lane].saturating_sub(rested[lane]),
        told: hook.drain().len(),
    });
    Ok(costs.collect())
}
