//! The paths that are ours: signing in and out, and what others ask us.

use http_proxy::Answer;
use http1::{Headers, Method, RequestHead};
use serde_json::json;

use crate::{
    door::{Found, Guest},
    form,
    gate::arguments,
    identity,
    pages::{self, Choice},
    policy::{Caller, Ctx, Door},
    rules,
    target::safe,
};

/// Where providers say that somebody has signed out there.
const LOGOUT: &str = "backchannel_logout";

impl Door {
    /// None: not a path of ours.
    pub async fn ours(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Option<Answer> {
        let paths = &self.0.config.paths;
        let path = head.path();
        if path == paths.ping || path == paths.ready || paths.probes.iter().any(|probe| probe == path) {
            ctx.decision = "ours";
            return Some(if path == paths.ping { Answer::text(200, "OK") } else { self.ready().await });
        }
        if path == "/robots.txt" {
            ctx.decision = "ours";
            return Some(Answer::text(200, "User-agent: *\nDisallow: /\n"));
        }
        let name = path.strip_prefix(&*paths.prefix)?.strip_prefix('/')?;
        ctx.decision = "ours";
        let answer = match name {
            "start" => self.start(head, caller, ctx).await,
            "sign_in" => {
                let target = self.wanted(head, caller);
                self.sign_out_here(&head.headers, caller, ctx).await;
                self.sign_in(403, None, &target, caller, &head.headers, ctx)
            }
            "sign_out" => self.sign_out(head, caller, ctx).await,
            "signed_out" => self.signed_out(head),
            "logo" => pages::logo(&self.0.config.pages),
            "basic" => self.basic(head, caller, ctx).await,
            "auth" => self.auth(head, caller, ctx).await,
            "jwks" => self.jwks(),
            "userinfo" => self.userinfo(head, caller, ctx).await,
            _ => match name.strip_prefix("callback") {
                Some(place) if place.is_empty() || place.starts_with('/') => {
                    let said = head.query().unwrap_or_default();
                    self.callback(place.trim_start_matches('/'), said, head, caller, ctx).await
                }
                _ => Answer::text(404, "not found\n"),
            },
        };
        Some(answer)
    }

    async fn ready(&self) -> Answer {
        match &self.0.store {
            Some(store) if store.ping().await.is_err() => Answer::text(503, "the store of sessions does not answer\n"),
            _ => Answer::text(200, "OK"),
        }
    }

    /// How much has to be read of what is posted to us.
    pub fn form_size(&self, head: &RequestHead) -> Option<usize> {
        let name = head.path().strip_prefix(&*self.0.config.paths.prefix)?.strip_prefix('/')?;
        let is_ours = match name {
            "sign_in" => self.has_form(),
            LOGOUT => self.0.config.providers.iter().any(|provider| provider.settings.kind.is_openid()),
            _ => self.is_posted_callback(name).is_some(),
        };
        (is_ours && head.method == Method::Post).then_some(form::LARGEST)
    }

    /// The provider that answers by a form, where it does.
    fn is_posted_callback<'a>(&self, name: &'a str) -> Option<&'a str> {
        let place = name.strip_prefix("callback").filter(|place| place.is_empty() || place.starts_with('/'))?;
        let place = place.trim_start_matches('/');
        let providers = &self.0.config.providers;
        let fits = |provider: &crate::config::Provider| place == provider.name || providers.len() == 1;
        providers.iter().any(|provider| provider.by_form && fits(provider)).then_some(place)
    }

    /// What was posted to a path of ours.
    pub async fn posted(&self, body: &[u8], head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        ctx.decision = "ours";
        let name = head.path().strip_prefix(&*self.0.config.paths.prefix).unwrap_or_default().trim_start_matches('/');
        match name {
            "sign_in" => self.typed(body, head, caller, ctx).await,
            LOGOUT => self.end_by_provider(body, ctx).await,
            _ => match (self.is_posted_callback(name), std::str::from_utf8(body)) {
                (Some(place), Ok(said)) => self.callback(place, said, head, caller, ctx).await,
                _ => Answer::text(404, "not found\n"),
            },
        }
    }

    /// Where somebody wants to go, if that is safe.
    pub fn wanted(&self, head: &RequestHead, caller: &Caller) -> String {
        self.asked_target(head, caller).unwrap_or_else(|| "/".into())
    }

    /// None: nobody said, or it is not safe.
    pub fn asked_target(&self, head: &RequestHead, caller: &Caller) -> Option<String> {
        let said = |name: &str| head.headers.get_str(name).filter(|_| caller.behind_proxy).map(str::to_owned);
        let asked = arguments(head.query()).remove("rd");
        let wanted = asked.or_else(|| said("x-auth-request-redirect")).or_else(|| said("x-forwarded-uri"))?;
        self.safe_target(&wanted)
    }

    pub fn judged(&self, wanted: &str) -> String {
        self.safe_target(wanted).unwrap_or_else(|| "/".into())
    }

    fn safe_target(&self, wanted: &str) -> Option<String> {
        let target = safe(wanted, &self.0.config.redirect_hosts)?;
        // Back to a page of ours would go round in circles.
        let prefix = &self.0.config.paths.prefix;
        let is_ours = target.strip_prefix(&**prefix).is_some_and(|rest| rest.starts_with('/'));
        (!is_ours).then_some(target)
    }

    pub fn sign_in_address(&self) -> String {
        format!("{}/sign_in", self.0.config.paths.prefix)
    }

    pub fn sign_in(
        &self,
        status: u16,
        problem: Option<&str>,
        target: &str,
        caller: &Caller,
        headers: &Headers,
        ctx: &mut Ctx,
    ) -> Answer {
        let config = &self.0.config;
        let several = config.providers.len() > 1;
        let choice = |provider: &crate::config::Provider| Choice {
            title: provider.title.clone(),
            href: self.start_address(several.then_some(&*provider.name), target),
        };
        let choices: Vec<Choice> = config.providers.iter().map(choice).collect();
        let form = self.form(target, headers, caller, ctx);
        pages::sign_in(&config.pages, &config.paths.prefix, status, problem, &choices, form.as_ref())
    }

    pub fn shared(&self) -> &crate::gate::Shared {
        &self.0.shared
    }

    /// The browser's own dialog, and then a session.
    async fn basic(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let target = self.wanted(head, caller);
        let mut only_password = Headers::new();
        if let Some(header) = head.headers.get("authorization") {
            only_password.append("Authorization", header);
        }
        match self.0.look(&only_password, caller).await {
            Found::Known(guest) if guest.by == "password" => {
                let session = self.0.session_by_password(guest.who);
                ctx.who = session.who.clone();
                self.welcome(session, "passwords", &target, head, caller, ctx).await
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
        let guest = match self.0.look(&head.headers, caller).await {
            Found::Known(guest) => guest,
            Found::Wait(status, why) => return Err(error(status, why)),
            Found::Foreign(who, by) => {
                (ctx.who, ctx.by, ctx.decision) = (*who, by, "forbidden");
                return Err(error(403, "forbidden"));
            }
            Found::Nobody | Found::Bad(_) => {
                ctx.decision = "unknown";
                return Err(error(401, "unauthorized"));
            }
        };
        (ctx.who, ctx.by) = (guest.who.clone(), guest.by);
        if let rules::Verdict::Foreign(why) = self.0.config.rules_for(&guest.who).judge(&guest.who) {
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
        if let Some(answer) = self.last_word(head, caller, &guest, ctx).await {
            return answer;
        }
        self.renew(&guest, head, caller, ctx);
        let mut answer = Answer::text(202, "");
        pages::private(&mut answer);
        identity::answer(&mut answer.head.headers, &self.0.config.tell, &guest.who, guest.session.as_ref());
        if let Some(signed) = &self.0.config.tell.signed {
            answer.head.headers.set(&signed.header, signed.token(&guest).unwrap_or_default());
        }
        answer
    }

    /// For apps that verify who we say is there.
    fn jwks(&self) -> Answer {
        let Some(signed) = &self.0.config.tell.signed else { return Answer::text(404, "not found\n") };
        let mut answer = pages::json(200, &signed.signer.shown());
        // A key that is to be used is shown before it is.
        answer.head.headers.set("Cache-Control", "public, max-age=300");
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
