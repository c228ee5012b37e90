//! What a provider signs with: ES256, or RS256 where a key is given.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use ring::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, PublicKeyComponents},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256},
};
use serde_json::{Value, json};

pub(crate) enum Key {
    Curve(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl Key {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Self::Curve(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap())
    }

    /// Programs differ in what they write as DER: PKCS#8 or PKCS#1.
    pub(crate) fn rsa(der: &[u8]) -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).unwrap())
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Curve(_) => "ES256",
            Self::Rsa(_) => "RS256",
        }
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Curve(key) => key.sign(&random, text).unwrap().as_ref().to_vec(),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).unwrap();
                signature
            }
        }
    }

    /// As it stands in a key set.
    pub(crate) fn public(&self, id: &str) -> Value {
        let mut key = match self {
            Self::Curve(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..])})
            }
            Self::Rsa(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "n": B64.encode(parts.n), "e": B64.encode(parts.e)})
            }
        };
        for (name, value) in [("use", "sig"), ("alg", self.algorithm()), ("kid", id)] {
            key[name] = json!(value);
        }
        key
    }
}
