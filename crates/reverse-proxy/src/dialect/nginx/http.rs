//! `http { ... }`: servers, maps, formats and logs, put together into listeners.

use std::{collections::HashMap, path::Path, sync::Arc};

use crate::{
    access_log,
    config::{AccessLog, Choice, Config, Escape, Format, Host, LogId, LogTarget, Route},
    pattern::{Expression, HostPattern, PathPattern},
    template::{Map, Part, Template, Variable},
};

use super::{
    listen::{self, Listen},
    location::{self, control, name_captures},
    refused,
    report::Report,
    scope::{Filling, Scope},
    set,
    syntax::Directive,
    upstream::Upstreams,
    variables::{self, Defined},
};

/// Where nginx's own image has links to the standard streams.
const USUAL_LOG: &str = "/var/log/nginx/access.log";
const COMBINED: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                        \"$http_referer\" \"$http_user_agent\"";

/// What was found in the http block so far.
pub struct Http<'a> {
    pub prefix: &'a Path,
    pub upstreams: Upstreams,
    defined: Defined,
    formats: HashMap<String, Format>,
    logs: Vec<AccessLog>,
    pub servers: Vec<Server>,
}

/// `server { ... }`
pub struct Server {
    pub listens: Vec<Listen>,
    pub host: Host,
    pub scope: Scope,
    pub names: Vec<String>,
    pub place: Directive,
}

impl<'a> Http<'a> {
    pub fn new(prefix: &'a Path) -> Self {
        let mut http = Self {
            prefix,
            upstreams: Upstreams::default(),
            defined: Defined::default(),
            formats: HashMap::new(),
            logs: Vec::new(),
            servers: Vec::new(),
        };
        let combined = http.format(&[COMBINED.into()], Escape::Hex).unwrap_or_else(|_| Format::Json(Vec::new()));
        http.formats.insert("combined".into(), combined);
        http
    }

    pub fn read(&mut self, block: &[Directive], report: &mut Report) {
        // What others refer to comes first, wherever it is written.
        for directive in block {
            match directive.name.as_str() {
                "map" => self.map(directive, report),
                "upstream" => self.upstreams.block(directive, report),
                _ => {}
            }
        }
        for directive in block.iter().filter(|directive| directive.name == "log_format") {
            self.log_format(directive, report);
        }
        let (defined, prefix) = (self.defined.clone(), self.prefix);
        let mut filling = Filling::new(&Scope::default(), &defined, prefix);
        for directive in block {
            match directive.name.as_str() {
                "map" | "upstream" | "log_format" | "server" => {}
                "access_log" => {
                    let first = filling.first("access_log");
                    self.access_log(directive, &mut filling.scope, first, report);
                }
                // Types of files that are not served.
                "types" => {}
                "gzip" if directive.args == ["off"] => {}
                "gzip" => report.note(directive, "has no effect here: responses go on as the app makes them"),
                "resolver" => report.note(directive, location::RESOLVER),
                "location" | "proxy_pass" | "listen" | "server_name" | "return" | "rewrite" | "if" | "set" => {
                    report.not_here(directive);
                }
                name if refused::is_idle(name) => {}
                _ if filling.take(directive, report) => {}
                _ => report.unknown(directive),
            }
        }
        let scope = filling.scope;
        for directive in block.iter().filter(|directive| directive.name == "server") {
            self.server(directive, &scope, report);
        }
    }

