//! Everything goes wrong at once, by chance: rotation of every kind, `kill -9` of the shipper and of the receiver, answers
//! that never come, a full disk under the positions, a clock that jumps. Afterwards every line must have arrived.
//!
//! `TORTURE_SECONDS=7200 cargo test -p log-shipper --test log_shipper_torture -- --nocapture` for a night's rest;
//! `TORTURE_SEED` repeats a run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "tests: the files are our own, and a surprise must fail loudly"
)]

#[path = "log_shipper_torture/chance.rs"]
mod chance;
#[path = "log_shipper_torture/clock.rs"]
mod clock;
#[path = "log_shipper_torture/ledger.rs"]
mod ledger;
#[path = "log_shipper_torture/receiver.rs"]
mod receiver;
#[path = "log_shipper_torture/writer.rs"]
mod writer;

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use test_kit::{Sidecar, Signal, TempDir, TinyDisk, eventually};

use crate::{chance::Chance, clock::Clock, ledger::Ledger, receiver::Receiver, writer::Writer};

const WRITERS: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_line_arrives_whatever_happens() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect(name));
    let seconds = number("TORTURE_SECONDS").unwrap_or(10);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = number("TORTURE_SEED").unwrap_or(u64::from(now.subsec_nanos()));
    println!("TORTURE_SEED={seed} TORTURE_SECONDS={seconds}");
    Torture::new(seed).run(Duration::from_secs(seconds));
}

struct Torture {
    dir: TempDir,
    /// Where positions are kept; small where a disk can be made, so that it can be filled.
    disk: Option<TinyDisk>,
    clock: Option<Clock>,
    ledger: Arc<Ledger>,
    receiver: Receiver,
    chance: Chance,
    happened: Happened,
}

#[derive(Debug, Default)]
struct Happened {
    kills: u64,
    stops: u64,
    reloads: u64,
    outages: u64,
    full_disks: u64,
    jumps: u64,
    /// Lines that may arrive again because what was known of them could not be written down.
    unremembered: u64,
}

impl Torture {
    fn new(seed: u64) -> Self {
        let (dir, chance) = (TempDir::new(), Chance::new(seed));
        fs::create_dir(dir.join("logs")).unwrap();
        let ledger = Arc::new(Ledger::new(WRITERS));
        let receiver = Receiver::start(&ledger, chance.fork());
        let (disk, clock) = (TinyDisk::of(1024), Clock::find(&dir));
        Self { dir, disk, clock, ledger, receiver, chance, happened: Happened::default() }
    }

    fn run(mut self, time: Duration) {
        let stop = AtomicBool::new(false);
        let mut sidecar = self.start();
        // What was rotated before it was there for the first time is not its business.
        let positions = self.positions();
        assert!(eventually(PATIENCE, || fs::metadata(&positions).is_ok_and(|found| found.len() > 0)));
        thread::scope(|scope| {
            for number in 0..WRITERS {
                let writer = Writer::new(number, &self.dir.join("logs"), &self.ledger, self.chance.fork());
                scope.spawn(|| writer.run(&stop));
            }
            let end = Instant::now() + time;
            while Instant::now() < end {
                thread::sleep(Duration::from_millis(50 + self.chance.below(900)));
                sidecar = self.something_happens(sidecar);
            }
            stop.store(true, Ordering::Relaxed);
            self.get_well();
            self.judge(&sidecar);
        });
    }

    fn positions(&self) -> PathBuf {
        self.disk.as_deref().unwrap_or(&self.dir).join("positions")
    }

    fn start(&self) -> Sidecar {
        let config = format!(
            "inputs:\n  - paths: ['{}/logs/*.log']\nstate_file: {}\noutputs:\n  - elasticsearch: {{url: '{}', index: t}}\n    \
             batch_bytes: 64KiB\n    retry: {{first: 20ms, most: 200ms}}\n",
            self.dir.display(),
            self.positions().display(),
            self.receiver.url()
        );
        let file = self.dir.put("config.yaml", config);
        let start = Sidecar::start(env!("CARGO_BIN_EXE_log-shipper")).args(["--config", &file, "--log-level", "warn"]);
        match &self.clock {
            Some(clock) => clock.under(start).spawn(),
            None => start.spawn(),
        }
    }

