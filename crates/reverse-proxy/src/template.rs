//! Text with variables in it: values of headers, new paths, lines of an access log.

use std::{str::FromStr, sync::Arc};

use crate::pattern::Expression;

/// Texts and variables, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Template(pub Vec<Part>);

#[derive(Clone, Debug)]
pub enum Part {
    Text(String),
    Value(Variable),
}

/// What a request, its connection or its answer has to say.
#[derive(Clone, Debug)]
pub enum Variable {
    // The request.
    Method,
    /// Without port, in lower case; for a request without Host the name of the host that serves it.
    Host,
    /// As the client sent it, with its port.
    Authority,
    Scheme,
    Protocol,
    /// Path and query as the client sent them.
    Target,
    /// Decoded, without `.` and `..`; after a rewrite the new one.
    Path,
    /// As the client sent it, without the query.
    RawPath,
    /// Encoded again, without so many bytes at its beginning.
    PathAfter(usize),
    Query,
    /// `?` if there is a query.
    QueryMark,
    Argument(String),
    Header(String),
    Cookie(String),
    /// The client's, and the peer's after it.
    ForwardedFor,
    RequestId,
    TraceId,
    User,
    Capture(usize),
    NamedCapture(String),
    // The connection.
    /// The client, as those in front say who are trusted.
    ClientAddress,
    ClientPort,
    /// The other end of the connection.
    PeerAddress,
    PeerPort,
    LocalAddress,
    LocalPort,
    HostName,
    TlsVersion,
    TlsCipher,
    TlsServerName,
    ClientSubject,
    ClientIssuer,
    ClientSerial,
    ClientFingerprint,
    ClientUri,
    ClientDns,
    /// `SUCCESS` or `NONE`.
    ClientVerified,
    // Where it goes.
    RouteName,
    VirtualHost,
    ClusterName,
    /// The host and port that the cluster is called by.
    ClusterAuthority,
    // The answer.
    Status,
    BytesSent,
    BytesReceived,
    /// With heads and framing.
    WireSent,
    WireReceived,
    /// Seconds with three digits, or milliseconds.
    Duration(Unit),
    UpstreamDuration(Unit),
    UpstreamConnectDuration(Unit),
    UpstreamAddress,
    UpstreamStatus,
    UpstreamAttempts,
    ResponseHeader(String),
    Flags,
    // Time and place.
    Time(Clock),
    StartTime(Clock),
    MachineName,
    ProcessId,
    /// The number of the connection.
    Connection,
    /// One of several texts, by the value of another variable.
    Map(Arc<Map>),
    /// The first of them that has a value.
    FirstOf(Vec<Variable>),
    /// At most so many bytes.
    Short(Box<Variable>, usize),
    /// Text in place of nothing.
    Or(Box<Variable>, String),
    /// A template that has a name.
    Named(Arc<Template>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clock {
    /// 2026-11-21T16:00:00.000Z
    Rfc3339,
    /// 2026-11-21T16:00:00+00:00
    Iso8601,
    /// 21/Nov/2026:16:00:00 +0000
    Common,
    /// Seconds since the Unix epoch, with three digits after the point.
    Unix,
}

/// Values by patterns of a source.
#[derive(Clone, Debug)]
pub struct Map {
    pub source: Template,
    /// In lower case.
    pub exact: Vec<(String, Template)>,
    pub expressions: Vec<(Expression, Template)>,
    pub default: Template,
}

impl Variable {
    /// Whether it is known before there is an answer.
    pub fn is_early(&self) -> bool {
        match self {
            Self::Status
            | Self::BytesSent
            | Self::BytesReceived
            | Self::WireSent
            | Self::WireReceived
            | Self::Duration(_)
            | Self::UpstreamDuration(_)
            | Self::UpstreamConnectDuration(_)
            | Self::UpstreamAddress
            | Self::UpstreamStatus
            | Self::UpstreamAttempts
            | Self::ResponseHeader(_)
            | Self::Flags
            | Self::Time(_) => false,
            Self::FirstOf(all) => all.iter().all(Self::is_early),
            Self::Short(inner, _) | Self::Or(inner, _) => inner.is_early(),
            Self::Named(template) => template.is_early(),
            Self::Map(map) => {
                let texts = map.exact.iter().map(|(_, text)| text).chain(map.expressions.iter().map(|(_, text)| text));
                map.source.is_early() && map.default.is_early() && texts.into_iter().all(Template::is_early)
            }
            _ => true,
        }
    }

    fn plain(name: &str) -> Option<Self> {
        Some(match name {
            "method" => Self::Method,
            "host" => Self::Host,
            "authority" => Self::Authority,
            "scheme" => Self::Scheme,
            "protocol" => Self::Protocol,
            "target" => Self::Target,
            "path" => Self::Path,
            "raw_path" => Self::RawPath,
            "query" => Self::Query,
            "forwarded_for" => Self::ForwardedFor,
            "request_id" => Self::RequestId,
            "trace_id" => Self::TraceId,
            "user" => Self::User,
            "client_address" => Self::ClientAddress,
            "client_port" => Self::ClientPort,
            "peer_address" => Self::PeerAddress,
            "peer_port" => Self::PeerPort,
            "local_address" => Self::LocalAddress,
            "local_port" => Self::LocalPort,
            "tls_version" => Self::TlsVersion,
            "tls_cipher" => Self::TlsCipher,
            "tls_server_name" => Self::TlsServerName,
            "client_subject" => Self::ClientSubject,
            "client_issuer" => Self::ClientIssuer,
            "client_serial" => Self::ClientSerial,
            "client_fingerprint" => Self::ClientFingerprint,
            "client_uri" => Self::ClientUri,
            "client_dns" => Self::ClientDns,
            "route" => Self::RouteName,
            "virtual_host" => Self::VirtualHost,
            "cluster" => Self::ClusterName,
            "status" => Self::Status,
            "bytes_sent" => Self::BytesSent,
            "bytes_received" => Self::BytesReceived,
            "wire_sent" => Self::WireSent,
            "wire_received" => Self::WireReceived,
            "duration" => Self::Duration(Unit::Seconds),
            "duration_ms" => Self::Duration(Unit::Milliseconds),
            "upstream_duration" => Self::UpstreamDuration(Unit::Seconds),
            "upstream_duration_ms" => Self::UpstreamDuration(Unit::Milliseconds),
            "upstream_address" => Self::UpstreamAddress,
            "upstream_status" => Self::UpstreamStatus,
            "upstream_attempts" => Self::UpstreamAttempts,
            "flags" => Self::Flags,
            "time" => Self::Time(Clock::Rfc3339),
            "start_time" => Self::StartTime(Clock::Rfc3339),
            "machine" => Self::MachineName,
            "connection" => Self::Connection,
            _ => return None,
        })
    }
}

/// The names that [`Variable::plain`] knows, for error texts.
const NAMES: &str = "method, host, authority, scheme, protocol, target, path, raw_path, query, forwarded_for, \
request_id, trace_id, user, client_address, client_port, peer_address, peer_port, local_address, local_port, tls_version, \
tls_cipher, tls_server_name, client_subject, client_issuer, client_serial, client_fingerprint, client_uri, client_dns, \
route, virtual_host, cluster, status, bytes_sent, bytes_received, wire_sent, wire_received, duration, duration_ms, upstream_duration, \
upstream_duration_ms, upstream_address, upstream_status, upstream_attempts, flags, time, start_time, machine, connection, \
header:NAME, response_header:NAME, query:NAME, cookie:NAME or the number or name of a capture";

impl FromStr for Variable {
    type Err = String;

    /// Our own spelling: `host`, `header:x-user`, `query:page`, `cookie:sid`, `1`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(known) = Self::plain(text) {
            return Ok(known);
        }
        if let Ok(number) = text.parse() {
            return Ok(Self::Capture(number));
        }
        match text.split_once(':') {
            Some((_, "")) | None => {}
            Some(("header", name)) => return Ok(Self::Header(name.into())),
            Some(("response_header", name)) => return Ok(Self::ResponseHeader(name.into())),
            Some(("query", name)) => return Ok(Self::Argument(name.into())),
            Some(("cookie", name)) => return Ok(Self::Cookie(name.into())),
            Some(("capture", name)) => return Ok(Self::NamedCapture(name.into())),
            Some(_) => {}
        }
        Err(format!("unknown variable {text}, expected one of {NAMES}"))
    }
}

