//! Sessions over time: found, refreshed once for all who need it, and ended.

use std::time::Duration;

use http1::Headers;
use oidc::Provider;
use tokio::time::{Instant, sleep};
use values::Secret;

use crate::{
    book::{End, Outcome},
    config,
    door::identify,
    gate::Gate,
    seal::Use,
    session::{Session, Who, now},
    store::{Down, Store},
};

/// Seconds until a provider that could not be reached is asked again about the same session.
const TRY_AGAIN: u64 = 5;
/// Another replica refreshes: how often to look whether it is done, and for how long.
const LOOK: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_secs(15);

/// A session as it is now.
pub enum Fresh {
    Same(Session),
    Renewed(Session),
    Over,
    /// It has to be refreshed, and nobody can do so at the moment.
    Unknown,
}

fn unchanged(session: Session) -> Fresh {
    // Not for ever: once the tokens have expired nobody vouches for this one.
    if session.is_expired(now()) { Fresh::Over } else { Fresh::Same(session) }
}

impl Gate {
    /// What the browser shows, if it is ours, not over, and not ended.
    pub async fn session(&self, headers: &Headers) -> Result<Option<Session>, Down> {
        let Some(session) = self.kept(headers).await? else { return Ok(None) };
        // Who vouched for it has to be there still.
        let vouched = match &session.provider {
            Some(name) => self.provider(Some(name)).is_some(),
            // Whoever has changed a password has had a reason.
            None => {
                self.users.as_ref().is_some_and(|users| users.mark(&session.who.user) == Some(session.subject.clone()))
            }
        };
        let lifetime = self.config.sessions.lifetime;
        let is_good = vouched && !session.is_over(lifetime, now()) && !self.shared.book.has_ended(&session);
        Ok(is_good.then_some(session))
    }

    async fn kept(&self, headers: &Headers) -> Result<Option<Session>, Down> {
        let rules = &self.config.cookie;
        let Some(value) = rules.get(headers) else { return Ok(None) };
        match &self.store {
            None => {
                let plain = self.config.sealer.open(Use::Session, &rules.name, &value);
                Ok(plain.and_then(|plain| serde_json::from_slice(&plain).ok()))
            }
            Some(store) => match self.ticket(headers) {
                Some(id) => store.load(&id).await.inspect_err(|down| self.shared.events.store_down(&down.0)),
                None => Ok(None),
            },
        }
    }

    fn ticket(&self, headers: &Headers) -> Option<String> {
        let rules = &self.config.cookie;
        let id = self.config.sealer.open(Use::Ticket, &rules.name, &rules.get(headers)?)?;
        String::from_utf8(id).ok()
    }

    /// Somebody has signed in.
    pub async fn begin(&self, session: &mut Session, headers: &Headers) -> Result<(), Down> {
        self.shared.book.begin(session);
        let Some(store) = &self.store else { return Ok(()) };
        let kept = store.save(session, self.config.sessions.lifetime, false).await;
        kept.inspect_err(|down| self.shared.events.store_down(&down.0))?;
        // The one before is of no use any more.
        if let Some(before) = self.ticket(headers) {
            store.end(&before).await?;
        }
        Ok(())
    }

    /// A session of somebody who has typed a password.
    pub fn session_by_password(&self, who: Who) -> Session {
        let mark = self.users.as_ref().and_then(|users| users.mark(&who.user)).unwrap_or_default();
        Session { subject: mark, ..Session::by_password(who) }
    }

    /// Signed out here: a copy of the cookie is of no use any more.
    pub async fn end(&self, session: &Session) -> Result<(), Down> {
        if !self.shared.book.end(&End::One(&session.id), self.config.sessions.lifetime) {
            self.shared.events.not_remembered();
        }
        match &self.store {
            Some(store) => store.end(&session.id).await.inspect_err(|down| self.shared.events.store_down(&down.0)),
            None => Ok(()),
        }
    }

