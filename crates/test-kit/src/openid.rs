//! An OpenID provider for tests: everybody who comes is signed in at once, as whoever the test says.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use crate::openid_key::Key;

pub struct OpenId {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    key: Key,
    key_id: String,
    /// What the ID token says beside what it has to.
    claims: Map<String, Value>,
    expires_in: u64,
    next: u64,
    codes: HashMap<String, Code>,
    refresh_tokens: Vec<String>,
    refuses_refresh: bool,
    delay: Duration,
    asked: HashMap<String, usize>,
    down: bool,
    nonce: Option<String>,
    /// Where each tenant is an issuer: the path of all of them, and how the metadata names them.
    tenants: Option<(String, String)>,
}

struct Code {
    challenge: Option<String>,
    redirect_uri: String,
    nonce: Option<String>,
}

impl Default for OpenId {
    fn default() -> Self {
        Self::start()
    }
}

impl OpenId {
    pub const CLIENT: &'static str = "app";
    pub const SECRET: &'static str = "the secret & its % signs";

    pub fn start() -> Self {
        Self::signing_with(Key::new())
    }

    /// With RS256, by this key (DER): what most providers do. Made by `openssl genpkey`, for ring makes none.
    pub fn signing_with_rsa(der: &[u8]) -> Self {
        Self::signing_with(Key::rsa(der))
    }

    fn signing_with(key: Key) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let Value::Object(claims) = json!({"sub": "alice-id", "email": "alice@mycompany.com", "email_verified": true,
            "preferred_username": "alice", "groups": ["staff", "dev"]})
        else {
            unreachable!("it is one")
        };
        let state = State {
            key,
            key_id: "key-1".into(),
            claims,
            expires_in: 3600,
            next: 0,
            codes: HashMap::new(),
            refresh_tokens: Vec::new(),
            refuses_refresh: false,
            delay: Duration::ZERO,
            asked: HashMap::new(),
            down: false,
            nonce: None,
            tenants: None,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || drop(serve(&stream, addr, &state)));
            }
        });
        Self { addr, state }
    }

    /// One for many tenants, as Microsoft's: `/common/v2.0`, `/{tenantid}/v2.0`.
    pub fn under(path: &str, pattern: &str) -> Self {
        let provider = Self::start();
        provider.state.lock().unwrap().tenants = Some((path.into(), pattern.into()));
        provider
    }

    pub fn issuer(&self) -> String {
        let state = self.state.lock().unwrap();
        format!("http://{}{}", self.addr, state.tenants.as_ref().map_or("", |(path, _)| path))
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on tokens say this; null takes a claim away.
    pub fn say(&self, name: &str, value: Value) {
        let mut state = self.state.lock().unwrap();
        match value {
            Value::Null => drop(state.claims.remove(name)),
            value => drop(state.claims.insert(name.into(), value)),
        }
    }

    /// The nonce of the next ID tokens, whatever was asked.
    pub fn say_nonce(&self, nonce: Option<&str>) {
        self.state.lock().unwrap().nonce = nonce.map(str::to_owned);
    }

    pub fn expire_in(&self, seconds: u64) {
        self.state.lock().unwrap().expires_in = seconds;
    }

    pub fn refuse_refresh(&self) {
        self.state.lock().unwrap().refuses_refresh = true;
    }

    /// Answers at the token endpoint come later.
    pub fn delay(&self, delay: Duration) {
        self.state.lock().unwrap().delay = delay;
    }

    /// Answers 503 to everything.
    pub fn set_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    /// A new key signs, and the old one is gone.
    pub fn rotate_key(&self) {
        let mut state = self.state.lock().unwrap();
        state.key = Key::new();
        state.key_id.push('+');
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.state.lock().unwrap().asked.get(path).copied().unwrap_or(0)
    }

    /// A token with these claims and those that every token has; null takes one away.
    pub fn token(&self, more: &Value) -> String {
        self.token_with(&json!({}), more)
    }

    /// The same, with more in its head.
    pub fn token_with(&self, head: &Value, more: &Value) -> String {
        let issuer = self.issuer();
        self.state.lock().unwrap().token(&issuer, head, more)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl State {
    fn token(&self, issuer: &str, more_head: &Value, more: &Value) -> String {
        let mut claims = self.claims.clone();
        for (name, value) in
            [("iss", json!(issuer)), ("aud", json!(OpenId::CLIENT)), ("exp", json!(now() + 300)), ("iat", json!(now()))]
        {
            claims.entry(name).or_insert(value);
        }
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.remove(name)),
                value => drop(claims.insert(name.clone(), value.clone())),
            }
        }
        let mut head = json!({"alg": self.key.algorithm(), "typ": "JWT", "kid": self.key_id});
        head.as_object_mut().unwrap().extend(more_head.as_object().unwrap().clone());
        let text = format!("{}.{}", B64.encode(head.to_string()), B64.encode(Value::Object(claims).to_string()));
        format!("{text}.{}", B64.encode(self.key.sign(text.as_bytes())))
    }

    fn fresh(&mut self, kind: &str) -> String {
        self.next += 1;
        format!("{kind}-{}", self.next)
    }

    fn tokens(&mut self, issuer: &str, nonce: Option<String>) -> Value {
        let (access, refresh) = (self.fresh("access"), self.fresh("refresh"));
        self.refresh_tokens = vec![refresh.clone()];
        let nonce = self.nonce.clone().or(nonce);
        json!({"access_token": access, "token_type": "Bearer", "expires_in": self.expires_in, "refresh_token": refresh,
               "id_token": self.token(issuer, &json!({}), &json!({ "nonce": nonce }))})
    }

    fn redeem(&mut self, issuer: &str, form: &HashMap<String, String>) -> Result<Value, &'static str> {
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        match get("grant_type") {
            "authorization_code" => {
                let code = self.codes.remove(get("code")).ok_or("invalid_grant")?;
                let shown = B64.encode(digest(&SHA256, get("code_verifier").as_bytes()));
                let proven = code.challenge.is_some_and(|challenge| challenge == shown);
                if !proven || code.redirect_uri != get("redirect_uri") {
                    return Err("invalid_grant");
                }
                Ok(self.tokens(issuer, code.nonce))
            }
            "refresh_token" => {
                // Rotation: each is good once.
                let known = self.refresh_tokens.iter().position(|token| token == get("refresh_token"));
                let known = known.filter(|_| !self.refuses_refresh).ok_or("invalid_grant")?;
                self.refresh_tokens.remove(known);
                Ok(self.tokens(issuer, None))
            }
            _ => Err("unsupported_grant_type"),
        }
    }
}

