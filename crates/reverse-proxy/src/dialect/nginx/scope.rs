//! What a block says and the blocks inside it inherit.

use std::{collections::HashSet, path::PathBuf, time::Duration};

use crate::{
    config::{Access, HeaderChange, HeaderRule, LogId, RealIp},
    net::Network,
    template::Template,
};

use super::{
    report::Report,
    syntax::Directive,
    units::{flag, size, time},
    variables::{self, Defined},
};

/// The settings that are in force in a block.
#[derive(Clone, Debug)]
pub struct Scope {
    pub set_headers: Option<Vec<(String, Template)>>,
    pub hide_headers: Vec<String>,
    pub add_headers: Vec<HeaderRule>,
    pub realm: Option<String>,
    pub users: Option<PathBuf>,
    pub access: Vec<Access>,
    /// None: nobody said anything.
    pub access_logs: Option<Vec<LogId>>,
    pub max_body: Option<u64>,
    pub connect_timeout: Duration,
    pub read_timeout: Duration,
    pub send_timeout: Duration,
    pub next_upstream: Vec<String>,
    pub next_tries: u32,
    /// Redirects of the app are made to name us.
    pub redirects: Redirects,
    pub client: Client,
    pub real_ip: Vec<Network>,
    pub real_ip_header: RealIp,
    pub real_ip_recursive: bool,
    pub underscores: bool,
    pub ssl: Ssl,
    pub upstream_ssl: UpstreamSsl,
    pub http2: bool,
    pub server_tokens: bool,
    pub default_type: String,
}

#[derive(Clone, Debug)]
pub enum Redirects {
    Default,
    Off,
    Pairs(Vec<(String, Template)>),
}

#[derive(Clone, Debug)]
pub struct Client {
    pub head_timeout: Duration,
    pub body_timeout: Duration,
    pub send_timeout: Duration,
    pub keepalive_timeout: Duration,
    pub keepalive_requests: u64,
    pub max_head: u64,
    pub max_streams: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssl {
    pub certificates: Vec<PathBuf>,
    pub keys: Vec<PathBuf>,
    pub protocols: Vec<String>,
    pub ciphers: Option<String>,
    pub client_certificate: Option<PathBuf>,
    pub verify_client: Option<String>,
    pub no_tickets: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamSsl {
    pub verify: bool,
    pub trusted: Option<PathBuf>,
    pub name: Option<String>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

impl Default for Scope {
    /// nginx's own defaults.
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            set_headers: None,
            hide_headers: Vec::new(),
            add_headers: Vec::new(),
            realm: None,
            users: None,
            access: Vec::new(),
            access_logs: None,
            max_body: Some(1 << 20),
            connect_timeout: minute,
            read_timeout: minute,
            send_timeout: minute,
            next_upstream: vec!["error".into(), "timeout".into()],
            next_tries: 0,
            redirects: Redirects::Default,
            client: Client {
                head_timeout: minute,
                body_timeout: minute,
                send_timeout: minute,
                keepalive_timeout: Duration::from_secs(75),
                keepalive_requests: 1000,
                max_head: 32 << 10,
                max_streams: 128,
            },
            real_ip: Vec::new(),
            real_ip_header: RealIp::Header("X-Real-IP".into()),
            real_ip_recursive: false,
            underscores: false,
            ssl: Ssl::default(),
            upstream_ssl: UpstreamSsl::default(),
            http2: false,
            server_tokens: true,
            default_type: "text/plain".into(),
        }
    }
}

/// A scope being filled by the directives of one block.
pub struct Filling<'a> {
    pub scope: Scope,
    seen: HashSet<String>,
    defined: &'a Defined,
    prefix: &'a std::path::Path,
}

impl<'a> Filling<'a> {
    pub fn new(outer: &Scope, defined: &'a Defined, prefix: &'a std::path::Path) -> Self {
        Self { scope: outer.clone(), seen: HashSet::new(), defined, prefix }
    }

    /// Whether a directive is the first of its name in this block: then it replaces what was inherited.
    pub fn first(&mut self, name: &str) -> bool {
        self.seen.insert(name.to_owned())
    }

    fn path(&self, text: &str) -> PathBuf {
        self.prefix.join(text)
    }

