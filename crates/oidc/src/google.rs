//! Groups of a Google Workspace: asked of its directory by an account of our own, for no token of the user says them.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http_client::SecretSource;
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Claims, Error, Settings, form, remote};

const SCOPE: &str = "https://www.googleapis.com/auth/admin.directory.group.readonly \
                     https://www.googleapis.com/auth/admin.directory.member.readonly";
/// For the few questions of one login.
const LIFETIME: u64 = 300;

/// Who asks, about which groups, and where.
#[derive(Clone, Debug)]
pub struct GoogleGroups {
    /// `https://admin.googleapis.com`
    pub api: String,
    /// The key of a service account, as it is downloaded: JSON.
    pub key: SecretSource,
    /// Somebody of the workspace who may ask, and for whom the account does.
    pub admin: String,
    pub groups: Vec<String>,
}

#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: String,
    token_uri: String,
}

/// Which of the groups somebody is in.
pub(crate) async fn ask(asked: &GoogleGroups, claims: &Claims, settings: &Settings) -> Result<Vec<String>, Error> {
    let email = claims.text("email").unwrap_or_default();
    if email.is_empty() || claims.truth("email_verified") != Some(true) {
        return Ok(Vec::new());
    }
    let token = access(asked, settings).await?;
    let mut groups = Vec::new();
    for group in &asked.groups {
        let (api, name, member) = (asked.api.trim_end_matches('/'), form::encode(group), form::encode(&email));
        let address = format!("{api}/admin/directory/v1/groups/{name}/hasMember/{member}");
        let said = remote::find_as(&address, &token, settings).await?;
        if said.and_then(|said| said.get("isMember").and_then(Value::as_bool)) == Some(true) {
            groups.push(group.clone());
        }
    }
    Ok(groups)
}

/// RFC 7523: a token for a signed statement of who we are.
async fn access(asked: &GoogleGroups, settings: &Settings) -> Result<String, Error> {
    let text = asked.key.read().map_err(Error::unavailable)?;
    let key: Key = serde_json::from_str(text.expose())
        .map_err(|error| Error::unavailable(format!("the key of the service account: {error}")))?;
    let assertion = assertion(&key, &asked.admin).map_err(Error::unavailable)?;
    let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
    let said = remote::granted(&key.token_uri, settings, &[("grant_type", grant), ("assertion", &assertion)]).await?;
    let token = said.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    token.map(str::to_owned).ok_or_else(|| Error::unavailable(format!("POST {}: no access_token", key.token_uri)))
}

fn assertion(key: &Key, admin: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "the key of the service account: expected private_key in PEM (PKCS #8)";
    let body: String = key.private_key.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    let der = BASE64_STANDARD.decode(body).map_err(|_| EXPECTED)?;
    let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| EXPECTED)?;
    let now = jsonwebtoken::get_current_timestamp();
    let head = json!({"alg": "RS256", "typ": "JWT"});
    let claims = json!({"iss": key.client_email, "sub": admin, "scope": SCOPE, "aud": key.token_uri, "iat": now,
                        "exp": now + LIFETIME});
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let text = format!("{}.{}", encode(head.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).map_err(|_| EXPECTED)?;
    Ok(format!("{text}.{}", encode(&signature)))
}
