//! Tokens that were verified a moment ago: programs show the same one with every request, and a signature is dear.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use ring::digest::{SHA256, digest};

use crate::{Claims, Error, keys::Keys};

/// So many at most: then all are forgotten.
const MOST: usize = 1000;
/// Then it is verified again.
const SECONDS: u64 = 60;

/// By the sum of the token, so that none of them is kept.
#[derive(Default)]
pub(crate) struct Known(Mutex<HashMap<Vec<u8>, Entry>>);

struct Entry {
    claims: Claims,
    /// With these it was verified: with others nothing is known of it.
    keys: Arc<Keys>,
    until: u64,
}

impl Known {
    pub(crate) fn verified(
        &self,
        token: &str,
        keys: &Arc<Keys>,
        verify: impl FnOnce() -> Result<Claims, Error>,
    ) -> Result<Claims, Error> {
        let now = jsonwebtoken::get_current_timestamp();
        let sum = digest(&SHA256, token.as_bytes()).as_ref().to_vec();
        let fits = |entry: &&Entry| entry.until > now && Arc::ptr_eq(&entry.keys, keys);
        if let Some(entry) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&sum).filter(fits) {
            return Ok(entry.claims.clone());
        }
        let claims = verify()?;
        let ends = claims.get("exp").and_then(serde_json::Value::as_f64).map_or(0, |ends| ends as u64);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            // Whoever comes with many new ones must not keep those out that come again.
            known.clear();
        }
        let until = ends.min(now + SECONDS);
        known.insert(sum, Entry { claims: claims.clone(), keys: Arc::clone(keys), until });
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(exp: u64) -> Claims {
        Claims::from(json!({"sub": "alice", "exp": exp}))
    }

    #[test]
    fn a_token_is_verified_once_until_its_end_and_with_the_same_keys() {
        let (known, keys) = (Known::default(), Arc::new(Keys::default()));
        let now = jsonwebtoken::get_current_timestamp();
        let refuse = || Err(Error::refused("asked again"));
        assert!(known.verified("a", &keys, || Ok(claims(now + 300))).is_ok());
        assert!(known.verified("a", &keys, refuse).is_ok(), "known");
        assert!(known.verified("b", &keys, refuse).is_err(), "another");
        assert!(known.verified("a", &Arc::new(Keys::default()), refuse).is_err(), "other keys");
        assert!(known.verified("c", &keys, || Ok(claims(now))).is_ok());
        assert!(known.verified("c", &keys, refuse).is_err(), "over");
    }

    #[test]
    fn they_are_bounded_and_what_is_refused_is_not_known() {
        let (known, keys) = (Known::default(), Arc::new(Keys::default()));
        let now = jsonwebtoken::get_current_timestamp();
        for nth in 0..MOST + 50 {
            assert!(known.verified(&nth.to_string(), &keys, || Ok(claims(now + 300))).is_ok());
        }
        assert_eq!(known.0.lock().unwrap().len(), 50);
        let newest = (MOST + 49).to_string();
        assert!(
            known.verified(&newest, &keys, || Err(Error::refused("asked again"))).is_ok(),
            "many others were before it"
        );
        assert!(known.verified("x", &keys, || Err(Error::refused("no"))).is_err());
        assert!(known.verified("x", &keys, || Ok(claims(now + 300))).is_ok());
    }
}
