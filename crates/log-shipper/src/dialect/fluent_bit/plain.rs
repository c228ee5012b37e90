//! `stdout` and `file`: lines as they are there.

use std::sync::Arc;

use super::units::bytes;
use crate::{
    dialect::section::{Entry, Section},
    output::{
        Shape, Ship, Stdout,
        file::{File, Rotate},
        gzip::Compression,
        layout::Piece,
    },
    parse::time::Pattern,
};

pub(super) fn stdout(section: &mut Section) -> Option<Arc<dyn Ship>> {
    let pieces = match section.entry("format").filter(|entry| !entry.value.eq_ignore_ascii_case("msgpack")) {
        Some(entry) => json(section, &entry)?,
        None => {
            section.no_effect(&["json_date_key", "json_date_format"]);
            // As theirs are printed: `[0] tag: [[1795238396.154218303, {}], {"log"=>"x"}]`.
            vec![
                text("["),
                Piece::Count,
                text("] "),
                Piece::Tag,
                text(": [["),
                Piece::Epoch(9),
                text(", {}], "),
                Piece::Arrows,
                text("]"),
            ]
        }
    };
    section.no_effect(&["workers"]);
    Some(Arc::new(Stdout { shape: Shape::Layout(pieces.into()), names: None }))
}

fn text(text: &str) -> Piece {
    Piece::Text(text.into())
}

/// One object in each line. `json`, which has an array for each flush, is an array of one.
fn json(section: &mut Section, format: &Entry) -> Option<Vec<Piece>> {
    let is_array = match format.value.to_ascii_lowercase().as_str() {
        "json_lines" | "json_stream" => false,
        "json" => true,
        _ => {
            section.wrong(format, "expected json_lines, json, json_stream or msgpack");
            return None;
        }
    };
    let key = section.text("json_date_key").unwrap_or_else(|| "date".into());
    let date = |spec: &str| vec![text("\""), Pattern::new(spec).map_or_else(|_| text(""), Piece::Date), text("\"")];
    let time = section.read("json_date_format", |format| match format.to_ascii_lowercase().as_str() {
        "double" => Ok(vec![Piece::Epoch(6)]),
        "epoch" => Ok(vec![Piece::Epoch(0)]),
        "epoch_ms" => Ok(vec![Piece::EpochMillis]),
        "iso8601" => Ok(date("%Y-%m-%dT%H:%M:%S.%6NZ")),
        "java_sql_timestamp" => Ok(date("%Y-%m-%d %H:%M:%S.%6N")),
        _ => Err("expected double, epoch, epoch_ms, iso8601 or java_sql_timestamp"),
    });
    let mut pieces = vec![text(if is_array { "[{" } else { "{" })];
    // A key that is switched off leaves the record alone.
    if matches!(key.to_ascii_lowercase().as_str(), "false" | "off" | "no") {
        pieces = vec![text(if is_array { "[" } else { "" }), Piece::Object, text(if is_array { "]" } else { "" })];
        return Some(pieces);
    }
    let mut name = Vec::new();
    crate::json::key(&key, &mut name);
    pieces.push(text(&String::from_utf8_lossy(&name)));
    pieces.extend(time.unwrap_or_else(|| vec![Piece::Epoch(6)]));
    pieces.push(Piece::Members);
    pieces.push(text(if is_array { "}]" } else { "}" }));
    Some(pieces)
}

pub(super) fn file(section: &mut Section) -> Option<Arc<dyn Ship>> {
    let directory = section.text("path").unwrap_or_else(|| ".".into());
    let name = section.text("file");
    let is_stdout = name.as_deref() == Some("stdout");
    let has_dates = section.switch("enable_strftime").unwrap_or(false);
    let literal = |part: &str| if has_dates { part.to_owned() } else { part.replace('%', "%%") };
    // Without a name it is the tag.
    let name = name.map_or_else(|| "{tag}".into(), |name| literal(&name));
    let path = format!("{}/{name}", literal(&directory).trim_end_matches('/'));
    let path = path.parse().map_err(|expected| section.problem(format_args!("\"{path}\": {expected}"))).ok();
    let pieces = match section.entry("format") {
        None => vec![Piece::Tag, text(": ["), Piece::Epoch(9), text(", "), Piece::Object, text("]")],
        Some(entry) if entry.value.eq_ignore_ascii_case("plain") => vec![Piece::Object],
        Some(entry) => {
            section.wrong(&entry, "expected plain, or nothing for the tag, the time and the record");
            vec![]
        }
    };
    let rotates = section.switch("rotate").unwrap_or(false);
    let size = section.read("rotate_max_size", bytes).unwrap_or(100_000_000);
    let keep = section.parsed("rotate_max_files").unwrap_or(7);
    let compress = if section.switch("rotate_gzip").unwrap_or(true) { Compression::Gzip } else { Compression::None };
    let rotate = rotates.then_some(Rotate { size: Some(size), every: None, keep, compress });
    section.no_effect(&["mkdir", "workers", "max_dynamic_files", "on_missing_field", "on_limit_reached"]);
    section.no_effect(&["fallback_path", "fallback_file"]);
    section.refused(
        &["template", "delimiter", "label_delimiter", "csv_column_names"],
        "only for formats that are not written here: expected plain, or no Format",
    );
    if directory.trim_end_matches('/') == "/dev" && is_stdout {
        // It is no file that could be written to the disk.
        return Some(Arc::new(Stdout { shape: Shape::Layout(pieces.into()), names: None }));
    }
    Some(Arc::new(File { path: path?, shape: Shape::Layout(pieces.into()), sync: true, rotate }))
}
