//! Rotation: the same log goes on in another file, or under another name, or both.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use super::{
    catalog::{Candidate, Catalog, TELLING, is_excluded, means},
    file::{Begin, Followed},
    identity::{Identity, begin_alike},
    siblings::{self, Sibling},
};
use crate::config::Input;

/// So long the copy of a file that was cut is looked for, and so long one that is new may be about to become one.
const SEARCH: Duration = Duration::from_secs(2);

/// What a file with a rotated name is to the files that are followed.
pub(super) enum Kin {
    /// A copy of what is no longer in this one.
    CopyOf(Arc<Followed>),
    /// It cannot be said yet: what is in it is still read elsewhere, or there is nothing in it.
    Unclear,
    /// None of theirs: nobody has read what is in it.
    Stranger,
}

impl Catalog {
    /// Whether this is a copy as copytruncate makes it: its content is known, or will be cut off from a file that is, so
    /// it is not read as a file of its own.
    ///
    /// The order matters, because the original may be cut at any moment. What differs from what is in the original now
    /// either is no copy of that, or was cut off before we compared; so the question whether it was cut comes second.
    pub(super) fn kin(&mut self, found: &Candidate<'_>) -> Kin {
        let originals = siblings::originals(found.real);
        let is_original =
            |known: &&Arc<Followed>| known.input == found.number && originals.iter().any(|path| known.is_at(path));
        let related: Vec<_> = self.files.iter().rev().filter(is_original).cloned().collect();
        // What is there now may not be followed yet: what was before it has just been found in a copy.
        let is_about_to_be = |path: &&PathBuf| {
            fs::metadata(path).is_ok_and(|found| self.generations.contains_key(&Identity::of(&found)))
        };
        let living = related.iter().filter(|known| !known.has_ended()).map(|known| known.path());
        let living: Vec<_> = living.chain(originals.iter().filter(is_about_to_be).cloned()).collect();
        let is_young = changed(&found.file).is_some_and(|age| age < SEARCH);
        let is_empty = found.size == 0 || found.head.len == 0;
        let is_alike =
            |path: &PathBuf| File::open(path).and_then(|other| begin_alike(&other, &found.file)).unwrap_or(false);
        // An empty one that stays so is a file like any other.
        if (is_empty && is_young && !living.is_empty()) || living.iter().any(is_alike) {
            self.unclear |= is_young;
            return Kin::Unclear;
        }
        let is_without = |known: &&Arc<Followed>| match known.has_ended() {
            true => known.is_replaced() && !known.is_given_up(),
            false => known.is_cut(),
        };
        let original = related.iter().find(|known| is_without(known) && may_be_copy(known, &found.file));
        original.map_or(Kin::Stranger, |original| Kin::CopyOf(Arc::clone(original)))
    }

    /// The content was cut off from the original: its rest is read in the copy.
    pub(super) fn take_copy(&mut self, original: &Arc<Followed>, copy: Candidate<'_>) -> Arc<Followed> {
        self.events.goes_on_in_copy(original, copy.real);
        let key = (copy.number, original.identity());
        if self.known.get(&key).is_some_and(|known| Arc::ptr_eq(known, original)) {
            // What has its inode now is another file, and has to be met as one.
            self.known.remove(&key);
            self.generations.insert(original.identity(), original.generation + 1);
            self.look_again = true;
        }
        self.known.insert((copy.number, copy.identity), Arc::clone(original));
        original.goes_on_in(copy.real.to_owned(), copy.identity, copy.file);
        Arc::clone(original)
    }

    /// The file was cut: what follows is a new one in its place. The rest of the old one may be in a copy.
    pub(super) fn begin_anew(&mut self, old: &Arc<Followed>, found: Candidate<'_>) -> Arc<Followed> {
        old.end();
        let begin = Begin { generation: old.generation + 1, ..self.from(0) };
        self.follow(found, begin)
    }

    /// Looks for the copies of files that were cut. It may take a moment until they are seen: their names move, too.
    pub(super) fn find_copies(&mut self) {
        let cut = |file: &&Arc<Followed>| file.has_ended() && file.is_replaced() && !file.is_given_up();
        let cut: Vec<_> = self.files.iter().filter(cut).cloned().collect();
        let inputs = Arc::clone(&self.inputs);
        for old in cut {
            let path = old.path();
            let found = siblings::copy_of(&path, old.least_acked(), |file| may_be_copy(&old, file));
            let found = found.filter(|copy| !self.known.contains_key(&(old.input, copy.identity)));
            if let Some(copy) = found
                && let Ok(found) = Candidate::open(old.input, &inputs[old.input], &path, &copy.path)
                && found.identity == copy.identity
            {
                self.take_copy(&old, found);
            } else if old.written().elapsed() > SEARCH {
                self.events.cut(&old, old.give_up());
            }
        }
    }

