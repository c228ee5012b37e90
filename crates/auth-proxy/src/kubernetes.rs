//! Tokens of a cluster: its API server says whose they are, and whether that one may do what is asked.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_client::{Auth, Bytes, Client, Expect, Request, SecretSource, Target};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tls::ClientTls;
use tokio::sync::Semaphore;

use crate::{canonical::canonical, session::Who};

const MOST_KEPT: usize = 10_000;
/// Strangers with made-up tokens must not keep the API server busy.
const MOST_ASKED: usize = 16;
const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

#[derive(Clone, Debug)]
pub struct Settings {
    pub server: String,
    /// Our own, read again at each question: it is replaced every hour.
    pub token: SecretSource,
    pub tls: Arc<ClientTls>,
    /// One of them has to be the token's. Empty: the API server's own.
    pub audiences: Vec<String>,
    /// `namespace/name`, `namespace/*`, or any other user by its whole name. Empty: whoever has the access asked for.
    pub accounts: Vec<String>,
    pub access: Option<Access>,
    /// How long an answer holds.
    pub cache: Duration,
    pub timeout: Duration,
}

/// What somebody must be allowed to do in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// What the request itself is: its method as a verb, and its path.
    Path,
    /// The same for every request.
    Resource(Vec<(&'static str, String)>),
}

/// What the API server says.
pub enum Said {
    Known(Who),
    Unknown,
    /// Known, and may not.
    Foreign(Who),
    /// It does not answer.
    Nothing(String),
}

/// As the API server has it.
#[derive(Clone, Debug, Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extra: Map<String, Value>,
}

pub struct Kubernetes {
    settings: Settings,
    reviews: Client,
    accesses: Client,
    asking: Semaphore,
    users: Kept<Option<User>>,
    allowed: Kept<bool>,
}

/// Answers that hold for a while.
struct Kept<T>(Mutex<HashMap<[u8; 32], (Instant, T)>>);

impl<T: Clone> Kept<T> {
    fn get(&self, key: &[u8; 32]) -> Option<T> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|(until, _)| *until > Instant::now()).map(|(_, value)| value.clone())
    }

    fn put(&self, key: [u8; 32], holds: Duration, value: T) {
        let now = Instant::now();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, (until, _)| *until > now);
        }
        if kept.len() < MOST_KEPT {
            kept.insert(key, (now + holds, value));
        }
    }
}

fn sum(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap_or_default()
}

impl Kubernetes {
    pub fn new(settings: Settings) -> Result<Self, String> {
        let client = |path: &str| {
            let mut target = Target::shipping("POST", format!("{}{path}", settings.server.trim_end_matches('/')));
            target.auth = Some(Auth::Bearer(settings.token.clone()));
            target.tls = Arc::clone(&settings.tls);
            target.timeout = settings.timeout;
            target.expect = Expect::codes([200, 201]);
            Client::new(target).map_err(|error| error.to_string())
        };
        Ok(Self {
            reviews: client(REVIEWS)?,
            accesses: client(ACCESS_REVIEWS)?,
            settings,
            asking: Semaphore::new(MOST_ASKED),
            users: Kept(Mutex::default()),
            allowed: Kept(Mutex::default()),
        })
    }

    /// Tokens of a cluster are signed: what has not three parts is not sent there.
    pub fn may_know(token: &str) -> bool {
        token.len() < 16 * 1024 && token.split('.').filter(|part| !part.is_empty()).count() == 3
    }

    pub async fn look(&self, token: &str, method: &str, target: &str) -> Said {
        let user = match self.user(token).await {
            Ok(Some(user)) => user,
            Ok(None) => return Said::Unknown,
            Err(why) => return Said::Nothing(why),
        };
        let who = Who { user: user.username.clone(), groups: user.groups.clone(), belongs: true, ..Who::default() };
        let accounts = &self.settings.accounts;
        if !accounts.is_empty() && !accounts.iter().any(|account| is_account(account, &user.username)) {
            return Said::Foreign(who);
        }
        // A rule of the cluster is about one path: what can be read as two is none.
        let path = canonical(target.split('?').next().unwrap_or_default());
        let Some(path) = path.or_else(|| self.settings.access.is_none().then(String::new)) else {
            return Said::Foreign(who);
        };
        match self.may(&user, method, &path).await {
            Ok(true) => Said::Known(who),
            Ok(false) => Said::Foreign(who),
            Err(why) => Said::Nothing(why),
        }
    }

