//! What becomes of a request: ours to answer, to be let in, or to be sent away.

use std::{net::IpAddr, sync::Arc};

use http_proxy::{Answer, Exchange, Flag, Forward, Peer, Policy, Verdict};
use http1::{Form, Headers, Method, RequestHead, ResponseHead};

use crate::{
    canonical::canonical,
    config::{To, is_in},
    door::{Found, Guest},
    events,
    gate::Gate,
    identity, pages, rules,
    seal::Use,
    session::{Session, Who},
};

/// What is remembered of a request.
#[derive(Default)]
pub struct Ctx {
    pub client: String,
    pub method: String,
    pub path: String,
    pub decision: &'static str,
    pub why: String,
    pub who: Who,
    /// For the response: cookies that are set.
    pub cookies: Vec<String>,
}

/// Who asks, as far as that can be believed.
pub struct Caller {
    pub address: Option<IpAddr>,
    /// The other end of the connection, whoever that is.
    pub direct: Option<IpAddr>,
    pub scheme: String,
    pub host: String,
    pub behind_proxy: bool,
}

pub struct Door(pub Arc<Gate>);

impl Policy for Door {
    type Ctx = Ctx;

    async fn on_request(&self, head: &mut RequestHead, peer: &Peer, ctx: &mut Ctx) -> Verdict {
        let caller = self.caller(head, peer);
        ctx.client = caller.address.map(|address| address.to_string()).unwrap_or_default();
        ctx.method = head.method.as_str().to_owned();
        ctx.path = head.path().to_owned();
        let verdict = Box::pin(self.decide(head, &caller, ctx)).await;
        match verdict {
            Verdict::Answer(mut answer) => {
                for cookie in ctx.cookies.drain(..) {
                    answer.head.headers.append("Set-Cookie", cookie);
                }
                Verdict::Answer(answer)
            }
            forward => forward,
        }
    }

