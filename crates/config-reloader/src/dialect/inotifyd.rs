//! busybox inotifyd: `inotifyd PROG FILE[:MASK]...` runs PROG with what happened, or prints it if PROG is `-`.
//!
//! Deliberately not as it is there: what counts is that bytes changed, so each file that did is one call, however the
//! kernel got there (`..data` swaps and rename-overs included); a PROG that fails is run again; a FILE that is missing
//! is waited for, and one that goes away does not end the watching.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::Failure;

use crate::{
    config::{Action, Command, Config, OnStart, PerChange, Timing, WhenUnverified},
    snapshot::{Change, How},
};

pub(super) const NAME: &str = "inotifyd";

/// busybox inotifyd's arguments, by config-reloader
#[derive(clap::Parser, Clone, Debug)]
#[command(name = NAME, version, after_help = "Events: w c changed, n y appeared, d m gone")]
pub struct Flags {
    /// The program to run as PROG EVENT FILE [SUBFILE]; `-` prints instead
    #[arg(value_name = "PROG")]
    program: String,

    /// What to watch, and for which events
    #[arg(value_name = "FILE[:MASK]", required = true)]
    files: Vec<Watched>,
}

/// One file or directory, and the letters that somebody wants to hear of.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) path: PathBuf,
    pub(crate) mask: String,
}

/// Letters that exist and can never be about bytes.
const NEVER: &str = "a0reDMuox";
const LETTERS: &str = "wcnydma0reDMuox";

impl std::str::FromStr for Watched {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, mask) = text.rsplit_once(':').unwrap_or((text, LETTERS));
        if path.is_empty() {
            return Err("expected the path of a file or directory".into());
        }
        if let Some(unknown) = mask.chars().find(|letter| !LETTERS.contains(*letter)) {
            return Err(format!("unknown event {unknown}, expected some of {LETTERS}"));
        }
        if mask.is_empty() {
            return Err(format!("no events after the colon, expected some of {LETTERS}"));
        }
        if mask.chars().all(|letter| NEVER.contains(letter)) {
            return Err(format!("events {mask}: only changes of content are watched: w c n y d m"));
        }
        Ok(Self { path: path.into(), mask: mask.into() })
    }
}

impl Flags {
    pub fn load(&self) -> Result<Config, Failure> {
        let files = self.files.clone();
        let words = PerChange(Arc::new(move |change| files.iter().find_map(|watched| watched.words(change))));
        let tell = if self.program == "-" {
            Action::Print(words)
        } else {
            let timeout = Duration::from_secs(365 * 24 * 3600); // as there: however long it takes
            Action::Command(Command { words: vec![self.program.clone()], timeout, per_change: Some(words) })
        };
        let target = |watched: &Watched| file_watch::Target { path: watched.path.clone(), recursive: false };
        Ok(Config {
            watch: self.files.iter().map(target).collect(),
            timing: Timing::default(),
            state_file: None,
            on_start: OnStart::Never,
            once: false,
            prepare: Vec::new(),
            check: Vec::new(),
            tell: vec![tell],
            verify: Vec::new(),
            verify_within: Duration::ZERO,
            when_unverified: WhenUnverified::RollBack,
        })
    }
}

impl Watched {
    /// `EVENT FILE` or `EVENT DIR SUBFILE`, if this is about the file and the event is wanted.
    pub(crate) fn words(&self, change: &Change) -> Option<Vec<String>> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let inside = change.path.strip_prefix(&self.path).ok()?;
        // A write, a rename over it and a swap of links all come to the same.
        let letters = match change.how {
            How::Changed => "wcy",
            How::Added => "nyw",
            How::Removed => "dm",
        };
        let event = letters.chars().find(|letter| self.mask.contains(*letter))?;
        let mut words = vec![event.to_string(), text(&self.path)];
        if !inside.as_os_str().is_empty() {
            words.push(text(inside));
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(watched: &str, path: &str, how: How) -> Option<String> {
        let watched: Watched = watched.parse().unwrap();
        watched.words(&Change { path: path.into(), how }).map(|words| words.join(" "))
    }

    #[test]
    fn says_what_inotifyd_would() {
        for (watched, path, how, said) in [
            ("/d", "/d/f", How::Changed, Some("w /d f")),
            ("/d:c", "/d/f", How::Changed, Some("c /d f")),
            ("/d:y", "/d/f", How::Changed, Some("y /d f")),
            ("/d:n", "/d/f", How::Changed, None),
            ("/d:nd", "/d/f", How::Removed, Some("d /d f")),
            ("/d/f:w", "/d/f", How::Added, Some("w /d/f")),
            ("/other", "/d/f", How::Added, None),
        ] {
            assert_eq!(words(watched, path, how).as_deref(), said, "{watched} {how:?}");
        }
    }

    #[test]
    fn events_that_cannot_be_seen_are_refused() {
        assert!("/d:r".parse::<Watched>().is_err());
        assert!("/d:z".parse::<Watched>().is_err());
        assert!("/d:wr".parse::<Watched>().is_ok());
    }

    #[test]
    fn a_path_is_needed_and_so_are_events() {
        for text in ["", ":w", "/d:"] {
            assert!(text.parse::<Watched>().is_err(), "{text}");
        }
    }
}
