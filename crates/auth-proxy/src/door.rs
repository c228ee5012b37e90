//! Who is at the door: by session, by token, by password.

use std::{net::IpAddr, sync::Arc};

use htpasswd::Proof;
use http1::Headers;
use oidc::{Claims, Provider};
use values::Secret;

use crate::{
    config::{self, ClaimNames},
    gate::Gate,
    seal::Use,
    session::{Outcome, Session, Who, now},
};

/// Seconds until a provider that could not be reached is asked again about the same session.
const TRY_AGAIN: u64 = 5;

/// Somebody, or why nobody.
pub enum Found {
    Known(Box<Guest>),
    Nobody,
    /// A proof was shown that is no good: a page would not help who shows it.
    Bad(&'static str),
    /// Come back later: the status and what for.
    Wait(u16, &'static str),
}

/// Who is let in, if the rules agree.
pub struct Guest {
    pub who: Who,
    pub session: Option<Session>,
    /// The session is another one than the browser has.
    pub renewed: bool,
    pub by: &'static str,
}

impl Gate {
    pub async fn look(&self, headers: &Headers, client: Option<IpAddr>) -> Found {
        if let Some(session) = self.session(headers)
            && let Some((session, renewed)) = self.fresh(session).await
        {
            let who = session.who.clone();
            return Found::Known(Box::new(Guest { who, session: Some(session), renewed, by: "session" }));
        }
        let header = headers.get("authorization").map(<[u8]>::to_vec);
        let Some(header) = header else { return Found::Nobody };
        if let (Some(bearer), Some(token)) = (&self.config.bearer, bearer_token(&header)) {
            return match self.by_token(token).await {
                Some(guest) => Found::Known(Box::new(guest)),
                None if bearer.fall_back => Found::Nobody,
                None => Found::Bad("token"),
            };
        }
        let Some(users) = &self.users else { return Found::Nobody };
        if htpasswd::credentials(&header).is_none() {
            return Found::Nobody;
        }
        match users.check(Some(&header), client).await {
            Proof::Good(user) => Found::Known(Box::new(Guest {
                who: self.by_password(user),
                session: None,
                renewed: false,
                by: "password",
            })),
            Proof::Wanting => Found::Bad("password"),
            Proof::NoUsers => Found::Bad("no users"),
            Proof::Busy => Found::Wait(503, "too many logins at once"),
            Proof::LockedOut(_) => Found::Wait(429, "too many wrong passwords"),
        }
    }

    fn by_password(&self, user: String) -> Who {
        let groups = self.config.passwords.as_ref().map(|passwords| passwords.groups.clone()).unwrap_or_default();
        Who { user, groups, by_password: true, ..Who::default() }
    }

    /// What the browser shows, if it is ours, not over, and not ended.
    pub fn session(&self, headers: &Headers) -> Option<Session> {
        let rules = &self.config.cookie;
        let plain = self.config.sealer.open(Use::Session, &rules.name, &rules.get(headers)?)?;
        let session: Session = serde_json::from_slice(&plain).ok()?;
        let lifetime = self.config.sessions.lifetime;
        // Who vouched for it has to be there still.
        let vouched = match &session.provider {
            Some(name) => self.provider(Some(name)).is_some(),
            None => self.users.as_ref().is_some_and(|users| users.knows(&session.who.user)),
        };
        (vouched && !session.is_over(lifetime, now()) && !self.shared.book.has_ended(&session)).then_some(session)
    }

    /// The session as the provider sees it now. Requests that come at the same time ask once.
    async fn fresh(&self, session: Session) -> Option<(Session, bool)> {
        if !session.is_due(self.config.sessions.refresh, now()) {
            return Some((session, false));
        }
        let (settings, provider) = self.provider(session.provider.as_deref())?;
        let slot = self.shared.book.slot(&session);
        let mut slot = slot.lock().await;
        match &*slot {
            Some((_, None)) => return None,
            Some((_, Some(next))) if next.heard != session.heard => return Some((next.clone(), true)),
            // It failed a moment ago: not everybody has to wait for that again.
            Some((at, Some(_))) if now() < at + TRY_AGAIN => {
                return (!session.is_expired(now())).then_some((session, false));
            }
            _ => {}
        }
        let outcome: Outcome = match self.refreshed(&session, settings, provider).await {
            Ok(session) => {
                self.shared.events.refreshed(&session.who.user);
                Some(session)
            }
            Err(oidc::Error::Unavailable(why)) => {
                self.shared.events.not_refreshed(&session.who.user, false, &why);
                *slot = Some((now(), Some(session.clone())));
                // Not for ever: once the tokens have expired nobody vouches for this one.
                return (!session.is_expired(now())).then_some((session, false));
            }
            Err(error) => {
                self.shared.events.not_refreshed(&session.who.user, true, &error.to_string());
                None
            }
        };
        *slot = Some((now(), outcome.clone()));
        outcome.map(|session| (session, true))
    }

    async fn refreshed(
        &self,
        session: &Session,
        settings: &config::Provider,
        provider: &Provider,
    ) -> Result<Session, oidc::Error> {
        let refresh = Secret::new(session.refresh.as_deref().unwrap_or_default());
        let login = provider.refresh(&refresh, &session.subject).await?;
        // Without an ID token the answer says nothing of who somebody is: that stays as it was.
        let says_who = login.tokens.id.is_some() || matches!(settings.settings.kind, oidc::Kind::Github(_));
        let who = if says_who { identify(settings, &login.claims)? } else { session.who.clone() };
        let mut next = self.session_of(settings, who, &login);
        next.id.clone_from(&session.id);
        next.begun = session.begun;
        // Always later than before: that is how the old and the new one are told apart.
        next.heard = next.heard.max(session.heard + 1);
        if next.id_token.is_none() {
            next.id_token.clone_from(&session.id_token);
        }
        Ok(next)
    }

    /// A session of somebody who has just been vouched for.
    pub fn session_of(&self, settings: &config::Provider, who: Who, login: &oidc::Login) -> Session {
        let text = |secret: &Secret| secret.expose().to_owned();
        let (now, tokens) = (now(), &login.tokens);
        let tell = &self.config.tell;
        let minimal = self.config.sessions.minimal;
        let needs_access = !minimal || tell.access_token;
        let needs_id = !minimal || tell.authorization || tell.answer_authorization;
        Session {
            id: oidc::random_text().unwrap_or_default(),
            provider: Some(settings.name.clone()),
            who,
            subject: login.claims.text("sub").unwrap_or_default(),
            access: needs_access.then(|| text(&tokens.access)),
            id_token: tokens.id.as_ref().filter(|_| needs_id).map(text),
            refresh: tokens.refresh.as_ref().map(text),
            begun: now,
            heard: now,
            expires: tokens.expires_in.map(|time| now.saturating_add(time.as_secs())),
        }
    }

    async fn by_token(&self, token: &str) -> Option<Guest> {
        for (settings, provider) in self.issuers() {
            let Ok(claims) = provider.verify(token).await else { continue };
            let who = identify_program(settings.map_or(&ClaimNames::default(), |settings| &settings.claims), &claims);
            if settings.is_some_and(|settings| !settings.unverified_email)
                && claims.truth("email_verified") == Some(false)
            {
                return None;
            }
            let session = Session {
                id: String::new(),
                provider: None,
                who: who.clone(),
                subject: claims.text("sub").unwrap_or_default(),
                access: Some(token.to_owned()),
                id_token: Some(token.to_owned()),
                refresh: None,
                begun: now(),
                heard: now(),
                expires: None,
            };
            return Some(Guest { who, session: Some(session), renewed: false, by: "token" });
        }
        None
    }

    fn issuers(&self) -> impl Iterator<Item = (Option<&config::Provider>, &Arc<Provider>)> {
        let own = self
            .config
            .providers
            .iter()
            .zip(&self.providers)
            .filter(|(settings, _)| settings.settings.kind == oidc::Kind::OpenId);
        own.map(|(settings, provider)| (Some(settings), provider))
            .chain(self.bearers.iter().map(|provider| (None, provider)))
    }
}

fn bearer_token(header: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who the claims are about. An address that nobody has verified is no address.
pub fn identify(settings: &config::Provider, claims: &Claims) -> Result<Who, oidc::Error> {
    if !settings.unverified_email && claims.truth("email_verified") == Some(false) {
        return Err(oidc::Error::Refused("the provider has not verified the e-mail address".into()));
    }
    Ok(identify_program(&settings.claims, claims))
}

fn identify_program(names: &ClaimNames, claims: &Claims) -> Who {
    let mut groups = claims.list(&names.groups);
    if let Some(roles) = &names.roles {
        groups.extend(claims.list(&roles.realm).into_iter().map(|role| format!("role:{role}")));
        if let Some(clients) = claims.get(&roles.clients).and_then(|value| value.as_object()) {
            for (client, access) in clients {
                let list = access.get("roles").and_then(|roles| roles.as_array()).into_iter().flatten();
                groups.extend(list.filter_map(|role| Some(format!("role:{client}:{}", role.as_str()?))));
            }
        }
    }
    Who {
        user: claims.text(&names.user).or_else(|| claims.text("sub")).unwrap_or_default(),
        email: claims.text(&names.email).unwrap_or_default(),
        groups,
        preferred_username: claims.text("preferred_username"),
        by_password: false,
    }
}
