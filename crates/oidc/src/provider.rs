//! One provider: logins from beginning to end, and tokens of its making.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use values::Secret;

use crate::{
    Answer, Attempt, Claims, Error, Kind, Logout, Pkce, Settings,
    cached::Cached,
    form, github,
    keys::Keys,
    known::Known,
    logout,
    metadata::{Metadata, discovery_address},
    more, remote,
    token::{self, Head},
};

/// Metadata and keys are looked up again after this.
const FRESH: Duration = Duration::from_secs(3600);
/// A token that names an unknown key makes us look for new ones, this often at most: anybody can make such a token.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

pub struct Provider {
    settings: Settings,
    metadata: Cached<Metadata>,
    keys: Cached<Keys>,
    /// When keys were last looked up for a token that names an unknown one.
    looked_again: Mutex<Option<Instant>>,
    known: Known,
}

/// What the provider gave us for somebody.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: Secret,
    pub refresh: Option<Secret>,
    pub id: Option<Secret>,
    /// For how long the access token is good.
    pub expires_in: Option<Duration>,
}

/// Somebody is signed in.
#[derive(Clone, Debug)]
pub struct Login {
    pub claims: Claims,
    pub tokens: Tokens,
    /// Beside those in the claims: what had to be asked for.
    pub groups: Vec<String>,
}

impl Provider {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            metadata: Cached::default(),
            keys: Cached::default(),
            looked_again: Mutex::default(),
            known: Known::default(),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, Error> {
        if !self.settings.discover {
            let configured = Metadata::configured(&self.settings);
            return configured.map(Arc::new).ok_or_else(|| Error::unavailable("its endpoints are not configured"));
        }
        let look = async {
            let body = remote::get(&discovery_address(&self.settings.issuer), &self.settings).await?;
            Metadata::parse(&body, &self.settings)
        };
        self.metadata.get(FRESH, look).await
    }

    async fn keys(&self, head: &Head) -> Result<Arc<Keys>, Error> {
        let metadata = self.metadata().await?;
        let address = metadata.jwks.as_ref().ok_or_else(|| Error::unavailable("it does not say where its keys are"))?;
        let look = || async { Keys::parse(&remote::get(address, &self.settings).await?) };
        let keys = self.keys.get(FRESH, look()).await?;
        if head.key.as_ref().is_none_or(|id| keys.knows(id)) {
            return Ok(keys);
        }
        if self.may_look_again() {
            return self.keys.anew(look()).await;
        }
        // Somebody may be looking for the same key.
        Ok(self.keys.after_look().await.unwrap_or(keys))
    }

    fn may_look_again(&self) -> bool {
        let mut looked = self.looked_again.lock().unwrap_or_else(PoisonError::into_inner);
        let may = looked.is_none_or(|at| at.elapsed() >= LOOK_AGAIN);
        if may {
            *looked = Some(Instant::now());
        }
        may
    }

