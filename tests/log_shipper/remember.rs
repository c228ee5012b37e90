//! Positions: what was delivered stays delivered.

use std::{
    fs,
    io::Write,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::{Bench, append, numbered, opened};

#[test]
fn a_clean_restart_loses_nothing_and_repeats_nothing() {
    let bench = Bench::new();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        scope.spawn(|| write_until(&bench, &stop, &written));
        for _ in 0..5 {
            // The app writes all the time, and is waited for.
            let sidecar = bench.following(&["--shutdown-timeout", "2s"]);
            thread::sleep(Duration::from_millis(100));
            sidecar.signal(Signal::TERM);
            assert_eq!(sidecar.wait_exit(), 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let _sidecar = bench.following(&[]);
    assert_eq!(bench.wait_all(written.load(Ordering::Relaxed)), 0);
}

#[test]
fn kill_minus_9_at_any_moment_loses_nothing() {
    let bench = Bench::new();
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut random = 88_172_645_463_325_252_u64;
    thread::scope(|scope| {
        scope.spawn(|| write_until(&bench, &stop, &written));
        for _ in 0..12 {
            let sidecar = bench.start(&[]).spawn();
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            thread::sleep(Duration::from_millis(5 + random % 60));
            sidecar.kill9();
            sidecar.wait_exit();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let _sidecar = bench.following(&[]);
    let count = written.load(Ordering::Relaxed);
    // A batch that was written and not yet remembered comes twice, and may be torn where the kill met the write.
    assert!(test_kit::eventually(crate::PATIENCE, || crate::Tally::of(&bench.shipped(), count).lost == 0));
}

#[test]
fn what_was_rotated_while_it_was_down_is_shipped() {
    let bench = Bench::new();
    let sidecar = bench.following(&[]);
    append(&bench.path("a.log"), (0..100).map(numbered).collect::<String>());
    bench.wait_lines(100);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    for round in 1..=3_u64 {
        append(&bench.path("a.log"), (round * 100..round * 100 + 100).map(numbered).collect::<String>());
        for old in (1..round).rev() {
            fs::rename(bench.path(&format!("a.log.{old}")), bench.path(&format!("a.log.{}", old + 1))).unwrap();
        }
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    }
    append(&bench.path("a.log"), (400..500).map(numbered).collect::<String>());
    let _sidecar = bench.following(&[]);
    assert_eq!(bench.wait_all(500), 0);
}

#[test]
fn what_was_copied_and_cut_while_it_was_down_is_shipped() {
    let bench = Bench::new();
    let sidecar = bench.following(&[]);
    append(&bench.path("a.log"), (0..100).map(numbered).collect::<String>());
    bench.wait_lines(100);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    append(&bench.path("a.log"), (100..200).map(numbered).collect::<String>());
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    opened(&bench.path("a.log")).set_len(0).unwrap();
    append(&bench.path("a.log"), (200..250).map(numbered).collect::<String>());
    let _sidecar = bench.following(&[]);
    assert_eq!(bench.wait_all(250), 0);
}

#[test]
fn a_new_file_with_the_inode_of_an_old_one_is_a_new_file() {
    let bench = Bench::new();
    let sidecar = bench.following(&[]);
    append(&bench.path("a.log"), "old line one\nold line two\n");
    bench.wait_lines(2);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    fs::remove_file(bench.path("a.log")).unwrap();
    append(&bench.path("a.log"), "new line one\nnew line two\nnew line three\n");
    let _sidecar = bench.following(&[]);
    bench.wait_lines(5);
}

#[test]
fn a_torn_journal_is_read_as_far_as_it_is_whole() {
    let bench = Bench::new();
    let sidecar = bench.following(&[]);
    append(&bench.path("a.log"), "1\n2\n");
    bench.wait_lines(2);
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
    append(&bench.dir.join("positions"), "0badc0de at 0 0 9999\n12345678 at 0");
    append(&bench.path("a.log"), "3\n");
    let _sidecar = bench.following(&[]);
    bench.wait_shipped("1\n2\n3\n");
}

#[test]
fn two_processes_do_not_share_a_journal() {
    let bench = Bench::new();
    let _first = bench.following(&[]);
    let second = bench.start(&[]).spawn();
    assert_eq!(second.wait_exit(), 78);
    assert!(second.stderr().contains("another process keeps its positions here"), "{}", second.stderr());
}

#[test]
fn the_journal_stays_small() {
    let bench = Bench::new();
    let sidecar = bench.following(&[]);
    let mut file = opened(&bench.path("a.log"));
    for line in 0..4000 {
        file.write_all(numbered(line).as_bytes()).unwrap();
        if line % 4 == 0 {
            thread::sleep(Duration::from_micros(500));
        }
    }
    bench.wait_all(4000);
    drop(sidecar);
    assert!(fs::metadata(bench.dir.join("positions")).unwrap().len() < 80 << 10);
}

fn write_until(bench: &Bench, stop: &AtomicBool, written: &AtomicU64) {
    let mut file = opened(&bench.path("a.log"));
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..50 {
            file.write_all(numbered(number).as_bytes()).unwrap();
            number += 1;
        }
        thread::sleep(Duration::from_millis(2));
    }
    written.store(number, Ordering::Relaxed);
}

#[test]
fn a_rotated_file_that_was_not_finished_when_it_was_killed_is_finished() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "1\n");
    let sidecar = bench.following(&[]);
    bench.wait_shipped("1\n");
    // Nobody takes the output any more: what is read stays unacknowledged.
    sidecar.signal(Signal::STOP);
    append(&bench.path("a.log"), "2\n");
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    append(&bench.path("a.log"), "3\n");
    sidecar.kill9();
    sidecar.wait_exit();
    let sidecar = bench.following(&[]);
    bench.wait_each(&["1", "2", "3"]);
    sidecar.kill9();
    sidecar.wait_exit();
    fs::rename(bench.path("a.log.1"), bench.path("a.log.2")).unwrap();
    let _sidecar = bench.following(&[]);
    append(&bench.path("a.log"), "4\n");
    bench.wait_each(&["1", "2", "3", "4"]);
}

impl Bench {
    /// What was on its way when it was killed may come twice, but nothing is missing and nothing else is there.
    #[track_caller]
    fn wait_each(&self, wanted: &[&str]) {
        let came = || {
            let text = String::from_utf8(self.shipped()).unwrap();
            text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        assert!(test_kit::eventually(crate::PATIENCE, || came().iter().eq(wanted)), "{:?}", came());
    }
}
