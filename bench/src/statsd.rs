//! metrics-adapter beside statsd_exporter: the same flags, the same packets, one after the other.

mod scrapes;
mod soak;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    http, procfs,
    quota::Quota,
    stats::mib,
    statsd_load::{Load, Sender, Shape},
    table::Table,
    tools,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Our binary [default: built as the image builds it]
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,
    /// The peer, when it is neither on PATH nor in $GOPATH/bin
    #[arg(long, value_name = "PATH")]
    statsd_exporter: Option<PathBuf>,
    /// How long each load is kept up
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub(crate) seconds: u64,
    /// Only what has this word in its name: cpu, quota, memory, scrape; or soak, which is not there otherwise
    #[arg(long, value_name = "WORD", default_value = "")]
    only: String,
    /// How long soak takes
    #[arg(long, value_name = "MINUTES", default_value = "10")]
    pub(crate) minutes: u64,
}

/// A program that takes statsd_exporter's flags.
pub(crate) struct Program {
    name: &'static str,
    path: PathBuf,
    dialect: bool,
}

pub(crate) fn run(options: &Options, ours: &Path) -> Result<(), String> {
    let mut programs = vec![Program { name: "metrics-adapter", path: ours.to_owned(), dialect: true }];
    let how = "go install github.com/prometheus/statsd_exporter@v0.30.0";
    let peer = tools::found("statsd_exporter", options.statsd_exporter.as_deref(), how);
    programs.extend(peer.map(|path| Program { name: "statsd_exporter", path, dialect: false }));
    if options.only == "soak" {
        return soak::run(options, &programs);
    }
    let parts: [(&str, Part); 4] = [("cpu", cpu), ("quota", quota), ("memory", memory), ("scrape", scrapes::run)];
    parts.iter().filter(|(name, _)| name.contains(&options.only)).try_for_each(|(_, part)| part(options, &programs))
}

type Part = fn(&Options, &[Program]) -> Result<(), String>;

struct Running {
    child: Child,
    udp: u16,
    web: u16,
    /// Goes after the process, which is in it.
    quota: Option<Quota>,
}

impl Program {
    fn start(&self) -> Result<Running, String> {
        self.start_in(None, None)
    }

    fn start_in(&self, quota: Option<Quota>, mapping: Option<&Path>) -> Result<Running, String> {
        let (udp, web) = (free_port()?, free_port()?);
        let mut command = Command::new(&self.path);
        if self.dialect {
            command.arg("--dialect=statsd_exporter");
        }
        command.args([
            format!("--statsd.listen-udp=127.0.0.1:{udp}"),
            "--statsd.listen-tcp=".to_owned(),
            format!("--web.listen-address=127.0.0.1:{web}"),
        ]);
        command.args(mapping.map(|file| format!("--statsd.mapping-config={}", file.display())));
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| format!("{}: {error}", self.name))?;
        let running = Running { child, udp, web, quota };
        if let Some(quota) = &running.quota {
            quota.hold(running.pid())?;
        }
        let begun = Instant::now();
        while !http::says_ok(web, "/-/healthy") {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err(format!("{}: not ready after 10 s; it was {command:?}", self.name));
            }
            sleep(Duration::from_millis(1));
        }
        Ok(running)
    }
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|addr| addr.port()).map_err(|error| error.to_string())
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have gone by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn scrape(&self) -> Result<String, String> {
        http::get(self.web, "/metrics")
    }

    fn lines(&self) -> Result<u64, String> {
        let text = self.scrape()?;
        let line = text.lines().find_map(|line| line.strip_prefix("statsd_exporter_lines_total "));
        line.and_then(|number| number.parse::<f64>().ok()).map(|n| n as u64).ok_or_else(|| "no lines_total".to_owned())
    }

    /// Lines that were counted, once nothing more comes.
    fn lines_at_last(&self) -> Result<u64, String> {
        let mut last = self.lines()?;
        loop {
            sleep(Duration::from_millis(300));
            let now = self.lines()?;
            if now == last {
                return Ok(now);
            }
            last = now;
        }
    }

    /// Sends for a while; what it cost, and what was lost.
    fn under(&self, load: &Load, seconds: u64) -> Result<Cost, String> {
        let mut sender = Sender::new(self.udp, load)?;
        // All series are there before anything is measured.
        sender.once(load)?;
        let before = self.lines_at_last()?;
        let cpu = procfs::cpu(self.pid());
        let sent = sender.send(load, Duration::from_secs(seconds))?;
        sleep(Duration::from_millis(200));
        let cpu = procfs::cpu(self.pid()) - cpu;
        let rss = procfs::memory(self.pid()).rss;
        let counted = self.lines_at_last()? - before;
        Ok(Cost { cpu, sent, lost: sent.saturating_sub(counted), rss })
    }
}

