//! Locations and what is done in them: `proxy_pass` with its URI rules, `return`, `rewrite`, simple `if`.

use std::time::Duration;

use crate::{
    config::{
        Action, BasicAuth, Forward, Guard, HeaderChange, HeaderRule, NewHost, NewPath, Retry, RetryOn, Rewrite, Route,
        Then, Timeouts,
    },
    pattern::{Expression, PathPattern, TextPattern},
    template::{Template, Variable},
};

use super::{
    http::Http,
    report::Report,
    scope::{Filling, Redirects, Scope},
    set,
    syntax::Directive,
    upstream::Target,
    variables::{self, Defined},
};

/// Fields of the connection, which are ours to write: what a configuration says of them is done anyway.
const OF_THE_HOP: [&str; 5] = ["connection", "upgrade", "keep-alive", "te", "transfer-encoding"];

/// In a pod it is the same one.
pub const RESOLVER: &str = "has no effect here: names are looked up by the system's resolver, again every few seconds";

/// How a location is chosen.
#[derive(Clone, Debug)]
struct Chosen {
    name: String,
    path: PathPattern,
    is_final: bool,
    /// The text of a prefix, which a URI in `proxy_pass` replaces.
    prefix: Option<String>,
    internal: bool,
}

/// Adds the routes of a location, and of those inside it.
pub fn location(
    directive: &Directive,
    outer: &Scope,
    parent: Option<&str>,
    http: &mut Http<'_>,
    report: &mut Report,
    routes: &mut Vec<Route>,
) {
    let Some(block) = &directive.block else { return report.arguments(directive) };
    let chosen = match chosen(&directive.args) {
        Ok(chosen) => chosen,
        Err(problem) => return report.at(directive, problem),
    };
    if let Some(parent) = parent {
        match &chosen.prefix {
            Some(prefix) if prefix.starts_with(parent) => {}
            Some(prefix) => {
                return report.at(directive, format!("location \"{prefix}\" is outside location \"{parent}\""));
            }
            None => return report.at(directive, "a location inside another one has to be a prefix or exact here"),
        }
    }
    let mut defined = http.defined_with(&chosen.path);
    set::read(block, &mut defined, report);
    let defined = defined;
    let mut filling = Filling::new(outer, &defined, http.prefix);
    let (mut guards, mut rewrites, mut action, mut pass) = (Vec::new(), Vec::new(), None, None);
    let mut nested = Vec::new();
    for inner in block {
        match inner.name.as_str() {
            _ if filling.take(inner, report) => {}
            "location" => nested.push(inner),
            "proxy_pass" if pass.is_some() => report.at(inner, "\"proxy_pass\" directive is duplicate"),
            "proxy_pass" => pass = Some(inner),
            "access_log" => {
                let first = filling.first("access_log");
                http.access_log(inner, &mut filling.scope, first, report);
            }
            "stub_status" => action = Some(Action::Status),
            other => {
                let _ = other;
                control(inner, &filling.scope, &defined, report, &mut guards, &mut rewrites, &mut action);
            }
        }
    }
    let scope = filling.scope;
    for inner in nested {
        let parent = chosen.prefix.clone().unwrap_or_default();
        location(inner, &scope, Some(&parent), http, report, routes);
    }
    // `return` is done before `proxy_pass` is looked at.
    if let (None, Some(pass)) = (&action, pass) {
        action =
            proxy_pass(pass, &chosen, &scope, &defined, http, report).map(|forward| Action::Forward(Box::new(forward)));
    }
    let Some(action) = action else {
        if pass.is_none() {
            let name = &chosen.name;
            report.at(
                directive,
                format!("location \"{name}\" has neither proxy_pass nor return: static files are not served here"),
            );
        }
        return;
    };
    let slash = chosen.prefix.as_deref().and_then(|prefix| prefix.strip_suffix('/')).filter(|rest| !rest.is_empty());
    if let (Some(without), Action::Forward(_), false) = (slash, &action, matches!(chosen.path, PathPattern::Exact(_))) {
        let mut route = slash_redirect(without);
        settle(&mut route, &scope, http, directive, report);
        routes.push(route);
    }
    let mut route = Route::new(chosen.name.clone(), chosen.path, action);
    (route.when.is_final, route.when.internal) = (chosen.is_final, chosen.internal);
    (route.guards, route.rewrites) = (guards, rewrites);
    if let Action::Forward(forward) = &mut route.action {
        route.request_headers = request_headers(&scope, forward);
    }
    settle(&mut route, &scope, http, directive, report);
    routes.push(route);
}

