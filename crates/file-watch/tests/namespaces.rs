//! What needs limits or mounts of its own: the tests run themselves again inside a user namespace (`unshare`), so that
//! nobody else on the machine loses anything.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use file_watch::{FileWatch, Mode, Options, Target, Wake, never_updates};
use support::{PATIENCE, playground, put, quick, update_configmap, wakes, watch};
use tokio::time::{Instant, timeout};

/// Runs the ignored test `name` of this file as root of a new user and mount namespace, after `setup`.
fn in_a_namespace(name: &str, setup: &str) {
    if !Command::new("unshare").args(["-Urm", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: {name} needs `unshare -Urm`, which this machine does not allow");
        return;
    }
    let script = format!("{setup}\nexec \"$0\" --exact {name} --ignored --nocapture --test-threads=1");
    let output = Command::new("unshare")
        .args(["-Urm", "sh", "-ec", &script])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{name}: {said}");
}

fn fallback(millis: u64) -> Options {
    Options { fallback: Duration::from_millis(millis), ..quick() }
}

fn why(watch: &FileWatch) -> &str {
    match watch.mode() {
        Mode::Polling { why } => why,
        Mode::Events => panic!("expected to poll"),
    }
}

/// Waits until inotify is used again, and proves it.
async fn recovers(watch: &mut FileWatch, file: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while *watch.mode() != Mode::Events {
        assert_eq!(timeout(PATIENCE, watch.changed()).await, Ok(Wake::Tick));
        assert!(Instant::now() < deadline, "still polling: {}", why(watch));
    }
    wakes(watch, "written", || put(file, "1")).await;
}

#[test]
fn falls_back_to_polling_when_instances_are_exhausted() {
    in_a_namespace("without_instances", "echo 0 > /proc/sys/user/max_inotify_instances");
}

#[tokio::test]
#[ignore = "run by falls_back_to_polling_when_instances_are_exhausted"]
async fn without_instances() {
    let dir = playground();
    let file = dir.path().join("app.yaml");
    put(&file, "0");
    let mut watch = FileWatch::new(vec![Target { path: file.clone(), recursive: false }], fallback(100));
    assert!(why(&watch).contains("fs.inotify.max_user_instances is "), "{}", why(&watch));
    assert_eq!(watch.watches(), 0);
    assert_eq!(timeout(PATIENCE, watch.changed()).await, Ok(Wake::Tick));
    assert_eq!(timeout(PATIENCE, watch.changed()).await, Ok(Wake::Tick));
    fs::write("/proc/sys/user/max_inotify_instances", "10").unwrap();
    recovers(&mut watch, &file).await;
}

#[test]
fn falls_back_to_polling_when_watches_are_exhausted() {
    in_a_namespace("without_watches", "echo 20 > /proc/sys/user/max_inotify_watches");
}

#[tokio::test]
#[ignore = "run by falls_back_to_polling_when_watches_are_exhausted"]
async fn without_watches() {
    let dir = playground();
    let file = dir.path().join("app.yaml");
    put(&file, "0");
    let target = Target { path: dir.path().into(), recursive: true };
    let mut watch = FileWatch::new(vec![target], fallback(100));
    assert_eq!(*watch.mode(), Mode::Events);
    wakes(&mut watch, "too many directories", || {
        (0..50).for_each(|n| fs::create_dir(dir.path().join(n.to_string())).unwrap());
    })
    .await;
    let deadline = Instant::now() + PATIENCE;
    while *watch.mode() == Mode::Events {
        assert!(timeout(PATIENCE, watch.changed()).await.is_ok() && Instant::now() < deadline);
    }
    assert!(why(&watch).contains("fs.inotify.max_user_watches is "), "{}", why(&watch));
    assert_eq!(watch.watches(), 0, "what others may need is given back");
    fs::write("/proc/sys/user/max_inotify_watches", "1000").unwrap();
    recovers(&mut watch, &file).await;
}

#[test]
fn single_file_mounts_are_watched_and_subpath_mounts_are_told_apart() {
    in_a_namespace("with_mounts", "");
}

#[tokio::test]
#[ignore = "run by single_file_mounts_are_watched_and_subpath_mounts_are_told_apart"]
async fn with_mounts() {
    let dir = playground();
    let bind = |from: &Path, to: &Path| {
        assert!(Command::new("mount").arg("--bind").args([from, to]).status().unwrap().success());
    };
    // docker run -v ./app.conf:/etc/app.conf
    let (source, mounted) = (dir.path().join("home/app.conf"), dir.path().join("etc/app.conf"));
    put(&source, "0");
    put(&mounted, "");
    bind(&source, &mounted);
    let mut by_file = watch(&mounted);
    let mut by_directory = watch(dir.path().join("etc"));
    for _ in 0..3 {
        wakes(&mut by_file, "written at the source", || put(&source, "1")).await;
        wakes(&mut by_directory, "written at the source, by directory", || {
            put(&source, "2");
        })
        .await;
    }
    assert_eq!(never_updates(&mounted), None);
    put(dir.path().join("home/new.conf"), "3");
    fs::rename(dir.path().join("home/new.conf"), &source).unwrap();
    let reason = never_updates(&mounted).unwrap();
    assert!(reason.contains("mounted by itself"), "{reason}");

    // A volume, a subPath of it, and the volume under two names.
    let (volume, subpath, second) = (dir.path().join("volume"), dir.path().join("app.yaml"), dir.path().join("second"));
    update_configmap(&volume, 1, &["app.yaml"]);
    put(&subpath, "");
    fs::create_dir(&second).unwrap();
    bind(&volume.join("app.yaml"), &subpath);
    bind(&volume, &second);
    let reason = never_updates(&subpath).unwrap();
    assert!(reason.contains("Kubernetes subPath"), "{reason}");
    assert_eq!(never_updates(&volume.join("app.yaml")), None);
    assert_eq!(never_updates(&second.join("app.yaml")), None);
    symlink("app.yaml", dir.path().join("link")).unwrap();
    assert!(never_updates(&dir.path().join("link")).is_some(), "through a link");
    let by_name = Target { path: volume.join("app.yaml"), recursive: false };
    let by_directory = Target { path: second.clone(), recursive: true };
    let mut version = 1;
    for targets in [[by_name.clone(), by_directory.clone()], [by_directory, by_name]] {
        let mut both = FileWatch::new(targets.to_vec(), quick());
        for _ in 0..2 {
            version += 1;
            wakes(&mut both, "one directory under two names", || {
                update_configmap(&volume, version, &["app.yaml"]);
            })
            .await;
        }
        for place in [&volume, &second] {
            wakes(&mut both, "a new file in it", || {
                put(place.join(format!("new-{version}")), "x");
            })
            .await;
            wakes(&mut both, "written", || put(place.join(format!("new-{version}")), "y")).await;
        }
    }
    assert!(never_updates(&subpath).is_some(), "its source is gone");
    for mount in [&mounted, &subpath, &second] {
        assert!(Command::new("umount").arg(mount).status().unwrap().success());
    }
}
