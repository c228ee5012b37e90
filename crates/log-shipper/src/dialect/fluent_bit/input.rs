//! `[INPUT]`: files to follow.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    parsers::{Parser, Parsers, grouping, shared},
    units::{bytes, seconds},
};
use crate::{
    config::{Input, Lines, Start, Tag, TooLong},
    dialect::{
        World,
        section::{Entry, Section},
    },
    join::Join,
    parse::{Format, multiline::Rules, pattern},
};

/// What an input says that is not about itself.
#[derive(Default)]
pub(super) struct Said {
    /// Where it wants its positions.
    pub(super) database: Option<PathBuf>,
    pub(super) ends_with_files: bool,
}

/// Memory is bounded, and the files are the buffer.
const MEMORY: [&str; 10] = [
    "mem_buf_limit",
    "buffer_chunk_size",
    "static_batch_size",
    "event_batch_size",
    "storage.type",
    "storage.pause_on_chunks_overlimit",
    "file_cache_advise",
    "threaded",
    "thread.ring_buffer.capacity",
    "thread.ring_buffer.window",
];
/// Files are watched by directory, and looked at when something happens.
const LOOKING: [&str; 9] = [
    "refresh_interval",
    "watcher_interval",
    "progress_check_interval",
    "progress_check_interval_nsec",
    "inotify_watcher",
    "docker_mode_flush",
    "alias",
    "log_level",
    "log_suppress_interval",
];
/// Positions are in a journal of our own.
const DATABASE: [&str; 4] = ["db.sync", "db.locking", "db.journal_mode", "db.compare_filename"];

pub(super) fn read(mut section: Section, parsers: &Parsers, world: &World) -> Option<(Input, Said)> {
    let Some(name) = section.entry("name").or_else(|| section.entry("plugin")) else {
        section.problem("Name: required");
        section.forget();
        return None;
    };
    if !name.value.eq_ignore_ascii_case("tail") {
        section.wrong(&name, "expected tail: only files are followed here");
        section.forget();
        return None;
    }
    let paths: Vec<PathBuf> = section.list("path").into_iter().map(PathBuf::from).collect();
    if paths.is_empty() {
        section.problem("Path: required");
    }
    let said = Said { database: section.parsed("db"), ends_with_files: section.switch("exit_on_eof").unwrap_or(false) };
    let key = section.text("key").unwrap_or_else(|| "log".into());
    let (join, format) = understanding(&mut section, parsers);
    let defaults = Input::default();
    let input = Input {
        tag: tag(&mut section),
        paths,
        exclude: section.list("exclude_path"),
        start: start(&mut section, world),
        ignore_older: section.read("ignore_older", seconds).filter(|age| !age.is_zero()),
        lines: lines(&mut section),
        join,
        format,
        line_key: key,
        path_key: section.text("path_key"),
        rotate_wait: section.read("rotate_wait", seconds).unwrap_or(defaults.rotate_wait),
        ..defaults
    };
    for keys in [&MEMORY[..], &LOOKING, &DATABASE] {
        section.no_effect(keys);
    }
    section.refused(&["offset_key"], "the offset cannot be put into records: expected no Offset_Key");
    section.refused(
        &["unicode.encoding", "generic.encoding"],
        "files are read as UTF-8: expected an app that writes UTF-8",
    );
    section.refused_unless("ignore_active_older_files", false, "a file that is being written to is not old");
    section.refused_unless("routable", true, "expected an input whose records go somewhere");
    for entry in section.all_beginning("rate_") {
        section.say(&entry, "reading is not slowed down: memory is bounded, and a slow output holds it back");
    }
    Some((input, said))
}

fn tag(section: &mut Section) -> Tag {
    let tag = section.text("tag").unwrap_or_else(|| "tail.0".into());
    if let Some(expression) = section.read("tag_regex", pattern::text) {
        return Tag::Captured(expression, tag);
    }
    match tag.split_once('*') {
        Some((before, after)) => Tag::WithPath(before.into(), after.into()),
        None => Tag::Fixed(tag),
    }
}

fn start(section: &mut Section, world: &World) -> Start {
    section.refused_unless(
        "read_newly_discovered_files_from_head",
        true,
        "files that come later are read from their beginning, or lines would be lost",
    );
    world.start(section.switch("read_from_head"))
}