    /// A login begins: what to keep, and where to send the browser.
    pub async fn begin(&self, redirect_uri: &str) -> Result<(Attempt, String), Error> {
        let metadata = self.metadata().await?;
        let attempt = Attempt::new(redirect_uri)?;
        let (scope, challenge) = (self.settings.scopes.join(" "), attempt.challenge());
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", &*self.settings.client_id),
            ("redirect_uri", redirect_uri),
            ("scope", &*scope),
            ("state", &*attempt.state),
        ];
        if self.settings.kind.is_openid() && self.settings.check_nonce {
            query.push(("nonce", &*attempt.nonce));
        }
        if self.uses_pkce(&metadata) {
            query.extend([("code_challenge", &*challenge), ("code_challenge_method", "S256")]);
        }
        query.extend(self.settings.parameters.iter().map(|(name, value)| (&**name, &**value)));
        let address = form::add(&metadata.authorization, &form::join(query));
        Ok((attempt, address))
    }

    fn uses_pkce(&self, metadata: &Metadata) -> bool {
        match self.settings.pkce {
            Pkce::WhereKnown => metadata.s256,
            Pkce::Always => true,
            Pkce::Never => false,
        }
    }

    /// The browser is back.
    pub async fn finish(&self, attempt: &Attempt, answer: &Answer) -> Result<Login, Error> {
        let metadata = self.metadata().await?;
        let code = answer.code(&attempt.state, &self.settings.issuer, metadata.says_issuer)?;
        let mut parameters =
            vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", &*attempt.redirect_uri)];
        if self.uses_pkce(&metadata) {
            parameters.push(("code_verifier", &*attempt.verifier));
        }
        let said = remote::tokens(&metadata, &self.settings, &parameters).await?;
        self.login(&metadata, &said, Some(&attempt.nonce), None).await
    }

    /// New tokens for somebody who is signed in. `subject` is who that was: a refresh that gives another is refused.
    pub async fn refresh(&self, refresh: &Secret, subject: &str) -> Result<Login, Error> {
        let metadata = self.metadata().await?;
        let parameters = [("grant_type", "refresh_token"), ("refresh_token", refresh.expose())];
        let said = remote::tokens(&metadata, &self.settings, &parameters).await?;
        let mut login = self.login(&metadata, &said, None, Some(subject)).await?;
        // Without rotation the old one stays good.
        login.tokens.refresh.get_or_insert_with(|| refresh.clone());
        Ok(login)
    }

    /// `known`: who it has to be, where this is not the first time.
    async fn login(
        &self,
        metadata: &Metadata,
        said: &Map<String, Value>,
        nonce: Option<&str>,
        known: Option<&str>,
    ) -> Result<Login, Error> {
        let text = |name: &str| said.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let access = text("access_token").ok_or_else(|| Error::unavailable("its answer has no access_token"))?;
        let seconds = said.get("expires_in").and_then(|value| match value {
            Value::String(text) => text.parse().ok(),
            value => value.as_u64(),
        });
        let tokens = Tokens {
            access: Secret::new(access),
            refresh: text("refresh_token").map(Secret::new),
            id: text("id_token").map(Secret::new),
            expires_in: seconds.map(Duration::from_secs),
        };
        let mut claims = match (&self.settings.kind, &tokens.id) {
            (Kind::Github(rules), _) => github::identity(rules, access, &self.settings).await?,
            (Kind::OpenId, Some(token)) => {
                let head = Head::of(token.expose(), &self.settings)?;
                let keys = self.keys(&head).await?;
                let claims = token::verify(token.expose(), &head, &keys, &self.settings)?;
                token::check_id(&claims, &head, nonce, access, &self.settings)?;
                claims
            }
            // RFC-wise a refresh need not give one: then it is about the same person as before.
            (Kind::OpenId, None) if known.is_some() => {
                Claims::from(serde_json::json!({ "sub": known.unwrap_or_default() }))
            }
            (Kind::OpenId, None) => return Err(Error::refused("its answer has no id_token")),
        };
        let subject = claims.text("sub").unwrap_or_default();
        if known.is_some_and(|known| known != subject) {
            return Err(Error::refused("the refreshed tokens are somebody else's"));
        }
        if self.settings.kind.is_openid()
            && self.settings.userinfo
            && let Some(address) = &metadata.userinfo
        {
            let more = Claims::from(remote::get_as(address, access, &self.settings).await?);
            // OpenID Connect Core 5.3.2: not to be used if it is about another.
            if more.text("sub").as_deref() != Some(&*subject) {
                return Err(Error::refused("the userinfo is about somebody else"));
            }
            claims.add(more.0);
        }
        let mut groups = Vec::new();
        for question in &self.settings.questions {
            groups.extend(more::ask(question, &claims, access, &self.settings).await?);
        }
        Ok(Login { claims, tokens, groups })
    }

    /// A token that somebody shows: signed by this provider, for us, valid now.
    pub async fn verify(&self, token: &str) -> Result<Claims, Error> {
        let head = Head::of(token, &self.settings)?;
        let keys = self.keys(&head).await?;
        self.known.verified(token, &keys, || token::verify(token, &head, &keys, &self.settings))
    }

    /// The provider says that somebody has signed out there.
    pub async fn logged_out(&self, token: &str) -> Result<Logout, Error> {
        let head = Head::of(token, &self.settings)?;
        let keys = self.keys(&head).await?;
        logout::verify(token, &head, &keys, &self.settings)
    }

    /// Tells somebody behind the provider that a session has ended.
    pub async fn tell(&self, address: &str) -> Result<(), Error> {
        remote::get(address, &self.settings).await.map(drop)
    }

    /// Where to end the session at the provider, if it has such a place and answers.
    /// `state` comes back with the browser.
    pub async fn sign_out_address(
        &self,
        id_token: Option<&Secret>,
        back_to: &str,
        state: Option<&str>,
    ) -> Option<String> {
        let address = self.metadata().await.ok()?.end_session.clone()?;
        let mut query = vec![("client_id", &*self.settings.client_id), ("post_logout_redirect_uri", back_to)];
        query.extend(id_token.map(|token| ("id_token_hint", token.expose())));
        query.extend(state.map(|state| ("state", state)));
        Some(form::add(&address, &form::join(query)))
    }
}
