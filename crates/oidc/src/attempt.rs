//! One login on its way: what the browser keeps for us, sealed, until it comes back.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Every login has its own, so that several tabs can sign in at the same time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Comes back in the address: only who began this login can end it.
    pub state: String,
    /// Comes back in the ID token.
    pub nonce: String,
    /// Shown with the code, which is of no use without it.
    pub verifier: String,
    /// Where the provider sends the browser: the same text is shown again with the code.
    pub redirect_uri: String,
}

impl Attempt {
    pub(crate) fn new(redirect_uri: &str) -> Result<Self, Error> {
        let text = || random_text().ok_or_else(|| Error::unavailable("the system has no randomness"));
        Ok(Self { state: text()?, nonce: text()?, verifier: text()?, redirect_uri: redirect_uri.to_owned() })
    }

    pub(crate) fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, self.verifier.as_bytes()))
    }
}

/// 256 bits that nobody can guess, fit for an address. None: the system has none.
pub fn random_text() -> Option<String> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// In a time that does not tell where they differ: sums of both are compared, and those nobody can steer.
pub(crate) fn same(a: &str, b: &str) -> bool {
    digest(&SHA256, a.as_bytes()).as_ref() == digest(&SHA256, b.as_bytes()).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        let mut attempt = Attempt::new("http://app/callback").unwrap();
        assert_eq!(attempt.verifier.len(), 43);
        attempt.verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into();
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let other = Attempt::new("").unwrap();
        assert!(other.state != attempt.state && other.nonce != attempt.nonce && other.nonce != other.state);
    }
}
