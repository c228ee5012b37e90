//! A server that speaks OAuth 2.0 and an API as GitHub's: lists in pages, tokens for questions, 404 for what one may not see.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as B64},
};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::openid::pairs;

pub struct Api {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    answers: HashMap<String, (u16, Value)>,
    /// For these paths another token is needed.
    tokens: HashMap<String, String>,
    codes: Vec<(String, String)>,
    /// A service account: its public key, and for whom it may ask.
    account: Option<(Vec<u8>, String)>,
    asked: Vec<String>,
}

impl Default for Api {
    fn default() -> Self {
        Self::start()
    }
}

impl Api {
    pub const CLIENT: &'static str = "app";
    pub const SECRET: &'static str = "the secret & its % signs";
    /// Of whoever has signed in.
    pub const TOKEN: &'static str = "gho_token";

    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || drop(serve(&stream, addr, &state)));
            }
        });
        Self { addr, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// What is at a path, for a token of the user. A list is given in pages.
    pub fn put(&self, path: &str, value: Value) {
        self.state.lock().unwrap().answers.insert(path.into(), (200, value));
    }

    pub fn put_status(&self, path: &str, status: u16) {
        self.state.lock().unwrap().answers.insert(path.into(), (status, Value::Null));
    }

    /// For this token only.
    pub fn ask_for_token(&self, path: &str, token: &str) {
        self.state.lock().unwrap().tokens.insert(path.into(), token.into());
    }

    /// The file of a service account that may ask for `admin`; `pem` is its private key. What it is given is [`Self::TOKEN`].
    pub fn service_account(&self, pem: &str, admin: &str) -> String {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let pair = RsaKeyPair::from_pkcs8(&BASE64_STANDARD.decode(body).unwrap()).unwrap();
        self.state.lock().unwrap().account = Some((pair.public().as_ref().to_vec(), admin.into()));
        json!({"type": "service_account", "client_email": "proxy@project.iam.gserviceaccount.com", "private_key": pem,
               "token_uri": self.url("/token")})
        .to_string()
    }

    /// Paths with their queries, in the order they were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

fn serve(mut stream: &TcpStream, addr: SocketAddr, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut token, mut wants_json) = (0, String::new(), false);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match &*name.to_ascii_lowercase() {
            "content-length" => length = value.parse().unwrap(),
            "authorization" => token = value.trim_start_matches("Bearer ").to_owned(),
            "accept" => wants_json = value.contains("json"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (query, form) = (pairs(query), pairs(std::str::from_utf8(&body).unwrap()));
    let mut state = state.lock().unwrap();
    state.asked.push(target.clone());
    let (status, header, text) = match path {
        "/login/oauth/authorize" => {
            let code = format!("code-{}", state.asked.len());
            let back = query["redirect_uri"].clone();
            state.codes.push((code.clone(), back.clone()));
            // GitHub names no issuer.
            (302, format!("Location: {back}?code={code}&state={}\r\n", query["state"]), String::new())
        }
        "/login/oauth/access_token" => {
            let known = state
                .codes
                .iter()
                .position(|(code, back)| form.get("code") == Some(code) && form.get("redirect_uri") == Some(back));
            let is_ours = form.get("client_id").map(String::as_str) == Some(Api::CLIENT)
                && form.get("client_secret").map(String::as_str) == Some(Api::SECRET);
            let said = match known.filter(|_| is_ours) {
                Some(at) => {
                    state.codes.remove(at);
                    vec![("access_token", Api::TOKEN), ("scope", "read:org,user:email"), ("token_type", "bearer")]
                }
                // GitHub says 200 and means an error.
                None => vec![("error", "bad_verification_code")],
            };
            let as_form = || said.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
            let object = said.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
            (200, String::new(), if wants_json { Value::Object(object).to_string() } else { as_form() })
        }
        "/token" => match state.believes(addr, &form) {
            true => (200, String::new(), json!({"access_token": Api::TOKEN, "expires_in": 3600}).to_string()),
            false => (400, String::new(), json!({"error": "invalid_grant"}).to_string()),
        },
        _ => state.answer(addr, path, &query, &token),
    };
    drop(state);
    let length = text.len();
    write!(stream, "HTTP/1.1 {status} X\r\n{header}Content-Length: {length}\r\nConnection: close\r\n\r\n{text}")
}

impl State {
    /// RFC 7523, as Google has it.
    fn believes(&self, addr: SocketAddr, form: &HashMap<String, String>) -> bool {
        let Some((key, admin)) = &self.account else { return false };
        let assertion = form.get("assertion").map(String::as_str).unwrap_or_default();
        let (Some((text, signature)), Some(grant)) = (assertion.rsplit_once('.'), form.get("grant_type")) else {
            return false;
        };
        let claims = text.split('.').nth(1).and_then(|part| B64.decode(part).ok());
        let claims: Value = serde_json::from_slice(&claims.unwrap_or_default()).unwrap_or_default();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key);
        grant == "urn:ietf:params:oauth:grant-type:jwt-bearer"
            && B64.decode(signature).is_ok_and(|signature| key.verify(text.as_bytes(), &signature).is_ok())
            && claims["sub"] == json!(admin)
            && claims["iss"] == json!("proxy@project.iam.gserviceaccount.com")
            && claims["aud"] == json!(format!("http://{addr}/token"))
            && claims["scope"].as_str().is_some_and(|scope| scope.contains("admin.directory.member.readonly"))
            && claims["exp"].as_u64() > claims["iat"].as_u64()
    }

    fn answer(
        &self,
        addr: SocketAddr,
        path: &str,
        query: &HashMap<String, String>,
        token: &str,
    ) -> (u16, String, String) {
        let needed = self.tokens.get(path).map(String::as_str);
        if token.is_empty() {
            return (401, String::new(), json!({"message": "Requires authentication"}).to_string());
        }
        let found = self.answers.get(path).filter(|_| needed.is_none_or(|needed| needed == token));
        match found {
            None => (404, String::new(), json!({"message": "Not Found"}).to_string()),
            Some((200, Value::Array(list))) => {
                let number = |name: &str, default: usize| {
                    query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
                };
                // As GitHub has it: a hundred at most, and thirty where nobody says.
                let (size, page) = (number("per_page", 30).min(100), number("page", 1));
                let pages = list.len().div_ceil(size);
                let next = format!("Link: <http://{addr}{path}?page={}>; rel=\"next\"\r\n", page + 1);
                let header = if page < pages { next } else { String::new() };
                let part: Vec<_> = list.iter().skip((page - 1) * size).take(size).cloned().collect();
                (200, header, Value::Array(part).to_string())
            }
            Some((204, _)) => (204, String::new(), String::new()),
            Some((status, value)) => (*status, String::new(), value.to_string()),
        }
    }
}
