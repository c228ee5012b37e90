//! The files are followed: a ConfigMap or Secret that changes in them changes in the pods, as after `kubectl apply`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{cluster::Cluster, read};

/// A kubelet takes up to a minute.
const OFTEN: Duration = Duration::from_millis(250);

pub async fn follow(cluster: Arc<Cluster>, files: Vec<PathBuf>) {
    let mut last: Vec<_> = files.iter().map(|file| stamp(file)).collect();
    loop {
        tokio::time::sleep(OFTEN).await;
        let now: Vec<_> = files.iter().map(|file| stamp(file)).collect();
        // A file that is being replaced is not there for a moment.
        if now == last || now.contains(&None) {
            continue;
        }
        last = now;
        match read::files(&files) {
            Ok(world) => cluster.update(world.maps),
            Err(problem) => cluster.say.event("files", &format!("not taken over:\n{problem}")),
        }
    }
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let there = std::fs::metadata(file).ok()?;
    Some((there.modified().ok()?, there.len()))
}
