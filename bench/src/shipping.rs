//! What shipping costs: ours and Fluent Bit with the same fluent-bit.conf, one after the other, to a sink that does nothing.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    bounds, corpus, losses, procfs,
    quota::Quota,
    sink::Sink,
    stats::{mib, millis, percentile, ratio},
    table::Table,
    tools,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Our binary [default: built as the image builds it]
    #[arg(long, value_name = "PATH")]
    pub(crate) bin: Option<PathBuf>,
    /// The peer, when it is not on PATH
    #[arg(long, value_name = "PATH")]
    fluent_bit: Option<PathBuf>,
    /// How large each log is
    #[arg(long, value_name = "MIB", default_value = "200")]
    mib: u64,
    /// How often each is shipped; the cheapest counts
    #[arg(long, value_name = "N", default_value = "3")]
    rounds: u32,
    /// How many lines the latency is measured with, 20 a second
    #[arg(long, value_name = "N", default_value = "200")]
    lines: u32,
    /// Only what is lost and what comes twice
    #[arg(long)]
    losses: bool,
    /// Only memory, descriptors, the end, and what is shipped inside a small limit
    #[arg(long)]
    bounds: bool,
}

pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    /// What stands before its own arguments.
    pub(crate) first: &'static [&'static str],
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    log: &'static str,
    input: &'static str,
    output: &'static str,
}

pub(crate) const CASES: [Case; 6] = [
    Case { name: "access log, raw", log: "nginx", input: "", output: "" },
    Case { name: "access log, parser nginx", log: "nginx", input: "Parser nginx", output: "" },
    Case { name: "access log, another regex", log: "nginx", input: "Parser mine", output: "" },
    Case { name: "access log, raw, gzip", log: "nginx", input: "", output: "Compress gzip" },
    Case { name: "JSON, raw", log: "json", input: "", output: "" },
    Case { name: "JSON, parser json", log: "json", input: "Parser json", output: "" },
];

/// As people write them: another order and other names than the stock parser has.
const PARSERS: &str = "[PARSER]
    Name mine
    Format regex
    Regex ^(?<client>[^ ]+) [^ ]+ (?<who>[^ ]+) \\[(?<at>[^\\]]+)\\] \"(?<verb>\\S+) (?<what>\\S+) (?<proto>[^\"]*)\" (?<code>\\d+) (?<size>\\d+) \"(?<from>[^\"]*)\" \"(?<with>[^\"]*)\"$
    Time_Key at
    Time_Format %d/%b/%Y:%H:%M:%S %z
[PARSER]
    Name nginx
    Format regex
    Regex ^(?<remote>[^ ]*) (?<host>[^ ]*) (?<user>[^ ]*) \\[(?<time>[^\\]]*)\\] \"(?<method>\\S+)(?: +(?<path>[^\\\"]*?)(?: +\\S*)?)?\" (?<code>[^ ]*) (?<size>[^ ]*)(?: \"(?<referer>[^\\\"]*)\" \"(?<agent>[^\\\"]*)\")
    Time_Key time
    Time_Format %d/%b/%Y:%H:%M:%S %z
[PARSER]
    Name json
    Format json
    Time_Key time
    Time_Format %Y-%m-%dT%H:%M:%S.%L
";

#[derive(Clone, Copy)]
pub(crate) struct Cost {
    cpu_per_gb: f64,
    pub(crate) mb_per_second: f64,
    peak_kib: u64,
}

pub(crate) fn run(options: &Options, ours: &Path) -> Result<(), String> {
    let problem = |error: std::io::Error| error.to_string();
    let mut tools = vec![Tool { name: "ours", program: ours.to_owned(), first: &["fluent-bit"] }];
    let peer = tools::found("fluent-bit", options.fluent_bit.as_deref(), "bench/README.md says how to get it");
    tools.extend(peer.map(|program| Tool { name: "Fluent Bit", program, first: &[] }));
    if options.losses {
        return losses::run(&tools);
    }
    let scratch = tempfile::tempdir().map_err(problem)?;
    let bytes = options.mib << 20;
    corpus::nginx(&scratch.path().join("nginx.log"), bytes).map_err(problem)?;
    corpus::json(&scratch.path().join("json.log"), bytes).map_err(problem)?;
    if !options.bounds {
        cost(options, &tools, &scratch)?;
        latency(options, &tools, &scratch)?;
    }
    bounds::run(&tools, scratch.path())
}

fn cost(options: &Options, tools: &[Tool], scratch: &TempDir) -> Result<(), String> {
    let mut table = Table::new(&["what", "tool", "CPU s/GB", "ratio", "MB/s", "peak RSS MiB", "ratio"]);
    for case in &CASES {
        eprintln!("bench: {}", case.name);
        let mut best: Vec<Option<Cost>> = vec![None; tools.len()];
        for _ in 0..options.rounds {
            for (tool, best) in tools.iter().zip(&mut best) {
                let cost = ship(tool, case, scratch.path(), None)?;
                let peak_kib = best.map_or(0, |best| best.peak_kib).max(cost.peak_kib);
                let cheaper = best.filter(|best| best.cpu_per_gb <= cost.cpu_per_gb).unwrap_or(cost);
                *best = Some(Cost { peak_kib, ..cheaper });
            }
        }
        let our = best[0];
        for (tool, cost) in tools.iter().zip(best) {
            let Some(cost) = cost else { continue };
            table.row(vec![
                case.name.into(),
                tool.name.into(),
                format!("{:.2}", cost.cpu_per_gb),
                ratio(our.map(|our| our.cpu_per_gb), Some(cost.cpu_per_gb)),
                format!("{:.0}", cost.mb_per_second),
                format!("{:.1}", mib(cost.peak_kib)),
                ratio(our.map(|our| our.peak_kib as f64), Some(cost.peak_kib as f64)),
            ]);
        }
    }
    table.print(&format!(
        "{} MiB from the page cache to Elasticsearch's bulk API; the cheapest of {} runs, the highest peak",
        options.mib, options.rounds
    ));
    Ok(())
}

