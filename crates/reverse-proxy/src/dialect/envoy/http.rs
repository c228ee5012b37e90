//! The HTTP connection manager.

use std::time::Duration;

use crate::config::{
    AccessLog, CertificateHeader, ClientRules, Config, Escape, Format, Forwarded, Http, LogId, LogTarget, RealIp,
    Trust, Underscores,
};

use super::{cluster, format, route, walk::Message};

const FORWARD_PROXY: &str = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig";
const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";

/// What the manager says of all its routes.
pub struct Usual {
    pub upgrades: Upgrades,
    pub stream_idle: Option<Duration>,
    pub access_logs: Vec<LogId>,
}

pub fn manager(message: &mut Message, config: &mut Config) -> Http {
    let mut http = Http::default();
    let _ = message.required("stat_prefix");
    match message.text("codec_type").as_deref() {
        None | Some("AUTO") => {}
        Some("HTTP1") => http.http2 = false,
        Some("HTTP2") => message.problem("codec_type HTTP2 is not supported here: AUTO takes HTTP/2 and HTTP/1.1"),
        Some(other) => message.problem(format!("codec_type \"{other}\": expected AUTO or HTTP1")),
    }
    filters(message);
    http.client = client(message);
    limits(message, &mut http);
    for mut log in message.messages("access_log") {
        http.access_logs.extend(access_log(&mut log, config));
    }
    let usual = Usual {
        upgrades: Upgrades::default().with(message),
        stream_idle: match message.duration("stream_idle_timeout") {
            Some(span) => (!span.is_zero()).then_some(span),
            None => Some(Duration::from_secs(300)),
        },
        access_logs: http.access_logs.clone(),
    };
    match message.text("server_header_transformation").as_deref() {
        None | Some("OVERWRITE") => http.server_header = message.text("server_name"),
        Some("PASS_THROUGH") => message.ignore(&["server_name"]),
        Some(other) => message.problem(format!("server_header_transformation {other} is not supported here")),
    }
    // Paths are always compared as if both were on; what is passed on is what came.
    message.ignore(&[
        "normalize_path",
        "merge_slashes",
        "drain_timeout",
        "delayed_close_timeout",
        "internal_address_config",
        "request_id_extension",
        "always_set_request_id_in_response",
        "stat_prefix",
        "proxy_100_continue",
        "http_protocol_options",
        "represent_ipv4_remote_address_as_ipv4_mapped_ipv6",
        "stream_error_on_invalid_http_message",
        "strip_trailing_host_dot",
        "append_local_overload",
    ]);
    http.port_counts = !(message.flag("strip_any_host_port").unwrap_or(false)
        | message.flag("strip_matching_host_port").unwrap_or(false));
    message.only("path_with_escaped_slashes_action", &["IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED"]);
    message.refuse(&[
        "rds",
        "scoped_routes",
        "tracing",
        "local_reply_config",
        "via",
        "http3_protocol_options",
        "original_ip_detection_extensions",
        "append_x_forwarded_port",
        "early_header_mutation_extensions",
        "scheme_header_transformation",
    ]);
    match message.message("route_config") {
        Some(mut routes) => route::configuration(&mut routes, &usual, &mut http),
        None => message.problem("route_config: required"),
    }
    http
}

fn filters(message: &mut Message) {
    let mut router = false;
    for mut filter in message.messages("http_filters") {
        let name = filter.text("name").unwrap_or_default();
        filter.only("is_optional", &["false"]);
        filter.only("disabled", &["false"]);
        match filter.typed("typed_config") {
            Some((kind, mut inner)) if kind == ROUTER => {
                router = true;
                inner.ignore(&["dynamic_stats", "suppress_envoy_headers", "start_child_span"]);
                inner.refuse(&["upstream_log", "upstream_http_filters"]);
            }
            Some((kind, mut inner)) if kind == FORWARD_PROXY => {
                if let Some(mut cache) = inner.message("dns_cache_config") {
                    cluster::dns_cache(&mut cache);
                }
                inner.ignore(&["save_upstream_address"]);
                inner.refuse(&["sub_cluster_config", "allow_dynamic_host_from_filter_state"]);
            }
            Some((kind, mut inner)) => {
                inner.ignore_all();
                filter.problem(format!("{kind} is not supported here, only the router and dynamic_forward_proxy"));
            }
            None => filter.problem(format!("{name}: typed_config: required")),
        }
    }
    if !router {
        message.problem("http_filters: expected envoy.filters.http.router");
    }
}

fn client(message: &mut Message) -> ClientRules {
    let remote = message.flag("use_remote_address").unwrap_or(false);
    let hops = message.number("xff_num_trusted_hops").unwrap_or(0);
    let append = remote && !message.flag("skip_xff_append").unwrap_or(false);
    let certificate = message.text("forward_client_cert_details");
    let certificate = match certificate.as_deref() {
        None | Some("SANITIZE") => CertificateHeader::Removed,
        Some("SANITIZE_SET") => CertificateHeader::Set,
        Some("ALWAYS_FORWARD_ONLY") => CertificateHeader::Untouched,
        Some(other) => {
            message.problem(format!("forward_client_cert_details {other} is not supported here"));
            CertificateHeader::Removed
        }
    };
    message.message("set_current_client_cert_details").into_iter().for_each(|mut details| {
        details.ignore(&["subject", "uri", "dns"]);
        details.only("cert", &["false"]);
        details.only("chain", &["false"]);
    });
    let id = message.flag("generate_request_id").unwrap_or(true);
    message.ignore(&["preserve_external_request_id"]);
    ClientRules {
        // Without use_remote_address the last of X-Forwarded-For is who asked.
        trust: match (remote, hops) {
            (true, 0) => Trust::Nobody,
            (true, hops) => Trust::Hops(hops),
            (false, hops) => Trust::Hops(hops + 1),
        },
        real_ip: RealIp::ForwardedFor,
        forwarded: Forwarded { x_forwarded: append, standard: false, client_certificate: certificate },
        keep_claims: true,
        request_id: id,
        traceparent: false,
        underscores: Underscores::Pass,
        unwelcome: Vec::new(),
    }
}

