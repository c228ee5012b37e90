//! What a route is for: path, headers, query.

use crate::{
    config::{FieldPattern, Tunnel, When},
    pattern::{Expression, PathPattern, TextPattern},
};

use super::walk::Message;

type Make = fn(String) -> TextPattern;

pub fn when(message: &mut Message) -> When {
    let ignore_case = !message.flag("case_sensitive").unwrap_or(true);
    let mut paths = Vec::new();
    if let Some(prefix) = message.text("prefix") {
        paths.push(match (prefix.as_str(), ignore_case) {
            ("", _) => PathPattern::Any,
            (_, true) => PathPattern::PrefixIgnoringCase(prefix),
            (_, false) => PathPattern::Prefix(prefix),
        });
    }
    if let Some(path) = message.text("path") {
        paths.push(if ignore_case { PathPattern::ExactIgnoringCase(path) } else { PathPattern::Exact(path) });
    }
    if let Some(prefix) = message.text("path_separated_prefix") {
        paths.push(PathPattern::Segments(prefix));
    }
    if let Some(expression) = message.message("safe_regex").and_then(|mut inner| whole(&mut inner)) {
        paths.push(PathPattern::Regex(expression));
    }
    let tunnel = match message.message("connect_matcher") {
        Some(_) if paths.is_empty() => {
            paths.push(PathPattern::Any);
            Tunnel::Only
        }
        Some(_) => {
            message.problem("connect_matcher: expected alone, CONNECT has no path");
            Tunnel::Only
        }
        None => Tunnel::Never,
    };
    message.refuse(&[
        "runtime_fraction",
        "tls_context",
        "dynamic_metadata",
        "path_match_policy",
        "filter_state",
        "regex",
    ]);
    if paths.len() != 1 {
        message.problem("expected one of prefix, path, path_separated_prefix, safe_regex and connect_matcher");
    }
    let mut when = When { path: paths.pop().unwrap_or_default(), tunnel, ..When::default() };
    when.headers = message.messages("headers").iter_mut().filter_map(header).collect();
    when.query = message.messages("query_parameters").iter_mut().map(parameter).collect();
    if let Some(mut grpc) = message.message("grpc") {
        grpc.ignore_all();
        let value = Some(TextPattern::Prefix("application/grpc".into()));
        when.headers.push(FieldPattern { name: "content-type".into(), value, invert: false });
    }
    when
}

/// RE2 as Envoy uses it: all of the text has to fit.
pub fn whole(message: &mut Message) -> Option<Expression> {
    expression(message, true)
}

pub fn part(message: &mut Message) -> Option<Expression> {
    expression(message, false)
}

fn expression(message: &mut Message, anchored: bool) -> Option<Expression> {
    message.ignore(&["google_re2"]);
    let text = message.required("regex");
    let pattern = if anchored { format!("^(?:{text})$") } else { text.clone() };
    Expression::new(&pattern, false).map_err(|why| message.problem(format!("regex \"{text}\": {why}"))).ok()
}

fn header(message: &mut Message) -> Option<FieldPattern> {
    let name = message.required("name").to_ascii_lowercase();
    let invert = message.flag("invert_match").unwrap_or(false);
    message.only("treat_missing_header_as_empty", &["false"]);
    let mut found = Vec::new();
    let plain: [(&'static str, Make); 4] = [
        ("exact_match", TextPattern::Exact),
        ("prefix_match", TextPattern::Prefix),
        ("suffix_match", TextPattern::Suffix),
        ("contains_match", TextPattern::Contains),
    ];
    for (field, pattern) in plain {
        found.extend(message.text(field).map(|text| (Some(pattern(text)), invert)));
    }
    if let Some(mut inner) = message.message("safe_regex_match") {
        found.extend(whole(&mut inner).map(|expression| (Some(TextPattern::Regex(expression)), invert)));
    }
    if let Some(mut inner) = message.message("string_match") {
        found.extend(string(&mut inner).map(|pattern| (Some(pattern), invert)));
    }
    if let Some(mut inner) = message.message("range_match") {
        let (from, to) = (inner.number("start").unwrap_or(0), inner.number("end").unwrap_or(0));
        found.push((Some(TextPattern::Range(from, to)), invert));
    }
    if let Some(present) = message.flag("present_match") {
        found.push((None, invert == present));
    }
    match found.len() {
        0 => Some(FieldPattern { name, value: None, invert }),
        1 => found.pop().map(|(value, invert)| FieldPattern { name, value, invert }),
        _ => {
            message.problem("expected one kind of match");
            None
        }
    }
}

fn parameter(message: &mut Message) -> FieldPattern {
    let name = message.required("name");
    let value = message.message("string_match").and_then(|mut inner| string(&mut inner));
    let present = message.flag("present_match").unwrap_or(true);
    FieldPattern { name, value, invert: !present }
}

/// A StringMatcher.
pub fn string(message: &mut Message) -> Option<TextPattern> {
    let ignore_case = message.flag("ignore_case").unwrap_or(false);
    let kinds: [(&'static str, Make, [&str; 2]); 4] = [
        ("exact", TextPattern::Exact, ["^", "$"]),
        ("prefix", TextPattern::Prefix, ["^", ""]),
        ("suffix", TextPattern::Suffix, ["", "$"]),
        ("contains", TextPattern::Contains, ["", ""]),
    ];
    for (field, pattern, [start, end]) in kinds {
        let Some(text) = message.text(field) else { continue };
        if !ignore_case {
            return Some(pattern(text));
        }
        let quoted = format!("{start}{}{end}", regex::escape(&text));
        return Expression::new(&quoted, true).map(TextPattern::Regex).map_err(|why| message.problem(why)).ok();
    }
    match message.message("safe_regex") {
        Some(mut inner) => whole(&mut inner).map(TextPattern::Regex),
        None => {
            message.problem("expected exact, prefix, suffix, contains or safe_regex");
            None
        }
    }
}
