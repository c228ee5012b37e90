//! A sidecar whose parts misbehave on request: what the contract of the common crate is tested on.
#![allow(clippy::disallowed_methods, reason = "starting processes and blocking threads is what it is for")]

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::Duration,
};

use common::{Answer, Arguments, CommonArgs, Defaults, Failure, Life, Phase, Sidecar, Usage, args::typed, config};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use values::{ListenAddr, Secret, Span};

/// Burns, panics, hangs and lingers on request
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "misbehave", version)]
struct Args {
    /// A config file with the key `greeting`, served at /greeting
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// So many workers are busy for ever
    #[arg(long, value_name = "N", default_value_t = 0)]
    burn: u8,
    /// The part `fragile` panics after this time
    #[arg(long, value_name = "DURATION")]
    panic_after: Option<Span>,
    /// The part `unlucky` fails after this time
    #[arg(long, value_name = "DURATION")]
    fail_after: Option<Span>,
    /// The worker `stuck` blocks for ever
    #[arg(long)]
    stuck: bool,
    /// The main thread blocks for ever, soon after the start
    #[arg(long)]
    stuck_main: bool,
    /// Draining takes this long
    #[arg(long, value_name = "DURATION")]
    work: Option<Span>,
    /// Ready only while this file is there; a check that panics when it is called `panic`
    #[arg(long, value_name = "FILE")]
    gate_file: Option<PathBuf>,
    /// Answers every request here, after 300 ms
    #[arg(long, value_name = "ADDR")]
    listen: Option<ListenAddr>,
    /// Leaves so many orphans behind
    #[arg(long, value_name = "N", default_value_t = 0)]
    orphans: u8,
    /// Must never be seen
    #[arg(long, value_name = "VALUE", env = "SECRET")]
    secret: Option<Secret>,
    /// Panics before it has started
    #[arg(long)]
    panic_at_start: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl Arguments for Args {
    const NAME: &'static str = "misbehave";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DEFAULTS: Defaults = Defaults { admin_port: 9599, drain_delay: Duration::ZERO };

    fn parse(argv: &[OsString]) -> Result<Self, Usage> {
        typed(argv, Self::DEFAULTS)
    }

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn file(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

fn main() -> ExitCode {
    common::main(start)
}

async fn start(args: Args, sidecar: &mut Sidecar) -> Result<(), Failure> {
    let file = args.config.clone();
    let greeting = sidecar.live(move || greeting(file.as_deref()))?;
    sidecar.admin().get("/greeting", move |_| Answer::text(200, greeting.get().as_str()));
    tracing::debug!(?args, "these are the arguments");
    assert!(!args.panic_at_start, "as asked for");
    gates(&args, sidecar);
    parts(&args, sidecar)?;
    for _ in 0..args.orphans {
        // The shell is gone before its child, which then belongs to PID 1.
        let shell = std::process::Command::new("sh").args(["-c", "sleep 0.3 & exit 0"]).status();
        shell.map_err(|error| Failure::bug(format!("sh: {error}")))?;
    }
    Ok(())
}

/// An answer to "who are you" that a reload changes.
fn greeting(file: Option<&Path>) -> Result<String, Failure> {
    let Some(file) = file else { return Ok("hello".into()) };
    config::read(file, |root| {
        root.ignore("sidecar");
        let greeting: String = root.parsed("greeting").unwrap_or_else(|| "hello".into());
        assert_ne!(greeting, "panic", "a reader with a bug");
        greeting
    })
}

fn gates(args: &Args, sidecar: &Sidecar) {
    let gate = sidecar.gate("by-hand");
    gate.open();
    sidecar.admin().post("/gate", move |query| {
        match query {
            Some("open") => gate.open(),
            _ => gate.close("closed by hand"),
        }
        Answer::text(200, "moved")
    });
    if let Some(file) = args.gate_file.clone() {
        let again = sidecar.gate("checked");
        sidecar.check("gate-file", move || {
            // A check may move a gate.
            again.open();
            assert!(!file.ends_with("panic"), "a check with a bug");
            if file.exists() { Ok(()) } else { Err(format!("{} is missing", file.display())) }
        });
    }
}

fn parts(args: &Args, sidecar: &mut Sidecar) -> Result<(), Failure> {
    let life = sidecar.life();
    if let Some(addr) = &args.listen {
        let listener = addr.bind_tcp().and_then(TcpListener::from_std);
        let listener = listener.map_err(|error| Failure::config(format!("--listen {addr}: {error}")))?;
        let bound = listener.local_addr().map_err(|error| Failure::bug(error.to_string()))?;
        tracing::info!(what = "slow", addr = %bound, "listening");
        sidecar.spawn("slow", serve(listener, life.clone()));
    }
    for number in 0..args.burn {
        sidecar.spawn_worker(&format!("burn-{number}"), || async { burn() })?;
    }
    if args.stuck {
        sidecar.spawn_worker("stuck", || async { block() })?;
    }
    if args.stuck_main {
        sidecar.spawn("stuck-main", async {
            sleep(Duration::from_millis(100)).await;
            tracing::info!("the main thread is stuck from here on");
            block()
        });
    }
    if let Some(after) = args.panic_after {
        sidecar.spawn("fragile", async move {
            sleep(after.into()).await;
            panic!("as asked for");
        });
    }
    if let Some(after) = args.fail_after {
        sidecar.spawn("unlucky", async move {
            sleep(after.into()).await;
            Err(Failure::bug("as asked for"))
        });
    }
    let work = args.work;
    sidecar.spawn("work", async move {
        life.reached(Phase::Draining).await;
        if let Some(work) = work {
            let _busy = life.busy("3 parcels");
            sleep(work.into()).await;
            tracing::info!("the work is done");
        }
        Ok(())
    });
    Ok(())
}

fn burn() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

fn block() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Takes new work until draining begins, then finishes what it has.
async fn serve(listener: TcpListener, life: Life) -> Result<(), Failure> {
    let mut connections = JoinSet::new();
    while let Some(accepted) = life.until_drain(listener.accept()).await {
        if let Ok((stream, _)) = accepted {
            connections.spawn(slowly(stream));
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn slowly(mut stream: TcpStream) {
    let _ = stream.read(&mut [0; 4096]).await;
    sleep(Duration::from_millis(300)).await;
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndone\n").await;
}
