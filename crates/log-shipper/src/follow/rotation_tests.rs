//! Copytruncate, step by step: the order of events is ours, so nothing depends on who is quicker.

use std::{
    collections::HashSet,
    fs::{self, OpenOptions},
    io::Write,
    path::PathBuf,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    events::Events,
    follow::{NOT_TAKEN, Read},
    position::{Memory, Positions},
    select::Select,
};

/// An app with its log, whoever rotates it, and outputs that take what they are given.
struct Play {
    dir: TempDir,
    catalog: Catalog,
    shipped: Vec<Vec<u8>>,
    written: u64,
}

impl Play {
    fn new(glob: &str, outputs: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let inputs = [Input { paths: vec![dir.path().join(glob)], ..Input::default() }].into();
        let events = Arc::new(Events::new(&common::prometheus::Registry::new(), None).unwrap());
        let names: Vec<_> = (0..outputs).map(|number| format!("out{number}")).collect();
        let positions = Arc::new(std::sync::Mutex::new(Positions::in_memory(names.clone())));
        let lanes = names.into_iter().map(|name| (name, Select::All)).collect();
        let catalog = Catalog::new(inputs, lanes, events, positions, Memory::default());
        Self { dir, catalog, shipped: vec![Vec::new(); outputs], written: 0 }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// The app writes so many lines.
    fn log(&mut self, lines: u64) {
        let from = self.written;
        self.written += lines;
        self.append("a.log", (from..self.written).map(line).collect::<String>().as_bytes());
    }

    fn cut(&self, name: &str) {
        OpenOptions::new().write(true).open(self.path(name)).unwrap().set_len(0).unwrap();
    }

    fn copy(&self, to: &str) {
        fs::copy(self.path("a.log"), self.path(to)).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn look(&mut self) {
        self.catalog.look(&HashSet::new());
    }

    /// An output takes all there is.
    fn ship(&mut self, lane: usize) {
        let mut buffer = vec![0; 8 << 10];
        for file in self.catalog.files() {
            assert_ne!(file.acked(lane), NOT_TAKEN);
            while !file.is_given_up()
                && let Read::Bytes(count @ 1..) = file.read(&mut buffer, file.acked(lane)).unwrap()
            {
                self.shipped[lane].extend_from_slice(&buffer[..count]);
                file.ack(lane, file.acked(lane) + count as u64);
            }
        }
    }

    fn look_and_ship(&mut self) {
        self.look();
        (0..self.shipped.len()).for_each(|lane| self.ship(lane));
    }

    /// Every output has every line once, in whatever order.
    fn all_once(&mut self) -> Result<(), TestCaseError> {
        // What a look finds replaced is what a read has found out, and the other way round.
        (0..3).for_each(|_| self.look_and_ship());
        let mut wanted: Vec<_> = (0..self.written).map(line).collect();
        wanted.sort();
        for shipped in &self.shipped {
            let text = String::from_utf8(shipped.clone()).unwrap();
            let mut lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
            lines.sort();
            prop_assert_eq!(&lines, &wanted);
        }
        Ok(())
    }
}

fn line(number: u64) -> String {
    format!("line {number:04} {:x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[test]
fn a_copy_that_is_seen_while_it_is_empty_is_not_shipped_again() {
    let mut play = Play::new("a.log*", 1);
    play.log(50);
    play.look_and_ship();
    play.append("a.log.1", b"");
    play.look_and_ship();
    play.copy("a.log.1");
    play.look_and_ship();
    play.cut("a.log");
    play.look_and_ship();
    play.log(50);
    play.all_once().unwrap();
}

#[test]
fn a_copy_of_which_little_was_read_is_read_on_from_there() {
    let mut play = Play::new("a.log*", 1);
    play.log(1);
    play.look_and_ship();
    play.log(50);
    play.copy("a.log.1");
    play.cut("a.log");
    play.all_once().unwrap();
}

#[test]
fn a_copy_of_what_is_not_followed_yet_is_not_shipped_again() {
    // The names decide which one is met first.
    for (older, younger) in [("a.log.2", "a.log.1"), ("a.log-1", "a.log-2"), ("a-1.log", "a-2.log")] {
        let mut play = Play::new("a*", 1);
        play.log(20);
        play.look_and_ship();
        play.copy(older);
        play.cut("a.log");
        play.log(60);
        play.copy(younger);
        // It finds that the file is another one, before anybody has looked.
        play.ship(0);
        play.look_and_ship();
        play.cut("a.log");
        play.log(20);
        play.all_once().unwrap();
    }
}

#[test]
fn a_copy_that_is_met_before_its_original_is_not_shipped_again() {
    let mut play = Play::new("a*.log", 1);
    play.log(20);
    play.copy("a-1.log");
    play.look_and_ship();
    play.cut("a.log");
    play.log(20);
    play.all_once().unwrap();
}

#[test]
fn what_was_read_between_copy_and_cut_does_not_make_the_copy_a_new_file() {
    for glob in ["a.log*", "a.log"] {
        let mut play = Play::new(glob, 1);
        // The copy is longer than what is remembered of a file's beginning.
        play.log(60);
        play.look_and_ship();
        play.copy("a.log.1");
        play.log(20);
        play.look_and_ship();
        play.cut("a.log");
        play.log(5);
        play.all_once().unwrap();
    }
}

#[test]
fn the_next_copy_may_be_made_in_the_same_file() {
    for glob in ["a.log*", "a.log"] {
        let mut play = Play::new(glob, 1);
        for round in 1..5 {
            play.log(round * 20);
            play.look_and_ship();
            play.log(round * 5);
            play.copy("a.log.1");
            play.look_and_ship();
            play.cut("a.log");
            play.look_and_ship();
        }
        play.all_once().unwrap();
    }
}

#[test]
fn an_output_that_comes_late_does_not_take_another_file_for_the_one_that_was_cut() {
    let mut play = Play::new("a.log", 2);
    play.log(20);
    play.look();
    play.ship(0);
    play.copy("a.log.1");
    play.cut("a.log");
    play.log(60);
    play.ship(1);
    play.ship(0);
    play.all_once().unwrap();
}

#[test]
fn an_empty_file_with_a_rotated_name_is_followed_once_it_has_something() {
    let mut play = Play::new("a.log*", 1);
    play.log(20);
    play.append("a.log.err", b"");
    play.look_and_ship();
    play.append("a.log.err", line(20).as_bytes());
    play.written += 1;
    play.all_once().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Each step of a rotation, and of an app that writes, may be seen or not, and what is seen may be shipped or not.
    #[test]
    fn whatever_is_seen_of_a_rotation_every_line_comes_once(
        does_match in any::<bool>(),
        rounds in proptest::collection::vec((0..4_u64, 1..80_u64, proptest::collection::vec(0..6_u8, 9)), 1..6),
    ) {
        let mut play = Play::new(if does_match { "a.log*" } else { "a.log" }, 2);
        play.append("a.log", b"");
        for (few, many, seen) in rounds {
            let mut seen = seen.into_iter();
            let mut see = |play: &mut Play| match seen.next() {
                Some(0) => play.look(),
                Some(1) => play.look_and_ship(),
                Some(2) => play.ship(0),
                Some(3) => (0..2).for_each(|lane| play.ship(lane)),
                _ => {}
            };
            play.log(few);
            see(&mut play);
            play.log(many);
            see(&mut play);
            for old in (1..6).rev().filter(|old| play.path(&format!("a.log.{old}")).exists()).collect::<Vec<_>>() {
                play.rename(&format!("a.log.{old}"), &format!("a.log.{}", old + 1));
            }
            see(&mut play);
            play.append("a.log.1", b"");
            see(&mut play);
            let content = fs::read(play.path("a.log")).unwrap();
            let half = content.len() / 2;
            play.append("a.log.1", &content[..half]);
            see(&mut play);
            play.append("a.log.1", &content[half..]);
            see(&mut play);
            play.cut("a.log");
            see(&mut play);
        }
        play.all_once()?;
    }
}
