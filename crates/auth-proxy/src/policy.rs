//! What becomes of a request: ours to answer, to be let in, or to be sent away.

use std::{net::IpAddr, sync::Arc};

use http_client::Bytes;
use http_proxy::{Answer, Exchange, Flag, Peer, Policy, Verdict};
use http1::{Form, Headers, Method, RequestHead, ResponseHead};

use tls::ClientIdentity;

use crate::{
    canonical::canonical,
    config::is_in,
    door::{Found, Guest},
    events,
    gate::Gate,
    identity, pages, rules,
    seal::Use,
    session::{Session, Who},
};

/// A client may call its request anything.
const LONGEST_ID: usize = 128;

/// What is remembered of a request.
#[derive(Default)]
pub struct Ctx {
    pub client: String,
    pub method: String,
    pub path: String,
    pub decision: &'static str,
    pub why: String,
    /// What vouches: session, token, password, key, certificate ...
    pub by: &'static str,
    /// Which rule has decided, where one has.
    pub rule: String,
    /// As others call this request.
    pub id: String,
    pub who: Who,
    /// For the response: cookies that are set, and who it is.
    pub cookies: Vec<String>,
    pub said: Headers,
}

/// Who asks, as far as that can be believed.
pub struct Caller {
    pub address: Option<IpAddr>,
    /// The other end of the connection, whoever that is.
    pub direct: Option<IpAddr>,
    pub scheme: String,
    pub host: String,
    pub behind_proxy: bool,
    /// What is wanted: this request, or the one that a proxy asks about.
    pub method: String,
    pub target: String,
    /// What the handshake has proved.
    pub certificate: Option<Arc<ClientIdentity>>,
}

pub struct Door(pub Arc<Gate>);

impl Policy for Door {
    type Ctx = Ctx;

    async fn on_request(&self, head: &mut RequestHead, peer: &Peer, ctx: &mut Ctx) -> Verdict {
        let caller = self.caller(head, peer);
        ctx.client = caller.address.map(|address| address.to_string()).unwrap_or_default();
        ctx.method = head.method.as_str().to_owned();
        ctx.path = head.path().to_owned();
        ctx.id = head
            .headers
            .get_str(&self.0.config.audit.request_id)
            .unwrap_or_default()
            .chars()
            .take(LONGEST_ID)
            .collect();
        if let Some(most) = self.form_size(head) {
            // A password is not even read where it should have come by https.
            let elsewhere = self.to_https(head, &caller, ctx);
            return elsewhere.map_or(Verdict::Read(most), Verdict::Answer);
        }
        match Box::pin(self.decide(head, &caller, ctx)).await {
            Verdict::Answer(answer) => Verdict::Answer(with_cookies(answer, ctx)),
            forward => forward,
        }
    }

    /// A form of ours.
    async fn on_body(&self, head: &mut RequestHead, body: Bytes, peer: &Peer, ctx: &mut Ctx) -> Verdict {
        let caller = self.caller(head, peer);
        let answer = Box::pin(self.posted(&body, head, &caller, ctx)).await;
        Verdict::Answer(with_cookies(answer, ctx))
    }

    fn on_trailers(&self, trailers: &mut Headers, _: &mut Ctx) {
        identity::strip(trailers, &self.0.config.tell);
    }

    fn on_response(&self, head: &mut ResponseHead, ctx: &mut Ctx) {
        for cookie in ctx.cookies.drain(..) {
            head.headers.append("Set-Cookie", cookie);
        }
        for (name, value) in ctx.said.iter() {
            head.headers.set(name, value);
        }
    }

    fn on_refused(&self, listener: &str, why: &str) {
        self.0.shared.events.turned_away(listener, why);
    }

    fn on_failure(&self, why: Flag, _: &mut Answer, ctx: &mut Ctx) {
        ctx.why = why.code().to_owned();
        if ctx.decision.is_empty() {
            ctx.decision = "malformed";
        }
    }

