//! Who is let in: checked off the data path, remembered for a while.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};
use tokio::sync::Semaphore;

use crate::{
    lockout::{Lockout, Source},
    passwords::Passwords,
};

/// A hash takes 50 ms or more by design: so many at a time for the whole process, the others wait.
const AT_A_TIME: usize = 2;
/// More than this waiting is an attack; they are told to come back.
const MOST_WAITING: usize = 64;
/// Whoever was let in is not asked to prove it again for so long.
const REMEMBER: Duration = Duration::from_secs(60);
const MOST_REMEMBERED: usize = 1024;
/// How often the file is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Names and passwords together.
const LARGEST: usize = 1024;

/// A password file in use.
pub struct Users {
    path: PathBuf,
    file: RwLock<Known>,
    looked: Mutex<Instant>,
    /// Proofs that were good, by a keyed sum: no password is kept.
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
    key: hmac::Key,
    turn: Semaphore,
    waiting: Semaphore,
    /// Where guessers are locked out.
    lockout: Option<Mutex<Lockout>>,
    tell: Tell,
}

type Tell = Box<dyn Fn(News<'_>) + Send + Sync>;

/// What became of the file, said once for each state of it.
#[derive(Debug)]
pub enum News<'a> {
    Read { path: &'a Path, users: usize },
    Unusable { path: &'a Path, problems: &'a [String] },
}

#[derive(Clone, Default)]
struct Known {
    /// None: the file is not there or cannot be used, and nobody is let in.
    passwords: Option<Arc<Passwords>>,
    stamp: Option<(SystemTime, u64)>,
    was_read: bool,
}

/// What became of a request's proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Good(String),
    /// None was given, or a wrong one.
    Wanting,
    /// There is no file of users to check it with.
    NoUsers,
    Busy,
    /// Too many wrong ones: not even looked at.
    LockedOut(Duration),
}

impl Users {
    pub fn new(path: PathBuf, tell: impl Fn(News<'_>) + Send + Sync + 'static) -> Self {
        let mut key = [0; 32];
        // Without randomness there is no key, and without a key nothing would be remembered safely: zeros only make
        // sums that others could make too, of passwords they would have to know.
        let _ = SystemRandom::new().fill(&mut key);
        let users = Self {
            path,
            file: RwLock::default(),
            looked: Mutex::new(Instant::now()),
            remembered: Mutex::default(),
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            turn: Semaphore::new(AT_A_TIME),
            waiting: Semaphore::new(MOST_WAITING),
            lockout: None,
            tell: Box::new(tell),
        };
        users.read();
        users
    }

    /// Whoever has guessed wrong too often is not even looked at for a while.
    pub fn locking_out(self) -> Self {
        Self { lockout: Some(Mutex::default()), ..self }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file again if it is another one. What is wrong with it is said once for each state of it.
    pub fn read(&self) {
        let stamp = std::fs::metadata(&self.path).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len())));
        {
            let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
            if file.was_read && file.stamp == stamp {
                return;
            }
        }
        let passwords = match Passwords::read(&self.path) {
            Ok(passwords) => {
                (self.tell)(News::Read { path: &self.path, users: passwords.len() });
                Some(Arc::new(passwords))
            }
            Err(problems) => {
                (self.tell)(News::Unusable { path: &self.path, problems: &problems });
                None
            }
        };
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Known { passwords, stamp, was_read: true };
    }

    fn look(&self) {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if *looked > now {
            return;
        }
        *looked = now + LOOK_EVERY;
        drop(looked);
        self.read();
    }

    /// Whether somebody who was let in before is still one of them.
    pub fn knows(&self, user: &str) -> bool {
        self.look();
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        file.passwords.as_ref().is_some_and(|passwords| passwords.knows(user))
    }

    /// What the user's password is known by, until it is another one.
    pub fn mark(&self, user: &str) -> Option<String> {
        self.look();
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner);
        file.passwords.as_ref()?.mark(user)
    }

    /// `header` is the value of Authorization, `from` is who sent it.
    pub async fn check(self: &Arc<Self>, header: Option<&[u8]>, from: Option<IpAddr>) -> Proof {
        self.look();
        let file = self.file.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(passwords) = file.passwords else { return Proof::NoUsers };
        let Some((user, password)) = header.and_then(credentials) else { return Proof::Wanting };
        let sum = self.sum(&user, &password);
        if self.remembers(&sum) {
            return Proof::Good(user);
        }
        let (name, source) = (self.sum(&user, ""), Source::of(from));
        let now = Instant::now();
        if let Some(left) = self.lockout().and_then(|lockout| lockout.left(name, source, now)) {
            return Proof::LockedOut(left);
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Proof::Busy };
        let Ok(_turn) = self.turn.acquire().await else { return Proof::Busy };
        // Somebody with the same proof may have been before us in the queue.
        if self.remembers(&sum) {
            return Proof::Good(user);
        }
        // Guesses that were sent all at once wait here while the first of them are counted.
        if let Some(left) = self.lockout().and_then(|lockout| lockout.left(name, source, now)) {
            return Proof::LockedOut(left);
        }
        let asked = user.clone();
        let verified = tokio::task::spawn_blocking(move || passwords.verify(&asked, &password)).await;
        if !verified.unwrap_or(false) {
            if let Some(mut lockout) = self.lockout() {
                lockout.wrong(name, source, Instant::now());
            }
            return Proof::Wanting;
        }
        if let Some(mut lockout) = self.lockout() {
            lockout.right(name, source);
        }
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.retain(|_, until| *until > Instant::now());
            if remembered.len() >= MOST_REMEMBERED {
                remembered.clear();
            }
        }
        remembered.insert(sum, Instant::now() + REMEMBER);
        Proof::Good(user)
    }

    fn lockout(&self) -> Option<MutexGuard<'_, Lockout>> {
        self.lockout.as_ref().map(|lockout| lockout.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn remembers(&self, sum: &[u8; 32]) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(sum).is_some_and(|until| *until > Instant::now())
    }

    fn sum(&self, user: &str, password: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(user.len() as u64).to_be_bytes());
        context.update(user.as_bytes());
        context.update(password.as_bytes());
        context.sign().as_ref().try_into().unwrap_or_default()
    }
}

