//! A directory to play in, an AtomicWriter like the kubelet's, and patience.
#![allow(dead_code, clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use file_watch::{FileWatch, Mode, Options, Target, Wake};
use tempfile::TempDir;
use tokio::time::{Instant, timeout};

/// Far more than a busy machine needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn playground() -> TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("file-watch-").tempdir_in(place).unwrap()
}

pub(crate) fn quick() -> Options {
    Options { settle: Duration::from_millis(40), settle_max: Duration::from_secs(2), ..Options::default() }
}

pub(crate) fn watch(path: impl Into<PathBuf>) -> FileWatch {
    watching(path, false)
}

pub(crate) fn watching(path: impl Into<PathBuf>, recursive: bool) -> FileWatch {
    let watch = FileWatch::new(vec![Target { path: path.into(), recursive }], quick());
    assert_eq!(*watch.mode(), Mode::Events, "the tests need a free inotify instance");
    watch
}

/// Waits until late echoes of the last change are over.
pub(crate) async fn calm(watch: &mut FileWatch) {
    let deadline = Instant::now() + PATIENCE;
    while let Ok(wake) = timeout(Duration::from_millis(150), watch.changed()).await {
        assert!(Instant::now() < deadline, "woken again and again by nothing: {wake:?}");
    }
}

/// A change is made, and must wake.
pub(crate) async fn wakes(watch: &mut FileWatch, what: &str, change: impl FnOnce()) {
    calm(watch).await;
    change();
    match timeout(PATIENCE, watch.changed()).await {
        Ok(Wake::Changed | Wake::Rescan) => {}
        other => panic!("{what}: expected a wake-up, got {other:?}"),
    }
}

/// Something is done, and must not wake. A slow machine can only make this pass.
pub(crate) async fn sleeps_through(watch: &mut FileWatch, what: &str, action: impl FnOnce()) {
    calm(watch).await;
    action();
    let woken = timeout(Duration::from_millis(800), watch.changed()).await;
    assert!(woken.is_err(), "{what}: woken by {woken:?}");
}

pub(crate) fn put(path: impl AsRef<Path>, text: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Points a link elsewhere the atomic way.
pub(crate) fn relink(link: &Path, to: &str) {
    let fresh = link.with_file_name("tmp-link");
    symlink(to, &fresh).unwrap();
    fs::rename(fresh, link).unwrap();
}

/// One update of a ConfigMap volume, in the order of the kubelet's AtomicWriter.
pub(crate) fn update_configmap(volume: &Path, version: u32, files: &[&str]) {
    let stamp = format!("..2026_11_21_04_00_02.{version}");
    let old = fs::read_link(volume.join("..data")).ok();
    for file in files {
        put(volume.join(&stamp).join(file), &format!("{file} {version}"));
    }
    symlink(&stamp, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for file in files {
        if volume.join(file).symlink_metadata().is_err() {
            symlink(Path::new("..data").join(file), volume.join(file)).unwrap();
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(volume.join(old)).unwrap();
    }
}
