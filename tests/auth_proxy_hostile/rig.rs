//! Who is attacked: ours or the peer with the same flags, an app behind it, a provider beside it, and a browser.

use std::{
    collections::BTreeMap,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use test_kit::{HookServer, OpenId, PATIENCE, Request, Sidecar, TempDir, eventually, free_port, http};

pub(crate) const COOKIE_SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Whom the table is tried on.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Ours,
    /// A real oauth2-proxy.
    #[cfg_attr(not(feature = "real-servers"), allow(dead_code, reason = "only where there is one"))]
    Peer(PathBuf),
}

/// What runs: it ends with this.
enum Running {
    Ours(Sidecar),
    Peer { child: Child, said: Arc<Mutex<Vec<u8>>> },
}

pub(crate) struct World {
    pub(crate) provider: OpenId,
    pub(crate) app: HookServer,
    pub(crate) addr: SocketAddr,
    running: Running,
}

/// What all start with; a case adds to it.
fn flags(provider: &OpenId, app: &HookServer, listen: &str) -> Vec<String> {
    vec![
        "--provider=oidc".into(),
        format!("--oidc-issuer-url={}", provider.issuer()),
        format!("--upstream=http://{}", app.addr()),
        format!("--http-address={listen}"),
        format!("--client-id={}", OpenId::CLIENT),
        format!("--client-secret={}", OpenId::SECRET),
        "--code-challenge-method=S256".into(),
    ]
}

impl World {
    /// None: it does not start with these flags.
    fn start(target: &Target, more: &[&str]) -> Option<Self> {
        let (provider, app) = (OpenId::start(), HookServer::start());
        let port = free_port();
        let mut args = flags(&provider, &app, &format!("127.0.0.1:{port}"));
        let is_said = |flag: &str| more.iter().any(|arg| arg.starts_with(flag));
        if !is_said("--email-domain") && !is_said("--authenticated-emails-file") {
            args.push("--email-domain=mycompany.com".into());
        }
        if is_said("--code-challenge-method") {
            args.retain(|arg| !arg.starts_with("--code-challenge-method"));
        }
        args.extend(more.iter().filter(|arg| **arg != "--code-challenge-method").map(|arg| (*arg).to_owned()));
        let addr = ([127, 0, 0, 1], port).into();
        let running = match target {
            Target::Ours => {
                let sidecar = Sidecar::start(env!("CARGO_BIN_EXE_auth-proxy"))
                    .own_admin()
                    .arg("oauth2-proxy")
                    .args(&args)
                    .env("OAUTH2_PROXY_COOKIE_SECRET", COOKIE_SECRET)
                    .env("SIDECAR_ADMIN_ADDR", "127.0.0.1:0")
                    .spawn();
                eventually(PATIENCE, || {
                    !sidecar.is_running() || sidecar.logs().iter().any(|line| line.message() == "ready")
                });
                if !sidecar.is_running() {
                    return None;
                }
                Running::Ours(sidecar)
            }
            Target::Peer(program) => peer(program, &args, addr)?,
        };
        Some(Self { provider, app, addr, running })
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser { addr: self.addr, cookies: BTreeMap::new(), set: Vec::new() }
    }

    /// All that it wrote.
    pub(crate) fn log(&self) -> String {
        match &self.running {
            Running::Ours(sidecar) => sidecar.stderr(),
            Running::Peer { said, .. } => String::from_utf8_lossy(&said.lock().unwrap()).into_owned(),
        }
    }

    /// None: it is the peer.
    pub(crate) fn sidecar(&self) -> Option<&Sidecar> {
        match &self.running {
            Running::Ours(sidecar) => Some(sidecar),
            Running::Peer { .. } => None,
        }
    }

    /// The most resident memory it has had, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let pid = match &self.running {
            Running::Ours(sidecar) => sidecar.pid(),
            Running::Peer { child, .. } => child.id(),
        };
        let status = std::fs::read(format!("/proc/{pid}/status")).unwrap();
        let text = String::from_utf8_lossy(&status);
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// What the app sees of these bytes, and what comes back.
    pub(crate) fn shown(&self, bytes: &[u8]) -> (Vec<Request>, String) {
        let before = self.app.requests().len();
        let answer = http::raw(self.addr, bytes).unwrap_or_default();
        (self.app.requests().split_off(before), String::from_utf8_lossy(&answer).into_owned())
    }
}

