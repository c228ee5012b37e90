//! What it costs to ask for 100,000 counters, and what is lost meanwhile.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use super::{Options, Program, Running};
use crate::{
    http, procfs,
    stats::{millis, percentile},
    statsd_load::{Load, Sender, Shape},
    table::Table,
};

const ALONE: u32 = 10;

struct Scraped {
    times: Vec<Duration>,
    cpu: Duration,
    bytes: usize,
}

impl Running {
    /// One after the other, with nothing else to do.
    fn scraped(&self, headers: &str) -> Result<Scraped, String> {
        let before = procfs::cpu_exact(self.pid());
        let (mut times, mut bytes) = (Vec::new(), 0);
        for _ in 0..ALONE {
            let begun = Instant::now();
            bytes = http::body(self.web, "/metrics", headers)?.len();
            times.push(begun.elapsed());
        }
        Ok(Scraped { times, cpu: (procfs::cpu_exact(self.pid()) - before) / ALONE, bytes })
    }
}

pub(super) fn run(options: &Options, programs: &[Program]) -> Result<(), String> {
    let mut alone = Table::new(&["program", "encoding", "MiB", "ms", "CPU ms"]);
    let mut loaded = Table::new(&["program", "ms under load", "lost at 100,000 lines/s"]);
    let load = Load::new(100_000, 20, 100_000, Shape::Counters);
    for program in programs {
        let running = program.start()?;
        let mut sender = Sender::new(running.udp, &load)?;
        (0..2).try_for_each(|_| sender.once(&load))?;
        let before = running.lines_at_last()?;
        for (encoding, headers) in [("-", ""), ("gzip", "Accept-Encoding: gzip\r\n")] {
            let Scraped { times, cpu, bytes } = running.scraped(headers)?;
            let size = format!("{:.1}", bytes as f64 / f64::from(1 << 20));
            alone.row(vec![program.name.into(), encoding.into(), size, middle(&times), format!("{:.1}", millis(cpu))]);
        }
        let (sent, times) = under_load(&running, &mut sender, &load, Duration::from_secs(options.seconds.max(3)))?;
        let lost = sent.saturating_sub(running.lines_at_last()? - before);
        let lost = format!("{:.2} %", lost as f64 * 100.0 / sent.max(1) as f64);
        loaded.row(vec![program.name.into(), middle(&times), lost]);
    }
    alone.print("Scrapes of 100,000 counters, each of its own name");
    loaded.print("The same every second, while lines come in");
    Ok(())
}

fn middle(times: &[Duration]) -> String {
    percentile(times, 50).map_or("-".into(), |time| format!("{:.1}", millis(time)))
}

/// How many lines were sent, and how long scrapes took meanwhile.
fn under_load(
    running: &Running,
    sender: &mut Sender,
    load: &Load,
    time: Duration,
) -> Result<(u64, Vec<Duration>), String> {
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| sender.send(load, time));
        let begun = Instant::now();
        let mut times = Vec::new();
        while begun.elapsed() < time {
            let round = Instant::now();
            running.scrape()?;
            times.push(round.elapsed());
            sleep(Duration::from_secs(1).saturating_sub(round.elapsed()));
        }
        let sent = sending.join().map_err(|_| "the sender panicked".to_owned())??;
        Ok((sent, times))
    })
}
