//! An OpenID provider, in memory: discovery, keys, the code flow with PKCE, and a page where somebody presses "Sign in".

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as B64},
};
use bytes::Bytes;
use hyper::{Method, Request, StatusCode, header};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use url::form_urlencoded;

use crate::{
    app_members::escaped,
    http::{self, Answer},
};

pub const CLIENT: &str = "app";
/// Only this domain is let in.
pub const DOMAIN: &str = "demo.example";
/// Who has an account: the name, the address, the groups.
const PEOPLE: [(&str, &str, &[&str]); 2] =
    [("alice", "alice@demo.example", &["staff"]), ("mallory", "mallory@elsewhere.example", &[])];
pub const MEMBER: &str = PEOPLE[0].0;
pub const STRANGER: &str = PEOPLE[1].0;

/// For a code to be redeemed.
const CODE_LIVES: Duration = Duration::from_secs(60);
/// Logins that wait to be redeemed; nobody of ours has more than one.
const MOST_CODES: usize = 64;
const TOKEN_LIVES: Duration = Duration::from_secs(300);

pub struct OpenId {
    pub addr: SocketAddr,
    /// What the client proves itself with.
    pub secret: String,
    /// Dropped with us, and with it the server ends.
    _server: (watch::Sender<bool>, JoinSet<()>),
}

struct Provider {
    issuer: String,
    /// The only address to which people are sent back.
    redirect_uri: String,
    secret: String,
    key: EcdsaKeyPair,
    codes: Mutex<HashMap<String, Code>>,
}

/// Somebody has pressed the button; nobody has come for the token yet.
struct Code {
    person: usize,
    challenge: String,
    nonce: String,
    until: Instant,
}

impl OpenId {
    /// On any free port, for one client that lives there.
    pub fn start(redirect_uri: String) -> Result<Self, String> {
        let listen = || {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?, TcpListener::from_std(listener)?))
        };
        let listening: std::io::Result<_> = listen();
        let (addr, listener) = listening.map_err(|error| format!("the OpenID provider cannot listen: {error}"))?;
        let secret = random()?;
        let provider = Provider {
            issuer: format!("http://{addr}"),
            redirect_uri,
            secret: secret.clone(),
            key: key()?,
            codes: Mutex::default(),
        };
        let (stop, stopped) = watch::channel(false);
        let mut server = JoinSet::new();
        server.spawn(http::serve(listener, stopped, move |request| provider.respond(request)));
        Ok(Self { addr, secret, _server: (stop, server) })
    }
}

/// Nobody guesses it.
pub fn random() -> Result<String, String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system has no randomness".to_owned())?;
    Ok(B64.encode(bytes))
}

fn key() -> Result<EcdsaKeyPair, String> {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random)
        .map_err(|error| error.to_string())
        .and_then(|der| EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).map_err(|error| error.to_string()));
    made.map_err(|error| format!("the OpenID provider has no key: {error}"))
}

type Pairs = HashMap<String, String>;

fn pairs(text: &[u8]) -> Pairs {
    form_urlencoded::parse(text).into_owned().collect()
}

fn of<'a>(pairs: &'a Pairs, name: &str) -> &'a str {
    pairs.get(name).map(String::as_str).unwrap_or_default()
}

