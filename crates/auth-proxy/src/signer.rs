//! Who is there, signed: a token that the app can verify with a key that it finds at our own address.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use tls::rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

use crate::{
    door::Guest,
    session::{Who, now},
};

/// A file of keys has a few of them.
const LARGEST: u64 = 64 * 1024;

/// How the token is made.
#[derive(Clone)]
pub struct Settings {
    pub header: String,
    pub issuer: String,
    pub audience: String,
    pub lifetime: Duration,
    pub signer: Arc<Signer>,
}

/// Signs with the first key; all of them are shown to those who verify.
pub struct Signer(Vec<Key>);

struct Key {
    pair: EcdsaKeyPair,
    id: String,
}

impl Key {
    fn of(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &SystemRandom::new()).ok()?;
        let (x, y) = coordinates(&pair);
        // RFC 7638: the members in this order, without spaces.
        let canonical = format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{x}\",\"y\":\"{y}\"}}");
        let id = BASE64.encode(digest(&SHA256, canonical.as_bytes()));
        Some(Self { pair, id })
    }

    fn shown(&self) -> Value {
        let (x, y) = coordinates(&self.pair);
        json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id, "x": x, "y": y})
    }
}

/// Of the public point, which is `04`, x and y.
fn coordinates(pair: &EcdsaKeyPair) -> (String, String) {
    let point = pair.public_key().as_ref();
    let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len().saturating_sub(1) / 2);
    (BASE64.encode(x), BASE64.encode(y))
}

impl Signer {
    /// A key that lives as long as this process. None: the system has no randomness.
    pub fn of_this_process() -> Option<Arc<Self>> {
        static OWN: OnceLock<Option<Arc<Signer>>> = OnceLock::new();
        let make = || {
            let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok()?;
            Some(Arc::new(Self(vec![Key::of(der.as_ref())?])))
        };
        OWN.get_or_init(make).clone()
    }

    /// The first file signs; the others are of before, or of what comes next.
    pub fn read(files: &[impl AsRef<Path>]) -> Result<Self, Vec<String>> {
        let (mut keys, mut problems) = (Vec::new(), Vec::new());
        for file in files {
            match read(file.as_ref()) {
                Ok(key) => keys.push(key),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self(keys)) } else { Err(problems) }
    }

    /// For those who verify.
    pub fn shown(&self) -> Value {
        json!({ "keys": self.0.iter().map(Key::shown).collect::<Vec<_>>() })
    }

    fn sign(&self, claims: &Value) -> Option<String> {
        let key = self.0.first()?;
        let head = json!({"alg": "ES256", "typ": "JWT", "kid": key.id});
        let text = format!("{}.{}", BASE64.encode(head.to_string()), BASE64.encode(claims.to_string()));
        let signature = key.pair.sign(&SystemRandom::new(), text.as_bytes()).ok()?;
        Some(format!("{text}.{}", BASE64.encode(signature)))
    }
}

fn read(file: &Path) -> Result<Key, String> {
    const EXPECTED: &str = "expected a private key for P-256 as PKCS #8 in PEM (BEGIN PRIVATE KEY)";
    let text = values::read_text(file, LARGEST)?;
    let problem = || format!("{}: {EXPECTED}", file.display());
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| problem())?;
    Key::of(der.secret_pkcs8_der()).ok_or_else(problem)
}

impl Settings {
    /// None: ring refuses to sign.
    pub fn token(&self, guest: &Guest) -> Option<String> {
        let Who { user, email, groups, preferred_username, .. } = &guest.who;
        let now = now();
        let mut claims = json!({
            "iss": self.issuer, "aud": self.audience, "sub": user, "iat": now, "nbf": now,
            "exp": now.saturating_add(self.lifetime.as_secs()), "amr": [guest.by],
        });
        if !email.is_empty() {
            claims["email"] = json!(email);
        }
        if !groups.is_empty() {
            claims["groups"] = json!(groups);
        }
        if let Some(name) = preferred_username {
            claims["preferred_username"] = json!(name);
        }
        self.signer.sign(&claims)
    }
}
