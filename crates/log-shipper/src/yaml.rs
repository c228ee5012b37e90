//! Our own config file: YAML in, [`Config`] out, every problem reported with its line.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use common::{Failure, config::Section};
use values::{ByteSize, Span};

use crate::{
    config::{Batch, Config, Input, Lines, Output, Retry, Start, State, Tag, TooLong, Until},
    join::Join,
    output::KINDS,
    parse::{
        Format, TimeField, access, json, logfmt, ltsv,
        multiline::{Grouping, Rules},
        regex, time,
        types::Types,
    },
    select::{Only, Select},
};

/// Where positions are remembered when nothing else is said.
pub const STATE: &str = "/var/lib/log-shipper/positions";

/// Reads a whole file of ours.
pub fn read(path: &Path) -> Result<Config, Failure> {
    common::config::read(path, |root| {
        root.ignore("sidecar"); // common reads this one
        config(root)
    })
}

fn config(root: &mut Section) -> Config {
    let inputs: Vec<_> = root.sections("inputs").iter_mut().map(input).collect();
    let outputs: Vec<_> = root.sections("outputs").iter_mut().filter_map(output).collect();
    if inputs.is_empty() {
        root.problem("nothing to read: expected inputs");
    }
    if outputs.is_empty() {
        root.problem("nowhere to ship to: expected outputs");
    }
    for (nth, output) in outputs.iter().enumerate() {
        if outputs[..nth].iter().any(|other| other.name == output.name) {
            root.problem(format!("outputs: two are called \"{}\": expected a name of its own for each", output.name));
        }
    }
    Config {
        inputs,
        outputs,
        state: root.parsed("state_file").map_or(State::Try(STATE.into()), State::Try),
        until: Until::ToldToStop,
        poll: root.parsed("poll").map_or(POLL, |Span(poll)| poll),
    }
}

pub const POLL: Duration = Duration::from_secs(1);

fn input(section: &mut Section) -> Input {
    let defaults = Input::default();
    let lines = Lines {
        longest: section.parsed("longest_line").map_or(defaults.lines.longest, |ByteSize(bytes)| bytes as usize),
        too_long: section.parsed("too_long").unwrap_or(defaults.lines.too_long),
        keep_empty: section.parsed("keep_empty").unwrap_or(defaults.lines.keep_empty),
        keep_return: section.parsed("keep_return").unwrap_or(defaults.lines.keep_return),
        unfinished_after: section.parsed("unfinished_after").map_or(defaults.lines.unfinished_after, |Span(time)| time),
    };
    let paths: Vec<PathBuf> = section.list("paths");
    if paths.is_empty() {
        section.problem("paths: required");
    }
    Input {
        tag: section.parsed("tag").map_or(defaults.tag, Tag::Fixed),
        paths,
        exclude: section.list("exclude"),
        start: section.parsed("start").unwrap_or(defaults.start),
        ignore_older: section.parsed("ignore_older").map(|Span(age)| age),
        lines,
        join: join(section),
        format: format(section),
        fields: section.pairs("fields").into_iter().collect(),
        line_key: section.parsed("line_key").unwrap_or(defaults.line_key),
        path_key: section.parsed("path_key"),
        rotate_wait: section.parsed("rotate_wait").map_or(defaults.rotate_wait, |Span(time)| time),
    }
}

/// What makes records of lines.
fn join(section: &mut Section) -> Join {
    let defaults = Join::default();
    let container = section.parsed("container").unwrap_or(defaults.container);
    let wait = section.parsed("multiline_wait").map_or(defaults.wait, |Span(wait)| wait);
    let grouping = section.section_or("multiline", "builtin").and_then(|mut section| {
        let builtin = section.parsed("builtin").map(|Builtin(rules)| Ok(Grouping::Rules(rules)));
        let start = section.parsed::<String>("start").map(|pattern| Grouping::start(&pattern));
        let continues = section.parsed::<String>("continue").map(|pattern| Grouping::continues(&pattern));
        let mut given: Vec<_> = [builtin, start, continues].into_iter().flatten().collect();
        if given.len() != 1 {
            section.problem("expected one of builtin, start, continue");
        }
        given.pop()?.map_err(|problem| section.problem(problem)).ok()
    });
    Join { container, lines: grouping.map(Arc::new), wait }
}

/// `java`, or several: `python, go`.
struct Builtin(Rules);

impl FromStr for Builtin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let one = |name: &str| {
            let rules = Rules::builtin(name.trim());
            rules.ok_or_else(|| format!("\"{}\": expected java, python, go or ruby", name.trim()))
        };
        let mut all = text.split(',').map(one);
        let first = all.next().ok_or("expected java, python, go or ruby")??;
        all.try_fold(first, |rules, more| Ok(rules.or(more?))).map(Self)
    }
}

