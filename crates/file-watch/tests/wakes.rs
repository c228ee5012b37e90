//! What must wake the watcher, and what must not.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use file_watch::{FileWatch, Mode, Options, Polling, Target, Wake};
use support::{
    PATIENCE, calm, playground, put, quick, relink, sleeps_through, update_configmap, wakes, watch, watching,
};
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn wakes_on_configmap_swap_twenty_times_in_a_row() {
    let dir = playground();
    update_configmap(dir.path(), 0, &["app.yaml", "more.yaml"]);
    let mut by_directory = watch(dir.path());
    let mut by_file = watch(dir.path().join("app.yaml"));
    let mut by_glob = watch(dir.path().join("*.yaml"));
    for version in 1..=20 {
        calm(&mut by_directory).await;
        calm(&mut by_file).await;
        wakes(&mut by_glob, "glob", || {
            update_configmap(dir.path(), version, &["app.yaml", "more.yaml"]);
        })
        .await;
        for watch in [&mut by_directory, &mut by_file] {
            assert_eq!(timeout(PATIENCE, watch.changed()).await, Ok(Wake::Changed), "update {version}");
        }
        assert_eq!(fs::read_to_string(dir.path().join("app.yaml")).unwrap(), format!("app.yaml {version}"));
    }
    // No watch of an old version is left, and none of the directories that are everybody's: the volume, and the current
    // version.
    assert_eq!(by_file.watches(), 2);
}

#[tokio::test]
async fn wakes_when_a_symlink_in_the_middle_of_the_path_moves() {
    let dir = playground();
    put(dir.path().join("v1/conf/app.yaml"), "1");
    put(dir.path().join("v2/conf/app.yaml"), "2");
    symlink("v1", dir.path().join("current")).unwrap();
    symlink(dir.path().join("current"), dir.path().join("alias")).unwrap();
    let mut watch = watch(dir.path().join("alias/conf/app.yaml"));
    wakes(&mut watch, "link moved", || relink(&dir.path().join("current"), "v2")).await;
    wakes(&mut watch, "written in the new place", || {
        put(dir.path().join("v2/conf/app.yaml"), "3");
    })
    .await;
    sleeps_through(&mut watch, "written in the old place", || {
        put(dir.path().join("v1/conf/app.yaml"), "4");
    })
    .await;
    wakes(&mut watch, "link moved back", || {
        relink(&dir.path().join("current"), "v1");
    })
    .await;
    wakes(&mut watch, "link removed", || {
        fs::remove_file(dir.path().join("alias")).unwrap();
    })
    .await;
    wakes(&mut watch, "link made anew", || {
        symlink("v2", dir.path().join("alias")).unwrap();
    })
    .await;
    wakes(&mut watch, "written there", || {
        put(dir.path().join("v2/conf/app.yaml"), "5");
    })
    .await;
}

#[tokio::test]
async fn git_sync_link_swap_wakes() {
    let dir = playground();
    put(dir.path().join(".worktrees/aaa/conf/app.yaml"), "1");
    symlink(".worktrees/aaa", dir.path().join("current")).unwrap();
    let mut by_directory = watching(dir.path().join("current/conf"), true);
    let mut by_file = watch(dir.path().join("current/conf/app.yaml"));
    for hash in ["bbb", "ccc", "ddd"] {
        let fresh = format!(".worktrees/{hash}");
        let old = fs::read_link(dir.path().join("current")).unwrap();
        calm(&mut by_file).await;
        wakes(&mut by_directory, hash, || {
            put(dir.path().join(&fresh).join("conf/app.yaml"), hash);
            relink(&dir.path().join("current"), &fresh);
            fs::remove_dir_all(dir.path().join(old)).unwrap();
        })
        .await;
        assert_eq!(timeout(PATIENCE, by_file.changed()).await, Ok(Wake::Changed), "{hash}");
    }
}

