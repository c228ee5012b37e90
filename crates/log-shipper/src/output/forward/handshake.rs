//! Who we are, and whether the server is who it should be: HELO, PING and PONG of the forward protocol.
//!
//! Neither side sends the shared key: each proves that it has it, by a digest of it with what the other cannot foresee.

use ring::digest::{Context, SHA512};

use super::{
    ids::{hex, random},
    msgpack,
    reply::Reply,
};

/// What is proven, with the secrets as they are now.
pub(super) struct Proof<'a> {
    pub(super) shared_key: &'a str,
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    /// What we call ourselves.
    pub(super) hostname: &'a str,
}

/// What was said, to check the answer against.
pub(super) struct Ping {
    pub(super) message: Vec<u8>,
    salt: String,
    nonce: Vec<u8>,
}

impl Proof<'_> {
    /// The answer to a greeting.
    pub(super) fn ping(&self, nonce: &[u8], auth: &[u8]) -> Result<Ping, &'static str> {
        let salt = hex(&random::<16>()?);
        let mut message = Vec::new();
        msgpack::array(6, &mut message);
        let key = digest(&[salt.as_bytes(), self.hostname.as_bytes(), nonce, self.shared_key.as_bytes()]);
        let (user, password) = match (auth, self.user) {
            ([], _) | (_, "") => ("", String::new()),
            (auth, user) => (user, digest(&[auth, user.as_bytes(), self.password.as_bytes()])),
        };
        for text in ["PING", self.hostname, &salt, &key, user, &password] {
            msgpack::text(text.as_bytes(), &mut message);
        }
        Ok(Ping { message, salt, nonce: nonce.to_vec() })
    }

    /// Whether the server has taken us in, and has proven that it knows the key.
    pub(super) fn check(&self, ping: &Ping, reply: &Reply) -> Result<(), String> {
        let Reply::Pong { is_accepted, reason, hostname, digest: theirs } = reply else {
            return Err("it answered our PING with something else than PONG".into());
        };
        if !is_accepted {
            return Err(format!("it refused us: {}", if reason.is_empty() { "no reason given" } else { reason }));
        }
        let own = digest(&[ping.salt.as_bytes(), hostname.as_bytes(), &ping.nonce, self.shared_key.as_bytes()]);
        match own == *theirs {
            true => Ok(()),
            false => Err("it took us in, but does not know the shared key: not the server it should be?".into()),
        }
    }
}

fn digest(parts: &[&[u8]]) -> String {
    let mut context = Context::new(&SHA512);
    parts.iter().for_each(|part| context.update(part));
    hex(context.finish().as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROOF: Proof<'_> = Proof { shared_key: "key", user: "u", password: "p", hostname: "us" };

    fn pong(is_accepted: bool, digest: String) -> Reply {
        Reply::Pong { is_accepted, reason: "shared_key mismatch".into(), hostname: "them".into(), digest }
    }

    #[test]
    fn each_side_proves_that_it_has_the_key() {
        let ping = PROOF.ping(b"nonce", b"").unwrap();
        let salt = ping.salt.clone();
        let theirs = digest(&[salt.as_bytes(), b"them", b"nonce", b"key"]);
        assert_eq!(PROOF.check(&ping, &pong(true, theirs.clone())), Ok(()));
        assert!(PROOF.check(&ping, &pong(false, theirs)).unwrap_err().contains("shared_key mismatch"));
        let other = digest(&[salt.as_bytes(), b"them", b"nonce", b"other"]);
        assert!(PROOF.check(&ping, &pong(true, other)).unwrap_err().contains("does not know the shared key"));
        assert!(PROOF.check(&ping, &Reply::Ack(Vec::new())).is_err());
        let text = String::from_utf8_lossy(&ping.message).into_owned();
        assert!(!text.contains("key") && text.contains(&digest(&[salt.as_bytes(), b"us", b"nonce", b"key"])));
    }

    #[test]
    fn a_password_is_sent_only_to_who_asks_and_never_as_it_is() {
        let without = PROOF.ping(b"nonce", b"").unwrap();
        assert!(without.message.ends_with(b"\xa0\xa0"));
        let with = PROOF.ping(b"nonce", b"auth").unwrap();
        assert!(with.message.ends_with(digest(&[b"auth", b"u", b"p"]).as_bytes()));
    }
}
