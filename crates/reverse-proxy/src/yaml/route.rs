//! `routes`: the first that fits is taken.

use common::config::Section;
use values::{ByteSize, Span};

use crate::{
    config::{
        Access, Action, BasicAuth, Forward, HeaderChange, HeaderRule, NewHost, NewPath, Retry, RetryOn, Route,
        Timeouts, When,
    },
    net::Network,
    pattern::{Expression, PathPattern, TextPattern},
    template::Template,
};

use super::{
    Reader, listener, log,
    words::{self, Status, Text},
};

pub fn routes(section: &mut Section, reader: &mut Reader, logs: &[usize], auth: Option<&BasicAuth>) -> Vec<Route> {
    section.sections("routes").iter_mut().filter_map(|section| route(section, reader, logs, auth)).collect()
}

fn route(section: &mut Section, reader: &mut Reader, logs: &[usize], auth: Option<&BasicAuth>) -> Option<Route> {
    let when = when(section);
    let name = section.parsed("name").unwrap_or_else(|| spoken(&when.path));
    let action = action(section, reader);
    let auth = listener::basic_auth(section, auth);
    let logs = if section.has("access_log") { log::access_log(section, reader) } else { logs.to_vec() };
    let request_headers = headers(section, "request_headers");
    let response_headers = headers(section, "response_headers");
    let names: Vec<Text> = section.list("client_names");
    let mut access: Vec<Access> = Vec::new();
    let (allow, deny): (Vec<Network>, Vec<Network>) = (section.list("allow"), section.list("deny"));
    access.extend(deny.iter().map(|from| Access { allow: false, from: *from }));
    access.extend(allow.iter().map(|from| Access { allow: true, from: *from }));
    if !allow.is_empty() {
        // Whoever names those who may come in means nobody else.
        access.extend([Network::ALL_V4, Network::ALL_V6].map(|from| Access { allow: false, from }));
    }
    let max_body = section.parsed::<ByteSize>("max_body").map(|size| size.0);
    Some(Route {
        when,
        auth,
        access,
        max_body,
        request_headers,
        response_headers,
        access_logs: logs,
        client_names: names.into_iter().map(|Text(pattern)| pattern).collect(),
        ..Route::new(name, PathPattern::Any, action?)
    })
}

fn spoken(path: &PathPattern) -> String {
    match path {
        PathPattern::Any => "any".into(),
        PathPattern::Exact(text) | PathPattern::ExactIgnoringCase(text) => format!("= {text}"),
        PathPattern::Segments(text) if text.is_empty() => "/".into(),
        PathPattern::Prefix(text) | PathPattern::PrefixIgnoringCase(text) | PathPattern::Segments(text) => text.clone(),
        PathPattern::Regex(_) => "regex".into(),
    }
}

fn when(section: &mut Section) -> When {
    let exact: Option<String> = section.parsed("path");
    let prefix: Option<String> = section.parsed("prefix");
    let regex: Option<Expression> = section.parsed("regex");
    for (key, path) in [("path", &exact), ("prefix", &prefix)] {
        if path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            section.problem(format!("{key}: expected a path that begins with /"));
        }
    }
    let path = match (exact, prefix, regex) {
        (None, None, None) => PathPattern::Any,
        (Some(path), None, None) => PathPattern::Exact(path),
        (None, Some(prefix), None) => match prefix.strip_suffix('/') {
            // All paths; what is put in front of them gets no second slash.
            Some("") => PathPattern::Segments(String::new()),
            Some(_) => PathPattern::Prefix(prefix),
            None => PathPattern::Segments(prefix),
        },
        (None, None, Some(expression)) => PathPattern::Regex(expression),
        _ => {
            section.problem("expected one of path, prefix and regex");
            PathPattern::Any
        }
    };
    let mut fields = |key: &str| {
        let pairs = section.pairs(key);
        let parsed = pairs.iter().filter_map(|(name, text)| match words::field(name, text) {
            Ok(pattern) => Some(pattern),
            Err(problem) => {
                section.problem(format!("{key}.{name} \"{text}\": {problem}"));
                None
            }
        });
        parsed.collect::<Vec<_>>()
    };
    let (headers, query) = (fields("headers"), fields("query"));
    When { path, headers, query, methods: section.list("methods"), ..When::default() }
}

fn action(section: &mut Section, reader: &mut Reader) -> Option<Action> {
    let redirect = section.section_or("redirect", "to").map(|mut section| {
        let status = section.parsed::<Status<300, 308>>("status").map_or(302, |status| status.0);
        let to: Template = section.required("to").unwrap_or_default();
        Action::Redirect { status, to }
    });
    let respond = section.section_or("respond", "status").map(|mut section| {
        let status = section.required::<Status<200, 599>>("status").map_or(200, |status| status.0);
        let content_type = section.parsed("content_type").or_else(|| Some("text/plain; charset=utf-8".into()));
        Action::Respond { status, content_type, body: section.parsed("body").unwrap_or_default() }
    });
    let forward = section.has("to").then(|| Action::Forward(Box::new(forward(section, reader))));
    let mut found = [redirect, respond, forward].into_iter().flatten();
    let action = found.next();
    if action.is_none() || found.next().is_some() {
        section.problem("expected one of to, redirect and respond");
    }
    action
}