    /// Files that were rotated away before we saw them under their own name: quicker than we look, or while nobody looked.
    /// Of a log that is new to us, those that were there before us are not ours.
    pub(super) fn adopt_rotated(&mut self, named: &HashSet<PathBuf>) {
        let inputs = Arc::clone(&self.inputs);
        // Where they are, and the names they go by: a link leads from one to the other.
        let followed = self.files.iter().map(|file| (file.home.clone(), PathBuf::from(&file.origin.path)));
        let saved = self.saved.iter().map(|saved| (saved.home.clone(), saved.shown.clone()));
        let named = named.iter().filter(|path| home(&inputs, path).is_some());
        let originals: HashMap<PathBuf, PathBuf> =
            named.map(|path| (path.clone(), path.clone())).chain(saved).chain(followed).collect();
        let folders: BTreeSet<PathBuf> =
            originals.keys().filter_map(|path| path.parent().map(Path::to_owned)).collect();
        let mut there = HashSet::new();
        let mut new: Vec<(PathBuf, Sibling)> = Vec::new();
        for folder in folders {
            for (original, sibling) in siblings::rotated_in(&folder, &originals) {
                there.insert(sibling.identity);
                // One that is still empty may be about to become a copy: what it is can be seen later.
                if sibling.size == 0 || self.is_known(&sibling.identity) {
                    continue;
                }
                if self.homes.contains(&original) || sibling.is_younger(self.begun) {
                    new.push((original, sibling));
                } else {
                    self.done.insert(sibling.identity);
                }
            }
        }
        self.homes.extend(originals.keys().cloned());
        self.done.retain(|identity| there.contains(identity));
        if !new.is_empty() {
            new.sort_by(|(_, one), (_, other)| one.age(other));
            for (original, sibling) in new {
                let shown = &originals[&original];
                if let Some((number, input)) = home(&inputs, shown) {
                    self.adopt(number, input, (shown, &original), &sibling);
                }
            }
            // What was rotated away was written first.
            self.files.sort_by_key(|file| !file.has_ended());
        }
        self.positions.lock().unwrap_or_else(PoisonError::into_inner).done(&self.done);
    }

    fn is_known(&self, identity: &Identity) -> bool {
        self.done.contains(identity)
            || (0..self.inputs.len()).any(|number| self.known.contains_key(&(number, *identity)))
    }

    /// Follows a file under the name that it had, to its end.
    fn adopt(&mut self, number: usize, input: &Input, (shown, home): (&Path, &Path), sibling: &Sibling) {
        let Ok(found) = Candidate::open(number, input, shown, &sibling.path) else { return };
        // While names move, another file may be there by now. The next look finds this one.
        if found.identity != sibling.identity || self.known.contains_key(&(number, found.identity)) {
            return;
        }
        match self.kin(&found) {
            Kin::CopyOf(original) => return drop(self.take_copy(&original, found)),
            Kin::Unclear => return,
            Kin::Stranger => {}
        }
        let begin = self.remembered(&found, 0).unwrap_or_else(|| self.from(0));
        self.follow(Candidate { home, ..found }, begin).end();
    }
}

/// Whether what was cut off from a file may be in this one. A short beginning is that of many files, so there has to be
/// more to it: a copy is written before the cut.
fn may_be_copy(known: &Followed, file: &File) -> bool {
    let head = known.head();
    let is_older = || {
        let written = file.metadata().and_then(|found| found.modified());
        let age = written.ok().and_then(|moment| moment.elapsed().ok());
        age.is_some_and(|age| age >= known.written().elapsed())
    };
    siblings::begins_so(&head, file) && (head.len >= TELLING || !known.has_ended() || is_older())
}

/// How long ago anything about it changed. Who copies may set the time of writing, but not this.
fn changed(file: &File) -> Option<Duration> {
    let found = file.metadata().ok()?;
    let since = Duration::new(u64::try_from(found.ctime()).ok()?, u32::try_from(found.ctime_nsec()).ok()?);
    (UNIX_EPOCH + since).elapsed().ok()
}

/// The input that a file belongs to that has this name, or had it.
fn home<'a>(inputs: &'a [Input], path: &Path) -> Option<(usize, &'a Input)> {
    let is_meant = |input: &Input| input.paths.iter().any(|pattern| means(pattern, path)) && !is_excluded(input, path);
    inputs.iter().enumerate().find(|(_, input)| is_meant(input))
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
