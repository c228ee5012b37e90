//! All five sidecars together with nothing to do, beside what they take the place of: the pod's bill.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    built,
    footprint::scratch,
    machine, procfs,
    running::{Running, free_port},
    stats::{mib, millis, percentile},
    table::Table,
    tools::found,
};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A folder with our binaries [default: built as the images build them]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// A folder with peers that are not on PATH
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// How many starts and stops of each
    #[arg(long, value_name = "N", default_value = "20")]
    samples: usize,
    /// How many seconds all of them are left alone together
    #[arg(long, value_name = "SECONDS", default_value = "20")]
    seconds: u64,
}

/// What the guides give to one sidecar, as a limit: 64Mi and 50m.
const LIMIT: (f64, f64) = (64.0, 50.0);

/// A program, and how it is told to do its job in a pod where nothing happens.
struct Kind {
    name: &'static str,
    ours: bool,
    ready: &'static str,
    args: &'static [&'static str],
}

/// PORT is where it is asked whether it is ready, OTHER where it would work, DIR a folder of its own.
const KINDS: [Kind; 11] = [
    Kind::ours("config-reloader", &["--watch=DIR", "--url=http://127.0.0.1:9/", "--admin-addr=127.0.0.1:PORT"]),
    Kind::peer(
        "configmap-reload",
        "/",
        &["--volume-dir=DIR", "--webhook-url=http://127.0.0.1:9/", "--web.listen-address=127.0.0.1:PORT"],
    ),
    Kind::ours("log-shipper", &["--path=DIR/*.log", "--admin-addr=127.0.0.1:PORT"]),
    Kind::peer("fluent-bit", "/", &["-q", "-i", "tail", "-p", "path=DIR/*.log", "-o", "null", "-H", "-P", "PORT"]),
    Kind::ours(
        "metrics-adapter",
        &[
            "--dialect=statsd_exporter",
            "--statsd.listen-udp=127.0.0.1:OTHER",
            "--statsd.listen-tcp=",
            "--web.listen-address=127.0.0.1:PORT",
        ],
    ),
    Kind::peer(
        "statsd_exporter",
        "/metrics",
        &["--statsd.listen-udp=127.0.0.1:OTHER", "--statsd.listen-tcp=", "--web.listen-address=127.0.0.1:PORT"],
    ),
    Kind::ours(
        "reverse-proxy",
        &["--listen=127.0.0.1:OTHER", "--upstream=127.0.0.1:9", "--admin-addr=127.0.0.1:PORT", "--drain-delay=0s"],
    ),
    Kind::peer("nginx", "/ready", &["-p", "DIR", "-c", "DIR/nginx.conf"]),
    Kind::peer("envoy", "/ready", &["--log-level", "off", "-c", "DIR/envoy.yaml", "--use-dynamic-base-id"]),
    Kind::ours(
        "auth-proxy",
        &[
            "--listen=127.0.0.1:OTHER",
            "--upstream=http://127.0.0.1:9",
            "--passwords=DIR/users",
            "--admin-addr=127.0.0.1:PORT",
            "--drain-delay=0s",
        ],
    ),
    Kind::peer(
        "oauth2-proxy",
        "/ping",
        &[
            "--provider=github",
            "--client-id=x",
            "--client-secret=x",
            "--email-domain=*",
            "--cookie-secret=0123456789abcdef0123456789abcdef",
            "--upstream=http://127.0.0.1:9",
            "--http-address=127.0.0.1:PORT",
        ],
    ),
];

const FILES: [(&str, &str); 3] = [
    ("users", "alice:$2b$10$abcdefghijklmnopqrstuurqombnWKmyEJXa.t9eqOAOBQaOVfVRm\n"),
    (
        "nginx.conf",
        "daemon off; worker_processes 1; pid DIR/nginx.pid; error_log stderr crit;\nevents { worker_connections 1024; }\n\
         http { access_log off; server { listen 127.0.0.1:PORT; location = /ready { return 200; } \
         location / { proxy_pass http://127.0.0.1:9; } } }\n",
    ),
    ("envoy.yaml", include_str!("family_envoy.yaml")),
];

impl Kind {
    const fn ours(name: &'static str, args: &'static [&'static str]) -> Self {
        Self { name, ours: true, ready: "/readyz", args }
    }

    const fn peer(name: &'static str, ready: &'static str, args: &'static [&'static str]) -> Self {
        Self { name, ours: false, ready, args }
    }

    fn program(&self, options: &Options) -> Result<Option<PathBuf>, String> {
        if self.ours {
            let chosen = options.bin_dir.as_ref().map(|folder| folder.join(self.name));
            return built::binary(self.name, chosen.as_deref()).map(Some);
        }
        let chosen = options.peers.as_ref().map(|folder| folder.join(self.name));
        Ok(found(self.name, chosen.as_deref(), "bench/README.md says how to get it"))
    }

    fn start(&self, program: &Path, folder: &TempDir) -> Result<Running, String> {
        let ports = free_port().and_then(|port| Ok((port, free_port()?)));
        let (port, other) = ports.map_err(|error| error.to_string())?;
        let filled = |text: &str| {
            let text = text.replace("DIR", &folder.path().display().to_string());
            text.replace("PORT", &port.to_string()).replace("OTHER", &other.to_string())
        };
        for (name, text) in FILES {
            fs::write(folder.path().join(name), filled(text)).map_err(|error| format!("{name}: {error}"))?;
        }
        let mut command = Command::new(program);
        command.args(self.args.iter().map(|word| filled(word))).env_clear().env("SIDECAR_LOG_FORMAT", "json");
        Running::of(self.name, command, port, self.ready)
    }
}

