//! What the browser keeps for us and can neither read nor change: AEAD with a key for each use.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use values::Secret;

/// What is sealed for one use does not open in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Session,
    Login,
    /// What the browser has of a session that is kept elsewhere, and what is kept there.
    Ticket,
    Stored,
    /// A form that we have shown.
    Form,
}

const USES: [Use; 5] = [Use::Session, Use::Login, Use::Ticket, Use::Stored, Use::Form];

impl Use {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"auth-proxy session v1",
            Self::Login => b"auth-proxy login v1",
            Self::Ticket => b"auth-proxy ticket v1",
            Self::Stored => b"auth-proxy stored v1",
            Self::Form => b"auth-proxy form v1",
        }
    }
}

/// Seals with the first secret, opens with any: that is how a secret is replaced without signing everybody out.
pub struct Sealer(Vec<Keys>);

/// One for each use, in the order of [`USES`].
struct Keys(Vec<LessSafeKey>);

impl Keys {
    fn of(&self, purpose: Use) -> Option<&LessSafeKey> {
        USES.iter().position(|known| *known == purpose).and_then(|at| self.0.get(at))
    }
}

impl Sealer {
    /// None: there is no secret, or ring refuses to work.
    pub fn new(secrets: &[Secret]) -> Option<Self> {
        let keys: Option<Vec<_>> = secrets
            .iter()
            .map(|secret| {
                let keys = USES.iter().map(|purpose| derived(secret.expose().as_bytes(), purpose.label()));
                keys.collect::<Option<Vec<_>>>().map(Keys)
            })
            .collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    /// `name` is the cookie's: it opens under no other.
    pub fn seal(&self, purpose: Use, name: &str, plain: &[u8]) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let key = self.0.first()?.of(purpose)?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut sealed).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    pub fn open(&self, purpose: Use, name: &str, text: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
        let nonce: [u8; NONCE_LEN] = nonce.try_into().ok()?;
        self.0.iter().find_map(|keys| {
            let mut sealed = sealed.to_vec();
            let key = keys.of(purpose)?;
            let plain = key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut sealed).ok()?;
            Some(plain.to_vec())
        })
    }
}

fn derived(secret: &[u8], label: &[u8]) -> Option<LessSafeKey> {
    let extracted = Salt::new(HKDF_SHA256, b"pillion auth-proxy").extract(secret);
    let info = [label];
    let key = extracted.expand(&info, &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secrets: &[&str]) -> Sealer {
        Sealer::new(&secrets.iter().map(|text| Secret::new(*text)).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_use_and_name_only() {
        let sealer = sealer(&["one"]);
        let text = sealer.seal(Use::Session, "cookie", b"plain").unwrap();
        assert_eq!(sealer.open(Use::Session, "cookie", &text).unwrap(), b"plain");
        assert!(sealer.open(Use::Login, "cookie", &text).is_none());
        assert!(sealer.open(Use::Session, "other", &text).is_none());
        assert_ne!(sealer.seal(Use::Session, "cookie", b"plain").unwrap(), text, "never the same twice");
    }

    #[test]
    fn a_changed_byte_anywhere_opens_nothing() {
        let sealer = sealer(&["one"]);
        let text = sealer.seal(Use::Session, "c", b"plain").unwrap();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert!(sealer.open(Use::Session, "c", std::str::from_utf8(&bytes).unwrap()).is_none(), "{at}");
            assert!(sealer.open(Use::Session, "c", &text[..at]).is_none(), "{at}");
        }
    }

    #[test]
    fn the_old_secret_opens_and_the_new_one_seals() {
        let (old, both, new) = (sealer(&["old"]), sealer(&["new", "old"]), sealer(&["new"]));
        let text = old.seal(Use::Session, "c", b"x").unwrap();
        assert!(both.open(Use::Session, "c", &text).is_some() && new.open(Use::Session, "c", &text).is_none());
        let text = both.seal(Use::Session, "c", b"x").unwrap();
        assert!(new.open(Use::Session, "c", &text).is_some() && old.open(Use::Session, "c", &text).is_none());
    }
}