    /// The session as the provider sees it now. Requests that come at the same time ask once.
    pub async fn fresh(&self, session: Session) -> Fresh {
        if !session.is_due(self.config.sessions.refresh, now()) {
            return Fresh::Same(session);
        }
        let Some((settings, provider)) = self.provider(session.provider.as_deref()) else { return Fresh::Over };
        let slot = self.shared.book.slot(&session);
        let mut slot = match slot.try_lock() {
            Ok(slot) => slot,
            // Who is still vouched for does not wait for a provider that hangs.
            Err(_) if !session.is_expired(now()) => return Fresh::Same(session),
            Err(_) => slot.lock().await,
        };
        match &*slot {
            Some((_, None)) => return Fresh::Over,
            Some((_, Some(next))) if next.heard != session.heard => return Fresh::Renewed(next.clone()),
            // It failed a moment ago: not everybody has to wait for that again.
            Some((at, Some(_))) if now() < at + TRY_AGAIN => return unchanged(session),
            _ => {}
        }
        let outcome = match &self.store {
            None => self.refresh(&session, settings, provider).await,
            Some(store) => match self.refresh_shared(store, &session, settings, provider).await {
                Ok(outcome) => outcome,
                Err(down) => {
                    self.shared.events.store_down(&down.0);
                    return Fresh::Unknown;
                }
            },
        };
        match outcome {
            Err(()) => {
                *slot = Some((now(), Some(session.clone())));
                unchanged(session)
            }
            Ok(outcome) => {
                *slot = Some((now(), outcome.clone()));
                outcome.map_or(Fresh::Over, Fresh::Renewed)
            }
        }
    }

    /// One replica asks the provider; the others wait for what it writes.
    async fn refresh_shared(
        &self,
        store: &Store,
        session: &Session,
        settings: &config::Provider,
        provider: &Provider,
    ) -> Result<Result<Outcome, ()>, Down> {
        let until = Instant::now() + PATIENCE;
        while !store.lock(session).await? {
            sleep(LOOK).await;
            match store.load(&session.id).await? {
                None => return Ok(Ok(None)),
                Some(next) if next.heard != session.heard => return Ok(Ok(Some(next))),
                Some(_) if Instant::now() > until => return Ok(Err(())),
                Some(_) => {}
            }
        }
        // It may have been done while we came here.
        match store.load(&session.id).await? {
            None => return Ok(Ok(None)),
            Some(next) if next.heard != session.heard => return Ok(Ok(Some(next))),
            Some(_) => {}
        }
        let outcome = self.refresh(session, settings, provider).await;
        match &outcome {
            Err(()) => store.unlock(session).await?,
            Ok(None) => store.end(&session.id).await?,
            // What somebody has ended meanwhile does not come back.
            Ok(Some(next)) => {
                if !store.save(next, self.config.sessions.lifetime, true).await? {
                    return Ok(Ok(None));
                }
            }
        }
        Ok(outcome)
    }

    /// Err: the provider cannot be asked.
    async fn refresh(
        &self,
        session: &Session,
        settings: &config::Provider,
        provider: &Provider,
    ) -> Result<Outcome, ()> {
        let user = &session.who.user;
        match self.refreshed(session, settings, provider).await {
            Ok(next) => {
                self.shared.events.refreshed(user);
                Ok(Some(next))
            }
            Err(oidc::Error::Unavailable(why)) => {
                self.shared.events.not_refreshed(user, false, &why);
                Err(())
            }
            Err(error) => {
                self.shared.events.not_refreshed(user, true, &error.to_string());
                Ok(None)
            }
        }
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
        let says_who = login.tokens.id.is_some() || !settings.settings.kind.is_openid();
        let who = if says_who { identify(settings, &login)? } else { session.who.clone() };
        let mut next = self.session_of(settings, who, &login);
        next.id.clone_from(&session.id);
        next.begun = session.begun;
        // Always later than before: that is how the old and the new one are told apart.
        next.heard = next.heard.max(session.heard + 1);
        if next.id_token.is_none() {
            next.id_token.clone_from(&session.id_token);
        }
        if next.sid.is_none() {
            next.sid.clone_from(&session.sid);
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
            sid: login.claims.text("sid"),
            access: needs_access.then(|| text(&tokens.access)),
            id_token: tokens.id.as_ref().filter(|_| needs_id).map(text),
            refresh: tokens.refresh.as_ref().map(text),
            begun: now,
            heard: now,
            expires: tokens.expires_in.map(|time| now.saturating_add(time.as_secs())),
        }
    }
}