    fn server(&mut self, directive: &Directive, outer: &Scope, report: &mut Report) {
        let Some(block) = directive.block.as_deref().filter(|_| directive.args.is_empty()) else {
            return report.arguments(directive);
        };
        let mut patterns = Vec::new();
        let (mut listens, mut names) = (Vec::new(), Vec::new());
        let mut defined = self.defined.clone();
        for inner in block.iter().filter(|inner| inner.name == "server_name") {
            for name in &inner.args {
                match server_name(name) {
                    Ok(found) => {
                        if let Some(HostPattern::Regex(expression)) = found.first() {
                            name_captures(expression, &mut defined);
                        }
                        patterns.extend(found);
                        names.push(name.clone());
                    }
                    Err(problem) => report.at(inner, problem),
                }
            }
        }
        set::read(block, &mut defined, report);
        let prefix = self.prefix;
        let mut filling = Filling::new(outer, &defined, prefix);
        let (mut guards, mut rewrites, mut action) = (Vec::new(), Vec::new(), None);
        for inner in block {
            match inner.name.as_str() {
                "listen" => match listen::parse(&inner.args) {
                    Ok(found) => listens.push(found),
                    Err(problem) => report.at(inner, problem),
                },
                "server_name" | "location" => {}
                "access_log" => {
                    let first = filling.first("access_log");
                    self.access_log(inner, &mut filling.scope, first, report);
                }
                _ if filling.take(inner, report) => {}
                _ => control(inner, &filling.scope, &defined, report, &mut guards, &mut rewrites, &mut action),
            }
        }
        if listens.is_empty() {
            listens.extend(listen::parse(&["80".into()]));
        }
        let scope = filling.scope;
        let mut routes = Vec::new();
        let outer_defined = std::mem::replace(&mut self.defined, defined);
        match action {
            // Done before any location is looked for.
            Some(action) => {
                let mut route = Route::new("return", PathPattern::Any, action);
                location::settle(&mut route, &scope, self, directive, report);
                // It comes before the phase of access, too.
                (route.auth, route.access) = (None, Vec::new());
                routes.push(route);
            }
            None => {
                for inner in block.iter().filter(|inner| inner.name == "location") {
                    location::location(inner, &scope, None, self, report, &mut routes);
                }
            }
        }
        self.defined = outer_defined;
        tidy(&mut routes);
        let name = names.iter().find(|name| !name.is_empty()).cloned().unwrap_or_else(|| "_".into());
        let host = Host { name, patterns, guards, rewrites, routes, choice: Choice::MostSpecific, ..Host::default() };
        self.servers.push(Server { listens, host, scope, names, place: directive.clone() });
    }

    /// Maps, and the captures of a location's own expression.
    pub fn defined_with(&self, path: &PathPattern) -> Defined {
        let mut defined = self.defined.clone();
        if let PathPattern::Regex(expression) = path {
            name_captures(expression, &mut defined);
        }
        defined
    }

    fn map(&mut self, directive: &Directive, report: &mut Report) {
        let ([source, target], Some(block)) = (directive.args.as_slice(), &directive.block) else {
            return report.arguments(directive);
        };
        let Some(target) = target.strip_prefix('$') else {
            return report.at(directive, format!("invalid variable name \"{target}\""));
        };
        match self.map_of(source, block, report) {
            Ok(map) => drop(self.defined.0.insert(target.into(), Variable::Map(Arc::new(map)))),
            Err(problem) => report.at(directive, problem),
        }
    }

    fn map_of(&self, source: &str, block: &[Directive], report: &mut Report) -> Result<Map, String> {
        let mut map = Map {
            source: variables::template(source, &self.defined)?,
            exact: Vec::new(),
            expressions: Vec::new(),
            default: Template::default(),
        };
        for entry in block {
            let (key, [value]) = (entry.name.as_str(), entry.args.as_slice()) else {
                match entry.name.as_str() {
                    "volatile" | "hostnames" => report.at(entry, format!("\"{}\" is not supported here", entry.name)),
                    _ => report.at(entry, "invalid number of the map parameters"),
                }
                continue;
            };
            let value = match variables::template(value, &self.defined) {
                Ok(value) => value,
                Err(problem) => {
                    report.at(entry, problem);
                    continue;
                }
            };
            match (key, key.strip_prefix('~')) {
                ("default", _) => map.default = value,
                (_, Some(pattern)) => {
                    let (pattern, ignore) =
                        pattern.strip_prefix('*').map_or((pattern, false), |pattern| (pattern, true));
                    match Expression::new(pattern, ignore) {
                        Ok(expression) => map.expressions.push((expression, value)),
                        Err(why) => report.at(entry, format!("invalid regular expression \"{pattern}\": {why}")),
                    }
                }
                (key, None) => map.exact.push((key.trim_start_matches('\\').to_ascii_lowercase(), value)),
            }
        }
        Ok(map)
    }

    fn log_format(&mut self, directive: &Directive, report: &mut Report) {
        let Some((name, texts)) = directive.args.split_first().filter(|(_, texts)| !texts.is_empty()) else {
            return report.arguments(directive);
        };
        let (escape, texts) = match texts[0].strip_prefix("escape=") {
            Some("json") => (Escape::Json, &texts[1..]),
            Some("default") => (Escape::Hex, &texts[1..]),
            Some(other) => {
                return report
                    .at(directive, format!("\"escape={other}\" is not supported here, only json and default"));
            }
            None => (Escape::Hex, texts),
        };
        match self.format(texts, escape) {
            Ok(format) => drop(self.formats.insert(name.clone(), format)),
            Err(problem) => report.at(directive, problem),
        }
    }