/// What the scope says of a route, whatever it does.
pub fn settle(route: &mut Route, scope: &Scope, http: &mut Http<'_>, directive: &Directive, report: &mut Report) {
    route.access.clone_from(&scope.access);
    route.max_body = scope.max_body;
    route.access_logs = http.logs_of(scope);
    route.response_headers.clone_from(&scope.add_headers);
    let hide = |name: &String| HeaderRule { name: name.clone(), change: HeaderChange::Remove, always: true };
    route.response_headers.splice(0..0, scope.hide_headers.iter().map(hide));
    route.auth = match (&scope.realm, &scope.users) {
        (None, _) => None,
        (Some(realm), Some(users)) => Some(BasicAuth { realm: realm.clone(), users: users.clone() }),
        (Some(_), None) => {
            report.at(directive, "\"auth_basic\" without \"auth_basic_user_file\": nobody could log in");
            None
        }
    };
}

/// `/x` for `location /x/` with a `proxy_pass`.
fn slash_redirect(without: &str) -> Route {
    let mut to = here();
    to.push_text(&format!("{without}/"));
    to.push(Variable::QueryMark);
    to.push(Variable::Query);
    let redirect = Action::Redirect { status: 301, to };
    let mut route = Route::new(format!("{without}/"), PathPattern::Exact(without.into()), redirect);
    // An exact location of the configuration comes before it.
    route.when.is_final = true;
    route
}

/// The scheme and host by which the client came.
fn here() -> Template {
    let mut template = Template::variable(Variable::Scheme);
    template.push_text("://");
    template.push(Variable::FirstOf(vec![Variable::Authority, Variable::HostName]));
    template
}

fn chosen(args: &[String]) -> Result<Chosen, String> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let regex = |pattern: &str, ignore_case| {
        let expression = Expression::new(pattern, ignore_case)
            .map_err(|why| format!("invalid regular expression \"{pattern}\": {why}"))?;
        let sign = if ignore_case { "~*" } else { "~" };
        let name = format!("{sign} {pattern}");
        Ok(Chosen { name, path: PathPattern::Regex(expression), is_final: false, prefix: None, internal: false })
    };
    let prefix = |text: &str, path: PathPattern, name: String, is_final| {
        Ok(Chosen { name, path, is_final, prefix: Some(text.to_owned()), internal: false })
    };
    match args.as_slice() {
        [named] if named.starts_with('@') => {
            let name = (*named).to_owned();
            Ok(Chosen { name, path: PathPattern::Any, is_final: false, prefix: None, internal: true })
        }
        ["=", path] => prefix(path, PathPattern::Exact((*path).into()), format!("= {path}"), false),
        ["^~", path] => prefix(path, PathPattern::Prefix((*path).into()), format!("^~ {path}"), true),
        ["~", pattern] => regex(pattern, false),
        ["~*", pattern] => regex(pattern, true),
        [one] => match one.split_at(one.find(|c| !matches!(c, '=' | '^' | '~' | '*')).unwrap_or(one.len())) {
            ("", path) => prefix(path, PathPattern::Prefix(path.into()), path.into(), false),
            ("=", path) => prefix(path, PathPattern::Exact(path.into()), format!("= {path}"), false),
            ("^~", path) => prefix(path, PathPattern::Prefix(path.into()), format!("^~ {path}"), true),
            ("~", _) => regex(&one[1..], false),
            ("~*", _) => regex(&one[2..], true),
            ("~^", _) => regex(&one[1..], false),
            ("~*^", _) => regex(&one[2..], true),
            _ => Err(format!("invalid location modifier \"{one}\"")),
        },
        [modifier, _] => Err(format!("invalid location modifier \"{modifier}\"")),
        _ => Err("invalid number of arguments in \"location\" directive".into()),
    }
}