/// Until all has arrived.
pub(crate) fn ship(tool: &Tool, case: &Case, scratch: &Path, quota: Option<&Quota>) -> Result<Cost, String> {
    let sink = Sink::start(0).map_err(|error| error.to_string())?;
    let log = scratch.join(format!("{}.log", case.log));
    let size = fs::metadata(&log).map_err(|error| error.to_string())?.len();
    let shipper = Shipper::start(tool, case, &log, sink.addr.port(), scratch)?;
    if let Some(quota) = quota {
        quota.hold(shipper.0.id())?;
    }
    let begun = Instant::now();
    let (mut taken, mut last, mut used) = (0, begun, (Duration::ZERO, 0));
    while taken == 0 || last.elapsed() < Duration::from_secs(3) {
        if begun.elapsed() > Duration::from_secs(300) {
            return Err(format!("{}: {}: not done after 300 s", tool.name, case.name));
        }
        sleep(Duration::from_millis(20));
        let now = sink.taken().1;
        if now > taken {
            (taken, last) = (now, Instant::now());
            used = (procfs::cpu(shipper.0.id()), procfs::peak(shipper.0.id()));
        }
    }
    let gb = size as f64 / 1e9;
    let cpu_per_gb = used.0.as_secs_f64() / gb;
    Ok(Cost { cpu_per_gb, mb_per_second: gb * 1e3 / (last - begun).as_secs_f64(), peak_kib: used.1 })
}

/// From a line being written to its arrival.
fn latency(options: &Options, tools: &[Tool], scratch: &TempDir) -> Result<(), String> {
    let mut table = Table::new(&["tool", "p50 ms", "p99 ms", "requests/s"]);
    for tool in tools {
        eprintln!("bench: latency of {}", tool.name);
        let sink = Sink::start(0).map_err(|error| error.to_string())?;
        let log = scratch.path().join(format!("latency-{}.log", tool.name.len()));
        let mut file = OpenOptions::new().create(true).append(true).open(&log).map_err(|error| error.to_string())?;
        let _shipper = Shipper::start(tool, &CASES[0], &log, sink.addr.port(), scratch.path())?;
        sleep(Duration::from_secs(2));
        let before = sink.taken().0;
        for _ in 0..options.lines {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            writeln!(file, "a line written {}{now} and no more", Sink::MARK).map_err(|error| error.to_string())?;
            sleep(Duration::from_millis(50));
        }
        sleep(Duration::from_secs(3));
        let seconds = f64::from(options.lines) / 20.0;
        let late = sink.delays();
        let cell = |percent| percentile(&late, percent).map_or("-".into(), |late| format!("{:.1}", millis(late)));
        let requests = (sink.taken().0 - before) as f64 / seconds;
        table.row(vec![tool.name.into(), cell(50), cell(99), format!("{requests:.1}")]);
    }
    table.print(&format!("From written to arrived: {} lines, 20 a second, Flush 1", options.lines));
    Ok(())
}

pub(crate) struct Shipper(pub(crate) Child);

impl Shipper {
    pub(crate) fn start(tool: &Tool, case: &Case, log: &Path, port: u16, scratch: &Path) -> Result<Self, String> {
        let problem = |error: std::io::Error| format!("{}: {error}", tool.name);
        let (config, parsers) = (scratch.join("fluent-bit.conf"), scratch.join("parsers.conf"));
        fs::write(&parsers, PARSERS).map_err(problem)?;
        let text = format!(
            "[SERVICE]\n    Flush 1\n    Log_Level error\n    Parsers_File {}\n[INPUT]\n    Name tail\n    Path {}\n    \
             Read_from_Head On\n    {}\n[OUTPUT]\n    Name es\n    Match *\n    Host 127.0.0.1\n    Port {port}\n    \
             Index logs\n    Suppress_Type_Name On\n    {}\n",
            parsers.display(),
            log.display(),
            case.input,
            case.output
        );
        fs::write(&config, text).map_err(problem)?;
        let mut command = Command::new(&tool.program);
        command.args(tool.first).arg("-c").arg(&config).env_clear().env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0");
        command.env("LOG_SHIPPER_STATE_FILE", scratch.join(format!("positions-{port}")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self).map_err(problem)
    }

    /// From SIGTERM to its end.
    pub(crate) fn stop(mut self) -> Result<Duration, String> {
        let begun = Instant::now();
        self.terminate();
        self.0.wait().map_err(|error| error.to_string())?;
        Ok(begun.elapsed())
    }

    fn terminate(&self) {
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // It may have gone by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.terminate();
            let _ = self.0.wait();
        }
    }
}
