//! Sessions kept in Redis: the browser has a ticket, and all replicas see the same.
//!
//! Keys are sums of what is secret in a ticket, and values are sealed for their ticket: whoever can read Redis cannot take
//! a session over, and whoever can write there cannot make one.

use std::{sync::Arc, time::Duration};

use crate::{
    book::{End, sum},
    seal::{Sealer, Use},
    session::{Session, now},
};

mod address;
mod connection;

pub use address::{Place, RedisSettings, Server, Servers, place};
pub use connection::Down;
use connection::Redis;

/// Longer than any refresh takes: all its questions to the provider, each with its time-out.
const LOCKED: Duration = Duration::from_secs(60);
/// An announcement of a logout is good for less.
const REMEMBERED: u64 = 3600;

pub struct Store {
    redis: Redis,
    sealer: Arc<Sealer>,
    prefix: String,
}

impl Store {
    pub fn new(settings: RedisSettings, sealer: Arc<Sealer>, prefix: String) -> Self {
        Self { redis: Redis::new(settings), sealer, prefix }
    }

    fn key(&self, kind: &str, parts: &[&str]) -> String {
        format!("{}:{kind}:{}", self.prefix, sum(parts))
    }

    pub async fn ping(&self) -> Result<(), Down> {
        let mut question = redis::pipe();
        question.cmd("PING").ignore();
        self.redis.ask(&question).await
    }

    /// None: there is no such session, or not any more.
    pub async fn load(&self, id: &str) -> Result<Option<Session>, Down> {
        let mut question = redis::pipe();
        question.cmd("GET").arg(self.key("session", &[id]));
        let (sealed,): (Option<String>,) = self.redis.ask(&question).await?;
        let plain = sealed.and_then(|sealed| self.sealer.open(Use::Stored, id, &sealed));
        Ok(plain.and_then(|plain| serde_json::from_slice(&plain).ok()))
    }

    /// Until it is over. One that is only renewed has to be there still: False is a session that somebody has ended.
    pub async fn save(&self, session: &Session, lifetime: Duration, is_renewed: bool) -> Result<bool, Down> {
        let until = session.begun.saturating_add(lifetime.as_secs());
        let left = until.saturating_sub(now()).max(1);
        let plain = serde_json::to_vec(session).map_err(|error| Down(error.to_string()))?;
        let sealed = self.sealer.seal(Use::Stored, &session.id, &plain);
        let sealed = sealed.ok_or_else(|| Down("a session cannot be sealed".into()))?;
        let key = self.key("session", &[&session.id]);
        let mut question = redis::pipe();
        let set = question.cmd("SET").arg(&key).arg(sealed).arg("EX").arg(left);
        if is_renewed {
            set.arg("XX");
            let (kept,): (Option<String>,) = self.redis.ask(&question).await?;
            return Ok(kept.is_some());
        }
        question.ignore();
        for end in End::of(session) {
            let index = self.key("of", &end.parts());
            question.cmd("ZADD").arg(&index).arg(until).arg(&key).ignore();
            question.cmd("ZREMRANGEBYSCORE").arg(&index).arg(0).arg(now()).ignore();
            question.cmd("EXPIRE").arg(&index).arg(lifetime.as_secs().max(1)).ignore();
        }
        self.redis.ask::<()>(&question).await?;
        Ok(true)
    }

    pub async fn end(&self, id: &str) -> Result<(), Down> {
        let mut question = redis::pipe();
        question.cmd("DEL").arg(self.key("session", &[id])).ignore();
        self.redis.ask(&question).await
    }

    /// All sessions of somebody, or of one session at their provider.
    pub async fn end_all(&self, end: &End<'_>) -> Result<(), Down> {
        let index = self.key("of", &end.parts());
        let mut question = redis::pipe();
        question.cmd("ZRANGE").arg(&index).arg(0).arg(-1);
        let (keys,): (Vec<String>,) = self.redis.ask(&question).await?;
        let mut question = redis::pipe();
        question.cmd("DEL").arg(keys).arg(&index).ignore();
        self.redis.ask(&question).await
    }

    /// Whether this is heard for the first time, by any replica.
    pub async fn is_new(&self, announcement: &[&str]) -> Result<bool, Down> {
        let key = self.key("heard", announcement);
        self.first(&key, Duration::from_secs(REMEMBERED)).await
    }

    /// One replica at a time refreshes a session as it is now.
    pub async fn lock(&self, session: &Session) -> Result<bool, Down> {
        self.first(&self.lock_key(session), LOCKED).await
    }

    pub async fn unlock(&self, session: &Session) -> Result<(), Down> {
        let mut question = redis::pipe();
        question.cmd("DEL").arg(self.lock_key(session)).ignore();
        self.redis.ask(&question).await
    }

    fn lock_key(&self, session: &Session) -> String {
        self.key("lock", &[&session.id, &session.heard.to_string()])
    }

    /// The value tells that it was us, also where the question went out twice.
    async fn first(&self, key: &str, time: Duration) -> Result<bool, Down> {
        let ours = oidc::random_text().ok_or_else(|| Down("the system has no randomness".into()))?;
        let mut question = redis::pipe();
        question.cmd("SET").arg(key).arg(&ours).arg("NX").arg("EX").arg(time.as_secs()).ignore();
        question.cmd("GET").arg(key);
        let (there,): (Option<String>,) = self.redis.ask(&question).await?;
        Ok(there.as_deref() == Some(&*ours))
    }
}
