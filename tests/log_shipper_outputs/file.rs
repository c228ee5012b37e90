//! Files of our own.

use std::{fs, io::Read, path::Path};

use flate2::read::MultiGzDecoder;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use test_kit::{PATIENCE, Signal, eventually};

use crate::{Bench, QUICK, assert_all, numbered, ready};

/// A file output at `out/PATH` with these settings.
fn output(bench: &Bench, path: &str, more: &str) -> String {
    format!("- file: {{path: '{}', sync: false{more}}}\n  {QUICK}\n  batch_bytes: 16KiB", bench.path(path).display())
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[track_caller]
fn wait_text(path: &Path, wanted: &str) {
    let arrived = eventually(PATIENCE, || text(path) == wanted);
    assert!(arrived, "{} bytes of {}: {:.200}", text(path).len(), wanted.len(), text(path));
}

#[test]
fn lines_are_appended_as_they_are_and_directories_are_made() {
    let bench = Bench::new();
    let out = bench.path("out/a/b/all.log");
    let wanted = "one\r\n\n{\"two\": 2}\n\u{1f600} three\n";
    bench.log(wanted);
    let sidecar = ready(bench.start_with("keep_return: true", &output(&bench, "out/a/b/all.log", "")));
    wait_text(&out, wanted);
    bench.log("four\n");
    wait_text(&out, &format!("{wanted}four\n"));
    sidecar.signal(Signal::TERM);
    assert_eq!(sidecar.wait_exit(), 0);
}

#[test]
fn what_records_say_decides_where_they_go() {
    let bench = Bench::new();
    bench.log(concat!(
        "{\"t\":\"2026-01-02T03:04:05Z\",\"level\":\"info\",\"m\":1}\n",
        "{\"t\":\"2026-01-03T03:04:05Z\",\"level\":\"../../x\",\"m\":2}\n",
        "{\"t\":\"2026-01-02T23:59:59Z\",\"level\":\"info\",\"m\":3}\n",
        "{\"t\":\"2026-01-02T23:59:59Z\",\"m\":4}\n",
    ));
    let places = output(&bench, "out/{tag}/%Y-%m-%d/{level:none}.log", ", format: json");
    let _sidecar = ready(bench.start_with("format: json, time: t", &places));
    for (path, wanted) in [
        ("2026-01-02/info", "03:04:05.000Z\",\"level\":\"info\",\"m\":1}\n"),
        ("2026-01-02/none", "23:59:59.000Z\",\"m\":4}\n"),
        ("2026-01-03/.._.._x", "03:04:05.000Z\",\"level\":\"../../x\",\"m\":2}\n"),
    ] {
        let path = bench.path(&format!("out/app/{path}.log"));
        assert!(eventually(PATIENCE, || text(&path).contains(wanted)), "{path:?}: {}", text(&path));
    }
    let info = text(&bench.path("out/app/2026-01-02/info.log"));
    assert!(info.starts_with("{\"time\":\"2026-01-02T03:04:05.000Z\"") && info.lines().count() == 2, "{info}");
}

#[test]
fn full_files_are_kept_compressed_and_no_line_is_lost_or_torn() {
    let bench = Bench::new();
    bench.log(&numbered(0..20_000));
    let more = ", rotate: {size: 64KiB, keep: 100, compress: gzip}";
    let _sidecar = bench.following(&output(&bench, "out/all.log", more));
    // From the oldest to the one that is written to.
    let all = || {
        let mut all = String::new();
        for number in (1..100).rev() {
            if let Ok(packed) = fs::File::open(bench.path(&format!("out/all.log.{number}.gz"))) {
                MultiGzDecoder::new(packed).read_to_string(&mut all).unwrap();
            }
        }
        all + &text(&bench.path("out/all.log"))
    };
    let wanted = numbered(0..20_000);
    assert!(eventually(PATIENCE, || all() == wanted), "{} bytes of {}", all().len(), wanted.len());
    assert!(bench.path("out/all.log.5.gz").exists() && !bench.path("out/all.log.1").exists());
    assert!(text(&bench.path("out/all.log")).len() <= 64 << 10);
}

#[test]
fn only_so_many_full_files_are_kept() {
    let bench = Bench::new();
    bench.log(&numbered(0..20_000));
    let _sidecar = bench.following(&output(&bench, "out/all.log", ", rotate: {size: 64KiB, keep: 2}"));
    let last = numbered(19_999..20_000);
    assert!(eventually(PATIENCE, || text(&bench.path("out/all.log")).ends_with(&last)));
    let mut names: Vec<_> = fs::read_dir(bench.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["all.log", "all.log.1", "all.log.2"]);
}

#[test]
fn a_file_that_somebody_moves_away_is_begun_anew() {
    let bench = Bench::new();
    let out = bench.path("out/all.log");
    let _sidecar = bench.following(&output(&bench, "out/all.log", ""));
    bench.log("one\n");
    wait_text(&out, "one\n");
    fs::rename(&out, bench.path("out/old")).unwrap();
    bench.log("two\n");
    wait_text(&out, "two\n");
    fs::remove_dir_all(bench.path("out")).unwrap();
    bench.log("three\n");
    wait_text(&out, "three\n");
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_tried_again() {
    let bench = Bench::new();
    let out = bench.path("out");
    fs::create_dir(&out).unwrap();
    let sidecar = bench.following(&output(&bench, "out", ""));
    bench.log("one\n");
    let line = sidecar.wait_log(|line| line.field("why").contains("expected the path of a file"));
    assert!(line.field("why").starts_with(out.to_str().unwrap()), "{}", line.raw);
    fs::remove_dir(&out).unwrap();
    wait_text(&out, "one\n");
    assert!(sidecar.metric("log_shipper_retries_total{output=\"file\"}").unwrap() >= 1.0);
}

#[test]
fn a_batch_that_fits_only_in_part_is_taken_back_and_written_once_there_is_room() {
    let bench = Bench::new();
    bench.log(&numbered(0..20_000));
    let out = bench.path("out/all.log");
    // Files may not become larger than this, which is in the middle of a batch and of a line.
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -S -f 131; exec \"$0\" \"$@\""];
    let sidecar = ready(bench.start(&output(&bench, "out/all.log", "")).under(limited));
    let line = sidecar.wait_log(|line| line.field("why").contains("nothing of this batch is in it"));
    assert!(line.field("why").contains("file too large"), "{}", line.raw);
    let so_far = text(&out);
    assert!(numbered(0..20_000).starts_with(&so_far) && so_far.ends_with('\n') && !so_far.is_empty());
    let unlimited = Rlimit { current: None, maximum: None };
    prlimit(Pid::from_raw(sidecar.pid().cast_signed()), Resource::Fsize, unlimited).unwrap();
    wait_text(&out, &numbered(0..20_000));
}

#[test]
fn kill_minus_9_in_the_middle_loses_and_tears_nothing() {
    let bench = Bench::new();
    let out = bench.path("out/all.log");
    let count = 100_000;
    bench.log(&numbered(0..count));
    let settings = output(&bench, "out/all.log", "");
    for kills in 1..=8 {
        let sidecar = bench.following(&settings);
        let enough = kills * text(&bench.path("logs/app.log")).len() / 10;
        assert!(eventually(PATIENCE, || text(&out).len() >= enough));
        sidecar.kill9();
        sidecar.wait_exit();
    }
    let _sidecar = bench.following(&settings);
    let last = numbered(count - 1..count);
    assert!(eventually(PATIENCE, || text(&out).ends_with(&last)));
    let found: Vec<String> = text(&out).lines().map(str::to_owned).collect();
    let again = assert_all(&found, 0..count);
    // The batch that was on its way, each time.
    let most = 8 * ((16 << 10) / 20);
    assert!(again <= most, "{again} lines came again");
}

#[test]
fn a_line_that_a_crash_tore_is_cut_off_and_said() {
    let bench = Bench::new();
    let out = bench.dir.put("out/all.log", "whole\nhal");
    let sidecar = bench.following(&output(&bench, "out/all.log", ""));
    bench.log("next\n");
    wait_text(Path::new(&out), "whole\nnext\n");
    let line = sidecar.wait_log(|line| line.message().starts_with("cut a line that was never finished"));
    assert_eq!(line.field("bytes"), "3");
}

#[test]
fn what_is_no_file_can_be_written_to_as_well() {
    let bench = Bench::new();
    let sidecar = bench.following("- file: {path: /dev/stdout}");
    bench.log("one\n");
    assert!(eventually(PATIENCE, || sidecar.stdout() == "one\n"), "{}", sidecar.stdout());
}
