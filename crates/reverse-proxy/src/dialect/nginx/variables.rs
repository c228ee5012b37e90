//! The variables of nginx, in our terms.

use std::{collections::HashMap, sync::Arc};

use crate::template::{Clock, Template, Unit, Variable};

/// Variables that the configuration itself defines (`map`, captures with names).
#[derive(Clone, Debug, Default)]
pub struct Defined(pub HashMap<String, Variable>);

/// A text with variables in it. The error is in nginx's words, without the place.
pub fn template(text: &str, defined: &Defined) -> Result<Template, String> {
    let mut template = Template::default();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        template.push_text(&rest[..at]);
        rest = &rest[at + 1..];
        let (name, after) = match rest.strip_prefix('{') {
            Some(inside) => inside.split_once('}').ok_or("the closing bracket in a variable is missing")?,
            None => {
                let digits = rest.starts_with(|c: char| c.is_ascii_digit());
                let is_name = |c: char| if digits { c.is_ascii_digit() } else { c.is_ascii_alphanumeric() || c == '_' };
                // A capture has one digit.
                let end = if digits { 1 } else { rest.find(|c| !is_name(c)).unwrap_or(rest.len()) };
                rest.split_at(end)
            }
        };
        if name.is_empty() {
            return Err("invalid variable name".into());
        }
        push(&mut template, name, defined)?;
        rest = after;
    }
    template.push_text(rest);
    Ok(template)
}

fn push(template: &mut Template, name: &str, defined: &Defined) -> Result<(), String> {
    if name == "request" {
        for (index, part) in [Variable::Method, Variable::Target, Variable::Protocol].into_iter().enumerate() {
            if index > 0 {
                template.push_text(" ");
            }
            template.push(part);
        }
        return Ok(());
    }
    match variable(name, defined) {
        Some(variable) => template.push(variable),
        None => return Err(format!("unknown \"{name}\" variable")),
    }
    Ok(())
}

/// One variable, by its name without the dollar sign.
pub fn variable(name: &str, defined: &Defined) -> Option<Variable> {
    if let Some(known) = defined.0.get(name) {
        return Some(known.clone());
    }
    let header =
        |prefix: &str| name.strip_prefix(prefix).filter(|rest| !rest.is_empty()).map(|rest| rest.replace('_', "-"));
    if let Some(name) = header("http_") {
        return Some(Variable::Header(name));
    }
    if let Some(name) = header("sent_http_").or_else(|| header("upstream_http_")) {
        return Some(Variable::ResponseHeader(name));
    }
    if let Some(name) = name.strip_prefix("arg_").filter(|name| !name.is_empty()) {
        return Some(Variable::Argument(name.into()));
    }
    if let Some(name) = name.strip_prefix("cookie_").filter(|name| !name.is_empty()) {
        return Some(Variable::Cookie(name.into()));
    }
    if let Ok(number) = name.parse() {
        return Some(Variable::Capture(number));
    }
    Some(match name {
        "host" => Variable::FirstOf(vec![Variable::Host, Variable::HostName]),
        "remote_addr" => Variable::ClientAddress,
        "remote_port" => Variable::ClientPort,
        "remote_user" => Variable::User,
        "realip_remote_addr" => Variable::PeerAddress,
        "realip_remote_port" => Variable::PeerPort,
        "proxy_protocol_addr" => Variable::ClientAddress,
        "proxy_protocol_port" => Variable::ClientPort,
        "server_addr" => Variable::LocalAddress,
        "server_port" => Variable::LocalPort,
        "server_name" => Variable::HostName,
        "server_protocol" => Variable::Protocol,
        "scheme" => Variable::Scheme,
        "https" => https(),
        "request_method" => Variable::Method,
        "request_uri" => Variable::Target,
        "uri" | "document_uri" => Variable::Path,
        "args" | "query_string" => Variable::Query,
        "is_args" => Variable::QueryMark,
        "proxy_add_x_forwarded_for" => Variable::ForwardedFor,
        "proxy_host" => Variable::ClusterAuthority,
        "request_id" => Variable::RequestId,
        "content_type" => Variable::Header("content-type".into()),
        "content_length" => Variable::Header("content-length".into()),
        "time_local" => Variable::Time(Clock::Common),
        "time_iso8601" => Variable::Time(Clock::Iso8601),
        "msec" => Variable::Time(Clock::Unix),
        "status" => Variable::Status,
        "body_bytes_sent" => Variable::BytesSent,
        "bytes_sent" => Variable::WireSent,
        "request_length" => Variable::WireReceived,
        "request_time" => Variable::Duration(Unit::Seconds),
        "upstream_response_time" | "upstream_header_time" => Variable::UpstreamDuration(Unit::Seconds),
        "upstream_connect_time" => Variable::UpstreamConnectDuration(Unit::Seconds),
        "upstream_addr" => Variable::UpstreamAddress,
        "upstream_status" => Variable::UpstreamStatus,
        "connection" => Variable::Connection,
        "hostname" => Variable::MachineName,
        "pid" => Variable::ProcessId,
        "ssl_protocol" => Variable::TlsVersion,
        "ssl_cipher" => Variable::TlsCipher,
        "ssl_server_name" => Variable::TlsServerName,
        "ssl_client_s_dn" => Variable::ClientSubject,
        "ssl_client_i_dn" => Variable::ClientIssuer,
        "ssl_client_serial" => Variable::ClientSerial,
        "ssl_client_verify" => Variable::ClientVerified,
        // One connection of HTTP/1 has no pipeline that anybody measures.
        "pipe" => Variable::Named(Arc::new(Template::text("."))),
        "gzip_ratio" => Variable::Named(Arc::new(Template::default())),
        "nginx_version" => Variable::Named(Arc::new(Template::text(super::VERSION))),
        _ => return None,
    })
}

/// `on` with TLS, else nothing.
fn https() -> Variable {
    let map = crate::template::Map {
        source: Template::variable(Variable::Scheme),
        exact: vec![("https".into(), Template::text("on"))],
        expressions: Vec::new(),
        default: Template::default(),
    };
    Variable::Map(Arc::new(map))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_variables_in_texts() {
        for (text, parts) in [
            ("$host", 1),
            ("a$host.b", 3),
            ("${scheme}x", 2),
            ("$scheme://$host$request_uri", 4),
            ("$1x$2", 3),
            ("$request", 5),
            ("$http_x_y", 1),
        ] {
            assert_eq!(template(text, &Defined::default()).unwrap().0.len(), parts, "{text}");
        }
        for (text, problem) in [
            ("$nothing", "unknown \"nothing\" variable"),
            ("$", "invalid variable name"),
            ("a$-", "invalid variable name"),
        ] {
            assert_eq!(template(text, &Defined::default()).unwrap_err(), problem);
        }
    }
}
