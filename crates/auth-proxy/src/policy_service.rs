//! A policy service that has the last word on whoever the rules let in: asked in bounded time, and decided beforehand
//! what holds when it does not answer.

use std::{
    collections::HashMap,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http_client::{Bytes, Client, Reply, Request, Target};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Answers that are kept; more are asked for again.
const MOST_KEPT: usize = 10_000;
/// However long an answer says that it holds.
const LONGEST: Duration = Duration::from_secs(3600);
/// Questions at one time: a service that hangs must not hold every request there is.
const MOST_ASKED: usize = 256;

#[derive(Clone, Debug)]
pub struct Settings {
    pub target: Target,
    pub shape: Shape,
    pub on_error: OnError,
    /// Names of headers that the service is told of; no others.
    pub headers: Vec<String>,
}

/// How the question is put, and where the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{"input": ...}`, and `{"result": true}` or `{"result": {"allow": true}}`.
    Opa,
    /// The question as it is; the status is the answer, or `{"allow": true}`.
    Plain,
}

impl FromStr for Shape {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "opa" => Ok(Self::Opa),
            "plain" => Ok(Self::Plain),
            _ => Err("expected opa or plain"),
        }
    }
}

/// What becomes of a request about which the service says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    #[default]
    Deny,
    Allow,
}

impl FromStr for OnError {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "deny" => Ok(Self::Deny),
            "allow" => Ok(Self::Allow),
            _ => Err("expected deny or allow"),
        }
    }
}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Deny { "deny" } else { "allow" })
    }
}

/// Where the service is: `http://host:port/path`, or `unix:/socket#/path`.
#[derive(Clone, Debug)]
pub struct Place {
    pub target: Target,
    pub shape: Shape,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected http://host:port/path, https://... or unix:/socket#/path";
        let (url, socket) = match text.strip_prefix("unix:") {
            Some(rest) => {
                let (socket, path) = rest.split_once('#').unwrap_or((rest, "/"));
                let socket = socket.strip_prefix("//").unwrap_or(socket);
                if !socket.starts_with('/') || !path.starts_with('/') {
                    return Err(EXPECTED);
                }
                (format!("http://localhost{path}"), Some(socket.into()))
            }
            None => (text.to_owned(), None),
        };
        let parsed = url::Url::parse(&url).map_err(|_| EXPECTED)?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(EXPECTED);
        }
        let shape = if parsed.path().starts_with("/v1/data") { Shape::Opa } else { Shape::Plain };
        let mut target = Target::shipping("POST", url);
        target.timeout = Duration::from_secs(1);
        target.unix_socket = socket;
        target.expect = http_client::Expect::any();
        Ok(Self { target, shape })
    }
}

/// What the service says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// With the reason it gives, if any.
    Allowed(String),
    Denied(String),
    /// It says nothing, and why.
    Unknown(String),
}

pub struct Service {
    pub settings: Settings,
    client: Client,
    kept: Mutex<HashMap<[u8; 32], (Instant, Ruling)>>,
    asking: Semaphore,
}

impl Service {
    pub fn new(settings: Settings) -> Result<Self, String> {
        let client = Client::new(settings.target.clone()).map_err(|error| error.to_string())?;
        Ok(Self { settings, client, kept: Mutex::default(), asking: Semaphore::new(MOST_ASKED) })
    }

    pub fn place(&self) -> &str {
        self.client.place()
    }

    pub async fn ask(&self, input: &Value) -> Ruling {
        let question = match self.settings.shape {
            Shape::Opa => json!({ "input": input }).to_string(),
            Shape::Plain => input.to_string(),
        };
        let sum = digest(&SHA256, question.as_bytes());
        let key: [u8; 32] = sum.as_ref().try_into().unwrap_or_default();
        if let Some(ruling) = self.remembered(&key) {
            return ruling;
        }
        let Ok(_asking) = self.asking.try_acquire() else {
            return Ruling::Unknown("too many questions at once".into());
        };
        let request = Request {
            headers: vec![("Content-Type".into(), "application/json".into())],
            body: Some(Bytes::from(question)),
            is_repeatable: true,
        };
        let reply = match self.client.send(&request).await {
            Ok(reply) => reply,
            Err(error) => return Ruling::Unknown(error.to_string()),
        };
        let (ruling, holds) = read(self.settings.shape, &reply);
        if let (Some(holds), Ruling::Allowed(_) | Ruling::Denied(_)) = (holds, &ruling) {
            self.keep(key, holds, &ruling);
        }
        ruling
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<Ruling> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(key) {
            Some((until, ruling)) if *until > Instant::now() => Some(ruling.clone()),
            Some(_) => {
                kept.remove(key);
                None
            }
            None => None,
        }
    }

