//! Virtual hosts, routes, and what is done with a request.

use std::time::Duration;

use crate::{
    config::{
        Action, Forward, HeaderChange, HeaderRule, Host, Http, NewHost, NewPath, Retry, RetryOn, Route, Timeouts,
        Tunnel,
    },
    pattern::{PathPattern, TextPattern},
    template::{Template, Variable},
};

use super::{format, http::Usual, matcher, walk::Message};

/// Header rules of one level.
#[derive(Clone, Default)]
struct Rules {
    request: Vec<HeaderRule>,
    response: Vec<HeaderRule>,
}

pub fn configuration(message: &mut Message, usual: &Usual, http: &mut Http) {
    message.ignore(&[
        "name",
        "validate_clusters",
        "max_direct_response_body_size_bytes",
        "ignore_port_in_host_matching",
    ]);
    message.refuse(&[
        "vhds",
        "cluster_specifier_plugins",
        "request_mirror_policies",
        "typed_per_filter_config",
        "most_specific_header_mutations_wins",
    ]);
    // Whoever is internal to Envoy, nobody is trusted with these here.
    http.client.unwelcome = message.texts("internal_only_headers");
    let outer = rules(message);
    for mut host in message.messages("virtual_hosts") {
        let made = virtual_host(&mut host, usual, &outer);
        http.hosts.push(made);
    }
    if http.hosts.is_empty() {
        message.problem("virtual_hosts: expected at least one");
    }
}

fn virtual_host(message: &mut Message, usual: &Usual, outer: &Rules) -> Host {
    let name = message.required("name");
    let mut host = Host { name, ..Host::default() };
    let domains = message.texts("domains");
    if domains.is_empty() {
        message.problem("domains: expected at least one");
    }
    for domain in domains {
        match domain.parse() {
            Ok(pattern) => host.patterns.push(pattern),
            Err(expected) => message.problem(format!("domains \"{domain}\": {expected}")),
        }
    }
    match message.text("require_tls").as_deref() {
        None | Some("NONE") => {}
        Some("ALL" | "EXTERNAL_ONLY") => host.require_tls = true,
        Some(other) => message.problem(format!("require_tls \"{other}\": expected NONE or ALL")),
    }
    let own = rules(message);
    let around = Rules {
        request: [own.request, outer.request.clone()].concat(),
        response: [own.response, outer.response.clone()].concat(),
    };
    let retry = message.message("retry_policy").map(|mut inner| retry(&mut inner));
    message.ignore(&["include_request_attempt_count", "include_attempt_count_in_response"]);
    message.refuse(&[
        "rate_limits",
        "cors",
        "virtual_clusters",
        "typed_per_filter_config",
        "hedge_policy",
        "matcher",
        "request_mirror_policies",
    ]);
    for mut inner in message.messages("routes") {
        host.routes.extend(route(&mut inner, usual, &around, retry.as_ref()));
    }
    host
}

fn route(
    message: &mut Message,
    usual: &Usual,
    around: &Rules,
    policy: Option<&(Retry, Option<Duration>)>,
) -> Option<Route> {
    let when = match message.message("match") {
        Some(mut inner) => matcher::when(&mut inner),
        None => {
            message.problem("match: required");
            return None;
        }
    };
    let name = message.text("name").unwrap_or_else(|| spoken(&when.path));
    let own = rules(message);
    message.ignore(&["metadata", "decorator", "per_request_buffer_limit_bytes", "stat_prefix"]);
    message.refuse(&["typed_per_filter_config", "tracing", "filter_action", "non_forwarding_action"]);
    let action = match (message.message("route"), message.message("redirect"), message.message("direct_response")) {
        (Some(mut inner), None, None) => {
            let tunnel = when.tunnel != Tunnel::Never;
            Action::Forward(Box::new(forward(&mut inner, usual, policy, tunnel)))
        }
        (None, Some(mut inner), None) => redirect(&mut inner, &when.path),
        (None, None, Some(mut inner)) => direct(&mut inner),
        _ => {
            message.problem("expected one of route, redirect and direct_response");
            return None;
        }
    };
    Some(Route {
        when,
        request_headers: [own.request, around.request.clone()].concat(),
        response_headers: [own.response, around.response.clone()].concat(),
        access_logs: usual.access_logs.clone(),
        ..Route::new(name, PathPattern::Any, action)
    })
}

