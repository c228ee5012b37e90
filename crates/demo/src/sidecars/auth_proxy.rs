//! auth-proxy: somebody signs in at an OpenID provider, the app is told who it is; nobody else gets that far.

use std::{
    ffi::OsString,
    fs,
    io::Write,
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use hyper::Method;

use super::{Doing, Sidecar};
use crate::{
    app_members,
    board::{Control, Event, Fact, Kind, Link, Plot, Wire},
    browser::{Browser, Login},
    http,
    journal::Line,
    metrics::Metrics,
    openid::{self, MEMBER, OpenId, STRANGER},
    pod::{APP, Pod, World},
    timings::Timings,
};

pub const NAME: &str = "auth-proxy";
const PROVIDER: &str = "OpenID";

const COME: Wire = ("members", NAME);
const ASK: Wire = (NAME, PROVIDER);
const PASS: Wire = (NAME, APP);

/// Between two visits of a member.
const PACE: Duration = Duration::from_millis(200);
/// Visits between two acts of the scene.
const ACT: u64 = 25;
const VISITS: usize = 50;

pub struct AuthProxy {
    config: PathBuf,
    members: SocketAddr,
    visits: Timings,
    /// The one that people sign in at, for as long as we are there.
    _provider: OpenId,
}

impl AuthProxy {
    pub fn new(world: &World) -> Result<Self, String> {
        let members = world.members;
        let provider = OpenId::start(format!("http://{members}/oauth2/callback"))?;
        let write = |name: &str, text: &str| {
            let path = world.dir.join(name);
            // There are secrets among them.
            let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
            written.map(|()| path.clone()).map_err(|error| format!("{}: {error}", path.display()))
        };
        let cookie_secret = write("cookie-secret", &openid::random()?)?;
        let client_secret = write("client-secret", &provider.secret)?;
        let text = format!(
            "listen: \"{members}\"\n\
             # Without TLS: browsers keep no secure cookie here.\n\
             cookie: {{secret_files: [{cookie_secret:?}], insecure: true}}\n\
             redirect_url: \"http://{members}/oauth2/callback\"\n\
             providers:\n\
             - {{name: demo, title: the OpenID provider, issuer: \"http://{}\", client_id: {}, client_secret_file: {:?}}}\n\
             allow: {{domains: [{}]}}\n\
             upstreams: [{{to: \"http://{}\"}}]\n",
            provider.addr,
            openid::CLIENT,
            client_secret,
            openid::DOMAIN,
            world.app_addr,
        );
        Ok(Self { config: write("auth-proxy.yaml", &text)?, members, visits: Timings::default(), _provider: provider })
    }

    fn browser(&self) -> Browser {
        Browser::new(self.members)
    }

    /// A login of somebody who belongs, to the page that names them.
    async fn member(&self, browser: &mut Browser) -> Result<Login, String> {
        let login = browser.sign_in(MEMBER).await?;
        match login.page.status {
            200 if login.page.body.contains(&format!(", {MEMBER}<")) => Ok(login),
            status => Err(format!("after a login of {MEMBER}: {status}: {}", login.page.body)),
        }
    }

    /// Everybody who should not get in, and what they are told.
    async fn others(&self, pod: &Pod, login: &Login, browser: &mut Browser) -> Result<(u16, u16), String> {
        let expect = |who: &str, status: u16, wanted: u16| {
            (status == wanted).then_some(status).ok_or(format!("{who} got {status}, expected {wanted}"))
        };
        let page = expect("a stranger with a browser", self.browser().get(app_members::PATH).await?.status, 403)?;
        let json = expect("a stranger with a program", self.browser().get_json(app_members::PATH).await?.status, 401)?;
        let forged = [("x-forwarded-user", MEMBER), ("x-forwarded-email", "alice@demo.example")]
            .map(|(name, value)| (hyper::header::HeaderName::from_static(name), value));
        let forged = http::send(self.members, Method::GET, app_members::PATH, &forged, "").await?;
        expect("one who says so himself", forged.status, 403)?;
        let elsewhere = self.browser().sign_in(STRANGER).await?;
        expect("one whom the provider knows and we do not", elsewhere.page.status, 403)?;
        // The same answer of the provider, once more and from elsewhere.
        expect("a replay", browser.clone().get(&login.callback).await?.status, 403)?;
        expect("a replay elsewhere", self.browser().get(&login.callback).await?.status, 403)?;
        let mut stolen = browser.clone();
        browser.sign_out().await?;
        expect("one who has signed out", browser.get(app_members::PATH).await?.status, 403)?;
        expect("the cookie of one who has signed out", stolen.get(app_members::PATH).await?.status, 403)?;
        let direct = http::get(pod.world.app_addr, app_members::PATH).await?;
        expect("one whom nobody names", direct.0, 403)?;
        Ok((json, page))
    }

    /// The time of a visit by somebody who is signed in.
    async fn visit(&self, browser: &mut Browser) -> Result<Duration, String> {
        let begun = Instant::now();
        let trouble = match browser.get(app_members::PATH).await {
            Ok(reply) if reply.status == 200 => {
                self.visits.add(begun.elapsed());
                return Ok(begun.elapsed());
            }
            Ok(reply) => format!("a member got {}", reply.status),
            Err(problem) => problem,
        };
        self.visits.failed();
        Err(trouble)
    }

    async fn enter(&self, pod: &Pod, browser: &mut Browser) -> Result<(), String> {
        let login = self.member(browser).await?;
        let text = format!("{MEMBER} has signed in, in {} ms: the app knows who she is", login.took.as_millis());
        pod.board.happened(Event::new(NAME, Kind::Good, &[COME, ASK, PASS], text));
        Ok(())
    }

    async fn leave(&self, pod: &Pod, browser: &mut Browser) -> Result<(), String> {
        browser.sign_out().await?;
        let status = browser.get(app_members::PATH).await?.status;
        let text = format!("{MEMBER} has signed out: her next visit gets {status}");
        pod.board.happened(Event::new(NAME, Kind::Refused, &[COME], text));
        Ok(())
    }

    async fn stranger(&self, pod: &Pod) -> Result<(), String> {
        let page = self.browser().get(app_members::PATH).await?.status;
        let json = self.browser().get_json(app_members::PATH).await?.status;
        let text = format!("a stranger gets {page} and a page to sign in at, his program {json}");
        pod.board.happened(Event::new(NAME, Kind::Refused, &[COME], text));
        Ok(())
    }

    async fn outsider(&self, pod: &Pod) -> Result<(), String> {
        let status = self.browser().sign_in(STRANGER).await?.page.status;
        let text = format!("{STRANGER} has an account, and gets {status}: she is not of {}", openid::DOMAIN);
        pod.board.happened(Event::new(NAME, Kind::Refused, &[COME, ASK], text));
        Ok(())
    }
}

impl Sidecar for AuthProxy {
    fn name(&self) -> &'static str {
        NAME
    }

    fn job(&self) -> &'static str {
        "lets in who belongs, tells the app who it is"
    }

    fn wires(&self) -> &'static [Wire] {
        &[COME, ASK, PASS]
    }

    fn args(&self, _world: &World) -> Vec<OsString> {
        // In a pod it is longer: until nobody sends it anything any more.
        vec!["--config".into(), self.config.clone().into(), "--drain-delay".into(), "200ms".into()]
    }

    fn narrate(&self, pod: &Pod, line: &Line) -> Option<Event> {
        if line.is(NAME, "not signed in") {
            let of = |name: &str| line.field(name).unwrap_or_default();
            let trouble = format!("a login was {}: {}", of("outcome"), of("why"));
            pod.board.sidecar(NAME, |view| view.trouble = trouble);
        }
        None
    }

    fn facts(&self, metrics: &Metrics) -> Vec<Fact> {
        let of = |name: &str, label: &str| {
            metrics.sum(&format!("auth_proxy_{name}_total"), label).unwrap_or_default().to_string()
        };
        vec![
            Fact::new("let in", of("requests", "decision=\"allowed\"")),
            Fact::new("turned away", of("requests", "decision=\"unknown\"")),
            Fact::new("logins", of("logins", "outcome=\"good\"")),
            Fact::new("logins refused", of("logins", "outcome=\"forbidden\"")),
        ]
    }

    fn work(&self, metrics: &Metrics) -> Option<(Plot, f64)> {
        Some((Plot::named("requests", "/s"), metrics.sum("auth_proxy_requests_total", "")?))
    }

    fn times_of(&self) -> Plot {
        Plot::named("a member's visit", "ms")
    }

    fn times(&self, _pod: &Pod) -> Option<(f64, f64)> {
        self.visits.shares()
    }

    fn controls(&self) -> Vec<Control> {
        vec![
            Control::button("member", "Sign in as alice"),
            Control::button("outsider", "Sign in as mallory"),
            Control::button("stranger", "Come without"),
        ]
    }

    fn press<'a>(&'a self, pod: &'a Pod, action: &'a str, _typed: &'a str) -> Doing<'a, Result<(), String>> {
        Box::pin(async move {
            match action {
                "member" => self.enter(pod, &mut self.browser()).await,
                "outsider" => self.outsider(pod).await,
                _ => self.stranger(pod).await,
            }
        })
    }

    fn afterwards(&self, _pod: &Pod, _asked: Instant) -> Result<Option<String>, String> {
        let (let_in, failed) = self.visits.counts();
        Ok(Some(format!("{let_in} visits of members let in, {failed} failed; sessions are in their cookies")))
    }

    fn link(&self) -> Option<Link> {
        Some(Link { label: "sign in yourself", url: format!("http://{}{}", self.members, app_members::PATH) })
    }

    fn scene(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<(), String>> {
        Box::pin(async move {
            let mut browser = self.browser();
            self.member(&mut browser).await?;
            for nth in 1_u64.. {
                tokio::time::sleep(PACE).await;
                self.visit(&mut browser).await?;
                match nth / ACT % 3 {
                    _ if !nth.is_multiple_of(ACT) => {}
                    0 => {
                        self.leave(&pod, &mut browser).await?;
                        self.enter(&pod, &mut browser).await?;
                    }
                    1 => self.stranger(&pod).await?,
                    _ => self.outsider(&pod).await?,
                }
            }
            Ok(())
        })
    }

    fn proof(self: Arc<Self>, pod: Arc<Pod>) -> Doing<'static, Result<Vec<String>, String>> {
        Box::pin(async move {
            let mut browser = self.browser();
            let login = self.member(&mut browser).await?;
            let mut took = Vec::new();
            for _ in 0..VISITS {
                took.push(self.visit(&mut browser).await?);
            }
            took.sort_unstable();
            let (json, page) = self.others(&pod, &login, &mut browser).await?;
            Ok(vec![
                format!("a login in {} ms, the app told \"{MEMBER}\"", login.took.as_millis()),
                format!("{} us a member's visit", took[VISITS / 2].as_micros()),
                format!("strangers got {json} and {page}, {STRANGER} of elsewhere {page}, a forged header {page}"),
                format!("a replayed answer {page}, a cookie after sign-out {page}"),
            ])
        })
    }
}
