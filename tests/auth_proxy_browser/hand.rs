//! The hand that steers Chromium, the provider, and the proxy between them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};
use test_kit::{HookServer, PATIENCE, Request, Sidecar, TempDir, eventually, free_port};

/// The packages of `tests/servers/openid`, as `.ci/install-servers` installs them.
const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/servers/openid");

/// A script that ends when its input does, which is with this process at the latest.
struct Node {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
}

impl Node {
    fn start(script: &str, argument: &str) -> Self {
        let mut child = Command::new("node")
            .args(["--no-warnings", "--input-type=module", "--eval", script, "--", argument])
            .current_dir(PACKAGES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (said, out) = (Arc::new(Mutex::new(Vec::new())), child.stdout.take().unwrap());
        let kept = Arc::clone(&said);
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let node = Self { child, said };
        assert!(eventually(PATIENCE * 2, || node.word("up").is_some()), "{:?}", node.said.lock().unwrap());
        node
    }

    /// What follows this word on the first line that begins with it.
    fn word(&self, word: &str) -> Option<String> {
        let said = self.said.lock().unwrap();
        said.iter().find_map(|line| line.strip_prefix(word)).map(|rest| rest.trim().to_owned())
    }

    fn count(&self, word: &str) -> usize {
        self.said.lock().unwrap().iter().filter(|line| line.starts_with(word)).count()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// One Chromium for all tests; each has browsers of its own in it.
static CHROMIUM: LazyLock<(Node, SocketAddr)> = LazyLock::new(|| {
    let node = Node::start(include_str!("../servers/openid/browser.mjs"), "");
    let port = node.word("up").unwrap().parse().unwrap();
    (node, (Ipv4Addr::LOCALHOST, port).into())
});

pub(crate) struct World {
    pub(crate) proxy: Sidecar,
    pub(crate) app: HookServer,
    provider: Mutex<Option<Node>>,
    provider_port: u16,
    access_seconds: u64,
}

impl World {
    pub(crate) fn new(more: &[&str]) -> Self {
        let world = Self::without_provider(more, 600);
        world.bring_provider();
        world
    }

    /// With tokens that live so long.
    pub(crate) fn expiring(seconds: u64, more: &[&str]) -> Self {
        let world = Self::without_provider(more, seconds);
        world.bring_provider();
        world
    }

    pub(crate) fn without_provider(more: &[&str], access_seconds: u64) -> Self {
        let (provider_port, app) = (free_port(), HookServer::start());
        let port = free_port();
        let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
            .own_admin()
            .args(["oauth2-proxy", "--provider=oidc", "--client-id=app", "--client-secret=a secret for the tests"])
            .args([format!("--oidc-issuer-url=http://127.0.0.1:{provider_port}")])
            .args([format!("--upstream=http://{}", app.addr()), format!("--http-address=127.0.0.1:{port}")])
            .args([format!("--redirect-url=http://127.0.0.1:{port}/oauth2/callback")])
            .args(["--scope=openid email profile groups offline_access", "--email-domain=mycompany.com"])
            .args(more)
            .env("OAUTH2_PROXY_COOKIE_SECRET", "0123456789abcdef0123456789abcdef")
            .env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0")
            .spawn();
        proxy.port_of("proxy");
        Self { proxy, app, provider: Mutex::default(), provider_port, access_seconds }
    }

    /// With a file of ours, in which who signs out is signed out at the provider as well.
    pub(crate) fn signing_out_everywhere(dir: &TempDir) -> Self {
        let (provider_port, port, app) = (free_port(), free_port(), HookServer::start());
        let put = |name: &str, text: &str| dir.put(name, text);
        let (cookie, secret) =
            (put("cookie", "0123456789abcdef0123456789abcdef"), put("secret", "a secret for the tests"));
        let text = format!(
            "listen: 127.0.0.1:{port}\ncookie: {{secret_files: ['{cookie}'], insecure: true, name: _oauth2_proxy}}\nproviders: [{{issuer: \
             'http://127.0.0.1:{provider_port}', client_id: app, client_secret_file: '{secret}'}}]\nallow: {{domains: \
             [mycompany.com]}}\nsign_out: {{at_provider: true}}\nupstreams: [{{to: 'http://{}'}}]\n",
            app.addr()
        );
        let proxy = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy")).args(["--config", &put("c.yaml", &text)]).spawn();
        let world = Self { proxy, app, provider: Mutex::default(), provider_port, access_seconds: 600 };
        world.bring_provider();
        world
    }

    pub(crate) fn at_provider(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.provider_port)
    }

    /// Starts the provider, or starts it again with an empty memory.
    pub(crate) fn bring_provider(&self) {
        let mut provider = self.provider.lock().unwrap();
        drop(provider.take());
        let settings = json!({"port": self.provider_port, "redirects": [self.url("/oauth2/callback")],
            "goodbyes": [self.url("/"), self.url("/oauth2/signed_out")], "accessSeconds": self.access_seconds});
        *provider = Some(Node::start(include_str!("../servers/openid/provider.mjs"), &settings.to_string()));
    }

    /// How often the provider gave tokens for this grant.
    pub(crate) fn granted(&self, grant: &str) -> usize {
        self.provider.lock().unwrap().as_ref().map_or(0, |node| node.count(&format!("granted {grant}")))
    }

    pub(crate) fn refused(&self) -> usize {
        self.provider.lock().unwrap().as_ref().map_or(0, |node| node.count("refused"))
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.proxy.port_of("proxy")).into()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr())
    }

