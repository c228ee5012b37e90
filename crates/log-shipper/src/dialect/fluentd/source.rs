//! `<source>`: files to follow.

use std::path::PathBuf;

use super::{parse, seconds};
use crate::{
    config::{Input, Lines, Tag, TooLong},
    dialect::{
        World,
        section::{Entry, Section},
    },
};

/// An input, and what it says about others.
pub(super) struct Source {
    pub(super) input: Input,
    pub(super) positions: Option<PathBuf>,
    /// The part of the configuration that its records go through.
    pub(super) label: Option<String>,
}

/// Files are watched by directory, memory is bounded, and positions are in a journal of our own.
const NO_EFFECT: [&str; 14] = [
    "@id",
    "@log_level",
    "refresh_interval",
    "follow_inodes",
    "enable_watch_timer",
    "enable_stat_watcher",
    "skip_refresh_on_startup",
    "open_on_every_update",
    "pos_file_compaction_interval",
    "ignore_repeated_permission_error",
    "read_lines_limit",
    "path_timezone",
    "emit_unmatched_lines",
    "glob_policy",
];

/// What belongs into `<parse>`, and may stand in the source itself as it did in old versions.
const OLD: [&str; 10] = [
    "time_key",
    "time_format",
    "time_type",
    "timezone",
    "keep_time_key",
    "types",
    "message_key",
    "format_firstline",
    "expression",
    "format1",
];

pub(super) fn read(mut section: Section, world: &World) -> Option<Source> {
    let kind = section.entry("@type").or_else(|| section.entry("type"));
    if kind.as_ref().is_none_or(|kind| kind.value != "tail") {
        match &kind {
            Some(kind) => section.wrong(kind, "expected tail: only files are followed here"),
            None => section.problem("@type: required"),
        }
        section.forget();
        return None;
    }
    let paths = items(section.entry("path"));
    if paths.is_empty() {
        section.problem("path: required");
    }
    if let Some(path) = paths.iter().find(|path| path.contains('%')) {
        section.problem(format_args!("path {path}: dates in it are not followed, expected * in their place"));
    }
    let tag = section.text("tag").unwrap_or_else(|| {
        section.problem("tag: required");
        String::new()
    });
    let flush = section.read("multiline_flush_interval", seconds);
    let understood = match section.child("parse").or_else(|| old_parse(&mut section)) {
        Some(mut inside) => parse::read(&mut inside, flush),
        None => {
            section.problem("expected <parse> in it");
            section.forget();
            return None;
        }
    };
    let defaults = Input::default();
    let longest = section.read("max_line_size", str::parse::<values::ByteSize>);
    let start = world.start(section.switch("read_from_head"));
    let input = Input {
        tag: match tag.split_once('*') {
            Some((before, after)) => Tag::WithPath(before.into(), after.into()),
            None => Tag::Fixed(tag),
        },
        paths: paths.iter().map(PathBuf::from).collect(),
        exclude: items(section.entry("exclude_path")),
        start,
        ignore_older: section.read("limit_recently_modified", seconds),
        lines: Lines {
            longest: longest.map_or(defaults.lines.longest, |values::ByteSize(bytes)| bytes as usize),
            too_long: if longest.is_some() { TooLong::Skip } else { TooLong::Split },
            ..Lines::default()
        },
        join: understood.join,
        format: understood.format,
        line_key: understood.line_key,
        path_key: section.text("path_key"),
        rotate_wait: section.read("rotate_wait", seconds).unwrap_or(defaults.rotate_wait),
        ..defaults
    };
    let positions = section.parsed("pos_file");
    let label = section.text("@label");
    for key in ["encoding", "from_encoding"] {
        match section.entry(key) {
            Some(entry) if !entry.value.eq_ignore_ascii_case("utf-8") => section.wrong(&entry, "expected UTF-8"),
            _ => {}
        }
    }
    section.no_effect(&NO_EFFECT);
    section.refused(&["read_bytes_limit_per_second"], "reading is not slowed down: a slow output holds it back");
    for group in section.children_of("group") {
        group.problem("files are not grouped: all get their turn");
        group.forget();
    }
    Some(Source { input, positions, label })
}

/// `format json` in the source itself.
fn old_parse(section: &mut Section) -> Option<Section> {
    let format = section.entry("format")?;
    let mut parse = Section::new(section.title.clone(), "parse", "", section.place.clone(), section.findings());
    match format.value.strip_prefix('/') {
        Some(_) => {
            parse.add("@type", "regexp", &format.place);
            parse.add("expression", &format.value, &format.place);
        }
        None => parse.add("@type", &format.value, &format.place),
    }
    for key in OLD {
        for entry in section.all(key) {
            parse.add(key, entry.value, &entry.place);
        }
    }
    Some(parse)
}

/// `a,b`, or `["a", "b"]`.
fn items(entry: Option<Entry>) -> Vec<String> {
    let text = entry.map(|entry| entry.value).unwrap_or_default();
    if let Ok(items) = serde_json::from_str(&text) {
        return items;
    }
    text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}
