//! Password files as Apache's htpasswd makes them, and the proof that somebody knows a password of one.

use std::{collections::HashMap, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

/// A file of users is small; a larger one is another file.
const LARGEST: u64 = 4 << 20;

/// Users and the hashes of their passwords.
#[derive(Clone, Default)]
pub struct Passwords(HashMap<String, Hash>);

#[derive(Clone)]
enum Hash {
    Bcrypt(String),
    /// Apache's own MD5, `$apr1$`; and crypt's, `$1$`.
    Md5 {
        magic: &'static str,
        salt: String,
        rest: String,
    },
    /// `{SHA}` and `{SSHA}`: SHA-1 of the password and a salt, which for `{SHA}` is empty.
    Sha1 {
        sum: Vec<u8>,
        salt: Vec<u8>,
    },
    /// crypt's `$5$` and `$6$`.
    ShaCrypt(String),
}

impl Passwords {
    pub fn read(path: &Path) -> Result<Self, Vec<String>> {
        let text = values::read_text(path, LARGEST).map_err(|problem| vec![problem])?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// `name` is what problems are prefixed with. No hash is ever in a problem.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<String>> {
        let (mut users, mut problems) = (HashMap::new(), Vec::new());
        for (at, line) in text.lines().enumerate() {
            let line = line.trim_end_matches('\r').trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let parsed = line.split_once(':').ok_or("expected USER:HASH".to_owned()).and_then(|(user, hash)| {
                // Some have a comment after another colon.
                let hash = hash.split(':').next().unwrap_or_default();
                Hash::parse(hash).map(|hash| (user.to_owned(), hash)).map_err(|why| format!("user {user}: {why}"))
            });
            match parsed {
                Ok((user, hash)) => drop(users.entry(user).or_insert(hash)),
                Err(problem) => problems.push(format!("{name}:{}: {problem}", at + 1)),
            }
        }
        if problems.is_empty() { Ok(Self(users)) } else { Err(problems) }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn knows(&self, user: &str) -> bool {
        self.0.contains_key(user)
    }

    /// Another one for every hash, from which nothing can be learned of it: whoever proved that they know the password is known
    /// by it until the password is another.
    pub fn mark(&self, user: &str) -> Option<String> {
        let text = match self.0.get(user)? {
            Hash::Bcrypt(text) | Hash::ShaCrypt(text) => text.clone().into_bytes(),
            Hash::Md5 { magic, salt, rest } => format!("{magic}{salt}${rest}").into_bytes(),
            Hash::Sha1 { sum, salt } => [&sum[..], salt].concat(),
        };
        Some(BASE64_STANDARD.encode(&digest(&SHA256, &text).as_ref()[..18]))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes as long as the hash was made to take: never to be called where others wait. For a user that there is not
    /// it takes as long too, so that nobody learns who there is.
    pub fn verify(&self, user: &str, password: &str) -> bool {
        match self.0.get(user) {
            Some(hash) => hash.verify(password),
            None => {
                if let Some(any) = self.0.values().max_by_key(|hash| hash.cost()) {
                    any.verify(password);
                }
                false
            }
        }
    }
}

impl Hash {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const EXPECTED: &str = "expected a hash made by htpasswd or openssl passwd: bcrypt ($2y$), apr1, {SHA}, {SSHA}, or crypt's $5$ and $6$";
        let md5 = |magic: &'static str| {
            let (salt, rest) = text[magic.len()..].split_once('$').ok_or(EXPECTED)?;
            let sound = salt.len() <= 8 && rest.len() == 22;
            if sound { Ok(Self::Md5 { magic, salt: salt.into(), rest: rest.into() }) } else { Err(EXPECTED) }
        };
        match text {
            _ if ["$2a$", "$2b$", "$2y$", "$2x$"].iter().any(|magic| text.starts_with(magic)) => {
                // Whatever cannot be verified must be said now: at the door it would be "wrong password".
                let cost: Option<u32> = text.get(4..6).and_then(|cost| cost.parse().ok());
                let sound = text.len() == 60 && cost.is_some_and(|cost| (4..=16).contains(&cost));
                if sound { Ok(Self::Bcrypt(text.into())) } else { Err("expected bcrypt with a cost of 4 to 16") }
            }
            _ if text.starts_with("$apr1$") => md5("$apr1$"),
            _ if text.starts_with("$1$") => md5("$1$"),
            _ if text.starts_with("{SHA}") => {
                let sum = BASE64_STANDARD.decode(&text[5..]).map_err(|_| EXPECTED)?;
                if sum.len() == 20 { Ok(Self::Sha1 { sum, salt: Vec::new() }) } else { Err(EXPECTED) }
            }
            _ if text.starts_with("{SSHA}") => {
                let mut sum = BASE64_STANDARD.decode(&text[6..]).map_err(|_| EXPECTED)?;
                if sum.len() <= 20 {
                    return Err(EXPECTED);
                }
                let salt = sum.split_off(20);
                Ok(Self::Sha1 { sum, salt })
            }
            _ if text.starts_with("$5$") || text.starts_with("$6$") => Ok(Self::ShaCrypt(text.into())),
            _ => Err(EXPECTED),
        }
    }

    /// Which of two takes longer, roughly.
    fn cost(&self) -> u32 {
        match self {
            Self::Bcrypt(hash) => 100 + hash.get(4..6).and_then(|cost| cost.parse::<u32>().ok()).unwrap_or(0),
            Self::ShaCrypt(_) => 50,
            Self::Md5 { .. } => 10,
            Self::Sha1 { .. } => 1,
        }
    }

    fn verify(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Md5 { magic, salt, rest } => {
                let made = crate::md5_crypt::hash(password.as_bytes(), salt.as_bytes(), magic);
                same(made.as_bytes(), rest.as_bytes())
            }
            Self::Sha1 { sum, salt } => {
                let salted = [password.as_bytes(), salt].concat();
                same(digest(&SHA1_FOR_LEGACY_USE_ONLY, &salted).as_ref(), sum)
            }
            Self::ShaCrypt(hash) => sha_crypt_verify(password, hash),
        }
    }
}