fn lines(section: &mut Section) -> Lines {
    let defaults = Lines::default();
    let skips = section.switch("skip_long_lines").unwrap_or(false);
    let truncates = section.switch("truncate_long_lines").unwrap_or(false);
    let longest = section.read("buffer_max_size", bytes).and_then(|bytes| usize::try_from(bytes).ok());
    let too_long = match (truncates, skips) {
        (true, _) => TooLong::Truncate,
        (false, true) => TooLong::Skip,
        (false, false) => TooLong::Split,
    };
    Lines {
        // Who did not say what becomes of a line that is longer than the buffer did not want to lose it.
        longest: longest.filter(|_| too_long != TooLong::Split).unwrap_or(defaults.longest).max(1024),
        too_long,
        keep_empty: !section.switch("skip_empty_lines").unwrap_or(false),
        ..defaults
    }
}

/// Which lines belong together, and what is in them.
fn understanding(section: &mut Section, parsers: &Parsers) -> (Join, Format) {
    let mut join = Join { container: section.switch("docker_mode").unwrap_or(false), ..Join::default() };
    let parser = section.entry("parser").and_then(|entry| known(section, parsers, &entry));
    let mut format = parser.map_or(Format::Raw, |parser| parser.format.clone());
    if let Some(named) = section.entry("multiline.parser") {
        several(section, parsers, &named, &mut join, &mut format);
    }
    let old = section.switch("multiline").unwrap_or(false);
    let first = section.entry("parser_firstline");
    let flush = section.read("multiline_flush", seconds);
    let others = section.all_beginning("parser_");
    if old {
        if first.is_none() {
            section.problem("Parser_Firstline: required for Multiline On");
        }
        if let Some((entry, first)) = first.as_ref().and_then(|entry| Some((entry, known(section, parsers, entry)?))) {
            join.lines = first.begins().map(Arc::new).map_err(|expected| section.wrong(entry, expected)).ok();
            join.wait = flush.unwrap_or(Duration::from_secs(4));
            format = first.across_lines();
        }
        for entry in &others {
            section.say(entry, "only Parser_Firstline takes records of several lines apart");
        }
    } else {
        for entry in others.iter().chain(&first) {
            section.say(entry, "only with Multiline On");
        }
    }
    if let Some(entry) = section.entry("docker_mode_parser")
        && let Some(parser) = known(section, parsers, &entry)
    {
        join.lines = parser.begins().map(Arc::new).map_err(|expected| section.wrong(&entry, expected)).ok();
    }
    (join, format)
}

fn known<'p>(section: &Section, parsers: &'p Parsers, entry: &Entry) -> Option<&'p Parser> {
    let found = parsers.get(&entry.value);
    if found.is_none() {
        section.wrong(entry, format_args!("no such parser, expected one of {}", parsers.names()));
    }
    found
}

/// `docker, cri`, `java`, or names of `[MULTILINE_PARSER]`s.
fn several(section: &Section, parsers: &Parsers, named: &Entry, join: &mut Join, format: &mut Format) {
    const EXPECTED: &str =
        "no such multiline parser, expected docker, cri, java, python, go, ruby or the name of a [MULTILINE_PARSER]";
    let mut rules: Option<Rules> = None;
    for name in named.value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if matches!(name, "docker" | "cri") {
            join.container = true;
            continue;
        }
        let Some(more) = grouping(parsers, name) else {
            section.say(named, format_args!("\"{name}\": {EXPECTED}"));
            continue;
        };
        rules = Some(match rules {
            Some(rules) => rules.or(more),
            None => more,
        });
        let Some(own) = parsers.multiline(name) else { continue };
        join.wait = own.wait.unwrap_or(join.wait);
        if own.key_content.as_ref().is_some_and(|key| key != "log") {
            section.say(named, format_args!("\"{name}\": key_content: expected log"));
        }
        if let Some(parser) = &own.parser {
            match parsers.get(parser) {
                Some(parser) => *format = parser.across_lines(),
                None => section.say(named, format_args!("\"{name}\": there is no parser {parser}")),
            }
        }
    }
    join.lines = rules.map(shared).or_else(|| join.lines.take());
}