fn peer(program: &PathBuf, args: &[String], addr: SocketAddr) -> Option<Running> {
    let mut child = Command::new(program)
        .args(args)
        .env("OAUTH2_PROXY_COOKIE_SECRET", COOKIE_SECRET)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let pipes: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    for mut pipe in pipes {
        let said = Arc::clone(&said);
        thread::spawn(move || std::io::copy(&mut pipe, &mut Kept(said)));
    }
    let is_up = eventually(PATIENCE, || child.try_wait().unwrap().is_some() || http::get(addr, "/ping").is_ok());
    if child.try_wait().unwrap().is_some() {
        return None;
    }
    assert!(is_up, "{}", String::from_utf8_lossy(&said.lock().unwrap()));
    Some(Running::Peer { child, said })
}

struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Running::Peer { child, .. } = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The worlds of one target, each started when a case first asks for it.
pub(crate) struct Rig {
    pub(crate) target: Target,
    pub(crate) dir: TempDir,
    worlds: BTreeMap<Vec<String>, Option<Arc<World>>>,
}

impl Rig {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, dir: TempDir::new(), worlds: BTreeMap::new() }
    }

    /// One with these flags, that others may have used before.
    pub(crate) fn shared(&mut self, more: &[&str]) -> Option<Arc<World>> {
        let key = more.iter().map(|arg| (*arg).to_owned()).collect();
        let target = self.target.clone();
        self.worlds.entry(key).or_insert_with(|| World::start(&target, more).map(Arc::new)).clone()
    }

    /// The usual one.
    pub(crate) fn world(&mut self) -> Arc<World> {
        self.shared(&USUAL).expect("it starts with the usual flags")
    }

    /// What it means that it does not start with a flag: a flag that is refused by name opens nothing.
    pub(crate) fn without_flag(&self) -> crate::case::Outcome {
        match self.target {
            Target::Ours => crate::case::Outcome::Holds,
            Target::Peer(_) => crate::case::Outcome::Absent("no such flag".into()),
        }
    }

    /// One that nobody has used before.
    pub(crate) fn fresh(&self, more: &[&str]) -> Option<World> {
        World::start(&self.target, more)
    }
}

pub(crate) const USUAL: [&str; 7] = [
    "--skip-auth-route=GET=^/public/",
    "--skip-auth-route=^/health$",
    "--skip-auth-route=^/shared/.*/open$",
    "--whitelist-domain=.friend.example",
    "--whitelist-domain=one.example:8443",
    "--set-xauthrequest",
    "--pass-access-token",
];

/// Keeps cookies as a browser does that trusts 127.0.0.1 as it trusts TLS.
#[derive(Clone)]
pub(crate) struct Browser {
    addr: SocketAddr,
    pub(crate) cookies: BTreeMap<String, String>,
    /// Lines of Set-Cookie of the last answer.
    pub(crate) set: Vec<String>,
}

impl Browser {
    pub(crate) fn get(&mut self, path: &str) -> http::Response {
        self.ask("GET", path, &[("Accept", "text/html")])
    }

    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> http::Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(("Cookie", &cookies));
        }
        let none = http::Response { status: 0, headers: Vec::new(), body: String::new() };
        let answer = http::request(self.addr, method, path, &headers, "").unwrap_or(none);
        let lines = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        self.set = lines.map(|(_, line)| line.clone()).collect();
        for line in &self.set {
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() || line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.into(), value.into());
            }
        }
        answer
    }

    /// To the provider, and back to the address that it sends us to, without asking for that.
    pub(crate) fn begin(&mut self, target: &str) -> Option<String> {
        let start = self.get(&format!("/oauth2/start?rd={}", encoded(target)));
        at_provider(start.header("location")?)
    }

    /// Where the login ends; none if it does not.
    pub(crate) fn sign_in(&mut self, target: &str) -> Option<String> {
        let callback = self.begin(target)?;
        self.get(&callback).header("location").map(str::to_owned)
    }

    pub(crate) fn is_in(&mut self) -> bool {
        self.get("/secret").status == 200
    }
}

/// Asks the provider, and returns path and query of where it sends the browser.
pub(crate) fn at_provider(location: &str) -> Option<String> {
    let rest = location.strip_prefix("http://")?;
    let (addr, path) = rest.split_once('/')?;
    let answer = http::get(addr.parse().ok()?, &format!("/{path}")).ok()?;
    let back = answer.header("location")?;
    Some(back[back.find("/oauth2/callback")?..].to_owned())
}

pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// A parameter of an address, as it stands there.
pub(crate) fn parameter<'a>(address: &'a str, name: &str) -> Option<&'a str> {
    let query = address.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
