//! The proxies, each with one worker on the first processor, told to do the same. Ours reads NGINX's file, as it is.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    OursAsNginx,
    OursAsEnvoy,
    Nginx,
    Haproxy,
    Envoy,
}

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
}

/// Where a proxy listens: plain, TLS, HTTP/2 without TLS, HTTP/2 over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) tls: u16,
    pub(crate) h2c: u16,
    pub(crate) h2: u16,
}

/// Which configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Tuned: connections to the app are kept, no access log.
    Tuned,
    /// As people write it: two lines of `server`, or a static bootstrap.
    Plain,
}

pub(crate) struct Running {
    child: Child,
    pub(crate) peer: Peer,
    pub(crate) ports: Ports,
    /// From just before it was executed to the first connection.
    pub(crate) ready_after: Duration,
}

impl Running {
    pub(crate) fn start(peer: &Peer, setup: Setup, first: u16, upstream: u16, scratch: &Path) -> Result<Self, String> {
        let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", peer.name);
        let ports = Ports { plain: first, tls: first + 1, h2c: first + 2, h2: first + 3 };
        let place = scratch.join(format!("{}-{first}", peer.name.replace(' ', "-")));
        fs::create_dir_all(&place).map_err(|error| problem(&error))?;
        let text = match (peer.kind, setup) {
            (Kind::Nginx | Kind::OursAsNginx, Setup::Tuned) => NGINX.to_owned(),
            (Kind::Nginx | Kind::OursAsNginx, Setup::Plain) => NGINX_PLAIN.to_owned(),
            (Kind::Haproxy, _) => HAPROXY.to_owned(),
            (Kind::Envoy | Kind::OursAsEnvoy, Setup::Plain) => ENVOY_PLAIN.to_owned(),
            (Kind::Envoy | Kind::OursAsEnvoy, Setup::Tuned) => envoy(),
        };
        let values = [
            ("@PLAIN", ports.plain.to_string()),
            ("@TLS", ports.tls.to_string()),
            ("@H2C", ports.h2c.to_string()),
            ("@H2", ports.h2.to_string()),
            ("@UPSTREAM", upstream.to_string()),
            ("@CERTS", scratch.display().to_string()),
            ("@HERE", place.display().to_string()),
        ];
        let text = values.iter().fold(text, |text, (name, value)| text.replace(name, value));
        let is_yaml = matches!(peer.kind, Kind::Envoy | Kind::OursAsEnvoy);
        let config = place.join(if is_yaml { "envoy.yaml" } else { "proxy.conf" });
        fs::write(&config, text).map_err(|error| problem(&error))?;
        let mut child = peer.command(&config, &place).map_err(|error| problem(&error))?;
        child.stdin(Stdio::null()).stdout(Stdio::null());
        let said = place.join("stderr");
        child.stderr(fs::File::create(&said).map_err(|error| problem(&error))?);
        let begun = Instant::now();
        let child = child.spawn().map_err(|error| problem(&error))?;
        let mut running = Self { child, peer: peer.clone(), ports, ready_after: Duration::ZERO };
        while TcpStream::connect(("127.0.0.1", ports.plain)).is_err() {
            if running.child.try_wait().is_ok_and(|ended| ended.is_some()) || begun.elapsed() > PATIENCE {
                return Err(problem(&fs::read_to_string(&said).unwrap_or_default().trim()));
            }
            sleep(Duration::from_micros(200));
        }
        running.ready_after = begun.elapsed();
        Ok(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Peer {
    fn command(&self, config: &Path, place: &Path) -> std::io::Result<Command> {
        let program = match self.kind {
            Kind::OursAsNginx => linked(&self.program, &place.join("nginx"))?,
            Kind::OursAsEnvoy => linked(&self.program, &place.join("envoy"))?,
            _ => self.program.clone(),
        };
        let mut command = Command::new("taskset");
        command.args(["-c", "0"]).arg(program);
        match self.kind {
            Kind::Nginx | Kind::OursAsNginx => command.arg("-c").arg(config).arg("-p").arg(place),
            Kind::Haproxy => command.arg("-f").arg(config),
            Kind::Envoy | Kind::OursAsEnvoy => {
                command.arg("-c").arg(config).args(["--concurrency", "1", "-l", "error", "--base-id"]).arg("77")
            }
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/bin").env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0");
        command.env("SIDECAR_LOG_LEVEL", "error").env("SIDECAR_DRAIN_DELAY", "0s");
        Ok(command)
    }
}

/// The peer's name decides what is read.
fn linked(program: &Path, link: &Path) -> std::io::Result<PathBuf> {
    // It may be there since the last measurement.
    let _ = std::fs::remove_file(link);
    symlink(program.canonicalize()?, link)?;
    Ok(link.to_owned())
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have gone by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + Duration::from_secs(5);
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const NGINX: &str = "daemon off; worker_processes 1; pid @HERE/pid; error_log stderr crit;
events { worker_connections 16384; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; client_max_body_size 0;
  ssl_certificate @CERTS/server.crt; ssl_certificate_key @CERTS/server.key;
  upstream app { server 127.0.0.1:@UPSTREAM; keepalive 256; keepalive_requests 1000000000; }
  proxy_http_version 1.1;
  proxy_set_header Connection \"\";
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  server { listen 127.0.0.1:@PLAIN; location / { proxy_pass http://app; } }
  server { listen 127.0.0.1:@TLS ssl; location / { proxy_pass http://app; } }
  server { listen 127.0.0.1:@H2C http2; location / { proxy_pass http://app; } }
  server { listen 127.0.0.1:@H2 ssl http2; location / { proxy_pass http://app; } }
}
";

/// What stands in the documents of many: two lines, and NGINX's defaults around it.
const NGINX_PLAIN: &str = "daemon off; worker_processes 1; pid @HERE/pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  log_format main '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\" \"$http_x_forwarded_for\"';
  access_log @HERE/access.log main; sendfile on; keepalive_timeout 65;
  server { listen @PLAIN; location / { proxy_pass http://localhost:@UPSTREAM; } }
}
";

const HAPROXY: &str =
    "global\n nbthread 1\n no strict-limits\n maxconn 10500\n tune.ssl.default-dh-param 2048\ndefaults\n mode http\n timeout connect 5s
 timeout client 300s\n timeout server 300s\n http-reuse always\n option forwardfor
frontend f\n bind 127.0.0.1:@PLAIN\n bind 127.0.0.1:@TLS ssl crt @CERTS/both.pem\n bind 127.0.0.1:@H2C proto h2
 bind 127.0.0.1:@H2 ssl crt @CERTS/both.pem alpn h2\n http-request set-header X-Forwarded-Proto http\n default_backend b
backend b\n server app 127.0.0.1:@UPSTREAM\n";

const ENVOY_PLAIN: &str = "static_resources:
  listeners:
  - name: listener_0
    address: { socket_address: { address: 127.0.0.1, port_value: @PLAIN } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          route_config:
            name: local_route
            virtual_hosts:
            - name: local_service
              domains: [\"*\"]
              routes:
              - match: { prefix: \"/\" }
                route: { cluster: local_app }
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: local_app
    connect_timeout: 0.25s
    type: STATIC
    lb_policy: ROUND_ROBIN
    load_assignment:
      cluster_name: local_app
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: { socket_address: { address: 127.0.0.1, port_value: @UPSTREAM } }
";

/// The same four doors as the others have.
fn envoy() -> String {
    let (listener, clusters) = ENVOY_PLAIN.split_once("  clusters:").unwrap_or_default();
    let (head, listener) = listener.split_once("  - name").unwrap_or_default();
    let tls = |alpn: &str| {
        format!(
            "      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [\"{alpn}\"]
            tls_certificates:
            - certificate_chain: {{ filename: @CERTS/server.crt }}
              private_key: {{ filename: @CERTS/server.key }}
"
        )
    };
    let door = |name: &str, port: &str, after: &str| {
        format!("  - name{}{after}", listener.replace("listener_0", name).replace("@PLAIN", port))
    };
    [
        head.to_owned(),
        door("plain", "@PLAIN", ""),
        door("tls", "@TLS", &tls("http/1.1")),
        door("h2c", "@H2C", ""),
        door("h2", "@H2", &tls("h2")),
        format!("  clusters:{clusters}"),
    ]
    .concat()
}
