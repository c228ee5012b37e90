//! Requests per second of processor time, and what a proxy adds to the time of a request.

use std::{fs, path::PathBuf};

use super::{
    Rig,
    load::{Done, Session},
    peers::{Kind, Peer, Ports, Running, Setup},
};
use crate::{procfs, stats::percentile, table::Table};

struct Case {
    name: &'static str,
    url: fn(Ports) -> String,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    Get(u32),
    Script(u32, &'static str),
    H2,
    /// A connection for each request.
    Handshakes(Session),
}

const POST: &str = "wrk.method = 'POST' wrk.body = string.rep('x', 10240)\n";

const CASES: [Case; 10] = [
    Case { name: "GET 128 B", url: |ports| format!("http://127.0.0.1:{}/", ports.plain), how: How::Get(64) },
    Case { name: "GET 10 KiB", url: |ports| format!("http://127.0.0.1:{}/10k", ports.plain), how: How::Get(64) },
    Case { name: "POST 10 KiB", url: |ports| format!("http://127.0.0.1:{}/", ports.plain), how: How::Script(64, POST) },
    Case { name: "GET 1 MiB", url: |ports| format!("http://127.0.0.1:{}/1m", ports.plain), how: How::Get(16) },
    Case { name: "TLS, GET 128 B", url: |ports| format!("https://127.0.0.1:{}/", ports.tls), how: How::Get(64) },
    Case { name: "TLS, full handshakes", url: |ports| ports.tls.to_string(), how: How::Handshakes(Session::New) },
    Case { name: "TLS, resumed sessions", url: |ports| ports.tls.to_string(), how: How::Handshakes(Session::Resumed) },
    Case { name: "TLS, GET 1 MiB", url: |ports| format!("https://127.0.0.1:{}/1m", ports.tls), how: How::Get(16) },
    Case { name: "h2c, GET 128 B", url: |ports| format!("http://127.0.0.1:{}/", ports.h2c), how: How::H2 },
    Case { name: "h2 over TLS, GET 128 B", url: |ports| format!("https://127.0.0.1:{}/", ports.h2), how: How::H2 },
];

pub(super) fn run(rig: &Rig) -> Result<(), String> {
    let all = started(rig, &rig.peers, Setup::Tuned)?;
    let mut table = Table::new(&["requests per CPU second", "ours", "nginx", "haproxy", "envoy"]);
    for case in &CASES {
        eprintln!("bench: {}", case.name);
        table.row(measured(rig, case, &all)?);
    }
    table
        .print(&format!("One worker each; medians of {} windows of 1 s, by turns; times ours in brackets", rig.rounds));
    drop(all);
    let as_written = |kind| rig.peers.iter().find(|peer| peer.kind == kind).cloned();
    let ours = |kind| Peer { kind, ..rig.peers[0].clone() };
    let mut table = Table::new(&["requests per CPU second", "ours", "the peer"]);
    for (name, own, peer) in [
        ("two lines of nginx.conf", ours(Kind::OursAsNginx), as_written(Kind::Nginx)),
        ("a static envoy.yaml", ours(Kind::OursAsEnvoy), as_written(Kind::Envoy)),
    ] {
        let Some(peer) = peer else { continue };
        eprintln!("bench: {name}");
        let all = started(rig, &[own, peer], Setup::Plain)?;
        let row = measured(rig, &CASES[0], &all)?;
        table.row([name.to_owned()].into_iter().chain(row.into_iter().skip(1)).collect());
    }
    table.print("Files as people write them: GET 128 B, the same file for both");
    Ok(())
}

/// All of them at once, each at ports of its own.
fn started(rig: &Rig, peers: &[Peer], setup: Setup) -> Result<Vec<Running>, String> {
    let ports = (0..).map(|nth| 19_000 + nth * 10 + if setup == Setup::Plain { 500 } else { 0 });
    peers
        .iter()
        .zip(ports)
        .map(|(peer, first)| Running::start(peer, setup, first, rig.upstream, rig.scratch.path()))
        .collect()
}

/// A row: what each made of a second of processor time.
fn measured(rig: &Rig, case: &Case, all: &[Running]) -> Result<Vec<String>, String> {
    let mut per_second: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
    for round in 0..=rig.rounds {
        let mut order: Vec<usize> = (0..all.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for nth in order {
            let running = &all[nth];
            let before = procfs::cpu_exact(running.pid());
            let done = load(rig, case, running.ports)?;
            let used = procfs::cpu_exact(running.pid()).saturating_sub(before);
            if done.failed > 0 {
                eprintln!("bench: {}: {}: {} of {} failed", running.peer.name, case.name, done.failed, done.requests);
            }
            // The first round fills caches and pools.
            if round > 0 {
                per_second[nth].push(done.requests as f64 / used.as_secs_f64());
            }
        }
    }
    let medians: Vec<f64> = per_second.iter_mut().map(|samples| median(samples)).collect();
    let cell = |figure: &f64| format!("{figure:.0} ({:.2})", medians[0] / figure);
    let own = format!("{:.0}", medians[0]);
    Ok([case.name.to_owned(), own].into_iter().chain(medians[1..].iter().map(cell)).collect())
}

fn load(rig: &Rig, case: &Case, ports: Ports) -> Result<Done, String> {
    let url = (case.url)(ports);
    match case.how {
        How::Get(connections) => rig.load.wrk(&url, connections, 1, None),
        How::Script(connections, text) => rig.load.wrk(&url, connections, 1, Some(&script(rig, text)?)),
        How::H2 => rig.load.h2load(&url, 1),
        How::Handshakes(session) => rig.load.handshakes(&url, session, 1, &rig.scratch.path().join("ca.crt")),
    }
}

fn script(rig: &Rig, text: &str) -> Result<PathBuf, String> {
    let path = rig.scratch.path().join("load.lua");
    fs::write(&path, text).map_err(|error| error.to_string())?;
    Ok(path)
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

pub(super) fn latency(rig: &Rig) -> Result<(), String> {
    const RATE: u32 = 1000;
    let all = started(rig, &rig.peers, Setup::Tuned)?;
    let mut table = Table::new(&["", "p50 us", "p99 us", "CPU us per request"]);
    let doors = all.iter().map(|running| (running.peer.name, running.ports.plain, Some(running.pid())));
    for (name, port, pid) in [("no proxy", rig.upstream, None)].into_iter().chain(doors) {
        eprintln!("bench: latency, {name}");
        let cpu = || pid.map(procfs::cpu_exact).unwrap_or_default();
        let url = format!("http://127.0.0.1:{port}/");
        rig.load.paced(&url, RATE, 1, rig.scratch.path())?;
        let before = cpu();
        let took = rig.load.paced(&url, RATE, 5, rig.scratch.path())?;
        let used = cpu().saturating_sub(before).as_secs_f64() * 1e6 / took.len().max(1) as f64;
        let cell = |percent| percentile(&took, percent).map_or("-".into(), |took| took.as_micros().to_string());
        table.row(vec![name.into(), cell(50), cell(99), format!("{used:.1}")]);
    }
    table.print(&format!("{RATE} requests a second on 10 connections, 5 s"));
    Ok(())
}
