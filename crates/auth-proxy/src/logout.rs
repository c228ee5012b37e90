//! Signing out: here, at the provider, and by the provider's word.

use http_proxy::Answer;
use http1::{Headers, RequestHead};
use values::Secret;

use crate::{
    book::End,
    gate::arguments,
    pages,
    policy::{Caller, Ctx, Door},
    session::Session,
    target::safe,
};

/// How long the id of an announcement is remembered: longer than it is good for.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(3600);

impl Door {
    /// Who was signed in. False: a copy of the cookie may still be good, for the store could not be told.
    pub async fn sign_out_here(&self, headers: &Headers, caller: &Caller, ctx: &mut Ctx) -> (Option<Session>, bool) {
        let found = self.0.session(headers).await;
        let mut is_done = found.is_ok();
        let session = found.ok().flatten();
        if let Some(session) = &session {
            is_done = self.0.end(session).await.is_ok();
            self.shared().events.signed_out(&ctx.client, &session.who.user);
        }
        ctx.cookies.extend(self.0.config.cookie.clear(&caller.host, headers, &[]));
        (session, is_done)
    }

    pub async fn sign_out(&self, head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let config = &self.0.config;
        let asked = self.asked_target(head, caller);
        let (session, is_done) = self.sign_out_here(&head.headers, caller, ctx).await;
        if !is_done {
            let text =
                "You are signed out in this browser. Your session could not be ended everywhere: please try again.";
            let again = format!("{}/sign_out", config.paths.prefix);
            return pages::message(&config.pages, 503, "Not available", text, &again, "Sign out");
        }
        if let Some(session) = &session
            && let Some(address) = self.tell_provider(session, asked.as_deref(), caller).await
        {
            return pages::redirect(&address);
        }
        match asked {
            Some(target) => pages::redirect(&target),
            None if config.sign_out.page => pages::redirect(&format!("{}/signed_out", config.paths.prefix)),
            None => pages::redirect("/"),
        }
    }

    /// What the provider is told by us, and where the browser has to go to end the session there.
    async fn tell_provider(&self, session: &Session, target: Option<&str>, caller: &Caller) -> Option<String> {
        let config = &self.0.config;
        let (settings, provider) = self.0.provider(session.provider.as_deref())?;
        let id_token = session.id_token.as_deref().unwrap_or_default();
        if let Some(url) = &settings.sign_out_url
            && let Err(error) = provider.tell(&url.replace("{id_token}", id_token)).await
        {
            self.shared().events.not_told(&settings.name, &error.to_string());
        }
        if !config.sign_out.at_provider {
            return None;
        }
        let back = config.sign_out.redirect_url.clone();
        let back = back.unwrap_or_else(|| format!("{}{}/signed_out", self.origin(caller), config.paths.prefix));
        let hint = session.id_token.as_deref().map(Secret::new);
        provider.sign_out_address(hint.as_ref(), &back, target).await
    }

    /// Where the provider sends the browser back to; what it returns as `state` is judged as if anybody had said it.
    pub fn signed_out(&self, head: &RequestHead) -> Answer {
        let config = &self.0.config;
        let target = arguments(head.query()).remove("state");
        if let Some(target) = target.and_then(|target| safe(&target, &config.redirect_hosts)) {
            return pages::redirect(&target);
        }
        pages::message(&config.pages, 200, "Signed out", "You are signed out.", &self.sign_in_address(), "Sign in")
    }

    /// Back-channel logout: the provider posts a token that says whose sessions are over.
    pub async fn end_by_provider(&self, body: &[u8], ctx: &mut Ctx) -> Answer {
        let refused = |status: u16, why: &str| {
            self.shared().events.not_ended(&ctx.client, why);
            let error = if status == 400 { "invalid_request" } else { "temporarily_unavailable" };
            pages::json(status, &serde_json::json!({"error": error}))
        };
        let mut tokens = url::form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
        let (Some((_, token)), None) = (tokens.next(), tokens.next()) else {
            return refused(400, "expected one logout_token in the form");
        };
        let mut why = String::from("no provider could have said so");
        for (settings, provider) in self.0.config.providers.iter().zip(&self.0.providers) {
            if !settings.settings.kind.is_openid() {
                continue;
            }
            let logout = match provider.logged_out(&token).await {
                Ok(logout) => logout,
                Err(error) => {
                    why = error.to_string();
                    continue;
                }
            };
            let name = &*settings.name;
            let end = match (&logout.session, &logout.subject) {
                (Some(session), _) => End::AtProvider { provider: name, session },
                (None, Some(subject)) => End::Subject { provider: name, subject },
                (None, None) => continue,
            };
            return match self.end_sessions(&end, &[name, &logout.id]).await {
                Ok(true) => {
                    self.shared().events.ended_by_provider(name, &ctx.client);
                    let mut answer = Answer::text(200, "");
                    pages::private(&mut answer);
                    answer
                }
                Ok(false) => refused(400, "the same announcement came before"),
                Err(why) => refused(503, &why),
            };
        }
        refused(400, &why)
    }

    /// False: it was announced before.
    async fn end_sessions(&self, end: &End<'_>, announcement: &[&str]) -> Result<bool, String> {
        let (shared, lifetime) = (self.shared(), self.0.config.sessions.lifetime);
        if let Some(store) = &self.0.store {
            let failed = |down: crate::store::Down| down.0;
            if !store.is_new(announcement).await.map_err(failed)? {
                return Ok(false);
            }
            return store.end_all(end).await.map(|()| true).map_err(failed);
        }
        match shared.book.is_new(announcement, REMEMBERED) {
            Some(true) => {}
            Some(false) => return Ok(false),
            None => return Err("too many announcements".into()),
        }
        if shared.book.end(end, lifetime) { Ok(true) } else { Err("too many sessions were ended".into()) }
    }
}
