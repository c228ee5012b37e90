//! Series that come and go for a long time: whether memory stays where it was.

use std::{
    fmt::Write,
    net::UdpSocket,
    thread::sleep,
    time::{Duration, Instant},
};

use super::{Options, Program, Running};
use crate::{procfs, stats::mib, table::Table};

/// A series that nothing came for is gone after this.
const MAPPING: &str = "defaults: {ttl: 10s}\n";
/// Of each kind, every round: names that never come again, and such that always do.
const ROUND: Duration = Duration::from_millis(100);
const NEW: usize = 100;
const STEADY: usize = 400;
const LINES_IN_PACKET: usize = 20;
const SCRAPED_EVERY: u64 = 50;
/// The allocator's noise.
const FLAT: u64 = 2 * 1024;

pub(super) fn run(options: &Options, programs: &[Program]) -> Result<(), String> {
    let file = std::env::temp_dir().join(format!("bench-soak-{}.yaml", std::process::id()));
    std::fs::write(&file, MAPPING).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut table =
        Table::new(&["program", "lines", "series that came", "lost", "RSS MiB, by quarters of the time", "most"]);
    let soaked = programs.iter().try_for_each(|program| {
        let time = Duration::from_secs(options.minutes.max(1) * 60);
        let end = soak(&program.start_in(None, Some(&file))?, time)?;
        let quarters = end.quarters();
        table.row(vec![
            program.name.into(),
            end.lines.to_string(),
            end.new.to_string(),
            end.lost.to_string(),
            quarters.map(|kib| format!("{:.1}", mib(kib))).join(" "),
            format!("{:.1}", mib(end.rss.iter().copied().max().unwrap_or(0))),
        ]);
        let [_, settled, _, last] = quarters;
        // What is promised is promised of ours.
        match program.dialect && last > settled + FLAT {
            true => Err(format!("{}: memory grew from {settled} to {last} KiB", program.name)),
            false => Ok(()),
        }
    });
    // It was ours alone.
    let _ = std::fs::remove_file(&file);
    table.print("Series that come and go, ten seconds each, scraped every five seconds");
    soaked
}

struct Soaked {
    lines: u64,
    new: u64,
    lost: u64,
    /// One every second, in KiB.
    rss: Vec<u64>,
}

impl Soaked {
    /// What there was in the middle of each: one sample alone may have a scrape in it.
    fn quarters(&self) -> [u64; 4] {
        let length = self.rss.len().div_ceil(4).max(1);
        let mut middles = self.rss.chunks(length).map(|quarter| {
            let mut quarter = quarter.to_vec();
            quarter.sort_unstable();
            quarter[quarter.len() / 2]
        });
        [(); 4].map(|()| middles.next().unwrap_or_default())
    }
}

fn soak(running: &Running, time: Duration) -> Result<Soaked, String> {
    let io = |error: std::io::Error| format!("UDP: {error}");
    let socket = UdpSocket::bind("127.0.0.1:0").map_err(io)?;
    socket.connect(("127.0.0.1", running.udp)).map_err(io)?;
    let begun = Instant::now();
    let (mut lines, mut new, mut rss) = (0, 0, Vec::new());
    for round in 0.. {
        if begun.elapsed() >= time {
            break;
        }
        for packet in packets(round) {
            socket.send(packet.as_bytes()).map_err(io)?;
            lines += packet.lines().count() as u64;
        }
        new += 3 * NEW as u64;
        if round % SCRAPED_EVERY == 0 {
            running.scrape()?;
        }
        if round % 10 == 0 {
            rss.push(procfs::memory(running.pid()).rss);
        }
        sleep((ROUND * (round as u32 + 1)).saturating_sub(begun.elapsed()));
    }
    let lost = lines - running.lines_at_last()?.min(lines);
    Ok(Soaked { lines, new, lost, rss })
}

/// Counters, gauges and timers: some that were never seen, some that are always there.
fn packets(round: u64) -> Vec<String> {
    let mut all = Vec::new();
    for nth in 0..NEW + STEADY {
        let name = if nth < NEW { format!("pod.r{round}.n{nth}") } else { format!("app.n{nth}") };
        for line in [
            format!("{name}.hits:1|c|#code:{}", nth % 7),
            format!("{name}.queue:{}|g|#zone:z{}", round % 100, nth % 3),
            format!("{name}.time:{}|ms|#path:/p/{}", round * 7 % 251, nth % 5),
        ] {
            all.push(line);
        }
    }
    let packet = |lines: &[String]| {
        let mut text = String::new();
        for line in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{line}");
        }
        text.pop();
        text
    };
    all.chunks(LINES_IN_PACKET).map(packet).collect()
}