    /// Takes a directive if it is one of those that are inherited. False: it is not.
    pub fn take(&mut self, directive: &Directive, report: &mut Report) -> bool {
        let name = directive.name.as_str();
        // Several of these add up; of the others there is one.
        let many = matches!(
            name,
            "proxy_set_header"
                | "proxy_hide_header"
                | "proxy_pass_header"
                | "add_header"
                | "allow"
                | "deny"
                | "set_real_ip_from"
                | "ssl_certificate"
                | "ssl_certificate_key"
                | "proxy_redirect"
        );
        let first = !self.seen.contains(name);
        let outcome = self.set(directive, first, report);
        if outcome.is_some() {
            self.seen.insert(name.to_owned());
        }
        match outcome {
            Some(Ok(())) if !first && !many => report.at(directive, format!("\"{name}\" directive is duplicate")),
            Some(Ok(())) => {}
            Some(Err(problem)) => report.at(directive, problem),
            None => return false,
        }
        true
    }

    fn set(&mut self, directive: &Directive, first: bool, report: &mut Report) -> Option<Result<(), String>> {
        let name = directive.name.as_str();
        let wrong = || Err(format!("invalid number of arguments in \"{name}\" directive"));
        let args: Vec<&str> = directive.args.iter().map(String::as_str).collect();
        Some(match (name, args.as_slice()) {
            ("proxy_set_header", [header, value]) => self.set_header(header, value, first),
            ("proxy_hide_header", [header]) => {
                if first {
                    self.scope.hide_headers.clear();
                }
                self.scope.hide_headers.push((*header).into());
                Ok(())
            }
            // Only Server and the like are hidden by nginx, and here nothing is.
            ("proxy_pass_header", [_]) => Ok(()),
            ("add_header", [header, value, rest @ ..]) if rest.is_empty() || rest == ["always"] => {
                if first {
                    self.scope.add_headers.clear();
                }
                variables::template(value, self.defined).map(|value| {
                    let (name, change) = ((*header).into(), HeaderChange::Add(value));
                    self.scope.add_headers.push(HeaderRule { name, change, always: !rest.is_empty() });
                })
            }
            ("auth_basic", [realm]) => {
                self.scope.realm = (*realm != "off").then(|| (*realm).to_owned());
                Ok(())
            }
            ("auth_basic_user_file", [file]) => {
                self.scope.users = Some(self.path(file));
                Ok(())
            }
            ("satisfy", ["all"]) => Ok(()),
            ("satisfy", ["any"]) => Err("\"satisfy any\" is not supported here, only \"all\"".into()),
            ("allow" | "deny", [who]) => self.allow(name == "allow", who),
            ("client_max_body_size", [text]) => {
                size(text).map(|bytes| self.scope.max_body = (bytes > 0).then_some(bytes))
            }
            ("proxy_connect_timeout" | "grpc_connect_timeout", [text]) => {
                time(text).map(|span| self.scope.connect_timeout = span)
            }
            ("proxy_read_timeout" | "grpc_read_timeout", [text]) => {
                time(text).map(|span| self.scope.read_timeout = span)
            }
            ("proxy_send_timeout" | "grpc_send_timeout", [text]) => {
                time(text).map(|span| self.scope.send_timeout = span)
            }
            ("proxy_next_upstream", conditions @ [_, ..]) => self.next_upstream(conditions),
            ("proxy_next_upstream_tries", [text]) => {
                text.parse().map(|tries| self.scope.next_tries = tries).map_err(|_| "invalid number".into())
            }
            ("proxy_next_upstream_timeout", [text]) => time(text).map(drop),
            ("proxy_redirect", args) => self.redirect(args, first),
            ("proxy_http_version", ["1.0" | "1.1"]) => Ok(()),
            ("proxy_http_version", [other]) => {
                Err(format!("\"proxy_http_version {other}\" is not supported here, only 1.1"))
            }
            ("client_header_timeout", [text]) => time(text).map(|span| self.scope.client.head_timeout = span),
            ("client_body_timeout", [text]) => time(text).map(|span| self.scope.client.body_timeout = span),
            ("send_timeout", [text]) => time(text).map(|span| self.scope.client.send_timeout = span),
            ("keepalive_timeout", [text] | [text, _]) => {
                time(text).map(|span| self.scope.client.keepalive_timeout = span)
            }
            ("keepalive_requests", [text]) => text
                .parse()
                .map(|count| self.scope.client.keepalive_requests = count)
                .map_err(|_| "invalid number".into()),
            ("large_client_header_buffers", [count, each]) => {
                let count: Result<u64, String> = count.parse().map_err(|_| "invalid number".into());
                count.and_then(|count| Ok(count.saturating_mul(size(each)?))).map(|all| {
                    // The engine has a ceiling of its own.
                    self.scope.client.max_head = all.clamp(4 << 10, 1 << 20);
                })
            }
            ("http2_max_concurrent_streams", [text]) => {
                text.parse().map(|streams| self.scope.client.max_streams = streams).map_err(|_| "invalid number".into())
            }
            ("set_real_ip_from", [who]) => {
                if first {
                    self.scope.real_ip.clear();
                }
                match who.parse() {
                    Ok(network) => {
                        self.scope.real_ip.push(network);
                        Ok(())
                    }
                    Err(expected) => Err(format!("invalid value \"{who}\": {expected}")),
                }
            }
            ("real_ip_header", [header]) => {
                self.scope.real_ip_header = match header.to_ascii_lowercase().as_str() {
                    "x-forwarded-for" => RealIp::ForwardedFor,
                    "proxy_protocol" => RealIp::ProxyProtocol,
                    _ => RealIp::Header((*header).into()),
                };
                Ok(())
            }
            ("real_ip_recursive", [text]) => flag(name, text).map(|on| self.scope.real_ip_recursive = on),
            ("underscores_in_headers", [text]) => flag(name, text).map(|on| self.scope.underscores = on),
            ("http2", [text]) => flag(name, text).map(|on| self.scope.http2 = on),
            ("server_tokens", [text]) => {
                self.scope.server_tokens = *text == "on";
                Ok(())
            }
            ("default_type", [text]) => {
                self.scope.default_type = (*text).into();
                Ok(())
            }
            (name, args) if name.starts_with("ssl_") => return self.ssl(name, args, first, report, directive),
            (name, args) if name.starts_with("proxy_ssl_") => return self.upstream_ssl(name, args),
            (name, _) if TAKES_ONE.contains(&name) => wrong(),
            _ => return None,
        })
    }