    fn on_done(&self, exchange: &Exchange, _: &Peer, ctx: &Ctx) {
        let request = events::Request {
            client: &ctx.client,
            method: &ctx.method,
            path: &ctx.path,
            decision: if ctx.decision.is_empty() { "malformed" } else { ctx.decision },
            why: &ctx.why,
            by: ctx.by,
            rule: &ctx.rule,
            id: &ctx.id,
            user: &ctx.who.user,
            email: &ctx.who.email,
        };
        let audit = &self.0.config.audit;
        let is_told = !audit.off && !audit.without_paths.contains(&ctx.path);
        self.0.shared.events.decided(&request, exchange.status, exchange.took, is_told);
    }
}

fn with_cookies(mut answer: Answer, ctx: &mut Ctx) -> Answer {
    for cookie in ctx.cookies.drain(..) {
        answer.head.headers.append("Set-Cookie", cookie);
    }
    answer
}

impl Door {
    fn caller(&self, head: &RequestHead, peer: &Peer) -> Caller {
        let front = &self.0.config.front;
        let direct = peer.ip();
        let behind_proxy = front.trusts(direct) || (direct.is_none() && !front.proxies.is_empty());
        let said =
            |name: &str| head.headers.get_str(name).map(str::trim).filter(|text| behind_proxy && !text.is_empty());
        let last = |text: &str| text.rsplit(',').next().and_then(|last| last.trim().parse::<IpAddr>().ok());
        let address = said(&front.client_header).and_then(last).or(direct).map(|address| address.to_canonical());
        // Only there: a request that is let through is what it is, whatever it says of itself.
        let asks = head.path().strip_prefix(&*self.0.config.paths.prefix) == Some("/auth");
        let asked = |names: [&str; 2]| names.into_iter().find_map(said).filter(|_| asks);
        let scheme = said("x-forwarded-proto").filter(|text| matches!(*text, "http" | "https"));
        Caller {
            address,
            direct,
            scheme: scheme.unwrap_or(peer.scheme()).to_owned(),
            host: said("x-forwarded-host").unwrap_or(head.host()).to_owned(),
            behind_proxy,
            method: asked(["x-forwarded-method", "x-original-method"]).unwrap_or(head.method.as_str()).to_owned(),
            target: asked(["x-forwarded-uri", "x-original-uri"]).unwrap_or(head.target()).to_owned(),
            certificate: peer.tls.as_ref().and_then(|tls| tls.identity.clone()),
        }
    }