    fn format(&self, texts: &[String], escape: Escape) -> Result<Format, String> {
        let mut template = variables::template(&texts.concat(), &self.defined)?;
        if escape == Escape::Hex {
            // What is not there is a dash.
            for part in &mut template.0 {
                if let Part::Value(variable) = part {
                    *variable = Variable::Or(Box::new(variable.clone()), "-".into());
                }
            }
        }
        Ok(Format::Text(template, escape))
    }

    /// Those of one block are all written; those of the block around it are not.
    pub fn access_log(&mut self, directive: &Directive, scope: &mut Scope, first: bool, report: &mut Report) {
        let Some((file, rest)) = directive.args.split_first() else { return report.arguments(directive) };
        if file == "off" {
            scope.access_logs = Some(Vec::new());
            return;
        }
        let mut format = "combined";
        for option in rest {
            match option.split_once('=') {
                None => format = option,
                // Lines are gathered anyway.
                Some(("buffer" | "flush", _)) => {}
                Some(_) => report.at(directive, format!("the parameter \"{option}\" is not supported here")),
            }
        }
        if file.starts_with("syslog:") || file.contains('$') {
            return report.at(directive, format!("\"{file}\" is not supported here, only a file without variables"));
        }
        let Some(format) = self.formats.get(format).cloned() else {
            return report.at(directive, format!("unknown log format \"{format}\""));
        };
        let log = AccessLog { to: self.target(file), format };
        let id = self.log(log);
        match &mut scope.access_logs {
            Some(logs) if !first => logs.push(id),
            logs => *logs = Some(vec![id]),
        }
    }

    fn log(&mut self, log: AccessLog) -> LogId {
        self.logs.push(log);
        self.logs.len() - 1
    }

    fn target(&self, file: &str) -> LogTarget {
        match file {
            "/dev/stdout" => LogTarget::Stdout,
            "/dev/stderr" => LogTarget::Stderr,
            // In nginx's image a link to standard output; a place of its own where one is mounted that can be written.
            USUAL_LOG if access_log::problem(&LogTarget::File(USUAL_LOG.into())).is_some() => LogTarget::Stdout,
            file => LogTarget::File(self.prefix.join(file)),
        }
    }

    /// The logs of a scope. Where nobody said anything there is one, as in nginx.
    pub fn logs_of(&mut self, scope: &Scope) -> Vec<LogId> {
        if let Some(logs) = &scope.access_logs {
            return logs.clone();
        }
        let usual = self.target(USUAL_LOG);
        let is_usual = |log: &AccessLog| log.to == usual;
        let known = self.logs.iter().position(is_usual);
        let id = known.or_else(|| {
            let format = self.formats.get("combined").cloned()?;
            Some(self.log(AccessLog { to: usual, format }))
        });
        id.into_iter().collect()
    }

    pub fn finish(self, config: &mut Config) {
        config.clusters = self.upstreams.into_clusters();
        config.access_logs = self.logs;
    }
}

/// A slash redirect steps back where the configuration has such an exact location itself; two equal locations are one
/// too many, and the first stands.
fn tidy(routes: &mut Vec<Route>) {
    let exact = |route: &Route| match &route.when.path {
        PathPattern::Exact(path) => Some(path.clone()),
        _ => None,
    };
    let own: Vec<String> = routes.iter().filter(|route| !route.when.is_final).filter_map(exact).collect();
    routes.retain(|route| !route.when.is_final || exact(route).is_none_or(|path| !own.contains(&path)));
}

fn server_name(name: &str) -> Result<Vec<HostPattern>, String> {
    if let Some(pattern) = name.strip_prefix('~') {
        let expression = Expression::new(pattern, true);
        return expression
            .map(|expression| vec![HostPattern::Regex(expression)])
            .map_err(|why| format!("invalid regular expression \"{pattern}\": {why}"));
    }
    match name {
        "" | "_" => Ok(Vec::new()),
        // `.example.com` is example.com and *.example.com.
        _ if name.starts_with('.') => {
            let bare = name[1..].to_ascii_lowercase();
            Ok(vec![HostPattern::Exact(bare.clone()), HostPattern::Suffix(format!(".{bare}"))])
        }
        _ => {
            name.parse().map(|pattern| vec![pattern]).map_err(|_| format!("invalid server name or wildcard \"{name}\""))
        }
    }
}
