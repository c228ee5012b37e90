//! What a shipper weighs with nothing to do and with many files, how it ends in the middle of much, and what it does in a small
//! share of a processor.

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    corpus, procfs,
    quota::Quota,
    shipping::{CASES, Case, Shipper, Tool, ship},
    sink::Sink,
    stats::mib,
    table::Table,
};

const FILES: usize = 1000;
const UNREAD: u64 = 270 << 20;
const RAW: &Case = &CASES[0];
const JSON: &Case = &CASES[5];

pub(crate) fn run(tools: &[Tool], scratch: &Path) -> Result<(), String> {
    let logs = scratch.join("many");
    fs::create_dir_all(&logs).map_err(|error| error.to_string())?;
    for number in 0..FILES {
        corpus::nginx(&logs.join(format!("{number}.log")), 2000).map_err(|error| error.to_string())?;
    }
    let quiet = scratch.join("quiet.log");
    corpus::nginx(&quiet, 2000).map_err(|error| error.to_string())?;
    let much = scratch.join("much.log");
    corpus::nginx(&much, UNREAD).map_err(|error| error.to_string())?;
    let mut weight = Table::new(&["tool", "followed", "RSS MiB", "anonymous", "descriptors", "threads", "wake-ups/s"]);
    let mut end = Table::new(&["tool", "idle: SIGTERM to exit", "270 MiB unread: SIGTERM to exit", "shipped of it"]);
    for tool in tools {
        eprintln!("bench: weight and end of {}", tool.name);
        let idle_exit = quietly(tool, &quiet, "one quiet file", scratch, &mut weight)?;
        quietly(tool, &logs.join("*.log"), "1,000 quiet files", scratch, &mut weight)?;
        let (exit, share) = interrupted(tool, &much, scratch)?;
        end.row(vec![tool.name.into(), seconds(idle_exit), seconds(exit), format!("{:.1} %", share * 100.0)]);
    }
    weight.print("Weight, ten seconds after the last line");
    end.print("SIGTERM; the deadline is what Kubernetes gives, 30 s");
    within_a_tenth(tools, scratch)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Gives back how long the end took.
fn quietly(tool: &Tool, log: &Path, what: &str, scratch: &Path, table: &mut Table) -> Result<Duration, String> {
    let sink = Sink::start(0).map_err(|error| error.to_string())?;
    let shipper = Shipper::start(tool, RAW, log, sink.addr.port(), scratch)?;
    let pid = shipper.0.id();
    wait_until_taken(&sink)?;
    let before = procfs::switches(pid);
    sleep(Duration::from_secs(5));
    let woken = procfs::switches(pid).saturating_sub(before) as f64 / 5.0;
    let memory = procfs::memory(pid);
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    table.row(vec![
        tool.name.into(),
        what.into(),
        format!("{:.1}", mib(memory.rss)),
        format!("{:.1}", mib(memory.anonymous)),
        descriptors.to_string(),
        procfs::threads(pid).to_string(),
        format!("{woken:.1}"),
    ]);
    shipper.stop()
}

/// Until nothing has come for five seconds.
fn wait_until_taken(sink: &Sink) -> Result<u64, String> {
    let begun = Instant::now();
    let (mut taken, mut last) = (0, begun);
    while taken == 0 || last.elapsed() < Duration::from_secs(5) {
        if begun.elapsed() > Duration::from_secs(300) {
            return Err("nothing arrived in 300 s".into());
        }
        sleep(Duration::from_millis(20));
        let now = sink.taken().1;
        if now > taken {
            (taken, last) = (now, Instant::now());
        }
    }
    Ok(taken)
}

/// SIGTERM as soon as the first bytes have arrived: how long it goes on, and how much of all has arrived then.
fn interrupted(tool: &Tool, log: &Path, scratch: &Path) -> Result<(Duration, f64), String> {
    let all = {
        let sink = Sink::start(0).map_err(|error| error.to_string())?;
        let _shipper = Shipper::start(tool, RAW, log, sink.addr.port(), scratch)?;
        wait_until_taken(&sink)?
    };
    let sink = Sink::start(0).map_err(|error| error.to_string())?;
    let shipper = Shipper::start(tool, RAW, log, sink.addr.port(), scratch)?;
    while sink.taken().0 == 0 {
        sleep(Duration::from_millis(1));
    }
    let exit = shipper.stop()?;
    Ok((exit, sink.taken().1 as f64 / all as f64))
}

fn within_a_tenth(tools: &[Tool], scratch: &Path) -> Result<(), String> {
    let quota = match Quota::of(100) {
        Ok(quota) => quota,
        Err(error) => {
            println!(
                "\nNot measured: what is shipped with 100m of processor, because a control group cannot be made: {error}"
            );
            return Ok(());
        }
    };
    let mut table = Table::new(&["what", "tool", "MB/s"]);
    for case in [RAW, JSON] {
        for tool in tools {
            eprintln!("bench: {} with 100m of processor, {}", case.name, tool.name);
            let cost = ship(tool, case, scratch, Some(&quota))?;
            table.row(vec![case.name.into(), tool.name.into(), format!("{:.1}", cost.mb_per_second)]);
        }
    }
    table.print("Inside a limit of 100m");
    Ok(())
}
