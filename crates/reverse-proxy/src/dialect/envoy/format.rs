//! Envoy's command operators (`%REQ(:METHOD)%`), in our terms.

use std::sync::Arc;

use common::config::{Node, Value};

use crate::template::{Clock, Part, Template, Unit, Variable};

/// The line that Envoy writes when nobody says another one.
pub const USUAL: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% \
%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n";

/// A header's value or the like: what is not there is nothing.
pub fn template(text: &str) -> Result<Template, String> {
    let mut template = Template::default();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        template.push_text(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            template.push_text("%");
            rest = after;
            continue;
        }
        let (operator, after) =
            operator(rest).ok_or_else(|| format!("\"{text}\": expected a % at the end of an operator"))?;
        template.push(variable(operator).ok_or_else(|| format!("%{operator}% is not supported here"))?);
        rest = after;
    }
    template.push_text(rest);
    Ok(template)
}

/// A line of a log: what is not there is a dash.
pub fn dashed(text: &str) -> Result<Template, String> {
    let mut template = template(text)?;
    for part in &mut template.0 {
        if let Part::Value(variable) = part {
            *variable = Variable::Or(Box::new(variable.clone()), "-".into());
        }
    }
    Ok(template)
}

pub fn json(fields: &Node) -> Result<Vec<(String, Template)>, String> {
    let Value::Map(entries) = &fields.value else { return Err("json_format: expected a mapping".into()) };
    let field = |(name, node): &(String, Node)| match &node.value {
        Value::Text(text) => Ok((name.clone(), template(text)?)),
        _ => Err(format!("json_format.{name}: only plain values are supported here")),
    };
    entries.iter().map(field).collect()
}

