//! What a sidecar weighs when it has nothing to do: held against the promises of SPEC.md, and beside the peers.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    built,
    configmap::Volume,
    hook::Hook,
    http, machine, procfs,
    running::Running,
    stats::{mib, millis, percentile, ratio},
    table::Table,
    tools::{self, Kind, Options, Tool},
};

/// What is measured, its unit's decimals, and the most that SPEC.md allows of it.
const FIGURES: [(&str, usize, Option<f64>); 11] = [
    ("binary MiB", 2, Some(4.0)),
    ("binary gz MiB", 2, Some(2.0)),
    ("idle RSS MiB", 2, Some(4.0)),
    ("idle anonymous MiB", 2, Some(0.25)),
    ("threads", 0, Some(2.0)),
    ("wake-ups/s idle", 1, Some(0.0)),
    ("exec to ready ms p50", 2, Some(3.0)),
    ("exec to ready ms p99", 2, None),
    ("SIGTERM to exit ms p50", 2, Some(2.0)),
    ("anonymous MiB at the end of a burst", 2, None),
    ("anonymous MiB 5 s after it", 2, Some(1.0)),
];
type Figures = [f64; FIGURES.len()];

/// A sidecar gets a line here when it gets a crate.
const SIDECARS: [(&str, Kind); 1] = [("config-reloader", Kind::Ours)];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    for (name, kind) in SIDECARS {
        let ours = Tool::new(name, kind, &built::binary(name, options.bin.as_deref())?, &[]);
        machine::print();
        let mut tools = vec![ours];
        tools.extend(tools::peers(options));
        tools.extend(tools::landmarks());
        let mut measured = Vec::new();
        for tool in &tools {
            eprintln!("bench: {}", tool.name);
            match measure(tool, options) {
                Ok(figures) => measured.push((tool.name.as_str(), figures)),
                Err(problem) if tool.kind == Kind::Ours => return Err(problem),
                Err(problem) => println!("- {problem}"),
            }
        }
        print(name, &measured);
    }
    Ok(())
}

fn measure(tool: &Tool, options: &Options) -> Result<Figures, String> {
    let problem = |error: std::io::Error| error.to_string();
    let scratch = scratch()?;
    let mut volume = Volume::new(scratch.path().join("volume"), 1).map_err(problem)?;
    let hook = Hook::new(|_| true).map_err(problem)?;
    let size = built::size(&tool.program)?;
    let (mut ready, mut exit) = (Vec::new(), Vec::new());
    for _ in 0..options.samples {
        let running = Running::start(tool, volume.path(), &hook.url(), scratch.path())?;
        ready.push(running.ready_after);
        // Idle means that what a start leaves to do has been done, the clearing up of the kernel after the last one too.
        sleep(Duration::from_millis(100));
        exit.push(running.stop()?);
    }
    let running = Running::start(tool, volume.path(), &hook.url(), scratch.path())?;
    let idle = idle(running.pid(), options.seconds);
    let (end, after) = burst(tool, &running, &mut volume)?;
    let p = |samples: &[Duration], percent| percentile(samples, percent).map_or(f64::NAN, millis);
    let bytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok([
        bytes(size.bytes),
        bytes(size.gzip),
        idle.rss,
        idle.anonymous,
        idle.threads,
        idle.wake_ups,
        p(&ready, 50),
        p(&ready, 99),
        p(&exit, 50),
        end,
        after,
    ])
}

struct Idle {
    rss: f64,
    anonymous: f64,
    threads: f64,
    wake_ups: f64,
}

fn idle(pid: u32, seconds: u64) -> Idle {
    // Threads that were needed to start end after a second.
    sleep(Duration::from_secs(3));
    let (start, before) = (Instant::now(), procfs::switches(pid));
    sleep(Duration::from_secs(seconds));
    let woken = procfs::switches(pid).saturating_sub(before) as f64;
    let memory = procfs::memory(pid);
    Idle {
        rss: mib(memory.rss),
        anonymous: mib(memory.anonymous),
        threads: procfs::threads(pid) as f64,
        wake_ups: woken / start.elapsed().as_secs_f64(),
    }
}

/// 500 changes, then 1,000 requests on 50 connections; anonymous memory right after, and 5 s later.
fn burst(tool: &Tool, running: &Running, volume: &mut Volume) -> Result<(f64, f64), String> {
    for _ in 0..500 {
        volume.swap().map_err(|error| error.to_string())?;
        sleep(Duration::from_millis(2));
    }
    let path = if matches!(tool.kind, Kind::Nginx | Kind::Haproxy) { "/" } else { "/metrics" };
    http::crowd(running.port, path, 50, 20);
    let end = procfs::memory(running.pid()).anonymous;
    sleep(Duration::from_secs(5));
    Ok((mib(end), mib(procfs::memory(running.pid()).anonymous)))
}

fn print(name: &str, measured: &[(&str, Figures)]) {
    let Some(((_, ours), peers)) = measured.split_first() else { return };
    let mut head = vec!["", name, "promised", "kept"];
    head.extend(peers.iter().flat_map(|(peer, _)| [*peer, "ratio"]));
    let mut table = Table::new(&head);
    for (index, (what, decimals, promised)) in FIGURES.iter().enumerate() {
        let text = |figure: f64| format!("{figure:.decimals$}");
        let our = ours[index];
        let mut row = vec![(*what).to_owned(), text(our)];
        row.push(promised.map_or("-".into(), |promised| format!("<= {promised}")));
        row.push(promised.map_or("-", |promised| if rounded(our) <= promised { "ok" } else { "**over**" }).into());
        for (_, peer) in peers {
            row.extend([text(peer[index]), ratio(Some(our), Some(peer[index]))]);
        }
        table.row(row);
    }
    table.print(&format!("Footprint of {name}"));
    println!("nginx and haproxy do another job; they are there for scale. Dynamic libraries are not in the sizes.");
}

/// Beyond two decimals is noise.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).floor() / 100.0
}

/// A folder that nothing else looks at, in memory.
pub(crate) fn scratch() -> Result<TempDir, String> {
    TempDir::with_prefix_in("pillion-bench-", Path::new("/dev/shm")).map_err(|error| format!("/dev/shm: {error}"))
}
