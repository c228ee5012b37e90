//! The life of a change: noticed, prepared, checked, told, verified. Or kept pending until it is.

use std::{path::PathBuf, sync::Arc, time::Duration};

use common::{Exit, Failure, Gate, Life, Live, Phase};
use file_watch::FileWatch;
use http_client::Backoff;
use tokio::time::Instant;

use crate::{
    act::{self, Done, Generation, Occasion, Trouble},
    config::{Action, Config, OnStart, WhenUnverified},
    events::Events,
    prepare::{self, Published, Staged},
    snapshot::{Change, Hash, Snapshot, hash_all},
    state,
};

/// How often a verification is tried within its time.
const VERIFY_EVERY: Duration = Duration::from_millis(250);
/// How long a last try may take when the process is told to stop.
const LAST_TRY: Duration = Duration::from_millis(1500);

/// Runs until the process drains. New settings start a new reloader that knows what the old one knew.
pub async fn run(mut live: Live<Config>, events: Events, gate: Gate, life: Life) -> Result<(), Failure> {
    let mut known = Known::default();
    let mut first = true;
    loop {
        let config = live.get();
        let mut reloader = Reloader::new(Arc::clone(&config), &events, &gate, &life, known);
        tokio::select! {
            biased;
            ended = reloader.follow(first) => return ended,
            new = live.changed() => known = reloader.known.for_config(&config, &new),
        }
        first = false;
    }
}

/// What has to survive new settings.
#[derive(Clone, Copy, Default)]
struct Known {
    /// What the app was told last.
    told: Option<Hash>,
    /// A change has begun, and the app does not have it yet.
    unfinished: bool,
}

impl Known {
    /// Hashes of other files say nothing about these.
    fn for_config(self, old: &Config, new: &Config) -> Self {
        let outputs = |config: &Config| -> Vec<PathBuf> { config.prepare.iter().map(|o| o.to.clone()).collect() };
        let same = old.sources() == new.sources() && outputs(old) == outputs(new);
        Self { told: self.told.filter(|_| same), ..self }
    }
}

/// What a round has come to.
enum Outcome {
    /// The app has what is there, as far as that can be.
    Settled,
    /// To be tried again. The server may have said when.
    Pending { retry_after: Option<Duration> },
    /// The operator asked for this exit code.
    Exit(u8),
}

struct Reloader<'a> {
    config: Arc<Config>,
    events: &'a Events,
    gate: &'a Gate,
    life: &'a Life,
    watched: Arc<Snapshot>,
    inputs: Arc<Snapshot>,
    /// What the outputs in place were made from, and what they are.
    made: Option<(Hash, Hash)>,
    known: Known,
    /// What the app did not survive. Not told again.
    bad: Option<Hash>,
    /// A change that has begun and not ended.
    pending: Option<Pending>,
}

/// A change on its way to the app.
struct Pending {
    digest: Hash,
    changes: Vec<Change>,
    since: Instant,
    published: Published,
    /// Which of the ways to tell have worked.
    done: Vec<bool>,
    before: Vec<Generation>,
    in_place: bool,
}

impl<'a> Reloader<'a> {
    fn new(config: Arc<Config>, events: &'a Events, gate: &'a Gate, life: &'a Life, known: Known) -> Self {
        let (watched, inputs) = Default::default();
        Self { config, events, gate, life, watched, inputs, made: None, known, bad: None, pending: None }
    }

    /// The main loop: a round at the start, and one for every wake-up.
    async fn follow(&mut self, first: bool) -> Result<(), Failure> {
        let mut watch = self.watch().await?;
        let mut outcome = self.begin(first).await;
        self.say_watching(&watch);
        let mut mode = watch.mode().clone();
        let mut backoff = Backoff::new(self.config.timing.retry_first, self.config.timing.retry_most);
        loop {
            let retry_at = match outcome {
                Outcome::Exit(code) => return Err(exit(code)),
                Outcome::Settled if self.config.once => return Ok(()),
                Outcome::Settled => {
                    backoff.reset();
                    heap::trim();
                    None
                }
                Outcome::Pending { .. } if self.config.once => {
                    return Err(Failure::new(Exit::Unavailable, "not done, see the lines before this one"));
                }
                // Told to stop while trying: there is no next time.
                Outcome::Pending { .. } if self.life.phase() == Phase::Draining => return self.unfinished(),
                Outcome::Pending { retry_after } => {
                    let pause = backoff.next(retry_after);
                    self.events.again_in(pause);
                    Some(Instant::now() + pause)
                }
            };
            let woken = tokio::select! {
                biased;
                _ = watch.changed() => true,
                () = until(retry_at) => false,
                () = self.life.reached(Phase::Draining) => {
                    watch.leave();
                    return self.finish().await;
                }
            };
            if woken {
                self.events.woken();
                if *watch.mode() != mode {
                    mode = watch.mode().clone();
                    self.say_watching(&watch);
                }
            }
            outcome = if woken { self.round().await } else { self.again().await };
            self.events.counted(self.watched.len() + self.inputs.len(), watch.watches(), watch.mode());
        }
    }