    fn on_response(&self, head: &mut ResponseHead, ctx: &mut Ctx) {
        for cookie in ctx.cookies.drain(..) {
            head.headers.append("Set-Cookie", cookie);
        }
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
            user: &ctx.who.user,
            email: &ctx.who.email,
        };
        self.0.shared.events.decided(&request, exchange.status, exchange.took);
    }
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
        let scheme = said("x-forwarded-proto").filter(|text| matches!(*text, "http" | "https"));
        Caller {
            address,
            direct,
            scheme: scheme.unwrap_or(peer.scheme()).to_owned(),
            host: said("x-forwarded-host").unwrap_or(head.host()).to_owned(),
            behind_proxy,
        }
    }

    async fn decide(&self, head: &mut RequestHead, caller: &Caller, ctx: &mut Ctx) -> Verdict {
        let config = &self.0.config;
        if head.form == Form::Authority {
            ctx.decision = "refused";
            return Verdict::Answer(Answer::text(405, "method not allowed\n"));
        }
        if let Some(answer) = self.ours(head, caller, ctx).await {
            return Verdict::Answer(answer);
        }
        let path = canonical(head.path());
        if let Some(why) = self.bypass(head, caller, path.as_deref()) {
            (ctx.decision, ctx.why) = ("bypassed", why.to_owned());
            if config.tell.strip {
                identity::strip(&mut head.headers, &config.tell);
            }
            return self.forward(head, caller);
        }
        let guest = match self.0.look(&head.headers, caller.address).await {
            Found::Known(guest) => guest,
            Found::Nobody => return self.turned_away(head, caller, ctx, path.as_deref()),
            Found::Bad(what) => {
                (ctx.decision, ctx.why) = ("refused", format!("bad {what}"));
                let answer = match what {
                    "password" => self.unauthorized(),
                    _ => pages::json(403, &serde_json::json!({"error": "forbidden"})),
                };
                return Verdict::Answer(answer);
            }
            Found::Wait(status, why) => {
                (ctx.decision, ctx.why) = ("refused", why.to_owned());
                return Verdict::Answer(Answer::text(status, format!("{why}\n")));
            }
        };
        ctx.who = guest.who.clone();
        ctx.why = guest.by.to_owned();
        if let rules::Verdict::Foreign(why) = config.rules.judge(&guest.who) {
            return self.forbidden(head, ctx, why, path.as_deref());
        }
        if !config.rules.allows_route(&guest.who, head.method.as_str(), path.as_deref()) {
            return self.forbidden(head, ctx, "route", path.as_deref());
        }
        ctx.decision = "allowed";
        self.renew(&guest, head, caller, ctx);
        identity::strip(&mut head.headers, &config.tell);
        if guest.by == "password" {
            // It was meant for us.
            head.headers.remove("authorization");
        }
        identity::tell(&mut head.headers, &config.tell, &guest.who, guest.session.as_ref());
        self.forward(head, caller)
    }

    /// A session that was refreshed goes back to the browser.
    pub fn renew(&self, guest: &Guest, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) {
        if let Some(session) = guest.session.as_ref().filter(|_| guest.renewed)
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
        let plain = serde_json::to_vec(session).ok()?;
        let sealed = config.sealer.seal(Use::Session, &config.cookie.name, &plain)?;
        config.cookie.set(&caller.host, &sealed, left)
    }

    /// Why nobody has to sign in for this.
    fn bypass(&self, head: &RequestHead, caller: &Caller, path: Option<&str>) -> Option<&'static str> {
        let bypass = &self.0.config.bypass;
        if caller.address.is_some_and(|address| is_in(&bypass.networks, address)) {
            return Some("network");
        }
        // What may be read in two ways is let in by none of them.
        let path = path?;
        let method = head.method.as_str();
        if bypass.preflight && head.method == Method::Options {
            return Some("preflight");
        }
        let fits = |route: &&crate::config::Route| {
            let method_fits = route.method.as_ref().is_none_or(|(wanted, is)| (wanted == method) == *is);
            method_fits && route.path.is_match(path)
        };
        bypass.routes.iter().find(fits).map(|_| "route")
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
        if config.providers.is_empty() {
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
        Verdict::Answer(self.sign_in(target, caller, &head.headers, ctx))
    }

    pub fn unauthorized(&self) -> Answer {
        let mut answer = Answer::text(401, "unauthorized\n");
        answer.head.headers.set("WWW-Authenticate", "Basic realm=\"Restricted\", charset=\"UTF-8\"");
        pages::private(&mut answer);
        answer
    }

    fn forbidden(&self, head: &RequestHead, ctx: &mut Ctx, why: &'static str, path: Option<&str>) -> Verdict {
        (ctx.decision, ctx.why) = ("forbidden", why.to_owned());
        if self.is_program(head, path) || self.0.config.providers.is_empty() {
            return Verdict::Answer(pages::json(403, &serde_json::json!({"error": "forbidden"})));
        }
        let text = "You are signed in, and may not see this.";
        let again = format!("{}/sign_in", self.0.config.paths.prefix);
        Verdict::Answer(pages::trouble(&self.0.config.pages, 403, "No access", text, Some(why), &again))
    }

    fn forward(&self, head: &mut RequestHead, caller: &Caller) -> Verdict {
        let Some(way) = self.0.way(head.path()) else { return Verdict::Answer(Answer::text(404, "not found\n")) };
        let (To::App { host, .. }, Some(cluster)) = (&way.upstream.to, way.cluster) else {
            let status = if let To::Status(status) = way.upstream.to { status } else { 404 };
            return Verdict::Answer(Answer::text(status, ""));
        };
        self.0.config.cookie.strip(&mut head.headers);
        self.forwarded(head, caller);
        if !way.upstream.keep_host {
            head.set_host(host);
        }
        Verdict::Forward(Forward { cluster, settings: Arc::clone(&way.settings), to: None, hash: None })
    }

    /// What a proxy says of whom it speaks for. What came from somebody who is no trusted proxy is not passed on.
    fn forwarded(&self, head: &mut RequestHead, caller: &Caller) {
        let address = caller.address.map(|address| address.to_string()).unwrap_or_default();
        let mut chain: Vec<String> =
            if caller.behind_proxy { texts(&head.headers, "x-forwarded-for") } else { Vec::new() };
        chain.extend(caller.direct.map(|direct| direct.to_canonical().to_string()));
        let chain = chain.join(", ");
        let host = caller.host.clone();
        let headers = &mut head.headers;
        for (name, value) in [
            ("X-Forwarded-For", &chain),
            ("X-Forwarded-Proto", &caller.scheme),
            ("X-Forwarded-Host", &host),
            ("X-Real-IP", &address),
        ] {
            headers.remove(name);
            if !value.is_empty() {
                headers.set(name, value);
            }
        }
        if !caller.behind_proxy {
            for name in ["Forwarded", "X-Forwarded-Port", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Prefix"]
            {
                headers.remove(name);
            }
        }
    }
}

fn texts(headers: &Headers, name: &str) -> Vec<String> {
    headers.get_all(name).filter_map(|value| std::str::from_utf8(value).ok()).map(str::to_owned).collect()
}