fn forward(section: &mut Section, reader: &mut Reader) -> Forward {
    let mut forward = Forward::to("");
    forward.to = section
        .sections_or_text("to", "cluster")
        .iter_mut()
        .map(|section| {
            let name: String = section.required("cluster").unwrap_or_default();
            let weight = section.parsed("weight").unwrap_or(1);
            (weight, reader.cluster(section, "to", &name))
        })
        .collect();
    if let Some(mut rewrite) = section.section_or("rewrite", "prefix") {
        forward.path = new_path(&mut rewrite);
    }
    if let Some(host) = section.parsed::<Template>("host") {
        forward.host = match host.as_text() {
            Some("endpoint") => NewHost::Endpoint,
            _ => NewHost::Is(host),
        };
    }
    forward.upgrade = section.parsed("upgrade").unwrap_or(true);
    let usual = Timeouts::default();
    let span = |section: &mut Section, key: &str, usual| section.parsed::<Span>(key).map_or(usual, |span| Some(span.0));
    forward.timeouts = Timeouts {
        total: span(section, "timeout", usual.total),
        response: span(section, "response_timeout", usual.response),
        send: span(section, "send_timeout", usual.send),
        per_try: span(section, "per_try_timeout", usual.per_try),
    };
    if let Some(mut retries) = section.section_or("retries", "times") {
        forward.retry = retry(&mut retries);
    }
    forward
}

fn new_path(section: &mut Section) -> NewPath {
    let prefix: Option<String> = section.parsed("prefix");
    let regex: Option<Expression> = section.parsed("regex");
    let path: Option<Template> = section.parsed("path");
    match (prefix, regex, path) {
        (Some(prefix), None, None) if prefix.starts_with('/') => NewPath::Instead(prefix),
        (Some(_), None, None) => {
            section.problem("prefix: expected a path that begins with /");
            NewPath::Same
        }
        (None, Some(expression), None) => {
            let to: Template = section.required("with").unwrap_or_default();
            NewPath::Regex { pattern: TextPattern::Regex(expression), to }
        }
        (None, None, Some(path)) => NewPath::Whole(path),
        _ => {
            section.problem("expected one of prefix, regex (and with) and path");
            NewPath::Same
        }
    }
}

pub fn retry(section: &mut Section) -> Retry {
    let usual = Retry::default();
    let mut retry = Retry {
        times: section.required("times").unwrap_or(usual.times),
        pause: section.parsed::<Span>("pause").map_or(usual.pause, |span| span.0),
        on: usual.on,
    };
    if section.has("on") {
        retry.on = RetryOn { connect_failure: false, reset: false, ..RetryOn::default() };
    }
    for word in section.list::<String>("on") {
        match word.as_str() {
            "connect_failure" => retry.on.connect_failure = true,
            "reset" => retry.on.reset = true,
            "timeout" => retry.on.timeout = true,
            "unsafe_methods" => retry.on.unsafe_methods = true,
            other => match other.parse::<Status<400, 599>>() {
                Ok(Status(status)) => retry.on.statuses.push(status),
                Err(_) => section.problem(format!(
                    "on \"{other}\": expected connect_failure, reset, timeout, unsafe_methods or a status from 400 to 599"
                )),
            },
        }
    }
    retry
}

type Change = fn(Template) -> HeaderChange;

fn headers(section: &mut Section, key: &str) -> Vec<HeaderRule> {
    let Some(mut section) = section.section(key) else { return Vec::new() };
    let mut rules = Vec::new();
    let mut add = |section: &Section, name: &str, change| {
        if http1::is_field_name(name.as_bytes()) {
            rules.push(HeaderRule { name: name.to_owned(), change, always: true });
        } else {
            section.problem(format!("\"{name}\": expected the name of a header"));
        }
    };
    for name in section.list::<String>("remove") {
        add(&section, &name, HeaderChange::Remove);
    }
    let kinds: [(&str, Change); 3] =
        [("set", HeaderChange::Set), ("add", HeaderChange::Add), ("default", HeaderChange::Default)];
    for (verb, change) in kinds {
        for (name, text) in section.pairs(verb) {
            match text.parse::<Template>() {
                Ok(template) => add(&section, &name, change(template)),
                Err(problem) => section.problem(format!("{verb}.{name} \"{text}\": {problem}")),
            }
        }
    }
    rules
}