/// `return`, `rewrite`, `if`: of a server or a location.
pub fn control(
    directive: &Directive,
    scope: &Scope,
    defined: &Defined,
    report: &mut Report,
    guards: &mut Vec<Guard>,
    rewrites: &mut Vec<Rewrite>,
    action: &mut Option<Action>,
) {
    match directive.name.as_str() {
        // The first one is done, the others are never reached.
        "return" => match returned(&directive.args, scope, defined) {
            Ok(found) => drop(action.get_or_insert(found)),
            Err(problem) => report.at(directive, problem),
        },
        // After a `return` nothing is reached.
        "rewrite" | "if" if action.is_some() => {}
        "rewrite" => match rewrite(&directive.args, defined) {
            Ok(found) => rewrites.push(found),
            Err(problem) => report.at(directive, problem),
        },
        "if" => match guard(directive, scope, defined) {
            Ok(found) => guards.push(found),
            Err(problem) => report.at(directive, problem),
        },
        "break" if directive.args.is_empty() => {}
        // Read before all others.
        "set" => {}
        "resolver" => report.note(directive, RESOLVER),
        "gzip" if directive.args == ["off"] => {}
        "gzip" => report.note(directive, "has no effect here: responses go on as the app makes them"),
        name if super::refused::is_idle(name) => {}
        "server" | "upstream" | "http" | "events" | "listen" | "server_name" | "map" | "log_format" => {
            report.not_here(directive);
        }
        _ => report.unknown(directive),
    }
}

fn returned(args: &[String], scope: &Scope, defined: &Defined) -> Result<Action, String> {
    let wrong = |code: &str| format!("invalid return code \"{code}\"");
    let (code, text) = match args {
        [one] if one.starts_with("http://") || one.starts_with("https://") || one.starts_with('$') => {
            ("302", Some(one))
        }
        [code] => (code.as_str(), None),
        [code, text] => (code.as_str(), Some(text)),
        _ => return Err("invalid number of arguments in \"return\" directive".into()),
    };
    let status: u16 = code.parse().ok().filter(|status| *status < 1000).ok_or_else(|| wrong(code))?;
    if status == 444 {
        return Err("\"return 444\" is not supported here: every request gets an answer".into());
    }
    if status < 200 {
        return Err(format!("\"return {code}\" is not supported here, expected a code from 200 on"));
    }
    let text = text.map(|text| variables::template(text, defined)).transpose()?;
    if matches!(status, 301 | 302 | 303 | 307 | 308) {
        let to = text.unwrap_or_default();
        let is_path = matches!(to.0.first(), Some(crate::template::Part::Text(text)) if text.starts_with('/'));
        let mut whole = if is_path { here() } else { Template::default() };
        whole.0.extend(to.0);
        return Ok(Action::Redirect { status, to: whole });
    }
    let content_type = Some(scope.default_type.clone());
    match text {
        Some(body) => Ok(Action::Respond { status, content_type, body }),
        None => Ok(Action::Respond { status, content_type: Some("text/plain".into()), body: usual_words(status) }),
    }
}

/// A short page, as nginx has one for errors.
fn usual_words(status: u16) -> Template {
    if status < 400 { Template::default() } else { Template::text(format!("{status} {}\n", http1::reason(status))) }
}

