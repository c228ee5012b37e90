//! `tail`, as GNU has it, with what busybox and Kubernetes manifests use of it.
//!
//! Deliberately not as it is there: `-f` follows the name as `-F` does, so that a rotated log goes on; a line is written
//! when it is whole.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use common::{CommonArgs, Exit, Failure, Usage, args::Listen};

use crate::{
    config::{Batch, Config, Input, Lines, Output, Retry, Start, State, Tag, Until},
    events::Observer,
    follow::{Followed, Identity},
    output::{Shape, Stdout},
    select::{Only, Select},
};

pub const NAME: &str = "tail";

/// tail's arguments, by log-shipper
#[derive(clap::Parser, Clone, Debug)]
#[command(name = NAME, version)]
pub struct Flags {
    /// The last NUM bytes; +NUM: from byte NUM on
    #[arg(short = 'c', long, value_name = "[+]NUM", allow_hyphen_values = true, conflicts_with = "lines")]
    bytes: Option<Count>,

    /// The last NUM lines, 10 by default; +NUM: from line NUM on
    #[arg(short = 'n', long, value_name = "[+]NUM", allow_hyphen_values = true)]
    lines: Option<Count>,

    /// Go on with what is written later, also after rotation
    #[arg(short = 'f', long, value_name = "HOW", value_parser = ["name", "descriptor"])]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "descriptor")]
    follow: Option<String>,

    /// As --follow=name --retry
    #[arg(short = 'F')]
    follow_name: bool,

    /// Wait for a file that is not there
    #[arg(long)]
    retry: bool,

    /// With -f, end when this process is gone
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,

    /// Never say which file the lines are from
    #[arg(short, long, visible_alias = "silent")]
    quiet: bool,

    /// Always say which file the lines are from
    #[arg(short, long)]
    verbose: bool,

    /// How often to look for --pid; files are watched, and need no looking
    #[arg(short, long, value_name = "SECONDS", default_value = "1.0")]
    sleep_interval: f64,

    /// No effect
    #[arg(long, value_name = "NUM", hide = true)]
    max_unchanged_stats: Option<u64>,

    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// `10`, `-10`, `+3`, `1K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Count {
    Last(u64),
    From(u64),
}

impl FromStr for Count {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a number such as 10, +3 or 1K";
        let (from, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => (false, text),
        };
        let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
        let (number, unit) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| EXPECTED)?;
        let unit = match unit {
            "" => 1,
            "b" => 512,
            "kB" => 1000,
            "K" | "k" | "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "M" | "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "G" | "GiB" => 1 << 30,
            _ => return Err(EXPECTED),
        };
        let number = number.checked_mul(unit).ok_or(EXPECTED)?;
        Ok(if from { Self::From(number) } else { Self::Last(number) })
    }
}

/// `-20` and `-20f` are older than `-n 20 -f`, and still typed.
pub fn modern(argv: &[OsString]) -> Vec<OsString> {
    let mut words = argv.to_vec();
    let old = words.get(1).and_then(|word| word.to_str()?.strip_prefix('-').map(str::to_owned));
    if let Some((number, more)) = old.and_then(|old| {
        let digits = old.find(|char: char| !char.is_ascii_digit()).unwrap_or(old.len());
        (digits > 0).then(|| (old[..digits].to_owned(), old[digits..].to_owned()))
    }) {
        let more = (!more.is_empty()).then(|| format!("-{more}").into());
        words.splice(1..2, ["-n".into(), number.into()].into_iter().chain(more));
    }
    words
}

impl Flags {
    fn follows(&self) -> bool {
        self.follow.is_some() || self.follow_name
    }

    fn retries(&self) -> bool {
        self.follow_name || self.retry
    }

    /// What is typed and cannot be.
    pub fn asked(&self) -> Result<(), Usage> {
        let mut problems = Vec::new();
        if self.files.iter().any(|file| file == Path::new("-")) {
            problems.push("-: standard input is not followed: expected the path of a file".to_owned());
        }
        if Duration::try_from_secs_f64(self.sleep_interval).is_err() {
            problems.push(format!("--sleep-interval \"{}\": expected a number of seconds", self.sleep_interval));
        }
        if problems.is_empty() { Ok(()) } else { Err(Usage::Wrong(problems)) }
    }

    /// What is not typed here comes from the environment. Nobody expects that it listens, or speaks about itself.
    pub fn settle(&self, common: &mut CommonArgs) {
        common.admin_addr = common.admin_addr.take().or(Some(Listen::Off));
        common.log_level = common.log_level.or_else(|| "error".parse().ok());
    }