impl FromStr for Template {
    type Err = String;

    /// `text ${variable} text`; `$$` is a dollar sign.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut template = Self::default();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            template.push_text(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                template.push_text("$");
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('{') {
                let (name, after) = inside.split_once('}').ok_or("expected } after ${")?;
                template.0.push(Part::Value(name.parse()?));
                rest = after;
            } else {
                return Err("expected ${variable}, or $$ for a dollar sign".into());
            }
        }
        template.push_text(rest);
        Ok(template)
    }
}

impl Template {
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self(if text.is_empty() { Vec::new() } else { vec![Part::Text(text)] })
    }

    pub fn variable(variable: Variable) -> Self {
        Self(vec![Part::Value(variable)])
    }

    pub fn push_text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.0.push(Part::Text(text.to_owned())),
        }
    }

    pub fn push(&mut self, variable: Variable) {
        self.0.push(Part::Value(variable));
    }

    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Value(variable) => Some(variable),
            Part::Text(_) => None,
        })
    }

    /// Itself, if it has no variables.
    pub fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub fn is_early(&self) -> bool {
        self.variables().all(Variable::is_early)
    }

    pub fn render(&self, values: &dyn Values, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Value(variable) => drop(write(variable, values, out)),
            }
        }
    }

    pub fn rendered(&self, values: &dyn Values) -> Vec<u8> {
        let mut out = Vec::new();
        self.render(values, &mut out);
        out
    }

    pub fn rendered_text(&self, values: &dyn Values) -> String {
        String::from_utf8_lossy(&self.rendered(values)).into_owned()
    }
}

