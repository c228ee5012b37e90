//! The API server of a cluster, as far as it says whose a token is and what that one may do. It checks what it is asked:
//! TLS, the caller's own token, the path, the type and every field.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use rustls::{ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::Authority;

pub struct Cluster {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Who may ask.
    own: String,
    users: HashMap<String, User>,
    /// User, and what `nonResourceAttributes` or `resourceAttributes` have to be.
    allowed: Vec<(String, Value)>,
    down: bool,
    asked: Vec<Value>,
    refused: Vec<String>,
}

#[derive(Clone)]
struct User {
    name: String,
    groups: Vec<String>,
    audiences: Vec<String>,
}

impl Cluster {
    /// Its certificate is for 127.0.0.1, by this authority.
    pub fn start(authority: &Authority, own: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let config = authority.server(&["127.0.0.1"]).server_config(None);
        let state = Arc::new(Mutex::new(State { own: own.into(), ..State::default() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, config) = (Arc::clone(&shared), Arc::clone(&config));
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).unwrap();
                    serve(&mut BufReader::new(StreamOwned::new(connection, stream)), &state)
                });
            }
        });
        Self { addr, state }
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Another token of the caller's counts from now on, and the one of before does not.
    pub fn rotate(&self, own: &str) {
        self.state.lock().unwrap().own = own.into();
    }

    pub fn know(&self, token: &str, name: &str, groups: &[&str], audiences: &[&str]) {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let user = User { name: name.into(), groups: texts(groups), audiences: texts(audiences) };
        self.state.lock().unwrap().users.insert(token.into(), user);
    }

    pub fn forget(&self, token: &str) {
        self.state.lock().unwrap().users.remove(token);
    }

    pub fn allow(&self, user: &str, attributes: Value) {
        self.state.lock().unwrap().allowed.push((user.into(), attributes));
    }

    /// Answers 503 to everything.
    pub fn set_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    /// Every review, as it was asked for.
    pub fn asked(&self) -> Vec<Value> {
        self.state.lock().unwrap().asked.clone()
    }

    /// What was wrong with questions.
    pub fn refused(&self) -> Vec<String> {
        self.state.lock().unwrap().refused.clone()
    }
}

/// None when the connection is done for.
fn serve(reader: &mut BufReader<StreamOwned<ServerConnection, TcpStream>>, state: &Mutex<State>) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut words = line.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        let (status, answer) = state.lock().unwrap().answer(&method, &path, &headers, &body);
        let text = answer.to_string();
        let head =
            format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}", text.len());
        let stream = reader.get_mut();
        stream.write_all(format!("{head}\r\n\r\n{text}").as_bytes()).and_then(|()| stream.flush()).ok()?;
    }
}

impl State {
    fn answer(&mut self, method: &str, path: &str, headers: &HashMap<String, String>, body: &[u8]) -> (u16, Value) {
        if self.down {
            return (503, failure(503));
        }
        if headers.get("authorization") != Some(&format!("Bearer {}", self.own)) {
            self.refused.push("the caller is unknown".into());
            return (401, failure(401));
        }
        let (group, kind) = match path {
            "/apis/authentication.k8s.io/v1/tokenreviews" => ("authentication.k8s.io/v1", "TokenReview"),
            "/apis/authorization.k8s.io/v1/subjectaccessreviews" => ("authorization.k8s.io/v1", "SubjectAccessReview"),
            _ => return (404, failure(404)),
        };
        let review: Value = serde_json::from_slice(body).unwrap_or_default();
        let is_json = headers.get("content-type").map(String::as_str) == Some("application/json");
        if method != "POST" || !is_json || review["apiVersion"] != group || review["kind"] != kind {
            self.refused.push(format!("{method} {path}: {review}"));
            return (400, failure(400));
        }
        self.asked.push(review.clone());
        let status = if kind == "TokenReview" { self.token(&review["spec"]) } else { self.access(&review["spec"]) };
        (201, json!({"apiVersion": group, "kind": kind, "spec": review["spec"], "status": status}))
    }

    fn token(&self, spec: &Value) -> Value {
        let wanted: Vec<&str> = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let known = spec["token"].as_str().and_then(|token| self.users.get(token));
        let fitting = known.map(|user| {
            let audiences = user.audiences.iter().filter(|audience| wanted.contains(&audience.as_str()));
            (user, audiences.collect::<Vec<_>>())
        });
        match fitting {
            Some((user, audiences)) if wanted.is_empty() || !audiences.is_empty() => {
                let who = json!({"username": user.name, "uid": "1", "groups": user.groups,
                                 "extra": {"authentication.kubernetes.io/pod-name": ["x"]}});
                json!({"authenticated": true, "user": who, "audiences": audiences})
            }
            _ => json!({"authenticated": false, "error": "invalid bearer token"}),
        }
    }

    fn access(&mut self, spec: &Value) -> Value {
        if spec["uid"] != "1" || !spec["groups"].is_array() || !spec["extra"].is_object() {
            self.refused.push(format!("not all of the user was said: {spec}"));
        }
        let attributes = if spec["resourceAttributes"].is_null() {
            &spec["nonResourceAttributes"]
        } else {
            &spec["resourceAttributes"]
        };
        let is_allowed = |(user, wanted): &(String, Value)| spec["user"] == **user && attributes == wanted;
        json!({"allowed": self.allowed.iter().any(is_allowed)})
    }
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code})
}