    fn set_header(&mut self, header: &str, value: &str, first: bool) -> Result<(), String> {
        let value = variables::template(value, self.defined)?;
        let headers = self.scope.set_headers.get_or_insert_default();
        if first {
            headers.clear();
        }
        headers.push((header.into(), value));
        Ok(())
    }

    fn allow(&mut self, allow: bool, who: &str) -> Result<(), String> {
        if self.seen.insert("allow or deny".into()) {
            self.scope.access.clear();
        }
        match who {
            "all" => self.scope.access.extend([Network::ALL_V4, Network::ALL_V6].map(|from| Access { allow, from })),
            "unix:" => return Err("\"unix:\" is not supported here".into()),
            _ => {
                let from = who.parse().map_err(|expected| format!("invalid parameter \"{who}\": {expected}"))?;
                self.scope.access.push(Access { allow, from });
            }
        }
        Ok(())
    }

    fn next_upstream(&mut self, conditions: &[&str]) -> Result<(), String> {
        const KNOWN: [&str; 15] = [
            "error",
            "timeout",
            "invalid_header",
            "http_500",
            "http_502",
            "http_503",
            "http_504",
            "http_403",
            "http_404",
            "http_429",
            "non_idempotent",
            "off",
            "updating",
            "denied",
            "http_421",
        ];
        if let Some(unknown) = conditions.iter().find(|condition| !KNOWN.contains(condition)) {
            return Err(format!("invalid value \"{unknown}\""));
        }
        self.scope.next_upstream = conditions.iter().map(|condition| (*condition).to_owned()).collect();
        Ok(())
    }

    fn redirect(&mut self, args: &[&str], first: bool) -> Result<(), String> {
        match args {
            ["off"] => self.scope.redirects = Redirects::Off,
            ["default"] => self.scope.redirects = Redirects::Default,
            [from, to] if !from.starts_with('~') && !from.contains('$') => {
                let pair = ((*from).to_owned(), variables::template(to, self.defined)?);
                match &mut self.scope.redirects {
                    Redirects::Pairs(pairs) if !first => pairs.push(pair),
                    other => *other = Redirects::Pairs(vec![pair]),
                }
            }
            [_, _] => {
                return Err(
                    "\"proxy_redirect\" with an expression or a variable in what is replaced is not supported here"
                        .into(),
                );
            }
            _ => return Err("invalid number of arguments in \"proxy_redirect\" directive".into()),
        }
        Ok(())
    }