struct Cost {
    cpu: Duration,
    sent: u64,
    lost: u64,
    rss: u64,
}

impl Cost {
    fn per_million(&self) -> String {
        format!("{:.2}", self.cpu.as_secs_f64() * 1e6 / (self.sent - self.lost).max(1) as f64)
    }

    fn lost(&self) -> String {
        format!("{:.2} %", self.lost as f64 * 100.0 / self.sent.max(1) as f64)
    }
}

fn cpu(options: &Options, programs: &[Program]) -> Result<(), String> {
    let mut table = Table::new(&["load", "program", "lines/s sent", "CPU s per million lines", "lost", "RSS MiB"]);
    let loads = [
        ("20,000 packets/s of one line", Load::new(1000, 1, 20_000, Shape::Mixed)),
        ("100,000 packets/s of one line", Load::new(1000, 1, 100_000, Shape::Mixed)),
        ("400,000 lines/s, 20 a packet", Load::new(1000, 20, 400_000, Shape::Mixed)),
        ("1,000,000 lines/s, 20 a packet", Load::new(1000, 20, 1_000_000, Shape::Mixed)),
        ("2,000,000 lines/s, 20 a packet", Load::new(1000, 20, 2_000_000, Shape::Mixed)),
    ];
    for (name, load) in &loads {
        for program in programs {
            let cost = program.start()?.under(load, options.seconds)?;
            let rate = format!("{}", cost.sent / options.seconds.max(1));
            let rss = format!("{:.1}", mib(cost.rss));
            table.row(vec![(*name).into(), program.name.into(), rate, cost.per_million(), cost.lost(), rss]);
        }
    }
    table.print("What lines cost: 1,000 series, DogStatsD tags, counters, gauges and timers");
    Ok(())
}

fn quota(options: &Options, programs: &[Program]) -> Result<(), String> {
    let mut table = Table::new(&["load", "program", "lost", "RSS MiB"]);
    let loads = [
        ("10,000 packets/s of one line", Load::new(200, 1, 10_000, Shape::Mixed)),
        ("20,000 packets/s of one line", Load::new(200, 1, 20_000, Shape::Mixed)),
        ("50,000 lines/s, 20 a packet", Load::new(200, 20, 50_000, Shape::Mixed)),
        ("200,000 lines/s, 20 a packet", Load::new(200, 20, 200_000, Shape::Mixed)),
    ];
    for (name, load) in &loads {
        for program in programs {
            let quota = match Quota::of(50) {
                Ok(quota) => quota,
                Err(problem) => {
                    println!("- no CPU quota can be set here, so nothing is measured under one: {problem}");
                    return Ok(());
                }
            };
            let cost = program.start_in(Some(quota), None)?.under(load, options.seconds)?;
            table.row(vec![(*name).into(), program.name.into(), cost.lost(), format!("{:.1}", mib(cost.rss))]);
        }
    }
    table.print("Inside cpu: 50m");
    Ok(())
}

fn memory(_options: &Options, programs: &[Program]) -> Result<(), String> {
    let mut table = Table::new(&["what is there", "program", "RSS MiB", "most MiB"]);
    let loads = [
        ("nothing", None),
        ("10,000 counters", Some(Load::new(10_000, 20, 100_000, Shape::Counters))),
        ("10,000 series, a quarter of them summaries", Some(Load::new(10_000, 20, 100_000, Shape::Mixed))),
        ("100,000 counters", Some(Load::new(100_000, 20, 100_000, Shape::Counters))),
        ("1,000,000 random series were sent", Some(Load::new(1_000_000, 20, 200_000, Shape::Random))),
    ];
    for (name, load) in &loads {
        for program in programs {
            let running = program.start()?;
            if let Some(load) = load {
                let mut sender = Sender::new(running.udp, load)?;
                let times = if matches!(load.shape, Shape::Random) { 1 } else { 3 };
                (0..times).try_for_each(|_| sender.once(load))?;
                running.lines_at_last()?;
            }
            sleep(Duration::from_millis(500));
            let (rss, peak) = (procfs::memory(running.pid()).rss, procfs::peak(running.pid()));
            let cells =
                [(*name).to_owned(), program.name.to_owned(), format!("{:.1}", mib(rss)), format!("{:.1}", mib(peak))];
            table.row(cells.into());
        }
    }
    table.print("Memory");
    Ok(())
}
