//! Real proxies that ask before they let somebody through: NGINX, Caddy, Envoy.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Child, Command, Stdio},
};

use test_kit::{HookServer, PATIENCE, TempDir, eventually, free_port, http};

use crate::browser::World;

/// A proxy in front of an app, and who it asks. The process ends with it.
struct Asking {
    child: Child,
    world: World,
    app: HookServer,
    front: SocketAddr,
    _dir: TempDir,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Asking {
    /// `@FRONT`, `@PROXY`, `@APP` and `@DIR` in the file are filled in.
    fn start(file: &str, command: fn(&Path, &str) -> Command) -> Self {
        Self::with(World::new(&["--set-xauthrequest"]), file, command)
    }

    fn with(world: World, file: &str, command: fn(&Path, &str) -> Command) -> Self {
        let (app, dir, port) = (HookServer::start(), TempDir::new(), free_port());
        let mut text = file.replace("@DIR", dir.to_str().unwrap());
        for (name, addr) in [("@PROXY", world.addr()), ("@APP", app.addr())] {
            text = text.replace(&format!("{name}_PORT"), &addr.port().to_string()).replace(name, &addr.to_string());
        }
        let text = text.replace("@FRONT_PORT", &port.to_string()).replace("@FRONT", &format!("127.0.0.1:{port}"));
        let path = dir.put("config.yaml", text);
        let child = command(&dir, &path).env("HOME", &*dir).stderr(Stdio::inherit()).stdout(Stdio::null()).spawn();
        let asking = Self { child: child.unwrap(), world, app, front: (Ipv4Addr::LOCALHOST, port).into(), _dir: dir };
        assert!(eventually(PATIENCE, || http::get(asking.front, "/").is_ok_and(|answer| answer.status != 503)));
        asking
    }

    /// What holds for every one of them: nobody, then somebody, then somebody who may not see all of it.
    fn judge(&self, email_header: &str) {
        self.judge_people(email_header, 401);
        let mut browser = self.world.browser();
        browser.sign_in("/");
        let cookie = format!("_oauth2_proxy={}", browser.cookies["_oauth2_proxy"]);
        let before = self.app.requests().len();
        let answer = http::request(self.front, "GET", "/admin", &[("Cookie", &cookie)], "").unwrap();
        assert_eq!(answer.status, 403, "not one of the admins");
        assert_eq!(self.app.requests().len(), before);
    }

    /// `nobody` is what strangers are answered.
    fn judge_people(&self, email_header: &str, nobody: u16) {
        for forged in ["x-auth-request-email", email_header] {
            let answer = http::request(self.front, "GET", "/x", &[(forged, "root@mycompany.com")], "").unwrap();
            assert_eq!(answer.status, nobody, "{}", answer.body);
        }
        assert!(self.app.requests().is_empty());
        let mut browser = self.world.browser();
        browser.sign_in("/");
        let cookie = format!("_oauth2_proxy={}", browser.cookies["_oauth2_proxy"]);
        let ask = |method: &str, path: &str, body: &str| {
            let headers = [("Cookie", &*cookie), (email_header, "root@mycompany.com")];
            http::request(self.front, method, path, &headers, body).unwrap().status
        };
        assert_eq!(ask("GET", "/x?y=z", ""), 200);
        assert_eq!(ask("POST", "/form", "what was typed"), 200);
        let seen = self.app.wait_requests(2);
        assert_eq!((seen[0].path.as_str(), seen[1].body.as_str()), ("/x?y=z", "what was typed"));
        for request in &seen {
            let told: Vec<_> = request.headers.iter().filter(|(name, _)| name == email_header).collect();
            assert_eq!(told.len(), 1, "{request:?}");
            assert_eq!(told[0].1, "alice@mycompany.com");
        }
        browser.get("/oauth2/sign_out");
        assert_eq!(ask("GET", "/x", ""), nobody, "signed out");
        assert_eq!(self.app.requests().len(), 2);
    }
}

const NGINX: &str = "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server { listen @FRONT;
    location = /oauth2/auth { internal; proxy_pass http://@PROXY; proxy_set_header Host $host;
      proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }
    location / { auth_request /oauth2/auth; auth_request_set $email $upstream_http_x_auth_request_email;
      proxy_set_header X-Email $email; proxy_pass http://@APP; }
    location /admin { auth_request /oauth2/admins; proxy_pass http://@APP; }
    location = /oauth2/admins { internal; proxy_pass http://@PROXY/oauth2/auth?allowed_groups=admins;
      proxy_pass_request_body off; proxy_set_header Content-Length \"\"; } } }
";

#[test]
fn nginx_asks_and_lets_in_who_belongs() {
    let asking = Asking::start(NGINX, |dir, file| {
        let mut command = Command::new("nginx");
        command.args(["-p", dir.to_str().unwrap(), "-e", "stderr", "-c", file]);
        command
    });
    asking.judge("x-email");
}

const CADDY: &str = "{
  admin off
  auto_https off
}
http://@FRONT {
  handle /admin* {
    forward_auth @PROXY {
      uri /oauth2/auth?allowed_groups=admins
      copy_headers X-Auth-Request-Email>X-Email
    }
    reverse_proxy @APP
  }
  route {
    request_header -X-Email
    forward_auth @PROXY {
      uri /oauth2/auth
      copy_headers X-Auth-Request-Email>X-Email
    }
    reverse_proxy @APP
  }
}
";

#[test]
fn caddy_asks_and_lets_in_who_belongs() {
    let asking = Asking::start(CADDY, |_, file| {
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config", file]);
        command
    });
    asking.judge("x-email");
}

/// Envoy takes 200 for yes and nothing else, and asks for the path itself: what it asks has no app, and says 200.
const ENVOY: &str = "
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: @FRONT_PORT}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: front
          route_config:
            virtual_hosts:
            - name: app
              domains: ['*']
              routes:
              - match: {prefix: /}
                route: {cluster: app}
          http_filters:
          - name: people
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
              http_service:
                server_uri: {uri: 'http://@PROXY', cluster: auth, timeout: 10s}
                authorization_request: {allowed_headers: {patterns: [{exact: cookie}]}}
                authorization_response:
                  allowed_upstream_headers: {patterns: [{prefix: x-auth-request-}]}
          - name: envoy.filters.http.router
            typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
  clusters:
  - name: auth
    load_assignment:
      cluster_name: auth
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: @PROXY_PORT}}}}]}]
  - name: app
    load_assignment:
      cluster_name: app
      endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: @APP_PORT}}}}]}]
";

#[test]
fn envoy_asks_and_lets_in_who_belongs() {
    let world = World::new(&["--set-xauthrequest", "--upstream=static://200"]);
    let asking = Asking::with(world, ENVOY, |_, file| {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/envoy"));
        command.args(["-c", file, "--use-dynamic-base-id", "--log-level", "error", "--concurrency", "1"]);
        command
    });
    asking.judge_people("x-auth-request-email", 403);
}
