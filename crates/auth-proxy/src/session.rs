//! Somebody who has signed in: what we keep of it, sealed, in the browser or in a store.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A browser that sent several requests at once still uses the old cookie for so long.
pub const OVERLAP: u64 = 60;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Who {
    #[serde(rename = "u")]
    pub user: String,
    #[serde(rename = "e", default)]
    pub email: String,
    #[serde(rename = "g", default)]
    pub groups: Vec<String>,
    #[serde(rename = "p", default)]
    pub preferred_username: Option<String>,
    /// Whoever is in the password file belongs: rules are about those whom others know.
    #[serde(rename = "w", default)]
    pub by_password: bool,
    /// Who vouches, by the name in the configuration: rules may differ.
    #[serde(rename = "f", default)]
    pub provider: Option<String>,
    /// Who vouches has also said that it belongs: keys and certificates are in lists of their own.
    #[serde(skip)]
    pub belongs: bool,
    /// What the client's certificate proves beside: looked at anew with each request.
    #[serde(skip)]
    pub names: Vec<String>,
}

/// Names are short: a browser sends this with every request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    #[serde(rename = "i")]
    pub id: String,
    /// Of the configuration; None: signed in by password.
    #[serde(rename = "v")]
    pub provider: Option<String>,
    #[serde(rename = "w")]
    pub who: Who,
    /// The provider's own name for somebody.
    #[serde(rename = "s", default)]
    pub subject: String,
    /// The provider's own name for the session that this one came from.
    #[serde(rename = "k", default)]
    pub sid: Option<String>,
    #[serde(rename = "a", default)]
    pub access: Option<String>,
    #[serde(rename = "t", default)]
    pub id_token: Option<String>,
    #[serde(rename = "r", default)]
    pub refresh: Option<String>,
    /// Seconds since 1970: signed in, last heard of by the provider, end of the access token.
    #[serde(rename = "b")]
    pub begun: u64,
    #[serde(rename = "h")]
    pub heard: u64,
    #[serde(rename = "x", default)]
    pub expires: Option<u64>,
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Session {
    pub fn by_password(who: Who) -> Self {
        Self {
            id: oidc::random_text().unwrap_or_default(),
            provider: None,
            who,
            subject: String::new(),
            sid: None,
            access: None,
            id_token: None,
            refresh: None,
            begun: now(),
            heard: now(),
            expires: None,
        }
    }

    pub fn is_over(&self, lifetime: Duration, now: u64) -> bool {
        // A session from the future is from a clock that was wrong.
        now >= self.begun.saturating_add(lifetime.as_secs()) || self.begun > now + OVERLAP
    }

    /// Whether the provider has to be asked again.
    pub fn is_due(&self, refresh: Duration, now: u64) -> bool {
        let by_time = !refresh.is_zero() && now >= self.heard.saturating_add(refresh.as_secs());
        self.refresh.is_some() && (by_time || self.is_expired(now))
    }

    pub fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| now >= at)
    }
}