    pub fn load(&self) -> Result<Config, Failure> {
        let is_there = |file: &&PathBuf| file.metadata().is_ok_and(|found| !found.is_dir());
        if !(self.follows() && self.retries()) {
            let missing: Vec<_> = self.files.iter().filter(|file| !is_there(file)).collect();
            if missing.len() == self.files.len() {
                // In its own words, which are no lines of a log.
                missing.into_iter().for_each(|file| eprintln!("{NAME}: {}", unopened(file)));
                return Err(Failure { exit: Exit::Other(1), problems: Vec::new() });
            }
        }
        let input = |file: &PathBuf| Input {
            tag: Tag::Fixed(NAME.into()),
            paths: vec![absolute(file)],
            start: self.start(),
            // Byte for byte, and only whole lines: half of one would get a line end that it does not have.
            lines: Lines {
                keep_return: true,
                longest: 8 << 20,
                unfinished_after: Duration::from_secs(24 * 3600),
                ..Lines::default()
            },
            rotate_wait: Duration::from_secs(5),
            ..Input::default()
        };
        let names_files = self.verbose || (self.files.len() > 1 && !self.quiet);
        let name = |file: &PathBuf| (absolute(file).to_string_lossy().into_owned(), file.display().to_string());
        let names = names_files.then(|| Arc::new(self.files.iter().map(name).collect()));
        let output = Output {
            name: "stdout".into(),
            selects: Select::All,
            only: Only::default(),
            ship: Arc::new(Stdout { shape: Shape::Raw, names }),
            batch: Batch { pause: Duration::ZERO, ..Batch::default() },
            retry: Retry::default(),
        };
        let until = match self.pid {
            _ if !self.follows() => Until::EndOfFiles,
            Some(pid) => Until::Gone(format!("/proc/{pid}").into()),
            None => Until::ToldToStop,
        };
        Ok(Config {
            inputs: self.files.iter().map(input).collect(),
            outputs: vec![output],
            state: State::Memory,
            until,
            poll: Duration::try_from_secs_f64(self.sleep_interval.max(0.01)).unwrap_or(Duration::from_secs(1)),
        })
    }

    fn start(&self) -> Start {
        match (self.bytes, self.lines) {
            (Some(Count::Last(bytes)), _) => Start::LastBytes(bytes),
            (Some(Count::From(byte)), _) => Start::Byte(byte.saturating_sub(1)),
            (None, Some(Count::From(line))) => Start::Line(line),
            (None, Some(Count::Last(lines))) => Start::Last(lines),
            (None, None) => Start::Last(10),
        }
    }

    pub fn observer(&self) -> Option<Box<dyn Observer>> {
        let mut files = BTreeMap::new();
        for file in &self.files {
            let is_there = file.exists();
            if !is_there {
                eprintln!("{NAME}: {}", unopened(file));
            }
            let seen = if is_there { Seen::Expected } else { Seen::Gone };
            files.insert(absolute(file).to_string_lossy().into_owned(), (file.display().to_string(), seen));
        }
        Some(Box::new(Words(Mutex::new(files))))
    }
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.into())
}

fn unopened(file: &Path) -> String {
    match file.metadata() {
        Ok(found) if found.is_dir() => format!("error reading '{}': Is a directory", file.display()),
        Ok(_) => format!("cannot open '{}' for reading", file.display()),
        Err(error) => {
            let text = error.to_string();
            let text = text.split_once(" (os error").map_or(text.as_str(), |(text, _)| text);
            format!("cannot open '{}' for reading: {text}", file.display())
        }
    }
}

/// What is known of a file that was typed.
#[derive(Clone, Debug)]
enum Seen {
    /// It is there at the start, and that is no news.
    Expected,
    There(Identity),
    Gone,
}

/// What tail says about files, under the names that were typed.
struct Words(Mutex<BTreeMap<String, (String, Seen)>>);

impl Words {
    fn say(&self, file: &Followed, words: impl FnOnce(&str, &Seen) -> (Option<String>, Seen)) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, seen)) = files.get_mut(&file.origin.path) {
            let (text, now) = words(name, seen);
            *seen = now;
            if let Some(text) = text {
                eprintln!("{NAME}: {text}");
            }
        }
    }
}

impl Observer for Words {
    fn found(&self, file: &Followed) {
        let identity = file.identity();
        self.say(file, |name, seen| {
            let text = match seen {
                Seen::Expected => None,
                Seen::There(known) if *known == identity => Some(format!("{name}: file truncated")),
                Seen::There(_) => Some(format!("'{name}' has been replaced;  following new file")),
                Seen::Gone => Some(format!("'{name}' has appeared;  following new file")),
            };
            (text, Seen::There(identity))
        });
    }

    fn gone(&self, file: &Followed) {
        if !Path::new(&file.origin.path).exists() {
            self.say(file, |name, seen| {
                let text = format!("'{name}' has become inaccessible: No such file or directory");
                ((!matches!(seen, Seen::Gone)).then_some(text), Seen::Gone)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_spelled_in_many_ways() {
        for (text, count) in [
            ("10", Ok(Count::Last(10))),
            ("-10", Ok(Count::Last(10))),
            ("+3", Ok(Count::From(3))),
            ("1K", Ok(Count::Last(1024))),
            ("2kB", Ok(Count::Last(2000))),
        ] {
            assert_eq!(text.parse(), count, "{text}");
        }
        for text in ["", "x", "+", "1X", "99999999999999999999"] {
            assert!(text.parse::<Count>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_old_is_understood() {
        let modern = |words: &[&str]| {
            let argv: Vec<OsString> = words.iter().map(OsString::from).collect();
            modern(&argv).iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(modern(&["tail", "-20f", "a"]), ["tail", "-n", "20", "-f", "a"]);
        assert_eq!(modern(&["tail", "-5", "a"]), ["tail", "-n", "5", "a"]);
        assert_eq!(modern(&["tail", "-F", "a"]), ["tail", "-F", "a"]);
    }
}