struct Row<'a> {
    kind: &'a Kind,
    size: built::Size,
    ready: Option<Duration>,
    exit: Option<Duration>,
    idle: Running,
    folder: TempDir,
    rss: f64,
    anonymous: f64,
    threads: usize,
    wake_ups: f64,
    millicores: f64,
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut rows = Vec::new();
    machine::print();
    for kind in &KINDS {
        let Some(program) = kind.program(options)? else { continue };
        eprintln!("bench: {}", kind.name);
        match started(kind, &program, options.samples) {
            Ok(row) => rows.push(row),
            Err(problem) if kind.ours => return Err(problem),
            Err(problem) => println!("- {problem}"),
        }
    }
    eprintln!("bench: all of them, idle");
    watch(&mut rows, options.seconds);
    print(&rows);
    for row in rows {
        drop(row.folder);
        row.idle.stop()?;
    }
    Ok(())
}

/// Some starts and stops; the last one stays.
fn started<'a>(kind: &'a Kind, program: &Path, samples: usize) -> Result<Row<'a>, String> {
    let (mut ready, mut exit) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        let folder = scratch()?;
        let running = kind.start(program, &folder)?;
        ready.push(running.ready_after);
        // What a start leaves to do is done.
        sleep(Duration::from_millis(100));
        exit.push(running.stop()?);
    }
    let folder = scratch()?;
    let idle = kind.start(program, &folder)?;
    Ok(Row {
        kind,
        size: built::size(program)?,
        ready: percentile(&ready, 50),
        exit: percentile(&exit, 50),
        idle,
        folder,
        rss: 0.0,
        anonymous: 0.0,
        threads: 0,
        wake_ups: 0.0,
        millicores: 0.0,
    })
}

/// What they use in the same seconds.
fn watch(rows: &mut [Row<'_>], seconds: u64) {
    // Threads that were needed to start end after a second.
    sleep(Duration::from_secs(3));
    let before: Vec<_> =
        rows.iter().map(|row| (procfs::switches(row.idle.pid()), procfs::cpu_exact(row.idle.pid()))).collect();
    let start = Instant::now();
    sleep(Duration::from_secs(seconds));
    let took = start.elapsed().as_secs_f64();
    for (row, (switches, cpu)) in rows.iter_mut().zip(before) {
        let pid = row.idle.pid();
        row.wake_ups = procfs::switches(pid).saturating_sub(switches) as f64 / took;
        row.millicores = procfs::cpu_exact(pid).saturating_sub(cpu).as_secs_f64() * 1e3 / took;
        let memory = procfs::memory(pid);
        (row.rss, row.anonymous, row.threads) = (mib(memory.rss), mib(memory.anonymous), procfs::threads(pid));
    }
}

fn print(rows: &[Row<'_>]) {
    let head = [
        "",
        "binary MiB",
        "gz MiB",
        "ready ms",
        "exit ms",
        "RSS MiB",
        "anonymous MiB",
        "threads",
        "wake-ups/s",
        "CPU m",
    ];
    let mut table = Table::new(&head);
    let bytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let time = |time: Option<Duration>| time.map_or_else(|| "-".into(), |time| format!("{:.1}", millis(time)));
    for row in rows {
        let name = if row.kind.ours { format!("**{}**", row.kind.name) } else { row.kind.name.to_owned() };
        table.row(vec![
            name,
            format!("{:.1}", bytes(row.size.bytes)),
            format!("{:.1}", bytes(row.size.gzip)),
            time(row.ready),
            time(row.exit),
            format!("{:.1}", row.rss),
            format!("{:.2}", row.anonymous),
            row.threads.to_string(),
            format!("{:.1}", row.wake_ups),
            format!("{:.2}", row.millicores),
        ]);
    }
    let sum =
        |ours: bool, of: fn(&Row<'_>) -> f64| rows.iter().filter(|row| row.kind.ours == ours).map(of).sum::<f64>();
    for (name, ours) in [("**all five**", true), ("the peers here", false)] {
        table.row(vec![
            name.into(),
            format!("{:.1}", sum(ours, |row| row.size.bytes as f64) / f64::from(1 << 20)),
            format!("{:.1}", sum(ours, |row| row.size.gzip as f64) / f64::from(1 << 20)),
            "-".into(),
            "-".into(),
            format!("{:.1}", sum(ours, |row| row.rss)),
            format!("{:.2}", sum(ours, |row| row.anonymous)),
            format!("{:.0}", sum(ours, |row| row.threads as f64)),
            format!("{:.1}", sum(ours, |row| row.wake_ups)),
            format!("{:.2}", sum(ours, |row| row.millicores)),
        ]);
    }
    table.print("The family, idle");
    let (memory, cpu) = (sum(true, |row| row.rss), sum(true, |row| row.millicores));
    let kept = if memory <= LIMIT.0 && cpu <= LIMIT.1 { "kept" } else { "**missed**" };
    println!(
        "All five within the 64Mi and 50m that the guides give to one sidecar: {memory:.1} MiB, {cpu:.2}m: {kept}."
    );
    println!(
        "Our proxies wait for nobody here (`--drain-delay=0s`), as beside an app that stops first; 5 s are usual."
    );
    println!("Pages that programs share are counted for each. Dynamic libraries are not in the sizes.");
}