    fn ssl(
        &mut self,
        name: &str,
        args: &[&str],
        first: bool,
        report: &mut Report,
        directive: &Directive,
    ) -> Option<Result<(), String>> {
        let ssl = &mut self.scope.ssl;
        match (name, args) {
            ("ssl_certificate" | "ssl_certificate_key", [file]) => {
                if file.contains('$') || file.starts_with("data:") || file.starts_with("engine:") {
                    return Some(Err(format!("\"{name}\" has to be a file here, without variables")));
                }
                let path = self.prefix.join(file);
                let list = if name == "ssl_certificate" { &mut ssl.certificates } else { &mut ssl.keys };
                if first {
                    list.clear();
                }
                list.push(path);
            }
            ("ssl_protocols", protocols @ [_, ..]) => {
                const KNOWN: [&str; 6] = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
                if let Some(unknown) = protocols.iter().find(|protocol| !KNOWN.contains(protocol)) {
                    return Some(Err(format!("invalid value \"{unknown}\"")));
                }
                if protocols.iter().all(|protocol| !matches!(*protocol, "TLSv1.2" | "TLSv1.3")) {
                    return Some(Err("TLS 1.2 is the oldest version spoken here".into()));
                }
                ssl.protocols = protocols.iter().map(|protocol| (*protocol).to_owned()).collect();
            }
            ("ssl_ciphers", [list]) => ssl.ciphers = Some((*list).into()),
            ("ssl_client_certificate", [file]) => ssl.client_certificate = Some(self.prefix.join(file)),
            ("ssl_verify_client", [mode @ ("on" | "off" | "optional")]) => ssl.verify_client = Some((*mode).into()),
            ("ssl_session_tickets", [text]) => return Some(flag(name, text).map(|on| ssl.no_tickets = !on)),
            ("ssl_early_data" | "ssl_reject_handshake", ["off"]) => {}
            (
                "ssl_prefer_server_ciphers"
                | "ssl_session_cache"
                | "ssl_session_timeout"
                | "ssl_verify_depth"
                | "ssl_buffer_size"
                | "ssl_conf_command",
                [_, ..],
            ) => {}
            (
                "ssl_stapling" | "ssl_stapling_verify" | "ssl_dhparam" | "ssl_ecdh_curve" | "ssl_trusted_certificate",
                [_],
            ) => {
                report.note(directive, "has no effect here: rustls has its own way");
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn upstream_ssl(&mut self, name: &str, args: &[&str]) -> Option<Result<(), String>> {
        let file = |text: &str| Some(self.prefix.join(text));
        let ssl = &mut self.scope.upstream_ssl;
        match (name, args) {
            ("proxy_ssl_verify", [text]) => return Some(flag(name, text).map(|on| ssl.verify = on)),
            ("proxy_ssl_trusted_certificate", [text]) => ssl.trusted = file(text),
            ("proxy_ssl_name", [text]) if !text.contains('$') => ssl.name = Some((*text).into()),
            ("proxy_ssl_certificate", [text]) => ssl.certificate = file(text),
            ("proxy_ssl_certificate_key", [text]) => ssl.key = file(text),
            (
                "proxy_ssl_server_name"
                | "proxy_ssl_session_reuse"
                | "proxy_ssl_protocols"
                | "proxy_ssl_ciphers"
                | "proxy_ssl_verify_depth",
                [_, ..],
            ) => {}
            _ => return None,
        }
        Some(Ok(()))
    }
}

/// Directives of one argument, to be told from those that are not known at all.
const TAKES_ONE: [&str; 28] = [
    "proxy_set_header",
    "proxy_hide_header",
    "proxy_pass_header",
    "add_header",
    "auth_basic",
    "auth_basic_user_file",
    "allow",
    "deny",
    "client_max_body_size",
    "proxy_connect_timeout",
    "proxy_read_timeout",
    "proxy_send_timeout",
    "proxy_next_upstream",
    "proxy_next_upstream_tries",
    "proxy_http_version",
    "client_header_timeout",
    "client_body_timeout",
    "send_timeout",
    "keepalive_timeout",
    "keepalive_requests",
    "large_client_header_buffers",
    "set_real_ip_from",
    "real_ip_header",
    "real_ip_recursive",
    "underscores_in_headers",
    "http2",
    "server_tokens",
    "default_type",
];