/// Where values come from. False: there is none, and nothing was written.
pub trait Values {
    fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool;
}

/// The value of a variable, also of one that is made of others.
pub fn write(variable: &Variable, values: &dyn Values, out: &mut Vec<u8>) -> bool {
    let before = out.len();
    match variable {
        Variable::FirstOf(all) => all.iter().any(|one| write(one, values, out)),
        Variable::Short(inner, most) => {
            let there = write(inner, values, out);
            out.truncate(out.len().min(before + most));
            there
        }
        Variable::Or(inner, instead) => {
            if !write(inner, values, out) || out.len() == before {
                out.extend_from_slice(instead.as_bytes());
            }
            true
        }
        Variable::Named(template) => {
            template.render(values, out);
            out.len() > before
        }
        Variable::Map(map) => {
            map.write(values, out);
            out.len() > before
        }
        plain => values.write(plain, out),
    }
}

impl Map {
    fn write(&self, values: &dyn Values, out: &mut Vec<u8>) {
        let source = self.source.rendered_text(values);
        let lower = source.to_ascii_lowercase();
        let exact = self.exact.iter().find(|(key, _)| *key == lower).map(|(_, text)| text);
        let fitting = || self.expressions.iter().find(|(key, _)| key.is_match(&source)).map(|(_, text)| text);
        exact.or_else(fitting).unwrap_or(&self.default).render(values, out);
    }
}

/// No values at all, for templates that are only text.
#[cfg(test)]
pub(crate) struct Nothing;

#[cfg(test)]
impl Values for Nothing {
    fn write(&self, _: &Variable, _: &mut Vec<u8>) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Host;

    impl Values for Host {
        fn write(&self, variable: &Variable, out: &mut Vec<u8>) -> bool {
            let is_host = matches!(variable, Variable::Host);
            if is_host {
                out.extend_from_slice(b"a.test");
            }
            is_host
        }
    }

    #[test]
    fn text_and_variables_alternate() {
        let template: Template = "https://${host}/$$${header:x}".parse().unwrap();
        assert_eq!(template.rendered_text(&Host), "https://a.test/$");
        assert_eq!("plain".parse::<Template>().unwrap().as_text(), Some("plain"));
        for text in ["$host", "${host", "${nobody}", "${header:}"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_name_in_the_error_text_is_known() {
        for name in NAMES.split(", ").filter(|name| !name.contains(':')) {
            assert!(Variable::plain(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_map_chooses_exact_before_expressions_before_the_default() {
        let map = Map {
            source: Template::variable(Variable::Host),
            exact: vec![("a.test".into(), Template::text("exact"))],
            expressions: vec![(Expression::new("^a", false).unwrap(), Template::text("regex"))],
            default: Template::text("default"),
        };
        let of = |map: Map| Template::variable(Variable::Map(Arc::new(map)));
        assert_eq!(of(map.clone()).rendered_text(&Host), "exact");
        assert_eq!(of(Map { exact: Vec::new(), ..map.clone() }).rendered_text(&Host), "regex");
        assert_eq!(of(map).rendered_text(&Nothing), "default");
    }
}
