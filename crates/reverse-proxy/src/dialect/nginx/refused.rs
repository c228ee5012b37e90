//! Directives of nginx that are not supported, each with the reason; and those that have nothing to say here.

const FILES: &str = "static files are not served";
const CACHE: &str = "nothing is cached";
const OTHERS: &str = "only HTTP is spoken to the app";

/// Why a directive that nginx has is refused. None: nginx does not have it either, as far as is known here.
pub fn why(name: &str) -> Option<&'static str> {
    Some(match name {
        "root" | "alias" | "try_files" | "index" | "autoindex" | "expires" | "error_page" | "types" => FILES,
        "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "memcached_pass" => OTHERS,
        "mirror" | "auth_request" | "sub_filter" | "split_clients" | "geo" | "js_import" | "js_content" | "perl"
        | "internal" | "limit_except" | "grpc_pass" | "auth_jwt" | "secure_link" | "load_module" => {
            "it has no counterpart yet"
        }
        "limit_req" | "limit_req_zone" | "limit_conn" | "limit_conn_zone" | "limit_rate" => "rates are not limited yet",
        "ip_hash" | "hash" | "zone" | "sticky" => "balancing is round robin, least_conn or random",
        "merge_slashes" => "paths are always compared without empty segments",
        "ssl_crl" | "ssl_password_file" | "ssl_ocsp" => "it has no counterpart yet",
        "ssl_verify_client" => "expected on, off or optional",
        "mail" => "only HTTP and TCP are served",
        _ if name.starts_with("proxy_cache") => CACHE,
        _ if ["fastcgi_", "uwsgi_", "scgi_"].iter().any(|prefix| name.starts_with(prefix)) => OTHERS,
        _ if ["grpc_", "proxy_cookie_", "limit_", "ssl_", "proxy_ssl_"]
            .iter()
            .any(|prefix| name.starts_with(prefix)) =>
        {
            "it has no counterpart yet"
        }
        _ => return None,
    })
}

/// Those about how nginx itself works: its buffers, its workers, its files. Nothing is lost when they are read over.
pub fn is_idle(name: &str) -> bool {
    const IDLE: [&str; 64] = [
        "user",
        "worker_processes",
        "worker_rlimit_nofile",
        "worker_cpu_affinity",
        "worker_priority",
        "worker_shutdown_timeout",
        "worker_connections",
        "multi_accept",
        "use",
        "accept_mutex",
        "accept_mutex_delay",
        "pcre_jit",
        "timer_resolution",
        "thread_pool",
        "env",
        "lock_file",
        "working_directory",
        "debug_connection",
        "daemon",
        "master_process",
        "pid",
        "error_log",
        "sendfile",
        "sendfile_max_chunk",
        "tcp_nopush",
        "tcp_nodelay",
        "aio",
        "directio",
        "output_buffers",
        "postpone_output",
        "server_names_hash_bucket_size",
        "server_names_hash_max_size",
        "types_hash_max_size",
        "types_hash_bucket_size",
        "variables_hash_max_size",
        "variables_hash_bucket_size",
        "map_hash_bucket_size",
        "map_hash_max_size",
        "proxy_headers_hash_max_size",
        "proxy_headers_hash_bucket_size",
        "client_body_buffer_size",
        "client_header_buffer_size",
        "client_body_temp_path",
        "client_body_in_file_only",
        "client_body_in_single_buffer",
        "connection_pool_size",
        "request_pool_size",
        "proxy_buffering",
        "proxy_request_buffering",
        "proxy_buffers",
        "proxy_buffer_size",
        "proxy_busy_buffers_size",
        "proxy_temp_path",
        "proxy_max_temp_file_size",
        "proxy_temp_file_write_size",
        "proxy_socket_keepalive",
        "reset_timedout_connection",
        "lingering_close",
        "lingering_time",
        "lingering_timeout",
        "log_not_found",
        "open_log_file_cache",
        "server_name_in_redirect",
        "port_in_redirect",
    ];
    const ALSO: [&str; 13] = [
        "resolver_timeout",
        "absolute_redirect",
        "etag",
        "charset",
        "override_charset",
        "keepalive_disable",
        "msie_padding",
        "log_subrequest",
        "recursive_error_pages",
        "ignore_invalid_headers",
        "open_file_cache",
        "http2_recv_buffer_size",
        "proxy_intercept_errors",
    ];
    IDLE.contains(&name) || ALSO.contains(&name) || name.starts_with("gzip_") || name.starts_with("open_file_cache_")
}
