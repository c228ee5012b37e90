//! What is lost and what comes twice: ours and Fluent Bit, with the same fluent-bit.conf, through what happens to pods.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    index::{Index, MARK},
    shipping::Tool,
    table::Table,
};

/// Who looks for new files every ten seconds, as the seed says, gets the time for it twice.
const PATIENCE: Duration = Duration::from_secs(25);

type Row = (&'static str, fn(&mut Scene<'_>) -> io::Result<()>);

const ROWS: [Row; 13] = [
    ("1,000 of 2,000 lines before it starts, Read_from_Head not said", before_the_start),
    ("SIGTERM while lines are written, restart, DB", |scene| {
        restarts(scene, Signal::TERM, "Read_from_Head On\n    DB POS")
    }),
    ("SIGTERM while lines are written, restart, no DB", |scene| restarts(scene, Signal::TERM, "Read_from_Head On")),
    ("kill -9, three times, DB", |scene| restarts(scene, Signal::KILL, "Read_from_Head On\n    DB POS")),
    ("300,000 lines, then SIGTERM at once", burst),
    ("renamed while it is stopped, DB", rotated_while_stopped),
    ("renamed every second, 10,000 lines/s", |scene| renamed(scene, 10, 10_000, 1000)),
    ("renamed every 0.14 s, 30,000 lines/s, 5 kept", |scene| renamed(scene, 40, 4_200, 140)),
    ("copied and cut every second, 10,000 lines/s", |scene| cut(scene, 10, 10_000, 1000)),
    ("every 10th document answered 429, once", busy),
    ("503 for 30 s", down),
    ("a line of 40 KB among others", |scene| long(scene, 40 << 10)),
    ("a line of 1 MB among others", |scene| long(scene, 1_000_000)),
];

pub(crate) fn run(tools: &[Tool]) -> Result<(), String> {
    let mut head = vec!["what happens".to_owned(), "lines".to_owned()];
    head.extend(tools.iter().map(|tool| format!("{}: lost, twice", tool.name)));
    let mut table = Table::new(&head.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, play) in ROWS {
        eprintln!("bench: {name}");
        let (mut written, mut cells) = (0, Vec::new());
        for tool in tools {
            let mut scene = Scene::new(tool).map_err(|error| error.to_string())?;
            play(&mut scene).map_err(|error| format!("{}: {name}: {error}", tool.name))?;
            scene.index.wait(scene.written, PATIENCE);
            let (lost, twice) = scene.index.lost_and_doubled(scene.written);
            written = scene.written;
            eprintln!("bench: {}: {lost} of {written} lost, {twice} twice", tool.name);
            cells.push(format!("{lost}, {twice}"));
        }
        table.row([vec![name.to_owned(), written.to_string()], cells].concat());
    }
    table.print("Lost, and there twice, in an index");
    Ok(())
}

struct Scene<'a> {
    tool: &'a Tool,
    dir: TempDir,
    index: Index,
    file: Option<File>,
    written: u64,
    running: Option<Child>,
}

impl<'a> Scene<'a> {
    fn new(tool: &'a Tool) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("logs"))?;
        Ok(Self { tool, dir, index: Index::start()?, file: None, written: 0, running: None })
    }

    fn log(&self, suffix: &str) -> PathBuf {
        self.dir.path().join(format!("logs/a.log{suffix}"))
    }

    /// As the seed has it, and what the row adds.
    fn start(&mut self, input: &str) -> io::Result<()> {
        let config = self.dir.path().join("fluent-bit.conf");
        let place = self.dir.path().display();
        let text = format!(
            "[SERVICE]\n    Flush 1\n    Log_Level error\n[INPUT]\n    Name tail\n    Path {place}/logs/*.log\n    Tag app.*\n    \
             Refresh_Interval 10\n    {}\n[OUTPUT]\n    Name es\n    Match *\n    Host 127.0.0.1\n    Port {}\n    Index t\n    \
             Suppress_Type_Name On\n",
            input.replace("POS", &format!("{place}/pos.db")),
            self.index.port
        );
        fs::write(&config, text)?;
        let mut command = Command::new(&self.tool.program);
        command.args(self.tool.first).arg("-c").arg(&config).env_clear().env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0");
        command.env("LOG_SHIPPER_STATE_FILE", self.dir.path().join("positions"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running = Some(command.spawn()?);
        sleep(Duration::from_millis(1500));
        Ok(())
    }

    fn stop(&mut self, signal: Signal) -> io::Result<()> {
        let Some(mut child) = self.running.take() else { return Ok(()) };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, signal)?;
        }
        child.wait().map(drop)
    }