fn decoded(text: &str) -> String {
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(out).unwrap()
}

pub(crate) fn pairs(text: &str) -> HashMap<String, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn serve(mut stream: &TcpStream, addr: SocketAddr, state: &Mutex<State>) -> std::io::Result<()> {
    let issuer = format!("http://{addr}");
    let mut reader = BufReader::new(stream);
    let (mut line, mut length, mut authorization) = (String::new(), 0, String::new());
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or("/").to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.trim().parse().unwrap(),
            "authorization" => authorization = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (delay, down) = {
        let mut state = state.lock().unwrap();
        *state.asked.entry(path.to_owned()).or_default() += 1;
        (state.delay, state.down)
    };
    if path == "/token" {
        thread::sleep(delay);
    }
    let mut locked = state.lock().unwrap();
    let pattern = locked.tenants.as_ref().map(|(_, pattern)| format!("{issuer}{pattern}"));
    let path = locked.tenants.as_ref().map_or(path, |(start, _)| path.strip_prefix(&**start).unwrap_or(path));
    let (status, header, body) = match path {
        _ if down => (503, String::new(), json!({})),
        "/.well-known/openid-configuration" => (200, String::new(), metadata(&issuer, pattern.as_deref())),
        "/jwks" => {
            let key = locked.key.public(&locked.key_id);
            (200, String::new(), json!({ "keys": [key] }))
        }
        "/authorize" => (302, authorized(&mut locked, &issuer, &pairs(query)), json!({})),
        "/token" => {
            let proof = authorization.strip_prefix("Basic ").and_then(|text| BASE64_STANDARD.decode(text).ok());
            let proof = proof.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| decoded(&text));
            let is_ours = proof.as_deref() == Some(&format!("{}:{}", OpenId::CLIENT, OpenId::SECRET));
            let mut redeem = || locked.redeem(&issuer, &pairs(std::str::from_utf8(&body).unwrap()));
            // A code stays good where it is not known who asks.
            match if is_ours { redeem() } else { Err("invalid_client") } {
                Err("invalid_client") => (401, String::new(), json!({"error": "invalid_client"})),
                Ok(tokens) => (200, String::new(), tokens),
                Err(error) => (400, String::new(), json!({ "error": error })),
            }
        }
        "/userinfo" => (200, String::new(), json!({"sub": locked.claims["sub"], "name": "Alice"})),
        _ => (404, String::new(), json!({})),
    };
    drop(locked);
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn metadata(issuer: &str, pattern: Option<&str>) -> Value {
    json!({"issuer": pattern.unwrap_or(issuer), "authorization_endpoint": format!("{issuer}/authorize"),
           "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
           "userinfo_endpoint": format!("{issuer}/userinfo"), "end_session_endpoint": format!("{issuer}/end"),
           "code_challenge_methods_supported": ["S256"], "response_types_supported": ["code"],
           "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256", "RS256"],
           "authorization_response_iss_parameter_supported": pattern.is_none()})
}

/// Straight back, as one who is signed in already.
fn authorized(state: &mut State, issuer: &str, query: &HashMap<String, String>) -> String {
    let get = |name: &str| query.get(name).cloned();
    let redirect_uri = get("redirect_uri").unwrap();
    let code = state.fresh("code");
    state.codes.insert(
        code.clone(),
        Code { challenge: get("code_challenge"), redirect_uri: redirect_uri.clone(), nonce: get("nonce") },
    );
    let returned = get("state").unwrap();
    let named = if state.tenants.is_none() { format!("&iss={issuer}") } else { String::new() };
    format!("Location: {redirect_uri}?code={code}&state={returned}{named}\r\n")
}