fn spoken(path: &PathPattern) -> String {
    match path {
        PathPattern::Any => "/".into(),
        PathPattern::Exact(text) | PathPattern::ExactIgnoringCase(text) => format!("= {text}"),
        PathPattern::Prefix(text) | PathPattern::PrefixIgnoringCase(text) | PathPattern::Segments(text) => text.clone(),
        PathPattern::Regex(_) => "regex".into(),
    }
}

fn forward(message: &mut Message, usual: &Usual, policy: Option<&(Retry, Option<Duration>)>, tunnel: bool) -> Forward {
    let mut forward = Forward::to("");
    forward.to.clear();
    forward.to.extend(message.text("cluster").map(|name| (1, name)));
    if let Some(mut weighted) = message.message("weighted_clusters") {
        weighted.ignore(&["total_weight"]);
        weighted.refuse(&["runtime_key_prefix", "header_name", "random_value_specifier"]);
        for mut one in weighted.messages("clusters") {
            let name = one.required("name");
            forward.to.push((one.number("weight").unwrap_or(0), name));
        }
        forward.to.retain(|(weight, _)| *weight > 0);
    }
    message.refuse(&["cluster_header", "cluster_specifier_plugin", "inline_cluster_specifier_plugin"]);
    if forward.to.is_empty() {
        message.problem("expected cluster or weighted_clusters");
    }
    if let Some(prefix) = message.text("prefix_rewrite").filter(|prefix| !prefix.is_empty()) {
        forward.path = NewPath::Instead(prefix);
    }
    if let Some(mut inner) = message.message("regex_rewrite") {
        forward.path = regex_rewrite(&mut inner).unwrap_or_default();
    }
    if let Some(host) = message.text("host_rewrite_literal") {
        forward.host = NewHost::Is(Template::text(host));
    }
    if let Some(header) = message.text("host_rewrite_header") {
        forward.host = NewHost::Is(Template::variable(Variable::Header(header)));
    }
    if message.flag("auto_host_rewrite").unwrap_or(false) {
        forward.host = NewHost::Endpoint;
    }
    let total = message.duration("timeout").unwrap_or(Duration::from_secs(15));
    let idle = message.duration("idle_timeout").map_or(usual.stream_idle, |span| (!span.is_zero()).then_some(span));
    let own = message.message("retry_policy").map(|mut inner| retry(&mut inner));
    let (retry, per_try) = own.or_else(|| policy.cloned()).unwrap_or_default();
    forward.retry = retry;
    forward.timeouts = Timeouts { total: (!total.is_zero()).then_some(total), response: idle, send: idle, per_try };
    let upgrades = usual.upgrades.with(message);
    forward.upgrade = upgrades.websocket;
    if tunnel {
        forward.upgrade = upgrades.connect;
        // As long as it is used, whatever is said of requests.
        forward.timeouts.total = None;
        if upgrades.connect && !upgrades.ends_here {
            message
                .problem("upgrade_configs: CONNECT is supported only with connect_config here: the tunnel ends here");
        }
    }
    message.ignore(&["priority", "append_x_forwarded_host", "include_vh_rate_limits", "metadata_match"]);
    message.refuse(&[
        "hash_policy",
        "request_mirror_policies",
        "rate_limits",
        "cors",
        "hedge_policy",
        "max_stream_duration",
        "internal_redirect_policy",
        "path_rewrite_policy",
        "host_rewrite_path_regex",
        "cluster_not_found_response_code",
        "early_data_policy",
        "flush_timeout",
        "max_grpc_timeout",
        "grpc_timeout_offset",
    ]);
    forward
}