    fn keep(&self, key: [u8; 32], holds: Duration, ruling: &Ruling) {
        let now = Instant::now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, (until, _)| *until > now);
        }
        if kept.len() < MOST_KEPT {
            kept.insert(key, (now + holds.min(LONGEST), ruling.clone()));
        }
    }
}

/// The answer, and for how long it holds where it says so.
fn read(shape: Shape, reply: &Reply) -> (Ruling, Option<Duration>) {
    let unknown = |why: &str| (Ruling::Unknown(format!("status {}: {why}", reply.status)), None);
    if reply.truncated {
        return unknown("the answer is too large");
    }
    let by_header = reply.header("cache-control").and_then(max_age);
    let said: Option<Value> = serde_json::from_slice(&reply.body).ok();
    match (shape, reply.status) {
        (Shape::Opa, 200) => match &said {
            // What no rule says anything about is not allowed.
            Some(Value::Object(map)) if !map.contains_key("result") => (Ruling::Denied("undefined".into()), by_header),
            Some(said) => ruling(&said["result"], by_header).unwrap_or_else(|| unknown("no decision in its result")),
            None => unknown("the answer is not JSON"),
        },
        (Shape::Plain, 200 | 204) if reply.body.is_empty() => (Ruling::Allowed(String::new()), by_header),
        (Shape::Plain, 200) => match &said {
            Some(said) => ruling(said, by_header).unwrap_or_else(|| unknown("no decision in its answer")),
            None => unknown("the answer is not JSON"),
        },
        (Shape::Plain, 401 | 403) => {
            let reason = said.as_ref().and_then(|said| said["reason"].as_str()).unwrap_or_default();
            (Ruling::Denied(shortened(reason)), by_header)
        }
        _ => unknown("no answer that we know"),
    }
}

fn ruling(said: &Value, by_header: Option<Duration>) -> Option<(Ruling, Option<Duration>)> {
    let allow = match said {
        Value::Bool(allow) => *allow,
        Value::Object(map) => map.get("allow")?.as_bool()?,
        _ => return None,
    };
    let reason = shortened(said["reason"].as_str().unwrap_or_default());
    let holds = said["max_age"].as_u64().map(Duration::from_secs).filter(|holds| !holds.is_zero()).or(by_header);
    Some((if allow { Ruling::Allowed(reason) } else { Ruling::Denied(reason) }, holds))
}

fn shortened(text: &str) -> String {
    text.chars().take(200).collect()
}

/// Only what says clearly for how long.
fn max_age(header: &str) -> Option<Duration> {
    let words = || header.split(',').map(|word| word.trim().to_ascii_lowercase());
    if words().any(|word| matches!(&*word, "no-store" | "no-cache")) {
        return None;
    }
    let seconds = words().find_map(|word| word.strip_prefix("max-age=")?.parse().ok())?;
    Some(Duration::from_secs(seconds)).filter(|holds| !holds.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_know_their_shape() {
        let place: Place = "unix:///run/opa.sock#/v1/data/authz/allow".parse().unwrap();
        assert_eq!(place.target.unix_socket.as_deref(), Some(std::path::Path::new("/run/opa.sock")));
        assert_eq!((&*place.target.url, place.shape), ("http://localhost/v1/data/authz/allow", Shape::Opa));
        let place: Place = "https://authz.example/check".parse().unwrap();
        assert_eq!((place.target.unix_socket, place.shape), (None, Shape::Plain));
        for bad in ["", "authz:8181", "ftp://x/", "unix:run/x", "unix:/x#y", "http://"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_decision_is_a_truth_and_nothing_that_looks_like_one() {
        let allowed = |said: Value| ruling(&said, None).map(|(ruling, _)| matches!(ruling, Ruling::Allowed(_)));
        assert_eq!(allowed(json!(true)), Some(true));
        assert_eq!(allowed(json!({"allow": false})), Some(false));
        for said in [json!("true"), json!(1), json!({}), json!({"allow": "true"}), json!({"allow": 1}), json!([true])] {
            assert_eq!(allowed(said.clone()), None, "{said}");
        }
    }

    #[test]
    fn an_answer_is_kept_only_where_it_says_so() {
        assert_eq!(max_age("private, max-age=30"), Some(Duration::from_secs(30)));
        for header in ["", "max-age=0", "no-store, max-age=30", "no-cache", "max-age=x", "s-maxage=30"] {
            assert_eq!(max_age(header), None, "{header}");
        }
        assert_eq!(ruling(&json!({"allow": true, "max_age": 5}), None).unwrap().1, Some(Duration::from_secs(5)));
    }
}
