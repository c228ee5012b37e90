//! Somebody who has signed in: what we keep of it, sealed, in the browser.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Sessions that were ended before their time, and refreshes under way: so many at most are remembered.
const MOST: usize = 10_000;
/// A browser that sent several requests at once still uses the old cookie for so long.
const OVERLAP: u64 = 60;

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

/// What this process knows of sessions beside what is in them.
#[derive(Default)]
pub struct Book {
    ended: Mutex<HashMap<String, u64>>,
    refreshes: Mutex<HashMap<(String, u64), Slot>>,
}

/// The outcome of one refresh, for all requests that need it. None inside: the session is over.
pub type Outcome = Option<Session>;
pub type Slot = Arc<tokio::sync::Mutex<Option<(u64, Outcome)>>>;

impl Book {
    /// Signed out: a copy of the cookie is of no use any more, as long as this process lives.
    pub fn end(&self, session: &Session, lifetime: Duration) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.len() >= MOST {
            let now = now();
            ended.retain(|_, until| *until > now);
        }
        if ended.len() < MOST {
            ended.insert(session.id.clone(), session.begun.saturating_add(lifetime.as_secs()));
        }
    }

    pub fn has_ended(&self, session: &Session) -> bool {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&session.id)
    }

    /// Where requests with the same cookie meet.
    pub fn slot(&self, session: &Session) -> Slot {
        let mut refreshes = self.refreshes.lock().unwrap_or_else(PoisonError::into_inner);
        if refreshes.len() >= MOST / 10 {
            let now = now();
            // Who holds one is still at it.
            refreshes.retain(|_, slot| {
                let is_new =
                    slot.try_lock().map_or(true, |slot| slot.as_ref().is_none_or(|(at, _)| at + OVERLAP > now));
                Arc::strong_count(slot) > 1 || is_new
            });
        }
        Arc::clone(refreshes.entry((session.id.clone(), session.heard)).or_default())
    }
}
