//! Rotation: the same log goes on in another file, or under another name, or both.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    catalog::{Candidate, Catalog, TELLING, is_excluded, means},
    file::{Begin, Followed},
    identity::{Identity, begin_alike},
    siblings::{self, Sibling},
};
use crate::config::Input;

/// So long the copy of a file that was cut is looked for.
const SEARCH: Duration = Duration::from_secs(2);

impl Catalog {
    /// The file whose copy, as copytruncate makes it, this is: its content is known, or will be cut off from a file that
    /// is, so it is not read as a file of its own.
    pub(super) fn copied_from(&self, found: &Candidate<'_>) -> Option<Arc<Followed>> {
        let originals = siblings::originals(found.real);
        let is_original = |known: &&Arc<Followed>| {
            if known.input != found.number || !originals.iter().any(|path| known.is_at(path)) {
                return false;
            }
            let begins_so = || {
                let head = known.head();
                !known.is_given_up() && head.len >= TELLING && siblings::begins_so(&head, &found.file)
            };
            if known.has_ended() {
                return known.is_replaced() && begins_so();
            }
            // Looked at now, and again after comparing: the original may be cut at any moment once the copy was made.
            let is_alike =
                || File::open(known.path()).and_then(|known| begin_alike(&known, &found.file)).unwrap_or(false);
            if known.is_cut() { begins_so() } else { is_alike() || (known.is_cut() && begins_so()) }
        };
        self.files.iter().rev().find(is_original).cloned()
    }

    /// As long as the original has its content, it is read there; once that was cut off, its rest is read in the copy.
    pub(super) fn take_copy(&mut self, original: &Arc<Followed>, copy: Candidate<'_>) -> Option<Arc<Followed>> {
        if !original.is_replaced() {
            return None;
        }
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
        Some(Arc::clone(original))
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
            let found = siblings::copy_of(&path, &old.head(), old.least_acked());
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
        if let Some(original) = self.copied_from(&found) {
            self.take_copy(&original, found);
            return;
        }
        let begin = self.remembered(&found, 0).unwrap_or_else(|| self.from(0));
        self.follow(Candidate { home, ..found }, begin).end();
    }
}

/// The input that a file belongs to that has this name, or had it.
fn home<'a>(inputs: &'a [Input], path: &Path) -> Option<(usize, &'a Input)> {
    let is_meant = |input: &Input| input.paths.iter().any(|pattern| means(pattern, path)) && !is_excluded(input, path);
    inputs.iter().enumerate().find(|(_, input)| is_meant(input))
}
