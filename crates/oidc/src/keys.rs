//! The keys of a provider: which of them may have signed a token.

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse},
};
use serde_json::Value;

use crate::Error;

/// More than any provider has; each one may cost a verification.
const MOST: usize = 64;

#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Vec<Jwk>);

impl Keys {
    /// A key that we do not understand is not there; the others are.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Error> {
        let said: Value = serde_json::from_slice(body)
            .map_err(|error| Error::unavailable(format!("its keys are not JSON: {error}")))?;
        let Some(list) = said.get("keys").and_then(Value::as_array) else {
            return Err(Error::unavailable("its keys are not a JSON Web Key Set"));
        };
        Ok(Self(list.iter().take(MOST).filter_map(|key| serde_json::from_value(key.clone()).ok()).collect()))
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.common.key_id.as_deref() == Some(id))
    }

    /// Those that may have signed with this algorithm, under this name if there is one.
    pub(crate) fn fit(&self, algorithm: Algorithm, id: Option<&str>) -> Vec<DecodingKey> {
        let named = |key: &&Jwk| id.is_none_or(|id| key.common.key_id.as_deref() == Some(id));
        let found = self.0.iter().filter(named).filter(|key| fits(key, algorithm));
        found.filter_map(|key| DecodingKey::from_jwk(key).ok()).collect()
    }
}

/// A key is for what it says it is for, and for nothing else that it could be made to do.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let named = key.common.key_algorithm.is_none_or(|name| name.to_string() == format!("{algorithm:?}"));
    let able = match &key.algorithm {
        AlgorithmParameters::RSA(_) => algorithm.family() == AlgorithmFamily::Rsa,
        AlgorithmParameters::EllipticCurve(curve) => match algorithm {
            Algorithm::ES256 => curve.curve == EllipticCurve::P256,
            Algorithm::ES384 => curve.curve == EllipticCurve::P384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(pair) => {
            algorithm == Algorithm::EdDSA && pair.curve == EllipticCurve::Ed25519
        }
        _ => false,
    };
    for_signatures && named && able
}
