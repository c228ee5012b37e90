//! The real `log-shipper`, from outside: every promise of its section, by name. Needs nothing but Rust.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "log_shipper/end.rs"]
mod end;
#[path = "log_shipper/find.rs"]
mod find;
#[path = "log_shipper/lines.rs"]
mod lines;
#[path = "log_shipper/remember.rs"]
mod remember;
#[path = "log_shipper/rotate.rs"]
mod rotate;
#[path = "log_shipper/route.rs"]
mod route;

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use test_kit::{Sidecar, Start, TempDir, eventually};

/// Long enough for a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory of logs, a place for positions, and a file that gets the shipper's output.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new();
        fs::create_dir(dir.join("logs")).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join("logs").join(name)
    }

    fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    /// Follows `logs/*.log` unless told otherwise, and appends to the output.
    fn start(&self, more: &[&str]) -> Start {
        let state = self.dir.join("positions");
        let mut args = vec!["--state-file", state.to_str().unwrap()];
        let glob = self.path("*.log");
        if !more.contains(&"--path") {
            args.extend(["--path", glob.to_str().unwrap()]);
        }
        args.extend(more);
        let to = format!("exec \"$0\" \"$@\" >> '{}'", self.out().display());
        Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(args).under(["sh", "-c", &to])
    }

    #[track_caller]
    fn following(&self, more: &[&str]) -> Sidecar {
        let sidecar = self.start(more).spawn();
        sidecar.wait_ready();
        sidecar.wait_log(|line| line.message().starts_with("watching"));
        sidecar
    }

    fn shipped(&self) -> Vec<u8> {
        fs::read(self.out()).unwrap_or_default()
    }

    /// Waits until exactly this has arrived.
    #[track_caller]
    fn wait_shipped(&self, wanted: impl AsRef<[u8]>) {
        let wanted = wanted.as_ref();
        let arrived = eventually(PATIENCE, || self.shipped() == wanted);
        assert!(
            arrived,
            "expected {:?}, found {:?}",
            String::from_utf8_lossy(&wanted[..wanted.len().min(2000)]),
            String::from_utf8_lossy(&self.shipped()[..self.shipped().len().min(2000)])
        );
    }

    /// Waits until every number below `count` has arrived, and says how many came more than once.
    #[track_caller]
    fn wait_all(&self, count: u64) -> u64 {
        eventually(PATIENCE, || Tally::of(&self.shipped(), count).lost == 0);
        let tally = Tally::of(&self.shipped(), count);
        assert_eq!((tally.lost, tally.torn), (0, 0), "{tally:?}");
        tally.duplicated
    }
}

/// What became of numbered lines.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    lost: u64,
    first_lost: Option<u64>,
    duplicated: u64,
    torn: u64,
    reordered: u64,
}

impl Tally {
    fn of(bytes: &[u8], count: u64) -> Self {
        let mut seen = vec![0_u32; usize::try_from(count).unwrap()];
        let (mut tally, mut last) = (Self::default(), 0);
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let number = std::str::from_utf8(line).ok().and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
            match number.filter(|number| *number < count && line == numbered(*number).trim_end().as_bytes()) {
                Some(number) => {
                    seen[usize::try_from(number).unwrap()] += 1;
                    tally.reordered += u64::from(number < last);
                    last = number;
                }
                None => tally.torn += 1,
            }
        }
        tally.first_lost = seen.iter().position(|times| *times == 0).map(|number| number as u64);
        tally.lost = seen.iter().filter(|times| **times == 0).count() as u64;
        tally.duplicated = seen.iter().map(|times| u64::from(times.saturating_sub(1))).sum();
        tally
    }
}

/// A line that is easy to check, with its line end.
fn numbered(number: u64) -> String {
    format!("line {number} {:x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[track_caller]
fn append(path: &Path, bytes: impl AsRef<[u8]>) {
    opened(path).write_all(bytes.as_ref()).unwrap();
}

fn opened(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}