fn sha_crypt_verify(password: &str, hash: &str) -> bool {
    use sha_crypt::{PasswordVerifier, ShaCrypt};
    ShaCrypt::default().verify_password(password.as_bytes(), hash).is_ok()
}

/// In a time that does not tell where they differ: sums of both are compared, and those nobody can steer.
fn same(a: &[u8], b: &[u8]) -> bool {
    let sum = |bytes| digest(&ring::digest::SHA256, bytes);
    sum(a).as_ref() == sum(b).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by Apache's and OpenSSL's tools and by libcrypt; the password is `secret word`.
    const FILE: &str = "\
# comment
bcrypt:$2y$05$c4WoMPo3SXsafkva.HHa6upeGW6vuL03CjrQO3ok5bDICk8l7Q1iW
bcrypt-b:$2b$05$c4WoMPo3SXsafkva.HHa6upeGW6vuL03CjrQO3ok5bDICk8l7Q1iW
apr1:$apr1$8LyY3nzb$YcYxzaY1zd6PQEl0GPkQm.:with a comment
md5:$1$8LyY3nzb$mj1EE2wS9VYDEbWYPBgEv1\r
sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=
ssha:{SSHA}EZlIIkB/H6y/LOe7Dua+cWCQmrpwZXBwZXI=
sha256:$5$8LyY3nzb$jl6Kp7jNQGJ6p7SivEt1ypyNmsZS9v2/NFCmw.y1Gj9

sha512:$6$8LyY3nzb$8W4zqUKRkIQDvcZBv50aH/DNA3kOpAxE0A.jCc9k/GuNDzyHW6mCzlJFrzsfl8P.aOJuH2TrL22EWcjmP08.E0
rounds:$6$rounds=1000$abcd$Mw4O9cfsRxVvpq5vo7zIFm5txHub1kMjVp8LunnSNRxfobmttnfAuKAN3D7XdOul/hPlkVaemBtIb8okhACEc/
";

    #[test]
    fn a_line_that_cannot_be_verified_is_said_and_no_hash_is() {
        let problems = Passwords::parse("f", "a:plain\nb\nc:$2y$31$x\nd:{SHA}!\ne:$apr1$12345678$short").err().unwrap();
        assert_eq!(problems.len(), 5);
        assert!(problems[0].starts_with("f:1: user a: expected a hash made by htpasswd"), "{problems:?}");
        assert!(problems[1].starts_with("f:2: expected USER:HASH"), "{problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("plain") || problem.contains("short")));
    }

    #[test]
    fn knows_users_of_every_kind_of_hash() {
        let passwords = Passwords::parse("f", FILE).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert_eq!(passwords.len(), 9);
        for user in ["bcrypt", "bcrypt-b", "apr1", "md5", "sha", "ssha", "sha256", "sha512", "rounds"] {
            assert!(passwords.verify(user, "secret word"), "{user}");
            assert!(!passwords.verify(user, "secret worD") && !passwords.verify(user, ""), "{user}");
        }
        assert!(!passwords.verify("nobody", "secret word"));
    }

    #[test]
    fn apr1_is_that_of_openssl_at_any_length() {
        let hash = |password: &str, salt: &str| crate::md5_crypt::hash(password.as_bytes(), salt.as_bytes(), "$apr1$");
        assert_eq!(hash("", "ab"), "S8K6Sgp3W8c9Jb6LxgywZ.");
        let long = "a much longer password than sixteen bytes: 0123456789";
        assert_eq!(hash(long, "abcdefgh"), "CepGZSUf8mMELfhXOhtu70");
    }
}