    /// Watching begins before the first look, so that nothing falls between the two.
    async fn watch(&self) -> Result<FileWatch, Failure> {
        let config = Arc::clone(&self.config);
        let watch = tokio::task::spawn_blocking(move || FileWatch::new(config.sources(), config.timing.watch.clone()));
        watch.await.map_err(|error| Failure::bug(format!("cannot watch: {error}")))
    }

    fn say_watching(&self, watch: &FileWatch) {
        self.events.watching(self.watched.len() + self.inputs.len(), watch.watches(), watch.mode());
    }

    /// The first look: what there is becomes what the app is taken to know, unless there is reason to tell it.
    async fn begin(&mut self, first: bool) -> Outcome {
        for target in self.config.sources() {
            if let Some(why) = file_watch::never_updates(&target.path) {
                self.events.never_updates(&target.path, &why);
            }
        }
        prepare::clear_leftovers(&self.config.prepare);
        self.look().await;
        let staged = match self.stage().await {
            Ok(staged) => staged,
            Err(problem) => return self.failed("prepare", &problem),
        };
        let digest = self.digest(staged.as_ref());
        let remembered = self.known.told.or_else(|| self.remembered());
        let replaces = staged.as_ref().is_some_and(Staged::replaces);
        let differs = remembered.map_or(replaces, |told| told != digest);
        let tell = match self.config.on_start {
            _ if self.known.unfinished => true,
            _ if !first => differs,
            OnStart::Always => true,
            OnStart::Never => false,
            OnStart::Changed => differs,
        };
        let mut changes = self.watched.changes_since(&Snapshot::default());
        changes.extend(self.inputs.changes_since(&Snapshot::default()));
        if tell {
            return self.start(digest, changes, staged).await;
        }
        // Nobody is told, but what is prepared must be there and good before the app starts.
        match self.check_and_publish(digest, &changes, staged).await {
            Ok(_) => {
                self.has_been_told(digest).await;
                Outcome::Settled
            }
            Err(outcome) => outcome,
        }
    }

    fn remembered(&self) -> Option<Hash> {
        let path = self.config.state_file.as_ref()?;
        state::load(path).unwrap_or_else(|problem| {
            self.events.state_unusable(&problem);
            None
        })
    }

    /// Tries again. What is in place already is not looked at anew: whoever is writing just now is not done yet, and
    /// the event of it will come.
    async fn again(&mut self) -> Outcome {
        match self.pending.take_if(|pending| pending.in_place) {
            Some(pending) => self.go_on(pending, None).await,
            None => self.round().await,
        }
    }

    /// Looks again, and does what has to be done about it.
    async fn round(&mut self) -> Outcome {
        self.events.looking_again();
        let before = (Arc::clone(&self.watched), Arc::clone(&self.inputs));
        self.look().await;
        let mut newer = self.watched.changes_since(&before.0);
        newer.extend(self.inputs.changes_since(&before.1));
        // What an unfinished change had changed is news to the app as well.
        let mut unfinished = self.pending.take();
        let older = unfinished.as_mut().map(|pending| std::mem::take(&mut pending.changes)).unwrap_or_default();
        let still = |old: &Change| !newer.iter().any(|new| new.path == old.path);
        let mut changes: Vec<Change> = older.into_iter().filter(still).collect();
        changes.extend(newer);
        let staged = match self.stage().await {
            Ok(staged) => staged,
            Err(problem) => return self.failed("prepare", &problem),
        };
        let digest = self.digest(staged.as_ref());
        if let Some(pending) = unfinished.filter(|pending| pending.digest == digest) {
            return self.go_on(Pending { changes, ..pending }, staged).await;
        }
        let in_place = staged.as_ref().is_none_or(Staged::is_in_place);
        if in_place && (self.known.told == Some(digest) || self.bad == Some(digest)) {
            self.made = staged.map(|staged| (self.inputs.digest(), staged.digest())).or(self.made);
            self.known.unfinished = false;
            self.events.unchanged();
            return Outcome::Settled;
        }
        self.start(digest, changes, staged).await
    }

