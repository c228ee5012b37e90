//! The paths that are ours: signing in and out, and what others ask us.

use http_proxy::Answer;
use http1::{Headers, RequestHead};
use serde_json::json;

use crate::{
    door::{Found, Guest},
    gate::arguments,
    identity,
    pages::{self, Choice},
    policy::{Caller, Ctx, Door},
    rules,
    seal::Use,
    session::{Session, now},
    target::safe,
};

/// Logins under way in one browser; more are forgotten.
const MOST_LOGINS: usize = 8;

/// What the browser keeps while it is at the provider's.
#[derive(serde::Serialize, serde::Deserialize)]
struct Login {
    provider: String,
    target: String,
    began: u64,
    attempt: oidc::Attempt,
}

impl Door {
    /// None: not a path of ours.
    pub async fn ours(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Option<Answer> {
        let paths = &self.0.config.paths;
        let path = head.path();
        if path == paths.ping || path == paths.ready {
            ctx.decision = "ours";
            return Some(Answer::text(200, "OK"));
        }
        if path == "/robots.txt" {
            ctx.decision = "ours";
            return Some(Answer::text(200, "User-agent: *\nDisallow: /\n"));
        }
        let name = path.strip_prefix(&*paths.prefix)?.strip_prefix('/')?;
        ctx.decision = "ours";
        let answer = match name {
            "start" => self.start(head, caller, ctx).await,
            "callback" => self.callback(head, caller, ctx).await,
            "sign_in" => {
                let target = self.wanted(head, caller);
                self.sign_out_here(&head.headers, caller, ctx);
                self.sign_in(&target, caller, &head.headers, ctx)
            }
            "sign_out" => self.sign_out(head, caller, ctx),
            "basic" => self.basic(head, caller, ctx).await,
            "auth" => self.auth(head, caller, ctx).await,
            "userinfo" => self.userinfo(head, caller, ctx).await,
            _ => Answer::text(404, "not found\n"),
        };
        Some(answer)
    }

    /// Where somebody wants to go, if that is safe.
    fn wanted(&self, head: &RequestHead, caller: &Caller) -> String {
        let hosts = &self.0.config.redirect_hosts;
        let said = |name: &str| head.headers.get_str(name).filter(|_| caller.behind_proxy).map(str::to_owned);
        let asked = arguments(head.query()).remove("rd");
        let wanted = asked.or_else(|| said("x-auth-request-redirect")).or_else(|| said("x-forwarded-uri"));
        let target = wanted.and_then(|target| safe(&target, hosts)).unwrap_or_else(|| "/".into());
        // Back to a page of ours would go round in circles.
        let prefix = &self.0.config.paths.prefix;
        let is_ours = target.strip_prefix(&**prefix).is_some_and(|rest| rest.starts_with('/'));
        if is_ours { "/".into() } else { target }
    }

    pub fn start_address(&self, provider: Option<&str>, target: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(provider) = provider {
            query.append_pair("provider", provider);
        }
        query.append_pair("rd", target);
        format!("{}/start?{}", self.0.config.paths.prefix, query.finish())
    }

    pub fn sign_in(&self, target: &str, _: &Caller, _: &Headers, _: &mut Ctx) -> Answer {
        let config = &self.0.config;
        let several = config.providers.len() > 1;
        let mut choices: Vec<Choice> = config
            .providers
            .iter()
            .map(|provider| Choice {
                title: provider.title.clone(),
                href: self.start_address(several.then_some(&*provider.name), target),
                is_plain: false,
            })
            .collect();
        if config.passwords.as_ref().is_some_and(|passwords| passwords.shown) {
            let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", target).finish();
            let href = format!("{}/basic?{query}", config.paths.prefix);
            choices.push(Choice { title: "user name and password".into(), href, is_plain: true });
        }
        pages::sign_in(&config.pages, 403, &choices)
    }

    fn redirect_uri(&self, caller: &Caller) -> String {
        let config = &self.0.config;
        config.redirect_url.clone().unwrap_or_else(|| {
            // A browser that may keep a Secure cookie has come by https, whatever the hop before us speaks.
            let scheme = if config.cookie.secure { "https" } else { &caller.scheme };
            format!("{scheme}://{}{}/callback", caller.host, config.paths.prefix)
        })
    }

    async fn start(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let config = &self.0.config;
        let asked = arguments(head.query()).remove("provider");
        let first = config.providers.first().map(|provider| provider.name.clone());
        let Some((settings, provider)) = self.0.provider(asked.or(first).as_deref()) else {
            return Answer::text(404, "there is no such provider\n");
        };
        let target = self.wanted(head, caller);
        let (attempt, address) = match provider.begin(&self.redirect_uri(caller)).await {
            Ok(begun) => begun,
            Err(error) => return self.failed(&settings.name, caller, &error),
        };
        let name = config.cookie.login_name(&attempt.state);
        let login = Login { provider: settings.name.clone(), target, began: now(), attempt };
        let sealed = serde_json::to_vec(&login).ok().and_then(|plain| config.sealer.seal(Use::Login, &name, &plain));
        let Some(sealed) = sealed else { return Answer::text(500, "internal error\n") };
        ctx.cookies.push(config.cookie.set_login(&caller.host, &name, &sealed, config.sessions.login.as_secs()));
        self.forget_logins(&head.headers, caller, ctx);
        self.shared().events.begun(&settings.name, &ctx.client);
        pages::redirect(&address)
    }

    fn shared(&self) -> &crate::gate::Shared {
        &self.0.shared
    }

    /// A browser sends all of them with every request: the oldest go.
    fn forget_logins(&self, headers: &Headers, caller: &Caller, ctx: &mut Ctx) {
        let mut known: Vec<_> = self.0.config.cookie.logins(headers);
        if known.len() < MOST_LOGINS {
            return;
        }
        known.sort_by_key(|(name, value)| self.opened(name, value).map_or(0, |login| login.began));
        for (name, _) in &known[..known.len() + 1 - MOST_LOGINS] {
            ctx.cookies.push(self.0.config.cookie.set_login(&caller.host, name, "", 0));
        }
    }

    fn opened(&self, name: &str, value: &str) -> Option<Login> {
        let login: Login = serde_json::from_slice(&self.0.config.sealer.open(Use::Login, name, value)?).ok()?;
        let age = now().saturating_sub(login.began);
        (age < self.0.config.sessions.login.as_secs()).then_some(login)
    }

    async fn callback(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let config = &self.0.config;
        let refused = |why: &str| oidc::Error::Refused(why.to_owned());
        let answer = match oidc::Answer::parse(head.query().unwrap_or_default()) {
            Ok(answer) => answer,
            Err(error) => return self.failed("", caller, &error),
        };
        let name = config.cookie.login_name(&answer.state);
        let logins = config.cookie.logins(&head.headers);
        let kept = logins.iter().find(|(known, _)| *known == name).and_then(|(name, value)| self.opened(name, value));
        let Some(login) = kept else {
            return self.failed("", caller, &refused("no login that this browser has begun has this state"));
        };
        // Once, whatever comes of it.
        ctx.cookies.push(config.cookie.set_login(&caller.host, &name, "", 0));
        let Some((settings, provider)) = self.0.provider(Some(&login.provider)) else {
            return self.failed(&login.provider, caller, &refused("the provider is not configured any more"));
        };
        let done = match provider.finish(&login.attempt, &answer).await {
            Ok(done) => done,
            Err(error) => return self.failed(&login.provider, caller, &error),
        };
        let who = match crate::door::identify(settings, &done.claims) {
            Ok(who) => who,
            Err(error) => return self.failed(&login.provider, caller, &error),
        };
        ctx.who = who.clone();
        if let rules::Verdict::Foreign(why) = config.rules.judge(&who) {
            (ctx.decision, ctx.why) = ("forbidden", why.to_owned());
            self.shared().events.not_signed_in(&login.provider, &ctx.client, "forbidden", why);
            let text = format!("{} may not sign in here.", if who.email.is_empty() { &who.user } else { &who.email });
            let again = format!("{}/sign_in", config.paths.prefix);
            return pages::trouble(&config.pages, 403, "No access", &text, Some(why), &again);
        }
        let session = self.0.session_of(settings, who, &done);
        self.welcome(&session, &login.provider, &login.target, head, caller, ctx)
    }

    fn welcome(
        &self,
        session: &Session,
        provider: &str,
        target: &str,
        head: &RequestHead,
        caller: &Caller,
        ctx: &mut Ctx,
    ) -> Answer {
        let Some(lines) = self.session_cookies(session, caller) else {
            let error = oidc::Error::Refused("what the provider says is too large to be kept in cookies".into());
            return self.failed(provider, caller, &error);
        };
        let cleared = self.0.config.cookie.clear(&caller.host, &head.headers, &lines);
        ctx.cookies.extend(lines.into_iter().chain(cleared));
        self.shared().events.signed_in(provider, &ctx.client, &session.who.user, &session.who.email);
        pages::redirect(target)
    }

    fn failed(&self, provider: &str, caller: &Caller, error: &oidc::Error) -> Answer {
        let (outcome, status, title, text) = match error {
            oidc::Error::Unavailable(_) => {
                ("unavailable", 503, "Not available", "The sign-in service cannot be reached. Please try again.")
            }
            oidc::Error::Refused(_) => {
                ("refused", 403, "Not signed in", "This sign-in is not valid. Please try again.")
            }
            oidc::Error::Denied(_) => ("denied", 403, "Not signed in", "The sign-in service did not let you in."),
        };
        let client = caller.address.map(|address| address.to_string()).unwrap_or_default();
        self.shared().events.not_signed_in(provider, &client, outcome, &error.to_string());
        let config = &self.0.config;
        let again = format!("{}/sign_in", config.paths.prefix);
        let mut answer = pages::trouble(&config.pages, status, title, text, Some(&error.to_string()), &again);
        if status == 503 {
            answer.head.headers.set("Retry-After", "5");
        }
        answer
    }

    fn sign_out_here(&self, headers: &Headers, caller: &Caller, ctx: &mut Ctx) {
        let config = &self.0.config;
        if let Some(session) = self.0.session(headers) {
            self.shared().book.end(&session, config.sessions.lifetime);
            self.shared().events.signed_out(&ctx.client, &session.who.user);
        }
        ctx.cookies.extend(config.cookie.clear(&caller.host, headers, &[]));
    }

    fn sign_out(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let target = self.wanted(head, caller);
        self.sign_out_here(&head.headers, caller, ctx);
        pages::redirect(&target)
    }

    /// The browser's own dialog, and then a session: a page of ours cannot read what is typed, for bodies are the app's.
    async fn basic(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let target = self.wanted(head, caller);
        let mut only_password = Headers::new();
        if let Some(header) = head.headers.get("authorization") {
            only_password.append("Authorization", header);
        }
        match self.0.look(&only_password, caller.address).await {
            Found::Known(guest) if guest.by == "password" => {
                let session = Session {
                    id: oidc::random_text().unwrap_or_default(),
                    provider: None,
                    who: guest.who,
                    subject: String::new(),
                    access: None,
                    id_token: None,
                    refresh: None,
                    begun: now(),
                    heard: now(),
                    expires: None,
                };
                ctx.who = session.who.clone();
                self.welcome(&session, "passwords", &target, head, caller, ctx)
            }
            Found::Wait(status, why) => Answer::text(status, format!("{why}\n")),
            _ if self.0.users.is_none() => Answer::text(404, "not found\n"),
            _ => self.unauthorized(),
        }
    }

    /// Who asks, if the rules let them in; else the answer.
    async fn guest(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Result<Box<Guest>, Answer> {
        let error = |status: u16, text: &str| {
            let mut answer = Answer::text(status, format!("{text}\n"));
            pages::private(&mut answer);
            answer
        };
        let guest = match self.0.look(&head.headers, caller.address).await {
            Found::Known(guest) => guest,
            Found::Wait(status, why) => return Err(error(status, why)),
            Found::Nobody | Found::Bad(_) => {
                ctx.decision = "unknown";
                return Err(error(401, "unauthorized"));
            }
        };
        ctx.who = guest.who.clone();
        if let rules::Verdict::Foreign(why) = self.0.config.rules.judge(&guest.who) {
            (ctx.decision, ctx.why) = ("forbidden", why.to_owned());
            return Err(error(403, "forbidden"));
        }
        ctx.decision = "allowed";
        Ok(guest)
    }

    /// For proxies that ask before they let somebody through.
    async fn auth(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let guest = match self.guest(head, caller, ctx).await {
            Ok(guest) => guest,
            Err(answer) => return answer,
        };
        let asked = arguments(head.query());
        let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
            let list = asked.get(name).map(|list| list.split(',').map(str::trim).filter(|entry| !entry.is_empty()));
            list.is_none_or(|mut list| list.any(fits))
        };
        let email = guest.who.email.to_lowercase();
        let domains = |domain: &str| {
            let rules = rules::Rules { domains: vec![domain.to_owned()], ..rules::Rules::default() };
            rules.judge(&crate::session::Who { email: email.clone(), ..Default::default() }) == rules::Verdict::Belongs
        };
        let fits = any("allowed_groups", &|group| guest.who.groups.iter().any(|known| known == group))
            && any("allowed_emails", &|wanted| wanted.to_lowercase() == email)
            && any("allowed_email_domains", &domains);
        if !fits {
            (ctx.decision, ctx.why) = ("forbidden", "asked for".into());
            return Answer::text(403, "forbidden\n");
        }
        self.renew(&guest, head, caller, ctx);
        let mut answer = Answer::text(202, "");
        pages::private(&mut answer);
        identity::answer(&mut answer.head.headers, &self.0.config.tell, &guest.who, guest.session.as_ref());
        answer
    }

    async fn userinfo(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        match self.guest(head, caller, ctx).await {
            Ok(guest) => {
                self.renew(&guest, head, caller, ctx);
                let who = &guest.who;
                let mut said = json!({"user": who.user, "email": who.email});
                if !who.groups.is_empty() {
                    said["groups"] = json!(who.groups);
                }
                if let Some(name) = &who.preferred_username {
                    said["preferredUsername"] = json!(name);
                }
                pages::json(200, &said)
            }
            Err(answer) => answer,
        }
    }
}
