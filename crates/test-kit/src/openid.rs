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
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Map, Value, json};

pub struct OpenId {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    key: EcdsaKeyPair,
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
}

struct Code {
    challenge: Option<String>,
    redirect_uri: String,
    nonce: Option<String>,
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap()
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let Value::Object(claims) = json!({"sub": "alice-id", "email": "alice@mycompany.com", "email_verified": true,
            "preferred_username": "alice", "groups": ["staff", "dev"]})
        else {
            unreachable!("it is one")
        };
        let state = State {
            key: new_key(),
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

    pub fn issuer(&self) -> String {
        format!("http://{}", self.addr)
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
        state.key = new_key();
        state.key_id.push('+');
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        self.state.lock().unwrap().asked.get(path).copied().unwrap_or(0)
    }

    /// A token with these claims and those that every token has; null takes one away.
    pub fn token(&self, more: &Value) -> String {
        let state = self.state.lock().unwrap();
        state.token(&self.issuer(), more)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl State {
    fn token(&self, issuer: &str, more: &Value) -> String {
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
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": self.key_id});
        let text = format!("{}.{}", B64.encode(head.to_string()), B64.encode(Value::Object(claims).to_string()));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", B64.encode(signature))
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
               "id_token": self.token(issuer, &json!({ "nonce": nonce }))})
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

fn pairs(text: &str) -> HashMap<String, String> {
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
    let (status, header, body) = match path {
        _ if down => (503, String::new(), json!({})),
        "/.well-known/openid-configuration" => (200, String::new(), metadata(&issuer)),
        "/jwks" => {
            let point = locked.key.public_key().as_ref();
            let key = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": locked.key_id,
                             "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..])});
            (200, String::new(), json!({ "keys": [key] }))
        }
        "/authorize" => (302, authorized(&mut locked, &issuer, &pairs(query)), json!({})),
        "/token" => {
            let proof = authorization.strip_prefix("Basic ").and_then(|text| BASE64_STANDARD.decode(text).ok());
            let proof = proof.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| decoded(&text));
            let is_ours = proof.as_deref() == Some(&format!("{}:{}", OpenId::CLIENT, OpenId::SECRET));
            match locked.redeem(&issuer, &pairs(std::str::from_utf8(&body).unwrap())) {
                _ if !is_ours => (401, String::new(), json!({"error": "invalid_client"})),
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

fn metadata(issuer: &str) -> Value {
    json!({"issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
           "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
           "userinfo_endpoint": format!("{issuer}/userinfo"), "code_challenge_methods_supported": ["S256"],
           "authorization_response_iss_parameter_supported": true})
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
    format!("Location: {redirect_uri}?code={code}&state={returned}&iss={issuer}\r\n")
}