    fn something_happens(&mut self, sidecar: Sidecar) -> Sidecar {
        let what = self.chance.below(7);
        let names = ["kill -9", "kill -9", "SIGTERM", "SIGHUP", "an outage", "a full disk", "a jump of the clock"];
        println!("{:?}, then {}", self.ledger.count(), names[usize::try_from(what).unwrap()]);
        match what {
            0 | 1 => {
                sidecar.kill9();
                self.happened.kills += 1;
                thread::sleep(Duration::from_millis(self.chance.below(1500)));
                self.start()
            }
            2 => {
                sidecar.signal(Signal::TERM);
                assert_eq!(sidecar.wait_exit_within(PATIENCE), 0, "{}", sidecar.stderr());
                self.happened.stops += 1;
                self.start()
            }
            3 => {
                sidecar.signal(Signal::HUP);
                self.happened.reloads += 1;
                sidecar
            }
            4 => {
                self.receiver.go_away();
                self.happened.outages += 1;
                thread::sleep(Duration::from_millis(self.chance.below(1500)));
                self.receiver.come_back();
                sidecar
            }
            5 => self.fill_the_disk(sidecar),
            _ => {
                if let Some(clock) = &self.clock {
                    clock.jump(&self.chance);
                    self.happened.jumps += 1;
                }
                sidecar
            }
        }
    }

    /// No position can be written for a while; whoever is killed then has forgotten what arrived in that time.
    fn fill_the_disk(&mut self, sidecar: Sidecar) -> Sidecar {
        let Some(disk) = &self.disk else { return sidecar };
        let (before, fill) = (self.arrived(), disk.join("fill"));
        // It is full when writing fails.
        let _ = fs::write(&fill, vec![0; 2 << 20]);
        self.happened.full_disks += 1;
        thread::sleep(Duration::from_millis(self.chance.below(2000)));
        let sidecar = if self.chance.one_in(2) {
            sidecar.kill9();
            self.happened.kills += 1;
            self.happened.unremembered += self.arrived() - before;
            self.start()
        } else {
            sidecar
        };
        fs::remove_file(fill).unwrap();
        sidecar
    }

    fn arrived(&self) -> u64 {
        let count = self.ledger.count();
        count.written - count.lost + count.again
    }

    fn get_well(&self) {
        self.receiver.come_back();
        self.receiver.get_well();
    }

    fn judge(&self, sidecar: &Sidecar) {
        // On a busy machine there is much to catch up on: as long as something arrives, it is waited for.
        let lost = || self.ledger.count().lost;
        let mut before = u64::MAX;
        while lost() > 0 && lost() < before {
            before = lost();
            eventually(PATIENCE, || lost() <= before / 2);
        }
        let rss = sidecar.rss_kib();
        sidecar.signal(Signal::TERM);
        let code = sidecar.wait_exit_within(PATIENCE);
        let (count, happened, untold) = (self.ledger.count(), &self.happened, self.receiver.untold());
        println!("{count:?}\n{happened:?} untold: {untold} rss: {rss} KiB");
        assert!(count.lost == 0, "missing (writer, from, of): {:?}\n{}", self.ledger.missing(), sidecar.stderr());
        assert_eq!((count.lost, count.torn, code), (0, 0, 0));
        // A batch is on its way at each kill, at each reload, and at each answer that never came.
        let on_their_way = happened.kills + untold + happened.outages + happened.stops + happened.reloads;
        let allowed = on_their_way * count.largest + happened.unremembered;
        assert!(count.again <= allowed, "{} lines came again, {allowed} may", count.again);
        // An index would see through it, but for what was forgotten.
        assert!(count.twice <= happened.unremembered, "{} lines came again with other ids", count.twice);
        assert!(rss < 32 << 10, "{rss} KiB");
    }
}