    fn line(&mut self, filling: usize) -> io::Result<()> {
        let path = self.log("");
        let file = match &mut self.file {
            Some(file) => file,
            place => place.insert(OpenOptions::new().create(true).append(true).open(path)?),
        };
        let line = format!("{MARK}{:08} {}\n", self.written, "x".repeat(filling));
        self.written += 1;
        file.write_all(line.as_bytes())
    }

    fn lines(&mut self, count: u64) -> io::Result<()> {
        (0..count).try_for_each(|_| self.line(100))
    }

    /// So many within so long.
    fn paced(&mut self, count: u64, millis: u64) -> io::Result<()> {
        let begun = Instant::now();
        for step in 1..=10 {
            self.lines(count / 10)?;
            sleep((begun + Duration::from_millis(millis * step / 10)).saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    fn shift(&self, keep: u32) -> io::Result<()> {
        for old in (1..keep).rev() {
            if self.log(&format!(".{old}")).exists() {
                fs::rename(self.log(&format!(".{old}")), self.log(&format!(".{}", old + 1)))?;
            }
        }
        Ok(())
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        // It may have gone by itself.
        let _ = self.stop(Signal::KILL);
    }
}

fn before_the_start(scene: &mut Scene<'_>) -> io::Result<()> {
    scene.lines(1000)?;
    scene.start("")?;
    scene.lines(1000)
}

fn restarts(scene: &mut Scene<'_>, signal: Signal, input: &str) -> io::Result<()> {
    scene.start(input)?;
    for _ in 0..if signal == Signal::KILL { 3 } else { 1 } {
        scene.paced(10_000, 2500)?;
        scene.stop(signal)?;
        scene.start(input)?;
    }
    scene.paced(10_000, 2000)
}

fn burst(scene: &mut Scene<'_>) -> io::Result<()> {
    scene.start("Read_from_Head On")?;
    scene.lines(300_000)?;
    scene.stop(Signal::TERM)
}

fn rotated_while_stopped(scene: &mut Scene<'_>) -> io::Result<()> {
    scene.start("Read_from_Head On\n    DB POS")?;
    scene.lines(5000)?;
    sleep(Duration::from_secs(3));
    scene.stop(Signal::TERM)?;
    scene.lines(5000)?;
    fs::rename(scene.log(""), scene.log(".1"))?;
    scene.file = None;
    scene.lines(5000)?;
    scene.start("Read_from_Head On\n    DB POS")
}

fn renamed(scene: &mut Scene<'_>, rounds: u32, count: u64, millis: u64) -> io::Result<()> {
    scene.start("Read_from_Head On")?;
    for _ in 0..rounds {
        scene.paced(count, millis)?;
        scene.shift(5)?;
        fs::rename(scene.log(""), scene.log(".1"))?;
        scene.file = None;
    }
    scene.lines(count)
}

fn cut(scene: &mut Scene<'_>, rounds: u32, count: u64, millis: u64) -> io::Result<()> {
    scene.start("Read_from_Head On")?;
    for _ in 0..rounds {
        scene.paced(count, millis)?;
        scene.shift(5)?;
        fs::copy(scene.log(""), scene.log(".1"))?;
        scene.file.as_ref().map_or(Ok(()), |file| file.set_len(0))?;
    }
    scene.lines(count)
}

fn busy(scene: &mut Scene<'_>) -> io::Result<()> {
    scene.index.be_busy();
    scene.start("Read_from_Head On")?;
    scene.paced(5000, 3000)?;
    sleep(Duration::from_secs(10));
    Ok(())
}

fn down(scene: &mut Scene<'_>) -> io::Result<()> {
    scene.index.be_slow(Duration::from_millis(5));
    scene.start("Read_from_Head On")?;
    scene.index.be_down(Duration::from_secs(30));
    scene.paced(40_000, 30_000)?;
    sleep(Duration::from_secs(20));
    Ok(())
}

fn long(scene: &mut Scene<'_>, length: usize) -> io::Result<()> {
    scene.start("Read_from_Head On")?;
    scene.lines(500)?;
    scene.line(length)?;
    scene.lines(500)
}