#[tokio::test]
async fn wakes_when_the_path_appears_later() {
    let dir = playground();
    let file = dir.path().join("a/b/c/app.yaml");
    let mut by_file = watch(&file);
    let mut by_glob = watch(dir.path().join("a/*/c/*.yaml"));
    wakes(&mut by_file, "all at once", || put(&file, "1")).await;
    wakes(&mut by_file, "written", || put(&file, "2")).await;
    wakes(&mut by_glob, "written, seen by a glob", || put(&file, "3")).await;
    fs::remove_dir_all(dir.path().join("a")).unwrap();
    for step in ["a", "a/b", "a/b/c"] {
        wakes(&mut by_file, step, || fs::create_dir(dir.path().join(step)).unwrap()).await;
    }
    wakes(&mut by_file, "step by step", || put(&file, "4")).await;
    wakes(&mut by_file, "written after that", || put(&file, "5")).await;
}

#[tokio::test]
async fn wakes_after_directory_deleted_and_recreated() {
    let dir = playground();
    let file = dir.path().join("conf/app.yaml");
    put(&file, "0");
    // A reader that keeps the old directory alive delays the kernel's goodbye to any time later.
    let mut readers = vec![File::open(dir.path().join("conf")).unwrap()];
    let mut by_file = watch(&file);
    let mut by_directory = watch(dir.path().join("conf"));
    for round in 0..8 {
        wakes(&mut by_file, "deleted and recreated", || {
            fs::remove_dir_all(dir.path().join("conf")).unwrap();
            put(&file, "new");
        })
        .await;
        readers.push(File::open(dir.path().join("conf")).unwrap());
        if round % 2 == 0 {
            readers.remove(0);
        }
        wakes(&mut by_file, "written", || put(&file, "written")).await;
        wakes(&mut by_directory, "written, by directory", || put(&file, "again")).await;
    }
}

#[tokio::test]
async fn wakes_after_directory_renamed_away_and_recreated() {
    let dir = playground();
    let (conf, old) = (dir.path().join("above/conf"), dir.path().join("above.old"));
    put(conf.join("app.yaml"), "0");
    let mut watch = watching(&conf, true);
    for _ in 0..3 {
        wakes(&mut watch, "renamed away", || {
            fs::rename(dir.path().join("above"), &old).unwrap();
        })
        .await;
        sleeps_through(&mut watch, "written in the old one", || {
            put(old.join("conf/app.yaml"), "old");
        })
        .await;
        wakes(&mut watch, "recreated", || put(conf.join("app.yaml"), "1")).await;
        wakes(&mut watch, "written", || put(conf.join("app.yaml"), "2")).await;
        fs::remove_dir_all(&old).unwrap();
    }
    wakes(&mut watch, "renamed away for a moment", || {
        fs::rename(dir.path().join("above"), &old).unwrap();
        fs::rename(&old, dir.path().join("above")).unwrap();
    })
    .await;
    wakes(&mut watch, "written", || put(conf.join("app.yaml"), "3")).await;
}

#[tokio::test]
async fn two_targets_survive_a_swap_of_their_directories() {
    let dir = playground();
    let (blue, green, aside) = (dir.path().join("blue"), dir.path().join("green"), dir.path().join("aside"));
    put(blue.join("f"), "");
    put(green.join("f"), "");
    let targets = [&blue, &green].map(|path| Target { path: path.clone(), recursive: true });
    let mut watch = FileWatch::new(targets.to_vec(), quick());
    for _ in 0..5 {
        wakes(&mut watch, "swapped", || {
            fs::rename(&blue, &aside).unwrap();
            fs::rename(&green, &blue).unwrap();
            fs::rename(&aside, &green).unwrap();
        })
        .await;
        wakes(&mut watch, "blue", || put(blue.join("f"), "x")).await;
        wakes(&mut watch, "green", || put(green.join("f"), "x")).await;
    }
}