    async fn decide(&self, head: &mut RequestHead, caller: &Caller, ctx: &mut Ctx) -> Verdict {
        let config = &self.0.config;
        if head.form == Form::Authority {
            ctx.decision = "refused";
            return Verdict::Answer(Answer::text(405, "method not allowed\n"));
        }
        if let Some(answer) = self.to_https(head, caller, ctx) {
            return Verdict::Answer(answer);
        }
        if let Some(answer) = self.ours(head, caller, ctx).await {
            return Verdict::Answer(answer);
        }
        let path = canonical(head.path());
        if let Some((why, rule)) = self.bypass(head, caller, path.as_deref()) {
            (ctx.decision, ctx.why, ctx.rule) = ("bypassed", why.to_owned(), rule);
            if config.tell.strip {
                identity::strip(&mut head.headers, &config.tell);
            }
            return self.forward(head, caller).await;
        }
        let guest = match self.0.look(&head.headers, caller).await {
            Found::Known(guest) => guest,
            Found::Nobody => return self.turned_away(head, caller, ctx, path.as_deref()),
            Found::Bad(what) => {
                (ctx.decision, ctx.why) = ("refused", format!("bad {what}"));
                let answer = match what {
                    "password" | "key" | "cluster token" => self.unauthorized(),
                    _ => pages::json(403, &serde_json::json!({"error": "forbidden"})),
                };
                return Verdict::Answer(answer);
            }
            Found::Foreign(who, by) => {
                (ctx.who, ctx.by) = (*who, by);
                return self.forbidden(head, ctx, by, path.as_deref());
            }
            Found::Wait(status, why) => {
                (ctx.decision, ctx.why) = ("refused", why.to_owned());
                return Verdict::Answer(self.later(head, path.as_deref(), status, why));
            }
        };
        (ctx.who, ctx.by) = (guest.who.clone(), guest.by);
        if let rules::Verdict::Foreign(why) = config.rules_for(&guest.who).judge(&guest.who) {
            return self.forbidden(head, ctx, why, path.as_deref());
        }
        if let Some(rule) = config.rules.refuses_route(&guest.who, head.method.as_str(), path.as_deref()) {
            ctx.rule = rule;
            return self.forbidden(head, ctx, "route", path.as_deref());
        }
        if let Some(answer) = self.last_word(head, caller, &guest, ctx).await {
            return Verdict::Answer(answer);
        }
        ctx.decision = "allowed";
        self.renew(&guest, head, caller, ctx);
        identity::strip(&mut head.headers, &config.tell);
        // What was meant for us.
        match (guest.by, &config.keys) {
            ("password" | "cluster", _) => drop(head.headers.remove("authorization")),
            ("key", Some(keys)) => keys.strip(&mut head.headers),
            _ => {}
        }
        identity::tell(&mut head.headers, &config.tell, &guest.who, guest.session.as_ref());
        if config.tell.answer_clients {
            identity::answer(&mut ctx.said, &config.tell, &guest.who, guest.session.as_ref());
        }
        if let Some(signed) = &config.tell.signed {
            // Without it an app that verifies lets nobody in: that is for it to say.
            head.headers.set(&signed.header, signed.token(&guest).unwrap_or_default());
        }
        let is_status =
            matches!(self.0.way(head.path()), Some(way) if matches!(way.upstream.to, crate::config::To::Status(_)));
        match self.forward(head, caller).await {
            // Nobody is behind us: whoever asks is a proxy, which wants to know who it is.
            Verdict::Answer(mut answer) if is_status => {
                identity::answer(&mut answer.head.headers, &config.tell, &guest.who, guest.session.as_ref());
                Verdict::Answer(answer)
            }
            verdict => verdict,
        }
    }

    /// A session that was refreshed goes back to the browser.
    pub fn renew(&self, guest: &Guest, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) {
        // In a store it has the same ticket.
        if let Some(session) = guest.session.as_ref().filter(|_| guest.renewed && self.0.store.is_none())
            && let Some(mut lines) = self.session_cookies(session, caller)
        {
            lines.extend(self.0.config.cookie.clear(&caller.host, &head.headers, &lines));
            ctx.cookies = lines;
        }
    }

    /// None: too large even in pieces, or nothing could be sealed.
    pub fn session_cookies(&self, session: &Session, caller: &Caller) -> Option<Vec<String>> {
        let config = &self.0.config;
        let now = crate::session::now();
        let left = session.begun.saturating_add(config.sessions.lifetime.as_secs()).saturating_sub(now);
        let sealed = match &self.0.store {
            Some(_) => config.sealer.seal(Use::Ticket, &config.cookie.name, session.id.as_bytes())?,
            None => config.sealer.seal(Use::Session, &config.cookie.name, &serde_json::to_vec(session).ok()?)?,
        };
        config.cookie.set(&caller.host, &sealed, left)
    }

    /// Why nobody has to sign in for this.
    fn bypass(&self, head: &RequestHead, caller: &Caller, path: Option<&str>) -> Option<(&'static str, String)> {
        let bypass = &self.0.config.bypass;
        if caller.address.is_some_and(|address| is_in(&bypass.networks, address)) {
            return Some(("network", String::new()));
        }
        // What may be read in two ways is let in by none of them.
        let path = path?;
        let method = head.method.as_str();
        if bypass.preflight && head.method == Method::Options {
            return Some(("preflight", String::new()));
        }
        let fits = |route: &&crate::config::Route| {
            let method_fits = route.method.as_ref().is_none_or(|(wanted, is)| (wanted == method) == *is);
            method_fits && route.path.is_match(path)
        };
        bypass.routes.iter().find(fits).map(|route| ("route", route.path.to_string()))
    }

