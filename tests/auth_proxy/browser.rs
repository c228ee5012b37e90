//! A browser that keeps cookies, an app, a provider, and the proxy between them.

use std::{collections::BTreeMap, net::SocketAddr};

use test_kit::{HookServer, OpenId, Request, Sidecar, TempDir, http};

pub(crate) const COOKIE_SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) struct World {
    pub(crate) provider: OpenId,
    pub(crate) app: HookServer,
    pub(crate) proxy: Sidecar,
}

fn started(provider: &OpenId, app: &HookServer, more: &[&str]) -> Sidecar {
    let fixed = [
        "--provider=oidc".into(),
        format!("--oidc-issuer-url={}", provider.issuer()),
        format!("--upstream=http://{}", app.addr()),
        "--http-address=127.0.0.1:0".into(),
        format!("--client-id={}", OpenId::CLIENT),
        format!("--client-secret={}", OpenId::SECRET),
    ];
    let mut args: Vec<&str> = vec!["oauth2-proxy"];
    let own_app = more.iter().any(|arg| arg.starts_with("--upstream=static"));
    args.extend(fixed.iter().map(String::as_str).filter(|arg| !(own_app && arg.starts_with("--upstream"))));
    if !more.iter().any(|arg| arg.starts_with("--email-domain")) {
        args.push("--email-domain=mycompany.com");
    }
    args.extend(more);
    let has_secret = more.iter().any(|arg| arg.starts_with("--cookie-secret"));
    Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
        .own_admin()
        .args(args)
        .env("OAUTH2_PROXY_COOKIE_SECRET", if has_secret { "" } else { COOKIE_SECRET })
        .env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0")
        .spawn()
}

impl World {
    pub(crate) fn new(more: &[&str]) -> Self {
        Self::with(OpenId::start(), more)
    }

    pub(crate) fn with(provider: OpenId, more: &[&str]) -> Self {
        let app = HookServer::start();
        let proxy = started(&provider, &app, more);
        Self { provider, app, proxy }
    }

    /// Another one beside it, with the same provider and the same app.
    pub(crate) fn replica(&self, more: &[&str]) -> Sidecar {
        started(&self.provider, &self.app, more)
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.proxy.port_of("proxy")).into()
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(&self.proxy)
    }

    /// With a file of ours; `{issuer}`, `{app}` and `{dir}` in it are filled in.
    pub(crate) fn of_file(dir: &TempDir, text: &str) -> Self {
        let (provider, app) = (OpenId::start(), HookServer::start());
        dir.put("cookie-secret", COOKIE_SECRET);
        dir.put("client-secret", OpenId::SECRET);
        let text = text.replace("{issuer}", &provider.issuer()).replace("{app}", &app.url(""));
        let file = dir.put("config.yaml", text.replace("{dir}", dir.to_str().unwrap()));
        let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &file]).spawn();
        Self { provider, app, proxy }
    }

    /// What the app saw last.
    pub(crate) fn seen(&self) -> Request {
        self.app.wait_requests(1).pop().unwrap()
    }
}

#[derive(Clone)]
pub(crate) struct Browser {
    addr: SocketAddr,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Lines of Set-Cookie of the last answer.
    pub(crate) set: Vec<String>,
}

impl Browser {
    pub(crate) fn new(proxy: &Sidecar) -> Self {
        let addr = ([127, 0, 0, 1], proxy.port_of("proxy")).into();
        Self { addr, cookies: BTreeMap::new(), set: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> http::Response {
        self.ask("GET", path, &[("Accept", "text/html")])
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> http::Response {
        self.send(method, path, headers, "")
    }

    #[track_caller]
    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> http::Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        let answer = http::request(self.addr, method, path, &headers, body).unwrap();
        let lines = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        self.set = lines.map(|(_, line)| line.clone()).collect();
        for line in &self.set {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        answer
    }

    /// The same browser at another address.
    pub(crate) fn at(&self, proxy: &Sidecar) -> Self {
        Self { addr: ([127, 0, 0, 1], proxy.port_of("proxy")).into(), ..self.clone() }
    }

    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> http::Response {
        let pairs: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.send("POST", path, headers, &pairs.join("&"))
    }

    /// To the provider, and back to the address that it sends us to, without asking for that.
    #[track_caller]
    pub(crate) fn begin(&mut self, target: &str) -> String {
        let start = self.get(&format!("/oauth2/start?rd={}", encoded(target)));
        assert_eq!(start.status, 302, "{}", start.body);
        at_provider(start.header("location").unwrap())
    }

    /// Where the login ends.
    #[track_caller]
    pub(crate) fn sign_in(&mut self, target: &str) -> String {
        let callback = self.begin(target);
        let done = self.get(&callback);
        assert_eq!(done.status, 302, "{}", done.body);
        done.header("location").unwrap().to_owned()
    }
}

/// Asks the provider, and returns path and query of where it sends the browser.
#[track_caller]
pub(crate) fn at_provider(location: &str) -> String {
    let rest = location.strip_prefix("http://").unwrap();
    let (addr, path) = rest.split_once('/').unwrap();
    let answer = http::get(addr.parse().unwrap(), &format!("/{path}")).unwrap();
    let back = answer.header("location").unwrap();
    back[back.find("/oauth2/callback").unwrap()..].to_owned()
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
