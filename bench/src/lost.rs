//! An app that refuses three requests of ten: does it have the newest content in the end?

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    configmap::{Volume, version_in},
    footprint::scratch,
    hook::Hook,
    latency::variants,
    running::Running,
    table::Table,
    tools::Options,
};

const SWAPS: u32 = 30;
/// What a failing start would leave for ever is given up after this.
const PATIENCE: Duration = Duration::from_secs(30);

struct Lane {
    name: String,
    volume: Volume,
    hook: Hook,
    loaded: Arc<AtomicU32>,
    _running: Running,
    up_to_date: Option<Duration>,
}

pub(crate) fn run(options: &Options, ours: &Path) -> Result<(), String> {
    let scratch = scratch()?;
    let mut lanes = Vec::new();
    for (number, tool) in variants(options, ours).iter().enumerate() {
        let place = scratch.path().join(number.to_string());
        let problem = |error: std::io::Error| error.to_string();
        let volume = Volume::new(place.join("volume"), 1).map_err(problem)?;
        let (hook, loaded) = app(volume.path().to_owned()).map_err(problem)?;
        match Running::start(tool, volume.path(), &hook.url(), &place) {
            Ok(running) => {
                lanes.push(Lane { name: tool.name.clone(), volume, hook, loaded, _running: running, up_to_date: None });
            }
            Err(problem) => println!("- {problem}"),
        }
    }
    sleep(Duration::from_secs(2));
    eprintln!("bench: an app that refuses");
    for _ in 0..SWAPS {
        for lane in &mut lanes {
            lane.volume.swap().map_err(|error| error.to_string())?;
        }
        sleep(Duration::from_millis(200));
    }
    wait(&mut lanes);
    print(&lanes);
    Ok(())
}

/// It loads what is there at the moment when it accepts. Refused are the 1st, 4th and 9th of ten.
fn app(volume: PathBuf) -> std::io::Result<(Hook, Arc<AtomicU32>)> {
    let loaded = Arc::new(AtomicU32::new(0));
    let load = Arc::clone(&loaded);
    let hook = Hook::new(move |number| {
        let accepted = !matches!(number % 10, 1 | 4 | 9);
        if accepted {
            load.store(version_in(&volume).unwrap_or(0), Ordering::SeqCst);
        }
        accepted
    })?;
    Ok((hook, loaded))
}

/// From the last swap until all are up to date, or time is up.
fn wait(lanes: &mut [Lane]) {
    let start = Instant::now();
    while start.elapsed() < PATIENCE && lanes.iter().any(|lane| lane.up_to_date.is_none()) {
        for lane in lanes.iter_mut().filter(|lane| lane.up_to_date.is_none()) {
            if lane.loaded.load(Ordering::SeqCst) == lane.volume.version() {
                lane.up_to_date = Some(start.elapsed());
            }
        }
        sleep(Duration::from_millis(5));
    }
}

fn print(lanes: &[Lane]) {
    let mut table = Table::new(&["tool", "requests", "refused", "newest content loaded", "after the last swap"]);
    for lane in lanes {
        let told = lane.hook.drain();
        let loaded = lane.loaded.load(Ordering::SeqCst);
        let (verdict, after) = match lane.up_to_date {
            Some(after) => ("yes".to_owned(), format!("<= {:.2} s", after.as_secs_f64() + 0.2)),
            None => (format!("**no**, version {loaded} of {}", lane.volume.version()), "-".into()),
        };
        let refused = told.iter().filter(|told| !told.accepted).count();
        table.row(vec![lane.name.clone(), told.len().to_string(), refused.to_string(), verdict, after]);
    }
    table.print("30 swaps, one every 200 ms, told to an app that refuses 3 requests of 10");
    println!("Looked at until 30 s after the last swap.");
}