/// Up to the closing %, of which there may be others inside the brackets.
fn operator(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '%' if depth == 0 => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

fn variable(operator: &str) -> Option<Variable> {
    // `NAME(ARGUMENT):LENGTH`
    let (name, argument, length) = match operator.split_once('(') {
        Some((name, rest)) => {
            let (argument, length) = rest.rsplit_once(')')?;
            (name, Some(argument), length.strip_prefix(':'))
        }
        None => (operator, None, None),
    };
    let found = match (name, argument) {
        ("REQ" | "REQUEST_HEADER", Some(names)) => first_of(names, request),
        ("RESP" | "RESPONSE_HEADER", Some(names)) => first_of(names, response),
        ("START_TIME", None) => Variable::StartTime(Clock::Rfc3339),
        ("START_TIME", Some(format)) => Variable::StartTime(clock(format)?),
        (name, None) => plain(name)?,
        _ => return None,
    };
    match length {
        Some(length) => Some(Variable::Short(Box::new(found), length.parse().ok()?)),
        None => Some(found),
    }
}

fn first_of(names: &str, one: fn(&str) -> Variable) -> Variable {
    match names.split_once('?') {
        Some((first, second)) => Variable::FirstOf(vec![one(first), one(second)]),
        None => one(names),
    }
}

fn request(name: &str) -> Variable {
    match name.to_ascii_lowercase().as_str() {
        ":method" => Variable::Method,
        ":path" => Variable::Target,
        ":authority" | "host" => Variable::Authority,
        ":scheme" => Variable::Scheme,
        "x-request-id" => Variable::RequestId,
        name => Variable::Header(name.to_owned()),
    }
}

fn response(name: &str) -> Variable {
    match name.to_ascii_lowercase().as_str() {
        ":status" => Variable::Status,
        "x-envoy-upstream-service-time" => Variable::UpstreamDuration(Unit::Milliseconds),
        name => Variable::ResponseHeader(name.to_owned()),
    }
}

fn clock(format: &str) -> Option<Clock> {
    Some(match format {
        "%Y-%m-%dT%H:%M:%S.%3fZ" | "%Y-%m-%dT%H:%M:%SZ" => Clock::Rfc3339,
        "%d/%b/%Y:%H:%M:%S +0000" | "%d/%b/%Y:%H:%M:%S %z" => Clock::Common,
        "%s.%3f" => Clock::Unix,
        _ => return None,
    })
}

/// An address and its port.
fn with_port(address: Variable, port: Variable) -> Variable {
    let mut template = Template::variable(address);
    template.push_text(":");
    template.push(port);
    Variable::Named(Arc::new(template))
}

fn plain(name: &str) -> Option<Variable> {
    Some(match name {
        "PROTOCOL" => Variable::Protocol,
        "RESPONSE_CODE" => Variable::Status,
        "RESPONSE_FLAGS" => Variable::Flags,
        "BYTES_RECEIVED" => Variable::BytesReceived,
        "BYTES_SENT" => Variable::BytesSent,
        "DURATION" => Variable::Duration(Unit::Milliseconds),
        "RESPONSE_DURATION" => Variable::UpstreamDuration(Unit::Milliseconds),
        "UPSTREAM_HOST" => Variable::UpstreamAddress,
        "UPSTREAM_CLUSTER" | "UPSTREAM_CLUSTER_RAW" => Variable::ClusterName,
        "UPSTREAM_REQUEST_ATTEMPT_COUNT" => Variable::UpstreamAttempts,
        "ROUTE_NAME" => Variable::RouteName,
        "VIRTUAL_HOST_NAME" => Variable::VirtualHost,
        "REQUESTED_SERVER_NAME" => Variable::TlsServerName,
        "HOSTNAME" => Variable::MachineName,
        "CONNECTION_ID" => Variable::Connection,
        "STREAM_ID" => Variable::RequestId,
        "TRACE_ID" => Variable::TraceId,
        "DOWNSTREAM_REMOTE_ADDRESS" => {
            with_port(Variable::ClientAddress, Variable::Or(Box::new(Variable::ClientPort), "0".into()))
        }
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => Variable::ClientAddress,
        "DOWNSTREAM_REMOTE_PORT" => Variable::ClientPort,
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS" => with_port(Variable::PeerAddress, Variable::PeerPort),
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT" => Variable::PeerAddress,
        "DOWNSTREAM_LOCAL_ADDRESS" => with_port(Variable::LocalAddress, Variable::LocalPort),
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT" => Variable::LocalAddress,
        "DOWNSTREAM_LOCAL_PORT" => Variable::LocalPort,
        "DOWNSTREAM_TLS_VERSION" => Variable::TlsVersion,
        "DOWNSTREAM_TLS_CIPHER" => Variable::TlsCipher,
        "DOWNSTREAM_PEER_SUBJECT" => Variable::ClientSubject,
        "DOWNSTREAM_PEER_ISSUER" => Variable::ClientIssuer,
        "DOWNSTREAM_PEER_SERIAL" => Variable::ClientSerial,
        "DOWNSTREAM_PEER_FINGERPRINT_256" => Variable::ClientFingerprint,
        "DOWNSTREAM_PEER_URI_SAN" => Variable::ClientUri,
        "DOWNSTREAM_PEER_DNS_SAN" => Variable::ClientDns,
        // Nothing is known here that Envoy does not say better; a line that has them stays readable.
        "RESPONSE_CODE_DETAILS" | "UPSTREAM_TRANSPORT_FAILURE_REASON" | "CONNECTION_TERMINATION_DETAILS" => {
            Variable::Named(Arc::default())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_understood_or_named() {
        assert_eq!(template(USUAL).unwrap().variables().count(), 15);
        for (text, variables) in [("%%", 0), ("%REQ(a?b):10% x", 1), ("%START_TIME(%d/%b/%Y:%H:%M:%S %z)%", 1)] {
            assert_eq!(template(text).unwrap().variables().count(), variables, "{text}");
        }
        assert_eq!(template("%DYNAMIC_METADATA(x)%").unwrap_err(), "%DYNAMIC_METADATA(x)% is not supported here");
        assert!(template("100%").is_err());
    }
}