impl Provider {
    fn respond(&self, request: &Request<Bytes>) -> Answer {
        let query = request.uri().query().unwrap_or_default();
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/.well-known/openid-configuration") => said(StatusCode::OK, &self.metadata()),
            (&Method::GET, "/jwks") => said(StatusCode::OK, &self.keys()),
            (&Method::GET, "/authorize") => match self.wrong_with(&pairs(query.as_bytes())) {
                None => sign_in_page(query),
                Some(problem) => http::text(StatusCode::BAD_REQUEST, problem),
            },
            (&Method::POST, "/authorize") => self.pressed(&pairs(query.as_bytes()), &pairs(request.body())),
            (&Method::POST, "/token") => match self.redeem(request) {
                Ok(tokens) => said(StatusCode::OK, &tokens),
                Err((status, error)) => said(status, &json!({ "error": error })),
            },
            _ => http::text(StatusCode::NOT_FOUND, "not found, see /.well-known/openid-configuration"),
        }
    }

    fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }

    fn keys(&self) -> Value {
        // Uncompressed: a four, then both coordinates.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let key = json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "demo",
                          "x": B64.encode(x), "y": B64.encode(y) });
        json!({ "keys": [key] })
    }

    fn wrong_with(&self, asked: &Pairs) -> Option<&'static str> {
        [
            (of(asked, "client_id") == CLIENT, "client_id: not known here"),
            (of(asked, "redirect_uri") == self.redirect_uri, "redirect_uri: not the one of this client"),
            (of(asked, "response_type") == "code", "response_type: expected code"),
            (of(asked, "code_challenge_method") == "S256", "code_challenge_method: expected S256"),
            (!of(asked, "code_challenge").is_empty(), "code_challenge: missing"),
        ]
        .into_iter()
        .find_map(|(good, problem)| (!good).then_some(problem))
    }

    fn pressed(&self, asked: &Pairs, form: &Pairs) -> Answer {
        if let Some(problem) = self.wrong_with(asked) {
            return http::text(StatusCode::BAD_REQUEST, problem);
        }
        let person = PEOPLE.iter().position(|(name, ..)| *name == of(form, "user"));
        let mut back = form_urlencoded::Serializer::new(format!("{}?", self.redirect_uri));
        back.append_pair("state", of(asked, "state")).append_pair("iss", &self.issuer);
        match person.map(|person| self.code(asked, person)) {
            Some(Ok(code)) => back.append_pair("code", &code),
            Some(Err(_)) => back.append_pair("error", "temporarily_unavailable"),
            None => back.append_pair("error", "access_denied"),
        };
        let mut answer = http::text(StatusCode::SEE_OTHER, "");
        if let Ok(back) = header::HeaderValue::from_str(&back.finish()) {
            answer.headers_mut().insert(header::LOCATION, back);
        }
        answer
    }

    fn code(&self, asked: &Pairs, person: usize) -> Result<String, String> {
        let code = random()?;
        let (challenge, nonce) = (of(asked, "code_challenge").to_owned(), of(asked, "nonce").to_owned());
        let now = Instant::now();
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, code| code.until > now);
        if codes.len() >= MOST_CODES {
            return Err("too many logins at once".into());
        }
        codes.insert(code.clone(), Code { person, challenge, nonce, until: now + CODE_LIVES });
        Ok(code)
    }

    fn redeem(&self, request: &Request<Bytes>) -> Result<Value, (StatusCode, &'static str)> {
        if !self.is_our_client(request) {
            return Err((StatusCode::UNAUTHORIZED, "invalid_client"));
        }
        let bad = |error| (StatusCode::BAD_REQUEST, error);
        let form = pairs(request.body());
        if of(&form, "grant_type") != "authorization_code" {
            return Err(bad("unsupported_grant_type"));
        }
        // Taken out, so that it is good once.
        let code = self.codes.lock().unwrap_or_else(PoisonError::into_inner).remove(of(&form, "code"));
        let shown = B64.encode(digest(&SHA256, of(&form, "code_verifier").as_bytes()));
        let fits = |code: &Code| {
            code.until > Instant::now() && code.challenge == shown && of(&form, "redirect_uri") == self.redirect_uri
        };
        let code = code.filter(fits).ok_or(bad("invalid_grant"))?;
        let failed = |_| (StatusCode::INTERNAL_SERVER_ERROR, "server_error");
        let (token, access) = (self.token(&code).map_err(failed)?, random().map_err(failed)?);
        Ok(json!({ "access_token": access, "token_type": "Bearer", "id_token": token }))
    }

    /// The name and the secret are encoded as in a form, before they are put together.
    fn is_our_client(&self, request: &Request<Bytes>) -> bool {
        let proof = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let proof = proof.and_then(|value| BASE64_STANDARD.decode(value.strip_prefix("Basic ")?).ok());
        proof.is_some_and(|proof| proof == format!("{CLIENT}:{}", self.secret).as_bytes())
    }

    fn token(&self, code: &Code) -> Result<String, String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?.as_secs();
        let (name, email, groups) = PEOPLE[code.person];
        let claims = json!({
            "iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + TOKEN_LIVES.as_secs(), "nonce": code.nonce,
            "sub": name, "preferred_username": name, "email": email, "email_verified": true, "groups": groups,
        });
        let head = json!({ "alg": "ES256", "typ": "JWT", "kid": "demo" });
        let text = format!("{}.{}", B64.encode(head.to_string()), B64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(format!("{text}.{}", B64.encode(signature)))
    }
}

fn said(status: StatusCode, value: &Value) -> Answer {
    http::answer(status, "application/json", format!("{value}\n"))
}

fn sign_in_page(query: &str) -> Answer {
    let buttons: String = PEOPLE
        .iter()
        .map(|(name, email, _)| {
            format!("<p><button name=\"user\" value=\"{name}\">Sign in as {name}</button> <small>{email}</small></p>")
        })
        .collect();
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>Who are you?</title><style>:root{{color-scheme:light \
         dark}}body{{font:18px/1.5 system-ui,sans-serif;max-width:30rem;margin:15vh auto;padding:0 1.5rem}}button{{font:inherit;\
         padding:.5rem 1rem}}</style></head><body><h1>Who are you?</h1><p>This is the demo's own OpenID provider. Only \
         addresses at <b>{DOMAIN}</b> are let in.</p><form method=\"post\" action=\"/authorize?{}\">{buttons}\
         <p><button name=\"user\" value=\"\">Nobody</button></p></form></body></html>\n",
        escaped(query),
    );
    http::answer(StatusCode::OK, "text/html; charset=utf-8", page)
}