/// RFC 7617. The scheme's case does not matter.
pub fn credentials(header: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= LARGEST * 2)?;
    let (scheme, encoded) = text.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(encoded.trim()).ok().filter(|decoded| decoded.len() <= LARGEST)?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_and_nothing_else() {
        let good = Some(("user".into(), "pass:word".into()));
        assert_eq!(credentials(b"Basic dXNlcjpwYXNzOndvcmQ="), good);
        assert_eq!(credentials(b"basic  dXNlcjpwYXNzOndvcmQ="), good);
        for header in [&b"Bearer x"[..], b"Basic", b"Basic !!!", b"Basic dXNlcg==", b"\xff", b""] {
            assert_eq!(credentials(header), None);
        }
    }

    #[tokio::test]
    async fn nobody_is_let_in_without_a_file_and_its_coming_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        let users = Arc::new(Users::new(path.clone(), |_| {}));
        let proof = Some(&b"Basic c2hhOnNlY3JldCB3b3Jk"[..]);
        assert_eq!(users.check(proof, None).await, Proof::NoUsers);
        std::fs::write(&path, "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n").unwrap();
        users.read();
        assert_eq!(users.check(proof, None).await, Proof::Good("sha".into()));
        assert_eq!(users.check(proof, None).await, Proof::Good("sha".into()), "remembered");
        assert_eq!(users.check(Some(b"Basic c2hhOnNlY3JldA=="), None).await, Proof::Wanting);
        assert_eq!(users.check(None, None).await, Proof::Wanting);
        std::fs::remove_file(&path).unwrap();
        users.read();
        assert_eq!(users.check(proof, None).await, Proof::NoUsers, "what was remembered is forgotten");
    }

    #[tokio::test]
    async fn a_guesser_is_locked_out_and_the_user_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        std::fs::write(&path, "sha:{SHA}PDUC6jG3V40qqE4XqHRFLkyoMVM=\n").unwrap();
        let users = Arc::new(Users::new(path, |_| {}).locking_out());
        let (guesser, owner) = (Some("192.0.2.1".parse().unwrap()), Some("192.0.2.2".parse().unwrap()));
        for _ in 0..5 {
            assert_eq!(users.check(Some(b"Basic c2hhOnNlY3JldA=="), guesser).await, Proof::Wanting);
        }
        let right = Some(&b"Basic c2hhOnNlY3JldCB3b3Jk"[..]);
        assert!(matches!(users.check(right, guesser).await, Proof::LockedOut(_)));
        assert_eq!(users.check(right, owner).await, Proof::Good("sha".into()));
    }
}
