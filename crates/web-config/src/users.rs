//! Who may come in with a password, as bcrypt hashes.
//!
//! A check takes tens of milliseconds of CPU on purpose, so it runs on a blocking thread, one at a time, and what came
//! of it is remembered: under a keyed digest, so that no password is. A name that nobody has costs the same.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{hmac, rand::SystemRandom};

/// So many answers are remembered. With more, all are forgotten: who tries passwords must not fill memory.
const MOST_REMEMBERED: usize = 256;

/// Names and bcrypt hashes.
#[derive(Clone, Default)]
pub struct Users(HashMap<String, String>);

/// Not a hash of bcrypt. The text is not repeated: it may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHash;

impl std::fmt::Display for BadHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("expected a bcrypt hash, such as `htpasswd -nBC 10 \"\"` prints")
    }
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Users {
    pub fn add(&mut self, name: &str, hash: &str) -> Result<(), BadHash> {
        hash.parse::<bcrypt::HashParts>().map_err(|_| BadHash)?;
        self.0.insert(name.to_owned(), hash.to_owned());
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The hash for a name, and whether it is theirs: for nobody it is somebody else's that takes as long.
    fn hash(&self, name: &str) -> (&str, bool) {
        match self.0.get(name) {
            Some(hash) => (hash, true),
            None => {
                let cost = |hash: &&String| hash.parse::<bcrypt::HashParts>().map_or(0, |parts| parts.get_cost());
                (self.0.values().max_by_key(cost).map_or("", String::as_str), false)
            }
        }
    }
}

/// Checks passwords, and remembers.
pub(crate) struct Checker {
    key: hmac::Key,
    remembered: Mutex<HashMap<[u8; 32], bool>>,
    /// Who has it may burn CPU.
    turn: tokio::sync::Mutex<()>,
}

impl Checker {
    pub(crate) fn new() -> Result<Self, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| "no random numbers")?;
        Ok(Self { key, remembered: Mutex::default(), turn: tokio::sync::Mutex::default() })
    }

    /// Whether an `Authorization` is that of one of these users.
    pub(crate) async fn lets_in(&self, users: &Users, authorization: Option<&str>) -> bool {
        let Some((name, password)) = authorization.and_then(basic) else { return false };
        let (hash, is_theirs) = users.hash(&name);
        let digest = self.digest(&[name.as_bytes(), hash.as_bytes(), password.as_slice()]);
        if let Some(known) = self.known(&digest) {
            return known;
        }
        let _turn = self.turn.lock().await;
        // Somebody may have asked the same while this one waited.
        if let Some(known) = self.known(&digest) {
            return known;
        }
        let hash = hash.to_owned();
        let matches = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let lets_in = matches.await.unwrap_or(false) && is_theirs;
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(digest, lets_in);
        lets_in
    }

    fn known(&self, digest: &[u8; 32]) -> Option<bool> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(digest).copied()
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

/// Name and password of `Basic ...`.
fn basic(authorization: &str) -> Option<(String, Vec<u8>)> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(&decoded[..colon]).ok()?;
    Some((name.to_owned(), decoded[colon + 1..].to_vec()))
}
