//! Who is at the door: by session, by token, by password.

use std::sync::Arc;

use htpasswd::Proof;
use http1::Headers;
use oidc::{Claims, Provider};

use crate::{
    certificate,
    config::{self, ClaimNames},
    gate::Gate,
    keys::Shown,
    kubernetes::{Kubernetes, Said},
    policy::Caller,
    refresh::Fresh,
    session::{Session, Who, now},
};

const NO_STORE: &str = "sessions cannot be looked up at the moment";

/// Somebody, or why nobody.
pub enum Found {
    Known(Box<Guest>),
    Nobody,
    /// A proof was shown that is no good: a page would not help who shows it.
    Bad(&'static str),
    /// Known, and may not: by whom.
    Foreign(Box<Who>, &'static str),
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

impl Guest {
    /// Without a session.
    pub fn known(who: Who, by: &'static str) -> Found {
        Found::Known(Box::new(Self { who, session: None, renewed: false, by }))
    }
}

impl Gate {
    /// What is shown in the request counts before what is shown in the handshake, and that is known in any case.
    pub async fn look(&self, headers: &Headers, caller: &Caller) -> Found {
        let mut found = self.shown(headers, caller).await;
        let Some(identity) = &caller.certificate else { return found };
        if let Found::Nobody = found
            && let Some(who) = certificate::who(identity, &self.config.rules.certificates)
        {
            return Guest::known(who, "certificate");
        }
        if let Found::Known(guest) = &mut found {
            guest.who.names = certificate::names(identity);
        }
        found
    }

    async fn shown(&self, headers: &Headers, caller: &Caller) -> Found {
        let guest = |session: Session, renewed| {
            let who = session.who.clone();
            Found::Known(Box::new(Guest { who, session: Some(session), renewed, by: "session" }))
        };
        match self.session(headers).await {
            Ok(None) => {}
            Err(_) => return Found::Wait(503, NO_STORE),
            Ok(Some(session)) => match self.fresh(session).await {
                Fresh::Same(session) => return guest(session, false),
                Fresh::Renewed(session) => return guest(session, true),
                Fresh::Unknown => return Found::Wait(503, NO_STORE),
                Fresh::Over => {}
            },
        }
        match self.config.keys.as_ref().map_or(Shown::Nothing, |keys| keys.find(headers)) {
            Shown::Good(who) => return Guest::known(who, "key"),
            Shown::Bad => return Found::Bad("key"),
            Shown::Nothing => {}
        }
        let header = headers.get("authorization").map(<[u8]>::to_vec);
        let Some(header) = header else { return Found::Nobody };
        if let Some(token) = bearer_token(&header)
            && (self.config.bearer.is_some() || self.kubernetes.is_some())
        {
            return self.by_bearer(token, caller).await;
        }
        let Some(users) = &self.users else { return Found::Nobody };
        if htpasswd::credentials(&header).is_none() {
            return Found::Nobody;
        }
        match users.check(Some(&header), caller.address).await {
            Proof::Good(user) => Guest::known(self.by_password(user), "password"),
            Proof::Wanting => Found::Bad("password"),
            Proof::NoUsers => Found::Bad("no users"),
            Proof::Busy => Found::Wait(503, "too many logins at once"),
            Proof::LockedOut(_) => Found::Wait(429, "too many wrong passwords"),
        }
    }

    pub fn by_password(&self, user: String) -> Who {
        let groups = self.config.passwords.as_ref().map(|passwords| passwords.groups.clone()).unwrap_or_default();
        Who { user, groups, by_password: true, ..Who::default() }
    }

    /// Issuers of ours first: their keys are here. What they do not know may be the cluster's.
    async fn by_bearer(&self, token: &str, caller: &Caller) -> Found {
        if self.config.bearer.is_some()
            && let Some(guest) = self.by_token(token).await
        {
            return Found::Known(Box::new(guest));
        }
        if let Some(cluster) = self.kubernetes.as_ref().filter(|_| Kubernetes::may_know(token)) {
            match cluster.look(token, &caller.method, &caller.target).await {
                Said::Known(who) => return Guest::known(who, "cluster"),
                Said::Foreign(who) => return Found::Foreign(Box::new(who), "cluster"),
                Said::Nothing(why) => {
                    self.shared.events.cluster_silent(&why);
                    return Found::Wait(503, "the cluster does not answer");
                }
                Said::Unknown => {}
            }
        }
        match &self.config.bearer {
            Some(bearer) if bearer.fall_back => Found::Nobody,
            Some(_) => Found::Bad("token"),
            None => Found::Bad("cluster token"),
        }
    }

    async fn by_token(&self, token: &str) -> Option<Guest> {
        for (settings, provider) in self.issuers() {
            let Ok(claims) = provider.verify(token).await else { continue };
            let names = settings.map_or_else(ClaimNames::default, |settings| settings.claims.clone());
            let who =
                Who { provider: settings.map(|settings| settings.name.clone()), ..identify_program(&names, &claims) };
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
                sid: None,
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
            .filter(|(settings, _)| settings.settings.kind.is_openid());
        own.map(|(settings, provider)| (Some(settings), provider))
            .chain(self.bearers.iter().map(|provider| (None, provider)))
    }
}

pub fn bearer_token(header: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(header).ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who has signed in. An address that nobody has verified is no address.
pub fn identify(settings: &config::Provider, login: &oidc::Login) -> Result<Who, oidc::Error> {
    if !settings.unverified_email && login.claims.truth("email_verified") == Some(false) {
        return Err(oidc::Error::Refused("the provider has not verified the e-mail address".into()));
    }
    // Anybody can make a tenant and say every address in it, unless the provider says that it is the tenant's own.
    let is_of_any = settings.settings.tenants.as_ref().is_some_and(|tenants| tenants.allowed.is_empty());
    let is_own = matches!(login.claims.text("xms_edov").as_deref(), Some("true" | "1"));
    if is_of_any && !is_own && !settings.unverified_email {
        let why = "an address is not verified where every tenant may come in: expected tenants to be named";
        return Err(oidc::Error::Refused(why.into()));
    }
    let mut who = identify_program(&settings.claims, &login.claims);
    who.groups.extend(login.groups.iter().cloned());
    who.provider = Some(settings.name.clone());
    Ok(who)
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
        email: claims.text(&names.email).or_else(|| claims.text(names.email_else.as_deref()?)).unwrap_or_default(),
        groups,
        preferred_username: claims.text("preferred_username"),
        ..Who::default()
    }
}
