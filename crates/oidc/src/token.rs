//! What makes a token believable: who signed it, for whom, when, and in answer to what.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Validation};
use ring::digest::{SHA256, SHA384, SHA512, digest};
use serde_json::{Map, Value};

use crate::{Claims, Error, Settings, Tenants, keys::Keys};

/// Clocks differ.
pub(crate) const LEEWAY: u64 = 60;
/// No honest token is larger.
const LARGEST: usize = 64 * 1024;

const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What the head of a token says, before anything of it is believed.
pub(crate) struct Head {
    algorithm: Algorithm,
    pub(crate) key: Option<String>,
    /// `typ`, in lower case.
    kind: String,
}

impl Head {
    pub(crate) fn of(token: &str, settings: &Settings) -> Result<Self, Error> {
        crate::crypto::install();
        if token.len() > LARGEST {
            return Err(Error::refused("the token is too large"));
        }
        // `none` and all that we do not know fail here.
        let head = jsonwebtoken::decode_header(token).map_err(|error| Error::refused(format!("the token: {error}")))?;
        let is_taken =
            settings.algorithms.is_empty() || settings.algorithms.iter().any(|name| *name == format!("{:?}", head.alg));
        if !ALGORITHMS.contains(&head.alg) || !is_taken {
            return Err(Error::refused(format!(
                "the token is signed with {:?}, expected a public key's algorithm",
                head.alg
            )));
        }
        // RFC 7515 4.1.11: what it asks for must be understood, and we understand nothing of the kind.
        if head.crit.is_some() {
            return Err(Error::refused("the token asks for something that is not understood (crit)"));
        }
        Ok(Self { algorithm: head.alg, key: head.kid, kind: head.typ.unwrap_or_default().to_ascii_lowercase() })
    }

    /// A token that says of itself that it ends a session is none that lets anybody in.
    pub(crate) fn is_for_logout(&self) -> bool {
        self.kind.trim_start_matches("application/") == "logout+jwt"
    }

    /// `at_hash`: the left half of the hash that the signature has.
    fn half_hash(&self, text: &str) -> String {
        let hash = match self.algorithm {
            Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &SHA384,
            Algorithm::RS512 | Algorithm::PS512 | Algorithm::EdDSA => &SHA512,
            _ => &SHA256,
        };
        let sum = digest(hash, text.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(&sum.as_ref()[..sum.as_ref().len() / 2])
    }
}

/// The claims of a token about somebody that one of these keys has signed, for us, and that is valid now.
pub(crate) fn verify(token: &str, head: &Head, keys: &Keys, settings: &Settings) -> Result<Claims, Error> {
    let claims = signed(token, head, keys, settings)?;
    if claims.0.get("sub").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(Error::refused("the token is about nobody: no sub"));
    }
    if head.is_for_logout() || crate::logout::is_event(&claims) {
        return Err(Error::refused("the token ends sessions and begins none"));
    }
    Ok(claims)
}

/// The same of any token, whatever it is about.
pub(crate) fn signed(token: &str, head: &Head, keys: &Keys, settings: &Settings) -> Result<Claims, Error> {
    let mut validation = Validation::new(head.algorithm);
    validation.leeway = LEEWAY;
    validation.validate_exp = true;
    validation.validate_nbf = true;
    // Below, because audiences may be in several claims.
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["exp"]);
    let candidates = keys.fit(head.algorithm, head.key.as_deref());
    let mut outcome = Err(Error::refused("the token is signed with a key that the provider does not have"));
    for key in &candidates {
        match jsonwebtoken::decode::<Map<String, Value>>(token, key, &validation) {
            Ok(data) => {
                outcome = Ok(Claims(data.claims));
                break;
            }
            Err(error) => outcome = Err(Error::refused(format!("the token: {error}"))),
        }
    }
    let claims = outcome?;
    check(&claims, settings)?;
    Ok(claims)
}

fn check(claims: &Claims, settings: &Settings) -> Result<(), Error> {
    let issuer = claims.0.get("iss").and_then(Value::as_str).unwrap_or_default();
    match &settings.tenants {
        Some(tenants) => tenants.check(issuer, &claims.text("tid").unwrap_or_default())?,
        None if settings.check_issuer && issuer != settings.issuer => {
            return Err(Error::refused(format!("the token is not of the issuer {}", settings.issuer)));
        }
        None => {}
    }
    let accepted = |name: &String| *name == settings.client_id || settings.audiences.contains(name);
    let for_us = settings.audience_claims.iter().any(|claim| claims.list(claim).iter().any(accepted));
    if !for_us {
        return Err(Error::refused(format!("the token is meant for another, expected {}", settings.client_id)));
    }
    Ok(())
}

impl Tenants {
    /// The issuer is the tenant that the token names, and one that may come in.
    fn check(&self, issuer: &str, tenant: &str) -> Result<(), Error> {
        let is_id = !tenant.is_empty() && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_id || issuer != self.pattern.replace("{tenantid}", tenant) {
            return Err(Error::refused(format!("the token is not of an issuer {}", self.pattern)));
        }
        let is_allowed = self.allowed.is_empty() || self.allowed.iter().any(|known| known.eq_ignore_ascii_case(tenant));
        if is_allowed { Ok(()) } else { Err(Error::refused("the token is of a tenant that is not allowed")) }
    }
}

/// What holds for an ID token beside what holds for every token.
pub(crate) fn check_id(
    claims: &Claims,
    head: &Head,
    nonce: Option<&str>,
    access: &str,
    settings: &Settings,
) -> Result<(), Error> {
    if let Some(party) = claims.0.get("azp").and_then(Value::as_str)
        && party != settings.client_id
        && !settings.audiences.iter().any(|audience| audience == party)
    {
        return Err(Error::refused("the ID token was given to another (azp)"));
    }
    if claims.0.get("iat").and_then(Value::as_u64).is_some_and(|at| at > jsonwebtoken::get_current_timestamp() + LEEWAY)
    {
        return Err(Error::refused("the ID token is from the future (iat)"));
    }
    let said = claims.0.get("nonce").and_then(Value::as_str).unwrap_or_default();
    if let Some(nonce) = nonce.filter(|_| settings.check_nonce)
        && !crate::attempt::same(said, nonce)
    {
        return Err(Error::refused("the ID token is the answer to another login (nonce)"));
    }
    if let Some(hash) = claims.0.get("at_hash").and_then(Value::as_str)
        && hash != head.half_hash(access)
    {
        return Err(Error::refused("the access token is not the one of the ID token (at_hash)"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