fn regex_rewrite(message: &mut Message) -> Option<NewPath> {
    let expression = message.message("pattern").and_then(|mut inner| matcher::part(&mut inner));
    let substitution = message.required("substitution");
    Some(NewPath::Regex { pattern: TextPattern::Regex(expression?), to: groups(&substitution) })
}

/// `\1` is the first group, `\\` a backslash.
fn groups(text: &str) -> Template {
    let mut template = Template::default();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, rest.clone().next()) {
            ('\\', Some(digit)) if digit.is_ascii_digit() => {
                template.push(Variable::Capture(digit as usize - '0' as usize));
                rest.next();
            }
            ('\\', Some('\\')) => {
                template.push_text("\\");
                rest.next();
            }
            (c, _) => template.push_text(c.encode_utf8(&mut [0; 4])),
        }
    }
    template
}

fn retry(message: &mut Message) -> (Retry, Option<Duration>) {
    let mut retry = Retry {
        times: message.number("num_retries").unwrap_or(1),
        on: RetryOn { connect_failure: false, reset: false, unsafe_methods: true, ..RetryOn::default() },
        ..Retry::default()
    };
    let statuses: Vec<u16> =
        message.texts("retriable_status_codes").iter().filter_map(|text| text.parse().ok()).collect();
    for word in message.text("retry_on").unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let on = &mut retry.on;
        match word {
            "5xx" => {
                (on.connect_failure, on.reset, on.timeout) = (true, true, true);
                on.statuses.extend(500..=599);
            }
            "gateway-error" => {
                (on.connect_failure, on.reset, on.timeout) = (true, true, true);
                on.statuses.extend([502, 503, 504]);
            }
            "reset" => (on.connect_failure, on.reset, on.timeout) = (true, true, true),
            "reset-before-request" | "connect-failure" | "refused-stream" => on.connect_failure = true,
            "retriable-4xx" => on.statuses.push(409),
            "retriable-status-codes" => on.statuses.extend(&statuses),
            other => message.problem(format!("retry_on \"{other}\" is not supported here")),
        }
    }
    retry.on.statuses.sort_unstable();
    retry.on.statuses.dedup();
    if let Some(mut pause) = message.message("retry_back_off") {
        retry.pause = pause.duration("base_interval").unwrap_or(retry.pause);
        pause.ignore(&["max_interval"]);
    }
    let per_try = message.duration("per_try_timeout").filter(|span| !span.is_zero());
    message.ignore(&["retry_host_predicate", "host_selection_retry_max_attempts", "retry_priority"]);
    message.refuse(&[
        "retriable_headers",
        "retriable_request_headers",
        "rate_limited_retry_back_off",
        "per_try_idle_timeout",
        "retry_options_predicates",
    ]);
    (retry, per_try)
}

fn redirect(message: &mut Message, matched: &PathPattern) -> Action {
    let https = message.flag("https_redirect").unwrap_or(false);
    let scheme = if https { Some("https".to_owned()) } else { message.text("scheme_redirect") };
    let host = message.text("host_redirect");
    let port: Option<u16> = message.number("port_redirect");
    let mut to = match scheme {
        Some(scheme) => Template::text(scheme),
        None => Template::variable(Variable::Scheme),
    };
    to.push_text("://");
    match (host, port) {
        (Some(host), _) => to.push_text(&host),
        // Another port, or another scheme with its own: the old one goes.
        (None, Some(_)) => to.push(Variable::Host),
        (None, None) if https => to.push(Variable::Host),
        (None, None) => to.push(Variable::Authority),
    }
    if let Some(port) = port {
        to.push_text(&format!(":{port}"));
    }
    let strip = message.flag("strip_query").unwrap_or(false);
    match (message.text("path_redirect"), message.text("prefix_rewrite"), message.message("regex_rewrite")) {
        (Some(path), None, None) => {
            to.push_text(&path);
            if !path.contains('?') && !strip {
                query(&mut to);
            }
        }
        (None, Some(prefix), None) => {
            to.push_text(&prefix);
            let cut = match matched {
                PathPattern::Prefix(text) | PathPattern::PrefixIgnoringCase(text) | PathPattern::Segments(text) => {
                    text.len()
                }
                PathPattern::Any => 0,
                _ => usize::MAX,
            };
            to.push(Variable::PathAfter(cut));
            if !strip {
                query(&mut to);
            }
        }
        (None, None, Some(mut inner)) => {
            inner.ignore_all();
            message.problem("regex_rewrite in a redirect is not supported here");
        }
        (None, None, None) => {
            to.push(Variable::RawPath);
            if !strip {
                query(&mut to);
            }
        }
        _ => message.problem("expected one of path_redirect, prefix_rewrite and regex_rewrite"),
    }
    let status = match message.text("response_code").as_deref() {
        None | Some("MOVED_PERMANENTLY") => 301,
        Some("FOUND") => 302,
        Some("SEE_OTHER") => 303,
        Some("TEMPORARY_REDIRECT") => 307,
        Some("PERMANENT_REDIRECT") => 308,
        Some(other) => {
            message.problem(format!("response_code \"{other}\": expected MOVED_PERMANENTLY, FOUND, SEE_OTHER, TEMPORARY_REDIRECT or PERMANENT_REDIRECT"));
            301
        }
    };
    Action::Redirect { status, to }
}

