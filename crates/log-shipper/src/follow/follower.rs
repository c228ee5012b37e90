//! The part that waits for news of the files and tells the lanes.

use std::{
    collections::HashSet,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{Failure, Life, Phase};
use tokio::{
    sync::{Notify, watch},
    time::sleep_until,
};

use super::{
    catalog::{Catalog, Seen},
    file::Followed,
    watch::{News, Watch},
};
use crate::{config::Until, events::Events};

/// Events that come within this time are one piece of news: an app that writes all the time costs 100 looks a second.
const GATHER: Duration = Duration::from_millis(10);
/// How often files are looked at that no event tells about any more.
const LEAVING: Duration = Duration::from_millis(500);
/// How long after news descriptors are given back, where there are many files.
const CROWDED: Duration = Duration::from_secs(1);
/// When told to stop: who wrote this recently is still writing, and is waited for.
const RECENT: Duration = Duration::from_secs(1);
pub const QUIET: Duration = Duration::from_millis(100);
/// But not for longer than this: what it writes later is found by the next start.
const LINGER: Duration = Duration::from_secs(5);
/// What is kept of the time until the deadline for the outputs.
const FOR_OUTPUTS: Duration = Duration::from_millis(1500);

/// What the lanes see.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub files: Arc<[Arc<Followed>]>,
    /// Nothing more is expected: what is there is all.
    pub finishing: Option<Finish>,
    /// Others take over: end with what is on its way.
    pub leaving: bool,
}

/// Why nothing more is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The job is done: also a last line without an end is one.
    Done,
    /// We were told to stop, and an app may be in the middle of a line.
    Told,
}

pub struct Follower {
    catalog: Option<Catalog>,
    view: watch::Sender<View>,
    events: Arc<Events>,
    life: Life,
    until: Until,
    poll: Duration,
    /// A lane has found that a file is not what it was.
    asked: Arc<Notify>,
    watch: Option<Watch>,
    seen: Seen,
    /// Why events are not enough, if they are not.
    blind: Option<String>,
    next_look: Option<Instant>,
    gather_until: Option<Instant>,
}

impl Follower {
    pub fn new(
        catalog: Catalog,
        view: watch::Sender<View>,
        events: Arc<Events>,
        life: Life,
        until: Until,
        poll: Duration,
        asked: Arc<Notify>,
    ) -> Self {
        let catalog = Some(catalog);
        let (seen, gather_until) = (Seen::default(), None);
        Self {
            catalog,
            view,
            events,
            life,
            until,
            poll,
            asked,
            watch: None,
            seen,
            blind: None,
            next_look: None,
            gather_until,
        }
    }

    /// Follows until the process drains, or until there is nothing more to follow.
    pub async fn run(mut self) -> Result<(), Failure> {
        let opened = Watch::new();
        self.blind = opened.as_ref().err().map(explained);
        self.watch = opened.ok();
        // Twice: what is found decides what is watched, and what came in between is found the second time.
        self.look(HashSet::new()).await?;
        self.look(HashSet::new()).await?;
        self.events.watching(self.seen.listed.len(), self.blind.as_deref());
        let mut changed = self.view.subscribe();
        loop {
            if self.is_enough() {
                return self.finish().await;
            }
            let news = tokio::select! {
                biased;
                () = self.life.reached(Phase::Draining) => return self.finish().await,
                news = next(self.watch.as_mut(), self.gather_until) => news,
                () = left(&mut changed) => return Ok(()),
                () = self.asked.notified() => News { look: true, ..News::default() },
                () = until(self.next_look) => News { look: true, ..News::default() },
            };
            self.gather_until = Some(Instant::now() + GATHER);
            let all_known = self.catalog.as_mut().is_none_or(|catalog| catalog.written(&news.written));
            if news.look || !all_known {
                self.look(news.named).await?;
            } else if self.catalog.as_ref().is_some_and(Catalog::is_crowded) {
                // Whoever reads opens files; somebody has to close them.
                self.next_look.get_or_insert_with(|| Instant::now() + CROWDED);
            }
            self.publish(None);
        }
    }

