//! Signing in at a provider: there and back.

use http_proxy::Answer;
use http1::{Headers, Method, RequestHead};

use crate::{
    door,
    gate::arguments,
    pages,
    policy::{Caller, Ctx, Door},
    rules,
    seal::Use,
    session::{Session, now},
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
    pub fn start_address(&self, provider: Option<&str>, target: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(provider) = provider {
            query.append_pair("provider", provider);
        }
        query.append_pair("rd", target);
        format!("{}/start?{}", self.0.config.paths.prefix, query.finish())
    }

    fn sign_in_again(&self, target: &str) -> String {
        if target == "/" {
            return self.sign_in_address();
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("rd", target).finish();
        format!("{}?{query}", self.sign_in_address())
    }

    /// Where we are for the browser.
    pub fn origin(&self, caller: &Caller) -> String {
        // A browser that may keep a Secure cookie has come by https, whatever the hop before us speaks.
        let scheme = if self.0.config.cookie.secure { "https" } else { &caller.scheme };
        format!("{scheme}://{}", caller.host)
    }

    /// Each of several providers has an address of its own: an answer of one of them cannot be taken for another's.
    fn redirect_uri(&self, provider: &str, caller: &Caller) -> String {
        let config = &self.0.config;
        let base = config.redirect_url.clone();
        let base = base.unwrap_or_else(|| format!("{}{}/callback", self.origin(caller), config.paths.prefix));
        if config.providers.len() > 1 { format!("{}/{provider}", base.trim_end_matches('/')) } else { base }
    }

    pub async fn start(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let config = &self.0.config;
        let asked = arguments(head.query()).remove("provider");
        let first = config.providers.first().map(|provider| provider.name.clone());
        let Some((settings, provider)) = self.0.provider(asked.or(first).as_deref()) else {
            return Answer::text(404, "there is no such provider\n");
        };
        let target = self.wanted(head, caller);
        let (attempt, address) = match provider.begin(&self.redirect_uri(&settings.name, caller)).await {
            Ok(begun) => begun,
            Err(error) => return self.failed_for(&target, &settings.name, caller, &error),
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

    /// `place` is what follows in the path: the provider that this address is for, where there are several. `said` is the
    /// query, or the form that the browser has posted.
    pub async fn callback(
        &self,
        place: &str,
        said: &str,
        head: &RequestHead,
        caller: &Caller,
        ctx: &mut Ctx,
    ) -> Answer {
        let config = &self.0.config;
        let refused = |why: &str| oidc::Error::Refused(why.to_owned());
        let answer = match oidc::Answer::parse(said) {
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
        let own_place = if config.providers.len() > 1 { &*login.provider } else { "" };
        if place != own_place {
            return self.failed(
                &login.provider,
                caller,
                &refused("the answer came to the address of another provider"),
            );
        }
        let Some((settings, provider)) = self.0.provider(Some(&login.provider)) else {
            return self.failed_for(
                &login.target,
                &login.provider,
                caller,
                &refused("the provider is not configured any more"),
            );
        };
        let done = match provider.finish(&login.attempt, &answer).await {
            Ok(done) => done,
            Err(error) => return self.failed_for(&login.target, &login.provider, caller, &error),
        };
        let who = match door::identify(settings, &done) {
            Ok(who) => who,
            Err(error) => return self.failed_for(&login.target, &login.provider, caller, &error),
        };
        ctx.who = who.clone();
        if let rules::Verdict::Foreign(why) = config.rules_for(&who).judge(&who) {
            (ctx.decision, ctx.why) = ("forbidden", why.to_owned());
            self.shared().events.not_signed_in(&login.provider, &ctx.client, "forbidden", why);
            let text = format!("{} may not sign in here.", if who.email.is_empty() { &who.user } else { &who.email });
            return pages::trouble(
                &config.pages,
                403,
                "No access",
                &text,
                Some(why),
                &self.sign_in_again(&login.target),
            );
        }
        let session = self.0.session_of(settings, who, &done);
        self.welcome(session, &login.provider, &login.target, head, caller, ctx).await
    }

    pub async fn welcome(
        &self,
        mut session: Session,
        provider: &str,
        target: &str,
        head: &RequestHead,
        caller: &Caller,
        ctx: &mut Ctx,
    ) -> Answer {
        if self.0.begin(&mut session, &head.headers).await.is_err() {
            let error = oidc::Error::Unavailable("the session cannot be kept".into());
            return self.failed_for(target, provider, caller, &error);
        }
        let Some(lines) = self.session_cookies(&session, caller) else {
            let error = oidc::Error::Refused("what the provider says is too large to be kept in cookies".into());
            return self.failed_for(target, provider, caller, &error);
        };
        let cleared = self.0.config.cookie.clear(&caller.host, &head.headers, &lines);
        ctx.cookies.extend(lines.into_iter().chain(cleared));
        self.shared().events.signed_in(provider, &ctx.client, &session.who.user, &session.who.email);
        if head.method == Method::Post { pages::see(target) } else { pages::redirect(target) }
    }

    pub fn failed(&self, provider: &str, caller: &Caller, error: &oidc::Error) -> Answer {
        self.failed_for("/", provider, caller, error)
    }

    /// Another try leads to where this one should have.
    fn failed_for(&self, target: &str, provider: &str, caller: &Caller, error: &oidc::Error) -> Answer {
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
        let detail = error.to_string();
        let again = self.sign_in_again(target);
        let mut answer = pages::trouble(&config.pages, status, title, text, Some(&detail), &again);
        if status == 503 {
            answer.head.headers.set("Retry-After", "5");
        }
        answer
    }
}