    /// For programs a page is of no use, and a redirect looks like success.
    pub fn is_program(&self, head: &RequestHead, path: Option<&str>) -> bool {
        let bypass = &self.0.config.bypass;
        let is =
            |name: &str, value: &str| head.headers.get_str(name).is_some_and(|said| said.eq_ignore_ascii_case(value));
        let accepts = head.headers.get_str("accept").unwrap_or_default();
        let wants_json = accepts.contains("application/json") && !accepts.contains("text/html");
        let fetches = head.headers.get_str("sec-fetch-mode").is_some_and(|mode| mode != "navigate");
        let api = |regex: &regex::Regex| regex.is_match(path.unwrap_or(head.path()));
        bypass.only_programs
            || wants_json
            || fetches
            || head.upgrade
            || is("x-requested-with", "XMLHttpRequest")
            || bypass.api.iter().any(api)
    }

    fn turned_away(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx, path: Option<&str>) -> Verdict {
        (ctx.decision, ctx.why) = ("unknown", String::new());
        let config = &self.0.config;
        if config.providers.is_empty() && !(self.has_form() && wants_page(head) && self.keeps_cookies(caller)) {
            return Verdict::Answer(self.unauthorized());
        }
        if self.is_program(head, path) {
            return Verdict::Answer(pages::json(401, &serde_json::json!({"error": "unauthorized"})));
        }
        let is_safe = matches!(head.method, Method::Get | Method::Head);
        let target = if is_safe { head.target() } else { "/" };
        // Only a navigation that can be repeated is worth a redirect.
        if config.pages.skip_button && config.providers.len() == 1 && is_safe {
            return Verdict::Answer(pages::redirect(&self.start_address(None, target)));
        }
        Verdict::Answer(self.sign_in(403, None, target, caller, &head.headers, ctx))
    }

    /// Whether a browser will, as far as we know: a Secure cookie is lost on the way over http, but not at home.
    fn keeps_cookies(&self, caller: &Caller) -> bool {
        let host = caller.host.rsplit_once(':').map_or(&*caller.host, |(host, _)| host);
        let is_home =
            host == "localhost" || host.ends_with(".localhost") || host == "[::1]" || host.starts_with("127.");
        !self.0.config.cookie.secure || caller.scheme == "https" || is_home
    }

    /// Not now: a page for people, a line for programs.
    fn later(&self, head: &RequestHead, path: Option<&str>, status: u16, why: &str) -> Answer {
        let config = &self.0.config;
        let mut answer = if self.is_program(head, path) || status != 503 {
            Answer::text(status, format!("{why}\n"))
        } else {
            let text = "This cannot be checked at the moment. Please try again.";
            let again = if head.method == Method::Get { head.target() } else { "/" };
            pages::message(&config.pages, status, "Not available", text, again, "Try again")
        };
        pages::private(&mut answer);
        answer.head.headers.set("Retry-After", "5");
        answer
    }

    pub fn unauthorized(&self) -> Answer {
        let mut answer = Answer::text(401, "unauthorized\n");
        let challenge = if self.0.users.is_some() { "Basic realm=\"Restricted\", charset=\"UTF-8\"" } else { "Bearer" };
        answer.head.headers.set("WWW-Authenticate", challenge);
        pages::private(&mut answer);
        answer
    }

    fn forbidden(&self, head: &RequestHead, ctx: &mut Ctx, why: &'static str, path: Option<&str>) -> Verdict {
        (ctx.decision, ctx.why) = ("forbidden", why.to_owned());
        if self.is_program(head, path) || self.0.config.providers.is_empty() {
            return Verdict::Answer(pages::json(403, &serde_json::json!({"error": "forbidden"})));
        }
        let text = "You are signed in, and may not see this.";
        Verdict::Answer(pages::trouble(
            &self.0.config.pages,
            403,
            "No access",
            text,
            Some(why),
            &self.sign_in_address(),
        ))
    }
}

/// A browser that goes somewhere; everybody else knows what to do with a challenge.
fn wants_page(head: &RequestHead) -> bool {
    head.headers.get_str("accept").is_some_and(|accepted| accepted.contains("text/html"))
}