    pub(crate) fn browser(&self, options: &Value) -> Tab {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let tab = Tab { context: NEXT.fetch_add(1, Ordering::Relaxed), name: "first", is_owner: true };
        tab.walk(&json!([["be", options]]));
        tab
    }

    /// What the app saw of this path, which a favicon is not.
    pub(crate) fn seen(&self, path: &str) -> Request {
        let find = || self.app.requests().into_iter().rev().find(|request| request.path == path);
        assert!(eventually(PATIENCE, || find().is_some()), "{path}: {:#?}", self.app.requests());
        find().unwrap()
    }
}

/// A browser on a busy machine may take long for what it is told.
fn told(path: &str, steps: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(CHROMIUM.1)?;
    stream.set_read_timeout(Some(PATIENCE * 6))?;
    let length = steps.len();
    write!(stream, "POST {path} HTTP/1.0\r\nHost: browser\r\nContent-Length: {length}\r\n\r\n{steps}")?;
    let mut answer = String::new();
    stream.take(16 << 20).read_to_string(&mut answer)?;
    Ok(answer)
}

/// A tab of somebody's browser.
pub(crate) struct Tab {
    context: usize,
    name: &'static str,
    is_owner: bool,
}

/// What a tab shows.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) said: Value,
    pub(crate) url: String,
    pub(crate) text: String,
}

impl View {
    pub(crate) fn status(&self) -> u64 {
        self.said["status"].as_u64().unwrap()
    }
}

impl Tab {
    #[track_caller]
    pub(crate) fn walk(&self, steps: &Value) -> View {
        let path = format!("/{}/{}", self.context, self.name);
        let answer = told(&path, &steps.to_string()).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{}", body.replace("\\n", "\n"));
        let view: Value = serde_json::from_str(body).unwrap();
        let text = |name: &str| view[name].as_str().unwrap_or_default().to_owned();
        View { said: view["said"].clone(), url: text("url"), text: text("text") }
    }

    #[track_caller]
    pub(crate) fn go(&self, url: &str) -> View {
        self.walk(&json!([["go", url]]))
    }

    #[track_caller]
    pub(crate) fn script(&self, text: &str) -> Value {
        self.walk(&json!([["script", text]])).said
    }

    pub(crate) fn other(&self, name: &'static str) -> Self {
        Self { context: self.context, name, is_owner: false }
    }

    /// From our page to the provider's.
    #[track_caller]
    pub(crate) fn leave(&self) -> View {
        self.walk(&json!([["click", "a.go"], ["until", "/interaction/"]]))
    }

    #[track_caller]
    pub(crate) fn sign_in(&self, name: &str) -> View {
        self.leave();
        self.type_in(name)
    }

    /// At the provider's page: the name, then yes, and back.
    #[track_caller]
    pub(crate) fn type_in(&self, name: &str) -> View {
        self.walk(&json!([
            ["fill", ["input[name=login]", name]],
            ["fill", ["input[name=password]", "any"]],
            ["click", "button[type=submit]"],
            ["agree", null],
            ["until", "^(?!.*/(interaction|auth|callback)[/?])"],
        ]))
    }

    /// Those of ours.
    pub(crate) fn cookies(&self) -> Vec<Value> {
        let all = self.walk(&json!([["cookies", null]])).said;
        let is_ours = |cookie: &&Value| cookie["name"].as_str().is_some_and(|name| name.contains("oauth2_proxy"));
        all.as_array().unwrap().iter().filter(is_ours).cloned().collect()
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        if self.is_owner {
            let _ = told(&format!("/{}/{}", self.context, self.name), "[[\"close\"]]");
        }
    }
}
