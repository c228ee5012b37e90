//! Prints what it costs to watch many files and many directories: `cargo run --release -p file-watch --example measure`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use file_watch::{FileWatch, Options, Target, expand};

const MANY: usize = 20_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let dir = tempfile::tempdir_in(place).unwrap();
    let files = dir.path().join("files");
    fs::create_dir(&files).unwrap();
    (0..MANY).for_each(|n| fs::write(files.join(format!("{n}.yaml")), "x").unwrap());
    let tree = dir.path().join("tree");
    (0..MANY / 100).for_each(|n| {
        (0..99).for_each(|m| fs::create_dir_all(tree.join(format!("{n}/{m}"))).unwrap());
    });

    println!("start: {} KiB", resident());
    measure("1 directory with 20,000 files", &files, false, &files.join("7.yaml")).await;
    measure("a tree of 20,000 directories", &tree, true, &tree.join("7/7/new")).await;
}

async fn measure(what: &str, path: &Path, recursive: bool, changing: &Path) {
    let target = Target { path: path.to_path_buf(), recursive };
    let before = resident();
    let start = Instant::now();
    let options = Options { settle: Duration::ZERO, ..Options::default() };
    let mut watch = FileWatch::new(vec![target.clone()], options);
    let took = start.elapsed();
    println!(
        "{what}: {} watches in {took:?}, {} KiB more, mode {:?}",
        watch.watches(),
        resident().saturating_sub(before),
        watch.mode()
    );
    for _ in 0..3 {
        let start = Instant::now();
        fs::write(changing, "y").unwrap();
        let wake = watch.changed().await;
        println!("  {wake:?} {:?} after a write without settling; {} KiB in all", start.elapsed(), resident());
        while tokio::time::timeout(Duration::from_millis(500), watch.changed()).await.is_ok() {}
    }
    let start = Instant::now();
    let files = expand(&target).len();
    println!("  expand: {files} files in {:?}", start.elapsed());
    let echo = tokio::time::timeout(Duration::from_secs(2), watch.changed()).await;
    println!("  woken by the reading: {}", echo.map_or("never".into(), |wake| format!("{wake:?}")));
    if recursive {
        let options = Options::default();
        drop(std::mem::replace(&mut watch, FileWatch::new(vec![target.clone()], options)));
        let start = Instant::now();
        fs::remove_dir_all(path).unwrap();
        println!("  rm -rf took {:?}", start.elapsed());
        while watch.watches() > 10 {
            println!("  {:?} after {:?}, {} watches", watch.changed().await, start.elapsed(), watch.watches());
        }
        while threads() > 2 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("  notify's old thread was done after {:?}", start.elapsed());
    }
    let start = Instant::now();
    drop(watch);
    println!("  dropped in {:?}", start.elapsed());
}

fn resident() -> u64 {
    status("VmRSS:")
}

fn threads() -> u64 {
    status("Threads:")
}

fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
