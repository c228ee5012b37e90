//! A real NGINX that asks before it lets somebody through.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
};

use test_kit::{HookServer, PATIENCE, TempDir, eventually, free_port, http};

use crate::browser::World;

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nginx_asks_and_lets_in_who_belongs() {
    let world = World::new(&["--set-xauthrequest"]);
    let app = HookServer::start();
    let (dir, port) = (TempDir::new(), free_port());
    let config = format!(
        "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{}}
         http {{ access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u;
                 scgi_temp_path s;
                 server {{ listen 127.0.0.1:{port};
                   location = /oauth2/auth {{ internal; proxy_pass http://{proxy}; proxy_set_header Host $host;
                     proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }}
                   location / {{ auth_request /oauth2/auth; auth_request_set $email $upstream_http_x_auth_request_email;
                     proxy_set_header X-Email $email; proxy_pass http://{app}; }}
                   location /admin {{ auth_request /oauth2/admins; proxy_pass http://{app}; }}
                   location = /oauth2/admins {{ internal; proxy_pass http://{proxy}/oauth2/auth?allowed_groups=admins;
                     proxy_pass_request_body off; proxy_set_header Content-Length \"\"; }} }} }}",
        proxy = world.addr(),
        app = app.addr(),
    );
    let file = dir.put("nginx.conf", &config);
    let child = Command::new("nginx")
        .args(["-p", dir.to_str().unwrap(), "-e", "stderr", "-c", &file])
        .stderr(Stdio::inherit())
        .spawn();
    let _nginx = Nginx(child.unwrap());
    let front: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    assert!(eventually(PATIENCE, || http::get(front, "/").is_ok()));
    assert_eq!(http::get(front, "/").unwrap().status, 401);
    assert!(app.requests().is_empty());
    let mut browser = world.browser();
    browser.sign_in("/");
    let cookie = format!("_oauth2_proxy={}", browser.cookies["_oauth2_proxy"]);
    let ask = |path: &str| http::request(front, "GET", path, &[("Cookie", &cookie)], "").unwrap().status;
    assert_eq!(ask("/x"), 200);
    assert_eq!(app.wait_requests(1)[0].header("x-email"), Some("alice@mycompany.com"));
    assert_eq!(ask("/admin"), 403, "not one of the admins");
}
