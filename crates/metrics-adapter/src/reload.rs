//! What changes while running: rules, at a reload or when a file changes; and series, which end.

use std::{path::PathBuf, sync::Arc, time::Duration};

use common::{Failure, Life, Live, Reloader};
use file_watch::{FileWatch, Options, Target};

use crate::{
    config::Config,
    events,
    listen::{Closing, closed},
    relabel::Relabeling,
    shared::{Count, Shared},
};

/// How often settings were read that could not be taken.
#[derive(Clone, Debug, Default)]
pub struct Failures(Arc<Count>);

impl Failures {
    pub fn counted<T, F: Fn() -> Result<T, Failure>>(&self, load: F) -> impl Fn() -> Result<T, Failure> + use<T, F> {
        let failures = self.clone();
        move || load().inspect_err(|_| failures.0.add(1))
    }

    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Lines are read by what was loaded last.
pub async fn take_over(mut config: Live<Config>, shared: Arc<Shared>, life: Life) -> Result<(), Failure> {
    let first = config.get();
    while let Some(new) = life.until_drain(config.changed()).await {
        if new.listen != first.listen || new.read_buffer != first.read_buffer {
            events::needs_restart("listen");
        }
        if new.relays != first.relays {
            events::needs_restart("relay");
        }
        let mut rules = new.rules.clone();
        rules.inputs = of_bound(&first, &new);
        shared.store.lock().set_rules(rules, new.limits);
        shared.reloads.add(1);
        events::reloaded(&new);
    }
    Ok(())
}

/// Sockets are those of the start: each goes by the rules that are given for its place now, and keeps those it had if
/// the place is not there any more.
fn of_bound(first: &Config, new: &Config) -> Arc<[Relabeling]> {
    let rules = |(nth, listener)| {
        let again = new.listen.iter().position(|other| other == listener);
        let (config, nth) = again.map_or((first, nth), |nth| (new, nth));
        config.rules.inputs.get(nth).cloned().unwrap_or_default()
    };
    first.listen.iter().enumerate().map(rules).collect()
}

/// More than any config has.
const LARGEST: u64 = 16 << 20;

fn contents(files: &[PathBuf]) -> Vec<Option<String>> {
    files.iter().map(|file| values::read_text(file, LARGEST).ok()).collect()
}

/// Reloads when the bytes of a file are others than before.
pub async fn watch_files(mut config: Live<Config>, reloader: Reloader, life: Life) -> Result<(), Failure> {
    loop {
        let files = config.get().files.clone();
        if files.is_empty() {
            // They are named by flags or by themselves: only a reload can bring one.
            match life.until_drain(config.changed()).await {
                Some(_) => continue,
                None => return Ok(()),
            }
        }
        let targets = files.iter().map(|path| Target { path: path.clone(), recursive: false }).collect();
        let mut watch = FileWatch::new(targets, Options::default());
        let mut known = contents(&files);
        while config.get().files == files {
            if life.until_drain(watch.changed()).await.is_none() {
                watch.leave();
                return Ok(());
            }
            let now = contents(&files);
            let changed = files.iter().zip(known.iter().zip(&now)).find(|(_, (old, new))| old != new);
            if let Some((path, _)) = changed {
                events::file_changed(path);
                // What is wrong with it is in the log.
                let _ = reloader.reload("a file changed");
            }
            known = now;
        }
    }
}

/// How often series that end are looked for: they are hidden as soon as somebody scrapes, and this frees their memory.
const SWEEP: Duration = Duration::from_secs(5);

/// So many leave memory behind that is worth giving back.
const MANY: usize = 1000;

/// Ends series. As long as none can end there is no timer.
pub async fn expire(shared: Arc<Shared>, mut closing: Closing) -> Result<(), Failure> {
    loop {
        let mortal = shared.store.lock().size().mortal > 0;
        let pause = async {
            match mortal {
                true => tokio::time::sleep(SWEEP).await,
                false => shared.mortal.notified().await,
            }
        };
        tokio::select! {
            () = pause => {}
            () = closed(&mut closing) => return Ok(()),
        }
        let ended = shared.store.lock().expire(shared.clock.now());
        if ended > 0 {
            events::expired(ended);
        }
        if ended > MANY {
            heap::trim();
        }
    }
}