    /// Scans on a thread of its own: a large file must not keep probes waiting.
    async fn look(&mut self) {
        let (config, before) = (Arc::clone(&self.config), (Arc::clone(&self.watched), Arc::clone(&self.inputs)));
        let scan = move || {
            let inputs: Vec<_> = config.sources().split_off(config.watch.len());
            (Snapshot::scan(&config.watch, &before.0), Snapshot::scan(&inputs, &before.1))
        };
        if let Ok((watched, inputs)) = tokio::task::spawn_blocking(scan).await {
            let known = [&self.watched.unreadable, &self.inputs.unreadable];
            let news = watched.unreadable.iter().chain(&inputs.unreadable);
            for problem in news.filter(|problem| !known.iter().any(|known| known.contains(problem))) {
                self.events.unreadable(problem);
            }
            (self.watched, self.inputs) = (Arc::new(watched), Arc::new(inputs));
        }
    }

    /// Makes the outputs, unless they are made from what is there already.
    async fn stage(&self) -> Result<Option<Staged>, String> {
        let current = self.made.is_some_and(|(from, _)| from == self.inputs.digest());
        if self.config.prepare.is_empty() || current {
            return Ok(None);
        }
        let config = Arc::clone(&self.config);
        let staged = tokio::task::spawn_blocking(move || prepare::stage(&config.prepare)).await;
        let staged = staged.unwrap_or_else(|error| Err(format!("gave up: {error}")));
        self.events.preparation(staged.as_ref().map(Staged::unexpanded).map_err(|_| ()));
        staged.map(Some)
    }

    /// What the app will have: the watched files as they are, and the outputs as they are or will be.
    fn digest(&self, staged: Option<&Staged>) -> Hash {
        let made = staged.map(Staged::digest).or(self.made.map(|(_, made)| made)).unwrap_or_default();
        hash_all([self.watched.digest().as_slice(), &made])
    }

    async fn start(&mut self, digest: Hash, changes: Vec<Change>, staged: Option<Staged>) -> Outcome {
        self.events.changed(&digest, &changes);
        self.known.unfinished = true;
        let done = vec![false; self.config.tell.len()];
        let (since, published, before) = (Instant::now(), Published::default(), Vec::new());
        self.go_on(Pending { digest, changes, since, published, done, before, in_place: false }, staged).await
    }

    /// Takes a change as far as it goes.
    async fn go_on(&mut self, mut pending: Pending, staged: Option<Staged>) -> Outcome {
        let working = self.life.busy("telling the app about a change");
        let outcome = self.steps(&mut pending, staged).await;
        drop(working);
        match outcome {
            Ok(outcome) => outcome,
            Err(outcome) => {
                self.pending = Some(pending);
                outcome
            }
        }
    }

    async fn steps(&mut self, pending: &mut Pending, staged: Option<Staged>) -> Result<Outcome, Outcome> {
        if !pending.in_place {
            pending.published = self.check_and_publish(pending.digest, &pending.changes, staged).await?;
            pending.before = act::generations(&self.config.verify).await;
            pending.in_place = true;
        }
        self.tell(pending).await?;
        if let Err(problem) = self.verify(pending).await {
            self.events.failed("verify", &problem);
            if self.config.when_unverified == WhenUnverified::TellAgain {
                pending.done.fill(false);
                return Err(Outcome::Pending { retry_after: None });
            }
            self.roll_back(pending).await;
            return Ok(Outcome::Settled);
        }
        self.bad = None;
        self.has_been_told(pending.digest).await;
        self.events.reloaded(&pending.digest, pending.since.elapsed());
        let exit = self.config.tell.iter().find_map(|action| match action {
            Action::Exit(code) => Some(*code),
            _ => None,
        });
        Ok(exit.map_or(Outcome::Settled, Outcome::Exit))
    }

    async fn check_and_publish(
        &mut self,
        digest: Hash,
        changes: &[Change],
        staged: Option<Staged>,
    ) -> Result<Published, Outcome> {
        let config = Arc::clone(&self.config);
        let prepared = staged.as_ref().and_then(Staged::first);
        let file = prepared.map(|(file, _)| file).or(changes.first().map(|change| change.path.as_path()));
        let occasion = Occasion { digest: &digest, changes, file, before: &[] };
        for check in &config.check {
            if let Err(trouble) = act::perform(check, occasion).await {
                // The check has seen it under a name that means nothing to the operator.
                let place = prepared.filter(|_| check.takes_file()).map(|(_, to)| format!("{}: ", to.display()));
                return Err(self.failed("check", &format!("{}{}", place.unwrap_or_default(), trouble.text)));
            }
        }
        let Some(staged) = staged else {
            // Nothing to make, or made already: there is nothing to wait for.
            self.gate.open();
            return Ok(Published::default());
        };
        let made = staged.digest();
        let published = tokio::task::spawn_blocking(|| staged.publish()).await;
        match published.unwrap_or_else(|error| Err(format!("gave up: {error}"))) {
            Ok(published) => {
                published.paths().for_each(|path| self.events.prepared(path));
                self.made = Some((self.inputs.digest(), made));
                // Ready once the files are there: waiting for the app to be told would wait for ever where the app only
                // starts once we are ready.
                self.gate.open();
                Ok(published)
            }
            Err(problem) => Err(self.failed("publish", &problem)),
        }
    }

