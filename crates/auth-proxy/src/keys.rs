//! API keys: known by their hash only, each with a name, and groups.

use std::{collections::HashMap, fmt::Write, path::Path, time::SystemTime};

use http1::Headers;
use ring::digest::{SHA256, digest};

use crate::session::Who;

const LARGEST: u64 = 4 << 20;
/// A key that is shorter can be guessed; the hash of a long random one needs no salt and no slowness.
const SHORTEST: usize = 20;

/// The keys of a file, and the header that they come in beside `Authorization: Bearer`.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    pub header: String,
    by_hash: HashMap<String, Key>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    name: String,
    groups: Vec<String>,
    until: Option<SystemTime>,
}

/// What was shown.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    /// In the header that is for keys alone, and not one of them; or one that is over.
    Bad,
    Good(Who),
}

impl Keys {
    /// Lines of `NAME sha256:HEX [groups=a,b] [until=2027-01-31]`. All that is wrong with them.
    pub fn read(path: &Path, header: String) -> Result<Self, Vec<String>> {
        let text = values::read_text(path, LARGEST).map_err(|problem| vec![problem])?;
        let (mut keys, mut problems) = (Self { header, by_hash: HashMap::new() }, Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match parsed(line) {
                Ok((hash, key)) if keys.by_hash.contains_key(&hash) => {
                    problems.push(format!("{}:{number}: {}: another name has the same key", path.display(), key.name));
                }
                Ok((hash, key)) => drop(keys.by_hash.insert(hash, key)),
                Err(problem) => problems.push(format!("{}:{number}: {problem}", path.display())),
            }
        }
        if problems.is_empty() { Ok(keys) } else { Err(problems) }
    }

    pub fn find(&self, headers: &Headers) -> Shown {
        let own = headers.get_str(&self.header);
        let shown = own.or_else(|| crate::door::bearer_token(headers.get("authorization")?));
        let Some(shown) = shown else { return Shown::Nothing };
        // Found by its hash: how long that takes says nothing of any key.
        let known = self.by_hash.get(&hash(shown)).filter(|_| shown.len() >= SHORTEST);
        match known {
            Some(key) if key.until.is_none_or(|until| until > SystemTime::now()) => {
                let (user, groups) = (key.name.clone(), key.groups.clone());
                Shown::Good(Who { user, groups, belongs: true, ..Who::default() })
            }
            Some(_) => Shown::Bad,
            None if own.is_some() => Shown::Bad,
            None => Shown::Nothing,
        }
    }

    /// They were meant for us.
    pub fn strip(&self, headers: &mut Headers) {
        headers.remove(&self.header);
        headers.remove("authorization");
    }
}

fn hash(key: &str) -> String {
    let mut text = String::with_capacity(64);
    for byte in digest(&SHA256, key.as_bytes()).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn parsed(line: &str) -> Result<(String, Key), String> {
    const EXPECTED: &str = "expected NAME sha256:HEX [groups=a,b] [until=2027-01-31]";
    let mut words = line.split_whitespace();
    let (name, sum) = words.next().zip(words.next()).ok_or(EXPECTED)?;
    let hex = sum.strip_prefix("sha256:").map(str::to_ascii_lowercase).ok_or(EXPECTED)?;
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{name}: expected 64 hexadecimal digits after sha256:"));
    }
    let mut key = Key { name: name.to_owned(), groups: Vec::new(), until: None };
    for word in words {
        match word.split_once('=') {
            Some(("groups", list)) => key.groups = list.split(',').map(str::to_owned).collect(),
            Some(("until", day)) => {
                let end = humantime::parse_rfc3339(&format!("{day}T00:00:00Z"));
                key.until = Some(end.map_err(|_| format!("{name}: until={day}: expected a day such as 2027-01-31"))?);
            }
            _ => return Err(format!("{name}: {word}: expected groups=a,b or until=2027-01-31")),
        }
    }
    Ok((hex, key))
}

/// A new key and its line for the file, for an operator. None: the system has no randomness.
pub fn make(name: &str, groups: &str) -> Option<String> {
    let key = format!("key_{}", oidc::random_text()?);
    let groups = if groups.is_empty() { String::new() } else { format!(" groups={groups}") };
    Some(format!("key:  {key}\nline: {name} sha256:{}{groups}\n", hash(&key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_found_by_its_line_and_nothing_else_is() {
        let made = make("ci", "deploy,read").unwrap();
        let mut lines = made.lines().map(|line| line.split_once(": ").unwrap().1.trim().to_owned());
        let (key, line) = (lines.next().unwrap(), lines.next().unwrap());
        let (hash, known) = parsed(&line).unwrap();
        let keys = Keys { header: "x-api-key".into(), by_hash: [(hash, known)].into() };
        let find = |name: &str, value: &str| keys.find(&[(name, value)].into_iter().collect());
        let Shown::Good(who) = find("X-API-Key", &key) else { panic!("{made}") };
        assert_eq!((&*who.user, who.groups), ("ci", vec!["deploy".to_owned(), "read".to_owned()]));
        assert!(matches!(find("Authorization", &format!("bearer {key}")), Shown::Good(_)));
        assert_eq!(find("X-API-Key", &key[1..]), Shown::Bad);
        assert_eq!(find("Authorization", "Bearer other"), Shown::Nothing, "it may be for somebody else");
        assert_eq!(find("Authorization", "Basic x"), Shown::Nothing);
    }

    #[test]
    fn a_key_ends_on_its_day_and_lines_that_say_something_else_are_refused() {
        let hex = "0".repeat(64);
        assert!(parsed(&format!("a sha256:{hex} until=2001-01-01")).unwrap().1.until.unwrap() < SystemTime::now());
        for line in ["a", "a b", "a sha256:00", "a md5:00", "a sha256:x y", &format!("a sha256:{hex} until=soon")] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