#[tokio::test]
async fn wakes_on_rename_over() {
    let dir = playground();
    let file = dir.path().join("app.yaml");
    put(&file, "0");
    let mut watch = watch(&file);
    for _ in 0..5 {
        wakes(&mut watch, "renamed over", || {
            put(dir.path().join("app.yaml.tmp"), "new");
            fs::rename(dir.path().join("app.yaml.tmp"), &file).unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn wakes_on_in_place_write() {
    let dir = playground();
    let file = dir.path().join("app.yaml");
    put(&file, "0");
    let mut watch = watch(&file);
    for _ in 0..5 {
        wakes(&mut watch, "appended", || {
            File::options().append(true).open(&file).unwrap().write_all(b"x").unwrap();
        })
        .await;
    }
    wakes(&mut watch, "mode changed", || {
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    })
    .await;
    wakes(&mut watch, "deleted", || fs::remove_file(&file).unwrap()).await;
    wakes(&mut watch, "recreated", || put(&file, "1")).await;
}

#[tokio::test]
async fn wakes_when_the_file_behind_a_link_in_a_directory_changes() {
    // nginx: sites-enabled/app -> ../sites-available/app
    let dir = playground();
    put(dir.path().join("sites-available/app"), "0");
    put(dir.path().join("sites-enabled/other"), "0");
    symlink("../sites-available/app", dir.path().join("sites-enabled/app")).unwrap();
    let mut watch = watch(dir.path().join("sites-enabled"));
    wakes(&mut watch, "written behind the link", || {
        put(dir.path().join("sites-available/app"), "1");
    })
    .await;
    sleeps_through(&mut watch, "a site not enabled", || {
        put(dir.path().join("sites-available/unused"), "1");
    })
    .await;
}

#[tokio::test]
async fn recursive_new_subdirectory_is_watched() {
    let dir = playground();
    put(dir.path().join("tree/a/file"), "0");
    put(dir.path().join("outside/file"), "0");
    let mut watch = watching(dir.path().join("tree"), true);
    let before = watch.watches();
    wakes(&mut watch, "new subdirectories", || {
        put(dir.path().join("tree/b/c/file"), "0");
    })
    .await;
    wakes(&mut watch, "written there", || {
        put(dir.path().join("tree/b/c/file"), "1");
    })
    .await;
    wakes(&mut watch, "a link to a directory", || {
        symlink("../outside", dir.path().join("tree/link")).unwrap();
    })
    .await;
    wakes(&mut watch, "written there", || {
        put(dir.path().join("outside/file"), "1");
    })
    .await;
    wakes(&mut watch, "moved in from outside", || {
        put(dir.path().join("staged/deep/file"), "0");
        fs::rename(dir.path().join("staged"), dir.path().join("tree/moved")).unwrap();
    })
    .await;
    wakes(&mut watch, "written there", || {
        put(dir.path().join("tree/moved/deep/file"), "1");
    })
    .await;
    wakes(&mut watch, "all removed", || {
        for name in ["b", "moved"] {
            fs::remove_dir_all(dir.path().join("tree").join(name)).unwrap();
        }
        fs::remove_file(dir.path().join("tree/link")).unwrap();
    })
    .await;
    calm(&mut watch).await;
    assert_eq!(watch.watches(), before, "watches of what is gone are given back");
}

#[tokio::test]
async fn bursts_coalesce_into_one_wake() {
    let dir = playground();
    let file = dir.path().join("app.yaml");
    put(&file, "0");
    let options = Options { settle: Duration::from_secs(2), settle_max: PATIENCE, ..Options::default() };
    let mut watch = FileWatch::new(vec![Target { path: dir.path().into(), recursive: false }], options);
    for _ in 0..50 {
        put(&file, "x");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(timeout(PATIENCE, watch.changed()).await, Ok(Wake::Changed));
    assert!(timeout(Duration::from_secs(3), watch.changed()).await.is_err(), "a second wake-up");
}

#[tokio::test]
async fn settle_max_bounds_the_wait_for_quiet() {
    let dir = playground();
    let file = dir.path().join("app.yaml");
    put(&file, "0");
    let options = Options { settle: PATIENCE, settle_max: Duration::from_secs(1), ..Options::default() };
    let mut watch = FileWatch::new(vec![Target { path: file.clone(), recursive: false }], options);
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                put(&file, "x");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    });
    let woken = timeout(PATIENCE / 2, watch.changed()).await;
    stop.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    assert_eq!(woken, Ok(Wake::Changed));
}

#[tokio::test]
async fn a_change_survives_a_dropped_future() {
    let dir = playground();
    let file = dir.path().join("app.yaml");
    put(&file, "0");
    let mut watch = watch(&file);
    put(&file, "1");
    let deadline = Instant::now() + PATIENCE;
    // Dropped again and again: while it settles, and while it surveys.
    while timeout(Duration::from_micros(300), watch.changed()).await.is_err() {
        assert!(Instant::now() < deadline, "the change was lost");
    }
}

#[tokio::test]
async fn reading_the_files_never_wakes() {
    let dir = playground();
    update_configmap(dir.path(), 0, &["app.yaml"]);
    put(dir.path().join("tree/sub/file"), "0");
    let target = Target { path: dir.path().into(), recursive: true };
    let mut watch = watching(dir.path(), true);
    sleeps_through(&mut watch, "read", || {
        for _ in 0..100 {
            for file in file_watch::expand(&target) {
                fs::read(file).unwrap();
            }
        }
    })
    .await;
    wakes(&mut watch, "written", || put(dir.path().join("tree/sub/file"), "1")).await;
}

#[tokio::test]
async fn unrelated_names_in_ancestors_never_wake() {
    let dir = playground();
    let file = dir.path().join("conf/app.yaml");
    put(&file, "0");
    let mut by_file = watch(&file);
    let mut by_glob = watch(dir.path().join("conf/*.yaml"));
    let noise = || {
        put(dir.path().join("noise"), "x");
        put(dir.path().join("noise.d/file"), "x");
        put(dir.path().join("conf/unrelated"), "x");
        put(dir.path().join("conf/sub/other.yaml"), "x");
        fs::rename(dir.path().join("noise"), dir.path().join("noise2")).unwrap();
        fs::remove_file(dir.path().join("noise2")).unwrap();
    };
    sleeps_through(&mut by_file, "noise for a file", noise).await;
    sleeps_through(&mut by_glob, "noise for a glob", noise).await;
    wakes(&mut by_file, "written", || put(&file, "1")).await;
    wakes(&mut by_glob, "a new match", || {
        put(dir.path().join("conf/new.yaml"), "1");
    })
    .await;
}

#[tokio::test]
async fn polling_ticks_without_inotify() {
    let dir = playground();
    let options = Options { polling: Polling::Every(Duration::from_millis(50)), ..quick() };
    let mut watch = FileWatch::new(vec![Target { path: dir.path().into(), recursive: false }], options);
    assert!(matches!(watch.mode(), Mode::Polling { .. }));
    assert_eq!(watch.watches(), 0);
    let start = Instant::now();
    for _ in 0..3 {
        assert_eq!(timeout(PATIENCE, watch.changed()).await, Ok(Wake::Tick));
    }
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn polls_besides_events_where_the_file_system_is_blind() {
    let dir = playground();
    let file = dir.path().join("app.yaml");
    put(&file, "0");
    let targets =
        ["/proc/self/status", file.to_str().unwrap()].map(|path| Target { path: path.into(), recursive: false });
    let options = Options { fallback: Duration::from_millis(500), ..quick() };
    let mut watch = FileWatch::new(targets.to_vec(), options);
    let Mode::Polling { why } = watch.mode() else { panic!("nobody noticed procfs") };
    assert!(why.contains("is on procfs"), "{why}");
    assert_eq!(timeout(PATIENCE, watch.changed()).await, Ok(Wake::Tick));
    let deadline = Instant::now() + PATIENCE;
    loop {
        put(&file, "1");
        if timeout(PATIENCE, watch.changed()).await == Ok(Wake::Changed) {
            break;
        }
        assert!(Instant::now() < deadline, "events are not seen any more");
    }
}

#[tokio::test]
async fn can_be_given_to_a_task_of_any_runtime() {
    fn sendable<T: Send>(value: T) -> T {
        value
    }
    let dir = playground();
    let mut watch = sendable(watch(dir.path()));
    put(dir.path().join("app.yaml"), "1");
    assert_eq!(timeout(PATIENCE, sendable(watch.changed())).await, Ok(Wake::Changed));
}