/// How a record is written.
fn format(section: &mut Section) -> Format {
    let time = section.section_or("time", "field").and_then(|mut section| {
        let name = section.required("field");
        let offset = section.parsed("offset").map_or(0, |Offset(seconds)| seconds);
        let format = section.parsed::<String>("format").unwrap_or_else(|| "rfc3339".into());
        let format = time::Format::new(&format).map_err(|problem| section.problem(format!("format: {problem}")));
        let keep = section.parsed("keep").unwrap_or(false);
        Some(TimeField { name: name?, format: format.ok()?.with_offset(offset), keep })
    });
    let types = section.pairs("types").iter().map(|(name, kind)| format!("{name}:{kind} ")).collect::<String>();
    let types = Types::parse(&types).unwrap_or_else(|problem| {
        section.problem(format!("types: {problem}"));
        Types::default()
    });
    let skip_empty = section.parsed("skip_empty").unwrap_or(true);
    let pattern: Option<String> = section.parsed("pattern");
    let kind: Option<String> = section.parsed("format");
    let access = |shape, time| Format::Access(access::Options { shape, time, types: types.clone(), skip_empty });
    match (kind.as_deref(), pattern) {
        (None | Some("regex"), Some(pattern)) => match regex::Options::new(&pattern, time, &types, skip_empty) {
            Ok(options) => return Format::Regex(options),
            Err(problem) => section.problem(format!("pattern: {problem}")),
        },
        (_, Some(_)) => section.problem("pattern: only for format regex"),
        (None | Some("raw"), None) => {}
        (Some("json"), None) => return Format::Json(json::Options { time }),
        (Some("logfmt"), None) => return Format::Logfmt(logfmt::Options { time, types, ..logfmt::Options::default() }),
        (Some("ltsv"), None) => return Format::Ltsv(ltsv::Options { time, types }),
        (Some("nginx"), None) => return access(access::Shape::NginxExact, time.or_else(access_time)),
        (Some("apache"), None) => return access(access::Shape::Apache, time.or_else(access_time)),
        (Some("regex"), None) => section.problem("pattern: required for format regex"),
        (Some(other), None) => {
            section.problem(format!("format: \"{other}\": expected raw, json, logfmt, ltsv, nginx, apache or regex"));
        }
    }
    Format::Raw
}

/// What web servers write.
fn access_time() -> Option<TimeField> {
    let format = time::Format::new("%d/%b/%Y:%H:%M:%S %z").ok()?;
    Some(TimeField { name: "time".into(), format, keep: false })
}

/// `+02:00`.
struct Offset(i32);

impl FromStr for Offset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        time::offset(text).map(Self)
    }
}

impl FromStr for Start {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "head" => Ok(Self::Head),
            "tail" => Ok(Self::Tail),
            _ => Err("expected head or tail"),
        }
    }
}

impl FromStr for TooLong {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "split" => Ok(Self::Split),
            "truncate" => Ok(Self::Truncate),
            "skip" => Ok(Self::Skip),
            _ => Err("expected split, truncate or skip"),
        }
    }
}

fn output(section: &mut Section) -> Option<Output> {
    let mut ships: Vec<_> =
        KINDS.iter().filter_map(|(kind, read)| Some((*kind, read(&mut section.section(kind)?)))).collect();
    let defaults = Batch::default();
    let batch = Batch {
        bytes: section.parsed("batch_bytes").map_or(defaults.bytes, |ByteSize(bytes)| bytes as usize),
        pause: section.parsed("pause").map_or(defaults.pause, |Span(pause)| pause),
    };
    let mut retry = Retry::default();
    if let Some(mut section) = section.section("retry") {
        let set = |place: &mut Duration, value: Option<Span>| *place = value.map_or(*place, Duration::from);
        set(&mut retry.first, section.parsed("first"));
        set(&mut retry.most, section.parsed("most"));
        retry.limit = section.parsed("limit");
    }
    let tags = section.list("tags");
    let selects = if tags.is_empty() { Select::All } else { Select::Tags(tags) };
    let only = Only(section.lists("where"));
    let name: Option<String> = section.parsed("name");
    if ships.len() != 1 {
        section.problem(format!("expected one of {}", KINDS.map(|(kind, _)| kind).join(", ")));
    }
    let (kind, ship) = ships.pop()?;
    Some(Output { name: name.unwrap_or_else(|| kind.into()), selects, only, ship, batch, retry })
}
