//! Rotation, in every way there is.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    thread,
    time::Duration,
};

use crate::{Bench, Tally, append, numbered, opened};

#[test]
fn a_renamed_file_is_drained_to_its_end() {
    let bench = Bench::new();
    let _sidecar = bench.following(&[]);
    let mut app = opened(&bench.path("a.log"));
    app.write_all(b"1\n").unwrap();
    bench.wait_shipped("1\n");
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    // Until it is told to open its log again, the app writes on.
    app.write_all(b"2\n").unwrap();
    bench.wait_shipped("1\n2\n");
    append(&bench.path("a.log"), "3\n");
    app.write_all(b"4\n").unwrap();
    bench.wait_lines(4);
    let shipped = String::from_utf8(bench.shipped()).unwrap();
    assert!(shipped.contains("3\n") && shipped.contains("4\n"), "{shipped}");
}

#[test]
fn a_deleted_file_is_drained_and_its_successor_followed() {
    let bench = Bench::new();
    let _sidecar = bench.following(&[]);
    append(&bench.path("a.log"), "1\n");
    bench.wait_shipped("1\n");
    let mut app = opened(&bench.path("a.log"));
    fs::remove_file(bench.path("a.log")).unwrap();
    app.write_all(b"2\n").unwrap();
    append(&bench.path("a.log"), "3\n");
    bench.wait_lines(3);
}

#[test]
fn ships_every_line_across_rename_rotation() {
    let bench = Bench::new();
    let _sidecar = bench.following(&[]);
    let count = write_rotating(&bench, 60, 500, |bench| {
        // Every 5 ms, quicker than anybody looks: what matters is that the bytes are there. Nothing is deleted.
        for old in (1..60).rev() {
            let _ = fs::rename(bench.path(&format!("a.log.{old}")), bench.path(&format!("a.log.{}", old + 1)));
        }
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    });
    assert_eq!(bench.wait_all(count), 0, "no line comes twice");
}

#[test]
fn a_rotated_file_comes_before_its_successor() {
    let bench = Bench::new();
    let _sidecar = bench.following(&[]);
    for round in 0..10_u64 {
        append(&bench.path("a.log"), (round * 20_000..(round + 1) * 20_000).map(numbered).collect::<String>());
        if round < 9 {
            fs::rename(bench.path("a.log"), bench.path(&format!("a.log.{round}"))).unwrap();
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(bench.wait_all(200_000), 0);
    assert_eq!(Tally::of(&bench.shipped(), 200_000).reordered, 0);
}

#[test]
fn rotated_names_that_match_the_glob_are_not_shipped_again() {
    let bench = Bench::new();
    let glob = bench.path("a.log*");
    let _sidecar = bench.following(&["--path", glob.to_str().unwrap()]);
    let count = write_rotating(&bench, 20, 500, |bench| {
        for old in (1..20).rev() {
            let _ = fs::rename(bench.path(&format!("a.log.{old}")), bench.path(&format!("a.log.{}", old + 1)));
        }
        fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    });
    assert_eq!(bench.wait_all(count), 0);
}

#[test]
fn ships_every_line_across_copytruncate() {
    let bench = Bench::new();
    let _sidecar = bench.following(&[]);
    let count = write_rotating(&bench, 30, 2000, copytruncate);
    assert_eq!(bench.wait_all(count), 0);
}

#[test]
fn copies_that_match_the_glob_are_not_shipped_again() {
    let bench = Bench::new();
    let glob = bench.path("a.log*");
    let _sidecar = bench.following(&["--path", glob.to_str().unwrap()]);
    let count = write_rotating(&bench, 10, 2000, copytruncate);
    assert_eq!(bench.wait_all(count), 0);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(bench.wait_all(count), 0, "nor later");
}

#[test]
fn a_file_that_is_cut_is_read_from_its_beginning() {
    let bench = Bench::new();
    let _sidecar = bench.following(&[]);
    append(&bench.path("a.log"), "old 1\nold 2\n");
    bench.wait_shipped("old 1\nold 2\n");
    // As long as before: only the content tells.
    fs::write(bench.path("a.log"), "new 1\nnew 2\n").unwrap();
    bench.wait_shipped("old 1\nold 2\nnew 1\nnew 2\n");
}

#[test]
fn many_files_rotate_at_once() {
    let bench = Bench::new();
    let _sidecar = bench.following(&[]);
    thread::scope(|scope| {
        for app in 0..20_u64 {
            let bench = &bench;
            scope.spawn(move || {
                let log = bench.path(&format!("app{app}.log"));
                for round in 0..10 {
                    let mut file = opened(&log);
                    for line in 0..100 {
                        file.write_all(numbered(app * 1000 + round * 100 + line).as_bytes()).unwrap();
                    }
                    fs::rename(&log, bench.path(&format!("app{app}.log.{round}"))).unwrap();
                }
            });
        }
    });
    assert_eq!(bench.wait_all(20_000), 0);
}

/// Writes `rounds` times `lines` numbered lines, and rotates after each round but the last.
fn write_rotating(bench: &Bench, rounds: u64, lines: u64, rotate: impl Fn(&Bench)) -> u64 {
    for round in 0..rounds {
        let mut file = opened(&bench.path("a.log"));
        for line in 0..lines {
            file.write_all(numbered(round * lines + line).as_bytes()).unwrap();
        }
        drop(file);
        if round + 1 < rounds {
            rotate(bench);
        }
        thread::sleep(Duration::from_millis(5));
    }
    rounds * lines
}

/// As logrotate does it.
fn copytruncate(bench: &Bench) {
    for old in (1..40).rev() {
        let _ = fs::rename(bench.path(&format!("a.log.{old}")), bench.path(&format!("a.log.{}", old + 1)));
    }
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    OpenOptions::new().write(true).open(bench.path("a.log")).unwrap().set_len(0).unwrap();
}

#[test]
fn compressed_rotations_are_left_alone() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "1\n");
    let all = format!("{}*", bench.path("a.log").display());
    let _sidecar = bench.following(&["--path", &all]);
    bench.wait_shipped("1\n");
    for end in ["1.gz", "2.zst", "3.xz", "4.bz2"] {
        append(&bench.path(&format!("a.log.{end}")), "\u{1f}\u{8b} packed\n");
    }
    append(&bench.path("a.log"), "2\n");
    bench.wait_shipped("1\n2\n");
}
