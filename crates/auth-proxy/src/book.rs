//! What this process knows of sessions beside what is in them: which were ended, and which are being refreshed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::session::{OVERLAP, Session, now};

/// So many sessions that were ended before their time are remembered, and as many announcements.
const MOST_ENDED: usize = 20_000;
const MOST_REFRESHES: usize = 1_000;

/// Which sessions are over: what names them is not kept, only its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<'a> {
    One(&'a str),
    /// All that came from one session at a provider.
    AtProvider {
        provider: &'a str,
        session: &'a str,
    },
    /// All of somebody.
    Subject {
        provider: &'a str,
        subject: &'a str,
    },
}

impl<'a> End<'a> {
    /// Beside its own name, by what else a session may be ended.
    pub fn of(session: &'a Session) -> Vec<Self> {
        let Some(provider) = session.provider.as_deref() else { return Vec::new() };
        let mut ends = vec![Self::Subject { provider, subject: &session.subject }];
        ends.extend(session.sid.as_deref().map(|session| Self::AtProvider { provider, session }));
        ends
    }

    pub fn parts(&self) -> [&'a str; 3] {
        match self {
            Self::One(id) => ["one", id, ""],
            Self::AtProvider { provider, session } => ["at provider", provider, session],
            Self::Subject { provider, subject } => ["subject", provider, subject],
        }
    }
}

/// No two lists of texts have the same.
pub fn sum(parts: &[&str]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    BASE64_URL_SAFE_NO_PAD.encode(&context.finish().as_ref()[..18])
}

/// The outcome of one refresh, for all requests that need it. None inside: the session is over.
pub type Outcome = Option<Session>;
pub type Slot = Arc<tokio::sync::Mutex<Option<(u64, Outcome)>>>;

#[derive(Default)]
pub struct Book {
    /// When they were ended, and until when that matters.
    ended: Mutex<HashMap<String, (u64, u64)>>,
    heard: Mutex<HashMap<String, u64>>,
    refreshes: Mutex<HashMap<(String, u64), Slot>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    /// Sessions that began until now are of no use any more, as long as this process lives. False: there is no room to
    /// remember it.
    pub fn end(&self, end: &End<'_>, lifetime: Duration) -> bool {
        let mut ended = lock(&self.ended);
        let now = now();
        if ended.len() >= MOST_ENDED {
            ended.retain(|_, (_, until)| *until > now);
        }
        let has_room = ended.len() < MOST_ENDED;
        if has_room {
            // A session may be a little from the future: clocks differ.
            ended.insert(sum(&end.parts()), (now, now.saturating_add(lifetime.as_secs()).saturating_add(OVERLAP)));
        }
        has_room
    }

    pub fn has_ended(&self, session: &Session) -> bool {
        let ended = lock(&self.ended);
        if ended.is_empty() {
            return false;
        }
        let is_over = |end: &End<'_>| ended.get(&sum(&end.parts())).is_some_and(|(at, _)| session.begun <= *at);
        ended.contains_key(&sum(&End::One(&session.id).parts())) || End::of(session).iter().any(is_over)
    }

    /// When somebody who signs in now begins: later than what was ended a moment ago.
    pub fn begin(&self, session: &mut Session) {
        let ended = lock(&self.ended);
        let latest = End::of(session).iter().filter_map(|end| ended.get(&sum(&end.parts()))).map(|(at, _)| *at).max();
        session.begun = session.begun.max(latest.map_or(0, |at| at + 1));
    }

    /// Whether this is heard for the first time. None: there is no room to remember it.
    pub fn is_new(&self, announcement: &[&str], time: Duration) -> Option<bool> {
        let mut heard = lock(&self.heard);
        let now = now();
        if heard.len() >= MOST_ENDED {
            heard.retain(|_, until| *until > now);
        }
        if heard.len() >= MOST_ENDED {
            return None;
        }
        Some(heard.insert(sum(announcement), now + time.as_secs()).is_none_or(|until| until <= now))
    }

    /// Where requests with the same session meet.
    pub fn slot(&self, session: &Session) -> Slot {
        let mut refreshes = lock(&self.refreshes);
        if refreshes.len() >= MOST_REFRESHES {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn session(begun: u64) -> Session {
        let text = format!(r#"{{"i":"id","v":"p","w":{{"u":"a"}},"s":"alice","k":"one","b":{begun},"h":0}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_was_ended_stays_so_and_what_begins_afterwards_does_not() {
        let day = Duration::from_secs(86_400);
        for end in [
            End::One("id"),
            End::Subject { provider: "p", subject: "alice" },
            End::AtProvider { provider: "p", session: "one" },
        ] {
            let book = Book::default();
            assert!(!book.has_ended(&session(now())));
            assert!(book.end(&end, day));
            assert!(book.has_ended(&session(now())), "{end:?}");
        }
        let book = Book::default();
        for other in [
            End::One("ide"),
            End::Subject { provider: "q", subject: "alice" },
            End::Subject { provider: "p", subject: "one" },
            End::AtProvider { provider: "p", session: "two" },
        ] {
            assert!(book.end(&other, day));
        }
        assert!(!book.has_ended(&session(now())));
        assert!(book.end(&End::Subject { provider: "p", subject: "alice" }, day));
        let mut next = session(now());
        book.begin(&mut next);
        assert!(!book.has_ended(&next));
    }

    #[test]
    fn an_announcement_is_new_once() {
        let (book, time) = (Book::default(), Duration::from_secs(60));
        assert_eq!(book.is_new(&["a", "b"], time), Some(true));
        assert_eq!(book.is_new(&["a", "b"], time), Some(false));
        assert_eq!(book.is_new(&["ab", ""], time), Some(true));
    }
}
