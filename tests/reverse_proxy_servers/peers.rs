//! NGINX, HAProxy and Envoy in front of the same app, with the settings of a sidecar: connections to the app are kept.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use test_kit::{PATIENCE, TempDir, eventually};

/// One of them, ended when the test lets go of it.
pub(crate) struct Peer {
    child: Child,
    pub(crate) port: u16,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(command: &mut Command, port: u16) -> Peer {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut peer = Peer { child: child.unwrap_or_else(|error| panic!("{command:?}: {error}")), port };
    let listens = eventually(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    assert!(listens && peer.child.try_wait().unwrap().is_none(), "{command:?} does not listen");
    peer
}

pub(crate) fn nginx(dir: &TempDir, app: u16, http2: bool) -> Peer {
    let (port, at) = (free_port(), dir.display());
    let more = if http2 { " http2" } else { "" };
    let config = dir.put(
        &format!("nginx{more}.conf").replace(' ', "-"),
        format!(
            "daemon off; master_process off; pid {at}/nginx{port}.pid; error_log /dev/null;\n\
             events {{}}\nhttp {{ access_log off; client_body_temp_path {at}; proxy_temp_path {at}; fastcgi_temp_path {at};\n\
             uwsgi_temp_path {at}; scgi_temp_path {at};\n\
             map $http_upgrade $upgraded {{ default upgrade; '' ''; }}\n\
             upstream app {{ server 127.0.0.1:{app}; keepalive 4; }}\n\
             server {{ listen 127.0.0.1:{port}{more}; location / {{ proxy_pass http://app; proxy_http_version 1.1;\n\
             proxy_request_buffering off; proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade;\n\
             proxy_set_header Connection $upgraded; }} }} }}\n"
        ),
    );
    start(Command::new("nginx").args(["-p", &at.to_string(), "-c", &config]), port)
}

pub(crate) fn haproxy(dir: &TempDir, app: u16, http2: bool) -> Peer {
    let port = free_port();
    let more = if http2 { " proto h2" } else { "" };
    let config = dir.put(
        &format!("haproxy{port}.cfg"),
        format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n http-reuse always\n\
             frontend in\n bind 127.0.0.1:{port}{more}\n default_backend app\nbackend app\n server app 127.0.0.1:{app}\n"
        ),
    );
    start(Command::new("haproxy").args(["-db", "-f", &config]), port)
}

pub(crate) fn envoy(dir: &TempDir, app: u16) -> Peer {
    let port = free_port();
    let config = dir.put(
        &format!("envoy{port}.yaml"),
        format!(
            "static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in
          upgrade_configs: [{{upgrade_type: websocket}}]
          route_config: {{virtual_hosts: [{{name: all, domains: ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: app}}}}]}}]}}
          http_filters: [{{name: envoy.filters.http.router, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}}]
  clusters:
  - {{name: app, type: STATIC, load_assignment: {{cluster_name: app, endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {app}}}}}}}}}]}}]}}}}
"
        ),
    );
    let mut command = Command::new(crate::built("envoy"));
    command.args(["-c", &config, "--disable-hot-restart", "--concurrency", "1", "-l", "off"]);
    let peer = start(&mut command, port);
    // It listens before it has its clusters.
    std::thread::sleep(Duration::from_millis(200));
    peer
}