fn rewrite(args: &[String], defined: &Defined) -> Result<Rewrite, String> {
    let (pattern, to, flag) = match args {
        [pattern, to] => (pattern, to, ""),
        [pattern, to, flag] => (pattern, to, flag.as_str()),
        _ => return Err("invalid number of arguments in \"rewrite\" directive".into()),
    };
    let is_url = ["http://", "https://", "$scheme"].iter().any(|start| to.starts_with(start));
    let then = match flag {
        "" if is_url => Then::Redirect(302),
        "" => Then::GoOn,
        "last" => Then::Search,
        "break" => Then::Stop,
        "redirect" => Then::Redirect(302),
        "permanent" => Then::Redirect(301),
        other => return Err(format!("invalid parameter \"{other}\"")),
    };
    let expression =
        Expression::new(pattern, false).map_err(|why| format!("invalid regular expression \"{pattern}\": {why}"))?;
    let mut defined = defined.clone();
    name_captures(&expression, &mut defined);
    // A question mark at the end keeps the query of the request away.
    let (text, drop_query) = to.strip_suffix('?').map_or((to.as_str(), false), |text| (text, true));
    let mut template = variables::template(text, &defined)?;
    if matches!(then, Then::Redirect(_)) && text.starts_with('/') {
        let mut whole = here();
        whole.0.append(&mut template.0);
        template = whole;
    }
    Ok(Rewrite { pattern: TextPattern::Regex(expression), to: template, drop_query, then })
}

/// `(?<name>...)` is `$name`.
pub fn name_captures(expression: &Expression, defined: &mut Defined) {
    for name in expression.names() {
        defined.0.insert(name.to_owned(), Variable::NamedCapture(name.to_owned()));
    }
}

/// `if ($variable = text) { return ...; }`: what is simple enough to have one meaning.
fn guard(directive: &Directive, scope: &Scope, defined: &Defined) -> Result<Guard, String> {
    const ONLY: &str = "\"if\" is supported here only around one \"return\": everything else has surprises";
    let joined = directive.args.join(" ");
    let inside = joined.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(str::trim);
    let inside = inside.ok_or_else(|| format!("invalid condition \"{joined}\""))?;
    let (name, rest) = inside.split_once(char::is_whitespace).map_or((inside, ""), |(name, rest)| (name, rest.trim()));
    if !name.starts_with('$') {
        return Err(format!("invalid condition \"{inside}\": expected a variable (files are not looked at here)"));
    }
    let value = variables::template(name, defined)?;
    let (sign, text) = rest.split_once(char::is_whitespace).map_or((rest, ""), |(sign, text)| (sign, text.trim()));
    let regex = |ignore_case| {
        Expression::new(text, ignore_case)
            .map(TextPattern::Regex)
            .map_err(|why| format!("invalid regular expression \"{text}\": {why}"))
    };
    let (pattern, invert) = match sign {
        "" => (None, false),
        "=" => (Some(TextPattern::Exact(text.into())), false),
        "!=" => (Some(TextPattern::Exact(text.into())), true),
        "~" => (Some(regex(false)?), false),
        "~*" => (Some(regex(true)?), false),
        "!~" => (Some(regex(false)?), true),
        "!~*" => (Some(regex(true)?), true),
        other => return Err(format!("unexpected \"{other}\" in condition")),
    };
    let Some([only]) = directive.block.as_deref() else { return Err(ONLY.into()) };
    if only.name != "return" {
        return Err(ONLY.into());
    }
    Ok(Guard { value, pattern, invert, then: returned(&only.args, scope, defined)? })
}

fn proxy_pass(
    directive: &Directive,
    chosen: &Chosen,
    scope: &Scope,
    defined: &Defined,
    http: &mut Http<'_>,
    report: &mut Report,
) -> Option<Forward> {
    let [url] = directive.args.as_slice() else {
        report.arguments(directive);
        return None;
    };
    match forward(url, chosen, scope, defined, http) {
        Ok(forward) => Some(forward),
        Err(problem) => {
            report.at(directive, problem);
            None
        }
    }
}