    fn is_enough(&self) -> bool {
        match &self.until {
            Until::ToldToStop => false,
            Until::EndOfFiles => true,
            Until::Exists(path) => path.exists(),
            Until::Gone(path) => !path.exists(),
        }
    }

    async fn look(&mut self, named: HashSet<PathBuf>) -> Result<(), Failure> {
        let Some(mut catalog) = self.catalog.take() else { return Ok(()) };
        let looked = tokio::task::spawn_blocking(move || {
            let seen = catalog.look(&named);
            (catalog, seen)
        });
        let (catalog, seen) =
            looked.await.map_err(|error| Failure::bug(format!("looking for files failed: {error}")))?;
        self.catalog = Some(catalog);
        self.seen = seen;
        if let Until::Exists(path) = &self.until {
            self.seen.looked.extend(path.parent().map(PathBuf::from));
        }
        let trouble = self.watch.as_mut().and_then(|watch| watch.set(&self.seen.listed, &self.seen.looked).err());
        let blind = self.seen.blind.clone().or(trouble);
        if self.watch.is_some() && blind != self.blind {
            self.events.watching(self.seen.listed.len(), blind.as_deref());
            self.blind = blind;
        }
        let pause = match (&self.blind, self.seen.leaving) {
            (Some(_), _) => Some(self.poll),
            (None, true) => Some(LEAVING),
            (None, false) => self.seen.crowded.then_some(CROWDED),
        };
        // What goes away in /proc does so without an event.
        let pause = if let Until::Gone(_) = self.until { Some(self.poll) } else { pause };
        self.next_look = pause.map(|pause| Instant::now() + pause);
        self.publish(None);
        Ok(())
    }

    fn publish(&self, finishing: Option<Finish>) {
        let Some(catalog) = &self.catalog else { return };
        self.view.send_modify(|view| {
            if view.files.len() != catalog.files().len() || !same(&view.files, catalog.files()) {
                view.files = catalog.files().into();
            }
            view.finishing = view.finishing.or(finishing);
        });
    }

    /// Follows on while somebody still writes, as far as the time allows; then says that this was all.
    async fn finish(mut self) -> Result<(), Failure> {
        let linger_until = Instant::now() + LINGER;
        loop {
            let begun = Instant::now();
            self.look(HashSet::new()).await?;
            let files = self.catalog.as_ref().map(Catalog::files).unwrap_or_default();
            let recent = files.iter().any(|file| !file.has_ended() && file.written() + RECENT > begun);
            let quiet = files.iter().all(|file| file.written() + QUIET < begun);
            let told = self.life.phase() == Phase::Draining;
            let enough = begun > linger_until || self.life.time_left(FOR_OUTPUTS * 2) <= FOR_OUTPUTS;
            if !told || !recent || quiet || enough {
                self.publish(Some(if told { Finish::Told } else { Finish::Done }));
                return Ok(());
            }
            tokio::time::sleep(QUIET / 4).await;
        }
    }
}

fn same(one: &[Arc<Followed>], other: &[Arc<Followed>]) -> bool {
    one.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other))
}

/// The next news. Dropping the future loses none: they stay in the kernel until they are read.
async fn next(watch: Option<&mut Watch>, gather_until: Option<Instant>) -> News {
    let Some(watch) = watch else { return std::future::pending().await };
    if let Some(moment) = gather_until.filter(|moment| *moment > Instant::now()) {
        sleep_until(moment.into()).await;
    }
    loop {
        if watch.readable().await.is_err() {
            return std::future::pending().await;
        }
        let news = watch.read();
        if news != News::default() {
            return news;
        }
    }
}

/// Waits until others take over.
async fn left(view: &mut watch::Receiver<View>) {
    // Its sender is ours.
    let _ = view.wait_for(|view| view.leaving).await;
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

fn explained(error: &io::Error) -> String {
    format!(
        "inotify cannot be used ({error}): is fs.inotify.max_user_instances, shared by all processes of this user on \
         the node, or the limit on open files reached?"
    )
}