fn limits(message: &mut Message, http: &mut Http) {
    let limits = &mut http.limits;
    let some = |span: Duration, usual: Duration| if span.is_zero() { usual } else { span };
    if let Some(span) = message.duration("request_headers_timeout") {
        limits.head_timeout = some(span, limits.head_timeout);
    }
    if let Some(span) = message.duration("request_timeout") {
        limits.body_timeout = some(span, limits.body_timeout);
    }
    limits.idle_timeout = Duration::from_secs(3600);
    limits.max_fields = Some(100);
    if let Some(mut common) = message.message("common_http_protocol_options") {
        if let Some(span) = common.duration("idle_timeout") {
            limits.idle_timeout = some(span, limits.idle_timeout);
        }
        limits.max_requests = common.number("max_requests_per_connection");
        http.client.underscores = match common.text("headers_with_underscores_action").as_deref() {
            Some("DROP_HEADER") => Underscores::Drop,
            Some("REJECT_REQUEST") => Underscores::Refuse,
            _ => Underscores::Pass,
        };
        if let Some(most) = common.number::<usize>("max_headers_count") {
            if !(1..=256).contains(&most) {
                common.problem(format!("max_headers_count {most}: expected 1 to 256 here"));
            }
            limits.max_fields = Some(most);
        }
        common.refuse(&["max_connection_duration", "max_stream_duration"]);
    }
    if let Some(kib) = message.number::<usize>("max_request_headers_kb") {
        limits.max_head = kib.clamp(1, 1024) << 10;
    }
    if let Some(mut h2) = message.message("http2_protocol_options") {
        limits.max_streams = h2.number("max_concurrent_streams").unwrap_or(limits.max_streams);
        h2.ignore(&[
            "initial_stream_window_size",
            "initial_connection_window_size",
            "hpack_table_size",
            "allow_connect",
            "connection_keepalive",
            "max_outbound_frames",
            "max_outbound_control_frames",
            "override_stream_error_on_invalid_http_message",
        ]);
    }
}

/// What a connection may become. A route says it over the manager.
#[derive(Clone, Copy, Default)]
pub struct Upgrades {
    pub websocket: bool,
    pub connect: bool,
    /// The tunnel ends here, and does not go on to another proxy.
    pub ends_here: bool,
}

impl Upgrades {
    pub fn with(mut self, message: &mut Message) -> Self {
        for mut upgrade in message.messages("upgrade_configs") {
            let kind = upgrade.required("upgrade_type");
            upgrade.refuse(&["filters"]);
            let enabled = upgrade.flag("enabled").unwrap_or(true);
            if let Some(mut connect) = upgrade.message("connect_config") {
                connect.refuse(&["proxy_protocol_config"]);
                connect.only("allow_post", &["false"]);
                self.ends_here = true;
            }
            match kind.to_ascii_lowercase().as_str() {
                "websocket" => self.websocket = enabled,
                "connect" => self.connect = enabled,
                _ => {
                    upgrade.problem(format!("upgrade_type {kind} is not supported here, only websocket and CONNECT"));
                }
            }
        }
        self
    }
}

fn access_log(message: &mut Message, config: &mut Config) -> Option<LogId> {
    const PREFIX: &str = "envoy.extensions.access_loggers.";
    let _ = message.text("name");
    message.refuse(&["filter"]);
    let Some((kind, mut inner)) = message.typed("typed_config") else {
        message.problem("typed_config: required");
        return None;
    };
    let to = match kind.strip_prefix(PREFIX) {
        Some("file.v3.FileAccessLog") => match inner.required("path").as_str() {
            "/dev/stdout" | "/proc/self/fd/1" => LogTarget::Stdout,
            "/dev/stderr" | "/proc/self/fd/2" => LogTarget::Stderr,
            path => LogTarget::File(path.into()),
        },
        Some("stream.v3.StdoutAccessLog") => LogTarget::Stdout,
        Some("stream.v3.StderrAccessLog") => LogTarget::Stderr,
        _ => {
            inner.ignore_all();
            inner.problem(format!("{kind} is not supported here, only file, stdout and stderr"));
            return None;
        }
    };
    let format = log_format(&mut inner)?;
    config.access_logs.push(AccessLog { to, format });
    Some(config.access_logs.len() - 1)
}

fn log_format(message: &mut Message) -> Option<Format> {
    let mut text = message.text("format");
    let mut fields = message.take("json_format").or_else(|| message.take("typed_json_format"));
    if let Some(mut inner) = message.message("log_format") {
        inner.ignore(&["omit_empty_values", "content_type", "json_format_options"]);
        inner.refuse(&["formatters", "text_format"]);
        fields = fields.or_else(|| inner.take("json_format"));
        if let Some(mut source) = inner.message("text_format_source") {
            source.refuse(&["filename", "inline_bytes", "environment_variable"]);
            text = text.or_else(|| source.text("inline_string"));
        }
    }
    let made = match (text, fields) {
        (None, Some(fields)) => format::json(&fields).map(Format::Json),
        (text, _) => {
            let text = text.unwrap_or_else(|| format::USUAL.to_owned());
            format::dashed(&text).map(|template| Format::Text(template, Escape::Hex))
        }
    };
    made.map_err(|problem| message.problem(problem)).ok()
}