    async fn user(&self, token: &str) -> Result<Option<User>, String> {
        let key = sum(token);
        if let Some(user) = self.users.get(&key) {
            return Ok(user);
        }
        let audiences = &self.settings.audiences;
        let mut spec = json!({ "token": token });
        if !audiences.is_empty() {
            spec["audiences"] = json!(audiences);
        }
        let status = self.ask(&self.reviews, "authentication.k8s.io/v1", "TokenReview", spec).await?;
        let is_authenticated = status["authenticated"].as_bool() == Some(true);
        let said: Vec<&str> = status["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        // A server that knows nothing of audiences says yes without naming one.
        let is_for_us = audiences.is_empty() || audiences.iter().any(|audience| said.contains(&&**audience));
        let user: Option<User> = (is_authenticated && is_for_us)
            .then(|| serde_json::from_value(status["user"].clone()).unwrap_or_default())
            .filter(|user: &User| !user.username.is_empty());
        self.users.put(key, self.settings.cache, user.clone());
        Ok(user)
    }

    async fn may(&self, user: &User, method: &str, path: &str) -> Result<bool, String> {
        let mut spec = json!({ "user": user.username, "uid": user.uid, "groups": user.groups, "extra": user.extra });
        match &self.settings.access {
            None => return Ok(true),
            Some(Access::Path) => {
                spec["nonResourceAttributes"] = json!({ "path": path, "verb": method.to_ascii_lowercase() });
            }
            Some(Access::Resource(attributes)) => {
                let attributes: Map<String, Value> =
                    attributes.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                spec["resourceAttributes"] = Value::Object(attributes);
            }
        }
        let key = sum(&spec.to_string());
        if let Some(allowed) = self.allowed.get(&key) {
            return Ok(allowed);
        }
        let status = self.ask(&self.accesses, "authorization.k8s.io/v1", "SubjectAccessReview", spec).await?;
        let allowed = status["allowed"].as_bool() == Some(true) && status["denied"].as_bool() != Some(true);
        self.allowed.put(key, self.settings.cache, allowed);
        Ok(allowed)
    }

    /// The status of what was asked.
    async fn ask(&self, client: &Client, group: &str, kind: &str, spec: Value) -> Result<Value, String> {
        let turn = tokio::time::timeout(self.settings.timeout, self.asking.acquire());
        let Ok(Ok(_asking)) = turn.await else { return Err("too many questions at once".into()) };
        let body = json!({ "apiVersion": group, "kind": kind, "spec": spec }).to_string();
        let json = || "application/json".to_owned();
        let request = Request {
            headers: vec![("Content-Type".into(), json()), ("Accept".into(), json())],
            body: Some(Bytes::from(body)),
            is_repeatable: true,
        };
        let reply = client.send(&request).await.map_err(|error| error.to_string())?;
        let said: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match said.get("status") {
            Some(status) if said["kind"] == kind => Ok(status.clone()),
            _ => Err(format!("{}: the answer is no {kind}", client.place())),
        }
    }
}

/// `namespace/name` is a service account; anything else is a whole name.
fn is_account(wanted: &str, user: &str) -> bool {
    let Some((namespace, name)) = wanted.split_once('/') else { return wanted == user };
    let Some((is_in, is)) = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    is_in == namespace && (name == "*" || is == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_of_its_namespace_and_of_no_other() {
        let user = "system:serviceaccount:shop:cart";
        assert!(is_account("shop/cart", user) && is_account("shop/*", user) && is_account(user, user));
        for wanted in ["shop/car", "sho/*", "*/cart", "shop", "*", "shop/cart/x", ""] {
            assert!(!is_account(wanted, user), "{wanted}");
        }
        assert!(!is_account("shop/*", "shop/cart"), "a user may be called anything");
    }

    #[test]
    fn only_what_looks_like_a_signed_token_is_asked_about() {
        assert!(Kubernetes::may_know("a.b.c"));
        for token in ["", "a", "a.b", "a..c", "a.b.c.d", &format!("a.b.{}", "c".repeat(20_000))] {
            assert!(!Kubernetes::may_know(token));
        }
    }
}