    fn failed(&self, stage: &'static str, problem: &str) -> Outcome {
        self.events.failed(stage, problem);
        Outcome::Pending { retry_after: None }
    }

    /// In order; one that fails does not keep the others from being told, and those that worked are not told twice.
    async fn tell(&self, pending: &mut Pending) -> Result<(), Outcome> {
        let Pending { digest, changes, before, done, .. } = pending;
        let occasion = Occasion { digest, changes, file: changes.first().map(|c| c.path.as_path()), before };
        let mut retry_after = None;
        for (action, done) in self.config.tell.iter().zip(done.iter_mut()).filter(|(_, done)| !**done) {
            let working = self.life.busy(action.to_string());
            let begun = Instant::now();
            match self.attempt(action, occasion).await {
                Ok(answer) => {
                    *done = true;
                    self.events.told(action, answer, begun.elapsed());
                }
                Err(trouble) => {
                    retry_after = retry_after.max(trouble.retry_after);
                    self.events.not_told(action, &trouble, begun.elapsed());
                }
            }
            drop(working);
        }
        if done.iter().all(|done| *done) { Ok(()) } else { Err(Outcome::Pending { retry_after }) }
    }

    /// One attempt. When the process is told to stop, one that only waits for an answer is not waited for much longer.
    async fn attempt(&self, action: &Action, occasion: Occasion<'_>) -> Result<Done, Trouble> {
        let told_to_stop = async {
            self.life.reached(Phase::Draining).await;
            tokio::time::sleep(self.life.time_left(LAST_TRY)).await;
        };
        tokio::select! {
            biased;
            done = act::perform(action, occasion) => done,
            () = told_to_stop, if matches!(action, Action::Http(_) | Action::Line(_)) => {
                Err(Trouble::new("stopped", "no answer yet when told to stop"))
            }
        }
    }

    /// Tries until it works or its time is over; the error is the last one.
    async fn verify(&self, pending: &Pending) -> Result<(), String> {
        let end = Instant::now() + self.config.verify_within;
        let Pending { digest, changes, before, .. } = pending;
        let occasion = Occasion { digest, changes, file: None, before };
        for action in &self.config.verify {
            while let Err(trouble) = act::perform(action, occasion).await {
                if Instant::now() + VERIFY_EVERY >= end {
                    return Err(trouble.text);
                }
                tokio::time::sleep(VERIFY_EVERY).await;
            }
        }
        Ok(())
    }

    /// Once, and loudly. The content is remembered as bad, so that it is not told a second time.
    async fn roll_back(&mut self, pending: &mut Pending) {
        let files = pending.published.roll_back();
        self.bad = Some(pending.digest);
        self.known.unfinished = false;
        if files > 0 {
            pending.done.fill(false);
            // It failed or worked; both are logged, and there is nothing older to go back to.
            let _ = self.tell(pending).await;
        }
        self.events.rolled_back(files);
        self.events.given_up();
    }

    async fn has_been_told(&mut self, digest: Hash) {
        self.known = Known { told: Some(digest), unfinished: false };
        let Some(path) = self.config.state_file.clone() else {
            return;
        };
        // Off this thread: a slow disk must not keep probes waiting.
        let saved = tokio::task::spawn_blocking(move || state::save(&path, &digest)).await;
        if let Ok(Err(problem)) = saved {
            self.events.state_unusable(&problem);
        }
    }

    /// Draining: a change that waits for its next try gets it now, if that is quick. Nothing is known about how much
    /// time there is: the kubelet's floor is 2 s.
    async fn finish(&mut self) -> Result<(), Failure> {
        let Some(pending) = self.pending.take_if(|pending| pending.in_place) else { return Ok(()) };
        match tokio::time::timeout(self.life.time_left(LAST_TRY), self.go_on(pending, None)).await {
            Ok(Outcome::Settled) => Ok(()),
            Ok(Outcome::Exit(code)) => Err(exit(code)),
            Ok(Outcome::Pending { .. }) | Err(_) => Err(stopped_too_early()),
        }
    }

    /// A change that its check refused, or that could not be prepared, leaves nothing undone: the last good one stays.
    fn unfinished(&self) -> Result<(), Failure> {
        match &self.pending {
            Some(pending) if pending.in_place => Err(stopped_too_early()),
            _ => Ok(()),
        }
    }
}

fn stopped_too_early() -> Failure {
    Failure::new(Exit::Unfinished, "stopped before the app could be told about the last change")
}

fn exit(code: u8) -> Failure {
    Failure::new(Exit::Other(code), "config changed: exiting as asked")
}

/// Waits for a moment, or for ever.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