fn query(to: &mut Template) {
    to.push(Variable::QueryMark);
    to.push(Variable::Query);
}

fn direct(message: &mut Message) -> Action {
    let status = message.number("status").filter(|status| (200..600).contains(status));
    if status.is_none() {
        message.problem("status: required, a number from 200 to 599");
    }
    let mut body = Template::default();
    if let Some(mut source) = message.message("body") {
        source.refuse(&["inline_bytes", "environment_variable", "watched_directory"]);
        body = Template::text(source.text("inline_string").unwrap_or_default());
        if let Some(file) = source.text("filename") {
            match values::read_text(file.as_ref(), 4096) {
                Ok(text) => body = Template::text(text),
                Err(problem) => source.problem(problem),
            }
        }
    }
    message.refuse(&["body_format"]);
    Action::Respond { status: status.unwrap_or(500), content_type: Some("text/plain".into()), body }
}

fn rules(message: &mut Message) -> Rules {
    Rules {
        request: level(message, "request_headers_to_add", "request_headers_to_remove"),
        response: level(message, "response_headers_to_add", "response_headers_to_remove"),
    }
}

fn level(message: &mut Message, add: &'static str, remove: &'static str) -> Vec<HeaderRule> {
    let rule = |name: String, change| HeaderRule { name, change, always: true };
    let mut rules: Vec<HeaderRule> =
        message.texts(remove).into_iter().map(|name| rule(name, HeaderChange::Remove)).collect();
    for mut option in message.messages(add) {
        let Some(mut header) = option.message("header") else {
            option.problem("header: required");
            continue;
        };
        let (name, value) = (header.required("key"), header.text("value").unwrap_or_default());
        header.refuse(&["raw_value"]);
        option.only("keep_empty_value", &["false"]);
        let append = option.flag("append").unwrap_or(true);
        let action = option.text("append_action");
        let template = match format::template(&value) {
            Ok(template) => template,
            Err(problem) => {
                header.problem(problem);
                continue;
            }
        };
        if !http1::is_field_name(name.as_bytes()) || name.eq_ignore_ascii_case("host") {
            header.problem(format!("key \"{name}\": expected the name of a header, and not host"));
        }
        let change = match action.as_deref() {
            None if !append => HeaderChange::Set(template),
            None | Some("APPEND_IF_EXISTS_OR_ADD") => HeaderChange::Add(template),
            Some("ADD_IF_ABSENT") => HeaderChange::Default(template),
            Some("OVERWRITE_IF_EXISTS_OR_ADD") => HeaderChange::Set(template),
            Some(other) => {
                option.problem(format!("append_action {other} is not supported here"));
                continue;
            }
        };
        rules.push(rule(name, change));
    }
    rules
}
