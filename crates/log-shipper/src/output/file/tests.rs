//! The file output: what it writes, how it rotates, what it does when it cannot.

use std::fs;

use super::*;

struct Bench {
    dir: tempfile::TempDir,
    file: File,
}

impl Bench {
    fn new(rotate: Option<Rotate>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = format!("{}/sub/dir/out.log", dir.path().display()).parse().unwrap();
        Self { dir, file: File { path, shape: Shape::Raw, sync: true, rotate } }
    }

    fn path(&self, suffix: &str) -> std::path::PathBuf {
        self.dir.path().join(format!("sub/dir/out.log{suffix}"))
    }

    fn append(&self, text: &str) -> Result<(), String> {
        append(&self.file, &self.path(""), text.as_bytes(), &Reports::default())
    }

    fn text(&self, suffix: &str) -> Option<String> {
        fs::read_to_string(self.path(suffix)).ok()
    }
}

fn rotate(size: u64, keep: u32) -> Option<Rotate> {
    Some(Rotate { size: Some(size), every: None, keep, compress: Compression::None })
}

#[test]
fn parents_are_made_and_lines_are_added() {
    let bench = Bench::new(None);
    bench.append("one\n").unwrap();
    bench.append("two\n").unwrap();
    assert_eq!(bench.text("").unwrap(), "one\ntwo\n");
}

#[test]
fn a_line_cut_short_by_a_crash_is_cut_off() {
    for (before, kept) in [("whole\nhal", "whole\n"), ("hal", ""), ("", ""), ("whole\n", "whole\n"), ("\nx", "\n")] {
        let bench = Bench::new(None);
        bench.append("").unwrap();
        fs::write(bench.path(""), before).unwrap();
        bench.append("next\n").unwrap();
        assert_eq!(bench.text("").unwrap(), format!("{kept}next\n"), "{before:?}");
    }
    let bench = Bench::new(None);
    bench.append("").unwrap();
    fs::write(bench.path(""), format!("whole\n{}", "x".repeat(200_000))).unwrap();
    bench.append("next\n").unwrap();
    assert_eq!(bench.text("").unwrap(), "whole\nnext\n");
}

#[test]
fn a_full_file_is_moved_away_and_the_oldest_is_gone() {
    let bench = Bench::new(rotate(10, 2));
    for number in 0..5 {
        bench.append(&format!("line {number}\n")).unwrap();
    }
    let texts = ["", ".1", ".2", ".3"].map(|suffix| bench.text(suffix));
    assert_eq!(texts, [Some("line 4\n"), Some("line 3\n"), Some("line 2\n"), None].map(|text| text.map(str::to_owned)));
}

#[test]
fn what_is_larger_than_a_file_may_be_gets_one_of_its_own() {
    let bench = Bench::new(rotate(10, 2));
    for text in ["a\n", "more than ten\n", "b\n"] {
        bench.append(text).unwrap();
    }
    let texts = ["", ".1", ".2"].map(|suffix| bench.text(suffix).unwrap());
    assert_eq!(texts, ["b\n", "more than ten\n", "a\n"]);
}

#[test]
fn a_file_of_yesterday_is_moved_away() {
    let bench = Bench::new(Some(Rotate { size: None, every: Some(Every::Day), keep: 3, compress: Compression::None }));
    bench.append("old\n").unwrap();
    bench.append("also today\n").unwrap();
    let yesterday = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    fs::File::options().append(true).open(bench.path("")).unwrap().set_modified(yesterday).unwrap();
    bench.append("new\n").unwrap();
    assert_eq!(bench.text("").unwrap(), "new\n");
    assert_eq!(bench.text(".1").unwrap(), "old\nalso today\n");
}

#[test]
fn two_at_once_are_told_apart() {
    let bench = Bench::new(None);
    bench.append("one\n").unwrap();
    let other = fs::File::open(bench.path("")).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert!(bench.append("two\n").unwrap_err().contains("another process writes to it"));
    drop(other);
    bench.append("two\n").unwrap();
}

#[test]
fn what_arrived_is_not_sent_again() {
    let bench = Bench::new(None);
    let part = |name: String, text: &str| parts::Part { name, bytes: text.into(), records: 1 };
    let (good, bad) = (bench.path("").display().to_string(), bench.dir.path().display().to_string());
    let body = parts::join(vec![part(good.clone(), "a\n"), part(bad.clone(), "b\n"), part(good + "2", "c\n")]);
    let (left, records, why) = write(&bench.file, body, 3, &Reports::default()).unwrap_err();
    assert_eq!(records, 2);
    assert!(why.starts_with(&bad) && why.contains("expected the path of a file"), "{why}");
    let names: Vec<_> = parts::split(&left).iter().map(|place| place.name.to_owned()).collect();
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], bad);
    assert_eq!(bench.text("").unwrap(), "a\n");
}
