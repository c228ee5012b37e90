//! An app that logs, and what rotates its log. Rotated files go only when all their lines have arrived: lost is what was
//! there to be read.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{chance::Chance, ledger::Ledger};

#[derive(Clone, Copy, Debug)]
enum Rotation {
    /// `a.log` to `a.log.1` to `a.log.2`
    Numbers,
    /// `a.log` to `a.log-00017`
    Dates,
    /// A copy under such a name, then cut.
    CopyAndCut,
}

pub(crate) struct Writer {
    number: usize,
    path: PathBuf,
    file: File,
    rotation: Rotation,
    /// The rotated ones, the newest first, each with the number of the first line after it.
    rotated: VecDeque<(PathBuf, u64)>,
    rotations: u64,
    next: u64,
    ledger: Arc<Ledger>,
    chance: Chance,
}

impl Writer {
    pub(crate) fn new(number: usize, folder: &Path, ledger: &Arc<Ledger>, chance: Chance) -> Self {
        let path = folder.join(format!("w{number}.log"));
        let rotation = [Rotation::Numbers, Rotation::Dates, Rotation::CopyAndCut][number % 3];
        let (rotated, ledger) = (VecDeque::new(), Arc::clone(ledger));
        Self { number, file: opened(&path), path, rotation, rotated, rotations: 0, next: 0, ledger, chance }
    }

    pub(crate) fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.write();
            if self.chance.one_in(60) {
                self.rotate();
                self.clean();
            }
            thread::sleep(Duration::from_millis(self.chance.below(8)));
        }
    }

    /// Some lines at once, as a buffered writer does; seldom half of one.
    fn write(&mut self) {
        let mut text = String::new();
        for _ in 0..=self.chance.below(40) {
            self.next = self.ledger.write(self.number) + 1;
            let length = if self.chance.one_in(5000) { 100_000 } else { self.chance.below(160) };
            let filling = "x".repeat(usize::try_from(length).unwrap());
            text.push_str(&format!("w{} {} {length} {filling}\n", self.number, self.next - 1));
        }
        let cut = if self.chance.one_in(20) { text.len() / 2 } else { text.len() };
        let (first, second) = text.as_bytes().split_at(cut);
        self.file.write_all(first).unwrap();
        if !second.is_empty() {
            thread::sleep(Duration::from_millis(self.chance.below(20)));
            self.file.write_all(second).unwrap();
        }
    }

    fn rotate(&mut self) {
        self.rotations += 1;
        let place = |suffix: String| PathBuf::from(format!("{}{suffix}", self.path.display()));
        match self.rotation {
            Rotation::Numbers => {
                for (nth, (path, _)) in self.rotated.iter_mut().enumerate().rev() {
                    let to = place(format!(".{}", nth + 2));
                    fs::rename(&*path, &to).unwrap();
                    *path = to;
                }
                self.rotated.push_front((place(".1".into()), self.next));
                fs::rename(&self.path, &self.rotated[0].0).unwrap();
                // Who writes opens the new one a little later, or only when it is told to.
                thread::sleep(Duration::from_millis(self.chance.below(30)));
                self.file = opened(&self.path);
            }
            Rotation::Dates => {
                self.rotated.push_front((place(format!("-{:05}", self.rotations)), self.next));
                fs::rename(&self.path, &self.rotated[0].0).unwrap();
                self.file = opened(&self.path);
            }
            Rotation::CopyAndCut => {
                self.rotated.push_front((place(format!("-{:05}", self.rotations)), self.next));
                fs::copy(&self.path, &self.rotated[0].0).unwrap();
                self.file.set_len(0).unwrap();
            }
        }
    }

    /// Throws away what is not needed any more, as a rotation that keeps some.
    fn clean(&mut self) {
        let complete = self.ledger.complete(self.number);
        while self.rotated.len() > 3 && self.rotated.back().is_some_and(|(_, end)| *end <= complete) {
            let (path, _) = self.rotated.pop_back().unwrap();
            fs::remove_file(path).unwrap();
        }
    }
}

fn opened(path: &Path) -> File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}