fn forward(
    url: &str,
    chosen: &Chosen,
    scope: &Scope,
    defined: &Defined,
    http: &mut Http<'_>,
) -> Result<Forward, String> {
    // With variables in it a URL is taken as it is, and not put together with the location.
    let is_made = url.contains('$');
    let url = set::folded(url, defined);
    let (secure, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ if url.contains("$scheme") => {
            return Err("variables in the scheme of \"proxy_pass\" are not supported here".into());
        }
        _ => return Err("invalid URL prefix".into()),
    };
    let (authority, uri) = match rest.strip_prefix("unix:") {
        // `unix:/path` or `unix:/path:/uri`.
        Some(path) => {
            let (path, uri) = path.split_once(':').map_or((path, ""), |(path, uri)| (path, uri));
            (format!("unix:{path}"), uri)
        }
        None => {
            // A variable may begin right after the host, as in http://app$request_uri.
            let end = rest.find(['/', '$', '?']).unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        }
    };
    if authority.is_empty() {
        return Err("\"proxy_pass\" to a host that is another one for each request is not supported here".into());
    }
    let (cluster, servers) = http.upstreams.cluster(&Target { secure, authority: authority.clone() }, scope)?;
    let mut forward = Forward::to(cluster);
    forward.path = match (uri, &chosen.prefix) {
        ("", _) => NewPath::Same,
        (uri, _) if is_made => NewPath::Whole(variables::template(uri, defined)?),
        (_, None) => {
            return Err(
                "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside named \
                        location, or inside \"if\" statement, or inside \"limit_except\" block"
                    .into(),
            );
        }
        (uri, Some(_)) => NewPath::Instead(uri.to_owned()),
    };
    forward.upgrade = wants_upgrade(scope);
    forward.host = NewHost::Is(Template::text(authority.clone()));
    forward.timeouts =
        Timeouts { total: None, response: Some(scope.read_timeout), send: Some(scope.send_timeout), per_try: None };
    forward.retry = retry(scope, servers);
    forward.redirects = match (&scope.redirects, &chosen.prefix) {
        (Redirects::Default, _) if is_made => Vec::new(),
        (Redirects::Default, Some(prefix)) if !uri.is_empty() && !uri.contains('$') => {
            let scheme = if secure { "https" } else { "http" };
            vec![(format!("{scheme}://{authority}{uri}"), Template::text(prefix.clone()))]
        }
        (Redirects::Default, _) => {
            vec![(format!("{}://{authority}/", if secure { "https" } else { "http" }), Template::text("/"))]
        }
        (Redirects::Off, _) => Vec::new(),
        (Redirects::Pairs(pairs), _) => pairs.clone(),
    };
    Ok(forward)
}

fn wants_upgrade(scope: &Scope) -> bool {
    scope.set_headers.iter().flatten().any(|(name, _)| name.eq_ignore_ascii_case("upgrade"))
}

/// The headers that `proxy_set_header` says, and the host among them.
fn request_headers(scope: &Scope, forward: &mut Forward) -> Vec<HeaderRule> {
    let mut rules = Vec::new();
    for (name, value) in scope.set_headers.iter().flatten() {
        if name.eq_ignore_ascii_case("host") {
            forward.host = NewHost::Is(value.clone());
        } else if !OF_THE_HOP.contains(&name.to_ascii_lowercase().as_str()) {
            rules.push(HeaderRule { name: name.clone(), change: HeaderChange::Set(value.clone()), always: true });
        }
    }
    rules
}

fn retry(scope: &Scope, servers: usize) -> Retry {
    let says = |condition: &str| scope.next_upstream.iter().any(|said| said == condition);
    if says("off") {
        let on = RetryOn { connect_failure: false, reset: false, ..RetryOn::default() };
        return Retry { times: 0, on, pause: Duration::ZERO };
    }
    let statuses = [500, 502, 503, 504, 403, 404, 429].into_iter().filter(|status| says(&format!("http_{status}")));
    let on = RetryOn {
        connect_failure: says("error"),
        reset: says("error"),
        timeout: says("timeout"),
        statuses: statuses.collect(),
        unsafe_methods: says("non_idempotent"),
    };
    // Each server once.
    let most = match scope.next_tries {
        0 => servers as u32,
        tries => tries.min(servers as u32),
    };
    Retry { times: most.saturating_sub(1), on, pause: Duration::ZERO }
}
