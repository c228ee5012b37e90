//! The form for users of the password file. What is posted counts only where the browser has the form from us.

use base64::{Engine, prelude::BASE64_STANDARD};
use http_proxy::Answer;
use http1::{Headers, RequestHead};
use serde::{Deserialize, Serialize};

use crate::{
    door::Found,
    gate::arguments,
    pages::Form,
    policy::{Caller, Ctx, Door},
    seal::Use,
    session::now,
};

/// No form of ours is larger.
pub const LARGEST: usize = 16 * 1024;
/// A page may be open for long before somebody types.
const LIFETIME: u64 = 12 * 3600;

#[derive(Serialize, Deserialize)]
struct Shown {
    #[serde(rename = "t")]
    token: String,
    #[serde(rename = "a")]
    at: u64,
}

impl Door {
    pub fn has_form(&self) -> bool {
        self.0.config.passwords.as_ref().is_some_and(|passwords| passwords.shown)
    }

    /// The form for this page, with the secret that the browser has to have as well.
    pub fn form(&self, target: &str, headers: &Headers, caller: &Caller, ctx: &mut Ctx) -> Option<Form> {
        if !self.has_form() {
            return None;
        }
        let config = &self.0.config;
        let action = self.sign_in_address();
        // Several tabs share one: a second must not make the first useless.
        let known = self.shown(headers).filter(|shown| now().saturating_sub(shown.at) < LIFETIME / 2);
        if let Some(Shown { token, .. }) = known {
            return Some(Form { action, target: target.into(), token });
        }
        let shown = Shown { token: oidc::random_text()?, at: now() };
        let name = config.cookie.form_name();
        let sealed = config.sealer.seal(Use::Form, &name, &serde_json::to_vec(&shown).ok()?)?;
        ctx.cookies.push(config.cookie.set_form(&caller.host, &sealed, LIFETIME));
        Some(Form { action, target: target.into(), token: shown.token })
    }

    fn shown(&self, headers: &Headers) -> Option<Shown> {
        let config = &self.0.config;
        let name = config.cookie.form_name();
        let (_, value) = crate::cookie::sent(headers).find(|(known, _)| *known == name)?;
        let shown: Shown = serde_json::from_slice(&config.sealer.open(Use::Form, &name, value)?).ok()?;
        (now().saturating_sub(shown.at) < LIFETIME).then_some(shown)
    }

    /// Another site may make a browser post, and with it sign somebody in as another: it knows no secret of ours.
    fn is_our_form(&self, head: &RequestHead, token: &str) -> bool {
        let site = head.headers.get_str("sec-fetch-site").unwrap_or("same-origin");
        let known = self.shown(&head.headers).map(|shown| shown.token);
        let same = known.is_some_and(|known| {
            let sum = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
            sum(&known).as_ref() == sum(token).as_ref()
        });
        same && matches!(site, "same-origin" | "none")
    }

    pub async fn typed(&self, body: &[u8], head: &RequestHead, caller: &Caller, ctx: &mut Ctx) -> Answer {
        let text = String::from_utf8_lossy(body);
        let mut said = arguments(Some(&text));
        let mut take = |name: &str| said.remove(name).unwrap_or_default();
        let (user, password, token, wanted) = (take("username"), take("password"), take("csrf"), take("rd"));
        let target = self.judged(&wanted);
        if !self.is_our_form(head, &token) {
            return self.sign_in(403, Some("Please try again."), &target, caller, &head.headers, ctx);
        }
        let mut proof = Headers::new();
        // With a colon in it, another name and another password would be shown.
        if !user.is_empty() && !user.contains(':') {
            proof.append("Authorization", format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))));
        }
        self.by_proof(&proof, &target, head, caller, ctx).await
    }

    async fn by_proof(
        &self,
        proof: &Headers,
        target: &str,
        head: &RequestHead,
        caller: &Caller,
        ctx: &mut Ctx,
    ) -> Answer {
        let page = |status: u16, text: &str, ctx: &mut Ctx| {
            self.sign_in(status, Some(text), target, caller, &head.headers, ctx)
        };
        match self.0.look(proof, caller).await {
            Found::Known(guest) if guest.by == "password" => {
                let session = self.0.session_by_password(guest.who);
                ctx.who = session.who.clone();
                self.welcome(session, "passwords", target, head, caller, ctx).await
            }
            Found::Wait(status, _) => page(status, "There were too many tries. Please wait a moment.", ctx),
            _ => {
                let why = "user name or password";
                self.shared().events.not_signed_in("passwords", &ctx.client, "refused", why);
                page(401, "The user name or the password is wrong.", ctx)
            }
        }
    }
}
