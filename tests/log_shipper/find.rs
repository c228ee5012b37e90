//! Finding files, whenever and wherever they appear.

use std::{fs, os::unix::fs::symlink};

use test_kit::eventually;

use crate::{Bench, PATIENCE, append};

#[test]
fn ships_what_was_there_before_and_what_comes_after() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "before\n");
    let _sidecar = bench.following(&[]);
    bench.wait_shipped("before\n");
    append(&bench.path("a.log"), "after\n");
    bench.wait_shipped("before\nafter\n");
}

#[test]
fn begins_at_the_end_when_told_so() {
    let bench = Bench::new();
    append(&bench.path("a.log"), "before\n");
    let _sidecar = bench.following(&["--tail"]);
    append(&bench.path("a.log"), "after\n");
    bench.wait_shipped("after\n");
    append(&bench.path("b.log"), "new\n");
    bench.wait_shipped("after\nnew\n");
}

#[test]
fn finds_files_that_appear_later_also_in_directories_that_do() {
    let bench = Bench::new();
    let glob = bench.path("*/deep/*.log");
    let _sidecar = bench.following(&["--path", glob.to_str().unwrap()]);
    fs::create_dir_all(bench.path("one/deep")).unwrap();
    append(&bench.path("one/deep/a.log"), "first\n");
    bench.wait_shipped("first\n");
    fs::create_dir_all(bench.path("two/deep")).unwrap();
    append(&bench.path("two/deep/a.log"), "second\n");
    bench.wait_shipped("first\nsecond\n");
}

#[test]
fn waits_for_a_file_whose_directory_is_not_there_yet() {
    let bench = Bench::new();
    let path = bench.path("later/on/app.log");
    let _sidecar = bench.following(&["--path", path.to_str().unwrap()]);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    append(&path, "here\n");
    bench.wait_shipped("here\n");
}

#[test]
fn leaves_excluded_files_alone() {
    let bench = Bench::new();
    append(&bench.path("debug.log"), "no\n");
    append(&bench.path("app.log"), "yes\n");
    let _sidecar = bench.following(&["--exclude", "debug*"]);
    append(&bench.path("debug2.log"), "no\n");
    append(&bench.path("app.log"), "again\n");
    bench.wait_shipped("yes\nagain\n");
}

#[test]
fn follows_links_as_kubernetes_has_them() {
    let bench = Bench::new();
    fs::create_dir_all(bench.dir.join("pods/uid/app")).unwrap();
    let real = bench.dir.join("pods/uid/app/0.log");
    append(&real, "zero\n");
    symlink(&real, bench.path("app.log")).unwrap();
    let _sidecar = bench.following(&[]);
    append(&real, "one\n");
    bench.wait_shipped("zero\none\n");
    // The container was restarted: the kubelet makes a new file and moves the link.
    let next = bench.dir.join("pods/uid/app/1.log");
    append(&next, "two\n");
    fs::remove_file(bench.path("app.log")).unwrap();
    symlink(&next, bench.path("app.log")).unwrap();
    append(&real, "late\n");
    bench.wait_shipped("zero\none\nlate\ntwo\n");
}

#[test]
fn a_thousand_files_need_few_descriptors() {
    let bench = Bench::new();
    for file in 0..1000 {
        append(&bench.path(&format!("{file}.log")), format!("same first line\nfile {file}\n"));
    }
    let sidecar = bench.following(&[]);
    bench.wait_lines(2000);
    for file in (0..1000).step_by(7) {
        append(&bench.path(&format!("{file}.log")), "more\n");
    }
    bench.wait_lines(2143);
    // Those of its own it has besides, and what the test has left to it.
    let of_logs = || {
        let all = fs::read_dir(format!("/proc/{}/fd", sidecar.pid())).unwrap().flatten();
        all.filter(|one| fs::read_link(one.path()).is_ok_and(|to| to.extension().is_some_and(|end| end == "log")))
            .count()
    };
    assert!(eventually(PATIENCE, || of_logs() <= 20), "{} descriptors are open", of_logs());
}

#[test]
fn a_file_that_cannot_be_read_is_said_once_and_found_when_it_can() {
    let bench = Bench::new();
    fs::create_dir(bench.path("dir.log")).unwrap();
    append(&bench.path("a.log"), "a\n");
    let _sidecar = bench.following(&[]);
    bench.wait_shipped("a\n");
    fs::remove_dir(bench.path("dir.log")).unwrap();
    append(&bench.path("dir.log"), "now a file\n");
    bench.wait_shipped("a\nnow a file\n");
}
